--
-- rsa.sql
--		Signatures of RSA keys (RSASSA-PKCS1-v1_5, RFC 8017 section 8.2.2) in numeric.
--
-- Uses json.
--

CREATE FUNCTION clerk_internal.bytes_to_numeric(bytes bytea) RETURNS numeric
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

CREATE FUNCTION clerk_internal.bit_length(bytes bytea) RETURNS integer
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN coalesce(length(ltrim(('x' || encode(ltrim(bytes, '\x00'), 'hex'))::bit varying::text, '0')), 0);
COMMENT ON FUNCTION clerk_internal.bit_length(bytea) IS 'the bits of a number, without zeros before it';

-- Dividing by the modulus is the dearest of it, so a number is multiplied by the reciprocal
-- instead (Barrett): what remains is too large by a few times the modulus at most, and the last
-- step is exact.
CREATE FUNCTION clerk_internal.reciprocal(modulus numeric) RETURNS numeric
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
CREATE FUNCTION clerk_internal.power(base numeric, exponent bytea, modulus numeric, reciprocal numeric)
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
CREATE TABLE clerk_internal.moduli (
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

CREATE FUNCTION clerk_internal.modulus_of(n text) RETURNS clerk_internal.moduli
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
CREATE FUNCTION clerk_internal.encoded_hash(hash bytea, size integer) RETURNS numeric
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

CREATE FUNCTION clerk_internal.verify_rsa(jwk jsonb, alg text, signed text, signature bytea) RETURNS boolean
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
