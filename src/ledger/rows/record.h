/*
 * record: sums by which the journal shows that the row of a usage or a transaction was changed.  A row's sum is
 * the first half of the SHA-256 of its columns, as a number modulo 2^128.  An entry carries the sum after a change of
 * the row less the sum before.  The numbers that all entries of a row carry add up to the row's sum.  Pure.
 */
#ifndef OCTROI_LEDGER_ROWS_RECORD_H
#define OCTROI_LEDGER_ROWS_RECORD_H

#include <stdbool.h>

#include "ledger/rows/table.h"

__extension__ typedef unsigned __int128 record_sum;

#define RECORD_BYTES 16 /* of entries.record: a sum, most significant byte first */

/* The sum of a row.  Each column that is neither 0 nor empty gives its name, a NUL, the value's length as two bytes,
 * and the value.  A number has eight bytes.  So a later version may add columns.  A usage's balance_micros and
 * available_micros are left out: they repeat an answer, and are known only after the entries. */
record_sum record_of(const struct row *row);

void record_write(record_sum sum, unsigned char out[RECORD_BYTES]);
record_sum record_read(const unsigned char bytes[RECORD_BYTES]);

#endif
