#!/usr/bin/env bash
#
# run.sh
#		Each fuzz target for FUZZ_SECONDS (5): a look whether it still holds.  What takes longer is
#		"make fuzz".
#
set -euo pipefail
make -s -k -j2 -C test/fuzz check FUZZ_SECONDS="${FUZZ_SECONDS:-5}" | sed 's/^ok - \(.*executions.*\)/&\n#> \1/'
