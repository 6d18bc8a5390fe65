--
-- refresh.sql
--		Keys that are fetched, through pgsql-http or pg_net.
--
-- Uses library, instances, keys, jobs.
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
COMMENT ON TABLE clerk.jwks_refreshes IS 'the last fetches of the keys of each instance';
COMMENT ON COLUMN clerk.jwks_refreshes.issuer IS 'the instance';
COMMENT ON COLUMN clerk.jwks_refreshes.attempted_at IS 'when fetching was last attempted';
COMMENT ON COLUMN clerk.jwks_refreshes.succeeded_at IS 'when fetching last succeeded';
COMMENT ON COLUMN clerk.jwks_refreshes.failed_at IS 'when fetching last failed';
COMMENT ON COLUMN clerk.jwks_refreshes.failure IS 'why fetching last failed';
COMMENT ON COLUMN clerk.jwks_refreshes.request_id IS 'the pending request of pg_net';

SELECT pg_catalog.pg_extension_config_dump('clerk.jwks_refreshes',
	$$WHERE issuer <> 'https://clerk.test.invalid'$$);

CREATE FUNCTION clerk_internal.parse_jwks_response(status integer, content text) RETURNS jsonb
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF status IS DISTINCT FROM 200 THEN
		RAISE EXCEPTION USING ERRCODE = 'data_exception',
			MESSAGE = format('the server answered with HTTP status %s', coalesce(status, 0));
	ELSIF content IS NULL OR octet_length(content) > 1048576 THEN
		RAISE EXCEPTION USING ERRCODE = 'data_exception',
			MESSAGE = 'the answer is empty, or larger than 1 MiB';
	END IF;
	RETURN content::jsonb;
EXCEPTION WHEN invalid_text_representation OR untranslatable_character THEN
	RAISE EXCEPTION USING ERRCODE = 'data_exception', MESSAGE = 'the answer is not JSON';
END
$$;
COMMENT ON FUNCTION clerk_internal.parse_jwks_response(integer, text) IS
	'the JWKS in an HTTP response; raises when there is none';

-- Each of these returns true when keys were loaded, and false when the answer is to come.
CREATE FUNCTION clerk_internal.refresh_through_http(issuer text, url text) RETURNS boolean
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	to_get constant text := clerk_internal.extension_function('http', 'http_get', 'varchar');
	response record;
BEGIN
	PERFORM clerk_internal.check_usable('http', ARRAY[to_get]), set_config('http.timeout_msec', '10000',
		true);
	EXECUTE format('SELECT status, content FROM %s($1::pg_catalog.varchar)', to_get) INTO response USING url;
	PERFORM clerk.load_jwks(issuer, clerk_internal.parse_jwks_response(response.status, response.content));
	RETURN true;
END
$$;
COMMENT ON FUNCTION clerk_internal.refresh_through_http(text, text) IS
	'fetches the keys of an instance through the extension http, with a timeout of 10 seconds';

CREATE FUNCTION clerk_internal.refresh_through_pg_net(issuer text, url text) RETURNS boolean
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_variable
DECLARE
	request bigint := (SELECT refresh.request_id FROM clerk.jwks_refreshes AS refresh
		WHERE refresh.issuer = refresh_through_pg_net.issuer);
	to_get constant text := clerk_internal.extension_function('pg_net', 'http_get', 'text', 'jsonb', 'jsonb',
		'integer');
	answers constant regclass := clerk_internal.extension_table('pg_net', '_http_response');
	response record;
BEGIN
	-- pg_net itself grants all on its tables to PUBLIC
	PERFORM clerk_internal.check_usable('pg_net', ARRAY[to_get, answers::text]);
	IF request IS NULL THEN
		EXECUTE format('SELECT %s($1, ''{}''::pg_catalog.jsonb, ''{}''::pg_catalog.jsonb, 10000)', to_get)
			INTO request USING url;
		UPDATE clerk.jwks_refreshes AS refresh SET request_id = request
			WHERE refresh.issuer = refresh_through_pg_net.issuer;
		RETURN false;
	END IF;
	EXECUTE format('SELECT status_code, content, timed_out, error_msg FROM %s WHERE id = $1', answers)
		INTO response USING request;
	IF response.status_code IS NULL AND response.timed_out IS NULL AND response.error_msg IS NULL THEN
		-- pg_net forgets its answers, so that this one may never come
		UPDATE clerk.jwks_refreshes AS refresh SET request_id = NULL
		WHERE refresh.issuer = refresh_through_pg_net.issuer
			AND refresh.attempted_at < now() - interval '5 minutes';
		RETURN false;
	END IF;
	UPDATE clerk.jwks_refreshes AS refresh SET request_id = NULL
		WHERE refresh.issuer = refresh_through_pg_net.issuer;
	IF response.timed_out OR response.error_msg IS NOT NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'data_exception',
				MESSAGE = coalesce(response.error_msg, 'the server did not answer in time');
	END IF;
	PERFORM clerk.load_jwks(issuer,
		clerk_internal.parse_jwks_response(response.status_code, response.content));
	RETURN true;
END
$$;
COMMENT ON FUNCTION clerk_internal.refresh_through_pg_net(text, text) IS
	'asks for the keys of an instance through pg_net; the next call collects the answer';

CREATE FUNCTION clerk_internal.refresh_one(issuer text, OUT outcome text, OUT detail text)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_variable
DECLARE
	url text;
BEGIN
	-- others may change its keys while they are fetched, but not drop it
	SELECT jwks_url INTO url FROM clerk.instances AS instance
		WHERE instance.issuer = refresh_one.issuer FOR KEY SHARE;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	INSERT INTO clerk.jwks_refreshes AS refresh (issuer, attempted_at) VALUES (issuer, clock_timestamp())
		ON CONFLICT ON CONSTRAINT jwks_refreshes_pkey DO UPDATE SET attempted_at = excluded.attempted_at
			WHERE refresh.request_id IS NULL;
	BEGIN
		IF url IS NULL THEN
			RAISE EXCEPTION USING ERRCODE = 'data_exception', MESSAGE = 'the instance has no jwks_url';
		ELSIF clerk_internal.extension_schema('http') IS NOT NULL THEN
			outcome := CASE WHEN clerk_internal.refresh_through_http(issuer, url) THEN 'refreshed'
				ELSE 'requested' END;
		ELSE
			outcome := CASE WHEN clerk_internal.refresh_through_pg_net(issuer, url) THEN 'refreshed'
				ELSE 'requested' END;
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
COMMENT ON FUNCTION clerk_internal.refresh_one(text) IS
	'fetches the keys of an instance and records how it went; the old keys stay when it fails';

CREATE FUNCTION clerk.refresh_jwks(issuer text DEFAULT NULL)
	RETURNS TABLE (instance text, outcome text, detail text)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	IF issuer IS NOT NULL
		AND NOT EXISTS (SELECT FROM clerk.instances AS i
		WHERE i.issuer = refresh_jwks.issuer FOR KEY SHARE) THEN
		PERFORM clerk_internal.refuse_unregistered(refresh_jwks.issuer);
	ELSIF clerk_internal.extension_schema('http') IS NULL
		AND clerk_internal.extension_schema('pg_net') IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'feature_not_supported',
			MESSAGE = 'neither the extension http nor pg_net is installed, so nothing can be fetched',
			HINT = (
				SELECT 'Run this in a shell, or from cron: '
					|| string_agg(format('echo "SELECT * FROM clerk.load_jwks(:''issuer'', :''jwks'')" | '
						'psql -v ON_ERROR_STOP=1 -d %s -v issuer=%s -v jwks="$(curl -sf %s)"',
						clerk_internal.psql_database(), clerk_internal.shell_word(i.issuer),
						clerk_internal.shell_word(i.jwks_url)), '; ' ORDER BY i.issuer)
				FROM clerk.instances AS i
				WHERE (refresh_jwks.issuer IS NULL OR i.issuer = refresh_jwks.issuer)
					AND i.jwks_url IS NOT NULL);
	END IF;
	RETURN QUERY
		SELECT i.issuer, refreshed.outcome, refreshed.detail
		FROM (SELECT issuer FROM clerk.instances WHERE refresh_jwks.issuer IS NULL
			OR issuer = refresh_jwks.issuer ORDER BY issuer) AS i,
			clerk_internal.refresh_one(i.issuer) AS refreshed
		WHERE refreshed.outcome IS NOT NULL;	-- NULL: dropped meanwhile
END
$$;
COMMENT ON FUNCTION clerk.refresh_jwks(text) IS
	'fetches the keys of an instance, or of all, through the extension http or pg_net; if that fails, the '
	'old keys stay';

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
				AND clerk_internal.unknown_kid_at(instance.issuer) >= date_trunc('second',
					refresh.attempted_at))
		ORDER BY instance.issuer
	LOOP
		PERFORM clerk.refresh_jwks(due);
	END LOOP;
END
$$;
COMMENT ON FUNCTION clerk.run_jwks_refresh(interval) IS
	'the job of clerk.schedule_jwks_refresh(): fetches keys that are older, and early when a token named '
	'an unknown key';

CREATE FUNCTION clerk.schedule_jwks_refresh(every interval) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF every < interval '1 minute' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'the keys cannot be fetched more often than once a minute';
	END IF;
	PERFORM clerk_internal.schedule_job('clerk_rls: refresh of JWKS', '* * * * *',
		'SELECT clerk.run_jwks_refresh(' || quote_literal(every) || ')');
END
$$;
COMMENT ON FUNCTION clerk.schedule_jwks_refresh(interval) IS
	'schedules a pg_cron job that fetches the keys this often, and early when a token names an unknown '
	'key; NULL unschedules it';
