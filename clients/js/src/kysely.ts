/*
 * kysely.ts
 *		Kysely: transactions of a user.
 */
import { sql, type Kysely, type Transaction } from 'kysely';
import type { Token } from './index.js';

export { isTokenRefused, type Token } from './index.js';

/*
 * Does the work in a transaction of whoever the token is of; null is for nobody.
 *
 * Returns what the work returns. An error of the work, or a refused token (isTokenRefused), undoes
 * all of it.
 */
export function clerkTransaction<DB, R>(db: Kysely<DB>, token: Token, work: (trx: Transaction<DB>) => Promise<R>): Promise<R> {
	return db.transaction().execute(async (trx) => {
		await sql`SELECT clerk.authenticate(${token ?? null})`.execute(trx);
		return work(trx);
	});
}
