-- Where the hosted file goes, where it does not, and what stays when it is run again.
\set install '\\! "$CLERK_HOSTED_CREATE"'
CREATE DATABASE hosted_update OWNER hosted_owner;
\c hosted_update
\setenv PGDATABASE hosted_update
\getenv vectors PG_ABS_SRCDIR
\set ECHO none
\set vectors :vectors '/vectors/tokens.sql'
\i :vectors
\set ECHO all
\set VERBOSITY terse

-- not over what somebody else has made
CREATE SCHEMA clerk;
:install
ALTER SCHEMA clerk OWNER TO hosted_owner;
CREATE TABLE clerk.users (id text);
:install
ALTER TABLE clerk.users OWNER TO hosted_owner;
:install
DROP TABLE clerk.users;
CREATE TYPE clerk.mood AS ENUM ('good');
:install
DROP TYPE clerk.mood;
CREATE ROLE regress_other;
GRANT CREATE ON SCHEMA clerk TO regress_other;
:install
REVOKE CREATE ON SCHEMA clerk FROM regress_other;
GRANT CREATE ON SCHEMA clerk TO PUBLIC;
:install
DROP SCHEMA clerk;
CREATE EXTENSION clerk_rls;
:install
SELECT clerk.version() ~ '^[0-9.]+ \(extension\)$' AS extension, (SELECT value FROM clerk.settings WHERE name = 'verify') AS verify;
DROP EXTENSION clerk_rls;
DROP SCHEMA clerk;

-- nothing of it is left where it failed
SELECT count(*) FROM pg_namespace WHERE nspname ~ '^clerk';

-- as it is to be; and nothing of what the default privileges give away is left
:install
SELECT clerk.version() ~ '^[0-9.]+ \(hosted\)$' AS hosted, * FROM clerk.settings ORDER BY name;
SELECT current_setting('search_path') AS search_path;
SELECT c.oid::regclass AS may_be_read FROM pg_class AS c
WHERE relnamespace IN ('clerk'::regnamespace, 'clerk_internal'::regnamespace) AND relkind IN ('r', 'v')
	AND (has_table_privilege('anon', c.oid, 'SELECT, INSERT, UPDATE, DELETE') OR has_table_privilege('authenticated', c.oid, 'SELECT, INSERT, UPDATE, DELETE'));
SELECT count(*) > 30 AS callable, bool_or(oid = 'clerk.add_instance'::regproc) AS administration FROM pg_proc
WHERE pronamespace = 'clerk'::regnamespace AND has_function_privilege('anon', oid, 'EXECUTE');
SELECT has_schema_privilege('anon', 'clerk', 'CREATE') AS may_create;

-- what an application has when the next version comes
CREATE FUNCTION public.state() RETURNS TABLE (what text) LANGUAGE sql AS $$
	SELECT format('%s %s', issuer, kid) FROM clerk.jwks
	UNION ALL SELECT format('%s -> %s, %s', clerk_id, mapped_id, source) FROM clerk.id_map
	UNION ALL SELECT id || ' ' || reason FROM clerk.revocations
	UNION ALL SELECT format('%s=%s', name, value) FROM clerk.settings
	UNION ALL SELECT secret FROM clerk.webhook_secrets
	UNION ALL SELECT format('%s on %s', polname, polrelid::regclass) FROM pg_policy
	UNION ALL SELECT format('%s: %s', p.oid::regprocedure, array_to_string(proacl, ' ')) FROM pg_proc AS p
		WHERE p.oid IN ('clerk.revoke_user'::regproc, 'clerk.diagnose'::regproc)
	UNION ALL SELECT format('%s: %s', c.oid::regclass, array_to_string(relacl, ' ')) FROM pg_class AS c WHERE c.oid = 'clerk.user_profiles'::regclass
	UNION ALL SELECT format('%s objects', count(*)) FROM pg_depend WHERE refobjid = 'clerk_internal'::regnamespace
$$;
SET SESSION AUTHORIZATION hosted_owner;
SELECT clerk.add_instance(:'issuer_a') AS a \gset
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
SELECT clerk.map_id('user_alice', 'local'), clerk.revoke_user('user_bob', 'why'), clerk.add_webhook_secret(:'issuer_a', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
UPDATE clerk.settings SET value = 'anonymous' WHERE name = 'anon_role';
CREATE TABLE notes (id int, user_id text DEFAULT clerk.uid());
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes USING (user_id = clerk.uid());
GRANT EXECUTE ON FUNCTION clerk.revoke_user TO authenticated WITH GRANT OPTION;
GRANT SELECT ON clerk.user_profiles TO authenticated;
REVOKE EXECUTE ON FUNCTION clerk.diagnose FROM PUBLIC;
RESET SESSION AUTHORIZATION;
CREATE TABLE before AS SELECT * FROM state();
:install
SELECT count(*) AS kept FROM state() JOIN before USING (what);
(TABLE before EXCEPT SELECT * FROM state()) UNION ALL (SELECT * FROM state() EXCEPT TABLE before);
SET clerk.token = :'alice';
SELECT clerk.uid();
RESET clerk.token;

-- not as another role, and not backwards
\! "$CLERK_HOSTED_CREATE" postgres
\! "$CLERK_HOSTED_CREATE" hosted_owner 1.2.10
SELECT clerk.version();
\! "$CLERK_HOSTED_CREATE" hosted_owner 1.2.9
\! "$CLERK_HOSTED_CREATE" hosted_owner 1.10
SELECT clerk.version();
(TABLE before EXCEPT SELECT * FROM state()) UNION ALL (SELECT * FROM state() EXCEPT TABLE before);

\c postgres
DROP DATABASE hosted_update;
DROP ROLE regress_other;
