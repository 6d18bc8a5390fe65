/*
 * fuzz_has.c
 *		Claims, a NUL and what is asked of them: the normal form fits the memory that it says
 *		it needs, and has() and its parts answer alike.
 */
#include "fuzz.h"

typedef bool (*Question)(const ClerkGrants *grants, ClerkSlice wanted);

static bool
count(void *context, ClerkSlice feature, ClerkSlice name)
{
	*(size_t *) context += feature.len + name.len;
	return true;
}

static void
ask(const ClerkGrants *grants, const char *name, Question question, ClerkSlice wanted)
{
	json_t *params = json_object();
	bool answer = question(grants, wanted);
	char *text;

	assert(!answer || !grants->unreadable);
	if (json_object_set_new(params, name, json_stringn(wanted.data, wanted.len)) == 0)
	{
		text = json_dumps(params, 0);
		assert(clerk_has_params(grants, (ClerkSlice){text, strlen(text)}) == answer);
		free(text);
	}
	json_decref(params);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ClerkSlice rest = {(const char *) data, size};
	ClerkSlice payload = fuzz_next(&rest, '\0');
	ClerkSlice wanted = fuzz_next(&rest, '\0');
	const ClerkGrants *grants;
	ClerkClaims claims;
	size_t n = 0;

	if (clerk_claims_parse(payload, &claims) == CLERK_OK)
	{
		void *memory = malloc(clerk_grants_size(&claims));

		grants = clerk_grants_decode(&claims, memory);
		clerk_claims_free(&claims); /* nothing may point there */
		clerk_grants_visit_permissions(grants, count, &n);
		assert(grants->org_id != NULL || (!clerk_has_role(grants, wanted) && n == 0));
		ask(grants, "role", clerk_has_role, wanted);
		ask(grants, "permission", clerk_has_permission, wanted);
		ask(grants, "feature", clerk_has_feature, wanted);
		ask(grants, "plan", clerk_has_plan, wanted);
		ask(grants, "reverification", clerk_has_reverified_preset, wanted);
		(void) clerk_has_params(grants, wanted);
		(void) clerk_has_reverified(grants, wanted, 10);
		free(memory);
	}
	clerk_claims_free(&claims);
	return 0;
}
