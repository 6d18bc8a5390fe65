# 023_audit.pl
#	Random policies out of the forms in which people write them: each says who may see a row, most in a form that
#	audit() finds.  After its fixes each user sees the rows that were meant, whatever the settings claim.
#	And the list of findings in docs/policies.md is whole.  CLERK_SEED and CLERK_POLICIES make another, or a longer run.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin;
use ClerkTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{CLERK_SEED} // 7;
my $count = $ENV{CLERK_POLICIES} // 150;
srand($seed);
note("CLERK_SEED=$seed");

sub pick { return $_[ rand @_ ] }

sub claims
{
	return pick('auth.jwt()', '(SELECT auth.jwt())', q{current_setting('request.jwt.claims', true)::jsonb},
		q{nullif(current_setting('request.jwt.claims', true), '')::json},
		q{coalesce(current_setting('request.jwt.claims', true), '{}')::jsonb},
		q{coalesce(nullif(current_setting('request.jwt.claim', true), ''), nullif(current_setting('request.jwt.claims', true), ''))::jsonb});
}

# Who the caller is, as a value of a type, which is the type of a column.
my %caller = (
	text => sub {
		return pick('auth.uid()::text', '(SELECT auth.uid())::text', 'CAST(auth.uid() AS text)', 'clerk.uid()::uuid::text',
			claims() . q{ ->> 'sub'}, '(SELECT ' . claims() . q{ ->> 'sub')}, 'clerk.uid()',
			q{current_setting('request.jwt.claims.sub', true)}, q{nullif(current_setting('request.jwt.claim.sub', true), '')});
	},
	uuid => sub {
		return pick('auth.uid()', '(SELECT auth.uid())', '(' . claims() . q{ ->> 'sub')::uuid}, 'clerk.uid()::uuid',
			'(SELECT clerk.uid())::uuid', q{nullif(current_setting('request.jwt.claim.sub', true), '')::uuid}, 'clerk.mapped_id()');
	},
	org_text => sub {
		return pick(claims() . q{ ->> 'org_id'}, claims() . q{ -> 'o' ->> 'id'}, claims() . q{ #>> '{o,id}'},
			q{clerk.jwt() ->> 'o.id'}, q{clerk.claim('o.id')}, q{clerk.jwt() #>> '{o.id}'}, 'clerk.org_id()');
	},
	org_uuid => sub {
		return pick('(' . claims() . q{ ->> 'org_id')::uuid}, '(' . claims() . q{ -> 'o' ->> 'id')::uuid},
			'clerk.org_id()::uuid', 'clerk.mapped_org_id()');
	});

# Conditions of the caller alone; whether they hold for alice, an admin of acme, and for bob, who is in no organization.
my @conditions = (
	[ sub {
			return pick(q{clerk.org_role() = 'admin'}, q{(SELECT clerk.org_role()) = 'admin'},
				q{clerk.org_role() IN ('owner', 'admin')}, q{'admin' = clerk.org_role()});
		}, 1, 0 ],
	[ sub { return pick('auth.uid() IS NOT NULL', '(SELECT auth.uid()) IS NOT NULL', claims() . q{ ->> 'sub' IS NOT NULL}) }, 1, 1 ],
	[ sub { return pick(q{auth.role() = 'authenticated'}, q{(SELECT auth.role()) = 'authenticated'}) }, 1, 1 ],
	[ sub {
			return pick(q{clerk.claim('o.slg') = 'acme'}, q{clerk.jwt() #>> '{o.slg}' = 'acme'},
				'(' . claims() . q{ -> 'o' ->> 'slg') = 'acme'});
		}, 1, 0 ]);

# The same expression as the result of functions, in any language; and the statements that make them.
my $functions = 0;
sub behind_functions
{
	my ($type, $expression, $depth) = @_;
	my $sql = '';

	for (1 .. $depth)
	{
		my $name = 'app.f' . ++$functions;
		my $head = "CREATE FUNCTION $name() RETURNS $type STABLE LANGUAGE";
		$sql .= pick("$head sql AS \$f\$ SELECT $expression \$f\$;\n", "$head sql RETURN $expression;\n",
			"$head plpgsql AS \$f\$\nDECLARE\n\tr $type := $expression;  -- it's here\nBEGIN\n\tRETURN r;\nEND \$f\$;\n",
			"$head plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS \$f\$ BEGIN RETURN $expression; END \$f\$;\n");
		$expression = pick("$name()", "$name()", "(SELECT $name())");
	}
	return ($sql, $expression);
}

# Statements, an expression, and the rows that alice and bob are to see by it: a is alice's in acme, b bob's in another
# organization, o somebody's in acme.
sub predicate
{
	my $depth = pick(0, 0, 1, 2, 3);

	if (rand() < 0.25)
	{
		my ($make, $alice, $bob) = @{ pick(@conditions) };
		return (behind_functions('boolean', $make->(), $depth), $alice ? 'abo' : '', $bob ? 'abo' : '');
	}
	my $column = pick(qw(text text uuid uuid org_text org_uuid));
	my ($type) = $column =~ /(text|uuid)$/;
	my ($sql, $caller) = behind_functions($type, $caller{$column}->(), $depth);
	my @seen = $column =~ /^org/ ? ('ao', '') : ('a', 'b');
	# what a function hands on is cast
	($column, $caller) = ('text', "($caller)::text") if $depth && $column eq 'uuid' && $sql !~ /clerk\.mapped_id/ && rand() < 0.3;
	return ($sql, pick("$column = ($caller)", "($caller) = $column"), @seen);
}

my $setup = <<'EOF';
CREATE SCHEMA auth;
CREATE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE AS $$ SELECT nullif(current_setting('request.jwt.claims', true), '')::jsonb $$;
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $$ SELECT (auth.jwt() ->> 'sub')::uuid $$;
CREATE FUNCTION auth.role() RETURNS text LANGUAGE sql STABLE AS $$ SELECT auth.jwt() ->> 'role' $$;
CREATE SCHEMA app;
GRANT USAGE ON SCHEMA auth, app TO anon, authenticated;
CREATE TABLE app.rows (name text, text text, uuid uuid, org_text text, org_uuid uuid);
INSERT INTO app.rows VALUES ('a', 'user_alice', clerk.mapped_id('user_alice'), 'org_acme', clerk.mapped_id('org_acme')),
	('b', 'user_bob', clerk.mapped_id('user_bob'), 'org_x', clerk.mapped_id('org_x')),
	('o', 'user_x', clerk.mapped_id('user_x'), 'org_acme', clerk.mapped_id('org_acme'));
EOF
my @policies;
for my $n (1 .. $count)
{
	my ($sql, $expression, @seen) = predicate();
	if (rand() < 0.4)
	{
		my ($sql_2, $expression_2, @seen_2) = predicate();
		my $needed = pick(1, 2);

		for my $i (0, 1)
		{
			$seen[$i] = join '', grep { my $row = $_; $needed <= grep { index($_, $row) >= 0 } $seen[$i], $seen_2[$i] } qw(a b o);
		}
		$sql .= $sql_2;
		$expression = "($expression) " . ($needed == 2 ? 'AND' : 'OR') . " ($expression_2)";
	}
	$setup .= "${sql}CREATE TABLE app.t$n AS TABLE app.rows;\nALTER TABLE app.t$n ENABLE ROW LEVEL SECURITY;\n"
	  . "GRANT SELECT ON app.t$n TO authenticated;\nCREATE POLICY p ON app.t$n TO authenticated USING ($expression);\n";
	push @policies, { n => $n, text => "$sql$expression", alice => $seen[0], bob => $seen[1], nobody => '' };
}
my $node = start_node('audit');
$node->safe_psql('postgres', $setup);

# What the bearer of a token sees of each table; the settings claim to be somebody else.
sub ask
{
	my ($token) = @_;
	my $out = $node->safe_psql('postgres', "SET clerk.token = '$token'; SET ROLE authenticated;"
		  . ($token eq '' ? q{SET request.jwt.claims = '{"sub":"user_x","role":"service_role","org_id":"org_acme"}';} : '')
		  . join ' UNION ALL ', map { "SELECT $_->{n}, (SELECT coalesce(string_agg(name, '' ORDER BY name), '') FROM app.t$_->{n})" } @policies);

	return { map { /^(\d+)\|(.*)$/ ? ($1 => $2) : () } split /\n/, $out };
}

my $stderr;
is($node->psql('postgres', "\\set ON_ERROR_STOP on\nSELECT DISTINCT fix FROM clerk.audit() WHERE fix NOT LIKE '--%' \\gexec", stderr => \$stderr),
	0, 'each fix can be run') or diag($stderr);
is($node->safe_psql('postgres', q{SELECT * FROM clerk.audit() WHERE finding NOT IN ('authorized-parties-missing', 'index-missing')}), '', 'and then nothing is found');
my %seen = (alice => ask(vector('org_v2')), bob => ask(vector('bob')), nobody => ask(''));
my @wrong;
for my $policy (@policies)
{
	# by auth.role() the role of the database was meant, which nobody has here, too
	for my $who (grep { $_ ne 'nobody' || $policy->{text} !~ /auth\.role/ } qw(alice bob nobody))
	{
		my $seen = $seen{$who}{ $policy->{n} } // 'an error';
		push @wrong, "$who sees '$seen', not '$policy->{$who}': $policy->{text}" if $seen ne $policy->{$who};
	}
}
is_deeply(\@wrong, [], "$count policies show what was meant");

# each word with a hyphen that is a string in functions audit_...() is a finding
my $document = slurp_file("$FindBin::Bin/../../docs/policies.md");
my %listed = map { $_ => 1 } map { /`([a-z-]+)`/g } $document =~ /^\| ((?:`[a-z]+(?:-[a-z]+)+`(?:, )?)+) \|/mg;
my $parts = join '', map { slurp_file($_) } glob "$FindBin::Bin/../../sql/parts/*.sql";
my %found = map { $_ => 1 } map { /'([a-z]+(?:-[a-z]+)+)'/g }
  $parts =~ /^CREATE FUNCTION clerk_internal\.(?:audit_|misreadings)(.*?)^COMMENT/msg;
is_deeply(\%listed, \%found, 'docs/policies.md lists every finding of audit(), and no other');

done_testing();
