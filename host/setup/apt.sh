# shellcheck shell=sh
# A private apt: packages and sources of other Debian suites than the machine's, without touching
# the system.  Its own sources list (from the mirror that the machine already uses), lists and
# caches; the machine's keyring, so signatures are checked.  Sourced after lib.sh.
#
#   apt_deb SUITE PACKAGE      sets DEB to the path of the package file
#   apt_orig SUITE SOURCE      sets ORIG to the path of the upstream tarball of a source package
#   apt_depends SUITE PACKAGE  prints its direct dependencies, versions stripped, one a line
#
# What was fetched once is used again without asking the mirror; ENTRESOL_REFRESH=1 asks anew.

APT=$CACHE/apt
SUITES="bookworm bookworm-backports trixie trixie-backports sid"
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# apt_uris: every URI in the machine's configuration, in both of its formats.
apt_uris() {
	for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[ ! -f "$f" ] || sed -n 's/^deb[[:space:]]\{1,\}\(\[[^]]*\][[:space:]]*\)\{0,1\}\([^[:space:]]*\).*/\2/p' "$f"
	done
	for f in /etc/apt/sources.list.d/*.sources; do
		[ ! -f "$f" ] || awk 'BEGIN { RS = ""; FS = "\n" } {
			uris = ""; enabled = 1; inside = 0
			for (i = 1; i <= NF; i++) {
				if ($i ~ /^#/) continue
				if ($i !~ /^[ \t]/) inside = 0
				if (tolower($i) ~ /^enabled:[ \t]*(no|false)/) enabled = 0
				if (tolower($i) ~ /^uris:/) { inside = 1; sub(/^[^:]*:/, "", $i) }
				if (inside) uris = uris " " $i
			}
			n = split(uris, uri, " ")
			for (i = 1; enabled && i <= n; i++) print uri[i]
		}' "$f"
	done
}

# apt_mirror: the URI of the machine's Debian archive.
apt_mirror() {
	apt_uris | while read -r uri; do
		case $uri in
		mirror+file:*) list=${uri#mirror+file:}; grep -v '^#' "/${list#"${list%%[!/]*}"}" || true ;;
		*) echo "$uri" ;;
		esac
	done | awk '{ print $1 }' | grep '/debian/*$' | head -n 1 || true
}

apt_private() {
	APT_CONFIG=$APT/apt.conf "$@"
}

# apt_ready: writes the configuration and reads the indexes, once a day at most.
apt_ready() {
	[ -f "$KEYRING" ] || die "$KEYRING is missing: is this Debian? (package debian-archive-keyring)"
	if [ -f "$APT/updated" ] && [ -z "$(find "$APT/updated" -mmin +1440)" ]; then
		return 0
	fi
	mirror=$(apt_mirror)
	[ -n "$mirror" ] || die "no URI that ends in /debian in /etc/apt/sources.list*: no mirror to use"
	mkdir -p "$APT/lists/partial" "$APT/cache/archives/partial"
	for suite in $SUITES; do
		echo "deb [arch=amd64 signed-by=$KEYRING] $mirror $suite main"
		echo "deb-src [signed-by=$KEYRING] $mirror $suite main"
	done >"$APT/sources.list"
	cat >"$APT/apt.conf" <<-END
		Dir::Etc::sourcelist "$APT/sources.list";
		Dir::Etc::sourceparts "-";
		Dir::Etc::preferences "-";
		Dir::Etc::preferencesparts "-";
		Dir::State::lists "$APT/lists";
		Dir::State::status "/dev/null";
		Dir::Cache "$APT/cache";
		Acquire::Check-Valid-Until "false";
		Acquire::Languages "none";
		Acquire::Retries "3";
		APT::Sandbox::User "root";
		APT::Architecture "amd64";
		APT::Architectures { "amd64"; };
	END
	say "reading the package indexes of $SUITES"
	apt_private apt-get -qq update >"$APT/update.log" 2>&1 ||
		say "some index could not be read (see $APT/update.log); going on with the others"
	touch "$APT/updated"
}

# apt_version SUITE PACKAGE: the newest version in that suite, or nothing.
apt_version() {
	apt_private apt-cache madison "$2" | awk -F ' *[|] *' -v suite="$1/main" \
		'index($3, " " suite " amd64 Packages") { print $2 }' | sort -rV | head -n 1
}

apt_has() {
	[ -n "${ENTRESOL_REFRESH:-}" ] || [ -d "$1" ]
}

apt_deb() {
	dir=$CACHE/deb/$1/$2
	if [ -n "${ENTRESOL_REFRESH:-}" ] || [ ! -d "$dir" ]; then
		apt_ready
		version=$(apt_version "$1" "$2")
		[ -n "$version" ] || return 1
		say "fetching $2 $version ($1)"
		got=$(mktemp -d "$SCRATCH/deb.XXXXXX")
		(cd "$got" && apt_private apt-get -qq download "$2=$version") >"$SCRATCH/log" 2>&1 || {
			cat "$SCRATCH/log" >&2
			return 1
		}
		publish "$got" "$dir"
	fi
	DEB=$(echo "$dir"/*.deb)
}

# Only the upstream tarball is fetched, checked against the signed index: mirrors have holes in
# their source trees, and Debian's packaging is not what we build.
apt_orig() {
	dir=$CACHE/orig/$1/$2
	if [ -n "${ENTRESOL_REFRESH:-}" ] || [ ! -d "$dir" ]; then
		apt_ready
		line=$(apt_private apt-get -qq source --print-uris --download-only -t "$1" "$2" 2>/dev/null |
			grep '\.orig\.tar\.[a-z0-9]* ' | head -n 1) || true
		[ -n "$line" ] || return 1
		# 'URI' FILE SIZE HASH
		uri=${line#\'} uri=${uri%%\'*}
		rest=${line##*\' } file=${rest%% *} hash=${rest##* }
		say "fetching $file ($1)"
		got=$(mktemp -d "$SCRATCH/orig.XXXXXX")
		apt_private /usr/lib/apt/apt-helper download-file "$uri" "$got/$file" "$hash" \
			>"$SCRATCH/log" 2>&1 || {
			cat "$SCRATCH/log" >&2
			return 1
		}
		publish "$got" "$dir"
	fi
	ORIG=$(echo "$dir"/*.orig.tar.*)
}

apt_depends() {
	apt_ready
	apt_private apt-cache show "$2=$(apt_version "$1" "$2")" | sed -n 's/^Depends: //p' |
		tr ',' '\n' | sed 's/([^)]*)//; s/|.*//; s/[[:space:]]//g'
}
