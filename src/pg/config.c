/*
 * config.c
 *		The settings, and when one of them has changed.
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
 * request.method, request.headers, request.jwt and request.cookies are PostgREST's and
 * Supabase's; they are defined here so that an assign hook sees each change, by whatever SET,
 * rollback or RESET, and bumps the generation (ticket.c).  A row then costs a comparison instead of a look
 * at them.  One that another module has defined, and request.jwt.claims, which pg_session_jwt
 * defines, are read by name and compared with what was seen before.
 *
 * What a client has set counts, in the session or when it connected; what came from a file
 * or from ALTER ROLE or ALTER DATABASE does not, since it is nobody's request.  A check hook
 * notes with each value in which transaction it was set, and PostgreSQL brings the note back
 * together with the value, at the end of whatever savepoint or transaction.  A parallel
 * worker gets the values, but not the notes, so clerk.set_in_transaction takes them there.
 *
 * Nothing here raises.  Called by source.c, keys.c, session.c, and whoever asks for a
 * setting.
 */
#include "clerk_pg.h"

#include "access/parallel.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/memutils.h"

typedef struct Setting
{
	const char *name;
	const char *description; /* NULL: never ours to define */
	GucStringAssignHook assign;
	char *value;	/* where we have defined it */
	uint64 set_in;	/* which transaction, or one of the next two */
	bool ours;
	char *seen;		/* what was there at the last poll, where we have not */
	ClerkOrigin seen_origin;
} Setting;

/* Not by a client; and before the first transaction, the library or the worker was there. */
#define SET_BY_NOBODY 0
#define SET_BEFORE 1

static void assign_token(const char *newval, void *extra);
static void assign_method(const char *newval, void *extra);
static void assign_headers(const char *newval, void *extra);
static void assign_jwt(const char *newval, void *extra);
static void assign_cookies(const char *newval, void *extra);

static Setting settings[CLERK_N_SETTINGS] = {
	[CLERK_SETTING_TOKEN] = {.name = "clerk.token",
							 .description = "Clerk session token of the current user.",
							 .assign = assign_token},
	[CLERK_SETTING_METHOD] = {.name = "request.method",
							  .description = "HTTP method of the request.",
							  .assign = assign_method},
	[CLERK_SETTING_HEADERS] = {.name = "request.headers",
							   .description = "HTTP headers of the request, as JSON.",
							   .assign = assign_headers},
	[CLERK_SETTING_JWT] = {.name = "request.jwt",
						   .description = "JSON Web Token of the request.",
						   .assign = assign_jwt},
	[CLERK_SETTING_COOKIES] = {.name = "request.cookies",
							   .description = "HTTP cookies of the request, as JSON.",
							   .assign = assign_cookies},
	[CLERK_SETTING_CLAIMS] = {.name = "request.jwt.claims"},
};

static bool trust_request_claims = false;
static char *anon_role = NULL;
static int max_cached_tokens = 1024;
static bool defined = false;

/* The transactions of this session are counted, and so is the first value that is taken over. */
static uint64 transaction = SET_BEFORE + 1;
static bool takes_over_committed = false;

/* A bit for each setting, and one more; in a parallel worker, as it was in the leader. */
static int set_in_transaction = 0;
#define STARTED_BY_CITUS (1 << CLERK_N_SETTINGS)

/* The setting that is set to what it says already, and so keeps its origin. */
static const Setting *repeated = NULL;

static bool
is_name_of_citus(const char *name)
{
	return name != NULL && strncmp(name, "citus_", strlen("citus_")) == 0;
}

/*
 * Has another node of a Citus cluster connected, which uses the connection for whoever comes?
 * By the name that it gave then, which a RESET would bring back; what application_name says
 * now, anybody may have set, so that it cannot make a connection less than that.
 */
static bool
is_started_by_citus(void)
{
	static enum { UNKNOWN, NO, YES } started = UNKNOWN;

	if (IsParallelWorker())
		return (set_in_transaction & STARTED_BY_CITUS) != 0;
	if (started == UNKNOWN)
		started = is_name_of_citus(GetConfigOptionResetString("application_name")) ? YES : NO;
	return started == YES || is_name_of_citus(application_name);
}

/* PostgreSQL frees the note. */
static bool
check_setting(char **newval, void **extra, GucSource source)
{
	uint64 *set_in;

	if (!clerk_variable_is_clients(source))
		return true;
	set_in = CLERK_GUC_MALLOC(sizeof(uint64));
	if (set_in == NULL)
		return false;
	*set_in = repeated != NULL ? repeated->set_in : transaction;
	if (source < PGC_S_SESSION || takes_over_committed || InitializingParallelWorker)
		*set_in = SET_BEFORE;
	if (source >= PGC_S_SESSION)
		takes_over_committed = false;
	*extra = set_in;
	return true;
}

static void
note_setting(ClerkSetting setting, const void *extra)
{
	settings[setting].set_in = extra != NULL ? *(const uint64 *) extra : SET_BY_NOBODY;
	if (!IsParallelWorker())
	{
		if (settings[setting].set_in == transaction)
			set_in_transaction |= 1 << setting;
		else
			set_in_transaction &= ~(1 << setting);
	}
	clerk_ticket_invalidate();
}

static void
assign_token(const char *newval, void *extra)
{
	note_setting(CLERK_SETTING_TOKEN, extra);
}

static void
assign_method(const char *newval, void *extra)
{
	note_setting(CLERK_SETTING_METHOD, extra);
}

static void
assign_headers(const char *newval, void *extra)
{
	note_setting(CLERK_SETTING_HEADERS, extra);
}

static void
assign_jwt(const char *newval, void *extra)
{
	note_setting(CLERK_SETTING_JWT, extra);
}

static void
assign_cookies(const char *newval, void *extra)
{
	note_setting(CLERK_SETTING_COOKIES, extra);
}

static void
assign_string(const char *newval, void *extra)
{
	clerk_ticket_invalidate();
}

static void
assign_bool(bool newval, void *extra)
{
	clerk_ticket_invalidate();
}

/*
 * An answer must not outlive its transaction: a procedure may COMMIT within a statement.  What
 * was set in this one, and stays, is what was set before the next.
 */
static void
end_of_transaction(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_PRE_COMMIT && event != XACT_EVENT_PARALLEL_PRE_COMMIT &&
		event != XACT_EVENT_PRE_PREPARE)
	{
		transaction++;
		if (!IsParallelWorker())
			set_in_transaction = is_started_by_citus() ? STARTED_BY_CITUS : 0;
	}
	clerk_ticket_invalidate();
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
	takes_over_committed = clerk_variable_prepare(setting->name);
	DefineCustomStringVariable(setting->name, setting->description, NULL, &setting->value,
							   NULL, PGC_USERSET, GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE,
							   check_setting, setting->assign, NULL);
	takes_over_committed = false;
	setting->ours = true;
}

/*
 * PostgreSQL hands a parallel worker what the variables of its leader hold, if they do not
 * have the default.  No client can set this one: it is given a value of a higher source.
 */
static void
define_set_in_transaction(void)
{
	static const char *name = "clerk.set_in_transaction";

	DefineCustomIntVariable(name, "Which settings were set in this transaction.",
							"For parallel workers; cannot be set.", &set_in_transaction,
							0, 0, INT_MAX, PGC_SU_BACKEND,
							GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE,
							NULL, NULL, NULL);
	SetConfigOption(name, "0", PGC_SU_BACKEND, PGC_S_OVERRIDE);
	/* in the postmaster nobody has connected; the first transaction's end comes later */
	if (IsUnderPostmaster && is_started_by_citus())
		set_in_transaction = STARTED_BY_CITUS;
}

/* Those that say how this module works, and not what a request is. */
static void
define_options(void)
{
	(void) clerk_variable_prepare("clerk.trust_request_claims");
	DefineCustomBoolVariable("clerk.trust_request_claims",
							 "Trust request.jwt.claims when a request carries no token, or "
							 "only a header's that has expired.",
							 "Whoever can set request.jwt.claims can then be anybody.",
							 &trust_request_claims, false, PGC_SUSET, 0, NULL,
							 assign_bool, NULL);
	(void) clerk_variable_prepare("clerk.anon_role");
	DefineCustomStringVariable(
		"clerk.anon_role", "The role that PostgREST runs anonymous requests as.", NULL,
		&anon_role, "anon", PGC_SUSET, 0, NULL, assign_string, NULL);
	(void) clerk_variable_prepare("clerk.max_cached_tokens");
	DefineCustomIntVariable("clerk.max_cached_tokens",
							"How many verified tokens a session remembers.",
							"Each takes 1 to 2 kB of memory.", &max_cached_tokens, 1024,
							1, 65536, PGC_SUSET, 0, NULL, NULL, NULL);
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
	define_set_in_transaction();
	for (int i = 0; i < CLERK_N_SETTINGS; i++)
		define_setting(&settings[i]);
	define_options();
	MarkGUCPrefixReserved("clerk");
	defined = true;
	clerk_ticket_invalidate();
}

void
clerk_config_init(void)
{
	define_settings();
	RegisterXactCallback(end_of_transaction, NULL);
}

const char *
clerk_config_name(ClerkSetting setting)
{
	return settings[setting].name;
}

/*
 * From now on, setting is only set to what it says already, and that is no news: who gave it
 * that value remains who did.  Until the next call, with CLERK_N_SETTINGS for none.
 */
void
clerk_config_repeat(ClerkSetting setting)
{
	repeated = setting < CLERK_N_SETTINGS ? &settings[setting] : NULL;
}

/* Who has given one that we have defined its value? */
static ClerkOrigin
origin_of_ours(ClerkSetting setting)
{
	const Setting *read = &settings[setting];

	if (read->set_in == SET_BY_NOBODY)
		return CLERK_ORIGIN_DEFAULT;
	if (read->set_in == transaction)
		return CLERK_ORIGIN_TRANSACTION;
	/* what the leader has set, rather than a function in this worker by its SET */
	return IsParallelWorker() && (set_in_transaction & (1 << setting))
			   ? CLERK_ORIGIN_TRANSACTION
			   : CLERK_ORIGIN_SESSION;
}

/* The value, NULL if it is empty or there is none, and who has given it. */
static ClerkOrigin
read_setting(ClerkSetting setting, const char **value)
{
	const Setting *read = &settings[setting];
	ClerkOrigin origin;

	if (read->ours)
	{
		*value = read->value;
		origin = origin_of_ours(setting);
	}
	else
		origin = clerk_variable_read(read->name, value);
	if (*value != NULL && (*value)[0] == '\0')
		*value = NULL;
	return origin;
}

/* Who has given a setting its value?  It may be empty. */
ClerkOrigin
clerk_config_origin(ClerkSetting setting)
{
	const char *value;

	return read_setting(setting, &value);
}

/*
 * On a connection between nodes, what was set before this transaction is another user's.
 * Since when claims are there, a parallel worker cannot say; they only take away then.
 */
static bool
is_of_another_user(ClerkSetting setting, ClerkOrigin origin)
{
	if (setting == CLERK_SETTING_CLAIMS && IsParallelWorker())
		return false;
	return origin != CLERK_ORIGIN_TRANSACTION && is_started_by_citus();
}

/* The text, with NULL data for a setting that is empty, or has not been set by a client. */
ClerkSlice
clerk_config_setting(ClerkSetting setting)
{
	const char *value;
	ClerkOrigin origin = read_setting(setting, &value);

	if (value == NULL || origin == CLERK_ORIGIN_DEFAULT ||
		is_of_another_user(setting, origin))
		return (ClerkSlice){NULL, 0};
	return (ClerkSlice){value, strlen(value)};
}

/* Has somebody who hands over requests, as PostgREST does, handed one over? */
bool
clerk_config_is_request(void)
{
	for (ClerkSetting setting = CLERK_SETTING_METHOD; setting < CLERK_N_SETTINGS;
		 setting++)
	{
		if (clerk_config_setting(setting).data != NULL)
			return true;
	}
	return false;
}

static void
poll_setting(ClerkSetting setting)
{
	Setting *polled = &settings[setting];
	const char *value;
	ClerkOrigin origin = read_setting(setting, &value);
	const char *seen = polled->seen;

	if ((value == NULL && seen == NULL) ||
		(value != NULL && seen != NULL && origin == polled->seen_origin &&
		 strcmp(value, seen) == 0))
		return;
	clerk_ticket_invalidate();
	if (seen != NULL)
		pfree(polled->seen);
	polled->seen = NULL;
	if (value != NULL)
		polled->seen = MemoryContextStrdup(TopMemoryContext, value);
	polled->seen_origin = origin;
}

/* Once per question who is signed in: bumps the generation where no hook could. */
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
	return trust_request_claims &&
		   (!is_started_by_citus() ||
			clerk_config_origin(CLERK_SETTING_CLAIMS) == CLERK_ORIGIN_TRANSACTION);
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
