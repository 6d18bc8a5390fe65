/*
 * compat.h
 *		Every difference between PostgreSQL 15 and 19 that this extension meets.
 */
#ifndef CLERK_COMPAT_H
#define CLERK_COMPAT_H

#include "executor/executor.h"
#include "fmgr.h"
#include "utils/guc_tables.h"

#if PG_VERSION_NUM >= 160000
#include "varatt.h" /* in postgres.h before */
#endif
#if PG_VERSION_NUM >= 170000
#include "storage/dsm_registry.h"
#endif

/* Within this module, so that it is reached without a look-up; 16 and later make it so. */
#if defined(__GNUC__)
#define CLERK_HIDDEN __attribute__((visibility("hidden")))
#else
#define CLERK_HIDDEN
#endif

/* 18 has it, in place of pg_attribute_noreturn(). */
#if PG_VERSION_NUM < 180000 && !defined(pg_noreturn)
#define pg_noreturn __attribute__((noreturn))
#endif

/* 18 lets a module say its name and version (pg_get_loaded_modules()). */
#if PG_VERSION_NUM >= 180000
#define CLERK_MODULE_MAGIC                                                               \
	PG_MODULE_MAGIC_EXT(.name = "clerk_rls", .version = CLERK_RLS_VERSION)
#else
#define CLERK_MODULE_MAGIC PG_MODULE_MAGIC
#endif

/* 18 dropped execute_once. */
#if PG_VERSION_NUM >= 180000
#define CLERK_EXECUTOR_RUN_PARAMS                                                        \
	QueryDesc *query_desc, ScanDirection direction, uint64 count
#define CLERK_EXECUTOR_RUN_ARGS query_desc, direction, count
#else
#define CLERK_EXECUTOR_RUN_PARAMS                                                        \
	QueryDesc *query_desc, ScanDirection direction, uint64 count, bool execute_once
#define CLERK_EXECUTOR_RUN_ARGS query_desc, direction, count, execute_once
#endif

/* 16 made one function of those for each kind of object. */
#if PG_VERSION_NUM >= 160000
#define CLERK_EXECUTE_ACLCHECK(function, role)                                           \
	object_aclcheck(ProcedureRelationId, function, role, ACL_EXECUTE)
#else
#define CLERK_EXECUTE_ACLCHECK(function, role)                                           \
	pg_proc_aclcheck(function, role, ACL_EXECUTE)
#endif

/* 17 has shared memory for whoever comes without being preloaded; in 19 who fills it gets an argument. */
#if PG_VERSION_NUM >= 190000
#define CLERK_HAS_NAMED_SEGMENTS true
#define CLERK_NAMED_SEGMENT(name, size, initialize)                                      \
	GetNamedDSMSegment(name, size, initialize, &(bool){false}, NULL)
#define CLERK_SEGMENT_PARAMS void *memory, void *arg
#define CLERK_SEGMENT_ARGS(memory) memory, NULL
#elif PG_VERSION_NUM >= 170000
#define CLERK_HAS_NAMED_SEGMENTS true
#define CLERK_NAMED_SEGMENT(name, size, initialize)                                      \
	GetNamedDSMSegment(name, size, initialize, &(bool){false})
#else
#define CLERK_HAS_NAMED_SEGMENTS false
#define CLERK_NAMED_SEGMENT(name, size, initialize) NULL
#endif
#ifndef CLERK_SEGMENT_PARAMS
#define CLERK_SEGMENT_PARAMS void *memory
#define CLERK_SEGMENT_ARGS(memory) memory
#endif

/* 19 has the name of a tranche from who makes it; before, each backend gives it one. */
#if PG_VERSION_NUM >= 190000
#define CLERK_NEW_TRANCHE(name) LWLockNewTrancheId(name)
#define CLERK_REGISTER_TRANCHE(tranche, name) ((void) 0)
#else
#define CLERK_NEW_TRANCHE(name) LWLockNewTrancheId()
#define CLERK_REGISTER_TRANCHE(tranche, name) LWLockRegisterTranche(tranche, name)
#endif

/* 18 can be asked for a deferrable one, too. */
#if PG_VERSION_NUM >= 180000
#define CLERK_PRIMARY_KEY_INDEX(rel) RelationGetPrimaryKeyIndex(rel, false)
#else
#define CLERK_PRIMARY_KEY_INDEX(rel) RelationGetPrimaryKeyIndex(rel)
#endif

/*
 * 16 finds a setting by its name; before, they lie in the order of their names, in which
 * case does not count.  16 also lists those that have no default, and takes a placeholder
 * out of the list when it is replaced; one that is not in it must be a list of its own.
 */
#if PG_VERSION_NUM >= 160000
static inline struct config_generic *
clerk_find_variable(const char *name)
{
	return find_option(name, false, true, 0);
}

static inline void
clerk_leave_list_of_variables(struct config_generic *variable)
{
	variable->nondef_link.prev = variable->nondef_link.next = &variable->nondef_link;
}

#define CLERK_GUC_MALLOC(size) guc_malloc(LOG, size)
#else
static inline int
clerk_compare_variables(const void *name, const void *variable)
{
	const char *a = name;
	const char *b = (*(struct config_generic *const *) variable)->name;

	while (*a != '\0' && (*a == *b || pg_ascii_tolower(*a) == pg_ascii_tolower(*b)))
	{
		a++;
		b++;
	}
	return (char) pg_ascii_tolower(*a) - (char) pg_ascii_tolower(*b);
}

static inline struct config_generic *
clerk_find_variable(const char *name)
{
	struct config_generic **found =
		bsearch(name, get_guc_variables(), GetNumConfigOptions(),
				sizeof(struct config_generic *), clerk_compare_variables);

	return found != NULL ? *found : NULL;
}

static inline void
clerk_leave_list_of_variables(struct config_generic *variable)
{
}

#define CLERK_GUC_MALLOC(size) malloc(size)
#endif

/* What is known of a setting of type text; 19 made one struct of those for each type. */
#if PG_VERSION_NUM >= 190000
#define CLERK_STRING_VARIABLE(generic) (&(generic)->_string)
#else
#define CLERK_STRING_VARIABLE(generic) ((struct config_string *) (generic))
#endif

#endif /* CLERK_COMPAT_H */
