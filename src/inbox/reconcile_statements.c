/*
 * Statements that may have been paid, or were paid by an unknown payment.  Their invoices at Stripe tell both.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "inbox/reconcile.h"
#include "db/sql.h"

#define STATEMENTS_PAGE 100

struct named {
	struct account_key account;
	int64_t seq;
	char invoice_id[STRIPE_PATH_MAX - 16];
};
struct named_list {
	struct named row[STATEMENTS_PAGE];
	int count;
};

static int take_named_statement(void *context, const struct db_row *row)
{
	struct named_list *n = context;
	struct named *to = &n->row[n->count++];

	memcpy(to->account.bytes, row->field[0], sizeof(to->account.bytes));
	to->seq = db_int(row, 1);
	(void)snprintf(to->invoice_id, sizeof(to->invoice_id), "%s", row->field[2]);
	return 0;
}

/* Books the statement as paid by that payment ("": the invoice does not name one). */
static void book_statement(struct reconcile *R, const struct named *n, const struct json *invoice, const char *payment)
{
	struct command command = {
		.kind = COMMAND_STATEMENT_PAID,
		.account = n->account,
		.member = "",
		.statement_seq = n->seq,
		.topup_seq = n->seq,
		.payment_id = payment,
		.statement_paid = {.amount_minor = json_get_int(invoice, "total", 0),
	                           .currency = json_get_text(invoice, "currency"),
	                           .invoice_id = n->invoice_id,
	                           .livemode = stripe_is_live(&R->stripe)},
	};

	if (!reconcile_submit(R, &command, n->invoice_id))
		return;
	if (command.answer.credited) {
		R->credited++;
		reconcile_tell(R, &n->account, n->seq, n->invoice_id, "a statement was paid, not credited", "credited");
	}
	if (payment[0] != '\0')
		reconcile_take_parked(R, payment);
}

static void look_at_invoice(struct reconcile *R, const struct named *n, const struct json *invoice)
{
	const char *payment = stripe_invoice_payment(invoice, 0);

	if (strcmp(json_get_text(invoice, "status"), "paid") != 0)
		return;
	if (payment == NULL)
		book_statement(R, n, invoice, "");
	for (size_t i = 1; payment != NULL && !R->failed; i++) {
		book_statement(R, n, invoice, payment);
		payment = stripe_invoice_payment(invoice, i);
	}
}

static void look_at_statement(struct reconcile *R, const struct named *n)
{
	char path[STRIPE_PATH_MAX];
	struct stripe_call call;

	if (!stripe_id_valid(n->invoice_id, "in_"))
		return;
	(void)snprintf(path, sizeof(path), "/v1/invoices/%s", n->invoice_id);
	stripe_begin(&call, path, NULL, clock_monotonic_us() + RECONCILE_PATIENCE_US);
	stripe_put(&call, "expand[0]", "payments");
	if (reconcile_api_get(R, &call) == STRIPE_OK && !R->dry_run)
		look_at_invoice(R, n, call.json);
	stripe_call_free(&call);
}

static void write_select(const struct reconcile *R, const struct named *last, struct buf *sql)
{
	buf_reset(sql);
	sql_literal(sql, "SELECT account_id, seq, invoice_id FROM statements WHERE livemode = ");
	sql_int(sql, stripe_is_live(&R->stripe));
	sql_literal(sql, " AND invoice_id <> '' AND (state IN (");
	sql_int(sql, STATEMENT_SENT);
	sql_literal(sql, ", ");
	sql_int(sql, STATEMENT_FAILED);
	sql_literal(sql, ") OR (payment_id = '' AND state = ");
	sql_int(sql, STATEMENT_PAID);
	sql_literal(sql, " AND paid_at_us >= ");
	sql_int(sql, R->since_us);
	sql_literal(sql, ")) AND (account_id, seq) > (");
	sql_bytes(sql, last->account.bytes, sizeof(last->account.bytes));
	sql_literal(sql, ", ");
	sql_int(sql, last->seq);
	sql_literal(sql, ") ORDER BY account_id, seq LIMIT ");
	sql_int(sql, STATEMENTS_PAGE);
}

void reconcile_statements(struct reconcile *R)
{
	struct named_list n = {.count = STATEMENTS_PAGE};
	struct named last = {.seq = 0};
	struct buf sql;

	buf_init(&sql, 1024);
	while (!R->failed && n.count == STATEMENTS_PAGE) {
		n.count = 0;
		write_select(R, &last, &sql);
		(void)reconcile_read(R, &sql, take_named_statement, &n);
		for (int i = 0; i < n.count && !R->failed; i++) {
			arena_reset(R->arena);
			last = n.row[i];
			look_at_statement(R, &last);
		}
	}
	buf_free(&sql);
}
