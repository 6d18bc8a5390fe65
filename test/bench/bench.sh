#!/usr/bin/env bash
#
# bench.sh
#		What "make bench" runs: times clerk_rls beside its alternatives and prints the ratios.
#
# usage: test/bench/bench.sh [RUNS [PART...]]		(default 15, and all the parts in the order below)
#
# A ratio compares what was run by turns on this machine, so that its noise and its speed fall
# out.  The raw figures go to build/bench.csv, the report to build/ratios.csv, and
# the picture of it to build/bench.svg; page.pl writes them into docs/performance.md.  N_IDS and
# N_TOKENS make it smaller, for a first look.  What needs wrk or gnuplot is left out where they are
# missing.  Instructions are counted by instructions.sh beside this, and growth.sh draws curves.
#
# Peers are taken where they are: pg_session_jwt and pgjwt_rs if they are installed in PostgreSQL,
# pgsqljwt if PGSQLJWT says where its decode_jwt.sql is.  Nothing of them is in this repository.
#
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

bash test/lib/setup.sh --with-bench
# shellcheck source-path=SCRIPTDIR/../.. source=test/lib/scratch.sh
. test/lib/scratch.sh

runs=${1:-15}
few=$(((runs + 2) / 3))
parts=("${@:2}")
[ ${#parts[@]} -gt 0 ] || parts=(rows peers realtime new_token transactions mapping cold rest memory)
n_ids=${N_IDS:-10000000}
n_tokens=${N_TOKENS:-1000000}
issuer=https://clerk.bench.example
subject=user_000000000000000000000000000
core=build/core

# raw WORK VARIANT RUN MILLISECONDS
raw()
{
	scratch_sql -c "INSERT INTO bench.raw VALUES ('$1', '$2', $3, $4)"
}

# target WORK VARIANT BASELINE TARGET
target()
{
	scratch_sql -c "INSERT INTO bench.targets (work, variant, baseline, target) VALUES ('$1', '$2', '$3', '$4')"
}

bench_tools()
{
	# shellcheck disable=SC2046 # flags are words
	cc -O2 -Wall -Wextra -o $core test/bench/core.c test/tools/jose.c \
		src/core/*.c $(pkg-config --cflags --libs libcrypto jansson) -lm
	openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$SCRATCH/rs256.pem" 2>/dev/null
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$SCRATCH/es256.pem" 2>/dev/null
	$core sign "$SCRATCH/rs256.pem" RS256 ins_bench $issuer 2000 >"$SCRATCH/tokens"
	openssl genpkey -algorithm ED25519 -out "$SCRATCH/ed25519.pem"
	rs256_jwk=$("$MINT" jwk --key "$SCRATCH/rs256.pem" --kid ins_bench --alg RS256)
	es256_jwk=$("$MINT" jwk --key "$SCRATCH/es256.pem" --kid ins_es256 --alg ES256)
	org_claims='{"iss":"'$issuer'","sub":"'$subject'","sid":"sess_1","exp":4102444800,"v":2,"fea":"o:invoices,o:notes",
		"o":{"id":"org_1","rol":"member","slg":"acme","per":"read,manage","fpm":"3,1"}}'
	org_token=$("$MINT" token --key "$SCRATCH/rs256.pem" --kid ins_bench --alg RS256 "$org_claims")
}

# What the parts share: the session of psql has the tokens on its standard input.
bench_sql()
{
	scratch_sql -v "runs=$runs" -v "few=$few" -v "issuer=$issuer" -v "subject=$subject" -v "n_ids=$n_ids" \
		-v mapped=6f5902ac-237b-4c16-9c2c-b3f4a5b6c7d8 -v "org_token=$org_token" -v "org_claims=$org_claims" "$@"
}

bench_server()
{
	scratch_say 'filling tables'
	bench_sql -v jwks="{\"keys\":[$rs256_jwk,$es256_jwk]}" -f test/bench/schema.sql <"$SCRATCH/tokens"
}

bench_rows()
{
	scratch_say "timing, $runs runs of each statement"
	bench_sql -f test/bench/rows.sql
}

bench_peers()
{
	scratch_say 'timing peers'
	$core sign "$SCRATCH/ed25519.pem" EdDSA ins_ed25519 $issuer $((200 * (few + 2) + 1)) >"$SCRATCH/numbered"
	PGOPTIONS="-c pg_session_jwt.jwk=$("$MINT" jwk --key "$SCRATCH/ed25519.pem" --kid ins_ed25519 --alg EdDSA)" \
		bench_sql ${PGSQLJWT:+-v "pgsqljwt=$PGSQLJWT"} -v "jwk=$rs256_jwk" -v "pem=$(openssl pkey -in "$SCRATCH/rs256.pem" -pubout)" \
		-f test/bench/peers.sql <"$SCRATCH/numbered"
}

bench_realtime()
{
	scratch_say 'timing a change for 1,000 subscribers'
	bench_sql -f test/bench/realtime.sql
}

# A new token, in the pure files and through SQL, beside OpenSSL alone.
bench_new_token()
{
	local run

	scratch_say 'timing new tokens'
	$core stages "$rs256_jwk" "$runs" <"$SCRATCH/tokens" >"$SCRATCH/stages"
	for ((run = 1; run <= runs; run++)); do
		scratch_sql -c "CALL bench.measure('2,000 new tokens, RS256', 1, '{clerk.verify()}', '{none}',
			'{SELECT count(clerk.verify(token)) FROM bench.tokens}')"
		raw '2,000 new tokens, RS256' EVP_DigestVerify "$run" \
			"$($core stages "$rs256_jwk" 1 <"$SCRATCH/tokens" | awk -F '\t' '$1 == "EVP_DigestVerify" { print $3 }') * 2000 / 1e6"
	done
	scratch_sql -c "CREATE TABLE bench.stages (stage text, run int, ns float8)" \
		-c "\\copy bench.stages FROM '$SCRATCH/stages'" \
		-c "INSERT INTO bench.raw SELECT 'a new token, RS256, in one process', stage, run, ns / 1e6 FROM bench.stages"
	target 'a new token, RS256, in one process' 'a new token' EVP_DigestVerify '<= 1.3'
	target '2,000 new tokens, RS256' 'clerk.verify()' EVP_DigestVerify ''
}

# Milliseconds of a transaction, of those that pgbench runs in SECONDS: transaction FILE SECONDS
transaction()
{
	PGOPTIONS="-c clerk.token=${3:-}" "$SCRATCH_BINDIR/pgbench" -n -M prepared -T "$2" -f "$1" |
		awk '/^latency average/ { print $4 }'
}

# What PostgREST sends before each request; and then a question, or none.
bench_transactions()
{
	local run headers

	scratch_say 'timing transactions'
	headers='{"host":"localhost:3000","user-agent":"Mozilla/5.0 (X11; Linux x86_64)","accept":"*/*","accept-encoding":"gzip",'
	headers+='"content-type":"application/json","authorization":"Bearer '$(head -n 1 "$SCRATCH/tokens")'"}'
	cat >"$SCRATCH/clerk.sql" <<END
BEGIN;
SELECT set_config('search_path', 'public', true), set_config('role', 'authenticated', true),
	set_config('request.jwt.claims', '{"iss":"$issuer","sub":"$subject","role":"authenticated","exp":4102444800,"v":2}', true),
	set_config('request.method', 'GET', true), set_config('request.path', '/notes', true),
	set_config('request.headers', '$headers', true), set_config('request.cookies', '{}', true);
SELECT clerk.uid();
COMMIT;
END
	sed 's/clerk.uid()/NULL::text/' "$SCRATCH/clerk.sql" >"$SCRATCH/settings.sql"
	for ((run = 1; run <= runs; run++)); do
		raw 'a token in a new transaction' 'only the settings' "$run" "$(transaction "$SCRATCH/settings.sql" 1)"
		raw 'a token in a new transaction' 'clerk.uid()' "$run" "$(transaction "$SCRATCH/clerk.sql" 1)"
	done
	target 'a token in a new transaction' 'clerk.uid()' 'only the settings' '<= 1.10'
}

# A reader of the mapping, by turns alone and during sign-ups.
bench_mapping()
{
	local run

	scratch_say 'timing a reader of the mapping'
	echo 'SELECT count(*) FROM bench.comments WHERE id < 2000 AND clerk.mapped_id() IS NOT NULL' >"$SCRATCH/reader.sql"
	echo "INSERT INTO bench.users (clerk_id) VALUES ('user_' || gen_random_uuid())" >"$SCRATCH/writer.sql"
	scratch_sql -o /dev/null -c 'CREATE INDEX ON bench.comments (id)' \
		-c 'CREATE TABLE bench.users (id bigint GENERATED ALWAYS AS IDENTITY (START 1000000000) PRIMARY KEY, clerk_id text UNIQUE)' \
		-c "SELECT clerk.track_ids('bench.users', 'clerk_id', 'id')"
	for ((run = 1; run <= few; run++)); do
		raw 'read the mapping' alone "$run" "$(transaction "$SCRATCH/reader.sql" 3 "$org_token")"
		"$SCRATCH_BINDIR/pgbench" -n -R 1000 -T 4 -f "$SCRATCH/writer.sql" >"$SCRATCH/writer.out" 2>&1 &
		raw 'read the mapping' 'during 1,000 sign-ups/s' "$run" "$(transaction "$SCRATCH/reader.sql" 3 "$org_token")"
		wait $!
	done
	target 'read the mapping' 'during 1,000 sign-ups/s' alone '<= 1.10'
}

# restart [LIBRARY]: of the server, with this one preloaded
restart()
{
	scratch_quietly scratch_unprivileged "$SCRATCH_BINDIR/pg_ctl" -D "$PGHOST/data" -w -m fast \
		-l "$PGHOST/postgres.log" -o "-c shared_preload_libraries=${1:-}" restart
}

# first_question VARIANT RUN QUESTION SETTING: of 20 connections that were just made the median
first_question()
{
	local i

	for ((i = 0; i < 20; i++)); do
		PGOPTIONS="-c $4" scratch_sql -At -v "question=SELECT $3" -f test/bench/cold.sql
	done | sort -g >"$SCRATCH/first"
	raw 'the first question of a connection' "$1" "$2" "$(sed -n 10p "$SCRATCH/first")"
}

bench_cold()
{
	local run

	scratch_say 'timing the first question of a connection'
	for ((run = 1; run <= few; run++)); do
		restart
		first_question "auth.jwt()->>''sub''" "$run" "bench.jwt() ->> 'sub'" "request.jwt.claims={\"sub\":\"$subject\"}"
		first_question 'clerk.uid()' "$run" 'clerk.uid()' "clerk.token=$org_token"
		restart clerk_rls
		first_question 'clerk.uid(), preloaded' "$run" 'clerk.uid()' "clerk.token=$org_token"
	done
	restart
	target 'the first question of a connection' 'clerk.uid(), preloaded' 'clerk.uid()' '<= 0.5'
	target 'the first question of a connection' 'clerk.uid(), preloaded' "auth.jwt()->>''sub''" ''
}

# Milliseconds a request: get URL PATH TOKENS
get()
{
	wrk -t 2 -c 8 -d 4s -s test/bench/rest.lua "$1" -- "$SCRATCH/$3" "$2" | awk '/^Requests\/sec/ { print 1000 / $2 }'
}

bench_webhooks()
{
	local run name took

	for ((run = 0; run <= few; run++)); do
		for name in plain_upsert clerk_webhook; do
			took=$(node test/bench/webhooks.mjs build/clerk "$1" $name $run)
			[ $run = 0 ] || raw '1,000 webhooks through PostgREST: throughput' $name $run "$took"
		done
	done
}

# bench_get VARIANT RUN URL TOKENS: run 0 is to warm up
bench_get()
{
	local took

	took=$(get "${3%/*}" "/${3##*/}" "$4")
	[ "$2" = 0 ] || raw 'GET of 10 rows, 8 clients: throughput' "$1" "$2" "$took"
}

bench_rest()
{
	local all=('db-schemas = "api"' 'db-anon-role = "anon"' 'db-pool = 8' 'db-pre-config = "clerk.pre_config"')
	local clerk empty run i

	bench_sql -f test/bench/rest.sql
	# a thousand users, a token each; and with a claim that PostgREST takes the role from
	head -n 1000 "$SCRATCH/tokens" >"$SCRATCH/users"
	for ((i = 0; i < 1000; i++)); do
		"$MINT" token --key "$SCRATCH/rs256.pem" --kid ins_bench --alg RS256 \
			"$(printf '{"exp":4102444800,"iss":"%s","role":"authenticated","sid":"sess_%027d","sub":"user_%027d","v":2}' $issuer $i $i)"
	done >"$SCRATCH/users_of_role"
	scratch_postgrest 12 clerk "${all[@]}" 'db-pre-request = "clerk.pre_request"'
	clerk=$SCRATCH_URL
	scratch_postgrest 12 empty "${all[@]}" 'db-pre-request = "api.nothing"'
	empty=$SCRATCH_URL
	scratch_postgrest 12 none "${all[@]}"
	scratch_say 'timing requests'
	bench_webhooks "$clerk"
	if ! command -v wrk >/dev/null; then
		scratch_say 'GET of 10 rows: skipped, as there is no wrk'
		return
	fi
	for ((run = 0; run <= few; run++)); do
		bench_get 'policy and pre_request' "$run" "$clerk/notes" users
		bench_get 'policy and role claim' "$run" "$SCRATCH_URL/notes" users_of_role
		bench_get 'neither, with an empty pre-request' "$run" "$empty/plain" users
		bench_get 'neither' "$run" "$SCRATCH_URL/plain" users
	done
}

bench_memory()
{
	scratch_say "verifying $n_tokens different tokens in one backend"
	$core sign "$SCRATCH/es256.pem" ES256 ins_es256 $issuer "$n_tokens" | scratch_sql -f test/bench/memory.sql
}

# export NAME QUERY
export_csv()
{
	scratch_sql -c "COPY ($2) TO STDOUT CSV HEADER" >"build/$1.csv"
}

bench_report()
{
	scratch_sql -f test/bench/report.sql
	export_csv bench 'SELECT * FROM bench.raw ORDER BY work, variant, run'
	export_csv ratios 'SELECT peers, work, ratio, measured, target, variant_median, variant_min, variant_max,
		baseline_median, baseline_min, baseline_max FROM bench.report ORDER BY n'
	export_csv stages 'TABLE bench.stage_figures'
	export_csv memory 'TABLE bench.memory'
	export_csv versions "SELECT current_date AS date, current_setting('server_version') AS postgresql, '$(openssl version | cut -d' ' -f2)' AS openssl,
		$runs AS runs, (SELECT string_agg(format('%s %s', extname, extversion), ', ' ORDER BY extname) FROM pg_extension
			WHERE extname IN ('pg_session_jwt', 'pgjwt_rs')) AS peers"
	if command -v gnuplot >/dev/null; then
		scratch_sql -c "COPY (SELECT replace(work || ': ' || ratio, ',', ''), '', measured, substring(target FROM '[0-9.]+')
			FROM bench.report WHERE measured < 3 AND NOT peers ORDER BY n) TO STDOUT CSV" >"$SCRATCH/drawn.csv"
		gnuplot -e "data='$SCRATCH/drawn.csv'; picture='build/bench.svg'" test/bench/plot.gp
	fi
	scratch_say 'the figures are in build/bench.csv and build/ratios.csv, the picture in build/bench.svg; test/bench/page.pl writes them into docs/performance.md'
}

scratch_build
bench_tools
scratch_postgres 'shared_buffers = 1GB' 'max_wal_size = 4GB' 'autovacuum = off'
bench_server
for part in "${parts[@]}"; do
	"bench_$part"
done
bench_report
# beside the others, as it has clusters of its own
[ $# -gt 1 ] || bash test/citus/bench.sh
