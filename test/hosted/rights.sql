-- pg_temp.rights(): who may do what with the objects of clerk_rls, but for their owner.
CREATE FUNCTION pg_temp.rights() RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_object_agg(format('%s %s %s', o.name, CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END, acl.privilege_type), acl.is_grantable)
	FROM (
		SELECT 'schema ' || nspname, coalesce(nspacl, acldefault('n', nspowner)), nspowner FROM pg_namespace WHERE nspname IN ('clerk', 'clerk_internal')
		UNION ALL
		SELECT 'relation ' || oid::regclass, coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner)), relowner
		FROM pg_class WHERE relnamespace::regnamespace::text IN ('clerk', 'clerk_internal') AND relkind IN ('r', 'v', 'm', 'S')
		UNION ALL
		SELECT 'function ' || oid::regprocedure, coalesce(proacl, acldefault('f', proowner)), proowner
		FROM pg_proc WHERE pronamespace::regnamespace::text IN ('clerk', 'clerk_internal')
	) AS o (name, acl, owner), aclexplode(o.acl) AS acl
	WHERE acl.grantee <> o.owner
$$;
