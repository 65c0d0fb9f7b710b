#include "ledger/rows/packed_hold.h"

#include <string.h>

#include "base/buf.h"
#include "base/check.h"

const char *packed_hold_text(const struct accounts_row *a, int at)
{
	const char *const texts[PACKED_HOLDS] = {a->hold_1, a->hold_2, a->hold_3};

	CHECK(at >= 0 && at < PACKED_HOLDS && texts[at] != NULL);
	return texts[at];
}

void packed_hold_set_text(struct accounts_row *a, int at, const char *text)
{
	const char **const texts[PACKED_HOLDS] = {&a->hold_1, &a->hold_2, &a->hold_3};

	CHECK(at >= 0 && at < PACKED_HOLDS && text != NULL);
	*texts[at] = text;
}

static bool is_blank_to_end(const char *text)
{
	return text[strspn(text, " ")] == '\0';
}

/* A hold begins with its number. */
static bool is_free(const struct accounts_row *a, int at)
{
	const char *text = packed_hold_text(a, at);

	return text[0] == '\0' || text[0] == ' ';
}

/* The number in front of the tab at end; false when there is none.  Faster than strtoll, which the guard would feel. */
static bool read_int(const char *text, const char *end, int64_t *value)
{
	const bool negative = text[0] == '-';

	CHECK(*end == '\t' && end >= text);
	text += negative ? 1 : 0;
	*value = 0;
	for (const char *p = text; p < end; p++)
		if (*p < '0' || *p > '9' || __builtin_mul_overflow(*value, 10, value) ||
		    __builtin_sub_overflow(*value, *p - '0', value))
			return false;
	/* The value is the negative one, which has the greater range. */
	return text < end && (negative || !__builtin_sub_overflow(0, *value, value));
}

bool packed_hold_unpack(char *text, struct holds_row *h)
{
	const struct table *t = table_of(TABLE_HOLDS);

	CHECK(h->row.table == TABLE_HOLDS);
	for (int i = 1; i < t->column_count; i++) {
		const struct column *c = &t->columns[i];
		void *field = (char *)h + c->offset;
		char *end = strchr(text, '\t');

		if (end == NULL)
			return i > 1 && is_blank_to_end(text);
		CHECK(c->type == COLUMN_INT || c->type == COLUMN_TEXT);
		if (c->type == COLUMN_TEXT)
			*(const char **)field = text;
		else if (!read_int(text, end, field))
			return false;
		*end = '\0';
		text = end + 1;
	}
	return is_blank_to_end(text);
}

enum packed_hold_state packed_hold_read(const struct accounts_row *a, int at, struct packed_hold *hold)
{
	const char *text = packed_hold_text(a, at);
	const size_t length = strlen(text);

	if (is_free(a, at))
		return is_blank_to_end(text) ? PACKED_HOLD_NONE : PACKED_HOLD_UNREADABLE;
	if (length > PACKED_HOLD_MAX)
		return PACKED_HOLD_UNREADABLE;
	table_row_clear(&hold->row.row, TABLE_HOLDS);
	memcpy(hold->row.account_id, a->id, sizeof(hold->row.account_id));
	memcpy(hold->text, text, length + 1);
	return packed_hold_unpack(hold->text, &hold->row) && hold->row.seq > 0 ? PACKED_HOLD_READ
	                                                                       : PACKED_HOLD_UNREADABLE;
}

bool packed_hold_pack(const struct holds_row *h, char text[PACKED_HOLD_MAX + 1])
{
	const struct table *t = table_of(TABLE_HOLDS);
	struct buf out;
	bool fits = true;

	CHECK(h->seq > 0);
	buf_init(&out, PACKED_HOLD_MAX);
	for (int i = 1; i < t->column_count; i++) {
		const struct column *c = &t->columns[i];
		const void *field = (const char *)h + c->offset;

		CHECK(c->type == COLUMN_INT || c->type == COLUMN_TEXT);
		if (c->type == COLUMN_INT) {
			buf_add_int(&out, *(const int64_t *)field);
		} else {
			fits = fits && strchr(*(const char *const *)field, '\t') == NULL;
			buf_add_text(&out, *(const char *const *)field);
		}
		buf_add_char(&out, '\t');
	}
	fits = fits && buf_ok(&out);
	if (fits)
		memcpy(text, out.data, out.length + 1);
	buf_free(&out);
	return fits;
}

int64_t packed_hold_seq(const struct accounts_row *a, int at)
{
	const char *text = packed_hold_text(a, at), *end = strchr(text, '\t');
	int64_t seq = 0;

	return end != NULL && read_int(text, end, &seq) ? seq : 0;
}

int packed_hold_find(const struct accounts_row *a, int64_t seq)
{
	int at = 0;

	CHECK(seq > 0);
	while (at < PACKED_HOLDS && packed_hold_seq(a, at) != seq)
		at++;
	return at;
}

int packed_hold_find_free(const struct accounts_row *a)
{
	int at = 0;

	while (at < PACKED_HOLDS && !is_free(a, at))
		at++;
	CHECK(at <= PACKED_HOLDS);
	return at;
}

int packed_hold_count(const struct accounts_row *a)
{
	int count = 0;

	for (int at = 0; at < PACKED_HOLDS; at++)
		count += is_free(a, at) ? 0 : 1;
	CHECK(count <= PACKED_HOLDS);
	return count;
}

bool packed_hold_beside(const struct accounts_row *a)
{
	CHECK(a->row.table == TABLE_ACCOUNTS);
	return a->open_holds > packed_hold_count(a);
}

const char *packed_hold_check(const struct accounts_row *a)
{
	struct packed_hold hold;

	/* A hold that ends in a batch stays in its column until rows are written. */
	if (a->row.change != ROW_CLEAN)
		return NULL;
	for (int at = 0; at < PACKED_HOLDS; at++) {
		const enum packed_hold_state state = packed_hold_read(a, at, &hold);

		if (state == PACKED_HOLD_UNREADABLE)
			return "a hold in the account's row cannot be read";
		if (state == PACKED_HOLD_READ && packed_hold_find(a, hold.row.seq) != at)
			return "a hold is in the account's row twice";
		if (state == PACKED_HOLD_READ && hold.row.seq > a->hold_seq)
			return "hold_seq is less than the number of a hold in the account's row";
	}
	return packed_hold_count(a) <= a->open_holds
	               ? NULL
	               : "open_holds is less than the number of holds in the account's row";
}
