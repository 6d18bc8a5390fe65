#!/usr/bin/env bash
#
# growth.sh
#		What "make growth" runs: how the time for one thing grows with how many there are of it.
#
# usage: test/bench/growth.sh
#
# Each curve says what n counts and what one thing is.  One that takes n log n for all of them takes
# a little longer for each where there are ten times as many, and one that takes n * n ten times as
# long: at three times this fails.  The figures go to build/growth.csv; page.pl writes them into
# docs/performance.md.  N_IDS makes it smaller, for a first look.
#
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# shellcheck source-path=SCRIPTDIR/../.. source=test/lib/scratch.sh
. test/lib/scratch.sh

issuer=https://clerk.bench.example
core=build/core
largest=${N_IDS:-10000000}

scratch_build
# shellcheck disable=SC2046 # flags are words
cc -O2 -Wall -Wextra -o $core test/bench/core.c test/tools/jose.c \
	src/core/*.c $(pkg-config --cflags --libs libcrypto jansson) -lm
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$SCRATCH/rs256.pem" 2>/dev/null
scratch_postgres 'shared_buffers = 3GB' 'max_wal_size = 16GB' 'checkpoint_timeout = 1h' 'autovacuum = off' 'jit = off'

# the keys are called kid0 to kid9999, and each token names another
$core sign "$SCRATCH/rs256.pem" RS256 kid $issuer 10000 10000 |
	scratch_sql -v issuer=$issuer -v "jwk=$("$MINT" jwk --key "$SCRATCH/rs256.pem" --kid kid --alg RS256)" \
		-v "largest=$largest" -f test/bench/growth.sql
scratch_sql -c 'COPY (SELECT curve, thing, n, us FROM growth.points ORDER BY id) TO STDOUT CSV HEADER' >build/growth.csv
scratch_say 'the figures are in build/growth.csv'
[ "$(scratch_sql -At -c 'SELECT count(*) FROM growth.report WHERE last_decade > 3')" = 0 ] ||
	scratch_die 'one of the curves is worse than n log n'
