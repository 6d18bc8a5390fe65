--
-- diagnose.sql
--		Each step of a verification with its outcome, for people: what the extension shows
--		(src/pg/diagnose.c), and no more: no token, no signature, nothing of a person.
--
-- Uses json, reasons, tokens, caller, grants, mapping, settings.
--

CREATE FUNCTION clerk_internal.shown(value text) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE WHEN value IS NULL THEN 'absent' WHEN octet_length(value) > 128 THEN '(too long to be shown)'
		WHEN value !~ '^[!-~]*$' THEN '(not plain enough to be shown)' ELSE value END;
COMMENT ON FUNCTION clerk_internal.shown(text) IS 'a value of a token, or a word in its place';

-- Whatever DateStyle is; a number that is no time of PostgreSQL's may still be one of a token's.
CREATE FUNCTION clerk_internal.shown_time(epoch numeric) RETURNS text
	LANGUAGE sql STABLE STRICT PARALLEL SAFE
	RETURN CASE WHEN epoch BETWEEN -210866803200 AND 9224318015999
		THEN regexp_replace(to_char('epoch'::timestamptz + (epoch * 1000000)::double precision
			* interval '1 microsecond', 'YYYY-MM-DD HH24:MI:SS.USOF'),
			'[.]?0+(?=[-+][0-9:]+$)', '')
		ELSE '(timestamp out of range)' END;
COMMENT ON FUNCTION clerk_internal.shown_time(numeric) IS
	'a time in seconds since the Unix epoch, for people';

CREATE FUNCTION clerk_internal.shown_date(name text, claims jsonb, status text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN CASE WHEN status LIKE '%invalid' THEN NULL WHEN claims ->> name IS NULL THEN name || ' absent'
		ELSE name || ' ' || clerk_internal.shown_time(clerk_internal.numeric_date(claims -> name)) END;
COMMENT ON FUNCTION clerk_internal.shown_date(text, jsonb, text) IS
	'a time that a token says; NULL: it is none';

CREATE FUNCTION clerk_internal.similar_issuer(issuer text) RETURNS text
	LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT i.issuer FROM clerk.instances AS i
	WHERE i.issuer <> similar_issuer.issuer AND length(similar_issuer.issuer) <= 128
		AND rtrim(substring(i.issuer FROM '://(.*)'),
			'/') = rtrim(coalesce(substring(similar_issuer.issuer FROM '://(.*)'), similar_issuer.issuer),
			'/')
	ORDER BY i.issuer DESC LIMIT 1
$$;
COMMENT ON FUNCTION clerk_internal.similar_issuer(text) IS
	'a registered issuer that differs from this one by the scheme or a slash';

CREATE FUNCTION clerk_internal.describe_step(step text, status text, header jsonb, claims jsonb,
	instance clerk.instances) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF step NOT IN ('source', 'shape', 'instance') AND instance.issuer IS NULL THEN
		RETURN NULL;
	END IF;
	RETURN CASE step
		WHEN 'instance' THEN 'iss ' || clerk_internal.shown(clerk_internal.json_string(claims -> 'iss'))
			|| coalesce(
			'; registered is ' || CASE
				WHEN instance.issuer IS NULL
					THEN clerk_internal.similar_issuer(clerk_internal.json_string(claims -> 'iss')) END
			|| ', and each character counts', '')
		WHEN 'type' THEN format('typ %s, cat %s', clerk_internal.shown(header ->> 'typ'),
			clerk_internal.shown(header ->> 'cat'))
		WHEN 'key' THEN 'kid ' || clerk_internal.shown(header ->> 'kid')
		WHEN 'algorithm' THEN 'alg ' || clerk_internal.shown(header ->> 'alg')
		WHEN 'audience' THEN CASE WHEN instance.audiences IS NULL THEN 'the instance asks for none' END
		WHEN 'authorized party' THEN format('azp %s; the instance allows %s',
			clerk_internal.shown(clerk_internal.json_string(claims -> 'azp')),
			coalesce(array_to_string(instance.authorized_parties, ', '), 'any'))
		WHEN 'expiry' THEN clerk_internal.shown_date('exp', claims, status) || CASE status
			WHEN 'expired' THEN ', now ' || clerk_internal.shown_time(extract(epoch FROM clock_timestamp()))
			ELSE '' END
		WHEN 'not before' THEN clerk_internal.shown_date('nbf', claims, status)
		WHEN 'issued at' THEN clerk_internal.shown_date('iat', claims, status)
		WHEN 'session status' THEN 'sts '
			|| clerk_internal.shown(clerk_internal.json_string(claims -> 'sts')) END;
END
$$;
COMMENT ON FUNCTION clerk_internal.describe_step(text, text, jsonb, jsonb, clerk.instances) IS
	'what a step of the verification has looked at';

CREATE FUNCTION clerk_internal.describe_source(source text) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE source
		WHEN 'argument' THEN 'the argument'
		WHEN 'setting' THEN 'setting clerk.token'
		WHEN 'x-clerk-token' THEN 'header x-clerk-token'
		WHEN 'authorization' THEN 'header authorization'
		WHEN 'request.jwt' THEN 'setting request.jwt'
		WHEN 'cookie' THEN 'cookie __session'
		WHEN 'claims' THEN 'setting request.jwt.claims, unverified'
		ELSE 'nowhere' END;
COMMENT ON FUNCTION clerk_internal.describe_source(text) IS 'where a token was';

-- {step: status}; a step that was not taken is not there. The claims are checked also if nobody has
-- signed them; revocation is asked about only for claims that are signed, or believed: who makes
-- them up must not learn who is revoked.
CREATE FUNCTION clerk_internal.step_statuses(status text, source text, token text, header jsonb, claims jsonb,
	instance clerk.instances)
	RETURNS jsonb
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	steps constant text[] := clerk_internal.steps();
	statuses jsonb := '{}';
	step text;
	signature_status text := 'ok';
	failed text := (clerk_internal.reason(status)).step;
BEGIN
	IF instance.issuer IS NULL THEN
		FOREACH step IN ARRAY '{shape,instance}'::text[] LOOP
			IF array_position(steps, step) < array_position(steps, failed) THEN
				statuses := statuses || jsonb_build_object(step, 'ok');
			END IF;
		END LOOP;
		RETURN statuses || CASE WHEN failed IS NULL THEN '{}' ELSE jsonb_build_object(failed, status) END;
	END IF;
	statuses := jsonb_build_object('type',
		clerk_internal.check_type(coalesce(header, '{}'), claims, instance));
	statuses := statuses
		|| jsonb_object(clerk_internal.claim_steps(), clerk_internal.claim_statuses(claims, instance));
	IF source <> 'claims' THEN
		statuses := statuses || '{"shape": "ok", "instance": "ok"}';
		signature_status := clerk_internal.verify_signature(instance.issuer, header,
			substring(token FROM '^(.*)[.]'),
			clerk_internal.base64url_decode(split_part(token, '.', 3)));
		failed := (clerk_internal.reason(signature_status)).step;
		FOREACH step IN ARRAY '{key,algorithm,signature}'::text[] LOOP
			IF signature_status = 'ok' OR array_position(steps, step) < array_position(steps, failed) THEN
				statuses := statuses || jsonb_build_object(step, 'ok');
			ELSIF step = failed THEN
				statuses := statuses || jsonb_build_object(step, signature_status);
			END IF;
		END LOOP;
	END IF;
	IF signature_status = 'ok' AND statuses ->> 'subject' = 'ok' AND statuses ->> 'issued at' = 'ok' THEN
		statuses := statuses || jsonb_build_object('revocation', clerk_internal.check_revocation(claims));
	END IF;
	RETURN statuses;
END
$$;
COMMENT ON FUNCTION clerk_internal.step_statuses(text, text, text, jsonb, jsonb, clerk.instances) IS
	'the status of each step of the verification of a token that was read';

CREATE FUNCTION clerk_internal.describe_mapping(claims jsonb) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	found constant record := clerk_internal.local_id(claims ->> 'sub', claims);
	origin constant text := CASE WHEN found.origin ^@ 'row' THEN 'a row of clerk.id_map'
		ELSE 'the claim that the instance''s id_claim names' END;
BEGIN
	RETURN CASE
		WHEN found.origin = 'unreadable' THEN 'none, as clerk.id_map cannot be read; mapped_id() is NULL'
		WHEN found.origin = 'none' THEN 'none; mapped_id() is NULL'
		WHEN found.origin = 'uuid' THEN 'the UUID of version 5 of the Clerk id'
		WHEN found.origin ~ 'reserved$' THEN
			format('none: %s has a UUID of version 5 that is not the one of this Clerk id, and so may be '
				'another user''s', origin)
		ELSE format('from %s; mapped_id() is %s', origin,
			CASE WHEN clerk_internal.as_uuid(found.mapped_id) IS NULL THEN 'NULL, since it is no uuid'
				ELSE 'this uuid' END) END;
END
$$;
COMMENT ON FUNCTION clerk_internal.describe_mapping(jsonb) IS
	'where the local id of a user comes from, and whether it fits a uuid';

-- SECURITY DEFINER: who asks need not read the tables.
CREATE FUNCTION clerk_internal.explain_token(given text, role name)
	RETURNS TABLE (step text, outcome text, detail text)
	LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_variable
DECLARE
	decided record;
	read record;
	statuses jsonb := '{}';
	status text;
	reason record;
	claims jsonb;
	org record;
BEGIN
	IF given IS NULL THEN
		decided := clerk_internal.decide();
	ELSE
		SELECT v.status, 'argument' AS source, v.claims, given AS token INTO decided
			FROM clerk_internal.verify_token(given, 'argument') AS v;
	END IF;
	IF decided.source = 'claims' THEN
		SELECT i.status, NULL::jsonb AS header, j.claims, i.instance INTO read
		FROM clerk_internal.parse_object(decided.token) AS j (claims), clerk_internal.identify(j.claims) AS i;
	ELSE
		SELECT r.status, r.header, r.claims, r.instance INTO read
		FROM clerk_internal.read_token(coalesce(decided.token, ''), coalesce(decided.source, '')) AS r;
	END IF;
	IF decided.token IS NOT NULL THEN
		statuses := clerk_internal.step_statuses(read.status, decided.source, decided.token, read.header,
			read.claims,
			CASE WHEN read.status = 'ok' THEN read.instance END);
	END IF;
	reason := clerk_internal.reason(decided.status);
	IF reason.step = 'source' THEN
		statuses := statuses || jsonb_build_object('source', decided.status);
	ELSE
		statuses := statuses || '{"source": "ok"}';
	END IF;
	IF given IS NULL AND decided.status IN ('ok', 'identity_mismatch') THEN
		statuses := statuses || jsonb_build_object('identity', decided.status);
	END IF;
	FOREACH step IN ARRAY clerk_internal.steps() LOOP
		status := statuses ->> step;
		detail := CASE WHEN step = 'source' THEN clerk_internal.describe_source(decided.source)
			WHEN status IS NOT NULL THEN clerk_internal.describe_step(step, status, read.header, read.claims,
				CASE WHEN read.status = 'ok' THEN read.instance END) END;
		outcome := CASE WHEN status IS NULL THEN 'skipped' WHEN status = 'ok' THEN 'ok' ELSE 'fail' END;
		IF outcome = 'fail' THEN
			reason := clerk_internal.reason(status);
			detail := concat(reason.code, ': ', reason.detail, ' ' || reason.hint, CASE
				WHEN step <> 'source' THEN ' (' || detail || ')' END);
		END IF;
		IF outcome = 'skipped' THEN
			detail := NULL;
		END IF;
		RETURN NEXT;
	END LOOP;
	IF decided.status <> 'ok' THEN
		RETURN;
	END IF;
	claims := decided.claims;
	step := 'mapping';
	outcome := 'ok';
	detail := clerk_internal.describe_mapping(claims);
	RETURN NEXT;
	IF given IS NULL THEN
		step := 'role';
		IF role = clerk_internal.anon_role() AND clerk_internal.token_mentions(role) THEN
			detail := format('%s, the anonymous role, which the token asks for', role);
		ELSIF role = clerk_internal.anon_role() AND (read.instance).role IS NOT NULL THEN
			outcome := 'fail';
			detail := format('The request runs as the anonymous role %s, so policies for %s do not apply. '
				'Set PostgREST''s db-pre-request to "clerk.pre_request".',
				role, (read.instance).role);
		ELSE
			detail := role;
		END IF;
		RETURN NEXT;
	END IF;
	org := clerk_internal.organization(claims);
	step := 'organization';
	outcome := CASE WHEN org.unreadable THEN 'fail' ELSE 'ok' END;
	detail := CASE
		WHEN org.unreadable THEN 'The claims of the organization are malformed, so nothing is granted.'
		WHEN org.id IS NULL THEN 'none is active: org_id() is NULL'
		ELSE format('one is active, role %s', clerk_internal.shown(org.role)) END;
	RETURN NEXT;
END
$$;
COMMENT ON FUNCTION clerk_internal.explain_token(text, name) IS 'what clerk.diagnose() says to this role';

CREATE FUNCTION clerk.diagnose(token text DEFAULT NULL) RETURNS TABLE (step text, outcome text, detail text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT e.step, e.outcome, e.detail FROM clerk_internal.explain_token(token, current_user) AS e $$;
COMMENT ON FUNCTION clerk.diagnose(text) IS
	'each step of the verification of this request, or of that token, with its outcome';
