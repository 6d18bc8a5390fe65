#!/usr/bin/env perl
#
# assemble.pl
#		hosted/clerk_rls_test.sql, the test kit for databases that have the hosted file, out of the
#		script of the extension clerk_rls_test and of what stands in the place of its C.
#
# usage: assemble.pl SCRIPT REPLACEMENT
#
use strict;
use warnings;

my ($script, $replacement) = map { open(my $in, '<', $_) or die "$_: $!\n"; local $/; scalar <$in> } @ARGV[0, 1];

sub change
{
	my ($what, $to) = @_;
	$script =~ s/$what/$to/s or die "$ARGV[0]: nothing like $what\n";
}

change(qr/\A.*?\\quit\n\n/s, '');
change(qr/CREATE FUNCTION clerk_test\.generate_key.*?(?=--\n-- Never)/s, "$replacement\n");
change(qr/ALTER TRIGGER refuse_production[^\n]*\n/s, '');
change(qr/CREATE FUNCTION clerk_test\.before_drop.*?(?=--\n-- Tokens)/s, '');
# what belongs to the extension nobody has put there; nor into a schema that is new
$script =~ s/^-- Made here, so that it belongs to the extension: /-- Made here: /m;
$script =~ s/DROP EXTENSION clerk_rls_test/DROP SCHEMA clerk_test CASCADE/g;
die "$ARGV[0]: only an extension can do this: $1\n" if $script =~ /(MODULE_PATHNAME|LANGUAGE C\b|EXTENSION|EVENT TRIGGER)/;

print <<"START";
-- clerk_rls_test for databases that have hosted/clerk_rls.sql: signs in anybody, to test the policies of
-- a development database; never for production. Made by "make hosted"; do not change it here.
--
-- Run it as the role that has run the other one. It takes a few seconds, for a key of its own.
-- To take it away:
--	SELECT clerk.drop_instance('https://clerk.test.invalid'); DROP SCHEMA clerk_test CASCADE;

DO \$installation\$
BEGIN
	EXECUTE \$clerk_rls_test\$
$script\$clerk_rls_test\$;
END
\$installation\$;
START
