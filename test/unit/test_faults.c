/*
 * test_faults.c
 *		Memory that runs out: whichever allocation fails, in OpenSSL, in jansson or in our own
 *		code, nothing crashes or leaks, no bad token or webhook is accepted, and the next answer
 *		is right.
 *
 * Our own malloc() comes here by the linker (--wrap=malloc, see Makefile).
 */
#include "unit.h"

#include <stdlib.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/x509.h>

/* The allocation that fails; those before it are counted down.  0: none does. */
static long countdown = 0;

extern void *__real_malloc(size_t size);
extern void *__wrap_malloc(size_t size);

static bool
is_out_of_memory(void)
{
	return countdown > 0 && --countdown == 0;
}

void *
__wrap_malloc(size_t size)
{
	return is_out_of_memory() ? NULL : __real_malloc(size);
}

static void *
openssl_malloc(size_t size, const char *file, int line)
{
	(void) file;
	(void) line;
	return is_out_of_memory() ? NULL : __real_malloc(size);
}

static void *
openssl_realloc(void *pointer, size_t size, const char *file, int line)
{
	(void) file;
	(void) line;
	return is_out_of_memory() ? NULL : realloc(pointer, size);
}

static void
openssl_free(void *pointer, const char *file, int line)
{
	(void) file;
	(void) line;
	free(pointer);
}

/* To be called before anything else calls OpenSSL. */
void
unit_own_memory(void)
{
	if (CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) != 1)
		abort();
	json_set_alloc_funcs(__wrap_malloc, free);
}

/* One thing that is done with some input, and whether it came out as true. */
typedef struct Work
{
	const char *name;
	bool (*run)(const struct Work *work);
	ClerkSlice key;
	ClerkSlice input;
} Work;

static bool
check_claims(const ClerkJws *jws)
{
	static const ClerkPolicy policy = {.accept_templates = true};
	_Alignas(8) char memory[4096];
	const ClerkGrants *grants;
	ClerkClaims claims;
	bool good = clerk_claims_parse(jws->payload, &claims) == CLERK_OK &&
				clerk_claims_check_type(jws, &claims, &policy) == CLERK_OK &&
				clerk_claims_check(&claims, &policy, 0) == CLERK_OK &&
				clerk_grants_size(&claims) <= sizeof(memory);

	if (good)
	{
		const char *params = "{\"role\":\"admin\",\"permission\":\"org:a:read\"}";

		grants = clerk_grants_decode(&claims, memory);
		good = clerk_has_params(grants, (ClerkSlice){params, strlen(params)});
	}
	clerk_claims_free(&claims);
	return good;
}

static bool
verify_token(const Work *work)
{
	unsigned char digest[CLERK_DIGEST_LENGTH];
	ClerkJws jws;
	ClerkJwk jwk;
	bool good = clerk_jwk_parse(work->key, &jwk) == CLERK_OK &&
				clerk_jwa_sha256(work->input, digest);

	good = clerk_jws_parse(work->input, &jws) == CLERK_OK && good;
	good = good && clerk_jwa_check(&jwk, &jws) == CLERK_OK &&
		   clerk_jwa_verify(&jwk, &jws) == CLERK_OK && check_claims(&jws);
	clerk_jws_free(&jws);
	clerk_jwk_free(&jwk);
	return good;
}

static bool
verify_webhook(const Work *work)
{
	const ClerkWebhook webhook = {{"msg_p5jXN8AQM9LWM0D4loKWxJek", 28},
								  {"1614265330", 10},
								  {"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", 47},
								  work->input};

	return clerk_svix_verify(&webhook, work->key);
}

static bool
read_spki(const Work *work)
{
	char json[CLERK_MAX_JWK];

	return clerk_spki_to_jwk(work->input, json) == CLERK_OK &&
		   strlen(json) == work->key.len &&
		   memcmp(json, work->key.data, work->key.len) == 0;
}

static bool
read_request(const Work *work)
{
	ClerkSlice value = {"", 0};
	ClerkJson json;

	(void) clerk_json_object(work->input, &json);
	(void) clerk_request_header(&json, "authorization", &value);
	value = value.len == work->key.len ? value : (ClerkSlice){"", 0};
	clerk_json_free(&json);
	return value.len > 0;
}

/*
 * Fails each allocation in turn until there is none left to fail.  What is good may come out
 * as bad, but never the other way round.
 */
static void
starve(const Work *work, bool wanted)
{
	bool right = work->run(work) == wanted;
	bool accepted = false;
	bool errors = false;
	long n = 0;

	while (right && (n == 0 || countdown == 0))
	{
		countdown = ++n;
		accepted = accepted || (work->run(work) && !wanted);
		if (countdown > 0)
			break;
		errors = errors || ERR_peek_error() != 0;
		right = work->run(work) == wanted;
	}
	countdown = 0;
	unit_ok(right, "faults: %s is right after each of %ld failures", work->name, n - 1);
	unit_ok(n > 3 && !accepted, "faults: %s is not accepted for lack of memory",
			work->name);
	unit_ok(!errors, "faults: %s leaves no error behind", work->name);
}

static void
starve_token(const char *alg)
{
	const char *payload =
		"{\"sub\":\"user_1\",\"exp\":4102444800,\"v\":2,\"fea\":\"o:a\","
		"\"o\":{\"id\":\"org_1\",\"rol\":\"admin\",\"per\":\"read\",\"fpm\":\"1\"}}";
	char *header = unit_format("{\"alg\":\"%s\"}", alg);
	char *token = jose_token(unit_key(alg), alg, header, payload, strlen(payload));
	Work work = {unit_format("a token of %s", alg), verify_token, unit_jwk(alg, true),
				 unit_slice(token)};

	starve(&work, true);
	token[strlen(token) - 10] ^= 1;
	work.name = unit_format("a forged token of %s", alg);
	work.input = unit_slice(token);
	starve(&work, false);
	free(token);
}

static void
starve_spki(const char *alg)
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(unit_key(alg), &der);
	Work work = {unit_format("a key of %s in DER", alg),
				 read_spki,
				 {NULL, 0},
				 unit_bytes(der, (size_t) len)};
	char json[CLERK_MAX_JWK];

	(void) clerk_spki_to_jwk(work.input, json);
	work.key = unit_slice(json);
	starve(&work, true);
	OPENSSL_free(der);
}

static void
test_starved(void)
{
	static const char *const algs[] = {"RS256", "PS256", "ES256", "ES512", "EdDSA"};
	const char *secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
	Work webhook = {"a webhook", verify_webhook, unit_slice(secret),
					unit_slice("{\"test\": 2432232314}")};
	Work request = {"a request", read_request, unit_slice("Bearer a.b.c"),
					unit_slice("{\"a\":1e400,\"authorization\":[\"Bearer a.b.c\"]}")};

	for (size_t i = 0; i < lengthof(algs); i++)
	{
		starve_token(algs[i]);
		starve_spki(algs[i]);
	}
	starve(&webhook, true);
	webhook.name = "a forged webhook";
	webhook.input = unit_slice("{\"test\": 2432232315}");
	starve(&webhook, false);
	starve(&request, true);
}

int
test_faults(void)
{
	const struct CMUnitTest tests[] = {
		unit_case(test_starved),
	};

	return cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}
