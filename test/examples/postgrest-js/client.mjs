import { PostgrestClient } from '@supabase/postgrest-js';

// getSession returns Clerk's session: Clerk.session, or what useSession() has; null without one.
export function clientFor(url, getSession) {
	return new PostgrestClient(url, {
		fetch: async (input, init) => {
			const token = await getSession()?.getToken();
			const headers = new Headers(init.headers);

			if (token) headers.set('Authorization', `Bearer ${token}`);
			return fetch(input, { ...init, headers });
		},
	});
}
