/*
 * drizzle.ts
 *		Drizzle: transactions of a user, and policies in the schema.
 */
import { sql, type SQL } from 'drizzle-orm';
import { pgPolicy, type AnyPgColumn, type PgPolicy } from 'drizzle-orm/pg-core';
import type { Token } from './index.js';

export { isTokenRefused, type Token } from './index.js';

/** For `.default()` of a text column: the Clerk id of the signed-in user. */
export const uid: SQL = sql`clerk.uid()`;
/** For `.default()` of a text column: the Clerk id of the active organization. */
export const orgId: SQL = sql`clerk.org_id()`;

type Executor = { execute(query: SQL): PromiseLike<unknown> };
type Database<T extends Executor, Config> = { transaction<R>(work: (tx: T) => Promise<R>, config?: Config): Promise<R> };

/**
 * Does the work in a transaction of whoever the token is of; null is for nobody.
 *
 * An error of the work, or a refused token, undoes all of it.
 *
 * @param db a database of node-postgres, postgres.js or another driver that has transactions
 * @param work gets the transaction; queries of `db` itself are not part of it, and nobody's
 * @param config that of `db.transaction()`, such as `{ isolationLevel: 'serializable' }`
 * @returns what the work returns, once it is committed; or, if it went on after a statement that had failed, rolled back,
 * of which Drizzle says nothing
 * @throws what the work throws. Drizzle's own error has the parameters in its text, and so the token: what is thrown
 * for a refused token is the driver's error, which has not, and which `isTokenRefused()` knows
 */
export function clerkTransaction<T extends Executor, R, Config>(
	db: Database<T, Config>,
	token: Token,
	work: (tx: T) => Promise<R>,
	config?: Config,
): Promise<R> {
	return db.transaction(async (tx) => {
		try {
			await tx.execute(sql`SELECT clerk.authenticate(${token ?? null})`);
		} catch (error) {
			throw (error as Error).cause ?? error;
		}
		return work(tx);
	}, config);
}

export type PolicyOptions = {
	/** The role of requests; authenticated unless you say otherwise. */
	role?: string;
	/** Of the policy; `own_rows` or `org_rows` unless you say otherwise. */
	name?: string;
};

// What to compare a column with, by Drizzle's name of its type: Clerk ids are text, local ones what the mapping gives.
// In a SELECT, so that the hosted file, too, is asked once a statement and not once a row.
const users: { [type: string]: SQL } = {
	PgText: sql`(SELECT clerk.uid())`,
	PgVarchar: sql`(SELECT clerk.uid())`,
	PgUUID: sql`(SELECT clerk.mapped_id())`,
	PgBigInt53: sql`(SELECT clerk.mapped_bigint())`,
	PgBigInt64: sql`(SELECT clerk.mapped_bigint())`,
};
const organizations: { [type: string]: SQL } = {
	PgText: sql`(SELECT clerk.org_id())`,
	PgVarchar: sql`(SELECT clerk.org_id())`,
	PgUUID: sql`(SELECT clerk.mapped_org_id())`,
	PgBigInt53: sql`(SELECT clerk.mapped_org_bigint())`,
	PgBigInt64: sql`(SELECT clerk.mapped_org_bigint())`,
};

function isCaller(column: AnyPgColumn, callers: { [type: string]: SQL }): SQL {
	const caller = callers[column.columnType];

	if (!caller) throw new TypeError(`a column of type ${column.columnType} holds no id that clerk_rls knows`);
	return sql`${column} = ${caller}`;
}

/**
 * Users see and change their own rows: a policy for the third argument of `pgTable()`.
 *
 * @param owner the column with the user's id: text or varchar for Clerk's, uuid or bigint for the local one
 * @throws {TypeError} for a column of another type
 */
export function ownRows(owner: AnyPgColumn, { role = 'authenticated', name = 'own_rows' }: PolicyOptions = {}): PgPolicy {
	const mine = isCaller(owner, users);

	return pgPolicy(name, { as: 'permissive', for: 'all', to: role, using: mine, withCheck: mine });
}

export type OrgPolicyOptions = PolicyOptions & {
	/** If it is set, members see and add rows, and only this role (`admin`, say) changes and deletes them. */
	adminRole?: string;
};

/**
 * Members of the active organization see and change its rows, and no other policy lets a row of another
 * organization through.
 *
 * @param org the column with the organization's id: text or varchar for Clerk's, uuid or bigint for the local one
 * @returns the policies, for the third argument of `pgTable()`, to be spread beside others
 * @throws {TypeError} for a column of another type
 */
export function orgRows(org: AnyPgColumn, { role = 'authenticated', name = 'org_rows', adminRole }: OrgPolicyOptions = {}): PgPolicy[] {
	const ours = isCaller(org, organizations);
	const tenant = pgPolicy(`${name}_only`, { as: 'restrictive', for: 'all', to: role, using: ours, withCheck: ours });

	if (adminRole === undefined) return [tenant, pgPolicy(name, { as: 'permissive', for: 'all', to: role, using: ours, withCheck: ours })];

	const admin = sql`${ours} AND (SELECT clerk.has_role(${sql.raw(`'${adminRole.replaceAll("'", "''")}'`)}))`;
	return [
		tenant,
		pgPolicy(`${name}_read`, { as: 'permissive', for: 'select', to: role, using: ours }),
		pgPolicy(`${name}_add`, { as: 'permissive', for: 'insert', to: role, withCheck: ours }),
		pgPolicy(`${name}_change`, { as: 'permissive', for: 'update', to: role, using: admin, withCheck: admin }),
		pgPolicy(`${name}_delete`, { as: 'permissive', for: 'delete', to: role, using: admin }),
	];
}
