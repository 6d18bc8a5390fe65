#!/usr/bin/env bash
#
# trixie.sh
#		The tests that need extensions which Debian 12 does not have (pgsql-http): in a Debian 13
#		of its own, with its PostgreSQL 17, in a temporary folder.
#
# usage: test/trixie.sh, as root
#
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

root=$(mktemp -d "${TMPDIR:-/tmp}/clerk_rls_trixie.XXXXXX")
trap 'rm -rf --one-file-system "$root"' EXIT
packages=gcc,libc6-dev,make,pkg-config,libssl-dev,libjansson-dev,openssl,libipc-run-perl
packages+=,postgresql-17,postgresql-server-dev-17,postgresql-17-http,postgresql-17-cron

mmdebstrap --quiet --variant=apt --include="$packages" trixie "$root"
mkdir "$root/clerk_rls"
cp -r Makefile META.json README.md CHANGELOG.md clerk_rls.control docs src sql test expected "$root/clerk_rls"
rm -f "$root"/clerk_rls/src/*.o "$root"/clerk_rls/src/*.bc

# in a namespace, so that the mounts end with it
# shellcheck disable=SC2016 # expanded by the inner shell
unshare --mount bash -euc '
	mount --rbind /dev "$0/dev"
	mount -t proc proc "$0/proc"
	exec chroot "$0" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 CLERK_SETUP=no \
		bash /clerk_rls/test/run.sh --show regress isolation tap' "$root"
