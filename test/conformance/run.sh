#!/usr/bin/env bash
#
# run.sh
#		Vectors of other projects, in the folder CLERK_VECTORS.
#
set -euo pipefail
if [ -d "${CLERK_VECTORS:-}" ]; then
	make -s -C test/conformance check VECTORS="$CLERK_VECTORS" | sed 's/^# /#> /'
else
	echo '# conformance: skipped, as CLERK_VECTORS is no folder'
fi
