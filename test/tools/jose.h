/*
 * jose.h
 *		Signing, for the tests: what a Clerk instance does, and an attacker tries.
 *
 * Shares no code with the extension: a mistake in one of them must not hide in the other.
 * Whatever goes wrong here ends the program with a message.  What is returned is from malloc.
 */
#ifndef JOSE_H
#define JOSE_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>
#include <openssl/evp.h>

typedef struct JoseBytes
{
	unsigned char *data;
	size_t len;
} JoseBytes;

extern _Noreturn void jose_die(const char *format, ...)
	__attribute__((format(printf, 1, 2)));
extern void *jose_allocate(size_t size);

/* base64url without padding, terminated by a NUL */
extern char *jose_base64url(const void *data, size_t len);

/* SHA256, SHA384 or SHA512, as the algorithm's name ends; static */
extern const char *jose_digest(const char *alg);

/* RS, PS and ES 256 to 512 and EdDSA, in the form that RFC 7518 wants */
extern JoseBytes jose_sign(EVP_PKEY *key, const char *alg, const void *text, size_t len);

/* header "." payload of a compact JWS; the texts are taken as they are */
extern char *jose_signing_input(const char *header, const void *payload, size_t len);

/* a compact JWS, signed with key, or with an empty signature if key is NULL */
extern char *jose_token(EVP_PKEY *key, const char *alg, const char *header,
						const void *payload, size_t len);

/* the key as a JWK, without kid, use and alg */
extern json_t *jose_jwk(EVP_PKEY *key, bool private_key);

#endif /* JOSE_H */
