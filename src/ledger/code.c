#include "ledger/code.h"

#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "base/digest.h"

#define BITS 5
#define REFERRAL_MARK 'R'
#define DIGITS 12 /* 60 bits */

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
_Static_assert(sizeof(alphabet) - 1 == 1U << BITS, "a digit for each value");
_Static_assert(BITS *DIGITS <= 64 && DIGITS + 1 < CODE_MAX, "a referral code fits");
_Static_assert(CODE_MAX + CODE_MAX / 4 < CODE_SHOWN_MAX, "a code fits with its hyphens");

/* The character as it is compared; '\0' for one that no code has. */
static char normal_character(char c)
{
	if (c >= 'a' && c <= 'z')
		c = (char)(c - 'a' + 'A');
	if (c == 'I' || c == 'L')
		return '1';
	if (c == 'O')
		return '0';
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ? c : '\0';
}

int code_normal(const char *text, char out[CODE_MAX])
{
	size_t length = 0;

	for (; *text != '\0'; text++) {
		const char c = normal_character(*text);

		if (*text == ' ' || *text == '-')
			continue;
		if (c == '\0' || length == CODE_MAX - 1)
			return -1;
		out[length++] = c;
	}
	CHECK(length < CODE_MAX);
	out[length] = '\0';
	return length >= CODE_MIN ? 0 : -1;
}

void code_key(const char *normal, unsigned char out[ID_KEY_BYTES])
{
	CHECK(normal[0] != '\0');
	id_request_key(normal, strlen(normal), out);
}

/* Writes the 60 bits as digits, the highest bits first. */
static void write_digits(uint64_t bits, char *out)
{
	CHECK(bits >> (BITS * DIGITS) == 0);
	for (int i = 0; i < DIGITS; i++)
		out[i] = alphabet[(bits >> (BITS * (DIGITS - 1 - i))) & ((1U << BITS) - 1)];
	out[DIGITS] = '\0';
}

static uint64_t first_bits(const unsigned char bytes[8])
{
	uint64_t bits = 0;

	for (int i = 0; i < 8; i++)
		bits = bits << 8 | bytes[i];
	return bits >> (64 - BITS * DIGITS);
}

void code_random(char out[CODE_MAX])
{
	unsigned char bytes[8];

	digest_random(bytes, sizeof(bytes));
	write_digits(first_bits(bytes), out);
	/* DIGITS digits are no referral code, which has one character more. */
	CHECK(!code_is_referral(out) && strlen(out) >= CODE_MIN);
}

void code_show(const char *normal, char out[CODE_SHOWN_MAX])
{
	size_t at = 0;
	const size_t head = code_is_referral(normal) ? 1 : 0;

	CHECK(strlen(normal) < CODE_MAX);
	for (size_t i = 0; normal[i] != '\0'; i++) {
		if (i > 0 && (i - head) % 4 == 0)
			out[at++] = '-';
		out[at++] = normal[i];
	}
	out[at] = '\0';
}

/* ---- referral codes ------------------------------------------------------------------------------ */

#define HALF_BITS (BITS * DIGITS / 2)
#define HALF_MASK ((UINT32_C(1) << HALF_BITS) - 1)
#define ROUNDS 10
_Static_assert(2 * HALF_BITS == BITS * DIGITS, "the halves are alike");

/* A keyed digest of one half.  All inputs have the same length, so that SHA-256 needs no HMAC around it. */
static uint32_t scramble(const unsigned char key[DIGEST_BYTES], int round, uint32_t half)
{
	unsigned char bytes[DIGEST_BYTES + 5], digest[DIGEST_BYTES];
	uint32_t value = 0;

	CHECK(round >= 0 && round < ROUNDS && half <= HALF_MASK);
	memcpy(bytes, key, DIGEST_BYTES);
	bytes[DIGEST_BYTES] = (unsigned char)round;
	for (int i = 0; i < 4; i++)
		bytes[DIGEST_BYTES + 1 + i] = (unsigned char)(half >> 8 * i);
	digest_sha256(bytes, sizeof(bytes), digest);
	for (int i = 0; i < 4; i++)
		value = value << 8 | digest[i];
	return value & HALF_MASK;
}

/* A Feistel network.  Without the key the bits of the code do not tell those of the account, nor the reverse. */
static uint64_t encrypt(const unsigned char key[DIGEST_BYTES], uint64_t bits)
{
	uint32_t left = (uint32_t)(bits >> HALF_BITS), right = (uint32_t)(bits & HALF_MASK);

	for (int round = 0; round < ROUNDS; round++) {
		const uint32_t next = left ^ scramble(key, round, right);

		left = right;
		right = next;
	}
	CHECK(left <= HALF_MASK && right <= HALF_MASK);
	return (uint64_t)left << HALF_BITS | right;
}

static uint64_t decrypt(const unsigned char key[DIGEST_BYTES], uint64_t bits)
{
	uint32_t left = (uint32_t)(bits >> HALF_BITS), right = (uint32_t)(bits & HALF_MASK);

	for (int round = ROUNDS - 1; round >= 0; round--) {
		const uint32_t before = right ^ scramble(key, round, left);

		right = left;
		left = before;
	}
	CHECK(left <= HALF_MASK && right <= HALF_MASK);
	return (uint64_t)left << HALF_BITS | right;
}

void code_referral(const unsigned char key[DIGEST_BYTES], const struct account_key *account, char out[CODE_MAX])
{
	const uint64_t bits = first_bits(account->bytes), secret = encrypt(key, bits);

	CHECK(decrypt(key, secret) == bits);
	out[0] = REFERRAL_MARK;
	write_digits(secret, out + 1);
	CHECK(code_is_referral(out));
}

bool code_is_referral(const char *normal)
{
	return normal[0] == REFERRAL_MARK && strlen(normal) == DIGITS + 1 && strspn(normal + 1, alphabet) == DIGITS;
}

static void make_range(uint64_t bits, struct account_key *low, struct account_key *high)
{
	CHECK(bits >> (BITS * DIGITS) == 0);
	bits <<= 64 - BITS * DIGITS;
	memset(low, 0, sizeof(*low));
	memset(high, 0xff, sizeof(*high));
	for (int i = 0; i < 8; i++) {
		low->bytes[i] = (unsigned char)(bits >> (56 - 8 * i));
		high->bytes[i] = low->bytes[i];
	}
	high->bytes[7] |= (unsigned char)((1U << (64 - BITS * DIGITS)) - 1);
	CHECK(memcmp(low, high, sizeof(*low)) < 0);
}

static uint64_t read_digits(const char *digits)
{
	uint64_t bits = 0;

	for (int i = 0; i < DIGITS; i++) {
		const char *digit = strchr(alphabet, digits[i]);

		CHECK(digit != NULL && *digit != '\0');
		bits = bits << BITS | (uint64_t)(digit - alphabet);
	}
	return bits;
}

void code_referral_range(const unsigned char key[DIGEST_BYTES], const char *normal, struct account_key *low,
                         struct account_key *high)
{
	CHECK(code_is_referral(normal));
	make_range(decrypt(key, read_digits(normal + 1)), low, high);
}

void code_referral_range_plain(const char *normal, struct account_key *low, struct account_key *high)
{
	CHECK(code_is_referral(normal));
	make_range(read_digits(normal + 1), low, high);
}
