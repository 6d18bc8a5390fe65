#!/bin/sh
#
# init.sh
#		What a new database of compose.yml is set up with: the extension, the Clerk instance, the
#		roles of PostgREST.  The official image runs it once, as superuser.
#
set -eu
psql -X -v ON_ERROR_STOP=1 -U "${POSTGRES_USER:-postgres}" -d "$POSTGRES_DB" -v key="$CLERK_PUBLISHABLE_KEY" \
	-v parties="${CLERK_AUTHORIZED_PARTIES:-}" -v password="$AUTHENTICATOR_PASSWORD" <<'SQL'
CREATE EXTENSION clerk_rls;
SELECT clerk.add_instance(:'key', authorized_parties => string_to_array(nullif(:'parties', ''), ','));
CREATE ROLE anon;
CREATE ROLE authenticated;
CREATE ROLE authenticator LOGIN NOINHERIT PASSWORD :'password';
GRANT anon, authenticated TO authenticator;
ALTER ROLE authenticator SET pgrst.db_pre_request = 'clerk.pre_request';
ALTER ROLE authenticator SET pgrst.db_pre_config = 'clerk.pre_config';
SQL
