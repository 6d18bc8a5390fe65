--
-- citus.sql
--		Citus is the extension's; where there is none, no table is distributed.
--
-- Uses library.
--

CREATE FUNCTION clerk_internal.is_distributed_by(tab regclass, column_name name) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT false $$;
COMMENT ON FUNCTION clerk_internal.is_distributed_by(regclass, name) IS
	'false: whether Citus distributes a table by this column is known by the extension only';

CREATE FUNCTION clerk_internal.tell_citus() RETURNS void
	LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT $$;
COMMENT ON FUNCTION clerk_internal.tell_citus() IS 'nothing: other nodes are told by the extension only';

CREATE FUNCTION clerk_internal.audit_citus()
	RETURNS TABLE (severity text, finding text, object text, detail text, fix text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT NULL::text, NULL::text, NULL::text, NULL::text, NULL::text WHERE false $$;
COMMENT ON FUNCTION clerk_internal.audit_citus() IS 'what clerk.audit() finds of Citus: nothing';
