--
-- bench.sql
--	What the benchmark times in the server; run by bench.sh.  Every row of the result is a
--	ratio of two statements that were run by turns in this session.
--

CREATE EXTENSION clerk_rls;
CREATE ROLE authenticated;
CREATE ROLE anon;
CREATE ROLE authenticator LOGIN NOINHERIT;
GRANT anon, authenticated TO authenticator;
SELECT clerk.add_instance(:'issuer');
SELECT count(*) FROM clerk.load_jwks(:'issuer', :'jwks');

CREATE SCHEMA bench;
GRANT USAGE ON SCHEMA bench TO authenticated;

CREATE TABLE bench.tokens (n serial, token text);
\copy bench.tokens (token) FROM pstdin
SELECT token AS token, clerk.verify(token) ->> 'sub' AS subject, clerk.verify(token) AS claims FROM bench.tokens WHERE n = 1 \gset

-- a thousand users, each with a thousand rows
CREATE TABLE bench.notes AS
	SELECT i AS id, 'user_' || lpad((i % 1000)::text, 27, '0') AS user_id FROM generate_series(1, 1000000) AS i;
GRANT SELECT ON bench.notes TO authenticated;
VACUUM ANALYZE bench.notes;

-- as Supabase defines it
CREATE SCHEMA auth;
GRANT USAGE ON SCHEMA auth TO authenticated;
CREATE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE AS $$
	SELECT coalesce(nullif(current_setting('request.jwt.claim', true), ''),
		nullif(current_setting('request.jwt.claims', true), ''))::jsonb
$$;
-- from the days of Clerk's JWT template
CREATE FUNCTION bench.requesting_user_id() RETURNS text LANGUAGE sql STABLE AS $$
	SELECT nullif(current_setting('request.jwt.claims', true)::json ->> 'sub', '')::text
$$;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA auth, bench TO authenticated;

CREATE TABLE bench.raw (work text, variant text, run int, ms float8);
CREATE TABLE bench.targets (work text, variant text, baseline text, target text, inverse boolean, n serial);
GRANT INSERT ON bench.raw TO authenticated;

-- runs the statements by turns, once to warm up and then n times
CREATE PROCEDURE bench.measure(work text, n int, variants text[], statements text[]) LANGUAGE plpgsql AS $$
DECLARE
	start timestamptz;
BEGIN
	FOR run IN 0..n LOOP
		FOR v IN 1..cardinality(variants) LOOP
			start := clock_timestamp();
			EXECUTE statements[v];
			IF run > 0 THEN
				INSERT INTO bench.raw VALUES (work, variants[v], run, extract(epoch FROM clock_timestamp() - start) * 1000);
			END IF;
		END LOOP;
	END LOOP;
END
$$;

SET max_parallel_workers_per_gather = 0;
SET jit = off;
SELECT set_config('request.headers', json_build_object('authorization', 'Bearer ' || :'token')::text, false),
	set_config('request.jwt.claims', :'claims', false) \g /dev/null

CALL bench.measure('filter 1,000,000 rows', :runs,
	ARRAY['literal', 'clerk.uid()'],
	ARRAY[format('SELECT count(*) FROM bench.notes WHERE user_id = %L', :'subject'),
		'SELECT count(*) FROM bench.notes WHERE user_id = clerk.uid()']);
CALL bench.measure('filter 1,000,000 rows, unwrapped', greatest(:runs / 5, 2),
	ARRAY['literal', 'clerk.uid()', 'auth.jwt()->>''sub''', 'requesting_user_id()'],
	ARRAY[format('SELECT count(*) FROM bench.notes WHERE user_id = %L', :'subject'),
		'SELECT count(*) FROM bench.notes WHERE user_id = clerk.uid()',
		'SELECT count(*) FROM bench.notes WHERE user_id = (auth.jwt() ->> ''sub'')',
		'SELECT count(*) FROM bench.notes WHERE user_id = bench.requesting_user_id()']);
CALL bench.measure('filter 1,000,000 rows, wrapped', :runs,
	ARRAY['(select auth.jwt()->>''sub'')', '(select clerk.uid())'],
	ARRAY['SELECT count(*) FROM bench.notes WHERE user_id = (SELECT auth.jwt() ->> ''sub'')',
		'SELECT count(*) FROM bench.notes WHERE user_id = (SELECT clerk.uid())']);

-- a permission that the user does not have, so that it is asked for on every row
SELECT set_config('request.headers', json_build_object('authorization', 'Bearer ' || :'org_token')::text, false),
	set_config('request.jwt.claims', '', false) \g /dev/null
CALL bench.measure('permission or own, 1,000,000 rows', :runs,
	ARRAY['literal', 'clerk.has_permission()', 'clerk.has()', 'claims in SQL'],
	ARRAY['SELECT count(*) FROM bench.notes WHERE false OR user_id = clerk.uid()',
		'SELECT count(*) FROM bench.notes WHERE clerk.has_permission(''org:notes:manage'') OR user_id = clerk.uid()',
		'SELECT count(*) FROM bench.notes WHERE clerk.has(''{"permission": "org:notes:manage"}'') OR user_id = clerk.uid()',
		'SELECT count(*) FROM bench.notes WHERE (clerk.jwt() -> ''o'' ->> ''rol'') = ''admin'' OR user_id = clerk.uid()']);

-- the mapping, with ten rows and with ten million
CREATE TABLE bench.owned AS
	SELECT i AS id, CASE WHEN i % 2 = 0 THEN clerk.mapped_id() ELSE gen_random_uuid() END AS owner FROM generate_series(1, 1000000) AS i;
GRANT SELECT ON bench.owned TO authenticated;
VACUUM ANALYZE bench.owned;
SELECT clerk.mapped_id() AS mapped \gset
INSERT INTO clerk.id_map SELECT 'user_mapped_' || i, i FROM generate_series(1, 9) AS i;
SELECT clerk.map_id('user_of_org', :'mapped') \g /dev/null
CALL bench.measure('mapped, 1,000,000 rows, 10 ids', :runs,
	ARRAY['literal', 'clerk.mapped_id()'],
	ARRAY[format('SELECT count(*) FROM bench.owned WHERE owner = %L', :'mapped'),
		'SELECT count(*) FROM bench.owned WHERE owner = clerk.mapped_id()']);
INSERT INTO clerk.id_map SELECT 'user_mapped_' || i, i FROM generate_series(10, :n_ids) AS i;
VACUUM ANALYZE clerk.id_map;
CALL bench.measure('mapped, 1,000,000 rows, ' || :n_ids || ' ids', :runs,
	ARRAY['literal', 'clerk.mapped_id()'],
	ARRAY[format('SELECT count(*) FROM bench.owned WHERE owner = %L', :'mapped'),
		'SELECT count(*) FROM bench.owned WHERE owner = clerk.mapped_id()']);
INSERT INTO bench.targets
SELECT DISTINCT work, 'clerk.mapped_id()', 'literal', '<= 1.10', false FROM bench.raw WHERE work LIKE 'mapped%';
-- a new token of an instance among a hundred, with ten keys each
CREATE PROCEDURE bench.measure_instances(work text) LANGUAGE plpgsql AS $$
BEGIN
	CALL bench.measure('verify new tokens', 10, ARRAY[work], ARRAY['SELECT count(clerk.verify(token)) FROM (SELECT token FROM bench.tokens ORDER BY n) AS t']);
END
$$;
CREATE PROCEDURE bench.add_instances() LANGUAGE plpgsql AS $$
BEGIN
	PERFORM clerk.add_instance('https://clerk.bench.example/' || i) FROM generate_series(1, 99) AS i;
	INSERT INTO clerk.jwks (issuer, kid, jwk)
	SELECT instance.issuer, 'ins_' || i, jwk || jsonb_build_object('kid', 'ins_' || i)
	FROM clerk.instances AS instance, generate_series(1, 9) AS i, (SELECT jwk FROM clerk.jwks WHERE kid = 'ins_bench') AS key;
END
$$;
CALL bench.measure_instances('with 1 instance of 1 key');
CALL bench.add_instances();
CALL bench.measure_instances('with 100 instances of 10 keys');
DELETE FROM clerk.instances WHERE issuer <> :'issuer';
DELETE FROM clerk.jwks WHERE kid <> 'ins_bench';
CALL bench.measure_instances('with 1 instance of 1 key');
CALL bench.add_instances();
CALL bench.measure_instances('with 100 instances of 10 keys');
DELETE FROM clerk.instances WHERE issuer <> :'issuer';
DELETE FROM clerk.jwks WHERE kid <> 'ins_bench';
INSERT INTO bench.targets VALUES ('verify new tokens', 'with 100 instances of 10 keys', 'with 1 instance of 1 key', '<= 1.2', false);
-- revoked sessions; the cache of verified tokens is full of other tokens each time
CALL bench.measure('verify new tokens ', 10, ARRAY['without revocations'], ARRAY['SELECT count(clerk.verify(token)) FROM (SELECT token FROM bench.tokens ORDER BY n) AS t']);
INSERT INTO clerk.revocations (id) SELECT 'sess_revoked_' || i FROM generate_series(1, 1000000) AS i;
VACUUM ANALYZE clerk.revocations;
CALL bench.measure('verify new tokens ', 10, ARRAY['with 1,000,000 revoked sessions'], ARRAY['SELECT count(clerk.verify(token)) FROM (SELECT token FROM bench.tokens ORDER BY n) AS t']);
TRUNCATE clerk.revocations;
INSERT INTO bench.targets VALUES ('verify new tokens ', 'with 1,000,000 revoked sessions', 'without revocations', '<= 1.1', false);
-- webhooks, and an upsert of the same payload by the same way, for bench.sh to send
SELECT clerk.add_webhook_secret(:'issuer', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw') \g /dev/null
CREATE SCHEMA api;
GRANT USAGE ON SCHEMA api TO anon;
SELECT clerk.expose_webhook('api') \g /dev/null
CREATE TABLE bench.plain (id text PRIMARY KEY, payload jsonb);
CREATE FUNCTION api.plain_upsert(json) RETURNS json LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
	INSERT INTO bench.plain VALUES ($1 #>> '{data,id}', ($1 -> 'data')::jsonb) ON CONFLICT ON CONSTRAINT plain_pkey DO UPDATE SET payload = excluded.payload;
	RETURN '{"status": "applied"}';
END
$$;
INSERT INTO bench.targets VALUES ('1,000 webhooks through PostgREST', 'clerk_webhook', 'plain_upsert', '<= 2.0', false);
-- for the sign-ups
CREATE TABLE bench.users (id bigint GENERATED ALWAYS AS IDENTITY (START 1000000000) PRIMARY KEY, clerk_id text UNIQUE);
SELECT clerk.track_ids('bench.users', 'clerk_id', 'id') \g /dev/null
SELECT set_config('clerk.token', :'org_token', false) \g /dev/null

INSERT INTO bench.targets VALUES
	('permission or own, 1,000,000 rows', 'clerk.has_permission()', 'literal', '<= 1.30', false),
	('permission or own, 1,000,000 rows', 'clerk.has()', 'literal', '', false),
	('permission or own, 1,000,000 rows', 'claims in SQL', 'literal', '', false),
	('filter 1,000,000 rows', 'clerk.uid()', 'literal', '<= 1.10', false),
	('filter 1,000,000 rows, unwrapped', 'auth.jwt()->>''sub''', 'clerk.uid()', '>= 40', false),
	('filter 1,000,000 rows, unwrapped', 'requesting_user_id()', 'clerk.uid()', '', false),
	('filter 1,000,000 rows, wrapped', '(select clerk.uid())', '(select auth.jwt()->>''sub'')', '', false);

