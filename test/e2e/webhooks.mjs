/*
 * webhooks.mjs
 *		Webhooks signed by the real svix package, sent through a real PostgREST.
 *
 * usage: node webhooks.mjs PACKAGES URL SECRET OTHER_SECRET TOKEN [SAMPLES]
 *
 * TOKEN is a session token of user_alice with the session sess_user_alice; SAMPLES a folder with
 * an example of each event, if there is one.  Prints TAP.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

const [packages, url, secret, otherSecret, token, samples] = process.argv.slice(2);
const require = createRequire(resolve(packages, 'x.js'));
const { Webhook } = require('svix');

let n = 0;
let failed = 0;
function ok(good, name, detail) {
	console.log(`${good ? '' : 'not '}ok ${++n} - webhooks: ${name}`);
	if (!good) {
		failed++;
		console.log(`# ${detail}`);
	}
}

const seconds = (date) => String(Math.floor(date.getTime() / 1000));
function headersOf(id, body, { key = secret, date = new Date(), prefix = 'svix' } = {}) {
	return {
		[`${prefix}-id`]: id,
		[`${prefix}-timestamp`]: seconds(date),
		[`${prefix}-signature`]: new Webhook(key).sign(id, date, body),
	};
}

async function post(body, headers) {
	const response = await fetch(`${url}/rpc/clerk_webhook`, {
		method: 'POST',
		headers: { 'Content-Type': 'application/json', ...headers },
		body,
	});

	return { status: response.status, text: await response.text() };
}

let ids = 0;
async function expectStatus(status, name, body, headers) {
	const answer = await post(body, headers ?? headersOf(`msg_e2e_${++ids}`, body));

	ok(answer.status === status, name, `${answer.status} ${answer.text.slice(0, 300)}`);
	return answer;
}

async function get(path, headers = {}) {
	const response = await fetch(url + path, { headers });

	return { status: response.status, body: await response.json() };
}
const user = async (id) => (await get(`/user_state?clerk_id=eq.${id}`)).body[0];

const userEvent = (id, username, updated, more = {}) =>
	JSON.stringify({ type: 'user.updated', timestamp: updated, data: { id, username, banned: false, updated_at: updated, ...more } });
const now = Date.now();
const plain = userEvent('user_w', 'w', now);
const longAgo = new Date(now - 600_000);

await expectStatus(200, 'an event', plain, headersOf('msg_once', plain));
ok((await user('user_w')).username === 'w', 'is applied', 'no such user');
ok((await post(plain, headersOf('msg_once', plain))).text.includes('duplicate'), 'and not twice');
await expectStatus(200, 'an unknown type', '{"type":"comet.sighted","data":{"id":"x"}}');
await expectStatus(200, 'the headers of Standard Webhooks', plain, headersOf('msg_std', plain, { prefix: 'webhook' }));
await expectStatus(200, 'another live secret', plain, headersOf('msg_other', plain, { key: otherSecret }));
const two = headersOf('msg_two', plain, { key: 'whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' });
two['svix-signature'] += ` ${headersOf('msg_two', plain)['svix-signature']}`;
await expectStatus(200, 'several signatures', plain, two);

await expectStatus(401, 'no headers', plain, {});
await expectStatus(401, 'another secret', plain, headersOf('msg_x', plain, { key: 'whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' }));
await expectStatus(401, 'another body', `${plain} `, headersOf('msg_x', plain));
await expectStatus(401, 'ten minutes ago', plain, headersOf('msg_x', plain, { date: longAgo }));
await expectStatus(400, 'not JSON', '{"type":', headersOf('msg_x', '{"type":'));
await expectStatus(400, 'no event', '{"type":1}', headersOf('msg_x', '{"type":1}'));
ok((await get('/rpc/clerk_webhook')).status >= 400, 'GET is not answered');

const odd = [
	['white space', ` {\r\n\t"type" : "user.updated",\n "data": {"id": "user_space", "username": "s"  } }\n`, 'user_space', 's'],
	['U+0000', '{"type":"user.updated","data":{"id":"user_nul","username":"a\\u0000b"}}', 'user_nul', 'a\ufffdb'],
	['beyond ASCII', userEvent('user_zoe', 'Zoë 😀', now), 'user_zoe', 'Zoë 😀'],
	['a duplicate key', '{"type":"user.updated","data":{"id":"user_dup","username":"first","username":"last"}}', 'user_dup', 'last'],
	['1 MB', userEvent('user_big', 'big', now, { public_metadata: { pad: 'x'.repeat(1_000_000) } }), 'user_big', 'big'],
];
for (const [name, body, id, username] of odd) {
	await expectStatus(200, name, body);
	ok((await user(id))?.username === username, `${name} is applied`, JSON.stringify(await user(id)));
}

/* the same event, eight times at the same moment */
const atOnce = userEvent('user_once', 'once', now);
const answers = await Promise.all(Array.from({ length: 8 }, () => post(atOnce, headersOf('msg_at_once', atOnce))));
ok(answers.filter((a) => a.text.includes('applied')).length === 1 && answers.every((a) => a.status === 200),
	'one of eight deliveries at the same moment is applied', answers.map((a) => a.text).join(' '));

/* a long history, in any order, some of it twice */
let state = 12345;
const random = () => (state = (state * 1103515245 + 12345) & 0x7fffffff) / 0x7fffffff;
const history = Array.from({ length: 200 }, (_, i) => ({
	id: `msg_history_${i}`,
	body: userEvent(`user_h${i % 10}`, `version ${i}`, now + i, { banned: random() < 0.2 }),
}));
const deliveries = [...history, ...history.filter(() => random() < 0.3)].sort(() => random() - 0.5);
const queue = [...deliveries];
await Promise.all(Array.from({ length: 8 }, async () => {
	for (let next = queue.pop(); next; next = queue.pop()) await post(next.body, headersOf(next.id, next.body));
}));
for (let u = 0; u < 10; u++) {
	const last = JSON.parse(history[190 + u].body).data;
	const found = await user(`user_h${u}`);

	ok(found?.username === last.username && found.banned === last.banned, `user ${u} is as the last event says`, JSON.stringify(found));
}

/* a logout counts at once */
const bearer = { Authorization: `Bearer ${token}` };
ok((await get('/notes', bearer)).status === 200, 'a session', 'refused');
await expectStatus(200, 'its end', JSON.stringify({ type: 'session.ended', data: { id: 'sess_user_alice', user_id: 'user_alice' } }));
const after = await get('/notes', bearer);
ok(after.status === 401 && after.body.message.startsWith('session-revoked'), 'is a 401 at once', JSON.stringify(after));

if (samples) {
	const files = readdirSync(samples).filter((f) => f.endsWith('.json'));

	for (const file of files) {
		const text = readFileSync(join(samples, file), 'utf8');

		await expectStatus(200, `sample ${file}`, text);
		await expectStatus(200, `sample ${file} again`, text);
	}
}
console.log(`# ${n - failed} of ${n}`);
process.exit(failed > 0 ? 1 : 0);
