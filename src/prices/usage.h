/*
 * usage: turns a provider's verbatim usage object into counts of disjoint dimensions.  Providers differ in which member
 * includes which; usage_read undoes that.  usage_members.def lists the members and their documentation.
 *
 * Nothing that is counted is free, and nothing is counted twice:
 * - Spellings of one count must agree.  A part is never larger than its whole.
 * - The parts are compared with the total.  The rest of a larger total is output: xAI and Gemini's gateways count
 *   reasoning there only.  A smaller total is refused, except for the omissions that usage.c names.
 * - An unknown member that counts tokens is refused where no total covers it.
 * - null counts as absent.  An object that counts nothing is no usage: counted stays false.
 *
 * Pure.
 */
#ifndef OCTROI_PRICES_USAGE_H
#define OCTROI_PRICES_USAGE_H

#include "base/json.h"
#include "prices/price.h"

#define USAGE_FIELD_MAX 64
#define USAGE_COST_PLACES 12

struct usage {
	struct counts counts;
	bool counted;                    /* something was counted */
	bool zero;                       /* the object counts tokens, and says that there were none */
	int tier;                        /* the service tier that the object says, or -1 */
	char variant[PRICE_VARIANT_MAX]; /* "" when the object says none */
	bool has_cost;                   /* the provider says what it charges */
	int64_t cost_pico;               /* that, in pico-dollars */
	bool no_input; /* output was counted, but no input or total is given, as in the last event of a stream */
	int64_t rest;  /* tokens of the total that no member names; included in the output */
	char field[USAGE_FIELD_MAX]; /* the wrong member, after a refusal */
};

/* 0, or -1 with the name of the wrong member in u->field ("usage": the object itself). */
int usage_read(const struct json *usage, struct usage *u);

#endif
