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
SELECT severity, object, detail, fix FROM clerk.audit() WHERE finding = 'reverification-unknown' ORDER BY detail COLLATE "C";
DROP TABLE audit_app.presets;

-- instances; there is no server to fetch keys from
UPDATE clerk.instances SET authorized_parties = NULL;
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
