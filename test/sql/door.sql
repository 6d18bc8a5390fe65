-- verify(), authenticate(), pre_request() and pre_config(), as the roles that call them.
\getenv srcdir PG_ABS_SRCDIR
\set load :srcdir '/vectors/load.sql'
\i :load
\set VERBOSITY default
\set SHOW_CONTEXT never

SELECT clerk.add_instance(:'issuer_a') AS a, clerk.add_instance(:'issuer_b', role => 'clerk_editor') AS b \gset
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
SELECT count(*) FROM clerk.load_jwks(:'issuer_b', :'jwks_b');

-- authenticate(): this transaction, and no longer
SET ROLE anon;
BEGIN;
SELECT clerk.authenticate(:'alice');
SELECT clerk.uid(), current_setting('clerk.token') = :'alice' AS set;
SELECT clerk.authenticate(:'bob');
SELECT clerk.uid();
COMMIT;
SELECT clerk.uid(), current_setting('clerk.token') = '' AS unset;
BEGIN;
SELECT clerk.authenticate(:'alice');
SAVEPOINT s;
SELECT clerk.authenticate(:'expired');
ROLLBACK TO s;
SELECT clerk.uid();
COMMIT;
SELECT clerk.authenticate(:'issuer_foreign');
SELECT clerk.authenticate('');
-- what a pooled connection has left is masked, or contradicts
SET clerk.token = :'alice';
BEGIN;
SELECT clerk.authenticate(NULL);
SELECT clerk.uid();
COMMIT;
SELECT clerk.uid();
RESET clerk.token;
SET request.jwt = :'bob';
SELECT clerk.authenticate(:'alice');
RESET request.jwt;
RESET ROLE;

-- pre_request(): as PostgREST calls it, after SET ROLE
SET SESSION AUTHORIZATION authenticator;
CREATE FUNCTION pg_temp.call(token text, role name, claims json DEFAULT NULL, OUT uid text, OUT role_after name, OUT error text)
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('role', role, true), set_config('request.jwt.claims', coalesce(claims::text, ''), true),
		set_config('request.headers', json_build_object('authorization', 'Bearer ' || token)::text, true);
	PERFORM clerk.pre_request();
	uid := clerk.uid();
	role_after := current_user;
EXCEPTION WHEN OTHERS THEN
	error := sqlstate || ' ' || sqlerrm;
END
$$;
-- a verified caller is not anonymous
SELECT * FROM pg_temp.call(:'alice', 'anon');
SELECT * FROM pg_temp.call(:'alice', 'anon', '{"role": "anon"}');
SELECT * FROM pg_temp.call(:'alice', 'authenticated');
-- each instance has its role
SELECT * FROM pg_temp.call(:'carol', 'anon');
-- a role that the token asked for stays, also under PostgREST's jwt-role-claim-key
SELECT * FROM pg_temp.call(:'with_editor_role', 'clerk_editor',
	json_build_object('iss', :'issuer_a', 'sub', 'user_alice', 'app_role', 'clerk_editor', 'role', 'clerk_editor'));
SELECT * FROM pg_temp.call(:'with_anon_role', 'anon', json_build_object('iss', :'issuer_a', 'sub', 'user_alice', 'role', 'anon'));
SELECT * FROM pg_temp.call(:'with_anon_role', 'anon');
SELECT * FROM pg_temp.call(:'alice', 'clerk_editor');
-- one that no token asked for is PostgREST's fallback, whatever its name
SELECT * FROM pg_temp.call(:'alice', 'clerk_editor', '{"role": "clerk_editor"}');
SELECT * FROM pg_temp.call(:'alice', 'clerk_editor',
	json_build_object('iss', :'issuer_a', 'sub', 'user_alice', 'role', 'clerk_editor'));
-- but not if it comes from somebody else's token
SELECT * FROM pg_temp.call(:'alice', 'clerk_editor',
	json_build_object('iss', 'https://foreign.example', 'sub', 'x', 'role', 'clerk_editor'));
-- nobody, and others' tokens, stay anonymous; bad ones are refused
SELECT * FROM pg_temp.call(:'issuer_foreign', 'anon');
SELECT * FROM pg_temp.call(:'expired', 'anon');
SELECT * FROM pg_temp.call(:'forged', 'authenticated');
SELECT * FROM pg_temp.call(:'not_yet', 'anon');
SELECT * FROM pg_temp.call(:'issued_in_future', 'anon');
SELECT * FROM pg_temp.call(:'pending', 'anon');
SELECT * FROM pg_temp.call(:'machine', 'anon');
SELECT * FROM pg_temp.call(:'unknown_kid', 'anon');
SELECT * FROM pg_temp.call(:'alg_none', 'anon');
SELECT * FROM pg_temp.call('garbage', 'anon');
SELECT * FROM pg_temp.call(:'alice', 'anon', json_build_object('iss', :'issuer_a', 'sub', 'user_bob'));
RESET SESSION AUTHORIZATION;

-- a role that is not there, or not for the session's user, is an error and not anonymity
UPDATE clerk.instances SET role = 'regress_no_such_role';
SET SESSION AUTHORIZATION authenticator;
SELECT * FROM pg_temp.call(:'alice', 'anon');
RESET SESSION AUTHORIZATION;
CREATE ROLE regress_not_granted;
UPDATE clerk.instances SET role = 'regress_not_granted';
SET SESSION AUTHORIZATION authenticator;
SELECT * FROM pg_temp.call(:'alice', 'anon');
RESET SESSION AUTHORIZATION;
UPDATE clerk.instances SET role = NULL;
DROP ROLE regress_not_granted;
SET SESSION AUTHORIZATION authenticator;
SELECT * FROM pg_temp.call(:'alice', 'anon');
RESET SESSION AUTHORIZATION;

-- pre_config(): the current keys and those in their grace
SET ROLE authenticator;
BEGIN TRANSACTION READ ONLY;
SELECT clerk.pre_config();
SELECT jsonb_path_query_array(current_setting('pgrst.jwt_secret')::jsonb, '$.keys[*].kid') AS kids;
COMMIT;
RESET ROLE;
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a_next');
BEGIN;
SELECT clerk.pre_config();
SELECT jsonb_path_query_array(current_setting('pgrst.jwt_secret')::jsonb, '$.keys[*].kid') AS kids;
ROLLBACK;
UPDATE clerk.jwks SET expires_at = now() - interval '1 second' WHERE kid = 'ins_a';
BEGIN;
SELECT clerk.pre_config();
SELECT jsonb_path_query_array(current_setting('pgrst.jwt_secret')::jsonb, '$.keys[*].kid') AS kids;
ROLLBACK;
DELETE FROM clerk.instances;
BEGIN;
SELECT clerk.pre_config();
SELECT current_setting('pgrst.jwt_secret');
ROLLBACK;

-- diagnose(): every step
SELECT clerk.add_instance(:'issuer_a') AS a \gset
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
SET ROLE anon;
SELECT * FROM clerk.diagnose(:'alice');
-- goes on past the first failure
SELECT step, outcome, regexp_replace(detail, ', now [^)]*', '') AS detail FROM clerk.diagnose(:'expired');
SELECT step, outcome, detail FROM clerk.diagnose(:'alg_none') WHERE outcome <> 'ok';
SELECT step, outcome, detail FROM clerk.diagnose(:'issuer_foreign');
-- what is nearly right
SELECT step, outcome, detail FROM clerk.diagnose(:'issuer_slash') WHERE step = 'instance';
RESET ROLE;
UPDATE clerk.instances SET issuer = 'http://clerk.example.com', authorized_parties = '{https://www.example.com,http://localhost:3000}';
SET ROLE anon;
SELECT outcome, detail FROM clerk.diagnose(:'alice') WHERE step = 'instance';
SELECT outcome, detail FROM clerk.diagnose(:'issuer_slash') WHERE step = 'instance';
RESET ROLE;
UPDATE clerk.instances SET issuer = :'issuer_a';
SET ROLE anon;
SELECT outcome, detail FROM clerk.diagnose(:'alice') WHERE step = 'authorized party';
SELECT outcome, detail FROM clerk.diagnose(:'null_claims') WHERE step = 'authorized party';
RESET ROLE;
UPDATE clerk.instances SET authorized_parties = NULL;
SET ROLE anon;
-- this request: as PostgREST would run it without and with pre_request(), and with an organization
SELECT * FROM clerk.diagnose();
SELECT set_config('request.headers', json_build_object('authorization', 'Bearer ' || :'org_v2')::text, false) \g /dev/null
SELECT * FROM clerk.diagnose() WHERE step IN ('source', 'identity', 'mapping', 'role', 'organization');
SELECT set_config('request.headers', json_build_object('authorization', 'Bearer ' || :'with_anon_role')::text, false) \g /dev/null
SELECT * FROM clerk.diagnose() WHERE step = 'role';
SELECT set_config('request.headers', json_build_object('authorization', 'Bearer ' || :'org_v2')::text, false) \g /dev/null
SET ROLE authenticated;
SELECT * FROM clerk.diagnose() WHERE step IN ('role', 'organization');
SET request.jwt.claims = '{"iss":"https://clerk.example.com","sub":"user_bob"}';
SELECT * FROM clerk.diagnose() WHERE step IN ('signature', 'identity', 'role');
RESET ROLE;
RESET request.jwt.claims;
RESET request.headers;
-- nothing of a token or a user is shown
SELECT name, step, detail FROM tokens, clerk.diagnose(token) WHERE detail ~ 'eyJ|user_|sess_';
DELETE FROM clerk.instances;
