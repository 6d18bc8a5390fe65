#!/usr/bin/env perl
#
# attacks.pl
#	Makes attacks.tsv, what an attacker may try, with keys that are made for it and thrown away.
#	A line is: the name of the attack, where it is put, what is expected of it, and the attack.
#
#	token		a token, which is refused with this reason code; a control has a subject there
#	headers		request.headers, as JSON; cookies: request.cookies; both with the user, or the reason
#	jwks		a JWKS, which load_jwks() refuses with this detail; "a" and "b" are the keys to load
#
#	usage: test/vectors/attacks.pl MINT > test/vectors/attacks.tsv

use strict;
use warnings FATAL => 'all';

use File::Temp qw(tempdir);
use Math::BigInt;
use MIME::Base64 qw(encode_base64url decode_base64url encode_base64);

my $mint = shift // die "usage: attacks.pl MINT\n";
my $dir = tempdir(CLEANUP => 1);

my ($issuer_a, $issuer_b) = ('https://clerk.example.com', 'https://other.clerk.accounts.dev');
my $times = '"exp":4102444800,"nbf":1700000000,"iat":1700000000';
my $who = qq("iss":"$issuer_a","sub":"user_alice","sid":"sess_alice","azp":"https://app.example.com");
my $alice = "{$who,$times}";
my $bob = $alice =~ s/alice/bob/gr;

sub capture
{
	my @command = @_;

	open(my $pipe, '-|', @command) or die "@command: $!";
	binmode $pipe;
	local $/ = undef;
	my $output = <$pipe>;
	close($pipe) or die "@command failed";
	return $output;
}

sub emit { print join("\t", @_), "\n" }

# key NAME ALGORITHM OPENSSL-OPTION...
my %pem;
sub key
{
	my ($name, @options) = @_;

	$pem{$name} = "$dir/$name.pem";
	capture('openssl', 'genpkey', '-quiet', '-out', $pem{$name}, map { ('-' . ($_ =~ /:/ ? 'pkeyopt' : 'algorithm'), $_) } @options);
}
key('rsa', 'RSA');
key('rsa_b', 'RSA');
key('pss', 'RSA');
key('attacker', 'RSA');
key("rsa_$_", 'RSA', "rsa_keygen_bits:$_") for 512, 1024;
key("p$_", 'EC', "ec_paramgen_curve:P-$_") for 256, 384, 521;
key('ed25519', 'ED25519');

sub jwk
{
	my ($key, $kid, @alg) = @_;
	my $jwk = capture($mint, 'jwk', '--key', $pem{$key}, '--kid', $kid, map { ('--alg', $_) } @alg);
	chomp $jwk;
	return $jwk;
}

# sign HEADER PAYLOAD [KEY ALGORITHM]: a token of these very bytes
sub sign
{
	my ($header, $payload, $key, $alg) = @_;
	my $token = capture($mint, 'token', '--key', $pem{ $key // 'rsa' }, '--alg', $alg // 'RS256', '--raw-header', $header, $payload);
	chomp $token;
	return $token;
}

sub hmac_sign
{
	my ($header, $payload, $alg, $secret) = @_;
	open(my $file, '>:raw', "$dir/secret") or die $!;
	print $file $secret;
	close $file;
	my $token = capture($mint, 'token', '--secret-file', "$dir/secret", '--alg', $alg, '--raw-header', $header, $payload);
	chomp $token;
	return $token;
}

my $header = '{"alg":"RS256","kid":"ins_a","typ":"JWT"}';

# token NAME EXPECTED TOKEN; header NAME EXPECTED HEADER [KEY ALG]; payload NAME EXPECTED PAYLOAD
sub token { my ($name, $expected, $token) = @_; emit($name, 'token', $expected, $token) }
sub header { my ($name, $expected, @rest) = @_; token($name, $expected, sign($rest[0], $alice, @rest[ 1 .. $#rest ])) }
sub payload { my ($name, $expected, $payload) = @_; token($name, $expected, sign($header, $payload)) }
sub claims { my ($name, $expected, $claims) = @_; payload($name, $expected, "{$who,$claims}") }

#
# The keys, and a token of each that is good
#

emit('a', 'jwks', 'loaded', '{"keys":[' . join(',', jwk('rsa', 'ins_a'), jwk('pss', 'ins_ps256', 'PS256'), jwk('p256', 'ins_es256'),
	jwk('p384', 'ins_es384'), jwk('p521', 'ins_es512'), jwk('ed25519', 'ins_eddsa')) . ']}');
emit('b', 'jwks', 'loaded', '{"keys":[' . jwk('rsa_b', 'ins_b') . ']}');

my $control = sign($header, $alice);
my %good = (RS256 => $control);
for (['pss', 'PS256'], ['p256', 'ES256'], ['p384', 'ES384'], ['p521', 'ES512'], ['ed25519', 'EdDSA'])
{
	my ($key, $alg) = @$_;
	$good{$alg} = sign(qq({"alg":"$alg","kid":"ins_\L$alg"}), $alice, $key, $alg);
}
token("control $_", 'user_alice', $good{$_}) for sort keys %good;

# from here on the same in other bytes
sub parts { return split /\./, $_[0], -1 }
my (undef, $payload_part, $signature_part) = parts($control);

sub with_signature
{
	my ($token, $signature) = @_;
	my @parts = parts($token);
	return "$parts[0].$parts[1]." . encode_base64url($signature);
}

#
# The algorithm is the attacker's to name
#

for my $alg ('none', 'None', 'nOnE', 'NONE', '', 'none ', "n\\u006fne")
{
	my $forged = encode_base64url(qq({"alg":"$alg","kid":"ins_a"})) . '.' . encode_base64url($alice) . '.';

	token("alg '$alg', no signature", 'token-invalid-algorithm', $forged);
	token("alg '$alg', the signature of another token", 'token-invalid-algorithm', $forged . $signature_part);
}
header('alg absent', 'token-invalid', '{"kid":"ins_a"}');
header('alg null', 'token-invalid', '{"alg":null,"kid":"ins_a"}');
header('alg in an array', 'token-invalid', '{"alg":["RS256"],"kid":"ins_a"}');
header('alg in lower case', 'token-invalid-algorithm', '{"alg":"rs256","kid":"ins_a"}');
header('alg with a NUL', 'token-invalid', '{"alg":"RS256\u0000","kid":"ins_a"}');
header('alg of encryption', 'token-invalid-algorithm', '{"alg":"RSA-OAEP-256","kid":"ins_a"}');
header('a PSS signature called RS256', 'token-invalid-signature', $header, 'rsa', 'PS256');
header('an RS384 signature called RS256', 'token-invalid-signature', $header, 'rsa', 'RS384');
header("another algorithm, signed by the attacker's key: $_->[1]", 'token-invalid-algorithm', qq({"alg":"$_->[1]","kid":"ins_a"}), @$_)
  for ['p256', 'ES256'], ['ed25519', 'EdDSA'], ['attacker', 'PS256'];
header('an RSA signature for an EC key', 'token-invalid-algorithm', '{"alg":"RS256","kid":"ins_es256"}', 'attacker');

my %secret = (
	PEM => capture('openssl', 'pkey', '-in', $pem{rsa}, '-pubout'),
	DER => capture('openssl', 'pkey', '-in', $pem{rsa}, '-pubout', '-outform', 'DER'),
	'PEM of PKCS#1' => capture('openssl', 'rsa', '-in', $pem{rsa}, '-RSAPublicKey_out'),
	JWK => jwk('rsa', 'ins_a'),
	modulus => decode_base64url((jwk('rsa', 'ins_a') =~ /"n":"([^"]+)"/)[0]),
	nothing => '');
for my $form (sort keys %secret)
{
	token("HS256 with the public key as secret: $form", 'token-invalid-algorithm',
		hmac_sign('{"alg":"HS256","kid":"ins_a"}', $alice, 'HS256', $secret{$form}));
	token("HS256 called RS256, with the public key as secret: $form", 'token-invalid-signature',
		hmac_sign($header, $alice, 'HS256', $secret{$form}));
}

#
# The key is the attacker's to bring
#

my $own_key = jwk('attacker', 'ins_a');
my $x5c = encode_base64(capture('openssl', 'pkey', '-in', $pem{attacker}, '-pubout', '-outform', 'DER'), '');
my %embedded = (
	jwk => $own_key,
	jku => '"https://evil.example/jwks.json"',
	'jku with user info' => qq("$issuer_a\@evil.example/jwks.json"),
	x5u => '"https://evil.example/cert.pem"',
	x5c => qq(["$x5c"]),
	iss => '"https://evil.example"');
for my $name (sort keys %embedded)
{
	my ($member) = $name =~ /^(\w+)/;

	header("embedded $name", 'token-invalid-signature', qq({"alg":"RS256","kid":"ins_a","$member":$embedded{$name}}), 'attacker');
	header("embedded $name, no kid", 'jwk-kid-mismatch', qq({"alg":"RS256","$member":$embedded{$name}}), 'attacker');
}

my %kid = (
	'SQL' => q(ins_a'; DROP TABLE clerk.jwks; --),
	'SQL that selects a key' => q(x' UNION SELECT '{\"kty\":\"oct\",\"k\":\"AA\"}' --),
	'path' => '../../../../../../dev/null',
	'address' => 'https://evil.example/key.pem',
	'shell' => '|/bin/true',
	'LIKE wildcards' => '%',
	'LIKE wildcard' => '_ns_a',
	'pattern' => '.*',
	'upper case' => 'INS_A',
	'space behind' => 'ins_a ',
	'confusable' => "\xd1\x96ns_a",
	'nothing' => '',
	'another instance' => 'ins_b',
	'very long' => 'a' x 8000);
header("kid: $_", 'jwk-kid-mismatch', qq({"alg":"RS256","kid":"$kid{$_}"}), 'attacker') for sort keys %kid;
header('kid: a NUL behind', 'token-invalid', '{"alg":"RS256","kid":"ins_a\u0000x"}', 'attacker');
header('kid: too long', 'token-too-large', '{"alg":"RS256","kid":"' . 'a' x 16384 . '"}', 'attacker');
header('kid: null', 'token-invalid', '{"alg":"RS256","kid":null}', 'attacker');
header('kid: an array', 'token-invalid', '{"alg":"RS256","kid":["ins_a"]}', 'attacker');
token('HS256 with an empty file as key', 'jwk-kid-mismatch', hmac_sign('{"alg":"HS256","kid":"../../../../dev/null"}', $alice, 'HS256', ''));

#
# Two readers, two meanings
#

header('duplicate alg', 'token-invalid', '{"alg":"none","alg":"RS256","kid":"ins_a"}');
header('duplicate alg, escaped', 'token-invalid', '{"alg":"RS256","\u0061lg":"none","kid":"ins_a"}');
header('duplicate kid', 'token-invalid', '{"alg":"RS256","kid":"ins_b","kid":"ins_a"}');
payload('duplicate iss', 'token-invalid', qq({"iss":"$issuer_b",$who,$times}));
payload('duplicate sub, escaped', 'token-invalid', qq({$who,"s\\u0075b":"user_bob",$times}));
claims('duplicate in the depth', 'token-invalid', qq($times,"act":{"sub":"user_a","sub":"user_b"}));
header('crit, that we would understand', 'token-invalid', '{"alg":"RS256","kid":"ins_a","crit":["alg"]}');
header('crit, empty', 'token-invalid', '{"alg":"RS256","kid":"ins_a","crit":[]}');
header('crit, null', 'token-invalid', '{"alg":"RS256","kid":"ins_a","crit":null}');
header('b64 true', 'token-invalid', '{"alg":"RS256","kid":"ins_a","b64":true}');
token('an unencoded payload', 'token-invalid', (parts(sign('{"alg":"RS256","kid":"ins_a","b64":false}', $alice)))[0] . ".$alice.$signature_part");
{
	open(my $file, '>:raw', "$dir/plain") or die $!;
	print $file $alice;
	close $file;
	my @parts = parts($control);
	token('zip', 'token-invalid', encode_base64url('{"alg":"RS256","kid":"ins_a","zip":"DEF"}') . '.'
		  . encode_base64url(capture('gzip', '-nc', "$dir/plain")) . ".$parts[2]");
}
token('JWE', 'token-invalid', "$control.AAAA.AAAA");
token('JSON serialization', 'token-invalid', '{"payload":"' . $payload_part . '","protected":"' . (parts($control))[0] . qq(","signature":"$signature_part"}));
header('a header that is an array', 'token-invalid', '[{"alg":"RS256","kid":"ins_a"}]');
header('an empty header', 'token-invalid', '{}');
payload('a nested token', 'token-invalid', $control);
header('a token in a token', 'token-type-mismatch', '{"alg":"RS256","kid":"ins_a","typ":"JWT","cty":"JWT","cat":"x"}');

#
# One signature, many spellings
#

sub number { return Math::BigInt->from_bytes($_[0]) }
sub bytes { my ($n, $len) = @_; my $b = $n->to_bytes; return ("\0" x ($len - length $b)) . $b }

my $order = Math::BigInt->from_hex('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551');
my $es = decode_base64url((parts($good{ES256}))[2]);
my ($r, $s) = map { number($_) } unpack('a32 a32', $es);
my $zero = Math::BigInt->new(0);
my $bad = 'token-invalid-signature';

sub es { my ($name, $expected, $signature) = @_; token("ES256: $name", $expected, with_signature($good{ES256}, $signature)) }
sub der_integer { my $b = $_[0]->to_bytes; $b = "\0$b" if ord($b) & 0x80; return "\2" . chr(length $b) . $b }
my $der = der_integer($r) . der_integer($s);

# (r, n - s) is as valid as (r, s): ECDSA is malleable, and nothing here takes a signature for a name
es('high s', 'user_alice', bytes($r, 32) . bytes($order - $s, 32));
es('r = s = 0', $bad, "\0" x 64);
es('r = 0', $bad, bytes($zero, 32) . bytes($s, 32));
es('s = 0', $bad, bytes($r, 32) . bytes($zero, 32));
es('r = s = n', $bad, bytes($order, 32) x 2);
es('r = n, s = 1', $bad, bytes($order, 32) . bytes(Math::BigInt->new(1), 32));
es('s + n', $bad, bytes($r, 32) . bytes(($s + $order) % Math::BigInt->new(2)->bpow(256), 32));
es('r and s swapped', $bad, bytes($s, 32) . bytes($r, 32));
es('DER', $bad, "\x30" . chr(length $der) . $der);
es('a byte short', $bad, substr($es, 0, 63));
es('a byte behind', $bad, "$es\0");
es('a byte in front', $bad, "\0$es");
es('longer coordinates', $bad, "\0$es" =~ s/^(.{33})/$1\0/sr);
es('twice', $bad, $es x 2);
es('nothing', $bad, '');
es('of ES384', $bad, decode_base64url((parts($good{ES384}))[2]));

my $rs = decode_base64url($signature_part);
my $modulus = number($secret{modulus});
sub rs { my ($name, $expected, $signature) = @_; token("RS256: $name", $expected, with_signature($control, $signature)) }
rs('0', $bad, "\0" x 256);
rs('1', $bad, bytes(Math::BigInt->new(1), 256));
rs('n - 1', $bad, bytes($modulus - 1, 256));
rs('n', $bad, bytes($modulus, 256));
rs('s + n', $bad, bytes(number($rs) + $modulus, 257));
rs('a zero in front', $bad, "\0$rs");
rs('a byte behind', $bad, "$rs\0");
rs('a byte short', $bad, substr($rs, 0, 255));
rs('a bit flipped', $bad, $rs ^ ("\0" x 255 . "\1"));
rs('1025 bytes', $bad, 'x' x 1025);
token('RS256: the signature of another token', $bad, join('.', (parts($control))[0], encode_base64url($bob), $signature_part));

my $ed = decode_base64url((parts($good{EdDSA}))[2]);
my $ed_order = Math::BigInt->from_hex('1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed');
my ($ed_r, $ed_s) = unpack('a32 a32', $ed);
sub ed { my ($name, $expected, $signature) = @_; token("EdDSA: $name", $expected, with_signature($good{EdDSA}, $signature)) }
ed('S + L', $bad, $ed_r . reverse bytes(number(scalar reverse $ed_s) + $ed_order, 32));
ed('the neutral point and 0', $bad, "\1" . "\0" x 63);
ed('0', $bad, "\0" x 64);
ed('a byte behind', $bad, "$ed\0");
ed('a byte short', $bad, substr($ed, 0, 63));

# 64 bytes leave four bits over, which must be zero
my ($first, $second, $third) = parts($good{ES256});
my %spelling = (
	'other bits left over' => substr($third, 0, -1) . ($third =~ /A$/ ? 'B' : chr(ord(substr $third, -1) + 1)),
	'padding' => "$third==",
	'the other alphabet' => "$third+/",
	'a space within' => substr($third, 0, 10) . ' ' . substr($third, 10),
	'percent-encoding' => "$third%3D",
	'a backslash' => "$third\\",
	'a character that completes no byte' => "${third}AAA");
token("base64url: $_", 'token-invalid', "$first.$second.$spelling{$_}") for sort keys %spelling;
token('base64url: padded payload', 'token-invalid', "$first.$second==.$third");
token('base64url: a dot in front', 'token-invalid', ".$first.$second.$third");
token('base64url: a dot behind', 'token-invalid', "$first.$second.$third.");
token('base64url: the payload of another', 'token-invalid-signature', join '.', $first, encode_base64url($bob), $third);

#
# Numbers
#

my %exp = (
	'infinity' => '"infinity"', 'a timestamp' => '"2099-01-01T00:00:00Z"', 'a string' => '"4102444800"', 'true' => 'true',
	'an array' => '[4102444800]', 'an object' => '{"$date":4102444800}', '1e308' => '1e308', '1e309' => '1e309', '-1e400' => '-1e400',
	'beyond timestamptz' => '9200000000001', '2^64' => '18446744073709551616', '2^63' => '9223372036854775808',
	'400 digits' => '9' x 400, 'null' => 'null');
claims("exp: $_", 'token-invalid', qq("exp":$exp{$_})) for sort keys %exp;
my %not_json = ('NaN' => 'NaN', 'Infinity' => 'Infinity', 'hexadecimal' => '0xF4865700', 'octal' => '04102444800', '1e1000' => '1e1000',
	'nothing' => '', 'a plus' => '+4102444800', 'a point' => '4102444800.', 'full-width digits' => "\xef\xbc\x94");
claims("exp: $_", 'token-invalid', qq("exp":$not_json{$_})) for sort keys %not_json;
claims("exp: $_", 'token-expired', qq("exp":$_)) for '-1', '0', '-0', '1e-999', '1700000000', '1.7e9', '-9200000000000';
claims('exp: fractional', 'user_alice', '"exp":4102444800.9,"nbf":0.5,"iat":1.7e9');
claims('exp: the last that fits', 'user_alice', '"exp":9200000000000');
claims('exp: absent', 'token-invalid', '"iat":1700000000');
claims("nbf: $_", 'token-invalid', qq("exp":4102444800,"nbf":$_)) for '1e309', '"0"', '-9200000000001';
claims("iat: $_", 'token-invalid', qq("exp":4102444800,"iat":$_)) for '1e309', '"0"', '{}';
# no attack: null is absent
claims("$_: null", 'user_alice', qq("exp":4102444800,"$_":null)) for 'nbf', 'iat';
claims('nbf: far', 'token-not-active-yet', '"exp":4102444800,"nbf":9200000000000');
claims('iat: far', 'token-iat-in-the-future', '"exp":4102444800,"iat":9200000000000');

#
# Bombs
#

claims("depth: $_ arrays", $_ < 256 ? 'user_alice' : 'token-invalid', qq($times,"x":) . '[' x $_ . ']' x $_) for 255, 256, 5000;
claims('depth: 2000 objects', 'token-invalid', qq($times,"x":) . '{"a":' x 1500 . '1' . '}' x 1500);
claims('depth: brackets that never close', 'token-invalid', qq($times,"x":) . '[' x 10000);
header('depth: in the header', 'token-invalid', '{"alg":"RS256","kid":"ins_a","x":' . '[' x 3000 . ']' x 3000 . '}');
claims('size: 700 members', 'user_alice', "$times," . join(',', map { qq("m$_":$_) } 1 .. 700));
claims('size: a number of 10000 digits', 'user_alice', qq($times,"x":) . '9' x 10000);
claims('size: 10000 decimals, and small', 'user_alice', qq($times,"x":0.) . '9' x 10000 . 'e-999');
{
	# to the byte: the payload takes what is left of 16 KiB
	my $fixed = length($control) - length($payload_part);
	my $room = int((16384 - $fixed) * 3 / 4);
	my $padded = sub { my $n = shift; my $start = "{$who,$times,\"x\":\""; return $start . 'x' x ($n - length($start) - 2) . '"}' };
	my $largest = sign($header, $padded->($room));

	token('size: ' . length($largest) . ' bytes', 'user_alice', $largest);
	token('size: more than 16 KiB', 'token-too-large', sign($header, $padded->($room + 2)));
}
token('size: dots', 'token-too-large', '.' x 16385);
token('size: only dots', 'token-invalid', '.' x 16384);

#
# Characters
#

my %sub = (
	'overlong UTF-8' => "user_\xc1\xa1lice", 'overlong NUL' => "user_alice\xc0\x80", 'surrogates in UTF-8' => "user_\xed\xa0\x80\xed\xb0\x80",
	'beyond U+10FFFF' => "user_\xf4\x90\x80\x80", 'Latin-1' => "user_\xe9", 'a lone surrogate' => 'user_\ud800', 'the other lone surrogate' => 'user_\udc00',
	'U+0000' => 'user_alice\u0000', 'U+0000 in front' => '\u0000user_alice', 'a line feed' => "user\nalice", 'a tab' => "user\talice");
payload("sub: $_", 'token-invalid', qq({"iss":"$issuer_a","sub":"$sub{$_}","sid":"s","azp":"https://app.example.com",$times})) for sort keys %sub;
my %sub_member = ('SUB' => 'SUB', 'Sub' => 'Sub', 'with a Cyrillic s' => "\xd1\x95ub", 'full-width' => "\xef\xbd\x93ub", 'with a space' => 'sub ', 'with a soft hyphen' => "s\xc2\xadub");
payload("member sub: $_", 'token-invalid', qq({"iss":"$issuer_a","$sub_member{$_}":"user_alice","sid":"s","azp":"https://app.example.com",$times})) for sort keys %sub_member;
payload('member sub: with U+0000', 'token-invalid', qq({"iss":"$issuer_a","sub\\u0000":"user_alice","sid":"s","azp":"https://app.example.com",$times}));
payload('a byte order mark', 'token-invalid', "\xef\xbb\xbf$alice");
payload('another user in full-width letters is another user', "user_\xef\xbd\x81lice", qq({"iss":"$issuer_a","sub":"user_\xef\xbd\x81lice","sid":"s","azp":"https://app.example.com",$times}));
{
	my $utf16 = join('', map { "$_\0" } split //, $alice);
	token('UTF-16', 'token-invalid', join('.', (parts($control))[0], encode_base64url($utf16), $signature_part));
}

#
# Another's token
#

my $b_claims = qq({"iss":"$issuer_b","sub":"user_alice","sid":"sess_b",$times});
token("control of instance B", 'user_alice', sign('{"alg":"RS256","kid":"ins_b"}', $b_claims, 'rsa_b'));
header("signed by another instance's key, of its kid", 'jwk-kid-mismatch', '{"alg":"RS256","kid":"ins_b"}', 'rsa_b');
header("signed by another instance's key, of our kid", $bad, $header, 'rsa_b');
token("another instance's issuer and our key", 'jwk-kid-mismatch', sign($header, $b_claims));
my %iss = (
	'with a slash' => qq("$issuer_a/"), 'in upper case' => '"https://CLERK.example.com"', 'with a port' => qq("$issuer_a:443"),
	'http' => '"http://clerk.example.com"', 'with user info' => qq("$issuer_a\@evil.example"), 'a host behind' => qq("$issuer_a.evil.example"),
	'an array' => qq(["$issuer_a"]), 'a wildcard' => '"https://%"', 'a space behind' => qq("$issuer_a "), 'null' => 'null',
	'with an ideographic dot' => "\"https://clerk\xe3\x80\x82example.com\"");
payload("iss: $_", 'token-invalid-issuer', qq({"iss":$iss{$_},"sub":"user_alice","sid":"sess_alice",$times})) for sort keys %iss;
header("typ: $_", 'token-type-mismatch', qq({"alg":"RS256","kid":"ins_a","typ":"$_"}))
  for 'at+jwt', 'application/at+jwt', 'AT+JWT', 'jwt', 'JOSE', 'logout+jwt', 'secevent+jwt', 'dpop+jwt', '';
header("cat: $_", 'token-type-mismatch', qq({"alg":"RS256","kid":"ins_a","cat":"$_"})) for 'cl_B7d4PD333AAA', 'cl_B7d4PD444AAA', 'cl_b7d4pd111aaa', '';
header('cat: a number', 'token-invalid', '{"alg":"RS256","kid":"ins_a","cat":1}');
payload('machine', 'token-type-mismatch', qq({"iss":"$issuer_a","sub":"mch_1","sid":"sess_1","azp":"https://app.example.com",$times}));
payload('template, where none is accepted', 'token-type-mismatch', qq({"iss":"$issuer_a","sub":"user_alice","azp":"https://app.example.com",$times}));
payload('session id null', 'token-type-mismatch', qq({"iss":"$issuer_a","sub":"user_alice","sid":null,"azp":"https://app.example.com",$times}));
header('template by category', 'token-type-mismatch', '{"alg":"RS256","kid":"ins_a","cat":"cl_B7d4PD222AAA"}');
for my $azp ('https://app.example.com.evil.example', 'https://app.example.com/', 'HTTPS://APP.EXAMPLE.COM', 'null', '')
{
	payload("azp: '$azp'", 'token-invalid-authorized-parties', qq({"iss":"$issuer_a","sub":"user_alice","sid":"sess_alice","azp":"$azp",$times}));
}
payload('azp absent', 'token-invalid-authorized-parties', qq({"iss":"$issuer_a","sub":"user_alice","sid":"sess_alice",$times}));
payload('azp in an array', 'token-invalid', qq({"iss":"$issuer_a","sub":"user_alice","sid":"sess_alice","azp":["https://app.example.com"],$times}));
claims('sts in an array', 'token-invalid', qq($times,"sts":["pending"]));
claims("pending", 'session-pending', qq($times,"sts":"pending"));
claims("an actor without a name", 'token-invalid', qq($times,"act":{"sub":null}));

#
# A request with more than one of them
#

my $bobs = sign($header, $bob);
my $mismatch = 'identity-mismatch';
sub headers { my ($name, $expected, $json) = @_; emit($name, 'headers', $expected, $json) }
sub cookies { my ($name, $expected, $json) = @_; emit($name, 'cookies', $expected, $json) }
headers('control: header', 'user_alice', qq({"authorization":"Bearer $control"}));
headers('two headers, two users', $mismatch, qq({"x-clerk-token":"$control","authorization":"Bearer $bobs"}));
headers('two headers, one user of two instances', $mismatch,
	qq({"x-clerk-token":"$control","authorization":"Bearer ) . sign('{"alg":"RS256","kid":"ins_b"}', $b_claims, 'rsa_b') . '"}');
headers('header twice', 'no-token', qq({"authorization":"Bearer $control","authorization":"Bearer $bobs"}));
headers('header twice, escaped', 'no-token', qq({"authorization":"Bearer $control","\\u0061uthorization":"Bearer $bobs"}));
headers('header in upper case', 'no-token', qq({"AUTHORIZATION":"Bearer $control"}));
headers('array of two', 'token-invalid', qq({"authorization":["Bearer $control","Bearer $bobs"]}));
headers('array of the same', 'token-invalid', qq({"authorization":["Bearer $control","Bearer $control"]}));
headers('array in an array', 'token-invalid', qq({"authorization":[["Bearer $control"]]}));
headers('array of one', 'user_alice', qq({"authorization":["Bearer $control"]}));
headers('list with a comma', 'token-invalid', qq({"authorization":"Bearer $control, Bearer $bobs"}));
headers('two tokens, a space between', 'token-invalid', qq({"authorization":"Bearer $control $bobs"}));
headers('a tab for the space', 'token-invalid', qq({"authorization":"Bearer\\t$control"}));
headers('a no-break space', 'token-invalid', qq({"authorization":"Bearer\\u00a0$control"}));
headers('a NUL', 'no-token', qq({"authorization":"Bearer $control\\u0000"}));
headers('another scheme', 'no-token', qq({"authorization":"Basic $control"}));
headers('a header within a header', 'no-token', qq({"x-forwarded-for":"1.1.1.1\\r\\nauthorization: Bearer $control"}));
cookies('control: cookie', 'user_alice', qq({"__session":"$control"}));
cookies('cookie tossing: two of one name', 'no-token', qq({"__session":"$control","__session":"$bobs"}));
cookies('cookie tossing: a suffixed one beside it', $mismatch, qq({"__session":"$control","__session_evil":"$bobs"}));
cookies('cookie tossing: two suffixed ones', $mismatch, qq({"__session_a":"$control","__session_b":"$bobs"}));
cookies('cookie tossing: a forged one beside it', $bad, qq({"__session":"$control","__session_x":") . sign($header, $bob, 'attacker') . '"}');
cookies('cookie tossing: an expired one beside it', 'token-expired', qq({"__session":"$control","__session_x":") . sign($header, "{$who,\"exp\":1700000060}") . '"}');
cookies('cookie: __Session', 'no-token', qq({"__Session":"$control"}));
cookies('cookie: a space behind the name', 'no-token', qq({"__session ":"$control"}));
cookies('cookie: another prefix', 'no-token', qq({"__Host-__session":"$control"}));
cookies('cookie: an array', 'no-token', qq({"__session":["$control"]}));
cookies('cookie of an instance that reads none', 'no-token', '{"__session":"' . sign('{"alg":"RS256","kid":"ins_b"}', $b_claims, 'rsa_b') . '"}');

#
# Keys that must not be loaded
#

sub jwks { my ($name, $expected, @keys) = @_; emit("key: $name", 'jwks', $expected, '{"keys":[' . join(',', @keys) . ']}') }
sub member { my ($jwk, $name, $value) = @_; $jwk =~ s/"$name":"[^"]*"/"$name":"$value"/ or die $name; return $jwk }
my $rsa = jwk('rsa', 'k');
my $p256 = jwk('p256', 'k');
my $size = 'An RSA key must have 2048 to 8192 bits.';
my $exponent = 'An RSA exponent must be odd, at least 3 and at most 64 bits.';
my $point = 'Its public point is not on the curve, or of small order.';
my $malformed = 'A member it needs is missing or malformed.';
my $private = 'It holds a private key.';
my $none = 'the JWKS has no key that could verify a token';
jwks("RSA of $_ bits", $size, jwk("rsa_$_", 'k')) for 512, 1024;
jwks('RSA of 16384 bits', $size, member($rsa, 'n', '_' x 2731));
jwks('RSA of 2048 bits, most of them zero', $size, member($rsa, 'n', 'A' x 300 . 'Aw'));
jwks('RSA, an even modulus', $size, member($rsa, 'n', encode_base64url(bytes($modulus - 1, 256))));
jwks("RSA, e = $_->[0]", $exponent, member($rsa, 'e', $_->[1])) for [ 0, 'AA' ], [ 1, 'AQ' ], [ 2, 'Ag' ], [ 65536, 'AQAA' ], [ '2^64 + 1', 'AQAAAAAAAAAB' ];
jwks('RSA, no e', $malformed, $rsa =~ s/"e":/"E":/r);
jwks('EC, a point off the curve', $point, member($p256, 'y', ($p256 =~ /"x":"([^"]*)"/)[0]));
jwks('EC, (0, 0)', $point, member(member($p256, 'x', 'A' x 43), 'y', 'A' x 43));
jwks('EC, a coordinate beyond p', $point, member($p256, 'x', '_' x 42 . '8'));
jwks('EC, of another curve', $malformed, member($p256, 'crv', 'P-384'));
jwks('EC, secp256k1', $none, member($p256, 'crv', 'secp256k1'));
jwks('EC, a coordinate cut short', $malformed, member($p256, 'x', 'AAAA'));
jwks('Ed25519, 31 bytes', $malformed, member(jwk('ed25519', 'k'), 'x', 'A' x 42));
jwks("Ed25519, small order: $_->[0]", $point, member(jwk('ed25519', 'k'), 'x', $_->[1]))
  for [ 1, 'AQ' . 'A' x 41 ], [ 2, '7P' . '_' x 39 . '38' ], [ 4, 'A' x 43 ], [ 8, 'JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU' ];
jwks('symmetric', 'It is a symmetric key ("kty": "oct").', $rsa, '{"kty":"oct","kid":"s","k":"c2VjcmV0"}');
jwks('symmetric, that calls itself RSA', $private, $rsa =~ s/\}$/,"k":"c2VjcmV0"}/r);
jwks('private', $private, do { my $jwk = capture($mint, 'jwk', '--key', $pem{attacker}, '--kid', 'k', '--private'); chomp $jwk; $jwk });
jwks("private, only $_", $private, $rsa =~ s/\}$/,"$_":"AQ"}/r) for qw(d p qi oth);
jwks("alg $_ on an RSA key", $none, $rsa =~ s/\}$/,"alg":"$_"}/r) for 'none', 'HS256', 'ES256', 'RSA1_5', 'rs256';
jwks('for encryption', $none, member($rsa, 'use', 'enc'));
jwks('two of one kid', 'Another key has the same "kid".', $rsa, jwk('attacker', 'k'));
jwks('no kid', 'It has no "kid", by which a token could name it.', $rsa =~ s/"kid":/"KID":/r);
