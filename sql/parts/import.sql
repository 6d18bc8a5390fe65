--
-- import.sql
--		What was there before the first webhook, and what was missed.
--
-- Uses instances, profiles, events.
--

CREATE FUNCTION clerk_internal.objects_of_page(page jsonb) RETURNS SETOF jsonb
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	objects constant jsonb := CASE jsonb_typeof(page) WHEN 'object' THEN page -> 'data' ELSE page END;
BEGIN
	IF jsonb_typeof(objects) IS DISTINCT FROM 'array' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'this is no page of a list',
			DETAIL = 'It must be a JSON array, or an object with an array "data", as Clerk''s Backend API '
				'answers.';
	END IF;
	RETURN QUERY SELECT jsonb_array_elements(objects);
END
$$;
COMMENT ON FUNCTION clerk_internal.objects_of_page(jsonb) IS
	'the objects in a page of a list of Clerk''s Backend API';

CREATE FUNCTION clerk_internal.sole_issuer(issuer text) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF issuer IS NULL THEN
		SELECT i.issuer INTO STRICT sole_issuer.issuer FROM clerk.instances AS i;
	END IF;
	RETURN issuer;
EXCEPTION WHEN no_data_found OR too_many_rows THEN
	RAISE EXCEPTION USING
		ERRCODE = 'invalid_parameter_value',
		MESSAGE = 'name the issuer, unless exactly one instance is registered';
END
$$;
COMMENT ON FUNCTION clerk_internal.sole_issuer(text) IS 'the issuer, or that of the only instance';

-- In the order of the ids, so that two pages at the same time wait for each other only one way.
CREATE FUNCTION clerk.import_users(page jsonb, issuer text DEFAULT NULL) RETURNS bigint
	LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT count(clerk_internal.apply_user(clerk_internal.sole_issuer(issuer), object,
		clerk_internal.ms_to_timestamptz(object ->> 'updated_at'), false)::text)
	FROM (SELECT object FROM clerk_internal.objects_of_page(page) AS object
		ORDER BY object ->> 'id') AS ordered
$$;
COMMENT ON FUNCTION clerk.import_users(jsonb, text) IS
	'imports a page of users of Clerk''s Backend API; returns their number';

CREATE FUNCTION clerk.import_organizations(page jsonb, issuer text DEFAULT NULL) RETURNS bigint
	LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT count(clerk_internal.apply_organization(clerk_internal.sole_issuer(issuer), object,
		clerk_internal.ms_to_timestamptz(object ->> 'updated_at'), false)::text)
	FROM (SELECT object FROM clerk_internal.objects_of_page(page) AS object
		ORDER BY object ->> 'id') AS ordered
$$;
COMMENT ON FUNCTION clerk.import_organizations(jsonb, text) IS
	'imports a page of organizations of Clerk''s Backend API; returns their number';

CREATE FUNCTION clerk.import_memberships(page jsonb, issuer text DEFAULT NULL) RETURNS bigint
	LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT count(clerk_internal.apply_membership(clerk_internal.sole_issuer(issuer), object,
		clerk_internal.ms_to_timestamptz(object ->> 'updated_at'), false)::text)
	FROM (SELECT object FROM clerk_internal.objects_of_page(page) AS object
		ORDER BY object ->> 'id') AS ordered
$$;
COMMENT ON FUNCTION clerk.import_memberships(jsonb, text) IS
	'imports a page of memberships of Clerk''s Backend API; returns their number';

CREATE FUNCTION clerk.drift(tab regclass, page jsonb) RETURNS TABLE (id text, difference text)
	LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF tab IS NULL OR tab <> ALL (
		'{clerk.user_profiles,clerk.org_profiles,clerk.org_memberships}'::regclass[]) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE =
				'only clerk.user_profiles, clerk.org_profiles and clerk.org_memberships can be compared';
	END IF;
	RETURN QUERY EXECUTE format($compare$
		SELECT object ->> 'id', CASE
			WHEN here.clerk_id IS NULL THEN 'missing here'
			WHEN here.deleted_at IS NOT NULL THEN 'deleted here'
			WHEN here.updated_at < clerk_internal.ms_to_timestamptz(object ->> 'updated_at') THEN 'older here'
			WHEN here.updated_at > clerk_internal.ms_to_timestamptz(object ->> 'updated_at') THEN 'newer here'
			ELSE 'different' END
		FROM clerk_internal.objects_of_page($1) AS object LEFT
			JOIN %s AS here ON here.clerk_id = object ->> 'id'
		WHERE here.clerk_id IS NULL OR here.deleted_at IS NOT NULL
			OR here.updated_at IS DISTINCT FROM clerk_internal.ms_to_timestamptz(object ->> 'updated_at')
			OR here.payload <> clerk_internal.without_private(object)
		ORDER BY 1
		$compare$, tab) USING page;
END
$$;
COMMENT ON FUNCTION clerk.drift(regclass, jsonb) IS
	'compares a page of Clerk''s Backend API with clerk.user_profiles, org_profiles or org_memberships; '
	'clerk.import_...() repairs what differs';
