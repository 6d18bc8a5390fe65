-- In any order, and as often as they come, events leave the same behind.
\getenv srcdir PG_ABS_SRCDIR
\set webhook :srcdir '/vectors/webhook.sql'
\i :webhook

-- order does not matter: every order of these events ends the same, with some of them delivered twice
CREATE TEMP TABLE history (n int, event text);
INSERT INTO history VALUES
	(1, '{"type": "user.created", "timestamp": 1700000000000, "data": {"id": "user_p", "username": "a", "banned": false, "external_id": "1", "updated_at": 1700000000000}}'),
	(2, '{"type": "user.updated", "timestamp": 1700000001000, "data": {"id": "user_p", "username": "b", "banned": true, "external_id": "1", "updated_at": 1700000001000}}'),
	(3, '{"type": "user.updated", "timestamp": 1700000002000, "data": {"id": "user_p", "username": "c", "banned": false, "external_id": "2", "updated_at": 1700000002000}}'),
	(4, '{"type": "user.updated", "timestamp": 1700000002000, "data": {"id": "user_p", "username": "d", "banned": false, "external_id": "2", "updated_at": 1700000002000}}'),
	(5, '{"type": "session.ended", "timestamp": 1700000003000, "data": {"id": "sess_p"}}');
CREATE FUNCTION pg_temp.state() RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' | ',
		(SELECT string_agg(concat_ws(',', clerk_id, username, banned, external_id, deleted_at AT TIME ZONE 'UTC', last_banned_at AT TIME ZONE 'UTC', event_at AT TIME ZONE 'UTC', payload), ';' ORDER BY clerk_id) FROM clerk.user_profiles),
		(SELECT string_agg(concat_ws(',', id, source, issued_before AT TIME ZONE 'UTC', reason), ';' ORDER BY id) FROM clerk.revocations),
		(SELECT string_agg(concat_ws(',', clerk_id, mapped_id), ';' ORDER BY clerk_id) FROM clerk.id_map))
$$;
CREATE FUNCTION pg_temp.orders(done int[], n int) RETURNS SETOF int[] LANGUAGE plpgsql AS $$
BEGIN
	IF cardinality(done) = n THEN
		RETURN NEXT done;
	END IF;
	FOR i IN 1..n LOOP
		IF NOT i = ANY (done) THEN
			RETURN QUERY SELECT pg_temp.orders(done || i, n);
		END IF;
	END LOOP;
END
$$;
CREATE FUNCTION pg_temp.ends() RETURNS TABLE (state text, n_orders bigint) LANGUAGE plpgsql AS $$
DECLARE
	chosen int[];
BEGIN
	CREATE TEMP TABLE endings (state text);
	FOR chosen IN SELECT pg_temp.orders('{}', (SELECT count(*)::int FROM history)) LOOP
		DELETE FROM clerk.user_profiles;
		DELETE FROM clerk.revocations;
		DELETE FROM clerk.id_map;
		DELETE FROM clerk.webhook_events;
		PERFORM pg_temp.deliver('msg_' || i, event) FROM unnest(chosen || chosen[2:3]) WITH ORDINALITY AS o (i, place) JOIN history ON n = i ORDER BY place;
		-- and once more, under another id
		PERFORM pg_temp.deliver('again_' || i, event) FROM unnest(chosen[1:1]) AS i JOIN history ON n = i;
		INSERT INTO endings VALUES (pg_temp.state());
	END LOOP;
	RETURN QUERY SELECT e.state, count(*) FROM endings AS e GROUP BY e.state;
	DROP TABLE endings;
END
$$;
UPDATE clerk.instances SET id_claim = 'external_id' WHERE issuer = :'issuer_a';
SELECT * FROM pg_temp.ends();
UPDATE history SET event = '{"type": "user.deleted", "timestamp": 1700000005000, "data": {"id": "user_p", "deleted": true}}' WHERE n = 4;
SELECT * FROM pg_temp.ends();

-- What one event says decides about rows of others: an organization and a user that end take their memberships
-- along, with whatever is personal in them, and a late update brings none back.
CREATE OR REPLACE FUNCTION pg_temp.state() RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' | ',
		(SELECT string_agg(concat_ws(',', clerk_id, username, external_id, deleted_at AT TIME ZONE 'UTC', payload), ';' ORDER BY clerk_id) FROM clerk.user_profiles),
		(SELECT string_agg(concat_ws(',', clerk_id, name, deleted_at AT TIME ZONE 'UTC'), ';' ORDER BY clerk_id) FROM clerk.org_profiles),
		(SELECT string_agg(concat_ws(',', clerk_id, org_id, user_id, role, deleted_at AT TIME ZONE 'UTC', payload), ';' ORDER BY clerk_id) FROM clerk.org_memberships),
		(SELECT string_agg(concat_ws(',', clerk_id, mapped_id), ';' ORDER BY clerk_id) FROM clerk.id_map))
$$;
CREATE OR REPLACE FUNCTION pg_temp.ends() RETURNS TABLE (state text, n_orders bigint) LANGUAGE plpgsql AS $$
DECLARE
	chosen int[];
BEGIN
	CREATE TEMP TABLE endings (state text);
	FOR chosen IN SELECT pg_temp.orders('{}', (SELECT count(*)::int FROM history)) LOOP
		DELETE FROM clerk.user_profiles;
		DELETE FROM clerk.org_profiles;
		DELETE FROM clerk.org_memberships;
		DELETE FROM clerk.revocations;
		DELETE FROM clerk.id_map;
		PERFORM clerk_internal.apply_event('https://clerk.example.com', event::jsonb) FROM unnest(chosen || chosen[2:3]) WITH ORDINALITY AS o (i, place) JOIN history ON n = i ORDER BY place;
		INSERT INTO endings VALUES (pg_temp.state());
	END LOOP;
	RETURN QUERY SELECT e.state, count(*) FROM endings AS e GROUP BY e.state;
	DROP TABLE endings;
END
$$;
TRUNCATE history;
INSERT INTO history VALUES
	(1, '{"type": "organization.created", "timestamp": 1700000000000, "data": {"id": "org_e", "name": "E", "updated_at": 1700000000000}}'),
	(2, '{"type": "organization.deleted", "timestamp": 1700000005000, "data": {"id": "org_e", "deleted": true}}'),
	(3, pg_temp.member('created', 'orgmem_1', 'org_e', 'user_1', 'org:admin', 1700000001000)),
	(4, pg_temp.member('updated', 'orgmem_1', 'org_e', 'user_1', 'org:member', 1700000009000)),
	(5, pg_temp.member('created', 'orgmem_2', 'org_f', 'user_1', 'org:admin', 1700000001000)),
	(6, '{"type": "organizationMembership.deleted", "timestamp": 1700000006000, "data": {"id": "orgmem_1", "deleted": true}}');
SELECT * FROM pg_temp.ends();
UPDATE history SET event = '{"type": "user.deleted", "timestamp": 1700000003000, "data": {"id": "user_1", "deleted": true}}' WHERE n = 1;
SELECT * FROM pg_temp.ends();
SELECT count(*) FROM clerk.org_memberships WHERE payload::text LIKE '%mail.example%';
-- an external_id that moves from an account that is deleted to a new one, which is then told again; and one that two
-- swap for a moment. The newest profile that has it has it.
TRUNCATE history;
INSERT INTO history VALUES
	(1, '{"type": "user.created", "timestamp": 1700000000000, "data": {"id": "user_old", "external_id": "7", "updated_at": 1700000000000}}'),
	(2, '{"type": "user.deleted", "timestamp": 1700000002000, "data": {"id": "user_old", "deleted": true}}'),
	(3, '{"type": "user.created", "timestamp": 1700000003000, "data": {"id": "user_new", "external_id": "7", "updated_at": 1700000003000}}'),
	(4, '{"type": "user.updated", "timestamp": 1700000004000, "data": {"id": "user_new", "external_id": "7", "username": "n", "updated_at": 1700000004000}}'),
	(5, '{"type": "user.created", "timestamp": 1700000001000, "data": {"id": "user_third", "external_id": "8", "updated_at": 1700000001000}}');
SELECT * FROM pg_temp.ends();
TRUNCATE history;
INSERT INTO history VALUES
	(1, '{"type": "user.created", "timestamp": 1700000000000, "data": {"id": "user_x", "external_id": "0a0a0a0a-0000-4000-8000-00000000000A", "updated_at": 1700000000000}}'),
	(2, '{"type": "user.updated", "timestamp": 1700000001000, "data": {"id": "user_x", "external_id": null, "updated_at": 1700000001000}}'),
	(3, '{"type": "user.created", "timestamp": 1700000002000, "data": {"id": "user_y", "external_id": "0A0A0A0A-0000-4000-8000-00000000000A", "updated_at": 1700000002000}}'),
	(4, '{"type": "user.updated", "timestamp": 1700000003000, "data": {"id": "user_x", "external_id": "00000000-0000-4000-8000-000000000009", "updated_at": 1700000003000}}'),
	(5, '{"type": "user.created", "timestamp": 1700000002500, "data": {"id": "user_z", "external_id": "{00000000-0000-4000-8000-000000000009}", "updated_at": 1700000002500}}');
SELECT * FROM pg_temp.ends();
-- what map_id() says comes first, whatever events say
SELECT clerk.map_id('user_manual', '77');
SELECT pg_temp.deliver('manual_1', '{"type": "user.created", "data": {"id": "user_other", "external_id": "77"}}'), pg_temp.deliver('manual_2', '{"type": "user.updated", "data": {"id": "user_manual", "external_id": "78"}}');
SELECT clerk_id, mapped_id, source FROM clerk.id_map WHERE clerk_id IN ('user_manual', 'user_other');
DELETE FROM clerk.id_map;

DROP EXTENSION clerk_rls;
DROP SCHEMA crypto CASCADE;
CREATE EXTENSION clerk_rls;
