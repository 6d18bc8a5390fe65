--
-- growth.sql
--	The curves of growth.sh.
--

SET client_min_messages = warning;
CREATE EXTENSION clerk_rls;
CREATE SCHEMA growth;
CREATE TABLE growth.tokens (i serial PRIMARY KEY, token text NOT NULL);
\copy growth.tokens (token) FROM pstdin
ANALYZE growth.tokens;
CREATE ROLE authenticated;
CREATE ROLE anon;
SELECT clerk.add_instance(:'issuer') \g /dev/null

CREATE TABLE growth.points (id serial, curve text, thing text, n bigint, us float8);
-- how many times as long one thing takes for ten times as many of them, at the end of the curve
CREATE VIEW growth.report AS
	SELECT curve, thing, string_agg(format('%s: %s', n, round(us::numeric, 2)), ', ' ORDER BY n) AS "n: microseconds",
		round(((array_agg(us ORDER BY n DESC))[1] / (array_agg(us ORDER BY n DESC))[2])::numeric, 2) AS last_decade
	FROM growth.points GROUP BY curve, thing ORDER BY min(id);

-- The shortest of five runs of a statement that does so many things, after one to warm up.
CREATE PROCEDURE growth.measure(curve text, thing text, n bigint, things float8, statement text) LANGUAGE plpgsql AS $$
DECLARE
	start timestamptz;
	took float8;
	shortest float8 := 'infinity';
BEGIN
	FOR run IN 0..5 LOOP
		start := clock_timestamp();
		EXECUTE statement;
		took := extract(epoch FROM clock_timestamp() - start) * 1e6;
		IF run > 0 THEN
			shortest := least(shortest, took);
		END IF;
	END LOOP;
	INSERT INTO growth.points (curve, thing, n, us) VALUES (curve, thing, n, shortest / things);
END
$$;

-- keys of one instance, and a new token for each of them in turn
CREATE PROCEDURE growth.keys(issuer text, jwk jsonb) LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
	jwks jsonb;
BEGIN
	FOR n IN SELECT 10 ^ e FROM generate_series(1, 4) AS e LOOP
		jwks := (SELECT jsonb_build_object('keys', jsonb_agg(jwk || jsonb_build_object('kid', 'kid' || i))) FROM generate_series(0, n - 1) AS i);
		CALL growth.measure('keys of an instance', 'key loaded', n, n, format('SELECT count(*) FROM clerk.load_jwks(%L, %L)', issuer, jwks));
		CALL growth.measure('keys of an instance', 'new token', n, 10000 / n * n,
			format('SELECT count(clerk.verify(token)) FROM generate_series(1, %s), growth.tokens WHERE i <= %s', 10000 / n, n));
	END LOOP;
END
$$;
SET clerk.max_cached_tokens = 1;
CALL growth.keys(:'issuer', :'jwk');

-- tokens that a connection remembers
CREATE PROCEDURE growth.tokens() LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	FOR n IN SELECT 10 ^ e FROM generate_series(0, 4) AS e LOOP
		CALL growth.measure('tokens of a connection', 'token known', n, 10000 / n * n,
			format('SELECT count(clerk.verify(token)) FROM generate_series(1, %s), growth.tokens WHERE i <= %s', 10000 / n, n));
	END LOOP;
END
$$;
SET clerk.max_cached_tokens = 65536;
CALL growth.tokens();

-- revocations; those that are measured are of users whom no token names
CREATE PROCEDURE growth.revocations() LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
	before bigint := 0;
BEGIN
	FOR n IN SELECT 10 ^ e FROM generate_series(0, 6) AS e LOOP
		-- without the record in clerk.changes
		ALTER TABLE clerk.revocations DISABLE TRIGGER ALL;
		INSERT INTO clerk.revocations (id) SELECT 'sess_revoked_' || i FROM generate_series(before + 1, n) AS i;
		ALTER TABLE clerk.revocations ENABLE TRIGGER ALL;
		before := n;
		CALL growth.measure('revocations', 'new token', n, 1000, 'SELECT count(clerk.verify(token)) FROM growth.tokens WHERE i <= 1000');
		CALL growth.measure('revocations', 'revocation', n, 100,
			'SELECT count(clerk.revoke_user(format(''user_%s_%s'', clock_timestamp(), i))::text) FROM generate_series(1, 100) AS i');
	END LOOP;
END
$$;
\connect -
SET clerk.max_cached_tokens = 1;
CALL growth.revocations();

-- mappings: any of them is asked for, and one more is made
CREATE PROCEDURE growth.mappings(largest bigint) LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
	before bigint := 0;
BEGIN
	FOR n IN SELECT 10 ^ e FROM generate_series(1, log(largest)::int) AS e LOOP
		INSERT INTO clerk.id_map SELECT 'user_mapped_' || i, '00000000-0000-4000-8000-' || lpad(to_hex(i), 12, '0') FROM generate_series(before + 1, n) AS i;
		before := n;
		CALL growth.measure('mappings', 'local id asked for', n, 10000,
			format('SELECT count(clerk.mapped_id(format(''user_mapped_%%s'', 1 + i * 7919 %% %s))) FROM generate_series(1, 10000) AS i', n));
		CALL growth.measure('mappings', 'mapping made', n, 100,
			'SELECT count(clerk.map_id(format(''user_%s_%s'', clock_timestamp(), i), gen_random_uuid()::text)::text) FROM generate_series(1, 100) AS i');
	END LOOP;
END
$$;
CALL growth.mappings(:largest);

-- policies that requests reach, ten of a table
CREATE PROCEDURE growth.policies() LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
	before int := 0;
BEGIN
	CREATE SCHEMA growth_app;
	GRANT USAGE ON SCHEMA growth_app TO authenticated;
	FOR n IN SELECT 10 ^ e FROM generate_series(1, 3) AS e LOOP
		FOR i IN before..n - 1 LOOP
			IF i % 10 = 0 THEN
				EXECUTE format('CREATE TABLE growth_app.tab%s (id int PRIMARY KEY, user_id text, org_id text)', i / 10);
				EXECUTE format('ALTER TABLE growth_app.tab%s ENABLE ROW LEVEL SECURITY', i / 10);
				EXECUTE format('GRANT ALL ON growth_app.tab%s TO authenticated', i / 10);
			END IF;
			EXECUTE format('CREATE POLICY policy%s ON growth_app.tab%s TO authenticated USING (user_id = clerk.uid() OR org_id = clerk.org_id() '
				'AND clerk.has_permission(''org:things:read''))', i, i / 10);
		END LOOP;
		before := n;
		CALL growth.measure('policies', 'policy in audit()', n, n, 'SELECT count(*) FROM clerk.audit()');
	END LOOP;
END
$$;
CALL growth.policies();

-- the body of a webhook, in which a user has so many bytes of metadata
CREATE EXTENSION pgcrypto;
SELECT clerk.add_webhook_secret(:'issuer', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw') \g /dev/null
CREATE FUNCTION growth.body(bytes bigint) RETURNS text LANGUAGE sql AS $$
	SELECT json_build_object('type', 'user.updated', 'data', json_build_object('id', 'user_1', 'updated_at', 1700000000000,
		'public_metadata', json_object_agg('key' || i, repeat('value', 18))))::text
	FROM generate_series(1, bytes / 105) AS i
$$;
CREATE FUNCTION growth.deliver(body text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	id text := 'msg_' || gen_random_uuid();
	ts text := floor(extract(epoch FROM clock_timestamp()))::bigint::text;
BEGIN
	RETURN clerk.receive_webhook(id, ts, 'v1,' || encode(hmac(convert_to(id || '.' || ts || '.' || body, 'UTF8'),
		decode('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'base64'), 'sha256'), 'base64'), body) ->> 'status';
END
$$;
CREATE TABLE growth.bodies (body text);
CREATE PROCEDURE growth.webhooks() LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	FOR n IN SELECT 10 ^ e FROM generate_series(4, 8) AS e LOOP
		TRUNCATE growth.bodies;
		INSERT INTO growth.bodies VALUES (growth.body(n));
		CALL growth.measure('kB of a webhook', 'kB', n / 1000, n / 1000, 'SELECT growth.deliver(body) FROM growth.bodies');
	END LOOP;
END
$$;
CALL growth.webhooks();

SELECT * FROM growth.report;
