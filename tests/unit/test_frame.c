#include "unit.h"

#include "edge/frame.h"
#include "records.h"

#define ROOM ((size_t)1024 * 1024)

struct bytes {
	struct buf request, params;
};

static int setup(void **state)
{
	struct bytes *b = malloc(sizeof(*b));

	if (b == NULL)
		return -1;
	buf_init(&b->request, ROOM);
	buf_init(&b->params, ROOM);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bytes *b = *state;

	buf_free(&b->request);
	buf_free(&b->params);
	free(b);
	return 0;
}

static enum frame_verdict inspect(const struct buf *b, size_t length, size_t *used)
{
	unsigned char *exact = malloc(length > 0 ? length : 1);
	enum frame_verdict verdict;

	assert_non_null(exact);
	assert_true(length <= b->length);
	if (length > 0)
		memcpy(exact, b->data, length); /* so that a sanitizer sees the first byte read too far */
	*used = 0;
	verdict = frame_inspect(exact, length, used);
	free(exact);
	return verdict;
}

static void expect(const struct buf *b, enum frame_verdict verdict)
{
	size_t used;

	assert_true(buf_ok(b));
	assert_int_equal(inspect(b, b->length, &used), verdict);
	assert_int_equal(used, verdict == FRAME_READY ? b->length : 0);
}

static void add_params(struct bytes *b, size_t part)
{
	char long_value[300];

	memset(long_value, 'v', sizeof(long_value) - 1);
	long_value[sizeof(long_value) - 1] = '\0';
	add_pair(&b->params, "REQUEST_METHOD", "POST");
	add_pair(&b->params, "CONTENT_TYPE", "");
	add_pair(&b->params, "REQUEST_URI", long_value);
	add_length(&b->params, 4, true);
	add_length(&b->params, 3, true);
	buf_add_text(&b->params, "WIDEyes");
	add_stream(&b->request, PARAMS, 1, b->params.data, b->params.length, part);
}

/* Every beginning of a request is MORE until the parameters end, BODY until the body does. */
static void prefixes(struct bytes *b, size_t part)
{
	size_t used, params_end;

	buf_reset(&b->request);
	buf_reset(&b->params);
	add_begin(&b->request, 1, RESPONDER, true);
	add_params(b, part);
	params_end = b->request.length;
	add_stream(&b->request, STDIN, 1, "{\"account\":\"a\"}", 15, part);
	for (size_t length = 0; length < b->request.length; length++)
		assert_int_equal(inspect(&b->request, length, &used), length < params_end ? FRAME_MORE : FRAME_BODY);
	expect(&b->request, FRAME_READY);
}

static void test_prefixes(void **state)
{
	prefixes(*state, 65535);
	for (size_t part = 1; part < 20; part++)
		prefixes(*state, part);
}

static void test_no_parameters_no_body(void **state)
{
	struct bytes *b = *state;

	add_begin(&b->request, 1, RESPONDER, false);
	add_stream(&b->request, PARAMS, 1, NULL, 0, 1);
	add_stream(&b->request, STDIN, 1, NULL, 0, 1);
	expect(&b->request, FRAME_READY);
}

static void test_next_request_is_left(void **state)
{
	struct bytes *b = *state;
	size_t first, used;

	for (int i = 0; i < 2; i++) {
		buf_reset(&b->params);
		add_begin(&b->request, i + 1, RESPONDER, true);
		add_pair(&b->params, "A", "B");
		add_stream(&b->request, PARAMS, i + 1, b->params.data, b->params.length, 100);
		add_stream(&b->request, STDIN, i + 1, "body", 4, 100);
		if (i == 0)
			first = b->request.length;
	}
	assert_int_equal(inspect(&b->request, b->request.length, &used), FRAME_READY);
	assert_int_equal(used, first);
	assert_int_equal(inspect(&b->request, first + 1, &used), FRAME_READY);
	assert_int_equal(used, first);
}

static void test_first_record(void **state)
{
	struct bytes *b = *state;
	const unsigned char seven[7] = {0, RESPONDER, 1};
	const unsigned char nine[9] = {0, RESPONDER, 1};

	add_record(&b->request, BEGIN_REQUEST, 1, seven, sizeof(seven), 1);
	expect(&b->request, FRAME_BAD);
	buf_reset(&b->request);
	add_record(&b->request, BEGIN_REQUEST, 1, nine, sizeof(nine), 0);
	expect(&b->request, FRAME_BAD);
	buf_reset(&b->request);
	add_begin(&b->request, 0, RESPONDER, true);
	expect(&b->request, FRAME_BAD);
	buf_reset(&b->request);
	add_begin(&b->request, 1, RESPONDER, true);
	b->request.data[0] = 2;
	expect(&b->request, FRAME_BAD);
	for (int type = 0; type < 20; type++) {
		buf_reset(&b->request);
		add_record(&b->request, type, type < 10 ? 1 : 0, nine, 8, 0);
		expect(&b->request, type == BEGIN_REQUEST ? FRAME_MORE : FRAME_BAD);
	}
	buf_reset(&b->request);
	buf_add_text(&b->request, "G"); /* ET / HTTP/1.1 */
	expect(&b->request, FRAME_BAD);
}

static void test_roles(void **state)
{
	static const int roles[] = {0, AUTHORIZER, FILTER, 4, 257, 65535};
	struct bytes *b = *state;

	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		unsigned char end[FRAME_END_BYTES];
		const unsigned char wanted[FRAME_END_BYTES] = {1, END_REQUEST, 0x12, 0x34, 0, 8, 0, 0,
		                                               0, 0,           0,    0,    3, 0, 0, 0};

		buf_reset(&b->request);
		add_begin(&b->request, 0x1234, roles[i], true);
		expect(&b->request, FRAME_ROLE);
		frame_refuse_role((const unsigned char *)b->request.data, end);
		assert_memory_equal(end, wanted, sizeof(end));
	}
}

/* After the parameters so far, one record of that type and id. */
static void then(struct bytes *b, bool params_ended, int type, int id, enum frame_verdict verdict)
{
	const unsigned char content[8] = {0, RESPONDER, 0};

	buf_reset(&b->request);
	add_begin(&b->request, 1, RESPONDER, true);
	if (params_ended)
		add_stream(&b->request, PARAMS, 1, "\1\1AB", 4, 100);
	add_record(&b->request, type, id, content, sizeof(content), 0);
	expect(&b->request, verdict);
}

static void test_order_of_records(void **state)
{
	struct bytes *b = *state;

	for (int type = 0; type < 16; type++) {
		if (type != PARAMS)
			then(b, false, type, 1, FRAME_BAD);
		then(b, true, type, 1, type == STDIN ? FRAME_BODY : FRAME_BAD);
		then(b, true, type, 0, FRAME_BAD);
		then(b, false, type, 0, FRAME_BAD);
		then(b, true, type, 2, FRAME_BAD);
		then(b, false, type, 2, FRAME_BAD);
		then(b, true, type, 257, FRAME_BAD);
	}
}

static enum frame_verdict with_params(struct bytes *b, const void *content, size_t length, bool ended)
{
	size_t used;

	buf_reset(&b->request);
	add_begin(&b->request, 1, RESPONDER, true);
	add_record(&b->request, PARAMS, 1, content, length, 0);
	if (ended)
		add_record(&b->request, PARAMS, 1, NULL, 0, 0);
	return inspect(&b->request, b->request.length, &used);
}

static void test_names_and_values(void **state)
{
	struct bytes *b = *state;

	assert_int_equal(with_params(b, "\1\1AB", 4, true), FRAME_BODY);
	assert_int_equal(with_params(b, "\1\0A", 3, true), FRAME_BODY);
	assert_int_equal(with_params(b, "\0\1B", 3, true), FRAME_BAD);
	assert_int_equal(with_params(b, "\3\1A=BC", 6, true), FRAME_BAD);
	assert_int_equal(with_params(b, "\2\1A\0B", 5, true), FRAME_BAD);
	assert_int_equal(with_params(b, "\1\2AB\0", 5, true), FRAME_BAD);
	assert_int_equal(with_params(b, "\1\3AB=C", 6, true), FRAME_BODY);
	/* Ended in the middle of a pair. */
	assert_int_equal(with_params(b, "\1", 1, true), FRAME_BAD);
	assert_int_equal(with_params(b, "\x80\0\0", 3, true), FRAME_BAD);
	assert_int_equal(with_params(b, "\1\1", 2, true), FRAME_BAD);
	assert_int_equal(with_params(b, "\1\2AB", 4, true), FRAME_BAD);
	assert_int_equal(with_params(b, "\1\2AB", 4, false), FRAME_MORE);
	/* Lengths that libfcgi would try to allocate. */
	assert_int_equal(with_params(b, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, false), FRAME_TOO_BIG);
	assert_int_equal(with_params(b, "\1\xff\xff\xff\xff", 5, false), FRAME_TOO_BIG);
	assert_int_equal(with_params(b, "\x80\1\0\1\1", 5, false), FRAME_TOO_BIG);
	assert_int_equal(with_params(b, "\x80\1\0\0\1", 5, false), FRAME_MORE);
}

static void test_parameters_at_the_limit(void **state)
{
	struct bytes *b = *state;
	char *value = malloc(FRAME_PARAMS_MAX);
	size_t fits = FRAME_PARAMS_MAX - 1 - 4 - 1; /* two lengths and a name of one byte */

	assert_non_null(value);
	memset(value, 'v', FRAME_PARAMS_MAX);
	for (size_t over = 0; over < 2; over++) {
		buf_reset(&b->params);
		buf_reset(&b->request);
		add_length(&b->params, 1, false);
		add_length(&b->params, fits + over, false);
		buf_add_char(&b->params, 'N');
		buf_add(&b->params, value, fits + over);
		add_begin(&b->request, 1, RESPONDER, true);
		add_stream(&b->request, PARAMS, 1, b->params.data, b->params.length, 1000);
		add_stream(&b->request, STDIN, 1, NULL, 0, 1);
		expect(&b->request, over == 0 ? FRAME_READY : FRAME_TOO_BIG);
	}
	/* As soon as it is announced, not once it is there. */
	buf_reset(&b->request);
	add_begin(&b->request, 1, RESPONDER, true);
	add_record(&b->request, PARAMS, 1, b->params.data, 60000, 0);
	add_record(&b->request, PARAMS, 1, b->params.data + 60000, 5537, 0);
	{
		size_t used;

		assert_int_equal(inspect(&b->request, 16 + 8 + 60000 + 8, &used), FRAME_TOO_BIG);
	}
	free(value);
}

static void test_large_bodies_are_the_readers(void **state)
{
	struct bytes *b = *state;
	char *body = calloc(1, FRAME_BODY_MAX + 1);

	assert_non_null(body);
	add_begin(&b->request, 1, RESPONDER, true);
	add_stream(&b->request, PARAMS, 1, NULL, 0, 1);
	add_stream(&b->request, STDIN, 1, body, FRAME_BODY_MAX + 1, 32768);
	expect(&b->request, FRAME_READY);
	free(body);
}

/* The walk finds the end that the inspection finds, however the bytes come in. */
static void test_the_walk_finds_the_end(void **state)
{
	struct bytes *b = *state;
	size_t end;

	add_begin(&b->request, 1, RESPONDER, true);
	add_params(b, 7);
	add_record(&b->request, STDIN, 1, "body", 4, 5);
	add_record(&b->request, STDIN, 1, "", 0, 3);
	end = b->request.length;
	expect(&b->request, FRAME_READY);
	add_begin(&b->request, 2, RESPONDER, true);
	for (size_t part = 1; part <= b->request.length; part++) {
		struct frame_walk walk = {.skip = 0};
		enum frame_verdict verdict = FRAME_MORE;
		size_t at = 0;
		size_t used = 0;

		while (verdict == FRAME_MORE) {
			size_t length = b->request.length - at < part ? b->request.length - at : part;

			assert_true(length > 0);
			verdict = frame_walk(&walk, (unsigned char *)b->request.data + at, length, &used);
			at += verdict == FRAME_READY ? used : length;
		}
		assert_int_equal(verdict, FRAME_READY);
		assert_int_equal(at, end);
	}
}

static void test_the_walk_refuses_another_version(void **state)
{
	struct frame_walk walk = {.skip = 0};
	size_t used = 0;

	(void)state;
	assert_int_equal(frame_walk(&walk, (const unsigned char *)"\2", 1, &used), FRAME_BAD);
}

/* Any bytes: no crash, and a verdict that more bytes of the same cannot take back. */
static void test_noise(void **state)
{
	struct bytes *b = *state;
	uint32_t seed = 20251121;

	for (int round = 0; round < 20000; round++) {
		enum frame_verdict before = FRAME_MORE;
		size_t used, flips;

		buf_reset(&b->request);
		buf_reset(&b->params);
		add_begin(&b->request, 1, RESPONDER, true);
		add_pair(&b->params, "REQUEST_METHOD", "GET");
		add_pair(&b->params, "REQUEST_URI", "/api/credits");
		add_stream(&b->request, PARAMS, 1, b->params.data, b->params.length, 30);
		add_stream(&b->request, STDIN, 1, "body", 4, 3);
		seed = seed * 1664525 + 1013904223;
		for (flips = seed >> 30; flips > 0; flips--) {
			seed = seed * 1664525 + 1013904223;
			b->request.data[(seed >> 8) % b->request.length] = (char)(seed >> 24);
		}
		for (size_t length = 0; length <= b->request.length; length++) {
			enum frame_verdict verdict = inspect(&b->request, length, &used);

			if (before != FRAME_MORE && !(before == FRAME_BODY && verdict != FRAME_MORE))
				assert_int_equal(verdict, before);
			assert_true(used <= length);
			before = verdict;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_prefixes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_parameters_no_body, setup, teardown),
		cmocka_unit_test_setup_teardown(test_next_request_is_left, setup, teardown),
		cmocka_unit_test_setup_teardown(test_first_record, setup, teardown),
		cmocka_unit_test_setup_teardown(test_roles, setup, teardown),
		cmocka_unit_test_setup_teardown(test_order_of_records, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names_and_values, setup, teardown),
		cmocka_unit_test_setup_teardown(test_parameters_at_the_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large_bodies_are_the_readers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_walk_finds_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_walk_refuses_another_version, setup, teardown),
		cmocka_unit_test_setup_teardown(test_noise, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
