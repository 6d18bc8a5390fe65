/*
 * clerk_core.h
 *		Types and prototypes of the pure files: those that know nothing of PostgreSQL.
 *
 * A pure file takes slices of bytes and the time as arguments, returns a ClerkStatus and
 * includes only libc, OpenSSL, jansson and this header, so that it can be unit-tested and
 * fuzzed without a server.  It never logs, never exits and never keeps state.
 *
 * The prototypes stand in the order in which the files may call each other: a file calls
 * only files above it (test/layers/run.sh checks that).
 */
#ifndef CLERK_CORE_H
#define CLERK_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * jansson.h cannot stand beside PostgreSQL's headers, which have a json_object() of their
 * own, so the pure files that need it include it themselves.
 */
typedef struct json_t json_t;
typedef struct evp_pkey_st EVP_PKEY;
typedef struct evp_md_ctx_st EVP_MD_CTX;

/* A token longer than this is refused before anything else is looked at. */
#define CLERK_MAX_TOKEN (16 * 1024)

/* The signature of an RSA key of 8192 bits, the largest there is. */
#define CLERK_MAX_SIGNATURE 1024

/* Bytes that somebody else owns; not terminated by a NUL. */
typedef struct ClerkSlice
{
	const char *data;
	size_t len;
} ClerkSlice;

/* The bytes of a C string; none for NULL. */
static inline ClerkSlice
clerk_slice(const char *text)
{
	return (ClerkSlice){text, text != NULL ? strlen(text) : 0};
}

static inline bool
clerk_slice_equal(ClerkSlice a, ClerkSlice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/*
 * Why a token, a key or a request was refused.  Finer than the reason codes: several
 * statuses share a code and differ in the detail that goes with it.
 */
typedef enum ClerkStatus
{
	CLERK_OK,

	/* where the token came from */
	CLERK_NO_TOKEN,
	CLERK_TOKEN_LEFT_OVER,
	CLERK_COOKIE_CROSS_SITE,
	CLERK_SOURCE_AMBIGUOUS,

	/* its shape */
	CLERK_TOKEN_TOO_LARGE,
	CLERK_TOKEN_NOT_COMPACT,
	CLERK_TOKEN_NOT_BASE64URL,
	CLERK_HEADER_NOT_JSON,
	CLERK_HEADER_MEMBER,
	CLERK_HEADER_CRITICAL,
	CLERK_PAYLOAD_NOT_JSON,
	CLERK_PAYLOAD_NOT_ASCII,

	/* whose it is, and who signed it */
	CLERK_ISSUER_UNKNOWN,
	CLERK_ISSUER_LEGACY,
	CLERK_INSTANCES_UNREADABLE,
	CLERK_TYPE_NOT_JWT,
	CLERK_TYPE_NOT_SESSION,
	CLERK_TYPE_MACHINE,
	CLERK_TYPE_NOT_ACCESS,
	CLERK_TYPE_ID,
	CLERK_KEY_UNKNOWN,
	CLERK_KEYS_UNREADABLE,
	CLERK_ALGORITHM_UNSUPPORTED,
	CLERK_ALGORITHM_NOT_THE_KEYS,
	CLERK_SIGNATURE_INVALID,

	/* what it claims */
	CLERK_SUBJECT_INVALID,
	CLERK_CLAIM_TYPE,
	CLERK_TYPE_NO_SESSION_ID,
	CLERK_AUDIENCE,
	CLERK_AUTHORIZED_PARTY,
	CLERK_AUTHORIZED_PARTY_MISSING,
	CLERK_EXPIRY_INVALID,
	CLERK_EXPIRED,
	CLERK_NOT_BEFORE_INVALID,
	CLERK_NOT_ACTIVE_YET,
	CLERK_ISSUED_AT_INVALID,
	CLERK_ISSUED_IN_FUTURE,
	CLERK_TOO_OLD,
	CLERK_SESSION_PENDING,

	/* what was said of it since */
	CLERK_SESSION_REVOKED,
	CLERK_USER_REVOKED,
	CLERK_REVOCATIONS_UNREADABLE,

	/* who else the request says it is */
	CLERK_IDENTITY_MISMATCH,

	/* a webhook is refused */
	CLERK_WEBHOOK_HEADERS,
	CLERK_WEBHOOK_TOO_OLD,
	CLERK_WEBHOOK_TOO_NEW,
	CLERK_WEBHOOK_SIGNATURE,

	/* a key is not used, and the next one is looked at (RFC 7517 section 5) */
	CLERK_JWK_KTY_UNKNOWN,
	CLERK_JWK_NOT_FOR_SIGNATURES,
	CLERK_JWK_ALG_UNSUPPORTED,

	/* a key is refused, and with it the document it came in */
	CLERK_JWK_NOT_JSON,
	CLERK_JWK_NOT_SPKI,
	CLERK_JWK_PRIVATE,
	CLERK_JWK_SYMMETRIC,
	CLERK_JWK_MEMBER,
	CLERK_JWK_RSA_SIZE,
	CLERK_JWK_RSA_EXPONENT,
	CLERK_JWK_POINT,

	CLERK_OUT_OF_MEMORY,
	CLERK_N_STATUSES
} ClerkStatus;

/* The steps of a verification, in the order in which they are taken. */
typedef enum ClerkStep
{
	CLERK_STEP_SOURCE,
	CLERK_STEP_SHAPE,
	CLERK_STEP_INSTANCE,
	CLERK_STEP_TYPE,
	CLERK_STEP_KEY,
	CLERK_STEP_ALGORITHM,
	CLERK_STEP_SIGNATURE,
	CLERK_STEP_SUBJECT,
	CLERK_STEP_AUDIENCE,
	CLERK_STEP_AUTHORIZED_PARTY,
	CLERK_STEP_EXPIRY,
	CLERK_STEP_NOT_BEFORE,
	CLERK_STEP_ISSUED_AT,
	CLERK_STEP_SESSION_STATUS,
	CLERK_STEP_REVOCATION,
	CLERK_STEP_IDENTITY,
	CLERK_N_STEPS,
	CLERK_STEP_NONE = CLERK_N_STEPS
} ClerkStep;

/* status.c -- all texts are static and hold nothing of the token. */
typedef struct ClerkReason
{
	const char *code;	 /* the reason code: Clerk's own where it has one */
	const char *message; /* the same for every status that shares the code */
	const char *detail;
	const char *hint; /* or NULL */
	ClerkStep step;
} ClerkReason;

extern const ClerkReason *clerk_status_reason(ClerkStatus status);
extern const char *clerk_status_step_name(ClerkStep step);
extern bool clerk_status_ignores_jwk(ClerkStatus status);
extern bool clerk_status_is_unreadable(ClerkStatus status);
extern bool clerk_status_is_anonymous(ClerkStatus status);

/* base64url.c */
extern bool clerk_base64url_decode(ClerkSlice text, unsigned char *out, size_t *outlen);
extern void clerk_base64url_encode(const unsigned char *data, size_t len, char *out);

/* json.c */
typedef struct ClerkJson
{
	json_t *root; /* an object; the owner calls json_decref() */
	bool ascii;	  /* neither raw nor escaped characters beyond U+007F */
} ClerkJson;

extern bool clerk_json_object(ClerkSlice text, ClerkJson *json);
extern void clerk_json_free(ClerkJson *json);

/* "[]" becomes "null", and a number gets quotes */
#define CLERK_JSON_PLAIN_SIZE(len) (2 * (len) + 4)
extern size_t clerk_json_plain(ClerkSlice text, bool ascii, char *out);

/* jws.c */
typedef struct ClerkJws
{
	ClerkSlice signing_input; /* a part of the token */
	ClerkSlice payload;		  /* decoded; lives as long as this struct */
	size_t signature_len;
	unsigned char signature[CLERK_MAX_SIGNATURE];
	const char *alg;
	const char *kid; /* NULL when absent, as typ and cat */
	const char *typ;
	const char *cat;
	json_t *header; /* owns alg, kid, typ and cat */
	char *buffer;	/* owns payload */
} ClerkJws;

extern ClerkStatus clerk_jws_parse(ClerkSlice token, ClerkJws *jws);
extern void clerk_jws_free(ClerkJws *jws);

/* jwk.c */
typedef enum ClerkKeyType
{
	CLERK_KEY_RSA,
	CLERK_KEY_P256,
	CLERK_KEY_P384,
	CLERK_KEY_P521,
	CLERK_KEY_ED25519
} ClerkKeyType;

/* Larger keys are refused. */
#define CLERK_MAX_RSA_BITS 8192
#define CLERK_MAX_EXPONENT_BITS 64

typedef struct ClerkCurve
{
	const char *crv;
	const char *group; /* OpenSSL's name */
	ClerkKeyType type;
	size_t size; /* of a coordinate, in bytes */
} ClerkCurve;

#define CLERK_N_CURVES 3
extern const ClerkCurve clerk_jwk_curves[CLERK_N_CURVES];

typedef struct ClerkJwk
{
	ClerkKeyType type;
	char alg[16];		  /* the JWK's own "alg", empty when it has none */
	EVP_PKEY *pkey;		  /* owned by this struct, as the next */
	EVP_MD_CTX *verifier; /* jwa.c makes it when it is first needed */
} ClerkJwk;

extern ClerkStatus clerk_jwk_parse(ClerkSlice json, ClerkJwk *jwk);
extern void clerk_jwk_free(ClerkJwk *jwk);

/* spki.c -- room for the JWK of the largest key, without a kid: */
#define CLERK_MAX_JWK 2048

extern ClerkStatus clerk_spki_to_jwk(ClerkSlice der, char json[CLERK_MAX_JWK]);

/* jwa.c */
#define CLERK_DIGEST_LENGTH 32

typedef struct ClerkAlgorithm ClerkAlgorithm;

extern const ClerkAlgorithm *clerk_jwa_find(const char *name);
extern const ClerkAlgorithm *clerk_jwa_of_key(const ClerkJwk *jwk);
extern const char *clerk_jwa_name(const ClerkAlgorithm *algorithm);
extern ClerkStatus clerk_jwa_check(const ClerkJwk *jwk, const ClerkJws *jws);
extern ClerkStatus clerk_jwa_verify(ClerkJwk *jwk, const ClerkJws *jws);
extern void clerk_jwa_warm(void);
extern bool clerk_jwa_sha256(ClerkSlice data, unsigned char digest[CLERK_DIGEST_LENGTH]);
extern bool clerk_jwa_hmac_sha256(ClerkSlice key, const ClerkSlice *parts, size_t n_parts,
								  unsigned char mac[CLERK_DIGEST_LENGTH]);
extern bool clerk_jwa_equal(const void *a, const void *b, size_t len);

/*
 * claims.c -- every time and duration is in microseconds, times since the Unix epoch.
 */
typedef enum ClerkTokenType
{
	CLERK_TOKEN_SESSION, /* and no id token of OpenID Connect */
	CLERK_TOKEN_ACCESS,	 /* RFC 9068 */
	CLERK_TOKEN_ID		 /* either */
} ClerkTokenType;

typedef struct ClerkPolicy
{
	ClerkTokenType token_type;
	const char **authorized_parties; /* NULL: any, and cookies are not read */
	int n_authorized_parties;
	const char **audiences; /* NULL: any */
	int n_audiences;
	int64_t clock_skew;
	int64_t max_token_age; /* 0: no limit but the token's own */
	bool accept_templates; /* tokens without a session id */
} ClerkPolicy;

typedef struct ClerkTimes
{
	int64_t expiry;
	int64_t not_before; /* INT64_MIN when absent, as issued_at */
	int64_t issued_at;
} ClerkTimes;

typedef struct ClerkClaims
{
	json_t *root; /* owns the strings below; each is NULL when absent */
	bool ascii;
	const char *issuer;
	const char *subject;
	const char *session_id;
	const char *actor;
	ClerkTimes times; /* valid once clerk_claims_check() has returned CLERK_OK */
} ClerkClaims;

extern ClerkStatus clerk_claims_parse(ClerkSlice payload, ClerkClaims *claims);
extern void clerk_claims_free(ClerkClaims *claims);
extern ClerkStatus clerk_claims_check_type(const ClerkJws *jws, const ClerkClaims *claims,
										   const ClerkPolicy *policy);
extern ClerkStatus clerk_claims_check(ClerkClaims *claims, const ClerkPolicy *policy,
									  int64_t now);
extern ClerkStatus clerk_claims_check_step(ClerkClaims *claims, const ClerkPolicy *policy,
										   int64_t now, ClerkStep step);
extern ClerkStatus clerk_claims_check_times(const ClerkTimes *times,
											const ClerkPolicy *policy, int64_t now);
extern const char *clerk_claims_string(const ClerkClaims *claims, const char *name);
extern bool clerk_claims_mention(const ClerkClaims *claims, const char *value);

/* grants.c */

/* The bits of one feature, the least significant first. */
typedef struct ClerkMask
{
	uint32_t *words;
	size_t n_words;
} ClerkMask;

/* One of "fea" or "pla": a slug and whose it is. */
typedef struct ClerkEntitlement
{
	ClerkSlice slug;
	bool org;
	bool user;
} ClerkEntitlement;

typedef struct ClerkEntitlements
{
	bool readable; /* false also when the claim is absent or empty */
	size_t n;
	ClerkEntitlement *items;
} ClerkEntitlements;

typedef struct ClerkGrants
{
	bool unreadable;	/* Clerk's own parser throws: nothing is granted */
	const char *org_id; /* NULL: no organization is active, so the next three are empty */
	const char *org_slug; /* or NULL, as the role */
	const char *org_role;
	bool has_permissions; /* the list of them may be empty, but is there */
	size_t n_permissions;
	const ClerkSlice
		*permissions; /* without masks, whole; with them, names for each bit */
	size_t n_masks;
	ClerkMask *masks;			/* of the organization's features, in their order */
	ClerkEntitlements features; /* these two are there without an organization too */
	ClerkEntitlements plans;
	bool has_factor_ages;
	double factor_age[2]; /* in minutes; -1: not verified */
} ClerkGrants;

typedef bool (*ClerkPermissionVisitor)(void *context, ClerkSlice feature,
									   ClerkSlice name);

extern size_t clerk_grants_size(const ClerkClaims *claims);
extern const ClerkGrants *clerk_grants_decode(const ClerkClaims *claims, void *memory);
extern void clerk_grants_visit_permissions(const ClerkGrants *grants,
										   ClerkPermissionVisitor visit, void *context);

/* has.c */
extern bool clerk_has_role(const ClerkGrants *grants, ClerkSlice role);
extern bool clerk_has_permission(const ClerkGrants *grants, ClerkSlice permission);
extern bool clerk_has_feature(const ClerkGrants *grants, ClerkSlice feature);
extern bool clerk_has_plan(const ClerkGrants *grants, ClerkSlice plan);
extern bool clerk_has_reverified(const ClerkGrants *grants, ClerkSlice level,
								 double minutes);
extern bool clerk_has_reverified_preset(const ClerkGrants *grants, ClerkSlice preset);
extern bool clerk_has_params(const ClerkGrants *grants, ClerkSlice params);

/* svix.c */
typedef struct ClerkWebhook
{
	ClerkSlice id;
	ClerkSlice timestamp;
	ClerkSlice signature;
	ClerkSlice body;
} ClerkWebhook;

extern bool clerk_svix_is_secret(ClerkSlice secret);
extern ClerkStatus clerk_svix_check(const ClerkWebhook *webhook, int64_t now);
extern bool clerk_svix_verify(const ClerkWebhook *webhook, ClerkSlice secret);

/* request.c */
typedef bool (*ClerkTokenSink)(void *context, ClerkSlice token);

/* What says where a browser sends a request from; NULL data where nothing does. */
typedef struct ClerkFetch
{
	ClerkSlice method;
	ClerkSlice origin; /* header origin */
	ClerkSlice site;   /* header sec-fetch-site */
} ClerkFetch;

extern bool clerk_request_plain_header(ClerkSlice headers, const char *name,
									   ClerkSlice *value);
extern ClerkStatus clerk_request_header(const ClerkJson *headers, const char *name,
										ClerkSlice *value);
extern bool clerk_request_bearer(ClerkSlice header, ClerkSlice *token);
extern void clerk_request_cookies(const ClerkJson *cookies, ClerkTokenSink sink,
								  void *context);
extern bool clerk_request_may_use_cookies(const ClerkFetch *fetch,
										  const ClerkPolicy *policy);

#endif /* CLERK_CORE_H */
