--
-- webhook.sql
--		Receiving webhooks: secrets, each event once, handlers.
--
-- Uses revoke, library, instances, events.
--

CREATE TABLE clerk.webhook_secrets (
	-- webhook.c knows the order of the columns up to secret
	issuer text COLLATE "C" NOT NULL
		CONSTRAINT webhook_secrets_issuer_fkey REFERENCES clerk.instances ON UPDATE CASCADE ON DELETE CASCADE,
	secret text COLLATE "C" NOT NULL,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT webhook_secrets_pkey PRIMARY KEY (issuer, secret)
);
COMMENT ON TABLE clerk.webhook_secrets IS
	'signing secrets of webhook endpoints; an instance may have several at a time, for rotation';
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
COMMENT ON TABLE clerk.webhook_events IS
	'ids of applied events, so that none is applied twice; payloads are not kept';
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
COMMENT ON TABLE clerk.event_handlers IS 'functions of the application to call for each event of a type';
COMMENT ON COLUMN clerk.event_handlers.pattern IS 'a type of event; * stands for anything';
COMMENT ON COLUMN clerk.event_handlers.handler IS 'the function, with one argument of type jsonb';

SELECT pg_catalog.pg_extension_config_dump('clerk.webhook_secrets',
	$$WHERE issuer <> 'https://clerk.test.invalid'$$);
SELECT pg_catalog.pg_extension_config_dump('clerk.webhook_events', '');
SELECT pg_catalog.pg_extension_config_dump('clerk.event_handlers', '');

CREATE FUNCTION clerk.add_webhook_secret(issuer text, secret text) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF NOT clerk_internal.lock_instance(add_webhook_secret.issuer) THEN
		PERFORM clerk_internal.refuse_unregistered(issuer);
	ELSIF clerk_internal.is_webhook_secret(secret) IS NOT TRUE THEN
		PERFORM clerk_internal.refuse('22023', 'this is not a signing secret', NULL,
			'Copy it from the endpoint''s page in the Clerk Dashboard: whsec_ and base64.');
	END IF;
	INSERT INTO clerk.webhook_secrets VALUES (issuer, secret) ON CONFLICT DO NOTHING;
END
$$;
COMMENT ON FUNCTION clerk.add_webhook_secret(text, text) IS
	'adds the signing secret of an endpoint of an instance; an instance may have several';

CREATE FUNCTION clerk.drop_webhook_secret(issuer text, secret text) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	PERFORM clerk_internal.lock_instance(drop_webhook_secret.issuer);
	DELETE FROM clerk.webhook_secrets AS s WHERE s.issuer = drop_webhook_secret.issuer
		AND s.secret = drop_webhook_secret.secret;
	IF NOT FOUND THEN
		PERFORM clerk_internal.refuse('42704',
			format('instance %s has no such secret', coalesce(issuer, 'NULL')), NULL, NULL);
	END IF;
END
$$;
COMMENT ON FUNCTION clerk.drop_webhook_secret(text, text) IS
	'removes a signing secret: webhooks signed with it are refused from now on';

CREATE FUNCTION clerk_internal.handler_leftovers() RETURNS SETOF text
	LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT 'cursor ' || quote_ident(name) FROM pg_cursors
	UNION ALL
	SELECT 'temporary ' || pg_describe_object(classid, objid, objsubid) FROM pg_depend
	WHERE refclassid = 'pg_namespace'::regclass AND refobjid = pg_my_temp_schema()
$$;
COMMENT ON FUNCTION clerk_internal.handler_leftovers() IS
	'what could outlive an event handler in this session, and be run as somebody else than its owner: '
		'cursors and temporary objects';

CREATE FUNCTION clerk_internal.handle_event(handler regprocedure, event jsonb) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	before constant text[] := ARRAY(SELECT clerk_internal.handler_leftovers());
	leftover text;
BEGIN
	PERFORM clerk_internal.run_event_handler(handler, event);
	SELECT l INTO leftover FROM clerk_internal.handler_leftovers() AS l WHERE l <> ALL (before)
		ORDER BY l LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'object_not_in_prerequisite_state',
			MESSAGE = format('event handler %s leaves something in the session', handler),
			DETAIL = format('It has left: %s.', leftover),
			HINT = 'It must close its cursors and drop its temporary objects.';
	END IF;
END
$$;
COMMENT ON FUNCTION clerk_internal.handle_event(regprocedure, jsonb) IS
	'calls a function as the role that owns it, and raises if it leaves a cursor or a temporary object';

CREATE FUNCTION clerk_internal.parse_event(body text) RETURNS jsonb
	LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	BEGIN
		RETURN clerk_internal.plain_json(body, ascii => false)::jsonb;
	EXCEPTION WHEN untranslatable_character OR feature_not_supported THEN
		-- the database's encoding lacks a character, or (SQL_ASCII) has none beyond ASCII
		RETURN clerk_internal.plain_json(body, ascii => true)::jsonb;
	END;
EXCEPTION WHEN invalid_text_representation OR untranslatable_character THEN
	PERFORM clerk_internal.refuse('22023', 'the webhook is not JSON', NULL, NULL);
END
$$;
COMMENT ON FUNCTION clerk_internal.parse_event(text) IS
	'the body of a webhook, with what jsonb cannot hold replaced';

CREATE FUNCTION clerk.receive_webhook(id text, ts text, signature text, body text) RETURNS json
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_variable
DECLARE
	issuer constant text := clerk_internal.authenticate_webhook(id, ts, signature, body);
	event constant jsonb := clerk_internal.parse_event(body);
	registered record;
BEGIN
	IF jsonb_typeof(event) <> 'object' OR jsonb_typeof(event -> 'type') IS DISTINCT FROM 'string'
		OR jsonb_typeof(event -> 'data') IS DISTINCT FROM 'object' THEN
		PERFORM clerk_internal.refuse('22023', 'the webhook is no event',
			'It must be a JSON object with "type" and "data".', NULL);
	END IF;
	-- waits for another delivery of the same event, and then finds it done
	INSERT INTO clerk.webhook_events (id, issuer, type) VALUES (id, issuer, event ->> 'type')
		ON CONFLICT DO NOTHING;
	IF NOT FOUND THEN
		RETURN json_build_object('status', 'duplicate');
	END IF;
	PERFORM clerk_internal.apply_event(issuer, event);
	FOR registered IN
		SELECT DISTINCT handler FROM clerk.event_handlers
		WHERE event ->> 'type' LIKE replace(regexp_replace(pattern, '([\\%_])', '\\\1', 'g'), '*', '%')
		ORDER BY handler
	LOOP
		PERFORM clerk_internal.handle_event(registered.handler::regprocedure, event);
	END LOOP;
	RETURN json_build_object('status', 'applied');
END
$$;
COMMENT ON FUNCTION clerk.receive_webhook(text, text, text, text) IS
	'verifies a webhook by its headers svix-id, svix-timestamp and svix-signature and its raw body, and '
		'applies it once';

CREATE FUNCTION clerk.webhook(json) RETURNS json
	LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT clerk.receive_webhook(clerk_internal.webhook_header('id'),
		clerk_internal.webhook_header('timestamp'), clerk_internal.webhook_header('signature'), $1::text)
$$;
COMMENT ON FUNCTION clerk.webhook(json) IS
	'clerk.receive_webhook() for PostgREST, which passes the raw body and the headers of the request';

CREATE FUNCTION clerk.expose_webhook(schema name, function_name name DEFAULT 'clerk_webhook') RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	anon name;
	exposed regprocedure;
BEGIN
	anon := clerk_internal.anon_role();
	IF to_regnamespace(quote_ident(schema)) IS NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'undefined_object',
			MESSAGE = format('schema %I does not exist', schema);
	ELSIF to_regrole(quote_ident(anon)) IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('role %I does not exist', anon),
			HINT = 'Create it, or set clerk.anon_role to the db-anon-role of PostgREST.';
	END IF;
	EXECUTE format('CREATE OR REPLACE FUNCTION %I.%I(json) RETURNS json LANGUAGE sql VOLATILE SECURITY DEFINER
		SET search_path = pg_catalog, pg_temp RETURN clerk.webhook($1)', schema, function_name);
	exposed := format('%I.%I(json)', schema, function_name);
	EXECUTE format('COMMENT ON FUNCTION %s IS ''webhooks of Clerk, see clerk.webhook()''', exposed);
	PERFORM clerk_internal.expose(exposed, anon, alone => true);
	PERFORM pg_notify('pgrst', 'reload schema');
END
$$;
COMMENT ON FUNCTION clerk.expose_webhook(name, name) IS
	'makes PostgREST take webhooks at /rpc/<function_name>: a function in a schema it serves, which only '
		'its owner and the anonymous role may call';

-- INVOKER: whoever writes a handler into the table, by whatever way, must have the role it runs as.
CREATE FUNCTION clerk_internal.check_handler() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	owner oid;
BEGIN
	SELECT proowner INTO owner FROM pg_proc WHERE oid = to_regprocedure(new.handler);
	IF NOT coalesce(pg_has_role(owner, 'USAGE'),
		(SELECT rolsuper FROM pg_roles WHERE rolname = current_user)) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'insufficient_privilege',
			MESSAGE = format('%s cannot handle events', new.handler),
			DETAIL = CASE WHEN owner IS NULL THEN 'There is no such function; write it with its schema.'
				ELSE format('It would run as its owner %s, whose role %I does not have.', owner::regrole,
					current_user) END;
	ELSIF owner <> clerk_internal.handler_role() THEN
		RAISE EXCEPTION USING
			ERRCODE = 'insufficient_privilege',
			MESSAGE = format('%s cannot handle events', new.handler),
			DETAIL = format('Its owner is %s; webhooks are received by %s, who cannot become another role.',
				owner::regrole, clerk_internal.handler_role()::regrole),
			HINT = format('ALTER FUNCTION %s OWNER TO %s;', new.handler,
				clerk_internal.handler_role()::regrole);
	END IF;
	RETURN new;
END
$$;
COMMENT ON FUNCTION clerk_internal.check_handler() IS
	'trigger: a handler runs as its owner, so nobody makes one of another role''s function';

-- ALWAYS: also under session_replication_role = replica.
CREATE TRIGGER check_handler BEFORE INSERT OR UPDATE ON clerk.event_handlers
	FOR EACH ROW EXECUTE FUNCTION clerk_internal.check_handler();
ALTER TABLE clerk.event_handlers ENABLE ALWAYS TRIGGER check_handler;
COMMENT ON TRIGGER check_handler ON clerk.event_handlers IS 'nobody runs a function as somebody else';

CREATE FUNCTION clerk.add_event_handler(pattern text, handler regprocedure) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF coalesce(pattern = '', true) OR handler IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'a type of events and a function must be given';
	ELSIF (SELECT pronargs <> 1 OR proargtypes[0] <> 'jsonb'::regtype OR prokind <> 'f' FROM pg_proc
		WHERE oid = handler) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'wrong_object_type',
			MESSAGE = format('%s cannot handle events', handler),
			DETAIL = 'It must be a function with one argument of type jsonb.';
	END IF;
	INSERT INTO clerk.event_handlers VALUES (pattern, handler::text) ON CONFLICT DO NOTHING;
END
$$;
COMMENT ON FUNCTION clerk.add_event_handler(text, regprocedure) IS
	'calls a function, as its owner, for each event of a type (* stands for anything), in the transaction '
	'that applies the event';

CREATE FUNCTION clerk.drop_event_handler(pattern text, handler regprocedure) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	DELETE FROM clerk.event_handlers AS h WHERE h.pattern = drop_event_handler.pattern
		AND h.handler = drop_event_handler.handler::text;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = 'there is no such event handler';
	END IF;
END
$$;
COMMENT ON FUNCTION clerk.drop_event_handler(text, regprocedure) IS 'undoes clerk.add_event_handler()';
