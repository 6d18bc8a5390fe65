--
-- settings.sql
--		Which flavour this is, and who is believed.
--
-- Uses library.
--

CREATE FUNCTION clerk.version() RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN '@VERSION@ (hosted)';
COMMENT ON FUNCTION clerk.version() IS 'the version, and whether it is the extension or the hosted file';

CREATE TABLE clerk.settings (
	name text COLLATE "C" CONSTRAINT settings_pkey PRIMARY KEY,
	value text NOT NULL,
	CONSTRAINT settings_value CHECK (CASE name WHEN 'verify' THEN value IN ('claims', 'signature') WHEN 'anon_role' THEN true ELSE false END)
);
COMMENT ON TABLE clerk.settings IS 'who is believed, and as which role anonymous requests run';
COMMENT ON COLUMN clerk.settings.name IS
	'verify: whether the signature of a token is verified here, or the gateway''s claims are believed; '
	'anon_role: PostgREST''s db-anon-role';
COMMENT ON COLUMN clerk.settings.value IS 'for verify: claims or signature';

-- On Supabase whoever could set request.jwt.claims as the authenticator could as well become
-- service_role, so that nothing is lost by believing them. Elsewhere it would be.
INSERT INTO clerk.settings
	SELECT 'verify', CASE WHEN EXISTS (
			SELECT FROM pg_catalog.pg_roles AS gateway, pg_catalog.pg_roles AS service
			WHERE gateway.rolname = 'authenticator' AND service.rolname = 'service_role' AND service.rolbypassrls
				AND pg_catalog.pg_has_role(gateway.oid, service.oid, 'MEMBER')) THEN 'claims' ELSE 'signature' END
	UNION ALL SELECT 'anon_role', 'anon'
	ON CONFLICT DO NOTHING;

CREATE FUNCTION clerk_internal.anon_role() RETURNS text
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT value FROM clerk.settings WHERE name = 'anon_role' $$;
COMMENT ON FUNCTION clerk_internal.anon_role() IS 'the role as which PostgREST runs anonymous requests';

CREATE FUNCTION clerk_internal.believes_claims() RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT coalesce((SELECT value = 'claims' FROM clerk.settings WHERE name = 'verify'), false) $$;
COMMENT ON FUNCTION clerk_internal.believes_claims() IS 'whether request.jwt.claims are believed';

CREATE FUNCTION clerk_internal.is_own(catalog regclass, object oid) RETURNS boolean
	LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT coalesce((SELECT i.schema IN ('clerk', 'clerk_internal') FROM pg_identify_object(catalog, object, 0) AS i), false)
$$;
COMMENT ON FUNCTION clerk_internal.is_own(regclass, oid) IS 'whether an object is one of clerk_rls';
