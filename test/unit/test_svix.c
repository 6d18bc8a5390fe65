/*
 * test_svix.c
 *		Webhook signatures: a published one, and what differs from it.
 */
#include "unit.h"

#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define ID "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define TIMESTAMP "1614265330"
#define SIGNATURE "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
#define BODY "{\"test\": 2432232314}"
#define NOW INT64_C(1614265330000000)
#define SECOND INT64_C(1000000)

static ClerkWebhook
webhook(const char *id, const char *timestamp, const char *signature, const char *body)
{
	return (ClerkWebhook){unit_slice(id), unit_slice(timestamp), unit_slice(signature),
						  unit_slice(body)};
}

static void
checks(ClerkStatus wanted, const char *id, const char *timestamp, int64_t now)
{
	ClerkWebhook one = webhook(id, timestamp, SIGNATURE, BODY);

	unit_status(clerk_svix_check(&one, now), wanted, "svix: id \"%s\", timestamp \"%s\"",
				id, timestamp);
}

static void
verifies(bool wanted, ClerkWebhook one, const char *secret, const char *what)
{
	unit_ok(clerk_svix_verify(&one, unit_slice(secret)) == wanted, "svix: %s", what);
}

static void
secret(bool wanted, const char *text)
{
	unit_ok(clerk_svix_is_secret(unit_slice(text)) == wanted, "svix: secret \"%.40s\"",
			text);
}

static void
test_webhooks(void)
{
	ClerkWebhook good = webhook(ID, TIMESTAMP, SIGNATURE, BODY);

	checks(CLERK_OK, ID, TIMESTAMP, NOW);
	checks(CLERK_OK, ID, TIMESTAMP, NOW + 300 * SECOND);
	checks(CLERK_WEBHOOK_TOO_OLD, ID, TIMESTAMP, NOW + 301 * SECOND);
	checks(CLERK_OK, ID, TIMESTAMP, NOW - 300 * SECOND);
	checks(CLERK_WEBHOOK_TOO_NEW, ID, TIMESTAMP, NOW - 301 * SECOND);
	checks(CLERK_WEBHOOK_HEADERS, "", TIMESTAMP, NOW);
	checks(CLERK_WEBHOOK_HEADERS, "msg.1", TIMESTAMP, NOW);
	checks(CLERK_WEBHOOK_HEADERS, ID, "", NOW);
	checks(CLERK_WEBHOOK_HEADERS, ID, "1614265330.5", NOW);
	checks(CLERK_WEBHOOK_HEADERS, ID, " 1614265330", NOW);
	checks(CLERK_WEBHOOK_HEADERS, ID, "-1614265330", NOW);
	checks(CLERK_WEBHOOK_HEADERS, ID, "99999999999999999999", NOW);

	verifies(true, good, SECRET, "the published signature");
	verifies(true, good, &SECRET[strlen("whsec_")], "a secret without prefix");
	verifies(false, good, "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "another secret");
	verifies(false, good, "", "no secret");
	verifies(false, good, "whsec_", "an empty secret");
	verifies(false, webhook("msg_x", TIMESTAMP, SIGNATURE, BODY), SECRET, "another id");
	verifies(false, webhook(ID, "1614265331", SIGNATURE, BODY), SECRET, "another time");
	verifies(false, webhook(ID, TIMESTAMP, SIGNATURE, BODY " "), SECRET, "another body");
	verifies(true, webhook(ID, TIMESTAMP, "v1,x v2,y  " SIGNATURE " v1,z", BODY), SECRET,
			 "one of several");
	verifies(false, webhook(ID, TIMESTAMP, "v2", BODY), SECRET, "a version");
	verifies(false, webhook(ID, TIMESTAMP, "v1,", BODY), SECRET, "an empty signature");
	verifies(false, webhook(ID, TIMESTAMP, SIGNATURE "=", BODY), SECRET,
			 "a longer signature");
	verifies(false, webhook(ID, TIMESTAMP, SIGNATURE "," SIGNATURE, BODY), SECRET,
			 "commas");

	secret(true, SECRET);
	secret(true, "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDAQ");
	secret(true, "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDAQ==");
	secret(false, "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDA");
	secret(false, "whsec_C2FVsBQIhrscChlQIMV-b5sSYspob7oD");
	secret(false, "whsec_C2FVsBQI");
	secret(false, unit_format("whsec_%s", unit_repeat("AAAA", 26)));
	secret(true, unit_format("whsec_%s", unit_repeat("AAAA", 25)));
}

int
test_svix(void)
{
	const struct CMUnitTest tests[] = {
		unit_case(test_webhooks),
	};

	return cmocka_run_group_tests_name("svix", tests, NULL, NULL);
}
