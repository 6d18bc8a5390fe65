--
-- rest.sql
--	What the benchmark asks PostgREST for: ten rows of a table with a policy, and of one
--	without; and webhooks beside a plain upsert of the same body.  Run by bench.sh.
--

CREATE SCHEMA api;
GRANT USAGE ON SCHEMA api TO anon, authenticated;
CREATE TABLE api.notes AS SELECT i AS id, 'user_' || lpad((i % 1000)::text, 27, '0') AS user_id, 'a note' AS body FROM generate_series(1, 10000) AS i;
CREATE TABLE api.plain AS TABLE api.notes;
CREATE INDEX ON api.notes (user_id);
CREATE INDEX ON api.plain (user_id);
VACUUM ANALYZE api.notes, api.plain;
ALTER TABLE api.notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON api.notes TO authenticated USING (user_id = clerk.uid());
GRANT SELECT ON api.notes TO authenticated;
GRANT SELECT ON api.plain TO anon;
CREATE FUNCTION api.nothing() RETURNS void LANGUAGE plpgsql AS $$ BEGIN END $$;

SELECT clerk.add_webhook_secret(:'issuer', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw') \g /dev/null
SELECT clerk.expose_webhook('api') \g /dev/null
CREATE TABLE bench.upserted (id text PRIMARY KEY, payload jsonb);
CREATE FUNCTION api.plain_upsert(json) RETURNS json LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
	INSERT INTO bench.upserted VALUES ($1 #>> '{data,id}', ($1 -> 'data')::jsonb)
		ON CONFLICT ON CONSTRAINT upserted_pkey DO UPDATE SET payload = excluded.payload;
	RETURN '{"status": "applied"}';
END
$$;

INSERT INTO bench.targets (work, variant, baseline, target, inverse) VALUES
	('GET of 10 rows, 8 clients: throughput', 'policy and pre_request', 'neither, with an empty pre-request', '>= 0.95', true),
	('GET of 10 rows, 8 clients: throughput', 'policy and pre_request', 'neither', '', true),
	('GET of 10 rows, 8 clients: throughput', 'policy and role claim', 'neither', '', true),
	('1,000 webhooks through PostgREST: throughput', 'clerk_webhook', 'plain_upsert', '>= 0.5', true);
