#!/bin/sh
#
# install-in-image.sh
#		Puts what is in this folder where the PostgreSQL of an image looks, and tries it.
#
# usage: sh install-in-image.sh, as root in the image; Dockerfile.supabase calls it
#
# Where that is, the server itself says, in a cluster for this moment.  Any sh will do: the image
# may be Alpine.
#
set -eu
cd "$(dirname "$0")"
PATH=/usr/lib/postgresql/bin:$PATH
dir=$(mktemp -d /tmp/clerk_rls.XXXXXX)
chown postgres "$dir"
chmod 755 "$dir"

as_postgres()
{
	su postgres -s /bin/sh -c "cd $dir; PATH=$PATH; $1"
}

# ask PSQL ARGUMENTS
ask()
{
	as_postgres "psql -XAtq -v ON_ERROR_STOP=1 -h $dir -U supabase_admin $1 postgres"
}

where()
{
	ask "-c \"SELECT setting FROM pg_config WHERE name = '$1'\""
}

stop()
{
	as_postgres "pg_ctl -s -D $dir/data -m immediate stop" || true
	rm -rf "$dir"
}

as_postgres "initdb -A trust -N -E UTF8 --locale=C -U supabase_admin -D $dir/data" >"$dir/log"
as_postgres "pg_ctl -s -w -D $dir/data -l $dir/server.log -o \"-k $dir -c listen_addresses=''\" start"
trap stop EXIT
cp clerk_rls.so libjansson.so.4 "$(where PKGLIBDIR)"
cp clerk_rls.control clerk_rls--*.sql "$(where SHAREDIR)/extension"
cp tokens.sql try.sql "$dir"
chmod a+r "$dir"/*.sql
answer=$(ask '-f tokens.sql -f try.sql')
if [ "$answer" != 'user_alice|t' ]; then
	echo "install-in-image.sh: the extension does not work in this image: $answer" >&2
	exit 1
fi
echo "clerk_rls is in $(where PKGLIBDIR) and $(where SHAREDIR)/extension, and verifies a token"
