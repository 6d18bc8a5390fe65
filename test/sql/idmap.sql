-- Clerk ids and local ids: rows, claims, UUIDs of version 5, and what does not fit.
\getenv srcdir PG_ABS_SRCDIR
\set load :srcdir '/vectors/load.sql'
\i :load
\set VERBOSITY terse

SELECT clerk.add_instance(:'issuer_a', id_claim => 'external_id') AS a, clerk.add_instance(:'issuer_b', id_fallback => 'none') AS b \gset
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
SELECT count(*) FROM clerk.load_jwks(:'issuer_b', :'jwks_b');
CREATE FUNCTION pg_temp.mapped(token text, OUT uuid uuid, OUT "bigint" bigint, OUT text text, OUT org uuid) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('clerk.token', token, true);
	SELECT clerk.mapped_id(), clerk.mapped_bigint(), clerk.mapped_text(), clerk.mapped_org_id() INTO uuid, "bigint", text, org;
END
$$;

-- nobody is signed in
SELECT clerk.mapped_id(), clerk.mapped_bigint(), clerk.mapped_text(), clerk.mapped_org_id();

-- without a row: the claim where there is one, else the UUID, which Python's uuid5() gives as well; none for instance B
SELECT name, mapped.* FROM tokens, pg_temp.mapped(token)
WHERE name IN ('alice', 'bob', 'carol', 'org_v1', 'org_v2', 'pending', 'expired') OR name LIKE 'external%' ORDER BY name;

-- rows: first, and never a fallback where they do not fit
SELECT clerk.map_id('user_alice', '42'), clerk.map_id('user_bob', 'B0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'),
	clerk.map_id('user_carol', 'carol@old'), clerk.map_id('org_acme', 'c0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11');
SELECT name, mapped.* FROM tokens, pg_temp.mapped(token)
WHERE name IN ('alice', 'bob', 'carol', 'org_v2', 'external_uuid') ORDER BY name;

-- an organization, as any type
SELECT set_config('clerk.token', :'org_v2', false) IS NOT NULL AS of_acme \gset
SELECT clerk.mapped_org_id(), clerk.mapped_org_bigint(), clerk.mapped_org_text(), clerk.map_id('org_acme', '42');
SELECT clerk.mapped_org_id(), clerk.mapped_org_bigint(), clerk.mapped_org_text(), clerk.unmap_id('org_acme');
SELECT clerk.mapped_org_id(), clerk.mapped_org_bigint(), clerk.mapped_org_text(), clerk.map_id('org_acme', 'c0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11');
SELECT set_config('clerk.token', :'alice', false) IS NOT NULL AS of_none \gset
SELECT clerk.mapped_org_id(), clerk.mapped_org_bigint(), clerk.mapped_org_text();
RESET clerk.token;

-- any Clerk id: by row, else as the instance of whoever asks wants it
SELECT id, clerk.mapped_id(id) FROM unnest('{user_alice,user_bob,org_acme,user_unknown,NULL}'::text[]) AS id;
SELECT set_config('clerk.token', :'bob', false) IS NOT NULL AS signed_in_at_a \gset
SELECT id, clerk.mapped_id(id) FROM unnest('{user_bob,user_unknown}'::text[]) AS id;
SELECT set_config('clerk.token', :'carol', false) IS NOT NULL AS signed_in_at_b \gset
SELECT id, clerk.mapped_id(id) FROM unnest('{user_bob,user_unknown}'::text[]) AS id;
RESET clerk.token;

-- what is a number, and what is a UUID, in one spelling only
CREATE FUNCTION pg_temp.fits(value text, OUT "bigint" bigint, OUT uuid uuid) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM clerk.map_id('user_bob', value), set_config('clerk.token', (SELECT token FROM tokens WHERE name = 'bob'), true);
	SELECT clerk.mapped_bigint(), clerk.mapped_id() INTO "bigint", uuid;
END
$$;
SELECT value, fits.* FROM (VALUES
	('0'), ('-1'), ('9223372036854775807'), ('-9223372036854775808'), ('9223372036854775808'), ('-0'), ('007'), ('+7'), (' 7'), ('7 '),
	('7.0'), ('1e3'), ('0x7'), (' '), ('a0eebc999c0b4ef8bb6d6bb9bd380a11'), ('{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'),
	('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1'), ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'), ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a111'),
	('g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11')) AS v (value), pg_temp.fits(value);

-- one to one
SELECT clerk.map_id('user_dave', '42');
SELECT clerk.map_id('user_alice', '42');
SELECT clerk.map_id('user_alice', '43'), clerk.map_id('user_dave', '42');
SELECT clerk.map_id('user_alice', 'D0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11');
SELECT clerk.map_id('user_dave', 'd0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11');
-- but an organization may have the number of a user
SELECT clerk.map_id('org_acme', '42');
SELECT clerk.map_id('org_other', '42');
INSERT INTO clerk.id_map VALUES ('user_eve', '');
SELECT clerk.map_id('', '1');
SELECT clerk.map_id('alice', '1');
SELECT clerk.map_id('sess_alice', '1');
SELECT clerk.map_id('user_eve', NULL);
SELECT clerk.map_id('user_eve', repeat('x', 256));
SELECT clerk.unmap_id('user_alice'), clerk.unmap_id('user_dave');
SELECT clerk.unmap_id('user_alice');

-- an instance may declare the type of its ids
UPDATE clerk.instances SET id_type = 'uuid' WHERE issuer = :'issuer_a';
SELECT clerk.map_id('user_eve', '42');
SELECT clerk.map_id('org_eve', '77');
SELECT clerk.map_id('user_eve', 'e0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11');
UPDATE clerk.instances SET id_type = 'bigint';
SELECT clerk.map_id('user_eve', '9223372036854775808');
SELECT clerk.map_id('user_eve', '9223372036854775807');
UPDATE clerk.instances SET id_type = 'serial';

-- in a policy, READ ONLY, as a user who may not read the table; a changed row counts at the next statement
CREATE TABLE owned (owner uuid, body text);
ALTER TABLE owned ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON owned TO authenticated USING (owner = clerk.mapped_id());
GRANT SELECT ON owned TO authenticated;
UPDATE clerk.instances SET id_type = NULL;
SELECT clerk.map_id('user_bob', 'b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11');
INSERT INTO owned VALUES ('b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'row'), ('6f6b5917-155a-519b-8f95-1e1cbc23202f', 'uuid'), (NULL, 'nobody');
SET ROLE authenticated;
BEGIN READ ONLY;
SET LOCAL clerk.token = :'bob';
SELECT body FROM owned;
SET LOCAL clerk.token = :'alice';
SELECT body FROM owned;
ROLLBACK;
SELECT * FROM clerk.id_map;
SELECT clerk.map_id('user_bob', '1');
RESET ROLE;
BEGIN;
SET LOCAL clerk.token = :'alice';
PREPARE mine AS SELECT clerk.mapped_id();
EXECUTE mine;
SELECT clerk.map_id('user_alice', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11');
EXECUTE mine;
SELECT clerk.unmap_id('user_alice');
EXECUTE mine;
ROLLBACK;

DROP TABLE owned;
DELETE FROM clerk.id_map;
SELECT clerk.drop_instance(:'issuer_a'), clerk.drop_instance(:'issuer_b');
