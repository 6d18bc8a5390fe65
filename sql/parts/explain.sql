--
-- explain.sql
--		Which policy lets or stops which row.
--
-- Uses library, roles.
--

CREATE FUNCTION clerk_internal.missing_grants(tab regclass, commands text[], role name) RETURNS SETOF text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT format('GRANT USAGE ON SCHEMA %s TO %I', relnamespace::regnamespace, role)
	FROM pg_class WHERE oid = tab AND NOT has_schema_privilege(role, relnamespace, 'USAGE')
	UNION ALL
	SELECT format('GRANT %s ON %s TO %I', string_agg(privilege, ', ' ORDER BY ordinality), tab, role)
	FROM unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) WITH ORDINALITY AS needed (privilege, ordinality)
	-- a filter reads
	WHERE (privilege = ANY (commands) OR (privilege = 'SELECT' AND commands && '{UPDATE,DELETE}'))
		AND NOT CASE privilege WHEN 'DELETE' THEN has_table_privilege(role, tab, privilege)
			ELSE has_any_column_privilege(role, tab, privilege) END
	HAVING count(*) > 0
	UNION ALL
	-- of serial columns, not of identity columns
	SELECT format('GRANT USAGE ON SEQUENCE %s TO %I', objid::regclass, role)
	FROM pg_depend JOIN pg_class ON pg_class.oid = objid
	WHERE refclassid = 'pg_class'::regclass AND refobjid = tab AND classid = 'pg_class'::regclass
		AND deptype = 'a'
		AND 'INSERT' = ANY (commands) AND CASE relkind
			WHEN 'S' THEN NOT has_sequence_privilege(role, objid, 'USAGE') END
$$;
COMMENT ON FUNCTION clerk_internal.missing_grants(regclass, text[], name) IS
	'the statements that would grant a role what it lacks for these commands on a table';

CREATE FUNCTION clerk_internal.rls_exemption(tab regclass, role name) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT CASE
		WHEN NOT relrowsecurity THEN 'row-level security is off'
		WHEN rolsuper THEN format('role %I is a superuser', role)
		WHEN rolbypassrls THEN format('role %I has BYPASSRLS', role)
		WHEN NOT relforcerowsecurity AND pg_has_role(role, relowner, 'USAGE')
			THEN format('role %I owns the table, which does not FORCE ROW LEVEL SECURITY', role)
	END
	FROM pg_class, pg_roles WHERE pg_class.oid = tab AND rolname = role
$$;
COMMENT ON FUNCTION clerk_internal.rls_exemption(regclass, name) IS
	'why the policies of a table do not count for a role; NULL: they do';

-- As PostgreSQL chooses them: a filter reads, so that UPDATE and DELETE ask the policies for
-- SELECT, too; and a policy without WITH CHECK checks by USING.
CREATE FUNCTION clerk_internal.policy_checks(tab regclass, command text, role name)
	RETURNS TABLE (policy name, kind text, roles text, clauses text[], expression text, applies boolean)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT polname, CASE WHEN polpermissive THEN 'permissive' ELSE 'restrictive' END,
		(SELECT string_agg(CASE member WHEN 0 THEN 'PUBLIC' ELSE member::regrole::text END, ', ')
			FROM unnest(polroles) AS member),
		array_agg(asked.clause ORDER BY asked.ordinal), pg_get_expr(asked.expression, polrelid),
		(SELECT bool_or(member = 0 OR pg_has_role(role, member, 'USAGE')) FROM unnest(polroles) AS member)
	FROM pg_policy,
		(VALUES ('SELECT', 'r'), ('INSERT', 'a'), ('UPDATE', 'w'), ('DELETE', 'd')) AS code (command, polcmd),
		LATERAL (VALUES
			(1, 'USING', polqual, code.command <> 'INSERT' AND pg_policy.polcmd IN ('*', code.polcmd)),
			(2, 'USING for SELECT', polqual, code.command IN ('UPDATE', 'DELETE')
				AND pg_policy.polcmd IN ('*', 'r')),
			(3, 'WITH CHECK', coalesce(polwithcheck, polqual), code.command IN ('INSERT', 'UPDATE')
				AND pg_policy.polcmd IN ('*', code.polcmd))
		) AS asked (ordinal, clause, expression, is_asked)
	WHERE polrelid = tab AND code.command = policy_checks.command AND asked.is_asked
	GROUP BY polname, polpermissive, polroles, pg_get_expr(asked.expression, polrelid)
	ORDER BY min(asked.ordinal), NOT polpermissive, polname
$$;
COMMENT ON FUNCTION clerk_internal.policy_checks(regclass, text, name) IS
	'the policies that a table has for a command, what each of them asks of a row, and whether it applies '
		'to a role';

CREATE FUNCTION clerk_internal.policy_condition(tab regclass, command text, role name, clauses text[])
	RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT string_agg(condition, ' AND ' ORDER BY clause COLLATE "C")
	FROM (
		SELECT clause, format('(%s)%s',
			coalesce(string_agg(format('(%s)', expression), ' OR '
			ORDER BY policy) FILTER (WHERE kind = 'permissive'), 'false'),
			string_agg(format(' AND (%s)', expression), ''
				ORDER BY policy) FILTER (WHERE kind = 'restrictive'))
		FROM unnest(clauses) AS clause
		LEFT JOIN clerk_internal.policy_checks(tab, command, role) AS asked ON clause = ANY (asked.clauses)
			AND asked.applies AND expression IS NOT NULL
		GROUP BY clause
	) AS conditions (clause, condition)
$$;
COMMENT ON FUNCTION clerk_internal.policy_condition(regclass, text, name, text[]) IS
	'what the policies ask together, by one clause or several';

-- Everything that it sets, and that what it calls may have done, is undone. Between the first
-- and the last statement names are not looked up in pg_catalog first.
CREATE FUNCTION clerk_internal.count_rows(rows anyarray, alias name, expression text, role name,
	search_path text,
	OUT true_rows bigint, OUT false_rows bigint, OUT null_rows bigint, OUT problem text)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_variable
DECLARE
	query constant text := format(
		'SELECT pg_catalog.count(*) FILTER (WHERE passes), pg_catalog.count(*) FILTER (WHERE NOT passes),
		pg_catalog.count(*) FILTER (WHERE passes IS NULL)
			FROM (SELECT (%s) FROM pg_catalog.unnest($1) AS %I) AS checked (passes)', expression, alias);
BEGIN
	PERFORM set_config('row_security', 'on', true), set_config('role', role, true),
		set_config('search_path', search_path, true);
	EXECUTE query INTO true_rows, false_rows, null_rows USING rows;
	RAISE SQLSTATE 'UNDO0';
EXCEPTION
	WHEN SQLSTATE 'UNDO0' THEN
		NULL;
	WHEN OTHERS THEN
		problem := 'error: ' || replace(SQLERRM, current_setting('clerk.token'), '...');
END
$$;
COMMENT ON FUNCTION clerk_internal.count_rows(anyarray, name, text, name, text) IS
	'for how many rows an expression is true, false and null to a role, or the error; nothing it does '
		'remains';

CREATE FUNCTION clerk_internal.without_permissive_policy(tab regclass, command text, role name,
	clauses text[]) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT string_agg(CASE clause WHEN 'USING for SELECT' THEN 'SELECT' ELSE command END, ' and '
		ORDER BY clause)
	FROM unnest(clauses) AS clause
	WHERE NOT EXISTS (
		SELECT FROM clerk_internal.policy_checks(tab, command, role) AS asked
		WHERE kind = 'permissive' AND applies AND expression IS NOT NULL AND clause = ANY (asked.clauses))
$$;
COMMENT ON FUNCTION clerk_internal.without_permissive_policy(regclass, text, name, text[]) IS
	'the commands for which no permissive policy applies to a role; NULL: none';

CREATE FUNCTION clerk_internal.access_verdict(rows anyarray, alias name, tab regclass, command text,
	role name, search_path text) RETURNS text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	exempt constant boolean := clerk_internal.rls_exemption(tab, role) IS NOT NULL;
	clauses constant text[] := CASE command WHEN 'SELECT' THEN '{USING}' WHEN 'INSERT' THEN '{WITH CHECK}'
		ELSE '{USING,USING for SELECT}' END;
	sentence constant text := CASE command WHEN 'SELECT' THEN '%s of %s rows visible'
		WHEN 'INSERT' THEN '%s of %s rows could be inserted as they are'
		WHEN 'UPDATE' THEN '%s of %s rows can be updated' ELSE '%s of %s rows can be deleted' END;
	passing record;
	unchanged record;
BEGIN
	IF EXISTS (SELECT FROM clerk_internal.missing_grants(tab, ARRAY[command], role)) THEN
		RETURN 'permission denied, whatever the policies say';
	ELSIF cardinality(rows) = 0 THEN
		RETURN 'no row of the table matches the filter';
	ELSIF exempt THEN
		RETURN format(sentence, cardinality(rows), cardinality(rows));
	END IF;
	passing := clerk_internal.count_rows(rows, alias,
		clerk_internal.policy_condition(tab, command, role, clauses), role, search_path);
	IF passing.problem IS NOT NULL OR passing.true_rows = 0 OR command <> 'UPDATE' THEN
		RETURN coalesce(passing.problem, format(sentence, passing.true_rows, cardinality(rows))
			|| coalesce(', as no permissive policy applies to '
				|| clerk_internal.without_permissive_policy(tab, command, role, clauses), ''));
	END IF;
	unchanged := clerk_internal.count_rows(rows, alias,
		clerk_internal.policy_condition(tab, command, role, clauses || '{WITH CHECK}'), role, search_path);
	RETURN coalesce(unchanged.problem,
		format(sentence || ', if what becomes of them passes WITH CHECK, as %s do now',
		passing.true_rows, cardinality(rows), unchanged.true_rows));
END
$$;
COMMENT ON FUNCTION clerk_internal.access_verdict(anyarray, name, regclass, text, name, text) IS
	'how many of the rows a role can see or change in the end';

CREATE FUNCTION clerk_internal.explain_rows(rows anyarray, tab regclass, command text, role name,
	search_path text)
	RETURNS TABLE (policy name, kind text, roles text, clause text, expression text,
		true_rows bigint, false_rows bigint, null_rows bigint, result text)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_variable
DECLARE
	exemption constant text := clerk_internal.rls_exemption(tab, role);
	alias constant name := (SELECT relname FROM pg_class WHERE oid = tab);
	checked record;
BEGIN
	kind := 'table';
	result := coalesce(exemption || ', so no policy counts', 'row-level security is on');
	RETURN NEXT;
	IF cardinality(rows) = 10000 THEN
		kind := 'rows';
		result := 'only the first 10000 that match the filter are looked at';
		RETURN NEXT;
	END IF;
	kind := 'privilege';
	FOR result IN
		SELECT 'missing: ' || missing FROM clerk_internal.missing_grants(tab, ARRAY[command], role) AS missing
		UNION ALL
		SELECT format('%s only for %s', command, string_agg(quote_ident(attname), ', ' ORDER BY attnum))
		FROM pg_attribute
		WHERE attrelid = tab AND attnum > 0 AND NOT attisdropped AND command <> 'DELETE'
			AND NOT has_table_privilege(role, tab, command)
			AND CASE WHEN command <> 'DELETE' THEN has_column_privilege(role, tab, attnum, command) END
		HAVING count(*) > 0
	LOOP
		RETURN NEXT;
	END LOOP;
	FOR checked IN
		SELECT * FROM clerk_internal.policy_checks(tab, command, role) WHERE exemption IS NULL
		UNION ALL SELECT NULL, 'verdict', NULL, NULL, NULL, true
	LOOP
		policy := checked.policy;
		kind := checked.kind;
		roles := checked.roles;
		clause := array_to_string(checked.clauses, ', ');
		expression := checked.expression;
		true_rows := NULL;
		false_rows := NULL;
		null_rows := NULL;
		IF kind = 'verdict' THEN
			result := clerk_internal.access_verdict(rows, alias, tab, command, role, search_path);
		ELSIF NOT checked.applies THEN
			result := format('not for role %I', role);
		ELSIF expression IS NULL THEN
			result := 'has no expression, so it does not count';
		ELSE
			SELECT c.true_rows, c.false_rows, c.null_rows, c.problem
				INTO true_rows, false_rows, null_rows, result
			FROM clerk_internal.count_rows(rows, alias, expression, role, search_path) AS c;
			result := coalesce(result, format('lets %s of %s rows through', true_rows, cardinality(rows)));
		END IF;
		RETURN NEXT;
	END LOOP;
END
$$;
COMMENT ON FUNCTION clerk_internal.explain_rows(anyarray, regclass, text, name, text) IS
	'what the table, the privileges and each policy do to these rows for a role';

CREATE FUNCTION clerk_internal.check_explainable(tab regclass, command text) RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	class record;
BEGIN
	SELECT relkind, relowner INTO class FROM pg_class WHERE oid = tab;
	IF NOT FOUND OR coalesce(command NOT IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE'), true) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'a table, and SELECT, INSERT, UPDATE or DELETE must be given';
	ELSIF class.relkind NOT IN ('r', 'p') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'wrong_object_type',
			MESSAGE = format('%s is not a table', tab),
			DETAIL = 'Only tables have policies.',
			HINT = CASE class.relkind
				WHEN 'v' THEN
				'Ask about the tables of the view: as its owner, unless it has security_invoker.' END;
	ELSIF NOT pg_has_role(current_user, class.relowner, 'USAGE') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'insufficient_privilege',
			MESSAGE = format('must be owner of table %s', tab),
			DETAIL = 'What is counted are rows that the role may not see.';
	END IF;
END
$$;
COMMENT ON FUNCTION clerk_internal.check_explainable(regclass, text) IS
	'raises if clerk.explain_access() cannot explain a table to its caller';

CREATE FUNCTION clerk_internal.simulate_request(token text, role name) RETURNS name
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	PERFORM clerk.is_authenticated();	-- loads the library, which knows the settings
	PERFORM set_config('clerk.token', coalesce(token, ''), true), set_config('request.headers', '', true),
		set_config('request.jwt', '', true),
		set_config('request.cookies', '', true), set_config('request.jwt.claims', '', true);
	role := coalesce(role, clerk_internal.request_role());
	IF to_regrole(quote_ident(role)) IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('role %I does not exist', role),
			HINT = 'Give the role as which PostgREST runs the request.';
	END IF;
	PERFORM set_config('request.jwt.claims',
		(coalesce(clerk.jwt(), '{}') || jsonb_build_object('role', role))::text, true);
	RETURN role;
END
$$;
COMMENT ON FUNCTION clerk_internal.simulate_request(text, name) IS
	'makes the rest of the transaction a request with this token, and returns its role';

CREATE FUNCTION clerk.explain_access(tab regclass, command text, row_filter text DEFAULT NULL,
	token text DEFAULT NULL, role name DEFAULT NULL,
	search_path text DEFAULT pg_catalog.current_setting('search_path'))
	RETURNS TABLE (policy name, kind text, roles text, clause text, expression text,
		true_rows bigint, false_rows bigint, null_rows bigint, result text)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_variable
DECLARE
	outer_role constant text := current_setting('role');
	query text;
BEGIN
	command := upper(command);
	PERFORM clerk_internal.check_explainable(tab, command);
	query := format('SELECT * FROM clerk_internal.explain_rows(ARRAY(SELECT ROW(%2$I.*)::%1$s FROM %1$s AS '
		'%2$I WHERE (%3$s%4$s) LIMIT 10000), $1, $2, $3, $4)',
		tab, (SELECT relname FROM pg_class WHERE oid = tab), coalesce(row_filter, 'true'), E'\n');
	role := clerk_internal.simulate_request(token, role);
	PERFORM set_config('role', role, true), set_config('role', outer_role, true);	-- may the caller?
	kind := 'caller';
	result := format('role %I, ', role) || coalesce(
		(SELECT 'nobody is signed in: ' || split_part(d.detail, ':', 1) FROM clerk.diagnose() AS d
			WHERE d.outcome = 'fail' LIMIT 1), 'signed in');
	RETURN NEXT;
	-- the rows are not to be chosen by the policies, and the names are the caller's
	PERFORM set_config('row_security', 'off', true), set_config('search_path', search_path, true);
	RETURN QUERY EXECUTE query USING tab, command, role, search_path;
	RAISE SQLSTATE 'UNDO0';
EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
	RETURN;
END
$$;
COMMENT ON FUNCTION clerk.explain_access(regclass, text, text, text, name, text) IS
	'which policy lets or stops which of the first 10000 rows (that match a filter), for the bearer of a '
		'token (or nobody); for the table''s owner';
