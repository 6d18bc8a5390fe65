/*
 * authenticate.c
 *		verify() and authenticate(): for callers who bring a token themselves.
 *
 * Both raise for a token that does not verify, with the reason (report.c).
 */
#include "clerk_pg.h"

#include "utils/builtins.h"
#include "utils/jsonb.h"

static const ClerkSession *
verify_or_raise(const text *token)
{
	const ClerkSession *session;
	ClerkStatus status = clerk_session_verify(clerk_text_slice(token), &session);

	if (status != CLERK_OK)
		clerk_report_error(status);
	return session;
}

PG_FUNCTION_INFO_V1(clerk_rls_verify);

/* The claims of a token, whatever the request says. */
Datum
clerk_rls_verify(PG_FUNCTION_ARGS)
{
	const ClerkSession *session = verify_or_raise(PG_GETARG_TEXT_PP(0));

	return DirectFunctionCall1(jsonb_in, CStringGetDatum(session->payload));
}

PG_FUNCTION_INFO_V1(clerk_rls_authenticate);

/*
 * Makes the rest of the transaction that user's, and returns the user id.  NULL signs out,
 * whatever a pooled connection had left.
 */
Datum
clerk_rls_authenticate(PG_FUNCTION_ARGS)
{
	const ClerkSession *session;

	if (PG_ARGISNULL(0))
	{
		clerk_citus_set_token("");
		PG_RETURN_NULL();
	}
	(void) verify_or_raise(PG_GETARG_TEXT_PP(0));
	clerk_citus_set_token(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	session = clerk_session();
	if (session == NULL)
		clerk_report_error(clerk_session_status());
	PG_RETURN_TEXT_P(cstring_to_text(session->subject));
}
