/*
 * Requests to Stripe as they are written, and the places of those that wait for it.  What is sent and
 * answered is tested against a Stripe that keeps state (tests/api/test_topup.py).
 */
#include "unit.h"

#include "base/clock.h"
#include "clients/bulkhead.h"
#include "clients/http.h"
#include "clients/stripe.h"

static void test_form(void **state)
{
	struct stripe_call call;

	(void)state;
	stripe_begin(&call, "/v1/customers", "key", 0);
	stripe_put(&call, "email", "a+b@c.example");
	stripe_put(&call, "name", "");
	stripe_put(&call, "metadata[user_id]", "x y&z=\xc3\xa9\n\"%~*");
	stripe_put_int(&call, "a[0][b]", INT64_MIN);
	assert_string_equal(buf_text(&call.form),
	                    "email=a%2Bb%40c.example&metadata%5Buser_id%5D=x%20y%26z%3D%C3%A9%0A%22%25%7E%2A"
	                    "&a%5B0%5D%5Bb%5D=-9223372036854775808");
	assert_false(call.get);
	stripe_call_free(&call);
	stripe_begin(&call, "/v1/events", NULL, 0);
	assert_true(call.get);
	stripe_call_free(&call);
}

static void test_keys(void **state)
{
	char one[STRIPE_KEY_MAX], other[STRIPE_KEY_MAX];

	(void)state;
	stripe_new_key(one);
	stripe_new_key(other);
	assert_string_not_equal(one, other);
	assert_int_equal(strlen(one), 39);
	assert_int_equal(strncmp(one, "octroi-", 7), 0);
}

static void test_ids(void **state)
{
	static const char *const bad[] = {"", "cus_", "cus", "Cus_1", "cus_1/2", "cus_..", "cus_1?x", "cus_1 ", "in_1"};
	char longest[256];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(stripe_id_valid(bad[i], "cus_"));
	assert_true(stripe_id_valid("cus_NffrFeUfNV2Hib", "cus_"));
	assert_true(stripe_id_valid("cs_test_a11YYufWQzNY63zpQ6QSNRQhkUpVph4WRmzW0zWJO2znZKdVujZ0N0S22u", "cs_"));
	memset(longest, 'a', sizeof(longest));
	memcpy(longest, "cus_", 4);
	longest[200] = '\0';
	assert_true(stripe_id_valid(longest, "cus_"));
	longest[200] = 'a';
	longest[201] = '\0';
	assert_false(stripe_id_valid(longest, "cus_"));
}

static void test_decimals(void **state)
{
	(void)state;
	assert_int_equal(stripe_decimals("EUR"), 2);
	assert_int_equal(stripe_decimals("jpy"), 0);
	assert_int_equal(stripe_decimals("JPY"), 0);
	assert_int_equal(stripe_decimals("KWD"), 3);
}

static void test_mode(void **state)
{
	const struct stripe live = {.secret_key = "sk_live_x"}, restricted = {.secret_key = "rk_live_x"},
			    test = {.secret_key = "sk_test_live"};

	(void)state;
	assert_true(stripe_is_live(&live));
	assert_true(stripe_is_live(&restricted));
	assert_false(stripe_is_live(&test));
}

/* Nobody listens there: told at once, nothing was sent, and in bounded time. */
static void test_nobody_there(void **state)
{
	const struct stripe s = {.api_base = "http://127.0.0.1:1", .secret_key = "sk_test_x", .timeout_ms = 5000};
	const struct http_request request = {
		.method = "GET", .url = "http://127.0.0.1:1/", .deadline_us = clock_monotonic_us() + 1000000};
	struct http_answer answer;
	struct stripe_call call;
	int64_t began_us = clock_monotonic_us();

	(void)state;
	assert_int_equal(http_send(&request, &answer), -1);
	assert_int_equal(answer.status, 0);
	assert_true(answer.error[0] != '\0');
	http_answer_free(&answer);
	stripe_begin(&call, "/v1/customers", "key", INT64_MAX);
	assert_int_equal(stripe_send(&s, &call), STRIPE_UNAVAILABLE);
	assert_int_equal(call.attempts, 3);
	assert_null(call.json);
	stripe_call_free(&call);
	stripe_begin(&call, "/v1/customers", "key", began_us);
	assert_int_equal(stripe_send(&s, &call), STRIPE_UNAVAILABLE);
	assert_int_equal(call.attempts, 0);
	stripe_call_free(&call);
	assert_true(clock_monotonic_us() - began_us < 4000000);
}

static void test_other_protocols(void **state)
{
	static const char *const urls[] = {"file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1:1/", "x", ""};

	(void)state;
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		const struct http_request request = {.method = "GET",
		                                     .url = urls[i],
		                                     .answer_max = 1000,
		                                     .deadline_us = clock_monotonic_us() + 1000000};
		struct http_answer answer;

		assert_int_equal(http_send(&request, &answer), -1);
		assert_int_equal(answer.body.length, 0);
		http_answer_free(&answer);
	}
}

static void test_bulkhead(void **state)
{
	const struct account_key one = {{1}}, other = {{2}};
	static struct bulkhead b;

	(void)state;
	bulkhead_init(&b, 3, 2);
	assert_true(bulkhead_enter(&b, &one));
	assert_true(bulkhead_enter(&b, &one));
	assert_false(bulkhead_enter(&b, &one)); /* its share */
	assert_true(bulkhead_enter(&b, &other));
	assert_false(bulkhead_enter(&b, &other)); /* all places */
	assert_false(bulkhead_enter(&b, NULL));
	bulkhead_leave(&b, &one);
	assert_true(bulkhead_enter(&b, NULL));
	bulkhead_leave(&b, &one);
	assert_true(bulkhead_enter(&b, &one));
	bulkhead_leave(&b, NULL);
	bulkhead_leave(&b, &one);
	bulkhead_leave(&b, &other);
	for (int i = 0; i < 3; i++) /* nobody's have no share */
		assert_true(bulkhead_enter(&b, NULL));
	for (int i = 0; i < 3; i++)
		bulkhead_leave(&b, NULL);
	bulkhead_destroy(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_form),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_decimals),
		cmocka_unit_test(test_mode),
		cmocka_unit_test(test_nobody_there),
		cmocka_unit_test(test_other_protocols),
		cmocka_unit_test(test_bulkhead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
