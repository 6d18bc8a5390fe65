// test.mjs: two users of supabase-js, and a token that is refused.

import { clientFor, isTokenRefused } from './client.mjs';
import { SUPABASE_ANON_KEY, SUPABASE_URL, ok, same, sessionOf, sql } from '../tap.mjs';

sql('TRUNCATE notes');
const client = (session) => clientFor(SUPABASE_URL, SUPABASE_ANON_KEY, () => session);
const ann = client(sessionOf('ann'));
const bea = client(sessionOf('bea'));
const bodies = async (db) => (await db.from('notes').select('body').order('id')).data?.map((row) => row.body);

const added = await ann.from('notes').insert({ body: 'hello' }).select().single();
same([added.status, added.data?.user_id], [201, 'user_ann'], 'an insert is in the name of who is signed in');
await bea.from('notes').insert({ body: "bea's" });
same(await bodies(ann), ['hello'], 'ann sees her note');
same(await bodies(bea), ["bea's"], 'bea sees hers');

const { id } = added.data;
const changed = await ann.from('notes').update({ body: 'changed' }).eq('id', id).select('body');
same(changed.data, [{ body: 'changed' }], 'ann changes her note');
same((await bea.from('notes').update({ body: 'stolen' }).eq('id', id).select()).data, [], 'bea does not');
same((await bea.from('notes').delete().eq('id', id).select()).data, [], 'nor delete it');
same((await ann.from('notes').delete().eq('id', id).select('id')).data, [{ id }], 'ann deletes it');

const forged = await bea.from('notes').insert({ body: 'x', user_id: 'user_ann' });
same([forged.status, forged.error?.code], [401, '42501'], "a note in another's name is refused by the policy");
ok(!isTokenRefused(forged.error), 'which is no refused token');

let session = sessionOf('bea');
const changing = clientFor(SUPABASE_URL, SUPABASE_ANON_KEY, () => session);
same(await bodies(changing), ["bea's"], 'a client that is signed in');
session = null;
same(await bodies(changing), [], 'sees nothing when it is signed out');
const withoutKey = clientFor(SUPABASE_URL, 'publishable', () => null);
same((await withoutKey.from('notes').select()).status, 401, 'an anon key must be a token that PostgREST knows');
session = sessionOf('ann_expired');
const expired = await changing.from('notes').select();
ok(expired.status === 401 && isTokenRefused(expired.error), 'an expired token is refused', JSON.stringify(expired));

sql("SELECT clerk.revoke_session('sess_bea')");
const revoked = await bea.from('notes').select();
same([revoked.status, revoked.error?.code], [401, 'PT401'], 'a revoked session is refused');
ok(/^session-revoked: /.test(revoked.error?.message), 'with the reason', JSON.stringify(revoked));
ok(isTokenRefused(revoked.error), 'which is a refused token');
same(revoked.data, null, 'and no rows');
sql("SELECT clerk.unrevoke('sess_bea')");
same(await bodies(bea), ["bea's"], 'when that is taken back, it counts again');
