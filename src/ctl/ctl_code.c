#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "ctl/ctl.h"
#include "ctl/listing.h"
#include "db/sql.h"
#include "ledger/code.h"

#define COUNT_MAX 10000
#define USES_MAX INT64_C(1000000000)
#define BATCH_MAX 64
#define REASON_MAX 255
#define ACTOR_MAX 128
#define AT_ONCE 500 /* rows of one INSERT */
#define SQL_MAX ((size_t)1024 * 1024)
#define LIST_LIMIT 100
#define LIST_LIMIT_MAX 1000000
/* Attempts at an INSERT, with other random codes if one exists already.  60 random bits do not meet twice in a row. */
#define ATTEMPTS_MAX 3

/* ---- create ---------------------------------------------------------------------------------- */

struct texts { /* as on the command line, NULL when not given */
	const char *amount, *unit, *code, *count, *batch, *uses, *per_account, *expires, *reason, *actor;
};

struct making {
	int64_t amount_micros, count, uses_max, uses_per_account, expires_at_us, now_us;
	int unit;
	const char *batch, *reason, *actor;
	char code[CODE_MAX]; /* the code of --code; "": random codes */
};

static int parse_numbers(const struct texts *t, struct making *p)
{
	p->count = p->uses_max = p->uses_per_account = 1;
	if (t->amount == NULL)
		return ctl_fail("code create needs --amount");
	if (ctl_decimal(t->amount, "--amount", 1, MONEY_AMOUNT_MAX_MICROS, &p->amount_micros) != 0)
		return CTL_FAILED;
	if (t->count != NULL && ctl_integer(t->count, "--count", 1, COUNT_MAX, &p->count) != 0)
		return CTL_FAILED;
	if (t->uses != NULL && ctl_integer(t->uses, "--uses", 1, USES_MAX, &p->uses_max) != 0)
		return CTL_FAILED;
	if (t->per_account != NULL &&
	    ctl_integer(t->per_account, "--uses-per-account", 1, USES_MAX, &p->uses_per_account) != 0)
		return CTL_FAILED;
	return CTL_OK;
}

static int parse_texts(const struct texts *t, struct making *p)
{
	p->unit = t->unit != NULL ? price_unit_named(t->unit) : UNIT_MONEY;
	p->batch = t->batch != NULL ? t->batch : "";
	p->reason = t->reason != NULL ? t->reason : "";
	p->actor = t->actor != NULL ? t->actor : "";
	if (p->unit < 0)
		return ctl_wrong("--unit is money or credit");
	if (strlen(p->batch) > BATCH_MAX || strlen(p->reason) > REASON_MAX || strlen(p->actor) > ACTOR_MAX)
		return ctl_wrong("--batch has at most %d bytes, --reason %d, --actor %d", BATCH_MAX, REASON_MAX,
		                 ACTOR_MAX);
	if (p->reason[0] == '\0' || p->actor[0] == '\0')
		return ctl_fail("code create needs --reason and --actor");
	if (t->expires != NULL && clock_parse(t->expires, strlen(t->expires), &p->expires_at_us) != 0)
		return ctl_wrong("--expires: a date or a time of RFC 3339, such as 2027-01-31T12:00:00Z");
	return CTL_OK;
}

/* Reads the code of --code. */
static int parse_chosen(const struct texts *t, struct making *p)
{
	if (t->code == NULL)
		return CTL_OK;
	if (t->count != NULL)
		return ctl_wrong("--code is one code, --count invents some");
	if (code_normal(t->code, p->code) != 0)
		return ctl_wrong("--code: %d to %d letters and digits; blanks and hyphens do not count", CODE_MIN,
		                 CODE_MAX - 1);
	if (code_is_referral(p->code))
		return ctl_wrong("--code: that is how referral codes look");
	return CTL_OK;
}

static int parse_plan(struct ctl *c, struct making *p)
{
	struct texts t = {0};
	const struct ctl_option options[] = {
		{.name = "--amount", .value = &t.amount},
		{.name = "--unit", .value = &t.unit},
		{.name = "--code", .value = &t.code},
		{.name = "--count", .value = &t.count},
		{.name = "--batch", .value = &t.batch},
		{.name = "--uses", .value = &t.uses},
		{.name = "--uses-per-account", .value = &t.per_account},
		{.name = "--expires", .value = &t.expires},
		{.name = "--reason", .value = &t.reason},
		{.name = "--actor", .value = &t.actor},
		{0},
	};

	if (ctl_arguments(c, options, NULL, 0, 0) < 0 || parse_numbers(&t, p) != CTL_OK ||
	    parse_texts(&t, p) != CTL_OK || parse_chosen(&t, p) != CTL_OK || ctl_now(c, &p->now_us) != CTL_OK)
		return CTL_FAILED;
	if (p->expires_at_us != 0 && p->expires_at_us <= p->now_us)
		return ctl_wrong("--expires is in the past");
	return CTL_OK;
}

static void add_values(struct buf *sql, const struct making *p, const char *code)
{
	unsigned char key[ID_KEY_BYTES];
	const int64_t numbers[] = {p->unit,     p->amount_micros,    p->expires_at_us,
	                           p->uses_max, p->uses_per_account, p->now_us};

	code_key(code, key);
	sql_literal(sql, "(");
	sql_bytes(sql, key, sizeof(key));
	sql_literal(sql, ",");
	sql_text(sql, code);
	sql_literal(sql, ",");
	sql_text(sql, p->batch);
	sql_literal(sql, ",");
	sql_text(sql, p->reason);
	sql_literal(sql, ",");
	sql_text(sql, p->actor);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		sql_literal(sql, ",");
		sql_int(sql, numbers[i]);
	}
	sql_literal(sql, ")");
}

static void add_code_row(struct listing *l, const struct making *p, const char *code)
{
	char shown[CODE_SHOWN_MAX];

	code_show(code, shown);
	listing_row(l);
	listing_text(l, "code", "code", shown);
	listing_text(l, "unit", "unit", price_unit_name(p->unit));
	listing_amount(l, "amountMicros", "amount", p->amount_micros);
	listing_int(l, "usesMax", "uses", p->uses_max);
	listing_int(l, "usesPerAccount", "per account", p->uses_per_account);
	listing_time(l, "expiresAt", "expires", p->expires_at_us);
	listing_text(l, "batch", "batch", p->batch);
}

/* Inserts all codes or none, by one statement. */
static enum db_result insert(struct ctl *c, const struct making *p, int64_t count, char (*codes)[CODE_MAX])
{
	enum db_result result;
	struct buf sql;

	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "INSERT INTO codes (id, code, batch, reason, actor, unit, amount_micros, "
	                  "expires_at_us, uses_max, uses_per_account, created_at_us) VALUES ");
	for (int64_t i = 0; i < count; i++) {
		if (p->code[0] != '\0')
			memcpy(codes[i], p->code, sizeof(p->code));
		else
			code_random(codes[i]);
		if (i > 0)
			sql_literal(&sql, ",");
		add_values(&sql, p, codes[i]);
	}
	result = db_query(ctl_db(c), &sql);
	if (result == DB_OK)
		result = db_finish(ctl_db(c));
	buf_free(&sql);
	return result;
}

static int create_some(struct ctl *c, const struct making *p, int64_t count, struct listing *l)
{
	static char codes[AT_ONCE][CODE_MAX];
	enum db_result result = DB_DUPLICATE;

	for (int i = 0; i < ATTEMPTS_MAX && result == DB_DUPLICATE; i++)
		result = insert(c, p, count, codes);
	if (result == DB_DUPLICATE) {
		(void)ctl_fail("there is such a code already");
		return CTL_NO;
	}
	if (result != DB_OK)
		return ctl_db_failed(c);
	for (int64_t i = 0; i < count; i++)
		add_code_row(l, p, codes[i]);
	return CTL_OK;
}

int ctl_code_create(struct ctl *c)
{
	struct making p = {0};
	struct listing *l;
	int result;

	if (parse_plan(c, &p) != CTL_OK)
		return CTL_FAILED;
	l = listing_new("codes");
	result = CTL_OK;
	for (int64_t left = p.count; left > 0 && result == CTL_OK; left -= AT_ONCE)
		result = create_some(c, &p, left < AT_ONCE ? left : AT_ONCE, l);
	/* Codes that were made before an error are printed too: they are valid. */
	listing_print(l, c);
	listing_free(l);
	return result;
}

/* ---- list ------------------------------------------------------------------------------------ */

static int take_code(void *context, const struct db_row *row)
{
	struct listing *l = context;
	char shown[CODE_SHOWN_MAX];

	code_show(row->field[0], shown);
	listing_row(l);
	listing_text(l, "code", "code", shown);
	listing_text(l, "unit", "unit", price_unit_name((int)db_int(row, 1)));
	listing_amount(l, "amountMicros", "amount", db_int(row, 2));
	listing_int(l, "uses", "used", db_int(row, 3));
	listing_int(l, "usesMax", "of", db_int(row, 4));
	listing_int(l, "usesPerAccount", "per account", db_int(row, 5));
	listing_time(l, "expiresAt", "expires", db_int(row, 6));
	listing_time(l, "revokedAt", "revoked", db_int(row, 7));
	listing_text(l, "batch", "batch", row->field[8]);
	listing_text(l, "reason", "reason", row->field[9]);
	listing_text(l, "actor", "actor", row->field[10]);
	listing_time(l, "createdAt", "created", db_int(row, 11));
	return CTL_OK;
}

int ctl_code_list(struct ctl *c)
{
	const char *batch = NULL, *limit_text = NULL;
	const struct ctl_option options[] = {
		{.name = "--batch", .value = &batch}, {.name = "--limit", .value = &limit_text}, {0}};
	int64_t limit = LIST_LIMIT;
	struct listing *l;
	struct buf sql;
	int result;

	if (ctl_arguments(c, options, NULL, 0, 0) < 0 ||
	    (limit_text != NULL && ctl_integer(limit_text, "--limit", 1, LIST_LIMIT_MAX, &limit) != 0))
		return CTL_FAILED;
	buf_init(&sql, 4096);
	sql_literal(&sql, "SELECT code, unit, amount_micros, uses, uses_max, uses_per_account, "
	                  "expires_at_us, revoked_at_us, batch, reason, actor, created_at_us FROM "
	                  "codes");
	if (batch != NULL) {
		sql_literal(&sql, " WHERE batch = ");
		sql_text(&sql, batch);
	}
	sql_literal(&sql, " ORDER BY created_at_us DESC, code LIMIT ");
	sql_int(&sql, limit);
	l = listing_new("codes");
	result = ctl_rows(c, &sql, take_code, l);
	if (result == CTL_OK)
		listing_print(l, c);
	listing_free(l);
	buf_free(&sql);
	return result;
}

/* ---- revoke ---------------------------------------------------------------------------------- */

/* Adds the condition for the code or the batch; false if the arguments can name neither. */
static bool add_meant(struct buf *sql, const char *named, const char *batch)
{
	unsigned char key[ID_KEY_BYTES];
	char code[CODE_MAX];

	if (batch != NULL) {
		sql_literal(sql, " AND batch = ");
		sql_text(sql, batch);
		return batch[0] != '\0';
	}
	if (code_normal(named, code) != 0)
		return false;
	code_key(code, key);
	sql_literal(sql, " AND id = ");
	sql_bytes(sql, key, sizeof(key));
	return true;
}

int ctl_code_revoke(struct ctl *c)
{
	const char *named = NULL, *batch = NULL;
	const struct ctl_option options[] = {{.name = "--batch", .value = &batch}, {0}};
	const int operands = ctl_arguments(c, options, &named, 0, 1);
	int64_t revoked;
	struct buf sql;
	int result;

	if (operands < 0)
		return CTL_FAILED;
	if ((operands == 1) == (batch != NULL))
		return ctl_fail("code revoke needs a code, or --batch");
	buf_init(&sql, 4096);
	sql_literal(&sql, "UPDATE codes SET revoked_at_us = " SQL_NOW_US " WHERE revoked_at_us = 0");
	if (!add_meant(&sql, named, batch)) {
		buf_free(&sql);
		return ctl_fail("that can be no code");
	}
	revoked = db_change(ctl_db(c), &sql);
	result = revoked >= 0 ? CTL_OK : ctl_db_failed(c);
	buf_free(&sql);
	if (result != CTL_OK)
		return result;
	if (c->json)
		(void)printf("{\"revoked\":%lld}\n", (long long)revoked);
	else
		(void)printf("revoked: %lld\n", (long long)revoked);
	return revoked > 0 ? CTL_OK : CTL_NO;
}
