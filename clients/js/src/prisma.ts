/*
 * prisma.ts
 *		Prisma: a client that is a user, and transactions of a user.
 */
import type { Token } from './index.js';

export { isTokenRefused, type Token } from './index.js';

type Raw = { $queryRaw(query: TemplateStringsArray, ...values: unknown[]): PromiseLike<unknown> };
type Transactions = { $transaction(queries: unknown[]): Promise<unknown[]> };

/** The client that a Prisma client hands to the function of an interactive transaction. */
export type TransactionOf<P> = P extends { $transaction(work: (tx: infer Tx) => never, options?: never): unknown } ? Tx : never;

const authenticate = (db: Raw, token: Token) => db.$queryRaw`SELECT clerk.authenticate(${token ?? null})`;

/**
 * Does the work in a transaction of whoever the token is of; null is for nobody.
 *
 * An error of the work, or a refused token, undoes all of it.
 *
 * @param prisma a client that is not extended by `forUser()`
 * @param work gets the client of the transaction; queries of `prisma` itself are not part of it, and nobody's
 * @param options those of `$transaction()`, such as `{ isolationLevel: 'Serializable', timeout: 10000 }`, in milliseconds
 * @returns what the work returns, once it is committed; or, if it went on after a statement that had failed, rolled back,
 * of which Prisma says nothing
 * @throws what the work throws; what Prisma throws, which for a refused token is one that `isTokenRefused()` knows
 */
export function clerkTransaction<P, R>(prisma: P, token: Token, work: (tx: TransactionOf<P>) => Promise<R>, options?: object): Promise<R> {
	const { $transaction } = prisma as { $transaction(work: (tx: TransactionOf<P>) => Promise<R>, options?: object): Promise<R> };

	return $transaction.call(prisma, async (tx) => {
		await authenticate(tx as Raw, token);
		return work(tx);
	}, options);
}

/**
 * A client extension: `prisma.$extends(forUser(token))` is a client whose every query is of that user, each in a
 * transaction of its own. It shares the connections, so make one for each request, with the request's token.
 *
 * Its `$transaction()` takes a function, whose queries are one transaction of the user. The form with an array
 * throws a TypeError, since each of these queries would be a transaction of its own.
 *
 * @param token null is for nobody
 */
export function forUser(token: Token) {
	return <C>(prisma: C): C => {
		const base = prisma as C & Raw & Transactions & { $extends(extension: object): C };

		return base.$extends({
			name: 'clerk_rls',
			client: {
				$transaction(work: unknown, options?: object) {
					if (typeof work !== 'function') throw new TypeError('a client of forUser() takes a function: $transaction(async (tx) => …)');
					return clerkTransaction(base, token, work as () => Promise<unknown>, options);
				},
			},
			query: {
				async $allOperations({ args, query }: { args: unknown; query(args: unknown): Promise<unknown> }) {
					const [, result] = await base.$transaction([authenticate(base, token), query(args)]);

					return result;
				},
			},
		});
	};
}
