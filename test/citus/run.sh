#!/usr/bin/env bash
#
# run.sh
#		Tests with Citus: a coordinator and workers, PostgREST before them.  Needs a PostgreSQL that
#		has Citus, whose pg_config PG_CONFIG names; says so where it has not, and passes.
#
# usage: PG_CONFIG=... test/citus/run.sh
#
# Prints TAP, and at the end "N passed, N failed".  Smaller with CITUS_ROUNDS (5, of 2,000
# requests) and CITUS_TRANSACTIONS (1,000 in each of four sessions).
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

passed=0
failed=0
rounds=${CITUS_ROUNDS:-5}
transactions=${CITUS_TRANSACTIONS:-1000}
export TOKENS=$SCRATCH/tokens

# ok NAME COMMAND...: what it prints is shown if it fails
ok()
{
	local name=$1
	shift

	if "$@" >"$SCRATCH/ok.out" 2>&1; then
		passed=$((passed + 1))
		echo "ok $((passed + failed)) - $name"
	else
		failed=$((failed + 1))
		echo "not ok $((passed + failed)) - $name"
		sed 's/^/# /' "$SCRATCH/ok.out"
	fi
}

# As no shard and no node is called.
plain()
{
	sed -E 's/_[0-9]{6,}"/"/; s/127\.0\.0\.1:[0-9]+/a worker/; /^CONTEXT: +while executing command/d'
}

# answers SQL EXPECTED: of the coordinator; node_answers NAME SQL EXPECTED of another one
answers()
{
	diff <(scratch_sql -At 2>&1 <<<"$1" | plain) <(printf '%s\n' "$2")
}

node_answers()
{
	diff <(cluster_node_sql "$1" -At 2>&1 <<<"$2" | plain) <(printf '%s\n' "$3")
}

setup_again()
{
	printf '%s\n' "SELECT clerk.citus_setup(${1:-}) \\gexec" | scratch_sql -o /dev/null
}

problems="SELECT count(*) FROM clerk.citus_status() WHERE problem IS NOT NULL"

token_of()
{
	awk -v user="$1" '$1 == user { print $2 }' "$TOKENS"
}

make_tokens()
{
	local user

	openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$SCRATCH/key.pem" 2>/dev/null
	for user in 0 1 2 3 4 5 6 7 8 9; do
		printf 'user_%s %s\n' $user "$("$MINT" token --key "$SCRATCH/key.pem" --alg RS256 --kid ins_c \
			"{\"iss\":\"https://clerk.citus.example\",\"sub\":\"user_$user\",\"sid\":\"sess_$user\",\"iat\":@now@,\"exp\":@now+36000@}")"
	done >"$TOKENS"
	jwks="{\"keys\":[$("$MINT" jwk --key "$SCRATCH/key.pem" --kid ins_c --alg RS256)]}"
}

test_setup()
{
	ok 'before the set-up, each node is a problem' answers "$problems" 3
	ok 'and nobody is signed in there' node_answers worker1 "SET clerk.token = '$(token_of user_1)'; SELECT clerk.uid() IS NULL" t
	ok 'what citus_setup() says can be run' setup_again
	ok 'and is then all' answers 'SELECT count(*) FROM clerk.citus_setup()' 0
	ok 'no node is a problem' answers "$problems" 0
	ok 'nor for audit()' answers "SELECT count(*) FROM clerk.audit() WHERE finding ~ 'citus'" 0
	ok 'each node verifies' node_answers worker2 "SET clerk.token = '$(token_of user_1)'; SELECT clerk.uid()" user_1
	ok 'and is changed by the coordinator only' refused worker1 "SELECT clerk.revoke_user('user_1')" 'changed on the coordinator only'
	ok 'citus_setup() is for the coordinator' refused worker1 'SELECT clerk.citus_setup()' 'not the coordinator'
}

# refused NAME SQL MESSAGE
refused()
{
	! cluster_node_sql "$1" -c "$2" >"$SCRATCH/refused.out" 2>&1 && grep -q "$3" "$SCRATCH/refused.out" || { cat "$SCRATCH/refused.out" && false; }
}

sequences()
{
	local user variables=()

	for user in user_1 user_2 user_3 user_9; do
		variables+=(-v "$user=$(token_of $user)" -v "h_$user={\"authorization\":\"Bearer $(token_of $user)\"}")
	done
	psql -X "${variables[@]}" -f test/citus/sequences.sql 2>&1 | sed -E 's,^psql:[^ ]+ ,,' | plain >"$SCRATCH/sequences.out"
	diff test/citus/sequences.out "$SCRATCH/sequences.out"
}

# None of ours is taken by Citus; if it is by force, it counts as unreadable.
test_tables()
{
	local tab token

	token=$(token_of user_1)
	for tab in instances jwks revocations id_map org_memberships; do
		ok "clerk.$tab is no reference table" refused coordinator "SELECT create_reference_table('clerk.$tab')" 'has triggers'
	done
	ok 'by force it counts as unreadable' answers "
		SET client_min_messages = error; SET citus.enable_unsafe_triggers = on; SET clerk.token = '$token';
		SELECT clerk.uid(); BEGIN; DO \$\$ BEGIN PERFORM create_reference_table('clerk.revocations'); END \$\$;
		SELECT clerk.uid() IS NULL; SELECT count(*) FROM clerk_internal.audit_citus() WHERE finding = 'citus-table'; ROLLBACK; SELECT clerk.uid()" \
		"$(printf 'user_1\nt\n1\nuser_1')"
}

test_protect()
{
	scratch_sql -o /dev/null <<-'SQL'
		SET client_min_messages = warning;
		CREATE TABLE before (id bigint, user_id text NOT NULL, PRIMARY KEY (user_id, id));
		SELECT clerk.protect('before', owner => 'user_id', dry_run => false);
		SELECT create_distributed_table('before', 'user_id', shard_count => 4);
		CREATE TABLE behind (id bigint, user_id text NOT NULL, PRIMARY KEY (user_id, id));
		SELECT create_distributed_table('behind', 'user_id', shard_count => 4);
		SELECT clerk.protect('behind', owner => 'user_id', dry_run => false);
		INSERT INTO before SELECT 1, 'user_' || g FROM generate_series(1, 9) AS g;
		INSERT INTO behind SELECT 1, 'user_' || g FROM generate_series(1, 9) AS g;
	SQL
	for tab in before behind; do
		ok "protect() $tab distributing" answers "BEGIN; SET LOCAL ROLE authenticated; SELECT clerk.authenticate('$(token_of user_1)');
			INSERT INTO $tab (id, user_id) VALUES (2, 'user_1') RETURNING user_id, id; SELECT count(*), min(user_id) FROM $tab;
			INSERT INTO $tab (id, user_id) VALUES (2, 'user_2'); ROLLBACK" \
			"$(printf "user_1\nuser_1|2\n2|user_1\nERROR:  new row violates row-level security policy for table \"$tab\"")"
		ok "each shard of $tab has the policy" answers "SELECT bool_and(result = 'true/1') FROM run_command_on_shards('$tab',
			\$\$SELECT relrowsecurity || '/' || (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid) FROM pg_class AS c WHERE oid = '%s'::regclass\$\$)" t
		ok "and protect() finds $tab protected" answers "SELECT count(*) FROM clerk.protect('$tab', owner => 'user_id') AS statement WHERE statement !~ '^-- its rows'" 0
	done
	ok 'a default that came before distributing fills the column' answers "BEGIN; SET LOCAL ROLE authenticated; SELECT clerk.authenticate('$(token_of user_1)');
		INSERT INTO before (id) VALUES (2) RETURNING user_id, id; ROLLBACK" "$(printf 'user_1\nuser_1|2')"
}

#
# revocation USER NAME...: counts on these nodes within a second.  Each is asked every millisecond
# from before on, and says when the user was nobody, by the clock of this machine.
#
revocation()
{
	local name user=$1 begin last
	shift

	for name; do
		cluster_node_sql "$name" -At -c "SET clerk.token = '$(token_of "$user")'" -c 'SELECT clerk.uid()' -c "
			DO \$\$ BEGIN FOR i IN 1..10000 LOOP EXIT WHEN clerk.uid() IS NULL; PERFORM pg_sleep(0.001); COMMIT; END LOOP; END \$\$" \
			-c 'SELECT floor(extract(epoch FROM clock_timestamp()) * 1000), clerk.uid() IS NULL' >"$SCRATCH/revocation.$name" &
	done
	for name; do
		until grep -q "$user" "$SCRATCH/revocation.$name"; do sleep 0.01; done
	done
	begin=$(scratch_sql -At -c "SELECT clerk.revoke_user('$user')" -c 'SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)' | tail -n 1)
	for name; do
		until grep -q '|' "$SCRATCH/revocation.$name"; do sleep 0.01; done
	done
	last=$(cat "$SCRATCH"/revocation.* | sed -n 's/|t$//p' | sort -n | tail -n 1)
	! grep -h '|f$' "$SCRATCH"/revocation.* || return 1
	rm "$SCRATCH"/revocation.*
	echo "# revoked on $# nodes after $((last - begin)) ms" >>"$SCRATCH/notes"
	scratch_sql -c "SELECT clerk.unrevoke('$user')" -o /dev/null
	cluster_wait 10 "SELECT ($problems) = 0" && [ $((last - begin)) -lt 1000 ]
}

postgrest_rounds()
{
	local round

	for ((round = 1; round <= rounds; round++)); do
		rm -rf "$SCRATCH/answers" && mkdir "$SCRATCH/answers"
		perl test/citus/crowd.pl requests "$SCRATCH_URL" 2000 "$SCRATCH/answers" >"$SCRATCH/requests"
		curl -s -K "$SCRATCH/requests" --parallel --parallel-max 8
		ok "2,000 requests of 10 users and nobody, round $round" perl test/citus/crowd.pl judge-requests 2000 "$SCRATCH/answers"
		sed 's/^/#> /' "$SCRATCH/ok.out"
	done
}

start_again()
{
	local try

	for try in 1 2 3 4 5 6 7 8 9 10; do
		# its processes end a moment later than the postmaster
		sleep 0.5
		! scratch_unprivileged "$SCRATCH_BINDIR/pg_ctl" -D "$SCRATCH/$1/data" -w -l "$SCRATCH/$1/postgres.log" start >/dev/null 2>&1 || return 0
	done
	scratch_die "$1 does not start again"
}

# Meanwhile workers and the replication die.
kill_around()
{
	local victim

	while [ ! -e "$SCRATCH/crowd.done" ]; do
		sleep 4
		cluster_kill_node worker2
		start_again worker2
		sleep 4
		scratch_sql -o /dev/null -c 'SELECT count(pg_terminate_backend(pid)) FROM pg_stat_replication'
		sleep 2
		victim=$(cluster_node_sql worker1 -At -c "SELECT pid FROM pg_stat_subscription WHERE pid IS NOT NULL LIMIT 1" 2>/dev/null || true)
		[ -z "$victim" ] || kill -9 "$victim"
		echo "# killed a worker, the senders, and an apply worker" >>"$SCRATCH/notes"
	done
}

# crowd SEED N: four sessions at once, of N transactions each
crowd()
{
	local session pids=() pid

	rm -f "$SCRATCH"/crowd.*
	for session in 1 2 3 4; do
		perl test/citus/crowd.pl session $(($1 + session)) "$2" >"$SCRATCH/crowd.$session.sql"
		psql -XAtq -f "$SCRATCH/crowd.$session.sql" >"$SCRATCH/crowd.$session.out" 2>"$SCRATCH/crowd.$session.err" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || true
	done
}

# What the crowd was refused, in the order of how often.
crowd_errors()
{
	sed -E 's/^psql:[^ ]+ //; s/^(ERROR: +)(.*)/\2/' "$SCRATCH"/crowd.?.err | grep -vE '^(DETAIL|CONTEXT|HINT|WARNING|	)' |
		sed -E 's/[0-9]+/N/g' | sort | uniq -c | sort -rn | awk 'NR <= 6 { print "# " $0 }'
}

# Of what the nodes keep of statements; those of superusers are their own affair.
test_statistics()
{
	local name

	for name in coordinator worker1 worker2; do
		ok "no token in the statistics of $name" node_answers "$name" "SELECT count(*) FROM pg_stat_statements
			WHERE query ~ '^SET LOCAL \S+ TO .*eyJ' AND userid <> 'postgres'::regrole" 0
		ok "nor in its activity" node_answers "$name" "SELECT count(*) FROM pg_stat_activity WHERE query ~ 'SET LOCAL \S+ TO .*eyJ' AND pid <> pg_backend_pid()" 0
		ok "nor in the log of $name" no_token_in "$SCRATCH/$name/postgres.log"
	done
}

no_token_in()
{
	! grep -n 'SET LOCAL [^ ]* TO.*eyJ' "$1"
}

test_crowd()
{
	local killer

	crowd 0 "$transactions"
	ok "$((4 * transactions)) interleaved transactions" perl test/citus/crowd.pl judge "$SCRATCH"/crowd.?.out
	sed 's/^/# /' "$SCRATCH/ok.out"
	crowd_errors
	test_statistics
	kill_around &
	killer=$!
	crowd 4 "$transactions"
	touch "$SCRATCH/crowd.done"
	wait $killer
	ok "$((4 * transactions)) while nodes die" perl test/citus/crowd.pl judge "$SCRATCH"/crowd.?.out
	sed 's/^/# /' "$SCRATCH/ok.out"
	crowd_errors
	ok 'every node is back' cluster_wait 30 "SELECT ($problems) = 0"
}

test_nodes()
{
	cluster_make_node worker3
	cluster_add_worker worker3
	ok 'a node that was added is a problem' answers "$problems" 1
	ok 'and is set up by the same call' setup_again
	ok 'so that it is none' answers "$problems" 0
	ok 'shards move there' scratch_sql -o /dev/null -c 'SET client_min_messages = error' -c "SELECT rebalance_table_shards(shard_transfer_mode => 'block_writes')"
	ok 'with their policies' answers "BEGIN; SET LOCAL ROLE authenticated; SELECT clerk.authenticate('$(token_of user_1)');
		SELECT count(*), min(user_id), max(user_id) FROM notes; ROLLBACK" "$(printf 'user_1\n20|user_1|user_1')"
	ok 'on three nodes a revocation counts' revocation user_4 worker1 worker2 worker3
	cluster_kill_node worker3
	scratch_sql -o /dev/null -c "SELECT clerk.revoke_user('user_5')" -c "SELECT clerk.map_id('user_5', 'five')"
	ok 'a node that is away is a problem' answers "$problems" 1
	start_again worker3
	ok 'and catches up when it is back' cluster_wait 20 "SELECT ($problems) = 0"
	ok 'it knows then who is revoked' node_answers worker3 "SET clerk.token = '$(token_of user_5)'; SELECT clerk.uid() IS NULL, clerk.mapped_id('user_5') IS NULL, (SELECT mapped_id FROM clerk.id_map)" 't|t|five'
	scratch_sql -o /dev/null -c "SELECT clerk.unrevoke('user_5')"
	cluster_node_sql worker3 -c 'SET session_replication_role = replica' -c 'DELETE FROM clerk.jwks'
	ok 'a node whose rows were changed is a problem' answers "$problems" 1
	ok 'and gets all of it anew' setup_again 'anew => true'
	ok 'which mends it' cluster_wait 10 "SELECT ($problems) = 0"
	scratch_sql -o /dev/null -c 'SET client_min_messages = error' \
		-c "SELECT citus_drain_node('127.0.0.1', ${cluster_port[worker3]}, shard_transfer_mode => 'block_writes')" \
		-c "SELECT citus_remove_node('127.0.0.1', ${cluster_port[worker3]})"
	cluster_kill_node worker3
	ok 'of a node that was removed, a slot is left' cluster_wait 10 'SELECT count(*) = 1 FROM clerk.citus_setup()'
	ok 'which is dropped' setup_again
	ok 'and nothing is missing' answers 'SELECT (SELECT count(*) FROM clerk.citus_setup()), count(*) FROM pg_replication_slots' '0|2'
}

scratch_build
cluster_start 2
make_tokens
scratch_sql -o /dev/null -v jwks="$jwks" -f test/citus/base.sql
test_setup
ok 'sequences' sequences
test_tables
test_protect
ok 'a revocation counts everywhere' revocation user_4 worker1 worker2
scratch_postgrest 12 postgrest 'db-schemas = "public"' 'db-anon-role = "anon"' 'db-pre-request = "clerk.pre_request"' 'db-pre-config = "clerk.pre_config"' 'db-pool = 4' 'db-max-rows = 1000'
postgrest_rounds
test_crowd
ok 'a revocation counts everywhere, after all that' revocation user_4 worker1 worker2
test_nodes
cat "$SCRATCH/notes"
printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
