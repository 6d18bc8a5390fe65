import pg from 'pg';

export const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 5 });

// Does the work in a transaction of whoever the token is of; null is for nobody.
export async function withUser(token, work) {
	const client = await pool.connect();
	let lost;

	try {
		await client.query('BEGIN');
		await client.query('SELECT clerk.authenticate($1)', [token]);
		const result = await work(client);
		await client.query('COMMIT');
		return result;
	} catch (error) {
		await client.query('ROLLBACK').catch((reason) => (lost = reason));
		throw error;
	} finally {
		client.release(lost);
	}
}
