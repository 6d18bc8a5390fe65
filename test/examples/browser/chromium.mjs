/*
 * chromium.mjs
 *		A page in a headless Chromium, over the DevTools protocol on a pipe.
 */
import { spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';

// Sends commands, and hands each answer to who waits for it: JSON, ended by a zero byte.
function connection(input, output) {
	const waiting = new Map();
	let rest = '';
	let last = 0;

	output.setEncoding('utf8').on('data', (data) => {
		const messages = (rest + data).split('\0');

		rest = messages.pop();
		for (const { id, result, error } of messages.map((message) => JSON.parse(message))) {
			const [resolve, reject] = waiting.get(id) ?? [];

			if (error) reject?.(new Error(error.message));
			else resolve?.(result);
		}
	});
	return (method, params = {}, sessionId = undefined) => new Promise((resolve, reject) => {
		waiting.set(++last, [resolve, reject]);
		input.write(`${JSON.stringify({ id: last, method, params, sessionId })}\0`);
	});
}

async function open(send, url) {
	const { targetId } = await send('Target.createTarget', { url });
	const { sessionId } = await send('Target.attachToTarget', { targetId, flatten: true });

	const evaluate = async (expression) => {
		const { result, exceptionDetails } = await send('Runtime.evaluate',
			{ expression, awaitPromise: true, returnByValue: true }, sessionId);

		if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
		return result.value;
	};

	evaluate.send = (method, params) => send(method, params, sessionId);
	return evaluate;
}

// Gives work() a function that evaluates an expression in the page; its send() is for any other command.
export async function withPage(url, folder, work) {
	const browser = spawn(process.env.CHROMIUM,
		['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--remote-debugging-pipe', `--user-data-dir=${folder}`],
		{ stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
	const ended = new Promise((resolve) => browser.on('exit', resolve));
	const send = connection(browser.stdio[3], browser.stdio[4]);
	const died = ended.then((code) => Promise.reject(new Error(`Chromium ended with ${code}`)));

	died.catch(() => {});
	try {
		await Promise.race([open(send, url).then(work), died]);
	} finally {
		send('Browser.close').catch(() => {});
		await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 5000).unref())]);
		browser.kill('SIGKILL');
		await rm(folder, { recursive: true, force: true, maxRetries: 5 });
	}
}
