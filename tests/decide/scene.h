/*
 * scene: plays events against the deciding half of the ledger, with rows kept in memory instead of a
 * database.  An event is one line of text:
 *
 *     authorize a gpt in=500 out=100 rid=r1 -> OK amount=900 available=100
 *
 * verb, account, operands, options; after the arrow the outcome, and figures of the answer as far as they
 * matter.  Verbs are those of commands.def (give and take are transactions, account and member their
 * changes) and:
 *
 *     pass 600                      that many seconds pass; below zero, the clock steps back
 *     see a balance=5 grants=0,5    what the rows of an account say
 *     forget                        the price book loses all prices
 *     charge a debrief customer     with the word "customer", the customer asks itself, not the application
 *     code SPRING amount=5 uses=2   octroictl makes a code
 *     plan team scope=seat seat=30  octroictl sets a plan, from now on
 *     at 2026-03-28T12:00:00Z       it is that time now (not before)
 *
 * After every event the journal must be gap-free, chained, and sum to the balance, the grants must cover
 * it, and the held amount must be that of the open holds.
 *
 * A scene is played twice: each event a batch of its own, then as many events in one batch as share a
 * moment.  What is combined must be decided as if it came one by one.
 */
#ifndef OCTROI_TESTS_DECIDE_SCENE_H
#define OCTROI_TESTS_DECIDE_SCENE_H

#include <stdbool.h>
#include <stddef.h>

#include "ledger/decide/decide.h"

struct scene_rules {
	bool capture_expired;
	bool actions_need_prices;
	int64_t holds_max, orders_open_max; /* 0: plenty */
	int64_t statement_min, grace_days;
	int64_t low_balance;     /* of money accounts; 0: no threshold */
	int64_t outage_grace;    /* for an hour; 0: none */
	const char *topup_bonus; /* NULL: none */
	enum plan_upgrade plan_upgrade;
	enum plan_free_periods plan_free_periods;
};

/* Fails the test at the first line that does not come true. */
void scene_play(const struct scene_rules *rules, const char *const *lines, size_t count);

/* Whether any scene so far made this command end so. */
bool scene_seen(enum command_kind kind, enum outcome outcome);

#define PLAY(rules, lines) scene_play((rules), (lines), sizeof(lines) / sizeof((lines)[0]))

#endif
