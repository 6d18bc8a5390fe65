-- Imports of what Clerk's Backend API lists, what differs, and what is forgotten after a time.
\getenv srcdir PG_ABS_SRCDIR
\set webhook :srcdir '/vectors/webhook.sql'
\i :webhook

-- imports, and what differs
SELECT pg_temp.deliver('p_again', '{"type": "user.deleted", "timestamp": 1700000005000, "data": {"id": "user_p", "deleted": true}}');
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
SELECT pg_temp.deliver('old_1', '{"type": "unknown.event", "data": {"id": "x"}}'), pg_temp.deliver('old_2', '{"type": "unknown.event", "data": {"id": "x"}}');
UPDATE clerk.webhook_events SET received_at = now() - interval '40 days' WHERE id LIKE 'old%';
UPDATE clerk.revocations SET revoked_at = now() - interval '40 days';
SELECT clerk.prune('1 hour');
SELECT * FROM clerk.prune('30 days');
SELECT id, source FROM clerk.revocations ORDER BY id;
SELECT clerk.schedule_prune('30 days');

DROP EXTENSION clerk_rls;
DROP SCHEMA crypto CASCADE;
CREATE EXTENSION clerk_rls;
