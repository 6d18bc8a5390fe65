# ClerkTest.pm
#	What the TAP tests share: a node with the extension and the fixed tokens of test/vectors.

package ClerkTest;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use File::Basename qw(dirname);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(start_node load_instance open_session vector mint as_request slurp_log);

my $test_dir = dirname(__FILE__) . '/..';
my %vectors = map { /^\\set (\w+) '(.*)'$/ ? ($1 => $2) : () }
  split /\n/, slurp_file("$test_dir/vectors/tokens.sql");

# One of the tokens or documents of tokens.sql.
sub vector
{
	my ($name) = @_;
	return $vectors{$name} // die "no vector $name";
}

# A token of the test key of instance A with these claims, in which @now@ and the like stand
# for the time; see test/tools/mint.c.  The kid is its own, unless another is given.
sub mint
{
	my ($claims, $kid) = @_;
	my ($token, $stderr);
	my @command = (
		$ENV{CLERK_MINT} // "$test_dir/../build/mint", 'token', '--key',
		"$test_dir/vectors/keys/a.pem", '--alg', 'RS256', '--kid', $kid // 'ins_a', $claims);

	IPC::Run::run(\@command, '>', \$token, '2>', \$stderr) or die "mint: $stderr";
	chomp $token;
	return $token;
}

# A running node in which both instances are registered, and the roles are made.
sub start_node
{
	my ($name, $conf) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init;
	$node->append_conf('postgresql.conf', $conf) if defined $conf;
	$node->start;
	$node->safe_psql('postgres',
		    "CREATE EXTENSION clerk_rls;"
		  . "CREATE ROLE anon; CREATE ROLE authenticated;"
		  . "CREATE ROLE authenticator LOGIN NOINHERIT; GRANT anon, authenticated TO authenticator;"
		  . load_instance());
	return $node;
}

# The statements that register instance A and its key.
sub load_instance
{
	return "SELECT clerk.add_instance('" . vector('issuer_a') . "', clock_skew => '0');"
	  . "SELECT clerk.load_jwks('" . vector('issuer_a') . "', '" . vector('jwks_a') . "');";
}

# A session that stays open: a function that runs a statement in it and returns what it prints,
# errors as well.
sub open_session
{
	my ($node, $dbname) = @_;
	my ($in, $out) = ('', '');
	my $psql = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr($dbname // 'postgres'), '-f', '-' ],
		'<', \$in, '>', \$out, '2>&1', IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));

	return sub {
		my ($sql) = @_;

		return $psql->finish unless defined $sql;
		($in, $out) = ("$sql;\n\\echo <end>\n", '');
		$psql->pump until $out =~ s/\n?<end>\n\z//;
		return $out;
	};
}

# The statements that PostgREST sends before a request with this token.
sub as_request
{
	my ($token, $role) = @_;
	$role //= 'authenticated';
	return "SELECT set_config('role', '$role', true), set_config('request.method', 'GET', true),"
	  . " set_config('request.headers', '{\"authorization\":\"Bearer $token\"}', true),"
	  . " set_config('request.cookies', '{}', true),"
	  . " set_config('request.jwt.claims', '{\"role\":\"$role\"}', true);";
}

sub slurp_log
{
	my ($node) = @_;
	return slurp_file($node->logfile);
}

1;
