/*
 * track.c
 *		The table of an application as the mapping: a trigger carries its ids into clerk.id_map.
 *
 * It raises where one Clerk id or one local id would be two.  Called by PostgreSQL, for the
 * tables that clerk.track_ids() has named.
 */
#include "clerk_pg.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/rel.h"

/* As the constraints of clerk.id_map have it. */
#define MAX_ID_LENGTH 255

#define MAX_PARAMETERS 3

/* A statement of the trigger's, planned once per backend. */
typedef struct Statement
{
	const char *text;
	int n_parameters;
	Oid types[MAX_PARAMETERS];
	SPIPlanPtr plan;
} Statement;

static Statement forget_table = {
	"DELETE FROM clerk.id_map WHERE source = $1", 1, {REGCLASSOID}, NULL};
static Statement forget_row = {
	"DELETE FROM clerk.id_map WHERE source = $1 AND clerk_id = $2",
	2,
	{REGCLASSOID, TEXTOID},
	NULL};
static Statement add_row = {
	"INSERT INTO clerk.id_map (source, clerk_id, mapped_id) VALUES ($1, $2, $3)"
	" ON CONFLICT DO NOTHING",
	3,
	{REGCLASSOID, TEXTOID, TEXTOID},
	NULL};
static Statement adopt_row = {
	"UPDATE clerk.id_map SET source = $1"
	" WHERE clerk_id = $2 AND mapped_id = $3 AND source IS NULL",
	3,
	{REGCLASSOID, TEXTOID, TEXTOID},
	NULL};

/* The columns of a tracked table, and the values of a row; NULL: not mapped. */
typedef struct TrackedRow
{
	char *clerk_id;
	char *mapped_id;
} TrackedRow;

/* Returns how many rows were affected. */
static uint64
run(Statement *statement, Relation rel, const TrackedRow *row)
{
	Datum values[MAX_PARAMETERS] = {ObjectIdGetDatum(RelationGetRelid(rel))};

	if (statement->plan == NULL)
	{
		statement->plan =
			SPI_prepare(statement->text, statement->n_parameters, statement->types);
		if (statement->plan == NULL || SPI_keepplan(statement->plan) != 0)
			elog(ERROR, "could not plan: %s", statement->text);
	}
	if (row != NULL)
	{
		values[1] = CStringGetTextDatum(row->clerk_id);
		if (row->mapped_id != NULL)
			values[2] = CStringGetTextDatum(row->mapped_id);
	}
	if (SPI_execute_plan(statement->plan, values, NULL, false, 0) < 0)
		elog(ERROR, "could not execute: %s", statement->text);
	return SPI_processed;
}

/*
 * The trigger that bears the columns says UPDATE OF them, first that of the Clerk id, then
 * that of the local id: PostgreSQL keeps such a list right when columns are renamed, and
 * writes it into a dump, which it would not do for arguments.
 */
static const int16 *
tracked_columns(Relation rel, Oid function)
{
	const TriggerDesc *desc = rel->trigdesc;

	for (int i = 0; i < desc->numtriggers; i++)
	{
		if (desc->triggers[i].tgfoid == function && desc->triggers[i].tgnattr == 2)
			return desc->triggers[i].tgattr;
	}
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table \"%s\" is tracked in part only", RelationGetRelationName(rel)),
			 errhint("Run clerk.untrack_ids() and clerk.track_ids() again.")));
}

static TrackedRow
read_tracked_row(Relation rel, HeapTuple tuple, const int16 *columns)
{
	return (TrackedRow){SPI_getvalue(tuple, RelationGetDescr(rel), columns[0]),
						SPI_getvalue(tuple, RelationGetDescr(rel), columns[1])};
}

static bool
is_mappable(const char *id)
{
	int length = pg_mbstrlen(id);

	return length >= 1 && length <= MAX_ID_LENGTH;
}

/* The ids themselves are not shown: they may be personal. */
static void
add_mapping(Relation rel, const TrackedRow *row)
{
	if (!is_mappable(row->clerk_id) || !is_mappable(row->mapped_id))
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("an id is too short or too long to be mapped"),
				 errdetail("The ids in the tracked columns of table \"%s\" must have 1 "
						   "to %d characters.",
						   RelationGetRelationName(rel), MAX_ID_LENGTH),
				 errtable(rel)));
	if (clerk_idmap_is_reserved(row->clerk_id, row->mapped_id))
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION), errmsg("the local id is reserved"),
				 errdetail("The UUIDs of version 5 in table \"%s\" may be those of other "
						   "Clerk ids.",
						   RelationGetRelationName(rel)),
				 errhint("Use clerk.mapped_id() of the Clerk id, or a UUID of another "
						 "version, such as gen_random_uuid()."),
				 errtable(rel)));
	if (run(&add_row, rel, row) == 0 && run(&adopt_row, rel, row) == 0)
		ereport(ERROR, (errcode(ERRCODE_UNIQUE_VIOLATION),
						errmsg("one of the ids is mapped already"),
						errdetail("Table \"%s\" maps a Clerk id, or to a local id, that "
								  "clerk.id_map has from elsewhere.",
								  RelationGetRelationName(rel)),
						errtable(rel)));
}

static void
track_row(Relation rel, Oid function, HeapTuple old_tuple, HeapTuple new_tuple)
{
	const int16 *columns = tracked_columns(rel, function);
	TrackedRow row;

	if (old_tuple != NULL)
	{
		row = read_tracked_row(rel, old_tuple, columns);
		if (row.clerk_id != NULL)
			(void) run(&forget_row, rel, &row);
	}
	if (new_tuple != NULL)
	{
		row = read_tracked_row(rel, new_tuple, columns);
		if (row.clerk_id != NULL && row.mapped_id != NULL)
			add_mapping(rel, &row);
	}
}

PG_FUNCTION_INFO_V1(clerk_rls_track_id);

/*
 * The trigger, after each row and after TRUNCATE.  It follows an update where the condition
 * of a trigger of its own says that a column has changed, and not where a statement names
 * the column, since a trigger before it may change what no statement names.
 */
Datum
clerk_rls_track_id(PG_FUNCTION_ARGS)
{
	const TriggerData *trigger = (TriggerData *) fcinfo->context;
	TriggerEvent event;
	Relation rel;
	Oid function;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("clerk_internal.track_id() must be called as a trigger")));
	event = trigger->tg_event;
	rel = trigger->tg_relation;
	function = trigger->tg_trigger->tgfoid;
	SPI_connect();
	if (TRIGGER_FIRED_BY_TRUNCATE(event))
		(void) run(&forget_table, rel, NULL);
	else if (TRIGGER_FIRED_BY_INSERT(event))
		track_row(rel, function, NULL, trigger->tg_trigtuple);
	else if (TRIGGER_FIRED_BY_DELETE(event))
		track_row(rel, function, trigger->tg_trigtuple, NULL);
	else if (trigger->tg_trigger->tgnattr == 0)
		track_row(rel, function, trigger->tg_trigtuple, trigger->tg_newtuple);
	SPI_finish();
	return PointerGetDatum(NULL);
}
