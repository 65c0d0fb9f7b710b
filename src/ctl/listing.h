/*
 * listing: rows of named fields, printed as an aligned table for people or, with --json, as JSON.
 * The first row's fields are the columns; every row has the same fields in the same order.  One
 * thread.
 */
#ifndef OCTROI_CTL_LISTING_H
#define OCTROI_CTL_LISTING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"

struct listing;

/* Never NULL: without memory the program ends (CTL_FAILED).  name: of the list in JSON. */
struct listing *listing_new(const char *name);
void listing_free(struct listing *l); /* NULL is harmless */

/* Begins a row; the following calls add its fields.  key is a literal in camelCase, for JSON; heading
 * is the name of the field in the table. */
void listing_row(struct listing *l);
void listing_text(struct listing *l, const char *key, const char *heading, const char *text);
void listing_int(struct listing *l, const char *key, const char *heading, int64_t value);
/* Adds micros: in JSON the integer, in the table a decimal with at least 2 places. */
void listing_amount(struct listing *l, const char *key, const char *heading, int64_t amount_micros);
/* Adds a limit as listing_amount does; COMMAND_NO_LIMIT is null in JSON, "-" in the table. */
void listing_limit(struct listing *l, const char *key, const char *heading, int64_t limit_micros);
/* Adds tenths of a percent: in JSON the integer, in the table "57.0 %"; there false: null and "-". */
void listing_tenths(struct listing *l, const char *key, const char *heading, bool there, int64_t tenths);
/* Adds a time in micros since 1970, in RFC 3339; 0 (never): null in JSON, "-" in the table. */
void listing_time(struct listing *l, const char *key, const char *heading, int64_t time_us);

/* Prints all rows to stdout: {"name":[…]} or the table. */
void listing_print(const struct listing *l, bool json);
/* Prints the only row: {…}, or one field per line. */
void listing_print_single(const struct listing *l, bool json);

/* Puts the rows as a list, or the only row as a record, into a larger document under the listing's
 * name. */
void listing_json(const struct listing *l, struct json_writer *w);
void listing_json_single(const struct listing *l, struct json_writer *w);

#endif
