#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "inbox/reconcile.h"
#include "db/sql.h"

#define ABANDONED_US (INT64_C(25) * 3600 * CLOCK_US_PER_SECOND) /* 25 hours: a session lives a day */
#define ORDERS_PAGE 500

static struct command command_for(const struct reconcile_payment *p, enum command_kind kind)
{
	return (struct command){
		.kind = kind,
		.account = p->account,
		.member = "",
		.topup_seq = p->topup_seq,
		.payment_kind = p->kind,
		.payment_id = p->id,
	};
}

/* ---- payments ------------------------------------------------------------------------------------ */

static void keep_order(struct reconcile *R, const struct reconcile_payment *p)
{
	if (R->count == R->room) {
		const size_t room = R->room == 0 ? 1024 : R->room * 2;
		struct reconcile_payment *more = realloc(R->payments, room * sizeof(*more));

		if (more == NULL) {
			reconcile_fail(R, "out of memory");
			return;
		}
		R->payments = more;
		R->room = room;
	}
	R->payments[R->count++] = *p;
}

static int by_id(const void *one, const void *other)
{
	const struct reconcile_payment *a = one, *b = other;

	return strcmp(a->id, b->id);
}

/* Sorts the payments, so that find also finds those kept since the last call. */
static void sort_orders(struct reconcile *R)
{
	if (R->count > 1)
		qsort(R->payments, R->count, sizeof(*R->payments), by_id);
	R->sorted = R->count;
}

static struct reconcile_payment *find_named(struct reconcile *R, const char *id)
{
	struct reconcile_payment wanted = {.topup_seq = 0};

	if (strlen(id) >= sizeof(wanted.id) || R->sorted == 0)
		return NULL;
	(void)snprintf(wanted.id, sizeof(wanted.id), "%s", id);
	return bsearch(&wanted, R->payments, R->sorted, sizeof(*R->payments), by_id);
}

static void credit_order(struct reconcile *R, const struct reconcile_payment *p, const struct json *intent)
{
	const char *customer = json_get_text(intent, "customer");
	struct command command = command_for(p, COMMAND_PAYMENT);

	if (R->dry_run) {
		reconcile_tell(R, &p->account, p->topup_seq, p->id, "paid, not credited", NULL);
		return;
	}
	command.payment.state = TOPUP_PAID;
	command.payment.amount_minor = p->amount_minor;
	command.payment.currency = json_get_text(intent, "currency");
	command.payment.customer_id = customer;
	command.payment.session_id = "";
	command.payment.named = true;
	command.payment.livemode = stripe_is_live(&R->stripe);
	if (!reconcile_submit(R, &command, p->id) || !command.answer.credited)
		return;
	R->credited++;
	reconcile_tell(R, &p->account, p->topup_seq, p->id, "paid, not credited", "credited");
	reconcile_take_parked(R, p->id);
}

/* True for a payment of ours: its metadata names an order in topup_id. */
static bool order_by_name(const struct json *intent, struct reconcile_payment *p)
{
	const char *order = json_get_text(json_get(intent, "metadata"), "topup_id");

	return id_public_parse(order, strlen(order), &p->account, &p->topup_seq) == 0;
}

void reconcile_orders_payment(struct reconcile *R, const struct json *intent)
{
	const struct json *charge = json_get(intent, "latest_charge");
	struct reconcile_payment p = {.amount_minor = json_get_int(intent, "amount_received", 0),
	                              .refunded_minor = json_get_int(charge, "amount_refunded", 0)};
	struct reader_topup row;

	if (strcmp(json_get_text(intent, "status"), "succeeded") != 0)
		return;
	if (!order_by_name(intent, &p) || !stripe_id_valid(json_get_text(intent, "id"), "pi_") ||
	    strlen(json_get_text(intent, "id")) >= sizeof(p.id)) {
		R->foreign++;
		return;
	}
	(void)snprintf(p.id, sizeof(p.id), "%s", json_get_text(intent, "id"));
	if (!reconcile_order(R, &p.account, p.topup_seq, &row)) {
		if (!R->failed)
			reconcile_tell(R, &p.account, p.topup_seq, p.id, "paid, but there is no such order here", NULL);
		return;
	}
	keep_order(R, &p);
	if (row.state != TOPUP_PAID)
		credit_order(R, &p, intent);
	else if (strcmp(row.payment_id, p.id) != 0)
		reconcile_tell(R, &p.account, p.topup_seq, p.id, "the order was paid by another payment", NULL);
	else if (row.amount_minor != p.amount_minor)
		reconcile_tell(R, &p.account, p.topup_seq, p.id, "another amount than the order's", NULL);
}

/* ---- refunds and disputes ------------------------------------------------------------------------ */

static int take_owner(void *context, const struct db_row *row)
{
	struct reconcile_payment *p = context;

	memcpy(p->account.bytes, row->field[0], sizeof(p->account.bytes));
	p->topup_seq = db_int(row, 1);
	p->kind = (enum payment_kind)db_int(row, 2);
	return 0;
}

/* Finds the order, statement or period that a payment paid for: in R's payments, else in the table payments. */
static bool find_owner(struct reconcile *R, const char *id, struct reconcile_payment *p)
{
	const struct reconcile_payment *listed = find_named(R, id);
	unsigned char key[ID_KEY_BYTES];
	struct buf sql;

	*p = (struct reconcile_payment){.topup_seq = 0};
	if (listed != NULL)
		*p = *listed;
	if (listed != NULL || id[0] == '\0' || strlen(id) >= sizeof(p->id))
		return listed != NULL;
	(void)snprintf(p->id, sizeof(p->id), "%s", id);
	id_request_key(id, strlen(id), key);
	buf_init(&sql, 256);
	sql_literal(&sql, "SELECT account_id, topup_seq, kind FROM payments WHERE payment_key = ");
	sql_bytes(&sql, key, sizeof(key));
	(void)reconcile_read(R, &sql, take_owner, p);
	buf_free(&sql);
	return !R->failed && p->topup_seq > 0;
}

/* Amounts of an order or a statement that were taken back so far. */
struct taken {
	micros refunded_micros, disputed_micros;
	bool found;
};

static int take_taken(void *context, const struct db_row *row)
{
	struct taken *t = context;

	*t = (struct taken){db_int(row, 0), db_int(row, 1), true};
	return 0;
}

static bool read_taken(struct reconcile *R, const struct command *command, struct taken *t)
{
	struct buf sql;

	*t = (struct taken){.found = false};
	buf_init(&sql, 256);
	sql_literal(&sql, "SELECT refunded_micros, disputed_micros FROM ");
	if (command->payment_kind == PAYMENT_OF_STATEMENT)
		sql_literal(&sql, "statements");
	else
		sql_literal(&sql, "topups");
	sql_literal(&sql, " WHERE account_id = ");
	sql_bytes(&sql, command->account.bytes, sizeof(command->account.bytes));
	sql_literal(&sql, " AND seq = ");
	sql_int(&sql, command->topup_seq);
	(void)reconcile_read(R, &sql, take_taken, t);
	buf_free(&sql);
	return !R->failed && t->found;
}

/* Submits the command, and lists it if money moved. */
static void bring_in(struct reconcile *R, struct command *command, const char *object, const char *finding)
{
	struct taken before, after;

	if (command->payment_kind == PAYMENT_OF_PERIOD) {
		(void)(R->dry_run || reconcile_submit(R, command, object));
		return;
	}
	if (R->dry_run || !read_taken(R, command, &before) || !reconcile_submit(R, command, object) ||
	    !read_taken(R, command, &after) ||
	    (before.refunded_micros == after.refunded_micros && before.disputed_micros == after.disputed_micros))
		return;
	R->taken_back++;
	reconcile_tell(R, &command->account, command->topup_seq, object, finding, "booked");
}

static enum refund_status refund_status(const char *status)
{
	if (strcmp(status, "succeeded") == 0)
		return REFUND_SUCCEEDED;
	return strcmp(status, "failed") == 0 || strcmp(status, "canceled") == 0 ? REFUND_FAILED : REFUND_PENDING;
}

void reconcile_orders_refund(struct reconcile *R, const struct json *refund)
{
	struct reconcile_payment p;
	struct command command;

	if (!find_owner(R, json_get_text(refund, "payment_intent"), &p))
		return;
	command = command_for(&p, COMMAND_REFUND);
	command.object_id = json_get_text(refund, "id");
	command.refund.status = refund_status(json_get_text(refund, "status"));
	command.refund.amount_minor = json_get_int(refund, "amount", 0);
	command.refund.currency = json_get_text(refund, "currency");
	command.refund.livemode = stripe_is_live(&R->stripe);
	bring_in(R, &command, command.object_id, "a refund was missing");
}

/* True if the dispute withdrew money (sign -1) or brought money back (+1). */
static bool moved(const struct json *dispute, int sign)
{
	const struct json *list = json_get(dispute, "balance_transactions");
	const size_t count = list != NULL && json_type(list) == JSON_LIST ? json_size(list) : 0;

	for (size_t i = 0; i < count; i++)
		if (json_get_int(json_at(list, i), "amount", 0) * sign > 0)
			return true;
	return false;
}

void reconcile_orders_dispute(struct reconcile *R, const struct json *dispute)
{
	struct reconcile_payment p, *listed;
	struct command command;

	if (!find_owner(R, json_get_text(dispute, "payment_intent"), &p))
		return;
	command = command_for(&p, COMMAND_DISPUTE);
	command.object_id = json_get_text(dispute, "id");
	command.dispute.withdrawn = moved(dispute, -1);
	command.dispute.reinstated = moved(dispute, 1);
	command.dispute.amount_minor = json_get_int(dispute, "amount", 0);
	command.dispute.currency = json_get_text(dispute, "currency");
	command.dispute.livemode = stripe_is_live(&R->stripe);
	listed = find_named(R, p.id);
	if (listed != NULL && command.dispute.withdrawn && !command.dispute.reinstated)
		listed->disputed_minor += command.dispute.amount_minor;
	bring_in(R, &command, command.object_id, "a dispute was missing");
}

/* ---- orders that Stripe's lists do not show ------------------------------------------------------ */

struct named {
	struct account_key account;
	int64_t seq;
};
struct named_list {
	struct named row[ORDERS_PAGE];
	int count;
};

static int take_named(void *context, const struct db_row *row)
{
	struct named_list *n = context;

	memcpy(n->row[n->count].account.bytes, row->field[0], sizeof(n->row[0].account.bytes));
	n->row[n->count++].seq = db_int(row, 1);
	return 0;
}

/* Looks at a payment that Stripe's list did not show, because it was begun before since_us. */
static void look_at_payment(struct reconcile *R, const struct named *n, const char *id)
{
	char path[STRIPE_PATH_MAX];
	struct stripe_call call;

	(void)snprintf(path, sizeof(path), "/v1/payment_intents/%s", id);
	stripe_begin(&call, path, NULL, clock_monotonic_us() + RECONCILE_PATIENCE_US);
	stripe_put(&call, "expand[0]", "latest_charge");
	switch (reconcile_api_get(R, &call)) {
	case STRIPE_OK:
		reconcile_orders_payment(R, call.json);
		break;
	case STRIPE_REFUSED:
		reconcile_tell(R, &n->account, n->seq, id, "credited, but there is no such payment at Stripe", NULL);
		break;
	default:
		break; /* reconcile_api_get has explained the error */
	}
	stripe_call_free(&call);
}

static void look_at_paid(struct reconcile *R, const struct named *n, const struct reader_topup *row)
{
	size_t before = R->count;

	if ((row->livemode != 0) != stripe_is_live(&R->stripe) || !stripe_id_valid(row->payment_id, "pi_") ||
	    find_named(R, row->payment_id) != NULL)
		return;
	look_at_payment(R, n, row->payment_id);
	if (R->count > before)
		R->payments[before].older = true;
}

static void expire(struct reconcile *R, const struct named *n, const struct reader_topup *row)
{
	const struct reconcile_payment p = {.account = n->account, .topup_seq = n->seq};
	struct command command = command_for(&p, COMMAND_PAYMENT);

	command.payment.state = TOPUP_EXPIRED;
	command.payment.amount_minor = row->amount_minor;
	command.payment.currency = row->currency;
	command.payment.livemode = row->livemode != 0;
	command.payment.customer_id = "";
	command.payment.session_id = "";
	command.payment.named = true;
	if (!R->dry_run && reconcile_submit(R, &command, row->session_id))
		R->expired++;
}

/* Looks at an order that was opened more than a session's life ago, and is not known to be paid.  Nobody can pay an
 * order without a session: it was cut off before it had one. */
static void look_at_open(struct reconcile *R, const struct named *n, const struct reader_topup *row)
{
	char path[STRIPE_PATH_MAX];
	struct stripe_call call;
	enum stripe_result result;
	const char *payment;

	if ((row->livemode != 0) != stripe_is_live(&R->stripe) || !stripe_id_valid(row->session_id, "cs_")) {
		expire(R, n, row);
		return;
	}
	(void)snprintf(path, sizeof(path), "/v1/checkout/sessions/%s", row->session_id);
	stripe_begin(&call, path, NULL, clock_monotonic_us() + RECONCILE_PATIENCE_US);
	result = reconcile_api_get(R, &call);
	payment = json_get_text(call.json, "payment_intent");
	if (result == STRIPE_REFUSED ||
	    (result == STRIPE_OK && strcmp(json_get_text(call.json, "status"), "expired") == 0))
		expire(R, n, row);
	else if (result == STRIPE_OK && stripe_id_valid(payment, "pi_") && find_named(R, payment) == NULL)
		look_at_payment(R, n, payment); /* complete: paid, or on its way */
	stripe_call_free(&call);
}

static void write_condition(struct buf *sql, bool paid)
{
	sql_literal(sql, "state IN (");
	sql_int(sql, paid ? TOPUP_PAID : TOPUP_OPEN);
	sql_literal(sql, ", ");
	sql_int(sql, paid ? TOPUP_PAID : TOPUP_PENDING);
	if (paid)
		sql_literal(sql, ") AND paid_at_us");
	else
		sql_literal(sql, ") AND created_at_us");
}

/* Calls look for each order that was paid in that time, or was opened then and is not paid; page by page. */
static void each_order(struct reconcile *R, bool paid, int64_t from_us, int64_t to_us,
                       void (*look)(struct reconcile *R, const struct named *n, const struct reader_topup *row))
{
	struct named_list n;
	struct named last = {.seq = 0};
	struct reader_topup row;
	struct buf sql;

	buf_init(&sql, 1024);
	do {
		n.count = 0;
		buf_reset(&sql);
		sql_literal(&sql, "SELECT account_id, seq FROM topups WHERE ");
		write_condition(&sql, paid);
		sql_literal(&sql, " BETWEEN ");
		sql_int(&sql, from_us);
		sql_literal(&sql, " AND ");
		sql_int(&sql, to_us);
		sql_literal(&sql, " AND (account_id, seq) > (");
		sql_bytes(&sql, last.account.bytes, sizeof(last.account.bytes));
		sql_literal(&sql, ", ");
		sql_int(&sql, last.seq);
		sql_literal(&sql, ") ORDER BY account_id, seq LIMIT ");
		sql_int(&sql, ORDERS_PAGE);
		(void)reconcile_read(R, &sql, take_named, &n);
		for (int i = 0; i < n.count && !R->failed; i++) {
			arena_reset(R->arena);
			last = n.row[i];
			if (reconcile_order(R, &last.account, last.seq, &row))
				look(R, &last, &row);
		}
	} while (!R->failed && n.count == ORDERS_PAGE);
	buf_free(&sql);
}

void reconcile_orders_open(struct reconcile *R)
{
	if (!R->failed)
		each_order(R, false, 0, R->now_us - ABANDONED_US, look_at_open);
}

void reconcile_orders_paid(struct reconcile *R)
{
	sort_orders(R);
	if (!R->failed)
		each_order(R, true, R->since_us, INT64_MAX, look_at_paid);
	sort_orders(R);
}

/* ---- the end ------------------------------------------------------------------------------------- */

/* The share of these credits in the order's money, rounded up because the credits were rounded down. */
static int64_t minor_of(const struct reader_topup *row, micros credits)
{
	const __int128 exact = (__int128)credits * row->amount_minor + row->amount_micros - 1;

	return (int64_t)(exact / row->amount_micros);
}

static void compare(struct reconcile *R, const struct reconcile_payment *p)
{
	struct reader_topup row;

	if (!reconcile_order(R, &p->account, p->topup_seq, &row) || row.state != TOPUP_PAID || row.amount_micros <= 0 ||
	    strcmp(row.payment_id, p->id) != 0)
		return;
	R->ledger_minor += row.amount_minor - minor_of(&row, row.refunded_micros) - minor_of(&row, row.disputed_micros);
	if (minor_of(&row, row.refunded_micros) != p->refunded_minor)
		reconcile_tell(R, &p->account, p->topup_seq, p->id, "refunded differently", NULL);
	if (!p->older && minor_of(&row, row.disputed_micros) != p->disputed_minor)
		reconcile_tell(R, &p->account, p->topup_seq, p->id, "disputed differently", NULL);
}

void reconcile_orders_compare(struct reconcile *R)
{
	for (size_t i = 0; i < R->count && !R->failed; i++) {
		const struct reconcile_payment *p = &R->payments[i];

		arena_reset(R->arena);
		R->stripe_minor += p->amount_minor - p->refunded_minor - p->disputed_minor;
		compare(R, p);
	}
}
