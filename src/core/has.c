/*
 * has.c
 *		The questions of Clerk's has(), about what a token grants.
 *
 * The rules are those of @clerk/shared (authorization, 4.41.0).  What is malformed is met by
 * nobody.  Called by accessors.c.
 */
#include "clerk_core.h"

#include <jansson.h>

static bool
equals(ClerkSlice slice, const char *text)
{
	return slice.len == strlen(text) && memcmp(slice.data, text, slice.len) == 0;
}

/* "org:" is optional, any number of times. */
static ClerkSlice
without_org(ClerkSlice text)
{
	while (text.len >= 4 && memcmp(text.data, "org:", 4) == 0)
	{
		text.data += 4;
		text.len -= 4;
	}
	return text;
}

bool
clerk_has_role(const ClerkGrants *grants, ClerkSlice role)
{
	return grants->org_id != NULL && grants->org_role != NULL &&
		   clerk_slice_equal(without_org(clerk_slice(grants->org_role)), without_org(role));
}

typedef struct WantedPermission
{
	ClerkSlice rest; /* of org:... */
	bool found;
} WantedPermission;

static bool
compare_permission(void *context, ClerkSlice feature, ClerkSlice name)
{
	WantedPermission *wanted = context;
	ClerkSlice rest = wanted->rest;

	if (feature.data == NULL)
		wanted->found = name.len == rest.len + 4 && memcmp(name.data, "org:", 4) == 0 &&
						memcmp(name.data + 4, rest.data, rest.len) == 0;
	else
		wanted->found = rest.len == feature.len + 1 + name.len &&
						memcmp(rest.data, feature.data, feature.len) == 0 &&
						rest.data[feature.len] == ':' &&
						memcmp(rest.data + feature.len + 1, name.data, name.len) == 0;
	return !wanted->found;
}

bool
clerk_has_permission(const ClerkGrants *grants, ClerkSlice permission)
{
	WantedPermission wanted = {.rest = without_org(permission)};

	if (grants->org_id != NULL)
		clerk_grants_visit_permissions(grants, compare_permission, &wanted);
	return wanted.found;
}

/* [scope:]slug; without a scope, anybody's will do.  What follows a second colon is lost. */
static bool
is_entitled(const ClerkEntitlements *list, ClerkSlice wanted)
{
	const char *colon = memchr(wanted.data, ':', wanted.len);
	ClerkSlice scope = wanted;
	ClerkSlice slug = wanted;
	bool org = true;
	bool user = true;

	if (colon != NULL)
	{
		const char *end = wanted.data + wanted.len;
		const char *second = memchr(colon + 1, ':', (size_t) (end - colon - 1));

		scope.len = (size_t) (colon - wanted.data);
		slug = (ClerkSlice){colon + 1, (size_t) ((second ? second : end) - colon - 1)};
		if (slug.len == 0)
			slug = scope;
		org = equals(scope, "o") || equals(scope, "org") || equals(scope, "organization");
		user = equals(scope, "u") || equals(scope, "user");
	}
	for (size_t i = 0; list->readable && i < list->n; i++)
	{
		const ClerkEntitlement *item = &list->items[i];

		if (((org && item->org) || (user && item->user)) && clerk_slice_equal(item->slug, slug))
			return true;
	}
	return false;
}

bool
clerk_has_feature(const ClerkGrants *grants, ClerkSlice feature)
{
	return !grants->unreadable && is_entitled(&grants->features, feature);
}

bool
clerk_has_plan(const ClerkGrants *grants, ClerkSlice plan)
{
	return !grants->unreadable && is_entitled(&grants->plans, plan);
}

/*
 * Were the factors of this level verified less than so many minutes before the token was
 * issued?  A second factor that the user does not have is not asked for.
 */
bool
clerk_has_reverified(const ClerkGrants *grants, ClerkSlice level, double minutes)
{
	double first = grants->factor_age[0];
	double second = grants->factor_age[1];
	bool first_is_fresh = first != -1 && minutes > first;
	bool second_is_fresh = second != -1 && minutes > second;

	if (grants->unreadable || !grants->has_factor_ages || !(minutes > 0))
		return false;
	if (equals(level, "first_factor"))
		return first_is_fresh;
	if (equals(level, "second_factor"))
		return second == -1 ? first_is_fresh : second_is_fresh;
	if (equals(level, "multi_factor"))
		return first_is_fresh && (second == -1 || second_is_fresh);
	return false;
}

bool
clerk_has_reverified_preset(const ClerkGrants *grants, ClerkSlice preset)
{
	static const struct
	{
		const char *name;
		const char *level;
		double minutes;
	} presets[] = {{"strict_mfa", "multi_factor", 10},
				   {"strict", "second_factor", 10},
				   {"moderate", "second_factor", 60},
				   {"lax", "second_factor", 1440}};

	for (size_t i = 0; i < sizeof(presets) / sizeof(presets[0]); i++)
	{
		if (equals(preset, presets[i].name))
			return clerk_has_reverified(grants, clerk_slice(presets[i].level),
										presets[i].minutes);
	}
	return false;
}

static ClerkSlice
string_slice(const json_t *string)
{
	return (ClerkSlice){json_string_value(string), json_string_length(string)};
}

/* A preset, or {"level": ..., "afterMinutes": ...} */
static bool
meets_reverification(const ClerkGrants *grants, const json_t *config)
{
	const json_t *level = json_object_get(config, "level");
	const json_t *minutes = json_object_get(config, "afterMinutes");

	if (json_is_string(config))
		return clerk_has_reverified_preset(grants, string_slice(config));
	return json_is_string(level) && json_is_real(minutes) &&
		   clerk_has_reverified(grants, string_slice(level), json_real_value(minutes));
}

/* What has() may be asked; each of them that is asked must be met. */
static bool
meets_all(const ClerkGrants *grants, const json_t *params)
{
	static const struct
	{
		const char *name;
		bool (*has)(const ClerkGrants *grants, ClerkSlice wanted);
	} questions[] = {{"role", clerk_has_role},
					 {"permission", clerk_has_permission},
					 {"feature", clerk_has_feature},
					 {"plan", clerk_has_plan}};
	const json_t *reverification = json_object_get(params, "reverification");
	bool asked = reverification != NULL;

	if (asked && !meets_reverification(grants, reverification))
		return false;
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
	{
		const json_t *wanted = json_object_get(params, questions[i].name);

		if (wanted == NULL)
			continue;
		if (!json_is_string(wanted) || !questions[i].has(grants, string_slice(wanted)))
			return false;
		asked = true;
	}
	return asked;
}

/*
 * has(params), with params a JSON object.  At least one thing must be asked, and all that
 * is asked must be met; params that are malformed are met by nobody.
 */
bool
clerk_has_params(const ClerkGrants *grants, ClerkSlice params)
{
	ClerkJson json;
	bool met;

	if (!clerk_json_object(params, &json))
		return false;
	met = meets_all(grants, json.root);
	clerk_json_free(&json);
	return met;
}
