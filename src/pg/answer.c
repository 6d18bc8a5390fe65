/*
 * answer.c
 *		What the places in a query that ask who is signed in keep of the answer.
 *
 * A policy asks once per row, so each place in a query keeps its answer, and asks session.c
 * again only when its ticket is out of date, or its arguments are others.  The kept value
 * belongs to the query, not to the session: it stays valid for as long as the executor may look
 * at it, whatever happens to the session meanwhile.
 *
 * Called, through answer.h, by accessors.c and idmap.c.
 */
#include "answer.h"

#include "utils/datum.h"
#include "utils/timestamp.h"

#define MAX_ARGUMENTS 2

/* One place in a query. */
typedef struct CallSite
{
	ClerkAnswer answer;
	Datum previous; /* freed one change later, for a row that may still hold it */
	bool fixed;		/* the arguments are the same throughout a run of the executor */
	uint64 ticket;	/* of an answer to arguments that may vary from row to row */
	NullableDatum arguments[MAX_ARGUMENTS];
} CallSite;

/* The lengths of the arguments: a text, a jsonb or an array, and an interval. */
static const int argument_lengths[MAX_ARGUMENTS] = {CLERK_ANSWER_VARLENA,
													sizeof(Interval)};

/* Constants, that is, or parameters. */
static bool
are_fixed_arguments(FunctionCallInfo fcinfo)
{
	for (int i = 0; i < PG_NARGS(); i++)
	{
		if (!get_fn_expr_arg_stable(fcinfo->flinfo, i))
			return false;
	}
	return true;
}

static void
keep_arguments(CallSite *site, FunctionCallInfo fcinfo)
{
	for (int i = 0; i < PG_NARGS(); i++)
	{
		NullableDatum *kept = &site->arguments[i];

		if (DatumGetPointer(kept->value) != NULL)
			pfree(DatumGetPointer(kept->value));
		kept->isnull = PG_ARGISNULL(i);
		kept->value = (Datum) 0;
		if (!kept->isnull)
			kept->value = datumCopy(fcinfo->args[i].value, false, argument_lengths[i]);
	}
}

static bool
are_same_arguments(const CallSite *site, FunctionCallInfo fcinfo)
{
	for (int i = 0; i < PG_NARGS(); i++)
	{
		const NullableDatum *kept = &site->arguments[i];

		if (kept->isnull != PG_ARGISNULL(i))
			return false;
		if (!kept->isnull && !datum_image_eq(kept->value, fcinfo->args[i].value, false,
											 argument_lengths[i]))
			return false;
	}
	return true;
}

/* The memory of the query keeps it, and nothing of what was palloc'd to make the answer. */
static CallSite *
make_call_site(FunctionCallInfo fcinfo)
{
	CallSite *site = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(CallSite));

	site->fixed = are_fixed_arguments(fcinfo);
	fcinfo->flinfo->fn_extra = site;
	return site;
}

static void
keep_answer(FunctionCallInfo fcinfo, uint64 ticket, int type, bool isnull, Datum value)
{
	CallSite *site = fcinfo->flinfo->fn_extra;
	bool by_value = type == CLERK_ANSWER_BY_VALUE || type == CLERK_ANSWER_YES_OR_NO;
	MemoryContext old_context = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
	Datum copy = isnull ? (Datum) 0 : datumCopy(value, by_value, type);

	if (site == NULL)
		site = make_call_site(fcinfo);
	site->answer.ticket = site->ticket = 0;
	if (!by_value && DatumGetPointer(site->previous) != NULL)
		pfree(DatumGetPointer(site->previous));
	site->previous = site->answer.value;
	site->answer.value = copy;
	site->answer.isnull = isnull;
	if (!site->fixed)
		keep_arguments(site, fcinfo);
	*(site->fixed ? &site->answer.ticket : &site->ticket) = ticket;
	MemoryContextSwitchTo(old_context);
}

static Datum
ask(FunctionCallInfo fcinfo, ClerkUnpack unpack, int type)
{
	const ClerkSession *session = clerk_session_in_run(fcinfo->flinfo->fn_mcxt);
	Datum value = (Datum) 0;
	bool isnull = session == NULL || !unpack(session, fcinfo, &value);
	uint64 ticket = clerk_session_ticket(fcinfo->flinfo->fn_mcxt);

	if (isnull && type == CLERK_ANSWER_YES_OR_NO)
	{
		value = BoolGetDatum(false);
		isnull = false;
	}
	if (ticket != 0)
		keep_answer(fcinfo, ticket, type, isnull, value);
	fcinfo->isnull = isnull;
	return value;
}

/* For clerk_answer(), where its look was not enough. */
Datum
clerk_answer_anew(FunctionCallInfo fcinfo, ClerkUnpack unpack, int type)
{
	const CallSite *site = fcinfo->flinfo->fn_extra;

	if (site == NULL || site->ticket != clerk_ticket ||
		!are_same_arguments(site, fcinfo))
		return ask(fcinfo, unpack, type);
	fcinfo->isnull = site->answer.isnull;
	return site->answer.value;
}
