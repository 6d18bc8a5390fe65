/*
 * jwk.c
 *		One JSON Web Key (RFC 7517, 7518, 8037) as a public key of OpenSSL.
 *
 * The policy: RSA of 2048 to 8192 bits with an odd exponent of at least 3; EC points that
 * lie on P-256, P-384 or P-521; Ed25519, but no point of small order.  Private and symmetric
 * keys are refused, however much public there is beside them.  Keys of other types or for
 * other uses have a status of their own, so that a caller can pass over them
 * (clerk_status_ignores_jwk()).
 *
 * Errors are statuses; OpenSSL's error queue is left empty.  Called by keys.c and the tests.
 */
#include "clerk_core.h"

#include <string.h>

#include <jansson.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#define MIN_RSA_BITS 2048

/* Room for an RSA modulus, with a leading zero byte that some writers add. */
#define MAX_MEMBER (CLERK_MAX_RSA_BITS / 8 + 1)

typedef struct Octets
{
	unsigned char data[MAX_MEMBER * 4 / 3 + 4];
	size_t len;
} Octets;

const ClerkCurve clerk_jwk_curves[CLERK_N_CURVES] = {
	{"P-256", "prime256v1", CLERK_KEY_P256, 32},
	{"P-384", "secp384r1", CLERK_KEY_P384, 48},
	{"P-521", "secp521r1", CLERK_KEY_P521, 66},
};

/* What only a private or symmetric key has (RFC 7518 sections 6.2.2, 6.3.2, 6.4). */
static const char *const private_members[] = {"d",	"p",  "q",	 "dp",
											  "dq", "qi", "oth", "k"};

static bool
octets_member(const json_t *jwk, const char *name, Octets *octets)
{
	const json_t *member = json_object_get(jwk, name);
	ClerkSlice text = {json_string_value(member), json_string_length(member)};

	return text.data != NULL && text.len > 0 && text.len <= sizeof(octets->data) &&
		   clerk_base64url_decode(text, octets->data, &octets->len);
}

/* Makes a key of the parameters, or NULL where OpenSSL does not take them. */
static EVP_PKEY *
key_of_params(const char *type, OSSL_PARAM_BLD *build)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *pkey = NULL;

	if (params == NULL || ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
		EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
		pkey = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	return pkey;
}

static ClerkStatus
check_rsa_numbers(const BIGNUM *n, const BIGNUM *e)
{
	if (BN_num_bits(n) < MIN_RSA_BITS || BN_num_bits(n) > CLERK_MAX_RSA_BITS || !BN_is_odd(n))
		return CLERK_JWK_RSA_SIZE;
	if (!BN_is_odd(e) || BN_is_one(e) || BN_num_bits(e) > CLERK_MAX_EXPONENT_BITS)
		return CLERK_JWK_RSA_EXPONENT;
	return CLERK_OK;
}

static ClerkStatus
make_rsa(const Octets *modulus, const Octets *exponent, EVP_PKEY **pkey)
{
	BIGNUM *n = BN_bin2bn(modulus->data, (int) modulus->len, NULL);
	BIGNUM *e = BN_bin2bn(exponent->data, (int) exponent->len, NULL);
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	ClerkStatus status = CLERK_OUT_OF_MEMORY;

	if (n != NULL && e != NULL && build != NULL)
		status = check_rsa_numbers(n, e);
	if (status == CLERK_OK)
	{
		if (OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
			OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) == 1)
			*pkey = key_of_params("RSA", build);
		if (*pkey == NULL)
			status = CLERK_OUT_OF_MEMORY;
	}
	OSSL_PARAM_BLD_free(build);
	BN_free(n);
	BN_free(e);
	return status;
}

static ClerkStatus
parse_rsa(const json_t *json, ClerkJwk *jwk)
{
	Octets n, e;

	jwk->type = CLERK_KEY_RSA;
	if (!octets_member(json, "n", &n))
		return json_string_length(json_object_get(json, "n")) > sizeof(n.data)
				   ? CLERK_JWK_RSA_SIZE
				   : CLERK_JWK_MEMBER;
	if (!octets_member(json, "e", &e))
		return CLERK_JWK_MEMBER;
	return make_rsa(&n, &e, &jwk->pkey);
}

/* The uncompressed point, 04 || x || y (SEC 1 section 2.3.3), checked by OpenSSL. */
static EVP_PKEY *
make_ec(const ClerkCurve *curve, const Octets *x, const Octets *y)
{
	unsigned char point[1 + 2 * 66];
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	EVP_PKEY *pkey = NULL;

	point[0] = 0x04;
	memcpy(point + 1, x->data, curve->size);
	memcpy(point + 1 + curve->size, y->data, curve->size);
	if (build != NULL &&
		OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, curve->group,
										0) == 1 &&
		OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point,
										 1 + 2 * curve->size) == 1)
		pkey = key_of_params("EC", build);
	OSSL_PARAM_BLD_free(build);
	return pkey;
}

static bool
key_is_valid(EVP_PKEY *pkey)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	bool valid = ctx != NULL && EVP_PKEY_public_check(ctx) == 1;

	EVP_PKEY_CTX_free(ctx);
	return valid;
}

static ClerkStatus
parse_ec(const json_t *json, ClerkJwk *jwk)
{
	const char *crv = json_string_value(json_object_get(json, "crv"));
	const ClerkCurve *curve = NULL;
	Octets x, y;

	if (crv == NULL)
		return CLERK_JWK_MEMBER;
	for (size_t i = 0; i < CLERK_N_CURVES; i++)
	{
		if (strcmp(crv, clerk_jwk_curves[i].crv) == 0)
			curve = &clerk_jwk_curves[i];
	}
	if (curve == NULL)
		return CLERK_JWK_KTY_UNKNOWN;
	if (!octets_member(json, "x", &x) || !octets_member(json, "y", &y) ||
		x.len != curve->size || y.len != curve->size)
		return CLERK_JWK_MEMBER;
	jwk->type = curve->type;
	jwk->pkey = make_ec(curve, &x, &y);
	return jwk->pkey != NULL && key_is_valid(jwk->pkey) ? CLERK_OK : CLERK_JWK_POINT;
}

/*
 * The points of edwards25519 whose order is 1, 2, 4 or 8, in all spellings that OpenSSL
 * takes.  Anybody can sign for such a key, as for RSA with the exponent 1.
 */
static const char *const small_order[] = {
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIA",
	"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
	"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIA",
	"JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU",
	"JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_IU",
	"xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o",
	"xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA_o",
	"7P_______________________________________38",
	"7P________________________________________8",
	"7f_______________________________________38",
	"7f________________________________________8",
	"7v_______________________________________38",
	"7v________________________________________8",
};

static bool
has_small_order(const char *x)
{
	for (size_t i = 0; i < sizeof(small_order) / sizeof(small_order[0]); i++)
	{
		if (strcmp(x, small_order[i]) == 0)
			return true;
	}
	return false;
}

static ClerkStatus
parse_okp(const json_t *json, ClerkJwk *jwk)
{
	const char *crv = json_string_value(json_object_get(json, "crv"));
	Octets x;

	if (crv == NULL)
		return CLERK_JWK_MEMBER;
	if (strcmp(crv, "Ed25519") != 0)
		return CLERK_JWK_KTY_UNKNOWN;
	if (!octets_member(json, "x", &x) || x.len != 32)
		return CLERK_JWK_MEMBER;
	jwk->type = CLERK_KEY_ED25519;
	if (has_small_order(json_string_value(json_object_get(json, "x"))))
		return CLERK_JWK_POINT;
	jwk->pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x.data, x.len);
	return jwk->pkey != NULL ? CLERK_OK : CLERK_JWK_POINT;
}

/* "use" is absent or "sig"; "key_ops" is absent or has "verify". */
static bool
is_for_signatures(const json_t *json)
{
	const json_t *use = json_object_get(json, "use");
	const json_t *key_ops = json_object_get(json, "key_ops");

	if (use != NULL &&
		(!json_is_string(use) || strcmp(json_string_value(use), "sig") != 0))
		return false;
	for (size_t i = 0; i < json_array_size(key_ops); i++)
	{
		const char *op = json_string_value(json_array_get(key_ops, i));

		if (op != NULL && strcmp(op, "verify") == 0)
			return true;
	}
	return key_ops == NULL;
}

static bool
copy_alg(const json_t *json, ClerkJwk *jwk)
{
	const json_t *alg = json_object_get(json, "alg");

	if (alg == NULL)
		return true;
	if (!json_is_string(alg) || json_string_length(alg) == 0 ||
		json_string_length(alg) >= sizeof(jwk->alg))
		return false;
	memcpy(jwk->alg, json_string_value(alg), json_string_length(alg));
	return true;
}

static ClerkStatus
parse_object(const json_t *json, ClerkJwk *jwk)
{
	const char *kty = json_string_value(json_object_get(json, "kty"));

	if (kty == NULL)
		return CLERK_JWK_MEMBER;
	if (strcmp(kty, "oct") == 0)
		return CLERK_JWK_SYMMETRIC;
	for (size_t i = 0; i < sizeof(private_members) / sizeof(private_members[0]); i++)
	{
		if (json_object_get(json, private_members[i]) != NULL)
			return CLERK_JWK_PRIVATE;
	}
	if (!is_for_signatures(json))
		return CLERK_JWK_NOT_FOR_SIGNATURES;
	if (!copy_alg(json, jwk))
		return CLERK_JWK_ALG_UNSUPPORTED;
	if (strcmp(kty, "RSA") == 0)
		return parse_rsa(json, jwk);
	if (strcmp(kty, "EC") == 0)
		return parse_ec(json, jwk);
	if (strcmp(kty, "OKP") == 0)
		return parse_okp(json, jwk);
	return CLERK_JWK_KTY_UNKNOWN;
}

/*
 * Fills *jwk; whatever is returned, the caller calls clerk_jwk_free().  That the key's own
 * "alg" fits its type is for clerk_jwa_of_key() to say.
 */
ClerkStatus
clerk_jwk_parse(ClerkSlice text, ClerkJwk *jwk)
{
	ClerkJson json;
	ClerkStatus status;

	memset(jwk, 0, sizeof(*jwk));
	if (!clerk_json_object(text, &json))
		return CLERK_JWK_NOT_JSON;
	status = parse_object(json.root, jwk);
	json_decref(json.root);
	ERR_clear_error();
	return status;
}

void
clerk_jwk_free(ClerkJwk *jwk)
{
	EVP_MD_CTX_free(jwk->verifier);
	EVP_PKEY_free(jwk->pkey);
	memset(jwk, 0, sizeof(*jwk));
}
