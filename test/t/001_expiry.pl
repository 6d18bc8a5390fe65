# 001_expiry.pl
#	A token that was good stops being good when its time has come, in a backend that has it
#	cached, and at the first statement after it.  Needs a clock, so it is here.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin;
use ClerkTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('expiry');
my $claims = '{"iss":"' . vector('issuer_a') . '","sub":"user_alice",';

my $second_ago = mint($claims . '"exp":@now-1@}');
is($node->safe_psql('postgres', "SET clerk.token = '$second_ago'; SELECT clerk.uid() IS NULL"),
	't', 'a token that expired a second ago');

my $soon = mint($claims . '"exp":@now+3@}');
my $answers = $node->safe_psql(
	'postgres', qq{
	SET clerk.token = '$soon';
	PREPARE who AS SELECT coalesce(clerk.uid(), 'nobody');
	BEGIN;
	DECLARE c CURSOR FOR SELECT coalesce(clerk.uid(), 'nobody') FROM generate_series(1, 10);
	EXECUTE who;
	FETCH 1 FROM c;
	SELECT pg_sleep_until(clerk.expires_at());
	EXECUTE who;
	FETCH 1 FROM c;
	SELECT coalesce(clerk.uid(), 'nobody');
	COMMIT;
	EXECUTE who;
});
is_deeply(
	[ grep { $_ ne '' } split /\n/, $answers ],
	[ ('user_alice') x 2, ('nobody') x 4 ],
	'a cached token expires within a transaction, for prepared statements and cursors too');

# a procedure that commits on its way is one statement
my $in_procedure = mint($claims . '"exp":@now+3@}');
my ($ret, $stdout, $stderr) = $node->psql(
	'postgres', qq{
	SET clerk.token = '$in_procedure';
	DO \$\$
	BEGIN
		RAISE NOTICE 'before: %', clerk.uid();
		PERFORM pg_sleep_until(clerk.expires_at());
		COMMIT;
		RAISE NOTICE 'after: %', clerk.uid();
	END \$\$;
});
like($stderr, qr/before: user_alice.*after: <NULL>/s, 'and after a COMMIT within a statement');

# the key's own end, and the skew
$node->safe_psql('postgres', "UPDATE clerk.jwks SET expires_at = clock_timestamp() + interval '2 seconds'");
my $alice = vector('alice');
is( $node->safe_psql(
		'postgres', qq{
	SET clerk.token = '$alice';
	SELECT coalesce(clerk.uid(), 'nobody');
	SELECT pg_sleep(2.1);
	SELECT coalesce(clerk.uid(), 'nobody')}),
	"user_alice\n\nnobody",
	'a retiring key stops verifying a cached token');

$node->safe_psql('postgres',
	"UPDATE clerk.jwks SET expires_at = NULL; UPDATE clerk.instances SET clock_skew = '1 minute'");
is($node->safe_psql('postgres', "SET clerk.token = '$second_ago'; SELECT clerk.uid()"),
	'user_alice', 'the skew of the instance is allowed for');

done_testing();
