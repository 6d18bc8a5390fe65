# 007_refresh.pl
#	Keys fetched over HTTP by the extension http, and by the job of pg_cron, from a server that
#	is good, slow, broken, huge, redirecting, gone, or rotating.  Skipped where these extensions
#	are not installed; test/matrix/run.sh runs it where they are.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin;
use ClerkTest;
use IO::Socket::INET;
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;

my $sharedir = `pg_config --sharedir`;
chomp $sharedir;
plan skip_all => 'the extensions http and pg_cron are not installed'
  unless -e "$sharedir/extension/http.control" && -e "$sharedir/extension/pg_cron.control";

my $node = start_node('refresh', qq{
shared_preload_libraries = 'pg_cron'
cron.database_name = 'postgres'
cron.use_background_workers = on
});

# What the server answers, by the first part of the path.
my $current = $node->basedir . '/jwks.json';
my $listener = IO::Socket::INET->new(Listen => 10, LocalAddr => '127.0.0.1', ReuseAddr => 1) or die "listen: $!";
my $url = 'http://127.0.0.1:' . $listener->sockport;
my %answers = (
	good => sub { "HTTP/1.1 200 OK\r\n\r\n" . slurp_file($current) },
	broken => sub { "HTTP/1.1 200 OK\r\n\r\n{\"keys\": [" },
	empty => sub { "HTTP/1.1 200 OK\r\n\r\n{\"keys\": []}" },
	huge => sub { "HTTP/1.1 200 OK\r\n\r\n{\"keys\": [" . ' ' x (3 << 20) . ']}' },
	error => sub { "HTTP/1.1 500 Internal Server Error\r\n\r\n" . slurp_file($current) },
	redirecting => sub { "HTTP/1.1 302 Found\r\nLocation: $url/good/.well-known/jwks.json\r\n\r\n" },
	slow => sub { sleep 30; "" });


sub serve
{
	$SIG{CHLD} = 'IGNORE';
	while (my $client = $listener->accept)
	{
		next if fork;
		my ($kind) = <$client> =~ m{^GET /(\w+)/\.well-known/jwks\.json HTTP};

		while (defined(my $line = <$client>)) { last if $line =~ /^\r?\n$/ }
		print $client $answers{ $kind // 'error' }->();
		$client->flush;
		close $client;
		POSIX::_exit(0);
	}
}

my $server = fork // die "fork: $!";
if ($server == 0) { serve(); POSIX::_exit(0) }
END { kill 'TERM', $server if $server }

sub publish
{
	open(my $file, '>', $current) or die "$current: $!";
	print $file vector($_[0]);
	close $file;
}

sub refresh
{
	return $node->safe_psql('postgres', "SELECT outcome, detail FROM clerk.refresh_jwks('$url/$_[0]')");
}

sub kids
{
	return $node->safe_psql('postgres', "SELECT string_agg(kid, ' ' ORDER BY kid) FROM clerk.jwks WHERE issuer = '$url/$_[0]' AND expires_at IS NULL");
}

$node->safe_psql('postgres', 'CREATE SCHEMA fetching; CREATE EXTENSION http SCHEMA fetching; CREATE EXTENSION pg_cron');
$node->safe_psql('postgres', "SELECT clerk.add_instance('$url/$_')") for sort keys %answers;

publish('jwks_a');
is(refresh('good'), 'refreshed|', 'a server that works');
is(kids('good'), 'ins_a', 'and its key is there');
publish('jwks_a_next');
is(refresh('good'), 'refreshed|', 'after a rotation');
is(kids('good'), 'ins_a_next', 'the new one');
is($node->safe_psql('postgres', "SELECT retiring_keys FROM clerk.health() WHERE issuer = '$url/good'"), 1, 'and the old one is retiring');
is(refresh('redirecting'), 'refreshed|', 'a redirection is followed');

# each of these has a key, and keeps it
my $jwks = vector('jwks_a');
for my $failing ([ broken => 'the answer is not JSON' ], [ empty => 'the JWKS has no key that could verify a token' ],
	[ huge => 'the answer is empty, or larger than 1 MiB' ], [ error => 'the server answered with HTTP status 500' ],
	[ slow => qr/imed? ?out/ ])
{
	my ($kind, $why) = @$failing;

	$node->safe_psql('postgres', "SELECT clerk.load_jwks('$url/$kind', '$jwks')");
	my $answer = refresh($kind);
	ref $why ? like($answer, qr/^failed\|.*$why/, "$kind: fails") : is($answer, "failed|$why", "$kind: fails");
	is(kids($kind), 'ins_a', "$kind: the old key stays");
	isnt($node->safe_psql('postgres', "SELECT refresh_failure FROM clerk.health() WHERE issuer = '$url/$kind' AND refresh_failed_at IS NOT NULL"),
		'', "$kind: health() says why");
}

# all at once: one that fails does not take the others along
$node->safe_psql('postgres', "DELETE FROM clerk.instances WHERE issuer LIKE '%slow'; SELECT clerk.drop_instance('" . vector('issuer_a') . "')");
my $closed = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1');
my $port = $closed->sockport;
close $closed;
$node->safe_psql('postgres', "SELECT clerk.add_instance('http://127.0.0.1:$port')");
is($node->safe_psql('postgres', "SELECT string_agg(outcome, ' ' ORDER BY instance) FROM clerk.refresh_jwks() WHERE instance ~ '(good|error|:$port)\$'"),
	$port < $listener->sockport ? 'failed failed refreshed' : 'failed refreshed failed', 'all of them');
$node->safe_psql('postgres', "SELECT clerk.drop_instance('http://127.0.0.1:$port')");

# the job: what is due, and early where a token names an unknown key
$node->safe_psql('postgres', "SELECT clerk.schedule_jwks_refresh('1 hour')");
is($node->safe_psql('postgres', 'SELECT schedule, command FROM cron.job'),
	"* * * * *|SELECT clerk.run_jwks_refresh('01:00:00')", 'scheduled');
$node->safe_psql('postgres', "SELECT clerk.schedule_jwks_refresh('15 minutes')");
is($node->safe_psql('postgres', 'SELECT command FROM cron.job'), "SELECT clerk.run_jwks_refresh('00:15:00')", 'once, and otherwise');
$node->safe_psql('postgres', "SELECT cron.alter_job(jobid, schedule => '1 second') FROM cron.job");

publish('jwks_a');
$node->safe_psql('postgres', "UPDATE clerk.jwks_refreshes SET attempted_at = now() - interval '10 minutes' WHERE issuer = '$url/good';"
	. "UPDATE clerk.jwks_refreshes SET attempted_at = now() WHERE issuer <> '$url/good'");
my $unknown = mint(qq({"iss":"$url/good","sub":"user_alice","exp":4102444800}));
$node->safe_psql('postgres', "DELETE FROM clerk.jwks WHERE kid = 'ins_a'");
is($node->safe_psql('postgres', "BEGIN READ ONLY; SET LOCAL clerk.token = '$unknown'; SELECT clerk.uid() IS NULL"), 't',
	'a token of a key that was published a moment ago');
ok($node->poll_query_until('postgres', "SELECT clerk.verify('$unknown') ->> 'sub' = 'user_alice'"),
	'is known to everybody soon');
$node->safe_psql('postgres', 'SELECT clerk.schedule_jwks_refresh(NULL)');
is($node->safe_psql('postgres', 'SELECT count(*) FROM cron.job'), 0, 'not scheduled any more');

done_testing();
