/*
 * invalidator.c
 *		Drops all caches whenever this extension calls what may take in invalidations: a look-up,
 *		a lock, a step of a scan.  For test/stress/run.sh, which links it into the extension with
 *		the linker's --wrap for each name below.
 *
 * What another session commits can arrive at each of these moments.  No code may trust what a
 * callback of an invalidation resets to be the same before and after.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "commands/extension.h"
#include "storage/sinval.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

static void
inject(void)
{
	static bool injecting = false;

	if (injecting || !IsTransactionState())
		return;
	injecting = true;
	InvalidateSystemCaches();
	injecting = false;
}

#define WRAP(type, name, parameters, arguments)                                          \
	extern type __real_##name parameters;                                                \
	extern type __wrap_##name parameters;                                                \
	type __wrap_##name parameters                                                        \
	{                                                                                    \
		inject();                                                                        \
		return __real_##name arguments;                                                  \
	}

WRAP(Oid, get_namespace_oid, (const char *name, bool missing_ok), (name, missing_ok))
WRAP(Oid, get_relname_relid, (const char *name, Oid schema), (name, schema))
WRAP(Oid, get_extension_oid, (const char *name, bool missing_ok), (name, missing_ok))
WRAP(Oid, getExtensionOfObject, (Oid class, Oid object), (class, object))
WRAP(Relation, try_relation_open, (Oid relid, LOCKMODE mode), (relid, mode))
WRAP(Snapshot, GetCatalogSnapshot, (Oid relid), (relid))
WRAP(HeapTuple, systable_getnext, (SysScanDesc scan), (scan))
WRAP(HeapTuple, SearchSysCache1, (int cache, Datum key), (cache, key))

extern void __real_AcceptInvalidationMessages(void);
extern void __wrap_AcceptInvalidationMessages(void);

void
__wrap_AcceptInvalidationMessages(void)
{
	inject();
	__real_AcceptInvalidationMessages();
}
