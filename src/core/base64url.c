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
#include "clerk_core.h"

/* The value of each character; what is in the alphabet has its own plus one, the others 0. */
static const unsigned char values[256] = {
	['A'] = 1,	['B'] = 2,	['C'] = 3,	['D'] = 4,	['E'] = 5,	['F'] = 6,	['G'] = 7,
	['H'] = 8,	['I'] = 9,	['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14,
	['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21,
	['V'] = 22, ['W'] = 23, ['X'] = 24, ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28,
	['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35,
	['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42,
	['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48, ['w'] = 49,
	['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
	['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['-'] = 63,
	['_'] = 64};

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
		unsigned int value = values[(unsigned char) text.data[i]];

		if (value == 0)
			return false;
		bits = (bits << 6) | (value - 1);
		n_bits += 6;
		if (n_bits >= 8)
		{
			n_bits -= 8;
			out[n++] = (unsigned char) (bits >> n_bits);
		}
	}

	/* six bits left over: a character that completes no byte; others must be zero */
	if (n_bits >= 6 || (bits & ((1u << n_bits) - 1)) != 0)
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
