--
-- realtime.sql
--	A change, told to 1,000 subscribers as Supabase Realtime tells it: for each of them the role
--	and the claims are set, and a prepared statement asks for the row by its key.  Run by bench.sh.
--

SET clerk.trust_request_claims = on;

CREATE TABLE bench.changed (id int PRIMARY KEY, user_id text NOT NULL);
INSERT INTO bench.changed SELECT i, 'user_' || lpad(i::text, 27, '0') FROM generate_series(1, 20) AS i;
VACUUM ANALYZE bench.changed;
ALTER TABLE bench.changed ENABLE ROW LEVEL SECURITY;
CALL bench.add_policy('own_literal', '{bench.changed}', format('user_id = %L', 'user_' || lpad('7', 27, '0')));
CALL bench.add_policy('own_clerk', '{bench.changed}', 'user_id = clerk.uid()');
CALL bench.add_policy('own_jwt', '{bench.changed}', $$user_id = bench.jwt() ->> 'sub'$$);

CREATE TABLE bench.subscription AS
	SELECT i AS id, jsonb_build_object('iss', :'issuer', 'sub', 'user_' || lpad(i::text, 27, '0'), 'sid', 'sess_' || i, 'azp', 'https://app.example.com',
		'role', 'authenticated', 'iat', 1700000000, 'nbf', 1699999990, 'exp', 4102444800, 'sts', 'active', 'v', 2) AS claims
	FROM generate_series(0, 999) AS i;
ANALYZE bench.subscription;

-- how many subscribers were told of all the changes
CREATE FUNCTION bench.deliver(as_role text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	change int;
	subscriber record;
	is_visible boolean;
	n bigint := 0;
BEGIN
	FOR change IN SELECT id FROM bench.changed LOOP
		PERFORM set_config('role', NULL, true);
		IF EXISTS (SELECT FROM pg_prepared_statements WHERE name = 'look') THEN
			DEALLOCATE look;
		END IF;
		EXECUTE format('PREPARE look AS SELECT true FROM bench.changed WHERE id = %s', change);
		FOR subscriber IN SELECT claims FROM bench.subscription LOOP
			PERFORM set_config('role', as_role, true), set_config('request.jwt.claims', subscriber.claims::text, true);
			EXECUTE 'EXECUTE look' INTO is_visible;
			n := n + coalesce(is_visible, false)::int;
		END LOOP;
		PERFORM set_config('role', NULL, true);
	END LOOP;
	RETURN n;
END
$$;

-- each to its own user, and with the constant one of them to all
DO $$
BEGIN
	ASSERT bench.deliver('own_clerk') = 20 AND bench.deliver('own_jwt') = 20 AND bench.deliver('own_literal') = 1000;
END
$$;
CALL bench.measure('20 changes, 1,000 subscribers', :runs, '{literal,clerk.uid(),auth.jwt()->>''sub''}', '{none,none,none}',
	ARRAY[$$SELECT bench.deliver('own_literal')$$, $$SELECT bench.deliver('own_clerk')$$, $$SELECT bench.deliver('own_jwt')$$]);
INSERT INTO bench.targets (work, variant, baseline, target) VALUES
	('20 changes, 1,000 subscribers', 'clerk.uid()', 'literal', '<= 1.2'),
	('20 changes, 1,000 subscribers', 'auth.jwt()->>''sub''', 'clerk.uid()', '>= 1');
