#!/usr/bin/env bash
#
# run.sh
#		The cut of the code, checked: two worlds of C, and calls that only go down the Makefile's
#		lists of files and of parts.
#
# usage: test/layers/run.sh, after the extension has been built
#
# What a file calls is read from its object, so that no macro hides it.
#
set -eu
# so that the end of a pipe can set a variable
shopt -s lastpipe
cd "$(dirname "${BASH_SOURCE[0]}")/../../src"

# A file calls only files to its left.
core=$(sed -n 's,^\tsrc/core/\(.*\)\.o.*,\1,p' ../Makefile)
pg=$(sed -n 's,^\tsrc/pg/\(.*\)\.o.*,\1,p' ../Makefile)

failed=0

# expect_nothing WHAT: passes if standard input is empty, and shows it otherwise.
expect_nothing()
{
	local found

	found=$(cat)
	if [ -z "$found" ]; then
		echo "ok - $1"
	else
		echo "not ok - $1"
		printf '%s\n' "$found" | sed 's/^/# /'
		failed=1
	fi
}

# search PATTERN NAME...: lines that match, of files that may be none
search()
{
	local pattern=$1
	shift

	[ $# = 0 ] || grep -nE -e "$pattern" /dev/null "$@" || true
}

# The file that a symbol of ours belongs to, by its name.
owner()
{
	local name

	for name in $core $pg; do
		case $1 in
			"clerk_$name" | "clerk_${name}_"*) echo "$name" && return ;;
		esac
	done
	echo unknown
}

position()
{
	local name n=0

	for name in $core $pg; do
		n=$((n + 1))
		[ "$name" != "$1" ] || echo $n
	done
}

upward_calls()
{
	local name symbol to

	for name; do
		for symbol in $(nm -u ./*/"$name.o" | awk '$2 ~ /^clerk_/ { print $2 }'); do
			to=$(owner "$symbol")
			[ "$to" != unknown ] && [ "$(position "$to")" -lt "$(position "$name")" ] ||
				echo "$name.c uses $symbol"
		done
	done
}

# What a file shows to others must bear its name; functions for SQL are called clerk_rls_*.
foreign_names()
{
	local name symbol

	for name; do
		for symbol in $(nm -g --defined-only ./*/"$name.o" | awk '{ print $3 }'); do
			case $symbol in
				"clerk_$name" | "clerk_${name}_"* | clerk_rls_* | pg_finfo_clerk_rls_*) ;;
				_PG_init | Pg_magic_func) [ "$name" = clerk_rls ] || echo "$name.c: $symbol" ;;
				*) echo "$name.c: $symbol" ;;
			esac
		done
	done
}

callers_of()
{
	local name

	for name in $core $pg; do
		! nm -u ./*/"$name.o" | grep -qw "$1" || echo "$name"
	done
}

# part FILE: its statements, without what is only said
part()
{
	sed -E "s/--.*//; s/(HINT|DETAIL|MESSAGE) = (format\()?'([^']|'')*'//" "$1" |
		awk '/^COMMENT ON/ { said = 1 } !said { print } /;$/ { said = 0 }'
}

# What a part makes: NAME, one a line.
made_by()
{
	part "$1" | sed -nE 's/^CREATE (FUNCTION|TABLE|VIEW) ((clerk|clerk_internal)\.[a-z_0-9]+).*/\2/p'
}

# A name that a part uses stands in that part or in one above it.
upward_names()
{
	local file above=' '

	for file; do
		above+=$(made_by "$file" | tr '\n' ' ')
		part "$file" | grep -oE '\b(clerk|clerk_internal)\.[a-z_0-9]+' | sort -u | while read -r name; do
			[[ $above = *" $name "* || $made != *" $name "* ]] || echo "$file uses $name"
		done
	done
}

# A function in C stands in the library, under the name of its file.
library_functions()
{
	diff <(for name in $pg; do
		sed -nE "s,^PG_FUNCTION_INFO_V1\((.*)\);,pg/$name.c \1,p
			s/^CLERK_ANSWER_FUNCTION\(([a-z_]*),.*/pg\/$name.c clerk_rls_\1/p" "pg/$name.c"
	done | sort) <(awk '/^-- src\/pg\// { file = substr($2, 5) }
		match($0, /MODULE_PATHNAME'"', '"'[a-z_0-9]+/) { print file, substr($0, RSTART + 19, RLENGTH - 19) }' ../sql/parts/library.sql | sort -u)
	grep -l 'MODULE_PATHNAME' ../sql/parts/*.sql | grep -v '/library.sql$'
}

# shellcheck disable=SC2086 # names are words
{
	core_files=$(printf 'core/%s.c ' $core)
	pg_files=$(printf 'pg/%s.c ' $pg)

	for file in */*.c; do
		[ -f "${file%.c}.o" ] || echo "${file%.c}.o is missing: build first"
	done | expect_nothing 'every file has been built'
	comm -3 <(printf '%s\n' */*.c | sort) <(printf '%s\n' $core_files $pg_files | sort) |
		expect_nothing 'every file has its place in the list'
	search '^#include' core/* |
		grep -vE '"clerk_core.h"|<(ctype|limits|math|stdbool|stddef|stdint|stdio|stdlib|string|strings|time)\.h>|<jansson\.h>|<openssl/[a-z0-9_]+\.h>' |
		expect_nothing 'core includes only libc, OpenSSL, jansson and clerk_core.h'
	search '\b(ereport|elog|palloc0?|pfree|Datum|MemoryContext\w*)\b' $core_files |
		expect_nothing 'core knows nothing of PostgreSQL'
	search '\b(json_\w+|(EVP|BN|OSSL|ERR|RSA|EC|ECDSA|RAND)_\w+) *\(|<(jansson|openssl/.*)\.h>' pg/*.[ch] |
		grep -vE '\bjson_(agg|build_object)\b' |
		expect_nothing 'pg does not call jansson or OpenSSL'
	upward_calls $core $pg | expect_nothing 'calls only go down the list'
	foreign_names $core $pg | expect_nothing 'a name says which file it is of'
	callers_of clerk_jwa_verify | grep -vx session |
		expect_nothing 'only session.c has a signature checked'
	callers_of clerk_config_setting | grep -vxE 'source|session|postgrest|citus' |
		expect_nothing 'only source.c, citus.c, and session.c and postgrest.c for PostgREST'"'"'s claims, read the request'
	search 'PT401|MAKE_SQLSTATE' $core_files $pg_files | grep -v '^pg/report.c:' |
		expect_nothing 'only report.c raises for a token'
	search 'PG_VERSION_NUM' */*.[ch] | grep -v '^pg/compat.h:' |
		expect_nothing 'PostgreSQL versions are compared in compat.h only'
	search '(^|[^:"])//' */*.[ch] |
		expect_nothing 'no C++ comments'
	for file in */*.[ch]; do
		[ "$(sed -n 2p "$file")" = " * ${file##*/}" ] || echo "$file"
	done | expect_nothing 'each file says at its head what it is'
	parts=$(make -s -C .. -f Makefile print-parts | sed 's,^,../,')
	made=" $(for file in $parts; do made_by "$file"; done | tr '\n' ' ')"
	comm -3 <(printf '%s\n' ../sql/parts/*.sql | grep -v '/head.sql$' | sort) <(printf '%s\n' $parts | sort) |
		expect_nothing 'every part has its place in the list'
	for file in $parts; do
		[ "$(sed -n 2p "$file")" = "-- ${file##*/}" ] || echo "$file"
	done | expect_nothing 'each part says at its head what it is'
	hosted=$(make -s -C .. -f Makefile print-hosted-parts | sed -n 's,^sql/hosted,../sql/hosted,p')
	comm -3 <(printf '%s\n' ../sql/hosted/*.sql | sort) <(printf '%s\n' $hosted | sort) |
		expect_nothing 'every part of the hosted file has its place in the list'
	for file in $hosted; do
		[ "$(sed -n 2p "$file")" = "-- ${file##*/}" ] || echo "$file"
	done | expect_nothing 'each part of the hosted file says at its head what it is'
	upward_names $parts | expect_nothing 'a part uses only parts above it'
	for file in $parts ../sql/hosted/*.sql; do
		expand -t 4 "$file" | grep -nE '.{111,}' | cut -c1-60 | sed "s,^,$file:,"
	done | expect_nothing 'no line of SQL is longer than 110 columns'
	library_functions | expect_nothing 'the library has all functions in C, under their files'
	(cd .. && bash test/tools/architecture.sh | diff docs/architecture.md -) |
		expect_nothing 'docs/architecture.md has each file and part, as its head says'
	diff <(sed -n '/^steps=(/,/)/p' ../test/run.sh | sed 's/^steps=(//; s/)$//' | tr -s ' \t' '\n\n' | sed '/^$/d') \
		<(sed -nE 's/^\| `([a-z0-9]+)` \|.*\| `.*/\1/p' ../test/README.md) |
		expect_nothing 'test/README.md has each step of run.sh'
	search '-Werror' ../Makefile | expect_nothing 'the shipped Makefile does not make warnings errors'
}

exit $failed
