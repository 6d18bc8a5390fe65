/*
 * drizzle.ts
 *		Drizzle: transactions of a user, and policies in the schema.
 */
import { sql, type SQL } from 'drizzle-orm';
import { pgPolicy, type AnyPgColumn, type PgPolicy } from 'drizzle-orm/pg-core';
import type { Token } from './index.js';

export { isTokenRefused, type Token } from './index.js';

// For .default(): the Clerk ids of the signed-in user and of the active organization.
export const uid: SQL = sql`clerk.uid()`;
export const orgId: SQL = sql`clerk.org_id()`;

type Executor = { execute(query: SQL): PromiseLike<unknown> };
type Database<T extends Executor> = { transaction<R>(work: (tx: T) => Promise<R>): Promise<R> };

/*
 * Does the work in a transaction of whoever the token is of; null is for nobody.
 *
 * Returns what the work returns. Drizzle's own error has the parameters in its text, and so the
 * token: what is thrown for a refused token is the driver's error, which has not.
 */
export function clerkTransaction<T extends Executor, R>(db: Database<T>, token: Token, work: (tx: T) => Promise<R>): Promise<R> {
	return db.transaction(async (tx) => {
		try {
			await tx.execute(sql`SELECT clerk.authenticate(${token ?? null})`);
		} catch (error) {
			throw (error as Error).cause ?? error;
		}
		return work(tx);
	});
}

export type PolicyOptions = {
	// the role of requests; authenticated unless you say otherwise
	role?: string;
	// of the policy; the function's own unless you say otherwise
	name?: string;
};

// What to compare a column with, by Drizzle's name of its type: Clerk ids are text, local ones what the mapping gives.
const users: { [type: string]: SQL } = {
	PgText: uid,
	PgVarchar: uid,
	PgUUID: sql`clerk.mapped_id()`,
	PgBigInt53: sql`clerk.mapped_bigint()`,
	PgBigInt64: sql`clerk.mapped_bigint()`,
};
const organizations: { [type: string]: SQL } = {
	PgText: orgId,
	PgVarchar: orgId,
	PgUUID: sql`clerk.mapped_org_id()`,
	PgBigInt53: sql`clerk.mapped_org_bigint()`,
	PgBigInt64: sql`clerk.mapped_org_bigint()`,
};

function isCaller(column: AnyPgColumn, callers: { [type: string]: SQL }): SQL {
	const caller = callers[column.columnType];

	if (!caller) throw new TypeError(`a column of type ${column.columnType} holds no id that clerk_rls knows`);
	return sql`${column} = ${caller}`;
}

/*
 * Users see and change their own rows: a policy for the third argument of pgTable().
 *
 * owner	the column with the user's id: text for Clerk's, uuid or bigint for the local one
 *
 * Throws a TypeError for a column of another type.
 */
export function ownRows(owner: AnyPgColumn, { role = 'authenticated', name = 'own_rows' }: PolicyOptions = {}): PgPolicy {
	const mine = isCaller(owner, users);

	return pgPolicy(name, { as: 'permissive', for: 'all', to: role, using: mine, withCheck: mine });
}

/*
 * Members of the active organization see and change its rows, and no other policy lets a row of
 * another organization through.
 *
 * org			the column with the organization's id: text for Clerk's, uuid or bigint for the local one
 * adminRole	if it is set, members see and add rows, and only this role changes and deletes them
 *
 * Returns the policies, to be spread. Throws a TypeError for a column of another type.
 */
export function orgRows(org: AnyPgColumn, { role = 'authenticated', name = 'org_rows', adminRole }: PolicyOptions & { adminRole?: string } = {}): PgPolicy[] {
	const ours = isCaller(org, organizations);
	const tenant = pgPolicy(`${name}_only`, { as: 'restrictive', for: 'all', to: role, using: ours, withCheck: ours });

	if (adminRole === undefined) return [tenant, pgPolicy(name, { as: 'permissive', for: 'all', to: role, using: ours, withCheck: ours })];

	const admin = sql`${ours} AND clerk.has_role(${sql.raw(`'${adminRole.replaceAll("'", "''")}'`)})`;
	return [
		tenant,
		pgPolicy(`${name}_read`, { as: 'permissive', for: 'select', to: role, using: ours }),
		pgPolicy(`${name}_add`, { as: 'permissive', for: 'insert', to: role, withCheck: ours }),
		pgPolicy(`${name}_change`, { as: 'permissive', for: 'update', to: role, using: admin, withCheck: admin }),
		pgPolicy(`${name}_delete`, { as: 'permissive', for: 'delete', to: role, using: admin }),
	];
}
