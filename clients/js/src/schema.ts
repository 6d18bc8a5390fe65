/*
 * schema.ts
 *		The functions of the schema clerk that everybody may call, as supabase-js types them.
 */

type None = Record<PropertyKey, never>;
type Returns<T> = { Args: None; Returns: T };
type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[];

/**
 * For PostgREST with `clerk` among its `db-schemas`: `createClient<Database & { clerk: ClerkSchema }>(…)`, and then
 * `.schema('clerk').rpc('diagnose')`.
 *
 * Times are strings in ISO 8601, and intervals strings as PostgreSQL takes them (`10 minutes`). A bigint is a number,
 * exact up to `Number.MAX_SAFE_INTEGER`. Of these functions only `verify` fails, for a token that is refused.
 */
export type ClerkSchema = {
	Tables: Record<never, never>;
	Views: Record<never, never>;
	Functions: {
		actor_id: Returns<string | null>;
		claim: { Args: { path: string[] }; Returns: string | null };
		diagnose: { Args: None | { token: string | null }; Returns: { step: string; outcome: string; detail: string | null }[] };
		expires_at: Returns<string | null>;
		has: { Args: { params: Json }; Returns: boolean };
		has_feature: { Args: { feature: string }; Returns: boolean };
		has_permission: { Args: { permission: string }; Returns: boolean };
		has_plan: { Args: { plan: string }; Returns: boolean };
		has_reverified: { Args: { preset: string } | { level: string; within: string }; Returns: boolean };
		has_role: { Args: { role: string }; Returns: boolean };
		is_authenticated: Returns<boolean>;
		is_fellow_member: { Args: { user_id: string }; Returns: boolean };
		is_impersonated: Returns<boolean>;
		issuer: Returns<string | null>;
		jwt: Returns<Json>;
		mapped_bigint: Returns<number | null>;
		mapped_id: { Args: None | { clerk_id: string }; Returns: string | null };
		mapped_org_bigint: Returns<number | null>;
		mapped_org_id: Returns<string | null>;
		mapped_org_text: Returns<string | null>;
		mapped_text: Returns<string | null>;
		org_id: Returns<string | null>;
		org_permissions: Returns<string[] | null>;
		org_role: Returns<string | null>;
		org_slug: Returns<string | null>;
		session_id: Returns<string | null>;
		uid: Returns<string | null>;
		verify: { Args: { token: string }; Returns: Json };
		version: Returns<string>;
	};
};
