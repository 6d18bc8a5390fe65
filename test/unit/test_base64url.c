/*
 * test_base64url.c
 *		The vectors of RFC 4648 section 10, and one text per value.
 */
#include "unit.h"

static void
accepts(const char *text, const char *wanted, size_t wanted_len)
{
	ClerkSlice slice = unit_slice(text);
	unsigned char out[64];
	char encoded[64];
	size_t len = 99;

	unit_ok(clerk_base64url_decode(slice, out, &len) && len == wanted_len &&
				memcmp(out, wanted, len) == 0,
			"base64url: \"%s\"", text);
	clerk_base64url_encode((const unsigned char *) wanted, wanted_len, encoded);
	unit_ok(strcmp(encoded, text) == 0, "base64url: and back");
}

static void
refuses(const char *text, size_t text_len, const char *why)
{
	unsigned char out[64];
	size_t len;

	unit_ok(!clerk_base64url_decode(unit_bytes(text, text_len), out, &len),
			"base64url: refuses %s", why);
}

static void
test_decode(void)
{
	accepts("", "", 0);
	accepts("Zg", "f", 1);
	accepts("Zm8", "fo", 2);
	accepts("Zm9v", "foo", 3);
	accepts("Zm9vYg", "foob", 4);
	accepts("Zm9vYmE", "fooba", 5);
	accepts("Zm9vYmFy", "foobar", 6);
	accepts("-_-_", "\xfb\xff\xbf", 3);
	accepts("AAAA", "\0\0\0", 3);
	refuses("Zg==", 4, "padding");
	refuses("Zm9v=", 5, "a lonely pad");
	refuses("+/+/", 4, "the other alphabet");
	refuses("Zm 9v", 5, "a space");
	refuses("Zm9v\n", 5, "a newline");
	refuses("Zm9v\0", 5, "a NUL");
	refuses("Z", 1, "one character");
	refuses("Zm9vY", 5, "one character left over");
	refuses("Zh", 2, "four bits left over that are not zero");
	refuses("Zm9", 3, "two bits left over that are not zero");
	refuses("Zm9\xc3", 4, "a byte beyond ASCII");
	for (int c = 0; c < 256; c++)
	{
		char text[4] = {'A', 'A', 'A', (char) c};
		unsigned char out[4];
		size_t len;
		bool wanted =
			strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
				   c) != NULL &&
			c != 0;

		if (clerk_base64url_decode((ClerkSlice){text, 4}, out, &len) != wanted)
			unit_ok(false, "base64url: byte %d", c);
	}
	unit_ok(true, "base64url: the alphabet is 64 bytes");
}

int
test_base64url(void)
{
	const struct CMUnitTest tests[] = {
		unit_case(test_decode),
	};

	return cmocka_run_group_tests_name("base64url", tests, NULL, NULL);
}
