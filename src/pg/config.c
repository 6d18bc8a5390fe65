/*
 * config.c
 *		The settings, and the generation counter that says when something changed.
 *
 * clerk.token (anybody): a session token, for ORMs and psql.
 *
 * clerk.trust_request_claims (superuser, off): take claims in request.jwt.claims that came
 * without any token for true.  Whoever can run SQL as a role for which this is on can be
 * anybody; it is there for Supabase Realtime, whose postgres_changes has nothing else, and
 * whose channels have the headers of the socket's first request beside it.
 *
 * clerk.anon_role (superuser, "anon"): PostgREST's db-anon-role.  A verified caller whom
 * PostgREST runs as this role is switched to the instance's role by clerk.pre_request().
 *
 * clerk.max_cached_tokens (superuser, 1024): how many verified tokens a session remembers.
 *
 * request.headers, request.jwt and request.cookies are PostgREST's and Supabase's; they
 * are defined here so that an assign hook sees each change, by whatever SET, rollback or
 * RESET, and bumps the counter.  A row then costs a comparison instead of a look at them.
 * One that another module has defined, and request.jwt.claims, which pg_session_jwt
 * defines, are read by name and compared with what was seen before.
 *
 * Nothing here raises.  Called by source.c, keys.c, session.c, and whoever asks for a
 * setting.
 */
#include "clerk_pg.h"

#include "utils/guc.h"
#include "utils/memutils.h"

typedef struct Setting
{
	const char *name;
	const char *description; /* NULL: never ours to define */
	char *value;			 /* where we have defined it */
	bool ours;
	char *seen; /* what was there at the last poll, where we have not */
} Setting;

static Setting settings[CLERK_N_SETTINGS] = {
	[CLERK_SETTING_TOKEN] = {.name = "clerk.token",
							 .description = "Clerk session token of the current user."},
	[CLERK_SETTING_HEADERS] = {.name = "request.headers",
							   .description = "HTTP headers of the request, as JSON."},
	[CLERK_SETTING_JWT] = {.name = "request.jwt",
						   .description = "JSON Web Token of the request."},
	[CLERK_SETTING_COOKIES] = {.name = "request.cookies",
							   .description = "HTTP cookies of the request, as JSON."},
	[CLERK_SETTING_CLAIMS] = {.name = "request.jwt.claims"},
};

static bool trust_request_claims = false;
static char *anon_role = NULL;
static int max_cached_tokens = 1024;
static bool defined = false;

/* Never 0, so that 0 can stand for "never current"; the ticket as well. */
uint64 clerk_config_generation = 1;

/*
 * What an answer that a caller keeps was given under.  A new one whenever the generation
 * changes, and for each run of the executor (session.c), so that once per row a single
 * comparison is enough.
 */
uint64 clerk_config_ticket = 1;
static uint64 n_tickets = 1;

uint64
clerk_config_new_ticket(void)
{
	return clerk_config_ticket = ++n_tickets;
}

void
clerk_config_invalidate(void)
{
	clerk_config_generation++;
	clerk_config_new_ticket();
}

static void
assign_string(const char *newval, void *extra)
{
	clerk_config_invalidate();
}

static void
assign_bool(bool newval, void *extra)
{
	clerk_config_invalidate();
}

/* An answer must not outlive its transaction: a procedure may COMMIT within a statement. */
static void
end_of_transaction(XactEvent event, void *arg)
{
	clerk_config_invalidate();
}

/* By another module; what a SET left before anybody defined it is only a placeholder. */
static bool
is_taken(const char *name)
{
	const char *found = NULL;

	(void) GetConfigOptionByName(name, &found, true);
	return found != NULL && !(GetConfigOptionFlags(name, true) & GUC_CUSTOM_PLACEHOLDER);
}

/* GUC_NO_SHOW_ALL: SHOW ALL and pg_settings are no place for tokens. */
static void
define_setting(Setting *setting)
{
	if (setting->description == NULL || is_taken(setting->name))
		return;
	DefineCustomStringVariable(setting->name, setting->description, NULL, &setting->value,
							   NULL, PGC_USERSET, GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE,
							   NULL, assign_string, NULL);
	setting->ours = true;
}

/*
 * Not in a parallel operation, in which the value of a placeholder cannot be taken over;
 * the settings are then read by name until the operation has ended.
 */
static void
define_settings(void)
{
	if (defined || IsInParallelMode())
		return;
	for (int i = 0; i < CLERK_N_SETTINGS; i++)
		define_setting(&settings[i]);
	DefineCustomBoolVariable("clerk.trust_request_claims",
							 "Trust request.jwt.claims when a request carries no token, or "
							 "only a header's that has expired.",
							 "Whoever can set request.jwt.claims can then be anybody.",
							 &trust_request_claims, false, PGC_SUSET, 0, NULL,
							 assign_bool, NULL);
	DefineCustomStringVariable(
		"clerk.anon_role", "The role that PostgREST runs anonymous requests as.", NULL,
		&anon_role, "anon", PGC_SUSET, 0, NULL, assign_string, NULL);
	DefineCustomIntVariable("clerk.max_cached_tokens",
							"How many verified tokens a session remembers.",
							"Each takes 1 to 2 kB of memory.", &max_cached_tokens, 1024,
							1, 65536, PGC_SUSET, 0, NULL, NULL, NULL);
	MarkGUCPrefixReserved("clerk");
	defined = true;
	clerk_config_invalidate();
}

void
clerk_config_init(void)
{
	define_settings();
	RegisterXactCallback(end_of_transaction, NULL);
}

/* The setting's text, with NULL data for one that is unset or empty. */
ClerkSlice
clerk_config_setting(ClerkSetting setting)
{
	const char *value = settings[setting].ours
							? settings[setting].value
							: GetConfigOption(settings[setting].name, true, false);

	if (value == NULL || value[0] == '\0')
		return (ClerkSlice){NULL, 0};
	return (ClerkSlice){value, strlen(value)};
}

static void
poll_setting(ClerkSetting setting)
{
	Setting *polled = &settings[setting];
	const char *value = clerk_config_setting(setting).data;
	const char *seen = polled->seen;

	if ((value == NULL && seen == NULL) ||
		(value != NULL && seen != NULL && strcmp(value, seen) == 0))
		return;
	clerk_config_invalidate();
	if (seen != NULL)
		pfree(polled->seen);
	polled->seen = NULL;
	if (value != NULL)
		polled->seen = MemoryContextStrdup(TopMemoryContext, value);
}

/* Once per question to the door: bumps the generation where no hook could. */
void
clerk_config_poll(void)
{
	define_settings();
	for (int i = 0; i < CLERK_N_SETTINGS; i++)
	{
		if (!settings[i].ours)
			poll_setting(i);
	}
}

/*
 * Does the generation change by itself whenever the answer could?  request.jwt.claims
 * alone can only take an answer away, so that it is enough to look at it once a statement.
 */
bool
clerk_config_notices_changes(void)
{
	for (int i = 0; i < CLERK_N_SETTINGS; i++)
	{
		if (!settings[i].ours && i != CLERK_SETTING_CLAIMS)
			return false;
	}
	return !trust_request_claims;
}

/* False until defined: what a placeholder says was not checked for the right to set it. */
bool
clerk_config_trusts_claims(void)
{
	return trust_request_claims;
}

int
clerk_config_max_cached_tokens(void)
{
	return max_cached_tokens;
}

const char *
clerk_config_anon_role(void)
{
	return anon_role != NULL ? anon_role : "";
}
