/*
 * unknown_kid.c
 *		Marks: when a token last named a key that an instance does not have.
 *
 * clerk.run_jwks_refresh() fetches the keys of such an instance early.  Whoever meets the
 * token may be in a READ ONLY transaction, or in one that fails, and has no right to write
 * anything; so the mark is the time of a file in pg_stat_tmp, which needs no preloading and
 * is emptied when the server starts.  It says nothing of the token.
 *
 * Nothing here raises: a mark that cannot be made is not made.  Called by session.c.
 */
#include "clerk_pg.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/hashfn.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/fd.h"
#include "utils/builtins.h"

/* A backend marks an instance at most once in this time. */
#define MARK_INTERVAL USECS_PER_SEC

static void
mark_path(const char *issuer, char path[MAXPGPATH])
{
	uint64 hash =
		hash_bytes_extended((const unsigned char *) issuer, (int) strlen(issuer), 0);

	snprintf(path, MAXPGPATH, "%s/clerk_rls_%u_" UINT64_FORMAT ".unknown_kid",
			 PG_STAT_TMP_DIR, MyDatabaseId, hash);
}

void
clerk_unknown_kid_mark(ClerkInstance *instance)
{
	TimestampTz now = GetCurrentTimestamp();
	char path[MAXPGPATH];
	int fd;

	if (now < instance->unknown_kid_at + MARK_INTERVAL)
		return;
	instance->unknown_kid_at = now;
	mark_path(instance->issuer, path);
	fd = OpenTransientFile(path, O_WRONLY | O_CREAT | O_TRUNC | PG_BINARY);
	if (fd < 0)
		return;
	(void) !write(fd, "\n", 1);
	CloseTransientFile(fd);
}

PG_FUNCTION_INFO_V1(clerk_rls_unknown_kid_at);

/* When a token last named an unknown key of this issuer; NULL: not since the start. */
Datum
clerk_rls_unknown_kid_at(PG_FUNCTION_ARGS)
{
	char path[MAXPGPATH];
	struct stat mark;

	mark_path(text_to_cstring(PG_GETARG_TEXT_PP(0)), path);
	if (stat(path, &mark) != 0)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(time_t_to_timestamptz(mark.st_mtime));
}
