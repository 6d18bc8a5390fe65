-- What each kind of role may do: anon, authenticated, and a plain owner of other things.
\getenv srcdir PG_ABS_SRCDIR
\set load :srcdir '/vectors/load.sql'
\i :load
\set VERBOSITY terse

-- PUBLIC may call exactly these
SELECT p.oid::regprocedure AS public
FROM pg_proc AS p WHERE pronamespace IN ('clerk'::regnamespace, 'clerk_internal'::regnamespace) AND has_function_privilege('anon', p.oid, 'EXECUTE')
ORDER BY p.oid::regprocedure::text COLLATE "C";
SELECT p.oid::regprocedure AS not_public
FROM pg_proc AS p WHERE pronamespace IN ('clerk'::regnamespace, 'clerk_internal'::regnamespace) AND NOT has_function_privilege('anon', p.oid, 'EXECUTE')
ORDER BY p.oid::regprocedure::text COLLATE "C";
-- and touch no table
SELECT c.oid::regclass AS table, role, privilege
FROM pg_class AS c, unnest('{anon,authenticated,authenticator}'::name[]) AS role,
	unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) AS privilege
WHERE relnamespace = 'clerk'::regnamespace AND relkind IN ('r', 'v', 'S') AND has_table_privilege(role, c.oid, privilege);
SELECT has_schema_privilege('anon', 'clerk', 'USAGE') AS usage, has_schema_privilege('anon', 'clerk', 'CREATE') AS create;

CREATE ROLE regress_owner;
GRANT CREATE ON SCHEMA public TO regress_owner;
SET ROLE regress_owner;
SELECT clerk.uid(), clerk.is_authenticated(), clerk.jwt(), clerk.claim('sub');
SELECT clerk.pre_request();
SELECT clerk.pre_config();
SELECT count(*) FROM clerk.diagnose();
SELECT clerk.add_instance('https://evil.example');
SELECT clerk.drop_instance('https://clerk.example.com');
SELECT clerk.load_jwks('https://clerk.example.com', '{}');
SELECT clerk_internal.check_jwk('{}');
SELECT * FROM clerk.jwks;
SELECT * FROM clerk.instances;
DELETE FROM clerk.jwks;
TRUNCATE clerk.jwks;
CREATE TABLE own (LIKE clerk.jwks);
CREATE TABLE own (id int);
CREATE TRIGGER own AFTER INSERT ON own FOR EACH ROW EXECUTE FUNCTION clerk_internal.invalidate();
ALTER TABLE clerk.jwks DISABLE TRIGGER ALL;
CREATE FUNCTION clerk.uid(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
ALTER FUNCTION clerk.uid() SET search_path = public;
SET clerk.trust_request_claims = on;
SET clerk.anon_role = 'regress_owner';
ALTER ROLE regress_owner SET clerk.trust_request_claims = on;
DROP EXTENSION clerk_rls;

-- operators and functions of one's own are not used by what runs as somebody else
CREATE FUNCTION public.evil(timestamptz, timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'hijacked'; END $$;
CREATE OPERATOR public.> (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = public.evil);
CREATE FUNCTION pg_temp.set_config(text, text, boolean) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'hijacked'; END $$;
SET search_path = pg_temp, public, pg_catalog;
SELECT clerk.pre_config();
RESET search_path;
DROP OPERATOR public.> (timestamptz, timestamptz);
DROP FUNCTION public.evil;
DROP TABLE own;
RESET ROLE;

-- an instance's role is the session user's to take, and nothing more
SELECT clerk.add_instance(:'issuer_a', role => 'authenticated') AS a \gset
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
SET SESSION AUTHORIZATION regress_owner;
SET clerk.token = :'alice';
SELECT clerk.uid();
SELECT clerk.pre_request();
SELECT current_user;
RESET SESSION AUTHORIZATION;
DROP OWNED BY regress_owner;
DROP ROLE regress_owner;
DELETE FROM clerk.instances;
