/*
 * stats.c
 *		How many tokens were verified and refused, by instance and reason, over all backends.
 *
 * The counters live in shared memory and begin with it: where the library is preloaded, and
 * from PostgreSQL 17 on, where whoever comes first makes a named segment.  Elsewhere nothing
 * is counted, and clerk.stats is empty.
 *
 * Each registered issuer of a database that has been met has a slot, and so have the tokens
 * of none, together.  Clients cannot make slots.  Whoever takes one does it under a lock, and
 * fills it before others see it; it is never given back, so that it is found and counted in
 * without any lock.
 *
 * A segment that cannot be had is asked for once, and its lack logged; the backend goes on
 * without.  Nothing here raises but clerk_internal.count_tokens().  Called by session.c.
 */
#include "clerk_pg.h"

#include "access/parallel.h"
#include "common/hashfn.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
#include "utils/resowner.h"
#include "utils/tuplestore.h"

/* Instances beyond these are counted together. */
#define MAX_SLOTS 128
#define MAX_ISSUER 256

/* What pg_stat_activity shows of who waits for the lock. */
#define TRANCHE "clerk_rls"

typedef struct Slot
{
	uint64 hash; /* of the next two */
	Oid database;
	char issuer[MAX_ISSUER]; /* empty: no registered one */
	pg_atomic_uint64 tokens[CLERK_N_STATUSES];
} Slot;

typedef struct Counters
{
	TimestampTz since;
	LWLock lock; /* held to take a slot */
	pg_atomic_uint32 n_slots;
	Slot slots[MAX_SLOTS];
	Slot others;
} Counters;

static Counters *counters = NULL;
static bool tried_to_attach = false;
static shmem_request_hook_type next_shmem_request = NULL;
static shmem_startup_hook_type next_shmem_startup = NULL;

static void
initialize_slot(Slot *slot)
{
	memset(slot, 0, sizeof(Slot));
	for (int i = 0; i < CLERK_N_STATUSES; i++)
		pg_atomic_init_u64(&slot->tokens[i], 0);
}

static void
initialize(CLERK_SEGMENT_PARAMS)
{
	Counters *fresh = memory;

	fresh->since = GetCurrentTimestamp();
	LWLockInitialize(&fresh->lock, CLERK_NEW_TRANCHE(TRANCHE));
	pg_atomic_init_u32(&fresh->n_slots, 0);
	for (int i = 0; i < MAX_SLOTS; i++)
		initialize_slot(&fresh->slots[i]);
	initialize_slot(&fresh->others);
}

static void
request_memory(void)
{
	if (next_shmem_request)
		next_shmem_request();
	RequestAddinShmemSpace(sizeof(Counters));
}

static void
start_memory(void)
{
	bool found;

	if (next_shmem_startup)
		next_shmem_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	counters = ShmemInitStruct("clerk_rls", sizeof(Counters), &found);
	if (!found)
		initialize(CLERK_SEGMENT_ARGS(counters));
	LWLockRelease(AddinShmemInitLock);
	CLERK_REGISTER_TRANCHE(counters->lock.tranche, TRANCHE);
}

void
clerk_stats_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	next_shmem_request = shmem_request_hook;
	shmem_request_hook = request_memory;
	next_shmem_startup = shmem_startup_hook;
	shmem_startup_hook = start_memory;
}

/*
 * The error that was caught.  To the log only, since the client has asked for something else,
 * and without its statement, which may hold a token.
 */
static void
report_failure(void)
{
	ErrorData *error = CopyErrorData();

	FlushErrorState();
	ereport(LOG_SERVER_ONLY,
			(errmsg("tokens of this session are not counted in clerk.stats"),
			 errdetail_internal("%s", error->message), errhidestmt(true),
			 errhidecontext(true)));
	FreeErrorData(error);
}

/*
 * In a subtransaction, so that the request goes on if there is no memory.  The name keeps the
 * segment of another build, whose size may be another, apart.
 */
static void
attach_segment(void)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	char name[64];

	snprintf(name, sizeof(name), "clerk_rls %s %zu", CLERK_RLS_VERSION, sizeof(Counters));
	BeginInternalSubTransaction(NULL);
	PG_TRY();
	{
		counters = CLERK_NAMED_SEGMENT(name, sizeof(Counters), initialize);
		CLERK_REGISTER_TRANCHE(counters->lock.tranche, TRANCHE);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		report_failure();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
}

/* False if there are no counters, or none yet: a parallel query allows no subtransaction. */
static bool
attach(void)
{
	if (counters == NULL && CLERK_HAS_NAMED_SEGMENTS && !tried_to_attach &&
		!IsInParallelMode())
	{
		tried_to_attach = true;
		attach_segment();
	}
	return counters != NULL;
}

static Slot *
find_slot(uint64 hash, const char *issuer)
{
	uint32 n_slots = pg_atomic_read_u32(&counters->n_slots);

	pg_read_barrier();
	for (uint32 i = 0; i < n_slots; i++)
	{
		Slot *slot = &counters->slots[i];

		if (slot->hash == hash && slot->database == MyDatabaseId &&
			strcmp(slot->issuer, issuer) == 0)
			return slot;
	}
	return n_slots < MAX_SLOTS ? NULL : &counters->others;
}

/* Another backend may have been faster. */
static Slot *
take_slot(uint64 hash, const char *issuer)
{
	Slot *slot;

	LWLockAcquire(&counters->lock, LW_EXCLUSIVE);
	slot = find_slot(hash, issuer);
	if (slot == NULL)
	{
		uint32 n_slots = pg_atomic_read_u32(&counters->n_slots);

		slot = &counters->slots[n_slots];
		slot->hash = hash;
		slot->database = MyDatabaseId;
		strlcpy(slot->issuer, issuer, MAX_ISSUER);
		pg_write_barrier();
		pg_atomic_write_u32(&counters->n_slots, n_slots + 1);
	}
	LWLockRelease(&counters->lock);
	return slot;
}

static Slot *
slot_of(const char *issuer)
{
	size_t len = strlen(issuer);
	uint64 hash;
	Slot *slot;

	if (len >= MAX_ISSUER)
		return &counters->others;
	hash = hash_bytes_extended((const unsigned char *) issuer, (int) len, MyDatabaseId);
	slot = find_slot(hash, issuer);
	return slot != NULL ? slot : take_slot(hash, issuer);
}

/*
 * One token of this registered issuer, or NULL for none, was found to be this.  Not in a
 * parallel worker, whose leader has decided on the same token.
 */
void
clerk_stats_count(const char *issuer, ClerkStatus status)
{
	if (status == CLERK_NO_TOKEN || IsParallelWorker() || !attach())
		return;
	pg_atomic_fetch_add_u64(&slot_of(issuer != NULL ? issuer : "")->tokens[status], 1);
}

static void
put_slot(ReturnSetInfo *result, Slot *slot, const char *issuer)
{
	for (int status = 0; status < CLERK_N_STATUSES; status++)
	{
		uint64 tokens = pg_atomic_read_u64(&slot->tokens[status]);
		const char *reason =
			status == CLERK_OK ? "verified" : clerk_status_reason(status)->code;
		Datum values[4] = {[1] = CStringGetTextDatum(reason),
						   [2] = Int64GetDatum((int64) tokens),
						   [3] = TimestampTzGetDatum(counters->since)};
		bool nulls[4] = {issuer[0] == '\0'};

		if (tokens == 0)
			continue;
		values[0] = CStringGetTextDatum(issuer);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

PG_FUNCTION_INFO_V1(clerk_rls_count_tokens);

/* The counters of this database that are not 0; a reason may come several times. */
Datum
clerk_rls_count_tokens(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	uint32 n_slots;

	InitMaterializedSRF(fcinfo, 0);
	if (!attach())
		return (Datum) 0;
	n_slots = pg_atomic_read_u32(&counters->n_slots);
	pg_read_barrier();
	for (uint32 i = 0; i < n_slots; i++)
	{
		if (counters->slots[i].database == MyDatabaseId)
			put_slot(result, &counters->slots[i], counters->slots[i].issuer);
	}
	put_slot(result, &counters->others, "(others)");
	return (Datum) 0;
}
