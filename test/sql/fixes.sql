-- What clerk.audit() says is wrong with code, and whether its fix mends it: each form in a policy, in a function
-- that it calls, and in one three calls away; after the fix the owner sees the row, a stranger does not, and
-- audit() has nothing more to say. The right form of each is never found.
\getenv srcdir PG_ABS_SRCDIR
\set load :srcdir '/vectors/load.sql'
\i :load
\set VERBOSITY terse
\pset format unaligned
\pset fieldsep ' | '

SELECT clerk.add_instance(:'issuer_a', authorized_parties => '{https://app.example.com}') AS a \gset
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
-- as they are in Supabase
CREATE SCHEMA auth;
CREATE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE AS $$
	SELECT coalesce(nullif(current_setting('request.jwt.claim', true), ''), nullif(current_setting('request.jwt.claims', true), ''))::jsonb $$;
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $$
	SELECT coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''), auth.jwt() ->> 'sub')::uuid $$;
CREATE FUNCTION auth.role() RETURNS text LANGUAGE sql STABLE AS $$ SELECT auth.jwt() ->> 'role' $$;
CREATE FUNCTION auth.email() RETURNS text LANGUAGE sql STABLE AS $$ SELECT auth.jwt() ->> 'email' $$;
GRANT USAGE ON SCHEMA auth TO anon, authenticated;

-- the type of the column, who the caller is in the wrong form, and in the right one; the rows are those of alice
-- in the organization acme, and a stranger's
CREATE SCHEMA harness;	-- that no request reaches
SET search_path = harness, public;
CREATE TABLE form (n int GENERATED ALWAYS AS IDENTITY, finding text, type text, wrong text, good text);
INSERT INTO form (finding, type, wrong, good) VALUES
	('auth-uid', 'uuid', 'auth.uid()', 'clerk.mapped_id()'),
	('auth-uid', 'uuid', '(SELECT auth.uid())', '(SELECT clerk.mapped_id())'),
	('auth-uid', 'text', 'auth.uid()::text', 'clerk.uid()'),
	('auth-uid', 'text', '(SELECT auth.uid())::text', '(SELECT clerk.uid())'),
	('auth-uid', 'varchar', 'CAST(auth.uid() AS varchar)', 'clerk.uid()'),
	('auth-uid', 'varchar', 'coalesce(auth.uid()::text, ''nobody'')', 'coalesce(clerk.uid(), ''nobody'')'),
	('sub-as-uuid', 'uuid', '(auth.jwt() ->> ''sub'')::uuid', 'clerk.mapped_id()'),
	('sub-as-uuid', 'uuid', 'clerk.uid()::uuid', 'clerk.mapped_id()'),
	('sub-as-uuid', 'text', 'clerk.uid()::uuid::text', 'clerk.mapped_text()'),
	('sub-as-uuid', 'org uuid', '(auth.jwt() ->> ''org_id'')::uuid', 'clerk.mapped_org_id()'),
	('sub-as-uuid', 'org uuid', '(auth.jwt() -> ''o'' ->> ''id'')::uuid', 'clerk.mapped_org_id()'),
	('sub-as-uuid', 'uuid', 'nullif(current_setting(''request.jwt.claim.sub'', true), '''')::uuid', 'clerk.mapped_id()'),
	('sub-as-uuid', 'uuid', '(nullif(current_setting(''request.jwt.claims'', true), '''')::json ->> ''sub'')::uuid', 'clerk.mapped_id()'),
	('unverified-claims', 'text', 'auth.jwt() ->> ''sub''', 'clerk.jwt() ->> ''sub'''),
	('unverified-claims', 'text', '(SELECT auth.jwt() ->> ''sub'')', '(SELECT clerk.jwt() ->> ''sub'')'),
	('unverified-claims', 'text', '(SELECT auth.jwt()) ->> ''sub''', '(SELECT clerk.jwt()) ->> ''sub'''),
	('unverified-claims', 'varchar', 'current_setting(''request.jwt.claims'', true)::json ->> ''sub''', 'clerk.uid()'),
	('unverified-claims', 'text', 'coalesce(current_setting(''request.jwt.claims'', true), ''{}'')::jsonb ->> ''sub''', 'clerk.uid()'),
	('unverified-claims', 'text', 'current_setting(''request.jwt.claims.sub'', true)', 'clerk.uid()'),
	('unverified-claims', 'text', 'pg_catalog.current_setting ( ''request.jwt.claim.sub'' , true )', 'clerk.uid()'),
	('unverified-claims', 'org text', 'auth.jwt() ->> ''org_id''', 'clerk.org_id()'),
	('unverified-claims', 'org text', 'auth.jwt() -> ''o'' ->> ''id''', 'clerk.org_id()'),
	('unverified-claims', 'boolean', 'auth.role() = ''authenticated'' AND clerk.org_id() IS NOT NULL', 'current_setting(''role'') = ''authenticated'' AND clerk.org_id() IS NOT NULL'),
	('unverified-claims', 'boolean', 'auth.jwt() #>> ''{o,rol}'' = ''admin''', 'clerk.jwt() #>> ''{o,rol}'' = ''admin'''),
	('claim-path', 'org text', 'clerk.jwt() ->> ''o.id''', 'clerk.jwt() -> ''o'' ->> ''id'''),
	('claim-path', 'org text', 'clerk.claim(''o.id'')', 'clerk.claim(''o'', ''id'')'),
	('claim-path', 'org text', 'clerk.jwt() #>> ''{o.id}''', 'clerk.jwt() #>> ''{o,id}'''),
	('claim-path', 'boolean', 'clerk.claim(''o.slg'') = ''acme''', 'clerk.claim(''o'', ''slg'') = ''acme'''),
	('claim-path', 'boolean', 'clerk.jwt() #>> ''{o.slg}'' = ''acme''', 'clerk.jwt() #>> ''{o,slg}'' = ''acme'''),
	('claim-path', 'boolean', '(clerk.jwt() -> ''o'' ->> ''slg'' = ''acme'') AND (auth.jwt() ->> ''o.slg'') = ''acme''', 'clerk.org_slug() = ''acme'''),
	('org-role-name', 'boolean', 'clerk.org_role() = ''admin''', 'clerk.org_role() = ''org:admin'''),
	('org-role-name', 'boolean', '(SELECT clerk.org_role()) = ''admin''', '(SELECT clerk.org_role()) = ''org:admin'''),
	('org-role-name', 'boolean', '''admin'' = clerk.org_role()', '''org:admin'' = clerk.org_role()'),
	('org-role-name', 'boolean', 'clerk.org_role() IN (''owner'', ''org:member'', ''admin'')', 'clerk.org_role() IN (''org:owner'', ''org:admin'')'),
	-- these only you can mend
	('custom-setting', 'text', 'current_setting(''app.current_user_id'', true)', 'clerk.uid()'),
	('custom-setting', 'text', 'coalesce(nullif(current_setting(''rls.user'', true), ''''), clerk.uid())', 'clerk.uid()'),
	('custom-setting', 'text', 'current_setting(''app.'' || ''user'', true)', 'clerk.uid()'),
	('custom-setting', 'boolean', 'current_setting(''request.headers'', true)::json ->> ''x-key'' = ''key''', 'clerk.claim(''o'', ''slg'') = ''acme'''),
	('claims-of-user', 'boolean', 'clerk.claim(''unsafe_metadata'', ''role'') = ''admin''', 'clerk.claim(''o'', ''rol'') = ''admin'''),
	('claims-of-user', 'boolean', 'clerk.jwt() -> ''user_metadata'' ->> ''role'' = ''admin''', 'clerk.jwt() #>> ''{o,rol}'' = ''admin'''),
	('claims-of-user', 'boolean', 'clerk.jwt() #>> ''{unsafe_metadata,role}'' = ''admin''', 'clerk.jwt() #>> ''{o,rol}'' = ''admin'''),
	('reverification-unknown', 'boolean', 'clerk.has_reverified(''strct'')', 'clerk.has_reverified(''strict_mfa'')'),
	('reverification-unknown', 'boolean', 'clerk.has(''{"reverification": "strct"}'')', 'clerk.has(''{"reverification": "strict_mfa"}'')'),
	('has-unknown', 'boolean', 'clerk.has(''{"role": "admin", "reverificaton": "strict"}'')', 'clerk.has(''{"role": "admin", "reverification": "strict_mfa"}'')');

-- Each of them in a policy, one call away from it, and three, in the languages by turns.
CREATE TABLE try AS
	SELECT row_number() OVER (ORDER BY n, depth) AS id, form.*, replace(type, 'org ', '') AS column_type, depth,
		('{sql,plpgsql,atomic}'::text[])[(n + depth / 3) % 3 + 1] AS language
	FROM form, unnest('{0,1,3}'::int[]) AS depth;
CREATE FUNCTION helper(name text, language text, type text, expression text) RETURNS text LANGUAGE sql AS $$
	SELECT format(CASE language
		WHEN 'sql' THEN 'CREATE FUNCTION app.%s() RETURNS %s LANGUAGE sql STABLE AS $f$ SELECT %s $f$'
		WHEN 'plpgsql' THEN E'CREATE FUNCTION app.%s() RETURNS %s LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$\n'
			'-- not ''current_setting(''app.x'')''\nBEGIN /* nor auth.uid() */ RETURN %s; END $f$'
		ELSE 'CREATE FUNCTION app.%s() RETURNS %s LANGUAGE sql STABLE RETURN %s' END, name, type, expression)
$$;
CREATE FUNCTION make(t try, expression text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	languages constant text[] := '{sql,plpgsql,atomic,sql,plpgsql}';
	tab constant text := 'app.t' || t.id;
BEGIN
	FOR i IN 1 .. t.depth LOOP
		EXECUTE helper(format('f%s_%s', t.id, i), languages[array_position(languages, t.language) + i - 1], t.column_type, expression);
		expression := format('app.f%s_%s()', t.id, i);
	END LOOP;
	EXECUTE format('CREATE TABLE %s (name text, owner %s)', tab, replace(t.column_type, 'boolean', 'text'));
	EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', tab);
	EXECUTE format('GRANT SELECT ON %s TO authenticated', tab);
	EXECUTE format('CREATE INDEX ON %s (owner)', tab);
	EXECUTE format('CREATE POLICY own ON %s TO authenticated USING (%s(%s))', tab, CASE t.type WHEN 'boolean' THEN '' ELSE 'owner = ' END, expression);
	EXECUTE format('INSERT INTO %s SELECT ''mine'', %s UNION ALL SELECT ''other'', %s', tab,
		CASE t.type WHEN 'uuid' THEN 'clerk.mapped_id(''user_alice'')' WHEN 'org uuid' THEN 'clerk.mapped_id(''org_acme'')'
			WHEN 'org text' THEN '''org_acme''' ELSE '''user_alice''' END,
		CASE t.column_type WHEN 'uuid' THEN 'clerk.mapped_id(''user_x'')' ELSE '''user_x''' END);
END
$$;
CREATE FUNCTION ask(token text, tab text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	seen text;
BEGIN
	PERFORM set_config('clerk.token', token, true), set_config('role', 'authenticated', true);
	EXECUTE format('SELECT coalesce(string_agg(name, '' '' ORDER BY name), ''nothing'') FROM %s', tab) INTO seen;
	PERFORM set_config('role', 'none', true), set_config('clerk.token', '', true);
	RETURN seen;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLERRM;
END
$$;
CREATE FUNCTION fix_all() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	statement text;
BEGIN
	FOR statement IN SELECT DISTINCT fix FROM clerk.audit() WHERE fix NOT LIKE '--%' LOOP
		EXECUTE statement;
	END LOOP;
END
$$;

-- the right forms
CREATE SCHEMA app;
GRANT USAGE ON SCHEMA app TO authenticated;
SELECT count(make(try, good)) FROM try;
SELECT finding, object, detail FROM clerk.audit();
SELECT id, good, depth, language, seen FROM try, ask(:'org_v2', 'app.t' || id) AS seen
WHERE seen <> CASE type WHEN 'boolean' THEN 'mine other' ELSE 'mine' END AND good !~ 'mapped_text' ORDER BY id;
SET client_min_messages = warning;
DROP SCHEMA app CASCADE;
RESET client_min_messages;

-- the wrong ones: each is found where it is, with the way that leads there
CREATE SCHEMA app;
GRANT USAGE ON SCHEMA app TO authenticated;
SELECT count(make(try, wrong)) FROM try;
CREATE TABLE found AS SELECT * FROM clerk.audit();
SELECT try.* FROM try
WHERE NOT EXISTS (
	SELECT FROM found
	WHERE found.finding = try.finding AND severity = 'error'
		AND object = CASE depth WHEN 0 THEN format('policy own on app.t%s', id) ELSE format('function app.f%s_1()', id) END
		AND (fix LIKE '--%') = (finding IN ('custom-setting', 'claims-of-user', 'reverification-unknown', 'has-unknown'))
		AND detail ^@ CASE depth WHEN 0 THEN '' WHEN 1 THEN format('policy own on app.t%1$s → app.f%1$s_1(): ', id)
			ELSE format('policy own on app.t%1$s → app.f%1$s_3() → app.f%1$s_2() → app.f%1$s_1(): ', id) END)
ORDER BY id;
-- a forger has what the settings say
SET request.jwt.claims = '{"sub":"user_alice","role":"authenticated","org_id":"org_acme"}';
SET app.current_user_id = 'user_alice';
SELECT count(*) > 20 AS forged FROM try, ask('', 'app.t' || id) AS seen WHERE seen ~ 'mine';

-- the fixes, all at once: the owner sees the row, a stranger and a forger do not, and nothing is found any more
SELECT fix_all();
SELECT finding, object, detail FROM clerk.audit() WHERE finding NOT IN ('custom-setting', 'claims-of-user', 'reverification-unknown', 'has-unknown');
SELECT id, finding, wrong, depth, language, owner, stranger, forger
FROM try, ask(:'org_v2', 'app.t' || id) AS owner, ask(:'bob', 'app.t' || id) AS stranger, ask('', 'app.t' || id) AS forger
WHERE finding NOT IN ('custom-setting', 'claims-of-user', 'reverification-unknown', 'has-unknown')
	AND (owner, stranger, forger) IS DISTINCT FROM (CASE type WHEN 'boolean' THEN 'mine other' ELSE 'mine' END, 'nothing', 'nothing')
ORDER BY id;
SELECT finding, count(*) FROM try GROUP BY finding ORDER BY finding;
RESET request.jwt.claims;
RESET app.current_user_id;
SET client_min_messages = warning;
DROP SCHEMA app CASCADE;
RESET client_min_messages;

-- what is not a policy: views, defaults, constraints, conditions and functions of triggers
CREATE SCHEMA app;
GRANT USAGE ON SCHEMA app TO authenticated;
SET search_path = app, harness, public;
CREATE TABLE base (name text, owner text, owner_uuid uuid);
ALTER TABLE base ENABLE ROW LEVEL SECURITY;
CREATE POLICY everything ON base FOR SELECT TO authenticated USING (true);
GRANT SELECT ON base TO authenticated;
INSERT INTO base VALUES ('mine', 'user_alice', clerk.mapped_id('user_alice')), ('other', 'user_x', clerk.mapped_id('user_x'));
CREATE VIEW v WITH (security_invoker = true, security_barrier = true) AS SELECT name, auth.jwt() ->> 'sub' AS caller FROM base WHERE owner = auth.uid()::text;
CREATE VIEW w WITH (security_invoker) AS SELECT v.name, owner FROM v JOIN base USING (name);
GRANT SELECT ON v, w TO authenticated;
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	new.owner := auth.uid();
	new.owner_uuid = auth.uid();
	RETURN new;
END
$$;
CREATE FUNCTION is_mine(owner text) RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT owner = auth.uid()::text $$;
CREATE TABLE kinds (id int PRIMARY KEY, name text, owner text DEFAULT auth.uid()::text, org text DEFAULT (current_setting('request.jwt.claims', true)::json ->> 'org_id'),
	owner_uuid uuid DEFAULT auth.uid(), stamped text, CONSTRAINT mine CHECK (owner = (auth.jwt() ->> 'sub')), CONSTRAINT called CHECK (is_mine(owner)));
ALTER TABLE kinds ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON kinds TO authenticated USING (clerk.uid() = owner);
CREATE INDEX ON kinds (owner);
GRANT ALL ON kinds TO authenticated;
CREATE TABLE stamped (id int PRIMARY KEY, name text, owner text, owner_uuid uuid);
ALTER TABLE stamped ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON stamped TO authenticated USING (clerk.uid() = owner);
CREATE INDEX ON stamped (owner);
GRANT ALL ON stamped TO authenticated;
CREATE TRIGGER stamp BEFORE INSERT ON stamped FOR EACH ROW WHEN (auth.role() = 'authenticated' OR new.id > 100) EXECUTE FUNCTION stamp();
-- how a view is printed depends on the version of PostgreSQL
SELECT severity, finding, object, detail, CASE WHEN object LIKE 'view %' THEN split_part(fix, ' AS ', 1) ELSE fix END AS fix FROM clerk.audit();
SELECT fix_all();
SELECT finding, object, detail FROM clerk.audit();
SELECT ask(:'org_v2', 'app.v') AS owner, ask(:'bob', 'app.v') AS stranger, ask(:'org_v2', 'app.w') AS owner_of_view, ask(:'bob', 'app.w') AS stranger_of_view;
SELECT reloptions FROM pg_class WHERE oid = 'v'::regclass;
BEGIN;
SET LOCAL ROLE authenticated;
SET LOCAL clerk.token = :'org_v2';
INSERT INTO kinds (id, name) VALUES (1, 'mine') RETURNING owner, org, owner_uuid = clerk.mapped_id() AS is_mapped;
INSERT INTO stamped (id, name) VALUES (1, 'mine') RETURNING owner, owner_uuid = clerk.mapped_id() AS is_mapped;
COMMIT;
SELECT ask(:'org_v2', 'app.kinds') AS owner, ask(:'bob', 'app.kinds') AS stranger, ask(:'bob', 'app.stamped') AS stranger_of_stamped;

-- a cast of what a function hands on, also of one that hands on what another does; as PostgreSQL and as people write it
CREATE FUNCTION me() RETURNS uuid LANGUAGE sql STABLE AS $$ SELECT auth.uid() $$;
CREATE FUNCTION me_too() RETURNS uuid LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN app.me(); END $$;
CREATE FUNCTION sub() RETURNS text LANGUAGE sql STABLE RETURN auth.jwt() ->> 'sub';
CREATE FUNCTION implicit() RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN auth.uid(); END $$;
CREATE FUNCTION compares(owner text) RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT owner = (SELECT app.me_too())::text $$;
CREATE FUNCTION variables(wanted text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
	caller text := auth.uid();
	claims jsonb := nullif(current_setting('request.jwt.claims', true), '')::jsonb;
BEGIN
	RETURN caller = wanted AND claims ->> 'sub' = wanted;
END
$$;
SELECT format('CREATE TABLE c%1$s AS SELECT * FROM base; ALTER TABLE c%1$s ENABLE ROW LEVEL SECURITY; GRANT SELECT ON c%1$s TO authenticated;
	CREATE INDEX ON c%1$s (owner); CREATE INDEX ON c%1$s (owner_uuid); CREATE POLICY own ON c%1$s TO authenticated USING (%2$s)', n, expression)
FROM unnest('{me()::text = owner,(SELECT me_too())::text = owner,owner_uuid = me_too(),owner_uuid = sub()::uuid,owner = sub()::varchar,owner = implicit(),compares(owner),variables(owner)}'::text[])
	WITH ORDINALITY AS e (expression, n) \gexec
SELECT finding, object, detail, fix FROM clerk.audit() ORDER BY object, finding;
SELECT fix_all();
SELECT finding, object, detail FROM clerk.audit();
SELECT n, ask(:'org_v2', 'app.c' || n) AS owner, ask(:'bob', 'app.c' || n) AS stranger FROM generate_series(1, 8) AS n;
DROP TABLE c1, c2, c3, c4, c5, c6, c7, c8;
DROP FUNCTION me, me_too, sub, implicit, compares, variables;

-- where the text of a query is put together, in a language that is not known, or by a name that the search_path finds:
-- found, and left to you
CREATE FUNCTION dynamic() RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
	r text;
BEGIN
	EXECUTE 'SELECT auth.jwt() ->> ''sub''' INTO r;
	RETURN r;
END
$$;
CREATE FUNCTION quoted() RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
	r text;
BEGIN
	EXECUTE format($q$ SELECT current_setting('request.jwt.claims', true)::json ->> %L $q$, 'sub') INTO r;
	RETURN r;
END
$$;
CREATE FUNCTION unqualified() RETURNS uuid LANGUAGE sql STABLE SET search_path = auth AS $$ SELECT uid() $$;
CREATE FUNCTION "Odd ""name"() RETURNS text LANGUAGE sql STABLE AS $$ SELECT "auth"."email"( ) $$;
-- these only speak of it
CREATE FUNCTION innocent() RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
	-- auth.uid() was here /* and current_setting('request.jwt.claims') there
	/* auth.jwt() and ' auth.role() */
	RAISE DEBUG 'auth.uid() is not asked, nor current_setting(''request.jwt.claims''), % %', $q$ auth.jwt() $q$, E'\'auth.role()';
	RETURN clerk.uid();
END
$$;
CREATE TABLE d AS SELECT * FROM base;
ALTER TABLE d ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON d TO authenticated;
CREATE POLICY own ON d TO authenticated USING (owner IN (dynamic(), quoted(), innocent(), "Odd ""name"()) OR owner_uuid = unqualified());
SELECT finding, object, detail, fix FROM clerk.audit();
DROP TABLE d;
DROP FUNCTION dynamic, quoted, unqualified, innocent, "Odd ""name";

-- circles end
CREATE FUNCTION ping(n int) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN CASE n WHEN 0 THEN auth.jwt() ->> 'sub' ELSE app.pong(n - 1) END; END $$;
CREATE FUNCTION pong(n int) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN app.ping(n); END $$;
CREATE TABLE d (owner text);
ALTER TABLE d ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON d TO authenticated USING (owner = pong(3));
SELECT finding, object, detail FROM clerk.audit();
DROP TABLE d;
DROP FUNCTION ping, pong;

-- IMMUTABLE, and asks who the caller is, itself or through others
CREATE FUNCTION frozen() RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT clerk.uid() $$;
CREATE FUNCTION thawed() RETURNS text LANGUAGE sql STABLE AS $$ SELECT clerk.uid() $$;
CREATE FUNCTION passes_on() RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN app.thawed(); END $$;
CREATE FUNCTION frozen_3() RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN app.passes_on(); END $$;
CREATE FUNCTION constant() RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'clerk.uid()'::text $$;
CREATE TABLE d AS SELECT * FROM base;
ALTER TABLE d ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON d TO authenticated;
CREATE POLICY own ON d TO authenticated USING (owner IN (frozen(), frozen_3(), thawed()) AND constant() = 'clerk.uid()');
SELECT severity, finding, object, detail, fix FROM clerk.audit();
SELECT fix_all();
SELECT finding FROM clerk.audit();
SELECT ask(:'org_v2', 'app.d') AS owner, ask(:'bob', 'app.d') AS stranger;

SET client_min_messages = warning;
DROP SCHEMA app, auth, harness CASCADE;
DELETE FROM clerk.instances;
