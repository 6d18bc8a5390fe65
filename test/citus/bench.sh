#!/usr/bin/env bash
#
# bench.sh
#		Throughput of PostgREST's transactions with Citus beside one PostgreSQL: a query for one
#		shard, by a filter on the distribution column, and one for all of them.  Needs a PostgreSQL
#		that has Citus, whose pg_config PG_CONFIG names; says so where it has not.
#
# usage: PG_CONFIG=... test/citus/bench.sh [WORKERS...]		(default 1 2 4)
#
# All nodes are on this machine and share its cores, so these are lower bounds.  A ratio
# compares what was run by turns; SECONDS_EACH (5) is how long, and ROUNDS (3) how often.
#
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source-path=SCRIPTDIR/../.. source=test/lib/scratch.sh
. test/lib/scratch.sh
# shellcheck source-path=SCRIPTDIR/../.. source=test/citus/cluster.sh
. test/citus/cluster.sh

if ! cluster_is_possible; then
	scratch_say "citus: skipped, as $PG_CONFIG is of a PostgreSQL without Citus"
	exit 0
fi

# 1,000 users with 20 rows each
bench_tables()
{
	scratch_sql -o /dev/null -v jwks="$jwks" <<-'SQL'
		SET client_min_messages = error;
		SELECT clerk.add_instance('https://clerk.citus.example', clock_skew => '0');
		SELECT clerk.load_jwks('https://clerk.citus.example', :'jwks');
		CREATE TABLE single (id bigint, user_id text, body text, PRIMARY KEY (user_id, id));
		CREATE TABLE notes (LIKE single INCLUDING ALL);
		ALTER TABLE single ENABLE ROW LEVEL SECURITY;
		ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
		CREATE POLICY own ON single USING (user_id = clerk.uid());
		CREATE POLICY own ON notes USING (user_id = clerk.uid());
		INSERT INTO single SELECT g, 'user_' || g % 1000, 'body' FROM generate_series(1, 20000) AS g;
		SELECT create_distributed_table('notes', 'user_id', shard_count => 16);
		INSERT INTO notes SELECT * FROM single;
		GRANT SELECT ON single, notes TO authenticated;
		ANALYZE single, notes;
		SELECT clerk.citus_setup() \gexec
	SQL
}

# write_script NAME QUERY: a request as PostgREST makes it
write_script()
{
	printf '%s\n' 'BEGIN;' "SELECT set_config('role', 'authenticated', true), set_config('request.method', 'GET', true), set_config('request.headers', '{\"authorization\":\"Bearer $token\"}', true), set_config('request.cookies', '{}', true), set_config('request.jwt.claims', '{\"role\":\"authenticated\"}', true);" \
		'SELECT clerk.pre_request();' "$2" 'COMMIT;' >"$SCRATCH/$1.sql"
}

throughput()
{
	"$SCRATCH_BINDIR/pgbench" -n -c 4 -j 1 -T "${SECONDS_EACH:-5}" -M prepared -f "$SCRATCH/$1.sql" 2>/dev/null | sed -nE 's/^tps = ([0-9]+).*/\1/p'
}

bench_workers()
{
	local round name

	for ((round = 1; round <= ${ROUNDS:-3}; round++)); do
		for name in single one_shard all_shards; do
			printf '%s %s %s\n' "$1" $name "$(throughput $name)"
		done
	done | tee -a "$SCRATCH/figures" | awk -v n="$1" '
		{ sum[$2] += $3; runs[$2]++ }
		END {
			for (name in sum) mean[name] = sum[name] / runs[name]
			printf "%d workers: one node %d/s; one shard %d/s, ratio %.2f; all shards %d/s, ratio %.2f\n", n, mean["single"],
				mean["one_shard"], mean["one_shard"] / mean["single"], mean["all_shards"], mean["all_shards"] / mean["single"]
		}'
}

# One cluster for each number of workers, as nothing else is to be the same.
if [ $# != 1 ]; then
	[ $# -gt 0 ] || set -- 1 2 4
	for n; do
		bash test/citus/bench.sh "$n"
	done
	exit 0
fi
scratch_build
cluster_start "$1"
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$SCRATCH/key.pem" 2>/dev/null
jwks="{\"keys\":[$("$MINT" jwk --key "$SCRATCH/key.pem" --kid ins_c --alg RS256)]}"
token=$("$MINT" token --key "$SCRATCH/key.pem" --alg RS256 --kid ins_c '{"iss":"https://clerk.citus.example","sub":"user_7","sid":"sess_7","iat":@now@,"exp":@now+36000@}')
bench_tables
write_script single "SELECT * FROM single WHERE user_id = 'user_7';"
write_script one_shard "SELECT * FROM notes WHERE user_id = 'user_7';"
write_script all_shards 'SELECT * FROM notes;'
bench_workers "$1"
