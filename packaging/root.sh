# shellcheck shell=bash
#
# root.sh
#		A Debian in a folder, for what builds packages and for what tries them.  Sourced by
#		build-deb.sh, check-dockerfile.sh, test/fresh/run.sh, test/matrix/run.sh and test/stress/upgrade.sh.
#

# root_bare ROOT SUITE [OPTION...]: what is not released has lists that are out of date
root_bare()
{
	local root=$1 suite=$2
	shift 2

	mmdebstrap --quiet --variant=apt --aptopt='Acquire::Check-Valid-Until "false"' "$@" "$suite" "$root"
}

# root_make ROOT SUITE PACKAGES: with these packages, and no cluster
# shellcheck disable=SC2016 # expanded by the shell of the hook
root_make()
{
	root_bare "$1" "$2" --include="$3" \
		--setup-hook='mkdir -p "$1/etc/postgresql-common" && echo "create_main_cluster = false" >"$1/etc/postgresql-common/createcluster.conf"'
}

# root_run ROOT COMMAND: in namespaces, so that the mounts and the processes end with it
root_run()
{
	# shellcheck disable=SC2016 # expanded by the inner shell
	unshare --mount --pid --fork --kill-child bash -euc '
		mount --rbind /dev "$0/dev"
		mount -t proc proc "$0/proc"
		exec chroot "$0" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 bash -euo pipefail -c "$1"' "$1" "$2"
}

# What is committed, as a release has it: root_sources FOLDER
root_sources()
{
	mkdir -p "$1"
	git archive HEAD | tar -x -C "$1"
}

# Starts the PostgreSQL there, and runs try.sql: root_try ROOT VERSION
root_try()
{
	local answer

	answer=$(root_run "$1" "
		bin=/usr/lib/postgresql/$2/bin
		install -d -o postgres /tmp/pg
		runuser -u postgres -- \$bin/initdb -A trust -N -E UTF8 --no-locale -D /tmp/pg/data >/dev/null
		runuser -u postgres -- \$bin/pg_ctl -s -w -D /tmp/pg/data -l /tmp/pg/log -o '-k /tmp/pg -c listen_addresses=' start
		runuser -u postgres -- \$bin/psql -XAtq -v ON_ERROR_STOP=1 -h /tmp/pg -f /tmp/tokens.sql -f /tmp/try.sql postgres
		runuser -u postgres -- \$bin/pg_ctl -s -w -D /tmp/pg/data -m immediate stop")
	if [ "$answer" = 'user_alice|t' ]; then
		echo "ok - PostgreSQL $2: CREATE EXTENSION, and a token is verified"
	else
		echo "not ok - PostgreSQL $2: CREATE EXTENSION, and a token is verified: $answer"
		return 1
	fi
}
