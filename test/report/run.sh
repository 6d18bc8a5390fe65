#!/usr/bin/env bash
#
# run.sh
#		The page of clerk.report() in a real browser: what it holds, that hostile names are no markup
#		in it, that axe finds no fault in it; and as PostgREST serves it.  And that the pictures of
#		the docs show what is.
#
# usage: test/report/run.sh [--pictures], which makes docs/img/report-*.png again
#
# Prints TAP, and "... : skipped" for what it cannot do.
#
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source-path=SCRIPTDIR/../.. source=test/lib/scratch.sh
. test/lib/scratch.sh

failed=0
export PG_ABS_SRCDIR=$PWD/test

# report_page DATABASE FILE [TOKEN]: the page as a file, made in a transaction that cannot write
report_page()
{
	local token=NULL

	[ $# -lt 3 ] || token="'$(scratch_token "$3")'"
	scratch_sql -At -d "$1" -c "BEGIN READ ONLY; SELECT clerk.report($token); COMMIT" >"$SCRATCH/$2.html"
}

scratch_token()
{
	sed -n "s/^\\\\set $1 '\(.*\)'$/\1/p" test/vectors/tokens.sql
}

# check WHAT COMMAND...
check()
{
	local what=$1
	shift

	if "$@"; then
		echo "ok - $what"
	else
		echo "not ok - $what"
		failed=1
	fi
}

# nothing_of FILE WORD...: none of these words is in the page
nothing_of()
{
	local file=$1 word
	shift

	for word; do
		! grep -qF -e "$word" "$file" || { echo "# it holds $word" && return 1; }
	done
}

# ask [TOKEN]: the report through PostgREST, as browsers ask: headers and body
ask()
{
	curl -sS -i -H 'Accept: text/html,application/xhtml+xml,*/*;q=0.8' ${1:+-H "Authorization: Bearer $1"} "$SCRATCH_URL/rpc/clerk_report" | tr -d '\r' >"$SCRATCH/served"
}

served()
{
	grep -qE "$1" "$SCRATCH/served"
}

scratch_build
# before PostgreSQL 17, for clerk.stats
scratch_postgres "shared_preload_libraries = 'clerk_rls'"
for database in shop hostile; do
	scratch_sql -c "CREATE DATABASE $database"
	scratch_sql -d $database -o "$SCRATCH/setup.out" -f test/report/$database.sql
done
report_page shop shop
report_page shop arrives alice
report_page shop stops expired
report_page hostile hostile
report_page hostile way alice

pages=("$SCRATCH"/{shop,arrives,stops,hostile,way}.html)
for page in "${pages[@]}"; do
	check "${page##*/}: no token, secret, session or user in it" nothing_of "$page" "$(scratch_token alice)" "$(scratch_token expired)" \
		eyJ whsec_ MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw sess_ user_alice 'lost laptop' secretive
	check "${page##*/}: nothing of elsewhere" nothing_of "$page" '<script' '<img' 'href="http' '@import' 'url('
done

scratch_sql -d shop -c "CREATE ROLE operator; GRANT operator TO authenticator; SELECT clerk.expose_report('public', 'operator')" >"$SCRATCH/setup.out"
PGDATABASE=shop scratch_postgrest 12 report 'db-schemas = "public"' 'db-anon-role = "anon"' \
	'db-pre-request = "clerk.pre_request"' 'db-pre-config = "clerk.pre_config"'
claims='"iss":"https://clerk.example.com","azp":"https://app.example.com","sub":"user_op","sid":"sess_op","exp":@now+60@'
operator=$("$MINT" token --key test/vectors/keys/a.pem --alg RS256 --kid ins_a "{$claims,\"role\":\"operator\"}")
someone=$("$MINT" token --key test/vectors/keys/a.pem --alg RS256 --kid ins_a "{$claims}")
ask "$operator"
check 'PostgREST serves it to its role, as HTML' served '^Content-Type: text/html'
check 'it is there, whole' served '^</html>$'
check 'it is not kept by caches' served '^Cache-Control: no-store'
check 'what PostgREST is connected as is seen' served 'role of PostgREST: authenticator, connected'
check 'nothing of the operator is in it' nothing_of "$SCRATCH/served" user_op sess_op "$operator"
ask "$someone"
check 'others are refused' served '^HTTP/1.1 40[13]'
ask
check 'and so is nobody' served '^HTTP/1.1 40[13]'

check 'docs/img/bench.svg is made of docs/performance.md' diff <(perl test/bench/bars.pl) docs/img/bench.svg
CLERK_SETUP=no perl test/demo/record.pl --check docs/img/demo.svg || failed=1

CHROMIUM=$(command -v chromium-headless-shell || command -v chromium || true)
export CHROMIUM
if [ "$CHROMIUM" ]; then
	[ "${1:-}" != --pictures ] || export REPORT_PICTURES=$PWD/docs/img
	cp -r test/report/test.mjs test/examples/browser/chromium.mjs "$SCRATCH"
	check 'in the browser' timeout 300 node "$SCRATCH/test.mjs" build/axe/node_modules/axe-core/axe.min.js "$SCRATCH"
else
	scratch_say 'report in a browser: skipped, as there is no chromium-headless-shell and no chromium'
fi
exit $failed
