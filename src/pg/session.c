/*
 * session.c
 *		Who is signed in?  Nobody else decides that.
 *
 * clerk_session() answers for the current request, clerk_session_verify() for a token that
 * the caller brings.  Both run the pipeline: shape, instance, type,
 * key, algorithm, signature, claims, revocation.  The first also picks the token among the
 * sources and compares the identities that the others name.
 *
 * Two things are remembered.  The answer for this request, until a setting, a key or an
 * instance changes, or the transaction ends; its times are checked for each question, against
 * the clock.  And the tokens that verified, under their SHA-256, so that the next request with the same
 * token costs a look-up; their times, and that of the key, are checked on every use, and
 * all of them go when a key or an instance changes.  Claims that are trusted without a token are
 * remembered likewise, apart from these.  A token that was refused is never remembered beyond the answer.
 *
 * Callers may keep what they were told for one run of the executor (ticket.c).  All places of a
 * run that keep an answer keep the same one: no row is shown to half of a user.  Expressions
 * that are evaluated outside of a run of their own, as PL/pgSQL does with simple ones, ask
 * each time; where such a question finds that the answer is another now, the ticket ends.
 *
 * Tables are read at any time in between, so what was read before may be out of date: if keys
 * or instances have changed during a question, it is asked again.
 *
 * A refusal is a status and not an error, since policies ask; only lack of
 * memory or a failing table read raises.  Called by everything that wants to know the user.
 */
#include "clerk_pg.h"

#include "common/hashfn.h"
#include "lib/ilist.h"
#include "mb/pg_wchar.h"
#include "storage/sinval.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"

typedef struct TokenEntry
{
	unsigned char digest[CLERK_DIGEST_LENGTH]; /* of the token; the hash key */
	dlist_node recency;
	ClerkSession *session; /* one chunk with its strings */
} TokenEntry;

/* The verified tokens of one epoch of the keys, the most recently used first. */
static MemoryContext cache_context = NULL;
static HTAB *cache = NULL;
static dlist_head cache_recency;
static uint64 cache_epoch = 0;

/* The answer for this request. */
static struct
{
	uint64 generation; /* that it was made under; 0: there is no answer */
	uint64 epoch;
	uint64 revocation_epoch;
	uint64 ticket;		   /* under which it was given last */
	TimestampTz statement; /* in which it was found */
	ClerkStatus status;
	ClerkSource source;
	const ClerkSession *session; /* in one of the caches */
} current;

/*
 * The sessions of claims that are trusted without a token, under clerk.trust_request_claims.  A
 * table of their own, by the text of the claims: no token may ever find one of them.
 */
typedef struct ClaimsEntry
{
	uint64 hash;
	ClerkSession *session; /* its payload is the text */
} ClaimsEntry;

static MemoryContext claims_context = NULL;
static HTAB *claims_cache = NULL;

/* How often a question is asked, if keys or instances change each time. */
#define MAX_LOOKS 8

/* What is foreign during a verification; freed with the context it is in. */
typedef struct Verification
{
	MemoryContextCallback callback;
	ClerkRequest request;
	ClerkJws jws;
	ClerkClaims claims;
	const ClerkInstance *instance; /* that the last token named; NULL: none of ours */
} Verification;

void
clerk_session_init(void)
{
	dlist_init(&cache_recency);
}

static void
free_verification(void *arg)
{
	Verification *verification = arg;

	clerk_source_free(&verification->request);
	clerk_jws_free(&verification->jws);
	clerk_claims_free(&verification->claims);
}

/* In a context of its own, which becomes the current one. */
static Verification *
begin_verification(void)
{
	Verification *verification;

	MemoryContextSwitchTo(AllocSetContextCreate(
		CurrentMemoryContext, "clerk verification", ALLOCSET_SMALL_SIZES));
	verification = palloc0(sizeof(Verification));
	verification->callback.func = free_verification;
	verification->callback.arg = verification;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &verification->callback);
	return verification;
}

static void
end_verification(MemoryContext old_context)
{
	MemoryContextDelete(MemoryContextSwitchTo(old_context));
}

/* Unix time of the question; not of the statement, since there may be many in one message. */
static int64 now = 0;

static void
read_clock(void)
{
	now = clerk_unix_time(GetCurrentTimestamp());
}

/* What is current must not be one of these, or is asked anew. */
static void
forget_claims(void)
{
	HASHCTL control = {.keysize = sizeof(uint64), .entrysize = sizeof(ClaimsEntry)};

	current.generation = 0;
	claims_cache = NULL;
	if (claims_context == NULL)
		claims_context = AllocSetContextCreate(TopMemoryContext, "clerk trusted claims",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(claims_context);
	control.hcxt = claims_context;
	claims_cache = hash_create("clerk trusted claims", 64, &control,
							   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* Forgets the verified tokens, and the trusted claims, if they are of another epoch. */
static void
refresh_cache(void)
{
	uint64 epoch = clerk_keys_refresh();
	HASHCTL control = {.keysize = CLERK_DIGEST_LENGTH, .entrysize = sizeof(TokenEntry)};

	if (cache != NULL && epoch == cache_epoch)
		return;
	cache = NULL;
	forget_claims();
	if (cache_context == NULL)
		cache_context = AllocSetContextCreate(TopMemoryContext, "clerk verified tokens",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(cache_context);
	dlist_init(&cache_recency);
	control.hcxt = cache_context;
	cache = hash_create("clerk verified tokens", 64, &control,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	cache_epoch = epoch;
}

static void
forget_token(TokenEntry *entry)
{
	if (current.session == entry->session)
		current.generation = 0;
	dlist_delete(&entry->recency);
	if (entry->session->agreeing_claims != NULL)
		pfree(entry->session->agreeing_claims);
	pfree(entry->session);
	hash_search(cache, entry->digest, HASH_REMOVE, NULL);
}

static ClerkSession *
recall_token(const unsigned char *digest)
{
	TokenEntry *entry = hash_search(cache, digest, HASH_FIND, NULL);

	if (entry == NULL)
		return NULL;
	dlist_move_head(&cache_recency, &entry->recency);
	return entry->session;
}

static void
remember_token(const unsigned char *digest, ClerkSession *session)
{
	TokenEntry *entry;
	bool found;

	while (hash_get_num_entries(cache) >= clerk_config_max_cached_tokens())
		forget_token(
			dlist_container(TokenEntry, recency, dlist_tail_node(&cache_recency)));
	entry = hash_search(cache, digest, HASH_ENTER, &found);
	Assert(!found);
	entry->session = session;
	dlist_push_head(&cache_recency, &entry->recency);
}

/* A copy at *end, which moves behind it. */
static const char *
append(char **end, const char *text, size_t len)
{
	char *copy = *end;

	if (text == NULL)
		return NULL;
	memcpy(copy, text, len);
	copy[len] = '\0';
	*end += len + 1;
	return copy;
}

static size_t
length(const char *text)
{
	return text != NULL ? strlen(text) : 0;
}

/* One chunk in context, with what it points to; nothing in it is foreign. */
static ClerkSession *
make_session(MemoryContext context, const ClerkInstance *instance,
			 const ClerkClaims *claims, ClerkSlice payload, int64 key_expiry)
{
	size_t subject_len = strlen(claims->subject);
	size_t session_id_len = length(claims->session_id);
	size_t actor_len = length(claims->actor);
	Size grants_size = clerk_grants_size(claims);
	ClerkSession *session =
		MemoryContextAlloc(context, sizeof(ClerkSession) + grants_size + subject_len +
										session_id_len + actor_len + payload.len + 4);
	char *end = (char *) (session + 1) + grants_size;

	StaticAssertStmt(sizeof(ClerkSession) % MAXIMUM_ALIGNOF == 0,
					 "what comes behind a session must be aligned");
	session->instance = instance;
	session->grants = clerk_grants_decode(claims, session + 1);
	session->subject = append(&end, claims->subject, subject_len);
	session->session_id = append(&end, claims->session_id, session_id_len);
	session->actor = append(&end, claims->actor, actor_len);
	session->payload = append(&end, payload.data, payload.len);
	session->times = claims->times;
	session->key_expiry = key_expiry;
	session->revocation_epoch = 0;
	session->agreeing_claims = NULL;
	return session;
}

/* Whether it was revoked is looked up anew only when the table of it has changed. */
static ClerkStatus
check_revocation(ClerkSession *session)
{
	uint64 epoch = clerk_revocation_epoch();
	ClerkStatus status;

	if (session->revocation_epoch == epoch)
		return CLERK_OK;
	status = clerk_revocation_check(session->session_id, session->subject,
									session->times.issued_at);
	if (status == CLERK_OK)
		session->revocation_epoch = epoch;
	return status;
}

/* Neither the key nor the token of a session may have ended meanwhile. */
static ClerkStatus
check_times(const ClerkSession *session)
{
	if (session->key_expiry <= now)
		return CLERK_KEY_UNKNOWN;
	return clerk_claims_check_times(&session->times, &session->instance->policy, now);
}

/* The checks that a verified token must pass again on every use. */
static ClerkStatus
check_again(ClerkSession *session)
{
	ClerkStatus status = check_times(session);

	return status == CLERK_OK ? check_revocation(session) : status;
}

/*
 * Whose claims are these?  They stay unverified; CLERK_OK says that they are those of a
 * registered instance.
 */
static ClerkStatus
identify(ClerkClaims *claims, ClerkSlice payload, ClerkInstance **instance)
{
	ClerkStatus status;

	clerk_claims_free(claims);
	status = clerk_claims_parse(payload, claims);
	if (status == CLERK_OK && claims->issuer == NULL)
		status = CLERK_ISSUER_UNKNOWN;
	if (status == CLERK_OK)
		status = clerk_keys_instance(claims->issuer, instance);
	if (status == CLERK_OK && !claims->ascii && GetDatabaseEncoding() != PG_UTF8)
		status = CLERK_PAYLOAD_NOT_ASCII;
	return status;
}

/*
 * May a token of this instance come from there?  A browser sends cookies along with requests
 * that any site starts, so one counts only where the instance says which sites may.
 */
static ClerkStatus
check_source(const Verification *verification, ClerkSource source,
			 const ClerkInstance *instance)
{
	if (source != CLERK_SOURCE_COOKIE)
		return CLERK_OK;
	if (instance->policy.authorized_parties == NULL)
		return CLERK_ISSUER_UNKNOWN;
	return clerk_request_may_use_cookies(&verification->request.fetch, &instance->policy)
			   ? CLERK_OK
			   : CLERK_COOKIE_CROSS_SITE;
}

/*
 * A template may have signed with a secret that PostgREST knows, and that nothing here ever
 * verifies by.  While an application moves away from it, PostgREST alone answers for those.
 */
static bool
is_legacy(const ClerkJws *jws, const ClerkInstance *instance)
{
	return strcmp(jws->alg, "HS256") == 0 && instance->legacy_template_until > now;
}

static ClerkStatus
identify_token(Verification *verification, ClerkSlice token, ClerkSource source,
			   ClerkInstance **instance)
{
	ClerkStatus status;

	clerk_jws_free(&verification->jws);
	status = clerk_jws_parse(token, &verification->jws);
	if (status == CLERK_OK)
		status = identify(&verification->claims, verification->jws.payload, instance);
	if (status == CLERK_OK)
		status = check_source(verification, source, *instance);
	if (status == CLERK_OK && is_legacy(&verification->jws, *instance))
		status = CLERK_ISSUER_LEGACY;
	return status;
}

static ClerkStatus
verify_with_key(const ClerkJws *jws, ClerkKey *key)
{
	ClerkStatus status;

	if (key->expiry <= now)
		return CLERK_KEY_UNKNOWN;
	status = clerk_jwa_check(&key->jwk, jws);
	return status == CLERK_OK ? clerk_jwa_verify(&key->jwk, jws) : status;
}

/*
 * By the key that the token names; if the instance has none of that name, by one of those
 * that it has for any, which come from a PEM file without a kid.
 */
static ClerkStatus
verify_signature(const ClerkJws *jws, ClerkInstance *instance, int64 *key_expiry)
{
	ClerkKey *key = NULL;
	ClerkStatus status = CLERK_OK;
	bool is_named;

	if (jws->kid != NULL)
		status = clerk_keys_find(instance, jws->kid, &key);
	is_named = key != NULL;
	if (status == CLERK_OK && !is_named)
		status = clerk_keys_for_any_kid(instance, &key);
	if (status != CLERK_OK)
		return status;
	status = CLERK_KEY_UNKNOWN;
	for (; key != NULL; key = is_named ? NULL : key->next)
	{
		*key_expiry = key->expiry;
		status = verify_with_key(jws, key);
		if (status == CLERK_OK)
			return status;
	}
	if (!is_named && jws->kid != NULL)
		clerk_unknown_kid_mark(instance);
	return status;
}

/* The rest of the pipeline, for a token that identify_token() has found to be ours. */
static ClerkStatus
verify_token(Verification *verification, ClerkInstance *instance, int64 *key_expiry)
{
	const ClerkJws *jws = &verification->jws;
	ClerkStatus status =
		clerk_claims_check_type(jws, &verification->claims, &instance->policy);

	if (status == CLERK_OK)
		status = verify_signature(jws, instance, key_expiry);
	if (status == CLERK_OK)
		status = clerk_claims_check(&verification->claims, &instance->policy, now);
	return status;
}

/* The session of a token that came from source. */
static ClerkStatus
resolve_token(Verification *verification, ClerkSlice token, ClerkSource source,
			  ClerkSession **session)
{
	unsigned char digest[CLERK_DIGEST_LENGTH];
	ClerkSession *known;
	ClerkInstance *instance;
	int64 key_expiry;
	ClerkStatus status;

	if (token.len > CLERK_MAX_TOKEN)
		return CLERK_TOKEN_TOO_LARGE;
	if (!clerk_jwa_sha256(token, digest))
		return CLERK_OUT_OF_MEMORY;
	known = recall_token(digest);
	if (known != NULL)
	{
		status = check_source(verification, source, known->instance);
		if (status != CLERK_OK)
			return status;
		verification->instance = known->instance;
		*session = known;
		return check_again(known);
	}

	status = identify_token(verification, token, source, &instance);
	if (status == CLERK_OK || status == CLERK_ISSUER_LEGACY)
		verification->instance = instance;
	if (status != CLERK_OK)
		return status;
	status = verify_token(verification, instance, &key_expiry);
	if (status != CLERK_OK)
		return status;
	known = make_session(cache_context, instance, &verification->claims,
						 verification->jws.payload, key_expiry);
	remember_token(digest, known);
	*session = known;
	return check_revocation(known);
}

/* Did the token, or what is there in its place, say nothing about a registered issuer? */
static bool
is_not_ours(ClerkStatus status)
{
	return status == CLERK_ISSUER_UNKNOWN || status == CLERK_ISSUER_LEGACY ||
		   clerk_status_reason(status)->step < CLERK_STEP_INSTANCE;
}

/* For clerk.stats; before the verification ends. */
static void
count_token(const Verification *verification, ClerkStatus status)
{
	const ClerkInstance *instance = verification->instance;

	clerk_stats_count(instance != NULL ? instance->issuer : NULL, status);
}

/*
 * Does the status of a candidate that was none of ours say more than that of one before?  Not
 * that of a cookie which is no token, as other software uses the name __session as well.
 */
static bool
says_more(ClerkStatus status, ClerkSource source, ClerkStatus kept)
{
	if (source == CLERK_SOURCE_COOKIE && status != CLERK_COOKIE_CROSS_SITE)
		return false;
	if (kept == CLERK_NO_TOKEN || kept == CLERK_TOKEN_LEFT_OVER)
		return true;
	return kept != CLERK_ISSUER_LEGACY && clerk_status_is_anonymous(kept) &&
		   !clerk_status_is_anonymous(status);
}

/*
 * The first candidate with a token of a registered issuer decides.  Without any, the
 * status of the first that was no token at all is kept, so that pre_request() can say it.
 * Cookies come last: beside a token that somebody has sent on purpose, they are not looked at.
 * *chosen is the index of the one whose status is returned, -1 if there is none.
 */
static ClerkStatus
choose_candidate(Verification *verification, int *chosen, ClerkSession **session)
{
	const ClerkRequest *request = &verification->request;
	ClerkStatus kept = request->has_left_over ? CLERK_TOKEN_LEFT_OVER : CLERK_NO_TOKEN;

	*chosen = -1;
	for (int i = 0; i < request->n_candidates; i++)
	{
		const ClerkCandidate *candidate = &request->candidates[i];
		ClerkStatus status = candidate->status;

		if (status == CLERK_OK)
			status =
				resolve_token(verification, candidate->token, candidate->source, session);
		if (!is_not_ours(status))
		{
			*chosen = i;
			return status;
		}
		if (says_more(status, candidate->source, kept))
		{
			*chosen = i;
			kept = status;
		}
	}
	return kept;
}

/* Do these claims, verified or not, name another user of a registered issuer? */
static bool
names_another(const ClerkSession *session, const ClerkInstance *instance,
			  const ClerkClaims *claims)
{
	return claims->subject != NULL && (instance != session->instance ||
									   strcmp(claims->subject, session->subject) != 0);
}

static bool
token_names_another(Verification *verification, const ClerkCandidate *candidate,
					const ClerkSession *session)
{
	ClerkInstance *instance;
	ClerkStatus status =
		identify_token(verification, candidate->token, candidate->source, &instance);

	if (status == CLERK_OK)
		return names_another(session, instance, &verification->claims);
	/* it is a token, and somebody else may read what we cannot */
	return clerk_status_is_unreadable(status) || status == CLERK_PAYLOAD_NOT_JSON ||
		   status == CLERK_PAYLOAD_NOT_ASCII || status == CLERK_OUT_OF_MEMORY;
}

/*
 * The claims that PostgREST verified, which need not be those of our token.  Those that name
 * nobody else are kept with the session, since they come with each request of it; those that
 * cannot be read may name anybody.
 */
static bool
claims_name_another(Verification *verification, ClerkSession *session)
{
	ClerkSlice claims = clerk_config_setting(CLERK_SETTING_CLAIMS);
	char *agreeing = session->agreeing_claims;
	ClerkInstance *instance;
	ClerkStatus status;

	if (claims.data == NULL || (agreeing != NULL && strcmp(agreeing, claims.data) == 0))
		return false;
	if (claims.len > CLERK_MAX_TOKEN)
		return true;
	status = identify(&verification->claims, claims, &instance);
	if (status == CLERK_OK ? names_another(session, instance, &verification->claims)
						   : status != CLERK_ISSUER_UNKNOWN)
		return true;
	session->agreeing_claims = NULL;
	if (agreeing != NULL)
		pfree(agreeing);
	session->agreeing_claims = MemoryContextStrdup(cache_context, claims.data);
	return false;
}

/*
 * Does a token of the request name another user than the session's?  All are asked but the
 * chosen one; with -1, all.  Cookies are asked only if one was chosen, and a header with
 * several values may name anybody.
 */
static bool
others_name_another(Verification *verification, int chosen, const ClerkSession *session)
{
	const ClerkRequest *request = &verification->request;
	const ClerkCandidate *choice = chosen >= 0 ? &request->candidates[chosen] : NULL;

	for (int i = 0; i < request->n_candidates; i++)
	{
		const ClerkCandidate *other = &request->candidates[i];

		if (other == choice ||
			(other->source == CLERK_SOURCE_COOKIE &&
			 (choice == NULL || choice->source != CLERK_SOURCE_COOKIE)))
			continue;
		if (other->status != CLERK_OK)
			return true;
		if (choice != NULL && clerk_slice_equal(other->token, choice->token))
			continue;
		if (token_names_another(verification, other, session))
			return true;
	}
	return false;
}

/* Does any other source of the request name another user than the session's? */
static bool
has_mismatch(Verification *verification, int chosen, ClerkSession *session)
{
	return others_name_another(verification, chosen, session) ||
		   claims_name_another(verification, session);
}

static uint64
hash_claims(ClerkSlice payload)
{
	return hash_bytes_extended((const unsigned char *) payload.data, (int) payload.len, 0);
}

static ClerkSession *
recall_claims(ClerkSlice payload)
{
	uint64 hash = hash_claims(payload);
	ClaimsEntry *entry = hash_search(claims_cache, &hash, HASH_FIND, NULL);

	return entry != NULL && strcmp(entry->session->payload, payload.data) == 0
			   ? entry->session
			   : NULL;
}

/* Forgets them all when there are too many: they come again and again, or for a moment. */
static ClerkSession *
remember_claims(ClerkSlice payload, const ClerkInstance *instance,
				const ClerkClaims *claims)
{
	uint64 hash = hash_claims(payload);
	ClerkSession *session;
	ClaimsEntry *entry;
	bool found;

	if (hash_get_num_entries(claims_cache) >= clerk_config_max_cached_tokens())
		forget_claims();
	session = make_session(claims_context, instance, claims, payload, PG_INT64_MAX);
	entry = hash_search(claims_cache, &hash, HASH_ENTER, &found);
	if (found)
		pfree(entry->session);
	entry->session = session;
	return session;
}

/* The session of claims without a token; see clerk.trust_request_claims in config.c. */
static ClerkStatus
trust_claims(Verification *verification, ClerkSession **session)
{
	ClerkSlice payload = clerk_config_setting(CLERK_SETTING_CLAIMS);
	ClerkClaims *claims = &verification->claims;
	ClerkInstance *instance;
	ClerkStatus status;

	if (payload.data == NULL)
		return CLERK_NO_TOKEN;
	if (payload.len > CLERK_MAX_TOKEN)
		return CLERK_TOKEN_TOO_LARGE;
	*session = recall_claims(payload);
	if (*session != NULL)
		return check_again(*session);
	clerk_jws_free(&verification->jws);
	status = identify(claims, payload, &instance);
	if (status == CLERK_OK)
		status = clerk_claims_check_type(&verification->jws, claims, &instance->policy);
	if (status == CLERK_OK)
		status = clerk_claims_check(claims, &instance->policy, now);
	if (status != CLERK_OK)
		return status;
	*session = remember_claims(payload, instance, claims);
	return check_revocation(*session);
}

/*
 * Headers may be as old as a connection: Realtime keeps those of the socket's first request, and
 * tells who it is from by claims that are always new.  So where claims are trusted, a header's
 * token that is good but for its time leaves the answer to them, as the same user's only.
 */
static bool
is_stale_header(ClerkStatus status, ClerkSource source)
{
	return status == CLERK_EXPIRED && clerk_config_trusts_claims() &&
		   (source == CLERK_SOURCE_CLERK_HEADER || source == CLERK_SOURCE_AUTHORIZATION);
}

/* The claims beside such a token; without good ones, it is the token that is refused. */
static ClerkStatus
trust_claims_instead(Verification *verification, ClerkSource *source, ClerkSession **session)
{
	if (trust_claims(verification, session) != CLERK_OK)
		return CLERK_EXPIRED;
	*source = CLERK_SOURCE_CLAIMS;
	if (others_name_another(verification, -1, *session))
		return CLERK_IDENTITY_MISMATCH;
	return CLERK_OK;
}

/* Who makes this request?  *session is set only if CLERK_OK is returned. */
static ClerkStatus
identify_request(Verification *verification, ClerkSource *source, ClerkSession **session)
{
	const ClerkRequest *request = &verification->request;
	int chosen;
	ClerkStatus status;

	clerk_source_read(&verification->request);
	status = choose_candidate(verification, &chosen, session);
	if (chosen >= 0)
		*source = request->candidates[chosen].source;
	if (status == CLERK_OK && has_mismatch(verification, chosen, *session))
		return CLERK_IDENTITY_MISMATCH;
	if (is_stale_header(status, *source))
		return trust_claims_instead(verification, source, session);
	if (!is_not_ours(status))
		return status;
	if (request->n_candidates == 0 && clerk_config_trusts_claims())
	{
		*source = CLERK_SOURCE_CLAIMS;
		return trust_claims(verification, session);
	}
	return status;
}

/*
 * For how long may what clerk_session() has just said be kept, in the memory of a function,
 * which is context?  While clerk_ticket is what is returned: for this run of the executor,
 * if the function is part of it; not at all where the settings change unnoticed.
 */
uint64
clerk_session_ticket(MemoryContext context)
{
	if (!clerk_ticket_is_for(context) || current.generation != clerk_ticket_generation ||
		!clerk_config_notices_changes())
		return 0;
	return clerk_ticket;
}

/*
 * If only the time has changed, a session that is still good is the answer.  Who is nobody
 * stays that until the next statement of the client, so that a bad token is not verified
 * for each row.
 */
static bool
current_is_valid(void)
{
	if (current.generation != clerk_ticket_generation ||
		current.epoch != clerk_keys_refresh() ||
		current.revocation_epoch != clerk_revocation_epoch())
		return false;
	if (current.session == NULL)
		return current.statement == GetCurrentStatementStartTimestamp();
	return check_times(current.session) == CLERK_OK;
}

/*
 * The generation is taken first: what changes meanwhile puts the answer out of date.  Until
 * the end there is no answer, so that an error leaves none.  No place may keep what was said
 * before beside what is said now.  A token counts once for each request, and again if the
 * answer is another.
 */
static void
establish_session(void)
{
	uint64 generation = clerk_ticket_generation;
	uint64 revocation_epoch = clerk_revocation_epoch();
	MemoryContext old_context = CurrentMemoryContext;
	ClerkSession *session;
	ClerkSource source;
	bool is_same_request = current.generation == generation;
	Verification *verification;
	ClerkStatus status;
	bool is_last;

	current.generation = 0;
	current.session = NULL;
	(void) clerk_ticket_new();
	for (int i = 0; i < MAX_LOOKS; i++)
	{
		refresh_cache();
		session = NULL;
		source = CLERK_SOURCE_NONE;
		verification = begin_verification();
		status = identify_request(verification, &source, &session);
		is_last = i == MAX_LOOKS - 1 || !clerk_keys_have_changed();
		if (is_last && source != CLERK_SOURCE_CLAIMS &&
			!(is_same_request && status == current.status))
			count_token(verification, status);
		end_verification(old_context);
		if (is_last)
			break;
	}
	current.status = status;
	current.source = source;
	current.session = status == CLERK_OK ? session : NULL;
	current.statement = GetCurrentStatementStartTimestamp();
	current.epoch = cache_epoch;
	current.revocation_epoch = revocation_epoch;
	current.generation = generation;
}

/*
 * The session of this request, or NULL when nobody is signed in.  To be used at once: it
 * lives until the next question.
 */
const ClerkSession *
clerk_session(void)
{
	AcceptInvalidationMessages();
	clerk_config_poll();
	read_clock();
	if (!current_is_valid())
		establish_session();
	current.ticket = clerk_ticket;
	return current.session;
}

/*
 * The same for a place that keeps the answer in context, if clerk_session_ticket() lets it:
 * what any other such place of this run of the executor was told.
 */
const ClerkSession *
clerk_session_in_run(MemoryContext context)
{
	if (current.ticket == clerk_ticket && clerk_session_ticket(context) != 0)
		return current.session;
	return clerk_session();
}

/* Why clerk_session() returned what it did. */
ClerkStatus
clerk_session_status(void)
{
	return current.status;
}

/* Where the token was that decided. */
ClerkSource
clerk_session_source(void)
{
	return current.source;
}

/* The same for a token that the caller brings; the settings of the request do not count. */
ClerkStatus
clerk_session_verify(ClerkSlice token, const ClerkSession **session)
{
	MemoryContext old_context = CurrentMemoryContext;
	ClerkSession *verified;
	Verification *verification;
	ClerkStatus status;
	bool is_last;

	AcceptInvalidationMessages();
	read_clock();
	for (int i = 0; i < MAX_LOOKS; i++)
	{
		refresh_cache();
		verified = NULL;
		verification = begin_verification();
		status = resolve_token(verification, token, CLERK_SOURCE_ARGUMENT, &verified);
		is_last = i == MAX_LOOKS - 1 || !clerk_keys_have_changed();
		if (is_last)
			count_token(verification, status);
		end_verification(old_context);
		if (is_last)
			break;
	}
	*session = verified;
	return status;
}

/* These steps were passed, up to and without the one that status belongs to, which failed. */
static void
explain_steps(ClerkExplanation *explanation, ClerkStep first, ClerkStep last,
			  ClerkStatus status)
{
	ClerkStep failed = clerk_status_reason(status)->step;

	for (ClerkStep step = first; step <= last && step < failed; step++)
		explanation->statuses[step] = CLERK_OK;
	if (failed != CLERK_STEP_NONE)
		explanation->statuses[failed] = status;
}

/*
 * Asked only for claims that are signed, or believed: who makes them up must not learn who is
 * revoked.
 */
static void
explain_revocation(const ClerkClaims *claims, ClerkExplanation *explanation)
{
	if (explanation->statuses[CLERK_STEP_SUBJECT] == CLERK_OK &&
		explanation->statuses[CLERK_STEP_ISSUED_AT] == CLERK_OK)
		explain_steps(explanation, CLERK_STEP_REVOCATION, CLERK_STEP_REVOCATION,
					  clerk_revocation_check(claims->session_id, claims->subject,
											 claims->times.issued_at));
}

/* The claims are checked also if nobody has signed them. */
static void
explain_claims(Verification *verification, const ClerkInstance *instance,
			   ClerkExplanation *explanation)
{
	ClerkClaims *claims = &verification->claims;
	const ClerkPolicy *policy = &instance->policy;

	explanation->instance = instance;
	explain_steps(explanation, CLERK_STEP_TYPE, CLERK_STEP_TYPE,
				  clerk_claims_check_type(&verification->jws, claims, policy));
	for (ClerkStep step = CLERK_STEP_SUBJECT; step <= CLERK_STEP_SESSION_STATUS; step++)
		explanation->statuses[step] =
			clerk_claims_check_step(claims, policy, now, step);
}

static void
explain_token(Verification *verification, ClerkSlice token, ClerkSource source,
			  ClerkExplanation *explanation)
{
	ClerkInstance *instance;
	int64 key_expiry;
	ClerkStatus status = identify_token(verification, token, source, &instance);

	explain_steps(explanation, CLERK_STEP_SHAPE, CLERK_STEP_INSTANCE, status);
	if (status != CLERK_OK)
		return;
	explain_claims(verification, instance, explanation);
	status = verify_signature(&verification->jws, instance, &key_expiry);
	explain_steps(explanation, CLERK_STEP_KEY, CLERK_STEP_SIGNATURE, status);
	if (status == CLERK_OK)
		explain_revocation(&verification->claims, explanation);
}

/* The token that decides for this request, or the claims that are trusted without one. */
static void
explain_request(Verification *verification, ClerkExplanation *explanation)
{
	const ClerkRequest *request = &verification->request;
	ClerkInstance *instance;
	ClerkSession *session;
	int chosen;

	clerk_source_read(&verification->request);
	if (explanation->source == CLERK_SOURCE_CLAIMS)
	{
		if (identify(&verification->claims, clerk_config_setting(CLERK_SETTING_CLAIMS),
					 &instance) != CLERK_OK)
			return;
		explain_claims(verification, instance, explanation);
		explain_revocation(&verification->claims, explanation);
		return;
	}
	(void) choose_candidate(verification, &chosen, &session);
	if (chosen >= 0 && request->candidates[chosen].status == CLERK_OK)
		explain_token(verification, request->candidates[chosen].token,
					  request->candidates[chosen].source, explanation);
}

/*
 * Why the answer is what it is: goes on where clerk_session(), for token NULL, or
 * clerk_session_verify() would have stopped.  Decides nothing: whether there is a session is
 * what they say, and the step that failed them is always among those that failed here.
 */
void
clerk_session_explain(const ClerkSlice *token, ClerkExplanation *explanation)
{
	MemoryContext old_context = CurrentMemoryContext;
	Verification *verification;
	ClerkStatus status;

	*explanation = (ClerkExplanation){.source = CLERK_SOURCE_ARGUMENT};
	for (ClerkStep step = 0; step < CLERK_N_STEPS; step++)
		explanation->statuses[step] = CLERK_NOT_ASKED;
	if (token != NULL)
		status = clerk_session_verify(*token, &explanation->session);
	else
	{
		explanation->session = clerk_session();
		status = current.status;
		explanation->source = current.source;
	}
	verification = begin_verification();
	explanation->claims = &verification->claims;
	explanation->jws = &verification->jws;
	if (token != NULL && token->len <= CLERK_MAX_TOKEN)
		explain_token(verification, *token, CLERK_SOURCE_ARGUMENT, explanation);
	else if (token == NULL)
		explain_request(verification, explanation);
	MemoryContextSwitchTo(old_context);
	explain_steps(explanation, CLERK_STEP_SOURCE, CLERK_STEP_SOURCE, status);
	if (token == NULL && status == CLERK_OK)
		explanation->statuses[CLERK_STEP_IDENTITY] = CLERK_OK;
	if (status != CLERK_OK)
		explanation->session = NULL;
}
