/*
 * fuzz_json.c
 *		JSON: what is accepted is valid UTF-8 without a NUL, bounded, and accepted again; and what
 *		was made plain fits its room and stays as it is.
 */
#include "fuzz.h"

#include <math.h>

static void
check(const json_t *value, int depth)
{
	const char *name;
	json_t *member;
	size_t i;

	assert(depth <= 256 && !json_is_integer(value));
	assert(!json_is_real(value) || isfinite(json_real_value(value)));
	assert(!json_is_string(value) ||
		   strlen(json_string_value(value)) == json_string_length(value));
	json_object_foreach((json_t *) value, name, member) check(member, depth + 1);
	json_array_foreach(value, i, member) check(member, depth + 1);
}

static void
check_plain(const char *text, size_t size, bool ascii)
{
	char *once = malloc(CLERK_JSON_PLAIN_SIZE(size));
	size_t len = clerk_json_plain((ClerkSlice){text, size}, ascii, once);
	char *twice = malloc(CLERK_JSON_PLAIN_SIZE(len));

	assert(len <= CLERK_JSON_PLAIN_SIZE(size));
	assert(clerk_json_plain((ClerkSlice){once, len}, ascii, twice) == len);
	assert(memcmp(once, twice, len) == 0);
	free(once);
	free(twice);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ClerkJson json, again;
	char *dump;

	check_plain((const char *) data, size, false);
	check_plain((const char *) data, size, true);
	if (!clerk_json_object((ClerkSlice){(const char *) data, size}, &json))
	{
		assert(json.root == NULL);
		return 0;
	}
	check(json.root, 0);
	dump = json_dumps(json.root, 0);
	assert(dump != NULL && clerk_json_object((ClerkSlice){dump, strlen(dump)}, &again));
	assert(again.ascii || !json.ascii);
	clerk_json_free(&json);
	clerk_json_free(&again);
	free(dump);
	return 0;
}
