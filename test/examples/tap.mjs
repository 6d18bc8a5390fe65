/*
 * tap.mjs
 *		What the tests of the examples share: TAP, the tokens, and SQL as a superuser.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export const { SUPABASE_URL, SUPABASE_ANON_KEY } = process.env;
const { EXAMPLES_TOKENS, EXAMPLES_PSQL } = process.env;
const tokens = JSON.parse(readFileSync(EXAMPLES_TOKENS, 'utf8'));

let n = 0;
export function ok(good, name, detail = '') {
	console.log(`${good ? '' : 'not '}ok ${++n} - ${name}`);
	if (!good) {
		process.exitCode = 1;
		console.log(`# ${detail}`);
	}
}

export function same(got, wanted, name) {
	const [a, b] = [JSON.stringify(got), JSON.stringify(wanted)];

	ok(a === b, name, `got ${a}, wanted ${b}`);
}

// The error of a promise that must fail.
export async function errorOf(promise) {
	try {
		await promise;
	} catch (error) {
		return error;
	}
	return undefined;
}

export const token = (person, organization = '') => tokens[person][organization];

// What Clerk's session object is to a client.
export const sessionOf = (person) => ({ getToken: async () => token(person) });

export function sql(statement) {
	return execFileSync(EXAMPLES_PSQL, ['-XAtqv', 'ON_ERROR_STOP=1', '-c', statement], { encoding: 'utf8' }).trim();
}
