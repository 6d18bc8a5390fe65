-- Organizations, roles, permissions, features, plans, reverification: what a token grants.
\getenv srcdir PG_ABS_SRCDIR
\set load :srcdir '/vectors/load.sql'
\i :load
\set VERBOSITY terse

SELECT clerk.add_instance(:'issuer_a') AS a \gset
SELECT count(*) FROM clerk.load_jwks(:'issuer_a', :'jwks_a');

-- nobody is signed in: false and NULL, never an error
SELECT clerk.org_id() IS NULL AND clerk.org_slug() IS NULL AND clerk.org_role() IS NULL AND clerk.org_permissions() IS NULL
	AND clerk.actor_id() IS NULL AS nothing_to_read,
	clerk.has('{"role": "admin"}') OR clerk.has_role('admin') OR clerk.has_permission('org:a:b') OR clerk.has_feature('a')
	OR clerk.has_plan('a') OR clerk.has_reverified('lax') OR clerk.has_reverified('first_factor', '1 day')
	OR clerk.is_impersonated() AS something_granted;

-- an administrator of an organization, with an old token and with a new one
CREATE FUNCTION pg_temp.organization(token text, OUT id text, OUT slug text, OUT role text, OUT permissions text[], OUT admin boolean,
	OUT member boolean, OUT creates boolean, OUT deletes boolean) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('clerk.token', token, true);
	SELECT clerk.org_id(), clerk.org_slug(), clerk.org_role(), clerk.org_permissions(), clerk.has_role('admin'),
		clerk.has_role('org:member'), clerk.has_permission('org:invoices:create'), clerk.has_permission('invoices:delete')
	INTO id, slug, role, permissions, admin, member, creates, deletes;
END
$$;
SELECT name, organization.* FROM tokens, pg_temp.organization(token) WHERE name IN ('org_v1', 'org_v2') ORDER BY name;

BEGIN;
SELECT clerk.authenticate(:'org_v2');
SELECT clerk.has_feature('invoices') AS feature, clerk.has_feature('o:invoices') AS of_org, clerk.has_feature('u:invoices') AS of_user,
	clerk.has_plan('pro') AS plan, clerk.has_plan('u:pro') AS plan_of_user, clerk.is_impersonated();
SELECT preset, clerk.has_reverified(preset) FROM unnest('{strict_mfa,strict,moderate,lax,other,NULL}'::text[]) AS preset;
SELECT level, within, clerk.has_reverified(level, within)
FROM unnest('{first_factor,second_factor,multi_factor,other}'::text[]) AS level,
	unnest('{00:05,00:09:01,00:30,2 days,-1 day}'::interval[]) AS within;
SELECT params, clerk.has(params) FROM unnest(ARRAY[
	'{}', '[]', 'null', '"admin"', '{"role": "admin"}', '{"role": null}', '{"role": 1}', '{"permission": "org:invoices:create"}',
	'{"role": "admin", "permission": "org:invoices:delete"}', '{"role": "admin", "feature": "invoices", "plan": "o:pro"}',
	'{"role": "admin", "feature": "invoices", "plan": "u:pro"}', '{"role": "admin", "reverification": "strict"}',
	'{"reverification": {"level": "first_factor", "afterMinutes": 10}}', '{"reverification": {"level": "first_factor"}}',
	'{"other": true}']::jsonb[]) AS params;

-- nobody has NULL
SELECT clerk.has(NULL), clerk.has_role(NULL), clerk.has_permission(NULL), clerk.has_feature(NULL), clerk.has_plan(NULL),
	clerk.has_reverified(NULL), clerk.has_reverified(NULL, '1 day'), clerk.has_reverified('first_factor', NULL);

-- a question with another argument in each row
SELECT wanted, clerk.has_permission(wanted) FROM (VALUES (1, 'org:invoices:read'), (2, 'org:invoices:delete'), (3, NULL),
	(4, 'org:invoices:read'), (5, 'org:team:read')) AS v (n, wanted) ORDER BY n;
SELECT count(*) FROM (SELECT clerk.has_permission(wanted) AS has FROM (
	SELECT CASE WHEN i % 2 = 0 THEN 'org:invoices:read' ELSE repeat('x', i) END AS wanted FROM generate_series(1, 5000) AS i) AS s) AS s
WHERE has;
COMMIT;

-- a pending session is nobody's
BEGIN;
SET LOCAL clerk.token = :'org_pending';
SELECT clerk.uid(), clerk.org_id(), clerk.has_role('admin'), clerk.has_plan('pro'), clerk.has_reverified('lax');
COMMIT;
BEGIN;
SET LOCAL clerk.token = :'alice';
SELECT clerk.is_impersonated(), clerk.actor_id();
SET LOCAL clerk.token = :'impersonated';
SELECT clerk.is_impersonated(), clerk.actor_id();
COMMIT;

-- Clerk's worked examples. The claims stand without a token here, so as to be read.
SET clerk.trust_request_claims = on;
CREATE FUNCTION pg_temp.permissions(claims text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('request.jwt.claims',
		format('{"iss": "https://clerk.example.com", "sub": "user_1", "exp": 4102444800, %s}', claims), true);
	RETURN replace(array_to_string(clerk.org_permissions(), ' '), 'org:', '');
END
$$;
SELECT fea, per, fpm, pg_temp.permissions(format('"v": 2, "fea": "%s", "o": {"id": "org_1", "per": "%s", "fpm": "%s"}', fea, per, fpm))
FROM (VALUES
	('o:dashboard,o:teams', 'manage,read', '3,2'),
	('o:impersonation,o:memberships', 'read,manage', '1,3'),
	('o:billing,o:impersonation,o:magic_links,o:posts', 'create,delete,manage,read', '12,12,9,14'),
	('o:repositories,o:projects', 'read,create,update,delete,revoke', '7,21'),
	('o:a,o:b', 'x,y', '1'),
	('o:a,o:b', 'x,y', 'x,1'),
	('o:a', 'x,y', '0x3'),
	('o:reservations,u:dashboard,uo:support-chat,o:impersonation', 'read,manage', '2,3')) AS v (fea, per, fpm);
SELECT mask, pg_temp.permissions(format('"v": 2, "fea": "o:a", "o": {"id": "org_1", "fpm": "%s", "per": "%s"}', mask,
	(SELECT string_agg('permission_' || i, ',' ORDER BY i) FROM generate_series(0, 53) AS i)))
FROM (VALUES ('9007199254740993'), ('18014398509481984')) AS v (mask);

-- malformed claims grant nothing, and nothing raises
CREATE FUNCTION pg_temp.grants(claims text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_temp.permissions(claims);
	RETURN format('org %s, role %s, permissions %s, admin %s, plan %s', clerk.org_id(), clerk.org_role(), clerk.org_permissions(),
		clerk.has_role('admin'), clerk.has_plan('pro'));
END
$$;
SELECT claims, pg_temp.grants('"pla": "u:pro", ' || claims) FROM (VALUES
	('"v": 2, "o": {"id": "org_1", "rol": "admin"}'),
	('"v": 2, "o": {"id": "org_1", "rol": "admin"}, "fea": "no colon"'),
	('"v": 2, "o": {"id": "org_1", "rol": "admin"}, "fea": ["o:a"]'),
	('"v": 2, "o": {"id": "org_1", "rol": "admin", "per": ["read"], "fpm": "1"}'),
	('"v": 2, "o": {"id": "org_1", "rol": ["admin"]}'),
	('"v": 2, "o": {"id": ["org_1"], "rol": "admin"}'),
	('"v": 2, "o": {"rol": "admin"}'),
	('"v": 2, "o": "org_1"'),
	('"v": 2, "org_id": "org_1", "org_role": "org:admin"'),
	('"v": "2", "org_id": "org_1", "org_role": "org:admin"'),
	('"v": 3, "org_id": "org_1", "org_role": "org:admin", "org_permissions": ["org:a:b", 7, null]'),
	('"org_id": "org_1", "org_role": "org:admin", "org_permissions": "org:a:b"'),
	('"org_id": "", "org_role": "org:admin", "org_permissions": ["org:a:b"]')) AS v (claims);
RESET clerk.trust_request_claims;

SELECT clerk.drop_instance(:'issuer_a');
