/*
 * report.c
 *		A status as an error: the only place that raises for a token, or a secret.
 *
 * The SQLSTATE is PT401, which PostgREST answers with HTTP status 401 (class 28 would be
 * 403), unless the database itself is at fault.  The statement and its context stay out of the server log, since they may hold the
 * token that was refused.
 */
#include "clerk_pg.h"

#include "utils/builtins.h"

#define ERRCODE_CLERK_UNAUTHORIZED MAKE_SQLSTATE('P', 'T', '4', '0', '1')

static int
sqlstate(ClerkStatus status)
{
	if (status == CLERK_OUT_OF_MEMORY)
		return ERRCODE_OUT_OF_MEMORY;
	if (clerk_status_is_unreadable(status))
		return ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
	return ERRCODE_CLERK_UNAUTHORIZED;
}

void
clerk_report_error(ClerkStatus status)
{
	const ClerkReason *reason = clerk_status_reason(status);

	ereport(ERROR, (errcode(sqlstate(status)), errmsg("%s", reason->message),
					errdetail("%s", reason->detail),
					reason->hint ? errhint("%s", reason->hint) : 0, errhidestmt(true),
					errhidecontext(true)));
}

/* The same for people, in one line: code, detail and hint. */
text *
clerk_report_text(ClerkStatus status)
{
	const ClerkReason *reason = clerk_status_reason(status);

	return cstring_to_text(psprintf("%s: %s%s%s", reason->code, reason->detail,
									reason->hint ? " " : "",
									reason->hint ? reason->hint : ""));
}

static const char *
argument(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

PG_FUNCTION_INFO_V1(clerk_rls_refuse);

/* RAISE, for functions that are given a secret, which their statement may hold. */
Datum
clerk_rls_refuse(PG_FUNCTION_ARGS)
{
	const char *sqlstate = argument(fcinfo, 0);
	const char *message = argument(fcinfo, 1);
	const char *detail = argument(fcinfo, 2);
	const char *hint = argument(fcinfo, 3);

	if (sqlstate == NULL || strlen(sqlstate) != 5 || message == NULL)
		elog(ERROR, "clerk_internal.refuse() needs a SQLSTATE and a message");
	ereport(ERROR,
			(errcode(MAKE_SQLSTATE(sqlstate[0], sqlstate[1], sqlstate[2], sqlstate[3],
								   sqlstate[4])),
			 errmsg("%s", message), detail ? errdetail("%s", detail) : 0,
			 hint ? errhint("%s", hint) : 0, errhidestmt(true), errhidecontext(true)));
}
