/*
 * test_spki.c
 *		Public keys and certificates in DER form: they come out as a JWK, and nothing else does.
 */
#include "unit.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "jose.h"

/* A public key in DER form comes out as the JWK that the signer makes of it. */
static void
spki_of(const char *alg)
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(unit_key(alg), &der);
	ClerkSlice slice = unit_bytes(der, (size_t) len);
	char json[CLERK_MAX_JWK];
	json_t *wanted = jose_jwk(unit_key(alg), false);
	json_t *got;

	unit_status(clerk_spki_to_jwk(slice, json), CLERK_OK, "spki: %s", alg);
	got = json_loads(json, 0, NULL);
	unit_ok(json_equal(wanted, got), "spki: %s is the same JWK", alg);
	slice.len--;
	unit_status(clerk_spki_to_jwk(slice, json), CLERK_JWK_NOT_SPKI, "spki: %s cut short",
				alg);
	json_decref(wanted);
	json_decref(got);
	OPENSSL_free(der);
}

/* A certificate comes out as the key in it, which it is not asked to vouch for. */
static void
certificate_of(const char *alg)
{
	X509 *certificate = X509_new();
	unsigned char *der = NULL;
	char json[CLERK_MAX_JWK], wanted[CLERK_MAX_JWK] = "";
	unsigned char *spki = NULL;
	int spki_len = i2d_PUBKEY(unit_key(alg), &spki);
	int len;

	X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 60);
	X509_set_pubkey(certificate, unit_key(alg));
	X509_sign(certificate, unit_key(alg),
			  strcmp(alg, "EdDSA") == 0 ? NULL : EVP_sha256());
	len = i2d_X509(certificate, &der);
	clerk_spki_to_jwk(unit_bytes(spki, (size_t) spki_len), wanted);
	unit_status(clerk_spki_to_jwk(unit_bytes(der, (size_t) len), json), CLERK_OK,
				"certificate: %s", alg);
	unit_ok(strcmp(json, wanted) == 0, "certificate: %s is the same JWK", alg);
	unit_status(clerk_spki_to_jwk(unit_bytes(der, (size_t) len - 1), json),
				CLERK_JWK_NOT_SPKI, "certificate: %s cut short", alg);
	unit_status(
		clerk_spki_to_jwk(unit_slice(unit_format("%.*s", 8, (char *) der)), json),
		CLERK_JWK_NOT_SPKI, "certificate: %s, its beginning", alg);
	X509_free(certificate);
	OPENSSL_free(spki);
	OPENSSL_free(der);
}

static void
spki_status(ClerkStatus wanted, EVP_PKEY *pkey, bool private_key, const char *what)
{
	unsigned char *der = NULL;
	int len = private_key ? i2d_PrivateKey(pkey, &der) : i2d_PUBKEY(pkey, &der);
	char json[CLERK_MAX_JWK];

	unit_status(clerk_spki_to_jwk(unit_bytes(der, (size_t) len), json), wanted,
				"spki: %s", what);
	OPENSSL_free(der);
}

static void
test_keys(void)
{
	static const char *const algs[] = {"RS256", "ES256", "ES384", "ES512", "EdDSA"};
	EVP_PKEY *x25519 = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	char json[CLERK_MAX_JWK];

	for (size_t i = 0; i < lengthof(algs); i++)
	{
		spki_of(algs[i]);
		certificate_of(algs[i]);
		spki_status(CLERK_JWK_PRIVATE, unit_key(algs[i]), true, "a private key");
	}
	spki_status(CLERK_JWK_KTY_UNKNOWN, x25519, false, "X25519");
	EVP_PKEY_free(x25519);
	unit_status(clerk_spki_to_jwk(unit_slice(""), json), CLERK_JWK_NOT_SPKI,
				"spki: nothing");
	unit_status(clerk_spki_to_jwk(unit_slice("0\x82\xff\xff"), json), CLERK_JWK_NOT_SPKI,
				"spki: rubbish");
}

static void
test_no_error_left(void)
{
	unit_ok(ERR_peek_error() == 0, "spki: no error is left behind");
}

int
test_spki(void)
{
	const struct CMUnitTest tests[] = {
		unit_case(test_keys),
		unit_case(test_no_error_left),
	};

	return cmocka_run_group_tests_name("spki", tests, NULL, NULL);
}
