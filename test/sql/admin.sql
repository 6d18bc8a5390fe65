-- Administration by a role that is no superuser, as postgres is in Supabase: each call, and what it must not do.
\getenv srcdir PG_ABS_SRCDIR
\set load :srcdir '/vectors/load.sql'
\i :load
\set SHOW_CONTEXT never
SET client_min_messages = warning;

SELECT clerk.grant_admin('no_such_role');
SELECT clerk.grant_admin(NULL);
SELECT clerk.grant_admin('anon');
CREATE ROLE regress_clerk_admin NOLOGIN;
SELECT clerk.grant_admin('regress_clerk_admin');
SELECT clerk.grant_admin('regress_clerk_admin');
CREATE ROLE regress_postgres LOGIN CREATEROLE IN ROLE regress_clerk_admin, authenticated;
CREATE SCHEMA app AUTHORIZATION regress_postgres;
CREATE FUNCTION app.of_superuser(event jsonb) RETURNS void LANGUAGE sql AS '';
INSERT INTO clerk.user_profiles (clerk_id, payload) VALUES ('user_secret', '{}');

-- what it may touch
SELECT c.oid::regclass AS table, string_agg(privilege, ', ' ORDER BY privilege) AS may
FROM pg_class AS c, unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) AS privilege
WHERE relnamespace = 'clerk'::regnamespace AND relkind IN ('r', 'v') AND has_table_privilege('regress_postgres', c.oid, privilege)
GROUP BY c.oid ORDER BY c.oid::regclass::text COLLATE "C";
SELECT attrelid::regclass AS table, attname AS may_read FROM pg_attribute
WHERE attrelid = 'clerk.webhook_secrets'::regclass AND attnum > 0 AND has_column_privilege('regress_postgres', attrelid, attnum, 'SELECT');
SELECT p.oid::regprocedure AS not_for_administrators
FROM pg_proc AS p WHERE pronamespace = 'clerk'::regnamespace AND NOT has_function_privilege('regress_postgres', p.oid, 'EXECUTE')
ORDER BY p.oid::regprocedure::text COLLATE "C";

SET SESSION AUTHORIZATION regress_postgres;
-- instances and keys
SELECT clerk.add_instance(:'issuer_a') AS a \gset
UPDATE clerk.instances SET authorized_parties = '{https://app.example.com}', id_type = 'bigint' WHERE issuer = :'issuer_a';
UPDATE clerk.instances SET authorized_parties = '{app.example.com}' WHERE issuer = :'issuer_a';
SELECT * FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
SELECT clerk.load_pem(:'issuer_a', :'pem_ed25519', 'by_hand');
SELECT clerk.retire_key(:'issuer_a', 'by_hand');
SELECT kid, is_retired FROM clerk.jwks ORDER BY kid;
-- with stand-ins for pgsql-http and pg_cron, as it needs rights on the real ones, too
RESET SESSION AUTHORIZATION;
BEGIN;
\set likeness :srcdir '/lib/likeness.sql'
\i :likeness
SET LOCAL allow_system_table_mods = on;
SELECT pg_temp.make_extension('http', 'fetching');
ALTER EXTENSION http ADD FUNCTION fetching.http_get(varchar);
INSERT INTO fetching.http_answers VALUES (:'issuer_a' || '/.well-known/jwks.json', 200, :'jwks_a_next');
GRANT USAGE ON SCHEMA fetching TO regress_postgres;
GRANT ALL ON fetching.http_answers TO regress_postgres;
SET LOCAL SESSION AUTHORIZATION regress_postgres;
SELECT outcome, detail FROM clerk.refresh_jwks();
UPDATE fetching.http_answers SET status = 500;
SELECT outcome, detail FROM clerk.refresh_jwks(:'issuer_a');
UPDATE clerk.jwks_refreshes SET attempted_at = now() - interval '1 day';
SELECT clerk.run_jwks_refresh('1 hour');
SELECT clerk.schedule_jwks_refresh('1 hour'), clerk.schedule_jwks_refresh('2 hours'), clerk.schedule_prune('30 days');
SELECT jobname, schedule, command FROM cron.job ORDER BY 1;
SELECT clerk.schedule_prune(NULL);
SELECT succeeded_at IS NOT NULL AS succeeded, failure FROM clerk.jwks_refreshes;
ROLLBACK;
SET SESSION AUTHORIZATION regress_postgres;
-- mapping
SELECT clerk.map_id('user_alice', '1');
SELECT clerk.unmap_id('user_alice');
CREATE TABLE app.users (id bigint PRIMARY KEY, clerk_id text UNIQUE);
INSERT INTO app.users VALUES (5, 'user_alice');
SELECT clerk.track_ids('app.users', 'clerk_id', 'id');
INSERT INTO app.users VALUES (6, 'user_bob');
SELECT clerk_id, mapped_id, source FROM clerk.id_map ORDER BY 1;
SELECT clerk.untrack_ids('app.users');
-- revocation
SELECT clerk.revoke_session('sess_1', 'lost'), clerk.revoke_user('user_bob'), clerk.unrevoke('sess_1');
SELECT id, source FROM clerk.revocations;
-- webhooks
SELECT clerk.add_webhook_secret(:'issuer_a', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'), clerk.add_webhook_secret(:'issuer_a', 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD');
SELECT clerk.drop_webhook_secret(:'issuer_a', 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD');
SELECT issuer FROM clerk.webhook_secrets;
SELECT clerk.expose_webhook('app');
GRANT USAGE ON SCHEMA app TO anon;
CREATE FUNCTION app.on_user(event jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'handled by %', current_user; END $$;
SELECT clerk.add_event_handler('user.*', 'app.on_user(jsonb)');
RESET SESSION AUTHORIZATION;
CREATE EXTENSION pgcrypto;
SELECT '{"type":"user.created","timestamp":1700000000000,"data":{"id":"user_new","updated_at":1700000000000}}' AS body, floor(extract(epoch FROM now()))::bigint AS ts \gset
SELECT 'v1,' || encode(hmac(convert_to('msg_1.' || :'ts' || '.' || :'body', 'UTF8'), decode('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'base64'), 'sha256'), 'base64') AS signature \gset
DROP EXTENSION pgcrypto;
SELECT set_config('request.headers', json_build_object('svix-id', 'msg_1', 'svix-timestamp', :'ts', 'svix-signature', :'signature')::text, false) IS NULL AS unset;
SET ROLE anon;
SELECT app.clerk_webhook(:'body');
RESET ROLE;
RESET request.headers;
SET SESSION AUTHORIZATION regress_postgres;
SELECT id, type FROM clerk.webhook_events;
SELECT clerk.verify_webhook('msg_1', :'ts', :'signature', :'body');
SELECT clerk.receive_webhook('msg_1', :'ts', :'signature', :'body');
SELECT clerk.drop_event_handler('user.*', 'app.on_user(jsonb)');
SELECT clerk.import_users('[{"id": "user_i"}]'), clerk.import_organizations('[]'), clerk.import_memberships('[]');
SELECT * FROM clerk.drift('clerk.user_profiles', '[{"id": "user_j"}]');
SELECT * FROM clerk.prune('1 day');
-- policies
CREATE TABLE app.notes (user_id text);
SELECT clerk.protect('app.notes', owner => 'user_id', dry_run => false);
SELECT policy, result FROM clerk.explain_access('app.notes', 'SELECT', NULL, :'alice');
SELECT count(*) >= 0 AS audited FROM clerk.audit();
SELECT count(*) > 0 AS checked FROM clerk.doctor();
SELECT clerk.report() ~* '^<!doctype html>' AS reported;
CREATE ROLE regress_operator;
SELECT clerk.expose_report('app', 'regress_operator');
SELECT app.clerk_report() ~* '^<!doctype html>' AS served;
SELECT issuer, current_keys, webhook_secrets FROM clerk.health();
SELECT count(*) >= 0 AS counted FROM clerk.stats;
SELECT object, action, as_role, changed_by FROM clerk.key_changes WHERE changed_by = 'regress_postgres' AND object = 'jwks' AND action = 'INSERT' ORDER BY key;
SELECT clerk.set_supabase_keys('super-secret-jwt-token-with-at-least-32-characters-long');
SELECT clerk.set_supabase_keys(NULL);

-- secrets and profiles it does not see, nor more rights than it has
\set VERBOSITY terse
SELECT clerk.set_supabase_keys('super-secret-jwt-token-with-at-least-32-characters-long');
SELECT secret FROM clerk.webhook_secrets;
SELECT count(*) FROM clerk.webhook_secrets WHERE secret ~ 'whsec_M';
INSERT INTO clerk.webhook_secrets VALUES (:'issuer_a', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw') RETURNING secret;
DELETE FROM clerk.webhook_secrets;
SELECT * FROM clerk.supabase_keys;
SELECT clerk.supabase_pre_config();
SELECT * FROM clerk.user_profiles;
DELETE FROM clerk.key_changes;
DELETE FROM clerk.jwks;
CREATE TRIGGER mine AFTER INSERT ON clerk.jwks FOR EACH ROW EXECUTE FUNCTION clerk_internal.track_id();
ALTER TABLE clerk.event_handlers DISABLE TRIGGER check_handler;
SELECT clerk.grant_admin('regress_postgres');
SELECT clerk.install_auth_shim();
SELECT clerk_internal.run_event_handler('app.of_superuser(jsonb)', '{}');
SELECT clerk.add_event_handler('*', 'app.of_superuser(jsonb)');
INSERT INTO clerk.event_handlers VALUES ('*', 'app.of_superuser(jsonb)'), ('*', 'app.on_user(jsonb)');
INSERT INTO clerk.event_handlers VALUES ('*', 'on_user(jsonb)');
UPDATE clerk.event_handlers SET handler = 'app.of_superuser(jsonb)';
SELECT clerk.track_ids('clerk.jwks', 'issuer', 'kid');
SELECT clerk.protect('clerk.jwks', owner => 'issuer', dry_run => false);
SELECT clerk.drop_instance(:'issuer_a');
RESET SESSION AUTHORIZATION;
-- also where triggers are turned off, as Supabase lets postgres do
SET session_replication_role = replica;
SET ROLE regress_postgres;
INSERT INTO clerk.event_handlers VALUES ('*', 'app.of_superuser(jsonb)');
RESET ROLE;
RESET session_replication_role;

SELECT clerk.set_supabase_keys(NULL);
DROP SCHEMA app CASCADE;
DROP OWNED BY regress_postgres, regress_clerk_admin;
DROP ROLE regress_postgres, regress_clerk_admin, regress_operator;
DELETE FROM clerk.user_profiles;
DELETE FROM clerk.revocations;
DELETE FROM clerk.webhook_events;
DELETE FROM clerk.event_handlers;
