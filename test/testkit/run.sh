#!/usr/bin/env bash
#
# run.sh
#		clerk_rls_test: its regression tests, the examples of its README with pgTAP and pg_regress,
#		and what a dump takes along.
#
# usage: test/testkit/run.sh
#
# Prints lines that say ok or not ok.  Owns a server, and a copy of clerk_rls_test in which it
# is built, so that no object of another PostgreSQL is there.
#
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source-path=SCRIPTDIR/../.. source=test/lib/scratch.sh
. test/lib/scratch.sh

copy=$SCRATCH/clerk_rls_test
readme=clerk_rls_test/README.md
failed=0

# blocks FILE TITLE LANGUAGE [N]: the Nth block, or all, in a section
blocks()
{
	awk -v title="## $2" -v open="\`\`\`$3" -v wanted="${4:-}" '
		/^## / { here = ($0 == title) }
		/^```/ { inside = here && $0 == open; n += inside; next }
		inside && (wanted == "" || n == wanted)' "$1"
}

# check WHAT COMMAND...
check()
{
	local what=$1
	shift

	if "$@" >"$SCRATCH/check.out" 2>&1; then
		echo "ok - $what"
	else
		echo "not ok - $what"
		sed 's/^/# /' "$SCRATCH/check.out"
		failed=1
	fi
}

# prints TEXT COMMAND...
prints()
{
	local wanted=$1 found
	shift

	found=$("$@" 2>&1) || true
	[ "$found" = "$wanted" ] || { printf '%s\ninstead of\n%s\n' "$found" "$wanted" && return 1; }
}

query()
{
	scratch_sql -A -t "$@"
}

install_testkit()
{
	local flags='-Wall -Wextra -Werror -Wno-unused-parameter'

	cp -r clerk_rls_test "$copy"
	make -s -C "$copy" clean PG_CONFIG="$PG_CONFIG"
	make -s -C "$copy" install PG_CONFIG="$PG_CONFIG" PG_CFLAGS="$flags" with_llvm=no
}

not_installed_along()
{
	! make -n install PG_CONFIG="$PG_CONFIG" | grep clerk_rls_test
}

# A database NAME as an application has it.
make_database()
{
	scratch_sql -c "CREATE DATABASE $1"
	scratch_sql -d "$1" -c 'SET client_min_messages = warning' -c 'CREATE EXTENSION clerk_rls_test CASCADE'
}

regress_example()
{
	local dir=$SCRATCH/example

	mkdir -p "$dir/sql" "$dir/expected"
	blocks $readme 'With pg_regress' sql >"$dir/sql/notes.sql"
	blocks $readme 'With pg_regress' text >"$dir/expected/notes.out"
	(
		cd "$dir"
		"$(dirname "$("$PG_CONFIG" --pgxs)")/../test/regress/pg_regress" --bindir="$SCRATCH_BINDIR" \
			--use-existing --dbname=notes notes || { cat regression.diffs && exit 1; }
	)
}

pgtap_example()
{
	query -d notes -c 'CREATE EXTENSION pgtap'
	blocks $readme 'With pgTAP' sql 2 | query -d notes -f - >"$SCRATCH/pgtap.out"
	cat "$SCRATCH/pgtap.out"
	check 'as many as were planned' prints 5 grep -c '^ok ' "$SCRATCH/pgtap.out"
	check 'the transaction has left nothing' prints 0 query -d notes -c 'SELECT count(*) FROM notes'
}

restore()
{
	"$SCRATCH_BINDIR/pg_dump" notes >"$SCRATCH/dump.sql"
	scratch_sql -c 'CREATE DATABASE restored TEMPLATE template0'
	scratch_sql -d restored -f "$SCRATCH/dump.sql"
}

not_in_dump()
{
	local key
	key=$(query -d notes -c "SELECT encode(der, 'hex') FROM clerk_test.private_key")

	! grep -e clerk.test.invalid -e "$key" "$SCRATCH/dump.sql"
}

scratch_build
check 'clerk_rls does not install it' not_installed_along
check 'it builds without a warning, and installs' install_testkit
# shellcheck disable=SC2119 # no arguments
scratch_postgres
make -s -C "$copy" installcheck PG_CONFIG="$PG_CONFIG" || { failed=1 && cat "$copy/regression.diffs"; }

scratch_sql -c 'CREATE ROLE anon; CREATE ROLE authenticated'
make_database notes
blocks $readme 'With pgTAP' sql 1 | scratch_sql -d notes
check 'the example with pg_regress' regress_example
scratch_sql -d notes -c 'TRUNCATE notes'
if [ -e "$("$PG_CONFIG" --sharedir)/extension/pgtap.control" ]; then
	pgtap_example
else
	scratch_say 'the example with pgTAP: skipped, as pgTAP is not installed'
fi

check 'it can be dumped and restored' restore
check 'neither the instance nor the private key is in the dump' not_in_dump
check 'what was restored signs in with a key of its own' prints user_x \
	query -d restored -c "SELECT clerk_test.login('user_x')"

exit $failed
