/*
 * jose.mjs
 *		Keys and tokens of another hand than ours: made by npm's jose, good ones and damaged ones.
 *
 * usage: node jose.mjs PACKAGES SEED		(PACKAGES: where jose is installed)
 *
 * Prints lines of tab-separated fields:
 *		key		a JWK		SPKI as PEM, by jose.exportSPKI()
 *		good	a JWS		its claims as JSON
 *		other	a JWS		true or false: does jose take it for signed by one of the keys?
 *
 * Signatures differ from run to run; what is damaged, and how, does not.
 */
import { createRequire } from 'node:module';
import { resolve } from 'node:path';

const [packages, seed] = [process.argv[2], Number(process.argv[3])];
const jose = createRequire(resolve(packages, 'x.js'))('jose');
const issuer = 'https://clerk.example.com';
const now = Math.floor(Date.now() / 1000);
const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];
const modulusLength = { RS256: 2048, RS384: 3072, RS512: 4096, PS256: 2048, PS384: 2048, PS512: 3072 };
const subjects = ['user_a', 'user_Ünïcode', 'user_😀', 'u'.repeat(200)];

let state = seed >>> 0;
const below = (n) => {
	state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
	return Math.floor((state / 4294967296) * n);
};

/* One character of the token is another one: of its header, payload or signature. */
function damage(token) {
	const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ ';
	const place = below(token.length);
	return token.slice(0, place) + letters[below(letters.length)] + token.slice(place + 1);
}

const claims = (sub) => ({ iss: issuer, sub, sid: 'sess_a', iat: now, nbf: now - 10, exp: now + 36000, name: `name of ${sub}` });
const sign = (alg, kid, key, body) => new jose.SignJWT(body).setProtectedHeader({ alg, kid, typ: 'JWT' }).sign(key);

const pairs = new Map();
for (const alg of algorithms) {
	const pair = await jose.generateKeyPair(alg, { modulusLength: modulusLength[alg], extractable: true });
	const jwk = { ...(await jose.exportJWK(pair.publicKey)), kid: `kid_${alg}`, alg, use: 'sig' };
	pairs.set(jwk.kid, pair);
	console.log(['key', JSON.stringify(jwk), JSON.stringify(await jose.exportSPKI(pair.publicKey))].join('\t'));
}

async function isSigned(token) {
	try {
		await jose.jwtVerify(token, (header) => pairs.get(header.kid).publicKey, { issuer });
		return true;
	} catch {
		return false;
	}
}

const stranger = await jose.generateKeyPair('RS256');
for (const alg of algorithms) {
	const { privateKey } = pairs.get(`kid_${alg}`);
	const others = [await sign('RS256', `kid_${alg}`, stranger.privateKey, claims('user_stranger'))];

	for (const sub of subjects) {
		const token = await sign(alg, `kid_${alg}`, privateKey, claims(sub));
		console.log(['good', token, JSON.stringify(claims(sub))].join('\t'));
		for (let i = 0; i < 10; i++) others.push(damage(token));
	}
	/* the parts of two tokens that are good */
	others.push(await sign(alg, `kid_${algorithms[below(algorithms.length)]}x`, privateKey, claims('user_a')));
	const [one, two] = [await sign(alg, `kid_${alg}`, privateKey, claims('user_a')), await sign(alg, `kid_${alg}`, privateKey, claims('user_b'))];
	others.push([one.split('.')[0], two.split('.')[1], one.split('.')[2]].join('.'));
	for (const token of others) console.log(['other', token, await isSigned(token)].join('\t'));
}
