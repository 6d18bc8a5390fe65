#!/usr/bin/env bash
#
# check-dockerfile.sh
#		What can be known of packaging/Dockerfile and Dockerfile.supabase without a Docker engine:
#		their steps are run in folders, and a token is verified in the last one.
#
# usage: packaging/check-dockerfile.sh [DOCKERFILE...], as root
#
# A FROM becomes a Debian with the PostgreSQL of Debian in the place of the image's, which has the
# same paths; RUN and COPY are done as they stand.  Supabase's own image is not to be had either:
# what takes its place has the traits that matter, see make_base().  Prints TAP.
#
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

pg=15
suite=bookworm
work=$(mktemp -d "${TMPDIR:-/tmp}/clerk_rls_docker.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
# shellcheck source-path=SCRIPTDIR/.. source=packaging/root.sh
. packaging/root.sh

# The instructions, one a line: continued lines joined, comments away, the version put in.
instructions()
{
	sed -e '/^#/d' "$dockerfile" | sed -e ':a' -e '/\\$/N; s/\\\n//; ta' | sed -e "s/\${PG_MAJOR}/$pg/g" | grep -v '^$'
}

# The needs of the steps are installed beforehand, as apt-get has no network in there.
packages()
{
	instructions | sed -n 's/.*apt-get install -y --no-install-recommends \([^&]*\).*/\1/p' | tr -s ' \n\t' ',' | sed 's/,$//'
}

#
# make_base ROOT: like Supabase's image.  No shell but busybox's, no library where a distribution
# has them, no headers and no pg_config; a PostgreSQL in /nix/store, with its own dynamic linker
# and C library, which finds its libraries by paths that it has in itself.
#
make_base()
{
	root_make "$work/debian" $suite "postgresql-$pg,patchelf,busybox-static,tzdata"
	cat >"$work/debian/make_base" <<-'END'
		store=/base/nix/store
		pg=$store/xxxx-postgresql
		mkdir -p $pg/usr/lib $pg/usr/share $store/xxxx-glibc/lib $store/xxxx-libs/lib /base/bin /base/etc /base/usr/bin /base/usr/share /base/tmp /base/dev /base/proc /base/root
		chmod 1777 /base/tmp
		cp -a /usr/lib/postgresql $pg/usr/lib
		cp -a /usr/share/postgresql $pg/usr/share
		rm -rf $pg/usr/lib/postgresql/*/bin/pg_config $pg/usr/lib/postgresql/*/lib/bitcode
		cp -a /usr/share/zoneinfo /base/usr/share
		grep -E '^(root|postgres):' /etc/passwd >/base/etc/passwd
		grep -E '^(root|postgres):' /etc/group >/base/etc/group
		cp /bin/busybox /base/bin/busybox
		for name in $(/bin/busybox --list); do
			[ $name = busybox ] || ln -s busybox /base/bin/$name
		done
		for file in $pg/usr/lib/postgresql/*/bin/* $pg/usr/lib/postgresql/*/lib/*.so; do
			ldd "$file" 2>/dev/null | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p'
		done | sort -u | while read -r library; do
			case ${library##*/} in
				libc.so.* | libm.so.* | libpthread.* | libdl.* | librt.*) cp -L "$library" $store/xxxx-glibc/lib ;;
				*) cp -L "$library" $store/xxxx-libs/lib ;;
			esac
		done
		cp -L /lib64/ld-linux-*.so.* /lib/ld-linux-*.so.* $store/xxxx-glibc/lib 2>/dev/null || true
		linker=$(basename $store/xxxx-glibc/lib/ld-linux-*.so.*)
		path=/nix/store/xxxx-libs/lib:/nix/store/xxxx-glibc/lib
		for file in $pg/usr/lib/postgresql/*/bin/*; do
			patchelf --set-interpreter /nix/store/xxxx-glibc/lib/$linker --set-rpath $path $file
			ln -s "${file#/base}" /base/usr/bin
		done
		patchelf --set-rpath $path $pg/usr/lib/postgresql/*/lib/*.so $store/xxxx-libs/lib/*.so.*
	END
	root_run "$work/debian" 'bash -eu /make_base'
	mv "$work/debian/base" "$1"
	rm -rf --one-file-system "$work/debian"
}

# run_step ROOT COMMAND: with whatever shell is there
run_step()
{
	# shellcheck disable=SC2016 # expanded by the inner shell
	if [ -e "$1/bin/bash" ]; then
		root_run "$1" "apt-get() { :; }; $2"
	else
		unshare --mount --pid --fork --kill-child bash -euc '
			mount --rbind /dev "$0/dev"
			mount -t proc proc "$0/proc"
			exec chroot "$0" /bin/busybox env -i PATH=/usr/bin:/bin /bin/busybox sh -euc "$1"' "$1" "$2"
	fi
}

check_dockerfile()
{
	local dockerfile=$1 n=0 stage='' first='' instruction arguments

	while read -r instruction arguments; do
		case $instruction in
			ARG | USER) ;;
			FROM)
				n=$((n + 1))
				stage=$work/$n
				[ "$first" ] || first=$stage
				case $arguments in
					"postgres:$pg-$suite"*) root_make "$stage" $suite "postgresql-$pg,$(packages)" ;;
					"\${BASE}") make_base "$stage" ;;
					*) echo "not ok - FROM $arguments" && exit 1 ;;
				esac
				;;
			COPY)
				case $arguments in
					'. /src') root_sources "$stage/src" ;;
					'--from=build /out/ /') cp -a "$first/out/." "$stage/" ;;
					'--from=build /clerk_rls/ /clerk_rls/') cp -a "$first/clerk_rls" "$stage/" ;;
					*) echo "not ok - COPY $arguments" && exit 1 ;;
				esac
				;;
			RUN) run_step "$stage" "$arguments" >"$work/log" 2>&1 || { tail -n 30 "$work/log" && echo "not ok - RUN $arguments" && exit 1; } ;;
			*) echo "not ok - unknown instruction $instruction" && exit 1 ;;
		esac
	done < <(instructions)
	echo "ok - the steps of $dockerfile, in $n stages"
	if [ "$dockerfile" = packaging/Dockerfile ]; then
		cp test/vectors/tokens.sql packaging/try.sql "$stage/tmp"
		root_try "$stage" $pg
	else
		# it has tried itself
		sed -n 's/^clerk_rls is in/ok - the extension is in/p' "$work/log"
	fi
	rm -rf --one-file-system "$work"/[0-9]
}

[ $# -gt 0 ] || set -- packaging/Dockerfile packaging/Dockerfile.supabase
for file; do
	check_dockerfile "$file"
done
