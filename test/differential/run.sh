#!/usr/bin/env bash
#
# run.sh
#		The differential test: what Clerk's own packages answer, has.c must answer too, and so
#		must SQL; and the tokens and keys that jose makes are good.
#
# usage: test/differential/run.sh		(in a database of its own, on the server that PGHOST names)
#
# CLERK_PAIRS_SEED chooses other tokens and questions.  The packages are those that
# test/lib/setup.sh has put into build/clerk and build/jose.
#
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly N_TOKENS=2500
out=build/differential
status=0

mkdir -p "$out"
# shellcheck disable=SC2046 # flags are words
cc -O1 -g -Wall -Wextra -fsanitize=address,undefined -D_GNU_SOURCE -Isrc/core -o "$out/differential" \
	test/differential/differential.c src/core/*.c \
	$(pkg-config --cflags --libs libcrypto jansson) -lm
node test/differential/pairs.mjs build/clerk "$N_TOKENS" "${CLERK_PAIRS_SEED:-20261123}" >"$out/pairs.tsv"
chmod a+r "$out/pairs.tsv"

"$out/differential" <"$out/pairs.tsv" || status=1
dropdb --if-exists differential 2>/dev/null
createdb differential
psql -XqAt -d differential -v ON_ERROR_STOP=1 -v pairs="$PWD/$out/pairs.tsv" \
	-f test/differential/differential.sql | tee "$out/sql.out" || status=1
node test/differential/jose.mjs build/jose "${CLERK_PAIRS_SEED:-20261123}" >"$out/jose.tsv"
chmod a+r "$out/jose.tsv"
dropdb --if-exists jose 2>/dev/null
createdb jose
psql -XqAt -d jose -v ON_ERROR_STOP=1 -v lines="$PWD/$out/jose.tsv" \
	-f test/differential/jose.sql | tee -a "$out/sql.out" || status=1
! grep -q '^not ok' "$out/sql.out" || status=1
exit $status
