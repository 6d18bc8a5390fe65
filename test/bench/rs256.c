/*
 * rs256.c
 *		The other side of the benchmark: RS256 with OpenSSL and nothing else.
 *
 *	rs256 sign KEY.pem KID ISSUER N		prints N different session tokens
 *	rs256 verify KEY.pem <TOKENS		prints the nanoseconds of an EVP_DigestVerify of each
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#define MAX_LINE 8192

static void
die(const char *what)
{
	fprintf(stderr, "rs256: %s\n", what);
	exit(1);
}

static EVP_PKEY *
read_key(const char *path)
{
	FILE *file = fopen(path, "r");
	EVP_PKEY *pkey = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;

	if (pkey == NULL)
		die("no key");
	fclose(file);
	return pkey;
}

/* Standard base64 of OpenSSL to base64url without padding. */
static size_t
encode(const unsigned char *data, size_t len, char *out)
{
	size_t n = (size_t) EVP_EncodeBlock((unsigned char *) out, data, (int) len);

	while (n > 0 && out[n - 1] == '=')
		n--;
	for (size_t i = 0; i < n; i++)
		out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i];
	out[n] = '\0';
	return n;
}

static size_t
decode(const char *text, unsigned char *out)
{
	char padded[MAX_LINE];
	size_t len = strcspn(text, "\r\n");
	size_t whole = (len + 3) / 4 * 4;

	for (size_t i = 0; i < whole; i++)
		padded[i] = i >= len ? '=' : text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
	return (size_t) EVP_DecodeBlock(out, (unsigned char *) padded, (int) whole) -
		   (whole - len);
}

static void
sign(EVP_PKEY *pkey, const char *kid, const char *issuer, int n)
{
	for (int i = 0; i < n; i++)
	{
		EVP_MD_CTX *ctx = EVP_MD_CTX_new();
		char header[256], payload[1024], token[MAX_LINE];
		unsigned char signature[1024];
		size_t len, signature_len = sizeof(signature);

		snprintf(header, sizeof(header),
				 "{\"alg\":\"RS256\",\"cat\":\"cl_B7d4PD111AAA\",\"kid\":\"%s\",\"typ\":\"JWT\"}", kid);
		snprintf(payload, sizeof(payload),
				 "{\"azp\":\"https://app.example.com\",\"exp\":4102444800,\"fva\":[85,-1],"
				 "\"iat\":1700000000,\"iss\":\"%s\",\"nbf\":1699999990,\"sid\":\"sess_%027d\","
				 "\"sts\":\"active\",\"sub\":\"user_%027d\",\"v\":2}",
				 issuer, i, i % 1000);
		len = encode((unsigned char *) header, strlen(header), token);
		token[len++] = '.';
		len += encode((unsigned char *) payload, strlen(payload), token + len);
		if (EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, pkey) != 1 ||
			EVP_DigestSign(ctx, signature, &signature_len, (unsigned char *) token, len) != 1)
			die("cannot sign");
		token[len++] = '.';
		encode(signature, signature_len, token + len);
		puts(token);
		EVP_MD_CTX_free(ctx);
	}
}

static double
verify_all(EVP_PKEY *pkey)
{
	char token[MAX_LINE];
	double spent = 0;
	int n = 0;

	while (fgets(token, sizeof(token), stdin))
	{
		char *dot = strrchr(token, '.');
		unsigned char signature[1024];
		size_t len = decode(dot + 1, signature);
		struct timespec start, end;
		EVP_MD_CTX *ctx;

		clock_gettime(CLOCK_MONOTONIC, &start);
		ctx = EVP_MD_CTX_new();
		if (EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, pkey) != 1 ||
			EVP_DigestVerify(ctx, signature, len, (unsigned char *) token,
							 (size_t) (dot - token)) != 1)
			die("does not verify");
		EVP_MD_CTX_free(ctx);
		clock_gettime(CLOCK_MONOTONIC, &end);
		spent += (double) (end.tv_sec - start.tv_sec) * 1e9 +
				 (double) (end.tv_nsec - start.tv_nsec);
		n++;
	}
	return spent / n;
}

int
main(int argc, char **argv)
{
	if (argc == 6 && strcmp(argv[1], "sign") == 0)
		sign(read_key(argv[2]), argv[3], argv[4], atoi(argv[5]));
	else if (argc == 3 && strcmp(argv[1], "verify") == 0)
		printf("%.0f\n", verify_all(read_key(argv[2])));
	else
		die("usage: rs256 sign KEY KID ISSUER N | rs256 verify KEY");
	return 0;
}
