// test.mjs: two users of node-postgres, who share one connection behind PgBouncer.

import { inspect } from 'node:util';
import pg from 'pg';
import { pool, withUser } from './with-user.mjs';
import { errorOf, ok, same, sql, token } from '../tap.mjs';

sql('TRUNCATE notes');
const [ann, bea] = [token('ann'), token('bea')];
const read = 'SELECT body FROM notes ORDER BY id';
const bodies = (client) => client.query(read).then(({ rows }) => rows.map((row) => row.body));
const add = (body) => (client) => client.query('INSERT INTO notes (body) VALUES ($1) RETURNING user_id', [body]);

same((await withUser(ann, add('hello'))).rows, [{ user_id: 'user_ann' }], 'an insert is in the name of whose token it is');
await withUser(bea, add("bea's"));
same(await withUser(ann, bodies), ['hello'], 'ann sees her note');

// many transactions at once, in turns on the one connection
const people = Array.from({ length: 40 }, (_, i) => (i % 2 ? ['user_ann', ann] : ['user_bea', bea]));
const seen = await Promise.all(people.map(([, mine]) => withUser(mine, async (client) => {
	const { rows } = await client.query('SELECT user_id, pg_backend_pid() FROM notes');
	return rows;
})));
ok(seen.every((rows, i) => rows.length === 1 && rows[0].user_id === people[i][0]), 'interleaved, everybody sees their own', JSON.stringify(seen));
same(new Set(seen.flat().map((row) => row.pg_backend_pid)).size, 1, 'over one connection');

same(await bodies(pool), [], 'outside of a transaction nobody is signed in');
await pool.query('SELECT clerk.authenticate($1)', [ann]);
same(await bodies(pool), [], 'nor after an authenticate() without one');
same((await errorOf(add('x')(pool)))?.code, '42501', 'nor writes');

same((await errorOf(withUser(bea, (client) => client.query("UPDATE notes SET user_id = 'user_ann'"))))?.code, '42501', 'nobody gives a note away');
same(await withUser(bea, bodies), ["bea's"], 'and the pool works on');

const expired = await errorOf(withUser(token('ann_expired'), bodies));
same([expired?.code, expired?.message], ['PT401', 'token-expired: the token has expired'], 'a refused token is an error with the reason');
const tampered = await errorOf(withUser(`${ann.slice(0, -6)}AAAAAA`, bodies));
ok(/^token-invalid-signature: /.test(tampered?.message), 'so is a forged one', String(tampered));
ok(!inspect([expired, tampered], { depth: null }).includes('eyJ'), 'no error has the token in it');

// what goes wrong in between
const swallowed = await errorOf(withUser(ann, async (client) => {
	await add('lost')(client);
	await client.query('SELECT 1/0').catch(() => {});
}));
ok(/rolled back/.test(swallowed?.message), 'work that goes on after a statement that has failed is not reported as done', inspect(swallowed));
const broken = await errorOf(withUser(ann, async (client) => {
	const { rows: [{ pid }] } = await client.query('SELECT pg_backend_pid() AS pid');

	sql(`SELECT pg_terminate_backend(${pid})`);
	return bodies(client);
}));
ok(broken instanceof Error, 'a connection that breaks is an error of its query', inspect(broken));
same(await withUser(ann, bodies), ['hello'], 'and the next one takes another');

// what somebody has left on the connection
await pool.query("SELECT set_config('clerk.token', $1, false)", [bea]);
same(await bodies(pool), ["bea's"], 'a token that is set for the session is there for the next client');
same(await withUser(ann, bodies), ['hello'], 'but not in a transaction that says who it is');
same(await withUser(null, bodies), [], 'or that it is nobody');
await pool.query('RESET clerk.token');

// without PgBouncer, a named statement keeps its plan for whoever comes next
const direct = new pg.Client({ host: process.env.PGHOST, user: 'app', database: 'postgres' });
async function named(mine) {
	await direct.query('BEGIN');
	await direct.query('SELECT clerk.authenticate($1)', [mine]);
	const { rows } = await direct.query({ name: 'read', text: read });
	await direct.query('COMMIT');
	return rows;
}
await direct.connect();
for (let i = 0; i < 6; i++) await named(ann);
same(await named(bea), [{ body: "bea's" }], 'a prepared statement is of the user who executes it');
await direct.end();

await pool.end();
