// test.mjs: what people see in a real browser, whose page comes from another origin than the data.

import { fileURLToPath } from 'node:url';
import { SUPABASE_URL, ok, same, sql } from '../tap.mjs';
import { withPage } from './chromium.mjs';

const what = `({
	who: document.getElementById('who').textContent,
	notes: [...document.querySelectorAll('#notes li')].map((item) => item.textContent),
	invoices: [...document.querySelectorAll('#invoices li')].map((item) => item.textContent),
	problem: document.getElementById('problem').textContent,
})`;

// What is on the page when it has come to rest.
async function seen(page) {
	for (let i = 0; i < 200; i++) {
		if (await page("document.body?.ariaBusy === 'false'")) return page(what);
		await new Promise((resolve) => setTimeout(resolve, 25));
	}
	throw new Error(`the page does not come to rest: ${JSON.stringify(await page(what))}`);
}

async function after(page, action) {
	await page(action);
	return seen(page);
}

const click = (id) => `document.getElementById('${id}').click()`;
const note = (body) => `document.querySelector('input').value = ${JSON.stringify(body)}; document.querySelector('#add button').click()`;
// Signs out while ann's rows are still on their way, and waits until they are there.
const late = `{
	const quick = fetch;
	const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

	fetch = async (...request) => {
		if (request[1].headers.Authorization) await wait(200);
		return quick(...request);
	};
	Clerk.signInAs('ann');
	Clerk.signOut();
	wait(600).then(() => fetch = quick);
}`;
const nobody = { who: 'nobody', notes: [], invoices: [], problem: '' };
const ann = { ...nobody, who: 'user_ann', notes: ["ann's <b>note</b>"] };
const bea = { ...nobody, who: 'user_bea', notes: ["bea's"] };

sql("TRUNCATE notes; INSERT INTO notes (user_id, body) VALUES ('user_bea', 'bea''s')");
await withPage(`${SUPABASE_URL}/index.html`, fileURLToPath(new URL('profile', import.meta.url)), async (page) => {
	same(await seen(page), nobody, 'who is not signed in sees nothing');
	ok((await after(page, note('x'))).problem.includes('permission denied'), 'and cannot write');
	await after(page, "Clerk.signInAs('ann')");
	same(await after(page, note(ann.notes[0])), ann, 'ann adds a note and sees it');
	same(await after(page, click('switch')), { ...ann, invoices: ['12.5'] }, "in an organization, she sees its invoices and no other's");
	same(await after(page, click('sign-out')), nobody, 'signed out, she sees nothing');
	same(await after(page, "Clerk.signInAs('bea')"), bea, 'bea sees hers');
	same(await after(page, late), nobody, 'what comes too late is not shown');

	await after(page, "Clerk.signInAs('bea')");
	sql("SELECT clerk.revoke_session('sess_bea')");
	same(await after(page, click('reload')), { ...bea, notes: [], problem: 'session-revoked: the session was revoked' },
		'a revoked session sees nothing, and why');
	same(await after(page, note('x')), { ...bea, notes: [], problem: 'session-revoked: the session was revoked' }, 'nor can it write');
	same(await after(page, "Clerk.signInAs('ann')"), ann, 'another session is as it was');
});
sql("SELECT clerk.unrevoke('sess_bea')");
