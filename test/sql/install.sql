-- What CREATE EXTENSION makes, and where it refuses to.

-- every object has a comment
SELECT pg_describe_object(classid, objid, objsubid) AS without_comment
FROM pg_depend
WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
	AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'clerk_rls')
	AND classid IN ('pg_class'::regclass, 'pg_proc'::regclass)
	AND obj_description(objid, classid::regclass::name) IS NULL;
SELECT attrelid::regclass AS table, attname AS without_comment
FROM pg_attribute
WHERE attrelid IN ('clerk.instances'::regclass, 'clerk.jwks'::regclass)
	AND attnum > 0 AND NOT attisdropped AND col_description(attrelid, attnum) IS NULL;
SELECT tgrelid::regclass AS table, tgname AS without_comment
FROM pg_trigger
WHERE tgrelid IN ('clerk.instances'::regclass, 'clerk.jwks'::regclass)
	AND NOT tgisinternal AND obj_description(oid, 'pg_trigger') IS NULL;

-- functions that read are STABLE and PARALLEL SAFE; what touches only our own tables runs as its owner
SELECT proname, provolatile, proparallel, prosecdef
FROM pg_proc WHERE pronamespace IN ('clerk'::regnamespace, 'clerk_internal'::regnamespace) ORDER BY proname;

-- the settings, once the library is loaded
SELECT clerk.is_authenticated();
SELECT name, setting, context FROM pg_settings WHERE name ~ '^(clerk|request)\.' ORDER BY name;
SHOW clerk.token;

-- a typing mistake is told
SET clerk.tokn = 'x';

-- beside the tables that Supabase's Clerk wrapper puts into a schema clerk
DROP EXTENSION clerk_rls;
CREATE SCHEMA IF NOT EXISTS clerk;
CREATE FOREIGN DATA WRAPPER clerk_wrapper;
CREATE SERVER clerk_server FOREIGN DATA WRAPPER clerk_wrapper;
CREATE FOREIGN TABLE clerk.users (id text) SERVER clerk_server;
CREATE FOREIGN TABLE clerk.organizations (id text) SERVER clerk_server;
CREATE EXTENSION clerk_rls;
SELECT clerk.uid() IS NULL AS nobody;
DROP EXTENSION clerk_rls;
DROP FOREIGN DATA WRAPPER clerk_wrapper CASCADE;

-- but not where somebody else could replace what policies call
\set VERBOSITY default
\set SHOW_CONTEXT never
CREATE ROLE regress_clerk_owner;
ALTER SCHEMA clerk OWNER TO regress_clerk_owner;
CREATE EXTENSION clerk_rls;
ALTER SCHEMA clerk OWNER TO CURRENT_USER;
GRANT CREATE ON SCHEMA clerk TO regress_clerk_owner;
CREATE EXTENSION clerk_rls;
REVOKE CREATE ON SCHEMA clerk FROM regress_clerk_owner;
GRANT CREATE ON SCHEMA clerk TO PUBLIC;
CREATE EXTENSION clerk_rls;
REVOKE CREATE ON SCHEMA clerk FROM PUBLIC;

-- nor for a role that is no superuser, nor into another schema
SET ROLE regress_clerk_owner;
CREATE EXTENSION clerk_rls;
RESET ROLE;
CREATE EXTENSION clerk_rls SCHEMA public;

-- default privileges give nothing away
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO regress_clerk_owner;
ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO regress_clerk_owner;
CREATE EXTENSION clerk_rls;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM regress_clerk_owner;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON FUNCTIONS FROM regress_clerk_owner;
SELECT has_table_privilege('regress_clerk_owner', 'clerk.jwks', 'SELECT') AS may_read,
	has_table_privilege('regress_clerk_owner', 'clerk.instances', 'INSERT') AS may_write,
	has_function_privilege('regress_clerk_owner', 'clerk.load_jwks(text, jsonb, interval)', 'EXECUTE') AS may_load;
DROP ROLE regress_clerk_owner;
