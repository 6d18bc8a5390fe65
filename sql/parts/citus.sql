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
		-- a table is another one on each node
		('clerk_rls_revocations', 'clerk.id_map', 'clerk_id, mapped_id'),
		('clerk_rls_revocations', 'clerk.org_memberships', NULL),
		('clerk_rls_keys', 'clerk.instances', NULL),
		('clerk_rls_keys', 'clerk.jwks', NULL)
$$;
COMMENT ON FUNCTION clerk_internal.citus_published() IS 'the tables that the other nodes of a Citus cluster get from the coordinator; NULL: all columns';

-- Not for an apply worker, for which triggers do not fire. Citus also refuses to distribute what has triggers.
CREATE FUNCTION clerk_internal.follow_coordinator() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF EXISTS (SELECT FROM pg_subscription_rel JOIN pg_subscription ON pg_subscription.oid = srsubid
			WHERE srrelid = TG_RELID AND subname ^@ 'clerk_rls_') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'object_not_in_prerequisite_state',
			MESSAGE = format('%s is changed on the coordinator only', TG_RELID::regclass),
			DETAIL = 'This node gets it from there.';
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION clerk_internal.follow_coordinator() IS 'trigger: refuses changes on a node that gets the table from the coordinator of a Citus cluster';

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
	VALUES ('auto_explain.log_min_duration', '-1'), ('log_min_duration_sample', '-1'), ('log_min_duration_statement', '-1'), ('log_min_error_statement', 'panic'),
		('log_statement', 'none'), ('log_transaction_sample_rate', '0'), ('pg_stat_statements.track_utility', 'off'), ('track_activities', 'off')
$$;
COMMENT ON FUNCTION clerk_internal.citus_role_settings() IS 'what keeps tokens out of the log and the statistics of the nodes of a Citus cluster';

CREATE FUNCTION clerk_internal.has_database_setting(role oid, setting text, value text) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT EXISTS (SELECT FROM pg_db_role_setting
		WHERE setrole = role AND setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()) AND setting || '=' || value = ANY (setconfig))
$$;
COMMENT ON FUNCTION clerk_internal.has_database_setting(oid, text, text) IS 'whether ALTER ROLE, or ALTER DATABASE for role 0, has set this in the database';

CREATE FUNCTION clerk_internal.citus_session_statements() RETURNS SETOF text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT format('ALTER DATABASE %I SET citus.propagate_set_commands TO %L', current_database(), 'local')
	WHERE NOT clerk_internal.has_database_setting(0, 'citus.propagate_set_commands', 'local')
	UNION ALL
	-- so that it sees also the first statement of a session, whatever that calls
	SELECT format('ALTER DATABASE %I SET session_preload_libraries TO %s', current_database(),
		string_agg(quote_literal(btrim(library)), ', ') FILTER (WHERE library <> ''))
	FROM unnest(string_to_array(current_setting('session_preload_libraries'), ',') || '{clerk_rls}') AS library
	WHERE current_setting('shared_preload_libraries') || current_setting('session_preload_libraries') !~ '\mclerk_rls\M'
		AND NOT EXISTS (SELECT FROM pg_db_role_setting, unnest(setconfig) AS setting
			WHERE setrole = 0 AND setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
				AND setting ~ '^session_preload_libraries=.*\mclerk_rls\M')
	HAVING count(*) > 0
	UNION ALL
	SELECT format('ALTER ROLE %I LOGIN', rolname) FROM pg_roles WHERE rolname IN (SELECT clerk_internal.api_roles()) AND NOT rolcanlogin
	UNION ALL
	SELECT format('ALTER ROLE %I IN DATABASE %I SET %s TO %L', rolname, current_database(), setting, value)
	FROM pg_roles, clerk_internal.citus_role_settings()
	WHERE rolname IN (SELECT clerk_internal.api_roles()) AND NOT clerk_internal.has_database_setting(pg_roles.oid, setting, value)
$$;
COMMENT ON FUNCTION clerk_internal.citus_session_statements() IS 'the statements by which sessions of this node forward who the request is from, may be forwarded to, and keep tokens to themselves';

CREATE FUNCTION clerk_internal.citus_node_state() RETURNS jsonb
	-- the hashes are of what these make of a time
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET intervalstyle = 'postgres'
	AS $$
DECLARE
	counted record;
	found jsonb;
	tables jsonb := '{}';
BEGIN
	PERFORM clerk.is_authenticated();	-- loads the library, which knows the anonymous role
	FOR counted IN
		SELECT tab, coalesce('(SELECT c FROM (SELECT ' || columns || ') AS c)', 't') AS of_row
		FROM clerk_internal.citus_published()
	LOOP
		EXECUTE format('SELECT jsonb_build_object(''rows'', count(*), ''hash'','
			' sum(hashtextextended(to_jsonb(%s)::text, 0))) FROM %s AS t', counted.of_row, counted.tab) INTO found;
		tables := tables || jsonb_build_object(counted.tab, found);
	END LOOP;
	RETURN jsonb_build_object('tables', tables,
		'version', (SELECT extversion FROM pg_extension WHERE extname = 'clerk_rls'),
		'missing', (SELECT coalesce(jsonb_agg(statement), '[]') FROM clerk_internal.citus_session_statements() AS statement),
		'subscription', (
			SELECT jsonb_build_object('name', subname, 'enabled', subenabled,
				'publications', (SELECT count(*) FROM unnest(subpublications)),
				'copied', (SELECT count(*) FROM pg_subscription_rel WHERE srsubid = pg_subscription.oid AND srsubstate = 'r'),
				'errors', (SELECT apply_error_count + sync_error_count FROM pg_stat_get_subscription_stats(pg_subscription.oid)))
			FROM pg_subscription
			WHERE subname ^@ 'clerk_rls_' AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())));
END
$$;
COMMENT ON FUNCTION clerk_internal.citus_node_state() IS 'what a node of a Citus cluster has, and what it lacks';

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
COMMENT ON FUNCTION clerk_internal.is_citus_coordinator() IS 'whether this database is the coordinator''s of a Citus cluster';

CREATE FUNCTION clerk_internal.is_distributed_by(tab regclass, column_name name) RETURNS boolean
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	is_distributed boolean := false;
BEGIN
	IF to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL THEN
		EXECUTE 'SELECT EXISTS (SELECT FROM pg_catalog.pg_dist_partition WHERE logicalrelid = $1 AND partmethod <> ''n''
				AND pg_catalog.column_to_column_name(logicalrelid, partkey) = $2)'
			INTO is_distributed USING tab, column_name::text;
	END IF;
	RETURN is_distributed;
END
$$;
COMMENT ON FUNCTION clerk_internal.is_distributed_by(regclass, name) IS 'whether Citus distributes the rows of a table by this column';

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
COMMENT ON FUNCTION clerk_internal.check_citus_coordinator() IS 'raises anywhere but on the coordinator of a Citus cluster';

CREATE FUNCTION clerk_internal.citus_run(node_id integer, command text) RETURNS text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	answer record;
BEGIN
	EXECUTE 'SELECT nodename, nodeport, run.success, run.result FROM pg_catalog.pg_dist_node, LATERAL pg_catalog.master_run_on_worker(ARRAY[nodename], ARRAY[nodeport], ARRAY[$2], true) AS run WHERE nodeid = $1'
		INTO answer USING node_id, command;
	IF answer.success IS NOT TRUE THEN
		RAISE EXCEPTION USING
			ERRCODE = 'external_routine_exception',
			MESSAGE = format('node %s of the cluster has not done it', node_id),
			DETAIL = answer.result;
	END IF;
	RETURN answer.result;
END
$$;
COMMENT ON FUNCTION clerk_internal.citus_run(integer, text) IS 'runs a command on another node of the Citus cluster, outside of this transaction; raises if that fails';

CREATE FUNCTION clerk_internal.citus_nodes() RETURNS TABLE (id integer, node text, is_coordinator boolean, state jsonb, failure text, slot name)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	answer record;
BEGIN
	id := 0;
	node := 'coordinator';
	is_coordinator := true;
	state := clerk_internal.citus_node_state();
	RETURN NEXT;
	is_coordinator := false;
	FOR answer IN EXECUTE '
		SELECT nodeid, nodename, nodeport, isactive, run.success, run.result
		FROM pg_catalog.pg_dist_node
		LEFT JOIN LATERAL pg_catalog.master_run_on_worker(ARRAY[nodename], ARRAY[nodeport], ARRAY[$1], true) AS run ON isactive
		WHERE noderole = ''primary'' AND groupid <> 0 ORDER BY nodeid' USING 'SELECT clerk_internal.citus_node_state()'
	LOOP
		id := answer.nodeid;
		node := format('%s:%s', answer.nodename, answer.nodeport);
		slot := format('clerk_rls_%s_%s', (SELECT oid FROM pg_database WHERE datname = current_database()), id);
		state := CASE WHEN answer.success THEN answer.result::jsonb END;
		failure := CASE WHEN NOT answer.isactive THEN 'Citus has disabled the node' WHEN NOT answer.success THEN answer.result END;
		RETURN NEXT;
	END LOOP;
END
$$;
COMMENT ON FUNCTION clerk_internal.citus_nodes() IS 'the nodes of the Citus cluster with what they say of themselves';

-- What makes a node get everything: first nothing, then what is refused, then the keys.
CREATE FUNCTION clerk_internal.citus_node_statements(node_id integer, slot name, has_subscription boolean, connection text) RETURNS SETOF text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT format('SELECT clerk_internal.citus_run(%s, %L)', node_id, command)
	FROM (VALUES
		(has_subscription, format('ALTER SUBSCRIPTION %I DISABLE', slot)),
		(has_subscription, format('ALTER SUBSCRIPTION %I SET (slot_name = NONE)', slot)),
		(has_subscription, format('DROP SUBSCRIPTION %I', slot)),
		(true, 'SELECT clerk_internal.citus_forget()')) AS commands (is_due, command) WHERE is_due
	UNION ALL
	SELECT format('SELECT pg_drop_replication_slot(%L)', slot) FROM pg_replication_slots WHERE slot_name = slot
	UNION ALL
	SELECT format('SELECT clerk_internal.citus_run(%s, %L)', node_id, command)
	FROM (VALUES
		(format('CREATE SUBSCRIPTION %I CONNECTION %L PUBLICATION clerk_rls_revocations', slot, connection)),
		('SELECT clerk_internal.citus_await_copies()'),
		(format('ALTER SUBSCRIPTION %I ADD PUBLICATION clerk_rls_keys', slot)),
		('SELECT clerk_internal.citus_await_copies()')) AS commands (command)
$$;
COMMENT ON FUNCTION clerk_internal.citus_node_statements(integer, name, boolean, text) IS 'the statements by which a node of a Citus cluster gets what the coordinator has';

CREATE FUNCTION clerk_internal.citus_forget() RETURNS void
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
	AS $$
	DELETE FROM clerk.instances;
	DELETE FROM clerk.jwks;
	DELETE FROM clerk.revocations;
	DELETE FROM clerk.id_map;
	DELETE FROM clerk.org_memberships;
$$;
COMMENT ON FUNCTION clerk_internal.citus_forget() IS 'empties, on a node of a Citus cluster, what it then gets from the coordinator';

CREATE FUNCTION clerk_internal.citus_await_copies() RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	deadline constant timestamptz := clock_timestamp() + interval '60 seconds';
BEGIN
	WHILE EXISTS (SELECT FROM pg_subscription_rel JOIN pg_subscription ON pg_subscription.oid = srsubid
			WHERE subname ^@ 'clerk_rls_' AND srsubstate <> 'r') LOOP
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
COMMENT ON FUNCTION clerk_internal.citus_await_copies() IS 'waits until a node of a Citus cluster has what it was to get';

CREATE FUNCTION clerk_internal.without_propagation(statements text) RETURNS text
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT format('DO %L', format('BEGIN PERFORM set_config(''citus.enable_ddl_propagation'', ''off'', true); %s; END', statements))
$$;
COMMENT ON FUNCTION clerk_internal.without_propagation(text) IS 'the same statements, which Citus does not repeat on other nodes';

CREATE FUNCTION clerk_internal.citus_publication_statements() RETURNS SETOF text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	-- the other nodes need none
	SELECT clerk_internal.without_propagation(format('CREATE PUBLICATION %I FOR TABLE %s', publication,
		string_agg(tab::text || coalesce(' (' || columns || ')', ''), ', ')))
	FROM clerk_internal.citus_published()
	WHERE publication NOT IN (SELECT pubname FROM pg_publication)
	GROUP BY publication
$$;
COMMENT ON FUNCTION clerk_internal.citus_publication_statements() IS 'the statements by which the coordinator of a Citus cluster publishes what other nodes get';

CREATE FUNCTION clerk_internal.citus_replication(state jsonb, slot name) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT CASE
		WHEN state IS NULL THEN 'unknown'
		WHEN coalesce(state -> 'subscription', 'null') = 'null' THEN 'none'
		WHEN (state #>> '{subscription,publications}')::integer <> (SELECT count(DISTINCT publication) FROM clerk_internal.citus_published()) THEN 'incomplete'
		WHEN NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = slot AND wal_status <> 'lost') THEN 'lost'
		WHEN NOT (state #>> '{subscription,enabled}')::boolean THEN 'disabled'
		WHEN (state #>> '{subscription,copied}')::integer < (SELECT count(*) FROM clerk_internal.citus_published()) THEN 'copying'
		WHEN NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = slot AND active) THEN 'disconnected'
		ELSE 'streaming'
	END
$$;
COMMENT ON FUNCTION clerk_internal.citus_replication(jsonb, name) IS 'how the replication to a node of the Citus cluster is';

CREATE FUNCTION clerk.citus_setup(connection text DEFAULT NULL, anew boolean DEFAULT false) RETURNS SETOF text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	found_node record;
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
	IF connection IS NULL THEN
		EXECUTE 'SELECT format(''host=%s port=%s dbname=%s user=%s'', nodename, nodeport, current_database(), current_user) FROM pg_catalog.pg_dist_node WHERE groupid = 0 AND noderole = ''primary'''
			INTO connection;
	END IF;
	IF connection IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'object_not_in_prerequisite_state',
			MESSAGE = 'how other nodes connect to the coordinator is not known',
			HINT = 'Run SELECT citus_set_coordinator_host(''...''), or give the connection.';
	END IF;
	RETURN QUERY SELECT clerk_internal.citus_publication_statements();
	FOR found_node IN SELECT * FROM clerk_internal.citus_nodes() AS nodes ORDER BY nodes.id LOOP
		IF found_node.is_coordinator THEN
			here := found_node.state;
			RETURN QUERY SELECT jsonb_array_elements_text(here -> 'missing');
			CONTINUE;
		ELSIF found_node.state IS NULL AND found_node.failure ~ 'clerk_internal' THEN
			RETURN NEXT format('SELECT clerk_internal.citus_run(%s, %L)', found_node.id, 'CREATE EXTENSION clerk_rls');
		ELSIF found_node.state IS NULL THEN
			RETURN NEXT format('-- node %s does not answer: set it up when it does', found_node.id);
			CONTINUE;
		END IF;
		-- what the coordinator runs reaches the others by Citus
		RETURN QUERY SELECT format('SELECT clerk_internal.citus_run(%s, %L)', found_node.id,
				clerk_internal.without_propagation(string_agg(statement, '; ')))
			FROM jsonb_array_elements_text(found_node.state -> 'missing') AS statement
			WHERE NOT here -> 'missing' ? statement
			HAVING count(*) > 0;
		IF anew OR clerk_internal.citus_replication(found_node.state, found_node.slot) IN ('none', 'incomplete', 'lost') THEN
			RETURN QUERY SELECT clerk_internal.citus_node_statements(found_node.id, found_node.slot, found_node.state -> 'subscription' <> 'null', connection);
		END IF;
	END LOOP;
	RETURN QUERY SELECT format('SELECT pg_drop_replication_slot(%L)', slot_name)
		FROM pg_replication_slots
		WHERE slot_name ^@ format('clerk_rls_%s_', (SELECT oid FROM pg_database WHERE datname = current_database())) AND NOT active
			AND slot_name NOT IN (SELECT nodes.slot FROM clerk_internal.citus_nodes() AS nodes WHERE nodes.slot IS NOT NULL);
END
$$;
COMMENT ON FUNCTION clerk.citus_setup(text, boolean) IS
	'the statements that are missing so that every node of a Citus cluster verifies for itself, to be run one by one (\gexec): on the coordinator, after each citus_add_node(); anew: every node gets all of it again';

CREATE FUNCTION clerk.citus_status() RETURNS TABLE (node text, version text, instances bigint, keys bigint, revocations bigint, mapped_ids bigint,
	memberships bigint, replication text, lag_bytes numeric, problem text, fix text)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	PERFORM clerk_internal.check_citus_coordinator();
	RETURN QUERY
	WITH nodes AS MATERIALIZED (
		SELECT * FROM clerk_internal.citus_nodes()
	), judged AS (
		SELECT nodes.*, lag.bytes, CASE WHEN NOT nodes.is_coordinator THEN clerk_internal.citus_replication(nodes.state, nodes.slot) END AS replication,
			coordinator.state AS reference
		FROM nodes
		JOIN nodes AS coordinator ON coordinator.is_coordinator
		LEFT JOIN LATERAL (SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn) FROM pg_replication_slots WHERE slot_name = nodes.slot) AS lag (bytes) ON true
	)
	SELECT judged.node, judged.state ->> 'version', (judged.state #>> '{tables,clerk.instances,rows}')::bigint, (judged.state #>> '{tables,clerk.jwks,rows}')::bigint,
		(judged.state #>> '{tables,clerk.revocations,rows}')::bigint, (judged.state #>> '{tables,clerk.id_map,rows}')::bigint,
		(judged.state #>> '{tables,clerk.org_memberships,rows}')::bigint, judged.replication, judged.bytes, found.problem, found.fix
	FROM judged LEFT JOIN LATERAL (
		SELECT * FROM (VALUES
			(judged.failure IS NOT NULL, coalesce(judged.failure, ''), 'SELECT clerk.citus_setup()'),
			(judged.state ->> 'version' <> judged.reference ->> 'version', 'it has another version of clerk_rls than the coordinator', 'ALTER EXTENSION clerk_rls UPDATE'),
			(judged.replication IN ('none', 'incomplete', 'lost'), 'it does not follow the coordinator', 'SELECT clerk.citus_setup()'),
			(judged.replication IN ('disabled', 'copying', 'disconnected'), 'it does not follow the coordinator at this moment'
				|| coalesce('; errors: ' || nullif(judged.state #>> '{subscription,errors}', '0'), ''),
				CASE judged.replication WHEN 'disabled' THEN format('ALTER SUBSCRIPTION %I ENABLE', judged.slot) ELSE 'SELECT * FROM clerk.citus_status()' END),
			(judged.state -> 'tables' <> judged.reference -> 'tables', format('it has other rows than the coordinator: %s',
				(SELECT string_agg(mine.key, ', ' ORDER BY mine.key) FROM jsonb_each(judged.state -> 'tables') AS mine WHERE mine.value <> judged.reference -> 'tables' -> mine.key)),
				'SELECT clerk.citus_setup(anew => true)'),
			(judged.state -> 'missing' <> '[]', 'its sessions lack settings: ' || (judged.state #>> '{missing,0}') || ' ...', 'SELECT clerk.citus_setup()')
		) AS problems (is_there, problem, fix) WHERE is_there LIMIT 1
	) AS found ON true
	ORDER BY judged.id;
END
$$;
COMMENT ON FUNCTION clerk.citus_status() IS 'each node of the Citus cluster: what it has, how far it is behind the coordinator, and what is wrong';

CREATE FUNCTION clerk_internal.audit_citus() RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL THEN
		RETURN QUERY EXECUTE $find$
			SELECT 'error', 'citus-table', format('table %s', logicalrelid), 'Citus has taken its rows elsewhere, so it counts as unreadable: nobody is signed in, or has a local id',
				format('SELECT undistribute_table(%L)', logicalrelid::regclass)
			FROM pg_catalog.pg_dist_partition JOIN pg_catalog.pg_depend ON objid = logicalrelid AND classid = 'pg_class'::regclass AND deptype = 'e'
				AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'clerk_rls')
		$find$;
	END IF;
	IF clerk_internal.is_citus_coordinator() THEN
		RETURN QUERY SELECT 'error', 'citus-node', format('node %s', status.node), status.problem, status.fix FROM clerk.citus_status() AS status WHERE status.problem IS NOT NULL;
	END IF;
END
$$;
COMMENT ON FUNCTION clerk_internal.audit_citus() IS 'what clerk.audit() finds in a Citus cluster';
