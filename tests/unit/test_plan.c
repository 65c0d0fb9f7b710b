#include "unit.h"

#include "base/json.h"
#include "prices/book.h"
#include "prices/plan_json.h"

static struct json *parse(const char *text)
{
	char error[JSON_ERROR_MAX];
	struct json *value = json_parse(text, strlen(text), true, error);

	assert_non_null(value);
	return value;
}

static struct plan plan(const char *text)
{
	struct json *record = parse(text);
	struct plan p;

	assert_null(plan_json_read(record, 2, &p));
	json_free(record);
	return p;
}

static void test_figures(void **state)
{
	const struct plan p =
		plan("{\"name\": \"Both\", \"scope\": \"mixed\", \"pool\": 100, \"manager\": \"20.5\", \"member\": 10,"
	             " \"managers\": 2, \"seatsFrom\": 1, \"seatsTo\": 5, \"fee\": 49.9}");

	(void)state;
	assert_int_equal(p.unit, UNIT_CREDIT);
	assert_int_equal(p.fee_minor, 4990);
	assert_int_equal(plan_quota(&p, PLAN_MANAGER), 20500000);
	assert_int_equal(plan_seats(&p, PLAN_MEMBER), 5);
	assert_int_equal(plan_allowance(&p, 0, 0), 100000000);
	assert_int_equal(plan_allowance(&p, 1, 3), 150500000);
	assert_int_equal(plan_allowance(&p, 9, 9), 191000000);
}

static void test_what_it_sets(void **state)
{
	const struct plan any = plan("{\"name\": \"A\", \"scope\": \"pool\"}");
	const struct plan some =
		plan("{\"name\": \"A\", \"scope\": \"pool\", \"actions\": {\"free\": 0, \"debrief\": 2.5},"
	             " \"models\": [\"gpt-4o\"]}");
	micros credits = -1;

	(void)state;
	assert_false(plan_action_price(&any, "debrief", &credits));
	assert_true(plan_action_price(&some, "debrief", &credits) && credits == 2500000);
	assert_true(plan_action_price(&some, "free", &credits) && credits == 0);
	assert_false(plan_action_price(&some, "other", &credits));
	assert_true(plan_allows_model(&any, "x") && plan_allows_model(&some, "gpt-4o"));
	assert_false(plan_allows_model(&some, "gpt-4"));
}

static void test_what_is_no_plan(void **state)
{
	static const char *const wrong[] = {
		"[]",
		"{\"scope\": \"pool\"}",
		"{\"name\": \"\", \"scope\": \"pool\"}",
		"{\"name\": \" A\", \"scope\": \"pool\"}",
		"{\"name\": \"\\u00e9\", \"scope\": \"pool\"}",
		"{\"name\": \"A\"}",
		"{\"name\": \"A\", \"scope\": \"team\"}",
		"{\"name\": \"A\", \"scope\": \"pool\", \"unit\": \"euro\"}",
		"{\"name\": \"A\", \"scope\": \"pool\", \"pool\": -1}",
		"{\"name\": \"A\", \"scope\": \"pool\", \"pool\": 1.0000001}",
		"{\"name\": \"A\", \"scope\": \"pool\", \"pool\": \"many\"}",
		"{\"name\": \"A\", \"scope\": \"pool\", \"pool\": 1000000000001}",
		"{\"name\": \"A\", \"scope\": \"pool\", \"member\": 1}",
		"{\"name\": \"A\", \"scope\": \"seat\", \"pool\": 1}",
		"{\"name\": \"A\", \"scope\": \"seat\", \"member\": 100000000}",
		"{\"name\": \"A\", \"scope\": \"pool\", \"seatsFrom\": 3, \"seatsTo\": 2}",
		"{\"name\": \"A\", \"scope\": \"pool\", \"seatsTo\": 100001}",
		"{\"name\": \"A\", \"scope\": \"pool\", \"managers\": 1.5}",
		"{\"name\": \"A\", \"scope\": \"pool\", \"fee\": 1.001}",
		"{\"name\": \"A\", \"scope\": \"pool\", \"price\": 1}",
		"{\"name\": \"A\", \"scope\": \"pool\", \"actions\": [\"debrief\"]}",
		"{\"name\": \"A\", \"scope\": \"pool\", \"actions\": {\"debrief\": -1}}",
		"{\"name\": \"A\", \"scope\": \"pool\", \"models\": [5, \"\"]}",
		"{\"name\": \"A\", \"scope\": \"pool\", \"models\": {}}",
		"{\"name\": \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\", \"scope\": \"pool\"}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct json *record = parse(wrong[i]);
		struct plan p;

		if (plan_json_read(record, 2, &p) == NULL)
			fail_msg("%s is taken for a plan", wrong[i]);
		json_free(record);
	}
}

static int count(void *context, const struct plan *p)
{
	(void)p;
	++*(int *)context;
	return 0;
}

static void test_versions(void **state)
{
	struct book *b = book_of(NULL, 0, 9);
	struct plan p = plan("{\"name\": \"B\", \"scope\": \"pool\"}");
	int plans = 0, rows = 0;

	(void)state;
	for (int version = 3; version >= 1; version--) {
		p.version = version;
		p.starts_at_us = version * 100;
		book_add_plan(b, &p);
	}
	p.version = 4;
	p.starts_at_us = 300; /* together with 3 */
	book_add_plan(b, &p);
	memcpy(p.name, "A", 2);
	book_add_plan(b, &p);
	assert_int_equal(book_plan(b, "B")->version, 4);
	assert_int_equal(book_plan_at(b, "B", 299)->version, 2);
	assert_int_equal(book_plan_at(b, "B", 200)->version, 2);
	assert_int_equal(book_plan_at(b, "B", 300)->version, 4);
	assert_int_equal(book_plan_at(b, "B", 0)->version, 1); /* the first, for what began before */
	assert_int_equal(book_plan_of_version(b, "B", 3)->version, 3);
	assert_null(book_plan_of_version(b, "A", 3));
	assert_null(book_plan(b, "C"));
	assert_null(book_plan(b, ""));
	assert_int_equal(book_each_plan(b, count, &plans) + book_each_plan_row(b, count, &rows), 0);
	assert_int_equal(plans, 2);
	assert_int_equal(rows, 5);
	book_release(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_figures),
		cmocka_unit_test(test_what_it_sets),
		cmocka_unit_test(test_what_is_no_plan),
		cmocka_unit_test(test_versions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
