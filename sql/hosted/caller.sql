--
-- caller.sql
--		Who is signed in? Where a request has its token, which one counts, and what the
--		others may say; the answer, kept for the transaction.
--
-- Uses json, reasons, tokens, settings.
--

CREATE FUNCTION clerk_internal.request_cookies() RETURNS SETOF text
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
CREATE FUNCTION clerk_internal.candidates() RETURNS TABLE (n bigint, source text, status text, token text)
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

CREATE FUNCTION clerk_internal.believe_claims(OUT status text, OUT claims jsonb, OUT instance clerk.instances)
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

CREATE FUNCTION clerk_internal.is_not_ours(status text) RETURNS boolean
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN status IN ('no_token', 'source_ambiguous', 'cookie_cross_site', 'token_too_large',
		'token_not_compact', 'token_not_base64url', 'header_not_json',
		'header_member', 'header_critical', 'payload_not_json', 'issuer_unknown', 'issuer_legacy');
COMMENT ON FUNCTION clerk_internal.is_not_ours(text) IS
	'whether a token, or what is in its place, says nothing about a registered issuer';

-- Does the status of a candidate that was none of ours say more than that of one before? Not that
-- of a cookie which is no token, as other software uses the name __session as well.
CREATE FUNCTION clerk_internal.says_more(status text, source text, kept text) RETURNS boolean
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN (source <> 'cookie' OR status = 'cookie_cross_site') AND (kept = 'no_token'
		OR (kept <> 'issuer_legacy' AND clerk_internal.is_anonymous(kept)
			AND NOT clerk_internal.is_anonymous(status)));
COMMENT ON FUNCTION clerk_internal.says_more(text, text, text) IS
	'whether the status of a candidate is to be kept in the place of another''s';

-- It is a token, or claims, and somebody else may read what we cannot.
CREATE FUNCTION clerk_internal.names_another(status text, named jsonb, issuer text, subject text)
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
CREATE FUNCTION clerk_internal.decide(OUT status text, OUT source text, OUT claims jsonb, OUT token text,
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
CREATE TABLE clerk_internal.seal (
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

CREATE FUNCTION clerk_internal.random_key() RETURNS bytea
	LANGUAGE sql VOLATILE
	RETURN uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
		|| uuid_send(gen_random_uuid());
COMMENT ON FUNCTION clerk_internal.random_key() IS '64 bytes, 488 bits of which are random';

INSERT INTO clerk_internal.seal (inner_key, outer_key)
	VALUES (clerk_internal.random_key(), clerk_internal.random_key()) ON CONFLICT DO NOTHING;

-- Everything that the answer is made of, and nothing that could be cut in another way.
CREATE FUNCTION clerk_internal.request_text() RETURNS text
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
CREATE FUNCTION clerk_internal.caller() RETURNS jsonb
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
