#!/usr/bin/env bash
#
# run.sh
#		Servers that are started, killed, dumped, replicated: test/t, by prove, as a user that may
#		run a server, so in a copy of the sources that is theirs.
#
set -euo pipefail
# shellcheck source-path=SCRIPTDIR/../.. source=test/lib/scratch.sh
. test/lib/scratch.sh
. test/lib/sources.sh

copy=$SCRATCH/tap
copy_sources "$copy"
mkdir "$copy/build"
cp build/mint "$copy/build"
for module in test/modules/*.c; do
	cc -shared -fPIC -I"$("$PG_CONFIG" --includedir-server)" -o "$copy/build/$(basename "$module" .c).so" "$module"
done
chown -R "$scratch_user" "$copy"
unset PGHOST PGPORT PGUSER PGDATABASE
scratch_unprivileged env CLERK_MINT="$copy/build/mint" CLERK_MODULES="$copy/build" \
	make -s -C "$copy" tapcheck PG_CONFIG="$PG_CONFIG" PROVE_FLAGS=--verbose
