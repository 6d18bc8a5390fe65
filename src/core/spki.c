/*
 * spki.c
 *		A public key as a PEM file has it, in the form of a JSON Web Key.
 *
 * Errors are statuses; OpenSSL's error queue is left empty.  Called by keys.c and the tests.
 */
#include "clerk_core.h"

#include <stdio.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#define MAX_MODULUS (CLERK_MAX_RSA_BITS / 8)
#define MAX_EXPONENT (CLERK_MAX_EXPONENT_BITS / 8)

/* Room for so many bytes in base64url, with a NUL. */
#define ENCODED_SIZE(len) ((len) * 4 / 3 + 2)

/* Encodes a number of the key, in width bytes; 0: as many as it has, at most max_width. */
static bool
encode_number(EVP_PKEY *pkey, const char *param, int width, int max_width, char *out)
{
	unsigned char data[MAX_MODULUS];
	BIGNUM *number = NULL;
	bool fits = false;

	if (EVP_PKEY_get_bn_param(pkey, param, &number) == 1)
	{
		if (width == 0)
			width = BN_num_bytes(number);
		fits = width <= max_width && BN_bn2binpad(number, data, width) == width;
	}
	if (fits)
		clerk_base64url_encode(data, (size_t) width, out);
	BN_free(number);
	return fits;
}

static ClerkStatus
write_rsa(EVP_PKEY *pkey, char *json)
{
	char n[ENCODED_SIZE(MAX_MODULUS)];
	char e[ENCODED_SIZE(MAX_EXPONENT)];

	if (EVP_PKEY_get_bits(pkey) > CLERK_MAX_RSA_BITS)
		return CLERK_JWK_RSA_SIZE;
	if (!encode_number(pkey, OSSL_PKEY_PARAM_RSA_N, 0, MAX_MODULUS, n) ||
		!encode_number(pkey, OSSL_PKEY_PARAM_RSA_E, 0, MAX_EXPONENT, e))
		return CLERK_JWK_RSA_EXPONENT;
	snprintf(json, CLERK_MAX_JWK, "{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"}", n, e);
	return CLERK_OK;
}

static ClerkStatus
write_ec(EVP_PKEY *pkey, char *json)
{
	char group[64] = "";
	char x[128], y[128];

	(void) EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL);
	for (size_t i = 0; i < CLERK_N_CURVES; i++)
	{
		const ClerkCurve *curve = &clerk_jwk_curves[i];
		int size = (int) curve->size;

		if (strcmp(group, curve->group) != 0)
			continue;
		if (!encode_number(pkey, OSSL_PKEY_PARAM_EC_PUB_X, size, size, x) ||
			!encode_number(pkey, OSSL_PKEY_PARAM_EC_PUB_Y, size, size, y))
			return CLERK_JWK_POINT;
		snprintf(json, CLERK_MAX_JWK,
				 "{\"kty\":\"EC\",\"crv\":\"%s\",\"x\":\"%s\",\"y\":\"%s\"}",
				 curve->crv, x, y);
		return CLERK_OK;
	}
	return CLERK_JWK_KTY_UNKNOWN;
}

static ClerkStatus
write_okp(EVP_PKEY *pkey, char *json)
{
	unsigned char data[32];
	size_t len = sizeof(data);
	char x[64];

	if (EVP_PKEY_get_raw_public_key(pkey, data, &len) != 1)
		return CLERK_JWK_POINT;
	clerk_base64url_encode(data, len, x);
	snprintf(json, CLERK_MAX_JWK, "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"%s\"}",
			 x);
	return CLERK_OK;
}

static ClerkStatus
write_key(EVP_PKEY *pkey, char *json)
{
	if (EVP_PKEY_is_a(pkey, "RSA"))
		return write_rsa(pkey, json);
	if (EVP_PKEY_is_a(pkey, "EC"))
		return write_ec(pkey, json);
	if (EVP_PKEY_is_a(pkey, "ED25519"))
		return write_okp(pkey, json);
	return CLERK_JWK_KTY_UNKNOWN;
}

/* Is it the DER form of a private key, in any of its structures? */
static bool
is_private_der(ClerkSlice der)
{
	const unsigned char *data = (const unsigned char *) der.data;
	EVP_PKEY *pkey = d2i_AutoPrivateKey(NULL, &data, (long) der.len);

	EVP_PKEY_free(pkey);
	return pkey != NULL;
}

/* The key of a SubjectPublicKeyInfo, or of a certificate, and nothing behind it; or NULL. */
static EVP_PKEY *
key_of_der(ClerkSlice der)
{
	const unsigned char *end = (const unsigned char *) der.data + der.len;
	const unsigned char *data = (const unsigned char *) der.data;
	EVP_PKEY *pkey = d2i_PUBKEY(NULL, &data, (long) der.len);
	X509 *certificate = NULL;

	if (pkey == NULL)
	{
		data = (const unsigned char *) der.data;
		certificate = d2i_X509(NULL, &data, (long) der.len);
		if (certificate != NULL)
			pkey = X509_get_pubkey(certificate);
	}
	X509_free(certificate);
	if (pkey != NULL && data == end)
		return pkey;
	EVP_PKEY_free(pkey);
	return NULL;
}

/*
 * The JWK of a SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7), which is what stands in a
 * PEM file between BEGIN and END PUBLIC KEY, or of the one in a certificate.  Nothing else of
 * the certificate is looked at: who loads it vouches for it.  Whether the key may be used is
 * for clerk_jwk_parse() to say.
 */
ClerkStatus
clerk_spki_to_jwk(ClerkSlice der, char json[CLERK_MAX_JWK])
{
	EVP_PKEY *pkey = key_of_der(der);
	ClerkStatus status;

	if (pkey == NULL)
		status = is_private_der(der) ? CLERK_JWK_PRIVATE : CLERK_JWK_NOT_SPKI;
	else
		status = write_key(pkey, json);
	EVP_PKEY_free(pkey);
	ERR_clear_error();
	return status;
}
