-- Plans: the planner estimates clerk.uid() like the literal, so it chooses the same plans.
\getenv srcdir PG_ABS_SRCDIR
\set load :srcdir '/vectors/load.sql'
\i :load

SELECT clerk.add_instance(:'issuer_a', clock_skew => '0');
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');

-- user_alice owns half of the rows, user_bob one of a thousand
CREATE TABLE skewed AS
	SELECT i AS id, CASE WHEN i % 2 = 0 THEN 'user_alice' WHEN i % 1000 = 1 THEN 'user_bob' ELSE 'user_' || i % 500 END AS user_id
	FROM generate_series(1, 20000) AS i;
CREATE INDEX ON skewed (user_id);
CREATE TABLE comments AS SELECT i AS id, i * 20 AS note_id FROM generate_series(1, 1000) AS i;
CREATE INDEX ON comments (note_id);
ANALYZE skewed, comments;

-- the nodes of a plan with the rows that they are estimated to return
CREATE FUNCTION pg_temp.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN ' || query LOOP
		IF line ~ 'rows=' THEN
			RETURN NEXT substring(line FROM '(\w[\w ]*?)  \(') || ', ' || substring(line FROM 'rows=\d+');
		END IF;
	END LOOP;
END
$$;
CREATE FUNCTION pg_temp.is_same_plan(query text, user_id text) RETURNS boolean LANGUAGE sql AS $$
	SELECT (SELECT array_agg(plan) FROM pg_temp.plan(query) AS plan)
		= (SELECT array_agg(plan) FROM pg_temp.plan(replace(query, 'clerk.uid()', quote_literal(user_id))) AS plan)
$$;

SET clerk.token = :'alice';
SELECT pg_temp.plan('SELECT * FROM skewed WHERE user_id = clerk.uid()');
SELECT pg_temp.is_same_plan('SELECT * FROM skewed WHERE user_id = clerk.uid()', 'user_alice') AS same,
	pg_temp.is_same_plan('SELECT * FROM skewed JOIN comments ON note_id = skewed.id WHERE user_id = clerk.uid()', 'user_alice') AS same_join;
SET clerk.token = :'bob';
SELECT pg_temp.plan('SELECT * FROM skewed WHERE user_id = clerk.uid()');
SELECT pg_temp.is_same_plan('SELECT * FROM skewed WHERE user_id = clerk.uid()', 'user_bob') AS same,
	pg_temp.is_same_plan('SELECT * FROM skewed JOIN comments ON note_id = skewed.id WHERE user_id = clerk.uid()', 'user_bob') AS same_join;

-- the same under a policy
CREATE ROLE regress_reader;
GRANT SELECT ON skewed TO regress_reader;
ALTER TABLE skewed ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON skewed USING (user_id = clerk.uid());
SET ROLE regress_reader;
SELECT pg_temp.plan('SELECT * FROM skewed');
SET clerk.token = :'alice';
SELECT pg_temp.plan('SELECT * FROM skewed');
RESET ROLE;

-- a permission that does not depend on the row is asked for once, not once per row
EXPLAIN (COSTS OFF) SELECT * FROM skewed WHERE user_id = clerk.uid() AND clerk.has_permission('org:notes:read');

-- under a policy, of the rows that are the user's
ALTER POLICY own ON skewed USING (clerk.has_permission('org:notes:read') AND user_id = clerk.uid());
SET enable_bitmapscan = off;
SET enable_indexscan = off;
SET ROLE regress_reader;
EXPLAIN (COSTS OFF) SELECT * FROM skewed;
RESET ROLE;

RESET clerk.token;
DROP TABLE skewed, comments;
DROP ROLE regress_reader;
DELETE FROM clerk.instances;
