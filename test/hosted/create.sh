#!/usr/bin/env bash
#
# create.sh
#		What CREATE EXTENSION is for the hosted file: runs it in the database that PGDATABASE names.
#
# usage: create.sh [ROLE [VERSION]]		(CLERK_HOSTED_OWNER, and the version that it is of)
#
top=$(dirname "$0")/../..
version=$(sed -n "s/^default_version = '\(.*\)'/\1/p" "$top/clerk_rls.control")
sed "s/\b${version//./\\.}\b/${2:-$version}/g" "$top/hosted/clerk_rls.sql" |
	psql -XqAt -U "${1:-$CLERK_HOSTED_OWNER}" -v ON_ERROR_STOP=1 -v SHOW_CONTEXT=never | sed '/(hosted)$/d'
