-- examples.sql: the database of the examples. run.sh passes the issuer and its JWKS.

CREATE EXTENSION clerk_rls;
SELECT clerk.add_instance(:'issuer', authorized_parties => '{https://app.examples.example}');
SELECT clerk.load_jwks(:'issuer', :'jwks');

CREATE ROLE anon;
CREATE ROLE authenticated;
CREATE ROLE authenticator LOGIN NOINHERIT;
GRANT anon, authenticated TO authenticator;

-- what an ORM logs in as: no owner of the tables and no superuser, whom policies do not stop
CREATE ROLE app LOGIN IN ROLE authenticated;

-- anon may read, too, so that only the policy is what stops it
CREATE TABLE notes (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	user_id text NOT NULL DEFAULT clerk.uid(),
	body text NOT NULL
);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes USING (user_id = clerk.uid());
GRANT SELECT ON notes TO anon;
GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO authenticated;

CREATE TABLE invoices (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	org_id text NOT NULL DEFAULT clerk.org_id(),
	amount numeric NOT NULL
);
ALTER TABLE invoices ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON invoices USING (org_id = clerk.org_id());
GRANT SELECT ON invoices TO anon, authenticated;
INSERT INTO invoices (org_id, amount) VALUES ('org_acme', 12.5), ('org_other', 99);
