# 016_policies.pl
#	The examples of docs/policies.md, word for word, and what they say there.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin;
use ClerkTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('policies');
my $document = slurp_file("$FindBin::Bin/../../docs/policies.md");
my @examples;

# a block of SQL, and what is printed below it, if that is
push @examples, [ $1, $2 ] while $document =~ /^```sql\n(.*?)^```\n(?:(?:(?!```).)*?^```\n(.*?)^```\n)?/msg;
is(scalar @examples, 5, 'the document has five examples');

foreach my $example (@examples)
{
	my ($sql, $shown) = @$example;
	my ($first) = split /\n/, $sql;
	my @format = ($shown // '') =~ /--\+--/ ? () : ('-A', '-t');
	my ($stdout, $stderr) = ('', '');

	IPC::Run::run(
		[ 'psql', '-X', '-q', @format, '-P', 'footer=off', '-v', 'ON_ERROR_STOP=1', '-v', 'token=' . vector('alice'), '-d', $node->connstr('postgres') ],
		'<', \$sql, '>', \$stdout, '2>', \$stderr);
	is($stderr, '', "runs: $first");
	next if !defined $shown;
	s/ +$//mg, s/\n+\z// for $stdout, $shown;
	is($stdout, $shown, "says what the document says: $first");
}

done_testing();
