# 011_hostile.pl
#	Random and mutated bytes in every setting and argument that a caller controls, as anon: no
#	function for policies raises, nobody becomes somebody, the backend lives and does not grow.  And
#	random documents into load_jwks(), which may refuse them, with its own errors only.

use strict;
use warnings FATAL => 'all';
use utf8;

use FindBin;
use lib $FindBin::Bin;
use ClerkTest;
use Encode qw(encode_utf8);
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{CLERK_SEED} // 20261124;
srand $seed;
note "CLERK_SEED=$seed";

my $node = start_node('hostile');
my $issuer = vector('issuer_a');
my $json = JSON::PP->new->canonical->allow_nonref;
my @tokens = map { vector($_) } qw(alice bob carol org_v1 org_v2 impersonated expired forged alg_none header_crit payload_too_deep);
my @settings = qw(clerk.token request.jwt request.headers request.cookies request.jwt.claims);
my @words = (
	@tokens, '', 'Bearer ', 'bearer  ', '.', '..', '{', '}', '[' x 300, '"', '\\', '\\u0000', '\\ud800', '":', 'null', '1e400', '9' x 400,
	'{"authorization":"Bearer ', '{"x-clerk-token":["', '{"__session":"', '"__session_', "\x{1}", "\x{7f}", "\x{85}", "\x{feff}", "\x{1f600}", "\x{10ffff}");

sub pick { return $_[ rand @_ ] }

sub random_text
{
	my $length = int rand pick(5, 50, 500);
	return join '', map { chr pick(1 + rand 127, 32 + rand 95, 0x80 + rand 0x700, 0xe000 + rand 0x1ff0, 0x10000 + rand 0xffff0) } 1 .. $length;
}

sub mutate
{
	my ($text) = @_;

	for (0 .. rand 4)
	{
		my $at = int rand(1 + length $text);
		my $n = int rand pick(2, 20, 200);

		substr($text, $at, pick(0, $n)) = pick('', '', pick(@words), random_text(), substr($text, rand(1 + length $text), $n), chr(33 + rand 94));
	}
	return substr $text, 0, 30_000;
}

# A value as Perl has it; the names are those that are looked for.
my @names = qw(iss sub sid azp exp nbf iat aud act sts v o id slg rol per fpm fea pla fva org_id org_role org_slug org_permissions role permission
  feature plan reverification level afterMinutes authorization x-clerk-token __session __session_x keys kty kid alg use key_ops n e crv x y d k);
sub random_value
{
	my ($depth) = @_;
	my $kind = int rand($depth > 0 ? 9 : 6);

	return pick(undef, JSON::PP::true, JSON::PP::false) if $kind == 0;
	return pick(0, 1, 2, -1, 0.5, 1e300, 4102444800, int rand 1e9) if $kind == 1;
	return random_text() if $kind == 2;
	return pick(@words, @names, $issuer, 'user_alice', 'RSA', 'EC', 'OKP', 'P-256', 'AQAB', 'o:a,u:b', 'org:a:b', '7,7', 'strict') if $kind <= 5;
	return [ map { random_value($depth - 1) } 1 .. rand 5 ] if $kind == 6;
	return { map { pick(@names, random_text()) => random_value($depth - 1) } 1 .. rand 8 };
}

sub literal { return "'" . ($_[0] =~ s/'/''/gr) . "'" }

# What a setting may hold: text, mutations of it, and JSON with tokens in it.
sub hostile_setting
{
	my $token = pick(@tokens);
	my $text = pick($token, qq({"authorization":"Bearer $token"}), qq({"x-clerk-token":["$token"]}),
		qq({"__session":"$token","__session_x":"$token"}), qq({"iss":"$issuer","sub":"user_bob"}), random_text(), $json->encode(random_value(4)));
	return literal(rand() < 0.8 ? mutate($text) : $text);
}

# A token that is signed as it should be, with claims that nobody would expect.
sub hostile_token
{
	my %claims = (%{ { map { $_ => random_value(3) } map { pick(@names) } 1 .. 8 } }, iss => $issuer, exp => 4102444800);
	$claims{sub} = 'user_x' if !defined $claims{sub} || rand() < 0.9;
	delete @claims{qw(nbf iat sts)};
	return mint(encode_utf8($json->encode(\%claims) =~ s/@/a/gr));
}

# Known keys with members changed, or anything.
sub hostile_jwks
{
	my $jwks = $json->decode(vector('jwks_all'));

	for my $key (@{ $jwks->{keys} })
	{
		$key->{ pick((sort keys %$key), @names) } = pick(random_value(2), 'AQAB', $key->{n}, $key->{x}) while rand() < 0.5;
	}
	$jwks = random_value(3) if rand() < 0.2;
	return $json->encode($jwks);
}

my $setup = q{
CREATE FUNCTION ask(setting text, value text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	uid text;
BEGIN
	PERFORM set_config(setting, value, false);
	uid := clerk.uid();
	ASSERT clerk.is_authenticated() = (uid IS NOT NULL);
	PERFORM clerk.jwt(), clerk.claim('o'), clerk.claim(value), clerk.claim(VARIADIC string_to_array(value, '.')), clerk.session_id(),
		clerk.issuer(), clerk.actor_id(), clerk.is_impersonated(), clerk.expires_at(), clerk.org_id(), clerk.org_slug(), clerk.org_role(),
		clerk.org_permissions(), clerk.has('{"role": "admin"}'), clerk.mapped_id(), clerk.mapped_bigint(), clerk.mapped_text(),
		clerk.mapped_org_id(), clerk.mapped_org_bigint(), clerk.mapped_org_text(), clerk.mapped_id(value), clerk.is_fellow_member(value);
	PERFORM FROM clerk.diagnose();
	PERFORM FROM clerk.diagnose(value);
	PERFORM clerk.pre_request();
	RETURN uid;
EXCEPTION WHEN SQLSTATE 'PT401' THEN
	RETURN uid;
END $$;
CREATE FUNCTION ask_has(value text, params jsonb) RETURNS boolean LANGUAGE sql AS $$
	SELECT clerk.has(params) OR clerk.has_role(value) OR clerk.has_permission(value) OR clerk.has_feature(value) OR clerk.has_plan(value)
		OR clerk.has_reverified(value) OR clerk.has_reverified(value, '1 day')
$$;
CREATE FUNCTION load(issuer text, jwks jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM clerk.load_jwks(issuer, jwks);
	RETURN true;
EXCEPTION WHEN invalid_parameter_value THEN
	RETURN false;
END $$;
-- contexts of PostgreSQL, and what OpenSSL and jansson have besides
CREATE FUNCTION memory(OUT contexts bigint, OUT resident bigint) LANGUAGE sql AS $$
	SELECT (SELECT sum(total_bytes) FROM pg_backend_memory_contexts), split_part(pg_read_file('/proc/self/statm'), ' ', 2)::bigint * 4096
$$;
};
$node->safe_psql('postgres', $setup);

# One session throughout: an error ends it.
my (@first, @second);
for my $half (\@first, \@second)
{
	push @$half, sprintf("SELECT ask('%s', %s);", pick(@settings), hostile_setting()) for 1 .. 1000;
	push @$half, sprintf("SELECT ask_has(%s, %s);", literal(mutate(pick(@words, 'org:a:b'))), literal($json->encode(random_value(4)))) for 1 .. 500;
	push @$half, map { "RESET $_;" } @settings;
	push @$half, sprintf("SELECT 'signed: ' || coalesce(ask('clerk.token', %s), '');", literal(hostile_token())) for 1 .. 30;
	push @$half, 'RESET clerk.token;';
}
my $file = PostgreSQL::Test::Utils::tempdir() . '/hostile.sql';
append_to_file($file, encode_utf8(join "\n", 'SELECT pg_backend_pid();', 'SET ROLE anon;', @first, 'RESET ROLE;', "SELECT 'memory', * FROM memory();", 'SET ROLE anon;',
	@second, 'RESET ROLE;', "SELECT 'memory', * FROM memory();", 'SELECT pg_backend_pid();'));
my ($out, $err) = ('', '');
my $ended_well = IPC::Run::run([ 'psql', '-XqAt', '-F', ' ', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', $file ], '>', \$out, '2>', \$err);

ok($ended_well, 'no function for policies raises') or diag(substr $err, 0, 2000);
my @lines = split /\n/, $out;
is($lines[-1], $lines[0], 'the backend is still the same');
my @strangers = grep { $_ ne '' && !/^(?:[tf]|\d+|memory .*|signed: .*|user_(?:alice|bob))$/ } @lines;
is("@strangers", '', 'nobody but whom the tokens name');
my $signed = grep { /^signed: ./ } @lines;
cmp_ok($signed, '>', 20, "$signed signed tokens with strange claims were taken, and nothing raised");
my ($before, $after) = map { [ (split / /)[ 1, 2 ] ] } grep { /^memory / } @lines;
cmp_ok($after->[0] - $before->[0], '<', 500_000, 'the memory contexts do not grow');
cmp_ok($after->[1] - $before->[1], '<', 8_000_000, 'neither does the rest of the memory');

# What a client says when it connects comes in as bytes of no encoding.
my $answers = '';
for (1 .. 20)
{
	my $bytes = join '', map { chr(128 + rand 128) } 1 .. 30;
	my $value = pick($bytes, qq({"authorization":"Bearer\\ $bytes"}), qq({"__session":"$tokens[0]$bytes"}), "$tokens[0]$bytes");
	local $ENV{PGOPTIONS} = '-c ' . pick(@settings) . "=$value";

	$answers .= $node->safe_psql('postgres', "SET ROLE anon; SELECT coalesce(clerk.uid(), 'nobody')");
}
is($answers, 'nobody' x 20, 'bytes that are no text are no token');

my @documents = map { sprintf "SELECT load('%s', %s);", $issuer, literal(hostile_jwks()) } 1 .. 300;
my $loaded = $node->safe_psql('postgres', encode_utf8(join "\n", @documents));
my ($taken, $refused) = map { my $answer = $_; scalar grep { $_ eq $answer } split /\n/, $loaded } 't', 'f';
is($taken + $refused, 300, "of 300 documents load_jwks() takes $taken, and refuses $refused in its own words");
is($node->safe_psql('postgres', "SELECT count(*) FROM clerk.jwks WHERE (clerk_internal.check_jwk(jwk)).problem IS NOT NULL"), '0', 'what it has taken can be used');

$node->safe_psql('postgres', "SELECT clerk.load_jwks('$issuer', '" . vector('jwks_a') . "')");
is($node->safe_psql('postgres', "SET clerk.token = '$tokens[0]'; SELECT clerk.uid()"), 'user_alice', 'and a good token is still good');
unlike(slurp_log($node), qr/PANIC|terminated by signal|server process .* was terminated/, 'no process of the server has crashed');

done_testing();
