--
-- identity.sql
--		What policies ask: who is signed in, and what the token says. And the doors that raise.
--
-- Uses json, reasons, tokens, caller, settings.
--

CREATE FUNCTION clerk.uid() RETURNS text
	LANGUAGE sql STABLE
	RETURN clerk_internal.caller() ->> 'sub';
COMMENT ON FUNCTION clerk.uid() IS 'Clerk id of the signed-in user, verified; NULL for everybody else';

-- Once per row a call is too much, so where the claims are believed the answer is read from where
-- clerk_internal.caller() has left it, for the very claims; and only there is it believed.
CREATE FUNCTION clerk_internal.define_uid() RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $define$
BEGIN
	IF clerk_internal.believes_claims() THEN
		CREATE OR REPLACE FUNCTION clerk.uid() RETURNS text
			LANGUAGE sql STABLE
			RETURN CASE WHEN current_setting('clerk_rls.uid_of', true) = current_setting('request.jwt.claims',
				true)
				AND coalesce(current_setting('clerk.token', true), '') = ''
				-- both are empty where there are no claims, and then so is this
				THEN coalesce(nullif(current_setting('clerk_rls.uid', true), ''),
					clerk_internal.caller() ->> 'sub')
				ELSE clerk_internal.caller() ->> 'sub' END;
	ELSE
		CREATE OR REPLACE FUNCTION clerk.uid() RETURNS text
			LANGUAGE sql STABLE
			RETURN clerk_internal.caller() ->> 'sub';
	END IF;
END
$define$;
COMMENT ON FUNCTION clerk_internal.define_uid() IS 'makes clerk.uid() what clerk.settings says it is';

CREATE FUNCTION clerk_internal.apply_settings() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	-- what is kept anywhere was decided under the old settings
	UPDATE clerk_internal.seal SET inner_key = clerk_internal.random_key(),
		outer_key = clerk_internal.random_key();
	PERFORM clerk_internal.define_uid();
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION clerk_internal.apply_settings() IS
	'trigger: a changed setting counts from the next statement on';

CREATE TRIGGER apply_settings AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON clerk.settings
	FOR EACH STATEMENT EXECUTE FUNCTION clerk_internal.apply_settings();
ALTER TABLE clerk.settings ENABLE ALWAYS TRIGGER apply_settings;
COMMENT ON TRIGGER apply_settings ON clerk.settings IS 'a changed setting counts from the next statement on';

SELECT clerk_internal.define_uid();

CREATE FUNCTION clerk.jwt() RETURNS jsonb
	LANGUAGE sql STABLE
	RETURN clerk_internal.caller();
COMMENT ON FUNCTION clerk.jwt() IS 'claims of the verified token';

CREATE FUNCTION clerk.claim(VARIADIC path text[]) RETURNS text
	LANGUAGE sql STABLE STRICT
	RETURN clerk_internal.caller() #>> path;
COMMENT ON FUNCTION clerk.claim(text[]) IS 'one of the claims of the verified token, by its path';

CREATE FUNCTION clerk.session_id() RETURNS text
	LANGUAGE sql STABLE
	RETURN clerk_internal.caller() ->> 'sid';
COMMENT ON FUNCTION clerk.session_id() IS 'Clerk session id ("sid"); NULL also for tokens of JWT templates';

CREATE FUNCTION clerk.issuer() RETURNS text
	LANGUAGE sql STABLE
	RETURN clerk_internal.caller() ->> 'iss';
COMMENT ON FUNCTION clerk.issuer() IS 'issuer ("iss") of the verified token';

CREATE FUNCTION clerk.actor_id() RETURNS text
	LANGUAGE sql STABLE
	RETURN clerk_internal.caller() #>> '{act,sub}';
COMMENT ON FUNCTION clerk.actor_id() IS 'who impersonates the user ("act.sub"); NULL when nobody does';

CREATE FUNCTION clerk.expires_at() RETURNS timestamptz
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	RETURN 'epoch'::timestamptz
		+ (clerk_internal.numeric_date(clerk_internal.caller() -> 'exp') * 1000000)::double precision
			* interval '1 microsecond';
COMMENT ON FUNCTION clerk.expires_at() IS 'when the verified token expires ("exp")';

CREATE FUNCTION clerk.is_authenticated() RETURNS boolean
	LANGUAGE sql STABLE
	RETURN clerk_internal.caller() IS NOT NULL;
COMMENT ON FUNCTION clerk.is_authenticated() IS 'whether somebody is signed in; never NULL';

CREATE FUNCTION clerk.is_impersonated() RETURNS boolean
	LANGUAGE sql STABLE
	RETURN clerk_internal.caller() #>> '{act,sub}' IS NOT NULL;
COMMENT ON FUNCTION clerk.is_impersonated() IS 'whether somebody else acts as the user ("act"); never NULL';

-- SECURITY DEFINER: who asks need not read the keys. The signature is verified always.
CREATE FUNCTION clerk.verify(token text) RETURNS jsonb
	LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	verified constant record := clerk_internal.verify_token(token, 'argument');
BEGIN
	IF verified.status <> 'ok' THEN
		PERFORM clerk_internal.raise(verified.status);
	END IF;
	RETURN verified.claims;
END
$$;
COMMENT ON FUNCTION clerk.verify(text) IS 'claims of a token, or an error (PT401) with the reason';

CREATE FUNCTION clerk_internal.caller_status() RETURNS text
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT (clerk_internal.decide()).status $$;
COMMENT ON FUNCTION clerk_internal.caller_status() IS 'why clerk_internal.caller() answers what it does';

CREATE FUNCTION clerk.authenticate(token text) RETURNS text
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	user_id text;
BEGIN
	IF token IS NULL THEN
		PERFORM set_config('clerk.token', '', true);
		RETURN NULL;
	END IF;
	PERFORM clerk.verify(token);
	PERFORM set_config('clerk.token', token, true);
	user_id := clerk.uid();
	IF user_id IS NULL THEN
		PERFORM clerk_internal.raise(clerk_internal.caller_status());
	END IF;
	RETURN user_id;
END
$$;
COMMENT ON FUNCTION clerk.authenticate(text) IS
	'makes the rest of the transaction the token''s user and returns the user id; NULL signs out';

CREATE FUNCTION clerk_internal.mentions(claims jsonb, value text) RETURNS boolean
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN coalesce(jsonb_path_exists(claims, 'strict $.** ? (@ == $value)',
		jsonb_build_object('value', value)), false);
COMMENT ON FUNCTION clerk_internal.mentions(jsonb, text) IS
	'whether a text is one of the strings anywhere in the claims';

-- PostgREST adds the role that it has chosen to the claims, so what the token asked for is in the
-- token alone, also where its claims are believed.
CREATE FUNCTION clerk_internal.token_mentions(value text) RETURNS boolean
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	decided constant record := clerk_internal.decide();
	claims jsonb := decided.claims;
BEGIN
	IF decided.source = 'claims' THEN
		SELECT coalesce((clerk_internal.read_token(c.token, c.source)).claims, claims) INTO claims
		FROM clerk_internal.candidates() AS c WHERE c.source = 'authorization' AND c.status = 'ok';
	END IF;
	RETURN clerk_internal.mentions(coalesce(claims, decided.claims), value);
END
$$;
COMMENT ON FUNCTION clerk_internal.token_mentions(text) IS
	'whether a text is one of the strings anywhere in the token of the signed-in user';

-- PostgREST runs a request as its anonymous role, or another one that it has fallen back to, where
-- no token asks for one: then the claims that it hands over are those of no token, or of ours.
CREATE FUNCTION clerk_internal.role_to_take(role name) RETURNS name
	LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_variable
DECLARE
	claims constant jsonb := clerk_internal.caller();
	gateway constant jsonb := clerk_internal.parse_object(nullif(current_setting('request.jwt.claims', true),
		''));
	wanted constant name := (SELECT i.role FROM clerk.instances AS i WHERE i.issuer = claims ->> 'iss');
BEGIN
	IF coalesce(wanted = role, true) OR clerk_internal.token_mentions(role) THEN
		RETURN NULL;
	ELSIF role = clerk_internal.anon_role() OR (clerk_internal.mentions(gateway, role)
		AND coalesce(gateway ->> 'sub' = claims ->> 'sub', true)
			AND coalesce(gateway ->> 'iss' = claims ->> 'iss', true)) THEN
		RETURN wanted;
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION clerk_internal.role_to_take(name) IS
	'the role of the instance, if it may take the place of the one that the request runs as; else NULL';

CREATE FUNCTION clerk.pre_request() RETURNS void
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	status text;
	wanted name;
BEGIN
	IF clerk_internal.caller() IS NULL THEN
		status := clerk_internal.caller_status();
		IF status <> 'ok' AND NOT clerk_internal.is_anonymous(status) THEN
			PERFORM clerk_internal.raise(status);
		END IF;
		RETURN;
	END IF;
	wanted := clerk_internal.role_to_take(current_user);
	IF wanted IS NOT NULL THEN
		-- that the session's user may become it is checked here
		PERFORM set_config('role', wanted, true);
	END IF;
END
$$;
COMMENT ON FUNCTION clerk.pre_request() IS
	'for PostgREST''s db-pre-request: refuses bad tokens with 401, gives verified callers their role';
