#
# requests.pl
#		What each request through PostgREST must be answered, for one version of it.
#
# Run by run.sh.  The subs run in the order of the list at the end: test_own_rows() writes the
# notes that the others read, and those leave them as they are.
#
use strict;
use warnings;
use Client;
use MIME::Base64 qw(encode_base64url);
use Test::More;
use Time::HiRes qw(sleep time);

my $lifetime = { exp => int(time) + 600 };
my $alice = token('user_alice', $lifetime);
my $bob = token('user_bob', $lifetime);

# The bodies of the notes in an answer, as one word each.
sub bodies
{
	my ($answer) = @_;

	return ref $answer->{body} eq 'ARRAY'
	  ? join(' ', map { $_->{body} } @{ $answer->{body} })
	  : "status $answer->{status}: $answer->{text}";
}

sub notes_of
{
	my (%opt) = @_;

	return bodies(ask('GET', '/notes?order=body', %opt));
}

# Refused with this status and a message that begins with the reason code.
sub is_refused
{
	my ($answer, $status, $reason, $name) = @_;
	my $message = ref $answer->{body} eq 'HASH' ? $answer->{body}{message} : $answer->{text};

	is("$answer->{status} " . ($message =~ /^\Q$reason\E/ ? $reason : $message),
		"$status $reason", $name);
}

# What whoami() says of a request, all but the columns that are not asked for.
sub is_whoami
{
	my ($answer, $expected, $name) = @_;

	my %seen = ref $answer->{body} eq 'HASH' ? %{ $answer->{body} } : (text => $answer->{text});
	my %shown = map { $_ => $seen{$_} } keys %$expected;

	is_deeply(\%shown, $expected, $name) or diag("$answer->{status} $answer->{text}");
}

sub test_own_rows
{
	is(bodies(ask('POST', '/notes', token => $alice, body => { body => 'a1' })), 'a1', 'alice writes');
	is(bodies(ask('POST', '/notes', token => $bob, body => { body => 'b1' })), 'b1', 'bob writes');
	is(bodies(ask('POST', '/notes', token => $bob, body => [ { body => 'b2' }, { body => 'b3' } ])),
		'b2 b3', 'bob writes two at once');
	# in a bulk insert what one row leaves out is null, unless the default is asked for
	my $two = [ { body => 'm1', user_id => 'user_bob' }, { body => 'm2' } ];
	is_refused(ask('POST', '/notes?columns=body,user_id', token => $bob, body => $two), 401, 'new row violates row-level security policy',
		'of two rows of which one leaves the owner out, it is nobody');
	is(bodies(ask('POST', '/notes?columns=body,user_id', token => $bob, body => $two,
		headers => { Prefer => 'missing=default,return=representation' })), 'm1 m2', 'with missing=default it is bob');
	is(bodies(ask('DELETE', '/notes?body=like.m*', token => $bob)), 'm1 m2', 'who deletes them');
	is(notes_of(token => $alice), 'a1', 'alice reads her own');
	is(notes_of(token => $bob), 'b1 b2 b3', 'bob reads his own');
	is(notes_of(), '', 'nobody reads nothing');
	is(ask('HEAD', '/notes', token => $alice)->{status}, 200, 'HEAD');

	is(bodies(ask('PATCH', '/notes?body=eq.a1', token => $alice, body => { body => 'a2' })), 'a2',
		'alice changes her own');
	is(bodies(ask('PATCH', '/notes?body=like.b*', token => $alice, body => { body => 'x' })), '',
		"alice changes none of bob's");
	is(bodies(ask('DELETE', '/notes?body=like.b*', token => $alice)), '', "alice deletes none of bob's");
	is(bodies(ask('PATCH', '/notes?body=eq.orphan', token => $alice, body => { body => 'x' })), '',
		"alice changes no row that is nobody's");
	is(bodies(ask('DELETE', '/notes?body=eq.b3', token => $bob)), 'b3', 'bob deletes his own');
	is(notes_of(token => $bob), 'b1 b2', 'and keeps the rest');
}

# PostgREST answers 401 where somebody is not permitted something whose token has no role
# claim, and 403 where it has one.
sub test_foreign_rows
{
	my $with_role = token('user_bob', { role => 'authenticated' });
	my $refused = 'new row violates row-level security policy';

	is_refused(ask('POST', '/notes', token => $bob, body => { body => 'x', user_id => 'user_alice' }),
		401, $refused, "bob cannot write in alice's name");
	is_refused(ask('POST', '/notes', token => $with_role, body => { body => 'x', user_id => 'user_alice' }),
		403, $refused, 'nor with a role claim');
	is_refused(ask('PATCH', '/notes?body=eq.b1', token => $bob, body => { user_id => 'user_alice' }),
		401, $refused, 'bob cannot give a note away');
	is_refused(ask('POST', '/notes', body => { body => 'x' }), 401, $refused, 'nobody cannot write');
	is(notes_of(token => $alice), 'a2', 'and alice has no more than before');
}

sub test_time
{
	my $now = int(time);
	my $expired = token('user_alice', { exp => $now - 10, iat => $now - 70, nbf => $now - 80 });

	is_refused(ask('GET', '/notes', token => $expired),
		401, 'token-expired', 'expired ten seconds ago, which PostgREST lets pass');
	is(notes_of(to => 'bare', token => $expired), '',
		'which shows nothing without db-pre-request');
	is(ask('GET', '/notes', token => token('user_alice', { exp => $now - 60 }))->{status}, 401,
		'expired a minute ago, which PostgREST refuses itself');
	is_refused(ask('GET', '/notes', token => token('user_alice', { nbf => $now + 20 })),
		401, 'token-not-active-yet', 'not valid before the next twenty seconds');
	is_refused(ask('GET', '/notes', token => token('user_alice', { iat => $now + 20 })),
		401, 'token-iat-in-the-future', 'issued in the future');
	is(notes_of(token => token('user_alice', { exp => $now - 2 })), 'a2', 'the clocks may be a little apart');

	my $short = token('user_alice', { exp => int(time) - 2 });
	is(notes_of(token => $short), 'a2', 'a token in its last seconds');
	sleep 4;
	is_refused(ask('GET', '/notes', token => $short), 401, 'token-expired', 'and after them, on a pooled connection');
}

sub test_forged
{
	my %forged = (
		'signed with another key' => token('user_alice', {}, key => 'forger', kid => 'ins_clerk'),
		"signed with another instance's key" => token('user_alice', {}, key => 'parties'),
		'alg none' => token('user_alice', {}, alg => 'none'),
		'HS256 with the public key as secret' =>
		  token('user_alice', {}, alg => 'HS256', kid => 'ins_clerk', secret_file => "$ENV{E2E_KEYS}/clerk.pub"),
		'no token at all' => 'rubbish',
		'changed after it was signed' => do { (my $t = $alice) =~ s/\.[^.]{20}/.eyJzdWIiOiJ1c2VyX2Jv/; $t });

	# the second of these has a key that PostgREST knows, and only the database can tell
	for my $how (sort keys %forged)
	{
		is(ask('GET', '/notes', token => $forged{$how})->{status}, 401, "forged: $how");
		isnt(notes_of(to => 'bare', token => $forged{$how}), 'a2', "forged, without db-pre-request: $how");
	}

	is_refused(ask('GET', '/notes', token => $forged{"signed with another instance's key"}),
		401, 'jwk-kid-mismatch', 'the key of an instance does not verify for another issuer');
	is_refused(ask('GET', '/notes', headers => { 'x-clerk-token' => $forged{'signed with another key'} }),
		401, 'token-invalid-signature', 'forged, and in a header that PostgREST does not read');
	is_refused(ask('GET', '/notes', headers => { 'x-clerk-token' => $forged{'alg none'} }),
		401, 'token-invalid-algorithm', 'alg none in that header');
	is_refused(ask('GET', '/notes',
			headers => { 'x-clerk-token' => $forged{'HS256 with the public key as secret'} }),
		401, 'token-invalid-algorithm', 'HS256 in that header');
	is_refused(ask('GET', '/notes', token => token('user_alice', { sts => 'pending' })),
		401, 'session-pending', 'a pending session');
	is_refused(ask('GET', '/notes', token => token('mch_1')), 401, 'token-type-mismatch', 'a machine');
	is_refused(ask('GET', '/notes', headers => { 'x-clerk-token' => token('user_alice', { pad => 'x' x 16000 }) }),
		401, 'token-too-large', 'more than 16 KiB');
}

# A token of somebody else is no attack.  PostgREST "static" trusts its key, the database does not.
sub test_foreign_issuer
{
	my $foreign = token('user_alice', { iss => 'https://foreign.e2e.example' }, key => 'foreign');
	my $disguised = token('user_alice', {}, key => 'foreign');
	my $anonymous = { uid => undef, is_authenticated => JSON::PP::false, role => 'web_anon' };

	is(notes_of(to => 'static', token => $alice), 'a2', 'static keys: our token');
	is(notes_of(to => 'static', token => $foreign), '', 'static keys: a foreign token sees nothing');
	is_whoami(ask('GET', '/rpc/whoami', to => 'static', token => $foreign), $anonymous,
		'static keys: a foreign token is anonymous');
	is_refused(ask('GET', '/notes', to => 'static', token => $disguised),
		401, 'jwk-kid-mismatch', "static keys: a foreign key under our issuer's name");
	is(ask('GET', '/notes', token => $foreign)->{status}, 401, 'PostgREST does not know the key');
	is(notes_of(headers => { 'x-clerk-token' => $foreign }), '', 'in x-clerk-token: nothing');
	is(notes_of(token => $alice, headers => { 'x-clerk-token' => $foreign }), 'a2',
		'and it does not disturb a token of ours');
}

# PostgREST authenticates the first, request.headers has the last.
sub test_two_authorizations
{
	my $forged = token('user_bob', {}, key => 'forger', kid => 'ins_clerk');

	for my $pair ([ $alice, $bob ], [ $bob, $alice ])
	{
		my $headers = { Authorization => [ map { "Bearer $_" } @$pair ] };

		is_refused(ask('GET', '/notes', headers => $headers), 401, 'identity-mismatch',
			'two users in two Authorization headers');
		is(notes_of(to => 'bare', headers => $headers), '', 'which without db-pre-request see nothing');
		is(ask('POST', '/notes', to => 'bare', headers => $headers, body => { body => 'x' })->{status},
			401, 'and write nothing');
	}
	is_refused(ask('GET', '/notes', headers => { Authorization => [ "Bearer $alice", "Bearer $forged" ] }),
		401, 'token-invalid-signature', 'a forged token behind a good one');
	is(notes_of(to => 'bare', headers => { Authorization => [ "Bearer $alice", "Bearer $forged" ] }), '',
		'which without db-pre-request sees nothing');
	is(notes_of(headers => { Authorization => [ "Bearer $alice", "Bearer $alice" ] }), 'a2',
		'the same token twice is one user');
	is(notes_of(headers => { Authorization => [ "Bearer $alice", 'Bearer ' . token('user_alice', { jti => '2' }) ] }),
		'a2', 'and so are two tokens of one user');
}

sub test_clerk_header
{
	is(notes_of(headers => { 'x-clerk-token' => $alice }), 'a2', 'x-clerk-token');
	is(notes_of(headers => { 'X-Clerk-Token' => "Bearer $alice" }), 'a2', 'X-Clerk-Token with Bearer');
	is(notes_of(to => 'bare', headers => { 'x-clerk-token' => $alice }), 'a2', 'without db-pre-request');
	is(notes_of(token => $alice, headers => { 'x-clerk-token' => $alice }), 'a2', 'beside the same in Authorization');
	is_refused(ask('GET', '/notes', token => $alice, headers => { 'x-clerk-token' => $bob }),
		401, 'identity-mismatch', "beside another user's in Authorization");
	is(notes_of(to => 'bare', token => $alice, headers => { 'x-clerk-token' => $bob }), '',
		'which without db-pre-request see nothing');
	is(notes_of(headers => { Authorization => "bearer $alice" }), 'a2', 'Authorization: bearer');
}

# Requests that a browser, a proxy or a curious person sends.
sub test_odd_requests
{
	my $nobody = { uid => undef, role => 'anon' };
	my $user = { uid => 'user_alice', role => 'authenticated' };
	my $whoami = '/rpc/whoami';

	is_whoami(ask('GET', $whoami, headers => { Authorization => 'Basic dXNlcjpwYXNz' }), $nobody, 'Basic');
	is_whoami(ask('GET', $whoami, headers => { Authorization => $alice }), $user, 'a token without Bearer');
	is_whoami(ask('GET', $whoami, headers => { 'x-clerk-token' => '' }), $nobody, 'an empty header');
	is_refused(ask('GET', $whoami, headers => { 'x-clerk-token' => 'null' }), 401, 'token-invalid',
		'the null of a careless script');
	is_whoami(ask('GET', $whoami, headers => { Cookie => '__session=; __client_uat=0' }), $nobody,
		'the cookies of somebody who signed out');
	is_whoami(ask('GET', $whoami, headers => { Cookie => join('; ', map { "c$_=$_" } 1 .. 300) }), $nobody,
		'a crowd of cookies');
	is(ask('GET', '/', token => $alice)->{status}, 200, 'the OpenAPI description');
	is(ask('OPTIONS', '/notes', headers => { Origin => 'https://app.e2e.example' })->{status}, 200, 'OPTIONS');
	is(bodies(ask('POST', '/notes?on_conflict=id', token => $alice,
			headers => { Prefer => 'resolution=merge-duplicates,return=representation' },
			body => { id => 1, body => 'x' })) =~ /row-level security|cannot insert/, 1,
		'an upsert of a row that is somebody else\'s');
}

sub test_cookies
{
	my @parties = (key => 'parties');
	my %iss = (iss => 'https://parties.e2e.example');
	my $good = token('user_carol', \%iss, @parties);
	my $elsewhere = token('user_carol', { %iss, azp => 'https://evil.example' }, @parties);
	my $carol = { uid => 'user_carol', role => 'authenticated' };

	is_whoami(ask('GET', '/rpc/whoami', token => $good), $carol, 'the second instance');
	is_whoami(ask('GET', '/rpc/whoami', headers => { Cookie => "a=b; __session=$good; c=d" }), $carol,
		'cookie __session');
	is_whoami(ask('GET', '/rpc/whoami', headers => { Cookie => "__session_a1B2=$good" }), $carol,
		'cookie __session_<suffix>');
	is_whoami(ask('GET', '/rpc/whoami', headers => { Cookie => "__session=$alice" }),
		{ uid => undef, role => 'anon' }, 'no cookie counts without authorized parties');
	is_whoami(ask('GET', '/rpc/whoami', headers => { Cookie => "session=$good" }),
		{ uid => undef, role => 'anon' }, 'nor one of another name');
	is_refused(ask('GET', '/rpc/whoami', headers => { Cookie => "__session=$elsewhere" }),
		401, 'token-invalid-authorized-parties', 'a cookie from another origin');
	is_refused(ask('GET', '/rpc/whoami', token => $elsewhere),
		401, 'token-invalid-authorized-parties', 'a token from another origin');
	is_whoami(ask('GET', '/rpc/whoami', token => $alice, headers => { Cookie => "__session=$good" }),
		{ uid => 'user_alice', role => 'authenticated' }, 'a cookie of another user beside a token');
	my @browser = ([ {}, undef ], [ { Origin => 'https://evil.example' }, undef ], [ { 'Sec-Fetch-Site' => 'same-site' }, undef ],
		[ { Origin => 'https://app.e2e.example' }, 'user_carol' ], [ { 'Sec-Fetch-Site' => 'same-origin' }, 'user_carol' ]);
	for (@browser)
	{
		my ($headers, $uid) = @$_;
		is_whoami(ask('POST', '/rpc/whoami', headers => { Cookie => "__session=$good", %$headers }, body => {}),
			{ uid => $uid, role => $uid ? 'authenticated' : 'anon' }, 'POST with a cookie, and ' . join ': ', %$headers);
	}
	is_whoami(ask('GET', '/rpc/whoami', headers => { Cookie => "__session=$good", Origin => 'https://evil.example' }),
		{ uid => undef, role => 'anon' }, 'no other origin reads by a cookie');
}

sub test_roles
{
	is_whoami(ask('GET', '/rpc/whoami', token => $alice),
		{
			uid => 'user_alice',
			issuer => 'https://clerk.e2e.example',
			session_id => 'sess_user_alice',
			email => 'user_alice@e2e.example',
			is_authenticated => JSON::PP::true,
			role => 'authenticated'
		},
		'without a role claim: the role of the instance');
	is_whoami(ask('GET', '/rpc/whoami', to => 'static', token => $alice), { role => 'authenticated' },
		'also where the anonymous role has another name');
	is_whoami(ask('GET', '/rpc/whoami', to => 'bare', token => $alice), { uid => 'user_alice', role => 'anon' },
		'without db-pre-request the role is PostgREST\'s');
	is_whoami(ask('GET', '/rpc/whoami', headers => { 'x-clerk-token' => $alice }),
		{ uid => 'user_alice', role => 'authenticated' }, 'a token that PostgREST did not see');
	for my $role (qw(authenticated editor))
	{
		is_whoami(ask('GET', '/rpc/whoami', token => token('user_alice', { role => $role })),
			{ uid => 'user_alice', role => $role }, "role claim $role");
	}
	for my $role (qw(stranger postgres))
	{
		my $answer = ask('GET', '/rpc/whoami', token => token('user_alice', { role => $role }));

		ok($answer->{status} >= 400 && $answer->{status} < 500, "role claim $role is not granted")
		  or diag("$answer->{status} $answer->{text}");
	}
	is_whoami(ask('GET', '/rpc/whoami'), { uid => undef, is_authenticated => JSON::PP::false, role => 'anon' },
		'nobody is anonymous');
}

# Supabase's own keys are tokens of another issuer, signed with a secret that we do not have.
sub test_supabase
{
	my @supabase = (to => 'supabase');
	my @hs256 = (alg => 'HS256', kid => '-', secret_file => "$ENV{E2E_KEYS}/jwt_secret");
	my %key = map { $_ => sign(qq({"role":"$_","iss":"supabase","exp":4102444800}), @hs256) } qw(anon service_role);
	my $disguised = token('user_alice', { role => 'authenticated' }, @hs256);
	my $forged = sign('{"role":"service_role","exp":4102444800}', alg => 'HS256', kid => '-',
		secret_file => "$ENV{E2E_KEYS}/clerk.pub");
	my $apikey = { apikey => $key{anon} };

	is(notes_of(@supabase, token => $alice, headers => $apikey), 'a2', 'Supabase: a Clerk token beside the anon key');
	is_whoami(ask('GET', '/rpc/whoami', @supabase, token => $alice, headers => $apikey),
		{ uid => 'user_alice', role => 'authenticated' }, 'Supabase: is signed in');
	is_whoami(ask('GET', '/rpc/whoami', @supabase, token => $key{anon}, headers => $apikey),
		{ uid => undef, role => 'anon' }, 'Supabase: the anon key is anonymous');
	is(notes_of(@supabase, token => $key{anon}), '', 'Supabase: and sees nothing');
	is("@{ ask('GET', '/notes', @supabase, token => $_) }{qw(status text)}" =~ s/\{.*"code":"(\w+)".*/$1/r, '401 PGRST301',
		"Supabase: $_ is no token") for qw(null undefined);
	is_whoami(ask('GET', '/rpc/whoami', @supabase, token => $key{service_role}),
		{ uid => undef, role => 'service_role' }, 'Supabase: the service_role key keeps its role');
	is(notes_of(@supabase, token => $key{service_role}), 'a2 b1 b2 orphan', 'Supabase: and sees everything');
	is_whoami(ask('GET', '/rpc/whoami', @supabase, token => $key{anon}, headers => { 'x-clerk-token' => $alice }),
		{ uid => 'user_alice', role => 'authenticated' }, 'Supabase: the anon key, and x-clerk-token');
	is_refused(ask('GET', '/notes', @supabase, token => $disguised),
		401, 'jwk-kid-mismatch', "Supabase: its secret does not sign for Clerk's users");
	sql("UPDATE clerk.instances SET legacy_template_until = now() + interval '1 hour'");
	is_whoami(ask('GET', '/rpc/whoami', @supabase, token => $disguised),
		{ uid => undef, role => 'authenticated' }, 'Supabase: a token of a legacy template passes, and signs nobody in');
	is_whoami(ask('GET', '/rpc/whoami', @supabase, token => $alice),
		{ uid => 'user_alice', role => 'authenticated' }, 'Supabase: beside it a session token does');
	is(ask('GET', '/notes', @supabase, token => $forged)->{status}, 401, 'Supabase: another secret does not pass');
	sql('UPDATE clerk.instances SET legacy_template_until = NULL');
	is_refused(ask('GET', '/notes', @supabase, token => $disguised),
		401, 'jwk-kid-mismatch', 'Supabase: and then no more');
	is(ask('GET', '/notes', @supabase, token => $forged)->{status}, 401, 'Supabase: another secret');
}

# Seconds until a token is answered with that status, or undef.
sub seconds_until
{
	my ($token, $status, %opt) = @_;
	my $start = time;

	while (time - $start < 10)
	{
		return time - $start if ask('GET', '/notes', token => $token, %opt)->{status} == $status;
		sleep 0.05;
	}
	return undef;
}

# Current compose files have a JWKS: a public ES256 key, and the old secret as a symmetric one.
sub supabase_jwks
{
	my @keys = map { Client::output($ENV{E2E_MINT}, 'jwk', '--key', "$ENV{E2E_KEYS}/$_.pem", '--kid', $_, '--alg', 'ES256') } @_;

	open(my $file, '<', "$ENV{E2E_KEYS}/jwt_secret") or die "jwt_secret: $!\n";
	my $secret = do { local $/ = undef; <$file> };
	close $file;
	return '{"keys":[' . join(',', @keys, '{"kty":"oct","alg":"HS256","k":"' . encode_base64url($secret) . '"}') . ']}';
}

sub test_supabase_jwks
{
	my @supabase = (to => 'supabase');
	my $set = "SELECT clerk.set_supabase_keys(:'keys')";
	my %legacy = map { $_ => sign(qq({"role":"$_","iss":"supabase","exp":4102444800}),
			alg => 'HS256', kid => '-', secret_file => "$ENV{E2E_KEYS}/jwt_secret") } qw(anon service_role);
	my @es256 = (alg => 'ES256', key => 'supabase', kid => 'supabase');
	my %key = map { $_ => sign(qq({"role":"$_","iss":"supabase","exp":4102444800}), @es256) } qw(anon service_role);
	my $next = sign('{"role":"anon","iss":"supabase","exp":4102444800}', @es256, key => 'supabase_next', kid => 'supabase_next');

	is(ask('GET', '/notes', @supabase, token => $key{anon})->{status}, 401, 'Supabase: an ES256 key without its JWKS');
	sql($set, keys => supabase_jwks('supabase'));
	ok(defined seconds_until($key{anon}, 200, @supabase), 'Supabase: PostgREST takes a JWKS without a restart');
	is_whoami(ask('GET', '/rpc/whoami', @supabase, token => $key{anon}),
		{ uid => undef, role => 'anon' }, 'Supabase: the ES256 anon key is anonymous');
	is_whoami(ask('GET', '/rpc/whoami', @supabase, token => $key{service_role}),
		{ uid => undef, role => 'service_role' }, 'Supabase: the ES256 service_role key keeps its role');
	is(notes_of(@supabase, token => $key{service_role}), 'a2 b1 b2 orphan', 'Supabase: and sees everything');
	is_whoami(ask('GET', '/rpc/whoami', @supabase, token => $legacy{anon}),
		{ uid => undef, role => 'anon' }, 'Supabase: the old anon key goes on');
	is(notes_of(@supabase, token => $alice, headers => { apikey => $key{anon} }), 'a2', 'Supabase: a Clerk token beside it');
	is_refused(ask('GET', '/notes', @supabase, token => token('user_alice', { role => 'authenticated' }, @es256)),
		401, 'jwk-kid-mismatch', "Supabase: its key does not sign for Clerk's users");

	sql($set, keys => supabase_jwks('supabase', 'supabase_next'));
	ok(defined seconds_until($next, 200, @supabase), 'Supabase: a key of its own that rotates');
	is(ask('GET', '/notes', @supabase, token => $key{anon})->{status}, 200, 'Supabase: the one before still passes');
	sql($set, keys => supabase_jwks('supabase_next'));
	ok(defined seconds_until($key{anon}, 401, @supabase), 'Supabase: until it is taken away');
	is(ask('GET', '/notes', @supabase, token => $next)->{status}, 200, 'Supabase: the new one passes');

	# nobody can learn the secret over REST, nor what would show it
	is(ask('POST', '/rpc/supabase_pre_config', @supabase, token => $next, headers => { 'Content-Profile' => 'clerk' })->{status}, 406,
		'Supabase: schema clerk is not served');
	is(sql('SELECT count(*) FROM clerk.audit() WHERE finding = \'supabase-secret-readable\''), 0, 'Supabase: nobody can read the secret');
}

sub test_transactions
{
	is_whoami(ask('GET', '/rpc/whoami', token => $alice), { uid => 'user_alice', read_only => 'on' },
		'GET is READ ONLY');
	is_whoami(ask('POST', '/rpc/whoami', token => $alice, body => {}), { uid => 'user_alice' }, 'POST to a stable function');
	is_whoami(ask('POST', '/rpc/whoami_writing', token => $alice, body => {}),
		{ uid => 'user_alice', read_only => 'off' }, 'POST is not');
	is(ask('GET', '/rpc/uid', token => $bob)->{body}, 'user_bob', 'SELECT clerk.uid() in a function');
}

# Children, so that both pooled connections are busy; each counts its wrong answers.
sub test_pool
{
	my @expected = ([ $alice, 'a2' ], [ $bob, 'b1 b2' ], [ undef, '' ], [ 'rubbish', undef ]);
	my @children;

	for my $seed (1 .. 4)
	{
		my $pid = fork // die "fork: $!\n";

		if ($pid == 0)
		{
			my $wrong = 0;

			srand $seed;
			for (1 .. 50)
			{
				my ($token, $bodies) = @{ $expected[ int rand @expected ] };
				my $answer = ask('GET', '/notes?order=body', token => $token);

				$wrong++
				  if defined $bodies ? bodies($answer) ne $bodies : $answer->{status} != 401;
			}
			require POSIX;
			POSIX::_exit($wrong);
		}
		push @children, $pid;
	}
	for my $pid (@children)
	{
		waitpid $pid, 0;
		is($? >> 8, 0, 'fifty requests of changing users, three others at the same time: no wrong answer');
	}
}

# A child that asks with a token until it is told to stop, and counts what is refused.
sub keep_asking
{
	my ($token, $stop) = @_;
	my $pid = fork // die "fork: $!\n";

	return $pid if $pid;
	my $refused = 0;
	until (-e $stop)
	{
		$refused++ if ask('GET', '/notes', token => $token)->{status} != 200;
	}
	require POSIX;
	POSIX::_exit($refused > 255 ? 255 : $refused);
}

sub test_rotation
{
	my $load = "SELECT clerk.load_jwks('https://clerk.e2e.example', :'jwks', :'grace')";
	my $new = token('user_alice', {}, key => 'clerk_next');
	my $old = token('user_alice');

	is_refused(ask('GET', '/notes', headers => { 'x-clerk-token' => $new }), 401, 'jwk-kid-mismatch',
		'a key that is not loaded yet');
	my $stop = "$ENV{E2E_KEYS}/stop-$$";
	my @asking = map { keep_asking($old, $stop) } 1 .. 3;
	sql($load, jwks => jwks('clerk_next'), grace => '1 hour');
	is(notes_of(headers => { 'x-clerk-token' => $new }), 'a2', 'the database takes a new key at once');
	my $seconds = seconds_until($new, 200);
	ok(defined $seconds, 'PostgREST takes it without a restart') and diag(sprintf 'after %.2f s', $seconds);
	is(notes_of(token => $old), 'a2', 'the old key still verifies: it is retiring');
	ok(defined seconds_until($new, 200, to => 'supabase'), "PostgREST takes it beside Supabase's keys, too");
	is(ask('GET', '/notes', to => 'supabase', token => sign('{"role":"anon","exp":4102444800}',
			alg => 'ES256', key => 'supabase_next', kid => 'supabase_next'))->{status}, 200, 'and those go on');
	push @asking, keep_asking($new, $stop);
	sleep 0.5;
	open(my $file, '>', $stop) or die "$stop: $!\n";
	close $file;
	for my $pid (@asking)
	{
		waitpid $pid, 0;
		is($? >> 8, 0, 'no valid token was refused meanwhile');
	}

	sql("UPDATE clerk.jwks SET expires_at = now() WHERE kid = 'ins_clerk'");
	is_refused(ask('GET', '/notes', headers => { 'x-clerk-token' => $old }), 401, 'jwk-kid-mismatch',
		'a retired key: the database refuses it at once');
	ok(defined seconds_until($old, 401), 'and PostgREST too');
	is(notes_of(token => $new), 'a2', 'while the new one goes on');

	sql($load, jwks => jwks('clerk', 'clerk_next'), grace => '0');
	ok(defined seconds_until($old, 200), 'the old key is back');

	sql($load, jwks => jwks('clerk_next'), grace => '1 second');
	is(notes_of(token => $old), 'a2', 'a second of grace');
	sleep 1;
	is(scalar(grep { ask('GET', '/notes', token => $old)->{status} != 401 } 1 .. 20), 0, 'and not a moment longer');
	sql($load, jwks => jwks('clerk', 'clerk_next'), grace => '0');
}

# Neither a token, nor a part of one, nor a claim.  Also shows that the logs are not empty.
sub test_logs
{
	my @tokens = kept_tokens();
	my @parts = grep { length($_ // '') > 20 } map { (split /\./)[ 1, 2 ] } @tokens;

	for my $path (split ' ', $ENV{E2E_LOGS})
	{
		my ($name) = $path =~ m{([^/]+)$};

		open(my $file, '<', $path) or die "$path: $!\n";
		my $text = do { local $/ = undef; <$file> };
		close $file;
		ok(length $text > 200, "$name says something");
		is(scalar(grep { index($text, $_) >= 0 } @parts), 0,
			"$name: no part of any of the " . @tokens . ' tokens');
		unlike($text, qr/\@e2e\.example|sess_user_/, "$name: no claim");
		unlike($text, qr/a JWT_SECRET of at least|YSBKV1RfU0VDUkVU/, "$name: no secret of Supabase");
	}
}

test_own_rows();
test_foreign_rows();
test_time();
test_forged();
test_foreign_issuer();
test_two_authorizations();
test_clerk_header();
test_odd_requests();
test_cookies();
test_roles();
test_supabase();
test_supabase_jwks();
test_transactions();
test_pool();
test_rotation();
test_logs();
done_testing();
