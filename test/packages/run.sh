#!/usr/bin/env bash
#
# run.sh
#		The release that "make dist" makes: it has PGXN's layout, and it builds and installs.
#
# usage: test/packages/run.sh
#
# Prints lines that say ok or not ok.  What takes longer is "make packages"; what PGXN wants of
# META.json is in test/t/010_documents.pl.
#
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

git rev-parse --git-dir >/dev/null 2>&1 || { echo '# packages: skipped, as this is no git clone' && exit; }

version=$(sed -n "s/^default_version = '\(.*\)'/\1/p" clerk_rls.control)
name=clerk_rls-$version
work=$(mktemp -d "${TMPDIR:-/tmp}/clerk_rls_dist.XXXXXX")
trap 'rm -rf "$work"' EXIT
failed=0

# check WHAT COMMAND...
check()
{
	local what=$1
	shift

	if "$@" >"$work/log" 2>&1; then
		echo "ok - $what"
	else
		echo "not ok - $what"
		sed 's/^/# /' "$work/log"
		failed=1
	fi
}

make_zip()
{
	make -s dist && unzip -q "build/$name.zip" -d "$work"
}

has_layout()
{
	[ "$(find "$work" -mindepth 1 -maxdepth 1 -type d)" = "$work/$name" ] && [ -f "$work/$name/META.json" ] &&
		[ ! -e "$work/$name/build" ]
}

build_and_install()
{
	make -s -C "$work/$name" with_llvm=no && make -s -C "$work/$name" with_llvm=no DESTDIR="$work/out" install
}

# Just these, and nothing of clerk_rls_test.
installs_files()
{
	diff <(cd "$work/out" && find . -type f -printf '%f\n' | sort) \
		<(printf '%s\n' "clerk_rls--$version.sql" clerk_rls.control clerk_rls.so)
}

check 'make dist makes a zip' make_zip
check 'all of it is in one folder, with META.json' has_layout
check 'it builds and installs into DESTDIR' build_and_install
check 'the files of clerk_rls, and no others' installs_files
exit $failed
