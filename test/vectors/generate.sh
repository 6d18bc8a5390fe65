#!/usr/bin/env bash
#
# generate.sh
#	Makes tokens.sql, the fixed tokens of the regression tests, with the keys in keys/ (which
#	are for nothing else).  Their times are far in the past or in the future, so the tests
#	do not depend on the clock.  Run it after adding a token here, and commit what it makes:
#	signatures of RSA PKCS#1 v1.5 and Ed25519 come out the same each time, others do not.
#
#	usage: test/vectors/generate.sh MINT > test/vectors/tokens.sql

set -euo pipefail

mint=$1
cd "$(dirname "$0")/keys"

readonly A=https://clerk.example.com
readonly B=https://other.clerk.accounts.dev
readonly TIMES='"exp":4102444800,"nbf":1700000000,"iat":1700000000'
readonly ALICE="\"iss\":\"$A\",\"sub\":\"user_alice\",\"sid\":\"sess_alice\",\"azp\":\"https://app.example.com\""
readonly BOB="\"iss\":\"$A\",\"sub\":\"user_bob\",\"sid\":\"sess_bob\",\"azp\":\"https://app.example.com\""

# psql reads \n between quotes as the end of a line
quote() {
	local text=${1//\'/\'\'}
	printf "'%s'" "${text//$'\n'/\\n}"
}

# variable NAME VALUE: a psql variable
variable() { printf '\\set %s %s\n' "$1" "$(quote "$2")"; }

# token NAME VALUE: a psql variable, and a row of the table
token() {
	variable "$1" "$2"
	printf "INSERT INTO tokens VALUES ('%s', :'%s');\n" "$1" "$1"
}

# a NAME PAYLOAD [OPTION...]: signed by the current key of instance A
a() {
	local name=$1 payload=$2
	shift 2
	token "$name" "$("$mint" token --key a.pem --alg RS256 --kid ins_a "$@" "$payload")"
}

# of_a NAME PAYLOAD [OPTION...]: the same, as a variable only, for tests that ask for it by name
of_a() {
	local name=$1 payload=$2
	shift 2
	variable "$name" "$("$mint" token --key a.pem --alg RS256 --kid ins_a "$@" "$payload")"
}

# by NAME KEY ALG KID PAYLOAD
by() { token "$1" "$("$mint" token --key "$2.pem" --alg "$3" --kid "$4" "$5")"; }

jwk() { "$mint" jwk --key "$1.pem" --kid "$2" --alg "$3" "${@:4}"; }

keys() {
	local IFS=,
	printf '{"keys":[%s]}' "$*"
}

echo '-- made by generate.sh'
echo 'CREATE TEMP TABLE tokens (name text PRIMARY KEY, token text);'

variable issuer_a "$A"
variable issuer_b "$B"
variable jwk_a "$(jwk a ins_a RS256)"
variable jwk_a_private "$(jwk a ins_a RS256 --private)"
variable jwk_weak "$(jwk weak ins_weak RS256)"
variable jwks_a "$(keys "$(jwk a ins_a RS256)")"
variable jwks_a_next "$(keys "$(jwk a_next ins_a_next RS256)")"
variable jwks_b "$(keys "$(jwk b ins_b RS256)")"
variable pem_a "$(openssl pkey -in a.pem -pubout)"
variable pem_ed25519 "$(openssl pkey -in ed25519.pem -pubout)"
variable pem_weak "$(openssl pkey -in weak.pem -pubout)"
variable certificate_a "$(openssl req -new -x509 -key a.pem -subj /CN=a.example -days 36500 -set_serial 1)"
variable jwks_all "$(keys "$(jwk a ins_a RS256)" "$(jwk ec_256 ins_es256 ES256)" \
	"$(jwk ec_384 ins_es384 ES384)" "$(jwk ec_521 ins_es512 ES512)" \
	"$(jwk ed25519 ins_eddsa EdDSA)" "$(jwk a_next ins_ps256 PS256)")"

# good ones
a alice "{$ALICE,$TIMES}"
a alice_again "{$ALICE,$TIMES,\"jti\":\"2\"}"
a bob "{$BOB,$TIMES}"
by carol b RS256 ins_b "{\"iss\":\"$B\",\"sub\":\"user_carol\",\"sid\":\"sess_carol\",$TIMES}"
by alice_of_b b RS256 ins_b "{\"iss\":\"$B\",\"sub\":\"user_alice\",\"sid\":\"sess_b\",$TIMES}"
by alice_next_key a_next RS256 ins_a_next "{$ALICE,$TIMES}"
by alice_es256 ec_256 ES256 ins_es256 "{$ALICE,$TIMES}"
by alice_es384 ec_384 ES384 ins_es384 "{$ALICE,$TIMES}"
by alice_es512 ec_521 ES512 ins_es512 "{$ALICE,$TIMES}"
by alice_eddsa ed25519 EdDSA ins_eddsa "{$ALICE,$TIMES}"
by alice_ps256 a_next PS256 ins_ps256 "{$ALICE,$TIMES}"
a template "{\"iss\":\"$A\",\"sub\":\"user_alice\",$TIMES,\"jti\":\"10db7f53\"}" --header '{"cat":"cl_B7d4PD222AAA"}'
a category_session "{$ALICE,$TIMES}" --header '{"cat":"cl_B7d4PD111AAA"}'
a no_typ "{$ALICE,$TIMES}" --typ -
a impersonated "{$ALICE,$TIMES,\"act\":{\"iss\":\"https://dashboard.clerk.com\",\"sid\":\"sess_x\",\"sub\":\"user_support\"}}"
a with_role "{$ALICE,$TIMES,\"role\":\"authenticated\"}"
a with_editor_role "{$ALICE,$TIMES,\"app_role\":\"clerk_editor\"}"
a with_audience "{$ALICE,$TIMES,\"aud\":[\"else\",\"notes\"]}"
a fractional_times "{$ALICE,\"exp\":4102444800.5,\"nbf\":1700000000.25,\"iat\":1.7e9}"
a custom_claims "{$ALICE,$TIMES,\"big\":123456789012345678901234567890,\"name\":\"Zoë 😀\",\"deep\":{\"a\":{\"b\":[1,{\"c\":\"found\"}]}},\"no\":null}"
a huge_integer "{$ALICE,$TIMES,\"big\":1$(printf '0%.0s' {1..400})}"
a deep_claims "{$ALICE,$TIMES,\"deep\":$(printf '[%.0s' {1..200})$(printf ']%.0s' {1..200})}"

# of an organization, of both versions
readonly ORG='"v":2,"fea":"o:invoices,o:team","pla":"o:pro","fva":[9,-1],"o":{"id":"org_acme","slg":"acme","rol":"admin","per":"create,delete,read","fpm":"5,4"}'
a org_v1 "{$ALICE,$TIMES,\"org_id\":\"org_acme\",\"org_slug\":\"acme\",\"org_role\":\"org:admin\",\"org_permissions\":[\"org:invoices:create\",\"org:invoices:read\",\"org:team:read\"]}"
a org_v2 "{$ALICE,$TIMES,$ORG}"
a org_pending "{$ALICE,$TIMES,$ORG,\"sts\":\"pending\"}"

# with a claim that holds a local id
a external_uuid "{$ALICE,$TIMES,\"external_id\":\"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11\",\"email\":\"alice@example.com\"}"
a external_bigint "{$ALICE,$TIMES,\"external_id\":9007199254740993}"
a external_null "{$ALICE,$TIMES,\"external_id\":null}"
a external_empty "{$ALICE,$TIMES,\"external_id\":\"\"}"
a external_object "{$ALICE,$TIMES,\"external_id\":{\"id\":1}}"
of_a reserved_id "{$BOB,$TIMES,\"local\":\"6F6B5917-155a-519b-8f95-1e1cbc23202f\"}"
of_a own_id "{$ALICE,$TIMES,\"local\":\"6F6B5917-155a-519b-8f95-1e1cbc23202f\"}"

# null is absent; a role that the token asks for
of_a null_claims "{\"iss\":\"$A\",\"sub\":\"user_alice\",\"exp\":4102444800,\"sid\":null,\"azp\":null,\"sts\":null,\"nbf\":null,\"iat\":null,\"act\":null,\"v\":null,\"fva\":null,\"org_id\":null,\"org_role\":null,\"org_permissions\":null}"
of_a with_anon_role "{$ALICE,$TIMES,\"role\":\"anon\"}"

# the tokens of other issuers, and what else a key of Clerk's signs
of_a id_token "{\"iss\":\"$A\",\"sub\":\"user_alice\",\"aud\":\"other_app\",$TIMES,\"jti\":\"i\"}"
of_a id_token_nonce "{$ALICE,$TIMES,\"nonce\":\"n\"}"
of_a id_token_at_hash "{$ALICE,$TIMES,\"at_hash\":\"h\"}"
of_a template_with_audience "{\"iss\":\"$A\",\"sub\":\"user_alice\",\"aud\":\"notes\",$TIMES}" --header '{"cat":"cl_B7d4PD222AAA"}'
of_a access_token "{\"iss\":\"$A\",\"sub\":\"auth0|1\",\"aud\":[\"notes\",\"https://a.example/userinfo\"],\"azp\":\"YyIx0\",$TIMES,\"scope\":\"openid\",\"client_id\":\"YyIx0\"}" --typ at+jwt
of_a access_token_elsewhere "{\"iss\":\"$A\",\"sub\":\"auth0|1\",\"aud\":\"other\",$TIMES}" --typ at+jwt
# of a template with a secret of its own, as PostgREST would verify it
printf 'a secret of 32 characters or more!!' >secret.txt
variable legacy "$("$mint" token --secret-file secret.txt --alg HS256 --kid - --header '{"cat":"cl_B7d4PD222AAA"}' \
	"{\"iss\":\"$A\",\"sub\":\"user_alice\",\"aud\":\"authenticated\",\"role\":\"authenticated\",$TIMES}")"
variable legacy_with_kid "$("$mint" token --secret-file secret.txt --alg HS256 --kid ins_a "{$ALICE,$TIMES}")"
rm secret.txt

# times
a expired "{$ALICE,\"exp\":1700000060,\"iat\":1700000000}"
a bob_expired "{$BOB,\"exp\":1700000060,\"iat\":1700000000}"
a not_yet "{$ALICE,\"exp\":4102444800,\"nbf\":4102444000,\"iat\":1700000000}"
a issued_in_future "{$ALICE,\"exp\":4102444800,\"iat\":4102444000}"
a exp_missing "{$ALICE,\"iat\":1700000000}"
a exp_null "{$ALICE,\"exp\":null}"
a exp_string "{$ALICE,\"exp\":\"4102444800\"}"
a exp_beyond_64_bits "{$ALICE,\"exp\":99999999999999999999}"
a exp_overflowing "{$ALICE,\"exp\":1e400}"
a exp_negative "{$ALICE,\"exp\":-1}"
a nbf_string "{$ALICE,\"exp\":4102444800,\"nbf\":\"0\"}"
a iat_object "{$ALICE,\"exp\":4102444800,\"iat\":{}}"

# other claims
a sub_missing "{\"iss\":\"$A\",$TIMES}"
a sub_empty "{\"iss\":\"$A\",\"sub\":\"\",$TIMES}"
a sub_number "{\"iss\":\"$A\",\"sub\":1,$TIMES}"
a machine "{\"iss\":\"$A\",\"sub\":\"mch_1\",$TIMES}"
a category_m2m "{$ALICE,$TIMES}" --header '{"cat":"cl_B7d4PD333AAA"}'
a category_unknown "{$ALICE,$TIMES}" --header '{"cat":"cl_unknown"}'
a oauth "{$ALICE,$TIMES}" --typ at+jwt
a pending "{$ALICE,$TIMES,\"sts\":\"pending\"}"
a azp_other "{\"iss\":\"$A\",\"sub\":\"user_alice\",\"sid\":\"sess_alice\",\"azp\":\"https://evil.example\",$TIMES}"
a azp_missing "{\"iss\":\"$A\",\"sub\":\"user_alice\",\"sid\":\"sess_alice\",$TIMES}"
a act_malformed "{$ALICE,$TIMES,\"act\":\"user_support\"}"
a sid_number "{\"iss\":\"$A\",\"sub\":\"user_alice\",\"sid\":1,$TIMES}"
a issuer_missing "{\"sub\":\"user_alice\",$TIMES}"
a issuer_number "{\"iss\":1,\"sub\":\"user_alice\",$TIMES}"
a issuer_foreign "{\"iss\":\"https://foreign.example\",\"sub\":\"user_alice\",$TIMES}"
a issuer_slash "{\"iss\":\"$A/\",\"sub\":\"user_alice\",$TIMES}"
a issuer_of_b "{\"iss\":\"$B\",\"sub\":\"user_alice\",$TIMES}"

# forged
by forged attacker RS256 ins_a "{$ALICE,$TIMES}"
by unknown_kid a RS256 ins_unknown "{$ALICE,$TIMES}"
by kid_of_b b RS256 ins_b "{$ALICE,$TIMES}"
a kid_missing "{$ALICE,$TIMES}" --raw-header '{"alg":"RS256","typ":"JWT"}'
by kid_injection a RS256 "ins_a' OR '1'='1" "{$ALICE,$TIMES}"
by kid_wildcard a RS256 "ins_%" "{$ALICE,$TIMES}"
by alg_rs512 a RS512 ins_a "{$ALICE,$TIMES}"
by alg_ps256 a PS256 ins_a "{$ALICE,$TIMES}"
by alg_none a none ins_a "{$ALICE,$TIMES}"
a alg_none_signed "{$ALICE,$TIMES}" --raw-header '{"alg":"None","kid":"ins_a"}'
openssl pkey -in a.pem -pubout -out a.pub.pem
token alg_hs256_public_key "$("$mint" token --secret-file a.pub.pem --alg HS256 --kid ins_a "{$ALICE,$TIMES}")"
rm a.pub.pem
token embedded_jwk "$("$mint" token --key attacker.pem --alg RS256 \
	--raw-header "{\"alg\":\"RS256\",\"kid\":\"ins_a\",\"jwk\":$(jwk attacker ins_a RS256)}" "{$ALICE,$TIMES}")"
a header_crit "{$ALICE,$TIMES}" --raw-header '{"alg":"RS256","kid":"ins_a","crit":["exp"],"exp":1}'
a header_b64 "{$ALICE,$TIMES}" --raw-header '{"alg":"RS256","kid":"ins_a","b64":false}'
a header_duplicate "{$ALICE,$TIMES}" --raw-header '{"alg":"RS256","kid":"ins_a","alg":"RS256"}'
a header_kid_number "{$ALICE,$TIMES}" --raw-header '{"alg":"RS256","kid":1}'
a payload_duplicate "{$ALICE,\"sub\":\"user_bob\",$TIMES}"
a payload_array "[1]"
a payload_nul "{$ALICE,$TIMES,\"name\":\"\\u0000\"}"
a payload_too_deep "{$ALICE,$TIMES,\"deep\":$(printf '[%.0s' {1..300})$(printf ']%.0s' {1..300})}"
a payload_trailing "{$ALICE,$TIMES} x"
alice=$("$mint" token --key a.pem --alg RS256 --kid ins_a "{$ALICE,$TIMES}")
token padded "$alice="
token with_space "$alice "
token four_parts "$alice.x"
token two_parts "${alice%.*}"
token no_signature "${alice%.*}."
token tampered "${alice%%.*}.$(printf '%s' "{$BOB,$TIMES}" | openssl base64 -A | tr -d = | tr '/+' '_-').${alice##*.}"
token empty ""
token garbage "garbage"
