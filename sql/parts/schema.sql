--
-- schema.sql
--		The schemas: clerk is what users call, clerk_internal what only that calls. Policies resolve
--		clerk.uid() in the former, so nobody else may put a function there: neither its owner, nor
--		whoever has been granted CREATE.  And how what we make is taken back from those to whom default
--		privileges have given it.
--

DO $$
DECLARE
	intruder regrole;
BEGIN
	SELECT creator INTO intruder
	FROM (
		SELECT nspowner FROM pg_catalog.pg_namespace WHERE nspname = 'clerk'
		UNION ALL
		SELECT acl.grantee
		FROM pg_catalog.pg_namespace, pg_catalog.aclexplode(nspacl) AS acl
		WHERE nspname = 'clerk' AND acl.privilege_type = 'CREATE'
	) AS creators (creator)
	WHERE creator <> (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user)
		AND creator NOT IN (SELECT oid FROM pg_catalog.pg_roles WHERE rolsuper)
	LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'insufficient_privilege',
			MESSAGE = 'schema "clerk" can be changed by a role that is not a superuser',
			DETAIL = pg_catalog.format('%s owns schema "clerk" or may create objects in it, and could '
				'replace the functions that policies call.',
				CASE WHEN intruder = 0::oid THEN 'PUBLIC' ELSE intruder::text END),
			HINT = 'Run ALTER SCHEMA clerk OWNER TO a superuser and REVOKE CREATE ON SCHEMA clerk, or '
				'rename the schema.';
	END IF;
END
$$;

COMMENT ON SCHEMA clerk IS 'clerk_rls: who is signed in with Clerk, for row-level security policies';

-- Fails where there is one, whosever it is.
CREATE SCHEMA clerk_internal;
COMMENT ON SCHEMA clerk_internal IS
	'clerk_rls: what the functions of schema clerk are made of; it may change without notice';
