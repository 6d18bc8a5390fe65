/*
 * kysely.ts
 *		Kysely: transactions of a user.
 */
import { sql, type Kysely, type Transaction, type TransactionBuilder } from 'kysely';
import type { Token } from './index.js';

export { isTokenRefused, type Token } from './index.js';

/**
 * Does the work in a transaction of whoever the token is of; null is for nobody.
 *
 * An error of the work, or a refused token, undoes all of it.
 *
 * @param db the database, or what its `transaction()` returns, as for `db.transaction().setIsolationLevel('serializable')`
 * @param work gets the transaction; queries of `db` itself are not part of it, and nobody's
 * @returns what the work returns, once it is committed
 * @throws what the work throws; what the driver throws, which for a refused token is one that `isTokenRefused()` knows
 */
export function clerkTransaction<DB, R>(
	db: Kysely<DB> | TransactionBuilder<DB>,
	token: Token,
	work: (trx: Transaction<DB>) => Promise<R>,
): Promise<R> {
	const transaction = 'transaction' in db ? db.transaction() : db;

	return transaction.execute(async (trx) => {
		await sql`SELECT clerk.authenticate(${token ?? null})`.execute(trx);
		return work(trx);
	});
}
