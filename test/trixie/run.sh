#!/usr/bin/env bash
#
# run.sh
#		Where pgsql-http is not to be had: regress, isolation and tap in a Debian that has it.
#
set -euo pipefail
if [ -e "$("$PG_CONFIG" --sharedir)/extension/http.control" ]; then
	echo '# trixie: skipped, as pgsql-http is installed here'
elif [ "$(id -u)" != 0 ]; then
	echo '# trixie: skipped, as it needs root'
else
	bash test/matrix/run.sh 17 gcc --show regress isolation tap
fi
