-- Supabase Realtime, replayed: what it sets, in which order, as which roles.
\getenv srcdir PG_ABS_SRCDIR
\set load :srcdir '/vectors/load.sql'
\i :load
\set SHOW_CONTEXT never

SELECT clerk.add_instance(:'issuer_a') AS a, clerk.add_instance(:'issuer_b') AS b \gset
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
CREATE SCHEMA stand_in;
GRANT USAGE ON SCHEMA stand_in TO anon, authenticated;
CREATE TABLE stand_in.notes (id int PRIMARY KEY, user_id text NOT NULL);
ALTER TABLE stand_in.notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON stand_in.notes USING (user_id = clerk.uid());
GRANT SELECT ON stand_in.notes TO anon, authenticated;
INSERT INTO stand_in.notes SELECT n, 'user_' || n % 1000 FROM generate_series(1, 2000) AS n;

-- who has subscribed: a thousand users, and others: of these, only who is of another instance, or anon, has good claims
CREATE TABLE stand_in.subscription (id int PRIMARY KEY, what text NOT NULL, claims jsonb NOT NULL, claims_role name NOT NULL);
INSERT INTO stand_in.subscription
	SELECT n, 'user', jsonb_build_object('iss', :'issuer_a', 'sub', 'user_' || n, 'sid', 'sess_' || n, 'role', 'authenticated', 'exp', 4102444800), 'authenticated'
	FROM generate_series(0, 999) AS n;
INSERT INTO stand_in.subscription
	SELECT 1000 + row_number() OVER (), what, (jsonb_build_object('iss', :'issuer_a', 'sub', 'user_7', 'sid', 'sess_x', 'role', 'authenticated', 'exp', 4102444800) || claims) - coalesce(lacks, ''), role
	FROM (VALUES
		('expired', '{"exp": 1700000000}'::jsonb, 'authenticated', NULL),
		('without exp', '{}', 'authenticated', 'exp'),
		('of a revoked session', '{"sid": "sess_revoked"}', 'authenticated', NULL),
		('of a revoked user', '{"sub": "user_9"}', 'authenticated', NULL),
		('pending', '{"sts": "pending"}', 'authenticated', NULL),
		('of Supabase Auth', '{"iss": "https://project.supabase.co/auth/v1"}', 'authenticated', NULL),
		('without an issuer', '{}', 'authenticated', 'iss'),
		('of another instance', jsonb_build_object('iss', :'issuer_b', 'sub', 'user_8'), 'authenticated', NULL),
		('not yet active', '{"nbf": 4102444000}', 'authenticated', NULL),
		('of a machine', '{"sub": "mch_7"}', 'authenticated', NULL),
		('anonymous', '{"role": "anon"}', 'anon', 'sub'),
		('as anon, with a user''s claims', '{}', 'anon', NULL)
	) AS others (what, claims, role, lacks);
SELECT clerk.revoke_session('sess_revoked'), clerk.revoke_user('user_9');

-- one change: each subscriber in turn, within one statement, by one prepared statement
CREATE FUNCTION stand_in.deliver(note int) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	subscriber record;
	visible boolean;
BEGIN
	PERFORM set_config('role', NULL, true);
	IF EXISTS (SELECT FROM pg_prepared_statements WHERE name = 'look') THEN
		DEALLOCATE look;
	END IF;
	EXECUTE format('PREPARE look AS SELECT true FROM stand_in.notes WHERE id = %s', note);
	FOR subscriber IN SELECT * FROM stand_in.subscription ORDER BY id LOOP
		PERFORM set_config('role', subscriber.claims_role, true), set_config('request.jwt.claims', subscriber.claims::text, true);
		EXECUTE 'EXECUTE look' INTO visible;
		PERFORM set_config('role', NULL, true);
		IF visible THEN
			RETURN NEXT CASE subscriber.what WHEN 'user' THEN subscriber.claims ->> 'sub' ELSE subscriber.what END;
		END IF;
	END LOOP;
END
$$;

-- The role that Realtime connects as has the setting of its own: nobody else has it, as SET ROLE does not bring it.
SELECT current_user AS superuser \gset
CREATE ROLE regress_realtime LOGIN SUPERUSER REPLICATION;
ALTER ROLE regress_realtime SET clerk.trust_request_claims = on;
CREATE ROLE regress_other LOGIN SUPERUSER;
\c - regress_other
SELECT * FROM stand_in.deliver(7);
SET ROLE regress_realtime;
SELECT * FROM stand_in.deliver(7);
RESET ROLE;
\c - regress_realtime
SELECT * FROM stand_in.deliver(7);
SELECT * FROM stand_in.deliver(8);
-- of a user who is revoked, not to the user either; the next statement knows of one who is revoked meanwhile
SELECT * FROM stand_in.deliver(9);
SELECT * FROM stand_in.deliver(11);
SELECT clerk.revoke_user('user_11');
SELECT * FROM stand_in.deliver(11);
SELECT clerk.unrevoke('user_11');
-- exactly to the right ones
SELECT count(*) AS notes, count(*) FILTER (WHERE received = ARRAY['user_' || note]) AS right_ones
FROM generate_series(101, 120) AS note, LATERAL (SELECT ARRAY(SELECT stand_in.deliver(note)) AS received) AS r;

-- Channels: a probe is written, then read as the user, and written as the user.
CREATE TABLE stand_in.messages (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, topic text NOT NULL, extension text NOT NULL);
ALTER TABLE stand_in.messages ENABLE ROW LEVEL SECURITY;
GRANT SELECT, INSERT ON stand_in.messages TO anon, authenticated;
CREATE FUNCTION stand_in.topic() RETURNS text LANGUAGE sql STABLE AS $$ SELECT nullif(current_setting('realtime.topic', true), '') $$;
CREATE POLICY own_topic ON stand_in.messages TO authenticated USING (stand_in.topic() = 'of:' || clerk.uid());

CREATE FUNCTION stand_in.authorize(topic text, claims jsonb, headers jsonb DEFAULT '{}', OUT reads boolean, OUT writes boolean, OUT why text) LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO stand_in.messages (topic, extension) VALUES (topic, 'broadcast');
	PERFORM set_config('role', coalesce(claims ->> 'role', 'anon'), true), set_config('realtime.topic', topic, true),
		set_config('request.jwt.claims', claims::text, true), set_config('request.jwt.claim.sub', claims ->> 'sub', true),
		set_config('request.jwt.claim.role', claims ->> 'role', true), set_config('request.headers', headers::text, true);
	reads := EXISTS (SELECT FROM stand_in.messages);
	BEGIN
		INSERT INTO stand_in.messages (topic, extension) VALUES (topic, 'broadcast');
		writes := true;
	EXCEPTION WHEN insufficient_privilege THEN
		writes := false;
	END;
	why := (SELECT regexp_replace(detail, ', now [^)]*', '') FROM clerk.diagnose() WHERE outcome = 'fail' LIMIT 1);
	RAISE EXCEPTION USING ERRCODE = 'UE000';	-- Realtime rolls back, too
EXCEPTION WHEN SQLSTATE 'UE000' THEN
	NULL;
END
$$;
SELECT jsonb_build_object('iss', :'issuer_a', 'sub', 'user_alice', 'role', 'authenticated', 'exp', 4102444800) AS alice_claims,
	jsonb_build_object('iss', :'issuer_a', 'sub', 'user_bob', 'role', 'authenticated', 'exp', 4102444800) AS bob_claims,
	jsonb_build_object('iss', :'issuer_a', 'sub', 'user_alice', 'role', 'authenticated', 'exp', 1700000000) AS old_claims \gset
SELECT * FROM stand_in.authorize('of:user_alice', :'alice_claims');
SELECT * FROM stand_in.authorize('of:user_alice', :'bob_claims');
SELECT * FROM stand_in.authorize('of:user_alice', :'old_claims');
SELECT * FROM stand_in.authorize('of:user_alice', '{"role": "anon"}');

-- With the socket's headers, which stay what they were: what has merely expired there leaves the answer to the claims,
SELECT * FROM stand_in.authorize('of:user_alice', :'alice_claims', jsonb_build_object('x-clerk-token', :'alice'));
SELECT * FROM stand_in.authorize('of:user_alice', :'alice_claims', jsonb_build_object('x-clerk-token', :'expired'));
SELECT * FROM stand_in.authorize('of:user_alice', :'alice_claims', jsonb_build_object('authorization', 'Bearer ' || :'expired'));
-- also once it is known,
SELECT * FROM stand_in.authorize('of:user_alice', :'alice_claims', jsonb_build_object('x-clerk-token', :'expired'));
-- as the same user's only,
SELECT * FROM stand_in.authorize('of:user_bob', :'bob_claims', jsonb_build_object('x-clerk-token', :'expired'));
SELECT * FROM stand_in.authorize('of:user_alice', :'bob_claims', jsonb_build_object('x-clerk-token', :'expired'));
SELECT * FROM stand_in.authorize('of:user_alice', :'alice_claims', jsonb_build_object('x-clerk-token', :'bob_expired'));
SELECT * FROM stand_in.authorize('of:user_alice', :'alice_claims', jsonb_build_object('x-clerk-token', :'expired', 'authorization', :'bob'));
SELECT * FROM stand_in.authorize('of:user_alice', :'alice_claims', jsonb_build_object('x-clerk-token', :'expired', 'authorization', :'bob_expired'));
-- if they are good,
SELECT * FROM stand_in.authorize('of:user_alice', :'old_claims', jsonb_build_object('x-clerk-token', :'expired'));
SELECT * FROM stand_in.authorize('of:user_alice', '{"role": "authenticated"}', jsonb_build_object('x-clerk-token', :'expired'));
SELECT * FROM stand_in.authorize('of:user_alice', :'alice_claims'::jsonb || '{"sts": "pending"}', jsonb_build_object('x-clerk-token', :'expired'));
SELECT * FROM stand_in.authorize('of:user_alice', :'alice_claims'::jsonb || '{"sid": "sess_revoked"}', jsonb_build_object('x-clerk-token', :'expired'));
-- and nothing else that is wrong with it.
SELECT * FROM stand_in.authorize('of:user_alice', :'alice_claims', jsonb_build_object('x-clerk-token', :'forged'));
SELECT * FROM stand_in.authorize('of:user_alice', :'alice_claims', jsonb_build_object('x-clerk-token', left(:'expired', -4) || 'AAAA'));
SELECT * FROM stand_in.authorize('of:user_alice', :'alice_claims', jsonb_build_object('x-clerk-token', :'not_yet'));

-- Where the token is this request's own, it decides: what has expired is refused.
BEGIN;
SELECT set_config('request.jwt.claims', :'alice_claims', true) IS NULL AS set;
SELECT set_config('clerk.token', :'expired', true) IS NULL AS set;
SELECT clerk.uid();
SELECT set_config('clerk.token', '', true), set_config('request.jwt', :'expired', true) IS NULL AS set;
SELECT clerk.uid();
SELECT set_config('request.jwt', '', true);
SELECT clerk.uid();
ROLLBACK;
-- and where nobody trusts claims
SET clerk.trust_request_claims = off;
SELECT * FROM stand_in.authorize('of:user_alice', :'alice_claims', jsonb_build_object('x-clerk-token', :'expired'));
SELECT * FROM stand_in.authorize('of:user_alice', :'alice_claims', jsonb_build_object('x-clerk-token', :'alice'));

\c - :superuser
SET client_min_messages = warning;
DROP SCHEMA stand_in CASCADE;
DROP ROLE regress_realtime, regress_other;
SELECT clerk.unrevoke('sess_revoked'), clerk.unrevoke('user_9');
DELETE FROM clerk.instances;
