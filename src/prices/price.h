/*
 * price: the cost of a model or an action.  A price is unsigned: a debit can never credit.  Pure.
 *
 * A model's price is held as the provider lists it, in pico-dollars per token (10^-12).  Beside it
 * are the terms of its version: margin, exchange rate, value of a credit.  One 128-bit computation
 * combines them, and rounds up once, to a micro.  Tiers: the whole input of a request chooses the
 * highest tier whose above_tokens it exceeds.  That tier prices all of the request, output included
 * (LiteLLM, llm_cost_calc/utils.py).
 */
#ifndef OCTROI_PRICES_PRICE_H
#define OCTROI_PRICES_PRICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/money.h"

#define PRICE_ITEM_MAX 160 /* bytes of a model's or action's name */
#define PRICE_PROVIDER_MAX 64
#define PRICE_TIERS_MAX 8
#define PRICE_TOKENS_MAX INT64_C(1000000000)  /* per class and request */
#define PRICE_PICO_MAX INT64_C(1000000000000) /* one dollar per token */

enum price_class {
	PRICE_INPUT,
	PRICE_CACHE_READ,
	PRICE_CACHE_WRITE,
	PRICE_CACHE_WRITE_1H,
	PRICE_OUTPUT,
	PRICE_CLASSES
};

struct tokens {
	int64_t count[PRICE_CLASSES]; /* disjoint: no token is in two classes */
};

#define PRICE_MARGIN_MAX_PPM INT64_C(1000000000)  /* a thousandfold */
#define PRICE_RATE_MAX_PPM INT64_C(1000000000000) /* of the rate, and of a credit's value */

struct price_terms { /* all times 10^6, all > 0 */
	int64_t margin_ppm;
	int64_t rate_ppm;         /* dollars per unit of currency */
	int64_t credit_value_ppm; /* units of currency per credit */
};

struct price_tier {
	int64_t above_tokens; /* 0 for the base tier, which comes first; ascending */
	int64_t pico[PRICE_CLASSES];
};

enum price_kind { PRICE_MODEL, PRICE_ACTION };
enum account_unit { UNIT_MONEY, UNIT_CREDIT };
/* "money", "credit"; "": there is no such unit.  -1: no unit has that name. */
const char *price_unit_name(int64_t unit);
int price_unit_named(const char *name);

struct price {
	enum price_kind kind;
	char item[PRICE_ITEM_MAX];
	char provider[PRICE_PROVIDER_MAX]; /* "" for actions */
	int64_t version;
	int64_t starts_at_us;
	struct price_terms terms;
	micros credits_micros; /* of one action */
	int tier_count;        /* 1..PRICE_TIERS_MAX for models */
	struct price_tier tier[PRICE_TIERS_MAX];
};

/* A name of a model, an action or a provider: at least one character, shorter than max bytes, no
 * control characters, no blank at either end (the database does not tell such names apart). */
bool price_name_valid(const char *name, size_t max);

/* True if the price may be used: a name, terms above zero, tiers ascending from 0, every figure
 * between 0 and its maximum.  Prices that are read from the database or a file are checked here. */
bool price_valid(const struct price *p);

/* The cost in micros of the unit.  False when a count is negative or over PRICE_TOKENS_MAX, or the
 * result is over MONEY_AMOUNT_MAX_MICROS.  kind must be PRICE_MODEL. */
bool price_of_tokens(const struct price *p, enum account_unit unit, const struct tokens *t,
                     micros *cost) __attribute__((warn_unused_result));

/* True if an input token costs more than an output token, as for models that only embed.  Compares
 * the base tier only. */
bool price_input_is_dearer(const struct price *p);

/* The cost of quantity (>= 1) actions, as price_of_tokens; kind must be PRICE_ACTION.  Money accounts
 * pay credits x credit_value, rounded up. */
bool price_of_action(const struct price *p, enum account_unit unit, int64_t quantity, micros *cost)
	__attribute__((warn_unused_result));

/* The largest number of output tokens, at most wanted, that available pays for beside the input; -1
 * when available does not pay for the input. */
int64_t price_fit_output(const struct price *p, enum account_unit unit, int64_t input_tokens,
                         int64_t wanted, micros available);

/* price_write_tiers appends a model's tiers to out as the database keeps them (prices.tiers).
 * price_read_tiers reads them back: 0, or -1 when the text is not exactly in that form. */
void price_write_tiers(const struct price *p, struct buf *out);
int price_read_tiers(struct price *p, const char *text, size_t length);

#endif
