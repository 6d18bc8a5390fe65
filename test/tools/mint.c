/*
 * mint.c
 *		Makes the tokens and keys that the tests and the demo send.
 *
 * mint token --key FILE.pem --alg ALG --kid KID [OPTION...] PAYLOAD
 *		prints a compact JWS of PAYLOAD's very bytes, good or bad.  @now@, @now+60@ and
 *		@now-5@ in PAYLOAD become seconds since the epoch.
 *		--kid -             no kid            --typ TYP|-         other than JWT, or none
 *		--header JSON       more members      --raw-header JSON   this and nothing else
 *		--secret-file FILE  the secret of HS256; with --alg none the signature is empty
 *
 * mint jwk --key FILE.pem --kid KID [--alg ALG] [--private]
 *		prints the key as JWK, the public one unless told otherwise.
 *
 * Owns nothing of the extension and shares no code with it: a mistake in one of them must
 * not hide in the other.  Needs OpenSSL 3 and jansson; leaves its memory to exit().
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <jansson.h>

typedef struct Options
{
	const char *key;
	const char *alg;
	const char *kid;
	const char *typ;
	const char *header;
	const char *raw_header;
	const char *secret_file;
	const char *payload;
	bool private_key;
} Options;

typedef struct Bytes
{
	unsigned char *data;
	size_t len;
} Bytes;

static _Noreturn void __attribute__((format(printf, 1, 2))) die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("mint: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	ERR_print_errors_fp(stderr);
	exit(2);
}

static void *
allocate(size_t size)
{
	void *p = calloc(1, size + 1);

	if (p == NULL)
		die("out of memory");
	return p;
}

/* base64url without padding, NUL-terminated */
static char *
base64url(const unsigned char *data, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	char *out = allocate((len * 4 + 2) / 3);
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

/* @now@, @now+N@ and @now-N@ become numbers; everything else stays as it is. */
static char *
with_times(const char *payload)
{
	/* a time is at most 20 digits and stands for at least 5 characters */
	char *out = allocate(strlen(payload) * 5);
	char *p = out;

	while (*payload != '\0')
	{
		char *end = NULL;
		long long offset = 0;

		if (strncmp(payload, "@now", 4) == 0)
		{
			end = (char *) payload + 4;
			if (*end == '+' || *end == '-')
				offset = strtoll(end, &end, 10);
		}
		if (end != NULL && *end == '@')
		{
			p += sprintf(p, "%lld", (long long) time(NULL) + offset);
			payload = end + 1;
		}
		else
			*p++ = *payload++;
	}
	return out;
}

static Bytes
read_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	Bytes bytes;

	if (file == NULL)
		die("cannot read %s", path);
	bytes.data = allocate(65536);
	bytes.len = fread(bytes.data, 1, 65536, file);
	fclose(file);
	return bytes;
}

static EVP_PKEY *
read_key(const char *path)
{
	FILE *file = path == NULL ? NULL : fopen(path, "rb");
	EVP_PKEY *key;

	if (file == NULL)
		die("--key %s: cannot read it", path == NULL ? "FILE is missing" : path);
	key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	fclose(file);
	if (key == NULL)
		die("%s holds no private key", path);
	return key;
}

/* SHA256, SHA384 or SHA512, as the algorithm's name ends */
static const char *
digest_of(const char *alg)
{
	static char digest[16];

	if (strlen(alg) != 5)
		die("unknown algorithm %s", alg);
	snprintf(digest, sizeof(digest), "SHA%s", alg + 2);
	return digest;
}

/* JOSE wants r and s in full width one after the other, OpenSSL makes a DER sequence. */
static Bytes
ecdsa_raw(EVP_PKEY *key, Bytes der)
{
	const unsigned char *p = der.data;
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long) der.len);
	int width = (EVP_PKEY_get_bits(key) + 7) / 8;
	Bytes raw = {allocate((size_t) width * 2), (size_t) width * 2};

	if (sig == NULL || BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw.data, width) < 0 ||
		BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw.data + width, width) < 0)
		die("cannot convert the signature");
	return raw;
}

static Bytes
sign_with_key(const Options *opt, const unsigned char *text, size_t len)
{
	EVP_PKEY *key = read_key(opt->key);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *key_ctx = NULL;
	bool eddsa = strcmp(opt->alg, "EdDSA") == 0;
	Bytes sig = {NULL, 0};

	if (EVP_DigestSignInit_ex(ctx, &key_ctx, eddsa ? NULL : digest_of(opt->alg), NULL,
							  NULL, key, NULL) <= 0)
		die("cannot sign %s with this key", opt->alg);
	if (strncmp(opt->alg, "PS", 2) == 0 &&
		(EVP_PKEY_CTX_set_rsa_padding(key_ctx, RSA_PKCS1_PSS_PADDING) <= 0 ||
		 EVP_PKEY_CTX_set_rsa_pss_saltlen(key_ctx, RSA_PSS_SALTLEN_DIGEST) <= 0))
		die("cannot sign %s with this key", opt->alg);
	if (EVP_DigestSign(ctx, NULL, &sig.len, text, len) <= 0)
		die("cannot sign");
	sig.data = allocate(sig.len);
	if (EVP_DigestSign(ctx, sig.data, &sig.len, text, len) <= 0)
		die("cannot sign");
	return strncmp(opt->alg, "ES", 2) == 0 ? ecdsa_raw(key, sig) : sig;
}

static Bytes
sign_with_secret(const Options *opt, const unsigned char *text, size_t len)
{
	Bytes secret = read_file(opt->secret_file);
	Bytes sig = {allocate(EVP_MAX_MD_SIZE), EVP_MAX_MD_SIZE};

	if (EVP_Q_mac(NULL, "HMAC", NULL, digest_of(opt->alg), NULL, secret.data, secret.len,
				  text, len, sig.data, sig.len, &sig.len) == NULL)
		die("cannot sign with the secret");
	return sig;
}

static char *
header_text(const Options *opt)
{
	json_error_t error;
	json_t *header = json_object();

	if (opt->raw_header != NULL)
		return (char *) opt->raw_header;
	json_object_set_new(header, "alg", json_string(opt->alg));
	if (strcmp(opt->kid, "-") != 0)
		json_object_set_new(header, "kid", json_string(opt->kid));
	if (strcmp(opt->typ, "-") != 0)
		json_object_set_new(header, "typ", json_string(opt->typ));
	if (opt->header != NULL)
	{
		json_t *more = json_loads(opt->header, 0, &error);

		if (!json_is_object(more))
			die("--header is no JSON object: %s", error.text);
		json_object_update(header, more);
	}
	return json_dumps(header, JSON_COMPACT);
}

static void
mint_token(const Options *opt)
{
	char *header = header_text(opt);
	char *payload = with_times(opt->payload);
	char *header64 = base64url((unsigned char *) header, strlen(header));
	char *payload64 = base64url((unsigned char *) payload, strlen(payload));
	char *text = allocate(strlen(header64) + 1 + strlen(payload64));
	size_t len = (size_t) sprintf(text, "%s.%s", header64, payload64);
	Bytes sig = {(unsigned char *) "", 0};

	if (opt->secret_file != NULL)
		sig = sign_with_secret(opt, (unsigned char *) text, len);
	else if (strcmp(opt->alg, "none") != 0)
		sig = sign_with_key(opt, (unsigned char *) text, len);
	printf("%s.%s\n", text, base64url(sig.data, sig.len));
}

/* Adds a number of the key as member of the JWK; width 0: as long as it is. */
static void
add_number(json_t *jwk, const char *member, EVP_PKEY *key, const char *param, int width)
{
	BIGNUM *number = NULL;
	unsigned char *data;

	if (!EVP_PKEY_get_bn_param(key, param, &number))
		die("the key has no %s", param);
	if (width == 0)
		width = BN_num_bytes(number);
	data = allocate((size_t) width);
	if (BN_bn2binpad(number, data, width) < 0)
		die("%s is too long", param);
	json_object_set_new(jwk, member, json_string(base64url(data, (size_t) width)));
}

static void
add_octets(json_t *jwk, const char *member, EVP_PKEY *key, const char *param)
{
	unsigned char data[64];
	size_t len;

	if (!EVP_PKEY_get_octet_string_param(key, param, data, sizeof(data), &len))
		die("the key has no %s", param);
	json_object_set_new(jwk, member, json_string(base64url(data, len)));
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

static void
mint_jwk(const Options *opt)
{
	EVP_PKEY *key = read_key(opt->key);
	json_t *jwk = json_object();

	json_object_set_new(jwk, "use", json_string("sig"));
	if (strcmp(opt->kid, "-") != 0)
		json_object_set_new(jwk, "kid", json_string(opt->kid));
	if (opt->alg != NULL)
		json_object_set_new(jwk, "alg", json_string(opt->alg));
	if (EVP_PKEY_is_a(key, "RSA"))
		add_rsa(jwk, key, opt->private_key);
	else if (EVP_PKEY_is_a(key, "EC"))
		add_ec(jwk, key, opt->private_key);
	else if (EVP_PKEY_is_a(key, "ED25519"))
		add_ed25519(jwk, key, opt->private_key);
	else
		die("a key that is neither RSA nor EC nor Ed25519");
	puts(json_dumps(jwk, JSON_COMPACT));
}

static void
set_option(Options *opt, const char *name, const char *value)
{
	const struct
	{
		const char *name;
		const char **place;
	} known[] = {
		{"--key", &opt->key},
		{"--alg", &opt->alg},
		{"--kid", &opt->kid},
		{"--typ", &opt->typ},
		{"--header", &opt->header},
		{"--raw-header", &opt->raw_header},
		{"--secret-file", &opt->secret_file},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
	{
		if (strcmp(known[i].name, name) == 0 && value != NULL)
		{
			*known[i].place = value;
			return;
		}
	}
	die("%s: unknown, or its value is missing", name);
}

int
main(int argc, char **argv)
{
	Options opt = {.kid = "-", .typ = "JWT"};

	for (int i = 2; i < argc; i++)
	{
		if (strcmp(argv[i], "--private") == 0)
			opt.private_key = true;
		else if (strncmp(argv[i], "--", 2) == 0)
		{
			set_option(&opt, argv[i], argv[i + 1]);
			i++;
		}
		else
			opt.payload = argv[i];
	}

	if (argc > 1 && strcmp(argv[1], "jwk") == 0)
		mint_jwk(&opt);
	else if (argc > 1 && strcmp(argv[1], "token") == 0 && opt.alg != NULL &&
			 opt.payload != NULL)
		mint_token(&opt);
	else
		die("usage: mint token --key FILE --alg ALG --kid KID PAYLOAD\n"
			"       mint jwk --key FILE --kid KID");
	return 0;
}
