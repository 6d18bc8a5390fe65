-- Who may do what: as with the extension, whatever default privileges give away.
\getenv rights PG_ABS_SRCDIR
\set rights :rights '/hosted/rights.sql'
CREATE DATABASE hosted_acl;
\c hosted_acl
SET client_min_messages = warning;
CREATE EXTENSION clerk_rls;
\i :rights
SELECT pg_temp.rights() AS extension \gset
\c hosted_template
\i :rights
SELECT pg_temp.rights() AS hosted \gset
-- what there is only here, and only there: rights on functions that the other one does not have
SELECT right_of AS only_hosted FROM jsonb_object_keys(:'hosted') AS right_of WHERE NOT :'extension'::jsonb ? right_of ORDER BY right_of COLLATE "C";
SELECT right_of AS only_extension FROM jsonb_object_keys(:'extension') AS right_of WHERE NOT :'hosted'::jsonb ? right_of ORDER BY right_of COLLATE "C";
SELECT count(*) AS grantable FROM jsonb_each(:'hosted') AS r WHERE r.value = 'true';

-- where everything is given away, with the right to give it on
\c postgres
SET client_min_messages = warning;
DROP DATABASE hosted_acl;
CREATE DATABASE hosted_acl OWNER hosted_owner;
\c hosted_acl hosted_owner
\setenv PGDATABASE hosted_acl
\setenv CLERK_HOSTED_OWNER hosted_owner
SET client_min_messages = warning;
\set everybody 'anon, authenticated, clerk_editor WITH GRANT OPTION'
ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO :everybody;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO :everybody;
ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO :everybody;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO :everybody;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TYPES TO :everybody;
\! "$CLERK_HOSTED_CREATE"
\i :rights
SELECT pg_temp.rights() = :'hosted' AS same;
-- what our functions make
CREATE SCHEMA api;
SELECT clerk.expose_webhook('api');
SELECT proacl FROM pg_proc WHERE oid = 'api.clerk_webhook(json)'::regprocedure;
CREATE ROLE regress_eyes;
SELECT clerk.expose_report('api', 'regress_eyes');
SELECT proacl FROM pg_proc WHERE oid = 'api.clerk_report()'::regprocedure;
SELECT clerk.install_auth_shim();
SELECT nspacl FROM pg_namespace WHERE nspname = 'auth';
SELECT proname, proacl FROM pg_proc WHERE pronamespace = 'auth'::regnamespace ORDER BY 1;
-- and a second time
ALTER DEFAULT PRIVILEGES IN SCHEMA clerk, clerk_internal GRANT ALL ON TABLES TO :everybody;
ALTER DEFAULT PRIVILEGES IN SCHEMA clerk, clerk_internal GRANT ALL ON FUNCTIONS TO :everybody;
\! "$CLERK_HOSTED_CREATE"
SELECT pg_temp.rights() = :'hosted' AS same;
\c postgres postgres
DROP DATABASE hosted_acl;
DROP ROLE regress_eyes;
