# shellcheck shell=bash
#
# regress.sh
#		The regression files of the extension, on the hosted file.
#
# Sourced by run.sh. What a file prints must be what the extension prints (expected/), or where the
# flavours differ what stands in test/hosted/expected/, for the reason that test/hosted/own.tsv gives.
#
# hosted_regress DATABASE USER OUTDIR NAME...: a line "ok" or "not ok" for each
#

# SET clerk.trust_request_claims is a row here, and so on: statements.tsv has what is run instead.
hosted_statements()
{
	perl -e '
		open(my $in, "<", shift) or die; my @pairs = map { chomp; [split /\t/] } <$in>; my $back = shift;
		while (my $line = <STDIN>) {
			for my $pair (@pairs) { my ($from, $to) = $back ? reverse @$pair : @$pair; $line =~ s/^\Q$from\E$/$to/; }
			print $line;
		}' test/hosted/statements.tsv "$@"
}

# As psql in pg_regress, but for the context of errors: what PL/pgSQL raises has one.
hosted_run_file()
{
	hosted_statements <"$1" |
		PGTZ=America/Los_Angeles PGDATESTYLE='Postgres, MDY' PGOPTIONS='-c intervalstyle=postgres_verbose' PG_ABS_SRCDIR=$PWD/test \
			"$SCRATCH_BINDIR/psql" -X -a -q -v SHOW_CONTEXT=never 2>&1 | hosted_statements back
}

hosted_regress()
{
	local out=$3 name wanted
	local -x PGDATABASE=$1 PGUSER=$2
	shift 3

	mkdir -p "$out"
	for name; do
		wanted=expected/$name.out
		[ ! -e "test/hosted/expected/$name.out" ] || wanted=test/hosted/expected/$name.out
		hosted_run_file "test/sql/$name.sql" >"$out/$name.out"
		if diff -U3 "$wanted" "$out/$name.out" >"$out/$name.diff"; then
			echo "ok - $name as $PGUSER"
		else
			echo "not ok - $name as $PGUSER"
			awk 'NR <= 60 { print "# " $0 }' "$out/$name.diff"
		fi
	done
}
