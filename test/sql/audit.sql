-- audit(): each finding, in a bad form; then its own statement makes the good one, in which it is gone.
\getenv srcdir PG_ABS_SRCDIR
\set load :srcdir '/vectors/load.sql'
\i :load
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
\pset fieldsep ' | '

-- of an instance whose roles are there, a table with policies, an index, a view and a function there is nothing to say
SELECT clerk.add_instance(:'issuer_a', authorized_parties => '{https://app.example.com}') AS a \gset
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
CREATE SCHEMA audit_app;
GRANT USAGE ON SCHEMA audit_app TO anon, authenticated;
SET search_path = audit_app, public;
CREATE TABLE notes (id int, user_id text, org_id varchar(40), owner uuid, "Number" bigint);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE INDEX ON notes (user_id);
CREATE INDEX ON notes (org_id, id);
CREATE INDEX ON notes (owner);
CREATE INDEX ON notes ("Number");
CREATE POLICY own ON notes TO authenticated USING (user_id = clerk.uid()) WITH CHECK (user_id = (SELECT clerk.uid()));
CREATE POLICY mapped ON notes TO authenticated USING (owner = clerk.mapped_id() OR "Number" = clerk.mapped_bigint());
CREATE POLICY tenant ON notes AS RESTRICTIVE USING (clerk.org_id() = org_id);
CREATE POLICY claims ON notes FOR SELECT TO authenticated USING (clerk.jwt() ->> 'plan' = 'pro' OR clerk.claim('o', 'slg') = 'acme');
GRANT ALL ON notes TO anon, authenticated;
CREATE VIEW my_notes WITH (security_invoker) AS SELECT * FROM notes;
GRANT SELECT ON my_notes TO authenticated;
CREATE FUNCTION fine() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp RETURN 1;
-- what no request reaches is nobody's business
CREATE TABLE internal (id int);
CREATE FUNCTION of_operators() RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ SELECT set_config('request.headers', '', true) $$;
REVOKE EXECUTE ON FUNCTION of_operators() FROM PUBLIC;
CREATE SCHEMA audit_closed;
CREATE TABLE audit_closed.tab (id int);
GRANT SELECT ON audit_closed.tab TO authenticated;
SELECT * FROM clerk.audit();

\set audit 'SELECT * FROM clerk.audit();'
\set fix 'SELECT fix FROM clerk.audit()'

-- tables
CREATE TABLE open (user_id text);
GRANT INSERT ON open TO PUBLIC;
CREATE TABLE columns (user_id text PRIMARY KEY);
GRANT SELECT (user_id) ON columns TO authenticated;
CREATE POLICY own ON columns TO authenticated USING (user_id = clerk.uid());
:audit
:fix \gexec
:audit
:fix \gexec
:audit

-- views, and what cannot have policies
CREATE VIEW all_notes AS SELECT * FROM notes;
GRANT SELECT ON all_notes TO anon;
CREATE VIEW off_notes WITH (security_invoker = off) AS SELECT * FROM notes;
GRANT SELECT ON off_notes TO anon;
CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM notes;
GRANT SELECT ON counted TO PUBLIC;
CREATE FOREIGN DATA WRAPPER audit_wrapper;
CREATE SERVER audit_server FOREIGN DATA WRAPPER audit_wrapper;
CREATE FOREIGN TABLE remote (id int) SERVER audit_server;
GRANT SELECT ON remote TO authenticated;
:audit
:fix \gexec
:audit

-- policies that were written for Supabase Auth
CREATE SCHEMA auth;
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $$ SELECT nullif(current_setting('request.jwt.claim.sub', true), '')::uuid $$;
CREATE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE AS $$ SELECT current_setting('request.jwt.claims', true)::jsonb $$;
CREATE FUNCTION auth.role() RETURNS text LANGUAGE sql STABLE AS $$ SELECT auth.jwt() ->> 'role' $$;
CREATE FUNCTION auth.email() RETURNS text LANGUAGE sql STABLE AS $$ SELECT auth.jwt() ->> 'email' $$;
CREATE TABLE old (user_id text, org_id text, owner uuid);
ALTER TABLE old ENABLE ROW LEVEL SECURITY;
CREATE INDEX ON old (user_id);
CREATE INDEX ON old (org_id);
CREATE INDEX ON old (owner);
CREATE POLICY uid ON old TO authenticated USING (owner = (SELECT auth.uid())) WITH CHECK (owner = auth.uid());
CREATE POLICY jwt ON old TO authenticated USING ((SELECT auth.jwt()) ->> 'sub' = user_id);
CREATE POLICY role ON old TO authenticated USING (auth.role() = 'authenticated');
CREATE POLICY email ON old TO authenticated USING (auth.email() = user_id);
CREATE POLICY cast_1 ON old TO authenticated USING (owner = (auth.jwt() ->> 'sub')::uuid);
CREATE POLICY cast_2 ON old TO authenticated USING (owner = (SELECT (current_setting('request.jwt.claims', true)::json ->> 'sub')::uuid));
CREATE POLICY cast_3 ON old TO authenticated USING (owner = nullif(current_setting('request.jwt.claim.sub', true), '')::uuid);
CREATE POLICY cast_4 ON old TO authenticated USING (owner = (SELECT clerk.uid())::uuid);
CREATE POLICY path_1 ON old TO authenticated USING (org_id = (auth.jwt() ->> 'o.id'));
CREATE POLICY path_2 ON old TO authenticated USING ('acme' = (clerk.jwt() ->> 'o.slg'));
CREATE POLICY claims ON old TO authenticated WITH CHECK (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub' = user_id);
:audit
-- the functions of clerk answer: what is left is what these policies say
SELECT clerk.install_auth_shim(overwrite => true);
:audit
SELECT clerk.remove_auth_shim();
-- or each policy is written anew
SELECT DISTINCT fix FROM clerk.audit() ORDER BY fix \gexec
:audit
SELECT polname, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid) FROM pg_policy WHERE polrelid = 'old'::regclass ORDER BY polname;

-- Supabase: its own tables are judged by what they are; Storage has Clerk's id in owner_id
CREATE SCHEMA storage;
CREATE SCHEMA realtime;
GRANT USAGE ON SCHEMA storage, realtime TO anon, authenticated;
CREATE TABLE storage.objects (id int, name text, owner uuid, owner_id text);
CREATE TABLE storage.migrations (id int);
CREATE TABLE realtime.messages (id int, topic text);
CREATE TABLE realtime.subscription (id int);
ALTER TABLE storage.objects ENABLE ROW LEVEL SECURITY;
ALTER TABLE realtime.messages ENABLE ROW LEVEL SECURITY;
GRANT ALL ON ALL TABLES IN SCHEMA storage, realtime TO anon, authenticated;
CREATE FUNCTION realtime.topic() RETURNS text LANGUAGE sql STABLE AS $$ SELECT nullif(current_setting('realtime.topic', true), '') $$;
CREATE FUNCTION storage.search() RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ SELECT '' $$;
:audit
CREATE POLICY listen ON realtime.messages TO authenticated USING (realtime.topic() = clerk.org_id());
CREATE TABLE storage.notes (id int);
GRANT SELECT ON storage.notes TO authenticated;
ALTER TABLE storage.objects DISABLE ROW LEVEL SECURITY;
:audit
DROP TABLE storage.notes;
ALTER TABLE storage.objects ENABLE ROW LEVEL SECURITY;
CREATE INDEX ON storage.objects (owner_id);
CREATE POLICY text ON storage.objects TO authenticated USING (owner_id = auth.uid()::text);
CREATE POLICY uuid ON storage.objects TO authenticated USING ((SELECT auth.uid()) = owner OR owner = auth.uid());
CREATE POLICY good ON storage.objects TO authenticated USING (owner_id = clerk.uid());
:audit
SELECT clerk.install_auth_shim(overwrite => true);
-- the shim does not help here
:audit
CREATE POLICY folder ON storage.objects TO authenticated USING (split_part(name, '/', 1) = auth.uid()::text);
SELECT severity, finding, object, detail, fix FROM clerk.audit() WHERE object ~ 'folder';
DROP POLICY folder ON storage.objects;
SELECT DISTINCT fix FROM clerk.audit() ORDER BY fix \gexec
:audit
SELECT clerk.remove_auth_shim();
INSERT INTO storage.objects (id, owner_id) VALUES (1, 'user_alice'), (2, 'user_bob');
BEGIN;
SET LOCAL ROLE authenticated;
SET LOCAL clerk.token = :'alice';
SELECT id FROM storage.objects;
ROLLBACK;
SET client_min_messages = warning;
DROP SCHEMA storage, realtime CASCADE;
RESET client_min_messages;

-- whose the rows are is said by one column, and by its name
CREATE TABLE unclear (a text, b text);
CREATE TABLE ambiguous (user_id text, owner_id text);
ALTER TABLE unclear ENABLE ROW LEVEL SECURITY;
ALTER TABLE ambiguous ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON unclear, ambiguous TO authenticated;
SELECT object, fix FROM clerk.audit();
DROP TABLE unclear, ambiguous;

-- a function that policies call
CREATE FUNCTION is_admin() RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN current_setting( 'request.jwt.claims' , true )::json ->> 'role' = 'admin'; END $$;
CREATE POLICY admins ON notes FOR SELECT TO authenticated USING (is_admin());
:audit
:fix \gexec
:audit
SELECT prosrc FROM pg_proc WHERE oid = 'is_admin()'::regprocedure;

-- policies for everybody
CREATE POLICY everybody ON notes USING (user_id = clerk.uid());
:audit
:fix \gexec
:audit

-- indexes
CREATE TABLE "Slow" (user_id text, org_id varchar(40), owner uuid, "The Owner" text);
ALTER TABLE "Slow" ENABLE ROW LEVEL SECURITY;
CREATE INDEX ON "Slow" (owner, user_id);
CREATE POLICY own ON "Slow" TO authenticated USING (user_id = clerk.uid() AND org_id = (SELECT clerk.org_id()));
CREATE POLICY reverse ON "Slow" TO authenticated USING (clerk.mapped_id() = owner OR (SELECT clerk.mapped_text()) = "The Owner");
CREATE POLICY others ON "Slow" TO authenticated USING (EXISTS (SELECT FROM internal AS i WHERE i.id = 1 AND "The Owner" = 'x'));
:audit
:fix \gexec
:audit

-- functions with the rights of their owner
CREATE FUNCTION become(text) RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ SELECT set_config('request.jwt.claims', $1, true) $$;
CREATE PROCEDURE become() LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ BEGIN SET LOCAL clerk.token = ''; END $$;
CREATE FUNCTION with_role() RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp RETURN set_config('role', 'postgres', true);
CREATE FUNCTION promote() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ UPDATE audit_app.notes SET org_id = 'role' $$;
CREATE FUNCTION unpinned() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
:audit
:fix \gexec
:audit

-- roles
ALTER ROLE authenticated BYPASSRLS;
SELECT * FROM clerk.audit() WHERE finding LIKE 'role-%';
SELECT fix FROM clerk.audit() WHERE finding LIKE 'role-%' \gexec
CREATE TABLE theirs (user_id text PRIMARY KEY);
ALTER TABLE theirs ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON theirs TO authenticated USING (user_id = clerk.uid());
CREATE ROLE regress_audit;
ALTER TABLE theirs OWNER TO regress_audit;
GRANT regress_audit TO anon;
SELECT severity, finding, object, detail FROM clerk.audit();
\set ECHO none
SELECT fix FROM clerk.audit() \gexec
\set ECHO all
:audit
REVOKE regress_audit FROM anon;
SET clerk.anon_role = 'regress_anonymous';
UPDATE clerk.instances SET role = 'regress_signed_in';
:audit
:fix \gexec
:audit
RESET clerk.anon_role;
UPDATE clerk.instances SET role = 'authenticated';
DROP ROLE regress_anonymous, regress_signed_in;

-- whom request.jwt.claims are believed
ALTER ROLE regress_audit SET clerk.trust_request_claims = on;
ALTER ROLE authenticated SET clerk.trust_request_claims = 'yes';
ALTER ROLE anon SET clerk.trust_request_claims = off;
:audit
:fix \gexec
\set ECHO none
SELECT format('ALTER ROLE regress_audit IN DATABASE %I SET clerk.trust_request_claims = on', current_database()) \gexec
SELECT format('ALTER DATABASE %I SET clerk.trust_request_claims = on', current_database()) \gexec
\set ECHO all
SELECT severity, finding, replace(object, current_database(), '...'), replace(fix, current_database(), '...') FROM clerk.audit();
\set ECHO none
SELECT fix FROM clerk.audit() \gexec
\set ECHO all
:audit

-- what Clerk does not know
CREATE TABLE audit_app.presets (a int);
ALTER TABLE audit_app.presets ENABLE ROW LEVEL SECURITY;
CREATE POLICY presets ON audit_app.presets FOR SELECT TO authenticated
	USING (clerk.has_reverified('strict') OR clerk.has_reverified('strct') OR clerk.has_reverified('it''s') OR clerk.has_reverified('lax', '1 minute')
		OR clerk.has_reverified('multi_factor', '1 minute'));
CREATE POLICY presets_in_json ON audit_app.presets FOR SELECT TO authenticated
	USING (clerk.has('{"role": "org:admin", "reverification": "strict", "feature": "a:b"}')
		OR clerk.has('{"reverification": {"level": "second_factor", "afterMinutes": 10}}')
		OR clerk.has('{"role": "org:admin", "reverification": "strct"}')
		OR clerk.has('{"reverification": {"level": "strict", "afterMinutes": 10}}')
		OR clerk.has('{"role": "org:admin", "reverificaton": "strict"}'));
SELECT severity, finding, object, detail, fix FROM clerk.audit() WHERE finding IN ('reverification-unknown', 'has-unknown') ORDER BY detail COLLATE "C";
DROP TABLE audit_app.presets;

-- policies that lead back to themselves: every query fails; functions of the owner end that
CREATE TABLE members (team int, member text);
CREATE TABLE teams (id int, name text);
CREATE TABLE docs (team int, body text);
ALTER TABLE members ENABLE ROW LEVEL SECURITY;
ALTER TABLE teams ENABLE ROW LEVEL SECURITY;
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE INDEX ON members (member);
GRANT ALL ON members, teams, docs TO authenticated;
CREATE POLICY see ON members TO authenticated USING (team IN (SELECT m.team FROM members AS m WHERE m.member = clerk.uid()));
CREATE POLICY see ON teams FOR SELECT TO authenticated USING (id IN (SELECT team FROM docs));
CREATE VIEW some_teams WITH (security_invoker) AS SELECT id FROM teams;
CREATE POLICY see ON docs TO authenticated USING (team IN (SELECT id FROM some_teams));
SELECT severity, finding, object, detail, fix FROM clerk.audit();
SET ROLE authenticated;
SELECT FROM members;
SELECT FROM teams;
SELECT FROM docs;
RESET ROLE;
INSERT INTO members VALUES (1, 'user_alice');
CREATE FUNCTION my_teams() RETURNS SETOF int LANGUAGE sql STABLE AS $$ SELECT team FROM audit_app.members WHERE member = clerk.uid() $$;
ALTER POLICY see ON members USING (team IN (SELECT my_teams()));
ALTER POLICY see ON docs USING (team IN (SELECT my_teams()));
SELECT finding, object, detail FROM clerk.audit();
SET ROLE authenticated;
SET clerk.token = :'alice';
SELECT FROM members;
SELECT FROM teams;
RESET ROLE;
ALTER FUNCTION my_teams() SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
SELECT finding, object, detail FROM clerk.audit();
SET ROLE authenticated;
SELECT FROM members;
SELECT FROM teams;
RESET ROLE;
RESET clerk.token;
-- the owner of a function is asked, too, unless he is exempt
ALTER TABLE members FORCE ROW LEVEL SECURITY;
ALTER TABLE members OWNER TO regress_audit;
ALTER FUNCTION my_teams() OWNER TO regress_audit;
SELECT finding, object FROM clerk.audit();
ALTER POLICY see ON members TO authenticated, regress_audit;
SELECT finding, object, detail FROM clerk.audit();
ALTER TABLE members NO FORCE ROW LEVEL SECURITY;
-- what only checks rows may read its own table, if the policies that show them read none
CREATE TABLE once (owner text, n int);
ALTER TABLE once ENABLE ROW LEVEL SECURITY;
CREATE INDEX ON once (owner);
GRANT ALL ON once TO authenticated;
CREATE POLICY see ON once FOR SELECT TO authenticated USING (owner = clerk.uid());
CREATE POLICY add ON once FOR INSERT TO authenticated WITH CHECK (NOT EXISTS (SELECT FROM once AS o WHERE o.owner = clerk.uid()));
SELECT finding, object FROM clerk.audit();
ALTER POLICY see ON once USING (owner = clerk.uid() AND n IN (SELECT id FROM teams));
SELECT finding, object FROM clerk.audit();
SET ROLE authenticated;
INSERT INTO once VALUES ('x', 1);
RESET ROLE;
DROP TABLE once, members, docs, teams CASCADE;
DROP FUNCTION my_teams;

-- tables that say who a Clerk id is: tracked, or asked by policies
CREATE TABLE users (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), clerk_id text UNIQUE, name text);
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON users TO authenticated USING (clerk_id = clerk.uid());
GRANT SELECT, INSERT ON users TO authenticated;
SELECT clerk.track_ids('users', 'clerk_id', 'id');
:audit
SELECT clerk.untrack_ids('users');
GRANT UPDATE ON users TO PUBLIC;
SELECT clerk.track_ids('users', 'clerk_id', 'id');
:audit
:fix \gexec
:audit
SELECT privilege_type, column_name FROM information_schema.column_privileges WHERE table_name = 'users' AND privilege_type = 'UPDATE' AND grantee = 'PUBLIC';
GRANT UPDATE (id, name) ON users TO authenticated;
:audit
:fix \gexec
:audit
SELECT clerk.untrack_ids('users');
CREATE TABLE papers (owner uuid, team text);
ALTER TABLE papers ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON papers TO authenticated;
CREATE POLICY own ON papers TO authenticated USING (owner = (SELECT u.id FROM users AS u WHERE u.clerk_id = clerk.uid()));
:audit
GRANT UPDATE ON users TO authenticated;
:audit
:fix \gexec
-- without a policy for UPDATE nothing can be written
GRANT UPDATE ON users TO authenticated;
ALTER POLICY own ON users RENAME TO see;
DROP POLICY see ON users;
CREATE POLICY see ON users FOR SELECT TO authenticated USING (clerk_id = clerk.uid());
:audit
-- with the rights of another
CREATE FUNCTION rename(new_name text) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = audit_app, pg_temp
	AS $$ UPDATE users SET name = new_name WHERE clerk_id = clerk.uid() $$;
CREATE FUNCTION become_id(new_id uuid) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = audit_app, pg_temp
	AS $$ BEGIN UPDATE users SET name = 'x', id = new_id WHERE clerk_id = clerk.uid(); END $$;
:audit
:fix \gexec
:audit
DROP TABLE users, papers CASCADE;
DROP FUNCTION rename, become_id;

-- what sets what its caller says
CREATE FUNCTION set_any(name text, value text) RETURNS text LANGUAGE sql AS $$ SELECT set_config(name, value, false) $$;
CREATE FUNCTION set_token(value text) RETURNS text LANGUAGE sql RETURN set_config('clerk.token', value, false);
CREATE FUNCTION set_own() RETURNS text LANGUAGE sql AS $$ SELECT set_config('app.name', 'x', true) $$;
:audit
:fix \gexec
:audit
DROP FUNCTION set_any, set_token, set_own;

-- our own tables
GRANT SELECT, TRIGGER ON clerk.jwks TO regress_audit;
GRANT REFERENCES (issuer) ON clerk.instances TO regress_audit;
GRANT INSERT ON clerk.id_map TO PUBLIC;
GRANT SELECT (secret) ON clerk.webhook_secrets TO authenticated;
:audit
:fix \gexec
:audit
REVOKE SELECT ON clerk.jwks FROM regress_audit;

-- instances; there is no server to fetch keys from
UPDATE clerk.instances SET authorized_parties = NULL;
:audit
:fix \gexec
UPDATE clerk.instances SET authorized_parties = '{https://app.example.com}', legacy_template_until = now() + interval '1 day';
:audit
UPDATE clerk.instances SET legacy_template_until = now() - interval '1 day';
:audit
:fix \gexec
:audit
DELETE FROM clerk.jwks;
:audit
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
:audit
INSERT INTO clerk.jwks_refreshes (issuer, attempted_at, succeeded_at, failed_at, failure) VALUES (:'issuer_a', now(), now(), now(), 'the server answered with HTTP status 500');
:audit
UPDATE clerk.jwks_refreshes SET failure = NULL;
UPDATE clerk.jwks SET created_at = now() - interval '1 year';
:audit
UPDATE clerk.jwks_refreshes SET succeeded_at = NULL;
:audit
UPDATE clerk.jwks SET created_at = now();
SELECT clerk.add_webhook_secret(:'issuer_a', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
:audit
INSERT INTO clerk.webhook_events (issuer, id, type) VALUES (:'issuer_a', 'msg_1', 'user.created');
:audit

-- for the owner of the database, not for others
SET ROLE regress_audit;
:audit
RESET ROLE;
\set ECHO none
SELECT datdba::regrole AS database_owner FROM pg_database WHERE datname = current_database() \gset
SELECT format('ALTER DATABASE %I OWNER TO regress_audit', current_database()) \gexec
\set ECHO all
UPDATE clerk.instances SET authorized_parties = NULL;
SET ROLE regress_audit;
SELECT finding, object FROM clerk.audit();
SELECT * FROM clerk_internal.audit_instances();
RESET ROLE;
\set ECHO none
SELECT format('ALTER DATABASE %I OWNER TO %s', current_database(), :'database_owner') \gexec
\set ECHO all

SET client_min_messages = warning;
DROP SCHEMA audit_app, audit_closed, auth CASCADE;
DROP FOREIGN DATA WRAPPER audit_wrapper CASCADE;
DROP ROLE regress_audit;
ALTER ROLE anon RESET ALL;
DELETE FROM clerk.webhook_events;
DELETE FROM clerk.instances;
