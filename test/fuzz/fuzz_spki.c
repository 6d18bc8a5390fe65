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

	if (clerk_spki_to_jwk((ClerkSlice){(const char *) data, size}, json) == CLERK_OK)
	{
		if (clerk_jwk_parse((ClerkSlice){json, strlen(json)}, &jwk) == CLERK_OK)
		{
			const uint8_t *start = data;
			X509 *certificate = NULL;

			pkey = d2i_PUBKEY(NULL, &data, (long) size);
			if (pkey == NULL && (certificate = d2i_X509(NULL, &start, (long) size)))
				pkey = X509_get_pubkey(certificate);
			assert(EVP_PKEY_eq(pkey, jwk.pkey) == 1);
			EVP_PKEY_free(pkey);
			X509_free(certificate);
			ERR_clear_error();
		}
		clerk_jwk_free(&jwk);
	}
	assert(ERR_peek_error() == 0);
	return 0;
}
