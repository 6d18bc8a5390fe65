--
-- shim.sql
--		The functions of Supabase Auth, for policies that were written for it.
--
-- Uses revoke, library, settings.
--

CREATE TABLE clerk.auth_shim (
	object text CONSTRAINT auth_shim_pkey PRIMARY KEY,
	previous text
);
COMMENT ON TABLE clerk.auth_shim IS 'what clerk.install_auth_shim() created, for clerk.remove_auth_shim()';
COMMENT ON COLUMN clerk.auth_shim.object IS 'a function of schema auth, or the schema';
COMMENT ON COLUMN clerk.auth_shim.previous IS 'the definition of the function that was replaced, if any';

SELECT pg_catalog.pg_extension_config_dump('clerk.auth_shim', '');

CREATE FUNCTION clerk_internal.is_auth_shim(function regprocedure) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	-- the body of the function depends on one of ours, and stops doing so when it is replaced
	SELECT EXISTS (
		SELECT FROM pg_depend AS body
		WHERE body.classid = 'pg_proc'::regclass AND body.objid = function
			AND body.refclassid = 'pg_proc'::regclass
			AND clerk_internal.is_own(body.refclassid, body.refobjid))
$$;
COMMENT ON FUNCTION clerk_internal.is_auth_shim(regprocedure) IS
	'whether clerk.install_auth_shim() has made this function';

-- The owner of a function can replace it, and that of its schema drop it and make another.
CREATE FUNCTION clerk_internal.auth_shim_owners() RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT string_agg(format('%s belongs to %s', object, owner), '; ' ORDER BY object COLLATE "C")
	FROM (
		SELECT 'function ' || oid::regprocedure, proowner::regrole FROM pg_proc
		WHERE pronamespace = to_regnamespace('auth') AND clerk_internal.is_auth_shim(oid)
		UNION ALL
		SELECT 'schema auth', nspowner::regrole FROM pg_namespace WHERE oid = to_regnamespace('auth')
	) AS made (object, owner)
	WHERE owner <> quote_ident(current_user)::regrole
		AND NOT (SELECT rolsuper FROM pg_roles WHERE oid = owner)
$$;
COMMENT ON FUNCTION clerk_internal.auth_shim_owners() IS
	'what clerk.install_auth_shim() has made that another role than the caller, and no superuser, '
		'could replace, and whose it is; NULL: nothing';

CREATE FUNCTION clerk.install_auth_shim(overwrite boolean DEFAULT false) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	shim record;
	existing regprocedure;
	others text;
	safety constant text := CASE (SELECT proparallel FROM pg_proc WHERE oid = 'clerk.uid()'::regprocedure)
		WHEN 's' THEN 'SAFE' ELSE 'UNSAFE' END;
BEGIN
	IF to_regnamespace('auth') IS NULL THEN
		CREATE SCHEMA auth;
		COMMENT ON SCHEMA auth IS 'made by clerk.install_auth_shim()';
		PERFORM clerk_internal.revoke_all('pg_namespace', to_regnamespace('auth'));
		GRANT USAGE ON SCHEMA auth TO PUBLIC;
		INSERT INTO clerk.auth_shim VALUES ('schema auth') ON CONFLICT DO NOTHING;
	END IF;
	FOR shim IN
		SELECT * FROM (VALUES
			('auth.uid()', 'uuid', 'clerk.mapped_id()',
				'local id of the signed-in user, see clerk.mapped_id()'),
			('auth.jwt()', 'jsonb', 'clerk.jwt()', 'claims of the verified token, see clerk.jwt()'),
			('auth.role()', 'text',
				'CASE WHEN clerk.is_authenticated() THEN coalesce(clerk.claim(''role''), ''authenticated'')
				ELSE nullif(pg_catalog.current_setting(''role''), ''none'') END',
				'role of the verified token; without one, the role that was set'),
			('auth.email()', 'text', 'clerk.claim(''email'')', 'claim "email" of the verified token')
		) AS shims (signature, type, expression, comment)
	LOOP
		existing := to_regprocedure(shim.signature);
		CONTINUE WHEN clerk_internal.is_auth_shim(existing);
		IF existing IS NOT NULL AND NOT coalesce(overwrite, false) THEN
			RAISE EXCEPTION USING
				ERRCODE = 'duplicate_function',
				MESSAGE = format('function %s exists already', shim.signature),
				DETAIL = format('It belongs to %s.', (
					SELECT proowner::regrole FROM pg_proc WHERE oid = existing)),
				HINT = 'clerk.install_auth_shim(overwrite => true) replaces it, and '
					'clerk.remove_auth_shim() brings it back.';
		END IF;
		INSERT INTO clerk.auth_shim VALUES (shim.signature, pg_get_functiondef(existing))
			ON CONFLICT (object) DO UPDATE SET previous = excluded.previous;
		-- parsed here and now, so that nobody's search_path matters when it is called
		EXECUTE format('CREATE OR REPLACE FUNCTION %s RETURNS %s LANGUAGE sql STABLE PARALLEL %s RETURN %s',
			shim.signature, shim.type, safety, shim.expression);
		IF existing IS NULL THEN
			EXECUTE format('COMMENT ON FUNCTION %s IS %L', shim.signature, shim.comment);
			PERFORM clerk_internal.revoke_all('pg_proc', to_regprocedure(shim.signature));
			EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO PUBLIC', shim.signature);
		END IF;
	END LOOP;
	others := clerk_internal.auth_shim_owners();
	IF others IS NOT NULL THEN
		RAISE WARNING USING
			MESSAGE = 'the functions of schema auth can be replaced by other roles',
			DETAIL = format('%s. Who has that role can decide whom policies take the caller for that '
				'ask these functions.', others),
			HINT = 'Let nobody have it whom you do not trust, or ask clerk.mapped_id() and clerk.jwt() '
				'in policies: nobody can replace those.';
	END IF;
END
$$;
COMMENT ON FUNCTION clerk.install_auth_shim(boolean) IS
	'makes auth.uid(), auth.jwt(), auth.role() and auth.email() answer from the verified token, for '
		'policies written for Supabase Auth';

CREATE FUNCTION clerk.remove_auth_shim() RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	shim record;
	owns_schema constant boolean := EXISTS (SELECT FROM clerk.auth_shim WHERE object = 'schema auth');
BEGIN
	FOR shim IN DELETE FROM clerk.auth_shim RETURNING * LOOP
		CONTINUE WHEN shim.object = 'schema auth'
			OR NOT clerk_internal.is_auth_shim(to_regprocedure(shim.object));
		IF shim.previous IS NOT NULL THEN
			EXECUTE shim.previous;
		ELSE
			EXECUTE format('DROP FUNCTION %s', shim.object);
		END IF;
	END LOOP;
	IF owns_schema AND NOT EXISTS (
		SELECT FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass
			AND refobjid = to_regnamespace('auth')) THEN
		DROP SCHEMA IF EXISTS auth;
	END IF;
END
$$;
COMMENT ON FUNCTION clerk.remove_auth_shim() IS
	'undoes clerk.install_auth_shim(): drops what it created and restores what it replaced';
