/*
 * json.c
 *		One JSON object out of bytes that nobody vouches for.
 *
 * jansson does the parsing (RFC 8259, valid UTF-8, no U+0000, no duplicate members).  A
 * scan before it makes sure that whatever is accepted here, jsonb accepts too, so that
 * showing the claims of a verified token can never raise in a policy:
 *
 * - nesting is bounded, since PostgreSQL's parser recurses;
 * - an exponent is bounded, since numeric is;
 * - digits are bounded too, at more than a token has room for.  jansson refuses what a
 *   double cannot hold, so it is shown an empty object in place of a number beyond 10^308:
 *   nothing we decide on is that large, and a claim that should be a number then has the
 *   wrong type, without being absent.
 *
 * All numbers come out as JSON_REAL.  Called by jws.c, jwk.c, claims.c and source.c.
 *
 * And any JSON text with what jsonb cannot hold replaced, for webhook.c: a webhook must be
 * applied whatever else it says.
 */
#include "clerk_core.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#define MAX_DEPTH 256
#define MAX_EXPONENT 999

/* Before or after the point; numeric has at most 16383 after it, with the exponent's. */
#define MAX_DIGITS 15000

/* Of a number in a webhook, so that with the exponent it surely fits numeric. */
#define MAX_PLAIN_NUMBER 1000
#define MAX_PLAIN_EXPONENT_DIGITS 3

/* Bytes of a string in a webhook; jsonb holds no more than 256 MiB in all. */
#define MAX_PLAIN_STRING 1048576

/* Digits before the point plus exponent, up to which a number surely fits a double. */
#define MAX_MAGNITUDE 308

typedef struct Scan
{
	ClerkSlice text;
	size_t pos;
	int depth;
	bool ascii;
	char *copy; /* of text, with {} for each wide number; NULL without any */
} Scan;

static int
peek(const Scan *scan)
{
	return scan->pos < scan->text.len ? (unsigned char) scan->text.data[scan->pos] : -1;
}

static size_t
skip_digits(Scan *scan)
{
	size_t start = scan->pos;

	while (isdigit(peek(scan)))
		scan->pos++;
	return scan->pos - start;
}

/* Up to the closing quote; what is between is jansson's to judge. */
static void
scan_string(Scan *scan)
{
	for (scan->pos++; peek(scan) != -1 && peek(scan) != '"'; scan->pos++)
	{
		if (peek(scan) >= 0x80)
			scan->ascii = false;
		if (peek(scan) != '\\')
			continue;
		scan->pos++;
		if (peek(scan) == 'u' && (scan->text.len - scan->pos < 5 ||
								  memcmp(scan->text.data + scan->pos + 1, "00", 2) != 0 ||
								  scan->text.data[scan->pos + 3] > '7'))
			scan->ascii = false;
	}
	scan->pos++;
}

/* exp = e [ minus / plus ] 1*DIGIT, as a number that stays small; false if malformed */
static bool
scan_exponent(Scan *scan, int *exponent)
{
	bool negative;
	size_t start;

	scan->pos++;
	negative = peek(scan) == '-';
	if (negative || peek(scan) == '+')
		scan->pos++;
	start = scan->pos;
	for (*exponent = 0; isdigit(peek(scan)); scan->pos++)
	{
		if (*exponent <= MAX_EXPONENT)
			*exponent = *exponent * 10 + (peek(scan) - '0');
	}
	if (scan->pos == start || *exponent > MAX_EXPONENT)
		return false;
	if (negative)
		*exponent = -*exponent;
	return true;
}

/* Puts an empty object in the place of the number, for jansson to read. */
static bool
blank_number(Scan *scan, size_t start)
{
	if (scan->copy == NULL)
	{
		scan->copy = malloc(scan->text.len);
		if (scan->copy == NULL)
			return false;
		memcpy(scan->copy, scan->text.data, scan->text.len);
	}
	memset(scan->copy + start, ' ', scan->pos - start);
	memcpy(scan->copy + start, "{}", 2);
	return true;
}

/* number = [ minus ] int [ frac ] [ exp ], RFC 8259 section 6 */
static bool
scan_number(Scan *scan)
{
	size_t start = scan->pos;
	size_t digits = 1;
	size_t decimals = 1;
	int exponent = 0;

	if (peek(scan) == '-')
		scan->pos++;
	if (peek(scan) == '0')
		scan->pos++;
	else if ((digits = skip_digits(scan)) == 0)
		return false;
	if (peek(scan) == '.')
	{
		scan->pos++;
		decimals = skip_digits(scan);
	}
	if (decimals == 0 || digits > MAX_DIGITS || decimals > MAX_DIGITS)
		return false;
	if ((peek(scan) == 'e' || peek(scan) == 'E') && !scan_exponent(scan, &exponent))
		return false;
	if (exponent + (long) digits > MAX_MAGNITUDE)
		return blank_number(scan, start);
	return true;
}

static bool
scan_text(Scan *scan)
{
	while (peek(scan) != -1)
	{
		int c = peek(scan);

		if (c == '"')
			scan_string(scan);
		else if (c == '-' || isdigit(c))
		{
			if (!scan_number(scan))
				return false;
		}
		else
		{
			if (c == '{' || c == '[')
				scan->depth++;
			else if (c == '}' || c == ']')
				scan->depth--;
			if (scan->depth > MAX_DEPTH)
				return false;
			scan->pos++;
		}
	}
	return true;
}

/*
 * False when text is not one acceptable JSON object; json->root is then NULL.  The caller
 * owns what it gets, and ends with clerk_json_free().
 */
bool
clerk_json_object(ClerkSlice text, ClerkJson *json)
{
	Scan scan = {.text = text, .ascii = true};
	json_error_t error;

	json->root = NULL;
	/* jansson passes over a NUL byte behind a number; PostgreSQL would stop there */
	if (memchr(text.data, '\0', text.len) == NULL && scan_text(&scan))
		json->root = json_loadb(scan.copy ? scan.copy : text.data, text.len,
								JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &error);
	free(scan.copy);
	if (json->root != NULL && !json_is_object(json->root))
	{
		json_decref(json->root);
		json->root = NULL;
	}
	json->ascii = scan.ascii;
	return json->root != NULL;
}

void
clerk_json_free(ClerkJson *json)
{
	json_decref(json->root);
	json->root = NULL;
}

/*
 * What jsonb cannot hold, replaced
 */

typedef struct Output
{
	char *data;
	size_t len;
	bool muted; /* below the deepest level that is kept */
	bool ascii; /* no character comes from an escape but those of ASCII */
} Output;

static void
put(Output *out, const char *bytes, size_t len)
{
	if (out->muted)
		return;
	memcpy(out->data + out->len, bytes, len);
	out->len += len;
}

/* The UTF-16 code unit of \uXXXX at this place; -1 when there is none. */
static long
code_unit(const Scan *scan, size_t pos)
{
	char digits[5] = "";
	const char *escape = scan->text.data + pos;

	if (pos + 6 > scan->text.len || escape[0] != '\\' || escape[1] != 'u')
		return -1;
	for (int i = 0; i < 4; i++)
	{
		if (!isxdigit((unsigned char) escape[2 + i]))
			return -1;
		digits[i] = escape[2 + i];
	}
	return strtol(digits, NULL, 16);
}

/* U+0000 and half a character become U+FFFD; a backslash that begins no escape stays. */
static void
put_escape(Scan *scan, Output *out)
{
	long unit = code_unit(scan, scan->pos);
	size_t len = unit < 0 ? 2 : 6;
	bool replaced = unit == 0 || (unit >= 0xdc00 && unit <= 0xdfff);

	if (unit >= 0xd800 && unit <= 0xdbff)
	{
		long low = code_unit(scan, scan->pos + len);

		replaced = low < 0xdc00 || low > 0xdfff;
		len = replaced ? 6 : 12;
	}
	if (len > scan->text.len - scan->pos)
		len = scan->text.len - scan->pos;
	if (out->ascii && (replaced || unit >= 0x80))
		put(out, "?", 1);
	else if (replaced)
		put(out, "\\ufffd", 6);
	else
		put(out, scan->text.data + scan->pos, len);
	scan->pos += len;
}

/* Up to and with the closing quote; one that is too long becomes empty. */
static void
put_string(Scan *scan, Output *out)
{
	size_t start = out->len;

	put(out, "\"", 1);
	scan->pos++;
	while (peek(scan) != -1 && peek(scan) != '"')
	{
		if (peek(scan) == '\\')
			put_escape(scan, out);
		else
			put(out, scan->text.data + scan->pos++, 1);
	}
	if (out->len - start > MAX_PLAIN_STRING)
		out->len = start + 1;
	if (peek(scan) == '"')
	{
		put(out, "\"", 1);
		scan->pos++;
	}
}

/* One that numeric may not hold becomes a string; what is no number stays as it is. */
static void
put_number(Scan *scan, Output *out)
{
	size_t start = scan->pos;
	size_t exponent = 0;
	bool number, wide;

	if (peek(scan) == '-')
		scan->pos++;
	number = peek(scan) == '0' ? (scan->pos++, true) : skip_digits(scan) > 0;
	if (number && peek(scan) == '.')
	{
		scan->pos++;
		number = skip_digits(scan) > 0;
	}
	if (number && (peek(scan) == 'e' || peek(scan) == 'E'))
	{
		scan->pos++;
		if (peek(scan) == '-' || peek(scan) == '+')
			scan->pos++;
		exponent = skip_digits(scan);
		number = exponent > 0;
	}
	wide = number && (scan->pos - start > MAX_PLAIN_NUMBER ||
					  exponent > MAX_PLAIN_EXPONENT_DIGITS);
	put(out, "\"", wide);
	put(out, scan->text.data + start, scan->pos - start);
	put(out, "\"", wide);
}

/* What is nested too deep becomes null. */
static void
put_bracket(Scan *scan, Output *out)
{
	bool opens = peek(scan) == '{' || peek(scan) == '[';

	if (opens && ++scan->depth == MAX_DEPTH + 1)
	{
		put(out, "null", 4);
		out->muted = true;
	}
	put(out, scan->text.data + scan->pos++, 1);
	if (!opens && --scan->depth == MAX_DEPTH)
		out->muted = false;
}

/*
 * Copies a JSON text to out, which has room for CLERK_JSON_PLAIN_SIZE(text.len) bytes, and
 * returns the length.  In it jsonb can hold each number, string and level; with ascii, as it
 * is for databases whose encoding lacks a character, escapes of others than ASCII become
 * question marks.  What is not JSON does not become JSON.
 */
size_t
clerk_json_plain(ClerkSlice text, bool ascii, char *out)
{
	Scan scan = {.text = text};
	Output output = {.data = out, .ascii = ascii};

	while (peek(&scan) != -1)
	{
		int c = peek(&scan);

		if (c == '"')
			put_string(&scan, &output);
		else if (c == '-' || isdigit(c))
			put_number(&scan, &output);
		else if (strchr("{}[]", c) != NULL && c != '\0')
			put_bracket(&scan, &output);
		else
			put(&output, text.data + scan.pos++, 1);
	}
	return output.len;
}
