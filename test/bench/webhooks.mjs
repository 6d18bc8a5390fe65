/*
 * webhooks.mjs
 *		Posts 1,000 signed events to a function behind PostgREST, four at a time, and prints the
 *		milliseconds that this took.
 *
 * usage: node webhooks.mjs PACKAGES URL FUNCTION RUN
 */
import { createRequire } from 'node:module';
import { resolve } from 'node:path';

const [packages, url, name, run] = process.argv.slice(2);
const { Webhook } = createRequire(resolve(packages, 'x.js'))('svix');
const webhook = new Webhook('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
const now = new Date();

const queue = Array.from({ length: 1000 }, (_, i) => {
	const id = `msg_${run}_${i}`;
	const body = JSON.stringify({
		type: 'user.updated',
		timestamp: now.getTime(),
		data: {
			id: `user_${i % 500}`,
			username: `user ${i}`,
			first_name: 'First',
			last_name: 'Last',
			image_url: 'x'.repeat(200),
			banned: false,
			primary_email_address_id: 'idn_1',
			email_addresses: [{ id: 'idn_1', email_address: `${i}@example.com` }],
			public_metadata: { plan: 'pro' },
			updated_at: now.getTime() + i,
		},
	});

	return {
		body,
		headers: {
			'Content-Type': 'application/json',
			'svix-id': id,
			'svix-timestamp': String(Math.floor(now.getTime() / 1000)),
			'svix-signature': webhook.sign(id, now, body),
		},
	};
});
const start = performance.now();
await Promise.all(Array.from({ length: 4 }, async () => {
	for (let next = queue.pop(); next; next = queue.pop()) {
		const response = await fetch(`${url}/rpc/${name}`, { method: 'POST', ...next });
		if (!(await response.text()).includes('applied')) throw new Error(`status ${response.status}`);
	}
}));
console.log(performance.now() - start);
