/*
 * usage: a provider's usage object, verbatim, to five disjoint token classes.  Which member includes which is the
 * provider's business, and is undone here; usage_members.def lists the members and where they are documented.
 *
 * Nothing that is counted is free, and nothing is counted twice:
 * - Spellings of one count must agree.  A part is never larger than its whole.
 * - The parts are held against the total.  The rest of a total that says more is output: xAI and Gemini's gateways
 *   count reasoning there only.  A total that says less is refused, but for the omissions that usage.c names.
 * - An unknown member that counts tokens is refused where no total covers it.
 * - null is absent.  An object in which nothing is counted is no usage.
 *
 * Searches, seconds and pages are not tokens, and are not read.  Pure.
 */
#ifndef OCTROI_PRICES_USAGE_H
#define OCTROI_PRICES_USAGE_H

#include "base/json.h"
#include "prices/price.h"

#define USAGE_FIELD_MAX 64

struct usage {
	struct tokens tokens;
	bool counted;  /* some token was */
	bool no_input; /* an output was, and nothing is said of an input, as in the last event of a stream */
	int64_t rest;  /* what the total says more than the members name; taken for output, and in its count */
	char field[USAGE_FIELD_MAX]; /* of a refusal */
};

/* 0, or -1 with u->field the name of what is wrong, "usage" for the object itself. */
int usage_read(const struct json *usage, struct usage *u);

#endif
