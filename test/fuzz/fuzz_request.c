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

/* Without a parser the same, unless another member keeps the text from being JSON. */
static void
check_plain(ClerkSlice text, const ClerkJson *json, const char *name)
{
	ClerkSlice plain, value = {NULL, 0};

	if (!clerk_request_plain_header(text, name, &plain))
		return;
	assert(plain.len == 0 || fuzz_is_within(plain, text));
	if (json->root == NULL)
		return;
	assert((clerk_request_header(json, name, &value) == CLERK_OK) == (plain.len > 0));
	assert(plain.len == value.len &&
		   (plain.len == 0 || memcmp(plain.data, value.data, plain.len) == 0));
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
		check_plain(text, &json, names[i]);
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
