-- report(), expose_report() and doctor(): what they say, to whom; the page itself is looked at by test/report.
\getenv srcdir PG_ABS_SRCDIR
\set load :srcdir '/vectors/load.sql'
\i :load
\set VERBOSITY terse
\pset format unaligned
\pset fieldsep ' | '
\pset tuples_only on

-- the pieces
SELECT clerk_internal.html(E'<a href="x">&amp;''\x01\x1b[31m\x7f');
SELECT clerk_internal.html(NULL) = '';
SELECT clerk_internal.html_table('A <b>', '{x,`y<}', ARRAY[['error', '<1>'], [NULL, NULL]], 'nothing');
SELECT clerk_internal.html_table('A', '{x}', NULL, 'nothing <here>');
SELECT clerk_internal.time_in_words(now() - age)
FROM unnest('{59 s,61 s,3 hours,3 days,-10 min}'::interval[]) AS age;

-- policies in words
CREATE SCHEMA report_app;
SET search_path = report_app, public;
CREATE TABLE notes (id int, user_id text, org_id varchar(40), owner uuid, body text);
CREATE POLICY a ON notes USING (true);
CREATE POLICY b ON notes FOR SELECT TO anon USING (false);
CREATE POLICY c ON notes FOR INSERT TO authenticated WITH CHECK (user_id = (SELECT clerk.uid()));
CREATE POLICY d ON notes FOR UPDATE TO authenticated, anon USING (org_id = clerk.org_id() AND clerk.has_role('admin'))
	WITH CHECK (owner = clerk.mapped_id() OR body IS NULL);
CREATE POLICY e ON notes AS RESTRICTIVE FOR DELETE TO authenticated
	USING (user_id = clerk.uid() OR (clerk.org_role() <> 'guest' AND NOT clerk.is_impersonated() AND clerk.has_reverified('strict')));
CREATE POLICY f ON notes FOR SELECT TO authenticated USING (body = ' = it''s true AND (' OR id = ANY ('{1,2}'));
SELECT * FROM clerk_internal.policies_in_words('notes');

-- what roles reach
SELECT clerk.add_instance(:'issuer_a', authorized_parties => '{https://app.example.com}') AS a \gset
GRANT USAGE ON SCHEMA report_app TO anon, authenticated;
GRANT SELECT (id), INSERT ON notes TO anon;
GRANT ALL ON notes TO authenticated;
CREATE TABLE unreached (id int);
CREATE VIEW seen AS SELECT 1 AS one;
GRANT SELECT ON seen TO PUBLIC;
SELECT tab, kind, role, clerk_internal.rights_in_words(tab, role)
FROM clerk_internal.reached_relations(), unnest('{anon,authenticated}'::name[]) AS role;

-- the page is whole where there is nothing, and where a transaction cannot write
DELETE FROM clerk.instances;
BEGIN READ ONLY;
SELECT clerk.report() ~ '^<!doctype html>.*</html>$';
SELECT regexp_matches(clerk.report(:'alice'), 'It stops at: [^<]*');
SELECT count(*) > 5 FROM clerk.doctor();
COMMIT;
SELECT clerk.add_instance(:'issuer_a', authorized_parties => '{https://app.example.com}') AS a \gset
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
SELECT regexp_matches(clerk.report(:'alice'), 'It (?:stops|arrives)[^<]*');
SELECT regexp_matches(clerk.report(:'forged'), 'It (?:stops|arrives)[^<]*');
SELECT regexp_matches(clerk.report('x'), 'It (?:stops|arrives)[^<]*');
SELECT clerk.report(:'alice') ~ 'eyJ|user_alice';

-- nobody may call them unless told so, and then the rights of the owner do
SET ROLE authenticated;
SELECT clerk.report();
SELECT * FROM clerk.doctor();
SELECT clerk.expose_report('report_app', 'authenticated');
RESET ROLE;
CREATE ROLE regress_operator;
GRANT EXECUTE ON FUNCTION clerk.report, clerk.doctor TO regress_operator;
SET ROLE regress_operator;
SELECT clerk.report() ~ '</html>$';
SELECT count(*) > 10 FROM clerk.doctor();
SELECT * FROM clerk.instances;
RESET ROLE;

-- expose_report() is for a role that is not everybody's
SELECT clerk.expose_report('report_app', 'anon');
SELECT clerk.expose_report('report_app', 'authenticated');
SELECT clerk.expose_report('report_app', 'public');
SELECT clerk.expose_report('report_app', NULL);
SELECT clerk.expose_report('nowhere', 'regress_operator');
SELECT clerk.expose_report(NULL, 'regress_operator');
CREATE ROLE regress_staff;
GRANT regress_staff TO authenticated;
SELECT clerk.expose_report('report_app', 'regress_staff');
REVOKE regress_staff FROM authenticated;
SELECT clerk.expose_report('report_app', 'regress_staff');
SELECT clerk.expose_report('report_app', 'regress_operator');
\df report_app.clerk_report
SELECT grantee::regrole FROM pg_proc, aclexplode(proacl) WHERE pg_proc.oid = 'report_app.clerk_report'::regproc AND grantee <> proowner;
CREATE SCHEMA "Evil"" schema";
SELECT clerk.expose_report('Evil" schema', 'regress_operator');
GRANT USAGE ON SCHEMA report_app TO regress_operator;
SET ROLE regress_operator;
SELECT report_app.clerk_report() ~ '</html>$', current_setting('response.headers', true);
RESET ROLE;
-- nor when it has become one of everybody since, by whatever way
UPDATE clerk.instances SET role = 'regress_operator';
SET ROLE regress_operator;
SELECT report_app.clerk_report();
RESET ROLE;
UPDATE clerk.instances SET role = 'authenticated';
GRANT EXECUTE ON FUNCTION report_app.clerk_report TO anon;
SET ROLE anon;
SELECT report_app.clerk_report();
RESET ROLE;

-- doctor(): each check, before and after; of an instance for which no other test has counted tokens
DELETE FROM clerk.instances;
\set issuer 'https://clerk.report.example'
SELECT clerk.add_instance(:'issuer', authorized_parties => '{https://app.example.com}') AS a \gset
SELECT count(*) FROM clerk.load_jwks(:'issuer', :'jwks_a');
\set doctor 'SELECT * FROM clerk.doctor() WHERE "check" !~ \'^(pg_hba|shared_preload|audit)\';'
:doctor
SELECT clerk.add_webhook_secret(:'issuer', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
INSERT INTO clerk.jwks_refreshes (issuer, succeeded_at) VALUES (:'issuer', now());
UPDATE clerk.instances SET role = 'clerk_editor';
ALTER ROLE authenticator SET pgrst.db_pre_request = 'clerk.pre_request';
ALTER ROLE authenticator SET pgrst.db_pre_config = 'public.own_config';
ALTER ROLE authenticator SET pgrst.db_schemas = 'public, clerk';
ALTER ROLE authenticator SET pgrst.db_anon_role = 'nobody_else';
ALTER ROLE anon LOGIN;
-- what is no name is no reason to raise
ALTER ROLE authenticator SET pgrst.db_pre_request = '"no. name(';
SELECT "check", outcome FROM clerk.doctor() WHERE "check" ^@ 'pgrst.db_pre_request';
ALTER ROLE authenticator SET pgrst.db_pre_request = 'clerk.pre_request';
SELECT clerk.add_instance('pk_test_bG9jYWwuY2xlcmsuYWNjb3VudHMuZGV2JA', role => 'no_such_role') AS a \gset
SET log_statement = 'all';
:doctor
CREATE FUNCTION public.own_config() RETURNS void LANGUAGE sql AS 'SELECT clerk.pre_config()';
INSERT INTO clerk.webhook_events VALUES ('msg_1', :'issuer', 'user.created');
SELECT clerk.drop_instance(:'a');
ALTER ROLE authenticator RESET pgrst.db_schemas;
ALTER ROLE authenticator RESET pgrst.db_anon_role;
ALTER ROLE anon NOLOGIN;
SET log_parameter_max_length = 0;
:doctor
\set doctor 'SELECT * FROM clerk.doctor() WHERE "check" ^@ \'role of PostgREST\';'
ALTER ROLE authenticator NOLOGIN;
:doctor
ALTER ROLE authenticator LOGIN;
SET application_name = 'PostgREST 12.2.3 (0123456)';
SELECT replace("check", session_user, 'superuser'), outcome FROM clerk.doctor() WHERE "check" ^@ 'role of PostgREST';
RESET application_name;
REVOKE clerk_editor FROM authenticator;
:doctor
-- as each version has it
SELECT current_setting('server_version_num')::int >= 160000 AS by_membership \gset
\if :by_membership
GRANT clerk_editor TO authenticator WITH INHERIT TRUE;
\else
ALTER ROLE authenticator INHERIT;
GRANT clerk_editor TO authenticator;
\endif
SELECT "check", outcome FROM clerk.doctor() WHERE "check" ^@ 'role of PostgREST';
ALTER ROLE authenticator NOINHERIT;
REVOKE clerk_editor FROM authenticator;
ALTER ROLE authenticator RESET ALL;
GRANT clerk_editor TO authenticator;
DROP FUNCTION public.own_config();
DELETE FROM clerk.instances;
\set VERBOSITY sqlstate
SET client_min_messages = warning;
DROP SCHEMA report_app CASCADE;
DROP SCHEMA "Evil"" schema" CASCADE;
REVOKE EXECUTE ON FUNCTION clerk.report, clerk.doctor FROM regress_operator;
DROP ROLE regress_operator, regress_staff;
