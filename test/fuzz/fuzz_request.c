/*
 * fuzz_request.c
 *		Headers and cookies: a token is a part of what was sent, and has no NUL.
 */
#include "fuzz.h"

static void
check_bearer(ClerkSlice header)
{
	ClerkSlice token;

	if (clerk_request_bearer(header, &token))
		assert(fuzz_is_within(token, header) && (token.len == 0 || token.data[0] != ' '));
}

static bool
check_cookie(void *n_left, ClerkSlice token)
{
	assert(token.data != NULL && memchr(token.data, '\0', token.len) == NULL);
	return --*(int *) n_left > 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"authorization", "x-clerk-token"};
	ClerkSlice text = {(const char *) data, size};
	ClerkSlice value;
	ClerkJson json;
	int n_left = 3;

	check_bearer(text);
	(void) clerk_json_object(text, &json);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		if (clerk_request_header(&json, names[i], &value) != CLERK_OK)
			continue;
		assert(value.len > 0 && memchr(value.data, '\0', value.len) == NULL);
		check_bearer(value);
	}
	clerk_request_cookies(&json, check_cookie, &n_left);
	assert(n_left >= 0);
	clerk_json_free(&json);
	return 0;
}
