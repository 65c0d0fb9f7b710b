/*
 * use: the counts of holds and usages, as their prices take them.
 */
#ifndef OCTROI_LEDGER_DECIDE_USE_H
#define OCTROI_LEDGER_DECIDE_USE_H

#include "ledger/decide/decide.h"

/* The bounds of a request for the model: its tokens and the given counts.  Where the price has no tokens, the tokens do
 * not bound it; if the given counts cost nothing, or have no price, the estimate does. */
struct counts use_bounds(const struct counts *estimate, const struct price *p, int64_t input_tokens,
                         int64_t output_tokens, const struct counts *given);
/* The bounds of the hold with that output. */
struct counts use_of_hold(const struct price *p, const struct holds_row *h, int64_t output_tokens);
/* The counts of the usage. */
struct counts use_of_usage(const struct usages_row *u);

/* The text of the counts that have no column in a usage, in the batch's memory. */
const char *use_text(struct decide *d, const struct counts *c);

/* The cost and what it rests on. */
struct use_cost {
	micros cost_micros;
	bool incomplete, bound; /* bound: it is the hold's reservation, or at least that */
};
/* The cost of a use of the hold's model.  Where something was counted it is never 0, but for a free model: at least
 * what was reserved, or the least that such a request uses.  False when it is out of range. */
bool use_cost(const struct price *p, enum account_unit unit, const struct price_use *use, micros reserved_micros,
              struct use_cost *cost) __attribute__((warn_unused_result));

/* The policy on the cost that the provider reports. */
enum use_policy { USE_IGNORE, USE_PREFER, USE_MAX };
enum use_policy use_policy(const struct decide *d, const char *provider);

#endif
