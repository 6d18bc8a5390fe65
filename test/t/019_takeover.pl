# 019_takeover.pl
#	The first call may load the library in the middle of anything.  What was set and taken back
#	before that counts as if the library had been there all the time: each sequence of SET,
#	set_config(), RESET, DISCARD, savepoints and ends of transactions is run twice, once with
#	the library loaded before, and must then give the same answers.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin;
use ClerkTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{CLERK_SEED} // 14;
my $n_random = $ENV{CLERK_SEQUENCES} // 150;
srand $seed;

my $node = start_node('takeover');
my $default = mint('{"iss":"' . vector('issuer_a') . '","sub":"user_default","sid":"sess_d","iat":@now@,"exp":@now+3600@,"azp":"https://app.example.com"}');
my %tokens = (alice => vector('alice'), bob => vector('bob'), default => $default);
my @settings = qw(clerk.token request.headers request.jwt request.cookies);

sub value
{
	my ($setting, $who) = @_;
	my $token = $tokens{$who};

	return qq({"authorization":"$token"}) if $setting eq 'request.headers';
	return qq({"__session":"$token"}) if $setting eq 'request.cookies';
	return $token;
}

# cookies count for instances that say whose they are, and role defaulted brings something of each
$node->safe_psql('postgres', "UPDATE clerk.instances SET authorized_parties = '{https://app.example.com}'");
$node->safe_psql('postgres', 'CREATE ROLE defaulted LOGIN');
$node->safe_psql('postgres', "LOAD 'clerk_rls'; ALTER ROLE defaulted SET $_ = '" . value($_, 'default') . "'") for @settings;

my $probe = q{SELECT coalesce(clerk.uid(), 'nobody'), md5(concat(} . join(', ', map { "current_setting('$_', true), '|'" } @settings) . '))';

# A statement that gives a setting a value; local ones are of no use outside of transactions.
sub set
{
	my ($way, $setting, $who) = @_;
	my $value = value($setting, $who);

	return "SET $setting = '$value'" if $way eq 'SET';
	return "SET LOCAL $setting = '$value'" if $way eq 'SET LOCAL';
	return "SELECT set_config('$setting', '$value', false) IS NULL" if $way eq 'set_config';
	return "SELECT set_config('$setting', '$value', true) IS NULL";
}

my @sets = ('SET', 'SET LOCAL', 'set_config', 'set_config local');
my @resets = ('RESET %s', 'SET %s TO DEFAULT', 'SET LOCAL %s TO DEFAULT', 'RESET ALL', "SET %s = ''", "SELECT set_config('%s', '', true) IS NULL");
sub reset_by { my ($way, $setting) = @_; return $way =~ s/%s/$setting/r }

# A case is the user or the options of its connection, the statements before the first call, and those after it.
my @cases;
for my $setting (@settings)
{
	# they are all alike, so all ways for one
	for my $reset (map { reset_by($_, $setting) } $setting eq 'clerk.token' ? @resets : @resets[ 0, 3 ])
	{
		my ($alice, $bob) = map { set('SET', $setting, $_) } qw(alice bob);
		my $local = set('SET LOCAL', $setting, 'bob');

		for my $end ('COMMIT', 'ROLLBACK')
		{
			push @cases,
			  [ '', [ $alice, 'BEGIN', $reset ], [$end] ],
			  [ '', [ 'BEGIN', $alice, $reset ], [$end] ],
			  [ '', [ $alice, 'BEGIN', $reset, $local ], [ $end, 'RESET ALL' ] ],
			  [ '', [ $alice, 'BEGIN', 'SAVEPOINT a', $reset ], [ 'ROLLBACK TO a', $end ] ],
			  [ '', [ $alice, 'BEGIN', 'SAVEPOINT a', $reset, 'SAVEPOINT b', $local ], [ 'ROLLBACK TO b', 'RELEASE a', $end ] ],
			  [ '', [ 'BEGIN', $local, 'SAVEPOINT a', $reset, 'RELEASE a' ], [$end] ];
		}
		push @cases, [ '', [ $alice, $reset ], [$bob] ], [ '', [ $alice, 'DISCARD ALL' ], [] ];
		push @cases, [ "-c $setting=" . value($setting, 'alice'), [ $_, 'BEGIN', $reset ], [ 'COMMIT', $reset ] ]
		  for $bob, 'SELECT 1';
		push @cases, [ 'defaulted', [ $_, 'BEGIN', $reset ], [ 'COMMIT', 'RESET ALL', 'DISCARD ALL' ] ] for $bob, 'SELECT 1';
		push @cases, [ 'defaulted', [ $alice, 'BEGIN', $reset, $local ], [ 'COMMIT', 'RESET ALL' ] ];
	}
}

# Random ones, of statements that can be run where they stand.
sub random_case
{
	my ($in_transaction, $depth, @statements) = (0, 0);
	my $pick = sub { $_[ int rand @_ ] };
	my $n = 2 + int rand 12;

	while (@statements < $n)
	{
		my $setting = $pick->(@settings);
		my $kind = int rand 10;

		if ($kind < 4) { push @statements, set($pick->(@sets), $setting, $pick->('alice', 'bob')); }
		elsif ($kind < 6) { push @statements, reset_by($pick->(@resets), $setting); }
		elsif (!$in_transaction)
		{
			$in_transaction = $kind < 9;
			push @statements, $in_transaction ? 'BEGIN' : 'DISCARD ALL';
		}
		elsif ($kind == 6) { push @statements, 'SAVEPOINT s' . ++$depth; }
		elsif ($kind == 7 && $depth > 0) { push @statements, 'ROLLBACK TO s' . (1 + int rand $depth); $statements[-1] =~ /(\d+)$/; $depth = $1; }
		elsif ($kind == 8 && $depth > 0) { push @statements, 'RELEASE s' . (1 + int rand $depth); $statements[-1] =~ /(\d+)$/; $depth = $1 - 1; }
		else { push @statements, $pick->('COMMIT', 'ROLLBACK'); ($in_transaction, $depth) = (0, 0); }
	}
	my $first_call = 1 + int rand @statements;
	return [ $pick->('', '', 'defaulted'), [ @statements[ 0 .. $first_call - 1 ] ], [ @statements[ $first_call .. $#statements ] ] ];
}
push @cases, random_case() for 1 .. $n_random;

# What each case answers at its first call, and after each statement from there on.
sub answers
{
	my ($first) = @_;
	my $script = '';

	for my $case (@cases)
	{
		my ($options, $before, $after) = @$case;

		my $user = $options eq 'defaulted' ? ' user=defaulted' : '';

		$script .= "\\echo case\n\\setenv PGOPTIONS '" . ($options =~ /^-/ ? $options : '') . "'\n"
		  . '\c -reuse-previous=off "' . "dbname=postgres$user\"\n"
		  . join('', map { "$_;\n" } $first, "SET request.method = 'GET'", @$before, $probe, map { ($_, $probe) } @$after);
	}
	my ($stdout, $stderr);
	local ($ENV{PGHOST}, $ENV{PGPORT}) = ($node->host, $node->port);
	my $file = PostgreSQL::Test::Utils::tempdir() . '/script.sql';

	append_to_file($file, $script);
	IPC::Run::run([ 'psql', '-XAtq', '-d', 'postgres', '-f', $file ], '>', \$stdout, '2>', \$stderr) or die $stderr;
	my @answers = split /^case\n/m, $stdout;

	shift @answers;
	unlike($stderr, qr/ERROR|FATAL/, 'no statement fails');
	return @answers;
}

my @early = answers("SELECT '' FROM clerk.uid()");
my @late = answers("SELECT ''");
is(scalar @late, scalar @cases, 'each case has answered');
my @different = grep { $early[$_] ne $late[$_] } 0 .. $#cases;
is(scalar @different, 0, scalar(@cases) . " sequences answer as if the library had been loaded before (CLERK_SEED=$seed)");
for my $case (grep { defined } @different[ 0 .. 4 ])
{
	my ($options, $before, $after) = @{ $cases[$case] };
	my $shown = join ";\n", $options, @$before, '-- first call', @$after;

	$shown =~ s/\Q$tokens{$_}\E/$_/g for keys %tokens;
	diag("$shown\nearly:\n$early[$case]late:\n$late[$case]");
}
is(scalar(grep { /user_default/ } @early, @late), 0, 'ALTER ROLE signs nobody in');
cmp_ok(scalar(grep { /user_alice/ } @late), '>', 100, 'many sign somebody in');

done_testing();
