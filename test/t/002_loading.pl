# 002_loading.pl
#	The library may be loaded at the first call, in the middle of PostgREST's transaction, or
#	before any session or backend starts; what was set before it counts all the same, except
#	for what nobody had the right to set.  And it lives beside a module that has defined its
#	settings already.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin;
use ClerkTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('loading', "max_parallel_workers_per_gather = 2\n");
my ($alice, $bob) = (vector('alice'), vector('bob'));
my $trusted = '{"iss":"' . vector('issuer_a') . '","sub":"user_alice","exp":4102444800}';

$node->safe_psql(
	'postgres', q{
	CREATE TABLE notes AS SELECT i AS id, CASE WHEN i % 2 = 0 THEN 'user_alice' ELSE 'user_bob' END AS user_id
		FROM generate_series(1, 10000) AS i;
	ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
	CREATE POLICY own ON notes USING (user_id = clerk.uid());
	GRANT SELECT ON notes TO anon, authenticated;
	CREATE FUNCTION indirectly() RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS 'BEGIN RETURN clerk.uid(); END';
	CREATE FUNCTION is_mine(text) RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL SAFE COST 10000
		AS 'BEGIN RETURN $1 = clerk.uid(); END';
	CREATE TABLE shared_notes AS SELECT * FROM notes;
	ALTER TABLE shared_notes SET (parallel_workers = 2);
	GRANT SELECT ON shared_notes TO authenticated;
	ANALYZE});

# Two requests on one connection, as PostgREST sends them, and one without a token.
sub pooled_requests
{
	my ($how) = @_;
	my $answers = $node->safe_psql('postgres',
			'BEGIN;' . as_request($alice) . "SELECT clerk.uid(), (SELECT count(*) FROM notes), (SELECT string_agg(DISTINCT user_id, ' ') FROM notes); COMMIT;"
		  . 'BEGIN READ ONLY;' . as_request($bob) . "SELECT clerk.uid(), (SELECT count(*) FROM notes), (SELECT string_agg(DISTINCT user_id, ' ') FROM notes); COMMIT;"
		  . "BEGIN; SELECT set_config('role', 'anon', true), set_config('request.headers', '{}', true); SELECT clerk.uid(), (SELECT count(*) FROM notes); COMMIT;"
		  . "SELECT clerk.uid(), current_setting('request.headers')");
	my @rows = grep { /^user_|^\|/ } split /\n/, $answers;

	is_deeply(\@rows,
		[ 'user_alice|5000|user_alice', 'user_bob|5000|user_bob', '|0', '|' ],
		"requests on a pooled connection, $how");
}

pooled_requests('loaded at the first call');

# within a savepoint, which takes back what was set in it
is( $node->safe_psql('postgres',
		"BEGIN; SET LOCAL clerk.token = '$alice'; SAVEPOINT s; SET LOCAL clerk.token = '$bob';"
		  . ' SELECT clerk.uid(); ROLLBACK TO s; SELECT clerk.uid(); COMMIT; SELECT clerk.uid()'),
	"user_bob\nuser_alice\n",
	'loaded within a savepoint');

# What could not have been set with the library loaded is not taken over from before it.
sub cannot_trust
{
	my ($how, %options) = @_;
	my ($ret, $stdout, $stderr) = $node->psql(
		'postgres', ($options{sql} // '')
		  . "SET request.jwt.claims = '$trusted'; SELECT coalesce(clerk.uid(), 'nobody'), current_setting('clerk.trust_request_claims')",
		on_error_stop => 0,
		extra_params => [ '-U', 'authenticator' ]);

	is($stdout, 'nobody|off', "clerk.trust_request_claims is not to be had by $how");
}

cannot_trust('SET before the library is loaded', sql => 'SET clerk.trust_request_claims = on;');
cannot_trust('SET LOCAL', sql => 'BEGIN; SET LOCAL clerk.trust_request_claims = on;');
{
	local $ENV{PGOPTIONS} = '-c clerk.trust_request_claims=on';
	cannot_trust('startup options');
}
is( $node->safe_psql(
		'postgres',
		"SET clerk.trust_request_claims = on; SET request.jwt.claims = '$trusted'; SELECT clerk.uid()"),
	'user_alice',
	q{but a superuser's SET before the library is loaded counts});
$node->safe_psql('postgres', 'ALTER ROLE authenticator SET clerk.trust_request_claims = on');
is( $node->safe_psql('postgres', "SET request.jwt.claims = '$trusted'; SELECT clerk.uid()",
		extra_params => [ '-U', 'authenticator' ]),
	'user_alice',
	'and so does ALTER ROLE by a superuser');
$node->safe_psql('postgres', 'ALTER ROLE authenticator RESET ALL');

# Parallel workers, also when the first call is in one of them.
my $parallel = 'SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;'
  . ' SET parallel_leader_participation = off;';
like(
	$node->safe_psql('postgres', "$parallel EXPLAIN SELECT count(*) FROM shared_notes WHERE is_mine(user_id)"),
	qr/Workers Planned: 2/, 'the plan is parallel');
for my $setting ('clerk.token', 'request.jwt')
{
	is( $node->safe_psql('postgres',
			"$parallel SET $setting = '$alice'; SELECT count(*) FROM shared_notes WHERE is_mine(user_id)"),
		'5000', "first call in a parallel worker, $setting");
}
is( $node->safe_psql('postgres',
		"$parallel SET request.jwt = '$alice'; SELECT count(*) FROM shared_notes WHERE is_mine(user_id); SELECT indirectly(); SET request.jwt = '$bob'; SELECT indirectly(), count(*) FROM shared_notes WHERE is_mine(user_id)"),
	"5000\nuser_alice\nuser_bob|5000",
	'and the leader goes on from there');
# what was set in this transaction, and what was not, is so in a worker, too
is( $node->safe_psql('postgres',
		"$parallel SELECT indirectly(); SET clerk.token = '$alice'; SELECT count(*) FROM shared_notes WHERE is_mine(user_id);"
		  . " SET request.method = 'GET'; SELECT count(*) FROM shared_notes WHERE is_mine(user_id);"
		  . " BEGIN; SET LOCAL clerk.token = '$bob'; SELECT count(*) FROM shared_notes WHERE is_mine(user_id);"
		  . " SAVEPOINT a; RESET clerk.token; SELECT count(*) FROM shared_notes WHERE is_mine(user_id); ROLLBACK TO a;"
		  . ' SELECT count(*) FROM shared_notes WHERE is_mine(user_id); COMMIT; SELECT count(*) FROM shared_notes WHERE is_mine(user_id)'),
	"\n5000\n0\n5000\n0\n5000\n0",
	'a token that was left over is none in a parallel worker');
for my $set ('', 'SET clerk.set_in_transaction = 63;', 'SELECT indirectly(); SET clerk.set_in_transaction = 63;')
{
	local $ENV{PGOPTIONS} = '-c clerk.set_in_transaction=63' unless $set;
	my ($ret, $stdout, $stderr) = $node->psql('postgres',
		"$set SELECT indirectly(); SET clerk.token = '$alice'; SET request.method = 'GET'; $parallel SELECT count(*) FROM shared_notes WHERE is_mine(user_id)",
		on_error_stop => 0);

	like($stdout, qr/^0$/m, 'and nobody can say it is not: ' . ($set || 'options of the connection'));
}

# Another module has defined the settings already.
my $taker = "$ENV{CLERK_MODULES}/settings_taker.so";
SKIP:
{
	skip 'no module that takes the settings', 4 unless -e $taker;
	for my $order ("'$taker, clerk_rls'", "'$taker'")
	{
		$node->append_conf('postgresql.conf', "session_preload_libraries = $order");
		$node->reload;
		pooled_requests("with request.headers taken, session_preload_libraries = " . ($order =~ s/'.*\//'/r));
		is( $node->safe_psql('postgres', qq{
			DO \$\$
			DECLARE
				seen text[];
			BEGIN
				FOR i IN 1..2 LOOP
					PERFORM set_config('request.headers', '{"authorization":"$alice"}', true);
					seen := seen || clerk.uid() || (SELECT clerk.uid());
					PERFORM set_config('request.headers', '{"authorization":"$bob"}', true);
					seen := seen || clerk.uid() || (SELECT clerk.uid());
				END LOOP;
				PERFORM set_config('my.seen', seen::text, false);
			END \$\$;
			SELECT current_setting('my.seen')}),
			'{user_alice,user_alice,user_bob,user_bob,user_alice,user_alice,user_bob,user_bob}',
			'each change of a taken setting is seen');
	}
}

$node->append_conf('postgresql.conf', "session_preload_libraries = 'clerk_rls'");
$node->reload;
pooled_requests('session_preload_libraries');
cannot_trust('SET with session_preload_libraries', sql => 'SET clerk.trust_request_claims = on;');

$node->append_conf('postgresql.conf', "session_preload_libraries = ''\nshared_preload_libraries = 'clerk_rls'");
$node->restart;
pooled_requests('shared_preload_libraries');
is($node->safe_psql('template1', 'SELECT 1'), '1', 'a database without the extension');

done_testing();
