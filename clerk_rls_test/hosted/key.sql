-- Of the key pair and the signature, what clerk_rls_test has in C: in numeric, which is slow enough for
-- nobody to mistake it for more than a help with tests. One key takes seconds, one signature 30 ms.

CREATE FUNCTION clerk_test.to_bytes(number numeric, size integer) RETURNS bytea
	LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	hex text := '';
BEGIN
	WHILE length(hex) < 2 * size LOOP
		hex := lpad(to_hex((number % 72057594037927936)::bigint), 14, '0') || hex;
		number := div(number, 72057594037927936);
	END LOOP;
	RETURN decode(right(hex, 2 * size), 'hex');
END
$$;
COMMENT ON FUNCTION clerk_test.to_bytes(numeric, integer) IS 'a number in so many bytes, the most significant first';

CREATE FUNCTION clerk_test.inverse(number numeric, modulus numeric) RETURNS numeric
	LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	a numeric := modulus;
	b numeric := number % modulus;
	x numeric := 0;
	y numeric := 1;
	quotient numeric;
	next numeric;
BEGIN
	WHILE b > 0 LOOP
		quotient := div(a, b);
		next := a - quotient * b;
		a := b;
		b := next;
		next := x - quotient * y;
		x := y;
		y := next;
	END LOOP;
	RETURN CASE WHEN a = 1 THEN (x + modulus) % modulus END;
END
$$;
COMMENT ON FUNCTION clerk_test.inverse(numeric, numeric) IS 'the inverse modulo a number; NULL: there is none';

-- Prime numbers that leave 3 divided by 4, so that Miller and Rabin's test is one power.
CREATE FUNCTION clerk_test.is_prime(number numeric) RETURNS boolean
	LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	reciprocal constant numeric := clerk_internal.reciprocal(number);
	half constant bytea := clerk_test.to_bytes(div(number, 2), 128);
	base numeric;
BEGIN
	FOREACH base IN ARRAY '{2,3,5,7,11,13}'::numeric[] LOOP
		IF clerk_internal.power(base, half, number, reciprocal) NOT IN (1, number - 1) THEN
			RETURN false;
		END IF;
	END LOOP;
	RETURN true;
END
$$;
COMMENT ON FUNCTION clerk_test.is_prime(numeric) IS 'whether a number of 1024 bits, 3 modulo 4, is probably prime';

CREATE FUNCTION clerk_test.random_prime() RETURNS numeric
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	small constant integer[] := ARRAY(SELECT p FROM generate_series(3, 2000, 2) AS p
		WHERE NOT EXISTS (SELECT FROM generate_series(3, 43, 2) AS d WHERE d < p AND p % d = 0));
	bytes bytea := '';
	start numeric;
	step integer;
BEGIN
	LOOP
		FOR i IN 1 .. 4 LOOP
			bytes := bytes || sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
				|| uuid_send(gen_random_uuid()));
		END LOOP;
		-- two of these have 2048 bits together, and it is 3 modulo 4
		bytes := set_byte(bytes, 0, get_byte(bytes, 0) | 192);
		bytes := set_byte(bytes, 127, get_byte(bytes, 127) | 3);
		start := clerk_internal.bytes_to_numeric(bytes);
		FOR step IN
			WITH remainder AS MATERIALIZED (SELECT p, (start % p)::integer AS r FROM unnest(small) AS p)
			SELECT s FROM generate_series(0, 16000, 4) AS s
			WHERE NOT EXISTS (SELECT FROM remainder WHERE (r + s) % p = 0)
			ORDER BY s
		LOOP
			IF (start + step - 1) % 65537 <> 0 AND clerk_test.is_prime(start + step) THEN
				RETURN start + step;
			END IF;
		END LOOP;
		bytes := '';
	END LOOP;
END
$$;
COMMENT ON FUNCTION clerk_test.random_prime() IS 'a prime number of 1024 bits that fits the exponent 65537';

CREATE FUNCTION clerk_test.der(tag integer, content bytea) RETURNS bytea
	LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT decode(lpad(to_hex(tag), 2, '0') || CASE
		WHEN length(content) < 128 THEN lpad(to_hex(length(content)), 2, '0')
		WHEN length(content) < 256 THEN '81' || to_hex(length(content))
		ELSE '82' || lpad(to_hex(length(content)), 4, '0') END, 'hex') || content
$$;
COMMENT ON FUNCTION clerk_test.der(integer, bytea) IS 'an element of DER';

CREATE FUNCTION clerk_test.der_numbers(VARIADIC numbers numeric[]) RETURNS bytea
	LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT clerk_test.der(48, string_agg(clerk_test.der(2, CASE WHEN get_byte(bytes, 0) > 127 THEN '\x00'
		ELSE ''::bytea END || bytes), ''::bytea ORDER BY n))
	FROM unnest(numbers) WITH ORDINALITY AS number (number, n),
		LATERAL (SELECT ltrim(clerk_test.to_bytes(number, 257), '\x00')) AS trimmed (trimmed),
		LATERAL (SELECT CASE trimmed WHEN '' THEN '\x00' ELSE trimmed END) AS b (bytes)
$$;
COMMENT ON FUNCTION clerk_test.der_numbers(numeric[]) IS 'a sequence of numbers in DER';

-- RSAPrivateKey (RFC 8017 appendix A.1.2), SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7).
CREATE FUNCTION clerk_test.generate_key(OUT private_key bytea, OUT public_key bytea)
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	p constant numeric := clerk_test.random_prime();
	q constant numeric := clerk_test.random_prime();
	d constant numeric := clerk_test.inverse(65537, (p - 1) * (q - 1));
BEGIN
	private_key := clerk_test.der_numbers(0, p * q, 65537, d, p, q, d % (p - 1), d % (q - 1),
		clerk_test.inverse(q, p));
	public_key := clerk_test.der(48, '\x300d06092a864886f70d0101010500'::bytea
		|| clerk_test.der(3, '\x00'::bytea || clerk_test.der_numbers(p * q, 65537)));
END
$$;
COMMENT ON FUNCTION clerk_test.generate_key() IS 'a new key pair, in DER form';

-- By the remainder theorem (RFC 8017 section 5.1.2).
CREATE FUNCTION clerk_test.sign(private_key bytea, text bytea) RETURNS bytea
	LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	whole constant record := clerk_internal.der_element(private_key, 0);
	parts constant bytea[] := ARRAY(SELECT substring(private_key, "from" + 1, "to" - "from")
		FROM clerk_internal.der_elements(private_key, whole.start, whole.stop) ORDER BY n);
	p constant numeric := clerk_internal.bytes_to_numeric(parts[5]);
	q constant numeric := clerk_internal.bytes_to_numeric(parts[6]);
	hash constant numeric := clerk_internal.encoded_hash(sha256(text), 256);
	of_p constant numeric := clerk_internal.power(hash % p, parts[7], p, clerk_internal.reciprocal(p));
	of_q constant numeric := clerk_internal.power(hash % q, parts[8], q, clerk_internal.reciprocal(q));
BEGIN
	RETURN clerk_test.to_bytes(of_q
		+ q * ((of_p + p - of_q % p) * clerk_internal.bytes_to_numeric(parts[9]) % p), 256);
END
$$;
COMMENT ON FUNCTION clerk_test.sign(bytea, bytea) IS 'the RS256 signature of some bytes';
