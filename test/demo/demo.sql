-- demo.sql: what an application sets up, once. demo.sh shows it, and runs it with the
-- instance's public keys as :jwks.

CREATE EXTENSION clerk_rls;

-- the Clerk instance that signs our users in, and the keys it signs with
SELECT clerk.add_instance('https://clerk.demo.example');
SELECT * FROM clerk.load_jwks('https://clerk.demo.example', :'jwks');

-- the roles PostgREST works with
CREATE ROLE authenticator LOGIN NOINHERIT;
CREATE ROLE anon;
CREATE ROLE authenticated;
GRANT anon, authenticated TO authenticator;

-- notes: everybody's own, and nobody else's
CREATE TABLE notes (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	user_id text NOT NULL DEFAULT clerk.uid(),
	body text NOT NULL
);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes USING (user_id = clerk.uid());
GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO anon, authenticated;
