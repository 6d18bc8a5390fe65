/*
 * test_status.c
 *		Every status has its texts, and every code is one that the documentation names.
 */
#include "unit.h"

static const char *const codes[] = {"ok",
									"no-token",
									"token-left-over",
									"cookie-cross-site",
									"out-of-memory",
									"jwk-invalid",
									"token-invalid",
									"token-too-large",
									"token-type-mismatch",
									"token-invalid-issuer",
									"jwk-kid-mismatch",
									"token-invalid-algorithm",
									"token-invalid-signature",
									"token-invalid-authorized-parties",
									"token-expired",
									"token-not-active-yet",
									"token-iat-in-the-future",
									"session-pending",
									"identity-mismatch",
									"session-revoked",
									"table-unreadable",
									"user-revoked",
									"webhook-invalid-headers",
									"webhook-invalid-signature",
									"webhook-too-old",
									"webhook-too-new"};

static bool
is_known(const char *code)
{
	for (size_t i = 0; i < lengthof(codes); i++)
	{
		if (strcmp(codes[i], code) == 0)
			return true;
	}
	return false;
}

static void
test_reason(ClerkStatus status)
{
	const ClerkReason *reason = clerk_status_reason(status);

	unit_ok(reason->code != NULL && is_known(reason->code), "status %d has a known code",
			status);
	unit_ok(reason->message != NULL && reason->detail != NULL &&
				strncmp(reason->message, reason->code, strlen(reason->code)) == 0,
			"status %d: its message begins with the code", status);
	unit_ok(reason->hint == NULL || reason->hint[strlen(reason->hint) - 1] == '.',
			"status %d: its hint is a sentence", status);
	unit_ok(reason->step <= CLERK_STEP_NONE, "status %d has a step", status);
}

static void
test_reasons(void)
{
	for (ClerkStatus status = CLERK_OK; status < CLERK_N_STATUSES; status++)
		test_reason(status);
	for (ClerkStep step = CLERK_STEP_SOURCE; step < CLERK_N_STEPS; step++)
		unit_ok(clerk_status_step_name(step) != NULL, "step %d has a name", step);
	unit_ok(clerk_status_ignores_jwk(CLERK_JWK_KTY_UNKNOWN),
			"an unknown kty is passed over");
	unit_ok(!clerk_status_ignores_jwk(CLERK_JWK_PRIVATE), "a private key is not");
	unit_ok(!clerk_status_ignores_jwk(CLERK_OK), "a good key is not");
}

int
test_status(void)
{
	const struct CMUnitTest tests[] = {
		unit_case(test_reasons),
	};

	return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
