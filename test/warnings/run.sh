#!/usr/bin/env bash
#
# run.sh
#		The extension built with every warning an error, where it is in nobody's way.
#
# Unused parameters are allowed, since PostgreSQL's own headers have them; the others are for
# clang, which does not know all the flags that PostgreSQL was built with.
#
set -euo pipefail
# shellcheck source-path=SCRIPTDIR/../.. source=test/lib/scratch.sh
. test/lib/scratch.sh
. test/lib/sources.sh

copy=$SCRATCH/strict
flags='-Wall -Wextra -Werror -Wno-unused-parameter'
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
