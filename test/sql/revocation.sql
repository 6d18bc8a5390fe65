-- What is revoked, by hand or by webhook, counts at the next statement.
\getenv srcdir PG_ABS_SRCDIR
\set webhook :srcdir '/vectors/webhook.sql'
\i :webhook

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

DROP EXTENSION clerk_rls;
DROP SCHEMA crypto CASCADE;
CREATE EXTENSION clerk_rls;
