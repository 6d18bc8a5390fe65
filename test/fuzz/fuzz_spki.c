/*
 * fuzz_spki.c
 *		Keys in DER: the JWK of a key is that very key.
 */
#include "fuzz.h"

#include <openssl/x509.h>

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char json[CLERK_MAX_JWK];
	ClerkJwk jwk;
	EVP_PKEY *pkey;

	if (clerk_jwk_of_spki((ClerkSlice){(const char *) data, size}, json) == CLERK_OK)
	{
		if (clerk_jwk_parse((ClerkSlice){json, strlen(json)}, &jwk) == CLERK_OK)
		{
			pkey = d2i_PUBKEY(NULL, &data, (long) size);
			assert(EVP_PKEY_eq(pkey, jwk.pkey) == 1);
			EVP_PKEY_free(pkey);
		}
		clerk_jwk_free(&jwk);
	}
	assert(ERR_peek_error() == 0);
	return 0;
}
