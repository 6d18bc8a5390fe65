#
# Client.pm
#		What the end-to-end tests say to PostgREST: tokens, requests, and SQL beside it.
#
# Owns the way a token is made (by build/mint) and sent, and the list of all that were, so
# that logs can be searched for them.  run.sh passes addresses and the folder of the keys in
# the environment.
#
package Client;

use strict;
use warnings;
use Exporter 'import';
use HTTP::Tiny;
use JSON::PP;

our @EXPORT = qw(payload session_payload sign token ask sql jwks kept_tokens);

my %url = (
	main => $ENV{E2E_MAIN},
	static => $ENV{E2E_STATIC},
	bare => $ENV{E2E_BARE},
	supabase => $ENV{E2E_SUPABASE});
my $keys = $ENV{E2E_KEYS};
my $json = JSON::PP->new->canonical->allow_nonref;
# A connection for each request: a kept one may be closed just as the next is sent.
my $http = HTTP::Tiny->new(timeout => 20, keep_alive => 0);
my $kept = "$keys/tokens";

# The output of a command, which must succeed.
sub output
{
	my @command = @_;

	open(my $pipe, '-|', @command) or die "$command[0]: $!\n";
	my $text = join '', <$pipe>;
	close($pipe) or die "$command[0] failed\n";
	chomp $text;
	return $text;
}

# The claims of a Clerk session token (version 2); a member that is undef is left out.
sub session_payload
{
	my ($user, %members) = @_;
	my $now = time;
	my %claims = (
		azp => 'https://app.e2e.example',
		email => "$user\@e2e.example",
		exp => $now + 60,
		fva => [ 1, -1 ],
		iat => $now,
		iss => 'https://clerk.e2e.example',
		nbf => $now - 10,
		sid => "sess_$user",
		sts => 'active',
		sub => $user,
		v => 2,
		%members);

	delete @claims{ grep { !defined $claims{$_} } keys %claims };
	return $json->encode(\%claims);
}

# Signs a payload: sign(PAYLOAD, key => NAME, kid => ..., alg => ...).
sub sign
{
	my ($payload, %opt) = @_;
	my $key = $opt{key} // 'clerk';
	my @key =
	  defined $opt{secret_file}
	  ? ('--secret-file', $opt{secret_file})
	  : ('--key', "$keys/$key.pem");
	my $token = output($ENV{E2E_MINT}, 'token', @key,
		'--alg', $opt{alg} // 'RS256',
		'--kid', $opt{kid} // "ins_$key",
		'--header', '{"cat":"cl_B7d4PD111AAA"}', $payload);

	open(my $file, '>>', $kept) or die "$kept: $!\n";
	print $file "$token\n";
	close $file;
	return $token;
}

# A session token: token(USER, {CLAIMS}, SIGNING OPTION...).
sub token
{
	my ($user, $claims, @options) = @_;

	return sign(session_payload($user, %{ $claims // {} }), @options);
}

sub kept_tokens
{
	open(my $file, '<', $kept) or die "$kept: $!\n";
	chomp(my @tokens = <$file>);
	close $file;
	return @tokens;
}

sub jwks
{
	my @names = @_;

	return '{"keys":[' . join(
		',',
		map { output($ENV{E2E_MINT}, 'jwk', '--key', "$keys/$_.pem", '--kid', "ins_$_", '--alg', 'RS256') }
		  @names) . ']}';
}

# ask(METHOD, PATH, to => main|static|bare|supabase, token => ..., headers => {...}, body => {...})
# A header's value may be a list: then it is sent so many times, in this order.  Returns the
# status, the decoded body and the bare one.
sub ask
{
	my ($method, $path, %opt) = @_;
	my %request = (headers => { Prefer => 'return=representation', %{ $opt{headers} // {} } });

	$request{headers}{Authorization} = "Bearer $opt{token}" if defined $opt{token};
	if (defined $opt{body})
	{
		$request{headers}{'Content-Type'} = 'application/json';
		$request{content} = $json->encode($opt{body});
	}
	my $response = $http->request($method, $url{ $opt{to} // 'main' } . $path, \%request);
	my $text = $response->{content} // '';
	my $body = eval { $json->decode($text) };

	return { status => $response->{status}, body => $body, text => $text, headers => $response->{headers} };
}

# Runs SQL as superuser and returns what psql prints.
sub sql
{
	my ($statement, %variables) = @_;
	my @set = map { ('-v', "$_=$variables{$_}") } sort keys %variables;

	open(my $file, '>', "$keys/statement.sql") or die "$keys/statement.sql: $!\n";
	print $file $statement;
	close $file;
	return output($ENV{E2E_PSQL}, '-XqAt', '-v', 'ON_ERROR_STOP=1', @set, '-f', "$keys/statement.sql");
}

1;
