#!/usr/bin/env bash
#
# architecture.sh
#		Prints docs/architecture.md with its tables of files and parts as the files' heads have
#		them; test/layers/run.sh checks that the document is what this prints.
#
# usage: test/tools/architecture.sh >FILE, and then mv FILE docs/architecture.md
#
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# subject FILE: the first sentence of its head
subject()
{
	sed -n '3,/^ \*$\|^--$\|^ \*\//p' "$1" | sed -E 's,^( \*|--)/?[[:space:]]*,,' | tr '\n' ' ' |
		sed -E 's/([.:]) +([A-Z-].*)?$/\1/; s/([a-z)])\. [A-Z].*/\1./; s/:$/./; s/ +$//'
}

rows()
{
	local file

	for file; do
		printf '| `%s` | %s |\n' "$file" "$(subject "$file")"
	done
}

while IFS= read -r line; do
	case $line in
		"| \`src/"*.c\`* | "| \`sql/"*.sql\`*) ;;
		'| File | Owns |') printf '%s\n|---|---|\n' "$line" && rows $(sed -n 's,^\t\(src/.*\)\.o.*,\1.c,p' Makefile) ;;
		'| Part | Owns |') printf '%s\n|---|---|\n' "$line" && rows $(make -s print-parts) ;;
		'| Hosted part | Owns |') printf '%s\n|---|---|\n' "$line" && rows $(make -s print-hosted-parts | grep '^sql/hosted/') ;;
		'|---|---|') [[ ${last:-} = *'| Owns |' ]] || printf '%s\n' "$line" ;;
		*) printf '%s\n' "$line" ;;
	esac
	last=$line
done <docs/architecture.md
