-- The answer follows the token, the keys and the settings, whatever has been cached.
\getenv srcdir PG_ABS_SRCDIR
\set load :srcdir '/vectors/load.sql'
\i :load

SELECT clerk.add_instance(:'issuer_a') AS a, clerk.add_instance(:'issuer_b') AS b \gset
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
SELECT count(*) FROM clerk.load_jwks(:'issuer_b', :'jwks_b');

-- savepoints
BEGIN;
SET LOCAL clerk.token = :'alice';
SAVEPOINT s;
SET LOCAL clerk.token = :'bob';
SELECT clerk.uid();
ROLLBACK TO s;
SELECT clerk.uid();
RELEASE s;
SELECT clerk.uid();
COMMIT;
SELECT clerk.uid();

-- a prepared statement under one token, and another, and none
PREPARE who AS SELECT clerk.uid();
SET plan_cache_mode = force_generic_plan;
SET clerk.token = :'alice';
EXECUTE who;
SET clerk.token = :'bob';
EXECUTE who;
SET clerk.token = :'forged';
EXECUTE who;
RESET clerk.token;
EXECUTE who;
RESET plan_cache_mode;

-- a function that changes the token between two calls, and within one query
CREATE FUNCTION pg_temp.switch(first text, second text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	token text;
BEGIN
	PERFORM set_config('request.headers', json_build_object('authorization', 'Bearer ' || first)::text, true);
	RETURN NEXT clerk.uid();
	PERFORM set_config('request.headers', json_build_object('authorization', 'Bearer ' || second)::text, true);
	RETURN NEXT clerk.uid();
	FOREACH token IN ARRAY ARRAY[first, second, 'garbage', first] LOOP
		PERFORM set_config('request.headers', json_build_object('authorization', 'Bearer ' || token)::text, true);
		RETURN NEXT clerk.uid();
		RETURN QUERY SELECT clerk.uid();
	END LOOP;
END
$$;
SELECT * FROM pg_temp.switch(:'alice', :'bob');
SELECT name, set_config('clerk.token', token, false) = '' AS empty, clerk.uid(), clerk.issuer()
FROM (SELECT * FROM tokens WHERE name IN ('alice', 'bob', 'carol', 'expired', 'forged') ORDER BY name OFFSET 0) AS t;
SELECT clerk.uid(), set_config('clerk.token', :'alice', false) = '' AS empty, clerk.uid();

-- cursors
BEGIN;
DECLARE c CURSOR FOR SELECT i, clerk.uid() FROM generate_series(1, 4) AS i;
FETCH 1 FROM c;
SET LOCAL clerk.token = :'bob';
FETCH 1 FROM c;
SET LOCAL clerk.token = :'expired';
FETCH 1 FROM c;
SET LOCAL clerk.token = :'alice';
FETCH 1 FROM c;
COMMIT;

-- READ ONLY, and with an old snapshot
BEGIN TRANSACTION READ ONLY, ISOLATION LEVEL REPEATABLE READ;
SELECT clerk.uid(), clerk.verify(:'bob') ->> 'sub' AS verified;
SELECT clerk.authenticate(:'alice');
COMMIT;

-- a key that was removed, and one that never came to be
SELECT clerk.uid();
BEGIN;
DELETE FROM clerk.jwks WHERE issuer = :'issuer_a';
SELECT clerk.uid();
ROLLBACK;
SELECT clerk.uid();
DELETE FROM clerk.jwks WHERE issuer = :'issuer_a';
SELECT clerk.uid();
BEGIN;
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
SELECT clerk.uid(), clerk.verify(:'bob') ->> 'sub' AS verified;
ROLLBACK;
SELECT clerk.uid();
BEGIN;
SAVEPOINT s;
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
SELECT clerk.uid();
ROLLBACK TO s;
SELECT clerk.uid();
COMMIT;
TRUNCATE clerk.jwks;
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
SELECT clerk.uid();
TRUNCATE clerk.jwks;
SELECT clerk.uid();

-- also as a replica
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
SELECT clerk.uid();
SET session_replication_role = replica;
DELETE FROM clerk.jwks;
SELECT clerk.uid();
RESET session_replication_role;

-- a retiring key verifies for its grace; an expired one does not
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
SELECT * FROM clerk.load_jwks(:'issuer_a', :'jwks_a_next');
SELECT clerk.uid(), clerk.verify(:'alice_next_key') ->> 'sub' AS next_key;
UPDATE clerk.jwks SET expires_at = now() - interval '1 second' WHERE kid = 'ins_a';
SELECT clerk.uid(), clerk.verify(:'alice_next_key') ->> 'sub' AS next_key;
SELECT * FROM clerk.load_jwks(:'issuer_a', :'jwks_a', grace => '0');
SELECT clerk.uid();

-- the extension dropped and made again
DROP EXTENSION clerk_rls;
CREATE EXTENSION clerk_rls;
SELECT clerk.uid();
SELECT clerk.add_instance(:'issuer_a');
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
SELECT clerk.uid();

-- parallel workers know the user as well
CREATE TABLE parallel_notes AS SELECT i AS id, CASE WHEN i % 2 = 0 THEN 'user_alice' ELSE 'user_bob' END AS user_id
	FROM generate_series(1, 20000) AS i;
ALTER TABLE parallel_notes SET (parallel_workers = 2);
ANALYZE parallel_notes;
BEGIN;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL parallel_leader_participation = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM parallel_notes WHERE user_id = clerk.uid();
SELECT count(*) FROM parallel_notes WHERE user_id = clerk.uid();
SET LOCAL clerk.token = :'forged';
SELECT count(*) FROM parallel_notes WHERE user_id = clerk.uid();
SET LOCAL clerk.token = '';
SELECT set_config('request.headers', json_build_object('authorization', 'Bearer ' || :'bob')::text, true) = '' AS empty;
SELECT count(*), count(DISTINCT clerk.session_id()) FROM parallel_notes WHERE user_id = clerk.uid();
COMMIT;
DROP TABLE parallel_notes;

-- more tokens than the cache holds, all their own
CREATE FUNCTION pg_temp.rounds(tokens text[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	wrong bigint := 0;
BEGIN
	FOR i IN 1..600 LOOP
		PERFORM set_config('clerk.token', tokens[1 + i % 3], true);
		IF clerk.uid() IS DISTINCT FROM (ARRAY['user_alice', 'user_bob', NULL])[1 + i % 3] THEN
			wrong := wrong + 1;
		END IF;
	END LOOP;
	RETURN wrong;
END
$$;
SELECT pg_temp.rounds(ARRAY[:'alice', :'bob', :'forged']) AS wrong;
SET clerk.max_cached_tokens = 1;
SELECT pg_temp.rounds(ARRAY[:'alice', :'bob', :'forged']) AS wrong;
SET clerk.max_cached_tokens = 0;
RESET clerk.max_cached_tokens;

-- tokens that are refused take no place in it
CREATE FUNCTION pg_temp.cache_bytes() RETURNS bigint LANGUAGE sql AS $$
	SELECT coalesce(sum(used_bytes), 0) FROM pg_backend_memory_contexts WHERE name = 'clerk verified tokens'
$$;
SELECT pg_temp.cache_bytes() AS before \gset
SELECT count(clerk.uid()) AS good FROM generate_series(1, 300) AS i,
	set_config('clerk.token', overlay(:'alice' PLACING to_char(i, 'FM000') FROM length(:'alice') - 20), true);
SELECT pg_temp.cache_bytes() = :before AS unchanged;

DELETE FROM clerk.instances;
