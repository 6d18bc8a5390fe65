/*
 * unit.h
 *		A harness for the pure files, with TAP for output.
 *
 * Whatever is handed to the code under test comes from unit_slice() and its like: memory of
 * exactly that size without a NUL behind it, so that the sanitizers see a read beyond.
 */
#ifndef UNIT_H
#define UNIT_H

#include <string.h>

#include <jansson.h>
#include <openssl/evp.h>

#include "clerk_core.h"
#include "jose.h"

#define lengthof(array) (sizeof(array) / sizeof((array)[0]))

extern void unit_ok(bool good, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
extern void unit_status(ClerkStatus got, ClerkStatus wanted, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Live until the end of the program. */
extern ClerkSlice unit_bytes(const void *data, size_t len);
extern ClerkSlice unit_slice(const char *text);
extern char *unit_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern char *unit_repeat(const char *text, size_t n);

/* A key pair for an algorithm, the same one each time. */
extern EVP_PKEY *unit_key(const char *alg);

/* Its public JWK; alg is put into it if with_alg. */
extern ClerkSlice unit_jwk(const char *alg, bool with_alg);

extern void test_status(void);
extern void test_base64url(void);
extern void test_json(void);
extern void test_jws(void);
extern void test_jwk(void);
extern void test_jwa(void);
extern void test_claims(void);
extern void test_has(void);
extern void test_svix(void);
extern void test_request(void);
extern void test_faults(void);

/* test_faults.c: takes over the allocations, so that it can let them fail. */
extern void unit_own_memory(void);

#endif /* UNIT_H */
