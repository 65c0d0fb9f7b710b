/*
 * db: what a client library is asked to promise.  The library's version is this program's to say.
 */
#include "unit.h"

#include "db/db.h"

static unsigned long version;

unsigned long mysql_get_client_version(void);

/* In the place of the library's. */
unsigned long mysql_get_client_version(void)
{
	return version;
}

static const char *wrong(const char *socket, const char *host, const char *tls_ca)
{
	const struct db_options options = {.socket = socket, .host = host, .tls_ca = tls_ca, .port = 3306};

	return db_options_wrong(&options);
}

static void test_names_that_are_not_compared(void **state)
{
	static const struct {
		unsigned long version;
		const char *socket, *host, *tls_ca;
		bool right;
	} cases[] = {
		{30402, "", "127.0.0.1", "/ca", false},
		{30405, "", "::1", "/ca", false},
		{40000, NULL, "127.0.0.1", "/ca", false},
		{30401, "", "127.0.0.1", "/ca", true}, /* compares */
		{30320, "", "::1", "/ca", true},
		{30405, "", "db.example", "/ca", true},
		{30405, "", "127.0.0.2", "/ca", true},
		{30405, "", "127.0.0.1", "", true}, /* nothing is promised */
		{30405, "", "127.0.0.1", NULL, true},
		{30405, "/run/mysqld/mysqld.sock", "127.0.0.1", "/ca", true}, /* it wins */
		{30405, NULL, NULL, "/ca", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		version = cases[i].version;
		assert_true((wrong(cases[i].socket, cases[i].host, cases[i].tls_ca) == NULL) == cases[i].right);
	}
}

static void test_no_connection_with_such_options(void **state)
{
	const struct db_options options = {.host = "127.0.0.1",
	                                   .user = "u",
	                                   .password = "p",
	                                   .name = "n",
	                                   .tls_ca = "/ca",
	                                   .port = 1,
	                                   .timeout_ms = 1000};
	struct db *d;
	struct buf sql;

	(void)state;
	version = 30405;
	d = db_new(&options);
	buf_init(&sql, 64);
	buf_add_text(&sql, "SELECT 1");
	assert_int_equal(db_query(d, &sql), DB_FAULT);
	assert_non_null(strstr(db_error(d), "does not compare the name"));
	assert_false(db_connected(d));
	buf_free(&sql);
	db_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_that_are_not_compared),
		cmocka_unit_test(test_no_connection_with_such_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
