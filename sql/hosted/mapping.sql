--
-- mapping.sql
--		The local id of a user or an organization: a row of clerk.id_map, a claim, or the UUID of
--		version 5 of the Clerk id, as the extension finds it (src/pg/idmap.c); and the trigger of
--		tables that are the mapping.
--
-- Uses json, caller, instances.
--

-- SHA-1 (RFC 3174), which PostgreSQL has for itself only. Here it names things, and keeps nothing secret.
CREATE FUNCTION clerk_internal.sha1(message bytea) RETURNS bytea
	LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	ones constant bigint := 4294967295;
	bits constant bytea := int8send(length(message)::bigint * 8);
	padded constant bytea := message || '\x80'::bytea
		|| decode(repeat('00', (119 - length(message) % 64) % 64), 'hex') || bits;
	w bigint[];
	x bigint;
	a bigint;
	b bigint;
	c bigint;
	d bigint;
	e bigint;
	h0 bigint := 1732584193;
	h1 bigint := 4023233417;
	h2 bigint := 2562383102;
	h3 bigint := 271733878;
	h4 bigint := 3285377520;
BEGIN
	FOR block IN 0 .. length(padded) / 64 - 1 LOOP
		w := ARRAY(SELECT ('x'
			|| encode(substring(padded, block * 64 + i * 4 + 1, 4), 'hex'))::bit(32)::bigint
			FROM generate_series(0, 15) AS i);
		a := h0;
		b := h1;
		c := h2;
		d := h3;
		e := h4;
		FOR i IN 1 .. 80 LOOP
			IF i > 16 THEN
				x := w[i - 3] # w[i - 8] # w[i - 14] # w[i - 16];
				w[i] := ((x << 1) | (x >> 31)) & ones;
			END IF;
			x := (((a << 5) | (a >> 27)) & ones) + e + w[i] + CASE
				WHEN i <= 20 THEN ((b & c) | (~b & ones & d)) + 1518500249
				WHEN i <= 40 THEN (b # c # d) + 1859775393
				WHEN i <= 60 THEN ((b & c) | (b & d) | (c & d)) + 2400959708
				ELSE (b # c # d) + 3395469782 END;
			e := d;
			d := c;
			c := ((b << 30) | (b >> 2)) & ones;
			b := a;
			a := x & ones;
		END LOOP;
		h0 := (h0 + a) & ones;
		h1 := (h1 + b) & ones;
		h2 := (h2 + c) & ones;
		h3 := (h3 + d) & ones;
		h4 := (h4 + e) & ones;
	END LOOP;
	RETURN substring(int8send(h0), 5) || substring(int8send(h1), 5) || substring(int8send(h2), 5)
		|| substring(int8send(h3), 5) || substring(int8send(h4), 5);
END
$$;
COMMENT ON FUNCTION clerk_internal.sha1(bytea) IS 'SHA-1 of bytes';

-- In the namespace that is the UUID of version 5 of "clerk.com" in RFC 9562's for domain names.
CREATE FUNCTION clerk_internal.uuid_v5(clerk_id text) RETURNS uuid
	LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	hash bytea := substring(clerk_internal.sha1('\x27f41ebc28f4570184a4f83dc1d6651c'::bytea
		|| convert_to(clerk_id, 'UTF8')), 1, 16);
BEGIN
	hash := set_byte(hash, 6, get_byte(hash, 6) & 15 | 80);
	hash := set_byte(hash, 8, get_byte(hash, 8) & 63 | 128);
	RETURN encode(hash, 'hex')::uuid;
END
$$;
COMMENT ON FUNCTION clerk_internal.uuid_v5(text) IS
	'the UUID of version 5 (RFC 9562 section 5.5) of a Clerk id';

-- Of what Clerk id a UUID was derived cannot be seen, so any but one's own may be another's.
CREATE FUNCTION clerk_internal.is_reserved_id(clerk_id text, mapped_id text) RETURNS boolean
	LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	-- however a cast, or an application, lets it be spelled
	digits constant text := lower(regexp_replace(regexp_replace(mapped_id, '^\s*urn:uuid:', '', 'i'),
		'[-{}\s]', '', 'g'));
BEGIN
	RETURN digits ~ '^[0-9a-f]{12}5[0-9a-f]{3}[89ab][0-9a-f]{15}$'
		AND digits::uuid <> clerk_internal.uuid_v5(clerk_id)
		AND coalesce((SELECT bool_or(i.id_fallback = 'uuid_v5') FROM clerk.instances AS i), true);
END
$$;
COMMENT ON FUNCTION clerk_internal.is_reserved_id(text, text) IS
	'whether a local id is a UUID of version 5 that another Clerk id may have without a mapping, so that '
		'this one never gets it';

CREATE FUNCTION clerk_internal.as_uuid(mapped_id text) RETURNS uuid
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN CASE WHEN mapped_id ~
		'^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$' THEN mapped_id::uuid END;
COMMENT ON FUNCTION clerk_internal.as_uuid(text) IS 'a local id as uuid; NULL: it is none';

-- Only as bigint itself would be written, so that no two texts are one number.
CREATE FUNCTION clerk_internal.as_bigint(mapped_id text) RETURNS bigint
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN CASE WHEN mapped_id ~ '^(0|-?[1-9][0-9]{0,18})$'
		AND mapped_id::numeric BETWEEN -9223372036854775808 AND 9223372036854775807
		THEN mapped_id::bigint END;
COMMENT ON FUNCTION clerk_internal.as_bigint(text) IS 'a local id as bigint; NULL: it is none';

-- A text that fits no type is no answer, and nothing else is one in its place: it would be somebody
-- else's id; nor is there one where rows are hidden, or incomplete.
CREATE FUNCTION clerk_internal.local_id(clerk_id text, claims jsonb, OUT mapped_id text, OUT origin text)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET row_security = off
	AS $$
#variable_conflict use_variable
DECLARE
	instance clerk.instances;
	claim jsonb;
	has_fallback boolean;
BEGIN
	SELECT CASE WHEN map.clerk_id IS NOT NULL THEN map.mapped_id END INTO mapped_id FROM clerk.id_map AS map
		WHERE map.clerk_id = clerk_id OR map.clerk_id IS NULL
		ORDER BY map.clerk_id NULLS FIRST LIMIT 1;
	IF FOUND AND mapped_id IS NULL THEN
		origin := 'unreadable';
		RETURN;
	END IF;
	origin := 'row';
	SELECT * INTO instance FROM clerk.instances AS i WHERE i.issuer = claims ->> 'iss';
	-- an id does not say its instance, so without a session each of them must want the UUID
	has_fallback := CASE WHEN claims IS NOT NULL THEN instance.id_fallback = 'uuid_v5'
		ELSE coalesce((SELECT bool_and(i.id_fallback = 'uuid_v5') FROM clerk.instances AS i), true) END;
	IF mapped_id IS NULL AND clerk_id = claims ->> 'sub' AND instance.id_claim IS NOT NULL THEN
		claim := claims -> instance.id_claim;
		origin := 'claim';
		mapped_id := CASE jsonb_typeof(claim) WHEN 'string' THEN claim #>> '{}' WHEN 'number' THEN claim::text
			WHEN 'null' THEN NULL ELSE '' END;
		IF claim IS NULL THEN
			mapped_id := NULL;
		END IF;
	END IF;
	IF mapped_id IS NOT NULL THEN
		IF clerk_internal.is_reserved_id(clerk_id, mapped_id) THEN
			mapped_id := NULL;
			origin := origin || ', reserved';
		END IF;
	ELSIF has_fallback THEN
		mapped_id := clerk_internal.uuid_v5(clerk_id)::text;
		origin := 'uuid';
	ELSE
		origin := 'none';
	END IF;
EXCEPTION WHEN syntax_error_or_access_rule_violation THEN
	mapped_id := NULL;
	origin := 'unreadable';
END
$$;
COMMENT ON FUNCTION clerk_internal.local_id(text, jsonb) IS
	'the local id of a Clerk id, as text, and where it is from, for whoever has these claims; NULL: there '
		'is none';

-- SECURITY DEFINER: who asks need not read the mapping.
CREATE FUNCTION clerk_internal.mapped_caller() RETURNS text
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT nullif((clerk_internal.local_id(clerk_internal.caller() ->> 'sub',
		clerk_internal.caller())).mapped_id, '') WHERE clerk_internal.caller() IS NOT NULL $$;
COMMENT ON FUNCTION clerk_internal.mapped_caller() IS 'local id of the signed-in user as text';

CREATE FUNCTION clerk_internal.mapped_org() RETURNS text
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT nullif((clerk_internal.local_id(clerk.org_id(), clerk_internal.caller())).mapped_id, '')
		WHERE clerk.org_id() IS NOT NULL $$;
COMMENT ON FUNCTION clerk_internal.mapped_org() IS 'local id of the active organization as text';

CREATE FUNCTION clerk.mapped_id() RETURNS uuid
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk_internal.as_uuid(clerk_internal.mapped_caller()) $$;
COMMENT ON FUNCTION clerk.mapped_id() IS
	'local id of the signed-in user as uuid; NULL also when it is no uuid';

CREATE FUNCTION clerk.mapped_bigint() RETURNS bigint
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk_internal.as_bigint(clerk_internal.mapped_caller()) $$;
COMMENT ON FUNCTION clerk.mapped_bigint() IS
	'local id of the signed-in user as bigint; NULL also when it is no bigint';

CREATE FUNCTION clerk.mapped_text() RETURNS text
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk_internal.mapped_caller() $$;
COMMENT ON FUNCTION clerk.mapped_text() IS 'local id of the signed-in user as text';

CREATE FUNCTION clerk.mapped_org_id() RETURNS uuid
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk_internal.as_uuid(clerk_internal.mapped_org()) $$;
COMMENT ON FUNCTION clerk.mapped_org_id() IS 'local id of the active organization as uuid';

CREATE FUNCTION clerk.mapped_org_bigint() RETURNS bigint
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk_internal.as_bigint(clerk_internal.mapped_org()) $$;
COMMENT ON FUNCTION clerk.mapped_org_bigint() IS
	'local id of the active organization as bigint; NULL also when it is no bigint';

CREATE FUNCTION clerk.mapped_org_text() RETURNS text
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk_internal.mapped_org() $$;
COMMENT ON FUNCTION clerk.mapped_org_text() IS 'local id of the active organization as text';

CREATE FUNCTION clerk.mapped_id(clerk_id text) RETURNS uuid
	LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk_internal.as_uuid((clerk_internal.local_id(clerk_id,
		clerk_internal.caller())).mapped_id) $$;
COMMENT ON FUNCTION clerk.mapped_id(text) IS 'local id of any Clerk id as uuid';

CREATE FUNCTION clerk_internal.track_row(tab regclass, relname name, clerk_id text, mapped_id text)
	RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_variable
BEGIN
	-- the ids themselves are not shown: they may be personal
	IF length(clerk_id) NOT BETWEEN 1 AND 255 OR length(mapped_id) NOT BETWEEN 1 AND 255 THEN
		RAISE EXCEPTION USING
			ERRCODE = 'check_violation',
			MESSAGE = 'an id is too short or too long to be mapped',
			DETAIL = format('The ids in the tracked columns of table "%s" must have 1 to 255 characters.',
				relname),
			TABLE = relname;
	ELSIF clerk_internal.is_reserved_id(clerk_id, mapped_id) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'check_violation',
			MESSAGE = 'the local id is reserved',
			DETAIL = format('The UUIDs of version 5 in table "%s" may be those of other Clerk ids.', relname),
			HINT = 'Use clerk.mapped_id() of the Clerk id, or a UUID of another version, such as '
				'gen_random_uuid().',
			TABLE = relname;
	END IF;
	INSERT INTO clerk.id_map (source, clerk_id, mapped_id) VALUES (tab, clerk_id, mapped_id)
		ON CONFLICT DO NOTHING;
	IF NOT FOUND THEN
		UPDATE clerk.id_map AS map SET source = tab WHERE map.clerk_id = clerk_id
			AND map.mapped_id = mapped_id AND map.source IS NULL;
	END IF;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'unique_violation',
			MESSAGE = 'one of the ids is mapped already',
			DETAIL = format('Table "%s" maps a Clerk id, or to a local id, that clerk.id_map has from '
				'elsewhere.', relname),
			TABLE = relname;
	END IF;
END
$$;
COMMENT ON FUNCTION clerk_internal.track_row(regclass, name, text, text) IS 'maps a row of a tracked table';

-- The trigger that bears the columns says UPDATE OF them. An update is followed where the condition
-- of the other one says that a column has changed, and not where a statement names the column.
-- SECURITY DEFINER: whoever may write to the tracked table writes to its mapping, too.
CREATE FUNCTION clerk_internal.track_id() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	tracked name[];
	was text[];
	now text[];
BEGIN
	IF TG_OP = 'TRUNCATE' THEN
		DELETE FROM clerk.id_map WHERE source = TG_RELID;
		RETURN NULL;
	END IF;
	SELECT ARRAY(SELECT a.attname FROM unnest(t.tgattr::int2[]) WITH ORDINALITY AS u (attnum, n)
		JOIN pg_attribute AS a USING (attnum)
		WHERE a.attrelid = TG_RELID ORDER BY u.n) INTO tracked
	FROM pg_trigger AS t
	WHERE t.tgrelid = TG_RELID AND array_length(t.tgattr::int2[], 1) = 2
		AND t.tgfoid = (SELECT own.tgfoid FROM pg_trigger AS own WHERE own.tgrelid = TG_RELID
			AND own.tgname = TG_NAME);
	IF NOT FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'object_not_in_prerequisite_state',
			MESSAGE = format('table "%s" is tracked in part only', TG_TABLE_NAME),
			HINT = 'Run clerk.untrack_ids() and clerk.track_ids() again.';
	ELSIF TG_OP = 'UPDATE'
		AND (SELECT array_length(tgattr::int2[], 1) = 2 FROM pg_trigger WHERE tgrelid = TG_RELID
		AND tgname = TG_NAME) THEN
		RETURN NULL;
	END IF;
	IF TG_OP <> 'INSERT' THEN
		EXECUTE format('SELECT ARRAY[($1).%I::text]', tracked[1]) INTO was USING OLD;
		DELETE FROM clerk.id_map WHERE source = TG_RELID AND clerk_id = was[1];
	END IF;
	IF TG_OP <> 'DELETE' THEN
		EXECUTE format('SELECT ARRAY[($1).%I::text, ($1).%I::text]', tracked[1], tracked[2]) INTO now
			USING NEW;
		IF num_nulls(now[1], now[2]) = 0 THEN
			PERFORM clerk_internal.track_row(TG_RELID, TG_TABLE_NAME, now[1], now[2]);
		END IF;
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION clerk_internal.track_id() IS
	'trigger: keeps clerk.id_map in step with a table that clerk.track_ids() tracks';
