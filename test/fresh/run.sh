#!/usr/bin/env bash
#
# run.sh
#		The README's commands in Debians that nobody has prepared.
#
# usage: test/fresh/run.sh [--suite SUITE] [--test STEPS] [all | STATE...], as root
#		(default: bookworm, setup, and the states in which most people are)
#
# Each state is a Debian in a folder, in which "make demo" and "make test" are run as a newcomer would;
# --test says which steps of test/run.sh are run there: setup for none of them, all for each.  The
# state "starter" runs "make starter", and signs in.  Prints TAP.
#
# Before anything is installed, and in a Debian of their own:
#	nothing server server-libpq client headers cluster starter
# In one where everything is installed, each in a new checkout:
#	twice proxy tmp-long tmp-closed space umask locale owner zip home readonly user pg-config changes-nothing
#
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# shellcheck source-path=SCRIPTDIR/../.. source=packaging/root.sh
. packaging/root.sh

suite=bookworm
steps=setup
declare -A version=([bookworm]=15 [trixie]=17)
bare_states=(nothing server server-libpq client headers cluster starter)
prepared_states=(twice proxy tmp-long tmp-closed space umask locale owner zip home readonly user pg-config changes-nothing)
failed=0

while [[ ${1:-} = --* ]]; do
	case $1 in
		--suite) suite=$2 ;;
		--test) steps=$2 ;;
		*) sed -n 's/^# usage: /usage: /p' "$0" && exit 1 ;;
	esac
	shift 2
done
[ $# -gt 0 ] || set -- nothing server server-libpq
[ "$1" != all ] || set -- "${bare_states[@]}" "${prepared_states[@]}"
[ "$(id -u)" = 0 ] || { echo '# fresh: skipped, as it needs root' && exit; }
work=$(mktemp -d /tmp/clerk_rls_fresh.XXXXXX)
trap 'rm -rf --one-file-system "$work"' EXIT
prepared=$work/prepared

# copy_checkout FOLDER: what is committed, or without git what is here
copy_checkout()
{
	mkdir -p "$1"
	if git -c safe.directory='*' rev-parse --git-dir >/dev/null 2>&1; then
		rmdir "$1" && git -c safe.directory='*' clone -q --no-hardlinks . "$1"
	else
		tar -c --exclude=./build . | tar -x -C "$1"
	fi
}

# The certificates that this machine trusts go along, in case npm is served by a proxy of its own.
in_root()
{
	root_run "$1" "export NODE_EXTRA_CA_CERTS=/machine.crt; unset LANG; $2"
}

make_root()
{
	root_bare "$1" "$suite"
	[ ! -e /etc/ssl/certs/ca-certificates.crt ] || cp /etc/ssl/certs/ca-certificates.crt "$1/machine.crt"
	touch "$1/machine.crt"
	copy_checkout "$1/root/clerk_rls"
}

# check STATE WHAT ROOT COMMAND
check()
{
	local log=$work/log begin=$SECONDS

	if in_root "$3" "$4" >"$log" 2>&1; then
		echo "ok - $suite $1: $2 ($((SECONDS - begin)) s)"
	else
		echo "not ok - $suite $1: $2"
		tail -n 40 "$log" | sed 's/^/# /'
		failed=1
	fi
}

# The test command, as far as --test says.
test_command()
{
	case $steps in
		setup) echo 'bash test/lib/setup.sh --with-tests' ;;
		all) echo 'make test' ;;
		*) echo "make test STEPS='$steps'" ;;
	esac
}

# From the command to a page that the server has made for who is signed in, without a browser.
signed_in()
{
	cat <<-'END'
		cd /root/clerk_rls
		make starter >/tmp/starter 2>&1 &
		until url=$(sed -n 's,^ *\(http://localhost:[0-9]*\)$,\1,p' /tmp/starter) && [ "$url" ]; do
			sleep 1
			kill -0 $! || { cat /tmp/starter; exit 1; }
		done
		cat /tmp/starter
		curl -sSL -H "Accept: text/html" -c /tmp/jar -b /tmp/jar "$url/__clerk/sign-in?as=user_ann&redirect_url=$url/people" | tee /tmp/page | grep -o '<b>Ann Archer</b>' || { cat /tmp/page; exit 1; }
	END
}

in_bare_state()
{
	local state=$1 root=$work/$1 packages='' before=:

	case $state in
		nothing | starter) ;;
		server) packages=postgresql ;;
		server-libpq) packages="postgresql-${version[$suite]} libpq-dev" ;;
		client) packages=postgresql-client ;;
		headers) packages=postgresql-server-dev-${version[$suite]} ;;
		cluster) packages=postgresql before="pg_ctlcluster ${version[$suite]} main start" ;;
	esac
	make_root "$root"
	in_root "$root" "export DEBIAN_FRONTEND=noninteractive; apt-get -qq update && apt-get -qq install -y make $packages" >/dev/null 2>&1
	if [ "$state" = starter ]; then
		check "$state" 'make starter, and somebody is signed in' "$root" "$(signed_in)"
		rm -rf --one-file-system "$root"
		return
	fi
	check "$state" 'make demo' "$root" "$before; cd /root/clerk_rls && make demo"
	check "$state" "$(test_command)" "$root" "$before; cd /root/clerk_rls && $(test_command)"
	rm -rf --one-file-system "$root"
}

# The Debian for the other states; what npm has brought is kept beside.
prepare()
{
	make_root "$prepared"
	check prepared 'make demo, and what the tests need' "$prepared" "apt-get -qq update && apt-get -qq install -y make mount >/dev/null &&
		cd /root/clerk_rls && make demo && bash test/lib/setup.sh --with-tests && useradd -m me && mv build /root/build"
}

# A run of both commands in a folder: both FOLDER
both()
{
	printf '%s' "cd '$1' && make demo && $(test_command)"
}

in_prepared_state()
{
	local dir=/root/clerk_rls what="make demo, and $(test_command)" command

	command=$(both $dir)
	case $1 in
		twice) command="$command && make demo" ;;
		proxy) command="printf 'proxy = \"http://127.0.0.1:9\"\nfail\n' >~/.curlrc; export http_proxy=http://127.0.0.1:9
			https_proxy=http://127.0.0.1:9 HTTP_PROXY=http://127.0.0.1:9 all_proxy=http://127.0.0.1:9; $command; rm ~/.curlrc" ;;
		tmp-long) command="export TMPDIR=/tmp/$(printf '%0100d' 0); mkdir -p \$TMPDIR; $command" ;;
		tmp-closed) command="export TMPDIR=/root/tmp/t; mkdir -p \$TMPDIR; chmod 700 /root; $command" ;;
		space) command="mv $dir '/root/a b'; $(both '/root/a b'); mv '/root/a b' $dir" ;;
		umask) command="umask 077; $command" ;;
		locale) command="export LANG=xx_XX.UTF-8 LC_ALL=xx_XX.UTF-8 LANGUAGE=xx; $command" ;;
		owner) command="chown -R me: $dir; $command" ;;
		zip) command="rm -rf $dir/.git; $command" ;;
		home) command="mv $dir /home/me/clerk_rls; chmod 700 /home/me; $(both /home/me/clerk_rls); mv /home/me/clerk_rls $dir" ;;
		readonly)
			what='a read-only checkout is refused in one line'
			command="mount --bind $dir $dir && mount -o remount,bind,ro $dir; $(refused 'cannot write to')" ;;
		user)
			what='a user who is not root can run both, where everything is installed'
			command="mv $dir /home/me/clerk_rls; chown -R me: /home/me; runuser -u me -- bash -euc \"$(both /home/me/clerk_rls)\"; mv /home/me/clerk_rls $dir" ;;
		pg-config)
			what='a wrong PG_CONFIG is refused in one line'
			command="export PG_CONFIG=/bin/true; $(refused 'PG_CONFIG is /bin/true')" ;;
		changes-nothing)
			what='the demo leaves nothing outside its folder'
			command="touch /root/stamp; sleep 1; cd $dir && make demo;
				find /usr /etc /var /opt /home /tmp -xdev -newer /root/stamp ! -type d >/root/changed; cat /root/changed; [ ! -s /root/changed ]" ;;
	esac
	rm -rf "$prepared$dir"
	copy_checkout "$prepared$dir"
	cp -al "$prepared/root/build" "$prepared$dir/build"
	check "$1" "$what" "$prepared" "$command"
}

# Both commands fail, and between make's own two lines one says why.
refused()
{
	printf '%s' "cd /root/clerk_rls; for target in demo test; do ! make \$target >/tmp/out 2>&1 || exit 1; cat /tmp/out; sed -n 2p /tmp/out | grep -q '^setup.sh: $1'; [ \$(wc -l </tmp/out) = 3 ]; done"
}

for state; do
	if [[ " ${bare_states[*]} " = *" $state "* ]]; then
		in_bare_state "$state"
	elif [[ " ${prepared_states[*]} " = *" $state "* ]]; then
		[ -e "$prepared" ] || prepare
		in_prepared_state "$state"
	else
		echo "not ok - no such state: $state"
		failed=1
	fi
done
exit $failed
