/*
 * base64url.c
 *		Strict base64url (RFC 4648 section 5) as JWS wants it (RFC 7515 section 2).
 *
 * Exactly one text decodes to given bytes: no padding, no white space, no characters of
 * the other alphabet, and the bits that are left over must be zero.  A decoder that is
 * lenient here lets one signature have many spellings.
 *
 * Called by jws.c and jwk.c.
 */
#include "clerk.h"

/* The value of a character, or -1. */
static int
digit_value(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '-')
		return 62;
	if (c == '_')
		return 63;
	return -1;
}

/*
 * Decodes into out, which has room for text.len bytes (three quarters are used), and sets
 * *outlen.  False when text is not strict base64url; out then holds rubbish.
 */
bool
clerk_base64url_decode(ClerkSlice text, unsigned char *out, size_t *outlen)
{
	uint32_t bits = 0;
	int n_bits = 0;
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++)
	{
		int value = digit_value((unsigned char) text.data[i]);

		if (value < 0)
			return false;
		bits = (bits << 6) | (uint32_t) value;
		n_bits += 6;
		if (n_bits >= 8)
		{
			n_bits -= 8;
			out[n++] = (unsigned char) (bits >> n_bits);
			bits &= (1u << n_bits) - 1;
		}
	}

	/* six bits left over: a character that completes no byte */
	if (n_bits >= 6 || bits != 0)
		return false;
	*outlen = n;
	return true;
}

/*
 * Encodes len bytes into out, which has room for len * 4 / 3 + 2 characters, and ends it
 * with a NUL.
 */
void
clerk_base64url_encode(const unsigned char *data, size_t len, char *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint32_t bits = 0;
	int n_bits = 0;

	for (size_t i = 0; i < len; i++)
	{
		bits = (bits << 8 | data[i]) & 0xffff;
		for (n_bits += 8; n_bits >= 6; n_bits -= 6)
			*out++ = digits[bits >> (n_bits - 6) & 63];
	}
	if (n_bits > 0)
		*out++ = digits[bits << (6 - n_bits) & 63];
	*out = '\0';
}
