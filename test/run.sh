#!/usr/bin/env bash
#
# run.sh
#		What "make test" runs: everything, on a PostgreSQL of its own, and one line of count.
#
# usage: test/run.sh [--show] [STEP...]	(default: all of warnings layers unit fuzz conformance
#										differential regress isolation hosted tap trixie e2e citus
#										examples report testkit packages journeys fresh)
#
# --show prints the lines that say "ok", too.  CLERK_SETUP=no installs nothing before.
#
# CLERK_VECTORS is the folder with the conformance data of other projects, which is not
# part of this one; without it the conformance step is skipped.  FUZZ_SECONDS is for how
# long each fuzzer runs (5).
#
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

[ "${CLERK_SETUP:-}" = no ] || bash test/lib/setup.sh --with-tests
# shellcheck source-path=SCRIPTDIR/.. source=test/lib/scratch.sh
. test/lib/scratch.sh
. test/lib/sources.sh

passed=0
failed=0
show_all=
if [ "${1:-}" = --show ]; then
	show_all=yes
	shift
fi

# count STEP PASSED FAILED
count()
{
	passed=$((passed + $2))
	failed=$((failed + $3))
	printf '  %-12s %s passed, %s failed\n' "$1" "$2" "$3"
}

# The output of a step, when something in it failed.
show()
{
	printf '\n==> %s\n' "$1"
	# not head, which would end a long output's grep, and so this script
	grep -vE '^ok |^$' "$1" | awk 'NR <= 100' || true
}

#
# counted STEP PASSED_PATTERN FAILED_PATTERN COMMAND...: runs the command, and counts the
# lines of its output that match.  A command that fails, though no line says so, counts as a
# failure.
#
counted()
{
	local step=$1 ok=$2 not_ok=$3 out="$SCRATCH/$1.out" status=0 n_ok n_not_ok
	shift 3

	scratch_say "$step"
	"$@" >"$out" 2>&1 </dev/null || status=$?
	n_ok=$(grep -cE "$ok" "$out" || true)
	n_not_ok=$(grep -cE "$not_ok" "$out" || true)
	if [ $status != 0 ] && [ "$n_not_ok" = 0 ]; then
		n_not_ok=1
	fi
	[ "$n_not_ok" = 0 ] || show "$out"
	[ -z "$show_all" ] || grep -E "$ok|$not_ok|# SKIP" "$out" || true
	count "$step" "$n_ok" "$n_not_ok"
}

#
# Builds with every warning an error, where it is in nobody's way.  Unused parameters are
# allowed, since PostgreSQL's own headers have them; the others are for clang, which does
# not know all the flags that PostgreSQL was built with.
#
build_strictly()
{
	local copy="$SCRATCH/strict" compiler
	local flags='-Wall -Wextra -Werror -Wno-unused-parameter'

	for compiler in gcc clang; do
		rm -rf "$copy"
		copy_sources "$copy"
		[ $compiler = gcc ] || flags+=' -Wno-unknown-warning-option -Wno-ignored-optimization-argument -Wno-ignored-attributes'
		if make -C "$copy" CC=$compiler PG_CFLAGS="$flags" with_llvm=no; then
			echo "ok - no warning from $compiler"
		else
			echo "not ok - no warning from $compiler"
		fi
	done
}

unit()
{
	make -s -C test/unit check
}

# Only a look whether the targets still hold; what takes longer is "make fuzz".
fuzz()
{
	make -s -k -j2 -C test/fuzz check FUZZ_SECONDS="${FUZZ_SECONDS:-5}"
}

conformance()
{
	make -s -C test/conformance check VECTORS="$CLERK_VECTORS"
}

differential()
{
	bash test/differential/run.sh
}

regress()
{
	make -s installcheck PG_CONFIG="$PG_CONFIG" ISOLATION= || { cat regression.diffs && return 1; }
}

isolation()
{
	make -s installcheck PG_CONFIG="$PG_CONFIG" REGRESS= || { cat regression.diffs && return 1; }
}

# The file for databases that take no extension.
hosted()
{
	SCRATCH_BINDIR=$SCRATCH_BINDIR bash test/hosted/run.sh
}

# As a user that may run a server, so in a copy that is theirs.
tap()
{
	local copy="$SCRATCH/tap" module

	copy_sources "$copy"
	mkdir "$copy/build"
	cp build/mint "$copy/build"
	for module in test/modules/*.c; do
		cc -shared -fPIC -I"$("$PG_CONFIG" --includedir-server)" -o "$copy/build/$(basename "$module" .c).so" "$module"
	done
	chown -R "$scratch_user" "$copy"
	(
		unset PGHOST PGPORT PGUSER PGDATABASE
		scratch_unprivileged env CLERK_MINT="$copy/build/mint" CLERK_MODULES="$copy/build" \
			make -s -C "$copy" tapcheck PG_CONFIG="$PG_CONFIG" PROVE_FLAGS=--verbose
	)
}

# Where pgsql-http is not to be had, in a Debian that has it.
trixie()
{
	bash test/matrix.sh 17 gcc --show regress isolation tap
}

e2e()
{
	bash test/e2e/run.sh
}

examples()
{
	bash test/examples/run.sh
}

report()
{
	bash test/report/run.sh
}

testkit()
{
	bash test/testkit.sh
}

packages()
{
	bash test/packages.sh
}

journeys()
{
	bash test/journeys/run.sh
}

# The states in which most people are; all of them is "make stress".
fresh()
{
	bash test/fresh.sh nothing server server-libpq
}

run_step()
{
	case $1 in
		warnings) counted warnings '^ok ' '^not ok ' build_strictly ;;
		layers) counted layers '^ok ' '^not ok ' bash test/layers.sh ;;
		unit) counted unit '^ok ' '^not ok ' unit ;;
		fuzz)
			counted fuzz '^ok ' '^not ok ' fuzz
			sed -n 's/^ok - /# /p' "$SCRATCH/fuzz.out"
			;;
		conformance)
			if [ -d "${CLERK_VECTORS:-}" ]; then
				counted conformance '^ok ' '^not ok ' conformance
				grep -E '^# ' "$SCRATCH/conformance.out" || true
			else
				scratch_say 'conformance: skipped, as CLERK_VECTORS is no folder'
			fi
			;;
		differential)
			counted differential '^ok ' '^not ok ' differential
			sed -n 's/^ok - /# /p' "$SCRATCH/differential.out"
			;;
		regress | isolation) counted "$1" '^(test|ok).* (ok|ms)' '(FAILED|^not ok)' "$1" ;;
		trixie)
			if [ -e "$("$PG_CONFIG" --sharedir)/extension/http.control" ]; then
				scratch_say 'trixie: not needed, as pgsql-http is installed here'
			elif [ "$(id -u)" != 0 ]; then
				scratch_say 'trixie: skipped, as it needs root'
			else
				counted trixie '^(ok |test .* ok )' '^(not ok|.*FAILED)' trixie
			fi
			;;
		hosted) counted hosted '^ok ' '^not ok ' hosted ;;
		tap) counted tap '^ok ' '^not ok ' tap ;;
		e2e) counted e2e '^ok ' '^not ok ' e2e ;;
		examples)
			counted examples '^ok ' '^not ok ' examples
			grep ': skipped' "$SCRATCH/examples.out" || true
			;;
		report)
			counted report '^ok ' '^not ok ' report
			grep ': skipped' "$SCRATCH/report.out" || true
			;;
		citus)
			counted citus '^ok ' '^not ok ' bash test/citus/run.sh
			grep -E ': skipped|^# [0-9]+ (requests|checks)' "$SCRATCH/citus.out" || true
			;;
		testkit)
			counted testkit '^(ok |test .* ok )' '^(not ok|.*FAILED)' testkit
			grep ': skipped' "$SCRATCH/testkit.out" || true
			;;
		packages)
			if git rev-parse --git-dir >/dev/null 2>&1; then
				counted packages '^ok ' '^not ok ' packages
			else
				scratch_say 'packages: skipped, as this is no git clone'
			fi
			;;
		journeys) counted journeys '^ok ' '^not ok ' journeys ;;
		fresh)
			if [ "$(id -u)" = 0 ]; then
				counted fresh '^ok ' '^not ok ' fresh
				sed -n 's/^ok - /# /p' "$SCRATCH/fresh.out"
			else
				scratch_say 'fresh: skipped, as it needs root'
			fi
			;;
		*) scratch_die "no such step: $1" ;;
	esac
}

scratch_build
# shellcheck disable=SC2119 # no arguments
scratch_postgres
[ $# -gt 0 ] || set -- warnings layers unit fuzz conformance differential regress isolation hosted tap trixie e2e citus examples report testkit packages journeys fresh
for step; do
	run_step "$step"
done

printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
