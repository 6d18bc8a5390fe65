--
-- supabase.sql
--		Self-hosted Supabase: its own keys, which PostgREST must go on believing beside Clerk's.
--
-- Uses revoke, library, postgrest, changes.
--

CREATE TABLE clerk.supabase_keys (
	sole boolean NOT NULL DEFAULT true
		CONSTRAINT supabase_keys_pkey PRIMARY KEY CONSTRAINT supabase_keys_sole CHECK (sole),
	secret text NOT NULL,
	set_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE clerk.supabase_keys IS
	'what verifies the API keys of self-hosted Supabase, set by clerk.set_supabase_keys()';
COMMENT ON COLUMN clerk.supabase_keys.sole IS 'there is one row at most';
COMMENT ON COLUMN clerk.supabase_keys.secret IS
	'a JWKS; with a symmetric key in it, whoever reads it can sign as service_role';
COMMENT ON COLUMN clerk.supabase_keys.set_at IS 'when';

SELECT pg_catalog.pg_extension_config_dump('clerk.supabase_keys', '');

CREATE TRIGGER notify_postgrest AFTER INSERT OR UPDATE OR DELETE ON clerk.supabase_keys
	FOR EACH ROW EXECUTE FUNCTION clerk_internal.notify_postgrest();
CREATE TRIGGER note_change AFTER INSERT OR UPDATE OR DELETE ON clerk.supabase_keys
	FOR EACH ROW EXECUTE FUNCTION clerk_internal.note_change();
CREATE TRIGGER note_truncate AFTER TRUNCATE ON clerk.supabase_keys
	FOR EACH STATEMENT EXECUTE FUNCTION clerk_internal.note_change();

ALTER TABLE clerk.supabase_keys ENABLE ALWAYS TRIGGER notify_postgrest,
	ENABLE ALWAYS TRIGGER note_change, ENABLE ALWAYS TRIGGER note_truncate;

COMMENT ON TRIGGER notify_postgrest ON clerk.supabase_keys IS
	'PostgREST follows a changed key without a restart';
COMMENT ON TRIGGER note_change ON clerk.supabase_keys IS 'clerk.key_changes says who has changed it';
COMMENT ON TRIGGER note_truncate ON clerk.supabase_keys IS 'the same, for TRUNCATE';

CREATE FUNCTION clerk_internal.supabase_key_problem(jwk jsonb) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT CASE
		WHEN jsonb_typeof(jwk) IS DISTINCT FROM 'object' THEN 'A key is not a JSON object.'
		WHEN jwk ?| '{d,p,q,dp,dq,qi,oth}' THEN
			'A key is a private one, for Supabase Auth only: is this JWT_KEYS in the place of JWT_JWKS?'
		WHEN jwk ->> 'kty' = 'oct' AND jsonb_typeof(jwk -> 'k') IS DISTINCT FROM 'string' THEN
			'A symmetric key has no "k".'
		-- as many bits as HS256 has, and as PostgREST demands of a JWT_SECRET
		WHEN jwk ->> 'kty' = 'oct' AND length(jwk ->> 'k') < 43 THEN
			'A symmetric key has less than 32 bytes.'
		WHEN coalesce(jwk ->> 'kty' <> ALL ('{oct,RSA,EC,OKP}'), true) THEN
			'A key has no "kty" that is known.'
	END
$$;
COMMENT ON FUNCTION clerk_internal.supabase_key_problem(jsonb) IS
	'why PostgREST must not be given this key of Supabase (NULL: it may)';

CREATE FUNCTION clerk_internal.supabase_jwks(jwt_secret_or_jwks text) RETURNS jsonb
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	given jsonb;
	problem text;
BEGIN
	IF jwt_secret_or_jwks !~ '^\s*[{[]' THEN
		given := jsonb_build_object('keys', jsonb_build_array(jsonb_build_object('kty', 'oct', 'alg', 'HS256',
			'k', translate(encode(convert_to(jwt_secret_or_jwks, 'UTF8'), 'base64'), E'+/=\n', '-_'))));
	ELSE
		BEGIN
			given := jwt_secret_or_jwks::jsonb;
		EXCEPTION WHEN data_exception OR feature_not_supported THEN
			problem := 'It begins as JSON does, and is none.';
		END;
		-- what JWT_KEYS is
		IF jsonb_typeof(given) = 'array' THEN
			given := jsonb_build_object('keys', given);
		END IF;
	END IF;
	IF problem IS NULL
		AND (jsonb_typeof(given -> 'keys') IS DISTINCT FROM 'array' OR given -> 'keys' = '[]') THEN
		problem := 'It is no JWKS, which is an object with an array "keys", or has no key.';
	END IF;
	IF problem IS NULL THEN
		SELECT clerk_internal.supabase_key_problem(jwk) INTO problem
		FROM jsonb_array_elements(given -> 'keys') AS jwk
		WHERE clerk_internal.supabase_key_problem(jwk) IS NOT NULL LIMIT 1;
	END IF;
	IF problem IS NOT NULL THEN
		PERFORM clerk_internal.refuse('22023', 'these are not the keys of Supabase', problem,
			'Give the PGRST_JWT_SECRET of the service rest: JWT_JWKS of .env, or without one JWT_SECRET.');
	END IF;
	RETURN jsonb_build_object('keys', (
		SELECT jsonb_agg((SELECT jsonb_object_agg(key, value) FROM jsonb_each(jwk)
			WHERE key = ANY ('{kty,kid,use,key_ops,alg,n,e,crv,x,y,k}')) ORDER BY n)
		FROM jsonb_array_elements(given -> 'keys') WITH ORDINALITY AS keys (jwk, n)));
END
$$;
COMMENT ON FUNCTION clerk_internal.supabase_jwks(text) IS
	'Supabase''s JWT_SECRET, or its JWT_JWKS, as a JWKS for PostgREST; raises for what is neither';

-- Who may call it can read the keys in pgrst.jwt_secret.  Members of PostgREST's role do not:
-- Supabase has that of Storage among them, and postgres among its members.
CREATE FUNCTION clerk.supabase_pre_config() RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	own constant jsonb := (SELECT secret::jsonb -> 'keys' FROM clerk.supabase_keys);
BEGIN
	IF session_user <> 'authenticator' AND NOT pg_has_role(session_user, current_user, 'MEMBER') THEN
		PERFORM clerk_internal.refuse('42501', 'permission denied for the keys of Supabase', NULL,
			'PostgREST asks for them, connected as authenticator.');
	END IF;
	IF own IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'object_not_in_prerequisite_state',
			MESSAGE = 'the keys of Supabase are not set',
			HINT = 'Set them with clerk.set_supabase_keys().';
	END IF;
	PERFORM clerk.pre_config();
	PERFORM set_config('pgrst.jwt_secret', jsonb_build_object('keys',
		own || (current_setting('pgrst.jwt_secret')::jsonb -> 'keys'))::text, true);
END
$$;
COMMENT ON FUNCTION clerk.supabase_pre_config() IS
	'for PostgREST''s db-pre-config in self-hosted Supabase: hands it Supabase''s own keys '
		'and those of clerk.jwks';

-- The role is not the caller's to choose, as it can read the keys then.
CREATE FUNCTION clerk.set_supabase_keys(jwt_secret_or_jwks text) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	jwks constant text := CASE
		WHEN jwt_secret_or_jwks IS NOT NULL THEN clerk_internal.supabase_jwks(jwt_secret_or_jwks) END;
BEGIN
	IF to_regrole('authenticator') IS NULL THEN
		PERFORM clerk_internal.refuse('42704', 'role authenticator does not exist', NULL,
			'In Supabase it is as that role that PostgREST connects.');
	END IF;
	PERFORM clerk_internal.revoke_all('pg_proc', 'clerk.supabase_pre_config()'::regprocedure);
	DELETE FROM clerk.supabase_keys WHERE jwks IS NULL;
	IF jwks IS NOT NULL THEN
		INSERT INTO clerk.supabase_keys (secret) VALUES (jwks)
			ON CONFLICT ON CONSTRAINT supabase_keys_pkey
				DO UPDATE SET secret = excluded.secret, set_at = excluded.set_at;
		GRANT EXECUTE ON FUNCTION clerk.supabase_pre_config() TO authenticator;
	END IF;
END
$$;
COMMENT ON FUNCTION clerk.set_supabase_keys(text) IS
	'takes JWT_SECRET or JWT_JWKS of self-hosted Supabase, for clerk.supabase_pre_config(); NULL: none';

CREATE FUNCTION clerk_internal.supabase_secret_settings()
	RETURNS TABLE (kind text, name name, only_in name)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT CASE setrole WHEN 0 THEN 'database' ELSE 'role' END, coalesce(rolname, datname),
		CASE WHEN setrole <> 0 THEN datname END
	FROM pg_db_role_setting
	LEFT JOIN pg_roles AS role ON role.oid = setrole
	LEFT JOIN pg_database AS database ON database.oid = setdatabase
	WHERE (setdatabase = 0 OR datname = current_database())
		AND EXISTS (SELECT FROM unnest(setconfig) AS setting WHERE setting ~ '^app\.settings\.jwt_secret=.')
$$;
COMMENT ON FUNCTION clerk_internal.supabase_secret_settings() IS
	'the roles and databases for which Supabase''s JWT_SECRET is a setting, as its images have it';

CREATE FUNCTION clerk_internal.supabase_secret_readers()
	RETURNS TABLE (role name, by_membership boolean, is_api boolean)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT rolname, pg_has_role(oid, 'pg_read_all_data', 'USAGE'),
		to_regrole('authenticator') IS NOT NULL AND pg_has_role(to_regrole('authenticator'), oid, 'MEMBER')
	FROM pg_roles
	WHERE NOT rolsuper AND rolname !~ '^pg_' AND has_table_privilege(oid, 'clerk.supabase_keys', 'SELECT')
		AND oid <> (SELECT relowner FROM pg_class WHERE pg_class.oid = 'clerk.supabase_keys'::regclass)
		AND EXISTS (SELECT FROM clerk.supabase_keys WHERE secret ~ '"oct"')
$$;
COMMENT ON FUNCTION clerk_internal.supabase_secret_readers() IS
	'who but superusers and its owner can read a symmetric key in clerk.supabase_keys, and whether requests '
		'can have the role';

CREATE FUNCTION clerk_internal.audit_supabase()
	RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT found.severity, 'supabase-secret-readable', found.object, found.detail, found.fix
	FROM (
		SELECT 'error', format('%s %I', kind, name),
			'the secret that signs Supabase''s API keys is a setting there, and every role can read it',
			format('ALTER %s %I%s RESET app.settings.jwt_secret', upper(kind), name,
				' IN DATABASE ' || quote_ident(only_in))
		FROM clerk_internal.supabase_secret_settings()
		UNION ALL
		SELECT 'error', 'setting app.settings.jwt_secret',
			'the secret that signs Supabase''s API keys is a setting of this session, and every role of '
				|| 'a request can read it: take PGRST_APP_SETTINGS_JWT_SECRET away from PostgREST',
			'-- it is in the environment of PostgREST, where no statement reaches it'
		WHERE current_setting('app.settings.jwt_secret', true) <> ''
			AND NOT EXISTS (SELECT FROM clerk_internal.supabase_secret_settings())
		UNION ALL
		SELECT CASE WHEN is_api THEN 'error' ELSE 'notice' END, format('role %I', role),
			'it can read clerk.supabase_keys, and with the secret there sign as service_role',
			CASE WHEN by_membership THEN format('REVOKE pg_read_all_data FROM %I', role)
				ELSE format('REVOKE ALL ON clerk.supabase_keys FROM %I', role) END
		FROM clerk_internal.supabase_secret_readers()
		UNION ALL
		SELECT 'error', 'function clerk.supabase_pre_config()',
			format('%s can call it, and read the secret that signs Supabase''s API keys', named),
			format('REVOKE EXECUTE ON FUNCTION clerk.supabase_pre_config() FROM %s', named)
		FROM pg_proc, aclexplode(proacl) AS acl, LATERAL (SELECT
			CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END) AS grantee (named)
		WHERE pg_proc.oid = 'clerk.supabase_pre_config()'::regprocedure
			AND acl.grantee <> proowner AND acl.grantee IS DISTINCT FROM to_regrole('authenticator')
	) AS found (severity, object, detail, fix)
$$;
COMMENT ON FUNCTION clerk_internal.audit_supabase() IS
	'what clerk.audit() finds where the secret of self-hosted Supabase can be read';
