#include <string.h>

#include "ctl/ctl.h"
#include "ctl/listing.h"
#include "db/operator_alert.h"
#include "db/sql.h"
#include "ledger/command.h"
#include "ledger/names.h"
#include "options.h"

#define LIST_LIMIT 1000

static int take_listed_alert(void *context, const struct db_row *row)
{
	struct listing *l = context;
	char id[ID_PUBLIC_MAX];
	struct account_key key;

	memcpy(key.bytes, row->field[1], sizeof(key.bytes));
	id_public_format(&key, db_int(row, 2), id);
	listing_row(l);
	listing_text(l, "id", "alert", id);
	listing_text(l, "account", "account", row->field[0]);
	listing_text(l, "kind", "kind", names_alert(db_int(row, 3)));
	listing_amount(l, "thresholdMicros", "threshold", db_int(row, 4));
	listing_int(l, "thresholdPercent", "%", db_int(row, 11));
	listing_text(l, "limit", "limit", names_limit(db_int(row, 5)));
	listing_text(l, "member", "member", row->field[6]);
	listing_amount(l, "amountMicros", "amount", db_int(row, 7));
	listing_amount(l, "balanceMicros", "balance", db_int(row, 8));
	listing_time(l, "expiresAt", "expires", db_int(row, 10));
	listing_time(l, "createdAt", "created", db_int(row, 9));
	return CTL_OK;
}

static void put_alert_query(struct buf *sql, const char *account, int64_t limit)
{
	sql_literal(sql,
	            "SELECT a.external_id, l.account_id, l.seq, l.kind, l.threshold_micros, l.limit_kind, l.member,"
	            " l.amount_micros, l.balance_micros, l.created_at_us, l.expires_at_us, l.threshold_percent"
	            " FROM alerts l JOIN accounts a ON a.id = l.account_id");
	if (account != NULL) {
		const struct account_key key = id_account_key(account, strlen(account));

		sql_literal(sql, " WHERE l.account_id = ");
		sql_bytes(sql, key.bytes, sizeof(key.bytes));
		sql_literal(sql, " ORDER BY l.seq DESC LIMIT ");
	} else {
		sql_literal(sql, " ORDER BY l.created_at_us DESC, l.account_id, l.seq DESC LIMIT ");
	}
	sql_int(sql, limit);
}

static int take_operators(void *context, const struct db_row *row)
{
	const struct account_key none = {{0}};
	struct listing *l = context;
	char id[ID_PUBLIC_MAX];

	id_public_format(&none, db_int(row, 0), id);
	listing_row(l);
	listing_text(l, "id", "alert", id);
	listing_text(l, "kind", "kind", operator_alert_name(db_int(row, 1)));
	listing_text(l, "subject", "subject", row->field[2]);
	listing_text(l, "detail", "detail", row->field[3]);
	listing_int(l, "value", "value", db_int(row, 4));
	listing_int(l, "bound", "bound", db_int(row, 5));
	listing_time(l, "endedAt", "ended", db_int(row, 6));
	listing_time(l, "createdAt", "created", db_int(row, 7));
	return CTL_OK;
}

static void put_operators_query(struct buf *sql, int64_t limit)
{
	sql_literal(sql,
	            "SELECT id, kind, subject, detail, value, bound, ended_at_us, created_at_us FROM operator_alerts"
	            " ORDER BY id DESC LIMIT ");
	sql_int(sql, limit);
}

int ctl_alert_list(struct ctl *c)
{
	const char *limit_text = NULL, *account = NULL;
	bool operators = false;
	const struct ctl_option options[] = {
		{.name = "--operator", .flag = &operators}, {.name = "--limit", .value = &limit_text}, {0}};
	int64_t limit = LIST_LIMIT;
	struct listing *l;
	struct buf sql;
	int result;

	if (ctl_arguments(c, options, &account, 0, 1) < 0)
		return CTL_FAILED;
	if (account != NULL && !id_account_valid(account, strlen(account)))
		return ctl_fail("%s is no account id", account);
	if (limit_text != NULL && ctl_integer(limit_text, "--limit", 1, LIST_LIMIT, &limit) != CTL_OK)
		return CTL_FAILED;
	if (operators && account != NULL)
		return ctl_fail("the operator's alerts are of no account");
	buf_init(&sql, 2048);
	if (operators)
		put_operators_query(&sql, limit);
	else
		put_alert_query(&sql, account, limit);
	l = listing_new("alerts");
	result = ctl_rows(c, &sql, operators ? take_operators : take_listed_alert, l);
	if (result == CTL_OK)
		listing_print(l, c);
	buf_free(&sql);
	listing_free(l);
	return result;
}

/* ---- test ----------------------------------------------------------------------------------------- */

static int show_mail(const struct ctl *c, const struct smtp_result *result)
{
	struct listing *l = listing_new("test");

	listing_row(l);
	listing_flag(l, "sent", "sent", result->end == SMTP_SENT);
	listing_int(l, "code", "the server's answer", result->code);
	listing_text(l, "error", "error", result->error);
	listing_print_single(l, c->json);
	listing_free(l);
	return result->end == SMTP_SENT ? CTL_OK : CTL_NO;
}

int ctl_alert_test(struct ctl *c)
{
	const char *address = NULL, *language = "en";
	const struct ctl_option options[] = {{.name = "--lang", .value = &language}, {0}};
	const struct courier_options courier = options_courier(c->config, NULL, "");
	struct smtp_result result;

	if (ctl_arguments(c, options, &address, 1, 1) < 0)
		return CTL_FAILED;
	if (!smtp_address_valid(address))
		return ctl_wrong("%s is no address that octroi sends mail to", address);
	if (strcmp(language, "fr") != 0 && strcmp(language, "en") != 0)
		return ctl_wrong("--lang is fr or en");
	if (courier.mail.server.url[0] == '\0')
		return ctl_fail("smtp_url is not set");
	mailer_test(&courier.mail, address, strcmp(language, "fr") == 0, &result);
	return show_mail(c, &result);
}
