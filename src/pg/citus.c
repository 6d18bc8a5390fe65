/*
 * citus.c
 *		Citus: the other nodes of a cluster are told who the request is from, and verify it
 *		themselves.
 *
 * Citus runs a statement on connections to other nodes, which it keeps for whoever comes next,
 * and on which it repeats SET LOCAL, if citus.propagate_set_commands is "local": nothing that
 * set_config() or a session has set.  So a real SET LOCAL is run for each setting of the
 * request, the empty ones as well, before anything that may reach other nodes.  What Citus was
 * told within a savepoint it forgets when that is released, so it is told again then.
 *
 * A table that Citus has distributed, or copied to each node, has its rows elsewhere; what is
 * left under its name is empty, or old.  So such a table is not read (table.c).
 *
 * Its hook of the executor runs before that of ticket.c, as what it sets ends the ticket of the
 * run around it.
 *
 * Nothing of Citus is needed to build this, and nothing here happens without it.  Called by
 * table.c, session.c, authenticate.c and postgrest.c.
 */
#include "clerk_pg.h"

#include "access/genam.h"
#include "access/parallel.h"
#include "access/table.h"
#include "catalog/pg_namespace.h"
#include "executor/spi.h"
#include "nodes/makefuncs.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

/*
 * Under which the other nodes were told last, in this transaction, and within how many
 * savepoints; 0: they were not.
 */
static uint64 told_generation = 0;
static int told_level = 0;
static bool has_told = false;
static bool is_telling = false;

static ExecutorRun_hook_type next_executor_run = NULL;
static ProcessUtility_hook_type next_process_utility = NULL;

/* What was told before the savepoint is not forgotten with it. */
static void
end_of_subtransaction(SubXactEvent event, SubTransactionId id, SubTransactionId parent,
					  void *arg)
{
	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	if (told_level >= GetCurrentTransactionNestLevel())
		told_generation = 0;
	is_telling = false;
	clerk_config_repeat(CLERK_N_SETTINGS);
}

static void
end_of_transaction(XactEvent event, void *arg)
{
	told_generation = 0;
	has_told = false;
	is_telling = false;
	clerk_config_repeat(CLERK_N_SETTINGS);
}

/*
 * Not through SPI, which would add the statement, and so the token, to the context of an
 * error; and without a query id, so that pg_stat_statements leaves it out.
 */
static void
set_local(ClerkSetting setting, const char *text)
{
	const char *name = clerk_config_name(setting);
	char *query = psprintf("SET LOCAL %s TO %s", name, quote_literal_cstr(text));
	VariableSetStmt *set = makeNode(VariableSetStmt);
	A_Const *value = makeNode(A_Const);
	PlannedStmt *statement = makeNode(PlannedStmt);

	value->val.sval.type = T_String;
	value->val.sval.sval = pstrdup(text);
	value->location = -1;
	set->kind = VAR_SET_VALUE;
	set->name = pstrdup(name);
	set->args = list_make1(value);
	set->is_local = true;
	statement->commandType = CMD_UTILITY;
	statement->utilityStmt = (Node *) set;
	statement->stmt_len = (int) strlen(query);
	ProcessUtility(statement, query, false, PROCESS_UTILITY_QUERY, NULL, NULL,
				   None_Receiver, NULL);
}

/* Whoever has Citus has loaded it before any session began. */
static bool
sets_are_propagated(void)
{
	static const char *const name = "citus.propagate_set_commands";
	static enum { UNKNOWN, ABSENT, PRESENT } citus = UNKNOWN;

	if (citus == UNKNOWN)
		citus = GetConfigOption(name, true, false) != NULL ? PRESENT : ABSENT;
	return citus == PRESENT && strcmp(GetConfigOption(name, false, false), "local") == 0;
}

/* Each setting, as it counts here. */
static void
set_each_local(void)
{
	for (int i = 0; i < CLERK_N_SETTINGS; i++)
	{
		ClerkSlice value = clerk_config_setting(i);
		bool counts = value.data != NULL &&
					  !(i == CLERK_SETTING_TOKEN && clerk_source_is_left_over(i));

		clerk_config_repeat(i);
		set_local(i, counts ? pstrdup(value.data) : "");
	}
	clerk_config_repeat(CLERK_N_SETTINGS);
	/* what this has changed itself is no news */
	clerk_config_poll();
	told_generation = clerk_ticket_generation;
	told_level = GetCurrentTransactionNestLevel();
}

PG_FUNCTION_INFO_V1(clerk_rls_tell_citus);

Datum
clerk_rls_tell_citus(PG_FUNCTION_ARGS)
{
	if (sets_are_propagated() && !IsInParallelMode())
		set_each_local();
	PG_RETURN_VOID();
}

/*
 * Tells the other nodes who the request is from, unless they know.  Raises if they cannot be
 * told.  In a transaction block Citus takes note of SET LOCAL; outside of one only at the
 * second level of its executor, so within a function, which is called for that.
 */
void
clerk_citus_tell(void)
{
	if (is_telling || !sets_are_propagated() || IsInParallelMode())
		return;
	clerk_config_poll();
	if (told_generation == clerk_ticket_generation)
		return;
	is_telling = true;
	if (IsTransactionBlock())
		set_each_local();
	else if (SPI_connect() != SPI_OK_CONNECT ||
			 SPI_execute("SELECT clerk_internal.tell_citus()", true, 0) !=
				 SPI_OK_SELECT ||
			 SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not tell Citus who the request is from");
	is_telling = false;
	has_told = true;
}

/*
 * The same before a statement is run.  Outside of a transaction block nobody is signed in on
 * other nodes until pre_request() or authenticate() has said so.
 */
static void
tell_before_statement(void)
{
	if (has_told || IsTransactionBlock())
		clerk_citus_tell();
}

/*
 * SET LOCAL clerk.token, as the statement a client would send, so that whoever forwards
 * SET LOCAL to other servers sees it; and Citus hears the whole request.
 */
void
clerk_citus_set_token(const char *token)
{
	set_local(CLERK_SETTING_TOKEN, token);
	clerk_citus_tell();
}

static void
tell_before_run(CLERK_EXECUTOR_RUN_PARAMS)
{
	tell_before_statement();
	if (next_executor_run)
		next_executor_run(CLERK_EXECUTOR_RUN_ARGS);
	else
		standard_ExecutorRun(CLERK_EXECUTOR_RUN_ARGS);
}

/* A procedure may be run on another node, without the executor here. */
static void
tell_before_call(PlannedStmt *statement, const char *query, bool read_only_tree,
				 ProcessUtilityContext context, ParamListInfo params,
				 QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *qc)
{
	if (IsA(statement->utilityStmt, CallStmt))
		tell_before_statement();
	if (next_process_utility)
		next_process_utility(statement, query, read_only_tree, context, params,
							 environment, dest, qc);
	else
		standard_ProcessUtility(statement, query, read_only_tree, context, params,
								environment, dest, qc);
}

/* Is this a table of Citus, with its rows elsewhere?  May take in invalidations. */
bool
clerk_citus_has_taken(Oid relid)
{
	Oid catalog = get_relname_relid("pg_dist_partition", PG_CATALOG_NAMESPACE);
	Relation rel;
	SysScanDesc scan;
	ScanKeyData key;
	bool found;

	if (!OidIsValid(catalog))
		return false;
	rel = try_table_open(catalog, AccessShareLock);
	if (rel == NULL)
		return false;
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 1, &key);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

void
clerk_citus_init(void)
{
	RegisterSubXactCallback(end_of_subtransaction, NULL);
	RegisterXactCallback(end_of_transaction, NULL);
	next_executor_run = ExecutorRun_hook;
	ExecutorRun_hook = tell_before_run;
	next_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = tell_before_call;
}
