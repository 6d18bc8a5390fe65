--
-- end.sql
--		What only the hosted file grants; and what was there before has the grants it had.
--
-- Uses default_privileges, privileges.
--

-- Functions for policies are replaced by their bodies, so whoever may call them must be able to call
-- what is in those. It tells a caller nothing that clerk.jwt() does not.
GRANT EXECUTE ON FUNCTION clerk_internal.caller() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk_internal.caller_status() TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk_internal.raise(text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk_internal.reason(text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk_internal.is_anonymous(text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk_internal.refuse(text, text, text, text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk_internal.role_to_take(name) TO PUBLIC;
GRANT EXECUTE ON FUNCTION clerk_internal.explain_token(text, name) TO PUBLIC;

DO $$
DECLARE
	added record;
BEGIN
	FOR added IN
		SELECT now.name, CASE acl.grantee WHEN 0 THEN 'PUBLIC'
			ELSE acl.grantee::regrole::text END AS grantee, acl.privilege_type
		FROM clerk_internal.privileges() AS now
		JOIN pg_catalog.jsonb_each(pg_catalog.current_setting('clerk_rls.before')::jsonb) AS before
			ON before.key = now.name,
			pg_catalog.aclexplode(now.acl) AS acl
		WHERE acl.grantee <> now.owner AND NOT EXISTS (
			SELECT FROM pg_catalog.aclexplode(ARRAY(SELECT pg_catalog.jsonb_array_elements_text(
				CASE pg_catalog.jsonb_typeof(before.value) WHEN 'array' THEN before.value
					ELSE '[]' END))::aclitem[]) AS was
			WHERE was.grantee = acl.grantee AND was.privilege_type = acl.privilege_type)
	LOOP
		EXECUTE pg_catalog.format('REVOKE %s ON %s FROM %s', added.privilege_type, added.name, added.grantee);
	END LOOP;
END
$$;
