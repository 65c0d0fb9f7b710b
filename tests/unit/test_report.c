#include "unit.h"

#include "reports/report.h"

#define CREDIT MONEY_MICROS_PER_UNIT

/* ---- capacity: the figures are those of the document that the plans come from ------------------------ */

static void expect(const struct report_capacity *c, int64_t expected, int64_t allowed, int64_t left, int64_t tenths,
                   int64_t percent, const char *verdict)
{
	assert_int_equal(c->expected, expected * CREDIT);
	assert_int_equal(c->allowed, allowed * CREDIT);
	assert_int_equal(c->left, left * CREDIT);
	assert_int_equal(c->used_tenths, tenths);
	assert_int_equal(c->margin_percent, percent);
	assert_string_equal(report_verdict_text(c->verdict, true), verdict);
}

static struct plan starter(void)
{
	return (struct plan){
		.name = "starter",
		.unit = UNIT_CREDIT,
		.scope = PLAN_POOL,
		.pool_micros = 500 * CREDIT,
		.managers_to = 1,
		.seats_from = 1,
		.seats_to = 5,
		.expected_manager_micros = 65 * CREDIT,
		.expected_member_micros = 30 * CREDIT,
	};
}

static struct plan professional(void)
{
	struct plan p = starter();

	p.pool_micros = 1500 * CREDIT;
	p.seats_from = 6;
	p.seats_to = 15;
	p.expected_manager_micros = 80 * CREDIT;
	p.expected_member_micros = 35 * CREDIT;
	return p;
}

static void test_plans(void **state)
{
	struct plan one = starter(), many = professional();
	struct report_capacity c;

	(void)state;
	assert_true(report_plan(&one, PLAN_POOL, &c));
	expect(&c, 215, 500, 285, 430, 57, "SUFFISANT");
	assert_true(report_plan(&many, PLAN_POOL, &c));
	expect(&c, 605, 1500, 895, 403, 60, "TRÈS SUFFISANT");
	assert_true(report_plan(&one, PLAN_SEAT, &c));
	expect(&c, 215, 2500, 2285, 86, 91, "SURDIMENSIONNÉ");
	assert_true(report_plan(&many, PLAN_SEAT, &c));
	expect(&c, 605, 22500, 21895, 27, 97, "SURDIMENSIONNÉ");
	assert_false(report_plan(&one, PLAN_MIXED, &c));
	/* 500 for the manager, or in common, and 300 for each member. */
	one.scope = PLAN_SEAT;
	one.pool_micros = 0;
	one.manager_micros = 500 * CREDIT;
	one.member_micros = 300 * CREDIT;
	assert_true(report_plan(&one, PLAN_SEAT, &c));
	expect(&c, 215, 2000, 1785, 108, 89, "GÉNÉREUX");
	assert_false(report_plan(&one, PLAN_POOL, &c));
	many.scope = PLAN_MIXED;
	many.pool_micros = 750 * CREDIT;
	many.member_micros = 400 * CREDIT;
	assert_true(report_plan(&many, PLAN_MIXED, &c));
	expect(&c, 605, 6750, 6145, 90, 91, "GÉNÉREUX");
	many.seats_to = 0; /* any number: six at least */
	assert_true(report_plan(&many, PLAN_MIXED, &c));
	expect(&c, 290, 3150, 2860, 92, 91, "GÉNÉREUX");
}

static void test_verdicts(void **state)
{
	static const struct {
		micros expected, allowed;
		const char *verdict;
	} cases[] = {
		{0, 0, "unknown"},
		{1, 0, "insufficient"},
		{101, 100, "insufficient"},
		{100, 100, "tight"},
		{81, 100, "tight"},
		{80, 100, "sufficient"},
		{41, 100, "sufficient"},
		{40, 100, "ample"},
		{21, 100, "ample"},
		{20, 100, "generous"},
		{90, 1000, "generous"},
		{89, 1000, "oversized"},
		{0, 1, "oversized"},
		{INT64_MAX, 1, "insufficient"},
		{INT64_MAX, INT64_MAX, "tight"},
	};
	int seen[REPORT_VERDICTS] = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct report_capacity c;

		report_capacity(cases[i].expected, cases[i].allowed, &c);
		assert_string_equal(report_verdict_name(c.verdict), cases[i].verdict);
		seen[c.verdict]++;
	}
	for (int i = 0; i < REPORT_VERDICTS; i++)
		assert_true(seen[i] > 0);
}

static void test_tenths(void **state)
{
	static const struct {
		int64_t part, whole, tenths;
	} cases[] = {
		{1, 3, 333},  {2, 3, 667},    {-2, 3, -667},
		{1, 2000, 1}, {-1, 2000, -1}, {1, 2001, 0},
		{0, 1, 0},    {9, 10, 900},   {INT64_MAX, 1, INT64_MAX},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(report_tenths(cases[i].part, cases[i].whole), cases[i].tenths);
}

static void test_projection(void **state)
{
	const int64_t day = INT64_C(86400000000);

	(void)state;
	assert_int_equal(report_project(100, 0, 30 * day, 10 * day), 300);
	assert_int_equal(report_project(100, 0, 30 * day, day / 2), 100 + 2950);
	assert_int_equal(report_project(100, 0, 30 * day, 30 * day), 100);
	assert_int_equal(report_project(100, 0, 30 * day, 31 * day), 100);
	assert_int_equal(report_project(7, 0, 30 * day, 29 * day), 7);
	assert_int_equal(report_project(INT64_MAX, 0, 30 * day, day), INT64_MAX);
}

/* ---- margin -------------------------------------------------------------------------------------------- */

static void test_margin(void **state)
{
	const struct report_part gpt = {UNIT_MONEY, PRICE_MODEL, 3, 1050000, 10000, 2100000};
	const struct report_part debrief = {UNIT_CREDIT, PRICE_ACTION, 2, 1050000, 10000, 200 * CREDIT};
	const struct report_part dear = {UNIT_MONEY, PRICE_MODEL, 1, 500000, 10000, 1};
	struct report_margin m = {0};
	struct report_result r;

	(void)state;
	report_close(&m, &r);
	assert_false(r.has_percent);
	report_add_use(&m, &gpt);
	report_close(&m, &r);
	assert_int_equal(r.revenue, 2100000);
	assert_int_equal(r.provider, 2000000);
	assert_int_equal(r.margin, 100000);
	assert_int_equal(r.margin_tenths, 48); /* 1/21 */
	report_add_use(&m, &debrief);
	report_add_given(&m, &debrief);
	report_add_fees(&m, 1900, 2);
	report_close(&m, &r);
	assert_int_equal(m.requests, 5);
	assert_int_equal(r.used, 4100000);
	assert_int_equal(r.given, 2000000);
	assert_int_equal(r.fees, 19000000);
	assert_int_equal(r.revenue, 21100000);
	assert_int_equal(r.provider, 2000000);
	/* Sold for half of what it cost. */
	m = (struct report_margin){0};
	report_add_use(&m, &dear);
	report_add_fees(&m, 0, 0);
	report_close(&m, &r);
	assert_int_equal(r.provider, 2);
	assert_int_equal(r.margin, -1);
	assert_int_equal(r.margin_tenths, -1000);
}

static void test_the_largest_amounts(void **state)
{
	const struct report_part p = {UNIT_CREDIT, PRICE_MODEL, 1, 1, PRICE_RATE_MAX_PPM, MONEY_AMOUNT_MAX_MICROS};
	struct report_margin m = {0};
	struct report_result r;

	(void)state;
	report_add_use(&m, &p);
	report_close(&m, &r);
	assert_int_equal(r.revenue, INT64_MAX);
	assert_int_equal(r.margin, INT64_MIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plans),  cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_tenths), cmocka_unit_test(test_projection),
		cmocka_unit_test(test_margin), cmocka_unit_test(test_the_largest_amounts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
