/*
 * variable.c
 *		What PostgreSQL keeps of a setting beside its value: since when it has it, and what it
 *		gets back when a transaction or a savepoint ends.
 *
 * A setting that is SET before anybody has defined it is a placeholder.  When it is defined,
 * PostgreSQL applies to the new variable, one after the other, each value that the placeholder
 * had and may get back, with the source it came from.  A value that a RESET has brought is
 * of the lowest source, so that it does not replace the one before it: what was reset would
 * be in force again.  clerk_variable_prepare() turns each such value into a RESET that has
 * the source of a SET, before the variable is defined.
 *
 * Nothing here raises.  Called by config.c.
 */
#include "clerk_pg.h"

#include "access/parallel.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"

/* Is it the default, or did it come from a file, a role or a database? */
static bool
is_reset_value(GucSource source)
{
	return source <= PGC_S_OVERRIDE;
}

/*
 * The value counts as a SET to NULL, which is what a RESET is: the new variable then takes
 * the default that it has by itself.
 */
static void
make_reset(char **value, GucSource *source)
{
	if (!is_reset_value(*source))
		return;
	*value = NULL;
	*source = PGC_S_SESSION;
}

static struct config_generic *
find_placeholder(const char *name)
{
	struct config_generic *variable = clerk_find_variable(name);

	return variable != NULL && (variable->flags & GUC_CUSTOM_PLACEHOLDER) ? variable
																		  : NULL;
}

/*
 * To be called before a variable is defined, in whose place there may be a placeholder.
 * Returns whether it has a value that was SET by the client, and will have been committed:
 * the first that PostgreSQL will apply as SET.  All others were set in this transaction.
 */
bool
clerk_variable_prepare(const char *name)
{
	struct config_generic *variable = find_placeholder(name);
	GucSource source;
	char **value;

	if (variable == NULL)
		return false;
	source = variable->source;
	value = CLERK_STRING_VARIABLE(variable)->variable;
	make_reset(value, &source);
	if (variable->source == PGC_S_DEFAULT)
		clerk_leave_list_of_variables(variable);
	variable->source = source;
	for (GucStack *stack = variable->stack; stack != NULL; stack = stack->prev)
	{
		/* the source of a masked value is not kept, and is taken to be a SET */
		if (stack->state == GUC_SET_LOCAL &&
			stack->masked.val.stringval == CLERK_STRING_VARIABLE(variable)->reset_val)
			stack->masked.val.stringval = NULL;
		value = &stack->prior.val.stringval;
		make_reset(value, &stack->source);
	}
	return *value != NULL;
}

/*
 * The value that a setting has now, NULL if there is none, and who has given it.  In a parallel
 * worker it cannot be told whether it was in this transaction, and is taken not to have been.
 */
ClerkOrigin
clerk_variable_read(const char *name, const char **value)
{
	struct config_generic *variable = clerk_find_variable(name);

	*value = NULL;
	if (variable == NULL || !clerk_variable_is_clients(variable->source))
		return CLERK_ORIGIN_DEFAULT;
	*value = variable->vartype == PGC_STRING ? *CLERK_STRING_VARIABLE(variable)->variable
											 : GetConfigOption(name, true, false);
	return variable->stack != NULL && !is_reset_value(variable->source) &&
				   !IsParallelWorker()
			   ? CLERK_ORIGIN_TRANSACTION
			   : CLERK_ORIGIN_SESSION;
}

/* Did a client say so, with a SET, or when it connected? */
bool
clerk_variable_is_clients(GucSource source)
{
	return source >= PGC_S_CLIENT;
}
