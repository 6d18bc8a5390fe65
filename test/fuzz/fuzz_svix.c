/*
 * fuzz_svix.c
 *		Webhooks, as lines of secret, id, timestamp, signatures, and a body: what is accepted
 *		is refused with another body or id.
 */
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ClerkSlice rest = {(const char *) data, size};
	ClerkSlice secret = fuzz_next(&rest, '\n');
	ClerkWebhook webhook;
	bool verified;

	webhook.id = fuzz_next(&rest, '\n');
	webhook.timestamp = fuzz_next(&rest, '\n');
	webhook.signature = fuzz_next(&rest, '\n');
	webhook.body = rest;
	if (clerk_svix_check(&webhook, FUZZ_NOW) == CLERK_OK)
		assert(clerk_svix_check(&webhook, FUZZ_NOW + 601 * INT64_C(1000000)) != CLERK_OK);
	verified = clerk_svix_verify(&webhook, secret);
	assert(!verified || clerk_svix_is_secret(secret));
	webhook.body = (ClerkSlice){"other", 5};
	assert(!verified || !clerk_svix_verify(&webhook, secret));
	webhook.body = rest;
	webhook.id = (ClerkSlice){"other", 5};
	assert(!verified || !clerk_svix_verify(&webhook, secret));
	return 0;
}
