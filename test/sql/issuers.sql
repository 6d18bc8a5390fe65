-- Other issuers than Clerk, other tokens than those of sessions, and keys as others publish them.
\getenv srcdir PG_ABS_SRCDIR
\set load :srcdir '/vectors/load.sql'
\i :load
\set SHOW_CONTEXT never
\set ECHO none
SELECT clerk.add_instance(:'issuer_a') AS a \gset
SELECT count(*) AS keys FROM clerk.load_jwks(:'issuer_a', :'jwks_a') \gset
CREATE FUNCTION pg_temp.ask(token text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN clerk.verify(token) ->> 'sub';
EXCEPTION WHEN SQLSTATE 'PT401' THEN
	RETURN split_part(sqlerrm, ':', 1);
END
$$;
CREATE TEMP TABLE others (n serial, name text, token text);
INSERT INTO others (name, token) VALUES ('session', :'alice'), ('template', :'template'), ('template with aud', :'template_with_audience'),
	('session with aud', :'with_audience'), ('id token', :'id_token'), ('id token with sid and nonce', :'id_token_nonce'),
	('id token with sid and at_hash', :'id_token_at_hash'), ('access token', :'access_token'), ('access token for another', :'access_token_elsewhere');
CREATE TEMP VIEW answers AS SELECT name, pg_temp.ask(token) FROM others ORDER BY n;
\set ECHO all

-- an id token is signed by the same key for whatever application lets users sign in with Clerk: it is no session
SELECT * FROM pg_temp.answers;
-- where audiences are compared, its audience says whether it was made for us
UPDATE clerk.instances SET audiences = '{notes}';
SELECT * FROM pg_temp.answers;
UPDATE clerk.instances SET audiences = '{other_app}';
SELECT * FROM pg_temp.answers;
-- access tokens, where they are asked for; and id tokens
UPDATE clerk.instances SET audiences = '{notes}', token_type = 'access';
SELECT * FROM pg_temp.answers;
UPDATE clerk.instances SET audiences = '{other_app}', token_type = 'id';
SELECT * FROM pg_temp.answers;
-- neither without audiences
\set VERBOSITY terse
UPDATE clerk.instances SET audiences = NULL;
UPDATE clerk.instances SET token_type = 'bearer';
UPDATE clerk.instances SET token_type = NULL;
\set VERBOSITY default
UPDATE clerk.instances SET audiences = NULL, token_type = 'session';

-- the tokens of a template with a secret of its own: refused, unless the application is moving away from it
CREATE FUNCTION pg_temp.request(token text, claims text, header text DEFAULT 'authorization', OUT uid text, OUT role_after name, OUT error text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('role', 'authenticated', true), set_config('request.jwt.claims', coalesce(claims, ''), true),
		set_config('request.headers', json_build_object(header, token)::text, true);
	PERFORM clerk.pre_request();
	uid := clerk.uid();
	role_after := current_user;
EXCEPTION WHEN OTHERS THEN
	error := sqlstate || ' ' || sqlerrm;
END
$$;
\set claims_alice '{"iss":"https://clerk.example.com","sub":"user_alice","role":"authenticated"}'
SELECT * FROM pg_temp.request(:'legacy', :'claims_alice');
SELECT * FROM pg_temp.request(:'legacy_with_kid', :'claims_alice');
UPDATE clerk.instances SET legacy_template_until = now() + interval '1 hour';
SELECT * FROM pg_temp.request(:'legacy', :'claims_alice');
SELECT * FROM pg_temp.request(:'legacy_with_kid', :'claims_alice');
-- it signs nobody in, wherever it is, and beside a session token of another it counts as the other
SELECT pg_temp.ask(:'legacy'), pg_temp.ask(:'legacy_with_kid');
SELECT * FROM pg_temp.request(:'legacy', :'claims_alice', 'x-clerk-token');
SELECT * FROM pg_temp.request(:'bob', :'claims_alice');
SELECT * FROM pg_temp.request(:'alice', :'claims_alice');
SELECT * FROM pg_temp.request(:'alg_none', :'claims_alice');
SELECT * FROM pg_temp.request(:'alg_hs256_public_key', :'claims_alice');
SELECT step, outcome, detail FROM clerk.diagnose(:'legacy') WHERE outcome = 'fail';
UPDATE clerk.instances SET legacy_template_until = now();
SELECT * FROM pg_temp.request(:'legacy', :'claims_alice');
\set VERBOSITY terse
UPDATE clerk.instances SET legacy_template_until = 'infinity';
\set VERBOSITY default
UPDATE clerk.instances SET legacy_template_until = NULL;

-- keys as others publish them: with certificates beside the key, or certificates alone; in an environment file
DELETE FROM clerk.jwks;
SELECT * FROM clerk.load_jwks(:'issuer_a', jsonb_build_object('keys', jsonb_build_array(
	:'jwk_a'::jsonb - 'alg' || '{"kid": "auth0", "x5t": "abc", "x5c": ["MIIC"]}',
	'{"kty": "RSA", "use": "enc", "kid": "keycloak", "alg": "RSA-OAEP", "n": "AQAB", "e": "AQAB"}'::jsonb)));
SELECT * FROM clerk.load_jwks(:'issuer_a', jsonb_build_object('ins_a', :'certificate_a'));
SELECT pg_temp.ask(:'alice');
DELETE FROM clerk.jwks;
SELECT form, clerk.load_pem(:'issuer_a', pem, 'ins_a') FROM (VALUES
	('certificate', :'certificate_a'), ('certificate, one line', replace(:'certificate_a', E'\n', '\n')),
	('key, one line', replace(:'pem_a', E'\n', '\n')), ('key, quoted', '"' || replace(:'pem_a', E'\n', '\r\n') || '\n"')) AS forms (form, pem);
SELECT pg_temp.ask(:'alice');
SELECT clerk.load_pem(:'issuer_a', :'certificate_a' || E'\n' || :'certificate_a');
SELECT clerk.load_jwks(:'issuer_a', jsonb_build_object('ins_a', :'certificate_a', 'other', 1));
SELECT clerk.load_jwks(:'issuer_a', jsonb_build_object('ins_a', 'a certificate'));
SELECT clerk.load_jwks(:'issuer_a', jsonb_build_object('ins_a', E'-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'));
SELECT clerk.load_jwks(:'issuer_a', '"-----BEGIN CERTIFICATE-----"');
SELECT clerk.load_jwks(:'issuer_a', '{"keys": []}');

DROP VIEW pg_temp.answers;
SELECT clerk.drop_instance(:'issuer_a');
