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
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT string_agg(quote_ident(role), ', ' ORDER BY role)
	FROM clerk_internal.api_roles() AS role, pg_class
	WHERE pg_class.oid = relation AND has_schema_privilege(role, relnamespace, 'USAGE')
		AND (has_table_privilege(role, relation, privileges)
			OR has_any_column_privilege(role, relation, replace(privileges, ', DELETE', '')))
$$;
COMMENT ON FUNCTION clerk_internal.roles_reaching(oid, text) IS
	'the API roles that may do one of these with a table, PUBLIC''s rights included; NULL: none';
