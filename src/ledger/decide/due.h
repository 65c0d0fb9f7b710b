/*
 * due: what is to be done later: by the ledger, when it next looks at the account, or outside, by src/worker.
 */
#ifndef OCTROI_LEDGER_DECIDE_DUE_H
#define OCTROI_LEDGER_DECIDE_DUE_H

#include "ledger/decide/decide.h"

#define DUE_NEVER INT64_MAX

/* Something of the account falls due then. */
void due_note(struct accounts_row *account, int64_t at_us);
/* Something of an account with a workspace is to be done outside, from at_us on. */
void due_post(struct decide *d, struct slot *s, struct workspaces_row *w, enum outbox_kind kind,
                  int64_t subject_seq, int64_t at_us);

#endif
