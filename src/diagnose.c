/*
 * diagnose.c
 *		diagnose(): each step of a verification with its outcome, for people.
 *
 * A status knows the step that failed, so the steps before it were passed and those after
 * it not reached.  No value of a token is shown.
 */
#include "clerk_rls.h"

#include "funcapi.h"
#include "utils/builtins.h"

static void
put_step(ReturnSetInfo *result, ClerkStep step, const char *outcome, text *detail)
{
	Datum values[3];
	bool nulls[3] = {false, false, detail == NULL};

	values[0] = CStringGetTextDatum(clerk_status_step_name(step));
	values[1] = CStringGetTextDatum(outcome);
	values[2] = PointerGetDatum(detail);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static void
put_steps(ReturnSetInfo *result, ClerkStatus status, ClerkSource source)
{
	ClerkStep failed = clerk_status_reason(status)->step;

	for (ClerkStep step = CLERK_STEP_SOURCE; step < CLERK_N_STEPS; step++)
	{
		if (step == failed)
			put_step(result, step, "fail", clerk_report_text(status));
		else if (step == CLERK_STEP_SOURCE)
			put_step(result, step, "ok", cstring_to_text(clerk_source_name(source)));
		else if (step == CLERK_STEP_IDENTITY && source == CLERK_SOURCE_ARGUMENT)
			put_step(result, step, "skipped", NULL);
		else
			put_step(result, step, step < failed ? "ok" : "skipped", NULL);
	}
}

PG_FUNCTION_INFO_V1(clerk_rls_diagnose);
Datum
clerk_rls_diagnose(PG_FUNCTION_ARGS)
{
	ClerkSource source = CLERK_SOURCE_ARGUMENT;
	const ClerkSession *session;
	ClerkStatus status;

	if (PG_ARGISNULL(0))
	{
		(void) clerk_session();
		status = clerk_session_status();
		source = clerk_session_source();
	}
	else
		status = clerk_session_verify(clerk_text_slice(PG_GETARG_TEXT_PP(0)), &session);
	InitMaterializedSRF(fcinfo, 0);
	put_steps((ReturnSetInfo *) fcinfo->resultinfo, status, source);
	return (Datum) 0;
}
