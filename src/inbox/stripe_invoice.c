#include "inbox/stripe_invoice.h"

#include <string.h>

#include "inbox/stripe_value.h"

#define LINES_MAX 100 /* events show ten of an invoice's lines, lists a hundred */

/* A line that pays for a plan, or gives back money that paid for it. */
struct line {
	const char *plan;
	size_t plan_length;
	int64_t start_us, end_us, amount_minor;
	bool proration;
};

static const struct json *list_at(const struct json *record, const char *name)
{
	const struct json *list = json_get(json_get(record, name), "data");

	return list != NULL && json_type(list) == JSON_LIST ? list : NULL;
}

static bool flag_at(const struct json *record, const char *name)
{
	const struct json *value = json_get(record, name);

	return value != NULL && json_type(value) == JSON_BOOL && json_bool(value);
}

/* Since basil a line names its source in its parent. */
static const struct json *line_source(const struct json *line)
{
	const struct json *parent = json_get(line, "parent");
	const struct json *item = json_get(parent, "subscription_item_details");

	if (item != NULL && json_type(item) == JSON_RECORD)
		return item;
	item = json_get(parent, "invoice_item_details");
	return item != NULL && json_type(item) == JSON_RECORD ? item : line;
}

static const char *line_price(const struct json *line)
{
	const char *price = id_at(json_get(json_get(line, "pricing"), "price_details"), "price");

	return price[0] != '\0' ? price : id_at(line, "price");
}

static int64_t discounts_of(const struct json *line)
{
	const struct json *list = json_get(line, "discount_amounts");
	const size_t count = list != NULL && json_type(list) == JSON_LIST ? json_size(list) : 0;
	int64_t sum = 0;

	for (size_t i = 0; i < count; i++) {
		const int64_t amount = json_get_int(json_at(list, i), "amount", 0);

		if (amount > 0 && amount < INT32_MAX && sum < INT32_MAX)
			sum += amount;
	}
	return sum;
}

/* Reads a line into l.  False when the line is of another subscription, or of no plan's price. */
static bool read_line(const struct json *line, const char *subscription, const char *plans, struct line *l)
{
	const struct json *source = line_source(line), *period = json_get(line, "period");
	const int64_t amount = json_get_int(line, "amount", 0);

	memset(l, 0, sizeof(*l));
	if (strcmp(id_at(source, "subscription"), subscription) != 0 || amount > INT32_MAX || amount < -INT32_MAX)
		return false;
	l->plan = stripe_invoice_plan(plans, line_price(line), &l->plan_length);
	l->proration = flag_at(source, "proration");
	l->start_us = seconds_at(period, "start");
	l->end_us = seconds_at(period, "end");
	l->amount_minor = amount > 0 ? amount - discounts_of(line) : amount;
	return l->plan != NULL && l->start_us < l->end_us;
}

struct lines {
	struct line line[LINES_MAX];
	int count;
};

static void read_invoice_lines(const struct stripe_event *e, const char *plans, struct lines *all)
{
	const struct json *list = list_at(e->object, "lines");
	const size_t count = list != NULL ? json_size(list) : 0;

	all->count = 0;
	for (size_t i = 0; i < count && all->count < LINES_MAX; i++)
		if (read_line(json_at(list, i), e->command.object_id, plans, &all->line[all->count]))
			all->count++;
}

/* The line that pays for a whole period; the last to begin, if there are several. */
static const struct line *base_of(const struct lines *all)
{
	const struct line *base = NULL;

	for (int i = 0; i < all->count; i++) {
		const struct line *l = &all->line[i];

		if (!l->proration && l->amount_minor >= 0 && (base == NULL || l->start_us > base->start_us))
			base = l;
	}
	return base;
}

/* The line that gives money back for the same time as paid, or NULL. */
static const struct line *credit_for(const struct lines *all, const struct line *paid)
{
	for (int i = 0; i < all->count; i++) {
		const struct line *l = &all->line[i];

		if (l->proration && l->amount_minor < 0 && l->start_us == paid->start_us)
			return l;
	}
	return NULL;
}

/* True for a change that costs more than it gives back. */
static bool is_upgrade(const struct lines *all, const struct line *l)
{
	const struct line *credit = credit_for(all, l);

	return l->proration && l->amount_minor > 0 && (credit == NULL || l->amount_minor + credit->amount_minor > 0);
}

/* Returns the last of the changes that were paid; *from is the plan that the first of them replaced.  Changes in
 * between gave back the money that was paid for them, so the time counts from the last. */
static const struct line *upgrade_of(const struct lines *all, const struct line **from)
{
	const struct line *first = NULL, *last = NULL;

	for (int i = 0; i < all->count; i++) {
		const struct line *l = &all->line[i];

		if (!is_upgrade(all, l))
			continue;
		if (first == NULL || l->start_us < first->start_us)
			first = l;
		if (last == NULL || l->start_us > last->start_us)
			last = l;
	}
	*from = first != NULL ? credit_for(all, first) : NULL;
	return last;
}

static int64_t paid_minor(const struct stripe_event *e, const struct lines *all)
{
	const int64_t total = json_get_int(e->object, "total", 0);
	int64_t sum = 0;

	for (int i = 0; i < all->count; i++)
		sum += all->line[i].amount_minor > 0 ? all->line[i].amount_minor : 0;
	return total > sum ? total : sum;
}

static bool same_plan(const struct line *a, const struct line *b)
{
	return a->plan_length == b->plan_length && strncmp(a->plan, b->plan, a->plan_length) == 0;
}

const char *stripe_invoice_plans(struct stripe_event *e, const char *plans, struct arena *a, bool *short_of_memory)
{
	const struct line *paid, *from = NULL;
	struct command *c = &e->command;
	struct lines all;

	*short_of_memory = false;
	read_invoice_lines(e, plans, &all);
	paid = base_of(&all);
	if (paid == NULL)
		paid = upgrade_of(&all, &from);
	if (paid == NULL && flag_at(json_get(e->object, "lines"), "has_more"))
		return "it has more lines than the event shows";
	if (paid == NULL)
		return "";
	if (from != NULL && same_plan(from, paid))
		return "";
	c->period.plan = arena_copy(a, paid->plan, paid->plan_length);
	c->period.instead_of = from != NULL ? arena_copy(a, from->plan, from->plan_length) : "";
	*short_of_memory = c->period.plan == NULL || c->period.instead_of == NULL;
	c->period.start_us = paid->start_us;
	c->period.end_us = paid->end_us;
	c->period.free = paid->amount_minor <= 0;
	c->period.amount_minor = paid_minor(e, &all);
	return NULL;
}

const char *stripe_invoice_plan(const char *plans, const char *price, size_t *length)
{
	const size_t price_length = strlen(price);

	while (price_length > 0 && *plans != '\0') {
		size_t pair = strcspn(plans, " \t,");

		if (pair > price_length + 1 && strncmp(plans, price, price_length) == 0 && plans[price_length] == '=') {
			*length = pair - price_length - 1;
			return plans + price_length + 1;
		}
		plans += pair;
		plans += strspn(plans, " \t,");
	}
	return NULL;
}

/* ---- the invoice ----------------------------------------------------------------------------------- */

static void ignore_invoice(struct stripe_event *e, const char *why)
{
	e->command.kind = COMMAND_EVENT;
	e->command.event_only.state = EVENT_IGNORED;
	e->command.event_only.note = why;
}

const char *stripe_invoice_intent(const struct json *invoice)
{
	const struct json *payments = list_at(invoice, "payments");

	if (payments != NULL && json_size(payments) > 0)
		return id_at(json_get(json_at(payments, 0), "payment"), "payment_intent");
	return id_at(invoice, "payment_intent");
}

void stripe_invoice_read(struct stripe_event *e, const struct json *o)
{
	const struct json *details = json_get(json_get(o, "parent"), "subscription_details");
	struct command *c = &e->command;
	const char *subscription = id_at(details, "subscription");

	if (subscription[0] == '\0') {
		subscription = id_at(o, "subscription");
		details = json_get(o, "subscription_details");
	}
	if (subscription[0] == '\0') {
		ignore_invoice(e, "an invoice of no subscription; its payment tells of itself");
		return;
	}
	if (strcmp(text_at(o, "status"), "paid") != 0) {
		ignore_invoice(e, "an invoice that is not paid");
		return;
	}
	e->object = o;
	e->user = text_at(json_get(details, "metadata"), "user_id");
	e->customer = id_at(o, "customer");
	c->kind = COMMAND_PERIOD;
	c->object_id = subscription;
	c->payment_id = stripe_invoice_intent(o);
	c->period.invoice_id = text_at(o, "id");
	c->period.customer_id = e->customer;
	c->period.currency = currency_at(o);
	c->period.plan = c->period.instead_of = "";
	c->topup_seq = command_period_seq(c->period.invoice_id);
	if (c->period.invoice_id[0] == '\0')
		ignore_invoice(e, "an invoice without an id");
}

void stripe_invoice_read_payment(struct stripe_event *e, const struct json *o)
{
	const char *invoice = id_at(o, "invoice"), *payment = id_at(json_get(o, "payment"), "payment_intent");
	struct command *c = &e->command;

	if (invoice[0] == '\0' || payment[0] == '\0' || strcmp(text_at(o, "status"), "paid") != 0) {
		ignore_invoice(e, "no payment intent paid an invoice");
		return;
	}
	c->kind = COMMAND_PERIOD_PAYMENT;
	c->topup_seq = command_period_seq(invoice);
	c->payment_id = payment;
	e->reference = invoice;
}
