# 004_encoding.pl
#	Databases that are not UTF8: what they cannot hold is refused as a token, and nothing raises
#	in a policy.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin;
use ClerkTest;
use Test::More;

my $node = start_node('encoding');
my $issuer = vector('issuer_a');
my $plain = mint(qq({"iss":"$issuer","sub":"user_alice","exp":4102444800}));
my $escaped = mint(qq({"iss":"$issuer","sub":"user_alice","exp":4102444800,"name":"\\u00e9"}));
my $raw = mint(qq({"iss":"$issuer","sub":"user_alice","exp":4102444800,"name":"\xc3\xa9"}));

sub database
{
	my ($encoding) = @_;
	my $name = lc "d_$encoding";

	$node->safe_psql('postgres',
		"CREATE DATABASE $name ENCODING '$encoding' LOCALE 'C' TEMPLATE template0");
	$node->safe_psql($name,
		    "CREATE EXTENSION clerk_rls; SELECT clerk.add_instance('$issuer');"
		  . "SELECT clerk.load_jwks('$issuer', '" . vector('jwks_a') . "')");
	return $name;
}

for my $encoding (qw(SQL_ASCII LATIN1))
{
	my $database = database($encoding);

	is($node->safe_psql($database, "SET clerk.token = '$plain'; SELECT clerk.uid(), clerk.jwt() ->> 'sub'"),
		'user_alice|user_alice', "$encoding: an ASCII token");
	for my $token ($escaped, $raw)
	{
		is($node->safe_psql($database, "SET clerk.token = '$token'; SELECT clerk.uid() IS NULL, clerk.jwt() IS NULL"),
			't|t', "$encoding: a token beyond ASCII is nobody's");
		my ($ret, $stdout, $stderr) = $node->psql($database, "SELECT clerk.verify('$token')");
		like($stderr, qr/token-invalid.*encoding UTF8/s, "$encoding: and verify() says why");
	}
	# what the encoding lacks must not stop an event
	is($node->safe_psql($database, q{SELECT clerk_internal.parse_event('{"data": {"id": "user_a", "first_name": "\u20ac\u0000\ud800", "banned": true}}')}),
		'{"data": {"id": "user_a", "banned": true, "first_name": "???"}}', "$encoding: an event with characters that it lacks");
}

my $database = database('UTF8');
for my $token ($escaped, $raw)
{
	is($node->safe_psql($database, "SET clerk.token = '$token'; SELECT clerk.claim('name') = U&'\\00E9'"),
		't', 'UTF8 holds it');
}

done_testing();
