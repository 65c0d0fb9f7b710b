#include "audit/row_checksum.h"

#include "base/digest.h"

void seal_draw(struct seal_key *key)
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

void seal_add(const struct seal_key *key, seal_sum *sum, int64_t number, int64_t value)
{
	/* The conversion turns a negative value into its complement, as modulo 2^128 requires. */
	seal_add_sum(key, sum, number, (seal_sum)value);
}

void seal_add_sum(const struct seal_key *key, seal_sum *sum, int64_t number, seal_sum value)
{
	const uint64_t weight = mix(mix((uint64_t)number ^ key->first) + key->second);

	*sum += (seal_sum)weight * value;
}
