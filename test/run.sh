#!/usr/bin/env bash
#
# run.sh
#		What "make test" runs: everything, on a PostgreSQL of its own, and one line of count.
#
# usage: test/run.sh [--show] [STEP...]	(default: all, in the order below)
#
# A step is a folder with a run.sh, which is run in the top folder after the extension has been
# built, with a server that PGHOST names.  It prints a line "ok ..." or "not ok ..." for each test;
# one that says ": skipped" or begins with "#> " is shown, and the others where a test fails.
#
# --show prints the lines that say "ok", too.  CLERK_SETUP=no installs nothing before.
#
# CLERK_VECTORS is the folder with the conformance data of other projects, which is not
# part of this one.  FUZZ_SECONDS is for how long each fuzzer runs (5).
#
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

steps=(warnings layers unit fuzz conformance differential regress isolation hosted tap trixie e2e citus
	examples report testkit packages journeys fresh)

[ "${CLERK_SETUP:-}" = no ] || bash test/lib/setup.sh --with-tests
# shellcheck source-path=SCRIPTDIR/.. source=test/lib/scratch.sh
. test/lib/scratch.sh

passed=0
failed=0
show_all=
if [ "${1:-}" = --show ]; then
	show_all=yes
	shift
fi

# The output of a step, when something in it failed.
show()
{
	printf '\n==> %s\n' "$1"
	# not head, which would end a long output's grep, and so this script
	grep -vE '^ok |^$' "$1" | awk 'NR <= 100' || true
}

# Runs a step and counts.  One that fails, though no line says so, counts as a failure.
run_step()
{
	local step=$1 out="$SCRATCH/$1.out" status=0 start=$SECONDS n_ok n_not_ok

	[ -f "test/$step/run.sh" ] || scratch_die "no such step: $step"
	scratch_say "$step"
	bash "test/$step/run.sh" >"$out" 2>&1 </dev/null || status=$?
	n_ok=$(grep -cE '^ok ' "$out" || true)
	n_not_ok=$(grep -cE '^not ok ' "$out" || true)
	if [ $status != 0 ] && [ "$n_not_ok" = 0 ]; then
		n_not_ok=1
	fi
	[ "$n_not_ok" = 0 ] || show "$out"
	[ -z "$show_all" ] || grep -E '^ok |# SKIP' "$out" || true
	sed -nE '/: skipped/{s/^(»|#) /# /p;t}; s/^#> /# /p' "$out"
	passed=$((passed + n_ok))
	failed=$((failed + n_not_ok))
	printf '  %-12s %s passed, %s failed, %s s\n' "$step" "$n_ok" "$n_not_ok" $((SECONDS - start))
}

scratch_build
# shellcheck disable=SC2119 # no arguments
scratch_postgres
for step in "${@:-${steps[@]}}"; do
	run_step "$step"
done

printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
