#include "unit.h"

#include "base/digest.h"
#include "base/id.h"

static void test_account_names(void **state)
{
	char text[200];

	(void)state;
	memset(text, 'a', sizeof(text));
	assert_true(id_account_valid("ws:acme", 7));
	assert_true(id_account_valid("A-Z_a.z@0:9", 11));
	assert_true(id_account_valid(text, 1));
	assert_true(id_account_valid(text, 128));
	assert_false(id_account_valid(text, 129));
	assert_false(id_account_valid("", 0));
	assert_false(id_account_valid("a\0b", 3));
	for (int c = 0; c < 256; c++) {
		bool allowed = c != 0 && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
		                                "abcdefghijklmnopqrstuvwxyz._:@-",
		                                c) != NULL;

		text[1] = (char)c;
		assert_int_equal(id_account_valid(text, 3), allowed);
	}
}

static void test_request_names(void **state)
{
	char text[200];

	(void)state;
	memset(text, '~', sizeof(text));
	assert_true(id_request_valid(text, 1));
	assert_true(id_request_valid(text, 128));
	assert_false(id_request_valid(text, 129));
	assert_false(id_request_valid("", 0));
	for (int c = 0; c < 256; c++) {
		text[2] = (char)c;
		assert_int_equal(id_request_valid(text, 3), c > 0x20 && c < 0x7f);
	}
}

static void test_keys(void **state)
{
	struct account_key key = id_account_key("abc", 3);
	unsigned char request[ID_KEY_BYTES];

	(void)state;
	assert_memory_equal(key.bytes, "\xba\x78\x16\xbf\x8f\x01\xcf\xea\x41\x41\x40\xde\x5d\xae\x22\x23", 16);
	id_request_key("abc", 3, request);
	assert_memory_equal(request, key.bytes, 16);
	key = id_account_key("abd", 3);
	assert_memory_not_equal(request, key.bytes, 16);
}

static void test_public_names(void **state)
{
	static const int64_t seqs[] = {1, 2, 255, 256, INT64_C(1) << 32, INT64_MAX - 1, INT64_MAX};
	struct account_key key = id_account_key("ws:acme", 7);

	(void)state;
	for (size_t i = 0; i < sizeof(seqs) / sizeof(seqs[0]); i++) {
		char name[ID_PUBLIC_MAX];
		struct account_key back;
		int64_t seq = 0;

		id_public_format(&key, seqs[i], name);
		assert_int_equal(strlen(name), 32);
		assert_int_equal(id_public_parse(name, 32, &back, &seq), 0);
		assert_true(seq == seqs[i]);
		assert_memory_equal(&back, &key, sizeof(key));
	}
}

static void test_public_name_is_big_endian(void **state)
{
	struct account_key key = {{0}};
	char name[ID_PUBLIC_MAX];

	(void)state;
	id_public_format(&key, 1, name);
	assert_string_equal(name, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB");
}

static void test_no_public_names(void **state)
{
	static const char *const texts[] = {
		"",
		"A",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABA",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", /* number 0 */
		"AAAAAAAAAAAAAAAAAAAAAIAAAAAAAAAA", /* a number with the sign bit only */
		"AAAAAAAAAAAAAAAAAAAAAP__________", /* all bits of the number */
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA+B",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA/B",
		" AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct account_key key = {{0xee}};
		int64_t seq = -7;

		assert_int_equal(id_public_parse(texts[i], strlen(texts[i]), &key, &seq), -1);
		assert_true(seq == -7 && key.bytes[0] == 0xee);
	}
}

static void format_zero(void)
{
	struct account_key key = {{0}};
	char name[ID_PUBLIC_MAX];

	id_public_format(&key, 0, name);
}

static void format_negative(void)
{
	struct account_key key = {{0}};
	char name[ID_PUBLIC_MAX];

	id_public_format(&key, -1, name);
}

static void test_rows_count_from_one(void **state)
{
	(void)state;
	assert_true(aborts(format_zero));
	assert_true(aborts(format_negative));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_account_names),
		cmocka_unit_test(test_request_names),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_public_names),
		cmocka_unit_test(test_public_name_is_big_endian),
		cmocka_unit_test(test_no_public_names),
		cmocka_unit_test(test_rows_count_from_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
