--
-- audit.sql
--		What will not do what it seems to: code, tables, policies, functions, roles, instances. One
--		function for each kind; each finding has a statement that mends it, or a comment that says why
--		only you can. No comment holds a name, which could end it.
--
-- Uses library, instances, jobs, shim, track, supabase, upkeep, roles, citus, code, fixes.
--

-- Code

-- The one catalog of what code must not believe, or misspells. The patterns are for plain code. In
-- trusting code, which decides for others than the caller, it is an error even if it may be harmless.
CREATE FUNCTION clerk_internal.misreadings()
	RETURNS TABLE (finding text, severity text, pattern text, detail text, advice text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT misreading.*
	FROM (
		SELECT string_agg(name, '|'), clerk_internal.is_unverified('auth.uid()')
		FROM unnest('{jwt,role,email}'::text[]) AS name
			WHERE clerk_internal.is_unverified(format('auth.%s()', name))
	) AS auth (unverified, uid_is_unverified), LATERAL (VALUES
		('auth-uid', 'error', CASE WHEN uid_is_unverified THEN '\mauth\.uid\(\)' END,
			'auth.uid() is not that of clerk.install_auth_shim(): it casts "sub" to uuid, which fails for '
			'Clerk ids, and verifies nothing',
			'-- write clerk.uid() or clerk.mapped_id() there by hand'),
		('sub-as-uuid', 'error',
			'(?:''(?:sub|org_id)''|''o''\)?->>''id''|''request\.jwt\.claims?\.sub''(?:, ?(?:true|false))?|'
				|| '\mclerk\.(?:uid|org_id)\()(?:[)\]]|, ?'''')*::uuid\M',
			'it casts a Clerk id such as user_2abc... to uuid, which fails',
			'-- write clerk.mapped_id() or clerk.mapped_org_id() there by hand'),
		('claim-path', 'error',
			'(?:->>?''|#>>?''\{(?:\w+,)*|\mclerk\.claim\((?:variadic array\[)?(?:''\w+'', ?)*'')'
				|| '(?:o|act|(?:public_|private_|unsafe_|user_|app_)?metadata)\.\w',
			'a claim is not found by a path with dots, so this is NULL always',
			'-- write clerk.org_id(), or clerk.claim() with a word for each step, there by hand'),
		('claims-of-user', 'error', '''\{?(?:unsafe|user)_metadata\M',
			'users write their own unsafe_metadata and user_metadata, so it lets them decide',
			'-- ask for what only you write: a claim made of public_metadata, a role, a permission or a '
			'table'),
		('org-role-name', 'error',
			'\mclerk\.org_role\(\) (?:=|<>|!=) ''(?!org:)[^'':]|''(?!org:)[^'':]+'' (?:=|<>|!=) '
			'clerk\.org_role\(\)|'
				|| '\mclerk\.org_role\(\) (?:(?:=|<>|!=) (?:any|all) ?\(+array\[|(?:not )?in '
					'\()(?:''org:[^'']*'', ?)*''(?!org:)[^'':]',
			'clerk.org_role() begins with org: always, so this is the same for everybody',
			'-- write org: before the name of the role, or clerk.has_role(), there by hand'),
		('unverified-claims', 'error', '\mcurrent_setting\(''request\.jwt\.' || coalesce('|\mauth\.(?:'
			|| unverified || ')\(\)', ''),
			'it believes request.jwt.claims, which whoever can run SQL can set',
			'-- write clerk.uid(), clerk.claim() or clerk.jwt() there by hand'),
		('id-as-text', 'notice',
			'(?:\mclerk\.mapped_(?:org_)?id\(\)' || CASE WHEN uid_is_unverified THEN ''
				ELSE '|\mauth\.uid\(\)' END
				|| ')\)*::(?:text|varchar|character varying)\M',
			'it compares the local id, a uuid, with text: of rows that hold Clerk''s id it finds none',
			'-- write clerk.uid() if the text is Clerk''s id, clerk.mapped_text() if it is the local one')
	) AS misreading (finding, severity, pattern, detail, advice)
	WHERE misreading.pattern IS NOT NULL
$$;
COMMENT ON FUNCTION clerk_internal.misreadings() IS
	'what clerk.audit() looks for in code: its finding, how bad that is, the pattern in plain code, what is '
	'wrong, and what to do where it knows no statement';

CREATE FUNCTION clerk_internal.storage_owner_pattern() RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT format('(?:%1$s\)*(?:::text)? = \(*%2$s\M|%2$s\)*(?:::text)? = \(*%1$s)',
		'\m(?:auth\.uid|clerk\.mapped_id)\(\)', '(?<!\w)owner(?:_id)?')
$$;
COMMENT ON FUNCTION clerk_internal.storage_owner_pattern() IS
	'the pattern of a policy of Supabase Storage that compares an owner with a local id';

CREATE FUNCTION clerk_internal.plain_statement(statement text) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	RETURN (
		SELECT clerk_internal.plain_code(concat_ws('; ', masked.code, clerk_internal.dynamic_code(masked.code,
			masked.pieces)))
		FROM clerk_internal.mask_code(regexp_replace(statement, '\$(function|procedure)x*\$', ' ',
			'g')) AS masked);
END
$$;
COMMENT ON FUNCTION clerk_internal.plain_statement(text) IS
	'a statement as plain code, with the body of a function that it makes';

CREATE FUNCTION clerk_internal.is_trusted_setting(setting text) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	-- Realtime and Storage say with theirs what is asked for, not who asks
	SELECT setting !~ '\.' OR setting ~ '^(realtime|storage)\.'
		OR EXISTS (SELECT FROM pg_settings WHERE name = lower(setting) AND context <> 'user')
$$;
COMMENT ON FUNCTION clerk_internal.is_trusted_setting(text) IS
	'whether a setting may decide: PostgreSQL''s own, one that only superusers can set, or what Supabase''s '
	'services say of a request';

CREATE FUNCTION clerk_internal.found_in(item clerk_internal.code_item, detail text) RETURNS text
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT CASE WHEN item.chain = item.object THEN detail ELSE format('%s: %s', item.chain,
		detail) END $$;
COMMENT ON FUNCTION clerk_internal.found_in(clerk_internal.code_item, text) IS
	'what is wrong with code, and how requests get there';

CREATE FUNCTION clerk_internal.asking_functions(items clerk_internal.code_item[]) RETURNS SETOF oid
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH RECURSIVE asking (id) AS (
		SELECT item.id FROM unnest(items) AS item
		WHERE item.kind = 'function' AND (item.code ~* '\mcurrent_setting\(' OR EXISTS (
			SELECT FROM pg_proc WHERE oid = ANY (item.calls) AND provolatile <> 'i'
				AND (pronamespace = to_regnamespace('clerk') OR oid = ANY (clerk_internal.auth_functions()))))
		UNION
		SELECT item.id FROM asking JOIN unnest(items) AS item ON item.calls @> ARRAY[asking.id]
		WHERE item.kind = 'function'
	)
	SELECT id FROM asking
$$;
COMMENT ON FUNCTION clerk_internal.asking_functions(clerk_internal.code_item[]) IS
	'the functions of the application that ask who the caller is, themselves or through others';

CREATE FUNCTION clerk_internal.audit_code(items clerk_internal.code_item[])
	RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH known AS MATERIALIZED (
		SELECT * FROM clerk_internal.misreadings()
		UNION ALL
		SELECT 'storage-owner', 'error', clerk_internal.storage_owner_pattern(),
			'Storage keeps Clerk''s id in owner_id, and nothing in owner, so this is never true',
			'-- compare owner_id with clerk.uid() there by hand'
	), handed_on AS MATERIALIZED (
		SELECT * FROM clerk_internal.id_functions(items)
	), unverified AS MATERIALIZED (
		SELECT function, CASE function::regprocedure::text WHEN 'auth.uid()' THEN 'auth-uid'
			ELSE 'unverified-claims' END AS finding
		FROM unnest(clerk_internal.auth_functions()) AS function
			WHERE clerk_internal.is_unverified(function::regprocedure::text)
	), code AS MATERIALIZED (
		SELECT ordinality AS n, ROW(i.kind, i.id, i.tab, i.object, i.chain, i.starts, i.code, i.calls,
			i.reads)::clerk_internal.code_item AS item,
			i.tab, i.calls, names, asks, clerk_internal.without_id_functions(i.code, names, asks) AS plain
		FROM unnest(items) WITH ORDINALITY AS i, LATERAL (
			SELECT array_agg(handed_on.name), array_agg(handed_on.asks) FROM handed_on
				WHERE handed_on.function = ANY (i.calls)
		) AS asked (names, asks)
	), matches AS MATERIALIZED (
		SELECT n, known.*, plain ~* pattern AS is_seen
		FROM known, code
		WHERE (plain ~* pattern OR EXISTS (SELECT FROM unverified WHERE unverified.finding = known.finding
			AND function = ANY (calls)))
			AND CASE finding WHEN 'storage-owner' THEN clerk_internal.is_storage(tab)
				WHEN 'id-as-text' THEN NOT (clerk_internal.is_storage(tab)
					AND plain ~* clerk_internal.storage_owner_pattern())
				ELSE true END
	), casting AS (
		-- a function that makes a uuid of who the caller is, in a way that is not known
		SELECT DISTINCT n
		FROM code JOIN clerk_internal.asking_functions(items) AS asking ON asking = ANY (calls)
		JOIN pg_proc ON pg_proc.oid = asking AND prorettype = 'uuid'::regtype
		WHERE asking NOT IN (SELECT function FROM handed_on)
			AND plain ~* (clerk_internal.call_pattern(asking)
				|| '[^()]*\)\)*::(?:text|varchar|character varying)\M')
	), mended AS MATERIALIZED (
		SELECT n, item, statement, clerk_internal.plain_statement(statement) AS becomes
		FROM code, clerk_internal.code_with(item, names, asks) AS statement
		WHERE n IN (SELECT n FROM matches WHERE is_seen AND severity = 'error')
	)
	SELECT CASE WHEN (code.item).starts = 'function' AND severity = 'error' THEN 'warning' ELSE severity END,
		finding, (code.item).object,
		clerk_internal.found_in(code.item, matches.detail),
		CASE WHEN is_seen AND severity = 'error' AND finding <> 'claims-of-user' AND becomes !~* pattern
			THEN statement ELSE advice END
	FROM matches JOIN code USING (n) LEFT JOIN mended USING (n)
	UNION ALL
	SELECT severity, finding, (item).object, clerk_internal.found_in(item, known.detail), advice
	FROM casting JOIN code USING (n), known WHERE finding = 'id-as-text'
$$;
COMMENT ON FUNCTION clerk_internal.audit_code(clerk_internal.code_item[]) IS
	'what clerk.audit() finds in code that asks who the user is';

CREATE FUNCTION clerk_internal.audit_settings(items clerk_internal.code_item[])
	RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT DISTINCT CASE WHEN item.starts IN ('policy', 'view', 'definer') THEN 'error' ELSE 'warning' END,
		'custom-setting', item.object,
		clerk_internal.found_in(item, CASE WHEN literal IS NULL
			THEN 'it reads a setting whose name is put together there'
			ELSE format('it reads %s', literal) END || ', which whoever can run SQL can set'),
		'-- ask clerk.uid(), clerk.org_id(), clerk.claim() or a table there, which nobody can set'
	FROM unnest(items) AS item, regexp_matches(item.code, '\mcurrent_setting\((?:''([\w.]+)''[,)])?',
		'gi') AS read,
		LATERAL (VALUES (read[1])) AS setting (literal)
	WHERE coalesce(literal !~* '^request\.jwt\.' AND NOT clerk_internal.is_trusted_setting(literal), true)
$$;
COMMENT ON FUNCTION clerk_internal.audit_settings(clerk_internal.code_item[]) IS
	'what clerk.audit() finds in code that asks settings which anybody can set';

CREATE FUNCTION clerk_internal.audit_presets(items clerk_internal.code_item[])
	RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH calls AS (	-- quotes in a string, as those of JSON, may have been taken away
		SELECT item, lower(call[1]) AS function, call[2] AS given, call[3] <> '' AS has_interval
		FROM unnest(items) AS item,
			regexp_matches(item.code, '\mclerk\.(has|has_reverified)\(''([^'']*)''(,?)', 'gi') AS call
	), words AS (
		SELECT item, 'has_reverified(%s)' AS place, given AS word,
			CASE WHEN has_interval THEN 'level' ELSE 'reverification' END AS kind
		FROM calls WHERE function = 'has_reverified'
		UNION ALL
		SELECT item, format('has() with "%s": %%s', member[1]), member[2], member[1]
		FROM calls, regexp_matches(given, '[{,]\s*"?(reverification|level)"?\s*:\s*"?(\w[^",}]*)', 'g')
			AS member
		WHERE function = 'has'
		UNION ALL
		SELECT item, '"%s"', member[1], 'member'
		FROM calls, regexp_matches(given, '[{,]\s*"?([^"{},:]+)"?\s*:', 'g') AS member
		WHERE function = 'has'
	)
	SELECT DISTINCT 'error', CASE kind WHEN 'member' THEN 'has-unknown' ELSE 'reverification-unknown' END,
		(item).object, clerk_internal.found_in(item, format(CASE kind
			WHEN 'member' THEN 'has() does not look at %s, and asks only for the rest; it knows: %s'
			ELSE replace(place, '%s', '%1$s') || ' is false always; it must be one of: %2$s' END,
			CASE WHEN word !~ '^\w*$' THEN '...' WHEN kind = 'member' THEN word ELSE quote_literal(word) END,
			array_to_string(known, ', '))),
		'-- write one of them there'
	FROM words, LATERAL (SELECT CASE kind
		WHEN 'level' THEN '{first_factor,second_factor,multi_factor}'
		WHEN 'reverification' THEN '{strict_mfa,strict,moderate,lax}'
		ELSE '{role,permission,feature,plan,reverification,level,afterMinutes}' END::text[]) AS names (known)
	WHERE word <> ALL (known)
$$;
COMMENT ON FUNCTION clerk_internal.audit_presets(clerk_internal.code_item[]) IS
	'what clerk.audit() finds that code asks of has() or has_reverified(), and Clerk does not know';

-- Who the caller is changes between two runs of a plan, in which a call of an IMMUTABLE function is a
-- constant.
CREATE FUNCTION clerk_internal.audit_volatility(items clerk_internal.code_item[])
	RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT 'error', 'immutable-identity', item.object,
		clerk_internal.found_in(item, 'it is IMMUTABLE and asks who the caller is, so that a plan which is '
			'kept answers for the one before'),
		format('ALTER FUNCTION %s STABLE', pg_proc.oid::regprocedure)
	FROM clerk_internal.asking_functions(items) AS asking JOIN unnest(items) AS item ON item.kind = 'function'
		AND item.id = asking
	JOIN pg_proc ON pg_proc.oid = item.id
	WHERE prokind = 'f' AND provolatile = 'i'
$$;
COMMENT ON FUNCTION clerk_internal.audit_volatility(clerk_internal.code_item[]) IS
	'what clerk.audit() finds in functions that say they are IMMUTABLE';

CREATE FUNCTION clerk_internal.audit_functions(items clerk_internal.code_item[])
	RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH callable AS MATERIALIZED (
		SELECT item.object, item.code, function, pg_proc.*,
			clerk_internal.roles_calling(pg_proc.oid) AS roles,
			item.code ~* '\mset_config\(''(request\.|clerk\.|role''|session_authorization'')' AS sets_identity
		FROM unnest(items) AS item JOIN pg_proc ON pg_proc.oid = item.id,
			CAST(item.id AS regprocedure) AS function
		WHERE item.kind = 'function'
	), revoked AS (
		SELECT *, format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC, %s', function, roles) AS statement
		FROM callable WHERE roles IS NOT NULL
	)
	SELECT 'error', 'definer-sets-identity', object,
		format('%s can call it, and it sets who the request is from with the rights of its owner', roles),
			statement
	FROM revoked
	WHERE prosecdef AND (sets_identity OR code ~* '\mset (local |session )?(request|clerk)\.'
		OR proconfig::text ~ '[{,"](request|clerk)\.')
	UNION ALL
	SELECT 'error', 'caller-sets-setting', object,
		format('%s can call it, and it sets what the caller says, such as who later requests of the '
			'connection are from', roles), statement
	FROM revoked
	WHERE pronargs > 0 AND (code ~* '\mset_config\((?!'')' OR (NOT prosecdef AND sets_identity))
	UNION ALL
	SELECT 'warning', 'definer-search-path', object,
		format('%s can call it, and it looks names up with the rights of its owner in whatever search_path '
			'the caller has', roles),
		format('ALTER ROUTINE %s SET search_path = pg_catalog, %s, pg_temp', function, (
			-- where no request can put a function of its own
			SELECT string_agg(quote_ident(nspname), ', ' ORDER BY pg_namespace.oid <> pronamespace, nspname)
			FROM pg_namespace
			WHERE pg_namespace.oid = pronamespace OR (nspname IN ('public', 'extensions') AND NOT EXISTS (
				SELECT FROM clerk_internal.api_roles() AS role WHERE has_schema_privilege(role,
					pg_namespace.oid, 'CREATE')))))
	FROM revoked
	WHERE prosecdef AND NOT EXISTS (SELECT FROM unnest(proconfig) AS setting WHERE setting ^@ 'search_path=')
$$;
COMMENT ON FUNCTION clerk_internal.audit_functions(clerk_internal.code_item[]) IS
	'what clerk.audit() finds in functions that requests can call';

-- Policies

CREATE FUNCTION clerk_internal.audited_policies()
	RETURNS TABLE (id oid, tab regclass, object text, is_permissive boolean, is_public boolean,
		expression text, alter_policy text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT pg_policy.oid, polrelid::regclass, format('policy %I on %s', polname, polrelid::regclass),
		polpermissive, polroles = '{0}',
		concat_ws(' ', pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)),
		format('ALTER POLICY %I ON %s', polname, polrelid::regclass)
	FROM pg_policy JOIN pg_class ON pg_class.oid = polrelid
	WHERE clerk_internal.is_audited('pg_class', polrelid, relnamespace)
$$;
COMMENT ON FUNCTION clerk_internal.audited_policies() IS
	'the policies of the application, as clerk.audit() looks at them';

CREATE FUNCTION clerk_internal.audit_policies() RETURNS TABLE (severity text, finding text, object text,
	detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT 'notice', 'policy-for-public', object, 'it is for every role, the anonymous one as well',
		alter_policy || ' TO ' || roles
	FROM clerk_internal.audited_policies(), (
		SELECT string_agg(quote_ident(role), ', ' ORDER BY role)
		FROM clerk_internal.api_roles() AS role
			WHERE role <> clerk_internal.anon_role()) AS signed_in (roles)
	WHERE is_permissive AND is_public AND roles IS NOT NULL
$$;
COMMENT ON FUNCTION clerk_internal.audit_policies() IS
	'what clerk.audit() finds in policies, their code apart';

CREATE FUNCTION clerk_internal.audit_indexes() RETURNS TABLE (severity text, finding text, object text,
	detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT DISTINCT 'warning', 'index-missing', format('table %s', tab),
		format('policies compare %I with the caller, and no index begins with it', attname),
		format('CREATE INDEX ON %s (%I)', tab, attname)
	FROM (VALUES ('("(?:[^"]|"")+"|\w+)',
			'clerk\.(?:uid|org_id|mapped_(?:org_)?(?:id|bigint|text))\(\)'
		)) AS side (col, caller),
		LATERAL (VALUES ('(?:^|[( ])' || col || '\)?(?:::\w+)? = (?:\( SELECT )?' || caller),
			(caller || '(?: AS \w+\))? = \(?' || col || '(?![\w.])')) AS comparison (pattern),
		clerk_internal.audited_policies(), regexp_matches(expression, pattern, 'g') AS compared
	JOIN pg_attribute ON attnum > 0 AND quote_ident(attname) = compared[1]
	WHERE attrelid = tab AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = tab AND indisvalid
		AND indkey[0] = attnum)
$$;
COMMENT ON FUNCTION clerk_internal.audit_indexes() IS
	'what clerk.audit() finds missing for policies to be fast';

-- What the policies of a table read, as PostgreSQL expands them: the policies for SELECT of what is
-- in a subquery, unless it is read as a role for which they do not count.
CREATE FUNCTION clerk_internal.policy_reads(items clerk_internal.code_item[])
	RETURNS TABLE (policy oid, tab oid, command "char", role name, read oid, in_query boolean)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH RECURSIVE item AS MATERIALIZED (
		SELECT i.kind, i.id, i.calls, i.reads, CASE WHEN prosecdef THEN proowner
			WHEN pg_class.oid IS NOT NULL AND NOT coalesce((SELECT option_value::boolean
				FROM pg_options_to_table(reloptions)
				WHERE option_name = 'security_invoker'), false) THEN relowner END AS owner
		FROM unnest(items) AS i LEFT JOIN pg_proc ON pg_proc.oid = i.id AND i.kind = 'function'
		LEFT JOIN pg_class ON pg_class.oid = i.id AND i.kind = 'view'
		WHERE i.kind IN ('policy', 'function', 'view')
	), reached (policy, kind, id, reader, in_query) AS (
		SELECT item.id, item.kind, item.id, NULL::oid, true FROM item WHERE item.kind = 'policy'
			AND (item.calls <> '{}' OR item.reads <> '{}')
		UNION
		SELECT reached.policy, next.kind, next.id,
			-- a view reads as its owner what it names, and calls as the caller
			CASE WHEN item.kind = 'function' OR next.kind <> 'function' THEN coalesce(item.owner,
				reached.reader) ELSE reached.reader END,
			reached.in_query AND next.kind <> 'function'
		FROM reached JOIN item ON item.kind = reached.kind AND item.id = reached.id, LATERAL (
			SELECT 'function', called FROM unnest(item.calls) AS called
			UNION ALL
			SELECT CASE relkind WHEN 'v' THEN 'view' ELSE 'table' END, oid FROM pg_class
				WHERE oid = ANY (item.reads)
		) AS next (kind, id)
	)
	SELECT DISTINCT reached.policy, polrelid, polcmd, asking.role, reached.id, reached.in_query
	FROM reached JOIN pg_policy ON pg_policy.oid = reached.policy JOIN pg_class ON pg_class.oid = reached.id
	LEFT JOIN pg_roles AS reader ON reader.oid = reached.reader,
		clerk_internal.api_roles() AS asking (role)
	WHERE reached.kind = 'table' AND relrowsecurity
		AND EXISTS (SELECT FROM unnest(polroles) AS member WHERE member = 0 OR pg_has_role(asking.role,
			member, 'USAGE'))
		AND (reader.oid IS NULL
			OR (NOT (reader.rolsuper OR reader.rolbypassrls OR (pg_has_role(reader.oid, relowner, 'USAGE')
				AND NOT relforcerowsecurity))
				AND EXISTS (SELECT FROM pg_policy AS p, unnest(p.polroles) AS member
					WHERE p.polrelid = reached.id AND (member = 0
						OR pg_has_role(reader.oid, member, 'USAGE')))))
$$;
COMMENT ON FUNCTION clerk_internal.policy_reads(clerk_internal.code_item[]) IS
	'the tables with policies that a policy reads for a role of requests, in its own query or in one of a '
	'function';

CREATE FUNCTION clerk_internal.audit_recursion(items clerk_internal.code_item[])
	RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH RECURSIVE reads AS MATERIALIZED (
		SELECT * FROM clerk_internal.policy_reads(items)
	), step AS MATERIALIZED (
		SELECT DISTINCT role, tab, read, in_query FROM reads WHERE command IN ('r', '*')
	), way (role, tab, reached, in_query) AS (
		SELECT role, tab, read, in_query FROM step
		UNION
		SELECT way.role, way.tab, step.read, way.in_query AND step.in_query
		FROM way JOIN step ON step.role = way.role AND step.tab = way.reached
	), circle AS (
		SELECT DISTINCT ON (reads.policy) reads.policy, reads.tab, reads.read, reads.in_query
		FROM reads
		WHERE (reads.in_query OR reads.command IN ('r', '*'))
			AND (reads.read = reads.tab OR EXISTS (
				SELECT FROM way WHERE way.role = reads.role AND way.tab = reads.read
					AND way.reached = reads.tab
					AND (way.in_query OR reads.command IN ('r', '*'))))
			-- a policy for another command may read its own table, if those for SELECT read none
			AND EXISTS (SELECT FROM step WHERE step.role = reads.role AND step.tab = reads.tab
				AND (step.in_query OR NOT reads.in_query))
		ORDER BY reads.policy, reads.read <> reads.tab, reads.read
	)
	SELECT 'error', 'policy-recursion', item.object,
		format('%s → %s%s: it asks the table whose policy it is, and so itself, for which every query fails '
			'(42P17, or 54001 in a function)',
			item.object, read::regclass, CASE WHEN read <> circle.tab THEN format(' → %s',
				circle.tab::regclass) ELSE '' END),
		'-- let a SECURITY DEFINER function ask the table, whose owner its policies do not hold'
	FROM circle JOIN unnest(items) AS item ON item.kind = 'policy' AND item.id = circle.policy
$$;
COMMENT ON FUNCTION clerk_internal.audit_recursion(clerk_internal.code_item[]) IS
	'what clerk.audit() finds in policies that lead back to themselves';

-- Tables

-- Whose rows they are decides a table of the application that maps Clerk ids to local ids, or to
-- whatever policies look up in it.
CREATE FUNCTION clerk_internal.id_tables(items clerk_internal.code_item[]) RETURNS TABLE (tab oid,
	columns name[])
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH asked AS (
		SELECT pg_class.oid AS tab, attname, attnum, relname, item.code
		FROM unnest(items) AS item, unnest(item.reads) AS read JOIN pg_class ON pg_class.oid = read, (VALUES
			('\mclerk\.(?:uid|mapped_id|mapped_bigint|mapped_text)\(\)|\mauth\.uid\(\)',
				'(?:(?:\w+|"[^"]+")\.)?("[^"]+"|\w+)')
		) AS side (caller, col), LATERAL (VALUES
			(col || '\)*(?:::\w+)? = \(*(?:' || caller || ')'), ('(?:' || caller || ')\)*(?:::\w+)? = \(*'
				|| col)
		) AS comparison (pattern), regexp_matches(item.code, pattern, 'gi') AS compared
		JOIN pg_attribute ON quote_ident(attname) IN (compared[1], lower(compared[1])) AND attnum > 0
		WHERE attrelid = pg_class.oid AND relkind IN ('r', 'p') AND pg_class.oid <> item.tab
			AND clerk_internal.is_audited('pg_class', pg_class.oid, relnamespace)
			AND EXISTS (SELECT FROM pg_index WHERE indrelid = pg_class.oid AND indisunique AND indnkeyatts = 1
				AND indkey[0] = attnum)
	), told AS (
		SELECT tgrelid AS tab, attname
		FROM pg_trigger, unnest(clerk_internal.tracked_columns(tgrelid)) AS attname
		WHERE tgfoid = 'clerk_internal.track_id()'::regprocedure
		UNION
		SELECT tab, attname FROM asked
		UNION
		SELECT tab, pg_attribute.attname
		FROM asked JOIN pg_index ON indrelid = tab AND indisprimary JOIN pg_attribute ON attrelid = tab
			AND pg_attribute.attnum = ANY (indkey)
		UNION
		SELECT tab, pg_attribute.attname
		FROM asked, regexp_matches(code, 'select (?:\w+\.)?("[^"]+"|\w+) from (?:only )?(?:\w+\.)?"?'
			|| regexp_replace(relname, '\W', '\\\&', 'g')
			|| '"?(?!\w)', 'gi') AS selected
		JOIN pg_attribute ON quote_ident(pg_attribute.attname) IN (selected[1], lower(selected[1]))
			AND pg_attribute.attnum > 0
		WHERE attrelid = tab
	)
	SELECT tab, array_agg(DISTINCT attname ORDER BY attname) FROM told GROUP BY tab
$$;
COMMENT ON FUNCTION clerk_internal.id_tables(clerk_internal.code_item[]) IS
	'the tables in which code looks up what belongs to a Clerk id, or that are tracked, and the columns '
	'that decide';

CREATE FUNCTION clerk_internal.audit_ids(items clerk_internal.code_item[])
	RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH deciding AS MATERIALIZED (
		SELECT id_tables.*, (SELECT string_agg(quote_ident(col), ', ' ORDER BY col)
			FROM unnest(columns) AS col) AS list,
			(SELECT string_agg(regexp_replace(col, '\W', '\\\&', 'g'), '|')
				FROM unnest(columns) AS col) AS pattern
		FROM clerk_internal.id_tables(items)
	)
	SELECT 'error', 'ids-writable', format('table %s', tab::regclass),
		format('who a Clerk id is stands there, and %s can update one of: %s', roles, list),
		coalesce(clerk_internal.without_update(tab, columns),
			'-- take UPDATE of these columns from these roles, which have it as owners or members')
	FROM deciding, clerk_internal.roles_updating(tab, columns) AS roles
	WHERE roles IS NOT NULL
	UNION ALL
	SELECT 'error', 'ids-writable', item.object,
		format('%s can call it, and it updates one of the columns of table %s that say who a Clerk id is: %s',
			roles, deciding.tab::regclass, list),
		format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC, %s', pg_proc.oid::regprocedure, roles)
	FROM deciding, unnest(items) AS item JOIN pg_proc ON pg_proc.oid = item.id AND prosecdef,
		clerk_internal.roles_calling(pg_proc.oid) AS roles
	WHERE item.kind = 'function' AND item.reads @> ARRAY[deciding.tab] AND roles IS NOT NULL
		AND item.code ~* format('\m(?:update|do update set)\M(?:(?!\mwhere\M)[^;])*\m"?(?:%s)"? ?=', pattern)
$$;
COMMENT ON FUNCTION clerk_internal.audit_ids(clerk_internal.code_item[]) IS
	'what clerk.audit() finds in tables that say who a Clerk id is';

-- What Supabase's services keep for themselves, and have policies or none for as they need it.
CREATE FUNCTION clerk_internal.is_platform_table(tab oid) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT EXISTS (
		SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace JOIN (VALUES
			('storage',
				'^(objects|buckets(_\w+)?|migrations|prefixes|s3_multipart_\w+|iceberg_\w+|vector_\w+)$'),
			('realtime', '^(messages(_\w+)?|subscription|schema_migrations|tenants|extensions)$'),
			('supabase_functions', '^(hooks|migrations)$')
		) AS platform (schema, pattern) ON nspname = schema AND relname ~ pattern
		WHERE pg_class.oid = tab)
$$;
COMMENT ON FUNCTION clerk_internal.is_platform_table(oid) IS
	'whether a table is one that Supabase''s services make';

CREATE FUNCTION clerk_internal.protecting(tab oid) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT CASE count(*) WHEN 1 THEN format('SELECT clerk.protect(%L, owner => %L%s, dry_run => false)',
		tab::regclass, min(attname),
		CASE WHEN min(role) <> 'authenticated' THEN format(', role => %L', min(role)) END) END
	FROM pg_attribute, LATERAL (
		SELECT min(role) FROM clerk_internal.api_roles() AS role
			WHERE role <> clerk_internal.anon_role()) AS signed_in (role)
	WHERE attrelid = tab AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND role IS NOT NULL
		AND attname IN ('user_id', 'owner_id', 'owner', 'clerk_id', 'clerk_user_id')
		AND atttypid IN ('text'::regtype, 'varchar'::regtype, 'uuid'::regtype)
$$;
COMMENT ON FUNCTION clerk_internal.protecting(oid) IS
	'the call of clerk.protect() for a table in which one column says by its name whose a row is; NULL: '
	'none does, or several do';

CREATE FUNCTION clerk_internal.audit_tables() RETURNS TABLE (severity text, finding text, object text,
	detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH tables AS MATERIALIZED (
		SELECT pg_class.*, pg_class.oid::regclass AS tab, EXISTS (SELECT FROM pg_policy
			WHERE polrelid = pg_class.oid) AS has_policy,
			clerk_internal.roles_reaching(pg_class.oid,
				CASE WHEN relkind IN ('r', 'p') THEN 'SELECT, INSERT, UPDATE, DELETE'
					ELSE 'SELECT' END) AS roles,
			clerk_internal.is_platform_table(pg_class.oid) AS is_platform,
			-- these the services leave to policies
			pg_class.oid IN (to_regclass('storage.objects'), to_regclass('storage.buckets'),
				to_regclass('realtime.messages')) AS is_shared
		FROM pg_class
		WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND clerk_internal.is_audited('pg_class', pg_class.oid,
			relnamespace)
	)
	SELECT 'error', 'rls-disabled', format('table %s', tab),
		format('%s can reach it, and row-level security is off%s', roles,
			CASE WHEN has_policy THEN ', so its policies do nothing' ELSE '' END),
		CASE WHEN relnamespace::regnamespace::text IN ('auth', 'vault')
			THEN format('REVOKE ALL ON %s FROM PUBLIC, %s', tab, roles)
			ELSE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', tab) END
	FROM tables
	WHERE relkind IN ('r', 'p') AND NOT relrowsecurity AND roles IS NOT NULL
		AND (is_shared OR NOT is_platform)
	UNION ALL
	SELECT 'warning', 'rls-without-policy', format('table %s', tab),
		format('%s can reach it, and sees no row, as it has no policy', roles),
		coalesce(clerk_internal.protecting(oid),
			'-- say whose its rows are: clerk.protect() takes the column; or take the privileges back')
	FROM tables
	WHERE relkind IN ('r', 'p') AND relrowsecurity AND NOT has_policy AND roles IS NOT NULL
		AND NOT is_platform AND relnamespace::regnamespace::text NOT IN ('auth', 'vault')
	UNION ALL
	SELECT 'error', 'view-of-owner', format('view %s', tab),
		format('%s can read it, and it reads with the rights of its owner, for whom policies may not count',
			roles),
		format('ALTER VIEW %s SET (security_invoker = true)', tab)
	FROM tables
	WHERE relkind = 'v' AND roles IS NOT NULL
		AND NOT EXISTS (SELECT FROM pg_options_to_table(reloptions) WHERE option_name = 'security_invoker'
			AND option_value::boolean)
	UNION ALL
	SELECT 'error', CASE relkind WHEN 'm' THEN 'materialized-view' ELSE 'foreign-table' END,
		format('%s %s', CASE relkind WHEN 'm' THEN 'materialized view' ELSE 'foreign table' END, tab),
		format('%s can read it, and it cannot have policies', roles),
			format('REVOKE ALL ON %s FROM PUBLIC, %s', tab, roles)
	FROM tables WHERE relkind IN ('m', 'f') AND roles IS NOT NULL
	UNION ALL
	SELECT 'error', 'role-owns-table', format('table %s', tab),
		format('role %I owns it, so no policy counts for that role', role),
		format('ALTER TABLE %s OWNER TO %I', tab, current_user)
	FROM tables, clerk_internal.api_roles() AS role, pg_roles
	WHERE relkind IN ('r', 'p') AND NOT relforcerowsecurity AND rolname = role AND NOT rolsuper
		AND pg_has_role(role, relowner, 'USAGE')
$$;
COMMENT ON FUNCTION clerk_internal.audit_tables() IS 'what clerk.audit() finds in tables and views';

-- A trigger is code of whoever made it, and runs as who writes to the table.
CREATE FUNCTION clerk_internal.audit_grants() RETURNS TABLE (severity text, finding text, object text,
	detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH granted AS (
		SELECT c.oid::regclass AS tab, acl.grantee, acl.privilege_type, relname
		FROM pg_class AS c, aclexplode(relacl) AS acl
		WHERE relnamespace IN (to_regnamespace('clerk'), to_regnamespace('clerk_internal'))
			AND relkind IN ('r', 'v', 'S')
			AND acl.grantee <> relowner
		UNION
		SELECT c.oid::regclass, acl.grantee, acl.privilege_type, relname
		FROM pg_class AS c JOIN pg_attribute ON attrelid = c.oid, aclexplode(attacl) AS acl
		WHERE relnamespace IN (to_regnamespace('clerk'), to_regnamespace('clerk_internal'))
			AND relkind IN ('r', 'v')
			AND acl.grantee <> relowner
	), named AS (
		SELECT *, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END AS grantee_name,
			grantee = 0 OR EXISTS (SELECT FROM clerk_internal.api_roles() AS role WHERE pg_has_role(role,
				grantee, 'USAGE')) AS is_api
		FROM granted
	)
	SELECT 'error', 'clerk-table-granted', format('table %s', tab),
		format('%s has %s on it, and could decide who is signed in, or read a secret', grantee_name,
			string_agg(privilege_type, ', ' ORDER BY privilege_type)),
		format('REVOKE %s ON %s FROM %s', string_agg(privilege_type, ', ' ORDER BY privilege_type), tab,
			grantee_name)
	FROM named
	WHERE privilege_type IN ('TRIGGER', 'REFERENCES')
		OR (is_api AND (privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE') OR relname ~ 'secret'))
	GROUP BY tab, grantee_name
$$;
COMMENT ON FUNCTION clerk_internal.audit_grants() IS
	'what clerk.audit() finds in the privileges on our own tables';

CREATE FUNCTION clerk_internal.audit_extensions() RETURNS TABLE (severity text, finding text, object text,
	detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT severity, 'extension-writable', format('extension %s', extension), consequence || ': ' || writers,
		coalesce(clerk_internal.without_extension_writers(extension),
			'-- give what it has made to a superuser')
	FROM (VALUES
		('http', 'error', 'others could answer in its place when it fetches keys'),
		('pg_net', 'warning', 'others could choose the keys that it fetches, so it is not used'),
		('pg_cron', 'error', 'others could change the jobs that it runs')
	) AS used (extension, severity, consequence), clerk_internal.extension_writers(extension) AS writers
	WHERE writers IS NOT NULL
		-- of the two that fetch, this is used only where the other is not
		AND NOT (extension = 'pg_net' AND clerk_internal.extension_schema('http') IS NOT NULL)
$$;
COMMENT ON FUNCTION clerk_internal.audit_extensions() IS
	'what clerk.audit() finds in the extensions that fetch keys and run jobs';

-- Roles and instances

CREATE FUNCTION clerk_internal.audit_roles() RETURNS TABLE (severity text, finding text, object text,
	detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT 'error', 'role-bypasses-rls', format('role %I', rolname),
		CASE WHEN rolsuper THEN 'it is a superuser' ELSE 'it has BYPASSRLS' END
			|| ', so no policy counts for it',
		format('ALTER ROLE %I NOSUPERUSER NOBYPASSRLS', rolname)
	FROM pg_roles WHERE rolname IN (SELECT clerk_internal.api_roles()) AND (rolsuper OR rolbypassrls)
	UNION ALL
	SELECT 'error', 'role-missing', format('role %I', role), said_by || ' names it, and it does not exist',
		format('CREATE ROLE %I', role)
	FROM (
		SELECT clerk_internal.anon_role(), 'clerk.anon_role'
		UNION ALL
		SELECT instance.role, format('instance %s', instance.issuer) FROM clerk.instances AS instance
	) AS named (role, said_by)
	WHERE role <> '' AND to_regrole(quote_ident(role)) IS NULL
	UNION ALL
	SELECT CASE WHEN rolname IS NULL OR rolname IN (SELECT clerk_internal.api_roles()) THEN 'error'
		ELSE 'warning' END,
		'trust-request-claims', format('%s %I', kind, name),
			'clerk.trust_request_claims is on there: whoever can run SQL can be anybody',
		format('ALTER %s %I%s RESET clerk.trust_request_claims', upper(kind), name, ' IN DATABASE '
			|| quote_ident(only_in))
	FROM pg_db_role_setting LEFT JOIN pg_roles AS role ON role.oid = setrole LEFT
		JOIN pg_database AS database ON database.oid = setdatabase,
		LATERAL (SELECT CASE setrole WHEN 0 THEN 'database' ELSE 'role' END, coalesce(rolname, datname),
			CASE WHEN setrole <> 0 THEN datname END) AS place (kind, name, only_in)
	WHERE (setdatabase = 0 OR datname = current_database()) AND EXISTS (
		SELECT FROM unnest(setconfig) AS value
			WHERE value ~* '^clerk\.trust_request_claims=(on|t|tr|tru|true|y|ye|yes|1)$')
$$;
COMMENT ON FUNCTION clerk_internal.audit_roles() IS 'what clerk.audit() finds in roles and their settings';

CREATE FUNCTION clerk_internal.audit_instances() RETURNS TABLE (severity text, finding text, object text,
	detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT 'warning', 'authorized-parties-missing', format('instance %s', instance.issuer),
		'a token that was made for any other site of the instance counts',
		'-- only you know the origins of your application: UPDATE clerk.instances SET authorized_parties'
	FROM clerk.instances AS instance WHERE instance.authorized_parties IS NULL
	UNION ALL
	SELECT 'warning', 'legacy-template-expired', format('instance %s', instance.issuer),
		'legacy_template_until is over, so that the tokens of its old template are refused',
		format('UPDATE clerk.instances SET legacy_template_until = NULL WHERE issuer = %L', instance.issuer)
	FROM clerk.instances AS instance WHERE instance.legacy_template_until <= now()
$$;
COMMENT ON FUNCTION clerk_internal.audit_instances() IS
	'what clerk.audit() finds in the settings of instances';

CREATE FUNCTION clerk_internal.audit_health() RETURNS TABLE (severity text, finding text, object text,
	detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH can AS (
		SELECT clerk_internal.extension_schema('http') IS NOT NULL
				OR (clerk_internal.extension_schema('pg_net') IS NOT NULL
					AND clerk_internal.extension_writers('pg_net') IS NULL) AS fetches,
			clerk_internal.extension_schema('pg_cron') IS NOT NULL AS schedules,
			EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND deptype = 'n'
				AND refclassid = 'pg_proc'::regclass
					AND refobjid = to_regprocedure('clerk.webhook(json)')) AS receives,
			to_regrole(quote_ident(clerk_internal.anon_role())) IS NOT NULL
				AND to_regnamespace('public') IS NOT NULL
				AND to_regprocedure('public.clerk_webhook(json)') IS NULL AS exposes
	), fetching AS (
		SELECT CASE WHEN fetches THEN 'SELECT clerk.refresh_jwks(%L)'
			ELSE '-- nothing in the database can fetch them: the error of clerk.refresh_jwks() says how a '
				'shell can' END AS fix
		FROM can
	)
	SELECT 'error', 'keys-missing', format('instance %s', health.issuer),
		'it has no key, so none of its tokens can be verified',
		format(fetching.fix, health.issuer)
	FROM clerk.health() AS health, fetching WHERE health.current_keys + health.retiring_keys = 0
	UNION ALL
	SELECT 'warning', 'refresh-failing', format('instance %s', health.issuer),
		format('fetching its keys has failed: %s', health.refresh_failure), format(fetching.fix,
			health.issuer)
	FROM clerk.health() AS health, fetching WHERE health.refresh_failure IS NOT NULL
	UNION ALL
	SELECT 'notice', 'keys-unattended', format('instance %s', health.issuer),
		'its newest key is older than 90 days, and nothing in the database fetches keys',
		CASE WHEN fetches AND schedules THEN format('SELECT clerk.schedule_jwks_refresh(%L)', '5 minutes')
			ELSE '-- let something fetch them: pg_cron with the extension http or pg_net, or cron' END
	FROM clerk.health() AS health, can
	WHERE health.newest_key_age > interval '90 days'
		AND coalesce(health.refreshed_at < now() - interval '1 day', true)
	UNION ALL
	SELECT 'notice', 'webhook-silent', format('instance %s', health.issuer),
		'it has a secret for webhooks, and none has ever come: send an example from Clerk''s Dashboard',
		CASE WHEN exposes AND NOT receives THEN format('SELECT clerk.expose_webhook(%L)', 'public')
			ELSE '-- see whether the Dashboard has the address of the function that calls clerk.webhook()' END
	FROM clerk.health() AS health, can WHERE health.webhook_secrets > 0 AND health.last_event_at IS NULL
$$;
COMMENT ON FUNCTION clerk_internal.audit_health() IS
	'what clerk.audit() finds in the keys and webhooks of instances';

-- SECURITY DEFINER: the owner of the database need not be allowed to read the tables of clerk.
CREATE FUNCTION clerk.audit() RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	items clerk_internal.code_item[];
BEGIN
	PERFORM clerk.is_authenticated();	-- loads the library, which knows the setting
	items := ARRAY(SELECT item FROM clerk_internal.requested_code() AS item);
	RETURN QUERY
		SELECT f.* FROM (
			SELECT * FROM clerk_internal.audit_code(items)
			UNION ALL SELECT * FROM clerk_internal.audit_settings(items)
			UNION ALL SELECT * FROM clerk_internal.audit_presets(items)
			UNION ALL SELECT * FROM clerk_internal.audit_flavour()
			UNION ALL SELECT * FROM clerk_internal.audit_volatility(items)
			UNION ALL SELECT * FROM clerk_internal.audit_functions(items)
			UNION ALL SELECT * FROM clerk_internal.audit_policies()
			UNION ALL SELECT * FROM clerk_internal.audit_indexes()
			UNION ALL SELECT * FROM clerk_internal.audit_recursion(items)
			UNION ALL SELECT * FROM clerk_internal.audit_ids(items)
			UNION ALL SELECT * FROM clerk_internal.audit_tables()
			UNION ALL SELECT * FROM clerk_internal.audit_grants()
			UNION ALL SELECT * FROM clerk_internal.audit_extensions()
			UNION ALL SELECT * FROM clerk_internal.audit_supabase()
			UNION ALL SELECT * FROM clerk_internal.audit_citus()
			UNION ALL SELECT * FROM clerk_internal.audit_roles()
			UNION ALL SELECT * FROM clerk_internal.audit_instances()
			UNION ALL SELECT * FROM clerk_internal.audit_health()
		) AS f
		ORDER BY array_position('{error,warning,notice}', f.severity), f.finding COLLATE "C",
			f.object COLLATE "C", f.fix COLLATE "C";
END
$$;
COMMENT ON FUNCTION clerk.audit() IS
	'what will not do what it seems to: code, tables, policies, functions, roles and instances, each with a '
	'statement that mends it, or a comment that says why only you can';
