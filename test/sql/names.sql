-- Names that could end a string, a name, a comment or a body go through every statement that is written for others:
-- those of protect(), audit(), explain_access(), expose_webhook(), track_ids() and of its hints, each executed.
\getenv srcdir PG_ABS_SRCDIR
\set load :srcdir '/vectors/load.sql'
\i :load
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on

CREATE SCHEMA harness;
SET search_path = harness, public;
CREATE TABLE canary (id int);
CREATE TABLE evil (n int GENERATED ALWAYS AS IDENTITY, name name);
INSERT INTO evil (name) VALUES (E'a\n; DROP TABLE harness.canary; --'), ('"; DROP TABLE harness.canary; --'), ('''; DROP TABLE harness.canary; --'),
	('$$; DROP TABLE harness.canary; $$'), ('$function$; DROP TABLE harness.canary'), (E'\\''; DROP TABLE harness.canary; --'), ('*/ DROP TABLE harness.canary; /*'),
	('); DROP TABLE harness.canary; --'), ('%s %I %1$L'), ('Ünïcödé ☃ "✓"'), (E'tab\tand\r\nline'), ('select'), (' '), ('a.b'), (E'\\');
CREATE FUNCTION run(statements text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	statement text;
	n int := 0;
BEGIN
	FOR statement IN EXECUTE statements LOOP
		IF statement LIKE '--%' AND statement ~ E'\n' THEN
			RAISE EXCEPTION 'a comment of several lines: %', statement;
		END IF;
		EXECUTE statement;
		n := n + 1;
	END LOOP;
	RETURN n;
END
$$;
CREATE FUNCTION try(name name, token text) RETURNS text LANGUAGE plpgsql AS $f$
DECLARE
	tab text := format('%1$I.%1$I', name);
	-- a line break in the name of a role is an error since 19
	role text := 'role' || CASE WHEN current_setting('server_version_num')::int < 190000 THEN name
		ELSE translate(name, E'\r\n', '  ') END;
	result text;
BEGIN
	EXECUTE format('CREATE SCHEMA %I', name);
	EXECUTE format('CREATE ROLE %I', role);
	EXECUTE format('SET clerk.anon_role = %L', role);
	EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I, authenticated', name, role);
	-- protect(): what is said is what can be run
	EXECUTE format('CREATE TABLE %s (%I text, other text)', tab, name);
	EXECUTE format('CREATE POLICY %I ON %s USING (other = %L)', name, tab, name);
	PERFORM run(format('SELECT clerk.protect(%L, owner => %L, org => %L, admin_role => %L, role => %L)', tab, name, 'other', 'admin', role));
	EXECUTE format('SELECT string_agg(p, %L) FROM clerk.protect(%L, owner => %L, org => %L, admin_role => %L, role => %L) AS p WHERE p NOT LIKE %L',
		'; ', tab, name, 'other', 'admin', role, '--%') INTO result;
	IF result IS NOT NULL THEN
		RETURN 'protect: ' || result;
	END IF;
	-- explain_access(): runs expressions and looks rows up by these names
	EXECUTE format('INSERT INTO %s VALUES (%L, %L)', tab, 'user_alice', name);
	EXECUTE format('SELECT e.result FROM clerk.explain_access(%L, %L, %L, %L, %L) AS e WHERE kind = %L',
		tab, 'SELECT', format('%I.%I IS NOT NULL', name, name), token, role, 'verdict') INTO result;
	IF result !~ '^[01] of 1 rows visible' THEN
		RETURN 'explain_access: ' || result;
	END IF;
	-- audit(): what it says in code, and its fixes
	EXECUTE format('CREATE FUNCTION %1$I.%1$I(%1$I text DEFAULT %1$L) RETURNS text LANGUAGE plpgsql STABLE AS %2$L', name,
		format(E'-- %s\nBEGIN RETURN auth.jwt() ->> ''sub'' || %L; END', translate(name, E'\r\n', '  '), name));
	EXECUTE format('CREATE FUNCTION %1$I.%2$I() RETURNS text LANGUAGE sql STABLE RETURN coalesce(auth.jwt() ->> %3$L, %1$L)', name, 'atomic' || name, 'sub');
	EXECUTE format('CREATE FUNCTION %1$I.%2$I() RETURNS text LANGUAGE sql SECURITY DEFINER AS %3$L', name, 'definer' || name, 'SELECT ''''');
	EXECUTE format('CREATE POLICY %1$I ON %2$s USING (%3$I = %4$I.%4$I() OR auth.uid()::text = %5$L)', 'bad' || name, tab, name, name, name);
	EXECUTE format('CREATE TABLE %1$I.%2$I (%3$I text DEFAULT (auth.uid()::text || %3$L), CONSTRAINT %3$I CHECK (auth.jwt() ->> %4$L <> %3$L))',
		name, 'more' || name, name, 'sub');
	EXECUTE format('GRANT SELECT ON %I.%I TO %I', name, 'more' || name, role);
	EXECUTE format('CREATE POLICY %I ON %I.%I TO %I USING (%I = clerk.uid())', name, name, 'more' || name, role, name);
	EXECUTE format('CREATE VIEW %1$I.%2$I AS SELECT %3$L::text AS %3$I, auth.jwt() ->> %4$L AS sub', name, 'view' || name, name, 'sub');
	EXECUTE format('GRANT SELECT ON %I.%I TO %I', name, 'view' || name, role);
	EXECUTE format('CREATE FUNCTION %I.%I() RETURNS trigger LANGUAGE plpgsql AS %L', name, 'trigger' || name, 'BEGIN RETURN new; END');
	EXECUTE format('CREATE TRIGGER %1$I BEFORE INSERT ON %2$s FOR EACH ROW WHEN (auth.role() = %1$L) EXECUTE FUNCTION %3$I.%4$I(%1$L)',
		name, tab, name, 'trigger' || name);
	PERFORM run('SELECT DISTINCT fix FROM clerk.audit()');
	PERFORM run('SELECT DISTINCT fix FROM clerk.audit()');
	SELECT string_agg(finding || ' of ' || object, ', ') INTO result FROM clerk.audit() WHERE finding <> 'call-per-row';
	IF result IS NOT NULL THEN
		RETURN 'audit: ' || result;
	END IF;
	-- track_ids(): its statements, and those in its hints
	EXECUTE format('CREATE TABLE %1$I.%2$I (%1$I text, %3$I uuid, name text)', name, 'users' || name, 'id' || name);
	FOR i IN 1 .. 4 LOOP
		BEGIN
			EXECUTE format('SELECT clerk.track_ids(%L, %L, %L)', format('%I.%I', name, 'users' || name), name, 'id' || name);
			EXIT;
		EXCEPTION WHEN object_not_in_prerequisite_state THEN
			GET STACKED DIAGNOSTICS result = PG_EXCEPTION_HINT;
			EXECUTE result;
		END;
	END LOOP;
	EXECUTE format('INSERT INTO %I.%I VALUES (%L, %L)', name, 'users' || name, 'user_' || name, '00000000-0000-4000-8000-000000000001');
	EXECUTE format('ALTER TABLE %I.%I ENABLE ROW LEVEL SECURITY', name, 'users' || name);
	EXECUTE format('CREATE POLICY own ON %I.%I TO %I USING (%I = clerk.uid())', name, 'users' || name, role, name);
	EXECUTE format('GRANT UPDATE ON %I.%I TO %I', name, 'users' || name, role);
	PERFORM run('SELECT fix FROM clerk.audit() WHERE finding = ''ids-writable''');
	SELECT string_agg(finding || ' of ' || object, ', ') INTO result FROM clerk.audit() WHERE finding <> 'call-per-row';
	IF result IS NOT NULL THEN
		RETURN 'audit of ids: ' || result;
	ELSIF clerk.mapped_id('user_' || name) IS DISTINCT FROM '00000000-0000-4000-8000-000000000001' THEN
		RETURN 'track_ids: ' || clerk.mapped_id('user_' || name);
	END IF;
	EXECUTE format('SELECT clerk.untrack_ids(%L)', format('%I.%I', name, 'users' || name));
	-- expose_webhook()
	EXECUTE format('SELECT clerk.expose_webhook(%L, %L)', name, 'hook' || name);
	IF NOT has_function_privilege(role, format('%I.%I(json)', name, 'hook' || name), 'EXECUTE') THEN
		RETURN 'expose_webhook';
	END IF;
	SET LOCAL client_min_messages = warning;
	EXECUTE format('DROP SCHEMA %I CASCADE', name);
	EXECUTE format('DROP ROLE %I', role);
	RETURN NULL;
END
$f$;

-- as in Supabase
CREATE SCHEMA auth;
CREATE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE AS $$ SELECT current_setting('request.jwt.claims', true)::jsonb $$;
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $$ SELECT (auth.jwt() ->> 'sub')::uuid $$;
CREATE FUNCTION auth.role() RETURNS text LANGUAGE sql STABLE AS $$ SELECT auth.jwt() ->> 'role' $$;
SELECT clerk.add_instance(:'issuer_a', authorized_parties => '{https://app.example.com}') AS a \gset
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
SELECT quote_literal(name) AS name, problem FROM evil, try(name, :'alice') AS problem ORDER BY n;
SELECT count(*) AS canary FROM canary;

SET client_min_messages = warning;
RESET clerk.anon_role;
DROP SCHEMA harness, auth CASCADE;
DELETE FROM clerk.instances;
