/*
 * steps: common steps of handlers.  Each but call_may_read renders the refusal when it fails.
 */
#ifndef OCTROI_ROUTES_API_STEPS_H
#define OCTROI_ROUTES_API_STEPS_H

#include "routes/api/call.h"

/* The key of the call's account, which is known. */
struct account_key call_account_key(const struct call *c);
/* A command of this kind that lives as long as the call; NULL, rendered, when memory is short. */
struct command *call_command(struct call *c, enum command_kind kind);
/* The last step of a handler.  The command is submitted once the handler has returned, and finish renders the answer,
 * perhaps on another thread.  A refusal is rendered without finish. */
void call_then(struct call *c, struct command *command, call_finish *finish);
/* Submits the command within the request's deadline.  False when it was refused, and rendered. */
bool call_submit(struct call *c, struct command *command);
/* A connection for reading, to be given back; NULL, rendered, when none came free. */
struct db *call_reader(struct call *c);

/* Makes the caller's account on first sight, and does its due work.  A caller that may only read (SCOPE_REPORT) makes
 * none.  False, rendered, when there is no account then. */
bool call_touch(struct call *c, const struct account_key *key);

/* Makes the command the caller's own: of its member, and for a customer with request ids of its own. */
void call_asks(const struct call *c, struct command *command);
/* The outcome of a read, once the account is known: OK, FORBIDDEN to a member that was removed, or UNAVAILABLE.  Only
 * an account with a workspace has members, so other accounts cost no statement. */
enum outcome call_may_read(const struct call *c, struct db *d, const struct account_key *key,
                           const struct reader_account *account);

/* Whether the caller may see and change settings of the whole account: its owner and its managers may, other
 * members may not.  False, rendered, when it may not, or the database does not answer. */
bool call_may_manage(struct call *c);
/* Asks as call_may_manage does, but refuses nobody.  0, or -1, rendered, when the database does not answer. */
int call_manages(struct call *c, bool *manages);

/* Takes a place among the handlers that may wait for Stripe.  False, rendered, when there is none, or the account has
 * its share, or Stripe is not set up.  After true, call_leave_slow. */
bool call_enter_slow(struct call *c);
void call_leave_slow(struct call *c);

#endif
