-- clerk_rls 1.0.0 for databases that take no extension: supabase.com, Neon, RDS and others.
-- Made by "make hosted" from the parts of the extension; do not change it here.
--
-- Run it as the role that owns the application's tables, all of it at once: paste it into the SQL
-- editor, or run it with psql or as a migration. To update, run a later one. docs/hosted.md says more.

DO $installation$
DECLARE
	search_path constant text := pg_catalog.current_setting('search_path');
	messages constant text := pg_catalog.current_setting('client_min_messages');
	code text;
	message text;
	detail text;
	hint text;
BEGIN
	PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true), pg_catalog.set_config('client_min_messages', 'warning', true);
	EXECUTE $clerk_rls$

--
-- schema.sql
--		The schemas, and where this file must not go: over the extension, over what somebody else
--		has made, over a later version.
--

DO $$
DECLARE
	schema record;
	foreign_owner regrole;
	stranger text;
	was text;
BEGIN
	IF pg_catalog.getdatabaseencoding() <> 'UTF8' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'feature_not_supported',
			MESSAGE = 'the encoding of this database is not UTF8',
			DETAIL = 'Tokens and webhooks are in UTF8.';
	ELSIF EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'clerk_rls') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'object_not_in_prerequisite_state',
			MESSAGE = 'the extension clerk_rls is installed in this database',
			HINT = 'It has the same functions, and needs no file beside it.';
	END IF;
	FOR schema IN SELECT * FROM pg_catalog.pg_namespace WHERE nspname IN ('clerk', 'clerk_internal') LOOP
		SELECT creator INTO foreign_owner
		FROM (
			SELECT schema.nspowner
			UNION ALL
			SELECT acl.grantee FROM pg_catalog.aclexplode(schema.nspacl) AS acl
				WHERE acl.privilege_type = 'CREATE'
			UNION ALL
			SELECT relowner FROM pg_catalog.pg_class WHERE relnamespace = schema.oid
			UNION ALL
			SELECT proowner FROM pg_catalog.pg_proc WHERE pronamespace = schema.oid
			UNION ALL
			SELECT typowner FROM pg_catalog.pg_type WHERE typnamespace = schema.oid
		) AS creators (creator)
		WHERE creator <> (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user)
		LIMIT 1;
		IF FOUND THEN
			RAISE EXCEPTION USING
				ERRCODE = 'insufficient_privilege',
				MESSAGE = pg_catalog.format('schema %I can be changed by another role', schema.nspname),
				DETAIL = pg_catalog.format('%s owns it, or something in it, or may create objects in it, '
					'and could replace the functions that policies call.',
					CASE WHEN foreign_owner = 0::oid THEN 'PUBLIC' ELSE foreign_owner::text END),
				HINT = 'Run this as the role that has run it before; or give that role the schema and all '
					'in it, or rename the schema.';
		END IF;
	END LOOP;

	-- what has made version() has made the rest
	was := pg_catalog.obj_description(pg_catalog.to_regprocedure('clerk.version()'), 'pg_proc');
	IF was IS NULL OR was NOT LIKE '%hosted%' THEN
		SELECT pg_catalog.pg_describe_object(classid, objid, objsubid) INTO stranger
		FROM pg_catalog.pg_depend
		WHERE refclassid = 'pg_catalog.pg_namespace'::regclass
			AND refobjid IN (SELECT oid FROM pg_catalog.pg_namespace
				WHERE nspname IN ('clerk', 'clerk_internal'))
		LIMIT 1;
		IF FOUND THEN
			RAISE EXCEPTION USING
				ERRCODE = 'duplicate_object',
				MESSAGE = 'schema "clerk" has something in it that is not of this file',
				DETAIL = pg_catalog.format('There is %s.', stranger),
				HINT = 'Rename that schema; a foreign data wrapper can have its tables in another one.';
		END IF;
	ELSE
		EXECUTE 'SELECT clerk.version()' INTO was;
		IF pg_catalog.string_to_array(pg_catalog.split_part(was, ' ', 1),
			'.')::integer[] > pg_catalog.string_to_array('1.0.0', '.')::integer[] THEN
			RAISE EXCEPTION USING
				ERRCODE = 'object_not_in_prerequisite_state',
				MESSAGE = pg_catalog.format('version %s is there already, and this is version 1.0.0',
					pg_catalog.split_part(was, ' ', 1)),
				HINT = 'Use the file of that version, or a later one.';
		END IF;
	END IF;
END
$$;

CREATE SCHEMA IF NOT EXISTS clerk;
CREATE SCHEMA IF NOT EXISTS clerk_internal;
COMMENT ON SCHEMA clerk IS 'clerk_rls: who is signed in with Clerk, for row-level security policies';
COMMENT ON SCHEMA clerk_internal IS
	'clerk_rls: what the functions of schema clerk are made of; it may change without notice';

-- Nobody's default privileges reach what is made here, and nobody's grants on what was there
-- already are changed: default_privileges.sql and the end compare with this.
SELECT pg_catalog.set_config('clerk_rls.before', (
	SELECT coalesce(pg_catalog.jsonb_object_agg(object, acl), '{}')::text
	FROM (
		SELECT 'SCHEMA ' || oid::regnamespace, nspacl::text[] FROM pg_catalog.pg_namespace
		WHERE nspname IN ('clerk', 'clerk_internal')
			AND pg_catalog.to_regprocedure('clerk.version()') IS NOT NULL
		UNION ALL
		SELECT 'TABLE ' || oid::regclass, relacl::text[] FROM pg_catalog.pg_class
		WHERE relnamespace::regnamespace::text IN ('clerk', 'clerk_internal') AND relkind IN ('r', 'v')
		UNION ALL
		SELECT 'FUNCTION ' || oid::regprocedure,
			coalesce(proacl, pg_catalog.acldefault('f', proowner))::text[] FROM pg_catalog.pg_proc
		WHERE pronamespace::regnamespace::text IN ('clerk', 'clerk_internal')
	) AS known (object, acl)), true);

--
-- revoke.sql
--		Rights on what is made: taking back what default privileges have given, and giving.
--

CREATE OR REPLACE FUNCTION clerk_internal.revoke_all(catalog regclass, object oid) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	granted record;
BEGIN
	FOR granted IN
		SELECT DISTINCT o.name,
			CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END AS grantee
		FROM (
			SELECT 'SCHEMA ' || object::regnamespace, nspowner, nspacl
			FROM pg_namespace WHERE catalog = 'pg_namespace'::regclass AND oid = object
			UNION ALL
			SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END || object::regclass,
				relowner, relacl
			FROM pg_class WHERE catalog = 'pg_class'::regclass AND oid = object AND relkind IN ('r', 'v', 'S')
			UNION ALL
			SELECT 'FUNCTION ' || object::regprocedure, proowner, coalesce(proacl, acldefault('f', proowner))
			FROM pg_proc WHERE catalog = 'pg_proc'::regclass AND oid = object
		) AS o (name, owner, acl), aclexplode(o.acl) AS acl
		WHERE acl.grantee <> o.owner
	LOOP
		EXECUTE format('REVOKE ALL ON %s FROM %s CASCADE', granted.name, granted.grantee);
	END LOOP;
END
$$;
COMMENT ON FUNCTION clerk_internal.revoke_all(regclass, oid) IS
	'takes every right on a schema, a table, a view, a sequence or a function from everybody '
		'but its owner, whoever default privileges have given it to';

-- Asked when it has been made or replaced: nobody else can do so until the end of the transaction.
CREATE OR REPLACE FUNCTION clerk_internal.expose(function regprocedure, role name, alone boolean) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	owner constant regrole := (SELECT proowner FROM pg_proc WHERE oid = function);
BEGIN
	IF owner <> quote_ident(current_user)::regrole THEN
		RAISE EXCEPTION USING
			ERRCODE = 'insufficient_privilege',
			MESSAGE = format('function %s belongs to %s', function, owner),
			DETAIL = 'Its owner could replace it again, and it would run with the rights of its owner.',
			HINT = 'Drop it, or give another name or schema.';
	END IF;
	IF alone THEN
		PERFORM clerk_internal.revoke_all('pg_proc', function);
	END IF;
	EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s, %I', function, owner, role);
END
$$;
COMMENT ON FUNCTION clerk_internal.expose(regprocedure, name, boolean) IS
	'lets the owner, who must be the caller, and this role call a function; alone: and nobody else, '
		'whatever default privileges say';

--
-- json.sql
--		Base64url and JSON from whoever sent it, as strict as the extension reads them.
--

-- Not STRICT, here and below, where CASE answers NULL for NULL: PostgreSQL then puts the body in the
-- place of the call, which is several times as fast.

-- Exactly one text decodes to given bytes: no padding, no white space, and the bits behind the
-- last byte are zero.
CREATE OR REPLACE FUNCTION clerk_internal.base64url_decode(encoded text) RETURNS bytea
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE WHEN encoded ~ '^[A-Za-z0-9_-]*$' AND CASE length(encoded) % 4
			WHEN 0 THEN true
			WHEN 2 THEN right(encoded, 1) ~ '[AQgw]'
			WHEN 3 THEN right(encoded, 1) ~ '[AEIMQUYcgkosw048]'
			ELSE false END
		THEN decode(translate(encoded, '-_', '+/') || repeat('=', -length(encoded) & 3), 'base64') END;
COMMENT ON FUNCTION clerk_internal.base64url_decode(text) IS
	'the bytes that a text in strict base64url stands for; NULL: it is none';

CREATE OR REPLACE FUNCTION clerk_internal.base64url_encode(bytes bytea) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN translate(encode(bytes, 'base64'), E'+/=\n', '-_');
COMMENT ON FUNCTION clerk_internal.base64url_encode(bytea) IS 'bytes in base64url, without padding';

CREATE OR REPLACE FUNCTION clerk_internal.without_strings(document text) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN regexp_replace(document, '"(?:[^"\\]|\\.)*"', '', 'g');
COMMENT ON FUNCTION clerk_internal.without_strings(text) IS
	'a JSON text without its strings: each colon is a member''s, each bracket a level''s';

CREATE OR REPLACE FUNCTION clerk_internal.count_of(characters text, string text) RETURNS integer
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN length(string) - length(translate(string, characters, ''));
COMMENT ON FUNCTION clerk_internal.count_of(text, text) IS 'how many of these characters a string has';

CREATE OR REPLACE FUNCTION clerk_internal.is_too_deep(bare text) RETURNS boolean
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
CREATE OR REPLACE FUNCTION clerk_internal.parse_object(document text) RETURNS jsonb
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

CREATE OR REPLACE FUNCTION clerk_internal.parse_object_bytes(bytes bytea) RETURNS jsonb
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
CREATE OR REPLACE FUNCTION clerk_internal.json_number(value jsonb) RETURNS numeric
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE WHEN jsonb_typeof(value) = 'number' AND abs(value::numeric) < 1e308
		THEN CASE WHEN abs(value::numeric) < 5e-324 THEN 0 ELSE value::numeric END END;
COMMENT ON FUNCTION clerk_internal.json_number(jsonb) IS 'a JSON number; NULL: it is none, or too large';

CREATE OR REPLACE FUNCTION clerk_internal.json_string(value jsonb) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE WHEN jsonb_typeof(value) = 'string' THEN value #>> '{}' END;
COMMENT ON FUNCTION clerk_internal.json_string(jsonb) IS 'a JSON string; NULL: it is none';

CREATE OR REPLACE FUNCTION clerk_internal.is_truthy(value jsonb) RETURNS boolean
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN coalesce(CASE jsonb_typeof(value)
		WHEN 'string' THEN value <> '""'
		WHEN 'number' THEN abs(value::numeric) >= 5e-324
		WHEN 'boolean' THEN value::boolean
		ELSE jsonb_typeof(value) <> 'null' END, false);
COMMENT ON FUNCTION clerk_internal.is_truthy(jsonb) IS
	'whether JavaScript takes a value, which may be absent, for true';

--
-- rsa.sql
--		Signatures of RSA keys (RSASSA-PKCS1-v1_5, RFC 8017 section 8.2.2) in numeric.
--
-- Uses json.
--

CREATE OR REPLACE FUNCTION clerk_internal.bytes_to_numeric(bytes bytea) RETURNS numeric
	LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	-- seven bytes at a time are a bigint for sure
	first constant integer := length(bytes) % 7;
	number numeric := ('x' || lpad(encode(substring(bytes, 1, first), 'hex'), 14, '0'))::bit(56)::bigint;
BEGIN
	FOR i IN 0 .. length(bytes) / 7 - 1 LOOP
		number := number * 72057594037927936
			+ ('x' || encode(substring(bytes, first + i * 7 + 1, 7), 'hex'))::bit(56)::bigint;
	END LOOP;
	RETURN number;
END
$$;
COMMENT ON FUNCTION clerk_internal.bytes_to_numeric(bytea) IS 'bytes as a number, the most significant first';

CREATE OR REPLACE FUNCTION clerk_internal.bit_length(bytes bytea) RETURNS integer
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN coalesce(length(ltrim(('x' || encode(ltrim(bytes, '\x00'), 'hex'))::bit varying::text, '0')), 0);
COMMENT ON FUNCTION clerk_internal.bit_length(bytea) IS 'the bits of a number, without zeros before it';

-- Dividing by the modulus is the dearest of it, so a number is multiplied by the reciprocal
-- instead (Barrett): what remains is too large by a few times the modulus at most, and the last
-- step is exact.
CREATE OR REPLACE FUNCTION clerk_internal.reciprocal(modulus numeric) RETURNS numeric
	LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	digits constant integer := 2 * length(modulus::text) + 8;
BEGIN
	RETURN div(('1e' || digits)::numeric, modulus) * ('1e-' || digits)::numeric;
END
$$;
COMMENT ON FUNCTION clerk_internal.reciprocal(numeric) IS
	'the reciprocal of a modulus, rounded down, to a third more than twice its digits';

-- From the second bit on, the first being 1: squared at each, and multiplied at a 1.
CREATE OR REPLACE FUNCTION clerk_internal.power(base numeric, exponent bytea, modulus numeric, reciprocal numeric)
	RETURNS numeric
	LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	bits constant text := ltrim(('x' || encode(exponent, 'hex'))::bit varying::text, '0');
	-- digits that do not matter for the quotient; numeric keeps them by fours
	scale constant integer := 4 - length(modulus::text) / 4 * 4;
	product numeric;
	power numeric := base;
BEGIN
	FOR i IN 2 .. length(bits) LOOP
		product := power * power;
		power := product - trunc(trunc(product, scale) * reciprocal) * modulus;
		IF substr(bits, i, 1) = '1' THEN
			product := power * base;
			power := product - trunc(trunc(product, scale) * reciprocal) * modulus;
		END IF;
	END LOOP;
	RETURN power % modulus;
END
$$;
COMMENT ON FUNCTION clerk_internal.power(numeric, bytea, numeric, numeric) IS
	'a power modulo a number whose reciprocal is given; the exponent in bytes';

-- Of a key that is in use, made once (library.sql).
CREATE TABLE IF NOT EXISTS clerk_internal.moduli (
	n text COLLATE "C" CONSTRAINT moduli_pkey PRIMARY KEY,
	size integer NOT NULL,
	modulus numeric NOT NULL,
	reciprocal numeric NOT NULL
);
COMMENT ON TABLE clerk_internal.moduli IS
	'the numbers of the RSA keys in clerk.jwks, kept by a trigger: they only save time';
COMMENT ON COLUMN clerk_internal.moduli.n IS '"n" of the key';
COMMENT ON COLUMN clerk_internal.moduli.size IS 'its bytes';
COMMENT ON COLUMN clerk_internal.moduli.modulus IS 'the number';
COMMENT ON COLUMN clerk_internal.moduli.reciprocal IS 'what it is multiplied with instead of a division';

CREATE OR REPLACE FUNCTION clerk_internal.modulus_of(n text) RETURNS clerk_internal.moduli
	LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	bytes constant bytea := ltrim(clerk_internal.base64url_decode(n), '\x00');
	modulus constant numeric := clerk_internal.bytes_to_numeric(bytes);
BEGIN
	RETURN ROW(n, length(bytes), modulus, clerk_internal.reciprocal(modulus))::clerk_internal.moduli;
END
$$;
COMMENT ON FUNCTION clerk_internal.modulus_of(text) IS
	'the numbers of an RSA key, which has been checked, by its "n"';

-- EMSA-PKCS1-v1_5 (RFC 8017 section 9.2): 00 01 FF ... FF 00, what says which hash, the hash.
CREATE OR REPLACE FUNCTION clerk_internal.encoded_hash(hash bytea, size integer) RETURNS numeric
	LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	digest_info constant bytea := CASE length(hash)
		WHEN 32 THEN '\x3031300d060960864801650304020105000420'::bytea
		WHEN 48 THEN '\x3041300d060960864801650304020205000430'
		WHEN 64 THEN '\x3051300d060960864801650304020305000440' END || hash;
BEGIN
	-- 01 FF ... FF are all ones
	RETURN (power(2::numeric, 8 * (size - length(digest_info) - 3) + 1) - 1) * power(2::numeric,
		8 * (length(digest_info) + 1))
		+ clerk_internal.bytes_to_numeric(digest_info);
END
$$;
COMMENT ON FUNCTION clerk_internal.encoded_hash(bytea, integer) IS
	'what the signature of a hash by a key of so many bytes encrypts to';

CREATE OR REPLACE FUNCTION clerk_internal.verify_rsa(jwk jsonb, alg text, signed text, signature bytea) RETURNS boolean
	LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	message constant bytea := convert_to(signed, 'UTF8');
	hash constant bytea := CASE alg WHEN 'RS256' THEN sha256(message) WHEN 'RS384' THEN sha384(message)
		WHEN 'RS512' THEN sha512(message) END;
	key clerk_internal.moduli;
	number numeric;
BEGIN
	SELECT * INTO key FROM clerk_internal.moduli AS m WHERE m.n = jwk ->> 'n';
	IF NOT FOUND THEN
		key := clerk_internal.modulus_of(jwk ->> 'n');
	END IF;
	IF length(signature) <> key.size THEN
		RETURN false;
	END IF;
	number := clerk_internal.bytes_to_numeric(signature);
	RETURN coalesce(number < key.modulus
		AND clerk_internal.power(number,
			clerk_internal.base64url_decode(jwk ->> 'e'), key.modulus, key.reciprocal)
			= clerk_internal.encoded_hash(hash, key.size), false);
END
$$;
COMMENT ON FUNCTION clerk_internal.verify_rsa(jsonb, text, text, bytea) IS
	'whether a key has made this signature, by RS256, RS384 or RS512';

--
-- library.sql
--		What the extension has in C and the parts below call: refusals, keys, webhooks' bodies.
--
-- Uses json, rsa.
--

CREATE OR REPLACE FUNCTION clerk_internal.refuse(sqlstate text, message text, detail text, hint text) RETURNS void
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	-- none of these may be NULL
	IF detail IS NULL AND hint IS NULL THEN
		RAISE EXCEPTION USING ERRCODE = sqlstate, MESSAGE = message;
	ELSIF hint IS NULL THEN
		RAISE EXCEPTION USING ERRCODE = sqlstate, MESSAGE = message, DETAIL = detail;
	ELSIF detail IS NULL THEN
		RAISE EXCEPTION USING ERRCODE = sqlstate, MESSAGE = message, HINT = hint;
	END IF;
	RAISE EXCEPTION USING ERRCODE = sqlstate, MESSAGE = message, DETAIL = detail, HINT = hint;
END
$$;
COMMENT ON FUNCTION clerk_internal.refuse(text, text, text, text) IS
	'raises; the statement is in the server log, unlike with the extension';

-- No backend keeps keys, but the numbers that they are made of.
CREATE OR REPLACE FUNCTION clerk_internal.invalidate() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF TG_TABLE_NAME <> 'jwks' OR TG_LEVEL <> 'STATEMENT' THEN
		RETURN NULL;
	END IF;
	DELETE FROM clerk_internal.moduli AS m
		WHERE NOT EXISTS (SELECT FROM clerk.jwks AS key WHERE key.jwk ->> 'n' = m.n);
	INSERT INTO clerk_internal.moduli
		SELECT (clerk_internal.modulus_of(key.jwk ->> 'n')).* FROM clerk.jwks AS key
		WHERE NOT EXISTS (SELECT FROM clerk_internal.moduli AS m WHERE m.n = key.jwk ->> 'n')
		ON CONFLICT DO NOTHING;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION clerk_internal.invalidate() IS
	'trigger: keeps clerk_internal.moduli in step with clerk.jwks';

CREATE OR REPLACE FUNCTION clerk_internal.check_jwk(jwk jsonb, OUT ignored boolean, OUT problem text)
	LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	kty constant text := clerk_internal.json_string(jwk -> 'kty');
	n bytea;
	e bytea;
BEGIN
	ignored := false;
	IF jsonb_typeof(jwk) <> 'object' THEN
		problem := 'It is not a JSON object with unique members.';
	ELSIF kty IS NULL THEN
		problem := 'A member it needs is missing or malformed.';
	ELSIF kty = 'oct' THEN
		problem := 'It is a symmetric key ("kty": "oct").';
	ELSIF jwk ?| '{d,p,q,dp,dq,qi,oth,k}' THEN
		problem := 'It holds a private key.';
	ELSIF jwk ? 'use' AND jwk -> 'use' <> '"sig"'
		OR jwk ? 'key_ops' AND NOT (jsonb_typeof(jwk -> 'key_ops') = 'array'
			AND jwk -> 'key_ops' ? 'verify') THEN
		ignored := true;
		problem := 'Its "use" or "key_ops" is not for verifying signatures.';
	ELSIF kty <> 'RSA' THEN
		ignored := true;
		problem := 'Its "kty" or "crv" is not supported.';
	ELSIF length(jwk ->> 'n') > 1370 THEN
		problem := 'An RSA key must have 2048 to 8192 bits.';
	ELSE
		n := clerk_internal.base64url_decode(clerk_internal.json_string(jwk -> 'n'));
		e := clerk_internal.base64url_decode(clerk_internal.json_string(jwk -> 'e'));
		IF coalesce(length(n) = 0 OR length(e) = 0, true) THEN
			problem := 'A member it needs is missing or malformed.';
		ELSIF clerk_internal.bit_length(n) NOT BETWEEN 2048 AND 8192
			OR get_byte(n, length(n) - 1) & 1 = 0 THEN
			problem := 'An RSA key must have 2048 to 8192 bits.';
		ELSIF clerk_internal.bit_length(e) NOT BETWEEN 2 AND 64 OR get_byte(e, length(e) - 1) & 1 = 0 THEN
			problem := 'An RSA exponent must be odd, at least 3 and at most 64 bits.';
		ELSIF jwk ? 'alg' AND jwk -> 'alg' <> ALL ('{"\"RS256\"","\"RS384\"","\"RS512\""}'::jsonb[]) THEN
			ignored := true;
			problem := 'Its "alg" is no signature algorithm for this key.';
		END IF;
	END IF;
END
$$;
COMMENT ON FUNCTION clerk_internal.check_jwk(jsonb) IS
	'why a JSON Web Key cannot be used (NULL: it can), and whether a JWKS may hold it all the same';

-- One element of DER (X.690): what it is, where its content begins and where it ends.
CREATE OR REPLACE FUNCTION clerk_internal.der_element(der bytea, place integer, OUT tag integer, OUT start integer,
	OUT stop integer)
	LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	size integer := get_byte(der, place + 1);
	n integer := size & 127;
BEGIN
	start := place + 2;
	IF size > 127 THEN
		IF n NOT BETWEEN 1 AND 3 THEN
			RETURN;
		END IF;
		size := 0;
		FOR i IN 1 .. n LOOP
			size := size * 256 + get_byte(der, place + 1 + i);
		END LOOP;
		start := start + n;
	END IF;
	IF start + size <= length(der) THEN
		tag := get_byte(der, place);
		stop := start + size;
	END IF;
EXCEPTION WHEN array_subscript_error THEN
	RETURN;
END
$$;
COMMENT ON FUNCTION clerk_internal.der_element(bytea, integer) IS
	'the element at a place in DER; tag NULL: there is none';

CREATE OR REPLACE FUNCTION clerk_internal.der_elements(der bytea, start integer, stop integer)
	RETURNS TABLE (n integer, tag integer, "from" integer, "to" integer)
	LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	element record;
BEGIN
	n := 0;
	WHILE start < stop LOOP
		element := clerk_internal.der_element(der, start);
		EXIT WHEN element.tag IS NULL OR element.stop > stop;
		n := n + 1;
		tag := element.tag;
		"from" := element.start;
		"to" := element.stop;
		RETURN NEXT;
		start := element.stop;
	END LOOP;
END
$$;
COMMENT ON FUNCTION clerk_internal.der_elements(bytea, integer, integer) IS
	'the elements that stand between two places in DER';

CREATE OR REPLACE FUNCTION clerk_internal.refuse_key(detail text, hint text) RETURNS void
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk_internal.refuse('22023', 'the key is refused', detail, hint) $$;
COMMENT ON FUNCTION clerk_internal.refuse_key(text, text) IS 'raises for a key in PEM form';

-- SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7), which stands in a PEM file between BEGIN and END
-- PUBLIC KEY; in a certificate it is the element behind the subject. Nothing else of that is looked at.
CREATE OR REPLACE FUNCTION clerk_internal.jwk_of_spki(der bytea) RETURNS jsonb
	LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
DECLARE
	whole constant record := clerk_internal.der_element(der, 0);
	spki record;
	first record;
	key bytea;
	numbers bytea[];
BEGIN
	SELECT * INTO first FROM clerk_internal.der_elements(der, whole.start, whole.stop) WHERE n = 1;
	IF whole.tag = 48 AND whole.stop = length(der) AND first.tag = 2 AND first."to" - first."from" = 1 THEN
		PERFORM clerk_internal.refuse_key('It holds a private key.',
			'Load public keys only, and replace this key: it has been shown.');
	END IF;
	spki := whole;
	-- a certificate begins with a sequence that begins with a version or a number
	SELECT item.tag INTO first FROM clerk_internal.der_elements(der, first."from", first."to") AS item
		WHERE n = 1;
	IF first.tag IN (160, 2) THEN
		SELECT item.tag, item."from" AS start, item."to" AS stop INTO spki
		FROM clerk_internal.der_elements(der, whole.start, whole.stop) AS outer_element,
			clerk_internal.der_elements(der, outer_element."from", outer_element."to") AS item
		WHERE outer_element.n = 1 AND item.n = CASE first.tag WHEN 160 THEN 7 ELSE 6 END;
	END IF;
	SELECT substring(der, "from" + 2, "to" - "from" - 1) INTO key
	FROM clerk_internal.der_elements(der, spki.start, spki.stop) WHERE n = 2 AND tag = 3;
	IF key IS NULL OR whole.tag <> 48 OR whole.stop <> length(der) THEN
		PERFORM clerk_internal.refuse_key('It is not a public key in PEM form.',
			'Copy the JWT public key from the API keys page of the Clerk Dashboard; a certificate will do '
				'as well.');
	END IF;
	SELECT array_agg(substring(key, item."from" + 1, item."to" - item."from") ORDER BY item.n) INTO numbers
	FROM clerk_internal.der_elements(key, 0, length(key)) AS outer_element,
		clerk_internal.der_elements(key, outer_element."from", outer_element."to") AS item
	WHERE outer_element.n = 1 AND outer_element.tag = 48 AND item.tag = 2
		-- rsaEncryption
		AND position('\x06092a864886f70d010101'::bytea IN substring(der, spki.start + 1, 20)) > 0;
	IF cardinality(numbers) IS DISTINCT FROM 2 THEN
		PERFORM clerk_internal.refuse_key('Its "kty" or "crv" is not supported.', NULL);
	END IF;
	RETURN jsonb_build_object('kty', 'RSA',
		'n', clerk_internal.base64url_encode(ltrim(numbers[1], '\x00')), 'e',
			clerk_internal.base64url_encode(ltrim(numbers[2], '\x00')));
END
$$;
COMMENT ON FUNCTION clerk_internal.jwk_of_spki(bytea) IS
	'the public key in a SubjectPublicKeyInfo, or in a certificate, as a JSON Web Key';

CREATE OR REPLACE FUNCTION clerk_internal.unknown_kid_at(issuer text) RETURNS timestamptz
	LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$ SELECT NULL::timestamptz $$;
COMMENT ON FUNCTION clerk_internal.unknown_kid_at(text) IS
	'NULL: that a token named an unknown key is noted by the extension only';

CREATE OR REPLACE FUNCTION clerk_internal.count_tokens()
	RETURNS TABLE (issuer text, reason text, tokens bigint, since timestamptz)
	LANGUAGE sql STABLE STRICT ROWS 20 SET search_path = pg_catalog, pg_temp
	AS $$ SELECT NULL::text, NULL::text, NULL::bigint, NULL::timestamptz WHERE false $$;
COMMENT ON FUNCTION clerk_internal.count_tokens() IS 'nothing: tokens are counted by the extension only';

--
-- reasons.sql
--		Why a token or a webhook is refused: the codes and texts of the extension (src/core/status.c).
--
-- Uses library.
--

CREATE OR REPLACE FUNCTION clerk_internal.reason(status text, OUT code text, OUT message text, OUT detail text,
	OUT hint text, OUT step text)
	LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	SELECT r.code, r.code || ': ' || r.message, r.detail, r.hint, r.step
		INTO code, message, detail, hint, step
	FROM (VALUES
		('no_token', 'no-token', 'nobody is signed in', 'source',
			'The request carries no token of a registered instance.',
			'Send the session token as "Authorization: Bearer ...".'),
		('source_ambiguous', 'token-invalid', 'the token is malformed', 'source',
			'A header has several values.', NULL),
		('cookie_cross_site', 'cookie-cross-site', 'the cookie does not count', 'source',
			'Neither Origin is an authorized party, nor Sec-Fetch-Site same-origin, nor the request a GET.',
			'Send the session token as "Authorization: Bearer ...".'),
		('token_too_large', 'token-too-large', 'the token is too large', 'shape',
			'A token may have at most 16 KiB.', NULL),
		('token_not_compact', 'token-invalid', 'the token is malformed', 'shape',
			'It is not three parts separated by two dots.', NULL),
		('token_not_base64url', 'token-invalid', 'the token is malformed', 'shape',
			'A part is not base64url without padding.', NULL),
		('header_not_json', 'token-invalid', 'the token is malformed', 'shape',
			'The header is not a JSON object with unique members.', NULL),
		('header_member', 'token-invalid', 'the token is malformed', 'shape',
			'A header member has the wrong type.', NULL),
		('header_critical', 'token-invalid', 'the token is malformed', 'shape',
			'The header asks for an extension ("crit" or "b64").', NULL),
		('payload_not_json', 'token-invalid', 'the token is malformed', 'shape',
			'The payload is not a JSON object that jsonb can hold.', NULL),
		('issuer_unknown', 'token-invalid-issuer', 'the issuer is not registered', 'instance',
			'No instance in clerk.instances has the token''s issuer.',
				'Register the instance with clerk.add_instance().'),
		('issuer_legacy', 'token-invalid-issuer', 'the issuer is not registered', 'instance',
			'It is a token of a JWT template with a secret of its own (HS256), which counts as somebody '
				'else''s until the instance''s legacy_template_until.',
			'Get a token without a template.'),
		('table_unreadable', 'table-unreadable', 'a table of clerk_rls cannot be read', 'instance',
			'A table of schema clerk is missing, or has other columns than it was created with.',
				'Undo what was changed in the schema clerk.'),
		('type_not_jwt', 'token-type-mismatch', 'not the token of a user''s session', 'type',
			'The header''s "typ" is not "JWT".', NULL),
		('type_not_session', 'token-type-mismatch', 'not the token of a user''s session', 'type',
			'The header''s "cat" is another category''s.', NULL),
		('type_machine', 'token-type-mismatch', 'not the token of a user''s session', 'type',
			'The subject is a machine.', NULL),
		('type_not_access', 'token-type-mismatch', 'not the token of a user''s session', 'type',
			'The header''s "typ" is not "at+jwt".',
			'The instance''s token_type asks for access tokens.'),
		('type_id', 'token-type-mismatch', 'not the token of a user''s session', 'type',
			'It may be an id token of OpenID Connect, made for another application: it has "nonce", '
				'"at_hash" or "c_hash", or "aud" and no session id.',
			'Set the instance''s audiences, and for id tokens its token_type.'),
		('type_no_session_id', 'token-type-mismatch', 'not the token of a user''s session', 'type',
			'The token has no session id, and its instance does not accept tokens of JWT templates.', NULL),
		('key_unknown', 'jwk-kid-mismatch', 'no key of the instance has the token''s kid', 'key',
			'The instance has no usable key with the header''s "kid".',
				'Load the instance''s current keys with clerk.load_jwks().'),
		('algorithm_unsupported', 'token-invalid-algorithm', 'the algorithm is not allowed', 'algorithm',
			'The header''s "alg" is not a supported signature algorithm.', NULL),
		('algorithm_not_the_keys', 'token-invalid-algorithm', 'the algorithm is not allowed', 'algorithm',
			'The header''s "alg" is not the key''s algorithm.', NULL),
		('signature_invalid', 'token-invalid-signature', 'the signature does not verify', 'signature',
			'The key did not sign this header and payload.', NULL),
		('subject_invalid', 'token-invalid', 'the token is malformed', 'subject',
			'"sub" is not a non-empty string.', NULL),
		('claim_type', 'token-invalid', 'the token is malformed', 'subject',
			'"sid", "azp", "sts" or "act" has the wrong type.', NULL),
		('audience', 'token-invalid', 'the token is malformed', 'audience',
			'"aud" names none of the instance''s audiences.',
			'Compare it with clerk.instances.audiences.'),
		('authorized_party', 'token-invalid-authorized-parties', 'the authorized party is not allowed',
			'authorized party',
			'"azp" is none of the instance''s authorized parties.',
			'Compare it with clerk.instances.authorized_parties.'),
		('authorized_party_missing', 'token-invalid-authorized-parties',
			'the authorized party is not allowed', 'authorized party',
			'The token has no "azp", and the instance has authorized parties.',
			'Clerk takes it from the Origin of a page, so tokens of native apps and backends have none: an '
				'instance that serves these has no authorized_parties.'),
		('expiry_invalid', 'token-invalid', 'the token is malformed', 'expiry',
			'"exp" is missing or not a usable number.', NULL),
		('expired', 'token-expired', 'the token has expired', 'expiry', '"exp" has passed.',
			'Get a fresh token; Clerk''s session tokens live for a minute.'),
		('not_before_invalid', 'token-invalid', 'the token is malformed', 'not before',
			'"nbf" is not a usable number.', NULL),
		('not_active_yet', 'token-not-active-yet', 'the token is not valid yet', 'not before',
			'"nbf" is in the future.', 'Compare the clocks.'),
		('issued_at_invalid', 'token-invalid', 'the token is malformed', 'issued at',
			'"iat" is not a usable number.', NULL),
		('issued_in_future', 'token-iat-in-the-future', 'the token was issued in the future', 'issued at',
			'"iat" is in the future.',
			'Compare the clocks.'),
		('too_old', 'token-expired', 'the token has expired', 'issued at',
			'The token is older than the instance''s max_token_age.',
			'Get a fresh token.'),
		('session_pending', 'session-pending', 'the session is pending', 'session status',
			'"sts" is "pending", which counts as signed out.',
			'The user has a session task to finish in Clerk.'),
		('session_revoked', 'session-revoked', 'the session was revoked', 'revocation',
			'The session has ended, or was revoked.', 'Sign in again.'),
		('user_revoked', 'user-revoked', 'the user was revoked', 'revocation',
			'The user was banned, deleted or revoked.', NULL),
		('identity_mismatch', 'identity-mismatch', 'the request names two users', 'identity',
			'Another source of this request names another user than the verified token, or cannot be read.',
				'Send one token in one place.'),
		('webhook_headers', 'webhook-invalid-headers', 'the webhook is not signed', NULL,
			'One of the headers svix-id, svix-timestamp and svix-signature is missing or malformed.', NULL),
		('webhook_too_old', 'webhook-too-old', 'the webhook is too old', NULL,
			'Its timestamp is more than five minutes ago.', 'Compare the clocks.'),
		('webhook_too_new', 'webhook-too-new', 'the webhook is in the future', NULL,
			'Its timestamp is more than five minutes ahead.', 'Compare the clocks.'),
		('webhook_signature', 'webhook-invalid-signature', 'no secret made the signature', NULL,
			'None of the secrets of any instance signed this id, timestamp and body.',
			'Give the endpoint''s signing secret to clerk.add_webhook_secret().')
	) AS r (status, code, message, step, detail, hint)
	WHERE r.status = reason.status;
END
$$;
COMMENT ON FUNCTION clerk_internal.reason(text) IS
	'the reason code of a status, its texts, and the step of the verification it belongs to';

CREATE OR REPLACE FUNCTION clerk_internal.steps() RETURNS text[]
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN '{source,shape,instance,type,key,algorithm,signature,subject,audience,"authorized '
		'party",expiry,"not before","issued at","session status",revocation,identity}'::text[];
COMMENT ON FUNCTION clerk_internal.steps() IS 'the steps of a verification, in their order';

-- PostgREST answers PT401 with HTTP status 401; class 28 would be 403.
CREATE OR REPLACE FUNCTION clerk_internal.raise(status text) RETURNS void
	LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	reason constant record := clerk_internal.reason(status);
BEGIN
	PERFORM clerk_internal.refuse(CASE status WHEN 'table_unreadable' THEN '55000'
		ELSE 'PT401' END, reason.message, reason.detail, reason.hint);
END
$$;
COMMENT ON FUNCTION clerk_internal.raise(text) IS 'raises for a status other than ok, with the reason';

CREATE OR REPLACE FUNCTION clerk_internal.is_anonymous(status text) RETURNS boolean
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN status IN ('no_token', 'cookie_cross_site', 'issuer_unknown', 'issuer_legacy');
COMMENT ON FUNCTION clerk_internal.is_anonymous(text) IS
	'whether the request is one without a token of ours, rather than one with a bad token';

--
-- settings.sql
--		Which flavour this is, and who is believed.
--
-- Uses library.
--

CREATE OR REPLACE FUNCTION clerk.version() RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN '1.0.0 (hosted)';
COMMENT ON FUNCTION clerk.version() IS 'the version, and whether it is the extension or the hosted file';

CREATE TABLE IF NOT EXISTS clerk.settings (
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

CREATE OR REPLACE FUNCTION clerk_internal.anon_role() RETURNS text
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT value FROM clerk.settings WHERE name = 'anon_role' $$;
COMMENT ON FUNCTION clerk_internal.anon_role() IS 'the role as which PostgREST runs anonymous requests';

CREATE OR REPLACE FUNCTION clerk_internal.believes_claims() RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT coalesce((SELECT value = 'claims' FROM clerk.settings WHERE name = 'verify'), false) $$;
COMMENT ON FUNCTION clerk_internal.believes_claims() IS 'whether request.jwt.claims are believed';

CREATE OR REPLACE FUNCTION clerk_internal.is_own(catalog regclass, object oid) RETURNS boolean
	LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT coalesce((SELECT i.schema IN ('clerk', 'clerk_internal')
		FROM pg_identify_object(catalog, object, 0) AS i), false)
$$;
COMMENT ON FUNCTION clerk_internal.is_own(regclass, oid) IS 'whether an object is one of clerk_rls';

-- A SECURITY DEFINER function cannot become another role, so that a handler of another role's would
-- run with the rights of this one.
CREATE OR REPLACE FUNCTION clerk_internal.handler_role() RETURNS oid
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT nspowner FROM pg_namespace WHERE nspname = 'clerk' $$;
COMMENT ON FUNCTION clerk_internal.handler_role() IS
	'the only role whose functions handle events: the one that has run this file, and so receives webhooks';

CREATE OR REPLACE FUNCTION clerk_internal.once(call text) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT format('( SELECT %s AS %s)', call, substring(call FROM '[.](\w+)[(]')) $$;
COMMENT ON FUNCTION clerk_internal.once(text) IS
	'a call of a function of clerk as policies are to have it, as PostgreSQL prints it: once a statement';

-- Not of what depends on the row; and where claims are believed clerk.uid() costs next to nothing.
CREATE OR REPLACE FUNCTION clerk_internal.audit_flavour()
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

--
-- instances.sql
--		Clerk instances, and other issuers, whose tokens are verified.
--
-- Uses library.
--

CREATE TABLE IF NOT EXISTS clerk.instances (
	-- keys.c knows the order of the columns
	issuer text COLLATE "C" CONSTRAINT instances_pkey PRIMARY KEY
		CONSTRAINT instances_issuer CHECK (issuer ~ '^https?://[^/?#[:space:]]+(/[^?#[:space:]]*)?$'),
	publishable_key text COLLATE "C",
	jwks_url text COLLATE "C"
		-- over http anybody on the way could send keys, so only from this machine
		CONSTRAINT instances_jwks_url CHECK (jwks_url ~ '^https://[^/?#@[:space:]]+([/?][^#[:space:]]*)?$'
			OR jwks_url ~ '^http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?([/?][^#[:space:]]*)?$'),
	authorized_parties text[]
		CONSTRAINT instances_authorized_parties CHECK (pg_catalog.cardinality(authorized_parties) > 0
			AND pg_catalog.array_position(authorized_parties, NULL) IS NULL),
	audiences text[]
		CONSTRAINT instances_audiences CHECK (pg_catalog.cardinality(audiences) > 0
			AND pg_catalog.array_position(audiences, NULL) IS NULL),
	clock_skew interval NOT NULL DEFAULT '5 seconds'
		CONSTRAINT instances_clock_skew CHECK (clock_skew BETWEEN '0' AND '1 hour'),
	id_claim text,
	id_fallback text NOT NULL DEFAULT 'uuid_v5'
		CONSTRAINT instances_id_fallback CHECK (id_fallback IN ('uuid_v5', 'none')),
	role name DEFAULT 'authenticated',
	accept_templates boolean NOT NULL DEFAULT true,
	max_token_age interval
		CONSTRAINT instances_max_token_age CHECK (max_token_age BETWEEN '1 second' AND '100 years'),
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	id_type text
		CONSTRAINT instances_id_type CHECK (id_type IN ('uuid', 'bigint', 'text')),
	legacy_template_until timestamptz
		CONSTRAINT instances_legacy_template_until CHECK (pg_catalog.isfinite(legacy_template_until)),
	token_type text NOT NULL DEFAULT 'session'
		CONSTRAINT instances_token_type CHECK (token_type = 'session'
			-- what these are made for is in their "aud" only
			OR (token_type IN ('access', 'id') AND audiences IS NOT NULL))
);
COMMENT ON TABLE clerk.instances IS 'Clerk instances (and other issuers) whose tokens are verified';
COMMENT ON COLUMN clerk.instances.issuer IS
	'the exact "iss" of its tokens: https:// and the Frontend API host';
COMMENT ON COLUMN clerk.instances.publishable_key IS 'the publishable key it was added with, if any';
COMMENT ON COLUMN clerk.instances.jwks_url IS 'where its current keys are published';
COMMENT ON COLUMN clerk.instances.authorized_parties IS
	'origins that "azp" must be one of; NULL: any, and cookies are not read';
COMMENT ON COLUMN clerk.instances.audiences IS 'values of which "aud" must have one; NULL: any';
COMMENT ON COLUMN clerk.instances.clock_skew IS 'tolerated difference between clocks';
COMMENT ON COLUMN clerk.instances.id_claim IS 'the claim that holds a user''s local id, if any';
COMMENT ON COLUMN clerk.instances.id_fallback IS
	'the local id of a user without a mapping: uuid_v5 (of the Clerk id) or none';
COMMENT ON COLUMN clerk.instances.role IS
	'the role to which clerk.pre_request() switches a verified caller whom PostgREST runs as the anonymous '
	'role; NULL: never';
COMMENT ON COLUMN clerk.instances.accept_templates IS
	'whether tokens without a session id (JWT templates) are accepted; they outlive a revoked session';
COMMENT ON COLUMN clerk.instances.max_token_age IS
	'refuse tokens issued longer ago than this, whatever their "exp"; NULL: no limit';
COMMENT ON COLUMN clerk.instances.created_at IS 'when it was added';
COMMENT ON COLUMN clerk.instances.legacy_template_until IS
	'until when a token signed with HS256 counts as another issuer''s, while moving away from a JWT '
	'template with a secret of its own; NULL: it is refused';
COMMENT ON COLUMN clerk.instances.token_type IS
	'session: session tokens, and no id tokens of OpenID Connect; access: access tokens (typ at+jwt, RFC '
	'9068); id: id tokens. The last two need audiences';
COMMENT ON COLUMN clerk.instances.id_type IS
	'the type of its users'' local ids, which clerk.map_id() enforces; NULL: any';

-- The throw-away instance of clerk_rls_test stays where its private key is.
CREATE OR REPLACE TRIGGER invalidate_statement AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON clerk.instances
	FOR EACH STATEMENT EXECUTE FUNCTION clerk_internal.invalidate();
CREATE OR REPLACE TRIGGER invalidate_row AFTER INSERT OR UPDATE OR DELETE ON clerk.instances
	FOR EACH ROW EXECUTE FUNCTION clerk_internal.invalidate();

ALTER TABLE clerk.instances ENABLE ALWAYS TRIGGER invalidate_statement;
ALTER TABLE clerk.instances ENABLE ALWAYS TRIGGER invalidate_row;

COMMENT ON TRIGGER invalidate_statement ON clerk.instances IS 'no backend keeps a changed instance';
COMMENT ON TRIGGER invalidate_row ON clerk.instances IS 'the same, in an apply worker of logical replication';

CREATE OR REPLACE FUNCTION clerk_internal.decode_publishable_key(publishable_key text) RETURNS text
	LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	encoded text := substring(publishable_key FROM '^pk_(?:live|test)_([^_]+)$');
	digits text := rtrim(encoded, '=');
	host text;
	problem text;
BEGIN
	IF encoded IS NULL THEN
		problem := 'It must be pk_live_ or pk_test_ and base64 behind it.';
	ELSIF digits !~ '^[A-Za-z0-9+/]+$' OR length(digits) % 4 = 1 OR encoded !~ '^[^=]+={0,2}$'
		OR (encoded <> digits AND length(encoded) % 4 <> 0) THEN
		problem := 'What is behind pk_live_ or pk_test_ is not base64.';
	ELSE
		-- ASCII or nothing; the last byte, $, ends the host
		host := encode(decode(rpad(digits, (length(digits) + 3) / 4 * 4, '='), 'base64'), 'escape');
		IF host !~ '^[^$]*[$]$' THEN
			problem := 'What it encodes does not end with a $, or has another one.';
		ELSIF host !~ '^[A-Za-z0-9.-]+\.[A-Za-z0-9.-]+(:[0-9]+)?[$]$' THEN
			problem := 'What it encodes is not the name of a host.';
		END IF;
	END IF;
	IF problem IS NOT NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'invalid publishable key',
			DETAIL = problem,
			HINT = 'Copy it from the API keys page of the Clerk Dashboard.';
	END IF;
	RETURN rtrim(host, '$');
END
$$;
COMMENT ON FUNCTION clerk_internal.decode_publishable_key(text) IS
	'the Frontend API host in a publishable key';

CREATE OR REPLACE FUNCTION clerk_internal.is_clerks(issuer text, jwks_url text) RETURNS boolean
	LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT issuer ~ '^https?://[^/]+$'
		AND coalesce(jwks_url = issuer || '/.well-known/jwks.json', true) $$;
COMMENT ON FUNCTION clerk_internal.is_clerks(text, text) IS
	'whether an instance may be one of Clerk''s: its issuer has no path, and its keys are where Clerk '
		'publishes them';

-- What the ids of other issuers look like is not known.
CREATE OR REPLACE FUNCTION clerk_internal.may_be_id(id text, prefix text) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT coalesce(id <> '' AND (starts_with(id, prefix) OR (id !~ '^(sess|user|org)_' AND EXISTS (
		SELECT FROM clerk.instances AS instance
		WHERE NOT clerk_internal.is_clerks(instance.issuer, instance.jwks_url)))), false)
$$;
COMMENT ON FUNCTION clerk_internal.may_be_id(text, text) IS
	'whether this may be an id of the kind that begins so with Clerk';

CREATE OR REPLACE FUNCTION clerk_internal.origin_problem(origin text) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT CASE
		WHEN origin ~ '[*]' THEN 'it has a wildcard, and is compared as it is; list the origins'
		WHEN origin !~ '^[A-Za-z][A-Za-z0-9+.-]*://' THEN
			format('it has no scheme; do you mean %s://%s?',
				CASE WHEN origin ~ '^(localhost|127\.)' THEN 'http' ELSE 'https' END, origin)
		WHEN origin <> meant THEN format('browsers do not send it like that; do you mean %s?', meant)
		WHEN origin !~ '^[^:]+://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]+)?$'
			THEN 'it is not scheme://host or scheme://host:port'
	END
	-- no path, small letters, no default port (RFC 6454 section 6.2)
	FROM regexp_replace(lower(substring(origin FROM '^[^:]+://[^/?#]*')),
		'^(https(?=.*:443$)|http(?=.*:80$))(://.*):\d+$', '\1\2') AS meant
$$;
COMMENT ON FUNCTION clerk_internal.origin_problem(text) IS
	'why no "azp" of Clerk can be this, which is a browser''s Origin; NULL: it can';

-- Values that no token could match are typing errors. What another issuer means by "azp" is not known here.
CREATE OR REPLACE FUNCTION clerk_internal.check_instance() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	column_name text := 'issuer';
	problem text;
	hint text;
BEGIN
	IF new.issuer ~ '/\.well-known/|\.json$|/protocol/openid-connect/' THEN
		problem := 'This is an address of keys, not the "iss" of tokens.';
		hint := format(
			'Give %s, and this as jwks_url if the keys are elsewhere than in .well-known/jwks.json.',
			regexp_replace(new.issuer, '/(\.well-known|protocol/openid-connect)/.*$', ''));
	ELSIF new.issuer ~ '^https?://(clerk\.[^/]+|[^/]+\.accounts\.dev)/$' THEN
		problem := 'The "iss" of Clerk''s tokens does not end with a slash.';
		hint := format('Give %s.', rtrim(new.issuer, '/'));
	ELSIF lower(substring(new.issuer FROM '^https?://[^/]+'))
		<> substring(new.issuer FROM '^https?://[^/]+') THEN
		problem := 'The host is not in small letters, as it is in tokens.';
	ELSIF clerk_internal.is_clerks(new.issuer, new.jwks_url) THEN
		column_name := 'authorized_parties';
		SELECT format('%s: %s', party, clerk_internal.origin_problem(party)) INTO problem
		FROM unnest(new.authorized_parties) WITH ORDINALITY AS parties (party, n)
		WHERE clerk_internal.origin_problem(party) IS NOT NULL ORDER BY n LIMIT 1;
		hint := 'It is what browsers send as Origin, such as https://app.example.com. For an issuer other '
			'than Clerk give the jwks_url, too.';
	END IF;
	IF problem IS NOT NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value', MESSAGE = 'invalid ' || column_name,
			DETAIL = problem, HINT = coalesce(hint, 'Write it so.');
	END IF;
	RETURN new;
END
$$;
COMMENT ON FUNCTION clerk_internal.check_instance() IS
	'trigger: refuses values of an instance that no token could match';

CREATE OR REPLACE TRIGGER check_instance
	BEFORE INSERT OR UPDATE OF issuer, jwks_url, authorized_parties ON clerk.instances
	FOR EACH ROW EXECUTE FUNCTION clerk_internal.check_instance();
COMMENT ON TRIGGER check_instance ON clerk.instances IS 'no setting that no token could match';

CREATE OR REPLACE FUNCTION clerk_internal.instance_differences(was clerk.instances, given clerk.instances) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT string_agg(format('%s is %s, not %s', setting, coalesce(old, 'NULL'), coalesce(new, 'NULL')), '; ')
	FROM (VALUES
		-- an instance that was added by its issuer has no publishable key
		('publishable_key', was.publishable_key, given.publishable_key,
			rtrim(was.publishable_key, '=') <> rtrim(given.publishable_key, '=')),
		('authorized_parties', was.authorized_parties::text, given.authorized_parties::text,
			NOT (was.authorized_parties @> given.authorized_parties
				AND was.authorized_parties <@ given.authorized_parties)),
		('audiences', was.audiences::text, given.audiences::text,
			NOT (was.audiences @> given.audiences AND was.audiences <@ given.audiences)),
		('clock_skew', was.clock_skew::text, given.clock_skew::text, was.clock_skew <> given.clock_skew),
		('id_claim', was.id_claim, given.id_claim, was.id_claim <> given.id_claim),
		('id_fallback', was.id_fallback, given.id_fallback, was.id_fallback <> given.id_fallback),
		('role', was.role::text, given.role::text, was.role <> given.role),
		('accept_templates', was.accept_templates::text, given.accept_templates::text,
			was.accept_templates <> given.accept_templates),
		('max_token_age', was.max_token_age::text, given.max_token_age::text,
			was.max_token_age <> given.max_token_age),
		('jwks_url', was.jwks_url, given.jwks_url, was.jwks_url <> given.jwks_url)
	) AS settings (setting, old, new, differs)
	WHERE coalesce(differs, setting <> 'publishable_key' AND (old IS NULL) <> (new IS NULL))
$$;
COMMENT ON FUNCTION clerk_internal.instance_differences(clerk.instances, clerk.instances) IS
	'which settings clerk.add_instance() was given that an instance does not have; NULL: none';

CREATE OR REPLACE FUNCTION clerk.add_instance(
	publishable_key_or_issuer text,
	authorized_parties text[] DEFAULT NULL,
	audiences text[] DEFAULT NULL,
	clock_skew interval DEFAULT '5 seconds',
	id_claim text DEFAULT NULL,
	id_fallback text DEFAULT 'uuid_v5',
	role name DEFAULT 'authenticated',
	accept_templates boolean DEFAULT true,
	max_token_age interval DEFAULT NULL,
	jwks_url text DEFAULT NULL) RETURNS text
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_variable
DECLARE
	given clerk.instances;
	was clerk.instances;
	violated name;
	differences text;
BEGIN
	given.issuer := publishable_key_or_issuer;
	IF publishable_key_or_issuer ^@ 'sk_' THEN
		PERFORM clerk_internal.refuse('22023', 'this is a secret key, not a publishable key', NULL,
			'Use the key that begins with pk_, and replace the secret key: it has been shown.');
	ELSIF publishable_key_or_issuer ^@ 'pk_' THEN
		given.publishable_key := publishable_key_or_issuer;
		given.issuer := 'https://' || clerk_internal.decode_publishable_key(publishable_key_or_issuer);
	ELSIF publishable_key_or_issuer !~ '^https?://' OR publishable_key_or_issuer IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'neither a publishable key nor an issuer',
			HINT = 'Give the instance''s publishable key (pk_live_...) or the "iss" of its tokens '
				'(https://...).';
	END IF;
	given.jwks_url := coalesce(jwks_url,
		-- of an http issuer elsewhere than on this machine no keys are fetched
		CASE WHEN given.issuer ~ '^https:|^http://(localhost|127\.0\.0\.1|\[::1\])([:/]|$)'
			THEN rtrim(given.issuer, '/') || '/.well-known/jwks.json' END);
	given.authorized_parties := authorized_parties;
	given.audiences := audiences;
	given.clock_skew := clock_skew;
	given.id_claim := id_claim;
	given.id_fallback := id_fallback;
	given.role := role;
	given.accept_templates := accept_templates;
	given.max_token_age := max_token_age;
	LOOP
		INSERT INTO clerk.instances AS instance (issuer, publishable_key, jwks_url,
			authorized_parties, audiences,
				clock_skew, id_claim, id_fallback, role, accept_templates, max_token_age)
			VALUES (given.issuer, given.publishable_key, given.jwks_url, given.authorized_parties,
				given.audiences, given.clock_skew, given.id_claim, given.id_fallback, given.role,
				given.accept_templates, given.max_token_age)
			ON CONFLICT DO NOTHING;
		EXIT WHEN FOUND;
		-- gone again if somebody has dropped it at this moment
		SELECT * INTO was FROM clerk.instances AS instance WHERE instance.issuer = given.issuer;
		CONTINUE WHEN NOT FOUND;
		differences := clerk_internal.instance_differences(was, given);
		EXIT WHEN differences IS NULL;
		RAISE EXCEPTION USING
			ERRCODE = 'unique_violation',
			MESSAGE = format('instance %s is registered already, with other settings', given.issuer),
			DETAIL = differences,
			HINT = 'Change its settings with UPDATE clerk.instances.';
	END LOOP;
	RETURN given.issuer;
EXCEPTION WHEN check_violation THEN
	GET STACKED DIAGNOSTICS violated = CONSTRAINT_NAME;
	RAISE EXCEPTION USING
		ERRCODE = 'invalid_parameter_value',
		MESSAGE = format('invalid %s', replace(violated, 'instances_', '')),
		DETAIL = format('It must satisfy %s.', (
			SELECT pg_get_constraintdef(oid) FROM pg_constraint
			WHERE conname = violated AND conrelid = 'clerk.instances'::regclass));
END
$$;
COMMENT ON FUNCTION clerk.add_instance(text, text[], text[], interval, text, text, name, boolean, interval,
	text) IS
	'registers a Clerk instance by its publishable key or issuer, and returns the issuer; an instance '
	'that exists with the same settings is left as it is';

-- Taken first by whatever changes the keys, secrets and jobs of an instance; what it decides on
-- is read after it, by a statement of its own. It is a real update, so that a transaction in
-- REPEATABLE READ that began before another's change fails, rather than decide on what was.
CREATE OR REPLACE FUNCTION clerk_internal.lock_instance(issuer text) RETURNS boolean
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	UPDATE clerk.instances AS instance SET created_at = instance.created_at
		WHERE instance.issuer = lock_instance.issuer;
	RETURN FOUND;
END
$$;
COMMENT ON FUNCTION clerk_internal.lock_instance(text) IS
	'makes who changes the keys or secrets of an instance wait for one another until the end of the '
		'transaction; whether there is such an instance';

-- The statement may hold a secret.
CREATE OR REPLACE FUNCTION clerk_internal.refuse_unregistered(issuer text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	PERFORM clerk_internal.refuse('42704', format('instance %s is not registered', coalesce(issuer, 'NULL')),
		NULL, 'Register it with clerk.add_instance().');
END
$$;
COMMENT ON FUNCTION clerk_internal.refuse_unregistered(text) IS
	'raises, for functions that are given an instance that is not registered';

CREATE OR REPLACE FUNCTION clerk.drop_instance(issuer text) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	DELETE FROM clerk.instances AS instance WHERE instance.issuer = drop_instance.issuer;
	IF NOT FOUND THEN
		PERFORM clerk_internal.refuse_unregistered(drop_instance.issuer);
	END IF;
END
$$;
COMMENT ON FUNCTION clerk.drop_instance(text) IS
	'removes an instance and its keys; from the next statement on, its tokens count as another issuer''s';

--
-- keys.sql
--		The public keys of each instance: loading, rotating and retiring them.
--
-- Uses library, instances.
--

CREATE TABLE IF NOT EXISTS clerk.jwks (
	-- keys.c knows the order of the columns up to any_kid
	issuer text COLLATE "C" NOT NULL
		CONSTRAINT jwks_issuer_fkey REFERENCES clerk.instances ON UPDATE CASCADE ON DELETE CASCADE,
	kid text COLLATE "C" NOT NULL,
	-- whatever way a key comes in, a private, symmetric or weak one stays out
	jwk jsonb NOT NULL
		CONSTRAINT jwks_jwk CHECK ((clerk_internal.check_jwk(jwk)).problem IS NULL),
	expires_at timestamptz
		CONSTRAINT jwks_expires_at CHECK (pg_catalog.isfinite(expires_at)),
	any_kid boolean NOT NULL DEFAULT false,
	is_retired boolean NOT NULL DEFAULT false,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT jwks_pkey PRIMARY KEY (issuer, kid),
	CONSTRAINT jwks_kid CHECK (jwk OPERATOR(pg_catalog.->>) 'kid' = kid),
	CONSTRAINT jwks_is_retired CHECK (NOT is_retired OR expires_at IS NOT NULL)
);
COMMENT ON TABLE clerk.jwks IS
	'public keys that verify the tokens of an instance; filled by clerk.load_jwks()';
COMMENT ON COLUMN clerk.jwks.issuer IS 'the instance; its keys verify no other issuer''s tokens';
COMMENT ON COLUMN clerk.jwks.kid IS 'the key id that a token''s header names';
COMMENT ON COLUMN clerk.jwks.jwk IS 'the key as a JSON Web Key, public members only';
COMMENT ON COLUMN clerk.jwks.expires_at IS 'when a retiring key stops verifying; NULL: it is current';
COMMENT ON COLUMN clerk.jwks.any_kid IS
	'true if it verifies tokens whose kid the instance does not know; set by clerk.load_pem()';
COMMENT ON COLUMN clerk.jwks.is_retired IS
	'true if clerk.retire_key() ended it, so that no JWKS brings it back';
COMMENT ON COLUMN clerk.jwks.created_at IS 'when it was first loaded';

CREATE OR REPLACE TRIGGER invalidate_statement AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON clerk.jwks
	FOR EACH STATEMENT EXECUTE FUNCTION clerk_internal.invalidate();
CREATE OR REPLACE TRIGGER invalidate_row AFTER INSERT OR UPDATE OR DELETE ON clerk.jwks
	FOR EACH ROW EXECUTE FUNCTION clerk_internal.invalidate();

ALTER TABLE clerk.jwks ENABLE ALWAYS TRIGGER invalidate_statement;
ALTER TABLE clerk.jwks ENABLE ALWAYS TRIGGER invalidate_row;

COMMENT ON TRIGGER invalidate_statement ON clerk.jwks IS 'no backend keeps a changed key';
COMMENT ON TRIGGER invalidate_row ON clerk.jwks IS 'the same, in an apply worker of logical replication';

CREATE OR REPLACE FUNCTION clerk_internal.public_jwk(jwk jsonb) RETURNS jsonb
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT jsonb_object_agg(member.key, member.value)
	FROM jsonb_each(jwk) AS member
	WHERE member.key = ANY ('{kty,kid,use,key_ops,alg,n,e,crv,x,y}')
$$;
COMMENT ON FUNCTION clerk_internal.public_jwk(jsonb) IS
	'a JSON Web Key without the members that verifying does not need';

CREATE OR REPLACE FUNCTION clerk_internal.jwk_of_pem(pem text) RETURNS jsonb
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	-- as environment files and JSON have it: in quotes, with \n for the ends of lines
	lines constant text := replace(replace(btrim(pem, E' \t\r\n"'''), '\r', ''), '\n', E'\n');
	-- the lines between BEGIN and END, or all there is
	body constant text := regexp_replace(regexp_replace(lines, '-----(BEGIN|END) [A-Z0-9 ]+-----', '', 'g'),
		'\s', '', 'g');
BEGIN
	IF coalesce(body !~ '^[A-Za-z0-9+/]+={0,2}$' OR length(body) % 4 <> 0, true) THEN
		PERFORM clerk_internal.refuse('22023', 'the key is refused', 'It is not one public key in PEM form.',
			'Copy the JWT public key from the API keys page of the Clerk Dashboard; a certificate will do '
				'as well.');
	END IF;
	RETURN clerk_internal.jwk_of_spki(decode(body, 'base64'));
END
$$;
COMMENT ON FUNCTION clerk_internal.jwk_of_pem(text) IS
	'the public key of a PEM file, or of a certificate in one, as a JSON Web Key';

CREATE OR REPLACE FUNCTION clerk_internal.usable_jwks(jwks jsonb) RETURNS jsonb
	LANGUAGE plpgsql IMMUTABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	entry record;
	kids text[];
	keys jsonb[];
BEGIN
	-- Firebase's other document: certificates by kid
	IF jsonb_path_exists(jwks,
		'strict $ ? (@.type() == "object").* ? (@.type() == "string" && @ starts with "-----BEGIN '
		'CERTIFICATE")')
		AND NOT jsonb_path_exists(jwks,
			'strict $.* ? (@.type() != "string" || !(@ starts with "-----BEGIN CERTIFICATE"))') THEN
		jwks := jsonb_build_object('keys',
			(SELECT jsonb_agg(clerk_internal.jwk_of_pem(pem.value) || jsonb_build_object('kid', pem.key))
			FROM jsonb_each_text(jwks) AS pem));
	END IF;
	IF jwks ? 'kty' THEN
		PERFORM clerk_internal.refuse('22023', 'this is a single JSON Web Key, not a JWKS', NULL,
			'Wrap it: {"keys": [ ... ]}');
	ELSIF jsonb_typeof(jwks -> 'keys') IS DISTINCT FROM 'array' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'this is not a JWKS',
			DETAIL = 'A JWKS is a JSON object with an array "keys".';
	END IF;
	FOR entry IN
		SELECT jwk.value, jwk.ordinality, jwk.value ->> 'kid' AS kid, checked.problem,
			row_number() OVER (PARTITION BY jwk.value ->> 'kid' ORDER BY jwk.ordinality) > 1 AS is_second
		FROM jsonb_array_elements(jwks -> 'keys') WITH ORDINALITY AS jwk,
			clerk_internal.check_jwk(jwk.value) AS checked
		WHERE NOT checked.ignored
		ORDER BY jwk.ordinality
	LOOP
		IF entry.problem IS NULL
			AND coalesce(jsonb_typeof(entry.value -> 'kid') <> 'string' OR entry.kid = '', true) THEN
			entry.problem := 'It has no "kid", by which a token could name it.';
		ELSIF entry.problem IS NULL AND entry.is_second THEN
			entry.problem := 'Another key has the same "kid".';
		END IF;
		IF entry.problem IS NOT NULL THEN
			PERFORM clerk_internal.refuse('22023',
				format('key %s of the JWKS is refused',
				coalesce(quote_literal(entry.kid), '#' || entry.ordinality)),
				entry.problem, 'No key of the document was loaded.');
		END IF;
		kids := array_append(kids, entry.kid);
		keys := array_append(keys, clerk_internal.public_jwk(entry.value));
	END LOOP;
	IF keys IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'the JWKS has no key that could verify a token',
			HINT = 'The keys that were loaded before stay as they are; clerk.drop_instance() removes an '
				'instance.';
	END IF;
	RETURN (SELECT jsonb_object_agg(key.kid, key.jwk) FROM unnest(kids, keys) AS key (kid, jwk));
END
$$;
COMMENT ON FUNCTION clerk_internal.usable_jwks(jsonb) IS
	'the keys of a JWKS that can verify tokens, by kid; raises for one that must not be loaded';

CREATE OR REPLACE FUNCTION clerk.load_jwks(issuer text, jwks jsonb, grace interval DEFAULT '10 minutes')
	RETURNS TABLE (kid text, change text)
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
DECLARE
	usable jsonb;
BEGIN
	IF NOT clerk_internal.lock_instance(load_jwks.issuer) THEN
		PERFORM clerk_internal.refuse_unregistered(load_jwks.issuer);
	ELSIF load_jwks.jwks IS NULL OR NOT load_jwks.grace BETWEEN '0' AND '30 days' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'a JWKS, and a grace between 0 and 30 days, must be given';
	END IF;

	usable := clerk_internal.usable_jwks(load_jwks.jwks);
	RETURN QUERY
	WITH document AS MATERIALIZED (
		SELECT key.kid, key.jwk FROM jsonb_each(usable) AS key (kid, jwk)
	), before AS MATERIALIZED (
		SELECT key.kid, key.jwk, key.expires_at, key.any_kid, key.is_retired
		FROM clerk.jwks AS key
		WHERE key.issuer = load_jwks.issuer
			AND (NOT key.any_kid OR key.kid IN (SELECT document.kid FROM document))
	), retiring AS (
		UPDATE clerk.jwks AS key SET expires_at = now() + load_jwks.grace
		WHERE key.issuer = load_jwks.issuer AND NOT key.any_kid
			AND key.kid NOT IN (SELECT document.kid FROM document)
			AND (key.expires_at IS NULL OR key.expires_at > now() + load_jwks.grace)
	), loaded AS (
		INSERT INTO clerk.jwks AS key (issuer, kid, jwk)
		SELECT load_jwks.issuer, document.kid, document.jwk
		FROM document LEFT JOIN before USING (kid)
		WHERE (before.jwk IS DISTINCT FROM document.jwk OR before.expires_at IS NOT NULL OR before.any_kid)
			AND before.is_retired IS NOT TRUE
		ON CONFLICT ON CONSTRAINT jwks_pkey DO UPDATE SET jwk = excluded.jwk, expires_at = NULL,
			any_kid = false
			WHERE NOT key.is_retired
	)
	SELECT coalesce(document.kid, before.kid),
		CASE
			WHEN before.is_retired THEN 'retired'
			WHEN before.kid IS NULL THEN 'added'
			WHEN document.kid IS NULL THEN 'retiring'
			WHEN before.jwk = document.jwk AND before.expires_at IS NULL
				AND NOT before.any_kid THEN 'unchanged'
			ELSE 'updated'
		END
	FROM document FULL JOIN before ON before.kid = document.kid
	WHERE document.kid IS NOT NULL OR before.expires_at IS NULL OR before.expires_at > now()
	ORDER BY 1;
END
$$;
COMMENT ON FUNCTION clerk.load_jwks(text, jsonb, interval) IS
	'loads the keys of a JWKS for an instance; a key that is no longer in it verifies until the grace '
	'period ends';

CREATE OR REPLACE FUNCTION clerk_internal.jwk_thumbprint(jwk jsonb) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
	-- RFC 7638: what the key is made of, in alphabetical order, without white space
	SELECT translate(rtrim(encode(sha256(convert_to(
			'{' || string_agg(to_json(member.key)::text || ':' || member.value::text, ','
				ORDER BY member.key COLLATE "C") || '}',
		'UTF8')), 'base64'), '='), '+/', '-_')
	FROM jsonb_each(jwk) AS member
	WHERE member.key = ANY ('{kty,n,e,crv,x,y}')
$$;
COMMENT ON FUNCTION clerk_internal.jwk_thumbprint(jsonb) IS
	'SHA-256 thumbprint of a public JSON Web Key (RFC 7638)';

CREATE OR REPLACE FUNCTION clerk.load_pem(issuer text, pem text, kid text DEFAULT NULL) RETURNS text
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_variable
DECLARE
	jwk jsonb;
	problem text;
BEGIN
	IF NOT clerk_internal.lock_instance(load_pem.issuer) THEN
		PERFORM clerk_internal.refuse_unregistered(issuer);
	ELSIF kid = '' THEN
		PERFORM clerk_internal.refuse('22023', 'the key is refused', 'The kid is empty.', NULL);
	END IF;
	jwk := clerk_internal.jwk_of_pem(pem);
	problem := (clerk_internal.check_jwk(jwk)).problem;
	IF problem IS NOT NULL THEN
		PERFORM clerk_internal.refuse('22023', 'the key is refused', problem, NULL);
	END IF;
	INSERT INTO clerk.jwks AS key (issuer, kid, jwk, any_kid)
		SELECT issuer, new_kid, jwk || jsonb_build_object('kid', new_kid, 'use', 'sig'), kid IS NULL
		FROM coalesce(kid, clerk_internal.jwk_thumbprint(jwk)) AS new_kid
		ON CONFLICT ON CONSTRAINT jwks_pkey DO UPDATE
			SET jwk = excluded.jwk, expires_at = NULL, any_kid = excluded.any_kid, is_retired = false
		RETURNING key.kid INTO kid;
	RETURN kid;
END
$$;
COMMENT ON FUNCTION clerk.load_pem(text, text, text) IS
	'loads a public key or a certificate in PEM form for an instance, and returns its kid; without a kid, '
	'it verifies tokens whose kid the instance does not know';

CREATE OR REPLACE FUNCTION clerk.retire_key(issuer text, kid text) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	PERFORM clerk_internal.lock_instance(retire_key.issuer);
	UPDATE clerk.jwks AS key SET expires_at = least(key.expires_at, now()), is_retired = true
	WHERE key.issuer = retire_key.issuer AND key.kid = retire_key.kid;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('instance %s has no key %s', coalesce(quote_literal(issuer), 'NULL'),
				coalesce(quote_literal(kid), 'NULL'));
	END IF;
END
$$;
COMMENT ON FUNCTION clerk.retire_key(text, text) IS
	'ends a key at once and for good: no JWKS brings it back until its row of clerk.jwks is deleted';

--
-- jobs.sql
--		Other extensions, and the jobs that pg_cron runs for us.
--

-- What is pasted into a shell must be one word there, whatever it holds.
CREATE OR REPLACE FUNCTION clerk_internal.shell_word(word text) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$ SELECT CASE WHEN word ~ '^[A-Za-z0-9_./:@-]+$' THEN word
		ELSE '"' || regexp_replace(word, '(["\\$`])', '\\\1', 'g') || '"' END $$;
COMMENT ON FUNCTION clerk_internal.shell_word(text) IS
	'a word as a shell reads it back, in double quotes if need be';

-- A name with = in it, or that begins like a URI, would be taken for a connection string.
CREATE OR REPLACE FUNCTION clerk_internal.psql_database() RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT CASE WHEN current_database() ~ '^\w[\w-]*$' THEN current_database()::text
		ELSE clerk_internal.shell_word('dbname=''' || regexp_replace(current_database(), '([\\''])', '\\\1',
			'g') || '''') END
$$;
COMMENT ON FUNCTION clerk_internal.psql_database() IS 'this database as the argument of psql -d in a shell';

CREATE OR REPLACE FUNCTION clerk_internal.extension_schema(extension name) RETURNS regnamespace
	LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$ SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = extension $$;
COMMENT ON FUNCTION clerk_internal.extension_schema(name) IS
	'the schema of another extension; NULL when it is not there';

-- Whoever may write where an extension keeps what we ask it and what it answers, could answer in its
-- place. Its objects are those that PostgreSQL records as its members, whatever they are called.
CREATE OR REPLACE FUNCTION clerk_internal.extension_grants(extension name)
	RETURNS TABLE (kind text, object text, privilege text, grantee oid)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH member AS (
		SELECT classid, objid
		FROM pg_depend JOIN pg_extension ON pg_extension.oid = refobjid
		WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND extname = extension
	), granted AS (
		SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind,
			c.oid::regclass::text AS object,
			acl.privilege_type, acl.grantee
		FROM pg_class AS c JOIN member ON classid = 'pg_class'::regclass AND objid = c.oid,
			aclexplode(coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char",
				relowner))) AS acl
		WHERE relkind IN ('r', 'p', 'v', 'm', 'S')
			AND acl.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER', 'USAGE')
			-- everybody may forget how jobs went
			AND NOT (extension = 'pg_cron' AND relname <> 'job')
		UNION ALL
		SELECT 'COLUMN', c.oid::regclass || '.' || attname, acl.privilege_type, acl.grantee
		FROM pg_class AS c JOIN member ON classid = 'pg_class'::regclass AND objid = c.oid
		JOIN pg_attribute ON attrelid = c.oid, aclexplode(attacl) AS acl
		WHERE acl.privilege_type IN ('INSERT', 'UPDATE')
		UNION ALL
		SELECT 'OWNER', p.oid::regprocedure::text, 'REPLACE', proowner
		FROM pg_proc AS p JOIN member ON classid = 'pg_proc'::regclass AND objid = p.oid
	)
	SELECT granted.* FROM granted
	WHERE granted.grantee NOT IN (SELECT oid FROM pg_roles WHERE rolsuper)
		AND granted.grantee <> (SELECT nspowner FROM pg_namespace WHERE nspname = 'clerk')
$$;
COMMENT ON FUNCTION clerk_internal.extension_grants(name) IS
	'who else than superusers, and the owner of schema clerk, may write to the tables and sequences of an '
	'extension, or owns its functions';

CREATE OR REPLACE FUNCTION clerk_internal.extension_writers(extension name) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT string_agg(DISTINCT format('%s may %s %s',
		CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END, privilege, object), '; ')
	FROM clerk_internal.extension_grants(extension)
$$;
COMMENT ON FUNCTION clerk_internal.extension_writers(name) IS 'the same in words; NULL: nobody else';

CREATE OR REPLACE FUNCTION clerk_internal.without_extension_writers(extension name) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT string_agg(format('REVOKE %s ON %s %s FROM %s', privileges, kind, object, grantees), '; '
		ORDER BY kind, object)
	FROM (
		SELECT CASE kind WHEN 'SEQUENCE' THEN kind ELSE 'TABLE' END AS kind,
			CASE kind WHEN 'COLUMN' THEN regexp_replace(object, '\.[^.]*$', '') ELSE object END AS object,
			'ALL' AS privileges,
			string_agg(DISTINCT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END,
				', ') AS grantees
		FROM clerk_internal.extension_grants(extension) WHERE kind <> 'OWNER'
		GROUP BY 1, 2
	) AS revoked
$$;
COMMENT ON FUNCTION clerk_internal.without_extension_writers(name) IS 'the statements that take that back; '
	'NULL: there are none';

-- By membership and exact types, so that nobody's function of the same name is preferred.
CREATE OR REPLACE FUNCTION clerk_internal.extension_function(extension name, function_name name,
	VARIADIC types regtype[]) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT format('%s.%I', pronamespace::regnamespace, proname)
	FROM pg_proc JOIN pg_depend ON classid = 'pg_proc'::regclass AND objid = pg_proc.oid
		AND refclassid = 'pg_extension'::regclass AND deptype = 'e'
	JOIN pg_extension ON pg_extension.oid = refobjid
	WHERE extname = extension AND proname = function_name
		AND proargtypes::text = array_to_string(types::oid[], ' ')
$$;
COMMENT ON FUNCTION clerk_internal.extension_function(name, name, regtype[]) IS
	'the name of a function of another extension with exactly these arguments; NULL: it has none';

CREATE OR REPLACE FUNCTION clerk_internal.extension_table(extension name, table_name name) RETURNS regclass
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT pg_class.oid::regclass
	FROM pg_class JOIN pg_depend ON classid = 'pg_class'::regclass AND objid = pg_class.oid
		AND refclassid = 'pg_extension'::regclass AND deptype = 'e'
	JOIN pg_extension ON pg_extension.oid = refobjid
	WHERE extname = extension AND relname = table_name
$$;
COMMENT ON FUNCTION clerk_internal.extension_table(name,
	name) IS 'a table of another extension; NULL: it has none';

CREATE OR REPLACE FUNCTION clerk_internal.check_usable(extension name, objects text[]) RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	writers constant text := clerk_internal.extension_writers(extension);
BEGIN
	IF writers IS NOT NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'insufficient_privilege',
			MESSAGE = format('%s is not used: who can write its tables could choose the keys, or what a job '
				'runs (%s)',
				extension, writers),
			HINT = 'clerk.audit() has the statements that take that back.';
	ELSIF array_position(objects, NULL) IS NOT NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'feature_not_supported',
			MESSAGE = format('this version of the extension %s is not known', extension);
	END IF;
END
$$;
COMMENT ON FUNCTION clerk_internal.check_usable(name, text[]) IS
	'raises if others can write what an extension keeps, or if it lacks one of the objects that we use';

CREATE OR REPLACE FUNCTION clerk_internal.schedule_job(job text, schedule text, command text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	jobs constant regclass := clerk_internal.extension_table('pg_cron', 'job');
	-- its name is of type name before version 1.5
	name_type constant text := CASE WHEN clerk_internal.extension_function('pg_cron', 'schedule', 'text',
		'text', 'text') IS NULL
		THEN 'name' ELSE 'text' END;
	to_schedule constant text := clerk_internal.extension_function('pg_cron', 'schedule', name_type::regtype,
		'text', 'text');
	to_unschedule constant text := clerk_internal.extension_function('pg_cron', 'unschedule', 'bigint');
BEGIN
	IF clerk_internal.extension_schema('pg_cron') IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'feature_not_supported',
			MESSAGE = 'the extension pg_cron is not installed in this database',
			HINT = CASE WHEN command IS NULL THEN 'If cron does its work, take that line out of the crontab.'
				-- cron reads a % as the end of the line
				ELSE 'Put this into the crontab: ' || schedule || replace(format(' psql -d %s -c %s',
					clerk_internal.psql_database(), clerk_internal.shell_word(command)), '%', '\%') END;
	END IF;
	PERFORM clerk_internal.check_usable('pg_cron', ARRAY[jobs::text, to_schedule, to_unschedule]);
	EXECUTE format('SELECT count(%s(jobid)) FROM %s WHERE jobname = $1 AND database = current_database()',
		to_unschedule, jobs) USING job;
	IF command IS NOT NULL THEN
		EXECUTE format('SELECT %s($1::%s, $2, $3)', to_schedule, name_type) USING job, schedule, command;
	END IF;
END
$$;
COMMENT ON FUNCTION clerk_internal.schedule_job(text, text,
	text) IS 'lets pg_cron run a command, or not any more if that is NULL';

--
-- refresh.sql
--		Keys that are fetched, through pgsql-http or pg_net.
--
-- Uses library, instances, keys, jobs.
--

CREATE TABLE IF NOT EXISTS clerk.jwks_refreshes (
	issuer text COLLATE "C" CONSTRAINT jwks_refreshes_pkey PRIMARY KEY
		CONSTRAINT jwks_refreshes_issuer_fkey REFERENCES clerk.instances ON UPDATE CASCADE ON DELETE CASCADE,
	attempted_at timestamptz,
	succeeded_at timestamptz,
	failed_at timestamptz,
	failure text,
	request_id bigint
);
COMMENT ON TABLE clerk.jwks_refreshes IS 'the last fetches of the keys of each instance';
COMMENT ON COLUMN clerk.jwks_refreshes.issuer IS 'the instance';
COMMENT ON COLUMN clerk.jwks_refreshes.attempted_at IS 'when fetching was last attempted';
COMMENT ON COLUMN clerk.jwks_refreshes.succeeded_at IS 'when fetching last succeeded';
COMMENT ON COLUMN clerk.jwks_refreshes.failed_at IS 'when fetching last failed';
COMMENT ON COLUMN clerk.jwks_refreshes.failure IS 'why fetching last failed';
COMMENT ON COLUMN clerk.jwks_refreshes.request_id IS 'the pending request of pg_net';

CREATE OR REPLACE FUNCTION clerk_internal.parse_jwks_response(status integer, content text) RETURNS jsonb
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF status IS DISTINCT FROM 200 THEN
		RAISE EXCEPTION USING ERRCODE = 'data_exception',
			MESSAGE = format('the server answered with HTTP status %s', coalesce(status, 0));
	ELSIF content IS NULL OR octet_length(content) > 1048576 THEN
		RAISE EXCEPTION USING ERRCODE = 'data_exception',
			MESSAGE = 'the answer is empty, or larger than 1 MiB';
	END IF;
	RETURN content::jsonb;
EXCEPTION WHEN invalid_text_representation OR untranslatable_character THEN
	RAISE EXCEPTION USING ERRCODE = 'data_exception', MESSAGE = 'the answer is not JSON';
END
$$;
COMMENT ON FUNCTION clerk_internal.parse_jwks_response(integer, text) IS
	'the JWKS in an HTTP response; raises when there is none';

-- Each of these returns true when keys were loaded, and false when the answer is to come.
CREATE OR REPLACE FUNCTION clerk_internal.refresh_through_http(issuer text, url text) RETURNS boolean
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	to_get constant text := clerk_internal.extension_function('http', 'http_get', 'varchar');
	response record;
BEGIN
	PERFORM clerk_internal.check_usable('http', ARRAY[to_get]), set_config('http.timeout_msec', '10000',
		true);
	EXECUTE format('SELECT status, content FROM %s($1::pg_catalog.varchar)', to_get) INTO response USING url;
	PERFORM clerk.load_jwks(issuer, clerk_internal.parse_jwks_response(response.status, response.content));
	RETURN true;
END
$$;
COMMENT ON FUNCTION clerk_internal.refresh_through_http(text, text) IS
	'fetches the keys of an instance through the extension http, with a timeout of 10 seconds';

CREATE OR REPLACE FUNCTION clerk_internal.refresh_through_pg_net(issuer text, url text) RETURNS boolean
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_variable
DECLARE
	request bigint := (SELECT refresh.request_id FROM clerk.jwks_refreshes AS refresh
		WHERE refresh.issuer = refresh_through_pg_net.issuer);
	to_get constant text := clerk_internal.extension_function('pg_net', 'http_get', 'text', 'jsonb', 'jsonb',
		'integer');
	answers constant regclass := clerk_internal.extension_table('pg_net', '_http_response');
	response record;
BEGIN
	-- pg_net itself grants all on its tables to PUBLIC
	PERFORM clerk_internal.check_usable('pg_net', ARRAY[to_get, answers::text]);
	IF request IS NULL THEN
		EXECUTE format('SELECT %s($1, ''{}''::pg_catalog.jsonb, ''{}''::pg_catalog.jsonb, 10000)', to_get)
			INTO request USING url;
		UPDATE clerk.jwks_refreshes AS refresh SET request_id = request
			WHERE refresh.issuer = refresh_through_pg_net.issuer;
		RETURN false;
	END IF;
	EXECUTE format('SELECT status_code, content, timed_out, error_msg FROM %s WHERE id = $1', answers)
		INTO response USING request;
	IF response.status_code IS NULL AND response.timed_out IS NULL AND response.error_msg IS NULL THEN
		-- pg_net forgets its answers, so that this one may never come
		UPDATE clerk.jwks_refreshes AS refresh SET request_id = NULL
		WHERE refresh.issuer = refresh_through_pg_net.issuer
			AND refresh.attempted_at < now() - interval '5 minutes';
		RETURN false;
	END IF;
	UPDATE clerk.jwks_refreshes AS refresh SET request_id = NULL
		WHERE refresh.issuer = refresh_through_pg_net.issuer;
	IF response.timed_out OR response.error_msg IS NOT NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'data_exception',
				MESSAGE = coalesce(response.error_msg, 'the server did not answer in time');
	END IF;
	PERFORM clerk.load_jwks(issuer,
		clerk_internal.parse_jwks_response(response.status_code, response.content));
	RETURN true;
END
$$;
COMMENT ON FUNCTION clerk_internal.refresh_through_pg_net(text, text) IS
	'asks for the keys of an instance through pg_net; the next call collects the answer';

CREATE OR REPLACE FUNCTION clerk_internal.refresh_one(issuer text, OUT outcome text, OUT detail text)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_variable
DECLARE
	url text;
BEGIN
	-- others may change its keys while they are fetched, but not drop it
	SELECT jwks_url INTO url FROM clerk.instances AS instance
		WHERE instance.issuer = refresh_one.issuer FOR KEY SHARE;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	INSERT INTO clerk.jwks_refreshes AS refresh (issuer, attempted_at) VALUES (issuer, clock_timestamp())
		ON CONFLICT ON CONSTRAINT jwks_refreshes_pkey DO UPDATE SET attempted_at = excluded.attempted_at
			WHERE refresh.request_id IS NULL;
	BEGIN
		IF url IS NULL THEN
			RAISE EXCEPTION USING ERRCODE = 'data_exception', MESSAGE = 'the instance has no jwks_url';
		ELSIF clerk_internal.extension_schema('http') IS NOT NULL THEN
			outcome := CASE WHEN clerk_internal.refresh_through_http(issuer, url) THEN 'refreshed'
				ELSE 'requested' END;
		ELSE
			outcome := CASE WHEN clerk_internal.refresh_through_pg_net(issuer, url) THEN 'refreshed'
				ELSE 'requested' END;
		END IF;
	EXCEPTION WHEN OTHERS THEN
		outcome := 'failed';
		detail := SQLERRM;
	END;
	UPDATE clerk.jwks_refreshes AS refresh SET
		request_id = CASE outcome WHEN 'failed' THEN NULL ELSE refresh.request_id END,
		succeeded_at = CASE outcome WHEN 'refreshed' THEN clock_timestamp() ELSE refresh.succeeded_at END,
		failed_at = CASE outcome WHEN 'failed' THEN clock_timestamp() ELSE refresh.failed_at END,
		failure = CASE outcome WHEN 'failed' THEN detail WHEN 'refreshed' THEN NULL ELSE refresh.failure END
	WHERE refresh.issuer = refresh_one.issuer;
END
$$;
COMMENT ON FUNCTION clerk_internal.refresh_one(text) IS
	'fetches the keys of an instance and records how it went; the old keys stay when it fails';

CREATE OR REPLACE FUNCTION clerk.refresh_jwks(issuer text DEFAULT NULL)
	RETURNS TABLE (instance text, outcome text, detail text)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	IF issuer IS NOT NULL
		AND NOT EXISTS (SELECT FROM clerk.instances AS i
		WHERE i.issuer = refresh_jwks.issuer FOR KEY SHARE) THEN
		PERFORM clerk_internal.refuse_unregistered(refresh_jwks.issuer);
	ELSIF clerk_internal.extension_schema('http') IS NULL
		AND clerk_internal.extension_schema('pg_net') IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'feature_not_supported',
			MESSAGE = 'neither the extension http nor pg_net is installed, so nothing can be fetched',
			HINT = (
				SELECT 'Run this in a shell, or from cron: '
					|| string_agg(format('echo "SELECT * FROM clerk.load_jwks(:''issuer'', :''jwks'')" | '
						'psql -v ON_ERROR_STOP=1 -d %s -v issuer=%s -v jwks="$(curl -sf %s)"',
						clerk_internal.psql_database(), clerk_internal.shell_word(i.issuer),
						clerk_internal.shell_word(i.jwks_url)), '; ' ORDER BY i.issuer)
				FROM clerk.instances AS i
				WHERE (refresh_jwks.issuer IS NULL OR i.issuer = refresh_jwks.issuer)
					AND i.jwks_url IS NOT NULL);
	END IF;
	RETURN QUERY
		SELECT i.issuer, refreshed.outcome, refreshed.detail
		FROM (SELECT issuer FROM clerk.instances WHERE refresh_jwks.issuer IS NULL
			OR issuer = refresh_jwks.issuer ORDER BY issuer) AS i,
			clerk_internal.refresh_one(i.issuer) AS refreshed
		WHERE refreshed.outcome IS NOT NULL;	-- NULL: dropped meanwhile
END
$$;
COMMENT ON FUNCTION clerk.refresh_jwks(text) IS
	'fetches the keys of an instance, or of all, through the extension http or pg_net; if that fails, the '
	'old keys stay';

CREATE OR REPLACE FUNCTION clerk.run_jwks_refresh(every interval) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	due text;
BEGIN
	-- the job before this one may still be waiting for a server
	IF NOT pg_try_advisory_xact_lock(hashtext('clerk_rls'), hashtext('refresh_jwks')) THEN
		RETURN;
	END IF;
	FOR due IN
		SELECT instance.issuer
		FROM clerk.instances AS instance LEFT JOIN clerk.jwks_refreshes AS refresh USING (issuer)
		WHERE refresh.attempted_at IS NULL
			OR refresh.request_id IS NOT NULL
			-- a job is never on time to the second
			OR refresh.attempted_at <= now() - every + interval '5 seconds'
			OR (refresh.attempted_at <= now() - interval '5 minutes'
				AND clerk_internal.unknown_kid_at(instance.issuer) >= date_trunc('second',
					refresh.attempted_at))
		ORDER BY instance.issuer
	LOOP
		PERFORM clerk.refresh_jwks(due);
	END LOOP;
END
$$;
COMMENT ON FUNCTION clerk.run_jwks_refresh(interval) IS
	'the job of clerk.schedule_jwks_refresh(): fetches keys that are older, and early when a token named '
	'an unknown key';

CREATE OR REPLACE FUNCTION clerk.schedule_jwks_refresh(every interval) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF every < interval '1 minute' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'the keys cannot be fetched more often than once a minute';
	END IF;
	PERFORM clerk_internal.schedule_job('clerk_rls: refresh of JWKS', '* * * * *',
		'SELECT clerk.run_jwks_refresh(' || quote_literal(every) || ')');
END
$$;
COMMENT ON FUNCTION clerk.schedule_jwks_refresh(interval) IS
	'schedules a pg_cron job that fetches the keys this often, and early when a token names an unknown '
	'key; NULL unschedules it';

--
-- postgrest.sql
--		What PostgREST is told: the keys, and when they change.
--
-- Uses keys.
--

CREATE OR REPLACE FUNCTION clerk_internal.notify_postgrest() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	PERFORM pg_catalog.pg_notify('pgrst', 'reload config');
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION clerk_internal.notify_postgrest() IS
	'trigger: makes PostgREST call clerk.pre_config() again';

CREATE OR REPLACE TRIGGER notify_postgrest AFTER INSERT OR UPDATE OR DELETE ON clerk.jwks
	FOR EACH ROW EXECUTE FUNCTION clerk_internal.notify_postgrest();
CREATE OR REPLACE TRIGGER notify_postgrest_truncate AFTER TRUNCATE ON clerk.jwks
	FOR EACH STATEMENT EXECUTE FUNCTION clerk_internal.notify_postgrest();

ALTER TABLE clerk.jwks ENABLE ALWAYS TRIGGER notify_postgrest;
ALTER TABLE clerk.jwks ENABLE ALWAYS TRIGGER notify_postgrest_truncate;

COMMENT ON TRIGGER notify_postgrest ON clerk.jwks IS 'PostgREST follows a changed key without a restart';
COMMENT ON TRIGGER notify_postgrest_truncate ON clerk.jwks IS 'the same, for TRUNCATE';

CREATE OR REPLACE FUNCTION clerk.pre_config() RETURNS void
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

--
-- revocation.sql
--		Revoked sessions and users.
--
-- Uses library, instances.
--

CREATE TABLE IF NOT EXISTS clerk.revocations (
	-- revocation.c knows the order of the columns up to issued_before
	id text COLLATE "C" NOT NULL,
	source text COLLATE "C" NOT NULL DEFAULT 'manual'
		CONSTRAINT revocations_source CHECK (source IN ('manual', 'webhook')),
	issued_before timestamptz,
	reason text,
	revoked_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT revocations_pkey PRIMARY KEY (id, source)
);
COMMENT ON TABLE clerk.revocations IS 'sessions and users whose tokens are refused';
COMMENT ON COLUMN clerk.revocations.id IS 'sess_... or user_...';
COMMENT ON COLUMN clerk.revocations.source IS
	'manual: set by clerk.revoke_session() or revoke_user(); webhook: kept by events';
COMMENT ON COLUMN clerk.revocations.issued_before IS 'only tokens issued before this are refused; NULL: all';
COMMENT ON COLUMN clerk.revocations.reason IS 'free text';
COMMENT ON COLUMN clerk.revocations.revoked_at IS 'when it was revoked';

CREATE OR REPLACE TRIGGER invalidate_statement AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON clerk.revocations
	FOR EACH STATEMENT EXECUTE FUNCTION clerk_internal.invalidate();
CREATE OR REPLACE TRIGGER invalidate_row AFTER INSERT OR UPDATE OR DELETE ON clerk.revocations
	FOR EACH ROW EXECUTE FUNCTION clerk_internal.invalidate();

ALTER TABLE clerk.revocations ENABLE ALWAYS TRIGGER invalidate_statement;
ALTER TABLE clerk.revocations ENABLE ALWAYS TRIGGER invalidate_row;

COMMENT ON TRIGGER invalidate_statement ON clerk.revocations IS 'every backend asks again';
COMMENT ON TRIGGER invalidate_row ON clerk.revocations IS
	'the same, in an apply worker of logical replication';

CREATE OR REPLACE FUNCTION clerk_internal.revoke(id text, prefix text, reason text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_variable
BEGIN
	IF NOT clerk_internal.may_be_id(id, prefix) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('this is not the id of a %s', CASE prefix WHEN 'sess_' THEN 'session'
				ELSE 'user' END),
			DETAIL = format('Clerk''s begin with %s.', prefix);
	END IF;
	INSERT INTO clerk.revocations AS revocation (id, reason) VALUES (id, reason)
		ON CONFLICT ON CONSTRAINT revocations_pkey
			DO UPDATE SET reason = coalesce(excluded.reason, revocation.reason);
END
$$;
COMMENT ON FUNCTION clerk_internal.revoke(text, text, text) IS
	'what revoke_session() and revoke_user() have in common';

CREATE OR REPLACE FUNCTION clerk.revoke_session(session_id text, reason text DEFAULT NULL) RETURNS void
	LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk_internal.revoke(session_id, 'sess_', reason) $$;
COMMENT ON FUNCTION clerk.revoke_session(text, text) IS
	'refuses every token of a session from the next statement on';

CREATE OR REPLACE FUNCTION clerk.revoke_user(clerk_id text, reason text DEFAULT NULL) RETURNS void
	LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk_internal.revoke(clerk_id, 'user_', reason) $$;
COMMENT ON FUNCTION clerk.revoke_user(text, text) IS
	'refuses every token of a user from the next statement on, until clerk.unrevoke()';

CREATE OR REPLACE FUNCTION clerk.unrevoke(id text) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	DELETE FROM clerk.revocations AS revocation WHERE revocation.id = unrevoke.id;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = 'neither a session nor a user with this id is revoked';
	END IF;
END
$$;
COMMENT ON FUNCTION clerk.unrevoke(text) IS
	'undoes the revocation of a session or a user, by hand or by a webhook';

--
-- tokens.sql
--		The pipeline of a token: shape, instance, type, key, algorithm, signature, claims, revocation,
--		in the order and with the answers of the extension (src/pg/session.c).
--
-- Uses json, rsa, library, instances, keys, revocation, reasons.
--

CREATE OR REPLACE FUNCTION clerk_internal.identify(claims jsonb, OUT status text, OUT instance clerk.instances)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF claims IS NULL THEN
		status := 'payload_not_json';
		RETURN;
	END IF;
	SELECT * INTO instance FROM clerk.instances AS i
		WHERE i.issuer = clerk_internal.json_string(claims -> 'iss');
	status := CASE WHEN FOUND THEN 'ok' ELSE 'issuer_unknown' END;
END
$$;
COMMENT ON FUNCTION clerk_internal.identify(jsonb) IS
	'the registered instance whose claims these are; they stay unverified';

CREATE OR REPLACE FUNCTION clerk_internal.header_status(header jsonb) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE
		WHEN header IS NULL THEN 'header_not_json'
		WHEN header ?| '{crit,b64}' THEN 'header_critical'
		WHEN jsonb_typeof(header -> 'alg') IS DISTINCT FROM 'string'
			OR jsonb_typeof(header -> 'kid') <> 'string'
			OR jsonb_typeof(header -> 'typ') <> 'string'
				OR jsonb_typeof(header -> 'cat') <> 'string' THEN 'header_member'
		ELSE 'ok' END;
COMMENT ON FUNCTION clerk_internal.header_status(jsonb) IS
	'whether the header of a token is in order (RFC 7515 section 4; RFC 7797)';

CREATE OR REPLACE FUNCTION clerk_internal.request_header(name text, OUT status text, OUT value text)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	headers constant text := nullif(current_setting('request.headers', true), '');
	found json;
	n integer;
BEGIN
	status := 'no_token';
	IF headers IS NULL OR clerk_internal.count_of('{[', headers) > 256 THEN
		RETURN;
	END IF;
	SELECT count(*), (array_agg(h.value))[1] INTO n, found FROM json_each(headers::json) AS h
		WHERE h.key = request_header.name;
	-- one element, as Storage has it; of several each reader could choose another one
	IF n = 1 AND json_typeof(found) = 'array' THEN
		found := CASE WHEN json_array_length(found) = 1 THEN found -> 0 ELSE 'null' END;
	END IF;
	IF n = 1 AND json_typeof(found) = 'string' THEN
		value := nullif(found #>> '{}', '');
		status := CASE WHEN value IS NULL THEN 'no_token' ELSE 'ok' END;
	ELSIF n = 1 THEN
		status := 'source_ambiguous';
	END IF;
EXCEPTION WHEN data_exception OR statement_too_complex THEN
	status := 'no_token';
	value := NULL;
END
$$;
COMMENT ON FUNCTION clerk_internal.request_header(text) IS
	'a header of the request: ok, no_token when there is none, or source_ambiguous';

-- A browser sends cookies along with what any page starts, so the page must be of the same origin,
-- which no script can make Sec-Fetch-Site say, or of an origin among the authorized parties. Without
-- either header a request that only reads goes through; a header with several values is none.
CREATE OR REPLACE FUNCTION clerk_internal.may_use_cookies(authorized_parties text[]) RETURNS boolean
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	origin constant record := clerk_internal.request_header('origin');
BEGIN
	RETURN coalesce((clerk_internal.request_header('sec-fetch-site')).value = 'same-origin', false)
		OR CASE origin.status
			WHEN 'no_token' THEN coalesce(current_setting('request.method', true) IN ('GET', 'HEAD'), false)
			ELSE coalesce(origin.value = ANY (authorized_parties), false) END;
END
$$;
COMMENT ON FUNCTION clerk_internal.may_use_cookies(text[]) IS
	'whether the request was started by a page that may sign in by cookie';

-- A cookie counts only where the
-- instance says which sites may. And HS256 is PostgREST's alone, while an application moves away from it.
CREATE OR REPLACE FUNCTION clerk_internal.read_token(token text, source text,
	OUT status text, OUT header jsonb, OUT claims jsonb, OUT signature bytea, OUT instance clerk.instances)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	part text[];
	header_bytes bytea;
	payload bytea;
	identified record;
BEGIN
	IF octet_length(token) > 16384 THEN
		status := 'token_too_large';
		RETURN;
	END IF;
	part := string_to_array(token, '.');
	IF cardinality(part) <> 3 THEN
		status := 'token_not_compact';
		RETURN;
	END IF;
	header_bytes := clerk_internal.base64url_decode(part[1]);
	payload := clerk_internal.base64url_decode(part[2]);
	IF num_nulls(header_bytes, payload) > 0 THEN
		status := 'token_not_base64url';
		RETURN;
	ELSIF length(part[3]) > 1368 THEN
		status := 'signature_invalid';
		RETURN;
	END IF;
	signature := clerk_internal.base64url_decode(part[3]);
	IF signature IS NULL THEN
		status := 'token_not_base64url';
		RETURN;
	END IF;
	header := clerk_internal.parse_object_bytes(header_bytes);
	status := clerk_internal.header_status(header);
	IF status <> 'ok' THEN
		RETURN;
	END IF;
	claims := clerk_internal.parse_object_bytes(payload);
	identified := clerk_internal.identify(claims);
	status := identified.status;
	IF status = 'ok' THEN
		instance := identified.instance;
		status := CASE
			WHEN source = 'cookie' AND instance.authorized_parties IS NULL THEN 'issuer_unknown'
			WHEN source = 'cookie'
				AND NOT clerk_internal.may_use_cookies(instance.authorized_parties) THEN 'cookie_cross_site'
			WHEN header ->> 'alg' = 'HS256'
				AND instance.legacy_template_until > clock_timestamp() THEN 'issuer_legacy'
			ELSE 'ok' END;
	END IF;
END
$$;
COMMENT ON FUNCTION clerk_internal.read_token(text, text) IS
	'what a token says, unverified, if it is one of a registered instance';

-- The same key also signs OAuth access tokens, id tokens and machine tokens.
CREATE OR REPLACE FUNCTION clerk_internal.check_type(header jsonb, claims jsonb, instance clerk.instances) RETURNS text
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	typ constant text := header ->> 'typ';
	cat constant text := header ->> 'cat';
	is_template constant boolean := coalesce(cat = 'cl_B7d4PD222AAA', false);
	sid constant text := clerk_internal.json_string(claims -> 'sid');
BEGIN
	IF instance.token_type = 'access' THEN
		IF coalesce(typ NOT IN ('at+jwt', 'application/at+jwt'), true) THEN
			RETURN 'type_not_access';
		END IF;
	ELSIF typ <> 'JWT' THEN
		RETURN 'type_not_jwt';
	ELSIF instance.token_type = 'session'
		AND (num_nonnulls(claims ->> 'nonce', claims ->> 'at_hash', claims ->> 'c_hash') > 0
		OR (claims ->> 'aud' IS NOT NULL AND sid IS NULL AND NOT is_template
			AND instance.audiences IS NULL)) THEN
		RETURN 'type_id';
	END IF;
	RETURN CASE
		WHEN cat NOT IN ('cl_B7d4PD111AAA', 'cl_B7d4PD222AAA', 'cl_I7d4PD111III') THEN 'type_not_session'
		WHEN clerk_internal.json_string(claims -> 'sub') ^@ 'mch_' THEN 'type_machine'
		WHEN instance.token_type = 'session' AND NOT instance.accept_templates
			AND (is_template OR sid IS NULL) THEN 'type_no_session_id'
		ELSE 'ok' END;
END
$$;
COMMENT ON FUNCTION clerk_internal.check_type(jsonb, jsonb, clerk.instances) IS
	'whether it is the token of a user''s session, or what the instance takes';

CREATE OR REPLACE FUNCTION clerk_internal.verify_with_key(key clerk.jwks, header jsonb, signed text, signature bytea)
	RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	RETURN CASE
		WHEN key.is_retired OR key.expires_at <= clock_timestamp() THEN 'key_unknown'
		WHEN header ->> 'alg' NOT IN ('RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384',
			'ES512', 'EdDSA')
			THEN 'algorithm_unsupported'
		WHEN header ->> 'alg' <> coalesce(key.jwk ->> 'alg', 'RS256') THEN 'algorithm_not_the_keys'
		WHEN clerk_internal.verify_rsa(key.jwk, header ->> 'alg', signed, signature) THEN 'ok'
		ELSE 'signature_invalid' END;
END
$$;
COMMENT ON FUNCTION clerk_internal.verify_with_key(clerk.jwks, jsonb, text, bytea) IS
	'whether a key has signed a token; the algorithm belongs to the key, and not to the token';

-- By the key that the token names; if the instance has none of that name, by one of those that it
-- has for any, which come from a PEM file without a kid.
CREATE OR REPLACE FUNCTION clerk_internal.verify_signature(issuer text, header jsonb, signed text, signature bytea)
	RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_variable
DECLARE
	key clerk.jwks;
	status text := 'key_unknown';
BEGIN
	SELECT * INTO key FROM clerk.jwks AS k WHERE k.issuer = issuer AND k.kid = header ->> 'kid';
	IF FOUND THEN
		RETURN clerk_internal.verify_with_key(key, header, signed, signature);
	END IF;
	FOR key IN SELECT * FROM clerk.jwks AS k WHERE k.issuer = issuer AND k.any_kid LOOP
		status := clerk_internal.verify_with_key(key, header, signed, signature);
		EXIT WHEN status = 'ok';
	END LOOP;
	RETURN status;
END
$$;
COMMENT ON FUNCTION clerk_internal.verify_signature(text, jsonb, text, bytea) IS
	'whether a key of the instance has signed a token';

-- Null is absent, as templates write it for what is empty; a NumericDate may be fractional.
CREATE OR REPLACE FUNCTION clerk_internal.numeric_date(value jsonb) RETURNS numeric
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE WHEN abs(clerk_internal.json_number(value)) <= 9.2e12
		THEN floor(clerk_internal.json_number(value) * 1000000) / 1000000 END;
COMMENT ON FUNCTION clerk_internal.numeric_date(jsonb) IS
	'a NumericDate (RFC 7519 section 2), in seconds, to the microsecond; NULL: it is none';

CREATE OR REPLACE FUNCTION clerk_internal.claim_steps() RETURNS text[]
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN '{subject,audience,"authorized party",expiry,"not before","issued at","session status"}'::text[];
COMMENT ON FUNCTION clerk_internal.claim_steps() IS
	'those of clerk_internal.steps() that the claims themselves can be asked';

CREATE OR REPLACE FUNCTION clerk_internal.claim_statuses(claims jsonb, instance clerk.instances) RETURNS text[]
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	now_s constant numeric := extract(epoch FROM clock_timestamp());
	skew constant numeric := coalesce(extract(epoch FROM instance.clock_skew), 0);
	aud constant jsonb := claims -> 'aud';
	exp constant numeric := clerk_internal.numeric_date(claims -> 'exp');
	nbf constant numeric := clerk_internal.numeric_date(claims -> 'nbf');
	iat constant numeric := clerk_internal.numeric_date(claims -> 'iat');
BEGIN
	RETURN ARRAY[
		CASE
			WHEN coalesce(clerk_internal.json_string(claims -> 'sub'), '') = '' THEN 'subject_invalid'
			-- and somebody may be impersonated, and we could not say by whom
			WHEN coalesce(jsonb_typeof(claims -> 'sid'), 'null') NOT IN ('string', 'null')
				OR coalesce(jsonb_typeof(claims -> 'azp'), 'null') NOT IN ('string', 'null')
				OR coalesce(jsonb_typeof(claims -> 'sts'), 'null') NOT IN ('string', 'null')
				OR (coalesce(jsonb_typeof(claims -> 'act'), 'null') <> 'null'
					AND clerk_internal.json_string(claims #> '{act,sub}') IS NULL) THEN 'claim_type'
			ELSE 'ok' END,
		CASE WHEN instance.audiences IS NULL OR coalesce(CASE jsonb_typeof(aud)
				WHEN 'string' THEN aud #>> '{}' = ANY (instance.audiences)
				WHEN 'array' THEN NOT jsonb_path_exists(aud, 'strict $[*] ? (@.type() != "string")')
					AND aud ?| instance.audiences END, false) THEN 'ok' ELSE 'audience' END,
		CASE WHEN instance.authorized_parties IS NULL OR coalesce(
				clerk_internal.json_string(claims -> 'azp') = ANY (instance.authorized_parties), false)
				THEN 'ok'
			WHEN claims ->> 'azp' IS NULL THEN 'authorized_party_missing' ELSE 'authorized_party' END,
		CASE WHEN exp IS NULL THEN 'expiry_invalid' WHEN exp <= now_s - skew THEN 'expired' ELSE 'ok' END,
		CASE WHEN nbf IS NULL AND claims ->> 'nbf' IS NOT NULL THEN 'not_before_invalid'
			WHEN nbf > now_s + skew THEN 'not_active_yet' ELSE 'ok' END,
		CASE WHEN iat IS NULL AND claims ->> 'iat' IS NOT NULL THEN 'issued_at_invalid'
			WHEN iat > now_s + skew THEN 'issued_in_future'
			WHEN coalesce(iat <= now_s - skew - extract(epoch FROM instance.max_token_age),
				instance.max_token_age IS NOT NULL) THEN 'too_old'
			ELSE 'ok' END,
		CASE WHEN claims -> 'sts' = '"pending"' THEN 'session_pending' ELSE 'ok' END];
END
$$;
COMMENT ON FUNCTION clerk_internal.claim_statuses(jsonb, clerk.instances) IS
	'the status of each of clerk_internal.claim_steps(): what Clerk''s packages check, or stricter';

-- What cannot be read is a refusal: row_security, as rows that are hidden would be none; and a row
-- without an id may be anybody's.
CREATE OR REPLACE FUNCTION clerk_internal.check_revocation(claims jsonb) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET row_security = off
	AS $$
DECLARE
	issued_at constant numeric := clerk_internal.numeric_date(claims -> 'iat');
	revoked text;
BEGIN
	SELECT r.id INTO revoked FROM clerk.revocations AS r
	WHERE r.id IS NULL OR r.id IN (claims ->> 'sub', claims ->> 'sid')
		AND coalesce(r.issued_before IS NULL OR issued_at < extract(epoch FROM r.issued_before), true)
	ORDER BY r.id = claims ->> 'sid' DESC NULLS LAST
	LIMIT 1;
	RETURN CASE WHEN NOT FOUND THEN 'ok' WHEN revoked IS NULL THEN 'table_unreadable'
		WHEN revoked = claims ->> 'sid' THEN 'session_revoked'
		ELSE 'user_revoked' END;
EXCEPTION WHEN syntax_error_or_access_rule_violation THEN
	RETURN 'table_unreadable';
END
$$;
COMMENT ON FUNCTION clerk_internal.check_revocation(jsonb) IS
	'whether the session or the user of a token was revoked';

CREATE OR REPLACE FUNCTION clerk_internal.check_claims(claims jsonb, instance clerk.instances) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	status text;
BEGIN
	FOREACH status IN ARRAY clerk_internal.claim_statuses(claims, instance) LOOP
		IF status <> 'ok' THEN
			RETURN status;
		END IF;
	END LOOP;
	RETURN clerk_internal.check_revocation(claims);
END
$$;
COMMENT ON FUNCTION clerk_internal.check_claims(jsonb, clerk.instances) IS
	'everything that the claims of a verified token are asked';

CREATE OR REPLACE FUNCTION clerk_internal.verify_token(token text, source text, OUT status text, OUT claims jsonb,
	OUT instance clerk.instances)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	read constant record := clerk_internal.read_token(token, source);
BEGIN
	status := read.status;
	IF status = 'ok' THEN
		instance := read.instance;
		status := clerk_internal.check_type(read.header, read.claims, instance);
	END IF;
	IF status = 'ok' THEN
		status := clerk_internal.verify_signature(instance.issuer, read.header,
			substring(token FROM '^(.*)[.]'), read.signature);
	END IF;
	IF status = 'ok' THEN
		status := clerk_internal.check_claims(read.claims, instance);
	END IF;
	IF status = 'ok' THEN
		claims := read.claims;
	END IF;
EXCEPTION WHEN syntax_error_or_access_rule_violation THEN
	status := 'table_unreadable';
	claims := NULL;
END
$$;
COMMENT ON FUNCTION clerk_internal.verify_token(text, text) IS
	'the claims of a token from a source, if it verifies; else why not';

--
-- caller.sql
--		Who is signed in? Where a request has its token, which one counts, and what the
--		others may say; the answer, kept for the transaction.
--
-- Uses json, reasons, tokens, settings.
--

CREATE OR REPLACE FUNCTION clerk_internal.request_cookies() RETURNS SETOF text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	cookies constant text := current_setting('request.cookies', true);
BEGIN
	IF cookies <> '' AND clerk_internal.parse_object(cookies) IS NOT NULL THEN
		RETURN QUERY
			SELECT c.value #>> '{}' FROM json_each(cookies::json) WITH ORDINALITY AS c (key, value, n)
			WHERE (c.key ^@ '__session_' OR c.key = '__session') AND json_typeof(c.value) = 'string'
			ORDER BY c.key = '__session', c.n;
	END IF;
END
$$;
COMMENT ON FUNCTION clerk_internal.request_cookies() IS
	'the session cookies, those of an instance before the plain one';

-- credentials = "Bearer" 1*SP b64token, or the bare token, as Clerk's SDKs take it; those of another
-- scheme are no concern of ours.
CREATE OR REPLACE FUNCTION clerk_internal.candidates() RETURNS TABLE (n bigint, source text, status text, token text)
	LANGUAGE plpgsql STABLE ROWS 3 SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	header record;
	name text;
BEGIN
	n := 1;
	source := 'setting';
	status := 'ok';
	token := nullif(current_setting('clerk.token', true), '');
	IF token IS NOT NULL THEN
		RETURN NEXT;
	END IF;
	FOREACH name IN ARRAY '{x-clerk-token,claims,authorization}'::text[] LOOP
		n := n + 1;
		source := name;
		IF name = 'claims' THEN
			token := CASE WHEN clerk_internal.believes_claims()
				THEN nullif(current_setting('request.jwt.claims', true), '') END;
			status := 'ok';
			IF token IS NOT NULL THEN
				RETURN NEXT;
			END IF;
			CONTINUE;
		END IF;
		header := clerk_internal.request_header(name);
		status := header.status;
		token := CASE WHEN header.value ~* '^bearer ' THEN ltrim(substr(header.value, 7), ' ')
			ELSE header.value END;
		IF status <> 'no_token'
			AND (status <> 'ok' OR header.value ~* '^bearer ' OR strpos(header.value, ' ') = 0) THEN
			RETURN NEXT;
		END IF;
	END LOOP;
	source := 'request.jwt';
	status := 'ok';
	token := nullif(current_setting('request.jwt', true), '');
	IF token IS NOT NULL THEN
		n := n + 1;
		RETURN NEXT;
	END IF;
	source := 'cookie';
	FOR token IN SELECT clerk_internal.request_cookies() LOOP
		n := n + 1;
		RETURN NEXT;
	END LOOP;
END
$$;
COMMENT ON FUNCTION clerk_internal.candidates() IS
	'where the request may carry a token, in order of precedence; and its claims, where those are '
		'believed';

CREATE OR REPLACE FUNCTION clerk_internal.believe_claims(OUT status text, OUT claims jsonb, OUT instance clerk.instances)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	believed constant jsonb := clerk_internal.parse_object(current_setting('request.jwt.claims', true));
	identified constant record := clerk_internal.identify(believed);
BEGIN
	status := identified.status;
	IF status = 'ok' THEN
		instance := identified.instance;
		status := clerk_internal.check_type('{}', believed, instance);
	END IF;
	IF status = 'ok' THEN
		status := clerk_internal.check_claims(believed, instance);
	END IF;
	IF status = 'ok' THEN
		claims := believed;
	END IF;
EXCEPTION WHEN syntax_error_or_access_rule_violation THEN
	status := 'table_unreadable';
	claims := NULL;
END
$$;
COMMENT ON FUNCTION clerk_internal.believe_claims() IS
	'the claims that the gateway has verified, if nothing but the signature is left to ask';

CREATE OR REPLACE FUNCTION clerk_internal.is_not_ours(status text) RETURNS boolean
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN status IN ('no_token', 'source_ambiguous', 'cookie_cross_site', 'token_too_large',
		'token_not_compact', 'token_not_base64url', 'header_not_json',
		'header_member', 'header_critical', 'payload_not_json', 'issuer_unknown', 'issuer_legacy');
COMMENT ON FUNCTION clerk_internal.is_not_ours(text) IS
	'whether a token, or what is in its place, says nothing about a registered issuer';

-- Does the status of a candidate that was none of ours say more than that of one before? Not that
-- of a cookie which is no token, as other software uses the name __session as well.
CREATE OR REPLACE FUNCTION clerk_internal.says_more(status text, source text, kept text) RETURNS boolean
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN (source <> 'cookie' OR status = 'cookie_cross_site') AND (kept = 'no_token'
		OR (kept <> 'issuer_legacy' AND clerk_internal.is_anonymous(kept)
			AND NOT clerk_internal.is_anonymous(status)));
COMMENT ON FUNCTION clerk_internal.says_more(text, text, text) IS
	'whether the status of a candidate is to be kept in the place of another''s';

-- It is a token, or claims, and somebody else may read what we cannot.
CREATE OR REPLACE FUNCTION clerk_internal.names_another(status text, named jsonb, issuer text, subject text)
	RETURNS boolean
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN coalesce(CASE status
		WHEN 'ok' THEN jsonb_typeof(named -> 'sub') = 'string'
			AND (named ->> 'iss', named ->> 'sub') <> (issuer, subject)
		ELSE status IN ('table_unreadable', 'payload_not_json', 'source_ambiguous') END, false);
COMMENT ON FUNCTION clerk_internal.names_another(text, jsonb, text, text) IS
	'whether what another source says, verified or not, is or may be another user''s of a registered issuer';

-- The first candidate with a token of a registered issuer decides. Without any, the status of the
-- first that was no token at all is kept, so that pre_request() can say it. A header may be as old as
-- a connection: where claims are believed, a token that has expired leaves the answer to them.
CREATE OR REPLACE FUNCTION clerk_internal.decide(OUT status text, OUT source text, OUT claims jsonb, OUT token text,
	OUT instance clerk.instances)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	candidate record;
	other record;
	verified record;
	named jsonb;
	kept_status text := 'no_token';
BEGIN
	FOR candidate IN SELECT * FROM clerk_internal.candidates() AS c ORDER BY c.n LOOP
		IF candidate.source = 'claims' THEN
			verified := clerk_internal.believe_claims();
			candidate.status := verified.status;
		ELSIF candidate.status = 'ok' THEN
			verified := clerk_internal.verify_token(candidate.token, candidate.source);
			candidate.status := verified.status;
		END IF;
		IF candidate.source = 'x-clerk-token' AND candidate.status = 'expired'
			AND clerk_internal.believes_claims() THEN
			kept_status := 'expired';
			source := candidate.source;
			token := candidate.token;
		ELSIF NOT clerk_internal.is_not_ours(candidate.status) THEN
			status := candidate.status;
			source := candidate.source;
			token := candidate.token;
			claims := verified.claims;
			instance := verified.instance;
			EXIT;
		ELSIF clerk_internal.says_more(candidate.status, candidate.source, kept_status) THEN
			kept_status := candidate.status;
			source := candidate.source;
			token := candidate.token;
		END IF;
	END LOOP;
	IF status IS NULL THEN
		status := kept_status;
		RETURN;
	ELSIF status <> 'ok' THEN
		RETURN;
	END IF;
	FOR other IN
		SELECT * FROM clerk_internal.candidates() AS c
		WHERE c.source <> 'claims' AND c.token IS DISTINCT FROM decide.token
			AND (c.source <> 'cookie' OR decide.source = 'cookie')
	LOOP
		IF other.status = 'ok' THEN
			other := clerk_internal.read_token(other.token, other.source);
		ELSE
			SELECT other.status, NULL::jsonb AS claims INTO other;
		END IF;
		IF clerk_internal.names_another(other.status, other.claims, claims ->> 'iss', claims ->> 'sub') THEN
			status := 'identity_mismatch';
		END IF;
	END LOOP;
	named := clerk_internal.parse_object(current_setting('request.jwt.claims', true));
	IF current_setting('request.jwt.claims', true) <> ''
		AND (octet_length(current_setting('request.jwt.claims', true)) > 16384
		OR clerk_internal.names_another((clerk_internal.identify(named)).status, named, claims ->> 'iss',
			claims ->> 'sub')) THEN
		status := 'identity_mismatch';
	END IF;
	IF status <> 'ok' THEN
		claims := NULL;
	END IF;
EXCEPTION WHEN syntax_error_or_access_rule_violation THEN
	status := 'table_unreadable';
	claims := NULL;
END
$$;
COMMENT ON FUNCTION clerk_internal.decide() IS
	'who makes this request, or why it is nobody; nobody else decides that';

-- Two keys of NMAC, which nobody but the owner reads.
CREATE TABLE IF NOT EXISTS clerk_internal.seal (
	is_only boolean DEFAULT true CONSTRAINT seal_pkey PRIMARY KEY CONSTRAINT seal_is_only CHECK (is_only),
	inner_key bytea NOT NULL,
	outer_key bytea NOT NULL
);
COMMENT ON TABLE clerk_internal.seal IS
	'what clerk_internal.caller() signs its answer with, as it is kept where everybody may write; '
		'deleted, it is made anew by running this file again';
COMMENT ON COLUMN clerk_internal.seal.is_only IS 'there is one';
COMMENT ON COLUMN clerk_internal.seal.inner_key IS 'the key of the inner hash';
COMMENT ON COLUMN clerk_internal.seal.outer_key IS 'the key of the outer hash';

CREATE OR REPLACE FUNCTION clerk_internal.random_key() RETURNS bytea
	LANGUAGE sql VOLATILE
	RETURN uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
		|| uuid_send(gen_random_uuid());
COMMENT ON FUNCTION clerk_internal.random_key() IS '64 bytes, 488 bits of which are random';

INSERT INTO clerk_internal.seal (inner_key, outer_key)
	VALUES (clerk_internal.random_key(), clerk_internal.random_key()) ON CONFLICT DO NOTHING;

-- Everything that the answer is made of, and nothing that could be cut in another way.
CREATE OR REPLACE FUNCTION clerk_internal.request_text() RETURNS text
	LANGUAGE sql STABLE
	RETURN (
		SELECT concat(length(token), ',', length(headers), ',', length(jwt), ',', length(cookies), ',',
			length(claims), ',', length(method), ':', token, headers, jwt, cookies, claims, method)
		FROM (SELECT current_setting('clerk.token', true), current_setting('request.headers', true),
			current_setting('request.jwt', true),
			current_setting('request.cookies', true), current_setting('request.jwt.claims', true),
				current_setting('request.method', true))
			AS s (token, headers, jwt, cookies, claims, method));
COMMENT ON FUNCTION clerk_internal.request_text() IS 'all settings that a request may say its user in';

-- The answer is kept in a setting of the transaction, with a code that only this function can make,
-- for the very request, transaction and backend; so it lasts until one of them is another. It is 64
-- hexadecimal digits and the claims, or nothing for nobody.
-- Compared are hashes of the codes, so that the time it takes says nothing of them.
-- PARALLEL UNSAFE: nothing can be kept in a parallel operation.
CREATE OR REPLACE FUNCTION clerk_internal.caller() RETURNS jsonb
	LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	request constant text := clerk_internal.request_text();
	place constant text := concat(extract(epoch FROM transaction_timestamp()), ' ', pg_backend_pid(), ' ',
		length(request), ' ', request);
	kept text := current_setting('clerk_rls.kept', true);
	answer text;
	seal clerk_internal.seal;
	decided record;
BEGIN
	SELECT * INTO seal FROM clerk_internal.seal;
	IF length(kept) >= 64 AND sha256(convert_to(left(kept, 64), 'UTF8'))
		= sha256(convert_to(encode(sha256(seal.outer_key
			|| sha256(seal.inner_key || convert_to(place || substr(kept, 65), 'UTF8'))), 'hex'), 'UTF8')) THEN
		RETURN nullif(substr(kept, 65), '')::jsonb;
	END IF;
	decided := clerk_internal.decide();
	answer := coalesce(decided.claims::text, '');
	kept := encode(sha256(seal.outer_key || sha256(seal.inner_key || convert_to(place || answer, 'UTF8'))),
		'hex') || answer;
	IF kept IS NOT NULL THEN
		PERFORM set_config('clerk_rls.kept', kept, true);
	END IF;
	IF decided.source = 'claims' AND decided.status = 'ok' THEN
		-- whoever could set these could set the claims; clerk.uid() reads them without a call
		PERFORM set_config('clerk_rls.uid', decided.claims ->> 'sub', true),
			set_config('clerk_rls.uid_of', current_setting('request.jwt.claims'), true);
	END IF;
	RETURN decided.claims;
END
$$;
COMMENT ON FUNCTION clerk_internal.caller() IS 'the claims of the signed-in user; NULL for everybody else';

--
-- identity.sql
--		What policies ask: who is signed in, and what the token says. And the doors that raise.
--
-- Uses json, reasons, tokens, caller, settings.
--

CREATE OR REPLACE FUNCTION clerk.uid() RETURNS text
	LANGUAGE sql STABLE
	RETURN clerk_internal.caller() ->> 'sub';
COMMENT ON FUNCTION clerk.uid() IS 'Clerk id of the signed-in user, verified; NULL for everybody else';

-- Once per row a call is too much, so where the claims are believed the answer is read from where
-- clerk_internal.caller() has left it, for the very claims; and only there is it believed.
CREATE OR REPLACE FUNCTION clerk_internal.define_uid() RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $define$
BEGIN
	IF clerk_internal.believes_claims() THEN
		CREATE OR REPLACE FUNCTION clerk.uid() RETURNS text
			LANGUAGE sql STABLE
			RETURN CASE WHEN current_setting('clerk_rls.uid_of', true) = current_setting('request.jwt.claims',
				true)
				AND coalesce(current_setting('clerk.token', true), '') = ''
				-- both are empty where there are no claims, and then so is this
				THEN coalesce(nullif(current_setting('clerk_rls.uid', true), ''),
					clerk_internal.caller() ->> 'sub')
				ELSE clerk_internal.caller() ->> 'sub' END;
	ELSE
		CREATE OR REPLACE FUNCTION clerk.uid() RETURNS text
			LANGUAGE sql STABLE
			RETURN clerk_internal.caller() ->> 'sub';
	END IF;
END
$define$;
COMMENT ON FUNCTION clerk_internal.define_uid() IS 'makes clerk.uid() what clerk.settings says it is';

CREATE OR REPLACE FUNCTION clerk_internal.apply_settings() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	-- what is kept anywhere was decided under the old settings
	UPDATE clerk_internal.seal SET inner_key = clerk_internal.random_key(),
		outer_key = clerk_internal.random_key();
	PERFORM clerk_internal.define_uid();
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION clerk_internal.apply_settings() IS
	'trigger: a changed setting counts from the next statement on';

CREATE OR REPLACE TRIGGER apply_settings AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON clerk.settings
	FOR EACH STATEMENT EXECUTE FUNCTION clerk_internal.apply_settings();
ALTER TABLE clerk.settings ENABLE ALWAYS TRIGGER apply_settings;
COMMENT ON TRIGGER apply_settings ON clerk.settings IS 'a changed setting counts from the next statement on';

SELECT clerk_internal.define_uid();

CREATE OR REPLACE FUNCTION clerk.jwt() RETURNS jsonb
	LANGUAGE sql STABLE
	RETURN clerk_internal.caller();
COMMENT ON FUNCTION clerk.jwt() IS 'claims of the verified token';

CREATE OR REPLACE FUNCTION clerk.claim(VARIADIC path text[]) RETURNS text
	LANGUAGE sql STABLE STRICT
	RETURN clerk_internal.caller() #>> path;
COMMENT ON FUNCTION clerk.claim(text[]) IS 'one of the claims of the verified token, by its path';

CREATE OR REPLACE FUNCTION clerk.session_id() RETURNS text
	LANGUAGE sql STABLE
	RETURN clerk_internal.caller() ->> 'sid';
COMMENT ON FUNCTION clerk.session_id() IS 'Clerk session id ("sid"); NULL also for tokens of JWT templates';

CREATE OR REPLACE FUNCTION clerk.issuer() RETURNS text
	LANGUAGE sql STABLE
	RETURN clerk_internal.caller() ->> 'iss';
COMMENT ON FUNCTION clerk.issuer() IS 'issuer ("iss") of the verified token';

CREATE OR REPLACE FUNCTION clerk.actor_id() RETURNS text
	LANGUAGE sql STABLE
	RETURN clerk_internal.caller() #>> '{act,sub}';
COMMENT ON FUNCTION clerk.actor_id() IS 'who impersonates the user ("act.sub"); NULL when nobody does';

CREATE OR REPLACE FUNCTION clerk.expires_at() RETURNS timestamptz
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	RETURN 'epoch'::timestamptz
		+ (clerk_internal.numeric_date(clerk_internal.caller() -> 'exp') * 1000000)::double precision
			* interval '1 microsecond';
COMMENT ON FUNCTION clerk.expires_at() IS 'when the verified token expires ("exp")';

CREATE OR REPLACE FUNCTION clerk.is_authenticated() RETURNS boolean
	LANGUAGE sql STABLE
	RETURN clerk_internal.caller() IS NOT NULL;
COMMENT ON FUNCTION clerk.is_authenticated() IS 'whether somebody is signed in; never NULL';

CREATE OR REPLACE FUNCTION clerk.is_impersonated() RETURNS boolean
	LANGUAGE sql STABLE
	RETURN clerk_internal.caller() #>> '{act,sub}' IS NOT NULL;
COMMENT ON FUNCTION clerk.is_impersonated() IS 'whether somebody else acts as the user ("act"); never NULL';

-- SECURITY DEFINER: who asks need not read the keys. The signature is verified always.
CREATE OR REPLACE FUNCTION clerk.verify(token text) RETURNS jsonb
	LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	verified constant record := clerk_internal.verify_token(token, 'argument');
BEGIN
	IF verified.status <> 'ok' THEN
		PERFORM clerk_internal.raise(verified.status);
	END IF;
	RETURN verified.claims;
END
$$;
COMMENT ON FUNCTION clerk.verify(text) IS 'claims of a token, or an error (PT401) with the reason';

CREATE OR REPLACE FUNCTION clerk_internal.caller_status() RETURNS text
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT (clerk_internal.decide()).status $$;
COMMENT ON FUNCTION clerk_internal.caller_status() IS 'why clerk_internal.caller() answers what it does';

CREATE OR REPLACE FUNCTION clerk.authenticate(token text) RETURNS text
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	user_id text;
BEGIN
	IF token IS NULL THEN
		PERFORM set_config('clerk.token', '', true);
		RETURN NULL;
	END IF;
	PERFORM clerk.verify(token);
	PERFORM set_config('clerk.token', token, true);
	user_id := clerk.uid();
	IF user_id IS NULL THEN
		PERFORM clerk_internal.raise(clerk_internal.caller_status());
	END IF;
	RETURN user_id;
END
$$;
COMMENT ON FUNCTION clerk.authenticate(text) IS
	'makes the rest of the transaction the token''s user and returns the user id; NULL signs out';

CREATE OR REPLACE FUNCTION clerk_internal.mentions(claims jsonb, value text) RETURNS boolean
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN coalesce(jsonb_path_exists(claims, 'strict $.** ? (@ == $value)',
		jsonb_build_object('value', value)), false);
COMMENT ON FUNCTION clerk_internal.mentions(jsonb, text) IS
	'whether a text is one of the strings anywhere in the claims';

-- PostgREST adds the role that it has chosen to the claims, so what the token asked for is in the
-- token alone, also where its claims are believed.
CREATE OR REPLACE FUNCTION clerk_internal.token_mentions(value text) RETURNS boolean
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	decided constant record := clerk_internal.decide();
	claims jsonb := decided.claims;
BEGIN
	IF decided.source = 'claims' THEN
		SELECT coalesce((clerk_internal.read_token(c.token, c.source)).claims, claims) INTO claims
		FROM clerk_internal.candidates() AS c WHERE c.source = 'authorization' AND c.status = 'ok';
	END IF;
	RETURN clerk_internal.mentions(coalesce(claims, decided.claims), value);
END
$$;
COMMENT ON FUNCTION clerk_internal.token_mentions(text) IS
	'whether a text is one of the strings anywhere in the token of the signed-in user';

-- PostgREST runs a request as its anonymous role, or another one that it has fallen back to, where
-- no token asks for one: then the claims that it hands over are those of no token, or of ours.
CREATE OR REPLACE FUNCTION clerk_internal.role_to_take(role name) RETURNS name
	LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_variable
DECLARE
	claims constant jsonb := clerk_internal.caller();
	gateway constant jsonb := clerk_internal.parse_object(nullif(current_setting('request.jwt.claims', true),
		''));
	wanted constant name := (SELECT i.role FROM clerk.instances AS i WHERE i.issuer = claims ->> 'iss');
BEGIN
	IF coalesce(wanted = role, true) OR clerk_internal.token_mentions(role) THEN
		RETURN NULL;
	ELSIF role = clerk_internal.anon_role() OR (clerk_internal.mentions(gateway, role)
		AND coalesce(gateway ->> 'sub' = claims ->> 'sub', true)
			AND coalesce(gateway ->> 'iss' = claims ->> 'iss', true)) THEN
		RETURN wanted;
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION clerk_internal.role_to_take(name) IS
	'the role of the instance, if it may take the place of the one that the request runs as; else NULL';

CREATE OR REPLACE FUNCTION clerk.pre_request() RETURNS void
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	status text;
	wanted name;
BEGIN
	IF clerk_internal.caller() IS NULL THEN
		status := clerk_internal.caller_status();
		IF status <> 'ok' AND NOT clerk_internal.is_anonymous(status) THEN
			PERFORM clerk_internal.raise(status);
		END IF;
		RETURN;
	END IF;
	wanted := clerk_internal.role_to_take(current_user);
	IF wanted IS NOT NULL THEN
		-- that the session's user may become it is checked here
		PERFORM set_config('role', wanted, true);
	END IF;
END
$$;
COMMENT ON FUNCTION clerk.pre_request() IS
	'for PostgREST''s db-pre-request: refuses bad tokens with 401, gives verified callers their role';

--
-- grants.sql
--		What a token grants: organization, roles, permissions, features, plans, reverification, by
--		the rules of Clerk's packages and of the extension (src/core/grants.c and has.c).
--
-- Uses json, caller.
--

-- What String.prototype.trim() removes.
CREATE OR REPLACE FUNCTION clerk_internal.elements(list text) RETURNS text[]
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN ARRAY(
		SELECT btrim(element,
			E' \t\n\x0b\f\r\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005'
				'\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff')
		FROM unnest(string_to_array(list, ',')) WITH ORDINALITY AS e (element, n) ORDER BY n);
COMMENT ON FUNCTION clerk_internal.elements(text) IS 'the elements that commas separate, trimmed';

CREATE OR REPLACE FUNCTION clerk_internal.text_member(object jsonb, name text) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN nullif(clerk_internal.json_string(CASE
		WHEN jsonb_typeof(object) = 'object' THEN object -> name END), '');
COMMENT ON FUNCTION clerk_internal.text_member(jsonb, text) IS
	'a member that is a string, and not empty; NULL: there is none';

-- scope:slug, with the scopes o, u, ou and uo. An element without a colon makes the list unreadable.
CREATE OR REPLACE FUNCTION clerk_internal.is_readable(list text) RETURNS boolean
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN coalesce((SELECT bool_and(strpos(element, ':') > 0)
		FROM unnest(clerk_internal.elements(list)) AS element), false);
COMMENT ON FUNCTION clerk_internal.is_readable(text) IS 'whether this is a list of features or plans';

-- [scope:]slug; without a scope, anybody's will do. What follows a second colon is lost.
CREATE OR REPLACE FUNCTION clerk_internal.is_entitled(list text, wanted text) RETURNS boolean
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
CREATE OR REPLACE FUNCTION clerk_internal.has_bit(mask text, n integer) RETURNS boolean
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE
		WHEN mask !~ '^[0-9]+$' THEN false
		WHEN length(mask) <= 18 AND n < 62 THEN mask::bigint >> n & 1 = 1
		ELSE div(mask::numeric, power(2::numeric, n)) % 2 = 1 END;
COMMENT ON FUNCTION clerk_internal.has_bit(text, integer) IS 'a bit of a decimal number of any length';

-- The masks belong to the features of the organization, each to the one at its place.
CREATE OR REPLACE FUNCTION clerk_internal.masked_permissions(features text, per text, fpm text) RETURNS text[]
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
CREATE OR REPLACE FUNCTION clerk_internal.organization(claims jsonb, OUT unreadable boolean, OUT id text, OUT slug text,
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
CREATE OR REPLACE FUNCTION clerk_internal.is_reverified(claims jsonb, level text, minutes double precision)
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

CREATE OR REPLACE FUNCTION clerk_internal.is_reverified_as(claims jsonb, preset text) RETURNS boolean
	LANGUAGE sql IMMUTABLE
	RETURN CASE preset
		WHEN 'strict_mfa' THEN clerk_internal.is_reverified(claims, 'multi_factor', 10)
		WHEN 'strict' THEN clerk_internal.is_reverified(claims, 'second_factor', 10)
		WHEN 'moderate' THEN clerk_internal.is_reverified(claims, 'second_factor', 60)
		WHEN 'lax' THEN clerk_internal.is_reverified(claims, 'second_factor', 1440)
		ELSE false END;
COMMENT ON FUNCTION clerk_internal.is_reverified_as(jsonb, text) IS 'the same for a preset of Clerk';

-- "org:" is optional, any number of times.
CREATE OR REPLACE FUNCTION clerk_internal.without_org(name text) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN regexp_replace(name, '^(org:)+', '');
COMMENT ON FUNCTION clerk_internal.without_org(text) IS 'a role or permission without "org:" before it';

-- One question of has(). What is malformed is met by nobody.
CREATE OR REPLACE FUNCTION clerk_internal.is_granted(claims jsonb, question text, wanted jsonb) RETURNS boolean
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
CREATE OR REPLACE FUNCTION clerk.org_id() RETURNS text
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT (clerk_internal.organization(clerk_internal.caller())).id $$;
COMMENT ON FUNCTION clerk.org_id() IS 'Clerk id of the active organization';

CREATE OR REPLACE FUNCTION clerk.org_slug() RETURNS text
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT (clerk_internal.organization(clerk_internal.caller())).slug $$;
COMMENT ON FUNCTION clerk.org_slug() IS 'slug of the active organization';

CREATE OR REPLACE FUNCTION clerk.org_role() RETURNS text
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT (clerk_internal.organization(clerk_internal.caller())).role $$;
COMMENT ON FUNCTION clerk.org_role() IS 'the user''s role in the active organization, such as org:admin';

CREATE OR REPLACE FUNCTION clerk.org_permissions() RETURNS text[]
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT (clerk_internal.organization(clerk_internal.caller())).permissions $$;
COMMENT ON FUNCTION clerk.org_permissions() IS
	'the user''s permissions in the active organization, such as org:invoices:create';

CREATE OR REPLACE FUNCTION clerk.has(params jsonb) RETURNS boolean
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

CREATE OR REPLACE FUNCTION clerk.has_role(role text) RETURNS boolean
	LANGUAGE sql STABLE SECURITY DEFINER COST 500 SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk_internal.is_granted(clerk_internal.caller(), 'role', to_jsonb(role)) $$;
COMMENT ON FUNCTION clerk.has_role(text) IS
	'whether the user has this role in the active organization; org: may be left out';

CREATE OR REPLACE FUNCTION clerk.has_permission(permission text) RETURNS boolean
	LANGUAGE sql STABLE SECURITY DEFINER COST 500 SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk_internal.is_granted(clerk_internal.caller(), 'permission', to_jsonb(permission)) $$;
COMMENT ON FUNCTION clerk.has_permission(text) IS
	'whether the user has this permission in the active organization; org: may be left out';

CREATE OR REPLACE FUNCTION clerk.has_feature(feature text) RETURNS boolean
	LANGUAGE sql STABLE SECURITY DEFINER COST 500 SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk_internal.is_granted(clerk_internal.caller(), 'feature', to_jsonb(feature)) $$;
COMMENT ON FUNCTION clerk.has_feature(text) IS
	'whether the user, or the active organization, has this feature: slug, or o:slug, u:slug';

CREATE OR REPLACE FUNCTION clerk.has_plan(plan text) RETURNS boolean
	LANGUAGE sql STABLE SECURITY DEFINER COST 500 SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk_internal.is_granted(clerk_internal.caller(), 'plan', to_jsonb(plan)) $$;
COMMENT ON FUNCTION clerk.has_plan(text) IS
	'whether the user, or the active organization, has this plan: slug, or o:slug, u:slug';

CREATE OR REPLACE FUNCTION clerk.has_reverified(preset text) RETURNS boolean
	LANGUAGE sql STABLE SECURITY DEFINER COST 500 SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk_internal.is_reverified_as(clerk_internal.caller(), preset) $$;
COMMENT ON FUNCTION clerk.has_reverified(text) IS
	'whether the user has verified credentials again: strict_mfa, strict, moderate or lax';

CREATE OR REPLACE FUNCTION clerk.has_reverified(level text, within interval) RETURNS boolean
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

--
-- mapping.sql
--		The local id of a user or an organization: a row of clerk.id_map, a claim, or the UUID of
--		version 5 of the Clerk id, as the extension finds it (src/pg/idmap.c); and the trigger of
--		tables that are the mapping.
--
-- Uses json, caller, instances.
--

-- SHA-1 (RFC 3174), which PostgreSQL has for itself only. Here it names things, and keeps nothing secret.
CREATE OR REPLACE FUNCTION clerk_internal.sha1(message bytea) RETURNS bytea
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
CREATE OR REPLACE FUNCTION clerk_internal.uuid_v5(clerk_id text) RETURNS uuid
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
CREATE OR REPLACE FUNCTION clerk_internal.is_reserved_id(clerk_id text, mapped_id text) RETURNS boolean
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

CREATE OR REPLACE FUNCTION clerk_internal.as_uuid(mapped_id text) RETURNS uuid
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN CASE WHEN mapped_id ~
		'^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$' THEN mapped_id::uuid END;
COMMENT ON FUNCTION clerk_internal.as_uuid(text) IS 'a local id as uuid; NULL: it is none';

-- Only as bigint itself would be written, so that no two texts are one number.
CREATE OR REPLACE FUNCTION clerk_internal.as_bigint(mapped_id text) RETURNS bigint
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN CASE WHEN mapped_id ~ '^(0|-?[1-9][0-9]{0,18})$'
		AND mapped_id::numeric BETWEEN -9223372036854775808 AND 9223372036854775807
		THEN mapped_id::bigint END;
COMMENT ON FUNCTION clerk_internal.as_bigint(text) IS 'a local id as bigint; NULL: it is none';

-- A text that fits no type is no answer, and nothing else is one in its place: it would be somebody
-- else's id; nor is there one where rows are hidden, or incomplete.
CREATE OR REPLACE FUNCTION clerk_internal.local_id(clerk_id text, claims jsonb, OUT mapped_id text, OUT origin text)
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
CREATE OR REPLACE FUNCTION clerk_internal.mapped_caller() RETURNS text
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT nullif((clerk_internal.local_id(clerk_internal.caller() ->> 'sub',
		clerk_internal.caller())).mapped_id, '') WHERE clerk_internal.caller() IS NOT NULL $$;
COMMENT ON FUNCTION clerk_internal.mapped_caller() IS 'local id of the signed-in user as text';

CREATE OR REPLACE FUNCTION clerk_internal.mapped_org() RETURNS text
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT nullif((clerk_internal.local_id(clerk.org_id(), clerk_internal.caller())).mapped_id, '')
		WHERE clerk.org_id() IS NOT NULL $$;
COMMENT ON FUNCTION clerk_internal.mapped_org() IS 'local id of the active organization as text';

CREATE OR REPLACE FUNCTION clerk.mapped_id() RETURNS uuid
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk_internal.as_uuid(clerk_internal.mapped_caller()) $$;
COMMENT ON FUNCTION clerk.mapped_id() IS
	'local id of the signed-in user as uuid; NULL also when it is no uuid';

CREATE OR REPLACE FUNCTION clerk.mapped_bigint() RETURNS bigint
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk_internal.as_bigint(clerk_internal.mapped_caller()) $$;
COMMENT ON FUNCTION clerk.mapped_bigint() IS
	'local id of the signed-in user as bigint; NULL also when it is no bigint';

CREATE OR REPLACE FUNCTION clerk.mapped_text() RETURNS text
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk_internal.mapped_caller() $$;
COMMENT ON FUNCTION clerk.mapped_text() IS 'local id of the signed-in user as text';

CREATE OR REPLACE FUNCTION clerk.mapped_org_id() RETURNS uuid
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk_internal.as_uuid(clerk_internal.mapped_org()) $$;
COMMENT ON FUNCTION clerk.mapped_org_id() IS 'local id of the active organization as uuid';

CREATE OR REPLACE FUNCTION clerk.mapped_org_bigint() RETURNS bigint
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk_internal.as_bigint(clerk_internal.mapped_org()) $$;
COMMENT ON FUNCTION clerk.mapped_org_bigint() IS
	'local id of the active organization as bigint; NULL also when it is no bigint';

CREATE OR REPLACE FUNCTION clerk.mapped_org_text() RETURNS text
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk_internal.mapped_org() $$;
COMMENT ON FUNCTION clerk.mapped_org_text() IS 'local id of the active organization as text';

CREATE OR REPLACE FUNCTION clerk.mapped_id(clerk_id text) RETURNS uuid
	LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk_internal.as_uuid((clerk_internal.local_id(clerk_id,
		clerk_internal.caller())).mapped_id) $$;
COMMENT ON FUNCTION clerk.mapped_id(text) IS 'local id of any Clerk id as uuid';

CREATE OR REPLACE FUNCTION clerk_internal.track_row(tab regclass, relname name, clerk_id text, mapped_id text)
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
CREATE OR REPLACE FUNCTION clerk_internal.track_id() RETURNS trigger
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

--
-- svix.sql
--		Verifies that Clerk signed a webhook, as Svix makes it (Standard Webhooks 1.0):
--		HMAC-SHA256 of "id.timestamp.body". And what calls an event handler.
--
-- Uses json, reasons, caller.
--

-- Standard base64, padded or not, of a key of a length that Svix uses.
CREATE OR REPLACE FUNCTION clerk_internal.decode_webhook_secret(secret text) RETURNS bytea
	LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	digits constant text := regexp_replace(regexp_replace(secret, '^whsec_', ''), '={1,2}$', '');
	key bytea;
BEGIN
	IF digits ~ '^[A-Za-z0-9+/]+$' AND length(digits) <= 100 AND length(digits) % 4 <> 1 THEN
		key := decode(digits || repeat('=', -length(digits) & 3), 'base64');
		RETURN CASE WHEN length(key) BETWEEN 24 AND 75 THEN key END;
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION clerk_internal.decode_webhook_secret(text) IS
	'the key in the signing secret of an endpoint; NULL: it is none';

CREATE OR REPLACE FUNCTION clerk_internal.is_webhook_secret(secret text) RETURNS boolean
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN clerk_internal.decode_webhook_secret(secret) IS NOT NULL;
COMMENT ON FUNCTION clerk_internal.is_webhook_secret(text) IS
	'whether this could be the signing secret of an endpoint';

CREATE OR REPLACE FUNCTION clerk_internal.hmac_sha256(message bytea, key bytea) RETURNS bytea
	LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	inner_key bytea := CASE WHEN length(key) > 64 THEN sha256(key) ELSE key END;
	outer_key bytea;
BEGIN
	inner_key := inner_key || decode(repeat('00', 64 - length(inner_key)), 'hex');
	outer_key := inner_key;
	FOR i IN 0 .. 63 LOOP
		inner_key := set_byte(inner_key, i, get_byte(inner_key, i) # 54);
		outer_key := set_byte(outer_key, i, get_byte(outer_key, i) # 92);
	END LOOP;
	RETURN sha256(outer_key || sha256(inner_key || message));
END
$$;
COMMENT ON FUNCTION clerk_internal.hmac_sha256(bytea, bytea) IS 'HMAC (RFC 2104) with SHA-256';

CREATE OR REPLACE FUNCTION clerk_internal.check_webhook(id text, ts text, signature text) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT CASE
		WHEN coalesce(id = '' OR strpos(id, '.') > 0 OR signature = ''
			OR ts !~ '^[0-9]{1,12}$', true) THEN 'webhook_headers'
		WHEN ts::bigint < floor(extract(epoch FROM clock_timestamp())) - 300 THEN 'webhook_too_old'
		WHEN ts::bigint > floor(extract(epoch FROM clock_timestamp())) + 300 THEN 'webhook_too_new'
		ELSE 'ok' END
$$;
COMMENT ON FUNCTION clerk_internal.check_webhook(text, text, text) IS
	'whether the headers of a webhook are in order, and the delivery recent';

-- Compared are hashes of the codes, so that the time it takes says nothing of them.
CREATE OR REPLACE FUNCTION clerk_internal.webhook_issuer(id text, ts text, signature text, body text) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_variable
DECLARE
	message constant bytea := convert_to(concat(id, '.', ts, '.', body), 'UTF8');
	issuer text;
BEGIN
	SELECT s.issuer INTO issuer
	FROM clerk.webhook_secrets AS s,
		LATERAL (SELECT encode(clerk_internal.hmac_sha256(message,
			clerk_internal.decode_webhook_secret(s.secret)), 'base64')) AS code (expected)
	WHERE sha256(convert_to('v1,' || code.expected, 'UTF8')) IN (
		SELECT sha256(convert_to(word, 'UTF8')) FROM unnest(string_to_array(signature, ' ')) AS word)
	LIMIT 1;
	RETURN issuer;
EXCEPTION WHEN syntax_error_or_access_rule_violation THEN
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION clerk_internal.webhook_issuer(text, text, text, text) IS
	'the instance whose secret has signed a webhook; NULL: none';

-- SECURITY DEFINER: who asks need not read the secrets.
CREATE OR REPLACE FUNCTION clerk.verify_webhook(id text, ts text, signature text, body text) RETURNS boolean
	LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT clerk_internal.check_webhook(id, ts, signature) = 'ok'
		AND clerk_internal.webhook_issuer(id, ts, signature, body) IS NOT NULL
$$;
COMMENT ON FUNCTION clerk.verify_webhook(text, text, text, text) IS
	'whether one of the secrets has signed this body, with its headers svix-id, svix-timestamp and '
		'svix-signature, just now';

CREATE OR REPLACE FUNCTION clerk_internal.authenticate_webhook(id text, ts text, signature text, body text) RETURNS text
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	status constant text := clerk_internal.check_webhook(id, ts, signature);
	issuer text;
BEGIN
	IF status <> 'ok' THEN
		PERFORM clerk_internal.raise(status);
	END IF;
	issuer := clerk_internal.webhook_issuer(id, ts, signature, body);
	IF issuer IS NULL THEN
		PERFORM clerk_internal.raise('webhook_signature');
	END IF;
	RETURN issuer;
END
$$;
COMMENT ON FUNCTION clerk_internal.authenticate_webhook(text, text, text, text) IS
	'the issuer of the instance that sent a webhook, or an error (PT401) with the reason';

CREATE OR REPLACE FUNCTION clerk_internal.webhook_header(name text) RETURNS text
	LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$ SELECT coalesce((clerk_internal.request_header('svix-' || name)).value,
		(clerk_internal.request_header('webhook-' || name)).value) $$;
COMMENT ON FUNCTION clerk_internal.webhook_header(text) IS
	'header svix-<name>, or webhook-<name>, of the request';

-- Who is no superuser cannot become the owner of a function here, so the only handlers are one's own.
CREATE OR REPLACE FUNCTION clerk_internal.run_event_handler(handler regprocedure, event jsonb) RETURNS void
	LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	owner name;
BEGIN
	SELECT r.rolname INTO owner FROM pg_proc AS p JOIN pg_roles AS r ON r.oid = p.proowner
		WHERE p.oid = handler;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_function',
			MESSAGE = 'the event handler does not exist any more',
			HINT = 'Run clerk.drop_event_handler().';
	ELSIF owner <> current_user THEN
		RAISE EXCEPTION USING
			ERRCODE = 'insufficient_privilege',
			MESSAGE = format('event handler %s is not owned by %I', handler, current_user),
			HINT = format('ALTER FUNCTION %s OWNER TO %I;', handler, current_user);
	END IF;
	-- what was deferred until now fires as whoever it is now, and what comes is not deferred
	SET CONSTRAINTS ALL IMMEDIATE;
	EXECUTE format('SELECT %s($1)', handler::regproc) USING event;
END
$$;
COMMENT ON FUNCTION clerk_internal.run_event_handler(regprocedure, jsonb) IS
	'calls a function of the role that receives webhooks';

CREATE OR REPLACE FUNCTION clerk_internal.plain_string(string text, ascii boolean) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT CASE WHEN octet_length(string) > 1048576 THEN '""'
		WHEN strpos(string, '\u') = 0 THEN string
		ELSE string_agg(CASE WHEN length(unit) = 6
			AND unit ~ '^\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})$' THEN '\ufffd' ELSE unit END, ''
			ORDER BY n) END
	FROM regexp_matches(string,
		'\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|[^\\]+', 'g')
		WITH ORDINALITY AS units (matched, n), LATERAL (SELECT matched[1]) AS u (unit)
$$;
COMMENT ON FUNCTION clerk_internal.plain_string(text, boolean) IS
	'a JSON string with U+0000 and half characters replaced; one of more than 1 MiB becomes empty';

-- What jsonb takes stays as it is.
CREATE OR REPLACE FUNCTION clerk_internal.plain_json(body text, ascii boolean) RETURNS text
	LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	plain text[] := '{}';
	piece text;
	depth integer := 0;
BEGIN
	BEGIN
		IF NOT clerk_internal.is_too_deep(clerk_internal.without_strings(body))
			AND body::jsonb IS NOT NULL THEN
			RETURN body;
		END IF;
	EXCEPTION WHEN data_exception OR program_limit_exceeded OR statement_too_complex THEN
		NULL;
	END;
	-- strings, numbers, brackets, and what is between
	FOR piece IN
		SELECT m[1] FROM regexp_matches(body, '"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|[][{}]|[^][{}"0-9-]+|.',
			'g') AS m
	LOOP
		IF piece IN ('{', '[') THEN
			depth := depth + 1;
			IF depth = 257 THEN
				plain := plain || 'null'::text;
			END IF;
		END IF;
		IF depth <= 256 THEN
			plain := plain || CASE
				WHEN piece ^@ '"' THEN clerk_internal.plain_string(piece, ascii)
				-- one that numeric may not hold
				WHEN piece ~ '^-?[0-9]' AND (length(piece) > 1000 OR piece ~ '[eE][+-]?[0-9]{4}')
					AND piece ~ '^-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][+-]?[0-9]+)?$'
					THEN '"' || piece || '"'
				ELSE piece END;
		END IF;
		IF piece IN ('}', ']') THEN
			depth := depth - 1;
		END IF;
	END LOOP;
	RETURN array_to_string(plain, '');
END
$$;
COMMENT ON FUNCTION clerk_internal.plain_json(text, boolean) IS
	'a JSON text with what jsonb cannot hold replaced: U+0000, half characters, numbers, strings and levels '
		'beyond its limits';

--
-- diagnose.sql
--		Each step of a verification with its outcome, for people: what the extension shows
--		(src/pg/diagnose.c), and no more: no token, no signature, nothing of a person.
--
-- Uses json, reasons, tokens, caller, grants, mapping, settings.
--

CREATE OR REPLACE FUNCTION clerk_internal.shown(value text) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE WHEN value IS NULL THEN 'absent' WHEN octet_length(value) > 128 THEN '(too long to be shown)'
		WHEN value !~ '^[!-~]*$' THEN '(not plain enough to be shown)' ELSE value END;
COMMENT ON FUNCTION clerk_internal.shown(text) IS 'a value of a token, or a word in its place';

-- Whatever DateStyle is; a number that is no time of PostgreSQL's may still be one of a token's.
CREATE OR REPLACE FUNCTION clerk_internal.shown_time(epoch numeric) RETURNS text
	LANGUAGE sql STABLE STRICT PARALLEL SAFE
	RETURN CASE WHEN epoch BETWEEN -210866803200 AND 9224318015999
		THEN regexp_replace(to_char('epoch'::timestamptz + (epoch * 1000000)::double precision
			* interval '1 microsecond', 'YYYY-MM-DD HH24:MI:SS.USOF'),
			'[.]?0+(?=[-+][0-9:]+$)', '')
		ELSE '(timestamp out of range)' END;
COMMENT ON FUNCTION clerk_internal.shown_time(numeric) IS
	'a time in seconds since the Unix epoch, for people';

CREATE OR REPLACE FUNCTION clerk_internal.shown_date(name text, claims jsonb, status text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN CASE WHEN status LIKE '%invalid' THEN NULL WHEN claims ->> name IS NULL THEN name || ' absent'
		ELSE name || ' ' || clerk_internal.shown_time(clerk_internal.numeric_date(claims -> name)) END;
COMMENT ON FUNCTION clerk_internal.shown_date(text, jsonb, text) IS
	'a time that a token says; NULL: it is none';

CREATE OR REPLACE FUNCTION clerk_internal.similar_issuer(issuer text) RETURNS text
	LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT i.issuer FROM clerk.instances AS i
	WHERE i.issuer <> similar_issuer.issuer AND length(similar_issuer.issuer) <= 128
		AND rtrim(substring(i.issuer FROM '://(.*)'),
			'/') = rtrim(coalesce(substring(similar_issuer.issuer FROM '://(.*)'), similar_issuer.issuer),
			'/')
	ORDER BY i.issuer DESC LIMIT 1
$$;
COMMENT ON FUNCTION clerk_internal.similar_issuer(text) IS
	'a registered issuer that differs from this one by the scheme or a slash';

CREATE OR REPLACE FUNCTION clerk_internal.describe_step(step text, status text, header jsonb, claims jsonb,
	instance clerk.instances) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF step NOT IN ('source', 'shape', 'instance') AND instance.issuer IS NULL THEN
		RETURN NULL;
	END IF;
	RETURN CASE step
		WHEN 'instance' THEN 'iss ' || clerk_internal.shown(clerk_internal.json_string(claims -> 'iss'))
			|| coalesce(
			'; registered is ' || CASE
				WHEN instance.issuer IS NULL
					THEN clerk_internal.similar_issuer(clerk_internal.json_string(claims -> 'iss')) END
			|| ', and each character counts', '')
		WHEN 'type' THEN format('typ %s, cat %s', clerk_internal.shown(header ->> 'typ'),
			clerk_internal.shown(header ->> 'cat'))
		WHEN 'key' THEN 'kid ' || clerk_internal.shown(header ->> 'kid')
		WHEN 'algorithm' THEN 'alg ' || clerk_internal.shown(header ->> 'alg')
		WHEN 'audience' THEN CASE WHEN instance.audiences IS NULL THEN 'the instance asks for none' END
		WHEN 'authorized party' THEN format('azp %s; the instance allows %s',
			clerk_internal.shown(clerk_internal.json_string(claims -> 'azp')),
			coalesce(array_to_string(instance.authorized_parties, ', '), 'any'))
		WHEN 'expiry' THEN clerk_internal.shown_date('exp', claims, status) || CASE status
			WHEN 'expired' THEN ', now ' || clerk_internal.shown_time(extract(epoch FROM clock_timestamp()))
			ELSE '' END
		WHEN 'not before' THEN clerk_internal.shown_date('nbf', claims, status)
		WHEN 'issued at' THEN clerk_internal.shown_date('iat', claims, status)
		WHEN 'session status' THEN 'sts '
			|| clerk_internal.shown(clerk_internal.json_string(claims -> 'sts')) END;
END
$$;
COMMENT ON FUNCTION clerk_internal.describe_step(text, text, jsonb, jsonb, clerk.instances) IS
	'what a step of the verification has looked at';

CREATE OR REPLACE FUNCTION clerk_internal.describe_source(source text) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE source
		WHEN 'argument' THEN 'the argument'
		WHEN 'setting' THEN 'setting clerk.token'
		WHEN 'x-clerk-token' THEN 'header x-clerk-token'
		WHEN 'authorization' THEN 'header authorization'
		WHEN 'request.jwt' THEN 'setting request.jwt'
		WHEN 'cookie' THEN 'cookie __session'
		WHEN 'claims' THEN 'setting request.jwt.claims, unverified'
		ELSE 'nowhere' END;
COMMENT ON FUNCTION clerk_internal.describe_source(text) IS 'where a token was';

-- {step: status}; a step that was not taken is not there. The claims are checked also if nobody has
-- signed them; revocation is asked about only for claims that are signed, or believed: who makes
-- them up must not learn who is revoked.
CREATE OR REPLACE FUNCTION clerk_internal.step_statuses(status text, source text, token text, header jsonb, claims jsonb,
	instance clerk.instances)
	RETURNS jsonb
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	steps constant text[] := clerk_internal.steps();
	statuses jsonb := '{}';
	step text;
	signature_status text := 'ok';
	failed text := (clerk_internal.reason(status)).step;
BEGIN
	IF instance.issuer IS NULL THEN
		FOREACH step IN ARRAY '{shape,instance}'::text[] LOOP
			IF array_position(steps, step) < array_position(steps, failed) THEN
				statuses := statuses || jsonb_build_object(step, 'ok');
			END IF;
		END LOOP;
		RETURN statuses || CASE WHEN failed IS NULL THEN '{}' ELSE jsonb_build_object(failed, status) END;
	END IF;
	statuses := jsonb_build_object('type',
		clerk_internal.check_type(coalesce(header, '{}'), claims, instance));
	statuses := statuses
		|| jsonb_object(clerk_internal.claim_steps(), clerk_internal.claim_statuses(claims, instance));
	IF source <> 'claims' THEN
		statuses := statuses || '{"shape": "ok", "instance": "ok"}';
		signature_status := clerk_internal.verify_signature(instance.issuer, header,
			substring(token FROM '^(.*)[.]'),
			clerk_internal.base64url_decode(split_part(token, '.', 3)));
		failed := (clerk_internal.reason(signature_status)).step;
		FOREACH step IN ARRAY '{key,algorithm,signature}'::text[] LOOP
			IF signature_status = 'ok' OR array_position(steps, step) < array_position(steps, failed) THEN
				statuses := statuses || jsonb_build_object(step, 'ok');
			ELSIF step = failed THEN
				statuses := statuses || jsonb_build_object(step, signature_status);
			END IF;
		END LOOP;
	END IF;
	IF signature_status = 'ok' AND statuses ->> 'subject' = 'ok' AND statuses ->> 'issued at' = 'ok' THEN
		statuses := statuses || jsonb_build_object('revocation', clerk_internal.check_revocation(claims));
	END IF;
	RETURN statuses;
END
$$;
COMMENT ON FUNCTION clerk_internal.step_statuses(text, text, text, jsonb, jsonb, clerk.instances) IS
	'the status of each step of the verification of a token that was read';

CREATE OR REPLACE FUNCTION clerk_internal.describe_mapping(claims jsonb) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	found constant record := clerk_internal.local_id(claims ->> 'sub', claims);
	origin constant text := CASE WHEN found.origin ^@ 'row' THEN 'a row of clerk.id_map'
		ELSE 'the claim that the instance''s id_claim names' END;
BEGIN
	RETURN CASE
		WHEN found.origin = 'unreadable' THEN 'none, as clerk.id_map cannot be read; mapped_id() is NULL'
		WHEN found.origin = 'none' THEN 'none; mapped_id() is NULL'
		WHEN found.origin = 'uuid' THEN 'the UUID of version 5 of the Clerk id'
		WHEN found.origin ~ 'reserved$' THEN
			format('none: %s has a UUID of version 5 that is not the one of this Clerk id, and so may be '
				'another user''s', origin)
		ELSE format('from %s; mapped_id() is %s', origin,
			CASE WHEN clerk_internal.as_uuid(found.mapped_id) IS NULL THEN 'NULL, since it is no uuid'
				ELSE 'this uuid' END) END;
END
$$;
COMMENT ON FUNCTION clerk_internal.describe_mapping(jsonb) IS
	'where the local id of a user comes from, and whether it fits a uuid';

-- SECURITY DEFINER: who asks need not read the tables.
CREATE OR REPLACE FUNCTION clerk_internal.explain_token(given text, role name)
	RETURNS TABLE (step text, outcome text, detail text)
	LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_variable
DECLARE
	decided record;
	read record;
	statuses jsonb := '{}';
	status text;
	reason record;
	claims jsonb;
	org record;
BEGIN
	IF given IS NULL THEN
		decided := clerk_internal.decide();
	ELSE
		SELECT v.status, 'argument' AS source, v.claims, given AS token INTO decided
			FROM clerk_internal.verify_token(given, 'argument') AS v;
	END IF;
	IF decided.source = 'claims' THEN
		SELECT i.status, NULL::jsonb AS header, j.claims, i.instance INTO read
		FROM clerk_internal.parse_object(decided.token) AS j (claims), clerk_internal.identify(j.claims) AS i;
	ELSE
		SELECT r.status, r.header, r.claims, r.instance INTO read
		FROM clerk_internal.read_token(coalesce(decided.token, ''), coalesce(decided.source, '')) AS r;
	END IF;
	IF decided.token IS NOT NULL THEN
		statuses := clerk_internal.step_statuses(read.status, decided.source, decided.token, read.header,
			read.claims,
			CASE WHEN read.status = 'ok' THEN read.instance END);
	END IF;
	reason := clerk_internal.reason(decided.status);
	IF reason.step = 'source' THEN
		statuses := statuses || jsonb_build_object('source', decided.status);
	ELSE
		statuses := statuses || '{"source": "ok"}';
	END IF;
	IF given IS NULL AND decided.status IN ('ok', 'identity_mismatch') THEN
		statuses := statuses || jsonb_build_object('identity', decided.status);
	END IF;
	FOREACH step IN ARRAY clerk_internal.steps() LOOP
		status := statuses ->> step;
		detail := CASE WHEN step = 'source' THEN clerk_internal.describe_source(decided.source)
			WHEN status IS NOT NULL THEN clerk_internal.describe_step(step, status, read.header, read.claims,
				CASE WHEN read.status = 'ok' THEN read.instance END) END;
		outcome := CASE WHEN status IS NULL THEN 'skipped' WHEN status = 'ok' THEN 'ok' ELSE 'fail' END;
		IF outcome = 'fail' THEN
			reason := clerk_internal.reason(status);
			detail := concat(reason.code, ': ', reason.detail, ' ' || reason.hint, CASE
				WHEN step <> 'source' THEN ' (' || detail || ')' END);
		END IF;
		IF outcome = 'skipped' THEN
			detail := NULL;
		END IF;
		RETURN NEXT;
	END LOOP;
	IF decided.status <> 'ok' THEN
		RETURN;
	END IF;
	claims := decided.claims;
	step := 'mapping';
	outcome := 'ok';
	detail := clerk_internal.describe_mapping(claims);
	RETURN NEXT;
	IF given IS NULL THEN
		step := 'role';
		IF role = clerk_internal.anon_role() AND clerk_internal.token_mentions(role) THEN
			detail := format('%s, the anonymous role, which the token asks for', role);
		ELSIF role = clerk_internal.anon_role() AND (read.instance).role IS NOT NULL THEN
			outcome := 'fail';
			detail := format('The request runs as the anonymous role %s, so policies for %s do not apply. '
				'Set PostgREST''s db-pre-request to "clerk.pre_request".',
				role, (read.instance).role);
		ELSE
			detail := role;
		END IF;
		RETURN NEXT;
	END IF;
	org := clerk_internal.organization(claims);
	step := 'organization';
	outcome := CASE WHEN org.unreadable THEN 'fail' ELSE 'ok' END;
	detail := CASE
		WHEN org.unreadable THEN 'The claims of the organization are malformed, so nothing is granted.'
		WHEN org.id IS NULL THEN 'none is active: org_id() is NULL'
		ELSE format('one is active, role %s', clerk_internal.shown(org.role)) END;
	RETURN NEXT;
END
$$;
COMMENT ON FUNCTION clerk_internal.explain_token(text, name) IS 'what clerk.diagnose() says to this role';

CREATE OR REPLACE FUNCTION clerk.diagnose(token text DEFAULT NULL) RETURNS TABLE (step text, outcome text, detail text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT e.step, e.outcome, e.detail FROM clerk_internal.explain_token(token, current_user) AS e $$;
COMMENT ON FUNCTION clerk.diagnose(text) IS
	'each step of the verification of this request, or of that token, with its outcome';

--
-- idmap.sql
--		Clerk ids and local ids.
--
-- Uses library, instances.
--

-- Parsed here, so that no search_path matters.
CREATE OR REPLACE FUNCTION clerk_internal.canonical_id(mapped_id text) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN CASE WHEN translate(mapped_id, '{}-', '') ~ '^[0-9A-Fa-f]{32}$'
		THEN lower(translate(mapped_id, '{}-', '')) ELSE mapped_id END;
COMMENT ON FUNCTION clerk_internal.canonical_id(text) IS
	'a local id such that equal ones are equal texts, however a UUID is spelled';

CREATE TABLE IF NOT EXISTS clerk.id_map (
	-- idmap.c knows the order of the columns up to mapped_id
	clerk_id text COLLATE "C" CONSTRAINT id_map_pkey PRIMARY KEY
		CONSTRAINT id_map_clerk_id CHECK (pg_catalog.length(clerk_id) BETWEEN 1 AND 255),
	mapped_id text COLLATE "C" NOT NULL
		CONSTRAINT id_map_mapped_id CHECK (pg_catalog.length(mapped_id) BETWEEN 1 AND 255),
	source regclass
);

-- A local id is one user's or one organization's; a UUID is the same however a cast lets it be spelled.
CREATE UNIQUE INDEX IF NOT EXISTS id_map_mapped_id_key ON clerk.id_map (
	(clerk_id OPERATOR(pg_catalog.^@) 'org_'),
	(clerk_internal.canonical_id(mapped_id)));

CREATE INDEX IF NOT EXISTS id_map_source_idx ON clerk.id_map (source) WHERE source IS NOT NULL;
COMMENT ON TABLE clerk.id_map IS
	'the local ids of Clerk users and organizations, for clerk.mapped_id() and its like';
COMMENT ON COLUMN clerk.id_map.clerk_id IS 'user_... or org_...';
COMMENT ON COLUMN clerk.id_map.mapped_id IS 'the local id, as text';
COMMENT ON COLUMN clerk.id_map.source IS
	'the table it comes from, see clerk.track_ids(); NULL: clerk.map_id()';
COMMENT ON INDEX clerk.id_map_mapped_id_key IS 'a local id belongs to one user, or one organization';
COMMENT ON INDEX clerk.id_map_source_idx IS 'the rows of a tracked table';

CREATE OR REPLACE FUNCTION clerk_internal.fits_id_type(mapped_id text, id_type text) RETURNS boolean
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

CREATE OR REPLACE FUNCTION clerk.map_id(clerk_id text, mapped_id text) RETURNS void
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

CREATE OR REPLACE FUNCTION clerk.unmap_id(clerk_id text) RETURNS void
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

--
-- roles.sql
--		The roles that requests have, and what they reach.
--
-- Uses library, instances.
--

-- SECURITY DEFINER: the owner of a table need not read clerk.instances.
CREATE OR REPLACE FUNCTION clerk_internal.request_role() RETURNS name
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT coalesce(clerk.claim('role'),
		(SELECT instance.role FROM clerk.instances AS instance WHERE instance.issuer = clerk.issuer()),
		clerk_internal.anon_role())::name
$$;
COMMENT ON FUNCTION clerk_internal.request_role() IS
	'the role as which PostgREST and clerk.pre_request() run this request: the token''s, the instance''s, '
	'or the anonymous one';

CREATE OR REPLACE FUNCTION clerk_internal.api_roles() RETURNS SETOF name
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT rolname FROM pg_roles
	WHERE rolname = clerk_internal.anon_role()
		OR rolname IN (SELECT instance.role FROM clerk.instances AS instance)
$$;
COMMENT ON FUNCTION clerk_internal.api_roles() IS
	'the roles as which requests run: the anonymous one and those of the instances';

CREATE OR REPLACE FUNCTION clerk_internal.roles_reaching(relation oid, privileges text) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	RETURN (
		SELECT string_agg(quote_ident(role), ', ' ORDER BY role)
		FROM clerk_internal.api_roles() AS role, pg_class
		WHERE pg_class.oid = relation AND has_schema_privilege(role, relnamespace, 'USAGE')
			AND (has_table_privilege(role, relation, privileges)
				OR has_any_column_privilege(role, relation, replace(privileges, ', DELETE', ''))));
END
$$;
COMMENT ON FUNCTION clerk_internal.roles_reaching(oid, text) IS
	'the API roles that may do one of these with a table, PUBLIC''s rights included; NULL: none';

CREATE OR REPLACE FUNCTION clerk_internal.roles_calling(function oid) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	RETURN (
		SELECT string_agg(quote_ident(role), ', ' ORDER BY role)
		FROM clerk_internal.api_roles() AS role, pg_proc
		WHERE pg_proc.oid = function AND has_schema_privilege(role, pronamespace, 'USAGE')
			AND has_function_privilege(role, function, 'EXECUTE'));
END
$$;
COMMENT ON FUNCTION clerk_internal.roles_calling(oid) IS
	'the API roles that may call a function, PUBLIC''s rights included; NULL: none';

CREATE OR REPLACE FUNCTION clerk_internal.roles_updating(tab oid, columns name[]) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	RETURN (
		SELECT string_agg(quote_ident(role), ', ' ORDER BY role)
		FROM clerk_internal.api_roles() AS role JOIN pg_roles ON rolname = role, pg_class
		WHERE pg_class.oid = tab AND has_schema_privilege(role, relnamespace, 'USAGE')
			AND EXISTS (
				SELECT FROM pg_attribute
				WHERE attrelid = tab AND attname = ANY (columns) AND attnum > 0 AND has_column_privilege(role,
					tab, attnum, 'UPDATE'))
			AND (NOT relrowsecurity OR rolsuper OR rolbypassrls OR EXISTS (
				SELECT FROM pg_policy, unnest(polroles) AS member
				WHERE polrelid = tab AND polpermissive AND polcmd IN ('w', '*')
					AND (member = 0 OR pg_has_role(role, member, 'USAGE')))));
END
$$;
COMMENT ON FUNCTION clerk_internal.roles_updating(oid, name[]) IS
	'the API roles that may update one of these columns, in some row at least; NULL: none';

-- A privilege for the whole table cannot be taken back for a column: it becomes one for the others.
CREATE OR REPLACE FUNCTION clerk_internal.without_update(tab oid, columns name[]) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH granted AS (
		SELECT acl.grantee, acl.privilege_type, true AS on_table
		FROM pg_class, aclexplode(relacl) AS acl WHERE pg_class.oid = tab AND acl.grantee <> relowner
		UNION
		SELECT acl.grantee, acl.privilege_type, false
		FROM pg_attribute, aclexplode(attacl) AS acl WHERE attrelid = tab AND attname = ANY (columns)
	), grantees AS (
		SELECT on_table, string_agg(DISTINCT CASE grantee WHEN 0 THEN 'PUBLIC'
			ELSE grantee::regrole::text END, ', ') AS list
		FROM granted
		WHERE privilege_type = 'UPDATE' AND (grantee = 0 OR EXISTS (
			SELECT FROM clerk_internal.api_roles() AS role WHERE pg_has_role(role, grantee, 'USAGE')))
		GROUP BY on_table
	), others AS (
		SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) AS list
		FROM pg_attribute
		WHERE attrelid = tab AND attnum > 0 AND NOT attisdropped AND attname <> ALL (columns)
			AND attgenerated = ''
	)
	SELECT string_agg(statement, '; ' ORDER BY on_table DESC)
	FROM grantees, others, LATERAL (SELECT CASE WHEN on_table
		THEN format('REVOKE UPDATE ON %s FROM %s', tab::regclass, grantees.list)
			|| CASE WHEN others.list IS NULL THEN ''
				ELSE format('; GRANT UPDATE (%s) ON %s TO %s', others.list, tab::regclass, grantees.list) END
		ELSE format('REVOKE UPDATE (%s) ON %s FROM %s',
			(SELECT string_agg(quote_ident(col), ', ') FROM unnest(columns) AS col), tab::regclass,
				grantees.list) END
	) AS revoke (statement)
$$;
COMMENT ON FUNCTION clerk_internal.without_update(oid, name[]) IS
	'the statements that take UPDATE of some columns back from the API roles, and leave them that of the '
	'others; NULL: they do not have it by a grant';

--
-- track.sql
--		A users table of the application as the mapping of ids.
--
-- Uses library, idmap, roles.
--

CREATE OR REPLACE FUNCTION clerk_internal.check_trackable(tab regclass, column_name name, types text[],
	is_local_id boolean) RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	tracked record;
BEGIN
	SELECT attnum, coalesce(nullif(typbasetype, 0), atttypid)::regtype::text AS type, attnotnull INTO tracked
	FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
	WHERE attrelid = tab AND attname = column_name AND attnum > 0 AND NOT attisdropped;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_column',
			MESSAGE = format('column %I of table %s does not exist', column_name, tab);
	ELSIF tracked.type <> ALL (types) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'datatype_mismatch',
			MESSAGE = format('column %I of table %s cannot be tracked', column_name, tab),
			DETAIL = format('It is of type %s, and must be one of: %s.', tracked.type,
				array_to_string(types, ', '));
	ELSIF is_local_id AND NOT tracked.attnotnull THEN
		RAISE EXCEPTION USING
			ERRCODE = 'object_not_in_prerequisite_state',
			MESSAGE = format('column %I of table %s cannot be tracked', column_name, tab),
			DETAIL = 'It may be null, and is to be the local id.',
			HINT = format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL;', tab, column_name);
	ELSIF NOT EXISTS (
		SELECT FROM pg_index
		WHERE indrelid = tab AND indisunique AND indisvalid AND indimmediate AND indpred IS NULL
			AND indnkeyatts = 1 AND indkey[0] = tracked.attnum) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'object_not_in_prerequisite_state',
			MESSAGE = format('column %I of table %s cannot be tracked', column_name, tab),
			DETAIL = 'It has no unique key of its own (neither partial nor deferrable), so two rows could '
				'have the same value.',
			HINT = format('ALTER TABLE %s ADD UNIQUE (%I);', tab, column_name);
	END IF;
END
$$;
COMMENT ON FUNCTION clerk_internal.check_trackable(regclass, name, text[], boolean) IS
	'raises if clerk.track_ids() cannot track a column';

CREATE OR REPLACE FUNCTION clerk_internal.backfill_ids(tab regclass, clerk_id_column name, id_column name) RETURNS bigint
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	chunk constant bigint := 16384;
	blocks bigint := pg_relation_size(tab) / current_setting('block_size')::bigint;
	mapped bigint := 0;
	added bigint;
	reserved boolean;
BEGIN
	-- whoever is writing to it comes first: what map_id() has set to the same values becomes the table's
	LOCK TABLE clerk.id_map IN SHARE ROW EXCLUSIVE MODE;
	EXECUTE format('SELECT EXISTS (SELECT FROM ONLY %1$s AS t WHERE '
		'clerk_internal.is_reserved_id(t.%2$I::text, t.%3$I::text))',
		tab, clerk_id_column, id_column) INTO reserved;
	IF reserved THEN
		RAISE EXCEPTION USING
			ERRCODE = 'check_violation',
			MESSAGE = format('table %s has a local id that is reserved', tab),
			DETAIL = 'A UUID of version 5 may be that of another Clerk id, which has no mapping yet.',
			HINT = format('Find it by clerk_internal.is_reserved_id(%I, %I::text). If your local ids are of '
				'version 5 themselves, set clerk.instances.id_fallback to none.',
				clerk_id_column, id_column);
	END IF;
	EXECUTE format('UPDATE clerk.id_map AS map SET source = $1 FROM ONLY %s AS t
		WHERE map.source IS NULL AND map.clerk_id = t.%I::text
			AND map.mapped_id = t.%I::text', tab, clerk_id_column, id_column)
		USING tab;
	GET DIAGNOSTICS mapped = ROW_COUNT;
	FOR block IN 0 .. blocks BY chunk LOOP
		EXECUTE format('INSERT INTO clerk.id_map (source, clerk_id, mapped_id)
			SELECT $1, t.%1$I::text, t.%2$I::text FROM ONLY %3$s AS t
			WHERE t.ctid >= $2 AND t.ctid < $3 AND t.%1$I IS NOT NULL
				AND NOT EXISTS (SELECT FROM clerk.id_map AS map WHERE map.clerk_id = t.%1$I::text
					AND map.source = $1)',
			clerk_id_column, id_column, tab)
			USING tab, format('(%s,0)', block)::tid, format('(%s,0)', block + chunk)::tid;
		GET DIAGNOSTICS added = ROW_COUNT;
		mapped := mapped + added;
		IF blocks > chunk THEN
			RAISE NOTICE 'track_ids: % of % blocks of table % read, % ids mapped',
				least(block + chunk, blocks), blocks, tab, mapped;
		END IF;
	END LOOP;
	RETURN mapped;
EXCEPTION WHEN unique_violation THEN
	RAISE EXCEPTION USING
		ERRCODE = 'unique_violation',
		MESSAGE = format('table %s has an id that is mapped already', tab),
		DETAIL = 'A Clerk id has one local id, and a local id belongs to one user, or one organization.',
		HINT = format('Compare its columns %I and %I with clerk.id_map; clerk.unmap_id() removes a mapping.',
			clerk_id_column, id_column);
END
$$;
COMMENT ON FUNCTION clerk_internal.backfill_ids(regclass, name, name) IS
	'maps the rows that a table has when clerk.track_ids() begins; returns how many ids the table maps';

CREATE OR REPLACE FUNCTION clerk_internal.tracked_columns(tab regclass) RETURNS name[]
	LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT ARRAY(
		SELECT attname FROM unnest(tgattr::int2[]) WITH ORDINALITY AS u (attnum, n) JOIN pg_attribute AS a
			USING (attnum)
		WHERE a.attrelid = tab ORDER BY n)
	FROM pg_trigger
	WHERE tgrelid = tab AND tgfoid = 'clerk_internal.track_id()'::regprocedure
		AND array_length(tgattr::int2[], 1) = 2
$$;
COMMENT ON FUNCTION clerk_internal.tracked_columns(regclass) IS
	'the columns of Clerk ids and local ids of a tracked table; NULL: it is not tracked';

CREATE OR REPLACE FUNCTION clerk.track_ids(tab regclass, clerk_id_column name, id_column name) RETURNS bigint
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	kind "char" := (SELECT CASE WHEN relispartition THEN 'p' ELSE relkind END FROM pg_class WHERE oid = tab);
	mapped bigint;
	wanted bigint;
	writers text;
BEGIN
	PERFORM clerk.is_authenticated();	-- loads the library, which knows the setting of roles
	IF tab IS NULL OR clerk_id_column IS NULL OR id_column IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'null_value_not_allowed',
			MESSAGE = 'a table, its column of Clerk ids and its column of local ids must be given';
	ELSIF kind <> 'r' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'wrong_object_type',
			MESSAGE = format('%s cannot be tracked', tab),
			DETAIL = CASE kind
				WHEN 'p' THEN 'A partitioned table has no key that is unique over all partitions.'
				ELSE 'It is not a table, so no trigger could follow it.' END;
	END IF;
	EXECUTE format('LOCK TABLE ONLY %s IN SHARE ROW EXCLUSIVE MODE', tab);
	IF (clerk_internal.tracked_columns(tab)) = ARRAY[clerk_id_column, id_column] THEN
		-- a table that was restored elsewhere has its triggers, and not its mappings
		SELECT count(*) INTO mapped FROM clerk.id_map WHERE source = tab;
		EXECUTE format('SELECT count(*) FROM ONLY %s AS t WHERE num_nulls(t.%I, t.%I) = 0',
			tab, clerk_id_column, id_column) INTO wanted;
		RETURN CASE WHEN mapped = wanted THEN mapped
			ELSE mapped + clerk_internal.backfill_ids(tab, clerk_id_column, id_column) END;
	ELSIF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = tab
		AND tgfoid = 'clerk_internal.track_id()'::regprocedure) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'duplicate_object',
			MESSAGE = format('table %s is tracked already', tab),
			DETAIL = 'With other columns.',
			HINT = format('To change that, run clerk.untrack_ids(%L) first.', tab);
	END IF;
	PERFORM clerk_internal.check_trackable(tab, clerk_id_column, '{text,character varying}', false);
	PERFORM clerk_internal.check_trackable(tab, id_column,
		'{uuid,bigint,integer,smallint,text,character varying}', true);

	-- what a table that is gone has left behind
	DELETE FROM clerk.id_map WHERE source IS NOT NULL
		AND NOT EXISTS (SELECT FROM pg_class WHERE oid = source);
	-- the first of these bears the columns, see tracked_columns() in track.c
	EXECUTE format(
		'CREATE TRIGGER clerk_track_ids AFTER INSERT OR DELETE OR UPDATE OF %I, %I ON %s FOR EACH ROW
		EXECUTE FUNCTION clerk_internal.track_id()', clerk_id_column, id_column, tab);
	EXECUTE format('CREATE TRIGGER clerk_track_ids_update AFTER UPDATE ON %3$s FOR EACH ROW
		WHEN (old.%1$I IS DISTINCT FROM new.%1$I OR old.%2$I IS DISTINCT FROM new.%2$I)
		EXECUTE FUNCTION clerk_internal.track_id()', clerk_id_column, id_column, tab);
	EXECUTE format('CREATE TRIGGER clerk_track_ids_truncate AFTER TRUNCATE ON %s FOR EACH STATEMENT
		EXECUTE FUNCTION clerk_internal.track_id()', tab);
	EXECUTE format(
		'ALTER TABLE %s ENABLE ALWAYS TRIGGER clerk_track_ids, ENABLE ALWAYS TRIGGER clerk_track_ids_update,
		ENABLE ALWAYS TRIGGER clerk_track_ids_truncate', tab);
	mapped := clerk_internal.backfill_ids(tab, clerk_id_column, id_column);
	writers := clerk_internal.roles_updating(tab, ARRAY[clerk_id_column, id_column]);
	IF writers IS NOT NULL THEN
		RAISE WARNING USING
			MESSAGE = format('requests can choose whose rows they see: %s can update the ids of table %s',
				writers, tab),
			HINT = coalesce(clerk_internal.without_update(tab, ARRAY[clerk_id_column, id_column]),
				'Take that privilege back.');
	END IF;
	RETURN mapped;
END
$$;
COMMENT ON FUNCTION clerk.track_ids(regclass, name, name) IS
	'uses a table of the application as the mapping from Clerk ids to local ids; returns the number of '
	'its mappings';

CREATE OR REPLACE FUNCTION clerk.untrack_ids(tab regclass) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	tracking record;
BEGIN
	IF tab IS NOT NULL THEN
		EXECUTE format('LOCK TABLE ONLY %s IN SHARE ROW EXCLUSIVE MODE', tab);
	END IF;
	FOR tracking IN
		SELECT tgname FROM pg_trigger WHERE tgrelid = tab
			AND tgfoid = 'clerk_internal.track_id()'::regprocedure AND NOT tgisinternal
	LOOP
		EXECUTE format('DROP TRIGGER %I ON %s', tracking.tgname, tab);
	END LOOP;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('table %s is not tracked', coalesce(tab::text, 'NULL'));
	END IF;
	DELETE FROM clerk.id_map WHERE source = tab;
END
$$;
COMMENT ON FUNCTION clerk.untrack_ids(regclass) IS
	'undoes clerk.track_ids(), and removes the mappings that came from the table';

--
-- shim.sql
--		The functions of Supabase Auth, for policies that were written for it.
--
-- Uses revoke, library, settings.
--

CREATE TABLE IF NOT EXISTS clerk.auth_shim (
	object text CONSTRAINT auth_shim_pkey PRIMARY KEY,
	previous text
);
COMMENT ON TABLE clerk.auth_shim IS 'what clerk.install_auth_shim() created, for clerk.remove_auth_shim()';
COMMENT ON COLUMN clerk.auth_shim.object IS 'a function of schema auth, or the schema';
COMMENT ON COLUMN clerk.auth_shim.previous IS 'the definition of the function that was replaced, if any';

CREATE OR REPLACE FUNCTION clerk_internal.is_auth_shim(function regprocedure) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	-- the body of the function depends on one of ours, and stops doing so when it is replaced
	SELECT EXISTS (
		SELECT FROM pg_depend AS body
		WHERE body.classid = 'pg_proc'::regclass AND body.objid = function
			AND body.refclassid = 'pg_proc'::regclass
			AND clerk_internal.is_own(body.refclassid, body.refobjid))
$$;
COMMENT ON FUNCTION clerk_internal.is_auth_shim(regprocedure) IS
	'whether clerk.install_auth_shim() has made this function';

-- The owner of a function can replace it, and that of its schema drop it and make another.
CREATE OR REPLACE FUNCTION clerk_internal.auth_shim_owners() RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT string_agg(format('%s belongs to %s', object, owner), '; ' ORDER BY object COLLATE "C")
	FROM (
		SELECT 'function ' || oid::regprocedure, proowner::regrole FROM pg_proc
		WHERE pronamespace = to_regnamespace('auth') AND clerk_internal.is_auth_shim(oid)
		UNION ALL
		SELECT 'schema auth', nspowner::regrole FROM pg_namespace WHERE oid = to_regnamespace('auth')
	) AS made (object, owner)
	WHERE owner <> quote_ident(current_user)::regrole
		AND NOT (SELECT rolsuper FROM pg_roles WHERE oid = owner)
$$;
COMMENT ON FUNCTION clerk_internal.auth_shim_owners() IS
	'what clerk.install_auth_shim() has made that another role than the caller, and no superuser, '
		'could replace, and whose it is; NULL: nothing';

CREATE OR REPLACE FUNCTION clerk.install_auth_shim(overwrite boolean DEFAULT false) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	shim record;
	existing regprocedure;
	others text;
	safety constant text := CASE (SELECT proparallel FROM pg_proc WHERE oid = 'clerk.uid()'::regprocedure)
		WHEN 's' THEN 'SAFE' ELSE 'UNSAFE' END;
BEGIN
	IF to_regnamespace('auth') IS NULL THEN
		CREATE SCHEMA auth;
		COMMENT ON SCHEMA auth IS 'made by clerk.install_auth_shim()';
		PERFORM clerk_internal.revoke_all('pg_namespace', to_regnamespace('auth'));
		GRANT USAGE ON SCHEMA auth TO PUBLIC;
		INSERT INTO clerk.auth_shim VALUES ('schema auth') ON CONFLICT DO NOTHING;
	END IF;
	FOR shim IN
		SELECT * FROM (VALUES
			('auth.uid()', 'uuid', 'clerk.mapped_id()',
				'local id of the signed-in user, see clerk.mapped_id()'),
			('auth.jwt()', 'jsonb', 'clerk.jwt()', 'claims of the verified token, see clerk.jwt()'),
			('auth.role()', 'text',
				'CASE WHEN clerk.is_authenticated() THEN coalesce(clerk.claim(''role''), ''authenticated'')
				ELSE nullif(pg_catalog.current_setting(''role''), ''none'') END',
				'role of the verified token; without one, the role that was set'),
			('auth.email()', 'text', 'clerk.claim(''email'')', 'claim "email" of the verified token')
		) AS shims (signature, type, expression, comment)
	LOOP
		existing := to_regprocedure(shim.signature);
		CONTINUE WHEN clerk_internal.is_auth_shim(existing);
		IF existing IS NOT NULL AND NOT coalesce(overwrite, false) THEN
			RAISE EXCEPTION USING
				ERRCODE = 'duplicate_function',
				MESSAGE = format('function %s exists already', shim.signature),
				DETAIL = format('It belongs to %s.', (
					SELECT proowner::regrole FROM pg_proc WHERE oid = existing)),
				HINT = 'clerk.install_auth_shim(overwrite => true) replaces it, and '
					'clerk.remove_auth_shim() brings it back.';
		END IF;
		INSERT INTO clerk.auth_shim VALUES (shim.signature, pg_get_functiondef(existing))
			ON CONFLICT (object) DO UPDATE SET previous = excluded.previous;
		-- parsed here and now, so that nobody's search_path matters when it is called
		EXECUTE format('CREATE OR REPLACE FUNCTION %s RETURNS %s LANGUAGE sql STABLE PARALLEL %s RETURN %s',
			shim.signature, shim.type, safety, shim.expression);
		IF existing IS NULL THEN
			EXECUTE format('COMMENT ON FUNCTION %s IS %L', shim.signature, shim.comment);
			PERFORM clerk_internal.revoke_all('pg_proc', to_regprocedure(shim.signature));
			EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO PUBLIC', shim.signature);
		END IF;
	END LOOP;
	others := clerk_internal.auth_shim_owners();
	IF others IS NOT NULL THEN
		RAISE WARNING USING
			MESSAGE = 'the functions of schema auth can be replaced by other roles',
			DETAIL = format('%s. Who has that role can decide whom policies take the caller for that '
				'ask these functions.', others),
			HINT = 'Let nobody have it whom you do not trust, or ask clerk.mapped_id() and clerk.jwt() '
				'in policies: nobody can replace those.';
	END IF;
END
$$;
COMMENT ON FUNCTION clerk.install_auth_shim(boolean) IS
	'makes auth.uid(), auth.jwt(), auth.role() and auth.email() answer from the verified token, for '
		'policies written for Supabase Auth';

CREATE OR REPLACE FUNCTION clerk.remove_auth_shim() RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	shim record;
	owns_schema constant boolean := EXISTS (SELECT FROM clerk.auth_shim WHERE object = 'schema auth');
BEGIN
	FOR shim IN DELETE FROM clerk.auth_shim RETURNING * LOOP
		CONTINUE WHEN shim.object = 'schema auth'
			OR NOT clerk_internal.is_auth_shim(to_regprocedure(shim.object));
		IF shim.previous IS NOT NULL THEN
			EXECUTE shim.previous;
		ELSE
			EXECUTE format('DROP FUNCTION %s', shim.object);
		END IF;
	END LOOP;
	IF owns_schema AND NOT EXISTS (
		SELECT FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass
			AND refobjid = to_regnamespace('auth')) THEN
		DROP SCHEMA IF EXISTS auth;
	END IF;
END
$$;
COMMENT ON FUNCTION clerk.remove_auth_shim() IS
	'undoes clerk.install_auth_shim(): drops what it created and restores what it replaced';

--
-- profiles.sql
--		What webhooks keep: users, organizations, memberships. The payload is the object as Clerk
--		sends it, without what is private; the other columns are taken from it.
--
-- Uses library, idmap.
--

-- These have bodies that are parsed here, so that no search_path matters, and they can be inlined.
CREATE OR REPLACE FUNCTION clerk_internal.ms_to_timestamptz(ms text) RETURNS timestamptz
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN CASE WHEN ms ~ '^[0-9]{1,14}$' THEN to_timestamp(ms::float8 / 1000) END;
COMMENT ON FUNCTION clerk_internal.ms_to_timestamptz(text) IS
	'milliseconds since the Unix epoch as a time; NULL when they are none';

CREATE OR REPLACE FUNCTION clerk_internal.primary_email(payload jsonb) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN jsonb_path_query_first(payload, 'lax $.email_addresses[*] ? (@.id == $id)',
		jsonb_build_object('id', payload -> 'primary_email_address_id')) ->> 'email_address';
COMMENT ON FUNCTION clerk_internal.primary_email(jsonb) IS 'the primary email address in a user object';

CREATE OR REPLACE FUNCTION clerk_internal.text_array(list jsonb) RETURNS text[]
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN (SELECT coalesce(array_agg(element #>> '{}' ORDER BY n), '{}')
		FROM jsonb_path_query(list, 'lax $[*]') WITH ORDINALITY AS e (element, n));
COMMENT ON FUNCTION clerk_internal.text_array(jsonb) IS 'a JSON array as an array of texts';

-- Longer ones would not fit an index, nor clerk.id_map.
CREATE OR REPLACE FUNCTION clerk_internal.id_at(payload jsonb, VARIADIC path text[]) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN CASE WHEN length(payload #>> path) BETWEEN 1 AND 255 THEN payload #>> path END;
COMMENT ON FUNCTION clerk_internal.id_at(jsonb, text[]) IS
	'the id at a place in an object; NULL when there is none, or it is longer than 255 characters';

CREATE TABLE IF NOT EXISTS clerk.user_profiles (
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
CREATE INDEX IF NOT EXISTS user_profiles_email_idx ON clerk.user_profiles USING hash (email);
CREATE INDEX IF NOT EXISTS user_profiles_external_id_idx ON clerk.user_profiles
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

CREATE TABLE IF NOT EXISTS clerk.org_profiles (
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

CREATE TABLE IF NOT EXISTS clerk.org_memberships (
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

CREATE INDEX IF NOT EXISTS org_memberships_of_org_id_idx ON clerk.org_memberships (of_org_id);
CREATE INDEX IF NOT EXISTS org_memberships_of_user_id_idx ON clerk.org_memberships (of_user_id);
COMMENT ON INDEX clerk.org_memberships_of_org_id_idx IS 'what ends with an organization';
COMMENT ON INDEX clerk.org_memberships_of_user_id_idx IS 'what ends with a user';

CREATE INDEX IF NOT EXISTS org_memberships_org_id_idx ON clerk.org_memberships (org_id, user_id);
CREATE INDEX IF NOT EXISTS org_memberships_user_id_idx ON clerk.org_memberships (user_id);
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

-- SECURITY DEFINER: whoever may see profiles need not see memberships. It tells a caller only
-- who is in the organization that the caller's own token names.
CREATE OR REPLACE FUNCTION clerk.is_fellow_member(user_id text) RETURNS boolean
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

DROP POLICY IF EXISTS own_and_fellow_members ON clerk.user_profiles;
CREATE POLICY own_and_fellow_members ON clerk.user_profiles FOR SELECT
	USING (clerk_id = clerk.uid() OR (deleted_at IS NULL AND clerk.is_fellow_member(clerk_id)));
DROP POLICY IF EXISTS active ON clerk.org_profiles;
CREATE POLICY active ON clerk.org_profiles FOR SELECT USING (clerk_id = clerk.org_id());
DROP POLICY IF EXISTS own_and_active ON clerk.org_memberships;
CREATE POLICY own_and_active ON clerk.org_memberships FOR SELECT
	USING (user_id = clerk.uid() OR org_id = clerk.org_id());
COMMENT ON POLICY own_and_fellow_members ON clerk.user_profiles IS
	'users see themselves and the members of their active organization';
COMMENT ON POLICY active ON clerk.org_profiles IS 'users see their active organization';
COMMENT ON POLICY own_and_active ON clerk.org_memberships IS
	'users see their memberships, and those of their active organization';

--
-- events.sql
--		What an event, or an object of the Backend API, does to the profiles.
--
-- Uses library, instances, revocation, idmap, profiles.
--

CREATE OR REPLACE FUNCTION clerk_internal.without_private(data jsonb) RETURNS jsonb
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN (data - 'private_metadata') #- '{organization,private_metadata}'
		#- '{public_user_data,private_metadata}';
COMMENT ON FUNCTION clerk_internal.without_private(jsonb) IS 'an object without its private metadata';

CREATE OR REPLACE FUNCTION clerk_internal.object_id(data jsonb) RETURNS text
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
CREATE OR REPLACE FUNCTION clerk_internal.merge_into_%1$s(issuer text, data jsonb, event_at timestamptz, deleted boolean)
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
CREATE OR REPLACE FUNCTION clerk_internal.lock_profiles(exclusive boolean) RETURNS void
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

CREATE OR REPLACE FUNCTION clerk_internal.map_external_id(external_id text) RETURNS void
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

CREATE OR REPLACE FUNCTION clerk_internal.end_memberships(parent_id text, ended_at timestamptz) RETURNS void
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
	AS $$
	UPDATE clerk.org_memberships AS m SET deleted_at = ended_at, event_at = NULL, payload = '{}'
	WHERE (m.of_org_id = parent_id OR m.of_user_id = parent_id)
		AND (m.deleted_at IS NULL OR m.deleted_at > ended_at)
$$;
COMMENT ON FUNCTION clerk_internal.end_memberships(text, timestamptz) IS
	'ends the memberships of an organization or a user that has ended';

CREATE OR REPLACE FUNCTION clerk_internal.apply_user(issuer text, data jsonb, event_at timestamptz, deleted boolean)
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

CREATE OR REPLACE FUNCTION clerk_internal.apply_organization(issuer text, data jsonb, event_at timestamptz,
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

CREATE OR REPLACE FUNCTION clerk_internal.apply_membership(issuer text, data jsonb, event_at timestamptz,
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

CREATE OR REPLACE FUNCTION clerk_internal.apply_event(issuer text, event jsonb) RETURNS void
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

--
-- webhook.sql
--		Receiving webhooks: secrets, each event once, handlers.
--
-- Uses revoke, library, instances, events.
--

CREATE TABLE IF NOT EXISTS clerk.webhook_secrets (
	-- webhook.c knows the order of the columns up to secret
	issuer text COLLATE "C" NOT NULL
		CONSTRAINT webhook_secrets_issuer_fkey REFERENCES clerk.instances ON UPDATE CASCADE ON DELETE CASCADE,
	secret text COLLATE "C" NOT NULL,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT webhook_secrets_pkey PRIMARY KEY (issuer, secret)
);
COMMENT ON TABLE clerk.webhook_secrets IS
	'signing secrets of webhook endpoints; an instance may have several at a time, for rotation';
COMMENT ON COLUMN clerk.webhook_secrets.issuer IS 'the instance';
COMMENT ON COLUMN clerk.webhook_secrets.secret IS 'whsec_...';
COMMENT ON COLUMN clerk.webhook_secrets.created_at IS 'when it was added';

CREATE TABLE IF NOT EXISTS clerk.webhook_events (
	id text COLLATE "C" CONSTRAINT webhook_events_pkey PRIMARY KEY,
	issuer text COLLATE "C" NOT NULL,
	type text COLLATE "C" NOT NULL,
	received_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);

CREATE INDEX IF NOT EXISTS webhook_events_received_at_idx ON clerk.webhook_events (received_at);
COMMENT ON INDEX clerk.webhook_events_received_at_idx IS 'for clerk.prune()';
COMMENT ON TABLE clerk.webhook_events IS
	'ids of applied events, so that none is applied twice; payloads are not kept';
COMMENT ON COLUMN clerk.webhook_events.id IS 'svix-id, the same for each delivery of an event';
COMMENT ON COLUMN clerk.webhook_events.issuer IS 'the instance';
COMMENT ON COLUMN clerk.webhook_events.type IS 'such as user.created';
COMMENT ON COLUMN clerk.webhook_events.received_at IS 'when it was applied';

CREATE TABLE IF NOT EXISTS clerk.event_handlers (
	pattern text NOT NULL,
	-- a name and not an oid, which pg_upgrade could not take along
	handler text NOT NULL,
	CONSTRAINT event_handlers_pkey PRIMARY KEY (pattern, handler)
);
COMMENT ON TABLE clerk.event_handlers IS 'functions of the application to call for each event of a type';
COMMENT ON COLUMN clerk.event_handlers.pattern IS 'a type of event; * stands for anything';
COMMENT ON COLUMN clerk.event_handlers.handler IS 'the function, with one argument of type jsonb';

CREATE OR REPLACE FUNCTION clerk.add_webhook_secret(issuer text, secret text) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF NOT clerk_internal.lock_instance(add_webhook_secret.issuer) THEN
		PERFORM clerk_internal.refuse_unregistered(issuer);
	ELSIF clerk_internal.is_webhook_secret(secret) IS NOT TRUE THEN
		PERFORM clerk_internal.refuse('22023', 'this is not a signing secret', NULL,
			'Copy it from the endpoint''s page in the Clerk Dashboard: whsec_ and base64.');
	END IF;
	INSERT INTO clerk.webhook_secrets VALUES (issuer, secret) ON CONFLICT DO NOTHING;
END
$$;
COMMENT ON FUNCTION clerk.add_webhook_secret(text, text) IS
	'adds the signing secret of an endpoint of an instance; an instance may have several';

CREATE OR REPLACE FUNCTION clerk.drop_webhook_secret(issuer text, secret text) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	PERFORM clerk_internal.lock_instance(drop_webhook_secret.issuer);
	DELETE FROM clerk.webhook_secrets AS s WHERE s.issuer = drop_webhook_secret.issuer
		AND s.secret = drop_webhook_secret.secret;
	IF NOT FOUND THEN
		PERFORM clerk_internal.refuse('42704',
			format('instance %s has no such secret', coalesce(issuer, 'NULL')), NULL, NULL);
	END IF;
END
$$;
COMMENT ON FUNCTION clerk.drop_webhook_secret(text, text) IS
	'removes a signing secret: webhooks signed with it are refused from now on';

CREATE OR REPLACE FUNCTION clerk_internal.handler_leftovers() RETURNS SETOF text
	LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT 'cursor ' || quote_ident(name) FROM pg_cursors
	UNION ALL
	SELECT 'temporary ' || pg_describe_object(classid, objid, objsubid) FROM pg_depend
	WHERE refclassid = 'pg_namespace'::regclass AND refobjid = pg_my_temp_schema()
$$;
COMMENT ON FUNCTION clerk_internal.handler_leftovers() IS
	'what could outlive an event handler in this session, and be run as somebody else than its owner: '
		'cursors and temporary objects';

CREATE OR REPLACE FUNCTION clerk_internal.handle_event(handler regprocedure, event jsonb) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	before constant text[] := ARRAY(SELECT clerk_internal.handler_leftovers());
	leftover text;
BEGIN
	PERFORM clerk_internal.run_event_handler(handler, event);
	SELECT l INTO leftover FROM clerk_internal.handler_leftovers() AS l WHERE l <> ALL (before)
		ORDER BY l LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'object_not_in_prerequisite_state',
			MESSAGE = format('event handler %s leaves something in the session', handler),
			DETAIL = format('It has left: %s.', leftover),
			HINT = 'It must close its cursors and drop its temporary objects.';
	END IF;
END
$$;
COMMENT ON FUNCTION clerk_internal.handle_event(regprocedure, jsonb) IS
	'calls a function as the role that owns it, and raises if it leaves a cursor or a temporary object';

CREATE OR REPLACE FUNCTION clerk_internal.parse_event(body text) RETURNS jsonb
	LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	BEGIN
		RETURN clerk_internal.plain_json(body, ascii => false)::jsonb;
	EXCEPTION WHEN untranslatable_character OR feature_not_supported THEN
		-- the database's encoding lacks a character, or (SQL_ASCII) has none beyond ASCII
		RETURN clerk_internal.plain_json(body, ascii => true)::jsonb;
	END;
EXCEPTION WHEN invalid_text_representation OR untranslatable_character THEN
	PERFORM clerk_internal.refuse('22023', 'the webhook is not JSON', NULL, NULL);
END
$$;
COMMENT ON FUNCTION clerk_internal.parse_event(text) IS
	'the body of a webhook, with what jsonb cannot hold replaced';

CREATE OR REPLACE FUNCTION clerk.receive_webhook(id text, ts text, signature text, body text) RETURNS json
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_variable
DECLARE
	issuer constant text := clerk_internal.authenticate_webhook(id, ts, signature, body);
	event constant jsonb := clerk_internal.parse_event(body);
	registered record;
BEGIN
	IF jsonb_typeof(event) <> 'object' OR jsonb_typeof(event -> 'type') IS DISTINCT FROM 'string'
		OR jsonb_typeof(event -> 'data') IS DISTINCT FROM 'object' THEN
		PERFORM clerk_internal.refuse('22023', 'the webhook is no event',
			'It must be a JSON object with "type" and "data".', NULL);
	END IF;
	-- waits for another delivery of the same event, and then finds it done
	INSERT INTO clerk.webhook_events (id, issuer, type) VALUES (id, issuer, event ->> 'type')
		ON CONFLICT DO NOTHING;
	IF NOT FOUND THEN
		RETURN json_build_object('status', 'duplicate');
	END IF;
	PERFORM clerk_internal.apply_event(issuer, event);
	FOR registered IN
		SELECT DISTINCT handler FROM clerk.event_handlers
		WHERE event ->> 'type' LIKE replace(regexp_replace(pattern, '([\\%_])', '\\\1', 'g'), '*', '%')
		ORDER BY handler
	LOOP
		PERFORM clerk_internal.handle_event(registered.handler::regprocedure, event);
	END LOOP;
	RETURN json_build_object('status', 'applied');
END
$$;
COMMENT ON FUNCTION clerk.receive_webhook(text, text, text, text) IS
	'verifies a webhook by its headers svix-id, svix-timestamp and svix-signature and its raw body, and '
		'applies it once';

CREATE OR REPLACE FUNCTION clerk.webhook(json) RETURNS json
	LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT clerk.receive_webhook(clerk_internal.webhook_header('id'),
		clerk_internal.webhook_header('timestamp'), clerk_internal.webhook_header('signature'), $1::text)
$$;
COMMENT ON FUNCTION clerk.webhook(json) IS
	'clerk.receive_webhook() for PostgREST, which passes the raw body and the headers of the request';

CREATE OR REPLACE FUNCTION clerk.expose_webhook(schema name, function_name name DEFAULT 'clerk_webhook') RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	anon name;
	exposed regprocedure;
BEGIN
	anon := clerk_internal.anon_role();
	IF to_regnamespace(quote_ident(schema)) IS NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'undefined_object',
			MESSAGE = format('schema %I does not exist', schema);
	ELSIF to_regrole(quote_ident(anon)) IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('role %I does not exist', anon),
			HINT = 'Create it, or set clerk.anon_role to the db-anon-role of PostgREST.';
	END IF;
	EXECUTE format('CREATE OR REPLACE FUNCTION %I.%I(json) RETURNS json LANGUAGE sql VOLATILE SECURITY DEFINER
		SET search_path = pg_catalog, pg_temp RETURN clerk.webhook($1)', schema, function_name);
	exposed := format('%I.%I(json)', schema, function_name);
	EXECUTE format('COMMENT ON FUNCTION %s IS ''webhooks of Clerk, see clerk.webhook()''', exposed);
	PERFORM clerk_internal.expose(exposed, anon, alone => true);
	PERFORM pg_notify('pgrst', 'reload schema');
END
$$;
COMMENT ON FUNCTION clerk.expose_webhook(name, name) IS
	'makes PostgREST take webhooks at /rpc/<function_name>: a function in a schema it serves, which only '
		'its owner and the anonymous role may call';

-- INVOKER: whoever writes a handler into the table, by whatever way, must have the role it runs as.
CREATE OR REPLACE FUNCTION clerk_internal.check_handler() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	owner oid;
BEGIN
	SELECT proowner INTO owner FROM pg_proc WHERE oid = to_regprocedure(new.handler);
	IF NOT coalesce(pg_has_role(owner, 'USAGE'),
		(SELECT rolsuper FROM pg_roles WHERE rolname = current_user)) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'insufficient_privilege',
			MESSAGE = format('%s cannot handle events', new.handler),
			DETAIL = CASE WHEN owner IS NULL THEN 'There is no such function; write it with its schema.'
				ELSE format('It would run as its owner %s, whose role %I does not have.', owner::regrole,
					current_user) END;
	ELSIF owner <> clerk_internal.handler_role() THEN
		RAISE EXCEPTION USING
			ERRCODE = 'insufficient_privilege',
			MESSAGE = format('%s cannot handle events', new.handler),
			DETAIL = format('Its owner is %s; webhooks are received by %s, who cannot become another role.',
				owner::regrole, clerk_internal.handler_role()::regrole),
			HINT = format('ALTER FUNCTION %s OWNER TO %s;', new.handler,
				clerk_internal.handler_role()::regrole);
	END IF;
	RETURN new;
END
$$;
COMMENT ON FUNCTION clerk_internal.check_handler() IS
	'trigger: a handler runs as its owner, so nobody makes one of another role''s function';

-- ALWAYS: also under session_replication_role = replica.
CREATE OR REPLACE TRIGGER check_handler BEFORE INSERT OR UPDATE ON clerk.event_handlers
	FOR EACH ROW EXECUTE FUNCTION clerk_internal.check_handler();
ALTER TABLE clerk.event_handlers ENABLE ALWAYS TRIGGER check_handler;
COMMENT ON TRIGGER check_handler ON clerk.event_handlers IS 'nobody runs a function as somebody else';

CREATE OR REPLACE FUNCTION clerk.add_event_handler(pattern text, handler regprocedure) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF coalesce(pattern = '', true) OR handler IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'a type of events and a function must be given';
	ELSIF (SELECT pronargs <> 1 OR proargtypes[0] <> 'jsonb'::regtype OR prokind <> 'f' FROM pg_proc
		WHERE oid = handler) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'wrong_object_type',
			MESSAGE = format('%s cannot handle events', handler),
			DETAIL = 'It must be a function with one argument of type jsonb.';
	END IF;
	INSERT INTO clerk.event_handlers VALUES (pattern, handler::text) ON CONFLICT DO NOTHING;
END
$$;
COMMENT ON FUNCTION clerk.add_event_handler(text, regprocedure) IS
	'calls a function, as its owner, for each event of a type (* stands for anything), in the transaction '
	'that applies the event';

CREATE OR REPLACE FUNCTION clerk.drop_event_handler(pattern text, handler regprocedure) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	DELETE FROM clerk.event_handlers AS h WHERE h.pattern = drop_event_handler.pattern
		AND h.handler = drop_event_handler.handler::text;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = 'there is no such event handler';
	END IF;
END
$$;
COMMENT ON FUNCTION clerk.drop_event_handler(text, regprocedure) IS 'undoes clerk.add_event_handler()';

--
-- stats.sql
--		How tokens fare.
--
-- Uses library.
--

CREATE OR REPLACE VIEW clerk.stats AS
	SELECT counted.issuer, counted.reason, pg_catalog.sum(counted.tokens)::bigint AS tokens, counted.since
	FROM clerk_internal.count_tokens() AS counted
	GROUP BY counted.issuer, counted.reason, counted.since;
COMMENT ON VIEW clerk.stats IS
	'how many tokens were verified and refused, by all sessions of this database on this server: once for '
		'each request, remembered or not, and each call of clerk.verify() and its like; empty before '
		'PostgreSQL 17 unless the library is in shared_preload_libraries';
COMMENT ON COLUMN clerk.stats.issuer IS 'the instance; NULL: none that is registered';
COMMENT ON COLUMN clerk.stats.reason IS 'verified, or the reason code of the refusal';
COMMENT ON COLUMN clerk.stats.tokens IS 'their number';
COMMENT ON COLUMN clerk.stats.since IS
	'when counting began: the start of the server, or the first token after it';

--
-- changes.sql
--		Who has changed what is believed: keys, instances, revocations, secrets, handlers.
--
-- Uses keys.
--

-- Without a key, so that a restored dump, which this table comes with, meets nothing that the
-- triggers have noted while it was restored.
CREATE TABLE IF NOT EXISTS clerk.key_changes (
	changed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	object text NOT NULL,
	action text NOT NULL,
	issuer text COLLATE "C",
	key text COLLATE "C",
	before jsonb,
	after jsonb,
	changed_by name NOT NULL DEFAULT session_user,
	as_role name DEFAULT nullif(pg_catalog.current_setting('role'), 'none'),
	application_name text DEFAULT pg_catalog.current_setting('application_name'),
	client_addr inet DEFAULT pg_catalog.inet_client_addr(),
	pid integer DEFAULT pg_catalog.pg_backend_pid(),
	transaction_id xid8 DEFAULT pg_catalog.pg_current_xact_id()
);

CREATE INDEX IF NOT EXISTS key_changes_object_idx ON clerk.key_changes (object, changed_at);
COMMENT ON INDEX clerk.key_changes_object_idx IS 'the last changes, and for clerk.prune() the old ones';
COMMENT ON TABLE clerk.key_changes IS
	'who has changed instances, keys, revocations, webhook secrets, event handlers and Supabase''s keys, '
	'by any means; rows are only added';
COMMENT ON COLUMN clerk.key_changes.changed_at IS 'when it was changed';
COMMENT ON COLUMN clerk.key_changes.object IS
	'the table: instances, jwks, revocations, webhook_secrets, event_handlers or supabase_keys';
COMMENT ON COLUMN clerk.key_changes.action IS 'INSERT, UPDATE, DELETE or TRUNCATE';
COMMENT ON COLUMN clerk.key_changes.issuer IS 'the instance';
COMMENT ON COLUMN clerk.key_changes.key IS
	'the kid, the revoked id, the fingerprint of the secret, or the pattern';
COMMENT ON COLUMN clerk.key_changes.before IS
	'the row before; of an UPDATE, the columns that changed. Keys appear as thumbprints, secrets as the '
	'beginning of their SHA-256';
COMMENT ON COLUMN clerk.key_changes.after IS 'the row after, likewise';
COMMENT ON COLUMN clerk.key_changes.changed_by IS 'the session user';
COMMENT ON COLUMN clerk.key_changes.as_role IS 'the role set by SET ROLE; NULL: none';
COMMENT ON COLUMN clerk.key_changes.application_name IS 'application_name of the session';
COMMENT ON COLUMN clerk.key_changes.client_addr IS
	'address of the client; NULL: a Unix-domain socket, or no client';
COMMENT ON COLUMN clerk.key_changes.pid IS 'process ID of the backend, as in the server log';
COMMENT ON COLUMN clerk.key_changes.transaction_id IS
	'the transaction: rows with the same one were changed together';

CREATE OR REPLACE FUNCTION clerk_internal.without_secrets(changed_row jsonb) RETURNS jsonb
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN changed_row - 'jwk' - 'secret'
		|| CASE WHEN changed_row ? 'jwk' THEN jsonb_build_object('thumbprint',
			clerk_internal.jwk_thumbprint(changed_row -> 'jwk')) ELSE '{}' END
		|| CASE WHEN changed_row ? 'secret' THEN jsonb_build_object('fingerprint',
			left(encode(sha256(convert_to(changed_row ->> 'secret', 'UTF8')), 'hex'), 8)) ELSE '{}' END;
COMMENT ON FUNCTION clerk_internal.without_secrets(jsonb) IS 'a row as clerk.key_changes shows it';

-- SECURITY DEFINER: whoever may change the table need not be allowed to write here, nor to leave it out.
CREATE OR REPLACE FUNCTION clerk_internal.note_change() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	before jsonb;
	after jsonb;
	named jsonb;
BEGIN
	IF TG_OP IN ('UPDATE', 'DELETE') THEN
		before := clerk_internal.without_secrets(to_jsonb(OLD));
	END IF;
	IF TG_OP IN ('INSERT', 'UPDATE') THEN
		after := clerk_internal.without_secrets(to_jsonb(NEW));
	END IF;
	named := coalesce(after, before);
	IF TG_OP = 'UPDATE' THEN
		SELECT jsonb_object_agg(was.key, was.value), jsonb_object_agg(was.key, after -> was.key)
			INTO before, after
		FROM jsonb_each(before) AS was WHERE was.value <> after -> was.key;
		IF before IS NULL THEN
			RETURN NULL;
		END IF;
	END IF;
	INSERT INTO clerk.key_changes (object, action, issuer, key, before, after)
		VALUES (TG_TABLE_NAME, TG_OP, named ->> 'issuer',
			coalesce(named ->> 'kid', named ->> 'id', named ->> 'fingerprint', named ->> 'pattern'), before,
				after);
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION clerk_internal.note_change() IS
	'trigger: writes to clerk.key_changes who has changed what';

-- Grants on all tables of the schema, as some make them, would reach it as well.
CREATE OR REPLACE FUNCTION clerk_internal.keep_changes() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF TG_OP = 'UPDATE' OR NOT pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = TG_RELID),
		'USAGE') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'insufficient_privilege',
			MESSAGE = 'clerk.key_changes is only added to, by its triggers',
			HINT = 'clerk.prune() removes old revocations from it, and the owner of the extension may '
				'DELETE.';
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION clerk_internal.keep_changes() IS
	'trigger: whoever is granted all on clerk.key_changes can do no more than read it';

CREATE OR REPLACE TRIGGER keep_changes BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON clerk.key_changes
	FOR EACH STATEMENT EXECUTE FUNCTION clerk_internal.keep_changes();

ALTER TABLE clerk.key_changes ENABLE ALWAYS TRIGGER keep_changes;

COMMENT ON TRIGGER keep_changes ON clerk.key_changes IS 'nobody but the owner takes anything away';

-- ALWAYS, and per row, as those that invalidate.
DO $each$
DECLARE
	tab text;
BEGIN
	FOREACH tab IN ARRAY '{instances,jwks,revocations,webhook_secrets,event_handlers}'::text[] LOOP
		EXECUTE pg_catalog.format($create$
CREATE OR REPLACE TRIGGER note_change AFTER INSERT OR UPDATE OR DELETE ON clerk.%1$s FOR EACH ROW
	EXECUTE FUNCTION clerk_internal.note_change();
CREATE OR REPLACE TRIGGER note_truncate AFTER TRUNCATE ON clerk.%1$s FOR EACH STATEMENT
	EXECUTE FUNCTION clerk_internal.note_change();
ALTER TABLE clerk.%1$s ENABLE ALWAYS TRIGGER note_change, ENABLE ALWAYS TRIGGER note_truncate;
COMMENT ON TRIGGER note_change ON clerk.%1$s IS 'clerk.key_changes says who has changed it';
COMMENT ON TRIGGER note_truncate ON clerk.%1$s IS 'the same, for TRUNCATE';
			$create$, tab);
	END LOOP;
END
$each$;

--
-- supabase.sql
--		Self-hosted Supabase: its own keys, which PostgREST must go on believing beside Clerk's.
--
-- Uses revoke, library, postgrest, changes.
--

CREATE TABLE IF NOT EXISTS clerk.supabase_keys (
	sole boolean NOT NULL DEFAULT true
		CONSTRAINT supabase_keys_pkey PRIMARY KEY CONSTRAINT supabase_keys_sole CHECK (sole),
	secret text NOT NULL,
	set_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE clerk.supabase_keys IS
	'what verifies the API keys of self-hosted Supabase, set by clerk.set_supabase_keys()';
COMMENT ON COLUMN clerk.supabase_keys.sole IS 'there is one row at most';
COMMENT ON COLUMN clerk.supabase_keys.secret IS
	'a JWKS; with a symmetric key in it, whoever reads it can sign as service_role';
COMMENT ON COLUMN clerk.supabase_keys.set_at IS 'when';

CREATE OR REPLACE TRIGGER notify_postgrest AFTER INSERT OR UPDATE OR DELETE ON clerk.supabase_keys
	FOR EACH ROW EXECUTE FUNCTION clerk_internal.notify_postgrest();
CREATE OR REPLACE TRIGGER note_change AFTER INSERT OR UPDATE OR DELETE ON clerk.supabase_keys
	FOR EACH ROW EXECUTE FUNCTION clerk_internal.note_change();
CREATE OR REPLACE TRIGGER note_truncate AFTER TRUNCATE ON clerk.supabase_keys
	FOR EACH STATEMENT EXECUTE FUNCTION clerk_internal.note_change();

ALTER TABLE clerk.supabase_keys ENABLE ALWAYS TRIGGER notify_postgrest,
	ENABLE ALWAYS TRIGGER note_change, ENABLE ALWAYS TRIGGER note_truncate;

COMMENT ON TRIGGER notify_postgrest ON clerk.supabase_keys IS
	'PostgREST follows a changed key without a restart';
COMMENT ON TRIGGER note_change ON clerk.supabase_keys IS 'clerk.key_changes says who has changed it';
COMMENT ON TRIGGER note_truncate ON clerk.supabase_keys IS 'the same, for TRUNCATE';

CREATE OR REPLACE FUNCTION clerk_internal.supabase_key_problem(jwk jsonb) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT CASE
		WHEN jsonb_typeof(jwk) IS DISTINCT FROM 'object' THEN 'A key is not a JSON object.'
		WHEN jwk ?| '{d,p,q,dp,dq,qi,oth}' THEN
			'A key is a private one, for Supabase Auth only: is this JWT_KEYS in the place of JWT_JWKS?'
		WHEN jwk ->> 'kty' = 'oct' AND jsonb_typeof(jwk -> 'k') IS DISTINCT FROM 'string' THEN
			'A symmetric key has no "k".'
		-- as many bits as HS256 has, and as PostgREST demands of a JWT_SECRET
		WHEN jwk ->> 'kty' = 'oct' AND length(jwk ->> 'k') < 43 THEN
			'A symmetric key has less than 32 bytes.'
		WHEN coalesce(jwk ->> 'kty' <> ALL ('{oct,RSA,EC,OKP}'), true) THEN
			'A key has no "kty" that is known.'
	END
$$;
COMMENT ON FUNCTION clerk_internal.supabase_key_problem(jsonb) IS
	'why PostgREST must not be given this key of Supabase (NULL: it may)';

CREATE OR REPLACE FUNCTION clerk_internal.supabase_jwks(jwt_secret_or_jwks text) RETURNS jsonb
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	given jsonb;
	problem text;
BEGIN
	IF jwt_secret_or_jwks !~ '^\s*[{[]' THEN
		given := jsonb_build_object('keys', jsonb_build_array(jsonb_build_object('kty', 'oct', 'alg', 'HS256',
			'k', translate(encode(convert_to(jwt_secret_or_jwks, 'UTF8'), 'base64'), E'+/=\n', '-_'))));
	ELSE
		BEGIN
			given := jwt_secret_or_jwks::jsonb;
		EXCEPTION WHEN data_exception OR feature_not_supported THEN
			problem := 'It begins as JSON does, and is none.';
		END;
		-- what JWT_KEYS is
		IF jsonb_typeof(given) = 'array' THEN
			given := jsonb_build_object('keys', given);
		END IF;
	END IF;
	IF problem IS NULL
		AND (jsonb_typeof(given -> 'keys') IS DISTINCT FROM 'array' OR given -> 'keys' = '[]') THEN
		problem := 'It is no JWKS, which is an object with an array "keys", or has no key.';
	END IF;
	IF problem IS NULL THEN
		SELECT clerk_internal.supabase_key_problem(jwk) INTO problem
		FROM jsonb_array_elements(given -> 'keys') AS jwk
		WHERE clerk_internal.supabase_key_problem(jwk) IS NOT NULL LIMIT 1;
	END IF;
	IF problem IS NOT NULL THEN
		PERFORM clerk_internal.refuse('22023', 'these are not the keys of Supabase', problem,
			'Give the PGRST_JWT_SECRET of the service rest: JWT_JWKS of .env, or without one JWT_SECRET.');
	END IF;
	RETURN jsonb_build_object('keys', (
		SELECT jsonb_agg((SELECT jsonb_object_agg(key, value) FROM jsonb_each(jwk)
			WHERE key = ANY ('{kty,kid,use,key_ops,alg,n,e,crv,x,y,k}')) ORDER BY n)
		FROM jsonb_array_elements(given -> 'keys') WITH ORDINALITY AS keys (jwk, n)));
END
$$;
COMMENT ON FUNCTION clerk_internal.supabase_jwks(text) IS
	'Supabase''s JWT_SECRET, or its JWT_JWKS, as a JWKS for PostgREST; raises for what is neither';

-- Who may call it can read the keys in pgrst.jwt_secret.  Members of PostgREST's role do not:
-- Supabase has that of Storage among them, and postgres among its members.
CREATE OR REPLACE FUNCTION clerk.supabase_pre_config() RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	own constant jsonb := (SELECT secret::jsonb -> 'keys' FROM clerk.supabase_keys);
BEGIN
	IF session_user <> 'authenticator' AND NOT pg_has_role(session_user, current_user, 'MEMBER') THEN
		PERFORM clerk_internal.refuse('42501', 'permission denied for the keys of Supabase', NULL,
			'PostgREST asks for them, connected as authenticator.');
	END IF;
	IF own IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'object_not_in_prerequisite_state',
			MESSAGE = 'the keys of Supabase are not set',
			HINT = 'Set them with clerk.set_supabase_keys().';
	END IF;
	PERFORM clerk.pre_config();
	PERFORM set_config('pgrst.jwt_secret', jsonb_build_object('keys',
		own || (current_setting('pgrst.jwt_secret')::jsonb -> 'keys'))::text, true);
END
$$;
COMMENT ON FUNCTION clerk.supabase_pre_config() IS
	'for PostgREST''s db-pre-config in self-hosted Supabase: hands it Supabase''s own keys '
		'and those of clerk.jwks';

-- The role is not the caller's to choose, as it can read the keys then.
CREATE OR REPLACE FUNCTION clerk.set_supabase_keys(jwt_secret_or_jwks text) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	jwks constant text := CASE
		WHEN jwt_secret_or_jwks IS NOT NULL THEN clerk_internal.supabase_jwks(jwt_secret_or_jwks) END;
BEGIN
	IF to_regrole('authenticator') IS NULL THEN
		PERFORM clerk_internal.refuse('42704', 'role authenticator does not exist', NULL,
			'In Supabase it is as that role that PostgREST connects.');
	END IF;
	PERFORM clerk_internal.revoke_all('pg_proc', 'clerk.supabase_pre_config()'::regprocedure);
	DELETE FROM clerk.supabase_keys WHERE jwks IS NULL;
	IF jwks IS NOT NULL THEN
		INSERT INTO clerk.supabase_keys (secret) VALUES (jwks)
			ON CONFLICT ON CONSTRAINT supabase_keys_pkey
				DO UPDATE SET secret = excluded.secret, set_at = excluded.set_at;
		GRANT EXECUTE ON FUNCTION clerk.supabase_pre_config() TO authenticator;
	END IF;
END
$$;
COMMENT ON FUNCTION clerk.set_supabase_keys(text) IS
	'takes JWT_SECRET or JWT_JWKS of self-hosted Supabase, for clerk.supabase_pre_config(); NULL: none';

CREATE OR REPLACE FUNCTION clerk_internal.supabase_secret_settings()
	RETURNS TABLE (kind text, name name, only_in name)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT CASE setrole WHEN 0 THEN 'database' ELSE 'role' END, coalesce(rolname, datname),
		CASE WHEN setrole <> 0 THEN datname END
	FROM pg_db_role_setting
	LEFT JOIN pg_roles AS role ON role.oid = setrole
	LEFT JOIN pg_database AS database ON database.oid = setdatabase
	WHERE (setdatabase = 0 OR datname = current_database())
		AND EXISTS (SELECT FROM unnest(setconfig) AS setting WHERE setting ~ '^app\.settings\.jwt_secret=.')
$$;
COMMENT ON FUNCTION clerk_internal.supabase_secret_settings() IS
	'the roles and databases for which Supabase''s JWT_SECRET is a setting, as its images have it';

CREATE OR REPLACE FUNCTION clerk_internal.supabase_secret_readers()
	RETURNS TABLE (role name, by_membership boolean, is_api boolean)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT rolname, pg_has_role(oid, 'pg_read_all_data', 'USAGE'),
		to_regrole('authenticator') IS NOT NULL AND pg_has_role(to_regrole('authenticator'), oid, 'MEMBER')
	FROM pg_roles
	WHERE NOT rolsuper AND rolname !~ '^pg_' AND has_table_privilege(oid, 'clerk.supabase_keys', 'SELECT')
		AND oid <> (SELECT relowner FROM pg_class WHERE pg_class.oid = 'clerk.supabase_keys'::regclass)
		AND EXISTS (SELECT FROM clerk.supabase_keys WHERE secret ~ '"oct"')
$$;
COMMENT ON FUNCTION clerk_internal.supabase_secret_readers() IS
	'who but superusers and its owner can read a symmetric key in clerk.supabase_keys, and whether requests '
		'can have the role';

CREATE OR REPLACE FUNCTION clerk_internal.audit_supabase()
	RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT found.severity, 'supabase-secret-readable', found.object, found.detail, found.fix
	FROM (
		SELECT 'error', format('%s %I', kind, name),
			'the secret that signs Supabase''s API keys is a setting there, and every role can read it',
			format('ALTER %s %I%s RESET app.settings.jwt_secret', upper(kind), name,
				' IN DATABASE ' || quote_ident(only_in))
		FROM clerk_internal.supabase_secret_settings()
		UNION ALL
		SELECT 'error', 'setting app.settings.jwt_secret',
			'the secret that signs Supabase''s API keys is a setting of this session, and every role of '
				|| 'a request can read it: take PGRST_APP_SETTINGS_JWT_SECRET away from PostgREST',
			'-- it is in the environment of PostgREST, where no statement reaches it'
		WHERE current_setting('app.settings.jwt_secret', true) <> ''
			AND NOT EXISTS (SELECT FROM clerk_internal.supabase_secret_settings())
		UNION ALL
		SELECT CASE WHEN is_api THEN 'error' ELSE 'notice' END, format('role %I', role),
			'it can read clerk.supabase_keys, and with the secret there sign as service_role',
			CASE WHEN by_membership THEN format('REVOKE pg_read_all_data FROM %I', role)
				ELSE format('REVOKE ALL ON clerk.supabase_keys FROM %I', role) END
		FROM clerk_internal.supabase_secret_readers()
		UNION ALL
		SELECT 'error', 'function clerk.supabase_pre_config()',
			format('%s can call it, and read the secret that signs Supabase''s API keys', named),
			format('REVOKE EXECUTE ON FUNCTION clerk.supabase_pre_config() FROM %s', named)
		FROM pg_proc, aclexplode(proacl) AS acl, LATERAL (SELECT
			CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END) AS grantee (named)
		WHERE pg_proc.oid = 'clerk.supabase_pre_config()'::regprocedure
			AND acl.grantee <> proowner AND acl.grantee IS DISTINCT FROM to_regrole('authenticator')
	) AS found (severity, object, detail, fix)
$$;
COMMENT ON FUNCTION clerk_internal.audit_supabase() IS
	'what clerk.audit() finds where the secret of self-hosted Supabase can be read';

--
-- import.sql
--		What was there before the first webhook, and what was missed.
--
-- Uses instances, profiles, events.
--

CREATE OR REPLACE FUNCTION clerk_internal.objects_of_page(page jsonb) RETURNS SETOF jsonb
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

CREATE OR REPLACE FUNCTION clerk_internal.sole_issuer(issuer text) RETURNS text
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
CREATE OR REPLACE FUNCTION clerk.import_users(page jsonb, issuer text DEFAULT NULL) RETURNS bigint
	LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT count(clerk_internal.apply_user(clerk_internal.sole_issuer(issuer), object,
		clerk_internal.ms_to_timestamptz(object ->> 'updated_at'), false)::text)
	FROM (SELECT object FROM clerk_internal.objects_of_page(page) AS object
		ORDER BY object ->> 'id') AS ordered
$$;
COMMENT ON FUNCTION clerk.import_users(jsonb, text) IS
	'imports a page of users of Clerk''s Backend API; returns their number';

CREATE OR REPLACE FUNCTION clerk.import_organizations(page jsonb, issuer text DEFAULT NULL) RETURNS bigint
	LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT count(clerk_internal.apply_organization(clerk_internal.sole_issuer(issuer), object,
		clerk_internal.ms_to_timestamptz(object ->> 'updated_at'), false)::text)
	FROM (SELECT object FROM clerk_internal.objects_of_page(page) AS object
		ORDER BY object ->> 'id') AS ordered
$$;
COMMENT ON FUNCTION clerk.import_organizations(jsonb, text) IS
	'imports a page of organizations of Clerk''s Backend API; returns their number';

CREATE OR REPLACE FUNCTION clerk.import_memberships(page jsonb, issuer text DEFAULT NULL) RETURNS bigint
	LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT count(clerk_internal.apply_membership(clerk_internal.sole_issuer(issuer), object,
		clerk_internal.ms_to_timestamptz(object ->> 'updated_at'), false)::text)
	FROM (SELECT object FROM clerk_internal.objects_of_page(page) AS object
		ORDER BY object ->> 'id') AS ordered
$$;
COMMENT ON FUNCTION clerk.import_memberships(jsonb, text) IS
	'imports a page of memberships of Clerk''s Backend API; returns their number';

CREATE OR REPLACE FUNCTION clerk.drift(tab regclass, page jsonb) RETURNS TABLE (id text, difference text)
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

--
-- upkeep.sql
--		What grows is pruned, and what needs care is shown.
--
-- Uses library, instances, keys, jobs, refresh, revocation, webhook, changes.
--

CREATE OR REPLACE FUNCTION clerk.prune(older_than interval) RETURNS TABLE (events bigint, sessions bigint)
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF coalesce(older_than < interval '1 day', true) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'events and sessions of the last day cannot be pruned',
			DETAIL = 'Svix repeats an event for up to 28 hours, and a token of a revoked session may still '
				'be valid.';
	END IF;
	DELETE FROM clerk.webhook_events WHERE received_at < now() - older_than;
	GET DIAGNOSTICS events = ROW_COUNT;
	-- what somebody has revoked by hand Clerk may still have
	DELETE FROM clerk.revocations WHERE source = 'webhook' AND id ^@ 'sess_'
		AND revoked_at < now() - older_than;
	GET DIAGNOSTICS sessions = ROW_COUNT;
	DELETE FROM clerk.key_changes WHERE object = 'revocations' AND changed_at < now() - older_than;
	RETURN NEXT;
END
$$;
COMMENT ON FUNCTION clerk.prune(interval) IS
	'deletes older events, revocations of sessions that webhooks made, and entries of clerk.key_changes '
	'about revocations; revocations by hand, and users, stay. Give at least the lifetime of your longest '
	'tokens';

CREATE OR REPLACE FUNCTION clerk.schedule_prune(older_than interval) RETURNS void
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk_internal.schedule_job('clerk_rls: prune', '17 3 * * *', 'SELECT clerk.prune('
		|| quote_literal(older_than) || ')') $$;
COMMENT ON FUNCTION clerk.schedule_prune(interval) IS
	'schedules a pg_cron job that runs clerk.prune() every night; NULL unschedules it';

CREATE OR REPLACE FUNCTION clerk.health() RETURNS TABLE (
	issuer text, current_keys bigint, retiring_keys bigint, ended_keys bigint, newest_key_age interval,
	refreshed_at timestamptz, refresh_failed_at timestamptz, refresh_failure text, unknown_kid_at timestamptz,
	webhook_secrets bigint, last_event_at timestamptz)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT instance.issuer,
		count(*) FILTER (WHERE key.kid IS NOT NULL AND key.expires_at IS NULL),
		count(*) FILTER (WHERE key.expires_at > now()),
		count(*) FILTER (WHERE key.expires_at <= now()),
		now() - max(key.created_at),
		refresh.succeeded_at, refresh.failed_at, refresh.failure,
			clerk_internal.unknown_kid_at(instance.issuer),
		(SELECT count(*) FROM clerk.webhook_secrets AS secret WHERE secret.issuer = instance.issuer),
		(SELECT max(event.received_at) FROM clerk.webhook_events AS event
			WHERE event.issuer = instance.issuer)
	FROM clerk.instances AS instance
	LEFT JOIN clerk.jwks AS key USING (issuer)
	LEFT JOIN clerk.jwks_refreshes AS refresh USING (issuer)
	GROUP BY instance.issuer, refresh.issuer
	ORDER BY instance.issuer
$$;
COMMENT ON FUNCTION clerk.health() IS
	'each instance: its keys, how fetching them went, when a token last named an unknown one, and when the '
	'last event came; for pg_monitor';

--
-- citus.sql
--		Citus is the extension's; where there is none, no table is distributed.
--
-- Uses library.
--

CREATE OR REPLACE FUNCTION clerk_internal.is_distributed_by(tab regclass, column_name name) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT false $$;
COMMENT ON FUNCTION clerk_internal.is_distributed_by(regclass, name) IS
	'false: whether Citus distributes a table by this column is known by the extension only';

CREATE OR REPLACE FUNCTION clerk_internal.tell_citus() RETURNS void
	LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT $$;
COMMENT ON FUNCTION clerk_internal.tell_citus() IS 'nothing: other nodes are told by the extension only';

CREATE OR REPLACE FUNCTION clerk_internal.audit_citus()
	RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT NULL::text, NULL::text, NULL::text, NULL::text, NULL::text WHERE false $$;
COMMENT ON FUNCTION clerk_internal.audit_citus() IS 'what clerk.audit() finds of Citus: nothing';

--
-- explain.sql
--		Which policy lets or stops which row.
--
-- Uses library, roles.
--

CREATE OR REPLACE FUNCTION clerk_internal.missing_grants(tab regclass, commands text[], role name) RETURNS SETOF text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT format('GRANT USAGE ON SCHEMA %s TO %I', relnamespace::regnamespace, role)
	FROM pg_class WHERE oid = tab AND NOT has_schema_privilege(role, relnamespace, 'USAGE')
	UNION ALL
	SELECT format('GRANT %s ON %s TO %I', string_agg(privilege, ', ' ORDER BY ordinality), tab, role)
	FROM unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) WITH ORDINALITY AS needed (privilege, ordinality)
	-- a filter reads
	WHERE (privilege = ANY (commands) OR (privilege = 'SELECT' AND commands && '{UPDATE,DELETE}'))
		AND NOT CASE privilege WHEN 'DELETE' THEN has_table_privilege(role, tab, privilege)
			ELSE has_any_column_privilege(role, tab, privilege) END
	HAVING count(*) > 0
	UNION ALL
	-- of serial columns, not of identity columns
	SELECT format('GRANT USAGE ON SEQUENCE %s TO %I', objid::regclass, role)
	FROM pg_depend JOIN pg_class ON pg_class.oid = objid
	WHERE refclassid = 'pg_class'::regclass AND refobjid = tab AND classid = 'pg_class'::regclass
		AND deptype = 'a'
		AND 'INSERT' = ANY (commands) AND CASE relkind
			WHEN 'S' THEN NOT has_sequence_privilege(role, objid, 'USAGE') END
$$;
COMMENT ON FUNCTION clerk_internal.missing_grants(regclass, text[], name) IS
	'the statements that would grant a role what it lacks for these commands on a table';

CREATE OR REPLACE FUNCTION clerk_internal.rls_exemption(tab regclass, role name) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT CASE
		WHEN NOT relrowsecurity THEN 'row-level security is off'
		WHEN rolsuper THEN format('role %I is a superuser', role)
		WHEN rolbypassrls THEN format('role %I has BYPASSRLS', role)
		WHEN NOT relforcerowsecurity AND pg_has_role(role, relowner, 'USAGE')
			THEN format('role %I owns the table, which does not FORCE ROW LEVEL SECURITY', role)
	END
	FROM pg_class, pg_roles WHERE pg_class.oid = tab AND rolname = role
$$;
COMMENT ON FUNCTION clerk_internal.rls_exemption(regclass, name) IS
	'why the policies of a table do not count for a role; NULL: they do';

-- As PostgreSQL chooses them: a filter reads, so that UPDATE and DELETE ask the policies for
-- SELECT, too; and a policy without WITH CHECK checks by USING.
CREATE OR REPLACE FUNCTION clerk_internal.policy_checks(tab regclass, command text, role name)
	RETURNS TABLE (policy name, kind text, roles text, clauses text[], expression text, applies boolean)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT polname, CASE WHEN polpermissive THEN 'permissive' ELSE 'restrictive' END,
		(SELECT string_agg(CASE member WHEN 0 THEN 'PUBLIC' ELSE member::regrole::text END, ', ')
			FROM unnest(polroles) AS member),
		array_agg(asked.clause ORDER BY asked.ordinal), pg_get_expr(asked.expression, polrelid),
		(SELECT bool_or(member = 0 OR pg_has_role(role, member, 'USAGE')) FROM unnest(polroles) AS member)
	FROM pg_policy,
		(VALUES ('SELECT', 'r'), ('INSERT', 'a'), ('UPDATE', 'w'), ('DELETE', 'd')) AS code (command, polcmd),
		LATERAL (VALUES
			(1, 'USING', polqual, code.command <> 'INSERT' AND pg_policy.polcmd IN ('*', code.polcmd)),
			(2, 'USING for SELECT', polqual, code.command IN ('UPDATE', 'DELETE')
				AND pg_policy.polcmd IN ('*', 'r')),
			(3, 'WITH CHECK', coalesce(polwithcheck, polqual), code.command IN ('INSERT', 'UPDATE')
				AND pg_policy.polcmd IN ('*', code.polcmd))
		) AS asked (ordinal, clause, expression, is_asked)
	WHERE polrelid = tab AND code.command = policy_checks.command AND asked.is_asked
	GROUP BY polname, polpermissive, polroles, pg_get_expr(asked.expression, polrelid)
	ORDER BY min(asked.ordinal), NOT polpermissive, polname
$$;
COMMENT ON FUNCTION clerk_internal.policy_checks(regclass, text, name) IS
	'the policies that a table has for a command, what each of them asks of a row, and whether it applies '
		'to a role';

CREATE OR REPLACE FUNCTION clerk_internal.policy_condition(tab regclass, command text, role name, clauses text[])
	RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT string_agg(condition, ' AND ' ORDER BY clause COLLATE "C")
	FROM (
		SELECT clause, format('(%s)%s',
			coalesce(string_agg(format('(%s)', expression), ' OR '
			ORDER BY policy) FILTER (WHERE kind = 'permissive'), 'false'),
			string_agg(format(' AND (%s)', expression), ''
				ORDER BY policy) FILTER (WHERE kind = 'restrictive'))
		FROM unnest(clauses) AS clause
		LEFT JOIN clerk_internal.policy_checks(tab, command, role) AS asked ON clause = ANY (asked.clauses)
			AND asked.applies AND expression IS NOT NULL
		GROUP BY clause
	) AS conditions (clause, condition)
$$;
COMMENT ON FUNCTION clerk_internal.policy_condition(regclass, text, name, text[]) IS
	'what the policies ask together, by one clause or several';

-- Everything that it sets, and that what it calls may have done, is undone. Between the first
-- and the last statement names are not looked up in pg_catalog first.
CREATE OR REPLACE FUNCTION clerk_internal.count_rows(rows anyarray, alias name, expression text, role name,
	search_path text,
	OUT true_rows bigint, OUT false_rows bigint, OUT null_rows bigint, OUT problem text)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_variable
DECLARE
	query constant text := format(
		'SELECT pg_catalog.count(*) FILTER (WHERE passes), pg_catalog.count(*) FILTER (WHERE NOT passes),
		pg_catalog.count(*) FILTER (WHERE passes IS NULL)
			FROM (SELECT (%s) FROM pg_catalog.unnest($1) AS %I) AS checked (passes)', expression, alias);
BEGIN
	PERFORM set_config('row_security', 'on', true), set_config('role', role, true),
		set_config('search_path', search_path, true);
	EXECUTE query INTO true_rows, false_rows, null_rows USING rows;
	RAISE SQLSTATE 'UNDO0';
EXCEPTION
	WHEN SQLSTATE 'UNDO0' THEN
		NULL;
	WHEN OTHERS THEN
		problem := 'error: ' || replace(SQLERRM, current_setting('clerk.token'), '...');
END
$$;
COMMENT ON FUNCTION clerk_internal.count_rows(anyarray, name, text, name, text) IS
	'for how many rows an expression is true, false and null to a role, or the error; nothing it does '
		'remains';

CREATE OR REPLACE FUNCTION clerk_internal.without_permissive_policy(tab regclass, command text, role name,
	clauses text[]) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT string_agg(CASE clause WHEN 'USING for SELECT' THEN 'SELECT' ELSE command END, ' and '
		ORDER BY clause)
	FROM unnest(clauses) AS clause
	WHERE NOT EXISTS (
		SELECT FROM clerk_internal.policy_checks(tab, command, role) AS asked
		WHERE kind = 'permissive' AND applies AND expression IS NOT NULL AND clause = ANY (asked.clauses))
$$;
COMMENT ON FUNCTION clerk_internal.without_permissive_policy(regclass, text, name, text[]) IS
	'the commands for which no permissive policy applies to a role; NULL: none';

CREATE OR REPLACE FUNCTION clerk_internal.access_verdict(rows anyarray, alias name, tab regclass, command text,
	role name, search_path text) RETURNS text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	exempt constant boolean := clerk_internal.rls_exemption(tab, role) IS NOT NULL;
	clauses constant text[] := CASE command WHEN 'SELECT' THEN '{USING}' WHEN 'INSERT' THEN '{WITH CHECK}'
		ELSE '{USING,USING for SELECT}' END;
	sentence constant text := CASE command WHEN 'SELECT' THEN '%s of %s rows visible'
		WHEN 'INSERT' THEN '%s of %s rows could be inserted as they are'
		WHEN 'UPDATE' THEN '%s of %s rows can be updated' ELSE '%s of %s rows can be deleted' END;
	passing record;
	unchanged record;
BEGIN
	IF EXISTS (SELECT FROM clerk_internal.missing_grants(tab, ARRAY[command], role)) THEN
		RETURN 'permission denied, whatever the policies say';
	ELSIF cardinality(rows) = 0 THEN
		RETURN 'no row of the table matches the filter';
	ELSIF exempt THEN
		RETURN format(sentence, cardinality(rows), cardinality(rows));
	END IF;
	passing := clerk_internal.count_rows(rows, alias,
		clerk_internal.policy_condition(tab, command, role, clauses), role, search_path);
	IF passing.problem IS NOT NULL OR passing.true_rows = 0 OR command <> 'UPDATE' THEN
		RETURN coalesce(passing.problem, format(sentence, passing.true_rows, cardinality(rows))
			|| coalesce(', as no permissive policy applies to '
				|| clerk_internal.without_permissive_policy(tab, command, role, clauses), ''));
	END IF;
	unchanged := clerk_internal.count_rows(rows, alias,
		clerk_internal.policy_condition(tab, command, role, clauses || '{WITH CHECK}'), role, search_path);
	RETURN coalesce(unchanged.problem,
		format(sentence || ', if what becomes of them passes WITH CHECK, as %s do now',
		passing.true_rows, cardinality(rows), unchanged.true_rows));
END
$$;
COMMENT ON FUNCTION clerk_internal.access_verdict(anyarray, name, regclass, text, name, text) IS
	'how many of the rows a role can see or change in the end';

CREATE OR REPLACE FUNCTION clerk_internal.explain_rows(rows anyarray, tab regclass, command text, role name,
	search_path text)
	RETURNS TABLE (policy name, kind text, roles text, clause text, expression text,
		true_rows bigint, false_rows bigint, null_rows bigint, result text)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_variable
DECLARE
	exemption constant text := clerk_internal.rls_exemption(tab, role);
	alias constant name := (SELECT relname FROM pg_class WHERE oid = tab);
	checked record;
BEGIN
	kind := 'table';
	result := coalesce(exemption || ', so no policy counts', 'row-level security is on');
	RETURN NEXT;
	IF cardinality(rows) = 10000 THEN
		kind := 'rows';
		result := 'only the first 10000 that match the filter are looked at';
		RETURN NEXT;
	END IF;
	kind := 'privilege';
	FOR result IN
		SELECT 'missing: ' || missing FROM clerk_internal.missing_grants(tab, ARRAY[command], role) AS missing
		UNION ALL
		SELECT format('%s only for %s', command, string_agg(quote_ident(attname), ', ' ORDER BY attnum))
		FROM pg_attribute
		WHERE attrelid = tab AND attnum > 0 AND NOT attisdropped AND command <> 'DELETE'
			AND NOT has_table_privilege(role, tab, command)
			AND CASE WHEN command <> 'DELETE' THEN has_column_privilege(role, tab, attnum, command) END
		HAVING count(*) > 0
	LOOP
		RETURN NEXT;
	END LOOP;
	FOR checked IN
		SELECT * FROM clerk_internal.policy_checks(tab, command, role) WHERE exemption IS NULL
		UNION ALL SELECT NULL, 'verdict', NULL, NULL, NULL, true
	LOOP
		policy := checked.policy;
		kind := checked.kind;
		roles := checked.roles;
		clause := array_to_string(checked.clauses, ', ');
		expression := checked.expression;
		true_rows := NULL;
		false_rows := NULL;
		null_rows := NULL;
		IF kind = 'verdict' THEN
			result := clerk_internal.access_verdict(rows, alias, tab, command, role, search_path);
		ELSIF NOT checked.applies THEN
			result := format('not for role %I', role);
		ELSIF expression IS NULL THEN
			result := 'has no expression, so it does not count';
		ELSE
			SELECT c.true_rows, c.false_rows, c.null_rows, c.problem
				INTO true_rows, false_rows, null_rows, result
			FROM clerk_internal.count_rows(rows, alias, expression, role, search_path) AS c;
			result := coalesce(result, format('lets %s of %s rows through', true_rows, cardinality(rows)));
		END IF;
		RETURN NEXT;
	END LOOP;
END
$$;
COMMENT ON FUNCTION clerk_internal.explain_rows(anyarray, regclass, text, name, text) IS
	'what the table, the privileges and each policy do to these rows for a role';

CREATE OR REPLACE FUNCTION clerk_internal.check_explainable(tab regclass, command text) RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	class record;
BEGIN
	SELECT relkind, relowner INTO class FROM pg_class WHERE oid = tab;
	IF NOT FOUND OR coalesce(command NOT IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE'), true) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'a table, and SELECT, INSERT, UPDATE or DELETE must be given';
	ELSIF class.relkind NOT IN ('r', 'p') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'wrong_object_type',
			MESSAGE = format('%s is not a table', tab),
			DETAIL = 'Only tables have policies.',
			HINT = CASE class.relkind
				WHEN 'v' THEN
				'Ask about the tables of the view: as its owner, unless it has security_invoker.' END;
	ELSIF NOT pg_has_role(current_user, class.relowner, 'USAGE') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'insufficient_privilege',
			MESSAGE = format('must be owner of table %s', tab),
			DETAIL = 'What is counted are rows that the role may not see.';
	END IF;
END
$$;
COMMENT ON FUNCTION clerk_internal.check_explainable(regclass, text) IS
	'raises if clerk.explain_access() cannot explain a table to its caller';

CREATE OR REPLACE FUNCTION clerk_internal.simulate_request(token text, role name) RETURNS name
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	PERFORM clerk.is_authenticated();	-- loads the library, which knows the settings
	PERFORM set_config('clerk.token', coalesce(token, ''), true), set_config('request.headers', '', true),
		set_config('request.jwt', '', true),
		set_config('request.cookies', '', true), set_config('request.jwt.claims', '', true);
	role := coalesce(role, clerk_internal.request_role());
	IF to_regrole(quote_ident(role)) IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('role %I does not exist', role),
			HINT = 'Give the role as which PostgREST runs the request.';
	END IF;
	PERFORM set_config('request.jwt.claims',
		(coalesce(clerk.jwt(), '{}') || jsonb_build_object('role', role))::text, true);
	RETURN role;
END
$$;
COMMENT ON FUNCTION clerk_internal.simulate_request(text, name) IS
	'makes the rest of the transaction a request with this token, and returns its role';

CREATE OR REPLACE FUNCTION clerk.explain_access(tab regclass, command text, row_filter text DEFAULT NULL,
	token text DEFAULT NULL, role name DEFAULT NULL,
	search_path text DEFAULT pg_catalog.current_setting('search_path'))
	RETURNS TABLE (policy name, kind text, roles text, clause text, expression text,
		true_rows bigint, false_rows bigint, null_rows bigint, result text)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_variable
DECLARE
	outer_role constant text := current_setting('role');
	query text;
BEGIN
	command := upper(command);
	PERFORM clerk_internal.check_explainable(tab, command);
	query := format('SELECT * FROM clerk_internal.explain_rows(ARRAY(SELECT ROW(%2$I.*)::%1$s FROM %1$s AS '
		'%2$I WHERE (%3$s%4$s) LIMIT 10000), $1, $2, $3, $4)',
		tab, (SELECT relname FROM pg_class WHERE oid = tab), coalesce(row_filter, 'true'), E'\n');
	role := clerk_internal.simulate_request(token, role);
	PERFORM set_config('role', role, true), set_config('role', outer_role, true);	-- may the caller?
	kind := 'caller';
	result := format('role %I, ', role) || coalesce(
		(SELECT 'nobody is signed in: ' || split_part(d.detail, ':', 1) FROM clerk.diagnose() AS d
			WHERE d.outcome = 'fail' LIMIT 1), 'signed in');
	RETURN NEXT;
	-- the rows are not to be chosen by the policies, and the names are the caller's
	PERFORM set_config('row_security', 'off', true), set_config('search_path', search_path, true);
	RETURN QUERY EXECUTE query USING tab, command, role, search_path;
	RAISE SQLSTATE 'UNDO0';
EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
	RETURN;
END
$$;
COMMENT ON FUNCTION clerk.explain_access(regclass, text, text, text, name, text) IS
	'which policy lets or stops which of the first 10000 rows (that match a filter), for the bearer of a '
		'token (or nobody); for the table''s owner';

--
-- protect.sql
--		Row-level security for a table: the common policies, written as one call.
--
-- Uses library, settings, citus, explain.
--

CREATE OR REPLACE FUNCTION clerk_internal.caller_expression(tab regclass, column_name name, is_org boolean,
	OUT caller text, OUT comparison text)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	col record;
BEGIN
	SELECT format_type(coalesce(nullif(typbasetype, 0), atttypid), NULL) AS type, typbasetype = 0 AS is_base,
		concat(attidentity, attgenerated) AS filled INTO col
	FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
	WHERE attrelid = tab AND attname = column_name AND attnum > 0 AND NOT attisdropped;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_column',
			MESSAGE = format('column %I of table %s does not exist', column_name, tab);
	END IF;
	caller := CASE
		WHEN col.type IN ('text', 'character varying') THEN CASE WHEN is_org THEN 'clerk.org_id()'
			ELSE 'clerk.uid()' END
		WHEN col.type = 'uuid' THEN CASE WHEN is_org THEN 'clerk.mapped_org_id()' ELSE 'clerk.mapped_id()' END
		WHEN col.type = 'bigint' THEN CASE WHEN is_org THEN 'clerk.mapped_org_bigint()'
			ELSE 'clerk.mapped_bigint()' END END;
	IF caller IS NULL OR col.filled <> '' THEN
		RAISE EXCEPTION USING
			ERRCODE = CASE WHEN caller IS NULL THEN 'datatype_mismatch' ELSE 'wrong_object_type' END,
			MESSAGE = format('column %I of table %s cannot say whose a row is', column_name, tab),
			DETAIL = CASE WHEN caller IS NOT NULL THEN 'It is generated, so no default could fill it.'
				ELSE format('It is of type %s, and must be one of: text, character varying, uuid, bigint.',
					col.type) END;
	END IF;
	-- as PostgreSQL would print it, so that a policy can be compared with what it should be
	comparison := format(CASE WHEN col.is_base AND col.type <> 'character varying' THEN '(%I = %s)'
		ELSE '((%1$I)::%3$s = %2$s)' END,
		column_name, clerk_internal.once(caller), CASE col.type WHEN 'character varying' THEN 'text'
			ELSE col.type END);
END
$$;
COMMENT ON FUNCTION clerk_internal.caller_expression(regclass, name, boolean) IS
	'the function that says which value of a column is the caller''s, by its type, and the comparison with '
		'it; raises if there is none';

CREATE OR REPLACE FUNCTION clerk_internal.check_protectable(tab regclass, owner name, org name, admin_role text,
	role name) RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF tab IS NULL OR coalesce(owner, org) IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'null_value_not_allowed',
			MESSAGE = 'a table and its column of owners, or of organizations, must be given';
	ELSIF admin_role IS NOT NULL AND org IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'administrators are those of an organization, so its column must be given';
	ELSIF admin_role !~ '^(org:)?\w+$' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'no role of an organization is called so',
			HINT = 'Give its key, such as org:admin or admin.';
	ELSIF coalesce((SELECT relkind NOT IN ('r', 'p') FROM pg_class WHERE oid = tab), true) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'wrong_object_type',
			MESSAGE = format('%s is not a table', tab),
			DETAIL = 'Only tables have policies.';
	ELSIF to_regrole(quote_ident(role)) IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('role %s does not exist', coalesce(quote_ident(role), 'NULL')),
			HINT = 'Give the role of signed-in users, as in clerk.instances.';
	END IF;
END
$$;
COMMENT ON FUNCTION clerk_internal.check_protectable(regclass, name, name, text, name) IS
	'raises if clerk.protect() cannot protect a table so';

CREATE OR REPLACE FUNCTION clerk_internal.wanted_policies(tab regclass, owner name, org name, admin_role text)
	RETURNS TABLE (policy name, is_permissive boolean, command text, expression text)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	own constant text := CASE
		WHEN owner IS NOT NULL THEN (clerk_internal.caller_expression(tab, owner, false)).comparison END;
	of_org constant text := CASE
		WHEN org IS NOT NULL THEN (clerk_internal.caller_expression(tab, org, true)).comparison END;
	by_admin constant text := format('(%s AND %s)', of_org,
		clerk_internal.once(format('clerk.has_role(%L::text)', admin_role)));
	-- where rows have an owner, or there are administrators, members only read those of others
	shared constant boolean := owner IS NULL AND admin_role IS NULL;
BEGIN
	RETURN QUERY
		SELECT * FROM (VALUES
			('clerk_tenant'::name, false, 'ALL', of_org),
			('clerk_own', true, 'ALL', own),
			('clerk_member', true, CASE WHEN shared THEN 'ALL' ELSE 'SELECT' END, of_org),
			('clerk_member_insert', true, 'INSERT', CASE WHEN owner IS NULL AND NOT shared THEN of_org END),
			('clerk_admin_update', true, 'UPDATE', CASE WHEN admin_role IS NOT NULL THEN by_admin END),
			('clerk_admin_delete', true, 'DELETE', CASE WHEN admin_role IS NOT NULL THEN by_admin END)
		) AS wanted (policy, is_permissive, command, expression)
		WHERE wanted.expression IS NOT NULL;
END
$$;
COMMENT ON FUNCTION clerk_internal.wanted_policies(regclass, name, name, text) IS
	'the policies that clerk.protect() makes';

CREATE OR REPLACE FUNCTION clerk_internal.policy_changes(tab regclass, owner name, org name, admin_role text, role name)
	RETURNS SETOF text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH wanted AS (
		SELECT *, ARRAY[to_regrole(quote_ident(role))::oid] AS roles, true AS is_wanted
		FROM clerk_internal.wanted_policies(tab, owner, org, admin_role)
	), present AS (
		SELECT polname AS policy, polpermissive AS is_permissive,
			CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
				WHEN 'd' THEN 'DELETE' ELSE 'ALL' END AS command,
			CASE WHEN num_nulls(polqual, polwithcheck) = 1 THEN pg_get_expr(coalesce(polqual, polwithcheck),
				polrelid) END AS expression,
			polroles AS roles, true AS is_present,
			coalesce(obj_description(oid, 'pg_policy') = 'made by clerk.protect()', false) AS is_ours
		FROM pg_policy WHERE polrelid = tab
	)
	SELECT change.statement
	FROM wanted AS w FULL JOIN present AS p USING (policy, is_permissive, command, expression, roles),
		LATERAL (VALUES
			(1, is_wanted IS NULL AND is_ours, format('DROP POLICY %I ON %s', policy, tab)),
			(2, is_present IS NULL, format('CREATE POLICY %I ON %s%s FOR %s TO %I %s %s', policy, tab,
				CASE WHEN is_permissive THEN '' ELSE ' AS RESTRICTIVE' END, w.command, policy_changes.role,
				CASE w.command WHEN 'INSERT' THEN 'WITH CHECK' ELSE 'USING' END, w.expression)),
			(3, is_present IS NULL,
				format('COMMENT ON POLICY %I ON %s IS %L', policy, tab, 'made by clerk.protect()')),
			-- without its name, which could end the comment
			(4, is_wanted IS NULL AND NOT is_ours AND is_permissive,
				'-- there is a permissive policy of another name: these do not stop what it lets through')
		) AS change (ordinal, is_due, statement)
	WHERE change.is_due
	ORDER BY change.ordinal = 4, change.ordinal > 1, policy, change.ordinal
$$;
COMMENT ON FUNCTION clerk_internal.policy_changes(regclass, name, name, text, name) IS
	'the statements from the policies that a table has to those it is to have';

CREATE OR REPLACE FUNCTION clerk_internal.column_changes(tab regclass, column_name name, is_org boolean)
	RETURNS SETOF text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT statement
	FROM pg_attribute, clerk_internal.caller_expression(tab, column_name, is_org), LATERAL (VALUES
			(CASE WHEN (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = tab
				AND adnum = attnum) IS DISTINCT FROM caller
				THEN CASE WHEN clerk_internal.is_distributed_by(tab, attname)
					THEN '-- its rows are distributed by the column, so that it can get no default any more'
					ELSE format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s', tab, attname, caller)
				END END),
			(CASE WHEN NOT EXISTS (SELECT FROM pg_index WHERE indrelid = tab AND indisvalid
				AND indpred IS NULL AND indkey[0] = attnum)
				THEN format('CREATE INDEX ON %s (%I)', tab, attname) END)
		) AS change (statement)
	WHERE attrelid = tab AND attname = column_name AND statement IS NOT NULL
$$;
COMMENT ON FUNCTION clerk_internal.column_changes(regclass, name, boolean) IS
	'the statements that make a column be filled with the caller, and found by it';

CREATE OR REPLACE FUNCTION clerk.protect(tab regclass, owner name DEFAULT NULL, org name DEFAULT NULL,
	admin_role text DEFAULT NULL,
	role name DEFAULT 'authenticated', dry_run boolean DEFAULT true) RETURNS SETOF text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	statements text[];
	statement text;
BEGIN
	PERFORM clerk_internal.check_protectable(tab, owner, org, admin_role, role);
	statements := ARRAY(
		SELECT format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', tab) FROM pg_class WHERE oid = tab
			AND NOT relrowsecurity)
		|| ARRAY(SELECT clerk_internal.policy_changes(tab, owner, org, admin_role, role))
		|| ARRAY(SELECT clerk_internal.column_changes(tab, owner, false) WHERE owner IS NOT NULL)
		|| ARRAY(SELECT clerk_internal.column_changes(tab, org, true) WHERE org IS NOT NULL)
		|| ARRAY(SELECT clerk_internal.missing_grants(tab, '{SELECT,INSERT,UPDATE,DELETE}', role));
	FOREACH statement IN ARRAY statements LOOP
		IF NOT coalesce(dry_run, true) AND statement NOT LIKE '--%' THEN
			EXECUTE statement;
		END IF;
		RETURN NEXT statement;
	END LOOP;
END
$$;
COMMENT ON FUNCTION clerk.protect(regclass, name, name, text, name, boolean) IS
	'row-level security for a table whose rows belong to users, to organizations, or to both: the '
		'statements that are missing, which it runs unless dry_run';

--
-- code.sql
--		The code that requests run, followed to the end: policies, views, column defaults, constraints,
--		triggers and the functions that requests may call, and what those call in their turn. PostgreSQL
--		records what an expression and a body in BEGIN ATOMIC depend on; other bodies are read as text.
--
-- Uses shim, roles.
--

-- What belongs to whom.

CREATE OR REPLACE FUNCTION clerk_internal.is_platform_schema(schema oid) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT EXISTS (
		SELECT FROM pg_namespace
		WHERE oid = schema AND (nspname ~ '^(_realtime|_analytics|supabase_\w+)$'
			OR nspname IN ('storage', 'realtime', 'vault', 'graphql', 'graphql_public', 'pgbouncer',
				'extensions', 'pgsodium', 'pgsodium_masks', 'net', 'cron', 'pgmq')))
$$;
COMMENT ON FUNCTION clerk_internal.is_platform_schema(oid) IS
	'whether a schema is one that Supabase makes for its services, except auth, where people put functions '
	'of their own';

CREATE OR REPLACE FUNCTION clerk_internal.is_audited(catalog regclass, object oid, schema oid) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT schema::regnamespace::text !~ '^(pg_|(information_schema|clerk|clerk_internal)$)' AND NOT EXISTS (
		SELECT FROM pg_depend
		WHERE classid = catalog AND objid = object AND refclassid = 'pg_extension'::regclass
			AND deptype = 'e')
$$;
COMMENT ON FUNCTION clerk_internal.is_audited(regclass, oid, oid) IS
	'whether an object is the application''s, not PostgreSQL''s, ours or another extension''s';

-- By the catalog: to_regprocedure() raises where the schema may not be used.
CREATE OR REPLACE FUNCTION clerk_internal.auth_functions() RETURNS oid[]
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT ARRAY(
		SELECT oid FROM pg_proc
		WHERE pronamespace = to_regnamespace('auth')
			AND oid::regprocedure::text = ANY ('{auth.uid(),auth.jwt(),auth.role(),auth.email()}'))
$$;
COMMENT ON FUNCTION clerk_internal.auth_functions() IS
	'the functions of Supabase Auth: known, so that nobody needs to look into them';

CREATE OR REPLACE FUNCTION clerk_internal.is_unverified(function text) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT EXISTS (
		SELECT FROM unnest(clerk_internal.auth_functions()) AS known
		WHERE known::regprocedure::text = function AND NOT clerk_internal.is_auth_shim(known))
$$;
COMMENT ON FUNCTION clerk_internal.is_unverified(text) IS
	'whether a function of schema auth is not that of clerk.install_auth_shim()';

-- Code as text. A string or comment in which code could be seen stands as its number between the
-- characters 1 and 2 while the code is looked at or changed; a string also keeps its quotes.

CREATE OR REPLACE FUNCTION clerk_internal.mask_code(source text, OUT code text, OUT pieces text[])
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	opening constant text := '--|/\*|\m[eE]''|''|"|(?<![\w$])\$(?:[[:alpha:]_]\w*)?\$';
	rest text := coalesce(source, '');
	start integer;
	mark text;
	piece text;
BEGIN
	code := '';
	pieces := '{}';
	LOOP
		start := regexp_instr(rest, opening);
		EXIT WHEN start = 0;
		mark := regexp_substr(rest, opening);
		code := code || left(rest, start - 1);
		rest := substr(rest, start);
		-- what does not end is all the rest; a nested comment ends too early, so that it is read as code
		piece := coalesce(CASE
			WHEN mark = '--' THEN substring(rest FROM '^[^\n]*')
			WHEN mark = '/*' THEN substring(rest FROM '^/\*(?:[^*]|\*+[^*/])*\*+/')
			WHEN mark = '"' THEN substring(rest FROM '^"(?:[^"]|"")*"')
			WHEN mark = '''' THEN substring(rest FROM '^''(?:[^'']|'''')*''')
			WHEN mark IN ('e''', 'E''') THEN substring(rest FROM '^.''(?:[^''\\]|\\.|'''')*''')
			WHEN strpos(substr(rest, length(mark) + 1), mark) > 0
				THEN left(rest, strpos(substr(rest, length(mark) + 1), mark) + 2 * length(mark) - 1)
		END, rest);
		rest := substr(rest, length(piece) + 1);
		IF mark IN ('--', '/*') THEN
			pieces := pieces || piece;
			code := code || chr(1) || cardinality(pieces) || chr(2);
		ELSIF mark = '"' OR piece ~ '^''([^''();[:space:]]*|\{[^''();]*\})''$' THEN
			code := code || piece;
		ELSE
			pieces := pieces || piece;
			code := code || '''' || chr(1) || cardinality(pieces) || chr(2) || '''';
		END IF;
	END LOOP;
	code := code || rest;
END
$$;
COMMENT ON FUNCTION clerk_internal.mask_code(text) IS
	'SQL with its comments, and those of its strings that could hold code, taken out and numbered';

CREATE OR REPLACE FUNCTION clerk_internal.unmask_code(code text, pieces text[]) RETURNS text
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	FOR n IN 1 .. cardinality(pieces) LOOP
		code := replace(code, '''' || chr(1) || n || chr(2) || '''', pieces[n]);
		code := replace(code, chr(1) || n || chr(2), pieces[n]);
	END LOOP;
	RETURN code;
END
$$;
COMMENT ON FUNCTION clerk_internal.unmask_code(text, text[]) IS 'undoes clerk_internal.mask_code()';

-- Strings are queries where there is EXECUTE, or one of the functions that take a query.
CREATE OR REPLACE FUNCTION clerk_internal.dynamic_code(code text, pieces text[]) RETURNS text
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	RETURN (
		SELECT string_agg((clerk_internal.mask_code(CASE
				WHEN piece ^@ '$' THEN regexp_replace(piece, '^\$\w*\$|\$\w*\$\Z', '', 'g')
				ELSE replace(regexp_replace(piece, '^[eE]?''|''$', '', 'g'), '''''', '''') END)).code, '; ')
		FROM unnest(pieces) AS piece
		WHERE piece !~ '^(--|/\*)'
			AND code ~* '\m(execute|query_to_xml\w*|cursor_to_xml\w*|dblink\w*|ts_stat)\M');
END
$$;
COMMENT ON FUNCTION clerk_internal.dynamic_code(text, text[]) IS
	'the strings of masked code that it may run as queries; NULL: none';

-- Balanced to three levels, which is what people write in a cast or a scalar subquery.
CREATE OR REPLACE FUNCTION clerk_internal.plain_code(code text) RETURNS text
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	inner_text constant text := '(?:[^()]|\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))+';
	-- what may stand before a parenthesis and is no function
	word constant text := '(?:select|from|where|having|on|by|using|and|or|not|in|is|like|when|then|else|case|'
		'return|as|values)';
	rule record;
	was text;
BEGIN
	-- a comment, and any white space, is a space
	code := regexp_replace(code, '(?<!'')\x01\d+\x02|\s+', ' ', 'g');
	FOR round IN 1 .. 10 LOOP
		was := code;
		FOR rule IN
			SELECT * FROM (VALUES
				('  ', ' +', ' '),
				('[', '\s*\[\s*', '['),
				('.', '\s*\.\s*', '.'),
				('::', '\s*::\s*', '::'),
				('>', '\s*(->>?|#>>?)\s*', '\1'),
				('( ', '\( ', '('),
				(' ', ' ([)\],])', '\1'),
				(' (', '\m(?!' || word || '\M)(\w+) \(', '\1('),
				('"', '"([a-z_][a-z_0-9]*)"', '\1'),
				('pg_catalog', '\mpg_catalog\.', ''),
				('''::', '(''[^'']*'')::(?:text|character varying|varchar|name)\M(?!\[)', '\1'),
				('cast(', '\mcast\((' || inner_text || ') as ([\w ]+)\)', '(\1)::\2'),
				('(select', '\(select (' || inner_text || ') as (?:\w+|"[^"]*")\)', '(select \1)'),
				('(select', '\(select ((?:(?!\mfrom\M)[^()]|\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))+)\)',
					'(\1)'),
				('((', '(?<![\w"])\(\(((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)\)', '(\1)'),
				('))', '(?<![\w"])\((?!select\M)([\w.]+\((?:[^()]|\([^()]*\))*\))\)', '\1')
			) AS rules (needs, pattern, replacement)
		LOOP
			IF strpos(lower(code), rule.needs) > 0 THEN
				code := regexp_replace(code, rule.pattern, rule.replacement, 'gi');
			END IF;
		END LOOP;
		EXIT WHEN code IS NOT DISTINCT FROM was;
	END LOOP;
	RETURN code;
END
$$;
COMMENT ON FUNCTION clerk_internal.plain_code(text) IS
	'masked code in one spelling, to look for patterns in it: without comments, needless parentheses, '
	'spaces and scalar subqueries';

-- What code calls and reads.

CREATE OR REPLACE FUNCTION clerk_internal.recorded_calls(catalog oid, object oid) RETURNS oid[]
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	RETURN (
		SELECT ARRAY(
			SELECT refobjid FROM pg_depend
			WHERE classid = catalog AND objid = object AND refclassid = 'pg_proc'::regclass AND deptype = 'n'
			UNION
			SELECT oprcode FROM pg_depend JOIN pg_operator ON pg_operator.oid = refobjid
			WHERE classid = catalog AND objid = object AND refclassid = 'pg_operator'::regclass));
END
$$;
COMMENT ON FUNCTION clerk_internal.recorded_calls(oid, oid) IS
	'the functions that an object depends on, those of PostgreSQL itself left out';

CREATE OR REPLACE FUNCTION clerk_internal.recorded_reads(catalog oid, object oid) RETURNS oid[]
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	RETURN (
		SELECT ARRAY(
			SELECT DISTINCT refobjid FROM pg_depend
			WHERE classid = catalog AND objid = object AND refclassid = 'pg_class'::regclass
				AND deptype = 'n'));
END
$$;
COMMENT ON FUNCTION clerk_internal.recorded_reads(oid, oid) IS
	'the tables and views that an object depends on';

-- A node tree lists the tables of subqueries only, so that a table's own columns do not count.
CREATE OR REPLACE FUNCTION clerk_internal.subquery_reads(expression pg_node_tree) RETURNS oid[]
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	RETURN (
		SELECT ARRAY(SELECT DISTINCT relid[1]::oid FROM regexp_matches(expression::text, ':relid (\d+)',
			'g') AS relid WHERE relid[1] <> '0'));
END
$$;
COMMENT ON FUNCTION clerk_internal.subquery_reads(pg_node_tree) IS
	'the tables and views in the subqueries of an expression';

-- The search_path of the function decides, if it has one; else the nearest: its schema, public, any.
CREATE OR REPLACE FUNCTION clerk_internal.named_in(code text, is_call boolean, home oid, path name[]) RETURNS oid[]
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	RETURN (
		WITH spelled AS (
			SELECT DISTINCT m[1] AS schema, m[2] AS name
			FROM (VALUES ('("(?:[^"]|"")+"|[[:alpha:]_][\w$]*)')) AS one (word),
				regexp_matches(code, CASE WHEN is_call THEN '(?:' || word || '\.)?' || word || '\('
					ELSE '\m(?:from|join|update|into)(?: only)? (?:' || word || '\.)?' || word
						|| '(?![\w$."(])' END, 'gi') AS m
		), named AS (
			SELECT unquoted.* FROM spelled, LATERAL (
				SELECT CASE WHEN schema ^@ '"' THEN replace(btrim(schema, '"'), '""', '"')
					ELSE lower(schema) END,
					CASE WHEN name ^@ '"' THEN replace(btrim(name, '"'), '""', '"') ELSE lower(name) END
			) AS unquoted (schema, name)
		), candidates AS (
			SELECT named.name, object.oid, rank() OVER (PARTITION BY named.name, named.schema ORDER BY CASE
					WHEN named.schema IS NOT NULL OR path IS NOT NULL THEN 0
					WHEN object.schema = home THEN 1
					WHEN object.schema = to_regnamespace('public') THEN 2
					ELSE 3 END) AS distance
			FROM named JOIN (
				SELECT oid, proname AS name, pronamespace AS schema FROM pg_proc WHERE is_call
				UNION ALL
				SELECT oid, relname, relnamespace FROM pg_class WHERE NOT is_call AND relkind IN ('r', 'p',
					'v', 'f')
			) AS object ON object.name = named.name::name
			JOIN pg_namespace ON pg_namespace.oid = object.schema
			WHERE nspname NOT IN ('pg_catalog', 'information_schema')
				AND CASE WHEN named.schema IS NULL THEN coalesce(nspname = ANY (path), true)
					ELSE nspname = named.schema END
		)
		SELECT ARRAY(SELECT DISTINCT oid FROM candidates WHERE distance = 1));
END
$$;
COMMENT ON FUNCTION clerk_internal.named_in(text, boolean, oid, name[]) IS
	'the functions, or the tables and views, that plain code in a function of schema home names';

CREATE OR REPLACE FUNCTION clerk_internal.search_path_of(settings text[]) RETURNS name[]
	LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT ARRAY(SELECT btrim(schema, ' "') FROM regexp_split_to_table(substr(setting, 13),
		',') AS schema)::name[]
	FROM unnest(settings) AS setting WHERE setting ^@ 'search_path='
$$;
COMMENT ON FUNCTION clerk_internal.search_path_of(text[]) IS
	'the schemas in the search_path of a function; NULL: it has none';

DO $type$
BEGIN
	CREATE TYPE clerk_internal.code_item AS (
	kind text,
	id oid,
	tab oid,
	object text,
	chain text,
	starts text,
	code text,
	calls oid[],
	reads oid[]
);
EXCEPTION WHEN duplicate_object THEN
	NULL;
END
$type$;
COMMENT ON TYPE clerk_internal.code_item IS
	'code that requests run: a policy, view, default, generated column, constraint, trigger or function; '
	'what it is of; the name that findings give it; how requests get there, and from what kind of code; its '
	'plain text; which functions it calls, and which tables and views it reads';

CREATE OR REPLACE FUNCTION clerk_internal.expression_item(kind text, catalog oid, id oid, tab oid, object text,
	expression text, reads oid[])
	RETURNS clerk_internal.code_item
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	RETURN ROW(kind, id, tab, object, object, kind,
		clerk_internal.plain_code((clerk_internal.mask_code(expression)).code),
		clerk_internal.recorded_calls(catalog, id), reads);
END
$$;
COMMENT ON FUNCTION clerk_internal.expression_item(text, oid, oid, oid, text, text, oid[]) IS
	'the code of an expression, whose calls PostgreSQL records';

CREATE OR REPLACE FUNCTION clerk_internal.view_item(view oid, chain text, starts text) RETURNS clerk_internal.code_item
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	rule constant oid := (SELECT oid FROM pg_rewrite WHERE ev_class = view AND ev_type = '1');
BEGIN
	RETURN ROW('view'::text, view, view, format('view %s', view::regclass), chain, starts,
		clerk_internal.plain_code((clerk_internal.mask_code(pg_get_viewdef(view))).code),
		clerk_internal.recorded_calls('pg_rewrite'::regclass, rule),
		array_remove(clerk_internal.recorded_reads('pg_rewrite'::regclass, rule), view));
END
$$;
COMMENT ON FUNCTION clerk_internal.view_item(oid, text, text) IS 'the code of a view';

CREATE OR REPLACE FUNCTION clerk_internal.function_item(function oid, chain text, starts text)
	RETURNS clerk_internal.code_item
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	proc pg_proc;
	language name;
	masked record;
	plain text;
	path name[];
	calls oid[] := clerk_internal.recorded_calls('pg_proc'::regclass, function);
	reads oid[] := clerk_internal.recorded_reads('pg_proc'::regclass, function);
BEGIN
	SELECT * INTO proc FROM pg_proc WHERE oid = function;
	language := (SELECT lanname FROM pg_language WHERE oid = proc.prolang);
	IF language IN ('sql', 'plpgsql') THEN
		masked := clerk_internal.mask_code(coalesce(pg_get_function_sqlbody(function), proc.prosrc));
		plain := clerk_internal.plain_code(concat_ws('; ', masked.code,
			clerk_internal.dynamic_code(masked.code, masked.pieces)));
	ELSIF language NOT IN ('c', 'internal') THEN
		-- queries stand in strings there, which are quoted in other ways
		plain := clerk_internal.plain_code(proc.prosrc);
	END IF;
	IF proc.prosqlbody IS NULL AND plain IS NOT NULL THEN
		path := clerk_internal.search_path_of(proc.proconfig);
		calls := calls || clerk_internal.named_in(plain, true, proc.pronamespace, path);
		reads := reads || clerk_internal.named_in(plain, false, proc.pronamespace, path);
	END IF;
	RETURN ROW('function'::text, function, 0::oid, format('function %s', function::regprocedure), chain,
		starts,
		coalesce(plain, ''), calls, reads);
END
$$;
COMMENT ON FUNCTION clerk_internal.function_item(oid, text, text) IS 'the code of a function';

-- Where requests begin, in the order in which a function that several lead to is blamed on them.
CREATE OR REPLACE FUNCTION clerk_internal.first_code() RETURNS SETOF clerk_internal.code_item
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp ROWS 1000
	AS $$
	WITH tables AS MATERIALIZED (
		SELECT pg_class.oid, relkind, pg_class.oid::regclass AS tab
		FROM pg_class
		WHERE relkind IN ('r', 'p', 'v') AND clerk_internal.is_audited('pg_class', pg_class.oid, relnamespace)
			AND NOT clerk_internal.is_platform_schema(relnamespace)
			AND clerk_internal.roles_reaching(pg_class.oid, 'SELECT, INSERT, UPDATE, DELETE') IS NOT NULL
	), items AS MATERIALIZED (	-- so that each is made once
		SELECT 1, clerk_internal.expression_item('policy', 'pg_policy'::regclass, pg_policy.oid, polrelid,
			format('policy %I on %s', polname, polrelid::regclass),
			concat_ws('; ', pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)),
			clerk_internal.subquery_reads(polqual) || clerk_internal.subquery_reads(polwithcheck))
		FROM pg_policy JOIN pg_class ON pg_class.oid = polrelid
		WHERE clerk_internal.is_audited('pg_class', polrelid, relnamespace)
		UNION ALL
		SELECT 2, clerk_internal.view_item(oid, format('view %s', tab), 'view') FROM tables
			WHERE relkind = 'v'
		UNION ALL
		SELECT 3, clerk_internal.expression_item(CASE attgenerated WHEN '' THEN 'default'
			ELSE 'generated column' END,
			'pg_attrdef'::regclass, pg_attrdef.oid, adrelid,
			format('%s of %s.%I', CASE attgenerated WHEN '' THEN 'default' ELSE 'generated column' END, tab,
				attname),
			pg_get_expr(adbin, adrelid), '{}')
		FROM tables JOIN pg_attrdef ON adrelid = tables.oid JOIN pg_attribute ON attrelid = adrelid
			AND attnum = adnum
		UNION ALL
		SELECT 4, clerk_internal.expression_item('constraint', 'pg_constraint'::regclass, pg_constraint.oid,
			conrelid,
			format('constraint %I on %s', conname, tab), pg_get_expr(conbin, conrelid), '{}')
		FROM tables JOIN pg_constraint ON conrelid = tables.oid
		WHERE contype = 'c' AND coninhcount = 0
		UNION ALL
		SELECT 5, clerk_internal.expression_item('trigger', 'pg_trigger'::regclass, pg_trigger.oid, tgrelid,
			format('trigger %I on %s', tgname, tab), substring(pg_get_triggerdef(pg_trigger.oid)
				FROM ' WHEN (.*) EXECUTE '), '{}')
		FROM tables JOIN pg_trigger ON tgrelid = tables.oid
		WHERE NOT tgisinternal AND tgparentid = 0
		UNION ALL
		SELECT 6, clerk_internal.function_item(pg_proc.oid, format('a request → %s',
			pg_proc.oid::regprocedure),
			CASE WHEN prosecdef THEN 'definer' ELSE 'function' END)
		FROM pg_proc
		WHERE prokind IN ('f', 'p') AND prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
			AND clerk_internal.is_audited('pg_proc', pg_proc.oid, pronamespace)
			AND NOT clerk_internal.is_platform_schema(pronamespace)
			AND pg_proc.oid <> ALL (clerk_internal.auth_functions())
			AND clerk_internal.roles_calling(pg_proc.oid) IS NOT NULL
	)
	SELECT (item).* FROM items AS i (ordinal, item) ORDER BY ordinal, (item).object COLLATE "C"
$$;
COMMENT ON FUNCTION clerk_internal.first_code() IS
	'the code that requests run first: policies, what belongs to the tables and views they reach, and the '
	'functions they may call';

CREATE OR REPLACE FUNCTION clerk_internal.requested_code() RETURNS SETOF clerk_internal.code_item
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp ROWS 1000
	AS $$
DECLARE
	known oid[] := clerk_internal.auth_functions();
	seen oid[] := '{}';
	seen_views oid[] := '{}';
	waiting clerk_internal.code_item[];
	first clerk_internal.code_item;
	item clerk_internal.code_item;
	found oid;
BEGIN
	FOR first IN SELECT * FROM clerk_internal.first_code() LOOP
		CONTINUE WHEN first.id = ANY (CASE first.kind WHEN 'function' THEN seen WHEN 'view'
			THEN seen_views END);
		waiting := ARRAY[first];
		IF first.kind = 'function' THEN
			seen := seen || first.id;
		ELSIF first.kind = 'view' THEN
			seen_views := seen_views || first.id;
		END IF;
		WHILE cardinality(waiting) > 0 LOOP
			item := waiting[1];
			waiting := waiting[2:];
			RETURN NEXT item;
			FOR found IN
				SELECT pg_proc.oid FROM unnest(item.calls) AS called JOIN pg_proc ON pg_proc.oid = called
				WHERE pg_proc.oid <> ALL (known) AND pg_proc.oid <> ALL (seen)
					AND clerk_internal.is_audited('pg_proc', pg_proc.oid, pronamespace)
			LOOP
				seen := seen || found;
				waiting := waiting || clerk_internal.function_item(found,
					format('%s → %s', item.chain, found::regprocedure), item.starts);
			END LOOP;
			FOR found IN
				SELECT pg_class.oid FROM unnest(item.reads) AS read JOIN pg_class ON pg_class.oid = read
				WHERE relkind = 'v' AND pg_class.oid <> ALL (seen_views)
					AND clerk_internal.is_audited('pg_class', pg_class.oid, relnamespace)
			LOOP
				seen_views := seen_views || found;
				waiting := waiting || clerk_internal.view_item(found,
					format('%s → view %s', item.chain, found::regclass), item.starts);
			END LOOP;
		END LOOP;
	END LOOP;
END
$$;
COMMENT ON FUNCTION clerk_internal.requested_code() IS
	'all code that requests run, each function and view once, with the first way that leads there';

--
-- fixes.sql
--		Code that asks clerk.uid() and the like where it asked what is not verified, is never there,
--		or is spelled otherwise; and the statements that put it in the place of the old.
--
-- Uses code.
--

-- The rules run until nothing changes. They read what PostgreSQL prints, and near enough what
-- people write. Between them, <uid> and <org> stand for an id that was a uuid: where it is cast to
-- text the column holds Clerk's id, and where it stays a uuid the local one.
CREATE OR REPLACE FUNCTION clerk_internal.verified_code(code text, in_function boolean DEFAULT false,
	text_place text DEFAULT NULL)
	RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	-- %s: a pattern of names
	setting constant text := '\m(?:pg_catalog\.)?current_setting\s*\(\s*''%s''(?:::text)?\s*'
		'(?:,\s*(?:true|false)\s*)?\)';
	auth constant text := '"?\mauth"?\."?%s"?\s*\(\s*\)';
	-- that of install_auth_shim() stays: it is a local id, also as text
	auth_uid constant text :=
		CASE WHEN clerk_internal.is_unverified('auth.uid()') THEN format(auth, 'uid') END;
	auth_role constant text :=
		CASE WHEN clerk_internal.is_unverified('auth.role()') THEN format(auth, 'role') END;
	role constant text := CASE WHEN in_function
		-- CURRENT_USER is the owner of the last SECURITY DEFINER function
		THEN 'coalesce(nullif(current_setting(''role''), ''none''), session_user)'
			ELSE '(CURRENT_USER)::text' END;
	inside constant text := '(?:[^()]|\((?:[^()]|\([^()]*\))*\))+?';
	empty constant text := '''(?:\{\})?''(?:::\w+)?';
	json_text constant text := '\(clerk\.jwt\(\)\)::text';
	json constant text := '(?:\(clerk\.jwt\(\)\)::json|clerk\.jwt\(\))(?:::jsonb?)?';
	-- the same in a scalar subquery, in parentheses or bare
	claims constant text := format('(?:%1$s|(?<![\w"])\(\s*%1$s\s*\)|'
		'\(\s*select\s+%1$s(?:\s+as\s+\w+)?\s*\))', json);
	claim constant text := '\mclerk\.claim\s*\(\s*(?:variadic\s+array\[\s*)?';
	id constant text := '(clerk\.uid\(\)|clerk\.org_id\(\)|<uid>|<org>)';
	object constant text := '(?:o|act|(?:public_|private_|unsafe_|user_|app_)?metadata)(?:\.\w+)*';
	texts constant text := '(?:text|varchar|character varying)(?:\(\d+\))?(?!\w)';
	open constant text := '(?<![\w"])\(\s*';	-- not of a call
	of_select constant text := 'select\s+' || id || '(?:\s+as\s+\w+)?\s*\)';
	org_role constant text := '\mclerk\.org_role\(\)(?:(?:\s+as\s+org_role)?\s*\))?\s*';
	equals constant text := '(?:=|<>|!=)\s*';
	rule record;
	was text;
BEGIN
	FOR round IN 1 .. 10 LOOP
		was := code;
		-- each with a word without which it cannot match, since to look for that costs less
		FOR rule IN
			SELECT * FROM (VALUES
				('cast', '\mcast\s*\(\s*(' || inside || ')\s+as\s+(\w+)\s*\)', '(\1)::\2'),
				-- the settings of PostgREST, of this and older versions
				('setting', format(setting, 'request\.jwt\.claims?'), '(clerk.jwt())::text'),
				('setting', format(setting, 'request\.jwt\.claims?\.sub'), 'clerk.uid()'),
				('setting', format(setting, 'request\.jwt\.claims?\.(\w+)'), 'clerk.claim(''\1'')'),
				('nullif', '\mnullif\s*\(\s*\(?(' || json_text || '|clerk\.\w+\((?:''\w+'')?\))\)?\s*,\s*'
					|| empty || '\s*\)', '\1'),
				('coalesce', '\mcoalesce\s*\(\s*' || json_text || '\s*,\s*(?:' || json_text || '|' || empty
					|| ')\s*\)',
					'(clerk.jwt())::text'),
				('coalesce', '\mcoalesce\s*\(\s*clerk\.uid\(\)\s*,\s*\(?clerk\.uid\(\)\)?\s*\)',
					'clerk.uid()'),
				('::json', open || json_text || '\s*\)::jsonb', 'clerk.jwt()'),
				('::json', open || json_text || '\s*\)::json(?!b)', '(clerk.jwt())::json'),
				('::json', json_text || '::jsonb', 'clerk.jwt()'),
				('::json', json_text || '::json(?!b)', '(clerk.jwt())::json'),
				-- the functions of Supabase Auth
				('auth', auth_uid, '<uid>'),
				('auth', format(auth, 'jwt'), 'clerk.jwt()'),
				('auth', format(auth, 'email'), 'clerk.claim(''email''::text)'),
				('auth', auth_role, role),
				-- claims by name
				('''sub''', claims || '\s*->>\s*''sub''(?:::text)?', 'clerk.uid()'),
				('''sub''', claim || '''sub''(?:::text)?\s*\]?\s*\)', 'clerk.uid()'),
				('id''', claims || '\s*->>\s*''(?:org_id|o\.id)''(?:::text)?', 'clerk.org_id()'),
				('id}''', claims || '\s*#>>\s*''\{o[.,]\s*id\}''(?:::text\[\])?', 'clerk.org_id()'),
				('''o''', open || claims || '\s*->\s*''o''(?:::text)?\s*\)\s*->>\s*''id''(?:::text)?',
					'clerk.org_id()'),
				('''o''', claims || '\s*->\s*''o''\s*->>\s*''id''', 'clerk.org_id()'),
				('o.id', claim || '''o\.id''(?:::text)?\s*\]?\s*\)', 'clerk.org_id()'),
				('claim', '(' || claim || '(?:''\w+''(?:::text)?,\s*)*)''(' || object || ')\.(\w+)''',
					'\1''\2''::text, ''\3'''),
				('->', '(->>?)\s*''(' || object || ')\.(\w+)''(?:::text)?', '#\1 ''{\2,\3}''::text[]'),
				('#->', '#->', '#>'),
				('#>', '(#>>?\s*''\{(?:\w+,\s*)*)(' || object || ')\.(\w+)', '\1\2,\3'),
				('#>', '(#>>?\s*''\{(?:\w+,)*\w+)\.(\w+(?:,\w+)*\}''::text\[\])', '\1,\2'),
				-- parentheses and casts
				('(clerk.', '(?<![\w"]|[\w"]\s)\((clerk\.(?:uid|org_id)\(\))\)', '\1'),
				('((', '\(\(' || id || '\)\)', '(\1)'),
				('select', '(\mselect\s+)\(' || id || '\)(?!\s*::)', '\1\2'),
				('select', open || '\(\s*' || of_select || '\s*\)(?=\s*::)', '\1'),
				('select', open || of_select || '(?=\s*::)', '\1'),
				('::', open || id || '\s*\)(?=\s*::)', '\1'),
				('::', 'clerk\.uid\(\)\s*::\s*uuid', '<uid>'),
				('::', 'clerk\.org_id\(\)\s*::\s*uuid', '<org>'),
				('::', 'clerk\.uid\(\)\s*::\s*(?:bigint|int8)', 'clerk.mapped_bigint()'),
				('::', 'clerk\.org_id\(\)\s*::\s*(?:bigint|int8)', 'clerk.mapped_org_bigint()'),
				('<uid>', '<uid>\s*::\s*' || texts, 'clerk.uid()'),
				('<org>', '<org>\s*::\s*' || texts, 'clerk.org_id()'),
				('<uid>', '(' || text_place || ')<uid>(?=\s*\)?\s*(?:;|\Z|\minto\M|\mend\M))',
					'\1clerk.uid()'),
				('<uid>', '(\m(?:text|varchar)\s*(?::=|=|default)\s*)<uid>', '\1clerk.uid()'),
				('<uid>', '\(\s*select\s+<uid>(?:\s+as\s+\w+)?\s*\)\s+is\s+', 'clerk.uid() IS '),
				('<uid>', '<uid>\s+is\s+', 'clerk.uid() IS '),
				('<org>', '<org>\s+is\s+', 'clerk.org_id() IS '),
				-- the names of roles begin with org:
				('org_role', '(' || org_role || equals || ''')(?!org:)([^'':]+'')', '\1org:\2'),
				('org_role', '(?<!'')''(?!org:)([^'':]+''(?:::text)?\s*' || equals
					|| '(?:\(\s*select\s+)?clerk\.org_role\(\))',
					'''org:\1'),
				('org_role', '(' || org_role || '(?:' || equals
					|| '(?:any|all)\s*\(\s*\(?\s*array\[|(?:not\s+)?in\s*\()'
					|| '\s*(?:''org:[^'']*''(?:::text)?,\s*)*'')(?!org:)([^'':]+'')', '\1org:\2')
			) AS rules (needs, pattern, replacement)
			WHERE pattern IS NOT NULL
		LOOP
			IF strpos(lower(code), rule.needs) > 0 THEN
				code := regexp_replace(code, rule.pattern, rule.replacement, 'gi');
			END IF;
		END LOOP;
		EXIT WHEN code = was;
	END LOOP;
	RETURN replace(replace(code, '<uid>', 'clerk.mapped_id()'), '<org>', 'clerk.mapped_org_id()');
END
$$;
COMMENT ON FUNCTION clerk_internal.verified_code(text, boolean, text) IS
	'masked code that asks clerk.uid() and the like where it asked request.jwt.claims or the functions of '
	'Supabase Auth, and spells claims and roles as they are; whether it is in a function, and a pattern of '
	'what stands before a value that becomes text';

-- A uuid becomes text without a cast where a function returns it, or a trigger puts it into a column.
CREATE OR REPLACE FUNCTION clerk_internal.text_place(function oid) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	RETURN (
		SELECT CASE
			WHEN prorettype IN ('text'::regtype, 'varchar'::regtype) THEN '\m(?:return|select)\s+\(?'
			WHEN prorettype = 'trigger'::regtype THEN (
				SELECT '\mnew\.(?:' || string_agg(DISTINCT regexp_replace(attname, '\W', '\\\&', 'g'), '|')
					|| ')\s*:?=\s*'
				FROM pg_trigger JOIN pg_attribute ON attrelid = tgrelid
				WHERE tgfoid = function AND atttypid IN ('text'::regtype, 'varchar'::regtype) AND attnum > 0)
		END
		FROM pg_proc WHERE oid = function);
END
$$;
COMMENT ON FUNCTION clerk_internal.text_place(oid) IS
	'a pattern of what stands before a value that a function makes text';

-- A function that only hands on who the user is can be asked in its place where that is cast.
CREATE OR REPLACE FUNCTION clerk_internal.handing_on(value text) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT format('^ ?(?:declare (\w+)(?: constant)? [\w ]+ (?::=|=|default) \(*(%1$s)\)*; begin return \1'
		'|(?:begin )?(?:return|select) \(*(%1$s)\)*);? ?(?:end;?)? ?$', value)
$$;
COMMENT ON FUNCTION clerk_internal.handing_on(text) IS
	'the pattern of the plain code of a function that returns what a pattern matches, its second or third '
	'group, and nothing else';

CREATE OR REPLACE FUNCTION clerk_internal.call_pattern(function oid) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT format('(?:(?<![\w$])"?%s"?\.)?(?<![\w$])"?%s"?\s*\(',
		regexp_replace(replace(nspname, '"', '""'), '\W', '\\\&', 'g'),
			regexp_replace(replace(proname, '"', '""'), '\W', '\\\&', 'g'))
	FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace WHERE pg_proc.oid = function
$$;
COMMENT ON FUNCTION clerk_internal.call_pattern(oid) IS
	'the pattern of a call of a function, up to its arguments';

CREATE OR REPLACE FUNCTION clerk_internal.id_functions(items clerk_internal.code_item[])
	RETURNS TABLE (function oid, name text, asks text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH RECURSIVE short AS (
		SELECT item.id, item.calls, clerk_internal.call_pattern(item.id) || '\s*\)' AS name,
			clerk_internal.verified_code(item.code, text_place => clerk_internal.text_place(item.id)) AS code,
			-- it may cast a local id to text, but not an id that ought to be Clerk's
			item.code ~ '\mclerk\.mapped_' AS is_verified
		FROM unnest(items) AS item JOIN pg_proc ON pg_proc.oid = item.id
		WHERE item.kind = 'function' AND pronargs = 0 AND length(item.code) < 400
	), handed_on (id, name, asks) AS (
		SELECT short.id, short.name, CASE
			WHEN short.is_verified OR body.asks IN ('clerk.uid()', 'clerk.org_id()', 'auth.uid()')
				THEN body.asks
			WHEN body.asks = 'clerk.mapped_id()' THEN 'clerk.uid()::uuid'
			ELSE 'clerk.org_id()::uuid' END
		FROM short, regexp_match(short.code,
			clerk_internal.handing_on('clerk\.(?:uid|org_id|mapped_id|mapped_org_id)\(\)|auth\.uid\(\)'),
				'i') AS m,
			LATERAL (SELECT coalesce(m[2], m[3])) AS body (asks)
		WHERE body.asks IS NOT NULL
		UNION
		SELECT short.id, short.name, handed_on.asks
		FROM handed_on JOIN short ON short.calls = ARRAY[handed_on.id]
			AND short.code ~* clerk_internal.handing_on(handed_on.name)
	)
	SELECT * FROM handed_on
$$;
COMMENT ON FUNCTION clerk_internal.id_functions(clerk_internal.code_item[]) IS
	'the functions of the application that return the id of the user or organization and nothing else, the '
	'pattern of a call, and the expression that it stands for';

CREATE OR REPLACE FUNCTION clerk_internal.without_id_functions(code text, names text[], asks text[]) RETURNS text
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	FOR n IN 1 .. coalesce(cardinality(names), 0) LOOP
		code := regexp_replace(code, names[n]
			|| '(?=(?:\s+as\s+\w+)?[)\s]*(?:\s+as\s+\w+)?[)\s]*::\s*(?:text|varchar|character '
				'varying|uuid|bigint|int8)\M)', asks[n], 'gi');
	END LOOP;
	RETURN code;
END
$$;
COMMENT ON FUNCTION clerk_internal.without_id_functions(text, text[], text[]) IS
	'code in which what id_functions() has found is replaced where its result is cast';

-- Storage keeps the id of the token in owner_id; owner is of type uuid, so that no Clerk id is ever there.
CREATE OR REPLACE FUNCTION clerk_internal.is_storage(tab oid) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT tab IN (to_regclass('storage.objects'), to_regclass('storage.buckets')) $$;
COMMENT ON FUNCTION clerk_internal.is_storage(oid) IS
	'whether this is one of the tables of Supabase Storage that have an owner';

CREATE OR REPLACE FUNCTION clerk_internal.storage_code(code text) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	mapped constant text := '(?:clerk\.mapped_id\(\)|\( SELECT clerk\.mapped_id\(\) AS \w+\))';
BEGIN
	-- also that of install_auth_shim()
	code := regexp_replace(code, '\m(?:auth\.uid|clerk\.mapped_id)\(\)', 'clerk.uid()::uuid', 'g');
	code := clerk_internal.verified_code(code);
	code := regexp_replace(code, '(?<!\.)\mowner = ' || mapped, 'owner_id = clerk.uid()', 'g');
	RETURN regexp_replace(code, mapped || ' = owner(?!\w)', 'clerk.uid() = owner_id', 'g');
END
$$;
COMMENT ON FUNCTION clerk_internal.storage_code(text) IS
	'the masked code of a policy on storage.objects or storage.buckets, with Clerk''s id as the owner';

CREATE OR REPLACE FUNCTION clerk_internal.expression_with(expression text, tab oid, names text[], asks text[])
	RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	RETURN (
		SELECT clerk_internal.unmask_code(CASE WHEN clerk_internal.is_storage(tab)
			THEN clerk_internal.storage_code(asking)
			ELSE clerk_internal.verified_code(asking) END, masked.pieces)
		FROM clerk_internal.mask_code(expression) AS masked,
			clerk_internal.without_id_functions(masked.code, names, asks) AS asking
		WHERE expression IS NOT NULL);
END
$$;
COMMENT ON FUNCTION clerk_internal.expression_with(text, oid, text[], text[]) IS
	'an expression of a table that asks who is verified';

-- Each of these returns NULL where it knows no statement.

CREATE OR REPLACE FUNCTION clerk_internal.policy_with(policy oid, names text[], asks text[]) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	RETURN (
		SELECT format('ALTER POLICY %I ON %s', polname, polrelid::regclass)
			|| coalesce(' USING (' || clerk_internal.expression_with(pg_get_expr(polqual, polrelid), polrelid,
				names, asks) || ')', '')
			|| coalesce(' WITH CHECK (' || clerk_internal.expression_with(pg_get_expr(polwithcheck, polrelid),
				polrelid, names, asks) || ')', '')
		FROM pg_policy WHERE oid = policy);
END
$$;
COMMENT ON FUNCTION clerk_internal.policy_with(oid, text[], text[]) IS
	'the statement that makes a policy ask who is verified';

CREATE OR REPLACE FUNCTION clerk_internal.view_with(view oid, names text[], asks text[]) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	RETURN (
		SELECT format('CREATE OR REPLACE VIEW %s%s AS %s', oid::regclass,
			' WITH (' || (SELECT string_agg(format('%I = %L', option_name, option_value), ', ')
				FROM pg_options_to_table(reloptions)) || ')',
			rtrim(clerk_internal.expression_with(pg_get_viewdef(view), NULL, names, asks), ';'))
		FROM pg_class WHERE oid = view);
END
$$;
COMMENT ON FUNCTION clerk_internal.view_with(oid, text[], text[]) IS
	'the statement that makes a view ask who is verified';

CREATE OR REPLACE FUNCTION clerk_internal.default_with(attrdef oid, names text[], asks text[]) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	RETURN (
		SELECT format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s', adrelid::regclass, attname,
			clerk_internal.expression_with(pg_get_expr(adbin, adrelid), NULL, names, asks))
		FROM pg_attrdef JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
		WHERE pg_attrdef.oid = attrdef AND attgenerated = '');
END
$$;
COMMENT ON FUNCTION clerk_internal.default_with(oid, text[], text[]) IS
	'the statement that makes the default of a column ask who is verified; a generated column has none';

-- NOT VALID: the rows that are there are not the caller's.
CREATE OR REPLACE FUNCTION clerk_internal.constraint_with(con oid, names text[], asks text[]) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	RETURN (
		SELECT format('ALTER TABLE %1$s DROP CONSTRAINT %2$I, ADD CONSTRAINT %2$I CHECK (%3$s)%4$s NOT VALID',
			conrelid::regclass, conname,
			clerk_internal.expression_with(pg_get_expr(conbin, conrelid), NULL, names, asks), CASE
				WHEN connoinherit THEN ' NO INHERIT' ELSE '' END)
		FROM pg_constraint WHERE oid = con);
END
$$;
COMMENT ON FUNCTION clerk_internal.constraint_with(oid, text[], text[]) IS
	'the statement that makes a check constraint ask who is verified';

CREATE OR REPLACE FUNCTION clerk_internal.trigger_with(trigger oid, names text[], asks text[]) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	RETURN (
		SELECT regexp_replace(clerk_internal.expression_with(pg_get_triggerdef(trigger), NULL, names, asks),
			'^CREATE ', 'CREATE OR REPLACE ')
		FROM pg_trigger WHERE oid = trigger AND tgconstraint = 0);
END
$$;
COMMENT ON FUNCTION clerk_internal.trigger_with(oid, text[], text[]) IS
	'the statement that makes the condition of a trigger ask who is verified; a constraint trigger has none';

CREATE OR REPLACE FUNCTION clerk_internal.function_with(function oid, names text[], asks text[]) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	RETURN (
		SELECT CASE WHEN prosqlbody IS NULL THEN replace(definition, prosrc, becomes) ELSE becomes END
		FROM pg_proc JOIN pg_language ON pg_language.oid = prolang,
			pg_get_functiondef(function) AS definition,
			clerk_internal.mask_code(CASE WHEN prosqlbody IS NULL THEN prosrc ELSE definition END) AS masked,
			LATERAL (SELECT clerk_internal.unmask_code(clerk_internal.verified_code(
				clerk_internal.without_id_functions(masked.code, names, asks), true,
					clerk_internal.text_place(function)), masked.pieces)) AS body (becomes)
		WHERE pg_proc.oid = function AND prokind IN ('f', 'p') AND lanname IN ('sql', 'plpgsql')
			AND prosrc !~ '[\x01\x02]');
END
$$;
COMMENT ON FUNCTION clerk_internal.function_with(oid, text[], text[]) IS
	'the statement that makes a function ask who is verified; one in another language than SQL or PL/pgSQL '
	'has none';

CREATE OR REPLACE FUNCTION clerk_internal.code_with(item clerk_internal.code_item, names text[], asks text[])
	RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	RETURN CASE item.kind
		WHEN 'policy' THEN clerk_internal.policy_with(item.id, names, asks)
		WHEN 'view' THEN clerk_internal.view_with(item.id, names, asks)
		WHEN 'default' THEN clerk_internal.default_with(item.id, names, asks)
		WHEN 'constraint' THEN clerk_internal.constraint_with(item.id, names, asks)
		WHEN 'trigger' THEN clerk_internal.trigger_with(item.id, names, asks)
		WHEN 'function' THEN clerk_internal.function_with(item.id, names, asks)
	END;
END
$$;
COMMENT ON FUNCTION clerk_internal.code_with(clerk_internal.code_item, text[], text[]) IS
	'the statement that makes code ask who is verified; NULL: none is known';

--
-- audit.sql
--		What will not do what it seems to: code, tables, policies, functions, roles, instances. One
--		function for each kind; each finding has a statement that mends it, or a comment that says why
--		only you can. No comment holds a name, which could end it.
--
-- Uses library, instances, jobs, shim, track, supabase, upkeep, roles, citus, code, fixes.
--

-- Code

-- The one catalog of what code must not believe, or misspells. The patterns are for plain code. In
-- trusting code, which decides for others than the caller, it is an error even if it may be harmless.
CREATE OR REPLACE FUNCTION clerk_internal.misreadings()
	RETURNS TABLE (finding text, severity text, pattern text, detail text, advice text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT misreading.*
	FROM (
		SELECT string_agg(name, '|'), clerk_internal.is_unverified('auth.uid()')
		FROM unnest('{jwt,role,email}'::text[]) AS name
			WHERE clerk_internal.is_unverified(format('auth.%s()', name))
	) AS auth (unverified, uid_is_unverified), LATERAL (VALUES
		('auth-uid', 'error', CASE WHEN uid_is_unverified THEN '\mauth\.uid\(\)' END,
			'auth.uid() is not that of clerk.install_auth_shim(): it casts "sub" to uuid, which fails for '
			'Clerk ids, and verifies nothing',
			'-- write clerk.uid() or clerk.mapped_id() there by hand'),
		('sub-as-uuid', 'error',
			'(?:''(?:sub|org_id)''|''o''\)?->>''id''|''request\.jwt\.claims?\.sub''(?:, ?(?:true|false))?|'
				|| '\mclerk\.(?:uid|org_id)\()(?:[)\]]|, ?'''')*::uuid\M',
			'it casts a Clerk id such as user_2abc... to uuid, which fails',
			'-- write clerk.mapped_id() or clerk.mapped_org_id() there by hand'),
		('claim-path', 'error',
			'(?:->>?''|#>>?''\{(?:\w+,)*|\mclerk\.claim\((?:variadic array\[)?(?:''\w+'', ?)*'')'
				|| '(?:o|act|(?:public_|private_|unsafe_|user_|app_)?metadata)\.\w',
			'a claim is not found by a path with dots, so this is NULL always',
			'-- write clerk.org_id(), or clerk.claim() with a word for each step, there by hand'),
		('claims-of-user', 'error', '''\{?(?:unsafe|user)_metadata\M',
			'users write their own unsafe_metadata and user_metadata, so it lets them decide',
			'-- ask for what only you write: a claim made of public_metadata, a role, a permission or a '
			'table'),
		('org-role-name', 'error',
			'\mclerk\.org_role\(\) (?:=|<>|!=) ''(?!org:)[^'':]|''(?!org:)[^'':]+'' (?:=|<>|!=) '
			'clerk\.org_role\(\)|'
				|| '\mclerk\.org_role\(\) (?:(?:=|<>|!=) (?:any|all) ?\(+array\[|(?:not )?in '
					'\()(?:''org:[^'']*'', ?)*''(?!org:)[^'':]',
			'clerk.org_role() begins with org: always, so this is the same for everybody',
			'-- write org: before the name of the role, or clerk.has_role(), there by hand'),
		('unverified-claims', 'error', '\mcurrent_setting\(''request\.jwt\.' || coalesce('|\mauth\.(?:'
			|| unverified || ')\(\)', ''),
			'it believes request.jwt.claims, which whoever can run SQL can set',
			'-- write clerk.uid(), clerk.claim() or clerk.jwt() there by hand'),
		('id-as-text', 'notice',
			'(?:\mclerk\.mapped_(?:org_)?id\(\)' || CASE WHEN uid_is_unverified THEN ''
				ELSE '|\mauth\.uid\(\)' END
				|| ')\)*::(?:text|varchar|character varying)\M',
			'it compares the local id, a uuid, with text: of rows that hold Clerk''s id it finds none',
			'-- write clerk.uid() if the text is Clerk''s id, clerk.mapped_text() if it is the local one')
	) AS misreading (finding, severity, pattern, detail, advice)
	WHERE misreading.pattern IS NOT NULL
$$;
COMMENT ON FUNCTION clerk_internal.misreadings() IS
	'what clerk.audit() looks for in code: its finding, how bad that is, the pattern in plain code, what is '
	'wrong, and what to do where it knows no statement';

CREATE OR REPLACE FUNCTION clerk_internal.storage_owner_pattern() RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT format('(?:%1$s\)*(?:::text)? = \(*%2$s\M|%2$s\)*(?:::text)? = \(*%1$s)',
		'\m(?:auth\.uid|clerk\.mapped_id)\(\)', '(?<!\w)owner(?:_id)?')
$$;
COMMENT ON FUNCTION clerk_internal.storage_owner_pattern() IS
	'the pattern of a policy of Supabase Storage that compares an owner with a local id';

CREATE OR REPLACE FUNCTION clerk_internal.plain_statement(statement text) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	RETURN (
		SELECT clerk_internal.plain_code(concat_ws('; ', masked.code, clerk_internal.dynamic_code(masked.code,
			masked.pieces)))
		FROM clerk_internal.mask_code(regexp_replace(statement, '\$(function|procedure)x*\$', ' ',
			'g')) AS masked);
END
$$;
COMMENT ON FUNCTION clerk_internal.plain_statement(text) IS
	'a statement as plain code, with the body of a function that it makes';

CREATE OR REPLACE FUNCTION clerk_internal.is_trusted_setting(setting text) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	-- Realtime and Storage say with theirs what is asked for, not who asks
	SELECT setting !~ '\.' OR setting ~ '^(realtime|storage)\.'
		OR EXISTS (SELECT FROM pg_settings WHERE name = lower(setting) AND context <> 'user')
$$;
COMMENT ON FUNCTION clerk_internal.is_trusted_setting(text) IS
	'whether a setting may decide: PostgreSQL''s own, one that only superusers can set, or what Supabase''s '
	'services say of a request';

CREATE OR REPLACE FUNCTION clerk_internal.found_in(item clerk_internal.code_item, detail text) RETURNS text
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT CASE WHEN item.chain = item.object THEN detail ELSE format('%s: %s', item.chain,
		detail) END $$;
COMMENT ON FUNCTION clerk_internal.found_in(clerk_internal.code_item, text) IS
	'what is wrong with code, and how requests get there';

CREATE OR REPLACE FUNCTION clerk_internal.asking_functions(items clerk_internal.code_item[]) RETURNS SETOF oid
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH RECURSIVE asking (id) AS (
		SELECT item.id FROM unnest(items) AS item
		WHERE item.kind = 'function' AND (item.code ~* '\mcurrent_setting\(' OR EXISTS (
			SELECT FROM pg_proc WHERE oid = ANY (item.calls) AND provolatile <> 'i'
				AND (pronamespace = to_regnamespace('clerk') OR oid = ANY (clerk_internal.auth_functions()))))
		UNION
		SELECT item.id FROM asking JOIN unnest(items) AS item ON item.calls @> ARRAY[asking.id]
		WHERE item.kind = 'function'
	)
	SELECT id FROM asking
$$;
COMMENT ON FUNCTION clerk_internal.asking_functions(clerk_internal.code_item[]) IS
	'the functions of the application that ask who the caller is, themselves or through others';

CREATE OR REPLACE FUNCTION clerk_internal.audit_code(items clerk_internal.code_item[])
	RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH known AS MATERIALIZED (
		SELECT * FROM clerk_internal.misreadings()
		UNION ALL
		SELECT 'storage-owner', 'error', clerk_internal.storage_owner_pattern(),
			'Storage keeps Clerk''s id in owner_id, and nothing in owner, so this is never true',
			'-- compare owner_id with clerk.uid() there by hand'
	), handed_on AS MATERIALIZED (
		SELECT * FROM clerk_internal.id_functions(items)
	), unverified AS MATERIALIZED (
		SELECT function, CASE function::regprocedure::text WHEN 'auth.uid()' THEN 'auth-uid'
			ELSE 'unverified-claims' END AS finding
		FROM unnest(clerk_internal.auth_functions()) AS function
			WHERE clerk_internal.is_unverified(function::regprocedure::text)
	), code AS MATERIALIZED (
		SELECT ordinality AS n, ROW(i.kind, i.id, i.tab, i.object, i.chain, i.starts, i.code, i.calls,
			i.reads)::clerk_internal.code_item AS item,
			i.tab, i.calls, names, asks, clerk_internal.without_id_functions(i.code, names, asks) AS plain
		FROM unnest(items) WITH ORDINALITY AS i, LATERAL (
			SELECT array_agg(handed_on.name), array_agg(handed_on.asks) FROM handed_on
				WHERE handed_on.function = ANY (i.calls)
		) AS asked (names, asks)
	), matches AS MATERIALIZED (
		SELECT n, known.*, plain ~* pattern AS is_seen
		FROM known, code
		WHERE (plain ~* pattern OR EXISTS (SELECT FROM unverified WHERE unverified.finding = known.finding
			AND function = ANY (calls)))
			AND CASE finding WHEN 'storage-owner' THEN clerk_internal.is_storage(tab)
				WHEN 'id-as-text' THEN NOT (clerk_internal.is_storage(tab)
					AND plain ~* clerk_internal.storage_owner_pattern())
				ELSE true END
	), casting AS (
		-- a function that makes a uuid of who the caller is, in a way that is not known
		SELECT DISTINCT n
		FROM code JOIN clerk_internal.asking_functions(items) AS asking ON asking = ANY (calls)
		JOIN pg_proc ON pg_proc.oid = asking AND prorettype = 'uuid'::regtype
		WHERE asking NOT IN (SELECT function FROM handed_on)
			AND plain ~* (clerk_internal.call_pattern(asking)
				|| '[^()]*\)\)*::(?:text|varchar|character varying)\M')
	), mended AS MATERIALIZED (
		SELECT n, item, statement, clerk_internal.plain_statement(statement) AS becomes
		FROM code, clerk_internal.code_with(item, names, asks) AS statement
		WHERE n IN (SELECT n FROM matches WHERE is_seen AND severity = 'error')
	)
	SELECT CASE WHEN (code.item).starts = 'function' AND severity = 'error' THEN 'warning' ELSE severity END,
		finding, (code.item).object,
		clerk_internal.found_in(code.item, matches.detail),
		CASE WHEN is_seen AND severity = 'error' AND finding <> 'claims-of-user' AND becomes !~* pattern
			THEN statement ELSE advice END
	FROM matches JOIN code USING (n) LEFT JOIN mended USING (n)
	UNION ALL
	SELECT severity, finding, (item).object, clerk_internal.found_in(item, known.detail), advice
	FROM casting JOIN code USING (n), known WHERE finding = 'id-as-text'
$$;
COMMENT ON FUNCTION clerk_internal.audit_code(clerk_internal.code_item[]) IS
	'what clerk.audit() finds in code that asks who the user is';

CREATE OR REPLACE FUNCTION clerk_internal.audit_settings(items clerk_internal.code_item[])
	RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT DISTINCT CASE WHEN item.starts IN ('policy', 'view', 'definer') THEN 'error' ELSE 'warning' END,
		'custom-setting', item.object,
		clerk_internal.found_in(item, CASE WHEN literal IS NULL
			THEN 'it reads a setting whose name is put together there'
			ELSE format('it reads %s', literal) END || ', which whoever can run SQL can set'),
		'-- ask clerk.uid(), clerk.org_id(), clerk.claim() or a table there, which nobody can set'
	FROM unnest(items) AS item, regexp_matches(item.code, '\mcurrent_setting\((?:''([\w.]+)''[,)])?',
		'gi') AS read,
		LATERAL (VALUES (read[1])) AS setting (literal)
	WHERE coalesce(literal !~* '^request\.jwt\.' AND NOT clerk_internal.is_trusted_setting(literal), true)
$$;
COMMENT ON FUNCTION clerk_internal.audit_settings(clerk_internal.code_item[]) IS
	'what clerk.audit() finds in code that asks settings which anybody can set';

CREATE OR REPLACE FUNCTION clerk_internal.audit_presets(items clerk_internal.code_item[])
	RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH calls AS (	-- quotes in a string, as those of JSON, may have been taken away
		SELECT item, lower(call[1]) AS function, call[2] AS given, call[3] <> '' AS has_interval
		FROM unnest(items) AS item,
			regexp_matches(item.code, '\mclerk\.(has|has_reverified)\(''([^'']*)''(,?)', 'gi') AS call
	), words AS (
		SELECT item, 'has_reverified(%s)' AS place, given AS word,
			CASE WHEN has_interval THEN 'level' ELSE 'reverification' END AS kind
		FROM calls WHERE function = 'has_reverified'
		UNION ALL
		SELECT item, format('has() with "%s": %%s', member[1]), member[2], member[1]
		FROM calls, regexp_matches(given, '[{,]\s*"?(reverification|level)"?\s*:\s*"?(\w[^",}]*)', 'g')
			AS member
		WHERE function = 'has'
		UNION ALL
		SELECT item, '"%s"', member[1], 'member'
		FROM calls, regexp_matches(given, '[{,]\s*"?([^"{},:]+)"?\s*:', 'g') AS member
		WHERE function = 'has'
	)
	SELECT DISTINCT 'error', CASE kind WHEN 'member' THEN 'has-unknown' ELSE 'reverification-unknown' END,
		(item).object, clerk_internal.found_in(item, format(CASE kind
			WHEN 'member' THEN 'has() does not look at %s, and asks only for the rest; it knows: %s'
			ELSE replace(place, '%s', '%1$s') || ' is false always; it must be one of: %2$s' END,
			CASE WHEN word !~ '^\w*$' THEN '...' WHEN kind = 'member' THEN word ELSE quote_literal(word) END,
			array_to_string(known, ', '))),
		'-- write one of them there'
	FROM words, LATERAL (SELECT CASE kind
		WHEN 'level' THEN '{first_factor,second_factor,multi_factor}'
		WHEN 'reverification' THEN '{strict_mfa,strict,moderate,lax}'
		ELSE '{role,permission,feature,plan,reverification,level,afterMinutes}' END::text[]) AS names (known)
	WHERE word <> ALL (known)
$$;
COMMENT ON FUNCTION clerk_internal.audit_presets(clerk_internal.code_item[]) IS
	'what clerk.audit() finds that code asks of has() or has_reverified(), and Clerk does not know';

-- Who the caller is changes between two runs of a plan, in which a call of an IMMUTABLE function is a
-- constant.
CREATE OR REPLACE FUNCTION clerk_internal.audit_volatility(items clerk_internal.code_item[])
	RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT 'error', 'immutable-identity', item.object,
		clerk_internal.found_in(item, 'it is IMMUTABLE and asks who the caller is, so that a plan which is '
			'kept answers for the one before'),
		format('ALTER FUNCTION %s STABLE', pg_proc.oid::regprocedure)
	FROM clerk_internal.asking_functions(items) AS asking JOIN unnest(items) AS item ON item.kind = 'function'
		AND item.id = asking
	JOIN pg_proc ON pg_proc.oid = item.id
	WHERE prokind = 'f' AND provolatile = 'i'
$$;
COMMENT ON FUNCTION clerk_internal.audit_volatility(clerk_internal.code_item[]) IS
	'what clerk.audit() finds in functions that say they are IMMUTABLE';

CREATE OR REPLACE FUNCTION clerk_internal.audit_functions(items clerk_internal.code_item[])
	RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH callable AS MATERIALIZED (
		SELECT item.object, item.code, function, pg_proc.*,
			clerk_internal.roles_calling(pg_proc.oid) AS roles,
			item.code ~* '\mset_config\(''(request\.|clerk\.|role''|session_authorization'')' AS sets_identity
		FROM unnest(items) AS item JOIN pg_proc ON pg_proc.oid = item.id,
			CAST(item.id AS regprocedure) AS function
		WHERE item.kind = 'function'
	), revoked AS (
		SELECT *, format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC, %s', function, roles) AS statement
		FROM callable WHERE roles IS NOT NULL
	)
	SELECT 'error', 'definer-sets-identity', object,
		format('%s can call it, and it sets who the request is from with the rights of its owner', roles),
			statement
	FROM revoked
	WHERE prosecdef AND (sets_identity OR code ~* '\mset (local |session )?(request|clerk)\.'
		OR proconfig::text ~ '[{,"](request|clerk)\.')
	UNION ALL
	SELECT 'error', 'caller-sets-setting', object,
		format('%s can call it, and it sets what the caller says, such as who later requests of the '
			'connection are from', roles), statement
	FROM revoked
	WHERE pronargs > 0 AND (code ~* '\mset_config\((?!'')' OR (NOT prosecdef AND sets_identity))
	UNION ALL
	SELECT 'warning', 'definer-search-path', object,
		format('%s can call it, and it looks names up with the rights of its owner in whatever search_path '
			'the caller has', roles),
		format('ALTER ROUTINE %s SET search_path = pg_catalog, %s, pg_temp', function, (
			-- where no request can put a function of its own
			SELECT string_agg(quote_ident(nspname), ', ' ORDER BY pg_namespace.oid <> pronamespace, nspname)
			FROM pg_namespace
			WHERE pg_namespace.oid = pronamespace OR (nspname IN ('public', 'extensions') AND NOT EXISTS (
				SELECT FROM clerk_internal.api_roles() AS role WHERE has_schema_privilege(role,
					pg_namespace.oid, 'CREATE')))))
	FROM revoked
	WHERE prosecdef AND NOT EXISTS (SELECT FROM unnest(proconfig) AS setting WHERE setting ^@ 'search_path=')
$$;
COMMENT ON FUNCTION clerk_internal.audit_functions(clerk_internal.code_item[]) IS
	'what clerk.audit() finds in functions that requests can call';

-- Policies

CREATE OR REPLACE FUNCTION clerk_internal.audited_policies()
	RETURNS TABLE (id oid, tab regclass, object text, is_permissive boolean, is_public boolean,
		expression text, alter_policy text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT pg_policy.oid, polrelid::regclass, format('policy %I on %s', polname, polrelid::regclass),
		polpermissive, polroles = '{0}',
		concat_ws(' ', pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)),
		format('ALTER POLICY %I ON %s', polname, polrelid::regclass)
	FROM pg_policy JOIN pg_class ON pg_class.oid = polrelid
	WHERE clerk_internal.is_audited('pg_class', polrelid, relnamespace)
$$;
COMMENT ON FUNCTION clerk_internal.audited_policies() IS
	'the policies of the application, as clerk.audit() looks at them';

CREATE OR REPLACE FUNCTION clerk_internal.audit_policies() RETURNS TABLE (severity text, finding text, object text,
	detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT 'notice', 'policy-for-public', object, 'it is for every role, the anonymous one as well',
		alter_policy || ' TO ' || roles
	FROM clerk_internal.audited_policies(), (
		SELECT string_agg(quote_ident(role), ', ' ORDER BY role)
		FROM clerk_internal.api_roles() AS role
			WHERE role <> clerk_internal.anon_role()) AS signed_in (roles)
	WHERE is_permissive AND is_public AND roles IS NOT NULL
$$;
COMMENT ON FUNCTION clerk_internal.audit_policies() IS
	'what clerk.audit() finds in policies, their code apart';

CREATE OR REPLACE FUNCTION clerk_internal.audit_indexes() RETURNS TABLE (severity text, finding text, object text,
	detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT DISTINCT 'warning', 'index-missing', format('table %s', tab),
		format('policies compare %I with the caller, and no index begins with it', attname),
		format('CREATE INDEX ON %s (%I)', tab, attname)
	FROM (VALUES ('("(?:[^"]|"")+"|\w+)',
			'clerk\.(?:uid|org_id|mapped_(?:org_)?(?:id|bigint|text))\(\)'
		)) AS side (col, caller),
		LATERAL (VALUES ('(?:^|[( ])' || col || '\)?(?:::\w+)? = (?:\( SELECT )?' || caller),
			(caller || '(?: AS \w+\))? = \(?' || col || '(?![\w.])')) AS comparison (pattern),
		clerk_internal.audited_policies(), regexp_matches(expression, pattern, 'g') AS compared
	JOIN pg_attribute ON attnum > 0 AND quote_ident(attname) = compared[1]
	WHERE attrelid = tab AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = tab AND indisvalid
		AND indkey[0] = attnum)
$$;
COMMENT ON FUNCTION clerk_internal.audit_indexes() IS
	'what clerk.audit() finds missing for policies to be fast';

-- What the policies of a table read, as PostgreSQL expands them: the policies for SELECT of what is
-- in a subquery, unless it is read as a role for which they do not count.
CREATE OR REPLACE FUNCTION clerk_internal.policy_reads(items clerk_internal.code_item[])
	RETURNS TABLE (policy oid, tab oid, command "char", role name, read oid, in_query boolean)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH RECURSIVE item AS MATERIALIZED (
		SELECT i.kind, i.id, i.calls, i.reads, CASE WHEN prosecdef THEN proowner
			WHEN pg_class.oid IS NOT NULL AND NOT coalesce((SELECT option_value::boolean
				FROM pg_options_to_table(reloptions)
				WHERE option_name = 'security_invoker'), false) THEN relowner END AS owner
		FROM unnest(items) AS i LEFT JOIN pg_proc ON pg_proc.oid = i.id AND i.kind = 'function'
		LEFT JOIN pg_class ON pg_class.oid = i.id AND i.kind = 'view'
		WHERE i.kind IN ('policy', 'function', 'view')
	), reached (policy, kind, id, reader, in_query) AS (
		SELECT item.id, item.kind, item.id, NULL::oid, true FROM item WHERE item.kind = 'policy'
			AND (item.calls <> '{}' OR item.reads <> '{}')
		UNION
		SELECT reached.policy, next.kind, next.id,
			-- a view reads as its owner what it names, and calls as the caller
			CASE WHEN item.kind = 'function' OR next.kind <> 'function' THEN coalesce(item.owner,
				reached.reader) ELSE reached.reader END,
			reached.in_query AND next.kind <> 'function'
		FROM reached JOIN item ON item.kind = reached.kind AND item.id = reached.id, LATERAL (
			SELECT 'function', called FROM unnest(item.calls) AS called
			UNION ALL
			SELECT CASE relkind WHEN 'v' THEN 'view' ELSE 'table' END, oid FROM pg_class
				WHERE oid = ANY (item.reads)
		) AS next (kind, id)
	)
	SELECT DISTINCT reached.policy, polrelid, polcmd, asking.role, reached.id, reached.in_query
	FROM reached JOIN pg_policy ON pg_policy.oid = reached.policy JOIN pg_class ON pg_class.oid = reached.id
	LEFT JOIN pg_roles AS reader ON reader.oid = reached.reader,
		clerk_internal.api_roles() AS asking (role)
	WHERE reached.kind = 'table' AND relrowsecurity
		AND EXISTS (SELECT FROM unnest(polroles) AS member WHERE member = 0 OR pg_has_role(asking.role,
			member, 'USAGE'))
		AND (reader.oid IS NULL
			OR (NOT (reader.rolsuper OR reader.rolbypassrls OR (pg_has_role(reader.oid, relowner, 'USAGE')
				AND NOT relforcerowsecurity))
				AND EXISTS (SELECT FROM pg_policy AS p, unnest(p.polroles) AS member
					WHERE p.polrelid = reached.id AND (member = 0
						OR pg_has_role(reader.oid, member, 'USAGE')))))
$$;
COMMENT ON FUNCTION clerk_internal.policy_reads(clerk_internal.code_item[]) IS
	'the tables with policies that a policy reads for a role of requests, in its own query or in one of a '
	'function';

CREATE OR REPLACE FUNCTION clerk_internal.audit_recursion(items clerk_internal.code_item[])
	RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH RECURSIVE reads AS MATERIALIZED (
		SELECT * FROM clerk_internal.policy_reads(items)
	), step AS MATERIALIZED (
		SELECT DISTINCT role, tab, read, in_query FROM reads WHERE command IN ('r', '*')
	), way (role, tab, reached, in_query) AS (
		SELECT role, tab, read, in_query FROM step
		UNION
		SELECT way.role, way.tab, step.read, way.in_query AND step.in_query
		FROM way JOIN step ON step.role = way.role AND step.tab = way.reached
	), circle AS (
		SELECT DISTINCT ON (reads.policy) reads.policy, reads.tab, reads.read, reads.in_query
		FROM reads
		WHERE (reads.in_query OR reads.command IN ('r', '*'))
			AND (reads.read = reads.tab OR EXISTS (
				SELECT FROM way WHERE way.role = reads.role AND way.tab = reads.read
					AND way.reached = reads.tab
					AND (way.in_query OR reads.command IN ('r', '*'))))
			-- a policy for another command may read its own table, if those for SELECT read none
			AND EXISTS (SELECT FROM step WHERE step.role = reads.role AND step.tab = reads.tab
				AND (step.in_query OR NOT reads.in_query))
		ORDER BY reads.policy, reads.read <> reads.tab, reads.read
	)
	SELECT 'error', 'policy-recursion', item.object,
		format('%s → %s%s: it asks the table whose policy it is, and so itself, for which every query fails '
			'(42P17, or 54001 in a function)',
			item.object, read::regclass, CASE WHEN read <> circle.tab THEN format(' → %s',
				circle.tab::regclass) ELSE '' END),
		'-- let a SECURITY DEFINER function ask the table, whose owner its policies do not hold'
	FROM circle JOIN unnest(items) AS item ON item.kind = 'policy' AND item.id = circle.policy
$$;
COMMENT ON FUNCTION clerk_internal.audit_recursion(clerk_internal.code_item[]) IS
	'what clerk.audit() finds in policies that lead back to themselves';

-- Tables

-- Whose rows they are decides a table of the application that maps Clerk ids to local ids, or to
-- whatever policies look up in it.
CREATE OR REPLACE FUNCTION clerk_internal.id_tables(items clerk_internal.code_item[]) RETURNS TABLE (tab oid,
	columns name[])
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH asked AS (
		SELECT pg_class.oid AS tab, attname, attnum, relname, item.code
		FROM unnest(items) AS item, unnest(item.reads) AS read JOIN pg_class ON pg_class.oid = read, (VALUES
			('\mclerk\.(?:uid|mapped_id|mapped_bigint|mapped_text)\(\)|\mauth\.uid\(\)',
				'(?:(?:\w+|"[^"]+")\.)?("[^"]+"|\w+)')
		) AS side (caller, col), LATERAL (VALUES
			(col || '\)*(?:::\w+)? = \(*(?:' || caller || ')'), ('(?:' || caller || ')\)*(?:::\w+)? = \(*'
				|| col)
		) AS comparison (pattern), regexp_matches(item.code, pattern, 'gi') AS compared
		JOIN pg_attribute ON quote_ident(attname) IN (compared[1], lower(compared[1])) AND attnum > 0
		WHERE attrelid = pg_class.oid AND relkind IN ('r', 'p') AND pg_class.oid <> item.tab
			AND clerk_internal.is_audited('pg_class', pg_class.oid, relnamespace)
			AND EXISTS (SELECT FROM pg_index WHERE indrelid = pg_class.oid AND indisunique AND indnkeyatts = 1
				AND indkey[0] = attnum)
	), told AS (
		SELECT tgrelid AS tab, attname
		FROM pg_trigger, unnest(clerk_internal.tracked_columns(tgrelid)) AS attname
		WHERE tgfoid = 'clerk_internal.track_id()'::regprocedure
		UNION
		SELECT tab, attname FROM asked
		UNION
		SELECT tab, pg_attribute.attname
		FROM asked JOIN pg_index ON indrelid = tab AND indisprimary JOIN pg_attribute ON attrelid = tab
			AND pg_attribute.attnum = ANY (indkey)
		UNION
		SELECT tab, pg_attribute.attname
		FROM asked, regexp_matches(code, 'select (?:\w+\.)?("[^"]+"|\w+) from (?:only )?(?:\w+\.)?"?'
			|| regexp_replace(relname, '\W', '\\\&', 'g')
			|| '"?(?!\w)', 'gi') AS selected
		JOIN pg_attribute ON quote_ident(pg_attribute.attname) IN (selected[1], lower(selected[1]))
			AND pg_attribute.attnum > 0
		WHERE attrelid = tab
	)
	SELECT tab, array_agg(DISTINCT attname ORDER BY attname) FROM told GROUP BY tab
$$;
COMMENT ON FUNCTION clerk_internal.id_tables(clerk_internal.code_item[]) IS
	'the tables in which code looks up what belongs to a Clerk id, or that are tracked, and the columns '
	'that decide';

CREATE OR REPLACE FUNCTION clerk_internal.audit_ids(items clerk_internal.code_item[])
	RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH deciding AS MATERIALIZED (
		SELECT id_tables.*, (SELECT string_agg(quote_ident(col), ', ' ORDER BY col)
			FROM unnest(columns) AS col) AS list,
			(SELECT string_agg(regexp_replace(col, '\W', '\\\&', 'g'), '|')
				FROM unnest(columns) AS col) AS pattern
		FROM clerk_internal.id_tables(items)
	)
	SELECT 'error', 'ids-writable', format('table %s', tab::regclass),
		format('who a Clerk id is stands there, and %s can update one of: %s', roles, list),
		coalesce(clerk_internal.without_update(tab, columns),
			'-- take UPDATE of these columns from these roles, which have it as owners or members')
	FROM deciding, clerk_internal.roles_updating(tab, columns) AS roles
	WHERE roles IS NOT NULL
	UNION ALL
	SELECT 'error', 'ids-writable', item.object,
		format('%s can call it, and it updates one of the columns of table %s that say who a Clerk id is: %s',
			roles, deciding.tab::regclass, list),
		format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC, %s', pg_proc.oid::regprocedure, roles)
	FROM deciding, unnest(items) AS item JOIN pg_proc ON pg_proc.oid = item.id AND prosecdef,
		clerk_internal.roles_calling(pg_proc.oid) AS roles
	WHERE item.kind = 'function' AND item.reads @> ARRAY[deciding.tab] AND roles IS NOT NULL
		AND item.code ~* format('\m(?:update|do update set)\M(?:(?!\mwhere\M)[^;])*\m"?(?:%s)"? ?=', pattern)
$$;
COMMENT ON FUNCTION clerk_internal.audit_ids(clerk_internal.code_item[]) IS
	'what clerk.audit() finds in tables that say who a Clerk id is';

-- What Supabase's services keep for themselves, and have policies or none for as they need it.
CREATE OR REPLACE FUNCTION clerk_internal.is_platform_table(tab oid) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT EXISTS (
		SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace JOIN (VALUES
			('storage',
				'^(objects|buckets(_\w+)?|migrations|prefixes|s3_multipart_\w+|iceberg_\w+|vector_\w+)$'),
			('realtime', '^(messages(_\w+)?|subscription|schema_migrations|tenants|extensions)$'),
			('supabase_functions', '^(hooks|migrations)$')
		) AS platform (schema, pattern) ON nspname = schema AND relname ~ pattern
		WHERE pg_class.oid = tab)
$$;
COMMENT ON FUNCTION clerk_internal.is_platform_table(oid) IS
	'whether a table is one that Supabase''s services make';

CREATE OR REPLACE FUNCTION clerk_internal.protecting(tab oid) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT CASE count(*) WHEN 1 THEN format('SELECT clerk.protect(%L, owner => %L%s, dry_run => false)',
		tab::regclass, min(attname),
		CASE WHEN min(role) <> 'authenticated' THEN format(', role => %L', min(role)) END) END
	FROM pg_attribute, LATERAL (
		SELECT min(role) FROM clerk_internal.api_roles() AS role
			WHERE role <> clerk_internal.anon_role()) AS signed_in (role)
	WHERE attrelid = tab AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND role IS NOT NULL
		AND attname IN ('user_id', 'owner_id', 'owner', 'clerk_id', 'clerk_user_id')
		AND atttypid IN ('text'::regtype, 'varchar'::regtype, 'uuid'::regtype)
$$;
COMMENT ON FUNCTION clerk_internal.protecting(oid) IS
	'the call of clerk.protect() for a table in which one column says by its name whose a row is; NULL: '
	'none does, or several do';

CREATE OR REPLACE FUNCTION clerk_internal.audit_tables() RETURNS TABLE (severity text, finding text, object text,
	detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH tables AS MATERIALIZED (
		SELECT pg_class.*, pg_class.oid::regclass AS tab, EXISTS (SELECT FROM pg_policy
			WHERE polrelid = pg_class.oid) AS has_policy,
			clerk_internal.roles_reaching(pg_class.oid,
				CASE WHEN relkind IN ('r', 'p') THEN 'SELECT, INSERT, UPDATE, DELETE'
					ELSE 'SELECT' END) AS roles,
			clerk_internal.is_platform_table(pg_class.oid) AS is_platform,
			-- these the services leave to policies
			pg_class.oid IN (to_regclass('storage.objects'), to_regclass('storage.buckets'),
				to_regclass('realtime.messages')) AS is_shared
		FROM pg_class
		WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND clerk_internal.is_audited('pg_class', pg_class.oid,
			relnamespace)
	)
	SELECT 'error', 'rls-disabled', format('table %s', tab),
		format('%s can reach it, and row-level security is off%s', roles,
			CASE WHEN has_policy THEN ', so its policies do nothing' ELSE '' END),
		CASE WHEN relnamespace::regnamespace::text IN ('auth', 'vault')
			THEN format('REVOKE ALL ON %s FROM PUBLIC, %s', tab, roles)
			ELSE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', tab) END
	FROM tables
	WHERE relkind IN ('r', 'p') AND NOT relrowsecurity AND roles IS NOT NULL
		AND (is_shared OR NOT is_platform)
	UNION ALL
	SELECT 'warning', 'rls-without-policy', format('table %s', tab),
		format('%s can reach it, and sees no row, as it has no policy', roles),
		coalesce(clerk_internal.protecting(oid),
			'-- say whose its rows are: clerk.protect() takes the column; or take the privileges back')
	FROM tables
	WHERE relkind IN ('r', 'p') AND relrowsecurity AND NOT has_policy AND roles IS NOT NULL
		AND NOT is_platform AND relnamespace::regnamespace::text NOT IN ('auth', 'vault')
	UNION ALL
	SELECT 'error', 'view-of-owner', format('view %s', tab),
		format('%s can read it, and it reads with the rights of its owner, for whom policies may not count',
			roles),
		format('ALTER VIEW %s SET (security_invoker = true)', tab)
	FROM tables
	WHERE relkind = 'v' AND roles IS NOT NULL
		AND NOT EXISTS (SELECT FROM pg_options_to_table(reloptions) WHERE option_name = 'security_invoker'
			AND option_value::boolean)
	UNION ALL
	SELECT 'error', CASE relkind WHEN 'm' THEN 'materialized-view' ELSE 'foreign-table' END,
		format('%s %s', CASE relkind WHEN 'm' THEN 'materialized view' ELSE 'foreign table' END, tab),
		format('%s can read it, and it cannot have policies', roles),
			format('REVOKE ALL ON %s FROM PUBLIC, %s', tab, roles)
	FROM tables WHERE relkind IN ('m', 'f') AND roles IS NOT NULL
	UNION ALL
	SELECT 'error', 'role-owns-table', format('table %s', tab),
		format('role %I owns it, so no policy counts for that role', role),
		format('ALTER TABLE %s OWNER TO %I', tab, current_user)
	FROM tables, clerk_internal.api_roles() AS role, pg_roles
	WHERE relkind IN ('r', 'p') AND NOT relforcerowsecurity AND rolname = role AND NOT rolsuper
		AND pg_has_role(role, relowner, 'USAGE')
$$;
COMMENT ON FUNCTION clerk_internal.audit_tables() IS 'what clerk.audit() finds in tables and views';

-- A trigger is code of whoever made it, and runs as who writes to the table.
CREATE OR REPLACE FUNCTION clerk_internal.audit_grants() RETURNS TABLE (severity text, finding text, object text,
	detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH granted AS (
		SELECT c.oid::regclass AS tab, acl.grantee, acl.privilege_type, relname
		FROM pg_class AS c, aclexplode(relacl) AS acl
		WHERE relnamespace IN (to_regnamespace('clerk'), to_regnamespace('clerk_internal'))
			AND relkind IN ('r', 'v', 'S')
			AND acl.grantee <> relowner
		UNION
		SELECT c.oid::regclass, acl.grantee, acl.privilege_type, relname
		FROM pg_class AS c JOIN pg_attribute ON attrelid = c.oid, aclexplode(attacl) AS acl
		WHERE relnamespace IN (to_regnamespace('clerk'), to_regnamespace('clerk_internal'))
			AND relkind IN ('r', 'v')
			AND acl.grantee <> relowner
	), named AS (
		SELECT *, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END AS grantee_name,
			grantee = 0 OR EXISTS (SELECT FROM clerk_internal.api_roles() AS role WHERE pg_has_role(role,
				grantee, 'USAGE')) AS is_api
		FROM granted
	)
	SELECT 'error', 'clerk-table-granted', format('table %s', tab),
		format('%s has %s on it, and could decide who is signed in, or read a secret', grantee_name,
			string_agg(privilege_type, ', ' ORDER BY privilege_type)),
		format('REVOKE %s ON %s FROM %s', string_agg(privilege_type, ', ' ORDER BY privilege_type), tab,
			grantee_name)
	FROM named
	WHERE privilege_type IN ('TRIGGER', 'REFERENCES')
		OR (is_api AND (privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE') OR relname ~ 'secret'))
	GROUP BY tab, grantee_name
$$;
COMMENT ON FUNCTION clerk_internal.audit_grants() IS
	'what clerk.audit() finds in the privileges on our own tables';

CREATE OR REPLACE FUNCTION clerk_internal.audit_extensions() RETURNS TABLE (severity text, finding text, object text,
	detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT severity, 'extension-writable', format('extension %s', extension), consequence || ': ' || writers,
		coalesce(clerk_internal.without_extension_writers(extension),
			'-- give what it has made to a superuser')
	FROM (VALUES
		('http', 'error', 'others could answer in its place when it fetches keys'),
		('pg_net', 'warning', 'others could choose the keys that it fetches, so it is not used'),
		('pg_cron', 'error', 'others could change the jobs that it runs')
	) AS used (extension, severity, consequence), clerk_internal.extension_writers(extension) AS writers
	WHERE writers IS NOT NULL
		-- of the two that fetch, this is used only where the other is not
		AND NOT (extension = 'pg_net' AND clerk_internal.extension_schema('http') IS NOT NULL)
$$;
COMMENT ON FUNCTION clerk_internal.audit_extensions() IS
	'what clerk.audit() finds in the extensions that fetch keys and run jobs';

-- Roles and instances

CREATE OR REPLACE FUNCTION clerk_internal.audit_roles() RETURNS TABLE (severity text, finding text, object text,
	detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT 'error', 'role-bypasses-rls', format('role %I', rolname),
		CASE WHEN rolsuper THEN 'it is a superuser' ELSE 'it has BYPASSRLS' END
			|| ', so no policy counts for it',
		format('ALTER ROLE %I NOSUPERUSER NOBYPASSRLS', rolname)
	FROM pg_roles WHERE rolname IN (SELECT clerk_internal.api_roles()) AND (rolsuper OR rolbypassrls)
	UNION ALL
	SELECT 'error', 'role-missing', format('role %I', role), said_by || ' names it, and it does not exist',
		format('CREATE ROLE %I', role)
	FROM (
		SELECT clerk_internal.anon_role(), 'clerk.anon_role'
		UNION ALL
		SELECT instance.role, format('instance %s', instance.issuer) FROM clerk.instances AS instance
	) AS named (role, said_by)
	WHERE role <> '' AND to_regrole(quote_ident(role)) IS NULL
	UNION ALL
	SELECT CASE WHEN rolname IS NULL OR rolname IN (SELECT clerk_internal.api_roles()) THEN 'error'
		ELSE 'warning' END,
		'trust-request-claims', format('%s %I', kind, name),
			'clerk.trust_request_claims is on there: whoever can run SQL can be anybody',
		format('ALTER %s %I%s RESET clerk.trust_request_claims', upper(kind), name, ' IN DATABASE '
			|| quote_ident(only_in))
	FROM pg_db_role_setting LEFT JOIN pg_roles AS role ON role.oid = setrole LEFT
		JOIN pg_database AS database ON database.oid = setdatabase,
		LATERAL (SELECT CASE setrole WHEN 0 THEN 'database' ELSE 'role' END, coalesce(rolname, datname),
			CASE WHEN setrole <> 0 THEN datname END) AS place (kind, name, only_in)
	WHERE (setdatabase = 0 OR datname = current_database()) AND EXISTS (
		SELECT FROM unnest(setconfig) AS value
			WHERE value ~* '^clerk\.trust_request_claims=(on|t|tr|tru|true|y|ye|yes|1)$')
$$;
COMMENT ON FUNCTION clerk_internal.audit_roles() IS 'what clerk.audit() finds in roles and their settings';

CREATE OR REPLACE FUNCTION clerk_internal.audit_instances() RETURNS TABLE (severity text, finding text, object text,
	detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT 'warning', 'authorized-parties-missing', format('instance %s', instance.issuer),
		'a token that was made for any other site of the instance counts',
		'-- only you know the origins of your application: UPDATE clerk.instances SET authorized_parties'
	FROM clerk.instances AS instance WHERE instance.authorized_parties IS NULL
	UNION ALL
	SELECT 'warning', 'legacy-template-expired', format('instance %s', instance.issuer),
		'legacy_template_until is over, so that the tokens of its old template are refused',
		format('UPDATE clerk.instances SET legacy_template_until = NULL WHERE issuer = %L', instance.issuer)
	FROM clerk.instances AS instance WHERE instance.legacy_template_until <= now()
$$;
COMMENT ON FUNCTION clerk_internal.audit_instances() IS
	'what clerk.audit() finds in the settings of instances';

CREATE OR REPLACE FUNCTION clerk_internal.audit_health() RETURNS TABLE (severity text, finding text, object text,
	detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH can AS (
		SELECT clerk_internal.extension_schema('http') IS NOT NULL
				OR (clerk_internal.extension_schema('pg_net') IS NOT NULL
					AND clerk_internal.extension_writers('pg_net') IS NULL) AS fetches,
			clerk_internal.extension_schema('pg_cron') IS NOT NULL AS schedules,
			EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND deptype = 'n'
				AND refclassid = 'pg_proc'::regclass
					AND refobjid = to_regprocedure('clerk.webhook(json)')) AS receives,
			to_regrole(quote_ident(clerk_internal.anon_role())) IS NOT NULL
				AND to_regnamespace('public') IS NOT NULL
				AND to_regprocedure('public.clerk_webhook(json)') IS NULL AS exposes
	), fetching AS (
		SELECT CASE WHEN fetches THEN 'SELECT clerk.refresh_jwks(%L)'
			ELSE '-- nothing in the database can fetch them: the error of clerk.refresh_jwks() says how a '
				'shell can' END AS fix
		FROM can
	)
	SELECT 'error', 'keys-missing', format('instance %s', health.issuer),
		'it has no key, so none of its tokens can be verified',
		format(fetching.fix, health.issuer)
	FROM clerk.health() AS health, fetching WHERE health.current_keys + health.retiring_keys = 0
	UNION ALL
	SELECT 'warning', 'refresh-failing', format('instance %s', health.issuer),
		format('fetching its keys has failed: %s', health.refresh_failure), format(fetching.fix,
			health.issuer)
	FROM clerk.health() AS health, fetching WHERE health.refresh_failure IS NOT NULL
	UNION ALL
	SELECT 'notice', 'keys-unattended', format('instance %s', health.issuer),
		'its newest key is older than 90 days, and nothing in the database fetches keys',
		CASE WHEN fetches AND schedules THEN format('SELECT clerk.schedule_jwks_refresh(%L)', '5 minutes')
			ELSE '-- let something fetch them: pg_cron with the extension http or pg_net, or cron' END
	FROM clerk.health() AS health, can
	WHERE health.newest_key_age > interval '90 days'
		AND coalesce(health.refreshed_at < now() - interval '1 day', true)
	UNION ALL
	SELECT 'notice', 'webhook-silent', format('instance %s', health.issuer),
		'it has a secret for webhooks, and none has ever come: send an example from Clerk''s Dashboard',
		CASE WHEN exposes AND NOT receives THEN format('SELECT clerk.expose_webhook(%L)', 'public')
			ELSE '-- see whether the Dashboard has the address of the function that calls clerk.webhook()' END
	FROM clerk.health() AS health, can WHERE health.webhook_secrets > 0 AND health.last_event_at IS NULL
$$;
COMMENT ON FUNCTION clerk_internal.audit_health() IS
	'what clerk.audit() finds in the keys and webhooks of instances';

-- SECURITY DEFINER: the owner of the database need not be allowed to read the tables of clerk.
CREATE OR REPLACE FUNCTION clerk.audit() RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	items clerk_internal.code_item[];
BEGIN
	PERFORM clerk.is_authenticated();	-- loads the library, which knows the setting
	items := ARRAY(SELECT item FROM clerk_internal.requested_code() AS item);
	RETURN QUERY
		SELECT f.* FROM (
			SELECT * FROM clerk_internal.audit_code(items)
			UNION ALL SELECT * FROM clerk_internal.audit_settings(items)
			UNION ALL SELECT * FROM clerk_internal.audit_presets(items)
			UNION ALL SELECT * FROM clerk_internal.audit_flavour()
			UNION ALL SELECT * FROM clerk_internal.audit_volatility(items)
			UNION ALL SELECT * FROM clerk_internal.audit_functions(items)
			UNION ALL SELECT * FROM clerk_internal.audit_policies()
			UNION ALL SELECT * FROM clerk_internal.audit_indexes()
			UNION ALL SELECT * FROM clerk_internal.audit_recursion(items)
			UNION ALL SELECT * FROM clerk_internal.audit_ids(items)
			UNION ALL SELECT * FROM clerk_internal.audit_tables()
			UNION ALL SELECT * FROM clerk_internal.audit_grants()
			UNION ALL SELECT * FROM clerk_internal.audit_extensions()
			UNION ALL SELECT * FROM clerk_internal.audit_supabase()
			UNION ALL SELECT * FROM clerk_internal.audit_citus()
			UNION ALL SELECT * FROM clerk_internal.audit_roles()
			UNION ALL SELECT * FROM clerk_internal.audit_instances()
			UNION ALL SELECT * FROM clerk_internal.audit_health()
		) AS f
		ORDER BY array_position('{error,warning,notice}', f.severity), f.finding COLLATE "C",
			f.object COLLATE "C", f.fix COLLATE "C";
END
$$;
COMMENT ON FUNCTION clerk.audit() IS
	'what will not do what it seems to: code, tables, policies, functions, roles and instances, each with a '
	'statement that mends it, or a comment that says why only you can';

--
-- doctor.sql
--		What must be right before going live: instances, roles, PostgREST, the server.
--
-- Uses library, instances, stats, supabase, upkeep, roles, audit.
--

CREATE OR REPLACE FUNCTION clerk_internal.doctor_instances() RETURNS TABLE (subject text, outcome text, advice text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH instance AS (
		SELECT i.issuer, i.publishable_key, i.authorized_parties, health.*,
			(SELECT sum(s.tokens) FROM clerk.stats AS s
				WHERE s.issuer = i.issuer AND s.reason = 'token-invalid-authorized-parties') AS wrong_parties
		FROM clerk.instances AS i JOIN clerk.health() AS health (id) ON health.id = i.issuer
	)
	SELECT 'instances: none', 'error', 'Register one: SELECT clerk.add_instance(''pk_live_...'')'
	WHERE NOT EXISTS (SELECT FROM clerk.instances)
	UNION ALL
	SELECT * FROM (
		SELECT format('keys of %s: %s current, %s retiring', issuer, current_keys, retiring_keys), CASE
				WHEN current_keys + retiring_keys = 0 THEN 'error'
				WHEN unknown_kid_at > greatest(refreshed_at, now() - interval '1 day') THEN 'warning'
				ELSE 'ok' END, CASE
				WHEN current_keys + retiring_keys = 0
					THEN format('Load them: SELECT * FROM clerk.refresh_jwks(%L)', issuer)
				WHEN unknown_kid_at > greatest(refreshed_at, now() - interval '1 day')
					THEN format('A token named a key that is not here: SELECT * FROM clerk.refresh_jwks(%L)',
						issuer) END
		FROM instance ORDER BY issuer) AS keys
	UNION ALL
	SELECT * FROM (
		SELECT format('refresh of the keys of %s', issuer), CASE
				WHEN refresh_failure IS NOT NULL THEN 'error'
				WHEN coalesce(refreshed_at < now() - interval '1 day', true) THEN 'warning'
				ELSE 'ok' END, CASE
				WHEN refresh_failure IS NOT NULL THEN format('Fetching them has failed: %s', refresh_failure)
				WHEN coalesce(refreshed_at < now() - interval '1 day', true)
					THEN 'Nothing in the database has fetched them for a day, so a new key locks people out: '
						|| 'SELECT clerk.schedule_jwks_refresh(''5 minutes''), or load them from cron' END
		FROM instance ORDER BY issuer) AS refreshes
	UNION ALL
	SELECT * FROM (
		SELECT format('authorized parties of %s: %s', issuer,
			coalesce(array_to_string(authorized_parties, ', '), 'any')), CASE
				WHEN authorized_parties IS NULL OR wrong_parties > 0 THEN 'warning' ELSE 'ok' END, CASE
				WHEN authorized_parties IS NULL
					THEN 'A token that was made for any other site counts: set authorized_parties of the '
						|| 'instance to the origins of your application'
				WHEN wrong_parties > 0
					THEN format('%s tokens were made for another site and refused: whose was it?',
						wrong_parties) END
		FROM instance ORDER BY issuer) AS parties
	UNION ALL
	SELECT * FROM (
		SELECT format('webhooks of %s', issuer), CASE
				WHEN webhook_secrets = 0 OR coalesce(last_event_at < now() - interval '7 days', true)
					THEN 'warning' ELSE 'ok' END, CASE
				WHEN webhook_secrets = 0
					THEN 'It has no secret, so bans and logouts come only when a token expires: '
					|| 'SELECT clerk.expose_webhook(''public''), and clerk.add_webhook_secret()'
				WHEN last_event_at IS NULL THEN 'None has ever come: send an example from Clerk''s Dashboard'
				WHEN last_event_at < now() - interval '7 days'
					THEN 'None has come for a week: look at the endpoint in Clerk''s Dashboard' END
		FROM instance ORDER BY issuer) AS webhooks
	UNION ALL
	SELECT * FROM (
		SELECT format('development instance %s', issuer), 'warning',
			format('Whoever signs up there is a user here: SELECT clerk.drop_instance(%L)', issuer)
		FROM instance WHERE publishable_key ^@ 'pk_test_' OR issuer ~ '\.clerk\.accounts\.dev/?$'
			ORDER BY issuer) AS development
	UNION ALL
	SELECT 'clerk_rls_test', 'error', 'It signs in anybody: DROP ' || CASE
			WHEN EXISTS (SELECT FROM pg_extension WHERE extname = 'clerk_rls_test')
			THEN 'EXTENSION clerk_rls_test' ELSE 'SCHEMA clerk_test CASCADE' END
	WHERE to_regclass('clerk_test.private_key') IS NOT NULL
$$;
COMMENT ON FUNCTION clerk_internal.doctor_instances()
	IS 'what clerk.doctor() says of instances, their keys and webhooks';

CREATE OR REPLACE FUNCTION clerk_internal.authenticators() RETURNS TABLE (role name, seen text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH connected AS (
		-- PostgREST says its name in some versions, and listens for changes in all
		SELECT usename, 'connected'
			|| coalesce(' as ' || max(substring(application_name FROM '^PostgREST [0-9.]+')), '') AS seen
		FROM pg_stat_activity
		WHERE datname = current_database()
			AND (application_name ^@ 'PostgREST ' OR query ~* '^\s*LISTEN "?pgrst"?;?\s*$')
		GROUP BY usename
	), able AS (
		SELECT rolname FROM pg_roles
		WHERE rolcanlogin AND NOT rolsuper AND rolname NOT IN (SELECT clerk_internal.api_roles())
			AND pg_has_role(oid, to_regrole(quote_ident(clerk_internal.anon_role())), 'MEMBER')
			-- who administers an instance of Supabase can become these roles as well
			AND oid <> (SELECT nspowner FROM pg_namespace WHERE nspname = 'clerk')
	)
	SELECT usename, seen FROM connected
	UNION ALL
	-- others that can are people, and services such as Storage
	SELECT rolname, NULL FROM able
	WHERE NOT EXISTS (SELECT FROM connected)
		AND (rolname = 'authenticator' OR NOT EXISTS (SELECT FROM able WHERE rolname = 'authenticator'))
	ORDER BY 1
$$;
COMMENT ON FUNCTION clerk_internal.authenticators() IS
	'the roles as which PostgREST is connected; if none, authenticator, or those that can log in and become '
		'the anonymous one';

CREATE OR REPLACE FUNCTION clerk_internal.doctor_roles() RETURNS TABLE (subject text, outcome text, advice text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH version AS (
		SELECT current_setting('server_version_num')::int >= 160000 AS has_set_option
	), api AS (
		SELECT named.role, r.oid, rolsuper, rolbypassrls, rolcanlogin
		FROM (SELECT clerk_internal.anon_role()::name
			UNION SELECT i.role FROM clerk.instances AS i WHERE i.role IS NOT NULL) AS named (role)
		LEFT JOIN pg_roles AS r ON r.rolname = named.role
	)
	SELECT * FROM (
		SELECT format('role %I, as which requests run', role), CASE
				WHEN oid IS NULL OR rolsuper OR rolbypassrls THEN 'error'
				WHEN rolcanlogin THEN 'warning'
				ELSE 'ok' END, CASE
				WHEN oid IS NULL THEN format('It does not exist: CREATE ROLE %I', role)
				WHEN rolsuper OR rolbypassrls
					THEN format('No policy counts for it: ALTER ROLE %I NOSUPERUSER NOBYPASSRLS', role)
				WHEN rolcanlogin THEN format('It needs no login: ALTER ROLE %I NOLOGIN', role) END
		FROM api ORDER BY role) AS roles
	UNION ALL
	SELECT 'role of PostgREST: none', 'warning', 'No role can log in and become the anonymous one: '
			|| format('CREATE ROLE authenticator LOGIN NOINHERIT; GRANT %s TO authenticator',
				(SELECT string_agg(quote_ident(role), ', ' ORDER BY role) FROM api))
	WHERE NOT EXISTS (SELECT FROM clerk_internal.authenticators())
	UNION ALL
	SELECT * FROM (
		SELECT concat_ws(', ', format('role of PostgREST: %I', a.role), seen), CASE
				WHEN rolsuper OR rolbypassrls OR refused IS NOT NULL THEN 'error'
				WHEN inherited IS NOT NULL THEN 'warning'
				ELSE 'ok' END, CASE
				WHEN rolsuper OR rolbypassrls
					THEN format('It is above all policies: ALTER ROLE %I NOSUPERUSER NOBYPASSRLS', a.role)
				WHEN refused IS NOT NULL
					THEN format('It cannot run requests as them: GRANT %s TO %I', refused, a.role)
				WHEN inherited IS NOT NULL THEN format('It has their rights before it becomes one of them: '
					|| CASE WHEN has_set_option THEN 'GRANT %s TO %I WITH INHERIT FALSE'
						ELSE 'ALTER ROLE %2$I NOINHERIT' END, inherited, a.role) END
		FROM clerk_internal.authenticators() AS a JOIN pg_roles AS r ON r.rolname = a.role, version, LATERAL (
			SELECT string_agg(quote_ident(api.role), ', ' ORDER BY api.role)
					FILTER (WHERE NOT pg_has_role(r.oid, api.oid,
						CASE WHEN has_set_option THEN 'SET' ELSE 'MEMBER' END)),
				string_agg(quote_ident(api.role), ', ' ORDER BY api.role)
					FILTER (WHERE pg_has_role(r.oid, api.oid, 'USAGE'))
			FROM api WHERE api.oid IS NOT NULL) AS membership (refused, inherited)
		ORDER BY a.role) AS postgrest
$$;
COMMENT ON FUNCTION clerk_internal.doctor_roles()
	IS 'what clerk.doctor() says of the roles of requests and of PostgREST';

CREATE OR REPLACE FUNCTION clerk_internal.doctor_postgrest() RETURNS TABLE (subject text, outcome text, advice text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH setting AS (
		-- PostgREST reads what is set for its role; the setting for this database goes before that for all
		SELECT DISTINCT ON (a.role, parts[1]) a.role, parts[1] AS name, parts[2] AS value
		FROM clerk_internal.authenticators() AS a
		JOIN pg_db_role_setting AS s ON s.setrole = to_regrole(quote_ident(a.role))
			AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())),
			unnest(s.setconfig) AS line, regexp_match(line, '^(pgrst\.[a-z_]+)=(.*)$') AS parts
		WHERE parts IS NOT NULL
		ORDER BY a.role, parts[1], s.setdatabase DESC
	), wanted AS (
		SELECT a.role, w.name, setting.value, w.mine, w.otherwise
		FROM clerk_internal.authenticators() AS a CROSS JOIN (VALUES
			('pgrst.db_pre_request', 'clerk.pre_request',
				'Without it, requests keep the anonymous role, and a bad token is silently nobody'),
			('pgrst.db_pre_config', CASE WHEN EXISTS (SELECT FROM clerk.supabase_keys)
				THEN 'clerk.supabase_pre_config' ELSE 'clerk.pre_config' END,
				'Without it, PostgREST needs the keys as jwt-secret')
		) AS w (name, mine, otherwise) LEFT JOIN setting ON setting.role = a.role AND setting.name = w.name
	)
	SELECT * FROM (
		SELECT format('%s of %I: %s', name, role, coalesce(value, 'not set here')), CASE
				WHEN value IS NULL THEN 'unknown' WHEN calls THEN 'ok' ELSE 'error' END, CASE
				WHEN value IS NULL THEN format('Look into the configuration of PostgREST: %s = "%s". %s',
					replace(substr(name, 7), '_', '-'), mine, otherwise)
				WHEN NOT calls
					THEN format('%s: ALTER ROLE %I SET %s = %L, or call it there',
						otherwise, role, name, mine) END
		-- compared as text, since PostgreSQL raises for what is no name
		FROM wanted, LATERAL (SELECT value = mine OR EXISTS (
			SELECT FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace
			WHERE value IN (proname, concat(nspname, '.', proname), quote_ident(proname),
					concat(quote_ident(nspname), '.', quote_ident(proname)))
				AND position(mine IN concat(prosrc, pg_get_function_sqlbody(p.oid))) > 0)) AS c (calls)
		ORDER BY role, name DESC) AS functions
	UNION ALL
	SELECT format('pgrst.db_anon_role of %I: %s', role, value), 'error',
		format('Both must name the same role: ALTER ROLE %I SET clerk.anon_role = %L', role, value)
	FROM setting WHERE name = 'pgrst.db_anon_role' AND value <> clerk_internal.anon_role()
	UNION ALL
	SELECT format('pgrst.db_schemas of %I: %s', role, value), 'error',
		'Schema clerk is for the database, not for requests: take it out'
	FROM setting WHERE name IN ('pgrst.db_schemas', 'pgrst.db_schema') AND value ~ '\mclerk(_internal)?\M'
$$;
COMMENT ON FUNCTION clerk_internal.doctor_postgrest()
	IS 'what clerk.doctor() can see of the configuration of PostgREST';

CREATE OR REPLACE FUNCTION clerk_internal.doctor_access() RETURNS TABLE (subject text, outcome text, advice text)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF NOT has_table_privilege('pg_catalog.pg_hba_file_rules', 'SELECT')
		OR NOT has_function_privilege('pg_catalog.pg_hba_file_rules()', 'EXECUTE') THEN
		RETURN QUERY VALUES ('pg_hba.conf', 'unknown',
			'This role may not read it: look for lines with trust and password');
		RETURN;
	END IF;
	RETURN QUERY
		WITH rule AS (
			SELECT format('pg_hba.conf, line %s', rule.line_number) AS place, rule.error,
				concat_ws(' ', rule.type, array_to_string(rule.database, ','),
					array_to_string(rule.user_name, ','), rule.address, rule.auth_method) AS line,
				CASE
					-- a line that could not be read, or one that can never match
					WHEN rule.error IS NOT NULL AND rule.type IS NULL THEN 'error'
					WHEN rule.error IS NOT NULL THEN 'warning'
					WHEN rule.auth_method = 'trust' AND rule.type <> 'local'
						AND rule.address <> ALL ('{127.0.0.1,::1,localhost,samehost}') THEN 'error'
					WHEN rule.auth_method = 'trust' THEN 'warning'
					WHEN rule.auth_method = 'password' AND rule.type IN ('host', 'hostnossl') THEN 'warning'
				END AS outcome, rule.auth_method, rule.line_number
			FROM pg_hba_file_rules AS rule
			-- who connects for replication runs no queries
			WHERE rule.error IS NOT NULL OR rule.database <> '{replication}'
		)
		SELECT concat_ws(': ', rule.place, nullif(rule.line, '')), rule.outcome, CASE
			WHEN rule.error IS NOT NULL THEN rule.error
			WHEN rule.outcome = 'error'
				THEN 'Whoever reaches this port is any role, a superuser as well: scram-sha-256, not trust'
			WHEN rule.auth_method = 'trust'
				THEN 'Whoever is on this machine is any role: peer or scram-sha-256, not trust'
			ELSE 'Passwords cross the network as they are: scram-sha-256, not password' END
		FROM rule WHERE rule.outcome IS NOT NULL ORDER BY rule.line_number;
	IF NOT FOUND THEN
		RETURN QUERY VALUES ('pg_hba.conf', 'ok', NULL);
	END IF;
END
$$;
COMMENT ON FUNCTION clerk_internal.doctor_access() IS 'what clerk.doctor() says of pg_hba.conf';

CREATE OR REPLACE FUNCTION clerk_internal.doctor_server() RETURNS TABLE (subject text, outcome text, advice text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH setting AS (
		SELECT current_setting('log_parameter_max_length') <> '0'
			AND (current_setting('log_statement') = 'all'
				OR current_setting('log_min_duration_statement') <> '-1'
				OR current_setting('log_min_duration_sample') <> '-1'
				OR current_setting('log_transaction_sample_rate') <> '0') AS shows_tokens,
			current_setting('server_version_num')::int < 170000
				AND EXISTS (SELECT FROM pg_extension WHERE extname = 'clerk_rls') AS needs_preloading,
			(SELECT s.setting ~ '\mclerk_rls\M' FROM pg_settings AS s
				WHERE name = 'shared_preload_libraries') AS is_preloaded
	)
	SELECT 'statements in the log', CASE WHEN shows_tokens THEN 'warning' ELSE 'ok' END,
		CASE WHEN shows_tokens THEN 'The log shows the headers of requests, and tokens in them: '
			|| 'ALTER SYSTEM SET log_parameter_max_length = 0; SELECT pg_reload_conf()' END
	FROM setting
	UNION ALL
	SELECT 'shared_preload_libraries', CASE
			WHEN NOT needs_preloading OR is_preloaded THEN 'ok'
			WHEN is_preloaded IS NULL THEN 'unknown'
			ELSE 'warning' END, CASE
			WHEN needs_preloading AND is_preloaded IS NOT TRUE
				THEN 'Before PostgreSQL 17, clerk.stats is empty unless clerk_rls is in it' END
	FROM setting
	UNION ALL
	SELECT format('audit: errors %s, warnings %s', errors, warnings), CASE
			WHEN errors > 0 THEN 'error'
			WHEN warnings > 0 THEN 'warning'
			ELSE 'ok' END,
		CASE WHEN errors + warnings > 0
			THEN 'Each has a statement that fixes it: SELECT * FROM clerk.audit()' END
	FROM (
		SELECT count(*) FILTER (WHERE a.severity = 'error'), count(*) FILTER (WHERE a.severity = 'warning')
		FROM clerk.audit() AS a) AS found (errors, warnings)
$$;
COMMENT ON FUNCTION clerk_internal.doctor_server()
	IS 'what clerk.doctor() says of the settings of the server, and of the findings of clerk.audit()';

-- SECURITY DEFINER, as clerk.audit().
CREATE OR REPLACE FUNCTION clerk.doctor() RETURNS TABLE ("check" text, outcome text, "what to do" text)
	LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	PERFORM clerk.is_authenticated();	-- loads the library, which knows the setting
	RETURN QUERY
		WITH checks AS MATERIALIZED (
			SELECT * FROM clerk_internal.doctor_instances()
			UNION ALL SELECT * FROM clerk_internal.doctor_roles()
			UNION ALL SELECT * FROM clerk_internal.doctor_postgrest()
			UNION ALL SELECT * FROM clerk_internal.doctor_access()
			UNION ALL SELECT * FROM clerk_internal.doctor_server()
		)
		SELECT c.subject, c.outcome, c.advice
		FROM (SELECT *, row_number() OVER () AS n FROM checks) AS c
		ORDER BY array_position('{error,warning,unknown,ok}', c.outcome), c.n;
END
$$;
COMMENT ON FUNCTION clerk.doctor() IS
	'what must be right before going live, each with what to do: error, warning, unknown or ok';

--
-- report.sql
--		One page for eyes: clerk.report() as HTML, alone or served by PostgREST.
--
-- Uses revoke, library, instances, keys, refresh, revocation, webhook, stats, changes, upkeep, roles,
-- explain, audit, doctor.
--
-- Whatever comes from the database passes clerk_internal.html() once: the pieces below take plain text
-- and give HTML. The page holds no script, loads nothing, and its Content-Security-Policy lets it do
-- neither. It is ASCII but for the names in it.
--

CREATE OR REPLACE FUNCTION clerk_internal.html(value text) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT replace(replace(replace(replace(replace(
			-- control characters are none in HTML
			regexp_replace(coalesce(value, ''), '[\x01-\x08\x0b-\x1f\x7f-\x9f]', ' ', 'g'),
		'&', '&amp;'), '<', '&lt;'), '>', '&gt;'), '"', '&quot;'), '''', '&#39;')
$$;
COMMENT ON FUNCTION clerk_internal.html(text)
	IS 'plain text as it stands in HTML, also between quotation marks';

-- The roles are said again, as a table that is laid out as blocks is none to screen readers.
CREATE OR REPLACE FUNCTION clerk_internal.html_table(caption text, columns text[], cells text[],
	otherwise text) RETURNS text
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH cell AS (
		SELECT (n - 1) / cardinality(columns) AS line, (n - 1) % cardinality(columns) AS place, value,
			ltrim(columns[(n - 1) % cardinality(columns) + 1], '`') AS label,
			columns[(n - 1) % cardinality(columns) + 1] ^@ '`' AS is_code
		FROM unnest(cells) WITH ORDINALITY AS given (value, n)
	), line AS (
		SELECT line, string_agg(format('<%1$s data-label="%2$s"%3$s>%4$s</%5$s>',
				CASE place WHEN 0 THEN 'th role="rowheader" scope="row"' ELSE 'td role="cell"' END,
				clerk_internal.html(label),
				CASE WHEN value IN ('error', 'warning', 'notice', 'unknown', 'ok', 'fail', 'skipped')
					THEN ' class="' || value || '"' END,
				CASE WHEN is_code AND value <> '' THEN '<code>' || clerk_internal.html(value) || '</code>'
					ELSE clerk_internal.html(value) END,
				CASE place WHEN 0 THEN 'th' ELSE 'td' END), '' ORDER BY place) AS cells
		FROM cell GROUP BY line
	)
	SELECT CASE WHEN cardinality(cells) > 0
		THEN format(E'<table role="table"><caption>%s</caption>\n'
				'<thead role="rowgroup"><tr role="row">%s</tr></thead>\n'
				'<tbody role="rowgroup">\n%s</tbody></table>\n', clerk_internal.html(caption),
			(SELECT string_agg(format('<th role="columnheader" scope="col">%s</th>',
				clerk_internal.html(ltrim(c, '`'))),
				'' ORDER BY n) FROM unnest(columns) WITH ORDINALITY AS head (c, n)),
			(SELECT string_agg(format(E'<tr role="row">%s</tr>\n', line.cells), '' ORDER BY line) FROM line))
		ELSE format(E'<p class="none">%s</p>\n', clerk_internal.html(otherwise)) END
$$;
COMMENT ON FUNCTION clerk_internal.html_table(text, text[], text[], text) IS
	'a table of plain text, or a sentence instead of an empty one; a column named with ` in front is code';

CREATE OR REPLACE FUNCTION clerk_internal.html_section(id text, title text, body text) RETURNS text
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT format(E'<section id="%1$s" aria-labelledby="%1$s-title"><h2 id="%1$s-title">%2$s</h2>\n'
		'%3$s</section>\n', id, title, body)
$$;
COMMENT ON FUNCTION clerk_internal.html_section(text, text, text)
	IS 'a section of the report; its body is HTML';

CREATE OR REPLACE FUNCTION clerk_internal.time_in_words(moment timestamptz) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT format(CASE WHEN moment > now() THEN 'in %s' ELSE '%s ago' END, CASE
			WHEN seconds < 60 THEN seconds || ' s' WHEN seconds < 7200 THEN seconds / 60 || ' min'
			WHEN seconds < 172800 THEN seconds / 3600 || ' h' ELSE seconds / 86400 || ' days' END)
	FROM (SELECT abs(extract(epoch FROM now() - moment))::bigint AS seconds) AS age
	WHERE moment IS NOT NULL
$$;
COMMENT ON FUNCTION clerk_internal.time_in_words(timestamptz) IS 'how long ago a time is, or how far ahead';

CREATE OR REPLACE FUNCTION clerk_internal.expression_in_words(expression text) RETURNS text
	LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	words text := expression;
	rule record;
BEGIN
	FOR rule IN
		SELECT * FROM (VALUES
			('\( SELECT (clerk\.\w+\([^()]*\)) AS \w+\)', '\1'),
			('''([^'']*)''::(text|character varying|uuid)', '''\1'''),
			('\((\w+)\)::text', '\1'),
			('clerk\.uid\(\)', 'the signed-in user'),
			('clerk\.mapped_(id|bigint|text)\(\)', 'the local id of the signed-in user'),
			('clerk\.org_id\(\)', 'the active organization'),
			('clerk\.mapped_org_(id|bigint|text)\(\)', 'the local id of the active organization'),
			('clerk\.org_role\(\)', 'the user''s role there'),
			('clerk\.is_authenticated\(\)', 'somebody is signed in'),
			('clerk\.is_impersonated\(\)', 'somebody acts for the user'),
			('clerk\.has_(role|permission|feature|plan)\(''([^'']*)''\)', 'the user has the \1 \2'),
			('clerk\.has_reverified\(''([^'']*)''\)', 'the user has just verified again (\1)'),
			('clerk\.is_fellow_member\((\w+)\)', '\1 is a member of the active organization'),
			(' = ANY ', ' is one of '), (' = ', ' is '), (' <> ', ' is not '),
			(' IS NOT NULL', ' is given'), (' IS NULL', ' is missing'), ('\mNOT ', 'not '),
				(' AND ', ' and '), (' OR ', ' or '),
			('^\(([^()]*)\)$', '\1'), ('\(([^()]* is (?:the|not the) [^()]*)\)(?= and| or|\)|$)', '\1'),
			('^\((.*)\)$', '\1')
		) AS rules (pattern, replacement)
	LOOP
		words := regexp_replace(words, rule.pattern, rule.replacement, 'g');
	END LOOP;
	-- a parenthesis that was taken away needs its other half
	RETURN CASE WHEN length(replace(words, '(', '')) = length(replace(words, ')', ''))
		THEN words ELSE expression END;
END
$$;
COMMENT ON FUNCTION clerk_internal.expression_in_words(text)
	IS 'the condition of a policy, nearer to English; a gloss, beside the expression';

CREATE OR REPLACE FUNCTION clerk_internal.rows_in_words(expression text) RETURNS text
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT CASE coalesce(expression, 'true') WHEN 'true' THEN 'all rows' WHEN 'false' THEN 'no row'
		ELSE 'rows where ' || clerk_internal.expression_in_words(expression) END
$$;
COMMENT ON FUNCTION clerk_internal.rows_in_words(text) IS 'which rows fulfil the condition of a policy';

CREATE OR REPLACE FUNCTION clerk_internal.policies_in_words(tab regclass)
	RETURNS TABLE (policy name, words text, expression text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT polname,
		format(CASE WHEN polpermissive THEN '%s may %s %s%s' ELSE 'In any case, %s may %s only %s%s' END,
			CASE WHEN polroles = '{0}' THEN 'everybody'
				ELSE (SELECT string_agg(r::regrole::text, ', ') FROM unnest(polroles) AS r) END,
			CASE polcmd WHEN 'r' THEN 'read' WHEN 'a' THEN 'add' WHEN 'w' THEN 'change' WHEN 'd' THEN 'delete'
				ELSE 'read, add, change and delete' END,
			clerk_internal.rows_in_words(coalesce(qual, checked)),
			CASE WHEN checked <> qual
				THEN '; what is written must be among ' || clerk_internal.rows_in_words(checked) END),
		concat_ws(' ', 'USING (' || qual || ')', 'WITH CHECK (' || checked || ')')
	FROM pg_policy, pg_get_expr(polqual, polrelid) AS qual, pg_get_expr(polwithcheck, polrelid) AS checked
	WHERE polrelid = tab
	ORDER BY NOT polpermissive, polname
$$;
COMMENT ON FUNCTION clerk_internal.policies_in_words(regclass) IS 'what each policy of a table says';

CREATE OR REPLACE FUNCTION clerk_internal.rights_in_words(tab regclass, role name) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT concat(
		string_agg(word || CASE WHEN has_table_privilege(role, tab, privilege)
			THEN '' ELSE ' some columns' END, ', ' ORDER BY n),
		CASE WHEN relkind IN ('r', 'p')
			THEN '; no policy counts: ' || clerk_internal.rls_exemption(tab, role) END)
	FROM pg_class, (VALUES (1, 'SELECT', 'read'), (2, 'INSERT', 'add'), (3, 'UPDATE', 'change'),
		(4, 'DELETE', 'delete'), (5, 'TRUNCATE', 'truncate'))
		AS command (n, privilege, word)
	WHERE oid = tab AND has_schema_privilege(role, relnamespace, 'USAGE')
		AND (has_table_privilege(role, tab, privilege)
			OR CASE WHEN privilege IN ('DELETE', 'TRUNCATE') THEN false
				ELSE has_any_column_privilege(role, tab, privilege) END)
	GROUP BY relkind
$$;
COMMENT ON FUNCTION clerk_internal.rights_in_words(regclass, name)
	IS 'what a role may do with a table, and whether policies count; NULL: nothing';

CREATE OR REPLACE FUNCTION clerk_internal.reached_relations() RETURNS TABLE (tab regclass, kind text,
	is_secured boolean, is_forced boolean)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT oid::regclass, CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
		WHEN 'f' THEN 'foreign table' ELSE 'table' END,
		relrowsecurity, relforcerowsecurity
	FROM pg_class
	WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND clerk_internal.is_audited('pg_class', oid, relnamespace)
		AND (EXISTS (SELECT FROM pg_policy WHERE polrelid = pg_class.oid)
			OR clerk_internal.roles_reaching(oid, 'SELECT, INSERT, UPDATE, DELETE') IS NOT NULL)
	ORDER BY oid::regclass::text COLLATE "C"
$$;
COMMENT ON FUNCTION clerk_internal.reached_relations()
	IS 'the tables and views that requests reach, or that have policies';

CREATE OR REPLACE FUNCTION clerk_internal.report_reach() RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT clerk_internal.html_table('Tables and views, and what each role of requests may do with them',
		'{`table or view,kind}'::text[] || api.roles,
			(SELECT array_agg(ARRAY[tab::text, kind] || ARRAY(
				SELECT coalesce(clerk_internal.rights_in_words(tab, role::name), 'nothing')
					FROM unnest(api.roles) WITH ORDINALITY AS r (role, n) ORDER BY n))
			FROM clerk_internal.reached_relations()), 'Requests reach no table.')
		|| clerk_internal.html_table('Functions for requests that have the rights of their owner',
			'{`function,owner,callers}',
			(SELECT array_agg(ARRAY[p.oid::regprocedure::text, p.proowner::regrole::text, callers.roles]
				ORDER BY p.oid::regprocedure::text COLLATE "C")
			FROM pg_proc AS p, LATERAL (
				SELECT string_agg(quote_ident(role), ', ' ORDER BY n)
					FROM unnest(api.roles) WITH ORDINALITY AS r (role, n)
				WHERE has_schema_privilege(role, p.pronamespace, 'USAGE')
					AND has_function_privilege(role, p.oid, 'EXECUTE')) AS callers (roles)
			WHERE p.prosecdef AND callers.roles IS NOT NULL
				AND clerk_internal.is_audited('pg_proc', p.oid, p.pronamespace)),
			'No function that requests may call has the rights of its owner.')
	FROM (SELECT ARRAY(SELECT role::text FROM clerk_internal.api_roles() AS role
		ORDER BY role <> clerk_internal.anon_role(), role)) AS api (roles)
$$;
COMMENT ON FUNCTION clerk_internal.report_reach()
	IS 'section of the report: what each role of requests reaches';

CREATE OR REPLACE FUNCTION clerk_internal.report_policies() RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT coalesce(string_agg(format(E'<details%s><summary><code>%s</code> '
				'<span class="%s">%s</span></summary>\n%s</details>\n',
			CASE WHEN of_many THEN '' ELSE ' open' END, clerk_internal.html(tab::text),
			CASE WHEN is_secured THEN 'ok' ELSE 'error' END,
			CASE WHEN NOT is_secured THEN 'row-level security is off'
				WHEN is_forced THEN 'for its owner as well' ELSE 'secured' END,
			clerk_internal.html_table('Policies', '{policy,in words,`expression}',
				(SELECT array_agg(ARRAY[policy::text, words, expression])
					FROM clerk_internal.policies_in_words(tab)),
				CASE WHEN is_secured THEN 'It has no policy, so no row is seen.'
					ELSE 'It has no policy.' END)), ''),
		E'<p class="none">No table that requests reach.</p>\n')
	FROM (SELECT *, count(*) OVER () > 12 AS of_many FROM clerk_internal.reached_relations()
		WHERE kind = 'table') AS relation
$$;
COMMENT ON FUNCTION clerk_internal.report_policies()
	IS 'section of the report: the tables with their policies in words';

CREATE OR REPLACE FUNCTION clerk_internal.report_instances() RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT clerk_internal.html_table('Instances',
		'{`issuer,authorized parties,role,keys fetched,failure,webhook secrets,last webhook}',
			(SELECT array_agg(ARRAY[i.issuer, coalesce(array_to_string(i.authorized_parties, ', '), 'any'),
				coalesce(i.role::text, 'as PostgREST has it'),
				coalesce(clerk_internal.time_in_words(h.refreshed_at), 'never'), h.refresh_failure,
				h.webhook_secrets::text,
				coalesce(clerk_internal.time_in_words(h.last_event_at), 'never')] ORDER BY i.issuer)
			FROM clerk.instances AS i JOIN clerk.health() AS h USING (issuer)),
			'No instance is registered: nobody can sign in.')
		|| clerk_internal.html_table('Keys', '{`key (kid),algorithm,loaded,state,`instance}',
			(SELECT array_agg(ARRAY[k.kid, concat_ws(' ', k.jwk ->> 'kty', k.jwk ->> 'crv', k.jwk ->> 'alg'),
				clerk_internal.time_in_words(k.created_at),
				CASE WHEN k.is_retired THEN 'retired for good' WHEN k.expires_at IS NULL THEN 'current'
					WHEN k.expires_at > now() THEN 'retiring, ends '
						|| clerk_internal.time_in_words(k.expires_at) ELSE 'ended' END
				|| CASE WHEN k.any_kid THEN ', for tokens of any kid' ELSE '' END, k.issuer]
				ORDER BY k.issuer, k.expires_at IS NOT NULL, k.created_at DESC, k.kid)
			FROM clerk.jwks AS k), 'There is no key: no token can be verified.')
$$;
COMMENT ON FUNCTION clerk_internal.report_instances()
	IS 'section of the report: instances, and their keys with their ages';

CREATE OR REPLACE FUNCTION clerk_internal.report_tokens() RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT coalesce(format(E'<p>Since %s.</p>\n<ul class="bars">\n%s</ul>\n',
		clerk_internal.html(to_char(min(since) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"')),
			string_agg(format(E'<li><span><code>%s</code> %s</span><b>%s (%s %%)</b>'
				'<svg aria-hidden="true" class="%s" viewBox="0 0 100 1" preserveAspectRatio="none">'
				'<rect width="%s" height="1"/></svg></li>\n',
				clerk_internal.html(reason),
				clerk_internal.html(coalesce(issuer, 'of no registered instance')), tokens, percent,
				CASE reason WHEN 'verified' THEN 'ok' ELSE 'fail' END, percent), ''
					ORDER BY reason <> 'verified', tokens DESC, reason, issuer)),
		E'<p class="none">No token was counted. Before PostgreSQL 17 that takes '
			'shared_preload_libraries = ''clerk_rls''.</p>\n')
	FROM (SELECT *, round(100.0 * tokens / sum(tokens) OVER (), 1) AS percent FROM clerk.stats) AS counted
$$;
COMMENT ON FUNCTION clerk_internal.report_tokens()
	IS 'section of the report: tokens verified, and refused by reason';

CREATE OR REPLACE FUNCTION clerk_internal.report_webhooks() RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT clerk_internal.html_table('The last ten', '{event,received,`instance}',
			(SELECT array_agg(ARRAY[e.type, clerk_internal.time_in_words(e.received_at), e.issuer]
				ORDER BY e.received_at DESC)
			FROM (SELECT * FROM clerk.webhook_events ORDER BY received_at DESC LIMIT 10) AS e),
			'None has come yet.')
		|| clerk_internal.html_table('Handlers', '{events,`function}',
			(SELECT array_agg(ARRAY[h.pattern, h.handler] ORDER BY h.pattern, h.handler)
				FROM clerk.event_handlers AS h), 'No event handler is registered.')
		|| (SELECT format(E'<p>Revoked: %s users, %s sessions. Whether what is kept here is as in Clerk, '
				'<code>clerk.drift()</code> says, given pages of its API.</p>\n',
				count(*) FILTER (WHERE id ^@ 'user_'), count(*) FILTER (WHERE id ^@ 'sess_'))
			FROM clerk.revocations)
$$;
COMMENT ON FUNCTION clerk_internal.report_webhooks()
	IS 'section of the report: the last webhooks, their handlers, and how many are revoked';

-- Not who has changed it, and not whom it has revoked.
CREATE OR REPLACE FUNCTION clerk_internal.report_changes() RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT clerk_internal.html_table('The last ten changes', '{table,change,`key,changed,`instance}',
		(SELECT array_agg(ARRAY[c.object, c.action, c.key, clerk_internal.time_in_words(c.changed_at),
			c.issuer] ORDER BY c.changed_at DESC)
		FROM (SELECT * FROM clerk.key_changes WHERE object <> 'revocations'
			ORDER BY changed_at DESC LIMIT 10) AS c), 'None.')
$$;
COMMENT ON FUNCTION clerk_internal.report_changes()
	IS 'section of the report: what has been changed in keys, instances, secrets and handlers';

CREATE OR REPLACE FUNCTION clerk_internal.report_way(token text) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH step AS MATERIALIZED (
		SELECT *, min(n) FILTER (WHERE outcome = 'fail') OVER () AS stop, count(*) OVER () AS steps
		FROM clerk.diagnose(token) WITH ORDINALITY AS d (step, outcome, detail, n)
	), verdict AS (
		SELECT bool_or(outcome = 'fail') AS failed, max(steps) AS steps,
			CASE WHEN bool_or(outcome = 'fail')
				THEN format('It stops at: %s.', min(step) FILTER (WHERE n = stop))
				ELSE 'It arrives: its user is signed in.' END AS words
		FROM step
	)
	SELECT format(E'<p class="%s">%s</p>\n<div class="way">\n'
			'<svg viewBox="0 0 300 %s" role="img" aria-labelledby="way-title way-desc">'
			'<title id="way-title">The way of this token</title>'
			'<desc id="way-desc">%2$s</desc>\n%4$s%5$s</svg>\n',
			CASE WHEN failed THEN 'fail' ELSE 'ok' END, clerk_internal.html(words), steps * 30 + 36,
			(SELECT string_agg(format(E'<g class="%s"><path%s d="M18 %sv30"/>'
					'<circle cx="18" cy="%s" r="9"/><path d="%s"/>'
					'<text x="38" y="%s">%s</text>%s</g>\n', outcome,
					CASE WHEN n >= stop THEN ' class="after"' END, n * 30 - 12, n * 30 - 12,
					format(CASE outcome WHEN 'ok' THEN 'M14 %sl3 3 6 -7'
						WHEN 'fail' THEN 'M14 %1$sm0 -4l8 8m0 -8l-8 8' ELSE 'M15 %1$sh6' END, n * 30 - 12),
					n * 30 - 7, clerk_internal.html(step),
					CASE WHEN n = stop THEN format('<text class="stop" x="292" y="%s">it stops here</text>',
						n * 30 - 7) END), '' ORDER BY n) FROM step),
			format(E'<g class="%s"><circle cx="18" cy="%s" r="9"/><text x="38" y="%s">%s</text></g>\n',
				CASE WHEN failed THEN 'skipped' ELSE 'ok' END, steps * 30 + 18, steps * 30 + 23,
				CASE WHEN failed THEN 'nobody is signed in' ELSE 'clerk.uid() is the user' END))
		|| clerk_internal.html_table('Each step', '{step,outcome,detail}',
			(SELECT array_agg(ARRAY[step, outcome, detail] ORDER BY n) FROM step), '')
		|| E'</div>\n'
	FROM verdict
$$;
COMMENT ON FUNCTION clerk_internal.report_way(text) IS
	'section of the report: the steps of clerk.diagnose() for a token, as a picture and as a table';

CREATE OR REPLACE FUNCTION clerk_internal.report_style() RETURNS text
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $style$ SELECT $css$
:root { color-scheme: light dark; --paper: #fbfbf9; --card: #fff; --ink: #1b1f24;
	--soft: #545c66; --line: #d9dce0; --accent: #3d3dc4; --ok: #14692f; --fail: #b01c1c; --warning: #7d4e00;
	--code: #f0f1f4; }
@media (prefers-color-scheme: dark) {
	:root { --paper: #14161a; --card: #1c1f25; --ink: #e8eaed; --soft: #a7afba; --line: #363c46;
		--accent: #aab0ff; --ok: #6fd08c; --fail: #ff8d85; --warning: #eab765; --code: #282c34; } }
* { box-sizing: border-box }
html { scroll-behavior: smooth; scroll-padding-top: 1rem }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto } }
body { margin: 0 auto; padding: 1.5rem clamp(.75rem, 3vw, 2rem) 4rem; max-width: 76rem;
	background: var(--paper); color: var(--ink);
	font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere }
h1 { margin: 0; font-size: 1.7rem } h2 { margin: 0 0 .75rem; font-size: 1.2rem }
header p { margin: .25rem 0 1rem; color: var(--soft) }
a { color: var(--accent) } :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
.skip { position: absolute; left: -99rem } .skip:focus { position: static }
nav ul, .bars { margin: 0; padding: 0; list-style: none }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin-bottom: 1.5rem }
nav a { display: inline-block; padding: .25rem 0 }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .75rem;
	margin: 0 0 1.25rem }
dl div, section { background: var(--card); border: 1px solid var(--line); border-radius: .6rem }
dl div { display: flex; flex-direction: column-reverse; justify-content: flex-end; padding: .6rem .9rem }
dt { color: var(--soft); font-size: .875rem }
dd { margin: 0; font-size: 1.5rem; font-weight: 600; font-variant-numeric: tabular-nums }
section { padding: 1.1rem clamp(.75rem, 2vw, 1.4rem); margin-bottom: 1.25rem }
table { border-collapse: collapse; width: 100%; margin-bottom: 1rem; font-size: .9rem }
caption { text-align: left; font-weight: 600; padding: .3rem 0; color: var(--soft) }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; font-weight: 400;
	border-top: 1px solid var(--line) }
thead th { border: 0; color: var(--soft); font-size: .8rem; white-space: nowrap }
tbody th { font-weight: 600; min-width: 7.5rem }
code { font: .85em/1.5 ui-monospace, monospace; background: var(--code); border-radius: .25rem;
	padding: .1em .35em; unicode-bidi: isolate; white-space: pre-wrap; box-decoration-break: clone }
.ok { color: var(--ok) } .fail, .error { color: var(--fail) } .warning { color: var(--warning) }
td:is(.error, .fail, .warning, .notice, .unknown, .ok, .skipped) { white-space: nowrap }
.error, .fail, .warning { font-weight: 600 }
.notice, .unknown, .skipped, .none { color: var(--soft) }
details { border-top: 1px solid var(--line); padding: .5rem 0 }
summary { cursor: pointer } summary span { font-size: .875rem }
details table { margin-top: .5rem }
.bars li { display: grid; grid-template-columns: 1fr auto; gap: 0 1rem; margin-bottom: .7rem;
	font-size: .9rem }
.bars b { font-variant-numeric: tabular-nums; font-weight: 600 }
.bars svg { grid-column: 1 / 3; width: 100%; height: .5rem; background: var(--code);
	border-radius: .25rem; fill: currentColor }
.way { display: grid; grid-template-columns: minmax(14rem, 19rem) 1fr; gap: 1.5rem; align-items: start }
.way svg { width: 100%; max-width: 19rem } .way text { font: 14px system-ui, sans-serif; fill: var(--ink) }
.way circle { fill: var(--card); stroke: currentColor; stroke-width: 2 }
.way path { fill: none; stroke: currentColor; stroke-width: 2 }
.way .after { stroke: var(--soft); stroke-dasharray: 3 4 }
.way .stop { text-anchor: end; font-weight: 600; fill: var(--fail) }
.way .skipped text { fill: var(--soft) }
@media (max-width: 48rem) {
	.way { grid-template-columns: 1fr }
	table, caption, tbody, tr, tbody th, tbody td { display: block }
	thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%) }
	tr { border-top: 1px solid var(--line); padding: .5rem 0 }
	th, td { border: 0; padding: .1rem 0 } tbody :is(th, td):empty { display: none }
	tbody :is(th, td)::before { content: attr(data-label) ": "; color: var(--soft); font-weight: 400 }
}
@media print { nav, .skip { display: none } section { break-inside: avoid } }
$css$ $style$;
COMMENT ON FUNCTION clerk_internal.report_style() IS 'the style sheet of the report';

CREATE OR REPLACE FUNCTION clerk_internal.report_page(title text, summary text, sections text) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $page$
	SELECT format($html$<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
	content="default-src 'none'; style-src 'sha256-%1$s'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width">
<meta name="referrer" content="no-referrer">
<title>%2$s</title>
<style>%3$s</style>
</head>
<body>
<a class="skip" href="#main">To the content</a>
<header><h1>%2$s</h1>
<p>%4$s</p></header>
<nav aria-label="Sections"><ul>
%5$s
</ul></nav>
<main id="main">
%6$s</main>
</body>
</html>$html$,
		encode(sha256(convert_to(clerk_internal.report_style(), 'UTF8')), 'base64'),
		clerk_internal.html(title),
		clerk_internal.report_style(), clerk_internal.html(summary),
		(SELECT string_agg(format('<li><a href="#%s">%s</a></li>', section[1], section[2]), E'\n' ORDER BY n)
			FROM regexp_matches(sections,
				'<section id="([a-z-]+)" aria-labelledby="[a-z-]+"><h2 id="[a-z-]+">([^<]*)</h2>', 'g')
				WITH ORDINALITY AS found (section, n)),
		sections)
$page$;
COMMENT ON FUNCTION clerk_internal.report_page(text, text, text)
	IS 'the page around the sections of the report';

CREATE OR REPLACE FUNCTION clerk_internal.report_summary(checks text[], findings text[]) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT format(E'<dl>\n%s</dl>\n', string_agg(
		format(E'<div><dt>%s</dt><dd class="%s">%s</dd></div>\n', name, class, value), '' ORDER BY n))
	FROM (VALUES
		(1, 'instances', (SELECT count(*) FROM clerk.instances), ''),
		(2, 'current keys', (SELECT count(*) FROM clerk.jwks WHERE expires_at IS NULL), ''),
		(3, 'tokens verified', (SELECT coalesce(sum(tokens), 0) FROM clerk.stats WHERE reason = 'verified'),
			''),
		(4, 'tokens refused', (SELECT coalesce(sum(tokens), 0) FROM clerk.stats WHERE reason <> 'verified'),
			''),
		(5, 'checks failed', cardinality(array_positions(checks, 'error')),
			CASE WHEN 'error' = ANY (checks) THEN 'error' END),
		(6, 'errors in findings', cardinality(array_positions(findings, 'error')),
			CASE WHEN 'error' = ANY (findings) THEN 'error' END)
	) AS tile (n, name, value, class)
$$;
COMMENT ON FUNCTION clerk_internal.report_summary(text[], text[]) IS
	'the numbers at the head of the report, of the outcomes of clerk.doctor() and clerk.audit()';

-- SECURITY DEFINER, as clerk.audit().
CREATE OR REPLACE FUNCTION clerk.report(token text DEFAULT NULL) RETURNS text
	LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	checks text[];
	findings text[];
	outcomes text[];
	severities text[];
BEGIN
	PERFORM clerk.is_authenticated();	-- loads the library, which knows the setting
	SELECT array_agg(ARRAY[d."check", d.outcome, d."what to do"]), array_agg(d.outcome) INTO checks, outcomes
	FROM clerk.doctor() AS d;
	SELECT array_agg(ARRAY[a.finding, a.severity, a.object, a.detail, a.fix]), array_agg(a.severity)
	INTO findings, severities FROM clerk.audit() AS a;
	RETURN clerk_internal.report_page(format('clerk_rls in %s', current_database()),
		format('PostgreSQL %s, %s%s.', split_part(current_setting('server_version'), ' ', 1),
			format('clerk_rls %s, ', split_part(clerk.version(), ' ', 1)),
			to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"')),
		concat(
			clerk_internal.report_summary(outcomes, coalesce(severities, '{}')),
			CASE WHEN token IS NOT NULL THEN clerk_internal.html_section('token', 'This token',
				clerk_internal.report_way(token)) END,
			clerk_internal.html_section('doctor', 'Before going live',
				clerk_internal.html_table('What clerk.doctor() says', '{check,outcome,what to do}',
					checks, '')),
			clerk_internal.html_section('findings', 'Findings',
				clerk_internal.html_table('What clerk.audit() finds, and the statement that fixes it',
					'{finding,severity,object,detail,`fix}', findings, 'Nothing.')),
			clerk_internal.html_section('instances', 'Instances and keys', clerk_internal.report_instances()),
			clerk_internal.html_section('tokens', 'Tokens', clerk_internal.report_tokens()),
			clerk_internal.html_section('webhooks', 'Webhooks', clerk_internal.report_webhooks()),
			clerk_internal.html_section('changes', 'Changes', clerk_internal.report_changes()),
			clerk_internal.html_section('reach', 'Who reaches what', clerk_internal.report_reach()),
			clerk_internal.html_section('policies', 'Policies in words', clerk_internal.report_policies())));
END
$$;
COMMENT ON FUNCTION clerk.report(text) IS
	'a page of HTML: instances, keys, tokens, findings, policies in words, who reaches what; a token''s way';

CREATE OR REPLACE FUNCTION clerk_internal.check_report_role(role name) RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	everybody name;
BEGIN
	PERFORM clerk.is_authenticated();	-- loads the library, which knows the setting
	SELECT api INTO everybody FROM clerk_internal.api_roles() AS api
	WHERE pg_has_role(api, role, 'MEMBER') ORDER BY api LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'insufficient_privilege',
			MESSAGE = format('the report is not for role %I', role),
			DETAIL = CASE everybody WHEN role THEN 'Requests of everybody run as it.'
				ELSE format('Requests of everybody run as %I, which is a member of it.', everybody) END,
			HINT = 'Name a role that only tokens of operators ask for.';
	END IF;
END
$$;
COMMENT ON FUNCTION clerk_internal.check_report_role(name) IS
	'raises for a role as which requests of everybody run, or to which such a role belongs';

CREATE OR REPLACE FUNCTION clerk_internal.serve_report() RETURNS text
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	-- an instance may have come since whose role it is
	PERFORM clerk_internal.check_report_role(nullif(current_setting('role'), 'none')::name);
	PERFORM set_config('response.headers',
		'[{"Cache-Control": "no-store"}, {"X-Content-Type-Options": "nosniff"}, {"X-Frame-Options": "DENY"}]',
		true);
	RETURN clerk.report();
END
$$;
COMMENT ON FUNCTION clerk_internal.serve_report()
	IS 'clerk.report() for PostgREST, with headers that keep it out of caches and frames';

CREATE OR REPLACE FUNCTION clerk.expose_report(schema name, role name) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	is_new constant boolean := to_regprocedure(quote_ident(schema) || '.clerk_report()') IS NULL;
BEGIN
	IF to_regnamespace(quote_ident(schema)) IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('schema %s does not exist', coalesce(quote_ident(schema), 'NULL'));
	ELSIF to_regrole(quote_ident(role)) IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('role %s does not exist', coalesce(quote_ident(role), 'NULL')),
			HINT = 'Create one for those who may see the report, and GRANT it to the role of PostgREST.';
	END IF;
	PERFORM clerk_internal.check_report_role(role);
	IF to_regtype(format('%I."text/html"', schema)) IS NULL THEN
		EXECUTE format('CREATE DOMAIN %I."text/html" AS text', schema);
		EXECUTE format('COMMENT ON DOMAIN %I."text/html" IS %L', schema,
			'for PostgREST: what is returned as it is, with this Content-Type');
	ELSIF EXISTS (
		SELECT FROM pg_type JOIN pg_roles ON pg_roles.oid = typowner
		WHERE pg_type.oid = to_regtype(format('%I."text/html"', schema))
			AND rolname <> current_user AND NOT rolsuper) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'insufficient_privilege',
			MESSAGE = format('domain %I."text/html" belongs to another role', schema),
			DETAIL = 'Its owner could give it a constraint, which would run with the rights of the owner of '
				'clerk_report().',
			HINT = 'Use a schema that only you create in, and add it to the db-schemas of PostgREST.';
	END IF;
	EXECUTE format('CREATE OR REPLACE FUNCTION %1$I.clerk_report() RETURNS %1$I."text/html"
		LANGUAGE sql VOLATILE SECURITY DEFINER
		SET search_path = pg_catalog, pg_temp RETURN clerk_internal.serve_report()', schema);
	EXECUTE format('COMMENT ON FUNCTION %I.clerk_report() IS %L', schema, 'see clerk.report()');
	-- beside those whom it was exposed to before
	PERFORM clerk_internal.expose(format('%I.clerk_report()', schema)::regprocedure, role, alone => is_new);
	PERFORM pg_notify('pgrst', 'reload schema');
END
$$;
COMMENT ON FUNCTION clerk.expose_report(name, name) IS
	'makes PostgREST 12 show the report at /rpc/clerk_report, to a role that is not one of everybody';

--
-- admin.sql
--		Administration by a role that is no superuser, and that can read no secret.
--
-- Uses all but privileges.
--

-- What touches only our own tables runs as its owner. What touches the application's objects runs
-- as whoever calls it, so that nobody reaches more of them than before; it needs what is below.
CREATE OR REPLACE FUNCTION clerk.grant_admin(role name) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	privilege text;
BEGIN
	PERFORM clerk.is_authenticated();	-- loads the library, which knows the setting
	IF to_regrole(quote_ident(role)) IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('role %s does not exist', coalesce(quote_ident(role), 'NULL'));
	ELSIF EXISTS (SELECT FROM clerk_internal.api_roles() AS api WHERE pg_has_role(api, role, 'MEMBER')) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('role %I is one that requests have', role),
			DETAIL = 'Who can load a key, as administrators can, can be anybody.';
	END IF;
	FOREACH privilege IN ARRAY ARRAY[
		'EXECUTE ON FUNCTION clerk.add_instance(text, text[], text[], interval, text, text, name, boolean,
			interval, text), clerk.drop_instance(text)',
		'EXECUTE ON FUNCTION clerk.load_jwks(text, jsonb, interval), clerk.load_pem(text, text, text),
			clerk.retire_key(text, text)',
		'EXECUTE ON FUNCTION clerk.map_id(text, text), clerk.unmap_id(text)',
		'EXECUTE ON FUNCTION clerk.revoke_session(text, text), clerk.revoke_user(text, text),
			clerk.unrevoke(text)',
		'EXECUTE ON FUNCTION clerk.add_webhook_secret(text, text), clerk.drop_webhook_secret(text, text),
			clerk.webhook(json), clerk.receive_webhook(text, text, text, text),
			clerk.verify_webhook(text, text, text, text)',
		'EXECUTE ON FUNCTION clerk.import_users(jsonb, text), clerk.import_organizations(jsonb, text),
			clerk.import_memberships(jsonb, text), clerk.drift(regclass, jsonb), clerk.prune(interval)',
		'EXECUTE ON FUNCTION clerk.set_supabase_keys(text), clerk.health(), clerk_internal.count_tokens(),
			clerk.doctor(), clerk.report(text)',
		-- the settings of an instance are changed by UPDATE, and checked by a trigger
		'SELECT, UPDATE ON clerk.instances',
		'EXECUTE ON FUNCTION clerk_internal.is_clerks(text, text), clerk_internal.origin_problem(text)',
		'SELECT ON clerk.jwks, clerk.revocations, clerk.webhook_events, clerk.key_changes, clerk.stats',
		'SELECT (issuer, created_at) ON clerk.webhook_secrets',
		-- fetching keys, with the caller's own rights on pgsql-http, pg_net and pg_cron
		'EXECUTE ON FUNCTION clerk.refresh_jwks(text), clerk.run_jwks_refresh(interval),
			clerk.schedule_jwks_refresh(interval), clerk.schedule_prune(interval),
			clerk_internal.schedule_job(text, text, text), clerk_internal.extension_schema(name),
			clerk_internal.refresh_one(text), clerk_internal.refresh_through_http(text, text),
			clerk_internal.refresh_through_pg_net(text, text), clerk_internal.check_usable(name, text[]),
			clerk_internal.extension_grants(name), clerk_internal.extension_writers(name),
			clerk_internal.extension_function(name, name, regtype[]),
			clerk_internal.extension_table(name, name),
			clerk_internal.shell_word(text), clerk_internal.psql_database(),
			clerk_internal.parse_jwks_response(integer, text), clerk_internal.unknown_kid_at(text)',
		'SELECT, INSERT, UPDATE ON clerk.jwks_refreshes',
		-- a table of the caller's as the mapping
		'EXECUTE ON FUNCTION clerk.track_ids(regclass, name, name), clerk.untrack_ids(regclass),
			clerk_internal.check_trackable(regclass, name, text[], boolean),
			clerk_internal.backfill_ids(regclass, name, name), clerk_internal.tracked_columns(regclass),
			clerk_internal.is_reserved_id(text, text), clerk_internal.canonical_id(text),
			clerk_internal.api_roles(), clerk_internal.roles_updating(oid, name[]),
			clerk_internal.without_update(oid, name[]),
			clerk_internal.track_id()',
		'SELECT, INSERT, UPDATE, DELETE ON clerk.id_map',
		-- a function of the caller's as the endpoint, and others as handlers
		'EXECUTE ON FUNCTION clerk.expose_webhook(name, name),
			clerk_internal.expose(regprocedure, name, boolean),
			clerk_internal.revoke_all(regclass, oid), clerk.add_event_handler(text, regprocedure),
			clerk.drop_event_handler(text, regprocedure), clerk_internal.handler_role()',
		'SELECT, INSERT, DELETE ON clerk.event_handlers',
		-- and one as the page for eyes
		'EXECUTE ON FUNCTION clerk.expose_report(name, name), clerk_internal.check_report_role(name),
			clerk_internal.serve_report(), clerk_internal.api_roles()'
	] LOOP
		EXECUTE format('GRANT %s TO %I', privilege, role);
	END LOOP;
	-- and what the owner of the database may do
	EXECUTE (
		SELECT format('GRANT EXECUTE ON FUNCTION %s TO %I',
			string_agg(pg_proc.oid::regprocedure::text, ', '), role)
		FROM pg_proc, aclexplode(proacl) AS acl
		WHERE pronamespace IN ('clerk'::regnamespace, 'clerk_internal'::regnamespace)
			AND acl.grantee = 'pg_database_owner'::regrole);
END
$$;
COMMENT ON FUNCTION clerk.grant_admin(name) IS
	'lets a role that is no superuser administer instances, keys, secrets, revocations, mappings, webhooks '
		'and policies, and read neither secrets nor profiles; again after an update';

--
-- default_privileges.sql
--		Whatever default privileges have added to what is new is taken back. What was there before
--		keeps what its owner has granted (end.sql).
--
-- Uses all of them.
--

CREATE OR REPLACE FUNCTION clerk_internal.privileges()
	RETURNS TABLE (catalog regclass, object oid, name text, acl aclitem[], owner oid)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT 'pg_namespace'::regclass, oid, 'SCHEMA ' || oid::regnamespace, nspacl, nspowner
	FROM pg_namespace WHERE nspname IN ('clerk', 'clerk_internal')
	UNION ALL
	SELECT 'pg_class', oid, 'TABLE ' || oid::regclass, relacl, relowner
	FROM pg_class WHERE relnamespace::regnamespace::text IN ('clerk', 'clerk_internal')
		AND relkind IN ('r', 'v')
	UNION ALL
	SELECT 'pg_proc', oid, 'FUNCTION ' || oid::regprocedure, coalesce(proacl, acldefault('f', proowner)),
		proowner
	FROM pg_proc WHERE pronamespace::regnamespace::text IN ('clerk', 'clerk_internal')
$$;
COMMENT ON FUNCTION clerk_internal.privileges() IS
	'who has been granted what on schemas, tables and functions of clerk_rls';

DO $$
BEGIN
	PERFORM clerk_internal.revoke_all(made.catalog, made.object)
	FROM clerk_internal.privileges() AS made
	WHERE NOT pg_catalog.current_setting('clerk_rls.before')::jsonb ? made.name;
END
$$;

--
-- privileges.sql
--		Privileges: one by one, after default_privileges.sql has taken back all others.
--
-- Uses all of them.
--

GRANT USAGE ON SCHEMA clerk TO PUBLIC;
-- This alone lets nobody call anything there.
GRANT USAGE ON SCHEMA clerk_internal TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.version() TO PUBLIC;
-- Whoever exposes the webhook asks it.
GRANT EXECUTE ON FUNCTION clerk_internal.anon_role() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.uid() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.jwt() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.claim(text[]) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.session_id() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.issuer() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.actor_id() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.expires_at() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.is_authenticated() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.is_impersonated() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.org_id() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.org_slug() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.org_role() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.org_permissions() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.has(jsonb) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.has_role(text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.has_permission(text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.has_feature(text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.has_plan(text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.has_reverified(text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.has_reverified(text, interval) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.mapped_id() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.mapped_bigint() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.mapped_text() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.mapped_org_id() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.mapped_org_bigint() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.mapped_org_text() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.mapped_id(text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.is_fellow_member(text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.verify(text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.authenticate(text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.pre_request() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.pre_config() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.diagnose(text) TO PUBLIC;
-- the executor calls it, as whoever runs the statement
GRANT EXECUTE ON FUNCTION clerk_internal.tell_citus() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.health() TO pg_monitor;
GRANT EXECUTE ON FUNCTION clerk_internal.count_tokens() TO pg_monitor;
GRANT SELECT ON clerk.stats TO pg_monitor;
-- For the role that owns the database, as which migrations often run, and which owns the tables.
GRANT EXECUTE ON FUNCTION clerk.audit(),
	clerk.explain_access(regclass, text, text, text, name, text),
		clerk_internal.explain_rows(anyarray, regclass, text, name, text),
	clerk_internal.access_verdict(anyarray, name, regclass, text, name, text),
		clerk_internal.count_rows(anyarray, name, text, name, text),
	clerk_internal.check_explainable(regclass, text), clerk_internal.simulate_request(text, name),
		clerk_internal.request_role(), clerk_internal.rls_exemption(regclass, name),
	clerk_internal.policy_checks(regclass, text, name),
		clerk_internal.policy_condition(regclass, text, name, text[]),
	clerk_internal.without_permissive_policy(regclass, text, name, text[]),
		clerk_internal.missing_grants(regclass, text[], name),
	clerk.protect(regclass, name, name, text, name, boolean),
		clerk_internal.check_protectable(regclass, name, name, text, name),
	clerk_internal.wanted_policies(regclass, name, name, text),
		clerk_internal.policy_changes(regclass, name, name, text, name),
	clerk_internal.column_changes(regclass, name, boolean),
		clerk_internal.caller_expression(regclass, name, boolean), clerk_internal.once(text),
	clerk_internal.is_distributed_by(regclass, name)
	TO pg_database_owner;

--
-- end.sql
--		What only the hosted file grants; and what was there before has the grants it had.
--
-- Uses default_privileges, privileges.
--

-- Functions for policies are replaced by their bodies, so whoever may call them must be able to call
-- what is in those. It tells a caller nothing that clerk.jwt() does not.
GRANT EXECUTE ON FUNCTION clerk_internal.caller() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk_internal.caller_status() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk_internal.raise(text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk_internal.reason(text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk_internal.is_anonymous(text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk_internal.refuse(text, text, text, text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk_internal.role_to_take(name) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk_internal.explain_token(text, name) TO PUBLIC;

DO $$
DECLARE
	added record;
BEGIN
	FOR added IN
		SELECT now.name, CASE acl.grantee WHEN 0 THEN 'PUBLIC'
			ELSE acl.grantee::regrole::text END AS grantee, acl.privilege_type
		FROM clerk_internal.privileges() AS now
		JOIN pg_catalog.jsonb_each(pg_catalog.current_setting('clerk_rls.before')::jsonb) AS before
			ON before.key = now.name,
			pg_catalog.aclexplode(now.acl) AS acl
		WHERE acl.grantee <> now.owner AND NOT EXISTS (
			SELECT FROM pg_catalog.aclexplode(ARRAY(SELECT pg_catalog.jsonb_array_elements_text(
				CASE pg_catalog.jsonb_typeof(before.value) WHEN 'array' THEN before.value
					ELSE '[]' END))::aclitem[]) AS was
			WHERE was.grantee = acl.grantee AND was.privilege_type = acl.privilege_type)
	LOOP
		EXECUTE pg_catalog.format('REVOKE %s ON %s FROM %s', added.privilege_type, added.name, added.grantee);
	END LOOP;
END
$$;
$clerk_rls$;
	PERFORM pg_catalog.set_config('search_path', search_path, true), pg_catalog.set_config('client_min_messages', messages, true);
EXCEPTION WHEN OTHERS THEN
	-- without the whole text as its context
	GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	IF detail = '' AND hint = '' THEN
		RAISE EXCEPTION USING ERRCODE = code, MESSAGE = message;
	ELSIF detail = '' THEN
		RAISE EXCEPTION USING ERRCODE = code, MESSAGE = message, HINT = hint;
	ELSIF hint = '' THEN
		RAISE EXCEPTION USING ERRCODE = code, MESSAGE = message, DETAIL = detail;
	END IF;
	RAISE EXCEPTION USING ERRCODE = code, MESSAGE = message, DETAIL = detail, HINT = hint;
END
$installation$;

SELECT clerk.version();
