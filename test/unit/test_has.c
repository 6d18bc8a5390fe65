/*
 * test_has.c
 *		Clerk's worked examples of decoding, and what has() answers; the differential test has
 *		many more.
 */
#include "unit.h"

#include <stdlib.h>

/* The normal form of the claims in memory of just the size that was asked for. */
static const ClerkGrants *
decode(const char *members, void **memory)
{
	ClerkClaims claims;
	const ClerkGrants *grants;

	(void) clerk_claims_parse(unit_slice(unit_format("{%s}", members)), &claims);
	*memory = malloc(clerk_grants_size(&claims));
	grants = clerk_grants_decode(&claims, *memory);
	clerk_claims_free(&claims);
	return grants;
}

static bool
append_permission(void *context, ClerkSlice feature, ClerkSlice name)
{
	char *text = context;

	if (feature.data != NULL)
		sprintf(text + strlen(text), "org:%.*s:", (int) feature.len, feature.data);
	sprintf(text + strlen(text), "%.*s ", (int) name.len, name.data);
	return true;
}

static void
permissions(const char *members, const char *wanted)
{
	void *memory;
	const ClerkGrants *grants = decode(members, &memory);
	char text[4096] = "";

	clerk_grants_visit_permissions(grants, append_permission, text);
	unit_ok(strcmp(text, wanted) == 0, "has: %.100s: %s", members, wanted);
	free(memory);
}

/* Those of a v2 token with an organization. */
static void
v2(const char *fea, const char *per, const char *fpm, const char *wanted)
{
	permissions(
		unit_format("\"v\":2,\"fea\":\"%s\",\"o\":{\"id\":\"org_1\",\"per\":\"%s\","
					"\"fpm\":\"%s\"}",
					fea, per, fpm),
		wanted);
}

static void
asks(const char *members, const char *params, bool wanted)
{
	void *memory;
	const ClerkGrants *grants = decode(members, &memory);

	unit_ok(clerk_has_params(grants, unit_slice(params)) == wanted, "has: %.100s: %s: %s",
			members, params, wanted ? "yes" : "no");
	free(memory);
}

static void
test_permissions(void)
{
	char names[1024] = "permission_0";
	char all[2048] = "";

	v2("o:dashboard,o:teams", "manage,read", "3,2",
	   "org:dashboard:manage org:dashboard:read org:teams:read ");
	v2("o:impersonation,o:memberships", "read,manage", "1,3",
	   "org:impersonation:read org:memberships:read org:memberships:manage ");
	v2("o:billing,o:impersonation,o:magic_links,o:posts", "create,delete,manage,read",
	   "12,12,9,14",
	   "org:billing:manage org:billing:read org:impersonation:manage "
	   "org:impersonation:read "
	   "org:magic_links:create org:magic_links:read org:posts:delete org:posts:manage "
	   "org:posts:read ");
	v2("o:repositories,o:projects", "read,create,update,delete,revoke", "7,21",
	   "org:repositories:read org:repositories:create org:repositories:update "
	   "org:projects:read org:projects:update org:projects:revoke ");
	v2("o:a,o:b", "x,y", "1", "org:a:x ");
	v2("o:a,o:b", "x,y", "x,1", "org:b:x ");
	v2("o:a", "x,y", "0x3", "");
	v2("o:a", "x,y", "1,1", "org:a:x ");
	v2("u:c,o:a,uo:b", "x,y", "1,2", "org:a:x org:b:y ");
	v2(" o:a , o:b ", " x , y ", " 1 , 2 ", "org:a:x org:b:y ");
	v2("o:a", "x", "", "");
	for (int i = 1; i < 54; i++)
		sprintf(names + strlen(names), ",permission_%d", i);
	v2("o:a", names, "9007199254740993", "org:a:permission_0 org:a:permission_53 ");
	v2("o:a", names, "18014398509481984", "");
	for (int i = 0; i < 54; i++)
		sprintf(all + strlen(all), "org:a:permission_%d ", i);
	v2("o:a", names, "18014398509481983", all);
	v2("o:a", names, unit_format("%s18014398509481983", unit_repeat("0", 3000)), all);
	permissions("\"org_id\":\"org_1\",\"org_permissions\":[\"org:a:x\",7,\"b\"]",
				"org:a:x b ");
}

static void
test_organizations(void)
{
	const char *v1 = "\"org_id\":\"org_1\",\"org_role\":\"org:admin\","
					 "\"org_permissions\":[\"org:a:x\"]";
	const char *v2_token =
		"\"v\":2,\"fea\":\"o:a\",\"o\":{\"id\":\"org_1\",\"rol\":\"admin\","
		"\"per\":\"x\",\"fpm\":\"1\"}";
	const char *both[] = {v1, v2_token};

	for (size_t i = 0; i < lengthof(both); i++)
	{
		asks(both[i], "{\"role\":\"org:admin\"}", true);
		asks(both[i], "{\"role\":\"admin\"}", true);
		asks(both[i], "{\"role\":\"org:org:admin\"}", true);
		asks(both[i], "{\"role\":\"Admin\"}", false);
		asks(both[i], "{\"permission\":\"org:a:x\"}", true);
		asks(both[i], "{\"permission\":\"a:x\"}", true);
		asks(both[i], "{\"permission\":\"a:xy\"}", false);
		asks(both[i], "{\"permission\":\"a\"}", false);
		asks(both[i], "{\"role\":\"admin\",\"permission\":\"a:y\"}", false);
		asks(both[i], "{\"role\":\"admin\",\"permission\":\"a:x\"}", true);
		asks(both[i], "{}", false);
		asks(both[i], "{\"role\":null}", false);
		asks(both[i], "{\"role\":[\"admin\"]}", false);
		asks(both[i], "[]", false);
		asks(both[i], "null", false);
		asks(both[i], "", false);
	}
	asks(unit_format("%s,\"v\":3", v1), "{\"role\":\"admin\"}", true);
	asks(unit_format("%s,\"v\":\"2\"", v1), "{\"role\":\"admin\"}", true);
	asks("\"org_role\":\"org:admin\"", "{\"role\":\"admin\"}", false);
	asks("\"org_id\":5,\"org_role\":\"org:admin\"", "{\"role\":\"admin\"}", false);
	asks("\"v\":2,\"o\":{\"id\":\"org_1\",\"rol\":[\"admin\"]}", "{\"role\":\"admin\"}",
		 false);
	asks("\"v\":2,\"o\":{\"id\":\"org_1\",\"rol\":\"admin\",\"per\":1,\"fpm\":1}",
		 "{\"role\":\"admin\"}", false);
	asks("\"v\":2,\"fea\":\"a\",\"pla\":\"u:pro\",\"o\":{\"id\":\"org_1\"}",
		 "{\"plan\":\"pro\"}", false);
	asks("\"v\":2,\"fea\":\"a\",\"pla\":\"u:pro\"", "{\"plan\":\"pro\"}", true);
}

static void
test_billing(void)
{
	const char *claims = "\"fea\":\"o:a,u:b,uo:c,x:d,o:e:f\",\"pla\":\"u:pro,o:team\"";
	static const char *const yes[] = {
		"a", "b", "c", "o:a", "org:a", "organization:a", "u:b", "user:b", "o:c", "u:c"};
	static const char *const no[] = {"d",  "u:a", "o:b", "x:d", "O:a", "",
									 "o:", ":a",  "e",	 "A",	"e:f", "o:e:f"};

	for (size_t i = 0; i < lengthof(yes); i++)
		asks(claims, unit_format("{\"feature\":\"%s\"}", yes[i]), true);
	for (size_t i = 0; i < lengthof(no); i++)
		asks(claims, unit_format("{\"feature\":\"%s\"}", no[i]), false);
	asks(claims, "{\"plan\":\"pro\"}", true);
	asks(claims, "{\"plan\":\"o:pro\"}", false);
	asks(claims, "{\"plan\":\"team\",\"feature\":\"a\"}", true);
	asks(claims, "{\"plan\":\"team\",\"feature\":\"d\"}", false);
	asks(claims, "{\"plan\":\"team\",\"role\":\"admin\"}", false);
	asks("\"fea\":\"o:a,b\"", "{\"feature\":\"a\"}", false);
	asks("\"pla\":[\"o:a\"]", "{\"plan\":\"a\"}", false);
	asks("\"fea\":\"\"", "{\"feature\":\"\"}", false);
}

static void
reverified(const char *fva, const char *config, bool wanted)
{
	asks(unit_format("\"fva\":%s", fva), unit_format("{\"reverification\":%s}", config),
		 wanted);
}

static void
test_reverification(void)
{
	const char *first = "{\"level\":\"first_factor\",\"afterMinutes\":10}";
	const char *second = "{\"level\":\"second_factor\",\"afterMinutes\":10}";
	const char *multi = "{\"level\":\"multi_factor\",\"afterMinutes\":10}";

	reverified("[9,20]", first, true);
	reverified("[10,0]", first, false);
	reverified("[9.99,0]", first, true);
	reverified("[-1,0]", first, false);
	reverified("[20,9]", second, true);
	reverified("[9,20]", second, false);
	reverified("[9,-1]", second, true);
	reverified("[20,-1]", second, false);
	reverified("[-1,9]", second, true);
	reverified("[9,9]", multi, true);
	reverified("[9,20]", multi, false);
	reverified("[20,9]", multi, false);
	reverified("[9,-1]", multi, true);
	reverified("[-1,9]", multi, false);
	reverified("[-1,-1]", first, false);
	reverified("[9,9]", "\"strict_mfa\"", true);
	reverified("[20,9]", "\"strict_mfa\"", false);
	reverified("[20,9]", "\"strict\"", true);
	reverified("[20,59]", "\"moderate\"", true);
	reverified("[20,60]", "\"moderate\"", false);
	reverified("[20,1439]", "\"lax\"", true);
	reverified("[20,1440]", "\"lax\"", false);
	reverified("[0,0]", "\"other\"", false);
	reverified("[0,0]", "{\"level\":\"other\",\"afterMinutes\":10}", false);
	reverified("[0,0]", "{\"level\":\"first_factor\",\"afterMinutes\":0}", false);
	reverified("[0,0]", "{\"level\":\"first_factor\",\"afterMinutes\":\"10\"}", false);
	reverified("[0,0]", "{\"level\":\"first_factor\"}", false);
	reverified("[0,null]", first, false);
	reverified("[0,-0.5]", first, false);
	reverified("[0]", first, false);
	reverified("[0,0,0]", first, false);
	reverified("[\"0\",0]", first, false);
	reverified("null", first, false);
	asks("", "{\"reverification\":\"lax\"}", false);
}

int
test_has(void)
{
	const struct CMUnitTest tests[] = {
		unit_case(test_permissions),
		unit_case(test_organizations),
		unit_case(test_billing),
		unit_case(test_reverification),
	};

	return cmocka_run_group_tests_name("has", tests, NULL, NULL);
}
