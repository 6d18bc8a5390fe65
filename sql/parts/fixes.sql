--
-- fixes.sql
--		Code that asks clerk.uid() and the like where it asked what is not verified, is never there,
--		or is spelled otherwise; and the statements that put it in the place of the old.
--
-- Uses code.
--

-- The rules run until nothing changes. They read what PostgreSQL prints, and near enough what
-- people write. Between them, <uid> and <org> stand for an id that was a uuid: where it is cast to
-- text the column holds Clerk's id, and where it stays a uuid the local one.
CREATE FUNCTION clerk_internal.verified_code(code text, in_function boolean DEFAULT false,
	text_place text DEFAULT NULL)
	RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	-- %s: a pattern of names
	setting constant text := '\m(?:pg_catalog\.)?current_setting\s*\(\s*''%s''(?:::text)?\s*'
		'(?:,\s*(?:true|false)\s*)?\)';
	auth constant text := '"?\mauth"?\."?%s"?\s*\(\s*\)';
	-- that of install_auth_shim() stays: it is a local id, also as text
	auth_uid constant text :=
		CASE WHEN clerk_internal.is_unverified('auth.uid()') THEN format(auth, 'uid') END;
	auth_role constant text :=
		CASE WHEN clerk_internal.is_unverified('auth.role()') THEN format(auth, 'role') END;
	role constant text := CASE WHEN in_function
		-- CURRENT_USER is the owner of the last SECURITY DEFINER function
		THEN 'coalesce(nullif(current_setting(''role''), ''none''), session_user)'
			ELSE '(CURRENT_USER)::text' END;
	inside constant text := '(?:[^()]|\((?:[^()]|\([^()]*\))*\))+?';
	empty constant text := '''(?:\{\})?''(?:::\w+)?';
	json_text constant text := '\(clerk\.jwt\(\)\)::text';
	json constant text := '(?:\(clerk\.jwt\(\)\)::json|clerk\.jwt\(\))(?:::jsonb?)?';
	-- the same in a scalar subquery, in parentheses or bare
	claims constant text := format('(?:%1$s|(?<![\w"])\(\s*%1$s\s*\)|'
		'\(\s*select\s+%1$s(?:\s+as\s+\w+)?\s*\))', json);
	claim constant text := '\mclerk\.claim\s*\(\s*(?:variadic\s+array\[\s*)?';
	id constant text := '(clerk\.uid\(\)|clerk\.org_id\(\)|<uid>|<org>)';
	object constant text := '(?:o|act|(?:public_|private_|unsafe_|user_|app_)?metadata)(?:\.\w+)*';
	texts constant text := '(?:text|varchar|character varying)(?:\(\d+\))?(?!\w)';
	open constant text := '(?<![\w"])\(\s*';	-- not of a call
	of_select constant text := 'select\s+' || id || '(?:\s+as\s+\w+)?\s*\)';
	org_role constant text := '\mclerk\.org_role\(\)(?:(?:\s+as\s+org_role)?\s*\))?\s*';
	equals constant text := '(?:=|<>|!=)\s*';
	rule record;
	was text;
BEGIN
	FOR round IN 1 .. 10 LOOP
		was := code;
		-- each with a word without which it cannot match, since to look for that costs less
		FOR rule IN
			SELECT * FROM (VALUES
				('cast', '\mcast\s*\(\s*(' || inside || ')\s+as\s+(\w+)\s*\)', '(\1)::\2'),
				-- the settings of PostgREST, of this and older versions
				('setting', format(setting, 'request\.jwt\.claims?'), '(clerk.jwt())::text'),
				('setting', format(setting, 'request\.jwt\.claims?\.sub'), 'clerk.uid()'),
				('setting', format(setting, 'request\.jwt\.claims?\.(\w+)'), 'clerk.claim(''\1'')'),
				('nullif', '\mnullif\s*\(\s*\(?(' || json_text || '|clerk\.\w+\((?:''\w+'')?\))\)?\s*,\s*'
					|| empty || '\s*\)', '\1'),
				('coalesce', '\mcoalesce\s*\(\s*' || json_text || '\s*,\s*(?:' || json_text || '|' || empty
					|| ')\s*\)',
					'(clerk.jwt())::text'),
				('coalesce', '\mcoalesce\s*\(\s*clerk\.uid\(\)\s*,\s*\(?clerk\.uid\(\)\)?\s*\)',
					'clerk.uid()'),
				('::json', open || json_text || '\s*\)::jsonb', 'clerk.jwt()'),
				('::json', open || json_text || '\s*\)::json(?!b)', '(clerk.jwt())::json'),
				('::json', json_text || '::jsonb', 'clerk.jwt()'),
				('::json', json_text || '::json(?!b)', '(clerk.jwt())::json'),
				-- the functions of Supabase Auth
				('auth', auth_uid, '<uid>'),
				('auth', format(auth, 'jwt'), 'clerk.jwt()'),
				('auth', format(auth, 'email'), 'clerk.claim(''email''::text)'),
				('auth', auth_role, role),
				-- claims by name
				('''sub''', claims || '\s*->>\s*''sub''(?:::text)?', 'clerk.uid()'),
				('''sub''', claim || '''sub''(?:::text)?\s*\]?\s*\)', 'clerk.uid()'),
				('id''', claims || '\s*->>\s*''(?:org_id|o\.id)''(?:::text)?', 'clerk.org_id()'),
				('id}''', claims || '\s*#>>\s*''\{o[.,]\s*id\}''(?:::text\[\])?', 'clerk.org_id()'),
				('''o''', open || claims || '\s*->\s*''o''(?:::text)?\s*\)\s*->>\s*''id''(?:::text)?',
					'clerk.org_id()'),
				('''o''', claims || '\s*->\s*''o''\s*->>\s*''id''', 'clerk.org_id()'),
				('o.id', claim || '''o\.id''(?:::text)?\s*\]?\s*\)', 'clerk.org_id()'),
				('claim', '(' || claim || '(?:''\w+''(?:::text)?,\s*)*)''(' || object || ')\.(\w+)''',
					'\1''\2''::text, ''\3'''),
				('->', '(->>?)\s*''(' || object || ')\.(\w+)''(?:::text)?', '#\1 ''{\2,\3}''::text[]'),
				('#->', '#->', '#>'),
				('#>', '(#>>?\s*''\{(?:\w+,\s*)*)(' || object || ')\.(\w+)', '\1\2,\3'),
				('#>', '(#>>?\s*''\{(?:\w+,)*\w+)\.(\w+(?:,\w+)*\}''::text\[\])', '\1,\2'),
				-- parentheses and casts
				('(clerk.', '(?<![\w"]|[\w"]\s)\((clerk\.(?:uid|org_id)\(\))\)', '\1'),
				('((', '\(\(' || id || '\)\)', '(\1)'),
				('select', '(\mselect\s+)\(' || id || '\)(?!\s*::)', '\1\2'),
				('select', open || '\(\s*' || of_select || '\s*\)(?=\s*::)', '\1'),
				('select', open || of_select || '(?=\s*::)', '\1'),
				('::', open || id || '\s*\)(?=\s*::)', '\1'),
				('::', 'clerk\.uid\(\)\s*::\s*uuid', '<uid>'),
				('::', 'clerk\.org_id\(\)\s*::\s*uuid', '<org>'),
				('::', 'clerk\.uid\(\)\s*::\s*(?:bigint|int8)', 'clerk.mapped_bigint()'),
				('::', 'clerk\.org_id\(\)\s*::\s*(?:bigint|int8)', 'clerk.mapped_org_bigint()'),
				('<uid>', '<uid>\s*::\s*' || texts, 'clerk.uid()'),
				('<org>', '<org>\s*::\s*' || texts, 'clerk.org_id()'),
				('<uid>', '(' || text_place || ')<uid>(?=\s*\)?\s*(?:;|\Z|\minto\M|\mend\M))',
					'\1clerk.uid()'),
				('<uid>', '(\m(?:text|varchar)\s*(?::=|=|default)\s*)<uid>', '\1clerk.uid()'),
				('<uid>', '\(\s*select\s+<uid>(?:\s+as\s+\w+)?\s*\)\s+is\s+', 'clerk.uid() IS '),
				('<uid>', '<uid>\s+is\s+', 'clerk.uid() IS '),
				('<org>', '<org>\s+is\s+', 'clerk.org_id() IS '),
				-- the names of roles begin with org:
				('org_role', '(' || org_role || equals || ''')(?!org:)([^'':]+'')', '\1org:\2'),
				('org_role', '(?<!'')''(?!org:)([^'':]+''(?:::text)?\s*' || equals
					|| '(?:\(\s*select\s+)?clerk\.org_role\(\))',
					'''org:\1'),
				('org_role', '(' || org_role || '(?:' || equals
					|| '(?:any|all)\s*\(\s*\(?\s*array\[|(?:not\s+)?in\s*\()'
					|| '\s*(?:''org:[^'']*''(?:::text)?,\s*)*'')(?!org:)([^'':]+'')', '\1org:\2')
			) AS rules (needs, pattern, replacement)
			WHERE pattern IS NOT NULL
		LOOP
			IF strpos(lower(code), rule.needs) > 0 THEN
				code := regexp_replace(code, rule.pattern, rule.replacement, 'gi');
			END IF;
		END LOOP;
		EXIT WHEN code = was;
	END LOOP;
	RETURN replace(replace(code, '<uid>', 'clerk.mapped_id()'), '<org>', 'clerk.mapped_org_id()');
END
$$;
COMMENT ON FUNCTION clerk_internal.verified_code(text, boolean, text) IS
	'masked code that asks clerk.uid() and the like where it asked request.jwt.claims or the functions of '
	'Supabase Auth, and spells claims and roles as they are; whether it is in a function, and a pattern of '
	'what stands before a value that becomes text';

-- A uuid becomes text without a cast where a function returns it, or a trigger puts it into a column.
CREATE FUNCTION clerk_internal.text_place(function oid) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	RETURN (
		SELECT CASE
			WHEN prorettype IN ('text'::regtype, 'varchar'::regtype) THEN '\m(?:return|select)\s+\(?'
			WHEN prorettype = 'trigger'::regtype THEN (
				SELECT '\mnew\.(?:' || string_agg(DISTINCT regexp_replace(attname, '\W', '\\\&', 'g'), '|')
					|| ')\s*:?=\s*'
				FROM pg_trigger JOIN pg_attribute ON attrelid = tgrelid
				WHERE tgfoid = function AND atttypid IN ('text'::regtype, 'varchar'::regtype) AND attnum > 0)
		END
		FROM pg_proc WHERE oid = function);
END
$$;
COMMENT ON FUNCTION clerk_internal.text_place(oid) IS
	'a pattern of what stands before a value that a function makes text';

-- A function that only hands on who the user is can be asked in its place where that is cast.
CREATE FUNCTION clerk_internal.handing_on(value text) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT format('^ ?(?:declare (\w+)(?: constant)? [\w ]+ (?::=|=|default) \(*(%1$s)\)*; begin return \1'
		'|(?:begin )?(?:return|select) \(*(%1$s)\)*);? ?(?:end;?)? ?$', value)
$$;
COMMENT ON FUNCTION clerk_internal.handing_on(text) IS
	'the pattern of the plain code of a function that returns what a pattern matches, its second or third '
	'group, and nothing else';

CREATE FUNCTION clerk_internal.call_pattern(function oid) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT format('(?:(?<![\w$])"?%s"?\.)?(?<![\w$])"?%s"?\s*\(',
		regexp_replace(replace(nspname, '"', '""'), '\W', '\\\&', 'g'),
			regexp_replace(replace(proname, '"', '""'), '\W', '\\\&', 'g'))
	FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace WHERE pg_proc.oid = function
$$;
COMMENT ON FUNCTION clerk_internal.call_pattern(oid) IS
	'the pattern of a call of a function, up to its arguments';

CREATE FUNCTION clerk_internal.id_functions(items clerk_internal.code_item[])
	RETURNS TABLE (function oid, name text, asks text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH RECURSIVE short AS (
		SELECT item.id, item.calls, clerk_internal.call_pattern(item.id) || '\s*\)' AS name,
			clerk_internal.verified_code(item.code, text_place => clerk_internal.text_place(item.id)) AS code,
			-- it may cast a local id to text, but not an id that ought to be Clerk's
			item.code ~ '\mclerk\.mapped_' AS is_verified
		FROM unnest(items) AS item JOIN pg_proc ON pg_proc.oid = item.id
		WHERE item.kind = 'function' AND pronargs = 0 AND length(item.code) < 400
	), handed_on (id, name, asks) AS (
		SELECT short.id, short.name, CASE
			WHEN short.is_verified OR body.asks IN ('clerk.uid()', 'clerk.org_id()', 'auth.uid()')
				THEN body.asks
			WHEN body.asks = 'clerk.mapped_id()' THEN 'clerk.uid()::uuid'
			ELSE 'clerk.org_id()::uuid' END
		FROM short, regexp_match(short.code,
			clerk_internal.handing_on('clerk\.(?:uid|org_id|mapped_id|mapped_org_id)\(\)|auth\.uid\(\)'),
				'i') AS m,
			LATERAL (SELECT coalesce(m[2], m[3])) AS body (asks)
		WHERE body.asks IS NOT NULL
		UNION
		SELECT short.id, short.name, handed_on.asks
		FROM handed_on JOIN short ON short.calls = ARRAY[handed_on.id]
			AND short.code ~* clerk_internal.handing_on(handed_on.name)
	)
	SELECT * FROM handed_on
$$;
COMMENT ON FUNCTION clerk_internal.id_functions(clerk_internal.code_item[]) IS
	'the functions of the application that return the id of the user or organization and nothing else, the '
	'pattern of a call, and the expression that it stands for';

CREATE FUNCTION clerk_internal.without_id_functions(code text, names text[], asks text[]) RETURNS text
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	FOR n IN 1 .. coalesce(cardinality(names), 0) LOOP
		code := regexp_replace(code, names[n]
			|| '(?=(?:\s+as\s+\w+)?[)\s]*(?:\s+as\s+\w+)?[)\s]*::\s*(?:text|varchar|character '
				'varying|uuid|bigint|int8)\M)', asks[n], 'gi');
	END LOOP;
	RETURN code;
END
$$;
COMMENT ON FUNCTION clerk_internal.without_id_functions(text, text[], text[]) IS
	'code in which what id_functions() has found is replaced where its result is cast';

-- Storage keeps the id of the token in owner_id; owner is of type uuid, so that no Clerk id is ever there.
CREATE FUNCTION clerk_internal.is_storage(tab oid) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT tab IN (to_regclass('storage.objects'), to_regclass('storage.buckets')) $$;
COMMENT ON FUNCTION clerk_internal.is_storage(oid) IS
	'whether this is one of the tables of Supabase Storage that have an owner';

CREATE FUNCTION clerk_internal.storage_code(code text) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	mapped constant text := '(?:clerk\.mapped_id\(\)|\( SELECT clerk\.mapped_id\(\) AS \w+\))';
BEGIN
	-- also that of install_auth_shim()
	code := regexp_replace(code, '\m(?:auth\.uid|clerk\.mapped_id)\(\)', 'clerk.uid()::uuid', 'g');
	code := clerk_internal.verified_code(code);
	code := regexp_replace(code, '(?<!\.)\mowner = ' || mapped, 'owner_id = clerk.uid()', 'g');
	RETURN regexp_replace(code, mapped || ' = owner(?!\w)', 'clerk.uid() = owner_id', 'g');
END
$$;
COMMENT ON FUNCTION clerk_internal.storage_code(text) IS
	'the masked code of a policy on storage.objects or storage.buckets, with Clerk''s id as the owner';

CREATE FUNCTION clerk_internal.expression_with(expression text, tab oid, names text[], asks text[])
	RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	RETURN (
		SELECT clerk_internal.unmask_code(CASE WHEN clerk_internal.is_storage(tab)
			THEN clerk_internal.storage_code(asking)
			ELSE clerk_internal.verified_code(asking) END, masked.pieces)
		FROM clerk_internal.mask_code(expression) AS masked,
			clerk_internal.without_id_functions(masked.code, names, asks) AS asking
		WHERE expression IS NOT NULL);
END
$$;
COMMENT ON FUNCTION clerk_internal.expression_with(text, oid, text[], text[]) IS
	'an expression of a table that asks who is verified';

-- Each of these returns NULL where it knows no statement.

CREATE FUNCTION clerk_internal.policy_with(policy oid, names text[], asks text[]) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	RETURN (
		SELECT format('ALTER POLICY %I ON %s', polname, polrelid::regclass)
			|| coalesce(' USING (' || clerk_internal.expression_with(pg_get_expr(polqual, polrelid), polrelid,
				names, asks) || ')', '')
			|| coalesce(' WITH CHECK (' || clerk_internal.expression_with(pg_get_expr(polwithcheck, polrelid),
				polrelid, names, asks) || ')', '')
		FROM pg_policy WHERE oid = policy);
END
$$;
COMMENT ON FUNCTION clerk_internal.policy_with(oid, text[], text[]) IS
	'the statement that makes a policy ask who is verified';

CREATE FUNCTION clerk_internal.view_with(view oid, names text[], asks text[]) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	RETURN (
		SELECT format('CREATE OR REPLACE VIEW %s%s AS %s', oid::regclass,
			' WITH (' || (SELECT string_agg(format('%I = %L', option_name, option_value), ', ')
				FROM pg_options_to_table(reloptions)) || ')',
			rtrim(clerk_internal.expression_with(pg_get_viewdef(view), NULL, names, asks), ';'))
		FROM pg_class WHERE oid = view);
END
$$;
COMMENT ON FUNCTION clerk_internal.view_with(oid, text[], text[]) IS
	'the statement that makes a view ask who is verified';

CREATE FUNCTION clerk_internal.default_with(attrdef oid, names text[], asks text[]) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	RETURN (
		SELECT format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s', adrelid::regclass, attname,
			clerk_internal.expression_with(pg_get_expr(adbin, adrelid), NULL, names, asks))
		FROM pg_attrdef JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
		WHERE pg_attrdef.oid = attrdef AND attgenerated = '');
END
$$;
COMMENT ON FUNCTION clerk_internal.default_with(oid, text[], text[]) IS
	'the statement that makes the default of a column ask who is verified; a generated column has none';

-- NOT VALID: the rows that are there are not the caller's.
CREATE FUNCTION clerk_internal.constraint_with(con oid, names text[], asks text[]) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	RETURN (
		SELECT format('ALTER TABLE %1$s DROP CONSTRAINT %2$I, ADD CONSTRAINT %2$I CHECK (%3$s)%4$s NOT VALID',
			conrelid::regclass, conname,
			clerk_internal.expression_with(pg_get_expr(conbin, conrelid), NULL, names, asks), CASE
				WHEN connoinherit THEN ' NO INHERIT' ELSE '' END)
		FROM pg_constraint WHERE oid = con);
END
$$;
COMMENT ON FUNCTION clerk_internal.constraint_with(oid, text[], text[]) IS
	'the statement that makes a check constraint ask who is verified';

CREATE FUNCTION clerk_internal.trigger_with(trigger oid, names text[], asks text[]) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	RETURN (
		SELECT regexp_replace(clerk_internal.expression_with(pg_get_triggerdef(trigger), NULL, names, asks),
			'^CREATE ', 'CREATE OR REPLACE ')
		FROM pg_trigger WHERE oid = trigger AND tgconstraint = 0);
END
$$;
COMMENT ON FUNCTION clerk_internal.trigger_with(oid, text[], text[]) IS
	'the statement that makes the condition of a trigger ask who is verified; a constraint trigger has none';

CREATE FUNCTION clerk_internal.function_with(function oid, names text[], asks text[]) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	RETURN (
		SELECT CASE WHEN prosqlbody IS NULL THEN replace(definition, prosrc, becomes) ELSE becomes END
		FROM pg_proc JOIN pg_language ON pg_language.oid = prolang,
			pg_get_functiondef(function) AS definition,
			clerk_internal.mask_code(CASE WHEN prosqlbody IS NULL THEN prosrc ELSE definition END) AS masked,
			LATERAL (SELECT clerk_internal.unmask_code(clerk_internal.verified_code(
				clerk_internal.without_id_functions(masked.code, names, asks), true,
					clerk_internal.text_place(function)), masked.pieces)) AS body (becomes)
		WHERE pg_proc.oid = function AND prokind IN ('f', 'p') AND lanname IN ('sql', 'plpgsql')
			AND prosrc !~ '[\x01\x02]');
END
$$;
COMMENT ON FUNCTION clerk_internal.function_with(oid, text[], text[]) IS
	'the statement that makes a function ask who is verified; one in another language than SQL or PL/pgSQL '
	'has none';

CREATE FUNCTION clerk_internal.code_with(item clerk_internal.code_item, names text[], asks text[])
	RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	RETURN CASE item.kind
		WHEN 'policy' THEN clerk_internal.policy_with(item.id, names, asks)
		WHEN 'view' THEN clerk_internal.view_with(item.id, names, asks)
		WHEN 'default' THEN clerk_internal.default_with(item.id, names, asks)
		WHEN 'constraint' THEN clerk_internal.constraint_with(item.id, names, asks)
		WHEN 'trigger' THEN clerk_internal.trigger_with(item.id, names, asks)
		WHEN 'function' THEN clerk_internal.function_with(item.id, names, asks)
	END;
END
$$;
COMMENT ON FUNCTION clerk_internal.code_with(clerk_internal.code_item, text[], text[]) IS
	'the statement that makes code ask who is verified; NULL: none is known';
