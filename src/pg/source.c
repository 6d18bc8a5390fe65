/*
 * source.c
 *		Where a request may carry a token, in order of precedence.
 *
 * clerk.token, header x-clerk-token, header authorization, request.jwt, session cookies.
 * A clerk.token that a pooled connection had before the transaction is not the request's.
 * Which of them counts is for session.c to say, as it knows the issuers.  This is the only
 * file that reads these settings.
 *
 * No value raises here: settings that are no JSON hold no token.  Called by session.c.
 */
#include "clerk_pg.h"

static bool
add_candidate(ClerkRequest *request, ClerkSource source, ClerkStatus status,
			  ClerkSlice token)
{
	const ClerkCandidate candidate = {source, status, token};
	int n = request->n_candidates++;

	/* a place for each source, and doubled at 8, 16, 32 ... for a crowd of cookies */
	if (n == 0)
		request->candidates = palloc(8 * sizeof(ClerkCandidate));
	else if (n >= 8 && (n & (n - 1)) == 0)
		request->candidates =
			repalloc(request->candidates, 2 * n * sizeof(ClerkCandidate));
	request->candidates[n] = candidate;
	return true;
}

static void
add_setting(ClerkRequest *request, ClerkSource source, ClerkSetting setting)
{
	ClerkSlice token = clerk_config_setting(setting);

	if (token.data != NULL)
		add_candidate(request, source, CLERK_OK, token);
}

/* In a request, what a pooled connection had before is not the request's. */
bool
clerk_source_is_left_over(ClerkSetting setting)
{
	return clerk_config_setting(setting).data != NULL && clerk_config_is_request() &&
		   clerk_config_origin(setting) != CLERK_ORIGIN_TRANSACTION;
}

/* A header; *parsed is for the headers if they must be parsed, and owns the value then. */
static ClerkStatus
read_header(ClerkJson *parsed, const char *name, ClerkSlice *value)
{
	ClerkSlice headers = clerk_config_setting(CLERK_SETTING_HEADERS);

	if (headers.data == NULL)
		return CLERK_NO_TOKEN;
	if (clerk_request_plain_header(headers, name, value))
		return value->len > 0 ? CLERK_OK : CLERK_NO_TOKEN;
	if (parsed->root == NULL)
		(void) clerk_json_object(headers, parsed);
	return clerk_request_header(parsed, name, value);
}

static void
add_header(ClerkRequest *request, ClerkSource source, const char *name)
{
	ClerkSlice token;
	ClerkStatus status = read_header(&request->headers, name, &token);

	if (status == CLERK_NO_TOKEN)
		return;
	if (status == CLERK_OK && !clerk_request_bearer(token, &token))
		return;
	add_candidate(request, source, status, token);
}

/* A header that has several values is there, and is none that can be meant. */
static ClerkSlice
header_or_none(ClerkRequest *request, const char *name)
{
	ClerkSlice value = {NULL, 0};
	ClerkStatus status = read_header(&request->headers, name, &value);

	if (status == CLERK_NO_TOKEN)
		return (ClerkSlice){NULL, 0};
	return status == CLERK_OK ? value : (ClerkSlice){"", 0};
}

static bool
add_cookie(void *arg, ClerkSlice token)
{
	ClerkRequest *request = arg;

	if (request->fetch.method.data == NULL)
	{
		request->fetch.method = clerk_config_setting(CLERK_SETTING_METHOD);
		request->fetch.origin = header_or_none(request, "origin");
		request->fetch.site = header_or_none(request, "sec-fetch-site");
	}
	return add_candidate(request, CLERK_SOURCE_COOKIE, CLERK_OK, token);
}

/* The JSON object in a setting, or an empty one. */
static void
read_object(ClerkSetting setting, ClerkJson *json)
{
	ClerkSlice text = clerk_config_setting(setting);

	if (text.data != NULL)
		(void) clerk_json_object(text, json);
}

/*
 * Fills *request, which must be zero, with what the settings hold now.  The tokens point
 * into the settings and into request, so they live until a setting changes or
 * clerk_source_free(); the list of them is in the current memory context.
 */
void
clerk_source_read(ClerkRequest *request)
{
	read_object(CLERK_SETTING_COOKIES, &request->cookies);
	request->has_left_over = clerk_source_is_left_over(CLERK_SETTING_TOKEN);
	if (!request->has_left_over)
		add_setting(request, CLERK_SOURCE_SETTING, CLERK_SETTING_TOKEN);
	add_header(request, CLERK_SOURCE_CLERK_HEADER, "x-clerk-token");
	add_header(request, CLERK_SOURCE_AUTHORIZATION, "authorization");
	add_setting(request, CLERK_SOURCE_REQUEST_JWT, CLERK_SETTING_JWT);
	clerk_request_cookies(&request->cookies, add_cookie, request);
}

/* A header of the request, whatever it says, or NULL; in the current memory context. */
text *
clerk_source_header(const char *name)
{
	ClerkJson headers = {NULL, false};
	ClerkSlice value;
	char *copy = NULL;

	if (read_header(&headers, name, &value) == CLERK_OK)
	{
		copy = palloc_extended(value.len + VARHDRSZ, MCXT_ALLOC_NO_OOM);
		if (copy != NULL)
		{
			SET_VARSIZE(copy, value.len + VARHDRSZ);
			memcpy(VARDATA(copy), value.data, value.len);
		}
	}
	clerk_json_free(&headers);
	return (text *) copy;
}

void
clerk_source_free(ClerkRequest *request)
{
	clerk_json_free(&request->headers);
	clerk_json_free(&request->cookies);
	request->n_candidates = 0;
}

const char *
clerk_source_name(ClerkSource source)
{
	switch (source)
	{
		case CLERK_SOURCE_NONE:
			return "nowhere";
		case CLERK_SOURCE_ARGUMENT:
			return "the argument";
		case CLERK_SOURCE_SETTING:
			return "setting clerk.token";
		case CLERK_SOURCE_CLERK_HEADER:
			return "header x-clerk-token";
		case CLERK_SOURCE_AUTHORIZATION:
			return "header authorization";
		case CLERK_SOURCE_REQUEST_JWT:
			return "setting request.jwt";
		case CLERK_SOURCE_COOKIE:
			return "cookie __session";
		case CLERK_SOURCE_CLAIMS:
			return "setting request.jwt.claims, unverified";
	}
	return NULL;
}
