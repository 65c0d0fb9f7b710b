#include "unit.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "meter/leeway.h"

#define SIGNATURE "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static char directory[64], spool[128];
static struct leeway *a;

static struct leeway_ask ask_of(const char *payer, int64_t input, int64_t output)
{
	struct leeway_ask ask = {.input = input, .output = output};

	digest_sha256(payer, strlen(payer), ask.payer);
	(void)leeway_place(a, &ask);
	return ask;
}

/* octroi's answer 200; serial 0: without a grace. */
static void answer(const struct leeway_ask *ask, const char *account, int64_t serial, int64_t limit, int64_t booked,
                   int64_t reserved, int64_t granted)
{
	char error[JSON_ERROR_MAX];
	struct json *document;
	struct buf text;

	buf_init(&text, 1024);
	buf_printf(
		&text,
		"{\"decision\":\"allow\",\"source\":\"platform\",\"account\":\"%s\",\"member\":\"m\",\"replayed\":false,"
		"\"reservedMicros\":%lld,\"maxOutputTokens\":%lld,\"priceVersion\":7,\"grace\":",
		account, (long long)reserved, (long long)granted);
	if (serial > 0)
		buf_printf(&text,
		           "{\"serial\":%lld,\"limitMicros\":%lld,\"bookedMicros\":%lld,\"endsAt\":9,\"seconds\":60,"
		           "\"signature\":\"" SIGNATURE "\"}}",
		           (long long)serial, (long long)limit, (long long)booked);
	else
		buf_add_text(&text, "null}");
	document = json_parse(text.data, text.length, false, error);
	assert_non_null(document);
	leeway_note(a, ask, document);
	json_free(document);
	buf_free(&text);
}

/* The account "x", whose request of 10 and 10 costs 30, has a grace of 100. */
static void learn(void)
{
	const struct leeway_ask ask = ask_of("k", 10, 10);

	answer(&ask, "x", 1, 100, 0, 30, 10);
}

/* How many like requests go out. */
static int use_all(const char *payer)
{
	const struct leeway_ask ask = ask_of(payer, 10, 10);
	struct leeway_use use;
	int count = 0;

	while (leeway_use(a, &ask, &use))
		count++;
	return count;
}

static int begin(void **state)
{
	(void)state;
	(void)snprintf(directory, sizeof(directory), "/tmp/octroi-leeway-XXXXXX");
	if (mkdtemp(directory) == NULL)
		return -1;
	(void)snprintf(spool, sizeof(spool), "%s/spool", directory);
	a = leeway_open(spool);
	return a != NULL ? 0 : -1;
}

static int end(void **state)
{
	char path[160];

	(void)state;
	leeway_free(a);
	(void)snprintf(path, sizeof(path), "%s.grace", spool);
	return unlink(path) == 0 && rmdir(directory) == 0 ? 0 : -1;
}

static void test_uses_come_to_the_limit(void **state)
{
	const struct leeway_ask ask = ask_of("k", 10, 10);
	struct leeway_use use;

	(void)state;
	assert_false(leeway_use(a, &ask, &use));
	learn();
	assert_true(leeway_use(a, &ask, &use));
	assert_string_equal(use.account, "x");
	assert_string_equal(use.member, "m");
	assert_int_equal(use.micros, 30);
	assert_int_equal(use.output, 10);
	assert_non_null(strstr(use.grace,
	                       "\"used\":{\"serial\":1,\"limitMicros\":100,\"endsAt\":9,\"signature\":\"" SIGNATURE
	                       "\",\"micros\":30,\"priceVersion\":7}}"));
	assert_int_equal(use_all("k"), 2);
	assert_int_equal(use_all("other"), 0);
}

static void test_end_of_a_use(void **state)
{
	(void)state;
	learn();
	assert_int_equal(use_all("k"), 3);
	leeway_end(a, "x", 30, true); /* booked: it counts */
	assert_int_equal(use_all("k"), 0);
	leeway_end(a, "x", 30, false);
	assert_int_equal(use_all("k"), 1);
	leeway_end(a, "nobody", 30, true);
	assert_int_equal(use_all("k"), 0);
}

static void test_answers_that_come_late(void **state)
{
	const struct leeway_ask before = ask_of("k", 10, 10);
	struct leeway_ask meanwhile, after;

	(void)state;
	learn();
	assert_int_equal(use_all("k"), 3);
	meanwhile = ask_of("k", 10, 10);
	for (int i = 0; i < 3; i++)
		leeway_end(a, "x", 30, true);
	after = ask_of("k", 10, 10);
	/* Each of the first two was decided before the bookings. */
	answer(&before, "x", 1, 100, 0, 30, 10);
	assert_int_equal(use_all("k"), 0);
	answer(&meanwhile, "x", 1, 100, 30, 30, 10);
	assert_int_equal(use_all("k"), 0);
	/* The first tries of two had taken effect, so that octroi has booked but one of them. */
	answer(&after, "x", 2, 130, 30, 30, 10);
	assert_int_equal(use_all("k"), 3);
}

static void test_uses_of_before_the_start(void **state)
{
	struct leeway_ask ask;

	(void)state;
	leeway_found(a, "x", 30);
	leeway_found(a, "x", 30);
	assert_int_equal(use_all("k"), 0);
	learn();
	assert_int_equal(use_all("k"), 1);
	for (int i = 0; i < 3; i++)
		leeway_end(a, "x", 30, true);
	ask = ask_of("k", 10, 10);
	answer(&ask, "x", 2, 190, 90, 30, 10);
	assert_int_equal(use_all("k"), 3);
}

static void test_new_account_takes_no_grace_of_before_a_booking(void **state)
{
	const struct leeway_ask before = ask_of("k", 10, 10);

	(void)state;
	leeway_found(a, "y", 30);
	answer(&before, "x", 1, 100, 0, 30, 10);
	assert_int_equal(use_all("k"), 0);
	leeway_end(a, "y", 30, true);
	learn();
	assert_int_equal(use_all("k"), 3);
}

static void test_refusals_and_nulls(void **state)
{
	struct leeway_ask ask;

	(void)state;
	learn();
	ask = ask_of("second", 10, 10);
	answer(&ask, "x", 1, 100, 0, 30, 10);
	leeway_forget(a, ask.payer);
	assert_int_equal(use_all("second"), 0);
	assert_int_equal(use_all("k"), 0);
	learn();
	assert_int_equal(use_all("second"), 0);
	assert_int_equal(use_all("k"), 3);
	for (int i = 0; i < 3; i++)
		leeway_end(a, "x", 30, false);
	ask = ask_of("k", 10, 10);
	answer(&ask, "x", 0, 0, 0, 30, 10);
	assert_int_equal(use_all("k"), 0);
}

static bool is_covered(int64_t input, int64_t output, bool like)
{
	struct leeway_ask ask = ask_of("k", input, output);
	struct leeway_use use;

	if (!like)
		ask.kind[0] = 1;
	if (!leeway_use(a, &ask, &use))
		return false;
	assert_true(output < 0 || use.output <= output);
	leeway_end(a, use.account, use.micros, false);
	return true;
}

static void test_covered_requests(void **state)
{
	struct leeway_ask ask;

	(void)state;
	learn();
	assert_true(is_covered(10, 10, true));
	assert_true(is_covered(0, 1, true));
	assert_false(is_covered(11, 10, true));
	assert_false(is_covered(10, 11, true));
	assert_false(is_covered(10, 10, false));
	ask = ask_of("k", 20, 50); /* octroi gave less than was asked for */
	answer(&ask, "x", 1, 100, 0, 70, 40);
	assert_true(is_covered(20, 50, true));
	assert_true(is_covered(20, 45, true));
	assert_false(is_covered(20, 51, true)); /* octroi might refuse so large a wish, and the use would be lost */
	assert_false(is_covered(21, 50, true));
	ask = ask_of("k", 1000, 1000); /* more than the limit */
	answer(&ask, "x", 1, 100, 0, 101, 1000);
	assert_false(is_covered(1000, 1000, true));
}

static void test_costs_are_bounded(void **state)
{
	(void)state;
	learn();
	for (int i = 0; i < 100; i++) {
		const struct leeway_ask ask = ask_of("k", 9 - i % 9, 11 + i);

		answer(&ask, "x", 1, 100, 0, 30, 11 + i);
	}
	assert_true(is_covered(1, 10, true));
}

/* More accounts than there is room for: those with open uses are kept. */
static void test_accounts_are_bounded(void **state)
{
	char name[32];

	(void)state;
	learn();
	assert_int_equal(use_all("k"), 3);
	for (int i = 0; i < 40000; i++) {
		struct leeway_ask ask;

		(void)snprintf(name, sizeof(name), "a%d", i);
		ask = ask_of(name, 10, 10);
		answer(&ask, name, 1, 100, 0, 30, 10);
	}
	for (int i = 0; i < 3; i++)
		leeway_end(a, "x", 30, true);
	learn();
	assert_int_equal(use_all("k"), 3); /* the last answer says that nothing is booked, and nothing is open */
	for (int i = 0; i < 40000; i++) {
		(void)snprintf(name, sizeof(name), "b%d", i);
		leeway_found(a, name, 30);
	}
	assert_int_equal(use_all("k"), 0);
	leeway_end(a, "x", 30, false);
	assert_int_equal(use_all("k"), 0); /* while uses of some accounts are not known, nobody has a grace */
}

static void test_grace_ends(void **state)
{
	struct leeway_ask ask = ask_of("k", 10, 10);

	(void)state;
	ask.asked_us -= INT64_C(59) * 1000000;
	answer(&ask, "x", 1, 100, 0, 30, 10);
	assert_int_equal(use_all("k"), 3);
	for (int i = 0; i < 3; i++)
		leeway_end(a, "x", 30, false);
	ask = ask_of("k", 10, 10);
	ask.asked_us -= INT64_C(60) * 1000000; /* octroi was asked a minute ago, and gave a minute */
	answer(&ask, "x", 2, 100, 0, 30, 10);
	assert_int_equal(use_all("k"), 0);
}

static void test_answers_that_are_no_grace(void **state)
{
	static const char *const wrong[] = {
		"{}",
		"{\"decision\":\"allow\",\"replayed\":false}",
		"{\"decision\":\"allow\",\"replayed\":true,\"account\":\"x\",\"grace\":{}}",
		"{\"decision\":\"allow\",\"replayed\":false,\"account\":\"a b\",\"grace\":{}}",
		"{\"decision\":\"allow\",\"replayed\":false,\"account\":\"x\",\"member\":\"\\u00e9\",\"grace\":{}}",
	};
	const struct leeway_ask ask = ask_of("k", 10, 10);
	char error[JSON_ERROR_MAX];

	(void)state;
	learn();
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct json *document = json_parse(wrong[i], strlen(wrong[i]), false, error);

		assert_non_null(document);
		leeway_note(a, &ask, document);
		json_free(document);
	}
	assert_int_equal(use_all("k"), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_uses_come_to_the_limit, begin, end),
		cmocka_unit_test_setup_teardown(test_end_of_a_use, begin, end),
		cmocka_unit_test_setup_teardown(test_answers_that_come_late, begin, end),
		cmocka_unit_test_setup_teardown(test_uses_of_before_the_start, begin, end),
		cmocka_unit_test_setup_teardown(test_new_account_takes_no_grace_of_before_a_booking, begin, end),
		cmocka_unit_test_setup_teardown(test_refusals_and_nulls, begin, end),
		cmocka_unit_test_setup_teardown(test_covered_requests, begin, end),
		cmocka_unit_test_setup_teardown(test_costs_are_bounded, begin, end),
		cmocka_unit_test_setup_teardown(test_accounts_are_bounded, begin, end),
		cmocka_unit_test_setup_teardown(test_grace_ends, begin, end),
		cmocka_unit_test_setup_teardown(test_answers_that_are_no_grace, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
