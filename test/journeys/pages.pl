#
# pages.pl
#		What page.pl must know of a page that the page does not say.
#
#	follows		the page that was read before, whose server it goes on with (README.md; '': a new one)
#	postgrest	is true where the reader has it running, as README.md has started it
#	claims		of the token that is put in place of eyJ…
#	replace		example values of the page, with those that are put in their place
#	skip		blocks, by something in them ('' is in all), that are not run, and why
#	js			the program around a block of JavaScript, whose line BLOCK it is put into
#	begin		[language, block] of what is there before the page begins
#	between		called after each block with: page, its text; place, of the block; step, the number of its title (0
#				before the first, undef in a section without); is_last, whether it is the step's last block; api,
#				where PostgREST is; session_token, which makes one of claims; sql, which prints what SQL prints
#	expect		[language, block, what it prints, name] at the end of the page
#
use strict;
use warnings;

my $examples = 'test/examples/run.sh runs it';

# A signed event, as Svix sends it: the shell's words for curl.
my $send = <<'EOF';
send() {
	ts=$(date +%s)
	key=$(printf %s whsec_… | sed s/whsec_// | base64 -d | od -An -v -tx1 | tr -d ' \n')
	signature=$(printf %s "$1.$ts.$2" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | base64)
	curl -s http://localhost:3000/rpc/clerk_webhook -H 'Content-Type: application/json' \
		-H "svix-id: $1" -H "svix-timestamp: $ts" -H "svix-signature: v1,$signature" -d "$2"
}
EOF

return {
	'README.md' => {
		replace => { 'sudo -iu postgres' => ': whoever runs this is let in' },
		skip => {
			'apt-get' => 'test/fresh/run.sh runs it',
			'CREATE POLICY own ON notes USING' => 'an example of what comes below',
		},
		js => "const Clerk = { session: { getToken: async () => 'a token' } };\nconsole.log(\nBLOCK\n);",
		expect => [
			[ sh => 'for body in new changed; do curl -s http://localhost:3000/notes -H "Authorization: Bearer $token" -H "Prefer: return=representation,resolution=merge-duplicates" -d id=ac7a5b80-5b0c-4d3c-9f3b-d6c5a1a5f3c1 -d body=$body; done',
				'"body":"new"}][{"id":"ac7a5b80-5b0c-4d3c-9f3b-d6c5a1a5f3c1","user_id":"user_2abc…","body":"changed"}]', 'an upsert, as that of supabase-js' ],
			[ sh => 'curl -s http://localhost:3000/notes', 'permission denied', 'nobody sees nothing' ],
			[ sql => "SELECT count(*) AS n FROM clerk.add_instance('pk_live_…', authorized_parties => '{https://app.example.com}');", 'n 1', 'the instance can be added twice' ],
		],
	},
	'docs/citus.md' => {
		skip => { 'citus' => 'test/citus/run.sh runs it, where Citus is', 'for Citus' => 'test/citus/run.sh starts it' },
	},
	'docs/clients.md' => {
		skip => {
			map({ $_ => $examples } 'import', 'async function', 'authenticate', 'user_session'),
			'proxy_pass' => 'no nginx here',
		},
	},
	'docs/performance.md' => { skip => { 'shared_preload_libraries' => 'the server of a test has it, or has not' } },
	'docs/ids.md' => {
		claims => { o => { id => 'org_2abc', rol => 'member' } },
		expect => [
			[ sql => "INSERT INTO users (clerk_user_id) VALUES ('user_2abc…'); CREATE TABLE organizations (id bigint PRIMARY KEY, clerk_id text UNIQUE);
				INSERT INTO organizations VALUES (7, 'org_2abc'); SELECT clerk.track_ids('organizations', 'clerk_id', 'id');
				BEGIN; SELECT clerk.authenticate('eyJ…'); SELECT clerk.mapped_bigint(), clerk.mapped_org_bigint(); COMMIT;",
				'1 7', 'rows of tracked tables are the mapping' ],
		],
	},
	'docs/install.md' => {
		skip => { 'build-deb.sh' => '"make packages" runs it', 'docker build' => '"make packages" runs its steps',
			'docker compose' => '"make packages" starts its services' },
	},
	'docs/keys.md' => {
		skip => { 'clerk.refresh_jwks()' => 'test/t/007_refresh.pl runs it, where pgsql-http is' },
		expect => [
			[ sh => q(eval "$(psql -XAtc 'SELECT clerk.refresh_jwks()' 2>&1 | sed -n 's/^HINT:  Run this in a shell, or from cron: //p')"),
				'ins_2abc unchanged', 'the line for cron' ],
		],
	},
	'docs/migration.md' => require 'migration.pl',
	'docs/nextjs.md' => {
		skip => { map({ $_ => $examples } 'make starter', 'npm install', 'getToken', 'useSupabase'), 'proxy_pass' => 'no nginx here' },
		expect => [
			[ sql => "SELECT count(*) AS posts FROM posts; SELECT count(*) AS errors FROM clerk.audit() WHERE severity = 'error' AND object ~ 'posts|profiles|author';",
				'errors 0', 'audit() has nothing against the migration' ],
		],
	},
	'docs/operations.md' => {
		replace => {
			'sk_live_…' => 'sk_live_x',
			'ins_2abc…' => 'ins_2abc',
			'whsec_new…' => 'whsec_C2FVsBQIhrscChlQIMVb5sSYspob7oDx',
			'SELECT clerk.schedule_jwks_refresh(NULL);' => '',
			"SELECT clerk.drop_webhook_secret('https://clerk.example.com', 'whsec_old…');" => '',
		},
		skip => {
			'251387' => "the numbers are somebody's",
			'groups:' => 'test/t/020_operations.pl reads it',
		},
		expect => [
			[ sql => "SELECT step, detail FROM clerk.diagnose('eyJ…');", 'jwk-kid-mismatch', 'the token of a key that has ended' ],
			[ sql => 'SELECT reason, tokens FROM clerk.stats;', 'jwk-kid-mismatch 1', 'is counted' ],
			[ sql => 'SET ROLE exporter; SELECT object, max(action) FROM clerk.key_changes GROUP BY object; RESET ROLE;', 'jwks', 'the exporter sees the trail' ],
		],
	},
	'docs/policies.md' => { claims => { sub => 'user_alice' } },
	'docs/postgrest.md' => {
		replace => { '$1' => "'eyJ…'" },
		expect => [
			[ sh => 'curl -s http://localhost:3000/rpc/why -H "Authorization: Bearer eyJx.x.x"; curl -s http://localhost:3000/rpc/why -d token=eyJx.x.x', 'token-invalid', 'why a token is refused' ],
		],
	},
	'docs/hosted.md' => { skip => { '' => 'test/hosted/run.sh goes through it' } },
	'docs/supabase.md' => { skip => { '' => 'test/t/019_supabase.pl goes through it, in a likeness of Supabase' } },
	'docs/testing-your-policies.md' => { follows => 'docs/authorization.md' },
	'docs/webhooks.md' => {
		postgrest => 1,
		replace => { 'sk_live_…' => 'sk_live_x' },
		expect => [
			[ sh => $send . q(send msg_1 '{"type":"user.created","data":{"id":"user_2new","first_name":"Nu"}}'), 'applied"}', 'an event arrives' ],
			[ sh => q(send msg_1 '{"type":"user.created","data":{"id":"user_2new","first_name":"Nu"}}'), 'duplicate"}', 'once' ],
			[ sql => 'SELECT clerk_id FROM app.customers;', 'user_2new', 'and the handler was called' ],
			[ sql => "SELECT string_agg(clerk_id, ' ' ORDER BY clerk_id) AS ids FROM (SELECT clerk_id FROM clerk.user_profiles UNION ALL SELECT clerk_id FROM clerk.org_profiles UNION ALL SELECT clerk_id FROM clerk.org_memberships) AS all_of_them;",
				'org_1 org_2 org_3 orgmem_1 orgmem_2 orgmem_3 user_1 user_2 user_2new user_3', 'everything was imported' ],
		],
	},
};
