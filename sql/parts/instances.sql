--
-- instances.sql
--		Clerk instances, and other issuers, whose tokens are verified.
--
-- Uses library.
--

CREATE TABLE clerk.instances (
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
SELECT pg_catalog.pg_extension_config_dump('clerk.instances',
	$$WHERE issuer <> 'https://clerk.test.invalid'$$);

CREATE TRIGGER invalidate_statement AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON clerk.instances
	FOR EACH STATEMENT EXECUTE FUNCTION clerk_internal.invalidate();
CREATE TRIGGER invalidate_row AFTER INSERT OR UPDATE OR DELETE ON clerk.instances
	FOR EACH ROW EXECUTE FUNCTION clerk_internal.invalidate();

ALTER TABLE clerk.instances ENABLE ALWAYS TRIGGER invalidate_statement;
ALTER TABLE clerk.instances ENABLE ALWAYS TRIGGER invalidate_row;

COMMENT ON TRIGGER invalidate_statement ON clerk.instances IS 'no backend keeps a changed instance';
COMMENT ON TRIGGER invalidate_row ON clerk.instances IS 'the same, in an apply worker of logical replication';

CREATE FUNCTION clerk_internal.decode_publishable_key(publishable_key text) RETURNS text
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

CREATE FUNCTION clerk_internal.is_clerks(issuer text, jwks_url text) RETURNS boolean
	LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT issuer ~ '^https?://[^/]+$'
		AND coalesce(jwks_url = issuer || '/.well-known/jwks.json', true) $$;
COMMENT ON FUNCTION clerk_internal.is_clerks(text, text) IS
	'whether an instance may be one of Clerk''s: its issuer has no path, and its keys are where Clerk '
		'publishes them';

-- What the ids of other issuers look like is not known.
CREATE FUNCTION clerk_internal.may_be_id(id text, prefix text) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT coalesce(id <> '' AND (starts_with(id, prefix) OR (id !~ '^(sess|user|org)_' AND EXISTS (
		SELECT FROM clerk.instances AS instance
		WHERE NOT clerk_internal.is_clerks(instance.issuer, instance.jwks_url)))), false)
$$;
COMMENT ON FUNCTION clerk_internal.may_be_id(text, text) IS
	'whether this may be an id of the kind that begins so with Clerk';

CREATE FUNCTION clerk_internal.origin_problem(origin text) RETURNS text
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
CREATE FUNCTION clerk_internal.check_instance() RETURNS trigger
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

CREATE TRIGGER check_instance
	BEFORE INSERT OR UPDATE OF issuer, jwks_url, authorized_parties ON clerk.instances
	FOR EACH ROW EXECUTE FUNCTION clerk_internal.check_instance();
COMMENT ON TRIGGER check_instance ON clerk.instances IS 'no setting that no token could match';

CREATE FUNCTION clerk_internal.instance_differences(was clerk.instances, given clerk.instances) RETURNS text
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

CREATE FUNCTION clerk.add_instance(
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
CREATE FUNCTION clerk_internal.lock_instance(issuer text) RETURNS boolean
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
CREATE FUNCTION clerk_internal.refuse_unregistered(issuer text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	PERFORM clerk_internal.refuse('42704', format('instance %s is not registered', coalesce(issuer, 'NULL')),
		NULL, 'Register it with clerk.add_instance().');
END
$$;
COMMENT ON FUNCTION clerk_internal.refuse_unregistered(text) IS
	'raises, for functions that are given an instance that is not registered';

CREATE FUNCTION clerk.drop_instance(issuer text) RETURNS void
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
