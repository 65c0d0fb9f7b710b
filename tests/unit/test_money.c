#include "unit.h"

#include "base/money.h"

#define UNTOUCHED INT64_C(-777777)

static void test_add_at_the_borders(void **state)
{
	micros sum = UNTOUCHED;

	(void)state;
	assert_false(money_add(INT64_MAX, 1, &sum));
	assert_false(money_add(INT64_MIN, -1, &sum));
	assert_false(money_add(INT64_MIN, INT64_MIN, &sum));
	assert_true(sum == UNTOUCHED);
	assert_true(money_add(INT64_MAX - 1, 1, &sum) && sum == INT64_MAX);
	assert_true(money_add(INT64_MIN + 1, -1, &sum) && sum == INT64_MIN);
	assert_true(money_add(INT64_MAX, INT64_MIN, &sum) && sum == -1);
}

static void test_subtract_at_the_borders(void **state)
{
	micros difference = UNTOUCHED;

	(void)state;
	assert_false(money_subtract(INT64_MIN, 1, &difference));
	assert_false(money_subtract(INT64_MAX, -1, &difference));
	assert_false(money_subtract(0, INT64_MIN, &difference));
	assert_true(difference == UNTOUCHED);
	assert_true(money_subtract(-1, INT64_MIN, &difference) && difference == INT64_MAX);
	assert_true(money_subtract(INT64_MIN, INT64_MIN, &difference) && difference == 0);
}

static void test_of_minor(void **state)
{
	(void)state;
	assert_true(money_of_minor(0) == MONEY_MICROS_PER_UNIT && money_of_minor(2) == MONEY_MICROS_PER_MINOR);
	assert_true(money_of_minor(3) == 1000 && money_of_minor(6) == 1);
}

/* Around every power of two, against arithmetic of twice the width. */
static void test_near_powers_of_two(void **state)
{
	(void)state;
	for (int i = 0; i < 63 * 63; i++) {
		for (int delta = -1; delta <= 1; delta++) {
			int64_t a = (INT64_C(1) << (i / 63)) + delta;
			int64_t b = (INT64_C(1) << (i % 63)) - delta;
			__int128 wide = (__int128)a + b;
			micros got = UNTOUCHED;

			if (b < 0)
				continue;
			assert_int_equal(money_add(a, b, &got), wide <= INT64_MAX);
			wide = -(__int128)a - b;
			assert_int_equal(money_subtract(-a, b, &got), wide >= INT64_MIN);
		}
	}
}

#define RANDOM_CASES 10000000

/* Of any magnitude and sign. */
static int64_t random_amount(uint64_t *state)
{
	uint64_t magnitude;

	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	magnitude = *state >> (1 + *state % 63);
	return *state & 64 ? -(int64_t)magnitude - 1 : (int64_t)magnitude;
}

static bool agrees(bool fits, micros got, __int128 wide)
{
	return fits == (wide >= INT64_MIN && wide <= INT64_MAX) && got == (fits ? (int64_t)wide : UNTOUCHED);
}

static void test_ten_million_random_amounts(void **state)
{
	uint64_t random = 20261121;
	int refused = 0;

	(void)state;
	for (int i = 0; i < RANDOM_CASES; i++) {
		const int64_t a = random_amount(&random);
		const int64_t b = random_amount(&random);
		micros sum = UNTOUCHED, difference = UNTOUCHED;
		const bool added = money_add(a, b, &sum), taken = money_subtract(a, b, &difference);

		refused += !added + !taken;
		if (!agrees(added, sum, (__int128)a + b) || !agrees(taken, difference, (__int128)a - b))
			fail_msg("%lld and %lld", (long long)a, (long long)b);
	}
	assert_true(refused > RANDOM_CASES / 10000);
}

static void divide_by_zero(void)
{
	money_floor_div(1, 0);
}

static void test_bugs_abort(void **state)
{
	(void)state;
	assert_true(aborts(divide_by_zero));
}

static void test_floor_div(void **state)
{
	static const int64_t cases[][3] = {
		{0, 10000, 0},
		{9999, 10000, 0},
		{10000, 10000, 1},
		{-1, 10000, -1},
		{-10000, 10000, -1},
		{-10001, 10000, -2},
		{987654321, 1000000, 987},
		{INT64_MIN, 1, INT64_MIN},
		{INT64_MAX, INT64_MAX, 1},
		{INT64_MIN, INT64_MAX, -2},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_true(money_floor_div(cases[i][0], cases[i][1]) == cases[i][2]);
}

static void test_decimal_accepted(void **state)
{
	static const struct {
		const char *text;
		int scale;
		bool round;
		int64_t value;
	} cases[] = {
		{"0", 0, false, 0},
		{"-0", 6, false, 0},
		{"-0.000", 0, false, 0},
		{"+1", 6, false, 1000000},
		{"12", 6, false, 12000000},
		{"-0.5", 6, false, -500000},
		{"007", 0, false, 7},
		{"1.25e-06", 12, false, 1250000},
		{"1.25E-06", 12, false, 1250000},
		{"1.25e-6", 8, false, 125},
		{"1.25e+2", 0, false, 125},
		{"1.25e2", 0, false, 125},
		{"0e400", 6, false, 0},
		{"0e-400", 6, false, 0},
		{"0.0000000000000000000000000000000001e34", 6, false, 1000000},
		{"100000000000000000000000000000000000e-35", 6, false, 1000000},
		{"1.0000000000", 6, false, 1000000}, /* zeros beyond the scale lose nothing */
		{"0.0000015", 6, true, 2},
		{"-0.0000015", 6, true, -2},
		{"0.00000149999999999999999999999", 6, true, 1},
		{"0.0000005", 6, true, 1},
		{"-0.0000005", 6, true, -1},
		{"0.00000049999", 6, true, 0},
		{"0.00000005", 6, true, 0},
		{"9.999999999", 6, true, 10000000},
		{"1e-400", 6, true, 0},
		{"9e-999999999999999999", 18, true, 0},
		{"2.9999900000000002e-06", 12, true, 2999990},
		{"9223372036854775807", 0, false, INT64_MAX},
		{"-9223372036854775808", 0, false, INT64_MIN},
		{"9223372036854.775807", 6, false, INT64_MAX},
		{"-9223372036854.775808", 6, false, INT64_MIN},
		{"9223372036854775807.4", 0, true, INT64_MAX},
		{"-9223372036854775808.4", 0, true, INT64_MIN},
		{"9.223372036854775807", 18, false, INT64_MAX},
		{"0000000000000000000000000000000000000000000000000000000000000001", 0, false, 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t value = UNTOUCHED;

		if (decimal_parse(cases[i].text, strlen(cases[i].text), cases[i].scale, cases[i].round, &value) != 0 ||
		    value != cases[i].value)
			fail_msg("%s: %lld", cases[i].text, (long long)value);
	}
}

static void test_decimal_refused(void **state)
{
	static const struct {
		const char *text;
		int scale;
		bool round;
	} cases[] = {
		{"", 6, true},
		{" ", 6, true},
		{" 1", 6, true},
		{"1 ", 6, true},
		{"1\n", 6, true},
		{"\t1", 6, true},
		{"+", 6, true},
		{"-", 6, true},
		{"--1", 6, true},
		{"+-1", 6, true},
		{".", 6, true},
		{".5", 6, true},
		{"5.", 6, true},
		{"5.e1", 6, true},
		{"e5", 6, true},
		{"1e", 6, true},
		{"1e+", 6, true},
		{"1e1.5", 6, true},
		{"1e1e1", 6, true},
		{"1.2.3", 6, true},
		{"1,5", 6, true},
		{"1_000", 6, true},
		{"0x10", 6, true},
		{"inf", 6, true},
		{"NaN", 6, true},
		{"\xd9\xa1", 6, true}, /* an Arabic digit */
		{"1e400", 6, true},
		{"-1e400", 6, true},
		{"1e999999999999999999999999", 6, true},
		{"9223372036854775808", 0, true},
		{"-9223372036854775809", 0, true},
		{"9223372036854775807.5", 0, true},
		{"-9223372036854775808.5", 0, true},
		{"18446744073709551615.5", 0, true},
		{"18446744073709551616", 0, true},
		{"99999999999999999999", 0, true},
		{"100000000000000000000", 0, true},
		{"9223372036854.775808", 6, false},
		{"0.0000001", 6, false},
		{"1.0000001", 6, false},
		{"1e-7", 6, false},
		{"1e-400", 6, false},
		{"0.5", 0, false},
		{"00000000000000000000000000000000000000000000000000000000000000001", 0, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t value = UNTOUCHED;

		if (decimal_parse(cases[i].text, strlen(cases[i].text), cases[i].scale, cases[i].round, &value) != -1 ||
		    value != UNTOUCHED)
			fail_msg("%s was accepted", cases[i].text);
	}
}

static void test_decimal_length_is_kept(void **state)
{
	int64_t value = UNTOUCHED;

	(void)state;
	assert_int_equal(decimal_parse("12345", 2, 0, false, &value), 0);
	assert_int_equal(value, 12);
	assert_int_equal(decimal_parse("1\0002", 3, 0, false, &value), -1);
	assert_int_equal(decimal_parse(NULL, 0, 0, false, &value), -1);
}

static void test_decimal_of_an_amount(void **state)
{
	micros amount = UNTOUCHED;

	(void)state;
	assert_int_equal(decimal_parse("10.500001", 9, 6, false, &amount), 0);
	assert_int_equal(amount, 10500001);
	assert_int_equal(decimal_parse("10.5000001", 10, 6, false, &amount), -1);
	assert_int_equal(amount, 10500001);
}

static void test_format(void **state)
{
	static const struct {
		int64_t value;
		int scale;
		int min_decimals;
		const char *text;
	} cases[] = {
		{0, 6, 0, "0"},
		{0, 6, 2, "0.00"},
		{5, 0, 0, "5"},
		{100, 0, 0, "100"},
		{9345, 4, 0, "0.9345"},
		{9345000, 6, 0, "9.345"},
		{9345000, 6, 2, "9.345"},
		{9300000, 6, 2, "9.30"},
		{9000000, 6, 2, "9.00"},
		{9000000, 6, 0, "9"},
		{-1, 6, 0, "-0.000001"},
		{-10, 2, 2, "-0.10"},
		{-10, 2, 0, "-0.1"},
		{1, 18, 0, "0.000000000000000001"},
		{INT64_MAX, 6, 0, "9223372036854.775807"},
		{INT64_MIN, 6, 0, "-9223372036854.775808"},
		{INT64_MIN, 18, 18, "-9.223372036854775808"},
		{INT64_MIN, 0, 0, "-9223372036854775808"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[MONEY_TEXT_MAX];
		size_t length = decimal_format(cases[i].value, cases[i].scale, cases[i].min_decimals, text);

		assert_string_equal(text, cases[i].text);
		assert_int_equal(length, strlen(cases[i].text));
	}
}

static void test_format_and_parse_agree(void **state)
{
	(void)state;
	for (int bit = 0; bit < 63; bit++) {
		for (int scale = 0; scale <= 18; scale++) {
			int64_t value = (INT64_C(1) << bit) - (bit % 3);
			char text[MONEY_TEXT_MAX];
			int64_t back = UNTOUCHED;
			size_t length = decimal_format(-value, scale, scale / 2, text);

			assert_int_equal(decimal_parse(text, length, scale, false, &back), 0);
			assert_true(back == -value);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add_at_the_borders),
		cmocka_unit_test(test_subtract_at_the_borders),
		cmocka_unit_test(test_of_minor),
		cmocka_unit_test(test_near_powers_of_two),
		cmocka_unit_test(test_ten_million_random_amounts),
		cmocka_unit_test(test_bugs_abort),
		cmocka_unit_test(test_floor_div),
		cmocka_unit_test(test_decimal_accepted),
		cmocka_unit_test(test_decimal_refused),
		cmocka_unit_test(test_decimal_length_is_kept),
		cmocka_unit_test(test_decimal_of_an_amount),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_format_and_parse_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
