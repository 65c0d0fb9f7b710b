/*
 * ask: one question to the database that only reads.  The statements are sent; then a function takes in each row, with
 * texts in the caller's arena.  One connection, its thread.
 */
#ifndef OCTROI_DB_ASK_H
#define OCTROI_DB_ASK_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/id.h"
#include "db/db.h"

struct ask {
	struct db *db;
	struct arena *arena;
	struct buf sql;
};
/* -1: memory is short, or the row does not answer the question. */
typedef int ask_taker(struct ask *q, const struct db_row *row, void *out);

void ask_init(struct ask *q, struct db *d, struct arena *a);
/* Sends the statements.  A connection that was cut is opened anew, once.  0 or -1, like the functions below. */
int ask_send(struct ask *q);
/* Sends as ask_send does, but rows are streamed from the server: for more rows than memory should hold. */
int ask_send_stream(struct ask *q);
/* Takes in at most max rows of the current result, each into size bytes of rows; their number, or -1. */
int ask_rows(struct ask *q, int max, ask_taker *take, void *rows, size_t size);
/* Takes in the rows of a page, in the arena.  The statement asks for limit + 1 rows; *more if the last is there. */
int ask_page(struct ask *q, int limit, ask_taker *take, size_t size, void **rows, int *count, bool *more);
/* Takes in the integer that is the first column of the current result's first row.  1, 0 without a row, or -1. */
int ask_int(struct ask *q, int64_t *value);
/* Takes in every row of the current result, one after the other, in the same place. */
int ask_each(struct ask *q, ask_taker *take, void *out);
/* Moves on to the next statement's result. */
int ask_next(struct ask *q);
/* Ends the question in any case: -1 when it failed before (result), or fails now. */
int ask_end(struct ask *q, int result);

/* A text column in the arena; "" for NULL.  NULL when the arena is exhausted. */
const char *ask_text(struct ask *q, const struct db_row *row, unsigned column);
/* Appends the key to the statements. */
void ask_key(struct ask *q, const struct account_key *key);

#endif
