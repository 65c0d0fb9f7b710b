/*
 * csv: the list of an answer as CSV (RFC 4180).  A text that a spreadsheet would take for a formula has an apostrophe
 * before it.
 */
#ifndef OCTROI_ROUTES_API_CSV_H
#define OCTROI_ROUTES_API_CSV_H

#include "routes/api/call.h"

/* Turns the call's answer, JSON with a list of that name, into CSV with these columns, separated by commas.  The
 * header X-Octroi-Next-Cursor has nextCursor, percent-encoded.  Refusals stay as they are. */
void csv_answer(struct call *c, const char *list, const char *columns);

#endif
