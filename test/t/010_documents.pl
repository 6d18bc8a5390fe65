# 010_documents.pl
#	The commands of README.md and docs/, word for word, as a shell and psql run them: how keys are
#	loaded, webhooks set up and what was there before imported.  A curl that is not one answers.
#	And that the documents are whole: reference, reasons, links.
#	What docs/clients.md quotes is what test/examples/run.sh runs.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin;
use ClerkTest;
use Digest::SHA qw(hmac_sha256_base64);
use JSON::PP;
use MIME::Base64 qw(decode_base64);
use PostgreSQL::Test::Utils;
use Test::More;

my $root = "$FindBin::Bin/../..";
my $node = start_node('documents');

# The blocks of a language in a section of a document.
sub blocks
{
	my ($file, $title, $language) = @_;
	my ($section) = slurp_file("$root/$file") =~ /^## \Q$title\E\n(.*?)(?=^## |\z)/ms;

	return $section =~ /^```$language\n(.*?)^```/msg;
}

# Runs shell commands in a folder of their own, with $curl, a shell script, as curl.
sub run_shell
{
	my ($curl, $commands) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir;
	my ($stdout, $stderr);

	append_to_file("$dir/curl", "#!/bin/sh\n$curl\n");
	chmod 0755, "$dir/curl" or die "chmod: $!";
	local $ENV{PATH} = "$dir:$ENV{PATH}";
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	local $ENV{PGDATABASE} = 'postgres';
	local $ENV{CLERK_SECRET_KEY} = 'sk_test_x';
	IPC::Run::run(['sh', '-euc', "cd $dir\n$commands"], '<', \'', '>', \$stdout, '2>', \$stderr);
	is($stderr, '', 'commands run');
	return $stdout;
}

# keys
$node->safe_psql('postgres', 'DELETE FROM clerk.jwks');
my (undef, $load) = blocks('README.md', 'Install', 'sh');
my $jwks = vector('jwks_a');
like(run_shell("cat <<'EOF'\n$jwks\nEOF", $load), qr/ins_a .* added/, 'the README loads the keys of an instance');

# webhooks
my $key = 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
my ($expose, $secret) = blocks('docs/webhooks.md', 'Setting it up', 'sql');
$secret =~ s/whsec_…/whsec_$key/;
$node->safe_psql('postgres', $_) for $expose, $secret, blocks('docs/webhooks.md', 'Your own functions', 'sql'),
  blocks('docs/webhooks.md', 'What is kept', 'sql');
is($node->safe_psql('postgres', "SELECT has_function_privilege('anon', 'public.clerk_webhook(json)', 'EXECUTE')"),
	't', 'the endpoint is there');

my ($ts, $body) = (time, '{"type":"user.created","data":{"id":"user_new","first_name":"Nu"}}');
my $signature = hmac_sha256_base64("msg_1.$ts.$body", decode_base64($key)) . '=';
$node->safe_psql('postgres', "SELECT clerk.receive_webhook('msg_1', '$ts', 'v1,$signature', '$body')");
is($node->safe_psql('postgres', 'SELECT clerk_id FROM app.customers'), 'user_new', 'the handler was called');

my $nu = mint('{"iss":"' . vector('issuer_a') . '","sub":"user_new","exp":4102444800}');
my $people = "SET ROLE authenticated; SET clerk.token = '$nu'; SELECT clerk_id, first_name FROM people";
is($node->safe_psql('postgres', $people), 'user_new|Nu', 'users see themselves');
is($node->safe_psql('postgres', "SET ROLE authenticated; SELECT count(*) FROM people"), 0, 'and others nobody');

my ($by_hand) = blocks('docs/webhooks.md', 'Revoking by hand', 'sql');
$by_hand =~ s/user_2abc…/user_new/g;
$by_hand =~ s/(.*unrevoke.*)\n//;
my $unrevoke = $1;
$node->safe_psql('postgres', $by_hand);
is($node->safe_psql('postgres', $people), '', 'whom the document revokes is nobody');
$node->safe_psql('postgres', $unrevoke);
is($node->safe_psql('postgres', $people), 'user_new|Nu', 'until that is taken back');

# what is watched, with the rights that the document gives
$node->safe_psql('postgres', 'CREATE ROLE exporter; GRANT pg_monitor TO exporter; GRANT SELECT ON clerk.key_changes TO exporter');
my @queries = map { /^ +query: \|\n +(.*)\n/mg } blocks('docs/operations.md', 'With Prometheus', 'yaml');
is(scalar @queries, 4, 'there are queries for Prometheus');
my $seen = $node->safe_psql('postgres', join ';', 'SET ROLE exporter', @queries);
like($seen, qr/^\Q$_\E\|\d/m, "they say: $_") for 'jwks', vector('issuer_a');
my ($trail) = blocks('docs/operations.md', 'Who has changed what is believed', 'sql');
like($node->safe_psql('postgres', $trail), qr/\|INSERT\|webhook_secrets\|/, 'and the trail is shown');

# imports: two pages of each list, the first with two objects and the second with one, then none
my ($import) = blocks('docs/webhooks.md', 'What was there before', 'sh');
run_shell(<<'EOF', $import);
for arg; do
	case $arg in
		offset=*) offset=${arg#offset=} ;;
		https://api.clerk.com/v1/users) kind=user ;;
		https://api.clerk.com/v1/organizations) kind=org ;;
		https://api.clerk.com/v1/organization_memberships) kind=orgmem ;;
	esac
done
case $offset in
	0) page='{"id":"'$kind'_1","updated_at":1},{"id":"'$kind'_2","updated_at":1}' ;;
	2) page='{"id":"'$kind'_3","updated_at":1}' ;;
	*) page= ;;
esac
case $kind in
	user) echo "[$page]" ;;
	*) echo '{"data":['$page'],"total_count":3}' ;;
esac
EOF
is($node->safe_psql('postgres', <<'EOF'), 'org_1 org_2 org_3 orgmem_1 orgmem_2 orgmem_3 user_1 user_2 user_3 user_new', 'everything is imported');
SELECT string_agg(clerk_id, ' ' ORDER BY clerk_id)
FROM (SELECT clerk_id FROM clerk.user_profiles UNION ALL SELECT clerk_id FROM clerk.org_profiles
	UNION ALL SELECT clerk_id FROM clerk.org_memberships) AS ids
EOF

# moving here: the old helper answers from the verified token, and from the claims as before
$node->safe_psql('postgres', $_) for slurp_file("$root/docs/migration.md") =~ /^   ```sql\n(.*?)^   ```/msg;
is($node->safe_psql('postgres', "SET clerk.token = '$nu'; SELECT requesting_user_id()"), 'user_new', 'requesting_user_id() of a token');
is($node->safe_psql('postgres', q(SET request.jwt.claims = '{"sub":"user_old"}'; SELECT requesting_user_id())), 'user_old',
	'and of the claims of the template');

# the reference is what the catalog says
$node->safe_psql('postgres', 'CREATE DATABASE fresh');
my $reference = $node->safe_psql('fresh', slurp_file("$root/test/tools/reference.sql"));
is("$reference\n", slurp_file("$root/docs/reference.md"), 'docs/reference.md is up to date')
  or diag('make it again with test/tools/reference.sql');

# each reason that a token or a webhook can be refused for is explained
my %codes = map { $_ => 1 } slurp_file("$root/src/core/status.c") =~ /"((?:token|session|user|identity|webhook|jwk|table|cookie|no)-[a-z-]+)[":]/g;
delete $codes{'jwk-invalid'};
my ($reasons) = slurp_file("$root/docs/troubleshooting.md") =~ /^## Reasons\n(.*)/ms;
my %explained = map { $_ => 1 } map { /`([a-z-]+)`/g } $reasons =~ /^\| (`.*?) \|/mg;
is_deeply(\%explained, \%codes, 'docs/troubleshooting.md explains every reason');

# what PGXN wants to know (PGXN Meta Spec 1.0.0): the required members, and what must be true of them
my $meta = JSON::PP->new->decode(slurp_file("$root/META.json"));
my ($version) = slurp_file("$root/clerk_rls.control") =~ /^default_version = '(.*)'/m;
my @missing = grep { !defined $meta->{$_} } qw(name version abstract maintainer license provides meta-spec);
is_deeply(\@missing, [], 'META.json has what PGXN requires');
is("$meta->{version} $meta->{provides}{clerk_rls}{version} $meta->{'meta-spec'}{version} $meta->{license} $meta->{release_status}",
	"$version $version 1.0.0 postgresql stable", 'META.json: versions, license and status');
ok(-e "$root/$_", "META.json: there is $_") for map { ($_->{file}, $_->{docfile}) } values %{ $meta->{provides} };
like($version, qr/^\d+\.\d+\.\d+$/, 'the version is a semantic one');

# links lead somewhere
sub anchors
{
	my ($file) = @_;

	return map { s/[^\w\s-]//gr =~ s/ /-/gr } map { lc } slurp_file($file) =~ /^#+ (.*)$/mg;
}
my @broken;
for my $file (glob("$root/README.md $root/docs/*.md"))
{
	my ($dir) = $file =~ m{(.*)/};
	for my $link (slurp_file($file) =~ /\]\((?!https?:)([^)]+)\)/g)
	{
		my ($path, $anchor) = $link =~ /^([^#]*)#?(.*)$/;
		my $target = $path eq '' ? $file : "$dir/$path";

		push @broken, "$file: $link"
		  unless -e $target && ($anchor eq '' || grep { $_ eq $anchor } anchors($target));
	}
}
is_deeply(\@broken, [], 'no link is broken');

# clients
my $clients = slurp_file("$root/docs/clients.md");
my %quoted;
while ($clients =~ /^From \[`(.*?)`\].*?:\n\n```js\n(.*?)^```/msg)
{
	my ($file, $quote) = ($1, $2);

	ok(index(slurp_file("$root/$file"), $quote) >= 0, "docs/clients.md quotes $file");
	$quoted{$file} = 1;
}
my @examples = glob "$root/test/examples/*/test.mjs";
is(keys %quoted, @examples, 'and each example');

done_testing();
