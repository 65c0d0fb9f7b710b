/*
 * pay: charges now the amount that an account owes: because its month's charge was declined, or because its owner wants
 * to spend again before the month ends.  An amount that is stated already is charged as it stands.  So a request that
 * was cut off can be repeated, and pays nothing twice.
 */
#include <string.h>

#include "base/clock.h"
#include "routes/api/call.h"
#include "routes/api/parse.h"
#include "routes/api/render.h"
#include "routes/api/steps.h"
#include "routes/routes.h"
#include "worker/charge.h"

#define STATEMENTS_MAX 24
/* After the last charge there must be time to answer. */
#define ANSWER_US CLOCK_US_PER_SECOND

struct payment {
	struct account_key key;
	int64_t seqs[STATEMENTS_MAX];
	micros paid[STATEMENTS_MAX]; /* 0: nothing of it was owed any more */
	int count;
};

static bool submit_payment(struct call *c, const struct payment *p, struct command *command, enum command_kind kind)
{
	*command = (struct command){.kind = kind, .account = p->key, .account_id = c->account, .member = ""};
	return call_submit(c, command);
}

/* States the amount owed now, and finds all statements that are not settled. */
static bool find_statements(struct call *c, struct payment *p)
{
	struct command command;
	struct db *d;

	if (!submit_payment(c, p, &command, COMMAND_STATEMENT))
		return false;
	d = call_reader(c);
	if (d == NULL)
		return false;
	p->count = statements_unsettled(d, &p->key, p->seqs, STATEMENTS_MAX);
	pool_give(c->readers, d);
	if (p->count < 0)
		render_outcome(c, OUTCOME_UNAVAILABLE);
	return p->count >= 0;
}

static void answer_declined(struct call *c, const struct charge_result *r)
{
	const struct refusal refusal = {
		.outcome = OUTCOME_PAYMENT_DECLINED, .code = r->code, .invoice_url = r->invoice_url};

	render_refusal(c, &refusal);
}

static void answer_failed(struct call *c, const struct charge_result *r)
{
	if (r->end == CHARGE_LATER)
		render_said(c, OUTCOME_UNAVAILABLE, NULL, SENTENCE_TRY_PAYING_AGAIN);
	else
		render_said(c, OUTCOME_UNAVAILABLE, NULL, SENTENCE_PAYMENT_UNCLEAR);
}

static bool charge_all(struct call *c, struct payment *p)
{
	const struct charge_options options = {
		.ledger = c->ledger,
		.readers = c->readers,
		.stripe = c->stripe,
		.product = c->config->topup_product,
	};
	struct charge_result r;

	for (int i = 0; i < p->count; i++) {
		charge_statement(&options, &p->key, c->account, p->seqs[i], c->request->deadline_us - ANSWER_US, &r);
		if (r.end == CHARGE_DECLINED)
			answer_declined(c, &r);
		else if (r.end != CHARGE_PAID && r.end != CHARGE_NOTHING)
			answer_failed(c, &r);
		if (r.end != CHARGE_PAID && r.end != CHARGE_NOTHING)
			return false;
		p->paid[i] = r.end == CHARGE_PAID ? r.amount_micros : 0;
	}
	return true;
}

static void answer_paid(struct call *c, const struct payment *p)
{
	struct command touch;
	struct json_writer w;
	micros sum = 0;

	if (!submit_payment(c, p, &touch, COMMAND_TOUCH))
		return;
	for (int i = 0; i < p->count; i++)
		sum += p->paid[i]; /* each at most the maximum of one invoice */
	render_open(c, &w);
	json_put_bool(&w, "paid", true);
	render_put_whole(&w, "amount", sum, touch.answer.unit);
	json_put_int(&w, "amountMicros", sum);
	json_put_int(&w, "balanceMicros", touch.answer.balance_micros);
	json_open_list(&w, "statements");
	for (int i = 0; i < p->count; i++) {
		if (p->paid[i] == 0)
			continue;
		json_open_record(&w, NULL);
		render_put_id(&w, "id", &p->key, p->seqs[i]);
		render_put_whole(&w, "amount", p->paid[i], touch.answer.unit);
		json_put_int(&w, "amountMicros", p->paid[i]);
		json_close_record(&w);
	}
	json_close_list(&w);
	render_close(&w);
}

void pay_now(struct call *c)
{
	static const char *const known[] = {NULL};
	struct payment payment = {.key = call_account_key(c)};
	struct parse p;

	parse_record(&p, c->request, c->body, known);
	if (!parse_ok(&p)) {
		render_wrong(c, &p);
		return;
	}
	if (!call_may_manage(c) || !call_enter_slow(c))
		return;
	if (find_statements(c, &payment) && charge_all(c, &payment))
		answer_paid(c, &payment);
	call_leave_slow(c);
}
