/*
 * test_jwa.c
 *		Every algorithm verifies what its key signed, and nothing else.
 */
#include "unit.h"

#include <openssl/err.h>
#include <openssl/rsa.h>

#define PAYLOAD "{\"sub\":\"user_1\"}"

static const char *const algs[] = {"RS256", "RS384", "RS512", "PS256", "PS384",
								   "PS512", "ES256", "ES384", "ES512", "EdDSA"};

static char *
header_of(const char *alg)
{
	return unit_format("{\"alg\":\"%s\"}", alg);
}

/* Parses token and key, and asks first for the algorithm, then for the signature. */
static ClerkStatus
verify(const char *token, ClerkSlice key)
{
	ClerkJws jws;
	ClerkJwk jwk;
	ClerkStatus status = clerk_jws_parse(unit_slice(token), &jws);

	if (status == CLERK_OK)
		status = clerk_jwk_parse(key, &jwk);
	else
		memset(&jwk, 0, sizeof(jwk));
	if (status == CLERK_OK)
		status = clerk_jwa_check(&jwk, &jws);
	if (status == CLERK_OK)
		status = clerk_jwa_verify(&jwk, &jws);
	clerk_jws_free(&jws);
	clerk_jwk_free(&jwk);
	return status;
}

static char *
sign(const char *alg)
{
	char *token =
		jose_token(unit_key(alg), alg, header_of(alg), PAYLOAD, strlen(PAYLOAD));
	char *kept = unit_format("%s", token);

	free(token);
	return kept;
}

/* The token with another signature. */
static char *
with_signature(const char *token, const void *signature, size_t len)
{
	char *text = jose_base64url(signature, len);
	char *changed =
		unit_format("%.*s.%s", (int) (strrchr(token, '.') - token), token, text);

	free(text);
	return changed;
}

static size_t
signature_of(const char *token, unsigned char *signature)
{
	const char *text = strrchr(token, '.') + 1;
	size_t len = 0;

	(void) clerk_base64url_decode((ClerkSlice){text, strlen(text)}, signature, &len);
	return len;
}

static void
test_algorithm(const char *alg)
{
	ClerkSlice key = unit_jwk(alg, true);
	char *token = sign(alg);
	unsigned char signature[2048];
	size_t len = signature_of(token, signature);

	unit_status(verify(token, key), CLERK_OK, "jwa: %s verifies", alg);
	for (size_t i = 0; i < len; i += len / 3)
	{
		signature[i] ^= 1;
		unit_status(verify(with_signature(token, signature, len), key),
					CLERK_SIGNATURE_INVALID, "jwa: %s, byte %zu changed", alg, i);
		signature[i] ^= 1;
	}
	unit_status(verify(with_signature(token, signature, len - 1), key),
				CLERK_SIGNATURE_INVALID, "jwa: %s, a byte less", alg);
	signature[len] = 0;
	unit_status(verify(with_signature(token, signature, len + 1), key),
				CLERK_SIGNATURE_INVALID, "jwa: %s, a byte more", alg);
	unit_status(verify(with_signature(token, "", 0), key), CLERK_SIGNATURE_INVALID,
				"jwa: %s without a signature", alg);
	token[strlen(header_of(alg)) * 4 / 3 + 5] ^= 1;
	unit_ok(verify(token, key) != CLERK_OK, "jwa: %s, the payload changed", alg);
	unit_ok(ERR_peek_error() == 0, "jwa: %s leaves no error behind", alg);
}

/* What a key keeps from one verification changes nothing in the next. */
static void
test_sequence(const char *alg)
{
	char *good = sign(alg);
	unsigned char signature[2048];
	size_t len = signature_of(good, signature);
	ClerkJwk jwk;

	signature[len / 2] ^= 1;
	(void) clerk_jwk_parse(unit_jwk(alg, true), &jwk);
	for (int i = 0; i < 6; i++)
	{
		bool is_good = i % 3 != 1;
		char *token = is_good ? good : with_signature(good, signature, len);
		ClerkJws jws;

		(void) clerk_jws_parse(unit_slice(token), &jws);
		unit_status(clerk_jwa_verify(&jwk, &jws),
					is_good ? CLERK_OK : CLERK_SIGNATURE_INVALID,
					"jwa: %s, token %d with one key", alg, i);
		clerk_jws_free(&jws);
	}
	clerk_jwk_free(&jwk);
}

/* A token signed for one algorithm is nothing to a key for another. */
static void
test_confusion(void)
{
	for (size_t i = 0; i < lengthof(algs); i++)
	{
		char *token = sign(algs[i]);

		for (size_t j = 0; j < lengthof(algs); j++)
		{
			if (i != j)
				unit_status(verify(token, unit_jwk(algs[j], true)),
							CLERK_ALGORITHM_NOT_THE_KEYS, "jwa: %s token, %s key",
							algs[i], algs[j]);
		}
	}
}

/* Without "alg", a key is for the default of its type. */
static void
test_defaults(void)
{
	static const char *const defaults[] = {"RS256", "ES256", "ES384", "ES512", "EdDSA"};
	static const char *const others[] = {"RS384", "RS512", "PS256", "PS384", "PS512"};

	for (size_t i = 0; i < lengthof(defaults); i++)
		unit_status(verify(sign(defaults[i]), unit_jwk(defaults[i], false)), CLERK_OK,
					"jwa: %s is a default", defaults[i]);
	for (size_t i = 0; i < lengthof(others); i++)
		unit_status(verify(sign(others[i]), unit_jwk(others[i], false)),
					CLERK_ALGORITHM_NOT_THE_KEYS, "jwa: %s is not", others[i]);
}

/* The names that never verify, whatever is in the signature. */
static void
test_unsupported(void)
{
	static const char *const names[] = {"none",	 "None",   "HS256",	 "HS384",
										"HS512", "rs256",  "RS1",	 "ES256K",
										"",		 "RS256 ", "Ed25519"};

	for (size_t i = 0; i < lengthof(names); i++)
	{
		char *input = jose_signing_input(header_of(names[i]), PAYLOAD, strlen(PAYLOAD));
		char *token = unit_format("%s.AAAA", input);

		unit_status(verify(token, unit_jwk("RS256", false)), CLERK_ALGORITHM_UNSUPPORTED,
					"jwa: alg \"%s\"", names[i]);
		unit_ok(clerk_jwa_find(names[i]) == NULL, "jwa: \"%s\" is not found", names[i]);
		free(input);
	}
}

/* OpenSSL's own form of an ECDSA signature is not JOSE's. */
static void
test_der(void)
{
	char *token = sign("ES256");
	int input_len = (int) (strrchr(token, '.') - token);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char der[256];
	size_t len = sizeof(der);

	EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, unit_key("ES256"), NULL);
	EVP_DigestSign(ctx, der, &len, (unsigned char *) token, (size_t) input_len);
	EVP_MD_CTX_free(ctx);
	unit_status(verify(with_signature(token, der, len), unit_jwk("ES256", true)),
				CLERK_SIGNATURE_INVALID, "jwa: a DER signature");
	memset(der, 0, 64);
	unit_status(verify(with_signature(token, der, 64), unit_jwk("ES256", true)),
				CLERK_SIGNATURE_INVALID, "jwa: r and s are 0 (CVE-2022-21449)");
	memset(der, 0xff, 64);
	unit_status(verify(with_signature(token, der, 64), unit_jwk("ES256", true)),
				CLERK_SIGNATURE_INVALID, "jwa: r and s are beyond the order");
}

/* PSS with a salt of another length than the hash (RFC 7518 section 3.5). */
static void
test_salt(void)
{
	char *token = sign("PS256");
	int input_len = (int) (strrchr(token, '.') - token);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *key_ctx;
	unsigned char signature[256];
	size_t len = sizeof(signature);

	EVP_DigestSignInit_ex(ctx, &key_ctx, "SHA256", NULL, NULL, unit_key("PS256"), NULL);
	EVP_PKEY_CTX_set_rsa_padding(key_ctx, RSA_PKCS1_PSS_PADDING);
	EVP_PKEY_CTX_set_rsa_pss_saltlen(key_ctx, 20);
	EVP_DigestSign(ctx, signature, &len, (unsigned char *) token, (size_t) input_len);
	EVP_MD_CTX_free(ctx);
	unit_status(verify(with_signature(token, signature, len), unit_jwk("PS256", true)),
				CLERK_SIGNATURE_INVALID, "jwa: PS256 with a salt of 20 bytes");
}

static void
test_digest(void)
{
	unsigned char digest[CLERK_DIGEST_LENGTH];

	unit_ok(clerk_jwa_sha256(unit_slice("abc"), digest) &&
				memcmp(digest, "\xba\x78\x16\xbf\x8f\x01\xcf\xea", 8) == 0,
			"jwa: SHA-256 of \"abc\" (FIPS 180-4)");
}

/* An "alg" that does not fit the key leaves it without any. */
static void
test_unfit_key(void)
{
	ClerkJwk jwk;

	unit_status(clerk_jwk_parse(unit_jwk("ES256", false), &jwk), CLERK_OK,
				"jwa: a P-256 key");
	strcpy(jwk.alg, "ES384");
	unit_ok(clerk_jwa_of_key(&jwk) == NULL, "jwa: P-256 is not for ES384");
	clerk_jwk_free(&jwk);
}

static void
test_algorithms(void)
{
	for (size_t i = 0; i < lengthof(algs); i++)
	{
		unit_ok(clerk_jwa_find(algs[i]) != NULL &&
					strcmp(clerk_jwa_name(clerk_jwa_find(algs[i])), algs[i]) == 0,
				"jwa: %s is known", algs[i]);
		test_algorithm(algs[i]);
		test_sequence(algs[i]);
	}
}

int
test_jwa(void)
{
	const struct CMUnitTest tests[] = {
		unit_case(test_confusion),
		unit_case(test_defaults),
		unit_case(test_unsupported),
		unit_case(test_der),
		unit_case(test_salt),
		unit_case(test_digest),
		unit_case(test_unfit_key),
		unit_case(test_algorithms),
	};

	return cmocka_run_group_tests_name("jwa", tests, NULL, NULL);
}
