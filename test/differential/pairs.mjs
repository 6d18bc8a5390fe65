/*
 * pairs.mjs
 *		Random tokens and random questions about them, with the answers of Clerk's own packages.
 *
 * usage: node pairs.mjs PACKAGES TOKENS SEED [RS256]		(PACKAGES: where @clerk/backend is installed; the tokens are
 *		signed by EdDSA unless told otherwise)
 *
 * Prints lines of tab-separated fields:
 *		key			a JWK		the key that signs the tokens
 *		token		a JWS		claims as JSON text
 *		has			params		true or false		"listed" for a listed difference
 *		reader		a name		its value as JSON	"listed" for a listed difference
 * A question is about the token before it.
 *
 * The answers are those of the auth object that @clerk/backend makes of the claims, as its
 * middleware does: a pending session is signed out, and where making it throws, nobody is
 * permitted anything.  The listed differences are where we do not take a malformed claim for
 * what JavaScript makes of it: an organization's id, or a role, which is no string counts as
 * absent, and without an organization's id there is no slug, role or permission to read.
 */
import { createRequire } from 'node:module';
import { generateKeyPairSync, sign } from 'node:crypto';
import { resolve } from 'node:path';

const [packages, nTokens, seed] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const require = createRequire(resolve(packages, 'x.js'));
const { signedInAuthObject } = require('@clerk/backend/internal');

/* mulberry32, so that a seed says everything */
let state = seed >>> 0;
function random() {
	state = (state + 0x6d2b79f5) >>> 0;
	let t = Math.imul(state ^ (state >>> 15), state | 1);
	t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
	return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}
const below = (n) => Math.floor(random() * n);
const pick = (list) => list[below(list.length)];
const chance = (p) => random() < p;
const times = (n, make) => Array.from({ length: n }, make);

/* Text that stands in the JSON as it is. */
const raw = (text) => `@@${text}@@`;
const toJson = (value) => JSON.stringify(value).replace(/"@@(.*?)@@"/g, '$1');

const plainSlugs = ['a', 'b', 'billing', 'posts', 'teams', 'magic_links', 'support-chat'];
const oddSlugs = ['', ' ', 'org:x', 'a:b', 'é', '😀', 'a b', 'A', 'o', 'u', 'org', 'user', '\u00a0x', 'x\u3000', ':'];
const slug = () => (chance(0.85) ? pick(plainSlugs) : pick(oddSlugs));
const spaces = ['', '', '', '', ' ', '\t', '\n', '\u00a0', '\ufeff', '\u2003', '\u2028', ' \u3000 '];
const spaced = (text) => pick(spaces) + text + pick(spaces);
const nonStrings = [null, 0, 1, -0, true, false, [], {}, ['o:a'], { id: 'x' }, raw('1e400'), raw('0.0'), raw('1e-999')];

function scopedList() {
	if (chance(0.06)) return pick(['', ',', 'a', 'o:a,', 'o:a,b', ...nonStrings]);
	return times(1 + below(6), () => {
		const scope = chance(0.9) ? pick(['o', 'o', 'o', 'u', 'ou', 'uo']) : pick(['x', '', 'O', 'org', 'oo']);
		return spaced(`${scope}:${slug()}`);
	}).join(',');
}

function bits(n) {
	let mask = 0n;
	for (let i = 0; i < n; i++) mask |= BigInt(below(2)) << BigInt(i);
	return mask;
}

function mask(nPermissions) {
	const kind = random();

	if (kind < 0.7) return String(bits(nPermissions));
	if (kind < 0.8) return String(bits(nPermissions + below(200)));
	if (kind < 0.85) return `000${bits(nPermissions)}`;
	return pick(['', 'x', '0x3', '-1', '1.5', '1e3', '٣', '+1', '1 1', '18014398509481984', '9007199254740993', '0']);
}

function organization() {
	const nPermissions = chance(0.05) ? 60 + below(60) : 1 + below(5);
	const names = times(nPermissions, (_, i) => (nPermissions > 20 ? `p${i}` : spaced(pick(['read', 'manage', 'create', 'delete', slug()]))));
	const o = {
		id: 'org_1',
		slg: 'acme',
		rol: pick(['admin', 'member', 'org:admin', 'org:org:admin', slug()]),
		per: names.join(','),
		fpm: times(below(7), () => spaced(mask(nPermissions))).join(','),
	};

	for (const name of Object.keys(o)) {
		if (chance(0.06)) delete o[name];
		else if (chance(0.05)) o[name] = pick(['', ...nonStrings]);
	}
	return chance(0.04) ? pick([...nonStrings, 'org_1', '']) : o;
}

function age() {
	return chance(0.85)
		? pick([-1, 0, 1, 9, 10, 11, 59, 60, 61, 1439, 1440, 5000, 9.5])
		: pick([null, '1', -0.5, -2, [], raw('1e400'), raw('1e300'), raw('-1.0')]);
}

function factorAges() {
	if (chance(0.05)) return pick([null, [], [1], [1, 2, 3], '1,2', { 0: 1, 1: 2, length: 2 }, 5]);
	return [age(), age()];
}

function randomClaims() {
	const claims = { iss: 'https://clerk.example.com', sub: 'user_1', exp: 4102444800, iat: 1700000000 };
	const v2 = chance(0.7);

	if (v2) claims.v = chance(0.9) ? 2 : pick([raw('2.0'), raw('2e0'), raw('0.2e1'), raw('2.0000000000000000001')]);
	else if (chance(0.3)) claims.v = pick([1, 3, '2', null, raw('2.5'), [2], true]);
	if (v2 || chance(0.1)) if (chance(0.85)) claims.o = organization();
	if (!v2 || chance(0.1)) {
		if (chance(0.85)) claims.org_id = chance(0.95) ? 'org_1' : pick(['', ...nonStrings]);
		if (chance(0.8)) claims.org_slug = chance(0.95) ? 'acme' : pick(['', ...nonStrings]);
		if (chance(0.85)) claims.org_role = chance(0.95) ? pick(['org:admin', 'admin', 'org:org:admin', `org:${slug()}`, slug()]) : pick(['', ...nonStrings]);
		if (chance(0.85))
			claims.org_permissions = chance(0.95)
				? times(below(5), () => (chance(0.93) ? pick(['org:', 'org:', '', 'org:org:']) + `${slug()}:${pick(['read', 'manage'])}` : pick(nonStrings)))
				: pick(['org:a:read', ...nonStrings]);
	}
	if (chance(0.85)) claims.fea = scopedList();
	if (chance(0.8)) claims.pla = scopedList();
	if (chance(0.85)) claims.fva = factorAges();
	if (chance(0.7)) claims.sts = chance(0.93) ? 'active' : 'pending';
	if (chance(0.02)) delete claims.sub;
	return claims;
}

/* Something that the token may grant, or nearly. */
function wantedPermission(auth) {
	const own = Array.isArray(auth.orgPermissions) ? auth.orgPermissions.filter((p) => typeof p === 'string') : [];
	const one = own.length && chance(0.7) ? pick(own) : `org:${slug()}:${pick(['read', 'manage', 'create', 'p3'])}`;

	return chance(0.6) ? one : pick([one.replace(/^org:/, ''), `org:${one}`, one.toUpperCase(), `${one} `, one.replace(/:[^:]*$/, '')]);
}

function wantedRole(auth) {
	const own = typeof auth.orgRole === 'string' && chance(0.7) ? auth.orgRole : pick(['admin', 'org:admin', 'member', slug()]);

	return chance(0.6) ? own : pick([own.replace(/^org:/, ''), `org:org:${own}`, own.toUpperCase(), `:${own}`, '']);
}

function wantedEntitlement(list) {
	const own = typeof list === 'string' ? list.split(',').map((e) => e.trim()) : [];
	const one = own.length && chance(0.7) ? pick(own) : `o:${slug()}`;

	if (chance(0.4)) return one.replace(/^[^:]*:/, '');
	return chance(0.5) ? one : one.replace(/^[^:]*:/, pick(['o:', 'u:', 'org:', 'organization:', 'user:', 'ou:', 'x:', ':', '']) + pick(['', '', ' ']));
}

function reverification() {
	if (chance(0.5)) return pick(['strict_mfa', 'strict', 'moderate', 'lax']);
	if (chance(0.7))
		return { level: pick(['first_factor', 'second_factor', 'multi_factor']), afterMinutes: pick([1, 10, 10.5, 60, 1440, 100000]) };
	return pick(['', 'none', 'toString', '__proto__', null, 0, 5, true, [], {}, ['strict'], { level: 'strict', afterMinutes: 1 },
		{ level: 'first_factor' }, { level: 'first_factor', afterMinutes: '10' }, { level: 'first_factor', afterMinutes: 0 },
		{ level: 'second_factor', afterMinutes: -1 }, { level: 7, afterMinutes: 10 }, { level: ['first_factor'], afterMinutes: null }]);
}

function question(auth, claims) {
	const makers = {
		role: () => wantedRole(auth),
		permission: () => wantedPermission(auth),
		feature: () => wantedEntitlement(claims.fea),
		plan: () => wantedEntitlement(claims.pla),
		reverification,
	};
	const names = Object.keys(makers);
	const params = {};
	const n = chance(0.75) ? 1 : chance(0.97) ? 2 + below(3) : 0;

	for (let i = 0; i < n; i++) {
		const name = pick(names);
		params[name] = chance(0.96) ? makers[name]() : pick([null, 1, true, [], {}, ['admin'], '']);
	}
	if (chance(0.05)) params.other = 'role';
	return params;
}

/* The auth object, or one that permits nothing. */
const nobody = { has: () => false };
function authOf(claims) {
	if (claims.sts === 'pending' || !claims.sub) return nobody;
	try {
		return signedInAuthObject({}, 'token', claims);
	} catch {
		return nobody;
	}
}

/* The claims without what the listed differences are about. */
function withoutListed(claims) {
	const copy = structuredClone(claims);
	const isObject = copy.o !== null && typeof copy.o === 'object';

	if (isObject && typeof copy.o.id !== 'string') delete copy.o.id;
	if (isObject && typeof copy.o.rol !== 'string') delete copy.o.rol;
	if (typeof copy.org_id !== 'string') delete copy.org_id;
	return copy;
}

const orNull = (value) => (typeof value === 'string' && value !== '' ? value : null);
function readers(auth) {
	return {
		org_id: orNull(auth.orgId),
		org_slug: orNull(auth.orgSlug),
		org_role: orNull(auth.orgRole),
		org_permissions: Array.isArray(auth.orgPermissions) ? auth.orgPermissions.filter((p) => typeof p === 'string') : null,
	};
}
const withoutOrganization = { org_id: null, org_slug: null, org_role: null, org_permissions: null };

const base64url = (data) => Buffer.from(data).toString('base64url');
const alg = process.argv[5] ?? 'EdDSA';
const { publicKey, privateKey } = alg === 'RS256' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ed25519');
const header = base64url(JSON.stringify({ alg, kid: 'differential' }));
function jws(text) {
	const input = `${header}.${base64url(text)}`;

	return `${input}.${base64url(sign(alg === 'RS256' ? 'sha256' : null, Buffer.from(input), privateKey))}`;
}

const out = [];
const put = (...fields) => out.push(fields.join('\t'));

put('key', JSON.stringify({ ...publicKey.export({ format: 'jwk' }), kid: 'differential', alg }));
for (let i = 0; i < nTokens; i++) {
	const text = toJson(randomClaims());
	const claims = JSON.parse(text);
	const theirs = authOf(claims);
	const expected = authOf(withoutListed(claims));
	const isThrown = theirs === nobody;
	const seen = readers(theirs);
	const wanted = readers(isThrown ? nobody : expected).org_id === null ? withoutOrganization : readers(expected);

	put('token', jws(text), text);
	for (const name of Object.keys(wanted)) {
		const listed = JSON.stringify(seen[name]) !== JSON.stringify(wanted[name]) ? 'listed' : '';

		put('reader', name, JSON.stringify(wanted[name]), listed);
	}
	for (let j = 0; j < 12; j++) {
		const params = question(theirs, claims);
		const answer = isThrown ? false : expected.has(params);

		put('has', JSON.stringify(params), answer, theirs.has(params) !== answer ? 'listed' : '');
	}
}
process.stdout.write(out.join('\n') + '\n');
