-- Self-hosted Supabase: its own keys, who can read them, and whom it lets administer.
\getenv srcdir PG_ABS_SRCDIR
\set load :srcdir '/vectors/load.sql'
\i :load
\set SHOW_CONTEXT never

DELETE FROM clerk.key_changes WHERE object = 'supabase_keys';

-- the keys of Supabase, and what is not
\set legacy '{"kty":"oct","k":"c3VwZXItc2VjcmV0LWp3dC10b2tlbi13aXRoLWF0LWxlYXN0LTMyLWNoYXJhY3RlcnMtbG9uZw","alg":"HS256"}'
\set ec '{"kty":"EC","kid":"ec-1","use":"sig","key_ops":["verify"],"alg":"ES256","ext":true,"crv":"P-256","x":"eA","y":"eQ"}'
SELECT clerk.supabase_pre_config();
SELECT clerk.set_supabase_keys('too short');
SELECT clerk.set_supabase_keys('');
SELECT clerk.set_supabase_keys('{"keys":');
SELECT clerk.set_supabase_keys('{"keys":[]}');
SELECT clerk.set_supabase_keys('{"keys":{}}');
SELECT clerk.set_supabase_keys('{"keys":["x"]}');
SELECT clerk.set_supabase_keys('[]');
SELECT clerk.set_supabase_keys('{"keys":[{"kty":"oct"}]}');
SELECT clerk.set_supabase_keys('{"keys":[{"kty":"oct","k":"c2hvcnQ"}]}');
SELECT clerk.set_supabase_keys('{"keys":[{"kid":"x"}]}');
SELECT clerk.set_supabase_keys('{"keys":[{"kty":"AKP","pub":"x"}]}');
-- JWT_KEYS, with which Supabase Auth signs
SELECT clerk.set_supabase_keys('[' || :'legacy' || ',{"kty":"EC","crv":"P-256","x":"eA","y":"eQ","d":"private"}]');
SELECT count(*) FROM clerk.supabase_keys;

SELECT clerk.set_supabase_keys('super-secret-jwt-token-with-at-least-32-characters-long');
SELECT secret::jsonb = jsonb_build_object('keys', jsonb_build_array(:'legacy'::jsonb)) AS is_legacy FROM clerk.supabase_keys;
SELECT clerk.set_supabase_keys(E' \n{"keys":[' || :'legacy' || ',' || :'ec' || ']}');
SELECT secret FROM clerk.supabase_keys;

-- PostgREST gets them beside those of Clerk
SELECT clerk.add_instance(:'issuer_a') AS a \gset
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
BEGIN;
SET LOCAL ROLE authenticator;
SELECT clerk.supabase_pre_config();
SELECT n, jwk ->> 'kty' AS kty, jwk ->> 'kid' AS kid FROM jsonb_array_elements(current_setting('pgrst.jwt_secret')::jsonb -> 'keys') WITH ORDINALITY AS keys (jwk, n);
COMMIT;
SELECT coalesce(current_setting('pgrst.jwt_secret', true), '') = '' AS is_gone;

-- nobody else, also not who can become PostgREST's role, as postgres can in Supabase
CREATE ROLE regress_storage NOINHERIT IN ROLE authenticator;
CREATE ROLE regress_postgres IN ROLE regress_storage;
BEGIN;
SET LOCAL SESSION AUTHORIZATION regress_postgres;
SET LOCAL ROLE authenticator;
SELECT clerk.supabase_pre_config();
ROLLBACK;
BEGIN;
SET LOCAL SESSION AUTHORIZATION authenticator;
SELECT clerk.supabase_pre_config();
SELECT current_setting('pgrst.jwt_secret') ~ '"oct"' AS has_them;
ROLLBACK;
DROP ROLE regress_postgres, regress_storage;
SELECT has_function_privilege(role, 'clerk.supabase_pre_config()', 'EXECUTE') AS may_call, has_function_privilege(role, 'clerk.set_supabase_keys(text)', 'EXECUTE') AS may_set,
	has_table_privilege(role, 'clerk.supabase_keys', 'SELECT') AS may_read, role
FROM unnest('{anon,authenticated,authenticator}'::name[]) AS role;
-- who has changed them is noted, without them
SELECT action, key, before - 'set_at' AS before, after - 'set_at' AS after FROM clerk.key_changes WHERE object = 'supabase_keys' ORDER BY changed_at;

-- where the secret can be read
CREATE FUNCTION pg_temp.readable() RETURNS TABLE (severity text, object text, fix text) LANGUAGE sql AS $$
	SELECT severity, object, replace(fix, quote_ident(current_database()), 'THIS') FROM clerk.audit()
	WHERE finding = 'supabase-secret-readable' ORDER BY 1, 2, 3
$$;
SELECT * FROM pg_temp.readable();
CREATE ROLE regress_reader;
CREATE ROLE regress_granted;
GRANT pg_read_all_data TO regress_reader;
GRANT SELECT ON clerk.supabase_keys TO regress_granted, anon;
GRANT EXECUTE ON FUNCTION clerk.supabase_pre_config() TO PUBLIC, anon;
SET app.settings.jwt_secret = 'x';
SELECT * FROM pg_temp.readable();
RESET app.settings.jwt_secret;
SELECT format('ALTER DATABASE %I SET app.settings.jwt_secret = %L', current_database(), 'x') \gexec
SELECT format('ALTER ROLE regress_reader IN DATABASE %I SET app.settings.jwt_secret = %L', current_database(), 'x') \gexec
ALTER ROLE regress_granted SET app.settings.jwt_secret = 'x';
SELECT severity, replace(object, current_database(), 'THIS') AS object, fix FROM pg_temp.readable() WHERE fix ~ 'settings';
-- what is said to mend it, does
SELECT fix FROM clerk.audit() WHERE finding = 'supabase-secret-readable' \gexec
SELECT * FROM pg_temp.readable();
-- public keys may be read
GRANT SELECT ON clerk.supabase_keys TO regress_granted;
SELECT clerk.set_supabase_keys('{"keys":[' || :'ec' || ']}');
SELECT * FROM pg_temp.readable();
SELECT clerk.set_supabase_keys(NULL);
SELECT count(*) FROM clerk.supabase_keys;
SELECT proacl FROM pg_proc WHERE oid = 'clerk.supabase_pre_config()'::regprocedure AND has_function_privilege('authenticator', oid, 'EXECUTE');
DROP OWNED BY regress_reader, regress_granted;
DROP ROLE regress_reader, regress_granted;
SELECT clerk.drop_instance(:'issuer_a');
