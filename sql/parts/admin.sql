--
-- admin.sql
--		Administration by a role that is no superuser, and that can read no secret.
--
-- Uses all but privileges.
--

-- What touches only our own tables runs as its owner. What touches the application's objects runs
-- as whoever calls it, so that nobody reaches more of them than before; it needs what is below.
CREATE FUNCTION clerk.grant_admin(role name) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	privilege text;
BEGIN
	PERFORM clerk.is_authenticated();	-- loads the library, which knows the setting
	IF to_regrole(quote_ident(role)) IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('role %s does not exist', coalesce(quote_ident(role), 'NULL'));
	ELSIF EXISTS (SELECT FROM clerk_internal.api_roles() AS api WHERE pg_has_role(api, role, 'MEMBER')) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('role %I is one that requests have', role),
			DETAIL = 'Who can load a key, as administrators can, can be anybody.';
	END IF;
	FOREACH privilege IN ARRAY ARRAY[
		'EXECUTE ON FUNCTION clerk.add_instance(text, text[], text[], interval, text, text, name, boolean,
			interval, text), clerk.drop_instance(text)',
		'EXECUTE ON FUNCTION clerk.load_jwks(text, jsonb, interval), clerk.load_pem(text, text, text),
			clerk.retire_key(text, text)',
		'EXECUTE ON FUNCTION clerk.map_id(text, text), clerk.unmap_id(text)',
		'EXECUTE ON FUNCTION clerk.revoke_session(text, text), clerk.revoke_user(text, text),
			clerk.unrevoke(text)',
		'EXECUTE ON FUNCTION clerk.add_webhook_secret(text, text), clerk.drop_webhook_secret(text, text),
			clerk.webhook(json), clerk.receive_webhook(text, text, text, text),
			clerk.verify_webhook(text, text, text, text)',
		'EXECUTE ON FUNCTION clerk.import_users(jsonb, text), clerk.import_organizations(jsonb, text),
			clerk.import_memberships(jsonb, text), clerk.drift(regclass, jsonb), clerk.prune(interval)',
		'EXECUTE ON FUNCTION clerk.set_supabase_keys(text), clerk.health(), clerk_internal.count_tokens(),
			clerk.doctor(), clerk.report(text)',
		-- the settings of an instance are changed by UPDATE, and checked by a trigger
		'SELECT, UPDATE ON clerk.instances',
		'EXECUTE ON FUNCTION clerk_internal.is_clerks(text, text), clerk_internal.origin_problem(text)',
		'SELECT ON clerk.jwks, clerk.revocations, clerk.webhook_events, clerk.key_changes, clerk.stats',
		'SELECT (issuer, created_at) ON clerk.webhook_secrets',
		-- fetching keys, with the caller's own rights on pgsql-http, pg_net and pg_cron
		'EXECUTE ON FUNCTION clerk.refresh_jwks(text), clerk.run_jwks_refresh(interval),
			clerk.schedule_jwks_refresh(interval), clerk.schedule_prune(interval),
			clerk_internal.schedule_job(text, text, text), clerk_internal.extension_schema(name),
			clerk_internal.refresh_one(text), clerk_internal.refresh_through_http(text, text),
			clerk_internal.refresh_through_pg_net(text, text), clerk_internal.check_usable(name, text[]),
			clerk_internal.extension_grants(name), clerk_internal.extension_writers(name),
			clerk_internal.extension_function(name, name, regtype[]),
			clerk_internal.extension_table(name, name),
			clerk_internal.shell_word(text), clerk_internal.psql_database(),
			clerk_internal.parse_jwks_response(integer, text), clerk_internal.unknown_kid_at(text)',
		'SELECT, INSERT, UPDATE ON clerk.jwks_refreshes',
		-- a table of the caller's as the mapping
		'EXECUTE ON FUNCTION clerk.track_ids(regclass, name, name), clerk.untrack_ids(regclass),
			clerk_internal.check_trackable(regclass, name, text[], boolean),
			clerk_internal.backfill_ids(regclass, name, name), clerk_internal.tracked_columns(regclass),
			clerk_internal.is_reserved_id(text, text), clerk_internal.canonical_id(text),
			clerk_internal.api_roles(), clerk_internal.roles_updating(oid, name[]),
			clerk_internal.without_update(oid, name[]),
			clerk_internal.track_id()',
		'SELECT, INSERT, UPDATE, DELETE ON clerk.id_map',
		-- a function of the caller's as the endpoint, and others as handlers
		'EXECUTE ON FUNCTION clerk.expose_webhook(name, name),
			clerk_internal.expose(regprocedure, name, boolean),
			clerk_internal.revoke_all(regclass, oid), clerk.add_event_handler(text, regprocedure),
			clerk.drop_event_handler(text, regprocedure), clerk_internal.handler_role()',
		'SELECT, INSERT, DELETE ON clerk.event_handlers',
		-- and one as the page for eyes
		'EXECUTE ON FUNCTION clerk.expose_report(name, name), clerk_internal.check_report_role(name),
			clerk_internal.serve_report(), clerk_internal.api_roles()'
	] LOOP
		EXECUTE format('GRANT %s TO %I', privilege, role);
	END LOOP;
	-- and what the owner of the database may do
	EXECUTE (
		SELECT format('GRANT EXECUTE ON FUNCTION %s TO %I',
			string_agg(pg_proc.oid::regprocedure::text, ', '), role)
		FROM pg_proc, aclexplode(proacl) AS acl
		WHERE pronamespace IN ('clerk'::regnamespace, 'clerk_internal'::regnamespace)
			AND acl.grantee = 'pg_database_owner'::regrole);
END
$$;
COMMENT ON FUNCTION clerk.grant_admin(name) IS
	'lets a role that is no superuser administer instances, keys, secrets, revocations, mappings, webhooks '
		'and policies, and read neither secrets nor profiles; again after an update';
