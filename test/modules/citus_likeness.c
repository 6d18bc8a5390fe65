/*
 * citus_likeness.c
 *		A module that does with SET LOCAL what Citus does: keeps the statements for the servers
 *		that it will connect to in this transaction, and forgets those of a savepoint when that
 *		is released or rolled back.  SHOW citus_likeness.told, which is no statement that the
 *		executor runs, says what such a server would be sent.  For test/t/021_citus.pl.
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/memutils.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

#define MAX_STATEMENTS 1024

static struct
{
	char *query;
	int level;
} told[MAX_STATEMENTS];
static int n_told = 0;

static char *told_setting;
static ProcessUtility_hook_type next_process_utility = NULL;

static void
process_utility(PlannedStmt *statement, const char *query, bool read_only_tree,
				ProcessUtilityContext context, ParamListInfo params,
				QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *qc)
{
	Node *tree = statement->utilityStmt;

	if (next_process_utility)
		next_process_utility(statement, query, read_only_tree, context, params, environment, dest, qc);
	else
		standard_ProcessUtility(statement, query, read_only_tree, context, params, environment, dest, qc);
	if (!IsA(tree, VariableSetStmt) || !((VariableSetStmt *) tree)->is_local)
		return;
	if (n_told == MAX_STATEMENTS)
		elog(ERROR, "too many SET LOCAL for this module");
	told[n_told].query = MemoryContextStrdup(TopTransactionContext, query);
	told[n_told++].level = GetCurrentTransactionNestLevel();
}

static void
end_of_subtransaction(SubXactEvent event, SubTransactionId id, SubTransactionId parent, void *arg)
{
	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	while (n_told > 0 && told[n_told - 1].level >= GetCurrentTransactionNestLevel())
		n_told--;
}

static void
end_of_transaction(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_PRE_COMMIT && event != XACT_EVENT_PRE_PREPARE)
		n_told = 0;
}

static const char *
show_told(void)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < n_told; i++)
		appendStringInfo(&text, "%s;", told[i].query);
	return text.data;
}

void
_PG_init(void)
{
	DefineCustomStringVariable("citus_likeness.told", "What a new connection would be sent.", NULL,
							   &told_setting, NULL, PGC_INTERNAL, 0, NULL, NULL, show_told);
	next_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
	RegisterSubXactCallback(end_of_subtransaction, NULL);
	RegisterXactCallback(end_of_transaction, NULL);
}
