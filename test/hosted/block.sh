#!/usr/bin/env bash
#
# block.sh
#		Prints a block of SQL of docs/hosted.md, of those on moving to the extension, without its last ;.
#
# usage: block.sh NUMBER
#
awk -v wanted="$1" '/^## / { here = /^## From this file/ }
	/^```$/ { on = 0 }
	here && on && n == wanted { print }
	here && /^```sql$/ { on = 1; n++ }' "$(dirname "$0")/../../docs/hosted.md" | sed '$s/;$//'
