-- protect(): the policies of the common cases, printed, applied, and then nothing more to do.
\getenv srcdir PG_ABS_SRCDIR
\set load :srcdir '/vectors/load.sql'
\i :load
\set VERBOSITY terse

SELECT clerk.add_instance(:'issuer_a') AS a \gset
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
CREATE SCHEMA protect_app;
CREATE TABLE protect_app.notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id text, body text);
INSERT INTO protect_app.notes (user_id, body) VALUES ('user_alice', 'a1'), ('user_bob', 'b1'), (NULL, 'nobody''s');

-- rows of users: said, and not done
SELECT * FROM clerk.protect('protect_app.notes', owner => 'user_id');
SELECT relrowsecurity FROM pg_class WHERE oid = 'protect_app.notes'::regclass;
-- done, and nothing is left to do
SELECT count(*) FROM clerk.protect('protect_app.notes', owner => 'user_id', dry_run => false);
SELECT * FROM clerk.protect('protect_app.notes', owner => 'user_id', dry_run => false);
SET search_path = protect_app, public;
SET ROLE authenticated;
SELECT count(*) FROM notes;
SET clerk.token = :'alice';
SELECT body FROM notes;
INSERT INTO notes (body) VALUES ('a2') RETURNING user_id;
INSERT INTO notes (user_id) VALUES ('user_bob');
UPDATE notes SET user_id = 'user_bob';
UPDATE notes SET body = 'x' WHERE user_id = 'user_bob' RETURNING body;
DELETE FROM notes RETURNING body;
RESET clerk.token;
RESET ROLE;
SET ROLE anon;
SELECT * FROM protect_app.notes;
RESET ROLE;

-- what differs is made good, what is somebody else's is left and told
ALTER POLICY clerk_own ON notes USING (true);
ALTER TABLE notes ALTER user_id DROP DEFAULT;
REVOKE DELETE ON notes FROM authenticated;
DROP INDEX notes_user_id_idx;
CREATE INDEX ON notes (user_id) WHERE id > 5;
CREATE POLICY reading ON notes FOR SELECT USING (true);
CREATE POLICY less ON notes AS RESTRICTIVE USING (true);
SELECT * FROM clerk.protect('notes', owner => 'user_id', dry_run => false);
SELECT * FROM clerk.protect('notes', owner => 'user_id', dry_run => false);

-- each type of column has its function, in whatever disguise
CREATE DOMAIN clerk_id AS text;
CREATE TABLE "Odd ""one" (id serial, "User" varchar(40), d clerk_id, u uuid, b bigint, i int, g text GENERATED ALWAYS AS ('x') STORED,
	n bigint GENERATED ALWAYS AS IDENTITY);
SELECT * FROM clerk.protect('"Odd ""one"', owner => 'User', dry_run => false);
SELECT column_name, first, again
FROM unnest('{d,u,b}'::name[]) AS column_name,
	LATERAL (SELECT string_agg(protect, '; ') FROM clerk.protect('"Odd ""one"', owner => column_name, dry_run => false) WHERE protect ~ 'CREATE|DEFAULT') AS f (first),
	LATERAL (SELECT count(*) + length(first) * 0 FROM clerk.protect('"Odd ""one"', owner => column_name, dry_run => false)) AS a (again);
SELECT string_agg(protect, '; ') FROM clerk.protect('"Odd ""one"', org => 'u', dry_run => false) WHERE protect ~ 'CREATE|DEFAULT';
SELECT * FROM clerk.protect('"Odd ""one"', org => 'u', dry_run => false);

-- what it refuses
SELECT clerk.protect('"Odd ""one"', owner => 'i');
SELECT clerk.protect('"Odd ""one"', org => 'b');
SELECT clerk.protect('"Odd ""one"', owner => 'g');
SELECT clerk.protect('"Odd ""one"', owner => 'n');
SELECT clerk.protect('"Odd ""one"', owner => 'nowhere');
SELECT clerk.protect('"Odd ""one"', owner => 'ctid');
SELECT clerk.protect('"Odd ""one"');
SELECT clerk.protect(NULL, owner => 'u');
SELECT clerk.protect('"Odd ""one"', owner => 'u', admin_role => 'admin');
SELECT clerk.protect('"Odd ""one"', org => 'u', admin_role => 'the boss');
SELECT clerk.protect('"Odd ""one"', owner => 'u', role => 'no such role');
SELECT clerk.protect('pg_stat_activity', owner => 'usename');
CREATE POLICY clerk_own ON "Odd ""one" USING (false);
SELECT clerk.protect('"Odd ""one"', owner => 'u', dry_run => false);

-- rows of organizations, which all members share
CREATE TABLE shared (id int PRIMARY KEY, org_id text);
SELECT * FROM clerk.protect('shared', org => 'org_id', dry_run => false);
SELECT * FROM clerk.protect('shared', org => 'org_id', dry_run => false);
-- whose administrators alone change them
CREATE TABLE board (id int PRIMARY KEY, org_id text);
SELECT * FROM clerk.protect('board', org => 'org_id', admin_role => 'admin', dry_run => false);
SELECT * FROM clerk.protect('board', org => 'org_id', admin_role => 'admin', dry_run => false);
-- which have an owner in the organization
CREATE TABLE invoices (id int PRIMARY KEY, org_id text, author_id text);
SELECT * FROM clerk.protect('invoices', owner => 'author_id', org => 'org_id', admin_role => 'org:admin', dry_run => false);
SELECT * FROM clerk.protect('invoices', owner => 'author_id', org => 'org_id', admin_role => 'org:admin', dry_run => false);

-- what each may do there: rows 1 of acme and alice, 2 of acme and bob, 3 of another organization and alice
INSERT INTO shared VALUES (1, 'org_acme'), (2, 'org_acme'), (3, 'org_other');
INSERT INTO board SELECT * FROM shared;
INSERT INTO invoices VALUES (1, 'org_acme', 'user_alice'), (2, 'org_acme', 'user_bob'), (3, 'org_other', 'user_alice');
CREATE FUNCTION pg_temp.may(tab regclass, claims text) RETURNS text LANGUAGE plpgsql AS $may$
DECLARE
	done text[];
	rows int[];
	statement text;
BEGIN
	FOREACH statement IN ARRAY '{
		"SELECT id FROM %s",
		"INSERT INTO %s (id) VALUES (4) RETURNING id",
		"INSERT INTO %s (id, org_id) VALUES (5, $$org_other$$) RETURNING id",
		"UPDATE %s SET id = id + 10 RETURNING id - 10",
		"UPDATE %s SET org_id = $$org_other$$ RETURNING id",
		"DELETE FROM %s RETURNING id"}'::text[]
	LOOP
		BEGIN
			PERFORM set_config('request.jwt.claims', claims, true), set_config('role', 'authenticated', true);
			EXECUTE format('WITH done (id) AS (' || statement || ') SELECT array_agg(id ORDER BY id) FROM done', tab) INTO rows;
			RAISE EXCEPTION USING ERRCODE = 'ROLL0';
		EXCEPTION WHEN SQLSTATE 'ROLL0' THEN
			done := array_append(done, coalesce(rows, '{}')::text);
		WHEN insufficient_privilege THEN
			done := array_append(done, 'refused');
		END;
	END LOOP;
	RETURN array_to_string(done, ' ');
END
$may$;
-- the claims stand without a token here, so as to be read
SET clerk.trust_request_claims = on;
SELECT tab, who, pg_temp.may(tab, format('{"iss": "https://clerk.example.com", "sub": "user_alice", "exp": 4102444800, "v": 2%s}', organization))
	AS "select, insert, insert elsewhere, update, give away, delete"
FROM unnest('{shared,board,invoices}'::regclass[]) AS tab, (VALUES (1, 'nobody''s member', ''), (2, 'member', ', "o": {"id": "org_acme", "rol": "member"}'),
	(3, 'admin', ', "o": {"id": "org_acme", "rol": "admin"}'), (4, 'admin elsewhere', ', "o": {"id": "org_else", "rol": "admin"}')) AS callers (n, who, organization)
ORDER BY tab, n;
RESET clerk.trust_request_claims;

-- other columns: what it has made before goes
SELECT * FROM clerk.protect('invoices', owner => 'author_id', dry_run => false) WHERE protect ~ '^(DROP|CREATE)';

-- by the owner of the table and the database, who is no superuser; nobody else
CREATE ROLE regress_migrations;
GRANT CREATE, USAGE ON SCHEMA protect_app TO regress_migrations;
\set ECHO none
SELECT datdba::regrole AS database_owner FROM pg_database WHERE datname = current_database() \gset
SELECT format('ALTER DATABASE %I OWNER TO regress_migrations', current_database()) \gexec
\set ECHO all
SET ROLE regress_migrations;
CREATE TABLE mine (id int, user_id text);
SELECT count(*) FROM clerk.protect('mine', owner => 'user_id', dry_run => false);
SELECT * FROM clerk.protect('mine', owner => 'user_id', dry_run => false);
SELECT clerk.protect('invoices', org => 'org_id', dry_run => false);
RESET ROLE;
\set ECHO none
SELECT format('ALTER DATABASE %I OWNER TO %s', current_database(), :'database_owner') \gexec
\set ECHO all
SET ROLE regress_migrations;
SELECT clerk.protect('mine', owner => 'user_id');
RESET ROLE;

SET client_min_messages = warning;
DROP SCHEMA protect_app CASCADE;
DROP OWNED BY regress_migrations;
DROP ROLE regress_migrations;
DELETE FROM clerk.instances;
