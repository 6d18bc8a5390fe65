--
-- jobs.sql
--		Other extensions, and the jobs that pg_cron runs for us.
--

CREATE FUNCTION clerk_internal.extension_schema(extension name) RETURNS regnamespace
	LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$ SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = extension $$;
COMMENT ON FUNCTION clerk_internal.extension_schema(name) IS
	'the schema of another extension; NULL when it is not there';

-- What is pasted into a shell must be one word there, whatever it holds.
CREATE FUNCTION clerk_internal.shell_word(word text) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$ SELECT CASE WHEN word ~ '^[A-Za-z0-9_./:@-]+$' THEN word
		ELSE '"' || regexp_replace(word, '(["\\$`])', '\\\1', 'g') || '"' END $$;
COMMENT ON FUNCTION clerk_internal.shell_word(text) IS
	'a word as a shell reads it back, in double quotes if need be';

CREATE FUNCTION clerk_internal.schedule_job(job text, schedule text, command text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF clerk_internal.extension_schema('pg_cron') IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'feature_not_supported',
			MESSAGE = 'the extension pg_cron is not installed in this database',
			HINT = CASE WHEN command IS NULL THEN 'If cron does its work, take that line out of the crontab.'
				ELSE format('Put this into the crontab: %s psql -d %s -c %s', schedule,
					clerk_internal.shell_word(current_database()), clerk_internal.shell_word(command)) END;
	END IF;
	EXECUTE 'SELECT count(cron.unschedule(jobid)) FROM cron.job WHERE jobname = $1 AND database = '
		'current_database()' USING job;
	IF command IS NOT NULL THEN
		EXECUTE 'SELECT cron.schedule($1, $2, $3)' USING job, schedule, command;
	END IF;
END
$$;
COMMENT ON FUNCTION clerk_internal.schedule_job(text, text, text) IS
	'lets pg_cron run a command, or not any more if that is NULL';
