/*
 * money: amounts in int64 micros (a millionth of the account's unit) and the only arithmetic
 * allowed on them.  Every function that can overflow reports it; none wraps, none rounds silently,
 * none uses floating point.  All functions are pure and safe in any thread.
 */
#ifndef OCTROI_BASE_MONEY_H
#define OCTROI_BASE_MONEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int64_t micros;

#define MONEY_MICROS_PER_UNIT INT64_C(1000000)
#define MONEY_MICROS_PER_MINOR INT64_C(10000) /* a cent of the unit */
/* No single amount may be larger (10^12 units); sums are checked on their own. */
#define MONEY_AMOUNT_MAX_MICROS INT64_C(1000000000000000000)

#define MONEY_TEXT_MAX 32 /* bytes that decimal_format writes at most, NUL included */

/* *sum = a + b, *difference = a - b.  False, and nothing written, when the result does not fit an int64. */
bool money_add(micros a, micros b, micros *sum) __attribute__((warn_unused_result));
bool money_subtract(micros a, micros b, micros *difference) __attribute__((warn_unused_result));
/* a + b of amounts that are known to fit: a sum that does not fit is a bug. */
micros money_sum(micros a, micros b);
micros money_least(micros a, micros b);

/* The micros of a currency's smallest unit, which has so many decimals: 10000 for 2; 0 to 6 of them. */
micros money_of_minor(int decimals);

/* An amount for display, cut to the range of micros; never one of a row. */
micros money_clip(__int128 amount);

/* Minor units (cents; for credits whole units when per_minor is MONEY_MICROS_PER_UNIT), rounded
 * down (towards minus infinity). */
int64_t money_floor_div(micros amount, int64_t per_minor);

/*
 * Decimal text, optionally signed, optionally with a fraction and an exponent ("12", "-0.5",
 * "1.25e-06"), times 10^scale (0 to 18), exactly.  Digits beyond the scale are rounded half away
 * from zero when round is true, and refused otherwise; zeros there pass.  0 and *value, or -1 for
 * any other text: empty, blanks, no digit on a side of the point, other characters, more than 64
 * bytes, out of int64.
 */
int decimal_parse(const char *text, size_t length, int scale, bool round, int64_t *value);

/* "9.345" style: the value scaled by 10^-scale, at least min_decimals, no superfluous zeros after
 * them.  Writes at most MONEY_TEXT_MAX bytes and returns the length. */
size_t decimal_format(int64_t value, int scale, int min_decimals, char out[MONEY_TEXT_MAX]);

#endif
