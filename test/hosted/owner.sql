-- The role that installs the hosted file, as supabase.com has it: no superuser, which can become the
-- roles of requests, and with default privileges that give everything away.
CREATE ROLE hosted_owner LOGIN CREATEROLE CREATEDB;
GRANT anon, authenticated, clerk_editor, authenticator, pg_monitor TO hosted_owner WITH ADMIN OPTION;
ALTER DEFAULT PRIVILEGES FOR ROLE hosted_owner GRANT ALL ON TABLES TO anon, authenticated;
ALTER DEFAULT PRIVILEGES FOR ROLE hosted_owner GRANT ALL ON FUNCTIONS TO anon, authenticated;
ALTER DEFAULT PRIVILEGES FOR ROLE hosted_owner GRANT ALL ON SCHEMAS TO anon;
