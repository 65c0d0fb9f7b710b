/*
 * seal: tells in constant memory whether two streams of (number, value) pairs agree, in any order
 * and with values split in any way.  A seal is the sum of value times a secret 64-bit weight of the
 * number, modulo 2^128.  Streams with the same totals per number have equal seals.  Other streams
 * have equal seals with a chance of about 2^-64.  Nobody can steer it: the key is drawn anew for
 * every run.  Pure, except for seal_draw.
 */
#ifndef OCTROI_AUDIT_ROW_CHECKSUM_H
#define OCTROI_AUDIT_ROW_CHECKSUM_H

#include <stdint.h>

__extension__ typedef unsigned __int128 seal_sum;

struct seal_key {
	uint64_t first, second;
};

void seal_draw(struct seal_key *key);
void seal_add(const struct seal_key *key, seal_sum *sum, int64_t number, int64_t value);
/* Adds as seal_add does, but a value that is itself a sum modulo 2^128. */
void seal_add_sum(const struct seal_key *key, seal_sum *sum, int64_t number, seal_sum value);

#endif
