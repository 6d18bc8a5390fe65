/*
 * accessors.c
 *		The functions for policies: they unpack what the door (session.c) answers.
 *
 * A policy calls them once per row, so each place in a query that calls one keeps its
 * answer, and asks the door again only when its ticket is out of date, or its arguments are
 * others.  The kept value belongs to the query, not to the door: it stays valid for as long
 * as the executor may look at it, whatever happens to the session meanwhile.
 *
 * They return NULL, or false, to whoever is not signed in, and never raise for a token.
 */
#include "clerk_pg.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/jsonb.h"

#define MAX_ARGUMENTS 2

/* Lengths of types, as pg_type has them: of a text or the like, and of what fits a Datum. */
#define VARLENA (-1)
#define BY_VALUE 8

/* One place in a query: fn_extra. */
typedef struct CallSite
{
	uint64 ticket; /* the value holds while this is clerk_config_ticket */
	Datum value;
	bool isnull;
	Datum previous; /* freed one change later, for a row that may still hold it */
	bool fixed;		/* the arguments are the same throughout a run of the executor */
	NullableDatum arguments[MAX_ARGUMENTS];
} CallSite;

/* The lengths of the arguments: a text, a jsonb or an array, and an interval. */
static const int argument_lengths[MAX_ARGUMENTS] = {VARLENA, sizeof(Interval)};

/* Constants, that is, or parameters. */
static bool
are_fixed_arguments(FunctionCallInfo fcinfo)
{
	for (int i = 0; i < PG_NARGS(); i++)
	{
		if (!get_fn_expr_arg_stable(fcinfo->flinfo, i))
			return false;
	}
	return true;
}

static void
keep_arguments(CallSite *site, FunctionCallInfo fcinfo)
{
	for (int i = 0; i < PG_NARGS(); i++)
	{
		NullableDatum *kept = &site->arguments[i];

		if (DatumGetPointer(kept->value) != NULL)
			pfree(DatumGetPointer(kept->value));
		kept->isnull = PG_ARGISNULL(i);
		kept->value = (Datum) 0;
		if (!kept->isnull)
			kept->value = datumCopy(fcinfo->args[i].value, false, argument_lengths[i]);
	}
}

static bool
are_same_arguments(const CallSite *site, FunctionCallInfo fcinfo)
{
	for (int i = 0; i < PG_NARGS(); i++)
	{
		const NullableDatum *kept = &site->arguments[i];

		if (kept->isnull != PG_ARGISNULL(i))
			return false;
		if (!kept->isnull && !datum_image_eq(kept->value, fcinfo->args[i].value, false,
											 argument_lengths[i]))
			return false;
	}
	return true;
}

/*
 * Keeps a copy of the answer in the memory of the query.  Only of the answer: what was
 * palloc'd to make it goes with the row.
 */
static void
keep_answer(FunctionCallInfo fcinfo, uint64 ticket, int typlen, bool isnull, Datum value)
{
	FmgrInfo *flinfo = fcinfo->flinfo;
	MemoryContext old_context = MemoryContextSwitchTo(flinfo->fn_mcxt);
	CallSite *site = flinfo->fn_extra;

	if (site == NULL)
	{
		site = flinfo->fn_extra = palloc0(sizeof(CallSite));
		site->fixed = are_fixed_arguments(fcinfo);
	}
	site->ticket = 0;
	if (typlen != BY_VALUE && DatumGetPointer(site->previous) != NULL)
		pfree(DatumGetPointer(site->previous));
	site->previous = site->value;
	site->value = isnull ? (Datum) 0 : datumCopy(value, typlen == BY_VALUE, typlen);
	site->isnull = isnull;
	if (!site->fixed)
		keep_arguments(site, fcinfo);
	site->ticket = ticket;
	MemoryContextSwitchTo(old_context);
}

static pg_noinline Datum
ask_the_door(FunctionCallInfo fcinfo, ClerkUnpack unpack, int typlen)
{
	const ClerkSession *session = clerk_session_in_run(fcinfo->flinfo->fn_mcxt);
	Datum value = (Datum) 0;
	bool isnull = session == NULL || !unpack(session, fcinfo, &value);
	uint64 ticket = clerk_session_ticket(fcinfo->flinfo->fn_mcxt);

	if (ticket != 0)
		keep_answer(fcinfo, ticket, typlen, isnull, value);
	fcinfo->isnull = isnull;
	return value;
}

static inline Datum
answer(FunctionCallInfo fcinfo, ClerkUnpack unpack, int typlen)
{
	const CallSite *site = fcinfo->flinfo->fn_extra;

	if (unlikely(site == NULL || site->ticket != clerk_config_ticket ||
				 !(site->fixed || are_same_arguments(site, fcinfo))))
		return ask_the_door(fcinfo, unpack, typlen);
	fcinfo->isnull = site->isnull;
	return site->value;
}

/*
 * The same for functions elsewhere.  unpack makes the answer in the current memory context,
 * or returns false for NULL; it is not asked when nobody is signed in.  It must not depend
 * on anything that changes within a run of the executor but the arguments.  typlen is the
 * length of the type, as in pg_type, and 8 for every type that is passed by value.
 */
Datum
clerk_accessors_answer(FunctionCallInfo fcinfo, ClerkUnpack unpack, int typlen)
{
	return answer(fcinfo, unpack, typlen);
}

/* A question that is answered true or false, and false to whoever is not signed in. */
static inline Datum
answer_question(FunctionCallInfo fcinfo, ClerkUnpack unpack)
{
	Datum value = answer(fcinfo, unpack, BY_VALUE);

	if (fcinfo->isnull)
		value = BoolGetDatum(false);
	fcinfo->isnull = false;
	return value;
}

static bool
unpack_string(const char *string, Datum *value)
{
	if (string == NULL)
		return false;
	*value = CStringGetTextDatum(string);
	return true;
}

/*
 * Who is signed in
 */

static bool
unpack_subject(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	return unpack_string(session->subject, value);
}

PG_FUNCTION_INFO_V1(clerk_rls_uid);
Datum
clerk_rls_uid(PG_FUNCTION_ARGS)
{
	return answer(fcinfo, unpack_subject, VARLENA);
}

static bool
unpack_session_id(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	return unpack_string(session->session_id, value);
}

PG_FUNCTION_INFO_V1(clerk_rls_session_id);
Datum
clerk_rls_session_id(PG_FUNCTION_ARGS)
{
	return answer(fcinfo, unpack_session_id, VARLENA);
}

static bool
unpack_issuer(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	return unpack_string(session->instance->issuer, value);
}

PG_FUNCTION_INFO_V1(clerk_rls_issuer);
Datum
clerk_rls_issuer(PG_FUNCTION_ARGS)
{
	return answer(fcinfo, unpack_issuer, VARLENA);
}

static bool
unpack_actor(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	return unpack_string(session->actor, value);
}

PG_FUNCTION_INFO_V1(clerk_rls_actor_id);
Datum
clerk_rls_actor_id(PG_FUNCTION_ARGS)
{
	return answer(fcinfo, unpack_actor, VARLENA);
}

static bool
unpack_impersonated(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	*value = BoolGetDatum(session->actor != NULL);
	return true;
}

PG_FUNCTION_INFO_V1(clerk_rls_is_impersonated);
Datum
clerk_rls_is_impersonated(PG_FUNCTION_ARGS)
{
	return answer_question(fcinfo, unpack_impersonated);
}

static bool
unpack_expiry(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	*value = TimestampTzGetDatum(session->times.expiry - CLERK_EPOCH_OFFSET);
	return true;
}

PG_FUNCTION_INFO_V1(clerk_rls_expires_at);
Datum
clerk_rls_expires_at(PG_FUNCTION_ARGS)
{
	return answer(fcinfo, unpack_expiry, BY_VALUE);
}

static bool
unpack_authenticated(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	*value = BoolGetDatum(true);
	return true;
}

PG_FUNCTION_INFO_V1(clerk_rls_is_authenticated);
Datum
clerk_rls_is_authenticated(PG_FUNCTION_ARGS)
{
	return answer_question(fcinfo, unpack_authenticated);
}

/*
 * What the token says
 */

/* json.c has made sure that this does not raise. */
static bool
unpack_claims(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	*value = DirectFunctionCall1(jsonb_in, CStringGetDatum(session->payload));
	return true;
}

PG_FUNCTION_INFO_V1(clerk_rls_jwt);
Datum
clerk_rls_jwt(PG_FUNCTION_ARGS)
{
	return answer(fcinfo, unpack_claims, VARLENA);
}

/* One of the claims by its path, as jsonb's #>> gives it. */
static bool
unpack_claim(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	LOCAL_FCINFO(extract, 2);

	InitFunctionCallInfoData(*extract, NULL, 2, fcinfo->fncollation, NULL, NULL);
	extract->args[0].isnull = !unpack_claims(session, fcinfo, &extract->args[0].value);
	extract->args[1] = fcinfo->args[0];
	*value = jsonb_extract_path_text(extract);
	return !extract->isnull;
}

PG_FUNCTION_INFO_V1(clerk_rls_claim);
Datum
clerk_rls_claim(PG_FUNCTION_ARGS)
{
	return answer(fcinfo, unpack_claim, VARLENA);
}

/*
 * The organization
 */

static bool
unpack_org_id(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	return unpack_string(session->grants->org_id, value);
}

PG_FUNCTION_INFO_V1(clerk_rls_org_id);
Datum
clerk_rls_org_id(PG_FUNCTION_ARGS)
{
	return answer(fcinfo, unpack_org_id, VARLENA);
}

static bool
unpack_org_slug(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	return unpack_string(session->grants->org_slug, value);
}

PG_FUNCTION_INFO_V1(clerk_rls_org_slug);
Datum
clerk_rls_org_slug(PG_FUNCTION_ARGS)
{
	return answer(fcinfo, unpack_org_slug, VARLENA);
}

static bool
unpack_org_role(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	return unpack_string(session->grants->org_role, value);
}

PG_FUNCTION_INFO_V1(clerk_rls_org_role);
Datum
clerk_rls_org_role(PG_FUNCTION_ARGS)
{
	return answer(fcinfo, unpack_org_role, VARLENA);
}

static bool
accumulate_permission(void *array, ClerkSlice feature, ClerkSlice name)
{
	StringInfoData permission;

	initStringInfo(&permission);
	if (feature.data != NULL)
	{
		appendStringInfoString(&permission, "org:");
		appendBinaryStringInfo(&permission, feature.data, (int) feature.len);
		appendStringInfoChar(&permission, ':');
	}
	appendBinaryStringInfo(&permission, name.data, (int) name.len);
	accumArrayResult(array, CStringGetTextDatum(permission.data), false, TEXTOID,
					 CurrentMemoryContext);
	return true;
}

static bool
unpack_org_permissions(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	ArrayBuildState *array;

	if (!session->grants->has_permissions)
		return false;
	array = initArrayResult(TEXTOID, CurrentMemoryContext, false);
	clerk_has_permissions(session->grants, accumulate_permission, array);
	*value = makeArrayResult(array, CurrentMemoryContext);
	return true;
}

PG_FUNCTION_INFO_V1(clerk_rls_org_permissions);
Datum
clerk_rls_org_permissions(PG_FUNCTION_ARGS)
{
	return answer(fcinfo, unpack_org_permissions, VARLENA);
}

/*
 * What the user may do; nobody may do NULL
 */

static bool
ask_grants(const ClerkSession *session, FunctionCallInfo fcinfo,
		   bool (*has)(const ClerkGrants *grants, ClerkSlice wanted), Datum *value)
{
	*value = BoolGetDatum(!PG_ARGISNULL(0) &&
						  has(session->grants, clerk_text_slice(PG_GETARG_TEXT_PP(0))));
	return true;
}

static bool
unpack_has_role(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	return ask_grants(session, fcinfo, clerk_has_role, value);
}

PG_FUNCTION_INFO_V1(clerk_rls_has_role);
Datum
clerk_rls_has_role(PG_FUNCTION_ARGS)
{
	return answer_question(fcinfo, unpack_has_role);
}

static bool
unpack_has_permission(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	return ask_grants(session, fcinfo, clerk_has_permission, value);
}

PG_FUNCTION_INFO_V1(clerk_rls_has_permission);
Datum
clerk_rls_has_permission(PG_FUNCTION_ARGS)
{
	return answer_question(fcinfo, unpack_has_permission);
}

static bool
unpack_has_feature(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	return ask_grants(session, fcinfo, clerk_has_feature, value);
}

PG_FUNCTION_INFO_V1(clerk_rls_has_feature);
Datum
clerk_rls_has_feature(PG_FUNCTION_ARGS)
{
	return answer_question(fcinfo, unpack_has_feature);
}

static bool
unpack_has_plan(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	return ask_grants(session, fcinfo, clerk_has_plan, value);
}

PG_FUNCTION_INFO_V1(clerk_rls_has_plan);
Datum
clerk_rls_has_plan(PG_FUNCTION_ARGS)
{
	return answer_question(fcinfo, unpack_has_plan);
}

static bool
unpack_has_reverified_preset(const ClerkSession *session, FunctionCallInfo fcinfo,
							 Datum *value)
{
	return ask_grants(session, fcinfo, clerk_has_reverified_preset, value);
}

PG_FUNCTION_INFO_V1(clerk_rls_has_reverified_preset);
Datum
clerk_rls_has_reverified_preset(PG_FUNCTION_ARGS)
{
	return answer_question(fcinfo, unpack_has_reverified_preset);
}

/* A month counts 30 days. */
static double
interval_minutes(const Interval *interval)
{
	return (double) interval->time / USECS_PER_MINUTE +
		   (interval->day + (double) interval->month * DAYS_PER_MONTH) * 24 * 60;
}

static bool
unpack_has_reverified(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	*value = BoolGetDatum(
		!PG_ARGISNULL(0) && !PG_ARGISNULL(1) &&
		clerk_has_reverified(session->grants, clerk_text_slice(PG_GETARG_TEXT_PP(0)),
							 interval_minutes(PG_GETARG_INTERVAL_P(1))));
	return true;
}

PG_FUNCTION_INFO_V1(clerk_rls_has_reverified);
Datum
clerk_rls_has_reverified(PG_FUNCTION_ARGS)
{
	return answer_question(fcinfo, unpack_has_reverified);
}

static bool
unpack_has(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	Jsonb *params = PG_ARGISNULL(0) ? NULL : PG_GETARG_JSONB_P(0);
	char *text =
		params ? JsonbToCString(NULL, &params->root, (int) VARSIZE(params)) : NULL;

	*value =
		BoolGetDatum(text != NULL &&
					 clerk_has_params(session->grants, (ClerkSlice){text, strlen(text)}));
	return true;
}

PG_FUNCTION_INFO_V1(clerk_rls_has);
Datum
clerk_rls_has(PG_FUNCTION_ARGS)
{
	return answer_question(fcinfo, unpack_has);
}
