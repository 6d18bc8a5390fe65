-- Every token of the vectors, with the reason for which it is refused, or its subject.
\getenv srcdir PG_ABS_SRCDIR
\set load :srcdir '/vectors/load.sql'
\i :load

SELECT clerk.add_instance(:'issuer_a') AS a, clerk.add_instance(:'issuer_b') AS b \gset
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_all');
SELECT count(*) FROM clerk.load_jwks(:'issuer_b', :'jwks_b');

-- the door never raises; verify() does, with the same code and 401
CREATE FUNCTION pg_temp.ask(token text, OUT uid text, OUT refused text, OUT verify text, OUT code text)
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('clerk.token', token, true);
	uid := clerk.uid();
	ASSERT (uid IS NOT NULL) = clerk.is_authenticated();
	ASSERT (uid IS NOT NULL) = (clerk.jwt() IS NOT NULL);
	refused := d.step || ' | ' || regexp_replace(d.detail, ', now [^)]*', '') FROM clerk.diagnose(token) AS d WHERE outcome = 'fail';
	verify := 'verified ' || (clerk.verify(token) ->> 'sub');
EXCEPTION WHEN OTHERS THEN
	code := sqlstate;
	verify := split_part(sqlerrm, ':', 1);
END
$$;

SELECT name, coalesce(ask.uid, ask.refused) AS answer
FROM tokens, pg_temp.ask(token) AS ask ORDER BY name COLLATE "C";

-- verify() says the same
SELECT name, ask.* FROM tokens, pg_temp.ask(token) AS ask
WHERE (coalesce(ask.code, '') = 'PT401') IS DISTINCT FROM (ask.refused IS NOT NULL)
	OR NOT starts_with(coalesce(split_part(ask.refused, ' | ', 2), verify), verify);

\set VERBOSITY default
SELECT clerk.verify(:'expired');
SELECT clerk.verify(repeat('x', 16 * 1024));
SELECT clerk.verify(repeat('x', 16 * 1024 + 1));
SELECT clerk.verify(repeat('x', 1024 * 1024));
SELECT clerk.verify(NULL) IS NULL AS null_in_null_out;

-- what the claims come out as is what was signed
SET clerk.token = :'custom_claims';
SELECT clerk.jwt();
SELECT clerk.claim('big') AS big, clerk.claim('name') AS name, clerk.claim('deep', 'a', 'b', '1', 'c') AS deep,
	clerk.claim('no') IS NULL AS json_null, clerk.claim('missing') IS NULL AS missing, clerk.claim(VARIADIC '{}') IS NOT NULL AS all;
SELECT clerk.claim(NULL) IS NULL AS null_path, clerk.claim(VARIADIC NULL) IS NULL AS null_paths;
SET clerk.token = :'huge_integer';
SELECT clerk.uid(), length(clerk.claim('big')) AS digits;
SET clerk.token = :'deep_claims';
SELECT clerk.uid(), length(clerk.claim('deep')) AS brackets;

-- all the readers
SET clerk.token = :'impersonated';
SELECT clerk.uid(), clerk.session_id(), clerk.issuer(), clerk.actor_id(), clerk.expires_at() AT TIME ZONE 'UTC' AS expires_at;
SET clerk.token = :'template';
SELECT clerk.uid(), clerk.session_id(), clerk.issuer(), clerk.actor_id();
SET clerk.token = :'fractional_times';
SELECT clerk.expires_at() AT TIME ZONE 'UTC' AS expires_at;
RESET clerk.token;
SELECT clerk.uid(), clerk.session_id(), clerk.issuer(), clerk.actor_id(), clerk.expires_at(), clerk.jwt(), clerk.claim('sub'), clerk.is_authenticated();

-- null is absent
SET clerk.token = :'null_claims';
SELECT clerk.uid(), clerk.session_id(), clerk.actor_id(), clerk.org_id(), clerk.org_role(), clerk.has_role('org:admin'), clerk.has_reverified('lax');
UPDATE clerk.instances SET accept_templates = false WHERE issuer = :'issuer_a';
SELECT clerk.uid();
UPDATE clerk.instances SET accept_templates = true, authorized_parties = '{https://www.example.com}' WHERE issuer = :'issuer_a';
SELECT clerk.uid();
UPDATE clerk.instances SET authorized_parties = NULL WHERE issuer = :'issuer_a';

-- each instance has its own rules, which count at once
SET clerk.token = :'alice';
UPDATE clerk.instances SET authorized_parties = '{https://www.example.com}' WHERE issuer = :'issuer_a';
SELECT clerk.uid();
UPDATE clerk.instances SET authorized_parties = '{https://www.example.com,https://app.example.com}' WHERE issuer = :'issuer_a';
SELECT clerk.uid();
SELECT name, ask.refused FROM tokens, pg_temp.ask(token) AS ask WHERE name LIKE 'azp%' ORDER BY name;
UPDATE clerk.instances SET authorized_parties = NULL, audiences = '{notes}' WHERE issuer = :'issuer_a';
SELECT name, coalesce(ask.uid, ask.refused) AS answer FROM tokens, pg_temp.ask(token) AS ask WHERE name IN ('alice', 'with_audience', 'carol') ORDER BY name;
UPDATE clerk.instances SET audiences = NULL, accept_templates = false WHERE issuer = :'issuer_a';
SELECT name, coalesce(ask.uid, ask.refused) AS answer FROM tokens, pg_temp.ask(token) AS ask WHERE name IN ('alice', 'template') ORDER BY name;
UPDATE clerk.instances SET accept_templates = true, max_token_age = '1 minute' WHERE issuer = :'issuer_a';
SELECT name, coalesce(ask.uid, ask.refused) AS answer FROM tokens, pg_temp.ask(token) AS ask WHERE name IN ('alice', 'carol') ORDER BY name;
UPDATE clerk.instances SET max_token_age = NULL WHERE issuer = :'issuer_a';
SELECT clerk.uid();
DELETE FROM clerk.instances;
SELECT clerk.uid();
