#include "queries/recharges.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "db/ask.h"
#include "db/sql.h"
#include "ledger/sql_numbers.h"

#define SQL_MAX ((size_t)4 * 1024)

static int take_known(struct ask *q, const struct db_row *row, void *out)
{
	struct recharges_known *k = out;
	const char **texts[] = {
		&k->currency,        &k->card,           &k->order_key,     &k->order_payment_id, &k->order_currency,
		&k->consent_version, &k->consent_locale, &k->consent_terms, &k->consent_actor,    &k->customer_id};
	int64_t *numbers[] = {&k->state,
	                      &k->reason,
	                      &k->below_micros,
	                      &k->charge_micros,
	                      &k->cap_micros,
	                      &k->pending_seq,
	                      &k->pending_micros,
	                      &k->begun_at_us,
	                      &k->next_at_us,
	                      &k->month_until_us,
	                      &k->month_micros,
	                      &k->day_until_us,
	                      &k->day_count,
	                      &k->mode,
	                      &k->status,
	                      &k->now_us,
	                      &k->order_amount_minor,
	                      &k->consent_at_us};
	const unsigned text_count = sizeof(texts) / sizeof(texts[0]);

	for (unsigned i = 0; i < text_count; i++) {
		*texts[i] = ask_text(q, row, i);
		if (*texts[i] == NULL)
			return -1;
	}
	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		*numbers[i] = row->field[text_count + i] != NULL ? db_int(row, text_count + i) : 0;
	k->found = true;
	return 0;
}

int recharges_read(struct db *d, struct arena *a, const struct account_key *key, struct recharges_known *out)
{
	struct ask q;
	int result = -1;

	memset(out, 0, sizeof(*out));
	ask_init(&q, d, a);
	sql_literal(&q.sql, "SELECT r.currency,r.card,t.session_key,t.payment_id,t.currency,k.version,k.locale,k.terms,"
	                    "k.actor,b.customer_id,r.state,r.reason,r.below_micros,r.charge_micros,r.cap_micros,"
	                    "r.pending_seq,r.pending_micros,r.begun_at_us,r.next_at_us,r.month_until_us,"
	                    "r.month_micros,r.day_until_us,r.day_count,a.mode,a.status," SQL_NOW_US
	                    ",t.amount_minor,k.created_at_us FROM recharges r"
	                    " JOIN accounts a ON a.id=r.account_id"
	                    " LEFT JOIN topups t ON t.account_id=r.account_id AND t.seq=r.pending_seq"
	                    " LEFT JOIN recharge_consents k ON k.account_id=r.account_id AND k.seq=r.consent_seq"
	                    " LEFT JOIN billing b ON b.account_id=r.account_id WHERE r.account_id=");
	ask_key(&q, key);
	if (ask_send(&q) == 0 && ask_rows(&q, 1, take_known, out, sizeof(*out)) >= 0)
		result = 0;
	return ask_end(&q, result);
}

static int take_due(void *context, const struct db_row *row)
{
	struct recharges_due **next = context, *due = (*next)++;

	memcpy(due->account.bytes, row->field[0], sizeof(due->account.bytes));
	(void)snprintf(due->account_id, sizeof(due->account_id), "%s", row->field[1]);
	return 0;
}

int recharges_without_task(struct db *d, struct recharges_due *due, int max)
{
	struct buf sql;
	int64_t count;

	CHECK(max > 0);
	buf_init(&sql, SQL_MAX);
	/* clang-format off */
	sql_literal(&sql, "SELECT r.account_id,a.external_id FROM recharges r JOIN accounts a ON a.id=r.account_id"
	                  " WHERE (r.pending_seq>0 OR (r.state=" SQL(RECHARGE_ON)
	                  " AND a.balance_micros<r.below_micros AND a.mode=" SQL(MODE_PREPAID)
	                  ")) AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.account_id=r.account_id AND o.kind="
	                  SQL(OUTBOX_RECHARGE) " AND o.state<>" SQL(OUTBOX_DONE) ") LIMIT ");
	/* clang-format on */
	sql_int(&sql, max);
	count = db_read(d, &sql, take_due, &due);
	buf_free(&sql);
	return (int)count;
}
