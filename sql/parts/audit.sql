--
-- audit.sql
--		What will not do what it seems to: tables, policies, functions, roles, instances.
--
-- Uses library, instances, refresh, shim, webhook, supabase, upkeep, roles, protect, citus.
--

CREATE FUNCTION clerk_internal.is_audited(catalog regclass, object oid, schema oid) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT schema::regnamespace::text !~ '^(pg_|information_schema$)' AND NOT EXISTS (
		SELECT FROM pg_depend WHERE classid = catalog AND objid = object AND refclassid = 'pg_extension'::regclass AND deptype = 'e')
$$;
COMMENT ON FUNCTION clerk_internal.is_audited(regclass, oid, oid) IS 'whether an object is the application''s, not PostgreSQL''s or an extension''s';

CREATE FUNCTION clerk_internal.is_unverified(function text) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT to_regprocedure(function) IS NOT NULL AND NOT clerk_internal.is_auth_shim(to_regprocedure(function)) $$;
COMMENT ON FUNCTION clerk_internal.is_unverified(text) IS 'whether a function of schema auth is not that of clerk.install_auth_shim()';

-- As PostgreSQL prints an expression, and near enough as people write one.
CREATE FUNCTION clerk_internal.verified_expression(expression text) RETURNS text
	LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	claim constant text := 'current_setting\s*\(\s*''request\.jwt\.%s''(?:::text)?\s*(?:,\s*(?:true|false)\s*)?\)';
	claims constant text := format(claim, 'claims');
	rule record;
BEGIN
	FOR rule IN
		SELECT * FROM (VALUES
			('\((?:NULLIF\()?' || claims || '(?:, ''''::text\))?\)::jsonb?', 'clerk.jwt()'),
			(claims, '(clerk.jwt())::text'),
			(format(claim, 'claim\.sub'), 'clerk.uid()'),
			('NULLIF\(clerk\.uid\(\), ''''::text\)', 'clerk.uid()'),
			(format(claim, 'claim\.(\w+)'), 'clerk.claim(''\1'')'),
			('\mauth\.jwt\(\)', 'clerk.jwt()'),
			('\mauth\.uid\(\)', 'clerk.mapped_id()'),
			('\mauth\.email\(\)', 'clerk.claim(''email'')'),
			('\mauth\.role\(\)', '(CURRENT_USER)::text'),
			('\( SELECT clerk\.jwt\(\) AS \w+\)', 'clerk.jwt()'),
			('\(clerk\.jwt\(\) ->> ''sub''::text\)', 'clerk.uid()'),
			('\(clerk\.jwt\(\) ->> ''(?:o\.id|org_id)''::text\)', 'clerk.org_id()'),
			('->> ''o\.(\w+)''::text', '#>> ''{o,\1}''::text[]'),
			('\((?:\( SELECT )?clerk\.uid\(\)(?: AS \w+)?\)?\)::uuid', 'clerk.mapped_id()')
		) AS rules (pattern, replacement)
	LOOP
		expression := regexp_replace(expression, rule.pattern, rule.replacement, 'g');
	END LOOP;
	RETURN expression;
END
$$;
COMMENT ON FUNCTION clerk_internal.verified_expression(text) IS
	'an expression that asks clerk.uid() and the like where it asked request.jwt.claims, or the functions of Supabase Auth';

CREATE FUNCTION clerk_internal.audit_tables() RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH tables AS (
		SELECT pg_class.*, pg_class.oid::regclass AS tab, EXISTS (SELECT FROM pg_policy WHERE polrelid = pg_class.oid) AS has_policy,
			clerk_internal.roles_reaching(pg_class.oid, CASE WHEN relkind IN ('r', 'p') THEN 'SELECT, INSERT, UPDATE, DELETE' ELSE 'SELECT' END) AS roles
		FROM pg_class
		WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND clerk_internal.is_audited('pg_class', pg_class.oid, relnamespace)
	)
	SELECT 'error', 'rls-disabled', format('table %s', tab),
		format('%s can reach it, and row-level security is off%s', roles, CASE WHEN has_policy THEN ', so its policies do nothing' ELSE '' END),
		format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', tab)
	FROM tables WHERE relkind IN ('r', 'p') AND NOT relrowsecurity AND roles IS NOT NULL
	UNION ALL
	SELECT 'warning', 'rls-without-policy', format('table %s', tab), format('%s can reach it, and sees no row, as it has no policy', roles),
		format('SELECT clerk.protect(%L, owner => %L, dry_run => false)', tab, 'user_id')
	FROM tables WHERE relkind IN ('r', 'p') AND relrowsecurity AND NOT has_policy AND roles IS NOT NULL
	UNION ALL
	SELECT 'error', 'view-of-owner', format('view %s', tab),
		format('%s can read it, and it reads with the rights of its owner, for whom policies may not count', roles),
		format('ALTER VIEW %s SET (security_invoker = true)', tab)
	FROM tables
	WHERE relkind = 'v' AND roles IS NOT NULL
		AND NOT EXISTS (SELECT FROM pg_options_to_table(reloptions) WHERE option_name = 'security_invoker' AND option_value::boolean)
	UNION ALL
	SELECT 'error', CASE relkind WHEN 'm' THEN 'materialized-view' ELSE 'foreign-table' END,
		format('%s %s', CASE relkind WHEN 'm' THEN 'materialized view' ELSE 'foreign table' END, tab),
		format('%s can read it, and it cannot have policies', roles), format('REVOKE ALL ON %s FROM PUBLIC, %s', tab, roles)
	FROM tables WHERE relkind IN ('m', 'f') AND roles IS NOT NULL
	UNION ALL
	SELECT 'error', 'role-owns-table', format('table %s', tab), format('role %I owns it, so no policy counts for that role', role),
		format('ALTER TABLE %s OWNER TO %I', tab, current_user)
	FROM tables, clerk_internal.api_roles() AS role, pg_roles
	WHERE relkind IN ('r', 'p') AND NOT relforcerowsecurity AND rolname = role AND NOT rolsuper AND pg_has_role(role, relowner, 'USAGE')
$$;
COMMENT ON FUNCTION clerk_internal.audit_tables() IS 'what clerk.audit() finds in tables and views';

CREATE FUNCTION clerk_internal.audited_policies()
	RETURNS TABLE (id oid, tab regclass, object text, is_permissive boolean, is_public boolean, expression text, alter_policy text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT pg_policy.oid, polrelid::regclass, format('policy %I on %s', polname, polrelid::regclass), polpermissive, polroles = '{0}',
		concat_ws(' ', qual, with_check), format('ALTER POLICY %I ON %s', polname, polrelid::regclass),
		format('ALTER POLICY %I ON %s', polname, polrelid::regclass)
			|| coalesce(' USING (' || clerk_internal.verified_expression(qual) || ')', '')
			|| coalesce(' WITH CHECK (' || clerk_internal.verified_expression(with_check) || ')', '')
	FROM pg_policy JOIN pg_class ON pg_class.oid = polrelid,
		pg_get_expr(polqual, polrelid) AS qual, pg_get_expr(polwithcheck, polrelid) AS with_check
	WHERE clerk_internal.is_audited('pg_class', polrelid, relnamespace)
$$;
COMMENT ON FUNCTION clerk_internal.audited_policies() IS 'the policies of the application, as clerk.audit() looks at them';

CREATE FUNCTION clerk_internal.audit_policies() RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT 'error', 'auth-uid', object, 'auth.uid() is not that of clerk.install_auth_shim(): it casts "sub" to uuid, which fails for Clerk ids, and verifies nothing', fix
	FROM clerk_internal.audited_policies() WHERE expression ~ '\mauth\.uid\(\)' AND clerk_internal.is_unverified('auth.uid()')
	UNION ALL
	SELECT 'error', 'sub-as-uuid', object, 'it casts a Clerk id such as user_2abc... to uuid, which fails', fix
	FROM clerk_internal.audited_policies()
	WHERE expression ~ '(''sub''::text|''request\.jwt\.claim\.sub''::text(, (true|false))?|clerk\.uid\()([])]|, ''''::text| AS \w+)*::uuid'
	UNION ALL
	SELECT 'error', 'claim-path', object, 'a claim is not found by a path with dots, so this is NULL always', fix
	FROM clerk_internal.audited_policies() WHERE expression ~ '->>? ''o\.\w+''::text'
	UNION ALL
	SELECT 'error', 'unverified-claims', object, 'it believes request.jwt.claims, which whoever can run SQL can set', fix
	FROM clerk_internal.audited_policies()
	WHERE expression ~ 'current_setting\(''request\.jwt\.claim'
		OR (expression ~ '\mauth\.jwt\(\)' AND clerk_internal.is_unverified('auth.jwt()'))
		OR (expression ~ '\mauth\.role\(\)' AND clerk_internal.is_unverified('auth.role()'))
		OR (expression ~ '\mauth\.email\(\)' AND clerk_internal.is_unverified('auth.email()'))
	UNION ALL
	SELECT DISTINCT 'error', 'unverified-claims', format('function %s', proc.oid::regprocedure),
		'policies call it, and it believes request.jwt.claims, which whoever can run SQL can set', clerk_internal.verified_expression(pg_get_functiondef(proc.oid))
	FROM clerk_internal.audited_policies() AS policy
	JOIN pg_depend AS d ON d.classid = 'pg_policy'::regclass AND d.objid = policy.id AND d.refclassid = 'pg_proc'::regclass
	JOIN pg_proc AS proc ON proc.oid = d.refobjid AND prokind = 'f' AND pronamespace::regnamespace::text <> 'auth'
	WHERE clerk_internal.is_audited('pg_proc', proc.oid, pronamespace) AND concat(prosrc, pg_get_function_sqlbody(proc.oid)) ~ 'current_setting\s*\(\s*''request\.jwt\.claim'
	UNION ALL
	SELECT 'notice', 'policy-for-public', object, 'it is for every role, the anonymous one as well', alter_policy || ' TO ' || roles
	FROM clerk_internal.audited_policies(),
		(SELECT string_agg(quote_ident(role), ', ' ORDER BY role) FROM clerk_internal.api_roles() AS role WHERE role <> current_setting('clerk.anon_role')) AS signed_in (roles)
	WHERE is_permissive AND is_public AND roles IS NOT NULL
$$;
COMMENT ON FUNCTION clerk_internal.audit_policies() IS 'what clerk.audit() finds in policies';

CREATE FUNCTION clerk_internal.audit_presets() RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT DISTINCT 'error', 'reverification-unknown', object,
		format('has_reverified(''%s'') is false always; it must be one of: %s', call[1], array_to_string(known, ', ')), NULL
	FROM clerk_internal.audited_policies(), regexp_matches(expression, 'clerk\.has_reverified\(''((?:[^'']|'''')*)''::text(,?)', 'g') AS call,
		LATERAL (SELECT CASE call[2] WHEN '' THEN '{strict_mfa,strict,moderate,lax}' ELSE '{first_factor,second_factor,multi_factor}' END::text[]) AS names (known)
	WHERE call[1] <> ALL (known)
$$;
COMMENT ON FUNCTION clerk_internal.audit_presets() IS 'what clerk.audit() finds that policies ask of has_reverified(), and Clerk does not know';

CREATE FUNCTION clerk_internal.audit_indexes() RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT DISTINCT 'warning', 'index-missing', format('table %s', tab), format('policies compare %I with the caller, and no index begins with it', attname),
		format('CREATE INDEX ON %s (%I)', tab, attname)
	FROM (VALUES ('("(?:[^"]|"")+"|\w+)', 'clerk\.(?:uid|org_id|mapped_id|mapped_bigint|mapped_text|mapped_org_id|mapped_org_bigint|mapped_org_text)\(\)')) AS side (col, caller),
		LATERAL (VALUES ('(?:^|[( ])' || col || '\)?(?:::\w+)? = (?:\( SELECT )?' || caller),
			(caller || '(?: AS \w+\))? = \(?' || col || '(?![\w.])')) AS comparison (pattern),
		clerk_internal.audited_policies(), regexp_matches(expression, pattern, 'g') AS compared
	JOIN pg_attribute ON attnum > 0 AND quote_ident(attname) = compared[1]
	WHERE attrelid = tab AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = tab AND indisvalid AND indkey[0] = attnum)
$$;
COMMENT ON FUNCTION clerk_internal.audit_indexes() IS 'what clerk.audit() finds missing for policies to be fast';

CREATE FUNCTION clerk_internal.audit_functions() RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH callable AS (
		SELECT proc.oid::regprocedure AS function, proconfig, pronamespace, pg_get_functiondef(proc.oid) AS definition, callers.roles
		FROM pg_proc AS proc JOIN pg_language AS language ON language.oid = prolang, LATERAL (
			SELECT string_agg(quote_ident(role), ', ' ORDER BY role) FROM clerk_internal.api_roles() AS role
			WHERE has_schema_privilege(role, pronamespace, 'USAGE') AND has_function_privilege(role, proc.oid, 'EXECUTE')) AS callers (roles)
		WHERE prosecdef AND prokind IN ('f', 'p') AND lanname NOT IN ('c', 'internal') AND callers.roles IS NOT NULL
			AND clerk_internal.is_audited('pg_proc', proc.oid, pronamespace)
	)
	SELECT 'error', 'definer-sets-identity', format('function %s', function),
		format('%s can call it, and it sets who the request is from with the rights of its owner', roles),
		format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC, %s', function, roles)
	FROM callable
	WHERE definition ~* 'set_config\s*\(\s*''(request\.|clerk\.|role''|session_authorization'')' OR definition ~* '\mset\s+(local\s+|session\s+)?"?(request|clerk)"?\.'
	UNION ALL
	SELECT 'warning', 'definer-search-path', format('function %s', function),
		format('%s can call it, and it looks names up with the rights of its owner in whatever search_path the caller has', roles),
		format('ALTER ROUTINE %s SET search_path = pg_catalog, %s, pg_temp', function, pronamespace::regnamespace)
	FROM callable WHERE NOT EXISTS (SELECT FROM unnest(proconfig) AS setting WHERE setting ^@ 'search_path=')
$$;
COMMENT ON FUNCTION clerk_internal.audit_functions() IS 'what clerk.audit() finds in SECURITY DEFINER functions';

CREATE FUNCTION clerk_internal.audit_roles() RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT 'error', 'role-bypasses-rls', format('role %I', rolname), CASE WHEN rolsuper THEN 'it is a superuser' ELSE 'it has BYPASSRLS' END || ', so no policy counts for it',
		format('ALTER ROLE %I NOSUPERUSER NOBYPASSRLS', rolname)
	FROM pg_roles WHERE rolname IN (SELECT clerk_internal.api_roles()) AND (rolsuper OR rolbypassrls)
	UNION ALL
	SELECT 'error', 'role-missing', format('role %I', role), said_by || ' names it, and it does not exist', format('CREATE ROLE %I', role)
	FROM (SELECT current_setting('clerk.anon_role'), 'clerk.anon_role'
		UNION ALL SELECT instance.role, format('instance %s', instance.issuer) FROM clerk.instances AS instance) AS named (role, said_by)
	WHERE role <> '' AND to_regrole(quote_ident(role)) IS NULL
	UNION ALL
	SELECT CASE WHEN rolname IS NULL OR rolname IN (SELECT clerk_internal.api_roles()) THEN 'error' ELSE 'warning' END, 'trust-request-claims', format('%s %I', kind, name),
		'clerk.trust_request_claims is on there: whoever can run SQL can be anybody',
		format('ALTER %s %I%s RESET clerk.trust_request_claims', upper(kind), name, ' IN DATABASE ' || quote_ident(only_in))
	FROM pg_db_role_setting LEFT JOIN pg_roles AS role ON role.oid = setrole LEFT JOIN pg_database AS database ON database.oid = setdatabase,
		LATERAL (SELECT CASE setrole WHEN 0 THEN 'database' ELSE 'role' END, coalesce(rolname, datname), CASE WHEN setrole <> 0 THEN datname END) AS place (kind, name, only_in)
	WHERE (setdatabase = 0 OR datname = current_database())
		AND EXISTS (SELECT FROM unnest(setconfig) AS value WHERE value ~* '^clerk\.trust_request_claims=(on|t|tr|tru|true|y|ye|yes|1)$')
$$;
COMMENT ON FUNCTION clerk_internal.audit_roles() IS 'what clerk.audit() finds in roles and their settings';

CREATE FUNCTION clerk_internal.audit_instances() RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT 'warning', 'authorized-parties-missing', format('instance %s', instance.issuer), 'a token that was made for any other site of the instance counts',
		format('UPDATE clerk.instances SET authorized_parties = %L WHERE issuer = %L', '{https://app.example.com}', instance.issuer)
	FROM clerk.instances AS instance WHERE instance.authorized_parties IS NULL
	UNION ALL
	SELECT 'error', 'keys-missing', format('instance %s', health.issuer), 'it has no key, so none of its tokens can be verified', format('SELECT clerk.refresh_jwks(%L)', health.issuer)
	FROM clerk.health() AS health WHERE health.current_keys + health.retiring_keys = 0
	UNION ALL
	SELECT 'warning', 'refresh-failing', format('instance %s', health.issuer), format('fetching its keys has failed: %s', health.refresh_failure), format('SELECT clerk.refresh_jwks(%L)', health.issuer)
	FROM clerk.health() AS health WHERE health.refresh_failure IS NOT NULL
	UNION ALL
	SELECT 'notice', 'keys-unattended', format('instance %s', health.issuer), 'its newest key is older than 90 days, and nothing in the database fetches keys',
		format('SELECT clerk.schedule_jwks_refresh(%L)', '5 minutes')
	FROM clerk.health() AS health
	WHERE health.newest_key_age > interval '90 days' AND coalesce(health.refreshed_at < now() - interval '1 day', true)
	UNION ALL
	SELECT 'notice', 'webhook-silent', format('instance %s', health.issuer), 'it has a secret for webhooks, and none has ever come: send an example from Clerk''s Dashboard',
		format('SELECT clerk.expose_webhook(%L)', 'public')
	FROM clerk.health() AS health WHERE health.webhook_secrets > 0 AND health.last_event_at IS NULL
$$;
COMMENT ON FUNCTION clerk_internal.audit_instances() IS 'what clerk.audit() finds in instances, their keys and webhooks';

-- SECURITY DEFINER: the owner of the database need not be allowed to read the tables of clerk.
CREATE FUNCTION clerk.audit() RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	PERFORM clerk.is_authenticated();	-- loads the library, which knows the setting
	RETURN QUERY
		SELECT f.* FROM (
			SELECT * FROM clerk_internal.audit_tables() UNION ALL SELECT * FROM clerk_internal.audit_policies() UNION ALL SELECT * FROM clerk_internal.audit_indexes()
			UNION ALL SELECT * FROM clerk_internal.audit_presets() UNION ALL SELECT * FROM clerk_internal.audit_supabase()
			UNION ALL SELECT * FROM clerk_internal.audit_functions() UNION ALL SELECT * FROM clerk_internal.audit_roles() UNION ALL SELECT * FROM clerk_internal.audit_instances()
			UNION ALL SELECT * FROM clerk_internal.audit_citus()
		) AS f
		ORDER BY array_position('{error,warning,notice}', f.severity), f.finding COLLATE "C", f.object COLLATE "C", f.fix COLLATE "C";
END
$$;
COMMENT ON FUNCTION clerk.audit() IS 'what will not do what it seems to: tables, policies, functions, roles and instances, each with a statement that fixes it';
