#!/usr/bin/env bash
#
# demo.sh
#		Two users of one Clerk instance, and some impostors, at one table through PostgREST.
#
# What "make demo" runs.  Owns the story and what each answer must be: it checks every one
# and fails at the first that is different.  Works on a fresh Debian as root, leaves nothing
# running and no file but build/.
#
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

[ "${CLERK_SETUP:-}" = no ] || bash test/lib/setup.sh
# shellcheck source-path=SCRIPTDIR/../.. source=test/lib/scratch.sh
. test/lib/scratch.sh

issuer=https://clerk.demo.example
n_checks=0
declare -A tokens

chapter()
{
	if [ -t 1 ]; then
		printf '\n\033[1m%s\033[0m\n' "$*"
	else
		printf '\n%s\n' "$*"
	fi
}

# Fails unless TEXT matches the extended regular expression PATTERN.
check()
{
	local text=$1 pattern=$2

	[[ $text =~ $pattern ]] || scratch_die "This is not what was expected, which is: $pattern"
	n_checks=$((n_checks + 1))
}

# new_key NAME: as the Clerk instance of that name makes one
new_key()
{
	openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 \
		-out "$SCRATCH/$1.pem" 2>/dev/null
}

# new_jwks NAME...: what the instance publishes at /.well-known/jwks.json
new_jwks()
{
	local name keys=

	for name; do
		keys+=,$("$MINT" jwk --key "$SCRATCH/$name.pem" --kid "ins_$name" --alg RS256)
	done
	printf '{"keys":[%s]}' "${keys#,}"
}

# new_token TOKEN KEY KID ISSUER USER LIFETIME: a session token as Clerk makes them
new_token()
{
	local name=$1 key=$2 kid=$3 iss=$4 user=$5 lifetime=$6 age

	age=$(printf '%+d' $((lifetime - 60)))
	tokens[$name]=$("$MINT" token --key "$SCRATCH/$key.pem" --alg RS256 --kid "ins_$kid" \
		--header '{"cat":"cl_B7d4PD111AAA"}' \
		"{\"azp\":\"https://app.demo.example\",\"exp\":@now$lifetime@,\"fva\":[1,-1],\
\"iat\":@now$age@,\"iss\":\"$iss\",\"nbf\":@now$age@,\"sid\":\"sess_$user\",\
\"sts\":\"active\",\"sub\":\"$user\",\"v\":2}")
}

# Sends a request.  Sets answer: the status and the body.
send()
{
	answer=$(curl -sS -w '\n%{http_code}' "$@")
	answer="${answer##*$'\n'} ${answer%$'\n'*}"
}

#
# ask PATTERN TOKEN [CURL ARGUMENT...]: shows a request for /notes and its answer.  TOKEN is
# "-", or a token's name, which is shown in place of it; behind "x-clerk-token:" it goes
# into that header.
#
ask()
{
	local pattern=$1 name=${2#x-clerk-token:} header='Authorization: Bearer '
	local arguments=("${@:3}") shown=

	[ "$name" = "$2" ] || header='x-clerk-token: '
	[ $# -le 2 ] || shown=$(printf " '%s'" "${arguments[@]}" | sed "s/'-d'/-d/")
	if [ "$name" = - ]; then
		printf '  $ curl /notes%s\n' "$shown"
	else
		printf '  $ curl /notes -H "%s"%s\n' "$header\$$name" "$shown"
		arguments+=(-H "$header${tokens[$name]}")
	fi
	send "$SCRATCH_URL/notes" -H 'Prefer: return=representation' \
		-H 'Content-Type: application/json' "${arguments[@]}"
	printf '  %s\n' "$answer"
	check "$answer" "$pattern"
}

show_sql()
{
	scratch_sql -c "$1" | sed 's/./  &/' | tee "$SCRATCH/sql.out"
}

# PostgREST needs a moment to hear of a new key.
wait_for_new_key()
{
	local i

	for ((i = 0; i < 100; i++)); do
		send "$SCRATCH_URL/notes" -H "Authorization: Bearer ${tokens[ALICE_NEW_KEY]}"
		[[ $answer != 200* ]] || return 0
		sleep 0.1
	done
}

scratch_build
# shellcheck disable=SC2119 # no lines for its configuration
scratch_postgres
new_key demo
new_key demo_next
new_key foreign

chapter 'The database (test/demo/demo.sql)'
sed '1,/^$/d; s/./  &/' test/demo/demo.sql
scratch_sql -v jwks="$(new_jwks demo)" -f test/demo/demo.sql >"$SCRATCH/sql.out"

chapter 'PostgREST (its whole configuration, but for the addresses)'
postgrest_conf=(
	'db-schemas = "public"'
	'db-anon-role = "anon"'
	'db-pre-request = "clerk.pre_request"'
	'db-pre-config = "clerk.pre_config"'
	'db-channel-enabled = true'
)
printf '  %s\n' "${postgrest_conf[@]}"
scratch_postgrest 12 postgrest "${postgrest_conf[@]}"

new_token ALICE demo demo "$issuer" user_2alice +60
new_token BOB demo demo "$issuer" user_2bob +60
new_token FORGED foreign demo "$issuer" user_2alice +60
new_token EXPIRED demo demo "$issuer" user_2alice -10
new_token FOREIGN foreign foreign https://clerk.foreign.example user_2alice +60

chapter 'Alice and Bob write a note each, and each reads only their own'
ask '^201 .*"user_id":"user_2alice"' ALICE -d '{"body":"Buy milk"}'
ask '^201 .*"user_id":"user_2bob"' BOB -d '{"body":"Call Mum"}'
ask '^200 \[[^}]*"user_2alice"[^}]*"Buy milk"}\]$' ALICE
ask '^200 \[[^}]*"user_2bob"[^}]*"Call Mum"}\]$' BOB

chapter "Bob tries to write in Alice's name"
ask '^401 .*row-level security' BOB -d '{"user_id":"user_2alice","body":"I owe Bob 100"}'

chapter 'Nobody is signed in: nothing'
ask '^200 \[\]$' -

chapter "A forged token, signed with a key that is not the instance's: refused"
ask '^401 ' FORGED
ask '^401 .*token-invalid-signature' x-clerk-token:FORGED

chapter 'A token that expired ten seconds ago: refused, with the reason'
ask '^401 .*token-expired' EXPIRED

chapter 'A token of a foreign Clerk instance, well signed: nothing'
ask '^401 ' FOREIGN
ask '^200 \[\]$' x-clerk-token:FOREIGN

chapter 'Somebody with SQL access claims to be Alice: nothing'
sql="SET ROLE authenticated; SET request.jwt.claims = '{\"sub\":\"user_2alice\"}'; SELECT * FROM notes;"
printf '  => %s\n' "$sql"
show_sql "$sql"
check "$(cat "$SCRATCH/sql.out")" '\(0 rows\)'

chapter 'Clerk rotates its key: nobody is signed out, and nothing restarts'
sql="SELECT * FROM clerk.load_jwks('$issuer', '{\"keys\":[ old, new ]}');"
printf '  => %s\n' "$sql"
scratch_sql -v jwks="$(new_jwks demo demo_next)" <<<"SELECT * FROM clerk.load_jwks('$issuer', :'jwks')" |
	sed 's/./  &/'
new_token ALICE_NEW_KEY demo_next demo_next "$issuer" user_2alice +60
wait_for_new_key
ask '^200 \[[^}]*"Buy milk"}\]$' ALICE_NEW_KEY
ask '^200 \[[^}]*"Buy milk"}\]$' ALICE

printf '\n'
scratch_say "all $n_checks answers are as they should be; stopping and removing everything"
