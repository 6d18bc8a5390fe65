#!/usr/bin/env bash
#
# run.sh
#		The hosted file: that it is what the parts give, and that it does what the extension does.
#
# usage: test/hosted/run.sh		(on a server without the roles of a gateway, which PGHOST names)
#
# Each regression file is run in a database of its own, by a superuser, where a superuser has run the
# hosted file, and where a role that is none has; and those that do only what that role may do, by it.
#
set -euo pipefail
: "${SCRATCH_BINDIR:=$(${PG_CONFIG:-pg_config} --bindir)}"
export SCRATCH_BINDIR PATH=$SCRATCH_BINDIR:$PATH
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. test/hosted/regress.sh

out=build/hosted
failed=0
rm -rf "$out"
mkdir -p "$out"

# report WHETHER WHAT
report()
{
	if [ "$1" = 0 ]; then
		echo "ok - $2"
	else
		echo "not ok - $2"
		failed=1
	fi
}

make -s hosted HOSTED="$out/clerk_rls.sql" PG_CONFIG="${PG_CONFIG:-pg_config}"
for name in clerk_rls clerk_rls_test; do
	status=0
	cmp "$out/$name.sql" "hosted/$name.sql" || status=1
	report $status "hosted/$name.sql is what the parts give (make hosted)"
done
report "$(($(wc -c <hosted/clerk_rls.sql) > 980000))" 'it fits into the editor of supabase.com'
report "$(grep -cE 'LANGUAGE C\b|MODULE_PATHNAME|pgcrypto|^\\' hosted/clerk_rls.sql || true)" 'it needs no extension, and no psql'

export CLERK_HOSTED_CREATE=$PWD/test/hosted/create.sh CLERK_HOSTED_DROP=$PWD/test/hosted/drop.sh PG_ABS_SRCDIR=$PWD/test
# who runs the hosted file now
export CLERK_HOSTED_OWNER=

# installed_by ROLE
installed_by()
{
	CLERK_HOSTED_OWNER=$1
	dropdb --if-exists hosted_template 2>/dev/null
	createdb -O "$1" hosted_template
	psql -Xq -d hosted_template -U "$1" -v ON_ERROR_STOP=1 -f hosted/clerk_rls.sql >"$out/install.out"
}

# in_its_database USER NAME: the names of databases are in what some files print
in_its_database()
{
	dropdb --if-exists contrib_regression 2>/dev/null
	createdb -O "$CLERK_HOSTED_OWNER" -T hosted_template contrib_regression
	hosted_regress contrib_regression "$1" "$out/$CLERK_HOSTED_OWNER/$1" "as $1, installed by $CLERK_HOSTED_OWNER" "$2" >"$out/line"
	cat "$out/line"
	! grep -q '^not ok' "$out/line" || failed=1
	dropdb contrib_regression
}

as_superuser()
{
	local file name

	for file in ${CLERK_HOSTED_ONLY:-test/sql/*.sql}; do
		name=$(basename "$file" .sql)
		grep -qE "^$name	not run	" test/hosted/own.tsv || in_its_database "$PGUSER" "$name"
	done
}

psql -Xq -d postgres -f test/hosted/roles.sql
installed_by "$PGUSER"
as_superuser
psql -Xq -d postgres -f test/hosted/owner.sql
installed_by hosted_owner
as_superuser
for name in $(sed -n 's/^# by the owner: //p' test/hosted/own.tsv); do
	in_its_database hosted_owner "$name"
done

for file in test/hosted/sql/*.sql; do
	name=$(basename "$file" .sql)
	PGTZ=America/Los_Angeles psql -X -a -q -v SHOW_CONTEXT=never -d postgres <"$file" >"$out/$name.out" 2>&1
	status=0
	diff -U3 "test/hosted/expected/$name.out" "$out/$name.out" >"$out/$name.diff" || status=1
	report $status "$name"
	sed 's/^/# /' "$out/$name.diff"
done

# The test kit's own tests, whose roles are there already; and that OpenSSL takes its keys and signatures.
without_roles()
{
	sed -E '/^CREATE ROLE (anon|authenticated);$/d; /^DROP ROLE anon, authenticated;$/d; s/^DROP ROLE anon, authenticated, /DROP ROLE /' "$1"
}
createdb -O hosted_owner -T hosted_template hosted_testkit
psql -Xq -U hosted_owner -d hosted_testkit -v ON_ERROR_STOP=1 -f hosted/clerk_rls_test.sql
for name in login organization; do
	without_roles "clerk_rls_test/test/sql/$name.sql" | psql -Xaq -d hosted_testkit >"$out/testkit_$name.out" 2>&1
	status=0
	diff -U3 <(without_roles "clerk_rls_test/expected/$name.out") "$out/testkit_$name.out" >"$out/testkit.diff" || status=1
	report $status "clerk_rls_test: $name"
	sed 's/^/# /' "$out/testkit.diff"
done
psql -XAtq -d hosted_testkit -c "SELECT encode(der, 'hex'), encode(clerk_test.sign(der, 'text'), 'hex') FROM clerk_test.private_key" |
	perl -e '
		my ($key, $signature) = map { pack("H*", $_) } split /\|/, <STDIN>; chdir shift or die;
		for (["key.der", $key], ["signature", $signature], ["text", "text"]) { open(my $f, ">", $_->[0]) or die; print $f $_->[1]; }
		exit(system("openssl pkey -inform DER -in key.der -check -pubout -out key.pub >check.out 2>&1 && openssl dgst -sha256 -verify key.pub -signature signature text >>check.out 2>&1") != 0);' "$out" && status=0 || status=1
report $status 'clerk_rls_test: OpenSSL takes its key, and its signature'
[ $status = 0 ] || sed 's/^/# /' "$out/check.out"
dropdb hosted_testkit

# What Clerk's own packages answer.
differential()
{
	local status=0

	node test/differential/pairs.mjs build/clerk 500 "${CLERK_PAIRS_SEED:-20261123}" RS256 >"$out/pairs.tsv"
	chmod a+r "$out/pairs.tsv"
	createdb -O hosted_owner -T hosted_template hosted_differential
	sed '/^CREATE EXTENSION/d' test/differential/differential.sql |
		psql -XqAt -d hosted_differential -v ON_ERROR_STOP=1 -v pairs="$PWD/$out/pairs.tsv" | tee "$out/differential.out" || status=1
	! grep -q '^not ok' "$out/differential.out" && [ $status = 0 ] || failed=1
	dropdb hosted_differential
}

# PostgreSQL inside of Node: the newest version, on 32 bits, and nobody but a superuser.
demo()
{
	mkdir -p "$out/hosted/demo"
	cp hosted/clerk_rls.sql hosted/clerk_rls_test.sql "$out/hosted"
	cp hosted/demo/demo.mjs hosted/demo/package.json "$out/hosted/demo"
	ln -s "$PWD/build/pglite/node_modules" "$out/hosted/demo/node_modules"
	node "$out/hosted/demo/demo.mjs" || failed=1
}

if [ -d build/clerk ]; then differential; else echo '# SKIP the packages of Clerk are not installed'; fi
if [ -d build/pglite ]; then demo; else echo '# SKIP hosted/demo, as PGlite is not installed'; fi
if [ -d build/clerk ] && [ -d build/postgrest-12 ]; then
	SCRATCH_PRIVATE='' bash test/hosted/e2e.sh | grep -v '^»' || failed=1
else
	echo '# SKIP test/hosted/e2e.sh, as PostgREST is not installed'
fi
exit $failed
