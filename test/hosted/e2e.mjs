/*
 * e2e.mjs
 *		Requests to PostgREST in front of the hosted file, and webhooks through the relay.
 *
 * usage: node e2e.mjs PACKAGES URL BARE_URL TOKEN_OF_ALICE TOKEN_OF_BOB EXPIRED_TOKEN [WHAT]
 *
 * Alice's token has no role, Bob's says authenticated. WHAT: how the database believes; only who is who is
 * asked then. Prints TAP.
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';

const [packages, url, bare, alice, bob, expired, what = ''] = process.argv.slice(2);
const { Webhook } = createRequire(resolve(packages, 'x.js'))('svix');
const source = readFileSync(new URL('../../hosted/functions/clerk-webhook/index.ts', import.meta.url));
const { relay } = await import(`data:text/javascript;base64,${source.toString('base64')}`);

let n = 0;
let failed = 0;
function expect(name, is, wanted) {
	const good = JSON.stringify(is) === JSON.stringify(wanted);
	console.log(`${good ? '' : 'not '}ok ${++n} - hosted${what && `, ${what}`}: ${name}`);
	if (!good) {
		failed++;
		console.log(`# ${JSON.stringify(is)}, not ${JSON.stringify(wanted)}`);
	}
}
async function ask(base, path, token, options = {}) {
	const headers = { 'Content-Type': 'application/json', ...(token ? { Authorization: `Bearer ${token}` } : {}) };
	const answer = await fetch(base + path, { headers, ...options });
	const text = await answer.text();
	return { status: answer.status, body: text ? JSON.parse(text) : null };
}
const who = async (base, token) => (await ask(base, '/rpc/whoami', token)).body;

expect('who has no role in the token gets the instance\'s', await who(url, alice), { uid: 'user_alice', role: 'authenticated' });
expect('who has one keeps it', await who(url, bob), { uid: 'user_bob', role: 'authenticated' });
expect('nobody is anonymous', await who(url, null), { uid: null, role: 'anon' });
expect('without db-pre-request as well', await who(bare, bob), { uid: 'user_bob', role: 'authenticated' });
expect('where the role is the gateway\'s', await who(bare, alice), { uid: 'user_alice', role: 'anon' });
const insert = (token, body) => ask(url, '/notes', token, { method: 'POST', body: JSON.stringify({ body }),
	headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${token}` } });
expect('a row of Alice\'s', (await insert(alice, 'a')).status, 201);
expect('a row of Bob\'s', (await insert(bob, 'b')).status, 201);
expect('Alice sees hers', (await ask(url, '/notes?select=user_id,body', alice)).body, [{ user_id: 'user_alice', body: 'a' }]);
expect('Bob sees his', (await ask(bare, '/notes?select=user_id,body', bob)).body, [{ user_id: 'user_bob', body: 'b' }]);
expect('nobody sees none', (await ask(url, '/notes', null)).body, []);
expect('a token that has expired is refused', (await ask(url, '/notes', expired)).status, 401);
expect('so is a forged one', (await ask(url, '/notes', alice.replace(/[^.]+$/, bob.split('.')[2]))).status, 401);

if (what) {
	console.log(`${n - failed} passed, ${failed} failed`);
	process.exit(failed ? 1 : 0);
}

// Supabase's gateway has PostgREST at /rest/v1
const gateway = createServer((request, response) => {
	const parts = [];
	request.on('data', (part) => parts.push(part)).on('end', async () => {
		const answer = await fetch(url + request.url.replace('/rest/v1', ''),
			{ method: request.method, headers: Object.fromEntries(Object.entries(request.headers).filter(([name]) => /^svix|^content-type/.test(name))), body: Buffer.concat(parts) });
		response.writeHead(answer.status, { 'Content-Type': 'application/json' }).end(await answer.text());
	});
}).listen(0, '127.0.0.1');
await new Promise((listening) => gateway.on('listening', listening));
async function deliver(id, event, secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', tamper = (body) => body) {
	const body = JSON.stringify(event);
	const date = new Date();
	const request = new Request('http://127.0.0.1/', { method: 'POST', body: tamper(body), headers: { 'svix-id': id,
		'svix-timestamp': String(Math.floor(date.getTime() / 1000)), 'svix-signature': new Webhook(secret).sign(id, date, body) } });
	const answer = await relay(request, `http://127.0.0.1:${gateway.address().port}`, 'anon-key');
	return [answer.status, (await answer.text()).replace(/.*"status" ?: ?"(\w+)".*/, '$1').replace(/.*"message":"([^:]*).*/, '$1')];
}
const created = { type: 'user.created', timestamp: Date.now(), data: { id: 'user_carol', first_name: 'Zoë \u{1f600}' } };
expect('a webhook is applied', await deliver('msg_1', created), [200, 'applied']);
expect('and once only', await deliver('msg_1', created), [200, 'duplicate']);
expect('of another secret it is refused', await deliver('msg_2', created, 'whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'), [401, 'webhook-invalid-signature']);
expect('and so is one that was changed', await deliver('msg_3', created, undefined, (body) => body.replace('carol', 'karol')), [401, 'webhook-invalid-signature']);
expect('a user is deleted', await deliver('msg_4', { type: 'user.deleted', timestamp: Date.now(), data: { id: 'user_alice', deleted: true } }), [200, 'applied']);
expect('whose token is refused from then on', (await ask(url, '/notes', alice)).status, 401);
expect('and shows nothing without db-pre-request', await who(bare, alice), { uid: null, role: 'anon' });
gateway.close();
console.log(`${n - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
