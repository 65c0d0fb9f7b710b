/*
 * rows: every row that a batch may see, and what became of it.  A look-up has three answers: the row,
 * NULL (looked for, not there), or a bug: it was never asked for, and the process aborts.  Nothing here
 * does I/O: prefetch fills the rows in, decide reads and changes them, persist writes what changed.
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

/* The account's slot, made if need be; stable until rows_reset.  NULL when memory is short. */
struct slot *rows_slot(struct rows *r, const struct account_key *key);
/* NULL when the batch does not concern the account. */
struct slot *rows_slot_known(struct rows *r, const struct account_key *key);
int rows_slot_count(const struct rows *r);
/* Slots by ascending key, the global lock order. */
struct slot *rows_slot_at(struct rows *r, int index);
void rows_sort_slots(struct rows *r);

/* Says that a row will be looked up; false when memory is short.  key: table_key's column, a seq, 16 bytes
 * or a text; anything where an account has one row.  s is NULL for a global row. */
bool rows_want(struct rows *r, struct slot *s, enum table_id table, const void *key);
bool rows_wanted(struct rows *r, struct slot *s, enum table_id table, const void *key);
/* Visits the wanted keys of a table until visit answers false. */
void rows_each_wanted(struct rows *r, enum table_id table,
                      bool (*visit)(void *context, struct slot *s, const void *key), void *context);

/* Takes in a row that prefetch read (change ROW_CLEAN). */
bool rows_load(struct rows *r, struct slot *s, struct row *row);
/* As if none of the account's holds had been read, but they stay wanted. */
void rows_forget_holds(struct rows *r, struct slot *s);
/* An empty row of the table, not yet known to the batch.  Never NULL: when memory is short the rows are
 * marked failed and a spare row is lent, so that decide needs no ladder; the batch is then thrown away. */
struct row *rows_alloc(struct rows *r, enum table_id table);
bool rows_failed(const struct rows *r);
/* Room for a text of a row, of at most ROWS_TEXT_MAX bytes; likewise never NULL. */
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
struct topups_row *rows_topup(struct rows *r, struct slot *s, int64_t seq);
struct grants_row *rows_grants(struct slot *s);      /* head; must be loaded */
struct holds_row *rows_open_holds(struct slot *s);   /* head; all must be loaded; skip ended ones */
struct members_row *rows_members(struct slot *s);    /* head; all must be loaded */
struct captures_row *rows_capture(struct rows *r, struct slot *s, int64_t seq);
struct paid_periods_row *rows_period(struct rows *r, struct slot *s, int64_t seq);
struct paid_periods_row *rows_periods(struct slot *s); /* head; those that run must be loaded */
struct statements_row *rows_statement(struct rows *r, struct slot *s, int64_t seq);

/* Changes, by decide.  rows_add: a row made by rows_alloc with its key filled in; it becomes visible. */
void rows_add(struct rows *r, struct slot *s, struct row *row);
void rows_touch(struct rows *r, struct row *row);
void rows_end(struct rows *r, struct row *row);

/* Changed rows of a table in the order of their first change, linked by row.written. */
struct row *rows_changed(struct rows *r, enum table_id table);
bool rows_any_changed(struct rows *r);

#endif
