#include "base/money.h"

#include <string.h>

#include "base/check.h"

#define DECIMAL_TEXT_MAX 64
#define DECIMAL_SCALE_MAX 18 /* 10^18 is the largest power of ten in an int64 */
/* Larger than any scale and any number of digits: beyond it only an exponent's sign matters. */
#define DECIMAL_EXPONENT_MAX 100000

/* A decimal text taken apart: its value is the digits read as one integer, times 10^exponent. */
struct decimal {
	bool negative;
	unsigned char digits[DECIMAL_TEXT_MAX]; /* no zero at either end; none at all for zero */
	int count;
	int exponent;
};

bool money_add(micros a, micros b, micros *sum)
{
	micros result;

	if (__builtin_add_overflow(a, b, &result))
		return false;
	*sum = result;
	return true;
}

bool money_subtract(micros a, micros b, micros *difference)
{
	micros result;

	if (__builtin_sub_overflow(a, b, &result))
		return false;
	*difference = result;
	return true;
}

micros money_sum(micros a, micros b)
{
	micros sum = 0;
	const bool fits = money_add(a, b, &sum);

	CHECK(fits);
	return sum;
}

micros money_of_minor(int decimals)
{
	micros minor = MONEY_MICROS_PER_UNIT;

	for (int i = 0; i < decimals; i++)
		minor /= 10;
	CHECK(decimals >= 0 && minor > 0);
	return minor;
}

micros money_least(micros a, micros b)
{
	return a < b ? a : b;
}

micros money_clip(__int128 amount)
{
	if (amount > INT64_MAX)
		return INT64_MAX;
	return amount < INT64_MIN ? INT64_MIN : (micros)amount;
}

int64_t money_floor_div(micros amount, int64_t per_minor)
{
	int64_t quotient;

	CHECK(per_minor > 0);
	quotient = amount / per_minor;
	if (amount % per_minor < 0)
		quotient--;
	return quotient;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads digits from *position on and returns how many there were. */
static int take_digits(const char *text, size_t length, size_t *position, struct decimal *d)
{
	int taken = 0;

	for (; *position < length && is_digit(text[*position]); (*position)++) {
		CHECK(d->count < DECIMAL_TEXT_MAX);
		d->digits[d->count++] = (unsigned char)(text[*position] - '0');
		taken++;
	}
	return taken;
}

/* The exponent after its letter; -1 when there is no digit.  Saturates. */
static int take_exponent(const char *text, size_t length, size_t *position, int *exponent)
{
	bool negative = false;
	int value = 0;
	size_t first;

	if (*position < length && (text[*position] == '+' || text[*position] == '-')) {
		negative = text[*position] == '-';
		(*position)++;
	}
	first = *position;
	for (; *position < length && is_digit(text[*position]); (*position)++) {
		if (value < DECIMAL_EXPONENT_MAX)
			value = value * 10 + (text[*position] - '0');
	}
	if (*position == first)
		return -1;
	*exponent = negative ? -value : value;
	return 0;
}

/* Removes the zeros at both ends, so that the number of digits tells the size of the value. */
static void trim_zeros(struct decimal *d)
{
	int leading = 0;

	while (leading < d->count && d->digits[leading] == 0)
		leading++;
	d->count -= leading;
	memmove(d->digits, d->digits + leading, (size_t)d->count);
	while (d->count > 0 && d->digits[d->count - 1] == 0) {
		d->count--;
		d->exponent++;
	}
}

static int decimal_read(const char *text, size_t length, struct decimal *d)
{
	size_t position = 0;
	int fraction = 0;

	d->count = 0;
	d->exponent = 0;
	d->negative = length > 0 && text[0] == '-';
	if (length > 0 && (text[0] == '-' || text[0] == '+'))
		position = 1;
	if (take_digits(text, length, &position, d) == 0)
		return -1;
	if (position < length && text[position] == '.') {
		position++;
		fraction = take_digits(text, length, &position, d);
		if (fraction == 0)
			return -1;
	}
	if (position < length && (text[position] == 'e' || text[position] == 'E')) {
		position++;
		if (take_exponent(text, length, &position, &d->exponent) != 0)
			return -1;
	}
	if (position != length)
		return -1;
	d->exponent -= fraction;
	trim_zeros(d);
	return 0;
}

/* The digits before the decimal point, zeros included, as an integer; -1 when over 64 bits. */
static int decimal_magnitude(const struct decimal *d, int whole_digits, uint64_t *magnitude)
{
	uint64_t value = 0;

	if (whole_digits > 20)
		return -1;
	for (int i = 0; i < whole_digits; i++) {
		uint64_t digit = i < d->count ? d->digits[i] : 0;

		if (__builtin_mul_overflow(value, UINT64_C(10), &value) || __builtin_add_overflow(value, digit, &value))
			return -1;
	}
	*magnitude = value;
	return 0;
}

int decimal_parse(const char *text, size_t length, int scale, bool round, int64_t *value)
{
	struct decimal d;
	int whole_digits;
	uint64_t magnitude;

	CHECK(scale >= 0 && scale <= DECIMAL_SCALE_MAX);
	if (length > DECIMAL_TEXT_MAX || decimal_read(text, length, &d) != 0)
		return -1;
	if (d.count == 0) {
		*value = 0;
		return 0;
	}
	whole_digits = d.count + d.exponent + scale;
	if (whole_digits < d.count && !round)
		return -1;
	if (decimal_magnitude(&d, whole_digits, &magnitude) != 0)
		return -1;
	if (whole_digits >= 0 && whole_digits < d.count && d.digits[whole_digits] >= 5 &&
	    __builtin_add_overflow(magnitude, UINT64_C(1), &magnitude))
		return -1;
	if (magnitude > (uint64_t)INT64_MAX + (d.negative ? 1 : 0))
		return -1;
	/* In unsigned arithmetic, because -INT64_MIN does not exist. */
	*value = (int64_t)(d.negative ? UINT64_C(0) - magnitude : magnitude);
	return 0;
}

size_t decimal_format(int64_t value, int scale, int min_decimals, char out[MONEY_TEXT_MAX])
{
	uint64_t magnitude = value < 0 ? UINT64_C(0) - (uint64_t)value : (uint64_t)value;
	int decimals = scale;
	char reversed[MONEY_TEXT_MAX];
	size_t count = 0;
	size_t length = 0;

	CHECK(scale >= 0 && scale <= DECIMAL_SCALE_MAX);
	CHECK(min_decimals >= 0 && min_decimals <= scale);
	while (decimals > min_decimals && magnitude % 10 == 0) {
		magnitude /= 10;
		decimals--;
	}
	for (int written = 0; written <= decimals || magnitude > 0; written++) {
		if (written > 0 && written == decimals)
			reversed[count++] = '.';
		reversed[count++] = (char)('0' + magnitude % 10);
		magnitude /= 10;
	}
	if (value < 0)
		reversed[count++] = '-';
	CHECK(count < MONEY_TEXT_MAX);
	while (count > 0)
		out[length++] = reversed[--count];
	out[length] = '\0';
	return length;
}
