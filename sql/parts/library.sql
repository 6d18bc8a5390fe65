--
-- library.sql
--		Every function in C, grouped by its file: identity, organizations, local ids, the door.
--

-- src/pg/report.c

CREATE FUNCTION clerk_internal.refuse(sqlstate text, message text, detail text, hint text) RETURNS void
	-- RESTRICTED, as all that keep their statement out of the log: the leader of a parallel query would
	-- log it
	AS 'MODULE_PATHNAME', 'clerk_rls_refuse' LANGUAGE C PARALLEL RESTRICTED;
COMMENT ON FUNCTION clerk_internal.refuse(text, text, text, text) IS
	'raises, for functions that are given secrets: keeps their statement out of the server log';

-- src/pg/citus.c

CREATE FUNCTION clerk_internal.tell_citus() RETURNS void
	AS 'MODULE_PATHNAME', 'clerk_rls_tell_citus' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION clerk_internal.tell_citus() IS
	'tells the other nodes of a Citus cluster who the request is from';

-- src/pg/table.c

-- Per row as well as per statement: an apply worker of logical replication fires only the
-- former. ALWAYS: also under session_replication_role = replica.
CREATE FUNCTION clerk_internal.invalidate() RETURNS trigger
	AS 'MODULE_PATHNAME', 'clerk_rls_invalidate' LANGUAGE C;
COMMENT ON FUNCTION clerk_internal.invalidate() IS
	'trigger: makes every backend forget what it has read of the table';

-- src/pg/keys.c

CREATE FUNCTION clerk_internal.check_jwk(jwk jsonb, OUT ignored boolean, OUT problem text)
	AS 'MODULE_PATHNAME', 'clerk_rls_check_jwk' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION clerk_internal.check_jwk(jsonb) IS
	'why a JSON Web Key cannot be used (NULL: it can), and whether a JWKS may hold it all the same';

CREATE FUNCTION clerk_internal.jwk_of_spki(der bytea) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'clerk_rls_jwk_of_spki' LANGUAGE C IMMUTABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION clerk_internal.jwk_of_spki(bytea) IS
	'the public key in a SubjectPublicKeyInfo, or in a certificate, as a JSON Web Key';

-- src/pg/unknown_kid.c

CREATE FUNCTION clerk_internal.unknown_kid_at(issuer text) RETURNS timestamptz
	AS 'MODULE_PATHNAME', 'clerk_rls_unknown_kid_at' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION clerk_internal.unknown_kid_at(text) IS
	'when a token last named a key that the instance does not have, since the server started';

-- src/pg/stats.c

CREATE FUNCTION clerk_internal.count_tokens()
	RETURNS TABLE (issuer text, reason text, tokens bigint, since timestamptz)
	AS 'MODULE_PATHNAME', 'clerk_rls_count_tokens' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 20;
COMMENT ON FUNCTION clerk_internal.count_tokens() IS
	'the counters behind clerk.stats; a reason may come several times';

-- src/pg/accessors.c

CREATE FUNCTION clerk.uid() RETURNS text
	AS 'MODULE_PATHNAME', 'clerk_rls_uid' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION clerk.uid() IS 'Clerk id of the signed-in user, verified; NULL for everybody else';

CREATE FUNCTION clerk.jwt() RETURNS jsonb
	AS 'MODULE_PATHNAME', 'clerk_rls_jwt' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION clerk.jwt() IS 'claims of the verified token';

CREATE FUNCTION clerk.claim(VARIADIC path text[]) RETURNS text
	AS 'MODULE_PATHNAME', 'clerk_rls_claim' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION clerk.claim(text[]) IS 'a claim of the verified token, by path';

CREATE FUNCTION clerk.session_id() RETURNS text
	AS 'MODULE_PATHNAME', 'clerk_rls_session_id' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION clerk.session_id() IS 'Clerk session id ("sid"); NULL also for tokens of JWT templates';

CREATE FUNCTION clerk.issuer() RETURNS text
	AS 'MODULE_PATHNAME', 'clerk_rls_issuer' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION clerk.issuer() IS 'issuer ("iss") of the verified token';

CREATE FUNCTION clerk.actor_id() RETURNS text
	AS 'MODULE_PATHNAME', 'clerk_rls_actor_id' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION clerk.actor_id() IS 'who impersonates the user ("act.sub"); NULL if nobody does';

CREATE FUNCTION clerk.expires_at() RETURNS timestamptz
	AS 'MODULE_PATHNAME', 'clerk_rls_expires_at' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION clerk.expires_at() IS 'when the verified token expires ("exp")';

CREATE FUNCTION clerk.is_authenticated() RETURNS boolean
	AS 'MODULE_PATHNAME', 'clerk_rls_is_authenticated' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION clerk.is_authenticated() IS 'true if a user is signed in; never NULL';

CREATE FUNCTION clerk.is_impersonated() RETURNS boolean
	AS 'MODULE_PATHNAME', 'clerk_rls_is_impersonated' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION clerk.is_impersonated() IS 'whether somebody else acts as the user ("act"); never NULL';

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
COMMENT ON FUNCTION clerk.org_permissions() IS
	'the user''s permissions in the active organization, such as org:invoices:create';

-- These cost more than a comparison with clerk.org_id(), so that what tells rows apart is asked before.
CREATE FUNCTION clerk.has(params jsonb) RETURNS boolean
	AS 'MODULE_PATHNAME', 'clerk_rls_has' LANGUAGE C STABLE PARALLEL SAFE COST 5;
COMMENT ON FUNCTION clerk.has(jsonb) IS
	'Clerk''s has({role, permission, feature, plan, reverification}): all that is asked must be met';

CREATE FUNCTION clerk.has_role(role text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'clerk_rls_has_role' LANGUAGE C STABLE PARALLEL SAFE COST 5;
COMMENT ON FUNCTION clerk.has_role(text) IS
	'whether the user has this role in the active organization; org: may be left out';

CREATE FUNCTION clerk.has_permission(permission text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'clerk_rls_has_permission' LANGUAGE C STABLE PARALLEL SAFE COST 5;
COMMENT ON FUNCTION clerk.has_permission(text) IS
	'whether the user has this permission in the active organization; org: may be left out';

CREATE FUNCTION clerk.has_feature(feature text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'clerk_rls_has_feature' LANGUAGE C STABLE PARALLEL SAFE COST 5;
COMMENT ON FUNCTION clerk.has_feature(text) IS
	'whether the user, or the active organization, has this feature: slug, or o:slug, u:slug';

CREATE FUNCTION clerk.has_plan(plan text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'clerk_rls_has_plan' LANGUAGE C STABLE PARALLEL SAFE COST 5;
COMMENT ON FUNCTION clerk.has_plan(text) IS
	'whether the user, or the active organization, has this plan: slug, or o:slug, u:slug';

CREATE FUNCTION clerk.has_reverified(preset text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'clerk_rls_has_reverified_preset' LANGUAGE C STABLE PARALLEL SAFE COST 5;
COMMENT ON FUNCTION clerk.has_reverified(text) IS
	'whether the user has verified credentials again: strict_mfa, strict, moderate or lax';

CREATE FUNCTION clerk.has_reverified(level text, within interval) RETURNS boolean
	AS 'MODULE_PATHNAME', 'clerk_rls_has_reverified' LANGUAGE C STABLE PARALLEL SAFE COST 5;
COMMENT ON FUNCTION clerk.has_reverified(text, interval) IS
	'whether the user has verified credentials again: first_factor, second_factor or multi_factor, within '
	'this time';

-- src/pg/authenticate.c

CREATE FUNCTION clerk.verify(token text) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'clerk_rls_verify' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION clerk.verify(text) IS 'claims of a token, or an error (PT401) with the reason';

CREATE FUNCTION clerk.authenticate(token text) RETURNS text
	AS 'MODULE_PATHNAME', 'clerk_rls_authenticate' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION clerk.authenticate(text) IS
	'signs the token''s user in for the rest of the transaction and returns the user id; NULL signs out';

-- src/pg/idmap.c

CREATE FUNCTION clerk.mapped_id() RETURNS uuid
	AS 'MODULE_PATHNAME', 'clerk_rls_mapped_id' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION clerk.mapped_id() IS 'local id of the signed-in user as uuid; NULL if it is not a uuid';

CREATE FUNCTION clerk.mapped_bigint() RETURNS bigint
	AS 'MODULE_PATHNAME', 'clerk_rls_mapped_bigint' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION clerk.mapped_bigint() IS
	'local id of the signed-in user as bigint; NULL if it is not a bigint';

CREATE FUNCTION clerk.mapped_text() RETURNS text
	AS 'MODULE_PATHNAME', 'clerk_rls_mapped_text' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION clerk.mapped_text() IS 'local id of the signed-in user as text';

CREATE FUNCTION clerk.mapped_org_id() RETURNS uuid
	AS 'MODULE_PATHNAME', 'clerk_rls_mapped_org_id' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION clerk.mapped_org_id() IS 'local id of the active organization as uuid';

CREATE FUNCTION clerk.mapped_org_bigint() RETURNS bigint
	AS 'MODULE_PATHNAME', 'clerk_rls_mapped_org_bigint' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION clerk.mapped_org_bigint() IS
	'local id of the active organization as bigint; NULL if it is not a bigint';

CREATE FUNCTION clerk.mapped_org_text() RETURNS text
	AS 'MODULE_PATHNAME', 'clerk_rls_mapped_org_text' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION clerk.mapped_org_text() IS 'local id of the active organization as text';

CREATE FUNCTION clerk.mapped_id(clerk_id text) RETURNS uuid
	AS 'MODULE_PATHNAME', 'clerk_rls_mapped_id_of' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION clerk.mapped_id(text) IS 'local id of any Clerk id as uuid';

CREATE FUNCTION clerk_internal.is_reserved_id(clerk_id text, mapped_id text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'clerk_rls_is_reserved_id' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION clerk_internal.is_reserved_id(text, text) IS
	'whether a local id is a UUID of version 5 that another Clerk id may have without a mapping, so that '
		'this one never gets it';

-- src/pg/track.c

-- SECURITY DEFINER: whoever may write to the tracked table writes to its mapping, too.
CREATE FUNCTION clerk_internal.track_id() RETURNS trigger
	AS 'MODULE_PATHNAME', 'clerk_rls_track_id' LANGUAGE C
		SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION clerk_internal.track_id() IS
	'trigger: keeps clerk.id_map in step with a table that clerk.track_ids() tracks';

-- src/pg/webhook.c

CREATE FUNCTION clerk_internal.is_webhook_secret(secret text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'clerk_rls_is_webhook_secret' LANGUAGE C IMMUTABLE STRICT;
COMMENT ON FUNCTION clerk_internal.is_webhook_secret(text) IS
	'whether this could be the signing secret of an endpoint';

CREATE FUNCTION clerk.verify_webhook(id text, ts text, signature text, body text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'clerk_rls_verify_webhook' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION clerk.verify_webhook(text, text, text, text) IS
	'true if a registered secret signed this body, with these values of the headers svix-id, '
	'svix-timestamp and svix-signature, in the last five minutes';

CREATE FUNCTION clerk_internal.authenticate_webhook(id text, ts text, signature text, body text) RETURNS text
	AS 'MODULE_PATHNAME', 'clerk_rls_authenticate_webhook' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION clerk_internal.authenticate_webhook(text, text, text, text) IS
	'the issuer of the instance that sent a webhook, or an error (PT401) with the reason';

CREATE FUNCTION clerk_internal.webhook_header(name text) RETURNS text
	AS 'MODULE_PATHNAME', 'clerk_rls_webhook_header' LANGUAGE C STABLE STRICT;
COMMENT ON FUNCTION clerk_internal.webhook_header(text) IS
	'header svix-<name>, or webhook-<name>, of the request';

CREATE FUNCTION clerk_internal.run_event_handler(handler regprocedure, event jsonb) RETURNS void
	AS 'MODULE_PATHNAME', 'clerk_rls_run_event_handler' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION clerk_internal.run_event_handler(regprocedure, jsonb) IS
	'calls a function as the role that owns it';

CREATE FUNCTION clerk_internal.plain_json(body text, ascii boolean) RETURNS text
	AS 'MODULE_PATHNAME', 'clerk_rls_plain_json' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION clerk_internal.plain_json(text, boolean) IS
	'a JSON text with what jsonb cannot hold replaced: U+0000, half characters, numbers, strings and levels '
		'beyond its limits';

-- src/pg/postgrest.c

CREATE FUNCTION clerk.pre_request() RETURNS void
	AS 'MODULE_PATHNAME', 'clerk_rls_pre_request' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION clerk.pre_request() IS
	'for PostgREST''s db-pre-request: rejects bad tokens with 401 and switches verified callers to their '
	'role';

-- src/pg/diagnose.c

CREATE FUNCTION clerk.diagnose(token text DEFAULT NULL)
	RETURNS TABLE (step text, outcome text, detail text)
	AS 'MODULE_PATHNAME', 'clerk_rls_diagnose' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION clerk.diagnose(text) IS
	'each step of verifying the token of this request, or the given one, with its outcome';
