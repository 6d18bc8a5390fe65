-- base.sql
--	The tables of the tests with Citus, 20 rows of each of 20 users: distributed by user, by
--	organization, and not at all.  Reads the psql variable jwks.

\set ON_ERROR_STOP 1
SET client_min_messages = warning;

SELECT clerk.add_instance('https://clerk.citus.example', clock_skew => '0');
SELECT clerk.load_jwks('https://clerk.citus.example', :'jwks');

CREATE TABLE notes (id bigint, user_id text, body text, PRIMARY KEY (user_id, id));
CREATE TABLE tags (id bigint, user_id text, tag text, PRIMARY KEY (user_id, id));
CREATE TABLE org_notes (id bigint, org text, user_id text, body text, PRIMARY KEY (org, id));
CREATE TABLE kinds (kind text PRIMARY KEY);

-- one is protected before it is distributed, the others behind
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes USING (user_id = clerk.uid());
SELECT create_distributed_table('notes', 'user_id', shard_count => 8);
SELECT create_distributed_table('tags', 'user_id', colocate_with => 'notes');
SELECT create_distributed_table('org_notes', 'org', shard_count => 8);
SELECT create_reference_table('kinds');
ALTER TABLE tags ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON tags USING (user_id = clerk.uid());
ALTER TABLE org_notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON org_notes USING (user_id = clerk.uid());

INSERT INTO notes SELECT g, 'user_' || (g % 20), 'body ' || g FROM generate_series(0, 399) AS g;
INSERT INTO tags SELECT g, 'user_' || (g % 20), 'tag ' || g FROM generate_series(0, 399) AS g;
INSERT INTO org_notes SELECT g, 'org_' || (g % 60 / 20), 'user_' || (g % 20), 'body ' || g FROM generate_series(0, 399) AS g;
INSERT INTO kinds VALUES ('red'), ('green');

-- one that is no role of the API, and gets by hand what citus_setup() gives those
CREATE ROLE editor LOGIN;
SELECT format('ALTER ROLE editor IN DATABASE app SET %s TO %L', setting, value) FROM clerk_internal.citus_role_settings() \gexec
GRANT SELECT, INSERT, UPDATE, DELETE ON notes, tags, org_notes, kinds TO anon, authenticated, editor;
