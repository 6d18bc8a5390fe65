# 019_issuers.pl
#	Each row of the table of docs/issuers.md, word for word: tokens of the form that the issuer
#	makes sign in; those for another application, of another tenant or of another kind do not.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin;
use ClerkTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('issuers');
my $document = slurp_file("$FindBin::Bin/../../docs/issuers.md");

# What stands for a value of the reader's.
my %values = (
	TENANT => 'notes-dev', PROJECT => 'notes-1', REGION => 'eu-west-1', POOL => 'eu-west-1_Ab12',
	ORG => 'notes', HOST => 'id.notes.example', REALM => 'notes');

sub filled
{
	my ($text) = @_;
	$text =~ s/`//g;
	$text =~ s/\b(TENANT|PROJECT|REGION|POOL|ORG|HOST|REALM)\b/$values{$1}/g;
	return $text;
}

my %rows;
for (grep { /^\| .* \| `https/ } split /\n/, $document)
{
	my (undef, $name, $issuer, $url) = split / *\| */;
	$rows{$name} = { issuer => filled($issuer), url => filled($url) };
}

# Claims as each issuer makes them, by its documentation; the audience that the table asks for;
# what the header and the instance have that is not the default.
my %issuers = (
	'Auth0' => { aud => 'https://api.notes.example', list => 1,
		claims => { sub => 'auth0|5f7c8ec7c33c6c004bbafe82', azp => 'client1', scope => 'openid profile', gty => 'password' } },
	'Firebase' => { aud => 'notes-1', type => 'id',
		claims => { sub => 'hV1s4pZ3', user_id => 'hV1s4pZ3', auth_time => 1700000000, firebase => { sign_in_provider => 'password' } } },
	'Supabase Auth, with asymmetric keys' => { aud => 'authenticated',
		claims => { sub => '5f7c8ec7-c33c-4c00-8bba-fe82aabbccdd', role => 'authenticated', session_id => 'b9d3', aal => 'aal1',
			app_metadata => { provider => 'email' }, is_anonymous => JSON::PP::false } },
	'Google' => { aud => 'client1.apps.googleusercontent.com', type => 'id',
		claims => { sub => '110169484474386276334', azp => 'client1.apps.googleusercontent.com', at_hash => 'HK6E', nonce => 'n' } },
	'Cognito, id tokens' => { aud => 'client1', type => 'id',
		claims => { sub => 'aaaa-bbbb', 'cognito:username' => 'alice', token_use => 'id', event_id => 'e', auth_time => 1700000000 } },
	'Okta' => { aud => 'api://default',
		claims => { ver => 1, jti => 'AT.1', cid => 'client1', uid => '00u1', scp => ['openid'], sub => 'alice@notes.example' } },
	'Keycloak' => { aud => 'notes-api', list => 1,
		claims => { sub => 'f:1:alice', typ => 'Bearer', azp => 'notes-web', sid => '8a1c', realm_access => { roles => ['user'] } } },
	'Entra ID' => { aud => '6e74172b-be56-4843-9ff4-e66a39bb12e3',
		claims => { ver => '2.0', sub => 'AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ', azp => '6e74172b-be56-4843-9ff4-e66a39bb12e3',
			tid => '72f988bf', oid => '0000-1111', scp => 'access_as_user' } });

is_deeply([ sort keys %rows ], [ sort keys %issuers ], 'the table has the issuers that are tested');

sub token_of
{
	my ($issuer, $case, %changed) = @_;
	my $aud = $changed{aud} // $case->{aud};
	my %claims = (%{ $case->{claims} }, iss => $issuer, iat => 1700000000, exp => 4102444800,
		aud => $case->{list} ? [ $aud, 'https://other.example/userinfo' ] : $aud, %changed);

	$claims{aud} = [ $aud, 'https://other.example/userinfo' ] if $case->{list};
	return mint(encode_json(\%claims));
}

# The subject of a token, or the reason why it is refused.
sub answer
{
	my ($token) = @_;
	my ($status, $stdout, $stderr) = $node->psql('postgres', "SELECT clerk.verify('$token') ->> 'sub'");

	return $stdout if $status == 0;
	return $stderr =~ /ERROR:  ([a-z-]+):/ ? $1 : $stderr;
}

for my $name (sort keys %issuers)
{
	my ($row, $case) = ($rows{$name}, $issuers{$name});
	my $issuer = $row->{issuer};
	my $url = $row->{url};
	my $key = decode_json(vector('jwk_a'));

	$node->safe_psql('postgres',
		"SELECT clerk.add_instance('$issuer', audiences => '{$case->{aud}}'" . ($url ? ", jwks_url => '$url'" : '') . ');'
		. ($case->{type} ? "UPDATE clerk.instances SET token_type = '$case->{type}' WHERE issuer = '$issuer';" : '')
		. "SELECT clerk.load_jwks('$issuer', '" . encode_json({ keys => [ { %$key, use => 'sig', x5t => 'abc' } ] }) . "')");

	is(answer(token_of($issuer, $case)), $case->{claims}{sub}, "$name: a token signs in");
	is(answer(token_of($issuer, $case, aud => 'another')), 'token-invalid', "$name: one for another application does not");
	is(answer(token_of("$issuer.evil.example", $case)), 'token-invalid-issuer', "$name: one of another issuer does not");
	is(answer(token_of($issuer, $case, exp => 1700000001)), 'token-expired', "$name: one that has expired does not");
	is($node->safe_psql('postgres', "SELECT jwks_url FROM clerk.instances WHERE issuer = '$issuer'"),
		$url || ($issuer =~ s{/$}{}r . '/.well-known/jwks.json'), "$name: where its keys are");
	isnt(answer(token_of($issuer, $case, nonce => 'n', at_hash => 'h')), $case->{claims}{sub}, "$name: an id token does not")
	  unless $case->{type};
}

done_testing();
