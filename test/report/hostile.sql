-- hostile.sql: whatever can have a name has one that would be markup.
\getenv srcdir PG_ABS_SRCDIR
CREATE EXTENSION clerk_rls;
\set load :srcdir '/vectors/load.sql'
\i :load
\set ECHO none
\set x '<script>document.title="x"</script><img src=x>"''&'
SELECT clerk.add_instance('https://<script>alert(1)</script>', authorized_parties => ARRAY[:'x']) AS a \gset
SELECT clerk.add_instance(:'issuer_a') AS a \gset
SELECT count(*) AS n FROM clerk.load_jwks(:'issuer_a', :'jwks_a') \gset
UPDATE clerk.jwks SET kid = :'x', jwk = jsonb_set(jwk, '{kid}', to_jsonb(:'x'::text));
INSERT INTO clerk.jwks_refreshes (issuer, failed_at, failure) VALUES (:'issuer_a', now(), :'x' || E'\x01\x1b[31m');
SELECT clerk.add_webhook_secret(:'issuer_a', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
INSERT INTO clerk.webhook_events VALUES (:'x', :'issuer_a', :'x');
SELECT clerk.revoke_session('sess_secretive', :'x');

CREATE ROLE :"x";
UPDATE clerk.instances SET role = :'x' WHERE issuer = :'issuer_a';
CREATE SCHEMA :"x";
GRANT USAGE ON SCHEMA :"x" TO anon, :"x";
CREATE TABLE :"x".:"x" (:"x" text, user_id text DEFAULT :'x');
ALTER TABLE :"x".:"x" ENABLE ROW LEVEL SECURITY;
CREATE POLICY :"x" ON :"x".:"x" TO anon, :"x" USING (:"x" = :'x' OR clerk.has_role(:'x') OR user_id = clerk.uid());
GRANT ALL ON :"x".:"x" TO anon, :"x";
CREATE TABLE :"x".open (:"x" text);
GRANT SELECT (:"x") ON :"x".open TO PUBLIC;
CREATE FUNCTION :"x".:"x"(:"x" text, jsonb) RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT $1';
GRANT EXECUTE ON FUNCTION :"x".:"x" TO anon;
CREATE FUNCTION :"x".:"x"(jsonb) RETURNS void LANGUAGE sql AS '';
SELECT clerk.add_event_handler(:'x', (quote_ident(:'x') || '.' || quote_ident(:'x') || '(jsonb)')::regprocedure);
