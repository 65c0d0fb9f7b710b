#include "ledger/rows/packed_holds.h"

#include <string.h>

#include "base/check.h"
#include "ledger/rows/packed_hold.h"

#define PAD 32 /* the length of a text is a multiple, so that a longer number seldom changes it */
_Static_assert(PACKED_HOLD_MAX < ROWS_TEXT_MAX, "the text of a hold is a text of a row");

/* True if the hold is to be loaded.  One that is in holds as well is left to the audit. */
static bool is_to_load(struct rows *r, struct slot *s, int64_t seq)
{
	const bool named = rows_wanted(r, s, TABLE_HOLDS, &seq);

	CHECK(seq != 0);
	return (s->holds_loaded || named) && (!named || rows_hold(r, s, seq) == NULL);
}

static bool load_at(struct rows *r, struct slot *s, int at)
{
	const char *text = packed_hold_text(s->account, at);
	const int64_t seq = packed_hold_seq(s->account, at);
	const size_t size = strlen(text) + 1;
	struct holds_row *h;
	char *copy;

	if (seq <= 0 || size > PACKED_HOLD_MAX + 1 || !is_to_load(r, s, seq))
		return true;
	h = (struct holds_row *)rows_alloc(r, TABLE_HOLDS);
	copy = rows_text(r, size);
	if (rows_failed(r))
		return false;
	memcpy(copy, text, size);
	memcpy(h->account_id, s->account->id, sizeof(h->account_id));
	/* slot_check refuses the account of a text that is no hold. */
	if (!packed_hold_unpack(copy, h))
		return true;
	CHECK(h->seq == seq);
	return rows_load(r, s, &h->row);
}

bool packed_holds_load(struct rows *r, struct slot *s)
{
	if (s->account == NULL)
		return true;
	CHECK(s->account->row.change == ROW_CLEAN);
	for (int at = 0; at < PACKED_HOLDS; at++)
		if (!load_at(r, s, at))
			return false;
	return true;
}

/* Puts the text into the column, filled up with blanks. */
static void pack_into(struct rows *r, struct accounts_row *a, int at, const char *text)
{
	const size_t before = strlen(packed_hold_text(a, at)), length = strlen(text);
	size_t size = (length + PAD - 1) / PAD * PAD;
	char *padded;

	if (size > PACKED_HOLD_MAX)
		size = PACKED_HOLD_MAX;
	if (size < before)
		size = before;
	CHECK(length <= size && size <= PACKED_HOLD_MAX);
	padded = rows_text(r, size + 1);
	memset(padded, ' ', size);
	memcpy(padded, text, length);
	padded[size] = '\0';
	packed_hold_set_text(a, at, padded);
	rows_touch(r, &a->row);
}

/* Writes the hold into the column; false if it does not fit. */
static bool pack(struct rows *r, struct accounts_row *a, int at, const struct holds_row *h)
{
	char text[PACKED_HOLD_MAX + 1];

	CHECK(memcmp(h->account_id, a->id, sizeof(a->id)) == 0);
	if (!packed_hold_pack(h, text))
		return false;
	pack_into(r, a, at, text);
	return true;
}

/* Takes ended holds out of their columns, and writes changed ones again.  One that fits no more moves to holds. */
static void note_packed(struct rows *r, struct accounts_row *a, struct holds_row *h)
{
	int at;

	CHECK(h->row.table == TABLE_HOLDS && h->row.change != ROW_COPIED);
	if (h->row.change != ROW_ENDED && h->row.change != ROW_CHANGED)
		return;
	at = packed_hold_find(a, h->seq);
	if (at == PACKED_HOLDS)
		return;
	if (h->row.change == ROW_CHANGED && pack(r, a, at, h)) {
		h->row.change = ROW_COPIED;
		return;
	}
	pack_into(r, a, at, "");
	h->row.change = h->row.change == ROW_CHANGED ? ROW_NEW : ROW_COPIED;
}

static void note_new(struct rows *r, struct accounts_row *a, struct holds_row *h)
{
	int at;

	if (h->row.change != ROW_NEW)
		return;
	CHECK(packed_hold_find(a, h->seq) == PACKED_HOLDS);
	at = packed_hold_find_free(a);
	if (at < PACKED_HOLDS && pack(r, a, at, h))
		h->row.change = ROW_COPIED;
}

void packed_holds_note(struct rows *r, struct slot *s)
{
	struct accounts_row *a = s->account;

	if (a == NULL)
		return;
	for (struct holds_row *h = s->holds; h != NULL; h = (struct holds_row *)h->row.next)
		note_packed(r, a, h);
	for (struct holds_row *h = s->holds; h != NULL; h = (struct holds_row *)h->row.next)
		note_new(r, a, h);
	CHECK(rows_failed(r) || packed_hold_count(a) <= a->open_holds);
}
