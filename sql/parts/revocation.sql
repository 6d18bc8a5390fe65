--
-- revocation.sql
--		Revoked sessions and users.
--
-- Uses library, instances.
--

CREATE TABLE clerk.revocations (
	-- revocation.c knows the order of the columns up to issued_before
	id text COLLATE "C" NOT NULL,
	source text COLLATE "C" NOT NULL DEFAULT 'manual'
		CONSTRAINT revocations_source CHECK (source IN ('manual', 'webhook')),
	issued_before timestamptz,
	reason text,
	revoked_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT revocations_pkey PRIMARY KEY (id, source)
);
COMMENT ON TABLE clerk.revocations IS 'sessions and users whose tokens are refused';
COMMENT ON COLUMN clerk.revocations.id IS 'sess_... or user_...';
COMMENT ON COLUMN clerk.revocations.source IS
	'manual: set by clerk.revoke_session() or revoke_user(); webhook: kept by events';
COMMENT ON COLUMN clerk.revocations.issued_before IS 'only tokens issued before this are refused; NULL: all';
COMMENT ON COLUMN clerk.revocations.reason IS 'free text';
COMMENT ON COLUMN clerk.revocations.revoked_at IS 'when it was revoked';

SELECT pg_catalog.pg_extension_config_dump('clerk.revocations', '');

CREATE TRIGGER invalidate_statement AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON clerk.revocations
	FOR EACH STATEMENT EXECUTE FUNCTION clerk_internal.invalidate();
CREATE TRIGGER invalidate_row AFTER INSERT OR UPDATE OR DELETE ON clerk.revocations
	FOR EACH ROW EXECUTE FUNCTION clerk_internal.invalidate();

ALTER TABLE clerk.revocations ENABLE ALWAYS TRIGGER invalidate_statement;
ALTER TABLE clerk.revocations ENABLE ALWAYS TRIGGER invalidate_row;

COMMENT ON TRIGGER invalidate_statement ON clerk.revocations IS 'every backend asks again';
COMMENT ON TRIGGER invalidate_row ON clerk.revocations IS
	'the same, in an apply worker of logical replication';

CREATE FUNCTION clerk_internal.revoke(id text, prefix text, reason text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_variable
BEGIN
	IF NOT clerk_internal.may_be_id(id, prefix) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('this is not the id of a %s', CASE prefix WHEN 'sess_' THEN 'session'
				ELSE 'user' END),
			DETAIL = format('Clerk''s begin with %s.', prefix);
	END IF;
	INSERT INTO clerk.revocations AS revocation (id, reason) VALUES (id, reason)
		ON CONFLICT ON CONSTRAINT revocations_pkey
			DO UPDATE SET reason = coalesce(excluded.reason, revocation.reason);
END
$$;
COMMENT ON FUNCTION clerk_internal.revoke(text, text, text) IS
	'what revoke_session() and revoke_user() have in common';

CREATE FUNCTION clerk.revoke_session(session_id text, reason text DEFAULT NULL) RETURNS void
	LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk_internal.revoke(session_id, 'sess_', reason) $$;
COMMENT ON FUNCTION clerk.revoke_session(text, text) IS
	'refuses every token of a session from the next statement on';

CREATE FUNCTION clerk.revoke_user(clerk_id text, reason text DEFAULT NULL) RETURNS void
	LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT clerk_internal.revoke(clerk_id, 'user_', reason) $$;
COMMENT ON FUNCTION clerk.revoke_user(text, text) IS
	'refuses every token of a user from the next statement on, until clerk.unrevoke()';

CREATE FUNCTION clerk.unrevoke(id text) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	DELETE FROM clerk.revocations AS revocation WHERE revocation.id = unrevoke.id;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = 'neither a session nor a user with this id is revoked';
	END IF;
END
$$;
COMMENT ON FUNCTION clerk.unrevoke(text) IS
	'undoes the revocation of a session or a user, by hand or by a webhook';
