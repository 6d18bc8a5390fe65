-- From the hosted file to the extension and back, by the statements of docs/hosted.md: the content, and the application's own
-- tables, policies, tracked tables, webhook endpoint, by pg_dump.
\getenv vectors PG_ABS_SRCDIR
\set ECHO none
\set vectors :vectors '/vectors/tokens.sql'
\i :vectors
\set export `bash "$PG_ABS_SRCDIR/hosted/block.sh" 1`
\set import `bash "$PG_ABS_SRCDIR/hosted/block.sh" 2`
\set ECHO all
\set move '\\! pg_dump --exclude-schema "clerk*" --extension plpgsql "$FROM" | psql -Xq -v ON_ERROR_STOP=1 -d "$TO" 2>&1 | sed "/^ *set_config/,/^$/d"'
CREATE DATABASE hosted_from TEMPLATE hosted_template OWNER hosted_owner;
CREATE DATABASE hosted_to;
CREATE DATABASE hosted_back OWNER hosted_owner;
\c hosted_from hosted_owner
SET client_min_messages = warning;
SELECT clerk.add_instance(:'issuer_a', ARRAY['https://app.example.com'], id_claim => 'external_id') AS a \gset
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
SELECT clerk.map_id('user_alice', '7'), clerk.revoke_user('user_bob', 'why'), clerk.revoke_session('sess_x'), clerk.add_webhook_secret(:'issuer_a', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'),
	clerk.import_users('[{"id": "user_alice", "first_name": "Alice", "updated_at": 1700000000000}]'),
	clerk.import_organizations('[{"id": "org_acme", "name": "Acme", "updated_at": 1700000000000}]');
CREATE SCHEMA app;
GRANT USAGE ON SCHEMA app TO anon, authenticated;
CREATE TABLE app.users (id bigint PRIMARY KEY, clerk_id text UNIQUE);
INSERT INTO app.users VALUES (8, 'user_carol');
SELECT clerk.track_ids('app.users', 'clerk_id', 'id');
CREATE TABLE app.notes (user_id text DEFAULT clerk.uid(), owner bigint DEFAULT clerk.mapped_bigint(), body text);
SELECT count(*) > 0 AS protected FROM clerk.protect('app.notes', owner => 'user_id', dry_run => false);
CREATE POLICY owned ON app.notes AS RESTRICTIVE TO authenticated USING (owner = clerk.mapped_bigint() AND clerk.jwt() ->> 'sid' <> 'sess_x');
INSERT INTO app.notes VALUES ('user_alice', 7, 'of Alice'), ('user_bob', 9, 'of Bob'), ('user_alice', 8, 'of Alice, and of Carol');
CREATE FUNCTION app.on_user(event jsonb) RETURNS void LANGUAGE sql AS $$ INSERT INTO app.notes (user_id, body) VALUES (event #>> '{data,id}', 'from a webhook') $$;
SELECT clerk.expose_webhook('app');
-- what each of them shows
\set state 'SELECT split_part(clerk.version(), \' \', 2) AS flavour, (SELECT count(*) FROM clerk.jwks) AS keys, (SELECT count(*) FROM clerk.webhook_secrets) AS secrets, (SELECT string_agg(id || \': \' || coalesce(reason, \'\'), \', \' ORDER BY id) FROM clerk.revocations) AS revoked, (SELECT string_agg(clerk_id || \' = \' || mapped_id || coalesce(\' of \' || source, \'\'), \', \' ORDER BY clerk_id) FROM clerk.id_map) AS ids, (SELECT first_name FROM clerk.user_profiles) AS user, (SELECT name FROM clerk.org_profiles) AS org;'
CREATE FUNCTION app.seen(token text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('clerk.token', token, true);
	RETURN format('%s, %s: %s', clerk.uid(), clerk.mapped_text(), (SELECT string_agg(body, ', ') FROM app.notes));
END
$$;
\set notes 'BEGIN; SET LOCAL ROLE authenticated; SELECT app.seen(:\'alice\') AS alice, app.seen(:\'bob\') AS bob, app.seen(:\'forged\') AS forged; COMMIT;'
:state
:notes
:export \gset
\c hosted_to postgres
CREATE EXTENSION clerk_rls;
:import;
\setenv FROM hosted_from
\setenv TO hosted_to
:move
SELECT clerk.track_ids('app.users', 'clerk_id', 'id');
:state
:notes
-- the endpoint runs as its owner, who may call nothing here
\set VERBOSITY terse
\set hook 'BEGIN; SET LOCAL ROLE anon; SELECT app.clerk_webhook(\'{}\'); ROLLBACK;'
:hook
DROP FUNCTION app.clerk_webhook(json);
SELECT clerk.expose_webhook('app');
:hook
INSERT INTO app.users VALUES (9, 'user_bob');
SELECT finding, object, detail, fix FROM clerk.audit() WHERE severity = 'error';
:export \gset
-- and back
\setenv PGDATABASE hosted_back
\! "$CLERK_HOSTED_CREATE"
\c hosted_back hosted_owner
:import;
\c - postgres
\setenv FROM hosted_to
\setenv TO hosted_back
:move
\c - hosted_owner
SET client_min_messages = warning;
SELECT clerk.track_ids('app.users', 'clerk_id', 'id');
:state
:notes
:hook
\c - postgres
DROP FUNCTION app.clerk_webhook(json);
GRANT CREATE ON SCHEMA app TO hosted_owner;
\c - hosted_owner
SELECT clerk.expose_webhook('app');
:hook
\c postgres postgres
DROP DATABASE hosted_from;
DROP DATABASE hosted_to;
DROP DATABASE hosted_back;
