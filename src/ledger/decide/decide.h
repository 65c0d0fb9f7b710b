/*
 * decide: from a command and the rows it may see to an outcome and changed rows.  Pure: no I/O, no clock,
 * no memory but the batch's arena, no state.  The style tests check the object files for that.
 *
 * Every decide_<command> has the same shape.  Guards come first: each has a named outcome and changes nothing.  A
 * line follows after which the command must succeed.  Effects (effects.h) come last.
 */
#ifndef OCTROI_LEDGER_DECIDE_DECIDE_H
#define OCTROI_LEDGER_DECIDE_DECIDE_H

#include "ledger/command.h"
#include "ledger/rows/rows.h"
#include "ledger/terms.h"
#include "prices/book.h"

struct decide {
	struct rows *rows;
	const struct book *book;
	int64_t now_us; /* the database's clock, read after the accounts were locked */
	int64_t holds_max, orders_open_max;
	bool capture_expired;
	micros action_price_micros;
	struct price_terms terms;
	struct terms_use use;
	struct terms_billing billing;
	struct terms_grace grace;
};

/* NEEDS_<NAME>, to be combined: needs.def. */
enum need {
#define NEED(NAME) NEED_##NAME,
#include "ledger/needs.def"
#undef NEED
	NEED_COUNT
};
enum needs {
#define NEED(NAME) NEEDS_##NAME = 1 << NEED_##NAME,
#include "ledger/needs.def"
#undef NEED
	NEEDS_NOTHING = 0
};
_Static_assert(NEED_COUNT <= 16, "NEEDS_OBJECT uses the bits above");

/* The row of table TABLE_<NAME> that object_id names. */
#define NEEDS_OBJECT(NAME) (TABLE_##NAME << 16)
#define NEEDS_OBJECT_TABLE(needs) ((needs) >> 16)

/* The needs of the command: the rows that prefetch must load for it. */
int decide_needs(enum command_kind kind);

/* Decides the command: due events first, then a stored answer to its request id, then the command itself. */
void decide(struct decide *d, struct slot *s, struct command *c);

/* Expires the account's holds and grants that are due, in the order of their times. */
void decide_refresh(struct decide *d, struct slot *s);

#define COMMAND(NAME, name, needs) void decide_##name(struct decide *d, struct slot *s, struct command *c);
#include "ledger/commands.def"
#undef COMMAND

#endif
