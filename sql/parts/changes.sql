--
-- changes.sql
--		Who has changed what is believed: keys, instances, revocations, secrets, handlers.
--
-- Uses keys.
--

-- Without a key, so that a restored dump, which this table comes with, meets nothing that the
-- triggers have noted while it was restored.
CREATE TABLE clerk.key_changes (
	changed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	object text NOT NULL,
	action text NOT NULL,
	issuer text COLLATE "C",
	key text COLLATE "C",
	before jsonb,
	after jsonb,
	changed_by name NOT NULL DEFAULT session_user,
	as_role name DEFAULT nullif(pg_catalog.current_setting('role'), 'none'),
	application_name text DEFAULT pg_catalog.current_setting('application_name'),
	client_addr inet DEFAULT pg_catalog.inet_client_addr(),
	pid integer DEFAULT pg_catalog.pg_backend_pid(),
	transaction_id xid8 DEFAULT pg_catalog.pg_current_xact_id()
);

CREATE INDEX key_changes_object_idx ON clerk.key_changes (object, changed_at);
COMMENT ON INDEX clerk.key_changes_object_idx IS 'the last changes, and for clerk.prune() the old ones';
COMMENT ON TABLE clerk.key_changes IS
	'who has changed instances, keys, revocations, webhook secrets, event handlers and Supabase''s keys, '
	'by any means; rows are only added';
COMMENT ON COLUMN clerk.key_changes.changed_at IS 'when it was changed';
COMMENT ON COLUMN clerk.key_changes.object IS
	'the table: instances, jwks, revocations, webhook_secrets, event_handlers or supabase_keys';
COMMENT ON COLUMN clerk.key_changes.action IS 'INSERT, UPDATE, DELETE or TRUNCATE';
COMMENT ON COLUMN clerk.key_changes.issuer IS 'the instance';
COMMENT ON COLUMN clerk.key_changes.key IS
	'the kid, the revoked id, the fingerprint of the secret, or the pattern';
COMMENT ON COLUMN clerk.key_changes.before IS
	'the row before; of an UPDATE, the columns that changed. Keys appear as thumbprints, secrets as the '
	'beginning of their SHA-256';
COMMENT ON COLUMN clerk.key_changes.after IS 'the row after, likewise';
COMMENT ON COLUMN clerk.key_changes.changed_by IS 'the session user';
COMMENT ON COLUMN clerk.key_changes.as_role IS 'the role set by SET ROLE; NULL: none';
COMMENT ON COLUMN clerk.key_changes.application_name IS 'application_name of the session';
COMMENT ON COLUMN clerk.key_changes.client_addr IS
	'address of the client; NULL: a Unix-domain socket, or no client';
COMMENT ON COLUMN clerk.key_changes.pid IS 'process ID of the backend, as in the server log';
COMMENT ON COLUMN clerk.key_changes.transaction_id IS
	'the transaction: rows with the same one were changed together';

SELECT pg_catalog.pg_extension_config_dump('clerk.key_changes', $$WHERE issuer IS DISTINCT
	FROM 'https://clerk.test.invalid'$$);

CREATE FUNCTION clerk_internal.without_secrets(changed_row jsonb) RETURNS jsonb
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN changed_row - 'jwk' - 'secret'
		|| CASE WHEN changed_row ? 'jwk' THEN jsonb_build_object('thumbprint',
			clerk_internal.jwk_thumbprint(changed_row -> 'jwk')) ELSE '{}' END
		|| CASE WHEN changed_row ? 'secret' THEN jsonb_build_object('fingerprint',
			left(encode(sha256(convert_to(changed_row ->> 'secret', 'UTF8')), 'hex'), 8)) ELSE '{}' END;
COMMENT ON FUNCTION clerk_internal.without_secrets(jsonb) IS 'a row as clerk.key_changes shows it';

-- SECURITY DEFINER: whoever may change the table need not be allowed to write here, nor to leave it out.
CREATE FUNCTION clerk_internal.note_change() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	before jsonb;
	after jsonb;
	named jsonb;
BEGIN
	IF TG_OP IN ('UPDATE', 'DELETE') THEN
		before := clerk_internal.without_secrets(to_jsonb(OLD));
	END IF;
	IF TG_OP IN ('INSERT', 'UPDATE') THEN
		after := clerk_internal.without_secrets(to_jsonb(NEW));
	END IF;
	named := coalesce(after, before);
	IF TG_OP = 'UPDATE' THEN
		SELECT jsonb_object_agg(was.key, was.value), jsonb_object_agg(was.key, after -> was.key)
			INTO before, after
		FROM jsonb_each(before) AS was WHERE was.value <> after -> was.key;
		IF before IS NULL THEN
			RETURN NULL;
		END IF;
	END IF;
	INSERT INTO clerk.key_changes (object, action, issuer, key, before, after)
		VALUES (TG_TABLE_NAME, TG_OP, named ->> 'issuer',
			coalesce(named ->> 'kid', named ->> 'id', named ->> 'fingerprint', named ->> 'pattern'), before,
				after);
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION clerk_internal.note_change() IS
	'trigger: writes to clerk.key_changes who has changed what';

-- Grants on all tables of the schema, as some make them, would reach it as well.
CREATE FUNCTION clerk_internal.keep_changes() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF TG_OP = 'UPDATE' OR NOT pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = TG_RELID),
		'USAGE') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'insufficient_privilege',
			MESSAGE = 'clerk.key_changes is only added to, by its triggers',
			HINT = 'clerk.prune() removes old revocations from it, and the owner of the extension may '
				'DELETE.';
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION clerk_internal.keep_changes() IS
	'trigger: whoever is granted all on clerk.key_changes can do no more than read it';

CREATE TRIGGER keep_changes BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON clerk.key_changes
	FOR EACH STATEMENT EXECUTE FUNCTION clerk_internal.keep_changes();

ALTER TABLE clerk.key_changes ENABLE ALWAYS TRIGGER keep_changes;

COMMENT ON TRIGGER keep_changes ON clerk.key_changes IS 'nobody but the owner takes anything away';

-- ALWAYS, and per row, as those that invalidate.
DO $each$
DECLARE
	tab text;
BEGIN
	FOREACH tab IN ARRAY '{instances,jwks,revocations,webhook_secrets,event_handlers}'::text[] LOOP
		EXECUTE pg_catalog.format($create$
CREATE TRIGGER note_change AFTER INSERT OR UPDATE OR DELETE ON clerk.%1$s FOR EACH ROW
	EXECUTE FUNCTION clerk_internal.note_change();
CREATE TRIGGER note_truncate AFTER TRUNCATE ON clerk.%1$s FOR EACH STATEMENT
	EXECUTE FUNCTION clerk_internal.note_change();
ALTER TABLE clerk.%1$s ENABLE ALWAYS TRIGGER note_change, ENABLE ALWAYS TRIGGER note_truncate;
COMMENT ON TRIGGER note_change ON clerk.%1$s IS 'clerk.key_changes says who has changed it';
COMMENT ON TRIGGER note_truncate ON clerk.%1$s IS 'the same, for TRUNCATE';
			$create$, tab);
	END LOOP;
END
$each$;
