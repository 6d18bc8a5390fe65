--
-- json.sql
--		Base64url and JSON from whoever sent it, as strict as the extension reads them.
--

-- Not STRICT, here and below, where CASE answers NULL for NULL: PostgreSQL then puts the body in the
-- place of the call, which is several times as fast.

-- Exactly one text decodes to given bytes: no padding, no white space, and the bits behind the
-- last byte are zero.
CREATE FUNCTION clerk_internal.base64url_decode(encoded text) RETURNS bytea
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE WHEN encoded ~ '^[A-Za-z0-9_-]*$' AND CASE length(encoded) % 4
			WHEN 0 THEN true
			WHEN 2 THEN right(encoded, 1) ~ '[AQgw]'
			WHEN 3 THEN right(encoded, 1) ~ '[AEIMQUYcgkosw048]'
			ELSE false END
		THEN decode(translate(encoded, '-_', '+/') || repeat('=', -length(encoded) & 3), 'base64') END;
COMMENT ON FUNCTION clerk_internal.base64url_decode(text) IS
	'the bytes that a text in strict base64url stands for; NULL: it is none';

CREATE FUNCTION clerk_internal.base64url_encode(bytes bytea) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN translate(encode(bytes, 'base64'), E'+/=\n', '-_');
COMMENT ON FUNCTION clerk_internal.base64url_encode(bytea) IS 'bytes in base64url, without padding';

CREATE FUNCTION clerk_internal.without_strings(document text) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN regexp_replace(document, '"(?:[^"\\]|\\.)*"', '', 'g');
COMMENT ON FUNCTION clerk_internal.without_strings(text) IS
	'a JSON text without its strings: each colon is a member''s, each bracket a level''s';

CREATE FUNCTION clerk_internal.count_of(characters text, string text) RETURNS integer
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN length(string) - length(translate(string, characters, ''));
COMMENT ON FUNCTION clerk_internal.count_of(text, text) IS 'how many of these characters a string has';

CREATE FUNCTION clerk_internal.is_too_deep(bare text) RETURNS boolean
	LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	depth integer := 0;
	bracket text;
BEGIN
	IF clerk_internal.count_of('{[', bare) <= 256 THEN
		RETURN false;
	END IF;
	FOREACH bracket IN ARRAY string_to_array(regexp_replace(bare, '[^][{}]', '', 'g'), NULL) LOOP
		depth := depth + CASE WHEN bracket IN ('{', '[') THEN 1 ELSE -1 END;
		IF depth > 256 THEN
			RETURN true;
		END IF;
	END LOOP;
	RETURN false;
END
$$;
COMMENT ON FUNCTION clerk_internal.is_too_deep(text) IS
	'whether a JSON text, without its strings, has more than 256 levels';

-- What is asked before the cast keeps it from raising what no handler should have to catch.
CREATE FUNCTION clerk_internal.parse_object(document text) RETURNS jsonb
	LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	bare constant text := clerk_internal.without_strings(document);
	object jsonb;
BEGIN
	-- counting first spares almost every call
	IF (clerk_internal.count_of('{[', bare) > 256 AND clerk_internal.is_too_deep(bare))
		OR bare ~ '[eE][+-]?0*[1-9][0-9]{3}' THEN
		RETURN NULL;
	END IF;
	object := document::jsonb;
	-- jsonb keeps one of members with the same name, at whatever depth
	IF jsonb_typeof(object) = 'object'
		AND clerk_internal.count_of(':', bare) = clerk_internal.count_of(':',
			clerk_internal.without_strings(object::text)) THEN
		RETURN object;
	END IF;
	RETURN NULL;
EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION clerk_internal.parse_object(text) IS
	'a JSON object whose members have names of their own, of at most 256 levels; NULL: it is none';

CREATE FUNCTION clerk_internal.parse_object_bytes(bytes bytea) RETURNS jsonb
	LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	RETURN clerk_internal.parse_object(convert_from(bytes, 'UTF8'));
EXCEPTION WHEN data_exception THEN
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION clerk_internal.parse_object_bytes(bytea) IS
	'the JSON object in bytes, see clerk_internal.parse_object(); NULL: there is none';

-- As a double, which JavaScript has: what is too small for one is 0 (and would not be cast), and
-- what is too large is no number: nothing that anything is decided on is beyond that.
CREATE FUNCTION clerk_internal.json_number(value jsonb) RETURNS numeric
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE WHEN jsonb_typeof(value) = 'number' AND abs(value::numeric) < 1e308
		THEN CASE WHEN abs(value::numeric) < 5e-324 THEN 0 ELSE value::numeric END END;
COMMENT ON FUNCTION clerk_internal.json_number(jsonb) IS 'a JSON number; NULL: it is none, or too large';

CREATE FUNCTION clerk_internal.json_string(value jsonb) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE WHEN jsonb_typeof(value) = 'string' THEN value #>> '{}' END;
COMMENT ON FUNCTION clerk_internal.json_string(jsonb) IS 'a JSON string; NULL: it is none';

CREATE FUNCTION clerk_internal.is_truthy(value jsonb) RETURNS boolean
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN coalesce(CASE jsonb_typeof(value)
		WHEN 'string' THEN value <> '""'
		WHEN 'number' THEN abs(value::numeric) >= 5e-324
		WHEN 'boolean' THEN value::boolean
		ELSE jsonb_typeof(value) <> 'null' END, false);
COMMENT ON FUNCTION clerk_internal.is_truthy(jsonb) IS
	'whether JavaScript takes a value, which may be absent, for true';
