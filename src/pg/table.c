/*
 * table.c
 *		Rows of our own tables, as they are now.
 *
 * They are read with a catalog snapshot, which is always the latest, and sees what this
 * transaction has done so far: a key that was removed must not verify in a REPEATABLE READ
 * transaction that began before.  Reading this way needs no privilege, so callers need none
 * on the tables; what they get to see is for those who call this to decide.
 *
 * A table is ours if it has the name, in the schema clerk, and is a member of the extension:
 * who renames the schema and creates another of that name must not be believed.  It is read
 * only if its columns are those that it was created with; without its primary key, or with one
 * page, it is read row by row; and not if Citus has its rows (citus.c).  A table that cannot be
 * read is not an empty one, and callers refuse then.
 *
 * Opening a relation and looking into a catalog may take in invalidations, and so call
 * relation_changed(), at any time.  So that only counts, and what a look has once found out
 * is in its own variables: nothing static is read twice.
 *
 * A trigger on those of which something is kept (ENABLE ALWAYS, so also under
 * session_replication_role = replica, and per row, so also in an apply worker) sends a
 * relcache invalidation, which reaches every backend, here and on standbys, and once more
 * this one if the transaction rolls back.
 *
 * Called by keys.c, revocation.c, idmap.c and webhook.c.
 */
#include "clerk_pg.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#define MAX_KEYS 2

static ClerkTable *tables = NULL;

/* While a table is unknown, any relation may be it. */
static void
relation_changed(Datum arg, Oid relid)
{
	for (ClerkTable *table = tables; table != NULL; table = table->next)
	{
		if (OidIsValid(relid) && OidIsValid(table->oid) && relid != table->oid)
			continue;
		table->oid = InvalidOid;
		table->changes++;
	}
}

/* Once for each table, when the library is loaded; *table stays for ever. */
void
clerk_table_register(ClerkTable *table)
{
	if (tables == NULL)
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	table->next = tables;
	tables = table;
}

static bool
is_member(Oid relid)
{
	Oid extension = get_extension_oid("clerk_rls", true);

	return OidIsValid(extension) &&
		   getExtensionOfObject(RelationRelationId, relid) == extension;
}

/* InvalidOid when there is none.  Kept only if nothing has changed during the look-up. */
static Oid
table_oid(ClerkTable *table)
{
	uint64 changes = table->changes;
	Oid relid = table->oid;

	if (OidIsValid(relid))
		return relid;
	relid = get_relname_relid(table->name, get_namespace_oid("clerk", true));
	if (!OidIsValid(relid) || !is_member(relid) || clerk_citus_has_taken(relid))
		return InvalidOid;
	if (table->changes == changes)
		table->oid = relid;
	return relid;
}

/* Asked behind the lock, since whoever held it may have renamed or altered the table. */
static bool
is_as_created(Relation rel, const ClerkTable *table)
{
	TupleDesc desc = RelationGetDescr(rel);

	if (rel->rd_rel->relkind != RELKIND_RELATION || desc->natts < table->n_columns ||
		strcmp(RelationGetRelationName(rel), table->name) != 0)
		return false;
	for (int i = 0; i < table->n_columns; i++)
	{
		const ClerkColumn *column = &table->columns[i];
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (attribute->attisdropped || attribute->atttypid != column->type ||
			strcmp(NameStr(attribute->attname), column->name) != 0 ||
			(!column->nullable && !attribute->attnotnull))
			return false;
		if (i < table->n_keys && attribute->attcollation != C_COLLATION_OID)
			return false;
	}
	return true;
}

/*
 * The primary key, if its first columns are those that rows are looked for by; or InvalidOid.
 * Nor for a table of one page, which is read before an index is opened: a new connection would
 * have to learn of that from the catalogs first.
 */
static Oid
usable_index(Relation rel, const ClerkTable *table)
{
	Oid index = InvalidOid;
	HeapTuple tuple;
	Form_pg_index form;

	if (RelationGetNumberOfBlocks(rel) > 1)
		index = CLERK_PRIMARY_KEY_INDEX(rel);
	if (!OidIsValid(index))
		return InvalidOid;
	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	form = (Form_pg_index) GETSTRUCT(tuple);
	for (int i = 0; i < table->n_keys; i++)
	{
		if (i >= form->indnkeyatts || form->indkey.values[i] != i + 1)
			index = InvalidOid;
	}
	ReleaseSysCache(tuple);
	return index;
}

/*
 * Begins a look at a table, at one moment, which clerk_table_end() ends; an error does as
 * well.  False, and no look, if the table cannot be read.  What a look leaves behind is in
 * the current memory context, which therefore must not live for long.
 */
bool
clerk_table_begin(ClerkTable *table, ClerkTableLook *look)
{
	Oid relid = table_oid(table);

	look->table = table;
	look->rel = OidIsValid(relid) ? try_relation_open(relid, AccessShareLock) : NULL;
	if (look->rel == NULL)
		return false;
	if (!is_as_created(look->rel, table))
	{
		relation_close(look->rel, AccessShareLock);
		return false;
	}
	look->index = usable_index(look->rel, table);
	/* behind the lock: who waited for it sees what the one before has done */
	look->snapshot = RegisterSnapshot(GetCatalogSnapshot(relid));
	return true;
}

void
clerk_table_end(ClerkTableLook *look)
{
	UnregisterSnapshot(look->snapshot);
	relation_close(look->rel, AccessShareLock);
}

/* May the columns be taken for what their types say? */
static bool
is_complete(HeapTuple tuple, TupleDesc desc, const ClerkTable *table)
{
	for (int i = 0; i < table->n_columns; i++)
	{
		if (!table->columns[i].nullable && heap_attisnull(tuple, i + 1, desc))
			return false;
	}
	return true;
}

/*
 * Hands each row whose first columns have these values to read, which says whether it could
 * be read; n_keys may be 0.
 */
ClerkRows
clerk_table_find(ClerkTableLook *look, int n_keys, const char *const *key,
				 ClerkRowReader read, void *arg)
{
	TupleDesc desc = RelationGetDescr(look->rel);
	ClerkRows rows = CLERK_ROWS_NONE;
	ScanKeyData scan_key[MAX_KEYS];
	SysScanDesc scan;
	HeapTuple tuple;

	Assert(n_keys <= look->table->n_keys && n_keys <= MAX_KEYS);
	for (int i = 0; i < n_keys; i++)
		ScanKeyInit(&scan_key[i], (AttrNumber) (i + 1), BTEqualStrategyNumber, F_TEXTEQ,
					CStringGetTextDatum(key[i]));
	scan = systable_beginscan(look->rel, look->index, OidIsValid(look->index),
							  look->snapshot, n_keys, scan_key);
	while (rows != CLERK_ROWS_UNREADABLE &&
		   HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		rows = is_complete(tuple, desc, look->table) && read(tuple, desc, arg)
				   ? CLERK_ROWS_FOUND
				   : CLERK_ROWS_UNREADABLE;
	}
	systable_endscan(scan);
	return rows;
}

/* A look for one question. */
ClerkRows
clerk_table_read(ClerkTable *table, int n_keys, const char *const *key,
				 ClerkRowReader read, void *arg)
{
	ClerkTableLook look;
	ClerkRows rows;

	if (!clerk_table_begin(table, &look))
		return CLERK_ROWS_UNREADABLE;
	rows = clerk_table_find(&look, n_keys, key, read, arg);
	clerk_table_end(&look);
	return rows;
}

PG_FUNCTION_INFO_V1(clerk_rls_invalidate);

/* The trigger: tells every backend that the table has changed, once this has committed. */
Datum
clerk_rls_invalidate(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("clerk_internal.invalidate() must be called as a trigger")));
	CacheInvalidateRelcache(((TriggerData *) fcinfo->context)->tg_relation);
	return PointerGetDatum(NULL);
}
