# 014_pools.pl
#	Users who take turns on one server connection behind PgBouncer, in transaction and in
#	statement mode, 10,000 requests each: nobody ever sees another's row, and whoever has no
#	token sees none.  Skipped where there is no pgbouncer.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin;
use ClerkTest;
use PostgreSQL::Test::Utils;
use Test::More;

my ($pgbouncer) = grep { -x } map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin';
plan skip_all => 'there is no pgbouncer' unless $pgbouncer;

my $node = start_node('pools');
my $dir = $node->basedir;
my $issuer = vector('issuer_a');
my $n_users = 20;

$node->safe_psql('postgres', qq{
	CREATE TABLE notes (user_id text DEFAULT clerk.uid());
	INSERT INTO notes SELECT 'user_' || i FROM generate_series(1, $n_users) AS i;
	ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
	CREATE POLICY own ON notes TO authenticated USING (user_id = clerk.uid());
	GRANT SELECT ON notes TO authenticated;
	GRANT authenticated TO authenticator;
	CREATE FUNCTION is_seen(wanted text) RETURNS text LANGUAGE plpgsql AS \$\$
	BEGIN
		ASSERT (SELECT coalesce(string_agg(user_id, ' '), '') FROM notes) = wanted, 'another row is seen';
		ASSERT coalesce(clerk.uid(), '') = wanted, 'another user is seen';
		RETURN wanted;
	END \$\$;
});

# A pgbench script for each user, and one for nobody: what happens in a request, in one
# transaction or, with $separator, in one message.
sub write_scripts
{
	my ($mode, $begin, $separator, $end) = @_;
	my @files;

	for my $user (0 .. $n_users)
	{
		my $name = $user ? "user_$user" : '';
		my $token = $user ? "'" . mint(qq({"iss":"$issuer","sub":"$name","exp":4102444800})) . "'" : 'NULL';
		my $file = "$dir/$mode.$user.sql";

		# a policy's own way, and PostgREST's
		my $set = $user % 2
		  ? "SELECT clerk.authenticate($token)"
		  : "SELECT set_config('request.headers', json_build_object('x-clerk-token', $token)::text, true)";
		append_to_file($file, join($separator, "${begin}SET LOCAL ROLE authenticated", $set, "SELECT is_seen('$name')") . $end);
		push @files, '--file', $file;
	}
	return @files;
}

# for half a minute at most
sub wait_until
{
	my ($is_so) = @_;

	for (1 .. 600)
	{
		return if $is_so->();
		select undef, undef, undef, 0.05;
	}
	die 'it did not happen';
}

sub start_pgbouncer
{
	my ($mode) = @_;
	my $conf = "$dir/$mode.ini";

	# of its own: who is still stopping takes a socket away
	mkdir "$dir/$mode" or die;
	append_to_file($conf, "[databases]\npostgres = host=" . $node->host . ' port=' . $node->port . " user=authenticator\n"
		. "[pgbouncer]\npool_mode = $mode\ndefault_pool_size = 1\nauth_type = any\nlisten_addr =\nlisten_port = 6432\n"
		. "unix_socket_dir = $dir/$mode\nlogfile = $dir/$mode.log\npidfile = $dir/$mode.pid\n");
	system_or_bail($pgbouncer, '-q', '-d', $conf);
	# it goes into the background before it listens
	wait_until(sub { -S "$dir/$mode/.s.PGSQL.6432" });
}

sub stop_pgbouncer
{
	my ($mode) = @_;

	kill 'INT', slurp_file("$dir/$mode.pid") + 0;
	wait_until(sub { !-e "$dir/$mode.pid" });
}

# In statement mode a message is a transaction, and BEGIN is refused.
my %scripts = (
	transaction => [ 'BEGIN;', ";\n", ";\nCOMMIT;\n" ],
	statement => [ '', " \\;\n", ";\n" ]);
for my $mode (sort keys %scripts)
{
	my @files = write_scripts($mode, @{ $scripts{$mode} });

	start_pgbouncer($mode);
	local $ENV{PGHOST} = "$dir/$mode";
	local $ENV{PGPORT} = 6432;
	my ($stdout, $stderr) = run_command(
		[ 'pgbench', '-n', '-c', '10', '-t', '1000', '-M', $mode eq 'statement' ? 'simple' : 'extended', @files, 'postgres' ]);
	like($stdout, qr{processed: 10000/10000}, "$mode mode: 10,000 requests");
	unlike($stderr, qr/another|ERROR/, "$mode mode: nobody saw another's row");
	is($node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE usename = 'authenticator'"), 1,
		"$mode mode: on one connection");
	stop_pgbouncer($mode);
}

done_testing();
