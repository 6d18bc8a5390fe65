-- Users, organizations and memberships by webhook: what is kept, who sees it, and what no table can hold.
\getenv srcdir PG_ABS_SRCDIR
\set webhook :srcdir '/vectors/webhook.sql'
\i :webhook

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

DROP EXTENSION clerk_rls;
DROP SCHEMA crypto CASCADE;
CREATE EXTENSION clerk_rls;
