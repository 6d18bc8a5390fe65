#!/usr/bin/env bash
#
# run.sh
#		Two and three sessions at once: test/specs, by pg_isolation_regress.
#
set -euo pipefail
. test/lib/regress.sh

regress_installcheck REGRESS=
