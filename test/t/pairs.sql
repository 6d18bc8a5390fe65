--
-- pairs.sql
--	Two administrators at the same moment, for 018_pairs.pl: fills pairs.serial and pairs.together with what each
--	pair of actions gives one after the other, and at the same time.
--
CREATE SCHEMA crypto;
CREATE EXTENSION pgcrypto SCHEMA crypto;
CREATE SCHEMA link;
CREATE EXTENSION dblink SCHEMA link;
CREATE SCHEMA pairs;
CREATE TABLE pairs.document AS SELECT name, value::jsonb FROM (VALUES ('a', :'jwks_a'), ('next', :'jwks_a_next')) AS v (name, value);
CREATE TABLE pairs.pem AS SELECT :'pem_ed25519'::text AS value;
CREATE TABLE pairs.users (clerk_id text UNIQUE, id text PRIMARY KEY);
CREATE TABLE pairs.tracked (clerk_id text UNIQUE, id text PRIMARY KEY);
-- fetching needs another extension, and takes its time
CREATE OR REPLACE FUNCTION clerk_internal.extension_schema(extension name) RETURNS regnamespace LANGUAGE sql STABLE AS $$ SELECT 'pairs'::regnamespace $$;
CREATE OR REPLACE FUNCTION clerk_internal.refresh_through_http(issuer text, url text) RETURNS boolean LANGUAGE sql AS $$
	SELECT count(*) > 0 FROM clerk.load_jwks(issuer, (SELECT value FROM pairs.document WHERE name = 'a')) $$;

CREATE FUNCTION pairs.deliver(id text, type text, data jsonb, at bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	ts constant text := floor(extract(epoch FROM clock_timestamp()))::bigint;
	body constant text := json_build_object('type', type, 'timestamp', at, 'data', data);
BEGIN
	RETURN clerk.receive_webhook(id, ts, 'v1,' || encode(crypto.hmac(convert_to(id || '.' || ts || '.' || body, 'UTF8'),
		decode('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'base64'), 'sha256'), 'base64'), body) ->> 'status';
END
$$;
CREATE FUNCTION pairs.handle(event jsonb) RETURNS void LANGUAGE sql AS $$ SELECT $$;

-- What administrators, webhooks and applications do, mostly to the same user.
CREATE TABLE pairs.action (n int GENERATED ALWAYS AS IDENTITY, name text, statement text);
INSERT INTO pairs.action (name, statement) VALUES
	('load_jwks', $$SELECT kid, change FROM clerk.load_jwks('https://clerk.example.com', (SELECT value FROM pairs.document WHERE name = 'a'))$$),
	('load_jwks of others', $$SELECT kid, change FROM clerk.load_jwks('https://clerk.example.com', (SELECT value FROM pairs.document WHERE name = 'next'))$$),
	('load_pem', $$SELECT clerk.load_pem('https://clerk.example.com', (SELECT value FROM pairs.pem), 'ins_a')$$),
	('retire_key', $$SELECT clerk.retire_key('https://clerk.example.com', 'ins_a')$$),
	('refresh_jwks', $$SELECT clerk.refresh_jwks('https://clerk.example.com')$$),
	('refresh_jwks of all', $$SELECT clerk.refresh_jwks()$$),
	('add_instance', $$SELECT clerk.add_instance('https://clerk.example.com')$$),
	('drop_instance', $$SELECT clerk.drop_instance('https://clerk.example.com')$$),
	('add_webhook_secret', $$SELECT clerk.add_webhook_secret('https://clerk.example.com', 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD')$$),
	('drop_webhook_secret', $$SELECT clerk.drop_webhook_secret('https://clerk.example.com', 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD')$$),
	('drop the secret of the events', $$SELECT clerk.drop_webhook_secret('https://clerk.example.com', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')$$),
	('add_event_handler', $$SELECT clerk.add_event_handler('*', 'pairs.handle(jsonb)')$$),
	('drop_event_handler', $$SELECT clerk.drop_event_handler('*', 'pairs.handle(jsonb)')$$),
	('revoke_session', $$SELECT clerk.revoke_session('sess_u', 'stolen')$$),
	('revoke_user', $$SELECT clerk.revoke_user('user_u', 'left')$$),
	('unrevoke the session', $$SELECT clerk.unrevoke('sess_u')$$),
	('unrevoke the user', $$SELECT clerk.unrevoke('user_u')$$),
	('prune', $$SELECT * FROM clerk.prune('30 days')$$),
	('map_id', $$SELECT clerk.map_id('user_u', '1')$$),
	('map_id to another', $$SELECT clerk.map_id('user_u', '2')$$),
	('map_id of another', $$SELECT clerk.map_id('user_v', '1')$$),
	('unmap_id', $$SELECT clerk.unmap_id('user_u')$$),
	('map_id of a mapped one', $$SELECT clerk.map_id('user_m', '4')$$),
	('map_id to its local id', $$SELECT clerk.map_id('user_n', '3')$$),
	('unmap_id of a mapped one', $$SELECT clerk.unmap_id('user_m')$$),
	('track_ids', $$SELECT clerk.track_ids('pairs.users', 'clerk_id', 'id')$$),
	('untrack_ids', $$SELECT clerk.untrack_ids('pairs.users')$$),
	('untrack_ids of another', $$SELECT clerk.untrack_ids('pairs.tracked')$$),
	('a row of a tracked table', $$INSERT INTO pairs.tracked VALUES ('user_u', '1')$$),
	('user.created', $$SELECT pairs.deliver('m1', 'user.created', '{"id": "user_u", "username": "a", "external_id": "1", "updated_at": 1700000001000}', 1700000001000)$$),
	('user.updated', $$SELECT pairs.deliver('m2', 'user.updated', '{"id": "user_u", "username": "b", "external_id": "2", "banned": true, "updated_at": 1700000002000}', 1700000002000)$$),
	('user.deleted', $$SELECT pairs.deliver('m3', 'user.deleted', '{"id": "user_u", "deleted": true}', 1700000003000)$$),
	('user.updated of another', $$SELECT pairs.deliver('m4', 'user.updated', '{"id": "user_v", "external_id": "1", "updated_at": 1700000000500}', 1700000000500)$$),
	('session.ended', $$SELECT pairs.deliver('m5', 'session.ended', '{"id": "sess_u"}', 1700000003000)$$),
	('organization.created', $$SELECT pairs.deliver('m6', 'organization.created', '{"id": "org_o", "name": "O", "updated_at": 1700000001000}', 1700000001000)$$),
	('organization.deleted', $$SELECT pairs.deliver('m7', 'organization.deleted', '{"id": "org_o"}', 1700000004000)$$),
	('organizationMembership.created', $$SELECT pairs.deliver('m8', 'organizationMembership.created', '{"id": "orgmem_m", "role": "org:admin", "organization": {"id": "org_o"}, "public_user_data": {"user_id": "user_u"}, "updated_at": 1700000001000}', 1700000001000)$$),
	('organizationMembership.deleted', $$SELECT pairs.deliver('m9', 'organizationMembership.deleted', '{"id": "orgmem_m"}', 1700000005000)$$);

CREATE FUNCTION pairs.is_tracked(tab regclass) RETURNS boolean LANGUAGE sql AS $$
	SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = tab AND tgfoid = 'clerk_internal.track_id()'::regprocedure)
$$;
-- What is there before: empty, or what most of the actions would change.
CREATE FUNCTION pairs.reset(filled boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM pairs.tracked;
	DELETE FROM pairs.users;
	DELETE FROM clerk.instances;
	DELETE FROM clerk.id_map;
	DELETE FROM clerk.revocations;
	DELETE FROM clerk.user_profiles;
	DELETE FROM clerk.org_profiles;
	DELETE FROM clerk.org_memberships;
	DELETE FROM clerk.webhook_events;
	DELETE FROM clerk.event_handlers;
	PERFORM clerk.add_instance('https://clerk.example.com', id_claim => 'external_id');
	PERFORM clerk.add_webhook_secret('https://clerk.example.com', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
	PERFORM clerk.track_ids('pairs.tracked', 'clerk_id', 'id') WHERE NOT pairs.is_tracked('pairs.tracked');
	PERFORM clerk.untrack_ids('pairs.users') WHERE pairs.is_tracked('pairs.users') AND NOT filled;
	PERFORM clerk.track_ids('pairs.users', 'clerk_id', 'id') WHERE NOT pairs.is_tracked('pairs.users') AND filled;
	INSERT INTO pairs.users VALUES ('user_u', '1');
	IF filled THEN
		PERFORM clerk.load_jwks('https://clerk.example.com', value) FROM pairs.document WHERE name = 'a';
		-- retiring, so that the same JWKS makes it current again
		UPDATE clerk.jwks SET expires_at = now() + interval '1 hour';
		PERFORM clerk.add_webhook_secret('https://clerk.example.com', 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD');
		PERFORM clerk.add_event_handler('*', 'pairs.handle(jsonb)');
		PERFORM clerk.revoke_session('sess_u', 'before'), clerk.revoke_user('user_u', 'before');
		INSERT INTO clerk.revocations (id, source, reason) VALUES ('sess_u', 'webhook', 'ended');
		UPDATE clerk.revocations SET revoked_at = now() - interval '40 days';
		PERFORM pairs.deliver('m0', 'organizationMembership.created', '{"id": "orgmem_m", "role": "org:member", "organization": {"id": "org_o"}, "public_user_data": {"user_id": "user_u"}, "updated_at": 1700000000000}', 1700000000000);
		PERFORM pairs.deliver('m00', 'user.created', '{"id": "user_u", "username": "0", "updated_at": 1700000000000}', 1700000000000);
		UPDATE clerk.webhook_events SET received_at = now() - interval '40 days';
		PERFORM clerk.map_id('user_m', '3');
	END IF;
END
$$;
CREATE FUNCTION pairs.state() RETURNS text LANGUAGE sql SET TimeZone = 'UTC' AS $$
	SELECT concat_ws(E'\n',
		(SELECT string_agg(issuer, ' ') FROM clerk.instances),
		(SELECT string_agg(concat_ws(' ', kid, jwk ->> 'kty', CASE WHEN expires_at <= now() THEN 'ended' WHEN expires_at > now() THEN 'retiring' END, any_kid, is_retired), ', ' ORDER BY kid) FROM clerk.jwks),
		(SELECT string_agg(concat_ws(' ', succeeded_at IS NOT NULL, failure), ', ') FROM clerk.jwks_refreshes),
		(SELECT string_agg(secret, ', ' ORDER BY secret) FROM clerk.webhook_secrets),
		(SELECT string_agg(handler, ', ') FROM clerk.event_handlers),
		(SELECT string_agg(id, ', ' ORDER BY id) FROM clerk.webhook_events),
		(SELECT string_agg(concat_ws(' ', id, source, issued_before, reason), ', ' ORDER BY id, source) FROM clerk.revocations),
		(SELECT string_agg(concat_ws(' ', clerk_id, mapped_id, source), ', ' ORDER BY clerk_id) FROM clerk.id_map),
		(SELECT string_agg(concat_ws(' ', clerk_id, deleted_at, last_banned_at, payload), ', ' ORDER BY clerk_id) FROM clerk.user_profiles),
		(SELECT string_agg(concat_ws(' ', clerk_id, deleted_at, payload), ', ' ORDER BY clerk_id) FROM clerk.org_profiles),
		(SELECT string_agg(concat_ws(' ', clerk_id, org_id, user_id, deleted_at, payload), ', ' ORDER BY clerk_id) FROM clerk.org_memberships),
		(SELECT string_agg(tgrelid::regclass || ' ' || tgname, ', ' ORDER BY tgrelid, tgname) FROM pg_trigger WHERE tgfoid = 'clerk_internal.track_id()'::regprocedure))
$$;

-- What an action returns, or its error; an error ends only the action.
CREATE FUNCTION pairs.attempt(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
BEGIN
	EXECUTE format('WITH answer AS MATERIALIZED (%s) SELECT string_agg(answer::text, '' '') FROM answer',
		statement || CASE WHEN statement ^@ 'INSERT' THEN ' RETURNING 1' ELSE '' END) INTO answer;
	RETURN answer;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;
CREATE FUNCTION pairs.answer(connection text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
BEGIN
	SELECT a INTO answer FROM link.dblink_get_result(connection) AS r (a text);
	PERFORM FROM link.dblink_get_result(connection) AS r (a text);
	RETURN answer;
END
$$;

-- Both: what each answers, and what is there then. One after the other, to be rolled back:
CREATE FUNCTION pairs.one_by_one(first text, second text) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
	answers text[];
BEGIN
	answers := ARRAY[pairs.attempt(first), pairs.attempt(second), NULL];
	answers[3] := pairs.state();
	RAISE EXCEPTION USING ERRCODE = 'PAIRS', MESSAGE = answers::text;
EXCEPTION WHEN SQLSTATE 'PAIRS' THEN
	RETURN SQLERRM::text[];
END
$$;
-- At the same time: the first commits when the second waits for it, or is done.
CREATE FUNCTION pairs.together(first text, second text, filled boolean) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
	pid_b constant int := (SELECT pid FROM link.dblink('b', 'SELECT pg_backend_pid()') AS r (pid int));
	answers text[];
BEGIN
	PERFORM FROM link.dblink('a', format('SELECT pairs.reset(%L)::text', filled)) AS r (x text);
	PERFORM link.dblink_exec('a', 'BEGIN');
	PERFORM link.dblink_send_query('a', format('SELECT pairs.attempt(%L)', first));
	answers[1] := pairs.answer('a');
	PERFORM link.dblink_send_query('b', format('SELECT pairs.attempt(%L)', second));
	WHILE link.dblink_is_busy('b') = 1 AND pg_blocking_pids(pid_b) = '{}' LOOP
		PERFORM pg_sleep(0.0005);
	END LOOP;
	PERFORM link.dblink_exec('a', 'COMMIT');
	answers[2] := pairs.answer('b');
	RETURN answers || (SELECT state FROM link.dblink('a', 'SELECT pairs.state()') AS r (state text));
END
$$;

SELECT link.dblink_connect(name, format('dbname=%L host=%L port=%s user=%L', current_database(),
	split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), current_user))
FROM unnest('{a,b}'::text[]) AS name;

CREATE TABLE pairs.pair AS
SELECT first.name AS first, first.statement AS first_statement, second.name AS second, second.statement AS second_statement
FROM pairs.action AS first, pairs.action AS second ORDER BY first.n, second.n;
CREATE TABLE pairs.serial (first text, second text, filled boolean, answers text[]);
SELECT pairs.reset(false);
INSERT INTO pairs.serial SELECT first, second, false, pairs.one_by_one(first_statement, second_statement) FROM pairs.pair;
SELECT pairs.reset(true);
INSERT INTO pairs.serial SELECT first, second, true, pairs.one_by_one(first_statement, second_statement) FROM pairs.pair;
-- into nothing, what fails alone need not be tried
CREATE TABLE pairs.together AS SELECT first, second, false AS filled, pairs.together(first_statement, second_statement, false) AS answers
FROM pairs.pair JOIN pairs.serial USING (first, second) WHERE NOT filled AND answers[1] !~ '^[0-9A-Z]{5} ';
INSERT INTO pairs.together SELECT first, second, true, pairs.together(first_statement, second_statement, true) FROM pairs.pair;
