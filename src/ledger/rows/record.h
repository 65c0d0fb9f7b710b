/*
 * record: what the journal keeps of a usage's or a transaction's row, so that a change is seen.  A row's sum is
 * the first half of the SHA-256 of its columns, as a number modulo 2^128.  An entry carries the sum after a change of
 * the row less the sum before.  What all entries of a row carry comes to its sum.  Pure.
 */
#ifndef OCTROI_LEDGER_ROWS_RECORD_H
#define OCTROI_LEDGER_ROWS_RECORD_H

#include <stdbool.h>

#include "ledger/rows/table.h"

__extension__ typedef unsigned __int128 record_sum;

#define RECORD_BYTES 16 /* of entries.record: a sum, most significant byte first */

/* Over each column that is neither 0 nor empty: its name, a NUL, the value's length as two bytes, the value (a number
 * as eight bytes).  So a later version may add columns.  A usage's balance_micros and available_micros are left out:
 * they repeat an answer, and are known after the entries are. */
record_sum record_of(const struct row *row);

void record_write(record_sum sum, unsigned char out[RECORD_BYTES]);
record_sum record_read(const unsigned char bytes[RECORD_BYTES]);

#endif
