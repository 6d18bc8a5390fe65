/*
 * differential.c
 *		The pairs of pairs.mjs, put to grants.c and has.c.
 *
 * usage: differential < PAIRS
 *
 * Prints a line of TAP for all tokens together, with the counts, and one for each answer
 * that differs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "clerk_core.h"

/* Some time in the life of every token. */
#define NOW INT64_C(2000000000000000)

static const ClerkGrants *grants; /* NULL: nobody is signed in */
static int n_tokens, n_true, n_false, n_readers, n_listed, n_wrong;

static ClerkSlice
slice(const char *text)
{
	return (ClerkSlice){text, strlen(text)};
}

static void
read_token(const char *payload)
{
	static const ClerkPolicy policy = {.accept_templates = true};
	static void *memory = NULL;
	ClerkClaims claims;
	ClerkStatus status = clerk_claims_parse(slice(payload), &claims);

	if (status == CLERK_OK)
		status = clerk_claims_check(&claims, &policy, NOW);
	free(memory);
	memory = NULL;
	grants = NULL;
	if (status == CLERK_OK)
	{
		memory = malloc(clerk_grants_size(&claims));
		grants = clerk_grants_decode(&claims, memory);
	}
	clerk_claims_free(&claims);
	n_tokens++;
}

static bool
append_permission(void *array, ClerkSlice feature, ClerkSlice name)
{
	json_t *permission = feature.data == NULL
							 ? json_stringn(name.data, name.len)
							 : json_sprintf("org:%.*s:%.*s", (int) feature.len,
											feature.data, (int) name.len, name.data);

	json_array_append_new(array, permission);
	return true;
}

static json_t *
string_or_null(const char *text)
{
	return text != NULL ? json_string(text) : json_null();
}

static json_t *
read_grants(const char *name)
{
	json_t *permissions;

	if (grants == NULL)
		return json_null();
	if (strcmp(name, "org_id") == 0)
		return string_or_null(grants->org_id);
	if (strcmp(name, "org_slug") == 0)
		return string_or_null(grants->org_slug);
	if (strcmp(name, "org_role") == 0)
		return string_or_null(grants->org_role);
	if (!grants->has_permissions)
		return json_null();
	permissions = json_array();
	clerk_grants_visit_permissions(grants, append_permission, permissions);
	return permissions;
}

static void
complain(const char *question, const char *wanted)
{
	n_wrong++;
	printf("not ok - token %d: %s should be %s\n", n_tokens, question, wanted);
}

static void
compare_reader(const char *name, const char *wanted)
{
	json_t *expected = json_loads(wanted, JSON_DECODE_ANY, NULL);
	json_t *got = read_grants(name);

	if (!json_equal(expected, got))
		complain(name, wanted);
	json_decref(expected);
	json_decref(got);
	n_readers++;
}

static void
compare_answer(const char *params, const char *wanted)
{
	bool got = grants != NULL && clerk_has_params(grants, slice(params));

	if (got != (strcmp(wanted, "true") == 0))
		complain(params, wanted);
	if (got)
		n_true++;
	else
		n_false++;
}

int
main(void)
{
	char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, stdin) > 0)
	{
		char *rest = line;
		const char *kind;
		const char *first;
		const char *second;

		line[strcspn(line, "\n")] = '\0';
		kind = strsep(&rest, "\t");
		first = strsep(&rest, "\t");
		second = strsep(&rest, "\t");
		if (strcmp(kind, "token") == 0)
			read_token(second);
		else if (strcmp(kind, "reader") == 0)
			compare_reader(first, second);
		else if (strcmp(kind, "has") == 0)
			compare_answer(first, second);
		n_listed += rest != NULL && strcmp(rest, "listed") == 0;
	}
	free(line);
	printf(
		"%sok - has.c: %d tokens, %d questions answered yes and %d no, %d values read, "
		"%d of them listed differences, %d wrong\n",
		n_wrong > 0 || n_true == 0 ? "not " : "", n_tokens, n_true, n_false, n_readers,
		n_listed, n_wrong);
	return n_wrong > 0 || n_true == 0;
}
