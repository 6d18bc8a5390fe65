// test.mjs: PostgREST asked directly, without Supabase's gateway and key.

import { clientFor } from './client.mjs';
import { same, sessionOf, sql } from '../tap.mjs';

sql('TRUNCATE notes');
let session = sessionOf('ann');
const client = clientFor(process.env.POSTGREST_URL, () => session);

const added = await client.from('notes').insert({ body: 'hello' }).select('user_id').single();
same([added.status, added.data?.user_id], [201, 'user_ann'], 'an insert is in the name of who is signed in');
same((await client.from('notes').select('body')).data, [{ body: 'hello' }], 'who sees it');
session = sessionOf('bea');
same((await client.from('notes').select('body').eq('body', 'hello')).data, [], 'the next one does not');
session = null;
same((await client.from('notes').select('body')).data, [], 'nor does whoever is signed out, without any key');
session = sessionOf('ann_expired');
same((await client.from('notes').select('body')).status, 401, 'an expired token is refused');
session = sessionOf('ann');
same((await client.from('notes').delete().eq('body', 'hello')).status, 204, 'ann deletes hers');
