/*
 * keys.c
 *		The tables clerk.instances and clerk.jwks as parsed keys, and their invalidation.
 *
 * Instances and keys are read when a token asks for them and kept until one of the tables
 * changes.  A trigger on each table (ENABLE ALWAYS, so also under
 * session_replication_role = replica, and per row, so also in an apply worker) sends a
 * relcache invalidation, which reaches every backend, here and on standbys, and once more
 * this one if the transaction rolls back.
 *
 * A row that cannot be used counts as absent; load_jwks() says so when it is loaded.
 * Called by session.c; the SQL functions at the end by the trigger and by load_jwks().
 */
#include "clerk_rls.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
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
	JWKS_ANY_KID
} JwksColumn;

typedef struct InstanceEntry
{
	const char *issuer;
	ClerkInstance *instance;
	char status;
} InstanceEntry;

static inline uint32
hash_text(const char *text)
{
	return hash_bytes((const unsigned char *) text, (int) strlen(text));
}

#define SH_PREFIX instances
#define SH_ELEMENT_TYPE InstanceEntry
#define SH_KEY_TYPE const char *
#define SH_KEY issuer
#define SH_HASH_KEY(tb, key) hash_text(key)
#define SH_EQUAL(tb, a, b) (strcmp(a, b) == 0)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* All that was read since the last change, in keys_context. */
static MemoryContext keys_context = NULL;
static instances_hash *instances = NULL;

/* Counts the changes, so that whoever keeps something can tell when to let it go. */
static uint64 epoch = 0;
static bool stale = true;

/* InvalidOid while unknown. */
static Oid instances_oid = InvalidOid;
static Oid jwks_oid = InvalidOid;

/*
 * A relation was changed, or everything may have been.  Only marks: what is in use must
 * stay, and nothing may be read here.  While our tables are unknown any relation may be
 * one of them.
 */
static void
relation_changed(Datum arg, Oid relid)
{
	if (OidIsValid(relid) && relid != instances_oid && relid != jwks_oid &&
		OidIsValid(instances_oid) && OidIsValid(jwks_oid))
		return;
	stale = true;
}

void
clerk_keys_init(void)
{
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
}

/*
 * Forgets everything if anything has changed; to be called before the first question of a
 * verification, and not within one.  What clerk_keys_*() returned lives until the number
 * returned here changes.
 */
uint64
clerk_keys_refresh(void)
{
	if (!stale && OidIsValid(instances_oid) && OidIsValid(jwks_oid))
		return epoch;
	if (keys_context == NULL)
		keys_context =
			AllocSetContextCreate(TopMemoryContext, "clerk keys", ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(keys_context);
	instances = instances_create(keys_context, 8, NULL);
	epoch++;
	/*
	 * Before the look-ups: what changes during them makes it stale again, and one that is
	 * cancelled is made again.
	 */
	stale = false;
	instances_oid = jwks_oid = InvalidOid;
	instances_oid = clerk_table_oid("instances");
	jwks_oid = clerk_table_oid("jwks");
	return epoch;
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

/* In microseconds; 0 for NULL. */
static int64
read_interval(HeapTuple tuple, TupleDesc desc, int column)
{
	bool isnull;
	Datum value = heap_getattr(tuple, column, desc, &isnull);
	const Interval *interval;

	if (isnull)
		return 0;
	interval = DatumGetIntervalP(value);
	return interval->time +
		   (interval->day + (int64) interval->month * DAYS_PER_MONTH) * USECS_PER_DAY;
}

/* Does this row of clerk.instances say id_fallback = 'uuid_v5'? */
bool
clerk_keys_has_uuid_fallback(HeapTuple tuple, TupleDesc desc)
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

static void
read_instance(HeapTuple tuple, TupleDesc desc, void *arg)
{
	MemoryContext old_context = MemoryContextSwitchTo(keys_context);
	ClerkInstance *instance = palloc0(sizeof(ClerkInstance));
	ClerkPolicy *policy = &instance->policy;
	bool isnull;
	Datum value = heap_getattr(tuple, INSTANCE_ROLE, desc, &isnull);

	if (!isnull)
		instance->role = pstrdup(NameStr(*DatumGetName(value)));
	value = heap_getattr(tuple, INSTANCE_ID_CLAIM, desc, &isnull);
	if (!isnull)
		instance->id_claim = TextDatumGetCString(value);
	instance->has_uuid_fallback = clerk_keys_has_uuid_fallback(tuple, desc);
	value = heap_getattr(tuple, INSTANCE_LEGACY_TEMPLATE_UNTIL, desc, &isnull);
	if (!isnull)
		instance->legacy_template_until = clerk_unix_time(DatumGetTimestampTz(value));
	policy->token_type = read_token_type(tuple, desc);
	policy->authorized_parties = read_strings(tuple, desc, INSTANCE_AUTHORIZED_PARTIES,
											  &policy->n_authorized_parties);
	policy->audiences =
		read_strings(tuple, desc, INSTANCE_AUDIENCES, &policy->n_audiences);
	policy->clock_skew = read_interval(tuple, desc, INSTANCE_CLOCK_SKEW);
	policy->max_token_age = read_interval(tuple, desc, INSTANCE_MAX_TOKEN_AGE);
	policy->accept_templates =
		DatumGetBool(heap_getattr(tuple, INSTANCE_ACCEPT_TEMPLATES, desc, &isnull));
	*(ClerkInstance **) arg = instance;
	MemoryContextSwitchTo(old_context);
}

/* The instance with this issuer, or NULL; see clerk_keys_refresh() for how long. */
ClerkInstance *
clerk_keys_instance(const char *issuer)
{
	InstanceEntry *entry = instances_lookup(instances, issuer);
	ClerkInstance *instance;
	bool found;

	if (entry != NULL)
		return entry->instance;
	if (!clerk_table_read(instances_oid, "instances_pkey", 1, &issuer, read_instance,
						  &instance))
		return NULL;
	instance->issuer = MemoryContextStrdup(keys_context, issuer);
	instances_insert(instances, instance->issuer, &found)->instance = instance;
	return instance;
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

/* Parsed in the current context, and moved to keys_context only if it is of use. */
static void
read_key(HeapTuple tuple, TupleDesc desc, void *arg)
{
	ClerkJwk *jwk = alloc_owning_jwk(CurrentMemoryContext, sizeof(ClerkJwk), 0);
	ClerkKey **list = arg;
	ClerkKey *key;
	bool isnull;
	Datum value = heap_getattr(tuple, JWKS_JWK, desc, &isnull);

	if (parse_jwk(DatumGetJsonbP(value), jwk) != CLERK_OK)
		return;
	key = alloc_owning_jwk(keys_context, sizeof(ClerkKey), offsetof(ClerkKey, jwk));
	key->jwk = *jwk;
	memset(jwk, 0, sizeof(*jwk));
	value = heap_getattr(tuple, JWKS_KID, desc, &isnull);
	key->kid = MemoryContextStrdup(keys_context, TextDatumGetCString(value));
	value = heap_getattr(tuple, JWKS_EXPIRES_AT, desc, &isnull);
	key->expiry = isnull ? PG_INT64_MAX : clerk_unix_time(DatumGetTimestampTz(value));
	key->next = *list;
	*list = key;
}

/* The key of an instance with this kid, or NULL; it may have expired. */
ClerkKey *
clerk_keys_find(ClerkInstance *instance, const char *kid)
{
	const char *const primary_key[] = {instance->issuer, kid};

	for (ClerkKey *key = instance->keys; key != NULL; key = key->next)
	{
		if (strcmp(key->kid, kid) == 0)
			return key;
	}
	if (!clerk_table_read(jwks_oid, "jwks_pkey", 2, primary_key, read_key,
						  &instance->keys) ||
		instance->keys == NULL || strcmp(instance->keys->kid, kid) != 0)
		return NULL;
	return instance->keys;
}

static void
read_key_for_any_kid(HeapTuple tuple, TupleDesc desc, void *arg)
{
	bool isnull;

	if (DatumGetBool(heap_getattr(tuple, JWKS_ANY_KID, desc, &isnull)))
		read_key(tuple, desc, arg);
}

/* The list of the keys that an instance has for tokens of any kid, or NULL. */
ClerkKey *
clerk_keys_for_any_kid(ClerkInstance *instance)
{
	if (!instance->knows_keys_for_any_kid)
		(void) clerk_table_read(jwks_oid, "jwks_pkey", 1, &instance->issuer,
								read_key_for_any_kid, &instance->keys_for_any_kid);
	instance->knows_keys_for_any_kid = true;
	return instance->keys_for_any_kid;
}

PG_FUNCTION_INFO_V1(clerk_rls_invalidate);

/* The trigger: tells every backend that the table has changed, once this has committed. */
Datum
clerk_rls_invalidate(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("clerk.invalidate() must be called as a trigger")));
	CacheInvalidateRelcache(((TriggerData *) fcinfo->context)->tg_relation);
	return PointerGetDatum(NULL);
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
		elog(ERROR, "clerk.check_jwk() must return a row");
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
	ClerkStatus status = clerk_jwk_of_spki(clerk_text_slice(PG_GETARG_BYTEA_PP(0)), json);
	const ClerkReason *reason = clerk_status_reason(status);

	if (status != CLERK_OK)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the key is refused"), errdetail("%s", reason->detail),
						reason->hint ? errhint("%s", reason->hint) : 0, errhidestmt(true),
						errhidecontext(true)));
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json));
}
