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
	CONSTRAINT settings_value
		CHECK (CASE name WHEN 'verify' THEN value IN ('claims', 'signature') WHEN 'anon_role' THEN true
		ELSE false END)
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
			WHERE gateway.rolname = 'authenticator' AND service.rolname = 'service_role'
				AND service.rolbypassrls
				AND pg_catalog.pg_has_role(gateway.oid, service.oid, 'MEMBER')) THEN 'claims'
					ELSE 'signature' END
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
	SELECT coalesce((SELECT i.schema IN ('clerk', 'clerk_internal')
		FROM pg_identify_object(catalog, object, 0) AS i), false)
$$;
COMMENT ON FUNCTION clerk_internal.is_own(regclass, oid) IS 'whether an object is one of clerk_rls';

-- A SECURITY DEFINER function cannot become another role, so that a handler of another role's would
-- run with the rights of this one.
CREATE FUNCTION clerk_internal.handler_role() RETURNS oid
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT nspowner FROM pg_namespace WHERE nspname = 'clerk' $$;
COMMENT ON FUNCTION clerk_internal.handler_role() IS
	'the only role whose functions handle events: the one that has run this file, and so receives webhooks';

CREATE FUNCTION clerk_internal.once(call text) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT format('( SELECT %s AS %s)', call, substring(call FROM '[.](\w+)[(]')) $$;
COMMENT ON FUNCTION clerk_internal.once(text) IS
	'a call of a function of clerk as policies are to have it, as PostgreSQL prints it: once a statement';

-- Not of what depends on the row; and where claims are believed clerk.uid() costs next to nothing.
CREATE FUNCTION clerk_internal.audit_flavour()
	RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
DECLARE
	call constant text := format('(?<!SELECT )(clerk[.](?:%s)[(](?:''[^()]*|VARIADIC ARRAY[^()]*)?[)])', CASE
		WHEN clerk_internal.believes_claims()
		THEN '(?!uid[(])\w+' ELSE '\w+' END);
BEGIN
	RETURN QUERY
		-- no statement: it would undo what other findings of the same policy mend
		SELECT 'warning', 'call-per-row', p.object, 'it calls '
			|| string_agg(DISTINCT matched[1], ', ' ORDER BY matched[1])
				|| ' once per row, where once a statement would do',
					'-- write (SELECT clerk...) there by hand'
		FROM clerk_internal.audited_policies() AS p, regexp_matches(p.expression, call, 'g') AS matched
		WHERE matched[1] !~ '^clerk[.]is_fellow_member'
		GROUP BY p.object
		UNION ALL
		-- but who can become a role that no policy counts for has nothing to gain
		SELECT 'warning', 'claims-believed', format('role %I', r.rolname),
			format('it can run SQL as %s, and so be any user, as request.jwt.claims are believed',
				string_agg(quote_ident(api), ', ' ORDER BY api)),
			'-- set verify to signature in clerk.settings, if it is none of the gateway''s, or take its '
				'rights away'
		FROM pg_roles AS r, clerk_internal.api_roles() AS api
		WHERE clerk_internal.believes_claims() AND r.rolcanlogin AND pg_has_role(r.oid, api, 'MEMBER')
			AND r.oid <> clerk_internal.handler_role() AND NOT EXISTS (
				SELECT FROM pg_roles AS other WHERE (other.rolsuper OR other.rolbypassrls)
					AND pg_has_role(r.oid, other.oid, 'MEMBER'))
		GROUP BY r.rolname;
END
$$;
COMMENT ON FUNCTION clerk_internal.audit_flavour() IS
	'what clerk.audit() finds that only the hosted file can have: calls that are made once per row, and '
	'roles that can be any user';
