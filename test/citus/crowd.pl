# crowd.pl
#	Many users at once, for run.sh.  Reads tokens from the file TOKENS names: a line for each
#	user, name and token.
#
#	crowd.pl session SEED N			prints N transactions for psql, whose answers tell on themselves
#	crowd.pl judge FILE...			of what psql has answered: checks made, foreign rows, rows missing
#	crowd.pl requests URL N DIR		prints N requests for curl --config, to be answered in DIR
#	crowd.pl judge-requests N DIR	the same of those

use strict;
use warnings FATAL => 'all';

my %token;
my @users;
my $rows_of_a_user = 20;

sub read_tokens
{
	open my $file, '<', $ENV{TOKENS} or die "$ENV{TOKENS}: $!";
	while (<$file>)
	{
		my ($user, $token) = split;
		$token{$user} = $token;
		push @users, $user;
	}
}

sub one_of { return $_[ int(rand(@_)) ]; }

sub headers { return '{"authorization":"Bearer ' . $token{ $_[0] } . '"}'; }

my $n_checks = 0;
my $prefix;

# The rows that are seen, by one way or another, and then who sees them.
sub check
{
	my ($in_block) = @_;
	my $id = $prefix . $n_checks++;
	my $seen = "SELECT 'rows', '$id', count(*), count(DISTINCT user_id), min(user_id) FROM";
	my @ways = (
		"$seen notes;",
		"$seen tags;",
		"$seen org_notes;",
		"$seen (SELECT n.user_id FROM notes n JOIN tags t USING (user_id, id)) AS x;",
		"$seen (WITH x AS MATERIALIZED (SELECT * FROM notes) SELECT * FROM x) AS y;");

	push @ways, "SET LOCAL citus.force_max_query_parallelization = on;\n$ways[0]\nSET LOCAL citus.force_max_query_parallelization = off;",
	  "SAVEPOINT d; WITH gone AS (DELETE FROM notes RETURNING user_id) $seen gone; ROLLBACK TO d;"
	  if $in_block;
	print one_of(@ways), "\n";
	print $in_block ? "SELECT 'uid', '$id', coalesce(clerk.uid(), '');\n" : "SELECT 'any', '$id';\n";
}

# Ways to sign in, out, or as somebody else.
sub sign_in
{
	my $user = one_of(@users);

	print one_of(
		"SELECT FROM clerk.authenticate('$token{$user}');",
		"SELECT FROM clerk.authenticate(NULL);",
		"SELECT FROM set_config('request.headers', '" . headers($user) . "', true), clerk.pre_request();",
		"SELECT FROM set_config('request.headers', '" . headers($user) . "', true);",
		"SELECT FROM set_config('clerk.token', '', true); SELECT FROM set_config('request.headers', '" . headers($user) . "', true);",
		"SELECT FROM set_config('request.headers', '', true); SELECT FROM set_config('clerk.token', '$token{$user}', true);",
		"SELECT FROM set_config('clerk.token', '$token{$user}', true);",
		"SET LOCAL clerk.token = '$token{$user}';",
		"SELECT FROM set_config('request.headers', '', true); SELECT FROM set_config('clerk.token', '', true);",
		"DO \$\$ BEGIN PERFORM clerk.authenticate('$token{$user}'); EXCEPTION WHEN division_by_zero THEN NULL; END \$\$;",
		"DO \$\$ BEGIN PERFORM clerk.authenticate('$token{$user}'); PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN NULL; END \$\$;"),
	  "\n";
}

# What goes wrong, and is taken back.
sub mishap
{
	print "SAVEPOINT m;\n";
	sign_in() if rand() < 0.5;
	check(1) if rand() < 0.3;
	print one_of(
		'SELECT count(1 / (length(user_id) - length(user_id))) FROM notes;',
		'SELECT 1 / 0;',
		"SELECT FROM clerk.authenticate('bad');",
		"INSERT INTO notes VALUES (1000000, 'user_of_nobody', '');",
		"SET LOCAL statement_timeout = '3ms'; SELECT count(pg_sleep(0.01)) FROM notes;",
		'SELECT 1;'), "\n";
	print one_of('ROLLBACK TO m;', 'ROLLBACK TO m; RELEASE m;'), "\n";
}

sub transaction
{
	my $role = one_of(qw(authenticated authenticated authenticated editor anon));
	my @steps = (\&sign_in, \&sign_in, \&mishap, sub { check(1) }, sub { check(1) },
		sub { print "SAVEPOINT s;\n"; sign_in(); check(1) if rand() < 0.5; print one_of('RELEASE s;', 'ROLLBACK TO s;'), "\n"; });

	print "BEGIN; SET LOCAL ROLE $role;\n";
	check(1) if rand() < 0.2;
	sign_in();
	$steps[ int(rand(@steps)) ]->() for 1 .. 1 + int(rand(5));
	check(1);
	poison(rand() < 0.5) if rand() < 0.1;
	print one_of('COMMIT;', 'COMMIT;', 'ROLLBACK;'), "\n";
}

# Leaves an identity on the connections to the workers, which others use next.
sub poison
{
	my $user = one_of(@users);

	print one_of(
		"SELECT count(set_config('clerk.token', '$token{$user}', false)) FROM notes;",
		"SELECT count(set_config('request.headers', '" . headers($user) . "', false)) FROM notes;",
		"SELECT count(set_config('application_name', 'psql', false)) FROM notes;"), "\n";
}

sub session
{
	my ($seed, $n) = @_;

	read_tokens();
	srand($seed);
	$prefix = "$seed.";
	for (1 .. $n)
	{
		transaction();
		if (rand() < 0.1)
		{
			print 'SET ROLE authenticated; ', rand() < 0.5 ? '' : "SET clerk.token = '$token{one_of(@users)}';", "\n";
			check(0);
		}
		print "DISCARD ALL;\n" if rand() < 0.05;
		print "RESET ROLE; RESET clerk.token;\n";
	}
}

# Rows whose statement failed are not there, and prove nothing.
sub judge
{
	my (%uid, %any, $n, $n_none, $n_foreign, $n_few);

	$n = $n_none = $n_foreign = $n_few = 0;
	for my $file (@_)
	{
		my %rows;

		open my $answers, '<', $file or die "$file: $!";
		while (<$answers>)
		{
			chomp;
			my ($what, $id, @answer) = split /\|/, $_, -1;

			next unless defined $id;
			$rows{$id} = [@answer] if $what eq 'rows';
			next unless ($what eq 'uid' || $what eq 'any') && $rows{$id};
			my ($count, $users, $user) = @{ $rows{$id} };
			my $uid = $what eq 'uid' ? $answer[0] : '';

			$n++;
			$n_none++ if $count == 0;
			if ($users > 1 || ($users == 1 && $user ne $uid))
			{
				$n_foreign++;
				print STDERR "# $file, check $id: $uid sees $count rows of $users users, $user\n";
			}
			elsif ($what eq 'uid' && $count != ($uid eq '' ? 0 : $rows_of_a_user))
			{
				$n_few++;
				print STDERR "# $file, check $id: $uid sees $count rows\n";
			}
		}
	}
	print "$n checks, $n_none of nobody, $n_foreign foreign, $n_few with too few\n";
	return $n > 0 && $n_foreign == 0 && $n_few == 0;
}

sub user_of_request { return $_[0] % (@users + 1) < @users ? $users[ $_[0] % (@users + 1) ] : ''; }

sub requests
{
	my ($url, $n, $dir) = @_;

	read_tokens();
	for my $i (1 .. $n)
	{
		my $user = user_of_request($i);
		my $table = (qw(notes tags org_notes))[ $i % 3 ];

		print "next\n" if $i > 1;
		print "url = \"$url/$table?select=user_id\"\noutput = \"$dir/$i\"\nsilent\n";
		print "header = \"Authorization: Bearer $token{$user}\"\n" if $user ne '';
	}
}

sub judge_requests
{
	my ($n, $dir) = @_;
	my ($n_foreign, $n_few) = (0, 0);

	read_tokens();
	for my $i (1 .. $n)
	{
		my $user = user_of_request($i);
		my $answer = do { local (@ARGV, $/) = "$dir/$i"; <> } // '';
		my @seen = $answer =~ /"user_id":"(\w+)"/g;

		$n_foreign++ if grep { $_ ne $user } @seen;
		$n_few++, print STDERR "# request $i of '$user': $answer\n"
		  if @seen != ($user eq '' ? 0 : $rows_of_a_user) || $answer !~ /^\[/;
	}
	print "$n requests, $n_foreign with foreign rows, $n_few with too few\n";
	return $n_foreign == 0 && $n_few == 0;
}

my ($what, @arguments) = @ARGV;
my %commands = (
	'session' => sub { session(@_); 1 },
	'judge' => \&judge,
	'requests' => sub { requests(@_); 1 },
	'judge-requests' => \&judge_requests);
exit($commands{$what}->(@arguments) ? 0 : 1);
