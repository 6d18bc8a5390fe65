-- What a test of webhooks begins with: two instances with a secret each, and deliveries signed by the first
-- one's, or by another secret.
\set load :srcdir '/vectors/load.sql'
\i :load
\set ECHO none
\set SHOW_CONTEXT never
\set VERBOSITY terse
CREATE SCHEMA crypto;
CREATE EXTENSION pgcrypto SCHEMA crypto;
SELECT clerk.add_instance(:'issuer_a') AS a, clerk.add_instance(:'issuer_b') AS b \gset
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a') \g /dev/null
SELECT clerk.add_webhook_secret(:'issuer_a', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw') \g /dev/null
SELECT clerk.add_webhook_secret(:'issuer_b', 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD') \g /dev/null
CREATE FUNCTION pg_temp.sign(id text, ts text, body text, secret text DEFAULT 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw') RETURNS text LANGUAGE sql AS $$
	SELECT 'v1,' || encode(crypto.hmac(convert_to(id || '.' || ts || '.' || body, 'UTF8'), decode(secret, 'base64'), 'sha256'), 'base64')
$$;
CREATE FUNCTION pg_temp.now(offset_seconds int DEFAULT 0) RETURNS text LANGUAGE sql AS $$
	SELECT (floor(extract(epoch FROM statement_timestamp())) + offset_seconds)::bigint::text
$$;
CREATE FUNCTION pg_temp.deliver(id text, body text) RETURNS text LANGUAGE sql AS $$
	SELECT clerk.receive_webhook(id, pg_temp.now(), pg_temp.sign(id, pg_temp.now(), body), body) ->> 'status'
$$;
CREATE FUNCTION pg_temp.member(type text, id text, org text, member text, role text, at bigint) RETURNS text LANGUAGE sql AS $$
	SELECT jsonb_build_object('type', 'organizationMembership.' || type, 'timestamp', at, 'data', jsonb_build_object('id', id, 'role', role,
		'organization', jsonb_build_object('id', org, 'name', 'Org'), 'public_user_data', jsonb_build_object('user_id', member, 'identifier', member || '@mail.example'), 'updated_at', at))
$$;
\set ECHO all
