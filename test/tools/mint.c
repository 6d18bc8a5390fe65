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
 * Leaves its memory to exit().
 */
#include "jose.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/pem.h>

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

/* @now@, @now+N@ and @now-N@ become numbers; everything else stays as it is. */
static char *
with_times(const char *payload)
{
	/* a time is at most 20 digits and stands for at least 5 characters */
	char *out = jose_allocate(strlen(payload) * 5);
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

static JoseBytes
read_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	JoseBytes bytes;

	if (file == NULL)
		jose_die("cannot read %s", path);
	bytes.data = jose_allocate(65536);
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
		jose_die("--key %s: cannot read it", path == NULL ? "FILE is missing" : path);
	key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	fclose(file);
	if (key == NULL)
		jose_die("%s holds no private key", path);
	return key;
}

static JoseBytes
sign_with_secret(const Options *opt, const unsigned char *text, size_t len)
{
	JoseBytes secret = read_file(opt->secret_file);
	JoseBytes sig = {jose_allocate(EVP_MAX_MD_SIZE), EVP_MAX_MD_SIZE};

	if (EVP_Q_mac(NULL, "HMAC", NULL, jose_digest(opt->alg), NULL, secret.data,
				  secret.len, text, len, sig.data, sig.len, &sig.len) == NULL)
		jose_die("cannot sign with the secret");
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
			jose_die("--header is no JSON object: %s", error.text);
		json_object_update(header, more);
	}
	return json_dumps(header, JSON_COMPACT);
}

static void
mint_token(const Options *opt)
{
	char *payload = with_times(opt->payload);
	char *text = jose_signing_input(header_text(opt), payload, strlen(payload));
	JoseBytes sig = {NULL, 0};

	if (opt->secret_file != NULL)
		sig = sign_with_secret(opt, (unsigned char *) text, strlen(text));
	else if (strcmp(opt->alg, "none") != 0)
		sig = jose_sign(read_key(opt->key), opt->alg, text, strlen(text));
	printf("%s.%s\n", text, jose_base64url(sig.data, sig.len));
}

static void
mint_jwk(const Options *opt)
{
	json_t *jwk = json_object();

	json_object_set_new(jwk, "use", json_string("sig"));
	if (strcmp(opt->kid, "-") != 0)
		json_object_set_new(jwk, "kid", json_string(opt->kid));
	if (opt->alg != NULL)
		json_object_set_new(jwk, "alg", json_string(opt->alg));
	json_object_update_new(jwk, jose_jwk(read_key(opt->key), opt->private_key));
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
	jose_die("%s: unknown, or its value is missing", name);
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
		jose_die("usage: mint token --key FILE --alg ALG --kid KID PAYLOAD\n"
				 "       mint jwk --key FILE --kid KID");
	return 0;
}
