-- What the hosted file costs, as ratios: two statements are run in turn, and the median of their
-- ratios counts. Time is that of the processor, as Linux counts it, where a superuser asks.
--
-- psql -f speed.sql, in a database that has the hosted file and nothing else
\getenv vectors PG_ABS_SRCDIR
\set vectors :vectors '/vectors/tokens.sql'
\i :vectors
SET max_parallel_workers_per_gather = 0;
SET jit = off;
SELECT clerk.add_instance(:'issuer_a') AS a, set_config('speed.alice', :'alice', false) AS b \gset
SELECT count(*) AS keys FROM clerk.load_jwks(:'issuer_a', :'jwks_a') \gset
CREATE FUNCTION auth_jwt() RETURNS jsonb LANGUAGE sql STABLE AS $$
	SELECT coalesce(nullif(current_setting('request.jwt.claim', true), ''), nullif(current_setting('request.jwt.claims', true), ''))::jsonb
$$;
CREATE TABLE notes AS SELECT i AS id, CASE WHEN i % 10 = 0 THEN 'user_alice' ELSE 'user_' || i % 1000 END AS user_id FROM generate_series(1, 1000000) AS i;
VACUUM ANALYZE notes;

-- nanoseconds
CREATE FUNCTION used_time() RETURNS numeric LANGUAGE plpgsql AS $$
BEGIN
	RETURN split_part(pg_read_file('/proc/self/schedstat'), ' ', 1);
EXCEPTION WHEN insufficient_privilege OR undefined_file THEN
	RETURN extract(epoch FROM clock_timestamp()) * 1e9;
END
$$;
CREATE TABLE results (work text, ms numeric, base_ms numeric, ratio numeric, target text);
CREATE PROCEDURE compare(work text, target text, statement text, base text, tries integer, times integer DEFAULT 1) LANGUAGE plpgsql AS $$
DECLARE
	start numeric;
	middle numeric;
	spent numeric[];
	spent_base numeric[];
BEGIN
	FOR try IN 0 .. tries LOOP
		start := used_time();
		FOR i IN 1 .. times LOOP
			EXECUTE statement;
		END LOOP;
		middle := used_time();
		FOR i IN 1 .. times LOOP
			EXECUTE base;
		END LOOP;
		-- the first warms up; and what has been answered is not kept for the next
		IF try > 0 THEN
			spent := spent || (middle - start);
			spent_base := spent_base || (used_time() - middle);
		END IF;
		COMMIT;
	END LOOP;
	INSERT INTO results
		SELECT work, round((percentile_cont(0.5) WITHIN GROUP (ORDER BY s) / times / 1e6)::numeric, 3),
			round((percentile_cont(0.5) WITHIN GROUP (ORDER BY b) / times / 1e6)::numeric, 3),
			round((percentile_cont(0.5) WITHIN GROUP (ORDER BY s / b))::numeric, 2), target
		FROM unnest(spent, spent_base) AS t (s, b);
END
$$;
-- s^65537 mod n as one would write it
CREATE FUNCTION naive(s numeric, n numeric) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
	power numeric := s;
BEGIN
	FOR i IN 1 .. 16 LOOP
		power := power * power % n;
	END LOOP;
	RETURN power * s % n;
END
$$;
CREATE TABLE numbers AS SELECT modulus AS n, modulus - 12345 AS s FROM clerk_internal.moduli;
SELECT convert_from(clerk_internal.base64url_decode(split_part(:'org_v2', '.', 2)), 'UTF8') AS payload \gset
CALL compare('a new token of RS256, 2048 bits / a naive power', '<= 0.5, 0.6 ms', 'SELECT clerk.verify(current_setting(''speed.alice''))', 'SELECT naive(s, n) FROM numbers', 25, 100);

\set literal 'SELECT count(*) FROM notes WHERE user_id = \'user_alice\''
\set wrapped 'SELECT count(*) FROM notes WHERE user_id = (SELECT clerk.uid())'
\set permission 'SELECT count(*) FROM notes WHERE user_id = (SELECT clerk.uid()) AND (SELECT clerk.has_permission(\'org:invoices:read\'))'
UPDATE clerk.settings SET value = 'claims' WHERE name = 'verify';
SELECT set_config('request.jwt.claims', :'payload', false) AS set \gset
CALL compare('claims: (SELECT clerk.uid()) / a literal', '<= 1.15', :'wrapped', :'literal', 15);
CALL compare('claims: and (SELECT clerk.has_permission()) / a literal', '<= 1.15', :'permission', :'literal', 15);
CALL compare('claims, bare: auth.jwt() ->> sub / clerk.uid()', '>= 8', 'SELECT count(*) FROM notes WHERE user_id = auth_jwt() ->> ''sub''', 'SELECT count(*) FROM notes WHERE user_id = clerk.uid()', 3);
UPDATE clerk.settings SET value = 'signature' WHERE name = 'verify';
SET clerk.token = :'org_v2';
CALL compare('signature: (SELECT clerk.uid()) / a literal', '<= 1.15', :'wrapped', :'literal', 15);
CALL compare('signature: and (SELECT clerk.has_permission()) / a literal', '<= 1.15', :'permission', :'literal', 15);
CALL compare('signature, bare: clerk.uid() / auth.jwt() ->> sub', '', 'SELECT count(clerk.uid() || i) FROM generate_series(1, 10000) AS i', 'SELECT count((auth_jwt() ->> ''sub'') || i) FROM generate_series(1, 10000) AS i', 9);
TABLE results;
