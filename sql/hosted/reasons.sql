--
-- reasons.sql
--		Why a token or a webhook is refused: the codes and texts of the extension (src/core/status.c).
--
-- Uses library.
--

CREATE FUNCTION clerk_internal.reason(status text, OUT code text, OUT message text, OUT detail text,
	OUT hint text, OUT step text)
	LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	SELECT r.code, r.code || ': ' || r.message, r.detail, r.hint, r.step
		INTO code, message, detail, hint, step
	FROM (VALUES
		('no_token', 'no-token', 'nobody is signed in', 'source',
			'The request carries no token of a registered instance.',
			'Send the session token as "Authorization: Bearer ...".'),
		('source_ambiguous', 'token-invalid', 'the token is malformed', 'source',
			'A header has several values.', NULL),
		('cookie_cross_site', 'cookie-cross-site', 'the cookie does not count', 'source',
			'Neither Origin is an authorized party, nor Sec-Fetch-Site same-origin, nor the request a GET.',
			'Send the session token as "Authorization: Bearer ...".'),
		('token_too_large', 'token-too-large', 'the token is too large', 'shape',
			'A token may have at most 16 KiB.', NULL),
		('token_not_compact', 'token-invalid', 'the token is malformed', 'shape',
			'It is not three parts separated by two dots.', NULL),
		('token_not_base64url', 'token-invalid', 'the token is malformed', 'shape',
			'A part is not base64url without padding.', NULL),
		('header_not_json', 'token-invalid', 'the token is malformed', 'shape',
			'The header is not a JSON object with unique members.', NULL),
		('header_member', 'token-invalid', 'the token is malformed', 'shape',
			'A header member has the wrong type.', NULL),
		('header_critical', 'token-invalid', 'the token is malformed', 'shape',
			'The header asks for an extension ("crit" or "b64").', NULL),
		('payload_not_json', 'token-invalid', 'the token is malformed', 'shape',
			'The payload is not a JSON object that jsonb can hold.', NULL),
		('issuer_unknown', 'token-invalid-issuer', 'the issuer is not registered', 'instance',
			'No instance in clerk.instances has the token''s issuer.',
				'Register the instance with clerk.add_instance().'),
		('issuer_legacy', 'token-invalid-issuer', 'the issuer is not registered', 'instance',
			'It is a token of a JWT template with a secret of its own (HS256), which counts as somebody '
				'else''s until the instance''s legacy_template_until.',
			'Get a token without a template.'),
		('table_unreadable', 'table-unreadable', 'a table of clerk_rls cannot be read', 'instance',
			'A table of schema clerk is missing, or has other columns than it was created with.',
				'Undo what was changed in the schema clerk.'),
		('type_not_jwt', 'token-type-mismatch', 'not the token of a user''s session', 'type',
			'The header''s "typ" is not "JWT".', NULL),
		('type_not_session', 'token-type-mismatch', 'not the token of a user''s session', 'type',
			'The header''s "cat" is another category''s.', NULL),
		('type_machine', 'token-type-mismatch', 'not the token of a user''s session', 'type',
			'The subject is a machine.', NULL),
		('type_not_access', 'token-type-mismatch', 'not the token of a user''s session', 'type',
			'The header''s "typ" is not "at+jwt".',
			'The instance''s token_type asks for access tokens.'),
		('type_id', 'token-type-mismatch', 'not the token of a user''s session', 'type',
			'It may be an id token of OpenID Connect, made for another application: it has "nonce", '
				'"at_hash" or "c_hash", or "aud" and no session id.',
			'Set the instance''s audiences, and for id tokens its token_type.'),
		('type_no_session_id', 'token-type-mismatch', 'not the token of a user''s session', 'type',
			'The token has no session id, and its instance does not accept tokens of JWT templates.', NULL),
		('key_unknown', 'jwk-kid-mismatch', 'no key of the instance has the token''s kid', 'key',
			'The instance has no usable key with the header''s "kid".',
				'Load the instance''s current keys with clerk.load_jwks().'),
		('algorithm_unsupported', 'token-invalid-algorithm', 'the algorithm is not allowed', 'algorithm',
			'The header''s "alg" is not a supported signature algorithm.', NULL),
		('algorithm_not_the_keys', 'token-invalid-algorithm', 'the algorithm is not allowed', 'algorithm',
			'The header''s "alg" is not the key''s algorithm.', NULL),
		('signature_invalid', 'token-invalid-signature', 'the signature does not verify', 'signature',
			'The key did not sign this header and payload.', NULL),
		('subject_invalid', 'token-invalid', 'the token is malformed', 'subject',
			'"sub" is not a non-empty string.', NULL),
		('claim_type', 'token-invalid', 'the token is malformed', 'subject',
			'"sid", "azp", "sts" or "act" has the wrong type.', NULL),
		('audience', 'token-invalid', 'the token is malformed', 'audience',
			'"aud" names none of the instance''s audiences.',
			'Compare it with clerk.instances.audiences.'),
		('authorized_party', 'token-invalid-authorized-parties', 'the authorized party is not allowed',
			'authorized party',
			'"azp" is none of the instance''s authorized parties.',
			'Compare it with clerk.instances.authorized_parties.'),
		('authorized_party_missing', 'token-invalid-authorized-parties',
			'the authorized party is not allowed', 'authorized party',
			'The token has no "azp", and the instance has authorized parties.',
			'Clerk takes it from the Origin of a page, so tokens of native apps and backends have none: an '
				'instance that serves these has no authorized_parties.'),
		('expiry_invalid', 'token-invalid', 'the token is malformed', 'expiry',
			'"exp" is missing or not a usable number.', NULL),
		('expired', 'token-expired', 'the token has expired', 'expiry', '"exp" has passed.',
			'Get a fresh token; Clerk''s session tokens live for a minute.'),
		('not_before_invalid', 'token-invalid', 'the token is malformed', 'not before',
			'"nbf" is not a usable number.', NULL),
		('not_active_yet', 'token-not-active-yet', 'the token is not valid yet', 'not before',
			'"nbf" is in the future.', 'Compare the clocks.'),
		('issued_at_invalid', 'token-invalid', 'the token is malformed', 'issued at',
			'"iat" is not a usable number.', NULL),
		('issued_in_future', 'token-iat-in-the-future', 'the token was issued in the future', 'issued at',
			'"iat" is in the future.',
			'Compare the clocks.'),
		('too_old', 'token-expired', 'the token has expired', 'issued at',
			'The token is older than the instance''s max_token_age.',
			'Get a fresh token.'),
		('session_pending', 'session-pending', 'the session is pending', 'session status',
			'"sts" is "pending", which counts as signed out.',
			'The user has a session task to finish in Clerk.'),
		('session_revoked', 'session-revoked', 'the session was revoked', 'revocation',
			'The session has ended, or was revoked.', 'Sign in again.'),
		('user_revoked', 'user-revoked', 'the user was revoked', 'revocation',
			'The user was banned, deleted or revoked.', NULL),
		('identity_mismatch', 'identity-mismatch', 'the request names two users', 'identity',
			'Another source of this request names another user than the verified token, or cannot be read.',
				'Send one token in one place.'),
		('webhook_headers', 'webhook-invalid-headers', 'the webhook is not signed', NULL,
			'One of the headers svix-id, svix-timestamp and svix-signature is missing or malformed.', NULL),
		('webhook_too_old', 'webhook-too-old', 'the webhook is too old', NULL,
			'Its timestamp is more than five minutes ago.', 'Compare the clocks.'),
		('webhook_too_new', 'webhook-too-new', 'the webhook is in the future', NULL,
			'Its timestamp is more than five minutes ahead.', 'Compare the clocks.'),
		('webhook_signature', 'webhook-invalid-signature', 'no secret made the signature', NULL,
			'None of the secrets of any instance signed this id, timestamp and body.',
			'Give the endpoint''s signing secret to clerk.add_webhook_secret().')
	) AS r (status, code, message, step, detail, hint)
	WHERE r.status = reason.status;
END
$$;
COMMENT ON FUNCTION clerk_internal.reason(text) IS
	'the reason code of a status, its texts, and the step of the verification it belongs to';

CREATE FUNCTION clerk_internal.steps() RETURNS text[]
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN '{source,shape,instance,type,key,algorithm,signature,subject,audience,"authorized '
		'party",expiry,"not before","issued at","session status",revocation,identity}'::text[];
COMMENT ON FUNCTION clerk_internal.steps() IS 'the steps of a verification, in their order';

-- PostgREST answers PT401 with HTTP status 401; class 28 would be 403.
CREATE FUNCTION clerk_internal.raise(status text) RETURNS void
	LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	reason constant record := clerk_internal.reason(status);
BEGIN
	PERFORM clerk_internal.refuse(CASE status WHEN 'table_unreadable' THEN '55000'
		ELSE 'PT401' END, reason.message, reason.detail, reason.hint);
END
$$;
COMMENT ON FUNCTION clerk_internal.raise(text) IS 'raises for a status other than ok, with the reason';

CREATE FUNCTION clerk_internal.is_anonymous(status text) RETURNS boolean
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN status IN ('no_token', 'cookie_cross_site', 'issuer_unknown', 'issuer_legacy');
COMMENT ON FUNCTION clerk_internal.is_anonymous(text) IS
	'whether the request is one without a token of ours, rather than one with a bad token';
