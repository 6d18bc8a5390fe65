--
-- jobs.sql
--		Other extensions, and the jobs that pg_cron runs for us.
--

-- What is pasted into a shell must be one word there, whatever it holds.
CREATE FUNCTION clerk_internal.shell_word(word text) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$ SELECT CASE WHEN word ~ '^[A-Za-z0-9_./:@-]+$' THEN word
		ELSE '"' || regexp_replace(word, '(["\\$`])', '\\\1', 'g') || '"' END $$;
COMMENT ON FUNCTION clerk_internal.shell_word(text) IS
	'a word as a shell reads it back, in double quotes if need be';

-- A name with = in it, or that begins like a URI, would be taken for a connection string.
CREATE FUNCTION clerk_internal.psql_database() RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT CASE WHEN current_database() ~ '^\w[\w-]*$' THEN current_database()::text
		ELSE clerk_internal.shell_word('dbname=''' || regexp_replace(current_database(), '([\\''])', '\\\1',
			'g') || '''') END
$$;
COMMENT ON FUNCTION clerk_internal.psql_database() IS 'this database as the argument of psql -d in a shell';

CREATE FUNCTION clerk_internal.extension_schema(extension name) RETURNS regnamespace
	LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$ SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = extension $$;
COMMENT ON FUNCTION clerk_internal.extension_schema(name) IS
	'the schema of another extension; NULL when it is not there';

-- Whoever may write where an extension keeps what we ask it and what it answers, could answer in its
-- place. Its objects are those that PostgreSQL records as its members, whatever they are called.
CREATE FUNCTION clerk_internal.extension_grants(extension name)
	RETURNS TABLE (kind text, object text, privilege text, grantee oid)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH member AS (
		SELECT classid, objid
		FROM pg_depend JOIN pg_extension ON pg_extension.oid = refobjid
		WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND extname = extension
	), granted AS (
		SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind,
			c.oid::regclass::text AS object,
			acl.privilege_type, acl.grantee
		FROM pg_class AS c JOIN member ON classid = 'pg_class'::regclass AND objid = c.oid,
			aclexplode(coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char",
				relowner))) AS acl
		WHERE relkind IN ('r', 'p', 'v', 'm', 'S')
			AND acl.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER', 'USAGE')
			-- everybody may forget how jobs went
			AND NOT (extension = 'pg_cron' AND relname <> 'job')
		UNION ALL
		SELECT 'COLUMN', c.oid::regclass || '.' || attname, acl.privilege_type, acl.grantee
		FROM pg_class AS c JOIN member ON classid = 'pg_class'::regclass AND objid = c.oid
		JOIN pg_attribute ON attrelid = c.oid, aclexplode(attacl) AS acl
		WHERE acl.privilege_type IN ('INSERT', 'UPDATE')
		UNION ALL
		SELECT 'OWNER', p.oid::regprocedure::text, 'REPLACE', proowner
		FROM pg_proc AS p JOIN member ON classid = 'pg_proc'::regclass AND objid = p.oid
	)
	SELECT granted.* FROM granted
	WHERE granted.grantee NOT IN (SELECT oid FROM pg_roles WHERE rolsuper)
		AND granted.grantee <> (SELECT nspowner FROM pg_namespace WHERE nspname = 'clerk')
$$;
COMMENT ON FUNCTION clerk_internal.extension_grants(name) IS
	'who else than superusers, and the owner of schema clerk, may write to the tables and sequences of an '
	'extension, or owns its functions';

CREATE FUNCTION clerk_internal.extension_writers(extension name) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT string_agg(DISTINCT format('%s may %s %s',
		CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END, privilege, object), '; ')
	FROM clerk_internal.extension_grants(extension)
$$;
COMMENT ON FUNCTION clerk_internal.extension_writers(name) IS 'the same in words; NULL: nobody else';

CREATE FUNCTION clerk_internal.without_extension_writers(extension name) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT string_agg(format('REVOKE %s ON %s %s FROM %s', privileges, kind, object, grantees), '; '
		ORDER BY kind, object)
	FROM (
		SELECT CASE kind WHEN 'SEQUENCE' THEN kind ELSE 'TABLE' END AS kind,
			CASE kind WHEN 'COLUMN' THEN regexp_replace(object, '\.[^.]*$', '') ELSE object END AS object,
			'ALL' AS privileges,
			string_agg(DISTINCT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END,
				', ') AS grantees
		FROM clerk_internal.extension_grants(extension) WHERE kind <> 'OWNER'
		GROUP BY 1, 2
	) AS revoked
$$;
COMMENT ON FUNCTION clerk_internal.without_extension_writers(name) IS 'the statements that take that back; '
	'NULL: there are none';

-- By membership and exact types, so that nobody's function of the same name is preferred.
CREATE FUNCTION clerk_internal.extension_function(extension name, function_name name,
	VARIADIC types regtype[]) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT format('%s.%I', pronamespace::regnamespace, proname)
	FROM pg_proc JOIN pg_depend ON classid = 'pg_proc'::regclass AND objid = pg_proc.oid
		AND refclassid = 'pg_extension'::regclass AND deptype = 'e'
	JOIN pg_extension ON pg_extension.oid = refobjid
	WHERE extname = extension AND proname = function_name
		AND proargtypes::text = array_to_string(types::oid[], ' ')
$$;
COMMENT ON FUNCTION clerk_internal.extension_function(name, name, regtype[]) IS
	'the name of a function of another extension with exactly these arguments; NULL: it has none';

CREATE FUNCTION clerk_internal.extension_table(extension name, table_name name) RETURNS regclass
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT pg_class.oid::regclass
	FROM pg_class JOIN pg_depend ON classid = 'pg_class'::regclass AND objid = pg_class.oid
		AND refclassid = 'pg_extension'::regclass AND deptype = 'e'
	JOIN pg_extension ON pg_extension.oid = refobjid
	WHERE extname = extension AND relname = table_name
$$;
COMMENT ON FUNCTION clerk_internal.extension_table(name,
	name) IS 'a table of another extension; NULL: it has none';

CREATE FUNCTION clerk_internal.check_usable(extension name, objects text[]) RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	writers constant text := clerk_internal.extension_writers(extension);
BEGIN
	IF writers IS NOT NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'insufficient_privilege',
			MESSAGE = format('%s is not used: who can write its tables could choose the keys, or what a job '
				'runs (%s)',
				extension, writers),
			HINT = 'clerk.audit() has the statements that take that back.';
	ELSIF array_position(objects, NULL) IS NOT NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'feature_not_supported',
			MESSAGE = format('this version of the extension %s is not known', extension);
	END IF;
END
$$;
COMMENT ON FUNCTION clerk_internal.check_usable(name, text[]) IS
	'raises if others can write what an extension keeps, or if it lacks one of the objects that we use';

CREATE FUNCTION clerk_internal.schedule_job(job text, schedule text, command text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	jobs constant regclass := clerk_internal.extension_table('pg_cron', 'job');
	-- its name is of type name before version 1.5
	name_type constant text := CASE WHEN clerk_internal.extension_function('pg_cron', 'schedule', 'text',
		'text', 'text') IS NULL
		THEN 'name' ELSE 'text' END;
	to_schedule constant text := clerk_internal.extension_function('pg_cron', 'schedule', name_type::regtype,
		'text', 'text');
	to_unschedule constant text := clerk_internal.extension_function('pg_cron', 'unschedule', 'bigint');
BEGIN
	IF clerk_internal.extension_schema('pg_cron') IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'feature_not_supported',
			MESSAGE = 'the extension pg_cron is not installed in this database',
			HINT = CASE WHEN command IS NULL THEN 'If cron does its work, take that line out of the crontab.'
				-- cron reads a % as the end of the line
				ELSE 'Put this into the crontab: ' || schedule || replace(format(' psql -d %s -c %s',
					clerk_internal.psql_database(), clerk_internal.shell_word(command)), '%', '\%') END;
	END IF;
	PERFORM clerk_internal.check_usable('pg_cron', ARRAY[jobs::text, to_schedule, to_unschedule]);
	EXECUTE format('SELECT count(%s(jobid)) FROM %s WHERE jobname = $1 AND database = current_database()',
		to_unschedule, jobs) USING job;
	IF command IS NOT NULL THEN
		EXECUTE format('SELECT %s($1::%s, $2, $3)', to_schedule, name_type) USING job, schedule, command;
	END IF;
END
$$;
COMMENT ON FUNCTION clerk_internal.schedule_job(text, text,
	text) IS 'lets pg_cron run a command, or not any more if that is NULL';
