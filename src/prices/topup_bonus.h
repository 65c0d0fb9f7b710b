/*
 * topup_bonus: the credits that a large top-up gets beside those that it buys, in tiers by amount.  Pure.
 */
#ifndef OCTROI_PRICES_TOPUP_BONUS_H
#define OCTROI_PRICES_TOPUP_BONUS_H

#include <stdint.h>

#include "base/money.h"

#define TOPUP_BONUS_TIERS_MAX 8
#define TOPUP_BONUS_AMOUNT_MAX INT64_C(99999999) /* cents, as topup_max */
#define TOPUP_BONUS_PERCENT_MAX 100

/* In rising order of amount.  The last tier whose amount is reached counts; count 0: no bonus. */
struct topup_bonus {
	struct topup_bonus_tier {
		int64_t amount; /* cents */
		int64_t percent;
	} tiers[TOPUP_BONUS_TIERS_MAX];
	int count;
};

/* Reads "5000:5%, 10000:10%"; "" is no tier.  Returns 0, or -1 if the text is in another form, an amount does not rise,
 * or a number is out of bounds. */
int topup_bonus_read(struct topup_bonus *b, const char *text);
/* The bonus of a top-up of that money, which buys credits: the percentage of the credits, rounded down. */
micros topup_bonus_of(const struct topup_bonus *b, micros money, micros credits);

#endif
