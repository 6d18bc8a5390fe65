/*
 * webhook.c
 *		Verifies that Clerk signed a webhook; SQL applies it.
 *
 * The secrets are those of clerk.webhook_secrets; any of any instance may have signed, and
 * the instance is the one whose secret did.  authenticate_webhook() raises with the reason;
 * verify_webhook() only says no.
 */
#include "clerk_pg.h"

#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

typedef enum WebhookSecretColumn
{
	WEBHOOK_SECRET_ISSUER = 1,
	WEBHOOK_SECRET_SECRET
} WebhookSecretColumn;

static const ClerkColumn columns[] = {
	{"issuer", TEXTOID, false},
	{"secret", TEXTOID, false},
};

static ClerkTable webhook_secrets = {.name = "webhook_secrets",
									 .columns = columns,
									 .n_columns = lengthof(columns),
									 .n_keys = 2};

void
clerk_webhook_init(void)
{
	clerk_table_register(&webhook_secrets);
}

typedef struct Search
{
	const ClerkWebhook *webhook;
	text *issuer; /* NULL until found */
} Search;

static bool
try_secret(HeapTuple tuple, TupleDesc desc, void *arg)
{
	Search *search = arg;
	bool isnull;
	Datum secret = heap_getattr(tuple, WEBHOOK_SECRET_SECRET, desc, &isnull);
	Datum issuer = heap_getattr(tuple, WEBHOOK_SECRET_ISSUER, desc, &isnull);

	if (clerk_svix_verify(search->webhook, clerk_text_slice(DatumGetTextPP(secret))))
		search->issuer = DatumGetTextPCopy(issuer);
	return true;
}

/* The issuer of the instance whose webhook it is; *status says why there is none. */
static text *
find_issuer(FunctionCallInfo fcinfo, ClerkStatus *status)
{
	ClerkSlice argument[4];
	ClerkWebhook webhook;
	Search search = {.webhook = &webhook};

	for (int i = 0; i < 4; i++)
	{
		argument[i] = (ClerkSlice){"", 0};
		if (!PG_ARGISNULL(i))
			argument[i] = clerk_text_slice(PG_GETARG_TEXT_PP(i));
	}
	webhook = (ClerkWebhook){argument[0], argument[1], argument[2], argument[3]};
	*status = clerk_svix_check(&webhook, GetCurrentTimestamp() + CLERK_EPOCH_OFFSET);
	if (*status != CLERK_OK)
		return NULL;
	if (clerk_table_read(&webhook_secrets, 0, NULL, try_secret, &search) ==
		CLERK_ROWS_UNREADABLE)
		search.issuer = NULL;
	if (search.issuer == NULL)
		*status = CLERK_WEBHOOK_SIGNATURE;
	return search.issuer;
}

PG_FUNCTION_INFO_V1(clerk_rls_verify_webhook);
Datum
clerk_rls_verify_webhook(PG_FUNCTION_ARGS)
{
	ClerkStatus status;

	PG_RETURN_BOOL(find_issuer(fcinfo, &status) != NULL);
}

PG_FUNCTION_INFO_V1(clerk_rls_authenticate_webhook);
Datum
clerk_rls_authenticate_webhook(PG_FUNCTION_ARGS)
{
	ClerkStatus status;
	text *issuer = find_issuer(fcinfo, &status);

	if (issuer == NULL)
		clerk_report_error(status);
	PG_RETURN_TEXT_P(issuer);
}

PG_FUNCTION_INFO_V1(clerk_rls_is_webhook_secret);
Datum
clerk_rls_is_webhook_secret(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(clerk_svix_is_secret(clerk_text_slice(PG_GETARG_TEXT_PP(0))));
}

PG_FUNCTION_INFO_V1(clerk_rls_plain_json);

/* The body of a webhook as jsonb can hold it; see json.c. */
Datum
clerk_rls_plain_json(PG_FUNCTION_ARGS)
{
	ClerkSlice body = clerk_text_slice(PG_GETARG_TEXT_PP(0));
	char *plain =
		MemoryContextAllocHuge(CurrentMemoryContext, CLERK_JSON_PLAIN_SIZE(body.len));
	size_t len = clerk_json_plain(body, PG_GETARG_BOOL(1), plain);

	if (len > MaxAllocSize - VARHDRSZ)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("the webhook is too large")));
	PG_RETURN_TEXT_P(cstring_to_text_with_len(plain, (int) len));
}

PG_FUNCTION_INFO_V1(clerk_rls_webhook_header);

/* A header of the request under Svix's name, or that of Standard Webhooks. */
Datum
clerk_rls_webhook_header(PG_FUNCTION_ARGS)
{
	const char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	text *value = clerk_source_header(psprintf("svix-%s", name));

	if (value == NULL)
		value = clerk_source_header(psprintf("webhook-%s", name));
	if (value == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(value);
}

/* The role that owns a function. */
static Oid
function_owner(Oid function)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid owner;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION),
						errmsg("the event handler does not exist any more"),
						errhint("Run clerk.drop_event_handler().")));
	owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * SET CONSTRAINTS ALL IMMEDIATE: what was deferred until now fires, as whoever it is now,
 * and what comes is not deferred.
 */
static void
make_constraints_immediate(void)
{
	ConstraintsSetStmt *all = makeNode(ConstraintsSetStmt);

	AfterTriggerSetState(all);
}

static void
call_with_event(Oid handler, Datum event)
{
	LOCAL_FCINFO(call, 1);
	FmgrInfo flinfo;

	fmgr_info(handler, &flinfo);
	InitFunctionCallInfoData(*call, &flinfo, 1, InvalidOid, NULL, NULL);
	call->args[0].value = event;
	call->args[0].isnull = false;
	/* what it returns does not matter, nor whether that is NULL */
	(void) FunctionCallInvoke(call);
}

PG_FUNCTION_INFO_V1(clerk_rls_run_event_handler);

/*
 * Calls a function of the application with the event, as the role that owns it: what is
 * written in it must not run with the rights of whoever receives webhooks, neither now nor
 * later.  So it runs as a security-restricted operation, in which PostgreSQL itself refuses
 * what would run at COMMIT or stay in the session (cursors WITH HOLD, deferred triggers,
 * temporary tables, PREPARE, LISTEN, SET ROLE), and what it sets ends with it.  Triggers
 * that tables defer by themselves fire at once.  What is left then, see
 * clerk_internal.handler_leftovers().
 */
Datum
clerk_rls_run_event_handler(PG_FUNCTION_ARGS)
{
	Oid handler = PG_GETARG_OID(0);
	Oid owner = function_owner(handler);
	Oid saved_user;
	int saved_context, saved_nest_level;

	make_constraints_immediate();
	GetUserIdAndSecContext(&saved_user, &saved_context);
	SetUserIdAndSecContext(owner, saved_context | SECURITY_LOCAL_USERID_CHANGE |
									  SECURITY_RESTRICTED_OPERATION);
	saved_nest_level = NewGUCNestLevel();
	/* an error puts the user and the settings back by itself */
	if (CLERK_EXECUTE_ACLCHECK(handler, owner) != ACLCHECK_OK)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("the owner of the event handler may not execute it")));
	call_with_event(handler, PG_GETARG_DATUM(1));
	AtEOXact_GUC(false, saved_nest_level);
	SetUserIdAndSecContext(saved_user, saved_context);
	PG_RETURN_VOID();
}
