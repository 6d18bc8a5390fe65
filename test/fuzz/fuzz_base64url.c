/*
 * fuzz_base64url.c
 *		Decoding: only one text decodes to given bytes.
 */
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ClerkSlice text = {(const char *) data, size};
	unsigned char *decoded = malloc(size + 1);
	char *encoded = malloc(size * 4 / 3 + 2);
	size_t len;

	if (clerk_base64url_decode(text, decoded, &len))
	{
		assert(len == size * 3 / 4);
		clerk_base64url_encode(decoded, len, encoded);
		assert(strlen(encoded) == size && memcmp(encoded, data, size) == 0);
	}
	clerk_base64url_encode(data, size, encoded);
	assert(clerk_base64url_decode((ClerkSlice){encoded, strlen(encoded)},
								  (unsigned char *) encoded, &len));
	assert(len == size && memcmp(encoded, data, size) == 0);
	free(decoded);
	free(encoded);
	return 0;
}
