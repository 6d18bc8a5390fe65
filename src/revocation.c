/*
 * revocation.c
 *		The table clerk.revocations: sessions and users whose tokens count no more.
 *
 * A row names a session or a user, and says from when on tokens count again, if they do
 * (issued_before).  There may be two for an id: one that somebody has set, and one that
 * webhooks keep.  Each is found by the primary key, so that their number does not matter.
 *
 * A verified token is asked about again after the table has changed, which a trigger tells
 * every backend; until then session.c remembers that it is not revoked.
 *
 * Called by session.c.
 */
#include "clerk_rls.h"

#include "access/htup_details.h"
#include "utils/inval.h"

typedef enum RevocationColumn
{
	REVOCATION_ID = 1,
	REVOCATION_SOURCE,
	REVOCATION_ISSUED_BEFORE
} RevocationColumn;

/* Counts the changes, as that of keys.c. */
static uint64 epoch = 1;
static Oid revocations_oid = InvalidOid;

static void
relation_changed(Datum arg, Oid relid)
{
	if (!OidIsValid(relid) || relid == revocations_oid || !OidIsValid(revocations_oid))
	{
		epoch++;
		revocations_oid = InvalidOid;
	}
}

void
clerk_revocation_init(void)
{
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
}

/* What clerk_revocation_check() said holds while this is the same. */
uint64
clerk_revocation_epoch(void)
{
	return epoch;
}

typedef struct Question
{
	int64 issued_at;
	bool revoked;
} Question;

static void
read_revocation(HeapTuple tuple, TupleDesc desc, void *arg)
{
	Question *question = arg;
	bool isnull;
	Datum issued_before = heap_getattr(tuple, REVOCATION_ISSUED_BEFORE, desc, &isnull);

	if (isnull ||
		question->issued_at < clerk_unix_time(DatumGetTimestampTz(issued_before)))
		question->revoked = true;
}

static bool
is_revoked(const char *id, int64 issued_at)
{
	Question question = {.issued_at = issued_at};

	if (id != NULL)
		(void) clerk_table_read(revocations_oid, "revocations_pkey", 1, &id,
								read_revocation, &question);
	return question.revoked;
}

/*
 * session_id may be NULL; issued_at is in microseconds since the Unix epoch, PG_INT64_MIN
 * when the token does not say.
 */
ClerkStatus
clerk_revocation_check(const char *session_id, const char *subject, int64 issued_at)
{
	if (!OidIsValid(revocations_oid))
		revocations_oid = clerk_table_oid("revocations");
	if (is_revoked(session_id, issued_at))
		return CLERK_SESSION_REVOKED;
	if (is_revoked(subject, issued_at))
		return CLERK_USER_REVOKED;
	return CLERK_OK;
}
