-- The test kit where the hosted file is: whoever has run it signs in anybody, whoever is believed; nobody else does, and never beside production.
\set kit '\\! psql -Xq -U hosted_owner -d hosted_kit -v ON_ERROR_STOP=1 -v SHOW_CONTEXT=never <hosted/clerk_rls_test.sql'
CREATE DATABASE hosted_kit TEMPLATE hosted_template OWNER hosted_owner;
\c hosted_kit hosted_owner
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SELECT clerk.add_instance('pk_live_Y2xlcmsuZXhhbXBsZS5jb20k') AS live \gset
:kit
SELECT to_regnamespace('clerk_test') AS nothing;
SELECT clerk.drop_instance(:'live');
CREATE SCHEMA clerk_test;
:kit
DROP SCHEMA clerk_test;
:kit
SELECT clerk.add_instance('pk_live_Y2xlcmsuZXhhbXBsZS5jb20k');
SELECT "check", outcome, "what to do" FROM clerk.doctor() WHERE "check" ^@ 'clerk_rls_test';

CREATE TABLE notes (user_id text DEFAULT clerk.uid(), body text);
SELECT count(*) > 0 AS protected FROM clerk.protect('notes', owner => 'user_id', dry_run => false);
-- where signatures are verified, and where the gateway is believed
SELECT value FROM clerk.settings WHERE name = 'verify';
SELECT clerk_test.login('user_alice', 'org_a', 'admin', '{org:notes:read}');
INSERT INTO notes (body) VALUES ('a') RETURNING user_id;
SELECT clerk.has_role('admin') AS role, clerk.has_permission('notes:read') AS permission, current_user;
SELECT clerk_test.login('user_bob');
SELECT count(*) FROM notes;
SELECT clerk_test.reset();
UPDATE clerk.settings SET value = 'claims' WHERE name = 'verify';
SELECT clerk_test.login('user_alice');
SELECT clerk.uid(), count(*) FROM notes;
SELECT clerk_test.login('user_bob');
SELECT clerk.uid(), count(*) FROM notes;
SELECT clerk_test.logout();
SELECT clerk.uid(), current_user, current_setting('request.jwt.claims');
SELECT clerk_test.reset();
SELECT clerk.revoke_session('sess_user_bob');
SELECT clerk_test.login('user_bob');
SELECT clerk_test.reset();

-- nobody else
\c - authenticator
\set SHOW_CONTEXT never
SELECT clerk_test.login('user_alice');
SET ROLE authenticated;
SELECT clerk_test.token('{"sub": "user_alice"}');
TABLE clerk_test.private_key;
SELECT clerk_test.sign('', '');
RESET ROLE;
\c - hosted_owner
SELECT oid::regprocedure AS public FROM pg_proc WHERE pronamespace = 'clerk_test'::regnamespace AND has_function_privilege('anon', oid, 'EXECUTE') ORDER BY oid::regprocedure::text COLLATE "C";

-- and away
SET client_min_messages = warning;
SELECT clerk.drop_instance('https://clerk.test.invalid');
DROP SCHEMA clerk_test CASCADE;
SELECT count(*) AS instances FROM clerk.instances;
SELECT tgname FROM pg_trigger WHERE tgrelid = 'clerk.instances'::regclass AND tgname = 'refuse_production';
\c postgres postgres
DROP DATABASE hosted_kit;
