#!/usr/bin/env bash
#
# run.sh
#		The examples of docs/clients.md with real clients: supabase-js, node-postgres, Drizzle and
#		a browser, through PostgREST and PgBouncer.
#
# Prints TAP, and at the end "N passed, N failed".  Owns the servers and the tokens; each folder
# has an example, which is there to be copied, and its test.mjs.
#
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source-path=SCRIPTDIR/../.. source=test/lib/scratch.sh
. test/lib/scratch.sh

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

# As docs/supabase.md sets up self-hosted Supabase, in its own words.
examples_supabase()
{
	printf '%s' 'a JWT_SECRET of at least 32 characters' >"$SCRATCH/jwt_secret"
	sed -n '/^SELECT clerk\.set_supabase_keys(/p' docs/supabase.md |
		sed "s/the JWT_SECRET of your .env/$(cat "$SCRATCH/jwt_secret")/"
}

examples_database()
{
	openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$SCRATCH/clerk.pem" 2>/dev/null
	scratch_sql -o "$SCRATCH/setup.out" -v issuer=$issuer \
		-v jwks="{\"keys\":[$("$MINT" jwk --key "$SCRATCH/clerk.pem" --kid ins_clerk --alg RS256)]}" \
		-f test/examples/examples.sql
	examples_supabase | scratch_sql
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

# Where a bare import finds the packages.
examples_copy()
{
	cp -r test/examples "$SCRATCH/examples"
	ln -s "$PWD/build/clients/node_modules" "$SCRATCH/examples/node_modules"
}

examples_gateway()
{
	local i

	node "$SCRATCH/examples/gateway.mjs" "$SCRATCH_URL" "$SCRATCH" \
		>"$SCRATCH/gateway.url" 2>"$SCRATCH/gateway.log" </dev/null &
	scratch_pids+=($!)
	for ((i = 0; i < 100; i++)); do
		[ ! -s "$SCRATCH/gateway.url" ] || break
		sleep 0.1
	done
	SUPABASE_URL=$(cat "$SCRATCH/gateway.url")
	export SUPABASE_URL
}

# example NAME: its TAP, with its name.  A script that died counts, though no line says so.
example()
{
	scratch_say "$1"
	timeout 60 node "$SCRATCH/examples/$1/test.mjs" 2>&1 | sed "s/^\(\(not \)\?ok [0-9]*\) - /\1 - $1: /" |
		tee -a "$SCRATCH/tap.out" || broken=$((broken + 1))
}

scratch_build
# shellcheck disable=SC2119 # no arguments
scratch_postgres
examples_database
scratch_postgrest 12 examples 'db-schemas = "public"' 'db-anon-role = "anon"' 'db-pool = 2' \
	'db-pre-request = "clerk.pre_request"' 'db-pre-config = "clerk.supabase_pre_config"'
examples_pgbouncer
examples_copy
examples_gateway
SUPABASE_ANON_KEY=$("$MINT" token --alg HS256 --secret-file "$SCRATCH/jwt_secret" --kid - \
	'{"role":"anon","iss":"supabase","exp":4102444800}')
CHROMIUM=$(command -v chromium-headless-shell || command -v chromium || true)
export SUPABASE_ANON_KEY CHROMIUM EXAMPLES_TOKENS=$SCRATCH/tokens.json EXAMPLES_PSQL=$SCRATCH_BINDIR/psql

example supabase-js
example pg
example drizzle
if [ "$CHROMIUM" ]; then
	example browser
else
	scratch_say 'browser: skipped, as there is no chromium-headless-shell and no chromium'
fi

passed=$(grep -c '^ok ' "$SCRATCH/tap.out" || true)
failed=$(grep -c '^not ok ' "$SCRATCH/tap.out" || true)
[ "$failed" != 0 ] || failed=$broken
printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
