-- Instances and their keys: what may be loaded, and how a change is told.
\getenv srcdir PG_ABS_SRCDIR
\set load :srcdir '/vectors/load.sql'
\i :load
\set VERBOSITY default
\set SHOW_CONTEXT never

-- an instance by its publishable key, or by its issuer
SELECT clerk.add_instance('pk_test_Zm9vLWJhci0xMy5jbGVyay5hY2NvdW50cy5kZXYk');
SELECT clerk.add_instance('pk_live_Y2xlcmsuZXhhbXBsZS5jb20k', ARRAY['https://app.example.com']);
SELECT clerk.add_instance('https://other.clerk.accounts.dev', role => NULL, clock_skew => '0', max_token_age => '1 day');
SELECT issuer, publishable_key, jwks_url, authorized_parties, audiences, clock_skew, id_claim, id_fallback,
	role, accept_templates, max_token_age
FROM clerk.instances ORDER BY issuer;

-- padding is optional
BEGIN;
SELECT clerk.add_instance('pk_test_Y2xlcmsuaW5zcGlyZWQucHVtYS03NC5sY2wuZGV2JA==');
ROLLBACK;
BEGIN;
SELECT clerk.add_instance('pk_test_Y2xlcmsuaW5zcGlyZWQucHVtYS03NC5sY2wuZGV2JA');
ROLLBACK;

SELECT clerk.add_instance('pk_test_Y2xlcmsuaW5zcGlyZWQucHVtYS03NC5sY2wuZGV2JA=');

-- twice is once, so that it can stand in a migration; other values are not taken
SELECT clerk.add_instance('pk_test_Zm9vLWJhci0xMy5jbGVyay5hY2NvdW50cy5kZXYk');
SELECT clerk.add_instance('https://clerk.example.com', ARRAY['https://app.example.com']);
SELECT clerk.add_instance('https://other.clerk.accounts.dev', role => NULL, clock_skew => '0 seconds', max_token_age => '24:00:00');
SELECT clerk.add_instance('https://other.clerk.accounts.dev', ARRAY['https://b.example', 'https://a.example'], '{notes}', '1 minute', 'external_id', 'none',
	'editor', false, '2 days', 'https://keys.example/jwks');
SELECT clerk.add_instance('https://clerk.example.com');
SELECT clerk.add_instance('https://clerk.example.com', ARRAY['https://app.example.com'], max_token_age => '1 hour');
BEGIN;
UPDATE clerk.instances SET authorized_parties = '{https://b.example,https://a.example}', audiences = '{x,y}' WHERE issuer = 'https://clerk.example.com';
SELECT clerk.add_instance('pk_live_Y2xlcmsuZXhhbXBsZS5jb20k', ARRAY['https://a.example', 'https://b.example'], '{y,x}');
SELECT clerk.add_instance('pk_test_Y2xlcmsuZXhhbXBsZS5jb20k', ARRAY['https://a.example', 'https://b.example'], '{y,x}');
ROLLBACK;
SELECT count(*) FROM clerk.instances;

-- keys that are elsewhere; over http only on this machine
BEGIN;
SELECT added.issuer
FROM (VALUES ('https://securetoken.google.com/notes', 'https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com'),
	('https://notes.eu.auth0.com/', NULL), ('http://localhost:9000', NULL), ('http://127.0.0.1:9000/realms/a', 'http://[::1]:9000/keys'),
	('http://keycloak:8080/realms/a', NULL), ('http://localhost.example', NULL), ('https://a.example', 'https://b.example?p=x')) AS given (issuer, url),
	LATERAL (SELECT clerk.add_instance(given.issuer, jwks_url => url)) AS added (issuer) \g /dev/null
SELECT issuer, jwks_url FROM clerk.instances WHERE publishable_key IS NULL ORDER BY issuer;
ROLLBACK;
\set VERBOSITY terse
SELECT clerk.add_instance('https://a.example', jwks_url => 'http://keys.example/jwks');
SELECT clerk.add_instance('https://a.example', jwks_url => 'http://localhost@keys.example/jwks');
SELECT clerk.add_instance('https://a.example', jwks_url => 'http://localhost.keys.example/jwks');
SELECT clerk.add_instance('https://a.example', jwks_url => 'http://127.0.0.1:80@keys.example/jwks');
SELECT clerk.add_instance('https://a.example', jwks_url => 'https://user:secret@keys.example/jwks');
SELECT clerk.add_instance('https://a.example', jwks_url => 'file:///etc/passwd');
SELECT clerk.add_instance('https://a.example', jwks_url => E'https://keys.example/\nx');
UPDATE clerk.instances SET jwks_url = 'http://keys.example/jwks';
\set VERBOSITY default

-- what no token can match
SELECT clerk.add_instance('https://a.example.com', authorized_parties => '{https://app.example.com,https://app.example.com/}');
SELECT party, clerk_internal.origin_problem(party) FROM unnest('{https://app.example.com/,app.example.com,localhost:3000,*,https://*.example.com,https://app.example.com/login,
	https://App.example.com,https://app.example.com:443,http://a.example:80/,"https://app example.com",https://,https://user@a.example,null,
	https://app.example.com,http://localhost:3000,http://[::1]:3000,chrome-extension://abcdef,capacitor://localhost,https://a.example:80}'::text[]) AS party;
UPDATE clerk.instances SET authorized_parties = '{https://app.example.com,app.example.com}' WHERE issuer = 'https://clerk.example.com';
SELECT clerk.add_instance('https://clerk.example.com/');
SELECT clerk.add_instance('https://other.clerk.accounts.dev/');
SELECT clerk.add_instance('https://clerk.example.com/.well-known/jwks.json');
SELECT clerk.add_instance('https://Clerk.example.com');
SELECT clerk.add_instance('https://sso.example.com/realms/a/protocol/openid-connect/certs');
-- another issuer may mean something else by it
BEGIN;
SELECT clerk.add_instance('https://notes.eu.auth0.com/', '{YyIx0aBcDeF}'), clerk.add_instance('https://sso.example.com/realms/a', '{app.example.com}'),
	clerk.add_instance('https://accounts.google.com', '{1-a.apps.googleusercontent.com}', jwks_url => 'https://www.googleapis.com/oauth2/v3/certs');
ROLLBACK;

-- what is neither is refused
SELECT clerk.add_instance('pk_live_aW52YWxpZGtleSQ=');
SELECT clerk.add_instance('pk_live_Y2xlcmsuZXhhbXBsZS5jb20kZXh0cmE=');
SELECT clerk.add_instance('pk_live_Y2xlcmsuZXhhbXBsZS5jb20kJA==');
SELECT clerk.add_instance('pk_prod_Y2xlcmsuZXhhbXBsZS5jb20k');
SELECT clerk.add_instance('pk_live_Y2xlcmsuZXhhbXBsZS5jb20k_x');
SELECT clerk.add_instance('pk_live_ ');
SELECT clerk.add_instance('sk_live_x');
SELECT clerk.add_instance('clerk.example.com');
SELECT clerk.add_instance('https://');
SELECT clerk.add_instance('https://clerk.example.com?x');
SELECT clerk.add_instance(NULL);
SELECT clerk.add_instance('https://clerk.example.com');
SELECT clerk.add_instance('https://x.example', clock_skew => '-1 second');
SELECT clerk.add_instance('https://x.example', authorized_parties => '{}');
SELECT clerk.add_instance('https://x.example', id_fallback => 'email');

-- a JWKS comes in, comes again, and rotates
SELECT * FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
SELECT * FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
SELECT * FROM clerk.load_jwks(:'issuer_a', :'jwks_a_next');
SELECT kid, expires_at = created_at + (expires_at - created_at) AS retiring,
	expires_at - now() BETWEEN '9 minutes' AND '10 minutes' AS in_ten_minutes
FROM clerk.jwks ORDER BY kid;
-- still retiring, at the same time; and then back
SELECT * FROM clerk.load_jwks(:'issuer_a', :'jwks_a_next', grace => '1 hour');
SELECT kid, expires_at - now() < '11 minutes' AS sooner FROM clerk.jwks ORDER BY kid;
SELECT * FROM clerk.load_jwks(:'issuer_a', :'jwks_all');
SELECT * FROM clerk.load_jwks(:'issuer_b', :'jwks_b');
SELECT issuer, kid, expires_at IS NULL AS current FROM clerk.jwks ORDER BY 1, 2;

-- nothing else gets in, and nothing changes
SELECT * FROM clerk.load_jwks('https://unknown.example', :'jwks_a');
SELECT * FROM clerk.load_jwks(:'issuer_a', NULL);
SELECT * FROM clerk.load_jwks(:'issuer_a', '[]');
SELECT * FROM clerk.load_jwks(:'issuer_a', '{"keys": []}');
SELECT * FROM clerk.load_jwks(:'issuer_a', '{"keys": {}}');
SELECT * FROM clerk.load_jwks(:'issuer_a', :'jwk_a');
SELECT * FROM clerk.load_jwks(:'issuer_a', :'jwks_a', grace => '-1 second');
SELECT * FROM clerk.load_jwks(:'issuer_a', jsonb_build_object('keys', jsonb_build_array(:'jwk_a_private'::jsonb)));
SELECT * FROM clerk.load_jwks(:'issuer_a', jsonb_build_object('keys', jsonb_build_array(:'jwk_weak'::jsonb)));
SELECT * FROM clerk.load_jwks(:'issuer_a', jsonb_build_object('keys', jsonb_build_array(:'jwk_a'::jsonb, :'jwk_a'::jsonb)));
SELECT * FROM clerk.load_jwks(:'issuer_a', jsonb_build_object('keys', jsonb_build_array(:'jwk_a'::jsonb - 'kid')));
SELECT * FROM clerk.load_jwks(:'issuer_a', jsonb_build_object('keys', jsonb_build_array(:'jwk_a'::jsonb || '{"kid": 1}')));
SELECT * FROM clerk.load_jwks(:'issuer_a', jsonb_build_object('keys', jsonb_build_array(:'jwk_a'::jsonb, '{"kty": "oct", "kid": "s", "k": "c2VjcmV0"}'::jsonb)));
SELECT * FROM clerk.load_jwks(:'issuer_a', '{"keys": [{"kty": "EC", "crv": "P-256", "kid": "off", "x": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE", "y": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"}]}');
SELECT * FROM clerk.load_jwks(:'issuer_a', jsonb_build_object('keys', jsonb_build_array(:'jwk_a'::jsonb || '{"e": "Ag"}')));
SELECT * FROM clerk.load_jwks(:'issuer_a', '{"keys": [{"kty": "AKP", "kid": "x"}]}');
SELECT count(*) FROM clerk.jwks WHERE expires_at IS NULL;

-- what we do not understand is passed over (RFC 7517 section 5)
SELECT * FROM clerk.load_jwks(:'issuer_b', jsonb_build_object('keys', (:'jwks_b'::jsonb -> 'keys')
	|| '[{"kty": "AKP", "kid": "x"}]'
	|| jsonb_build_array(:'jwk_a'::jsonb || '{"use": "enc"}', :'jwk_a'::jsonb || '{"alg": "RSA-OAEP"}',
		:'jwk_a'::jsonb || '{"key_ops": ["encrypt"]}')));

-- only public members are kept
SELECT * FROM clerk.load_jwks(:'issuer_b', jsonb_set(:'jwks_b', '{keys,0,x5c}', '["MII"]'));
SELECT array_agg(key ORDER BY key) FROM clerk.jwks, jsonb_object_keys(jwk) AS key WHERE issuer = :'issuer_b';

-- past load_jwks() as well
\set VERBOSITY terse
INSERT INTO clerk.jwks (issuer, kid, jwk) VALUES (:'issuer_a', 'ins_a', :'jwk_a_private');
INSERT INTO clerk.jwks (issuer, kid, jwk) VALUES (:'issuer_a', 'ins_weak', :'jwk_weak');
INSERT INTO clerk.jwks (issuer, kid, jwk) VALUES (:'issuer_a', 'other', :'jwk_a');
INSERT INTO clerk.jwks (issuer, kid, jwk) VALUES (:'issuer_a', 's', '{"kty": "oct", "kid": "s", "k": "c2VjcmV0"}');
INSERT INTO clerk.jwks (issuer, kid, jwk) VALUES ('https://unknown.example', 'ins_a', :'jwk_a');

SELECT clerk.drop_instance(:'issuer_b');
SELECT clerk.drop_instance(:'issuer_b');
SELECT count(*) FROM clerk.jwks WHERE issuer = :'issuer_b';
DELETE FROM clerk.instances;
