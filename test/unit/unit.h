/*
 * unit.h
 *		What the tests of src/core share: they are cmocka's, one group a file.
 *
 * Whatever is handed to the code under test comes from unit_slice() and its like: memory of
 * exactly that size without a NUL behind it, so that the sanitizers see a read beyond.
 */
#ifndef UNIT_H
#define UNIT_H

/* cmocka.h wants these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <openssl/evp.h>

#include "clerk_core.h"
#include "jose.h"

#define lengthof(array) (sizeof(array) / sizeof((array)[0]))

/* An entry of a group of cmocka: a function without arguments. */
#define unit_case(function) {#function, unit_run, NULL, NULL, (void *) (function)}

extern void unit_run(void **state);

/* Fails the running test, with this description, unless it is so. */
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

/* Each runs its group, and returns how many of it failed. */
extern int test_status(void);
extern int test_base64url(void);
extern int test_json(void);
extern int test_jws(void);
extern int test_jwk(void);
extern int test_spki(void);
extern int test_jwa(void);
extern int test_claims(void);
extern int test_has(void);
extern int test_svix(void);
extern int test_request(void);
extern int test_faults(void);

/* test_faults.c: takes over the allocations, so that it can let them fail. */
extern void unit_own_memory(void);

#endif /* UNIT_H */
