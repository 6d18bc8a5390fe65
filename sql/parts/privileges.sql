--
-- privileges.sql
--		Privileges: one by one, after default_privileges.sql has taken back all others.
--
-- Uses all of them.
--

GRANT USAGE ON SCHEMA clerk TO PUBLIC;
-- This alone lets nobody call anything there.
GRANT USAGE ON SCHEMA clerk_internal TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.version() TO PUBLIC;
-- Whoever exposes the webhook asks it.
GRANT EXECUTE ON FUNCTION clerk_internal.anon_role() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.uid() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.jwt() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.claim(text[]) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.session_id() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.issuer() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.actor_id() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.expires_at() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.is_authenticated() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.is_impersonated() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.org_id() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.org_slug() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.org_role() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.org_permissions() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.has(jsonb) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.has_role(text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.has_permission(text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.has_feature(text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.has_plan(text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.has_reverified(text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.has_reverified(text, interval) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.mapped_id() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.mapped_bigint() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.mapped_text() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.mapped_org_id() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.mapped_org_bigint() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.mapped_org_text() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.mapped_id(text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.is_fellow_member(text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.verify(text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.authenticate(text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.pre_request() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.pre_config() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.diagnose(text) TO PUBLIC;
-- the executor calls it, as whoever runs the statement
GRANT EXECUTE ON FUNCTION clerk_internal.tell_citus() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk.health() TO pg_monitor;
GRANT EXECUTE ON FUNCTION clerk_internal.count_tokens() TO pg_monitor;
GRANT SELECT ON clerk.stats TO pg_monitor;
-- For the role that owns the database, as which migrations often run, and which owns the tables.
GRANT EXECUTE ON FUNCTION clerk.audit(),
	clerk.explain_access(regclass, text, text, text, name, text),
		clerk_internal.explain_rows(anyarray, regclass, text, name, text),
	clerk_internal.access_verdict(anyarray, name, regclass, text, name, text),
		clerk_internal.count_rows(anyarray, name, text, name, text),
	clerk_internal.check_explainable(regclass, text), clerk_internal.simulate_request(text, name),
		clerk_internal.request_role(), clerk_internal.rls_exemption(regclass, name),
	clerk_internal.policy_checks(regclass, text, name),
		clerk_internal.policy_condition(regclass, text, name, text[]),
	clerk_internal.without_permissive_policy(regclass, text, name, text[]),
		clerk_internal.missing_grants(regclass, text[], name),
	clerk.protect(regclass, name, name, text, name, boolean),
		clerk_internal.check_protectable(regclass, name, name, text, name),
	clerk_internal.wanted_policies(regclass, name, name, text),
		clerk_internal.policy_changes(regclass, name, name, text, name),
	clerk_internal.column_changes(regclass, name, boolean),
		clerk_internal.caller_expression(regclass, name, boolean), clerk_internal.once(text),
	clerk_internal.is_distributed_by(regclass, name)
	TO pg_database_owner;
