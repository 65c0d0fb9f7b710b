#include "unit.h"

#include "ledger/command.h"
#include "ledger/names.h"
#include "routes/api/cursor.h"
#include "routes/api/language.h"
#include "routes/api/parse.h"

static struct arena *arena;
static struct request request;
static struct json *document;
static const char *const known[] = {"a", "b", "requestId", NULL};

static int set_up(void **state)
{
	static const char *const nothing[] = {NULL};

	(void)state;
	arena = arena_new(1 << 20);
	memset(&request, 0, sizeof(request));
	request.arena = arena;
	request.query = "";
	request.parameters = nothing;
	document = NULL;
	return arena == NULL;
}

static int tear_down(void **state)
{
	(void)state;
	json_free(document);
	arena_free(arena);
	return 0;
}

/* Parses a record whose members are known. */
static struct parse of(const char *text)
{
	char error[JSON_ERROR_MAX];
	struct parse p;

	json_free(document);
	document = json_parse(text, strlen(text), false, error);
	assert_non_null(document);
	parse_record(&p, &request, document, known);
	return p;
}

static struct parse of_query(const char *query)
{
	struct parse p;

	request.query = query;
	parse_query(&p, &request);
	return p;
}

static void expect_wrong(const struct parse *p, const char *field, enum parse_want want)
{
	assert_false(parse_ok(p));
	assert_string_equal(p->field, field);
	assert_int_equal(p->want, want);
}

static void test_unknown_members(void **state)
{
	struct parse p = of("{\"a\":1,\"aa\":2}");
	char name[] = "{\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\xc3\xa9yy"
		      "yyyyyyy\":1}";

	(void)state;
	expect_wrong(&p, "aa", PARSE_KNOWN);
	p = of("{\"a\":1,\"b\":null}");
	assert_true(parse_ok(&p));
	p = of("{}");
	assert_true(parse_ok(&p));
	/* A long one is cut, but not within a character. */
	p = of(name);
	assert_int_equal(strlen(p.field), 63);
}

static void test_integers(void **state)
{
	static const struct {
		const char *text;
		bool good;
		int64_t value;
	} cases[] = {
		{"{\"a\":5}", true, 5},
		{"{\"a\":-3}", true, -3},
		{"{\"a\":100}", true, 100},
		{"{\"a\":101}", false, 0},
		{"{\"a\":-4}", false, 0},
		{"{\"a\":5.0}", false, 0},
		{"{\"a\":5e0}", false, 0},
		{"{\"a\":\"5\"}", false, 0},
		{"{\"a\":true}", false, 0},
		{"{\"a\":[5]}", false, 0},
		{"{\"a\":null}", true, 77},
		{"{}", true, 77},
		{"{\"a\":9223372036854775807}", false, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct parse p = of(cases[i].text);
		int64_t value = parse_int(&p, "a", -3, 100, 77);

		assert_int_equal(parse_ok(&p), cases[i].good);
		if (cases[i].good)
			assert_int_equal(value, cases[i].value);
		else
			expect_wrong(&p, "a", PARSE_INT);
	}
}

static void test_texts(void **state)
{
	struct parse p = of("{\"a\":\"h\xc3\xa9h\xc3\xa9\",\"b\":\"\"}");

	(void)state;
	assert_string_equal(parse_text(&p, "a", 1, 4), "h\xc3\xa9h\xc3\xa9");
	assert_string_equal(parse_text(&p, "b", 0, 4), "");
	assert_true(parse_ok(&p));
	assert_null(parse_text(&p, "a", 1, 3));
	expect_wrong(&p, "a", PARSE_TEXT);
	p = of("{\"a\":\"h\xc3\xa9h\xc3\xa9\",\"b\":\"\"}");
	assert_null(parse_bytes(&p, "a", 5));
	expect_wrong(&p, "a", PARSE_BYTES);
	p = of("{\"a\":\"x\\ny\"}");
	assert_null(parse_text(&p, "a", 1, 10));
	expect_wrong(&p, "a", PARSE_TEXT);
	p = of("{\"a\":\"x\\u007fy\"}");
	assert_null(parse_bytes(&p, "a", 10));
	p = of("{\"b\":\"\"}");
	assert_null(parse_text(&p, "b", 1, 10));
	expect_wrong(&p, "b", PARSE_TEXT);
	p = of("{\"a\":5,\"b\":null}");
	assert_null(parse_text(&p, "b", 1, 10));
	assert_true(parse_ok(&p));
	assert_null(parse_text(&p, "a", 1, 10));
	expect_wrong(&p, "a", PARSE_TEXT);
}

/* Characters that end a line in a mail's header, or in what shows it; their neighbours are text as any other. */
static void test_texts_stay_on_their_line(void **state)
{
	static const char *const bad[] = {"\x1f",     "\x7f",         "\xc2\x80",      "\xc2\x85",
	                                  "\xc2\x9f", "\xe2\x80\xa8", "x\xe2\x80\xa9y"};
	static const char *const good[] = {
		" ", "~", "\xc2\xa0", "\xc3\x85", "\xe2\x80\xa7", "\xe2\x80\xaa", "\xe2\x81\xa8", "\xf0\x9f\x98\x80"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(parse_plain(bad[i], strlen(bad[i]), 10));
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(parse_plain(good[i], strlen(good[i]), 10));
	assert_false(parse_plain("", 0, 10));
	assert_true(parse_plain("1234567890", 10, 10));
	assert_false(parse_plain("12345678901", 11, 10));
}

static void test_the_first_wrong_one_is_kept(void **state)
{
	struct parse p = of("{\"a\":5,\"b\":6}");

	(void)state;
	parse_text(&p, "b", 1, 10);
	parse_bool(&p, "a", false);
	parse_need(&p, "c");
	expect_wrong(&p, "b", PARSE_TEXT);
}

static void test_others(void **state)
{
	struct parse p = of("{\"a\":true,\"b\":\"postpaid\"}");

	(void)state;
	assert_true(parse_bool(&p, "a", false));
	assert_int_equal(parse_name(&p, "b", names_to_mode, 9), MODE_POSTPAID);
	assert_int_equal(parse_name(&p, "none", names_to_mode, 9), 9);
	assert_true(parse_ok(&p));
	parse_name(&p, "a", names_to_mode, 9);
	expect_wrong(&p, "a", PARSE_NAME);
	p = of("{\"a\":\"2026-11-21T01:00:00Z\",\"b\":\"soon\"}");
	assert_int_equal(parse_time(&p, "a"), INT64_C(1795222800000000));
	assert_int_equal(parse_time(&p, "none"), 0);
	assert_true(parse_ok(&p));
	parse_time(&p, "b");
	expect_wrong(&p, "b", PARSE_TIME);
	p = of("{\"a\":[1,2,3]}");
	assert_int_equal(json_size(parse_list(&p, "a", 1, 3)), 3);
	assert_true(parse_ok(&p));
	assert_null(parse_list(&p, "a", 1, 2));
	expect_wrong(&p, "a", PARSE_LIST);
	p = of("{\"a\":\"ws:acme\",\"b\":\"a b\"}");
	assert_string_equal(parse_account(&p, "a"), "ws:acme");
	assert_null(parse_account(&p, "b"));
	expect_wrong(&p, "b", PARSE_ACCOUNT);
	parse_need(&p, "a");
	p = of("{\"a\":null}");
	parse_need(&p, "a");
	expect_wrong(&p, "a", PARSE_PRESENT);
}

static void test_small_records(void **state)
{
	struct parse p = of("{\"a\":{ \"x\" : 1.50, \"y\" : [ null ] },\"b\":[1]}");

	(void)state;
	assert_string_equal(parse_small_record(&p, "a", 23), "{\"x\":1.50,\"y\":[null]}");
	assert_string_equal(parse_small_record(&p, "none", 5), "");
	assert_true(parse_ok(&p));
	assert_string_equal(parse_small_record(&p, "a", 20), "");
	expect_wrong(&p, "a", PARSE_SMALL_RECORD);
	p = of("{\"b\":[1]}");
	parse_small_record(&p, "b", 100);
	expect_wrong(&p, "b", PARSE_SMALL_RECORD);
}

static void test_providers(void **state)
{
	struct parse p = of("{\"a\":[\"openai\",\"anthropic\",\"openai\"],\"b\":[\"nobody\"]}");

	(void)state;
	assert_int_equal(parse_providers(&p, "a"), provider_bit("openai") | provider_bit("anthropic"));
	assert_int_equal(parse_providers(&p, "none"), 0);
	assert_true(parse_ok(&p));
	parse_providers(&p, "b");
	expect_wrong(&p, "b", PARSE_PROVIDERS);
	p = of("{\"a\":\"openai\"}");
	parse_providers(&p, "a");
	expect_wrong(&p, "a", PARSE_LIST);
	p = of("{\"a\":[5]}");
	parse_providers(&p, "a");
	expect_wrong(&p, "a", PARSE_PROVIDERS);
}

static void test_request_ids(void **state)
{
	static const char *const header[] = {"HTTP_IDEMPOTENCY_KEY=r1", NULL};
	static const char *const blank[] = {"HTTP_IDEMPOTENCY_KEY=r 1", NULL};
	static const char *const empty[] = {"HTTP_IDEMPOTENCY_KEY=", NULL};
	struct parse p = of("{}");

	(void)state;
	assert_null(parse_repeat(&p));
	p = of("{\"requestId\":\"r1\"}");
	assert_string_equal(parse_repeat(&p), "r1");
	request.parameters = empty;
	assert_string_equal(parse_repeat(&p), "r1");
	request.parameters = header;
	assert_string_equal(parse_repeat(&p), "r1");
	assert_true(parse_ok(&p));
	p = of("{}");
	assert_string_equal(parse_repeat(&p), "r1");
	p = of("{\"requestId\":\"r2\"}");
	parse_repeat(&p);
	expect_wrong(&p, "requestId", PARSE_SAME);
	request.parameters = blank;
	p = of("{}");
	parse_repeat(&p);
	expect_wrong(&p, "Idempotency-Key", PARSE_REQUEST_ID);
}

static void test_limits(void **state)
{
	struct parse p = of("{\"a\":null,\"b\":5}");
	struct parse inner;
	int64_t limit = 0;

	(void)state;
	assert_true(parse_null(&p, "a") && !parse_null(&p, "b") && !parse_null(&p, "requestId"));
	assert_true(parse_limit(&p, "a", &limit) && limit == COMMAND_NO_LIMIT);
	assert_true(parse_limit(&p, "b", &limit) && limit == 5);
	assert_false(parse_limit(&p, "requestId", &limit));
	assert_true(parse_ok(&p));
	inner = of("{\"a\":-1}");
	(void)parse_limit(&inner, "a", &limit);
	expect_wrong(&inner, "a", PARSE_INT);
	p = of("{}");
	parse_inner(&p, &inner, "members", "user:42");
	expect_wrong(&p, "members.user:42.a", PARSE_INT);
	p = of("{\"a\":{\"x\":1,\"y\":2},\"b\":[]}");
	assert_int_equal(json_size(parse_map(&p, "a", 2)), 2);
	assert_null(parse_map(&p, "requestId", 2));
	assert_true(parse_ok(&p));
	assert_null(parse_map(&p, "a", 1));
	expect_wrong(&p, "a", PARSE_MAP);
	p = of("{\"b\":[]}");
	assert_null(parse_map(&p, "b", 2));
	expect_wrong(&p, "b", PARSE_MAP);
}

static void test_queries(void **state)
{
	struct parse p = of_query("limit=25&cursor=&name=a%20b&bad=%ff");

	(void)state;
	assert_int_equal(parse_int(&p, "limit", 1, 100, 20), 25);
	assert_null(parse_text(&p, "cursor", 1, 10));
	assert_string_equal(parse_text(&p, "name", 1, 10), "a b");
	assert_int_equal(parse_int(&p, "none", 1, 100, 20), 20);
	assert_true(parse_ok(&p));
	parse_text(&p, "bad", 1, 10);
	assert_string_equal(p.field, "bad");
	for (const char *const *text =
	             (const char *const[]){"limit=0", "limit=101", "limit=5.0", "limit=%205", "limit=1e1", "limit=+5",
	                                   "limit=-", "limit=99999999999999999999", "limit=0x5", NULL};
	     *text != NULL; text++) {
		p = of_query(*text);
		parse_int(&p, "limit", 1, 100, 20);
		expect_wrong(&p, "limit", PARSE_INT);
	}
}

static void test_messages(void **state)
{
	struct parse p = of("{\"a\":101}");
	struct buf text;

	(void)state;
	buf_init(&text, 1024);
	parse_int(&p, "a", -3, 100, 0);
	parse_message(&p, false, &text);
	assert_string_equal(buf_text(&text), "a must be an integer from -3 to 100.");
	buf_reset(&text);
	parse_message(&p, true, &text);
	assert_string_equal(buf_text(&text), "a doit être un entier de -3 à 100.");
	for (int want = 0; want < PARSE_WANTS; want++) {
		p.want = (enum parse_want)want;
		buf_reset(&text);
		parse_message(&p, want % 2 == 0, &text);
		assert_true(text.length > 8);
		assert_null(strchr(buf_text(&text), '{'));
	}
	buf_free(&text);
}

static void test_cursors(void **state)
{
	struct account_key one = id_account_key("one", 3);
	struct account_key other = id_account_key("other", 5);
	char text[CURSOR_MAX];
	int64_t seq = 0;

	(void)state;
	cursor_format(CURSOR_USAGES, &one, INT64_C(1234567890123), text);
	assert_int_equal(cursor_parse(text, CURSOR_USAGES, &one, &seq), 0);
	assert_int_equal(seq, INT64_C(1234567890123));
	assert_int_equal(cursor_parse(text, CURSOR_TRANSACTIONS, &one, &seq), -1);
	assert_int_equal(cursor_parse(text, CURSOR_USAGES, &other, &seq), -1);
	assert_int_equal(cursor_parse(text, CURSOR_USAGES, NULL, &seq), -1);
	assert_int_equal(cursor_parse("", CURSOR_USAGES, &one, &seq), -1);
	assert_int_equal(cursor_parse("AAAAAAAAAAAAAAAAAAAAAA", CURSOR_TRANSACTIONS, NULL, &seq), -1);
	text[CURSOR_MAX - 2] = '\0';
	assert_int_equal(cursor_parse(text, CURSOR_USAGES, &one, &seq), -1);
	cursor_format(CURSOR_PRICES, NULL, 1, text);
	assert_int_equal(cursor_parse(text, CURSOR_PRICES, NULL, &seq), 0);
	assert_int_equal(seq, 1);
}

static void test_languages(void **state)
{
	static const struct {
		const char *accept;
		bool french;
	} cases[] = {
		{NULL, false},
		{"", false},
		{"fr", true},
		{"FR", true},
		{"fr-FR", true},
		{"fr-FR,fr;q=0.9,en;q=0.8", true},
		{"en", false},
		{"en,fr", false},
		{"fr,en", true},
		{"en;q=0.5,fr", true},
		{"fr;q=0.5,en", false},
		{"en;q=0.5, fr;q=0.5", false},
		{"fr;q=0.5, en;q=0.5", true},
		{"de,fr;q=0.1", true},
		{"de", false},
		{"*", false},
		{"fr;q=0", false},
		{"fr;q=2", false},
		{"fr;q=0.1234", false},
		{"fr;q=x", false},
		{"fr; q=0.8 , en;q=0.7", true},
		{",,,fr", true},
		{"french", false},
		{"f", false},
		{"fr_FR", false},
		{";q=1", false},
		{"fr;level=1", false},
		{"en;q=0.001,fr;q=0.002", true},
		{"fr;q=1.000", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(language_french(cases[i].accept), cases[i].french);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_unknown_members, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_integers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_texts, set_up, tear_down),
		cmocka_unit_test(test_texts_stay_on_their_line),
		cmocka_unit_test_setup_teardown(test_the_first_wrong_one_is_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_others, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_small_records, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_providers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_request_ids, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_limits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_queries, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_messages, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cursors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_languages, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
