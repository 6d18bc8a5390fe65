--
-- settings.sql
--		Which flavour this is, and what else differs between the extension and the hosted file.
--
-- Uses library.
--

CREATE FUNCTION clerk.version() RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT extversion || ' (extension)' FROM pg_extension WHERE extname = 'clerk_rls' $$;
COMMENT ON FUNCTION clerk.version() IS 'the version, and whether it is the extension or the hosted file';

CREATE FUNCTION clerk_internal.anon_role() RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	PERFORM clerk.is_authenticated();	-- loads the library, which knows the setting
	RETURN current_setting('clerk.anon_role');
END
$$;
COMMENT ON FUNCTION clerk_internal.anon_role() IS 'the role as which PostgREST runs anonymous requests';

-- A view, since here nothing can be chosen: signatures are verified always.
CREATE VIEW clerk.settings AS
	SELECT 'verify' AS name, 'signature' AS value
	UNION ALL SELECT 'anon_role', clerk_internal.anon_role();
COMMENT ON VIEW clerk.settings IS
	'who is believed, and as which role anonymous requests run; with the hosted file a table';
COMMENT ON COLUMN clerk.settings.name IS
	'verify: whether the signature of a token is verified here, or the gateway''s claims are believed; '
	'anon_role: PostgREST''s db-anon-role';
COMMENT ON COLUMN clerk.settings.value IS 'for verify: claims or signature';

CREATE FUNCTION clerk_internal.is_own(catalog regclass, object oid) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT EXISTS (
		SELECT FROM pg_depend
		WHERE classid = catalog AND objid = object AND deptype = 'e' AND refclassid = 'pg_extension'::regclass
			AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'clerk_rls'))
$$;
COMMENT ON FUNCTION clerk_internal.is_own(regclass, oid) IS 'whether an object is one of clerk_rls';

CREATE FUNCTION clerk_internal.handler_role() RETURNS oid
	LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT NULL::oid $$;
COMMENT ON FUNCTION clerk_internal.handler_role() IS
	'the only role whose functions handle events; NULL: each runs as its owner, whoever that is';

CREATE FUNCTION clerk_internal.once(call text) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT call $$;
COMMENT ON FUNCTION clerk_internal.once(text) IS
	'a call of a function of clerk as policies are to have it, as PostgreSQL prints it: here as it is';

CREATE FUNCTION clerk_internal.audit_flavour()
	RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT NULL::text, NULL::text, NULL::text, NULL::text, NULL::text WHERE false $$;
COMMENT ON FUNCTION clerk_internal.audit_flavour() IS
	'what clerk.audit() finds that only the hosted file can have: nothing';
