import { getAuth } from '@clerk/nextjs/server';
import { createClient } from '@supabase/supabase-js';
import type { NextApiRequest, NextApiResponse } from 'next';

export default async function handler(req: NextApiRequest, res: NextApiResponse) {
	const { userId, getToken } = getAuth(req);

	if (!userId) return res.status(401).json({ error: 'Unauthorized' });
	const token = await getToken({ template: 'supabase' });
	const supabase = createClient(process.env.NEXT_PUBLIC_SUPABASE_URL!, process.env.NEXT_PUBLIC_SUPABASE_ANON_KEY!, {
		global: { headers: { Authorization: `Bearer ${token}` } },
	});
	const { data } = await supabase.from('posts').select('*');

	return res.status(200).json({ userId, posts: data?.map((post) => post.body) });
}
