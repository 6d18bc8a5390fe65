/*
 * fuzz_jws.c
 *		Tokens: a token that is taken apart can be put together again in one way only, and a
 *		key that has signed nothing verifies nothing.
 */
#include "fuzz.h"

/* The points 2G of P-256 and B of Ed25519: keys that sign none of the seeds. */
static const char *const jwks[] = {
	"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"fPJ7GI0DT36KUjgDBLUaw8CJaeJ38hs1pgtI_"
	"EdmmXg\","
	"\"y\":\"B3dVENuO0EApPZrGn3Qw27p9reY86YIpngS3nSJ4c9E\"}",
	"{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
	"\"x\":\"WGZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmY\"}"};

static void
check_part(const void *decoded, size_t len, ClerkSlice part)
{
	char *encoded = malloc(len * 4 / 3 + 2);

	clerk_base64url_encode(decoded, len, encoded);
	assert(strlen(encoded) == part.len && memcmp(encoded, part.data, part.len) == 0);
	free(encoded);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ClerkSlice token = {(const char *) data, size};
	ClerkSlice rest = token;
	ClerkJws jws;
	ClerkJwk jwk;

	if (clerk_jws_parse(token, &jws) == CLERK_OK)
	{
		(void) fuzz_next(&rest, '.');
		check_part(jws.payload.data, jws.payload.len, fuzz_next(&rest, '.'));
		check_part(jws.signature, jws.signature_len, rest);
		assert(jws.signing_input.data == token.data);
		assert(jws.signing_input.len + 1 + rest.len == token.len);
		for (size_t i = 0; i < sizeof(jwks) / sizeof(jwks[0]); i++)
		{
			assert(clerk_jwk_parse((ClerkSlice){jwks[i], strlen(jwks[i])}, &jwk) ==
				   CLERK_OK);
			assert(clerk_jwa_check(&jwk, &jws) != CLERK_OK ||
				   clerk_jwa_verify(&jwk, &jws) == CLERK_SIGNATURE_INVALID);
			clerk_jwk_free(&jwk);
		}
	}
	clerk_jws_free(&jws);
	assert(ERR_peek_error() == 0);
	return 0;
}
