#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/listing.h"
#include "db/sql.h"
#include "queries/outbox.h"

#define LIST_LIMIT 1000
#define NAME_MAX_BYTES (ID_ACCOUNT_MAX + 24)

static const char *const kinds[] = {
	[OUTBOX_STATEMENT] = "statement", [OUTBOX_SOFT_LIMIT] = "soft_limit", [OUTBOX_RECHARGE] = "recharge"};
static const char *const states[] = {[OUTBOX_PENDING] = "pending", [OUTBOX_DONE] = "done", [OUTBOX_PARKED] = "parked"};

static const char *task_name(const char *const names[], size_t count, int64_t number)
{
	return number >= 0 && number < (int64_t)count ? names[number] : "?";
}

static int take_task(void *context, const struct db_row *row)
{
	struct listing *l = context;
	char name[NAME_MAX_BYTES];

	(void)snprintf(name, sizeof(name), "%s/%s", row->field[0], row->field[1]);
	listing_row(l);
	listing_text(l, "id", "row", name);
	listing_text(l, "kind", "kind", task_name(kinds, sizeof(kinds) / sizeof(kinds[0]), db_int(row, 2)));
	listing_int(l, "subject", "of", db_int(row, 3));
	listing_text(l, "state", "state", task_name(states, sizeof(states) / sizeof(states[0]), db_int(row, 4)));
	listing_int(l, "attempts", "attempts", db_int(row, 5));
	listing_time(l, "nextAt", "next", db_int(row, 4) == OUTBOX_PENDING ? db_int(row, 6) : 0);
	listing_text(l, "error", "error", row->field[7]);
	listing_time(l, "createdAt", "created", db_int(row, 8));
	return CTL_OK;
}

int ctl_outbox_list(struct ctl *c)
{
	bool all = false;
	const struct ctl_option options[] = {{.name = "--all", .flag = &all}, {0}};
	struct listing *l;
	struct buf sql;
	int result;

	if (ctl_arguments(c, options, NULL, 0, 0) < 0)
		return CTL_FAILED;
	buf_init(&sql, 2048);
	sql_literal(&sql, "SELECT a.external_id, o.seq, o.kind, o.subject_seq, o.state, o.attempts, o.next_at_us,"
	                  " o.error, o.created_at_us FROM outbox o JOIN accounts a ON a.id = o.account_id");
	if (!all) {
		sql_literal(&sql, " WHERE o.state <> ");
		sql_int(&sql, OUTBOX_DONE);
	}
	sql_literal(&sql, " ORDER BY o.created_at_us DESC, o.seq DESC LIMIT ");
	sql_int(&sql, LIST_LIMIT);
	l = listing_new("tasks");
	result = ctl_rows(c, &sql, take_task, l);
	if (result == CTL_OK)
		listing_print(l, c);
	buf_free(&sql);
	listing_free(l);
	return result;
}

/* Reads "ACCOUNT/SEQ"; an account's id has no slash. */
static int read_name(const char *text, struct account_key *account, int64_t *seq)
{
	const char *slash = strchr(text, '/');

	if (slash == NULL || !id_account_valid(text, (size_t)(slash - text)))
		return ctl_fail("%s is no row of the outbox; they are called ACCOUNT/SEQ", text);
	*account = id_account_key(text, (size_t)(slash - text));
	return ctl_integer(slash + 1, "SEQ", 1, INT64_MAX, seq);
}

int ctl_outbox_retry(struct ctl *c)
{
	bool parked = false;
	const struct ctl_option options[] = {{.name = "--parked", .flag = &parked}, {0}};
	struct account_key account = {0};
	const char *name = NULL;
	int64_t seq = 0, count;
	int operands = ctl_arguments(c, options, &name, 0, 1);
	struct listing *l;

	if (operands < 0)
		return CTL_FAILED;
	if (parked == (operands == 1))
		return ctl_fail("outbox retry needs a row, ACCOUNT/SEQ, or --parked");
	if (name != NULL && read_name(name, &account, &seq) != 0)
		return CTL_FAILED;
	count = outbox_retry(ctl_db(c), &account, seq);
	if (count < 0)
		return ctl_db_failed(c);
	if (count == 0 && name != NULL) {
		(void)ctl_fail("no row of that name is parked");
		return CTL_NO;
	}
	l = listing_new("retry");
	listing_row(l);
	listing_int(l, "rows", "rows due again", count);
	listing_print_single(l, c->json);
	listing_free(l);
	return CTL_OK;
}
