-- Not for production, not for everybody, and nothing left behind.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE ROLE anon;
CREATE ROLE authenticated;
CREATE ROLE authenticator NOINHERIT;
CREATE ROLE regress_tester;
GRANT anon, authenticated TO authenticator, regress_tester;

-- every object has a comment, and only the owner reads the key
SELECT pg_describe_object(classid, objid, objsubid) AS without_comment
FROM pg_depend
WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
	AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'clerk_rls_test')
	AND classid NOT IN ('pg_type'::regclass)
	AND obj_description(objid, classid::regclass::name) IS NULL;
SELECT oid::regprocedure AS not_public FROM pg_proc
WHERE pronamespace = 'clerk_test'::regnamespace AND NOT has_function_privilege('anon', oid, 'EXECUTE') ORDER BY 1;
SELECT rolname FROM pg_roles WHERE rolname ~ '^(anon|auth|regress)' AND has_table_privilege(oid, 'clerk_test.private_key', 'SELECT');
SELECT proname AS without_search_path FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang
WHERE pronamespace = 'clerk_test'::regnamespace AND lanname <> 'c' AND proconfig IS DISTINCT FROM '{"search_path=pg_catalog, pg_temp"}';

-- neither requests through PostgREST nor plain roles sign in as others, whoever they have become
SET SESSION AUTHORIZATION authenticator;
SELECT clerk_test.login('user_alice');
SET ROLE authenticated;
SELECT clerk_test.token('{"sub": "user_alice"}');
SELECT clerk_test.claims('user_alice');
SELECT clerk_test.logout();
SELECT clerk_test.reset();
SELECT * FROM clerk_test.private_key;
SELECT clerk_test.sign('', '');
SELECT clerk_test.generate_key();
RESET SESSION AUTHORIZATION;

-- a tester does, also after having become somebody
GRANT SELECT ON clerk_test.private_key TO regress_tester;
SET SESSION AUTHORIZATION regress_tester;
SELECT clerk_test.login('user_alice');
SELECT clerk_test.login('user_bob');
SELECT current_user;
SELECT clerk_test.reset();
SELECT current_user;
RESET SESSION AUTHORIZATION;
REVOKE SELECT ON clerk_test.private_key FROM regress_tester;

-- the instance is registered like any other, and its key is public
SELECT issuer, publishable_key, jwks_url, role FROM clerk.instances;
SELECT issuer, kid, any_kid, jsonb_object_keys(jwk) AS member FROM clerk.jwks ORDER BY member;

-- no production instance comes to it
SELECT clerk.add_instance('pk_live_Y2xlcmsuZXhhbXBsZS5jb20k');
UPDATE clerk.instances SET publishable_key = 'pk_live_Y2xlcmsuZXhhbXBsZS5jb20k';
SELECT clerk.add_instance('pk_test_Zm9vLWJhci0xMy5jbGVyay5hY2NvdW50cy5kZXYk');
-- and where somebody has forced one in, everything refuses
\set VERBOSITY terse
ALTER TABLE clerk.instances DISABLE TRIGGER refuse_production;
SELECT clerk.add_instance('pk_live_Y2xlcmsuZXhhbXBsZS5jb20k');
SELECT clerk_test.login('user_alice');
SELECT clerk_test.token('{}');
SELECT clerk_test.claims('user_alice');
SELECT clerk_test.logout();
SELECT clerk_test.reset();

-- DROP EXTENSION leaves nothing, and other extensions may go without a word
CREATE EXTENSION tcn;
DROP EXTENSION tcn;
SELECT count(*) FROM clerk.jwks;
DROP EXTENSION clerk_rls_test;
SELECT issuer FROM clerk.instances ORDER BY issuer;
SELECT count(*) FROM clerk.jwks;
SELECT tgname FROM pg_trigger WHERE tgrelid = 'clerk.instances'::regclass AND tgname = 'refuse_production';
SELECT evtname FROM pg_event_trigger;
SELECT to_regnamespace('clerk_test');

-- nor does it come to a production instance
\set VERBOSITY default
CREATE EXTENSION clerk_rls_test;
SELECT count(*) FROM clerk.instances;
SELECT clerk.drop_instance('https://clerk.example.com');

-- nor into a schema that somebody has prepared
CREATE SCHEMA clerk_test AUTHORIZATION regress_tester;
CREATE EXTENSION clerk_rls_test;
DROP SCHEMA clerk_test;

-- default privileges give nothing away, and each installation has a key of its own
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO regress_tester;
ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO regress_tester;
CREATE EXTENSION clerk_rls_test;
SELECT has_table_privilege('regress_tester', 'clerk_test.private_key', 'SELECT') AS may_read,
	has_function_privilege('regress_tester', 'clerk_test.generate_key()', 'EXECUTE') AS may_generate;
CREATE TABLE first_key AS TABLE clerk_test.private_key;
DROP EXTENSION IF EXISTS clerk_rls_test;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM regress_tester;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON FUNCTIONS FROM regress_tester;
CREATE EXTENSION clerk_rls_test;
SELECT count(*) AS same_key FROM first_key JOIN clerk_test.private_key USING (der);
DROP TABLE first_key;

-- its schema goes with it only, and with clerk_rls
DROP SCHEMA clerk_test CASCADE;
DROP EXTENSION clerk_rls CASCADE;
SELECT to_regnamespace('clerk_test');

-- not for a role that is no superuser
SET ROLE regress_tester;
CREATE EXTENSION clerk_rls_test CASCADE;
RESET ROLE;
DROP ROLE authenticator, regress_tester, anon, authenticated;
