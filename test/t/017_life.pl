# 017_life.pl
#	The life of the extension: whoever may create it, an update from each old version is the same
#	as a fresh install, object by object, a migration of the application may set it up again and
#	again, and dropping it leaves nothing behind.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin;
use ClerkTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('life');
my $version = $node->safe_psql('postgres', q{SELECT default_version FROM pg_available_extensions WHERE name = 'clerk_rls'});

sub create_database
{
	my ($name, $sql) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $name TEMPLATE template0");
	$node->safe_psql($name, $sql);
}

#
# What an extension has made, as pg_dump writes it for pg_upgrade: every member with its
# definition, rights and comment; without the oids, and with what pg_dump does at the end.
#
sub objects_of
{
	my ($database) = @_;
	my ($dump, $stderr);

	IPC::Run::run([ 'pg_dump', '--binary-upgrade', '--schema-only', '-d', $node->connstr($database) ], '>', \$dump, '2>', \$stderr)
	  or die $stderr;
	$dump =~ s/^(?:\\(?:un)?restrict .*|SELECT pg_catalog\.binary_upgrade_set_.*|SET relfrozenxid = .*|WHERE oid = .*)\n//mg;
	$dump =~ s/^(SELECT pg_catalog\.binary_upgrade_create_empty_extension.*)'\{[\d,]+\}'/$1/m;
	return "$dump\n" . $node->safe_psql($database,
		q{SELECT tab::regclass, condition FROM pg_extension, unnest(extconfig, extcondition) AS t (tab, condition) WHERE extname = 'clerk_rls' ORDER BY 1::text});
}

create_database('fresh', 'CREATE EXTENSION clerk_rls');
my $fresh = objects_of('fresh');
like($fresh, qr/CREATE FUNCTION "?clerk"?\."?uid"?\(\)/, 'the comparison sees members');
create_database('again', 'CREATE EXTENSION clerk_rls');
ok(objects_of('again') eq $fresh, 'and nothing else: two fresh installs are the same');

# whatever is different is seen
for my $change ("COMMENT ON FUNCTION clerk.uid() IS 'other'", 'ALTER FUNCTION clerk.uid() VOLATILE', 'GRANT SELECT ON clerk.jwks TO PUBLIC',
	'REVOKE EXECUTE ON FUNCTION clerk.uid() FROM PUBLIC', 'ALTER TABLE clerk.jwks DROP CONSTRAINT jwks_kid',
	'ALTER TABLE clerk.revocations ENABLE TRIGGER invalidate_row', 'ALTER TABLE clerk.id_map ADD COLUMN other int',
	'ALTER TABLE clerk.instances ALTER COLUMN clock_skew DROP DEFAULT', 'ALTER EXTENSION clerk_rls DROP FUNCTION clerk.uid()',
	'DROP INDEX clerk.user_profiles_email_idx', "ALTER POLICY active ON clerk.org_profiles USING (true)",
	q{UPDATE pg_extension SET extconfig = extconfig[2:], extcondition = extcondition[2:] WHERE extname = 'clerk_rls'})
{
	$node->safe_psql('again', $change);
	ok(objects_of('again') ne $fresh, "seen: $change");
	$node->safe_psql('again', 'DROP EXTENSION clerk_rls; DROP SCHEMA clerk CASCADE; CREATE EXTENSION clerk_rls');
}
ok(objects_of('again') eq $fresh, 'and the same again');

sub is_fresh_after_update
{
	my ($old) = @_;

	create_database('updated', "CREATE EXTENSION clerk_rls VERSION '$old'; ALTER EXTENSION clerk_rls UPDATE");
	my $same = objects_of('updated') eq $fresh;
	$node->safe_psql('postgres', 'DROP DATABASE updated');
	return $same;
}

# every version that has a full script, which none may lose
my @old = split /\n/, $node->safe_psql('postgres', "SELECT version FROM pg_available_extension_versions WHERE name = 'clerk_rls' AND version <> '$version' ORDER BY 1");
for my $old (@old)
{
	ok(is_fresh_after_update($old), "an update from $old is like a fresh install of $version");
}

# The same with a version that never was, made from this one, where the server can be told
# of another folder: with a step that does what it must, and one that forgets a comment.
SKIP:
{
	my $sharedir = $node->safe_psql('postgres', q{SELECT setting FROM pg_config WHERE name = 'SHAREDIR'}) . '/extension';
	my $folder = PostgreSQL::Test::Utils::tempdir();

	skip 'there is no extension_control_path before PostgreSQL 18', 2
	  if $node->safe_psql('postgres', q{SELECT count(*) FROM pg_settings WHERE name = 'extension_control_path'}) == 0;
	my $script = slurp_file("$sharedir/clerk_rls--$version.sql");
	(my $former = $script) =~ s/^(COMMENT ON FUNCTION clerk\.uid\(\) IS ').*'/$1another'/m or die;
	mkdir "$folder/extension";
	append_to_file("$folder/extension/clerk_rls.control", slurp_file("$sharedir/clerk_rls.control"));
	append_to_file("$folder/extension/clerk_rls--$version.sql", $script);
	append_to_file("$folder/extension/clerk_rls--0.0.1.sql", $former);
	append_to_file("$folder/extension/clerk_rls--0.0.2.sql", $former);
	append_to_file("$folder/extension/clerk_rls--0.0.1--$version.sql", $script =~ /^(COMMENT ON FUNCTION clerk\.uid\(\) IS .*)/m);
	append_to_file("$folder/extension/clerk_rls--0.0.2--$version.sql", 'SELECT 1;');
	$node->append_conf('postgresql.conf', "extension_control_path = '$folder:\$system'");
	$node->reload;
	ok(is_fresh_after_update('0.0.1'), 'an update that does what it must');
	ok(!is_fresh_after_update('0.0.2'), 'an update that forgets a comment');
	$node->append_conf('postgresql.conf', "extension_control_path = '\$system'");
	$node->reload;
}

# Who may not

$node->safe_psql('fresh', 'DROP EXTENSION clerk_rls; DROP SCHEMA clerk; CREATE ROLE owner LOGIN; ALTER DATABASE fresh OWNER TO owner');
my ($ret, $stdout, $stderr) = $node->psql('fresh', 'CREATE EXTENSION clerk_rls', extra_params => [ '-U', 'owner' ]);
like($stderr, qr/permission denied to create extension "clerk_rls".*Must be superuser to create this extension/s,
	'the owner of a database is told that it takes a superuser');

# What is left

sub everything
{
	return $node->safe_psql('fresh', join ' UNION ALL ', map { "SELECT '$_ ' || pg_describe_object('$_'::regclass, oid, 0) FROM $_ WHERE oid >= 16384" }
		  qw(pg_class pg_proc pg_type pg_namespace pg_trigger pg_policy pg_constraint pg_extension pg_authid pg_event_trigger pg_publication pg_cast pg_operator))
	  . $node->safe_psql('fresh', 'SELECT * FROM pg_db_role_setting');
}

my $before = everything();
$node->safe_psql('fresh', 'CREATE EXTENSION clerk_rls; SELECT clerk.uid(); DROP EXTENSION clerk_rls');
is(join("\n", grep { $_ ne 'pg_namespace schema clerk' } split /\n/, everything()), $before, 'DROP EXTENSION leaves no more than the empty schema, as PostgreSQL does');

$node->safe_psql('fresh', load_instance() =~ s/^/CREATE EXTENSION clerk_rls;/r . q{
	CREATE TABLE users (id bigint PRIMARY KEY, clerk_id text UNIQUE DEFAULT clerk.uid());
	SELECT clerk.track_ids('users', 'clerk_id', 'id');
	SELECT clerk.install_auth_shim(), clerk.expose_webhook('public');
	CREATE FUNCTION handle(jsonb) RETURNS void LANGUAGE sql AS ''; SELECT clerk.add_event_handler('*', 'handle(jsonb)');
	CREATE TABLE notes (user_id text);
	ALTER TABLE notes ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON notes USING (user_id = clerk.uid())});
($ret, $stdout, $stderr) = $node->psql('fresh', 'DROP EXTENSION clerk_rls');
like($stderr, qr/cannot drop extension clerk_rls because other objects depend on it/, 'what depends on it is not dropped by accident');
$node->safe_psql('fresh', 'DROP EXTENSION clerk_rls CASCADE');
is($node->safe_psql('fresh', q{
		SELECT (SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal), (SELECT count(*) FROM pg_policy), relrowsecurity,
			to_regprocedure('auth.uid()'), to_regprocedure('clerk_webhook(json)'), (SELECT count(*) FROM pg_attrdef)
		FROM pg_class WHERE oid = 'notes'::regclass}),
	'0|0|t|||0', 'CASCADE takes triggers, policies, defaults and functions along, and leaves row-level security on');
$node->safe_psql('fresh', 'DROP TABLE users, notes; DROP FUNCTION handle; DROP SCHEMA clerk, auth');
is(everything(), $before, 'and nothing else is left');

# what a migration of the application says may be said again, and is then what it was
my ($secret, $issuer) = ('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', vector('issuer_a'));
create_database('repeated', q{CREATE EXTENSION clerk_rls; CREATE TABLE users (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), clerk_id text UNIQUE);
	CREATE TABLE notes (user_id text); CREATE ROLE again; CREATE FUNCTION handle(jsonb) RETURNS void LANGUAGE sql AS ''});
my @calls = ("add_instance('$issuer', authorized_parties => '{https://app.example.com}')", "load_jwks('$issuer', '" . vector('jwks_a') . "')",
	"map_id('user_alice', '1')", "track_ids('users', 'clerk_id', 'id')", 'install_auth_shim()', "add_webhook_secret('$issuer', '$secret')",
	"expose_webhook('public')", "add_event_handler('user.*', 'handle(jsonb)')", "expose_report('public', 'again')", "grant_admin('again')",
	"protect('notes', owner => 'user_id', dry_run => false)", "revoke_user('user_x')", "revoke_session('sess_x')", "set_supabase_keys('$secret$secret')");
my $migration = join '', map { "SELECT * FROM clerk.$_ \\g /dev/null\n" } @calls;
my $state = join ' UNION ALL ', map { "SELECT '$_', to_jsonb(t) - 'created_at' - 'set_at' - 'revoked_at' - 'loaded_at' FROM clerk.$_ AS t" }
  qw(instances jwks id_map webhook_secrets event_handlers revocations supabase_keys);
$state .= q{ UNION ALL SELECT 'policy', to_jsonb(p) FROM pg_policies AS p UNION ALL SELECT 'trigger', to_jsonb(tgname) FROM pg_trigger WHERE tgrelid = 'users'::regclass
	UNION ALL SELECT 'acl', jsonb_build_array(oid::regprocedure, proacl::text) FROM pg_proc WHERE pronamespace IN ('clerk'::regnamespace, 'auth'::regnamespace, 'public'::regnamespace)};
$node->safe_psql('repeated', $migration);
my $once = $node->safe_psql('repeated', "SELECT * FROM ($state) AS s ORDER BY s::text");
$node->safe_psql('repeated', $migration) for 1 .. 2;
is($node->safe_psql('repeated', "SELECT * FROM ($state) AS s ORDER BY s::text"), $once, 'a migration that is run again changes nothing');
cmp_ok(length $once, '>', 3000, 'of what is there');

done_testing();
