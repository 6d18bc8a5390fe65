#!/usr/bin/env bash
#
# run.sh
#		The functions in SQL: test/sql, whose output must be that in expected, by pg_regress.
#
set -euo pipefail
. test/lib/regress.sh

regress_installcheck ISOLATION=
