/*
 * clerk_pg.h
 *		Prototypes of the files that know PostgreSQL, in the order in which they may call each
 *		other: a file calls only files above it, and the pure files of clerk_core.h.
 *
 * None of them calls json_*() or EVP_*(): foreign handles are taken and freed by the pure
 * files, and kept here under memory contexts whose reset callbacks free them.
 */
#ifndef CLERK_PG_H
#define CLERK_PG_H

#include "postgres.h"

#include "access/htup.h"
#include "access/tupdesc.h"
#include "access/xact.h"
#include "common/int.h"
#include "fmgr.h"
#include "utils/relcache.h"
#include "utils/timestamp.h"

#include "../core/clerk_core.h"
#include "compat.h"

/* Unix time, in which tokens count, against PostgreSQL's, in microseconds. */
#define CLERK_EPOCH_OFFSET                                                               \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

/* In microseconds. */
static inline int64
clerk_unix_time(TimestampTz time)
{
	int64 unix_time;

	/* infinity, and the last years before it, do not fit */
	if (pg_add_s64_overflow(time, CLERK_EPOCH_OFFSET, &unix_time))
		unix_time = PG_INT64_MAX;
	return unix_time;
}

/* The bytes of a text, which live as long as it does. */
static inline ClerkSlice
clerk_text_slice(const text *t)
{
	return (ClerkSlice){VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t)};
}

/* report.c */
pg_noreturn extern void clerk_report_error(ClerkStatus status);
extern text *clerk_report_text(ClerkStatus status);

/* variable.c */
typedef enum ClerkOrigin
{
	CLERK_ORIGIN_DEFAULT,	  /* unset, reset, or from a file, a role or a database */
	CLERK_ORIGIN_SESSION,	  /* set by the client, before this transaction */
	CLERK_ORIGIN_TRANSACTION, /* in this transaction */
} ClerkOrigin;

extern bool clerk_variable_prepare(const char *name);
extern ClerkOrigin clerk_variable_read(const char *name, const char **value);
extern bool clerk_variable_is_clients(GucSource source);

/* ticket.c */
extern uint64 clerk_ticket_generation;
extern CLERK_HIDDEN uint64 clerk_ticket;

extern void clerk_ticket_init(void);
extern uint64 clerk_ticket_new(void);
extern void clerk_ticket_invalidate(void);
extern bool clerk_ticket_is_for(MemoryContext context);

/* config.c */
typedef enum ClerkSetting
{
	CLERK_SETTING_TOKEN,
	CLERK_SETTING_METHOD,
	CLERK_SETTING_HEADERS,
	CLERK_SETTING_JWT,
	CLERK_SETTING_COOKIES,
	CLERK_SETTING_CLAIMS,
	CLERK_N_SETTINGS
} ClerkSetting;

extern void clerk_config_init(void);
extern void clerk_config_poll(void);
extern bool clerk_config_notices_changes(void);
extern const char *clerk_config_name(ClerkSetting setting);
extern ClerkSlice clerk_config_setting(ClerkSetting setting);
extern void clerk_config_repeat(ClerkSetting setting);
extern ClerkOrigin clerk_config_origin(ClerkSetting setting);
extern bool clerk_config_is_request(void);
extern bool clerk_config_trusts_claims(void);
extern int clerk_config_max_cached_tokens(void);
extern const char *clerk_config_anon_role(void);

/* source.c */
typedef enum ClerkSource
{
	CLERK_SOURCE_NONE,
	CLERK_SOURCE_ARGUMENT,
	CLERK_SOURCE_SETTING,
	CLERK_SOURCE_CLERK_HEADER,
	CLERK_SOURCE_AUTHORIZATION,
	CLERK_SOURCE_REQUEST_JWT,
	CLERK_SOURCE_COOKIE,
	CLERK_SOURCE_CLAIMS
} ClerkSource;

typedef struct ClerkCandidate
{
	ClerkSource source;
	ClerkStatus status; /* CLERK_OK, or why the source has no one token */
	ClerkSlice token;
} ClerkCandidate;

typedef struct ClerkRequest
{
	ClerkJson headers; /* these two own the tokens that were in them */
	ClerkJson cookies;
	ClerkFetch fetch;	/* only where there are cookies */
	bool has_left_over; /* a clerk.token that does not count, and is none of these: */
	int n_candidates;
	ClerkCandidate *candidates;
} ClerkRequest;

extern bool clerk_source_is_left_over(ClerkSetting setting);
extern void clerk_source_read(ClerkRequest *request);
extern void clerk_source_free(ClerkRequest *request);
extern text *clerk_source_header(const char *name);
extern const char *clerk_source_name(ClerkSource source);

/* citus.c */
extern void clerk_citus_init(void);
extern void clerk_citus_tell(void);
extern void clerk_citus_set_token(const char *token);
extern bool clerk_citus_has_taken(Oid relid);

/* table.c */
typedef struct ClerkColumn
{
	const char *name;
	Oid type;
	bool nullable;
} ClerkColumn;

/* The first columns of a table, in the order of its CREATE TABLE. */
typedef struct ClerkTable
{
	const char *name;
	const ClerkColumn *columns;
	int n_columns;
	int n_keys;		/* rows are looked for by the values of these, of type text */
	Oid oid;		/* InvalidOid while unknown */
	uint64 changes; /* counts when the table was changed, or may have been */
	struct ClerkTable *next;
} ClerkTable;

typedef struct ClerkTableLook
{
	const ClerkTable *table;
	Relation rel;
	Oid index;
	struct SnapshotData *snapshot;
} ClerkTableLook;

typedef enum ClerkRows
{
	CLERK_ROWS_NONE,
	CLERK_ROWS_FOUND,
	CLERK_ROWS_UNREADABLE /* the table, or one of the rows */
} ClerkRows;

/* False: this row cannot be read. */
typedef bool (*ClerkRowReader)(HeapTuple tuple, TupleDesc desc, void *arg);

extern void clerk_table_register(ClerkTable *table);
extern bool clerk_table_begin(ClerkTable *table, ClerkTableLook *look);
extern ClerkRows clerk_table_find(ClerkTableLook *look, int n_keys,
								  const char *const *key, ClerkRowReader read, void *arg);
extern void clerk_table_end(ClerkTableLook *look);
extern ClerkRows clerk_table_read(ClerkTable *table, int n_keys, const char *const *key,
								  ClerkRowReader read, void *arg);

/* keys.c */
typedef struct ClerkKey
{
	struct ClerkKey *next;
	const char *kid;
	ClerkJwk jwk;
	int64 expiry; /* microseconds since the Unix epoch; PG_INT64_MAX: never, MIN: retired */
} ClerkKey;

typedef struct ClerkInstance
{
	const char *issuer;
	const char *role;	  /* NULL: pre_request() leaves the role alone */
	const char *id_claim; /* NULL: no claim holds local ids */
	bool has_uuid_fallback;
	int64 legacy_template_until; /* microseconds since the Unix epoch; 0: never */
	ClerkPolicy policy;
	struct named_hash *keys; /* by kid, those that have been asked for */
	bool knows_keys_for_any_kid;
	ClerkKey *keys_for_any_kid;
	TimestampTz unknown_kid_at; /* when unknown_kid.c was last told of one */
} ClerkInstance;

extern void clerk_keys_init(void);
extern uint64 clerk_keys_refresh(void);
extern bool clerk_keys_have_changed(void);
extern bool clerk_keys_want_uuid_fallback(void);
extern bool clerk_keys_reserve_uuids(void);
extern ClerkStatus clerk_keys_instance(const char *issuer, ClerkInstance **instance);
extern ClerkStatus clerk_keys_find(ClerkInstance *instance, const char *kid,
								   ClerkKey **key);
extern ClerkStatus clerk_keys_for_any_kid(ClerkInstance *instance, ClerkKey **list);

/* unknown_kid.c */
extern void clerk_unknown_kid_mark(ClerkInstance *instance);

/* revocation.c */
extern void clerk_revocation_init(void);
extern uint64 clerk_revocation_epoch(void);
extern ClerkStatus clerk_revocation_check(const char *session_id, const char *subject,
										  int64 issued_at);

/* stats.c */
extern void clerk_stats_init(void);
extern void clerk_stats_count(const char *issuer, ClerkStatus status);

/* session.c */
typedef struct ClerkSession
{
	const ClerkInstance *instance;
	const char *subject;
	const char *session_id; /* NULL when the token has none, as actor */
	const char *actor;
	const char *payload; /* the claims, as they were signed */
	const ClerkGrants *grants;
	ClerkTimes times;
	int64 key_expiry;
	uint64 revocation_epoch; /* in which it was last found not to be revoked */
	char *agreeing_claims; /* request.jwt.claims that name nobody else, if already read */
} ClerkSession;

/* Each step of a verification on its own, for diagnose.c; lives as long as its context. */
#define CLERK_NOT_ASKED CLERK_N_STATUSES

typedef struct ClerkExplanation
{
	ClerkSource source;
	ClerkStatus
		statuses[CLERK_N_STEPS];   /* CLERK_NOT_ASKED where there was nothing to ask */
	const ClerkSession *session;   /* NULL if any step has failed */
	const ClerkInstance *instance; /* NULL if that step was not passed */
	const ClerkJws
		*jws; /* what was read of them; unverified, unless there is a session */
	const ClerkClaims *claims;
} ClerkExplanation;

extern void clerk_session_init(void);
extern const ClerkSession *clerk_session(void);
extern const ClerkSession *clerk_session_in_run(MemoryContext context);
extern ClerkStatus clerk_session_status(void);
extern ClerkSource clerk_session_source(void);
extern uint64 clerk_session_ticket(MemoryContext context);
extern ClerkStatus clerk_session_verify(ClerkSlice token, const ClerkSession **session);
extern void clerk_session_explain(const ClerkSlice *token, ClerkExplanation *explanation);

/* answer.c: see answer.h */

/* idmap.c */
extern void clerk_idmap_init(void);
extern bool clerk_idmap_is_reserved(const char *clerk_id, const char *mapped_id);
extern const char *clerk_idmap_describe(const ClerkSession *session);

/* webhook.c */
extern void clerk_webhook_init(void);

#endif /* CLERK_PG_H */
