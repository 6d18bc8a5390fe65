/*
 * conformance.c
 *		Other projects' tokens and keys, put to the pure files.
 *
 * usage: conformance VECTORS_DIR DIFFERENCES
 *
 * A row names a token, a JWKS and what is right: valid, invalid, or acceptable (policy).
 * What is asked depends on where it stands:
 *
 * - jws_cases.jsonl, layer jws: does some key of the set, which the token may mean, verify
 *   the token (jws.c, jwk.c, jwa.c)?  Keys are chosen by kid; a token without one may mean
 *   any.  A set with a key that load_jwks() would refuse has no keys.
 * - jws_cases.jsonl, layer jwt: the same, and then every check of claims.c, at the row's
 *   time, without leeway, with the row's audience and issuer.
 * - webhook_cases.jsonl and webhook_vectors.json: does svix.c accept the delivery?
 * - jsonsuite_cases.jsonl: these have no "sub", which claims.c wants, so the question is
 *   only whether the signature verifies and clerk_claims_parse() accepts the payload.
 *
 * Every invalid row must be refused, and every valid one accepted but for HS* and oct keys,
 * which are refused by policy and counted apart.  Any other difference must be in the file
 * DIFFERENCES (id, tab, reason), and whatever is in it must still differ.  Where the reason
 * is that a JWK does not say its algorithm, so that it is for RS256 only, the row is judged
 * once more with a JWK that does, and must then be accepted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "clerk_core.h"

typedef struct Counts
{
	int accepted_valid, refused_invalid, refused_by_policy;
	int acceptable_accepted, acceptable_refused, listed, wrong;
} Counts;

static json_t *differences;

static ClerkSlice
slice(const char *text)
{
	return (ClerkSlice){text, strlen(text)};
}

/* May the token mean this key? */
static bool
is_candidate(const ClerkJws *jws, const json_t *key)
{
	const char *kid = json_string_value(json_object_get(key, "kid"));

	return jws->kid == NULL || kid == NULL || strcmp(jws->kid, kid) == 0;
}

/* The set's keys, or NULL where load_jwks() would refuse it. */
static json_t *
usable_keys(const json_t *set)
{
	json_t *usable = json_array();
	json_t *key;
	size_t i;

	json_array_foreach(json_object_get(set, "keys"), i, key)
	{
		char *text = json_dumps(key, JSON_COMPACT | JSON_ENCODE_ANY);
		ClerkJwk jwk;
		ClerkStatus status = clerk_jwk_parse(slice(text), &jwk);
		bool usable_alg = status == CLERK_OK && clerk_jwa_of_key(&jwk) != NULL;

		clerk_jwk_free(&jwk);
		free(text);
		if (status == CLERK_OK && usable_alg)
			json_array_append(usable, key);
		else if (status != CLERK_OK && !clerk_status_ignores_jwk(status))
		{
			json_decref(usable);
			return NULL;
		}
	}
	return usable;
}

static ClerkStatus
verify_with(const ClerkJws *jws, const json_t *key, bool with_alg)
{
	char *text = json_dumps(key, JSON_COMPACT);
	ClerkJwk jwk;
	ClerkStatus status = clerk_jwk_parse(slice(text), &jwk);

	if (with_alg && jwk.alg[0] == '\0')
		snprintf(jwk.alg, sizeof(jwk.alg), "%s", jws->alg);
	if (status == CLERK_OK)
		status = clerk_jwa_check(&jwk, jws);
	if (status == CLERK_OK)
		status = clerk_jwa_verify(&jwk, jws);
	clerk_jwk_free(&jwk);
	free(text);
	return status;
}

static ClerkStatus
verify(const ClerkJws *jws, const json_t *set, bool with_alg)
{
	ClerkStatus status = CLERK_KEY_UNKNOWN;
	json_t *keys = usable_keys(set);
	json_t *key;
	size_t i;

	json_array_foreach(keys, i, key)
	{
		if (!is_candidate(jws, key))
			continue;
		status = verify_with(jws, key, with_alg);
		if (status == CLERK_OK)
			break;
	}
	json_decref(keys);
	return status;
}

static ClerkStatus
check_claims(const ClerkJws *jws, ClerkClaims *claims, const json_t *row)
{
	const json_t *opts = json_object_get(row, "opts");
	const char *audience = json_string_value(json_object_get(opts, "aud"));
	const char *issuer = json_string_value(json_object_get(opts, "iss"));
	ClerkPolicy policy = {.accept_templates = true,
						  .audiences = audience ? &audience : NULL,
						  .n_audiences = audience ? 1 : 0};
	double now = json_number_value(json_object_get(row, "now"));
	ClerkStatus status = clerk_claims_check_type(jws, claims, &policy);

	if (status == CLERK_OK && issuer != NULL &&
		(claims->issuer == NULL || strcmp(claims->issuer, issuer) != 0))
		status = CLERK_ISSUER_UNKNOWN;
	if (status == CLERK_OK)
		status = clerk_claims_check(claims, &policy, (int64_t) (now * 1e6));
	return status;
}

static ClerkStatus
judge(const json_t *row, const json_t *set, bool suite, bool with_alg)
{
	const char *layer = json_string_value(json_object_get(row, "layer"));
	const json_t *token = json_object_get(row, "token");
	ClerkJws jws;
	ClerkClaims claims = {0};
	ClerkStatus status;

	if (!json_is_string(token))
		return CLERK_TOKEN_NOT_COMPACT;
	status = clerk_jws_parse(
		(ClerkSlice){json_string_value(token), json_string_length(token)}, &jws);
	if (status == CLERK_OK)
		status = verify(&jws, set, with_alg);
	if (status == CLERK_OK && strcmp(layer, "jwt") == 0)
	{
		status = clerk_claims_parse(jws.payload, &claims);
		if (status == CLERK_OK && !suite)
			status = check_claims(&jws, &claims, row);
	}
	clerk_claims_free(&claims);
	clerk_jws_free(&jws);
	return status;
}

/* The row's JWKS; text that is no clean JSON is no JWKS. */
static json_t *
jwks_of(const json_t *row)
{
	const json_t *raw = json_object_get(row, "jwks_raw");
	ClerkJson json;

	if (raw == NULL)
		return json_incref(json_object_get(row, "jwks"));
	if (!clerk_json_object((ClerkSlice){json_string_value(raw), json_string_length(raw)},
						   &json))
		return NULL;
	return json.root;
}

/* Does the row need a symmetric key, which we refuse? */
static bool
is_symmetric(const json_t *row)
{
	const char *alg = json_string_value(json_object_get(row, "alg"));

	return alg != NULL && strncmp(alg, "HS", 2) == 0;
}

/* Is the answer what the row expects?  Counts it if so. */
static bool
is_expected(const json_t *row, bool accepted, Counts *counts)
{
	const char *expect = json_string_value(json_object_get(row, "expect"));
	int *counter = NULL;

	if (strcmp(expect, "acceptable") == 0)
		counter = accepted ? &counts->acceptable_accepted : &counts->acceptable_refused;
	else if (strcmp(expect, "invalid") == 0)
		counter = accepted ? NULL : &counts->refused_invalid;
	else if (accepted)
		counter = &counts->accepted_valid;
	else if (is_symmetric(row))
		counter = &counts->refused_by_policy;
	if (counter != NULL)
		++*counter;
	return counter != NULL;
}

static void
run_row(const json_t *row, bool suite, Counts *counts)
{
	const char *id = json_string_value(json_object_get(row, "id"));
	json_t *set = jwks_of(row);
	ClerkStatus status = judge(row, set, suite, false);
	bool listed = json_object_del(differences, id) == 0;
	bool good = is_expected(row, status == CLERK_OK, counts) != listed;

	if (good && listed && status == CLERK_ALGORITHM_NOT_THE_KEYS)
		good = judge(row, set, suite, true) == CLERK_OK;
	counts->listed += listed && good;
	counts->wrong += !good;
	printf("%sok - %s: %s\n", good ? "" : "not ", id,
		   clerk_status_reason(status)->detail);
	json_decref(set);
}

/* A header by its name behind "svix-" or "webhook-", whatever the case. */
static ClerkSlice
webhook_header(const json_t *headers, const char *name)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *) headers, key, value)
	{
		const char *dash = strchr(key, '-');

		if (dash != NULL && strcasecmp(dash + 1, name) == 0 && json_is_string(value))
			return slice(json_string_value(value));
	}
	return slice("");
}

static bool
accepts_webhook(const json_t *row, const json_t *headers)
{
	const json_t *payload = json_object_get(row, "payload");
	const char *secret = json_string_value(json_object_get(row, "secret"));
	double now = json_number_value(json_object_get(row, "now"));
	ClerkWebhook webhook = {webhook_header(headers, "id"),
							webhook_header(headers, "timestamp"),
							webhook_header(headers, "signature"),
							{json_string_value(payload), json_string_length(payload)}};

	return clerk_svix_check(&webhook, (int64_t) (now * 1e6)) == CLERK_OK &&
		   clerk_svix_verify(&webhook, slice(secret != NULL ? secret : ""));
}

static void
run_webhook(const json_t *row, const char *id, bool valid, bool acceptable,
			Counts *counts)
{
	bool accepted = accepts_webhook(row, json_object_get(row, "headers"));
	bool good = acceptable || accepted == valid;

	if (acceptable)
		++*(accepted ? &counts->acceptable_accepted : &counts->acceptable_refused);
	else if (good)
		++*(accepted ? &counts->accepted_valid : &counts->refused_invalid);
	counts->wrong += !good;
	printf("%sok - webhook %s\n", good ? "" : "not ", id);
}

/* A published signature, at its own time; a payload may be "'a' repeated N times". */
static void
run_known_signature(json_t *row, Counts *counts)
{
	const char *generator = json_string_value(json_object_get(row, "payload_generator"));
	json_int_t seconds = json_integer_value(json_object_get(row, "timestamp"));
	char text[32];
	int n;

	snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, seconds);
	if (generator != NULL && sscanf(generator, "'a' repeated %d", &n) == 1)
	{
		char *payload = malloc((size_t) n);

		memset(payload, 'a', (size_t) n);
		json_object_set_new(row, "payload", json_stringn(payload, (size_t) n));
		free(payload);
	}
	json_object_set_new(row, "now", json_integer(seconds));
	json_object_set_new(row, "headers",
						json_pack("{sO ss sO}", "svix-id", json_object_get(row, "id"),
								  "svix-timestamp", text, "svix-signature",
								  json_object_get(row, "expected_signature")));
	run_webhook(row, json_string_value(json_object_get(row, "name")), true, false,
				counts);
}

static void
run_webhook_case(const json_t *row, Counts *counts)
{
	const char *expect = json_string_value(json_object_get(row, "expect"));

	run_webhook(row, json_string_value(json_object_get(row, "id")),
				strcmp(expect, "valid") == 0, strcmp(expect, "acceptable") == 0, counts);
}

/* Returns how many of webhook_vectors.json were wrong. */
static int
run_webhook_vectors(const char *dir)
{
	Counts counts = {0};
	char path[4096];
	json_t *vectors, *row;
	size_t i;

	snprintf(path, sizeof(path), "%s/webhook_vectors.json", dir);
	vectors = json_load_file(path, JSON_ALLOW_NUL, NULL);
	json_array_foreach(json_object_get(vectors, "verify_cases"), i, row)
	{
		const char *expect = json_string_value(json_object_get(row, "expect"));

		run_webhook(row, json_string_value(json_object_get(row, "name")),
					strcmp(expect, "ok") == 0, strcmp(expect, "ok-js-quirk") == 0,
					&counts);
	}
	json_array_foreach(json_object_get(vectors, "static_sign_vectors"), i, row)
		run_known_signature(row, &counts);
	printf("# webhook_vectors.json: accepted valid %d, refused invalid %d, wrong %d\n",
		   counts.accepted_valid, counts.refused_invalid, counts.wrong);
	json_decref(vectors);
	return counts.wrong;
}

typedef enum Suite
{
	SUITE_JWS,
	SUITE_JSON,
	SUITE_WEBHOOK
} Suite;

/* Returns how many rows were wrong. */
static int
run_file(const char *dir, const char *name, Suite suite)
{
	Counts counts = {0};
	char path[4096];
	char *line = NULL;
	size_t size = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "r");
	if (file == NULL)
	{
		perror(path);
		exit(1);
	}
	while (getline(&line, &size, file) > 0)
	{
		json_t *row = json_loads(line, JSON_ALLOW_NUL, NULL);

		if (suite == SUITE_WEBHOOK)
			run_webhook_case(row, &counts);
		else
			run_row(row, suite == SUITE_JSON, &counts);
		json_decref(row);
	}
	free(line);
	fclose(file);
	printf(
		"# %s: accepted valid %d, refused invalid %d, refused by policy (HS*, oct) %d, "
		"policy rows %d accepted and %d refused, listed differences %d, wrong %d\n",
		name, counts.accepted_valid, counts.refused_invalid, counts.refused_by_policy,
		counts.acceptable_accepted, counts.acceptable_refused, counts.listed,
		counts.wrong);
	return counts.wrong;
}

static void
read_differences(const char *path)
{
	char *line = NULL;
	size_t size = 0;
	FILE *file = fopen(path, "r");

	differences = json_object();
	while (file != NULL && getline(&line, &size, file) > 0)
	{
		char *tab = strchr(line, '\t');

		if (line[0] != '#' && tab != NULL)
		{
			*tab = '\0';
			json_object_set_new(differences, line, json_true());
		}
	}
	free(line);
	if (file != NULL)
		fclose(file);
}

int
main(int argc, char **argv)
{
	const char *id;
	json_t *value;
	int wrong;

	if (argc != 3)
	{
		fprintf(stderr, "usage: conformance VECTORS_DIR DIFFERENCES\n");
		return 1;
	}
	read_differences(argv[2]);
	wrong = run_file(argv[1], "jws_cases.jsonl", SUITE_JWS);
	wrong += run_file(argv[1], "jsonsuite_cases.jsonl", SUITE_JSON);
	wrong += run_file(argv[1], "webhook_cases.jsonl", SUITE_WEBHOOK);
	wrong += run_webhook_vectors(argv[1]);
	json_object_foreach(differences, id, value)
		printf("not ok - %s is listed as a difference, and there is no such row\n", id);
	return wrong > 0 || json_object_size(differences) > 0;
}
