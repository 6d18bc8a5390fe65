-- Event handlers: they are the installer's own, as nothing here can become another role; what they leave behind is refused.
CREATE DATABASE hosted_handlers TEMPLATE hosted_template;
\c hosted_handlers
SET client_min_messages = warning;
CREATE SCHEMA app;
GRANT USAGE ON SCHEMA app TO PUBLIC;
CREATE TABLE app.log (event text, by text DEFAULT current_user);
GRANT SELECT, INSERT ON app.log TO PUBLIC;
CREATE ROLE regress_other;
SELECT nspowner::regrole AS owner FROM pg_namespace WHERE nspname = 'clerk' \gset
SELECT clerk.add_instance('https://clerk.example.com') AS a, clerk.add_webhook_secret('https://clerk.example.com', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw') AS b \gset
CREATE FUNCTION pg_temp.deliver(id text, type text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	ts text := floor(extract(epoch FROM clock_timestamp()));
	body text := format('{"type":"%s","data":{"id":"user_%s","updated_at":1700000000000}}', type, id);
	message text;
BEGIN
	RETURN clerk.receive_webhook(id, ts, 'v1,' || encode(clerk_internal.hmac_sha256(convert_to(concat(id, '.', ts, '.', body), 'UTF8'),
		clerk_internal.decode_webhook_secret('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')), 'base64'), body) ->> 'status';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
	RETURN message;
END
$$;
CREATE FUNCTION pg_temp.handler(name text, body text, owner text DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE FUNCTION app.%I(event jsonb) RETURNS void LANGUAGE plpgsql AS %L', name, 'BEGIN ' || body || ' END');
	EXECUTE format('ALTER FUNCTION app.%I OWNER TO %s', name, coalesce(owner, (SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'clerk')));
END
$$;
SELECT pg_temp.handler('notes', 'INSERT INTO app.log (event) VALUES (event ->> ''type'');'),
	pg_temp.handler('fails', 'INSERT INTO app.log (event) VALUES (''never''); RAISE ''not now'';'),
	pg_temp.handler('forgets', 'DECLARE c CURSOR FOR SELECT 1; BEGIN OPEN c; c := NULL; EXECUTE ''DECLARE d CURSOR FOR SELECT 1''; END;'),
	pg_temp.handler('leaves', 'CREATE TEMP TABLE t (a int);'),
	pg_temp.handler('sets', 'PERFORM set_config(''search_path'', ''evil'', false), set_config(''clerk.token'', ''x'', false);'),
	pg_temp.handler('foreign', 'INSERT INTO app.log (event) VALUES (''foreign'');', 'regress_other');
-- as its owner, once
SELECT clerk.add_event_handler('user.*', 'app.notes(jsonb)');
SELECT pg_temp.deliver('1', 'user.created'), pg_temp.deliver('1', 'user.created'), pg_temp.deliver('2', 'session.created');
SELECT event, by = :'owner' AS by_owner FROM app.log;
-- in the transaction that applies the event; what it leaves behind is refused
SELECT clerk.add_event_handler('fail', 'app.fails(jsonb)'), clerk.add_event_handler('forget', 'app.forgets(jsonb)'),
	clerk.add_event_handler('leave', 'app.leaves(jsonb)'), clerk.add_event_handler('set', 'app.sets(jsonb)');
SELECT type, pg_temp.deliver(type, type) FROM unnest('{fail,forget,leave,set}'::text[]) AS type;
SELECT count(*) FROM app.log;
SELECT id FROM clerk.webhook_events ORDER BY id COLLATE "C";
SELECT current_setting('search_path') AS search_path, to_regclass('pg_temp.t') IS NULL AS gone, count(*) AS cursors FROM pg_cursors WHERE name = 'd';
RESET search_path;
RESET clerk.token;
-- another's is refused where it is registered, by whatever way, SECURITY DEFINER or not
\set VERBOSITY terse
SELECT clerk.add_event_handler('*', 'app.foreign(jsonb)');
INSERT INTO clerk.event_handlers VALUES ('*', 'app.foreign(jsonb)');
ALTER FUNCTION app.foreign SECURITY DEFINER;
SELECT clerk.add_event_handler('*', 'app.foreign(jsonb)');
UPDATE clerk.event_handlers SET handler = 'app.foreign(jsonb)';
-- and where it has become another's since
ALTER FUNCTION app.notes OWNER TO regress_other;
SELECT pg_temp.deliver('3', 'user.created');
DROP FUNCTION app.notes;
SELECT pg_temp.deliver('4', 'user.created');
SELECT count(*) FROM clerk.user_profiles;
\c postgres
DROP DATABASE hosted_handlers;
DROP ROLE regress_other;
