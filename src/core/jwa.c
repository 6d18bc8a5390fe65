/*
 * jwa.c
 *		The algorithm table (RFC 7518 section 3, RFC 8037) and the signature check.
 *
 * The algorithm belongs to the key: it is the key's "alg", or what its type implies, and
 * the token's header must say the same.  So a token cannot choose how it is verified.
 * "none" and HS* are in no table.
 *
 * Errors are statuses; OpenSSL's error queue is left empty.  Called by keys.c, session.c,
 * svix.c and the tests.
 */
#include "clerk_core.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

struct ClerkAlgorithm
{
	const char *name;
	ClerkKeyType key_type;
	const char *digest; /* NULL: the algorithm hashes by itself */
	bool pss;
	size_t coordinate; /* bytes of r and of s; 0 for the others */
};

/* The first of a key type is what a key without "alg" is for. */
static const ClerkAlgorithm algorithms[] = {
	{"RS256", CLERK_KEY_RSA, "SHA256", false, 0},
	{"RS384", CLERK_KEY_RSA, "SHA384", false, 0},
	{"RS512", CLERK_KEY_RSA, "SHA512", false, 0},
	{"PS256", CLERK_KEY_RSA, "SHA256", true, 0},
	{"PS384", CLERK_KEY_RSA, "SHA384", true, 0},
	{"PS512", CLERK_KEY_RSA, "SHA512", true, 0},
	{"ES256", CLERK_KEY_P256, "SHA256", false, 32},
	{"ES384", CLERK_KEY_P384, "SHA384", false, 48},
	{"ES512", CLERK_KEY_P521, "SHA512", false, 66},
	{"EdDSA", CLERK_KEY_ED25519, NULL, false, 0},
};

#define N_ALGORITHMS (sizeof(algorithms) / sizeof(algorithms[0]))

/* A DER ECDSA signature of two 66-byte integers is at most this long. */
#define MAX_DER 150

/* NULL for a name that is not supported; compared exactly, as RFC 7515 wants it. */
const ClerkAlgorithm *
clerk_jwa_find(const char *name)
{
	for (size_t i = 0; i < N_ALGORITHMS; i++)
	{
		if (strcmp(algorithms[i].name, name) == 0)
			return &algorithms[i];
	}
	return NULL;
}

/* The one algorithm a key may be used with, or NULL when its "alg" does not fit it. */
const ClerkAlgorithm *
clerk_jwa_of_key(const ClerkJwk *jwk)
{
	for (size_t i = 0; i < N_ALGORITHMS; i++)
	{
		if (algorithms[i].key_type == jwk->type &&
			(jwk->alg[0] == '\0' || strcmp(algorithms[i].name, jwk->alg) == 0))
			return &algorithms[i];
	}
	return NULL;
}

const char *
clerk_jwa_name(const ClerkAlgorithm *algorithm)
{
	return algorithm->name;
}

/* Is the token's algorithm the key's? */
ClerkStatus
clerk_jwa_check(const ClerkJwk *jwk, const ClerkJws *jws)
{
	const ClerkAlgorithm *algorithm = clerk_jwa_find(jws->alg);

	if (algorithm == NULL)
		return CLERK_ALGORITHM_UNSUPPORTED;
	if (algorithm != clerk_jwa_of_key(jwk))
		return CLERK_ALGORITHM_NOT_THE_KEYS;
	return CLERK_OK;
}

/*
 * r || s, each exactly as long as the curve (RFC 7518 section 3.4), to the DER form that
 * OpenSSL wants; 0 when it cannot be.  That 0 < r, s < n is OpenSSL's to check.
 */
static int
ecdsa_to_der(const ClerkJws *jws, size_t coordinate, unsigned char *der)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(jws->signature, (int) coordinate, NULL);
	BIGNUM *s = BN_bin2bn(jws->signature + coordinate, (int) coordinate, NULL);
	int len = 0;

	if (sig != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(sig, r, s) == 1)
	{
		r = s = NULL; /* now sig's */
		len = i2d_ECDSA_SIG(sig, &der);
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(sig);
	return len > 0 ? len : 0;
}

/* PSS with MGF1 of the same hash and a salt as long as it (RFC 7518 section 3.5). */
static bool
use_pss(EVP_PKEY_CTX *ctx)
{
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
		   EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
}

/* A context that is ready to verify with the key, or NULL. */
static EVP_MD_CTX *
make_verifier(const ClerkAlgorithm *algorithm, EVP_PKEY *pkey)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pkey_ctx;

	if (ctx != NULL &&
		EVP_DigestVerifyInit_ex(ctx, &pkey_ctx, algorithm->digest, NULL, NULL, pkey,
								NULL) == 1 &&
		(!algorithm->pss || use_pss(pkey_ctx)))
		return ctx;
	EVP_MD_CTX_free(ctx);
	return NULL;
}

/* With a copy of the key's verifier, which saves OpenSSL its look-ups by name. */
static bool
digest_verify(const ClerkAlgorithm *algorithm, ClerkJwk *jwk, ClerkSlice input,
			  const unsigned char *signature, size_t signature_len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool valid;

	if (jwk->verifier == NULL)
		jwk->verifier = make_verifier(algorithm, jwk->pkey);
	valid = ctx != NULL && jwk->verifier != NULL &&
			EVP_MD_CTX_copy_ex(ctx, jwk->verifier) == 1 &&
			EVP_DigestVerify(ctx, signature, signature_len,
							 (const unsigned char *) input.data, input.len) == 1;
	EVP_MD_CTX_free(ctx);
	return valid;
}

/*
 * Did the key sign the token?  The caller has asked clerk_jwa_check() first; a key whose
 * algorithm does not fit verifies nothing.  The key keeps what the next question needs.
 */
ClerkStatus
clerk_jwa_verify(ClerkJwk *jwk, const ClerkJws *jws)
{
	const ClerkAlgorithm *algorithm = clerk_jwa_of_key(jwk);
	const unsigned char *signature = jws->signature;
	size_t len = jws->signature_len;
	unsigned char der[MAX_DER];
	bool valid;

	if (algorithm == NULL)
		return CLERK_ALGORITHM_NOT_THE_KEYS;
	if (algorithm->coordinate > 0)
	{
		if (len != 2 * algorithm->coordinate)
			return CLERK_SIGNATURE_INVALID;
		len = (size_t) ecdsa_to_der(jws, algorithm->coordinate, der);
		signature = der;
	}
	valid = len > 0 && digest_verify(algorithm, jwk, jws->signing_input, signature, len);
	ERR_clear_error();
	return valid ? CLERK_OK : CLERK_SIGNATURE_INVALID;
}

/*
 * SHA-256 (FIPS 180-4), under which a verified token is remembered.  Fetched once, which
 * saves each request a look-up by name.
 */
bool
clerk_jwa_sha256(ClerkSlice data, unsigned char digest[CLERK_DIGEST_LENGTH])
{
	static EVP_MD *sha256 = NULL;
	bool done;

	if (sha256 == NULL)
		sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	done = sha256 != NULL &&
		   EVP_Digest(data.data, data.len, digest, NULL, sha256, NULL) == 1;
	if (!done)
		ERR_clear_error();
	return done;
}

/*
 * Has OpenSSL read its configuration and look up what RS256, which Clerk signs with, needs.  What
 * it found it keeps, so that a process which was forked after this begins with it.
 */
void
clerk_jwa_warm(void)
{
	unsigned char digest[CLERK_DIGEST_LENGTH];
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_SIGNATURE *signature = EVP_SIGNATURE_fetch(NULL, "RSA", NULL);

	(void) clerk_jwa_sha256((ClerkSlice){"", 0}, digest);
	EVP_SIGNATURE_free(signature);
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
}

/* HMAC with SHA-256 (RFC 2104) of the parts, one after the other. */
bool
clerk_jwa_hmac_sha256(ClerkSlice key, const ClerkSlice *parts, size_t n_parts,
					  unsigned char mac[CLERK_DIGEST_LENGTH])
{
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *ctx = hmac != NULL ? EVP_MAC_CTX_new(hmac) : NULL;
	char digest[] = "SHA256";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end()};
	size_t len = 0;
	bool done = ctx != NULL &&
				EVP_MAC_init(ctx, (const unsigned char *) key.data, key.len, params) == 1;

	for (size_t i = 0; done && i < n_parts; i++)
		done =
			EVP_MAC_update(ctx, (const unsigned char *) parts[i].data, parts[i].len) == 1;
	done = done && EVP_MAC_final(ctx, mac, &len, CLERK_DIGEST_LENGTH) == 1 &&
		   len == CLERK_DIGEST_LENGTH;
	EVP_MAC_CTX_free(ctx);
	EVP_MAC_free(hmac);
	if (!done)
		ERR_clear_error();
	return done;
}

/* Compares in a time that does not depend on where they differ. */
bool
clerk_jwa_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}
