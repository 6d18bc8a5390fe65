// As it was written before there was accessToken: a token of the template, in global.headers.
import { useAuth } from '@clerk/nextjs';
import { createClient } from '@supabase/supabase-js';
import { useEffect, useState } from 'react';

export default function Seed() {
	const { getToken, isLoaded } = useAuth();
	const [state, setState] = useState<{ posts: { id: number; body: string }[]; problem: string } | null>(null);

	useEffect(() => {
		async function load() {
			const token = await getToken({ template: 'supabase' });
			const supabase = createClient(process.env.NEXT_PUBLIC_SUPABASE_URL!, process.env.NEXT_PUBLIC_SUPABASE_ANON_KEY!, {
				global: { headers: { Authorization: `Bearer ${token}` } },
			});
			const { data, error } = await supabase.from('posts').select('*');

			setState({ posts: data ?? [], problem: error ? `${error.code} ${error.message}` : '' });
		}
		if (isLoaded) load();
	}, [isLoaded, getToken]);

	return (
		<main aria-busy={!state}>
			<p role="alert">{state?.problem}</p>
			<ul>{state?.posts.map((post) => <li key={post.id}>{post.body}</li>)}</ul>
		</main>
	);
}
