-- Where the gateway is believed: which claims are, and which are not.
CREATE ROLE service_role BYPASSRLS;
GRANT service_role TO authenticator;
CREATE DATABASE hosted_claims OWNER hosted_owner;
\c hosted_claims
\setenv PGDATABASE hosted_claims
\! "$CLERK_HOSTED_CREATE"
\getenv vectors PG_ABS_SRCDIR
\set ECHO none
\set vectors :vectors '/vectors/tokens.sql'
\i :vectors
\set ECHO all
\set VERBOSITY terse
SELECT * FROM clerk.settings ORDER BY name;
SELECT clerk.add_instance(:'issuer_a', ARRAY['https://app.example.com'], ARRAY['api'], max_token_age => '1000 years' - interval '950 years') AS a, clerk.add_instance(:'issuer_b') AS b \gset
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');

CREATE FUNCTION pg_temp.request(claims jsonb, headers json DEFAULT NULL, token text DEFAULT '', OUT uid text, OUT again text, OUT sub text, OUT why text)
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('request.jwt.claims', coalesce(claims::text, ''), true), set_config('request.headers', coalesce(headers::text, ''), true),
		set_config('clerk.token', token, true);
	uid := clerk.uid();
	again := clerk.uid();
	sub := clerk.jwt() ->> 'sub';
	why := split_part(d.detail, ':', 1) FROM clerk.diagnose() AS d WHERE d.outcome = 'fail' LIMIT 1;
END
$$;
\set good '{"iss": "https://clerk.example.com", "sub": "user_alice", "sid": "sess_alice", "azp": "https://app.example.com", "aud": "api", "exp": 4102444800, "iat": 1700000000}'
GRANT SELECT ON ALL TABLES IN SCHEMA pg_temp TO authenticated;
SET ROLE authenticated;
SELECT * FROM pg_temp.request(:'good');
-- each of these alone
SELECT changed, request.* FROM (VALUES ('{"iss": "https://foreign.example"}'), ('{"iss": null}'), ('{"sub": ""}'), ('{"sub": 1}'), ('{"exp": 1700000000}'), ('{"exp": null}'),
	('{"exp": "4102444800"}'), ('{"nbf": 4102444800}'), ('{"iat": 4102444800}'), ('{"iat": 1}'), ('{"azp": "https://evil.example"}'), ('{"azp": null}'),
	('{"aud": "other"}'), ('{"aud": null}'), ('{"sts": "pending"}'), ('{"sts": "active"}'), ('{"act": "x"}'), ('{"act": {"sub": "user_admin"}}'),
	('{"sub": "mch_1"}'), ('{"nonce": "x"}')) AS v (changed), pg_temp.request(:'good'::jsonb || changed::jsonb);
-- what is no object, and what PostgREST says of nobody
SELECT value, set_config('request.jwt.claims', value, false) = value AS set, clerk.uid()
FROM (VALUES (''), ('x'), ('[]'), ('null'), ('{"role": "anon"}'), (repeat('[', 100000)), ('{"a":1,"a":2}')) AS v (value) WHERE length(value) < 100;
SELECT set_config('request.jwt.claims', repeat('{"a":', 50000), false) IS NOT NULL AS set, clerk.uid();
RESET request.jwt.claims;

-- revoked, from the next transaction on
RESET ROLE;
SELECT clerk.revoke_session('sess_alice');
SELECT * FROM pg_temp.request(:'good');
SELECT clerk.unrevoke('sess_alice'), clerk.revoke_user('user_alice');
SELECT * FROM pg_temp.request(:'good');
SELECT clerk.unrevoke('user_alice');

-- two identities are nobody; a token is verified also here
UPDATE clerk.instances SET audiences = NULL;
SELECT * FROM pg_temp.request(:'good', json_build_object('authorization', 'Bearer ' || :'alice'));
SELECT * FROM pg_temp.request(:'good', json_build_object('authorization', 'Bearer ' || :'bob'));
SELECT * FROM pg_temp.request(:'good', json_build_object('x-clerk-token', :'bob'));
SELECT * FROM pg_temp.request(:'good', token => :'bob');
SELECT * FROM pg_temp.request(:'good', token => :'forged');
SELECT * FROM pg_temp.request('{"role": "anon"}', json_build_object('x-clerk-token', :'bob'));
SELECT * FROM pg_temp.request('{"role": "anon"}', json_build_object('x-clerk-token', :'forged'));
BEGIN;
SELECT set_config('request.jwt.claims', :'good', true) = '' AS set, clerk.uid();
SET LOCAL clerk.token = :'bob';
SELECT clerk.uid();
COMMIT;
SELECT clerk.verify(:'forged');
BEGIN;
SELECT clerk.authenticate(:'bob');
SELECT clerk.uid();
COMMIT;

-- many in one transaction, as in Realtime; and an empty answer is not one to keep
BEGIN;
SELECT i, set_config('request.jwt.claims', replace(:'good', 'user_alice', 'user_' || i), true) IS NOT NULL AS set, clerk.uid() FROM generate_series(1, 3) AS i;
SELECT set_config('request.jwt.claims', '', true) = '' AS none, clerk.uid();
COMMIT;
SELECT clerk.uid();

-- no longer believed, by one statement; cached plans follow
PREPARE who AS SELECT clerk.uid();
SET request.jwt.claims = :'good';
EXECUTE who;
BEGIN;
EXECUTE who;
UPDATE clerk.settings SET value = 'signature' WHERE name = 'verify';
EXECUTE who;
COMMIT;
EXECUTE who;
UPDATE clerk.settings SET value = 'claims' WHERE name = 'verify';
EXECUTE who;
UPDATE clerk.settings SET value = 'no' WHERE name = 'verify';
DELETE FROM clerk.settings;
EXECUTE who;
\c postgres
DROP DATABASE hosted_claims;
DROP ROLE service_role;
