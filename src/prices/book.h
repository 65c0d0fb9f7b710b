/*
 * book: all prices, past, present and to come, as one immutable value read from the database.  The
 * price of an item at a time is its row of the version with the latest start not after that time
 * (the higher version where two start together); a hold pins (item, version).  A book is shared by
 * reference count; the functions are thread-safe.
 */
#ifndef OCTROI_PRICES_BOOK_H
#define OCTROI_PRICES_BOOK_H

#include <stdint.h>

#include "db/db.h"
#include "prices/plan.h"
#include "prices/price.h"

struct book;

/* Reads every price.  NULL, logged, on a fault.  Holds one reference. */
struct book *book_load(struct db *d);
/* A book of these valid prices (tests, oracles), which are copied. */
struct book *book_of(const struct price *prices, size_t count, int64_t latest_version);
/* Copies a valid plan into a book of book_of that is not shared yet. */
void book_add_plan(struct book *b, const struct plan *p);
struct book *book_hold(struct book *b);
void book_release(struct book *b); /* NULL is harmless */

int64_t book_version(const struct book *b); /* highest version in the database when it was read */
/* NULL when the item has no price at that time. */
const struct price *book_price_at(const struct book *b, enum price_kind kind, const char *item,
                                  int64_t time_us);
/* NULL when there is no such row. */
const struct price *book_price_of_version(const struct book *b, enum price_kind kind,
                                          const char *item, int64_t version);
/* Every price in force at that time, by kind and item (bytewise); stops at, and returns, a visit's
 * non-zero. */
int book_each(const struct book *b, int64_t time_us,
              int (*visit)(void *context, const struct price *p), void *context);
/* Every price of every version, by kind, item, start and version. */
int book_each_row(const struct book *b, int (*visit)(void *context, const struct price *p),
                  void *context);

/* The plan's newest version; the one that a period which begins at that time follows (the first, if it began before
 * there was any); and a certain one.  NULL when there is none. */
const struct plan *book_plan(const struct book *b, const char *name);
const struct plan *book_plan_at(const struct book *b, const char *name, int64_t time_us);
const struct plan *book_plan_of_version(const struct book *b, const char *name, int64_t version);
/* The newest version of every plan, by name; stops at, and returns, a visit's non-zero. */
int book_each_plan(const struct book *b, int (*visit)(void *context, const struct plan *p), void *context);
/* Every version of every plan, by name, start and version. */
int book_each_plan_row(const struct book *b, int (*visit)(void *context, const struct plan *p), void *context);

#endif
