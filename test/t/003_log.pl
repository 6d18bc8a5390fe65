# 003_log.pl
#	No token appears in the server's log, at its most talkative, whatever goes wrong with it.
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

my $node = start_node('log', "log_statement = none\nlog_min_messages = debug5\nlog_error_verbosity = verbose\n");
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

done_testing();
