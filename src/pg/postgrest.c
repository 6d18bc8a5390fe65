/*
 * postgrest.c
 *		pre_request(), for PostgREST's db-pre-request: the door that speaks.
 *
 * It raises for a token of ours that is no good, where policies would only show nothing,
 * and lets those pass who have none: they are anonymous, and so are the bearers of a token
 * of somebody else's issuer.
 */
#include "clerk_pg.h"

#include "miscadmin.h"
#include "utils/guc.h"

/*
 * Does the token ask for this role?  In which claim is for PostgREST's jwt-role-claim-key to
 * say, which is not known here.
 */
static bool
asks_for_role(const ClerkSession *session, const char *role)
{
	ClerkSlice payload = {session->payload, strlen(session->payload)};
	ClerkClaims claims;
	bool asks = clerk_claims_parse(payload, &claims) == CLERK_OK &&
				clerk_claims_mention(&claims, role);

	clerk_claims_free(&claims);
	return asks;
}

/*
 * Did PostgREST run the request as this role because no token asked for another one?  It
 * adds the role it has chosen to request.jwt.claims, so the claims are those of no token
 * at all, or of ours, in which the role is then nowhere to be found.
 */
static bool
is_fallback_role(const ClerkSession *session, const char *role)
{
	ClerkSlice text = clerk_config_setting(CLERK_SETTING_CLAIMS);
	ClerkClaims claims;
	bool fallback;

	if (text.data == NULL)
		return false;
	fallback =
		clerk_claims_parse(text, &claims) == CLERK_OK &&
		clerk_claims_mention(&claims, role) &&
		(claims.subject == NULL || strcmp(claims.subject, session->subject) == 0) &&
		(claims.issuer == NULL ||
		 strcmp(claims.issuer, session->instance->issuer) == 0) &&
		!asks_for_role(session, role);
	clerk_claims_free(&claims);
	return fallback;
}

/* PostgreSQL checks that the session's user may become the role. */
static void
set_local_role(const char *role)
{
	(void) set_config_option("role", role, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL,
							 true, 0, false);
}

/* May the instance's role take the place of the one that the request runs as? */
static bool
may_switch_role(const ClerkSession *session, const char *role)
{
	if (session->instance->role == NULL || strcmp(role, session->instance->role) == 0)
		return false;
	if (strcmp(role, clerk_config_anon_role()) == 0)
		return !asks_for_role(session, role);
	return is_fallback_role(session, role);
}

PG_FUNCTION_INFO_V1(clerk_rls_pre_request);
Datum
clerk_rls_pre_request(PG_FUNCTION_ARGS)
{
	const ClerkSession *session = clerk_session();
	ClerkStatus status = clerk_session_status();
	const char *role = GetUserNameFromId(GetUserId(), false);

	if (clerk_status_is_anonymous(status))
	{
		clerk_citus_tell();
		PG_RETURN_VOID();
	}
	if (session == NULL)
		clerk_report_error(status);
	if (may_switch_role(session, role))
		set_local_role(session->instance->role);
	clerk_citus_tell();
	PG_RETURN_VOID();
}
