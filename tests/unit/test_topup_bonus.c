#include "unit.h"

#include "prices/topup_bonus.h"

#define CENT MONEY_MICROS_PER_MINOR

static void test_tiers_are_read(void **state)
{
	struct topup_bonus b = {.count = 7};

	(void)state;
	assert_int_equal(topup_bonus_read(&b, ""), 0);
	assert_int_equal(b.count, 0);
	assert_int_equal(topup_bonus_read(&b, " 5000: 5% ,10000:10% "), 0);
	assert_int_equal(b.count, 2);
	assert_int_equal(b.tiers[0].amount, 5000);
	assert_int_equal(b.tiers[1].percent, 10);
	assert_int_equal(topup_bonus_read(&b, "1:1%,2:1%,3:1%,4:1%,5:1%,6:1%,7:1%,99999999:100%"), 0);
	assert_int_equal(b.count, 8);
}

static void test_other_texts_are_refused(void **state)
{
	static const char *const wrong[] = {
		"5000",
		"5000:5",
		"5000:%",
		"5000:0%",
		":5%",
		"5000:101%",
		"0:5%",
		"05:5%",
		"-1:5%",
		"5000:5.5%",
		"5000:5%,",
		",5000:5%",
		"10:1%,10:2%",
		"20:1%,10:2%",
		"5000:5%;9:9%",
		"100000000:5%",
		"5000:5% 9:9%",
		"99999999999999999999999:5%",
		"1:1%,2:1%,3:1%,4:1%,5:1%,6:1%,7:1%,8:1%,9:1%",
	};
	struct topup_bonus b = {.count = 0};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(topup_bonus_read(&b, wrong[i]), -1);
	assert_int_equal(b.count, 0);
}

static void test_the_last_tier_that_is_reached_counts(void **state)
{
	struct topup_bonus b;

	(void)state;
	assert_int_equal(topup_bonus_read(&b, "5000:5%,10000:10%"), 0);
	assert_int_equal(topup_bonus_of(&b, 4999 * CENT, 4999 * CENT), 0);
	assert_int_equal(topup_bonus_of(&b, 5000 * CENT - 1, 5000 * CENT), 0);
	assert_int_equal(topup_bonus_of(&b, 5000 * CENT, 5000 * CENT), 250 * CENT);
	assert_int_equal(topup_bonus_of(&b, 9999 * CENT, 9999 * CENT), 4999500);
	assert_int_equal(topup_bonus_of(&b, 10000 * CENT, 10000 * CENT), 1000 * CENT);
	assert_int_equal(topup_bonus_of(&b, 10000 * CENT, 19), 1);
}

static void test_large_amounts_are_exact(void **state)
{
	struct topup_bonus b;

	(void)state;
	assert_int_equal(topup_bonus_read(&b, "1:99%"), 0);
	assert_int_equal(topup_bonus_of(&b, CENT, MONEY_AMOUNT_MAX_MICROS - 1), MONEY_AMOUNT_MAX_MICROS / 100 * 99 - 1);
	assert_int_equal(topup_bonus_read(&b, "1:100%"), 0);
	assert_int_equal(topup_bonus_of(&b, CENT, MONEY_AMOUNT_MAX_MICROS), MONEY_AMOUNT_MAX_MICROS);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tiers_are_read),
		cmocka_unit_test(test_other_texts_are_refused),
		cmocka_unit_test(test_the_last_tier_that_is_reached_counts),
		cmocka_unit_test(test_large_amounts_are_exact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
