-- Who is signed in after login(), logout() and reset(), and for how long.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE anon;
CREATE ROLE authenticated;
CREATE TABLE notes (user_id text DEFAULT clerk.uid(), body text);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes TO authenticated USING (user_id = clerk.uid());
GRANT SELECT, INSERT ON notes TO anon, authenticated;
INSERT INTO notes VALUES ('user_alice', 'a'), ('user_bob', 'b');

-- for the session
SELECT clerk_test.login('user_alice');
SELECT current_user, clerk.uid(), clerk.session_id(), clerk.issuer(), clerk.org_id(), clerk.claim('v');
SELECT * FROM notes;
SELECT clerk_test.login('user_bob');
SELECT * FROM notes;
INSERT INTO notes (body) VALUES ('b2') RETURNING user_id;
SELECT clerk_test.logout();
SELECT current_user, clerk.uid(), current_setting('request.jwt.claims');
SELECT * FROM notes;
SELECT clerk_test.reset();
SELECT current_user = session_user AS back, clerk.uid();

-- for a transaction, and a savepoint
BEGIN;
SELECT clerk_test.login('user_alice');
SAVEPOINT s;
SELECT clerk_test.login('user_bob');
ROLLBACK TO s;
SELECT current_user, clerk.uid();
ROLLBACK;
SELECT current_user = session_user AS back, clerk.uid();

-- policies and functions written for request.jwt.claims see what PostgREST shows them
SELECT clerk_test.login('user_alice', claims => '{"email": "a@example.com"}');
SELECT claims ->> 'sub' AS sub, claims ->> 'email' AS email, claims ->> 'role' AS role
FROM CAST(current_setting('request.jwt.claims') AS jsonb) AS claims;
SELECT clerk_test.reset();

-- the role that the token asks for, or the instance's, or none
CREATE ROLE regress_editor;
SELECT clerk_test.login('user_alice', claims => '{"role": "regress_editor"}');
SELECT current_user;
SELECT clerk_test.reset();
UPDATE clerk.instances SET role = 'regress_editor';
SELECT clerk_test.login('user_alice');
SELECT current_user;
SELECT clerk_test.reset();
UPDATE clerk.instances SET role = NULL;
SELECT clerk_test.login('user_alice');
SELECT current_user;
SELECT clerk_test.reset();
UPDATE clerk.instances SET role = 'authenticated';

-- whatever was left in the session makes no second identity
SET clerk.token = 'x';
SET request.jwt.claims = '{"iss": "https://clerk.test.invalid", "sub": "user_eve"}';
SET request.cookies = '{"__session": "x"}';
SELECT clerk_test.login('user_alice');
SELECT clerk_test.reset();

-- impersonated, proven again, of a JWT template
SELECT clerk_test.login('user_alice', claims => '{"act": {"sub": "user_support"}, "fva": [5, -1]}');
SELECT clerk.actor_id(), clerk.has_reverified('strict') AS fresh;
SELECT clerk_test.login('user_alice', claims => '{"sid": null}');
SELECT clerk.uid(), clerk.session_id() IS NULL AS no_session;

-- who would not pass the door cannot sign in, and nothing has changed
SELECT clerk_test.login('user_bob', claims => '{"exp": 1}');
SELECT clerk_test.login('user_bob', claims => '{"iat": 4102444800}');
SELECT clerk_test.login('user_bob', claims => '{"sts": "pending"}');
SELECT clerk_test.login('user_bob', claims => '{"iss": "https://clerk.example.com"}');
SELECT clerk_test.login(NULL);
SELECT clerk.uid();
SELECT clerk_test.reset();

-- a revoked session, and another of the same user
SELECT clerk.revoke_session('sess_user_alice');
SELECT clerk_test.login('user_alice');
SELECT clerk_test.login('user_alice', claims => '{"sid": "sess_2"}');
SELECT clerk_test.reset();
DELETE FROM clerk.revocations;

-- a token is as good as any other
SELECT clerk.verify(clerk_test.token('{"sub": "user_alice", "x": [null, {"y": null}]}')) - 'iat' - 'exp' AS claims;
SELECT clerk.verify(clerk_test.token('{"sub": "user_alice", "v": null, "sid": null, "iat": null, "exp": 4102444800}')) AS claims;
SELECT clerk_test.token(NULL) IS NULL AS nothing;

DROP TABLE notes;
DROP ROLE anon, authenticated, regress_editor;
