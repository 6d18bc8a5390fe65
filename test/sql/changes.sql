-- clerk.key_changes: who has changed keys, instances, revocations, secrets and handlers; by the functions, past them, and by force.
\getenv srcdir PG_ABS_SRCDIR
\set load :srcdir '/vectors/load.sql'
\i :load
\set VERBOSITY terse

-- what was noted since the last look
CREATE TEMP TABLE looked (n bigint);
INSERT INTO looked SELECT count(*) FROM clerk.key_changes;
CREATE FUNCTION pg_temp.changes() RETURNS TABLE (object text, action text, issuer text, key text, before jsonb, after jsonb, changed_by name, as_role name)
LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY SELECT c.object, c.action, c.issuer, c.key, c.before - '{created_at,revoked_at}'::text[], c.after - '{created_at,revoked_at}'::text[],
		nullif(c.changed_by, session_user), c.as_role
	FROM (SELECT * FROM clerk.key_changes ORDER BY changed_at OFFSET (SELECT n FROM looked)) AS c;
	UPDATE looked SET n = (SELECT count(*) FROM clerk.key_changes);
END
$$;

-- by the functions: what an update has changed, and nothing where it changes nothing
SELECT clerk.add_instance(:'issuer_a', clock_skew => '0') AS a \gset
SELECT * FROM pg_temp.changes();
UPDATE clerk.instances SET authorized_parties = '{https://app.example.com}', clock_skew = '0';
UPDATE clerk.instances SET clock_skew = '0';
SELECT * FROM pg_temp.changes();
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
SELECT object, action, issuer, key, after ->> 'thumbprint' = (SELECT clerk_internal.jwk_thumbprint(jwk) FROM clerk.jwks) AS is_thumbprint, after ? 'jwk' AS whole
FROM pg_temp.changes();
SELECT clerk.retire_key(:'issuer_a', 'ins_a');
SELECT object, action, issuer, key, before -> 'is_retired' AS before, after -> 'is_retired' AS after, (SELECT array_agg(k) FROM jsonb_object_keys(after) AS k) AS columns
FROM pg_temp.changes();
SELECT clerk.revoke_session('sess_1'), clerk.revoke_user('user_bob', 'asked for it'), clerk.unrevoke('sess_1');
SELECT * FROM pg_temp.changes();
INSERT INTO clerk.event_handlers VALUES ('user.*', 'public.handle(jsonb)');
SELECT * FROM pg_temp.changes();

-- a secret is a fingerprint
SELECT clerk.add_webhook_secret(:'issuer_a', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
SELECT * FROM pg_temp.changes();
SELECT left(encode(sha256('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'), 'hex'), 8) AS fingerprint;
SELECT count(*) FROM clerk.key_changes AS c WHERE c::text ~ 'whsec|MfKQ9r8G';

-- what goes along with an instance, and a TRUNCATE
SELECT clerk.drop_instance(:'issuer_a');
SELECT object, action, issuer, key FROM pg_temp.changes() ORDER BY object COLLATE "C";
TRUNCATE clerk.revocations, clerk.event_handlers;
SELECT * FROM pg_temp.changes();

-- triggers that are told not to fire fire all the same; and what was rolled back has not been
SET session_replication_role = replica;
SELECT clerk.add_instance(:'issuer_a') AS a \gset
RESET session_replication_role;
SELECT object, action, issuer FROM pg_temp.changes();
BEGIN;
SELECT clerk.drop_instance(:'issuer_a');
ROLLBACK;
SELECT * FROM pg_temp.changes();

-- a key that somebody has slipped in: who was allowed to by a careless grant, and a forged answer to whoever fetches the keys
CREATE ROLE regress_clerk_app LOGIN;
CREATE ROLE regress_clerk_job LOGIN;
GRANT anon TO regress_clerk_app;
GRANT ALL ON ALL TABLES IN SCHEMA clerk TO anon, regress_clerk_job;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA clerk, clerk_internal TO anon, regress_clerk_job;
SET SESSION AUTHORIZATION regress_clerk_app;
SET ROLE anon;
SET application_name = 'not psql';
INSERT INTO clerk.jwks (issuer, kid, jwk) SELECT :'issuer_a', key ->> 'kid', key FROM jsonb_array_elements(:'jwks_b'::jsonb -> 'keys') AS key;
-- who cannot make it undone, nor say that it was somebody else
DELETE FROM clerk.key_changes;
UPDATE clerk.key_changes SET changed_by = 'postgres';
TRUNCATE clerk.key_changes;
INSERT INTO clerk.key_changes (object, action) VALUES ('jwks', 'INSERT');
ALTER TABLE clerk.key_changes DISABLE TRIGGER ALL;
RESET application_name;
SET SESSION AUTHORIZATION regress_clerk_job;
SELECT * FROM clerk.load_jwks(:'issuer_a', :'jwks_a_next');
RESET SESSION AUTHORIZATION;
SELECT object, action, issuer, key, changed_by, as_role FROM pg_temp.changes() ORDER BY changed_by, key;
SELECT DISTINCT application_name = 'not psql' AS is_named, client_addr IS NULL AS is_local, pid = pg_backend_pid() AS is_here,
	transaction_id < pg_current_xact_id() AS is_before, changed_at <= clock_timestamp() AS is_past
FROM clerk.key_changes WHERE as_role = 'anon';
UPDATE clerk.key_changes SET changed_by = 'postgres';

-- prune() takes what was said of revocations, and nothing else
SELECT clerk.revoke_user('user_bob');
ALTER TABLE clerk.key_changes DISABLE TRIGGER keep_changes;
UPDATE clerk.key_changes SET changed_at = changed_at - interval '3 days';
ALTER TABLE clerk.key_changes ENABLE ALWAYS TRIGGER keep_changes;
SELECT clerk.revoke_user('user_carol');
SELECT count(*) AS others FROM clerk.key_changes WHERE object <> 'revocations' \gset
SELECT * FROM clerk.prune('2 days');
SELECT count(*) FILTER (WHERE object <> 'revocations') = :others AS others_stay, array_agg(key) FILTER (WHERE object = 'revocations') AS revocations
FROM clerk.key_changes;

-- the owner may
DELETE FROM clerk.key_changes WHERE object = 'jwks';
TRUNCATE clerk.key_changes;

DROP EXTENSION clerk_rls;
DROP ROLE regress_clerk_app, regress_clerk_job;
CREATE EXTENSION clerk_rls;
