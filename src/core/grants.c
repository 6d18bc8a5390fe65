/*
 * grants.c
 *		Clerk's organization and billing claims, of both versions of the session token, in one
 *		normal form.
 *
 * The rules are those of @clerk/shared (jwtPayloadParser, 4.41.0): "v" = 2 means the claims o,
 * fea, pla and fva, everything else means org_id, org_role, org_slug and org_permissions.  A
 * mask of o.fpm belongs to the feature at its place among those of the organization; other
 * SDKs of Clerk count the user's features too, which only differs where a "u:" feature comes
 * before an "o:" one, and Clerk mixes them nowhere.
 *
 * What is malformed grants nothing.  Where Clerk's own parser throws, nothing at all is
 * granted.  Where JavaScript would make a string of something else, we do not: an
 * organization whose id, or a role which is no string is none.  A number beyond 10^308 is
 * no number (json.c).
 *
 * Called by session.c, which has the claims decoded once per token, has.c and accessors.c.
 */
#include "clerk_core.h"

#include <jansson.h>

/* Memory that the caller has given, from which pieces are taken one after the other. */
typedef struct Arena
{
	char *next;
} Arena;

#define ALIGNMENT 8
#define ALIGN(size) (((size) + ALIGNMENT - 1) & ~(size_t) (ALIGNMENT - 1))

/* Nine decimal digits fit a word. */
#define DIGITS_PER_WORD 9

static void *
take(Arena *arena, size_t size)
{
	void *piece = arena->next;

	arena->next += ALIGN(size);
	return piece;
}

/* prefix and text in one, terminated by a NUL */
static const char *
take_string(Arena *arena, const char *prefix, const char *text)
{
	size_t prefix_len = strlen(prefix);
	size_t len = strlen(text);
	char *copy = take(arena, prefix_len + len + 1);

	memcpy(copy, prefix, prefix_len);
	memcpy(copy + prefix_len, text, len + 1);
	return copy;
}

/* As JavaScript sees it. */
static bool
is_truthy(const json_t *value)
{
	if (json_is_string(value))
		return json_string_length(value) > 0;
	if (json_is_real(value))
		return json_real_value(value) != 0;
	return value != NULL && !json_is_null(value) && !json_is_false(value);
}

/* A string that is not empty, or NULL. */
static const char *
text_member(const json_t *object, const char *name)
{
	const json_t *member = json_object_get(object, name);

	return json_is_string(member) && is_truthy(member) ? json_string_value(member) : NULL;
}

/* How many bytes at the start are one character that String.prototype.trim() removes. */
static size_t
space_length(const char *text, size_t len)
{
	static const char *const wide[] = {"\xc2\xa0",	   "\xe1\x9a\x80", "\xe2\x80\xa8",
									   "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f",
									   "\xe3\x80\x80", "\xef\xbb\xbf"};

	if (len > 0 && (text[0] == ' ' || (text[0] >= '\t' && text[0] <= '\r')))
		return 1;
	for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++)
	{
		size_t n = strlen(wide[i]);

		if (len >= n && memcmp(text, wide[i], n) == 0)
			return n;
	}
	/* U+2000 to U+200A */
	if (len >= 3 && memcmp(text, "\xe2\x80", 2) == 0 && (unsigned char) text[2] >= 0x80 &&
		(unsigned char) text[2] <= 0x8a)
		return 3;
	return 0;
}

static ClerkSlice
trim(ClerkSlice text)
{
	size_t n;

	while ((n = space_length(text.data, text.len)) > 0)
	{
		text.data += n;
		text.len -= n;
	}
	for (n = 1; n <= 3 && n <= text.len; n++)
	{
		if (space_length(text.data + text.len - n, n) == n)
		{
			text.len -= n;
			n = 0;
		}
	}
	return text;
}

/*
 * The next of the elements that commas separate, trimmed; false after the last.  *rest
 * becomes NULL with the last one, since an empty rest is still an element.
 */
static bool
next_element(ClerkSlice *rest, ClerkSlice *element)
{
	const char *comma;

	if (rest->data == NULL)
		return false;
	comma = memchr(rest->data, ',', rest->len);
	*element = *rest;
	if (comma == NULL)
		rest->data = NULL;
	else
	{
		element->len = (size_t) (comma - rest->data);
		rest->data = comma + 1;
		rest->len -= element->len + 1;
	}
	*element = trim(*element);
	return true;
}

static size_t
count_elements(const char *text)
{
	size_t n = text != NULL ? 1 : 0;

	for (; text != NULL && (text = strchr(text, ',')) != NULL; text++)
		n++;
	return n;
}

/*
 * scope:slug, with the scopes o, u, ou and uo; those of other scopes are passed over.  An
 * element without a colon makes the whole list unreadable.
 */
static void
decode_entitlements(const json_t *root, const char *name, Arena *arena,
					ClerkEntitlements *list)
{
	const char *text = text_member(root, name);
	ClerkSlice rest, element;

	list->items = take(arena, count_elements(text) * sizeof(ClerkEntitlement));
	if (text == NULL)
		return;
	rest = clerk_slice(take_string(arena, "", text));
	while (next_element(&rest, &element))
	{
		const char *colon = memchr(element.data, ':', element.len);
		ClerkSlice scope = {element.data, colon ? (size_t) (colon - element.data) : 0};
		ClerkEntitlement *item = &list->items[list->n];
		bool both = clerk_slice_equal(scope, clerk_slice("ou")) || clerk_slice_equal(scope, clerk_slice("uo"));

		if (colon == NULL)
			return;
		item->slug = (ClerkSlice){colon + 1, element.len - scope.len - 1};
		item->org = both || clerk_slice_equal(scope, clerk_slice("o"));
		item->user = both || clerk_slice_equal(scope, clerk_slice("u"));
		if (item->org || item->user)
			list->n++;
	}
	list->readable = true;
}

static void
decode_names(const char *text, Arena *arena, ClerkGrants *grants)
{
	ClerkSlice rest = clerk_slice(take_string(arena, "", text));
	ClerkSlice *names = take(arena, count_elements(text) * sizeof(ClerkSlice));

	while (next_element(&rest, &names[grants->n_permissions]))
		grants->n_permissions++;
	grants->permissions = names;
}

/* number = number * 10 + digit, without what does not fit */
static void
append_digit(ClerkMask *mask, char digit)
{
	uint64_t carry = (uint64_t) (digit - '0');

	for (size_t i = 0; i < mask->n_words; i++)
	{
		carry += (uint64_t) mask->words[i] * 10;
		mask->words[i] = (uint32_t) carry;
		carry >>= 32;
	}
}

/*
 * A decimal number of any length as bits, as many as there are permissions.  What is no
 * number has no bits, but keeps its place.
 */
static void
decode_mask(ClerkSlice decimal, size_t n_permissions, Arena *arena, ClerkMask *mask)
{
	size_t enough = (decimal.len + DIGITS_PER_WORD - 1) / DIGITS_PER_WORD;

	mask->n_words = (n_permissions + 31) / 32;
	if (mask->n_words > enough)
		mask->n_words = enough;
	mask->words = take(arena, mask->n_words * sizeof(uint32_t));
	memset(mask->words, 0, mask->n_words * sizeof(uint32_t));
	for (size_t i = 0; i < decimal.len; i++)
	{
		if (decimal.data[i] < '0' || decimal.data[i] > '9')
		{
			mask->n_words = 0;
			return;
		}
		append_digit(mask, decimal.data[i]);
	}
}

static void
decode_masks(const char *text, Arena *arena, ClerkGrants *grants)
{
	ClerkSlice rest = clerk_slice(text);
	ClerkSlice element;

	grants->masks = take(arena, count_elements(text) * sizeof(ClerkMask));
	while (next_element(&rest, &element))
		decode_mask(element, grants->n_permissions, arena,
					&grants->masks[grants->n_masks++]);
}

/* Would Clerk's parser throw?  It splits what is truthy, and only a string can be split. */
static bool
is_unreadable(const json_t *root, const json_t *o, const ClerkEntitlements *features)
{
	const json_t *per = json_object_get(o, "per");
	const json_t *fpm = json_object_get(o, "fpm");

	if (is_truthy(json_object_get(root, "fea")) && !features->readable)
		return true;
	return is_truthy(per) && is_truthy(fpm) &&
		   !(json_is_string(per) && json_is_string(fpm));
}

static void
decode_v2(const json_t *root, Arena *arena, ClerkGrants *grants)
{
	const json_t *o = json_object_get(root, "o");
	const char *id = text_member(o, "id");
	const char *slug = text_member(o, "slg");
	const char *role = text_member(o, "rol");
	const char *per = text_member(o, "per");
	const char *fpm = text_member(o, "fpm");

	if (!is_truthy(o))
		return;
	grants->unreadable = is_unreadable(root, o, &grants->features);
	if (id == NULL || grants->unreadable)
		return;
	grants->org_id = take_string(arena, "", id);
	grants->org_slug = slug ? take_string(arena, "", slug) : NULL;
	grants->org_role = role ? take_string(arena, "org:", role) : NULL;
	grants->has_permissions = true;
	if (per != NULL && fpm != NULL)
	{
		decode_names(per, arena, grants);
		decode_masks(fpm, arena, grants);
	}
}

/* The strings of the array, as they are. */
static void
decode_v1_permissions(const json_t *array, Arena *arena, ClerkGrants *grants)
{
	ClerkSlice *permissions = take(arena, json_array_size(array) * sizeof(ClerkSlice));
	json_t *value;
	size_t i;

	json_array_foreach(array, i, value)
	{
		if (json_is_string(value))
			permissions[grants->n_permissions++] =
				clerk_slice(take_string(arena, "", json_string_value(value)));
	}
	grants->permissions = permissions;
	grants->has_permissions = json_is_array(array);
}

static void
decode_v1(const json_t *root, Arena *arena, ClerkGrants *grants)
{
	const char *id = text_member(root, "org_id");
	const char *slug = text_member(root, "org_slug");
	const char *role = text_member(root, "org_role");

	if (id == NULL)
		return;
	grants->org_id = take_string(arena, "", id);
	grants->org_slug = slug ? take_string(arena, "", slug) : NULL;
	grants->org_role = role ? take_string(arena, "", role) : NULL;
	decode_v1_permissions(json_object_get(root, "org_permissions"), arena, grants);
}

/* Two ages in minutes, -1 for a factor that was not verified. */
static void
decode_factor_ages(const json_t *fva, ClerkGrants *grants)
{
	if (json_array_size(fva) != 2)
		return;
	for (size_t i = 0; i < 2; i++)
	{
		const json_t *age = json_array_get(fva, i);

		grants->factor_age[i] = json_real_value(age);
		if (!json_is_real(age) ||
			(grants->factor_age[i] != -1 && !(grants->factor_age[i] >= 0)))
			return;
	}
	grants->has_factor_ages = true;
}

static bool
is_v2(const json_t *root)
{
	const json_t *v = json_object_get(root, "v");

	return json_is_real(v) && json_real_value(v) == 2;
}

static size_t
string_size(const char *text)
{
	return ALIGN(text != NULL ? strlen("org:") + strlen(text) + 1 : 0);
}

/* Of a text, and of an array with room for each of its elements. */
static size_t
list_size(const char *text, size_t element_size)
{
	return string_size(text) + ALIGN(count_elements(text) * element_size);
}

static size_t
array_size(const json_t *array)
{
	size_t size = ALIGN(json_array_size(array) * sizeof(ClerkSlice));
	json_t *value;
	size_t i;

	json_array_foreach(array, i, value) size += string_size(json_string_value(value));
	return size;
}

/* Each mask takes a word for nine digits, and what alignment adds. */
static size_t
masks_size(const char *fpm)
{
	size_t n = count_elements(fpm);

	return ALIGN(n * sizeof(ClerkMask)) + n * (ALIGNMENT + sizeof(uint32_t)) +
		   (fpm != NULL ? strlen(fpm) : 0) * sizeof(uint32_t) / DIGITS_PER_WORD;
}

/* The bytes that clerk_grants_decode() needs for these claims. */
size_t
clerk_grants_size(const ClerkClaims *claims)
{
	const json_t *root = claims->root;
	const json_t *o = json_object_get(root, "o");
	size_t size = ALIGN(sizeof(ClerkGrants)) +
				  list_size(text_member(root, "fea"), sizeof(ClerkEntitlement)) +
				  list_size(text_member(root, "pla"), sizeof(ClerkEntitlement));

	if (is_v2(root))
		return size + string_size(text_member(o, "id")) +
			   string_size(text_member(o, "slg")) + string_size(text_member(o, "rol")) +
			   list_size(text_member(o, "per"), sizeof(ClerkSlice)) +
			   masks_size(text_member(o, "fpm"));
	return size + string_size(text_member(root, "org_id")) +
		   string_size(text_member(root, "org_slug")) +
		   string_size(text_member(root, "org_role")) +
		   array_size(json_object_get(root, "org_permissions"));
}

/*
 * The normal form of the claims, which have been verified.  memory is the caller's, of at
 * least clerk_grants_size() bytes, aligned for any type; nothing else is pointed to.
 */
const ClerkGrants *
clerk_grants_decode(const ClerkClaims *claims, void *memory)
{
	const json_t *root = claims->root;
	Arena arena = {memory};
	ClerkGrants *grants = take(&arena, sizeof(ClerkGrants));

	memset(grants, 0, sizeof(*grants));
	decode_factor_ages(json_object_get(root, "fva"), grants);
	decode_entitlements(root, "fea", &arena, &grants->features);
	decode_entitlements(root, "pla", &arena, &grants->plans);
	if (is_v2(root))
		decode_v2(root, &arena, grants);
	else
		decode_v1(root, &arena, grants);
	return grants;
}

static bool
has_bit(const ClerkMask *mask, size_t n)
{
	return n / 32 < mask->n_words && (mask->words[n / 32] >> n % 32 & 1);
}

/*
 * Hands each permission to visit, in the order of the token, until it returns false.  Those
 * of v2 tokens come as feature and name, which stand for org:feature:name; those of v1
 * tokens as a name, with a feature of NULL.
 */
void
clerk_grants_visit_permissions(const ClerkGrants *grants, ClerkPermissionVisitor visit,
							   void *context)
{
	const ClerkEntitlements *features = &grants->features;
	size_t place = 0;

	for (size_t j = 0; grants->masks == NULL && j < grants->n_permissions; j++)
	{
		if (!visit(context, (ClerkSlice){NULL, 0}, grants->permissions[j]))
			return;
	}
	for (size_t i = 0; i < features->n && place < grants->n_masks; i++)
	{
		const ClerkMask *mask = &grants->masks[place];

		if (!features->items[i].org)
			continue;
		place++;
		for (size_t j = 0; j < grants->n_permissions; j++)
		{
			if (has_bit(mask, j) &&
				!visit(context, features->items[i].slug, grants->permissions[j]))
				return;
		}
	}
}
