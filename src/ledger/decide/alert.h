/*
 * alert: tells once that something happened to an account, in the transaction in which it happens (table alerts).  A
 * threshold of the balance is armed under a number, and fires at most once under it.  It is armed again, under the next
 * number, when the balance is above 1.2 times the threshold, or credits are given.  The column accounts.alerts keeps
 * the state.  So a command that crosses nothing reads and writes no row for alerts.  Pure; changes rows as effects do.
 */
#ifndef OCTROI_LEDGER_DECIDE_ALERT_H
#define OCTROI_LEDGER_DECIDE_ALERT_H

#include "ledger/decide/decide.h"

/* An alert, as the row has it.  limit and member: of LIMIT_REACHED; member "": the limit is the account's own. */
struct alert_what {
	enum alert_kind kind;
	micros threshold_micros, amount_micros;
	enum limit_kind limit;
	const char *member;
	int64_t days, expires_at_us; /* of GRANT_EXPIRING */
	int64_t percent;             /* of BALANCE_LOW: of the plan's credits are used */
};
/* Adds the alert, under a number of its own.  The account is there. */
void alert_post(struct decide *d, struct slot *s, const struct alert_what *what);

/* The state of an account from which alerts follow when it changes. */
struct alert_before {
	int64_t status, grant_seq, period_start_us, soft_alert_at_us;
	micros balance_micros;
	const char *plan; /* "": none */
};
void alert_look(const struct slot *s, struct alert_before *before);
/* Adds the alerts that follow from the change since alert_look, and arms or disarms thresholds. */
void alert_follow(struct decide *d, struct slot *s, const struct alert_before *before);

/* Adds LIMIT_REACHED if the use of a window has risen from used to the limit.  limit_micros COMMAND_NO_LIMIT: none. */
void alert_limit(struct decide *d, struct slot *s, const struct alert_what *limit, micros used, micros now_used);

/* The threshold of auto-recharge (recharge_row.h), which has fired as long as a task of the worker's or a pending order
 * stands for it.  below 0: none.  arm: armed anew, and fired at once if the balance is below it, with a task for at_us
 * or now.  rest: fired, and no task.  fire: a task now.  number: of the task, 0 where it has not fired. */
void alert_recharge_arm(struct decide *d, struct slot *s, micros below, int64_t at_us);
void alert_recharge_rest(struct decide *d, struct slot *s, micros below);
void alert_recharge_fire(struct decide *d, struct slot *s, micros below);
int64_t alert_recharge_number(const char *text);

/* Adds GRANT_EXPIRING, so many days before the rest of the grant expires: once each. */
void alert_grant(struct decide *d, struct slot *s, const struct grants_row *g, int64_t days);

/* Sets the account's own thresholds; count < 0: those of the configuration. */
void alert_set_thresholds(struct decide *d, struct slot *s, const micros *thresholds, int count);
/* Sets the percentages of a plan's credits.  One that is reached already fires in the next period. */
void alert_set_percents(struct decide *d, struct slot *s, const int64_t *percents, int count);
/* Reads the percentages out of accounts.alerts.  Returns their number. */
int alert_percents(const char *text, int64_t out[ALERT_PERCENTS_MAX]);
/* Reads the thresholds out of accounts.alerts into out.  standard_micros: the configured one, 0 for none.  Returns
 * their number; *standard: they are not the account's own. */
int alert_thresholds(const char *text, micros standard_micros, micros out[ALERT_THRESHOLDS_MAX], bool *standard);

#endif
