#!/usr/bin/env bash
#
# e2e.sh
#		The hosted file behind a real PostgREST 12, set up as on supabase.com: the gateway verifies, the
#		database believes it, or verifies as well; webhooks through the relay, signed by the svix package;
#		and a token of the test kit.
#
# usage: test/hosted/e2e.sh
#
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source-path=SCRIPTDIR/../.. source=test/lib/scratch.sh
. test/lib/scratch.sh

scratch_build
# shellcheck disable=SC2119 # no arguments
scratch_postgres
scratch_sql <<'SQL'
CREATE ROLE anon;
CREATE ROLE authenticated;
CREATE ROLE service_role BYPASSRLS;
CREATE ROLE authenticator LOGIN NOINHERIT;
GRANT anon, authenticated, service_role TO authenticator;
CREATE ROLE owner LOGIN CREATEROLE;
GRANT anon, authenticated, service_role TO owner;
ALTER DATABASE postgres OWNER TO owner;
GRANT ALL ON SCHEMA public TO owner;
GRANT USAGE ON SCHEMA public TO anon, authenticated;
ALTER DEFAULT PRIVILEGES FOR ROLE owner IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE owner IN SCHEMA public GRANT ALL ON FUNCTIONS TO anon, authenticated, service_role;
SQL
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$SCRATCH/clerk.pem" 2>/dev/null
jwks="{\"keys\":[$("$MINT" jwk --key "$SCRATCH/clerk.pem" --kid ins_e2e --alg RS256)]}"
# the editor sends all of it as one string, which psql does not
PGUSER=owner NODE_PATH=build/clients/node_modules node -e '
	const client = new (require("pg").Client)();
	client.connect().then(() => client.query(require("fs").readFileSync("hosted/clerk_rls.sql", "utf8")))
		.then((results) => console.log(results.at(-1).rows), (error) => { console.log(error.message); process.exitCode = 1; })
		.finally(() => client.end());'
scratch_sql -U owner -v jwks="$jwks" <<'SQL' >"$SCRATCH/setup.out"
SELECT clerk.add_instance('https://clerk.example.com'), clerk.load_jwks('https://clerk.example.com', :'jwks');
SELECT clerk.add_webhook_secret('https://clerk.example.com', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id text, body text);
SELECT clerk.protect('notes', owner => 'user_id', dry_run => false);
CREATE FUNCTION whoami() RETURNS json LANGUAGE sql STABLE AS $$ SELECT json_build_object('uid', clerk.uid(), 'role', current_user) $$;
SELECT clerk.expose_webhook('public');
SQL

common=('db-schemas = "public"' 'db-pool = 2' 'db-anon-role = "anon"')
scratch_postgrest 12 hosted "${common[@]}" 'db-pre-request = "clerk.pre_request"' 'db-pre-config = "clerk.pre_config"'
with_door=$SCRATCH_URL
scratch_postgrest 12 bare "${common[@]}" "jwt-secret = \"${jwks//\"/\\\"}\""
bare=$SCRATCH_URL
token()
{
	"$MINT" token --key "$SCRATCH/clerk.pem" --alg RS256 --kid ins_e2e \
		"{\"iss\":\"https://clerk.example.com\",\"sub\":\"user_$1\",\"sid\":\"sess_$1\",\"iat\":@now@,\"exp\":@now+600@${2:-}}"
}
# ask [WHAT]
ask()
{
	node test/hosted/e2e.mjs build/clerk "$with_door" "$bare" "$(token alice)" "$(token bob ',"role":"authenticated"')" \
		"$(token alice ',"iat":1,"exp":2')" "$@"
}
# first where signatures are verified; what comes in the end revokes Alice
scratch_sql -U owner -c "UPDATE clerk.settings SET value = 'signature' WHERE name = 'verify'"
status=0
ask 'signatures are verified' || status=1
scratch_sql -U owner -c "UPDATE clerk.settings SET value = 'claims' WHERE name = 'verify'; DELETE FROM notes"
ask || status=1
# a token of the test kit, whose key PostgREST gets as all others, once it has read its configuration again
scratch_sql -U owner -f hosted/clerk_rls_test.sql
kit=$(scratch_sql -At -U owner -c "SELECT clerk_test.token(clerk_test.claims('user_dora', 'org_a', 'admin'))")
for try in 1 2 3 4 5 6 7 8 9 10; do
	answer=$(curl -s -H "Authorization: Bearer $kit" "$with_door/rpc/whoami")
	case $answer in *user_dora*) break ;; esac
	sleep 1
done
case $answer in
	*user_dora*authenticated*) echo 'ok - hosted: a token of the test kit' ;;
	*) echo "not ok - hosted: a token of the test kit" && echo "# $answer" && status=1 ;;
esac
exit $status
