#include "unit.h"

#include "prices/book.h"

static struct price price(enum price_kind kind, const char *item, int64_t version, int64_t starts_at_us)
{
	static struct price_line lines[100];
	struct price p = {
		.kind = kind,
		.version = version,
		.starts_at_us = starts_at_us,
		.terms = {1050000, 1080000, 10000},
	};

	snprintf(p.item, sizeof(p.item), "%s", item);
	if (kind == PRICE_MODEL) {
		snprintf(p.provider, sizeof(p.provider), "p");
		lines[version] = (struct price_line){.dimension = DIMENSION_INPUT, .mantissa = version};
		p.lines = &lines[version];
		p.line_count = 1;
	}
	return p;
}

static int64_t version_at(const struct book *b, enum price_kind kind, const char *item, int64_t time_us)
{
	const struct price *p = book_price_at(b, kind, item, time_us);

	if (p == NULL)
		return 0;
	assert_int_equal(p->kind, kind);
	assert_string_equal(p->item, item);
	return p->version;
}

static void test_the_latest_start_counts(void **state)
{
	/* Version 3 was stored last but starts first; 4 and 5 start together. */
	const struct price prices[] = {
		price(PRICE_MODEL, "a", 1, 100), price(PRICE_MODEL, "a", 4, 300), price(PRICE_MODEL, "a", 3, 50),
		price(PRICE_MODEL, "a", 5, 300), price(PRICE_MODEL, "b", 2, 200),
	};
	struct book *b = book_of(prices, 5, 5);

	(void)state;
	assert_int_equal(version_at(b, PRICE_MODEL, "a", 49), 0);
	assert_int_equal(version_at(b, PRICE_MODEL, "a", 50), 3);
	assert_int_equal(version_at(b, PRICE_MODEL, "a", 99), 3);
	assert_int_equal(version_at(b, PRICE_MODEL, "a", 100), 1);
	assert_int_equal(version_at(b, PRICE_MODEL, "a", 299), 1);
	assert_int_equal(version_at(b, PRICE_MODEL, "a", 300), 5);
	assert_int_equal(version_at(b, PRICE_MODEL, "a", INT64_MAX), 5);
	assert_int_equal(version_at(b, PRICE_MODEL, "b", 199), 0);
	assert_int_equal(version_at(b, PRICE_MODEL, "b", 200), 2);
	assert_int_equal(book_version(b), 5);
	book_release(b);
}

static void test_kinds_and_names_are_kept_apart(void **state)
{
	const struct price prices[] = {price(PRICE_MODEL, "a", 1, 0), price(PRICE_ACTION, "a", 2, 0)};
	struct book *b = book_of(prices, 2, 2);

	(void)state;
	assert_int_equal(version_at(b, PRICE_MODEL, "a", 0), 1);
	assert_int_equal(version_at(b, PRICE_ACTION, "a", 0), 2);
	assert_int_equal(version_at(b, PRICE_MODEL, "A", 0), 0);
	assert_int_equal(version_at(b, PRICE_MODEL, "", 0), 0);
	assert_int_equal(version_at(b, PRICE_MODEL, "ab", 0), 0);
	book_release(b);
}

static void test_pinned_versions(void **state)
{
	const struct price prices[] = {price(PRICE_MODEL, "a", 1, 100), price(PRICE_MODEL, "a", 2, 200)};
	struct book *b = book_of(prices, 2, 3);

	(void)state;
	assert_int_equal(book_price_of_version(b, PRICE_MODEL, "a", 1)->lines[0].mantissa, 1);
	assert_int_equal(book_price_of_version(b, PRICE_MODEL, "a", 2)->lines[0].mantissa, 2);
	assert_null(book_price_of_version(b, PRICE_MODEL, "a", 3));
	assert_null(book_price_of_version(b, PRICE_ACTION, "a", 1));
	assert_null(book_price_of_version(b, PRICE_MODEL, "b", 1));
	book_release(b);
}

static void test_empty(void **state)
{
	struct book *b = book_of(NULL, 0, 0);

	(void)state;
	assert_int_equal(book_version(b), 0);
	assert_null(book_price_at(b, PRICE_MODEL, "a", 0));
	book_release(b);
	book_release(NULL);
}

#define MANY 3000
#define VERSIONS 3

struct order {
	int count;
	char last[PRICE_ITEM_MAX];
};

static int check_order(void *context, const struct price *p)
{
	struct order *o = context;

	assert_true(strcmp(o->last, p->item) < 0);
	assert_int_equal(p->version, 2);
	snprintf(o->last, sizeof(o->last), "%s", p->item);
	o->count++;
	return 0;
}

static int stop_at_ten(void *context, const struct price *p)
{
	int *count = context;

	(void)p;
	return ++*count == 10 ? 7 : 0;
}

static void test_a_list_of_many(void **state)
{
	struct price *prices = calloc(MANY * VERSIONS, sizeof(*prices));
	struct order order = {0};
	struct book *b;
	char item[PRICE_ITEM_MAX];
	int count = 0;

	(void)state;
	assert_non_null(prices);
	for (int i = 0; i < MANY; i++) {
		for (int v = 0; v < VERSIONS; v++) {
			snprintf(item, sizeof(item), "provider/model-%d", i * 7919 % MANY);
			prices[v * MANY + i] = price(PRICE_MODEL, item, v + 1, v * 100);
		}
	}
	b = book_of(prices, MANY * VERSIONS, VERSIONS);
	free(prices);
	for (int i = 0; i < MANY; i++) {
		snprintf(item, sizeof(item), "provider/model-%d", i);
		assert_int_equal(version_at(b, PRICE_MODEL, item, 99), 1);
		assert_int_equal(version_at(b, PRICE_MODEL, item, 200), 3);
		assert_int_equal(book_price_of_version(b, PRICE_MODEL, item, 2)->version, 2);
	}
	assert_int_equal(book_each(b, 150, check_order, &order), 0);
	assert_int_equal(order.count, MANY);
	assert_int_equal(book_each(b, 150, stop_at_ten, &count), 7);
	assert_int_equal(count, 10);
	assert_int_equal(book_each(b, -1, stop_at_ten, &count), 0);
	book_release(b);
}

static void test_shared(void **state)
{
	const struct price p = price(PRICE_MODEL, "a", 1, 0);
	struct book *b = book_of(&p, 1, 1);

	(void)state;
	assert_ptr_equal(book_hold(b), b);
	book_release(b);
	assert_int_equal(version_at(b, PRICE_MODEL, "a", 0), 1);
	book_release(b);
}

static void book_of_what_is_no_price(void)
{
	const struct price p = {.kind = PRICE_MODEL};

	book_release(book_of(&p, 1, 1));
}

static void test_bugs_abort(void **state)
{
	(void)state;
	assert_true(aborts(book_of_what_is_no_price));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_latest_start_counts),
		cmocka_unit_test(test_kinds_and_names_are_kept_apart),
		cmocka_unit_test(test_pinned_versions),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_a_list_of_many),
		cmocka_unit_test(test_shared),
		cmocka_unit_test(test_bugs_abort),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
