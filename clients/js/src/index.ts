/*
 * index.ts
 *		supabase-js, node-postgres, and what every client needs.
 */

export type { ClerkSchema } from './schema.js';

// A session token (a JWT), or null for nobody.
export type Token = string | null | undefined;

// What has a token: Clerk.session, what useSession() returns, or auth() on the server.
export type HasToken = { getToken(): Promise<string | null> };

type MaybePromise<T> = T | Promise<T>;

/*
 * Wraps supabase-js' createClient, so that each request is made as whoever is signed in then.
 *
 * createClient	supabase-js' own, which this does not import
 * getSession	returns whose token to ask for, null while nobody is signed in; called for each request
 *
 * Returns a function with the same arguments and types. Errors of getSession() and getToken() are
 * those of the request.
 */
export function withClerk<Create extends (...args: never[]) => unknown>(
	createClient: Create,
	getSession: () => MaybePromise<HasToken | null | undefined>,
): Create {
	const accessToken = async () => (await (await getSession())?.getToken()) ?? null;
	const create = createClient as unknown as (url: string, key: string, options: object) => unknown;

	return ((url: string, key: string, options?: object) => create(url, key, { ...options, accessToken })) as unknown as Create;
}

// As much as is needed of node-postgres' Pool and PoolClient, or another driver's.
export type Client = { query(text: string, values?: unknown[]): Promise<unknown>; release(error?: Error | boolean): void };
export type Pool<C extends Client> = { connect(): Promise<C> };

/*
 * Does the work in a transaction of whoever the token is of; null is for nobody.
 *
 * pool		logged in as a role that policies hold for: no superuser, no owner, no BYPASSRLS
 * work		gets the client that the transaction is on, and must not keep it
 *
 * Returns what the work returns. An error of the work, or a refused token (isTokenRefused), undoes all of
 * it. A connection that cannot be rolled back is closed rather than given to the next one.
 */
export async function clerkAuthenticate<C extends Client, R>(pool: Pool<C>, token: Token, work: (client: C) => Promise<R>): Promise<R> {
	const client = await pool.connect();
	let lost: Error | boolean = false;

	try {
		await client.query('BEGIN');
		await client.query('SELECT clerk.authenticate($1)', [token ?? null]);
		const result = await work(client);
		await client.query('COMMIT');
		return result;
	} catch (error) {
		await client.query('ROLLBACK').catch(() => (lost = true));
		throw error;
	} finally {
		client.release(lost);
	}
}

/*
 * Was the token refused, by clerk_rls (PT401) or by PostgREST before it (PGRST30x)?
 *
 * error	what supabase-js returned as error, or what a database client threw
 *
 * The reason is in the message: "session-revoked: …". False for what a policy refuses (42501).
 */
export function isTokenRefused(error: unknown): boolean {
	for (let i = 0, e = error as Refusal; e && typeof e === 'object' && i < 5; i++, e = e.cause as Refusal) {
		if (typeof e.code === 'string' && /^(PT401|PGRST30\d)$/.test(e.code)) return true;
		if (e.code === 'P2010' && typeof e.message === 'string' && e.message.includes('PT401')) return true;
	}
	return false;
}

type Refusal = { code?: unknown; message?: unknown; cause?: unknown } | null | undefined;
