/*
 * fuzz_claims.c
 *		Claims: those that pass have a subject and an expiry, and none of the policies that
 *		demand more lets pass what a laxer one refuses.
 */
#include "fuzz.h"

static const char *parties[] = {"https://app.example.com"};
static const char *audiences[] = {"notes"};

static const ClerkPolicy lax = {.clock_skew = 5000000, .accept_templates = true};
static const ClerkPolicy strict = {.authorized_parties = parties,
								   .n_authorized_parties = 1,
								   .audiences = audiences,
								   .n_audiences = 1,
								   .max_token_age = 60000000};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const ClerkJws jws = {.alg = "RS256"};
	ClerkClaims claims;
	ClerkStatus status =
		clerk_claims_parse((ClerkSlice){(const char *) data, size}, &claims);

	if (status == CLERK_OK)
	{
		status = clerk_claims_check(&claims, &lax, FUZZ_NOW);
		assert(status == CLERK_OK ||
			   clerk_claims_check(&claims, &strict, FUZZ_NOW) != CLERK_OK);
		assert(clerk_claims_check_type(&jws, &claims, &lax) == CLERK_OK ||
			   clerk_claims_check_type(&jws, &claims, &strict) != CLERK_OK);
	}
	if (status == CLERK_OK)
	{
		assert(claims.subject[0] != '\0' &&
			   claims.times.expiry > FUZZ_NOW - lax.clock_skew);
		assert(clerk_claims_mention(&claims, claims.subject));
		assert(clerk_claims_check_times(&claims.times, &lax, FUZZ_NOW) == CLERK_OK);
		assert(clerk_claims_check_times(&claims.times, &lax, INT64_MAX) != CLERK_OK);
	}
	clerk_claims_free(&claims);
	return 0;
}
