#include "ledger/code.h"

#include <stdint.h>
#include <string.h>

#include "base/digest.h"

#define BITS 5
#define REFERRAL_MARK 'R'
#define DIGITS 12 /* 60 bits */

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/* As it is compared; '\0' for what no code has. */
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
	out[length] = '\0';
	return length >= CODE_MIN ? 0 : -1;
}

void code_key(const char *normal, unsigned char out[ID_KEY_BYTES])
{
	id_request_key(normal, strlen(normal), out);
}

/* The bits from the highest of the 60 down. */
static void write_digits(uint64_t bits, char *out)
{
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
}

void code_show(const char *normal, char out[CODE_SHOWN_MAX])
{
	size_t at = 0;
	const size_t head = code_is_referral(normal) ? 1 : 0;

	for (size_t i = 0; normal[i] != '\0'; i++) {
		if (i > 0 && (i - head) % 4 == 0)
			out[at++] = '-';
		out[at++] = normal[i];
	}
	out[at] = '\0';
}

void code_referral(const struct account_key *account, char out[CODE_MAX])
{
	out[0] = REFERRAL_MARK;
	write_digits(first_bits(account->bytes), out + 1);
}

bool code_is_referral(const char *normal)
{
	return normal[0] == REFERRAL_MARK && strlen(normal) == DIGITS + 1 && strspn(normal + 1, alphabet) == DIGITS;
}

void code_referral_range(const char *normal, struct account_key *low, struct account_key *high)
{
	uint64_t bits = 0;

	for (int i = 0; i < DIGITS; i++)
		bits = bits << BITS | (uint64_t)(strchr(alphabet, normal[1 + i]) - alphabet);
	bits <<= 64 - BITS * DIGITS;
	memset(low, 0, sizeof(*low));
	memset(high, 0xff, sizeof(*high));
	for (int i = 0; i < 8; i++) {
		low->bytes[i] = (unsigned char)(bits >> (56 - 8 * i));
		high->bytes[i] = low->bytes[i];
	}
	high->bytes[7] |= (unsigned char)((1U << (64 - BITS * DIGITS)) - 1);
}
