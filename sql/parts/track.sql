--
-- track.sql
--		A users table of the application as the mapping of ids.
--
-- Uses library, idmap, roles.
--

CREATE FUNCTION clerk_internal.check_trackable(tab regclass, column_name name, types text[],
	is_local_id boolean) RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	tracked record;
BEGIN
	SELECT attnum, coalesce(nullif(typbasetype, 0), atttypid)::regtype::text AS type, attnotnull INTO tracked
	FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
	WHERE attrelid = tab AND attname = column_name AND attnum > 0 AND NOT attisdropped;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_column',
			MESSAGE = format('column %I of table %s does not exist', column_name, tab);
	ELSIF tracked.type <> ALL (types) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'datatype_mismatch',
			MESSAGE = format('column %I of table %s cannot be tracked', column_name, tab),
			DETAIL = format('It is of type %s, and must be one of: %s.', tracked.type,
				array_to_string(types, ', '));
	ELSIF is_local_id AND NOT tracked.attnotnull THEN
		RAISE EXCEPTION USING
			ERRCODE = 'object_not_in_prerequisite_state',
			MESSAGE = format('column %I of table %s cannot be tracked', column_name, tab),
			DETAIL = 'It may be null, and is to be the local id.',
			HINT = format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL;', tab, column_name);
	ELSIF NOT EXISTS (
		SELECT FROM pg_index
		WHERE indrelid = tab AND indisunique AND indisvalid AND indimmediate AND indpred IS NULL
			AND indnkeyatts = 1 AND indkey[0] = tracked.attnum) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'object_not_in_prerequisite_state',
			MESSAGE = format('column %I of table %s cannot be tracked', column_name, tab),
			DETAIL = 'It has no unique key of its own (neither partial nor deferrable), so two rows could '
				'have the same value.',
			HINT = format('ALTER TABLE %s ADD UNIQUE (%I);', tab, column_name);
	END IF;
END
$$;
COMMENT ON FUNCTION clerk_internal.check_trackable(regclass, name, text[], boolean) IS
	'raises if clerk.track_ids() cannot track a column';

CREATE FUNCTION clerk_internal.backfill_ids(tab regclass, clerk_id_column name, id_column name) RETURNS bigint
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	chunk constant bigint := 16384;
	blocks bigint := pg_relation_size(tab) / current_setting('block_size')::bigint;
	mapped bigint := 0;
	added bigint;
	reserved boolean;
BEGIN
	-- whoever is writing to it comes first: what map_id() has set to the same values becomes the table's
	LOCK TABLE clerk.id_map IN SHARE ROW EXCLUSIVE MODE;
	EXECUTE format('SELECT EXISTS (SELECT FROM ONLY %1$s AS t WHERE '
		'clerk_internal.is_reserved_id(t.%2$I::text, t.%3$I::text))',
		tab, clerk_id_column, id_column) INTO reserved;
	IF reserved THEN
		RAISE EXCEPTION USING
			ERRCODE = 'check_violation',
			MESSAGE = format('table %s has a local id that is reserved', tab),
			DETAIL = 'A UUID of version 5 may be that of another Clerk id, which has no mapping yet.',
			HINT = format('Find it by clerk_internal.is_reserved_id(%I, %I::text). If your local ids are of '
				'version 5 themselves, set clerk.instances.id_fallback to none.',
				clerk_id_column, id_column);
	END IF;
	EXECUTE format('UPDATE clerk.id_map AS map SET source = $1 FROM ONLY %s AS t
		WHERE map.source IS NULL AND map.clerk_id = t.%I::text
			AND map.mapped_id = t.%I::text', tab, clerk_id_column, id_column)
		USING tab;
	GET DIAGNOSTICS mapped = ROW_COUNT;
	FOR block IN 0 .. blocks BY chunk LOOP
		EXECUTE format('INSERT INTO clerk.id_map (source, clerk_id, mapped_id)
			SELECT $1, t.%1$I::text, t.%2$I::text FROM ONLY %3$s AS t
			WHERE t.ctid >= $2 AND t.ctid < $3 AND t.%1$I IS NOT NULL
				AND NOT EXISTS (SELECT FROM clerk.id_map AS map WHERE map.clerk_id = t.%1$I::text
					AND map.source = $1)',
			clerk_id_column, id_column, tab)
			USING tab, format('(%s,0)', block)::tid, format('(%s,0)', block + chunk)::tid;
		GET DIAGNOSTICS added = ROW_COUNT;
		mapped := mapped + added;
		IF blocks > chunk THEN
			RAISE NOTICE 'track_ids: % of % blocks of table % read, % ids mapped',
				least(block + chunk, blocks), blocks, tab, mapped;
		END IF;
	END LOOP;
	RETURN mapped;
EXCEPTION WHEN unique_violation THEN
	RAISE EXCEPTION USING
		ERRCODE = 'unique_violation',
		MESSAGE = format('table %s has an id that is mapped already', tab),
		DETAIL = 'A Clerk id has one local id, and a local id belongs to one user, or one organization.',
		HINT = format('Compare its columns %I and %I with clerk.id_map; clerk.unmap_id() removes a mapping.',
			clerk_id_column, id_column);
END
$$;
COMMENT ON FUNCTION clerk_internal.backfill_ids(regclass, name, name) IS
	'maps the rows that a table has when clerk.track_ids() begins; returns how many ids the table maps';

CREATE FUNCTION clerk_internal.tracked_columns(tab regclass) RETURNS name[]
	LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT ARRAY(
		SELECT attname FROM unnest(tgattr::int2[]) WITH ORDINALITY AS u (attnum, n) JOIN pg_attribute AS a
			USING (attnum)
		WHERE a.attrelid = tab ORDER BY n)
	FROM pg_trigger
	WHERE tgrelid = tab AND tgfoid = 'clerk_internal.track_id()'::regprocedure
		AND array_length(tgattr::int2[], 1) = 2
$$;
COMMENT ON FUNCTION clerk_internal.tracked_columns(regclass) IS
	'the columns of Clerk ids and local ids of a tracked table; NULL: it is not tracked';

CREATE FUNCTION clerk.track_ids(tab regclass, clerk_id_column name, id_column name) RETURNS bigint
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	kind "char" := (SELECT CASE WHEN relispartition THEN 'p' ELSE relkind END FROM pg_class WHERE oid = tab);
	mapped bigint;
	wanted bigint;
	writers text;
BEGIN
	PERFORM clerk.is_authenticated();	-- loads the library, which knows the setting of roles
	IF tab IS NULL OR clerk_id_column IS NULL OR id_column IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'null_value_not_allowed',
			MESSAGE = 'a table, its column of Clerk ids and its column of local ids must be given';
	ELSIF kind <> 'r' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'wrong_object_type',
			MESSAGE = format('%s cannot be tracked', tab),
			DETAIL = CASE kind
				WHEN 'p' THEN 'A partitioned table has no key that is unique over all partitions.'
				ELSE 'It is not a table, so no trigger could follow it.' END;
	END IF;
	EXECUTE format('LOCK TABLE ONLY %s IN SHARE ROW EXCLUSIVE MODE', tab);
	IF (clerk_internal.tracked_columns(tab)) = ARRAY[clerk_id_column, id_column] THEN
		-- a table that was restored elsewhere has its triggers, and not its mappings
		SELECT count(*) INTO mapped FROM clerk.id_map WHERE source = tab;
		EXECUTE format('SELECT count(*) FROM ONLY %s AS t WHERE num_nulls(t.%I, t.%I) = 0',
			tab, clerk_id_column, id_column) INTO wanted;
		RETURN CASE WHEN mapped = wanted THEN mapped
			ELSE mapped + clerk_internal.backfill_ids(tab, clerk_id_column, id_column) END;
	ELSIF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = tab
		AND tgfoid = 'clerk_internal.track_id()'::regprocedure) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'duplicate_object',
			MESSAGE = format('table %s is tracked already', tab),
			DETAIL = 'With other columns.',
			HINT = format('To change that, run clerk.untrack_ids(%L) first.', tab);
	END IF;
	PERFORM clerk_internal.check_trackable(tab, clerk_id_column, '{text,character varying}', false);
	PERFORM clerk_internal.check_trackable(tab, id_column,
		'{uuid,bigint,integer,smallint,text,character varying}', true);

	-- what a table that is gone has left behind
	DELETE FROM clerk.id_map WHERE source IS NOT NULL
		AND NOT EXISTS (SELECT FROM pg_class WHERE oid = source);
	-- the first of these bears the columns, see tracked_columns() in track.c
	EXECUTE format(
		'CREATE TRIGGER clerk_track_ids AFTER INSERT OR DELETE OR UPDATE OF %I, %I ON %s FOR EACH ROW
		EXECUTE FUNCTION clerk_internal.track_id()', clerk_id_column, id_column, tab);
	EXECUTE format('CREATE TRIGGER clerk_track_ids_update AFTER UPDATE ON %3$s FOR EACH ROW
		WHEN (old.%1$I IS DISTINCT FROM new.%1$I OR old.%2$I IS DISTINCT FROM new.%2$I)
		EXECUTE FUNCTION clerk_internal.track_id()', clerk_id_column, id_column, tab);
	EXECUTE format('CREATE TRIGGER clerk_track_ids_truncate AFTER TRUNCATE ON %s FOR EACH STATEMENT
		EXECUTE FUNCTION clerk_internal.track_id()', tab);
	EXECUTE format(
		'ALTER TABLE %s ENABLE ALWAYS TRIGGER clerk_track_ids, ENABLE ALWAYS TRIGGER clerk_track_ids_update,
		ENABLE ALWAYS TRIGGER clerk_track_ids_truncate', tab);
	mapped := clerk_internal.backfill_ids(tab, clerk_id_column, id_column);
	writers := clerk_internal.roles_updating(tab, ARRAY[clerk_id_column, id_column]);
	IF writers IS NOT NULL THEN
		RAISE WARNING USING
			MESSAGE = format('requests can choose whose rows they see: %s can update the ids of table %s',
				writers, tab),
			HINT = coalesce(clerk_internal.without_update(tab, ARRAY[clerk_id_column, id_column]),
				'Take that privilege back.');
	END IF;
	RETURN mapped;
END
$$;
COMMENT ON FUNCTION clerk.track_ids(regclass, name, name) IS
	'uses a table of the application as the mapping from Clerk ids to local ids; returns the number of '
	'its mappings';

CREATE FUNCTION clerk.untrack_ids(tab regclass) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	tracking record;
BEGIN
	IF tab IS NOT NULL THEN
		EXECUTE format('LOCK TABLE ONLY %s IN SHARE ROW EXCLUSIVE MODE', tab);
	END IF;
	FOR tracking IN
		SELECT tgname FROM pg_trigger WHERE tgrelid = tab
			AND tgfoid = 'clerk_internal.track_id()'::regprocedure AND NOT tgisinternal
	LOOP
		EXECUTE format('DROP TRIGGER %I ON %s', tracking.tgname, tab);
	END LOOP;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('table %s is not tracked', coalesce(tab::text, 'NULL'));
	END IF;
	DELETE FROM clerk.id_map WHERE source = tab;
END
$$;
COMMENT ON FUNCTION clerk.untrack_ids(regclass) IS
	'undoes clerk.track_ids(), and removes the mappings that came from the table';
