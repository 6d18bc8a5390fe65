-- What audit() finds here only: calls that are made once per row, and roles that can be any user where claims are believed.
CREATE DATABASE hosted_calls TEMPLATE hosted_template;
\c hosted_calls
SET client_min_messages = warning;
CREATE SCHEMA app;
GRANT USAGE ON SCHEMA app TO authenticated;
CREATE TABLE app.notes (id int PRIMARY KEY, user_id text, org_id text, owner uuid);
ALTER TABLE app.notes ENABLE ROW LEVEL SECURITY;
CREATE TABLE app.kept (user_id text);
GRANT SELECT ON app.notes, app.kept TO authenticated;
SELECT count(*) > 0 AS protected FROM clerk.protect('app.kept', owner => 'user_id', dry_run => false);
CREATE POLICY uid ON app.notes TO authenticated USING (user_id = clerk.uid());
CREATE POLICY once ON app.notes TO authenticated USING (user_id = (SELECT clerk.uid()));
CREATE POLICY mapped ON app.notes TO authenticated USING (owner = clerk.mapped_id()) WITH CHECK (owner = (SELECT clerk.mapped_id()));
CREATE POLICY permission ON app.notes TO authenticated USING (org_id = (SELECT clerk.org_id()) AND clerk.has_permission('org:notes:read'));
CREATE POLICY claim ON app.notes TO authenticated USING (org_id = clerk.claim('o', 'id') OR org_id = (clerk.jwt() ->> 'org_id'));
CREATE POLICY of_row ON app.notes TO authenticated USING (clerk.is_fellow_member(user_id) AND owner = clerk.mapped_id(user_id));
SELECT clerk.add_instance('https://clerk.example.com') AS a \gset
\pset format unaligned
\pset tuples_only on
SELECT name, value FROM clerk.settings WHERE name = 'verify';
SELECT severity, object, detail, fix FROM clerk.audit() WHERE finding = 'call-per-row';
UPDATE clerk.settings SET value = 'claims' WHERE name = 'verify';
SELECT object, detail FROM clerk.audit() WHERE finding = 'call-per-row';
-- who may run SQL as a role of requests can be anybody then; not so who can become one that no policy counts for
CREATE ROLE regress_reader LOGIN;
CREATE ROLE regress_bypass LOGIN BYPASSRLS;
GRANT authenticated TO regress_reader, regress_bypass;
SELECT severity, object, detail, fix FROM clerk.audit() WHERE finding = 'claims-believed';
DROP ROLE regress_reader, regress_bypass;
-- what protect() writes is once a statement
SELECT pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polrelid = 'app.kept'::regclass;
\c postgres
DROP DATABASE hosted_calls;
