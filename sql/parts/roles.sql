--
-- roles.sql
--		The roles that requests have, and what they reach.
--
-- Uses library, instances.
--

-- SECURITY DEFINER: the owner of a table need not read clerk.instances.
CREATE FUNCTION clerk_internal.request_role() RETURNS name
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT coalesce(clerk.claim('role'),
		(SELECT instance.role FROM clerk.instances AS instance WHERE instance.issuer = clerk.issuer()),
		clerk_internal.anon_role())::name
$$;
COMMENT ON FUNCTION clerk_internal.request_role() IS
	'the role as which PostgREST and clerk.pre_request() run this request: the token''s, the instance''s, '
	'or the anonymous one';

CREATE FUNCTION clerk_internal.api_roles() RETURNS SETOF name
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT rolname FROM pg_roles
	WHERE rolname = clerk_internal.anon_role()
		OR rolname IN (SELECT instance.role FROM clerk.instances AS instance)
$$;
COMMENT ON FUNCTION clerk_internal.api_roles() IS
	'the roles as which requests run: the anonymous one and those of the instances';

CREATE FUNCTION clerk_internal.roles_reaching(relation oid, privileges text) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	RETURN (
		SELECT string_agg(quote_ident(role), ', ' ORDER BY role)
		FROM clerk_internal.api_roles() AS role, pg_class
		WHERE pg_class.oid = relation AND has_schema_privilege(role, relnamespace, 'USAGE')
			AND (has_table_privilege(role, relation, privileges)
				OR has_any_column_privilege(role, relation, replace(privileges, ', DELETE', ''))));
END
$$;
COMMENT ON FUNCTION clerk_internal.roles_reaching(oid, text) IS
	'the API roles that may do one of these with a table, PUBLIC''s rights included; NULL: none';

CREATE FUNCTION clerk_internal.roles_calling(function oid) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	RETURN (
		SELECT string_agg(quote_ident(role), ', ' ORDER BY role)
		FROM clerk_internal.api_roles() AS role, pg_proc
		WHERE pg_proc.oid = function AND has_schema_privilege(role, pronamespace, 'USAGE')
			AND has_function_privilege(role, function, 'EXECUTE'));
END
$$;
COMMENT ON FUNCTION clerk_internal.roles_calling(oid) IS
	'the API roles that may call a function, PUBLIC''s rights included; NULL: none';

CREATE FUNCTION clerk_internal.roles_updating(tab oid, columns name[]) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	RETURN (
		SELECT string_agg(quote_ident(role), ', ' ORDER BY role)
		FROM clerk_internal.api_roles() AS role JOIN pg_roles ON rolname = role, pg_class
		WHERE pg_class.oid = tab AND has_schema_privilege(role, relnamespace, 'USAGE')
			AND EXISTS (
				SELECT FROM pg_attribute
				WHERE attrelid = tab AND attname = ANY (columns) AND attnum > 0 AND has_column_privilege(role,
					tab, attnum, 'UPDATE'))
			AND (NOT relrowsecurity OR rolsuper OR rolbypassrls OR EXISTS (
				SELECT FROM pg_policy, unnest(polroles) AS member
				WHERE polrelid = tab AND polpermissive AND polcmd IN ('w', '*')
					AND (member = 0 OR pg_has_role(role, member, 'USAGE')))));
END
$$;
COMMENT ON FUNCTION clerk_internal.roles_updating(oid, name[]) IS
	'the API roles that may update one of these columns, in some row at least; NULL: none';

-- A privilege for the whole table cannot be taken back for a column: it becomes one for the others.
CREATE FUNCTION clerk_internal.without_update(tab oid, columns name[]) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH granted AS (
		SELECT acl.grantee, acl.privilege_type, true AS on_table
		FROM pg_class, aclexplode(relacl) AS acl WHERE pg_class.oid = tab AND acl.grantee <> relowner
		UNION
		SELECT acl.grantee, acl.privilege_type, false
		FROM pg_attribute, aclexplode(attacl) AS acl WHERE attrelid = tab AND attname = ANY (columns)
	), grantees AS (
		SELECT on_table, string_agg(DISTINCT CASE grantee WHEN 0 THEN 'PUBLIC'
			ELSE grantee::regrole::text END, ', ') AS list
		FROM granted
		WHERE privilege_type = 'UPDATE' AND (grantee = 0 OR EXISTS (
			SELECT FROM clerk_internal.api_roles() AS role WHERE pg_has_role(role, grantee, 'USAGE')))
		GROUP BY on_table
	), others AS (
		SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) AS list
		FROM pg_attribute
		WHERE attrelid = tab AND attnum > 0 AND NOT attisdropped AND attname <> ALL (columns)
			AND attgenerated = ''
	)
	SELECT string_agg(statement, '; ' ORDER BY on_table DESC)
	FROM grantees, others, LATERAL (SELECT CASE WHEN on_table
		THEN format('REVOKE UPDATE ON %s FROM %s', tab::regclass, grantees.list)
			|| CASE WHEN others.list IS NULL THEN ''
				ELSE format('; GRANT UPDATE (%s) ON %s TO %s', others.list, tab::regclass, grantees.list) END
		ELSE format('REVOKE UPDATE (%s) ON %s FROM %s',
			(SELECT string_agg(quote_ident(col), ', ') FROM unnest(columns) AS col), tab::regclass,
				grantees.list) END
	) AS revoke (statement)
$$;
COMMENT ON FUNCTION clerk_internal.without_update(oid, name[]) IS
	'the statements that take UPDATE of some columns back from the API roles, and leave them that of the '
	'others; NULL: they do not have it by a grant';
