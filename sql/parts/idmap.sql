--
-- idmap.sql
--		Clerk ids and local ids.
--
-- Uses library, instances.
--

-- Parsed here, so that no search_path matters.
CREATE FUNCTION clerk_internal.canonical_id(mapped_id text) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN CASE WHEN translate(mapped_id, '{}-', '') ~ '^[0-9A-Fa-f]{32}$'
		THEN lower(translate(mapped_id, '{}-', '')) ELSE mapped_id END;
COMMENT ON FUNCTION clerk_internal.canonical_id(text) IS
	'a local id such that equal ones are equal texts, however a UUID is spelled';

CREATE TABLE clerk.id_map (
	-- idmap.c knows the order of the columns up to mapped_id
	clerk_id text COLLATE "C" CONSTRAINT id_map_pkey PRIMARY KEY
		CONSTRAINT id_map_clerk_id CHECK (pg_catalog.length(clerk_id) BETWEEN 1 AND 255),
	mapped_id text COLLATE "C" NOT NULL
		CONSTRAINT id_map_mapped_id CHECK (pg_catalog.length(mapped_id) BETWEEN 1 AND 255),
	source regclass
);

-- A local id is one user's or one organization's; a UUID is the same however a cast lets it be spelled.
CREATE UNIQUE INDEX id_map_mapped_id_key ON clerk.id_map (
	(clerk_id OPERATOR(pg_catalog.^@) 'org_'),
	(clerk_internal.canonical_id(mapped_id)));

CREATE INDEX id_map_source_idx ON clerk.id_map (source) WHERE source IS NOT NULL;
COMMENT ON TABLE clerk.id_map IS
	'the local ids of Clerk users and organizations, for clerk.mapped_id() and its like';
COMMENT ON COLUMN clerk.id_map.clerk_id IS 'user_... or org_...';
COMMENT ON COLUMN clerk.id_map.mapped_id IS 'the local id, as text';
COMMENT ON COLUMN clerk.id_map.source IS
	'the table it comes from, see clerk.track_ids(); NULL: clerk.map_id()';
COMMENT ON INDEX clerk.id_map_mapped_id_key IS 'a local id belongs to one user, or one organization';
COMMENT ON INDEX clerk.id_map_source_idx IS 'the rows of a tracked table';

SELECT pg_catalog.pg_extension_config_dump('clerk.id_map', '');

CREATE FUNCTION clerk_internal.fits_id_type(mapped_id text, id_type text) RETURNS boolean
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT CASE id_type
		WHEN 'uuid' THEN mapped_id ~ '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$'
		WHEN 'bigint' THEN mapped_id ~ '^(0|-?[1-9][0-9]{0,18})$'
			AND mapped_id::numeric BETWEEN -9223372036854775808 AND 9223372036854775807
		ELSE true
	END
$$;
COMMENT ON FUNCTION clerk_internal.fits_id_type(text, text) IS
	'whether a local id can be a value of this type (uuid, bigint or text)';

CREATE FUNCTION clerk.map_id(clerk_id text, mapped_id text) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_variable
DECLARE
	unfit record;
BEGIN
	IF coalesce(length(clerk_id) NOT BETWEEN 1 AND 255 OR length(mapped_id) NOT BETWEEN 1 AND 255, true) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'a Clerk id and a local id of 1 to 255 characters must be given',
			HINT = 'clerk.unmap_id() removes a mapping.';
	ELSIF NOT (clerk_internal.may_be_id(clerk_id, 'user_') OR clerk_internal.may_be_id(clerk_id, 'org_')) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'this is not the id of a user or an organization',
			DETAIL = 'Clerk''s begin with user_ or org_.';
	END IF;
	SELECT instance.issuer, instance.id_type INTO unfit
	FROM clerk.instances AS instance
	WHERE NOT clerk_internal.fits_id_type(mapped_id, instance.id_type) AND NOT clerk_id ^@ 'org_';
	IF FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('the local id is no %s', unfit.id_type),
			DETAIL = format('Instance %s says so in clerk.instances.id_type.', unfit.issuer);
	ELSIF clerk_internal.is_reserved_id(clerk_id, mapped_id) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'the local id is reserved',
			DETAIL = 'A UUID of version 5 may be that of another Clerk id, which has no mapping yet.',
			HINT = 'If your local ids are of version 5 themselves, set clerk.instances.id_fallback to none.';
	END IF;
	-- one at a time: there are two unique keys, and ON CONFLICT names one
	PERFORM pg_advisory_xact_lock(hashtextextended('clerk_rls: map_id', 0));
	INSERT INTO clerk.id_map AS map VALUES (clerk_id, mapped_id)
		ON CONFLICT ON CONSTRAINT id_map_pkey DO UPDATE SET mapped_id = excluded.mapped_id
			WHERE map.source IS NULL;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'object_not_in_prerequisite_state',
			MESSAGE = 'the Clerk id is mapped by a tracked table',
			HINT = 'Change it there: clerk.id_map.source names the table.';
	END IF;
EXCEPTION WHEN unique_violation THEN
	RAISE EXCEPTION USING
		ERRCODE = 'unique_violation',
		MESSAGE = 'the local id is mapped already',
		DETAIL = 'A local id belongs to one user, or one organization.',
		HINT = 'Find it in clerk.id_map; clerk.unmap_id() removes a mapping.';
END
$$;
COMMENT ON FUNCTION clerk.map_id(text, text) IS 'sets the local id of a Clerk user or organization';

CREATE FUNCTION clerk.unmap_id(clerk_id text) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	DELETE FROM clerk.id_map AS map WHERE map.clerk_id = unmap_id.clerk_id AND map.source IS NULL;
	IF FOUND THEN
		RETURN;
	ELSIF EXISTS (SELECT FROM clerk.id_map AS map WHERE map.clerk_id = unmap_id.clerk_id) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'object_not_in_prerequisite_state',
			MESSAGE = 'the Clerk id is mapped by a tracked table',
			HINT = 'Change it there: clerk.id_map.source names the table.';
	ELSE
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = 'the Clerk id is not mapped';
	END IF;
END
$$;
COMMENT ON FUNCTION clerk.unmap_id(text) IS 'removes a mapping that clerk.map_id() set';
