-- The answer that is kept in a setting: nobody makes one, nobody takes one elsewhere.
CREATE DATABASE hosted_kept TEMPLATE hosted_template;
\c hosted_kept
\getenv vectors PG_ABS_SRCDIR
\set ECHO none
\set vectors :vectors '/vectors/tokens.sql'
\i :vectors
\set ECHO all
SELECT clerk.add_instance(:'issuer_a') AS a \gset
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
SET ROLE anon;

-- kept, also where nothing may be written; found again as it was
BEGIN READ ONLY;
SET LOCAL clerk.token = :'alice';
SELECT clerk.uid();
SELECT length(current_setting('clerk_rls.kept')) > 64 AS kept, current_setting('clerk_rls.kept') AS of_alice \gset
\echo :kept
-- each character counts, and so does what is left out
SELECT count(*) FILTER (WHERE clerk.uid() = 'user_alice') AS alice, count(*) FILTER (WHERE clerk.uid() IS NOT NULL) AS somebody
FROM generate_series(1, length(:'of_alice')) AS i, set_config('clerk_rls.kept', overlay(:'of_alice' PLACING CASE substr(:'of_alice', i, 1) WHEN 'a' THEN 'b' ELSE 'a' END FROM i), true);
SELECT kept, set_config('clerk_rls.kept', replace(:'of_alice', 'user_alice', 'user_bobby'), true) = '' AS set, clerk.uid()
FROM (VALUES ('another''s')) AS v (kept);
SELECT n, set_config('clerk_rls.kept', value, true) = value AS set, clerk.uid()
FROM (VALUES (1, ''), (2, 'x'), (3, repeat('0', 64)), (4, repeat('0', 64) || '{"sub": "user_bob"}'), (5, substr(:'of_alice', 65)), (6, left(:'of_alice', 64))) AS v (n, value);
-- another request is another answer
SET LOCAL clerk_rls.kept = :'of_alice';
SELECT clerk.uid();
SET LOCAL clerk.token = :'bob';
SELECT clerk.uid();
SET LOCAL clerk.token = '';
SELECT clerk.uid();
COMMIT;

-- nor is it one in another transaction: a user may have been revoked between
RESET ROLE;
SELECT clerk.revoke_user('user_alice');
SET ROLE anon;
BEGIN;
SET LOCAL clerk.token = :'alice';
SET LOCAL clerk_rls.kept = :'of_alice';
SELECT clerk.uid();
COMMIT;
SET clerk.token = :'alice';
SET clerk_rls.kept = :'of_alice';
SELECT clerk.uid();
RESET clerk.token;
RESET clerk_rls.kept;

-- what makes clerk.uid() fast where the gateway is believed makes nobody anybody here
SET clerk_rls.uid = 'user_bob';
SET clerk_rls.uid_of = '{"sub": "user_bob"}';
SELECT set_config('request.jwt.claims', '{"sub": "user_bob"}', false) = '' AS set, clerk.uid(), clerk.jwt(), clerk.is_authenticated(), clerk.mapped_id();
SELECT set_config('request.jwt.claims', json_build_object('iss', :'issuer_a', 'sub', 'user_bob', 'exp', 4102444800)::text, false) = '' AS set;
SELECT set_config('clerk_rls.uid_of', current_setting('request.jwt.claims'), false) = '' AS set, clerk.uid(), clerk.jwt();

-- what it is made with is nobody's to read
TABLE clerk_internal.seal;
TABLE clerk.settings;
SELECT clerk_internal.decide();
SELECT clerk_internal.check_claims('{}', NULL);
RESET ROLE;

-- no function that everybody may call, with the rights of its owner, takes claims
SELECT oid::regprocedure FROM pg_proc
WHERE pronamespace IN ('clerk'::regnamespace, 'clerk_internal'::regnamespace) AND prosecdef AND has_function_privilege('anon', oid, 'EXECUTE')
	AND proargtypes::oid[] && '{jsonb,json,record}'::regtype[]::oid[];

-- where a dump has left it out nothing is kept, and nothing believed
BEGIN;
DELETE FROM clerk_internal.seal;
SET LOCAL request.jwt.claims = '';
SET LOCAL ROLE anon;
SET LOCAL clerk.token = :'bob';
SELECT clerk.uid(), clerk.uid() AS again, coalesce(current_setting('clerk_rls.kept', true), '') AS kept;
SELECT n, set_config('clerk_rls.kept', value, true) = value AS set, clerk.uid()
FROM (VALUES (1, ''), (2, repeat('0', 64) || '{"sub": "user_alice"}'), (3, :'of_alice')) AS v (n, value);
ROLLBACK;
\c postgres
DROP DATABASE hosted_kept;
