/*
 * current_grant: the grant that an account spends now, of which the account's row has a copy.  It is the first in the
 * order of spending of which something remains.  A settlement that it pays reads and writes no row of grants.  The rest
 * of the current grant is that of the copy.  Its row in grants lags behind until another grant becomes current, but is
 * never 0 before that, because readers look for grants with a rest.
 * accounts.current_grant_seq is 0 if the grants must be read to know, and CURRENT_GRANT_NONE if nothing remains of any.
 * A batch's rows belong to the leader's thread.
 */
#ifndef OCTROI_LEDGER_ROWS_CURRENT_GRANT_H
#define OCTROI_LEDGER_ROWS_CURRENT_GRANT_H

#include <stdbool.h>

#include "ledger/rows/rows.h"

#define CURRENT_GRANT_NONE (-1)

/* True if the copy does not tell all grants of which something remains, so that their rows are to be read. */
bool current_grant_needs_rows(const struct accounts_row *account);
/* Puts the copy among the loaded grants of the slot.  False when memory is short. */
bool current_grant_load(struct rows *r, struct slot *s);
/* Makes the copy true again after the batch has changed grants, before rows are written. */
void current_grant_note(struct rows *r, struct slot *s);

/* The true rest of a row of grants.  Readers with SQL have GRANT_SQL_REMAINING for it. */
micros current_grant_remaining(const struct accounts_row *account, const struct grants_row *g);

#endif
