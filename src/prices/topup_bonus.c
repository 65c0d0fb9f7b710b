#include "prices/topup_bonus.h"

#include <string.h>

#include "base/check.h"

static void skip_blanks(const char **at)
{
	*at += strspn(*at, " ");
}

/* Reads digits, a number from 1 to max, and moves *at behind it. */
static int read_bonus_number(const char **at, int64_t max, int64_t *number)
{
	int64_t value = 0;

	if (**at < '1' || **at > '9')
		return -1;
	for (; **at >= '0' && **at <= '9'; ++*at) {
		value = value * 10 + (**at - '0');
		if (value > max)
			return -1;
	}
	*number = value;
	return 0;
}

static int read_mark(const char **at, char mark)
{
	if (**at != mark)
		return -1;
	++*at;
	return 0;
}

static int read_bonus_tier(const char **at, struct topup_bonus_tier *tier)
{
	if (read_bonus_number(at, TOPUP_BONUS_AMOUNT_MAX, &tier->amount) != 0 || read_mark(at, ':') != 0)
		return -1;
	skip_blanks(at);
	if (read_bonus_number(at, TOPUP_BONUS_PERCENT_MAX, &tier->percent) != 0)
		return -1;
	return read_mark(at, '%');
}

int topup_bonus_read(struct topup_bonus *b, const char *text)
{
	struct topup_bonus read = {.count = 0};
	const char *at = text;

	for (skip_blanks(&at); *at != '\0'; skip_blanks(&at)) {
		struct topup_bonus_tier *tier = &read.tiers[read.count];

		if (read.count == TOPUP_BONUS_TIERS_MAX)
			return -1;
		if (read.count > 0 && read_mark(&at, ',') != 0)
			return -1;
		skip_blanks(&at);
		if (read_bonus_tier(&at, tier) != 0 || (read.count > 0 && tier->amount <= tier[-1].amount))
			return -1;
		read.count++;
	}
	*b = read;
	return 0;
}

micros topup_bonus_of(const struct topup_bonus *b, micros money, micros credits)
{
	int64_t percent = 0;

	CHECK(money >= 0 && credits >= 0 && b->count >= 0 && b->count <= TOPUP_BONUS_TIERS_MAX);
	for (int i = 0; i < b->count && money >= b->tiers[i].amount * MONEY_MICROS_PER_MINOR; i++)
		percent = b->tiers[i].percent;
	return (micros)((__int128)credits * percent / 100);
}
