-- The tokens of tokens.sql as psql variables and as the temporary table tokens, without
-- showing them; and the roles that PostgREST would have.
\set ECHO none
\getenv vectors_dir PG_ABS_SRCDIR
\set vectors_file :vectors_dir '/vectors/tokens.sql'
\i :vectors_file
SELECT count(*) = 0 AS need_roles FROM pg_roles WHERE rolname = 'anon' \gset
\if :need_roles
CREATE ROLE anon;
CREATE ROLE authenticated;
CREATE ROLE clerk_editor;
CREATE ROLE authenticator LOGIN NOINHERIT;
GRANT anon, authenticated, clerk_editor TO authenticator;
\endif
\set ECHO all
