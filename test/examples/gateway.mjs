/*
 * gateway.mjs
 *		Supabase's gateway in small, and the web server of the browser's page.
 *
 * usage: node gateway.mjs SCRATCH
 *
 * What begins with /rest/v1 goes to the PostgREST that the file postgrest.url in SCRATCH then names,
 * without that; tokens.json comes from SCRATCH, and the rest from the folder browser, with PostgREST's
 * address in it.  Prints its URL.
 */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { basename, extname, join } from 'node:path';

const [scratch] = process.argv.slice(2);
const postgrest = () => readFileSync(join(scratch, 'postgrest.url'), 'utf8').trim();
const page = join(scratch, 'examples', 'browser');
const types = { '.html': 'text/html', '.js': 'text/javascript', '.json': 'application/json' };

function forward(from, to) {
	const onward = request(postgrest() + from.url.slice('/rest/v1'.length), { method: from.method, headers: from.headers },
		(answer) => answer.pipe(to.writeHead(answer.statusCode, answer.headers)));

	onward.on('error', () => to.writeHead(502).end());
	from.pipe(onward);
}

async function serve(from, to) {
	const name = basename(from.url) || 'index.html';
	const folder = name === 'tokens.json' ? scratch : page;

	try {
		const content = await readFile(join(folder, name), 'utf8');

		to.writeHead(200, { 'Content-Type': types[extname(name)] ?? 'text/plain' })
			.end(content.replace('https://postgrest.example.com', postgrest()));
	} catch {
		to.writeHead(404).end();
	}
}

const server = createServer((from, to) => (from.url.startsWith('/rest/v1/') ? forward : serve)(from, to));
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
