--
-- revoke.sql
--		Taking back what default privileges have given away.
--

CREATE FUNCTION clerk_internal.revoke_all(catalog regclass, object oid) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	granted record;
BEGIN
	FOR granted IN
		SELECT DISTINCT o.name,
			CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END AS grantee
		FROM (
			SELECT 'SCHEMA ' || object::regnamespace, nspowner, nspacl
			FROM pg_namespace WHERE catalog = 'pg_namespace'::regclass AND oid = object
			UNION ALL
			SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END || object::regclass,
				relowner, relacl
			FROM pg_class WHERE catalog = 'pg_class'::regclass AND oid = object AND relkind IN ('r', 'v', 'S')
			UNION ALL
			SELECT 'FUNCTION ' || object::regprocedure, proowner, coalesce(proacl, acldefault('f', proowner))
			FROM pg_proc WHERE catalog = 'pg_proc'::regclass AND oid = object
		) AS o (name, owner, acl), aclexplode(o.acl) AS acl
		WHERE acl.grantee <> o.owner
	LOOP
		EXECUTE format('REVOKE ALL ON %s FROM %s CASCADE', granted.name, granted.grantee);
	END LOOP;
END
$$;
COMMENT ON FUNCTION clerk_internal.revoke_all(regclass, oid) IS
	'takes every right on a schema, a table, a view, a sequence or a function from everybody '
		'but its owner, whoever default privileges have given it to';
