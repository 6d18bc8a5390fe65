#!/usr/bin/env bash
#
# check-dockerfile.sh
#		What can be known of packaging/Dockerfile without a Docker engine: its steps are run in
#		Debians in folders, and a token is verified in the last one.
#
# usage: packaging/check-dockerfile.sh, as root
#
# A FROM becomes a Debian with the PostgreSQL of Debian in the place of the image's, which has the
# same paths; RUN and COPY are done as they stand.  Prints TAP.
#
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

pg=15
suite=bookworm
work=$(mktemp -d "${TMPDIR:-/tmp}/clerk_rls_docker.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
# shellcheck source-path=SCRIPTDIR/.. source=packaging/root.sh
. packaging/root.sh

# The instructions, one a line: continued lines joined, comments away, the version put in.
instructions()
{
	sed -e '/^#/d' packaging/Dockerfile | sed -e ':a' -e '/\\$/N; s/\\\n//; ta' | sed -e "s/\${PG_MAJOR}/$pg/g" | grep -v '^$'
}

# The needs of the steps are installed beforehand, as apt-get has no network in there.
packages()
{
	instructions | sed -n 's/.*apt-get install -y --no-install-recommends \([^&]*\).*/\1/p' | tr -s ' \n\t' ',' | sed 's/,$//'
}

n=0
stage=
while read -r instruction arguments; do
	case $instruction in
		ARG) ;;
		FROM)
			n=$((n + 1))
			stage=$work/$n
			case $arguments in
				"postgres:$pg-$suite"*) root_make "$stage" $suite "postgresql-$pg,$(packages)" ;;
				*) echo "not ok - FROM $arguments" && exit 1 ;;
			esac
			;;
		COPY)
			case $arguments in
				'. /src') root_sources "$stage/src" ;;
				'--from=build /out/ /') cp -a "$work/1/out/." "$stage/" ;;
				*) echo "not ok - COPY $arguments" && exit 1 ;;
			esac
			;;
		RUN) root_run "$stage" "apt-get() { :; }; $arguments" >"$work/log" 2>&1 || { tail -n 30 "$work/log" && echo "not ok - RUN $arguments" && exit 1; } ;;
		*) echo "not ok - unknown instruction $instruction" && exit 1 ;;
	esac
done < <(instructions)
echo "ok - the steps of packaging/Dockerfile, in $n stages"
cp test/vectors/tokens.sql packaging/try.sql "$stage/tmp"
root_try "$stage" $pg
