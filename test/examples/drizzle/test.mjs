// test.mjs: two users of Drizzle, who share one connection behind PgBouncer.

import { inspect } from 'node:util';
import { eq } from 'drizzle-orm';
import { notes, pool, withUser } from './with-user.mjs';
import { errorOf, ok, same, sql, token } from '../tap.mjs';

sql('TRUNCATE notes');
const [ann, bea] = [token('ann'), token('bea')];
const add = (body) => (tx) => tx.insert(notes).values({ body }).returning();
const bodies = async (tx) => (await tx.select().from(notes).orderBy(notes.id)).map((note) => note.body);

const [{ id, userId }] = await withUser(ann, add('hello'));
same(userId, 'user_ann', 'an insert is in the name of whose token it is');
await withUser(bea, add("bea's"));
same(await withUser(ann, bodies), ['hello'], 'ann sees her note');

const turns = Array.from({ length: 40 }, (_, i) => withUser(i % 2 ? ann : bea, bodies));
const seen = await Promise.all(turns);
ok(seen.every((mine, i) => mine.join() === (i % 2 ? 'hello' : "bea's")), 'interleaved, everybody sees their own', JSON.stringify(seen));

const change = (body) => (tx) => tx.update(notes).set({ body }).where(eq(notes.id, id)).returning({ body: notes.body });
const remove = (tx) => tx.delete(notes).where(eq(notes.id, id)).returning({ id: notes.id });
same(await withUser(bea, change('stolen')), [], "bea does not change ann's note");
same(await withUser(ann, change('changed')), [{ body: 'changed' }], 'ann does');
same(await withUser(null, bodies), [], 'nobody sees nothing');

const failed = await errorOf(withUser(ann, async (tx) => {
	await remove(tx);
	throw new Error('changed my mind');
}));
same([failed?.message, await withUser(ann, bodies)], ['changed my mind', ['changed']], 'what fails is undone');
same(await withUser(bea, remove), [], "bea does not delete ann's note");
same(await withUser(ann, remove), [{ id }], 'ann does');

const inside = await withUser(ann, (tx) => tx.transaction(add('in a savepoint')));
same(inside[0].userId, 'user_ann', 'a transaction within is the same user');

const refused = await errorOf(withUser(token('ann_expired'), bodies));
same([refused?.code, refused?.message], ['PT401', 'token-expired: the token has expired'], 'a refused token is an error with the reason');
ok(!inspect(refused, { depth: null }).includes('eyJ'), 'which has no token in it');

await pool.end();
