-- What cannot be read is a refusal: each object of the schema is renamed, dropped or replaced in
-- turn.  Nobody becomes somebody then, no local id another one, and nothing raises.
\getenv srcdir PG_ABS_SRCDIR
\set load :srcdir '/vectors/load.sql'
\i :load
SET client_min_messages = warning;
SELECT clerk.add_instance(:'issuer_a', clock_skew => '0') AS a, clerk.add_instance(:'issuer_b') AS b \gset
SELECT kid FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
SELECT kid FROM clerk.load_jwks(:'issuer_b', :'jwks_b');
SELECT clerk.retire_key(:'issuer_b', kid) FROM clerk.jwks WHERE issuer = :'issuer_b';
SELECT clerk.revoke_user('user_bob');
SELECT clerk.map_id('user_alice', '00000000-0000-4000-8000-00000000000a');

-- of more than one page each, so that rows are found by the primary key
INSERT INTO clerk.instances (issuer) SELECT format('https://%s.example', i) FROM generate_series(1, 200) AS i;
INSERT INTO clerk.jwks (issuer, kid, jwk) SELECT issuer, kid || i, jwk || jsonb_build_object('kid', kid || i) FROM clerk.jwks, generate_series(1, 200) AS i;
INSERT INTO clerk.revocations (id) SELECT 'user_' || i FROM generate_series(1, 200) AS i;
INSERT INTO clerk.id_map SELECT 'user_' || i, i FROM generate_series(1, 200) AS i;
SELECT bool_and(pg_relation_size(tab) > current_setting('block_size')::int)
	FROM unnest('{clerk.instances,clerk.jwks,clerk.revocations,clerk.id_map}'::regclass[]) AS tab;

-- bound to the functions themselves, as policies are
CREATE TEMP VIEW answer AS SELECT clerk.uid(), clerk.mapped_id(), clerk.mapped_id('user_alice') AS other_id,
	clerk.has_role('admin') AS has, clerk.is_authenticated() AS known;
CREATE FUNCTION pg_temp.problem() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	t record;
	a record;
BEGIN
	-- what cannot be dropped alone takes the extension along, and each policy with it
	IF to_regclass('pg_temp.answer') IS NULL THEN
		RETURN 'none';
	END IF;
	FOR t IN SELECT * FROM tokens WHERE name IN ('alice', 'bob', 'forged', 'expired', 'alice_of_b') ORDER BY name DESC LOOP
		PERFORM set_config('clerk.token', t.token, true);
		SELECT * INTO a FROM answer;
		IF a.uid IS NOT NULL AND t.name <> 'alice' OR a.uid <> 'user_alice' OR a.known <> (a.uid IS NOT NULL) THEN
			RETURN format('%s became %s', t.name, a.uid);
		ELSIF a.has THEN
			RETURN format('%s has a role', t.name);
		ELSIF a.mapped_id <> '00000000-0000-4000-8000-00000000000a' OR a.other_id <> '00000000-0000-4000-8000-00000000000a' THEN
			RETURN format('%s is mapped to %s', t.name, a.mapped_id);
		END IF;
	END LOOP;
	RETURN CASE WHEN a.uid IS NULL THEN 'none' END;
EXCEPTION WHEN OTHERS THEN
	RETURN format('%s raises: %s', t.name, sqlerrm);
END
$$;

-- does it, asks, and undoes it; NULL: it cannot be done
CREATE FUNCTION pg_temp.change(statements text, VARIADIC names text[], OUT problem text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format(statements, VARIADIC names);
	problem := pg_temp.problem();
	RAISE SQLSTATE 'UNDO0';
EXCEPTION
	WHEN SQLSTATE 'UNDO0' THEN NULL;
	WHEN OTHERS THEN NULL;
END
$$;

SELECT pg_temp.problem() AS before;
CREATE TEMP TABLE ours AS SELECT relname AS tab FROM pg_class
	WHERE relnamespace = 'clerk'::regnamespace AND relkind = 'r';
CREATE TEMP TABLE changes (kind text, tab text, what text, statements text);
INSERT INTO changes
	SELECT kind, tab, NULL, statements FROM ours, (VALUES
		('table renamed', 'ALTER TABLE clerk.%1$I RENAME TO elsewhere'),
		('table moved', 'ALTER TABLE clerk.%1$I SET SCHEMA public'),
		('table no member', 'ALTER EXTENSION clerk_rls DROP TABLE clerk.%1$I'),
		('table dropped', 'ALTER EXTENSION clerk_rls DROP TABLE clerk.%1$I; DROP TABLE clerk.%1$I CASCADE'),
		('another table', 'ALTER TABLE clerk.%1$I RENAME TO elsewhere; CREATE TABLE clerk.%1$I (LIKE clerk.elsewhere INCLUDING ALL)'),
		('a view', 'ALTER TABLE clerk.%1$I RENAME TO elsewhere; CREATE VIEW clerk.%1$I AS TABLE clerk.elsewhere; ALTER EXTENSION clerk_rls ADD VIEW clerk.%1$I'),
		('a materialized view', 'ALTER TABLE clerk.%1$I RENAME TO elsewhere; CREATE MATERIALIZED VIEW clerk.%1$I AS TABLE clerk.elsewhere; ALTER EXTENSION clerk_rls ADD MATERIALIZED VIEW clerk.%1$I'),
		('a sequence', 'ALTER TABLE clerk.%1$I RENAME TO elsewhere; CREATE SEQUENCE clerk.%1$I; ALTER EXTENSION clerk_rls ADD SEQUENCE clerk.%1$I'),
		('an index', 'ALTER TABLE clerk.%1$I RENAME TO elsewhere; CREATE INDEX %1$I ON clerk.elsewhere ((true))'),
		('a type', 'ALTER TABLE clerk.%1$I RENAME TO elsewhere; CREATE TYPE clerk.%1$I AS (a text)'),
		('row security', 'ALTER TABLE clerk.%1$I ENABLE ROW LEVEL SECURITY; ALTER TABLE clerk.%1$I FORCE ROW LEVEL SECURITY'),
		('no rights', 'REVOKE ALL ON clerk.%1$I FROM PUBLIC, CURRENT_USER'),
		('no triggers', 'ALTER TABLE clerk.%1$I DISABLE TRIGGER ALL')) AS kinds (kind, statements)
	UNION ALL
	SELECT kind, tab, attname, statements
	FROM ours JOIN pg_attribute ON attrelid = ('clerk.' || tab)::regclass AND attnum > 0, (VALUES
		('column renamed', 'ALTER TABLE clerk.%1$I RENAME %2$I TO elsewhere'),
		('column dropped', 'ALTER TABLE clerk.%1$I DROP %2$I CASCADE'),
		('column added again', 'ALTER TABLE clerk.%1$I RENAME %2$I TO elsewhere; ALTER TABLE clerk.%1$I ADD %2$I text DEFAULT ''x'' COLLATE "C"'),
		('column retyped', 'ALTER TABLE clerk.%1$I ALTER %2$I DROP DEFAULT; ALTER TABLE clerk.%1$I ALTER %2$I TYPE varchar USING %2$I::text'),
		('column of numbers', 'ALTER TABLE clerk.%1$I ALTER %2$I DROP DEFAULT; ALTER TABLE clerk.%1$I ALTER %2$I DROP NOT NULL; ALTER TABLE clerk.%1$I ALTER %2$I TYPE bigint USING -1'),
		('column collated', 'ALTER TABLE clerk.%1$I ALTER %2$I TYPE text COLLATE "POSIX"'),
		('column of nulls', 'ALTER TABLE clerk.%1$I DROP CONSTRAINT IF EXISTS %1$s_pkey CASCADE; ALTER TABLE clerk.%1$I ALTER %2$I DROP NOT NULL; UPDATE clerk.%1$I SET %2$I = NULL')) AS kinds (kind, statements)
	UNION ALL
	SELECT 'constraint dropped', tab, conname, 'ALTER TABLE clerk.%1$I DROP CONSTRAINT %2$I CASCADE'
	FROM ours JOIN pg_constraint ON conrelid = ('clerk.' || tab)::regclass AND contype <> 'n' -- which DROP NOT NULL is for
	UNION ALL
	SELECT kind, tab, indexrelid::regclass::text, statements
	FROM ours JOIN pg_index ON indrelid = ('clerk.' || tab)::regclass, (VALUES
		('index renamed', 'ALTER INDEX %2$s RENAME TO elsewhere'),
		('index invalid', 'UPDATE pg_index SET indisvalid = false WHERE indexrelid = ''%2$s''::regclass'),
		('another index', 'ALTER TABLE clerk.%1$I DROP CONSTRAINT IF EXISTS %1$s_pkey CASCADE; CREATE INDEX %1$s_pkey ON clerk.%1$I ((true))')) AS kinds (kind, statements)
	UNION ALL
	SELECT 'trigger dropped', tab, tgname, 'DROP TRIGGER %2$I ON clerk.%1$I CASCADE'
	FROM ours JOIN pg_trigger ON tgrelid = ('clerk.' || tab)::regclass AND NOT tgisinternal
	UNION ALL
	SELECT kind, '', oid::regprocedure::text, statements
	FROM pg_proc, (VALUES ('function renamed', 'ALTER FUNCTION %2$s RENAME TO elsewhere'),
		('function dropped', 'ALTER EXTENSION clerk_rls DROP FUNCTION %2$s; DROP FUNCTION %2$s CASCADE')) AS kinds (kind, statements)
	WHERE pronamespace IN ('clerk'::regnamespace, 'clerk_internal'::regnamespace) AND prokind = 'f'
		AND (kind = 'function renamed' OR proname NOT IN ('uid', 'mapped_id', 'has_role', 'is_authenticated'))
	UNION ALL
	VALUES ('schema renamed', '', '', 'ALTER SCHEMA clerk RENAME TO elsewhere'),
		('another schema', '', '', 'ALTER SCHEMA clerk RENAME TO elsewhere; CREATE SCHEMA clerk;
			CREATE TABLE clerk.instances (LIKE elsewhere.instances INCLUDING ALL); INSERT INTO clerk.instances TABLE elsewhere.instances;
			CREATE TABLE clerk.jwks (LIKE elsewhere.jwks INCLUDING DEFAULTS INCLUDING INDEXES); INSERT INTO clerk.jwks SELECT issuer, kid, jwk FROM elsewhere.jwks;
			CREATE TABLE clerk.id_map (LIKE elsewhere.id_map INCLUDING DEFAULTS); INSERT INTO clerk.id_map VALUES (''user_alice'', ''00000000-0000-4000-8000-00000000000b'');
			CREATE TABLE clerk.revocations (LIKE elsewhere.revocations INCLUDING DEFAULTS)');

-- "none": alice is nobody either
CREATE TEMP SEQUENCE done;
CREATE TEMP TABLE outcomes AS SELECT kind, tab, what, pg_temp.change(statements || '; SELECT nextval(''pg_temp.done'')', tab, what) AS problem FROM changes;
SELECT * FROM outcomes WHERE problem <> 'none' ORDER BY 1, 2, 3;
SELECT kind, array_agg(DISTINCT tab ORDER BY tab) AS alice_is_nobody FROM outcomes WHERE problem = 'none' GROUP BY 1 ORDER BY 1;
SELECT last_value > 500 AS most_can_be_done FROM done;
SELECT pg_temp.problem() AS after;

-- the door says so, and as no token's fault
BEGIN;
ALTER TABLE clerk.revocations RENAME TO elsewhere;
\set VERBOSITY default
\set SHOW_CONTEXT never
SAVEPOINT s;
SELECT clerk.verify(:'alice') IS NOT NULL;
ROLLBACK TO s;
SET clerk.token = :'alice';
SELECT clerk.pre_request();
ROLLBACK TO s;
SELECT step, detail FROM clerk.diagnose(:'alice') WHERE outcome = 'fail';
ROLLBACK;
BEGIN;
ALTER TABLE clerk.instances DROP COLUMN audiences;
SET clerk.token = :'alice';
SELECT clerk.pre_request();
ROLLBACK;
BEGIN;
ALTER TABLE clerk.jwks ALTER COLUMN any_kid TYPE text;
SELECT clerk.verify(:'alice') IS NOT NULL;
ROLLBACK;
-- a token that is cached, and another source that cannot be looked at any more
BEGIN;
ALTER TABLE clerk.id_map RENAME TO elsewhere;
SET clerk.token = :'alice';
SELECT clerk.uid(), clerk.mapped_id() IS NULL AS id, clerk.mapped_bigint() IS NULL AS bigint, clerk.mapped_text() IS NULL AS text, clerk.mapped_org_id() IS NULL AS org;
SELECT step, detail FROM clerk.diagnose() WHERE step = 'mapping';
ROLLBACK;

SET client_min_messages = warning;
SELECT clerk.unrevoke('user_bob');
SELECT clerk.unmap_id('user_alice');
SELECT count(clerk.drop_instance(issuer)::text) FROM clerk.instances;
