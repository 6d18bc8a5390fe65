/*
 * gateway.mjs
 *		Webhooks through a gateway that wants an API key, as Supabase's does, by a route of their own.
 *
 * usage: node gateway.mjs PACKAGES KIND GATEWAY ANON_KEY SECRET
 *
 * PACKAGES has the real svix package in it, KIND is nginx or envoy, GATEWAY is an URL.  Prints TAP.
 */
import { createRequire } from 'node:module';
import { resolve } from 'node:path';

const [packages, kind, gateway, anonKey, secret] = process.argv.slice(2);
const require = createRequire(resolve(packages, 'x.js'));
const { Webhook } = require('svix');

let n = 0;
let failed = 0;
function ok(good, name, detail) {
	console.log(`${good ? '' : 'not '}ok ${++n} - ${kind}: ${name}`);
	if (!good) {
		failed++;
		console.log(`# ${detail}`);
	}
}

async function ask(path, { method = 'POST', headers = {}, body } = {}) {
	const response = await fetch(gateway + path, {
		method, body, redirect: 'manual', headers: { 'Content-Type': 'application/json', ...headers },
	});

	return { status: response.status, text: await response.text() };
}

// As Svix sends it: signed, and with no other header of Supabase's.
let ids = 0;
function signed(body, id = `msg_${kind}_${++ids}`) {
	const date = new Date();

	return { body, headers: {
		'svix-id': id, 'svix-timestamp': String(Math.floor(date.getTime() / 1000)), 'svix-signature': new Webhook(secret).sign(id, date, body),
	} };
}

async function expect(status, name, path, request, pattern = /./) {
	const answer = await ask(path, request);

	ok(answer.status === status && pattern.test(answer.text), name, `${answer.status} ${answer.text.slice(0, 300)}`);
}

const noKey = /^Unauthorized$|No API key found in request/;
const now = Date.now();
const event = (id) => JSON.stringify({ type: 'user.updated', timestamp: now, data: { id, username: 'é 🔑', banned: false, updated_at: now } });

// what a webhook meets at PostgREST's own address
await expect(401, 'the address of REST wants an API key', '/rest/v1/rpc/clerk_webhook', signed(event('user_gw')), noKey);
await expect(400, 'which in the address is an argument for PostgREST', `/rest/v1/rpc/clerk_webhook?apikey=${anonKey}`, signed(event('user_gw')));
await expect(200, 'while with a header it would pass', '/rest/v1/rpc/clerk_webhook',
	{ body: event('user_gw'), headers: { ...signed(event('user_gw'), `msg_${kind}_key`).headers, apikey: anonKey, Authorization: `Bearer ${anonKey}` } }, /applied/);

// and at its own
const once = signed(event('user_gw2'));
await expect(200, 'a route of its own', '/clerk/webhook', once, /applied/);
await expect(200, 'an event that comes twice', '/clerk/webhook', once, /duplicate/);
await expect(200, 'the body arrives byte for byte', '/clerk/webhook', signed(` {"type":"user.updated",  "timestamp":${now},\n"data":{"id":"user_gw3","x":"\\u00e9é"}} `), /applied/);
await expect(200, 'a large one, too', '/clerk/webhook', signed(JSON.stringify({ type: 'user.updated', timestamp: now, data: { id: 'user_gw4', updated_at: now, public_metadata: { x: 'y'.repeat(900_000) } } })), /applied/);
await expect(401, 'one that is not signed', '/clerk/webhook', { body: event('user_gw5') }, /webhook-/);
await expect(401, 'one with a signature of another body', '/clerk/webhook', { ...signed(event('user_gw6')), body: event('user_gw7') }, /webhook-/);
ok((await ask('/clerk/webhook', { method: 'GET' })).status >= 400, 'nothing is there to be read', '');
ok([404, 401].includes((await ask('/clerk/webhook/../notes', { method: 'GET' })).status), 'nor behind it', '');
ok([404, 401].includes((await ask('/clerk/notes', { method: 'GET' })).status), 'nor beside it', '');
await expect(401, 'REST still wants an API key', '/rest/v1/notes', { method: 'GET' }, noKey);
await expect(200, 'and lets pass who has one', '/rest/v1/user_state?clerk_id=eq.user_gw2',
	{ method: 'GET', headers: { apikey: anonKey, Authorization: `Bearer ${anonKey}` } }, /é 🔑/);

console.log(`1..${n}`);
process.exit(failed ? 1 : 0);
