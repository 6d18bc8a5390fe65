/*
 * index.ts
 *		supabase-js, node-postgres, and what every client needs.
 */

export type { ClerkSchema } from './schema.js';

/** A session token (a JWT), or null or undefined for nobody. */
export type Token = string | null | undefined;

/** What has a token: `Clerk.session`, what `useSession()` returns, or `auth()` on the server. */
export type HasToken = { getToken(): Promise<string | null> };

type MaybePromise<T> = T | Promise<T>;

/**
 * Wraps supabase-js' `createClient`, so that each request is made as whoever is signed in then.
 *
 * @param createClient supabase-js' own, which this package does not import
 * @param getSession returns whose token to ask for, null while nobody is signed in; called for each request
 * @returns a function with the arguments and types of `createClient`; an `accessToken` among its options is not used
 * @throws nothing itself: an error of `getSession()` or `getToken()` is one of the request
 */
export function withClerk<Create extends (...args: never[]) => unknown>(
	createClient: Create,
	getSession: () => MaybePromise<HasToken | null | undefined>,
): Create {
	const accessToken = async () => (await (await getSession())?.getToken()) ?? null;
	const create = createClient as unknown as (url: string, key: string, options: object) => unknown;

	return ((url: string, key: string, options?: object) => create(url, key, { ...options, accessToken })) as unknown as Create;
}

/** As much as is needed of node-postgres' PoolClient, or another driver's. */
export type Client = {
	query(text: string, values?: unknown[]): Promise<unknown>;
	release(error?: Error | boolean): void;
	on?(event: 'error', listener: (error: Error) => void): unknown;
	off?(event: 'error', listener: (error: Error) => void): unknown;
};
/** As much as is needed of node-postgres' Pool, or another driver's. */
export type Pool<C extends Client> = { connect(): Promise<C> };

export type AuthenticateOptions = {
	/** The statement that begins the transaction: `BEGIN`, unless you say `BEGIN ISOLATION LEVEL SERIALIZABLE`, say. */
	begin?: string;
};

/**
 * Does the work in a transaction of whoever the token is of; null is for nobody.
 *
 * An error of the work, or a refused token, undoes all of it. A connection that cannot be rolled back is closed
 * rather than given to the next one.
 *
 * @param pool logged in as a role that policies hold for: no superuser, no owner of the tables, no BYPASSRLS
 * @param token is checked when the transaction begins, and at each statement: one that expires is then nobody's
 * @param work gets the client that the transaction is on; it must not keep it, nor end the transaction
 * @returns what the work returns, once it is committed
 * @throws what the work throws; what the driver throws, which for a refused token is one that `isTokenRefused()` knows;
 * and an Error if the transaction could not be committed, since the work went on after a statement that had failed
 */
export async function clerkAuthenticate<C extends Client, R>(
	pool: Pool<C>,
	token: Token,
	work: (client: C) => Promise<R>,
	{ begin = 'BEGIN' }: AuthenticateOptions = {},
): Promise<R> {
	const client = await pool.connect();
	let lost: Error | boolean = false;
	// a connection that breaks is an error of its next query as well; without a listener it would end the process
	const onError = (error: Error) => void (lost = error);

	client.on?.('error', onError);
	try {
		await client.query(begin);
		await client.query('SELECT clerk.authenticate($1)', [token ?? null]);
		const result = await work(client);
		const committed = await client.query('COMMIT');

		// what PostgreSQL answers in place of an error
		if ((committed as { command?: unknown } | undefined)?.command === 'ROLLBACK')
			throw new Error('the transaction was rolled back, since a statement in it had failed');
		return result;
	} catch (error) {
		await client.query('ROLLBACK').catch((reason) => (lost ||= reason instanceof Error ? reason : true));
		throw error;
	} finally {
		client.off?.('error', onError);
		client.release(lost);
	}
}

/**
 * Was the token refused, by clerk_rls (PT401) or by PostgREST before it (PGRST30x)?
 *
 * @param error what supabase-js returned as `error`, or what a database client threw
 * @returns true if it was; the reason is in the message: `session-revoked: …`. False for what a policy refuses (42501)
 */
export function isTokenRefused(error: unknown): boolean {
	for (let i = 0, e = error as Refusal; e && typeof e === 'object' && i < 5; i++, e = e.cause as Refusal) {
		if (typeof e.code === 'string' && /^(PT401|PGRST30\d)$/.test(e.code)) return true;
		// Prisma's
		if (e.code === 'P2010' && typeof e.message === 'string' && e.message.includes('Code: `PT401`')) return true;
	}
	return false;
}

type Refusal = { code?: unknown; message?: unknown; cause?: unknown } | null | undefined;
