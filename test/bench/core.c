/*
 * core.c
 *		The benchmark of the pure files: where the time of a new token goes, stage by stage,
 *		beside OpenSSL and nothing else, in one process.
 *
 *	core sign KEY.pem ALG KID ISSUER N [KIDS]
 *		prints N different session tokens; with KIDS, each of the next of so many keys: KID0,
 *		KID1...  Those of EdDSA are numbered from 1, as pg_session_jwt wants it.
 *	core stages JWK ROUNDS <TOKENS
 *		prints stage, round, nanoseconds a token
 *
 * Each round runs every stage over all tokens, one stage after the other.  Leaves its memory
 * to exit().
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "../../src/core/clerk_core.h"
#include "../tools/jose.h"

#define MAX_LINE 8192
#define NOW ((int64_t) 1800000000 * 1000000)

typedef struct Token
{
	ClerkSlice text;
	ClerkJws jws;
	ClerkClaims claims;
} Token;

typedef void (*Stage)(Token *token);

static ClerkJwk jwk;
static const ClerkPolicy policy = {.clock_skew = 5000000, .accept_templates = true};

static void
expect(bool good)
{
	if (!good)
		jose_die("a token is refused");
}

static void
digest(Token *token)
{
	unsigned char result[CLERK_DIGEST_LENGTH];

	expect(clerk_jwa_sha256(token->text, result));
}

static void
parse_jws(Token *token)
{
	ClerkJws jws;

	expect(clerk_jws_parse(token->text, &jws) == CLERK_OK);
	clerk_jws_free(&jws);
}

static void
parse_claims(Token *token)
{
	ClerkClaims claims;

	expect(clerk_claims_parse(token->jws.payload, &claims) == CLERK_OK);
	clerk_claims_free(&claims);
}

static void
check_claims(Token *token)
{
	expect(clerk_claims_check_type(&token->jws, &token->claims, &policy) == CLERK_OK &&
		   clerk_jwa_check(&jwk, &token->jws) == CLERK_OK &&
		   clerk_claims_check(&token->claims, &policy, NOW) == CLERK_OK);
}

static void
verify_signature(Token *token)
{
	expect(clerk_jwa_verify(&jwk, &token->jws) == CLERK_OK);
}

static void
decode_grants(Token *token)
{
	static char memory[1 << 16];

	expect(clerk_grants_size(&token->claims) <= sizeof(memory));
	(void) clerk_grants_decode(&token->claims, memory);
}

/* All of the above in the order of session.c. */
static void
verify_token(Token *token)
{
	Token fresh = {.text = token->text};

	digest(&fresh);
	expect(clerk_jws_parse(fresh.text, &fresh.jws) == CLERK_OK &&
		   clerk_claims_parse(fresh.jws.payload, &fresh.claims) == CLERK_OK);
	verify_signature(&fresh);
	check_claims(&fresh);
	decode_grants(&fresh);
	clerk_claims_free(&fresh.claims);
	clerk_jws_free(&fresh.jws);
}

static void
bare_digest_verify(Token *token)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	expect(EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, jwk.pkey) == 1 &&
		   EVP_DigestVerify(ctx, token->jws.signature, token->jws.signature_len,
							(const unsigned char *) token->jws.signing_input.data,
							token->jws.signing_input.len) == 1);
	EVP_MD_CTX_free(ctx);
}

static const struct
{
	const char *name;
	Stage run;
} stages[] = {
	{"EVP_DigestVerify", bare_digest_verify},
	{"a new token", verify_token},
	{"SHA-256 of it, for the cache", digest},
	{"JWS: base64url, header", parse_jws},
	{"claims: JSON", parse_claims},
	{"signature", verify_signature},
	{"checks", check_claims},
	{"organization, features", decode_grants},
};

static double
nanoseconds(Stage run, Token *tokens, int n)
{
	struct timespec start, end;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (int i = 0; i < n; i++)
		run(&tokens[i]);
	clock_gettime(CLOCK_MONOTONIC, &end);
	return ((double) (end.tv_sec - start.tv_sec) * 1e9 +
			(double) (end.tv_nsec - start.tv_nsec)) /
		   n;
}

static Token *
read_tokens(int *n)
{
	char line[MAX_LINE];
	Token *tokens = NULL;

	for (*n = 0; fgets(line, sizeof(line), stdin); ++*n)
	{
		size_t len = strcspn(line, "\r\n");
		char *text = jose_allocate(len);
		Token *token;

		tokens = realloc(tokens, (size_t) (*n + 1) * sizeof(Token));
		if (tokens == NULL)
			jose_die("out of memory");
		token = &tokens[*n];
		memcpy(text, line, len);
		token->text = (ClerkSlice){text, len};
		expect(clerk_jws_parse(token->text, &token->jws) == CLERK_OK &&
			   clerk_claims_parse(token->jws.payload, &token->claims) == CLERK_OK);
	}
	return tokens;
}

static void
time_stages(const char *json, int rounds)
{
	int n;
	Token *tokens = read_tokens(&n);

	expect(clerk_jwk_parse((ClerkSlice){json, strlen(json)}, &jwk) == CLERK_OK);
	for (int round = 0; round <= rounds; round++)
	{
		for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++)
		{
			double took = nanoseconds(stages[i].run, tokens, n);

			/* the first is to warm up */
			if (round > 0)
				printf("%s\t%d\t%.0f\n", stages[i].name, round, took);
		}
	}
}

static void
sign(const char *path, const char *alg, const char *kid, const char *issuer, int n, int kids)
{
	FILE *file = fopen(path, "r");
	EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;
	bool is_numbered = strcmp(alg, "EdDSA") == 0;
	char number[16] = "", jti[32] = "", header[256], payload[1024];

	if (key == NULL)
		jose_die("no key");
	for (int i = 0; i < n; i++)
	{
		char *token;

		if (kids > 0)
			snprintf(number, sizeof(number), "%d", i % kids);
		snprintf(
			header, sizeof(header),
			"{\"alg\":\"%s\",\"cat\":\"cl_B7d4PD111AAA\",\"kid\":\"%s%s\",\"typ\":\"JWT\"}",
			alg, kid, number);
		if (is_numbered)
			snprintf(jti, sizeof(jti), "\"jti\":%d,", i + 1);
		snprintf(
			payload, sizeof(payload),
			"{\"azp\":\"https://app.example.com\",\"exp\":4102444800,\"fva\":[85,-1],"
			"\"iat\":1700000000,\"iss\":\"%s\",%s\"nbf\":1699999990,"
			"\"sid\":\"sess_%027d\",\"sts\":\"active\",\"sub\":\"user_%027d\",\"v\":2}",
			issuer, jti, i, i % 1000);
		token = jose_token(key, alg, header, payload, strlen(payload));
		puts(token);
		free(token);
	}
}

int
main(int argc, char **argv)
{
	if ((argc == 7 || argc == 8) && strcmp(argv[1], "sign") == 0)
		sign(argv[2], argv[3], argv[4], argv[5], atoi(argv[6]), argc == 8 ? atoi(argv[7]) : 0);
	else if (argc == 4 && strcmp(argv[1], "stages") == 0)
		time_stages(argv[2], atoi(argv[3]));
	else
		jose_die("usage: core sign KEY ALG KID ISSUER N [KIDS] | core stages JWK ROUNDS");
	return 0;
}
