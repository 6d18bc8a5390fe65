--
-- postgrest.sql
--		What PostgREST is told: the keys, and when they change.
--
-- Uses keys.
--

CREATE FUNCTION clerk_internal.notify_postgrest() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	PERFORM pg_catalog.pg_notify('pgrst', 'reload config');
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION clerk_internal.notify_postgrest() IS
	'trigger: makes PostgREST call clerk.pre_config() again';

CREATE TRIGGER notify_postgrest AFTER INSERT OR UPDATE OR DELETE ON clerk.jwks
	FOR EACH ROW EXECUTE FUNCTION clerk_internal.notify_postgrest();
CREATE TRIGGER notify_postgrest_truncate AFTER TRUNCATE ON clerk.jwks
	FOR EACH STATEMENT EXECUTE FUNCTION clerk_internal.notify_postgrest();

ALTER TABLE clerk.jwks ENABLE ALWAYS TRIGGER notify_postgrest;
ALTER TABLE clerk.jwks ENABLE ALWAYS TRIGGER notify_postgrest_truncate;

COMMENT ON TRIGGER notify_postgrest ON clerk.jwks IS 'PostgREST follows a changed key without a restart';
COMMENT ON TRIGGER notify_postgrest_truncate ON clerk.jwks IS 'the same, for TRUNCATE';

CREATE FUNCTION clerk.pre_config() RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	PERFORM set_config('pgrst.jwt_secret',
		json_build_object('keys',
			coalesce(json_agg(CASE WHEN key.any_kid THEN key.jwk OPERATOR(pg_catalog.-) 'kid' ELSE key.jwk END
			ORDER BY key.issuer, key.kid), '[]'))::text, true)
	FROM clerk.jwks AS key
	WHERE key.expires_at IS NULL OR key.expires_at OPERATOR(pg_catalog.>) now();
END
$$;
COMMENT ON FUNCTION clerk.pre_config() IS 'for PostgREST''s db-pre-config: hands it the keys of clerk.jwks';
