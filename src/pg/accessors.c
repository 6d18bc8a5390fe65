/*
 * accessors.c
 *		The functions for policies: they unpack what session.c answers.
 *
 * They return NULL, or false, to whoever is not signed in, and never raise for a token.
 */
#include "answer.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

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
unpack_uid(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	return unpack_string(session->subject, value);
}

CLERK_ANSWER_FUNCTION(uid, CLERK_ANSWER_VARLENA)

static bool
unpack_session_id(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	return unpack_string(session->session_id, value);
}

CLERK_ANSWER_FUNCTION(session_id, CLERK_ANSWER_VARLENA)

static bool
unpack_issuer(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	return unpack_string(session->instance->issuer, value);
}

CLERK_ANSWER_FUNCTION(issuer, CLERK_ANSWER_VARLENA)

static bool
unpack_actor_id(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	return unpack_string(session->actor, value);
}

CLERK_ANSWER_FUNCTION(actor_id, CLERK_ANSWER_VARLENA)

static bool
unpack_is_impersonated(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	*value = BoolGetDatum(session->actor != NULL);
	return true;
}

CLERK_ANSWER_FUNCTION(is_impersonated, CLERK_ANSWER_YES_OR_NO)

static bool
unpack_expires_at(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	*value = TimestampTzGetDatum(session->times.expiry - CLERK_EPOCH_OFFSET);
	return true;
}

CLERK_ANSWER_FUNCTION(expires_at, CLERK_ANSWER_BY_VALUE)

static bool
unpack_is_authenticated(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	*value = BoolGetDatum(true);
	return true;
}

CLERK_ANSWER_FUNCTION(is_authenticated, CLERK_ANSWER_YES_OR_NO)

/*
 * What the token says
 */

/* json.c has made sure that this does not raise. */
static bool
unpack_jwt(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	*value = DirectFunctionCall1(jsonb_in, CStringGetDatum(session->payload));
	return true;
}

CLERK_ANSWER_FUNCTION(jwt, CLERK_ANSWER_VARLENA)

/* One of the claims by its path, as jsonb's #>> gives it. */
static bool
unpack_claim(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	LOCAL_FCINFO(extract, 2);

	InitFunctionCallInfoData(*extract, NULL, 2, fcinfo->fncollation, NULL, NULL);
	extract->args[0].isnull = !unpack_jwt(session, fcinfo, &extract->args[0].value);
	extract->args[1] = fcinfo->args[0];
	*value = jsonb_extract_path_text(extract);
	return !extract->isnull;
}

CLERK_ANSWER_FUNCTION(claim, CLERK_ANSWER_VARLENA)

/*
 * The organization
 */

static bool
unpack_org_id(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	return unpack_string(session->grants->org_id, value);
}

CLERK_ANSWER_FUNCTION(org_id, CLERK_ANSWER_VARLENA)

static bool
unpack_org_slug(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	return unpack_string(session->grants->org_slug, value);
}

CLERK_ANSWER_FUNCTION(org_slug, CLERK_ANSWER_VARLENA)

static bool
unpack_org_role(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	return unpack_string(session->grants->org_role, value);
}

CLERK_ANSWER_FUNCTION(org_role, CLERK_ANSWER_VARLENA)

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
	clerk_grants_visit_permissions(session->grants, accumulate_permission, array);
	*value = makeArrayResult(array, CurrentMemoryContext);
	return true;
}

CLERK_ANSWER_FUNCTION(org_permissions, CLERK_ANSWER_VARLENA)

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

CLERK_ANSWER_FUNCTION(has_role, CLERK_ANSWER_YES_OR_NO)

static bool
unpack_has_permission(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	return ask_grants(session, fcinfo, clerk_has_permission, value);
}

CLERK_ANSWER_FUNCTION(has_permission, CLERK_ANSWER_YES_OR_NO)

static bool
unpack_has_feature(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	return ask_grants(session, fcinfo, clerk_has_feature, value);
}

CLERK_ANSWER_FUNCTION(has_feature, CLERK_ANSWER_YES_OR_NO)

static bool
unpack_has_plan(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	return ask_grants(session, fcinfo, clerk_has_plan, value);
}

CLERK_ANSWER_FUNCTION(has_plan, CLERK_ANSWER_YES_OR_NO)

static bool
unpack_has_reverified_preset(const ClerkSession *session, FunctionCallInfo fcinfo,
							 Datum *value)
{
	return ask_grants(session, fcinfo, clerk_has_reverified_preset, value);
}

CLERK_ANSWER_FUNCTION(has_reverified_preset, CLERK_ANSWER_YES_OR_NO)

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

CLERK_ANSWER_FUNCTION(has_reverified, CLERK_ANSWER_YES_OR_NO)

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

CLERK_ANSWER_FUNCTION(has, CLERK_ANSWER_YES_OR_NO)
