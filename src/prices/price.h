/*
 * price: the cost of a use of a model, or of an action.  A price is unsigned: a debit can never credit.  Pure.
 *
 * A model's price is a list of lines as the provider lists them.  Beside it are the terms of its version: margin,
 * exchange rate, value of a credit.  One 128-bit computation combines counts, lines and terms, and rounds up once, to a
 * micro.  The tokens of the whole input side choose the threshold of each line (LiteLLM, llm_cost_calc/utils.py).
 *
 * A use without a price of its own is never free.  Another service tier's or variant's price stands in, the dearest
 * one; or the price of another dimension (dimensions.def); or the dearest of its side.  The charge is incomplete then,
 * except where providers themselves charge so.
 */
#ifndef OCTROI_PRICES_PRICE_H
#define OCTROI_PRICES_PRICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/money.h"
#include "prices/counts.h"

#define PRICE_ITEM_MAX 160 /* bytes of a model's or action's name */
#define PRICE_PROVIDER_MAX 64
#define PRICE_VARIANT_MAX 48
#define PRICE_LINES_MAX 128
#define PRICE_SCALE_MAX 18
#define PRICE_DOLLARS_MAX INT64_C(1000) /* of one unit of a dimension */

#define PRICE_MARGIN_MAX_PPM INT64_C(1000000000)  /* a thousandfold */
#define PRICE_RATE_MAX_PPM INT64_C(1000000000000) /* of the rate, and of a credit's value */

struct price_terms { /* all times 10^6, all > 0 */
	int64_t margin_ppm;
	int64_t rate_ppm;         /* dollars per unit of currency */
	int64_t credit_value_ppm; /* units of currency per credit */
};

/* mantissa x 10^-scale dollars for one unit of the dimension. */
struct price_line {
	enum dimension dimension;
	enum service_tier tier;
	int64_t above_tokens;            /* 0: from the first token on */
	char variant[PRICE_VARIANT_MAX]; /* "": any that has no line of its own */
	int64_t mantissa;
	int scale;
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
	int line_count;        /* 1..PRICE_LINES_MAX for models */
	/* In the order of price_sort.  They belong to the owner of the price. */
	const struct price_line *lines;
};

/* The use that is charged: counts in one service tier, of one variant ("": none). */
struct price_use {
	const struct counts *counts;
	enum service_tier tier;
	const char *variant;
};

struct price_charge {
	micros cost_micros;
	bool incomplete; /* another price stands in for one that is not listed */
	bool unpriced;   /* a count has no price of its kind; cost_micros leaves it out.  incomplete is set too. */
};

/* A part of a charge.  cost_micros is rounded down. */
struct price_part {
	enum dimension dimension;
	int64_t count;
	const struct price_line *line; /* NULL: no price of its kind */
	bool incomplete;
	micros cost_micros;
};

/* A name of a model, an action or a provider: at least one character, shorter than max bytes, no
 * control characters, no blank at either end (the database does not tell such names apart). */
bool price_name_valid(const char *name, size_t max);
/* A variant: printable ASCII without blanks, quotes and backslashes; perhaps "". */
bool price_variant_valid(const char *variant);

/* Puts lines into the order of dimension, tier, variant and threshold. */
void price_sort(struct price_line *lines, int count);
/* True if the price may be used: a name, terms above zero, lines in order, no two alike, every figure between 0 and its
 * maximum.  Prices that are read from the database or a file are checked here. */
bool price_valid(const struct price *p);

/* The charge of a use.  False when a count is out of range, or the result is over MONEY_AMOUNT_MAX_MICROS.  kind must
 * be PRICE_MODEL. */
bool price_of_use(const struct price *p, enum account_unit unit, const struct price_use *use,
                  struct price_charge *charge) __attribute__((warn_unused_result));
/* The parts of the charge, one for each count that is not left out; their number.  What they lack to the charge is its
 * rounding.  Only after price_of_use was true for it. */
int price_parts(const struct price *p, enum account_unit unit, const struct price_use *use,
                struct price_part parts[DIMENSION_COUNT]);

/* True if the model has a line of the dimension; price_has_tokens: one above 0 of any
 * dimension of tokens. */
bool price_lists(const struct price *p, enum dimension d);
bool price_has_tokens(const struct price *p);
/* The line that a count of the dimension is charged by beside so many tokens of input, perhaps a stand-in; NULL if
 * there is none. */
const struct price_line *price_line_of(const struct price *p, enum dimension d, enum service_tier tier,
                                       const char *variant, int64_t input_tokens);
/* True if every line is 0: a price that a person has set so. */
bool price_is_free(const struct price *p);
/* Adds counts of tokens beyond the columns of a usage to the columns that stand in for them, where the price (NULL:
 * any) does not tell them apart: the charge is the same. */
void price_fold(const struct price *p, struct counts *c);
/* The amount of dollars that a provider itself charges, at the price's terms; false as price_of_use. */
bool price_of_dollars(const struct price *p, enum account_unit unit, int64_t pico, micros *cost)
	__attribute__((warn_unused_result));

/* The price of one of the line's dimension in the unit, times 10^12, rounded half up; false when it is too large. */
bool price_unit_pico(const struct price *p, enum account_unit unit, const struct price_line *line, int64_t *pico)
	__attribute__((warn_unused_result));

/* True if a token of input costs more than a token of output in the standard tier, below every threshold. */
bool price_input_is_dearer(const struct price *p);

/* The cost of quantity (>= 1) actions; false as price_of_use; kind must be PRICE_ACTION.  Money accounts pay credits x
 * credit_value, rounded up. */
bool price_of_action(const struct price *p, enum account_unit unit, int64_t quantity, micros *cost)
	__attribute__((warn_unused_result));

/* The largest number of output tokens, at most wanted, that available pays for beside the other counts of the use; -1
 * when available does not pay for these.  The use's own output tokens are not looked at. */
int64_t price_fit_output(const struct price *p, enum account_unit unit, const struct price_use *use, int64_t wanted,
                         micros available);

/* price_write_lines appends a model's lines to out as the database keeps them (prices.price_lines).  price_read_lines
 * reads them back into lines: their number, or -1 when the text is not exactly in that form. */
void price_write_lines(const struct price *p, struct buf *out);
int price_read_lines(const char *text, size_t length, struct price_line lines[PRICE_LINES_MAX]);
/* Reads the lines of a version before schema version 4 (prices.tiers), as price_read_lines does. */
int price_read_tiers(const char *text, size_t length, struct price_line lines[PRICE_LINES_MAX]);

/* Reads a decimal of dollars for 10^shift units into the line, exactly; digits beyond PRICE_SCALE_MAX are rounded if
 * round.  0, or -1 if it is no such decimal, negative, or over PRICE_DOLLARS_MAX for a unit. */
int price_read_dollars(const char *text, size_t length, int shift, bool round, struct price_line *line);
/* Adds the line's price as a decimal of dollars times 10^shift: 6 for a price of a million. */
void price_put_dollars(struct buf *out, const struct price_line *line, int shift);

#endif
