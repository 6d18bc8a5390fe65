/*
 * unit.c
 *		See unit.h.
 */
#include "unit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/ec.h>
#include <openssl/rsa.h>

/* What lives until the end of the program. */
static void **kept = NULL;
static size_t n_kept = 0;

/* The sanitizers look for leaks in the code under test, not in the signer. */
extern const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:jose_\n";
}

static void *
keep(void *pointer)
{
	kept = realloc(kept, (n_kept + 1) * sizeof(void *));
	if (kept == NULL || pointer == NULL)
		abort();
	return kept[n_kept++] = pointer;
}

void
unit_run(void **state)
{
	((void (*)(void)) *state)();
}

/* What was expected, and the failure of the test. */
static void
give_up(const char *format, va_list args)
{
	vprint_error(format, args);
	print_error("\n");
	fail();
}

void
unit_ok(bool good, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (!good)
		give_up(format, args);
	va_end(args);
}

void
unit_status(ClerkStatus got, ClerkStatus wanted, const char *format, ...)
{
	va_list args;

	if (got == wanted)
		return;
	print_error("got %s %s, not %s %s\n", clerk_status_reason(got)->code,
				clerk_status_reason(got)->detail, clerk_status_reason(wanted)->code,
				clerk_status_reason(wanted)->detail);
	va_start(args, format);
	give_up(format, args);
	va_end(args);
}

ClerkSlice
unit_bytes(const void *data, size_t len)
{
	char *copy = keep(malloc(len > 0 ? len : 1));

	memcpy(copy, data, len);
	return (ClerkSlice){copy, len};
}

ClerkSlice
unit_slice(const char *text)
{
	return unit_bytes(text, strlen(text));
}

char *
unit_format(const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		abort();
	va_end(args);
	return keep(text);
}

char *
unit_repeat(const char *text, size_t n)
{
	size_t len = strlen(text);
	char *out = keep(calloc(n + 1, len + 1));

	for (size_t i = 0; i < n; i++)
		memcpy(out + i * len, text, len);
	return out;
}

static EVP_PKEY *
generate(const char *alg)
{
	if (strcmp(alg, "ES256") == 0)
		return EVP_EC_gen("P-256");
	if (strcmp(alg, "ES384") == 0)
		return EVP_EC_gen("P-384");
	if (strcmp(alg, "ES512") == 0)
		return EVP_EC_gen("P-521");
	if (strcmp(alg, "EdDSA") == 0)
		return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	return EVP_RSA_gen(2048);
}

EVP_PKEY *
unit_key(const char *alg)
{
	static const char *const names[] = {"RSA", "ES256", "ES384", "ES512", "EdDSA"};
	static EVP_PKEY *keys[lengthof(names)];
	size_t i = lengthof(names) - 1;

	while (i > 0 && strcmp(names[i], alg) != 0)
		i--;
	if (keys[i] == NULL)
		keys[i] = generate(names[i]);
	return keys[i];
}

ClerkSlice
unit_jwk(const char *alg, bool with_alg)
{
	json_t *jwk = jose_jwk(unit_key(alg), false);
	char *text;

	if (with_alg)
		json_object_set_new(jwk, "alg", json_string(alg));
	text = keep(json_dumps(jwk, JSON_COMPACT));
	json_decref(jwk);
	return unit_slice(text);
}

int
main(void)
{
	int n_failed;

	cmocka_set_message_output(CM_OUTPUT_TAP);
	unit_own_memory();
	n_failed = test_status() + test_base64url() + test_json() + test_jws() + test_jwk() +
			   test_spki() + test_jwa() +
			   test_claims() + test_has() + test_svix() + test_request() + test_faults();
	while (n_kept > 0)
		free(kept[--n_kept]);
	free(kept);
	return n_failed > 0;
}
