--
-- report.sql
--		One page for eyes: clerk.report() as HTML, alone or served by PostgREST.
--
-- Uses revoke, library, instances, keys, refresh, revocation, webhook, stats, changes, upkeep, roles,
-- explain, audit, doctor.
--
-- Whatever comes from the database passes clerk_internal.html() once: the pieces below take plain text
-- and give HTML. The page holds no script, loads nothing, and its Content-Security-Policy lets it do
-- neither. It is ASCII but for the names in it.
--

CREATE FUNCTION clerk_internal.html(value text) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT replace(replace(replace(replace(replace(
			-- control characters are none in HTML
			regexp_replace(coalesce(value, ''), '[\x01-\x08\x0b-\x1f\x7f-\x9f]', ' ', 'g'),
		'&', '&amp;'), '<', '&lt;'), '>', '&gt;'), '"', '&quot;'), '''', '&#39;')
$$;
COMMENT ON FUNCTION clerk_internal.html(text)
	IS 'plain text as it stands in HTML, also between quotation marks';

-- The roles are said again, as a table that is laid out as blocks is none to screen readers.
CREATE FUNCTION clerk_internal.html_table(caption text, columns text[], cells text[],
	otherwise text) RETURNS text
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH cell AS (
		SELECT (n - 1) / cardinality(columns) AS line, (n - 1) % cardinality(columns) AS place, value,
			ltrim(columns[(n - 1) % cardinality(columns) + 1], '`') AS label,
			columns[(n - 1) % cardinality(columns) + 1] ^@ '`' AS is_code
		FROM unnest(cells) WITH ORDINALITY AS given (value, n)
	), line AS (
		SELECT line, string_agg(format('<%1$s data-label="%2$s"%3$s>%4$s</%5$s>',
				CASE place WHEN 0 THEN 'th role="rowheader" scope="row"' ELSE 'td role="cell"' END,
				clerk_internal.html(label),
				CASE WHEN value IN ('error', 'warning', 'notice', 'unknown', 'ok', 'fail', 'skipped')
					THEN ' class="' || value || '"' END,
				CASE WHEN is_code AND value <> '' THEN '<code>' || clerk_internal.html(value) || '</code>'
					ELSE clerk_internal.html(value) END,
				CASE place WHEN 0 THEN 'th' ELSE 'td' END), '' ORDER BY place) AS cells
		FROM cell GROUP BY line
	)
	SELECT CASE WHEN cardinality(cells) > 0
		THEN format(E'<table role="table"><caption>%s</caption>\n'
				'<thead role="rowgroup"><tr role="row">%s</tr></thead>\n'
				'<tbody role="rowgroup">\n%s</tbody></table>\n', clerk_internal.html(caption),
			(SELECT string_agg(format('<th role="columnheader" scope="col">%s</th>',
				clerk_internal.html(ltrim(c, '`'))),
				'' ORDER BY n) FROM unnest(columns) WITH ORDINALITY AS head (c, n)),
			(SELECT string_agg(format(E'<tr role="row">%s</tr>\n', line.cells), '' ORDER BY line) FROM line))
		ELSE format(E'<p class="none">%s</p>\n', clerk_internal.html(otherwise)) END
$$;
COMMENT ON FUNCTION clerk_internal.html_table(text, text[], text[], text) IS
	'a table of plain text, or a sentence instead of an empty one; a column named with ` in front is code';

CREATE FUNCTION clerk_internal.html_section(id text, title text, body text) RETURNS text
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT format(E'<section id="%1$s" aria-labelledby="%1$s-title"><h2 id="%1$s-title">%2$s</h2>\n'
		'%3$s</section>\n', id, title, body)
$$;
COMMENT ON FUNCTION clerk_internal.html_section(text, text, text)
	IS 'a section of the report; its body is HTML';

CREATE FUNCTION clerk_internal.time_in_words(moment timestamptz) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT format(CASE WHEN moment > now() THEN 'in %s' ELSE '%s ago' END, CASE
			WHEN seconds < 60 THEN seconds || ' s' WHEN seconds < 7200 THEN seconds / 60 || ' min'
			WHEN seconds < 172800 THEN seconds / 3600 || ' h' ELSE seconds / 86400 || ' days' END)
	FROM (SELECT abs(extract(epoch FROM now() - moment))::bigint AS seconds) AS age
	WHERE moment IS NOT NULL
$$;
COMMENT ON FUNCTION clerk_internal.time_in_words(timestamptz) IS 'how long ago a time is, or how far ahead';

CREATE FUNCTION clerk_internal.expression_in_words(expression text) RETURNS text
	LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	words text := expression;
	rule record;
BEGIN
	FOR rule IN
		SELECT * FROM (VALUES
			('\( SELECT (clerk\.\w+\([^()]*\)) AS \w+\)', '\1'),
			('''([^'']*)''::(text|character varying|uuid)', '''\1'''),
			('\((\w+)\)::text', '\1'),
			('clerk\.uid\(\)', 'the signed-in user'),
			('clerk\.mapped_(id|bigint|text)\(\)', 'the local id of the signed-in user'),
			('clerk\.org_id\(\)', 'the active organization'),
			('clerk\.mapped_org_(id|bigint|text)\(\)', 'the local id of the active organization'),
			('clerk\.org_role\(\)', 'the user''s role there'),
			('clerk\.is_authenticated\(\)', 'somebody is signed in'),
			('clerk\.is_impersonated\(\)', 'somebody acts for the user'),
			('clerk\.has_(role|permission|feature|plan)\(''([^'']*)''\)', 'the user has the \1 \2'),
			('clerk\.has_reverified\(''([^'']*)''\)', 'the user has just verified again (\1)'),
			('clerk\.is_fellow_member\((\w+)\)', '\1 is a member of the active organization'),
			(' = ANY ', ' is one of '), (' = ', ' is '), (' <> ', ' is not '),
			(' IS NOT NULL', ' is given'), (' IS NULL', ' is missing'), ('\mNOT ', 'not '),
				(' AND ', ' and '), (' OR ', ' or '),
			('^\(([^()]*)\)$', '\1'), ('\(([^()]* is (?:the|not the) [^()]*)\)(?= and| or|\)|$)', '\1'),
			('^\((.*)\)$', '\1')
		) AS rules (pattern, replacement)
	LOOP
		words := regexp_replace(words, rule.pattern, rule.replacement, 'g');
	END LOOP;
	-- a parenthesis that was taken away needs its other half
	RETURN CASE WHEN length(replace(words, '(', '')) = length(replace(words, ')', ''))
		THEN words ELSE expression END;
END
$$;
COMMENT ON FUNCTION clerk_internal.expression_in_words(text)
	IS 'the condition of a policy, nearer to English; a gloss, beside the expression';

CREATE FUNCTION clerk_internal.rows_in_words(expression text) RETURNS text
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT CASE coalesce(expression, 'true') WHEN 'true' THEN 'all rows' WHEN 'false' THEN 'no row'
		ELSE 'rows where ' || clerk_internal.expression_in_words(expression) END
$$;
COMMENT ON FUNCTION clerk_internal.rows_in_words(text) IS 'which rows fulfil the condition of a policy';

CREATE FUNCTION clerk_internal.policies_in_words(tab regclass)
	RETURNS TABLE (policy name, words text, expression text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT polname,
		format(CASE WHEN polpermissive THEN '%s may %s %s%s' ELSE 'In any case, %s may %s only %s%s' END,
			CASE WHEN polroles = '{0}' THEN 'everybody'
				ELSE (SELECT string_agg(r::regrole::text, ', ') FROM unnest(polroles) AS r) END,
			CASE polcmd WHEN 'r' THEN 'read' WHEN 'a' THEN 'add' WHEN 'w' THEN 'change' WHEN 'd' THEN 'delete'
				ELSE 'read, add, change and delete' END,
			clerk_internal.rows_in_words(coalesce(qual, checked)),
			CASE WHEN checked <> qual
				THEN '; what is written must be among ' || clerk_internal.rows_in_words(checked) END),
		concat_ws(' ', 'USING (' || qual || ')', 'WITH CHECK (' || checked || ')')
	FROM pg_policy, pg_get_expr(polqual, polrelid) AS qual, pg_get_expr(polwithcheck, polrelid) AS checked
	WHERE polrelid = tab
	ORDER BY NOT polpermissive, polname
$$;
COMMENT ON FUNCTION clerk_internal.policies_in_words(regclass) IS 'what each policy of a table says';

CREATE FUNCTION clerk_internal.rights_in_words(tab regclass, role name) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT concat(
		string_agg(word || CASE WHEN has_table_privilege(role, tab, privilege)
			THEN '' ELSE ' some columns' END, ', ' ORDER BY n),
		CASE WHEN relkind IN ('r', 'p')
			THEN '; no policy counts: ' || clerk_internal.rls_exemption(tab, role) END)
	FROM pg_class, (VALUES (1, 'SELECT', 'read'), (2, 'INSERT', 'add'), (3, 'UPDATE', 'change'),
		(4, 'DELETE', 'delete'), (5, 'TRUNCATE', 'truncate'))
		AS command (n, privilege, word)
	WHERE oid = tab AND has_schema_privilege(role, relnamespace, 'USAGE')
		AND (has_table_privilege(role, tab, privilege)
			OR CASE WHEN privilege IN ('DELETE', 'TRUNCATE') THEN false
				ELSE has_any_column_privilege(role, tab, privilege) END)
	GROUP BY relkind
$$;
COMMENT ON FUNCTION clerk_internal.rights_in_words(regclass, name)
	IS 'what a role may do with a table, and whether policies count; NULL: nothing';

CREATE FUNCTION clerk_internal.reached_relations() RETURNS TABLE (tab regclass, kind text,
	is_secured boolean, is_forced boolean)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT oid::regclass, CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
		WHEN 'f' THEN 'foreign table' ELSE 'table' END,
		relrowsecurity, relforcerowsecurity
	FROM pg_class
	WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND clerk_internal.is_audited('pg_class', oid, relnamespace)
		AND (EXISTS (SELECT FROM pg_policy WHERE polrelid = pg_class.oid)
			OR clerk_internal.roles_reaching(oid, 'SELECT, INSERT, UPDATE, DELETE') IS NOT NULL)
	ORDER BY oid::regclass::text COLLATE "C"
$$;
COMMENT ON FUNCTION clerk_internal.reached_relations()
	IS 'the tables and views that requests reach, or that have policies';

CREATE FUNCTION clerk_internal.report_reach() RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT clerk_internal.html_table('Tables and views, and what each role of requests may do with them',
		'{`table or view,kind}'::text[] || api.roles,
			(SELECT array_agg(ARRAY[tab::text, kind] || ARRAY(
				SELECT coalesce(clerk_internal.rights_in_words(tab, role::name), 'nothing')
					FROM unnest(api.roles) WITH ORDINALITY AS r (role, n) ORDER BY n))
			FROM clerk_internal.reached_relations()), 'Requests reach no table.')
		|| clerk_internal.html_table('Functions for requests that have the rights of their owner',
			'{`function,owner,callers}',
			(SELECT array_agg(ARRAY[p.oid::regprocedure::text, p.proowner::regrole::text, callers.roles]
				ORDER BY p.oid::regprocedure::text COLLATE "C")
			FROM pg_proc AS p, LATERAL (
				SELECT string_agg(quote_ident(role), ', ' ORDER BY n)
					FROM unnest(api.roles) WITH ORDINALITY AS r (role, n)
				WHERE has_schema_privilege(role, p.pronamespace, 'USAGE')
					AND has_function_privilege(role, p.oid, 'EXECUTE')) AS callers (roles)
			WHERE p.prosecdef AND callers.roles IS NOT NULL
				AND clerk_internal.is_audited('pg_proc', p.oid, p.pronamespace)),
			'No function that requests may call has the rights of its owner.')
	FROM (SELECT ARRAY(SELECT role::text FROM clerk_internal.api_roles() AS role
		ORDER BY role <> clerk_internal.anon_role(), role)) AS api (roles)
$$;
COMMENT ON FUNCTION clerk_internal.report_reach()
	IS 'section of the report: what each role of requests reaches';

CREATE FUNCTION clerk_internal.report_policies() RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT coalesce(string_agg(format(E'<details%s><summary><code>%s</code> '
				'<span class="%s">%s</span></summary>\n%s</details>\n',
			CASE WHEN of_many THEN '' ELSE ' open' END, clerk_internal.html(tab::text),
			CASE WHEN is_secured THEN 'ok' ELSE 'error' END,
			CASE WHEN NOT is_secured THEN 'row-level security is off'
				WHEN is_forced THEN 'for its owner as well' ELSE 'secured' END,
			clerk_internal.html_table('Policies', '{policy,in words,`expression}',
				(SELECT array_agg(ARRAY[policy::text, words, expression])
					FROM clerk_internal.policies_in_words(tab)),
				CASE WHEN is_secured THEN 'It has no policy, so no row is seen.'
					ELSE 'It has no policy.' END)), ''),
		E'<p class="none">No table that requests reach.</p>\n')
	FROM (SELECT *, count(*) OVER () > 12 AS of_many FROM clerk_internal.reached_relations()
		WHERE kind = 'table') AS relation
$$;
COMMENT ON FUNCTION clerk_internal.report_policies()
	IS 'section of the report: the tables with their policies in words';

CREATE FUNCTION clerk_internal.report_instances() RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT clerk_internal.html_table('Instances',
		'{`issuer,authorized parties,role,keys fetched,failure,webhook secrets,last webhook}',
			(SELECT array_agg(ARRAY[i.issuer, coalesce(array_to_string(i.authorized_parties, ', '), 'any'),
				coalesce(i.role::text, 'as PostgREST has it'),
				coalesce(clerk_internal.time_in_words(h.refreshed_at), 'never'), h.refresh_failure,
				h.webhook_secrets::text,
				coalesce(clerk_internal.time_in_words(h.last_event_at), 'never')] ORDER BY i.issuer)
			FROM clerk.instances AS i JOIN clerk.health() AS h USING (issuer)),
			'No instance is registered: nobody can sign in.')
		|| clerk_internal.html_table('Keys', '{`key (kid),algorithm,loaded,state,`instance}',
			(SELECT array_agg(ARRAY[k.kid, concat_ws(' ', k.jwk ->> 'kty', k.jwk ->> 'crv', k.jwk ->> 'alg'),
				clerk_internal.time_in_words(k.created_at),
				CASE WHEN k.is_retired THEN 'retired for good' WHEN k.expires_at IS NULL THEN 'current'
					WHEN k.expires_at > now() THEN 'retiring, ends '
						|| clerk_internal.time_in_words(k.expires_at) ELSE 'ended' END
				|| CASE WHEN k.any_kid THEN ', for tokens of any kid' ELSE '' END, k.issuer]
				ORDER BY k.issuer, k.expires_at IS NOT NULL, k.created_at DESC, k.kid)
			FROM clerk.jwks AS k), 'There is no key: no token can be verified.')
$$;
COMMENT ON FUNCTION clerk_internal.report_instances()
	IS 'section of the report: instances, and their keys with their ages';

CREATE FUNCTION clerk_internal.report_tokens() RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT coalesce(format(E'<p>Since %s.</p>\n<ul class="bars">\n%s</ul>\n',
		clerk_internal.html(to_char(min(since) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"')),
			string_agg(format(E'<li><span><code>%s</code> %s</span><b>%s (%s %%)</b>'
				'<svg aria-hidden="true" class="%s" viewBox="0 0 100 1" preserveAspectRatio="none">'
				'<rect width="%s" height="1"/></svg></li>\n',
				clerk_internal.html(reason),
				clerk_internal.html(coalesce(issuer, 'of no registered instance')), tokens, percent,
				CASE reason WHEN 'verified' THEN 'ok' ELSE 'fail' END, percent), ''
					ORDER BY reason <> 'verified', tokens DESC, reason, issuer)),
		E'<p class="none">No token was counted. Before PostgreSQL 17 that takes '
			'shared_preload_libraries = ''clerk_rls''.</p>\n')
	FROM (SELECT *, round(100.0 * tokens / sum(tokens) OVER (), 1) AS percent FROM clerk.stats) AS counted
$$;
COMMENT ON FUNCTION clerk_internal.report_tokens()
	IS 'section of the report: tokens verified, and refused by reason';

CREATE FUNCTION clerk_internal.report_webhooks() RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT clerk_internal.html_table('The last ten', '{event,received,`instance}',
			(SELECT array_agg(ARRAY[e.type, clerk_internal.time_in_words(e.received_at), e.issuer]
				ORDER BY e.received_at DESC)
			FROM (SELECT * FROM clerk.webhook_events ORDER BY received_at DESC LIMIT 10) AS e),
			'None has come yet.')
		|| clerk_internal.html_table('Handlers', '{events,`function}',
			(SELECT array_agg(ARRAY[h.pattern, h.handler] ORDER BY h.pattern, h.handler)
				FROM clerk.event_handlers AS h), 'No event handler is registered.')
		|| (SELECT format(E'<p>Revoked: %s users, %s sessions. Whether what is kept here is as in Clerk, '
				'<code>clerk.drift()</code> says, given pages of its API.</p>\n',
				count(*) FILTER (WHERE id ^@ 'user_'), count(*) FILTER (WHERE id ^@ 'sess_'))
			FROM clerk.revocations)
$$;
COMMENT ON FUNCTION clerk_internal.report_webhooks()
	IS 'section of the report: the last webhooks, their handlers, and how many are revoked';

-- Not who has changed it, and not whom it has revoked.
CREATE FUNCTION clerk_internal.report_changes() RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT clerk_internal.html_table('The last ten changes', '{table,change,`key,changed,`instance}',
		(SELECT array_agg(ARRAY[c.object, c.action, c.key, clerk_internal.time_in_words(c.changed_at),
			c.issuer] ORDER BY c.changed_at DESC)
		FROM (SELECT * FROM clerk.key_changes WHERE object <> 'revocations'
			ORDER BY changed_at DESC LIMIT 10) AS c), 'None.')
$$;
COMMENT ON FUNCTION clerk_internal.report_changes()
	IS 'section of the report: what has been changed in keys, instances, secrets and handlers';

CREATE FUNCTION clerk_internal.report_way(token text) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	WITH step AS MATERIALIZED (
		SELECT *, min(n) FILTER (WHERE outcome = 'fail') OVER () AS stop, count(*) OVER () AS steps
		FROM clerk.diagnose(token) WITH ORDINALITY AS d (step, outcome, detail, n)
	), verdict AS (
		SELECT bool_or(outcome = 'fail') AS failed, max(steps) AS steps,
			CASE WHEN bool_or(outcome = 'fail')
				THEN format('It stops at: %s.', min(step) FILTER (WHERE n = stop))
				ELSE 'It arrives: its user is signed in.' END AS words
		FROM step
	)
	SELECT format(E'<p class="%s">%s</p>\n<div class="way">\n'
			'<svg viewBox="0 0 300 %s" role="img" aria-labelledby="way-title way-desc">'
			'<title id="way-title">The way of this token</title>'
			'<desc id="way-desc">%2$s</desc>\n%4$s%5$s</svg>\n',
			CASE WHEN failed THEN 'fail' ELSE 'ok' END, clerk_internal.html(words), steps * 30 + 36,
			(SELECT string_agg(format(E'<g class="%s"><path%s d="M18 %sv30"/>'
					'<circle cx="18" cy="%s" r="9"/><path d="%s"/>'
					'<text x="38" y="%s">%s</text>%s</g>\n', outcome,
					CASE WHEN n >= stop THEN ' class="after"' END, n * 30 - 12, n * 30 - 12,
					format(CASE outcome WHEN 'ok' THEN 'M14 %sl3 3 6 -7'
						WHEN 'fail' THEN 'M14 %1$sm0 -4l8 8m0 -8l-8 8' ELSE 'M15 %1$sh6' END, n * 30 - 12),
					n * 30 - 7, clerk_internal.html(step),
					CASE WHEN n = stop THEN format('<text class="stop" x="292" y="%s">it stops here</text>',
						n * 30 - 7) END), '' ORDER BY n) FROM step),
			format(E'<g class="%s"><circle cx="18" cy="%s" r="9"/><text x="38" y="%s">%s</text></g>\n',
				CASE WHEN failed THEN 'skipped' ELSE 'ok' END, steps * 30 + 18, steps * 30 + 23,
				CASE WHEN failed THEN 'nobody is signed in' ELSE 'clerk.uid() is the user' END))
		|| clerk_internal.html_table('Each step', '{step,outcome,detail}',
			(SELECT array_agg(ARRAY[step, outcome, detail] ORDER BY n) FROM step), '')
		|| E'</div>\n'
	FROM verdict
$$;
COMMENT ON FUNCTION clerk_internal.report_way(text) IS
	'section of the report: the steps of clerk.diagnose() for a token, as a picture and as a table';

CREATE FUNCTION clerk_internal.report_style() RETURNS text
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $style$ SELECT $css$
:root { color-scheme: light dark; --paper: #fbfbf9; --card: #fff; --ink: #1b1f24;
	--soft: #545c66; --line: #d9dce0; --accent: #3d3dc4; --ok: #14692f; --fail: #b01c1c; --warning: #7d4e00;
	--code: #f0f1f4; }
@media (prefers-color-scheme: dark) {
	:root { --paper: #14161a; --card: #1c1f25; --ink: #e8eaed; --soft: #a7afba; --line: #363c46;
		--accent: #aab0ff; --ok: #6fd08c; --fail: #ff8d85; --warning: #eab765; --code: #282c34; } }
* { box-sizing: border-box }
html { scroll-behavior: smooth; scroll-padding-top: 1rem }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto } }
body { margin: 0 auto; padding: 1.5rem clamp(.75rem, 3vw, 2rem) 4rem; max-width: 76rem;
	background: var(--paper); color: var(--ink);
	font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere }
h1 { margin: 0; font-size: 1.7rem } h2 { margin: 0 0 .75rem; font-size: 1.2rem }
header p { margin: .25rem 0 1rem; color: var(--soft) }
a { color: var(--accent) } :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
.skip { position: absolute; left: -99rem } .skip:focus { position: static }
nav ul, .bars { margin: 0; padding: 0; list-style: none }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin-bottom: 1.5rem }
nav a { display: inline-block; padding: .25rem 0 }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .75rem;
	margin: 0 0 1.25rem }
dl div, section { background: var(--card); border: 1px solid var(--line); border-radius: .6rem }
dl div { display: flex; flex-direction: column-reverse; justify-content: flex-end; padding: .6rem .9rem }
dt { color: var(--soft); font-size: .875rem }
dd { margin: 0; font-size: 1.5rem; font-weight: 600; font-variant-numeric: tabular-nums }
section { padding: 1.1rem clamp(.75rem, 2vw, 1.4rem); margin-bottom: 1.25rem }
table { border-collapse: collapse; width: 100%; margin-bottom: 1rem; font-size: .9rem }
caption { text-align: left; font-weight: 600; padding: .3rem 0; color: var(--soft) }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; font-weight: 400;
	border-top: 1px solid var(--line) }
thead th { border: 0; color: var(--soft); font-size: .8rem; white-space: nowrap }
tbody th { font-weight: 600; min-width: 7.5rem }
code { font: .85em/1.5 ui-monospace, monospace; background: var(--code); border-radius: .25rem;
	padding: .1em .35em; unicode-bidi: isolate; white-space: pre-wrap; box-decoration-break: clone }
.ok { color: var(--ok) } .fail, .error { color: var(--fail) } .warning { color: var(--warning) }
td:is(.error, .fail, .warning, .notice, .unknown, .ok, .skipped) { white-space: nowrap }
.error, .fail, .warning { font-weight: 600 }
.notice, .unknown, .skipped, .none { color: var(--soft) }
details { border-top: 1px solid var(--line); padding: .5rem 0 }
summary { cursor: pointer } summary span { font-size: .875rem }
details table { margin-top: .5rem }
.bars li { display: grid; grid-template-columns: 1fr auto; gap: 0 1rem; margin-bottom: .7rem;
	font-size: .9rem }
.bars b { font-variant-numeric: tabular-nums; font-weight: 600 }
.bars svg { grid-column: 1 / 3; width: 100%; height: .5rem; background: var(--code);
	border-radius: .25rem; fill: currentColor }
.way { display: grid; grid-template-columns: minmax(14rem, 19rem) 1fr; gap: 1.5rem; align-items: start }
.way svg { width: 100%; max-width: 19rem } .way text { font: 14px system-ui, sans-serif; fill: var(--ink) }
.way circle { fill: var(--card); stroke: currentColor; stroke-width: 2 }
.way path { fill: none; stroke: currentColor; stroke-width: 2 }
.way .after { stroke: var(--soft); stroke-dasharray: 3 4 }
.way .stop { text-anchor: end; font-weight: 600; fill: var(--fail) }
.way .skipped text { fill: var(--soft) }
@media (max-width: 48rem) {
	.way { grid-template-columns: 1fr }
	table, caption, tbody, tr, tbody th, tbody td { display: block }
	thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%) }
	tr { border-top: 1px solid var(--line); padding: .5rem 0 }
	th, td { border: 0; padding: .1rem 0 } tbody :is(th, td):empty { display: none }
	tbody :is(th, td)::before { content: attr(data-label) ": "; color: var(--soft); font-weight: 400 }
}
@media print { nav, .skip { display: none } section { break-inside: avoid } }
$css$ $style$;
COMMENT ON FUNCTION clerk_internal.report_style() IS 'the style sheet of the report';

CREATE FUNCTION clerk_internal.report_page(title text, summary text, sections text) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $page$
	SELECT format($html$<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
	content="default-src 'none'; style-src 'sha256-%1$s'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width">
<meta name="referrer" content="no-referrer">
<title>%2$s</title>
<style>%3$s</style>
</head>
<body>
<a class="skip" href="#main">To the content</a>
<header><h1>%2$s</h1>
<p>%4$s</p></header>
<nav aria-label="Sections"><ul>
%5$s
</ul></nav>
<main id="main">
%6$s</main>
</body>
</html>$html$,
		encode(sha256(convert_to(clerk_internal.report_style(), 'UTF8')), 'base64'),
		clerk_internal.html(title),
		clerk_internal.report_style(), clerk_internal.html(summary),
		(SELECT string_agg(format('<li><a href="#%s">%s</a></li>', section[1], section[2]), E'\n' ORDER BY n)
			FROM regexp_matches(sections,
				'<section id="([a-z-]+)" aria-labelledby="[a-z-]+"><h2 id="[a-z-]+">([^<]*)</h2>', 'g')
				WITH ORDINALITY AS found (section, n)),
		sections)
$page$;
COMMENT ON FUNCTION clerk_internal.report_page(text, text, text)
	IS 'the page around the sections of the report';

CREATE FUNCTION clerk_internal.report_summary(checks text[], findings text[]) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT format(E'<dl>\n%s</dl>\n', string_agg(
		format(E'<div><dt>%s</dt><dd class="%s">%s</dd></div>\n', name, class, value), '' ORDER BY n))
	FROM (VALUES
		(1, 'instances', (SELECT count(*) FROM clerk.instances), ''),
		(2, 'current keys', (SELECT count(*) FROM clerk.jwks WHERE expires_at IS NULL), ''),
		(3, 'tokens verified', (SELECT coalesce(sum(tokens), 0) FROM clerk.stats WHERE reason = 'verified'),
			''),
		(4, 'tokens refused', (SELECT coalesce(sum(tokens), 0) FROM clerk.stats WHERE reason <> 'verified'),
			''),
		(5, 'checks failed', cardinality(array_positions(checks, 'error')),
			CASE WHEN 'error' = ANY (checks) THEN 'error' END),
		(6, 'errors in findings', cardinality(array_positions(findings, 'error')),
			CASE WHEN 'error' = ANY (findings) THEN 'error' END)
	) AS tile (n, name, value, class)
$$;
COMMENT ON FUNCTION clerk_internal.report_summary(text[], text[]) IS
	'the numbers at the head of the report, of the outcomes of clerk.doctor() and clerk.audit()';

-- SECURITY DEFINER, as clerk.audit().
CREATE FUNCTION clerk.report(token text DEFAULT NULL) RETURNS text
	LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	checks text[];
	findings text[];
	outcomes text[];
	severities text[];
BEGIN
	PERFORM clerk.is_authenticated();	-- loads the library, which knows the setting
	SELECT array_agg(ARRAY[d."check", d.outcome, d."what to do"]), array_agg(d.outcome) INTO checks, outcomes
	FROM clerk.doctor() AS d;
	SELECT array_agg(ARRAY[a.finding, a.severity, a.object, a.detail, a.fix]), array_agg(a.severity)
	INTO findings, severities FROM clerk.audit() AS a;
	RETURN clerk_internal.report_page(format('clerk_rls in %s', current_database()),
		format('PostgreSQL %s, %s%s.', split_part(current_setting('server_version'), ' ', 1),
			format('clerk_rls %s, ', split_part(clerk.version(), ' ', 1)),
			to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"')),
		concat(
			clerk_internal.report_summary(outcomes, coalesce(severities, '{}')),
			CASE WHEN token IS NOT NULL THEN clerk_internal.html_section('token', 'This token',
				clerk_internal.report_way(token)) END,
			clerk_internal.html_section('doctor', 'Before going live',
				clerk_internal.html_table('What clerk.doctor() says', '{check,outcome,what to do}',
					checks, '')),
			clerk_internal.html_section('findings', 'Findings',
				clerk_internal.html_table('What clerk.audit() finds, and the statement that fixes it',
					'{finding,severity,object,detail,`fix}', findings, 'Nothing.')),
			clerk_internal.html_section('instances', 'Instances and keys', clerk_internal.report_instances()),
			clerk_internal.html_section('tokens', 'Tokens', clerk_internal.report_tokens()),
			clerk_internal.html_section('webhooks', 'Webhooks', clerk_internal.report_webhooks()),
			clerk_internal.html_section('changes', 'Changes', clerk_internal.report_changes()),
			clerk_internal.html_section('reach', 'Who reaches what', clerk_internal.report_reach()),
			clerk_internal.html_section('policies', 'Policies in words', clerk_internal.report_policies())));
END
$$;
COMMENT ON FUNCTION clerk.report(text) IS
	'a page of HTML: instances, keys, tokens, findings, policies in words, who reaches what; a token''s way';

CREATE FUNCTION clerk_internal.check_report_role(role name) RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	everybody name;
BEGIN
	PERFORM clerk.is_authenticated();	-- loads the library, which knows the setting
	SELECT api INTO everybody FROM clerk_internal.api_roles() AS api
	WHERE pg_has_role(api, role, 'MEMBER') ORDER BY api LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'insufficient_privilege',
			MESSAGE = format('the report is not for role %I', role),
			DETAIL = CASE everybody WHEN role THEN 'Requests of everybody run as it.'
				ELSE format('Requests of everybody run as %I, which is a member of it.', everybody) END,
			HINT = 'Name a role that only tokens of operators ask for.';
	END IF;
END
$$;
COMMENT ON FUNCTION clerk_internal.check_report_role(name) IS
	'raises for a role as which requests of everybody run, or to which such a role belongs';

CREATE FUNCTION clerk_internal.serve_report() RETURNS text
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	-- an instance may have come since whose role it is
	PERFORM clerk_internal.check_report_role(nullif(current_setting('role'), 'none')::name);
	PERFORM set_config('response.headers',
		'[{"Cache-Control": "no-store"}, {"X-Content-Type-Options": "nosniff"}, {"X-Frame-Options": "DENY"}]',
		true);
	RETURN clerk.report();
END
$$;
COMMENT ON FUNCTION clerk_internal.serve_report()
	IS 'clerk.report() for PostgREST, with headers that keep it out of caches and frames';

CREATE FUNCTION clerk.expose_report(schema name, role name) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	is_new constant boolean := to_regprocedure(quote_ident(schema) || '.clerk_report()') IS NULL;
BEGIN
	IF to_regnamespace(quote_ident(schema)) IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('schema %s does not exist', coalesce(quote_ident(schema), 'NULL'));
	ELSIF to_regrole(quote_ident(role)) IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('role %s does not exist', coalesce(quote_ident(role), 'NULL')),
			HINT = 'Create one for those who may see the report, and GRANT it to the role of PostgREST.';
	END IF;
	PERFORM clerk_internal.check_report_role(role);
	IF to_regtype(format('%I."text/html"', schema)) IS NULL THEN
		EXECUTE format('CREATE DOMAIN %I."text/html" AS text', schema);
		EXECUTE format('COMMENT ON DOMAIN %I."text/html" IS %L', schema,
			'for PostgREST: what is returned as it is, with this Content-Type');
	ELSIF EXISTS (
		SELECT FROM pg_type JOIN pg_roles ON pg_roles.oid = typowner
		WHERE pg_type.oid = to_regtype(format('%I."text/html"', schema))
			AND rolname <> current_user AND NOT rolsuper) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'insufficient_privilege',
			MESSAGE = format('domain %I."text/html" belongs to another role', schema),
			DETAIL = 'Its owner could give it a constraint, which would run with the rights of the owner of '
				'clerk_report().',
			HINT = 'Use a schema that only you create in, and add it to the db-schemas of PostgREST.';
	END IF;
	EXECUTE format('CREATE OR REPLACE FUNCTION %1$I.clerk_report() RETURNS %1$I."text/html"
		LANGUAGE sql VOLATILE SECURITY DEFINER
		SET search_path = pg_catalog, pg_temp RETURN clerk_internal.serve_report()', schema);
	EXECUTE format('COMMENT ON FUNCTION %I.clerk_report() IS %L', schema, 'see clerk.report()');
	-- beside those whom it was exposed to before
	PERFORM clerk_internal.expose(format('%I.clerk_report()', schema)::regprocedure, role, alone => is_new);
	PERFORM pg_notify('pgrst', 'reload schema');
END
$$;
COMMENT ON FUNCTION clerk.expose_report(name, name) IS
	'makes PostgREST 12 show the report at /rpc/clerk_report, to a role that is not one of everybody';
