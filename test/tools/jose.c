/*
 * jose.c
 *		See jose.h.
 */
#include "jose.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

void
jose_die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	ERR_print_errors_fp(stderr);
	exit(2);
}

void *
jose_allocate(size_t size)
{
	void *p = calloc(1, size + 1);

	if (p == NULL)
		jose_die("out of memory");
	return p;
}

char *
jose_base64url(const void *bytes, size_t len)
{
	const unsigned char *data = bytes;
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	char *out = jose_allocate((len * 4 + 2) / 3);
	char *p = out;
	unsigned int bits = 0;
	int n_bits = 0;

	for (size_t i = 0; i < len; i++)
	{
		bits = (bits << 8 | data[i]) & 0xffff;
		for (n_bits += 8; n_bits >= 6; n_bits -= 6)
			*p++ = digits[bits >> (n_bits - 6) & 63];
	}
	if (n_bits > 0)
		*p++ = digits[bits << (6 - n_bits) & 63];
	return out;
}

const char *
jose_digest(const char *alg)
{
	static char digest[16];

	if (strlen(alg) != 5)
		jose_die("unknown algorithm %s", alg);
	snprintf(digest, sizeof(digest), "SHA%s", alg + 2);
	return digest;
}

/* JOSE wants r and s in full width one after the other, OpenSSL makes a DER sequence. */
static JoseBytes
ecdsa_raw(EVP_PKEY *key, JoseBytes der)
{
	const unsigned char *p = der.data;
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long) der.len);
	int width = (EVP_PKEY_get_bits(key) + 7) / 8;
	JoseBytes raw = {jose_allocate((size_t) width * 2), (size_t) width * 2};

	if (sig == NULL || BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw.data, width) < 0 ||
		BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw.data + width, width) < 0)
		jose_die("cannot convert the signature");
	ECDSA_SIG_free(sig);
	return raw;
}

JoseBytes
jose_sign(EVP_PKEY *key, const char *alg, const void *text, size_t len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *key_ctx = NULL;
	bool eddsa = strcmp(alg, "EdDSA") == 0;
	JoseBytes sig = {NULL, 0};

	if (EVP_DigestSignInit_ex(ctx, &key_ctx, eddsa ? NULL : jose_digest(alg), NULL, NULL,
							  key, NULL) <= 0)
		jose_die("cannot sign %s with this key", alg);
	if (strncmp(alg, "PS", 2) == 0 &&
		(EVP_PKEY_CTX_set_rsa_padding(key_ctx, RSA_PKCS1_PSS_PADDING) <= 0 ||
		 EVP_PKEY_CTX_set_rsa_pss_saltlen(key_ctx, RSA_PSS_SALTLEN_DIGEST) <= 0))
		jose_die("cannot sign %s with this key", alg);
	if (EVP_DigestSign(ctx, NULL, &sig.len, text, len) <= 0)
		jose_die("cannot sign");
	sig.data = jose_allocate(sig.len);
	if (EVP_DigestSign(ctx, sig.data, &sig.len, text, len) <= 0)
		jose_die("cannot sign");
	EVP_MD_CTX_free(ctx);
	return strncmp(alg, "ES", 2) == 0 ? ecdsa_raw(key, sig) : sig;
}

char *
jose_signing_input(const char *header, const void *payload, size_t len)
{
	char *header64 = jose_base64url(header, strlen(header));
	char *payload64 = jose_base64url(payload, len);
	char *input = jose_allocate(strlen(header64) + 1 + strlen(payload64));

	sprintf(input, "%s.%s", header64, payload64);
	return input;
}

char *
jose_token(EVP_PKEY *key, const char *alg, const char *header, const void *payload,
		   size_t len)
{
	char *input = jose_signing_input(header, payload, len);
	JoseBytes sig = {NULL, 0};
	char *token;

	if (key != NULL)
		sig = jose_sign(key, alg, input, strlen(input));
	token = jose_allocate(strlen(input) + 1 + sig.len * 2);
	sprintf(token, "%s.%s", input, jose_base64url(sig.data, sig.len));
	return token;
}

/* Adds a number of the key as member of the JWK; width 0: as long as it is. */
static void
add_number(json_t *jwk, const char *member, EVP_PKEY *key, const char *param, int width)
{
	BIGNUM *number = NULL;
	unsigned char *data;

	if (!EVP_PKEY_get_bn_param(key, param, &number))
		jose_die("the key has no %s", param);
	if (width == 0)
		width = BN_num_bytes(number);
	data = jose_allocate((size_t) width);
	if (BN_bn2binpad(number, data, width) < 0)
		jose_die("%s is too long", param);
	BN_free(number);
	json_object_set_new(jwk, member, json_string(jose_base64url(data, (size_t) width)));
}

static void
add_octets(json_t *jwk, const char *member, EVP_PKEY *key, const char *param)
{
	unsigned char data[64];
	size_t len;

	if (!EVP_PKEY_get_octet_string_param(key, param, data, sizeof(data), &len))
		jose_die("the key has no %s", param);
	json_object_set_new(jwk, member, json_string(jose_base64url(data, len)));
}

static void
add_rsa(json_t *jwk, EVP_PKEY *key, bool private_key)
{
	json_object_set_new(jwk, "kty", json_string("RSA"));
	add_number(jwk, "n", key, OSSL_PKEY_PARAM_RSA_N, 0);
	add_number(jwk, "e", key, OSSL_PKEY_PARAM_RSA_E, 0);
	if (!private_key)
		return;
	add_number(jwk, "d", key, OSSL_PKEY_PARAM_RSA_D, 0);
	add_number(jwk, "p", key, OSSL_PKEY_PARAM_RSA_FACTOR1, 0);
	add_number(jwk, "q", key, OSSL_PKEY_PARAM_RSA_FACTOR2, 0);
	add_number(jwk, "dp", key, OSSL_PKEY_PARAM_RSA_EXPONENT1, 0);
	add_number(jwk, "dq", key, OSSL_PKEY_PARAM_RSA_EXPONENT2, 0);
	add_number(jwk, "qi", key, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, 0);
}

static void
add_ec(json_t *jwk, EVP_PKEY *key, bool private_key)
{
	int bits = EVP_PKEY_get_bits(key);
	int width = (bits + 7) / 8;
	char curve[8];

	snprintf(curve, sizeof(curve), "P-%d", bits);
	json_object_set_new(jwk, "kty", json_string("EC"));
	json_object_set_new(jwk, "crv", json_string(curve));
	add_number(jwk, "x", key, OSSL_PKEY_PARAM_EC_PUB_X, width);
	add_number(jwk, "y", key, OSSL_PKEY_PARAM_EC_PUB_Y, width);
	if (private_key)
		add_number(jwk, "d", key, OSSL_PKEY_PARAM_PRIV_KEY, width);
}

static void
add_ed25519(json_t *jwk, EVP_PKEY *key, bool private_key)
{
	json_object_set_new(jwk, "kty", json_string("OKP"));
	json_object_set_new(jwk, "crv", json_string("Ed25519"));
	add_octets(jwk, "x", key, OSSL_PKEY_PARAM_PUB_KEY);
	if (private_key)
		add_octets(jwk, "d", key, OSSL_PKEY_PARAM_PRIV_KEY);
}

json_t *
jose_jwk(EVP_PKEY *key, bool private_key)
{
	json_t *jwk = json_object();

	if (EVP_PKEY_is_a(key, "RSA"))
		add_rsa(jwk, key, private_key);
	else if (EVP_PKEY_is_a(key, "EC"))
		add_ec(jwk, key, private_key);
	else if (EVP_PKEY_is_a(key, "ED25519"))
		add_ed25519(jwk, key, private_key);
	else
		jose_die("a key that is neither RSA nor EC nor Ed25519");
	return jwk;
}
