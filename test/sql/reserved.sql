-- The UUID that a user has without a mapping is nobody else's: not by a row, not by a claim, in no spelling.
\getenv srcdir PG_ABS_SRCDIR
\set load :srcdir '/vectors/load.sql'
\i :load
\set SHOW_CONTEXT never
\set ECHO none
SELECT clerk.add_instance(:'issuer_a') AS a, clerk.add_instance(:'issuer_b') AS b \gset
SELECT count(*) AS keys FROM clerk.load_jwks(:'issuer_a', :'jwks_a') \gset
\set ECHO all

-- users choose their id, and have only the row that is theirs; alice has none yet, and owns a document
CREATE TABLE profiles (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), clerk_id text UNIQUE DEFAULT clerk.uid());
CREATE TABLE documents (owner uuid DEFAULT clerk.mapped_id(), body text);
ALTER TABLE profiles ENABLE ROW LEVEL SECURITY;
ALTER TABLE documents ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON profiles TO authenticated USING (clerk_id = clerk.uid());
CREATE POLICY own ON documents TO authenticated USING (owner = clerk.mapped_id());
GRANT SELECT, INSERT, UPDATE ON profiles TO authenticated;
GRANT SELECT, INSERT ON documents TO authenticated;
SELECT clerk.track_ids('profiles', 'clerk_id', 'id');
SET ROLE authenticated;
SET clerk.token = :'alice';
INSERT INTO documents (body) VALUES ('of alice') RETURNING *;

-- bob takes what is to be hers, at once or by and by
SET clerk.token = :'bob';
INSERT INTO profiles (id) VALUES (clerk.mapped_id('user_alice'));
INSERT INTO profiles DEFAULT VALUES;
UPDATE profiles SET id = clerk.mapped_id('user_alice');
INSERT INTO profiles (id) VALUES (clerk.mapped_id('org_acme')) ON CONFLICT (clerk_id) DO UPDATE SET id = excluded.id;
SELECT * FROM documents;
-- his own is his
RESET ROLE;
DELETE FROM profiles;
SET ROLE authenticated;
INSERT INTO profiles (id) VALUES (clerk.mapped_id());
SELECT clerk.mapped_id() = id AS is_own FROM profiles;
RESET ROLE;
DELETE FROM profiles;

-- nor by whoever writes for him
SELECT clerk.map_id('user_bob', clerk.mapped_id('user_alice')::text);
SELECT clerk.map_id('user_bob', upper(clerk.mapped_id('user_alice')::text));
SELECT clerk.map_id('user_alice', clerk.mapped_id('user_alice')::text), clerk.unmap_id('user_alice');
SELECT clerk.map_id('org_acme', clerk.mapped_id('org_acme')::text), clerk.unmap_id('org_acme');
SELECT clerk.untrack_ids('profiles');
INSERT INTO profiles VALUES (clerk.mapped_id('user_alice'), 'user_bob');
SELECT clerk.track_ids('profiles', 'clerk_id', 'id');
SELECT clerk_id FROM profiles WHERE clerk_internal.is_reserved_id(clerk_id, id::text);
SELECT clerk.track_ids('profiles', 'clerk_id', 'id');
DROP TABLE profiles;

-- a row that came in all the same is no answer, whatever the type and the spelling
CREATE FUNCTION pg_temp.mapped(who text, row_text text, OUT uuid uuid, OUT "bigint" bigint, OUT text text, OUT org_text text, OUT of_id uuid) LANGUAGE plpgsql AS $$
BEGIN
	TRUNCATE clerk.id_map;
	INSERT INTO clerk.id_map VALUES (who, row_text);
	PERFORM set_config('clerk.token', (SELECT token FROM tokens WHERE name = CASE who WHEN 'user_bob' THEN 'bob' ELSE 'org_v2' END), true);
	SELECT clerk.mapped_id(), clerk.mapped_bigint(), clerk.mapped_text(), clerk.mapped_org_text(), clerk.mapped_id(who) INTO uuid, "bigint", text, org_text, of_id;
END
$$;
\set hers '6f6b5917-155a-519b-8f95-1e1cbc23202f'
SELECT clerk.mapped_id('user_alice') = :'hers' AS hers;
SELECT spelling, mapped.* FROM (VALUES
	(:'hers'), (upper(:'hers')), ('{' || :'hers' || '}'), (replace(:'hers', '-', '')), ('6f6b-5917-155a-519b-8f95-1e1c-bc23-202f'),
	('{' || upper(replace(:'hers', '-', '')) || '}'), (' ' || :'hers' || E'\n'), ('urn:uuid:' || :'hers'), ('URN:UUID:' || upper(:'hers'))
) AS spellings (spelling), pg_temp.mapped('user_bob', spelling);
SELECT spelling, mapped.* FROM (VALUES (:'hers'), ('{' || :'hers' || '}')) AS spellings (spelling), pg_temp.mapped('org_acme', spelling);
-- nothing else is, not what looks like one
SELECT spelling, mapped.text FROM (VALUES
	('6f6b5917-155a-419b-8f95-1e1cbc23202f'), ('6f6b5917-155a-719b-8f95-1e1cbc23202f'), ('6f6b5917-155a-519b-cf95-1e1cbc23202f'),
	(:'hers' || '0'), (left(:'hers', 35)), ('g' || :'hers'), ('77')
) AS spellings (spelling), pg_temp.mapped('user_bob', spelling);
SELECT detail FROM clerk.diagnose(:'bob') WHERE step = 'mapping';
SELECT (pg_temp.mapped('user_bob', :'hers')).uuid;
SELECT detail FROM clerk.diagnose(:'bob') WHERE step = 'mapping';

-- a local id is one user's in any spelling that is the same uuid
TRUNCATE clerk.id_map;
SELECT clerk.map_id('user_alice', 'd0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11');
\set VERBOSITY terse
SELECT clerk.map_id('user_bob', 'D0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11');
SELECT clerk.map_id('user_bob', '{d0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}');
SELECT clerk.map_id('user_bob', 'd0eebc999c0b4ef8bb6d6bb9bd380a11');
SELECT clerk.map_id('user_bob', 'd0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11');
TRUNCATE clerk.id_map;

-- a claim
UPDATE clerk.instances SET id_claim = 'local' WHERE issuer = :'issuer_a';
SET clerk.token = :'reserved_id';
SELECT clerk.uid(), clerk.mapped_id(), clerk.mapped_text();
SET clerk.token = :'own_id';
SELECT clerk.uid(), clerk.mapped_id(), clerk.mapped_text();
-- and what a webhook says
UPDATE clerk.instances SET id_claim = 'external_id' WHERE issuer = :'issuer_a';
SELECT clerk_internal.apply_user(:'issuer_a', jsonb_build_object('id', 'user_bob', 'external_id', :'hers'), now(), false);
SELECT clerk_internal.apply_user(:'issuer_a', jsonb_build_object('id', 'user_alice', 'external_id', :'hers'), now(), false);
SELECT * FROM clerk.id_map;
DELETE FROM clerk.user_profiles;
TRUNCATE clerk.id_map;

-- where no instance derives, UUIDs of version 5 are like any others
UPDATE clerk.instances SET id_fallback = 'none', id_claim = NULL WHERE issuer = :'issuer_a';
SELECT clerk.map_id('user_bob', :'hers');
UPDATE clerk.instances SET id_fallback = 'none';
SELECT clerk.map_id('user_bob', :'hers');
SET clerk.token = :'bob';
SELECT clerk.mapped_id();
SELECT clerk.mapped_id('user_alice');
UPDATE clerk.instances SET id_fallback = 'uuid_v5' WHERE issuer = :'issuer_b';
SELECT clerk.mapped_id();

RESET clerk.token;
TRUNCATE clerk.id_map;
DROP TABLE documents;
SELECT clerk.drop_instance(:'issuer_a'), clerk.drop_instance(:'issuer_b');
