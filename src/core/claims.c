/*
 * claims.c
 *		The claims of a Clerk session token (RFC 7519, Clerk's session-token reference) and
 *		the checks that @clerk/backend makes, in its order, some of them stricter:
 *
 * - "aud" must be there and match where the instance has audiences;
 * - "azp" must be there and match where it has authorized parties;
 * - "sub" must not be empty, "exp" must be there;
 * - a NumericDate may be fractional, but must be a number within the range of a
 *   timestamptz;
 * - null is absent, as templates write it for what is empty.
 *
 * Errors are statuses.  Called by session.c and the tests.
 */
#include "clerk_core.h"

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

/* A member that may be absent, or null, which is the same: NULL. */
static const json_t *
optional(const json_t *root, const char *name)
{
	const json_t *member = json_object_get(root, name);

	return json_is_null(member) ? NULL : member;
}

/*
 * Is it an id token of OpenID Connect, or may it be one?  The same key signs those of every
 * application that lets users sign in with this issuer, and "aud" alone says for which.  So a
 * token with an "aud" must have a session id, be marked as one of a template, or meet an
 * instance that compares it.
 */
static bool
may_be_id_token(const ClerkClaims *claims, const ClerkPolicy *policy, bool template)
{
	return optional(claims->root, "nonce") != NULL ||
		   optional(claims->root, "at_hash") != NULL ||
		   optional(claims->root, "c_hash") != NULL ||
		   (optional(claims->root, "aud") != NULL && claims->session_id == NULL &&
			!template && policy->audiences == NULL);
}

/* What the header must say of the token, and what it must not be. */
static ClerkStatus
check_token_type(const ClerkJws *jws, const ClerkClaims *claims,
				 const ClerkPolicy *policy, bool template)
{
	if (policy->token_type == CLERK_TOKEN_ACCESS)
		return jws->typ != NULL && (strcmp(jws->typ, "at+jwt") == 0 ||
									strcmp(jws->typ, "application/at+jwt") == 0)
				   ? CLERK_OK
				   : CLERK_TYPE_NOT_ACCESS;
	if (jws->typ != NULL && strcmp(jws->typ, "JWT") != 0)
		return CLERK_TYPE_NOT_JWT;
	return policy->token_type == CLERK_TOKEN_SESSION &&
				   may_be_id_token(claims, policy, template)
			   ? CLERK_TYPE_ID
			   : CLERK_OK;
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

	ClerkStatus status = check_token_type(jws, claims, policy, template);

	if (status != CLERK_OK)
		return status;
	if (jws->cat != NULL && !template && strcmp(jws->cat, CATEGORY_SESSION) != 0 &&
		strcmp(jws->cat, CATEGORY_ANY) != 0)
		return CLERK_TYPE_NOT_SESSION;
	if (claims->subject != NULL && strncmp(claims->subject, "mch_", 4) == 0)
		return CLERK_TYPE_MACHINE;
	if (policy->token_type == CLERK_TOKEN_SESSION && !policy->accept_templates &&
		(template || claims->session_id == NULL))
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
	const json_t *member = optional(root, name);

	return member == NULL || json_is_string(member);
}

static ClerkStatus
check_types(const ClerkClaims *claims)
{
	if (claims->subject == NULL || claims->subject[0] == '\0')
		return CLERK_SUBJECT_INVALID;
	if (!is_string_or_absent(claims->root, "sid") ||
		!is_string_or_absent(claims->root, "azp") ||
		!is_string_or_absent(claims->root, "sts"))
		return CLERK_CLAIM_TYPE;
	/* someone is impersonated, and we could not say by whom */
	if (optional(claims->root, "act") != NULL && claims->actor == NULL)
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
	const json_t *member = optional(root, name);

	*time = INT64_MIN;
	return member == NULL || numeric_date(member, time);
}

/*
 * The checks of the times.  A token expires at exp plus the skew, not a moment later; it is
 * early while nbf is more than the skew ahead.
 */
static ClerkStatus
check_expiry(const ClerkTimes *times, const ClerkPolicy *policy, int64_t now)
{
	return times->expiry <= now - policy->clock_skew ? CLERK_EXPIRED : CLERK_OK;
}

static ClerkStatus
check_not_before(const ClerkTimes *times, const ClerkPolicy *policy, int64_t now)
{
	return times->not_before > now + policy->clock_skew ? CLERK_NOT_ACTIVE_YET : CLERK_OK;
}

static ClerkStatus
check_issued_at(const ClerkTimes *times, const ClerkPolicy *policy, int64_t now)
{
	if (times->issued_at > now + policy->clock_skew)
		return CLERK_ISSUED_IN_FUTURE;
	if (policy->max_token_age > 0 &&
		times->issued_at <= now - policy->clock_skew - policy->max_token_age)
		return CLERK_TOO_OLD;
	return CLERK_OK;
}

/* Those that must be made again each time a token is used. */
ClerkStatus
clerk_claims_check_times(const ClerkTimes *times, const ClerkPolicy *policy, int64_t now)
{
	ClerkStatus status = check_expiry(times, policy, now);

	if (status == CLERK_OK)
		status = check_not_before(times, policy, now);
	return status == CLERK_OK ? check_issued_at(times, policy, now) : status;
}

static bool
is_pending(const ClerkClaims *claims)
{
	const char *sts = clerk_claims_string(claims, "sts");

	return sts != NULL && strcmp(sts, "pending") == 0;
}

static ClerkStatus
check_authorized_party(const json_t *azp, const ClerkPolicy *policy)
{
	if (policy->authorized_parties == NULL)
		return CLERK_OK;
	if (azp == NULL)
		return CLERK_AUTHORIZED_PARTY_MISSING;
	return is_one_of(azp, policy->authorized_parties, policy->n_authorized_parties)
			   ? CLERK_OK
			   : CLERK_AUTHORIZED_PARTY;
}

/* One of the checks from CLERK_STEP_SUBJECT to CLERK_STEP_SESSION_STATUS. */
ClerkStatus
clerk_claims_check_step(ClerkClaims *claims, const ClerkPolicy *policy, int64_t now,
						ClerkStep step)
{
	const json_t *root = claims->root;
	ClerkTimes *times = &claims->times;

	switch (step)
	{
		case CLERK_STEP_SUBJECT:
			return check_types(claims);
		case CLERK_STEP_AUDIENCE:
			return policy->audiences == NULL ||
						   audience_matches(json_object_get(root, "aud"), policy)
					   ? CLERK_OK
					   : CLERK_AUDIENCE;
		case CLERK_STEP_AUTHORIZED_PARTY:
			return check_authorized_party(optional(root, "azp"), policy);
		case CLERK_STEP_EXPIRY:
			return numeric_date(json_object_get(root, "exp"), &times->expiry)
					   ? check_expiry(times, policy, now)
					   : CLERK_EXPIRY_INVALID;
		case CLERK_STEP_NOT_BEFORE:
			return optional_date(root, "nbf", &times->not_before)
					   ? check_not_before(times, policy, now)
					   : CLERK_NOT_BEFORE_INVALID;
		case CLERK_STEP_ISSUED_AT:
			return optional_date(root, "iat", &times->issued_at)
					   ? check_issued_at(times, policy, now)
					   : CLERK_ISSUED_AT_INVALID;
		case CLERK_STEP_SESSION_STATUS:
			return is_pending(claims) ? CLERK_SESSION_PENDING : CLERK_OK;
		default:
			return CLERK_OK;
	}
}

/* Everything the claims themselves can be asked; the signature has been verified. */
ClerkStatus
clerk_claims_check(ClerkClaims *claims, const ClerkPolicy *policy, int64_t now)
{
	ClerkStatus status = CLERK_OK;

	for (ClerkStep step = CLERK_STEP_SUBJECT;
		 status == CLERK_OK && step <= CLERK_STEP_SESSION_STATUS; step++)
		status = clerk_claims_check_step(claims, policy, now, step);
	return status;
}

/* A claim that is a string, or NULL; as long as claims. */
const char *
clerk_claims_string(const ClerkClaims *claims, const char *name)
{
	return json_string_value(json_object_get(claims->root, name));
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
