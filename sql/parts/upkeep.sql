--
-- upkeep.sql
--		What grows is pruned, and what needs care is shown.
--
-- Uses library, instances, keys, jobs, refresh, revocation, webhook, changes.
--

CREATE FUNCTION clerk.prune(older_than interval) RETURNS TABLE (events bigint, sessions bigint)
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF coalesce(older_than < interval '1 day', true) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'events and sessions of the last day cannot be pruned',
			DETAIL = 'Svix repeats an event for up to 28 hours, and a token of a revoked session may still '
				'be valid.';
	END IF;
	DELETE FROM clerk.webhook_events WHERE received_at < now() - older_than;
	GET DIAGNOSTICS events = ROW_COUNT;
	-- what somebody has revoked by hand Clerk may still have
	DELETE FROM clerk.revocations WHERE source = 'webhook' AND id ^@ 'sess_'
		AND revoked_at < now() - older_than;
	GET DIAGNOSTICS sessions = ROW_COUNT;
	DELETE FROM clerk.key_changes WHERE object = 'revocations' AND changed_at < now() - older_than;
	RETURN NEXT;
END
$$;
COMMENT ON FUNCTION clerk.prune(interval) IS
	'deletes older events, revocations of sessions that webhooks made, and entries of clerk.key_changes '
	'about revocations; revocations by hand, and users, stay. Give at least the lifetime of your longest '
	'tokens';

CREATE FUNCTION clerk.schedule_prune(older_than interval) RETURNS void
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk_internal.schedule_job('clerk_rls: prune', '17 3 * * *', 'SELECT clerk.prune('
		|| quote_literal(older_than) || ')') $$;
COMMENT ON FUNCTION clerk.schedule_prune(interval) IS
	'schedules a pg_cron job that runs clerk.prune() every night; NULL unschedules it';

CREATE FUNCTION clerk.health() RETURNS TABLE (
	issuer text, current_keys bigint, retiring_keys bigint, ended_keys bigint, newest_key_age interval,
	refreshed_at timestamptz, refresh_failed_at timestamptz, refresh_failure text, unknown_kid_at timestamptz,
	webhook_secrets bigint, last_event_at timestamptz)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT instance.issuer,
		count(*) FILTER (WHERE key.kid IS NOT NULL AND key.expires_at IS NULL),
		count(*) FILTER (WHERE key.expires_at > now()),
		count(*) FILTER (WHERE key.expires_at <= now()),
		now() - max(key.created_at),
		refresh.succeeded_at, refresh.failed_at, refresh.failure,
			clerk_internal.unknown_kid_at(instance.issuer),
		(SELECT count(*) FROM clerk.webhook_secrets AS secret WHERE secret.issuer = instance.issuer),
		(SELECT max(event.received_at) FROM clerk.webhook_events AS event
			WHERE event.issuer = instance.issuer)
	FROM clerk.instances AS instance
	LEFT JOIN clerk.jwks AS key USING (issuer)
	LEFT JOIN clerk.jwks_refreshes AS refresh USING (issuer)
	GROUP BY instance.issuer, refresh.issuer
	ORDER BY instance.issuer
$$;
COMMENT ON FUNCTION clerk.health() IS
	'each instance: its keys, how fetching them went, when a token last named an unknown one, and when the '
	'last event came; for pg_monitor';
