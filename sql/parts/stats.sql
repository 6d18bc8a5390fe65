--
-- stats.sql
--		How tokens fare.
--
-- Uses library.
--

CREATE VIEW clerk.stats AS
	SELECT counted.issuer, counted.reason, pg_catalog.sum(counted.tokens)::bigint AS tokens, counted.since
	FROM clerk_internal.count_tokens() AS counted
	GROUP BY counted.issuer, counted.reason, counted.since;
COMMENT ON VIEW clerk.stats IS
	'how many tokens were verified and refused, by all sessions of this database on this server: once for '
		'each request, remembered or not, and each call of clerk.verify() and its like; empty before '
		'PostgreSQL 17 unless the library is in shared_preload_libraries';
COMMENT ON COLUMN clerk.stats.issuer IS 'the instance; NULL: none that is registered';
COMMENT ON COLUMN clerk.stats.reason IS 'verified, or the reason code of the refusal';
COMMENT ON COLUMN clerk.stats.tokens IS 'their number';
COMMENT ON COLUMN clerk.stats.since IS
	'when counting began: the start of the server, or the first token after it';
