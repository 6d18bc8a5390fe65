import pg from 'pg';

export const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 5 });
// a connection that breaks would end the process, if nobody listened
pool.on('error', (error) => console.error(error.message));

// Does the work in a transaction of whoever the token is of; null is for nobody.
export async function withUser(token, work) {
	const client = await pool.connect();
	let lost;
	const onError = (error) => (lost = error);

	client.on('error', onError);
	try {
		await client.query('BEGIN');
		await client.query('SELECT clerk.authenticate($1)', [token]);
		const result = await work(client);
		const { command } = await client.query('COMMIT');
		// PostgreSQL's answer where a statement had failed, and the work went on
		if (command === 'ROLLBACK') throw new Error('the transaction was rolled back');
		return result;
	} catch (error) {
		await client.query('ROLLBACK').catch((reason) => (lost = reason));
		throw error;
	} finally {
		client.off('error', onError);
		client.release(lost);
	}
}
