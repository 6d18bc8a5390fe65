/*
 * test_json.c
 *		What is one JSON object that jsonb can hold as well.
 */
#include "unit.h"

/* The text is the value of a member. */
static void
accepts(const char *value, bool ascii)
{
	ClerkJson json;
	char *text = unit_format("{\"a\": %s}", value);
	bool accepted = clerk_json_object(unit_slice(text), &json);

	unit_ok(accepted && json.ascii == ascii, "json: accepts %.60s", value);
	clerk_json_free(&json);
	unit_ok(json.root == NULL, "json: freed");
}

static void
refuses_bytes(ClerkSlice text, const char *why)
{
	ClerkJson json = {.root = NULL};

	unit_ok(!clerk_json_object(text, &json) && json.root == NULL, "json: refuses %.60s",
			why);
	clerk_json_free(&json);
}

static void
refuses(const char *value)
{
	refuses_bytes(unit_slice(unit_format("{\"a\": %s}", value)), value);
}

static double
number(const char *value)
{
	ClerkJson json;
	double got = -1;

	if (clerk_json_object(unit_slice(unit_format("{\"a\":%s}", value)), &json))
		got = json_number_value(json_object_get(json.root, "a"));
	clerk_json_free(&json);
	return got;
}

static const char *
nested(size_t depth)
{
	return unit_format("%s%s", unit_repeat("[", depth), unit_repeat("]", depth));
}

static void
test_values(void)
{
	static const char *const good[] = {"1",
									   "-0",
									   "0.5",
									   "1e3",
									   "1E+3",
									   "1e-3",
									   "-1.5e-10",
									   "true",
									   "null",
									   "\"\"",
									   "\"a\\\"b\\\\\"",
									   "\"\\u0041\\u007f\"",
									   "[]",
									   "{}",
									   "[1, {\"b\": [2]}]",
									   "1e999",
									   "1e-999",
									   "-1e999"};
	static const char *const bad[] = {"",
									  "01",
									  "1.",
									  ".5",
									  "+1",
									  "1e",
									  "1e+",
									  "--1",
									  "0x10",
									  "NaN",
									  "Infinity",
									  "'a'",
									  "tru",
									  "\"\\x\"",
									  "\"\\u12\"",
									  "\"a",
									  "\"\n\"",
									  "[1,]",
									  "[1",
									  "{\"b\":1,}",
									  "1 2",
									  "1e1000",
									  "1e-1000",
									  "1e99999999999999999999",
									  "\"\\u0000\"",
									  "\"\\ud800\"",
									  "\"\\udc00\"",
									  "\"\\ud800\\u0041\"",
									  "\"\xff\"",
									  "\"\xc3\"",
									  "\"\xed\xa0\x80\"",
									  "\"\xf5\x80\x80\x80\"",
									  "\"\xc0\x80\"",
									  "{\"b\":1,\"b\":2}",
									  "{\"b\":1,\"\\u0062\":2}"};

	for (size_t i = 0; i < lengthof(good); i++)
		accepts(good[i], true);
	for (size_t i = 0; i < lengthof(bad); i++)
		refuses(bad[i]);
}

static void
test_unicode(void)
{
	accepts("\"\xc3\xa9\"", false);
	accepts("\"\\u00e9\"", false);
	accepts("\"\\u0080\"", false);
	accepts("\"\\ud83d\\ude00\"", false);
	accepts("{\"\xf0\x9f\x98\x80\": 1}", false);
	accepts("\"\\\\u00e9\"", true);
}

static void
test_numbers(void)
{
	const char *wide = unit_repeat("9", 400);

	accepts(wide, true);
	accepts(unit_format("-%s.%s", wide, wide), true);
	accepts(unit_format("[%s, \"%s\", %s]", wide, wide, wide), true);
	refuses(unit_format("%s.", wide));
	accepts(unit_repeat("9", 15000), true);
	refuses(unit_repeat("9", 15001));
	accepts(unit_format("0.%se-999", unit_repeat("9", 15000)), true);
	refuses(unit_format("0.%s", unit_repeat("9", 15001)));
	refuses(unit_format("%s %s", wide, wide));
	unit_ok(number("9007199254740993") == 9007199254740992.0,
			"json: an integer is read as a double");
	unit_ok(number(wide) == 0, "json: a number beyond a double is none");
	unit_ok(number("1.5") == 1.5, "json: a fraction");
}

static void
test_nesting(void)
{
	/* the object around it is the first level */
	accepts(nested(255), true);
	refuses(nested(256));
	refuses(nested(10000));
	accepts(unit_format("[%s, %s]", nested(200), nested(200)), true);
	accepts(unit_format("\"%s\"", unit_repeat("[", 1000)), true);
}

static char *
plain(const char *text, bool ascii)
{
	ClerkSlice slice = unit_slice(text);
	static char out[CLERK_JSON_PLAIN_SIZE(4000000)];

	out[clerk_json_plain(slice, ascii, out)] = '\0';
	return out;
}

static void
becomes(const char *text, bool ascii, const char *wanted)
{
	const char *got = plain(text, ascii);

	unit_ok(strcmp(got, wanted) == 0, "json: %.60s becomes %.60s (got %.60s)", text, wanted,
			got);
}

/* What jsonb cannot hold, and next to it what it can. */
static void
test_plain(void)
{
	char *long_string = unit_format("\"%01048570d\"", 0);
	char *longer_string = unit_format("{\"%01048580d\": \"%01048580d\"}", 0, 0);

	becomes("{\"a\": [1, -2.50e+3, true, null], \"b\\n\\\"\": \"\\u00e4\\\\u0000\"}", false,
			"{\"a\": [1, -2.50e+3, true, null], \"b\\n\\\"\": \"\\u00e4\\\\u0000\"}");
	becomes("[1e400000,1E-4000,-1e999]", false, "[\"1e400000\",\"1E-4000\",-1e999]");
	becomes(unit_format("%01000d", 0), false, unit_format("%01000d", 0));
	becomes(unit_format("[1%01000d]", 0), false, unit_format("[\"1%01000d\"]", 0));
	becomes(unit_format("[1.%01000d]", 0), false, unit_format("[\"1.%01000d\"]", 0));
	becomes("[1.e99999, 1e, -, 01, 1e+]", false, "[1.e99999, 1e, -, 01, 1e+]");
	becomes("\"\\u0000\\ud800\\udc00\\ud800\\ud800x\\udc00\\\\ud800\"", false,
			"\"\\ufffd\\ud800\\udc00\\ufffd\\ufffdx\\ufffd\\\\ud800\"");
	becomes("\"\\u0000\\ud800\\udc00\\u00e4\\u0041\"", true, "\"???\\u0041\"");
	becomes("\"1e99999 [ { \\u12\"", false, "\"1e99999 [ { \\u12\"");
	becomes("\"\\", false, "\"\\");
	becomes("\"\\u00", false, "\"\\u00");
	becomes("\"\\ud800\\u", false, "\"\\ufffd\\u");
	becomes(long_string, false, long_string);
	becomes(longer_string, false, "{\"\": \"\"}");
	becomes("]]}", false, "]]}");
	unit_ok(strcmp(plain(nested(256), false), nested(256)) == 0, "json: 256 levels stay");
	unit_ok(strstr(plain(nested(257), false), "[null]") != NULL, "json: the 257th is null");
	unit_ok(strlen(plain(unit_format("%s,1", nested(300)), false)) == 256 * 2 + 4 + 2,
			"json: what comes behind the deepest stays");
}

static void
test_objects(void)
{
	refuses_bytes(unit_slice(""), "nothing");
	refuses_bytes(unit_slice("[]"), "an array");
	refuses_bytes(unit_slice("\"a\""), "a string");
	refuses_bytes(unit_slice("{} {}"), "two objects");
	refuses_bytes(unit_slice("\xef\xbb\xbf{}"), "a byte order mark");
	refuses_bytes(unit_bytes("{\"a\":1\0}", 8), "a NUL behind a number");
	refuses_bytes(unit_bytes("{}\0", 3), "a NUL at the end");
	refuses_bytes(unit_bytes("{\"a\0b\":1}", 9), "a NUL in a name");
}

int
test_json(void)
{
	const struct CMUnitTest tests[] = {
		unit_case(test_plain),
		unit_case(test_values),
		unit_case(test_unicode),
		unit_case(test_numbers),
		unit_case(test_nesting),
		unit_case(test_objects),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
