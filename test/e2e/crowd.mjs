/*
 * crowd.mjs
 *		Two hundred users and some without a token, at once, through one small pool: each writes
 *		a row and from then on sees that and no other.  Prints TAP.
 *
 * usage: node crowd.mjs URL <TOKENS		lines of user id and token
 */
import { createInterface } from 'node:readline';

const [url] = process.argv.slice(2);
const users = [];
for await (const line of createInterface({ input: process.stdin })) {
	const [id, token] = line.split(' ');

	users.push({ id, headers: { Authorization: `Bearer ${token}` } });
}

async function request(method, user, body) {
	const response = await fetch(`${url}/crowd`, {
		method,
		headers: { 'Content-Type': 'application/json', ...user?.headers },
		body,
	});

	return response.ok ? await response.text() : `status ${response.status}`;
}

// Takes from a queue, sixteen at a time.
async function together(queue, work) {
	const each = async () => {
		for (let next = queue.pop(); next; next = queue.pop()) await work(next);
	};

	await Promise.all(Array.from({ length: 16 }, each));
}

let n = 0;
const ok = (good, name, detail) => console.log(`${good ? '' : 'not '}ok ${++n} - crowd: ${name}${good ? '' : `\n# ${detail}`}`);

await together([...users], (user) => request('POST', user, '{}'));
const wrong = [];
let seen = 0;
const queue = Array.from({ length: 4000 }, (_, i) => ({ user: i % 5 === 0 ? undefined : users[(i * 7919) % users.length] }));
await together(queue, async ({ user }) => {
	const answer = await request('GET', user);
	const wanted = user ? `[{"user_id":"${user.id}"}]` : '[]';

	seen++;
	if (answer !== wanted) wrong.push(`${user?.id}: ${answer.slice(0, 200)}`);
});
ok(seen === 4000, '4,000 requests were answered', seen);
ok(wrong.length === 0, 'each with the row of its user, and none without a token', wrong.slice(0, 5).join('; '));
