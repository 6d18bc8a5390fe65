# 020_operations.pl
#	What docs/operations.md says to run, run: doctor() in a script, the report, backup and
#	restore, the drills, each with what it is for (test/journeys runs the page from top to bottom).
#	And that its alerts ask for what its queries bring.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin;
use ClerkTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $document = slurp_file("$FindBin::Bin/../../docs/operations.md");
my $node = start_node('operations');
my $app = 'app';
$node->safe_psql('postgres', 'CREATE DATABASE app');
$node->safe_psql($app, 'CREATE EXTENSION clerk_rls; ' . load_instance());

sub blocks
{
	my ($title, $language) = @_;
	my ($section) = $document =~ /^## \Q$title\E\n(.*?)(?=^## |\z)/ms;

	return $section =~ /^```$language\n(.*?)^```/msg;
}

# Runs shell commands in $dir, with a curl that answers with a file; returns the exit code and both outputs.
my $dir = PostgreSQL::Test::Utils::tempdir;
append_to_file("$dir/curl", qq{#!/bin/sh\necho "\$*" >>"$dir/asked"\ncat "$dir/answer"\n});
chmod 0755, "$dir/curl" or die "chmod: $!";
append_to_file("$dir/answer", vector('jwks_a'));

sub run_shell
{
	my ($commands) = @_;
	my ($stdout, $stderr);

	local $ENV{PATH} = "$dir:$ENV{PATH}";
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	local $ENV{PGDATABASE} = $app;
	IPC::Run::run(['sh', '-euc', "cd $dir\n$commands"], '<', \'', '>', \$stdout, '2>', \$stderr);
	return ($? >> 8, $stdout, $stderr);
}

my $now = mint('{"iss":"' . vector('issuer_a') . '","sub":"user_2abc","sid":"sess_2abc","exp":4102444800}');
my $other = mint('{"iss":"' . vector('issuer_a') . '","sub":"user_2abc","sid":"sess_other","exp":4102444800}');
sub who
{
	my ($token) = @_;

	return $node->safe_psql($app, "SET clerk.token = '$token'; SELECT clerk.uid()");
}
is(who($now), 'user_2abc', 'somebody is signed in');

# before going live
my ($table, $line) = blocks('Before going live', 'sql');
like($node->safe_psql($app, $table), qr/^keys of https:\/\/clerk\.example\.com: 1 current, 0 retiring\|ok\|$/m, 'doctor() says what is right');
like($line, qr/\A[^\n]+\n\z/, 'the script is one line');
append_to_file("$dir/doctor.sql", $line);
my ($command) = $document =~ /`(psql [^`]*doctor\.sql)`/;
$node->safe_psql($app, 'CREATE TABLE open (id int); GRANT SELECT ON open TO anon');
my ($code, $stdout, $stderr) = run_shell($command);
is($code, 3, 'it fails where there is an error');
like($stderr, qr/not ready to go live\n.*audit: errors 1, warnings \d+: Each has a statement/s, 'and says which');
$node->safe_psql($app, 'DROP TABLE open');
($code, $stdout, $stderr) = run_shell($command);
is("$code $stderr", '0 ', 'and passes when there is none') or diag($node->safe_psql($app, $table));

# pg_hba.conf
my $hba = $node->data_dir . '/pg_hba.conf';
my $was = slurp_file($hba);
my $rules = q(SELECT "check", outcome FROM clerk.doctor() WHERE "check" ^@ 'pg_hba' ORDER BY 1);
sub hba
{
	my ($text) = @_;

	unlink $hba;
	append_to_file($hba, $text);
	return $node->safe_psql($app, $rules);
}
is(hba(<<'EOF'), <<'EOF' =~ s/\n\z//r, 'lines that let anybody in are found');
local all all trust
local replication all trust
host all all 10.0.0.0/8 trust
host all all 127.0.0.1/32 trust
host app anon 0.0.0.0/0 password
hostssl app anon 0.0.0.0/0 scram-sha-256
host all all 0.0.0.0/0 nonsense
EOF
pg_hba.conf, line 1: local all all trust|warning
pg_hba.conf, line 3: host all all 10.0.0.0 trust|error
pg_hba.conf, line 4: host all all 127.0.0.1 trust|warning
pg_hba.conf, line 5: host app anon 0.0.0.0 password|warning
pg_hba.conf, line 6: hostssl app anon 0.0.0.0 scram-sha-256|warning
pg_hba.conf, line 7|error
EOF
is(hba("local all all peer\nhost all all all scram-sha-256\n"), 'pg_hba.conf|ok', 'and that there is none');
unlink $hba;
append_to_file($hba, $was);

# the report
my ($report) = blocks('The report', 'sh');
is((run_shell($report))[0], 0, 'the report is made');
like(slurp_file("$dir/report.html"), qr/\A<!doctype html>.*<\/html>\n\z/s, 'and is whole');
$node->safe_psql($app, $_) for blocks('The report', 'sql');
like($node->safe_psql($app, 'SET ROLE operator; SELECT public.clerk_report()'), qr/<\/html>\z/, 'and its role sees it');

# Prometheus: the alerts are about metrics and reasons that there are
my ($collector, $alerts) = blocks('With Prometheus', 'yaml');
my ($counted) = $collector =~ /clerk_tokens_total\n.*?query: \|\n((?: {6}[^\n]*\n)+)/s;
like($node->safe_psql($app, $counted), qr/^https:\/\/clerk\.example\.com\|token-invalid-signature\|0$/m, 'what alerts ask for is 0 before it is 1');
my %metrics = map { $_ => 1 } $collector =~ /metric_name: (\w+)/g;
my ($prometheus) = $document =~ /^## With Prometheus\n(.*?)^## /ms;
my %asked = map { $_ => 1 } ($prometheus =~ s/```yaml\ncollector.*?```//sr) =~ /\b(clerk_\w+_(?:total|seconds))\b/g;
is_deeply(\%asked, \%metrics, 'the alerts ask for each metric, and no other');
my %reasons = map { $_ => 1 } slurp_file("$FindBin::Bin/../../src/core/status.c") =~ /"([a-z]+-[a-z-]+)[":]/g;
is_deeply([grep { !$reasons{$_} } $prometheus =~ /reason="([^"]+)"/g], [], 'and for reasons that there are');
my %rules = map { $_ => 1 } $alerts =~ /expr: (.*)/g;
my %cells = map { $_ => 1 } $prometheus =~ /^\| `(.*?)` \|/mg;
is_deeply([grep { !$cells{$_} } keys %rules], [], 'the rules are those of the table');

# backup and restore
$node->safe_psql($app, q(SELECT clerk.map_id('user_2abc', '42'); SELECT clerk.revoke_session('sess_gone')));
($code, $stdout, $stderr) = run_shell((blocks('Backup and restore', 'sh'))[0]);
is("$code $stderr", '0 ', 'the backup is restored');
$app = 'app_restored';
is(who($now), 'user_2abc', 'the restored database knows who is signed in');
is($node->safe_psql($app, q(SELECT clerk.mapped_id('user_2abc') IS NULL, count(*) FROM clerk.revocations)), 't|1', 'and the rest');

# upgrade
my ($upgrade) = blocks('Upgrade', 'sql');
like($node->safe_psql($app, $upgrade), qr/^\d+\.\d+\.\d+$/, 'an update, and the version');

# drill: a new key
my ($health) = blocks('Drill: a new key', 'sql');
like($node->safe_psql($app, $health), qr/^https:\/\/clerk\.example\.com\|1\|/, 'how keys come in');
my ($load) = blocks('Drill: a new key', 'sh');
unlink "$dir/answer";
append_to_file("$dir/answer", vector('jwks_a') =~ s/\]\}$//r . ',' . vector('jwks_a_next') =~ s/^\{"keys":\[//r);
($code, $stdout, $stderr) = run_shell($load);
is("$code $stderr", '0 ', 'a new key is loaded');
like($stdout, qr/ins_a_next .* added.*ins_a /s, 'beside the old one');
is(who($now), 'user_2abc', 'nobody is signed out');
isnt(who(vector('alice_next_key')), '', 'and the new key counts');

# drill: a stolen session
my ($revoke, $undo) = map { s/_2abc…/_2abc/gr } blocks('Drill: a stolen session', 'sql');
my ($session, $user) = split /\n/, $revoke;
$node->safe_psql($app, $session);
is(who($now) . who($other), 'user_2abc', 'a stolen session is nobody, another of the user is not');
$node->safe_psql($app, $user);
is(who($now) . who($other), '', 'and then none of the user');
is((run_shell((blocks('Drill: a stolen session', 'sh'))[0]))[0], 0, 'Clerk is told');
like(slurp_file("$dir/asked"), qr{^-sf -X POST .*/v1/sessions/sess_2abc…/revoke$}m, 'which session');
like($node->safe_psql($app, $undo), qr/^user_2abc\|manual\|all of their sessions\|/, 'what has been revoked is shown');
is(who($now) . who($other), 'user_2abc', 'and the user is back, but for the session');
$node->safe_psql($app, q(SELECT clerk.unrevoke('sess_2abc')));

# drill: a stolen key
my ($retire, $unschedule, $end, $secrets) = blocks('Drill: a stolen key', 'sql');
like($node->safe_psql($app, $retire =~ s/ins_2abc…/ins_a/r), qr/^ins_a_next\|INSERT\|/m, 'who has brought which key');
is(who($now), '', 'a stolen key ends at once');
run_shell($load);
is(who($now), '', 'and no JWKS brings it back');
isnt(who(vector('alice_next_key')), '', 'the others count');
my (undef, undef, $error) = $node->psql($app, $unschedule);
like($error, qr/pg_cron is not installed|^$/, 'the job is stopped, or there is none');
$node->safe_psql($app, $end);
is(who(vector('alice_next_key')), '', 'all keys have ended');
run_shell($load);
isnt(who(vector('alice_next_key')), '', 'until they are loaded again');
$node->safe_psql($app, q(SELECT clerk.add_webhook_secret('https://clerk.example.com', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')));
$node->safe_psql($app, $secrets =~ s/whsec_new…/whsec_C2FVsBQIhrscChlQIMVb5sSYspob7oDx/r =~ s/whsec_old…/whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw/r);
is($node->safe_psql($app, 'SELECT secret FROM clerk.webhook_secrets'), 'whsec_C2FVsBQIhrscChlQIMVb5sSYspob7oDx', 'a stolen webhook secret is replaced');

done_testing();
