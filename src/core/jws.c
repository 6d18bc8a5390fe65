/*
 * jws.c
 *		The compact serialization of a JWS (RFC 7515 section 7.1): split, decode, header.
 *
 * Nothing here is verified.  Header parameters that bring a key along (jwk, jku, x5u, x5c)
 * are not even read; those that would change what is verified (crit, RFC 7515 section
 * 4.1.11, and b64, RFC 7797) refuse the token.
 *
 * Errors are statuses.  Called by session.c, through it alone, and by the tests.
 */
#include "clerk_core.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

/* token = header "." payload "." signature, and nothing else */
static bool
split(ClerkSlice token, ClerkSlice part[3])
{
	const char *end = token.data + token.len;
	const char *dot1 = memchr(token.data, '.', token.len);
	const char *dot2;

	if (dot1 == NULL)
		return false;
	dot2 = memchr(dot1 + 1, '.', (size_t) (end - dot1 - 1));
	if (dot2 == NULL || memchr(dot2 + 1, '.', (size_t) (end - dot2 - 1)) != NULL)
		return false;
	part[0] = (ClerkSlice){token.data, (size_t) (dot1 - token.data)};
	part[1] = (ClerkSlice){dot1 + 1, (size_t) (dot2 - dot1 - 1)};
	part[2] = (ClerkSlice){dot2 + 1, (size_t) (end - dot2 - 1)};
	return true;
}

/* A string, or absent; false for a member of another type. */
static bool
string_member(const json_t *object, const char *name, const char **value)
{
	const json_t *member = json_object_get(object, name);

	*value = json_string_value(member);
	return member == NULL || *value != NULL;
}

static ClerkStatus
parse_header(ClerkSlice text, ClerkJws *jws)
{
	ClerkJson json;

	if (!clerk_json_object(text, &json))
		return CLERK_HEADER_NOT_JSON;
	jws->header = json.root;
	if (json_object_get(jws->header, "crit") || json_object_get(jws->header, "b64"))
		return CLERK_HEADER_CRITICAL;
	if (!string_member(jws->header, "alg", &jws->alg) || jws->alg == NULL ||
		!string_member(jws->header, "kid", &jws->kid) ||
		!string_member(jws->header, "typ", &jws->typ) ||
		!string_member(jws->header, "cat", &jws->cat))
		return CLERK_HEADER_MEMBER;
	return CLERK_OK;
}

/* An empty signature is well-formed here; no algorithm accepts it. */
static ClerkStatus
decode_signature(ClerkSlice part, ClerkJws *jws)
{
	unsigned char scratch[CLERK_MAX_SIGNATURE * 4 / 3 + 3];

	if (part.len > sizeof(scratch))
		return CLERK_SIGNATURE_INVALID;
	if (!clerk_base64url_decode(part, scratch, &jws->signature_len))
		return CLERK_TOKEN_NOT_BASE64URL;
	if (jws->signature_len > sizeof(jws->signature))
		return CLERK_SIGNATURE_INVALID;
	memcpy(jws->signature, scratch, jws->signature_len);
	return CLERK_OK;
}

static ClerkStatus
decode_parts(const ClerkSlice part[3], ClerkJws *jws)
{
	unsigned char *header = (unsigned char *) jws->buffer;
	unsigned char *payload = header + part[0].len;
	size_t header_len;
	ClerkStatus status;

	if (!clerk_base64url_decode(part[0], header, &header_len) ||
		!clerk_base64url_decode(part[1], payload, &jws->payload.len))
		return CLERK_TOKEN_NOT_BASE64URL;
	jws->payload.data = (const char *) payload;
	status = decode_signature(part[2], jws);
	if (status != CLERK_OK)
		return status;
	return parse_header((ClerkSlice){jws->buffer, header_len}, jws);
}

/*
 * Fills *jws, which points into token and into memory of its own; whatever is returned,
 * the caller calls clerk_jws_free() and keeps token until then.
 */
ClerkStatus
clerk_jws_parse(ClerkSlice token, ClerkJws *jws)
{
	ClerkSlice part[3];

	memset(jws, 0, sizeof(*jws));
	if (token.len > CLERK_MAX_TOKEN)
		return CLERK_TOKEN_TOO_LARGE;
	if (!split(token, part))
		return CLERK_TOKEN_NOT_COMPACT;
	jws->signing_input =
		(ClerkSlice){token.data, (size_t) (part[2].data - token.data) - 1};
	jws->buffer = malloc(token.len);
	if (jws->buffer == NULL)
		return CLERK_OUT_OF_MEMORY;
	return decode_parts(part, jws);
}

void
clerk_jws_free(ClerkJws *jws)
{
	json_decref(jws->header);
	free(jws->buffer);
	memset(jws, 0, sizeof(*jws));
}
