#!/usr/bin/env bash
#
# upgrade.sh
#		pg_upgrade from PostgreSQL 15 by 17 to 18, with the extension in use: keys, instances,
#		mapping, profiles, revocations and secrets come along, and it goes on working.
#
# usage: test/stress/upgrade.sh, as root
#
# Makes a Debian in a temporary folder in which the three are side by side, each from the Debian
# that has it.  Prints TAP.  CLERK_ROOT names such a Debian that is there already.
#
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# shellcheck source-path=SCRIPTDIR/../.. source=packaging/root.sh
. packaging/root.sh
. test/lib/sources.sh

make_root()
{
	local packages=gcc,libc6-dev,make,pkg-config,libssl-dev,libjansson-dev,openssl,perl version
	# shellcheck disable=SC2016 # expanded by the shell of the hook
	local older='for suite in bookworm trixie; do
		sed -n "s/ forky / $suite /p" "$1/etc/apt/sources.list" >"$1/etc/apt/sources.list.d/$suite.list"
	done'

	for version in 15 17 18; do
		packages+=,postgresql-$version,postgresql-server-dev-$version
	done
	mmdebstrap --quiet --variant=apt --aptopt='Acquire::Check-Valid-Until "false"' \
		--setup-hook="$older" --include="$packages" forky "$1"
}

# What must be the same before and after, one line each.
fingerprint()
{
	cat <<'END'
SELECT 'instance', i::text FROM clerk.instances AS i ORDER BY 2;
SELECT 'key', issuer, kid, md5(jwk::text), expires_at IS NULL FROM clerk.jwks ORDER BY 2, 3;
SELECT 'id', clerk_id, mapped_id, source::text FROM clerk.id_map ORDER BY 2;
SELECT 'profile', clerk_id, email, external_id, updated_at FROM clerk.user_profiles ORDER BY 2;
SELECT 'organization', clerk_id, name, deleted_at IS NULL FROM clerk.org_profiles ORDER BY 2;
SELECT 'membership', clerk_id, org_id, user_id, permissions::text FROM clerk.org_memberships ORDER BY 2;
SELECT 'revocation', id, source, reason FROM clerk.revocations ORDER BY 2, 3;
SELECT 'secret', issuer, md5(secret) FROM clerk.webhook_secrets ORDER BY 3;
SELECT 'event', id, type FROM clerk.webhook_events ORDER BY 2;
SELECT 'handler', pattern, handler FROM clerk.event_handlers ORDER BY 2;
SELECT 'shim', s::text FROM clerk.auth_shim AS s ORDER BY 2;
SELECT 'trigger', tgrelid::regclass, tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY 2, 3;
SELECT 'function', p.oid::regprocedure::text COLLATE "C", prosecdef, has_function_privilege('anon', p.oid, 'EXECUTE'), md5(prosrc) FROM pg_proc AS p WHERE pronamespace IN ('clerk'::regnamespace, 'clerk_internal'::regnamespace) ORDER BY 2;
SELECT 'readable', oid::regclass FROM pg_class WHERE relnamespace = 'clerk'::regnamespace AND relkind = 'r' AND has_table_privilege('anon', oid, 'SELECT');
SELECT 'extension', extversion FROM pg_extension WHERE extname = 'clerk_rls';
SET clerk.token = :'alice';
SELECT 'signed in', clerk.uid(), clerk.mapped_id(), auth.uid();
SET clerk.token = :'bob';
SELECT 'revoked', clerk.uid(), (SELECT detail FROM clerk.diagnose() WHERE outcome = 'fail');
END
}

# What an application has by the time it upgrades.
content()
{
	cat <<'END'
CREATE EXTENSION clerk_rls;
CREATE ROLE anon;
CREATE ROLE authenticated;
SELECT clerk.add_instance(:'issuer_a', authorized_parties => '{https://app.example.com}', id_claim => 'external_id');
SELECT clerk.load_jwks(:'issuer_a', :'jwks_a');
CREATE TABLE users (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), clerk_id text UNIQUE);
INSERT INTO users (clerk_id) VALUES ('user_alice');
SELECT clerk.track_ids('users', 'clerk_id', 'id');
SELECT clerk.map_id('org_acme', '77');
SELECT clerk.install_auth_shim();
SELECT clerk.add_webhook_secret(:'issuer_a', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
SELECT clerk.expose_webhook('public');
CREATE FUNCTION on_user(event jsonb) RETURNS void LANGUAGE sql AS '';
SELECT clerk.add_event_handler('user.*', 'on_user(jsonb)');
SELECT clerk.import_users('[{"id":"user_alice","updated_at":1700000000000,"external_id":"a","primary_email_address_id":"idn_1","email_addresses":[{"id":"idn_1","email_address":"alice@example.com"}]}]');
SELECT clerk.import_organizations('[{"id":"org_acme","name":"Acme","updated_at":1}]');
SELECT clerk.import_memberships('[{"id":"orgmem_1","role":"org:admin","permissions":["org:a:b"],"organization":{"id":"org_acme"},"public_user_data":{"user_id":"user_alice"},"updated_at":1}]');
INSERT INTO clerk.webhook_events (id, issuer, type) VALUES ('msg_1', :'issuer_a', 'user.created');
SELECT clerk.revoke_user('user_bob', 'left');
SELECT clerk.revoke_session('sess_old');
CREATE TABLE notes (owner uuid DEFAULT clerk.mapped_id());
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes TO authenticated USING (owner = auth.uid());
END
}

# Runs in the Debian, as root: builds, fills 15, upgrades twice, and compares.
inside()
{
	cat <<'END'
cd /clerk_rls
as_postgres() { runuser -u postgres -- "$@"; }
bin() { echo "/usr/lib/postgresql/$1/bin"; }
data() { echo "/var/lib/postgresql/upgrade/$1"; }
for version in 15 17 18; do
	rm -f src/*/*.o clerk_rls.so
	make -s with_llvm=no PG_CONFIG="$(bin $version)/pg_config" install >build.log 2>&1 || { cat build.log; exit 1; }
	as_postgres mkdir -p "$(data $version)"
	checksums=
	[ $version -lt 18 ] || checksums=--no-data-checksums
	as_postgres "$(bin $version)/initdb" -A trust --no-locale -E UTF8 -N $checksums -D "$(data $version)" >/dev/null
done
cd /var/lib/postgresql/upgrade
start() { as_postgres "$(bin $1)/pg_ctl" -s -w -D "$(data $1)" -l "$(data $1)/log" -o "-k /var/lib/postgresql/upgrade -c listen_addresses=" start; }
stop() { as_postgres "$(bin $1)/pg_ctl" -s -w -D "$(data $1)" stop; }
run() { as_postgres "$(bin $1)/psql" -XAtq -v ON_ERROR_STOP=1 -h /var/lib/postgresql/upgrade -f /clerk_rls/test/vectors/tokens.sql -f "$2" postgres; }
start 15
run 15 /clerk_rls/content.sql >/dev/null
run 15 /clerk_rls/fingerprint.sql >/clerk_rls/15.out
stop 15
from=15
for to in 17 18; do
	if as_postgres "$(bin $to)/pg_upgrade" -b "$(bin $from)" -B "$(bin $to)" -d "$(data $from)" -D "$(data $to)" -s /tmp >/clerk_rls/upgrade.log 2>&1; then
		echo "ok - pg_upgrade from $from to $to"
	else
		tail -n 30 /clerk_rls/upgrade.log
		echo "not ok - pg_upgrade from $from to $to"
		exit 1
	fi
	start $to
	run $to /clerk_rls/fingerprint.sql >/clerk_rls/$to.out
	if diff /clerk_rls/15.out /clerk_rls/$to.out; then
		echo "ok - $to has what 15 had, $(wc -l </clerk_rls/15.out) lines"
	else
		echo "not ok - $to has what 15 had"
	fi
	stop $to
	from=$to
done
END
}

root=${CLERK_ROOT:-}
if [ ! "$root" ]; then
	root=$(mktemp -d "${TMPDIR:-/tmp}/clerk_rls_upgrade.XXXXXX")
	trap 'rm -rf --one-file-system "$root"' EXIT
	make_root "$root"
fi
rm -rf "$root/clerk_rls" "$root/var/lib/postgresql/upgrade"
copy_sources "$root/clerk_rls"
content >"$root/clerk_rls/content.sql"
fingerprint >"$root/clerk_rls/fingerprint.sql"
root_run "$root" 'install -d -o postgres /var/lib/postgresql/upgrade'
root_run "$root" "$(inside)"
