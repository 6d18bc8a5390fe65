/*
 * clerk_rls.c
 *		The module: magic block and initialization.
 */
#include "clerk_pg.h"

#include "miscadmin.h"

CLERK_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	clerk_ticket_init();
	clerk_config_init();
	/* its hook runs before the one of ticket.c */
	clerk_citus_init();
	clerk_keys_init();
	clerk_revocation_init();
	clerk_stats_init();
	clerk_session_init();
	clerk_idmap_init();
	clerk_webhook_init();
	if (process_shared_preload_libraries_in_progress)
		clerk_jwa_warm();
}
