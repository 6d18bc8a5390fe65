--
-- svix.sql
--		Verifies that Clerk signed a webhook, as Svix makes it (Standard Webhooks 1.0):
--		HMAC-SHA256 of "id.timestamp.body". And what calls an event handler.
--
-- Uses json, reasons, caller.
--

-- Standard base64, padded or not, of a key of a length that Svix uses.
CREATE FUNCTION clerk_internal.decode_webhook_secret(secret text) RETURNS bytea
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

CREATE FUNCTION clerk_internal.is_webhook_secret(secret text) RETURNS boolean
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN clerk_internal.decode_webhook_secret(secret) IS NOT NULL;
COMMENT ON FUNCTION clerk_internal.is_webhook_secret(text) IS
	'whether this could be the signing secret of an endpoint';

CREATE FUNCTION clerk_internal.hmac_sha256(message bytea, key bytea) RETURNS bytea
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

CREATE FUNCTION clerk_internal.check_webhook(id text, ts text, signature text) RETURNS text
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
CREATE FUNCTION clerk_internal.webhook_issuer(id text, ts text, signature text, body text) RETURNS text
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
CREATE FUNCTION clerk.verify_webhook(id text, ts text, signature text, body text) RETURNS boolean
	LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT clerk_internal.check_webhook(id, ts, signature) = 'ok'
		AND clerk_internal.webhook_issuer(id, ts, signature, body) IS NOT NULL
$$;
COMMENT ON FUNCTION clerk.verify_webhook(text, text, text, text) IS
	'whether one of the secrets has signed this body, with its headers svix-id, svix-timestamp and '
		'svix-signature, just now';

CREATE FUNCTION clerk_internal.authenticate_webhook(id text, ts text, signature text, body text) RETURNS text
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

CREATE FUNCTION clerk_internal.webhook_header(name text) RETURNS text
	LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$ SELECT coalesce((clerk_internal.request_header('svix-' || name)).value,
		(clerk_internal.request_header('webhook-' || name)).value) $$;
COMMENT ON FUNCTION clerk_internal.webhook_header(text) IS
	'header svix-<name>, or webhook-<name>, of the request';

-- Who is no superuser cannot become the owner of a function here, so the only handlers are one's own.
CREATE FUNCTION clerk_internal.run_event_handler(handler regprocedure, event jsonb) RETURNS void
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

CREATE FUNCTION clerk_internal.plain_string(string text, ascii boolean) RETURNS text
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
CREATE FUNCTION clerk_internal.plain_json(body text, ascii boolean) RETURNS text
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
