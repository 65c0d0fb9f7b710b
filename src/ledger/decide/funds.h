/*
 * funds: the balance, the debt and the available amount of an account.
 */
#ifndef OCTROI_LEDGER_DECIDE_FUNDS_H
#define OCTROI_LEDGER_DECIDE_FUNDS_H

#include "ledger/decide/decide.h"

/* A balance never leaves the range from -FUNDS_BALANCE_MAX to FUNDS_BALANCE_MAX; guards check that (funds_fit). */
#define FUNDS_BALANCE_MAX (2 * MONEY_AMOUNT_MAX_MICROS)

/* The amount that an account may still promise: balance, less held_micros, plus the hard limit if postpaid. */
micros funds_promisable(micros balance_micros, micros held_micros, bool postpaid, micros hard_limit_micros);
/* The amount that this account may still promise.  account NULL: 0. */
micros funds_available(const struct accounts_row *account);
/* The debt: amounts that no grant has paid.  Beside an allowance there can be arrears, a debt that the allowance does
 * not pay. */
micros funds_owed(micros balance_micros, micros arrears_micros);
/* The debt of the account. */
micros funds_debt(const struct slot *s);
/* True if a balance moved by change stays in range. */
bool funds_fit(const struct accounts_row *account, micros change);
/* Writes balance and available after the command into its answer. */
void funds_figures(const struct slot *s, struct answer *a);

#endif
