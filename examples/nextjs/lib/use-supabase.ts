'use client';

import { useAuth, useSession } from '@clerk/nextjs';
import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import { useCallback, useEffect, useMemo, useState } from 'react';

type Result<T> = { data: T | null; error: { message: string } | null };
type Answer<T> = Result<T> & { identity: string };

/*
 * The database as whoever is signed in, and the rows of a query.
 *
 * Rows belong to who asked for them: a session, with its organization and the role there. When
 * any of these changes, by sign-out, another user or another organization, the rows are gone in
 * the same render, and an answer that was still on its way is thrown away. Nobody sees, not even
 * for a moment, what was somebody else's.
 *
 * query	a function that stays the same between renders: define it outside of the component
 * db		the client, null while nobody is signed in
 * data		the rows, null until they are there, and while nobody is signed in
 * error	what the database said instead, such as "session-revoked: the session was revoked"
 * reload	asks again, after a change; what is shown stays until the answer is there
 */
export function useSupabase<T>(query: (db: SupabaseClient) => PromiseLike<Result<T>>) {
	const { session } = useSession();
	const { orgId, orgRole } = useAuth();
	const identity = session ? [session.id, orgId, orgRole].join(' ') : null;
	const [answer, setAnswer] = useState<Answer<T> | null>(null);
	const [turn, setTurn] = useState(0);

	// a client for each identity; getToken() renews the token, which lives for a minute
	const db = useMemo(
		() => session && createClient(process.env.NEXT_PUBLIC_SUPABASE_URL!, process.env.NEXT_PUBLIC_SUPABASE_ANON_KEY!, {
			accessToken: () => session.getToken(),
		}),
		[identity],
	);

	useEffect(() => () => setAnswer(null), [identity]);
	useEffect(() => {
		let late = false;

		if (db && identity) {
			query(db).then(({ data, error }) => late || setAnswer({ identity, data, error }));
		}
		return () => {
			late = true;
		};
	}, [query, db, identity, turn]);

	const shown = answer?.identity === identity ? answer : null;
	const reload = useCallback(() => setTurn((last) => last + 1), []);

	return { db, identity, data: shown?.data ?? null, error: shown?.error ?? null, reload };
}
