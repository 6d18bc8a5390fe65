// clerk-webhook: hands webhooks of Clerk to the function that clerk.expose_webhook() has made, as they
// are. It decides nothing: the database verifies the signature, and answers.
//
// supabase functions deploy clerk-webhook --no-verify-jwt
const names = ['svix-id', 'svix-timestamp', 'svix-signature'];

export async function relay(request: Request, url: string, key: string): Promise<Response> {
	const headers = new Headers({ 'Content-Type': 'application/json', apikey: key });
	for (const name of names) headers.set(name, request.headers.get(name) ?? '');
	const answer = await fetch(`${url}/rest/v1/rpc/clerk_webhook`, { method: 'POST', headers, body: await request.arrayBuffer() });
	return new Response(answer.ok ? await answer.text() : null, { status: answer.status });
}

// deno-lint-ignore no-explicit-any
const deno = (globalThis as any).Deno;
deno?.serve((request: Request) => relay(request, deno.env.get('SUPABASE_URL'), deno.env.get('SUPABASE_ANON_KEY')));
