--
-- grants.sql
--		What a token grants: organization, roles, permissions, features, plans, reverification, by
--		the rules of Clerk's packages and of the extension (src/core/grants.c and has.c).
--
-- Uses json, caller.
--

-- What String.prototype.trim() removes.
CREATE FUNCTION clerk_internal.elements(list text) RETURNS text[]
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN ARRAY(
		SELECT btrim(element,
			E' \t\n\x0b\f\r\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005'
				'\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff')
		FROM unnest(string_to_array(list, ',')) WITH ORDINALITY AS e (element, n) ORDER BY n);
COMMENT ON FUNCTION clerk_internal.elements(text) IS 'the elements that commas separate, trimmed';

CREATE FUNCTION clerk_internal.text_member(object jsonb, name text) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN nullif(clerk_internal.json_string(CASE
		WHEN jsonb_typeof(object) = 'object' THEN object -> name END), '');
COMMENT ON FUNCTION clerk_internal.text_member(jsonb, text) IS
	'a member that is a string, and not empty; NULL: there is none';

-- scope:slug, with the scopes o, u, ou and uo. An element without a colon makes the list unreadable.
CREATE FUNCTION clerk_internal.is_readable(list text) RETURNS boolean
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN coalesce((SELECT bool_and(strpos(element, ':') > 0)
		FROM unnest(clerk_internal.elements(list)) AS element), false);
COMMENT ON FUNCTION clerk_internal.is_readable(text) IS 'whether this is a list of features or plans';

-- [scope:]slug; without a scope, anybody's will do. What follows a second colon is lost.
CREATE FUNCTION clerk_internal.is_entitled(list text, wanted text) RETURNS boolean
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	part constant text[] := string_to_array(wanted, ':');
	slug constant text := CASE WHEN cardinality(part) > 1 THEN coalesce(nullif(part[2], ''), part[1])
		ELSE wanted END;
	scopes constant text[] := CASE
		WHEN cardinality(part) < 2 THEN '{o,u,ou,uo}'
		WHEN part[1] IN ('o', 'org', 'organization') THEN '{o,ou,uo}'
		WHEN part[1] IN ('u', 'user') THEN '{u,ou,uo}'
		ELSE '{}' END;
BEGIN
	RETURN coalesce(wanted IS NOT NULL AND clerk_internal.is_readable(list) AND (
		SELECT bool_or(split_part(element, ':', 1) = ANY (scopes)
			AND substr(element, strpos(element, ':') + 1) = slug)
		FROM unnest(clerk_internal.elements(list)) AS element), false);
END
$$;
COMMENT ON FUNCTION clerk_internal.is_entitled(text, text) IS
	'whether a feature or a plan is in a list of them';

-- A mask has a bit for each permission, the least significant first; what is no number has none.
CREATE FUNCTION clerk_internal.has_bit(mask text, n integer) RETURNS boolean
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE
		WHEN mask !~ '^[0-9]+$' THEN false
		WHEN length(mask) <= 18 AND n < 62 THEN mask::bigint >> n & 1 = 1
		ELSE div(mask::numeric, power(2::numeric, n)) % 2 = 1 END;
COMMENT ON FUNCTION clerk_internal.has_bit(text, integer) IS 'a bit of a decimal number of any length';

-- The masks belong to the features of the organization, each to the one at its place.
CREATE FUNCTION clerk_internal.masked_permissions(features text, per text, fpm text) RETURNS text[]
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	names constant text[] := clerk_internal.elements(per);
	masks constant text[] := clerk_internal.elements(fpm);
	permissions text[] := '{}';
	feature text;
	place integer := 0;
BEGIN
	FOREACH feature IN ARRAY coalesce(clerk_internal.elements(features), '{}') LOOP
		EXIT WHEN place >= cardinality(masks) OR strpos(feature, ':') = 0;
		CONTINUE WHEN split_part(feature, ':', 1) NOT IN ('o', 'ou', 'uo');
		place := place + 1;
		FOR n IN 1 .. cardinality(names) LOOP
			IF clerk_internal.has_bit(masks[place], n - 1) THEN
				permissions := permissions
					|| concat('org:', substr(feature, strpos(feature, ':') + 1), ':', names[n]);
			END IF;
		END LOOP;
	END LOOP;
	RETURN permissions;
END
$$;
COMMENT ON FUNCTION clerk_internal.masked_permissions(text, text, text) IS
	'the permissions that a token of version 2 has packed';

-- Where Clerk's own parser throws, nothing at all is granted (unreadable).
CREATE FUNCTION clerk_internal.organization(claims jsonb, OUT unreadable boolean, OUT id text, OUT slug text,
	OUT role text, OUT permissions text[])
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	o constant jsonb := claims -> 'o';
	features constant text := clerk_internal.text_member(claims, 'fea');
	per jsonb;
	fpm jsonb;
BEGIN
	unreadable := false;
	-- a number of JavaScript's
	IF clerk_internal.json_number(claims -> 'v')::double precision IS DISTINCT FROM 2 THEN
		id := clerk_internal.text_member(claims, 'org_id');
		IF id IS NOT NULL THEN
			slug := clerk_internal.text_member(claims, 'org_slug');
			role := clerk_internal.text_member(claims, 'org_role');
			IF jsonb_typeof(claims -> 'org_permissions') = 'array' THEN
				permissions := ARRAY(SELECT p #>> '{}'
					FROM jsonb_array_elements(claims -> 'org_permissions') WITH ORDINALITY AS e (p, n)
					WHERE jsonb_typeof(p) = 'string' ORDER BY n);
			END IF;
		END IF;
		RETURN;
	ELSIF NOT clerk_internal.is_truthy(o) THEN
		RETURN;
	END IF;
	IF jsonb_typeof(o) = 'object' THEN
		per := o -> 'per';
		fpm := o -> 'fpm';
	END IF;
	unreadable := (clerk_internal.is_truthy(claims -> 'fea') AND NOT clerk_internal.is_readable(features))
		OR (clerk_internal.is_truthy(per) AND clerk_internal.is_truthy(fpm)
			AND NOT (jsonb_typeof(per) = 'string' AND jsonb_typeof(fpm) = 'string'));
	IF unreadable OR clerk_internal.text_member(o, 'id') IS NULL THEN
		RETURN;
	END IF;
	id := o ->> 'id';
	slug := clerk_internal.text_member(o, 'slg');
	role := 'org:' || clerk_internal.text_member(o, 'rol');
	permissions := '{}';
	IF clerk_internal.text_member(o, 'per') IS NOT NULL
		AND clerk_internal.text_member(o, 'fpm') IS NOT NULL THEN
		permissions := clerk_internal.masked_permissions(features, o ->> 'per', o ->> 'fpm');
	END IF;
END
$$;
COMMENT ON FUNCTION clerk_internal.organization(jsonb) IS
	'the active organization in verified claims of either version, and what they grant in it';

-- Were the factors of this level verified less than so many minutes before the token was issued? A
-- second factor that the user does not have (-1) is not asked for.
CREATE FUNCTION clerk_internal.is_reverified(claims jsonb, level text, minutes double precision)
	RETURNS boolean
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	fva constant jsonb := claims -> 'fva';
	first double precision;
	second double precision;
	first_is_fresh boolean;
	second_is_fresh boolean;
BEGIN
	IF jsonb_typeof(fva) IS DISTINCT FROM 'array' OR NOT coalesce(minutes > 0 AND minutes < 'NaN', false)
		OR (clerk_internal.organization(claims)).unreadable THEN
		RETURN false;
	END IF;
	first := clerk_internal.json_number(fva -> 0);
	second := clerk_internal.json_number(fva -> 1);
	IF jsonb_array_length(fva) <> 2
		OR NOT coalesce((first = -1 OR first >= 0) AND (second = -1 OR second >= 0), false) THEN
		RETURN false;
	END IF;
	first_is_fresh := first <> -1 AND minutes > first;
	second_is_fresh := second <> -1 AND minutes > second;
	RETURN coalesce(CASE level
		WHEN 'first_factor' THEN first_is_fresh
		WHEN 'second_factor' THEN CASE WHEN second = -1 THEN first_is_fresh ELSE second_is_fresh END
		WHEN 'multi_factor' THEN first_is_fresh AND (second = -1 OR second_is_fresh) END, false);
END
$$;
COMMENT ON FUNCTION clerk_internal.is_reverified(jsonb, text, double precision) IS
	'whether verified claims say that a level was met within so many minutes';

CREATE FUNCTION clerk_internal.is_reverified_as(claims jsonb, preset text) RETURNS boolean
	LANGUAGE sql IMMUTABLE
	RETURN CASE preset
		WHEN 'strict_mfa' THEN clerk_internal.is_reverified(claims, 'multi_factor', 10)
		WHEN 'strict' THEN clerk_internal.is_reverified(claims, 'second_factor', 10)
		WHEN 'moderate' THEN clerk_internal.is_reverified(claims, 'second_factor', 60)
		WHEN 'lax' THEN clerk_internal.is_reverified(claims, 'second_factor', 1440)
		ELSE false END;
COMMENT ON FUNCTION clerk_internal.is_reverified_as(jsonb, text) IS 'the same for a preset of Clerk';

-- "org:" is optional, any number of times.
CREATE FUNCTION clerk_internal.without_org(name text) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN regexp_replace(name, '^(org:)+', '');
COMMENT ON FUNCTION clerk_internal.without_org(text) IS 'a role or permission without "org:" before it';

-- One question of has(). What is malformed is met by nobody.
CREATE FUNCTION clerk_internal.is_granted(claims jsonb, question text, wanted jsonb) RETURNS boolean
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	name constant text := clerk_internal.json_string(wanted);
	org record;
BEGIN
	IF question = 'reverification' THEN
		RETURN CASE WHEN name IS NOT NULL THEN clerk_internal.is_reverified_as(claims, name)
			WHEN jsonb_typeof(wanted) = 'object' THEN coalesce(clerk_internal.is_reverified(claims,
				clerk_internal.json_string(wanted -> 'level'),
					clerk_internal.json_number(wanted -> 'afterMinutes')::double precision), false)
			ELSE false END;
	ELSIF name IS NULL THEN
		RETURN false;
	END IF;
	org := clerk_internal.organization(claims);
	RETURN coalesce(CASE question
		WHEN 'role' THEN org.id IS NOT NULL
			AND clerk_internal.without_org(org.role) = clerk_internal.without_org(name)
		WHEN 'permission' THEN org.id IS NOT NULL AND 'org:'
			|| clerk_internal.without_org(name) = ANY (org.permissions)
		WHEN 'feature' THEN NOT org.unreadable
			AND clerk_internal.is_entitled(clerk_internal.text_member(claims, 'fea'), name)
		WHEN 'plan' THEN NOT org.unreadable
			AND clerk_internal.is_entitled(clerk_internal.text_member(claims, 'pla'), name) END, false);
END
$$;
COMMENT ON FUNCTION clerk_internal.is_granted(jsonb, text, jsonb) IS
	'whether verified claims meet one thing that has() can be asked';

-- SECURITY DEFINER: who asks about the signed-in user need not be able to ask about others' claims.
CREATE FUNCTION clerk.org_id() RETURNS text
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT (clerk_internal.organization(clerk_internal.caller())).id $$;
COMMENT ON FUNCTION clerk.org_id() IS 'Clerk id of the active organization';

CREATE FUNCTION clerk.org_slug() RETURNS text
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT (clerk_internal.organization(clerk_internal.caller())).slug $$;
COMMENT ON FUNCTION clerk.org_slug() IS 'slug of the active organization';

CREATE FUNCTION clerk.org_role() RETURNS text
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT (clerk_internal.organization(clerk_internal.caller())).role $$;
COMMENT ON FUNCTION clerk.org_role() IS 'the user''s role in the active organization, such as org:admin';

CREATE FUNCTION clerk.org_permissions() RETURNS text[]
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT (clerk_internal.organization(clerk_internal.caller())).permissions $$;
COMMENT ON FUNCTION clerk.org_permissions() IS
	'the user''s permissions in the active organization, such as org:invoices:create';

CREATE FUNCTION clerk.has(params jsonb) RETURNS boolean
	LANGUAGE plpgsql STABLE SECURITY DEFINER COST 500 SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	claims constant jsonb := clerk_internal.caller();
	asked boolean := false;
	question text;
BEGIN
	IF claims IS NULL OR jsonb_typeof(params) IS DISTINCT FROM 'object' THEN
		RETURN false;
	END IF;
	FOREACH question IN ARRAY '{reverification,role,permission,feature,plan}'::text[] LOOP
		CONTINUE WHEN NOT params ? question;
		IF NOT clerk_internal.is_granted(claims, question, params -> question) THEN
			RETURN false;
		END IF;
		asked := true;
	END LOOP;
	RETURN asked;
END
$$;
COMMENT ON FUNCTION clerk.has(jsonb) IS
	'Clerk''s has({role, permission, feature, plan, reverification}): all that is asked must be met';

CREATE FUNCTION clerk.has_role(role text) RETURNS boolean
	LANGUAGE sql STABLE SECURITY DEFINER COST 500 SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk_internal.is_granted(clerk_internal.caller(), 'role', to_jsonb(role)) $$;
COMMENT ON FUNCTION clerk.has_role(text) IS
	'whether the user has this role in the active organization; org: may be left out';

CREATE FUNCTION clerk.has_permission(permission text) RETURNS boolean
	LANGUAGE sql STABLE SECURITY DEFINER COST 500 SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk_internal.is_granted(clerk_internal.caller(), 'permission', to_jsonb(permission)) $$;
COMMENT ON FUNCTION clerk.has_permission(text) IS
	'whether the user has this permission in the active organization; org: may be left out';

CREATE FUNCTION clerk.has_feature(feature text) RETURNS boolean
	LANGUAGE sql STABLE SECURITY DEFINER COST 500 SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk_internal.is_granted(clerk_internal.caller(), 'feature', to_jsonb(feature)) $$;
COMMENT ON FUNCTION clerk.has_feature(text) IS
	'whether the user, or the active organization, has this feature: slug, or o:slug, u:slug';

CREATE FUNCTION clerk.has_plan(plan text) RETURNS boolean
	LANGUAGE sql STABLE SECURITY DEFINER COST 500 SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk_internal.is_granted(clerk_internal.caller(), 'plan', to_jsonb(plan)) $$;
COMMENT ON FUNCTION clerk.has_plan(text) IS
	'whether the user, or the active organization, has this plan: slug, or o:slug, u:slug';

CREATE FUNCTION clerk.has_reverified(preset text) RETURNS boolean
	LANGUAGE sql STABLE SECURITY DEFINER COST 500 SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk_internal.is_reverified_as(clerk_internal.caller(), preset) $$;
COMMENT ON FUNCTION clerk.has_reverified(text) IS
	'whether the user has verified credentials again: strict_mfa, strict, moderate or lax';

CREATE FUNCTION clerk.has_reverified(level text, within interval) RETURNS boolean
	LANGUAGE sql STABLE SECURITY DEFINER COST 500 SET search_path = pg_catalog, pg_temp
	-- a month counts 30 days
	AS $$
	SELECT clerk_internal.is_reverified(clerk_internal.caller(), level,
		((extract(year FROM within) * 12 + extract(month FROM within)) * 30 * 1440 + extract(day
			FROM within) * 1440
			+ extract(hour FROM within) * 60 + extract(minute FROM within) + extract(second
				FROM within) / 60)::double precision)
	$$;
COMMENT ON FUNCTION clerk.has_reverified(text, interval) IS
	'whether the user has verified credentials again: first_factor, second_factor or multi_factor, '
		'within this time';
