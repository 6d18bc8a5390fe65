/*
 * world.mjs
 *		What the stand-in of Clerk knows: people, an organization, memberships, and sessions by
 *		browser; its tokens; and each of these as Clerk's API shows it.
 *
 * Only what clerk-js, its components, @clerk/nextjs and webhooks read is there.  Times are
 * milliseconds, as in Clerk's API, but seconds in tokens.
 */
import { createPrivateKey, createPublicKey, randomUUID, sign } from 'node:crypto';

const kid = 'ins_standin';
const base64url = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

export const people = new Map([
	['user_ann', { id: 'user_ann', first: 'Ann', last: 'Archer' }],
	['user_bea', { id: 'user_bea', first: 'Bea', last: 'Brook' }],
]);
export const organization = { id: 'org_acme', name: 'Acme', slug: 'acme' };

export class World {
	roles = new Map([['user_ann', 'org:member'], ['user_bea', 'org:member']]);
	browsers = new Map();
	born = Date.now();
	// of the JWT template, as Clerk's template for Supabase has it
	templateAudience = 'authenticated';
	#key;

	// pem: the instance's private RSA key; issuer: its Frontend API URL; lifetime of tokens in seconds
	constructor({ pem, issuer, lifetime = 60 }) {
		this.#key = createPrivateKey(pem);
		this.issuer = issuer;
		this.lifetime = lifetime;
	}

	jwks() {
		return { keys: [{ ...createPublicKey(this.#key).export({ format: 'jwk' }), kid, alg: 'RS256', use: 'sig' }] };
	}

	sign(claims, cat = 'cl_B7d4PD111AAA') {
		const input = `${base64url({ alg: 'RS256', typ: 'JWT', kid, cat })}.${base64url(claims)}`;

		return `${input}.${sign('sha256', input, this.#key).toString('base64url')}`;
	}

	#times(skew) {
		const now = Math.floor(Date.now() / 1000);

		return { iss: this.issuer, iat: now, nbf: now - skew, exp: now + this.lifetime, jti: randomUUID() };
	}

	// The token of a session for an origin, with the organization that is active in it.
	sessionToken(session, origin, org = session.org) {
		const role = org && this.roles.get(session.user)?.replace('org:', '');

		return this.sign({
			...this.#times(10), azp: origin, sub: session.user, sid: session.id, sts: 'active', v: 2, fva: [0, -1], role: 'authenticated',
			...(role && { o: { id: org, slg: organization.slug, rol: role } }),
		});
	}

	// The token of a JWT template, which names no session.
	templateToken(session, origin) {
		return this.sign({ ...this.#times(5), azp: origin, sub: session.user, aud: this.templateAudience, role: 'authenticated' }, 'cl_B7d4PD222AAA');
	}

	browser(id) {
		if (!this.browsers.has(id)) {
			const fresh = `client_${randomUUID()}`;

			this.browsers.set(fresh, { id: fresh, sessions: new Map(), active: null, updated: Date.now() });
			return this.browsers.get(fresh);
		}
		return this.browsers.get(id);
	}

	findSession(id) {
		return [...this.browsers.values()].map(({ sessions }) => sessions.get(id)).find(Boolean);
	}

	signIn(browser, user) {
		const session = { id: `sess_${randomUUID().replaceAll('-', '')}`, user, org: null };

		browser.sessions.set(session.id, session);
		browser.active = session.id;
		browser.updated = Date.now();
		return session;
	}

	// Ends sessions; returns them.
	signOut(browser, ids) {
		const ended = ids.map((id) => browser.sessions.get(id)).filter(Boolean);

		ended.forEach(({ id }) => browser.sessions.delete(id));
		browser.active = [...browser.sessions.keys()].at(-1) ?? null;
		browser.updated = Date.now();
		return ended;
	}
}

const publicData = ({ id, first, last }) => ({
	user_id: id, identifier: `${first.toLowerCase()}@example.com`, first_name: first, last_name: last, image_url: '', has_image: false,
});

export const organizationObject = (born) => ({
	object: 'organization', ...organization, image_url: '', has_image: false, members_count: 2, pending_invitations_count: 0,
	max_allowed_memberships: 5, admin_delete_enabled: true, public_metadata: {}, created_at: born, updated_at: born,
});

export const membershipObject = (world, user) => ({
	object: 'organization_membership', id: `orgmem_${user}`, role: world.roles.get(user), role_name: world.roles.get(user).replace('org:', ''),
	permissions: [], public_metadata: {}, organization: organizationObject(world.born), public_user_data: publicData(people.get(user)),
	created_at: world.born, updated_at: Date.now(),
});

export function userObject(world, id) {
	const { first, last } = people.get(id);
	const email = { object: 'email_address', id: `idn_${id}`, email_address: `${first.toLowerCase()}@example.com`, linked_to: [], verification: { status: 'verified', strategy: 'admin' } };
	const none = Object.fromEntries(['phone_numbers', 'web3_wallets', 'external_accounts', 'enterprise_accounts', 'passkeys', 'saml_accounts'].map((name) => [name, []]));

	return {
		object: 'user', id, username: null, first_name: first, last_name: last, image_url: '', has_image: false, ...none,
		primary_email_address_id: email.id, email_addresses: [email], organization_memberships: [membershipObject(world, id)],
		public_metadata: {}, unsafe_metadata: {}, password_enabled: true, created_at: world.born, updated_at: world.born, last_sign_in_at: world.born,
	};
}

export const sessionObject = (world, session, origin, status = 'active') => ({
	object: 'session', id: session.id, status, user_id: session.user, user: userObject(world, session.user), public_user_data: publicData(people.get(session.user)),
	last_active_organization_id: session.org, last_active_token: { object: 'token', jwt: world.sessionToken(session, origin) }, last_active_at: Date.now(),
	actor: null, tasks: null, factor_verification_age: [0, -1], expire_at: Date.now() + 7 * 864e5, abandon_at: Date.now() + 30 * 864e5,
	created_at: world.born, updated_at: Date.now(),
});

export const clientObject = (world, browser, origin) => ({
	object: 'client', id: browser.id, sessions: [...browser.sessions.values()].map((session) => sessionObject(world, session, origin)),
	sign_in: null, sign_up: null, last_active_session_id: browser.active, cookie_expires_at: null, captcha_bypass: false,
	created_at: world.born, updated_at: browser.updated,
});

// What Clerk's components ask of an instance: sign-in by email, organizations, several sessions.
export function environmentObject(origin, signInUrl) {
	const off = { enabled: false, required: false, used_for_first_factor: false, first_factors: [], used_for_second_factor: false, second_factors: [], verifications: [], verify_at_sign_up: false };
	const urls = ['home', 'after_sign_in', 'after_sign_up', 'after_sign_out_all', 'after_sign_out_one', 'after_switch_session', 'user_profile', 'organization_profile', 'create_organization', 'after_leave_organization', 'after_create_organization'];

	return {
		object: 'environment', id: 'env_standin', maintenance_mode: false,
		auth_config: { object: 'auth_config', id: 'aconf_standin', single_session_mode: false, reverification: false },
		display_config: {
			object: 'display_config', id: 'display_standin', instance_environment_type: 'production', application_name: 'Posts', branded: false,
			preferred_sign_in_strategy: 'password', theme: { buttons: {}, general: {}, accounts: {} }, sign_in_url: signInUrl, sign_up_url: signInUrl,
			...Object.fromEntries(urls.map((name) => [`${name}_url`, origin])),
		},
		user_settings: {
			object: 'user_settings', id: 'us_standin', social: {}, saml: { enabled: false }, enterprise_sso: { enabled: false }, restrictions: {}, password_settings: {},
			attributes: { email_address: { ...off, enabled: true, used_for_first_factor: true, first_factors: ['email_code'] }, password: { ...off, enabled: true, required: true } },
			sign_in: { second_factor: { required: false } }, sign_up: { mode: 'public', progressive: true, captcha_enabled: false },
			actions: { create_organization: false, delete_self: false },
		},
		organization_settings: {
			object: 'organization_settings', id: 'os_standin', enabled: true, max_allowed_memberships: 5, actions: { admin_delete: true },
			domains: { enabled: false, enrollment_modes: [] }, force_organization_selection: false, slug: { disabled: false },
		},
		commerce_settings: { object: 'commerce_settings', id: 'cs_standin', billing: { enabled: false, organization: { enabled: false }, user: { enabled: false } } },
		api_keys_settings: { object: 'api_keys_settings', enabled: false },
	};
}
