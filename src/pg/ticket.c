/*
 * ticket.c
 *		How long an answer about the request holds: a counter of what has changed, and a ticket
 *		for each run of the executor.
 *
 * The generation is another one whenever a setting of the request has changed, or a transaction
 * has ended; who keeps an answer under it need not look at the settings again.
 *
 * Even that look is too much once per row, as invalidations must be taken in for it.  So callers
 * may keep what they were told for one run of the executor, which is one statement, or one FETCH
 * of a cursor; a hook gives each run a ticket.  A ticket also ends with the generation, so that
 * once per row a single comparison is enough.
 *
 * Nothing here raises.  Called by config.c, citus.c, session.c, and answer.c for each row.
 */
#include "clerk_pg.h"

/* Never 0, so that 0 can stand for "never current"; the ticket as well. */
uint64 clerk_ticket_generation = 1;

/* What an answer that a caller keeps was given under. */
uint64 clerk_ticket = 1;
static uint64 n_tickets = 1;

/* The memory of the innermost run of the executor, NULL outside of any. */
static MemoryContext run_context = NULL;
static ExecutorRun_hook_type next_executor_run = NULL;

/* No answer that a caller keeps holds any more. */
uint64
clerk_ticket_new(void)
{
	return clerk_ticket = ++n_tickets;
}

/* Something has changed about the request: no answer at all holds any more. */
void
clerk_ticket_invalidate(void)
{
	clerk_ticket_generation++;
	clerk_ticket_new();
}

/* May an answer be kept in this memory, as that of a function which is part of the run? */
bool
clerk_ticket_is_for(MemoryContext context)
{
	return context == run_context;
}

/*
 * Each run has a ticket of its own.  The one around it gets its own back, unless a setting
 * has changed meanwhile.
 */
static void
run_with_ticket(CLERK_EXECUTOR_RUN_PARAMS)
{
	MemoryContext outer_context = run_context;
	uint64 outer_ticket = clerk_ticket;
	uint64 ticket = clerk_ticket_new();

	run_context = query_desc->estate->es_query_cxt;
	PG_TRY();
	{
		if (next_executor_run)
			next_executor_run(CLERK_EXECUTOR_RUN_ARGS);
		else
			standard_ExecutorRun(CLERK_EXECUTOR_RUN_ARGS);
	}
	PG_FINALLY();
	{
		run_context = outer_context;
		if (clerk_ticket == ticket)
			clerk_ticket = outer_ticket;
	}
	PG_END_TRY();
}

void
clerk_ticket_init(void)
{
	next_executor_run = ExecutorRun_hook;
	ExecutorRun_hook = run_with_ticket;
}
