/*
 * table.c
 *		Rows of our own tables, as they are now.
 *
 * They are read with a catalog snapshot, which is always the latest, and sees what this
 * transaction has done so far: a key that was removed must not verify in a REPEATABLE READ
 * transaction that began before.  Reading this way needs no privilege, so callers need none
 * on the tables; what they get to see is for those who call this to decide.
 *
 * A table that is not there has no rows.  Called by keys.c and idmap.c.
 */
#include "clerk_rls.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#define MAX_KEYS 2

/* InvalidOid when there is none, as while the extension is being created. */
Oid
clerk_table_oid(const char *name)
{
	return get_relname_relid(name, get_namespace_oid("clerk", true));
}

/*
 * Hands each row whose first columns, of type text, have these values to read; false when
 * there is none.  index_name is that of an index on just these columns.  What this leaves
 * behind is in the current context, which therefore must not live for long.
 */
bool
clerk_table_read(Oid relid, const char *index_name, int n_keys, const char *const *key,
				 ClerkRowReader read, void *arg)
{
	Relation rel = OidIsValid(relid) ? try_table_open(relid, AccessShareLock) : NULL;
	ScanKeyData scan_key[MAX_KEYS];
	SysScanDesc scan;
	HeapTuple tuple;
	Oid index;
	bool found = false;

	if (rel == NULL)
		return false;
	Assert(n_keys <= MAX_KEYS);
	index = get_relname_relid(index_name, RelationGetNamespace(rel));
	for (int i = 0; i < n_keys; i++)
		ScanKeyInit(&scan_key[i], (AttrNumber) (i + 1), BTEqualStrategyNumber, F_TEXTEQ,
					CStringGetTextDatum(key[i]));
	scan = systable_beginscan(rel, index, OidIsValid(index), NULL, n_keys, scan_key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		read(tuple, RelationGetDescr(rel), arg);
		found = true;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}
