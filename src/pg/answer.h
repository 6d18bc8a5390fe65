/*
 * answer.h
 *		The way of an answer into a query, once per row; see answer.c.
 */
#ifndef CLERK_ANSWER_H
#define CLERK_ANSWER_H

#include "clerk_pg.h"

/*
 * Fills *value in the current memory context, or returns false for NULL; it is not asked
 * when nobody is signed in.  It must not depend on anything that changes within a run of
 * the executor but the arguments.
 */
typedef bool (*ClerkUnpack)(const ClerkSession *session, FunctionCallInfo fcinfo,
							Datum *value);

/* What a function returns: the length of its type, as in pg_type, or one of these. */
#define CLERK_ANSWER_VARLENA (-1)
#define CLERK_ANSWER_BY_VALUE 8
#define CLERK_ANSWER_YES_OR_NO 0 /* a bool by value, and false in place of NULL */

/* What is looked at once per row, of a place in a query: fn_extra. */
typedef struct ClerkAnswer
{
	uint64 ticket; /* the value holds while this is clerk_ticket; 0: look further */
	Datum value;
	bool isnull;
} ClerkAnswer;

extern CLERK_HIDDEN Datum clerk_answer_anew(FunctionCallInfo fcinfo, ClerkUnpack unpack, int type);

/* The whole body of a function for policies. */
static inline Datum
clerk_answer(FunctionCallInfo fcinfo, ClerkUnpack unpack, int type)
{
	const ClerkAnswer *kept = fcinfo->flinfo->fn_extra;

	if (unlikely(kept == NULL || kept->ticket != clerk_ticket))
		return clerk_answer_anew(fcinfo, unpack, type);
	fcinfo->isnull = kept->isnull;
	return kept->value;
}

/* The function for policies of this name, whose answer unpack_NAME() makes. */
#define CLERK_ANSWER_FUNCTION(name, type)                                                \
	PG_FUNCTION_INFO_V1(clerk_rls_##name);                                               \
	Datum clerk_rls_##name(PG_FUNCTION_ARGS)                                             \
	{                                                                                    \
		return clerk_answer(fcinfo, unpack_##name, type);                                \
	}

#endif /* CLERK_ANSWER_H */
