# shellcheck shell=bash
#
# cluster.sh
#		Citus in temporary folders: a coordinator and workers, for the tests and the benchmark.
#
# Sourced, after test/lib/scratch.sh.  PG_CONFIG is that of a PostgreSQL that has Citus.  The nodes
# listen on 127.0.0.1, on ports that were free; PGHOST and PGPORT are the coordinator's.
#
#	cluster_is_possible				whether that PostgreSQL has Citus
#	cluster_start N					the coordinator and N workers, with the extension and the roles
#	cluster_start_node NAME			starts one again; cluster_kill_node NAME is kill -9
#	cluster_node_sql NAME [ARGUMENT...]		psql there, on the coordinator scratch_sql
#	cluster_wait SECONDS SQL		until the coordinator answers t
#
declare -A cluster_port=()
cluster_nodes=()

cluster_is_possible()
{
	[ -e "$("$PG_CONFIG" --sharedir)/extension/citus.control" ]
}

cluster_stop()
{
	local name

	# one that has been removed does not run any more
	for name in "${cluster_nodes[@]}"; do
		scratch_unprivileged "$SCRATCH_BINDIR/pg_ctl" -D "$SCRATCH/$name/data" -m immediate stop >/dev/null 2>&1 || true
	done
}

cluster_start_node()
{
	scratch_quietly scratch_unprivileged "$SCRATCH_BINDIR/pg_ctl" -D "$SCRATCH/$1/data" -w \
		-l "$SCRATCH/$1/postgres.log" start
}

# The postmaster; what it had started ends by itself.
cluster_kill_node()
{
	kill -9 "$(head -n 1 "$SCRATCH/$1/data/postmaster.pid")"
}

cluster_node_sql()
{
	local name=$1
	shift

	scratch_sql -p "${cluster_port[$name]}" "$@"
}

cluster_make_node()
{
	local name=$1 port data=$SCRATCH/$1/data

	read -r port _ < <(scratch_ports)
	cluster_port[$name]=$port
	cluster_nodes+=("$name")
	install -d -m 755 -o "$scratch_user" "$SCRATCH/$name"
	scratch_quietly scratch_unprivileged "$SCRATCH_BINDIR/initdb" -D "$data" -U postgres -A trust -E UTF8 --no-locale --no-sync
	printf '%s\n' "listen_addresses = '127.0.0.1'" "port = $port" "unix_socket_directories = ''" 'fsync = off' \
		"shared_preload_libraries = 'citus, pg_stat_statements'" 'wal_level = logical' 'max_connections = 150' \
		'max_worker_processes = 16' "citus.node_conninfo = 'sslmode=disable'" 'citus.node_connection_timeout = 5s' \
		'wal_retrieve_retry_interval = 200ms' 'wal_receiver_timeout = 5s' >>"$data/postgresql.conf"
	cluster_start_node "$name"
	cluster_node_sql "$name" -d template1 -c 'CREATE DATABASE app'
	cluster_node_sql "$name" -d app -c 'SET client_min_messages = warning' -c 'CREATE EXTENSION citus' -c 'CREATE EXTENSION pg_stat_statements'
}

cluster_wait()
{
	local deadline=$((SECONDS + $1))

	until [ "$(scratch_sql -At -c "$2")" = t ]; do
		[ $SECONDS -lt $deadline ] || return 1
		sleep 0.05
	done
}

cluster_add_worker()
{
	scratch_sql -o /dev/null -c "SELECT citus_add_node('127.0.0.1', ${cluster_port[$1]})"
}

cluster_start()
{
	local i

	trap 'status=$?; cluster_stop; scratch_stop $status' EXIT
	scratch_say "starting Citus: a coordinator and $1 workers"
	export PGHOST=127.0.0.1 PGDATABASE=app
	cluster_make_node coordinator
	export PGPORT=${cluster_port[coordinator]}
	scratch_sql -o /dev/null -c "SELECT citus_set_coordinator_host('127.0.0.1', $PGPORT)" \
		-c 'CREATE ROLE authenticator LOGIN NOINHERIT' -c 'CREATE ROLE anon LOGIN' -c 'CREATE ROLE authenticated LOGIN' \
		-c 'GRANT anon, authenticated TO authenticator' -c 'CREATE EXTENSION clerk_rls'
	for ((i = 1; i <= $1; i++)); do
		cluster_make_node "worker$i"
		cluster_add_worker "worker$i"
	done
}
