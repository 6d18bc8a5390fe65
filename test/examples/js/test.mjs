/*
 * test.mjs
 *		The package clients/js with the real libraries: two users of each, who share one connection
 *		behind PgBouncer.
 *
 * Runs in a folder with the package, built, and its development dependencies.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { PrismaPg } from '@prisma/adapter-pg';
import { clerkAuthenticate, isTokenRefused, withClerk } from '@clerk-rls/client';
import * as drizzles from '@clerk-rls/client/drizzle';
import * as kyselys from '@clerk-rls/client/kysely';
import * as prismas from '@clerk-rls/client/prisma';
import { createClient } from '@supabase/supabase-js';
import { generateDrizzleJson, generateMigration } from 'drizzle-kit/api';
import { drizzle } from 'drizzle-orm/node-postgres';
import { bigint, integer, pgTable, text, uuid } from 'drizzle-orm/pg-core';
import { Kysely, PostgresDialect, sql as kysely } from 'kysely';
import pg from 'pg';
import { PrismaClient } from './generated/index.js';
import { SUPABASE_ANON_KEY, SUPABASE_URL, errorOf, ok, same, sessionOf, sql, token } from '../tap.mjs';

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 5 });
// without PgBouncer
const direct = new pg.Pool({ host: process.env.PGHOST, user: 'app', database: 'postgres', max: 3 });
direct.on('error', () => {});
const [ann, bea, expired] = [token('ann'), token('bea'), token('ann_expired')];

// What anybody prints.
let printed = '';
for (const stream of [process.stdout, process.stderr]) {
	const write = stream.write.bind(stream);

	stream.write = (text, ...rest) => {
		printed += text;
		return write(text, ...rest);
	};
}

// What must hold of every client. Each takes a token, and adds a note, lists the texts, or fails after adding one.
async function contract(name, { add, texts, addAndFail }) {
	sql('TRUNCATE notes');
	await add(ann, 'hello');
	await add(bea, "bea's");
	same(sql('SELECT user_id, body FROM notes ORDER BY id'), "user_ann|hello\nuser_bea|bea's", `${name}: an insert is in the name of whose token it is`);
	same([await texts(ann), await texts(bea), await texts(null), await texts(undefined)], [['hello'], ["bea's"], [], []], `${name}: everybody sees their own, nobody nothing`);

	const turns = await Promise.all(Array.from({ length: 24 }, (_, i) => texts(i % 2 ? ann : bea)));
	ok(turns.every((seen, i) => seen.join() === (i % 2 ? 'hello' : "bea's")), `${name}: also at once`, JSON.stringify(turns));

	const refused = await errorOf(texts(expired));
	ok(isTokenRefused(refused), `${name}: a refused token is known as such`, inspect(refused));
	ok(/token-expired/.test(refused?.message), `${name}: with the reason`, inspect(refused));
	ok(!inspect(refused, { depth: null }).includes(expired), `${name}: and the token is not in it`);

	const failed = await errorOf(addAndFail(ann, 'undone'));
	same([failed?.message, isTokenRefused(failed), await texts(ann)], ['changed my mind', false, ['hello']], `${name}: what fails is undone`);
	ok(!isTokenRefused(await errorOf(add(null, 'x'))), `${name}: what a policy refuses is no refused token`);
}

// Throws after the work, within the transaction.
const thenFail = (work) => async (tx) => {
	await work(tx);
	throw new Error('changed my mind');
};

// supabase-js, which has no transactions
{
	sql('TRUNCATE notes');
	let session = sessionOf('ann');
	const supabase = withClerk(createClient, () => session)(SUPABASE_URL, SUPABASE_ANON_KEY, { db: { schema: 'public' } });
	const texts = async () => (await supabase.from('notes').select('body').order('id')).data?.map(({ body }) => body);

	same((await supabase.from('notes').insert({ body: 'hello' }).select().single()).data?.user_id, 'user_ann', 'withClerk: an insert is in the name of whose session it is');
	session = sessionOf('bea');
	same(await texts(), [], 'withClerk: the session is asked for each time');
	session = Promise.resolve(sessionOf('ann'));
	same(await texts(), ['hello'], 'withClerk: also when it comes later');
	const rpc = async (name, args) => (await supabase.schema('clerk').rpc(name, args)).data;
	same(await rpc('claim', { path: ['sid'] }), 'sess_ann', 'withClerk: a function with a variadic argument');
	same([await rpc('uid'), await rpc('has_role', { role: 'admin' }), (await rpc('diagnose')).length > 0], ['user_ann', false, true], 'withClerk: functions of the schema clerk');
	session = null;
	same(await texts(), [], 'withClerk: nobody sees nothing');
	session = sessionOf('ann_expired');
	ok(isTokenRefused((await supabase.from('notes').select()).error), 'withClerk: a refused token is known as such');
}

// node-postgres
{
	const texts = (client) => client.query('SELECT body FROM notes');
	const add = (body) => (client) => client.query('INSERT INTO notes (body) VALUES ($1)', [body]);

	await contract('node-postgres', {
		add: (mine, body) => clerkAuthenticate(pool, mine, add(body)),
		texts: (mine) => clerkAuthenticate(pool, mine, async (client) => (await client.query('SELECT body FROM notes ORDER BY id')).rows.map(({ body }) => body)),
		addAndFail: (mine, body) => clerkAuthenticate(pool, mine, thenFail(add(body))),
	});

	const released = [];
	const broken = {
		connect: async () => ({ query: async (text) => { if (text !== 'BEGIN') throw new Error(text); }, release: (how) => released.push(how) }),
	};
	await errorOf(clerkAuthenticate(broken, ann, () => {}));
	same(released.map(String), ['Error: ROLLBACK'], 'node-postgres: a connection that cannot be rolled back is closed');
	same(await errorOf(clerkAuthenticate({ connect: () => Promise.reject(new Error('no connection')) }, ann, () => {})).then(String), 'Error: no connection', 'node-postgres: nor is one released that never was');
	same(await errorOf(clerkAuthenticate(pool, '', texts)).then(isTokenRefused), true, 'node-postgres: an empty token is a refused one');

	const swallowed = await errorOf(clerkAuthenticate(pool, ann, async (client) => {
		await add('lost')(client);
		await client.query('SELECT 1/0').catch(() => {});
		return 'done';
	}));
	ok(/rolled back/.test(swallowed?.message), 'node-postgres: work that goes on after a statement that has failed is not reported as done', inspect(swallowed));
	same(await clerkAuthenticate(pool, ann, async (client) => (await client.query("SELECT current_setting('transaction_isolation') AS i, current_setting('transaction_read_only') AS r")).rows[0],
		{ begin: 'BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY' }), { i: 'serializable', r: 'on' }, 'node-postgres: the transaction begins as one likes');
}

// node-postgres: a crowd on few connections, of which some break
{
	sql("TRUNCATE notes; INSERT INTO notes (user_id, body) VALUES ('user_ann', 'hello'), ('user_bea', 'bea''s')");
	const bodies = async (client) => (await client.query('SELECT body, pg_sleep(0.001) FROM notes ORDER BY id')).rows.map(({ body }) => body).join();
	const seen = { ann: 'hello', bea: "bea's", nobody: '' };
	const turns = await Promise.all(Array.from({ length: 300 }, async (_, i) => {
		const who = ['ann', 'bea', 'nobody'][i % 3];
		const mine = { ann, bea, nobody: null }[who];

		switch (i % 5) {
			case 0: return isTokenRefused(await errorOf(clerkAuthenticate(direct, expired, bodies)));
			case 1: return (await errorOf(clerkAuthenticate(direct, mine, thenFail(bodies))))?.message === 'changed my mind';
			case 2: return (await errorOf(clerkAuthenticate(direct, mine, (client) => client.query('SELECT 1/0'))))?.code === '22012';
			case 3: if (i % 20 === 3) return (await errorOf(clerkAuthenticate(direct, mine, async (client) => {
				const { pid } = (await client.query('SELECT pg_backend_pid() AS pid')).rows[0];

				sql(`SELECT pg_terminate_backend(${pid})`);
				return bodies(client);
			}))) instanceof Error;
		}
		return (await clerkAuthenticate(direct, mine, bodies)) === seen[who];
	}));
	same(turns.map((good, i) => good || i).filter((good) => good !== true), [], 'a crowd: everybody sees their own, or the right error');
	same([direct.waitingCount, direct.totalCount - direct.idleCount], [0, 0], 'a crowd: all connections are back');
	const left = await Promise.all(Array.from({ length: 3 }, () => direct.query("SELECT clerk.uid() AS uid, current_setting('clerk.token', true) AS token, pg_sleep(0.05)")));
	same(left.map(({ rows: [{ uid, token }] }) => [uid, token || null]), Array(3).fill([null, null]), 'a crowd: nobody is left in them');
	const clients = await Promise.all(Array.from({ length: 3 }, () => direct.connect()));
	same(clients.map((client) => client.listenerCount('error')), [0, 0, 0], 'a crowd: nor a listener');
	clients.forEach((client) => client.release());
}

// Drizzle
{
	const notes = pgTable('notes', { id: bigint({ mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(), userId: text('user_id').notNull().default(drizzles.uid), body: text().notNull() });
	const db = drizzle(pool);
	const add = (body) => (tx) => tx.insert(notes).values({ body });

	await contract('Drizzle', {
		add: (mine, body) => drizzles.clerkTransaction(db, mine, add(body)),
		texts: (mine) => drizzles.clerkTransaction(db, mine, async (tx) => (await tx.select().from(notes).orderBy(notes.id)).map(({ body }) => body)),
		addAndFail: (mine, body) => drizzles.clerkTransaction(db, mine, thenFail(add(body))),
	});

	const isolation = async (tx) => (await tx.execute('SHOW transaction_isolation')).rows[0].transaction_isolation;
	same(await drizzles.clerkTransaction(db, ann, isolation, { isolationLevel: 'serializable' }), 'serializable', 'Drizzle: with its options');

	// policies in the schema, as drizzle-kit writes them
	const own = pgTable('d_own', { userId: text('user_id').notNull().default(drizzles.uid), body: text() }, (t) => [drizzles.ownRows(t.userId)]);
	const local = pgTable('d_local', { owner: uuid().notNull(), body: text() }, (t) => [drizzles.ownRows(t.owner, { name: 'mine' })]);
	const shared = pgTable('d_shared', { orgId: text('org_id').notNull(), body: text() }, (t) => drizzles.orgRows(t.orgId, { adminRole: "o'admin" }));
	const team = pgTable('d_team', { orgId: text('org_id').notNull(), body: text() }, (t) => drizzles.orgRows(t.orgId));
	const statements = await generateMigration(generateDrizzleJson({}), generateDrizzleJson({ own, local, shared, team }));

	sql(`${statements.join('\n')}
		GRANT SELECT, INSERT, UPDATE, DELETE ON d_own, d_local, d_shared, d_team TO authenticated;
		INSERT INTO d_own VALUES ('user_ann', 'a'), ('user_bea', 'b');
		INSERT INTO d_local SELECT clerk.mapped_id(id), id FROM unnest('{user_ann,user_bea}'::text[]) AS id;
		INSERT INTO d_shared VALUES ('org_acme', 'ours'), ('org_other', 'theirs');
		INSERT INTO d_team SELECT * FROM d_shared`);
	const asked = (mine, table) => drizzles.clerkTransaction(db, mine, async (tx) => (await tx.select({ body: table.body }).from(table)).map(({ body }) => body));
	same([await asked(ann, own), await asked(bea, own), await asked(null, own)], [['a'], ['b'], []], 'Drizzle: ownRows() of a text column');
	same([await asked(ann, local), await asked(bea, local)], [['user_ann'], ['user_bea']], 'Drizzle: ownRows() of a uuid column');
	const member = token('ann', 'org_acme');
	same([await asked(member, shared), await asked(ann, shared), await asked(member, team)], [['ours'], [], ['ours']], 'Drizzle: orgRows()');
	const change = (table) => drizzles.clerkTransaction(db, member, (tx) => tx.update(table).set({ body: 'x' }).returning());
	same([(await change(shared)).length, (await change(team)).length], [0, 1], 'Drizzle: orgRows() with a role for changes, and without');
	sql('CREATE POLICY wide ON d_team USING (true)');
	same([(await asked(member, team)).length, (await asked(ann, team)).length], [1, 0], 'Drizzle: orgRows() holds beside a policy that lets everything through');
	const forged = await errorOf(drizzles.clerkTransaction(db, member, (tx) => tx.insert(team).values({ orgId: 'org_other', body: 'x' })));
	same((forged?.cause ?? forged)?.code, '42501', 'Drizzle: nobody writes into another organization');
	ok((await errorOf((async () => pgTable('d_bad', { n: integer() }, (t) => [drizzles.ownRows(t.n)]) && drizzles.ownRows(pgTable('d_bad', { n: integer() }).n))())) instanceof TypeError, 'Drizzle: a column that cannot hold an id is an error');
	same(sql("SELECT string_agg(DISTINCT finding, ' ') FROM clerk.audit() WHERE object LIKE '%d\\_%' AND severity = 'error'"), '', 'Drizzle: audit() has nothing against these policies');
}

// Kysely
{
	const db = new Kysely({ dialect: new PostgresDialect({ pool }) });
	const add = (body) => (trx) => trx.insertInto('notes').values({ body }).execute();

	await contract('Kysely', {
		add: (mine, body) => kyselys.clerkTransaction(db, mine, add(body)),
		texts: (mine) => kyselys.clerkTransaction(db, mine, async (trx) => (await trx.selectFrom('notes').select('body').orderBy('id').execute()).map(({ body }) => body)),
		addAndFail: (mine, body) => kyselys.clerkTransaction(db, mine, thenFail(add(body))),
	});
	const isolation = async (trx) => (await kysely`SHOW transaction_isolation`.execute(trx)).rows[0].transaction_isolation;
	same(await kyselys.clerkTransaction(db.transaction().setIsolationLevel('serializable'), ann, isolation), 'serializable', 'Kysely: with its options');
}

// Prisma, by transaction and as an extended client
{
	// the one connection may be long in coming
	const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString: process.env.DATABASE_URL, max: 5 }), transactionOptions: { maxWait: 60000, timeout: 60000 } });
	const as = (mine) => prisma.$extends(prismas.forUser(mine));
	const add = (body) => (tx) => tx.note.create({ data: { body } });
	const texts = async (tx) => (await tx.note.findMany({ orderBy: { id: 'asc' } })).map(({ body }) => body);

	await contract('Prisma', {
		add: (mine, body) => prismas.clerkTransaction(prisma, mine, add(body)),
		texts: (mine) => prismas.clerkTransaction(prisma, mine, texts),
		addAndFail: (mine, body) => prismas.clerkTransaction(prisma, mine, thenFail(add(body))),
	});
	await contract('Prisma, extended', {
		add: (mine, body) => as(mine).note.create({ data: { body } }),
		texts: (mine) => texts(as(mine)),
		addAndFail: (mine, body) => as(mine).$transaction(thenFail(add(body))),
	});
	same(await as(ann).$queryRaw`SELECT clerk.uid() AS who`, [{ who: 'user_ann' }], 'Prisma, extended: raw queries, too');
	ok((await errorOf((async () => as(ann).$transaction([]))())) instanceof TypeError, 'Prisma, extended: $transaction() of an array is an error');
	same((await prismas.clerkTransaction(prisma, ann, (tx) => tx.$queryRaw`SHOW transaction_isolation`, { isolationLevel: 'Serializable' }))[0].transaction_isolation, 'serializable', 'Prisma: with its options');
	same(isTokenRefused(await errorOf(as(ann).$queryRawUnsafe("SELECT 1/0, 'PT401'"))), false, 'Prisma: what only says PT401 is no refused token');
	same(await texts(prisma), [], 'Prisma, extended: the client that was extended is nobody, as before');
	await prisma.$disconnect();
}

// what npm would publish
const { exports, files } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'));
same([files, Object.values(exports).flatMap((entry) => (typeof entry === 'string' ? [entry] : Object.values(entry))).filter((file) => !existsSync(new URL(file, import.meta.url)))],
	[['dist'], []], 'the package exports files that are there');

// types
const tsc = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json'], { cwd: import.meta.dirname, encoding: 'utf8' });
same(tsc.stdout, '', 'the types are those of the libraries');

const described = Object.fromEntries([...readFileSync(new URL('package/src/schema.ts', import.meta.url), 'utf8').matchAll(/^\t\t(\w+): (?:Returns<|\{ Args: (.*?); Returns)/gm)]
	.map(([, name, args = '']) => [name, [...args.matchAll(/(\w+): /g)].map(([, arg]) => arg).sort()]));
const called = JSON.parse(sql(`SELECT json_object_agg(proname, args ORDER BY proname COLLATE "C") FROM (
	SELECT proname, coalesce(array_agg(DISTINCT arg ORDER BY arg) FILTER (WHERE arg IS NOT NULL), '{}') AS args
	FROM pg_proc LEFT JOIN LATERAL unnest(proargnames[:pronargs]) AS arg ON true
	WHERE pronamespace = 'clerk'::regnamespace AND has_function_privilege('anon', pg_proc.oid, 'EXECUTE')
		AND proname NOT IN ('authenticate', 'pre_request', 'pre_config')
	GROUP BY proname) AS f`));
same(described, called, 'the type of the schema has the functions that everybody may call');

ok(![ann, bea, expired, token('ann', 'org_acme')].some((secret) => printed.includes(secret)), 'nobody has printed a token');

await pool.end();
await direct.end();
