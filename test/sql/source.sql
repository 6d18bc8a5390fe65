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
	cookies json DEFAULT NULL, claims json DEFAULT NULL, OUT uid text, OUT why text, OUT pre_request text)
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('request.headers', coalesce(headers::text, ''), false),
		set_config('clerk.token', setting, false), set_config('request.jwt', jwt, false),
		set_config('request.cookies', coalesce(cookies::text, ''), false),
		set_config('request.jwt.claims', coalesce(claims::text, ''), false);
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
	claims => json_build_object('iss', :'issuer_a', 'sub', 'user_bob'));
SELECT * FROM pg_temp.request(json_build_object('authorization', 'Bearer ' || :'alice'),
	claims => json_build_object('iss', :'issuer_b', 'sub', 'user_alice'));
-- not if it is of somebody else's issuer, or of none
SELECT * FROM pg_temp.request(json_build_object('authorization', 'Bearer ' || :'alice'), jwt => :'issuer_foreign',
	claims => json_build_object('iss', 'https://foreign.example', 'sub', 'user_bob'));
SELECT * FROM pg_temp.request(json_build_object('authorization', 'Bearer ' || :'alice'), claims => '{"role": "anon"}');
SELECT * FROM pg_temp.request(json_build_object('authorization', 'Bearer ' || :'alice'), claims => '{"sub": "user_bob"}');
SELECT * FROM pg_temp.request(json_build_object('authorization', 'Bearer ' || :'alice'),
	claims => json_build_object('iss', :'issuer_a', 'sub', 'user_alice', 'role', 'authenticated'));

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

-- claims without a token are nothing to go by
SELECT * FROM pg_temp.request(claims => json_build_object('iss', :'issuer_a', 'sub', 'user_alice', 'exp', 4102444800));
-- until a superuser says so; nobody else can
SET ROLE anon;
SET clerk.trust_request_claims = on;
RESET ROLE;
SET clerk.trust_request_claims = on;
SELECT * FROM pg_temp.request(claims => json_build_object('iss', :'issuer_a', 'sub', 'user_alice', 'exp', 4102444800));
SELECT * FROM pg_temp.request(claims => json_build_object('iss', :'issuer_a', 'sub', 'user_alice', 'exp', 1700000000));
SELECT * FROM pg_temp.request(claims => json_build_object('iss', :'issuer_a', 'sub', 'mch_1', 'exp', 4102444800));
SELECT * FROM pg_temp.request(claims => json_build_object('iss', 'https://foreign.example', 'sub', 'user_alice', 'exp', 4102444800));
SELECT * FROM pg_temp.request(claims => '{"role": "anon"}');
-- nobody's, if jsonb could not hold them
SELECT set_config('request.jwt.claims', format('{"iss":"%s","sub":"user_alice","exp":4102444800,"x":%s}', :'issuer_a', x), false) IS NULL AS set,
	clerk.uid(), clerk.jwt() IS NULL AS no_claims
FROM (VALUES ('0.' || repeat('1', 20000)), (repeat('1', 140000)), ('1e-999')) AS numbers (x);
-- a token still goes before them
SELECT * FROM pg_temp.request(setting => :'forged', claims => json_build_object('iss', :'issuer_a', 'sub', 'user_alice', 'exp', 4102444800));
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
-- claims that were trusted are no token
SELECT clerk.verify(json_build_object('iss', :'issuer_a', 'sub', 'user_alice', 'exp', 4102444800)::text);
SET clerk.trust_request_claims = off;
SELECT clerk.uid();

DELETE FROM clerk.instances;
