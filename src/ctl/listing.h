/*
 * listing: rows of named fields, printed as an aligned table for people or, with --json, as JSON.
 * The first row's fields make the columns; every row has the same fields in the same order.  One
 * thread.
 */
#ifndef OCTROI_CTL_LISTING_H
#define OCTROI_CTL_LISTING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"

struct listing;

/* Never NULL: short of memory the program ends (CTL_FAILED).  name: of the list in JSON. */
struct listing *listing_new(const char *name);
void listing_free(struct listing *l); /* NULL is harmless */

/* Begins a row; the following calls fill its fields.  key is a literal in camelCase, heading what
 * people see. */
void listing_row(struct listing *l);
void listing_text(struct listing *l, const char *key, const char *heading, const char *text);
void listing_int(struct listing *l, const char *key, const char *heading, int64_t value);
/* micros: JSON the integer, people a decimal with at least 2 places. */
void listing_amount(struct listing *l, const char *key, const char *heading, int64_t amount_micros);
/* The same of a limit; COMMAND_NO_LIMIT: JSON null, people "-". */
void listing_limit(struct listing *l, const char *key, const char *heading, int64_t limit_micros);
/* Tenths of a percent: JSON the integer, people "57.0 %"; there false: JSON null, people "-". */
void listing_tenths(struct listing *l, const char *key, const char *heading, bool there, int64_t tenths);
/* micros since 1970, 0 for never: JSON RFC 3339 or null, people the same or "-". */
void listing_time(struct listing *l, const char *key, const char *heading, int64_t time_us);

/* Prints all rows to stdout: {"name":[…]} or the table. */
void listing_print(const struct listing *l, bool json);
/* Its only row: {…}, or one field per line. */
void listing_print_single(const struct listing *l, bool json);

/* The same as part of a larger document: a list, or the only row as a record, under the listing's
 * name. */
void listing_json(const struct listing *l, struct json_writer *w);
void listing_json_single(const struct listing *l, struct json_writer *w);

#endif
