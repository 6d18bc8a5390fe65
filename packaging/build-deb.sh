#!/usr/bin/env bash
#
# build-deb.sh
#		Builds the Debian packages, source and binary, installs them in a Debian where nothing
#		else of ours is, and verifies a token there.
#
# usage: packaging/build-deb.sh [SUITE]		(default bookworm), as root
#
# The packages go to build/deb.  Prints TAP.
#
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

suite=${1:-bookworm}
version=$(sed -n "s/^default_version = '\(.*\)'/\1/p" clerk_rls.control)
work=$(mktemp -d "${TMPDIR:-/tmp}/clerk_rls_deb.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
# shellcheck source-path=SCRIPTDIR/.. source=packaging/root.sh
. packaging/root.sh

build()
{
	local root=$work/build

	root_make "$root" "$suite" build-essential,debhelper,fakeroot,libjansson-dev,libssl-dev,pkg-config,postgresql-server-dev-all
	mkdir "$root/src"
	root_sources "$root/src/clerk-rls-$version"
	tar -C "$root/src" -czf "$root/src/clerk-rls_$version.orig.tar.gz" "clerk-rls-$version"
	cp -r packaging/debian "$root/src/clerk-rls-$version"
	root_run "$root" "cd /src/clerk-rls-$version && pg_buildext updatecontrol && dpkg-buildpackage -us -uc" >"$work/build.log" 2>&1 ||
		{ tail -n 40 "$work/build.log" >&2 && return 1; }
	rm -rf build/deb
	mkdir -p build/deb
	find "$root/src" -maxdepth 1 -type f -exec cp {} build/deb \;
}

# In a Debian with the PostgreSQL of the package, and no compiler.
try()
{
	local deb pg root=$work/try

	deb=$(find build/deb -name 'postgresql-*-clerk-rls_*.deb' | head -n 1)
	pg=$(basename "$deb" | sed 's/postgresql-\([0-9]*\)-.*/\1/')
	root_make "$root" "$suite" "postgresql-$pg,libjansson4"
	cp "$deb" "$root/package.deb"
	cp test/vectors/tokens.sql packaging/try.sql "$root/tmp"
	root_run "$root" 'dpkg -i /package.deb' >/dev/null
	root_try "$root" "$pg"
}

if build; then
	echo "ok - packages for $suite: $(cd build/deb && printf '%s ' *.deb *.dsc)"
else
	echo "not ok - packages for $suite"
	exit 1
fi
try
