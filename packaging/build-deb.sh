#!/usr/bin/env bash
#
# build-deb.sh
#		Builds the Debian packages, source and binary, into a folder that apt can install from; then
#		installs them so in a Debian where nothing else of ours is, and verifies a token there.
#
# usage: packaging/build-deb.sh [SUITE...]		as root
#		(default: bookworm, trixie and forky, which have PostgreSQL 15, 17 and 18)
#
# build/apt is a repository: pool/SUITE has the packages, dists/SUITE what apt reads of them.
# Prints TAP.
#
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

[ $# -gt 0 ] || set -- bookworm trixie forky
version=$(sed -n "s/^default_version = '\(.*\)'/\1/p" clerk_rls.control)
work=$(mktemp -d "${TMPDIR:-/tmp}/clerk_rls_deb.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
# shellcheck source-path=SCRIPTDIR/.. source=packaging/root.sh
. packaging/root.sh

# build SUITE: the packages and their lists, into build/apt
build()
{
	local suite=$1 root=$work/build

	root_make "$root" "$suite" build-essential,debhelper,fakeroot,libjansson-dev,libssl-dev,pkg-config,postgresql-server-dev-all
	mkdir "$root/src"
	root_sources "$root/src/clerk-rls-$version"
	tar -C "$root/src" -czf "$root/src/clerk-rls_$version.orig.tar.gz" "clerk-rls-$version"
	cp -r packaging/debian "$root/src/clerk-rls-$version"
	root_run "$root" "cd /src/clerk-rls-$version && pg_buildext updatecontrol && dpkg-buildpackage -us -uc" >"$work/build.log" 2>&1 ||
		{ tail -n 40 "$work/build.log" >&2 && return 1; }
	rm -rf "build/apt/pool/$suite" "build/apt/dists/$suite"
	mkdir -p "build/apt/pool/$suite" "$root/apt/pool"
	find "$root/src" -maxdepth 1 -type f ! -name '*.buildinfo' ! -name '*.changes' -exec cp {} "build/apt/pool/$suite" \;
	cp -r "build/apt/pool/$suite" "$root/apt/pool"
	lists "$suite" "$root" || return 1
	cp -r "$root/apt/dists" build/apt
	rm -rf --one-file-system "$root"
}

# lists SUITE ROOT: what apt reads, made by the dpkg-dev of that Debian in its /apt
lists()
{
	local suite=$1 root=$2 architecture

	architecture=$(root_run "$root" 'dpkg --print-architecture')
	root_run "$root" "
		cd /apt
		mkdir -p dists/$suite/main/binary-$architecture dists/$suite/main/source
		dpkg-scanpackages --multiversion pool/$suite >dists/$suite/main/binary-$architecture/Packages
		dpkg-scansources pool/$suite >dists/$suite/main/source/Sources
		cd dists/$suite
		gzip -9nk main/*/*
		{
			printf '%s\n' 'Origin: clerk_rls' 'Suite: $suite' 'Codename: $suite' 'Components: main' 'Architectures: $architecture'
			LC_ALL=C date -u '+Date: %a, %d %b %Y %T UTC'
			echo SHA256:
			find main -type f | sort | while read -r file; do
				echo \" \$(sha256sum \$file | cut -d' ' -f1) \$(stat -c %s \$file) \$file\"
			done
		} >Release" 2>"$work/lists.log" || { cat "$work/lists.log" >&2 && return 1; }
}

# try SUITE: from build/apt and nowhere else, in a Debian with its PostgreSQL and no compiler
try()
{
	local suite=$1 deb pg root=$work/try status=0

	deb=$(find "build/apt/pool/$suite" -name 'postgresql-*-clerk-rls_*.deb' | head -n 1)
	pg=$(basename "$deb" | sed 's/postgresql-\([0-9]*\)-.*/\1/')
	root_make "$root" "$suite" "postgresql-$pg,libjansson4"
	cp -r build/apt "$root/apt"
	echo "deb [trusted=yes] file:/apt $suite main" >"$root/etc/apt/clerk_rls.list"
	cp test/vectors/tokens.sql packaging/try.sql "$root/tmp"
	root_run "$root" "
		apt='apt-get -qq -o Dir::Etc::sourcelist=/etc/apt/clerk_rls.list -o Dir::Etc::sourceparts=- -o APT::Sandbox::User=root'
		\$apt update
		\$apt install -y postgresql-$pg-clerk-rls" >"$work/try.log" 2>&1 ||
		{ tail -n 20 "$work/try.log" >&2 && echo "not ok - apt installs it in $suite" && return 1; }
	root_try "$root" "$pg" || status=1
	rm -rf --one-file-system "$root"
	return $status
}

failed=0
for suite; do
	if build "$suite"; then
		echo "ok - packages for $suite: $(cd "build/apt/pool/$suite" && printf '%s ' *.deb *.dsc)"
		try "$suite" || failed=1
	else
		echo "not ok - packages for $suite"
		failed=1
	fi
done
exit $failed
