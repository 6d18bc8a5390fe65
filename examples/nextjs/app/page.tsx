'use client';

import { Show, useAuth, useOrganization } from '@clerk/nextjs';
import type { SupabaseClient } from '@supabase/supabase-js';
import { useState, type FormEvent } from 'react';
import { Avatar, columns, nameOf, type Profile } from '../lib/profile';
import { useSupabase } from '../lib/use-supabase';

type Post = { id: number; user_id: string; body: string; created_at: string; author: Profile | null };

// No filter by user or organization: the policies are what decides.
const readPosts = (db: SupabaseClient) =>
	db.from('posts').select(`id, user_id, body, created_at, author(${columns})`).order('id', { ascending: false })
		.overrideTypes<Post[], { merge: false }>();

const when = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

export default function Page() {
	return (
		<main>
			<Show when="signed-out">
				<h1>Posts</h1>
				<p className="lead">Sign in to see yours. The database asks for nothing but Clerk’s session token.</p>
			</Show>
			<Show when="signed-in">
				<Posts />
			</Show>
		</main>
	);
}

function Posts() {
	const { userId, has } = useAuth();
	const { organization } = useOrganization();
	const { db, identity, data: posts, error, reload } = useSupabase(readPosts);
	const [problem, setProblem] = useState<{ identity: string | null; text: string } | null>(null);
	const isAdmin = has?.({ role: 'org:admin' });

	async function run(change: PromiseLike<{ error: { message: string } | null }>) {
		const { error } = await change;

		setProblem(error && { identity, text: error.message });
		if (!error) reload();
		return !error;
	}

	async function add(event: FormEvent<HTMLFormElement>) {
		event.preventDefault();
		const form = event.currentTarget;
		const body = new FormData(form).get('body');

		if (db && (await run(db.from('posts').insert({ body })))) form.reset();
	}

	return (
		<>
			<h1>{organization ? `Posts of ${organization.name}` : 'Your posts'}</h1>
			<form key={identity} onSubmit={add}>
				<input name="body" aria-label="Post" placeholder={organization ? `Say something to ${organization.name}` : 'Note something down'} required />
				<button>Post</button>
			</form>
			<p role="alert">{error?.message ?? (problem?.identity === identity && problem?.text)}</p>
			<ul aria-label="Posts" aria-busy={!posts && !error}>
				{posts?.map((post) => (
					<li key={post.id}>
						<Avatar profile={post.author} />
						<div>
							<b>{nameOf(post.author)}</b> <time dateTime={post.created_at}>{when.format(new Date(post.created_at))}</time>
							<p>{post.body}</p>
						</div>
						{(post.user_id === userId || isAdmin) && (
							<button className="quiet" aria-label={`Delete “${post.body}”`} onClick={() => run(db!.from('posts').delete().eq('id', post.id))}>Delete</button>
						)}
					</li>
				))}
				{posts?.length === 0 && <li className="empty">Nothing yet.</li>}
			</ul>
		</>
	);
}
