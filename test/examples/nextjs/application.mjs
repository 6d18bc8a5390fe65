/*
 * application.mjs
 *		The application of examples/nextjs as people have it, built if it was not, and started, with the stand-in
 *		of Clerk below /__clerk of its own origin.
 *
 * Owns the processes it starts.
 */
import { spawn } from 'node:child_process';
import { createWriteStream, existsSync, readFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { join } from 'node:path';
import { StandIn } from './clerk.mjs';
import { World } from './world.mjs';

const prefix = '/__clerk';
const host = 'clerk.example.com';

const listen = (server, port = 0) => new Promise((resolve, reject) => server.on('error', reject).listen(port, '127.0.0.1', () => resolve(server.address().port)));

function forward(port, from, to) {
	// which is ::1 or 127.0.0.1, as the machine has it
	const onward = request({ port, host: 'localhost', method: from.method, path: from.url, headers: from.headers },
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
 * The environment says where everything is (test/examples/run.sh).  Returns { origin, clerk: the
 * stand-in, stop() }.
 */
export async function startApplication() {
	const { NEXTJS_FOLDER: folder, NEXTJS_MODULES: modules, NEXTJS_PORT, NEXTJS_KEY, NEXTJS_WEBHOOK_SECRET, SUPABASE_URL, SUPABASE_ANON_KEY } = process.env;
	const publishableKey = `pk_live_${Buffer.from(`${host}$`).toString('base64')}`;
	const clerk = new StandIn({
		world: new World({ pem: readFileSync(NEXTJS_KEY), issuer: `https://${host}` }), publishableKey, modules, prefix,
		webhook: { url: `${SUPABASE_URL}/rest/v1/rpc/clerk_webhook`, secret: NEXTJS_WEBHOOK_SECRET },
	});
	const nextPort = await freePort();
	const log = createWriteStream(join(folder, 'next.log'));
	const front = createServer((from, to) => {
		if (!from.url.startsWith(`${prefix}/`)) forward(nextPort, from, to);
		else clerk.handle(from, to).catch((error) => to.writeHead(500).end(error.message));
	});
	const env = {
		...process.env, NODE_ENV: 'production', NEXT_TELEMETRY_DISABLED: '1',
		NEXT_PUBLIC_SUPABASE_URL: SUPABASE_URL, NEXT_PUBLIC_SUPABASE_ANON_KEY: SUPABASE_ANON_KEY,
		NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY: publishableKey, CLERK_SECRET_KEY: 'sk_live_standin',
		NEXT_PUBLIC_CLERK_PROXY_URL: prefix, NEXT_PUBLIC_CLERK_SIGN_IN_URL: `${prefix}/sign-in`,
		NEXT_PUBLIC_CLERK_TELEMETRY_DISABLED: '1',
	};
	const next = (...args) => {
		const child = spawn(process.execPath, [join(folder, 'node_modules/next/dist/bin/next'), ...args], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });

		child.stdout.pipe(log, { end: false });
		child.stderr.pipe(log, { end: false });
		return Object.assign(child, { ended: new Promise((resolve) => child.on('exit', resolve)) });
	};
	const failed = (what) => new Error(`${what} failed:\n${readFileSync(join(folder, 'next.log'), 'utf8')}`);

	clerk.origin = `http://localhost:${await listen(front, Number(NEXTJS_PORT))}`;
	env.CLERK_API_URL = clerk.origin + prefix;
	if (!existsSync(join(folder, '.next/BUILD_ID')) && (await next('build').ended) !== 0) throw failed('next build');

	const server = next('start', '-H', 'localhost', '-p', String(nextPort));
	const stop = async () => {
		server.kill();
		front.closeAllConnections();
		front.close();
		await server.ended;
	};

	const answers = () => fetch(`http://localhost:${nextPort}/icon.svg`).then(({ ok }) => ok, () => false);
	for (let i = 0; !(await answers()); i++) {
		if (server.exitCode !== null || i === 300) throw failed('next start');
		await new Promise((resolve) => setTimeout(resolve, 50));
	}
	await clerk.announce();
	return { origin: clerk.origin, clerk, stop };
}
