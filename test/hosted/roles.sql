-- The roles of a gateway, as the extension's tests have them.
SELECT count(*) = 0 AS need_roles FROM pg_roles WHERE rolname = 'anon' \gset
\if :need_roles
CREATE ROLE anon;
CREATE ROLE authenticated;
CREATE ROLE clerk_editor;
CREATE ROLE authenticator LOGIN NOINHERIT;
GRANT anon, authenticated, clerk_editor TO authenticator;
\endif
