/*
 * grow: a ledger as years of use would have left it, for measurements: rows of one table, as LOAD DATA reads
 * them, in the order of the primary key, to stdout.  octroictl audit finds nothing wrong with them, hash chain
 * included.
 *
 *   grow TABLE                                                                  -> the names of its columns
 *   grow TABLE FIRST LAST USAGES DEEP AMOUNT VERSION RESERVED COST NOW_US       -> rows
 *
 * TABLE: accounts, grants, transactions, usages or entries.  Accounts bench:FIRST to bench:LAST were given AMOUNT
 * micros once and have used it USAGES times; where DEEP > 0 there is bench:deep too, with DEEP transactions.  A usage
 * is gpt-4o's, of 480 input and 150 output tokens, which cost COST micros of RESERVED at the price version VERSION.
 * All of it happened within the month before NOW_US.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/id.h"
#include "ledger/command.h"
#include "ledger/decide/due.h"
#include "ledger/decide/effects.h"
#include "ledger/decide/entry.h"
#include "ledger/rows/table.h"

#define ACCOUNTS_MAX 10000000
#define USAGES_MAX 1000
#define NAME_MAX 24
#define MONTH_US (INT64_C(30) * 86400 * 1000000)
#define STEP_US INT64_C(1000000)
#define DEEP_NAME "bench:deep"
#define BLOCK_BYTES ((size_t)1 << 20)

struct history {
	int64_t first, last, usages, deep, amount, version, reserved, cost, now_us;
};

/* An account's name is its number, 0 for the deep one. */
struct subject {
	struct account_key key;
	int64_t number;
};

/* ---- rows as text ------------------------------------------------------------------------------ */

static void put_bytes(const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		const char c = bytes[i];

		if (c == '\0' || c == '\t' || c == '\n' || c == '\\')
			(void)putchar_unlocked('\\');
		(void)putchar_unlocked(c == '\0' ? '0' : c);
	}
}

static void put_row(const struct row *row)
{
	const struct table *t = table_of(row->table);

	for (int i = 0; i < t->column_count; i++) {
		const struct column *c = &t->columns[i];
		const char *field = (const char *)row + c->offset;

		if (i > 0)
			(void)putchar_unlocked('\t');
		if (c->type == COLUMN_INT)
			(void)printf("%" PRId64, *(const int64_t *)(const void *)field);
		else if (c->type == COLUMN_BYTES)
			put_bytes(field, c->size);
		else
			put_bytes(*(const char *const *)(const void *)field,
			          strlen(*(const char *const *)(const void *)field));
	}
	(void)putchar_unlocked('\n');
}

/* ---- what happened to an account --------------------------------------------------------------- */

static int64_t start_us(const struct history *h)
{
	return h->now_us - MONTH_US;
}

/* A call for each entry of an account, in their order; the last one's row stays in e. */
static void each_entry(const struct history *h, const struct subject *s, struct entries_row *e,
                       void (*visit)(const struct entries_row *))
{
	const int64_t count = s->number == 0 ? h->deep : h->usages + 1;
	unsigned char previous[DIGEST_BYTES] = {0};

	table_row_clear(&e->row, TABLE_ENTRIES);
	memcpy(e->account_id, s->key.bytes, sizeof(e->account_id));
	e->grant_seq = 1;
	for (e->seq = 1; e->seq <= count; e->seq++) {
		const bool used = e->seq > 1 && s->number != 0;

		e->kind = used ? ENTRY_USAGE : ENTRY_TRANSACTION;
		e->counterpart = used ? COUNTERPART_USAGE : COUNTERPART_ADJUSTMENT;
		e->amount_micros = e->seq == 1 ? h->amount : used ? -h->cost : -1;
		e->balance_before_micros = e->balance_after_micros;
		e->balance_after_micros += e->amount_micros;
		e->usage_seq = used ? e->seq - 1 : 0;
		e->transaction_seq = used ? 0 : e->seq;
		e->created_at_us = start_us(h) + e->seq * STEP_US;
		entry_hash(e, previous, e->hash);
		memcpy(previous, e->hash, sizeof(previous));
		if (visit != NULL)
			visit(e);
	}
	e->seq = count;
}

static void put_entry(const struct entries_row *e)
{
	put_row(&e->row);
}

static void put_entries(const struct history *h, const struct subject *s)
{
	struct entries_row e;

	each_entry(h, s, &e, put_entry);
}

static void put_transaction(const struct entries_row *e)
{
	struct transactions_row t;

	if (e->transaction_seq == 0)
		return;
	table_row_clear(&t.row, TABLE_TRANSACTIONS);
	memcpy(t.account_id, e->account_id, sizeof(t.account_id));
	t.seq = e->seq;
	t.type = TRANSACTION_ADJUSTMENT;
	t.amount_micros = e->amount_micros;
	t.balance_before_micros = e->balance_before_micros;
	t.balance_after_micros = e->balance_after_micros;
	t.grant_seq = 1;
	t.description = "bench";
	t.actor = "bench";
	t.created_at_us = e->created_at_us;
	put_row(&t.row);
}

static void put_transactions(const struct history *h, const struct subject *s)
{
	struct entries_row e;

	each_entry(h, s, &e, put_transaction);
}

static struct grants_row grant_of(const struct history *h, const struct subject *s)
{
	struct grants_row g;

	table_row_clear(&g.row, TABLE_GRANTS);
	memcpy(g.account_id, s->key.bytes, sizeof(g.account_id));
	g.seq = 1;
	g.type = TRANSACTION_ADJUSTMENT;
	g.priority = effects_priority(TRANSACTION_ADJUSTMENT);
	g.amount_micros = h->amount;
	g.remaining_micros = s->number == 0 ? h->amount - (h->deep - 1) : h->amount - h->usages * h->cost;
	g.created_at_us = start_us(h) + STEP_US;
	return g;
}

static void put_grant(const struct history *h, const struct subject *s)
{
	const struct grants_row g = grant_of(h, s);

	put_row(&g.row);
}

static void put_account(const struct history *h, const struct subject *s)
{
	const struct grants_row g = grant_of(h, s);
	char name[NAME_MAX] = DEEP_NAME;
	struct accounts_row a;
	struct entries_row e;

	each_entry(h, s, &e, NULL);
	if (s->number != 0)
		(void)snprintf(name, sizeof(name), "bench:%" PRId64, s->number);
	table_row_clear(&a.row, TABLE_ACCOUNTS);
	memcpy(a.id, s->key.bytes, sizeof(a.id));
	a.external_id = name;
	a.balance_micros = e.balance_after_micros;
	a.hold_seq = s->number == 0 ? 0 : h->usages;
	a.grant_seq = 1;
	a.entry_seq = e.seq;
	memcpy(a.chain_head, e.hash, sizeof(a.chain_head));
	a.due_at_us = DUE_NEVER;
	a.created_at_us = start_us(h);
	if (g.remaining_micros > 0) {
		a.current_grant_seq = g.seq;
		a.current_type = g.type;
		a.current_priority = g.priority;
		a.current_amount_micros = g.amount_micros;
		a.current_remaining_micros = g.remaining_micros;
		a.current_created_at_us = g.created_at_us;
	}
	put_row(&a.row);
}

static void put_usages(const struct history *h, const struct subject *s)
{
	struct usages_row u;

	if (s->number == 0)
		return;
	table_row_clear(&u.row, TABLE_USAGES);
	memcpy(u.account_id, s->key.bytes, sizeof(u.account_id));
	u.state = USAGE_SETTLED;
	u.settlement = SETTLEMENT_EXACT;
	u.outcome = SETTLE_COMPLETE;
	u.has_usage = 1;
	u.kind = PRICE_MODEL;
	u.item = "gpt-4o";
	u.provider = "openai";
	u.source = SOURCE_PLATFORM;
	u.price_version = h->version;
	u.reserved_micros = h->reserved;
	u.input_tokens = 480;
	u.output_tokens = 150;
	u.cost_micros = h->cost;
	for (u.seq = 1; u.seq <= h->usages; u.seq++) {
		u.balance_micros = u.available_micros = h->amount - u.seq * h->cost;
		u.created_at_us = start_us(h) + u.seq * STEP_US;
		u.ended_at_us = u.created_at_us + STEP_US;
		put_row(&u.row);
	}
}

/* ---- all accounts ------------------------------------------------------------------------------ */

static int by_key(const void *a, const void *b)
{
	return memcmp(((const struct subject *)a)->key.bytes, ((const struct subject *)b)->key.bytes, ID_KEY_BYTES);
}

/* NULL when memory is short; *count of them, in the order of keys. */
static struct subject *make_subjects(const struct history *h, size_t *count)
{
	struct subject *subjects;
	char name[NAME_MAX];
	size_t n = 0;

	subjects = calloc((size_t)(h->last - h->first) + 2, sizeof(*subjects));
	if (subjects == NULL)
		return NULL;
	for (int64_t i = h->first; i <= h->last; i++) {
		(void)snprintf(name, sizeof(name), "bench:%" PRId64, i);
		subjects[n++] = (struct subject){id_account_key(name, strlen(name)), i};
	}
	if (h->deep > 0)
		subjects[n++] = (struct subject){id_account_key(DEEP_NAME, strlen(DEEP_NAME)), 0};
	qsort(subjects, n, sizeof(*subjects), by_key);
	*count = n;
	return subjects;
}

static const struct {
	enum table_id id;
	void (*put)(const struct history *, const struct subject *);
} tables[] = {
	{TABLE_ACCOUNTS, put_account}, {TABLE_GRANTS, put_grant},    {TABLE_TRANSACTIONS, put_transactions},
	{TABLE_USAGES, put_usages},    {TABLE_ENTRIES, put_entries},
};

#define TABLES ((int)(sizeof(tables) / sizeof(tables[0])))

/* The place in tables, or TABLES. */
static int find_table(const char *name)
{
	int t = 0;

	while (t < TABLES && strcmp(table_of(tables[t].id)->name, name) != 0)
		t++;
	return t;
}

static bool parse_history(char **words, struct history *h)
{
	int64_t *const numbers[] = {&h->first,   &h->last,     &h->usages, &h->deep,  &h->amount,
	                            &h->version, &h->reserved, &h->cost,   &h->now_us};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		char *end;

		errno = 0;
		*numbers[i] = strtoll(words[i], &end, 10);
		if (errno != 0 || *end != '\0' || end == words[i] || *numbers[i] < 0)
			return false;
	}
	return h->first > 0 && h->last >= h->first && h->last <= ACCOUNTS_MAX && h->amount >= h->deep &&
	       h->usages <= USAGES_MAX && h->cost > 0 && (h->usages == 0 || h->amount / h->usages >= h->cost);
}

static int put_all(int t, const struct history *h)
{
	struct subject *subjects;
	size_t count;

	subjects = make_subjects(h, &count);
	CHECK(subjects != NULL);
	CHECK(setvbuf(stdout, NULL, _IOFBF, BLOCK_BYTES) == 0);
	for (size_t i = 0; i < count; i++)
		tables[t].put(h, &subjects[i]);
	free(subjects);
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}

int main(int argc, char **argv)
{
	const int t = argc > 1 ? find_table(argv[1]) : TABLES;
	struct history h;

	if (t < TABLES && argc == 2)
		return puts(table_of(tables[t].id)->column_list) >= 0 ? 0 : 1;
	if (t < TABLES && argc == 11 && parse_history(argv + 2, &h))
		return put_all(t, &h);
	fprintf(stderr, "usage: grow TABLE [FIRST LAST USAGES DEEP AMOUNT VERSION RESERVED COST NOW_US]\n");
	return 2;
}
