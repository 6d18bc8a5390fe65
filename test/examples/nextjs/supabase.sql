-- supabase.sql: a database like one of supabase.com, for the hosted file.
CREATE ROLE service_role BYPASSRLS;
GRANT service_role TO authenticator;
CREATE ROLE owner LOGIN CREATEROLE;
GRANT anon, authenticated, service_role TO owner;
CREATE DATABASE hosted OWNER owner;
\connect hosted
GRANT ALL ON SCHEMA public TO owner;
GRANT USAGE ON SCHEMA public TO anon, authenticated;
ALTER DEFAULT PRIVILEGES FOR ROLE owner IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE owner IN SCHEMA public GRANT ALL ON SEQUENCES TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE owner IN SCHEMA public GRANT ALL ON FUNCTIONS TO anon, authenticated, service_role;
