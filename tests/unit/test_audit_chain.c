/*
 * The base of the audit: the hash that chains the journal, and the checksum that compares two tables in constant
 * memory.  The audit itself is tried on a database, by tests/api/test_audit.py.
 */
#include "unit.h"

#include "audit/row_checksum.h"
#include "ledger/decide/entry.h"
#include "ledger/rows/record.h"

static struct entries_row sample(void)
{
	struct entries_row e = {.seq = 1,
	                        .kind = 1,
	                        .counterpart = 2,
	                        .amount_micros = 1000000,
	                        .balance_before_micros = -5,
	                        .balance_after_micros = 999995,
	                        .grant_seq = 3,
	                        .usage_seq = 0,
	                        .transaction_seq = 1,
	                        .created_at_us = INT64_C(1795225381629127)};

	memset(e.account_id, 0xAB, sizeof(e.account_id));
	return e;
}

/* The digest was made by Python's hashlib from the 128 bytes that entry.h describes. */
static void test_hash_is_as_documented(void **state)
{
	static const unsigned char expected[DIGEST_BYTES] = {
		0x98, 0xd9, 0x47, 0xc3, 0x10, 0x30, 0x5e, 0xb3, 0x71, 0x7b, 0x2e, 0x76, 0x82, 0x17, 0x63, 0x35,
		0x93, 0xc7, 0x54, 0x49, 0xc1, 0x64, 0x52, 0xf6, 0x7e, 0x18, 0xd0, 0x0e, 0xa2, 0x88, 0xf4, 0xca};
	const unsigned char zeros[DIGEST_BYTES] = {0};
	struct entries_row e = sample();
	unsigned char hash[DIGEST_BYTES];

	(void)state;
	entry_hash(&e, zeros, hash);
	assert_memory_equal(hash, expected, sizeof(hash));
}

static void test_every_field_counts(void **state)
{
	const struct table *t = table_of(TABLE_ENTRIES);
	unsigned char previous[DIGEST_BYTES] = {1, 2, 3}, hash[DIGEST_BYTES], other[DIGEST_BYTES];
	struct entries_row e = sample();

	(void)state;
	entry_hash(&e, previous, hash);
	for (int i = 0; i < t->column_count; i++) {
		struct entries_row changed = sample();

		if (strcmp(t->columns[i].name, "hash") == 0)
			continue;
		*((unsigned char *)&changed + t->columns[i].offset) ^= 1;
		entry_hash(&changed, previous, other);
		assert_memory_not_equal(hash, other, sizeof(hash));
	}
	previous[31] ^= 0x80;
	entry_hash(&e, previous, other);
	assert_memory_not_equal(hash, other, sizeof(hash));
}

static struct usages_row sample_usage(void)
{
	struct usages_row u;

	table_row_clear(&u.row, TABLE_USAGES);
	memset(u.account_id, 0xAB, sizeof(u.account_id));
	u.seq = 7;
	u.member = "zoé";
	u.item = "gpt-4o";
	u.cost_micros = 12345;
	u.recorded = 1;
	return u;
}

/* The digest was made by Python's hashlib from the bytes that record.h describes. */
static void test_record_is_as_documented(void **state)
{
	static const unsigned char expected[RECORD_BYTES] = {0x85, 0xd6, 0x94, 0x44, 0x7d, 0x8d, 0x4b, 0xd6,
	                                                     0xf3, 0xc4, 0x7c, 0x5a, 0x19, 0xe7, 0x06, 0xa9};
	struct usages_row u = sample_usage();
	unsigned char bytes[RECORD_BYTES];

	(void)state;
	record_write(record_of(&u.row), bytes);
	assert_memory_equal(bytes, expected, sizeof(bytes));
	assert_true(record_read(bytes) == record_of(&u.row));
}

static void test_every_column_is_recorded(void **state)
{
	const struct table *t = table_of(TABLE_USAGES);
	struct usages_row u = sample_usage();
	const row_checksum before = record_of(&u.row);
	int answers = 0;

	(void)state;
	for (int i = 0; i < t->column_count; i++) {
		const struct column *c = &t->columns[i];
		struct usages_row changed = sample_usage();
		char *field = (char *)&changed + c->offset;

		if (c->type == COLUMN_TEXT)
			*(const char **)(void *)field = "another";
		else
			*(unsigned char *)field ^= 1;
		if (strcmp(c->name, "balance_micros") == 0 || strcmp(c->name, "available_micros") == 0) {
			assert_true(record_of(&changed.row) == before);
			answers++;
		} else {
			assert_true(record_of(&changed.row) != before);
		}
	}
	assert_int_equal(answers, 2);
}

/* A text that one column loses at its end is not gained by another at its beginning. */
static void test_columns_do_not_run_together(void **state)
{
	struct usages_row one = sample_usage(), other = sample_usage();

	(void)state;
	one.conversation_id = "ab";
	one.message_id = "c";
	other.conversation_id = "a";
	other.message_id = "bc";
	assert_true(record_of(&one.row) != record_of(&other.row));
	other.conversation_id = "";
	other.message_id = "abc";
	assert_true(record_of(&one.row) != record_of(&other.row));
}

static void test_checksum_knows_no_order_and_no_parts(void **state)
{
	struct row_checksum_key key;
	row_checksum one = 0, other = 0;

	(void)state;
	row_checksum_draw(&key);
	row_checksum_add(&key, &one, 1, 700);
	row_checksum_add(&key, &one, 2, INT64_MIN);
	row_checksum_add(&key, &one, -3, INT64_MAX);
	row_checksum_add(&key, &other, -3, INT64_MAX);
	row_checksum_add(&key, &other, 1, 1000);
	row_checksum_add(&key, &other, 2, INT64_MIN + 1);
	row_checksum_add(&key, &other, 1, -300);
	row_checksum_add(&key, &other, 2, -1);
	assert_true(one == other);
	row_checksum_add(&key, &one, 9, 0); /* nothing is said of it */
	assert_true(one == other);
}

static void test_checksum_differs(void **state)
{
	static const int64_t differences[] = {1, -1, 2, INT64_C(1) << 32, INT64_C(1) << 62, INT64_MIN, INT64_MAX};
	struct row_checksum_key key;

	(void)state;
	for (int round = 0; round < 1000; round++) {
		row_checksum_draw(&key);
		for (size_t i = 0; i < sizeof(differences) / sizeof(differences[0]); i++) {
			row_checksum one = 0, other = 0, swapped = 0;

			row_checksum_add(&key, &one, 1, 5);
			row_checksum_add(&key, &one, 2, 7);
			row_checksum_add(&key, &other, 1, 5);
			row_checksum_add(&key, &other, 2, 7);
			row_checksum_add(&key, &other, (int64_t)i, differences[i]);
			assert_true(one != other);
			/* One row's loss is the other's gain: the total is the same. */
			row_checksum_add(&key, &swapped, 1, 7);
			row_checksum_add(&key, &swapped, 2, 5);
			assert_true(one != swapped);
		}
	}
}

static void test_keys_are_drawn_anew(void **state)
{
	struct row_checksum_key one, other;
	row_checksum a = 0, b = 0;

	(void)state;
	row_checksum_draw(&one);
	row_checksum_draw(&other);
	row_checksum_add(&one, &a, 1, 1);
	row_checksum_add(&other, &b, 1, 1);
	assert_true(a != b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hash_is_as_documented),
		cmocka_unit_test(test_every_field_counts),
		cmocka_unit_test(test_record_is_as_documented),
		cmocka_unit_test(test_every_column_is_recorded),
		cmocka_unit_test(test_columns_do_not_run_together),
		cmocka_unit_test(test_checksum_knows_no_order_and_no_parts),
		cmocka_unit_test(test_checksum_differs),
		cmocka_unit_test(test_keys_are_drawn_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
