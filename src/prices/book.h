/*
 * book: all prices, past, present and to come, as one immutable value read from the database.  The
 * price of an item at a time is its row of the version with the latest start not after that time.
 * Of two versions that start together, the higher one counts.  A hold pins (item, version).  A book
 * is shared by reference count; the functions are thread-safe.
 */
#ifndef OCTROI_PRICES_BOOK_H
#define OCTROI_PRICES_BOOK_H

#include <stdint.h>

#include "db/db.h"
#include "prices/plan.h"
#include "prices/price.h"

struct book;

/* Reads every price and plan.  NULL on a fault, which is logged.  The caller owns one reference. */
struct book *book_load(struct db *d);
/* A book of copies of the prices, which must be valid (for tests and oracles). */
struct book *book_of(const struct price *prices, size_t count, int64_t latest_version);
/* Copies a valid plan into a book of book_of that is not shared yet. */
void book_add_plan(struct book *b, const struct plan *p);
struct book *book_hold(struct book *b);
void book_release(struct book *b); /* NULL is harmless */

int64_t book_version(const struct book *b); /* highest version in the database when it was read */
/* NULL when the item has no price at that time. */
const struct price *book_price_at(const struct book *b, enum price_kind kind, const char *item, int64_t time_us);
/* NULL when there is no such row. */
const struct price *book_price_of_version(const struct book *b, enum price_kind kind, const char *item,
                                          int64_t version);
/* Visits every price in force at that time, by kind and item (bytewise).  Stops at the first non-zero
 * result of visit, and returns it. */
int book_each(const struct book *b, int64_t time_us, int (*visit)(void *context, const struct price *p), void *context);
/* Visits every price of every version, by kind, item, start and version; stops as book_each does. */
int book_each_row(const struct book *b, int (*visit)(void *context, const struct price *p), void *context);

/* book_plan: the plan's newest version.  book_plan_at: the version for a period that begins at time_us; the first
 * version, if the period began before it.  book_plan_of_version: the version of that number.  NULL: there is none. */
const struct plan *book_plan(const struct book *b, const char *name);
const struct plan *book_plan_at(const struct book *b, const char *name, int64_t time_us);
const struct plan *book_plan_of_version(const struct book *b, const char *name, int64_t version);
/* Visits the newest version of every plan, by name; stops as book_each does. */
int book_each_plan(const struct book *b, int (*visit)(void *context, const struct plan *p), void *context);
/* Visits every version of every plan, by name, start and version; stops as book_each does. */
int book_each_plan_row(const struct book *b, int (*visit)(void *context, const struct plan *p), void *context);

#endif
