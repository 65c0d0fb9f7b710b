/*
 * seal: tells in constant memory whether two streams of (number, value) pairs say the same,
 * whatever their order and however a value is split: the sum of value times a secret 64-bit weight
 * of the number, modulo 2^128.  Sums over the same totals per number are equal; others differ but
 * for a chance of about 2^-64, which nobody can steer, because the key is drawn anew for every run.
 * Pure but for seal_draw.
 */
#ifndef OCTROI_AUDIT_SEAL_H
#define OCTROI_AUDIT_SEAL_H

#include <stdint.h>

__extension__ typedef unsigned __int128 seal_sum;

struct seal_key {
	uint64_t first, second;
};

void seal_draw(struct seal_key *key);
void seal_add(const struct seal_key *key, seal_sum *sum, int64_t number, int64_t value);
/* The same of a value that is a sum modulo 2^128 itself. */
void seal_add_sum(const struct seal_key *key, seal_sum *sum, int64_t number, seal_sum value);

#endif
