-- What the hosted file costs, as ratios within one run; the least of several tries counts.
--
-- psql -f speed.sql, in a database that has the hosted file and nothing else, as its owner
\getenv vectors PG_ABS_SRCDIR
\set vectors :vectors '/vectors/tokens.sql'
\i :vectors
SET max_parallel_workers_per_gather = 0;
SET jit = off;
SELECT clerk.add_instance(:'issuer_a') AS a, set_config('speed.alice', :'alice', false) AS b, set_config('speed.org', :'org_v2', false) AS c \gset
SELECT count(*) AS keys FROM clerk.load_jwks(:'issuer_a', :'jwks_a') \gset
CREATE FUNCTION auth_jwt() RETURNS jsonb LANGUAGE sql STABLE AS $$
	SELECT coalesce(nullif(current_setting('request.jwt.claim', true), ''), nullif(current_setting('request.jwt.claims', true), ''))::jsonb
$$;
CREATE TABLE notes AS SELECT i AS id, CASE WHEN i % 10 = 0 THEN 'user_alice' ELSE 'user_' || i % 1000 END AS user_id FROM generate_series(1, 1000000) AS i;
VACUUM ANALYZE notes;

-- milliseconds of one execution
CREATE FUNCTION least_time(statement text, times integer, tries integer) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
	best numeric := 'infinity';
	start timestamptz;
BEGIN
	FOR try IN 1 .. tries LOOP
		start := clock_timestamp();
		FOR i IN 1 .. times LOOP
			EXECUTE statement;
		END LOOP;
		best := least(best, extract(epoch FROM clock_timestamp() - start) * 1000 / times);
	END LOOP;
	RETURN round(best, 4);
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
CREATE TABLE results (work text, ms numeric, ratio numeric, target text);
INSERT INTO results
	SELECT 'a new token of RS256, 2048 bits / a naive power', token, round(token / naive, 2), '<= 0.5'
	FROM least_time('SELECT clerk.verify(current_setting(''speed.alice''))', 20, 15) AS token, least_time('SELECT naive(s, n) FROM numbers', 10, 10) AS naive;
SELECT set_config('request.jwt.claims', :'payload', false) FROM (SELECT convert_from(clerk_internal.base64url_decode(split_part(:'org_v2', '.', 2)), 'UTF8')) AS p (payload) WHERE false;
SELECT convert_from(clerk_internal.base64url_decode(split_part(:'org_v2', '.', 2)), 'UTF8') AS payload \gset
UPDATE clerk.settings SET value = 'claims' WHERE name = 'verify';
SELECT set_config('request.jwt.claims', :'payload', false) AS set \gset
INSERT INTO results
	SELECT '1,000,000 rows: (select clerk.uid()) / a literal', wrapped, round(wrapped / literal, 2), '<= 1.15'
	FROM least_time('SELECT count(*) FROM notes WHERE user_id = (SELECT clerk.uid())', 1, 9) AS wrapped,
		least_time('SELECT count(*) FROM notes WHERE user_id = ''user_alice''', 1, 9) AS literal;
INSERT INTO results
	SELECT '1,000,000 rows: and (select clerk.has_permission()) / a literal', wrapped, round(wrapped / literal, 2), '<= 1.15'
	FROM least_time('SELECT count(*) FROM notes WHERE user_id = (SELECT clerk.uid()) AND (SELECT clerk.has_permission(''org:invoices:read''))', 1, 9) AS wrapped,
		least_time('SELECT count(*) FROM notes WHERE user_id = ''user_alice''', 1, 9) AS literal;
INSERT INTO results
	SELECT '1,000,000 rows, bare: auth.jwt()->>''sub'' / clerk.uid()', uid, round(jwt / uid, 2), '>= 8'
	FROM least_time('SELECT count(*) FROM notes WHERE user_id = clerk.uid()', 1, 5) AS uid,
		least_time('SELECT count(*) FROM notes WHERE user_id = auth_jwt() ->> ''sub''', 1, 2) AS jwt;
UPDATE clerk.settings SET value = 'signature' WHERE name = 'verify';
RESET request.jwt.claims;
SET clerk.token = :'alice';
INSERT INTO results
	SELECT '1,000,000 rows where signatures are verified: (select clerk.uid()) / a literal', wrapped, round(wrapped / literal, 2), '<= 1.15'
	FROM least_time('SELECT count(*) FROM notes WHERE user_id = (SELECT clerk.uid())', 1, 9) AS wrapped,
		least_time('SELECT count(*) FROM notes WHERE user_id = ''user_alice''', 1, 9) AS literal;
INSERT INTO results
	SELECT 'a call of clerk.uid() in the same transaction, where signatures are verified', kept / 1000, NULL, ''
	FROM least_time('SELECT count(clerk.uid() || i) FROM generate_series(1, 1000) AS i', 1, 9) AS kept;
TABLE results;
