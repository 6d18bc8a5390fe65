# 024_model.pl
#	A random walk of several sessions that set and take back tokens, open and end transactions and
#	savepoints, and ask in every way there is, while an administrator revokes, retires, deletes and
#	drops; a model of what PostgreSQL and this extension promise says each answer.
#
#	CLERK_SEED repeats a walk, CLERK_STEPS makes it longer.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin;
use ClerkTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{CLERK_SEED} // 20261125;
my $n_steps = $ENV{CLERK_STEPS} // 1500;
srand $seed;

my $node = start_node('model');
my ($issuer_a, $issuer_b) = (vector('issuer_a'), vector('issuer_b'));
$node->safe_psql('postgres', qq{
	SELECT clerk.add_instance('$issuer_b');
	SELECT clerk.load_jwks('$issuer_b', '} . vector('jwks_b') . qq{');
	CREATE TABLE saved_instances AS SELECT * FROM clerk.instances;
	CREATE TABLE saved_keys AS SELECT * FROM clerk.jwks;
	CREATE TABLE notes AS SELECT unnest('{user_alice,user_bob,user_carol}'::text[]) AS user_id;
	ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
	CREATE POLICY own ON notes USING (user_id = clerk.uid());
	GRANT SELECT ON notes TO authenticated;
	CREATE FUNCTION expression() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN clerk.uid(); END';
	CREATE FUNCTION query() RETURNS text LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT clerk.uid() FROM pg_class LIMIT 1); END';
	CREATE FUNCTION parallel_safe() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE RETURN (SELECT clerk.uid());
	CREATE FUNCTION as_role() RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET work_mem = '1MB' AS 'BEGIN RETURN clerk.uid(); END';
	CREATE FUNCTION caught() RETURNS text LANGUAGE plpgsql AS \$\$
	BEGIN
		PERFORM set_config('clerk.token', 'garbage', true), 1 / 0;
	EXCEPTION WHEN division_by_zero THEN
		RETURN clerk.uid();
	END \$\$;
	CREATE FUNCTION with_own() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN clerk.uid(); END';
	ALTER FUNCTION with_own() SET clerk.token = '} . vector('carol') . q{';
});

# Tokens by their user, and the instance and the session of each.
my %tokens = map { $_ => vector($_) } qw(alice bob carol);
my %instance = (alice => $issuer_a, bob => $issuer_a, carol => $issuer_b);
my @settings = qw(clerk.token request.headers request.jwt request.method);
my @names = ('alice', 'alice', 'alice', 'bob', 'carol', '', '', '');

# What the database says: committed, and what the administrator's transaction will have changed.
my %world = (instances => { $issuer_a => 1, $issuer_b => 1 }, keys => { $issuer_a => 1, $issuer_b => 1 }, revoked => {});
my $pending;

sub copy { my ($of) = @_; return ref $of eq 'HASH' ? { map { $_ => copy($of->{$_}) } keys %$of } : ref $of eq 'ARRAY' ? [ map { copy($_) } @$of ] : $of; }
sub pick { return $_[ int rand @_ ] }

# A session has for each setting: the value now, whether it was set in this transaction, and
# the value that a COMMIT leaves.  What a savepoint or a transaction gives back is a copy of these.
sub new_session
{
	my $ask = open_session($node);

	$ask->('PREPARE who AS SELECT clerk.uid()');
	return { ask => $ask, settings => { map { $_ => { now => '', local => 0, stays => '' } } @settings }, before => undef, savepoints => [], cursor => 0, failed => 0 };
}

# Who is signed in, by the promises?
sub expected
{
	my ($session, $token_of_function) = @_;
	my %now = map { $_ => $session->{settings}{$_}{now} } @settings;
	my $is_request = grep { $now{$_} ne '' } qw(request.headers request.jwt request.method);
	my $token_counts = $session->{settings}{'clerk.token'}{local} || !$is_request;
	my @candidates;

	push @candidates, $token_of_function ? $token_of_function : $token_counts ? $now{'clerk.token'} : ();
	push @candidates, $now{'request.headers'}, $now{'request.jwt'};
	@candidates = grep { $_ ne '' && $world{instances}{ $instance{$_} } } @candidates;
	my $user = shift @candidates // return '';
	return '' unless $world{keys}{ $instance{$user} };
	return '' if $world{revoked}{"user_$user"} || $world{revoked}{"sess_$user"};
	return '' if grep { $_ ne $user } @candidates;
	return "user_$user";
}

sub value
{
	my ($setting, $name) = @_;

	return $name if $name eq '';
	return '{"authorization":"Bearer ' . $tokens{$name} . '"}' if $setting eq 'request.headers';
	return $setting eq 'request.method' ? 'GET' : $tokens{$name};
}

# Sets, as the session does it and as the model sees it.
sub set
{
	my ($session) = @_;
	my $setting = pick('clerk.token', @settings);
	my $name = pick(@names);
	my $local = $session->{before} && rand() < 0.5;
	my $value = value($setting, $name);
	my $reset = $name eq '' && pick(0, 1);
	my $sql =
	    $reset ? ($local ? "SET LOCAL $setting TO DEFAULT" : pick("RESET $setting", "SET $setting TO DEFAULT"))
	  : pick(0, 1) ? 'SET ' . ($local ? 'LOCAL ' : '') . "$setting = '$value'"
	  : "SELECT FROM set_config('$setting', '$value', " . ($local ? 'true' : 'false') . ')';
	my $state = $session->{settings}{$setting};

	$state->{now} = $name;
	$state->{local} = $session->{before} && !$reset ? 1 : 0;
	$state->{stays} = $name unless $local;
	return $sql;
}

sub begin
{
	my ($session) = @_;

	$session->{before} = copy($session->{settings});
	return pick('BEGIN', 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'BEGIN READ ONLY');
}

sub end
{
	my ($session) = @_;
	my $commits = !$session->{failed} && pick(0, 1);

	if ($commits)
	{
		$_ = { now => $_->{stays}, local => 0, stays => $_->{stays} } for values %{ $session->{settings} };
	}
	else
	{
		$session->{settings} = $session->{before};
	}
	$session->{$_} = undef for qw(before failed cursor);
	$session->{savepoints} = [];
	return $commits ? 'COMMIT' : 'ROLLBACK';
}

sub savepoint
{
	my ($session) = @_;

	push @{ $session->{savepoints} }, { settings => copy($session->{settings}), cursor => $session->{cursor} };
	return 'SAVEPOINT s' . @{ $session->{savepoints} };
}

sub rollback_to
{
	my ($session) = @_;
	my $savepoints = $session->{savepoints};
	my $n = 1 + int rand @$savepoints;
	my $saved = $savepoints->[ $n - 1 ];

	$session->{settings} = copy($saved->{settings});
	$session->{cursor} = $saved->{cursor};
	$session->{failed} = 0;
	splice @$savepoints, $n;
	return "ROLLBACK TO s$n";
}

sub release
{
	my ($session) = @_;
	my $n = 1 + int rand @{ $session->{savepoints} };

	splice @{ $session->{savepoints} }, $n - 1;
	return "RELEASE s$n";
}

# All ways to ask; undef: not what this one is.
sub question
{
	my ($session) = @_;
	my @ways = ('SELECT clerk.uid()', 'EXECUTE who', 'SELECT expression()', 'SELECT query()', 'SELECT as_role()', 'SELECT (SELECT clerk.uid())',
		"SELECT coalesce(clerk.jwt() ->> 'sub', '')", 'SELECT max(parallel_safe()) FROM pg_class', 'SELECT caught()', 'SELECT with_own()',
		"BEGIN; SET LOCAL role = authenticated; SELECT coalesce(max(user_id), '') FROM notes; COMMIT");

	pop @ways if $session->{before};
	push @ways, 'FETCH 1 FROM c' x 1 if $session->{cursor};
	my $way = pick(@ways);
	# what is local to a transaction is so in that one too
	return ($way, expected($session, $way =~ /with_own/ ? 'carol' : undef));
}

# What the administrator does, and what it makes of the world.
sub administrate
{
	my $target = $pending // \%world;
	my $issuer = pick($issuer_a, $issuer_b);
	my $id = pick('user_alice', 'user_bob', 'user_carol', 'sess_alice', 'sess_bob');
	my $revoked = pick(undef, sort keys %{ $target->{revoked} });
	my $has = $target->{instances}{$issuer};

	return ('BEGIN', sub { $pending = copy(\%world) }) if !$pending && rand() < 0.2;
	return @{ pick([ 'COMMIT', sub { %world = %$pending; $pending = undef } ], [ 'ROLLBACK', sub { $pending = undef } ]) } if $pending && rand() < 0.3;
	return ("SELECT FROM clerk.unrevoke('$revoked')", sub { delete $target->{revoked}{$revoked} }) if defined $revoked && rand() < 0.8;
	my @ways = ([ "SELECT FROM clerk." . ($id =~ /^user/ ? 'revoke_user' : 'revoke_session') . "('$id')", sub { $target->{revoked}{$id} = 1 } ]);
	if ($has)
	{
		push @ways, [ "DELETE FROM clerk.jwks WHERE issuer = '$issuer'", sub { $target->{keys}{$issuer} = 0 } ],
		  [ "SELECT FROM clerk.drop_instance('$issuer')", sub { $target->{instances}{$issuer} = $target->{keys}{$issuer} = 0 } ],
		  [ "UPDATE clerk.jwks SET expires_at = now() - interval '1 hour' WHERE issuer = '$issuer'", sub { $target->{keys}{$issuer} = 0 } ],
		  ([ "DELETE FROM clerk.jwks WHERE issuer = '$issuer'; INSERT INTO clerk.jwks SELECT * FROM saved_keys WHERE issuer = '$issuer'", sub { $target->{keys}{$issuer} = 1 } ]) x 8;
	}
	else
	{
		push @ways, ([ "INSERT INTO clerk.instances SELECT * FROM saved_instances WHERE issuer = '$issuer'; INSERT INTO clerk.jwks SELECT * FROM saved_keys WHERE issuer = '$issuer'",
			sub { $target->{instances}{$issuer} = $target->{keys}{$issuer} = 1 } ]) x 6;
	}
	return @{ pick(@ways) };
}

# The last steps, with names for the tokens.
sub shown
{
	my @last = @_ > 60 ? @_[ -60 .. -1 ] : @_;
	my $shown = join "\n", @last;

	$shown =~ s/\Q$tokens{$_}\E/$_/g for keys %tokens;
	return $shown;
}

my @sessions = map { new_session() } 1 .. 3;
my $admin = open_session($node);
my (@history, %answers);
my $wrong = 0;

for my $step (1 .. $n_steps)
{
	last if $wrong;
	if (rand() < 0.12)
	{
		my ($sql, $change) = administrate();
		my $output = $admin->($sql);

		push @history, "admin: $sql";
		$output eq '' or die "$sql: $output";
		$change->();
		next;
	}
	my $n = int rand @sessions;
	my $session = $sessions[$n];
	my $sql;

	if ($session->{failed}) { $sql = @{ $session->{savepoints} } && pick(0, 1, 1) ? rollback_to($session) : end($session); }
	elsif (rand() < 0.4)
	{
		($sql, my $wanted) = question($session);
		my $answer = $session->{ask}->($sql);

		push @history, "$n: $sql -- $wanted";
		$answers{ $wanted }++;
		next if $answer eq $wanted;
		$wrong = 1;
		diag("step $step: $sql answers '$answer'");
		diag(shown(@history));
		next;
	}
	elsif (rand() < 0.55) { $sql = set($session); }
	elsif (!$session->{before}) { $sql = begin($session); }
	elsif (rand() < 0.1) { $sql = 'SELECT 1 / 0'; $session->{failed} = 1; }
	elsif (rand() < 0.15 && !$session->{cursor}) { $sql = 'DECLARE c CURSOR FOR SELECT clerk.uid() FROM generate_series(1, 100000)'; $session->{cursor} = 1; }
	elsif (rand() < 0.45) { $sql = savepoint($session); }
	elsif (@{ $session->{savepoints} } && rand() < 0.7) { $sql = pick(0, 1) ? rollback_to($session) : release($session); }
	else { $sql = end($session); }
	push @history, "$n: $sql";
	my $output = $session->{ask}->($sql);
	$output eq '' || $output =~ /division by zero/ or die "$sql: $output\n" . shown(@history);
}
ok(!$wrong, "$n_steps steps answer as the model says (CLERK_SEED=$seed)");
cmp_ok($answers{$_} // 0, '>', $n_steps / 100, ($_ || 'nobody') . ' ' . ($answers{$_} // 0) . ' times') for '', qw(user_alice user_bob user_carol);
$_->{ask}->(undef) for @sessions;
$admin->(undef);

done_testing();
