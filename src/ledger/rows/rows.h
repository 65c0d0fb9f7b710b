/*
 * rows: every row that a batch may see, and its changes.  A look-up returns the row, or NULL: looked for, not
 * there.  A look-up of a row that was never asked for is a bug, and the process aborts.  Nothing here does
 * I/O: prefetch fills the rows in, decide reads and changes them, persist writes the changed ones.
 * A batch's rows belong to the leader's thread.
 */
#ifndef OCTROI_LEDGER_ROWS_ROWS_H
#define OCTROI_LEDGER_ROWS_ROWS_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/id.h"
#include "ledger/rows/slot.h"

struct rows;

/* Row memory comes from the arena, which must outlive the rows. */
struct rows *rows_new(struct arena *arena);
void rows_free(struct rows *r);
void rows_reset(struct rows *r);

/* The account's slot, made if need be; stable until rows_reset.  NULL when memory or slots are short. */
struct slot *rows_slot(struct rows *r, const struct account_key *key);
/* The account's slot; NULL when the batch does not concern the account. */
struct slot *rows_slot_known(struct rows *r, const struct account_key *key);
int rows_slot_count(const struct rows *r);
/* The slot at index.  rows_sort_slots sorts slots by ascending key, the global lock order. */
struct slot *rows_slot_at(struct rows *r, int index);
void rows_sort_slots(struct rows *r);

/* Says that a row will be looked up; false when memory is short.  key: a value of table_key's column, which is a
 * seq, 16 bytes or a text; ignored where an account has one row.  s is NULL for a global row. */
bool rows_want(struct rows *r, struct slot *s, enum table_id table, const void *key);
bool rows_wanted(struct rows *r, struct slot *s, enum table_id table, const void *key);
/* Visits the wanted keys of a table until visit returns false. */
void rows_each_wanted(struct rows *r, enum table_id table,
                      bool (*visit)(void *context, struct slot *s, const void *key), void *context);

/* Takes in a row that prefetch read, and sets its change to ROW_CLEAN.  False when memory is short. */
bool rows_load(struct rows *r, struct slot *s, struct row *row);
/* Forgets the account's holds, as if none had been read; they stay wanted. */
void rows_forget_holds(struct rows *r, struct slot *s);
/* An empty row of the table, not yet known to the batch.  Never NULL.  When memory is short the rows are
 * marked failed, and a spare row is lent, so that decide has no errors to handle.  The caller of decide must
 * check rows_failed, and throw the batch's rows away. */
struct row *rows_alloc(struct rows *r, enum table_id table);
bool rows_failed(const struct rows *r);
/* Room for a text of a row, of at most ROWS_TEXT_MAX bytes.  Never NULL: spare room is lent as by rows_alloc. */
#define ROWS_TEXT_MAX ((size_t)2048)
char *rows_text(struct rows *r, size_t size);

/* Look-ups for decide. */
struct row *rows_find(struct rows *r, struct slot *s, enum table_id table, const void *key);
struct holds_row *rows_hold(struct rows *r, struct slot *s, int64_t seq);
struct usages_row *rows_usage(struct rows *r, struct slot *s, int64_t seq);
struct requests_row *rows_request(struct rows *r, struct slot *s, const unsigned char key[ID_KEY_BYTES]);
struct members_row *rows_member(struct rows *r, struct slot *s, const char *member);
struct profiles_row *rows_profile(struct rows *r, struct slot *s);
struct billing_row *rows_billing(struct rows *r, struct slot *s);
struct recharges_row *rows_recharge(struct rows *r, struct slot *s);
struct graces_row *rows_grace(struct rows *r, struct slot *s);
struct topups_row *rows_topup(struct rows *r, struct slot *s, int64_t seq);
struct grants_row *rows_grants(struct slot *s);    /* head; must be loaded */
struct holds_row *rows_open_holds(struct slot *s); /* head; all must be loaded; skip ended ones */
struct members_row *rows_members(struct slot *s);  /* head; all must be loaded */
struct captures_row *rows_capture(struct rows *r, struct slot *s, int64_t seq);
struct paid_periods_row *rows_period(struct rows *r, struct slot *s, int64_t seq);
struct paid_periods_row *rows_periods(struct slot *s); /* head; those that run must be loaded */

/* Changes, by decide.  rows_add makes a row visible that rows_alloc made and whose key is filled in.  rows_touch marks
 * a row to be updated, rows_end one to be deleted. */
void rows_add(struct rows *r, struct slot *s, struct row *row);
void rows_touch(struct rows *r, struct row *row);
void rows_end(struct rows *r, struct row *row);

/* The changed rows of a table, in the order of their first change, linked by row.written. */
struct row *rows_changed(struct rows *r, enum table_id table);
bool rows_any_changed(struct rows *r);

#endif
