--
-- revoke.sql
--		Rights on what is made: taking back what default privileges have given, and giving.
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

-- Asked when it has been made or replaced: nobody else can do so until the end of the transaction.
CREATE FUNCTION clerk_internal.expose(function regprocedure, role name, alone boolean) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	owner constant regrole := (SELECT proowner FROM pg_proc WHERE oid = function);
BEGIN
	IF owner <> quote_ident(current_user)::regrole THEN
		RAISE EXCEPTION USING
			ERRCODE = 'insufficient_privilege',
			MESSAGE = format('function %s belongs to %s', function, owner),
			DETAIL = 'Its owner could replace it again, and it would run with the rights of its owner.',
			HINT = 'Drop it, or give another name or schema.';
	END IF;
	IF alone THEN
		PERFORM clerk_internal.revoke_all('pg_proc', function);
	END IF;
	EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s, %I', function, owner, role);
END
$$;
COMMENT ON FUNCTION clerk_internal.expose(regprocedure, name, boolean) IS
	'lets the owner, who must be the caller, and this role call a function; alone: and nobody else, '
		'whatever default privileges say';
