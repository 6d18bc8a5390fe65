#
# pages.pl
#		What page.pl must know of a page that the page does not say.
#
#	follows		the page that was read before, whose server it goes on with; '' for an empty one (README.md)
#	replace		example values of the page, with those that are put in their place
#	claims		of the token that is put in place of eyJ…
#	skip		blocks, by something in them, that are not run, and why
#	js			the program around a block of JavaScript, whose line BLOCK it is put into
#	env			what else is in the environment of PostgREST
#	expect		[language, block, what it prints, name] at the end of the page
#
use strict;
use warnings;

return {
	'README.md' => {
		skip => {
			'apt-get' => 'test/fresh.sh runs it',
			'CREATE POLICY own ON notes USING' => 'an example of what comes below',
		},
		# ask for the token, since Node.js has no console that prints what an expression is worth
		js => "const Clerk = { session: { getToken: async () => 'a token' } };\nconsole.log(\nBLOCK\n);",
		expect => [
			[ sh => 'for body in new changed; do curl -s http://localhost:3000/notes -H "Authorization: Bearer $token" -H "Prefer: return=representation,resolution=merge-duplicates" -d id=ac7a5b80-5b0c-4d3c-9f3b-d6c5a1a5f3c1 -d body=$body; done',
				'"body":"new"}][{"id":"ac7a5b80-5b0c-4d3c-9f3b-d6c5a1a5f3c1","user_id":"user_2abc…","body":"changed"}]', 'an upsert, as that of supabase-js' ],
			[ sh => 'curl -s http://localhost:3000/notes', 'permission denied', 'nobody sees nothing' ],
			[ sql => "SELECT count(*) AS n FROM clerk.add_instance('pk_live_…', authorized_parties => '{https://app.example.com}');", 'n 1', 'the instance can be added twice' ],
		],
	},
};
