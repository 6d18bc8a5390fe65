--
-- protect.sql
--		Row-level security for a table: the common policies, written as one call.
--
-- Uses library, settings, citus, explain.
--

CREATE FUNCTION clerk_internal.caller_expression(tab regclass, column_name name, is_org boolean,
	OUT caller text, OUT comparison text)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	col record;
BEGIN
	SELECT format_type(coalesce(nullif(typbasetype, 0), atttypid), NULL) AS type, typbasetype = 0 AS is_base,
		concat(attidentity, attgenerated) AS filled INTO col
	FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
	WHERE attrelid = tab AND attname = column_name AND attnum > 0 AND NOT attisdropped;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_column',
			MESSAGE = format('column %I of table %s does not exist', column_name, tab);
	END IF;
	caller := CASE
		WHEN col.type IN ('text', 'character varying') THEN CASE WHEN is_org THEN 'clerk.org_id()'
			ELSE 'clerk.uid()' END
		WHEN col.type = 'uuid' THEN CASE WHEN is_org THEN 'clerk.mapped_org_id()' ELSE 'clerk.mapped_id()' END
		WHEN col.type = 'bigint' THEN CASE WHEN is_org THEN 'clerk.mapped_org_bigint()'
			ELSE 'clerk.mapped_bigint()' END END;
	IF caller IS NULL OR col.filled <> '' THEN
		RAISE EXCEPTION USING
			ERRCODE = CASE WHEN caller IS NULL THEN 'datatype_mismatch' ELSE 'wrong_object_type' END,
			MESSAGE = format('column %I of table %s cannot say whose a row is', column_name, tab),
			DETAIL = CASE WHEN caller IS NOT NULL THEN 'It is generated, so no default could fill it.'
				ELSE format('It is of type %s, and must be one of: text, character varying, uuid, bigint.',
					col.type) END;
	END IF;
	-- as PostgreSQL would print it, so that a policy can be compared with what it should be
	comparison := format(CASE WHEN col.is_base AND col.type <> 'character varying' THEN '(%I = %s)'
		ELSE '((%1$I)::%3$s = %2$s)' END,
		column_name, clerk_internal.once(caller), CASE col.type WHEN 'character varying' THEN 'text'
			ELSE col.type END);
END
$$;
COMMENT ON FUNCTION clerk_internal.caller_expression(regclass, name, boolean) IS
	'the function that says which value of a column is the caller''s, by its type, and the comparison with '
		'it; raises if there is none';

CREATE FUNCTION clerk_internal.check_protectable(tab regclass, owner name, org name, admin_role text,
	role name) RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF tab IS NULL OR coalesce(owner, org) IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'null_value_not_allowed',
			MESSAGE = 'a table and its column of owners, or of organizations, must be given';
	ELSIF admin_role IS NOT NULL AND org IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'administrators are those of an organization, so its column must be given';
	ELSIF admin_role !~ '^(org:)?\w+$' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'no role of an organization is called so',
			HINT = 'Give its key, such as org:admin or admin.';
	ELSIF coalesce((SELECT relkind NOT IN ('r', 'p') FROM pg_class WHERE oid = tab), true) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'wrong_object_type',
			MESSAGE = format('%s is not a table', tab),
			DETAIL = 'Only tables have policies.';
	ELSIF to_regrole(quote_ident(role)) IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('role %s does not exist', coalesce(quote_ident(role), 'NULL')),
			HINT = 'Give the role of signed-in users, as in clerk.instances.';
	END IF;
END
$$;
COMMENT ON FUNCTION clerk_internal.check_protectable(regclass, name, name, text, name) IS
	'raises if clerk.protect() cannot protect a table so';

CREATE FUNCTION clerk_internal.wanted_policies(tab regclass, owner name, org name, admin_role text)
	RETURNS TABLE (policy name, is_permissive boolean, command text, expression text)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	own constant text := CASE
		WHEN owner IS NOT NULL THEN (clerk_internal.caller_expression(tab, owner, false)).comparison END;
	of_org constant text := CASE
		WHEN org IS NOT NULL THEN (clerk_internal.caller_expression(tab, org, true)).comparison END;
	by_admin constant text := format('(%s AND %s)', of_org,
		clerk_internal.once(format('clerk.has_role(%L::text)', admin_role)));
	-- where rows have an owner, or there are administrators, members only read those of others
	shared constant boolean := owner IS NULL AND admin_role IS NULL;
BEGIN
	RETURN QUERY
		SELECT * FROM (VALUES
			('clerk_tenant'::name, false, 'ALL', of_org),
			('clerk_own', true, 'ALL', own),
			('clerk_member', true, CASE WHEN shared THEN 'ALL' ELSE 'SELECT' END, of_org),
			('clerk_member_insert', true, 'INSERT', CASE WHEN owner IS NULL AND NOT shared THEN of_org END),
			('clerk_admin_update', true, 'UPDATE', CASE WHEN admin_role IS NOT NULL THEN by_admin END),
			('clerk_admin_delete', true, 'DELETE', CASE WHEN admin_role IS NOT NULL THEN by_admin END)
		) AS wanted (policy, is_permissive, command, expression)
		WHERE wanted.expression IS NOT NULL;
END
$$;
COMMENT ON FUNCTION clerk_internal.wanted_policies(regclass, name, name, text) IS
	'the policies that clerk.protect() makes';

CREATE FUNCTION clerk_internal.policy_changes(tab regclass, owner name, org name, admin_role text, role name)
	RETURNS SETOF text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH wanted AS (
		SELECT *, ARRAY[to_regrole(quote_ident(role))::oid] AS roles, true AS is_wanted
		FROM clerk_internal.wanted_policies(tab, owner, org, admin_role)
	), present AS (
		SELECT polname AS policy, polpermissive AS is_permissive,
			CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
				WHEN 'd' THEN 'DELETE' ELSE 'ALL' END AS command,
			CASE WHEN num_nulls(polqual, polwithcheck) = 1 THEN pg_get_expr(coalesce(polqual, polwithcheck),
				polrelid) END AS expression,
			polroles AS roles, true AS is_present,
			coalesce(obj_description(oid, 'pg_policy') = 'made by clerk.protect()', false) AS is_ours
		FROM pg_policy WHERE polrelid = tab
	)
	SELECT change.statement
	FROM wanted AS w FULL JOIN present AS p USING (policy, is_permissive, command, expression, roles),
		LATERAL (VALUES
			(1, is_wanted IS NULL AND is_ours, format('DROP POLICY %I ON %s', policy, tab)),
			(2, is_present IS NULL, format('CREATE POLICY %I ON %s%s FOR %s TO %I %s %s', policy, tab,
				CASE WHEN is_permissive THEN '' ELSE ' AS RESTRICTIVE' END, w.command, policy_changes.role,
				CASE w.command WHEN 'INSERT' THEN 'WITH CHECK' ELSE 'USING' END, w.expression)),
			(3, is_present IS NULL,
				format('COMMENT ON POLICY %I ON %s IS %L', policy, tab, 'made by clerk.protect()')),
			-- without its name, which could end the comment
			(4, is_wanted IS NULL AND NOT is_ours AND is_permissive,
				'-- there is a permissive policy of another name: these do not stop what it lets through')
		) AS change (ordinal, is_due, statement)
	WHERE change.is_due
	ORDER BY change.ordinal = 4, change.ordinal > 1, policy, change.ordinal
$$;
COMMENT ON FUNCTION clerk_internal.policy_changes(regclass, name, name, text, name) IS
	'the statements from the policies that a table has to those it is to have';

CREATE FUNCTION clerk_internal.column_changes(tab regclass, column_name name, is_org boolean)
	RETURNS SETOF text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT statement
	FROM pg_attribute, clerk_internal.caller_expression(tab, column_name, is_org), LATERAL (VALUES
			(CASE WHEN (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = tab
				AND adnum = attnum) IS DISTINCT FROM caller
				THEN CASE WHEN clerk_internal.is_distributed_by(tab, attname)
					THEN '-- its rows are distributed by the column, so that it can get no default any more'
					ELSE format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s', tab, attname, caller)
				END END),
			(CASE WHEN NOT EXISTS (SELECT FROM pg_index WHERE indrelid = tab AND indisvalid
				AND indpred IS NULL AND indkey[0] = attnum)
				THEN format('CREATE INDEX ON %s (%I)', tab, attname) END)
		) AS change (statement)
	WHERE attrelid = tab AND attname = column_name AND statement IS NOT NULL
$$;
COMMENT ON FUNCTION clerk_internal.column_changes(regclass, name, boolean) IS
	'the statements that make a column be filled with the caller, and found by it';

CREATE FUNCTION clerk.protect(tab regclass, owner name DEFAULT NULL, org name DEFAULT NULL,
	admin_role text DEFAULT NULL,
	role name DEFAULT 'authenticated', dry_run boolean DEFAULT true) RETURNS SETOF text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	statements text[];
	statement text;
BEGIN
	PERFORM clerk_internal.check_protectable(tab, owner, org, admin_role, role);
	statements := ARRAY(
		SELECT format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', tab) FROM pg_class WHERE oid = tab
			AND NOT relrowsecurity)
		|| ARRAY(SELECT clerk_internal.policy_changes(tab, owner, org, admin_role, role))
		|| ARRAY(SELECT clerk_internal.column_changes(tab, owner, false) WHERE owner IS NOT NULL)
		|| ARRAY(SELECT clerk_internal.column_changes(tab, org, true) WHERE org IS NOT NULL)
		|| ARRAY(SELECT clerk_internal.missing_grants(tab, '{SELECT,INSERT,UPDATE,DELETE}', role));
	FOREACH statement IN ARRAY statements LOOP
		IF NOT coalesce(dry_run, true) AND statement NOT LIKE '--%' THEN
			EXECUTE statement;
		END IF;
		RETURN NEXT statement;
	END LOOP;
END
$$;
COMMENT ON FUNCTION clerk.protect(regclass, name, name, text, name, boolean) IS
	'row-level security for a table whose rows belong to users, to organizations, or to both: the '
		'statements that are missing, which it runs unless dry_run';
