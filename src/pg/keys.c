/*
 * keys.c
 *		The tables clerk.instances and clerk.jwks as parsed keys.
 *
 * Instances and keys are read when a token asks for them and kept until one of the tables
 * changes (table.c).
 *
 * A key that cannot be used counts as absent; load_jwks() says so when it is loaded.  A table
 * that cannot be read is none in which there is nothing: the answer is a status then.
 * Called by session.c; the SQL functions at the end by load_jwks() and load_pem().
 */
#include "clerk_pg.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* The columns that are read; the order is that of CREATE TABLE. */
typedef enum InstanceColumn
{
	INSTANCE_ISSUER = 1,
	INSTANCE_PUBLISHABLE_KEY,
	INSTANCE_JWKS_URL,
	INSTANCE_AUTHORIZED_PARTIES,
	INSTANCE_AUDIENCES,
	INSTANCE_CLOCK_SKEW,
	INSTANCE_ID_CLAIM,
	INSTANCE_ID_FALLBACK,
	INSTANCE_ROLE,
	INSTANCE_ACCEPT_TEMPLATES,
	INSTANCE_MAX_TOKEN_AGE,
	INSTANCE_CREATED_AT,
	INSTANCE_ID_TYPE,
	INSTANCE_LEGACY_TEMPLATE_UNTIL,
	INSTANCE_TOKEN_TYPE
} InstanceColumn;

typedef enum JwksColumn
{
	JWKS_ISSUER = 1,
	JWKS_KID,
	JWKS_JWK,
	JWKS_EXPIRES_AT,
	JWKS_ANY_KID,
	JWKS_IS_RETIRED
} JwksColumn;

static const ClerkColumn instance_columns[] = {
	{"issuer", TEXTOID, false},
	{"publishable_key", TEXTOID, true},
	{"jwks_url", TEXTOID, true},
	{"authorized_parties", TEXTARRAYOID, true},
	{"audiences", TEXTARRAYOID, true},
	{"clock_skew", INTERVALOID, false},
	{"id_claim", TEXTOID, true},
	{"id_fallback", TEXTOID, false},
	{"role", NAMEOID, true},
	{"accept_templates", BOOLOID, false},
	{"max_token_age", INTERVALOID, true},
	{"created_at", TIMESTAMPTZOID, false},
	{"id_type", TEXTOID, true},
	{"legacy_template_until", TIMESTAMPTZOID, true},
	{"token_type", TEXTOID, false},
};

static const ClerkColumn jwks_columns[] = {
	{"issuer", TEXTOID, false},			 {"kid", TEXTOID, false},
	{"jwk", JSONBOID, false},			 {"expires_at", TIMESTAMPTZOID, true},
	{"any_kid", BOOLOID, false},		 {"is_retired", BOOLOID, false},
};

static ClerkTable instances_table = {.name = "instances",
									 .columns = instance_columns,
									 .n_columns = lengthof(instance_columns),
									 .n_keys = 1};
static ClerkTable jwks_table = {.name = "jwks",
								.columns = jwks_columns,
								.n_columns = lengthof(jwks_columns),
								.n_keys = 2};

/* An instance by its issuer, or a key by its kid. */
typedef struct NamedEntry
{
	const char *name;
	void *value;
	char status;
} NamedEntry;

static inline uint32
hash_text(const char *text)
{
	return hash_bytes((const unsigned char *) text, (int) strlen(text));
}

#define SH_PREFIX named
#define SH_ELEMENT_TYPE NamedEntry
#define SH_KEY_TYPE const char *
#define SH_KEY name
#define SH_HASH_KEY(tb, key) hash_text(key)
#define SH_EQUAL(tb, a, b) (strcmp(a, b) == 0)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* All that was read since the last change, in keys_context. */
static MemoryContext keys_context = NULL;
static named_hash *instances = NULL;

/* Counts the changes, so that whoever keeps something can tell when to let it go. */
static uint64 epoch = 0;

/* The changes of both tables that were known when the epoch began. */
static uint64 known_changes = 0;

static uint64
changes(void)
{
	return instances_table.changes + jwks_table.changes;
}

void
clerk_keys_init(void)
{
	clerk_table_register(&instances_table);
	clerk_table_register(&jwks_table);
}

/*
 * Forgets everything if anything has changed; to be called before the first question of a
 * verification, and not within one.  What clerk_keys_*() returned lives until the number
 * returned here changes.
 */
uint64
clerk_keys_refresh(void)
{
	if (instances != NULL && known_changes == changes())
		return epoch;
	if (keys_context == NULL)
		keys_context =
			AllocSetContextCreate(TopMemoryContext, "clerk keys", ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(keys_context);
	instances = NULL;
	epoch++;
	instances = named_create(keys_context, 8, NULL);
	known_changes = changes();
	return epoch;
}

/*
 * Has anything changed since?  Then what was read in this epoch need not have been there at
 * one moment.
 */
bool
clerk_keys_have_changed(void)
{
	return known_changes != changes();
}

/* A text[] as strings; NULL for a NULL array, and *n_strings untouched. */
static const char **
read_strings(HeapTuple tuple, TupleDesc desc, int column, int *n_strings)
{
	bool isnull;
	Datum array = heap_getattr(tuple, column, desc, &isnull);
	const char **strings;
	Datum *elems;

	if (isnull)
		return NULL;
	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &elems,
					  NULL, n_strings);
	strings = palloc((*n_strings + 1) * sizeof(char *));
	for (int i = 0; i < *n_strings; i++)
		strings[i] = TextDatumGetCString(elems[i]);
	return strings;
}

/* In microseconds; 0 for NULL.  False for one that is too long to be meant. */
static bool
read_interval(HeapTuple tuple, TupleDesc desc, int column, int64 *duration)
{
	bool isnull;
	Datum value = heap_getattr(tuple, column, desc, &isnull);
	const Interval *interval = isnull ? NULL : DatumGetIntervalP(value);

	*duration = 0;
	if (isnull)
		return true;
	return !pg_mul_s64_overflow(interval->day +
									(int64) interval->month * DAYS_PER_MONTH,
								USECS_PER_DAY, duration) &&
		   !pg_add_s64_overflow(*duration, interval->time, duration);
}

static bool
has_null_element(HeapTuple tuple, TupleDesc desc, int column)
{
	bool isnull;
	Datum array = heap_getattr(tuple, column, desc, &isnull);

	return !isnull && array_contains_nulls(DatumGetArrayTypeP(array));
}

/* Does this row of clerk.instances say id_fallback = 'uuid_v5'? */
static bool
has_uuid_fallback(HeapTuple tuple, TupleDesc desc)
{
	bool isnull;
	Datum value = heap_getattr(tuple, INSTANCE_ID_FALLBACK, desc, &isnull);

	return strcmp(TextDatumGetCString(value), "uuid_v5") == 0;
}

/* One that is not known is the strictest. */
static ClerkTokenType
read_token_type(HeapTuple tuple, TupleDesc desc)
{
	bool isnull;
	Datum value = heap_getattr(tuple, INSTANCE_TOKEN_TYPE, desc, &isnull);
	const char *type = isnull ? "" : TextDatumGetCString(value);

	if (strcmp(type, "access") == 0)
		return CLERK_TOKEN_ACCESS;
	return strcmp(type, "id") == 0 ? CLERK_TOKEN_ID : CLERK_TOKEN_SESSION;
}

/* Takes nothing from keys_context for a row that cannot be used. */
static bool
read_instance(HeapTuple tuple, TupleDesc desc, void *arg)
{
	MemoryContext old_context;
	ClerkInstance *instance;
	ClerkPolicy *policy;
	int64 clock_skew, max_token_age;
	bool isnull;
	Datum value = heap_getattr(tuple, INSTANCE_ROLE, desc, &isnull);

	if (!read_interval(tuple, desc, INSTANCE_CLOCK_SKEW, &clock_skew) ||
		!read_interval(tuple, desc, INSTANCE_MAX_TOKEN_AGE, &max_token_age) ||
		has_null_element(tuple, desc, INSTANCE_AUTHORIZED_PARTIES) ||
		has_null_element(tuple, desc, INSTANCE_AUDIENCES))
		return false;
	old_context = MemoryContextSwitchTo(keys_context);
	instance = palloc0(sizeof(ClerkInstance));
	policy = &instance->policy;
	if (!isnull)
		instance->role = pstrdup(NameStr(*DatumGetName(value)));
	value = heap_getattr(tuple, INSTANCE_ID_CLAIM, desc, &isnull);
	if (!isnull)
		instance->id_claim = TextDatumGetCString(value);
	instance->has_uuid_fallback = has_uuid_fallback(tuple, desc);
	value = heap_getattr(tuple, INSTANCE_LEGACY_TEMPLATE_UNTIL, desc, &isnull);
	if (!isnull)
		instance->legacy_template_until = clerk_unix_time(DatumGetTimestampTz(value));
	policy->token_type = read_token_type(tuple, desc);
	policy->authorized_parties = read_strings(tuple, desc, INSTANCE_AUTHORIZED_PARTIES,
											  &policy->n_authorized_parties);
	policy->audiences =
		read_strings(tuple, desc, INSTANCE_AUDIENCES, &policy->n_audiences);
	policy->clock_skew = clock_skew;
	policy->max_token_age = max_token_age;
	policy->accept_templates =
		DatumGetBool(heap_getattr(tuple, INSTANCE_ACCEPT_TEMPLATES, desc, &isnull));
	*(ClerkInstance **) arg = instance;
	MemoryContextSwitchTo(old_context);
	return true;
}

/* The instance with this issuer; see clerk_keys_refresh() for how long. */
ClerkStatus
clerk_keys_instance(const char *issuer, ClerkInstance **instance)
{
	NamedEntry *entry = named_lookup(instances, issuer);
	ClerkRows rows;
	bool found;

	if (entry != NULL)
	{
		*instance = entry->value;
		return CLERK_OK;
	}
	rows = clerk_table_read(&instances_table, 1, &issuer, read_instance, instance);
	if (rows != CLERK_ROWS_FOUND)
		return rows == CLERK_ROWS_NONE ? CLERK_ISSUER_UNKNOWN
									   : CLERK_INSTANCES_UNREADABLE;
	(*instance)->issuer = MemoryContextStrdup(keys_context, issuer);
	(*instance)->keys = named_create(keys_context, 4, NULL);
	named_insert(instances, (*instance)->issuer, &found)->value = *instance;
	return CLERK_OK;
}

static bool
read_fallback(HeapTuple tuple, TupleDesc desc, void *arg)
{
	if (!has_uuid_fallback(tuple, desc))
		*(bool *) arg = false;
	return true;
}

/* Does each instance want the local id of users without a mapping to be the UUID? */
bool
clerk_keys_want_uuid_fallback(void)
{
	bool wanted = true;

	return clerk_table_read(&instances_table, 0, NULL, read_fallback, &wanted) !=
			   CLERK_ROWS_UNREADABLE &&
		   wanted;
}

static bool
read_derives(HeapTuple tuple, TupleDesc desc, void *arg)
{
	if (has_uuid_fallback(tuple, desc))
		*(bool *) arg = true;
	return true;
}

/* May somebody's local id be a derived UUID?  Only if each instance says no, it may not. */
bool
clerk_keys_reserve_uuids(void)
{
	bool derives = false;

	return clerk_table_read(&instances_table, 0, NULL, read_derives, &derives) !=
			   CLERK_ROWS_FOUND ||
		   derives;
}

static void
free_jwk(void *jwk)
{
	clerk_jwk_free(jwk);
}

/* Room for a key in a context, which frees the key's handle when it is reset. */
static void *
alloc_owning_jwk(MemoryContext context, Size size, Size jwk_offset)
{
	char *chunk = MemoryContextAllocZero(context, size);
	MemoryContextCallback *callback =
		MemoryContextAllocZero(context, sizeof(MemoryContextCallback));

	callback->func = free_jwk;
	callback->arg = chunk + jwk_offset;
	MemoryContextRegisterResetCallback(context, callback);
	return chunk;
}

/* The status of a row's "jwk" for use in a signature check; *jwk is to be freed. */
static ClerkStatus
parse_jwk(Jsonb *jsonb, ClerkJwk *jwk)
{
	char *json = JsonbToCString(NULL, &jsonb->root, (int) VARSIZE(jsonb));
	ClerkStatus status = clerk_jwk_parse((ClerkSlice){json, strlen(json)}, jwk);

	if (status == CLERK_OK && clerk_jwa_of_key(jwk) == NULL)
		return CLERK_JWK_ALG_UNSUPPORTED;
	return status;
}

/* When it stops verifying, or has. */
static int64
read_expiry(HeapTuple tuple, TupleDesc desc)
{
	bool isnull;
	Datum value = heap_getattr(tuple, JWKS_IS_RETIRED, desc, &isnull);

	if (DatumGetBool(value))
		return PG_INT64_MIN;
	value = heap_getattr(tuple, JWKS_EXPIRES_AT, desc, &isnull);
	return isnull ? PG_INT64_MAX : clerk_unix_time(DatumGetTimestampTz(value));
}

/* Parsed in the current context, and moved to keys_context only if it is of use. */
static bool
read_key(HeapTuple tuple, TupleDesc desc, void *arg)
{
	ClerkJwk *jwk = alloc_owning_jwk(CurrentMemoryContext, sizeof(ClerkJwk), 0);
	ClerkKey **list = arg;
	ClerkKey *key;
	bool isnull;
	Datum value = heap_getattr(tuple, JWKS_JWK, desc, &isnull);

	if (parse_jwk(DatumGetJsonbP(value), jwk) != CLERK_OK)
		return true;
	key = alloc_owning_jwk(keys_context, sizeof(ClerkKey), offsetof(ClerkKey, jwk));
	key->jwk = *jwk;
	memset(jwk, 0, sizeof(*jwk));
	value = heap_getattr(tuple, JWKS_KID, desc, &isnull);
	key->kid = MemoryContextStrdup(keys_context, TextDatumGetCString(value));
	key->expiry = read_expiry(tuple, desc);
	key->next = *list;
	*list = key;
	return true;
}

/* The key of an instance with this kid, or NULL; it may have expired. */
ClerkStatus
clerk_keys_find(ClerkInstance *instance, const char *kid, ClerkKey **key)
{
	const char *const primary_key[] = {instance->issuer, kid};
	NamedEntry *entry = named_lookup(instance->keys, kid);
	bool found;

	*key = entry != NULL ? entry->value : NULL;
	if (*key != NULL)
		return CLERK_OK;
	if (clerk_table_read(&jwks_table, 2, primary_key, read_key, key) ==
		CLERK_ROWS_UNREADABLE)
		return CLERK_KEYS_UNREADABLE;
	if (*key != NULL)
		named_insert(instance->keys, (*key)->kid, &found)->value = *key;
	return CLERK_OK;
}

static bool
read_key_for_any_kid(HeapTuple tuple, TupleDesc desc, void *arg)
{
	bool isnull;

	if (DatumGetBool(heap_getattr(tuple, JWKS_ANY_KID, desc, &isnull)))
		return read_key(tuple, desc, arg);
	return true;
}

/* The list of the keys that an instance has for tokens of any kid, or NULL. */
ClerkStatus
clerk_keys_for_any_kid(ClerkInstance *instance, ClerkKey **list)
{
	*list = NULL;
	if (!instance->knows_keys_for_any_kid)
	{
		ClerkKey *keys = NULL;

		if (clerk_table_read(&jwks_table, 1, &instance->issuer, read_key_for_any_kid,
							 &keys) == CLERK_ROWS_UNREADABLE)
			return CLERK_KEYS_UNREADABLE;
		instance->keys_for_any_kid = keys;
		instance->knows_keys_for_any_kid = true;
	}
	*list = instance->keys_for_any_kid;
	return CLERK_OK;
}

PG_FUNCTION_INFO_V1(clerk_rls_check_jwk);

/*
 * For load_jwks(): may this key be used (problem is NULL), passed over (ignored), or must
 * the document be refused?
 */
Datum
clerk_rls_check_jwk(PG_FUNCTION_ARGS)
{
	ClerkJwk *jwk = alloc_owning_jwk(CurrentMemoryContext, sizeof(ClerkJwk), 0);
	ClerkStatus status = parse_jwk(PG_GETARG_JSONB_P(0), jwk);
	Datum values[2];
	bool nulls[2] = {false, status == CLERK_OK};
	TupleDesc desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "clerk_internal.check_jwk() must return a row");
	values[0] = BoolGetDatum(clerk_status_ignores_jwk(status));
	values[1] = CStringGetTextDatum(clerk_status_reason(status)->detail);
	PG_RETURN_DATUM(
		HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

PG_FUNCTION_INFO_V1(clerk_rls_jwk_of_spki);

/* For load_pem(): the key that stands in a PEM file, as a JWK. */
Datum
clerk_rls_jwk_of_spki(PG_FUNCTION_ARGS)
{
	char json[CLERK_MAX_JWK];
	ClerkStatus status = clerk_spki_to_jwk(clerk_text_slice(PG_GETARG_BYTEA_PP(0)), json);
	const ClerkReason *reason = clerk_status_reason(status);

	if (status != CLERK_OK)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the key is refused"), errdetail("%s", reason->detail),
						reason->hint ? errhint("%s", reason->hint) : 0, errhidestmt(true),
						errhidecontext(true)));
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json));
}
