/*
 * test_request.c
 *		Tokens in headers and cookies.
 */
#include "unit.h"

static void
header(ClerkStatus wanted, const char *headers, const char *wanted_value)
{
	ClerkJson json;
	ClerkSlice value = {NULL, 0};
	ClerkSlice plain;
	ClerkStatus status;

	(void) clerk_json_object(unit_slice(headers), &json);
	status = clerk_request_header(&json, "x", &value);
	unit_status(status, wanted, "header: %s", headers);
	if (clerk_request_plain_header(unit_slice(headers), "x", &plain))
		unit_ok(json.root == NULL ||
					((plain.len > 0) == (status == CLERK_OK) && plain.len == value.len &&
					 (value.len == 0 || memcmp(plain.data, value.data, plain.len) == 0)),
				"header: without a parser the same, %s", headers);
	if (wanted == CLERK_OK)
		unit_ok(value.len == strlen(wanted_value) &&
					memcmp(value.data, wanted_value, value.len) == 0,
				"header: its value is %s", wanted_value);
	clerk_json_free(&json);
}

/* Of what needs a parser nothing is said. */
static void
not_plain(const char *headers)
{
	ClerkSlice value;

	unit_ok(!clerk_request_plain_header(unit_slice(headers), "x", &value),
			"header: needs a parser, %s", headers);
}

static void
bearer(const char *text, const char *wanted)
{
	ClerkSlice token;
	bool found = clerk_request_bearer(unit_slice(text), &token);

	unit_ok(found == (wanted != NULL) &&
				(!found || (token.len == strlen(wanted) &&
							memcmp(token.data, wanted, token.len) == 0)),
			"bearer: \"%s\" is %s", text, wanted ? wanted : "of another scheme");
}

typedef struct Sunk
{
	char text[256];
	int limit;
} Sunk;

static bool
sink(void *context, ClerkSlice token)
{
	Sunk *sunk = context;

	strncat(sunk->text, token.data, token.len);
	strcat(sunk->text, ";");
	return --sunk->limit > 0;
}

static void
cookies(const char *text, int limit, const char *wanted)
{
	ClerkJson json;
	Sunk sunk = {.limit = limit};

	(void) clerk_json_object(unit_slice(text), &json);
	clerk_request_cookies(&json, sink, &sunk);
	unit_ok(strcmp(sunk.text, wanted) == 0, "cookies: %s give %s", text, wanted);
	clerk_json_free(&json);
}

static void
may_use_cookies(bool wanted, const char *method, const char *origin, const char *site)
{
	static const char *parties[] = {"https://app.example.com", "https://b.example.com"};
	const ClerkPolicy policy = {.authorized_parties = parties, .n_authorized_parties = 2};
	ClerkFetch fetch = {{NULL, 0}, {NULL, 0}, {NULL, 0}};

	if (method != NULL)
		fetch.method = unit_slice(method);
	if (origin != NULL)
		fetch.origin = unit_slice(origin);
	if (site != NULL)
		fetch.site = unit_slice(site);
	unit_ok(clerk_request_may_use_cookies(&fetch, &policy) == wanted,
			"cookies of %s from %s, %s", method, origin, site);
}

static void
test_may_use_cookies(void)
{
	may_use_cookies(true, "GET", NULL, NULL);
	may_use_cookies(true, "HEAD", NULL, NULL);
	may_use_cookies(true, "GET", NULL, "cross-site");
	may_use_cookies(true, "GET", "https://b.example.com", "same-site");
	may_use_cookies(false, "GET", "https://c.example.com", "same-site");
	may_use_cookies(false, "GET", "null", NULL);
	may_use_cookies(false, "GET", "", NULL);
	may_use_cookies(false, NULL, NULL, NULL);
	may_use_cookies(false, "", NULL, NULL);
	may_use_cookies(false, "get", NULL, NULL);
	may_use_cookies(false, "GETS", NULL, NULL);
	may_use_cookies(false, "POST", NULL, NULL);
	may_use_cookies(false, "POST", NULL, "none");
	may_use_cookies(false, "POST", NULL, "same-site");
	may_use_cookies(true, "POST", NULL, "same-origin");
	may_use_cookies(true, "POST", "https://c.example.com", "same-origin");
	may_use_cookies(true, "POST", "https://app.example.com", NULL);
	may_use_cookies(true, "DELETE", "https://b.example.com", "cross-site");
	may_use_cookies(false, "POST", "https://app.example.com.evil.example", NULL);
	may_use_cookies(false, "POST", "https://app.example.co", NULL);
	may_use_cookies(false, "POST", "HTTPS://APP.EXAMPLE.COM", NULL);
}

static void
test_sources(void)
{
	header(CLERK_OK, "{\"x\":\"a\"}", "a");
	header(CLERK_OK, "{\"x\":[\"a\"]}", "a");
	header(CLERK_NO_TOKEN, "{}", NULL);
	header(CLERK_NO_TOKEN, "{\"X\":\"a\"}", NULL);
	header(CLERK_NO_TOKEN, "{\"x\":\"\"}", NULL);
	header(CLERK_SOURCE_AMBIGUOUS, "{\"x\":[\"a\",\"b\"]}", NULL);
	header(CLERK_SOURCE_AMBIGUOUS, "{\"x\":[\"a\",\"a\"]}", NULL);
	header(CLERK_SOURCE_AMBIGUOUS, "{\"x\":[]}", NULL);
	header(CLERK_SOURCE_AMBIGUOUS, "{\"x\":[[\"a\"]]}", NULL);
	header(CLERK_SOURCE_AMBIGUOUS, "{\"x\":7}", NULL);
	header(CLERK_SOURCE_AMBIGUOUS, "{\"x\":null}", NULL);
	header(CLERK_OK, " { \"y\" : \"\\\"q\\\\\" ,\n\"x\" : \"a\" } ", "a");
	header(CLERK_OK, "{\"x\":\"\\u0061\"}", "a");
	header(CLERK_OK, "{\"\\u0078\":\"a\"}", "a");
	header(CLERK_NO_TOKEN, "{\"x\":\"a\",\"x\":\"a\"}", NULL);
	not_plain("");
	not_plain("{");
	not_plain("{}");
	not_plain("{\"x\":\"a\"");
	not_plain("{\"x\":\"a");
	not_plain("{\"x\":\"a\"},");
	not_plain("{\"x\":\"a\"}}");
	not_plain("{\"x\":\"a\",}");
	not_plain("{\"x\" \"a\"}");
	not_plain("{\"x\":\"a\",\"x\":\"b\"}");
	not_plain("{\"\\u0078\":\"b\",\"x\":\"a\"}");
	not_plain("{\"x\":\"\\u0061\"}");
	not_plain("{\"y\":\"\\\\\\\"");
	not_plain("{\"x\":\"a\",\"y\":1}");
	not_plain("[\"x\"]");

	bearer("Bearer a.b.c", "a.b.c");
	bearer("bEARER a.b.c", "a.b.c");
	bearer("Bearer   a.b.c", "a.b.c");
	bearer("a.b.c", "a.b.c");
	bearer("Bearer ", "");
	bearer("Bearer", "Bearer");
	bearer("Bearera.b.c", "Bearera.b.c");
	bearer("Basic dXNlcjpwYXNz", NULL);
	bearer("Digest a=b, c=d", NULL);

	cookies("{}", 9, "");
	cookies("{\"__session\":\"a\"}", 9, "a;");
	cookies("{\"__session\":\"a\",\"__session_x\":\"b\",\"other\":\"c\"}", 9, "b;a;");
	cookies("{\"__sessions\":\"a\",\"_session\":\"b\",\"__session\":[\"c\"]}", 9, "");
	cookies("{\"__session_x\":\"a\",\"__session_y\":\"b\",\"__session\":\"c\"}", 2,
			"a;b;");
	cookies("{\"__session_x\":\"a\",\"__session\":\"c\"}", 1, "a;");
}

int
test_request(void)
{
	const struct CMUnitTest tests[] = {
		unit_case(test_may_use_cookies),
		unit_case(test_sources),
		unit_case(test_may_use_cookies),
	};

	return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
