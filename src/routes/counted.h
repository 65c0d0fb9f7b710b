/*
 * counted: counts, variants and lines of usages, as the API takes and shows them.
 */
#ifndef OCTROI_ROUTES_COUNTED_H
#define OCTROI_ROUTES_COUNTED_H

#include "base/json.h"
#include "prices/price.h"
#include "routes/api/parse.h"

/* Reads counts from that dimension on: of a record a whole number or a decimal text for each name, of a query the text
 * "images=2,seconds=37.5". */
void counted_parse(struct parse *p, enum dimension first, struct counts *counts);
/* Reads the member variant; "" when absent. */
const char *counted_parse_variant(struct parse *p);

/* Writes the counts from that dimension on as the record counts; nothing where there are none. */
void counted_put(struct json_writer *w, enum dimension first, const struct counts *counts);
/* Writes the lines of a charge of the model, each rounded down, and their rounding up to the cost as a line of its
 * own. */
void counted_put_lines(struct json_writer *w, const struct price *p, enum account_unit unit,
                       const struct price_use *use, micros cost_micros);

#endif
