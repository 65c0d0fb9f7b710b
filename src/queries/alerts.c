#include "queries/alerts.h"

#include <string.h>

#include "base/check.h"
#include "db/ask.h"
#include "db/sql.h"
#include "ledger/command.h"
#include "ledger/names.h"

static int take_state(struct ask *q, const struct db_row *row, void *out)
{
	struct alerts_page *page = out;

	page->found = true;
	page->unit = db_int(row, 0);
	page->state = ask_text(q, row, 1);
	page->addresses = ask_text(q, row, 2);
	page->language = ask_text(q, row, 3);
	return page->state != NULL && page->addresses != NULL && page->language != NULL ? 0 : -1;
}

static int take_alert(struct ask *q, const struct db_row *row, void *out)
{
	struct alerts_shown *l = out;

	l->seq = db_int(row, 0);
	l->kind = db_int(row, 1);
	l->threshold_micros = db_int(row, 2);
	l->limit_kind = db_int(row, 3);
	l->amount_micros = db_int(row, 4);
	l->balance_micros = db_int(row, 5);
	l->created_at_us = db_int(row, 6);
	l->days = db_int(row, 7);
	l->expires_at_us = db_int(row, 8);
	l->threshold_percent = db_int(row, 9);
	l->member = ask_text(q, row, 10);
	return l->member != NULL ? 0 : -1;
}

static void put_alerts_query(struct ask *q, const struct account_key *key, int64_t before_seq, int limit)
{
	sql_literal(&q->sql, "SELECT a.unit,a.alerts,p.alert_addresses,p.alert_language FROM accounts a"
	                     " LEFT JOIN profiles p ON p.account_id=a.id WHERE a.id=");
	ask_key(q, key);
	sql_literal(&q->sql, ";SELECT seq,kind,threshold_micros,limit_kind,amount_micros,balance_micros,created_at_us,"
	                     "days,expires_at_us,threshold_percent,member FROM alerts WHERE account_id=");
	ask_key(q, key);
	if (before_seq > 0) {
		sql_literal(&q->sql, " AND seq<");
		sql_int(&q->sql, before_seq);
	}
	sql_literal(&q->sql, " ORDER BY seq DESC LIMIT ");
	sql_int(&q->sql, limit + 1);
}

int alerts_read(struct db *d, struct arena *a, const struct account_key *key, int64_t before_seq, int limit,
                struct alerts_page *page)
{
	struct ask q;
	int result = -1;

	CHECK(limit > 0);
	*page = (struct alerts_page){.state = "", .addresses = "", .language = ""};
	page->items = arena_alloc(a, (size_t)(limit + 1) * sizeof(*page->items));
	if (page->items == NULL)
		return -1;
	ask_init(&q, d, a);
	put_alerts_query(&q, key, before_seq, limit);
	if (ask_send(&q) == 0 && ask_rows(&q, 1, take_state, page, sizeof(*page)) >= 0 && ask_next(&q) == 0) {
		page->count = ask_rows(&q, limit + 1, take_alert, page->items, sizeof(*page->items));
		result = page->count < 0 ? -1 : 0;
	}
	page->more = page->count > limit;
	if (page->more)
		page->count = limit;
	return ask_end(&q, result);
}

void alerts_write(struct json_writer *w, const struct account_key *key, const struct alerts_shown *l)
{
	char id[ID_PUBLIC_MAX];

	id_public_format(key, l->seq, id);
	json_put_text(w, "id", id);
	json_put_text(w, "kind", names_alert(l->kind));
	if (l->threshold_micros != 0)
		json_put_int(w, "thresholdMicros", l->threshold_micros);
	if (l->threshold_percent != 0)
		json_put_int(w, "thresholdPercent", l->threshold_percent);
	if (l->limit_kind != LIMIT_NONE)
		json_put_text(w, "limit", names_limit(l->limit_kind));
	if (l->member[0] != '\0')
		json_put_text(w, "member", l->member);
	if (l->amount_micros != 0)
		json_put_int(w, "amountMicros", l->amount_micros);
	json_put_int(w, "balanceMicros", l->balance_micros);
	if (l->days != 0) {
		json_put_int(w, "days", l->days);
		json_put_time(w, "expiresAt", l->expires_at_us);
	}
	json_put_time(w, "createdAt", l->created_at_us);
}
