/*
 * status.c
 *		The one table of reason codes, their texts and the step each belongs to.
 *
 * The codes are those of @clerk/backend (TokenVerificationErrorReason and AuthErrorReason)
 * where Clerk has one.  No text holds a value: what a token said must not reach a log.
 *
 * Everybody may call this file.
 */
#include "clerk_core.h"

#define CODE_INVALID "token-invalid", "token-invalid: the token is malformed"
#define CODE_TYPE                                                                        \
	"token-type-mismatch", "token-type-mismatch: not the token of a user's session"
#define CODE_ALGORITHM                                                                   \
	"token-invalid-algorithm", "token-invalid-algorithm: the algorithm is not allowed"
#define CODE_UNREADABLE                                                                  \
	"table-unreadable", "table-unreadable: a table of clerk_rls cannot be read"
#define CODE_JWK "jwk-invalid", "jwk-invalid: the key cannot be used"

static const ClerkReason reasons[CLERK_N_STATUSES] = {
	[CLERK_OK] = {"ok", "ok", "verified", NULL, CLERK_STEP_NONE},
	[CLERK_NO_TOKEN] = {"no-token", "no-token: nobody is signed in",
						"The request carries no token of a registered instance.",
						"Send the session token as \"Authorization: Bearer ...\".",
						CLERK_STEP_SOURCE},
	[CLERK_TOKEN_LEFT_OVER] = {"token-left-over",
							   "token-left-over: clerk.token is not of this request",
							   "In a request, clerk.token counts only if it was set in "
							   "the same transaction.",
							   "Set it with SET LOCAL, set_config(..., true) or "
							   "clerk.authenticate().",
							   CLERK_STEP_SOURCE},
	[CLERK_COOKIE_CROSS_SITE] = {"cookie-cross-site",
								 "cookie-cross-site: the cookie does not count",
								 "Neither Origin is an authorized party, nor "
								 "Sec-Fetch-Site same-origin, nor the request a GET.",
								 "Send the session token as \"Authorization: Bearer "
								 "...\".",
								 CLERK_STEP_SOURCE},
	[CLERK_SOURCE_AMBIGUOUS] = {CODE_INVALID, "A header has several values.", NULL,
								CLERK_STEP_SOURCE},

	[CLERK_TOKEN_TOO_LARGE] = {"token-too-large",
							   "token-too-large: the token is too large",
							   "A token may have at most 16 KiB.", NULL,
							   CLERK_STEP_SHAPE},
	[CLERK_TOKEN_NOT_COMPACT] = {CODE_INVALID,
								 "It is not three parts separated by two dots.", NULL,
								 CLERK_STEP_SHAPE},
	[CLERK_TOKEN_NOT_BASE64URL] = {CODE_INVALID,
								   "A part is not base64url without padding.", NULL,
								   CLERK_STEP_SHAPE},
	[CLERK_HEADER_NOT_JSON] = {CODE_INVALID,
							   "The header is not a JSON object with unique members.",
							   NULL, CLERK_STEP_SHAPE},
	[CLERK_HEADER_MEMBER] = {CODE_INVALID, "A header member has the wrong type.", NULL,
							 CLERK_STEP_SHAPE},
	[CLERK_HEADER_CRITICAL] = {CODE_INVALID,
							   "The header asks for an extension (\"crit\" or \"b64\").",
							   NULL, CLERK_STEP_SHAPE},
	[CLERK_PAYLOAD_NOT_JSON] = {CODE_INVALID,
								"The payload is not a JSON object that jsonb can hold.",
								NULL, CLERK_STEP_SHAPE},
	[CLERK_PAYLOAD_NOT_ASCII] = {CODE_INVALID,
								 "The payload has characters beyond ASCII, and this "
								 "database's encoding is not UTF8.",
								 "Use a database with encoding UTF8.", CLERK_STEP_SHAPE},

	[CLERK_ISSUER_UNKNOWN] = {"token-invalid-issuer",
							  "token-invalid-issuer: the issuer is not registered",
							  "No instance in clerk.instances has the token's issuer.",
							  "Register the instance with clerk.add_instance().",
							  CLERK_STEP_INSTANCE},
	[CLERK_ISSUER_LEGACY] = {"token-invalid-issuer",
							 "token-invalid-issuer: the issuer is not registered",
							 "It is a token of a JWT template with a secret of its own "
							 "(HS256), which counts as somebody else's until the "
							 "instance's legacy_template_until.",
							 "Get a token without a template.", CLERK_STEP_INSTANCE},
	[CLERK_INSTANCES_UNREADABLE] = {CODE_UNREADABLE,
									"clerk.instances is missing, or has other columns "
									"or values than it was created for.",
									"Undo what was changed in the schema clerk.",
									CLERK_STEP_INSTANCE},
	[CLERK_TYPE_NOT_JWT] = {CODE_TYPE, "The header's \"typ\" is not \"JWT\".", NULL,
							CLERK_STEP_TYPE},
	[CLERK_TYPE_NOT_SESSION] = {CODE_TYPE, "The header's \"cat\" is another category's.",
								NULL, CLERK_STEP_TYPE},
	[CLERK_TYPE_MACHINE] = {CODE_TYPE, "The subject is a machine.", NULL,
							CLERK_STEP_TYPE},
	[CLERK_TYPE_NOT_ACCESS] =
		{CODE_TYPE, "The header's \"typ\" is not \"at+jwt\".",
		 "The instance's token_type asks for access tokens.", CLERK_STEP_TYPE},
	[CLERK_TYPE_ID] =
		{CODE_TYPE,
		 "It may be an id token of OpenID Connect, made for another application: it has "
		 "\"nonce\", \"at_hash\" or \"c_hash\", or \"aud\" and no session id.",
		 "Set the instance's audiences, and for id tokens its token_type.",
		 CLERK_STEP_TYPE},
	[CLERK_KEY_UNKNOWN] = {"jwk-kid-mismatch",
						   "jwk-kid-mismatch: no key of the instance has the token's kid",
						   "The instance has no usable key with the header's \"kid\".",
						   "Load the instance's current keys with clerk.load_jwks().",
						   CLERK_STEP_KEY},
	[CLERK_KEYS_UNREADABLE] = {CODE_UNREADABLE,
							   "clerk.jwks is missing, or has other columns or values "
							   "than it was created for.",
							   "Undo what was changed in the schema clerk.",
							   CLERK_STEP_KEY},
	[CLERK_ALGORITHM_UNSUPPORTED] = {CODE_ALGORITHM,
									 "The header's \"alg\" is not a supported signature "
									 "algorithm.",
									 NULL, CLERK_STEP_ALGORITHM},
	[CLERK_ALGORITHM_NOT_THE_KEYS] = {CODE_ALGORITHM,
									  "The header's \"alg\" is not the key's algorithm.",
									  NULL, CLERK_STEP_ALGORITHM},
	[CLERK_SIGNATURE_INVALID] = {"token-invalid-signature",
								 "token-invalid-signature: the signature does not verify",
								 "The key did not sign this header and payload.", NULL,
								 CLERK_STEP_SIGNATURE},

	[CLERK_SUBJECT_INVALID] = {CODE_INVALID, "\"sub\" is not a non-empty string.", NULL,
							   CLERK_STEP_SUBJECT},
	[CLERK_CLAIM_TYPE] = {CODE_INVALID,
						  "\"sid\", \"azp\", \"sts\" or \"act\" has the wrong type.",
						  NULL, CLERK_STEP_SUBJECT},
	[CLERK_TYPE_NO_SESSION_ID] =
		{CODE_TYPE,
		 "The token has no session id, and its instance does not "
		 "accept tokens of JWT templates.",
		 NULL, CLERK_STEP_TYPE},
	[CLERK_AUDIENCE] = {CODE_INVALID, "\"aud\" names none of the instance's audiences.",
						"Compare it with clerk.instances.audiences.",
						CLERK_STEP_AUDIENCE},
	[CLERK_AUTHORIZED_PARTY] =
		{"token-invalid-authorized-parties",
		 "token-invalid-authorized-parties: the authorized party is "
		 "not allowed",
		 "\"azp\" is none of the instance's authorized parties.",
		 "Compare it with clerk.instances.authorized_parties.", CLERK_STEP_AUTHORIZED_PARTY},
	[CLERK_AUTHORIZED_PARTY_MISSING] =
		{"token-invalid-authorized-parties",
		 "token-invalid-authorized-parties: the authorized party is "
		 "not allowed",
		 "The token has no \"azp\", and the instance has authorized parties.",
		 "Clerk takes it from the Origin of a page, so tokens of native apps and backends "
		 "have none: an instance that serves these has no authorized_parties.",
		 CLERK_STEP_AUTHORIZED_PARTY},
	[CLERK_EXPIRY_INVALID] = {CODE_INVALID, "\"exp\" is missing or not a usable number.",
							  NULL, CLERK_STEP_EXPIRY},
	[CLERK_EXPIRED] = {"token-expired", "token-expired: the token has expired",
					   "\"exp\" has passed.",
					   "Get a fresh token; Clerk's session tokens live for a minute.",
					   CLERK_STEP_EXPIRY},
	[CLERK_NOT_BEFORE_INVALID] = {CODE_INVALID, "\"nbf\" is not a usable number.", NULL,
								  CLERK_STEP_NOT_BEFORE},
	[CLERK_NOT_ACTIVE_YET] = {"token-not-active-yet",
							  "token-not-active-yet: the token is not valid yet",
							  "\"nbf\" is in the future.", "Compare the clocks.",
							  CLERK_STEP_NOT_BEFORE},
	[CLERK_ISSUED_AT_INVALID] = {CODE_INVALID, "\"iat\" is not a usable number.", NULL,
								 CLERK_STEP_ISSUED_AT},
	[CLERK_ISSUED_IN_FUTURE] = {"token-iat-in-the-future",
								"token-iat-in-the-future: the token was issued in the "
								"future",
								"\"iat\" is in the future.", "Compare the clocks.",
								CLERK_STEP_ISSUED_AT},
	[CLERK_TOO_OLD] = {"token-expired", "token-expired: the token has expired",
					   "The token is older than the instance's max_token_age.",
					   "Get a fresh token.", CLERK_STEP_ISSUED_AT},
	[CLERK_SESSION_PENDING] = {"session-pending",
							   "session-pending: the session is pending",
							   "\"sts\" is \"pending\", which counts as signed out.",
							   "The user has a session task to finish in Clerk.",
							   CLERK_STEP_SESSION_STATUS},

	[CLERK_SESSION_REVOKED] = {"session-revoked",
							   "session-revoked: the session was revoked",
							   "The session has ended, or was revoked.", "Sign in again.",
							   CLERK_STEP_REVOCATION},
	[CLERK_USER_REVOKED] = {"user-revoked", "user-revoked: the user was revoked",
							"The user was banned, deleted or revoked.", NULL,
							CLERK_STEP_REVOCATION},
	[CLERK_REVOCATIONS_UNREADABLE] = {CODE_UNREADABLE,
									  "clerk.revocations is missing, or has other "
									  "columns or values than it was created for.",
									  "Undo what was changed in the schema clerk.",
									  CLERK_STEP_REVOCATION},

	[CLERK_IDENTITY_MISMATCH] = {"identity-mismatch",
								 "identity-mismatch: the request names two users",
								 "Another source of this request names another user than "
								 "the verified token, or cannot be read.",
								 "Send one token in one place.", CLERK_STEP_IDENTITY},

	[CLERK_WEBHOOK_HEADERS] = {"webhook-invalid-headers",
							   "webhook-invalid-headers: the webhook is not signed",
							   "One of the headers svix-id, svix-timestamp and "
							   "svix-signature is missing or malformed.",
							   NULL, CLERK_STEP_NONE},
	[CLERK_WEBHOOK_TOO_OLD] = {"webhook-too-old",
							   "webhook-too-old: the webhook is too old",
							   "Its timestamp is more than five minutes ago.",
							   "Compare the clocks.", CLERK_STEP_NONE},
	[CLERK_WEBHOOK_TOO_NEW] = {"webhook-too-new",
							   "webhook-too-new: the webhook is in the future",
							   "Its timestamp is more than five minutes ahead.",
							   "Compare the clocks.", CLERK_STEP_NONE},
	[CLERK_WEBHOOK_SIGNATURE] =
		{"webhook-invalid-signature",
		 "webhook-invalid-signature: no secret made the signature",
		 "None of the secrets of any instance signed this id, "
		 "timestamp and body.",
		 "Give the endpoint's signing secret to "
		 "clerk.add_webhook_secret().",
		 CLERK_STEP_NONE},

	[CLERK_JWK_KTY_UNKNOWN] = {CODE_JWK, "Its \"kty\" or \"crv\" is not supported.", NULL,
							   CLERK_STEP_NONE},
	[CLERK_JWK_NOT_FOR_SIGNATURES] = {CODE_JWK,
									  "Its \"use\" or \"key_ops\" is not for verifying "
									  "signatures.",
									  NULL, CLERK_STEP_NONE},
	[CLERK_JWK_ALG_UNSUPPORTED] = {CODE_JWK,
								   "Its \"alg\" is no signature algorithm for this key.",
								   NULL, CLERK_STEP_NONE},
	[CLERK_JWK_NOT_JSON] = {CODE_JWK, "It is not a JSON object with unique members.",
							NULL, CLERK_STEP_NONE},
	[CLERK_JWK_NOT_SPKI] =
		{CODE_JWK, "It is not a public key in PEM form.",
		 "Copy the JWT public key from the API keys page of the Clerk Dashboard; a "
		 "certificate will do as well.",
		 CLERK_STEP_NONE},
	[CLERK_JWK_PRIVATE] = {CODE_JWK, "It holds a private key.",
						   "Load public keys only, and replace this key: it has been "
						   "shown.",
						   CLERK_STEP_NONE},
	[CLERK_JWK_SYMMETRIC] = {CODE_JWK, "It is a symmetric key (\"kty\": \"oct\").",
							 "Whoever can verify with it can also sign.",
							 CLERK_STEP_NONE},
	[CLERK_JWK_MEMBER] = {CODE_JWK, "A member it needs is missing or malformed.", NULL,
						  CLERK_STEP_NONE},
	[CLERK_JWK_RSA_SIZE] = {CODE_JWK, "An RSA key must have 2048 to 8192 bits.", NULL,
							CLERK_STEP_NONE},
	[CLERK_JWK_RSA_EXPONENT] = {CODE_JWK,
								"An RSA exponent must be odd, at least 3 and at most 64 "
								"bits.",
								NULL, CLERK_STEP_NONE},
	[CLERK_JWK_POINT] = {CODE_JWK,
						 "Its public point is not on the curve, or of small order.", NULL,
						 CLERK_STEP_NONE},

	[CLERK_OUT_OF_MEMORY] = {"out-of-memory", "out-of-memory: the check was not finished",
							 "A library could not allocate memory.", NULL,
							 CLERK_STEP_NONE},
};

static const char *const step_names[CLERK_N_STEPS] = {
	[CLERK_STEP_SOURCE] = "source",
	[CLERK_STEP_SHAPE] = "shape",
	[CLERK_STEP_INSTANCE] = "instance",
	[CLERK_STEP_TYPE] = "type",
	[CLERK_STEP_KEY] = "key",
	[CLERK_STEP_ALGORITHM] = "algorithm",
	[CLERK_STEP_SIGNATURE] = "signature",
	[CLERK_STEP_SUBJECT] = "subject",
	[CLERK_STEP_AUDIENCE] = "audience",
	[CLERK_STEP_AUTHORIZED_PARTY] = "authorized party",
	[CLERK_STEP_EXPIRY] = "expiry",
	[CLERK_STEP_NOT_BEFORE] = "not before",
	[CLERK_STEP_ISSUED_AT] = "issued at",
	[CLERK_STEP_SESSION_STATUS] = "session status",
	[CLERK_STEP_REVOCATION] = "revocation",
	[CLERK_STEP_IDENTITY] = "identity",
};

const ClerkReason *
clerk_status_reason(ClerkStatus status)
{
	return &reasons[status];
}

const char *
clerk_status_step_name(ClerkStep step)
{
	return step_names[step];
}

/*
 * May a JWKS hold such a key beside others?  RFC 7517 section 5 tells us to pass over keys
 * that we do not understand; what we understand and find dangerous is refused instead.
 */
bool
clerk_status_ignores_jwk(ClerkStatus status)
{
	return status == CLERK_JWK_KTY_UNKNOWN || status == CLERK_JWK_NOT_FOR_SIGNATURES ||
		   status == CLERK_JWK_ALG_UNSUPPORTED;
}

/* Is it the database that is at fault, and not the token? */
bool
clerk_status_is_unreadable(ClerkStatus status)
{
	return status == CLERK_INSTANCES_UNREADABLE || status == CLERK_KEYS_UNREADABLE ||
		   status == CLERK_REVOCATIONS_UNREADABLE;
}

/* Is the request one without a token of ours, rather than one with a bad token? */
bool
clerk_status_is_anonymous(ClerkStatus status)
{
	return status == CLERK_NO_TOKEN || status == CLERK_TOKEN_LEFT_OVER ||
		   status == CLERK_COOKIE_CROSS_SITE || status == CLERK_ISSUER_UNKNOWN ||
		   status == CLERK_ISSUER_LEGACY;
}
