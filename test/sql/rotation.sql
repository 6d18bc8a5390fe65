-- Keys that come and go: PEM files, retired keys, fetched keys, and what health() says of them.
\getenv srcdir PG_ABS_SRCDIR
\set load :srcdir '/vectors/load.sql'
\i :load
\set SHOW_CONTEXT never

SELECT clerk.add_instance(:'issuer_a') AS a, clerk.add_instance(:'issuer_b') AS b \gset
CREATE FUNCTION pg_temp.who(names text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answers text := '';
	current record;
BEGIN
	FOR current IN SELECT name, token FROM tokens WHERE name = ANY (string_to_array(names, ' ')) ORDER BY name LOOP
		PERFORM set_config('clerk.token', current.token, true);
		answers := answers || format('%s=%s ', current.name, coalesce(clerk.uid(), '-'));
	END LOOP;
	RETURN answers;
END
$$;

-- a PEM file without a kid: for tokens of any kid, and of none, of its instance only
SELECT clerk.load_pem(:'issuer_a', :'pem_a') AS pem_kid \gset
SELECT :'pem_kid' = clerk_internal.jwk_thumbprint(jwk) AS is_thumbprint, any_kid FROM clerk.jwks;
SELECT pg_temp.who('alice unknown_kid kid_missing kid_of_b carol forged expired alg_hs256_public_key alg_none alg_rs512');
-- beside a JWKS, which has its own say about the kids it knows
SELECT * FROM clerk.load_jwks(:'issuer_a', :'jwks_a_next');
SELECT pg_temp.who('alice alice_next_key unknown_kid forged');
SELECT clerk.retire_key(:'issuer_a', :'pem_kid');
SELECT pg_temp.who('alice alice_next_key unknown_kid');
-- in every form in which it is copied
SELECT form, clerk.load_pem(:'issuer_a', pem) = :'pem_kid' AS the_same
FROM (VALUES ('CRLF', replace(:'pem_a', E'\n', E'\r\n')), ('without lines', regexp_replace(:'pem_a', '-----[^-]*-----|\n', '', 'g')),
	('indented', replace(:'pem_a', E'\n', E'\n    '))) AS v (form, pem);
SELECT pg_temp.who('alice');
-- with a kid it is for that
SELECT clerk.load_pem(:'issuer_a', :'pem_ed25519', 'ins_eddsa');
SELECT pg_temp.who('alice_eddsa');
SELECT clerk.load_pem(:'issuer_a', :'pem_weak');
SELECT clerk.load_pem(:'issuer_a', '-----BEGIN PUBLIC KEY-----
-----END PUBLIC KEY-----');
SELECT clerk.load_pem(:'issuer_a', NULL);
SELECT clerk.load_pem(:'issuer_a', :'pem_a', '');
SELECT clerk.load_pem(:'issuer_a', encode(repeat('x', 3000)::bytea, 'base64'));
SELECT clerk.load_pem('https://unknown.example', :'pem_a');
SELECT clerk.retire_key(:'issuer_a', 'unknown');

-- a retired key is not brought back by a JWKS that still has it
DELETE FROM clerk.jwks;
SELECT * FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
SELECT pg_temp.who('alice');
BEGIN;
SELECT clerk.retire_key(:'issuer_a', 'ins_a');
SELECT pg_temp.who('alice');
ROLLBACK;
SELECT pg_temp.who('alice');
SELECT clerk.retire_key(:'issuer_a', 'ins_a');
SELECT * FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
SELECT pg_temp.who('alice');
DELETE FROM clerk.jwks WHERE is_retired;
SELECT * FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
SELECT pg_temp.who('alice');

-- PostgREST gets the keys of PEM files without a kid
SELECT clerk.load_pem(:'issuer_a', :'pem_ed25519') IS NOT NULL AS loaded;
BEGIN;
SELECT clerk.pre_config();
SELECT key ->> 'kid' AS kid, key ->> 'kty' AS kty FROM jsonb_array_elements(current_setting('pgrst.jwt_secret')::jsonb -> 'keys') AS key ORDER BY 1;
COMMIT;

-- fetching, without anything to fetch with
SELECT clerk.refresh_jwks();
SELECT clerk.refresh_jwks(:'issuer_b');
BEGIN;
UPDATE clerk.instances SET jwks_url = 'https://keys.example/$(x)?a="`b`"&c=\d''' WHERE issuer = :'issuer_b';
SELECT clerk.refresh_jwks(:'issuer_b');
ROLLBACK;
SELECT clerk.refresh_jwks('https://unknown.example');
SELECT clerk.schedule_jwks_refresh('15 minutes');
SELECT clerk.schedule_jwks_refresh(NULL);

-- through pg_net, here in a likeness: asked for, collected by the next call, and what goes wrong
\set likeness :srcdir '/lib/likeness.sql'
\i :likeness
REVOKE ALL ON ALL TABLES IN SCHEMA net FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA net FROM PUBLIC;
SELECT * FROM clerk.refresh_jwks(:'issuer_a');
SELECT * FROM clerk.refresh_jwks(:'issuer_a');
INSERT INTO net._http_response (id, status_code, content) VALUES (1, 200, :'jwks_a_next');
SELECT * FROM clerk.refresh_jwks(:'issuer_a');
SELECT pg_temp.who('alice alice_next_key');
SELECT issuer, succeeded_at IS NOT NULL AS succeeded, failed_at IS NOT NULL AS failed, failure, request_id FROM clerk.jwks_refreshes;
INSERT INTO net._http_response (id, status_code, content) VALUES (2, 500, 'oops'), (3, 200, 'oops'), (4, 200, repeat('x', 1048577)),
	(5, 200, '{"keys": []}'), (6, 200, NULL), (7, 200, '{"keys": [{"kty": "oct", "k": "AAAA"}]}'), (8, 200, '{"a": "\u0000"}');
INSERT INTO net._http_response (id, timed_out, error_msg) VALUES (9, true, NULL), (10, false, 'Couldn''t resolve host name');
CREATE FUNCTION pg_temp.refreshes(n int) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..n LOOP
		RETURN QUERY SELECT concat_ws(': ', outcome, detail) FROM clerk.refresh_jwks('https://clerk.example.com');
	END LOOP;
END
$$;
SELECT * FROM pg_temp.refreshes(18) AS answer WHERE answer <> 'requested';
SELECT pg_temp.who('alice alice_next_key');
SELECT failed_at >= succeeded_at AS failed_last, failure FROM clerk.jwks_refreshes;
INSERT INTO net._http_response (id, status_code, content) VALUES (11, 200, :'jwks_a');
SELECT DISTINCT method, url, timeout_milliseconds FROM net.http_request_queue;
SELECT * FROM pg_temp.refreshes(2);
SELECT failure FROM clerk.jwks_refreshes;

-- the scheduled job: what is due, and at once where a token named an unknown key, but not within five minutes
CREATE FUNCTION pg_temp.run() RETURNS TABLE (issuer text, attempted boolean) LANGUAGE plpgsql AS $$
BEGIN
	UPDATE clerk.jwks_refreshes AS refresh SET request_id = NULL;
	CREATE TEMP TABLE before ON COMMIT DROP AS SELECT * FROM clerk.jwks_refreshes;
	PERFORM clerk.run_jwks_refresh('15 minutes');
	RETURN QUERY SELECT refresh.issuer, refresh.attempted_at IS DISTINCT FROM before.attempted_at
		FROM clerk.jwks_refreshes AS refresh LEFT JOIN before USING (issuer) ORDER BY refresh.issuer;
END
$$;
SELECT * FROM pg_temp.run();
SELECT * FROM pg_temp.run();
UPDATE clerk.jwks_refreshes SET attempted_at = now() - interval '15 minutes' WHERE issuer = :'issuer_b';
SELECT * FROM pg_temp.run();
UPDATE clerk.jwks_refreshes SET attempted_at = now() - interval '4 minutes';
SELECT pg_temp.who('unknown_kid');
SELECT * FROM pg_temp.run();
UPDATE clerk.jwks_refreshes SET attempted_at = now() - interval '6 minutes';
SELECT * FROM pg_temp.run();
SELECT issuer, current_keys, retiring_keys, ended_keys, newest_key_age < '1 minute' AS new, refreshed_at IS NOT NULL AS refreshed,
	refresh_failed_at IS NOT NULL AS failed, refresh_failure, unknown_kid_at > now() - interval '1 minute' AS unknown_kid
FROM clerk.health();

-- a monitoring role may look, and sees no key
CREATE ROLE regress_monitor;
GRANT pg_monitor TO regress_monitor;
SET ROLE regress_monitor;
SELECT count(*) FROM clerk.health();
SELECT * FROM clerk.jwks;
SELECT clerk.refresh_jwks();
SET ROLE anon;
SELECT count(*) FROM clerk.health();
RESET ROLE;
DROP ROLE regress_monitor;

-- pg_net grants all on its tables to PUBLIC: nothing is asked for, and no answer believed
INSERT INTO net._http_response (id, status_code, content) VALUES (99, 200, :'jwks_a');
GRANT ALL ON ALL TABLES IN SCHEMA net TO PUBLIC;
SELECT outcome, detail FROM clerk.refresh_jwks(:'issuer_a');
REVOKE ALL ON ALL TABLES IN SCHEMA net FROM PUBLIC;
CREATE ROLE net_writer;
GRANT UPDATE (content) ON net._http_response TO net_writer;
GRANT USAGE ON SEQUENCE net.http_request_queue_id_seq TO net_writer;
SELECT outcome, detail FROM clerk.refresh_jwks(:'issuer_a');
SELECT refresh_failure FROM clerk.health() WHERE issuer = :'issuer_a';
SELECT severity, finding, object, detail, fix FROM clerk.audit() WHERE finding = 'extension-writable' \gx
SELECT fix FROM clerk.audit() WHERE finding = 'extension-writable' \gexec
SELECT count(*) FROM clerk.audit() WHERE finding = 'extension-writable';
SELECT outcome, detail FROM clerk.refresh_jwks(:'issuer_a');
-- what has the right name, and is not the extension's, is never called
GRANT CREATE, USAGE ON SCHEMA net, cron, fetching TO net_writer;
ALTER EXTENSION pg_net DROP FUNCTION net.http_get(text, jsonb, jsonb, int);
UPDATE clerk.jwks_refreshes SET request_id = NULL;
SELECT outcome, detail FROM clerk.refresh_jwks(:'issuer_a');
-- nor one that another role owns and can replace
ALTER EXTENSION pg_net ADD FUNCTION net.http_get(text, jsonb, jsonb, int);
ALTER FUNCTION net.http_get(text, jsonb, jsonb, int) OWNER TO net_writer;
SELECT outcome, detail FROM clerk.refresh_jwks(:'issuer_a');
SELECT detail, fix FROM clerk.audit() WHERE finding = 'extension-writable';
ALTER FUNCTION net.http_get(text, jsonb, jsonb, int) OWNER TO CURRENT_USER;

-- the same for pgsql-http, whose argument is varchar: nobody's http_get(text) is preferred
SET allow_system_table_mods = on;
SELECT pg_temp.make_extension('http', 'fetching');
RESET allow_system_table_mods;
INSERT INTO fetching.http_answers VALUES (:'issuer_a' || '/.well-known/jwks.json', 200, :'jwks_a');
SELECT outcome, detail FROM clerk.refresh_jwks(:'issuer_a');
ALTER EXTENSION http ADD FUNCTION fetching.http_get(varchar);
SET ROLE net_writer;
CREATE FUNCTION fetching.http_get(uri text) RETURNS fetching.http_response LANGUAGE plpgsql AS $$ BEGIN RAISE 'captured'; END $$;
RESET ROLE;
SELECT outcome, detail FROM clerk.refresh_jwks(:'issuer_a');
ALTER FUNCTION fetching.http_get(varchar) OWNER TO net_writer;
SELECT outcome, detail FROM clerk.refresh_jwks(:'issuer_a');
SELECT object, detail, fix FROM clerk.audit() WHERE finding = 'extension-writable';
ALTER FUNCTION fetching.http_get(varchar) OWNER TO CURRENT_USER;

-- and pg_cron
SET ROLE net_writer;
CREATE FUNCTION cron.schedule(job_name varchar, schedule varchar, command varchar) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE 'captured'; END $$;
RESET ROLE;
SELECT clerk.schedule_jwks_refresh('15 minutes');
SELECT clerk.schedule_jwks_refresh('20 minutes');
SELECT jobname, schedule, command FROM cron.job;
GRANT UPDATE ON cron.job TO net_writer;
SELECT clerk.schedule_jwks_refresh('15 minutes');
SELECT object, detail, fix FROM clerk.audit() WHERE finding = 'extension-writable';
SELECT fix FROM clerk.audit() WHERE finding = 'extension-writable' \gexec
SELECT clerk.schedule_jwks_refresh(NULL);
SELECT count(*) FROM cron.job;
ALTER EXTENSION pg_cron DROP FUNCTION cron.schedule(text, text, text);
SELECT clerk.schedule_prune('30 days');
SET client_min_messages = warning;
DROP OWNED BY net_writer;
DROP ROLE net_writer;
DROP EXTENSION http, pg_net, pg_cron CASCADE;
DROP SCHEMA net, cron, fetching CASCADE;
RESET client_min_messages;
DROP EXTENSION clerk_rls;
CREATE EXTENSION clerk_rls;
