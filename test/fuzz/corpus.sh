#!/usr/bin/env bash
#
# corpus.sh
#		Makes the seeds of the fuzzers, corpus/TARGET/NAME, from the vectors of the regression
#		tests.  Those it makes are called seed_*; others were found, and are left alone.
#
# usage: test/fuzz/corpus.sh
#
set -euo pipefail
cd "$(dirname "$0")"

vectors=../vectors/tokens.sql

# vector NAME: a token or document of tokens.sql
vector()
{
	sed -n "s/^\\\\set $1 '\(.*\)'$/\1/p" $vectors
}

# seed TARGET NAME: from the standard input
seed()
{
	mkdir -p "corpus/$1"
	cat >"corpus/$1/seed_$2"
}

# part N: of a token, decoded
part()
{
	local text

	text=$(cut -d . -f "$1" | tr -- '-_' '+/')
	while [ $((${#text} % 4)) != 0 ]; do text+='='; done
	printf '%s' "$text" | base64 -d
}

rm -f corpus/*/seed_*

vector alice_eddsa | cut -d . -f 3 | tr -d '\n' | seed base64url signature
printf 'AAE' | seed base64url three

for name in alice_es256 alice_eddsa alg_none header_crit; do
	vector $name | tr -d '\n' | seed jws $name
done
for name in custom_claims fractional_times with_audience impersonated pending expired; do
	vector $name | part 2 | seed claims $name
done
vector custom_claims | part 2 | seed json claims
vector alice | part 1 | seed json header
printf '{"a":[1,-0.5e3,1e400,"\\u00e9\\n",{"b":null}]}' | seed json values

vector jwk_a | seed jwk rsa
vector jwk_weak | seed jwk weak
for i in 1 2 3 4; do
	vector jwks_all | sed 's/},{/}\n{/g; s/.*\[//; s/\].*//' | sed -n "$((i + 1))p" | seed jwk "$i"
done
for key in a ec_256 ed25519; do
	openssl pkey -in ../vectors/keys/$key.pem -pubout -outform DER | seed spki $key
done
openssl pkey -in ../vectors/keys/ec_256.pem -outform DER | seed spki private

for name in org_v1 org_v2; do
	{ vector $name | part 2 && printf '\0org:invoices:read'; } | seed has $name
done
{ vector org_v2 | part 2 && printf '\0{"role":"admin","reverification":{"level":"first_factor","afterMinutes":10}}'; } |
	seed has params

# 2020-01-01, which is now for the fuzzer
{
	secret=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw
	signed='msg_1.1577836800.{"type":"user.created"}'
	key=$(printf '%s' "${secret#whsec_}" | base64 -d | od -An -v -tx1 | tr -d ' \n')
	signature=$(printf '%s' "$signed" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | base64)
	printf '%s\nmsg_1\n1577836800\nv1,%s v1a,other\n{"type":"user.created"}' "$secret" "$signature"
} | seed svix good

printf '{"authorization":["Bearer %s"],"x-clerk-token":"a.b.c","__session":"d","__session_x":"e"}' \
	"$(vector alice_eddsa)" | seed request json
printf 'Bearer a.b.c' | seed request bearer
