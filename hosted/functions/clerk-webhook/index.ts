// clerk-webhook: hands webhooks of Clerk to the function that clerk.expose_webhook() has made, as they
// are. It decides nothing: the database verifies the signature, and answers.
//
// supabase functions deploy clerk-webhook --no-verify-jwt
const signed = ['svix-id', 'svix-timestamp', 'svix-signature'];

export async function relay(request, url, key) {
	const headers = new Headers({ 'Content-Type': 'application/json', apikey: key });
	for (const name of signed) headers.set(name, request.headers.get(name) ?? '');
	const answer = await fetch(`${url}/rest/v1/rpc/clerk_webhook`, { method: 'POST', headers, body: await request.arrayBuffer() });
	return new Response(await answer.text(), { status: answer.status });
}

globalThis.Deno?.serve((request) => relay(request, Deno.env.get('SUPABASE_URL'), Deno.env.get('SUPABASE_ANON_KEY')));
