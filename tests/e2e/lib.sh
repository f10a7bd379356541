# shellcheck shell=sh
# What the end-to-end tests share. A test is a function test_NAME; it boots guests and calls the expect_
# functions; the first that fails ends it. Everything it leaves is in build/e2e/NAME/.

TOP=$(cd "$(dirname "$0")/../.." && pwd)
REL=$TOP/build/rel
GUESTS=$REL/tests/guests
RESULTS=$TOP/build/e2e

# Times are for a slow machine that emulates KVM; E2E_SLOW=2 doubles them.
scaled() {
	echo $(($1 * ${E2E_SLOW:-1}))
}

fail() {
	echo "$*" >>"$WORK/why"
	exit 1
}

# boot SECONDS OPTION...: runs a guest to its end. Sets STATUS; output and log in $WORK/out and $WORK/log.
# Standard input is /dev/null, or the file INPUT.
boot() {
	seconds=$(scaled "$1")
	shift
	STATUS=0
	timeout -k 5 $((seconds + 150)) "$TOP/entresol" run --timeout "$seconds" --log "$WORK/log" "$@" \
		<"${INPUT:-/dev/null}" >"$WORK/out" 2>&1 || STATUS=$?
	[ -z "${typist:-}" ] || kill "$typist" 2>/dev/null || true
	nothing_left
}

# Every process of a run has the log's path among its arguments.
nothing_left() {
	! pgrep -f -- "$WORK/log" >"$WORK/left" || fail "left running: $(tr '\n' ' ' <"$WORK/left")"
}

# boot_until SECONDS PATTERN OPTION...: the same, stopped when its output matches.
boot_until() {
	seconds=$(scaled "$1")
	pattern=$2
	shift 2
	: >"$WORK/out"
	"$TOP/entresol" run --timeout "$seconds" --log "$WORK/log" "$@" <"${INPUT:-/dev/null}" >"$WORK/out" 2>&1 &
	child=$!
	found=no
	while [ $found = no ] && kill -0 $child 2>/dev/null; do
		if seen "$pattern"; then
			found=yes
		else
			sleep 1
		fi
	done
	kill $child 2>/dev/null || true
	wait $child || true
	nothing_left
	[ $found = yes ] || seen "$pattern" || fail "'$pattern' never came; $(summary)"
}

# type_at PROMPT TEXT...: a boot's standard input is the TEXTs from now on, each typed when its PROMPT has come after
# what came before: what comes before its driver is up is lost, as on any serial port.
type_at() {
	INPUT=$WORK/input
	mkfifo "$INPUT"
	: >"$WORK/out"
	(
		exec 3>"$INPUT"
		from=1
		while [ $# -gt 0 ]; do
			until plain | tail -c "+$from" | grep -aqE -e "$1"; do
				sleep 1
			done
			from=$(($(plain | wc -c) + 1))
			printf '%b' "$2" >&3
			shift 2
		done
	) &
	typist=$!
}

# The output without carriage returns and terminal sequences.
plain() {
	tr -d '\r' <"$WORK/out" | sed 's/\x1b\[[0-9;?]*[A-Za-z]//g'
}

seen() {
	plain | grep -aqE -e "$1"
}

summary() {
	plain | grep -a '^entresol: ' | tail -n 1
}

expect() {
	seen "$1" || fail "'$1' is not in the output; $(summary)"
}

expect_not() {
	! seen "$1" || fail "in the output: $(plain | grep -aE -e "$1" | head -n 1)"
}

# expect_count PATTERN NUMBER: at least that many lines.
expect_count() {
	count=$(plain | grep -acE -e "$1")
	[ "$count" -ge "$2" ] || fail "'$1' came $count times, not $2; $(summary)"
}

expect_status() {
	[ "$STATUS" -eq "$1" ] || fail "exit status $STATUS, not $1; $(summary)"
}

# The guest has powered itself off, whatever there was to complain of.
expect_end() {
	expect_status 0
	seen '^entresol: guest powered off' || fail "no summary"
}

# What a run that ended well leaves: status 0, the summary, no complaint of ours.
expect_power_off() {
	expect_end
	# Answers to the monitor's commands are no complaints.
	complaint=$(plain | grep -aE '^(vtlhost|paravisor): ' | grep -v ': done$' | head -n 1)
	[ -z "$complaint" ] || fail "in the output: $complaint"
}

# refused OPTION...: such a run never starts: a line, status not 0, quickly.
refused() {
	STATUS=0
	timeout 60 "$TOP/entresol" run "$@" </dev/null >"$WORK/out" 2>&1 || STATUS=$?
	[ "$STATUS" -ne 0 ] || fail "accepted: $*"
	[ "$STATUS" -ne 124 ] || fail "not refused within a minute: $*"
	lines=$(grep -c . "$WORK/out") || true
	[ "$lines" -eq 1 ] || fail "$lines lines, not one, for: $*"
}

# stock NAME LINE: a stock guest's kernel (1) or initramfs (2)
stock() {
	"$TOP/host/setup/guest" "$1" | sed -n "$2p"
}

# Errors that name us or what we give the guest. (Linux also logs what it lacks on any small machine.)
OURS='Kernel panic|Oops|BUG:|WARNING: CPU|Call Trace|rcu:.*stall|soft lockup|ACPI.*(Error|Exception)|unchecked MSR|hv_.*(fail|error|timed out)'

# attempt: the test in a process of its own, in an empty folder.
attempt() {
	rm -rf "$WORK"
	mkdir -p "$WORK"
	("test_$(echo "$name" | tr - _)") >"$WORK/trace" 2>&1
}

reason() {
	head -n 1 "$WORK/why" 2>/dev/null || tail -n 1 "$WORK/trace"
}

# run_test NAME: prints one line. A test that fails gets a second try; its line says so, and why (docs/testing.md).
run_test() {
	name=$1
	WORK=$RESULTS/$name
	start=$(date +%s)
	before=
	ok=
	if attempt; then
		ok=yes
	else
		before="  (first try: $(reason))"
		rm -rf "$WORK.first"
		cp -R "$WORK" "$WORK.first" 2>/dev/null || true
		! attempt || ok=yes
	fi
	if [ -n "$ok" ]; then
		printf '  ok      %-24s %4d s%s\n' "$name" $(($(date +%s) - start)) "$before"
		: >"$WORK/passed"
	else
		printf '  FAILED  %-24s %4d s  %s%s\n' "$name" $(($(date +%s) - start)) "$(reason)" "$before"
		[ ! -f "$WORK/out" ] || plain | tail -n "${E2E_TAIL:-15}" | sed 's/^/          | /'
	fi
}

# run_all NAME...: E2E_JOBS at a time; the last line says how many passed. Fails when one did.
run_all() {
	mkdir -p "$RESULTS"
	printf '%s\n' "$@" | xargs -P "${E2E_JOBS:-1}" -n 1 "$0" --one
	passed=0 failed=0
	for name; do
		if [ -f "$RESULTS/$name/passed" ]; then
			passed=$((passed + 1))
		else
			failed=$((failed + 1))
		fi
	done
	echo "$KIND: $passed passed, $failed failed (logs in build/e2e/)"
	[ "$failed" -eq 0 ]
}

# main NAMES ARGUMENT...: all of NAMES, or those that an argument is part of; --one NAME runs one.
main() {
	names=$1
	shift
	if [ "${1:-}" = --one ]; then
		run_test "$2"
		exit 0
	fi
	[ $# -gt 0 ] || set -- ${ONLY:+"$ONLY"}
	picked=
	for name in $names; do
		[ $# -gt 0 ] || picked="$picked $name"
		for part; do
			case $name in
			*"$part"*) picked="$picked $name" && break ;;
			esac
		done
	done
	[ -n "$picked" ] || {
		echo "$KIND: no test is called '$*'; there are:$(echo " $names" | tr -s '\n\t ' ' ')" >&2
		exit 2
	}
	# shellcheck disable=SC2086 # a list
	run_all $picked
}
