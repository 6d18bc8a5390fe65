--
-- peers.sql
--	Others that verify tokens in the database, each on its own best terms: asked once for each
--	statement where a policy cannot ask it for each row, with the kind of key it is made for, and
--	with as little around it as its manual allows.  Run by bench.sh, in a session that has
--	pg_session_jwt's key; what is not installed is left out, and named.
--

SET max_parallel_workers_per_gather = 0;
SET jit = off;
SET client_min_messages = warning;
SELECT set_config('request.headers', json_build_object('authorization', 'Bearer ' || token)::text, false), set_config('bench.token', token, false),
	set_config('request.jwt.claims', format('{"iss":"%s","sub":"%s","role":"authenticated"}', :'issuer', :'subject'), false)
	FROM bench.tokens WHERE n = 1 \g /dev/null
CREATE INDEX ON bench.notes (id);
VACUUM ANALYZE bench.notes;

-- roles that have it in their policy: once for each statement, and for each row; NULL where it is too slow for that
CREATE TABLE bench.peers (n serial, peer text, role text, row_role text, new_tokens text);
CREATE PROCEDURE bench.add_peer(role text, condition text, schema text) LANGUAGE plpgsql AS $$
BEGIN
	CALL bench.add_policy(role, '{bench.notes}', condition);
	EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', schema, role);
END
$$;
INSERT INTO bench.peers (peer, role, row_role, new_tokens) VALUES ('clerk.uid()', 'own_clerk', 'own_clerk',
	'SELECT count(set_config(''clerk.token'', token, true)), count(DISTINCT clerk.uid()) FROM bench.tokens WHERE n <= 200');

SELECT count(*) > 0 AS is_here FROM pg_available_extensions WHERE name = 'pg_session_jwt' \gset
\if :is_here
CREATE EXTENSION pg_session_jwt;
CALL bench.add_peer('own_session_jwt', 'user_id = (SELECT auth.user_id())', 'auth');
CALL bench.add_peer('own_session_jwt_row', 'user_id = auth.user_id()', 'auth');
-- Ed25519; the tokens are numbered, and a session takes none twice
CREATE TABLE bench.numbered (n serial, token text);
\copy bench.numbered (token) FROM pstdin
CREATE INDEX ON bench.numbered (n);
ANALYZE bench.numbered;
CREATE SEQUENCE bench.turn MINVALUE 0;
SELECT set_config('pg_session_jwt.jwt', token, false) FROM bench.numbered WHERE n = 1 \g /dev/null
INSERT INTO bench.peers (peer, role, row_role, new_tokens) VALUES ('pg_session_jwt', 'own_session_jwt', 'own_session_jwt_row',
	'SELECT count(set_config(''pg_session_jwt.jwt'', token, false)), count(DISTINCT auth.user_id())
		FROM (SELECT nextval(''bench.turn'') * 200 AS before) AS turn, bench.numbered WHERE n BETWEEN before + 2 AND before + 201');
\else
\echo '» pg_session_jwt: skipped, as it is not installed in this PostgreSQL'
\endif

SELECT count(*) > 0 AS is_here FROM pg_available_extensions WHERE name = 'pgjwt_rs' \gset
\if :is_here
-- its manual leaves it to SQL when a token ends
CREATE SCHEMA pgjwt_rs;
CREATE EXTENSION pgjwt_rs SCHEMA pgjwt_rs;
SELECT format('(SELECT payload ->> ''sub'' FROM pgjwt_rs.jwt_verify_rs256(%%s, %L)
	WHERE valid AND to_timestamp((payload ->> ''exp'')::float8) > now())', :'pem') AS ask \gset
CALL bench.add_peer('own_pgjwt_rs', 'user_id = ' || format(:'ask', 'current_setting(''bench.token'')'), 'pgjwt_rs');
INSERT INTO bench.peers (peer, role, new_tokens) VALUES ('pgjwt_rs', 'own_pgjwt_rs',
	'SELECT count(*), count(DISTINCT ' || format(:'ask', 'token') || ') FROM bench.tokens WHERE n <= 200');
\else
\echo '» pgjwt_rs: skipped, as it is not installed in this PostgreSQL'
\endif

\if :{?pgsqljwt}
CREATE EXTENSION IF NOT EXISTS pgcrypto;
\i :pgsqljwt
SELECT format('jwt.decode_jwt(%%s, %L) ->> ''sub''', jsonb_build_array(jwt.jwk_to_key(:'jwk'))) AS ask \gset
CALL bench.add_peer('own_pgsqljwt', 'user_id = (SELECT ' || format(:'ask', 'current_setting(''bench.token'')') || ')', 'jwt');
INSERT INTO bench.peers (peer, role, new_tokens) VALUES ('pgsqljwt', 'own_pgsqljwt',
	'SELECT count(*), count(DISTINCT ' || format(:'ask', 'token') || ') FROM bench.tokens WHERE n <= 200');
\else
\echo '» pgsqljwt: skipped, as PGSQLJWT does not say where its decode_jwt.sql is'
\endif

INSERT INTO bench.peers (peer, role) VALUES ('auth.jwt()->>''sub''', 'own_jwt_wrapped');

CREATE PROCEDURE bench.measure_peers(runs int, few int) LANGUAGE plpgsql AS $$
DECLARE
	peers text[] := (SELECT array_agg(peer ORDER BY n) FROM bench.peers);
	roles text[] := (SELECT array_agg(role ORDER BY n) FROM bench.peers);
	row_peers text[] := (SELECT array_agg(peer ORDER BY n) FROM bench.peers WHERE row_role IS NOT NULL);
	row_roles text[] := (SELECT array_agg(row_role ORDER BY n) FROM bench.peers WHERE row_role IS NOT NULL);
BEGIN
	-- a policy shows a thousand rows
	FOR i IN 1..cardinality(roles) LOOP
		PERFORM set_config('role', roles[i], true);
		ASSERT (SELECT count(*) FROM bench.notes) = 1000, peers[i];
		PERFORM set_config('role', 'none', true);
	END LOOP;
	CALL bench.measure_roles('1,000,000 rows, asked per statement', runs, 'SELECT count(*) FROM bench.notes', peers, roles);
	CALL bench.measure_roles('1,000,000 rows, asked per row', few, 'SELECT count(*) FROM bench.notes', row_peers, row_roles);
	CALL bench.measure_roles('200 statements for one row', few,
		'DO $do$ BEGIN FOR i IN 1..200 LOOP PERFORM FROM bench.notes WHERE id = i; END LOOP; END $do$', peers, roles);
END
$$;
CREATE PROCEDURE bench.measure_new_tokens_of_peers(runs int) LANGUAGE plpgsql AS $$
DECLARE
	peers text[] := (SELECT array_agg(peer ORDER BY n) FROM bench.peers WHERE new_tokens IS NOT NULL);
	statements text[] := (SELECT array_agg(new_tokens ORDER BY n) FROM bench.peers WHERE new_tokens IS NOT NULL);
	n_tokens bigint;
	n_users bigint;
BEGIN
	-- whatever token comes next is a new one
	SET LOCAL clerk.max_cached_tokens = 1;
	PERFORM set_config('request.headers', '', true), set_config('request.jwt.claims', '', true);
	-- and of another user
	FOR i IN 1..cardinality(peers) LOOP
		EXECUTE statements[i] INTO n_tokens, n_users;
		ASSERT n_tokens = 200 AND n_users = 200, format('%s: %s tokens of %s users', peers[i], n_tokens, n_users);
	END LOOP;
	CALL bench.measure('200 new tokens: whose are they?', runs, peers, array_fill('none'::text, ARRAY[cardinality(peers)]), statements);
END
$$;
CALL bench.measure_peers(:runs, :few);
CALL bench.measure_new_tokens_of_peers(:few);
INSERT INTO bench.targets (work, variant, baseline, target, peers)
SELECT work, peer, 'clerk.uid()', target, true
FROM (VALUES (1, '1,000,000 rows, asked per statement', NULL), (2, '1,000,000 rows, asked per row', '>= 1'),
	(3, '200 statements for one row', '>= 1'), (4, '200 new tokens: whose are they?', '>= 1')) AS works (w, work, target), bench.peers
WHERE peer <> 'clerk.uid()' ORDER BY w, n;
