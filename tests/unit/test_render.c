#include "unit.h"

#include "routes/api/render.h"

static char currency[4];
static char topup_url[64];
static char public_url[64];
static struct config config;
static struct request request;
static struct response response;
static struct call call;

static void set_text(char *field, const char *text)
{
	memcpy(field, text, strlen(text) + 1);
}

static int set_up(void **state)
{
	(void)state;
	memset(&config, 0, sizeof(config));
	memset(&request, 0, sizeof(request));
	memset(&call, 0, sizeof(call));
	set_text(currency, "EUR");
	set_text(topup_url, "");
	set_text(public_url, "");
	set_text(request.id, "id-1");
	config.currency = currency;
	config.topup_url = topup_url;
	config.public_url = public_url;
	response_init(&response);
	call.request = &request;
	call.response = &response;
	call.config = &config;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	response_free(&response);
	return 0;
}

static void test_amounts(void **state)
{
	static const struct {
		const char *currency;
		enum account_unit unit;
		int64_t micros;
		const char *english, *french;
	} cases[] = {
		{"EUR", UNIT_MONEY, 9870000, "9.87€", "9,87 €"},
		{"EUR", UNIT_MONEY, 9879999, "9.87€", "9,87 €"},
		{"EUR", UNIT_MONEY, 0, "0.00€", "0,00 €"},
		{"EUR", UNIT_MONEY, -1, "-0.01€", "-0,01 €"},
		{"EUR", UNIT_MONEY, -500000, "-0.50€", "-0,50 €"},
		{"EUR", UNIT_MONEY, INT64_C(2000000000000000000), "2000000000000.00€", "2000000000000,00 €"},
		{"USD", UNIT_MONEY, 9870000, "$9.87", "9,87 $"},
		{"USD", UNIT_MONEY, -9870000, "-$9.87", "-9,87 $"},
		{"CHF", UNIT_MONEY, 9870000, "9.87 CHF", "9,87 CHF"},
		{"EUR", UNIT_CREDIT, 12000000, "12 credits", "12 crédits"},
		{"EUR", UNIT_CREDIT, 12999999, "12 credits", "12 crédits"},
		{"EUR", UNIT_CREDIT, 1000000, "1 credit", "1 crédit"},
		{"EUR", UNIT_CREDIT, 0, "0 credits", "0 crédit"},
		{"EUR", UNIT_CREDIT, -1, "-1 credits", "-1 crédit"},
	};
	char text[RENDER_AMOUNT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		set_text(currency, cases[i].currency);
		call.french = false;
		render_amount(&call, cases[i].unit, cases[i].micros, text);
		assert_string_equal(text, cases[i].english);
		call.french = true;
		render_amount(&call, cases[i].unit, cases[i].micros, text);
		assert_string_equal(text, cases[i].french);
	}
}

static void expect_body(const char *text)
{
	assert_string_equal(buf_text(&response.body), text);
}

static void test_refusals(void **state)
{
	const struct refusal with_message = {.outcome = OUTCOME_NOT_FOUND, .message = "none \"here\""};

	(void)state;
	render_outcome(&call, OUTCOME_UNAUTHORIZED);
	assert_int_equal(response.status, 401);
	assert_string_equal(response.outcome, "UNAUTHORIZED");
	assert_int_equal(call.outcome, OUTCOME_UNAUTHORIZED);
	assert_non_null(strstr(buf_text(&response.headers), "WWW-Authenticate: Bearer"));
	expect_body("{\"error\":\"UNAUTHORIZED\",\"message\":\"Authentication is "
	            "required.\",\"requestId\":\"id-1\"}");
	call.french = true;
	render_outcome(&call, OUTCOME_UNAVAILABLE);
	assert_int_equal(response.status, 503);
	assert_non_null(strstr(buf_text(&response.headers), "Retry-After: 1\r\n"));
	assert_non_null(strstr(buf_text(&response.body), "Momentanément indisponible"));
	call.field = "limit";
	render_outcome(&call, OUTCOME_INVALID_REQUEST);
	expect_body("{\"error\":\"INVALID_REQUEST\",\"message\":\"La requête n'est pas "
	            "valide.\",\"field\":\"limit\","
	            "\"requestId\":\"id-1\"}");
	render_refusal(&call, &with_message);
	expect_body("{\"error\":\"NOT_FOUND\",\"message\":\"none "
	            "\\\"here\\\"\",\"requestId\":\"id-1\"}");
}

static void test_every_outcome_can_be_rendered(void **state)
{
	const struct refusal declined = {
		.outcome = OUTCOME_PAYMENT_DECLINED, .code = "card_declined", .invoice_url = ""};

	(void)state;
	for (int o = OUTCOME_OK + 1; o < OUTCOME_COUNT; o++) {
		char error[JSON_ERROR_MAX];
		const struct command command = {.answer = {.outcome = (enum outcome)o, .limit = LIMIT_BALANCE}};
		struct json *body;

		response_reset(&response);
		if (o == OUTCOME_PAYMENT_DECLINED)
			render_refusal(&call, &declined);
		else
			render_answer(&call, &command);
		assert_int_equal(response.status, outcome_status((enum outcome)o));
		body = json_parse(response.body.data, response.body.length, false, error);
		assert_non_null(body);
		assert_string_equal(json_text(json_get(body, "error"), NULL), outcome_name((enum outcome)o));
		assert_true(strlen(json_text(json_get(body, "message"), NULL)) > 0);
		assert_int_equal(json_get(body, "neededMicros") != NULL,
		                 response.status == 402 && o != OUTCOME_PAYMENT_DECLINED);
		json_free(body);
	}
}

static void test_a_refusal_about_money(void **state)
{
	const struct command command = {.answer = {
						.outcome = OUTCOME_INSUFFICIENT_CREDITS,
						.unit = UNIT_MONEY,
						.balance_micros = 29999,
						.available_micros = 20000,
						.needed_micros = 20660,
						.limit = LIMIT_BALANCE,
						.limit_micros = 29999,
						.used_micros = 9999,
					}};

	(void)state;
	set_text(public_url, "https://example.com/");
	render_answer(&call, &command);
	assert_int_equal(response.status, 402);
	expect_body("{\"error\":\"INSUFFICIENT_CREDITS\",\"message\":\"Not enough credits. Please "
	            "top up or add your own API "
	            "key.\",\"code\":\"insufficient_quota\",\"limit\":{\"kind\":\"balance\","
	            "\"limitMicros\":29999,"
	            "\"usedMicros\":9999,\"resetsAt\":null},\"neededMicros\":20660,"
	            "\"availableMicros\":20000,"
	            "\"shortfallMicros\":660,\"balance\":2,\"estimatedCost\":2.066,"
	            "\"topupUrl\":\"https://example.com/billing\",\"requestId\":\"id-1\"}");
	set_text(topup_url, "https://example.com/pay");
	render_answer(&call, &command);
	assert_non_null(strstr(buf_text(&response.body), "\"topupUrl\":\"https://example.com/pay\""));
	set_text(topup_url, "");
	set_text(public_url, "");
	render_answer(&call, &command);
	assert_non_null(strstr(buf_text(&response.body), "\"topupUrl\":null"));
}

static void test_a_hard_limit(void **state)
{
	const struct command command = {.answer = {
						.outcome = OUTCOME_HARD_LIMIT_REACHED,
						.unit = UNIT_MONEY,
						.available_micros = INT64_MIN,
						.needed_micros = INT64_MAX,
						.limit = LIMIT_HARD,
						.resets_at_us = INT64_C(1795222800000000),
					}};

	(void)state;
	render_answer(&call, &command);
	assert_non_null(strstr(buf_text(&response.body), "\"code\":\"billing_hard_limit_reached\""));
	assert_non_null(strstr(buf_text(&response.body), "\"kind\":\"hard_limit\""));
	assert_non_null(strstr(buf_text(&response.body), "\"resetsAt\":\"2026-11-21T01:00:00.000Z\""));
	assert_non_null(strstr(buf_text(&response.body), "\"shortfallMicros\":9223372036854775807"));
}

static void test_the_sentence_for_credits(void **state)
{
	const struct command command = {.answer = {
						.outcome = OUTCOME_INSUFFICIENT_CREDITS,
						.unit = UNIT_CREDIT,
						.balance_micros = 5000000,
						.available_micros = 3999999,
						.needed_micros = 4000001,
						.limit = LIMIT_BALANCE,
					}};

	(void)state;
	call.french = true;
	render_answer(&call, &command);
	assert_non_null(strstr(buf_text(&response.body), "\"message\":\"Crédits IA insuffisants pour votre équipe. "
	                                                 "Il reste 3 crédits, 5 nécessaires.\""));
	call.french = false;
	render_answer(&call, &command);
	assert_non_null(strstr(buf_text(&response.body), "\"message\":\"Not enough AI credits for your team. "
	                                                 "3 credits left, 5 needed.\""));
	assert_non_null(strstr(buf_text(&response.body), "\"balance\":5,\"estimatedCost\":4,"));
}

static void expect_message(const char *message)
{
	char error[JSON_ERROR_MAX];
	struct json *body = json_parse(response.body.data, response.body.length, false, error);

	assert_string_equal(json_text(json_get(body, "message"), NULL), message);
	json_free(body);
}

static void test_the_sentences_for_limits(void **state)
{
	struct command command = {.member = "user:42",
	                          .answer = {
					  .outcome = OUTCOME_MEMBER_LIMIT_REACHED,
					  .unit = UNIT_CREDIT,
					  .limit = LIMIT_MEMBER,
					  .of_member = true,
					  .limit_micros = 100000000,
					  .used_micros = 97500000,
					  .available_micros = 2500000,
					  .needed_micros = 4000001,
					  .resets_at_us = INT64_C(1796079600000000),
				  }};

	(void)state;
	render_answer(&call, &command);
	expect_message("This member's limit of 100 credits is reached. 2 credits left, 5 credits needed."
	               " It resets at 2026-11-30 23:00 UTC.");
	assert_non_null(
		strstr(buf_text(&response.body), "\"resetsAt\":\"2026-11-30T23:00:00.000Z\",\"member\":\"user:42\"}"));
	call.french = true;
	render_answer(&call, &command);
	expect_message("La limite de 100 crédits de ce membre est atteinte. Il reste 2 crédits, 5 crédits nécessaires."
	               " Elle se renouvelle le 30/11/2026 à 23:00 UTC.");
	command.answer.outcome = OUTCOME_SPENDING_LIMIT_REACHED;
	command.answer.limit = LIMIT_DAILY;
	command.answer.unit = UNIT_MONEY;
	command.answer.resets_at_us = 0;
	render_answer(&call, &command);
	expect_message("La limite de dépenses journalière de 100,00 € de ce membre est atteinte."
	               " Il reste 2,50 €, 4,01 € nécessaires.");
	command.answer.limit = LIMIT_MONTHLY;
	command.answer.of_member = false;
	render_answer(&call, &command);
	expect_message(
		"La limite de dépenses mensuelle de 100,00 € est atteinte. Il reste 2,50 €, 4,01 € nécessaires.");
	call.french = false;
	render_answer(&call, &command);
	expect_message("The monthly spending limit of 100.00€ is reached. 2.50€ left, 4.01€ needed.");
	assert_null(strstr(buf_text(&response.body), "user:42"));
	command.answer.available_micros = -5;
	command.answer.needed_micros = INT64_MAX;
	command.answer.of_member = true;
	render_answer(&call, &command);
	expect_message(
		"This member's monthly spending limit of 100.00€ is reached. 0.00€ left, 9223372036854.77€ needed.");
}

static void test_what_auth_request_understands(void **state)
{
	static const struct {
		enum outcome outcome;
		int status;
		const char *header;
	} cases[] = {
		{OUTCOME_INSUFFICIENT_CREDITS, 403, "X-Octroi-Status: 402\r\nX-Octroi-Error: INSUFFICIENT_CREDITS\r\n"},
		{OUTCOME_UNKNOWN_MODEL, 403, "X-Octroi-Status: 422\r\nX-Octroi-Error: UNKNOWN_MODEL\r\n"},
		{OUTCOME_INVALID_REQUEST, 403, "X-Octroi-Status: 400\r\nX-Octroi-Error: INVALID_REQUEST\r\n"},
		{OUTCOME_UNAUTHORIZED, 401, "X-Octroi-Status: 401\r\nX-Octroi-Error: UNAUTHORIZED\r\n"},
		{OUTCOME_UNAVAILABLE, 503, "X-Octroi-Status: 503\r\nX-Octroi-Error: UNAVAILABLE\r\n"},
	};

	(void)state;
	call.gate = true;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		response_reset(&response);
		render_outcome(&call, cases[i].outcome);
		assert_int_equal(response.status, cases[i].status);
		assert_non_null(strstr(buf_text(&response.headers), cases[i].header));
	}
}

static void test_a_wrong_field(void **state)
{
	struct parse p;

	(void)state;
	parse_query(&p, &request);
	parse_wrong(&p, "models", PARSE_ONE_OF);
	render_wrong(&call, &p);
	assert_int_equal(response.status, 400);
	expect_body("{\"error\":\"INVALID_REQUEST\",\"message\":\"models is one of several fields "
	            "of which exactly one must be "
	            "given.\",\"field\":\"models\",\"requestId\":\"id-1\"}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_amounts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_every_outcome_can_be_rendered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_refusal_about_money, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_hard_limit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_sentence_for_credits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_sentences_for_limits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_auth_request_understands, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_wrong_field, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
