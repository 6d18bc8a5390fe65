-- explain_access(): which policy lets or stops which row, and nothing left behind.
\getenv srcdir PG_ABS_SRCDIR
\set load :srcdir '/vectors/load.sql'
\i :load
\set VERBOSITY terse

SELECT clerk.add_instance(:'issuer_a') AS a \gset
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
CREATE SCHEMA explain_app;
CREATE TABLE explain_app.notes (
	dropped int,
	id int PRIMARY KEY,
	user_id text,
	notes text	-- called like the table
);
ALTER TABLE explain_app.notes DROP COLUMN dropped;
INSERT INTO explain_app.notes VALUES (1, 'user_alice'), (2, 'user_alice'), (3, 'user_bob'), (4, NULL);
SET search_path = explain_app, public;

-- what a role lacks, first of all: grants
SELECT kind, result FROM clerk.explain_access('notes', 'SELECT', 'id < 4', :'alice');
GRANT USAGE ON SCHEMA explain_app TO anon, authenticated;
GRANT SELECT (id, user_id) ON notes TO authenticated;
SELECT kind, result FROM clerk.explain_access('notes', 'SELECT', 'id < 4', :'alice');
GRANT ALL ON notes TO authenticated;
CREATE TABLE with_serial (id serial);
GRANT INSERT ON with_serial TO authenticated;
SELECT kind, result FROM clerk.explain_access('with_serial', 'INSERT', NULL, :'alice');
SELECT kind, result FROM clerk.explain_access('with_serial', 'DELETE', NULL, :'alice');

-- no policy, and no row
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
SELECT kind, result FROM clerk.explain_access('notes', 'SELECT', 'id < 4', :'alice');
SELECT kind, result FROM clerk.explain_access('notes', 'DELETE', NULL, :'alice');
SELECT kind, result FROM clerk.explain_access('notes', 'SELECT', 'id = 42', :'alice');

-- each policy, and all together
CREATE POLICY own ON notes USING (user_id = clerk.uid());
CREATE POLICY anonymous ON notes FOR SELECT TO anon USING (id = 1);
CREATE POLICY old ON notes AS RESTRICTIVE FOR SELECT USING (id <> 2);
CREATE POLICY empty ON notes FOR SELECT;
\set explain 'SELECT policy, kind, roles, clause, expression, true_rows AS t, false_rows AS f, null_rows AS n, result FROM clerk.explain_access'
:explain('notes', 'SELECT', NULL, :'alice');
:explain('notes', 'select', 'user_id = clerk.uid()', :'bob');
:explain('notes', 'SELECT', NULL, NULL);
:explain('notes', 'SELECT');

-- UPDATE and DELETE read, so that they ask the policies for SELECT, too
CREATE POLICY hand_over ON notes AS RESTRICTIVE FOR UPDATE TO authenticated USING (id < 3) WITH CHECK (id > 1);
:explain('notes', 'UPDATE', NULL, :'alice');
:explain('notes', 'DELETE', NULL, :'alice');
DROP POLICY own ON notes;
CREATE POLICY own_delete ON notes FOR DELETE USING (user_id = clerk.uid());
SELECT policy, kind, result FROM clerk.explain_access('notes', 'DELETE', NULL, :'alice');
DROP POLICY own_delete ON notes;
DROP POLICY empty ON notes;
CREATE POLICY own ON notes USING (user_id = clerk.uid());

-- INSERT: the rows that are there as examples
:explain('notes', 'INSERT', NULL, :'alice');

-- it says what PostgreSQL does, for each token
CREATE FUNCTION pg_temp.really(token text, command text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	PERFORM set_config('clerk.token', token, true), set_config('role', 'authenticated', true);
	EXECUTE CASE command
		WHEN 'SELECT' THEN 'SELECT FROM notes WHERE id > 0'
		WHEN 'DELETE' THEN 'DELETE FROM notes WHERE id > 0'
		ELSE 'UPDATE notes SET id = id + 10 WHERE id > 0' END;
	GET DIAGNOSTICS n = ROW_COUNT;
	RAISE EXCEPTION USING ERRCODE = 'ROLL0', MESSAGE = n;
EXCEPTION WHEN SQLSTATE 'ROLL0' THEN
	RETURN SQLERRM;
END
$$;
SELECT command, count(*) AS tokens, count(DISTINCT said) AS answers, count(*) FILTER (WHERE said::bigint <> really) AS wrong
FROM tokens, unnest('{SELECT,UPDATE,DELETE}'::text[]) AS command, pg_temp.really(token, command) AS really,
	LATERAL (SELECT split_part(result, ' ', 1) FROM clerk.explain_access('notes', command, 'id > 0', token, role => 'authenticated') WHERE kind = 'verdict') AS v (said)
GROUP BY command ORDER BY command;

-- the role: the token's, the instance's, the anonymous one, or the one that is asked for
SELECT name, result FROM tokens, clerk.explain_access('notes', 'SELECT', NULL, token)
WHERE kind = 'caller' AND name IN ('alice', 'expired', 'forged', 'issuer_foreign', 'org_pending', 'with_role', 'empty') ORDER BY name;
UPDATE clerk.instances SET role = 'clerk_editor';
SELECT name, result FROM tokens, clerk.explain_access('notes', 'SELECT', NULL, token)
WHERE kind = 'caller' AND name IN ('alice', 'with_role') ORDER BY name;
UPDATE clerk.instances SET role = 'no such role';
SELECT * FROM clerk.explain_access('notes', 'SELECT', NULL, :'alice');
UPDATE clerk.instances SET role = NULL;
SELECT result FROM clerk.explain_access('notes', 'SELECT', NULL, :'alice') WHERE kind = 'caller';
UPDATE clerk.instances SET role = 'authenticated';

-- whoever is not stopped by policies
CREATE ROLE regress_bypass BYPASSRLS;
GRANT USAGE ON SCHEMA explain_app TO regress_bypass;
GRANT ALL ON notes TO regress_bypass;
SELECT kind, result FROM clerk.explain_access('notes', 'UPDATE', NULL, :'alice', 'regress_bypass');
SELECT result FROM clerk.explain_access('notes', 'SELECT', NULL, :'alice', current_user) WHERE kind = 'verdict';
CREATE ROLE regress_table_owner LOGIN;
GRANT USAGE ON SCHEMA explain_app TO regress_table_owner;
ALTER TABLE notes OWNER TO regress_table_owner;
SELECT kind, result FROM clerk.explain_access('notes', 'SELECT', NULL, :'alice', 'regress_table_owner');
ALTER TABLE notes FORCE ROW LEVEL SECURITY;
SELECT kind, policy, result FROM clerk.explain_access('notes', 'SELECT', NULL, :'alice', 'regress_table_owner');
ALTER TABLE notes NO FORCE ROW LEVEL SECURITY;

-- errors of policies are results, without the token, and with what the role may not do
CREATE TABLE members (user_id text, org text);
CREATE FUNCTION fails() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'failed with %', current_setting('clerk.token'); END $$;
CREATE FUNCTION hidden() RETURNS boolean LANGUAGE sql RETURN true;
REVOKE EXECUTE ON FUNCTION hidden() FROM PUBLIC;
CREATE POLICY e1_fails ON notes FOR SELECT USING (fails());
CREATE POLICY e2_hidden ON notes FOR SELECT USING (hidden());
CREATE POLICY e3_members ON notes FOR SELECT USING (EXISTS (SELECT FROM members WHERE members.user_id = notes.user_id));
CREATE POLICY e4_uuid ON notes FOR SELECT USING (clerk.uid()::uuid IS NOT NULL);
CREATE POLICY e5_recursive ON notes FOR SELECT USING (id IN (SELECT min(n.id) FROM notes AS n GROUP BY n.user_id));
SELECT policy, kind, result FROM clerk.explain_access('notes', 'SELECT', NULL, :'alice');
DROP POLICY e1_fails ON notes;
DROP POLICY e2_hidden ON notes;
DROP POLICY e4_uuid ON notes;
DROP POLICY e5_recursive ON notes;

-- what a policy reads is what the role may see of it
GRANT SELECT ON members TO authenticated;
INSERT INTO members VALUES ('user_alice'), ('user_bob');
SELECT policy, result FROM clerk.explain_access('notes', 'SELECT', NULL, :'alice') WHERE policy = 'e3_members';
ALTER TABLE members ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON members USING (user_id = clerk.uid());
SELECT policy, result FROM clerk.explain_access('notes', 'SELECT', NULL, :'alice') WHERE policy = 'e3_members';
DROP POLICY e3_members ON notes;

-- the claims that PostgREST would set, the caller's search_path, or another one
CREATE FUNCTION is_mine(name text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN EXISTS (SELECT FROM members WHERE user_id = name); END $$;
CREATE POLICY claims ON notes FOR SELECT USING (current_setting('request.jwt.claims')::json ->> 'sub' = user_id AND current_setting('request.jwt.claims')::json ->> 'role' = current_user);
CREATE POLICY path ON notes FOR SELECT USING (is_mine(user_id));
SELECT policy, result FROM clerk.explain_access('notes', 'SELECT', NULL, :'alice') WHERE policy IN ('claims', 'path');
SELECT policy, result FROM clerk.explain_access('notes', 'SELECT', NULL, :'alice', search_path => 'public') WHERE policy IN ('claims', 'path');
DROP POLICY claims ON notes;
DROP POLICY path ON notes;

-- nothing remains: no setting, no role, and nothing that a policy has done, also after an error
CREATE TABLE log (message text);
GRANT INSERT ON log TO authenticated;
CREATE FUNCTION logs() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO explain_app.log VALUES ('called');
	PERFORM set_config('request.headers', '{"x": "left"}', false), set_config('search_path', 'nowhere', false);
	RETURN true;
END
$$;
CREATE POLICY logs ON notes FOR SELECT USING (logs());
CREATE VIEW pg_temp.state AS SELECT current_user = session_user AS same_user, current_setting('role') AS role, current_setting('clerk.token') AS token,
	current_setting('request.headers') AS headers, current_setting('request.jwt.claims', true) AS claims, current_setting('row_security') AS row_security,
	current_setting('search_path') AS path, (SELECT count(*) FROM explain_app.log) AS logged;
SET request.headers = '{"x": "before"}';
SET request.jwt.claims = '{"sub": "before"}';
SELECT policy, result FROM clerk.explain_access('notes', 'SELECT', NULL, :'alice') WHERE policy = 'logs';
SELECT * FROM pg_temp.state;
BEGIN;
SET LOCAL clerk.token = 'before';
SELECT count(*) FROM clerk.explain_access('notes', 'SELECT', NULL, :'alice');
SELECT * FROM pg_temp.state;
SAVEPOINT s;
SELECT * FROM clerk.explain_access('notes', 'SELECT', 'no_such_column = 1', :'alice');
ROLLBACK TO s;
SELECT * FROM pg_temp.state;
SELECT * FROM clerk.explain_access('notes', 'SELECT', NULL, :'alice', 'nobody');
ROLLBACK TO s;
SELECT * FROM pg_temp.state;
COMMIT;
BEGIN READ ONLY;
SELECT policy, result FROM clerk.explain_access('notes', 'SELECT', NULL, :'alice') WHERE policy IN ('logs', 'own');
COMMIT;
DROP POLICY logs ON notes;
RESET request.headers;
RESET request.jwt.claims;

-- a filter is an expression, and no more
SELECT result FROM clerk.explain_access('notes', 'SELECT', 'id = 1 OR id = 2 -- or so', :'alice') WHERE kind = 'verdict';
SELECT * FROM clerk.explain_access('notes', 'SELECT', 'true) UNION SELECT (1', :'alice');
SELECT * FROM clerk.explain_access('notes', 'SELECT', 'true); DROP TABLE explain_app.notes; SELECT (true', :'alice');
SELECT * FROM clerk.explain_access('notes', 'SELECT', 'true)), NULL, NULL, NULL, NULL); DELETE FROM explain_app.notes; --', :'alice');
SELECT count(*) FROM notes;

-- what cannot be explained
SELECT * FROM clerk.explain_access('notes', 'TRUNCATE', NULL, :'alice');
SELECT * FROM clerk.explain_access(NULL, 'SELECT', NULL, :'alice');
SELECT * FROM clerk.explain_access('notes', NULL, NULL, :'alice');
CREATE VIEW my_notes AS SELECT * FROM notes;
SELECT * FROM clerk.explain_access('my_notes', 'SELECT', NULL, :'alice');

-- a partitioned table, names to be quoted, and more rows than are looked at
CREATE TABLE "Part's ""x""" ("User Id" text, n int) PARTITION BY RANGE (n);
CREATE TABLE part_1 PARTITION OF "Part's ""x""" FOR VALUES FROM (0) TO (9000);
CREATE TABLE part_2 PARTITION OF "Part's ""x""" FOR VALUES FROM (9000) TO (20000);
INSERT INTO "Part's ""x""" SELECT 'user_alice', i FROM generate_series(1, 10005) AS i;
ALTER TABLE "Part's ""x""" ENABLE ROW LEVEL SECURITY;
CREATE POLICY "Own's" ON "Part's ""x""" TO authenticated USING ("User Id" = clerk.uid());
GRANT SELECT ON "Part's ""x""" TO authenticated;
:explain('"Part''s ""x"""', 'SELECT', 'n % 2 = 0 AND "Part''s ""x"""."User Id" <> ''''', :'alice');
SELECT result FROM clerk.explain_access('"Part''s ""x"""', 'SELECT', NULL, :'alice') WHERE policy IS NULL;

-- only for the table's owner, and no way around its row security
GRANT CREATE ON SCHEMA explain_app TO regress_table_owner;
SET ROLE regress_table_owner;
SELECT * FROM clerk.explain_access('notes', 'SELECT', NULL, NULL);
RESET ROLE;
\set ECHO none
SELECT datdba::regrole AS database_owner FROM pg_database WHERE datname = current_database() \gset
SELECT format('ALTER DATABASE %I OWNER TO regress_table_owner', current_database()) \gexec
\set ECHO all
SET ROLE regress_table_owner;
SELECT * FROM clerk.explain_access('members', 'SELECT', NULL, NULL);
SELECT kind, result FROM clerk.explain_access('notes', 'SELECT', NULL, NULL);
ALTER TABLE notes FORCE ROW LEVEL SECURITY;
SELECT * FROM clerk.explain_access('notes', 'SELECT', NULL, NULL);
ALTER TABLE notes NO FORCE ROW LEVEL SECURITY;
RESET ROLE;
-- as itself, and then as a member of the roles of requests
SET SESSION AUTHORIZATION regress_table_owner;
SELECT * FROM clerk.explain_access('notes', 'SELECT', NULL, :'alice');
RESET SESSION AUTHORIZATION;
GRANT authenticated TO regress_table_owner;
SET SESSION AUTHORIZATION regress_table_owner;
SELECT kind, policy, result FROM clerk.explain_access('explain_app.notes', 'SELECT', NULL, :'alice');
SELECT current_user;
RESET SESSION AUTHORIZATION;
\set ECHO none
SELECT format('ALTER DATABASE %I OWNER TO %s', current_database(), :'database_owner') \gexec
\set ECHO all

SET client_min_messages = warning;
DROP SCHEMA explain_app CASCADE;
DROP OWNED BY regress_bypass, regress_table_owner;
DROP ROLE regress_bypass, regress_table_owner;
DELETE FROM clerk.instances;
