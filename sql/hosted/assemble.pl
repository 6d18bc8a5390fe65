#!/usr/bin/env perl
#
# assemble.pl
#		The hosted file out of its parts: one statement, which may be run again.
#
# usage: assemble.pl VERSION PART...
#
# A part is written as for a database that has nothing of it. Here each object becomes one that may
# be there already; what only an extension can do goes; and all of it becomes one DO, so that it is
# done whole or not at all, whoever runs it: an editor that sends it as one string, psql, a tool
# for migrations that has a transaction of its own. What does not fit into that ends this script.
#
use strict;
use warnings;

my $version = shift or die "usage: assemble.pl VERSION PART...\n";
my $body = '';

for my $part (@ARGV)
{
	open(my $in, '<', $part) or die "$part: $!\n";
	local $/;
	my $sql = <$in>;

	$sql =~ s/^SELECT pg_catalog\.pg_extension_config_dump\(.*?\);\n\n?//mgs;
	$sql =~ s/\@VERSION\@/$version/g;
	# also those that are made by a format() of a part
	$sql =~ s/^CREATE (FUNCTION|TRIGGER|VIEW) /CREATE OR REPLACE $1 /mg;
	$sql =~ s/^CREATE (TABLE|SCHEMA|INDEX|UNIQUE INDEX) /CREATE $1 IF NOT EXISTS /mg;
	$sql =~ s/^(CREATE TYPE \S+ AS \(.*?\n\);)\n/DO \$type\$\nBEGIN\n\t$1\nEXCEPTION WHEN duplicate_object THEN\n\tNULL;\nEND\n\$type\$;\n/msg;
	$sql =~ s/^CREATE POLICY (\w+) ON (\S+)/DROP POLICY IF EXISTS $1 ON $2;\nCREATE POLICY $1 ON $2/mg;
	$body .= "\n$sql";

	die "$part: $1 cannot be run again\n" if $sql =~ /^(CREATE (?!OR REPLACE |\w+ IF NOT EXISTS |UNIQUE INDEX IF NOT EXISTS |POLICY )[^\n]*)/m;
	die "$part: only an extension can do this: $1\n" if $sql =~ /(MODULE_PATHNAME|LANGUAGE C\b|pg_extension_config_dump)/;
	die "$part: a statement of psql\n" if $sql =~ /^\\/m;
	die "$part: the name of the outer quotes\n" if $sql =~ /\$clerk_rls\$/;
}

print <<"START";
-- clerk_rls $version for databases that take no extension: supabase.com, Neon, RDS and others.
-- Made by "make hosted" from the parts of the extension; do not change it here.
--
-- Run it as the role that owns the application's tables, all of it at once: paste it into the SQL
-- editor, or run it with psql or as a migration. To update, run a later one. docs/hosted.md says more.

DO \$installation\$
DECLARE
	search_path constant text := pg_catalog.current_setting('search_path');
	messages constant text := pg_catalog.current_setting('client_min_messages');
	code text;
	message text;
	detail text;
	hint text;
BEGIN
	PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true), pg_catalog.set_config('client_min_messages', 'warning', true);
	EXECUTE \$clerk_rls\$
START
print $body;
print <<"LAST";
\$clerk_rls\$;
	PERFORM pg_catalog.set_config('search_path', search_path, true), pg_catalog.set_config('client_min_messages', messages, true);
EXCEPTION WHEN OTHERS THEN
	-- without the whole text as its context
	GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	IF detail = '' AND hint = '' THEN
		RAISE EXCEPTION USING ERRCODE = code, MESSAGE = message;
	ELSIF detail = '' THEN
		RAISE EXCEPTION USING ERRCODE = code, MESSAGE = message, HINT = hint;
	ELSIF hint = '' THEN
		RAISE EXCEPTION USING ERRCODE = code, MESSAGE = message, DETAIL = detail;
	END IF;
	RAISE EXCEPTION USING ERRCODE = code, MESSAGE = message, DETAIL = detail, HINT = hint;
END
\$installation\$;

SELECT clerk.version();
LAST
