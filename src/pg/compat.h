/*
 * compat.h
 *		Every difference between PostgreSQL 15 and 18 that this extension meets.
 */
#ifndef CLERK_COMPAT_H
#define CLERK_COMPAT_H

#include "executor/executor.h"
#include "fmgr.h"

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

/* 17 has shared memory for whoever comes without being preloaded. */
#if PG_VERSION_NUM >= 170000
#define CLERK_HAS_NAMED_SEGMENTS true
#define CLERK_NAMED_SEGMENT(name, size, initialize)                                      \
	GetNamedDSMSegment(name, size, initialize, &(bool){false})
#else
#define CLERK_HAS_NAMED_SEGMENTS false
#define CLERK_NAMED_SEGMENT(name, size, initialize) NULL
#endif

/* 18 can be asked for a deferrable one, too. */
#if PG_VERSION_NUM >= 180000
#define CLERK_PRIMARY_KEY_INDEX(rel) RelationGetPrimaryKeyIndex(rel, false)
#else
#define CLERK_PRIMARY_KEY_INDEX(rel) RelationGetPrimaryKeyIndex(rel)
#endif

#endif /* CLERK_COMPAT_H */
