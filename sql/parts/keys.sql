--
-- keys.sql
--		The public keys of each instance: loading, rotating and retiring them.
--
-- Uses library, instances.
--

CREATE TABLE clerk.jwks (
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

SELECT pg_catalog.pg_extension_config_dump('clerk.jwks', $$WHERE issuer <> 'https://clerk.test.invalid'$$);

CREATE TRIGGER invalidate_statement AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON clerk.jwks
	FOR EACH STATEMENT EXECUTE FUNCTION clerk_internal.invalidate();
CREATE TRIGGER invalidate_row AFTER INSERT OR UPDATE OR DELETE ON clerk.jwks
	FOR EACH ROW EXECUTE FUNCTION clerk_internal.invalidate();

ALTER TABLE clerk.jwks ENABLE ALWAYS TRIGGER invalidate_statement;
ALTER TABLE clerk.jwks ENABLE ALWAYS TRIGGER invalidate_row;

COMMENT ON TRIGGER invalidate_statement ON clerk.jwks IS 'no backend keeps a changed key';
COMMENT ON TRIGGER invalidate_row ON clerk.jwks IS 'the same, in an apply worker of logical replication';

CREATE FUNCTION clerk_internal.public_jwk(jwk jsonb) RETURNS jsonb
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT jsonb_object_agg(member.key, member.value)
	FROM jsonb_each(jwk) AS member
	WHERE member.key = ANY ('{kty,kid,use,key_ops,alg,n,e,crv,x,y}')
$$;
COMMENT ON FUNCTION clerk_internal.public_jwk(jsonb) IS
	'a JSON Web Key without the members that verifying does not need';

CREATE FUNCTION clerk_internal.jwk_of_pem(pem text) RETURNS jsonb
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

CREATE FUNCTION clerk_internal.usable_jwks(jwks jsonb) RETURNS jsonb
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

CREATE FUNCTION clerk.load_jwks(issuer text, jwks jsonb, grace interval DEFAULT '10 minutes')
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

CREATE FUNCTION clerk_internal.jwk_thumbprint(jwk jsonb) RETURNS text
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

CREATE FUNCTION clerk.load_pem(issuer text, pem text, kid text DEFAULT NULL) RETURNS text
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

CREATE FUNCTION clerk.retire_key(issuer text, kid text) RETURNS void
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
