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
#include "clerk_pg.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"

typedef enum RevocationColumn
{
	REVOCATION_ID = 1,
	REVOCATION_SOURCE,
	REVOCATION_ISSUED_BEFORE
} RevocationColumn;

static const ClerkColumn columns[] = {
	{"id", TEXTOID, false},
	{"source", TEXTOID, false},
	{"issued_before", TIMESTAMPTZOID, true},
};

static ClerkTable revocations = {.name = "revocations",
								 .columns = columns,
								 .n_columns = lengthof(columns),
								 .n_keys = 1};

void
clerk_revocation_init(void)
{
	clerk_table_register(&revocations);
}

/*
 * What clerk_revocation_check() says holds while this is what it was before it was asked.
 * Never 0.
 */
uint64
clerk_revocation_epoch(void)
{
	return revocations.changes + 1;
}

typedef struct Question
{
	int64 issued_at;
	bool revoked;
} Question;

static bool
read_revocation(HeapTuple tuple, TupleDesc desc, void *arg)
{
	Question *question = arg;
	bool isnull;
	Datum issued_before = heap_getattr(tuple, REVOCATION_ISSUED_BEFORE, desc, &isnull);

	if (isnull ||
		question->issued_at < clerk_unix_time(DatumGetTimestampTz(issued_before)))
		question->revoked = true;
	return true;
}

/* CLERK_OK, revoked, or why that is not known. */
static ClerkStatus
ask(ClerkTableLook *look, const char *id, int64 issued_at, ClerkStatus revoked)
{
	Question question = {.issued_at = issued_at};

	if (id == NULL)
		return CLERK_OK;
	if (clerk_table_find(look, 1, &id, read_revocation, &question) ==
		CLERK_ROWS_UNREADABLE)
		return CLERK_REVOCATIONS_UNREADABLE;
	return question.revoked ? revoked : CLERK_OK;
}

/*
 * Both are asked about in one look, which sees the table as it is at one moment.
 * session_id may be NULL; issued_at is in microseconds since the Unix epoch, PG_INT64_MIN
 * when the token does not say.
 */
ClerkStatus
clerk_revocation_check(const char *session_id, const char *subject, int64 issued_at)
{
	ClerkTableLook look;
	ClerkStatus status;

	if (!clerk_table_begin(&revocations, &look))
		return CLERK_REVOCATIONS_UNREADABLE;
	status = ask(&look, session_id, issued_at, CLERK_SESSION_REVOKED);
	if (status == CLERK_OK)
		status = ask(&look, subject, issued_at, CLERK_USER_REVOKED);
	clerk_table_end(&look);
	return status;
}
