/*
 * periods_driver: plays commands against the deciding half of the ledger at times that it is told, with the rows of
 * one account in memory, for tests/model/test_periods.py.  A line each on stdin:
 *
 *   history ZONE capture=0 min=1 grace=0     forgets everything; ZONE is the configured one
 *   plan NAME version=1 starts=0 scope=0 …   a version of a plan, from now on in the book
 *   TIME VERB …                              a command at that time; see the readers below
 *   dump                                     all that was booked, and a line "end"
 *
 * A command is answered by a line: its outcome and figures, then what the rows say, as periods_oracle.py puts them.
 * An error in the rows (a key that is there twice, sums that differ) is a line "broken: …".
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/lines.h"
#include "base/check.h"
#include "ledger/decide/decide.h"
#include "ledger/decide/effects.h"
#include "ledger/names.h"
#include "ledger/needs.h"
#include "ledger/rows/current_grant.h"
#include "ledger/rows/packed_holds.h"

#define MEMORY_MAX ((size_t)256 << 20)
#define WORDS_MAX 32
#define ACCOUNT "ws"
/* A token of any model costs a micro, and so does an action; a credit is worth one of the currency. */
#define TERMS \
	{ \
		.margin_ppm = 1000000, .rate_ppm = 1000000, .credit_value_ppm = 1000000 \
	}
#define MODEL(name) \
	{ \
		.kind = PRICE_MODEL, .item = name, .provider = "openai", .version = 1, .terms = TERMS, \
		LINES(1000000, 1000000, 1000000, 1000000, 1000000) \
	}

static const struct price prices[] = {
	MODEL("m"),
	MODEL("x"),
	{.kind = PRICE_ACTION, .item = "act", .version = 1, .terms = TERMS, .credits_micros = 1},
};

/* The database. */
static struct row *tables[TABLE_COUNT], **ends[TABLE_COUNT];
static struct arena *memory, *batch;
static struct rows *rows;
static struct book *book;
static const struct zone *zone;
static struct account_key account;
static bool capture;
static int events;
static int64_t now_us, statement_min, grace_us;

/* ---- words ------------------------------------------------------------------------------------------- */

static char *words[WORDS_MAX];
static int word_count;

static void split(char *line)
{
	char *rest = line;

	word_count = 0;
	for (char *word = strsep(&rest, " "); word != NULL; word = strsep(&rest, " ")) {
		CHECK(word_count < WORDS_MAX);
		words[word_count++] = word;
	}
}

static int64_t integer(const char *text)
{
	char *end;
	long long value;

	errno = 0;
	value = strtoll(text, &end, 10);
	CHECK(errno == 0 && *end == '\0' && end != text);
	return value;
}

static const char *word(int i)
{
	CHECK(i < word_count);
	return words[i];
}

/* The value of "name=value"; fallback when it is not given. */
static const char *option(const char *name, const char *fallback)
{
	const size_t length = strlen(name);

	for (int i = 0; i < word_count; i++)
		if (strncmp(words[i], name, length) == 0 && words[i][length] == '=')
			return words[i] + length + 1;
	return fallback;
}

static bool given(const char *name)
{
	return option(name, NULL) != NULL;
}

static int64_t number(const char *name, int64_t fallback)
{
	return given(name) ? integer(option(name, "")) : fallback;
}

/* ---- rows -------------------------------------------------------------------------------------------- */

static bool same_row(const struct row *a, const struct row *b)
{
	const struct table *t = table_of(a->table);

	for (int i = 0; i < t->column_count && t->columns[i].role == COLUMN_KEY; i++) {
		const struct column *c = &t->columns[i];
		const char *x = (const char *)a + c->offset, *y = (const char *)b + c->offset;

		if (c->type == COLUMN_TEXT
		            ? strcmp(*(const char *const *)(const void *)x, *(const char *const *)(const void *)y) != 0
		            : memcmp(x, y, c->size) != 0)
			return false;
	}
	return true;
}

static struct row *copy_row(const struct row *row)
{
	const struct table *t = table_of(row->table);
	struct row *copy = arena_alloc(memory, t->row_size);

	CHECK(copy != NULL);
	memcpy(copy, row, t->row_size);
	for (int i = 0; i < t->column_count; i++) {
		const char **text = (const char **)(void *)((char *)copy + t->columns[i].offset);

		if (t->columns[i].type == COLUMN_TEXT)
			*text = arena_copy(memory, *text, strlen(*text));
	}
	copy->next = NULL;
	return copy;
}

/* As persist: new rows at the end, changed ones in place, ended ones out.  Keys of what is only written rise. */
static void persist_row(const struct row *row)
{
	const enum table_id t = row->table;
	struct row **at = ends[t], *copy;

	if (row->change == ROW_DROPPED || row->change == ROW_COPIED)
		return;
	copy = copy_row(row);
	if (table_of(t)->load != LOAD_NEVER)
		for (at = &tables[t]; *at != NULL && !same_row(*at, row);)
			at = &(*at)->next;
	CHECK((*at == NULL) == (row->change == ROW_NEW));
	if (*at == NULL) {
		*at = copy;
		ends[t] = &copy->next;
		return;
	}
	copy->next = (*at)->next;
	if (copy->next == NULL)
		ends[t] = row->change == ROW_ENDED ? at : &copy->next;
	*at = row->change == ROW_ENDED ? copy->next : copy;
}

static void load_row(struct slot *s, const struct row *row)
{
	struct row *copy = rows_alloc(rows, row->table);
	bool loaded;

	memcpy(copy, row, table_of(row->table)->row_size);
	copy->next = copy->written = NULL;
	copy->read = NULL;
	loaded = rows_load(rows, s, copy);
	CHECK(loaded);
}

/* The holds so that the first to expire comes first in the end. */
static void load_holds(struct slot *s)
{
	const struct holds_row *before = NULL, *last;

	do {
		last = NULL;
		for (const struct row *row = tables[TABLE_HOLDS]; row != NULL; row = row->next) {
			const struct holds_row *h = (const struct holds_row *)row;

			if (before != NULL && (h->expires_at_us > before->expires_at_us ||
			                       (h->expires_at_us == before->expires_at_us && h->seq >= before->seq)))
				continue;
			if (last == NULL || h->expires_at_us > last->expires_at_us ||
			    (h->expires_at_us == last->expires_at_us && h->seq > last->seq))
				last = h;
		}
		if (last != NULL)
			load_row(s, &last->row);
		before = last;
	} while (last != NULL);
}

/* The member whose name comes next after that; NULL after the last. */
static const struct members_row *next_member(const char *name)
{
	const struct members_row *next = NULL;

	for (const struct row *row = tables[TABLE_MEMBERS]; row != NULL; row = row->next) {
		const struct members_row *m = (const struct members_row *)row;

		if (strcmp(m->member_id, name) > 0 && (next == NULL || strcmp(m->member_id, next->member_id) < 0))
			next = m;
	}
	return next;
}

static const struct zone *zone_of(const struct slot *s)
{
	const struct profiles_row *p = (const struct profiles_row *)tables[TABLE_PROFILES];
	const char *name = s->workspace != NULL ? s->workspace->time_zone : p != NULL ? p->time_zone : "";

	return name[0] != '\0' ? zone_find(name) : zone;
}

/* Spent grants are read for captures; others where the account's row does not tell them all. */
static bool is_grant_read(const struct accounts_row *a, const struct grants_row *g, bool settling)
{
	return g->remaining_micros > 0 ? current_grant_needs_rows(a) : settling;
}

/* Everything that a batch could see; which of it prefetch loads is the scenes' business (tests/decide). */
static void load(struct slot *s, bool settling)
{
	const struct accounts_row *a = (const struct accounts_row *)tables[TABLE_ACCOUNTS];
	bool loaded;

	s->grants_loaded = s->holds_loaded = s->members_loaded = s->periods_loaded = true;
	s->zone = zone;
	if (a == NULL)
		return;
	load_row(s, &a->row);
	load_holds(s);
	for (const struct members_row *m = next_member(""); m != NULL; m = next_member(m->member_id))
		load_row(s, &m->row);
	for (const struct row *row = tables[TABLE_PAID_PERIODS]; row != NULL; row = row->next)
		if (((const struct paid_periods_row *)row)->running != 0)
			load_row(s, row);
	for (int t = 0; t < TABLE_COUNT; t++) {
		const enum table_load kind = table_of((enum table_id)t)->load;

		if (t == TABLE_HOLDS || (kind != LOAD_NAMED && kind != LOAD_ACCOUNT))
			continue;
		for (const struct row *row = tables[t]; row != NULL; row = row->next)
			if (t != TABLE_GRANTS || is_grant_read(a, (const struct grants_row *)row, settling))
				load_row(s, row);
	}
	for (int i = 0; i < 2 && settling; i++)
		for (const struct row *row = tables[i == 0 ? TABLE_CAPTURES : TABLE_ENTRIES]; row != NULL;
		     row = row->next)
			load_row(s, row);
	loaded = current_grant_load(rows, s) && packed_holds_load(rows, s);
	CHECK(loaded);
	s->zone = zone_of(s);
}

/* ---- commands ------------------------------------------------------------------------------------------ */

static void read_authorize(struct command *c)
{
	char *models = words[2];

	c->authorize.action = option("action", NULL);
	c->authorize.quantity = number("n", 1);
	c->authorize.input_tokens = number("in", 0);
	c->authorize.max_output_tokens = number("out", 0);
	c->authorize.fit = given("fit");
	c->authorize.fit_minimum = number("fit", 0);
	c->authorize.ttl_us = number("ttl", 0);
	c->authorize.labels = (struct command_labels){"", "", ""};
	for (char *m = strsep(&models, ","); c->authorize.action == NULL && m != NULL; m = strsep(&models, ","))
		c->authorize.models[c->authorize.model_count++] = m;
}

static void read_settle(struct command *c)
{
	c->hold_seq = integer(word(2));
	c->settle.has_usage = given("tokens");
	c->settle.outcome = given("tokens") ? SETTLE_COMPLETE : SETTLE_FAILED;
	c->settle.counts.of[DIMENSION_INPUT] = number("tokens", 0);
	c->settle.tier = -1;
	c->settle.variant = "";
	c->settle.message_id = "";
}

static void read_transaction(struct command *c)
{
	const int type = names_to_transaction(word(2));

	CHECK(type >= 0);
	c->transaction.type = (enum transaction_type)type;
	c->transaction.amount_micros = integer(word(3));
	c->transaction.expires_at_us = number("expires", 0);
	c->transaction.priority = number("priority", -1);
	c->transaction.description = c->transaction.reference = c->transaction.actor = c->transaction.metadata = "";
}

static void read_account(struct command *c)
{
	c->account_change.set_unit = given("unit");
	c->account_change.unit = UNIT_CREDIT;
	c->account_change.set_mode = given("postpaid");
	c->account_change.mode = number("postpaid", 0) != 0 ? MODE_POSTPAID : MODE_PREPAID;
	c->account_change.set_status = given("suspended");
	c->account_change.status = number("suspended", 0) != 0 ? STATUS_SUSPENDED : STATUS_ACTIVE;
	c->account_change.set_hard_limit = given("hard");
	c->account_change.hard_limit_micros = number("hard", 0);
	c->account_change.time_zone = option("zone", NULL);
	c->account_change.zone = given("zone") ? zone_find(option("zone", "")) : NULL;
	c->account_change.plan = option("plan", NULL);
	c->account_change.set_daily_limit = given("daily");
	c->account_change.daily_limit_micros = number("daily", COMMAND_NO_LIMIT);
	c->account_change.set_monthly_limit = given("monthly");
	c->account_change.monthly_limit_micros = number("monthly", COMMAND_NO_LIMIT);
	c->account_change.day_micros = number("today", 0);
	c->account_change.month_micros = number("this_month", 0);
}

static void read_member(struct command *c)
{
	c->member = word(2);
	c->member_change.remove = given("remove");
	c->member_change.set_role = given("role");
	c->member_change.role = number("role", 0);
	c->member_change.set_limit = given("limit");
	c->member_change.limit_micros = number("limit", COMMAND_NO_LIMIT);
	c->member_change.set_daily_limit = given("daily");
	c->member_change.daily_limit_micros = number("daily", COMMAND_NO_LIMIT);
	c->member_change.set_monthly_limit = given("monthly");
	c->member_change.monthly_limit_micros = number("monthly", COMMAND_NO_LIMIT);
}

static void read_subscription(struct command *c)
{
	c->object_id = option("sub", "sub");
	c->subscription.customer_id = "cus";
	c->subscription.status = c->subscription.price_id = "";
	c->subscription.plan = option("plan", "");
	c->subscription.live = c->subscription.plan[0] != '\0';
	c->subscription.anchor_at_us = number("start", 0);
	c->event.created_at_us = now_us;
	c->subscription.rank = ++events; /* of the same moment: one after the other */
}

static void read_period(struct command *c)
{
	c->object_id = option("sub", "sub");
	c->topup_seq = command_period_seq(c->object_id);
	c->period.customer_id = "cus";
	c->period.invoice_id = c->object_id;
	c->period.currency = "eur";
	c->period.plan = option("plan", "");
	c->period.instead_of = "";
	c->period.start_us = number("start", 0);
	c->period.end_us = number("end", 0);
	c->period.amount_minor = 100;
}

static void read_charge(struct command *c)
{
	c->charge.action = "act";
	c->charge.quantity = integer(word(2));
	c->charge.labels = (struct command_labels){"", "", ""};
}

static void read_seq(struct command *c)
{
	c->hold_seq = integer(word(2));
	if (c->kind == COMMAND_EXTEND) {
		c->extend.ttl_us = number("ttl", 0);
		c->extend.max_output_tokens = number("out", 0);
	}
}

static void read_statement(struct command *c)
{
	c->statement_seq = integer(word(2));
	if (c->kind == COMMAND_STATEMENT_BEGIN) {
		c->statement_begin.customer_key = "key";
	} else if (c->kind == COMMAND_STATEMENT_NOTE) {
		c->statement_note.invoice_id = given("attempt") ? NULL : "in";
		c->statement_note.failure = given("attempt") ? "card_declined" : NULL;
		c->statement_note.attempt = number("attempt", 0);
	} else if (c->kind == COMMAND_STATEMENT_PAID) {
		c->statement_paid.amount_minor = number("minor", 0);
		c->statement_paid.currency = "eur";
		c->statement_paid.invoice_id = "in";
	}
}

static void read_nothing(struct command *c)
{
	(void)c;
}

static const struct verb {
	const char *name;
	enum command_kind kind;
	void (*read)(struct command *c);
	bool figures; /* of its answer: number and amount */
} verbs[] = {
	{"authorize", COMMAND_AUTHORIZE, read_authorize, true},
	{"settle", COMMAND_SETTLE, read_settle, true},
	{"release", COMMAND_RELEASE, read_seq, false},
	{"extend", COMMAND_EXTEND, read_seq, true},
	{"charge", COMMAND_CHARGE, read_charge, true},
	{"give", COMMAND_TRANSACTION, read_transaction, false},
	{"account", COMMAND_ACCOUNT, read_account, false},
	{"member", COMMAND_MEMBER, read_member, false},
	{"subscription", COMMAND_SUBSCRIPTION, read_subscription, false},
	{"pays", COMMAND_PERIOD, read_period, false},
	{"touch", COMMAND_TOUCH, read_nothing, false},
	{"statement", COMMAND_STATEMENT, read_nothing, true},
	{"begin", COMMAND_STATEMENT_BEGIN, read_statement, true},
	{"sent", COMMAND_STATEMENT_NOTE, read_statement, true},
	{"declined", COMMAND_STATEMENT_NOTE, read_statement, true},
	{"paid", COMMAND_STATEMENT_PAID, read_statement, false},
};

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	CHECK(!"a verb");
	return NULL;
}

/* ---- what is there now ----------------------------------------------------------------------------------- */

static void print_answer(const struct verb *verb, const struct answer *a)
{
	printf("%s", outcome_name(a->outcome));
	if (a->limit != LIMIT_NONE && a->limit != LIMIT_SUSPENDED)
		printf(" %s %d %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64, names_limit(a->limit),
		       a->of_member, a->needed_micros, a->available_micros, a->limit_micros, a->used_micros,
		       a->resets_at_us);
	else if (a->outcome == OUTCOME_OK && a->replayed)
		printf(" again");
	else if (a->outcome == OUTCOME_OK && verb->figures)
		printf(" %" PRId64 " %" PRId64, a->seq, a->amount_micros);
}

static int64_t within(int64_t until_us, micros used)
{
	return now_us < until_us ? used : 0;
}

static void print_workspace(const struct workspaces_row *w)
{
	printf(" | ");
	if (w->plan[0] != '\0')
		printf("%s %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64, w->plan, w->plan_version,
		       w->period_start_us, w->period_end_us, w->granted_micros, w->carried_micros);
	else
		printf("-");
	printf(" %s%s %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64,
	       w->changing ? "to:" : "stays", w->changing ? w->next_plan : "", w->reserved_micros,
	       within(w->day_until_us, w->day_micros), within(w->month_until_us, w->month_micros), w->managers,
	       w->members, w->statement_at_us);
}

static void print_member(const struct members_row *m)
{
	if (m->removed_at_us == 0)
		printf(" | %s %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64, m->member_id,
		       m->role, m->quota_micros, m->held_micros, within(m->period_until_us, m->period_micros),
		       within(m->day_until_us, m->day_micros), within(m->month_until_us, m->month_micros));
}

static void print_state(void)
{
	static const char *const statuses[] = {"active", "suspended", "past_due", "unpaid"};
	const struct accounts_row *a = (const struct accounts_row *)tables[TABLE_ACCOUNTS];

	if (a == NULL) {
		printf(" || 0 0 0 active");
		return;
	}
	printf(" || %" PRId64 " %" PRId64 " %" PRId64 " %s", a->balance_micros, a->held_micros, a->open_holds,
	       statuses[a->status]);
	CHECK((a->workspace != 0) == (tables[TABLE_WORKSPACES] != NULL));
	if (a->workspace != 0)
		print_workspace((const struct workspaces_row *)tables[TABLE_WORKSPACES]);
	for (const struct members_row *m = next_member(""); m != NULL; m = next_member(m->member_id))
		print_member(m);
}

/* The unique key of allowances, as the database has it. */
static void check_allowances(void)
{
	for (const struct row *x = tables[TABLE_ALLOWANCES]; x != NULL; x = x->next) {
		const struct allowances_row *a = (const struct allowances_row *)x;

		for (const struct row *y = x->next; y != NULL; y = y->next) {
			const struct allowances_row *b = (const struct allowances_row *)y;

			if (a->period_start_us == b->period_start_us && a->reason == b->reason &&
			    a->upgrade_seq == b->upgrade_seq && strcmp(a->plan, b->plan) == 0 &&
			    strcmp(a->member, b->member) == 0)
				printf("broken: allowances %" PRId64 " and %" PRId64 " have one key\n", a->seq, b->seq);
		}
	}
}

static void check_grants(void)
{
	const struct accounts_row *a = (const struct accounts_row *)tables[TABLE_ACCOUNTS];
	const struct workspaces_row *w = (const struct workspaces_row *)tables[TABLE_WORKSPACES];
	const micros arrears = w != NULL ? w->arrears_micros : 0;
	micros left = 0;

	for (const struct row *row = tables[TABLE_GRANTS]; row != NULL; row = row->next)
		left += a != NULL ? current_grant_remaining(a, (const struct grants_row *)row) : 0;
	if (a != NULL && left != (a->balance_micros + arrears > 0 ? a->balance_micros + arrears : 0))
		printf(" broken: grants leave %" PRId64, left);
}

/* ---- lines --------------------------------------------------------------------------------------------- */

static void do_command(void)
{
	const struct verb *verb = find_verb(word(1));
	struct command c = {
		.kind = verb->kind, .account = account, .account_id = ACCOUNT, .member = option("member", "")};
	struct decide d = {
		.rows = rows,
		.book = book,
		.holds_max = 1000,
		.capture_expired = capture,
		.action_price_micros = 1,
		.terms = TERMS,
		.billing = {.currency = "eur",
	                    .decimals = 5,
	                    .statement_min_minor = statement_min,
	                    .grace_us = grace_us,
	                    .zone = zone},
	};
	struct slot *s;
	bool named;

	now_us = integer(word(0));
	d.now_us = now_us;
	verb->read(&c);
	command_prepare(&c);
	arena_reset(batch);
	rows_reset(rows);
	s = rows_slot(rows, &account);
	named = needs_name(rows, s, &c);
	CHECK(s != NULL && named);
	load(s, c.kind == COMMAND_SETTLE && capture);
	decide(&d, s, &c);
	CHECK(!rows_failed(rows));
	current_grant_note(rows, s);
	packed_holds_note(rows, s);
	for (int t = 0; t < TABLE_COUNT; t++)
		for (const struct row *row = rows_changed(rows, (enum table_id)t); row != NULL; row = row->written)
			persist_row(row);
	print_answer(verb, &c.answer);
	print_state();
	check_grants();
	puts("");
}

static void do_history(void)
{
	arena_reset(memory);
	for (int t = 0; t < TABLE_COUNT; t++) {
		tables[t] = NULL;
		ends[t] = &tables[t];
	}
	book_release(book);
	book = book_of(prices, sizeof(prices) / sizeof(prices[0]), 1000000);
	zone = zone_find(word(1));
	CHECK(book != NULL && zone != NULL);
	capture = number("capture", 0) != 0;
	statement_min = number("min", 1);
	grace_us = number("grace", 0);
}

static void do_plan(void)
{
	struct plan p = {
		.version = number("version", 1),
		.starts_at_us = number("starts", 0),
		.unit = UNIT_CREDIT,
		.scope = (enum plan_scope)number("scope", 0),
		.pool_micros = number("pool", 0),
		.manager_micros = number("manager", 0),
		.member_micros = number("member", 0),
		.managers_to = number("managers_to", 1),
		.seats_to = number("seats_to", 0),
		.rollover_micros = number("rollover", 0),
	};

	snprintf(p.name, sizeof(p.name), "%s", word(1));
	snprintf(p.title, sizeof(p.title), "%s", word(1));
	if (number("action", 0) != 0) {
		p.action_count = 1;
		snprintf(p.actions[0].name, sizeof(p.actions[0].name), "act");
		p.actions[0].credits_micros = number("action", 0);
	}
	if (given("model")) {
		p.model_count = 1;
		snprintf(p.models[0], sizeof(p.models[0]), "%s", option("model", ""));
	}
	CHECK(plan_valid(&p));
	book_add_plan(book, &p);
}

static const char *shown(const char *text)
{
	return text[0] != '\0' ? text : "-";
}

static void dump_journal(void)
{
	for (const struct row *row = tables[TABLE_ENTRIES]; row != NULL; row = row->next) {
		const struct entries_row *e = (const struct entries_row *)row;

		if (e->kind == ENTRY_RECORD)
			continue;
		printf("entry %" PRId64 " %" PRId64 " %" PRId64 "\n", e->amount_micros, e->grant_seq, e->created_at_us);
	}
	for (const struct row *row = tables[TABLE_TRANSACTIONS]; row != NULL; row = row->next) {
		const struct transactions_row *t = (const struct transactions_row *)row;

		printf("transaction %s %" PRId64 " %" PRId64 "\n", names_transaction(t->type), t->amount_micros,
		       t->created_at_us);
	}
	for (const struct row *row = tables[TABLE_GRANTS]; row != NULL; row = row->next) {
		const struct grants_row *g = (const struct grants_row *)row;

		printf("grant %s %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 "\n",
		       names_transaction(g->type), g->priority, g->expires_at_us, g->amount_micros,
		       current_grant_remaining((const struct accounts_row *)tables[TABLE_ACCOUNTS], g),
		       g->created_at_us);
	}
}

static void do_dump(void)
{
	dump_journal();
	for (const struct row *row = tables[TABLE_ALLOWANCES]; row != NULL; row = row->next) {
		const struct allowances_row *a = (const struct allowances_row *)row;

		printf("allowance %s %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %s %" PRId64 " %" PRId64 "\n",
		       a->plan, a->plan_version, a->period_start_us, a->period_end_us, a->reason, shown(a->member),
		       a->amount_micros, a->created_at_us);
	}
	for (const struct row *row = tables[TABLE_STATEMENTS]; row != NULL; row = row->next) {
		const struct statements_row *s = (const struct statements_row *)row;

		printf("statement %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 "\n", s->state, s->from_us,
		       s->to_us, s->amount_micros, s->amount_minor);
	}
	check_allowances();
	puts("end");
}

int main(void)
{
	char *line = NULL;
	size_t capacity = 0;
	ssize_t length;

	memory = arena_new(MEMORY_MAX);
	batch = arena_new(MEMORY_MAX);
	CHECK(memory != NULL && batch != NULL);
	rows = rows_new(batch);
	CHECK(rows != NULL);
	account = id_account_key(ACCOUNT, strlen(ACCOUNT));
	while ((length = getline(&line, &capacity, stdin)) > 0) {
		line[strcspn(line, "\n")] = '\0';
		split(line);
		if (strcmp(word(0), "history") == 0)
			do_history();
		else if (strcmp(word(0), "plan") == 0)
			do_plan();
		else if (strcmp(word(0), "dump") == 0)
			do_dump();
		else
			do_command();
	}
	free(line);
	rows_free(rows);
	book_release(book);
	arena_free(batch);
	arena_free(memory);
	return 0;
}
