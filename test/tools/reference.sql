--
-- reference.sql
--	Prints docs/reference.md out of the catalog and its comments; test/t/010_documents.pl checks
--	that the document is what this prints.
--
--	psql -XAtq -f test/tools/reference.sql >docs/reference.md	(in a new database)
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS clerk_rls;
SELECT count(clerk.uid()) \g /dev/null

CREATE TEMP TABLE section (n serial, title text, about text, names text[]);
INSERT INTO section (title, about, names) VALUES
	('Who is signed in', 'For policies. They never raise for a token: NULL or false for whoever is not signed in.',
		'{uid,is_authenticated,jwt,claim,session_id,issuer,expires_at,actor_id,is_impersonated}'),
	('Organizations, roles, plans', 'For policies, with the answers of Clerk''s `has()`: see [authorization](authorization.md).',
		'{org_id,org_slug,org_role,org_permissions,is_fellow_member,has_role,has_permission,has_feature,has_plan,has_reverified,has}'),
	('Local ids', 'See [local ids](ids.md).',
		'{mapped_id,mapped_bigint,mapped_text,mapped_org_id,mapped_org_bigint,mapped_org_text,map_id,unmap_id,track_ids,untrack_ids,install_auth_shim,remove_auth_shim}'),
	('At the door', 'These raise, with the [reason](troubleshooting.md#reasons).', '{pre_request,pre_config,supabase_pre_config,set_supabase_keys,authenticate,verify}'),
	('Keys and instances', 'For administrators: see [keys](keys.md).',
		'{add_instance,drop_instance,load_jwks,load_pem,retire_key,refresh_jwks,schedule_jwks_refresh,run_jwks_refresh}'),
	('Webhooks and revocation', 'For administrators, but for `webhook()`: see [webhooks](webhooks.md).',
		'{expose_webhook,add_webhook_secret,drop_webhook_secret,webhook,receive_webhook,verify_webhook,add_event_handler,drop_event_handler,revoke_session,revoke_user,unrevoke,prune,schedule_prune,import_users,import_organizations,import_memberships,drift}'),
	('Why, and what is wrong', 'See [troubleshooting](troubleshooting.md) and [policies](policies.md).', '{diagnose,explain_access,health,audit,doctor,report,expose_report,protect,grant_admin}');

CREATE TEMP VIEW reference AS
SELECT coalesce(section.n, (SELECT max(n) FROM section)) AS section, coalesce(array_position(names, p.proname::text), 0) AS place,
	p.proname, format('`clerk.%s(%s)%s`', p.proname, pg_get_function_arguments(p.oid),
		CASE WHEN pg_get_function_result(p.oid) <> 'void' THEN ' → ' || pg_get_function_result(p.oid) ELSE '' END) AS signature,
	CASE WHEN has_function_privilege('public', p.oid, 'EXECUTE') THEN 'everybody'
		WHEN has_function_privilege('pg_monitor', p.oid, 'EXECUTE') THEN '`pg_monitor`' ELSE 'owner' END AS who,
	obj_description(p.oid, 'pg_proc') AS comment
FROM pg_proc AS p LEFT JOIN section ON p.proname::text = ANY (section.names)
WHERE p.pronamespace = 'clerk'::regnamespace;

\echo '# Reference'
\echo
\echo 'Made from the comments in the catalog: `\\df+ clerk.*` in psql says the same. All is in schema `clerk`, and only what "everybody" may call is granted to anybody. What these functions are made of is in schema `clerk_internal`, and may change without notice.'
SELECT line FROM (
	SELECT n, 0 AS place, '' AS name, E'\n## ' || title || E'\n\n' || about || E'\n\n| Function | | Who |\n|---|---|---|' AS line FROM section
	UNION ALL
	SELECT section, place + 1, proname || signature, format('| %s | %s | %s |', replace(signature, '|', '\|'), replace(comment, '|', '\|'), who) FROM reference
) AS lines ORDER BY n, place, name COLLATE "C";

\echo
\echo '## Settings'
\echo
\echo '| Setting | Default | Who | |'
\echo '|---|---|---|---|'
\echo '| `clerk.token` | | everybody | a session token; comes before the headers of the request; in a request it counts only if it was set in the same transaction |'
SELECT format('| `%s` | `%s` | superuser | %s |', name, boot_val, concat_ws(' ', short_desc, extra_desc))
FROM pg_settings WHERE name LIKE 'clerk.%' ORDER BY name;

\echo
\echo '## Tables and views'
\echo
\echo 'Nobody has a right on them but the owner of the extension, until you grant some; members of `pg_monitor` may read `clerk.stats`.'
SELECT CASE WHEN a.attnum = (SELECT min(attnum) FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0)
		THEN format(E'\n### clerk.%s\n\n%s.\n\n| Column | Type | |\n|---|---|---|\n', c.relname, initcap(left(obj_description(c.oid, 'pg_class'), 1)) || substr(obj_description(c.oid, 'pg_class'), 2))
		ELSE '' END
	|| format('| `%s` | %s | %s |', a.attname, format_type(a.atttypid, a.atttypmod), coalesce(replace(col_description(c.oid, a.attnum), '|', '\|'), ''))
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'clerk'::regnamespace AND c.relkind IN ('r', 'v')
ORDER BY c.relname, a.attnum;
