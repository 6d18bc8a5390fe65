--
-- schema.sql
--		The schemas, and where this file must not go: over the extension, over what somebody else
--		has made, over a later version.
--

DO $$
DECLARE
	schema record;
	foreign_owner regrole;
	stranger text;
	was text;
BEGIN
	IF pg_catalog.getdatabaseencoding() <> 'UTF8' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'feature_not_supported',
			MESSAGE = 'the encoding of this database is not UTF8',
			DETAIL = 'Tokens and webhooks are in UTF8.';
	ELSIF EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'clerk_rls') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'object_not_in_prerequisite_state',
			MESSAGE = 'the extension clerk_rls is installed in this database',
			HINT = 'It has the same functions, and needs no file beside it.';
	END IF;
	FOR schema IN SELECT * FROM pg_catalog.pg_namespace WHERE nspname IN ('clerk', 'clerk_internal') LOOP
		SELECT creator INTO foreign_owner
		FROM (
			SELECT schema.nspowner
			UNION ALL
			SELECT acl.grantee FROM pg_catalog.aclexplode(schema.nspacl) AS acl
				WHERE acl.privilege_type = 'CREATE'
			UNION ALL
			SELECT relowner FROM pg_catalog.pg_class WHERE relnamespace = schema.oid
			UNION ALL
			SELECT proowner FROM pg_catalog.pg_proc WHERE pronamespace = schema.oid
			UNION ALL
			SELECT typowner FROM pg_catalog.pg_type WHERE typnamespace = schema.oid
		) AS creators (creator)
		WHERE creator <> (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user)
		LIMIT 1;
		IF FOUND THEN
			RAISE EXCEPTION USING
				ERRCODE = 'insufficient_privilege',
				MESSAGE = pg_catalog.format('schema %I can be changed by another role', schema.nspname),
				DETAIL = pg_catalog.format('%s owns it, or something in it, or may create objects in it, '
					'and could replace the functions that policies call.',
					CASE WHEN foreign_owner = 0::oid THEN 'PUBLIC' ELSE foreign_owner::text END),
				HINT = 'Run this as the role that has run it before; or give that role the schema and all '
					'in it, or rename the schema.';
		END IF;
	END LOOP;

	-- what has made version() has made the rest
	was := pg_catalog.obj_description(pg_catalog.to_regprocedure('clerk.version()'), 'pg_proc');
	IF was IS NULL OR was NOT LIKE '%hosted%' THEN
		SELECT pg_catalog.pg_describe_object(classid, objid, objsubid) INTO stranger
		FROM pg_catalog.pg_depend
		WHERE refclassid = 'pg_catalog.pg_namespace'::regclass
			AND refobjid IN (SELECT oid FROM pg_catalog.pg_namespace
				WHERE nspname IN ('clerk', 'clerk_internal'))
		LIMIT 1;
		IF FOUND THEN
			RAISE EXCEPTION USING
				ERRCODE = 'duplicate_object',
				MESSAGE = 'schema "clerk" has something in it that is not of this file',
				DETAIL = pg_catalog.format('There is %s.', stranger),
				HINT = 'Rename that schema; a foreign data wrapper can have its tables in another one.';
		END IF;
	ELSE
		EXECUTE 'SELECT clerk.version()' INTO was;
		IF pg_catalog.string_to_array(pg_catalog.split_part(was, ' ', 1),
			'.')::integer[] > pg_catalog.string_to_array('@VERSION@', '.')::integer[] THEN
			RAISE EXCEPTION USING
				ERRCODE = 'object_not_in_prerequisite_state',
				MESSAGE = pg_catalog.format('version %s is there already, and this is version @VERSION@',
					pg_catalog.split_part(was, ' ', 1)),
				HINT = 'Use the file of that version, or a later one.';
		END IF;
	END IF;
END
$$;

CREATE SCHEMA clerk;
CREATE SCHEMA clerk_internal;
COMMENT ON SCHEMA clerk IS 'clerk_rls: who is signed in with Clerk, for row-level security policies';
COMMENT ON SCHEMA clerk_internal IS
	'clerk_rls: what the functions of schema clerk are made of; it may change without notice';

-- Nobody's default privileges reach what is made here, and nobody's grants on what was there
-- already are changed: default_privileges.sql and the end compare with this.
SELECT pg_catalog.set_config('clerk_rls.before', (
	SELECT coalesce(pg_catalog.jsonb_object_agg(object, acl), '{}')::text
	FROM (
		SELECT 'SCHEMA ' || oid::regnamespace, nspacl::text[] FROM pg_catalog.pg_namespace
		WHERE nspname IN ('clerk', 'clerk_internal')
			AND pg_catalog.to_regprocedure('clerk.version()') IS NOT NULL
		UNION ALL
		SELECT 'TABLE ' || oid::regclass, relacl::text[] FROM pg_catalog.pg_class
		WHERE relnamespace::regnamespace::text IN ('clerk', 'clerk_internal') AND relkind IN ('r', 'v')
		UNION ALL
		SELECT 'FUNCTION ' || oid::regprocedure,
			coalesce(proacl, pg_catalog.acldefault('f', proowner))::text[] FROM pg_catalog.pg_proc
		WHERE pronamespace::regnamespace::text IN ('clerk', 'clerk_internal')
	) AS known (object, acl)), true);
