/*
 * test_jws.c
 *		The compact serialization: its shape, its limits, its header.
 */
#include "unit.h"

#define HEADER "{\"alg\":\"RS256\",\"kid\":\"k\"}"

static ClerkStatus
parse(ClerkSlice token)
{
	ClerkJws jws;
	ClerkStatus status = clerk_jws_parse(token, &jws);

	clerk_jws_free(&jws);
	return status;
}

static ClerkSlice
token_of(const char *header, const char *payload, const char *signature)
{
	char *input = jose_signing_input(header, payload, strlen(payload));
	ClerkSlice token = unit_slice(unit_format("%s.%s", input, signature));

	free(input);
	return token;
}

static void
shape(ClerkStatus wanted, const char *token)
{
	unit_status(parse(unit_slice(token)), wanted, "jws: \"%s\"", token);
}

static void
header(ClerkStatus wanted, const char *text)
{
	unit_status(parse(token_of(text, "{}", "AA")), wanted, "jws: header %s", text);
}

static void
test_shapes(void)
{
	shape(CLERK_TOKEN_NOT_COMPACT, "");
	shape(CLERK_TOKEN_NOT_COMPACT, "eyJhbGciOiJSUzI1NiJ9");
	shape(CLERK_TOKEN_NOT_COMPACT, "eyJhbGciOiJSUzI1NiJ9.e30");
	shape(CLERK_TOKEN_NOT_COMPACT, "eyJhbGciOiJSUzI1NiJ9.e30.AA.");
	shape(CLERK_TOKEN_NOT_COMPACT, "eyJhbGciOiJSUzI1NiJ9.e30.AA.AA.AA");
	shape(CLERK_OK, "eyJhbGciOiJSUzI1NiJ9.e30.AA");
	shape(CLERK_OK, "eyJhbGciOiJSUzI1NiJ9.e30.");
	shape(CLERK_HEADER_NOT_JSON, "..");
	shape(CLERK_HEADER_NOT_JSON, ".e30.AA");
	shape(CLERK_TOKEN_NOT_BASE64URL, "eyJhbGciOiJSUzI1NiJ9.e30=.AA");
	shape(CLERK_TOKEN_NOT_BASE64URL, "eyJhbGciOiJSUzI1NiJ9.e30.AA==");
	shape(CLERK_TOKEN_NOT_BASE64URL, "eyJhbGciOiJSUzI1NiJ9.e30.AB");
	shape(CLERK_TOKEN_NOT_BASE64URL, " eyJhbGciOiJSUzI1NiJ9.e30.AA");
	shape(CLERK_TOKEN_NOT_BASE64URL, "eyJhbGciOiJSUzI1NiJ9.e30.AA\n");
	shape(CLERK_TOKEN_NOT_BASE64URL, "{\"alg\":\"RS256\"}.e30.AA");
}

static void
test_headers(void)
{
	header(CLERK_OK, HEADER);
	header(CLERK_OK, "{\"alg\":\"none\"}");
	header(CLERK_OK, "{\"alg\":\"RS256\",\"jwk\":{\"kty\":\"oct\"},\"jku\":1,\"x5c\":[],"
					 "\"x5u\":\"https://evil.example\"}");
	header(CLERK_HEADER_NOT_JSON, "[]");
	header(CLERK_HEADER_NOT_JSON, "{\"alg\":\"RS256\",\"alg\":\"none\"}");
	header(CLERK_HEADER_NOT_JSON, "{\"alg\":\"RS256\",\"\\u0061lg\":\"none\"}");
	header(CLERK_HEADER_CRITICAL, "{\"alg\":\"RS256\",\"crit\":[\"exp\"]}");
	header(CLERK_HEADER_CRITICAL, "{\"alg\":\"RS256\",\"crit\":[]}");
	header(CLERK_HEADER_CRITICAL, "{\"alg\":\"RS256\",\"b64\":true}");
	header(CLERK_HEADER_MEMBER, "{}");
	header(CLERK_HEADER_MEMBER, "{\"alg\":null}");
	header(CLERK_HEADER_MEMBER, "{\"alg\":[\"RS256\"]}");
	header(CLERK_HEADER_MEMBER, "{\"alg\":\"RS256\",\"kid\":1}");
	header(CLERK_HEADER_MEMBER, "{\"alg\":\"RS256\",\"typ\":1}");
	header(CLERK_HEADER_MEMBER, "{\"alg\":\"RS256\",\"cat\":{}}");
}

/* The limits, to the byte. */
static void
test_sizes(void)
{
	size_t fixed = strlen("eyJhbGciOiJSUzI1NiJ9..AA");
	const char *format = "eyJhbGciOiJSUzI1NiJ9.%s.%s";
	size_t rest = CLERK_MAX_TOKEN - fixed;

	unit_ok(rest % 4 == 0, "jws: the filler is whole");
	unit_status(parse(unit_slice(unit_format(format, unit_repeat("A", rest), "AA"))),
				CLERK_OK, "jws: 16 KiB");
	unit_status(parse(unit_slice(unit_format(format, unit_repeat("A", rest + 4), "AA"))),
				CLERK_TOKEN_TOO_LARGE, "jws: more than 16 KiB");
	unit_status(parse(unit_slice(unit_repeat(".", CLERK_MAX_TOKEN + 1))),
				CLERK_TOKEN_TOO_LARGE, "jws: size is looked at first");
	/* 1024 bytes are 1366 characters, the last of which has two bits to spare */
	unit_status(parse(unit_slice(unit_format(format, "e30", unit_repeat("A", 1366)))),
				CLERK_OK, "jws: a signature of 1024 bytes");
	unit_status(parse(unit_slice(unit_format(format, "e30", unit_repeat("A", 1367)))),
				CLERK_SIGNATURE_INVALID, "jws: a signature of 1025 bytes");
	unit_status(parse(unit_slice(unit_format(format, "e30", unit_repeat("A", 4000)))),
				CLERK_SIGNATURE_INVALID, "jws: a signature of 3000 bytes");
}

static void
test_parts(void)
{
	const char *text = "{\"alg\":\"RS256\",\"kid\":\"k\",\"typ\":\"JWT\",\"cat\":\"c\"}";
	ClerkSlice token = token_of(text, "{\"a\":1}", "AAEC");
	ClerkJws jws;
	ClerkStatus status = clerk_jws_parse(token, &jws);

	unit_status(status, CLERK_OK, "jws: parses");
	unit_ok(jws.signing_input.data == token.data &&
				jws.signing_input.len == token.len - strlen(".AAEC"),
			"jws: what was signed is the token's own bytes");
	unit_ok(jws.payload.len == 7 && memcmp(jws.payload.data, "{\"a\":1}", 7) == 0,
			"jws: payload");
	unit_ok(jws.signature_len == 3 && memcmp(jws.signature, "\0\1\2", 3) == 0,
			"jws: signature");
	unit_ok(strcmp(jws.alg, "RS256") == 0 && strcmp(jws.kid, "k") == 0 &&
				strcmp(jws.typ, "JWT") == 0 && strcmp(jws.cat, "c") == 0,
			"jws: header");
	clerk_jws_free(&jws);
	unit_ok(jws.buffer == NULL && jws.header == NULL, "jws: freed");
	clerk_jws_free(&jws);
}

int
test_jws(void)
{
	const struct CMUnitTest tests[] = {
		unit_case(test_shapes),
		unit_case(test_headers),
		unit_case(test_sizes),
		unit_case(test_parts),
	};

	return cmocka_run_group_tests_name("jws", tests, NULL, NULL);
}
