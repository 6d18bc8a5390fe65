#!/usr/bin/env bash
#
# run.sh
#		Tests of the SQL functions in a server that watches the memory of this extension, or
#		makes its life hard.
#
# usage: test/stress/run.sh ubsan|valgrind|invalidate [STEP...]	(default: regress isolation)
#
# ubsan		the extension built with UndefinedBehaviorSanitizer
# valgrind	as it is, under valgrind, which sees into OpenSSL and jansson as well; slow
# invalidate	all caches are dropped whenever it calls what may take in invalidations
#			(test/stress/invalidator.c; Debian's PostgreSQL has no debug_discard_caches)
#
# (AddressSanitizer must be loaded before everything else, and Debian's postgres then hangs
# in bindtextdomain(); the unit tests and the fuzzers run under it.)
#
# The server is scratch.sh's copy of PostgreSQL.  Passes when the steps of test/run.sh do and
# nothing was found that has to do with our files.
#
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# shellcheck source-path=SCRIPTDIR/../.. source=test/lib/scratch.sh
. test/lib/scratch.sh
. test/lib/sources.sh

tool=${1:-}
[ $# = 0 ] || shift
[ $# -gt 0 ] || set -- regress isolation
copy=$SCRATCH/clerk_rls
findings=$SCRATCH/findings

# What is found, is written to files here.
case $tool in
	ubsan)
		export PG_CFLAGS='-g -O1 -fsanitize=undefined -fno-sanitize-recover=undefined'
		# options for the log would be lost: PostgreSQL has overwritten them when we are loaded
		watch="exec 2>>$findings/ubsan.log; exec"
		;;
	valgrind)
		export PG_CFLAGS='-g -O1'
		command -v valgrind >/dev/null || scratch_die 'valgrind is not installed'
		watch="exec valgrind --quiet --trace-children=yes --leak-check=full --show-leak-kinds=definite --num-callers=40 --log-file=$findings/valgrind.%p"
		;;
	invalidate)
		wrapped=$(sed -n 's/^WRAP([^,]*, \([A-Za-z0-9_]*\),.*/\1/p; s/.* __real_\(Accept[A-Za-z]*\)(void);/\1/p' test/stress/invalidator.c | sort -u)
		cc -c -O1 -fPIC -I"$("$PG_CONFIG" --includedir-server)" -o "$SCRATCH/invalidator.o" test/stress/invalidator.c
		PG_LDFLAGS="$SCRATCH/invalidator.o $(printf -- ' -Wl,--wrap=%s' $wrapped)"
		export PG_LDFLAGS
		watch=exec
		;;
	*) scratch_die 'usage: test/stress/run.sh ubsan|valgrind|invalidate [STEP...]' ;;
esac

# The copy's postgres is watched, once it is a server and not in initdb.
watch_postgres()
{
	mv "$SCRATCH_BINDIR/postgres" "$SCRATCH_BINDIR/postgres.bin"
	cat >"$SCRATCH_BINDIR/postgres" <<-END
		#!/bin/sh
		if [ "\$1" = -D ]; then
			$watch "\$0.bin" "\$@"
		fi
		exec "\$0.bin" "\$@"
	END
	chmod 755 "$SCRATCH_BINDIR/postgres"
}

#
# valgrind separates what it has found by empty lines.  Ours is what has a frame in one of our
# files: PostgreSQL frees little when a process ends, which is none of our business.  The hooks
# around each run of the executor do not count, as everything is below them; neither do messages
# of invalidation, whose padding PostgreSQL marks as defined only when it is built for valgrind.
#
show_ours()
{
	local files

	files=$(cd src && printf "%s|" */*.c | sed "s,[^|]*/,,g; s/\./\\\\./g; s/|$//")
	case $tool in
		ubsan) sed -n '/runtime error/p' "$findings"/* ;;
		invalidate) cat "$findings"/* ;;
		valgrind) sed 's/^==[0-9]*== *//; /: run_with_ticket (/d; /: tell_before_run (/d' "$findings"/* | awk -v RS= -v ORS='\n\n' "/\(($files):[0-9]+\)/ && !/ ReceiveSharedInvalidMessages \(/" ;;
	esac
}

mkdir "$findings"
chmod 1777 "$findings"
scratch_private
watch_postgres
copy_sources "$copy"
mkdir -p "$copy/build"
# one shows that nothing waits for the locks of others while nothing has changed; in the other
# a thousand users ask twenty times each, for which every look-up reads all catalogs again
[ "$tool" != invalidate ] || rm "$copy/test/specs/iso_look.spec" "$copy/test/sql/realtime.sql"
CLERK_SETUP=no bash "$copy/test/run.sh" "$@" ||
	touch "$findings/failed"
[ -n "$(find "$findings" -name '*.*' -print -quit)" ] || touch "$findings/nothing.found"
show_ours >"$SCRATCH/ours"
head -n 200 "$SCRATCH/ours"
if [ -s "$SCRATCH/ours" ] || [ -e "$findings/failed" ]; then
	echo "not ok - $tool"
	exit 1
fi
echo "ok - $tool: nothing found"
