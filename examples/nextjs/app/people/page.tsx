import { auth } from '@clerk/nextjs/server';
import { Avatar, columns, nameOf, type Profile } from '../../lib/profile';
import { supabase } from '../../lib/server';

type Person = Profile & { posts: { count: number }[] };

// Rendered on the server, with the same token and so the same policies.
export default async function People() {
	await auth.protect();
	const db = await supabase();
	const { data: people, error } = await db.from('profiles').select(`${columns}, posts(count)`).order('first_name')
		.overrideTypes<Person[], { merge: false }>();

	return (
		<main>
			<h1>People</h1>
			<p className="lead">You, and the members of the organization that you are in.</p>
			<p role="alert">{error?.message}</p>
			<ul aria-label="People">
				{people?.map((person) => (
					<li key={person.id}>
						<Avatar profile={person} />
						<div>
							<b>{nameOf(person)}</b>
							<p>{person.posts[0].count} {person.posts[0].count === 1 ? 'post' : 'posts'} that you can see</p>
						</div>
					</li>
				))}
			</ul>
		</main>
	);
}
