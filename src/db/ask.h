/*
 * ask: one question to the database that only reads: the statements, then their rows, each taken in by a function,
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
/* -1: memory is short, or the row is not what was asked for. */
typedef int ask_taker(struct ask *q, const struct db_row *row, void *out);

void ask_init(struct ask *q, struct db *d, struct arena *a);
/* Sends the statements.  A connection that was cut is opened anew, once.  0 or -1, like those below. */
int ask_send(struct ask *q);
/* The same, rows streamed from the server: for more of them than memory should hold. */
int ask_send_stream(struct ask *q);
/* Takes in at most max rows of the current result, each of that size; how many, or -1. */
int ask_rows(struct ask *q, int max, ask_taker *take, void *rows, size_t size);
/* Takes in every row of it, one after the other, in the same place. */
int ask_each(struct ask *q, ask_taker *take, void *out);
/* On to the next statement's result. */
int ask_next(struct ask *q);
/* Ends the question, whatever became of it: -1 when it failed before (result), or fails now. */
int ask_end(struct ask *q, int result);

/* A text column in the arena; "" for NULL.  NULL when the arena is exhausted. */
const char *ask_text(struct ask *q, const struct db_row *row, unsigned column);
/* Appends the key to the statements. */
void ask_key(struct ask *q, const struct account_key *key);

#endif
