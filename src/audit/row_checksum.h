/*
 * row_checksum: tells in constant memory whether two streams of (number, value) pairs agree, in any order and with
 * values split in any way.  A checksum is the sum of value times a secret 64-bit weight of the number, modulo 2^128.
 * Streams with the same totals per number have equal checksums.  Other streams have equal checksums with a chance of
 * about 2^-64.  Nobody can choose rows that agree: the key is drawn anew for every run.  Pure, except for
 * row_checksum_draw.
 */
#ifndef OCTROI_AUDIT_ROW_CHECKSUM_H
#define OCTROI_AUDIT_ROW_CHECKSUM_H

#include <stdint.h>

__extension__ typedef unsigned __int128 row_checksum;

struct row_checksum_key {
	uint64_t first, second;
};

void row_checksum_draw(struct row_checksum_key *key);
void row_checksum_add(const struct row_checksum_key *key, row_checksum *sum, int64_t number, int64_t value);
/* Adds as row_checksum_add does, but a value that is itself a sum modulo 2^128. */
void row_checksum_add_sum(const struct row_checksum_key *key, row_checksum *sum, int64_t number, row_checksum value);

#endif
