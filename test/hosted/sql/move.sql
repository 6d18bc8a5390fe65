-- From the hosted file to the extension and back, by the statements of docs/hosted.md.
\getenv vectors PG_ABS_SRCDIR
\set ECHO none
\set vectors :vectors '/vectors/tokens.sql'
\i :vectors
\set export `bash "$PG_ABS_SRCDIR/hosted/block.sh" 1`
\set import `bash "$PG_ABS_SRCDIR/hosted/block.sh" 2`
\set ECHO all
CREATE DATABASE hosted_from TEMPLATE hosted_template;
CREATE DATABASE hosted_to;
\c hosted_from
SELECT clerk.add_instance(:'issuer_a', ARRAY['https://app.example.com'], id_claim => 'external_id') AS a \gset
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
SELECT clerk.map_id('user_alice', 'local'), clerk.revoke_user('user_bob', 'why'), clerk.add_webhook_secret(:'issuer_a', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'),
	clerk.import_users('[{"id": "user_alice", "first_name": "Alice", "updated_at": 1700000000000}]');
:export \gset
\c hosted_to
CREATE EXTENSION clerk_rls;
:import;
SELECT clerk.version() ~ 'extension' AS extension, (SELECT count(*) FROM clerk.jwks) AS keys, (SELECT count(*) FROM clerk.webhook_secrets) AS secrets,
	(SELECT first_name FROM clerk.user_profiles) AS first_name, (SELECT reason FROM clerk.revocations) AS reason;
SELECT who, set_config('clerk.token', token, false) = token AS set, clerk.uid(), clerk.mapped_text() FROM (VALUES ('alice', :'alice'), ('bob', :'bob')) AS v (who, token);
:export \gset
\c hosted_from
DELETE FROM clerk.instances;
DELETE FROM clerk.id_map;
DELETE FROM clerk.revocations;
DELETE FROM clerk.user_profiles;
:import;
SELECT clerk.version() ~ 'hosted' AS hosted, (SELECT count(*) FROM clerk.jwks) AS keys, (SELECT count(*) FROM clerk.webhook_secrets) AS secrets,
	(SELECT first_name FROM clerk.user_profiles) AS first_name, (SELECT reason FROM clerk.revocations) AS reason;
SELECT who, set_config('clerk.token', token, false) = token AS set, clerk.uid(), clerk.mapped_text() FROM (VALUES ('alice', :'alice'), ('bob', :'bob')) AS v (who, token);
\c postgres
DROP DATABASE hosted_from;
DROP DATABASE hosted_to;
