#!/usr/bin/env bash
#
# run.sh
#		The tests on each PostgreSQL, built with each compiler: in a Debian of its own that has
#		this PostgreSQL, with pgsql-http and pg_cron where it has them, in a temporary folder.
#
# usage: test/matrix/run.sh [VERSION COMPILER [--show] STEP...], as root
#		(default: 15, 17 and 18 with gcc and with clang, all steps that need nothing from npm)
#
# test/run.sh calls it for what its own Debian cannot do.
#
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# shellcheck source-path=SCRIPTDIR/../.. source=packaging/root.sh
. packaging/root.sh
. test/lib/sources.sh

declare -A release=([15]=bookworm [17]=trixie [18]=forky) clang=([15]=14 [17]=19 [18]=21)
steps=(warnings unit regress isolation tap)
roots=$(mktemp -d "${TMPDIR:-/tmp}/clerk_rls_matrix.XXXXXX")
trap 'rm -rf --one-file-system "$roots"' EXIT

# Debian 12 has no pgsql-http.
make_root()
{
	local version=$1 root=$roots/$1
	local packages=gcc,clang,libclang-rt-${clang[$version]}-dev,libc6-dev,make,pkg-config,libssl-dev,libjansson-dev,libcmocka-dev,openssl,libipc-run-perl,pgbouncer

	packages+=,postgresql-$version,postgresql-server-dev-$version
	[ "$version" = 15 ] || packages+=,postgresql-$version-http,postgresql-$version-cron
	root_make "$root" "${release[$version]}" "$packages"
	copy_sources "$root/clerk_rls"
}

# run_in_root VERSION COMPILER ARGUMENT...: test/run.sh with these arguments
run_in_root()
{
	local version=$1 compiler=$2
	shift 2

	root_run "$roots/$version" "CLERK_SETUP=no CC=$compiler bash /clerk_rls/test/run.sh $*"
}

all()
{
	local version compiler failed=0

	for version in 15 17 18; do
		make_root "$version"
		for compiler in gcc clang; do
			printf '» PostgreSQL %s, %s\n' "$version" "$compiler"
			run_in_root "$version" "$compiler" "${steps[@]}" || failed=1
		done
		rm -rf --one-file-system "${roots:?}/$version"
	done
	return $failed
}

if [ $# = 0 ]; then
	all
else
	make_root "$1"
	run_in_root "$@"
fi
