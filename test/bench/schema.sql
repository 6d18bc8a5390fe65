--
-- schema.sql
--	What the benchmark needs in the database: tokens, tables with a million rows, policies in
--	pairs, and where the figures go.  Run by bench.sh.
--

CREATE EXTENSION clerk_rls;
CREATE ROLE authenticated;
CREATE ROLE anon;
CREATE ROLE authenticator LOGIN NOINHERIT;
GRANT anon, authenticated TO authenticator;
SELECT clerk.add_instance(:'issuer') \g /dev/null
SELECT count(*) FROM clerk.load_jwks(:'issuer', :'jwks') \g /dev/null

CREATE SCHEMA bench;
CREATE TABLE bench.tokens (n serial, token text);
\copy bench.tokens (token) FROM pstdin
ANALYZE bench.tokens;

-- figures, in milliseconds
CREATE TABLE bench.raw (work text, variant text, run int, ms float8);
-- what the report compares: variant / baseline, or its inverse
CREATE TABLE bench.targets (n serial, work text, variant text, baseline text, target text, inverse boolean DEFAULT false,
	peers boolean DEFAULT false);

CREATE TABLE bench.memory (what text, kb int, target text);

CREATE FUNCTION bench.ms_since(start timestamptz) RETURNS float8 LANGUAGE sql
	RETURN extract(epoch FROM clock_timestamp() - start) * 1000;

-- Runs each statement as its role, by turns, once to warm up and then n times.
CREATE PROCEDURE bench.measure(work text, n int, variants text[], roles text[], statements text[]) LANGUAGE plpgsql AS $$
DECLARE
	start timestamptz;
	took float8;
BEGIN
	FOR run IN 0..n LOOP
		FOR v IN 1..cardinality(variants) LOOP
			PERFORM set_config('role', roles[v], false);
			start := clock_timestamp();
			EXECUTE statements[v];
			took := bench.ms_since(start);
			PERFORM set_config('role', 'none', false);
			TRUNCATE bench.written;
			IF run > 0 THEN
				INSERT INTO bench.raw VALUES (work, variants[v], run, took);
			END IF;
		END LOOP;
	END LOOP;
END
$$;

-- The same statement as roles that have other policies.
CREATE PROCEDURE bench.measure_roles(work text, n int, statement text, variants text[], roles text[]) LANGUAGE plpgsql AS $$
BEGIN
	CALL bench.measure(work, n, variants, roles, array_fill(statement, ARRAY[cardinality(roles)]));
END
$$;

-- A role, and what it sees (and may write) of tables.
CREATE PROCEDURE bench.add_policy(role text, tables regclass[], condition text) LANGUAGE plpgsql AS $$
DECLARE
	tab regclass;
BEGIN
	IF to_regrole(role) IS NULL THEN
		EXECUTE format('CREATE ROLE %I', role);
		EXECUTE format('GRANT USAGE ON SCHEMA bench TO %I', role);
	END IF;
	FOREACH tab IN ARRAY tables LOOP
		EXECUTE format('GRANT ALL ON %s TO %I', tab, role);
		EXECUTE format('CREATE POLICY %I ON %s TO %I USING (%s)', md5(role || condition), tab, role, condition);
	END LOOP;
END
$$;

-- a thousand users with a thousand rows each; a hundred organizations
CREATE TABLE bench.notes AS
	SELECT i AS id, 'user_' || lpad((i % 1000)::text, 27, '0') AS user_id, 'org_' || i % 100 AS org_id,
		CASE WHEN i % 1000 = 0 THEN :'mapped' ELSE gen_random_uuid() END AS owner
	FROM generate_series(1, 1000000) AS i;
CREATE TABLE bench.indexed AS SELECT id, user_id, id / 10 AS project_id FROM bench.notes;
CREATE TABLE bench.projects AS SELECT i AS id, 'user_' || lpad((i % 1000)::text, 27, '0') AS user_id FROM generate_series(0, 100000) AS i;
CREATE TABLE bench.comments AS SELECT i AS id, i AS note_id, 'user_' || lpad((i % 1000)::text, 27, '0') AS user_id FROM generate_series(1, 300000) AS i;
CREATE UNLOGGED TABLE bench.written (user_id text, n int);
CREATE INDEX ON bench.indexed (user_id);
VACUUM ANALYZE;
ALTER TABLE bench.notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE bench.indexed ENABLE ROW LEVEL SECURITY;
ALTER TABLE bench.projects ENABLE ROW LEVEL SECURITY;
ALTER TABLE bench.comments ENABLE ROW LEVEL SECURITY;
ALTER TABLE bench.written ENABLE ROW LEVEL SECURITY;

-- the alternatives: auth.jwt() as Supabase defines it, Clerk's from the days of its JWT template, and what people write themselves
CREATE FUNCTION bench.jwt() RETURNS jsonb LANGUAGE sql STABLE AS $$
	SELECT coalesce(nullif(current_setting('request.jwt.claim', true), ''),
		nullif(current_setting('request.jwt.claims', true), ''))::jsonb
$$;
CREATE FUNCTION bench.requesting_user_id() RETURNS text LANGUAGE sql STABLE AS $$
	SELECT nullif(current_setting('request.jwt.claims', true)::json ->> 'sub', '')::text
$$;
CREATE FUNCTION bench.current_user_id() RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
	claims jsonb := nullif(current_setting('request.jwt.claims', true), '')::jsonb;
BEGIN
	RETURN claims ->> 'sub';
END
$$;

SELECT format('user_id = %L', :'subject') AS own_literal, format('org_id = %L', 'org_1') AS org_literal,
	format('owner = %L', :'mapped') AS mapped_literal \gset
CALL bench.add_policy('own_literal', '{bench.notes,bench.indexed,bench.projects,bench.comments,bench.written}', :'own_literal');
CALL bench.add_policy('own_clerk', '{bench.notes,bench.indexed,bench.projects,bench.comments,bench.written}', 'user_id = clerk.uid()');
CALL bench.add_policy('own_clerk_wrapped', '{bench.notes}', 'user_id = (SELECT clerk.uid())');
CALL bench.add_policy('own_jwt', '{bench.notes}', $$user_id = bench.jwt() ->> 'sub'$$);
CALL bench.add_policy('own_jwt_wrapped', '{bench.notes}', $$user_id = (SELECT bench.jwt() ->> 'sub')$$);
CALL bench.add_policy('own_requesting', '{bench.notes}', 'user_id = bench.requesting_user_id()');
CALL bench.add_policy('own_helper', '{bench.notes}', 'user_id = bench.current_user_id()');
CALL bench.add_policy('mapped_literal', '{bench.notes}', :'mapped_literal');
CALL bench.add_policy('mapped_clerk', '{bench.notes}', 'owner = clerk.mapped_id()');
-- two policies that are OR-ed
CALL bench.add_policy('two_literals', '{bench.notes}', :'own_literal');
CALL bench.add_policy('two_literals', '{bench.notes}', :'org_literal');
CALL bench.add_policy('two_functions', '{bench.notes}', 'user_id = clerk.uid()');
CALL bench.add_policy('two_functions', '{bench.notes}', 'org_id = clerk.org_id()');
-- with a permission that the user has, and OR-ed with one that the user has not
CALL bench.add_policy('permitted_literal', '{bench.notes}', :'org_literal');
CALL bench.add_policy('permitted_clerk', '{bench.notes}', $$org_id = clerk.org_id() AND clerk.has_permission('org:notes:read')$$);
CALL bench.add_policy('not_permitted', '{bench.notes}', $$clerk.has_permission('org:notes:manage') OR user_id = clerk.uid()$$);
