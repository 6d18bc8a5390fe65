import { sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { bigint, pgTable, text } from 'drizzle-orm/pg-core';
import pg from 'pg';

export const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 5 });
const db = drizzle(pool);

export const notes = pgTable('notes', {
	id: bigint({ mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
	userId: text('user_id').notNull().default(sql`clerk.uid()`),
	body: text().notNull(),
});

// Drizzle's own error has the statement's parameters in its text, and so the token.
async function authenticate(tx, token) {
	try {
		await tx.execute(sql`SELECT clerk.authenticate(${token})`);
	} catch (error) {
		throw error.cause ?? error;
	}
}

// Does the work in a transaction of whoever the token is of; null is for nobody.
export function withUser(token, work) {
	return db.transaction(async (tx) => {
		await authenticate(tx, token);
		return work(tx);
	});
}
