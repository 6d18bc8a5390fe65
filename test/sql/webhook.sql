-- Webhooks: signatures, what each event does, in any order and just once; revocation; handlers; imports.
\getenv srcdir PG_ABS_SRCDIR
\set load :srcdir '/vectors/load.sql'
\i :load
\set SHOW_CONTEXT never
\set VERBOSITY terse
CREATE SCHEMA crypto;
CREATE EXTENSION pgcrypto SCHEMA crypto;

SELECT clerk.add_instance(:'issuer_a') AS a, clerk.add_instance(:'issuer_b') AS b \gset
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
SELECT clerk.add_webhook_secret(:'issuer_a', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
SELECT clerk.add_webhook_secret(:'issuer_a', 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAQ==');
SELECT clerk.add_webhook_secret(:'issuer_b', 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD');
SELECT clerk.add_webhook_secret(:'issuer_b', secret) FROM unnest('{NULL,"",whsec_,secret,whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2La,whsec_MfKQ-r8GKYqrTwjUPD8ILPZIo2LaLaSw}'::text[]) AS secret;
SELECT clerk.add_webhook_secret(:'issuer_b', 'whsec_');
SELECT clerk.add_webhook_secret('https://unknown.example', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');

CREATE FUNCTION pg_temp.sign(id text, ts text, body text, secret text DEFAULT 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw') RETURNS text LANGUAGE sql AS $$
	SELECT 'v1,' || encode(crypto.hmac(convert_to(id || '.' || ts || '.' || body, 'UTF8'), decode(secret, 'base64'), 'sha256'), 'base64')
$$;
CREATE FUNCTION pg_temp.now(offset_seconds int DEFAULT 0) RETURNS text LANGUAGE sql AS $$
	SELECT (floor(extract(epoch FROM statement_timestamp())) + offset_seconds)::bigint::text
$$;

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

CREATE FUNCTION pg_temp.deliver(id text, body text) RETURNS text LANGUAGE sql AS $$
	SELECT clerk.receive_webhook(id, pg_temp.now(), pg_temp.sign(id, pg_temp.now(), body), body) ->> 'status'
$$;
SELECT pg_temp.deliver('msg_1', :'body'), pg_temp.deliver('msg_1', :'body');
SELECT pg_temp.deliver('msg_2', body) FROM unnest('{[],"{\"type\": 1, \"data\": {}}","{\"type\": \"user.created\"}"}'::text[]) AS body;
SELECT pg_temp.deliver('msg_2', '[]');
SELECT pg_temp.deliver('msg_2', '{"type": "user.created"}');
SELECT pg_temp.deliver('msg_2', '{"type": "user.created", "data": {}}');
SELECT pg_temp.deliver('msg_2', '{"type": ');
SELECT id, type FROM clerk.webhook_events;

-- users; what is private, and what jsonb cannot hold
SELECT pg_temp.deliver('msg_3', '{"type": "user.created", "timestamp": 1700000000000, "data": {"id": "user_alice", "username": "alice", "first_name": "A\u0000\ud800",
	"last_name": "Ärger", "primary_email_address_id": "idn_2", "email_addresses": [{"id": "idn_1", "email_address": "old@example.com"},
	{"id": "idn_2", "email_address": "alice@example.com"}], "external_id": "42", "image_url": "https://img", "banned": false, "locked": true,
	"public_metadata": {"plan": "pro"}, "private_metadata": {"secret": "hidden"}, "created_at": 1600000000000, "updated_at": 1700000000000, "last_sign_in_at": null}}');
SELECT clerk_id, issuer, email, username, first_name, last_name, image_url, external_id, public_metadata, banned, locked, last_sign_in_at, created_at AT TIME ZONE 'UTC' AS created_at, updated_at AT TIME ZONE 'UTC' AS updated_at
FROM clerk.user_profiles \gx
SELECT count(*) FROM clerk.user_profiles WHERE payload::text LIKE '%hidden%';
SELECT pg_temp.deliver('msg_4', '{"type": "email.created", "data": {"id": "ema_1", "body": "code 123456"}}');
SELECT pg_temp.deliver('msg_5', '{"type": "user.updated", "timestamp": 1700000010, "data": {"id": "user_alice", "username": "alice2", "updated_at": 1700000010000}}');
SELECT pg_temp.deliver('msg_6', '{"type": "user.updated", "timestamp": 1700000020, "data": {"id": "user_alice", "username": "old", "updated_at": 1699999999999}}');
SELECT username, email FROM clerk.user_profiles;

-- organizations and memberships
SELECT pg_temp.deliver('msg_7', '{"type": "organization.created", "data": {"id": "org_acme", "name": "Acme", "slug": "acme", "private_metadata": {"s": "hidden"}, "public_metadata": {}, "created_at": 1700000000000, "updated_at": 1700000000000}}');
SELECT pg_temp.deliver('msg_' || m, format('{"type": "organizationMembership.created", "data": {"id": "orgmem_%s", "role": "org:admin", "permissions": ["org:a:b", "org:c:d"], "organization": {"id": "%s", "private_metadata": {"s": "hidden"}}, "public_user_data": {"user_id": "%s"}, "updated_at": 1700000000000}}', m, org, member))
FROM (VALUES (10, 'org_acme', 'user_alice'), (11, 'org_acme', 'user_bob'), (12, 'org_other', 'user_carol')) AS v (m, org, member);
SELECT name, slug FROM clerk.org_profiles;
SELECT clerk_id, org_id, user_id, role, permissions FROM clerk.org_memberships ORDER BY clerk_id;
SELECT count(*) FROM clerk.org_memberships WHERE payload::text LIKE '%hidden%';
SELECT pg_temp.deliver('msg_2' || u, format('{"type": "user.created", "data": {"id": "user_%s", "username": "%1$s", "updated_at": 1700000000000}}', u)) FROM unnest('{bob,carol}'::text[]) AS u;

-- who sees whom, once an application has granted it
GRANT SELECT ON clerk.user_profiles, clerk.org_profiles, clerk.org_memberships TO authenticated;
SET ROLE authenticated;
SELECT username FROM clerk.user_profiles;
BEGIN;
SET LOCAL clerk.token = :'bob';
SELECT username FROM clerk.user_profiles;
SET LOCAL clerk.token = :'org_v2';
SELECT username FROM clerk.user_profiles ORDER BY 1;
SELECT slug FROM clerk.org_profiles;
SELECT user_id FROM clerk.org_memberships ORDER BY 1;
COMMIT;
SET ROLE anon;
SELECT username FROM clerk.user_profiles;
SELECT * FROM clerk.webhook_secrets;
SELECT * FROM clerk.revocations;
SELECT clerk.verify_webhook('', '', '', '');
SELECT clerk.webhook('{}');
SELECT clerk.revoke_user('user_bob');
RESET ROLE;
REVOKE SELECT ON clerk.user_profiles, clerk.org_profiles, clerk.org_memberships FROM authenticated;

-- revocation, at the next statement, with a token that was verified before
SET clerk.token = :'alice';
PREPARE who AS SELECT coalesce(clerk.uid(), 'nobody');
EXECUTE who;
SELECT pg_temp.deliver('msg_30', '{"type": "session.ended", "data": {"id": "sess_alice", "user_id": "user_alice"}}');
EXECUTE who;
SELECT clerk.verify(:'alice');
SELECT step, outcome, detail FROM clerk.diagnose() WHERE outcome = 'fail';
SELECT clerk.unrevoke('sess_alice');
EXECUTE who;
BEGIN;
SELECT clerk.revoke_session('sess_alice', 'stolen');
EXECUTE who;
ROLLBACK;
EXECUTE who;
SELECT clerk.revoke_user('user_alice', 'left');
EXECUTE who;
SELECT clerk.verify(:'alice');
SELECT clerk.revoke_user('sess_alice'), clerk.revoke_session('user_alice');
SELECT clerk.revoke_session('user_alice');
SELECT clerk.revoke_user('');
SELECT clerk.revoke_user('alice');
SELECT clerk.revoke_session('alice');
-- another issuer's users may be called anything
BEGIN;
SELECT clerk.add_instance('https://notes.eu.auth0.com/'), clerk.revoke_user('auth0|1'), clerk.map_id('auth0|1', '1'), clerk.unmap_id('auth0|1');
ROLLBACK;
-- a ban and its end do not touch what somebody has set
SELECT pg_temp.deliver('msg_31', '{"type": "user.updated", "data": {"id": "user_alice", "banned": true, "updated_at": 1700000100000}}');
SELECT pg_temp.deliver('msg_32', '{"type": "user.updated", "data": {"id": "user_alice", "banned": false, "updated_at": 1700000200000}}');
SELECT id, source, issued_before AT TIME ZONE 'UTC' AS issued_before, reason FROM clerk.revocations ORDER BY source;
SELECT clerk.unrevoke('user_alice');
EXECUTE who;
-- until the end of all time
INSERT INTO clerk.revocations (id, issued_before) VALUES ('user_alice', 'infinity');
EXECUTE who;
UPDATE clerk.revocations SET issued_before = '294276-12-31' WHERE id = 'user_alice';
EXECUTE who;
UPDATE clerk.revocations SET issued_before = '-infinity' WHERE id = 'user_alice';
EXECUTE who;
SELECT clerk.unrevoke('user_alice');
-- banned: nobody; unbanned: only with tokens from after the ban. This one was issued at 1700000000.
SELECT pg_temp.deliver('msg_33', '{"type": "user.updated", "data": {"id": "user_alice", "banned": true, "updated_at": 1700000300000}}');
EXECUTE who;
SELECT pg_temp.deliver('msg_34', '{"type": "user.updated", "data": {"id": "user_alice", "banned": false, "updated_at": 1700000400000}}');
EXECUTE who;
UPDATE clerk.user_profiles SET last_banned_at = to_timestamp(1699999999) WHERE clerk_id = 'user_alice';
SELECT pg_temp.deliver('msg_35', '{"type": "user.updated", "data": {"id": "user_alice", "banned": false, "updated_at": 1700000500000}}');
EXECUTE who;
-- deleted for good
SELECT pg_temp.deliver('msg_36', '{"type": "user.deleted", "timestamp": 1700000600000, "data": {"id": "user_alice", "deleted": true}}');
EXECUTE who;
SELECT pg_temp.deliver('msg_37', '{"type": "user.updated", "data": {"id": "user_alice", "username": "back", "updated_at": 1800000000000}}');
EXECUTE who;
SELECT clerk_id, username, deleted_at AT TIME ZONE 'UTC' AS deleted_at, payload FROM clerk.user_profiles WHERE clerk_id = 'user_alice';
RESET clerk.token;

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
CREATE FUNCTION pg_temp.member(type text, id text, org text, member text, role text, at bigint) RETURNS text LANGUAGE sql AS $$
	SELECT jsonb_build_object('type', 'organizationMembership.' || type, 'timestamp', at, 'data', jsonb_build_object('id', id, 'role', role,
		'organization', jsonb_build_object('id', org, 'name', 'Org'), 'public_user_data', jsonb_build_object('user_id', member, 'identifier', member || '@mail.example'), 'updated_at', at))
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

-- A ban is applied whatever else the event says. Each body has something that jsonb, an index or a column cannot hold.
CREATE FUNCTION pg_temp.ban(n int, more text, what text DEFAULT '"banned": true, "updated_at": 1700000000000') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	body text := format('{"type": "user.updated", "timestamp": 1700000000000, "data": {"id": "user_ban_%s", %s, %s}}', n, what, more);
BEGIN
	PERFORM body::json;	-- as PostgREST would have it
	PERFORM pg_temp.deliver('ban_' || n, body);
	RETURN (SELECT reason || coalesce(' until ' || issued_before, '') FROM clerk.revocations WHERE id = 'user_ban_' || n);
END
$$;
SELECT what, pg_temp.ban(n, more) FROM (SELECT what, more, row_number() OVER ()::int FROM (VALUES
	('a huge number', '"public_metadata": {"n": 1e400000}'),
	('a tiny number', '"public_metadata": {"n": -1e-400000}'),
	('many digits', '"n": ' || repeat('9', 200000)),
	('many decimals', '"n": 0.' || repeat('9', 200000)),
	('an exponent beyond int', '"n": 1E99999999999999999999'),
	('deep', '"n": ' || repeat('[', 5000) || repeat(']', 5000)),
	('U+0000', '"first_name": "\u0000"'),
	('half characters', '"first_name": "\ud800\ud800\udc00\udc00"'),
	('a long email address', '"primary_email_address_id": "a", "email_addresses": [{"id": "a", "email_address": "' || (SELECT string_agg(encode(sha256(i::text::bytea), 'hex'), '') FROM generate_series(1, 100) AS i) || '"}]'),
	('a long external_id', '"external_id": "' || (SELECT string_agg(encode(sha256(i::text::bytea), 'hex'), '') FROM generate_series(1, 100) AS i) || '"'),
	('a long name', '"' || repeat('x', 2000000) || '": "' || repeat('x', 2000000) || '"'),
	('times that are none', '"created_at": 1e400000, "last_sign_in_at": 99999999999999999999'),
	('fields of other types', '"username": {}, "external_id": [], "email_addresses": 1, "public_metadata": 1, "locked": "yes"'),
	('twice', '"n": 1, "n": 2')) AS v (what, more)) AS v (what, more, n);
SELECT updated, pg_temp.ban(100 + n::int, '"username": "u"', format('"banned": true, "updated_at": %s', updated))
FROM unnest(ARRAY['null', '1e400000', '-1', '"soon"', '99999999999999999999']) WITH ORDINALITY AS v (updated, n);
-- also over what is known of the user
SELECT pg_temp.ban(200, '"x": 1', '"banned": false, "updated_at": 1600000000000');
SELECT pg_temp.deliver('ban_200_again', '{"type": "user.updated", "timestamp": 1700000000000, "data": {"id": "user_ban_200", "banned": true, "updated_at": 1e400000}}');
SELECT reason, issued_before FROM clerk.revocations WHERE id = 'user_ban_200';
SELECT public_metadata FROM clerk.user_profiles WHERE clerk_id IN ('user_ban_1', 'user_ban_2') ORDER BY clerk_id;
-- an id that no table can hold is no id
SELECT pg_temp.deliver('ban_300', format('{"type": "%s", "data": {"id": "%s"}}', type, repeat('x', 256))) FROM unnest('{user.updated}'::text[]) AS type;
SELECT pg_temp.deliver('ban_301', '{"type": "session.ended", "data": {"id": null}}');
SELECT pg_temp.deliver('ban_302', pg_temp.member('created', 'orgmem_long', (SELECT string_agg(encode(sha256(i::text::bytea), 'hex'), '') FROM generate_series(1, 100) AS i), 'user_1x', 'org:admin', 1700000000000));
DELETE FROM clerk.user_profiles WHERE clerk_id LIKE 'user\_ban%';
DELETE FROM clerk.revocations WHERE id LIKE 'user\_ban%';
SELECT pg_temp.deliver('p_again', '{"type": "user.deleted", "timestamp": 1700000005000, "data": {"id": "user_p", "deleted": true}}');

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

-- imports, and what differs
SELECT clerk.import_users('[{"id": "user_i", "username": "i", "updated_at": 1700000000000, "private_metadata": {"a": 1}}, {"id": "user_j", "username": "j", "banned": true, "updated_at": 1700000000000}]', :'issuer_a');
SELECT clerk.import_users('[]');
SELECT clerk.import_organizations('{"data": [{"id": "org_i", "name": "I", "updated_at": 1700000000000}], "total_count": 1}', :'issuer_a');
SELECT clerk.import_memberships('{"data": [{"id": "orgmem_i", "organization": {"id": "org_i"}, "public_user_data": {"user_id": "user_i"}, "updated_at": 1700000000000}]}', :'issuer_a');
SELECT clerk.import_users('{"users": []}', :'issuer_a');
SELECT clerk.import_users('"x"', :'issuer_a');
SELECT * FROM clerk.drift('clerk.user_profiles', '[{"id": "user_i", "username": "i", "updated_at": 1700000000000, "private_metadata": {"a": 1}}, {"id": "user_j", "username": "j2", "updated_at": 1700000000001},
	{"id": "user_k"}, {"id": "user_p", "updated_at": 1700000000000}]');
SELECT * FROM clerk.drift('pg_class', '[]');
SELECT id, reason FROM clerk.revocations WHERE id = 'user_j';

-- old events, and sessions that have ended, are forgotten; users are not, nor what was revoked by hand
SELECT clerk.revoke_session('sess_by_hand');
SELECT pg_temp.deliver('p_1', '{"type": "session.ended", "data": {"id": "sess_by_hand"}}'), pg_temp.deliver('p_2', '{"type": "session.ended", "data": {"id": "sess_ended"}}');
UPDATE clerk.webhook_events SET received_at = now() - interval '40 days' WHERE id LIKE 'h%';
UPDATE clerk.revocations SET revoked_at = now() - interval '40 days';
SELECT clerk.prune('1 hour');
SELECT * FROM clerk.prune('30 days');
SELECT id, source FROM clerk.revocations ORDER BY id;
SELECT clerk.schedule_prune('30 days');
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
