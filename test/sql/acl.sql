-- Supabase's default privileges give everything to everybody: what we make has exactly the rights
-- that it has elsewhere.
\getenv srcdir PG_ABS_SRCDIR
\set load :srcdir '/vectors/load.sql'
\i :load
\set SHOW_CONTEXT never

-- the rights on all that we have made, but those of the owner
CREATE FUNCTION pg_temp.rights() RETURNS TABLE (object text, grantee text, privilege text, grantable boolean) LANGUAGE sql AS $$
	SELECT o.name, CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END, acl.privilege_type, acl.is_grantable
	FROM (
		SELECT pg_describe_object(d.classid, d.objid, 0), coalesce(n.nspacl, c.relacl, p.proacl, acldefault(CASE d.classid
				WHEN 'pg_namespace'::regclass THEN 'n' WHEN 'pg_proc'::regclass THEN 'f' WHEN 'pg_type'::regclass THEN 'T' ELSE 'r' END::"char",
				coalesce(n.nspowner, c.relowner, p.proowner, t.typowner))), coalesce(n.nspowner, c.relowner, p.proowner, t.typowner)
		FROM pg_depend AS d
		LEFT JOIN pg_namespace AS n ON d.classid = 'pg_namespace'::regclass AND n.oid = d.objid
		LEFT JOIN pg_class AS c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
		LEFT JOIN pg_proc AS p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
		LEFT JOIN pg_type AS t ON d.classid = 'pg_type'::regclass AND t.oid = d.objid AND t.typrelid = 0 AND t.typelem = 0
		WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'clerk_rls')
		UNION ALL
		SELECT 'schema ' || nspname, coalesce(nspacl, acldefault('n', nspowner)), nspowner FROM pg_namespace WHERE nspname = 'clerk'
		UNION ALL
		SELECT format('sequence %s', oid::regclass), coalesce(relacl, acldefault('s', relowner)), relowner FROM pg_class
		WHERE relkind = 'S' AND relnamespace IN ('clerk'::regnamespace, 'clerk_internal'::regnamespace)
	) AS o (name, acl, owner), aclexplode(o.acl) AS acl
	WHERE acl.grantee <> o.owner
$$;
CREATE TEMPORARY TABLE elsewhere AS SELECT * FROM pg_temp.rights();

-- what is not for everybody
SELECT * FROM elsewhere WHERE grantee <> 'PUBLIC' ORDER BY grantee, object COLLATE "C";
SELECT * FROM elsewhere WHERE grantee = 'PUBLIC' AND object !~ '^function clerk\.' ORDER BY object COLLATE "C";

-- the same, where they are in force: for the superuser who creates extensions, and whom people are
DROP EXTENSION clerk_rls;
CREATE ROLE regress_supabase_admin SUPERUSER;
CREATE ROLE regress_postgres;
CREATE ROLE regress_service_role;
SET SESSION AUTHORIZATION regress_supabase_admin;
CREATE SCHEMA api;
CREATE SCHEMA IF NOT EXISTS clerk;
\set everybody 'regress_postgres, anon, authenticated, regress_service_role WITH GRANT OPTION'
ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO :everybody;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO :everybody;
ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO :everybody;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO :everybody;
ALTER DEFAULT PRIVILEGES IN SCHEMA clerk, public, api GRANT ALL ON TABLES TO :everybody;
ALTER DEFAULT PRIVILEGES IN SCHEMA clerk, public, api GRANT ALL ON FUNCTIONS TO :everybody;
ALTER DEFAULT PRIVILEGES IN SCHEMA clerk, public, api GRANT ALL ON SEQUENCES TO :everybody;
CREATE EXTENSION clerk_rls;
SELECT * FROM pg_temp.rights() EXCEPT SELECT * FROM elsewhere;
SELECT * FROM elsewhere EXCEPT SELECT * FROM pg_temp.rights();

-- what our functions make when they are called
CREATE FUNCTION pg_temp.acl(function regprocedure) RETURNS aclitem[] LANGUAGE sql AS $$ SELECT proacl FROM pg_proc WHERE oid = function $$;
CREATE FUNCTION public.before() RETURNS int LANGUAGE sql AS 'SELECT 1';
SELECT pg_temp.acl('public.before()');
SELECT clerk.expose_webhook('api');
SELECT pg_temp.acl('api.clerk_webhook(json)');
-- again, also after others were given it, and gave it on, and with another anonymous role
GRANT EXECUTE ON FUNCTION api.clerk_webhook(json) TO PUBLIC;
GRANT EXECUTE ON FUNCTION api.clerk_webhook(json) TO regress_postgres WITH GRANT OPTION;
GRANT CREATE, USAGE ON SCHEMA api TO regress_postgres;
SET ROLE regress_postgres;
GRANT EXECUTE ON FUNCTION api.clerk_webhook(json) TO authenticated;
RESET ROLE;
SET clerk.anon_role = 'regress_service_role';
SELECT clerk.expose_webhook('api');
SELECT pg_temp.acl('api.clerk_webhook(json)');
RESET clerk.anon_role;
SELECT clerk.expose_webhook('api');
SELECT pg_temp.acl('api.clerk_webhook(json)');

SELECT clerk.expose_report('api', 'regress_postgres');
SELECT pg_temp.acl('api.clerk_report()');

SELECT clerk.install_auth_shim();
SELECT nspacl FROM pg_namespace WHERE nspname = 'auth';
SELECT oid::regprocedure, proacl FROM pg_proc WHERE pronamespace = 'auth'::regnamespace ORDER BY 1;
SELECT clerk.remove_auth_shim();

CREATE TABLE public.notes (id uuid PRIMARY KEY, clerk_id text UNIQUE);
REVOKE ALL ON public.notes FROM regress_postgres, anon, authenticated, regress_service_role;
SELECT count(*) FROM clerk.protect('public.notes', owner => 'clerk_id', dry_run => false);
SELECT clerk.track_ids('public.notes', 'clerk_id', 'id');
SELECT grantee::regrole, string_agg(privilege_type, ', ' ORDER BY privilege_type) FROM pg_class, aclexplode(relacl)
WHERE pg_class.oid = 'public.notes'::regclass AND grantee <> relowner GROUP BY 1;
-- nothing has come since that was not there before
SELECT * FROM pg_temp.rights() EXCEPT SELECT * FROM elsewhere;
SELECT * FROM elsewhere EXCEPT SELECT * FROM pg_temp.rights();
DROP TABLE public.notes;
DROP FUNCTION public.before, api.clerk_webhook, api.clerk_report;
DROP DOMAIN api."text/html";

-- somebody else's function is not taken for the endpoint, as its owner could replace it again
SET ROLE regress_postgres;
CREATE FUNCTION api.clerk_webhook(json) RETURNS json LANGUAGE sql AS 'SELECT $1';
RESET ROLE;
SELECT clerk.expose_webhook('api');
SELECT proowner::regrole, prosecdef, prosrc FROM pg_proc WHERE oid = 'api.clerk_webhook(json)'::regprocedure;
SELECT clerk.expose_webhook('api', 'hook');
SET ROLE regress_postgres;
CREATE DOMAIN api."text/html" AS text CHECK (current_user <> 'regress_supabase_admin');
RESET ROLE;
SELECT clerk.expose_report('api', 'regress_postgres');
ALTER DOMAIN api."text/html" OWNER TO regress_supabase_admin;
SET ROLE regress_postgres;
CREATE FUNCTION api.clerk_report() RETURNS api."text/html" LANGUAGE sql AS $$ SELECT '' $$;
RESET ROLE;
SELECT clerk.expose_report('api', 'regress_postgres');
SELECT pg_temp.acl('api.hook(json)');

-- functions of schema auth stay their owners': that is said
CREATE SCHEMA auth AUTHORIZATION regress_postgres;
SELECT clerk.install_auth_shim();
SELECT clerk.remove_auth_shim();
ALTER SCHEMA auth OWNER TO CURRENT_USER;
GRANT CREATE, USAGE ON SCHEMA auth TO regress_postgres;
SET ROLE regress_postgres;
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql AS 'SELECT NULL::uuid';
CREATE FUNCTION auth.role() RETURNS text LANGUAGE sql AS 'SELECT NULL';
RESET ROLE;
SELECT clerk.install_auth_shim();
SELECT clerk.install_auth_shim(NULL);
SELECT clerk.install_auth_shim(overwrite => true);
SELECT oid::regprocedure, proowner::regrole FROM pg_proc WHERE pronamespace = 'auth'::regnamespace ORDER BY 1;
SELECT clerk.remove_auth_shim();
DROP SCHEMA auth, api CASCADE;

DROP OWNED BY regress_postgres, regress_service_role;
DROP EXTENSION clerk_rls;
RESET SESSION AUTHORIZATION;
DROP OWNED BY regress_supabase_admin;
SELECT count(*) FROM pg_default_acl;
DROP ROLE regress_supabase_admin, regress_postgres, regress_service_role;
CREATE EXTENSION clerk_rls;
