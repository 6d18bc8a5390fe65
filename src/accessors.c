/*
 * accessors.c
 *		The identity functions: they unpack what the door (session.c) answers.
 *
 * A policy calls them once per row, so each place in a query that calls one keeps its
 * answer, and asks the door again only when its ticket is out of date.  The kept value
 * belongs to the query, not to the door: it stays valid for as long as the executor may
 * look at it, whatever happens to the session meanwhile.
 *
 * They return NULL (or false) to whoever is not signed in, and never raise for a token.
 */
#include "clerk_rls.h"

#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/jsonb.h"

/* The answer as a Datum in the current memory context; false for NULL. */
typedef bool (*Unpack)(const ClerkSession *session, Datum *value);

/* One place in a query: fn_extra. */
typedef struct CallSite
{
	uint64 ticket; /* the value holds while this is clerk_config_ticket */
	Datum value;
	bool isnull;
	Datum previous; /* freed one change later, for a row that may still hold it */
} CallSite;

/*
 * Keeps a copy of the answer in the memory of the query.  Only of the answer: what was
 * palloc'd to make it goes with the row.
 */
static void
keep_value(FmgrInfo *flinfo, uint64 ticket, bool byref, bool isnull, Datum value)
{
	MemoryContext old_context = MemoryContextSwitchTo(flinfo->fn_mcxt);
	CallSite *site = flinfo->fn_extra;

	if (site == NULL)
		site = flinfo->fn_extra = palloc0(sizeof(CallSite));
	if (byref && DatumGetPointer(site->previous) != NULL)
		pfree(DatumGetPointer(site->previous));
	site->previous = site->value;
	site->value = isnull ? (Datum) 0 : datumCopy(value, !byref, byref ? -1 : 8);
	site->isnull = isnull;
	site->ticket = ticket;
	MemoryContextSwitchTo(old_context);
}

static pg_noinline Datum
ask_the_door(FunctionCallInfo fcinfo, Unpack unpack, bool byref)
{
	const ClerkSession *session = clerk_session();
	Datum value = (Datum) 0;
	bool isnull = session == NULL || !unpack(session, &value);
	uint64 ticket = clerk_session_ticket(fcinfo->flinfo->fn_mcxt);

	if (ticket != 0)
		keep_value(fcinfo->flinfo, ticket, byref, isnull, value);
	fcinfo->isnull = isnull;
	return value;
}

static inline Datum
answer(FunctionCallInfo fcinfo, Unpack unpack, bool byref)
{
	const CallSite *site = fcinfo->flinfo->fn_extra;

	if (unlikely(site == NULL || site->ticket != clerk_config_ticket))
		return ask_the_door(fcinfo, unpack, byref);
	fcinfo->isnull = site->isnull;
	return site->value;
}

static bool
unpack_string(const char *string, Datum *value)
{
	if (string == NULL)
		return false;
	*value = CStringGetTextDatum(string);
	return true;
}

static bool
unpack_subject(const ClerkSession *session, Datum *value)
{
	return unpack_string(session->subject, value);
}

static bool
unpack_session_id(const ClerkSession *session, Datum *value)
{
	return unpack_string(session->session_id, value);
}

static bool
unpack_issuer(const ClerkSession *session, Datum *value)
{
	return unpack_string(session->instance->issuer, value);
}

static bool
unpack_actor(const ClerkSession *session, Datum *value)
{
	return unpack_string(session->actor, value);
}

static bool
unpack_expiry(const ClerkSession *session, Datum *value)
{
	*value = TimestampTzGetDatum(session->times.expiry - CLERK_EPOCH_OFFSET);
	return true;
}

static bool
unpack_authenticated(const ClerkSession *session, Datum *value)
{
	*value = BoolGetDatum(true);
	return true;
}

/* json.c has made sure that this does not raise. */
static bool
unpack_claims(const ClerkSession *session, Datum *value)
{
	*value = DirectFunctionCall1(jsonb_in, CStringGetDatum(session->payload));
	return true;
}

PG_FUNCTION_INFO_V1(clerk_rls_uid);
Datum
clerk_rls_uid(PG_FUNCTION_ARGS)
{
	return answer(fcinfo, unpack_subject, true);
}

PG_FUNCTION_INFO_V1(clerk_rls_session_id);
Datum
clerk_rls_session_id(PG_FUNCTION_ARGS)
{
	return answer(fcinfo, unpack_session_id, true);
}

PG_FUNCTION_INFO_V1(clerk_rls_issuer);
Datum
clerk_rls_issuer(PG_FUNCTION_ARGS)
{
	return answer(fcinfo, unpack_issuer, true);
}

PG_FUNCTION_INFO_V1(clerk_rls_actor_id);
Datum
clerk_rls_actor_id(PG_FUNCTION_ARGS)
{
	return answer(fcinfo, unpack_actor, true);
}

PG_FUNCTION_INFO_V1(clerk_rls_expires_at);
Datum
clerk_rls_expires_at(PG_FUNCTION_ARGS)
{
	return answer(fcinfo, unpack_expiry, false);
}

PG_FUNCTION_INFO_V1(clerk_rls_is_authenticated);
Datum
clerk_rls_is_authenticated(PG_FUNCTION_ARGS)
{
	bool authenticated;

	(void) answer(fcinfo, unpack_authenticated, false);
	authenticated = !fcinfo->isnull;
	fcinfo->isnull = false;
	PG_RETURN_BOOL(authenticated);
}

PG_FUNCTION_INFO_V1(clerk_rls_jwt);
Datum
clerk_rls_jwt(PG_FUNCTION_ARGS)
{
	return answer(fcinfo, unpack_claims, true);
}

PG_FUNCTION_INFO_V1(clerk_rls_claim);

/* One of the claims by its path, as jsonb's #>> gives it. */
Datum
clerk_rls_claim(PG_FUNCTION_ARGS)
{
	LOCAL_FCINFO(extract, 2);
	Datum claims = answer(fcinfo, unpack_claims, true);
	Datum value;

	if (fcinfo->isnull)
		PG_RETURN_NULL();
	InitFunctionCallInfoData(*extract, NULL, 2, fcinfo->fncollation, NULL, NULL);
	extract->args[0].value = claims;
	extract->args[0].isnull = false;
	extract->args[1] = fcinfo->args[0];
	value = jsonb_extract_path_text(extract);
	fcinfo->isnull = extract->isnull;
	return value;
}
