# shellcheck shell=sh
# Guests with a network. Sourced by run and soak.

# At a test's end.
helpers='' undo=:

net_end() {
	# shellcheck disable=SC2086 # a list
	[ -z "$helpers" ] || kill $helpers 2>/dev/null || true
	$undo
}

# net_peer BYTES [ADDRESS GUEST]: the other end, with a file of that size. Sets PORT, ours, and FORWARD, to be forwarded
# to the guest.
net_peer() {
	mkdir "$WORK/peer"
	head -c "$1" /dev/urandom >"$WORK/peer/file"
	shift
	"$TOP/tests/e2e/net_peer" "$WORK/peer" "$@" 2>"$WORK/peer/log" &
	peer=$! helpers="$helpers $!"
	trap net_end EXIT
	until [ -s "$WORK/peer/ports" ]; do
		kill -0 $peer || fail "the network's other end does not start"
		sleep 1
	done
	read -r PORT FORWARD <"$WORK/peer/ports"
}

# net_checked: net-checks ran in a guest, to its end.
net_checked() {
	expect_power_off
	expect_not '^FAIL '
	expect '^net-checks: [1-9][0-9]* passed, 0 failed'
	expect_not "$OURS"
	# VTL2's kernel got an interrupt that no function raised.
	! grep -m 1 'No irq handler' "$WORK/log" >>"$WORK/why" || exit 1
	rm -rf "$WORK"/initrd* "$WORK/peer/file"
}

# net_tools: an iperf3 server on this machine, which net-guest left the program of. Sets IPERF, its port.
net_tools() {
	IPERF=$(python3 -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])')
	"$WORK/initrd.tools/lib64/ld-linux-x86-64.so.2" --library-path "$WORK/initrd.tools/lib64" \
		"$WORK/initrd.tools/iperf3" -s -p "$IPERF" >"$WORK/iperf3" 2>&1 &
	helpers="$helpers $!"
}

# net_obey COMMAND...: the monitor is given these, each when a line of the guest asks for it.
net_obey() {
	count=$#
	for command; do
		set -- "$@" "monitor: $command" "\\001c$command\\n"
	done
	shift "$count"
	type_at "$@"
}

# net_boot SECONDS GUEST CPUS ENVIRONMENT PART... -- OPTION...: boots it with its checks, and a monitor that obeys (net_obey
# before it: otherwise than by default).
net_boot() {
	seconds=$1 guest=$2 cpus=$3 environment=$4 parts=
	shift 4
	while [ "$1" != -- ]; do
		parts="$parts $1"
		shift
	done
	shift
	set -- "$seconds" --kernel "$(stock "$guest" 1)" --initrd "$WORK/initrd" --cpus "$cpus" --memory 512M \
		--append "console=ttyS0 quiet entresol.run=\"$environment /net-checks $PORT$parts\"" "$@"
	[ -n "${INPUT:-}" ] || net_obey 'net down' 'net up' 'net reset' 'net reset' 'net reset'
	boot "$@"
	net_checked
}

# net_guest GUEST [tools]
net_guest() {
	"$TOP/tests/e2e/net-guest" "$(stock "$1" 2)" "$WORK/initrd" ${2:+"$2"} || fail "no initramfs"
}

# net_own GUEST: its mana driver has a function of its own, which goes and comes back under load.
net_own() {
	net_peer 1000000
	net_guest "$1"
	net_obey 'net down' 'net up' 'vf off' 'vf on'
	net_boot 400 "$1" 2 VF=1 vf -- --net "user,vf,hostfwd=tcp:127.0.0.1:$FORWARD-:7"
	for line in "frames go to VTL0's" "frames go to VTL2's" 'VTL0 has given function 1 back' \
		'[1-9][0-9]* register writes of VTL0 without it'; do
		grep -q "$line" "$WORK/log" || fail "'$line' is not in the log"
	done
}
