# shellcheck shell=bash
#
# regress.sh
#		The regression files of the extension, on the hosted file.
#
# Sourced by run.sh. What a file prints must be what the extension prints (expected/), or where the
# flavours differ what stands in test/hosted/expected/ (in expected/superuser/, where a superuser has
# run the file), for the reason that test/hosted/own.tsv gives.
# Compared is what hosted_plain() leaves of either.
#
# hosted_regress DATABASE USER OUTDIR WHAT NAME...: a line "ok" or "not ok" for each
#

# SET clerk.trust_request_claims is a row here, and so on: statements.tsv has what is run instead.
hosted_statements()
{
	perl -e '
		open(my $in, "<", shift) or die; my @pairs = grep { !$ENV{HOSTED_SKIP} || $_->[0] !~ $ENV{HOSTED_SKIP} } map { chomp; [split /\t/] } <$in>; my $back = shift;
		while (my $line = <STDIN>) {
			for my $pair (@pairs) { my ($from, $to) = $back ? reverse @$pair : @$pair; $line =~ s/^(\s*)\Q$from\E$/$1$to/; }
			print $line;
		}' test/hosted/statements.tsv "$@"
}

# As psql in pg_regress, but for the context of errors: what PL/pgSQL raises has one.
hosted_run_file()
{
	# where a role tries it that may not
	local -x HOSTED_SKIP=
	[ "${1##*/}" != privileges.sql ] || HOSTED_SKIP='^DROP EXTENSION'
	hosted_statements <"$1" |
		PGTZ=America/Los_Angeles PGDATESTYLE='Postgres, MDY' PGOPTIONS='-c intervalstyle=postgres_verbose' PG_ABS_SRCDIR=$PWD/test \
			"$SCRATCH_BINDIR/psql" -X -a -q -v SHOW_CONTEXT=never 2>&1 | hosted_statements back
}

# Without what each policy has of its own here: that it calls once a statement, or that it does not
# (sql/calls.sql). Tables have other widths then, and fewer rows.
hosted_plain()
{
	perl -pe '
		s/\( SELECT (clerk\.(\w+)\((?:[^()]|\([^()]*\))*\)) AS \2\)/$1/g;
		$_ = "", $left_out++, next if /^ ?(warning +\| )?call-per-row( +\|.*)?$/ || /-- write \(SELECT clerk/;
		$left_out = 0 if /^\S/ && !/^\(/;
		s/^\((\d+) rows?\)/sprintf("(%d row%s)", $1 - $left_out, $1 - $left_out == 1 ? "" : "s")/e;
		s/\bhosted_owner\b/postgres/g if $ENV{CLERK_HOSTED_OWNER} eq "postgres";
		s/ +/ /g; s/-{3,}/---/g;' "$1"
}

hosted_regress()
{
	local out=$3 what=$4 name wanted
	local -x PGDATABASE=$1 PGUSER=$2
	shift 4

	mkdir -p "$out"
	for name; do
		wanted=expected/$name.out
		[ ! -e "test/hosted/expected/$name.out" ] || wanted=test/hosted/expected/$name.out
		[ "$CLERK_HOSTED_OWNER" != postgres ] || [ ! -e "test/hosted/expected/superuser/$name.out" ] ||
			wanted=test/hosted/expected/superuser/$name.out
		hosted_run_file "test/sql/$name.sql" >"$out/$name.out"
		if diff -U3 <(hosted_plain "$wanted") <(hosted_plain "$out/$name.out") >"$out/$name.diff"; then
			echo "ok - $name $what"
		else
			echo "not ok - $name $what"
			awk 'NR <= 60 { print "# " $0 }' "$out/$name.diff"
		fi
	done
}
