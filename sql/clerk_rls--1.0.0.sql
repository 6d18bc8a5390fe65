/* sql/clerk_rls--1.0.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION clerk_rls" to load this file. \quit

--
-- The schema. Policies resolve clerk.uid() in it, so nobody else may put a function there:
-- neither its owner, nor whoever has been granted CREATE.
--

DO $$
DECLARE
	intruder regrole;
BEGIN
	SELECT creator INTO intruder
	FROM (
		SELECT nspowner FROM pg_catalog.pg_namespace WHERE nspname = 'clerk'
		UNION ALL
		SELECT acl.grantee
		FROM pg_catalog.pg_namespace, pg_catalog.aclexplode(nspacl) AS acl
		WHERE nspname = 'clerk' AND acl.privilege_type = 'CREATE'
	) AS creators (creator)
	WHERE creator <> (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user)
		AND creator NOT IN (SELECT oid FROM pg_catalog.pg_roles WHERE rolsuper)
	LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'insufficient_privilege',
			MESSAGE = 'schema "clerk" can be changed by a role that is not a superuser',
			DETAIL = pg_catalog.format('%s owns schema "clerk" or may create objects in it, and could replace the functions that policies call.',
				CASE WHEN intruder = 0::oid THEN 'PUBLIC' ELSE intruder::text END),
			HINT = 'Run ALTER SCHEMA clerk OWNER TO a superuser and REVOKE CREATE ON SCHEMA clerk, or rename the schema.';
	END IF;
END
$$;

COMMENT ON SCHEMA clerk IS 'clerk_rls: who is signed in with Clerk, for row-level security policies';

--
-- Keys and instances
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
COMMENT ON COLUMN clerk.instances.issuer IS 'the exact "iss" of its tokens: https:// and the Frontend API host';
COMMENT ON COLUMN clerk.instances.publishable_key IS 'the publishable key it was added with, if any';
COMMENT ON COLUMN clerk.instances.jwks_url IS 'where its current keys are published';
COMMENT ON COLUMN clerk.instances.authorized_parties IS 'origins that "azp" must be one of; NULL: any, and cookies are not read';
COMMENT ON COLUMN clerk.instances.audiences IS 'values of which "aud" must have one; NULL: any';
COMMENT ON COLUMN clerk.instances.clock_skew IS 'how far the clocks may be apart';
COMMENT ON COLUMN clerk.instances.id_claim IS 'the claim that holds a user''s local id, if any';
COMMENT ON COLUMN clerk.instances.id_fallback IS 'the local id of a user without a mapping: uuid_v5 (of the Clerk id) or none';
COMMENT ON COLUMN clerk.instances.role IS 'the role to which clerk.pre_request() switches a verified caller whom PostgREST runs as the anonymous role; NULL: never';
COMMENT ON COLUMN clerk.instances.accept_templates IS 'whether tokens without a session id (JWT templates) are accepted; they outlive a revoked session';
COMMENT ON COLUMN clerk.instances.max_token_age IS 'refuse tokens issued longer ago than this, whatever their "exp"; NULL: no limit';
COMMENT ON COLUMN clerk.instances.created_at IS 'when it was added';
COMMENT ON COLUMN clerk.instances.legacy_template_until IS 'until when a token signed with HS256 is taken for somebody else''s, for the time of moving from a JWT template with a secret of its own; NULL: it is refused';
COMMENT ON COLUMN clerk.instances.token_type IS 'session: session tokens, and no id token of OpenID Connect; access: access tokens (typ at+jwt, RFC 9068); id: id tokens; the last two need audiences';
COMMENT ON COLUMN clerk.instances.id_type IS 'the type that its users'' local ids have, which clerk.map_id() then demands; NULL: any';

CREATE TABLE clerk.jwks (
	-- keys.c knows the order of the columns up to any_kid
	issuer text COLLATE "C" NOT NULL
		CONSTRAINT jwks_issuer_fkey REFERENCES clerk.instances ON UPDATE CASCADE ON DELETE CASCADE,
	kid text COLLATE "C" NOT NULL,
	jwk jsonb NOT NULL,
	expires_at timestamptz
		CONSTRAINT jwks_expires_at CHECK (pg_catalog.isfinite(expires_at)),
	any_kid boolean NOT NULL DEFAULT false,
	is_retired boolean NOT NULL DEFAULT false,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT jwks_pkey PRIMARY KEY (issuer, kid),
	CONSTRAINT jwks_is_retired CHECK (NOT is_retired OR expires_at IS NOT NULL)
);

COMMENT ON TABLE clerk.jwks IS 'public keys that verify the tokens of an instance; filled by clerk.load_jwks()';
COMMENT ON COLUMN clerk.jwks.issuer IS 'the instance; its keys verify no other issuer''s tokens';
COMMENT ON COLUMN clerk.jwks.kid IS 'the key id that a token''s header names';
COMMENT ON COLUMN clerk.jwks.jwk IS 'the key as a JSON Web Key, public members only';
COMMENT ON COLUMN clerk.jwks.expires_at IS 'when a retiring key stops verifying; NULL: it is current';
COMMENT ON COLUMN clerk.jwks.any_kid IS 'whether it verifies tokens whose kid the instance does not know; set by clerk.load_pem()';
COMMENT ON COLUMN clerk.jwks.is_retired IS 'whether clerk.retire_key() has ended it, so that no JWKS brings it back';
COMMENT ON COLUMN clerk.jwks.created_at IS 'when it was first loaded';

-- The throw-away instance of clerk_rls_test stays where its private key is.
SELECT pg_catalog.pg_extension_config_dump('clerk.instances', $$WHERE issuer <> 'https://clerk.test.invalid'$$);
SELECT pg_catalog.pg_extension_config_dump('clerk.jwks', $$WHERE issuer <> 'https://clerk.test.invalid'$$);

-- Per row as well as per statement: an apply worker of logical replication fires only the
-- former. ALWAYS: also under session_replication_role = replica.
CREATE FUNCTION clerk.invalidate() RETURNS trigger
	AS 'MODULE_PATHNAME', 'clerk_rls_invalidate' LANGUAGE C;
COMMENT ON FUNCTION clerk.invalidate() IS 'trigger: makes every backend forget what it has read of the table';

CREATE FUNCTION clerk.notify_postgrest() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	PERFORM pg_catalog.pg_notify('pgrst', 'reload config');
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION clerk.notify_postgrest() IS 'trigger: makes PostgREST call clerk.pre_config() again';

CREATE TRIGGER invalidate_statement AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON clerk.instances
	FOR EACH STATEMENT EXECUTE FUNCTION clerk.invalidate();
CREATE TRIGGER invalidate_row AFTER INSERT OR UPDATE OR DELETE ON clerk.instances
	FOR EACH ROW EXECUTE FUNCTION clerk.invalidate();
CREATE TRIGGER invalidate_statement AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON clerk.jwks
	FOR EACH STATEMENT EXECUTE FUNCTION clerk.invalidate();
CREATE TRIGGER invalidate_row AFTER INSERT OR UPDATE OR DELETE ON clerk.jwks
	FOR EACH ROW EXECUTE FUNCTION clerk.invalidate();
CREATE TRIGGER notify_postgrest AFTER INSERT OR UPDATE OR DELETE ON clerk.jwks
	FOR EACH ROW EXECUTE FUNCTION clerk.notify_postgrest();
CREATE TRIGGER notify_postgrest_truncate AFTER TRUNCATE ON clerk.jwks
	FOR EACH STATEMENT EXECUTE FUNCTION clerk.notify_postgrest();
ALTER TABLE clerk.instances ENABLE ALWAYS TRIGGER invalidate_statement;
ALTER TABLE clerk.instances ENABLE ALWAYS TRIGGER invalidate_row;
ALTER TABLE clerk.jwks ENABLE ALWAYS TRIGGER invalidate_statement;
ALTER TABLE clerk.jwks ENABLE ALWAYS TRIGGER invalidate_row;
ALTER TABLE clerk.jwks ENABLE ALWAYS TRIGGER notify_postgrest;
ALTER TABLE clerk.jwks ENABLE ALWAYS TRIGGER notify_postgrest_truncate;
COMMENT ON TRIGGER invalidate_statement ON clerk.instances IS 'no backend keeps a changed instance';
COMMENT ON TRIGGER invalidate_row ON clerk.instances IS 'the same, in an apply worker of logical replication';
COMMENT ON TRIGGER invalidate_statement ON clerk.jwks IS 'no backend keeps a changed key';
COMMENT ON TRIGGER invalidate_row ON clerk.jwks IS 'the same, in an apply worker of logical replication';
COMMENT ON TRIGGER notify_postgrest ON clerk.jwks IS 'PostgREST follows a changed key without a restart';
COMMENT ON TRIGGER notify_postgrest_truncate ON clerk.jwks IS 'the same, for TRUNCATE';

CREATE FUNCTION clerk.check_jwk(jwk jsonb, OUT ignored boolean, OUT problem text)
	AS 'MODULE_PATHNAME', 'clerk_rls_check_jwk' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION clerk.check_jwk(jsonb) IS 'why a JSON Web Key cannot be used (NULL: it can), and whether a JWKS may hold it all the same';

-- Whatever way a key comes in, a private, symmetric or weak one stays out.
ALTER TABLE clerk.jwks ADD CONSTRAINT jwks_jwk CHECK ((clerk.check_jwk(jwk)).problem IS NULL);
ALTER TABLE clerk.jwks ADD CONSTRAINT jwks_kid CHECK (jwk OPERATOR(pg_catalog.->>) 'kid' = kid);

CREATE FUNCTION clerk.refuse(sqlstate text, message text, detail text, hint text) RETURNS void
	-- RESTRICTED, as all that keep their statement out of the log: the leader of a parallel query would log it
	AS 'MODULE_PATHNAME', 'clerk_rls_refuse' LANGUAGE C PARALLEL RESTRICTED;
COMMENT ON FUNCTION clerk.refuse(text, text, text, text) IS 'raises, for functions that are given secrets: keeps their statement out of the server log';

CREATE FUNCTION clerk.decode_publishable_key(publishable_key text) RETURNS text
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
COMMENT ON FUNCTION clerk.decode_publishable_key(text) IS 'the Frontend API host in a publishable key';

CREATE FUNCTION clerk.is_clerks(issuer text, jwks_url text) RETURNS boolean
	LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT issuer ~ '^https?://[^/]+$' AND coalesce(jwks_url = issuer || '/.well-known/jwks.json', true) $$;
COMMENT ON FUNCTION clerk.is_clerks(text, text) IS
	'whether an instance may be one of Clerk''s: its issuer has no path, and its keys are where Clerk publishes them';

CREATE FUNCTION clerk.origin_problem(origin text) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT CASE
		WHEN origin ~ '[*]' THEN 'it has a wildcard, and is compared as it is; list the origins'
		WHEN origin !~ '^[A-Za-z][A-Za-z0-9+.-]*://' THEN
			format('it has no scheme; do you mean %s://%s?', CASE WHEN origin ~ '^(localhost|127\.)' THEN 'http' ELSE 'https' END, origin)
		WHEN origin <> meant THEN format('browsers do not send it like that; do you mean %s?', meant)
		WHEN origin !~ '^[^:]+://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]+)?$' THEN 'it is not scheme://host or scheme://host:port'
	END
	-- no path, small letters, no default port (RFC 6454 section 6.2)
	FROM regexp_replace(lower(substring(origin FROM '^[^:]+://[^/?#]*')), '^(https(?=.*:443$)|http(?=.*:80$))(://.*):\d+$', '\1\2') AS meant
$$;
COMMENT ON FUNCTION clerk.origin_problem(text) IS 'why no "azp" of Clerk can be this, which is a browser''s Origin; NULL: it can';

-- Values that no token could match are typing errors. What another issuer means by "azp" is not known here.
CREATE FUNCTION clerk.check_instance() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	column_name text := 'issuer';
	problem text;
	hint text;
BEGIN
	IF new.issuer ~ '/\.well-known/|\.json$|/protocol/openid-connect/' THEN
		problem := 'This is an address of keys, not the "iss" of tokens.';
		hint := format('Give %s, and this as jwks_url if the keys are elsewhere than in .well-known/jwks.json.',
			regexp_replace(new.issuer, '/(\.well-known|protocol/openid-connect)/.*$', ''));
	ELSIF new.issuer ~ '^https?://(clerk\.[^/]+|[^/]+\.accounts\.dev)/$' THEN
		problem := 'The "iss" of Clerk''s tokens does not end with a slash.';
		hint := format('Give %s.', rtrim(new.issuer, '/'));
	ELSIF lower(substring(new.issuer FROM '^https?://[^/]+')) <> substring(new.issuer FROM '^https?://[^/]+') THEN
		problem := 'The host is not in small letters, as it is in tokens.';
	ELSIF clerk.is_clerks(new.issuer, new.jwks_url) THEN
		column_name := 'authorized_parties';
		SELECT format('%s: %s', party, clerk.origin_problem(party)) INTO problem
		FROM unnest(new.authorized_parties) WITH ORDINALITY AS parties (party, n)
		WHERE clerk.origin_problem(party) IS NOT NULL ORDER BY n LIMIT 1;
		hint := 'It is what browsers send as Origin, such as https://app.example.com. For an issuer other than Clerk give the jwks_url, too.';
	END IF;
	IF problem IS NOT NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value', MESSAGE = 'invalid ' || column_name, DETAIL = problem, HINT = coalesce(hint, 'Write it so.');
	END IF;
	RETURN new;
END
$$;
COMMENT ON FUNCTION clerk.check_instance() IS 'trigger: refuses values of an instance that no token could match';
CREATE TRIGGER check_instance BEFORE INSERT OR UPDATE OF issuer, jwks_url, authorized_parties ON clerk.instances
	FOR EACH ROW EXECUTE FUNCTION clerk.check_instance();
COMMENT ON TRIGGER check_instance ON clerk.instances IS 'no setting that no token could match';

CREATE FUNCTION clerk.instance_differences(was clerk.instances, given clerk.instances) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT string_agg(format('%s is %s, not %s', setting, coalesce(old, 'NULL'), coalesce(new, 'NULL')), '; ')
	FROM (VALUES
		-- an instance that was added by its issuer has no publishable key
		('publishable_key', was.publishable_key, given.publishable_key,
			rtrim(was.publishable_key, '=') <> rtrim(given.publishable_key, '=')),
		('authorized_parties', was.authorized_parties::text, given.authorized_parties::text,
			NOT (was.authorized_parties @> given.authorized_parties AND was.authorized_parties <@ given.authorized_parties)),
		('audiences', was.audiences::text, given.audiences::text,
			NOT (was.audiences @> given.audiences AND was.audiences <@ given.audiences)),
		('clock_skew', was.clock_skew::text, given.clock_skew::text, was.clock_skew <> given.clock_skew),
		('id_claim', was.id_claim, given.id_claim, was.id_claim <> given.id_claim),
		('id_fallback', was.id_fallback, given.id_fallback, was.id_fallback <> given.id_fallback),
		('role', was.role::text, given.role::text, was.role <> given.role),
		('accept_templates', was.accept_templates::text, given.accept_templates::text, was.accept_templates <> given.accept_templates),
		('max_token_age', was.max_token_age::text, given.max_token_age::text, was.max_token_age <> given.max_token_age),
		('jwks_url', was.jwks_url, given.jwks_url, was.jwks_url <> given.jwks_url)
	) AS settings (setting, old, new, differs)
	WHERE coalesce(differs, setting <> 'publishable_key' AND (old IS NULL) <> (new IS NULL))
$$;
COMMENT ON FUNCTION clerk.instance_differences(clerk.instances, clerk.instances) IS
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
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
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
		PERFORM clerk.refuse('22023', 'this is a secret key, not a publishable key', NULL,
			'Use the key that begins with pk_, and replace the secret key: it has been shown.');
	ELSIF publishable_key_or_issuer ^@ 'pk_' THEN
		given.publishable_key := publishable_key_or_issuer;
		given.issuer := 'https://' || clerk.decode_publishable_key(publishable_key_or_issuer);
	ELSIF publishable_key_or_issuer !~ '^https?://' OR publishable_key_or_issuer IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'neither a publishable key nor an issuer',
			HINT = 'Give the instance''s publishable key (pk_live_...) or the "iss" of its tokens (https://...).';
	END IF;
	given.jwks_url := coalesce(jwks_url,
		-- of an http issuer elsewhere than on this machine no keys are fetched
		CASE WHEN given.issuer ~ '^https:|^http://(localhost|127\.0\.0\.1|\[::1\])([:/]|$)' THEN rtrim(given.issuer, '/') || '/.well-known/jwks.json' END);
	given.authorized_parties := authorized_parties;
	given.audiences := audiences;
	given.clock_skew := clock_skew;
	given.id_claim := id_claim;
	given.id_fallback := id_fallback;
	given.role := role;
	given.accept_templates := accept_templates;
	given.max_token_age := max_token_age;
	LOOP
		INSERT INTO clerk.instances AS instance (issuer, publishable_key, jwks_url, authorized_parties, audiences,
				clock_skew, id_claim, id_fallback, role, accept_templates, max_token_age)
			VALUES (given.issuer, given.publishable_key, given.jwks_url, given.authorized_parties, given.audiences,
				given.clock_skew, given.id_claim, given.id_fallback, given.role, given.accept_templates, given.max_token_age)
			ON CONFLICT DO NOTHING;
		EXIT WHEN FOUND;
		-- gone again if somebody has dropped it at this moment
		SELECT * INTO was FROM clerk.instances AS instance WHERE instance.issuer = given.issuer;
		CONTINUE WHEN NOT FOUND;
		differences := clerk.instance_differences(was, given);
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
COMMENT ON FUNCTION clerk.add_instance(text, text[], text[], interval, text, text, name, boolean, interval, text) IS
	'registers a Clerk instance by its publishable key or issuer, and returns the issuer; one that is there already with the same settings stays as it is';

-- Taken first by whatever changes the keys, secrets and jobs of an instance; what it decides on
-- is read after it, by a statement of its own. It is a real update, so that a transaction in
-- REPEATABLE READ that began before another's change fails, rather than decide on what was.
CREATE FUNCTION clerk.lock_instance(issuer text) RETURNS boolean
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	UPDATE clerk.instances AS instance SET created_at = instance.created_at WHERE instance.issuer = lock_instance.issuer;
	RETURN FOUND;
END
$$;
COMMENT ON FUNCTION clerk.lock_instance(text) IS
	'makes who changes the keys or secrets of an instance wait for one another until the end of the transaction; whether there is such an instance';

CREATE FUNCTION clerk.drop_instance(issuer text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	DELETE FROM clerk.instances AS instance WHERE instance.issuer = drop_instance.issuer;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('instance %s is not registered', coalesce(drop_instance.issuer, 'NULL'));
	END IF;
END
$$;
COMMENT ON FUNCTION clerk.drop_instance(text) IS 'removes an instance and its keys: its tokens are foreign from the next statement on';

CREATE FUNCTION clerk.public_jwk(jwk jsonb) RETURNS jsonb
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT jsonb_object_agg(member.key, member.value)
	FROM jsonb_each(jwk) AS member
	WHERE member.key = ANY ('{kty,kid,use,key_ops,alg,n,e,crv,x,y}')
$$;
COMMENT ON FUNCTION clerk.public_jwk(jsonb) IS 'a JSON Web Key without the members that verifying does not need';

CREATE FUNCTION clerk.jwk_of_spki(der bytea) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'clerk_rls_jwk_of_spki' LANGUAGE C IMMUTABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION clerk.jwk_of_spki(bytea) IS 'the public key in a SubjectPublicKeyInfo, or in a certificate, as a JSON Web Key';

CREATE FUNCTION clerk.jwk_of_pem(pem text) RETURNS jsonb
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	-- as environment files and JSON have it: in quotes, with \n for the ends of lines
	lines constant text := replace(replace(btrim(pem, E' \t\r\n"'''), '\r', ''), '\n', E'\n');
	-- the lines between BEGIN and END, or all there is
	body constant text := regexp_replace(regexp_replace(lines, '-----(BEGIN|END) [A-Z0-9 ]+-----', '', 'g'), '\s', '', 'g');
BEGIN
	IF coalesce(body !~ '^[A-Za-z0-9+/]+={0,2}$' OR length(body) % 4 <> 0, true) THEN
		PERFORM clerk.refuse('22023', 'the key is refused', 'It is not one public key in PEM form.',
			'Copy the JWT public key from the API keys page of the Clerk Dashboard; a certificate will do as well.');
	END IF;
	RETURN clerk.jwk_of_spki(decode(body, 'base64'));
END
$$;
COMMENT ON FUNCTION clerk.jwk_of_pem(text) IS 'the public key of a PEM file, or of a certificate in one, as a JSON Web Key';

CREATE FUNCTION clerk.usable_jwks(jwks jsonb) RETURNS jsonb
	LANGUAGE plpgsql IMMUTABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	usable jsonb := '{}';
	entry record;
	checked record;
	kid text;
BEGIN
	-- Firebase's other document: certificates by kid
	IF jsonb_path_exists(jwks, 'strict $ ? (@.type() == "object").* ? (@.type() == "string" && @ starts with "-----BEGIN CERTIFICATE")')
		AND NOT jsonb_path_exists(jwks, 'strict $.* ? (@.type() != "string" || !(@ starts with "-----BEGIN CERTIFICATE"))') THEN
		jwks := jsonb_build_object('keys', (SELECT jsonb_agg(clerk.jwk_of_pem(pem.value) || jsonb_build_object('kid', pem.key)) FROM jsonb_each_text(jwks) AS pem));
	END IF;
	IF jwks ? 'kty' THEN
		PERFORM clerk.refuse('22023', 'this is a single JSON Web Key, not a JWKS', NULL, 'Wrap it: {"keys": [ ... ]}');
	ELSIF jsonb_typeof(jwks -> 'keys') IS DISTINCT FROM 'array' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'this is not a JWKS',
			DETAIL = 'A JWKS is a JSON object with an array "keys".';
	END IF;
	FOR entry IN SELECT value, ordinality FROM jsonb_array_elements(jwks -> 'keys') WITH ORDINALITY LOOP
		checked := clerk.check_jwk(entry.value);
		CONTINUE WHEN checked.ignored;
		kid := entry.value ->> 'kid';
		IF checked.problem IS NULL AND coalesce(jsonb_typeof(entry.value -> 'kid') <> 'string' OR kid = '', true) THEN
			checked.problem := 'It has no "kid", by which a token could name it.';
		ELSIF checked.problem IS NULL AND usable ? kid THEN
			checked.problem := 'Another key has the same "kid".';
		END IF;
		IF checked.problem IS NOT NULL THEN
			PERFORM clerk.refuse('22023', format('key %s of the JWKS is refused', coalesce(quote_literal(kid), '#' || entry.ordinality)),
				checked.problem, 'No key of the document was loaded.');
		END IF;
		usable := usable || jsonb_build_object(kid, clerk.public_jwk(entry.value));
	END LOOP;
	IF usable = '{}' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'the JWKS has no key that could verify a token',
			HINT = 'The keys that were loaded before stay as they are; clerk.drop_instance() removes an instance.';
	END IF;
	RETURN usable;
END
$$;
COMMENT ON FUNCTION clerk.usable_jwks(jsonb) IS 'the keys of a JWKS that can verify tokens, by kid; raises for one that must not be loaded';

CREATE FUNCTION clerk.load_jwks(issuer text, jwks jsonb, grace interval DEFAULT '10 minutes')
	RETURNS TABLE (kid text, change text)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
DECLARE
	usable jsonb;
BEGIN
	IF NOT clerk.lock_instance(load_jwks.issuer) THEN
		PERFORM clerk.refuse('42704', format('instance %s is not registered', coalesce(load_jwks.issuer, 'NULL')), NULL,
			'Register it with clerk.add_instance().');
	ELSIF load_jwks.jwks IS NULL OR NOT load_jwks.grace BETWEEN '0' AND '30 days' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'a JWKS, and a grace between 0 and 30 days, must be given';
	END IF;

	usable := clerk.usable_jwks(load_jwks.jwks);
	RETURN QUERY
	WITH document AS MATERIALIZED (
		SELECT key.kid, key.jwk FROM jsonb_each(usable) AS key (kid, jwk)
	), before AS MATERIALIZED (
		SELECT key.kid, key.jwk, key.expires_at, key.any_kid, key.is_retired
		FROM clerk.jwks AS key
		WHERE key.issuer = load_jwks.issuer AND (NOT key.any_kid OR key.kid IN (SELECT document.kid FROM document))
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
		ON CONFLICT ON CONSTRAINT jwks_pkey DO UPDATE SET jwk = excluded.jwk, expires_at = NULL, any_kid = false
			WHERE NOT key.is_retired
	)
	SELECT coalesce(document.kid, before.kid),
		CASE
			WHEN before.is_retired THEN 'retired'
			WHEN before.kid IS NULL THEN 'added'
			WHEN document.kid IS NULL THEN 'retiring'
			WHEN before.jwk = document.jwk AND before.expires_at IS NULL AND NOT before.any_kid THEN 'unchanged'
			ELSE 'updated'
		END
	FROM document FULL JOIN before ON before.kid = document.kid
	WHERE document.kid IS NOT NULL OR before.expires_at IS NULL OR before.expires_at > now()
	ORDER BY 1;
END
$$;
COMMENT ON FUNCTION clerk.load_jwks(text, jsonb, interval) IS
	'takes the keys of a JWKS for an instance; a key that is no longer in it verifies for the grace, then not';

CREATE FUNCTION clerk.jwk_thumbprint(jwk jsonb) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
	-- RFC 7638: what the key is made of, in alphabetical order, without white space
	SELECT translate(rtrim(encode(sha256(convert_to(
			'{' || string_agg(to_json(member.key)::text || ':' || member.value::text, ',' ORDER BY member.key COLLATE "C") || '}',
		'UTF8')), 'base64'), '='), '+/', '-_')
	FROM jsonb_each(jwk) AS member
	WHERE member.key = ANY ('{kty,n,e,crv,x,y}')
$$;
COMMENT ON FUNCTION clerk.jwk_thumbprint(jsonb) IS 'SHA-256 thumbprint of a public JSON Web Key (RFC 7638)';

CREATE FUNCTION clerk.load_pem(issuer text, pem text, kid text DEFAULT NULL) RETURNS text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_variable
DECLARE
	jwk jsonb;
	problem text;
BEGIN
	IF NOT clerk.lock_instance(load_pem.issuer) THEN
		PERFORM clerk.refuse('42704', format('instance %s is not registered', coalesce(issuer, 'NULL')), NULL,
			'Register it with clerk.add_instance().');
	ELSIF kid = '' THEN
		PERFORM clerk.refuse('22023', 'the key is refused', 'The kid is empty.', NULL);
	END IF;
	jwk := clerk.jwk_of_pem(pem);
	problem := (clerk.check_jwk(jwk)).problem;
	IF problem IS NOT NULL THEN
		PERFORM clerk.refuse('22023', 'the key is refused', problem, NULL);
	END IF;
	INSERT INTO clerk.jwks AS key (issuer, kid, jwk, any_kid)
		SELECT issuer, new_kid, jwk || jsonb_build_object('kid', new_kid, 'use', 'sig'), kid IS NULL
		FROM coalesce(kid, clerk.jwk_thumbprint(jwk)) AS new_kid
		ON CONFLICT ON CONSTRAINT jwks_pkey DO UPDATE
			SET jwk = excluded.jwk, expires_at = NULL, any_kid = excluded.any_kid, is_retired = false
		RETURNING key.kid INTO kid;
	RETURN kid;
END
$$;
COMMENT ON FUNCTION clerk.load_pem(text, text, text) IS
	'takes a public key, or a certificate, in PEM form for an instance; without a kid, for tokens of any kid it does not know; returns the kid';

CREATE FUNCTION clerk.retire_key(issuer text, kid text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	PERFORM clerk.lock_instance(retire_key.issuer);
	UPDATE clerk.jwks AS key SET expires_at = least(key.expires_at, now()), is_retired = true
	WHERE key.issuer = retire_key.issuer AND key.kid = retire_key.kid;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('instance %s has no key %s', coalesce(quote_literal(issuer), 'NULL'), coalesce(quote_literal(kid), 'NULL'));
	END IF;
END
$$;
COMMENT ON FUNCTION clerk.retire_key(text, text) IS
	'ends a key at once and for good: no JWKS brings it back until its row of clerk.jwks is deleted';

--
-- Keys that are fetched
--

CREATE TABLE clerk.jwks_refreshes (
	issuer text COLLATE "C" CONSTRAINT jwks_refreshes_pkey PRIMARY KEY
		CONSTRAINT jwks_refreshes_issuer_fkey REFERENCES clerk.instances ON UPDATE CASCADE ON DELETE CASCADE,
	attempted_at timestamptz,
	succeeded_at timestamptz,
	failed_at timestamptz,
	failure text,
	request_id bigint
);
COMMENT ON TABLE clerk.jwks_refreshes IS 'how clerk.refresh_jwks() went';
COMMENT ON COLUMN clerk.jwks_refreshes.issuer IS 'the instance';
COMMENT ON COLUMN clerk.jwks_refreshes.attempted_at IS 'when its keys were last asked for';
COMMENT ON COLUMN clerk.jwks_refreshes.succeeded_at IS 'when they last came';
COMMENT ON COLUMN clerk.jwks_refreshes.failed_at IS 'when they last did not';
COMMENT ON COLUMN clerk.jwks_refreshes.failure IS 'why';
COMMENT ON COLUMN clerk.jwks_refreshes.request_id IS 'the request of pg_net whose answer is to be collected';
SELECT pg_catalog.pg_extension_config_dump('clerk.jwks_refreshes', $$WHERE issuer <> 'https://clerk.test.invalid'$$);

CREATE FUNCTION clerk.unknown_kid_at(issuer text) RETURNS timestamptz
	AS 'MODULE_PATHNAME', 'clerk_rls_unknown_kid_at' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION clerk.unknown_kid_at(text) IS 'when a token last named a key that the instance does not have, since the server started';

CREATE FUNCTION clerk.extension_schema(extension name) RETURNS regnamespace
	LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$ SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = extension $$;
COMMENT ON FUNCTION clerk.extension_schema(name) IS 'the schema of another extension; NULL when it is not there';

CREATE FUNCTION clerk.parse_jwks_response(status integer, content text) RETURNS jsonb
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF status IS DISTINCT FROM 200 THEN
		RAISE EXCEPTION USING ERRCODE = 'data_exception', MESSAGE = format('the server answered with HTTP status %s', coalesce(status, 0));
	ELSIF content IS NULL OR octet_length(content) > 1048576 THEN
		RAISE EXCEPTION USING ERRCODE = 'data_exception', MESSAGE = 'the answer is empty, or larger than 1 MiB';
	END IF;
	RETURN content::jsonb;
EXCEPTION WHEN invalid_text_representation OR untranslatable_character THEN
	RAISE EXCEPTION USING ERRCODE = 'data_exception', MESSAGE = 'the answer is not JSON';
END
$$;
COMMENT ON FUNCTION clerk.parse_jwks_response(integer, text) IS 'the JWKS in an HTTP response; raises when there is none';

-- Each of these returns true when keys were loaded, and false when the answer is to come.
CREATE FUNCTION clerk.refresh_through_http(issuer text, url text) RETURNS boolean
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	response record;
BEGIN
	PERFORM set_config('http.timeout_msec', '10000', true);
	-- the exact type, so that nobody's http_get(text) is preferred
	EXECUTE format('SELECT status, content FROM %s.http_get($1::pg_catalog.varchar)', clerk.extension_schema('http')) INTO response USING url;
	PERFORM clerk.load_jwks(issuer, clerk.parse_jwks_response(response.status, response.content));
	RETURN true;
END
$$;
COMMENT ON FUNCTION clerk.refresh_through_http(text, text) IS 'fetches the keys of an instance through the extension http, with a timeout of 10 seconds';

-- Who may write where pg_net keeps its requests and answers, could choose our keys. pg_net itself
-- grants all on its tables to PUBLIC.
CREATE FUNCTION clerk.pg_net_writers() RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT string_agg(DISTINCT format('%s may %s on %s',
		CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END, acl.privilege_type, acl.object), '; ')
	FROM (
		SELECT granted.grantee, granted.privilege_type, c.relname::text AS object
		FROM pg_class AS c, aclexplode(coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))) AS granted
		WHERE c.relnamespace = to_regnamespace('net') AND c.relkind IN ('r', 'p', 'S', 'v')
			AND granted.privilege_type NOT IN ('SELECT', 'REFERENCES', 'MAINTAIN')
		UNION ALL
		SELECT granted.grantee, granted.privilege_type, c.relname || '.' || a.attname
		FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid, aclexplode(a.attacl) AS granted
		WHERE c.relnamespace = to_regnamespace('net') AND granted.privilege_type IN ('INSERT', 'UPDATE')
		UNION ALL
		SELECT granted.grantee, granted.privilege_type, 'schema net'
		FROM pg_namespace AS n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) AS granted
		WHERE n.nspname = 'net' AND granted.privilege_type = 'CREATE'
	) AS acl
	WHERE acl.grantee NOT IN (SELECT r.oid FROM pg_roles AS r WHERE r.rolsuper)
$$;
COMMENT ON FUNCTION clerk.pg_net_writers() IS
	'who else than a superuser may write where pg_net keeps requests and answers; NULL: nobody';

CREATE FUNCTION clerk.refresh_through_pg_net(issuer text, url text) RETURNS boolean
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_variable
DECLARE
	request bigint := (SELECT refresh.request_id FROM clerk.jwks_refreshes AS refresh WHERE refresh.issuer = refresh_through_pg_net.issuer);
	response record;
	writers constant text := clerk.pg_net_writers();
BEGIN
	IF writers IS NOT NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'insufficient_privilege',
			MESSAGE = format('pg_net is not used: who can write its tables could choose the keys (%s); revoke that, or use the extension http', writers);
	END IF;
	IF request IS NULL THEN
		EXECUTE 'SELECT net.http_get($1, timeout_milliseconds => 10000)' INTO request USING url;
		UPDATE clerk.jwks_refreshes AS refresh SET request_id = request WHERE refresh.issuer = refresh_through_pg_net.issuer;
		RETURN false;
	END IF;
	EXECUTE 'SELECT status_code, content, timed_out, error_msg FROM net._http_response WHERE id = $1' INTO response USING request;
	IF response.status_code IS NULL AND response.timed_out IS NULL AND response.error_msg IS NULL THEN
		-- pg_net forgets its answers, so that this one may never come
		UPDATE clerk.jwks_refreshes AS refresh SET request_id = NULL
		WHERE refresh.issuer = refresh_through_pg_net.issuer AND refresh.attempted_at < now() - interval '5 minutes';
		RETURN false;
	END IF;
	UPDATE clerk.jwks_refreshes AS refresh SET request_id = NULL WHERE refresh.issuer = refresh_through_pg_net.issuer;
	IF response.timed_out OR response.error_msg IS NOT NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'data_exception', MESSAGE = coalesce(response.error_msg, 'the server did not answer in time');
	END IF;
	PERFORM clerk.load_jwks(issuer, clerk.parse_jwks_response(response.status_code, response.content));
	RETURN true;
END
$$;
COMMENT ON FUNCTION clerk.refresh_through_pg_net(text, text) IS
	'asks for the keys of an instance through pg_net; the next call collects the answer';

CREATE FUNCTION clerk.refresh_one(issuer text, OUT outcome text, OUT detail text)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_variable
DECLARE
	url text;
BEGIN
	-- others may change its keys while they are fetched, but not drop it
	SELECT jwks_url INTO url FROM clerk.instances AS instance WHERE instance.issuer = refresh_one.issuer FOR KEY SHARE;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	INSERT INTO clerk.jwks_refreshes AS refresh (issuer, attempted_at) VALUES (issuer, clock_timestamp())
		ON CONFLICT ON CONSTRAINT jwks_refreshes_pkey DO UPDATE SET attempted_at = excluded.attempted_at WHERE refresh.request_id IS NULL;
	BEGIN
		IF url IS NULL THEN
			RAISE EXCEPTION USING ERRCODE = 'data_exception', MESSAGE = 'the instance has no jwks_url';
		ELSIF clerk.extension_schema('http') IS NOT NULL THEN
			outcome := CASE WHEN clerk.refresh_through_http(issuer, url) THEN 'refreshed' ELSE 'requested' END;
		ELSE
			outcome := CASE WHEN clerk.refresh_through_pg_net(issuer, url) THEN 'refreshed' ELSE 'requested' END;
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
COMMENT ON FUNCTION clerk.refresh_one(text) IS 'fetches the keys of an instance and records how it went; the old keys stay when it fails';

CREATE FUNCTION clerk.refresh_jwks(issuer text DEFAULT NULL) RETURNS TABLE (instance text, outcome text, detail text)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	IF issuer IS NOT NULL AND NOT EXISTS (SELECT FROM clerk.instances AS i WHERE i.issuer = refresh_jwks.issuer FOR KEY SHARE) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('instance %s is not registered', refresh_jwks.issuer),
			HINT = 'Register it with clerk.add_instance().';
	ELSIF clerk.extension_schema('http') IS NULL AND clerk.extension_schema('pg_net') IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'feature_not_supported',
			MESSAGE = 'neither the extension http nor pg_net is installed, so nothing can be fetched',
			HINT = (
				SELECT 'Run this in a shell, or from cron: '
					|| string_agg(format('curl -sf %s/.well-known/jwks.json | psql -v ON_ERROR_STOP=1 -d %s -c ''\set jwks `cat`'' -c "SELECT * FROM clerk.load_jwks(''%s'', :''jwks'')"',
						rtrim(i.issuer, '/'), current_database(), i.issuer), '; ' ORDER BY i.issuer)
				FROM clerk.instances AS i WHERE refresh_jwks.issuer IS NULL OR i.issuer = refresh_jwks.issuer);
	END IF;
	RETURN QUERY
		SELECT i.issuer, refreshed.outcome, refreshed.detail
		FROM (SELECT issuer FROM clerk.instances WHERE refresh_jwks.issuer IS NULL OR issuer = refresh_jwks.issuer ORDER BY issuer) AS i,
			clerk.refresh_one(i.issuer) AS refreshed
		WHERE refreshed.outcome IS NOT NULL;	-- NULL: dropped meanwhile
END
$$;
COMMENT ON FUNCTION clerk.refresh_jwks(text) IS
	'fetches the keys of an instance, or of all, through the extension http or pg_net; the old keys stay when it fails';

CREATE FUNCTION clerk.run_jwks_refresh(every interval) RETURNS void
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
				AND clerk.unknown_kid_at(instance.issuer) >= date_trunc('second', refresh.attempted_at))
		ORDER BY instance.issuer
	LOOP
		PERFORM clerk.refresh_jwks(due);
	END LOOP;
END
$$;
COMMENT ON FUNCTION clerk.run_jwks_refresh(interval) IS
	'the job of clerk.schedule_jwks_refresh(): fetches what is older than that, and early where a token named an unknown key';

CREATE FUNCTION clerk.schedule_job(job text, schedule text, command text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF clerk.extension_schema('pg_cron') IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'feature_not_supported',
			MESSAGE = 'the extension pg_cron is not installed in this database',
			HINT = format('Put this into the crontab: %s psql -d %s -c "%s"', schedule, current_database(), coalesce(command, ''));
	END IF;
	EXECUTE 'SELECT count(cron.unschedule(jobid)) FROM cron.job WHERE jobname = $1 AND database = current_database()' USING job;
	IF command IS NOT NULL THEN
		EXECUTE 'SELECT cron.schedule($1, $2, $3)' USING job, schedule, command;
	END IF;
END
$$;
COMMENT ON FUNCTION clerk.schedule_job(text, text, text) IS 'lets pg_cron run a command, or not any more if that is NULL';

CREATE FUNCTION clerk.schedule_jwks_refresh(every interval) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF every < interval '1 minute' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'the keys cannot be fetched more often than once a minute';
	END IF;
	PERFORM clerk.schedule_job('clerk_rls: refresh of JWKS', '* * * * *', 'SELECT clerk.run_jwks_refresh(' || quote_literal(every) || ')');
END
$$;
COMMENT ON FUNCTION clerk.schedule_jwks_refresh(interval) IS 'lets pg_cron fetch the keys this often, and early where a token named an unknown key; NULL ends that';

--
-- Identity
--

CREATE FUNCTION clerk.uid() RETURNS text
	AS 'MODULE_PATHNAME', 'clerk_rls_uid' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION clerk.uid() IS 'Clerk id of the signed-in user, verified; NULL for everybody else';

CREATE FUNCTION clerk.jwt() RETURNS jsonb
	AS 'MODULE_PATHNAME', 'clerk_rls_jwt' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION clerk.jwt() IS 'claims of the verified token';

CREATE FUNCTION clerk.claim(VARIADIC path text[]) RETURNS text
	AS 'MODULE_PATHNAME', 'clerk_rls_claim' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION clerk.claim(text[]) IS 'one of the claims of the verified token, by its path';

CREATE FUNCTION clerk.session_id() RETURNS text
	AS 'MODULE_PATHNAME', 'clerk_rls_session_id' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION clerk.session_id() IS 'Clerk session id ("sid"); NULL also for tokens of JWT templates';

CREATE FUNCTION clerk.issuer() RETURNS text
	AS 'MODULE_PATHNAME', 'clerk_rls_issuer' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION clerk.issuer() IS 'issuer ("iss") of the verified token';

CREATE FUNCTION clerk.actor_id() RETURNS text
	AS 'MODULE_PATHNAME', 'clerk_rls_actor_id' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION clerk.actor_id() IS 'who impersonates the user ("act.sub"); NULL when nobody does';

CREATE FUNCTION clerk.expires_at() RETURNS timestamptz
	AS 'MODULE_PATHNAME', 'clerk_rls_expires_at' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION clerk.expires_at() IS 'when the verified token expires ("exp")';

CREATE FUNCTION clerk.is_authenticated() RETURNS boolean
	AS 'MODULE_PATHNAME', 'clerk_rls_is_authenticated' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION clerk.is_authenticated() IS 'whether somebody is signed in; never NULL';

CREATE FUNCTION clerk.is_impersonated() RETURNS boolean
	AS 'MODULE_PATHNAME', 'clerk_rls_is_impersonated' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION clerk.is_impersonated() IS 'whether somebody else acts as the user ("act"); never NULL';

--
-- Organization and authorization, as @clerk/shared answers; NULL or false without an organization
--

CREATE FUNCTION clerk.org_id() RETURNS text
	AS 'MODULE_PATHNAME', 'clerk_rls_org_id' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION clerk.org_id() IS 'Clerk id of the active organization';

CREATE FUNCTION clerk.org_slug() RETURNS text
	AS 'MODULE_PATHNAME', 'clerk_rls_org_slug' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION clerk.org_slug() IS 'slug of the active organization';

CREATE FUNCTION clerk.org_role() RETURNS text
	AS 'MODULE_PATHNAME', 'clerk_rls_org_role' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION clerk.org_role() IS 'the user''s role in the active organization, such as org:admin';

CREATE FUNCTION clerk.org_permissions() RETURNS text[]
	AS 'MODULE_PATHNAME', 'clerk_rls_org_permissions' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION clerk.org_permissions() IS 'the user''s permissions in the active organization, such as org:invoices:create';

-- These cost more than a comparison with clerk.org_id(), so that what tells rows apart is asked before.
CREATE FUNCTION clerk.has(params jsonb) RETURNS boolean
	AS 'MODULE_PATHNAME', 'clerk_rls_has' LANGUAGE C STABLE PARALLEL SAFE COST 5;
COMMENT ON FUNCTION clerk.has(jsonb) IS 'Clerk''s has({role, permission, feature, plan, reverification}): all that is asked must be met';

CREATE FUNCTION clerk.has_role(role text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'clerk_rls_has_role' LANGUAGE C STABLE PARALLEL SAFE COST 5;
COMMENT ON FUNCTION clerk.has_role(text) IS 'whether the user has this role in the active organization; org: may be left out';

CREATE FUNCTION clerk.has_permission(permission text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'clerk_rls_has_permission' LANGUAGE C STABLE PARALLEL SAFE COST 5;
COMMENT ON FUNCTION clerk.has_permission(text) IS 'whether the user has this permission in the active organization; org: may be left out';

CREATE FUNCTION clerk.has_feature(feature text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'clerk_rls_has_feature' LANGUAGE C STABLE PARALLEL SAFE COST 5;
COMMENT ON FUNCTION clerk.has_feature(text) IS 'whether the user, or the active organization, has this feature: slug, or o:slug, u:slug';

CREATE FUNCTION clerk.has_plan(plan text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'clerk_rls_has_plan' LANGUAGE C STABLE PARALLEL SAFE COST 5;
COMMENT ON FUNCTION clerk.has_plan(text) IS 'whether the user, or the active organization, has this plan: slug, or o:slug, u:slug';

CREATE FUNCTION clerk.has_reverified(preset text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'clerk_rls_has_reverified_preset' LANGUAGE C STABLE PARALLEL SAFE COST 5;
COMMENT ON FUNCTION clerk.has_reverified(text) IS 'whether the user has verified credentials again: strict_mfa, strict, moderate or lax';

CREATE FUNCTION clerk.has_reverified(level text, within interval) RETURNS boolean
	AS 'MODULE_PATHNAME', 'clerk_rls_has_reverified' LANGUAGE C STABLE PARALLEL SAFE COST 5;
COMMENT ON FUNCTION clerk.has_reverified(text, interval) IS 'whether the user has verified credentials again: first_factor, second_factor or multi_factor, within this time';

--
-- Clerk ids and local ids
--

-- Parsed here, so that no search_path matters.
CREATE FUNCTION clerk.canonical_id(mapped_id text) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN CASE WHEN translate(mapped_id, '{}-', '') ~ '^[0-9A-Fa-f]{32}$'
		THEN lower(translate(mapped_id, '{}-', '')) ELSE mapped_id END;
COMMENT ON FUNCTION clerk.canonical_id(text) IS
	'a local id such that equal ones are equal texts, however a UUID is spelled';

CREATE TABLE clerk.id_map (
	-- idmap.c knows the order of the columns up to mapped_id
	clerk_id text COLLATE "C" CONSTRAINT id_map_pkey PRIMARY KEY
		CONSTRAINT id_map_clerk_id CHECK (pg_catalog.length(clerk_id) BETWEEN 1 AND 255),
	mapped_id text COLLATE "C" NOT NULL
		CONSTRAINT id_map_mapped_id CHECK (pg_catalog.length(mapped_id) BETWEEN 1 AND 255),
	source regclass
);

-- A local id is one user's or one organization's; a UUID is the same however a cast lets it be spelled.
CREATE UNIQUE INDEX id_map_mapped_id_key ON clerk.id_map (
	(clerk_id OPERATOR(pg_catalog.^@) 'org_'),
	(clerk.canonical_id(mapped_id)));
CREATE INDEX id_map_source_idx ON clerk.id_map (source) WHERE source IS NOT NULL;

COMMENT ON TABLE clerk.id_map IS 'the local ids of Clerk users and organizations, for clerk.mapped_id() and its like';
COMMENT ON COLUMN clerk.id_map.clerk_id IS 'user_... or org_...';
COMMENT ON COLUMN clerk.id_map.mapped_id IS 'the local id, as text';
COMMENT ON COLUMN clerk.id_map.source IS 'the table it comes from, see clerk.track_ids(); NULL: clerk.map_id()';
COMMENT ON INDEX clerk.id_map_mapped_id_key IS 'a local id belongs to one user, or one organization';
COMMENT ON INDEX clerk.id_map_source_idx IS 'the rows of a tracked table';

SELECT pg_catalog.pg_extension_config_dump('clerk.id_map', '');

CREATE FUNCTION clerk.mapped_id() RETURNS uuid
	AS 'MODULE_PATHNAME', 'clerk_rls_mapped_id' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION clerk.mapped_id() IS 'local id of the signed-in user as uuid; NULL also when it is no uuid';

CREATE FUNCTION clerk.mapped_bigint() RETURNS bigint
	AS 'MODULE_PATHNAME', 'clerk_rls_mapped_bigint' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION clerk.mapped_bigint() IS 'local id of the signed-in user as bigint; NULL also when it is no bigint';

CREATE FUNCTION clerk.mapped_text() RETURNS text
	AS 'MODULE_PATHNAME', 'clerk_rls_mapped_text' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION clerk.mapped_text() IS 'local id of the signed-in user as text';

CREATE FUNCTION clerk.mapped_org_id() RETURNS uuid
	AS 'MODULE_PATHNAME', 'clerk_rls_mapped_org_id' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION clerk.mapped_org_id() IS 'local id of the active organization as uuid';

CREATE FUNCTION clerk.mapped_org_bigint() RETURNS bigint
	AS 'MODULE_PATHNAME', 'clerk_rls_mapped_org_bigint' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION clerk.mapped_org_bigint() IS 'local id of the active organization as bigint; NULL also when it is no bigint';

CREATE FUNCTION clerk.mapped_org_text() RETURNS text
	AS 'MODULE_PATHNAME', 'clerk_rls_mapped_org_text' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION clerk.mapped_org_text() IS 'local id of the active organization as text';

CREATE FUNCTION clerk.mapped_id(clerk_id text) RETURNS uuid
	AS 'MODULE_PATHNAME', 'clerk_rls_mapped_id_of' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION clerk.mapped_id(text) IS 'local id of any Clerk id as uuid';

CREATE FUNCTION clerk.fits_id_type(mapped_id text, id_type text) RETURNS boolean
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT CASE id_type
		WHEN 'uuid' THEN mapped_id ~ '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$'
		WHEN 'bigint' THEN mapped_id ~ '^(0|-?[1-9][0-9]{0,18})$'
			AND mapped_id::numeric BETWEEN -9223372036854775808 AND 9223372036854775807
		ELSE true
	END
$$;
COMMENT ON FUNCTION clerk.fits_id_type(text, text) IS 'whether a local id can be a value of this type (uuid, bigint or text)';

CREATE FUNCTION clerk.is_reserved_id(clerk_id text, mapped_id text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'clerk_rls_is_reserved_id' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION clerk.is_reserved_id(text, text) IS
	'whether a local id is a UUID of version 5 that another Clerk id may have without a mapping, so that this one never gets it';

CREATE FUNCTION clerk.map_id(clerk_id text, mapped_id text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
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
	END IF;
	SELECT instance.issuer, instance.id_type INTO unfit
	FROM clerk.instances AS instance
	WHERE NOT clerk.fits_id_type(mapped_id, instance.id_type) AND NOT clerk_id ^@ 'org_';
	IF FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('the local id is no %s', unfit.id_type),
			DETAIL = format('Instance %s says so in clerk.instances.id_type.', unfit.issuer);
	ELSIF clerk.is_reserved_id(clerk_id, mapped_id) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'the local id is reserved',
			DETAIL = 'A UUID of version 5 may be that of another Clerk id, which has no mapping yet.',
			HINT = 'If your local ids are of version 5 themselves, set clerk.instances.id_fallback to none.';
	END IF;
	-- one at a time: there are two unique keys, and ON CONFLICT names one
	PERFORM pg_advisory_xact_lock(hashtextextended('clerk_rls: map_id', 0));
	INSERT INTO clerk.id_map AS map VALUES (clerk_id, mapped_id)
		ON CONFLICT ON CONSTRAINT id_map_pkey DO UPDATE SET mapped_id = excluded.mapped_id WHERE map.source IS NULL;
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

CREATE FUNCTION clerk.unmap_id(clerk_id text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
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
COMMENT ON FUNCTION clerk.unmap_id(text) IS 'removes what clerk.map_id() has set';

-- SECURITY DEFINER: whoever may write to the tracked table writes to its mapping, too.
CREATE FUNCTION clerk.track_id() RETURNS trigger
	AS 'MODULE_PATHNAME', 'clerk_rls_track_id' LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION clerk.track_id() IS 'trigger: keeps clerk.id_map in step with a table that clerk.track_ids() tracks';

CREATE FUNCTION clerk.check_trackable(tab regclass, column_name name, types text[], is_local_id boolean) RETURNS void
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
			DETAIL = format('It is of type %s, and must be one of: %s.', tracked.type, array_to_string(types, ', '));
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
			DETAIL = 'It has no unique key of its own (neither partial nor deferrable), so two rows could have the same value.',
			HINT = format('ALTER TABLE %s ADD UNIQUE (%I);', tab, column_name);
	END IF;
END
$$;
COMMENT ON FUNCTION clerk.check_trackable(regclass, name, text[], boolean) IS 'raises if clerk.track_ids() cannot track a column';

CREATE FUNCTION clerk.backfill_ids(tab regclass, clerk_id_column name, id_column name) RETURNS bigint
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
	EXECUTE format('SELECT EXISTS (SELECT FROM ONLY %1$s AS t WHERE clerk.is_reserved_id(t.%2$I::text, t.%3$I::text))',
		tab, clerk_id_column, id_column) INTO reserved;
	IF reserved THEN
		RAISE EXCEPTION USING
			ERRCODE = 'check_violation',
			MESSAGE = format('table %s has a local id that is reserved', tab),
			DETAIL = 'A UUID of version 5 may be that of another Clerk id, which has no mapping yet.',
			HINT = format('Find it by clerk.is_reserved_id(%I, %I::text). If your local ids are of version 5 themselves, set clerk.instances.id_fallback to none.',
				clerk_id_column, id_column);
	END IF;
	EXECUTE format('UPDATE clerk.id_map AS map SET source = $1 FROM ONLY %s AS t
		WHERE map.source IS NULL AND map.clerk_id = t.%I::text AND map.mapped_id = t.%I::text', tab, clerk_id_column, id_column)
		USING tab;
	GET DIAGNOSTICS mapped = ROW_COUNT;
	FOR block IN 0 .. blocks BY chunk LOOP
		EXECUTE format('INSERT INTO clerk.id_map (source, clerk_id, mapped_id)
			SELECT $1, t.%1$I::text, t.%2$I::text FROM ONLY %3$s AS t
			WHERE t.ctid >= $2 AND t.ctid < $3 AND t.%1$I IS NOT NULL
				AND NOT EXISTS (SELECT FROM clerk.id_map AS map WHERE map.clerk_id = t.%1$I::text AND map.source = $1)',
			clerk_id_column, id_column, tab)
			USING tab, format('(%s,0)', block)::tid, format('(%s,0)', block + chunk)::tid;
		GET DIAGNOSTICS added = ROW_COUNT;
		mapped := mapped + added;
		IF blocks > chunk THEN
			RAISE NOTICE 'track_ids: % of % blocks of table % read, % ids mapped', least(block + chunk, blocks), blocks, tab, mapped;
		END IF;
	END LOOP;
	RETURN mapped;
EXCEPTION WHEN unique_violation THEN
	RAISE EXCEPTION USING
		ERRCODE = 'unique_violation',
		MESSAGE = format('table %s has an id that is mapped already', tab),
		DETAIL = 'A Clerk id has one local id, and a local id belongs to one user, or one organization.',
		HINT = format('Compare its columns %I and %I with clerk.id_map; clerk.unmap_id() removes a mapping.', clerk_id_column, id_column);
END
$$;
COMMENT ON FUNCTION clerk.backfill_ids(regclass, name, name) IS 'maps the rows that a table has when clerk.track_ids() begins; returns how many ids the table maps';

CREATE FUNCTION clerk.tracked_columns(tab regclass) RETURNS name[]
	LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT ARRAY(
		SELECT attname FROM unnest(tgattr::int2[]) WITH ORDINALITY AS u (attnum, n) JOIN pg_attribute AS a USING (attnum)
		WHERE a.attrelid = tab ORDER BY n)
	FROM pg_trigger
	WHERE tgrelid = tab AND tgfoid = 'clerk.track_id()'::regprocedure AND array_length(tgattr::int2[], 1) = 2
$$;
COMMENT ON FUNCTION clerk.tracked_columns(regclass) IS 'the columns of Clerk ids and local ids of a tracked table; NULL: it is not tracked';

CREATE FUNCTION clerk.track_ids(tab regclass, clerk_id_column name, id_column name) RETURNS bigint
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	kind "char" := (SELECT CASE WHEN relispartition THEN 'p' ELSE relkind END FROM pg_class WHERE oid = tab);
BEGIN
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
	IF (clerk.tracked_columns(tab)) = ARRAY[clerk_id_column, id_column] THEN
		RETURN (SELECT count(*) FROM clerk.id_map WHERE source = tab);
	ELSIF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = tab AND tgfoid = 'clerk.track_id()'::regprocedure) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'duplicate_object',
			MESSAGE = format('table %s is tracked already', tab),
			DETAIL = 'With other columns.',
			HINT = format('To change that, run clerk.untrack_ids(%L) first.', tab);
	END IF;
	PERFORM clerk.check_trackable(tab, clerk_id_column, '{text,character varying}', false);
	PERFORM clerk.check_trackable(tab, id_column, '{uuid,bigint,integer,smallint,text,character varying}', true);

	-- what a table that is gone has left behind
	DELETE FROM clerk.id_map WHERE source IS NOT NULL AND NOT EXISTS (SELECT FROM pg_class WHERE oid = source);
	-- the first of these bears the columns, see tracked_columns() in idmap.c
	EXECUTE format('CREATE TRIGGER clerk_track_ids AFTER INSERT OR DELETE OR UPDATE OF %I, %I ON %s FOR EACH ROW
		EXECUTE FUNCTION clerk.track_id()', clerk_id_column, id_column, tab);
	EXECUTE format('CREATE TRIGGER clerk_track_ids_update AFTER UPDATE ON %3$s FOR EACH ROW
		WHEN (old.%1$I IS DISTINCT FROM new.%1$I OR old.%2$I IS DISTINCT FROM new.%2$I)
		EXECUTE FUNCTION clerk.track_id()', clerk_id_column, id_column, tab);
	EXECUTE format('CREATE TRIGGER clerk_track_ids_truncate AFTER TRUNCATE ON %s FOR EACH STATEMENT
		EXECUTE FUNCTION clerk.track_id()', tab);
	EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER clerk_track_ids, ENABLE ALWAYS TRIGGER clerk_track_ids_update,
		ENABLE ALWAYS TRIGGER clerk_track_ids_truncate', tab);
	RETURN clerk.backfill_ids(tab, clerk_id_column, id_column);
END
$$;
COMMENT ON FUNCTION clerk.track_ids(regclass, name, name) IS
	'lets a table of the application be the mapping from Clerk ids to local ids; returns how many it has';

CREATE FUNCTION clerk.untrack_ids(tab regclass) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	tracking record;
BEGIN
	IF tab IS NOT NULL THEN
		EXECUTE format('LOCK TABLE ONLY %s IN SHARE ROW EXCLUSIVE MODE', tab);
	END IF;
	FOR tracking IN
		SELECT tgname FROM pg_trigger WHERE tgrelid = tab AND tgfoid = 'clerk.track_id()'::regprocedure AND NOT tgisinternal
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
COMMENT ON FUNCTION clerk.untrack_ids(regclass) IS 'ends clerk.track_ids(), and removes what it has mapped';

--
-- The functions of Supabase Auth, for policies that were written for it
--

CREATE TABLE clerk.auth_shim (
	object text CONSTRAINT auth_shim_pkey PRIMARY KEY,
	previous text
);
COMMENT ON TABLE clerk.auth_shim IS 'what clerk.install_auth_shim() has made, for clerk.remove_auth_shim()';
COMMENT ON COLUMN clerk.auth_shim.object IS 'a function of schema auth, or the schema';
COMMENT ON COLUMN clerk.auth_shim.previous IS 'the definition of the function that it has replaced, if any';
SELECT pg_catalog.pg_extension_config_dump('clerk.auth_shim', '');

CREATE FUNCTION clerk.is_auth_shim(function regprocedure) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	-- the body of the function depends on one of ours, and stops doing so when it is replaced
	SELECT EXISTS (
		SELECT FROM pg_depend AS body
		JOIN pg_depend AS member ON member.classid = body.refclassid AND member.objid = body.refobjid
		WHERE body.classid = 'pg_proc'::regclass AND body.objid = function AND body.refclassid = 'pg_proc'::regclass
			AND member.deptype = 'e' AND member.refclassid = 'pg_extension'::regclass
			AND member.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'clerk_rls'))
$$;
COMMENT ON FUNCTION clerk.is_auth_shim(regprocedure) IS 'whether clerk.install_auth_shim() has made this function';

CREATE FUNCTION clerk.install_auth_shim(overwrite boolean DEFAULT false) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	shim record;
	existing regprocedure;
BEGIN
	IF to_regnamespace('auth') IS NULL THEN
		CREATE SCHEMA auth;
		COMMENT ON SCHEMA auth IS 'made by clerk.install_auth_shim()';
		GRANT USAGE ON SCHEMA auth TO PUBLIC;
		INSERT INTO clerk.auth_shim VALUES ('schema auth') ON CONFLICT DO NOTHING;
	END IF;
	FOR shim IN
		SELECT * FROM (VALUES
			('auth.uid()', 'uuid', 'clerk.mapped_id()', 'local id of the signed-in user, see clerk.mapped_id()'),
			('auth.jwt()', 'jsonb', 'clerk.jwt()', 'claims of the verified token, see clerk.jwt()'),
			('auth.role()', 'text', 'CASE WHEN clerk.is_authenticated() THEN coalesce(clerk.claim(''role''), ''authenticated'')
				ELSE nullif(pg_catalog.current_setting(''role''), ''none'') END',
				'role of the verified token; without one, the role that was set'),
			('auth.email()', 'text', 'clerk.claim(''email'')', 'claim "email" of the verified token')
		) AS shims (signature, type, expression, comment)
	LOOP
		existing := to_regprocedure(shim.signature);
		CONTINUE WHEN clerk.is_auth_shim(existing);
		IF existing IS NOT NULL AND NOT coalesce(overwrite, false) THEN
			RAISE EXCEPTION USING
				ERRCODE = 'duplicate_function',
				MESSAGE = format('function %s exists already', shim.signature),
				HINT = 'clerk.install_auth_shim(overwrite => true) replaces it, and clerk.remove_auth_shim() brings it back.';
		END IF;
		INSERT INTO clerk.auth_shim VALUES (shim.signature, pg_get_functiondef(existing))
			ON CONFLICT (object) DO UPDATE SET previous = excluded.previous;
		-- parsed here and now, so that nobody's search_path matters when it is called
		EXECUTE format('CREATE OR REPLACE FUNCTION %s RETURNS %s LANGUAGE sql STABLE PARALLEL SAFE RETURN %s',
			shim.signature, shim.type, shim.expression);
		IF existing IS NULL THEN
			EXECUTE format('COMMENT ON FUNCTION %s IS %L', shim.signature, shim.comment);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION clerk.install_auth_shim(boolean) IS
	'makes auth.uid(), auth.jwt(), auth.role() and auth.email() answer from the verified token, for policies written for Supabase Auth';

CREATE FUNCTION clerk.remove_auth_shim() RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	shim record;
	owns_schema constant boolean := EXISTS (SELECT FROM clerk.auth_shim WHERE object = 'schema auth');
BEGIN
	FOR shim IN DELETE FROM clerk.auth_shim RETURNING * LOOP
		CONTINUE WHEN shim.object = 'schema auth' OR NOT clerk.is_auth_shim(to_regprocedure(shim.object));
		IF shim.previous IS NOT NULL THEN
			EXECUTE shim.previous;
		ELSE
			EXECUTE format('DROP FUNCTION %s', shim.object);
		END IF;
	END LOOP;
	IF owns_schema AND NOT EXISTS (
		SELECT FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass AND refobjid = to_regnamespace('auth')) THEN
		DROP SCHEMA IF EXISTS auth;
	END IF;
END
$$;
COMMENT ON FUNCTION clerk.remove_auth_shim() IS 'undoes clerk.install_auth_shim(): what it made is dropped, what it replaced is back';

--
-- Revocation
--

CREATE TABLE clerk.revocations (
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
COMMENT ON COLUMN clerk.revocations.source IS 'manual: set by clerk.revoke_session() or revoke_user(); webhook: kept by events';
COMMENT ON COLUMN clerk.revocations.issued_before IS 'only tokens issued before this; NULL: all';
COMMENT ON COLUMN clerk.revocations.reason IS 'for people';
COMMENT ON COLUMN clerk.revocations.revoked_at IS 'since when';
SELECT pg_catalog.pg_extension_config_dump('clerk.revocations', '');

CREATE TRIGGER invalidate_statement AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON clerk.revocations
	FOR EACH STATEMENT EXECUTE FUNCTION clerk.invalidate();
CREATE TRIGGER invalidate_row AFTER INSERT OR UPDATE OR DELETE ON clerk.revocations
	FOR EACH ROW EXECUTE FUNCTION clerk.invalidate();
ALTER TABLE clerk.revocations ENABLE ALWAYS TRIGGER invalidate_statement;
ALTER TABLE clerk.revocations ENABLE ALWAYS TRIGGER invalidate_row;
COMMENT ON TRIGGER invalidate_statement ON clerk.revocations IS 'every backend asks again';
COMMENT ON TRIGGER invalidate_row ON clerk.revocations IS 'the same, in an apply worker of logical replication';

CREATE FUNCTION clerk.revoke(id text, prefix text, reason text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_variable
BEGIN
	IF coalesce(id = '' OR (NOT starts_with(id, prefix) AND (starts_with(id, 'sess_') OR starts_with(id, 'user_')
		-- what the ids of other issuers look like is not known
		OR NOT EXISTS (SELECT FROM clerk.instances AS instance WHERE NOT clerk.is_clerks(instance.issuer, instance.jwks_url)))), true) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('this is not the id of a %s', CASE prefix WHEN 'sess_' THEN 'session' ELSE 'user' END),
			DETAIL = format('Clerk''s begin with %s.', prefix);
	END IF;
	INSERT INTO clerk.revocations AS revocation (id, reason) VALUES (id, reason)
		ON CONFLICT ON CONSTRAINT revocations_pkey DO UPDATE SET reason = coalesce(excluded.reason, revocation.reason);
END
$$;
COMMENT ON FUNCTION clerk.revoke(text, text, text) IS 'what revoke_session() and revoke_user() have in common';

CREATE FUNCTION clerk.revoke_session(session_id text, reason text DEFAULT NULL) RETURNS void
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk.revoke(session_id, 'sess_', reason) $$;
COMMENT ON FUNCTION clerk.revoke_session(text, text) IS 'refuses every token of a session, from the next statement on';

CREATE FUNCTION clerk.revoke_user(clerk_id text, reason text DEFAULT NULL) RETURNS void
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk.revoke(clerk_id, 'user_', reason) $$;
COMMENT ON FUNCTION clerk.revoke_user(text, text) IS 'refuses every token of a user, from the next statement on, until clerk.unrevoke()';

CREATE FUNCTION clerk.unrevoke(id text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
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
COMMENT ON FUNCTION clerk.unrevoke(text) IS 'takes back that a session or a user was revoked, by hand or by a webhook';

--
-- What webhooks keep: users, organizations, memberships. The payload is the object as Clerk
-- sends it, without what is private; the other columns are taken from it.
--

-- These have bodies that are parsed here, so that no search_path matters, and they can be inlined.
CREATE FUNCTION clerk.ms_to_timestamptz(ms text) RETURNS timestamptz
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN CASE WHEN ms ~ '^[0-9]{1,14}$' THEN to_timestamp(ms::float8 / 1000) END;
COMMENT ON FUNCTION clerk.ms_to_timestamptz(text) IS 'milliseconds since the Unix epoch as a time; NULL when they are none';

CREATE FUNCTION clerk.primary_email(payload jsonb) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN jsonb_path_query_first(payload, 'lax $.email_addresses[*] ? (@.id == $id)',
		jsonb_build_object('id', payload -> 'primary_email_address_id')) ->> 'email_address';
COMMENT ON FUNCTION clerk.primary_email(jsonb) IS 'the primary email address in a user object';

CREATE FUNCTION clerk.text_array(list jsonb) RETURNS text[]
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN (SELECT coalesce(array_agg(element #>> '{}' ORDER BY n), '{}') FROM jsonb_path_query(list, 'lax $[*]') WITH ORDINALITY AS e (element, n));
COMMENT ON FUNCTION clerk.text_array(jsonb) IS 'a JSON array as an array of texts';

-- Longer ones would not fit an index, nor clerk.id_map.
CREATE FUNCTION clerk.id_at(payload jsonb, VARIADIC path text[]) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN CASE WHEN length(payload #>> path) BETWEEN 1 AND 255 THEN payload #>> path END;
COMMENT ON FUNCTION clerk.id_at(jsonb, text[]) IS 'the id at a place in an object; NULL when there is none, or it is longer than 255 characters';

CREATE TABLE clerk.user_profiles (
	clerk_id text COLLATE "C" CONSTRAINT user_profiles_pkey PRIMARY KEY,
	issuer text COLLATE "C",
	email text GENERATED ALWAYS AS (clerk.primary_email(payload)) STORED,
	username text GENERATED ALWAYS AS (payload ->> 'username') STORED,
	first_name text GENERATED ALWAYS AS (payload ->> 'first_name') STORED,
	last_name text GENERATED ALWAYS AS (payload ->> 'last_name') STORED,
	image_url text GENERATED ALWAYS AS (payload ->> 'image_url') STORED,
	external_id text GENERATED ALWAYS AS (payload ->> 'external_id') STORED,
	public_metadata jsonb GENERATED ALWAYS AS (payload -> 'public_metadata') STORED,
	banned boolean GENERATED ALWAYS AS (payload -> 'banned' = 'true') STORED,
	locked boolean GENERATED ALWAYS AS (payload -> 'locked' = 'true') STORED,
	last_sign_in_at timestamptz GENERATED ALWAYS AS (clerk.ms_to_timestamptz(payload ->> 'last_sign_in_at')) STORED,
	created_at timestamptz GENERATED ALWAYS AS (clerk.ms_to_timestamptz(payload ->> 'created_at')) STORED,
	updated_at timestamptz GENERATED ALWAYS AS (clerk.ms_to_timestamptz(payload ->> 'updated_at')) STORED,
	deleted_at timestamptz,
	last_banned_at timestamptz,
	event_at timestamptz,
	payload jsonb NOT NULL
);
-- hash: whatever is in an event, it fits
CREATE INDEX user_profiles_email_idx ON clerk.user_profiles USING hash (email);
CREATE INDEX user_profiles_external_id_idx ON clerk.user_profiles USING hash (clerk.canonical_id(external_id));
COMMENT ON INDEX clerk.user_profiles_email_idx IS 'users by email address';
COMMENT ON INDEX clerk.user_profiles_external_id_idx IS 'users by the id the application has given';
COMMENT ON TABLE clerk.user_profiles IS 'users of Clerk, kept by webhooks; of a deleted user only the id is left';
COMMENT ON COLUMN clerk.user_profiles.clerk_id IS 'user_...';
COMMENT ON COLUMN clerk.user_profiles.issuer IS 'the instance';
COMMENT ON COLUMN clerk.user_profiles.email IS 'primary email address';
COMMENT ON COLUMN clerk.user_profiles.external_id IS 'the id the application has given in Clerk';
COMMENT ON COLUMN clerk.user_profiles.deleted_at IS 'when the user was deleted; NULL: not';
COMMENT ON COLUMN clerk.user_profiles.last_banned_at IS 'the latest update in which the user was banned';
COMMENT ON COLUMN clerk.user_profiles.event_at IS 'the time of the event that the payload comes from';
COMMENT ON COLUMN clerk.user_profiles.payload IS 'the user object, without private metadata';

CREATE TABLE clerk.org_profiles (
	clerk_id text COLLATE "C" CONSTRAINT org_profiles_pkey PRIMARY KEY,
	issuer text COLLATE "C",
	name text GENERATED ALWAYS AS (payload ->> 'name') STORED,
	slug text GENERATED ALWAYS AS (payload ->> 'slug') STORED,
	image_url text GENERATED ALWAYS AS (payload ->> 'image_url') STORED,
	public_metadata jsonb GENERATED ALWAYS AS (payload -> 'public_metadata') STORED,
	created_at timestamptz GENERATED ALWAYS AS (clerk.ms_to_timestamptz(payload ->> 'created_at')) STORED,
	updated_at timestamptz GENERATED ALWAYS AS (clerk.ms_to_timestamptz(payload ->> 'updated_at')) STORED,
	deleted_at timestamptz,
	event_at timestamptz,
	payload jsonb NOT NULL
);
COMMENT ON TABLE clerk.org_profiles IS 'organizations of Clerk, kept by webhooks; of a deleted one only the id is left';
COMMENT ON COLUMN clerk.org_profiles.clerk_id IS 'org_...';
COMMENT ON COLUMN clerk.org_profiles.issuer IS 'the instance';
COMMENT ON COLUMN clerk.org_profiles.deleted_at IS 'when the organization was deleted; NULL: not';
COMMENT ON COLUMN clerk.org_profiles.event_at IS 'the time of the event that the payload comes from';
COMMENT ON COLUMN clerk.org_profiles.payload IS 'the organization object, without private metadata';

CREATE TABLE clerk.org_memberships (
	clerk_id text COLLATE "C" CONSTRAINT org_memberships_pkey PRIMARY KEY,
	issuer text COLLATE "C",
	org_id text COLLATE "C" GENERATED ALWAYS AS (clerk.id_at(payload, 'organization', 'id')) STORED,
	user_id text COLLATE "C" GENERATED ALWAYS AS (clerk.id_at(payload, 'public_user_data', 'user_id')) STORED,
	role text GENERATED ALWAYS AS (payload ->> 'role') STORED,
	permissions text[] GENERATED ALWAYS AS (clerk.text_array(payload -> 'permissions')) STORED,
	public_metadata jsonb GENERATED ALWAYS AS (payload -> 'public_metadata') STORED,
	created_at timestamptz GENERATED ALWAYS AS (clerk.ms_to_timestamptz(payload ->> 'created_at')) STORED,
	updated_at timestamptz GENERATED ALWAYS AS (clerk.ms_to_timestamptz(payload ->> 'updated_at')) STORED,
	deleted_at timestamptz,
	event_at timestamptz,
	payload jsonb NOT NULL,
	of_org_id text COLLATE "C",
	of_user_id text COLLATE "C"
);
CREATE INDEX org_memberships_of_org_id_idx ON clerk.org_memberships (of_org_id);
CREATE INDEX org_memberships_of_user_id_idx ON clerk.org_memberships (of_user_id);
COMMENT ON INDEX clerk.org_memberships_of_org_id_idx IS 'what ends with an organization';
COMMENT ON INDEX clerk.org_memberships_of_user_id_idx IS 'what ends with a user';
CREATE INDEX org_memberships_org_id_idx ON clerk.org_memberships (org_id, user_id);
CREATE INDEX org_memberships_user_id_idx ON clerk.org_memberships (user_id);
COMMENT ON INDEX clerk.org_memberships_org_id_idx IS 'the members of an organization';
COMMENT ON INDEX clerk.org_memberships_user_id_idx IS 'the organizations of a user';
COMMENT ON TABLE clerk.org_memberships IS 'memberships of users in organizations, kept by webhooks; of one that has ended only ids are left';
COMMENT ON COLUMN clerk.org_memberships.clerk_id IS 'orgmem_...';
COMMENT ON COLUMN clerk.org_memberships.issuer IS 'the instance';
COMMENT ON COLUMN clerk.org_memberships.org_id IS 'the organization; NULL when the membership has ended';
COMMENT ON COLUMN clerk.org_memberships.user_id IS 'the user; NULL when the membership has ended';
COMMENT ON COLUMN clerk.org_memberships.role IS 'such as org:admin';
COMMENT ON COLUMN clerk.org_memberships.deleted_at IS 'when the membership ended; NULL: it has not';
COMMENT ON COLUMN clerk.org_memberships.event_at IS 'the time of the event that the payload comes from';
COMMENT ON COLUMN clerk.org_memberships.payload IS 'the membership object, without private metadata';
COMMENT ON COLUMN clerk.org_memberships.of_org_id IS 'the organization, also of a membership that has ended: whose end is its end';
COMMENT ON COLUMN clerk.org_memberships.of_user_id IS 'the user, likewise';

SELECT pg_catalog.pg_extension_config_dump('clerk.user_profiles', '');
SELECT pg_catalog.pg_extension_config_dump('clerk.org_profiles', '');
SELECT pg_catalog.pg_extension_config_dump('clerk.org_memberships', '');

-- SECURITY DEFINER: whoever may see profiles need not see memberships. It tells a caller only
-- who is in the organization that the caller's own token names.
CREATE FUNCTION clerk.is_fellow_member(user_id text) RETURNS boolean
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT EXISTS (
		SELECT FROM clerk.org_memberships AS membership
		WHERE membership.org_id = clerk.org_id() AND membership.user_id = is_fellow_member.user_id AND membership.deleted_at IS NULL)
$$;
COMMENT ON FUNCTION clerk.is_fellow_member(text) IS 'whether a user is a member of the organization that is active for the signed-in user';

ALTER TABLE clerk.user_profiles ENABLE ROW LEVEL SECURITY;
ALTER TABLE clerk.org_profiles ENABLE ROW LEVEL SECURITY;
ALTER TABLE clerk.org_memberships ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_and_fellow_members ON clerk.user_profiles FOR SELECT
	USING (clerk_id = clerk.uid() OR (deleted_at IS NULL AND clerk.is_fellow_member(clerk_id)));
CREATE POLICY active ON clerk.org_profiles FOR SELECT USING (clerk_id = clerk.org_id());
CREATE POLICY own_and_active ON clerk.org_memberships FOR SELECT USING (user_id = clerk.uid() OR org_id = clerk.org_id());
COMMENT ON POLICY own_and_fellow_members ON clerk.user_profiles IS 'users see themselves and the members of their active organization';
COMMENT ON POLICY active ON clerk.org_profiles IS 'users see their active organization';
COMMENT ON POLICY own_and_active ON clerk.org_memberships IS 'users see their memberships, and those of their active organization';

CREATE FUNCTION clerk.without_private(data jsonb) RETURNS jsonb
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN (data - 'private_metadata') #- '{organization,private_metadata}' #- '{public_user_data,private_metadata}';
COMMENT ON FUNCTION clerk.without_private(jsonb) IS 'an object without its private metadata';

CREATE FUNCTION clerk.object_id(data jsonb) RETURNS text
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF jsonb_typeof(data) = 'object' AND jsonb_typeof(data -> 'id') = 'string' AND length(data ->> 'id') BETWEEN 1 AND 255 THEN
		RETURN data ->> 'id';
	END IF;
	RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'an object without an id';
END
$$;
COMMENT ON FUNCTION clerk.object_id(jsonb) IS 'the id of an object; raises when it has none of 1 to 255 characters';

-- The newest version of an object wins, whatever the order in which they come: by the time of
-- its update (or the event's, where it says none), then by that of the event, then by its bytes. A deletion is final. One function for
-- each table, so that its statement is planned once.
DO $each$
DECLARE
	tab text;
BEGIN
	FOREACH tab IN ARRAY '{user_profiles,org_profiles,org_memberships}'::text[] LOOP
		EXECUTE pg_catalog.format($create$
CREATE FUNCTION clerk.merge_into_%1$s(issuer text, data jsonb, event_at timestamptz, deleted boolean) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	INSERT INTO clerk.%1$s AS old (clerk_id, issuer, deleted_at, event_at, payload)
	VALUES (clerk.object_id(data), merge_into_%1$s.issuer, CASE WHEN deleted THEN merge_into_%1$s.event_at END,
		CASE WHEN NOT deleted THEN merge_into_%1$s.event_at END, CASE WHEN deleted THEN '{}' ELSE clerk.without_private(data) END)
	ON CONFLICT (clerk_id) DO UPDATE SET
		issuer = coalesce(old.issuer, excluded.issuer),
		deleted_at = least(old.deleted_at, excluded.deleted_at),
		(event_at, payload) = (
			SELECT version.event_at, version.payload
			FROM (VALUES
				(0, old.event_at, old.payload), (0, excluded.event_at, excluded.payload),
				(CASE WHEN old.deleted_at IS NULL AND excluded.deleted_at IS NULL THEN -1 ELSE 1 END, NULL, '{}')
			) AS version (rank, event_at, payload)
			ORDER BY version.rank DESC,
				coalesce(clerk.ms_to_timestamptz(version.payload ->> 'updated_at'), version.event_at, '-infinity') DESC,
				coalesce(version.event_at, '-infinity') DESC, version.payload::text COLLATE "C" DESC
			LIMIT 1);
END
$$;
COMMENT ON FUNCTION clerk.merge_into_%1$s(text, jsonb, timestamptz, boolean) IS
	'brings a row of clerk.%1$s up to date with what an event says';
			$create$, tab);
	END LOOP;
END
$each$;

-- What an event says about one object may depend on another: a membership ends with its
-- organization and its user, and an external_id is one user's. Two events that are applied at
-- the same time do not see each other, so what ends or moves such things waits for what they
-- are made of, and the other way round. Taken before any row is written.
CREATE FUNCTION clerk.lock_profiles(exclusive boolean) RETURNS void
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
COMMENT ON FUNCTION clerk.lock_profiles(boolean) IS
	'exclusive: what ends organizations and users, or moves external ids, one at a time; not exclusive: memberships, beside each other';

CREATE FUNCTION clerk.map_external_id(external_id text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	key constant text := clerk.canonical_id(external_id);
	holder record;
BEGIN
	IF length(external_id) NOT BETWEEN 1 AND 255 THEN
		RETURN;
	END IF;
	SELECT p.clerk_id, p.external_id INTO holder
	FROM clerk.user_profiles AS p JOIN clerk.instances AS i ON i.issuer = p.issuer AND i.id_claim = 'external_id'
	WHERE clerk.canonical_id(p.external_id) = key
	ORDER BY coalesce(p.updated_at, p.event_at) DESC NULLS LAST, p.event_at DESC NULLS LAST, p.clerk_id
	LIMIT 1;
	DELETE FROM clerk.id_map AS map USING clerk.user_profiles AS p
	WHERE clerk.canonical_id(p.external_id) = key AND map.clerk_id = p.clerk_id
		AND map.source = 'clerk.user_profiles'::regclass AND p.clerk_id IS DISTINCT FROM holder.clerk_id;
	IF holder.clerk_id IS NOT NULL AND NOT clerk.is_reserved_id(holder.clerk_id, holder.external_id) THEN
		-- what clerk.map_id() or a tracked table says comes first
		INSERT INTO clerk.id_map VALUES (holder.clerk_id, holder.external_id, 'clerk.user_profiles') ON CONFLICT DO NOTHING;
	END IF;
END
$$;
COMMENT ON FUNCTION clerk.map_external_id(text) IS
	'lets the user whose profile says so last have this local id, and nobody else; under clerk.lock_profiles()';

CREATE FUNCTION clerk.end_memberships(parent_id text, ended_at timestamptz) RETURNS void
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
	AS $$
	UPDATE clerk.org_memberships AS m SET deleted_at = ended_at, event_at = NULL, payload = '{}'
	WHERE (m.of_org_id = parent_id OR m.of_user_id = parent_id) AND (m.deleted_at IS NULL OR m.deleted_at > ended_at)
$$;
COMMENT ON FUNCTION clerk.end_memberships(text, timestamptz) IS 'ends the memberships of an organization or a user that has ended';

CREATE FUNCTION clerk.apply_user(issuer text, data jsonb, event_at timestamptz, deleted boolean) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	user_id constant text := clerk.object_id(data);
	maps constant boolean := EXISTS (
		SELECT FROM clerk.instances AS i WHERE i.issuer = apply_user.issuer AND i.id_claim = 'external_id');
	old_external_id text;
	profile record;
BEGIN
	IF deleted OR maps THEN
		PERFORM clerk.lock_profiles(exclusive => true);
	END IF;
	SELECT p.external_id INTO old_external_id FROM clerk.user_profiles AS p WHERE p.clerk_id = user_id;
	PERFORM clerk.merge_into_user_profiles(apply_user.issuer, data, apply_user.event_at, deleted);
	-- the row is locked now, so that what follows from it cannot be overtaken
	UPDATE clerk.user_profiles AS p
	SET last_banned_at = greatest(p.last_banned_at, coalesce(clerk.ms_to_timestamptz(data ->> 'updated_at'), apply_user.event_at))
	WHERE p.clerk_id = user_id AND data -> 'banned' = 'true';
	SELECT p.clerk_id, p.issuer, p.external_id, p.banned, p.deleted_at, p.last_banned_at INTO profile
	FROM clerk.user_profiles AS p WHERE p.clerk_id = user_id;

	IF profile.deleted_at IS NOT NULL OR profile.banned OR profile.last_banned_at IS NOT NULL THEN
		INSERT INTO clerk.revocations AS revocation (id, source, issued_before, reason)
		VALUES (profile.clerk_id, 'webhook',
			CASE WHEN profile.deleted_at IS NULL AND NOT profile.banned THEN profile.last_banned_at END,
			CASE WHEN profile.deleted_at IS NOT NULL THEN 'deleted' ELSE 'banned' END)
		ON CONFLICT ON CONSTRAINT revocations_pkey DO UPDATE SET issued_before = excluded.issued_before, reason = excluded.reason
			WHERE (revocation.issued_before, revocation.reason) IS DISTINCT FROM (excluded.issued_before, excluded.reason);
	END IF;
	IF profile.deleted_at IS NOT NULL THEN
		PERFORM clerk.end_memberships(user_id, profile.deleted_at);
	END IF;

	DELETE FROM clerk.id_map AS map
	WHERE map.clerk_id = user_id AND map.source = 'clerk.user_profiles'::regclass AND map.mapped_id IS DISTINCT FROM profile.external_id;
	IF deleted OR maps THEN
		PERFORM clerk.map_external_id(changed) FROM unnest(ARRAY[old_external_id, profile.external_id]) AS changed
		WHERE changed IS NOT NULL;
	END IF;
END
$$;
COMMENT ON FUNCTION clerk.apply_user(text, jsonb, timestamptz, boolean) IS
	'brings a user up to date, and what depends on it: revocations, memberships, and the mapping where the instance says external_id';

CREATE FUNCTION clerk.apply_organization(issuer text, data jsonb, event_at timestamptz, deleted boolean) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF deleted THEN
		PERFORM clerk.lock_profiles(exclusive => true);
	END IF;
	PERFORM clerk.merge_into_org_profiles(apply_organization.issuer, data, apply_organization.event_at, deleted);
	IF deleted THEN
		PERFORM clerk.end_memberships(org.clerk_id, org.deleted_at)
		FROM clerk.org_profiles AS org WHERE org.clerk_id = clerk.object_id(data);
	END IF;
END
$$;
COMMENT ON FUNCTION clerk.apply_organization(text, jsonb, timestamptz, boolean) IS
	'brings an organization up to date; its memberships end with it';

CREATE FUNCTION clerk.apply_membership(issuer text, data jsonb, event_at timestamptz, deleted boolean) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	membership_id constant text := clerk.object_id(data);
BEGIN
	PERFORM clerk.lock_profiles(exclusive => false);
	PERFORM clerk.merge_into_org_memberships(apply_membership.issuer, data, apply_membership.event_at, deleted);
	UPDATE clerk.org_memberships AS m
	SET of_org_id = coalesce(m.of_org_id, clerk.id_at(data, 'organization', 'id')),
		of_user_id = coalesce(m.of_user_id, clerk.id_at(data, 'public_user_data', 'user_id'))
	WHERE m.clerk_id = membership_id AND (m.of_org_id IS NULL OR m.of_user_id IS NULL);
	-- its organization or its user may have ended before
	UPDATE clerk.org_memberships AS m SET deleted_at = parent.deleted_at, event_at = NULL, payload = '{}'
	FROM (
		SELECT least(
			(SELECT org.deleted_at FROM clerk.org_profiles AS org WHERE org.clerk_id = child.of_org_id),
			(SELECT member.deleted_at FROM clerk.user_profiles AS member WHERE member.clerk_id = child.of_user_id))
		FROM clerk.org_memberships AS child WHERE child.clerk_id = membership_id
	) AS parent (deleted_at)
	WHERE m.clerk_id = membership_id AND parent.deleted_at < coalesce(m.deleted_at, 'infinity');
END
$$;
COMMENT ON FUNCTION clerk.apply_membership(text, jsonb, timestamptz, boolean) IS
	'brings a membership up to date; it has ended when its organization or its user has';

CREATE FUNCTION clerk.apply_event(issuer text, event jsonb) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	type constant text := event ->> 'type';
	data constant jsonb := event -> 'data';
	ms constant text := event ->> 'timestamp';
	-- Clerk documents milliseconds, and shows seconds; without either it is older than all others
	event_at constant timestamptz := coalesce(clerk.ms_to_timestamptz(CASE WHEN length(ms) < 12 THEN ms || '000' ELSE ms END), to_timestamp(0));
BEGIN
	CASE
		WHEN type IN ('user.created', 'user.updated', 'user.deleted') THEN
			PERFORM clerk.apply_user(issuer, data, event_at, type = 'user.deleted');
		WHEN type IN ('organization.created', 'organization.updated', 'organization.deleted') THEN
			PERFORM clerk.apply_organization(issuer, data, event_at, type = 'organization.deleted');
		WHEN type IN ('organizationMembership.created', 'organizationMembership.updated', 'organizationMembership.deleted') THEN
			PERFORM clerk.apply_membership(issuer, data, event_at, type = 'organizationMembership.deleted');
		WHEN type IN ('session.ended', 'session.removed', 'session.revoked') THEN
			INSERT INTO clerk.revocations (id, source, reason) VALUES (clerk.object_id(data), 'webhook', split_part(type, '.', 2))
				ON CONFLICT ON CONSTRAINT revocations_pkey DO NOTHING;
		ELSE
			NULL;
	END CASE;
END
$$;
COMMENT ON FUNCTION clerk.apply_event(text, jsonb) IS 'applies an event of Clerk; others than those of users, organizations, memberships and sessions change nothing';

--
-- Webhooks
--

CREATE TABLE clerk.webhook_secrets (
	-- webhook.c knows the order of the columns up to secret
	issuer text COLLATE "C" NOT NULL
		CONSTRAINT webhook_secrets_issuer_fkey REFERENCES clerk.instances ON UPDATE CASCADE ON DELETE CASCADE,
	secret text COLLATE "C" NOT NULL,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT webhook_secrets_pkey PRIMARY KEY (issuer, secret)
);
COMMENT ON TABLE clerk.webhook_secrets IS 'signing secrets of webhook endpoints; several live ones are allowed, for rotation';
COMMENT ON COLUMN clerk.webhook_secrets.issuer IS 'the instance';
COMMENT ON COLUMN clerk.webhook_secrets.secret IS 'whsec_...';
COMMENT ON COLUMN clerk.webhook_secrets.created_at IS 'when it was added';

CREATE TABLE clerk.webhook_events (
	id text COLLATE "C" CONSTRAINT webhook_events_pkey PRIMARY KEY,
	issuer text COLLATE "C" NOT NULL,
	type text COLLATE "C" NOT NULL,
	received_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
CREATE INDEX webhook_events_received_at_idx ON clerk.webhook_events (received_at);
COMMENT ON INDEX clerk.webhook_events_received_at_idx IS 'for clerk.prune()';
COMMENT ON TABLE clerk.webhook_events IS 'events that were applied, so that none is twice; not what they said';
COMMENT ON COLUMN clerk.webhook_events.id IS 'svix-id, the same for each delivery of an event';
COMMENT ON COLUMN clerk.webhook_events.issuer IS 'the instance';
COMMENT ON COLUMN clerk.webhook_events.type IS 'such as user.created';
COMMENT ON COLUMN clerk.webhook_events.received_at IS 'when it was applied';

CREATE TABLE clerk.event_handlers (
	pattern text NOT NULL,
	-- a name and not an oid, which pg_upgrade could not take along
	handler text NOT NULL,
	CONSTRAINT event_handlers_pkey PRIMARY KEY (pattern, handler)
);
COMMENT ON TABLE clerk.event_handlers IS 'functions of the application that are called with each event of a type';
COMMENT ON COLUMN clerk.event_handlers.pattern IS 'a type of events; * stands for anything';
COMMENT ON COLUMN clerk.event_handlers.handler IS 'the function, with one argument of type jsonb';

SELECT pg_catalog.pg_extension_config_dump('clerk.webhook_secrets', $$WHERE issuer <> 'https://clerk.test.invalid'$$);
SELECT pg_catalog.pg_extension_config_dump('clerk.webhook_events', '');
SELECT pg_catalog.pg_extension_config_dump('clerk.event_handlers', '');

CREATE FUNCTION clerk.is_webhook_secret(secret text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'clerk_rls_is_webhook_secret' LANGUAGE C IMMUTABLE STRICT;
COMMENT ON FUNCTION clerk.is_webhook_secret(text) IS 'whether this could be the signing secret of an endpoint';

CREATE FUNCTION clerk.add_webhook_secret(issuer text, secret text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF NOT clerk.lock_instance(add_webhook_secret.issuer) THEN
		PERFORM clerk.refuse('42704', format('instance %s is not registered', coalesce(issuer, 'NULL')), NULL,
			'Register it with clerk.add_instance().');
	ELSIF clerk.is_webhook_secret(secret) IS NOT TRUE THEN
		PERFORM clerk.refuse('22023', 'this is not a signing secret', NULL,
			'Copy it from the endpoint''s page in the Clerk Dashboard: whsec_ and base64.');
	END IF;
	INSERT INTO clerk.webhook_secrets VALUES (issuer, secret) ON CONFLICT DO NOTHING;
END
$$;
COMMENT ON FUNCTION clerk.add_webhook_secret(text, text) IS 'takes the signing secret of an endpoint of an instance, beside those it has';

CREATE FUNCTION clerk.drop_webhook_secret(issuer text, secret text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	PERFORM clerk.lock_instance(drop_webhook_secret.issuer);
	DELETE FROM clerk.webhook_secrets AS s WHERE s.issuer = drop_webhook_secret.issuer AND s.secret = drop_webhook_secret.secret;
	IF NOT FOUND THEN
		PERFORM clerk.refuse('42704', format('instance %s has no such secret', coalesce(issuer, 'NULL')), NULL, NULL);
	END IF;
END
$$;
COMMENT ON FUNCTION clerk.drop_webhook_secret(text, text) IS 'webhooks that were signed with this secret are refused from now on';

CREATE FUNCTION clerk.verify_webhook(id text, ts text, signature text, body text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'clerk_rls_verify_webhook' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION clerk.verify_webhook(text, text, text, text) IS
	'whether one of the secrets has signed this body, with its headers svix-id, svix-timestamp and svix-signature, just now';

CREATE FUNCTION clerk.authenticate_webhook(id text, ts text, signature text, body text) RETURNS text
	AS 'MODULE_PATHNAME', 'clerk_rls_authenticate_webhook' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION clerk.authenticate_webhook(text, text, text, text) IS
	'the issuer of the instance that sent a webhook, or an error (PT401) with the reason';

CREATE FUNCTION clerk.webhook_header(name text) RETURNS text
	AS 'MODULE_PATHNAME', 'clerk_rls_webhook_header' LANGUAGE C STABLE STRICT;
COMMENT ON FUNCTION clerk.webhook_header(text) IS 'header svix-<name>, or webhook-<name>, of the request';

CREATE FUNCTION clerk.run_event_handler(handler regprocedure, event jsonb) RETURNS void
	AS 'MODULE_PATHNAME', 'clerk_rls_run_event_handler' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION clerk.run_event_handler(regprocedure, jsonb) IS 'calls a function as the role that owns it';

CREATE FUNCTION clerk.handler_leftovers() RETURNS SETOF text
	LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT 'cursor ' || quote_ident(name) FROM pg_cursors
	UNION ALL
	SELECT 'temporary ' || pg_describe_object(classid, objid, objsubid) FROM pg_depend
	WHERE refclassid = 'pg_namespace'::regclass AND refobjid = pg_my_temp_schema()
$$;
COMMENT ON FUNCTION clerk.handler_leftovers() IS
	'what could outlive an event handler in this session, and be run as somebody else than its owner: cursors and temporary objects';

CREATE FUNCTION clerk.handle_event(handler regprocedure, event jsonb) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	before constant text[] := ARRAY(SELECT clerk.handler_leftovers());
	leftover text;
BEGIN
	PERFORM clerk.run_event_handler(handler, event);
	SELECT l INTO leftover FROM clerk.handler_leftovers() AS l WHERE l <> ALL (before) ORDER BY l LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'object_not_in_prerequisite_state',
			MESSAGE = format('event handler %s leaves something in the session', handler),
			DETAIL = format('It has left: %s.', leftover),
			HINT = 'It must close its cursors and drop its temporary objects.';
	END IF;
END
$$;
COMMENT ON FUNCTION clerk.handle_event(regprocedure, jsonb) IS 'calls a function as the role that owns it, and raises if it leaves a cursor or a temporary object';

CREATE FUNCTION clerk.plain_json(body text, ascii boolean) RETURNS text
	AS 'MODULE_PATHNAME', 'clerk_rls_plain_json' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION clerk.plain_json(text, boolean) IS
	'a JSON text with what jsonb cannot hold replaced: U+0000, half characters, numbers, strings and levels beyond its limits';

CREATE FUNCTION clerk.parse_event(body text) RETURNS jsonb
	LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	BEGIN
		RETURN clerk.plain_json(body, ascii => false)::jsonb;
	EXCEPTION WHEN untranslatable_character OR feature_not_supported THEN
		-- the database's encoding lacks a character, or (SQL_ASCII) has none beyond ASCII
		RETURN clerk.plain_json(body, ascii => true)::jsonb;
	END;
EXCEPTION WHEN invalid_text_representation OR untranslatable_character THEN
	PERFORM clerk.refuse('22023', 'the webhook is not JSON', NULL, NULL);
END
$$;
COMMENT ON FUNCTION clerk.parse_event(text) IS 'the body of a webhook, with what jsonb cannot hold replaced';

CREATE FUNCTION clerk.receive_webhook(id text, ts text, signature text, body text) RETURNS json
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_variable
DECLARE
	issuer constant text := clerk.authenticate_webhook(id, ts, signature, body);
	event constant jsonb := clerk.parse_event(body);
	registered record;
BEGIN
	IF jsonb_typeof(event) <> 'object' OR jsonb_typeof(event -> 'type') IS DISTINCT FROM 'string'
		OR jsonb_typeof(event -> 'data') IS DISTINCT FROM 'object' THEN
		PERFORM clerk.refuse('22023', 'the webhook is no event', 'It must be a JSON object with "type" and "data".', NULL);
	END IF;
	-- waits for another delivery of the same event, and then finds it done
	INSERT INTO clerk.webhook_events (id, issuer, type) VALUES (id, issuer, event ->> 'type') ON CONFLICT DO NOTHING;
	IF NOT FOUND THEN
		RETURN json_build_object('status', 'duplicate');
	END IF;
	PERFORM clerk.apply_event(issuer, event);
	FOR registered IN
		SELECT DISTINCT handler FROM clerk.event_handlers
		WHERE event ->> 'type' LIKE replace(regexp_replace(pattern, '([\\%_])', '\\\1', 'g'), '*', '%')
		ORDER BY handler
	LOOP
		PERFORM clerk.handle_event(registered.handler::regprocedure, event);
	END LOOP;
	RETURN json_build_object('status', 'applied');
END
$$;
COMMENT ON FUNCTION clerk.receive_webhook(text, text, text, text) IS
	'verifies a webhook by its headers svix-id, svix-timestamp and svix-signature and its raw body, and applies it once';

CREATE FUNCTION clerk.webhook(json) RETURNS json
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT clerk.receive_webhook(clerk.webhook_header('id'), clerk.webhook_header('timestamp'), clerk.webhook_header('signature'), $1::text)
$$;
COMMENT ON FUNCTION clerk.webhook(json) IS 'the same with the headers of the request; PostgREST hands over the raw body';

CREATE FUNCTION clerk.expose_webhook(schema name, function_name name DEFAULT 'clerk_webhook') RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	anon name;
BEGIN
	PERFORM clerk.is_authenticated();	-- loads the library, which knows the setting
	anon := current_setting('clerk.anon_role');
	IF to_regnamespace(quote_ident(schema)) IS NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('schema %I does not exist', schema);
	ELSIF to_regrole(quote_ident(anon)) IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('role %I does not exist', anon),
			HINT = 'Create it, or set clerk.anon_role to the db-anon-role of PostgREST.';
	END IF;
	EXECUTE format('CREATE OR REPLACE FUNCTION %I.%I(json) RETURNS json LANGUAGE sql VOLATILE SECURITY DEFINER
		SET search_path = pg_catalog, pg_temp RETURN clerk.webhook($1)', schema, function_name);
	EXECUTE format('COMMENT ON FUNCTION %I.%I(json) IS ''webhooks of Clerk, see clerk.webhook()''', schema, function_name);
	EXECUTE format('REVOKE ALL ON FUNCTION %I.%I(json) FROM PUBLIC', schema, function_name);
	EXECUTE format('GRANT EXECUTE ON FUNCTION %I.%I(json) TO %I', schema, function_name, anon);
	PERFORM pg_notify('pgrst', 'reload schema');
END
$$;
COMMENT ON FUNCTION clerk.expose_webhook(name, name) IS
	'makes PostgREST take webhooks at /rpc/<function_name>: a function in a schema it serves, which only the anonymous role may call';

CREATE FUNCTION clerk.add_event_handler(pattern text, handler regprocedure) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF coalesce(pattern = '', true) OR handler IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'a type of events and a function must be given';
	ELSIF (SELECT pronargs <> 1 OR proargtypes[0] <> 'jsonb'::regtype OR prokind <> 'f' FROM pg_proc WHERE oid = handler) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'wrong_object_type',
			MESSAGE = format('%s cannot handle events', handler),
			DETAIL = 'It must be a function with one argument of type jsonb.';
	END IF;
	INSERT INTO clerk.event_handlers VALUES (pattern, handler::text) ON CONFLICT DO NOTHING;
END
$$;
COMMENT ON FUNCTION clerk.add_event_handler(text, regprocedure) IS
	'calls a function, as its owner, with each event of a type (* stands for anything), in the transaction that applies it';

CREATE FUNCTION clerk.drop_event_handler(pattern text, handler regprocedure) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	DELETE FROM clerk.event_handlers AS h WHERE h.pattern = drop_event_handler.pattern AND h.handler = drop_event_handler.handler::text;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = 'there is no such event handler';
	END IF;
END
$$;
COMMENT ON FUNCTION clerk.drop_event_handler(text, regprocedure) IS 'undoes clerk.add_event_handler()';

--
-- What is watched: how tokens fare, and who has changed what is believed
--

CREATE FUNCTION clerk.count_tokens() RETURNS TABLE (issuer text, reason text, tokens bigint, since timestamptz)
	AS 'MODULE_PATHNAME', 'clerk_rls_count_tokens' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 20;
COMMENT ON FUNCTION clerk.count_tokens() IS 'the counters behind clerk.stats; a reason may come several times';

CREATE VIEW clerk.stats AS
	SELECT counted.issuer, counted.reason, pg_catalog.sum(counted.tokens)::bigint AS tokens, counted.since
	FROM clerk.count_tokens() AS counted
	GROUP BY counted.issuer, counted.reason, counted.since;
COMMENT ON VIEW clerk.stats IS
	'how many tokens were verified and refused, by all sessions of this database on this server: once for each request, remembered or not, and each call of clerk.verify() and its like; empty before PostgreSQL 17 unless the library is in shared_preload_libraries';
COMMENT ON COLUMN clerk.stats.issuer IS 'the instance; NULL: none that is registered';
COMMENT ON COLUMN clerk.stats.reason IS 'verified, or the reason code of the refusal';
COMMENT ON COLUMN clerk.stats.tokens IS 'how many';
COMMENT ON COLUMN clerk.stats.since IS 'since when: the start of the server, or the first token after it';

-- Without a key, so that a restored dump, which this table comes with, meets nothing that the
-- triggers have noted while it was restored.
CREATE TABLE clerk.key_changes (
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
CREATE INDEX key_changes_object_idx ON clerk.key_changes (object, changed_at);
COMMENT ON INDEX clerk.key_changes_object_idx IS 'the last changes, and for clerk.prune() the old ones';
COMMENT ON TABLE clerk.key_changes IS 'who has changed instances, keys, revocations, webhook secrets and event handlers, by whatever way; only added to';
COMMENT ON COLUMN clerk.key_changes.changed_at IS 'when';
COMMENT ON COLUMN clerk.key_changes.object IS 'the table: instances, jwks, revocations, webhook_secrets or event_handlers';
COMMENT ON COLUMN clerk.key_changes.action IS 'INSERT, UPDATE, DELETE or TRUNCATE';
COMMENT ON COLUMN clerk.key_changes.issuer IS 'the instance';
COMMENT ON COLUMN clerk.key_changes.key IS 'the kid, the id that is revoked, the fingerprint of the secret, or the pattern';
COMMENT ON COLUMN clerk.key_changes.before IS 'what was there; of an UPDATE, what it has changed. A thumbprint stands for the key, and the beginning of its SHA-256 for a secret';
COMMENT ON COLUMN clerk.key_changes.after IS 'what is there now';
COMMENT ON COLUMN clerk.key_changes.changed_by IS 'the role that had connected';
COMMENT ON COLUMN clerk.key_changes.as_role IS 'the role it had switched to; NULL: none';
COMMENT ON COLUMN clerk.key_changes.application_name IS 'what the client calls itself';
COMMENT ON COLUMN clerk.key_changes.client_addr IS 'where it had connected from; NULL: a socket of this machine, or no client';
COMMENT ON COLUMN clerk.key_changes.pid IS 'its backend, as in the server''s log';
COMMENT ON COLUMN clerk.key_changes.transaction_id IS 'its transaction: what was changed together';
SELECT pg_catalog.pg_extension_config_dump('clerk.key_changes', $$WHERE issuer IS DISTINCT FROM 'https://clerk.test.invalid'$$);

CREATE FUNCTION clerk.without_secrets(changed_row jsonb) RETURNS jsonb
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN changed_row - 'jwk' - 'secret'
		|| CASE WHEN changed_row ? 'jwk' THEN jsonb_build_object('thumbprint', clerk.jwk_thumbprint(changed_row -> 'jwk')) ELSE '{}' END
		|| CASE WHEN changed_row ? 'secret' THEN jsonb_build_object('fingerprint', left(encode(sha256(convert_to(changed_row ->> 'secret', 'UTF8')), 'hex'), 8)) ELSE '{}' END;
COMMENT ON FUNCTION clerk.without_secrets(jsonb) IS 'a row as clerk.key_changes shows it';

-- SECURITY DEFINER: whoever may change the table need not be allowed to write here, nor to leave it out.
CREATE FUNCTION clerk.note_change() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	before jsonb;
	after jsonb;
	named jsonb;
BEGIN
	IF TG_OP IN ('UPDATE', 'DELETE') THEN
		before := clerk.without_secrets(to_jsonb(OLD));
	END IF;
	IF TG_OP IN ('INSERT', 'UPDATE') THEN
		after := clerk.without_secrets(to_jsonb(NEW));
	END IF;
	named := coalesce(after, before);
	IF TG_OP = 'UPDATE' THEN
		SELECT jsonb_object_agg(was.key, was.value), jsonb_object_agg(was.key, after -> was.key) INTO before, after
		FROM jsonb_each(before) AS was WHERE was.value <> after -> was.key;
		IF before IS NULL THEN
			RETURN NULL;
		END IF;
	END IF;
	INSERT INTO clerk.key_changes (object, action, issuer, key, before, after)
		VALUES (TG_TABLE_NAME, TG_OP, named ->> 'issuer',
			coalesce(named ->> 'kid', named ->> 'id', named ->> 'fingerprint', named ->> 'pattern'), before, after);
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION clerk.note_change() IS 'trigger: writes to clerk.key_changes who has changed what';

-- Grants on all tables of the schema, as some make them, would reach it as well.
CREATE FUNCTION clerk.keep_changes() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF TG_OP = 'UPDATE' OR NOT pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'USAGE') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'insufficient_privilege',
			MESSAGE = 'clerk.key_changes is only added to, by its triggers',
			HINT = 'clerk.prune() removes old revocations from it, and the owner of the extension may DELETE.';
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION clerk.keep_changes() IS 'trigger: whoever is granted all on clerk.key_changes can do no more than read it';
CREATE TRIGGER keep_changes BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON clerk.key_changes
	FOR EACH STATEMENT EXECUTE FUNCTION clerk.keep_changes();
ALTER TABLE clerk.key_changes ENABLE ALWAYS TRIGGER keep_changes;
COMMENT ON TRIGGER keep_changes ON clerk.key_changes IS 'nobody but the owner takes anything away';

-- ALWAYS, and per row, as those that invalidate.
DO $each$
DECLARE
	tab text;
BEGIN
	FOREACH tab IN ARRAY '{instances,jwks,revocations,webhook_secrets,event_handlers}'::text[] LOOP
		EXECUTE pg_catalog.format($create$
CREATE TRIGGER note_change AFTER INSERT OR UPDATE OR DELETE ON clerk.%1$s FOR EACH ROW EXECUTE FUNCTION clerk.note_change();
CREATE TRIGGER note_truncate AFTER TRUNCATE ON clerk.%1$s FOR EACH STATEMENT EXECUTE FUNCTION clerk.note_change();
ALTER TABLE clerk.%1$s ENABLE ALWAYS TRIGGER note_change, ENABLE ALWAYS TRIGGER note_truncate;
COMMENT ON TRIGGER note_change ON clerk.%1$s IS 'clerk.key_changes says who has changed it';
COMMENT ON TRIGGER note_truncate ON clerk.%1$s IS 'the same, for TRUNCATE';
			$create$, tab);
	END LOOP;
END
$each$;

--
-- Upkeep
--

CREATE FUNCTION clerk.prune(older_than interval) RETURNS TABLE (events bigint, sessions bigint)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF coalesce(older_than < interval '1 day', true) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'events and sessions of the last day cannot be pruned',
			DETAIL = 'Svix repeats an event for up to 28 hours, and a token of a revoked session may still be valid.';
	END IF;
	DELETE FROM clerk.webhook_events WHERE received_at < now() - older_than;
	GET DIAGNOSTICS events = ROW_COUNT;
	-- what somebody has revoked by hand Clerk may still have
	DELETE FROM clerk.revocations WHERE source = 'webhook' AND id ^@ 'sess_' AND revoked_at < now() - older_than;
	GET DIAGNOSTICS sessions = ROW_COUNT;
	DELETE FROM clerk.key_changes WHERE object = 'revocations' AND changed_at < now() - older_than;
	RETURN NEXT;
END
$$;
COMMENT ON FUNCTION clerk.prune(interval) IS
	'forgets events, sessions that events have revoked, and who has revoked what, that are older; what was revoked by hand stays, and so do users. Give at least the lifetime of your longest tokens';

CREATE FUNCTION clerk.schedule_prune(older_than interval) RETURNS void
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk.schedule_job('clerk_rls: prune', '17 3 * * *', 'SELECT clerk.prune(' || quote_literal(older_than) || ')') $$;
COMMENT ON FUNCTION clerk.schedule_prune(interval) IS 'lets pg_cron run clerk.prune() every night; NULL ends that';

--
-- What was there before the first webhook, and what was missed
--

CREATE FUNCTION clerk.objects_of_page(page jsonb) RETURNS SETOF jsonb
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	objects constant jsonb := CASE jsonb_typeof(page) WHEN 'object' THEN page -> 'data' ELSE page END;
BEGIN
	IF jsonb_typeof(objects) IS DISTINCT FROM 'array' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'this is no page of a list',
			DETAIL = 'It must be a JSON array, or an object with an array "data", as Clerk''s Backend API answers.';
	END IF;
	RETURN QUERY SELECT jsonb_array_elements(objects);
END
$$;
COMMENT ON FUNCTION clerk.objects_of_page(jsonb) IS 'the objects in a page of a list of Clerk''s Backend API';

CREATE FUNCTION clerk.sole_issuer(issuer text) RETURNS text
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
		MESSAGE = 'which instance is meant must be said, unless there is just one';
END
$$;
COMMENT ON FUNCTION clerk.sole_issuer(text) IS 'the issuer, or that of the only instance';

-- In the order of the ids, so that two pages at the same time wait for each other only one way.
CREATE FUNCTION clerk.import_users(page jsonb, issuer text DEFAULT NULL) RETURNS bigint
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT count(clerk.apply_user(clerk.sole_issuer(issuer), object, clerk.ms_to_timestamptz(object ->> 'updated_at'), false)::text)
	FROM (SELECT object FROM clerk.objects_of_page(page) AS object ORDER BY object ->> 'id') AS ordered
$$;
COMMENT ON FUNCTION clerk.import_users(jsonb, text) IS 'takes a page of users of Clerk''s Backend API; returns how many';

CREATE FUNCTION clerk.import_organizations(page jsonb, issuer text DEFAULT NULL) RETURNS bigint
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT count(clerk.apply_organization(clerk.sole_issuer(issuer), object, clerk.ms_to_timestamptz(object ->> 'updated_at'), false)::text)
	FROM (SELECT object FROM clerk.objects_of_page(page) AS object ORDER BY object ->> 'id') AS ordered
$$;
COMMENT ON FUNCTION clerk.import_organizations(jsonb, text) IS 'takes a page of organizations of Clerk''s Backend API; returns how many';

CREATE FUNCTION clerk.import_memberships(page jsonb, issuer text DEFAULT NULL) RETURNS bigint
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT count(clerk.apply_membership(clerk.sole_issuer(issuer), object, clerk.ms_to_timestamptz(object ->> 'updated_at'), false)::text)
	FROM (SELECT object FROM clerk.objects_of_page(page) AS object ORDER BY object ->> 'id') AS ordered
$$;
COMMENT ON FUNCTION clerk.import_memberships(jsonb, text) IS 'takes a page of memberships of Clerk''s Backend API; returns how many';

CREATE FUNCTION clerk.drift(tab regclass, page jsonb) RETURNS TABLE (id text, difference text)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF tab IS NULL OR tab <> ALL ('{clerk.user_profiles,clerk.org_profiles,clerk.org_memberships}'::regclass[]) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'only clerk.user_profiles, clerk.org_profiles and clerk.org_memberships can be compared';
	END IF;
	RETURN QUERY EXECUTE format($compare$
		SELECT object ->> 'id', CASE
			WHEN here.clerk_id IS NULL THEN 'missing here'
			WHEN here.deleted_at IS NOT NULL THEN 'deleted here'
			WHEN here.updated_at < clerk.ms_to_timestamptz(object ->> 'updated_at') THEN 'older here'
			WHEN here.updated_at > clerk.ms_to_timestamptz(object ->> 'updated_at') THEN 'newer here'
			ELSE 'different' END
		FROM clerk.objects_of_page($1) AS object LEFT JOIN %s AS here ON here.clerk_id = object ->> 'id'
		WHERE here.clerk_id IS NULL OR here.deleted_at IS NOT NULL
			OR here.updated_at IS DISTINCT FROM clerk.ms_to_timestamptz(object ->> 'updated_at')
			OR here.payload <> clerk.without_private(object)
		ORDER BY 1
		$compare$, tab) USING page;
END
$$;
COMMENT ON FUNCTION clerk.drift(regclass, jsonb) IS
	'compares a page of Clerk''s Backend API with clerk.user_profiles, org_profiles or org_memberships; clerk.import_...() makes good';

CREATE FUNCTION clerk.health() RETURNS TABLE (
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
		refresh.succeeded_at, refresh.failed_at, refresh.failure, clerk.unknown_kid_at(instance.issuer),
		(SELECT count(*) FROM clerk.webhook_secrets AS secret WHERE secret.issuer = instance.issuer),
		(SELECT max(event.received_at) FROM clerk.webhook_events AS event WHERE event.issuer = instance.issuer)
	FROM clerk.instances AS instance
	LEFT JOIN clerk.jwks AS key USING (issuer)
	LEFT JOIN clerk.jwks_refreshes AS refresh USING (issuer)
	GROUP BY instance.issuer, refresh.issuer
	ORDER BY instance.issuer
$$;
COMMENT ON FUNCTION clerk.health() IS 'each instance: its keys, how fetching them went, when a token last named an unknown one, and when the last event came; for pg_monitor';

--
-- At the door
--

CREATE FUNCTION clerk.verify(token text) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'clerk_rls_verify' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION clerk.verify(text) IS 'claims of a token, or an error (PT401) with the reason';

CREATE FUNCTION clerk.authenticate(token text) RETURNS text
	AS 'MODULE_PATHNAME', 'clerk_rls_authenticate' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION clerk.authenticate(text) IS 'makes the rest of the transaction the token''s user and returns the user id; NULL signs out';

CREATE FUNCTION clerk.pre_request() RETURNS void
	AS 'MODULE_PATHNAME', 'clerk_rls_pre_request' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION clerk.pre_request() IS 'for PostgREST''s db-pre-request: refuses bad tokens with 401, gives verified callers their role';

CREATE FUNCTION clerk.pre_config() RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	PERFORM set_config('pgrst.jwt_secret',
		json_build_object('keys', coalesce(json_agg(CASE WHEN key.any_kid THEN key.jwk OPERATOR(pg_catalog.-) 'kid' ELSE key.jwk END ORDER BY key.issuer, key.kid), '[]'))::text, true)
	FROM clerk.jwks AS key
	WHERE key.expires_at IS NULL OR key.expires_at OPERATOR(pg_catalog.>) now();
END
$$;
COMMENT ON FUNCTION clerk.pre_config() IS 'for PostgREST''s db-pre-config: hands it the keys of clerk.jwks';

--
-- Why
--

CREATE FUNCTION clerk.diagnose(token text DEFAULT NULL)
	RETURNS TABLE (step text, outcome text, detail text)
	AS 'MODULE_PATHNAME', 'clerk_rls_diagnose' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION clerk.diagnose(text) IS 'each step of the verification of this request, or of that token, with its outcome';

CREATE FUNCTION clerk.missing_grants(tab regclass, commands text[], role name) RETURNS SETOF text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT format('GRANT USAGE ON SCHEMA %s TO %I', relnamespace::regnamespace, role)
	FROM pg_class WHERE oid = tab AND NOT has_schema_privilege(role, relnamespace, 'USAGE')
	UNION ALL
	SELECT format('GRANT %s ON %s TO %I', string_agg(privilege, ', ' ORDER BY ordinality), tab, role)
	FROM unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) WITH ORDINALITY AS needed (privilege, ordinality)
	-- a filter reads
	WHERE (privilege = ANY (commands) OR (privilege = 'SELECT' AND commands && '{UPDATE,DELETE}'))
		AND NOT CASE privilege WHEN 'DELETE' THEN has_table_privilege(role, tab, privilege) ELSE has_any_column_privilege(role, tab, privilege) END
	HAVING count(*) > 0
	UNION ALL
	-- of serial columns, not of identity columns
	SELECT format('GRANT USAGE ON SEQUENCE %s TO %I', objid::regclass, role)
	FROM pg_depend JOIN pg_class ON pg_class.oid = objid
	WHERE refclassid = 'pg_class'::regclass AND refobjid = tab AND classid = 'pg_class'::regclass AND deptype = 'a'
		AND 'INSERT' = ANY (commands) AND CASE relkind WHEN 'S' THEN NOT has_sequence_privilege(role, objid, 'USAGE') END
$$;
COMMENT ON FUNCTION clerk.missing_grants(regclass, text[], name) IS 'the statements that would grant a role what it lacks for these commands on a table';

CREATE FUNCTION clerk.rls_exemption(tab regclass, role name) RETURNS text
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
COMMENT ON FUNCTION clerk.rls_exemption(regclass, name) IS 'why the policies of a table do not count for a role; NULL: they do';

-- As PostgreSQL chooses them: a filter reads, so that UPDATE and DELETE ask the policies for
-- SELECT, too; and a policy without WITH CHECK checks by USING.
CREATE FUNCTION clerk.policy_checks(tab regclass, command text, role name)
	RETURNS TABLE (policy name, kind text, roles text, clauses text[], expression text, applies boolean)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT polname, CASE WHEN polpermissive THEN 'permissive' ELSE 'restrictive' END,
		(SELECT string_agg(CASE member WHEN 0 THEN 'PUBLIC' ELSE member::regrole::text END, ', ') FROM unnest(polroles) AS member),
		array_agg(asked.clause ORDER BY asked.ordinal), pg_get_expr(asked.expression, polrelid),
		(SELECT bool_or(member = 0 OR pg_has_role(role, member, 'USAGE')) FROM unnest(polroles) AS member)
	FROM pg_policy,
		(VALUES ('SELECT', 'r'), ('INSERT', 'a'), ('UPDATE', 'w'), ('DELETE', 'd')) AS code (command, polcmd),
		LATERAL (VALUES
			(1, 'USING', polqual, code.command <> 'INSERT' AND pg_policy.polcmd IN ('*', code.polcmd)),
			(2, 'USING for SELECT', polqual, code.command IN ('UPDATE', 'DELETE') AND pg_policy.polcmd IN ('*', 'r')),
			(3, 'WITH CHECK', coalesce(polwithcheck, polqual), code.command IN ('INSERT', 'UPDATE') AND pg_policy.polcmd IN ('*', code.polcmd))
		) AS asked (ordinal, clause, expression, is_asked)
	WHERE polrelid = tab AND code.command = policy_checks.command AND asked.is_asked
	GROUP BY polname, polpermissive, polroles, pg_get_expr(asked.expression, polrelid)
	ORDER BY min(asked.ordinal), NOT polpermissive, polname
$$;
COMMENT ON FUNCTION clerk.policy_checks(regclass, text, name) IS
	'the policies that a table has for a command, what each of them asks of a row, and whether it applies to a role';

CREATE FUNCTION clerk.policy_condition(tab regclass, command text, role name, clauses text[]) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT string_agg(condition, ' AND ' ORDER BY clause COLLATE "C")
	FROM (
		SELECT clause, format('(%s)%s', coalesce(string_agg(format('(%s)', expression), ' OR ' ORDER BY policy) FILTER (WHERE kind = 'permissive'), 'false'),
			string_agg(format(' AND (%s)', expression), '' ORDER BY policy) FILTER (WHERE kind = 'restrictive'))
		FROM unnest(clauses) AS clause
		LEFT JOIN clerk.policy_checks(tab, command, role) AS asked ON clause = ANY (asked.clauses) AND asked.applies AND expression IS NOT NULL
		GROUP BY clause
	) AS conditions (clause, condition)
$$;
COMMENT ON FUNCTION clerk.policy_condition(regclass, text, name, text[]) IS 'what the policies ask together, by one clause or several';

-- Everything that it sets, and that what it calls may have done, is undone. Between the first
-- and the last statement names are not looked up in pg_catalog first.
CREATE FUNCTION clerk.count_rows(rows anyarray, alias name, expression text, role name, search_path text,
	OUT true_rows bigint, OUT false_rows bigint, OUT null_rows bigint, OUT problem text)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_variable
DECLARE
	query constant text := format('SELECT pg_catalog.count(*) FILTER (WHERE passes), pg_catalog.count(*) FILTER (WHERE NOT passes),
		pg_catalog.count(*) FILTER (WHERE passes IS NULL) FROM (SELECT (%s) FROM pg_catalog.unnest($1) AS %I) AS checked (passes)', expression, alias);
BEGIN
	PERFORM set_config('row_security', 'on', true), set_config('role', role, true), set_config('search_path', search_path, true);
	EXECUTE query INTO true_rows, false_rows, null_rows USING rows;
	RAISE SQLSTATE 'UNDO0';
EXCEPTION
	WHEN SQLSTATE 'UNDO0' THEN
		NULL;
	WHEN OTHERS THEN
		problem := 'error: ' || replace(SQLERRM, current_setting('clerk.token'), '...');
END
$$;
COMMENT ON FUNCTION clerk.count_rows(anyarray, name, text, name, text) IS
	'for how many rows an expression is true, false and null to a role, or the error; nothing it does remains';

CREATE FUNCTION clerk.without_permissive_policy(tab regclass, command text, role name, clauses text[]) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT string_agg(CASE clause WHEN 'USING for SELECT' THEN 'SELECT' ELSE command END, ' and ' ORDER BY clause)
	FROM unnest(clauses) AS clause
	WHERE NOT EXISTS (
		SELECT FROM clerk.policy_checks(tab, command, role) AS asked
		WHERE kind = 'permissive' AND applies AND expression IS NOT NULL AND clause = ANY (asked.clauses))
$$;
COMMENT ON FUNCTION clerk.without_permissive_policy(regclass, text, name, text[]) IS 'the commands for which no permissive policy applies to a role; NULL: none';

CREATE FUNCTION clerk.access_verdict(rows anyarray, alias name, tab regclass, command text, role name, search_path text) RETURNS text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	exempt constant boolean := clerk.rls_exemption(tab, role) IS NOT NULL;
	clauses constant text[] := CASE command WHEN 'SELECT' THEN '{USING}' WHEN 'INSERT' THEN '{WITH CHECK}' ELSE '{USING,USING for SELECT}' END;
	sentence constant text := CASE command WHEN 'SELECT' THEN '%s of %s rows visible' WHEN 'INSERT' THEN '%s of %s rows could be inserted as they are'
		WHEN 'UPDATE' THEN '%s of %s rows can be updated' ELSE '%s of %s rows can be deleted' END;
	passing record;
	unchanged record;
BEGIN
	IF EXISTS (SELECT FROM clerk.missing_grants(tab, ARRAY[command], role)) THEN
		RETURN 'permission denied, whatever the policies say';
	ELSIF cardinality(rows) = 0 THEN
		RETURN 'no row of the table matches the filter';
	ELSIF exempt THEN
		RETURN format(sentence, cardinality(rows), cardinality(rows));
	END IF;
	passing := clerk.count_rows(rows, alias, clerk.policy_condition(tab, command, role, clauses), role, search_path);
	IF passing.problem IS NOT NULL OR passing.true_rows = 0 OR command <> 'UPDATE' THEN
		RETURN coalesce(passing.problem, format(sentence, passing.true_rows, cardinality(rows))
			|| coalesce(', as no permissive policy applies to ' || clerk.without_permissive_policy(tab, command, role, clauses), ''));
	END IF;
	unchanged := clerk.count_rows(rows, alias, clerk.policy_condition(tab, command, role, clauses || '{WITH CHECK}'), role, search_path);
	RETURN coalesce(unchanged.problem, format(sentence || ', if what becomes of them passes WITH CHECK, as %s do now',
		passing.true_rows, cardinality(rows), unchanged.true_rows));
END
$$;
COMMENT ON FUNCTION clerk.access_verdict(anyarray, name, regclass, text, name, text) IS 'how many of the rows a role can see or change in the end';

CREATE FUNCTION clerk.explain_rows(rows anyarray, tab regclass, command text, role name, search_path text)
	RETURNS TABLE (policy name, kind text, roles text, clause text, expression text,
		true_rows bigint, false_rows bigint, null_rows bigint, result text)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_variable
DECLARE
	exemption constant text := clerk.rls_exemption(tab, role);
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
		SELECT 'missing: ' || missing FROM clerk.missing_grants(tab, ARRAY[command], role) AS missing
		UNION ALL
		SELECT format('%s only for %s', command, string_agg(quote_ident(attname), ', ' ORDER BY attnum))
		FROM pg_attribute
		WHERE attrelid = tab AND attnum > 0 AND NOT attisdropped AND command <> 'DELETE' AND NOT has_table_privilege(role, tab, command)
			AND CASE WHEN command <> 'DELETE' THEN has_column_privilege(role, tab, attnum, command) END
		HAVING count(*) > 0
	LOOP
		RETURN NEXT;
	END LOOP;
	FOR checked IN
		SELECT * FROM clerk.policy_checks(tab, command, role) WHERE exemption IS NULL
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
			result := clerk.access_verdict(rows, alias, tab, command, role, search_path);
		ELSIF NOT checked.applies THEN
			result := format('not for role %I', role);
		ELSIF expression IS NULL THEN
			result := 'has no expression, so it does not count';
		ELSE
			SELECT c.true_rows, c.false_rows, c.null_rows, c.problem INTO true_rows, false_rows, null_rows, result
			FROM clerk.count_rows(rows, alias, expression, role, search_path) AS c;
			result := coalesce(result, format('lets %s of %s rows through', true_rows, cardinality(rows)));
		END IF;
		RETURN NEXT;
	END LOOP;
END
$$;
COMMENT ON FUNCTION clerk.explain_rows(anyarray, regclass, text, name, text) IS 'what the table, the privileges and each policy do to these rows for a role';

-- SECURITY DEFINER: the owner of a table need not read clerk.instances.
CREATE FUNCTION clerk.request_role() RETURNS name
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT coalesce(clerk.claim('role'), (SELECT instance.role FROM clerk.instances AS instance WHERE instance.issuer = clerk.issuer()),
		current_setting('clerk.anon_role'))::name
$$;
COMMENT ON FUNCTION clerk.request_role() IS 'the role as which PostgREST and clerk.pre_request() run this request: the token''s, the instance''s, or the anonymous one';

CREATE FUNCTION clerk.check_explainable(tab regclass, command text) RETURNS void
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
			HINT = CASE class.relkind WHEN 'v' THEN 'Ask about the tables of the view: as its owner, unless it has security_invoker.' END;
	ELSIF NOT pg_has_role(current_user, class.relowner, 'USAGE') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'insufficient_privilege',
			MESSAGE = format('must be owner of table %s', tab),
			DETAIL = 'What is counted are rows that the role may not see.';
	END IF;
END
$$;
COMMENT ON FUNCTION clerk.check_explainable(regclass, text) IS 'raises if clerk.explain_access() cannot explain a table to its caller';

CREATE FUNCTION clerk.simulate_request(token text, role name) RETURNS name
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	PERFORM clerk.is_authenticated();	-- loads the library, which knows the settings
	PERFORM set_config('clerk.token', coalesce(token, ''), true), set_config('request.headers', '', true), set_config('request.jwt', '', true),
		set_config('request.cookies', '', true), set_config('request.jwt.claims', '', true);
	role := coalesce(role, clerk.request_role());
	IF to_regrole(quote_ident(role)) IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('role %I does not exist', role),
			HINT = 'Give the role as which PostgREST runs the request.';
	END IF;
	PERFORM set_config('request.jwt.claims', (coalesce(clerk.jwt(), '{}') || jsonb_build_object('role', role))::text, true);
	RETURN role;
END
$$;
COMMENT ON FUNCTION clerk.simulate_request(text, name) IS 'makes the rest of the transaction a request with this token, and returns its role';

--
-- SECURITY INVOKER, as a role cannot be set otherwise: the caller reads the rows and must own
-- the table, and must be a member of the role that the policies are then asked as. So what they
-- call and read is allowed, and hidden, as in a request. Policies are code of the table's owner
-- that runs in the caller's session: do not explain tables of owners whom you do not trust.
--
CREATE FUNCTION clerk.explain_access(tab regclass, command text, row_filter text, token text,
	role name DEFAULT NULL, search_path text DEFAULT pg_catalog.current_setting('search_path'))
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
	PERFORM clerk.check_explainable(tab, command);
	query := format('SELECT * FROM clerk.explain_rows(ARRAY(SELECT ROW(%2$I.*)::%1$s FROM %1$s AS %2$I WHERE (%3$s%4$s) LIMIT 10000), $1, $2, $3, $4)',
		tab, (SELECT relname FROM pg_class WHERE oid = tab), coalesce(row_filter, 'true'), E'\n');
	role := clerk.simulate_request(token, role);
	PERFORM set_config('role', role, true), set_config('role', outer_role, true);	-- may the caller?
	kind := 'caller';
	result := format('role %I, ', role) || coalesce(
		(SELECT 'nobody is signed in: ' || split_part(d.detail, ':', 1) FROM clerk.diagnose() AS d WHERE d.outcome = 'fail' LIMIT 1), 'signed in');
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
	'which policy lets or stops which of the first 10000 rows that match a filter, for the bearer of a token; for the table''s owner';

--
-- Help with policies: clerk.protect() writes the common ones, clerk.audit() reads all that are there
--

CREATE FUNCTION clerk.caller_expression(tab regclass, column_name name, is_org boolean, OUT caller text, OUT comparison text)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	col record;
BEGIN
	SELECT format_type(coalesce(nullif(typbasetype, 0), atttypid), NULL) AS type, typbasetype = 0 AS is_base, concat(attidentity, attgenerated) AS filled INTO col
	FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
	WHERE attrelid = tab AND attname = column_name AND attnum > 0 AND NOT attisdropped;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_column',
			MESSAGE = format('column %I of table %s does not exist', column_name, tab);
	END IF;
	caller := CASE
		WHEN col.type IN ('text', 'character varying') THEN CASE WHEN is_org THEN 'clerk.org_id()' ELSE 'clerk.uid()' END
		WHEN col.type = 'uuid' THEN CASE WHEN is_org THEN 'clerk.mapped_org_id()' ELSE 'clerk.mapped_id()' END
		WHEN col.type = 'bigint' THEN CASE WHEN is_org THEN 'clerk.mapped_org_bigint()' ELSE 'clerk.mapped_bigint()' END END;
	IF caller IS NULL OR col.filled <> '' THEN
		RAISE EXCEPTION USING
			ERRCODE = CASE WHEN caller IS NULL THEN 'datatype_mismatch' ELSE 'wrong_object_type' END,
			MESSAGE = format('column %I of table %s cannot say whose a row is', column_name, tab),
			DETAIL = CASE WHEN caller IS NOT NULL THEN 'It is generated, so no default could fill it.'
				ELSE format('It is of type %s, and must be one of: text, character varying, uuid, bigint.', col.type) END;
	END IF;
	-- as PostgreSQL would print it, so that a policy can be compared with what it should be
	comparison := format(CASE WHEN col.is_base AND col.type <> 'character varying' THEN '(%I = %s)' ELSE '((%1$I)::%3$s = %2$s)' END,
		column_name, caller, CASE col.type WHEN 'character varying' THEN 'text' ELSE col.type END);
END
$$;
COMMENT ON FUNCTION clerk.caller_expression(regclass, name, boolean) IS
	'the function that says which value of a column is the caller''s, by its type, and the comparison with it; raises if there is none';

CREATE FUNCTION clerk.check_protectable(tab regclass, owner name, org name, admin_role text, role name) RETURNS void
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
COMMENT ON FUNCTION clerk.check_protectable(regclass, name, name, text, name) IS 'raises if clerk.protect() cannot protect a table so';

CREATE FUNCTION clerk.wanted_policies(tab regclass, owner name, org name, admin_role text)
	RETURNS TABLE (policy name, is_permissive boolean, command text, expression text)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	own constant text := CASE WHEN owner IS NOT NULL THEN (clerk.caller_expression(tab, owner, false)).comparison END;
	of_org constant text := CASE WHEN org IS NOT NULL THEN (clerk.caller_expression(tab, org, true)).comparison END;
	by_admin constant text := format('(%s AND clerk.has_role(%L::text))', of_org, admin_role);
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
COMMENT ON FUNCTION clerk.wanted_policies(regclass, name, name, text) IS 'the policies that clerk.protect() makes';

CREATE FUNCTION clerk.policy_changes(tab regclass, owner name, org name, admin_role text, role name) RETURNS SETOF text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH wanted AS (
		SELECT *, ARRAY[to_regrole(quote_ident(role))::oid] AS roles, true AS is_wanted
		FROM clerk.wanted_policies(tab, owner, org, admin_role)
	), present AS (
		SELECT polname AS policy, polpermissive AS is_permissive,
			CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END AS command,
			CASE WHEN num_nulls(polqual, polwithcheck) = 1 THEN pg_get_expr(coalesce(polqual, polwithcheck), polrelid) END AS expression,
			polroles AS roles, true AS is_present,
			coalesce(obj_description(oid, 'pg_policy') = 'made by clerk.protect()', false) AS is_ours
		FROM pg_policy WHERE polrelid = tab
	)
	SELECT change.statement
	FROM wanted AS w FULL JOIN present AS p USING (policy, is_permissive, command, expression, roles), LATERAL (VALUES
			(1, is_wanted IS NULL AND is_ours, format('DROP POLICY %I ON %s', policy, tab)),
			(2, is_present IS NULL, format('CREATE POLICY %I ON %s%s FOR %s TO %I %s %s', policy, tab,
				CASE WHEN is_permissive THEN '' ELSE ' AS RESTRICTIVE' END, w.command, policy_changes.role,
				CASE w.command WHEN 'INSERT' THEN 'WITH CHECK' ELSE 'USING' END, w.expression)),
			(3, is_present IS NULL, format('COMMENT ON POLICY %I ON %s IS %L', policy, tab, 'made by clerk.protect()')),
			(4, is_wanted IS NULL AND NOT is_ours AND is_permissive, format('-- policy %I is permissive as well: these do not stop what it lets through', policy))
		) AS change (ordinal, is_due, statement)
	WHERE change.is_due
	ORDER BY change.ordinal = 4, change.ordinal > 1, policy, change.ordinal
$$;
COMMENT ON FUNCTION clerk.policy_changes(regclass, name, name, text, name) IS 'the statements from the policies that a table has to those it is to have';

CREATE FUNCTION clerk.column_changes(tab regclass, column_name name, is_org boolean) RETURNS SETOF text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT statement
	FROM pg_attribute, clerk.caller_expression(tab, column_name, is_org), LATERAL (VALUES
			(CASE WHEN (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = tab AND adnum = attnum) IS DISTINCT FROM caller
				THEN format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s', tab, attname, caller) END),
			(CASE WHEN NOT EXISTS (SELECT FROM pg_index WHERE indrelid = tab AND indisvalid AND indpred IS NULL AND indkey[0] = attnum)
				THEN format('CREATE INDEX ON %s (%I)', tab, attname) END)
		) AS change (statement)
	WHERE attrelid = tab AND attname = column_name AND statement IS NOT NULL
$$;
COMMENT ON FUNCTION clerk.column_changes(regclass, name, boolean) IS 'the statements that make a column be filled with the caller, and found by it';

CREATE FUNCTION clerk.protect(tab regclass, owner name DEFAULT NULL, org name DEFAULT NULL, admin_role text DEFAULT NULL,
	role name DEFAULT 'authenticated', dry_run boolean DEFAULT true) RETURNS SETOF text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	statements text[];
	statement text;
BEGIN
	PERFORM clerk.check_protectable(tab, owner, org, admin_role, role);
	statements := ARRAY(
		SELECT format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', tab) FROM pg_class WHERE oid = tab AND NOT relrowsecurity)
		|| ARRAY(SELECT clerk.policy_changes(tab, owner, org, admin_role, role))
		|| ARRAY(SELECT clerk.column_changes(tab, owner, false) WHERE owner IS NOT NULL)
		|| ARRAY(SELECT clerk.column_changes(tab, org, true) WHERE org IS NOT NULL)
		|| ARRAY(SELECT clerk.missing_grants(tab, '{SELECT,INSERT,UPDATE,DELETE}', role));
	FOREACH statement IN ARRAY statements LOOP
		IF NOT coalesce(dry_run, true) AND statement NOT LIKE '--%' THEN
			EXECUTE statement;
		END IF;
		RETURN NEXT statement;
	END LOOP;
END
$$;
COMMENT ON FUNCTION clerk.protect(regclass, name, name, text, name, boolean) IS
	'row-level security for a table whose rows belong to users, to organizations, or to both: the statements that are missing, which it runs unless dry_run';

CREATE FUNCTION clerk.api_roles() RETURNS SETOF name
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT rolname FROM pg_roles
	WHERE rolname = current_setting('clerk.anon_role') OR rolname IN (SELECT instance.role FROM clerk.instances AS instance)
$$;
COMMENT ON FUNCTION clerk.api_roles() IS 'the roles as which requests run: the anonymous one and those of the instances';

CREATE FUNCTION clerk.roles_reaching(relation oid, privileges text) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT string_agg(quote_ident(role), ', ' ORDER BY role)
	FROM clerk.api_roles() AS role, pg_class
	WHERE pg_class.oid = relation AND has_schema_privilege(role, relnamespace, 'USAGE')
		AND (has_table_privilege(role, relation, privileges) OR has_any_column_privilege(role, relation, replace(privileges, ', DELETE', '')))
$$;
COMMENT ON FUNCTION clerk.roles_reaching(oid, text) IS 'the API roles that may do one of these with a table, PUBLIC''s rights included; NULL: none';

CREATE FUNCTION clerk.is_audited(catalog regclass, object oid, schema oid) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT schema::regnamespace::text !~ '^(pg_|information_schema$)' AND NOT EXISTS (
		SELECT FROM pg_depend WHERE classid = catalog AND objid = object AND refclassid = 'pg_extension'::regclass AND deptype = 'e')
$$;
COMMENT ON FUNCTION clerk.is_audited(regclass, oid, oid) IS 'whether an object is the application''s, not PostgreSQL''s or an extension''s';

CREATE FUNCTION clerk.is_unverified(function text) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT to_regprocedure(function) IS NOT NULL AND NOT clerk.is_auth_shim(to_regprocedure(function)) $$;
COMMENT ON FUNCTION clerk.is_unverified(text) IS 'whether a function of schema auth is not that of clerk.install_auth_shim()';

-- As PostgreSQL prints an expression, and near enough as people write one.
CREATE FUNCTION clerk.verified_expression(expression text) RETURNS text
	LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	claim constant text := 'current_setting\s*\(\s*''request\.jwt\.%s''(?:::text)?\s*(?:,\s*(?:true|false)\s*)?\)';
	claims constant text := format(claim, 'claims');
	rule record;
BEGIN
	FOR rule IN
		SELECT * FROM (VALUES
			('\((?:NULLIF\()?' || claims || '(?:, ''''::text\))?\)::jsonb?', 'clerk.jwt()'),
			(claims, '(clerk.jwt())::text'),
			(format(claim, 'claim\.sub'), 'clerk.uid()'),
			('NULLIF\(clerk\.uid\(\), ''''::text\)', 'clerk.uid()'),
			(format(claim, 'claim\.(\w+)'), 'clerk.claim(''\1'')'),
			('\mauth\.jwt\(\)', 'clerk.jwt()'),
			('\mauth\.uid\(\)', 'clerk.mapped_id()'),
			('\mauth\.email\(\)', 'clerk.claim(''email'')'),
			('\mauth\.role\(\)', '(CURRENT_USER)::text'),
			('\( SELECT clerk\.jwt\(\) AS \w+\)', 'clerk.jwt()'),
			('\(clerk\.jwt\(\) ->> ''sub''::text\)', 'clerk.uid()'),
			('\(clerk\.jwt\(\) ->> ''(?:o\.id|org_id)''::text\)', 'clerk.org_id()'),
			('->> ''o\.(\w+)''::text', '#>> ''{o,\1}''::text[]'),
			('\((?:\( SELECT )?clerk\.uid\(\)(?: AS \w+)?\)?\)::uuid', 'clerk.mapped_id()')
		) AS rules (pattern, replacement)
	LOOP
		expression := regexp_replace(expression, rule.pattern, rule.replacement, 'g');
	END LOOP;
	RETURN expression;
END
$$;
COMMENT ON FUNCTION clerk.verified_expression(text) IS
	'an expression that asks clerk.uid() and the like where it asked request.jwt.claims, or the functions of Supabase Auth';

CREATE FUNCTION clerk.audit_tables() RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH tables AS (
		SELECT pg_class.*, pg_class.oid::regclass AS tab, EXISTS (SELECT FROM pg_policy WHERE polrelid = pg_class.oid) AS has_policy,
			clerk.roles_reaching(pg_class.oid, CASE WHEN relkind IN ('r', 'p') THEN 'SELECT, INSERT, UPDATE, DELETE' ELSE 'SELECT' END) AS roles
		FROM pg_class
		WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND clerk.is_audited('pg_class', pg_class.oid, relnamespace)
	)
	SELECT 'error', 'rls-disabled', format('table %s', tab),
		format('%s can reach it, and row-level security is off%s', roles, CASE WHEN has_policy THEN ', so its policies do nothing' ELSE '' END),
		format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', tab)
	FROM tables WHERE relkind IN ('r', 'p') AND NOT relrowsecurity AND roles IS NOT NULL
	UNION ALL
	SELECT 'warning', 'rls-without-policy', format('table %s', tab), format('%s can reach it, and sees no row, as it has no policy', roles),
		format('SELECT clerk.protect(%L, owner => %L, dry_run => false)', tab, 'user_id')
	FROM tables WHERE relkind IN ('r', 'p') AND relrowsecurity AND NOT has_policy AND roles IS NOT NULL
	UNION ALL
	SELECT 'error', 'view-of-owner', format('view %s', tab),
		format('%s can read it, and it reads with the rights of its owner, for whom policies may not count', roles),
		format('ALTER VIEW %s SET (security_invoker = true)', tab)
	FROM tables
	WHERE relkind = 'v' AND roles IS NOT NULL
		AND NOT EXISTS (SELECT FROM pg_options_to_table(reloptions) WHERE option_name = 'security_invoker' AND option_value::boolean)
	UNION ALL
	SELECT 'error', CASE relkind WHEN 'm' THEN 'materialized-view' ELSE 'foreign-table' END,
		format('%s %s', CASE relkind WHEN 'm' THEN 'materialized view' ELSE 'foreign table' END, tab),
		format('%s can read it, and it cannot have policies', roles), format('REVOKE ALL ON %s FROM PUBLIC, %s', tab, roles)
	FROM tables WHERE relkind IN ('m', 'f') AND roles IS NOT NULL
	UNION ALL
	SELECT 'error', 'role-owns-table', format('table %s', tab), format('role %I owns it, so no policy counts for that role', role),
		format('ALTER TABLE %s OWNER TO %I', tab, current_user)
	FROM tables, clerk.api_roles() AS role, pg_roles
	WHERE relkind IN ('r', 'p') AND NOT relforcerowsecurity AND rolname = role AND NOT rolsuper AND pg_has_role(role, relowner, 'USAGE')
$$;
COMMENT ON FUNCTION clerk.audit_tables() IS 'what clerk.audit() finds in tables and views';

CREATE FUNCTION clerk.audited_policies()
	RETURNS TABLE (id oid, tab regclass, object text, is_permissive boolean, is_public boolean, expression text, alter_policy text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT pg_policy.oid, polrelid::regclass, format('policy %I on %s', polname, polrelid::regclass), polpermissive, polroles = '{0}',
		concat_ws(' ', qual, with_check), format('ALTER POLICY %I ON %s', polname, polrelid::regclass),
		format('ALTER POLICY %I ON %s', polname, polrelid::regclass)
			|| coalesce(' USING (' || clerk.verified_expression(qual) || ')', '')
			|| coalesce(' WITH CHECK (' || clerk.verified_expression(with_check) || ')', '')
	FROM pg_policy JOIN pg_class ON pg_class.oid = polrelid,
		pg_get_expr(polqual, polrelid) AS qual, pg_get_expr(polwithcheck, polrelid) AS with_check
	WHERE clerk.is_audited('pg_class', polrelid, relnamespace)
$$;
COMMENT ON FUNCTION clerk.audited_policies() IS 'the policies of the application, as clerk.audit() looks at them';

CREATE FUNCTION clerk.audit_policies() RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT 'error', 'auth-uid', object, 'auth.uid() is not that of clerk.install_auth_shim(): it casts "sub" to uuid, which fails for Clerk ids, and verifies nothing', fix
	FROM clerk.audited_policies() WHERE expression ~ '\mauth\.uid\(\)' AND clerk.is_unverified('auth.uid()')
	UNION ALL
	SELECT 'error', 'sub-as-uuid', object, 'it casts a Clerk id such as user_2abc... to uuid, which fails', fix
	FROM clerk.audited_policies()
	WHERE expression ~ '(''sub''::text|''request\.jwt\.claim\.sub''::text(, (true|false))?|clerk\.uid\()([])]|, ''''::text| AS \w+)*::uuid'
	UNION ALL
	SELECT 'error', 'claim-path', object, 'a claim is not found by a path with dots, so this is NULL always', fix
	FROM clerk.audited_policies() WHERE expression ~ '->>? ''o\.\w+''::text'
	UNION ALL
	SELECT 'error', 'unverified-claims', object, 'it believes request.jwt.claims, which whoever can run SQL can set', fix
	FROM clerk.audited_policies()
	WHERE expression ~ 'current_setting\(''request\.jwt\.claim'
		OR (expression ~ '\mauth\.jwt\(\)' AND clerk.is_unverified('auth.jwt()'))
		OR (expression ~ '\mauth\.role\(\)' AND clerk.is_unverified('auth.role()'))
		OR (expression ~ '\mauth\.email\(\)' AND clerk.is_unverified('auth.email()'))
	UNION ALL
	SELECT DISTINCT 'error', 'unverified-claims', format('function %s', proc.oid::regprocedure),
		'policies call it, and it believes request.jwt.claims, which whoever can run SQL can set', clerk.verified_expression(pg_get_functiondef(proc.oid))
	FROM clerk.audited_policies() AS policy
	JOIN pg_depend AS d ON d.classid = 'pg_policy'::regclass AND d.objid = policy.id AND d.refclassid = 'pg_proc'::regclass
	JOIN pg_proc AS proc ON proc.oid = d.refobjid AND prokind = 'f' AND pronamespace::regnamespace::text <> 'auth'
	WHERE clerk.is_audited('pg_proc', proc.oid, pronamespace) AND concat(prosrc, pg_get_function_sqlbody(proc.oid)) ~ 'current_setting\s*\(\s*''request\.jwt\.claim'
	UNION ALL
	SELECT 'notice', 'policy-for-public', object, 'it is for every role, the anonymous one as well', alter_policy || ' TO ' || roles
	FROM clerk.audited_policies(),
		(SELECT string_agg(quote_ident(role), ', ' ORDER BY role) FROM clerk.api_roles() AS role WHERE role <> current_setting('clerk.anon_role')) AS signed_in (roles)
	WHERE is_permissive AND is_public AND roles IS NOT NULL
$$;
COMMENT ON FUNCTION clerk.audit_policies() IS 'what clerk.audit() finds in policies';

CREATE FUNCTION clerk.audit_presets() RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT DISTINCT 'error', 'reverification-unknown', object,
		format('has_reverified(''%s'') is false always; it must be one of: %s', call[1], array_to_string(known, ', ')), NULL
	FROM clerk.audited_policies(), regexp_matches(expression, 'clerk\.has_reverified\(''((?:[^'']|'''')*)''::text(,?)', 'g') AS call,
		LATERAL (SELECT CASE call[2] WHEN '' THEN '{strict_mfa,strict,moderate,lax}' ELSE '{first_factor,second_factor,multi_factor}' END::text[]) AS names (known)
	WHERE call[1] <> ALL (known)
$$;
COMMENT ON FUNCTION clerk.audit_presets() IS 'what clerk.audit() finds that policies ask of has_reverified(), and Clerk does not know';

CREATE FUNCTION clerk.audit_indexes() RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT DISTINCT 'warning', 'index-missing', format('table %s', tab), format('policies compare %I with the caller, and no index begins with it', attname),
		format('CREATE INDEX ON %s (%I)', tab, attname)
	FROM (VALUES ('("(?:[^"]|"")+"|\w+)', 'clerk\.(?:uid|org_id|mapped_id|mapped_bigint|mapped_text|mapped_org_id|mapped_org_bigint|mapped_org_text)\(\)')) AS side (col, caller),
		LATERAL (VALUES ('(?:^|[( ])' || col || '\)?(?:::\w+)? = (?:\( SELECT )?' || caller),
			(caller || '(?: AS \w+\))? = \(?' || col || '(?![\w.])')) AS comparison (pattern),
		clerk.audited_policies(), regexp_matches(expression, pattern, 'g') AS compared
	JOIN pg_attribute ON attnum > 0 AND quote_ident(attname) = compared[1]
	WHERE attrelid = tab AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = tab AND indisvalid AND indkey[0] = attnum)
$$;
COMMENT ON FUNCTION clerk.audit_indexes() IS 'what clerk.audit() finds missing for policies to be fast';

CREATE FUNCTION clerk.audit_functions() RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH callable AS (
		SELECT proc.oid::regprocedure AS function, proconfig, pronamespace, pg_get_functiondef(proc.oid) AS definition, callers.roles
		FROM pg_proc AS proc JOIN pg_language AS language ON language.oid = prolang, LATERAL (
			SELECT string_agg(quote_ident(role), ', ' ORDER BY role) FROM clerk.api_roles() AS role
			WHERE has_schema_privilege(role, pronamespace, 'USAGE') AND has_function_privilege(role, proc.oid, 'EXECUTE')) AS callers (roles)
		WHERE prosecdef AND prokind IN ('f', 'p') AND lanname NOT IN ('c', 'internal') AND callers.roles IS NOT NULL
			AND clerk.is_audited('pg_proc', proc.oid, pronamespace)
	)
	SELECT 'error', 'definer-sets-identity', format('function %s', function),
		format('%s can call it, and it sets who the request is from with the rights of its owner', roles),
		format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC, %s', function, roles)
	FROM callable
	WHERE definition ~* 'set_config\s*\(\s*''(request\.|clerk\.|role''|session_authorization'')' OR definition ~* '\mset\s+(local\s+|session\s+)?"?(request|clerk)"?\.'
	UNION ALL
	SELECT 'warning', 'definer-search-path', format('function %s', function),
		format('%s can call it, and it looks names up with the rights of its owner in whatever search_path the caller has', roles),
		format('ALTER ROUTINE %s SET search_path = pg_catalog, %s, pg_temp', function, pronamespace::regnamespace)
	FROM callable WHERE NOT EXISTS (SELECT FROM unnest(proconfig) AS setting WHERE setting ^@ 'search_path=')
$$;
COMMENT ON FUNCTION clerk.audit_functions() IS 'what clerk.audit() finds in SECURITY DEFINER functions';

CREATE FUNCTION clerk.audit_roles() RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT 'error', 'role-bypasses-rls', format('role %I', rolname), CASE WHEN rolsuper THEN 'it is a superuser' ELSE 'it has BYPASSRLS' END || ', so no policy counts for it',
		format('ALTER ROLE %I NOSUPERUSER NOBYPASSRLS', rolname)
	FROM pg_roles WHERE rolname IN (SELECT clerk.api_roles()) AND (rolsuper OR rolbypassrls)
	UNION ALL
	SELECT 'error', 'role-missing', format('role %I', role), said_by || ' names it, and it does not exist', format('CREATE ROLE %I', role)
	FROM (SELECT current_setting('clerk.anon_role'), 'clerk.anon_role'
		UNION ALL SELECT instance.role, format('instance %s', instance.issuer) FROM clerk.instances AS instance) AS named (role, said_by)
	WHERE role <> '' AND to_regrole(quote_ident(role)) IS NULL
	UNION ALL
	SELECT CASE WHEN rolname IS NULL OR rolname IN (SELECT clerk.api_roles()) THEN 'error' ELSE 'warning' END, 'trust-request-claims', format('%s %I', kind, name),
		'clerk.trust_request_claims is on there: whoever can run SQL can be anybody',
		format('ALTER %s %I%s RESET clerk.trust_request_claims', upper(kind), name, ' IN DATABASE ' || quote_ident(only_in))
	FROM pg_db_role_setting LEFT JOIN pg_roles AS role ON role.oid = setrole LEFT JOIN pg_database AS database ON database.oid = setdatabase,
		LATERAL (SELECT CASE setrole WHEN 0 THEN 'database' ELSE 'role' END, coalesce(rolname, datname), CASE WHEN setrole <> 0 THEN datname END) AS place (kind, name, only_in)
	WHERE (setdatabase = 0 OR datname = current_database())
		AND EXISTS (SELECT FROM unnest(setconfig) AS value WHERE value ~* '^clerk\.trust_request_claims=(on|t|tr|tru|true|y|ye|yes|1)$')
$$;
COMMENT ON FUNCTION clerk.audit_roles() IS 'what clerk.audit() finds in roles and their settings';

CREATE FUNCTION clerk.audit_instances() RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT 'warning', 'authorized-parties-missing', format('instance %s', instance.issuer), 'a token that was made for any other site of the instance counts',
		format('UPDATE clerk.instances SET authorized_parties = %L WHERE issuer = %L', '{https://app.example.com}', instance.issuer)
	FROM clerk.instances AS instance WHERE instance.authorized_parties IS NULL
	UNION ALL
	SELECT 'error', 'keys-missing', format('instance %s', health.issuer), 'it has no key, so none of its tokens can be verified', format('SELECT clerk.refresh_jwks(%L)', health.issuer)
	FROM clerk.health() AS health WHERE health.current_keys + health.retiring_keys = 0
	UNION ALL
	SELECT 'warning', 'refresh-failing', format('instance %s', health.issuer), format('fetching its keys has failed: %s', health.refresh_failure), format('SELECT clerk.refresh_jwks(%L)', health.issuer)
	FROM clerk.health() AS health WHERE health.refresh_failure IS NOT NULL
	UNION ALL
	SELECT 'notice', 'keys-unattended', format('instance %s', health.issuer), 'its newest key is older than 90 days, and nothing in the database fetches keys',
		format('SELECT clerk.schedule_jwks_refresh(%L)', '15 minutes')
	FROM clerk.health() AS health
	WHERE health.newest_key_age > interval '90 days' AND coalesce(health.refreshed_at < now() - interval '1 day', true)
	UNION ALL
	SELECT 'notice', 'webhook-silent', format('instance %s', health.issuer), 'it has a secret for webhooks, and none has ever come: send an example from Clerk''s Dashboard',
		format('SELECT clerk.expose_webhook(%L)', 'public')
	FROM clerk.health() AS health WHERE health.webhook_secrets > 0 AND health.last_event_at IS NULL
$$;
COMMENT ON FUNCTION clerk.audit_instances() IS 'what clerk.audit() finds in instances, their keys and webhooks';

-- SECURITY DEFINER: the owner of the database need not be allowed to read the tables of clerk.
CREATE FUNCTION clerk.audit() RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	PERFORM clerk.is_authenticated();	-- loads the library, which knows the setting
	RETURN QUERY
		SELECT f.* FROM (
			SELECT * FROM clerk.audit_tables() UNION ALL SELECT * FROM clerk.audit_policies() UNION ALL SELECT * FROM clerk.audit_indexes()
			UNION ALL SELECT * FROM clerk.audit_presets()
			UNION ALL SELECT * FROM clerk.audit_functions() UNION ALL SELECT * FROM clerk.audit_roles() UNION ALL SELECT * FROM clerk.audit_instances()
		) AS f
		ORDER BY array_position('{error,warning,notice}', f.severity), f.finding COLLATE "C", f.object COLLATE "C", f.fix COLLATE "C";
END
$$;
COMMENT ON FUNCTION clerk.audit() IS 'what will not do what it seems to: tables, policies, functions, roles and instances, each with a statement that fixes it';

--
-- Privileges: one by one, and whatever default privileges have added is taken back.
--

DO $$
DECLARE
	object record;
BEGIN
	FOR object IN
		SELECT CASE WHEN acl.kind = 'r' THEN 'TABLE ' || acl.id::regclass ELSE 'FUNCTION ' || acl.id::regprocedure END AS name,
			CASE WHEN acl.grantee = 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END AS grantee
		FROM (
			SELECT 'r', c.oid, x.grantee
			FROM pg_catalog.pg_depend AS d
			JOIN pg_catalog.pg_class AS c ON c.oid = d.objid,
				pg_catalog.aclexplode(c.relacl) AS x
			WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = 'pg_catalog.pg_extension'::regclass
				AND d.refobjid = (SELECT oid FROM pg_catalog.pg_extension WHERE extname = 'clerk_rls')
				AND d.deptype = 'e' AND c.relkind IN ('r', 'v') AND x.grantee <> c.relowner
			UNION
			SELECT 'f', p.oid, x.grantee
			FROM pg_catalog.pg_depend AS d
			JOIN pg_catalog.pg_proc AS p ON p.oid = d.objid,
				pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) AS x
			WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.refclassid = 'pg_catalog.pg_extension'::regclass
				AND d.refobjid = (SELECT oid FROM pg_catalog.pg_extension WHERE extname = 'clerk_rls')
				AND d.deptype = 'e' AND x.grantee <> p.proowner
		) AS acl (kind, id, grantee)
	LOOP
		EXECUTE pg_catalog.format('REVOKE ALL ON %s FROM %s', object.name, object.grantee);
	END LOOP;
END
$$;

GRANT USAGE ON SCHEMA clerk TO PUBLIC;
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
GRANT EXECUTE ON FUNCTION clerk.health() TO pg_monitor;
GRANT EXECUTE ON FUNCTION clerk.count_tokens() TO pg_monitor;
GRANT SELECT ON clerk.stats TO pg_monitor;
-- For the role that owns the database, as which migrations often run, and which owns the tables.
GRANT EXECUTE ON FUNCTION clerk.audit(),
	clerk.explain_access(regclass, text, text, text, name, text), clerk.explain_rows(anyarray, regclass, text, name, text),
	clerk.access_verdict(anyarray, name, regclass, text, name, text), clerk.count_rows(anyarray, name, text, name, text),
	clerk.check_explainable(regclass, text), clerk.simulate_request(text, name), clerk.request_role(), clerk.rls_exemption(regclass, name),
	clerk.policy_checks(regclass, text, name), clerk.policy_condition(regclass, text, name, text[]),
	clerk.without_permissive_policy(regclass, text, name, text[]), clerk.missing_grants(regclass, text[], name),
	clerk.protect(regclass, name, name, text, name, boolean), clerk.check_protectable(regclass, name, name, text, name),
	clerk.wanted_policies(regclass, name, name, text), clerk.policy_changes(regclass, name, name, text, name),
	clerk.column_changes(regclass, name, boolean), clerk.caller_expression(regclass, name, boolean)
	TO pg_database_owner;
