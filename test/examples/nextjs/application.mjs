/*
 * application.mjs
 *		The application of examples/nextjs as people have it, built and started, with the stand-in
 *		of Clerk below /__clerk of its own origin.
 *
 * Owns the processes it starts.
 */
import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { createServer, request } from 'node:http';
import { join } from 'node:path';
import { StandIn } from './clerk.mjs';
import { World } from './world.mjs';

const prefix = '/__clerk';
const host = 'clerk.example.com';

const listen = (server, port = 0) => new Promise((resolve, reject) => server.on('error', reject).listen(port, '127.0.0.1', () => resolve(server.address().port)));

function forward(port, from, to) {
	const onward = request({ port, host: '127.0.0.1', method: from.method, path: from.url, headers: from.headers },
		(answer) => answer.pipe(to.writeHead(answer.statusCode, answer.headers)));

	onward.on('error', () => to.writeHead(502).end());
	from.pipe(onward);
}

// A port that is free at this moment.
async function freePort() {
	const server = createServer();
	const port = await listen(server);

	await new Promise((resolve) => server.close(resolve));
	return port;
}

/*
 * folder: the application, with node_modules; modules: clerk-js and ui; pem: the key of the Clerk
 * instance; supabase: { url, anonKey }; webhook: { url, secret }; port: where to listen, 0 for any.
 * Returns { origin, clerk: the stand-in, stop() }.
 */
export async function startApplication({ folder, modules, pem, supabase, webhook, port = 0 }) {
	const publishableKey = `pk_live_${Buffer.from(`${host}$`).toString('base64')}`;
	const clerk = new StandIn({ world: new World({ pem, issuer: `https://${host}` }), publishableKey, modules, prefix, webhook });
	const nextPort = await freePort();
	const log = createWriteStream(join(folder, 'next.log'));
	const front = createServer((from, to) => {
		if (!from.url.startsWith(`${prefix}/`)) forward(nextPort, from, to);
		else clerk.handle(from, to).catch((error) => to.writeHead(500).end(error.message));
	});
	const env = {
		...process.env, NODE_ENV: 'production', NEXT_TELEMETRY_DISABLED: '1',
		NEXT_PUBLIC_SUPABASE_URL: supabase.url, NEXT_PUBLIC_SUPABASE_ANON_KEY: supabase.anonKey,
		NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY: publishableKey, CLERK_SECRET_KEY: 'sk_live_standin', NEXT_PUBLIC_CLERK_PROXY_URL: prefix,
		NEXT_PUBLIC_CLERK_TELEMETRY_DISABLED: '1',
	};
	const next = (...args) => {
		const child = spawn(process.execPath, [join(folder, 'node_modules/next/dist/bin/next'), ...args], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });

		child.stdout.pipe(log, { end: false });
		child.stderr.pipe(log, { end: false });
		return Object.assign(child, { ended: new Promise((resolve) => child.on('exit', resolve)) });
	};

	clerk.origin = `http://localhost:${await listen(front, port)}`;
	env.CLERK_API_URL = clerk.origin + prefix;
	if ((await next('build').ended) !== 0) throw new Error('next build failed');

	const server = next('start', '-H', 'localhost', '-p', String(nextPort));
	const stop = async () => {
		server.kill();
		front.closeAllConnections();
		front.close();
		await server.ended;
	};

	for (let i = 0; i < 300; i++) {
		if (server.exitCode !== null) throw new Error('next start failed');
		if (await fetch(`http://localhost:${nextPort}/icon.svg`).then(({ ok }) => ok, () => false)) break;
		await new Promise((resolve) => setTimeout(resolve, 50));
	}
	await clerk.announce();
	return { origin: clerk.origin, clerk, stop };
}
