# shellcheck shell=sh
# What the set-up scripts share.  Sourced, not run; the caller has `set -eu`.
#
# Everything fetched or built from third parties lives in one cache that may be deleted at any
# time.  An entry appears under its final name only when it is complete (built aside, renamed), so
# an interrupted run leaves nothing that a later run would trust.

# Called from our Makefile, third-party builds must not inherit its flags.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES

CACHE=${ENTRESOL_CACHE:-${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/entresol}

say() {
	printf 'entresol: %s\n' "$*" >&2
}

die() {
	say "error: $*"
	exit 1
}

# lock NAME: one process at a time goes on; the lock ends with this process.
lock() {
	mkdir -p "$CACHE"
	exec 9>"$CACHE/.lock-$1"
	flock -n 9 || {
		say "waiting for another run that holds the $1 lock"
		flock 9
	}
}

# scratch: sets SCRATCH to an empty folder in the cache, removed when this process ends.
scratch() {
	mkdir -p "$CACHE/tmp"
	find "$CACHE/tmp" -mindepth 1 -maxdepth 1 -mtime +1 -exec rm -rf {} +
	SCRATCH=$(mktemp -d "$CACHE/tmp/XXXXXXXX")
	trap 'rm -rf "$SCRATCH"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
}

# publish FOLDER FINAL: the complete FOLDER becomes FINAL, replacing what was there.
publish() {
	chmod 755 "$1"
	mkdir -p "$(dirname "$2")"
	rm -rf "$2"
	mv -T "$1" "$2"
}

# digest: a short name for what comes in on standard input.
digest() {
	sha256sum | cut -c 1-16
}

# quietly LOG COMMAND...: runs it with output to LOG, whose end is shown when it fails.
quietly() {
	log=$1
	shift
	"$@" >"$log" 2>&1 && return 0
	tail -n 40 "$log" >&2
	die "failed: $*"
}
