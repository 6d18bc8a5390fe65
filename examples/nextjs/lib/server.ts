import 'server-only';
import { auth } from '@clerk/nextjs/server';
import { createClient } from '@supabase/supabase-js';

// The database as whoever made this request; for server components, route handlers and server actions.
export async function supabase() {
	const { getToken } = await auth();

	return createClient(process.env.NEXT_PUBLIC_SUPABASE_URL!, process.env.NEXT_PUBLIC_SUPABASE_ANON_KEY!, {
		accessToken: () => getToken(),
	});
}
