/*
 * test_jwk.c
 *		Which keys may verify: sizes, curves, private members, other uses.
 */
#include "unit.h"

#include <openssl/bn.h>
#include <openssl/err.h>

static ClerkStatus
parse(const char *text)
{
	ClerkJwk jwk;
	ClerkStatus status = clerk_jwk_parse(unit_slice(text), &jwk);

	clerk_jwk_free(&jwk);
	return status;
}

/* The JWK of an algorithm with the members of an object put in; null takes one away. */
static char *
changed(const char *alg, const char *members)
{
	json_t *jwk = jose_jwk(unit_key(alg), false);
	json_t *changes = json_loads(members, 0, NULL);
	const char *name;
	json_t *value;
	char *text, *kept;

	json_object_foreach(changes, name, value)
	{
		if (json_is_null(value))
			json_object_del(jwk, name);
		else
			json_object_set(jwk, name, value);
	}
	text = json_dumps(jwk, JSON_COMPACT);
	kept = unit_format("%s", text);
	free(text);
	json_decref(changes);
	json_decref(jwk);
	return kept;
}

static void
key(ClerkStatus wanted, const char *alg, const char *members)
{
	unit_status(parse(changed(alg, members)), wanted, "jwk: %s with %s", alg, members);
}

/* An RSA key with a modulus of so many bits that ends in these two bits. */
static void
rsa_size(ClerkStatus wanted, int bits, int last_bits, const char *exponent)
{
	BIGNUM *n = BN_new();
	unsigned char bytes[2048];
	char *n64;

	BN_set_bit(n, bits - 1);
	BN_add_word(n, (BN_ULONG) last_bits);
	n64 = jose_base64url(bytes, (size_t) BN_bn2bin(n, bytes));
	unit_status(
		parse(unit_format("{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"}", n64, exponent)),
		wanted, "jwk: RSA of %d bits (...%d), e %s", bits, last_bits, exponent);
	free(n64);
	BN_free(n);
}

static void
test_rsa(void)
{
	static const char *const private_members[] = {"d",	"p",  "q",	 "dp",
												  "dq", "qi", "oth", "k"};

	key(CLERK_OK, "RS256", "{}");
	key(CLERK_OK, "RS256",
		"{\"kid\":\"x\",\"use\":\"sig\",\"alg\":\"RS256\",\"x5c\":[\"a\"]}");
	for (size_t i = 0; i < lengthof(private_members); i++)
		key(CLERK_JWK_PRIVATE, "RS256",
			unit_format("{\"%s\":\"AQ\"}", private_members[i]));
	key(CLERK_JWK_PRIVATE, "RS256", "{\"d\":\"\"}");
	key(CLERK_JWK_MEMBER, "RS256", "{\"n\":null}");
	key(CLERK_JWK_MEMBER, "RS256", "{\"n\":\"\"}");
	key(CLERK_JWK_MEMBER, "RS256", "{\"n\":7}");
	key(CLERK_JWK_MEMBER, "RS256", "{\"n\":\"not base64url\"}");
	key(CLERK_JWK_MEMBER, "RS256", "{\"e\":null}");
	rsa_size(CLERK_JWK_RSA_SIZE, 512, 1, "AQAB");
	rsa_size(CLERK_JWK_RSA_SIZE, 2047, 1, "AQAB");
	rsa_size(CLERK_OK, 2048, 1, "AQAB");
	rsa_size(CLERK_OK, 8192, 1, "AQAB");
	rsa_size(CLERK_JWK_RSA_SIZE, 8193, 1, "AQAB");
	rsa_size(CLERK_JWK_RSA_SIZE, 16384, 1, "AQAB");
	rsa_size(CLERK_JWK_RSA_SIZE, 2048, 2, "AQAB");
	rsa_size(CLERK_OK, 2048, 1, "Aw");						   /* 3 */
	rsa_size(CLERK_JWK_RSA_EXPONENT, 2048, 1, "AQ");		   /* 1 */
	rsa_size(CLERK_JWK_RSA_EXPONENT, 2048, 1, "Ag");		   /* 2 */
	rsa_size(CLERK_JWK_RSA_EXPONENT, 2048, 1, "AA");		   /* 0 */
	rsa_size(CLERK_JWK_RSA_EXPONENT, 2048, 1, "BA");		   /* 4 */
	rsa_size(CLERK_OK, 2048, 1, "gAAAAAAAAAE");				   /* 2^63 + 1 */
	rsa_size(CLERK_JWK_RSA_EXPONENT, 2048, 1, "AQAAAAAAAAAB"); /* 2^64 + 1 */
}

static void
test_ec(void)
{
	static const char *const algs[] = {"ES256", "ES384", "ES512"};

	for (size_t i = 0; i < lengthof(algs); i++)
	{
		json_t *jwk = jose_jwk(unit_key(algs[i]), false);
		const char *x = json_string_value(json_object_get(jwk, "x"));
		const char *y = json_string_value(json_object_get(jwk, "y"));

		key(CLERK_OK, algs[i], "{}");
		key(CLERK_JWK_PRIVATE, algs[i], "{\"d\":\"AQ\"}");
		key(CLERK_JWK_POINT, algs[i], unit_format("{\"x\":\"%s\",\"y\":\"%s\"}", y, x));
		key(CLERK_JWK_MEMBER, algs[i],
			unit_format("{\"x\":\"%.*s\"}", (int) strlen(x) - 4, x));
		key(CLERK_JWK_MEMBER, algs[i], unit_format("{\"x\":\"AAAA%s\"}", x));
		key(CLERK_JWK_MEMBER, algs[i], "{\"y\":null}");
		key(CLERK_JWK_POINT, algs[i],
			unit_format("{\"x\":\"%s\",\"y\":\"%s\"}", unit_repeat("A", strlen(x)),
						unit_repeat("A", strlen(y))));
		json_decref(jwk);
	}
	key(CLERK_JWK_MEMBER, "ES256", "{\"crv\":\"P-384\"}");
	key(CLERK_JWK_MEMBER, "ES256", "{\"crv\":null}");
	key(CLERK_JWK_KTY_UNKNOWN, "ES256", "{\"crv\":\"secp256k1\"}");
}

static void
test_okp(void)
{
	key(CLERK_OK, "EdDSA", "{}");
	key(CLERK_JWK_PRIVATE, "EdDSA", "{\"d\":\"AQ\"}");
	key(CLERK_JWK_MEMBER, "EdDSA", "{\"x\":\"AAAA\"}");
	key(CLERK_JWK_POINT, "EdDSA", unit_format("{\"x\":\"AQ%s\"}", unit_repeat("A", 41)));
	key(CLERK_JWK_POINT, "EdDSA", unit_format("{\"x\":\"7v%s8\"}", unit_repeat("_", 40)));
	key(CLERK_JWK_MEMBER, "EdDSA", "{\"crv\":null}");
	key(CLERK_JWK_KTY_UNKNOWN, "EdDSA", "{\"crv\":\"X25519\"}");
	key(CLERK_JWK_KTY_UNKNOWN, "EdDSA", "{\"crv\":\"Ed448\"}");
}

/* Keys that stand beside good ones in a JWKS. */
static void
test_others(void)
{
	unit_status(parse("{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}"), CLERK_JWK_SYMMETRIC,
				"jwk: oct");
	unit_status(parse("{\"kty\":\"AKP\",\"alg\":\"ML-DSA-44\",\"pub\":\"AA\"}"),
				CLERK_JWK_KTY_UNKNOWN, "jwk: an unknown kty");
	unit_status(parse("{\"kty\":\"rsa\"}"), CLERK_JWK_KTY_UNKNOWN, "jwk: kty has a case");
	unit_status(parse("{}"), CLERK_JWK_MEMBER, "jwk: no kty");
	unit_status(parse("[]"), CLERK_JWK_NOT_JSON, "jwk: an array");
	unit_status(parse("{\"kty\":\"RSA\",\"kty\":\"EC\"}"), CLERK_JWK_NOT_JSON,
				"jwk: a member twice");
	key(CLERK_JWK_NOT_FOR_SIGNATURES, "RS256", "{\"use\":\"enc\"}");
	key(CLERK_JWK_NOT_FOR_SIGNATURES, "RS256", "{\"use\":7}");
	key(CLERK_JWK_NOT_FOR_SIGNATURES, "RS256", "{\"key_ops\":[\"encrypt\"]}");
	key(CLERK_JWK_NOT_FOR_SIGNATURES, "RS256", "{\"key_ops\":[]}");
	key(CLERK_JWK_NOT_FOR_SIGNATURES, "RS256", "{\"key_ops\":\"verify\"}");
	key(CLERK_OK, "RS256", "{\"key_ops\":[\"verify\"]}");
	key(CLERK_JWK_ALG_UNSUPPORTED, "RS256", "{\"alg\":7}");
	key(CLERK_JWK_ALG_UNSUPPORTED, "RS256", "{\"alg\":\"\"}");
	key(CLERK_JWK_ALG_UNSUPPORTED, "RS256", "{\"alg\":\"a name that is too long\"}");
	key(CLERK_JWK_PRIVATE, "RS256", "{\"use\":\"enc\",\"d\":\"AQ\"}");
}

static void
test_no_error_left(void)
{
	unit_ok(ERR_peek_error() == 0, "jwk: no error is left behind");
}

int
test_jwk(void)
{
	const struct CMUnitTest tests[] = {
		unit_case(test_rsa),
		unit_case(test_ec),
		unit_case(test_okp),
		unit_case(test_others),
		unit_case(test_no_error_left),
	};

	return cmocka_run_group_tests_name("jwk", tests, NULL, NULL);
}
