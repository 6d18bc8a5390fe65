# 009_webhooks.pl
#	A storm of 10,000 webhooks on eight connections, in any order, some of them twice, and a server
#	that is killed in the middle of it: when Svix has delivered all of them again, the tables are as
#	if nothing had happened, and no handler has run twice.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin;
use ClerkTest;
use Digest::SHA qw(hmac_sha256_base64);
use List::Util qw(shuffle);
use MIME::Base64 qw(decode_base64);
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('webhooks');
my $issuer = vector('issuer_a');
my $secret = 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
my $dir = PostgreSQL::Test::Utils::tempdir();
my ($n_events, $n_users) = (10_000, 300);
srand 20261123;

$node->safe_psql('postgres', qq{
	SELECT clerk.add_webhook_secret('$issuer', 'whsec_$secret');
	CREATE TABLE handled (id text, n int);
	CREATE FUNCTION handle(event jsonb) RETURNS void LANGUAGE sql AS \$\$
		INSERT INTO public.handled VALUES (event #>> '{data,id}', (event #>> '{data,n}')::int) \$\$;
	SELECT clerk.add_event_handler('user.*', 'handle(jsonb)')});

# Each event is the next version of a user; what the last one says is what must be there.
my (@events, %expected);
for my $n (1 .. $n_events)
{
	my $user = sprintf 'user_%03d', int rand $n_users;
	my $updated = 1_700_000_000_000 + $n;
	my $banned = rand() < 0.1 ? 'true' : 'false';

	push @events, [ "msg_$n",
		qq({"type":"user.updated","timestamp":$updated,"data":{"id":"$user","n":$n,"username":"name $n","banned":$banned,"updated_at":$updated}}) ];
	$expected{$user} = "name $n|" . ($banned eq 'true' ? 't' : 'f');
}

# Eight connections, each with its part of the events; returns what runs.
sub deliver
{
	my @deliveries = @_;
	my @parts = map { [] } 1 .. 8;
	my @running;

	push @{ $parts[ rand 8 ] }, $_ for @deliveries;
	for my $i (0 .. 7)
	{
		my $ts = time;
		my $sql = '';

		for my $event (@{ $parts[$i] })
		{
			my ($id, $body) = @$event;
			my $signature = hmac_sha256_base64("$id.$ts.$body", decode_base64($secret)) . '=';

			$sql .= "SELECT clerk.receive_webhook('$id', '$ts', 'v1,$signature', '$body');\n";
		}
		my $file = "$dir/part_$i.sql";
		unlink $file;
		append_to_file($file, $sql);
		my ($out, $err) = ('', '');
		push @running, IPC::Run::start([ 'psql', '-XqAt', '-d', $node->connstr('postgres'), '-v', 'ON_ERROR_STOP=1', '-f', $file ],
			'>', "$dir/out_$i", '2>', "$dir/err_$i");
	}
	return @running;
}

sub finish { return scalar grep { !IPC::Run::finish($_) } @_ }

my @storm = deliver(shuffle(@events, @events[ map { int rand $n_events } 1 .. 500 ]));
$node->poll_query_until('postgres', 'SELECT count(*) > 2000 FROM clerk.webhook_events') or die 'no events';
$node->kill9;
isnt(finish(@storm), 0, 'the server is killed in the middle');
# the backends find out in a moment that they are alone
for (1 .. 100)
{
	last if $node->start(fail_ok => 1);
	select undef, undef, undef, 0.1;
	$node->stop('fast', fail_ok => 1);
}
my $before = $node->safe_psql('postgres', 'SELECT count(*) FROM clerk.webhook_events');
cmp_ok($before, '<', $n_events, "after $before events");
is($node->safe_psql('postgres', 'SELECT count(*) FROM handled'), $before, 'each of which was handled');

is(finish(deliver(shuffle(@events))), 0, 'all are delivered again');
is($node->safe_psql('postgres', 'SELECT count(*) FROM clerk.webhook_events'), $n_events, 'each event was received');
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT n) FROM handled'), "$n_events|$n_events", 'and handled once');
my %found = map { split /=/, $_, 2 } split /\n/, $node->safe_psql('postgres',
	"SELECT clerk_id || '=' || username || '|' || CASE WHEN banned THEN 't' ELSE 'f' END FROM clerk.user_profiles");
is_deeply(\%found, \%expected, 'each user is as the last event says');
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM clerk.user_profiles AS p LEFT JOIN clerk.revocations AS r ON r.id = p.clerk_id
	WHERE (p.banned AND (r.id IS NULL OR r.issued_before IS NOT NULL))
		OR (NOT p.banned AND p.last_banned_at IS DISTINCT FROM r.issued_before)}), 0, 'and revoked as it says');

is(finish(deliver(@events)), 0, 'and once more');
is($node->safe_psql('postgres', 'SELECT count(*) FROM handled'), $n_events, 'which changes nothing');

done_testing();
