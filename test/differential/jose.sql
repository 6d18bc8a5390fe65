-- jose.sql: the keys and tokens of jose.mjs.  What jose has signed is good, what it refuses is not, and the
-- keys that it writes as PEM are those that it writes as JWK.
--
-- psql -v lines=FILE -f jose.sql

CREATE EXTENSION IF NOT EXISTS clerk_rls;
SELECT clerk.add_instance('https://clerk.example.com'), clerk.add_instance('https://pem.example.com') \g /dev/null

CREATE TABLE jose_lines (line text);
\set copy '\\copy jose_lines FROM ' :lines ' (FORMAT csv, DELIMITER E''\\x01'', QUOTE E''\\x02'')'
:copy
CREATE TABLE jose AS
SELECT split_part(line, E'\t', 1) AS kind, split_part(line, E'\t', 2) AS what, split_part(line, E'\t', 3) AS wanted
FROM jose_lines;

SELECT clerk.load_jwks('https://clerk.example.com', jsonb_build_object('keys', jsonb_agg(what::jsonb)))
FROM jose WHERE kind = 'key' \g /dev/null
SELECT clerk.load_pem('https://pem.example.com', wanted::jsonb #>> '{}', what::jsonb ->> 'kid')
FROM jose WHERE kind = 'key' \g /dev/null

CREATE FUNCTION pg_temp.answer(token text) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	RETURN clerk.verify(token);
EXCEPTION WHEN SQLSTATE 'PT401' THEN
	RETURN NULL;
END
$$;

SELECT format('%sok - jose: %s good tokens of %s algorithms are good', CASE WHEN n_good < n OR n < 10 THEN 'not ' END, n, n_keys)
FROM (SELECT count(*), count(*) FILTER (WHERE pg_temp.answer(what) = wanted::jsonb) FROM jose WHERE kind = 'good') AS g (n, n_good),
	(SELECT count(*) FROM jose WHERE kind = 'key') AS k (n_keys);
SELECT format('%sok - jose: of %s others, it refuses %s, and so do we',
	CASE WHEN n_wrong > 0 OR n_refused < 300 THEN 'not ' END, n, n_refused)
FROM (SELECT count(*), count(*) FILTER (WHERE wanted = 'false'),
		count(*) FILTER (WHERE wanted = 'false' AND pg_temp.answer(what) IS NOT NULL)
	FROM jose WHERE kind = 'other') AS o (n, n_refused, n_wrong);
SELECT format('%sok - jose: %s keys are the same as PEM and as JWK', CASE WHEN n_same < n OR n = 0 THEN 'not ' END, n)
FROM (SELECT count(*), count(*) FILTER (WHERE a.jwk - '{kid,alg,use}'::text[] = b.jwk - '{kid,alg,use}'::text[])
	FROM clerk.jwks AS a LEFT JOIN clerk.jwks AS b ON b.issuer = 'https://pem.example.com' AND b.kid = a.kid
	WHERE a.issuer = 'https://clerk.example.com') AS s (n, n_same);
