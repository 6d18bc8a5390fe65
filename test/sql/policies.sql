-- Policies as an application writes them: what each user sees and may change.
\getenv srcdir PG_ABS_SRCDIR
\set load :srcdir '/vectors/load.sql'
\i :load
\set VERBOSITY terse

SELECT clerk.add_instance(:'issuer_a') AS a, clerk.add_instance(:'issuer_b') AS b \gset
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
SELECT count(*) FROM clerk.load_jwks(:'issuer_b', :'jwks_b');

-- owned by a role that is no superuser
CREATE ROLE regress_notes_owner;
CREATE SCHEMA notes_app AUTHORIZATION regress_notes_owner;
GRANT USAGE ON SCHEMA notes_app TO anon, authenticated;
SET ROLE regress_notes_owner;
CREATE TABLE notes_app.notes (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	user_id text NOT NULL DEFAULT clerk.uid(),
	body text
);
ALTER TABLE notes_app.notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_select ON notes_app.notes FOR SELECT TO anon, authenticated USING (user_id = clerk.uid());
CREATE POLICY own_insert ON notes_app.notes FOR INSERT TO authenticated WITH CHECK (user_id = clerk.uid());
CREATE POLICY own_update ON notes_app.notes FOR UPDATE TO authenticated USING (user_id = clerk.uid());
CREATE POLICY own_delete ON notes_app.notes FOR DELETE TO authenticated USING (user_id = clerk.uid());
CREATE POLICY not_impersonated ON notes_app.notes AS RESTRICTIVE FOR DELETE USING (clerk.actor_id() IS NULL);
GRANT SELECT, INSERT, UPDATE, DELETE ON notes_app.notes TO anon, authenticated;
INSERT INTO notes_app.notes (user_id, body) VALUES ('user_alice', 'a1'), ('user_bob', 'b1'), ('user_carol', 'c1');
RESET ROLE;
SET search_path = notes_app, public;

SET ROLE authenticated;
-- nobody is signed in
SELECT * FROM notes;
INSERT INTO notes (body) VALUES ('x');
UPDATE notes SET body = 'x';
DELETE FROM notes;

-- alice
SET clerk.token = :'alice';
SELECT user_id, body FROM notes;
INSERT INTO notes (body) VALUES ('a2') RETURNING user_id, body;
INSERT INTO notes (user_id, body) VALUES ('user_bob', 'x');
UPDATE notes SET body = body || '!' RETURNING user_id, body;
UPDATE notes SET user_id = 'user_bob';
DELETE FROM notes WHERE body = 'b1';
DELETE FROM notes WHERE body = 'a1!' RETURNING body;
INSERT INTO notes (user_id, body) OVERRIDING USER VALUE VALUES ('user_alice', 'a3')
	ON CONFLICT (id) DO UPDATE SET body = 'x' RETURNING body;
WITH moved AS (UPDATE notes SET body = 'a4' WHERE body = 'a3' RETURNING user_id) SELECT * FROM moved;

-- bob, and carol of the other instance
SET clerk.token = :'bob';
SELECT user_id, body FROM notes;
SET clerk.token = :'carol';
SELECT user_id, body FROM notes;

-- a support engineer who impersonates alice sees, and does not delete
SET clerk.token = :'impersonated';
SELECT user_id, body FROM notes ORDER BY body;
DELETE FROM notes;

-- whatever is not a good token sees nothing, and raises nothing
RESET ROLE;
CREATE FUNCTION pg_temp.visible(token text) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('clerk.token', token, true);
	RETURN count(*) FROM notes_app.notes;
END
$$;
GRANT SELECT ON tokens TO anon, authenticated;
SET ROLE anon;
SELECT visible, count(*) AS tokens, string_agg(name, ' ' ORDER BY name) FILTER (WHERE visible > 0) AS names
FROM tokens, pg_temp.visible(token) AS visible GROUP BY visible ORDER BY visible;

-- a user who can run SQL, but has no key
RESET clerk.token;
SET request.jwt.claims = '{"iss": "https://clerk.example.com", "sub": "user_alice", "role": "authenticated", "exp": 4102444800}';
SET request.jwt.claim.sub = 'user_alice';
SELECT count(*) FROM notes;
SET request.headers = '{"x-clerk-user": "user_alice", "authorization": "Bearer user_alice"}';
SELECT count(*) FROM notes;
SELECT set_config('clerk.token', :'forged', false) IS NULL AS set;
SELECT count(*) FROM notes;
SET clerk.trust_request_claims = on;
SELECT set_config('clerk.anon_role', 'authenticated', false);
INSERT INTO clerk.instances (issuer) VALUES ('https://evil.example');
INSERT INTO clerk.jwks (issuer, kid, jwk) VALUES (:'issuer_a', 'evil', '{}');
RESET request.jwt.claims;
RESET request.headers;

-- the expression of a policy, a view, a function and a generated plan all ask the same door
RESET ROLE;
CREATE VIEW notes_app.my_notes WITH (security_invoker) AS SELECT * FROM notes_app.notes;
GRANT SELECT ON notes_app.my_notes TO authenticated;
CREATE FUNCTION notes_app.mine() RETURNS SETOF notes_app.notes LANGUAGE sql STABLE AS 'SELECT * FROM notes_app.notes';
PREPARE mine AS SELECT body FROM notes_app.notes ORDER BY body;
SET plan_cache_mode = force_generic_plan;
SET ROLE authenticated;
SET clerk.token = :'alice';
SELECT body FROM my_notes ORDER BY body;
SELECT body FROM mine() ORDER BY body;
EXECUTE mine;
SET clerk.token = :'bob';
SELECT body FROM my_notes ORDER BY body;
SELECT body FROM mine() ORDER BY body;
EXECUTE mine;
RESET plan_cache_mode;

-- many statements, users interleaved on one connection
CREATE FUNCTION pg_temp.interleave(VARIADIC tokens text[]) RETURNS TABLE (user_id text, seen text) LANGUAGE plpgsql AS $$
DECLARE
	token text;
BEGIN
	FOREACH token IN ARRAY tokens LOOP
		PERFORM set_config('request.headers', json_build_object('authorization', 'Bearer ' || token)::text, true);
		RETURN QUERY SELECT clerk.uid(), string_agg(DISTINCT n.user_id, ' ') FROM notes_app.notes AS n;
	END LOOP;
END
$$;
RESET clerk.token;
SELECT * FROM pg_temp.interleave(:'alice', :'bob', :'alice', :'carol', :'forged', :'bob');

RESET ROLE;
RESET search_path;
DROP SCHEMA notes_app CASCADE;
DROP ROLE regress_notes_owner;
DELETE FROM clerk.instances;
