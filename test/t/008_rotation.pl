# 008_rotation.pl
#	Keys that are rotated many times under eight busy connections: no valid token is refused, and
#	none counts once its key is retired.  And a database that is renamed meanwhile.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin;
use ClerkTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('rotation');
my ($issuer, $alice, $alice_next) = map { vector($_) } qw(issuer_a alice alice_next_key);
my %jwks = map { $_ => vector($_) } qw(jwks_a jwks_a_next);
my $dir = PostgreSQL::Test::Utils::tempdir();

# Divides by zero when the answer is wrong, which ends pgbench.
sub script
{
	my ($name, $token, $wanted) = @_;

	append_to_file("$dir/$name.sql", "SET clerk.token = '$token';\n"
		. "SELECT 1 / (clerk.uid() IS NOT DISTINCT FROM $wanted)::int FROM generate_series(1, 10);\n");
	return "$dir/$name.sql";
}

sub hammer
{
	my ($seconds, @scripts) = @_;
	my ($out, $err) = ('', '');

	return IPC::Run::start(
		[ 'pgbench', '-n', '-h', $node->host, '-p', $node->port, '-c', 8, '-T', $seconds, (map { ('-f', $_) } @scripts), 'postgres' ],
		'>', \$out, '2>', \$err);
}

$node->safe_psql('postgres', "SELECT clerk.load_jwks('$issuer', '$jwks{jwks_a_next}')");
my $run = hammer(4, script('old', $alice, "'user_alice'"), script('new', $alice_next, "'user_alice'"));
my $rotations = 0;
while ($run->pumpable && $rotations < 100)
{
	$node->safe_psql('postgres', "SELECT clerk.load_jwks('$issuer', '$jwks{ $rotations % 2 ? 'jwks_a_next' : 'jwks_a' }')");
	$rotations++;
	$run->pump_nb;
}
ok(IPC::Run::finish($run), "no valid token is refused during $rotations rotations") or diag($run->full_result);

$node->safe_psql('postgres', "SELECT clerk.retire_key('$issuer', 'ins_a')");
$run = hammer(1, script('retired', $alice, 'NULL'), script('still', $alice_next, "'user_alice'"));
ok(IPC::Run::finish($run), 'a retired key verifies nothing, on no connection');

$node->safe_psql('template1', 'ALTER DATABASE postgres RENAME TO renamed');
is($node->safe_psql('renamed', "SET clerk.token = '$alice_next'; SELECT clerk.uid(); SELECT clerk.retire_key('$issuer', 'ins_a_next'); SELECT clerk.uid() IS NULL"),
	"user_alice\n\nt", 'in a database that was renamed');

done_testing();
