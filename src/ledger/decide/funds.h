/*
 * funds: what an account has, owes and may still promise.
 */
#ifndef OCTROI_LEDGER_DECIDE_FUNDS_H
#define OCTROI_LEDGER_DECIDE_FUNDS_H

#include "ledger/decide/decide.h"

/* A balance never leaves this range; guards refuse what would (funds_fit). */
#define FUNDS_BALANCE_MAX (2 * MONEY_AMOUNT_MAX_MICROS)

/* What the account may still promise: balance, less what is held, plus the hard limit if postpaid.
 * account NULL: 0. */
micros funds_available(const struct accounts_row *account);
/* What the account owes: what no grant has paid.  Beside an allowance there can be a debt that it does not pay. */
micros funds_debt(const struct slot *s);
/* Whether a balance moved by change stays in range. */
bool funds_fit(const struct accounts_row *account, micros change);
/* Balance and available after the command, into its answer. */
void funds_figures(const struct slot *s, struct answer *a);

#endif
