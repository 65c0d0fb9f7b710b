/*
 * diagnosis: the reason for an account's balance, and the remedy.  A diagnosis is one case of diagnosis_cases.def, the
 * steps of diagnosis_steps.def, each with whether it is done, and one next action.  Pure.
 */
#ifndef OCTROI_REPORTS_DIAGNOSIS_H
#define OCTROI_REPORTS_DIAGNOSIS_H

#include "base/buf.h"
#include "ledger/command.h"
#include "reports/wording.h"

#define DIAGNOSIS_TEXT_MAX 512

enum diagnosis_case {
#define CASE(NAME, name, action, condition, ...) DIAGNOSIS_##NAME,
#include "reports/diagnosis_cases.def"
#undef CASE
	DIAGNOSIS_CASES
};

/* The state of a card as far as octroi knows it, from the end of the newest charge.  CARD_NONE: there is no customer at
 * Stripe, or the customer has no card. */
enum diagnosis_card { CARD_UNKNOWN, CARD_NONE, CARD_VALID, CARD_DECLINED, CARD_EXPIRED };

/* The facts that decide the case.  A missing text is "", a missing time 0. */
struct diagnosis_facts {
	enum account_unit unit;
	enum account_mode mode;
	enum account_status status;
	micros balance_micros, held_micros, available_micros, hard_limit_micros, soft_limit_micros;
	micros used_micros;                  /* this month, in the account's time zone */
	micros stated_micros, unpaid_micros; /* of unsettled statements: their part of the debt; all of them */
	micros overdue_micros;               /* taken back of paid statements; included in unpaid_micros */
	int64_t statement_at_us;             /* the next statement */
	micros daily_limit_micros, monthly_limit_micros; /* the account's, or COMMAND_NO_LIMIT */
	/* A typical request is for the item used last, with the configured number of tokens; item "": any request. */
	enum price_kind item_kind;
	const char *item;
	micros typical_micros; /* 0: the customer's own key pays */
	/* The guard's verdict on the typical request; LIMIT_NONE: the request would pass. */
	enum limit_kind limit;
	bool of_member;      /* the limit is the member's own */
	bool member_removed; /* the member was removed, and gets no verdict */
	micros limit_micros, limit_used_micros;
	int64_t resets_at_us;
	bool on_plan;
	micros allowance_micros, allowance_left_micros; /* of this period */
	int64_t period_end_us;
	enum diagnosis_card card;
	const char *card_code, *invoice_url; /* Stripe's, of the newest failed charge */
	enum transaction_type paid_type;     /* of the last payment */
	micros paid_micros;
	int64_t paid_at_us;
};

/* The first case whose condition holds; the last case's always does. */
enum diagnosis_case diagnosis_case(const struct diagnosis_facts *f);

const char *diagnosis_name(enum diagnosis_case what);
void diagnosis_title(enum diagnosis_case what, const struct diagnosis_facts *f, const struct wording *w,
                     struct buf *out);
void diagnosis_explain(enum diagnosis_case what, const struct diagnosis_facts *f, const struct wording *w,
                       struct buf *out);

/* The next action; url "": there is no page for it. */
struct diagnosis_action {
	const char *name, *url;
};
struct diagnosis_action diagnosis_action(enum diagnosis_case what, const struct diagnosis_facts *f,
                                         const char *topup_url);
void diagnosis_advise(enum diagnosis_case what, const struct diagnosis_facts *f, const struct wording *w,
                      struct buf *out);

enum diagnosis_done { STEP_OPEN, STEP_DONE, STEP_UNKNOWN };
/* diagnosis_steps: the number of steps.  diagnosis_step: step i of the checklist; false: not one of the case. */
int diagnosis_steps(void);
struct diagnosis_step {
	const char *name;
	enum diagnosis_done done;
};
bool diagnosis_step(int i, enum diagnosis_case what, const struct diagnosis_facts *f, const struct wording *w,
                    struct diagnosis_step *step, struct buf *text);

const char *diagnosis_card_name(enum diagnosis_card card);

#endif
