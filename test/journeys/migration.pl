#
# migration.pl
#		Whom docs/migration.md is about: a project with Supabase's keys and a template of Clerk's, its
#		clients, and what each must get at each step, which is in the table of the page.
#
# Read by pages.pl.
#
use strict;
use warnings;

use Digest::SHA qw(hmac_sha256);
use HTTP::Tiny;
use JSON::PP;
use MIME::Base64 qw(encode_base64url);
use Test::More;

my $secret = 'the JWT_SECRET of this project, which is long enough';
my @users = qw(user_2abc user_stranger);

# Notes and tasks of both users, and of nobody; the policy of notes is on the page.
my $project = <<'EOF';
CREATE ROLE authenticator LOGIN NOINHERIT PASSWORD 'choose-one';
CREATE ROLE anon; CREATE ROLE authenticated; CREATE ROLE service_role BYPASSRLS;
GRANT anon, authenticated, service_role TO authenticator;
CREATE SCHEMA auth; GRANT USAGE ON SCHEMA auth TO PUBLIC;
CREATE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE AS $$ SELECT nullif(current_setting('request.jwt.claims', true), '')::jsonb $$;
CREATE TABLE notes (user_id text, body text);
CREATE TABLE tasks (LIKE notes);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY; ALTER TABLE tasks ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON tasks TO authenticated USING ((select auth.jwt() ->> 'sub') = user_id);
GRANT SELECT, UPDATE ON notes, tasks TO anon, authenticated, service_role;
INSERT INTO notes SELECT user_id, 'of ' || coalesce(user_id, 'nobody') FROM unnest('{user_2abc,user_stranger,NULL}'::text[]) AS user_id;
INSERT INTO tasks TABLE notes;
EOF

# An HS256 token: of this secret, with these members more in its header.
sub hs256
{
	my ($claims, $key, %header) = @_;
	my $input = join '.', map { encode_base64url(encode_json($_)) } { alg => 'HS256', typ => 'JWT', %header }, $claims;

	return "$input." . encode_base64url(hmac_sha256($input, $key // $secret));
}

# As Clerk filled the template in.
sub template_claims
{
	my ($user) = @_;

	return { iss => 'https://clerk.example.com', sub => $user, azp => 'https://app.example.com', aud => 'authenticated',
		role => 'authenticated', email => "$user\@example.com", app_metadata => {}, user_metadata => {}, jti => 'a1b2',
		iat => time, nbf => time - 5, exp => time + 600 };
}

my %api_key = map { $_ => hs256({ iss => 'supabase', role => $_, exp => 4102444800 }) } qw(anon service_role);

# The tokens that each row of the table is about: [how it is made, token, user whose rows are its own].
sub tokens_of
{
	my ($with, $session_token) = @_;
	my %cat = (cat => 'cl_B7d4PD222AAA');
	my %headers = ('no kid' => \%cat, 'a kid, no category' => { kid => 'ins_2tmp' }, "the key's kid" => { %cat, kid => 'ins_2abc' });

	if ($with eq 'a token of the template')
	{
		return map { my $user = $_; map { [ "$user, $_", hs256(template_claims($user), undef, %{ $headers{$_} }), $user ] } sort keys %headers } @users;
	}
	if ($with eq 'a session token')
	{
		return map { ([ "$_, with a role", $session_token->({ sub => $_, role => 'authenticated' }), $_ ], [ "$_, without", $session_token->({ sub => $_ }), $_ ]) } @users;
	}
	return ([ 'anon', $api_key{anon} ], ['none']) if $with eq 'the anon key, or none';
	return [ 'service_role', $api_key{service_role} ] if $with eq 'the service_role key';
	die "docs/migration.md: who is \"$with\"?\n";
}

# The rows of the table: with what a request comes => [what it gets now, after step 1, ...]
sub promises
{
	my ($page) = @_;
	my ($head, $rows) = $page =~ /^(\| with \|.*)\n\|[-|]+\n((?:\|.*\n)+)/m or die "docs/migration.md has no table\n";
	my @steps = $page =~ /^### (\d+)\./mg;
	my $wanted = join ' | ', 'with', 'now', @steps;

	$head eq "| $wanted |" or die "docs/migration.md has the steps @steps, and its table $head\n";
	return map { my ($with, @cells) = split / *\| */, s/^\| *//r; ($with => \@cells) } split /\n/, $rows;
}

# What a request of a user gets, in the words of the table: the notes that it reads, or changes.
sub gets
{
	my ($method, $api, $token, $user) = @_;
	my %headers = (Prefer => 'return=representation', 'Content-Type' => 'application/json', $token ? (Authorization => "Bearer $token") : ());
	my $answer = HTTP::Tiny->new->request($method, "$api/notes?select=body,user_id&order=body",
		{ headers => \%headers, $method eq 'PATCH' ? (content => encode_json({ body => "of $user" })) : () });
	my $decoded = eval { decode_json($answer->{content}) };

	return "$answer->{status} " . (ref $decoded eq 'HASH' ? "$decoded->{code} $decoded->{message}" : $answer->{content}) if $answer->{status} != 200;
	my @owners = map { $_->{user_id} // 'nobody' } @$decoded;
	return 'no rows' if !@owners;
	return 'own rows' if $user && "@owners" eq $user;
	return @owners == @users + 1 ? 'all rows' : "rows of @owners";
}

# Refused by PostgREST, or by clerk.pre_request() with a reason that the page names.
sub is_refused
{
	my ($got, $page) = @_;
	my ($reason) = $got =~ /^401 PT401 ([a-z-]+): / or return $got =~ /^401 PGRST301 /;

	return index($page, "`$reason`") >= 0;
}

my $left_over = q{BEGIN; SET LOCAL ROLE authenticated; SET LOCAL request.jwt.claims = '';
	SELECT 'notes: ' || count(*) FROM notes; COMMIT;};

# Everybody asks, after each block: page.pl's between.  Before the end of a step, what it changes
# may have come or not; at its end, it has.
sub everybody_asks
{
	my (%at) = @_;
	my $ask = sub {
		my ($what, $wanted, $method, $token, $user) = @_;
		my $got = gets($method, $at{api}, $token, $user);

		ok(scalar(grep { $got eq $_ || ($_ eq '401' && is_refused($got, $at{page})) } @$wanted), "$at{place}: $method with $what: $got")
		  or diag("the page says @$wanted");
	};
	my %promises = promises($at{page});

	return if !defined $at{step} || ($at{step} == 0 && !$at{is_last});
	for my $with (sort keys %promises)
	{
		my @wanted = @{ $promises{$with} }[ $at{is_last} ? () : $at{step} - 1, $at{step} ];

		for (tokens_of($with, $at{session_token}))
		{
			my ($how, $token, $user) = @$_;
			$ask->("$with ($how)", \@wanted, $_, $token, $user) for 'GET', $user ? 'PATCH' : ();
		}
	}
	$ask->('a forged token of the template', ['401'], 'GET', hs256(template_claims('user_2abc'), 'another secret that is just as long as it has to be', @$_))
	  for [], [ kid => 'ins_2abc' ];
	like($at{sql}->($left_over), qr/notes: 0/, "$at{place}: on a pooled connection, where the claims are empty, nobody sees nothing");
}

# The application of step 4: what its clients see who have the page's line.
my $client = <<"EOF";
import { createClient } from '\@supabase/supabase-js';

// there is no gateway here, which would take the path of REST away
const { fetch } = globalThis;
globalThis.fetch = (address, options) => fetch(String(address).replace('/rest/v1', ''), options);
const url = 'http://localhost:3000', anonKey = '$api_key{anon}';

async function seen(session) {
BLOCK
	const { data, error } = await supabase.from('notes').select('body');
	return error ? error.message : data.map(({ body }) => body).join();
}
for (const [session, wanted] of [[{ getToken: async () => 'eyJ…' }, 'of user_2abc'], [null, '']]) {
	const got = await seen(session);
	if (got !== wanted) throw new Error(`\${got}, not \${wanted}`);
}
EOF

return {
	follows => '',
	begin => [ [ sh => 'PGDATABASE=postgres createdb app' ], [ sql => $project ] ],
	replace => { 'the JWT_SECRET of your .env' => $secret },
	js => $client,
	between => \&everybody_asks,
	expect => [
		[ sh => q(for token in '' 'Authorization: Bearer eyJ…'; do curl -s http://localhost:3000/tasks?select=body -H "$token"; done),
			'[][{"body":"of user_2abc"}]', 'tasks' ],
		[ sql => q(SELECT count(*) AS unverified FROM clerk.audit() WHERE severity = 'error' AND object ~ 'notes|tasks|requesting';), 'unverified 0', 'audit() is content' ],
		[ sql => q(SET ROLE authenticated; SET request.jwt.claims = '{"sub":"user_2abc"}'; SELECT count(*) AS forged FROM notes;), 'forged 0', 'nobody is somebody by a setting' ],
	],
};
