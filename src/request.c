/*
 * request.c
 *		Tokens in what PostgREST and Supabase hand over of an HTTP request: JSON objects of
 *		headers and of cookies.
 *
 * Header names are lower case there.  A value is a string, or an array with one string
 * (Supabase Storage); an array with several would let each reader choose another one.
 *
 * Errors are statuses.  Called by source.c and the tests.
 */
#include "clerk.h"

#include <string.h>
#include <strings.h>

#include <jansson.h>

#define SESSION_COOKIE "__session"

/*
 * The value of a header: CLERK_OK, CLERK_NO_TOKEN when there is none, or
 * CLERK_SOURCE_AMBIGUOUS.  *value points into headers.
 */
ClerkStatus
clerk_request_header(const ClerkJson *headers, const char *name, ClerkSlice *value)
{
	const json_t *member = json_object_get(headers->root, name);

	if (json_is_array(member))
	{
		if (json_array_size(member) != 1)
			return CLERK_SOURCE_AMBIGUOUS;
		member = json_array_get(member, 0);
	}
	if (member == NULL)
		return CLERK_NO_TOKEN;
	if (!json_is_string(member))
		return CLERK_SOURCE_AMBIGUOUS;
	*value = (ClerkSlice){json_string_value(member), json_string_length(member)};
	return value->len > 0 ? CLERK_OK : CLERK_NO_TOKEN;
}

/*
 * credentials = "Bearer" 1*SP b64token (RFC 6750 section 2.1; schemes compare without
 * case, RFC 9110 section 11.1), or the bare token, which Clerk's SDKs take as well.  False
 * for the credentials of another scheme, which are no concern of ours.
 */
bool
clerk_request_bearer(ClerkSlice header, ClerkSlice *token)
{
	static const char scheme[] = "bearer";
	const size_t n = sizeof(scheme) - 1;

	*token = header;
	if (header.len > n && strncasecmp(header.data, scheme, n) == 0 &&
		header.data[n] == ' ')
	{
		token->data += n;
		token->len -= n;
		while (token->len > 0 && token->data[0] == ' ')
		{
			token->data++;
			token->len--;
		}
		return true;
	}
	return memchr(header.data, ' ', header.len) == NULL;
}

/*
 * Hands each session cookie to sink: those of an instance, __session_<suffix>, before the
 * plain one.  Stops when sink returns false.
 */
void
clerk_request_cookies(const ClerkJson *cookies, ClerkTokenSink sink, void *context)
{
	const json_t *plain = json_object_get(cookies->root, SESSION_COOKIE);
	const char *name;
	json_t *value;

	json_object_foreach(cookies->root, name, value)
	{
		if (strncmp(name, SESSION_COOKIE "_", sizeof(SESSION_COOKIE)) == 0 &&
			json_is_string(value) &&
			!sink(context,
				  (ClerkSlice){json_string_value(value), json_string_length(value)}))
			return;
	}
	if (json_is_string(plain))
		sink(context, (ClerkSlice){json_string_value(plain), json_string_length(plain)});
}
