/*
 * steps: what handlers do on the way of a call.  Each renders the refusal when it fails.
 */
#ifndef OCTROI_ROUTES_API_STEPS_H
#define OCTROI_ROUTES_API_STEPS_H

#include "routes/api/call.h"

/* A command of this kind that lives as long as the call; NULL, rendered, when memory is short. */
struct command *call_command(struct call *c, enum command_kind kind);
/* The last thing that a handler does: the command is submitted once it has returned, and finish renders the answer,
 * perhaps on another thread.  A refusal is rendered without it. */
void call_then(struct call *c, struct command *command, call_finish *finish);
/* Submits the command within the request's deadline.  False when it was refused, and rendered. */
bool call_submit(struct call *c, struct command *command);
/* A connection for reading; NULL when none came free, which is rendered then.  Give it back. */
struct db *call_reader(struct call *c);

/* Makes the caller's account on first sight (who may only read, makes none), and does what was due.  False when
 * there is no account then, and that is rendered. */
bool call_touch(struct call *c, const struct account_key *key);

/* The command is the caller's own: of its member, and with a request id of its own where it is a customer. */
void call_asks(const struct call *c, struct command *command);
/* What a read may answer, once the account is known: OK, FORBIDDEN to a member that was removed, or UNAVAILABLE.  Only
 * an account with a workspace has members, so others cost no statement. */
enum outcome call_may_read(const struct call *c, struct db *d, const struct account_key *key,
                           const struct reader_account *account);

/* Whether the caller may see and change what concerns the whole account: its owner and its managers, not
 * every member.  False, rendered, when it may not, or nobody can tell. */
bool call_may_manage(struct call *c);
/* The same, only told: -1, rendered, when nobody can tell. */
int call_manages(struct call *c, bool *manages);

/* A place among those that may wait for Stripe; false, rendered, when there is none, or the account has its share, or
 * there is no Stripe.  Leave it after true. */
bool call_enter_slow(struct call *c);
void call_leave_slow(struct call *c);

#endif
