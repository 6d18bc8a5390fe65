# 003_log.pl
#	No token and no secret appears in the server's log, at its most talkative, whatever goes wrong
#	with it.
#	(log_statement, log_min_duration_statement and, for the extended protocol, DEBUG2 make the
#	server log what clients send, whatever it is; so does a debug message of PostgreSQL's own
#	while a dynamic statement with a literal token is its context, so that case is tried at
#	the usual level.  Tokens belong into parameters.)

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin;
use ClerkTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('log', "log_statement = none\nlog_min_duration_statement = -1\nlog_min_messages = debug5\n"
	  . "log_error_verbosity = verbose\nshared_preload_libraries = 'pg_stat_statements'\npg_stat_statements.track = all\n");
my @names = qw(alice bob expired forged issuer_foreign alg_none payload_nul four_parts machine tampered);
my $offset = -s $node->logfile;
my $errors = '';

for my $name (@names)
{
	my $token = vector($name);

	for my $sql ("SELECT clerk.verify('$token')", "SELECT clerk.authenticate('$token')",
		'BEGIN;' . as_request($token) . 'SELECT clerk.pre_request(); COMMIT',
		'BEGIN;' . as_request($token) . 'SELECT clerk.uid(), clerk.jwt(); SELECT * FROM clerk.diagnose(); COMMIT',
		"SET clerk.token = '$token'; SELECT clerk.uid(); SELECT * FROM clerk.diagnose('$token')",
		"SET clerk.token = '$token'; SET request.jwt = '" . vector('bob') . "'; SELECT clerk.uid(), clerk.pre_request()",
		"SET log_min_messages = warning; DO \$\$ BEGIN PERFORM clerk.verify('$token'); EXCEPTION WHEN OTHERS THEN RAISE NOTICE 'seen: %', sqlerrm; END \$\$",
		"SET log_min_messages = warning; DO \$\$ BEGIN EXECUTE 'SELECT clerk.authenticate(''$token'')'; END \$\$")
	{
		my ($ret, $stdout, $stderr) = $node->psql('postgres', $sql);

		# the context of an error may show the client its own statement
		$errors .= $stderr =~ s/^CONTEXT:.*//msr;
	}
}

unlike($errors, qr/eyJ|user_(?:alice|bob)/, 'no token and no user id in an error');

my $log = substr(slurp_log($node), $offset);
like($log, qr/PT401/, 'errors are logged');
my @signatures = map { (split /\./, vector($_))[2] // '' } @names;
is(scalar(grep { length $_ > 20 && index($log, $_) >= 0 } @signatures), 0, 'no signature in the log');
unlike($log, qr/eyJ[\w-]{20,}/, 'no part of a token in the log');
unlike($log, qr/user_(?:alice|bob)/, 'no user id in the log');


# Secrets and keys: given to the right function, to the wrong one, malformed, or twice.
my $issuer = vector('issuer_a');
my $secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
my %private = (
	'the secret of a webhook' => 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
	'a bad secret' => 'bm90IGEgc2VjcmV0',
	"Clerk's secret key" => 'c2VjcmV0IGtleSBvZiBDbGVyaw',
	'a private key' => (vector('jwk_a_private') =~ /"d":"([^"]{30})/)[0],
	'a private key in PEM form' => 'MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v',
	"what a webhook says" => 'secret_name');
my ($private_jwk, $ts) = (vector('jwk_a_private'), time);
my $body = '{"type":"user.created","data":{"id":"user_carol","username":"secret_name"}}';

$offset = -s $node->logfile;
$errors = '';
for my $sql (
	"SELECT clerk.add_webhook_secret('$issuer', '$secret')", "SELECT clerk.add_webhook_secret('$issuer', '$secret')",
	"SELECT clerk.add_webhook_secret('https://other.example', '$secret')", "SELECT clerk.add_webhook_secret(NULL, '$secret')",
	"SELECT clerk.add_webhook_secret('$issuer', 'whsec_bm90IGEgc2VjcmV0!')", "SELECT clerk.add_webhook_secret('$issuer', 'bm90IGEgc2VjcmV0')",
	"SELECT clerk.drop_webhook_secret('$issuer', 'whsec_bm90IGEgc2VjcmV0')", "SELECT clerk.drop_webhook_secret('https://other.example', '$secret')",
	"SELECT clerk.add_instance('sk_test_c2VjcmV0IGtleSBvZiBDbGVyaw')",
	"SELECT clerk.load_jwks('$issuer', '{\"keys\":[$private_jwk]}')", "SELECT clerk.load_jwks('$issuer', '$private_jwk')",
	"SELECT clerk.load_jwks('https://other.example', '{\"keys\":[$private_jwk]}')",
	"SELECT clerk.load_pem('$issuer', '-----BEGIN PRIVATE KEY-----\n$private{'a private key in PEM form'}AAA=\n-----END PRIVATE KEY-----')",
	"SELECT clerk.verify_webhook('msg_1', '$ts', 'v1,AAAA', '$body')", "SELECT clerk.receive_webhook('msg_1', '$ts', 'v1,AAAA', '$body')",
	"SELECT clerk_internal.parse_event('$body,')", "DO \$\$ BEGIN PERFORM clerk.receive_webhook('msg_1', '$ts', 'v1,AAAA', 'x'); END \$\$",
	"UPDATE clerk.instances SET issuer = 'https://renamed.example'; UPDATE clerk.instances SET issuer = '$issuer'",
	"SELECT clerk.health(), clerk.pre_config()")
{
	my ($ret, $stdout, $stderr) = $node->psql('postgres', $sql);

	$errors .= $stderr;
}
$log = substr(slurp_log($node), $offset);
like($log, qr/this is not a signing secret/, 'errors of secrets are logged');
unlike($log, qr/STATEMENT:.*clerk\./, 'without their statements');
for my $what (sort keys %private)
{
	unlike($errors, qr/\Q$private{$what}\E/, "$what: in no error");
	unlike($log, qr/\Q$private{$what}\E/, "$what: not in the log");
}

# What else shows statements: pg_stat_statements has constants replaced, and the SET LOCAL that
# authenticate() makes is in neither; auto_explain shows what the client has sent, and no more.
is($node->safe_psql('postgres', qq{
	CREATE EXTENSION pg_stat_statements;
	SELECT pg_stat_statements_reset() IS NULL;
	SELECT clerk.authenticate('@{[ vector('alice') ]}') IS NULL, clerk.add_webhook_secret('$issuer', '$secret') IS NULL;
	SELECT count(*) FILTER (WHERE query ~ 'eyJ|whsec_'), count(*) > 0 FROM pg_stat_statements})
	  =~ s/.*\n//sr, '0|t', 'nothing in pg_stat_statements');

$offset = -s $node->logfile;
$node->safe_psql('postgres', qq{
	CREATE TABLE notes AS SELECT 'user_alice' AS user_id;
	ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
	CREATE POLICY own ON notes TO authenticated USING (user_id = clerk.uid());
	GRANT SELECT ON notes TO authenticated;
	BEGIN;
	SELECT clerk.authenticate('@{[ vector('alice') ]}');
	LOAD 'auto_explain';
	SET auto_explain.log_min_duration = 0;
	SET auto_explain.log_nested_statements = on;
	SET auto_explain.log_analyze = on;
	SET auto_explain.log_verbose = on;
	SET ROLE authenticated;
	SELECT clerk.uid(), count(*) FROM notes;
	SELECT clerk.jwt(), clerk.mapped_id();
	SELECT clerk.authenticate(NULL)});
$log = substr(slurp_log($node), $offset);
like($log, qr/Filter: .*clerk\.uid\(\)/, 'auto_explain has explained a policy');
unlike($log, qr/eyJ[\w-]{20,}|user_alice(?!' AS)/, 'without a token or a user id');

done_testing();
