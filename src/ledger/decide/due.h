/*
 * due: work for later: the ledger's, when it next looks at the account, or outside work, which src/worker does.
 */
#ifndef OCTROI_LEDGER_DECIDE_DUE_H
#define OCTROI_LEDGER_DECIDE_DUE_H

#include "ledger/decide/decide.h"

#define DUE_NEVER INT64_MAX

/* Notes that an event of the account falls due at at_us; 0: none.  due_note_hold: the expiry of an open hold.  That has
 * a column of its own, without an index, so that a hold that is settled in time changes no index. */
void due_note(struct accounts_row *account, int64_t at_us);
void due_note_hold(struct accounts_row *account, int64_t at_us);
/* A lower bound of the next event of the account; DUE_NEVER: none. */
int64_t due_next_us(const struct accounts_row *account);
/* Adds outside work, for at_us or later, to the outbox of an account with a workspace. */
void due_post(struct decide *d, struct slot *s, struct workspaces_row *w, enum outbox_kind kind, int64_t subject_seq,
              int64_t at_us);
/* Adds the task of a due recharge, for at_us or later; number: unique in the account.  No workspace is needed. */
void due_post_recharge(struct decide *d, struct slot *s, int64_t number, int64_t at_us);

#endif
