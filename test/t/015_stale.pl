# 015_stale.pl
#	What changes meanwhile counts in sessions that have the token cached: settings that are
#	reloaded, the extension dropped and created again, revocations seen by cursors, prepared
#	statements, PL/pgSQL and parallel workers; and processes that are nobody's session ask without
#	harm.  What isolation specs can show is in test/specs.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin;
use ClerkTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('stale', "autovacuum_naptime = 1\nautovacuum_analyze_threshold = 1\n");
my ($issuer, $alice) = (vector('issuer_a'), vector('alice'));
my $who = "SELECT coalesce(clerk.uid(), 'nobody')";
my $ask = open_session($node);
sub change { $node->safe_psql('postgres', $_[0]) }

# revocations
$ask->("SET clerk.token = '$alice'");
$ask->("PREPARE who AS $who");
$ask->(q{CREATE FUNCTION in_plpgsql() RETURNS text LANGUAGE plpgsql AS $$
	DECLARE simple text := clerk.uid(); BEGIN RETURN coalesce(simple || (SELECT clerk.uid()), 'nobody'); END $$});
$ask->('BEGIN');
$ask->("DECLARE c CURSOR FOR SELECT coalesce(clerk.uid(), 'nobody') FROM generate_series(1, 10)");
sub all_ways { join ' ', map { $ask->($_) } $who, 'EXECUTE who', 'FETCH 1 FROM c', 'SELECT in_plpgsql()' }
is(all_ways(), 'user_alice user_alice user_alice user_aliceuser_alice', 'a token that is cached');
for my $id (qw(sess_alice user_alice))
{
	my $revoke = $id =~ /^sess/ ? 'revoke_session' : 'revoke_user';

	change("SELECT clerk.$revoke('$id')");
	is(all_ways(), 'nobody nobody nobody nobody', "$revoke() counts within a transaction, for cursors too");
	change("BEGIN; SELECT clerk.unrevoke('$id'); ROLLBACK");
	is($ask->($who), 'nobody', 'what takes it back and is rolled back does not');
	change("SELECT clerk.unrevoke('$id')");
	is(all_ways(), 'user_alice user_alice user_alice user_aliceuser_alice', 'what takes it back does');
}
$ask->('COMMIT');

# parallel workers
change(q{CREATE TABLE many AS SELECT CASE WHEN i % 2 = 0 THEN 'user_alice' ELSE 'user_bob' END AS user_id FROM generate_series(1, 20000) AS i;
	ALTER TABLE many SET (parallel_workers = 2)});
$ask->('SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET parallel_leader_participation = off');
like($ask->('EXPLAIN SELECT count(*) FROM many WHERE user_id = clerk.uid()'), qr/Workers Planned/, 'a parallel plan');
is($ask->('SELECT count(*) FROM many WHERE user_id = clerk.uid()'), 10000, 'parallel workers know the user');
change("SELECT clerk.revoke_user('user_alice')");
is($ask->('SELECT count(*) FROM many WHERE user_id = clerk.uid()'), 0, 'and a revocation');
change("SELECT clerk.unrevoke('user_alice')");

# settings that are reloaded
sub reload
{
	change("LOAD 'clerk_rls'; ALTER SYSTEM $_[0]");
	$node->reload;
	select undef, undef, undef, 0.5;
}
$ask->("SET clerk.token = ''; SET request.jwt.claims = '{\"iss\":\"$issuer\",\"sub\":\"user_carol\",\"exp\":4102444800}'");
is($ask->($who), 'nobody', 'claims without a token');
reload('SET clerk.trust_request_claims = on');
is($ask->($who), 'user_carol', 'are trusted once that is set');
reload('RESET clerk.trust_request_claims');
is($ask->($who), 'nobody', 'and no longer when it is not');
$ask->("RESET request.jwt.claims; SET clerk.token = '$alice'");

# the extension itself
is($ask->('EXECUTE who'), 'user_alice', 'before');
change('DROP FUNCTION in_plpgsql; DROP EXTENSION clerk_rls');
like($ask->($who), qr/ERROR:  function clerk.uid\(\) does not exist/, 'without the extension');
change('CREATE EXTENSION clerk_rls');
is($ask->($who), 'nobody', 'created again, it knows nobody');
is($ask->('EXECUTE who'), 'nobody', 'nor in a prepared statement');
change("SELECT clerk.add_instance('$issuer'); SELECT clerk.load_jwks('$issuer', '" . vector('jwks_a') . "')");
is($ask->($who), 'user_alice', 'until it has the keys');
is($ask->('EXECUTE who'), 'user_alice', 'in a prepared statement as well');

# autovacuum's worker, for an index on what asks
change(q{CREATE FUNCTION asks(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN coalesce(clerk.uid(), 'nobody') || $1; END $$;
	CREATE INDEX ON many (asks(user_id)); UPDATE many SET user_id = user_id;});
$node->poll_query_until('postgres', "SELECT last_autoanalyze IS NOT NULL FROM pg_stat_user_tables WHERE relname = 'many'")
  or die 'autovacuum does not come';
is($ask->($who), 'user_alice', 'autovacuum asks without harm');
unlike(slurp_log($node), qr/PANIC|terminated by signal/, 'nothing has crashed');
$ask->(undef);

done_testing();
