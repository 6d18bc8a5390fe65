/*
 * idmap.c
 *		Clerk ids and the ids that an application already has.
 *
 * The local id of a user is what clerk.id_map says; else the claim that the instance names
 * (id_claim); else, unless the instance wants none, the UUID of version 5 (RFC 9562 section
 * 5.5) of the Clerk id in a namespace of ours.  So the first request after a sign-up has an
 * id before anything was written, and the same one everywhere.
 *
 * A value that does not fit the type that is asked for is NULL; it never falls back, since
 * that would be somebody else's id.  A row is looked up once for each place in a query and
 * run of the executor: no trigger tells anybody about new rows, so many sign-ups disturb no
 * reader.
 *
 * The UUIDs that are derived are reserved.  Anybody can compute that of a user who has no row
 * yet, and where users may choose their local id, one could take it.  Of what Clerk id a UUID
 * was derived cannot be seen, so a row or a claim with any UUID of version 5 but that of its
 * own Clerk id is no answer, unless no instance derives.
 *
 * These functions never raise.  clerk.id_map is written by SQL, and by track.c.
 */
#include "answer.h"

#include <ctype.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "common/cryptohash.h"
#include "common/sha1.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

#define UUID_TEXT_LENGTH 36

/* The UUID of version 5 of "clerk.com" in RFC 9562's namespace for domain names. */
static const unsigned char uuid_namespace[UUID_LEN] = {0x27, 0xf4, 0x1e, 0xbc, 0x28, 0xf4,
													   0x57, 0x01, 0x84, 0xa4, 0xf8, 0x3d,
													   0xc1, 0xd6, 0x65, 0x1c};

typedef enum IdMapColumn
{
	ID_MAP_CLERK_ID = 1,
	ID_MAP_MAPPED_ID
} IdMapColumn;

static const ClerkColumn columns[] = {
	{"clerk_id", TEXTOID, false},
	{"mapped_id", TEXTOID, false},
};

static ClerkTable id_map = {
	.name = "id_map", .columns = columns, .n_columns = lengthof(columns), .n_keys = 1};

void
clerk_idmap_init(void)
{
	clerk_table_register(&id_map);
}

static pg_uuid_t *
make_uuid(const char *clerk_id)
{
	pg_cryptohash_ctx *ctx = pg_cryptohash_create(PG_SHA1);
	unsigned char digest[SHA1_DIGEST_LENGTH];
	pg_uuid_t *uuid = palloc(sizeof(pg_uuid_t));

	if (ctx == NULL || pg_cryptohash_init(ctx) < 0 ||
		pg_cryptohash_update(ctx, uuid_namespace, UUID_LEN) < 0 ||
		pg_cryptohash_update(ctx, (const uint8 *) clerk_id, strlen(clerk_id)) < 0 ||
		pg_cryptohash_final(ctx, digest, sizeof(digest)) < 0)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
						errmsg("could not compute a SHA-1 digest")));
	pg_cryptohash_free(ctx);
	memcpy(uuid->data, digest, UUID_LEN);
	uuid->data[6] = (uuid->data[6] & 0x0f) | 0x50;
	uuid->data[8] = (uuid->data[8] & 0x3f) | 0x80;
	return uuid;
}

/* 8-4-4-4-12 hexadecimal digits, the one form that is unique but for its case. */
static bool
is_uuid(const char *text)
{
	for (int i = 0; i < UUID_TEXT_LENGTH; i++)
	{
		bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;

		if (hyphen ? text[i] != '-' : !isxdigit((unsigned char) text[i]))
			return false;
	}
	return text[UUID_TEXT_LENGTH] == '\0';
}

/*
 * The UUID that a text spells, in any way that a cast to uuid takes, as a policy may make one
 * of mapped_text(); or with spaces around it or as a URN, as an application may.
 */
static bool
read_uuid(const char *text, pg_uuid_t *uuid)
{
	int n_digits = 0;

	while (isspace((unsigned char) *text))
		text++;
	if (pg_strncasecmp(text, "urn:uuid:", 9) == 0)
		text += 9;
	for (; *text != '\0'; text++)
	{
		uint8 digit;

		if (strchr("{}-", *text) != NULL || isspace((unsigned char) *text))
			continue;
		if (!isxdigit((unsigned char) *text) || n_digits == 2 * UUID_LEN)
			return false;
		digit = (uint8) (isdigit((unsigned char) *text) ? *text - '0'
														: (*text | 0x20) - 'a' + 10);
		uuid->data[n_digits / 2] = (uint8) (uuid->data[n_digits / 2] << 4) | digit;
		n_digits++;
	}
	return n_digits == 2 * UUID_LEN;
}

/* May this be the derived UUID of another Clerk id? */
bool
clerk_idmap_is_reserved(const char *clerk_id, const char *mapped_id)
{
	pg_uuid_t uuid;

	return read_uuid(mapped_id, &uuid) && (uuid.data[6] & 0xf0) == 0x50 &&
		   (uuid.data[8] & 0xc0) == 0x80 &&
		   memcmp(&uuid, make_uuid(clerk_id), UUID_LEN) != 0 &&
		   clerk_keys_reserve_uuids();
}

PG_FUNCTION_INFO_V1(clerk_rls_is_reserved_id);

/* For those who write clerk.id_map. */
Datum
clerk_rls_is_reserved_id(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(clerk_idmap_is_reserved(text_to_cstring(PG_GETARG_TEXT_PP(0)),
							   text_to_cstring(PG_GETARG_TEXT_PP(1))));
}

/* A local id as a value of a type; false when it does not fit. */
typedef bool (*Convert)(const char *text, Datum *value);

static bool
to_uuid(const char *text, Datum *value)
{
	if (!is_uuid(text))
		return false;
	*value = DirectFunctionCall1(uuid_in, CStringGetDatum(text));
	return true;
}

/* Only as bigint itself would be written, so that no two texts are one number. */
static bool
to_bigint(const char *text, Datum *value)
{
	char *end;
	int64 number;

	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno != 0 || strcmp(text, psprintf(INT64_FORMAT, number)) != 0)
		return false;
	*value = Int64GetDatum(number);
	return true;
}

static bool
to_text(const char *text, Datum *value)
{
	if (text[0] == '\0')
		return false;
	*value = CStringGetTextDatum(text);
	return true;
}

static bool
read_mapped_id(HeapTuple tuple, TupleDesc desc, void *arg)
{
	bool isnull;
	Datum value = heap_getattr(tuple, ID_MAP_MAPPED_ID, desc, &isnull);

	*(char **) arg = TextDatumGetCString(value);
	return true;
}

/*
 * The row of clerk.id_map, or NULL.  If that cannot be read, a text that fits no type, since
 * what else the id would be mapped to may be somebody else's.
 */
static const char *
mapped_by_row(const char *clerk_id)
{
	char *mapped_id = NULL;

	if (clerk_table_read(&id_map, 1, &clerk_id, read_mapped_id, &mapped_id) ==
		CLERK_ROWS_UNREADABLE)
		return "";
	return mapped_id;
}

/*
 * The claim that the instance names: NULL when it is absent or null, and a text that fits
 * no type when it is neither a string nor a number.
 */
static const char *
mapped_by_claim(const ClerkSession *session)
{
	const char *name = session->instance->id_claim;
	Jsonb *claims;
	JsonbValue *claim;

	if (name == NULL)
		return NULL;
	claims =
		DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(session->payload)));
	claim = getKeyJsonValueFromContainer(&claims->root, name, (int) strlen(name), NULL);
	if (claim == NULL || claim->type == jbvNull)
		return NULL;
	if (claim->type == jbvString)
		return pnstrdup(claim->val.string.val, claim->val.string.len);
	if (claim->type == jbvNumeric)
		return DatumGetCString(
			DirectFunctionCall1(numeric_out, NumericGetDatum(claim->val.numeric)));
	return "";
}

static const char *
mapped_by_uuid(const char *clerk_id)
{
	return DatumGetCString(
		DirectFunctionCall1(uuid_out, UUIDPGetDatum(make_uuid(clerk_id))));
}

/* Where the local id of the user comes from, and whether it fits a uuid, for people. */
const char *
clerk_idmap_describe(const ClerkSession *session)
{
	const char *mapped_id = mapped_by_row(session->subject);
	const char *origin = "a row of clerk.id_map";

	if (mapped_id != NULL && mapped_id[0] == '\0')
		return "none, as clerk.id_map cannot be read; mapped_id() is NULL";
	if (mapped_id == NULL)
	{
		mapped_id = mapped_by_claim(session);
		origin = "the claim that the instance's id_claim names";
	}
	if (mapped_id != NULL && clerk_idmap_is_reserved(session->subject, mapped_id))
		return psprintf("none: %s has a UUID of version 5 that is not the one of this Clerk "
						"id, and so may be another user's",
						origin);
	if (mapped_id != NULL)
		return psprintf("from %s; mapped_id() is %s", origin,
						is_uuid(mapped_id) ? "this uuid" : "NULL, since it is no uuid");
	return session->instance->has_uuid_fallback ? "the UUID of version 5 of the Clerk id"
												: "none; mapped_id() is NULL";
}

/* What a row or a claim has for a Clerk id, or NULL; then the UUID, where it is wanted. */
static bool
answer(const char *clerk_id, const char *mapped_id, bool has_uuid_fallback,
	   Convert convert, Datum *value)
{
	if (mapped_id == NULL && !has_uuid_fallback)
		return false;
	if (mapped_id == NULL)
		return convert(mapped_by_uuid(clerk_id), value);
	return convert(mapped_id, value) && !clerk_idmap_is_reserved(clerk_id, mapped_id);
}

static bool
map_user(const ClerkSession *session, Convert convert, Datum *value)
{
	const char *mapped_id = mapped_by_row(session->subject);

	if (mapped_id == NULL)
		mapped_id = mapped_by_claim(session);
	return answer(session->subject, mapped_id, session->instance->has_uuid_fallback,
				  convert, value);
}

static bool
unpack_mapped_id(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	return map_user(session, to_uuid, value);
}

CLERK_ANSWER_FUNCTION(mapped_id, UUID_LEN)

static bool
unpack_mapped_bigint(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	return map_user(session, to_bigint, value);
}

CLERK_ANSWER_FUNCTION(mapped_bigint, CLERK_ANSWER_BY_VALUE)

static bool
unpack_mapped_text(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	return map_user(session, to_text, value);
}

CLERK_ANSWER_FUNCTION(mapped_text, CLERK_ANSWER_VARLENA)

/* Of an id that no token vouches for: no claim, and the fallback only where it is wanted. */
static bool
map_other(const char *clerk_id, bool has_uuid_fallback, Convert convert, Datum *value)
{
	return answer(clerk_id, mapped_by_row(clerk_id), has_uuid_fallback, convert, value);
}

static bool
map_org(const ClerkSession *session, Convert convert, Datum *value)
{
	return session->grants->org_id != NULL &&
		   map_other(session->grants->org_id, session->instance->has_uuid_fallback,
					 convert, value);
}

static bool
unpack_mapped_org_id(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	return map_org(session, to_uuid, value);
}

CLERK_ANSWER_FUNCTION(mapped_org_id, UUID_LEN)

static bool
unpack_mapped_org_bigint(const ClerkSession *session, FunctionCallInfo fcinfo,
						 Datum *value)
{
	return map_org(session, to_bigint, value);
}

CLERK_ANSWER_FUNCTION(mapped_org_bigint, CLERK_ANSWER_BY_VALUE)

static bool
unpack_mapped_org_text(const ClerkSession *session, FunctionCallInfo fcinfo, Datum *value)
{
	return map_org(session, to_text, value);
}

CLERK_ANSWER_FUNCTION(mapped_org_text, CLERK_ANSWER_VARLENA)

/* An id does not say its instance, so without a session each of them must want it. */
static bool
wants_uuid_fallback(const ClerkSession *session)
{
	return session != NULL ? session->instance->has_uuid_fallback
						   : clerk_keys_want_uuid_fallback();
}

PG_FUNCTION_INFO_V1(clerk_rls_mapped_id_of);

/* For any Clerk id, also when nobody is signed in. */
Datum
clerk_rls_mapped_id_of(PG_FUNCTION_ARGS)
{
	const char *clerk_id = text_to_cstring(PG_GETARG_TEXT_PP(0));
	const ClerkSession *session = clerk_session();
	Datum value;
	bool mapped;

	if (session != NULL && strcmp(clerk_id, session->subject) == 0)
		mapped = map_user(session, to_uuid, &value);
	else
		mapped = map_other(clerk_id, wants_uuid_fallback(session), to_uuid, &value);
	if (!mapped)
		PG_RETURN_NULL();
	return value;
}
