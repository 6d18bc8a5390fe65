-- differential.sql: the pairs of pairs.mjs, asked through SQL with the signed tokens.
--
-- psql -v pairs=FILE -f differential.sql

CREATE EXTENSION clerk_rls;
SELECT clerk.add_instance('https://clerk.example.com') \g /dev/null

-- a line a row, whatever is in it
CREATE TABLE lines (n bigint GENERATED ALWAYS AS IDENTITY, line text);
\set copy '\\copy lines (line) FROM ' :pairs ' (FORMAT csv, DELIMITER E''\\x01'', QUOTE E''\\x02'')'
:copy
CREATE TABLE pairs AS
SELECT count(*) FILTER (WHERE line LIKE E'token\t%') OVER (ORDER BY n) AS token,
	split_part(line, E'\t', 1) AS kind, split_part(line, E'\t', 2) AS question, split_part(line, E'\t', 3) AS wanted
FROM lines;
CREATE INDEX ON pairs (token);
SELECT clerk.load_jwks('https://clerk.example.com', jsonb_build_object('keys', jsonb_build_array(question::jsonb)))
FROM pairs WHERE kind = 'key' \g /dev/null

CREATE TABLE questions AS
SELECT token, question::jsonb AS params, wanted::boolean AS wanted FROM pairs WHERE kind = 'has';
CREATE TABLE readers AS
SELECT token, jsonb_object_agg(question, wanted::jsonb) AS wanted FROM pairs WHERE kind = 'reader' GROUP BY token;
CREATE INDEX ON questions (token);
CREATE INDEX ON readers (token);

-- the functions for one thing each, for the questions that ask for just that
CREATE TABLE single AS
SELECT token, params, wanted, key, params ->> key AS value
FROM questions, jsonb_object_keys(params) AS key
WHERE params - key = '{}' AND jsonb_typeof(params -> key) = 'string';
CREATE TABLE reverified AS
SELECT token, params, wanted, params #>> '{reverification,level}' AS level,
	(params #>> '{reverification,afterMinutes}')::float8 * interval '1 minute' AS within
FROM questions
WHERE params - 'reverification' = '{}' AND jsonb_typeof(params #> '{reverification,level}') = 'string'
	AND jsonb_typeof(params #> '{reverification,afterMinutes}') = 'number';
CREATE INDEX ON single (token);
CREATE INDEX ON reverified (token);

CREATE TABLE wrong (token bigint, asked text, wanted text);

DO $$
DECLARE
	current record;
BEGIN
	FOR current IN SELECT token, question AS jws FROM pairs WHERE kind = 'token' LOOP
		PERFORM set_config('clerk.token', current.jws, true);
		INSERT INTO wrong
		SELECT token, 'has ' || params::text, wanted::text FROM questions
		WHERE token = current.token AND clerk.has(params) IS DISTINCT FROM wanted
		UNION ALL
		SELECT token, key || ' ' || value, wanted::text FROM single
		WHERE token = current.token AND wanted IS DISTINCT FROM CASE key
			WHEN 'role' THEN clerk.has_role(value)
			WHEN 'permission' THEN clerk.has_permission(value)
			WHEN 'feature' THEN clerk.has_feature(value)
			WHEN 'plan' THEN clerk.has_plan(value)
			WHEN 'reverification' THEN clerk.has_reverified(value)
			ELSE false END
		UNION ALL
		SELECT token, 'has_reverified ' || params::text, wanted::text FROM reverified
		WHERE token = current.token AND clerk.has_reverified(level, within) IS DISTINCT FROM wanted
		UNION ALL
		SELECT token, 'readers', wanted::text FROM readers
		WHERE token = current.token AND wanted <> jsonb_build_object(
			'org_id', clerk.org_id(), 'org_slug', clerk.org_slug(), 'org_role', clerk.org_role(),
			'org_permissions', clerk.org_permissions());
	END LOOP;
END
$$;

SELECT format('not ok - token %s: %s should be %s', token, asked, wanted) FROM wrong LIMIT 20;
SELECT format('%sok - through SQL: %s tokens, %s questions answered yes and %s no, %s of them to a function of their own, %s wrong',
	CASE WHEN n_wrong > 0 OR n_yes = 0 THEN 'not ' END, n_tokens, n_yes, n_no, n_single, n_wrong)
FROM (SELECT count(*) FROM readers) AS r (n_tokens),
	(SELECT count(*) FILTER (WHERE wanted), count(*) FILTER (WHERE NOT wanted) FROM questions) AS q (n_yes, n_no),
	(SELECT (SELECT count(*) FROM single) + (SELECT count(*) FROM reverified)) AS s (n_single),
	(SELECT count(*) FROM wrong) AS w (n_wrong);
