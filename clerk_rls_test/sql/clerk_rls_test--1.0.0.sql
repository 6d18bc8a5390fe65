/* clerk_rls_test/sql/clerk_rls_test--1.0.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION clerk_rls_test" to load this file. \quit

-- Made here, so that it belongs to the extension: nobody can have put anything into it before.
CREATE SCHEMA clerk_test;
COMMENT ON SCHEMA clerk_test IS 'clerk_rls_test: signs in anybody, to test policies; never for production';

CREATE TABLE clerk_test.private_key (der bytea NOT NULL);
COMMENT ON TABLE clerk_test.private_key IS
	'the private key of the throw-away instance; a role that connects as one with SELECT on it may sign in anybody; pg_dump leaves it out';
COMMENT ON COLUMN clerk_test.private_key.der IS 'RSA of 2048 bits, in DER form';

CREATE FUNCTION clerk_test.generate_key(OUT private_key bytea, OUT public_key bytea)
	AS 'MODULE_PATHNAME', 'clerk_rls_test_generate_key' LANGUAGE C;
COMMENT ON FUNCTION clerk_test.generate_key() IS 'a new key pair, in DER form';

CREATE FUNCTION clerk_test.sign(private_key bytea, text bytea) RETURNS bytea
	AS 'MODULE_PATHNAME', 'clerk_rls_test_sign' LANGUAGE C IMMUTABLE STRICT;
COMMENT ON FUNCTION clerk_test.sign(bytea, bytea) IS 'the RS256 signature of some bytes';

--
-- Never beside a production instance
--

CREATE FUNCTION clerk_test.check() RETURNS void
	LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF EXISTS (SELECT FROM clerk.instances WHERE publishable_key OPERATOR(pg_catalog.^@) 'pk_live_') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'object_not_in_prerequisite_state',
			MESSAGE = 'clerk_rls_test is not for production',
			DETAIL = 'clerk.instances has an instance whose publishable key begins with pk_live_.',
			HINT = 'Test in a database of its own. DROP EXTENSION clerk_rls_test, if it is here.';
	-- session_user, as the test may have become anybody with SET ROLE
	ELSIF NOT has_table_privilege(session_user, 'clerk_test.private_key', 'SELECT') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'insufficient_privilege',
			MESSAGE = format('role %I may not sign in as others', session_user),
			HINT = format('Connect as a superuser, or, as one, GRANT SELECT ON clerk_test.private_key TO %I.', session_user);
	END IF;
END
$$;
COMMENT ON FUNCTION clerk_test.check() IS
	'raises beside a production instance, and for roles that connected without the right to read the private key';

CREATE FUNCTION clerk_test.refuse_production() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	RAISE EXCEPTION USING
		ERRCODE = 'object_not_in_prerequisite_state',
		MESSAGE = 'clerk_rls_test is not for production',
		DETAIL = 'A publishable key that begins with pk_live_ is that of a production instance.',
		HINT = 'Run DROP EXTENSION clerk_rls_test first, or take a development instance (pk_test_).';
END
$$;
COMMENT ON FUNCTION clerk_test.refuse_production() IS 'trigger: no production instance is added while the extension is there';

CREATE TRIGGER refuse_production BEFORE INSERT OR UPDATE OF publishable_key ON clerk.instances
	FOR EACH ROW WHEN (NEW.publishable_key OPERATOR(pg_catalog.^@) 'pk_live_')
	EXECUTE FUNCTION clerk_test.refuse_production();
ALTER TABLE clerk.instances ENABLE ALWAYS TRIGGER refuse_production;
ALTER TRIGGER refuse_production ON clerk.instances DEPENDS ON EXTENSION clerk_rls_test;
COMMENT ON TRIGGER refuse_production ON clerk.instances IS 'clerk_rls_test is not for production';
-- now that nobody can add one any more
SELECT clerk_test.check();

--
-- The throw-away instance
--

DO $$
DECLARE
	pair record := clerk_test.generate_key();
BEGIN
	INSERT INTO clerk_test.private_key VALUES (pair.private_key);
	PERFORM clerk.add_instance('https://clerk.test.invalid');
	PERFORM clerk.load_pem('https://clerk.test.invalid', pg_catalog.encode(pair.public_key, 'base64'), 'ins_clerk_rls_test');
	-- nobody publishes its key
	UPDATE clerk.instances SET jwks_url = NULL WHERE issuer OPERATOR(pg_catalog.=) 'https://clerk.test.invalid';
END
$$;

CREATE FUNCTION clerk_test.before_drop() RETURNS event_trigger
	AS 'MODULE_PATHNAME', 'clerk_rls_test_before_drop' LANGUAGE C;
COMMENT ON FUNCTION clerk_test.before_drop() IS 'event trigger: the instance and its key go before the extension does';

CREATE EVENT TRIGGER clerk_rls_test_before_drop ON ddl_command_start WHEN TAG IN ('DROP EXTENSION')
	EXECUTE FUNCTION clerk_test.before_drop();
ALTER EVENT TRIGGER clerk_rls_test_before_drop ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER clerk_rls_test_before_drop IS 'DROP EXTENSION clerk_rls_test leaves no instance and no key behind';

--
-- Tokens
--

CREATE FUNCTION clerk_test.base64url(bytes bytea) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$ SELECT translate(encode(bytes, 'base64'), E'+/=\n', '-_') $$;
COMMENT ON FUNCTION clerk_test.base64url(bytea) IS 'unpadded base64url, as tokens are written';

CREATE FUNCTION clerk_test.token(claims jsonb) RETURNS text
	LANGUAGE plpgsql STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	header constant jsonb := '{"alg": "RS256", "kid": "ins_clerk_rls_test", "typ": "JWT"}';
	iat constant bigint := floor(extract(epoch FROM statement_timestamp()));
	payload jsonb;
	input text;
BEGIN
	PERFORM clerk_test.check();
	SELECT jsonb_object_agg(key, value) INTO payload
	FROM jsonb_each(jsonb_build_object('iss', 'https://clerk.test.invalid', 'sid', 'sess_' || (claims ->> 'sub'),
		'iat', iat, 'exp', iat + 86400, 'v', 2) || claims)
	WHERE value <> 'null';
	input := clerk_test.base64url(convert_to(header::text, 'UTF8')) || '.' || clerk_test.base64url(convert_to(payload::text, 'UTF8'));
	RETURN input || '.' || clerk_test.base64url(clerk_test.sign(der, convert_to(input, 'UTF8'))) FROM clerk_test.private_key;
END
$$;
COMMENT ON FUNCTION clerk_test.token(jsonb) IS
	'a token of the throw-away instance with these claims; iss, sid, iat, exp (a day) and v are added, unless given, or null';

CREATE FUNCTION clerk_test.with_scope(slugs text[], scope text) RETURNS text[]
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	slug text;
BEGIN
	FOREACH slug IN ARRAY coalesce(slugs, '{}') LOOP
		IF (slug ~ '^([ou]:)?[^:,[:space:]]+$') IS NOT TRUE THEN
			RAISE EXCEPTION USING
				ERRCODE = 'invalid_parameter_value',
				MESSAGE = format('no token can have the feature or plan %s', quote_nullable(slug)),
				DETAIL = 'It must be a slug such as pro, or that of an organization, o:pro, or of a user, u:pro.';
		END IF;
	END LOOP;
	RETURN ARRAY(SELECT DISTINCT CASE WHEN s ~ '^[ou]:' THEN s ELSE scope || s END COLLATE "C" FROM unnest(slugs) AS s ORDER BY 1);
END
$$;
COMMENT ON FUNCTION clerk_test.with_scope(text[], text) IS 'slugs of features or plans as they stand in tokens, sorted';

CREATE FUNCTION clerk_test.permission_names(permissions text[]) RETURNS text[]
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	permission text;
BEGIN
	FOREACH permission IN ARRAY coalesce(permissions, '{}') LOOP
		IF (permission ~ '^(org:)?(?!org:|sys_)[^:,[:space:]]+:[^,[:space:]]+$') IS NOT TRUE THEN
			RAISE EXCEPTION USING
				ERRCODE = 'invalid_parameter_value',
				MESSAGE = format('no token can have the permission %s', quote_nullable(permission)),
				DETAIL = 'It must be org:<feature>:<permission>. Clerk puts system permissions (org:sys_...) into no token.';
		END IF;
	END LOOP;
	RETURN ARRAY(SELECT DISTINCT regexp_replace(p, '^org:', '') COLLATE "C" FROM unnest(permissions) AS p ORDER BY 1);
END
$$;
COMMENT ON FUNCTION clerk_test.permission_names(text[]) IS 'permissions without org:, sorted; raises for what Clerk would not put into a token';

-- A v2 token has the features (fea), the names of permissions (per), and for each feature of
-- the organization a number (fpm), in which a bit stands for each name.
CREATE FUNCTION clerk_test.org_claims(org text, role text, permissions text[], features text[]) RETURNS jsonb
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	per text[] := ARRAY(SELECT DISTINCT substr(p, strpos(p, ':') + 1) COLLATE "C" FROM unnest(permissions) AS p ORDER BY 1);
	fpm text[] := ARRAY(
		SELECT (SELECT coalesce(trunc(sum(2::numeric ^ (bit - 1))), 0)
			FROM unnest(per) WITH ORDINALITY AS name (name, bit)
			WHERE substr(feature, 3) || ':' || name = ANY (permissions))
		FROM unnest(features) WITH ORDINALITY AS listed (feature, place)
		WHERE feature ^@ 'o:' ORDER BY place);
BEGIN
	IF org IS NULL THEN
		RETURN NULL;
	END IF;
	RETURN jsonb_strip_nulls(jsonb_build_object('id', org, 'rol', regexp_replace(coalesce(role, 'member'), '^org:', ''),
		'per', nullif(array_to_string(per, ','), ''),
		'fpm', CASE WHEN per <> '{}' THEN array_to_string(fpm, ',') END));
END
$$;
COMMENT ON FUNCTION clerk_test.org_claims(text, text, text[], text[]) IS 'the claim "o", from permissions without org: and the entries of "fea"';

CREATE FUNCTION clerk_test.claims(
	user_id text,
	org text DEFAULT NULL,
	role text DEFAULT NULL,
	permissions text[] DEFAULT '{}',
	features text[] DEFAULT '{}',
	plans text[] DEFAULT '{}',
	claims jsonb DEFAULT '{}') RETURNS jsonb
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	scope constant text := CASE WHEN org IS NULL THEN 'u:' ELSE 'o:' END;
	granted constant text[] := clerk_test.permission_names(permissions);
	fea constant text[] := clerk_test.with_scope(features || ARRAY(SELECT 'o:' || split_part(p, ':', 1) FROM unnest(granted) AS p), scope);
	pla constant text[] := clerk_test.with_scope(plans, scope);
	o jsonb := clerk_test.org_claims(org, role, granted, fea);
BEGIN
	PERFORM clerk_test.check();
	IF org IS NULL AND (role IS NOT NULL OR granted <> '{}') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'a role and permissions are those of an organization',
			HINT = 'Give the organization''s id, too.';
	END IF;
	IF jsonb_typeof(claims -> 'o') = 'object' THEN
		o := coalesce(o, '{}') || (claims -> 'o');
	END IF;
	RETURN jsonb_strip_nulls(jsonb_build_object('sub', user_id, 'o', o,
		'fea', nullif(array_to_string(fea, ','), ''), 'pla', nullif(array_to_string(pla, ','), '')))
		|| claims || CASE WHEN o IS NULL THEN '{}' ELSE jsonb_build_object('o', o) END;
END
$$;
COMMENT ON FUNCTION clerk_test.claims(text, text, text, text[], text[], text[], jsonb) IS
	'the claims of a user, perhaps in an organization, as a session token of Clerk has them; for clerk_test.token()';

--
-- Signing in and out.  Not SECURITY DEFINER, in which no role can be set; and for the session,
-- as whoever wants it for a transaction only rolls that back.
--

CREATE FUNCTION clerk_test.set_request(headers text, claims text, role text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	PERFORM clerk_test.check();
	PERFORM set_config('request.headers', headers, false), set_config('request.cookies', '{}', false),
		set_config('request.jwt.claims', claims, false), set_config('clerk.token', '', false);
	PERFORM set_config('role', role, false);
END
$$;
COMMENT ON FUNCTION clerk_test.set_request(text, text, text) IS 'sets what PostgREST sets before a request';

CREATE FUNCTION clerk_test.login(
	user_id text,
	org text DEFAULT NULL,
	role text DEFAULT NULL,
	permissions text[] DEFAULT '{}',
	features text[] DEFAULT '{}',
	plans text[] DEFAULT '{}',
	claims jsonb DEFAULT '{}') RETURNS text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	token constant text := clerk_test.token(clerk_test.claims(user_id, org, role, permissions, features, plans, claims));
	verified constant jsonb := clerk.verify(token);
	anon constant text := clerk_internal.anon_role();
BEGIN
	PERFORM clerk_test.set_request(
		jsonb_build_object('authorization', 'Bearer ' || token)::text,
		(jsonb_build_object('role', anon) || verified)::text,
		coalesce(verified ->> 'role', anon));
	PERFORM clerk.pre_request();
	-- what it has set for the transaction only
	PERFORM set_config('role', current_setting('role'), false);
	RETURN clerk.uid();
END
$$;
COMMENT ON FUNCTION clerk_test.login(text, text, text, text[], text[], text[], jsonb) IS
	'makes the rest of the session, or of a transaction that is rolled back, a request of that user, as PostgREST would; returns the user id';

CREATE FUNCTION clerk_test.logout() RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	PERFORM clerk_test.set_request('{}', jsonb_build_object('role', clerk_internal.anon_role())::text,
		clerk_internal.anon_role());
END
$$;
COMMENT ON FUNCTION clerk_test.logout() IS 'makes the rest an anonymous request';

CREATE FUNCTION clerk_test.reset() RETURNS void
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk_test.set_request('', '', 'none') $$;
COMMENT ON FUNCTION clerk_test.reset() IS 'ends the request: back to the role that connected, and to nobody';

--
-- Privileges: those that a test needs whatever role it has become.  check() asks who connected.
--

DO $$
DECLARE
	grantee text;
BEGIN
	FOR grantee IN
		SELECT DISTINCT CASE WHEN acl.grantee = 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END
		FROM (
			SELECT relacl, relowner FROM pg_catalog.pg_class WHERE relnamespace = 'clerk_test'::regnamespace
			UNION ALL
			SELECT coalesce(proacl, pg_catalog.acldefault('f', proowner)), proowner
			FROM pg_catalog.pg_proc WHERE pronamespace = 'clerk_test'::regnamespace
		) AS object (acl, owner), pg_catalog.aclexplode(object.acl) AS acl
		WHERE acl.grantee <> object.owner
	LOOP
		EXECUTE pg_catalog.format('REVOKE ALL ON ALL TABLES IN SCHEMA clerk_test FROM %s', grantee);
		EXECUTE pg_catalog.format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA clerk_test FROM %s', grantee);
	END LOOP;
END
$$;

GRANT USAGE ON SCHEMA clerk_test TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk_test.check() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk_test.token(jsonb) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk_test.with_scope(text[], text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk_test.permission_names(text[]) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk_test.org_claims(text, text, text[], text[]) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk_test.claims(text, text, text, text[], text[], text[], jsonb) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk_test.set_request(text, text, text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk_test.login(text, text, text, text[], text[], text[], jsonb) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk_test.logout() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk_test.reset() TO PUBLIC;
