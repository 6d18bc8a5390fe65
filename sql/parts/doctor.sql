--
-- doctor.sql
--		What must be right before going live: instances, roles, PostgREST, the server.
--
-- Uses library, instances, stats, supabase, upkeep, roles, audit.
--

CREATE FUNCTION clerk_internal.doctor_instances() RETURNS TABLE (subject text, outcome text, advice text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH instance AS (
		SELECT i.issuer, i.publishable_key, i.authorized_parties, health.*,
			(SELECT sum(s.tokens) FROM clerk.stats AS s
				WHERE s.issuer = i.issuer AND s.reason = 'token-invalid-authorized-parties') AS wrong_parties
		FROM clerk.instances AS i JOIN clerk.health() AS health (id) ON health.id = i.issuer
	)
	SELECT 'instances: none', 'error', 'Register one: SELECT clerk.add_instance(''pk_live_...'')'
	WHERE NOT EXISTS (SELECT FROM clerk.instances)
	UNION ALL
	SELECT * FROM (
		SELECT format('keys of %s: %s current, %s retiring', issuer, current_keys, retiring_keys), CASE
				WHEN current_keys + retiring_keys = 0 THEN 'error'
				WHEN unknown_kid_at > greatest(refreshed_at, now() - interval '1 day') THEN 'warning'
				ELSE 'ok' END, CASE
				WHEN current_keys + retiring_keys = 0
					THEN format('Load them: SELECT * FROM clerk.refresh_jwks(%L)', issuer)
				WHEN unknown_kid_at > greatest(refreshed_at, now() - interval '1 day')
					THEN format('A token named a key that is not here: SELECT * FROM clerk.refresh_jwks(%L)',
						issuer) END
		FROM instance ORDER BY issuer) AS keys
	UNION ALL
	SELECT * FROM (
		SELECT format('refresh of the keys of %s', issuer), CASE
				WHEN refresh_failure IS NOT NULL THEN 'error'
				WHEN coalesce(refreshed_at < now() - interval '1 day', true) THEN 'warning'
				ELSE 'ok' END, CASE
				WHEN refresh_failure IS NOT NULL THEN format('Fetching them has failed: %s', refresh_failure)
				WHEN coalesce(refreshed_at < now() - interval '1 day', true)
					THEN 'Nothing in the database has fetched them for a day, so a new key locks people out: '
						|| 'SELECT clerk.schedule_jwks_refresh(''5 minutes''), or load them from cron' END
		FROM instance ORDER BY issuer) AS refreshes
	UNION ALL
	SELECT * FROM (
		SELECT format('authorized parties of %s: %s', issuer,
			coalesce(array_to_string(authorized_parties, ', '), 'any')), CASE
				WHEN authorized_parties IS NULL OR wrong_parties > 0 THEN 'warning' ELSE 'ok' END, CASE
				WHEN authorized_parties IS NULL
					THEN 'A token that was made for any other site counts: set authorized_parties of the '
						|| 'instance to the origins of your application'
				WHEN wrong_parties > 0
					THEN format('%s tokens were made for another site and refused: whose was it?',
						wrong_parties) END
		FROM instance ORDER BY issuer) AS parties
	UNION ALL
	SELECT * FROM (
		SELECT format('webhooks of %s', issuer), CASE
				WHEN webhook_secrets = 0 OR coalesce(last_event_at < now() - interval '7 days', true)
					THEN 'warning' ELSE 'ok' END, CASE
				WHEN webhook_secrets = 0
					THEN 'It has no secret, so bans and logouts come only when a token expires: '
					|| 'SELECT clerk.expose_webhook(''public''), and clerk.add_webhook_secret()'
				WHEN last_event_at IS NULL THEN 'None has ever come: send an example from Clerk''s Dashboard'
				WHEN last_event_at < now() - interval '7 days'
					THEN 'None has come for a week: look at the endpoint in Clerk''s Dashboard' END
		FROM instance ORDER BY issuer) AS webhooks
	UNION ALL
	SELECT * FROM (
		SELECT format('development instance %s', issuer), 'warning',
			format('Whoever signs up there is a user here: SELECT clerk.drop_instance(%L)', issuer)
		FROM instance WHERE publishable_key ^@ 'pk_test_' OR issuer ~ '\.clerk\.accounts\.dev/?$'
			ORDER BY issuer) AS development
	UNION ALL
	SELECT 'clerk_rls_test', 'error', 'It signs in anybody: DROP ' || CASE
			WHEN EXISTS (SELECT FROM pg_extension WHERE extname = 'clerk_rls_test')
			THEN 'EXTENSION clerk_rls_test' ELSE 'SCHEMA clerk_test CASCADE' END
	WHERE to_regclass('clerk_test.private_key') IS NOT NULL
$$;
COMMENT ON FUNCTION clerk_internal.doctor_instances()
	IS 'what clerk.doctor() says of instances, their keys and webhooks';

CREATE FUNCTION clerk_internal.authenticators() RETURNS TABLE (role name, seen text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH connected AS (
		-- PostgREST says its name in some versions, and listens for changes in all
		SELECT usename, 'connected'
			|| coalesce(' as ' || max(substring(application_name FROM '^PostgREST [0-9.]+')), '') AS seen
		FROM pg_stat_activity
		WHERE datname = current_database()
			AND (application_name ^@ 'PostgREST ' OR query ~* '^\s*LISTEN "?pgrst"?;?\s*$')
		GROUP BY usename
	), able AS (
		SELECT rolname FROM pg_roles
		WHERE rolcanlogin AND NOT rolsuper AND rolname NOT IN (SELECT clerk_internal.api_roles())
			AND pg_has_role(oid, to_regrole(quote_ident(clerk_internal.anon_role())), 'MEMBER')
			-- who administers an instance of Supabase can become these roles as well
			AND oid <> (SELECT nspowner FROM pg_namespace WHERE nspname = 'clerk')
	)
	SELECT usename, seen FROM connected
	UNION ALL
	-- others that can are people, and services such as Storage
	SELECT rolname, NULL FROM able
	WHERE NOT EXISTS (SELECT FROM connected)
		AND (rolname = 'authenticator' OR NOT EXISTS (SELECT FROM able WHERE rolname = 'authenticator'))
	ORDER BY 1
$$;
COMMENT ON FUNCTION clerk_internal.authenticators() IS
	'the roles as which PostgREST is connected; if none, authenticator, or those that can log in and become '
		'the anonymous one';

CREATE FUNCTION clerk_internal.doctor_roles() RETURNS TABLE (subject text, outcome text, advice text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH version AS (
		SELECT current_setting('server_version_num')::int >= 160000 AS has_set_option
	), api AS (
		SELECT named.role, r.oid, rolsuper, rolbypassrls, rolcanlogin
		FROM (SELECT clerk_internal.anon_role()::name
			UNION SELECT i.role FROM clerk.instances AS i WHERE i.role IS NOT NULL) AS named (role)
		LEFT JOIN pg_roles AS r ON r.rolname = named.role
	)
	SELECT * FROM (
		SELECT format('role %I, as which requests run', role), CASE
				WHEN oid IS NULL OR rolsuper OR rolbypassrls THEN 'error'
				WHEN rolcanlogin THEN 'warning'
				ELSE 'ok' END, CASE
				WHEN oid IS NULL THEN format('It does not exist: CREATE ROLE %I', role)
				WHEN rolsuper OR rolbypassrls
					THEN format('No policy counts for it: ALTER ROLE %I NOSUPERUSER NOBYPASSRLS', role)
				WHEN rolcanlogin THEN format('It needs no login: ALTER ROLE %I NOLOGIN', role) END
		FROM api ORDER BY role) AS roles
	UNION ALL
	SELECT 'role of PostgREST: none', 'warning', 'No role can log in and become the anonymous one: '
			|| format('CREATE ROLE authenticator LOGIN NOINHERIT; GRANT %s TO authenticator',
				(SELECT string_agg(quote_ident(role), ', ' ORDER BY role) FROM api))
	WHERE NOT EXISTS (SELECT FROM clerk_internal.authenticators())
	UNION ALL
	SELECT * FROM (
		SELECT concat_ws(', ', format('role of PostgREST: %I', a.role), seen), CASE
				WHEN rolsuper OR rolbypassrls OR refused IS NOT NULL THEN 'error'
				WHEN inherited IS NOT NULL THEN 'warning'
				ELSE 'ok' END, CASE
				WHEN rolsuper OR rolbypassrls
					THEN format('It is above all policies: ALTER ROLE %I NOSUPERUSER NOBYPASSRLS', a.role)
				WHEN refused IS NOT NULL
					THEN format('It cannot run requests as them: GRANT %s TO %I', refused, a.role)
				WHEN inherited IS NOT NULL THEN format('It has their rights before it becomes one of them: '
					|| CASE WHEN has_set_option THEN 'GRANT %s TO %I WITH INHERIT FALSE'
						ELSE 'ALTER ROLE %2$I NOINHERIT' END, inherited, a.role) END
		FROM clerk_internal.authenticators() AS a JOIN pg_roles AS r ON r.rolname = a.role, version, LATERAL (
			SELECT string_agg(quote_ident(api.role), ', ' ORDER BY api.role)
					FILTER (WHERE NOT pg_has_role(r.oid, api.oid,
						CASE WHEN has_set_option THEN 'SET' ELSE 'MEMBER' END)),
				string_agg(quote_ident(api.role), ', ' ORDER BY api.role)
					FILTER (WHERE pg_has_role(r.oid, api.oid, 'USAGE'))
			FROM api WHERE api.oid IS NOT NULL) AS membership (refused, inherited)
		ORDER BY a.role) AS postgrest
$$;
COMMENT ON FUNCTION clerk_internal.doctor_roles()
	IS 'what clerk.doctor() says of the roles of requests and of PostgREST';

CREATE FUNCTION clerk_internal.doctor_postgrest() RETURNS TABLE (subject text, outcome text, advice text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH setting AS (
		-- PostgREST reads what is set for its role; the setting for this database goes before that for all
		SELECT DISTINCT ON (a.role, parts[1]) a.role, parts[1] AS name, parts[2] AS value
		FROM clerk_internal.authenticators() AS a
		JOIN pg_db_role_setting AS s ON s.setrole = to_regrole(quote_ident(a.role))
			AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())),
			unnest(s.setconfig) AS line, regexp_match(line, '^(pgrst\.[a-z_]+)=(.*)$') AS parts
		WHERE parts IS NOT NULL
		ORDER BY a.role, parts[1], s.setdatabase DESC
	), wanted AS (
		SELECT a.role, w.name, setting.value, w.mine, w.otherwise
		FROM clerk_internal.authenticators() AS a CROSS JOIN (VALUES
			('pgrst.db_pre_request', 'clerk.pre_request',
				'Without it, requests keep the anonymous role, and a bad token is silently nobody'),
			('pgrst.db_pre_config', CASE WHEN EXISTS (SELECT FROM clerk.supabase_keys)
				THEN 'clerk.supabase_pre_config' ELSE 'clerk.pre_config' END,
				'Without it, PostgREST needs the keys as jwt-secret')
		) AS w (name, mine, otherwise) LEFT JOIN setting ON setting.role = a.role AND setting.name = w.name
	)
	SELECT * FROM (
		SELECT format('%s of %I: %s', name, role, coalesce(value, 'not set here')), CASE
				WHEN value IS NULL THEN 'unknown' WHEN calls THEN 'ok' ELSE 'error' END, CASE
				WHEN value IS NULL THEN format('Look into the configuration of PostgREST: %s = "%s". %s',
					replace(substr(name, 7), '_', '-'), mine, otherwise)
				WHEN NOT calls
					THEN format('%s: ALTER ROLE %I SET %s = %L, or call it there',
						otherwise, role, name, mine) END
		-- compared as text, since PostgreSQL raises for what is no name
		FROM wanted, LATERAL (SELECT value = mine OR EXISTS (
			SELECT FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace
			WHERE value IN (proname, concat(nspname, '.', proname), quote_ident(proname),
					concat(quote_ident(nspname), '.', quote_ident(proname)))
				AND position(mine IN concat(prosrc, pg_get_function_sqlbody(p.oid))) > 0)) AS c (calls)
		ORDER BY role, name DESC) AS functions
	UNION ALL
	SELECT format('pgrst.db_anon_role of %I: %s', role, value), 'error',
		format('Both must name the same role: ALTER ROLE %I SET clerk.anon_role = %L', role, value)
	FROM setting WHERE name = 'pgrst.db_anon_role' AND value <> clerk_internal.anon_role()
	UNION ALL
	SELECT format('pgrst.db_schemas of %I: %s', role, value), 'error',
		'Schema clerk is for the database, not for requests: take it out'
	FROM setting WHERE name IN ('pgrst.db_schemas', 'pgrst.db_schema') AND value ~ '\mclerk(_internal)?\M'
$$;
COMMENT ON FUNCTION clerk_internal.doctor_postgrest()
	IS 'what clerk.doctor() can see of the configuration of PostgREST';

CREATE FUNCTION clerk_internal.doctor_access() RETURNS TABLE (subject text, outcome text, advice text)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF NOT has_table_privilege('pg_catalog.pg_hba_file_rules', 'SELECT')
		OR NOT has_function_privilege('pg_catalog.pg_hba_file_rules()', 'EXECUTE') THEN
		RETURN QUERY VALUES ('pg_hba.conf', 'unknown',
			'This role may not read it: look for lines with trust and password');
		RETURN;
	END IF;
	RETURN QUERY
		WITH rule AS (
			SELECT format('pg_hba.conf, line %s', rule.line_number) AS place, rule.error,
				concat_ws(' ', rule.type, array_to_string(rule.database, ','),
					array_to_string(rule.user_name, ','), rule.address, rule.auth_method) AS line,
				CASE
					-- a line that could not be read, or one that can never match
					WHEN rule.error IS NOT NULL AND rule.type IS NULL THEN 'error'
					WHEN rule.error IS NOT NULL THEN 'warning'
					WHEN rule.auth_method = 'trust' AND rule.type <> 'local'
						AND rule.address <> ALL ('{127.0.0.1,::1,localhost,samehost}') THEN 'error'
					WHEN rule.auth_method = 'trust' THEN 'warning'
					WHEN rule.auth_method = 'password' AND rule.type IN ('host', 'hostnossl') THEN 'warning'
				END AS outcome, rule.auth_method, rule.line_number
			FROM pg_hba_file_rules AS rule
			-- who connects for replication runs no queries
			WHERE rule.error IS NOT NULL OR rule.database <> '{replication}'
		)
		SELECT concat_ws(': ', rule.place, nullif(rule.line, '')), rule.outcome, CASE
			WHEN rule.error IS NOT NULL THEN rule.error
			WHEN rule.outcome = 'error'
				THEN 'Whoever reaches this port is any role, a superuser as well: scram-sha-256, not trust'
			WHEN rule.auth_method = 'trust'
				THEN 'Whoever is on this machine is any role: peer or scram-sha-256, not trust'
			ELSE 'Passwords cross the network as they are: scram-sha-256, not password' END
		FROM rule WHERE rule.outcome IS NOT NULL ORDER BY rule.line_number;
	IF NOT FOUND THEN
		RETURN QUERY VALUES ('pg_hba.conf', 'ok', NULL);
	END IF;
END
$$;
COMMENT ON FUNCTION clerk_internal.doctor_access() IS 'what clerk.doctor() says of pg_hba.conf';

CREATE FUNCTION clerk_internal.doctor_server() RETURNS TABLE (subject text, outcome text, advice text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH setting AS (
		SELECT current_setting('log_parameter_max_length') <> '0'
			AND (current_setting('log_statement') = 'all'
				OR current_setting('log_min_duration_statement') <> '-1'
				OR current_setting('log_min_duration_sample') <> '-1'
				OR current_setting('log_transaction_sample_rate') <> '0') AS shows_tokens,
			current_setting('server_version_num')::int < 170000
				AND EXISTS (SELECT FROM pg_extension WHERE extname = 'clerk_rls') AS needs_preloading,
			(SELECT s.setting ~ '\mclerk_rls\M' FROM pg_settings AS s
				WHERE name = 'shared_preload_libraries') AS is_preloaded
	)
	SELECT 'statements in the log', CASE WHEN shows_tokens THEN 'warning' ELSE 'ok' END,
		CASE WHEN shows_tokens THEN 'The log shows the headers of requests, and tokens in them: '
			|| 'ALTER SYSTEM SET log_parameter_max_length = 0; SELECT pg_reload_conf()' END
	FROM setting
	UNION ALL
	SELECT 'shared_preload_libraries', CASE
			WHEN NOT needs_preloading OR is_preloaded THEN 'ok'
			WHEN is_preloaded IS NULL THEN 'unknown'
			ELSE 'warning' END, CASE
			WHEN needs_preloading AND is_preloaded IS NOT TRUE
				THEN 'Before PostgreSQL 17, clerk.stats is empty unless clerk_rls is in it' END
	FROM setting
	UNION ALL
	SELECT format('audit: errors %s, warnings %s', errors, warnings), CASE
			WHEN errors > 0 THEN 'error'
			WHEN warnings > 0 THEN 'warning'
			ELSE 'ok' END,
		CASE WHEN errors + warnings > 0
			THEN 'Each has a statement that fixes it: SELECT * FROM clerk.audit()' END
	FROM (
		SELECT count(*) FILTER (WHERE a.severity = 'error'), count(*) FILTER (WHERE a.severity = 'warning')
		FROM clerk.audit() AS a) AS found (errors, warnings)
$$;
COMMENT ON FUNCTION clerk_internal.doctor_server()
	IS 'what clerk.doctor() says of the settings of the server, and of the findings of clerk.audit()';

-- SECURITY DEFINER, as clerk.audit().
CREATE FUNCTION clerk.doctor() RETURNS TABLE ("check" text, outcome text, "what to do" text)
	LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	PERFORM clerk.is_authenticated();	-- loads the library, which knows the setting
	RETURN QUERY
		WITH checks AS MATERIALIZED (
			SELECT * FROM clerk_internal.doctor_instances()
			UNION ALL SELECT * FROM clerk_internal.doctor_roles()
			UNION ALL SELECT * FROM clerk_internal.doctor_postgrest()
			UNION ALL SELECT * FROM clerk_internal.doctor_access()
			UNION ALL SELECT * FROM clerk_internal.doctor_server()
		)
		SELECT c.subject, c.outcome, c.advice
		FROM (SELECT *, row_number() OVER () AS n FROM checks) AS c
		ORDER BY array_position('{error,warning,unknown,ok}', c.outcome), c.n;
END
$$;
COMMENT ON FUNCTION clerk.doctor() IS
	'what must be right before going live, each with what to do: error, warning, unknown or ok';
