/*
 * demo.mjs
 *		Row-level security with Clerk's tokens, in a PostgreSQL inside of Node: no server, no account.
 *
 * usage: npm install && npm start		(Node 18 or later)
 *
 * A key made on the spot takes the place of Clerk's. What it prints begins with "ok" or "not ok", and
 * it ends with 1 if anything is not as it should be.
 */
import { createHmac, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { PGlite } from '@electric-sql/pglite';

const issuer = 'https://clerk.example.com';
const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const jwks = { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'ins_demo', alg: 'RS256', use: 'sig' }] };
const now = () => Math.floor(Date.now() / 1000);

// A session token, as Clerk signs it.
function token(sub, claims = {}) {
	const part = (object) => Buffer.from(JSON.stringify(object)).toString('base64url');
	const signed = `${part({ alg: 'RS256', kid: 'ins_demo', typ: 'JWT' })}.${part({
		iss: issuer, sub, sid: `sess_${sub}`, iat: now(), exp: now() + 60, ...claims })}`;
	return `${signed}.${sign('sha256', Buffer.from(signed), privateKey).toString('base64url')}`;
}

let failed = 0;
function expect(what, is, wanted) {
	const good = JSON.stringify(is) === JSON.stringify(wanted);
	failed += good ? 0 : 1;
	console.log(`${good ? 'ok' : 'not ok'} - ${what}: ${JSON.stringify(is)}`);
}

const db = new PGlite();
await db.exec('CREATE ROLE anon; CREATE ROLE authenticated;');
await db.exec(readFileSync(new URL('../clerk_rls.sql', import.meta.url), 'utf8'));
await db.query('SELECT clerk.add_instance($1)', [issuer]);
await db.query('SELECT * FROM clerk.load_jwks($1, $2)', [issuer, jwks]);
await db.exec(`
	CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id text, body text);
	SELECT clerk.protect('notes', owner => 'user_id', dry_run => false);`);

// One transaction is one request: whose token it has, decides what it sees.
async function as(token, query, parameters = []) {
	return db.transaction(async (request) => {
		await request.query(`SELECT set_config('role', $1, true)`, [token ? 'authenticated' : 'anon']);
		await request.query(`SELECT set_config('clerk.token', $1, true)`, [token ?? '']);
		return (await request.query(query, parameters)).rows;
	});
}
const bodies = async (token) => (await as(token, 'SELECT body FROM notes ORDER BY id')).map((row) => row.body);
const reason = async (query, parameters) => db.query(query, parameters).then(() => 'none', (error) => error.message.split(':')[0]);

await as(token('user_alice'), `INSERT INTO notes (body) VALUES ('of Alice')`);
await as(token('user_bob'), `INSERT INTO notes (body) VALUES ('of Bob')`);
expect('Alice sees', await bodies(token('user_alice')), ['of Alice']);
expect('Bob sees', await bodies(token('user_bob')), ['of Bob']);
expect('a token that has expired sees', await bodies(token('user_alice', { exp: now() - 60 })), []);
const forged = token('user_alice').replace(/[^.]+$/, token('user_bob').split('.')[2]);
expect('a forged one sees', await bodies(forged), []);
expect('and why', await reason('SELECT clerk.verify($1)', [forged]), 'token-invalid-signature');
const member = token('user_alice', { v: 2, fea: 'o:invoices', o: { id: 'org_acme', rol: 'admin', per: 'read,create', fpm: '3' } });
expect('an organization', (await as(member, `SELECT clerk.org_id(), clerk.has_role('admin'), clerk.has_permission('org:invoices:create')`))[0],
	{ org_id: 'org_acme', has_role: true, has_permission: true });

// A webhook, signed as Svix signs it for Clerk: Alice is deleted, and her token is worth nothing.
const secret = randomBytes(24);
await db.query('SELECT clerk.add_webhook_secret($1, $2)', [issuer, `whsec_${secret.toString('base64')}`]);
const body = JSON.stringify({ type: 'user.deleted', timestamp: Date.now(), data: { id: 'user_alice', deleted: true } });
const ts = String(now());
const signature = `v1,${createHmac('sha256', secret).update(`msg_1.${ts}.${body}`).digest('base64')}`;
const receive = async () => (await db.query('SELECT clerk.receive_webhook($1, $2, $3, $4) AS r', ['msg_1', ts, signature, body])).rows[0].r.status;
expect('a webhook', [await receive(), await receive()], ['applied', 'duplicate']);
expect('Alice sees', await bodies(token('user_alice')), []);
expect('and why', (await as(token('user_alice'), `SELECT split_part(detail, ':', 1) AS why FROM clerk.diagnose() WHERE outcome = 'fail'`))[0],
	{ why: 'user-revoked' });
// The test kit signs in whom you like.
await db.exec(readFileSync(new URL('../clerk_rls_test.sql', import.meta.url), 'utf8'));
await db.query(`SELECT clerk_test.login('user_carol', 'org_acme', plans => '{pro}')`);
expect('the test kit', (await db.query(`SELECT clerk.uid(), current_user AS role, clerk.has_plan('pro') AS pro`)).rows[0], { uid: 'user_carol', role: 'authenticated', pro: true });
await db.query('SELECT clerk_test.reset()');
expect('the version', (await db.query('SELECT clerk.version() AS v')).rows[0].v.replace(/^[0-9.]+/, 'N'), 'N (hosted)');
process.exit(failed ? 1 : 0);
