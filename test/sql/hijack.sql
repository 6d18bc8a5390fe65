-- Functions, operators, types and tables of one's own are not used by what runs as somebody else.
-- Whoever calls here has a search_path that begins with a schema in which functions and operators
-- of pg_catalog, and tables of ours and of the catalog, have a twin that raises.
\getenv srcdir PG_ABS_SRCDIR
\set load :srcdir '/vectors/load.sql'
\i :load
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE SCHEMA crypto;
CREATE EXTENSION pgcrypto SCHEMA crypto;

-- all that is not C has its names resolved already, or pins the search_path
SELECT p.oid::regprocedure AS resolves_names_at_run_time
FROM pg_proc AS p JOIN pg_language AS l ON l.oid = prolang
WHERE pronamespace IN ('clerk'::regnamespace, 'clerk_internal'::regnamespace) AND lanname <> 'c' AND prosqlbody IS NULL
	AND NOT coalesce(proconfig @> '{"search_path=pg_catalog, pg_temp"}', false);
SELECT p.oid::regprocedure AS security_definer
FROM pg_proc AS p WHERE pronamespace IN ('clerk'::regnamespace, 'clerk_internal'::regnamespace) AND prosecdef ORDER BY p.oid::regprocedure::text;
SELECT DISTINCT tgfoid::regprocedure AS trigger_function
FROM pg_trigger WHERE tgrelid::regclass::text ^@ 'clerk.' AND NOT tgisinternal ORDER BY 1;

CREATE ROLE regress_attacker;
CREATE SCHEMA evil AUTHORIZATION regress_attacker;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
GRANT CREATE ON SCHEMA public TO regress_attacker;
SELECT current_database() AS database \gset
GRANT CREATE ON DATABASE :"database" TO regress_attacker;
SET ROLE regress_attacker;
DO $$
DECLARE
	twin record;
BEGIN
	FOR twin IN
		SELECT proname, pg_get_function_identity_arguments(oid) AS arguments, oid::regprocedure::text AS id,
			CASE WHEN proretset THEN 'SETOF ' ELSE '' END || prorettype::regtype AS result
		FROM pg_proc AS p
		WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f' AND provariadic = 0 AND proargmodes IS NULL
			AND NOT EXISTS (SELECT FROM pg_type AS t WHERE (t.oid = ANY (proargtypes) OR t.oid = prorettype)
				AND t.typtype = 'p' AND t.typname NOT IN ('anyelement', 'anyarray', 'record', 'void'))
		-- what the last of them, and this loop, are made with
		UNION ALL VALUES ('format', 'text, text', 'pg_catalog.format(text,"any")', 'text'),
			('json_build_object', 'text, text', 'pg_catalog.json_build_object("any")', 'json')
	LOOP
		BEGIN
			EXECUTE format('CREATE FUNCTION evil.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L', twin.proname, twin.arguments, twin.result,
				format('BEGIN RAISE EXCEPTION ''hijacked by %%: %s'', current_user; END', twin.id));
		EXCEPTION WHEN invalid_function_definition OR feature_not_supported THEN
			NULL;	-- of a type that PL/pgSQL cannot take, or that its arguments do not determine
		END;
	END LOOP;
	FOR twin IN
		SELECT oprname, concat_ws(', ', 'LEFTARG = ' || nullif(oprleft, 0)::regtype, 'RIGHTARG = ' || oprright::regtype) AS arguments, proname
		FROM pg_operator JOIN pg_proc ON pg_proc.oid = oprcode
		WHERE oprnamespace = 'pg_catalog'::regnamespace AND oprname <> '=>'
	LOOP
		BEGIN
			EXECUTE format('CREATE OPERATOR evil.%s (%s, FUNCTION = evil.%I)', twin.oprname, twin.arguments, twin.proname);
		EXCEPTION WHEN undefined_function THEN
			NULL;	-- its function has no twin
		END;
	END LOOP;
	FOR twin IN
		SELECT relname, relnamespace FROM pg_class
		WHERE relnamespace IN ('clerk'::regnamespace, 'pg_catalog'::regnamespace) AND relkind IN ('r', 'v')
	LOOP
		EXECUTE format('CREATE TABLE evil.%I (never int)', twin.relname);
		EXECUTE format('CREATE TEMPORARY TABLE %I (never int)', twin.relname);
	END LOOP;
	FOR twin IN SELECT unnest('{text,json,jsonb,uuid,bytea,name,regclass,regproc,regprocedure,tid,"char"}'::text[]) AS type LOOP
		EXECUTE format('CREATE DOMAIN evil.%s AS pg_catalog.%1$s CHECK (value IS NULL)', twin.type);
	END LOOP;
END
$$;
RESET ROLE;
SELECT count(*) > 2000 AS functions, (SELECT count(*) > 700 FROM pg_catalog.pg_operator WHERE oprnamespace = 'evil'::regnamespace) AS operators
FROM pg_catalog.pg_proc WHERE pronamespace = 'evil'::regnamespace;

SELECT clerk.add_instance(:'issuer_a', id_claim => 'external_id') AS a \gset
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
SELECT clerk.add_webhook_secret(:'issuer_a', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
CREATE TABLE public.users (id bigint PRIMARY KEY, clerk_id text UNIQUE);
SELECT clerk.track_ids('public.users', 'clerk_id', 'id');
GRANT ALL ON public.users TO regress_attacker;
GRANT pg_monitor TO regress_attacker;
SET clerk.anon_role = 'regress_attacker';
SELECT clerk.expose_webhook('public');
RESET clerk.anon_role;

-- a webhook, signed here, where the functions for it can still be found
\set body '{"type":"user.created","timestamp":1700000000000,"data":{"id":"user_bob","external_id":"b","banned":true,"updated_at":1700000000000}}'
SELECT floor(extract(epoch FROM now()))::bigint AS ts \gset
SELECT name, 'v1,' || encode(crypto.hmac(convert_to(name || '.' || :'ts' || '.' || :'body', 'UTF8'),
	decode('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'base64'), 'sha256'), 'base64') AS signature
INTO TEMPORARY signatures FROM unnest('{msg_1,msg_2,msg_3}'::text[]) AS name;
SELECT signature AS signature_1 FROM signatures WHERE name = 'msg_1' \gset
SELECT signature AS signature_2 FROM signatures WHERE name = 'msg_2' \gset
SELECT signature AS signature_3 FROM signatures WHERE name = 'msg_3' \gset
SELECT json_build_object('svix-id', 'msg_1', 'svix-timestamp', :'ts', 'svix-signature', :'signature_1') AS headers \gset

-- what an attacker may call, and what runs for the attacker as its owner
SET ROLE regress_attacker;
SET search_path = evil, pg_temp, pg_catalog, public;
SELECT lower('the trap');
SELECT 1 = 1;
SELECT never FROM pg_class;
SET clerk.token = :'alice';
SELECT clerk.uid(), clerk.is_authenticated(), clerk.session_id(), clerk.issuer(), clerk.org_id(), clerk.claim('sub');
SELECT clerk.has('{"role": "admin"}'), clerk.has_role('admin'), clerk.has_plan('pro'), clerk.has_reverified('lax'), clerk.has_reverified('first_factor', '1 day');
SELECT clerk.mapped_id(), clerk.mapped_text(), clerk.mapped_id('user_bob'), clerk.mapped_org_id();
SELECT clerk.pre_config();
SELECT clerk.pre_request();
SELECT clerk.is_fellow_member('user_bob');
SELECT current_keys FROM clerk.health();
SELECT outcome FROM clerk.diagnose(:'alice');
INSERT INTO public.users VALUES (1, 'user_alice');
UPDATE public.users SET id = 2;
SELECT clerk.mapped_bigint();
DELETE FROM public.users;
TRUNCATE public.users;
SELECT pg_catalog.set_config('request.headers', :'headers', false) IS NULL AS unset;
SELECT public.clerk_webhook(:'body');
RESET request.headers;
RESET ROLE;

-- what a superuser calls who has the attacker's search_path
SELECT clerk.receive_webhook('msg_2', :'ts', :'signature_2', :'body');
SELECT clerk.add_instance('pk_test_Y2xlcmsuZXZpbC5leGFtcGxlJA');
SELECT * FROM clerk.load_jwks(:'issuer_a', :'jwks_a_next');
SELECT clerk.load_pem('https://clerk.evil.example', :'pem_ed25519');
SELECT clerk.retire_key(:'issuer_a', 'ins_a_next');
SELECT * FROM clerk.refresh_jwks();
SELECT clerk.run_jwks_refresh('1 hour');
SELECT clerk.schedule_jwks_refresh('1 hour');
SELECT clerk.map_id('user_carol', '3'), clerk.unmap_id('user_carol');
SELECT clerk.untrack_ids('public.users'), clerk.track_ids('public.users', 'clerk_id', 'id');
SELECT clerk.install_auth_shim();
SELECT auth.uid(), auth.role(), auth.email();
SELECT clerk.remove_auth_shim();
SELECT clerk.revoke_session('sess_1'), clerk.unrevoke('sess_1'), clerk.revoke_user('user_bob');
SELECT clerk.add_webhook_secret(:'issuer_a', 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD');
SELECT clerk.drop_webhook_secret(:'issuer_a', 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD');
SELECT clerk.import_users('[{"id": "user_dave"}]', :'issuer_a'), clerk.import_organizations('[]', :'issuer_a'), clerk.import_memberships('[]', :'issuer_a');
SELECT * FROM clerk.drift('clerk.user_profiles', '[{"id": "user_erin"}]');
SELECT * FROM clerk.prune('1 day');
SELECT clerk.set_supabase_keys('{"keys":[{"kty":"oct","k":"c3VwZXItc2VjcmV0LWp3dC10b2tlbi13aXRoLWF0LWxlYXN0LTMyLWNoYXJhY3RlcnMtbG9uZw"}]}');
SELECT clerk.supabase_pre_config();
SELECT count(*) FROM clerk.audit() \g /dev/null
SELECT clerk.set_supabase_keys(NULL);
CREATE ROLE regress_admin;
SELECT clerk.grant_admin('regress_admin');
DROP OWNED BY regress_admin;
DROP ROLE regress_admin;
SELECT clerk.drop_instance('https://clerk.evil.example');
RESET search_path;

-- an event handler runs as its owner, and what it sets ends with it
CREATE FUNCTION evil.handle(event jsonb) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
	RAISE WARNING 'handled by %', current_user;
END
$$;
CREATE FUNCTION evil.handle_and_set(event jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_catalog.set_config('search_path', 'evil, pg_catalog', false);
	BEGIN
		SET ROLE NONE;
	EXCEPTION WHEN OTHERS THEN
		RAISE WARNING '%', sqlerrm;
	END;
END
$$;
ALTER FUNCTION evil.handle OWNER TO regress_attacker;
ALTER FUNCTION evil.handle_and_set OWNER TO regress_attacker;
SELECT clerk.add_event_handler('*', 'evil.handle(jsonb)'), clerk.add_event_handler('*', 'evil.handle_and_set(jsonb)');
SELECT clerk.receive_webhook('msg_3', :'ts', :'signature_3', :'body');
SHOW search_path;

-- no secret comes out
SET ROLE regress_attacker;
SELECT count(*) FROM pg_catalog.pg_stats WHERE schemaname = 'clerk';
EXPLAIN SELECT * FROM clerk.webhook_secrets WHERE secret = 'whsec_x';
SELECT c.oid::regclass AS may FROM pg_catalog.pg_class AS c
WHERE relnamespace = 'clerk'::regnamespace AND relkind IN ('r', 'v') AND has_any_column_privilege(c.oid, 'SELECT, INSERT, UPDATE, REFERENCES');
CREATE FUNCTION pg_temp.leak(text, text) RETURNS boolean LANGUAGE plpgsql COST 0.01 AS $$ BEGIN RAISE WARNING 'leaked'; RETURN true; END $$;
SELECT * FROM clerk.webhook_secrets WHERE pg_temp.leak(issuer, secret);
CREATE VIEW evil.secrets AS SELECT * FROM clerk.webhook_secrets;
SELECT * FROM evil.secrets;
CREATE STATISTICS evil.secrets ON issuer, secret FROM clerk.webhook_secrets;
CREATE INDEX ON clerk.webhook_secrets (secret);
CREATE RULE secrets AS ON INSERT TO clerk.webhook_secrets DO ALSO NOTIFY secrets;
CREATE TABLE evil.child () INHERITS (clerk.webhook_secrets);
CREATE TABLE evil.referring (issuer text, secret text, FOREIGN KEY (issuer, secret) REFERENCES clerk.webhook_secrets);
CREATE PUBLICATION secrets FOR TABLE clerk.webhook_secrets;
COPY clerk.webhook_secrets TO STDOUT;
SELECT clerk_internal.authenticate_webhook('', '', '', ''), clerk.verify_webhook('', '', '', '');
SELECT clerk.add_webhook_secret(NULL, NULL);
CREATE FUNCTION clerk.uid(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE TABLE clerk.users (id text);
RESET ROLE;

SET client_min_messages = error;
DROP FUNCTION public.clerk_webhook(json);
DROP TABLE public.users;
DELETE FROM clerk.event_handlers;
DELETE FROM clerk.instances;
DELETE FROM clerk.user_profiles;
DELETE FROM clerk.revocations;
DELETE FROM clerk.webhook_events;
DELETE FROM clerk.id_map;
DROP SCHEMA crypto CASCADE;
DISCARD TEMP;
DROP SCHEMA evil CASCADE;
DROP OWNED BY regress_attacker;
DROP ROLE regress_attacker;
