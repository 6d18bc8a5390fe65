// types.ts: what the types of @clerk-rls/client promise, checked by tsc against the real libraries.

import { clerkAuthenticate, withClerk, type ClerkSchema } from '@clerk-rls/client';
import { clerkTransaction, ownRows, orgRows, uid } from '@clerk-rls/client/drizzle';
import { clerkTransaction as kyselyTransaction } from '@clerk-rls/client/kysely';
import { clerkTransaction as prismaTransaction, forUser } from '@clerk-rls/client/prisma';
import { createClient } from '@supabase/supabase-js';
import { drizzle } from 'drizzle-orm/node-postgres';
import { bigint, pgTable, text } from 'drizzle-orm/pg-core';
import { Kysely, PostgresDialect, type Generated } from 'kysely';
import pg from 'pg';
import { PrismaClient } from './generated/index.js';

type Table = { Row: { id: number; body: string }; Insert: { body: string }; Update: { body?: string }; Relationships: [] };
type Database = {
	public: { Tables: { notes: Table }; Views: Record<never, never>; Functions: Record<never, never> };
	clerk: ClerkSchema;
};

export async function check(token: string) {
	const supabase = withClerk(createClient<Database>, () => ({ getToken: async () => token }))('http://localhost', 'key', { db: { schema: 'public' } });
	const { data } = await supabase.from('notes').select('body');
	const bodies: string[] | undefined = data?.map((note) => note.body);
	const who: string | null | undefined = (await supabase.schema('clerk').rpc('uid')).data;
	const may: boolean | null = (await supabase.schema('clerk').rpc('has_role', { role: 'admin' })).data;
	// @ts-expect-error there is no such function
	await supabase.schema('clerk').rpc('nothing');
	// @ts-expect-error nor such a table
	await supabase.from('nothing').select();

	const pool = new pg.Pool();
	const rows: pg.QueryResult = await clerkAuthenticate(pool, token, (client: pg.PoolClient) => client.query('SELECT 1'));

	const notes = pgTable('notes', { userId: text('user_id').notNull().default(uid), orgId: text('org_id') }, (t) => [ownRows(t.userId), ...orgRows(t.orgId, { adminRole: 'admin' })]);
	const found: { userId: string; orgId: string | null }[] = await clerkTransaction(drizzle(pool), token, (tx) => tx.select().from(notes));
	await clerkTransaction(drizzle(pool), token, (tx) => tx.select().from(notes), { isolationLevel: 'serializable' });
	// @ts-expect-error there is no such level
	await clerkTransaction(drizzle(pool), token, (tx) => tx.select().from(notes), { isolationLevel: 'high' });
	pgTable('tens', { id: bigint({ mode: 'number' }) }, (t) => [ownRows(t.id)]);

	const kysely = new Kysely<{ notes: { id: Generated<number>; body: string } }>({ dialect: new PostgresDialect({ pool }) });
	const one: { body: string } | undefined = await kyselyTransaction(kysely, null, (trx) => trx.selectFrom('notes').select('body').executeTakeFirst());

	await kyselyTransaction(kysely.transaction().setIsolationLevel('serializable'), token, (trx) => trx.selectFrom('notes').selectAll().execute());

	const prisma = new PrismaClient({ adapter: null as never });
	const mine: { body: string }[] = await prisma.$extends(forUser(token)).note.findMany();
	const counted: number = await prismaTransaction(prisma, token, (tx) => tx.note.count());

	// @ts-expect-error there is no such model
	await prismaTransaction(prisma, token, (tx) => tx.nothing.count());

	return { bodies, who, may, rows, found, one, mine, counted };
}
