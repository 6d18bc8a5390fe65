--
-- events.sql
--		What an event, or an object of the Backend API, does to the profiles.
--
-- Uses library, instances, revocation, idmap, profiles.
--

CREATE FUNCTION clerk_internal.without_private(data jsonb) RETURNS jsonb
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN (data - 'private_metadata') #- '{organization,private_metadata}'
		#- '{public_user_data,private_metadata}';
COMMENT ON FUNCTION clerk_internal.without_private(jsonb) IS 'an object without its private metadata';

CREATE FUNCTION clerk_internal.object_id(data jsonb) RETURNS text
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF jsonb_typeof(data) = 'object' AND jsonb_typeof(data -> 'id') = 'string'
		AND length(data ->> 'id') BETWEEN 1 AND 255 THEN
		RETURN data ->> 'id';
	END IF;
	RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'an object without an id';
END
$$;
COMMENT ON FUNCTION clerk_internal.object_id(jsonb) IS
	'the id of an object; raises when it has none of 1 to 255 characters';

-- The newest version of an object wins, whatever the order in which they come: by the time of
-- its update (or the event's, where it says none), then by that of the event, then by its bytes. A
-- deletion is final. One function for
-- each table, so that its statement is planned once.
DO $each$
DECLARE
	tab text;
BEGIN
	FOREACH tab IN ARRAY '{user_profiles,org_profiles,org_memberships}'::text[] LOOP
		EXECUTE pg_catalog.format($create$
CREATE FUNCTION clerk_internal.merge_into_%1$s(issuer text, data jsonb, event_at timestamptz, deleted boolean)
	RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	INSERT INTO clerk.%1$s AS old (clerk_id, issuer, deleted_at, event_at, payload)
	VALUES (clerk_internal.object_id(data), merge_into_%1$s.issuer, CASE
		WHEN deleted THEN merge_into_%1$s.event_at END,
		CASE WHEN NOT deleted THEN merge_into_%1$s.event_at END, CASE WHEN deleted THEN '{}'
			ELSE clerk_internal.without_private(data) END)
	ON CONFLICT (clerk_id) DO UPDATE SET
		issuer = coalesce(old.issuer, excluded.issuer),
		deleted_at = least(old.deleted_at, excluded.deleted_at),
		(event_at, payload) = (
			SELECT version.event_at, version.payload
			FROM (VALUES
				(0, old.event_at, old.payload), (0, excluded.event_at, excluded.payload),
				(CASE WHEN old.deleted_at IS NULL AND excluded.deleted_at IS NULL THEN -1
					ELSE 1 END, NULL, '{}')
			) AS version (rank, event_at, payload)
			ORDER BY version.rank DESC,
				coalesce(clerk_internal.ms_to_timestamptz(version.payload ->> 'updated_at'), version.event_at,
					'-infinity') DESC,
				coalesce(version.event_at, '-infinity') DESC, version.payload::text COLLATE "C" DESC
			LIMIT 1);
END
$$;
COMMENT ON FUNCTION clerk_internal.merge_into_%1$s(text, jsonb, timestamptz, boolean) IS
	'brings a row of clerk.%1$s up to date with what an event says';
			$create$, tab);
	END LOOP;
END
$each$;

-- What an event says about one object may depend on another: a membership ends with its
-- organization and its user, and an external_id is one user's. Two events that are applied at
-- the same time do not see each other, so what ends or moves such things waits for what they
-- are made of, and the other way round. Taken before any row is written.
CREATE FUNCTION clerk_internal.lock_profiles(exclusive boolean) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	key constant bigint := hashtextextended('clerk_rls: profiles', 0);
BEGIN
	IF exclusive THEN
		PERFORM pg_advisory_xact_lock(key);
	ELSE
		PERFORM pg_advisory_xact_lock_shared(key);
	END IF;
END
$$;
COMMENT ON FUNCTION clerk_internal.lock_profiles(boolean) IS
	'exclusive: what ends organizations and users, or moves external ids, one at a time; not exclusive: '
		'memberships, beside each other';

CREATE FUNCTION clerk_internal.map_external_id(external_id text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	key constant text := clerk_internal.canonical_id(external_id);
	holder record;
BEGIN
	IF length(external_id) NOT BETWEEN 1 AND 255 THEN
		RETURN;
	END IF;
	SELECT p.clerk_id, p.external_id INTO holder
	FROM clerk.user_profiles AS p JOIN clerk.instances AS i ON i.issuer = p.issuer
		AND i.id_claim = 'external_id'
	WHERE clerk_internal.canonical_id(p.external_id) = key
	ORDER BY coalesce(p.updated_at, p.event_at) DESC NULLS LAST, p.event_at DESC NULLS LAST, p.clerk_id
	LIMIT 1;
	DELETE FROM clerk.id_map AS map USING clerk.user_profiles AS p
	WHERE clerk_internal.canonical_id(p.external_id) = key AND map.clerk_id = p.clerk_id
		AND map.source = 'clerk.user_profiles'::regclass AND p.clerk_id IS DISTINCT FROM holder.clerk_id;
	IF holder.clerk_id IS NOT NULL
		AND NOT clerk_internal.is_reserved_id(holder.clerk_id, holder.external_id) THEN
		-- what clerk.map_id() or a tracked table says comes first
		INSERT INTO clerk.id_map VALUES (holder.clerk_id, holder.external_id, 'clerk.user_profiles')
			ON CONFLICT DO NOTHING;
	END IF;
END
$$;
COMMENT ON FUNCTION clerk_internal.map_external_id(text) IS
	'lets the user whose profile says so last have this local id, and nobody else; under '
		'clerk_internal.lock_profiles()';

CREATE FUNCTION clerk_internal.end_memberships(parent_id text, ended_at timestamptz) RETURNS void
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
	AS $$
	UPDATE clerk.org_memberships AS m SET deleted_at = ended_at, event_at = NULL, payload = '{}'
	WHERE (m.of_org_id = parent_id OR m.of_user_id = parent_id)
		AND (m.deleted_at IS NULL OR m.deleted_at > ended_at)
$$;
COMMENT ON FUNCTION clerk_internal.end_memberships(text, timestamptz) IS
	'ends the memberships of an organization or a user that has ended';

CREATE FUNCTION clerk_internal.apply_user(issuer text, data jsonb, event_at timestamptz, deleted boolean)
	RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	user_id constant text := clerk_internal.object_id(data);
	maps constant boolean := EXISTS (
		SELECT FROM clerk.instances AS i WHERE i.issuer = apply_user.issuer AND i.id_claim = 'external_id');
	old_external_id text;
	profile record;
BEGIN
	IF deleted OR maps THEN
		PERFORM clerk_internal.lock_profiles(exclusive => true);
	END IF;
	SELECT p.external_id INTO old_external_id FROM clerk.user_profiles AS p WHERE p.clerk_id = user_id;
	PERFORM clerk_internal.merge_into_user_profiles(apply_user.issuer, data, apply_user.event_at, deleted);
	-- the row is locked now, so that what follows from it cannot be overtaken
	UPDATE clerk.user_profiles AS p
	SET last_banned_at = greatest(p.last_banned_at,
		coalesce(clerk_internal.ms_to_timestamptz(data ->> 'updated_at'), apply_user.event_at))
	WHERE p.clerk_id = user_id AND data -> 'banned' = 'true';
	SELECT p.clerk_id, p.issuer, p.external_id, p.banned, p.deleted_at, p.last_banned_at INTO profile
	FROM clerk.user_profiles AS p WHERE p.clerk_id = user_id;

	IF profile.deleted_at IS NOT NULL OR profile.banned OR profile.last_banned_at IS NOT NULL THEN
		INSERT INTO clerk.revocations AS revocation (id, source, issued_before, reason)
		VALUES (profile.clerk_id, 'webhook',
			CASE WHEN profile.deleted_at IS NULL AND NOT profile.banned THEN profile.last_banned_at END,
			CASE WHEN profile.deleted_at IS NOT NULL THEN 'deleted' ELSE 'banned' END)
		ON CONFLICT ON CONSTRAINT revocations_pkey
			DO UPDATE SET issued_before = excluded.issued_before, reason = excluded.reason
			WHERE (revocation.issued_before, revocation.reason) IS DISTINCT
				FROM (excluded.issued_before, excluded.reason);
	END IF;
	IF profile.deleted_at IS NOT NULL THEN
		PERFORM clerk_internal.end_memberships(user_id, profile.deleted_at);
	END IF;

	DELETE FROM clerk.id_map AS map
	WHERE map.clerk_id = user_id AND map.source = 'clerk.user_profiles'::regclass
		AND map.mapped_id IS DISTINCT FROM profile.external_id;
	IF deleted OR maps THEN
		PERFORM clerk_internal.map_external_id(changed)
			FROM unnest(ARRAY[old_external_id, profile.external_id]) AS changed
		WHERE changed IS NOT NULL;
	END IF;
END
$$;
COMMENT ON FUNCTION clerk_internal.apply_user(text, jsonb, timestamptz, boolean) IS
	'brings a user up to date, and what depends on it: revocations, memberships, and the mapping where the '
		'instance says external_id';

CREATE FUNCTION clerk_internal.apply_organization(issuer text, data jsonb, event_at timestamptz,
	deleted boolean) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF deleted THEN
		PERFORM clerk_internal.lock_profiles(exclusive => true);
	END IF;
	PERFORM clerk_internal.merge_into_org_profiles(apply_organization.issuer, data,
		apply_organization.event_at, deleted);
	IF deleted THEN
		PERFORM clerk_internal.end_memberships(org.clerk_id, org.deleted_at)
		FROM clerk.org_profiles AS org WHERE org.clerk_id = clerk_internal.object_id(data);
	END IF;
END
$$;
COMMENT ON FUNCTION clerk_internal.apply_organization(text, jsonb, timestamptz, boolean) IS
	'brings an organization up to date; its memberships end with it';

CREATE FUNCTION clerk_internal.apply_membership(issuer text, data jsonb, event_at timestamptz,
	deleted boolean) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	membership_id constant text := clerk_internal.object_id(data);
BEGIN
	PERFORM clerk_internal.lock_profiles(exclusive => false);
	PERFORM clerk_internal.merge_into_org_memberships(apply_membership.issuer, data,
		apply_membership.event_at, deleted);
	UPDATE clerk.org_memberships AS m
	SET of_org_id = coalesce(m.of_org_id, clerk_internal.id_at(data, 'organization', 'id')),
		of_user_id = coalesce(m.of_user_id, clerk_internal.id_at(data, 'public_user_data', 'user_id'))
	WHERE m.clerk_id = membership_id AND (m.of_org_id IS NULL OR m.of_user_id IS NULL);
	-- its organization or its user may have ended before
	UPDATE clerk.org_memberships AS m SET deleted_at = parent.deleted_at, event_at = NULL, payload = '{}'
	FROM (
		SELECT least(
			(SELECT org.deleted_at FROM clerk.org_profiles AS org WHERE org.clerk_id = child.of_org_id),
			(SELECT member.deleted_at FROM clerk.user_profiles AS member
				WHERE member.clerk_id = child.of_user_id))
		FROM clerk.org_memberships AS child WHERE child.clerk_id = membership_id
	) AS parent (deleted_at)
	WHERE m.clerk_id = membership_id AND parent.deleted_at < coalesce(m.deleted_at, 'infinity');
END
$$;
COMMENT ON FUNCTION clerk_internal.apply_membership(text, jsonb, timestamptz, boolean) IS
	'brings a membership up to date; it has ended when its organization or its user has';

CREATE FUNCTION clerk_internal.apply_event(issuer text, event jsonb) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	type constant text := event ->> 'type';
	data constant jsonb := event -> 'data';
	ms constant text := event ->> 'timestamp';
	-- Clerk documents milliseconds, and shows seconds; without either it is older than all others
	event_at constant timestamptz := coalesce(clerk_internal.ms_to_timestamptz(CASE
		WHEN length(ms) < 12 THEN ms || '000' ELSE ms END), to_timestamp(0));
BEGIN
	CASE
		WHEN type IN ('user.created', 'user.updated', 'user.deleted') THEN
			PERFORM clerk_internal.apply_user(issuer, data, event_at, type = 'user.deleted');
		WHEN type IN ('organization.created', 'organization.updated', 'organization.deleted') THEN
			PERFORM clerk_internal.apply_organization(issuer, data, event_at, type = 'organization.deleted');
		WHEN type IN ('organizationMembership.created', 'organizationMembership.updated',
			'organizationMembership.deleted') THEN
			PERFORM clerk_internal.apply_membership(issuer, data, event_at,
				type = 'organizationMembership.deleted');
		WHEN type IN ('session.ended', 'session.removed', 'session.revoked') THEN
			INSERT INTO clerk.revocations (id, source, reason)
				VALUES (clerk_internal.object_id(data), 'webhook', split_part(type, '.', 2))
				ON CONFLICT ON CONSTRAINT revocations_pkey DO NOTHING;
		ELSE
			NULL;
	END CASE;
END
$$;
COMMENT ON FUNCTION clerk_internal.apply_event(text, jsonb) IS
	'applies an event of Clerk; others than those of users, organizations, memberships and sessions change '
	'nothing';
