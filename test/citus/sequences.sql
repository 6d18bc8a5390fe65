-- sequences.sql
--	What has given another's rows, or too few, before Citus was told: each with what is seen now.
--	Reads user_1, user_2, user_3, user_9 (tokens) and h_user_1, h_user_9 (headers with them).

\set QUIET 1
\pset format unaligned
\pset tuples_only
\pset null NULL
SET client_min_messages = error;

\echo a released savepoint, which Citus forgets
BEGIN; SET LOCAL ROLE authenticated; SELECT clerk.authenticate(:'user_9');
SAVEPOINT a; SELECT clerk.authenticate(:'user_1'); RELEASE a;
SELECT clerk.uid(); SELECT count(*), min(user_id), max(user_id) FROM notes;
ROLLBACK;

\echo a block with EXCEPTION
BEGIN; SET LOCAL ROLE authenticated; SELECT FROM set_config('request.headers', :'h_user_1', true);
DO $$ BEGIN PERFORM clerk.pre_request(); EXCEPTION WHEN division_by_zero THEN NULL; END $$;
SELECT clerk.uid(); SELECT count(*), min(user_id), max(user_id) FROM notes;
ROLLBACK;

\echo savepoints that are rolled back
BEGIN; SET LOCAL ROLE authenticated; SELECT count(*) FROM notes;
SAVEPOINT a; SELECT clerk.authenticate(:'user_1'); SELECT count(*), min(user_id), max(user_id) FROM notes;
SAVEPOINT b; SELECT clerk.authenticate(:'user_2'); SELECT count(*), min(user_id), max(user_id) FROM notes;
ROLLBACK TO b; SELECT count(*), min(user_id), max(user_id) FROM notes;
ROLLBACK TO a; SELECT count(*) FROM notes;
SELECT clerk.authenticate(:'user_3'); SELECT count(*), min(user_id), max(user_id) FROM notes;
SELECT clerk.authenticate(NULL); SELECT count(*) FROM notes;
ROLLBACK;

\echo set_config() behind authenticate()
BEGIN; SET LOCAL ROLE authenticated; SELECT clerk.authenticate(:'user_1'); SELECT count(*), min(user_id), max(user_id) FROM notes;
SELECT FROM set_config('clerk.token', :'user_2', true); SELECT clerk.uid(); SELECT count(*), min(user_id), max(user_id) FROM notes;
SELECT FROM set_config('clerk.token', '', true); SELECT clerk.uid(); SELECT count(*) FROM notes;
ROLLBACK;

\echo a sign-in that fails
BEGIN; SET LOCAL ROLE authenticated; SELECT clerk.authenticate(:'user_1'); SELECT count(*) FROM notes;
SAVEPOINT a; SELECT clerk.authenticate('bad'); ROLLBACK TO a; SELECT count(*), min(user_id), max(user_id) FROM notes; COMMIT;
SET ROLE authenticated; SELECT count(*) FROM notes; BEGIN; SELECT count(*) FROM notes; COMMIT; RESET ROLE;

\echo ways to read and write
BEGIN; SET LOCAL ROLE authenticated; SELECT clerk.authenticate(:'user_1');
SAVEPOINT s; INSERT INTO notes SELECT g, 'user_3', '' FROM generate_series(9001, 9010) AS g; ROLLBACK TO s;
SAVEPOINT s; INSERT INTO notes SELECT g, 'user_1', '' FROM generate_series(9001, 9003) AS g RETURNING user_id, id; ROLLBACK TO s;
SAVEPOINT s; INSERT INTO notes VALUES (9001, 'user_1', ''), (9002, 'user_1', '') RETURNING user_id, id; ROLLBACK TO s;
COPY (SELECT count(*), min(user_id), max(user_id) FROM notes) TO STDOUT;
SELECT count(*), min(user_id), max(user_id) FROM (WITH x AS (SELECT * FROM notes OFFSET 0) SELECT * FROM x) AS y;
SELECT count(*), min(user_id), max(user_id) FROM (SELECT user_id FROM notes UNION ALL SELECT user_id FROM org_notes) AS y;
SET LOCAL citus.enable_repartition_joins = on;
SELECT count(*), min(n.user_id), max(o.user_id) FROM notes AS n JOIN org_notes AS o ON n.id = o.id;
SET LOCAL citus.force_max_query_parallelization = on; SELECT count(*), min(user_id), max(user_id) FROM notes;
UPDATE notes SET body = body || '!' WHERE user_id <> 'user_1' RETURNING user_id;
WITH gone AS (DELETE FROM notes RETURNING user_id) SELECT count(*), min(user_id), max(user_id) FROM gone;
ROLLBACK;

\echo a procedure that Citus runs on a worker
BEGIN;
CREATE PROCEDURE see(who text, INOUT seen text) LANGUAGE plpgsql AS $$ BEGIN seen := clerk.uid(); END $$;
SELECT create_distributed_function('see(text, text)', '$1', colocate_with => 'notes', force_delegation => true);
COMMIT;
BEGIN; SET LOCAL ROLE authenticated; SELECT clerk.authenticate(:'user_1'); CALL see('user_1', '');
SELECT FROM set_config('clerk.token', :'user_2', true); CALL see('user_1', ''); CALL see('user_2', '');
ROLLBACK;

\echo a function outside of a transaction block
CREATE FUNCTION two(first text, second text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN
	RETURN NEXT clerk.authenticate(first);
	RETURN QUERY UPDATE notes SET body = '' WHERE id < 30 RETURNING user_id;
	RETURN QUERY SELECT DISTINCT user_id FROM notes;
	PERFORM set_config('clerk.token', second, true);
	RETURN QUERY SELECT DISTINCT user_id FROM notes;
	RETURN QUERY UPDATE notes SET body = '' WHERE id < 30 RETURNING user_id;
END $$;
SET ROLE authenticated; SELECT two(:'user_1', :'user_2'); RESET ROLE;

\echo connections to workers on which somebody has left an identity
BEGIN; SET LOCAL ROLE authenticated; SELECT clerk.authenticate(:'user_9'); SELECT count(set_config('clerk.token', :'user_9', false)) FROM notes; COMMIT;
SET ROLE authenticated; SELECT count(*) FROM notes; RESET ROLE;
BEGIN; SET LOCAL ROLE authenticated; SELECT clerk.pre_request(); SELECT count(*) FROM notes; COMMIT;
BEGIN; SET LOCAL ROLE authenticated; SELECT FROM set_config('request.headers', :'h_user_1', true); SELECT count(*), min(user_id), max(user_id) FROM notes; COMMIT;
DISCARD ALL;
SET ROLE authenticated; SELECT count(*) FROM notes; RESET ROLE;
BEGIN; SET LOCAL ROLE authenticated; SELECT clerk.authenticate(:'user_9');
SELECT count(set_config('clerk.token', '', false)), count(set_config('request.headers', :'h_user_9', false)), count(set_config('application_name', 'psql', false)) FROM notes; COMMIT;
SET ROLE authenticated; SELECT count(*) FROM notes; RESET ROLE;
BEGIN; SET LOCAL ROLE authenticated; SELECT clerk.pre_request(); SELECT count(*) FROM notes; COMMIT;
BEGIN; SET LOCAL ROLE authenticated; SELECT FROM set_config('request.headers', :'h_user_1', true); SELECT clerk.pre_request(); SELECT count(*), min(user_id), max(user_id) FROM notes; COMMIT;

\echo a token that a pooled connection to the coordinator had before
SET clerk.token = :'user_9';
BEGIN; SET LOCAL ROLE authenticated; SELECT FROM set_config('request.method', 'GET', true); SELECT FROM set_config('request.headers', '{}', true);
SELECT clerk.pre_request(); SELECT clerk.uid(); SELECT count(*) FROM notes; COMMIT;
RESET clerk.token;
