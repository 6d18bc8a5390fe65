--
-- library.sql
--		What the extension has in C and the parts below call: refusals, keys, webhooks' bodies.
--
-- Uses json, rsa.
--

CREATE FUNCTION clerk_internal.refuse(sqlstate text, message text, detail text, hint text) RETURNS void
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
CREATE FUNCTION clerk_internal.invalidate() RETURNS trigger
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

CREATE FUNCTION clerk_internal.check_jwk(jwk jsonb, OUT ignored boolean, OUT problem text)
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
CREATE FUNCTION clerk_internal.der_element(der bytea, place integer, OUT tag integer, OUT start integer,
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

CREATE FUNCTION clerk_internal.der_elements(der bytea, start integer, stop integer)
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

CREATE FUNCTION clerk_internal.refuse_key(detail text, hint text) RETURNS void
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk_internal.refuse('22023', 'the key is refused', detail, hint) $$;
COMMENT ON FUNCTION clerk_internal.refuse_key(text, text) IS 'raises for a key in PEM form';

-- SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7), which stands in a PEM file between BEGIN and END
-- PUBLIC KEY; in a certificate it is the element behind the subject. Nothing else of that is looked at.
CREATE FUNCTION clerk_internal.jwk_of_spki(der bytea) RETURNS jsonb
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

CREATE FUNCTION clerk_internal.unknown_kid_at(issuer text) RETURNS timestamptz
	LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$ SELECT NULL::timestamptz $$;
COMMENT ON FUNCTION clerk_internal.unknown_kid_at(text) IS
	'NULL: that a token named an unknown key is noted by the extension only';

CREATE FUNCTION clerk_internal.count_tokens()
	RETURNS TABLE (issuer text, reason text, tokens bigint, since timestamptz)
	LANGUAGE sql STABLE STRICT ROWS 20 SET search_path = pg_catalog, pg_temp
	AS $$ SELECT NULL::text, NULL::text, NULL::bigint, NULL::timestamptz WHERE false $$;
COMMENT ON FUNCTION clerk_internal.count_tokens() IS 'nothing: tokens are counted by the extension only';
