-- Supabase Storage, replayed: what it sets, in which order, as which roles; where the gateway is believed, and where it is not.
CREATE ROLE service_role BYPASSRLS;
CREATE ROLE regress_storage LOGIN NOINHERIT;
GRANT anon, authenticated, service_role TO regress_storage;
GRANT service_role TO authenticator;
CREATE DATABASE hosted_storage OWNER hosted_owner;
\c hosted_storage
\setenv PGDATABASE hosted_storage
\! "$CLERK_HOSTED_CREATE"
\getenv vectors PG_ABS_SRCDIR
\set ECHO none
\set vectors :vectors '/vectors/tokens.sql'
\i :vectors
\set ECHO all
\set VERBOSITY terse
SELECT clerk.add_instance(:'issuer_a') AS a \gset
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
SELECT value FROM clerk.settings WHERE name = 'verify';
CREATE SCHEMA storage;
GRANT USAGE ON SCHEMA storage TO regress_storage, anon, authenticated, service_role;
CREATE TABLE storage.objects (id int GENERATED ALWAYS AS IDENTITY, bucket_id text, name text, owner uuid, owner_id text, version int, UNIQUE (bucket_id, name));
ALTER TABLE storage.objects ENABLE ROW LEVEL SECURITY;
GRANT ALL ON storage.objects TO regress_storage, anon, authenticated, service_role;
CREATE POLICY own ON storage.objects TO authenticated
	USING (bucket_id = 'files' AND owner_id = (SELECT clerk.uid())) WITH CHECK (bucket_id = 'files' AND owner_id = (SELECT clerk.uid()));
CREATE POLICY shared ON storage.objects FOR SELECT TO authenticated USING (bucket_id = 'shared' AND split_part(name, '/', 1) = clerk.uid());

-- one transaction: all settings by one statement, then what the operation does, as the role of the token
CREATE FUNCTION request(role text, token text, claims jsonb, statement text, headers jsonb DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	rows text;
	why text;
BEGIN
	PERFORM set_config('role', role, true), set_config('request.jwt.claim.role', role, true), set_config('request.jwt', token, true),
		set_config('request.jwt.claim.sub', claims ->> 'sub', true), set_config('request.jwt.claims', claims::text, true),
		set_config('request.headers', coalesce(headers, jsonb_build_object('authorization', jsonb_build_array('Bearer ' || token), 'x-forwarded-host', '["a","b"]'::jsonb))::text, true),
		set_config('request.method', 'POST', true), set_config('request.path', '/object/files/a.txt', true), set_config('storage.operation', 'storage.object.upload', true);
	BEGIN
		EXECUTE format('WITH r AS (%s) SELECT string_agg(name, '', '' ORDER BY name) FROM r', statement) INTO rows;
	EXCEPTION WHEN insufficient_privilege THEN
		rows := 'refused';
	END;
	-- of what it has set nothing stays
	PERFORM set_config('role', 'none', true);
	RETURN coalesce(rows, 'none');
END
$$;
GRANT EXECUTE ON FUNCTION request TO regress_storage;
SELECT convert_from(clerk_internal.base64url_decode(split_part(:'alice', '.', 2)), 'UTF8')::jsonb || '{"role": "authenticated"}' AS alice_claims,
	convert_from(clerk_internal.base64url_decode(split_part(:'bob', '.', 2)), 'UTF8')::jsonb || '{"role": "authenticated"}' AS bob_claims,
	convert_from(clerk_internal.base64url_decode(split_part(:'expired', '.', 2)), 'UTF8')::jsonb || '{"role": "authenticated"}' AS expired_claims \gset
\set upload 'INSERT INTO storage.objects (bucket_id, name, owner_id, version) VALUES (\'files\', \'a.txt\', \'user_alice\', 1) RETURNING name'
\set upsert 'INSERT INTO storage.objects (bucket_id, name, owner_id, version) VALUES (\'files\', \'a.txt\', \'user_alice\', 2) ON CONFLICT (bucket_id, name) DO UPDATE SET version = 2 RETURNING name'
\set list 'SELECT name FROM storage.objects'
\set move 'UPDATE storage.objects SET name = \'b.txt\' WHERE name = \'a.txt\' RETURNING name'
\set steal 'UPDATE storage.objects SET owner_id = \'user_bob\' RETURNING name'
\set delete 'DELETE FROM storage.objects RETURNING name'
\set replay 'SELECT n, what, request(role, token, claims, statement) FROM requests ORDER BY n;'
CREATE TABLE requests AS SELECT * FROM (VALUES
	(1, 'Bob uploads in Alice''s name', 'authenticated', :'bob', :'bob_claims'::jsonb, :'upload'),
	(2, 'nobody uploads', 'anon', '', '{"role": "anon"}', :'upload'),
	(3, 'Alice uploads', 'authenticated', :'alice', :'alice_claims', :'upload'),
	(4, 'and lists', 'authenticated', :'alice', :'alice_claims', :'list'),
	(5, 'Bob lists', 'authenticated', :'bob', :'bob_claims', :'list'),
	(6, 'Bob overwrites', 'authenticated', :'bob', :'bob_claims', :'upsert'),
	(7, 'Bob moves', 'authenticated', :'bob', :'bob_claims', :'move'),
	(8, 'Bob deletes', 'authenticated', :'bob', :'bob_claims', :'delete'),
	(9, 'with a token that has expired', 'authenticated', :'expired', :'expired_claims', :'list'),
	(10, 'with another''s claims', 'authenticated', :'bob', :'alice_claims', :'list'),
	(11, 'Alice gives it away', 'authenticated', :'alice', :'alice_claims', :'steal'),
	(12, 'Alice overwrites', 'authenticated', :'alice', :'alice_claims', :'upsert'),
	(13, 'Alice moves', 'authenticated', :'alice', :'alice_claims', :'move'),
	(14, 'service_role lists', 'service_role', '', '{"role": "service_role"}', :'list'),
	(15, 'anon lists', 'anon', '', '{"role": "anon"}', :'list'),
	(16, 'Alice deletes', 'authenticated', :'alice', :'alice_claims', :'delete')) AS r (n, what, role, token, claims, statement);
GRANT SELECT ON requests TO regress_storage;
\c - regress_storage
:replay
-- a signed URL is Storage's own affair: it is looked up by service_role
SELECT request('service_role', '', '{"role": "service_role", "url": "files/a.txt"}', :'list');
\c - postgres
SELECT clerk.revoke_session('sess_alice');
\c - regress_storage
SELECT request('authenticated', :'alice', :'alice_claims', :'upload');
\c - postgres
SELECT clerk.unrevoke('sess_alice');
-- where signatures are verified the token does all
UPDATE clerk.settings SET value = 'signature' WHERE name = 'verify';
\c - regress_storage
:replay
SELECT request('authenticated', '', :'alice_claims', :'upload', '{}');
\c postgres postgres
DROP DATABASE hosted_storage;
DROP ROLE regress_storage, service_role;
