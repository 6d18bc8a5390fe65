/*
 * report.c
 *		A status as an error: the only place that raises for a token.
 *
 * The SQLSTATE is PT401, which PostgREST answers with HTTP status 401 (class 28 would be
 * 403).  The statement and its context stay out of the server log, since they may hold the
 * token that was refused.
 */
#include "clerk_rls.h"

#include "utils/builtins.h"

#define ERRCODE_CLERK_UNAUTHORIZED MAKE_SQLSTATE('P', 'T', '4', '0', '1')

void
clerk_report_error(ClerkStatus status)
{
	const ClerkReason *reason = clerk_status_reason(status);

	ereport(ERROR, (errcode(status == CLERK_OUT_OF_MEMORY ? ERRCODE_OUT_OF_MEMORY
														  : ERRCODE_CLERK_UNAUTHORIZED),
					errmsg("%s", reason->message), errdetail("%s", reason->detail),
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
