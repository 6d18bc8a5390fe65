-- What clerk.has...() answer is what login() was asked for.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE anon;
CREATE ROLE authenticated;

SELECT clerk_test.login('user_alice', 'org_acme');
SELECT clerk.org_id(), clerk.org_slug(), clerk.org_role(), clerk.org_permissions(), clerk.has_feature('x'), clerk.has_plan('x');
SELECT clerk_test.login('user_alice', 'org_acme', 'org:admin', '{org:invoices:update,invoices:read,org:notes:read}',
	'{export,u:beta}', '{pro}', '{"o": {"slg": "acme"}}');
SELECT clerk.org_id(), clerk.org_slug(), clerk.org_role(), clerk.org_permissions();
SELECT clerk.claim('fea') AS fea, clerk.claim('o', 'per') AS per, clerk.claim('o', 'fpm') AS fpm, clerk.claim('pla') AS pla;
SELECT clerk.has_role('admin') AS role, clerk.has_role('member') AS other_role,
	clerk.has_permission('org:invoices:update') AS granted, clerk.has_permission('org:notes:update') AS not_granted,
	clerk.has_feature('o:export') AS feature, clerk.has_feature('u:beta') AS of_the_user, clerk.has_feature('u:export') AS not_of_the_user,
	clerk.has_plan('o:pro') AS plan, clerk.has_plan('u:pro') AS not_of_the_user;

-- without an organization, features and plans are those of the user
SELECT clerk_test.login('user_alice', features => '{export}', plans => '{pro}');
SELECT clerk.org_id(), clerk.has_feature('u:export') AS feature, clerk.has_plan('u:pro') AS plan, clerk.has_plan('o:pro') AS of_no_organization;

-- a token of version 1
SELECT clerk_test.login('user_alice', claims => '{"v": null, "org_id": "org_old", "org_role": "org:admin", "org_permissions": ["org:a:b"]}');
SELECT clerk.org_id(), clerk.has_role('admin') AS role, clerk.has_permission('a:b') AS permission;

-- what no token of Clerk can say
SELECT clerk_test.login('user_alice', role => 'admin');
SELECT clerk_test.login('user_alice', permissions => '{a:b}');
\set VERBOSITY default
SELECT clerk_test.login('user_alice', 'org_acme', permissions => '{org:sys_domains:read}');
\set VERBOSITY terse
SELECT clerk_test.login('user_alice', 'org_acme', permissions => '{sys_domains:read}');
SELECT clerk_test.login('user_alice', 'org_acme', permissions => '{update}');
SELECT clerk_test.login('user_alice', 'org_acme', permissions => '{org:update}');
SELECT clerk_test.login('user_alice', 'org_acme', permissions => '{org:org:a}');
SELECT clerk_test.login('user_alice', 'org_acme', permissions => '{"a:b,c"}');
SELECT clerk_test.login('user_alice', 'org_acme', permissions => '{"a b:c"}');
SELECT clerk_test.login('user_alice', 'org_acme', permissions => '{NULL}');
SELECT clerk_test.login('user_alice', features => '{x:export}');
SELECT clerk_test.login('user_alice', plans => '{"a,b"}');
SELECT clerk_test.login('user_alice', features => '{""}');
SELECT clerk_test.reset();

-- any set of permissions of 9 features with 100 names comes out as it went in
CREATE FUNCTION pg_temp.comes_out(wanted text[]) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM clerk_test.login('user_alice', 'org_acme', permissions => wanted);
	RETURN (SELECT array_agg(p ORDER BY p) FROM unnest(clerk.org_permissions()) AS p)
		= (SELECT array_agg(p ORDER BY p) FROM unnest(wanted) AS p);
END
$$;
CREATE TEMP TABLE wanted AS
SELECT n, array_agg(format('org:f%s:p%s', f, p)) AS permissions
FROM generate_series(1, 8) AS n, generate_series(1, 9) AS f, generate_series(1, 100) AS p
WHERE abs(hashint4(n * 1000 + f * 100 + p)::bigint) % 9 < n GROUP BY n;
GRANT SELECT ON wanted TO authenticated;
SELECT n, cardinality(permissions), pg_temp.comes_out(permissions) FROM wanted ORDER BY n;
SELECT clerk_test.reset();

DROP TABLE wanted;
DROP ROLE anon, authenticated;
