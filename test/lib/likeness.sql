-- Likenesses of pg_net, pg_cron and pgsql-http: what we use of them, as members of extensions of their names, with
-- the privileges that the real ones grant. An answer of the likeness of http is a row of http_answers.
\set ECHO none
SET allow_system_table_mods = on;
CREATE FUNCTION pg_temp.make_extension(name name, schema regnamespace) RETURNS void LANGUAGE sql AS $$
	INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
	SELECT pg_nextoid('pg_extension', 'oid', 'pg_extension_oid_index'), name, r.oid, schema, false, '1'
	FROM pg_roles AS r WHERE rolname = current_user
$$;

CREATE SCHEMA net;
SELECT pg_temp.make_extension('pg_net', 'net') \g /dev/null
CREATE TABLE net.http_request_queue (id bigserial, method text, url text, headers jsonb, body bytea, timeout_milliseconds int);
CREATE TABLE net._http_response (id bigint, status_code int, content_type text, headers jsonb, content text, timed_out boolean, error_msg text, created timestamptz NOT NULL DEFAULT now());
CREATE FUNCTION net.http_get(url text, params jsonb DEFAULT '{}', headers jsonb DEFAULT '{}', timeout_milliseconds int DEFAULT 5000) RETURNS bigint
	LANGUAGE sql AS $$ INSERT INTO net.http_request_queue (method, url, headers, timeout_milliseconds) VALUES ('GET', $1, $3, $4) RETURNING id $$;
ALTER EXTENSION pg_net ADD TABLE net.http_request_queue;
ALTER EXTENSION pg_net ADD SEQUENCE net.http_request_queue_id_seq;
ALTER EXTENSION pg_net ADD TABLE net._http_response;
ALTER EXTENSION pg_net ADD FUNCTION net.http_get(text, jsonb, jsonb, int);
GRANT USAGE ON SCHEMA net TO PUBLIC;
GRANT ALL ON ALL SEQUENCES IN SCHEMA net TO PUBLIC;
GRANT ALL ON ALL TABLES IN SCHEMA net TO PUBLIC;

CREATE SCHEMA cron;
SELECT pg_temp.make_extension('pg_cron', 'cron') \g /dev/null
CREATE SEQUENCE cron.jobid_seq;
CREATE TABLE cron.job (jobid bigint PRIMARY KEY DEFAULT nextval('cron.jobid_seq'), schedule text NOT NULL, command text NOT NULL, nodename text DEFAULT 'localhost', nodeport int DEFAULT 5432,
	database text NOT NULL DEFAULT current_database(), username text NOT NULL DEFAULT session_user, active boolean NOT NULL DEFAULT true, jobname text, UNIQUE (jobname, username));
CREATE TABLE cron.job_run_details (jobid bigint, runid bigint PRIMARY KEY, status text);
ALTER TABLE cron.job ENABLE ROW LEVEL SECURITY;
CREATE POLICY cron_job_policy ON cron.job USING (username = current_user);
CREATE FUNCTION cron.schedule(job_name text, schedule text, command text) RETURNS bigint
	LANGUAGE sql SECURITY DEFINER AS $$ INSERT INTO cron.job (jobname, schedule, command) VALUES ($1, $2, $3) RETURNING jobid $$;
CREATE FUNCTION cron.unschedule(job_id bigint) RETURNS boolean LANGUAGE sql SECURITY DEFINER AS $$ DELETE FROM cron.job WHERE jobid = $1 RETURNING true $$;
ALTER EXTENSION pg_cron ADD TABLE cron.job;
ALTER EXTENSION pg_cron ADD SEQUENCE cron.jobid_seq;
ALTER EXTENSION pg_cron ADD TABLE cron.job_run_details;
ALTER EXTENSION pg_cron ADD FUNCTION cron.schedule(text, text, text);
ALTER EXTENSION pg_cron ADD FUNCTION cron.unschedule(bigint);
GRANT USAGE ON SCHEMA cron TO PUBLIC;
GRANT SELECT ON cron.job TO PUBLIC;
GRANT SELECT, DELETE ON cron.job_run_details TO PUBLIC;

-- a member of its extension only once the test says so, as pg_net is not used where http is there
CREATE SCHEMA fetching;
CREATE TABLE fetching.http_answers (uri text, status int, content varchar);
CREATE TYPE fetching.http_response AS (status int, content_type varchar, content varchar);
CREATE FUNCTION fetching.http_get(uri varchar) RETURNS fetching.http_response
	LANGUAGE sql AS $$ SELECT status, 'application/json'::varchar, content FROM fetching.http_answers AS a WHERE a.uri = $1 $$;
RESET allow_system_table_mods;
\set ECHO all
