# 021_citus.pl
#	What Citus would be told, without Citus: a module stands in for it, as that keeps SET LOCAL
#	for the servers it connects to.  With Citus itself it is test/citus/run.sh.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin;
use ClerkTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $module = "$ENV{CLERK_MODULES}/citus_likeness.so";
plan skip_all => 'no module that stands in for Citus' unless -e $module;

my $node = start_node('citus', "session_preload_libraries = '$module'\ncitus.propagate_set_commands = 'local'");
my ($alice, $bob) = map { vector($_) } qw(alice bob);
my @names = qw(clerk.token request.method request.headers request.jwt request.cookies request.jwt.claims);

# What a new connection is sent: how many SET LOCAL, and the values they leave.
sub told
{
	my ($session) = @_;
	my $text = $session->('SHOW citus_likeness.told');
	my (%value, $n);

	while ($text =~ /\GSET LOCAL (\S+) (?:TO|=) E?'((?:[^']|'')*)';+/gc)
	{
		$value{$1} = $2;
		$n++;
	}
	return ($n // 0, \%value);
}

# Says that the settings which are not empty are these, and that all are there.
sub is_told
{
	my ($session, $wanted, $name, $n_wanted) = @_;
	my ($n, $value) = told($session);
	my %got = map { defined $value->{$_} ? ($_ => $value->{$_}) : ($_ => 'not told') } @names;
	my %all = map { $_ => $wanted->{$_} // '' } @names;

	is_deeply(\%got, \%all, $name);
	is($n, $n_wanted, "$name: $n_wanted SET LOCAL") if defined $n_wanted;
}

my $session = open_session($node);
my %request = (
	'request.method' => 'GET',
	'request.headers' => qq({"authorization":"Bearer $alice"}),
	'request.cookies' => '{}',
	'request.jwt.claims' => '{"role":"authenticated"}');

$session->('BEGIN;' . as_request($alice) . 'SELECT clerk.pre_request()');
is_told($session, \%request, 'a request', @names + 0);
$session->('SELECT count(*) FROM pg_class; SELECT clerk.uid()');
is_told($session, \%request, 'nothing new', @names + 0);
$session->("SELECT set_config('clerk.token', '$alice', true)");
is_told($session, \%request, 'set_config() alone tells nothing', @names + 0);
$session->('SELECT 1');
is_told($session, { %request, 'clerk.token' => $alice }, 'the next statement does', 2 * @names);
$session->('COMMIT');
is((told($session))[0], 0, 'nothing is left');

$session->("BEGIN; SELECT clerk.pre_request()");
is_told($session, {}, 'an anonymous request', @names + 0);
$session->("SELECT clerk.authenticate('$alice')");
is_told($session, { 'clerk.token' => $alice }, 'authenticate()', 2 * @names + 1);
$session->('SELECT clerk.authenticate(NULL)');
is_told($session, {}, 'signed out');
$session->("SELECT clerk.authenticate('$alice'); SAVEPOINT a; SELECT clerk.authenticate('$bob'); RELEASE a");
is_told($session, { 'clerk.token' => $alice }, 'a released savepoint is forgotten');
$session->('SELECT 1');
is_told($session, { 'clerk.token' => $bob }, 'and told again');
$session->("SAVEPOINT a; SELECT clerk.authenticate('$alice'); ROLLBACK TO a; SELECT 1");
is_told($session, { 'clerk.token' => $bob }, 'a savepoint that was rolled back');
like($session->("SAVEPOINT b; SELECT clerk.authenticate('bad')"), qr/token-invalid/, 'an error');
$session->('ROLLBACK TO b; SELECT 1');
is_told($session, { 'clerk.token' => $bob }, 'after an error');
$session->("DO \$\$ BEGIN PERFORM clerk.authenticate('$alice'); EXCEPTION WHEN division_by_zero THEN NULL; END \$\$; SELECT 1");
is_told($session, { 'clerk.token' => $alice }, 'in a block with EXCEPTION');
$session->("DO \$\$ BEGIN PERFORM clerk.authenticate('$bob'); PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN NULL; END \$\$; SELECT 1");
is_told($session, { 'clerk.token' => $alice }, 'in one that failed');
$session->("CREATE FUNCTION pg_temp.nobody() RETURNS int LANGUAGE sql SET clerk.token = '' AS 'SELECT 1'; SELECT pg_temp.nobody(); SELECT 1");
is_told($session, { 'clerk.token' => $alice }, 'after a function with a setting of its own');
$session->("CREATE PROCEDURE pg_temp.nothing() LANGUAGE sql AS ''; SELECT set_config('clerk.token', '$bob', true); CALL pg_temp.nothing()");
is_told($session, { 'clerk.token' => $bob }, 'before CALL');
$session->("PREPARE one AS SELECT 1; DECLARE c CURSOR FOR SELECT 1; SELECT set_config('clerk.token', '$alice', true); FETCH c");
is_told($session, { 'clerk.token' => $alice }, 'before FETCH');
$session->("SELECT set_config('clerk.token', '$bob', true); EXECUTE one");
is_told($session, { 'clerk.token' => $bob }, 'before EXECUTE');
$session->("SET LOCAL citus.propagate_set_commands = 'none'; SELECT clerk.authenticate('$alice'); SET LOCAL citus.propagate_set_commands = 'local'; SELECT 1");
is_told($session, { 'clerk.token' => $alice }, 'as soon as Citus listens again');
$session->("SET request.headers = '{\"x\": \"it''s \\\\ E''\"}'; SELECT 1");
is_told($session, { 'clerk.token' => $alice, 'request.headers' => "{\"x\": \"it''s \\\\\\\\ E''\"}" }, 'whatever is in a value');
$session->('ROLLBACK');

# In a function outside of a transaction block.
$session->(qq(
	CREATE FUNCTION two() RETURNS text LANGUAGE plpgsql AS \$\$ BEGIN
		PERFORM clerk.authenticate('$alice'); PERFORM set_config('clerk.token', '$bob', true);
		PERFORM 1 FROM pg_class; RETURN current_setting('citus_likeness.told'); END \$\$));
like($session->('SELECT two()'), qr/.*SET LOCAL clerk.token TO '\Q$bob\E'/s, 'in a function');
is((told($session))[0], 0, 'nothing is left');
is($session->("SELECT count(*) FROM pg_class WHERE relname = 'pg_class'"), '1', 'a statement of its own');
$session->();

# Nothing of it where Citus does not want it, but what authenticate() always does.
for my $setting ('none', undef)
{
	$node->append_conf('postgresql.conf', defined $setting ? "citus.propagate_set_commands = '$setting'" : '');
	$node->adjust_conf('postgresql.conf', 'citus.propagate_set_commands', undef) unless defined $setting;
	$node->restart;
	my $what = $setting // 'absent';
	my $other = open_session($node);

	$other->('BEGIN;' . as_request($alice) . 'SELECT clerk.pre_request(); SELECT 1');
	is((told($other))[0], 0, "citus.propagate_set_commands is $what");
	$other->("SELECT clerk.authenticate('$alice')");
	is((told($other))[0], 1, "authenticate() where it is $what");
	$other->();
}

# What a pooled connection had before is not the request's, and telling it does not make it so.
$node->append_conf('postgresql.conf', "citus.propagate_set_commands = 'local'");
$node->restart;
$session = open_session($node);
$session->("SELECT clerk.uid(); SET clerk.token = '$alice'; BEGIN; SELECT 1");
is_told($session, { 'clerk.token' => $alice }, 'a token of the session, outside of a request');
$session->("SELECT set_config('request.headers', '{}', true), set_config('request.method', 'GET', true); SELECT clerk.pre_request()");
is_told($session, { 'request.headers' => '{}', 'request.method' => 'GET' }, 'and in one');
is($session->('SELECT clerk.uid() IS NULL; ROLLBACK'), 't', 'signs nobody in');
$session->();

#
# The other end: a connection that Citus has made, and keeps for whoever comes next.
#
$node->safe_psql('postgres', qq(
	CREATE TABLE notes AS SELECT 'user_alice' AS user_id, n FROM generate_series(1, 20000) AS n;
	ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
	CREATE POLICY own ON notes USING (user_id = clerk.uid());
	GRANT SELECT ON notes TO anon;
	ANALYZE notes));

sub connection_of_citus
{
	my ($prelude) = @_;

	local $ENV{PGAPPNAME} = 'citus_internal gpid=10000000001';
	my $connection = open_session($node);
	$connection->($prelude) if $prelude;
	return $connection;
}

my $trust = 'SET clerk.trust_request_claims = on';
my %left = (
	'clerk.token' => $alice,
	'request.headers' => qq({"authorization":"Bearer $alice"}),
	'request.jwt' => $alice,
	'request.jwt.claims' => '{"iss":"' . vector('issuer_a') . '","sub":"user_alice","sid":"sess_alice","exp":4102444800,"iat":1700000000,"nbf":1700000000}');

for my $loaded (0, 1)
{
	for my $setting (sort keys %left)
	{
		my $what = $setting . ($loaded ? '' : ', before the library is loaded');
		my $connection = connection_of_citus($loaded ? 'SELECT clerk.uid()' : undef);

		$connection->($trust) if $setting eq 'request.jwt.claims';
		is($connection->("BEGIN; SET LOCAL $setting = '$left{$setting}'; SELECT clerk.uid(); COMMIT"),
			'user_alice', "for this transaction: $what");
		is($connection->('SELECT clerk.uid()'), '', 'and no longer');
		$connection->("SET $setting = '$left{$setting}'");
		is($connection->('SELECT clerk.uid()'), '', "left behind: $what");
		is($connection->('BEGIN; SELECT clerk.uid(); COMMIT'), '', 'in a block');
		is($connection->("BEGIN; SAVEPOINT a; SET LOCAL $setting = ''; ROLLBACK TO a; SELECT clerk.uid(); COMMIT"), '', 'after a savepoint');
		is($connection->("SET application_name = 'psql'; SELECT clerk.uid()"), '', 'by whatever name');
		is($connection->("SET ROLE anon; SELECT count(*) FROM notes"), '0', 'in a plan');
		is($connection->("SET min_parallel_table_scan_size = 0; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;"
				  . 'SET parallel_leader_participation = off; SELECT count(*) FROM notes'), '0', 'in parallel workers');
		$connection->();
	}
}

my $connection = connection_of_citus("SET clerk.token = '$alice'; SELECT clerk.uid()");
like($connection->('EXPLAIN (COSTS OFF) SELECT count(*) FROM notes'), qr/Seq Scan on notes/, 'as a superuser all are seen');
is($connection->("BEGIN; SET LOCAL clerk.token = '$bob'; SELECT clerk.uid(); SAVEPOINT a; SET LOCAL clerk.token = '$alice'; SELECT clerk.uid();"
		  . 'ROLLBACK TO a; SELECT clerk.uid(); ROLLBACK; SELECT clerk.uid()'),
	"user_bob\nuser_alice\nuser_bob\n", 'savepoints');
is($connection->("BEGIN; SET LOCAL request.jwt.claims = '$left{'request.jwt.claims'}'; SET LOCAL clerk.token = '$bob'; SELECT clerk.uid(); ROLLBACK"),
	'', 'two identities');
is($connection->("SELECT set_config('request.jwt.claims', '$left{'request.jwt.claims'}', false) IS NULL;"
		  . "BEGIN; SET LOCAL clerk.token = '$bob'; SELECT clerk.uid(); ROLLBACK"), "f\nuser_bob", 'claims that are left are nobody\'s');
$connection->();

my $client = open_session($node);
is($client->("SET clerk.token = '$alice'; SELECT clerk.uid()"), 'user_alice', 'a client keeps its session');
$client->();

# The statements of clients are in the log, ours are not.
unlike(slurp_log($node), qr/SET LOCAL \S+ TO/, 'no token in the log');
done_testing();
