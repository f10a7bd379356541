# shellcheck shell=sh
# Guests with a network. Sourced by run and soak.

# net_peer BYTES: the other end, with a file of that size. Sets PORT, ours, and FORWARD, to be forwarded to the guest.
net_peer() {
	mkdir "$WORK/peer"
	head -c "$1" /dev/urandom >"$WORK/peer/file"
	"$TOP/tests/e2e/net_peer" "$WORK/peer" 2>"$WORK/peer/log" &
	peer=$!
	trap 'kill $peer 2>/dev/null' EXIT
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
	rm -f "$WORK/initrd" "$WORK/peer/file"
}
