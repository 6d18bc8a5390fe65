-- Policies written for Supabase Auth, with Clerk: auth.uid() and its like, installed, refused, replaced, removed.
\getenv srcdir PG_ABS_SRCDIR
\set load :srcdir '/vectors/load.sql'
\i :load
\set SHOW_CONTEXT never

SELECT clerk.add_instance(:'issuer_a', id_claim => 'external_id') AS a \gset
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');

-- where there is no schema auth
SELECT clerk.install_auth_shim();
SELECT clerk.install_auth_shim();
SELECT proname, pg_get_function_result(oid), provolatile, proparallel, obj_description(oid, 'pg_proc')
FROM pg_proc WHERE pronamespace = 'auth'::regnamespace ORDER BY proname;
CREATE FUNCTION pg_temp.who(token text, role text, OUT uid uuid, OUT auth_role text, OUT email text, OUT sub text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('clerk.token', token, true), set_config('role', role, true);
	SELECT auth.uid(), auth.role(), auth.email(), auth.jwt() ->> 'sub' INTO uid, auth_role, email, sub;
	PERFORM set_config('role', 'none', true);
END
$$;
SELECT name, role, who.* FROM tokens, unnest('{anon,authenticated,none}'::text[]) AS role, pg_temp.who(token, role)
WHERE name IN ('alice', 'external_uuid', 'with_role', 'expired', 'empty') ORDER BY name, role;
-- what somebody says without a signature is nothing
SELECT set_config('request.jwt.claims', '{"sub": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "role": "service_role", "email": "x@example.com"}', false) \g /dev/null
SELECT auth.uid(), auth.role(), auth.email(), auth.jwt();
SELECT set_config('request.jwt.claims', '', false) \g /dev/null

-- nobody's search_path or temporary objects matter
CREATE FUNCTION public.fake(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = public.fake);
SET search_path = public, pg_catalog;
SET ROLE authenticated;
SELECT auth.role();
RESET ROLE;
RESET search_path;
DROP OPERATOR public.= (text, text);
DROP FUNCTION public.fake;

-- a schema that was written for Supabase Auth, with users from before Clerk: external_id is the old id
CREATE TABLE todos (user_id uuid NOT NULL DEFAULT auth.uid(), task text);
ALTER TABLE todos ENABLE ROW LEVEL SECURITY;
CREATE POLICY "Individuals can view their own todos." ON todos FOR SELECT USING ((SELECT auth.uid()) = user_id);
CREATE POLICY "Individuals can create todos." ON todos FOR INSERT WITH CHECK (auth.uid() = user_id);
CREATE POLICY "Individuals can delete their own todos." ON todos FOR DELETE USING (auth.uid() = user_id AND auth.role() = 'authenticated');
GRANT SELECT, INSERT, DELETE ON todos TO anon, authenticated;
INSERT INTO todos VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'from before Clerk'), ('b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'somebody else''s');
SET ROLE authenticated;
BEGIN;
SET LOCAL clerk.token = :'external_uuid';
SELECT * FROM todos;
INSERT INTO todos (task) VALUES ('new') RETURNING *;
INSERT INTO todos VALUES ('b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'x');
ROLLBACK;
BEGIN;
SET LOCAL clerk.token = :'external_uuid';
DELETE FROM todos RETURNING task;
SET LOCAL clerk.token = :'bob';
INSERT INTO todos (task) VALUES ('of a new user') RETURNING *;
ROLLBACK;
RESET ROLE;
EXPLAIN (COSTS OFF) SELECT * FROM todos WHERE auth.uid() = user_id;

-- not while something depends on it
SELECT clerk.remove_auth_shim();
DROP TABLE todos;
SELECT clerk.remove_auth_shim();
SELECT to_regnamespace('auth'), (SELECT count(*) FROM clerk.auth_shim);
SELECT clerk.remove_auth_shim();

-- where Supabase has its own: not unless told to, and they come back
CREATE ROLE regress_auth_admin;
CREATE SCHEMA auth AUTHORIZATION regress_auth_admin;
GRANT USAGE ON SCHEMA auth TO authenticated;
SET ROLE regress_auth_admin;
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $$
	SELECT (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid
$$;
COMMENT ON FUNCTION auth.uid() IS 'Deprecated';
REVOKE EXECUTE ON FUNCTION auth.uid() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION auth.uid() TO authenticated;
RESET ROLE;
CREATE TABLE todos (user_id uuid DEFAULT auth.uid());
SELECT pg_get_functiondef('auth.uid()'::regprocedure) AS original \gset
SELECT clerk.install_auth_shim();
SELECT proname FROM pg_proc WHERE pronamespace = 'auth'::regnamespace;
SELECT clerk.install_auth_shim(overwrite => true);
SELECT proname, proowner::regrole, has_function_privilege('anon', oid, 'EXECUTE') AS anon, obj_description(oid, 'pg_proc')
FROM pg_proc WHERE pronamespace = 'auth'::regnamespace AND proname = 'uid';
SELECT clerk.install_auth_shim();
SELECT set_config('clerk.token', :'alice', false) IS NOT NULL AS alice \gset
SET ROLE authenticated;
SELECT auth.uid(), auth.role();
RESET ROLE;
-- what somebody else has put there meanwhile stays
CREATE OR REPLACE FUNCTION auth.email() RETURNS text LANGUAGE sql AS $$ SELECT 'mine' $$;
\set VERBOSITY terse
SELECT clerk.install_auth_shim();
\set VERBOSITY default
SELECT clerk.remove_auth_shim();
SELECT proname FROM pg_proc WHERE pronamespace = 'auth'::regnamespace ORDER BY proname;
SELECT pg_get_functiondef('auth.uid()'::regprocedure) = :'original' AS is_back,
	(SELECT proowner::regrole FROM pg_proc WHERE oid = 'auth.uid()'::regprocedure) AS owner;
DROP TABLE todos;
DROP SCHEMA auth CASCADE;
DROP ROLE regress_auth_admin;
SELECT clerk.drop_instance(:'issuer_a');
