#include "audit/row_checksum.h"

#include "base/digest.h"

void row_checksum_draw(struct row_checksum_key *key)
{
	digest_random(key, sizeof(*key));
}

/* The finaliser of MurmurHash3: every bit of x reaches every bit of the result. */
static uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= UINT64_C(0xff51afd7ed558ccd);
	x ^= x >> 33;
	x *= UINT64_C(0xc4ceb9fe1a85ec53);
	x ^= x >> 33;
	return x;
}

void row_checksum_add(const struct row_checksum_key *key, row_checksum *sum, int64_t number, int64_t value)
{
	/* The conversion turns a negative value into its complement, as modulo 2^128 requires. */
	row_checksum_add_sum(key, sum, number, (row_checksum)value);
}

void row_checksum_add_sum(const struct row_checksum_key *key, row_checksum *sum, int64_t number, row_checksum value)
{
	const uint64_t weight = mix(mix((uint64_t)number ^ key->first) + key->second);

	*sum += (row_checksum)weight * value;
}
