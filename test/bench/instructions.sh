#!/usr/bin/env bash
#
# instructions.sh
#		Instructions for each row of a scan, as valgrind counts them: figures that hold on a busy
#		machine, too.
#
# usage: test/bench/instructions.sh
#
# They go to build/instructions.csv, too; page.pl writes them into docs/performance.md.
#
# A backend of its own (postgres --single) filters 100,000 rows under callgrind, by a literal and by
# functions for policies; what is more than the literal's is the functions'.
#
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# shellcheck source-path=SCRIPTDIR/../.. source=test/lib/scratch.sh
. test/lib/scratch.sh

n_rows=100000

command -v valgrind >/dev/null || scratch_die 'valgrind is not installed'
scratch_build
scratch_postgres
scratch_sql -f test/vectors/tokens.sql -o /dev/null -f - <<-END
	CREATE EXTENSION clerk_rls;
	SELECT clerk.add_instance(:'issuer_a'), clerk.load_jwks(:'issuer_a', :'jwks_a');
	CREATE TABLE notes AS SELECT 'user_' || i % 1000 AS user_id, clerk.mapped_id('user_' || i % 1000) AS owner
		FROM generate_series(1, $n_rows) AS i;
	VACUUM ANALYZE notes;
END
token=$(sed -n "s/^.set org_v2 '\(.*\)'$/\1/p" test/vectors/tokens.sql)
scratch_unprivileged "$SCRATCH_BINDIR/pg_ctl" -D "$PGHOST/data" -m fast stop >/dev/null

# count CONDITION: of the whole life of a backend that asks once before
count()
{
	scratch_unprivileged valgrind --tool=callgrind --callgrind-out-file=/dev/null \
		"$SCRATCH_BINDIR/postgres" --single -j -D "$PGHOST/data" postgres 2>&1 >/dev/null <<-END |
			SET clerk.token = '$token';

			SELECT clerk.uid(), clerk.mapped_id(), clerk.has_permission('x');

			SELECT count(*) FROM notes WHERE $1;
		END
		sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

none=$(count false)
# row NAME CONDITION LITERAL
row()
{
	local n literal

	literal=$(count "$3")
	n=$(count "$2")
	printf '%s,%d,%d,%s\n' "$1" $(((n - literal) / n_rows)) $(((literal - none) / n_rows)) \
		"$(awk "BEGIN { printf \"%.3f\", ($n - $none) / ($literal - $none) }")"
}

{
	echo 'function,more,literal,ratio'
	row 'uid()' 'user_id = clerk.uid()' "user_id = 'user_none'"
	row 'mapped_id()' 'owner = clerk.mapped_id()' "owner = '6f6b5917-155a-519b-8f95-1e1cbc23202f'"
	row 'permission OR own' "user_id = clerk.uid() OR clerk.has_permission('org:none:none')" "user_id = 'user_none'"
} | tee build/instructions.csv
