--
-- profiles.sql
--		What webhooks keep: users, organizations, memberships. The payload is the object as Clerk
--		sends it, without what is private; the other columns are taken from it.
--
-- Uses library, idmap.
--

-- These have bodies that are parsed here, so that no search_path matters, and they can be inlined.
CREATE FUNCTION clerk_internal.ms_to_timestamptz(ms text) RETURNS timestamptz
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN CASE WHEN ms ~ '^[0-9]{1,14}$' THEN to_timestamp(ms::float8 / 1000) END;
COMMENT ON FUNCTION clerk_internal.ms_to_timestamptz(text) IS
	'milliseconds since the Unix epoch as a time; NULL when they are none';

CREATE FUNCTION clerk_internal.primary_email(payload jsonb) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN jsonb_path_query_first(payload, 'lax $.email_addresses[*] ? (@.id == $id)',
		jsonb_build_object('id', payload -> 'primary_email_address_id')) ->> 'email_address';
COMMENT ON FUNCTION clerk_internal.primary_email(jsonb) IS 'the primary email address in a user object';

CREATE FUNCTION clerk_internal.text_array(list jsonb) RETURNS text[]
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN (SELECT coalesce(array_agg(element #>> '{}' ORDER BY n), '{}')
		FROM jsonb_path_query(list, 'lax $[*]') WITH ORDINALITY AS e (element, n));
COMMENT ON FUNCTION clerk_internal.text_array(jsonb) IS 'a JSON array as an array of texts';

-- Longer ones would not fit an index, nor clerk.id_map.
CREATE FUNCTION clerk_internal.id_at(payload jsonb, VARIADIC path text[]) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN CASE WHEN length(payload #>> path) BETWEEN 1 AND 255 THEN payload #>> path END;
COMMENT ON FUNCTION clerk_internal.id_at(jsonb, text[]) IS
	'the id at a place in an object; NULL when there is none, or it is longer than 255 characters';

CREATE TABLE clerk.user_profiles (
	clerk_id text COLLATE "C" CONSTRAINT user_profiles_pkey PRIMARY KEY,
	issuer text COLLATE "C",
	email text GENERATED ALWAYS AS (clerk_internal.primary_email(payload)) STORED,
	username text GENERATED ALWAYS AS (payload ->> 'username') STORED,
	first_name text GENERATED ALWAYS AS (payload ->> 'first_name') STORED,
	last_name text GENERATED ALWAYS AS (payload ->> 'last_name') STORED,
	image_url text GENERATED ALWAYS AS (payload ->> 'image_url') STORED,
	external_id text GENERATED ALWAYS AS (payload ->> 'external_id') STORED,
	public_metadata jsonb GENERATED ALWAYS AS (payload -> 'public_metadata') STORED,
	banned boolean GENERATED ALWAYS AS (payload -> 'banned' = 'true') STORED,
	locked boolean GENERATED ALWAYS AS (payload -> 'locked' = 'true') STORED,
	last_sign_in_at timestamptz GENERATED ALWAYS AS
		(clerk_internal.ms_to_timestamptz(payload ->> 'last_sign_in_at')) STORED,
	created_at timestamptz GENERATED ALWAYS AS
		(clerk_internal.ms_to_timestamptz(payload ->> 'created_at')) STORED,
	updated_at timestamptz GENERATED ALWAYS AS
		(clerk_internal.ms_to_timestamptz(payload ->> 'updated_at')) STORED,
	deleted_at timestamptz,
	last_banned_at timestamptz,
	event_at timestamptz,
	payload jsonb NOT NULL
);

-- hash: whatever is in an event, it fits
CREATE INDEX user_profiles_email_idx ON clerk.user_profiles USING hash (email);
CREATE INDEX user_profiles_external_id_idx ON clerk.user_profiles
	USING hash (clerk_internal.canonical_id(external_id));
COMMENT ON INDEX clerk.user_profiles_email_idx IS 'users by email address';
COMMENT ON INDEX clerk.user_profiles_external_id_idx IS 'users by the id the application has given';
COMMENT ON TABLE clerk.user_profiles IS
	'users of Clerk, kept by webhooks; of a deleted user only the id is left';
COMMENT ON COLUMN clerk.user_profiles.clerk_id IS 'user_...';
COMMENT ON COLUMN clerk.user_profiles.issuer IS 'the instance';
COMMENT ON COLUMN clerk.user_profiles.email IS 'primary email address';
COMMENT ON COLUMN clerk.user_profiles.external_id IS 'the id that the application gave the user in Clerk';
COMMENT ON COLUMN clerk.user_profiles.deleted_at IS 'when the user was deleted; NULL: it exists';
COMMENT ON COLUMN clerk.user_profiles.last_banned_at IS 'the latest update in which the user was banned';
COMMENT ON COLUMN clerk.user_profiles.event_at IS 'the time of the event that the payload comes from';
COMMENT ON COLUMN clerk.user_profiles.payload IS 'the user object, without private metadata';

CREATE TABLE clerk.org_profiles (
	clerk_id text COLLATE "C" CONSTRAINT org_profiles_pkey PRIMARY KEY,
	issuer text COLLATE "C",
	name text GENERATED ALWAYS AS (payload ->> 'name') STORED,
	slug text GENERATED ALWAYS AS (payload ->> 'slug') STORED,
	image_url text GENERATED ALWAYS AS (payload ->> 'image_url') STORED,
	public_metadata jsonb GENERATED ALWAYS AS (payload -> 'public_metadata') STORED,
	created_at timestamptz GENERATED ALWAYS AS
		(clerk_internal.ms_to_timestamptz(payload ->> 'created_at')) STORED,
	updated_at timestamptz GENERATED ALWAYS AS
		(clerk_internal.ms_to_timestamptz(payload ->> 'updated_at')) STORED,
	deleted_at timestamptz,
	event_at timestamptz,
	payload jsonb NOT NULL
);
COMMENT ON TABLE clerk.org_profiles IS
	'organizations of Clerk, kept by webhooks; of a deleted one only the id is left';
COMMENT ON COLUMN clerk.org_profiles.clerk_id IS 'org_...';
COMMENT ON COLUMN clerk.org_profiles.issuer IS 'the instance';
COMMENT ON COLUMN clerk.org_profiles.deleted_at IS 'when the organization was deleted; NULL: it exists';
COMMENT ON COLUMN clerk.org_profiles.event_at IS 'the time of the event that the payload comes from';
COMMENT ON COLUMN clerk.org_profiles.payload IS 'the organization object, without private metadata';

CREATE TABLE clerk.org_memberships (
	clerk_id text COLLATE "C" CONSTRAINT org_memberships_pkey PRIMARY KEY,
	issuer text COLLATE "C",
	org_id text COLLATE "C" GENERATED ALWAYS AS (clerk_internal.id_at(payload, 'organization', 'id')) STORED,
	user_id text COLLATE "C" GENERATED ALWAYS AS (clerk_internal.id_at(payload, 'public_user_data',
		'user_id')) STORED,
	role text GENERATED ALWAYS AS (payload ->> 'role') STORED,
	permissions text[] GENERATED ALWAYS AS (clerk_internal.text_array(payload -> 'permissions')) STORED,
	public_metadata jsonb GENERATED ALWAYS AS (payload -> 'public_metadata') STORED,
	created_at timestamptz GENERATED ALWAYS AS
		(clerk_internal.ms_to_timestamptz(payload ->> 'created_at')) STORED,
	updated_at timestamptz GENERATED ALWAYS AS
		(clerk_internal.ms_to_timestamptz(payload ->> 'updated_at')) STORED,
	deleted_at timestamptz,
	event_at timestamptz,
	payload jsonb NOT NULL,
	of_org_id text COLLATE "C",
	of_user_id text COLLATE "C"
);

CREATE INDEX org_memberships_of_org_id_idx ON clerk.org_memberships (of_org_id);
CREATE INDEX org_memberships_of_user_id_idx ON clerk.org_memberships (of_user_id);
COMMENT ON INDEX clerk.org_memberships_of_org_id_idx IS 'what ends with an organization';
COMMENT ON INDEX clerk.org_memberships_of_user_id_idx IS 'what ends with a user';

CREATE INDEX org_memberships_org_id_idx ON clerk.org_memberships (org_id, user_id);
CREATE INDEX org_memberships_user_id_idx ON clerk.org_memberships (user_id);
COMMENT ON INDEX clerk.org_memberships_org_id_idx IS 'the members of an organization';
COMMENT ON INDEX clerk.org_memberships_user_id_idx IS 'the organizations of a user';
COMMENT ON TABLE clerk.org_memberships IS
	'memberships of users in organizations, kept by webhooks; of one that has ended only ids are left';
COMMENT ON COLUMN clerk.org_memberships.clerk_id IS 'orgmem_...';
COMMENT ON COLUMN clerk.org_memberships.issuer IS 'the instance';
COMMENT ON COLUMN clerk.org_memberships.org_id IS 'the organization; NULL when the membership has ended';
COMMENT ON COLUMN clerk.org_memberships.user_id IS 'the user; NULL when the membership has ended';
COMMENT ON COLUMN clerk.org_memberships.role IS 'such as org:admin';
COMMENT ON COLUMN clerk.org_memberships.deleted_at IS 'when the membership ended; NULL: it has not';
COMMENT ON COLUMN clerk.org_memberships.event_at IS 'the time of the event that the payload comes from';
COMMENT ON COLUMN clerk.org_memberships.payload IS 'the membership object, without private metadata';
COMMENT ON COLUMN clerk.org_memberships.of_org_id IS
	'the organization, also of a membership that has ended: it ends with the organization';
COMMENT ON COLUMN clerk.org_memberships.of_user_id IS 'the user, likewise';

SELECT pg_catalog.pg_extension_config_dump('clerk.user_profiles', '');
SELECT pg_catalog.pg_extension_config_dump('clerk.org_profiles', '');
SELECT pg_catalog.pg_extension_config_dump('clerk.org_memberships', '');

-- SECURITY DEFINER: whoever may see profiles need not see memberships. It tells a caller only
-- who is in the organization that the caller's own token names.
CREATE FUNCTION clerk.is_fellow_member(user_id text) RETURNS boolean
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT EXISTS (
		SELECT FROM clerk.org_memberships AS membership
		WHERE membership.org_id = clerk.org_id() AND membership.user_id = is_fellow_member.user_id
			AND membership.deleted_at IS NULL)
$$;
COMMENT ON FUNCTION clerk.is_fellow_member(text) IS
	'whether a user is a member of the organization that is active for the signed-in user';

ALTER TABLE clerk.user_profiles ENABLE ROW LEVEL SECURITY;
ALTER TABLE clerk.org_profiles ENABLE ROW LEVEL SECURITY;
ALTER TABLE clerk.org_memberships ENABLE ROW LEVEL SECURITY;

CREATE POLICY own_and_fellow_members ON clerk.user_profiles FOR SELECT
	USING (clerk_id = clerk.uid() OR (deleted_at IS NULL AND clerk.is_fellow_member(clerk_id)));
CREATE POLICY active ON clerk.org_profiles FOR SELECT USING (clerk_id = clerk.org_id());
CREATE POLICY own_and_active ON clerk.org_memberships FOR SELECT
	USING (user_id = clerk.uid() OR org_id = clerk.org_id());
COMMENT ON POLICY own_and_fellow_members ON clerk.user_profiles IS
	'users see themselves and the members of their active organization';
COMMENT ON POLICY active ON clerk.org_profiles IS 'users see their active organization';
COMMENT ON POLICY own_and_active ON clerk.org_memberships IS
	'users see their memberships, and those of their active organization';
