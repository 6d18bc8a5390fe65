/*
 * claims.c
 *		The claims of a Clerk session token (RFC 7519, Clerk's session-token reference) and
 *		the checks that @clerk/backend makes, in its order, some of them stricter:
 *
 * - "aud" must be there and match where the instance has audiences;
 * - "azp" must be there and match where it has authorized parties;
 * - "sub" must not be empty, "exp" must be there;
 * - a NumericDate may be fractional, but must be a number within the range of a
 *   timestamptz.
 *
 * Errors are statuses.  Called by session.c and the tests.
 */
#include "clerk.h"

#include <math.h>
#include <string.h>

#include <jansson.h>

/* Seconds whose microseconds still fit 64 bits, with room for a skew. */
#define MAX_NUMERIC_DATE 9.2e12

/*
 * Clerk's token categories, from the header's "cat".  Tokens from before the categories
 * have none; the last is put on every token of some instances and says nothing.
 */
#define CATEGORY_SESSION "cl_B7d4PD111AAA"
#define CATEGORY_TEMPLATE "cl_B7d4PD222AAA"
#define CATEGORY_ANY "cl_I7d4PD111III"

/* Fills *claims; whatever is returned, the caller calls clerk_claims_free(). */
ClerkStatus
clerk_claims_parse(ClerkSlice payload, ClerkClaims *claims)
{
	ClerkJson json;
	const json_t *act;

	memset(claims, 0, sizeof(*claims));
	if (!clerk_json_object(payload, &json))
		return CLERK_PAYLOAD_NOT_JSON;
	act = json_object_get(json.root, "act");
	claims->root = json.root;
	claims->ascii = json.ascii;
	claims->issuer = json_string_value(json_object_get(json.root, "iss"));
	claims->subject = json_string_value(json_object_get(json.root, "sub"));
	claims->session_id = json_string_value(json_object_get(json.root, "sid"));
	claims->actor = json_string_value(json_object_get(act, "sub"));
	return CLERK_OK;
}

void
clerk_claims_free(ClerkClaims *claims)
{
	json_decref(claims->root);
	memset(claims, 0, sizeof(*claims));
}

/*
 * Is it a user's token?  The same key also signs OAuth access tokens ("typ": "at+jwt") and
 * machine tokens (a category of their own, subjects "mch_...").  Asked before the key, so
 * that nothing is spent on them.
 */
ClerkStatus
clerk_claims_check_type(const ClerkJws *jws, const ClerkClaims *claims,
						const ClerkPolicy *policy)
{
	bool template = jws->cat != NULL && strcmp(jws->cat, CATEGORY_TEMPLATE) == 0;

	if (jws->typ != NULL && strcmp(jws->typ, "JWT") != 0)
		return CLERK_TYPE_NOT_JWT;
	if (jws->cat != NULL && !template && strcmp(jws->cat, CATEGORY_SESSION) != 0 &&
		strcmp(jws->cat, CATEGORY_ANY) != 0)
		return CLERK_TYPE_NOT_SESSION;
	if (claims->subject != NULL && strncmp(claims->subject, "mch_", 4) == 0)
		return CLERK_TYPE_MACHINE;
	if (!policy->accept_templates && (template || claims->session_id == NULL))
		return CLERK_TYPE_NO_SESSION_ID;
	return CLERK_OK;
}

static bool
is_one_of(const json_t *value, const char *const *list, int n)
{
	for (int i = 0; json_is_string(value) && i < n; i++)
	{
		if (strcmp(json_string_value(value), list[i]) == 0)
			return true;
	}
	return false;
}

/* A string that is one of the audiences, or an array of strings of which one is. */
static bool
audience_matches(const json_t *aud, const ClerkPolicy *policy)
{
	bool found = is_one_of(aud, policy->audiences, policy->n_audiences);

	for (size_t i = 0; i < json_array_size(aud); i++)
	{
		const json_t *one = json_array_get(aud, i);

		if (!json_is_string(one))
			return false;
		found = found || is_one_of(one, policy->audiences, policy->n_audiences);
	}
	return found;
}

static bool
is_string_or_absent(const json_t *root, const char *name)
{
	const json_t *member = json_object_get(root, name);

	return member == NULL || json_is_string(member);
}

static ClerkStatus
check_types(const ClerkClaims *claims)
{
	const json_t *act = json_object_get(claims->root, "act");

	if (claims->subject == NULL || claims->subject[0] == '\0')
		return CLERK_SUBJECT_INVALID;
	if (!is_string_or_absent(claims->root, "sid") ||
		!is_string_or_absent(claims->root, "azp") ||
		!is_string_or_absent(claims->root, "sts"))
		return CLERK_CLAIM_TYPE;
	/* someone is impersonated, and we could not say by whom */
	if (act != NULL && !json_is_null(act) && claims->actor == NULL)
		return CLERK_CLAIM_TYPE;
	return CLERK_OK;
}

/* Rounded down to microseconds; false when absent, not a number, or out of range. */
static bool
numeric_date(const json_t *value, int64_t *time)
{
	double seconds = json_real_value(value);

	if (!json_is_real(value) || !(fabs(seconds) <= MAX_NUMERIC_DATE))
		return false;
	*time = (int64_t) floor(seconds * 1e6);
	return true;
}

static bool
optional_date(const json_t *root, const char *name, int64_t *time)
{
	const json_t *member = json_object_get(root, name);

	*time = INT64_MIN;
	return member == NULL || numeric_date(member, time);
}

static ClerkStatus
read_times(ClerkClaims *claims)
{
	if (!numeric_date(json_object_get(claims->root, "exp"), &claims->times.expiry))
		return CLERK_EXPIRY_INVALID;
	if (!optional_date(claims->root, "nbf", &claims->times.not_before))
		return CLERK_NOT_BEFORE_INVALID;
	if (!optional_date(claims->root, "iat", &claims->times.issued_at))
		return CLERK_ISSUED_AT_INVALID;
	return CLERK_OK;
}

/*
 * The checks that must be made again each time a token is used.  A token expires at exp
 * plus the skew, not a moment later; it is early while nbf is more than the skew ahead.
 */
ClerkStatus
clerk_claims_check_times(const ClerkTimes *times, const ClerkPolicy *policy, int64_t now)
{
	if (times->expiry <= now - policy->clock_skew)
		return CLERK_EXPIRED;
	if (times->not_before > now + policy->clock_skew)
		return CLERK_NOT_ACTIVE_YET;
	if (times->issued_at > now + policy->clock_skew)
		return CLERK_ISSUED_IN_FUTURE;
	if (policy->max_token_age > 0 &&
		times->issued_at <= now - policy->clock_skew - policy->max_token_age)
		return CLERK_TOO_OLD;
	return CLERK_OK;
}

/* Everything the claims themselves can be asked; the signature has been verified. */
ClerkStatus
clerk_claims_check(ClerkClaims *claims, const ClerkPolicy *policy, int64_t now)
{
	const json_t *sts = json_object_get(claims->root, "sts");
	ClerkStatus status = check_types(claims);

	if (status != CLERK_OK)
		return status;
	if (policy->audiences != NULL &&
		!audience_matches(json_object_get(claims->root, "aud"), policy))
		return CLERK_AUDIENCE;
	if (policy->authorized_parties != NULL &&
		!is_one_of(json_object_get(claims->root, "azp"), policy->authorized_parties,
				   policy->n_authorized_parties))
		return CLERK_AUTHORIZED_PARTY;
	status = read_times(claims);
	if (status == CLERK_OK)
		status = clerk_claims_check_times(&claims->times, policy, now);
	if (status == CLERK_OK && sts != NULL &&
		strcmp(json_string_value(sts), "pending") == 0)
		return CLERK_SESSION_PENDING;
	return status;
}

static bool
mentions(const json_t *value, const char *wanted)
{
	const char *key;
	json_t *member;
	size_t i;

	if (json_is_string(value))
		return strcmp(json_string_value(value), wanted) == 0;
	json_object_foreach((json_t *) value, key, member)
	{
		if (mentions(member, wanted))
			return true;
	}
	json_array_foreach(value, i, member)
	{
		if (mentions(member, wanted))
			return true;
	}
	return false;
}

/* Is value one of the strings anywhere in the claims?  Names of members do not count. */
bool
clerk_claims_mention(const ClerkClaims *claims, const char *value)
{
	return mentions(claims->root, value);
}
