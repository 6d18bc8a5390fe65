import { createClient } from '@supabase/supabase-js';

// getSession returns Clerk's session: Clerk.session, or what useSession() has; null without one.
export function clientFor(url, anonKey, getSession) {
	return createClient(url, anonKey, {
		accessToken: async () => (await getSession()?.getToken()) ?? null,
	});
}

// Was the token refused, by this extension (PT401) or by PostgREST before it (PGRST30x)?  The
// status alone does not say so: PostgREST answers 401, too, when a policy refuses a row.
export function isTokenRefused(error) {
	return error?.code === 'PT401' || /^PGRST30/.test(error?.code);
}
