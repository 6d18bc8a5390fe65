-- Event handlers whose owner is hostile: what a handler leaves for later would run as whoever receives webhooks,
-- or as whom the session serves next. Each of these would have made evil_was_here() run as somebody else.
\getenv srcdir PG_ABS_SRCDIR
\set load :srcdir '/vectors/load.sql'
\i :load
\set SHOW_CONTEXT never
\set VERBOSITY terse
CREATE SCHEMA crypto;
CREATE EXTENSION pgcrypto SCHEMA crypto;
SELECT clerk.add_instance(:'issuer_a') AS a \gset
SELECT clerk.add_webhook_secret(:'issuer_a', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
CREATE FUNCTION pg_temp.deliver(id text, body text) RETURNS text LANGUAGE sql AS $$
	SELECT clerk.receive_webhook(id, ts, 'v1,' || encode(crypto.hmac(convert_to(id || '.' || ts || '.' || body, 'UTF8'),
		decode('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'base64'), 'sha256'), 'base64'), body) ->> 'status'
	FROM (SELECT floor(extract(epoch FROM clock_timestamp()))::bigint::text AS ts) AS t
$$;

CREATE ROLE regress_evil;
CREATE SCHEMA evil AUTHORIZATION regress_evil;
-- where it would show; whoever it runs as may write here
CREATE TABLE evil.ran (by name, session name);
GRANT ALL ON evil.ran TO PUBLIC;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
SET ROLE regress_evil;
CREATE FUNCTION evil.was_here() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO evil.ran VALUES (current_user, session_user);
	RETURN true;
END
$$;
CREATE FUNCTION evil.trigger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.was_here(); RETURN NULL; END $$;
CREATE TABLE evil.deferred (a int UNIQUE DEFERRABLE INITIALLY DEFERRED);
CREATE CONSTRAINT TRIGGER t AFTER INSERT ON evil.deferred DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION evil.trigger();
CREATE TABLE evil.way (n int GENERATED ALWAYS AS IDENTITY, statement text);
INSERT INTO evil.way (statement) VALUES
	('DECLARE c CURSOR WITH HOLD FOR SELECT evil.was_here()'),
	('DECLARE c CURSOR FOR SELECT evil.was_here()'),
	('SET CONSTRAINTS ALL DEFERRED; INSERT INTO evil.deferred VALUES (1)'),
	('INSERT INTO evil.deferred VALUES (2)'),
	('CREATE TEMP TABLE t (a int)'),
	('CREATE TEMP VIEW v AS SELECT evil.was_here()'),
	('CREATE TEMP SEQUENCE s'),
	('CREATE DOMAIN pg_temp.citext AS text CHECK (evil.was_here())'),
	('CREATE FUNCTION pg_temp.f() RETURNS boolean LANGUAGE sql RETURN evil.was_here()'),
	('CREATE OPERATOR pg_temp.=== (FUNCTION = pg_catalog.texteq, LEFTARG = text, RIGHTARG = text)'),
	('CREATE COLLATION pg_temp.c FROM "C"'),
	('PREPARE p AS SELECT evil.was_here()'),
	('DEALLOCATE ALL'),
	('LISTEN pgrst'),
	('UNLISTEN *'),
	('DISCARD TEMP'),
	('SET ROLE authenticated'),
	('RESET ROLE'),
	('SET LOCAL ROLE NONE'),
	('SELECT set_config(''role'', ''none'', true)'),
	('SET SESSION AUTHORIZATION DEFAULT'),
	('RESET SESSION AUTHORIZATION'),
	('RESET ALL'),
	('SET search_path = evil'),
	('SELECT set_config(''search_path'', ''evil'', false)'),
	('SET default_transaction_read_only = on'),
	('SET clerk.token = ''x'''),
	('ALTER ROLE CURRENT_USER SET search_path = evil'),
	('COMMIT');
CREATE FUNCTION evil.handle(event jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	one text;
BEGIN
	FOREACH one IN ARRAY string_to_array(event #>> '{data,statement}', '; ') LOOP
		EXECUTE one;
	END LOOP;
END
$$;
CREATE FUNCTION evil.forgets_its_cursor(event jsonb) RETURNS void LANGUAGE plpgsql AS $$ DECLARE c CURSOR FOR SELECT 1; BEGIN c := 'c'; OPEN c; END $$;
CREATE FUNCTION evil.closes_its_cursor(event jsonb) RETURNS void LANGUAGE plpgsql AS $$ DECLARE c CURSOR FOR SELECT 1; BEGIN OPEN c; CLOSE c; END $$;
RESET ROLE;
SELECT clerk.add_event_handler('try', 'evil.handle(jsonb)'), clerk.add_event_handler('forget', 'evil.forgets_its_cursor(jsonb)'),
	clerk.add_event_handler('close', 'evil.closes_its_cursor(jsonb)');

-- what is there before does not count, and stays: a temporary object and a cursor of the receiver's
CREATE TEMP TABLE mine (a int);
CREATE FUNCTION pg_temp.try(n int, statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN pg_temp.deliver('try_' || n, jsonb_build_object('type', 'try', 'data', jsonb_build_object('statement', statement))::text);
EXCEPTION WHEN OTHERS THEN
	RETURN CASE WHEN SQLERRM ~ 'security-restricted|security-definer|leaves something|transaction commands' THEN 'refused' ELSE SQLERRM END;
END
$$;
SELECT current_setting('search_path') AS search_path_before \gset
SELECT statement, pg_temp.try(n, statement) FROM evil.way ORDER BY n;
-- only the constraint that was not deferred ran, as the handler's owner
SELECT by, by = session AS as_session, count(*) FROM evil.ran GROUP BY 1, 2;
SELECT current_user = session_user AS is_back, current_setting('search_path') = :'search_path_before' AS same_path, current_setting('clerk.token') AS token, current_setting('default_transaction_read_only') AS read_only;
SELECT count(*) FROM pg_cursors WHERE name = 'c';
SELECT count(*) FROM pg_prepared_statements WHERE name = 'p';
SELECT count(*) FROM pg_type WHERE typnamespace = pg_my_temp_schema() AND typname = 'citext';
SELECT count(*) FROM pg_listening_channels();

-- a cursor that is forgotten is refused, and said which; one that is closed is not
SELECT pg_temp.deliver('forget_1', '{"type": "forget", "data": {}}');
\set VERBOSITY default
SELECT pg_temp.deliver('forget_1', '{"type": "forget", "data": {}}');
\set VERBOSITY terse
SELECT pg_temp.deliver('close_1', '{"type": "close", "data": {}}');
BEGIN;
DECLARE c CURSOR FOR SELECT 'the receiver''s';
SELECT pg_temp.deliver('close_2', '{"type": "other", "data": {}}');
FETCH c;
COMMIT;

-- what others have deferred fires before the handler, as they
CREATE TABLE waits (a int);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO evil.ran VALUES (current_user, session_user); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER t AFTER INSERT ON waits DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note();
DELETE FROM evil.ran;
BEGIN;
INSERT INTO waits VALUES (1);
SELECT pg_temp.deliver('waits_1', '{"type": "try", "data": {"statement": "INSERT INTO evil.ran VALUES (current_user, ''handler'')"}}');
SELECT by = session_user AS receiver, session = 'handler' AS handler FROM evil.ran;
COMMIT;
SELECT count(*) FROM evil.ran;

DROP TABLE waits;
DROP FUNCTION note();
DROP SCHEMA evil CASCADE;
DROP ROLE regress_evil;
DROP EXTENSION clerk_rls;
DROP SCHEMA crypto CASCADE;
CREATE EXTENSION clerk_rls;
