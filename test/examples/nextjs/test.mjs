/*
 * test.mjs
 *		Two people in headless Chromium: the Next.js example from sign-in to logout, and the code
 *		of a Pages Router application with a JWT template.
 *
 * EXAMPLES_AXE is axe's script; EXAMPLES_IMAGES the folder that screenshots for the documents go to,
 * none if it is not set.
 */
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { SUPABASE_URL, ok, same, sql } from '../tap.mjs';
import { startApplication } from './application.mjs';

const { CHROMIUM, EXAMPLES_AXE, EXAMPLES_IMAGES } = process.env;
const { origin, clerk, stop } = await startApplication();
const browser = await chromium.launch({
	executablePath: CHROMIUM,
	args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const elsewhere = new Set();
const problems = [];

// Notes what the page showed after each change, and whom Clerk then called the user.
function watch() {
	window.shown = [];
	document.addEventListener('DOMContentLoaded', () =>
		new MutationObserver(() => window.shown.push([window.Clerk?.user?.id ?? null, document.querySelector('main')?.textContent]))
			.observe(document.body, { subtree: true, childList: true, characterData: true }));
}

// A page in a browser of its own, in which nobody is signed in.
async function newPerson() {
	const context = await browser.newContext({ viewport: { width: 960, height: 640 } });
	const page = await context.newPage();

	page.setDefaultTimeout(15000);
	await page.addInitScript(watch);
	page.on('pageerror', ({ message }) => problems.push(message));
	page.on('request', (request) => {
		const { protocol, origin: to } = new URL(request.url());

		if (protocol !== 'blob:' && ![origin, SUPABASE_URL].includes(to)) elsewhere.add(to);
	});
	await page.goto(origin);
	return page;
}

async function signIn(page, name) {
	await page.getByRole('button', { name: 'Sign in' }).click();
	await page.getByRole('link', { name }).click();
}

async function switchTo(page, name, heading) {
	await page.getByRole('button', { name: /organization|personal account/i }).first().click();
	await page.locator('.cl-organizationSwitcherPopoverCard').getByText(name, { exact: true }).last().click();
	await page.getByRole('heading', { name: heading }).waitFor();
}

const list = (page) => page.getByRole('list', { name: 'Posts' });

// The posts on the page when they are there: author and text.
async function posts(page) {
	await page.locator('ul[aria-busy=false]').waitFor();
	return list(page).getByRole('listitem').evaluateAll((items) =>
		items.map((item) => [item.querySelector('b')?.textContent, item.querySelector('p')?.textContent].filter(Boolean).join(': ') || item.textContent));
}

async function post(page, body) {
	await page.getByRole('textbox', { name: 'Post' }).fill(body);
	await page.getByRole('button', { name: 'Post', exact: true }).click();
	await list(page).getByText(body).waitFor();
}

async function signOut(page) {
	await page.getByRole('button', { name: /user/i }).click();
	await page.getByText('Sign out', { exact: true }).click();
	await page.getByText('Sign in to see yours').waitFor();
}

const tokenOf = (page) => page.evaluate(() => window.Clerk.session.getToken());

// What PostgREST says to a token: the status, and the rows or the error.
async function ask(token, path, options) {
	const headers = { Authorization: `Bearer ${token}`, Prefer: 'return=representation', 'Content-Type': 'application/json' };
	const answer = await fetch(`${SUPABASE_URL}/rest/v1/${path}`, { ...options, headers });

	return { status: answer.status, body: await answer.json() };
}

// What axe finds that a screen reader, or somebody with weak eyes, stumbles over.
async function violations(page, scheme) {
	await page.emulateMedia({ colorScheme: scheme });
	await page.addScriptTag({ path: EXAMPLES_AXE });
	return page.evaluate(async () => {
		// what is Clerk's own: the names of its buttons, and the colors of initials in place of a picture
		const exclude = ['.cl-avatarBox', '.cl-organizationSwitcherTrigger', '.cl-userButtonTrigger'];
		const { violations } = await window.axe.run({ exclude }, { resultTypes: ['violations'] });

		return violations.flatMap(({ id, nodes }) => nodes.map(({ target }) => `${id} ${target}`));
	});
}

async function picture(page, name, { scheme = 'light', width = 960, height = 400 } = {}) {
	if (!EXAMPLES_IMAGES) return;
	await page.waitForLoadState('networkidle');
	await page.emulateMedia({ colorScheme: scheme });
	await page.setViewportSize({ width, height });
	// colors change slowly
	await page.screenshot({ path: join(EXAMPLES_IMAGES, `${name}.png`), animations: 'disabled' });
	await page.emulateMedia({ colorScheme: 'light' });
	await page.setViewportSize({ width: 960, height: 640 });
}

async function test() {
	const ann = await newPerson();
	const bea = await newPerson();

	// nobody, then two people
	ok(await ann.getByText('Sign in to see yours').isVisible(), 'who is not signed in is asked to');
	await signIn(ann, 'Ann');
	same(await posts(ann), ['Nothing yet.'], 'Ann has no posts');
	await post(ann, 'only mine');
	same(await posts(ann), ['Ann Archer: only mine'], 'her first is there, with her profile from the webhook');
	await signIn(bea, 'Bea');
	same(await posts(bea), ['Nothing yet.'], 'Bea does not see it');

	// what is not the client's to say
	for (const [column, value] of Object.entries({ user_id: 'user_bea', org_id: 'org_acme', created_at: '2000-01-01' }))
		same((await ask(await tokenOf(ann), 'posts', { method: 'POST', body: JSON.stringify({ body: 'x', [column]: value }) })).body.code, '42501', `${column} is not Ann's to say`);

	// an organization
	await switchTo(ann, 'Acme', 'Posts of Acme');
	same(await posts(ann), ['Nothing yet.'], 'in the organization, it is not there for Ann either');
	await post(ann, 'Hello, everybody');
	await switchTo(bea, 'Acme', 'Posts of Acme');
	same(await posts(bea), ['Ann Archer: Hello, everybody'], 'Bea sees what Ann tells the organization, and who she is');
	await post(bea, 'Welcome, Ann!');
	await bea.getByRole('link', { name: 'People' }).click();
	await bea.getByRole('heading', { name: 'People' }).waitFor();
	same(await bea.getByRole('listitem').evaluateAll((items) => items.map((item) => [...item.querySelectorAll('b, p')].map(({ textContent }) => textContent).join(': '))),
		['Ann Archer: 1 post that you can see', 'Bea Brook: 1 post that you can see'], 'the server renders the members, with their posts');
	await bea.getByRole('link', { name: 'Posts' }).click();

	// a role
	const remove = bea.getByRole('button', { name: 'Delete “Hello, everybody”' });
	await posts(bea);
	same(await remove.count(), 0, "a member has no button to delete another's post");
	same((await ask(await tokenOf(bea), 'posts?body=eq.Hello, everybody', { method: 'DELETE' })).body, [], 'nor the right');
	await clerk.changeRole('user_bea', 'org:admin');
	same(sql("SELECT role FROM clerk.org_memberships WHERE user_id = 'user_bea'"), 'org:admin', 'the webhook tells the database that she is an administrator');
	await bea.reload();
	await ann.reload();
	await posts(ann);
	for (const scheme of ['light', 'dark']) same(await violations(bea, scheme), [], `${scheme}, everybody can use the page`);
	await picture(bea, 'nextjs-light');
	await picture(bea, 'nextjs-dark', { scheme: 'dark' });
	await picture(bea, 'nextjs-360', { width: 360, height: 480 });
	await remove.click();
	await remove.waitFor({ state: 'detached' });
	same(await posts(bea), ['Bea Brook: Welcome, Ann!'], 'an administrator deletes it');
	await post(ann, 'Anybody here?');

	// a logout
	const [token, before] = [await tokenOf(ann), await posts(ann)];
	same((await ask(token, 'posts?select=body')).status, 200, "Ann's token is good");
	await signOut(ann);
	same([before.length, await ann.locator('li').count()], [2, 0], 'signed out, her page shows no posts');
	const refused = await ask(token, 'posts');
	same([refused.status, refused.body.code, refused.body.message], [401, 'PT401', 'session-revoked: the session was revoked'],
		'and the database refuses her token from then on');
	await ann.goto(`${origin}/people`);
	same([new URL(ann.url()).pathname, await ann.getByText('Bea').count()], ['/__clerk/sign-in', 1], 'the server renders nothing, but asks her to sign in');

	// another user in the same browser, whose pages are asked for while Ann's answer is on its way
	await ann.goto(origin);
	await signIn(ann, 'Bea');
	await posts(ann);
	await post(ann, "Bea's own");
	await ann.goto(`${clerk.origin}/__clerk/sign-in?as=user_ann&redirect_url=${encodeURIComponent(origin)}`);
	same(await posts(ann), ['Ann Archer: only mine'], 'both are signed in in one browser, and Ann is active');
	let release;
	const held = new Promise((resolve) => (release = resolve));
	const annsToken = await tokenOf(ann);
	await ann.route('**/rest/v1/posts*', async (route) => {
		if (route.request().headers().authorization !== `Bearer ${annsToken}` || route.request().method() !== 'GET') return route.continue();
		const answer = await route.fetch();

		await held;
		return route.fulfill({ response: answer }).catch(() => {});
	});
	const asked = ann.waitForRequest((request) => request.url().includes('/rest/v1/posts?') && request.method() === 'GET');
	await ann.getByRole('textbox', { name: 'Post' }).fill('a late answer');
	await ann.getByRole('button', { name: 'Post', exact: true }).click();
	await asked;
	await ann.evaluate(() => {
		const other = window.Clerk.client.sessions.find(({ user }) => user.id === 'user_bea');

		window.shown.length = 0;
		return window.Clerk.setActive({ session: other.id });
	});
	await list(ann).getByText("Bea's own").waitFor();
	const arrived = ann.waitForEvent('requestfinished', (request) => request.headers().authorization === `Bearer ${annsToken}`);
	release();
	await arrived;
	await ann.evaluate(() => new Promise((resolve) => setTimeout(resolve, 100)));
	same(await posts(ann), ["Bea Brook: Bea's own"], 'when the user is switched, the other one has her own posts');
	const shown = await ann.evaluate(() => window.shown);
	ok(shown.some(([user]) => user === 'user_bea') && shown.every(([user, text]) => user !== 'user_bea' || !/only mine|late answer|Ann/.test(text ?? '')),
		"and at no moment Ann's", JSON.stringify(shown));
	await ann.unrouteAll({ behavior: 'ignoreErrors' });

	// a session that ends elsewhere
	sql(`SELECT clerk.revoke_session('${await bea.evaluate(() => window.Clerk.session.id)}')`);
	await bea.getByRole('textbox', { name: 'Post' }).fill('x');
	await bea.getByRole('button', { name: 'Post', exact: true }).click();
	await bea.getByText('session-revoked').waitFor();
	ok(true, 'who is signed out elsewhere is told so');

	// the code of before
	const seed = async (page) => {
		await page.goto(`${origin}/seed`);
		await page.locator('main[aria-busy=false]').waitFor();
		return page.locator('main').innerText();
	};
	if (sql('SELECT clerk.version()').includes('hosted')) {
		same(await seed(ann), "PT401 token-type-mismatch: not the token of a user's session", 'hosted: claims with "aud" and no session may be an id token\'s');
		clerk.world.templateAudience = undefined;
	}
	const ownTemplate = await ann.evaluate(async (path) => (await fetch(path)).json(), '/api/auth');
	same(ownTemplate, { userId: 'user_bea', posts: ["Bea's own"] }, 'Pages Router: an API route with getAuth() and the template');
	same(await seed(ann), "Bea's own", 'and a page with the header in global.headers');
	const nobody = await newPerson();
	ok(/^PGRST301 /.test(await seed(nobody)), 'signed out, its "Bearer null" is refused');
	same(await nobody.evaluate(async (path) => (await fetch(path)).status, '/api/auth'), 401, 'and by the API route');

	same(sql("SELECT coalesce(string_agg(concat_ws(' ', finding, object), ', '), '') FROM clerk.audit() WHERE object ~ 'posts|profiles|author' AND severity <> 'info'"), '',
		'audit() has nothing against the migration');
	same([...elsewhere], [], 'no page has asked anybody else');
	same(clerk.unknown, [], 'nor Clerk for what the stand-in does not know');
	same(problems, [], 'no page has failed');
}

try {
	await test();
} catch (error) {
	ok(false, 'the test runs to its end', error.stack);
} finally {
	await browser.close();
	await stop();
}
