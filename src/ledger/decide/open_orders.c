#include "ledger/decide/open_orders.h"

#include "base/check.h"

#define US_PER_SECOND INT64_C(1000000)
/* A session at Stripe lives a day. */
#define SESSION_LIFE_US (INT64_C(86400) * US_PER_SECOND)
#define ENTRY_BYTES 20 /* digits of a second, and a comma */

struct list {
	int64_t until_s[OPEN_ORDERS_MAX];
	int count;
};

static int64_t without_session(const struct topups_row *t)
{
	return (t->created_at_us + OPEN_ORDERS_TRY_US) / US_PER_SECOND;
}

static int64_t with_session(const struct topups_row *t)
{
	return (t->created_at_us + OPEN_ORDERS_TRY_US + SESSION_LIFE_US) / US_PER_SECOND;
}

/* Reads the column, such as "1700000900,1700087300"; leaves lapsed entries out. */
static void read_orders(const struct decide *d, const struct billing_row *b, struct list *l)
{
	l->count = 0;
	for (const char *p = b->open_orders; *p != '\0' && l->count < OPEN_ORDERS_MAX;) {
		int64_t until_s = 0;

		for (; *p >= '0' && *p <= '9' && until_s < INT64_MAX / 100; p++)
			until_s = until_s * 10 + (*p - '0');
		if (until_s * US_PER_SECOND > d->now_us)
			l->until_s[l->count++] = until_s;
		p += *p != '\0';
	}
}

static void write_list(struct decide *d, struct billing_row *b, const struct list *l)
{
	_Static_assert((size_t)OPEN_ORDERS_MAX * ENTRY_BYTES + 1 <= ROWS_TEXT_MAX, "a full list has room");
	char *text = rows_text(d->rows, (size_t)l->count * ENTRY_BYTES + 1), digits[ENTRY_BYTES];
	size_t length = 0;

	for (int i = 0; i < l->count; i++) {
		int64_t rest = l->until_s[i];
		size_t at = 0;

		CHECK(rest > 0);
		if (i > 0)
			text[length++] = ',';
		do {
			CHECK(at < sizeof(digits));
			digits[at++] = (char)('0' + rest % 10);
			rest /= 10;
		} while (rest > 0);
		while (at > 0)
			text[length++] = digits[--at];
	}
	CHECK(length <= (size_t)l->count * ENTRY_BYTES);
	text[length] = '\0';
	b->open_orders = text;
	rows_touch(d->rows, &b->row);
}

/* Removes one entry of that second; false when there is none. */
static bool take_out(struct list *l, int64_t until_s)
{
	for (int i = 0; i < l->count; i++) {
		if (l->until_s[i] != until_s)
			continue;
		l->until_s[i] = l->until_s[--l->count];
		return true;
	}
	return false;
}

static void put_in(struct list *l, int64_t until_s)
{
	CHECK(until_s > 0);
	if (l->count < OPEN_ORDERS_MAX)
		l->until_s[l->count++] = until_s;
}

bool open_orders_full(const struct decide *d, const struct billing_row *b, struct answer *a)
{
	struct list l = {.count = 0};
	int64_t first_s = INT64_MAX / US_PER_SECOND;

	CHECK(d->orders_open_max > 0 && d->orders_open_max <= OPEN_ORDERS_MAX);
	if (b != NULL)
		read_orders(d, b, &l);
	if (l.count < d->orders_open_max)
		return false;
	for (int i = 0; i < l.count; i++)
		first_s = l.until_s[i] < first_s ? l.until_s[i] : first_s;
	a->outcome = OUTCOME_RATE_LIMITED;
	/* Lapsed orders are not in the list. */
	CHECK(first_s * US_PER_SECOND > d->now_us);
	a->resets_at_us = first_s * US_PER_SECOND;
	return true;
}

void open_orders_begin(struct decide *d, struct billing_row *b, const struct topups_row *t)
{
	struct list l;

	CHECK(t->state == TOPUP_OPEN && t->session_id[0] == '\0');
	read_orders(d, b, &l);
	CHECK(l.count < OPEN_ORDERS_MAX);
	put_in(&l, without_session(t));
	write_list(d, b, &l);
}

void open_orders_extend(struct decide *d, struct billing_row *b, const struct topups_row *t)
{
	struct list l;

	CHECK(t->state == TOPUP_OPEN && t->session_id[0] != '\0');
	read_orders(d, b, &l);
	(void)take_out(&l, without_session(t));
	put_in(&l, with_session(t));
	write_list(d, b, &l);
}

void open_orders_end(struct decide *d, struct billing_row *b, const struct topups_row *t)
{
	struct list l;

	CHECK(t->state == TOPUP_OPEN);
	read_orders(d, b, &l);
	if (!take_out(&l, t->session_id[0] != '\0' ? with_session(t) : without_session(t)))
		(void)take_out(&l, without_session(t));
	write_list(d, b, &l);
}
