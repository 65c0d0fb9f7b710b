/*
 * decide: from a command and the rows it may see to an outcome and changed rows.  Pure: no I/O, no clock,
 * no memory but the batch's arena, no state; the style tests hold the object files to it.
 *
 * Every decide_<command> has the same shape: guards, each a named outcome, that change nothing; then a
 * line after which the command must succeed; then effects (effects.h).
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
	struct terms_billing billing;
};

#define NEEDS_GRANTS 1
#define NEEDS_HOLD 2
#define NEEDS_PROFILE 4
#define NEEDS_MEMBER 8
#define NEEDS_BILLING 16
#define NEEDS_TOPUP 32
#define NEEDS_PAYMENT 64
#define NEEDS_SIGNUP 128
#define NEEDS_CLAIMS 256
#define NEEDS_CODE 512
/* The account that referred this one, locked with its grants as if the command concerned both. */
#define NEEDS_REFERRER 1024
/* The account that refer.referrer names, likewise: a payment may follow in the same batch. */
#define NEEDS_NAMED_REFERRER 2048
/* The statement that statement_seq names. */
#define NEEDS_STATEMENT 4096
/* All members of the account. */
#define NEEDS_MEMBERS 8192
/* The period that topup_seq names, and those that run. */
#define NEEDS_PERIOD 32768
/* The row of table TABLE_<NAME> that object_id names. */
#define NEEDS_OBJECT(NAME) (TABLE_##NAME << 16)
#define NEEDS_OBJECT_TABLE(needs) ((needs) >> 16)

/* What prefetch must load for such a command. */
int decide_needs(enum command_kind kind);

/* Decides the command: what is due first, then a stored answer to its request id, then itself. */
void decide(struct decide *d, struct slot *s, struct command *c);

/* Expires the account's holds and grants that are due, in the order of their times. */
void decide_refresh(struct decide *d, struct slot *s);

#define COMMAND(NAME, name, needs) void decide_##name(struct decide *d, struct slot *s, struct command *c);
#include "ledger/commands.def"
#undef COMMAND

#endif
