# 012_faults.pl
#	Statements that are cancelled wherever they happen to be, by a timeout, by somebody else or
#	while they wait for a lock, and backends that are terminated: the next answer is right, nothing
#	is left half done, and the server stays up.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin;
use ClerkTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('faults');
my $issuer = vector('issuer_a');
my ($alice, $bob, $forged) = map { vector($_) } qw(alice bob forged);
my @sessions;

# A psql that stays; what it answers is what ask() returns.
sub session
{
	my %session = (in => '', out => '');

	$session{run} = IPC::Run::start([ 'psql', '-XqAt', '-d', $node->connstr('postgres') ],
		'<', \$session{in}, '>&', \$session{out}, IPC::Run::timeout(60));
	push @sessions, \%session;
	return \%session;
}

sub ask
{
	my ($session, $sql) = @_;

	$session->{out} = '';
	$session->{in} .= "$sql\n\\echo answered\n";
	$session->{run}->pump until $session->{out} =~ /^answered$/m || !$session->{run}->pumpable;
	return $session->{out} =~ s/\n?answered\n//r;
}

my $victim = session();
my $other = session();
my $pid = ask($victim, 'SELECT pg_backend_pid();');

# Whatever must be read, somebody has locked it, as a migration does.
my $cancelled = 0;
for my $table (qw(clerk.instances clerk.jwks clerk.revocations pg_catalog.pg_class))
{
	my $fresh = session();

	# one that has read nothing yet, and one for which what it has read is out of date
	ask($fresh, "LOAD 'clerk_rls'; SET clerk.token = '$alice';");
	ask($victim, "SET clerk.token = '$alice'; SELECT clerk.uid();");
	ask($other, 'UPDATE clerk.instances SET clock_skew = clock_skew;');
	ask($other, "BEGIN; LOCK TABLE $table IN ACCESS EXCLUSIVE MODE;");
	$cancelled += ask($_, "SET statement_timeout = '50ms'; SELECT clerk.uid(); SET statement_timeout = 0;") =~ /canceling statement/ for $fresh, $victim;
	ask($other, 'ROLLBACK;');
	is(ask($_, 'SELECT clerk.uid();'), 'user_alice', "cancelled while $table was locked") for $fresh, $victim;
}
cmp_ok($cancelled, '>=', 4, "$cancelled statements were cancelled in a wait for a lock");

# A loop over everything there is to verify, with keys that come and go, cut short at any moment.
$node->safe_psql('postgres', qq{
	CREATE TABLE tokens (token text, uid text);
	INSERT INTO tokens VALUES ('$alice', 'user_alice'), ('$bob', 'user_bob'), ('$forged', NULL);
	GRANT SELECT ON tokens TO PUBLIC;
	CREATE PROCEDURE verify_all() LANGUAGE plpgsql AS \$\$
	DECLARE
		t tokens;
	BEGIN
		LOOP
			FOR t IN SELECT * FROM tokens LOOP
				PERFORM set_config('clerk.token', t.token, false), set_config('request.headers', '{"authorization": "Bearer ' || t.token || '"}', false);
				IF clerk.uid() IS DISTINCT FROM t.uid THEN
					RAISE EXCEPTION 'WRONG';
				END IF;
				PERFORM clerk.jwt(), clerk.has('{"role": "admin"}'), clerk.mapped_id(), clerk.org_permissions();
			END LOOP;
			IF random() < 0.3 THEN
				UPDATE clerk.jwks SET expires_at = NULL;
			END IF;
		END LOOP;
	END \$\$;
	CREATE PROCEDURE load_all() LANGUAGE plpgsql AS \$\$
	BEGIN
		LOOP
			PERFORM clerk.load_jwks('$issuer', '} . vector('jwks_all') . qq{', '0');
			PERFORM clerk.load_jwks('$issuer', '} . vector('jwks_a') . qq{', '0');
		END LOOP;
	END \$\$});
my $answered = '';
# on a busy machine, the end of the timeout may run into it as well
my $no_timeout = 'SET statement_timeout = 0;' x 5;
my $script = join '', map { my $ms = 1 + ($_ * 7) % 23; "SET statement_timeout = '${ms}ms'; CALL verify_all(); CALL load_all(); $no_timeout"
	  . "SET clerk.token = '$alice'; SET request.headers = ''; SELECT 'alice ' || clerk.uid(); SET clerk.token = '$forged'; SELECT 'forged ' || coalesce(clerk.uid(), 'nobody');\n" } 1 .. 60;
$answered = ask($victim, $script);
my $count = sub { my ($what) = @_; return scalar(() = $answered =~ /$what/g) };
cmp_ok($count->(qr/canceling statement due to statement timeout/), '>=', 120, 'loops of verifications, and of load_jwks(), run into a timeout');
is($count->(qr/WRONG/), 0, 'no answer within them was wrong');
is($count->(qr/^alice user_alice$/m), 60, 'and right after each');
is($count->(qr/^forged nobody$/m), 60, 'for who is nobody, too');
is($node->safe_psql('postgres', "SELECT string_agg(kid, ',') FROM clerk.jwks WHERE expires_at IS NULL"), 'ins_a', 'no document was loaded by half');

# Cancelled by somebody else.
for (1 .. 20)
{
	$victim->{in} .= "CALL verify_all();\n";
	$victim->{run}->pump_nb;
	ask($other, "SELECT pg_sleep(0.0$_); SELECT pg_cancel_backend($pid);");
	$answered = ask($victim, "SET clerk.token = '$alice'; SET request.headers = ''; SELECT clerk.uid();");
	last if $answered !~ /user_alice$/ || $answered =~ /WRONG/;
}
like($answered, qr/user_alice$/, 'pg_cancel_backend() in the middle of a verification');
is(ask($victim, 'SELECT pg_backend_pid();'), $pid, 'it is the same backend all the time');

# A webhook is applied or it is not, and its handler's rights end with it.
$node->safe_psql('postgres', qq{
	CREATE ROLE handler;
	CREATE TABLE handled (id text);
	GRANT INSERT ON handled TO handler;
	CREATE FUNCTION handle(event jsonb) RETURNS void LANGUAGE plpgsql AS \$\$
	BEGIN
		INSERT INTO public.handled VALUES (event #>> '{data,id}');
		PERFORM pg_sleep(0.001);
	END \$\$;
	ALTER FUNCTION handle(jsonb) OWNER TO handler;
	GRANT CREATE, USAGE ON SCHEMA public TO handler;
	SELECT clerk.add_webhook_secret('$issuer', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
	SELECT clerk.add_event_handler('user.created', 'handle(jsonb)');
	CREATE SEQUENCE deliveries;
	CREATE PROCEDURE deliver_all() LANGUAGE plpgsql AS \$\$
	DECLARE
		id text;
		ts text;
		body text;
	BEGIN
		LOOP
			id := nextval('deliveries');
			ts := extract(epoch FROM clock_timestamp())::bigint;
			body := format('{"type": "user.created", "data": {"id": "user_%s", "updated_at": 1700000000000}}', id);
			PERFORM clerk.receive_webhook('msg_' || id, ts, 'v1,' || encode(hmac('msg_' || id || '.' || ts || '.' || body), 'base64'), body);
			COMMIT;
		END LOOP;
	END \$\$;
	CREATE FUNCTION hmac(data text) RETURNS bytea LANGUAGE plpgsql AS \$\$
	DECLARE
		key bytea := rpad('', 64, chr(1))::bytea;
		inner_key bytea := key;
		outer_key bytea := key;
		secret bytea := decode('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'base64');
	BEGIN
		FOR i IN 0..63 LOOP
			inner_key := set_byte(inner_key, i, 54 # CASE WHEN i < length(secret) THEN get_byte(secret, i) ELSE 0 END);
			outer_key := set_byte(outer_key, i, 92 # CASE WHEN i < length(secret) THEN get_byte(secret, i) ELSE 0 END);
		END LOOP;
		RETURN sha256(outer_key || sha256(inner_key || convert_to(data, 'UTF8')));
	END \$\$});
$answered = ask($victim, join '', map { my $ms = 2 + ($_ * 5) % 17; "SET statement_timeout = '${ms}ms'; CALL deliver_all(); SET statement_timeout = 0; SELECT 'is ' || current_user;\n" } 1 .. 40);
is($count->(qr/canceling statement due to statement timeout/), 40, 'webhooks run into a timeout') or diag($answered);
is($count->(qr/^is postgres$/m), 40, 'the user is who it was');
my $tally = $node->safe_psql('postgres', 'SELECT (SELECT count(*) FROM clerk.webhook_events), (SELECT count(*) FROM clerk.user_profiles), (SELECT count(*) FROM handled)');
like($tally, qr/^([1-9]\d*)\|\1\|\1$/, "as many events, as profiles, as calls of the handler: $tally");

# Terminated.
for (1 .. 5)
{
	my $doomed = session();
	my $its_pid = ask($doomed, 'SELECT pg_backend_pid();');

	$doomed->{in} .= $_ % 2 ? "CALL verify_all();\n" : "CALL load_all();\n";
	$doomed->{run}->pump_nb;
	ask($other, "SELECT pg_sleep(0.03); SELECT pg_terminate_backend($its_pid, 5000);");
}
is(ask($victim, "SET clerk.token = '$bob'; SET request.headers = ''; SELECT clerk.uid();"), 'user_bob', 'others do not notice when a backend is terminated');
unlike(slurp_log($node), qr/PANIC|terminated by signal|was terminated by/, 'no process of the server has crashed');

for my $session (@sessions)
{
	$session->{in} .= "\\q\n";
	eval { $session->{run}->finish };
}
done_testing();
