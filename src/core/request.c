/*
 * request.c
 *		Tokens in what PostgREST and Supabase hand over of an HTTP request: JSON objects of
 *		headers and of cookies; and whether its cookies may sign in.
 *
 * Header names are lower case there.  A value is a string, or an array with one string
 * (Supabase Storage); an array with several would let each reader choose another one.
 *
 * Nearly always the headers are an object of plain strings, so they are looked through as
 * they are, and parsed by jansson only if they are not: that takes a tenth of the time, in
 * each request.
 *
 * Errors are statuses.  Called by source.c and the tests.
 */
#include "clerk_core.h"

#include <string.h>
#include <strings.h>

#include <jansson.h>

#define SESSION_COOKIE "__session"

/* What is left of a text. */
typedef struct Reader
{
	const char *pos;
	const char *end;
} Reader;

static void
skip_space(Reader *reader)
{
	while (reader->pos < reader->end && *reader->pos != '\0' &&
		   strchr(" \t\r\n", *reader->pos) != NULL)
		reader->pos++;
}

static bool
read_token(Reader *reader, char wanted)
{
	skip_space(reader);
	if (reader->pos == reader->end || *reader->pos != wanted)
		return false;
	reader->pos++;
	return true;
}

/* A JSON string as it is written, without its quotes; *plain if it holds no escape. */
static bool
read_string(Reader *reader, ClerkSlice *string, bool *plain)
{
	const char *start, *quote;

	if (!read_token(reader, '"'))
		return false;
	start = reader->pos;
	quote = memchr(start, '"', (size_t) (reader->end - start));
	if (quote == NULL)
		return false;
	*plain = memchr(start, '\\', (size_t) (quote - start)) == NULL;
	if (!*plain)
	{
		for (quote = start; quote < reader->end && *quote != '"'; quote++)
		{
			if (*quote == '\\' && quote + 1 < reader->end)
				quote++;
		}
		if (quote == reader->end)
			return false;
	}
	*string = (ClerkSlice){start, (size_t) (quote - start)};
	reader->pos = quote + 1;
	return true;
}

/*
 * The same as clerk_request_header() for the text of the headers, with *value empty where
 * there is none.  False if that takes a JSON parser: unless the object holds strings only,
 * the wanted one once and without an escape.  What the others hold is not looked at.
 */
bool
clerk_request_plain_header(ClerkSlice headers, const char *name, ClerkSlice *value)
{
	Reader reader = {headers.data, headers.data + headers.len};
	size_t name_len = strlen(name);
	ClerkSlice key, string;
	bool plain_key, plain;

	*value = (ClerkSlice){NULL, 0};
	if (!read_token(&reader, '{'))
		return false;
	do
	{
		if (!read_string(&reader, &key, &plain_key) || !plain_key ||
			!read_token(&reader, ':') || !read_string(&reader, &string, &plain))
			return false;
		if (key.len != name_len || memcmp(key.data, name, name_len) != 0)
			continue;
		if (!plain || value->data != NULL ||
			memchr(string.data, '\0', string.len) != NULL)
			return false;
		*value = string;
	} while (read_token(&reader, ','));
	if (!read_token(&reader, '}'))
		return false;
	skip_space(&reader);
	return reader.pos == reader.end;
}

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

static bool
is(ClerkSlice slice, const char *text)
{
	return slice.data != NULL && slice.len == strlen(text) &&
		   memcmp(slice.data, text, slice.len) == 0;
}

/*
 * A browser sends cookies along with what any page starts, so the page must be one that may:
 * of the same origin, which no script can make Sec-Fetch-Site say, or of an origin among the
 * authorized parties.  Without either header a request that only reads goes through: it was
 * not started by a script of another origin, which a browser would name.  Who is named and is
 * no party does not even read, since PostgREST may allow any origin to see the answer.
 */
bool
clerk_request_may_use_cookies(const ClerkFetch *fetch, const ClerkPolicy *policy)
{
	if (is(fetch->site, "same-origin"))
		return true;
	if (fetch->origin.data == NULL)
		return is(fetch->method, "GET") || is(fetch->method, "HEAD");
	for (int i = 0; i < policy->n_authorized_parties; i++)
	{
		if (is(fetch->origin, policy->authorized_parties[i]))
			return true;
	}
	return false;
}
