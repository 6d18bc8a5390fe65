# 018_pairs.pl
#	Two administrators at the same moment: each pair of functions that change something, in both
#	orders, with the first not yet committed when the second begins.  What they answer, and what is
#	there afterwards, is what one of the two orders one after the other gives; so there is no error
#	that neither of them has.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin;
use ClerkTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('pairs');

# an action that failed has a SQLSTATE before its message
my $failed = '^[0-9A-Z]{5} ';
$node->command_ok([ 'psql', '-XqAt', '-d', $node->connstr('postgres'), '-v', 'ON_ERROR_STOP=1',
	'-v', 'jwks_a=' . vector('jwks_a'), '-v', 'jwks_a_next=' . vector('jwks_a_next'), '-v', 'pem_ed25519=' . vector('pem_ed25519') =~ s/\\n/\n/gr,
	'-f', "$FindBin::Bin/pairs.sql" ], 'each pair is tried');

cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM pairs.together'), '>', 2000, 'which is many');
is($node->safe_psql('postgres', q{
	SELECT format(E'%s, then %s (%s):\n%s\nneither\n%s\nnor\n%s', t.first, t.second,
		CASE WHEN t.filled THEN 'into something' ELSE 'into nothing' END, t.answers, o.answers, r.answers)
	FROM pairs.together AS t
	JOIN pairs.serial AS o ON (o.first, o.second, o.filled) = (t.first, t.second, t.filled)
	JOIN pairs.serial AS r ON (r.first, r.second, r.filled) = (t.second, t.first, t.filled)
	WHERE t.answers <> o.answers AND ARRAY[t.answers[2], t.answers[1], t.answers[3]] <> r.answers
	ORDER BY t.first, t.second, t.filled}), '', 'each ends as one of the two orders does');
is($node->safe_psql('postgres', q{
	SELECT o.first || ', ' || o.second
	FROM pairs.serial AS o JOIN pairs.serial AS r ON (r.first, r.second, r.filled) = (o.second, o.first, o.filled)
	WHERE o.first ~ '[.]' AND o.second ~ '[.]' AND o.answers[3] <> r.answers[3]}), '', 'two events in either order end the same');
is($node->safe_psql('postgres', qq{
	SELECT string_agg(DISTINCT first, ', ' ORDER BY first) FROM pairs.serial
	WHERE first = second AND answers[1] !~ '$failed' AND answers[2] ~ '$failed' AND first !~ '^(drop|un)'}),
	'a row of a tracked table', 'what adds or sets may be done twice, so that it can stand in a migration');
is($node->safe_psql('postgres', qq{
	SELECT count(*) FROM pairs.serial WHERE filled AND first = second AND first ~ '^(drop|un)' AND answers[2] !~ '$failed'}),
	0, 'what removes says when there is nothing to remove');

# a retired key stays retired, however often a JWKS that has it comes at the same time
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM pairs.together WHERE filled AND first IN ('load_jwks', 'refresh_jwks', 'retire_key')
		AND second IN ('load_jwks', 'refresh_jwks', 'retire_key') AND 'retire_key' IN (first, second)
		AND answers[3] !~ 'ins_a RSA ended f t'}), 0, 'a retired key does not come back');

# Two unique keys: the same pair from eight connections at once, which no lock of ours can stage.
my $dir = PostgreSQL::Test::Utils::tempdir();
$node->safe_psql('postgres', q{
	CREATE SEQUENCE pairs.rounds START 8000;
	CREATE FUNCTION pairs.map_same() RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		n bigint := nextval('pairs.rounds') / 8;	-- eight in a row are the same
	BEGIN
		PERFORM clerk.map_id('user_' || n, n::text);
	END $$});
append_to_file("$dir/map.sql", "SELECT pairs.map_same();\n");
$node->command_ok([ 'pgbench', '-n', '-c', 8, '-j', 2, '-t', 400, '-M', 'prepared', '-f', "$dir/map.sql", $node->connstr('postgres') ],
	'one mapping from eight connections');

done_testing();
