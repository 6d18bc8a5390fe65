/*
 * test_claims.c
 *		Each check of the claims, its order, and the times to the microsecond.
 */
#include "unit.h"

/* 2100-01-01, in seconds and in microseconds */
#define NOW_SECONDS "4102444800"
#define NOW INT64_C(4102444800000000)
#define SECOND INT64_C(1000000)

static const ClerkPolicy open_policy = {.accept_templates = true};

static ClerkStatus
check_at(const char *payload, const ClerkPolicy *policy, int64_t now)
{
	ClerkClaims claims;
	ClerkStatus status = clerk_claims_parse(unit_slice(payload), &claims);

	if (status == CLERK_OK)
		status = clerk_claims_check(&claims, policy, now);
	clerk_claims_free(&claims);
	return status;
}

/* The members stand beside a good subject and expiry. */
static char *
with(const char *members)
{
	return unit_format("{\"sub\":\"user_1\",\"exp\":4102444860%s%s}",
					   members[0] ? "," : "", members);
}

static void
claims(ClerkStatus wanted, const char *members, const ClerkPolicy *policy)
{
	unit_status(check_at(with(members), policy, NOW), wanted, "claims: %.60s", members);
}

static void
payload(ClerkStatus wanted, const char *text)
{
	unit_status(check_at(text, &open_policy, NOW), wanted, "claims: %.60s", text);
}

static void
test_subject(void)
{
	claims(CLERK_OK, "", &open_policy);
	payload(CLERK_PAYLOAD_NOT_JSON, "[]");
	payload(CLERK_PAYLOAD_NOT_JSON, "{\"sub\":\"a\",\"sub\":\"b\",\"exp\":4102444860}");
	payload(CLERK_PAYLOAD_NOT_JSON, "{\"sub\":\"a\\u0000b\",\"exp\":4102444860}");
	payload(CLERK_SUBJECT_INVALID, "{\"exp\":4102444860}");
	payload(CLERK_SUBJECT_INVALID, "{\"sub\":\"\",\"exp\":4102444860}");
	payload(CLERK_SUBJECT_INVALID, "{\"sub\":null,\"exp\":4102444860}");
	payload(CLERK_SUBJECT_INVALID, "{\"sub\":7,\"exp\":4102444860}");
	payload(CLERK_SUBJECT_INVALID, "{\"sub\":[\"user_1\"],\"exp\":4102444860}");
	claims(CLERK_CLAIM_TYPE, "\"sid\":7", &open_policy);
	claims(CLERK_CLAIM_TYPE, "\"azp\":[\"https://a\"]", &open_policy);
	claims(CLERK_CLAIM_TYPE, "\"sts\":true", &open_policy);
	claims(CLERK_CLAIM_TYPE, "\"act\":\"user_2\"", &open_policy);
	claims(CLERK_CLAIM_TYPE, "\"act\":{}", &open_policy);
	claims(CLERK_CLAIM_TYPE, "\"act\":{\"sub\":7}", &open_policy);
	claims(CLERK_OK, "\"act\":null", &open_policy);
	claims(CLERK_OK, "\"act\":{\"sub\":\"user_2\"}", &open_policy);
	claims(CLERK_OK, "\"sts\":\"active\"", &open_policy);
	claims(CLERK_SESSION_PENDING, "\"sts\":\"pending\"", &open_policy);
	claims(CLERK_OK, unit_format("\"n\":%s", unit_repeat("9", 500)), &open_policy);
}

/* What the payload says, once parsed. */
static void
test_strings(void)
{
	ClerkClaims got;

	clerk_claims_parse(
		unit_slice("{\"iss\":\"https://i\",\"sub\":\"s\",\"sid\":\"sess\","
				   "\"act\":{\"sub\":\"admin\"},\"deep\":[{\"role\":\"web\"}],"
				   "\"name\":\"\xc3\xa9\"}"),
		&got);
	unit_ok(strcmp(got.issuer, "https://i") == 0 && strcmp(got.subject, "s") == 0 &&
				strcmp(got.session_id, "sess") == 0 && strcmp(got.actor, "admin") == 0,
			"claims: issuer, subject, session, actor");
	unit_ok(!got.ascii, "claims: beyond ASCII");
	unit_ok(clerk_claims_mention(&got, "web") && clerk_claims_mention(&got, "s"),
			"claims: a string anywhere is mentioned");
	unit_ok(!clerk_claims_mention(&got, "role") && !clerk_claims_mention(&got, "we"),
			"claims: a name, or a part, is not");
	clerk_claims_free(&got);
	unit_ok(got.root == NULL && got.subject == NULL, "claims: freed");
}

static void
test_audience(void)
{
	const char *audiences[] = {"api", "web"};
	ClerkPolicy policy = {
		.accept_templates = true, .audiences = audiences, .n_audiences = 2};

	claims(CLERK_OK, "\"aud\":\"api\"", &policy);
	claims(CLERK_OK, "\"aud\":\"web\"", &policy);
	claims(CLERK_OK, "\"aud\":[\"other\",\"web\"]", &policy);
	claims(CLERK_AUDIENCE, "", &policy);
	claims(CLERK_AUDIENCE, "\"aud\":\"other\"", &policy);
	claims(CLERK_AUDIENCE, "\"aud\":\"API\"", &policy);
	claims(CLERK_AUDIENCE, "\"aud\":[]", &policy);
	claims(CLERK_AUDIENCE, "\"aud\":[\"api\",7]", &policy);
	claims(CLERK_AUDIENCE, "\"aud\":{\"api\":1}", &policy);
	claims(CLERK_AUDIENCE, "\"aud\":null", &policy);
	claims(CLERK_OK, "\"aud\":7", &open_policy);
}

static void
test_authorized_party(void)
{
	const char *parties[] = {"https://a.example"};
	ClerkPolicy policy = {.accept_templates = true,
						  .authorized_parties = parties,
						  .n_authorized_parties = 1};

	claims(CLERK_OK, "\"azp\":\"https://a.example\"", &policy);
	claims(CLERK_AUTHORIZED_PARTY_MISSING, "", &policy);
	claims(CLERK_AUTHORIZED_PARTY, "\"azp\":\"\"", &policy);
	claims(CLERK_AUTHORIZED_PARTY_MISSING, "\"azp\":null", &policy);
	claims(CLERK_AUTHORIZED_PARTY, "\"azp\":\"https://a.example/\"", &policy);
	claims(CLERK_AUTHORIZED_PARTY, "\"azp\":\"https://evil.example\"", &policy);
}

/* What templates write for a claim that is empty. */
static void
test_null(void)
{
	static const char *const names[] = {"sid", "azp", "sts", "nbf", "iat", "act", "aud"};

	for (size_t i = 0; i < lengthof(names); i++)
		claims(CLERK_OK, unit_format("\"%s\":null", names[i]), &open_policy);
	claims(CLERK_OK, "\"sid\":null,\"azp\":null,\"sts\":null,\"nbf\":null,\"iat\":null",
		   &open_policy);
	payload(CLERK_SUBJECT_INVALID, "{\"sub\":null,\"exp\":4102444860}");
	payload(CLERK_EXPIRY_INVALID, "{\"sub\":\"a\",\"exp\":null}");
}

/* A date that is none refuses the token, whatever the other checks would say. */
static void
test_dates(void)
{
	static const char *const bad[] = {
		"\"4102444860\"", "[4102444860]", "{}",	"true", "1e13",
		"-1e13",		  "99999999999999999999", "1e308"};

	for (size_t i = 0; i < lengthof(bad); i++)
	{
		payload(CLERK_EXPIRY_INVALID, unit_format("{\"sub\":\"a\",\"exp\":%s}", bad[i]));
		claims(CLERK_NOT_BEFORE_INVALID, unit_format("\"nbf\":%s", bad[i]), &open_policy);
		claims(CLERK_ISSUED_AT_INVALID, unit_format("\"iat\":%s", bad[i]), &open_policy);
	}
	payload(CLERK_EXPIRY_INVALID,
			unit_format("{\"sub\":\"a\",\"exp\":%s}", unit_repeat("9", 400)));
	payload(CLERK_EXPIRY_INVALID, "{\"sub\":\"a\"}");
	payload(CLERK_OK, "{\"sub\":\"a\",\"exp\":4102444800.5}");
	payload(CLERK_OK, "{\"sub\":\"a\",\"exp\":9.2e12}");
	payload(CLERK_OK, "{\"sub\":\"a\",\"exp\":4.10244486e9}");
	payload(CLERK_EXPIRED, "{\"sub\":\"a\",\"exp\":-1}");
	payload(CLERK_EXPIRED, "{\"sub\":\"a\",\"exp\":0}");
}

static void
test_times(void)
{
	static const ClerkPolicy skewed = {.accept_templates = true,
									   .clock_skew = 5 * SECOND};
	const char *expiring = "{\"sub\":\"a\",\"exp\":" NOW_SECONDS "}";
	const char *early = with("\"nbf\":" NOW_SECONDS);
	const char *future = with("\"iat\":" NOW_SECONDS);

	unit_status(check_at(expiring, &open_policy, NOW - 1), CLERK_OK,
				"times: exp is a µs away");
	unit_status(check_at(expiring, &open_policy, NOW), CLERK_EXPIRED,
				"times: exp is now");
	unit_status(check_at(expiring, &skewed, NOW + 5 * SECOND - 1), CLERK_OK,
				"times: within the skew");
	unit_status(check_at(expiring, &skewed, NOW + 5 * SECOND), CLERK_EXPIRED,
				"times: the skew is over");
	unit_status(check_at(early, &open_policy, NOW), CLERK_OK, "times: nbf is now");
	unit_status(check_at(early, &open_policy, NOW - 1), CLERK_NOT_ACTIVE_YET,
				"times: nbf is a µs away");
	unit_status(check_at(early, &skewed, NOW - 5 * SECOND), CLERK_OK,
				"times: nbf and the skew");
	unit_status(check_at(future, &open_policy, NOW - 1), CLERK_ISSUED_IN_FUTURE,
				"times: iat is a µs away");
	unit_status(check_at(future, &skewed, NOW - 5 * SECOND), CLERK_OK,
				"times: iat and the skew");
}

static void
test_age(void)
{
	static const ClerkPolicy policy = {.accept_templates = true,
									   .max_token_age = 60 * SECOND};
	const char *token = with("\"iat\":4102444740");

	unit_status(check_at(token, &policy, NOW - 1), CLERK_OK,
				"age: a µs less than a minute");
	unit_status(check_at(token, &policy, NOW), CLERK_TOO_OLD, "age: a minute");
	unit_status(check_at(with(""), &policy, NOW), CLERK_TOO_OLD, "age: no iat");
	unit_status(check_at(with("\"iat\":null"), &policy, NOW), CLERK_TOO_OLD,
				"age: iat is null");
}

/* Clerk's order, where several checks would fail. */
static void
test_order(void)
{
	const char *value[] = {"x"};
	ClerkPolicy policy = {.accept_templates = true,
						  .audiences = value,
						  .n_audiences = 1,
						  .authorized_parties = value,
						  .n_authorized_parties = 1};

	unit_status(check_at("{\"exp\":1,\"sts\":\"pending\"}", &policy, NOW),
				CLERK_SUBJECT_INVALID, "order: the subject first");
	unit_status(check_at("{\"sub\":\"a\",\"exp\":1}", &policy, NOW), CLERK_AUDIENCE,
				"order: then the audience");
	unit_status(check_at("{\"sub\":\"a\",\"aud\":\"x\",\"exp\":1}", &policy, NOW),
				CLERK_AUTHORIZED_PARTY_MISSING, "order: then the authorized party");
	unit_status(check_at("{\"sub\":\"a\",\"aud\":\"x\",\"azp\":\"x\",\"exp\":1,"
						 "\"nbf\":4102444900,\"sts\":\"pending\"}",
						 &policy, NOW),
				CLERK_EXPIRED, "order: then the expiry");
	claims(CLERK_NOT_ACTIVE_YET,
		   "\"nbf\":4102444900,\"iat\":4102444900,\"sts\":\"pending\"", &open_policy);
	claims(CLERK_ISSUED_IN_FUTURE, "\"iat\":4102444900,\"sts\":\"pending\"",
		   &open_policy);
}

static void
type(ClerkStatus wanted, const char *header, const char *text, bool templates)
{
	ClerkPolicy policy = {.accept_templates = templates};
	ClerkClaims got;
	ClerkJws jws;
	char *input = jose_signing_input(header, text, strlen(text));
	ClerkSlice token = unit_slice(unit_format("%s.AA", input));

	free(input);
	(void) clerk_jws_parse(token, &jws);
	(void) clerk_claims_parse(jws.payload, &got);
	unit_status(clerk_claims_check_type(&jws, &got, &policy), wanted, "type: %s %s",
				header, text);
	clerk_claims_free(&got);
	clerk_jws_free(&jws);
}

/* What kind of token the instance takes. */
static void
kind(ClerkStatus wanted, ClerkTokenType token_type, const char *typ, const char *more)
{
	const char *audiences[] = {"notes"};
	ClerkPolicy policy = {.accept_templates = true, .token_type = token_type};
	ClerkJws jws = {.typ = typ};
	ClerkClaims got;

	if (token_type != CLERK_TOKEN_SESSION)
	{
		policy.audiences = audiences;
		policy.n_audiences = 1;
	}
	clerk_claims_parse(unit_slice(unit_format("{\"sub\":\"a\"%s}", more)), &got);
	unit_status(clerk_claims_check_type(&jws, &got, &policy), wanted, "kind %d: typ %s%s",
				(int) token_type, typ != NULL ? typ : "absent", more);
	clerk_claims_free(&got);
}

static void
test_kinds(void)
{
	static const char *const id_token[] = {",\"nonce\":\"n\",\"sid\":\"s\"",
										   ",\"at_hash\":\"h\",\"sid\":\"s\"",
										   ",\"c_hash\":\"h\"", ",\"aud\":\"notes\""};

	for (size_t i = 0; i < lengthof(id_token); i++)
	{
		kind(CLERK_TYPE_ID, CLERK_TOKEN_SESSION, "JWT", id_token[i]);
		kind(CLERK_OK, CLERK_TOKEN_ID, "JWT", id_token[i]);
		kind(CLERK_TYPE_NOT_ACCESS, CLERK_TOKEN_ACCESS, "JWT", id_token[i]);
	}
	kind(CLERK_OK, CLERK_TOKEN_SESSION, "JWT", ",\"aud\":\"notes\",\"sid\":\"s\"");
	kind(CLERK_OK, CLERK_TOKEN_SESSION, NULL, ",\"nonce\":null,\"aud\":null");
	kind(CLERK_TYPE_NOT_JWT, CLERK_TOKEN_SESSION, "at+jwt", "");
	kind(CLERK_TYPE_NOT_JWT, CLERK_TOKEN_ID, "at+jwt", "");
	kind(CLERK_OK, CLERK_TOKEN_ACCESS, "at+jwt", "");
	kind(CLERK_OK, CLERK_TOKEN_ACCESS, "application/at+jwt", "");
	kind(CLERK_TYPE_NOT_ACCESS, CLERK_TOKEN_ACCESS, NULL, "");
	kind(CLERK_TYPE_NOT_ACCESS, CLERK_TOKEN_ACCESS, "at+jwtx", "");
}

static void
test_types(void)
{
	const char *session = "{\"sub\":\"user_1\",\"sid\":\"sess_1\"}";
	const char *plain = "{\"sub\":\"user_1\"}";

	type(CLERK_OK, "{\"alg\":\"RS256\"}", session, false);
	type(CLERK_OK, "{\"alg\":\"RS256\",\"typ\":\"JWT\"}", session, false);
	type(CLERK_TYPE_NOT_JWT, "{\"alg\":\"RS256\",\"typ\":\"at+jwt\"}", session, true);
	type(CLERK_TYPE_NOT_JWT, "{\"alg\":\"RS256\",\"typ\":\"jwt\"}", session, true);
	type(CLERK_TYPE_NOT_JWT, "{\"alg\":\"RS256\",\"typ\":\"\"}", session, true);
	type(CLERK_OK, "{\"alg\":\"RS256\",\"cat\":\"cl_B7d4PD111AAA\"}", session, false);
	type(CLERK_OK, "{\"alg\":\"RS256\",\"cat\":\"cl_I7d4PD111III\"}", session, false);
	type(CLERK_OK, "{\"alg\":\"RS256\",\"cat\":\"cl_B7d4PD222AAA\"}", plain, true);
	type(CLERK_TYPE_NO_SESSION_ID, "{\"alg\":\"RS256\",\"cat\":\"cl_B7d4PD222AAA\"}",
		 session, false);
	type(CLERK_TYPE_NOT_SESSION, "{\"alg\":\"RS256\",\"cat\":\"cl_B7d4PD333AAA\"}",
		 session, true);
	type(CLERK_TYPE_NOT_SESSION, "{\"alg\":\"RS256\",\"cat\":\"\"}", session, true);
	type(CLERK_TYPE_MACHINE, "{\"alg\":\"RS256\"}", "{\"sub\":\"mch_1\"}", true);
	type(CLERK_OK, "{\"alg\":\"RS256\"}", plain, true);
	type(CLERK_TYPE_NO_SESSION_ID, "{\"alg\":\"RS256\"}", plain, false);
}

int
test_claims(void)
{
	const struct CMUnitTest tests[] = {
		unit_case(test_subject),
		unit_case(test_strings),
		unit_case(test_audience),
		unit_case(test_authorized_party),
		unit_case(test_null),
		unit_case(test_dates),
		unit_case(test_times),
		unit_case(test_age),
		unit_case(test_order),
		unit_case(test_types),
		unit_case(test_kinds),
	};

	return cmocka_run_group_tests_name("claims", tests, NULL, NULL);
}
