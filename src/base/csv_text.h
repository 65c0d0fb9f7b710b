/*
 * csv_text: a text as a cell of a CSV file (RFC 4180).  A text that a spreadsheet would take for a formula has an
 * apostrophe before it: one that begins with = + - @, a tab or a line's end, or a full-width form of the signs (OWASP,
 * "CSV Injection").
 */
#ifndef OCTROI_BASE_CSV_TEXT_H
#define OCTROI_BASE_CSV_TEXT_H

#include "base/buf.h"

/* Adds the cell, quoted where it has to be.  The buffer notes an overflow, as ever. */
void csv_text_add(struct buf *out, const char *text);

#endif
