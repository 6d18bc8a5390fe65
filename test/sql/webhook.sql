-- Webhooks: secrets, signatures, each event just once, handlers, the function that PostgREST serves.
\getenv srcdir PG_ABS_SRCDIR
\set webhook :srcdir '/vectors/webhook.sql'
\i :webhook

-- secrets
SELECT clerk.add_webhook_secret(:'issuer_a', 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAQ==');
SELECT clerk.add_webhook_secret(:'issuer_b', secret) FROM unnest('{NULL,"",whsec_,secret,whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2La,whsec_MfKQ-r8GKYqrTwjUPD8ILPZIo2LaLaSw}'::text[]) AS secret;
SELECT clerk.add_webhook_secret(:'issuer_b', 'whsec_');
SELECT clerk.add_webhook_secret('https://unknown.example', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');

-- signatures
\set body '{"type": "unknown.event", "data": {"id": "x"}}'
SELECT what, clerk.verify_webhook('msg_1', ts, signature, body) FROM (VALUES
	('good', pg_temp.now(), pg_temp.sign('msg_1', pg_temp.now(), :'body'), :'body'),
	('another secret of the instance', pg_temp.now(), pg_temp.sign('msg_1', pg_temp.now(), :'body', 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAQ=='), :'body'),
	('another instance', pg_temp.now(), pg_temp.sign('msg_1', pg_temp.now(), :'body', 'C2FVsBQIhrscChlQIMV+b5sSYspob7oD'), :'body'),
	('one of several', pg_temp.now(), 'v1,AAAA v2,x v1a,y ' || pg_temp.sign('msg_1', pg_temp.now(), :'body'), :'body'),
	('290 seconds ago', pg_temp.now(-290), pg_temp.sign('msg_1', pg_temp.now(-290), :'body'), :'body'),
	('310 seconds ago', pg_temp.now(-310), pg_temp.sign('msg_1', pg_temp.now(-310), :'body'), :'body'),
	('in 290 seconds', pg_temp.now(290), pg_temp.sign('msg_1', pg_temp.now(290), :'body'), :'body'),
	('in 310 seconds', pg_temp.now(310), pg_temp.sign('msg_1', pg_temp.now(310), :'body'), :'body'),
	('a fraction of a second', pg_temp.now() || '.5', pg_temp.sign('msg_1', pg_temp.now() || '.5', :'body'), :'body'),
	('unknown secret', pg_temp.now(), pg_temp.sign('msg_1', pg_temp.now(), :'body', 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'), :'body'),
	('another body', pg_temp.now(), pg_temp.sign('msg_1', pg_temp.now(), :'body'), :'body' || ' '),
	('another id', pg_temp.now(), pg_temp.sign('msg_2', pg_temp.now(), :'body'), :'body'),
	('v2', pg_temp.now(), replace(pg_temp.sign('msg_1', pg_temp.now(), :'body'), 'v1', 'v2'), :'body'),
	('no version', pg_temp.now(), substr(pg_temp.sign('msg_1', pg_temp.now(), :'body'), 4), :'body'),
	('cut short', pg_temp.now(), left(pg_temp.sign('msg_1', pg_temp.now(), :'body'), -1), :'body'),
	('empty', pg_temp.now(), '', :'body'),
	('NULL', pg_temp.now(), NULL, :'body'),
	('no timestamp', NULL, pg_temp.sign('msg_1', '', :'body'), :'body')) AS v (what, ts, signature, body);
SELECT clerk.receive_webhook('msg_1', pg_temp.now(), 'v1,AAAA', :'body');
SELECT clerk.receive_webhook(NULL, pg_temp.now(), 'v1,AAAA', :'body');
SELECT count(*) FROM clerk.webhook_events;

SELECT pg_temp.deliver('msg_1', :'body'), pg_temp.deliver('msg_1', :'body');
SELECT pg_temp.deliver('msg_2', body) FROM unnest('{[],"{\"type\": 1, \"data\": {}}","{\"type\": \"user.created\"}"}'::text[]) AS body;
SELECT pg_temp.deliver('msg_2', '[]');
SELECT pg_temp.deliver('msg_2', '{"type": "user.created"}');
SELECT pg_temp.deliver('msg_2', '{"type": "user.created", "data": {}}');
SELECT pg_temp.deliver('msg_2', '{"type": ');
SELECT id, type FROM clerk.webhook_events;

-- handlers: as their owner, in the same transaction
CREATE ROLE regress_app;
CREATE SCHEMA app AUTHORIZATION regress_app;
SET ROLE regress_app;
CREATE TABLE app.log (event text, by name);
CREATE FUNCTION app.on_user(event jsonb) RETURNS void LANGUAGE sql AS $$ INSERT INTO app.log VALUES (event ->> 'type', current_user) $$;
CREATE FUNCTION app.fails(event jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$;
CREATE FUNCTION app.escalates(event jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM clerk.revoke_user('user_x'); END $$;
RESET ROLE;
SELECT clerk.add_event_handler('user.*', 'app.on_user(jsonb)'), clerk.add_event_handler('session.created', 'app.on_user(jsonb)');
SELECT clerk.add_event_handler('user.created', 'app.on_user(jsonb)');
SELECT clerk.add_event_handler('*', 'pg_catalog.lower(text)');
SELECT pg_temp.deliver('h_1', '{"type": "user.created", "data": {"id": "user_h"}}'), pg_temp.deliver('h_1', '{"type": "user.created", "data": {"id": "user_h"}}'),
	pg_temp.deliver('h_2', '{"type": "session.created", "data": {"id": "sess_h"}}'), pg_temp.deliver('h_3', '{"type": "users.created", "data": {"id": "user_h"}}');
SELECT * FROM app.log;
SELECT clerk.add_event_handler('organization.*', 'app.fails(jsonb)'), clerk.add_event_handler('role.*', 'app.escalates(jsonb)');
SELECT pg_temp.deliver('h_4', '{"type": "organization.created", "data": {"id": "org_h"}}');
SELECT pg_temp.deliver('h_5', '{"type": "role.created", "data": {"id": "role_h"}}');
SELECT count(*) FROM clerk.org_profiles WHERE clerk_id = 'org_h';
SELECT count(*) FROM clerk.webhook_events WHERE id IN ('h_4', 'h_5');
SELECT clerk.drop_event_handler('organization.*', 'app.fails(jsonb)'), clerk.drop_event_handler('role.*', 'app.escalates(jsonb)');
SELECT clerk.drop_event_handler('role.*', 'app.escalates(jsonb)');
SELECT pg_temp.deliver('h_4', '{"type": "organization.created", "data": {"id": "org_h"}}');
SELECT current_user = session_user AS is_back;

-- the wrapper that PostgREST serves
CREATE SCHEMA api;
SELECT clerk.expose_webhook('api');
SELECT clerk.expose_webhook('api');
SELECT proname, prosecdef, proconfig, has_function_privilege('anon', oid, 'EXECUTE') AS anon, has_function_privilege('authenticated', oid, 'EXECUTE') AS authenticated
FROM pg_proc WHERE pronamespace = 'api'::regnamespace;
SELECT clerk.expose_webhook('no_such_schema');
GRANT USAGE ON SCHEMA api TO anon;
SELECT pg_temp.now() AS ts \gset
SELECT set_config('request.headers', jsonb_build_object('svix-id', 'w_1', 'svix-timestamp', :'ts', 'svix-signature', pg_temp.sign('w_1', :'ts', :'body'))::text, false) IS NOT NULL AS svix \gset
SET ROLE anon;
SELECT api.clerk_webhook(:'body');
SELECT api.clerk_webhook('{"type":  "unknown.event", "data": {"id": "x"}}');
RESET ROLE;
SELECT set_config('request.headers', jsonb_build_object('webhook-id', 'w_2', 'webhook-timestamp', :'ts', 'webhook-signature', pg_temp.sign('w_2', :'ts', :'body'))::text, false) IS NOT NULL AS standard \gset
SET ROLE anon;
SELECT api.clerk_webhook(:'body');
RESET ROLE;
RESET request.headers;

SELECT issuer, webhook_secrets, last_event_at > now() - interval '1 hour' AS recent FROM clerk.health() ORDER BY issuer;
SELECT clerk.drop_webhook_secret(:'issuer_a', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
SELECT clerk.drop_webhook_secret(:'issuer_a', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
SELECT pg_temp.deliver('h_6', :'body');

DROP SCHEMA api CASCADE;
DROP SCHEMA app CASCADE;
DROP ROLE regress_app;
DROP EXTENSION clerk_rls;
DROP SCHEMA crypto CASCADE;
CREATE EXTENSION clerk_rls;
