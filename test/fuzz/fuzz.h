/*
 * fuzz.h
 *		What the fuzz targets share.
 *
 * Each target is one entry point of the pure files.  libFuzzer hands over a block of exactly
 * that size, so that the sanitizers see a read beyond it; what must always hold is asserted.
 */
#ifndef FUZZ_H
#define FUZZ_H

#undef NDEBUG
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "clerk_core.h"

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* 2020-01-01, in microseconds */
#define FUZZ_NOW INT64_C(1577836800000000)

/* Takes what is before the first separator off input; all of it when there is none. */
static inline ClerkSlice
fuzz_next(ClerkSlice *input, char separator)
{
	const char *end = input->len > 0 ? memchr(input->data, separator, input->len) : NULL;
	ClerkSlice part = {input->data, end ? (size_t) (end - input->data) : input->len};
	size_t taken = part.len + (end != NULL);

	*input = (ClerkSlice){input->data + taken, input->len - taken};
	return part;
}

/* Is part within whole? */
static inline bool
fuzz_is_within(ClerkSlice part, ClerkSlice whole)
{
	return part.data >= whole.data && part.data + part.len <= whole.data + whole.len;
}

#endif /* FUZZ_H */
