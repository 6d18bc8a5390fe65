-- The role that installs the hosted file, as supabase.com has it: no superuser, and default
-- privileges that give everything away; and the gateway's roles, with or without Supabase's own.
--
-- psql -v supabase=yes|no -f owner.sql

CREATE ROLE hosted_owner LOGIN CREATEROLE CREATEDB;
SELECT count(*) = 0 AS need_roles FROM pg_roles WHERE rolname = 'anon' \gset
\if :need_roles
CREATE ROLE anon;
CREATE ROLE authenticated;
CREATE ROLE clerk_editor;
CREATE ROLE authenticator LOGIN NOINHERIT;
GRANT anon, authenticated, clerk_editor TO authenticator;
\endif
GRANT anon, authenticated, clerk_editor, authenticator, pg_monitor TO hosted_owner WITH ADMIN OPTION;
ALTER DEFAULT PRIVILEGES FOR ROLE hosted_owner GRANT ALL ON TABLES TO anon, authenticated;
ALTER DEFAULT PRIVILEGES FOR ROLE hosted_owner GRANT ALL ON FUNCTIONS TO anon, authenticated;
ALTER DEFAULT PRIVILEGES FOR ROLE hosted_owner GRANT ALL ON SCHEMAS TO anon;
