# 018_stats.pl
#	clerk.stats counts every token once for each request, over all sessions, exactly also when many
#	count at a time; nothing a client sends makes it larger; a database and a server count for
#	themselves, from the start on.  Before PostgreSQL 17 only where the library is preloaded.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin;
use ClerkTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('stats', "wal_level = replica\nhot_standby = on\nmax_wal_senders = 5\nmax_parallel_workers_per_gather = 2\n");
my $has_segments = $node->safe_psql('postgres', 'SHOW server_version_num') >= 170000;
my $issuer = vector('issuer_a');
my ($alice, $forged) = (vector('alice'), vector('forged'));

# As text, without what cannot be known before.
sub stats
{
	my ($server, $database) = @_;

	return $server->safe_psql($database // 'postgres',
		q{SELECT string_agg(concat_ws(' ', regexp_replace(coalesce(issuer, 'none'), '^https://clerk\.([^.]*).*', '\1'), reason, tokens), ', ' ORDER BY issuer, reason COLLATE "C") FROM clerk.stats});
}

# A request of PostgREST's, on a connection of its own unless there is one.
sub request
{
	my ($token, $sql) = @_;

	return $node->psql('postgres', 'BEGIN;' . as_request($token) . ($sql // 'SELECT clerk.uid()') . '; COMMIT');
}

# without the library being preloaded
request($alice);
request($alice);
is(stats($node), $has_segments ? 'example verified 2' : '', 'not preloaded');
my $without_since = $node->safe_psql('postgres', 'SELECT count(*) FROM clerk.stats WHERE since IS NULL OR since > now()');
is($without_since, 0, 'it says since when');

$node->append_conf('postgresql.conf', "shared_preload_libraries = 'clerk_rls'");
$node->restart;
is(stats($node), '', 'preloaded: nothing yet');

# once for each request, whatever it does
$node->safe_psql('postgres', q{
	CREATE TABLE notes AS SELECT i AS id, 'user_alice' AS user_id FROM generate_series(1, 1000) AS i;
	ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
	CREATE POLICY own ON notes USING (user_id = clerk.uid());
	GRANT SELECT ON notes TO authenticated, anon;
	ALTER TABLE notes SET (parallel_workers = 2)});
request($alice, 'SELECT clerk.pre_request(); SELECT count(*) FROM notes; SELECT clerk.mapped_id(), clerk.uid(), clerk.has_role($$admin$$)');
is(stats($node), 'example verified 1', 'a request with several statements, and a row for each');
request($alice,
	'SET LOCAL parallel_setup_cost = 0; SET LOCAL parallel_tuple_cost = 0; SET LOCAL min_parallel_table_scan_size = 0; SELECT count(*) FROM notes');
is(stats($node), 'example verified 2', 'parallel workers do not count');
request($forged, 'SELECT count(*) FROM notes; SELECT count(*) FROM notes; SELECT clerk.uid()');
is(stats($node), 'example token-invalid-signature 1, example verified 2', 'a refused one counts once, though it is asked for in each statement');
request($alice, "SET LOCAL ROLE none; SELECT clerk.uid(); SAVEPOINT s; SELECT clerk.revoke_user('user_alice'); SELECT clerk.uid(); ROLLBACK TO s; SELECT clerk.uid()");
is(stats($node), 'example token-invalid-signature 1, example user-revoked 1, example verified 4', 'and again when the answer is another');

# each reason, at the door and in policies; and whose tokens these are
my $session = open_session($node);
$session->("SET clerk.token = '" . vector($_) . "'; SELECT clerk.uid()")
  for qw(expired unknown_kid alg_none issuer_foreign issuer_missing azp_other pending);
$session->("SELECT clerk.verify('" . vector('not_yet') . "')");
$session->("SELECT clerk.verify('x')");
$session->('RESET clerk.token; SELECT clerk.uid()');
my $all = 'example jwk-kid-mismatch 1, example session-pending 1, example token-expired 1, example token-invalid-algorithm 1, '
  . 'example token-invalid-signature 1, example token-not-active-yet 1, example user-revoked 1, example verified 5, '
  . 'none token-invalid 1, none token-invalid-issuer 2';
is(stats($node), $all, 'each reason by its code, and nobody is no token');

# what a session does with its settings, and its end, takes nothing back
$session->('DISCARD ALL; RESET ALL; BEGIN; ROLLBACK');
is($session->("SELECT count(*) > 5 FROM clerk.stats"), 't', 'a session that has discarded all sees them');
$session->(undef);
is(stats($node), $all, 'and its end takes nothing back');

# unsigned claims are no token
$node->safe_psql('postgres', "SET clerk.trust_request_claims = on; SET request.jwt.claims = '{\"iss\":\"$issuer\",\"sub\":\"user_alice\",\"exp\":4102444800}'; SELECT clerk.uid()");
is(stats($node), $all, 'claims that are trusted are no token');

# while tokens of an old template count as another's, they are counted apart from those of others
$node->safe_psql('postgres', "UPDATE clerk.instances SET legacy_template_until = now() + interval '1 hour'");
request(vector('legacy'));
$all =~ s/(?=example token-invalid-signature)/example token-invalid-issuer 1, /;
is(stats($node), $all, 'a token of an old template');

# a hostile client
$node->safe_psql('postgres', q{
	DO $$
	DECLARE
		header text := translate(encode(convert_to('{"alg":"RS256","kid":"k' || gen_random_uuid() || '"}', 'UTF8'), 'base64'), E'+/=\n', '-_');
	BEGIN
		FOR i IN 1..2000 LOOP
			PERFORM set_config('clerk.token', header || '.' || translate(encode(convert_to(
				'{"iss":"https://' || gen_random_uuid() || '.example","sub":"u","exp":4102444800}', 'UTF8'), 'base64'), E'+/=\n', '-_') || '.AAAA', true);
			PERFORM clerk.uid();
		END LOOP;
	END $$}, extra_params => [ '-U', 'authenticator' ]);
is(stats($node), $all =~ s/token-invalid-issuer 2/token-invalid-issuer 2002/r, '2000 issuers that are not registered are one row');

# who may look
for my $role ('anon', 'authenticated')
{
	my (undef, undef, $stderr) = $node->psql('postgres', "SET ROLE $role; SELECT * FROM clerk.stats");
	like($stderr, qr/permission denied/, "not $role");
	(undef, undef, $stderr) = $node->psql('postgres', "SET ROLE $role; SELECT * FROM clerk_internal.count_tokens()");
	like($stderr, qr/permission denied/, "nor past the view");
}
is($node->safe_psql('postgres', 'CREATE ROLE watcher; GRANT pg_monitor TO watcher; SET ROLE watcher; SELECT count(*) FROM clerk.stats'), 11, 'but pg_monitor');

# another database
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', 'CREATE EXTENSION clerk_rls;' . load_instance() . "SET clerk.token = '$alice'; SELECT clerk.uid()");
is(stats($node, 'other'), 'example verified 1', 'another database counts for itself');

# a standby
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$standby->safe_psql('postgres', "SET clerk.token = '$alice'; SELECT clerk.uid()");
is(stats($standby), 'example verified 1', 'a standby counts for itself');
$standby->stop;

# many at a time, all of whom look for a slot at first: no token is lost, and no slot is taken twice
my $since = $node->safe_psql('postgres', 'SELECT DISTINCT since FROM clerk.stats');
$node->restart;
is(stats($node), '', 'a restart begins anew');
my $script = PostgreSQL::Test::Utils::tempdir() . '/request.sql';
append_to_file($script, "BEGIN;\nSET LOCAL clerk.token = '$alice';\nSELECT clerk.uid();\nSET LOCAL clerk.token = '$forged';\nSELECT clerk.uid();\nSET LOCAL clerk.token = '"
	  . vector('issuer_foreign') . "';\nSELECT clerk.uid();\nCOMMIT;\n");
$node->command_ok([ 'pgbench', '-n', '-C', '-c', '8', '-j', '2', '-t', '10', '-f', $script, 'postgres' ], '8 clients, reconnecting');
$node->command_ok([ 'pgbench', '-n', '-c', '8', '-j', '2', '-t', '500', '-f', $script, 'postgres' ], '8 clients, on their connections');
is(stats($node), 'example token-invalid-signature 4080, example verified 4080, none token-invalid-issuer 4080', 'are counted exactly');
is($node->safe_psql('postgres', "SELECT bool_and(since > '$since') FROM clerk.stats"), 't', 'since the restart');

# more instances than there are slots
$node->safe_psql('other', q{INSERT INTO clerk.instances (issuer) SELECT 'https://clerk.' || i || '.example' FROM generate_series(1, 200) AS i});
my $claims = q('{"sub":"u","exp":4102444800,"iss":"https://clerk.' || i || '.example"}');
$node->safe_psql('other', qq{
	DO \$\$
	BEGIN
		FOR i IN 1..200 LOOP
			PERFORM set_config('clerk.token', 'eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.' || translate(encode(convert_to($claims, 'UTF8'), 'base64'), E'+/=\\n', '-_') || '.AAAA', true);
			PERFORM clerk.uid();
		END LOOP;
	END \$\$});
is($node->safe_psql('other', 'SELECT count(*), sum(tokens), sum(tokens) FILTER (WHERE issuer = $$(others)$$) FROM clerk.stats'), '127|200|74',
	'instances beyond 128 count together');
is(stats($node) =~ s/^\(others\) jwk-kid-mismatch 74, //r, 'example token-invalid-signature 4080, example verified 4080, none token-invalid-issuer 4080',
	'and those that were there go on');

# where there is no memory to be had, requests go on, and the log says why nothing counts
SKIP:
{
	skip 'no named segments before PostgreSQL 17', 3 unless $has_segments;
	$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\ndynamic_shared_memory_type = mmap");
	$node->restart;
	chmod 0500, $node->data_dir . '/pg_dynshmem' or die;
	is($node->safe_psql('postgres', "SET clerk.token = '$alice'; SELECT clerk.uid(); SELECT count(*) FROM clerk.stats"), "user_alice\n0",
		"no memory, try $_") for 1, 2;
	chmod 0700, $node->data_dir . '/pg_dynshmem' or die;
	like(slurp_log($node), qr/LOG:  tokens of this session are not counted in clerk\.stats\n.*DETAIL:  could not.*\n(?!.*STATEMENT)/,
		'and the log says so, without the statement');
}

done_testing();
