/*
 * listing: rows of named fields, printed as an aligned table for people, as JSON with --json, as CSV with --csv.  It is
 * the one table printer.  The first row's fields are the columns; every row has the same fields in the same order.  One
 * thread.
 */
#ifndef OCTROI_CTL_LISTING_H
#define OCTROI_CTL_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"

struct ctl;
struct listing;

/* Never NULL: without memory the program ends (CTL_FAILED).  name: of the rows, "accounts".  An empty table says
 * "no accounts". */
struct listing *listing_new(const char *name);
void listing_free(struct listing *l); /* NULL is harmless */
size_t listing_rows(const struct listing *l);

/* Begins a row; the following calls add its fields.  key is a literal in camelCase, for JSON; heading
 * is the name of the field in the table. */
void listing_row(struct listing *l);
void listing_text(struct listing *l, const char *key, const char *heading, const char *text);
void listing_int(struct listing *l, const char *key, const char *heading, int64_t value);
/* Adds micros: in JSON the integer, in the table a decimal with at least 2 places. */
void listing_amount(struct listing *l, const char *key, const char *heading, int64_t amount_micros);
/* Adds tenths of a percent: in JSON the integer, in the table "57.0 %"; there false: null and "-". */
void listing_tenths(struct listing *l, const char *key, const char *heading, bool there, int64_t tenths);
/* Adds a time in micros since 1970, in RFC 3339; 0 (never): null in JSON, "-" in the table. */
void listing_time(struct listing *l, const char *key, const char *heading, int64_t time_us);

/* Adds yes or no; in JSON true or false. */
void listing_flag(struct listing *l, const char *key, const char *heading, bool value);

/* A column whose value is a member of a JSON record.  key: the path to it, "allowance.limitMicros".  An absent member
 * and a null are "-" in the table.  A list of texts is one text with commas. */
enum listing_kind { LISTING_TEXT, LISTING_INT, LISTING_AMOUNT, LISTING_TENTHS };
struct listing_column {
	const char *key, *heading; /* NULL at the end */
	enum listing_kind kind;
};
/* Begins a row and adds these members of the record as its fields. */
void listing_record(struct listing *l, const struct json *record, const struct listing_column *columns);
/* As listing_record, followed by the members of another record; inner NULL: none of them is there. */
void listing_pair(struct listing *l, const struct json *record, const struct listing_column *columns,
                  const struct json *inner, const struct listing_column *inner_columns);
/* As listing_record, with a text in the first column: a row of totals. */
void listing_total(struct listing *l, const char *text, const struct json *record,
                   const struct listing_column *columns);
/* As listing_record, without the absent members: for a listing of one row. */
void listing_present(struct listing *l, const struct json *record, const struct listing_column *columns);

/* Prints all rows to stdout: {"items":[…]}, or as CSV (RFC 4180, the JSON's names as columns), or the table. */
void listing_print(const struct listing *l, const struct ctl *c);
void listing_print_table(const struct listing *l);
/* Prints the only row: {…}, or one field per line. */
void listing_print_single(const struct listing *l, bool json);

/* Puts the rows as a list, or the only row as a record, into a larger document under the listing's
 * name. */
void listing_json(const struct listing *l, struct json_writer *w);
void listing_json_single(const struct listing *l, struct json_writer *w);

#endif
