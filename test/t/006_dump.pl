# 006_dump.pl
#	What pg_dump takes along, and what comes back of it: instances, keys, the mapping, tracked
#	tables, the functions of Supabase Auth.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin;
use ClerkTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('dump');
my $alice = vector('alice');

$node->safe_psql('postgres', q{
	CREATE SCHEMA "App";
	CREATE TABLE "App"."Users" (dropped int, id uuid PRIMARY KEY DEFAULT gen_random_uuid(), "Clerk id" text UNIQUE);
	INSERT INTO "App"."Users" ("Clerk id") VALUES ('user_alice'), (NULL);
	SELECT clerk.track_ids('"App"."Users"', 'Clerk id', 'id');
	SELECT clerk.map_id('org_acme', '77');
	ALTER TABLE "App"."Users" DROP COLUMN dropped;
	ALTER TABLE "App"."Users" RENAME "Clerk id" TO clerk_id;
	CREATE SCHEMA auth;
	CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql AS 'SELECT NULL::uuid';
	SELECT clerk.install_auth_shim(overwrite => true);
	CREATE TABLE notes (owner uuid DEFAULT auth.uid());
	ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
	CREATE POLICY own ON notes USING (owner = auth.uid());
	UPDATE clerk.instances SET authorized_parties = '{https://app.example.com}', id_claim = 'external_id';
});

my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '--file', $dump, 'postgres' ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored TEMPLATE template0');
$node->command_ok([ 'psql', '-X', '-v', 'ON_ERROR_STOP=1', '-f', $dump, 'dbname=restored application_name=restore' ], 'and back');

sub same
{
	my ($what, $query) = @_;
	my $before = $node->safe_psql('postgres', $query);

	isnt($before, '', "$what: there is something");
	is($node->safe_psql('restored', $query), $before, "$what: the same");
}

same('instances', 'SELECT * FROM clerk.instances');
same('keys', 'SELECT * FROM clerk.jwks');
same('the mapping', 'SELECT * FROM clerk.id_map ORDER BY 1');
same('the triggers', q{SELECT tgname, tgenabled, pg_get_triggerdef(oid) FROM pg_trigger
	WHERE tgrelid = '"App"."Users"'::regclass ORDER BY 1});
same('the shim', 'SELECT * FROM clerk.auth_shim ORDER BY 1');
same('who had changed what', q{SELECT * FROM clerk.key_changes WHERE application_name <> 'restore' ORDER BY changed_at});
is($node->safe_psql('restored', q{SELECT string_agg(DISTINCT object, ' ') FROM clerk.key_changes WHERE application_name = 'restore'}),
	'instances jwks', 'and that the restore did');
same('who is signed in', "SET clerk.token = '$alice'; SELECT clerk.uid(), clerk.mapped_id(), auth.uid()");

is($node->safe_psql('restored', q{
	UPDATE "App"."Users" SET clerk_id = 'user_bob' WHERE clerk_id = 'user_alice';
	INSERT INTO "App"."Users" (clerk_id) VALUES ('user_carol');
	SELECT clerk_id, map.source, map.mapped_id = id::text FROM clerk.id_map AS map JOIN "App"."Users" USING (clerk_id) ORDER BY 1}),
	qq{user_bob|"App"."Users"|t\nuser_carol|"App"."Users"|t}, 'the table is still tracked');
is($node->safe_psql('restored', q{SELECT clerk.untrack_ids('"App"."Users"'); SELECT clerk_id FROM clerk.id_map}),
	"\norg_acme", 'and can be untracked');
is($node->safe_psql('restored', q{SELECT clerk.install_auth_shim()}), '', 'the shim is known');
$node->safe_psql('restored', 'DROP TABLE notes; SELECT clerk.remove_auth_shim()');
is($node->safe_psql('restored', 'SELECT prosrc FROM pg_proc WHERE pronamespace = to_regnamespace($$auth$$)'),
	'SELECT NULL::uuid', 'and what it had replaced is back');

# the key still invalidates
is($node->safe_psql('restored', "SET clerk.token = '$alice'; SELECT clerk.uid(); DELETE FROM clerk.jwks; SELECT clerk.uid() IS NULL"),
	"user_alice\nt", 'the triggers on the keys work');

done_testing();
