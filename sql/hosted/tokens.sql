--
-- tokens.sql
--		The pipeline of a token: shape, instance, type, key, algorithm, signature, claims, revocation,
--		in the order and with the answers of the extension (src/pg/session.c).
--
-- Uses json, rsa, library, instances, keys, revocation, reasons.
--

CREATE FUNCTION clerk_internal.identify(claims jsonb, OUT status text, OUT instance clerk.instances)
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

CREATE FUNCTION clerk_internal.header_status(header jsonb) RETURNS text
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

CREATE FUNCTION clerk_internal.request_header(name text, OUT status text, OUT value text)
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
CREATE FUNCTION clerk_internal.may_use_cookies(authorized_parties text[]) RETURNS boolean
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
CREATE FUNCTION clerk_internal.read_token(token text, source text,
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
CREATE FUNCTION clerk_internal.check_type(header jsonb, claims jsonb, instance clerk.instances) RETURNS text
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

CREATE FUNCTION clerk_internal.verify_with_key(key clerk.jwks, header jsonb, signed text, signature bytea)
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
CREATE FUNCTION clerk_internal.verify_signature(issuer text, header jsonb, signed text, signature bytea)
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
CREATE FUNCTION clerk_internal.numeric_date(value jsonb) RETURNS numeric
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE WHEN abs(clerk_internal.json_number(value)) <= 9.2e12
		THEN floor(clerk_internal.json_number(value) * 1000000) / 1000000 END;
COMMENT ON FUNCTION clerk_internal.numeric_date(jsonb) IS
	'a NumericDate (RFC 7519 section 2), in seconds, to the microsecond; NULL: it is none';

CREATE FUNCTION clerk_internal.claim_steps() RETURNS text[]
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN '{subject,audience,"authorized party",expiry,"not before","issued at","session status"}'::text[];
COMMENT ON FUNCTION clerk_internal.claim_steps() IS
	'those of clerk_internal.steps() that the claims themselves can be asked';

CREATE FUNCTION clerk_internal.claim_statuses(claims jsonb, instance clerk.instances) RETURNS text[]
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
CREATE FUNCTION clerk_internal.check_revocation(claims jsonb) RETURNS text
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

CREATE FUNCTION clerk_internal.check_claims(claims jsonb, instance clerk.instances) RETURNS text
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

CREATE FUNCTION clerk_internal.verify_token(token text, source text, OUT status text, OUT claims jsonb,
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
