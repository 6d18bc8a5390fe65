/*
 * diagnose.c
 *		diagnose(): each step of a verification with its outcome, for people.
 *
 * Goes on past the first failure where it can.  Shows what decides a step (times, parties,
 * kid, algorithm), and no token, no signature, nothing of a person.  What a token says is
 * shown only if it is short and plain.
 */
#include "clerk_pg.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

/* The longest value of a token that is shown. */
#define MAX_SHOWN 128

/* A value of the token, as it is or a word in its place. */
static const char *
shown(const char *value)
{
	if (value == NULL)
		return "absent";
	if (strlen(value) > MAX_SHOWN)
		return "(too long to be shown)";
	for (const char *c = value; *c != '\0'; c++)
	{
		if (*c <= ' ' || *c > '~')
			return "(not plain enough to be shown)";
	}
	return value;
}

/* NULL for one that is no time, which the reason then says. */
static const char *
shown_time(const char *name, int64 time, ClerkStatus status)
{
	if (status == CLERK_EXPIRY_INVALID || status == CLERK_NOT_BEFORE_INVALID ||
		status == CLERK_ISSUED_AT_INVALID)
		return NULL;
	if (time == PG_INT64_MIN)
		return psprintf("%s absent", name);
	return psprintf("%s %s", name, timestamptz_to_str(time - CLERK_EPOCH_OFFSET));
}

static const char *
describe_times(ClerkStep step, const ClerkExplanation *explanation)
{
	const ClerkTimes *times = &explanation->claims->times;
	ClerkStatus status = explanation->statuses[step];
	const char *now;

	if (step == CLERK_STEP_NOT_BEFORE)
		return shown_time("nbf", times->not_before, status);
	if (step == CLERK_STEP_ISSUED_AT)
		return shown_time("iat", times->issued_at, status);
	if (status != CLERK_EXPIRED)
		return shown_time("exp", times->expiry, status);
	now = pstrdup(timestamptz_to_str(GetCurrentTimestamp()));
	return psprintf("%s, now %s", shown_time("exp", times->expiry, status), now);
}

static bool
is_registered(const char *issuer)
{
	ClerkInstance *instance;

	return clerk_keys_instance(issuer, &instance) == CLERK_OK;
}

/* A registered issuer that differs from this one by the scheme or a slash, or NULL. */
static const char *
similar_issuer(const char *issuer)
{
	static const char *const schemes[] = {"https://", "http://"};
	const char *host = strstr(issuer, "://");
	char *trimmed = pstrdup(host != NULL ? host + 3 : issuer);

	for (size_t len = strlen(trimmed); len > 0 && trimmed[len - 1] == '/';)
		trimmed[--len] = '\0';
	for (size_t i = 0; i < lengthof(schemes); i++)
	{
		char *with_slash = psprintf("%s%s/", schemes[i], trimmed);
		char *without = psprintf("%s%s", schemes[i], trimmed);

		if (strcmp(with_slash, issuer) != 0 && is_registered(with_slash))
			return with_slash;
		if (strcmp(without, issuer) != 0 && is_registered(without))
			return without;
	}
	return NULL;
}

static const char *
describe_issuer(const ClerkExplanation *explanation)
{
	const char *issuer = explanation->claims->issuer;
	const char *similar = explanation->instance == NULL && issuer != NULL &&
								  strlen(issuer) <= MAX_SHOWN
							  ? similar_issuer(issuer)
							  : NULL;

	if (similar == NULL)
		return psprintf("iss %s", shown(issuer));
	return psprintf("iss %s; registered is %s, and each character counts", shown(issuer),
					similar);
}

static const char *
describe_parties(const ClerkExplanation *explanation)
{
	const ClerkPolicy *policy = &explanation->instance->policy;
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "azp %s; the instance allows",
					 shown(clerk_claims_string(explanation->claims, "azp")));
	for (int i = 0; i < policy->n_authorized_parties; i++)
		appendStringInfo(&text, "%s %s", i > 0 ? "," : "", policy->authorized_parties[i]);
	if (policy->authorized_parties == NULL)
		appendStringInfoString(&text, " any");
	return text.data;
}

/* What a step that was taken has looked at, or NULL. */
static const char *
describe(ClerkStep step, const ClerkExplanation *explanation)
{
	const ClerkJws *jws = explanation->jws;
	const ClerkClaims *claims = explanation->claims;

	if (step > CLERK_STEP_INSTANCE && explanation->instance == NULL)
		return NULL;
	switch (step)
	{
		case CLERK_STEP_SOURCE:
			return clerk_source_name(explanation->source);
		case CLERK_STEP_INSTANCE:
			return describe_issuer(explanation);
		case CLERK_STEP_TYPE:
			return psprintf("typ %s, cat %s", shown(jws->typ), shown(jws->cat));
		case CLERK_STEP_KEY:
			return psprintf("kid %s", shown(jws->kid));
		case CLERK_STEP_ALGORITHM:
			return psprintf("alg %s", shown(jws->alg));
		case CLERK_STEP_AUDIENCE:
			return explanation->instance->policy.audiences == NULL
					   ? "the instance asks for none"
					   : NULL;
		case CLERK_STEP_AUTHORIZED_PARTY:
			return describe_parties(explanation);
		case CLERK_STEP_EXPIRY:
		case CLERK_STEP_NOT_BEFORE:
		case CLERK_STEP_ISSUED_AT:
			return describe_times(step, explanation);
		case CLERK_STEP_SESSION_STATUS:
			return psprintf("sts %s", shown(clerk_claims_string(claims, "sts")));
		default:
			return NULL;
	}
}

static void
put(ReturnSetInfo *result, const char *step, const char *outcome, const char *detail)
{
	Datum values[3] = {CStringGetTextDatum(step), CStringGetTextDatum(outcome)};
	bool nulls[3] = {false, false, detail == NULL};

	if (detail != NULL)
		values[2] = CStringGetTextDatum(detail);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static void
put_step(ReturnSetInfo *result, ClerkStep step, const ClerkExplanation *explanation)
{
	ClerkStatus status = explanation->statuses[step];
	const char *name = clerk_status_step_name(step);
	const char *what, *why;

	if (status == CLERK_NOT_ASKED)
	{
		put(result, name, "skipped", NULL);
		return;
	}
	what = describe(step, explanation);
	if (status == CLERK_OK)
	{
		put(result, name, "ok", what);
		return;
	}
	why = text_to_cstring(clerk_report_text(status));
	put(result, name, "fail",
		what && step != CLERK_STEP_SOURCE ? psprintf("%s (%s)", why, what) : why);
}

/* Verified, but do the policies for the instance's role apply? */
static void
put_role(ReturnSetInfo *result, const ClerkExplanation *explanation)
{
	const ClerkSession *session = explanation->session;
	const char *role = GetUserNameFromId(GetUserId(), false);

	if (strcmp(role, clerk_config_anon_role()) == 0 &&
		clerk_claims_mention(explanation->claims, role))
		put(result, "role", "ok",
			psprintf("%s, the anonymous role, which the token asks for", role));
	else if (session->instance->role != NULL &&
			 strcmp(role, clerk_config_anon_role()) == 0)
		put(result, "role", "fail",
			psprintf(
				"The request runs as the anonymous role %s, so policies for %s do not "
				"apply. Set PostgREST's db-pre-request to \"clerk.pre_request\".",
				role, session->instance->role));
	else
		put(result, "role", "ok", role);
}

static void
put_organization(ReturnSetInfo *result, const ClerkGrants *grants)
{
	if (grants->unreadable)
		put(result, "organization", "fail",
			"The claims of the organization are malformed, so nothing is granted.");
	else if (grants->org_id == NULL)
		put(result, "organization", "ok", "none is active: org_id() is NULL");
	else
		put(result, "organization", "ok",
			psprintf("one is active, role %s", shown(grants->org_role)));
}

PG_FUNCTION_INFO_V1(clerk_rls_diagnose);
Datum
clerk_rls_diagnose(PG_FUNCTION_ARGS)
{
	ClerkExplanation explanation;
	ReturnSetInfo *result;

	if (PG_ARGISNULL(0))
		clerk_session_explain(NULL, &explanation);
	else
	{
		ClerkSlice token = clerk_text_slice(PG_GETARG_TEXT_PP(0));

		clerk_session_explain(&token, &explanation);
	}
	InitMaterializedSRF(fcinfo, 0);
	result = (ReturnSetInfo *) fcinfo->resultinfo;
	for (ClerkStep step = CLERK_STEP_SOURCE; step < CLERK_N_STEPS; step++)
		put_step(result, step, &explanation);
	if (explanation.session == NULL)
		return (Datum) 0;
	put(result, "mapping", "ok", clerk_idmap_describe(explanation.session));
	if (explanation.source != CLERK_SOURCE_ARGUMENT)
		put_role(result, &explanation);
	put_organization(result, explanation.session->grants);
	return (Datum) 0;
}
