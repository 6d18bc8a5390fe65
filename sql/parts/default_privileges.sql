--
-- default_privileges.sql
--		Whatever default privileges have added to what we have made is taken back.
--
-- Uses all of them.
--

DO $$
BEGIN
	PERFORM clerk_internal.revoke_all(member.classid, member.objid)
	FROM pg_catalog.pg_depend AS member
	WHERE member.deptype = 'e' AND member.refclassid = 'pg_catalog.pg_extension'::regclass
		AND member.refobjid = (SELECT oid FROM pg_catalog.pg_extension WHERE extname = 'clerk_rls');
END
$$;
