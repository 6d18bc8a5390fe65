# 013_replica.pl
#	A hot standby answers like the primary, and takes in what happens there as soon as it has
#	replayed it, in sessions that had the token cached, also within a transaction; promoted, it
#	goes on.  And a database that gets the tables by logical replication.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin;
use ClerkTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = start_node('primary', "wal_level = logical\nmax_wal_senders = 10\nhot_standby = on\nautovacuum = off\n");
my $issuer = vector('issuer_a');
my $alice = vector('alice');

$primary->safe_psql('postgres', q{
	CREATE TABLE notes (id int, user_id text);
	INSERT INTO notes VALUES (1, 'user_alice'), (2, 'user_bob');
	ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
	CREATE POLICY own ON notes USING (user_id = clerk.uid());
	GRANT SELECT ON notes TO authenticated;
});
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

# What the primary does, once the standby has replayed it.
sub on_primary
{
	my ($sql) = @_;

	$primary->safe_psql('postgres', $sql);
	$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
}

my $ask = open_session($standby);
my $who = "SELECT coalesce(clerk.uid(), 'nobody')";
my $why = "SELECT split_part(detail, ':', 1) FROM clerk.diagnose() WHERE outcome = 'fail'";

$ask->("SET clerk.token = '$alice'");
is($ask->($who), 'user_alice', 'a standby verifies');
is($ask->("SET ROLE authenticated; SELECT id FROM notes; RESET ROLE"), 1, 'and policies answer');
like($ask->('SELECT clerk.mapped_id()'), qr/^[0-9a-f-]{36}$/, 'there is a local id, though nothing can be written');
is($ask->("BEGIN; SELECT clerk.authenticate('$alice'); COMMIT"), 'user_alice', 'authenticate()');
like($ask->('SELECT clerk.verify(\'' . vector('forged') . '\')'), qr/ERROR:  token-invalid-signature/, 'a forged token');
is($ask->('SELECT clerk.pre_request()'), '', 'pre_request()');
like($ask->("SELECT clerk.revoke_user('user_alice')"), qr/ERROR:  cannot execute INSERT in a read-only transaction/,
	'what writes says so');

# in a transaction that is open, and in between
$ask->('BEGIN');
is($ask->($who), 'user_alice', 'in a transaction');
on_primary("SELECT clerk.revoke_session('sess_alice')");
is($ask->($who), 'nobody', 'a revocation on the primary counts in it');
is($ask->($why), 'session-revoked', 'and is the reason');
on_primary("SELECT clerk.unrevoke('sess_alice')");
is($ask->($who), 'user_alice', 'until it is taken back');
$ask->('COMMIT');
on_primary("SELECT clerk.map_id('user_alice', '11111111-1111-4111-8111-111111111111')");
is($ask->('SELECT clerk.mapped_id()'), '11111111-1111-4111-8111-111111111111', 'the mapping');
on_primary('CREATE TABLE saved AS TABLE clerk.jwks; DELETE FROM clerk.jwks');
is($ask->($who), 'nobody', 'a key that was removed');
on_primary('BEGIN; INSERT INTO clerk.jwks SELECT * FROM saved; ROLLBACK');
is($ask->($who), 'nobody', 'and one that was rolled back');
on_primary('INSERT INTO clerk.jwks SELECT * FROM saved');
is($ask->($who), 'user_alice', 'and one that is back');
on_primary("UPDATE clerk.instances SET authorized_parties = '{https://else.example}'");
is($ask->($why), 'token-invalid-authorized-parties', 'the parties of the instance');
on_primary('UPDATE clerk.instances SET authorized_parties = NULL');
is($ask->($who), 'user_alice', 'and back');
$ask->("SET clerk.token = '" . mint(qq({"iss":"$issuer","sub":"user_alice","exp":4102444800}), 'ins_new') . "'");
is($ask->($why), 'jwk-kid-mismatch', 'a token with an unknown key, of which nothing can be written down');
$ask->("SET clerk.token = '$alice'");

$standby->promote;
is($ask->($who), 'user_alice', 'after its promotion');
is($ask->("SELECT clerk.revoke_user('user_alice'); $who"), "\nnobody", 'it revokes');
is($ask->("SELECT clerk.unrevoke('user_alice'); $who"), "\nuser_alice", 'and takes that back');
$ask->(undef);

# logical replication into another database, by a worker that fires no ordinary trigger
$primary->safe_psql('postgres', 'CREATE DATABASE copy');
$primary->safe_psql('postgres', 'CREATE TABLE replicated (id int PRIMARY KEY)');
$primary->safe_psql('copy', q{
	CREATE EXTENSION clerk_rls;
	CREATE TABLE replicated (id int PRIMARY KEY, applied_as text);
	CREATE FUNCTION note_who() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.applied_as := coalesce(clerk.uid(), 'nobody'); RETURN NEW; END $$;
	CREATE TRIGGER note_who BEFORE INSERT ON replicated FOR EACH ROW EXECUTE FUNCTION note_who();
	ALTER TABLE replicated ENABLE ALWAYS TRIGGER note_who;
});
$primary->safe_psql('postgres',
	"CREATE PUBLICATION clerk FOR TABLE clerk.instances, clerk.jwks, clerk.revocations, clerk.id_map, clerk.user_profiles (clerk_id, issuer, payload), replicated;
	SELECT pg_create_logical_replication_slot('clerk', 'pgoutput')");
$primary->safe_psql('copy', "CREATE SUBSCRIPTION clerk CONNECTION '" . $primary->connstr('postgres') =~ s/'//gr
	. "' PUBLICATION clerk WITH (create_slot = false, slot_name = 'clerk')");
$primary->wait_for_subscription_sync($primary, 'clerk', 'copy');

# Whether a session of the copy answers so within the time that replication may take.
my $copy = open_session($primary, 'copy');
sub copy_answers
{
	my ($wanted, $name, $query) = @_;
	my $answer;

	for (1 .. 200)
	{
		$answer = $copy->($query // $who);
		last if $answer eq $wanted;
		select undef, undef, undef, 0.05;
	}
	is($answer, $wanted, $name);
}
$copy->("SET clerk.token = '$alice'");
copy_answers('user_alice', 'instances and keys were copied');
copy_answers('11111111-1111-4111-8111-111111111111', 'the mapping', 'SELECT clerk.mapped_id()');
$primary->safe_psql('postgres', "SELECT clerk.revoke_user('user_alice')");
copy_answers('nobody', 'a revocation that was replicated counts in a session that is open');
$primary->safe_psql('postgres', "SELECT clerk.unrevoke('user_alice')");
copy_answers('user_alice', 'until it is taken back');
$primary->safe_psql('postgres', 'DELETE FROM clerk.jwks');
copy_answers('nobody', 'so does a key that is removed');
is($copy->(q{SELECT string_agg(DISTINCT concat_ws(' ', object, action, key), ', ') FROM clerk.key_changes WHERE object <> 'instances'}),
	'jwks DELETE ins_a, jwks INSERT ins_a, revocations DELETE user_alice, revocations INSERT user_alice', 'and all of it was noted');
$primary->safe_psql('postgres', "SET clerk.token = '$alice'; INSERT INTO replicated VALUES (1)");
copy_answers('nobody', 'a worker that applies changes is nobody', 'SELECT applied_as FROM replicated');
$copy->(undef);
$primary->safe_psql('copy', 'DROP SUBSCRIPTION clerk');

done_testing();
