/*
 * fuzz_jwk.c
 *		JSON Web Keys: what is accepted keeps the policy, and leaves no error behind.
 */
#include "fuzz.h"

static void
check_key(const ClerkJwk *jwk)
{
	int bits = EVP_PKEY_get_bits(jwk->pkey);

	if (jwk->type == CLERK_KEY_RSA)
		assert(EVP_PKEY_is_a(jwk->pkey, "RSA") && bits >= 2048 && bits <= 8192);
	else if (jwk->type == CLERK_KEY_ED25519)
		assert(EVP_PKEY_is_a(jwk->pkey, "ED25519"));
	else
		assert(EVP_PKEY_is_a(jwk->pkey, "EC"));
	assert(jwk->alg[sizeof(jwk->alg) - 1] == '\0');
	(void) clerk_jwa_of_key(jwk);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ClerkJwk jwk;

	if (clerk_jwk_parse((ClerkSlice){(const char *) data, size}, &jwk) == CLERK_OK)
		check_key(&jwk);
	clerk_jwk_free(&jwk);
	assert(ERR_peek_error() == 0);
	return 0;
}
