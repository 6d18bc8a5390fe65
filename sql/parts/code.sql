--
-- code.sql
--		The code that requests run, followed to the end: policies, views, column defaults, constraints,
--		triggers and the functions that requests may call, and what those call in their turn. PostgreSQL
--		records what an expression and a body in BEGIN ATOMIC depend on; other bodies are read as text.
--
-- Uses shim, roles.
--

-- What belongs to whom.

CREATE FUNCTION clerk_internal.is_platform_schema(schema oid) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT EXISTS (
		SELECT FROM pg_namespace
		WHERE oid = schema AND (nspname ~ '^(_realtime|_analytics|supabase_\w+)$'
			OR nspname IN ('storage', 'realtime', 'vault', 'graphql', 'graphql_public', 'pgbouncer',
				'extensions', 'pgsodium', 'pgsodium_masks', 'net', 'cron', 'pgmq')))
$$;
COMMENT ON FUNCTION clerk_internal.is_platform_schema(oid) IS
	'whether a schema is one that Supabase makes for its services, except auth, where people put functions '
	'of their own';

CREATE FUNCTION clerk_internal.is_audited(catalog regclass, object oid, schema oid) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT schema::regnamespace::text !~ '^(pg_|(information_schema|clerk|clerk_internal)$)' AND NOT EXISTS (
		SELECT FROM pg_depend
		WHERE classid = catalog AND objid = object AND refclassid = 'pg_extension'::regclass
			AND deptype = 'e')
$$;
COMMENT ON FUNCTION clerk_internal.is_audited(regclass, oid, oid) IS
	'whether an object is the application''s, not PostgreSQL''s, ours or another extension''s';

-- By the catalog: to_regprocedure() raises where the schema may not be used.
CREATE FUNCTION clerk_internal.auth_functions() RETURNS oid[]
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT ARRAY(
		SELECT oid FROM pg_proc
		WHERE pronamespace = to_regnamespace('auth')
			AND oid::regprocedure::text = ANY ('{auth.uid(),auth.jwt(),auth.role(),auth.email()}'))
$$;
COMMENT ON FUNCTION clerk_internal.auth_functions() IS
	'the functions of Supabase Auth: known, so that nobody needs to look into them';

CREATE FUNCTION clerk_internal.is_unverified(function text) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT EXISTS (
		SELECT FROM unnest(clerk_internal.auth_functions()) AS known
		WHERE known::regprocedure::text = function AND NOT clerk_internal.is_auth_shim(known))
$$;
COMMENT ON FUNCTION clerk_internal.is_unverified(text) IS
	'whether a function of schema auth is not that of clerk.install_auth_shim()';

-- Code as text. A string or comment in which code could be seen stands as its number between the
-- characters 1 and 2 while the code is looked at or changed; a string also keeps its quotes.

CREATE FUNCTION clerk_internal.mask_code(source text, OUT code text, OUT pieces text[])
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	opening constant text := '--|/\*|\m[eE]''|''|"|(?<![\w$])\$(?:[[:alpha:]_]\w*)?\$';
	rest text := coalesce(source, '');
	start integer;
	mark text;
	piece text;
BEGIN
	code := '';
	pieces := '{}';
	LOOP
		start := regexp_instr(rest, opening);
		EXIT WHEN start = 0;
		mark := regexp_substr(rest, opening);
		code := code || left(rest, start - 1);
		rest := substr(rest, start);
		-- what does not end is all the rest; a nested comment ends too early, so that it is read as code
		piece := coalesce(CASE
			WHEN mark = '--' THEN substring(rest FROM '^[^\n]*')
			WHEN mark = '/*' THEN substring(rest FROM '^/\*(?:[^*]|\*+[^*/])*\*+/')
			WHEN mark = '"' THEN substring(rest FROM '^"(?:[^"]|"")*"')
			WHEN mark = '''' THEN substring(rest FROM '^''(?:[^'']|'''')*''')
			WHEN mark IN ('e''', 'E''') THEN substring(rest FROM '^.''(?:[^''\\]|\\.|'''')*''')
			WHEN strpos(substr(rest, length(mark) + 1), mark) > 0
				THEN left(rest, strpos(substr(rest, length(mark) + 1), mark) + 2 * length(mark) - 1)
		END, rest);
		rest := substr(rest, length(piece) + 1);
		IF mark IN ('--', '/*') THEN
			pieces := pieces || piece;
			code := code || chr(1) || cardinality(pieces) || chr(2);
		ELSIF mark = '"' OR piece ~ '^''([^''();[:space:]]*|\{[^''();]*\})''$' THEN
			code := code || piece;
		ELSE
			pieces := pieces || piece;
			code := code || '''' || chr(1) || cardinality(pieces) || chr(2) || '''';
		END IF;
	END LOOP;
	code := code || rest;
END
$$;
COMMENT ON FUNCTION clerk_internal.mask_code(text) IS
	'SQL with its comments, and those of its strings that could hold code, taken out and numbered';

CREATE FUNCTION clerk_internal.unmask_code(code text, pieces text[]) RETURNS text
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	FOR n IN 1 .. cardinality(pieces) LOOP
		code := replace(code, '''' || chr(1) || n || chr(2) || '''', pieces[n]);
		code := replace(code, chr(1) || n || chr(2), pieces[n]);
	END LOOP;
	RETURN code;
END
$$;
COMMENT ON FUNCTION clerk_internal.unmask_code(text, text[]) IS 'undoes clerk_internal.mask_code()';

-- Strings are queries where there is EXECUTE, or one of the functions that take a query.
CREATE FUNCTION clerk_internal.dynamic_code(code text, pieces text[]) RETURNS text
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	RETURN (
		SELECT string_agg((clerk_internal.mask_code(CASE
				WHEN piece ^@ '$' THEN regexp_replace(piece, '^\$\w*\$|\$\w*\$\Z', '', 'g')
				ELSE replace(regexp_replace(piece, '^[eE]?''|''$', '', 'g'), '''''', '''') END)).code, '; ')
		FROM unnest(pieces) AS piece
		WHERE piece !~ '^(--|/\*)'
			AND code ~* '\m(execute|query_to_xml\w*|cursor_to_xml\w*|dblink\w*|ts_stat)\M');
END
$$;
COMMENT ON FUNCTION clerk_internal.dynamic_code(text, text[]) IS
	'the strings of masked code that it may run as queries; NULL: none';

-- Balanced to three levels, which is what people write in a cast or a scalar subquery.
CREATE FUNCTION clerk_internal.plain_code(code text) RETURNS text
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	inner_text constant text := '(?:[^()]|\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))+';
	-- what may stand before a parenthesis and is no function
	word constant text := '(?:select|from|where|having|on|by|using|and|or|not|in|is|like|when|then|else|case|'
		'return|as|values)';
	rule record;
	was text;
BEGIN
	-- a comment, and any white space, is a space
	code := regexp_replace(code, '(?<!'')\x01\d+\x02|\s+', ' ', 'g');
	FOR round IN 1 .. 10 LOOP
		was := code;
		FOR rule IN
			SELECT * FROM (VALUES
				('  ', ' +', ' '),
				('[', '\s*\[\s*', '['),
				('.', '\s*\.\s*', '.'),
				('::', '\s*::\s*', '::'),
				('>', '\s*(->>?|#>>?)\s*', '\1'),
				('( ', '\( ', '('),
				(' ', ' ([)\],])', '\1'),
				(' (', '\m(?!' || word || '\M)(\w+) \(', '\1('),
				('"', '"([a-z_][a-z_0-9]*)"', '\1'),
				('pg_catalog', '\mpg_catalog\.', ''),
				('''::', '(''[^'']*'')::(?:text|character varying|varchar|name)\M(?!\[)', '\1'),
				('cast(', '\mcast\((' || inner_text || ') as ([\w ]+)\)', '(\1)::\2'),
				('(select', '\(select (' || inner_text || ') as (?:\w+|"[^"]*")\)', '(select \1)'),
				('(select', '\(select ((?:(?!\mfrom\M)[^()]|\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))+)\)',
					'(\1)'),
				('((', '(?<![\w"])\(\(((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)\)', '(\1)'),
				('))', '(?<![\w"])\((?!select\M)([\w.]+\((?:[^()]|\([^()]*\))*\))\)', '\1')
			) AS rules (needs, pattern, replacement)
		LOOP
			IF strpos(lower(code), rule.needs) > 0 THEN
				code := regexp_replace(code, rule.pattern, rule.replacement, 'gi');
			END IF;
		END LOOP;
		EXIT WHEN code IS NOT DISTINCT FROM was;
	END LOOP;
	RETURN code;
END
$$;
COMMENT ON FUNCTION clerk_internal.plain_code(text) IS
	'masked code in one spelling, to look for patterns in it: without comments, needless parentheses, '
	'spaces and scalar subqueries';

-- What code calls and reads.

CREATE FUNCTION clerk_internal.recorded_calls(catalog oid, object oid) RETURNS oid[]
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	RETURN (
		SELECT ARRAY(
			SELECT refobjid FROM pg_depend
			WHERE classid = catalog AND objid = object AND refclassid = 'pg_proc'::regclass AND deptype = 'n'
			UNION
			SELECT oprcode FROM pg_depend JOIN pg_operator ON pg_operator.oid = refobjid
			WHERE classid = catalog AND objid = object AND refclassid = 'pg_operator'::regclass));
END
$$;
COMMENT ON FUNCTION clerk_internal.recorded_calls(oid, oid) IS
	'the functions that an object depends on, those of PostgreSQL itself left out';

CREATE FUNCTION clerk_internal.recorded_reads(catalog oid, object oid) RETURNS oid[]
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	RETURN (
		SELECT ARRAY(
			SELECT DISTINCT refobjid FROM pg_depend
			WHERE classid = catalog AND objid = object AND refclassid = 'pg_class'::regclass
				AND deptype = 'n'));
END
$$;
COMMENT ON FUNCTION clerk_internal.recorded_reads(oid, oid) IS
	'the tables and views that an object depends on';

-- A node tree lists the tables of subqueries only, so that a table's own columns do not count.
CREATE FUNCTION clerk_internal.subquery_reads(expression pg_node_tree) RETURNS oid[]
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	RETURN (
		SELECT ARRAY(SELECT DISTINCT relid[1]::oid FROM regexp_matches(expression::text, ':relid (\d+)',
			'g') AS relid WHERE relid[1] <> '0'));
END
$$;
COMMENT ON FUNCTION clerk_internal.subquery_reads(pg_node_tree) IS
	'the tables and views in the subqueries of an expression';

-- The search_path of the function decides, if it has one; else the nearest: its schema, public, any.
CREATE FUNCTION clerk_internal.named_in(code text, is_call boolean, home oid, path name[]) RETURNS oid[]
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	RETURN (
		WITH spelled AS (
			SELECT DISTINCT m[1] AS schema, m[2] AS name
			FROM (VALUES ('("(?:[^"]|"")+"|[[:alpha:]_][\w$]*)')) AS one (word),
				regexp_matches(code, CASE WHEN is_call THEN '(?:' || word || '\.)?' || word || '\('
					ELSE '\m(?:from|join|update|into)(?: only)? (?:' || word || '\.)?' || word
						|| '(?![\w$."(])' END, 'gi') AS m
		), named AS (
			SELECT unquoted.* FROM spelled, LATERAL (
				SELECT CASE WHEN schema ^@ '"' THEN replace(btrim(schema, '"'), '""', '"')
					ELSE lower(schema) END,
					CASE WHEN name ^@ '"' THEN replace(btrim(name, '"'), '""', '"') ELSE lower(name) END
			) AS unquoted (schema, name)
		), candidates AS (
			SELECT named.name, object.oid, rank() OVER (PARTITION BY named.name, named.schema ORDER BY CASE
					WHEN named.schema IS NOT NULL OR path IS NOT NULL THEN 0
					WHEN object.schema = home THEN 1
					WHEN object.schema = to_regnamespace('public') THEN 2
					ELSE 3 END) AS distance
			FROM named JOIN (
				SELECT oid, proname AS name, pronamespace AS schema FROM pg_proc WHERE is_call
				UNION ALL
				SELECT oid, relname, relnamespace FROM pg_class WHERE NOT is_call AND relkind IN ('r', 'p',
					'v', 'f')
			) AS object ON object.name = named.name::name
			JOIN pg_namespace ON pg_namespace.oid = object.schema
			WHERE nspname NOT IN ('pg_catalog', 'information_schema')
				AND CASE WHEN named.schema IS NULL THEN coalesce(nspname = ANY (path), true)
					ELSE nspname = named.schema END
		)
		SELECT ARRAY(SELECT DISTINCT oid FROM candidates WHERE distance = 1));
END
$$;
COMMENT ON FUNCTION clerk_internal.named_in(text, boolean, oid, name[]) IS
	'the functions, or the tables and views, that plain code in a function of schema home names';

CREATE FUNCTION clerk_internal.search_path_of(settings text[]) RETURNS name[]
	LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT ARRAY(SELECT btrim(schema, ' "') FROM regexp_split_to_table(substr(setting, 13),
		',') AS schema)::name[]
	FROM unnest(settings) AS setting WHERE setting ^@ 'search_path='
$$;
COMMENT ON FUNCTION clerk_internal.search_path_of(text[]) IS
	'the schemas in the search_path of a function; NULL: it has none';

CREATE TYPE clerk_internal.code_item AS (
	kind text,
	id oid,
	tab oid,
	object text,
	chain text,
	starts text,
	code text,
	calls oid[],
	reads oid[]
);
COMMENT ON TYPE clerk_internal.code_item IS
	'code that requests run: a policy, view, default, generated column, constraint, trigger or function; '
	'what it is of; the name that findings give it; how requests get there, and from what kind of code; its '
	'plain text; which functions it calls, and which tables and views it reads';

CREATE FUNCTION clerk_internal.expression_item(kind text, catalog oid, id oid, tab oid, object text,
	expression text, reads oid[])
	RETURNS clerk_internal.code_item
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	RETURN ROW(kind, id, tab, object, object, kind,
		clerk_internal.plain_code((clerk_internal.mask_code(expression)).code),
		clerk_internal.recorded_calls(catalog, id), reads);
END
$$;
COMMENT ON FUNCTION clerk_internal.expression_item(text, oid, oid, oid, text, text, oid[]) IS
	'the code of an expression, whose calls PostgreSQL records';

CREATE FUNCTION clerk_internal.view_item(view oid, chain text, starts text) RETURNS clerk_internal.code_item
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	rule constant oid := (SELECT oid FROM pg_rewrite WHERE ev_class = view AND ev_type = '1');
BEGIN
	RETURN ROW('view'::text, view, view, format('view %s', view::regclass), chain, starts,
		clerk_internal.plain_code((clerk_internal.mask_code(pg_get_viewdef(view))).code),
		clerk_internal.recorded_calls('pg_rewrite'::regclass, rule),
		array_remove(clerk_internal.recorded_reads('pg_rewrite'::regclass, rule), view));
END
$$;
COMMENT ON FUNCTION clerk_internal.view_item(oid, text, text) IS 'the code of a view';

CREATE FUNCTION clerk_internal.function_item(function oid, chain text, starts text)
	RETURNS clerk_internal.code_item
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	proc pg_proc;
	language name;
	masked record;
	plain text;
	path name[];
	calls oid[] := clerk_internal.recorded_calls('pg_proc'::regclass, function);
	reads oid[] := clerk_internal.recorded_reads('pg_proc'::regclass, function);
BEGIN
	SELECT * INTO proc FROM pg_proc WHERE oid = function;
	language := (SELECT lanname FROM pg_language WHERE oid = proc.prolang);
	IF language IN ('sql', 'plpgsql') THEN
		masked := clerk_internal.mask_code(coalesce(pg_get_function_sqlbody(function), proc.prosrc));
		plain := clerk_internal.plain_code(concat_ws('; ', masked.code,
			clerk_internal.dynamic_code(masked.code, masked.pieces)));
	ELSIF language NOT IN ('c', 'internal') THEN
		-- queries stand in strings there, which are quoted in other ways
		plain := clerk_internal.plain_code(proc.prosrc);
	END IF;
	IF proc.prosqlbody IS NULL AND plain IS NOT NULL THEN
		path := clerk_internal.search_path_of(proc.proconfig);
		calls := calls || clerk_internal.named_in(plain, true, proc.pronamespace, path);
		reads := reads || clerk_internal.named_in(plain, false, proc.pronamespace, path);
	END IF;
	RETURN ROW('function'::text, function, 0::oid, format('function %s', function::regprocedure), chain,
		starts,
		coalesce(plain, ''), calls, reads);
END
$$;
COMMENT ON FUNCTION clerk_internal.function_item(oid, text, text) IS 'the code of a function';

-- Where requests begin, in the order in which a function that several lead to is blamed on them.
CREATE FUNCTION clerk_internal.first_code() RETURNS SETOF clerk_internal.code_item
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp ROWS 1000
	AS $$
	WITH tables AS MATERIALIZED (
		SELECT pg_class.oid, relkind, pg_class.oid::regclass AS tab
		FROM pg_class
		WHERE relkind IN ('r', 'p', 'v') AND clerk_internal.is_audited('pg_class', pg_class.oid, relnamespace)
			AND NOT clerk_internal.is_platform_schema(relnamespace)
			AND clerk_internal.roles_reaching(pg_class.oid, 'SELECT, INSERT, UPDATE, DELETE') IS NOT NULL
	), items AS MATERIALIZED (	-- so that each is made once
		SELECT 1, clerk_internal.expression_item('policy', 'pg_policy'::regclass, pg_policy.oid, polrelid,
			format('policy %I on %s', polname, polrelid::regclass),
			concat_ws('; ', pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)),
			clerk_internal.subquery_reads(polqual) || clerk_internal.subquery_reads(polwithcheck))
		FROM pg_policy JOIN pg_class ON pg_class.oid = polrelid
		WHERE clerk_internal.is_audited('pg_class', polrelid, relnamespace)
		UNION ALL
		SELECT 2, clerk_internal.view_item(oid, format('view %s', tab), 'view') FROM tables
			WHERE relkind = 'v'
		UNION ALL
		SELECT 3, clerk_internal.expression_item(CASE attgenerated WHEN '' THEN 'default'
			ELSE 'generated column' END,
			'pg_attrdef'::regclass, pg_attrdef.oid, adrelid,
			format('%s of %s.%I', CASE attgenerated WHEN '' THEN 'default' ELSE 'generated column' END, tab,
				attname),
			pg_get_expr(adbin, adrelid), '{}')
		FROM tables JOIN pg_attrdef ON adrelid = tables.oid JOIN pg_attribute ON attrelid = adrelid
			AND attnum = adnum
		UNION ALL
		SELECT 4, clerk_internal.expression_item('constraint', 'pg_constraint'::regclass, pg_constraint.oid,
			conrelid,
			format('constraint %I on %s', conname, tab), pg_get_expr(conbin, conrelid), '{}')
		FROM tables JOIN pg_constraint ON conrelid = tables.oid
		WHERE contype = 'c' AND coninhcount = 0
		UNION ALL
		SELECT 5, clerk_internal.expression_item('trigger', 'pg_trigger'::regclass, pg_trigger.oid, tgrelid,
			format('trigger %I on %s', tgname, tab), substring(pg_get_triggerdef(pg_trigger.oid)
				FROM ' WHEN (.*) EXECUTE '), '{}')
		FROM tables JOIN pg_trigger ON tgrelid = tables.oid
		WHERE NOT tgisinternal AND tgparentid = 0
		UNION ALL
		SELECT 6, clerk_internal.function_item(pg_proc.oid, format('a request → %s',
			pg_proc.oid::regprocedure),
			CASE WHEN prosecdef THEN 'definer' ELSE 'function' END)
		FROM pg_proc
		WHERE prokind IN ('f', 'p') AND prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
			AND clerk_internal.is_audited('pg_proc', pg_proc.oid, pronamespace)
			AND NOT clerk_internal.is_platform_schema(pronamespace)
			AND pg_proc.oid <> ALL (clerk_internal.auth_functions())
			AND clerk_internal.roles_calling(pg_proc.oid) IS NOT NULL
	)
	SELECT (item).* FROM items AS i (ordinal, item) ORDER BY ordinal, (item).object COLLATE "C"
$$;
COMMENT ON FUNCTION clerk_internal.first_code() IS
	'the code that requests run first: policies, what belongs to the tables and views they reach, and the '
	'functions they may call';

CREATE FUNCTION clerk_internal.requested_code() RETURNS SETOF clerk_internal.code_item
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp ROWS 1000
	AS $$
DECLARE
	known oid[] := clerk_internal.auth_functions();
	seen oid[] := '{}';
	seen_views oid[] := '{}';
	waiting clerk_internal.code_item[];
	first clerk_internal.code_item;
	item clerk_internal.code_item;
	found oid;
BEGIN
	FOR first IN SELECT * FROM clerk_internal.first_code() LOOP
		CONTINUE WHEN first.id = ANY (CASE first.kind WHEN 'function' THEN seen WHEN 'view'
			THEN seen_views END);
		waiting := ARRAY[first];
		IF first.kind = 'function' THEN
			seen := seen || first.id;
		ELSIF first.kind = 'view' THEN
			seen_views := seen_views || first.id;
		END IF;
		WHILE cardinality(waiting) > 0 LOOP
			item := waiting[1];
			waiting := waiting[2:];
			RETURN NEXT item;
			FOR found IN
				SELECT pg_proc.oid FROM unnest(item.calls) AS called JOIN pg_proc ON pg_proc.oid = called
				WHERE pg_proc.oid <> ALL (known) AND pg_proc.oid <> ALL (seen)
					AND clerk_internal.is_audited('pg_proc', pg_proc.oid, pronamespace)
			LOOP
				seen := seen || found;
				waiting := waiting || clerk_internal.function_item(found,
					format('%s → %s', item.chain, found::regprocedure), item.starts);
			END LOOP;
			FOR found IN
				SELECT pg_class.oid FROM unnest(item.reads) AS read JOIN pg_class ON pg_class.oid = read
				WHERE relkind = 'v' AND pg_class.oid <> ALL (seen_views)
					AND clerk_internal.is_audited('pg_class', pg_class.oid, relnamespace)
			LOOP
				seen_views := seen_views || found;
				waiting := waiting || clerk_internal.view_item(found,
					format('%s → view %s', item.chain, found::regclass), item.starts);
			END LOOP;
		END LOOP;
	END LOOP;
END
$$;
COMMENT ON FUNCTION clerk_internal.requested_code() IS
	'all code that requests run, each function and view once, with the first way that leads there';
