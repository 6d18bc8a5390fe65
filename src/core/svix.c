/*
 * svix.c
 *		The signature of a webhook, as Svix makes it for Clerk (Standard Webhooks 1.0).
 *
 * What is signed is "id.timestamp.body", with HMAC-SHA256 and a secret "whsec_" and base64;
 * the signature header is a list of "v1,<base64>", of which one must be right, so that
 * secrets can be rotated.  The timestamp is that of the delivery, in seconds, and must be
 * within five minutes.  Signatures are compared in constant time.
 *
 * Errors are statuses.  Called by webhook.c and the tests.
 */
#include "clerk_core.h"

#include <string.h>

#include <openssl/evp.h>

#define TOLERANCE 300

/* Digits of a timestamp, so that it and its microseconds fit 64 bits. */
#define MAX_TIMESTAMP 12

#define SECRET_PREFIX "whsec_"
#define MIN_SECRET 24
#define MAX_SECRET 75

/* Of a base64 text without its padding. */
#define MAX_SECRET_TEXT ((MAX_SECRET * 4 + 2) / 3)

/* base64 of 32 bytes */
#define SIGNATURE_LENGTH 44

/* Standard base64, padded or not, of a key of a length that Svix uses. */
static bool
decode_secret(ClerkSlice text, unsigned char *key, size_t *key_len)
{
	unsigned char padded[MAX_SECRET_TEXT + 4];
	size_t prefix = strlen(SECRET_PREFIX);
	size_t whole;
	int len;

	if (text.len >= prefix && memcmp(text.data, SECRET_PREFIX, prefix) == 0)
	{
		text.data += prefix;
		text.len -= prefix;
	}
	for (int i = 0; i < 2 && text.len > 0 && text.data[text.len - 1] == '='; i++)
		text.len--;
	whole = (text.len + 3) / 4 * 4;
	if (text.len == 0 || text.len > MAX_SECRET_TEXT || text.len % 4 == 1)
		return false;
	for (size_t i = 0; i < text.len; i++)
	{
		if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
				   text.data[i]) == NULL ||
			text.data[i] == '\0')
			return false;
	}
	memset(padded, '=', sizeof(padded));
	memcpy(padded, text.data, text.len);
	len = EVP_DecodeBlock(key, padded, (int) whole);
	*key_len = len < 0 ? 0 : (size_t) len - (whole - text.len);
	return *key_len >= MIN_SECRET && *key_len <= MAX_SECRET;
}

/* Could it be the secret of a Svix endpoint? */
bool
clerk_svix_is_secret(ClerkSlice secret)
{
	unsigned char key[MAX_SECRET + 3];
	size_t key_len;

	return decode_secret(secret, key, &key_len);
}

/* Digits only, and not so many that they overflow. */
static bool
parse_timestamp(ClerkSlice text, int64_t *seconds)
{
	*seconds = 0;
	if (text.len == 0 || text.len > MAX_TIMESTAMP)
		return false;
	for (size_t i = 0; i < text.len; i++)
	{
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		*seconds = *seconds * 10 + (text.data[i] - '0');
	}
	return true;
}

/* Are the headers in order, and the delivery recent?  now is in microseconds. */
ClerkStatus
clerk_svix_check(const ClerkWebhook *webhook, int64_t now)
{
	int64_t seconds;

	if (webhook->id.len == 0 || webhook->signature.len == 0 ||
		memchr(webhook->id.data, '.', webhook->id.len) != NULL ||
		!parse_timestamp(webhook->timestamp, &seconds))
		return CLERK_WEBHOOK_HEADERS;
	if (seconds < now / 1000000 - TOLERANCE)
		return CLERK_WEBHOOK_TOO_OLD;
	if (seconds > now / 1000000 + TOLERANCE)
		return CLERK_WEBHOOK_TOO_NEW;
	return CLERK_OK;
}

/* The next word of a list that spaces separate. */
static bool
next_word(ClerkSlice *rest, ClerkSlice *word)
{
	const char *space;

	while (rest->len > 0 && rest->data[0] == ' ')
	{
		rest->data++;
		rest->len--;
	}
	space = rest->len > 0 ? memchr(rest->data, ' ', rest->len) : NULL;
	*word = *rest;
	if (space != NULL)
		word->len = (size_t) (space - rest->data);
	rest->data += word->len;
	rest->len -= word->len;
	return word->len > 0;
}

/* Did this secret sign it?  The caller has asked clerk_svix_check(). */
bool
clerk_svix_verify(const ClerkWebhook *webhook, ClerkSlice secret)
{
	const ClerkSlice dot = {".", 1};
	const ClerkSlice parts[] = {webhook->id, dot, webhook->timestamp, dot, webhook->body};
	unsigned char key[MAX_SECRET + 3];
	unsigned char mac[CLERK_DIGEST_LENGTH];
	unsigned char expected[SIGNATURE_LENGTH + 1];
	ClerkSlice rest = webhook->signature;
	ClerkSlice word;
	size_t key_len;
	bool found = false;

	if (!decode_secret(secret, key, &key_len) ||
		!clerk_jwa_hmac_sha256((ClerkSlice){(const char *) key, key_len}, parts,
							   sizeof(parts) / sizeof(parts[0]), mac))
		return false;
	EVP_EncodeBlock(expected, mac, sizeof(mac));
	while (next_word(&rest, &word))
	{
		if (word.len == SIGNATURE_LENGTH + 3 && memcmp(word.data, "v1,", 3) == 0 &&
			clerk_jwa_equal(word.data + 3, expected, SIGNATURE_LENGTH))
			found = true;
	}
	return found;
}
