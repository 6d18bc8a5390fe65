-- shop.sql: a database as people have one, for the pictures of clerk.report().
\getenv srcdir PG_ABS_SRCDIR
CREATE EXTENSION clerk_rls;
\set load :srcdir '/vectors/load.sql'
\i :load
\set ECHO none
SELECT clerk.add_instance(:'issuer_a', authorized_parties => '{https://app.example.com}') AS a \gset
SELECT count(*) AS n FROM clerk.load_jwks(:'issuer_a', :'jwks_all') \gset
SELECT count(*) AS n FROM clerk.load_jwks(:'issuer_a', :'jwks_a') \gset
INSERT INTO clerk.jwks_refreshes (issuer, attempted_at, succeeded_at) VALUES (:'issuer_a', now(), now() - interval '9 minutes');
SELECT clerk.add_webhook_secret(:'issuer_a', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
INSERT INTO clerk.webhook_events SELECT 'msg_' || n, :'issuer_a', type, now() - n * n * interval '7 minutes'
	FROM unnest('{user.updated,session.ended,organizationMembership.created,user.created,session.created,organization.updated}'::text[])
		WITH ORDINALITY AS e (type, n);
SELECT clerk.revoke_session('sess_lost_laptop', 'lost laptop');

CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id text, org_id text, total numeric);
SELECT clerk.protect('orders', owner => 'user_id', org => 'org_id', admin_role => 'admin', dry_run => false);
CREATE TABLE profiles (id uuid PRIMARY KEY, name text);
SELECT clerk.protect('profiles', owner => 'id', dry_run => false);
CREATE TABLE products (id bigint PRIMARY KEY, name text, price numeric);
ALTER TABLE products ENABLE ROW LEVEL SECURITY;
CREATE POLICY everybody ON products FOR SELECT USING (true);
CREATE POLICY editors ON products FOR UPDATE TO authenticated USING (clerk.has_permission('org:products:edit'));
GRANT SELECT ON products TO anon, authenticated;
GRANT UPDATE (name, price) ON products TO authenticated;
CREATE TABLE carts (id bigint PRIMARY KEY, user_id text);
GRANT SELECT, INSERT ON carts TO authenticated;

-- some requests
CREATE FUNCTION pg_temp.ask(bearer text, times integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. times LOOP
		PERFORM set_config('request.headers', json_build_object('authorization', 'Bearer ' || bearer)::text, true), clerk.uid();
		PERFORM set_config('request.headers', '{}', true), clerk.uid();
	END LOOP;
END
$$;
SELECT count(pg_temp.ask(token, CASE name WHEN 'alice' THEN 240 WHEN 'bob' THEN 130 WHEN 'expired' THEN 21 WHEN 'azp_other' THEN 6 ELSE 3 END)) AS n
FROM tokens WHERE name IN ('alice', 'bob', 'expired', 'forged', 'azp_other', 'issuer_foreign') \gset
