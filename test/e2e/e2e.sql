-- e2e.sql: the database that the end-to-end tests reach through PostgREST. run.sh makes the
-- roles, and passes the JWKS of the two instances.

CREATE EXTENSION clerk_rls;

-- the second one reads cookies, because it says which origins may send them
SELECT clerk.add_instance('https://clerk.e2e.example');
SELECT clerk.add_instance('https://parties.e2e.example',
	authorized_parties => '{https://app.e2e.example}');
SELECT clerk.load_jwks('https://clerk.e2e.example', :'jwks');
SELECT clerk.load_jwks('https://parties.e2e.example', :'parties_jwks');

-- anon gets all rights, so that only the policy can be what stops it
CREATE TABLE notes (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	user_id text DEFAULT clerk.uid(),
	body text NOT NULL
);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes USING (user_id = clerk.uid());
GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO anon, web_anon, authenticated, editor, service_role;

CREATE TABLE crowd (user_id text DEFAULT clerk.uid());
ALTER TABLE crowd ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON crowd USING (user_id = clerk.uid());
GRANT SELECT, INSERT ON crowd TO anon, authenticated;

-- a row that is nobody's
INSERT INTO notes (user_id, body) VALUES (NULL, 'orphan');

CREATE FUNCTION uid() RETURNS text LANGUAGE sql STABLE AS 'SELECT clerk.uid()';

CREATE FUNCTION whoami() RETURNS json LANGUAGE sql STABLE AS $$
	SELECT json_build_object(
		'uid', clerk.uid(),
		'issuer', clerk.issuer(),
		'session_id', clerk.session_id(),
		'email', clerk.claim('email'),
		'is_authenticated', clerk.is_authenticated(),
		'role', current_user,
		'read_only', current_setting('transaction_read_only'))
$$;

CREATE FUNCTION whoami_writing() RETURNS json LANGUAGE sql VOLATILE AS 'SELECT whoami()';

-- webhooks, and what they have changed
SELECT clerk.add_webhook_secret('https://clerk.e2e.example', :'secret'), clerk.add_webhook_secret('https://parties.e2e.example', :'other_secret');
SELECT clerk.expose_webhook('public');
CREATE VIEW user_state AS SELECT clerk_id, username, banned FROM clerk.user_profiles;
GRANT SELECT ON user_state TO anon;
