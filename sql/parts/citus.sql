--
-- citus.sql
--		Citus: every node of a cluster has the instances, keys, revocations and local ids that the
--		coordinator has, by logical replication; what is missing for that, and who is behind.
--
-- Uses library, instances, keys, revocation, idmap, profiles, roles.
--

-- What is refused comes first: a node has keys only when it has the revocations.
CREATE FUNCTION clerk_internal.citus_published() RETURNS TABLE (publication name, tab regclass, columns text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	VALUES ('clerk_rls_revocations'::name, 'clerk.revocations'::regclass, NULL),
		-- the table that an id comes from is another one on each node
		('clerk_rls_revocations', 'clerk.id_map', 'clerk_id, mapped_id'),
		('clerk_rls_revocations', 'clerk.org_memberships', NULL),
		('clerk_rls_keys', 'clerk.instances', NULL),
		('clerk_rls_keys', 'clerk.jwks', NULL)
$$;
COMMENT ON FUNCTION clerk_internal.citus_published() IS
	'the tables that the other nodes of a Citus cluster get from the coordinator; NULL: all columns';

-- Not for an apply worker, for which triggers do not fire. Citus, too, leaves alone what has triggers.
CREATE FUNCTION clerk_internal.follow_coordinator() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF EXISTS (
		SELECT FROM pg_subscription_rel JOIN pg_subscription ON pg_subscription.oid = srsubid
		WHERE srrelid = TG_RELID AND subname ^@ 'clerk_rls_') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'object_not_in_prerequisite_state',
			MESSAGE = format('%s is changed on the coordinator only', TG_RELID::regclass),
			DETAIL = 'This node gets it from there.';
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION clerk_internal.follow_coordinator() IS
	'trigger: refuses changes on a node that gets the table from the coordinator of a Citus cluster';

DO $each$
DECLARE
	tab regclass;
BEGIN
	FOR tab IN SELECT published.tab FROM clerk_internal.citus_published() AS published LOOP
		EXECUTE pg_catalog.format($create$
CREATE TRIGGER follow_coordinator BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %1$s
	FOR EACH STATEMENT EXECUTE FUNCTION clerk_internal.follow_coordinator();
COMMENT ON TRIGGER follow_coordinator ON %1$s IS 'a node of a Citus cluster has what the coordinator has';
			$create$, tab);
	END LOOP;
END
$each$;

-- For sessions as an API role on other nodes: what Citus sends there has the token in it.
CREATE FUNCTION clerk_internal.citus_role_settings() RETURNS TABLE (setting text, value text)
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$
	VALUES ('auto_explain.log_min_duration', '-1'), ('log_min_duration_sample', '-1'),
		('log_min_duration_statement', '-1'), ('log_min_error_statement', 'panic'),
		('log_statement', 'none'), ('log_transaction_sample_rate', '0'),
		('pg_stat_statements.track_utility', 'off'), ('track_activities', 'off')
$$;
COMMENT ON FUNCTION clerk_internal.citus_role_settings() IS
	'what keeps tokens out of the log and the statistics of the nodes of a Citus cluster';

CREATE FUNCTION clerk_internal.database_settings(role oid) RETURNS SETOF text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT unnest(setconfig) FROM pg_db_role_setting
	WHERE setrole = role AND setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
$$;
COMMENT ON FUNCTION clerk_internal.database_settings(oid) IS
	'what ALTER ROLE, or ALTER DATABASE for role 0, has set in this database';

-- A session that has not loaded the library does not tell who its first statement is from.
CREATE FUNCTION clerk_internal.preload_statement() RETURNS SETOF text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT format('ALTER DATABASE %I SET session_preload_libraries TO %s', current_database(),
		string_agg(quote_literal(btrim(library)), ', '))
	FROM unnest(string_to_array(current_setting('session_preload_libraries'), ',') || '{clerk_rls}')
		AS library
	HAVING concat_ws(',',
		current_setting('shared_preload_libraries'), current_setting('session_preload_libraries'),
		(SELECT string_agg(setting, ',') FROM clerk_internal.database_settings(0) AS setting
			WHERE setting ^@ 'session_preload_libraries=')) !~ '\mclerk_rls\M'
$$;
COMMENT ON FUNCTION clerk_internal.preload_statement() IS
	'the statement by which each session of the database loads the library; none if it does already';

CREATE FUNCTION clerk_internal.citus_session_statements() RETURNS SETOF text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT format('ALTER DATABASE %I SET citus.propagate_set_commands TO %L', current_database(), 'local')
	WHERE 'citus.propagate_set_commands=local' NOT IN (SELECT clerk_internal.database_settings(0))
	UNION ALL
	SELECT clerk_internal.preload_statement()
	UNION ALL
	SELECT format('ALTER ROLE %I LOGIN', rolname)
	FROM pg_roles WHERE rolname IN (SELECT clerk_internal.api_roles()) AND NOT rolcanlogin
	UNION ALL
	SELECT format('ALTER ROLE %I IN DATABASE %I SET %s TO %L', rolname, current_database(), setting, value)
	FROM pg_roles, clerk_internal.citus_role_settings()
	WHERE rolname IN (SELECT clerk_internal.api_roles())
		AND setting || '=' || value NOT IN (SELECT clerk_internal.database_settings(pg_roles.oid))
$$;
COMMENT ON FUNCTION clerk_internal.citus_session_statements() IS
	'the statements by which sessions tell other nodes who a request is from, and do not show it';

CREATE FUNCTION clerk_internal.citus_subscription() RETURNS jsonb
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT jsonb_build_object('name', subname, 'enabled', subenabled,
		'publications', (SELECT count(*) FROM unnest(subpublications)),
		'copied', (SELECT count(*) FROM pg_subscription_rel
			WHERE srsubid = pg_subscription.oid AND srsubstate = 'r'),
		'errors', (SELECT apply_error_count + sync_error_count
			FROM pg_stat_get_subscription_stats(pg_subscription.oid)))
	FROM pg_subscription
	WHERE subname ^@ 'clerk_rls_'
		AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
$$;
COMMENT ON FUNCTION clerk_internal.citus_subscription() IS
	'how this node gets what the coordinator of a Citus cluster has; NULL: it does not';

CREATE FUNCTION clerk_internal.citus_node_state() RETURNS jsonb
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	counted record;
	found jsonb;
	tables jsonb := '{}';
BEGIN
	PERFORM clerk.is_authenticated();	-- loads the library, which knows the anonymous role
	FOR counted IN
		SELECT tab, coalesce('ROW(' || columns || ')', 't') AS of_row
		FROM clerk_internal.citus_published()
	LOOP
		EXECUTE format('SELECT jsonb_build_object(''rows'', count(*), ''hash'','
			' sum(hash_record_extended(%s, 0))) FROM %s AS t', counted.of_row, counted.tab)
			INTO found;
		tables := tables || jsonb_build_object(counted.tab, found);
	END LOOP;
	RETURN jsonb_build_object('tables', tables,
		'version', (SELECT extversion FROM pg_extension WHERE extname = 'clerk_rls'),
		'missing', (SELECT coalesce(jsonb_agg(statement), '[]')
			FROM clerk_internal.citus_session_statements() AS statement),
		'subscription', clerk_internal.citus_subscription());
END
$$;
COMMENT ON FUNCTION clerk_internal.citus_node_state() IS
	'what a node of a Citus cluster has, and what it lacks';

CREATE FUNCTION clerk_internal.is_citus_coordinator() RETURNS boolean
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	is_coordinator boolean := false;
BEGIN
	IF to_regprocedure('pg_catalog.citus_is_coordinator()') IS NOT NULL THEN
		EXECUTE 'SELECT pg_catalog.citus_is_coordinator()' INTO is_coordinator;
	END IF;
	RETURN is_coordinator;
END
$$;
COMMENT ON FUNCTION clerk_internal.is_citus_coordinator() IS
	'whether this database is the coordinator''s of a Citus cluster';

CREATE FUNCTION clerk_internal.check_citus_coordinator() RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF NOT clerk_internal.is_citus_coordinator() THEN
		RAISE EXCEPTION USING
			ERRCODE = 'object_not_in_prerequisite_state',
			MESSAGE = 'this is not the coordinator of a Citus cluster',
			HINT = 'Run it on the coordinator, in the database that has the extensions citus and clerk_rls.';
	END IF;
END
$$;
COMMENT ON FUNCTION clerk_internal.check_citus_coordinator() IS
	'raises anywhere but on the coordinator of a Citus cluster';

CREATE FUNCTION clerk_internal.is_distributed_by(tab regclass, column_name name) RETURNS boolean
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	is_distributed boolean := false;
BEGIN
	IF to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL THEN
		EXECUTE 'SELECT EXISTS (
			SELECT FROM pg_catalog.pg_dist_partition
			WHERE logicalrelid = $1 AND partmethod <> ''n''
				AND pg_catalog.column_to_column_name(logicalrelid, partkey) = $2)'
			INTO is_distributed USING tab, column_name::text;
	END IF;
	RETURN is_distributed;
END
$$;
COMMENT ON FUNCTION clerk_internal.is_distributed_by(regclass, name) IS
	'whether Citus distributes the rows of a table by this column';

CREATE FUNCTION clerk_internal.citus_run(node_id integer, command text) RETURNS text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	answer record;
BEGIN
	EXECUTE '
		SELECT run.success, run.result
		FROM pg_catalog.pg_dist_node, LATERAL pg_catalog.master_run_on_worker(
			ARRAY[nodename], ARRAY[nodeport], ARRAY[$2], true) AS run
		WHERE nodeid = $1' INTO answer USING node_id, command;
	IF answer.success IS NOT TRUE THEN
		RAISE EXCEPTION USING
			ERRCODE = 'external_routine_exception',
			MESSAGE = format('node %s of the cluster has not done it', node_id),
			DETAIL = answer.result;
	END IF;
	RETURN answer.result;
END
$$;
COMMENT ON FUNCTION clerk_internal.citus_run(integer, text) IS
	'runs a command on another node of the Citus cluster, outside of this transaction; raises if that fails';

CREATE FUNCTION clerk_internal.citus_slot(node_id integer) RETURNS name
	LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT format('clerk_rls_%s_%s', oid, node_id) FROM pg_database WHERE datname = current_database()
$$;
COMMENT ON FUNCTION clerk_internal.citus_slot(integer) IS
	'the subscription of a node of the Citus cluster, and its slot on the coordinator';

CREATE FUNCTION clerk_internal.citus_nodes()
	RETURNS TABLE (id integer, node text, is_coordinator boolean, state jsonb, failure text)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	RETURN QUERY SELECT 0, 'coordinator', true, clerk_internal.citus_node_state(), NULL;
	RETURN QUERY EXECUTE '
		SELECT nodeid, format(''%s:%s'', nodename, nodeport), false,
			CASE WHEN run.success THEN run.result::jsonb END,
			CASE WHEN NOT isactive THEN ''Citus has disabled the node''
				WHEN NOT run.success THEN run.result END
		FROM pg_catalog.pg_dist_node LEFT JOIN LATERAL pg_catalog.master_run_on_worker(
			ARRAY[nodename], ARRAY[nodeport], ARRAY[$1], true) AS run ON isactive
		WHERE noderole = ''primary'' AND groupid <> 0'
		USING 'SELECT clerk_internal.citus_node_state()';
END
$$;
COMMENT ON FUNCTION clerk_internal.citus_nodes() IS
	'the nodes of the Citus cluster with what they say of themselves';

CREATE FUNCTION clerk_internal.citus_replication(node_id integer, state jsonb) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT CASE
		WHEN state IS NULL THEN 'unknown'
		WHEN subscription = 'null' THEN 'none'
		WHEN (subscription -> 'publications')::integer < wanted.publications THEN 'incomplete'
		WHEN slot_name IS NULL OR wal_status = 'lost' THEN 'lost'
		WHEN NOT (subscription -> 'enabled')::boolean THEN 'disabled'
		WHEN (subscription -> 'copied')::integer < wanted.tables THEN 'copying'
		WHEN NOT active THEN 'disconnected'
		ELSE 'streaming'
	END
	FROM (SELECT count(DISTINCT publication), count(*) FROM clerk_internal.citus_published())
			AS wanted (publications, tables),
		coalesce(state -> 'subscription', 'null') AS subscription
		LEFT JOIN pg_replication_slots ON slot_name = clerk_internal.citus_slot(node_id)
$$;
COMMENT ON FUNCTION clerk_internal.citus_replication(integer, jsonb) IS
	'how far the replication to a node of the Citus cluster is';

CREATE FUNCTION clerk_internal.citus_forget() RETURNS void
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
	AS $$
	DELETE FROM clerk.instances;
	DELETE FROM clerk.jwks;
	DELETE FROM clerk.revocations;
	DELETE FROM clerk.id_map;
	DELETE FROM clerk.org_memberships;
$$;
COMMENT ON FUNCTION clerk_internal.citus_forget() IS
	'empties, on a node of a Citus cluster, what it then gets from the coordinator';

CREATE FUNCTION clerk_internal.citus_await_copies() RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	deadline constant timestamptz := clock_timestamp() + interval '60 seconds';
BEGIN
	WHILE EXISTS (
		SELECT FROM pg_subscription_rel JOIN pg_subscription ON pg_subscription.oid = srsubid
		WHERE subname ^@ 'clerk_rls_' AND srsubstate <> 'r')
	LOOP
		IF clock_timestamp() > deadline THEN
			RAISE EXCEPTION USING
				ERRCODE = 'object_not_in_prerequisite_state',
				MESSAGE = 'the tables of clerk_rls have not been copied within a minute',
				HINT = 'The log of this node says why; clerk.citus_status() shows how far it is.';
		END IF;
		PERFORM pg_sleep(0.02);
	END LOOP;
END
$$;
COMMENT ON FUNCTION clerk_internal.citus_await_copies() IS
	'waits until a node of a Citus cluster has what it was to get';

CREATE FUNCTION clerk_internal.without_propagation(statements text) RETURNS text
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT format('DO %L', format(
		'BEGIN PERFORM set_config(''citus.enable_ddl_propagation'', ''off'', true); %s; END', statements))
$$;
COMMENT ON FUNCTION clerk_internal.without_propagation(text) IS
	'the same statements, which Citus does not repeat on other nodes';

CREATE FUNCTION clerk_internal.citus_publication_statements() RETURNS SETOF text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT clerk_internal.without_propagation(format('CREATE PUBLICATION %I FOR TABLE %s', publication,
		string_agg(tab::text || coalesce(' (' || columns || ')', ''), ', ')))
	FROM clerk_internal.citus_published()
	WHERE publication NOT IN (SELECT pubname FROM pg_publication)
	GROUP BY publication
$$;
COMMENT ON FUNCTION clerk_internal.citus_publication_statements() IS
	'the statements by which the coordinator of a Citus cluster publishes what other nodes get';

-- What makes a node get everything: first nothing, then what is refused, then the keys.
CREATE FUNCTION clerk_internal.citus_node_statements(node_id integer, is_subscribed boolean, connection text)
	RETURNS SETOF text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT step.statement
	FROM clerk_internal.citus_slot(node_id) AS slot, LATERAL (
		SELECT ordinal, format('SELECT clerk_internal.citus_run(%s, %L)', node_id, command)
		FROM (VALUES
			(1, is_subscribed, format('ALTER SUBSCRIPTION %I DISABLE', slot)),
			(2, is_subscribed, format('ALTER SUBSCRIPTION %I SET (slot_name = NONE)', slot)),
			(3, is_subscribed, format('DROP SUBSCRIPTION %I', slot)),
			(4, true, 'SELECT clerk_internal.citus_forget()'),
			(6, true, format('CREATE SUBSCRIPTION %I CONNECTION %L PUBLICATION clerk_rls_revocations',
				slot, connection)),
			(7, true, 'SELECT clerk_internal.citus_await_copies()'),
			(8, true, format('ALTER SUBSCRIPTION %I ADD PUBLICATION clerk_rls_keys', slot)),
			(9, true, 'SELECT clerk_internal.citus_await_copies()')
		) AS commands (ordinal, is_due, command)
		WHERE is_due
		UNION ALL
		SELECT 5, format('SELECT pg_drop_replication_slot(%L)', slot)
		FROM pg_replication_slots WHERE slot_name = slot
	) AS step (ordinal, statement)
	ORDER BY step.ordinal
$$;
COMMENT ON FUNCTION clerk_internal.citus_node_statements(integer, boolean, text) IS
	'the statements by which a node of a Citus cluster gets what the coordinator has';

CREATE FUNCTION clerk_internal.conninfo_value(name text) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$ SELECT '''' || regexp_replace(name, '([''\\])', '\\\1', 'g') || '''' $$;
COMMENT ON FUNCTION clerk_internal.conninfo_value(text) IS 'a value as libpq reads it in a connection string';

CREATE FUNCTION clerk_internal.citus_connection() RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	connection text;
BEGIN
	EXECUTE '
		SELECT format(''host=%s port=%s dbname=%s user=%s'', nodename, nodeport,
			clerk_internal.conninfo_value(current_database()), clerk_internal.conninfo_value(current_user))
		FROM pg_catalog.pg_dist_node WHERE groupid = 0 AND noderole = ''primary''' INTO connection;
	IF connection IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'object_not_in_prerequisite_state',
			MESSAGE = 'how other nodes connect to the coordinator is not known',
			HINT = 'Run SELECT citus_set_coordinator_host(''...''), or give the connection.';
	END IF;
	RETURN connection;
END
$$;
COMMENT ON FUNCTION clerk_internal.citus_connection() IS
	'how the other nodes of a Citus cluster connect to the coordinator, as far as Citus knows';

CREATE FUNCTION clerk.citus_setup(connection text DEFAULT NULL, anew boolean DEFAULT false) RETURNS SETOF text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	asked record;
	here jsonb;
BEGIN
	PERFORM clerk_internal.check_citus_coordinator();
	IF current_setting('wal_level') <> 'logical' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'object_not_in_prerequisite_state',
			MESSAGE = 'wal_level of the coordinator is not logical',
			DETAIL = 'The other nodes get keys, instances, revocations and local ids by logical replication.',
			HINT = 'Run ALTER SYSTEM SET wal_level = logical, and start the server again.';
	END IF;
	connection := coalesce(connection, clerk_internal.citus_connection());
	RETURN QUERY SELECT clerk_internal.citus_publication_statements();
	FOR asked IN SELECT * FROM clerk_internal.citus_nodes() AS nodes ORDER BY nodes.id LOOP
		IF asked.is_coordinator THEN
			here := asked.state -> 'missing';
			RETURN QUERY SELECT jsonb_array_elements_text(here);
			CONTINUE;
		ELSIF asked.state IS NULL AND asked.failure ~ 'clerk_internal' THEN
			RETURN NEXT format('SELECT clerk_internal.citus_run(%s, %L)', asked.id,
				'CREATE EXTENSION clerk_rls');
		ELSIF asked.state IS NULL THEN
			RETURN NEXT format('-- node %s does not answer: set it up when it does', asked.id);
			CONTINUE;
		END IF;
		-- what the coordinator runs, Citus repeats on the others
		RETURN QUERY
			SELECT format('SELECT clerk_internal.citus_run(%s, %L)', asked.id,
				clerk_internal.without_propagation(string_agg(statement, '; ')))
			FROM jsonb_array_elements_text(asked.state -> 'missing') AS statement
			WHERE NOT here ? statement
			HAVING count(*) > 0;
		IF anew OR clerk_internal.citus_replication(asked.id, asked.state)
			IN ('unknown', 'none', 'incomplete', 'lost') THEN
			RETURN QUERY SELECT clerk_internal.citus_node_statements(asked.id,
				coalesce(asked.state -> 'subscription', 'null') <> 'null', connection);
		END IF;
	END LOOP;
	RETURN QUERY SELECT clerk_internal.citus_orphan_statements();
END
$$;
COMMENT ON FUNCTION clerk.citus_setup(text, boolean) IS
	'what the nodes of a Citus cluster lack to verify tokens, as statements for \gexec; anew: all of it';

CREATE FUNCTION clerk_internal.citus_orphan_statements() RETURNS SETOF text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	RETURN QUERY EXECUTE '
		SELECT format(''SELECT pg_drop_replication_slot(%L)'', slot_name)
		FROM pg_catalog.pg_replication_slots
		WHERE NOT active AND database = current_database() AND slot_name ^@ ''clerk_rls_''
			AND slot_name NOT IN (SELECT clerk_internal.citus_slot(nodeid) FROM pg_catalog.pg_dist_node)';
END
$$;
COMMENT ON FUNCTION clerk_internal.citus_orphan_statements() IS
	'the statements by which the coordinator of a Citus cluster keeps no WAL for nodes that were removed';

CREATE FUNCTION clerk_internal.citus_problem(node_id integer, state jsonb, failure text, reference jsonb,
	OUT problem text, OUT fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT found.problem, found.fix
	FROM clerk_internal.citus_replication(node_id, state) AS replication, LATERAL (VALUES
		(failure IS NOT NULL, failure, 'SELECT clerk.citus_setup()'),
		(state ->> 'version' <> reference ->> 'version',
			'it has another version of clerk_rls than the coordinator',
			format('SELECT clerk_internal.citus_run(%s, %L)', node_id, 'ALTER EXTENSION clerk_rls UPDATE')),
		(node_id <> 0 AND replication IN ('none', 'incomplete', 'lost'), 'it does not follow the coordinator',
			'SELECT clerk.citus_setup()'),
		(node_id <> 0 AND replication = 'disabled', 'its subscription is disabled',
			format('SELECT clerk_internal.citus_run(%s, %L)', node_id,
				format('ALTER SUBSCRIPTION %I ENABLE', clerk_internal.citus_slot(node_id)))),
		(node_id <> 0 AND replication IN ('copying', 'disconnected'),
			'it does not follow the coordinator at this moment'
				|| coalesce('; errors: ' || nullif(state #>> '{subscription,errors}', '0'), ''),
			'SELECT * FROM clerk.citus_status()'),
		(state -> 'tables' <> reference -> 'tables', 'it has other rows than the coordinator: ' || (
			SELECT string_agg(key, ', ' ORDER BY key) FROM jsonb_each(state -> 'tables')
			WHERE value <> reference -> 'tables' -> key), 'SELECT clerk.citus_setup(anew => true)'),
		(state -> 'missing' <> '[]', 'its sessions lack ' || (state #>> '{missing,0}'),
			'SELECT clerk.citus_setup()')
	) AS found (is_there, problem, fix)
	WHERE found.is_there
	LIMIT 1
$$;
COMMENT ON FUNCTION clerk_internal.citus_problem(integer, jsonb, text, jsonb) IS
	'what is wrong with a node of the Citus cluster, beside the coordinator''s state; no row: nothing';

CREATE FUNCTION clerk.citus_status() RETURNS TABLE (node text, version text,
	instances bigint, keys bigint, revocations bigint, mapped_ids bigint, memberships bigint,
	replication text, lag_bytes numeric, problem text, fix text)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	PERFORM clerk_internal.check_citus_coordinator();
	RETURN QUERY
		WITH nodes AS MATERIALIZED (
			SELECT * FROM clerk_internal.citus_nodes()
		)
		SELECT asked.node, asked.state ->> 'version',
			(tables #> '{clerk.instances,rows}')::bigint, (tables #> '{clerk.jwks,rows}')::bigint,
			(tables #> '{clerk.revocations,rows}')::bigint, (tables #> '{clerk.id_map,rows}')::bigint,
			(tables #> '{clerk.org_memberships,rows}')::bigint,
			CASE WHEN NOT asked.is_coordinator
				THEN clerk_internal.citus_replication(asked.id, asked.state) END,
			(SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn) FROM pg_replication_slots
				WHERE slot_name = clerk_internal.citus_slot(asked.id)),
			found.problem, found.fix
		FROM nodes AS asked
		JOIN nodes AS coordinator ON coordinator.is_coordinator
		CROSS JOIN LATERAL (SELECT asked.state -> 'tables') AS has (tables)
		LEFT JOIN LATERAL clerk_internal.citus_problem(asked.id, asked.state, asked.failure,
			coordinator.state) AS found ON true
		ORDER BY asked.id;
END
$$;
COMMENT ON FUNCTION clerk.citus_status() IS
	'each node of the Citus cluster: what it has, how far it is behind the coordinator, and what is wrong';

CREATE FUNCTION clerk_internal.audit_citus()
	RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL THEN
		RETURN QUERY EXECUTE '
			SELECT ''error'', ''citus-table'', format(''table %s'', logicalrelid),
				''Citus has its rows, so it counts as one that cannot be read'',
				''-- create the extension anew; what it holds, and the policies that use it, go with it''
			FROM pg_catalog.pg_dist_partition
			JOIN pg_catalog.pg_depend
				ON objid = logicalrelid AND classid = ''pg_class''::regclass AND deptype = ''e''
			WHERE refobjid = (SELECT oid FROM pg_catalog.pg_extension WHERE extname = ''clerk_rls'')
				AND logicalrelid IN (SELECT tab FROM clerk_internal.citus_published())';
	END IF;
	IF clerk_internal.is_citus_coordinator() THEN
		RETURN QUERY SELECT 'error', 'citus-node', format('node %s', status.node), status.problem, status.fix
			FROM clerk.citus_status() AS status WHERE status.problem IS NOT NULL;
	END IF;
END
$$;
COMMENT ON FUNCTION clerk_internal.audit_citus() IS 'what clerk.audit() finds in a Citus cluster';
