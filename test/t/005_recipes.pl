# 005_recipes.pl
#	The policies of docs/authorization.md, word for word.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin;
use ClerkTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('recipes');
my $issuer = vector('issuer_a');

my ($section) = slurp_file("$FindBin::Bin/../../docs/authorization.md") =~ /(.*)/s;
my @blocks = $section =~ /^```sql\n(.*?)^```/msg;
is(scalar @blocks, 5, 'the document has the table and the policies of four recipes');
$node->safe_psql('postgres', $_) for @blocks;

# The token of a member of an organization; without one, if that is undef.
sub member
{
	my ($user, $org, %more) = @_;
	my $role = $more{role} // 'member';
	my $o = defined $org
	  ? qq(,"o":{"id":"$org","slg":"s","rol":"$role","per":"read,update","fpm":") . ($more{fpm} // 1) . '"}'
	  : '';
	my $act = $more{act} ? ',"act":{"sub":"user_support"}' : '';
	my ($pla, $fva) = ($more{pla} // 'o:pro', $more{fva} // '[1,1]');

	return mint(qq({"iss":"$issuer","sub":"$user","exp":4102444800,"v":2,"fea":"o:invoices","pla":"$pla","fva":$fva$o$act}));
}

# What a statement returns as somebody, or the error.
sub as
{
	my ($token, $statement) = @_;
	my ($ret, $stdout, $stderr) = $node->psql('postgres',
		"BEGIN; SET LOCAL ROLE authenticated; SET LOCAL clerk.token = '$token'; $statement; COMMIT;");

	return $stderr =~ /row-level security/ ? 'refused' : $stderr ne '' ? $stderr : $stdout;
}

my $insert = 'INSERT INTO invoices (amount) VALUES (1) RETURNING id';
my $update = 'UPDATE invoices SET amount = amount + 1 RETURNING id';
my $delete = 'DELETE FROM invoices RETURNING id';
my $read = "SELECT string_agg(id::text, ' ' ORDER BY id) FROM invoices";

my $ann = member('user_ann', 'org_a');
my $abe = member('user_abe', 'org_a');
my $bea = member('user_bea', 'org_b');

is(as($ann, $insert), 1, 'a member of a paying organization adds an invoice');
is(as($bea, $insert), 2, 'so does one of another');
is(as(member('user_ann', 'org_a', pla => 'o:free'), $insert), 'refused', 'not in one that does not pay');
is(as(member('user_ann', 'org_a', pla => 'u:pro'), $insert), 'refused', "nor on the user's own plan");
is(as(member('user_ann', undef), $insert), 'refused', 'nor without an organization');
is(as($ann, "INSERT INTO invoices (org_id, amount) VALUES ('org_b', 1)"), 'refused', "nor for another organization");
is(as($ann, "INSERT INTO invoices (author_id, amount) VALUES ('user_abe', 1)"), 'refused', 'nor for somebody else');

is(as($abe, $read), 1, "members read their organization's invoices");
is(as($bea, $read), 2, 'each their own');
is(as(member('user_ann', undef), $read), '', 'and none without an organization');
is(as(member('user_ann', 'org_b'), $read), 2, 'who changes the organization sees the other');

is(as($ann, $update), 1, 'the author changes an invoice');
is(as($abe, $update), '', 'another member does not');
is(as(member('user_abe', 'org_a', fpm => 2), $update), 1, 'but with the permission');
is(as(member('user_bea', 'org_b', fpm => 3), $update), 2, 'within the organization');
is(as($ann, "UPDATE invoices SET org_id = 'org_b'"), 'refused', 'none is given away');

my @admin = ('user_abe', 'org_a', role => 'admin');
is(as($ann, $delete), '', 'the author does not delete');
is(as(member(@admin, fva => '[30,30]'), $delete), '', 'nor an administrator whose proof is old');
is(as(member(@admin, act => 1), $delete), '', 'nor one who is impersonated');
is(as(member('user_bea', 'org_b', role => 'admin', fva => '[30,5]'), $delete), 2, 'an administrator with a fresh second factor does');
is(as(member(@admin, fva => '[5,-1]'), $delete), 1, 'or who has no second factor, with a fresh first');

done_testing();
