#!/usr/bin/env bash
#
# bench.sh
#		What "make bench" runs: times clerk_rls beside its alternatives and prints the ratios.
#
# usage: test/bench/bench.sh [RUNS]		(default 15)
#
# A ratio compares medians of statements that were run by turns on this machine, so that
# its noise and its speed fall out.  The raw figures go to build/bench.csv.
#
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

bash test/setup.sh --with-tests
# shellcheck source-path=SCRIPTDIR/../.. source=test/scratch.sh
. test/scratch.sh

runs=${1:-15}
n_tokens=2000
n_ids=${N_IDS:-10000000}
issuer=https://clerk.bench.example
rs256=build/rs256

# raw WORK VARIANT RUN MILLISECONDS
raw()
{
	scratch_sql -c "INSERT INTO bench.raw VALUES ('$1', '$2', $3, $4)"
}

scratch_build
# shellcheck disable=SC2046 # flags are words
cc -O2 -Wall -Wextra -o $rs256 test/bench/rs256.c $(pkg-config --cflags --libs libcrypto)
scratch_postgres 'shared_buffers = 512MB' 'max_wal_size = 4GB' 'autovacuum = off'
openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$SCRATCH/key.pem" 2>/dev/null ||
	openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$SCRATCH/key.pem" 2>/dev/null
$rs256 sign "$SCRATCH/key.pem" ins_bench $issuer $n_tokens >"$SCRATCH/tokens"

org_payload='{"iss":"'$issuer'","sub":"user_of_org","sid":"sess_1","exp":4102444800,"v":2,"fea":"o:invoices,o:notes",
	"o":{"id":"org_1","rol":"member","slg":"acme","per":"read,manage","fpm":"3,1"}}'
org_token=$("$MINT" token --key "$SCRATCH/key.pem" --kid ins_bench --alg RS256 "$org_payload")
scratch_say "timing, $runs runs of each statement"
scratch_sql -o "$SCRATCH/bench.out" -v runs="$runs" -v n_tokens=$n_tokens -v issuer=$issuer \
	-v jwks="{\"keys\":[$("$MINT" jwk --key "$SCRATCH/key.pem" --kid ins_bench --alg RS256)]}" \
	-v org_token="$org_token" -v n_ids="$n_ids" \
	-f test/bench/bench.sql <"$SCRATCH/tokens"
# each token once in each round, and never one that the cache still knows
for ((run = 1; run <= runs; run++)); do
	scratch_sql -c "CALL bench.measure('verify $n_tokens new tokens', 1, ARRAY['clerk.verify()'],
		ARRAY['SELECT count(clerk.verify(token)) FROM (SELECT token FROM bench.tokens ORDER BY n) AS t'])"
	raw "verify $n_tokens new tokens" 'EVP_DigestVerify' "$run" \
		"$($rs256 verify "$SCRATCH/key.pem" <"$SCRATCH/tokens") * $n_tokens / 1e6"
done

scratch_postgrest 12 bench 'db-schemas = "api"' 'db-anon-role = "anon"' 'db-pool = 4' \
	'db-pre-request = "clerk.pre_request"' 'db-pre-config = "clerk.pre_config"'
for ((run = 0; run <= (runs + 2) / 3; run++)); do
	for name in plain_upsert clerk_webhook; do
		took=$(node test/bench/webhooks.mjs build/clerk "$SCRATCH_URL" $name $run)
		[ $run = 0 ] || raw '1,000 webhooks through PostgREST' $name $run "$took"
	done
done

# Milliseconds a query for a reader of the mapping, by turns alone and during sign-ups.
reader()
{
	PGOPTIONS="-c clerk.token=$org_token" "$SCRATCH_BINDIR/pgbench" -n -T 3 -f "$SCRATCH/reader.sql" |
		awk '/^latency average/ { print $4 }'
}
echo "SELECT count(*) FROM bench.notes WHERE id < 2000 AND clerk.mapped_id() IS NOT NULL" >"$SCRATCH/reader.sql"
echo "INSERT INTO bench.users (clerk_id) VALUES ('user_' || gen_random_uuid())" >"$SCRATCH/writer.sql"
scratch_sql -c 'CREATE INDEX ON bench.notes (id)' \
	-c "INSERT INTO bench.targets VALUES ('read the mapping', 'during 1,000 sign-ups/s', 'alone', '<= 1.10')"
for ((run = 1; run <= (runs + 2) / 3; run++)); do
	raw 'read the mapping' alone "$run" "$(reader)"
	"$SCRATCH_BINDIR/pgbench" -n -R 1000 -T 4 -f "$SCRATCH/writer.sql" >"$SCRATCH/writer.out" 2>&1 &
	raw 'read the mapping' 'during 1,000 sign-ups/s' "$run" "$(reader)"
	wait $!
done
grep '^tps' "$SCRATCH/writer.out"

scratch_sql -c "COPY (SELECT * FROM bench.raw ORDER BY work, variant, run) TO STDOUT CSV HEADER" >build/bench.csv
scratch_sql -f test/bench/report.sql
scratch_say "the raw figures are in build/bench.csv"
