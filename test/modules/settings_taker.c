/*
 * settings_taker.c
 *		A module that has defined request.headers and request.jwt.claims before clerk_rls is
 *		loaded, as pg_session_jwt does with the latter.  For test/t/002_loading.pl.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

static char *headers;
static char *claims;

void
_PG_init(void)
{
	DefineCustomStringVariable("request.headers", "taken", NULL, &headers, NULL, PGC_USERSET,
							   0, NULL, NULL, NULL);
	DefineCustomStringVariable("request.jwt.claims", "taken", NULL, &claims, NULL,
							   PGC_USERSET, 0, NULL, NULL, NULL);
}
