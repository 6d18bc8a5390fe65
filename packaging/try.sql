-- try.sql: what an installed package must be able to do; prints user_alice|t.
CREATE EXTENSION clerk_rls;
SELECT clerk.add_instance(:'issuer_a') AS a \gset
SELECT count(*) AS n FROM clerk.load_jwks(:'issuer_a', :'jwks_a') \gset
SET clerk.token = :'alice';
SELECT clerk.uid(), (SELECT bool_and(outcome <> 'fail') FROM clerk.diagnose());
