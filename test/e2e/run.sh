#!/usr/bin/env bash
#
# run.sh
#		End-to-end tests: HTTP requests to real PostgRESTs 12.0.2 and 11.2.2.
#
# Prints TAP, and at the end "N passed, N failed".  Owns the servers, each version's
# database and the configurations; what is asked and answered is in requests.pl.
#
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source-path=SCRIPTDIR/../.. source=test/lib/scratch.sh
. test/lib/scratch.sh
# shellcheck source=test/e2e/gateway.sh
. test/e2e/gateway.sh

e2e_jwks()
{
	local name keys=

	for name; do
		keys+=,$("$MINT" jwk --key "$E2E_KEYS/$name.pem" --kid "ins_$name" --alg RS256)
	done
	printf '{"keys":[%s]}' "${keys#,}"
}

e2e_keys()
{
	local name

	scratch_say 'making keys'
	mkdir "$E2E_KEYS"
	for name in clerk clerk_next parties foreign forger; do
		openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 \
			-out "$E2E_KEYS/$name.pem" 2>/dev/null
		openssl pkey -in "$E2E_KEYS/$name.pem" -pubout -out "$E2E_KEYS/$name.pub"
	done
	for name in supabase supabase_next; do
		openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$E2E_KEYS/$name.pem" 2>/dev/null
	done
}

#
# Four PostgRESTs for a version:
#	main	as the README sets it up
#	bare	without db-pre-request, where a policy is all there is
#	static	keys in its own configuration, also a foreign issuer's; another anonymous role
#	supabase	as docs/supabase.md sets it up beside Supabase's own keys
#
e2e_postgrests()
{
	local version=$1
	local all=('db-schemas = "public"' 'db-pool = 2' 'log-level = "info"')

	scratch_postgrest "$version" "main-$version" "${all[@]}" 'db-anon-role = "anon"' \
		'db-pre-request = "clerk.pre_request"' 'db-pre-config = "clerk.pre_config"'
	export E2E_MAIN=$SCRATCH_URL
	scratch_postgrest "$version" "bare-$version" "${all[@]}" 'db-anon-role = "anon"' \
		'db-pre-config = "clerk.pre_config"'
	export E2E_BARE=$SCRATCH_URL
	scratch_postgrest "$version" "static-$version" "${all[@]}" 'db-anon-role = "web_anon"' \
		'db-pre-request = "clerk.pre_request"' \
		"jwt-secret = \"$(e2e_jwks clerk foreign | sed 's/"/\\"/g')\""
	export E2E_STATIC=$SCRATCH_URL
	scratch_postgrest "$version" "supabase-$version" "${all[@]}" 'db-anon-role = "anon"' \
		'db-pre-request = "clerk.pre_request"' 'db-pre-config = "clerk.supabase_pre_config"'
	export E2E_SUPABASE=$SCRATCH_URL
}

# The document's own words, so that they work, with a secret that the tests know.
e2e_supabase_recipe()
{
	printf '%s' 'a JWT_SECRET of at least 32 characters, ÿ included' >"$E2E_KEYS/jwt_secret"
	sed -n '/^SELECT clerk\.set_supabase_keys(/p' docs/supabase.md |
		sed "s/the JWT_SECRET of your .env/$(cat "$E2E_KEYS/jwt_secret")/"
}

e2e_version()
{
	local version=$1

	export PGDATABASE=e2e_$version
	scratch_sql -d postgres -c "CREATE DATABASE $PGDATABASE"
	scratch_sql -o "$SCRATCH/setup.out" -v jwks="$(e2e_jwks clerk)" \
		-v parties_jwks="$(e2e_jwks parties)" -v secret=$e2e_secret -v other_secret=$e2e_other_secret \
		-f test/e2e/e2e.sql
	e2e_supabase_recipe | scratch_sql
	e2e_postgrests "$version"
	E2E_LOGS=$(printf '%s ' "$SCRATCH"/*-"$version".log "$PGHOST"/postgres.log)
	export E2E_LOGS
	e2e_count "$version" perl -Itest/e2e test/e2e/requests.pl
	e2e_webhooks "$version"
	[ "$version" != 12 ] || e2e_gateways "$version"
	e2e_count "$version" node test/e2e/crowd.mjs "$E2E_MAIN" <"$SCRATCH/crowd"
}

# Lines of a user and a token, for the crowd.
e2e_crowd()
{
	local i

	for i in {1..200}; do
		printf 'user_%s %s\n' "$i" "$("$MINT" token --key "$E2E_KEYS/clerk.pem" --alg RS256 --kid ins_clerk \
			'{"iss":"https://clerk.e2e.example","sub":"user_'"$i"'","sid":"sess_'"$i"'","exp":4102444800}')"
	done >"$SCRATCH/crowd"
}

# Runs something that prints TAP, and keeps it.
e2e_count()
{
	local version=$1
	shift

	"$@" 2>&1 | sed "s/^\(\(not \)\?ok [0-9]*\) - /\1 - PostgREST $version: /" |
		tee -a "$SCRATCH/tap.out" || e2e_broken=$((e2e_broken + 1))
}

e2e_webhooks()
{
	local token samples=

	token=$("$MINT" token --key "$E2E_KEYS/clerk.pem" --alg RS256 --kid ins_clerk \
		'{"iss":"https://clerk.e2e.example","sub":"user_alice","sid":"sess_user_alice","exp":4102444800}')
	[ ! -d "${CLERK_VECTORS:-}/webhook_samples" ] || samples=$CLERK_VECTORS/webhook_samples
	e2e_count "$1" node test/e2e/webhooks.mjs build/clerk "$E2E_MAIN" $e2e_secret $e2e_other_secret "$token" $samples
}

# The webhook's own route, in each gateway that is here.
e2e_gateways()
{
	local anon_key kind

	anon_key=$("$MINT" token --alg HS256 --secret-file "$E2E_KEYS/jwt_secret" --kid - \
		'{"role":"anon","iss":"supabase","exp":4102444800}')
	for kind in nginx envoy; do
		if [ -z "$("gateway_${kind}_binary")" ]; then
			scratch_say "gateway: skipped, as there is no $kind"
			continue
		fi
		gateway_start $kind "$E2E_SUPABASE" "$anon_key"
		e2e_count "$1" node test/e2e/gateway.mjs build/clerk $kind "$gateway_url" "$anon_key" $e2e_secret
	done
}

export E2E_MINT=$MINT E2E_KEYS=$SCRATCH/keys E2E_PSQL=$SCRATCH_BINDIR/psql
e2e_broken=0
e2e_secret=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw
e2e_other_secret=whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD

scratch_build
scratch_postgres 'log_min_messages = debug1'
scratch_sql -c 'CREATE ROLE authenticator LOGIN NOINHERIT' \
	-c 'CREATE ROLE anon' -c 'CREATE ROLE web_anon' -c 'CREATE ROLE authenticated' \
	-c 'CREATE ROLE editor' -c 'CREATE ROLE stranger' -c 'CREATE ROLE service_role BYPASSRLS' \
	-c 'GRANT anon, web_anon, authenticated, editor, service_role TO authenticator'
e2e_keys
e2e_crowd
e2e_version 12
e2e_version 11

passed=$(grep -c '^ok ' "$SCRATCH/tap.out" || true)
failed=$(grep -c '^not ok ' "$SCRATCH/tap.out" || true)
# a script that died counts, though it printed no "not ok"
[ "$failed" != 0 ] || failed=$e2e_broken
printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
