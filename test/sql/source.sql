-- Where a token may be, which one counts, and what the others may say.
\getenv srcdir PG_ABS_SRCDIR
\set load :srcdir '/vectors/load.sql'
\i :load
\set VERBOSITY default

SELECT clerk.add_instance(:'issuer_a') AS a, clerk.add_instance(:'issuer_b', ARRAY['https://app.example.com']) AS b \gset
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
SELECT count(*) FROM clerk.load_jwks(:'issuer_b', :'jwks_b');

-- sets what is given, unsets the rest, and tells who is signed in, or why nobody is
CREATE FUNCTION pg_temp.request(headers json DEFAULT NULL, setting text DEFAULT '', jwt text DEFAULT '',
	cookies json DEFAULT NULL, claims text DEFAULT NULL, method text DEFAULT 'GET', OUT uid text, OUT why text, OUT pre_request text)
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('request.headers', coalesce(headers::text, ''), false),
		set_config('clerk.token', setting, false), set_config('request.jwt', jwt, false),
		set_config('request.cookies', coalesce(cookies::text, ''), false),
		set_config('request.jwt.claims', coalesce(claims, ''), false), set_config('request.method', method, false);
	uid := clerk.uid();
	why := regexp_replace(d.detail, ', now [^)]*', '') FROM clerk.diagnose() AS d
		WHERE outcome = 'fail' OR (step = 'source' AND outcome = 'ok') ORDER BY outcome LIMIT 1;
	PERFORM clerk.pre_request();
	pre_request := 'passes';
EXCEPTION WHEN SQLSTATE 'PT401' THEN
	pre_request := split_part(sqlerrm, ':', 1);
END
$$;

-- each source
SELECT * FROM pg_temp.request();
SELECT * FROM pg_temp.request(setting => :'alice');
SELECT * FROM pg_temp.request(json_build_object('x-clerk-token', :'alice'));
SELECT * FROM pg_temp.request(json_build_object('x-clerk-token', 'Bearer ' || :'alice'));
SELECT * FROM pg_temp.request(json_build_object('authorization', 'Bearer ' || :'alice'));
SELECT * FROM pg_temp.request(json_build_object('authorization', 'bEARER   ' || :'alice'));
SELECT * FROM pg_temp.request(json_build_object('authorization', :'alice'));
SELECT * FROM pg_temp.request(jwt => :'alice');
SELECT * FROM pg_temp.request(json_build_object('authorization', ARRAY['Bearer ' || :'alice']));

-- precedence: the first that holds a token of a registered issuer; the others are the same user's
SELECT * FROM pg_temp.request(json_build_object('x-clerk-token', :'alice', 'authorization', 'Bearer ' || :'alice_again'),
	setting => :'alice', jwt => :'alice_again');
SELECT * FROM pg_temp.request(json_build_object('x-clerk-token', :'expired', 'authorization', 'Bearer ' || :'alice'));
SELECT * FROM pg_temp.request(json_build_object('x-clerk-token', :'alice', 'authorization', 'Bearer ' || :'expired'));
SELECT * FROM pg_temp.request(json_build_object('x-clerk-token', :'issuer_foreign', 'authorization', 'Bearer ' || :'alice'));
SELECT * FROM pg_temp.request(json_build_object('x-clerk-token', 'garbage', 'authorization', 'Bearer ' || :'alice'));
SELECT * FROM pg_temp.request(json_build_object('x-clerk-token', '', 'authorization', 'Bearer ' || :'alice'));

-- two identities: nobody, wherever the other one is named
SELECT * FROM pg_temp.request(json_build_object('authorization', 'Bearer ' || :'alice'), setting => :'bob');
SELECT * FROM pg_temp.request(json_build_object('authorization', 'Bearer ' || :'alice', 'x-clerk-token', :'bob'));
SELECT * FROM pg_temp.request(json_build_object('authorization', 'Bearer ' || :'alice'), jwt => :'bob');
SELECT * FROM pg_temp.request(json_build_object('authorization', 'Bearer ' || :'alice'), jwt => :'bob_expired');
SELECT * FROM pg_temp.request(json_build_object('authorization', 'Bearer ' || :'alice'), jwt => :'alice_of_b');
SELECT * FROM pg_temp.request(json_build_object('authorization', 'Bearer ' || :'alice'),
	claims => json_build_object('iss', :'issuer_a', 'sub', 'user_bob')::text);
SELECT * FROM pg_temp.request(json_build_object('authorization', 'Bearer ' || :'alice'),
	claims => json_build_object('iss', :'issuer_b', 'sub', 'user_alice')::text);
-- not if it is of somebody else's issuer, or of none
SELECT * FROM pg_temp.request(json_build_object('authorization', 'Bearer ' || :'alice'), jwt => :'issuer_foreign',
	claims => json_build_object('iss', 'https://foreign.example', 'sub', 'user_bob')::text);
SELECT * FROM pg_temp.request(json_build_object('authorization', 'Bearer ' || :'alice'), claims => '{"role": "anon"}');
SELECT * FROM pg_temp.request(json_build_object('authorization', 'Bearer ' || :'alice'), claims => '{"sub": "user_bob"}');
SELECT * FROM pg_temp.request(json_build_object('authorization', 'Bearer ' || :'alice'),
	claims => json_build_object('iss', :'issuer_a', 'sub', 'user_alice', 'role', 'authenticated')::text);

-- not ours: anonymous, and no error. A Supabase anon key is such a token.
SELECT * FROM pg_temp.request(json_build_object('authorization', 'Bearer ' || :'issuer_foreign'));
SELECT * FROM pg_temp.request(json_build_object('authorization', 'Bearer ' || :'issuer_missing'));
SELECT * FROM pg_temp.request(json_build_object('authorization', 'Basic ' || :'alice'));
SELECT * FROM pg_temp.request(json_build_object('Authorization', 'Bearer ' || :'alice'));
-- ours or nobody's, and no good
SELECT * FROM pg_temp.request(json_build_object('authorization', 'Bearer garbage'));
SELECT * FROM pg_temp.request(json_build_object('authorization', 'Bearer ' || :'alice' || ', Bearer ' || :'bob'));
SELECT * FROM pg_temp.request(json_build_object('authorization', ARRAY['Bearer ' || :'alice', 'Bearer ' || :'alice']));
SELECT * FROM pg_temp.request(json_build_object('authorization', '{}'::text[]));
SELECT * FROM pg_temp.request(json_build_object('authorization', 1));
SELECT * FROM pg_temp.request(json_build_object('authorization', 'Bearer ' || repeat('x', 20000)));
SELECT * FROM pg_temp.request(json_build_object('authorization', 'Bearer ' || :'forged'));
SELECT * FROM pg_temp.request(json_build_object('authorization', 'Bearer ' || :'alg_none'));

-- what cannot be read may name anybody
SELECT left(claims, 20) AS claims, r.* FROM (VALUES ('{"sub":"user_bob"'), ('[]'), ('"user_bob"'), ('null'), ('{"iss":1}'),
	(format('{"iss":"%s","sub":"user_alice","sub":"user_bob"}', :'issuer_a')), ('{"a":' || repeat('[', 3000) || repeat(']', 3000) || '}'),
	(format('{"iss":"%s","sub":"user_alice","x":"%s"}', :'issuer_a', repeat('x', 17000))), (E'{"a":"\x01"}')) AS v (claims),
	pg_temp.request(json_build_object('authorization', 'Bearer ' || :'alice'), claims => claims) AS r;
SELECT * FROM pg_temp.request(json_build_object('x-clerk-token', :'alice', 'authorization', ARRAY['Bearer ' || :'alice', 'Bearer ' || :'bob']));
SELECT * FROM pg_temp.request(json_build_object('x-clerk-token', :'alice', 'authorization', 'Bearer ' || :'payload_duplicate'));
SELECT * FROM pg_temp.request(json_build_object('x-clerk-token', :'alice', 'authorization', 'Bearer sb_publishable_0123'));

-- In a request, clerk.token counts only if it was set in the same transaction.
CREATE FUNCTION pg_temp.who(OUT uid text, OUT source text) LANGUAGE plpgsql AS $$
BEGIN
	uid := clerk.uid();
	source := split_part(d.detail, ':', 1) FROM clerk.diagnose() AS d WHERE step = 'source';
END
$$;
CREATE FUNCTION pg_temp.unset() RETURNS void LANGUAGE sql BEGIN ATOMIC
	SELECT set_config(name, '', false)
	FROM (VALUES ('clerk.token'), ('request.method'), ('request.headers'), ('request.cookies'), ('request.jwt'), ('request.jwt.claims')) AS v (name);
END;
SELECT FROM pg_temp.unset();
SET clerk.token = :'alice';
SELECT name, pg_temp.who() AS without, set_config(name, value, true) IS NULL AS set, pg_temp.who() AS who, set_config(name, '', true) IS NULL AS unset
FROM (VALUES ('request.method', 'GET'), ('request.headers', '{}'), ('request.cookies', '{}'), ('request.jwt.claims', '{"role":"anon"}')) AS v (name, value);
SET request.method = 'GET';
SET request.headers = '{"authorization":"Basic YTpi"}';
SELECT * FROM pg_temp.who();
SELECT FROM clerk.pre_request();
BEGIN;
SELECT * FROM pg_temp.who();
SET LOCAL clerk.token = :'bob';
SELECT * FROM pg_temp.who();
SAVEPOINT a;
RESET clerk.token;
SELECT * FROM pg_temp.who();
ROLLBACK TO a;
SELECT * FROM pg_temp.who();
SELECT clerk.authenticate(:'alice');
SAVEPOINT b;
RELEASE a;
SELECT * FROM pg_temp.who();
COMMIT;
SELECT * FROM pg_temp.who();
BEGIN;
SAVEPOINT a;
SET clerk.token = :'bob';
SELECT * FROM pg_temp.who();
ROLLBACK TO a;
SELECT * FROM pg_temp.who();
ROLLBACK;
-- the token of a function's SET is its own
CREATE FUNCTION pg_temp.whoami() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN clerk.uid(); END';
SELECT format('ALTER FUNCTION pg_temp.whoami() SET clerk.token = %L', :'bob') \gexec
SELECT pg_temp.whoami(), clerk.uid();
-- an expired one is in nobody's way
SET clerk.token = :'expired';
SELECT * FROM pg_temp.request(json_build_object('authorization', 'Bearer ' || :'alice'));
SET clerk.token = :'expired';
SELECT set_config('request.headers', json_build_object('authorization', 'Bearer ' || :'bob')::text, false) IS NULL;
SELECT * FROM pg_temp.who();
SELECT FROM clerk.pre_request();
-- outside of requests, that of the session counts
SELECT FROM pg_temp.unset();
SET clerk.token = :'alice';
SELECT * FROM pg_temp.who();
-- a procedure's end of a transaction is one
DO $$
BEGIN
	PERFORM set_config('request.method', 'GET', false), set_config('clerk.token', current_setting('clerk.token'), false);
	RAISE NOTICE '%', clerk.uid();
	COMMIT;
	RAISE NOTICE '%', clerk.uid();
END
$$;
SELECT FROM pg_temp.unset();

-- cookies: only where the instance says which parties are authorized
SELECT * FROM pg_temp.request(cookies => json_build_object('__session', :'alice'));
UPDATE clerk.instances SET authorized_parties = '{https://app.example.com}' WHERE issuer = :'issuer_a';
SELECT * FROM pg_temp.request(cookies => json_build_object('__session', :'alice'));
SELECT * FROM pg_temp.request(cookies => json_build_object('__session_qReyu04C', :'alice'));
SELECT * FROM pg_temp.request(cookies => json_build_object('__session', :'expired', '__session_qReyu04C', :'alice'));
SELECT * FROM pg_temp.request(cookies => json_build_object('__session', :'bob', '__session_qReyu04C', :'alice'));
SELECT * FROM pg_temp.request(cookies => json_build_object('__session', 'eyJhIjoxfQ.x', 'session', :'alice'));
SELECT * FROM pg_temp.request(cookies => json_build_object('__session', :'azp_other'));
SELECT * FROM pg_temp.request(json_build_object('authorization', :'alice'), cookies => json_build_object('__session', :'bob'));
SELECT * FROM pg_temp.request(json_build_object('authorization', :'alice'),
	cookies => (SELECT json_object_agg('__session_' || i, :'alice_again') FROM generate_series(1, 100) AS i));
-- and only if no other site can have started the request
SELECT method, headers, r.* FROM (VALUES ('GET', '{}'), ('HEAD', '{}'), ('get', '{}'), ('OPTIONS', '{}'), ('', '{}'), ('POST', '{}'),
	('POST', '{"origin":"https://app.example.com"}'), ('POST', '{"origin":"https://evil.example"}'), ('POST', '{"origin":"null"}'),
	('POST', '{"origin":["https://app.example.com","https://evil.example"]}'), ('POST', '{"origin":""}'),
	('POST', '{"sec-fetch-site":"same-origin"}'), ('POST', '{"sec-fetch-site":"same-site"}'),
	('POST', '{"sec-fetch-site":"same-origin","origin":"http://localhost:3000"}'), ('DELETE', '{"referer":"https://app.example.com/"}'),
	('GET', '{"origin":"https://app.example.com"}'), ('GET', '{"origin":"https://evil.example"}'), ('GET', '{"sec-fetch-site":"cross-site"}'))
	AS v (method, headers),
	pg_temp.request(headers::json, method => method, cookies => json_build_object('__session', :'alice')) AS r;
-- beside a token that was sent on purpose they are not looked at
SELECT name, r.* FROM (VALUES ('bob', :'bob'), ('expired', :'expired'), ('of b', :'alice_of_b'), ('garbage', 'x')) AS v (name, cookie),
	pg_temp.request(json_build_object('authorization', :'alice'), cookies => json_build_object('__session', cookie)) AS r;
SELECT * FROM pg_temp.request(json_build_object('authorization', :'expired'), cookies => json_build_object('__session', :'alice'));
SELECT * FROM pg_temp.request(jwt => :'alice', cookies => json_build_object('__session', :'bob'));
SELECT * FROM pg_temp.request(json_build_object('authorization', :'issuer_foreign'), cookies => json_build_object('__session', :'alice'));
-- a cookie of an instance that reads none cannot contradict either
UPDATE clerk.instances SET authorized_parties = NULL;
SELECT * FROM pg_temp.request(json_build_object('authorization', :'alice'), cookies => json_build_object('__session', :'bob'));

-- settings that are no JSON hold no token
SELECT left(value, 30) AS value, set_config('request.headers', value, false) = set_config('request.cookies', value, false)
	AND set_config('request.jwt.claims', value, false) = value AS set, clerk.uid() IS NULL AS nobody
FROM (VALUES (''), ('x'), ('[]'), ('"x"'), ('{"authorization":'), ('{"authorization":null}'),
	('{"a":1,"a":2}'), ('{"authorization":{"a":"b"}}'), (repeat('[', 3000))) AS v (value);
RESET request.headers;
RESET request.cookies;
RESET request.jwt.claims;
RESET request.method;

-- claims without a token are nothing to go by
SELECT * FROM pg_temp.request(claims => json_build_object('iss', :'issuer_a', 'sub', 'user_alice', 'exp', 4102444800)::text);
-- until a superuser says so; nobody else can
SET ROLE anon;
SET clerk.trust_request_claims = on;
RESET ROLE;
SET clerk.trust_request_claims = on;
SELECT * FROM pg_temp.request(claims => json_build_object('iss', :'issuer_a', 'sub', 'user_alice', 'exp', 4102444800)::text);
SELECT * FROM pg_temp.request(claims => json_build_object('iss', :'issuer_a', 'sub', 'user_alice', 'exp', 1700000000)::text);
SELECT * FROM pg_temp.request(claims => json_build_object('iss', :'issuer_a', 'sub', 'mch_1', 'exp', 4102444800)::text);
SELECT * FROM pg_temp.request(claims => json_build_object('iss', 'https://foreign.example', 'sub', 'user_alice', 'exp', 4102444800)::text);
SELECT * FROM pg_temp.request(claims => '{"role": "anon"}');
-- nobody's, if jsonb could not hold them
SELECT set_config('request.jwt.claims', format('{"iss":"%s","sub":"user_alice","exp":4102444800,"x":%s}', :'issuer_a', x), false) IS NULL AS set,
	clerk.uid(), clerk.jwt() IS NULL AS no_claims
FROM (VALUES ('0.' || repeat('1', 20000)), (repeat('1', 140000)), ('1e-999')) AS numbers (x);
-- a token still goes before them
SELECT * FROM pg_temp.request(setting => :'forged', claims => json_build_object('iss', :'issuer_a', 'sub', 'user_alice', 'exp', 4102444800)::text);
-- many within one transaction, as in Realtime, also from one place in a function
CREATE FUNCTION pg_temp.realtime(issuer text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..3 LOOP
		PERFORM set_config('request.jwt.claims', json_build_object('iss', issuer, 'sub', 'user_' || i, 'exp', 4102444800)::text, true);
		RETURN NEXT clerk.uid();
		RETURN QUERY SELECT clerk.uid();
	END LOOP;
END
$$;
SELECT set_config('clerk.token', '', false);
SELECT * FROM pg_temp.realtime(:'issuer_a');
-- Claims are remembered, and count no longer than they may.
SELECT set_config('request.jwt.claims', json_build_object('iss', :'issuer_a', 'sub', 'user_alice', 'sid', 'sess_alice', 'exp', 4102444800)::text, false) AS claims \gset
SELECT clerk.uid();
SELECT clerk.revoke_session('sess_alice');
SELECT clerk.uid();
SELECT clerk.unrevoke('sess_alice');
SELECT clerk.uid();
SELECT clerk.revoke_user('user_alice');
SELECT clerk.uid();
SELECT clerk.unrevoke('user_alice');
UPDATE clerk.instances SET audiences = '{notes}' WHERE issuer = :'issuer_a';
SELECT clerk.uid();
UPDATE clerk.instances SET audiences = NULL WHERE issuer = :'issuer_a';
SELECT clerk.uid();
SET clerk.trust_request_claims = off;
SELECT clerk.uid();
SET clerk.trust_request_claims = on;
SELECT set_config('request.jwt.claims', json_build_object('iss', :'issuer_a', 'sub', 'user_alice', 'exp', extract(epoch FROM clock_timestamp()) - 3.5)::text, false) IS NULL AS set, clerk.uid();
SELECT pg_sleep(1.6); -- and the skew is 5 seconds
SELECT clerk.uid();
-- more of them than are remembered, one after the other, and again
SET clerk.max_cached_tokens = 3;
SELECT count(*) FILTER (WHERE uid = 'user_' || n % 7), count(*) FROM generate_series(1, 50) AS n,
	LATERAL (SELECT set_config('request.jwt.claims', json_build_object('iss', :'issuer_a', 'sub', 'user_' || n % 7, 'exp', 4102444800)::text, false)) AS s,
	LATERAL (SELECT clerk.uid() AS uid WHERE s IS NOT NULL) AS asked;
RESET clerk.max_cached_tokens;
-- claims that were trusted are no token, in no place
SELECT place, set_config(place, value, true) IS NULL AS set, clerk.uid(), set_config(place, '', true) IS NULL AS unset
FROM (VALUES ('clerk.token', :'claims'), ('request.jwt', :'claims'), ('request.headers', json_build_object('authorization', :'claims')::text)) AS places (place, value),
	LATERAL (SELECT set_config('request.jwt.claims', '', true) WHERE place IS NOT NULL) AS none;
SELECT clerk.verify(json_build_object('iss', :'issuer_a', 'sub', 'user_alice', 'exp', 4102444800)::text);
SET clerk.trust_request_claims = off;
SELECT clerk.uid();

DELETE FROM clerk.instances;
