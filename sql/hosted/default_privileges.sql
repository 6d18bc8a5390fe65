--
-- default_privileges.sql
--		Whatever default privileges have added to what is new is taken back. What was there before
--		keeps what its owner has granted (end.sql).
--
-- Uses all of them.
--

CREATE FUNCTION clerk_internal.privileges()
	RETURNS TABLE (catalog regclass, object oid, name text, acl aclitem[], owner oid)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT 'pg_namespace'::regclass, oid, 'SCHEMA ' || oid::regnamespace, nspacl, nspowner
	FROM pg_namespace WHERE nspname IN ('clerk', 'clerk_internal')
	UNION ALL
	SELECT 'pg_class', oid, 'TABLE ' || oid::regclass, relacl, relowner
	FROM pg_class WHERE relnamespace::regnamespace::text IN ('clerk', 'clerk_internal')
		AND relkind IN ('r', 'v')
	UNION ALL
	SELECT 'pg_proc', oid, 'FUNCTION ' || oid::regprocedure, coalesce(proacl, acldefault('f', proowner)),
		proowner
	FROM pg_proc WHERE pronamespace::regnamespace::text IN ('clerk', 'clerk_internal')
$$;
COMMENT ON FUNCTION clerk_internal.privileges() IS
	'who has been granted what on schemas, tables and functions of clerk_rls';

DO $$
BEGIN
	PERFORM clerk_internal.revoke_all(made.catalog, made.object)
	FROM clerk_internal.privileges() AS made
	WHERE NOT pg_catalog.current_setting('clerk_rls.before')::jsonb ? made.name;
END
$$;
