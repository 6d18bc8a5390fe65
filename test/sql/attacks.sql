-- What an attacker may try (vectors/attacks.pl), and how each attempt is answered.
\getenv srcdir PG_ABS_SRCDIR
\set load :srcdir '/vectors/load.sql'
\i :load
\set lines `cat "$PG_ABS_SRCDIR/vectors/attacks.tsv"`
CREATE TEMP TABLE attacks AS
	SELECT n, part[1] AS name, part[2] AS place, part[3] AS expected, part[4] AS attack
	FROM string_to_table(:'lines', E'\n') WITH ORDINALITY AS lines (line, n), string_to_array(line, E'\t') AS part
	WHERE line <> '';

-- as strict as an instance can be, and one that is not
SELECT clerk.add_instance(:'issuer_a', ARRAY['https://app.example.com'], clock_skew => '0', accept_templates => false) AS a,
	clerk.add_instance(:'issuer_b') AS b \gset
SELECT change, count(*) FROM attacks, clerk.load_jwks(:'issuer_a', attack::jsonb) WHERE name = 'a' GROUP BY 1;
SELECT change, count(*) FROM attacks, clerk.load_jwks(:'issuer_b', attack::jsonb) WHERE name = 'b' GROUP BY 1;

-- a request that has only this, and reads, so that cookies count
SET request.method = 'GET';
CREATE FUNCTION pg_temp.request(place text, attack text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config(setting, '', false) FROM unnest('{clerk.token,request.headers,request.cookies,request.jwt}'::text[]) AS setting;
	PERFORM set_config(place, attack, false);
	ASSERT clerk.is_authenticated() = (clerk.uid() IS NOT NULL) AND clerk.is_authenticated() = (clerk.jwt() IS NOT NULL);
	RETURN coalesce(clerk.uid(), (SELECT split_part(detail, ':', 1) FROM clerk.diagnose() WHERE outcome = 'fail' LIMIT 1));
END
$$;

-- a token is answered alike wherever it is: none of the places makes it somebody else's
CREATE FUNCTION pg_temp.present(token text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text := pg_temp.request('clerk.token', token);
BEGIN
	ASSERT answer = pg_temp.request('request.jwt', token);
	ASSERT coalesce(pg_temp.request('request.cookies', json_build_object('__session', token)::text) IN (answer, 'no-token'), false);
	ASSERT answer = pg_temp.request('request.headers', json_build_object('authorization', 'Bearer ' || token)::text);
	ASSERT answer = pg_temp.request('request.headers', json_build_object('x-clerk-token', ARRAY['Bearer ' || token])::text);
	ASSERT clerk.verify(token) ->> 'sub' = answer;
	RETURN answer;
EXCEPTION WHEN SQLSTATE 'PT401' THEN
	ASSERT split_part(sqlerrm, ':', 1) = answer;
	RETURN answer;
END
$$;

CREATE FUNCTION pg_temp.load(jwks jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	why text;
BEGIN
	PERFORM clerk.load_jwks('https://clerk.example.com', jwks);
	RETURN 'loaded';
EXCEPTION WHEN invalid_parameter_value THEN
	GET STACKED DIAGNOSTICS why = PG_EXCEPTION_DETAIL;
	RETURN coalesce(nullif(why, ''), sqlerrm);
END
$$;

CREATE FUNCTION pg_temp.try(place text, attack text) RETURNS text LANGUAGE sql AS $$
	SELECT CASE place
		WHEN 'token' THEN pg_temp.present(attack)
		WHEN 'jwks' THEN pg_temp.load(attack::jsonb)
		ELSE pg_temp.request('request.' || place, attack)
	END
$$;

SELECT place, name, answer, CASE WHEN answer IS DISTINCT FROM expected THEN 'EXPECTED ' || expected END AS remark
FROM attacks, pg_temp.try(place, attack) AS answer
WHERE name NOT IN ('a', 'b') ORDER BY n;

-- nothing that was refused has left a trace
SELECT issuer, count(*) FROM clerk.jwks WHERE expires_at IS NULL GROUP BY issuer ORDER BY issuer;
DELETE FROM clerk.instances;
