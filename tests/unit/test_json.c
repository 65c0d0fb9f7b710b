#include "unit.h"

#include "base/clock.h"
#include "base/json.h"

/* The document after parsing and dumping; "refused: …" when it is refused. */
static const char *pass(const char *bytes, size_t length, bool numbers_as_text)
{
	static char text[4096];
	char error[JSON_ERROR_MAX];
	struct json *document = json_parse(bytes, length, numbers_as_text, error);
	struct buf out;

	if (document == NULL) {
		assert_true(strncmp(error, "the JSON ", 9) == 0);
		snprintf(text, sizeof(text), "refused: %s", error + 9);
		return text;
	}
	assert_string_equal(error, "");
	buf_init(&out, sizeof(text) - 1);
	json_dump(document, &out);
	assert_true(buf_ok(&out));
	memcpy(text, buf_text(&out), out.length + 1);
	buf_free(&out);
	json_free(document);
	return text;
}

static void test_read_and_dumped(void **state)
{
	static const char *const cases[][2] = {
		{"{}", "{}"},
		{"[]", "[]"},
		{" [ ] \r\n\t", "[]"},
		{"null", "null"},
		{"true", "true"},
		{"false", "false"},
		{"\"x\"", "\"x\""},
		{"0", "0"},
		{"-0", "0"},
		{"{\"b\":1,\"a\":[true,null,{\"c\":\"d\"}]}", "{\"b\":1,\"a\":[true,null,{\"c\":\"d\"}]}"},
		{"9223372036854775807", "9223372036854775807"},
		{"-9223372036854775808", "-9223372036854775808"},
		/* fractions come out exactly as they went in */
		{"5.0", "5.0"},
		{"5e0", "5e0"},
		{"-0.0", "-0.0"},
		{"[0.1,1.25e-06,1E400,-1e-400]", "[0.1,1.25e-06,1E400,-1e-400]"},
		{"{\"cost\":0.12345678901234567890123456789}", "{\"cost\":0.12345678901234567890123456789}"},
		{"[1 , 2.5 , 3]", "[1,2.5,3]"},
		{"[\"1.5\",\"a\\\"2.5\\\\\",2.5]", "[\"1.5\",\"a\\\"2.5\\\\\",2.5]"},
		{"\"\\u0041\\/\\b\\f\\n\\r\\t\\\"\\\\\\u001f\"", "\"A/\\b\\f\\n\\r\\t\\\"\\\\\\u001f\""},
		{"\"\\u00e9\\ud83d\\ude00\"", "\"\303\251\360\237\230\200\""},
		{"\"\303\251\360\237\230\200\177\"", "\"\303\251\360\237\230\200\177\""},
		{"\"\\\\u0000\"", "\"\\\\u0000\""}, /* an escaped backslash, then text */
		{"{\"\":0}", "{\"\":0}"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(pass(cases[i][0], strlen(cases[i][0]), false), cases[i][1]);
}

static void test_refused(void **state)
{
	static const char *const cases[][2] = {
		{"", "ends too early (line 1)"},
		{"  ", "ends too early (line 1)"},
		{"{", "ends too early (line 1)"},
		{"[1,\n2", "ends too early (line 2)"},
		{"\"abc", "ends too early (line 1)"},
		{"\"abc\\", "is not well-formed (line 1)"},
		{"{}x", "has something after its end (line 1)"},
		{"{}{}", "has something after its end (line 1)"},
		{"1 2", "has something after its end (line 1)"},
		{"1.5 2", "has something after its end (line 1)"},
		{"[]]", "has something after its end (line 1)"},
		{"{\"a\":1,\"a\":1}", "has a key twice in one record (line 1)"},
		{"{\"a\":1,\"\\u0061\":2}", "has a key twice in one record (line 1)"},
		{"[{\"a\":1.5,\n\"a\":2.5}]", "has a key twice in one record (line 2)"},
		{"\"\\u0000\"", "contains a NUL character"},
		{"[1.5,\"x\\u0000\"]", "contains a NUL character"},
		{"[1.5,\"\\u00001.5\"]", "contains a NUL character"},
		{"{\"a\\u0000b\":1}", "contains a NUL character"},
		{"\"\\\\\\u0000\"", "contains a NUL character"},
		{"\"\377\"", "is not valid UTF-8 (line 1)"},
		{"\"\300\200\"", "is not valid UTF-8 (line 1)"},
		{"\"\340\200\200\"", "is not valid UTF-8 (line 1)"},
		{"\"\355\240\200\"", "is not valid UTF-8 (line 1)"},
		{"\"\364\220\200\200\"", "is not valid UTF-8 (line 1)"},
		{"\"\303\"", "is not valid UTF-8 (line 1)"},
		{"{\"\377\":1}", "is not valid UTF-8 (line 1)"},
		{"\"\\ud800\"", "is not well-formed (line 1)"},
		{"\"\\udc00\"", "is not well-formed (line 1)"},
		{"\"\\ud800\\u0041\"", "is not well-formed (line 1)"},
		{"\"\\x\"", "is not well-formed (line 1)"},
		{"\"\\u12\"", "is not well-formed (line 1)"},
		{"\"a\nb\"", "is not well-formed (line 1)"},
		{"\"a\tb\"", "is not well-formed (line 1)"},
		{"\357\273\277{}", "is not well-formed (line 1)"},
		{"9223372036854775808", "has an integer that does not fit 64 bits (line 1)"},
		{"-9223372036854775809", "has an integer that does not fit 64 bits (line 1)"},
		{"[1.5,99999999999999999999999999]", "has an integer that does not fit 64 bits (line 1)"},
		{"-", "has a malformed number"},
		{"1.", "has a malformed number"},
		{"[1.]", "has a malformed number"},
		{"1.e5", "has a malformed number"},
		{"1e", "has a malformed number"},
		{"1e+", "has a malformed number"},
		{"-a", "has a malformed number"},
		{"-.5", "has a malformed number"},
		{"{1.5:2}", "has a malformed number"},
		{"{1.5 \n:2}", "has a malformed number"},
		{"{1:2}", "has a malformed number"},
		{".5", "is not well-formed (line 1)"},
		{"+1", "is not well-formed (line 1)"},
		{"01", "is not well-formed (line 1)"},
		{"[01.5]", "is not well-formed (line 1)"},
		{"[1.5.5]", "is not well-formed (line 1)"},
		{"[1.5e5e5]", "is not well-formed (line 1)"},
		{"[1-2.5]", "is not well-formed (line 1)"},
		{"[1.5\"x\"]", "is not well-formed (line 1)"},
		{"[1.5x]", "is not well-formed (line 1)"},
		{"0x10", "is not well-formed (line 1)"},
		{"NaN", "is not well-formed (line 1)"},
		{"Infinity", "is not well-formed (line 1)"},
		{"-Infinity", "has a malformed number"},
		{"[1,]", "is not well-formed (line 1)"},
		{"{\"a\":1,}", "is not well-formed (line 1)"},
		{"{\"a\"}", "is not well-formed (line 1)"},
		{"{a:1}", "is not well-formed (line 1)"},
		{"{'a':1}", "is not well-formed (line 1)"},
		{"[}", "is not well-formed (line 1)"},
		{"]", "is not well-formed (line 1)"},
		{"True", "is not well-formed (line 1)"},
		{"nul", "is not well-formed (line 1)"},
		{"// x\n1", "is not well-formed (line 1)"},
		{"\\", "is not well-formed (line 1)"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *got = pass(cases[i][0], strlen(cases[i][0]), false);

		if (strncmp(got, "refused: ", 9) != 0)
			fail_msg("%s was accepted", cases[i][0]);
		/* jansson tells a few of them apart in its own ways; the refusal counts there. */
		if (strstr(cases[i][1], "well-formed") == NULL && strcmp(got + 9, cases[i][1]) != 0)
			fail_msg("%s: %s", cases[i][0], got);
		got = pass(cases[i][0], strlen(cases[i][0]), true);
		if (strncmp(got, "refused: ", 9) != 0 && strstr(cases[i][1], "64 bits") == NULL)
			fail_msg("%s was accepted with numbers as text", cases[i][0]);
	}
}

static void test_raw_nul(void **state)
{
	(void)state;
	assert_string_equal(pass("\"a\0b\"", 5, false), "refused: contains a NUL character");
	assert_string_equal(pass("{}\0", 3, false), "refused: contains a NUL character");
	assert_string_equal(pass("\0", 1, true), "refused: contains a NUL character");
	assert_string_equal(pass("[1,\0 2.5]", 9, true), "refused: contains a NUL character");
	assert_string_equal(pass("\"\\\0\"", 4, false), "refused: contains a NUL character");
	assert_string_equal(pass(NULL, 0, false), "refused: ends too early (line 1)");
}

/* The answer is a sentence of ours: what was sent does not come back in it. */
static void test_errors_do_not_quote(void **state)
{
	const char *got = pass("{\"sk_live_secret\":1,\"sk_live_secret\":2}", 39, false);

	(void)state;
	assert_null(strstr(got, "secret"));
	got = pass("{\"a\": sk_live_secret}", 21, false);
	assert_null(strstr(got, "secret"));
}

static const char *nested(const char *open, const char *close, int depth)
{
	static char text[400];

	text[0] = '\0';
	for (int i = 0; i < depth; i++)
		memcpy(text + strlen(text), open, strlen(open) + 1);
	if (open[0] == '{')
		memcpy(text + strlen(text), "0", 2);
	for (int i = 0; i < depth; i++)
		memcpy(text + strlen(text), close, strlen(close) + 1);
	return text;
}

static void test_depth(void **state)
{
	const char *text = nested("[", "]", 32);

	(void)state;
	assert_string_equal(pass(text, strlen(text), false), text);
	text = nested("{\"a\":", "}", 32);
	assert_string_equal(pass(text, strlen(text), false), text);
	text = nested("[", "]", 33);
	assert_string_equal(pass(text, strlen(text), false), "refused: is nested too deeply");
	text = nested("{\"a\":", "}", 33);
	assert_string_equal(pass(text, strlen(text), true), "refused: is nested too deeply");
	/* brackets in strings, and brackets closed again, do not count */
	text = "[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[\"]";
	assert_string_equal(pass(text, strlen(text), false), text);
	text = "[[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],"
	       "[],[],[],[],[],[],[]]";
	assert_string_equal(pass(text, strlen(text), false), text);
	text = "]]]]]]]]]]]][[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[";
	assert_string_equal(pass(text, strlen(text), false), "refused: is nested too deeply");
}

static void test_a_megabyte_of_brackets(void **state)
{
	char *text = malloc(1 << 20);

	(void)state;
	assert_non_null(text);
	memset(text, '[', 1 << 20);
	assert_string_equal(pass(text, 1 << 20, false), "refused: is nested too deeply");
	free(text);
}

static void test_numbers_as_text(void **state)
{
	static const char *const cases[][2] = {
		{"1.25e-06", "\"1.25e-06\""},
		{"{\"input\":1.25e-06,\"output\":0,\"n\":[-1, 12.50 ,1e400]}",
	         "{\"input\":\"1.25e-06\",\"output\":\"0\",\"n\":[\"-1\",\"12.50\",\"1e400\"]}"},
		{"[\"a1\",\"2\",\"\\\"3\",true]", "[\"a1\",\"2\",\"\\\"3\",true]"},
		{"99999999999999999999999999", "\"99999999999999999999999999\""},
		{"0.1000000000000000055511151231257827", "\"0.1000000000000000055511151231257827\""},
		{"{1:2}", "refused: has a malformed number"},
		{"{\"a\":01}", "refused: is not well-formed (line 1)"},
		{"[1 2]", "refused: is not well-formed (line 1)"},
		{"[1\"\"]", "refused: is not well-formed (line 1)"},
		{"{\"a\":1,\"a\":2}", "refused: has a key twice in one record (line 1)"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(pass(cases[i][0], strlen(cases[i][0]), true), cases[i][1]);
}

/* Every number as a document of its own, so that the copy is as much longer as it can be. */
static void test_only_numbers(void **state)
{
	char text[2001];
	char error[JSON_ERROR_MAX];
	struct json *document;
	size_t length = 0;

	(void)state;
	text[length++] = '[';
	for (int i = 0; i < 999; i++) {
		text[length++] = '7';
		text[length++] = i < 998 ? ',' : ']';
	}
	document = json_parse(text, length, true, error);
	assert_non_null(document);
	assert_int_equal(json_size(document), 999);
	assert_string_equal(json_text(json_at(document, 998), NULL), "7");
	json_free(document);
	document = json_parse("1e1", 3, false, error);
	assert_int_equal(json_type(document), JSON_FRACTION);
	json_free(document);
}

static int note_member(void *context, const char *key, const struct json *value)
{
	struct buf *seen = context;

	buf_printf(seen, "%s:%d ", key, (int)json_type(value));
	return strcmp(key, "stop") == 0 ? 42 : 0;
}

static void test_access(void **state)
{
	static const char text[] = "{\"n\":null,\"t\":true,\"f\":false,\"i\":-5,\"x\":5.0,"
				   "\"e\":5e0,\"s\":\"h\303\251\",\"q\":\"5\",\"l\":[1,2],"
				   "\"r\":{}}";
	char error[JSON_ERROR_MAX];
	struct json *d = json_parse(text, sizeof(text) - 1, false, error);
	struct buf seen;
	size_t length;

	(void)state;
	assert_non_null(d);
	assert_int_equal(json_type(d), JSON_RECORD);
	assert_int_equal(json_size(d), 10);
	assert_int_equal(json_type(json_get(d, "n")), JSON_NULL_VALUE);
	assert_true(json_bool(json_get(d, "t")));
	assert_false(json_bool(json_get(d, "f")));
	assert_int_equal(json_int(json_get(d, "i")), -5);
	assert_int_equal(json_type(json_get(d, "i")), JSON_INT);
	assert_int_equal(json_type(json_get(d, "x")), JSON_FRACTION);
	assert_int_equal(json_type(json_get(d, "e")), JSON_FRACTION);
	assert_int_equal(json_type(json_get(d, "q")), JSON_TEXT);
	assert_string_equal(json_text(json_get(d, "s"), &length), "h\303\251");
	assert_int_equal(length, 3);
	assert_int_equal(json_size(json_get(d, "l")), 2);
	assert_int_equal(json_int(json_at(json_get(d, "l"), 1)), 2);
	assert_null(json_at(json_get(d, "l"), 2));
	assert_int_equal(json_size(json_get(d, "r")), 0);
	assert_null(json_get(d, "absent"));
	assert_null(json_get(NULL, "n"));
	assert_null(json_get(json_get(d, "l"), "n"));
	assert_null(json_get(json_get(d, "s"), "n"));
	buf_init(&seen, 1000);
	assert_int_equal(json_each(d, note_member, &seen), 0);
	assert_string_equal(buf_text(&seen), "n:0 t:1 f:1 i:2 x:3 e:3 s:4 q:4 l:5 r:6 ");
	buf_free(&seen);
	json_free(d);
	json_free(NULL);
}

static void test_each_stops(void **state)
{
	char error[JSON_ERROR_MAX];
	static const char text[] = "{\"z\":1,\"stop\":2,\"a\":3}";
	struct json *d = json_parse(text, sizeof(text) - 1, false, error);
	struct buf seen;

	(void)state;
	buf_init(&seen, 1000);
	assert_int_equal(json_each(d, note_member, &seen), 42);
	assert_string_equal(buf_text(&seen), "z:2 stop:2 ");
	buf_free(&seen);
	json_free(d);
}

static void read_text_as_int(void)
{
	char error[JSON_ERROR_MAX];

	json_int(json_parse("\"5\"", 3, false, error));
}

static void read_fraction_as_int(void)
{
	char error[JSON_ERROR_MAX];

	json_int(json_parse("5.0", 3, false, error));
}

static void read_fraction_as_text(void)
{
	char error[JSON_ERROR_MAX];

	json_text(json_parse("5.0", 3, false, error), NULL);
}

static void read_int_as_bool(void)
{
	char error[JSON_ERROR_MAX];

	json_bool(json_parse("1", 1, false, error));
}

static void test_wrong_types_abort(void **state)
{
	(void)state;
	assert_true(aborts(read_text_as_int));
	assert_true(aborts(read_fraction_as_int));
	assert_true(aborts(read_fraction_as_text));
	assert_true(aborts(read_int_as_bool));
}

static void test_dump_a_part(void **state)
{
	char error[JSON_ERROR_MAX];
	static const char text[] = "{\"metadata\":{\"a\":0.10,\"b\":[]},\"x\":1}";
	struct json *d = json_parse(text, sizeof(text) - 1, false, error);
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	json_dump(json_get(d, "metadata"), &out);
	assert_string_equal(buf_text(&out), "{\"a\":0.10,\"b\":[]}");
	buf_free(&out);
	buf_init(&out, 5);
	json_dump(d, &out);
	assert_false(buf_ok(&out));
	buf_free(&out);
	json_free(d);
}

static void test_writer(void **state)
{
	struct json_writer w;
	struct buf out;

	(void)state;
	buf_init(&out, 10000);
	json_writer_init(&w, &out);
	json_open_record(&w, NULL);
	json_put_int(&w, "i", INT64_MIN);
	json_put_bool(&w, "t", true);
	json_put_bool(&w, "f", false);
	json_put_null(&w, "n");
	json_put_text(&w, "s\"k", "a\"b\\c\n\x01\x7f");
	json_put_raw(&w, "raw", "{\"x\":1.50}", 10);
	json_open_list(&w, "l");
	json_put_int(&w, NULL, 1);
	json_open_record(&w, NULL);
	json_close_record(&w);
	json_open_list(&w, NULL);
	json_close_list(&w);
	json_put_text(&w, NULL, "");
	json_close_list(&w);
	json_put_time(&w, "at", INT64_C(1795222020123999));
	json_put_time(&w, "never", 0);
	json_close_record(&w);
	assert_string_equal(buf_text(&out), "{\"i\":-9223372036854775808,\"t\":true,\"f\":false,\"n\":null,"
	                                    "\"s\\\"k\":\"a\\\"b\\\\c\\n\\u0001\x7f\","
	                                    "\"raw\":{\"x\":1.50},\"l\":[1,{},[],\"\"],"
	                                    "\"at\":\"2026-11-21T00:47:00.123Z\",\"never\":null}");
	buf_free(&out);
}

static void test_written_text_is_utf8(void **state)
{
	static const char *const cases[][2] = {
		{"\303\251\342\202\254\360\237\230\200", "\"\303\251\342\202\254\360\237\230\200\""},
		{"\377", "\"\\ufffd\""},
		{"a\300\200b", "\"a\\ufffd\\ufffdb\""},
		{"\355\240\200", "\"\\ufffd\\ufffd\\ufffd\""},
		{"\340\237\277", "\"\\ufffd\\ufffd\\ufffd\""},
		{"\360\217\277\277", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""},
		{"\364\220\200\200", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""},
		{"\364\217\277\277", "\"\364\217\277\277\""},
		{"\303", "\"\\ufffd\""},
		{"\342\202", "\"\\ufffd\\ufffd\""},
		{"\360\237\230", "\"\\ufffd\\ufffd\\ufffd\""},
		{"\200", "\"\\ufffd\""},
		{"\303\303\251", "\"\\ufffd\303\251\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json_writer w;
		struct buf out;

		buf_init(&out, 100);
		json_writer_init(&w, &out);
		json_put_text(&w, NULL, cases[i][0]);
		assert_string_equal(buf_text(&out), cases[i][1]);
		/* and can be read again */
		assert_true(strncmp(pass(buf_text(&out), out.length, false), "refused", 7) != 0);
		buf_free(&out);
	}
}

/* Every byte but NUL, written and read back. */
static void test_every_ascii_character(void **state)
{
	char text[128];
	char error[JSON_ERROR_MAX];
	struct json_writer w;
	struct json *d;
	struct buf out;

	(void)state;
	for (int i = 1; i < 128; i++)
		text[i - 1] = (char)i;
	text[127] = '\0';
	buf_init(&out, 1000);
	json_writer_init(&w, &out);
	json_put_text(&w, NULL, text);
	d = json_parse(buf_text(&out), out.length, false, error);
	assert_non_null(d);
	assert_string_equal(json_text(d, NULL), text);
	json_free(d);
	buf_free(&out);
}

static void test_minor(void **state)
{
	static const struct {
		int64_t amount;
		int64_t per_minor;
		const char *text;
	} cases[] = {
		{9345, 10000, "0.9345"},
		{0, 10000, "0"},
		{10000, 10000, "1"},
		{15000, 10000, "1.5"},
		{-1, 10000, "-0.0001"},
		{INT64_MAX, 10000, "922337203685477.5807"},
		{INT64_MIN, 10000, "-922337203685477.5808"},
		{934567, 1000000, "0.9345"}, /* rounded down */
		{-934567, 1000000, "-0.9346"},
		{987000000, 1000000, "987"},
		{1234, 1000, "1.234"},
		{12, 1, "12"},
		{INT64_MIN, 1, "-9223372036854775808"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json_writer w;
		struct buf out;

		buf_init(&out, 100);
		json_writer_init(&w, &out);
		json_put_minor(&w, NULL, cases[i].amount, cases[i].per_minor);
		assert_string_equal(buf_text(&out), cases[i].text);
		buf_free(&out);
	}
}

static void open_levels(int levels)
{
	struct json_writer w;
	struct buf out;

	buf_init(&out, 1000);
	json_writer_init(&w, &out);
	for (int i = 0; i < levels; i++)
		json_open_list(&w, NULL);
	for (int i = 0; i < levels; i++)
		json_close_list(&w);
	buf_free(&out);
}

static void open_32_levels(void)
{
	open_levels(32);
}

static void open_33_levels(void)
{
	open_levels(33);
}

static void close_too_often(void)
{
	struct json_writer w;
	struct buf out;

	buf_init(&out, 1000);
	json_writer_init(&w, &out);
	json_close_record(&w);
}

static void key_without_record(void)
{
	struct json_writer w;
	struct buf out;

	buf_init(&out, 1000);
	json_writer_init(&w, &out);
	json_put_int(&w, "key", 1);
}

static void test_writer_misuse_aborts(void **state)
{
	(void)state;
	assert_false(aborts(open_32_levels));
	assert_true(aborts(open_33_levels));
	assert_true(aborts(close_too_often));
	assert_true(aborts(key_without_record));
}

/* Any bytes: a refusal, or a document that comes back the same. */
static void test_random_documents(void **state)
{
	static const char *const pieces[] = {
		"{", "}", "[",   "]",  ",", ":",    "\"a\"", "\"b\"", "\"", "\\",       "\\u0000",
		"1", "-", "2.5", "e3", "0", "true", "null",  " ",     "\n", "\303\251", "\377",
	};
	unsigned int seed = 20261121;

	(void)state;
	for (int round = 0; round < 50000; round++) {
		char text[200] = "";
		size_t length = 0;
		char first[4096];

		for (int i = 0; i < 1 + round % 16; i++) {
			const char *piece;

			seed = seed * 1103515245U + 12345U;
			piece = pieces[(seed >> 16) % (sizeof(pieces) / sizeof(pieces[0]))];
			memcpy(text + length, piece, strlen(piece) + 1);
			length += strlen(piece);
		}
		memcpy(first, pass(text, length, round % 2 == 0), sizeof(first));
		if (strncmp(first, "refused: ", 9) != 0)
			assert_string_equal(pass(first, strlen(first), false), first);
	}
}

/* A list of so many texts, which json_dump gives back as it was. */
static void put_list(struct buf *text, int count)
{
	buf_add_char(text, '[');
	for (int i = 0; i < count; i++)
		buf_printf(text, "%s\"text %d\"", i > 0 ? "," : "", i);
	buf_add_char(text, ']');
}

/* Parses the list into the arena twice, and once into memory of its own; true if the arena holds the first one. */
static bool pass_in(struct arena *a, int count)
{
	char error[JSON_ERROR_MAX];
	struct buf text, out;
	struct json *first, *second, *own;
	bool held;

	buf_init(&text, 1 << 20);
	buf_init(&out, 1 << 20);
	put_list(&text, count);
	first = json_parse_in(a, buf_text(&text), text.length, error);
	second = json_parse_in(a, buf_text(&text), text.length, error);
	own = json_parse(buf_text(&text), text.length, false, error);
	assert_true(first != NULL && second != NULL && own != NULL);
	assert_false(arena_holds(a, own));
	held = arena_holds(a, json_text(json_at(first, (size_t)count - 1), NULL));
	json_free_in(a, second);
	json_free_in(a, own);
	json_dump(first, &out);
	assert_string_equal(buf_text(&out), buf_text(&text));
	json_free_in(a, first);
	buf_free(&out);
	buf_free(&text);
	return held;
}

static void test_small_document_lies_in_the_arena(void **state)
{
	struct arena *a = arena_new(1 << 20), *little = arena_new(64);
	char error[JSON_ERROR_MAX];

	(void)state;
	json_watch_memory();
	assert_true(pass_in(a, 3));
	assert_null(json_parse_in(a, "[1,2", 4, error));
	assert_true(pass_in(a, 3));
	/* The end of a larger one lies elsewhere, and so does any in an arena that has no room. */
	assert_false(pass_in(a, 5000));
	assert_false(pass_in(little, 3));
	arena_reset(a);
	assert_true(pass_in(a, 3));
	arena_free(a);
	arena_free(little);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_and_dumped),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_raw_nul),
		cmocka_unit_test(test_errors_do_not_quote),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_a_megabyte_of_brackets),
		cmocka_unit_test(test_numbers_as_text),
		cmocka_unit_test(test_only_numbers),
		cmocka_unit_test(test_access),
		cmocka_unit_test(test_each_stops),
		cmocka_unit_test(test_wrong_types_abort),
		cmocka_unit_test(test_dump_a_part),
		cmocka_unit_test(test_writer),
		cmocka_unit_test(test_written_text_is_utf8),
		cmocka_unit_test(test_every_ascii_character),
		cmocka_unit_test(test_minor),
		cmocka_unit_test(test_writer_misuse_aborts),
		cmocka_unit_test(test_small_document_lies_in_the_arena),
		cmocka_unit_test(test_random_documents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
