/*
 * clerk.mjs
 *		A stand-in of Clerk: its Frontend API, as much of its Backend API as @clerk/nextjs asks, its
 *		scripts from npm, a sign-in page where a click is enough, and its webhooks.
 *
 * Everything is below one path of the application's own origin, as behind a proxy of Clerk's.
 */
import { createHash, createHmac, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { clientObject, environmentObject, membershipObject, organization, organizationObject, people, sessionObject, userObject } from './world.mjs';

export class StandIn {
	/*
	 * world: a World; publishableKey: as the application has it; modules: the folder with the
	 * packages clerk-js and ui; prefix: the path; webhook: { url, secret } of PostgREST.
	 * origin, the application's, is set when it is known.
	 */
	constructor({ world, publishableKey, modules, prefix, webhook }) {
		Object.assign(this, { world, modules, prefix, webhook, origin: '', unknown: [] });
		this.suffix = createHash('sha1').update(publishableKey).digest('base64url').slice(0, 8);
	}

	// Sends an event as Svix does; an error unless PostgREST says that it was applied.
	async send(type, data) {
		const body = JSON.stringify({ object: 'event', type, timestamp: Date.now(), instance_id: 'ins_standin', data });
		const [id, at] = [`msg_${randomUUID()}`, String(Math.floor(Date.now() / 1000))];
		const key = Buffer.from(this.webhook.secret.replace('whsec_', ''), 'base64');
		const signature = createHmac('sha256', key).update(`${id}.${at}.${body}`).digest('base64');
		const answer = await fetch(this.webhook.url, {
			method: 'POST', body,
			headers: { 'Content-Type': 'application/json', 'svix-id': id, 'svix-timestamp': at, 'svix-signature': `v1,${signature}` },
		});

		if (!answer.ok) throw new Error(`${type}: ${answer.status} ${await answer.text()}`);
	}

	// What Clerk sent when the people and the organization were made.
	async announce() {
		for (const id of people.keys()) await this.send('user.created', userObject(this.world, id));
		await this.send('organization.created', organizationObject(this.world.born));
		for (const id of people.keys()) await this.send('organizationMembership.created', membershipObject(this.world, id));
	}

	async changeRole(user, role) {
		this.world.roles.set(user, role);
		await this.send('organizationMembership.updated', membershipObject(this.world, user));
	}

	// A cookie for when somebody is signed in since, which tells the server to look again.
	#uat({ sessions, updated }) {
		const value = sessions.size ? Math.floor(updated / 1000) : 0;

		return [`__client_uat=${value}; Path=/; SameSite=Lax`, `__client_uat_${this.suffix}=${value}; Path=/; SameSite=Lax`];
	}

	#session(jwt) {
		return ['__session', `__session_${this.suffix}`].map((name) => `${name}=${jwt}; Path=/; SameSite=Lax${jwt ? '' : '; Max-Age=0'}`);
	}

	// The routes: method and path as a pattern, and what answers with its groups.
	#routes = [
		[/^GET \/npm\/@clerk\/(clerk-js|ui)@[^/]*\/dist\/([\w.-]+\.js)$/, 'script'],
		[/^GET \/(?:\.well-known\/jwks\.json|v1\/jwks)$/, 'jwks'],
		[/^GET \/sign-in$/, 'signInPage'],
		[/^GET \/v1\/client\/handshake$/, 'handshake'],
		[/^(?:GET|PATCH) \/v1\/environment$/, 'environment'],
		[/^GET \/v1\/client$/, 'client'],
		[/^DELETE \/v1\/client\/sessions$/, 'endAll'],
		[/^POST \/v1\/client\/sessions\/([^/]+)\/tokens(?:\/([^/]+))?$/, 'token'],
		[/^POST \/v1\/client\/sessions\/([^/]+)\/touch$/, 'touch'],
		[/^POST \/v1\/client\/sessions\/([^/]+)\/(?:end|remove)$/, 'end'],
		[/^POST \/v1\/sessions\/([^/]+)\/tokens(?:\/([^/]+))?$/, 'backendToken'],
		[/^GET \/v1\/me\/organization_memberships$/, 'memberships'],
		[/^GET \/v1\/me\/organization_(?:invitations|suggestions)$/, 'nothing'],
	];

	async handle(request, response) {
		const url = new URL(request.url.slice(this.prefix.length), this.origin);
		const form = new URLSearchParams(Buffer.concat(await request.toArray()).toString());
		const call = `${url.searchParams.get('_method') ?? request.method} ${url.pathname}`;
		const jar = Object.fromEntries((request.headers.cookie ?? '').split(/; */).map((cookie) => cookie.split(/=(.*)/s)));
		const browser = this.world.browser(jar.__client);
		const [pattern, name] = this.#routes.find(([route]) => route.test(call)) ?? [];

		response.setHeader('Cache-Control', 'no-store');
		response.appendHeader('Set-Cookie', `__client=${browser.id}; Path=${this.prefix}; HttpOnly; SameSite=Lax`);
		if (!name) {
			this.unknown.push(call);
			return this.#json(response, 404, { errors: [{ code: 'resource_not_found', message: call, long_message: call }] });
		}
		return this[name]({ browser, url, form, response, origin: request.headers.origin ?? this.origin }, ...pattern.exec(call).slice(1));
	}

	#json(response, status, body) {
		response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
	}

	// An answer of the Frontend API, with the state of the browser beside it.
	#answer({ browser, response, origin }, object) {
		this.#uat(browser).forEach((cookie) => response.appendHeader('Set-Cookie', cookie));
		this.#json(response, 200, { response: object, client: clientObject(this.world, browser, origin) });
	}

	#noSession({ response }) {
		this.#json(response, 401, { errors: [{ code: 'authentication_invalid', message: 'Invalid authentication', long_message: 'Unable to authenticate the request' }] });
	}

	async script({ response }, what, file) {
		response.writeHead(200, { 'Content-Type': 'text/javascript' }).end(await readFile(join(this.modules, what, 'dist', file)));
	}

	jwks({ response }) {
		this.#json(response, 200, this.world.jwks());
	}

	environment({ response }) {
		this.#json(response, 200, environmentObject(this.origin, `${this.origin}${this.prefix}/sign-in`));
	}

	client(visit) {
		this.#answer(visit, clientObject(this.world, visit.browser, visit.origin));
	}

	signInPage({ browser, url, response }) {
		const back = url.searchParams.get('redirect_url') ?? this.origin;
		const user = url.searchParams.get('as');

		if (!people.has(user)) {
			const links = [...people.values()].map(({ id, first, last }) =>
				`<p><a href="?as=${id}&amp;redirect_url=${encodeURIComponent(back)}">${first} ${last}</a></p>`);

			response.writeHead(200, { 'Content-Type': 'text/html' })
				.end(`<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
					<title>Sign in</title><style>body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 26rem; margin: 15vh auto; padding: 0 1rem }</style>
					<h1>Sign in as</h1>${links.join('')}<p><small>In the place of Clerk’s page: here a click is enough.</small>`);
			return;
		}
		this.world.signIn(browser, user);
		// the cookie of who was signed in before would be believed for a minute
		response.appendHeader('Set-Cookie', [...this.#uat(browser), ...this.#session('')]);
		response.writeHead(303, { Location: back }).end();
	}

	// Where the server sends a browser whose cookies it cannot make sense of.
	handshake({ browser, url, response }) {
		const session = browser.sessions.get(browser.active);
		const jwt = session ? this.world.sessionToken(session, this.origin) : '';
		const handshake = this.world.sign({ handshake: ['__clerk_handshake=; Path=/; Max-Age=0', ...this.#uat(browser), ...this.#session(jwt)] });

		response.appendHeader('Set-Cookie', `__clerk_handshake=${handshake}; Path=/; SameSite=Lax`);
		response.writeHead(307, { Location: url.searchParams.get('redirect_url') }).end();
	}

	async #ended(browser, ids) {
		const ended = this.world.signOut(browser, ids);

		for (const session of ended) await this.send('session.removed', sessionObject(this.world, session, this.origin, 'removed'));
		return ended;
	}

	async endAll(visit) {
		await this.#ended(visit.browser, [...visit.browser.sessions.keys()]);
		this.#answer(visit, clientObject(this.world, visit.browser, visit.origin));
	}

	async end(visit, id) {
		const [session] = await this.#ended(visit.browser, [id]);

		if (!session) return this.#noSession(visit);
		return this.#answer(visit, sessionObject(this.world, session, visit.origin, 'removed'));
	}

	token(visit, id, template) {
		const session = visit.browser.sessions.get(id);
		const org = visit.form.has('organization_id') ? visit.form.get('organization_id') || null : session?.org;

		if (!session) return this.#noSession(visit);
		return this.#json(visit.response, 200, { object: 'token', jwt: template ? this.world.templateToken(session, visit.origin) : this.world.sessionToken(session, visit.origin, org) });
	}

	touch(visit, id) {
		const session = visit.browser.sessions.get(id);

		if (!session) return this.#noSession(visit);
		session.org = visit.form.get('active_organization_id') || null;
		visit.browser.active = id;
		return this.#answer(visit, sessionObject(this.world, session, visit.origin));
	}

	// getToken() with a template, on the server
	backendToken({ response }, id, template) {
		const session = this.world.findSession(id);

		if (!session) return this.#json(response, 404, { errors: [{ code: 'resource_not_found', message: 'no such session' }] });
		return this.#json(response, 200, { object: 'token', jwt: template ? this.world.templateToken(session, this.origin) : this.world.sessionToken(session, this.origin) });
	}

	memberships({ browser, response }) {
		const user = browser.sessions.get(browser.active)?.user;
		const data = user ? [membershipObject(this.world, user)] : [];

		this.#json(response, 200, { response: { data, total_count: data.length } });
	}

	nothing({ response }) {
		this.#json(response, 200, { response: { data: [], total_count: 0 } });
	}
}

export { organization };
