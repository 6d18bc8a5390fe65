# 019_supabase.pl
#	docs/supabase.md, word for word, with stand-ins for the schemas of Supabase: what a person sees
#	at each step, in REST, Storage and Realtime, and as an administrator who is no superuser.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin;
use ClerkTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $document = slurp_file("$FindBin::Bin/../../docs/supabase.md");
my $issuer = vector('issuer_a');
my $secret = 'super-secret-jwt-token-with-at-least-32-characters-long';
my $node = PostgreSQL::Test::Cluster->new('supabase');

$node->init;
$node->start;

# As Supabase's init scripts leave it, as far as it matters here.
$node->safe_psql('postgres', q{
	CREATE ROLE supabase_admin LOGIN SUPERUSER;
	CREATE ROLE anon; CREATE ROLE authenticated; CREATE ROLE service_role BYPASSRLS; CREATE ROLE person LOGIN;
	CREATE ROLE authenticator LOGIN NOINHERIT; GRANT anon, authenticated, service_role TO authenticator;
	CREATE PUBLICATION supabase_realtime;
	CREATE SCHEMA storage; CREATE SCHEMA realtime;
	GRANT USAGE ON SCHEMA storage, realtime TO anon, authenticated;
	CREATE TABLE storage.objects (id int GENERATED ALWAYS AS IDENTITY, bucket_id text, name text, owner uuid, owner_id text);
	CREATE TABLE realtime.messages (id int GENERATED ALWAYS AS IDENTITY, topic text, extension text);
	ALTER TABLE storage.objects ENABLE ROW LEVEL SECURITY;
	ALTER TABLE realtime.messages ENABLE ROW LEVEL SECURITY;
	GRANT ALL ON storage.objects, realtime.messages TO anon, authenticated;
	CREATE FUNCTION storage.foldername(name text) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
		SELECT (string_to_array(name, '/'))[:array_length(string_to_array(name, '/'), 1) - 1] $$;
	CREATE FUNCTION realtime.topic() RETURNS text LANGUAGE sql STABLE AS $$ SELECT nullif(current_setting('realtime.topic', true), '') $$;
	ALTER DEFAULT PRIVILEGES FOR ROLE supabase_admin IN SCHEMA public GRANT ALL ON TABLES TO person, anon, authenticated, service_role;
	ALTER DEFAULT PRIVILEGES FOR ROLE supabase_admin IN SCHEMA public GRANT ALL ON FUNCTIONS TO person, anon, authenticated, service_role;
});

# What statements print as somebody, or the error.
sub as
{
	my ($user, $sql) = @_;
	my ($ret, $stdout, $stderr) = $node->psql('postgres', $sql, extra_params => [ '-U', $user ]);

	return $stderr ne '' ? $stderr : $stdout;
}

# What a statement prints in a transaction with these settings.
sub with_settings
{
	my ($user, $sql, %settings) = @_;
	my $set = join ', ', map { "set_config('$_', '$settings{$_}', true)" } sort keys %settings;

	return as($user, "BEGIN; SELECT $set \\g /dev/null\n$sql; COMMIT");
}

# The blocks of a language in a section, with what a person fills in.
sub blocks
{
	my ($title, $language) = @_;
	my ($section) = $document =~ /^## \Q$title\E\n(.*?)(?=^## |\z)/ms or die "no section $title";
	my %filled = (
		'pk_live_…' => 'pk_live_Y2xlcmsuZXhhbXBsZS5jb20k',
		'{"keys": […]}' => vector('jwks_a'),
		'the JWT_SECRET of your .env' => $secret,
		'whsec_…' => 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
		'TO postgres' => 'TO person');
	my $wanted = join '|', map { quotemeta } keys %filled;

	return map { s/($wanted)/$filled{$1}/gr } $section =~ /^```$language\n(.*?)^```/msg;
}

sub run_blocks
{
	my ($title) = @_;

	unlike(as('supabase_admin', $_), qr/ERROR/, $title) for blocks($title, 'sql');
}

sub claims
{
	my ($user) = @_;

	return qq({"iss":"$issuer","sub":"$user","azp":"https://app.example.com","role":"authenticated","exp":4102444800});
}
my ($alice, $bob) = map { mint(claims($_)) } qw(user_alice user_bob);

# The extension, the keys, and the JWKS of the other services, through a docker that runs the command.
run_blocks('3. The extension, and the keys');
is(as('supabase_admin', 'SELECT authorized_parties FROM clerk.instances'), '{https://app.example.com}', 'the instance is there');
my ($shell) = blocks('3. The extension, and the keys', 'sh');
my $dir = PostgreSQL::Test::Utils::tempdir;
append_to_file("$dir/docker", qq(#!/bin/sh\n[ "\$1 \$2 \$3" = "compose exec db" ] && shift 3 && exec "\$@"\n));
chmod 0755, "$dir/docker" or die "chmod: $!";
{
	local $ENV{PATH} = "$dir:$ENV{PATH}";
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	is(system('sh', '-euc', "cd $dir\n$shell"), 0, 'the command for the other services runs');
}
my ($jwks) = slurp_file("$dir/.env") =~ /\ACLERK_JWKS=(\{.*\})\n\z/ or die 'no CLERK_JWKS';
is(as('supabase_admin', "SELECT string_agg(jwk ->> 'kty', ' ') FROM jsonb_array_elements('$jwks'::jsonb -> 'keys') AS jwk"),
	'oct RSA', "and prints Supabase's keys and Clerk's");

# REST
run_blocks('4. REST');
my $rest = sub {
	my ($token, $sql) = @_;

	return with_settings('authenticator', "SELECT clerk.pre_request() \\g /dev/null\n$sql",
		role => 'anon', 'request.headers' => defined $token ? qq({"authorization":"Bearer $token"}) : '{}', 'request.jwt.claims' => '{"role":"anon"}');
};
is($rest->($alice, "INSERT INTO notes (body) VALUES ('mine') RETURNING user_id, body"), 'user_alice|mine', 'REST: the row has the Clerk id');
is($rest->($bob, 'SELECT count(*) FROM notes'), 0, 'somebody else sees none');
is($rest->(undef, 'SELECT count(*) FROM notes'), 0, 'nor do the signed-out');

# Storage sets the token, the claims, and headers whose values are arrays.
my $storage = sub {
	my ($token, $user, $sql) = @_;

	return with_settings('supabase_admin', $sql, role => 'authenticated', 'request.jwt' => $token,
		'request.jwt.claims' => claims($user), 'request.headers' => qq({"authorization":["Bearer $token"]}));
};
sub upload
{
	my ($name, $owner) = @_;

	return "INSERT INTO storage.objects (bucket_id, name, owner_id) VALUES ('files', '$name', '$owner') RETURNING name";
}
run_blocks('5. Storage');
is($storage->($alice, 'user_alice', upload('user_alice/me.txt', 'user_alice')), 'user_alice/me.txt', 'Storage: uploads');
like($storage->($bob, 'user_bob', upload(@$_)), qr/row-level security/, "nobody in the name of another, or their folder: @$_")
  for [ 'user_bob/me.txt', 'user_alice' ], [ 'user_alice/part.txt', 'user_bob' ], [ 'me.txt', 'user_bob' ];
is($storage->($alice, 'user_alice', 'SELECT name FROM storage.objects'), 'user_alice/me.txt', 'and sees the file');
is($storage->($bob, 'user_bob', 'SELECT name FROM storage.objects'), '', 'others do not');
is($storage->($bob, 'user_bob', 'DELETE FROM storage.objects RETURNING name'), '', 'nor delete it');

# Realtime
run_blocks('6. Realtime');
my $change = sub {
	my ($connection, $user) = @_;

	return with_settings($connection, 'SELECT body FROM public.notes', role => 'authenticated', 'request.jwt.claims' => claims($user));
};
is($change->('clerk_realtime', 'user_alice'), 'mine', 'Realtime: a change reaches its user');
is($change->('clerk_realtime', 'user_bob'), '', 'and nobody else');
is($change->('supabase_admin', 'user_alice'), '', 'claims are believed in no other session');
as('supabase_admin', "INSERT INTO realtime.messages (topic, extension) VALUES ('of:user_alice', 'broadcast')");
is(with_settings('clerk_realtime', 'SELECT count(*) FROM realtime.messages', role => 'authenticated', 'realtime.topic' => 'of:user_alice',
		'request.jwt.claims' => claims($_->[0])), $_->[1], "a channel of alice's, for $_->[0]") for [ user_alice => 1 ], [ user_bob => 0 ];
is(as('supabase_admin', 'SELECT tablename FROM pg_publication_tables'), 'notes', 'the table is published');
is(as('supabase_admin', "SELECT object FROM clerk.audit() WHERE finding = 'trust-request-claims'"), 'role clerk_realtime', 'audit() says who believes claims');

# The webhook, under Supabase's default privileges
run_blocks('7. Webhooks');
is(as('supabase_admin', q{SELECT string_agg(acl.grantee::regrole::text, ' ' ORDER BY acl.grantee::regrole::text)
		FROM pg_proc, aclexplode(proacl) AS acl WHERE pg_proc.oid = 'public.clerk_webhook(json)'::regprocedure}),
	'anon supabase_admin', "only its owner and the anonymous role may call it");

# Who administers, and what not
run_blocks('Administering as postgres');
is(as('person', "SELECT clerk.add_instance('https://clerk.other.example')"), 'https://clerk.other.example', 'an administrator adds an instance');
like(as('person', "SELECT secret FROM clerk.$_"), qr/permission denied/, "and reads no secret in $_") for qw(webhook_secrets supabase_keys);
my ($not_for_them) = $document =~ /\[reference\]\(reference.md\) but (.*?) \|/;
is(as('supabase_admin', q{SELECT string_agg(proname, ' ' ORDER BY proname) FROM pg_proc
		WHERE pronamespace = 'clerk'::regnamespace AND NOT has_function_privilege('person', oid, 'EXECUTE')}),
	join(' ', sort $not_for_them =~ /`(\w+)`/g), 'the document says what is not for administrators');

# When Supabase's own key changes: the old secret as the key of a JWKS, beside the new one
my ($to_base64url) = $document =~ /`(printf %s "\$JWT_SECRET" \|[^`]*)`/;
my $k = do { local $ENV{JWT_SECRET} = $secret; `sh -c '$to_base64url'` };
my ($old) = $document =~ /`(\{"kty": "oct"[^`]*\})`/;
my $new = '{"kty": "EC", "kid": "new", "alg": "ES256", "crv": "P-256", "x": "eA", "y": "eQ"}';
chomp $k;
$old =~ s/…/$k/;
is(as('supabase_admin', "SELECT jsonb_build_array('$old'::jsonb) = secret::jsonb -> 'keys' FROM clerk.supabase_keys"), 't', 'the secret as a key');
my ($both) = $document =~ /`(SELECT clerk\.set_supabase_keys\('\{"keys": \[new, old\]\}'\))`/;
as('supabase_admin', $both =~ s/new, old/$new, $old/r);
is(as('supabase_admin', "SELECT string_agg(jwk ->> 'kty', ' ') FROM clerk.supabase_keys, jsonb_array_elements(secret::jsonb -> 'keys') AS jwk"),
	'EC oct', 'PostgREST gets both');
as('supabase_admin', "SELECT clerk.set_supabase_keys('$secret')");

# Who can read the secret
my $readers = q{SELECT severity, object FROM clerk.audit() WHERE finding = 'supabase-secret-readable' ORDER BY object};
my ($reset) = $document =~ /`(ALTER DATABASE postgres RESET [^`]*)`/;
is(as('supabase_admin', $readers), '', 'nobody can read the secret');
as('supabase_admin', "ALTER DATABASE postgres SET app.settings.jwt_secret = '$secret'; GRANT pg_read_all_data TO person");
is(as('supabase_admin', $readers), "error|database postgres\nnotice|role person", 'audit() says who can');
as('supabase_admin', "$reset; REVOKE pg_read_all_data FROM person");
is(as('supabase_admin', $readers), '', 'and what the document says mends it');

done_testing();
