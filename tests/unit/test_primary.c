#include "unit.h"

#include <string.h>

#include "db/primary.h"

#define CASES(list) (sizeof(list) / sizeof((list)[0]))

/* A server with that id, whose newest epoch is number, of the server named. */
static struct primary_server server(int64_t id, int64_t number, int64_t named, int64_t servers)
{
	return (struct primary_server){
		.heard = true, .server_id = id, .epoch = {.number = number, .server_id = named, .servers = servers}};
}

static struct primary_server replica(struct primary_server s)
{
	s.read_only = true;
	return s;
}

static struct primary_server node(int64_t id, bool ready)
{
	struct primary_server s = server(id, 0, 0, 1);

	s.cluster = true;
	s.ready = ready;
	return s;
}

static const struct primary_server silent = {.heard = false, .epoch = {.servers = 1}};

/* Looks at the servers; the place of the chosen one, or -1. */
static int look(const struct primary_server *servers, int count, enum primary_verdict *verdicts)
{
	enum primary_verdict why;

	primary_choose(servers, count, false, verdicts);
	return primary_chosen(&why);
}

static int begin(void **state)
{
	(void)state;
	primary_forget();
	return 0;
}

static void test_lists(void **state)
{
	static const struct {
		const char *list;
		int count;
		const char *last;
		unsigned port;
	} cases[] = {
		{"", 0, "", 0},
		{"db1", 1, "db1", 3306},
		{"db1:3307", 1, "db1", 3307},
		{"db1,db2", 2, "db2", 3306},
		{" db1 , db2:1 ", 2, "db2", 1},
		{"::1", 1, "::1", 3306},
		{"[::1]", 1, "::1", 3306},
		{"[fe80::2]:65535", 1, "fe80::2", 65535},
		{"a,b,c,d,e,f,g,h", 8, "h", 3306},
		{"a,b,c,d,e,f,g,h,i", -1, "", 0},
		{"db1:", -1, "", 0},
		{"db1:0", -1, "", 0},
		{"db1:65536", -1, "", 0},
		{"db1:99999999999", -1, "", 0},
		{"db1:33x", -1, "", 0},
		{":3306", -1, "", 0},
		{"[::1", -1, "", 0},
		{"[::1]x", -1, "", 0},
		{"[]:3306", -1, "", 0},
	};

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++) {
		struct primary_host hosts[PRIMARY_HOSTS_MAX];
		const int count = primary_parse(cases[i].list, 3306, hosts);

		assert_int_equal(count, cases[i].count);
		if (count > 0) {
			assert_string_equal(hosts[count - 1].name, cases[i].last);
			assert_int_equal(hosts[count - 1].port, cases[i].port);
		}
	}
}

static void test_a_single_server_needs_no_epoch(void **state)
{
	struct primary_server s = server(1, 0, 0, 1);

	(void)state;
	assert_int_equal(primary_check(&s), PRIMARY_PRIMARY);
	s.read_only = true;
	assert_int_equal(primary_check(&s), PRIMARY_READ_ONLY);
}

static void test_a_list_needs_one(void **state)
{
	const struct primary_server pair[] = {server(1, 0, 0, 1), replica(server(2, 0, 0, 1))};
	enum primary_verdict verdicts[2], why;

	(void)state;
	assert_int_equal(look(pair, 2, verdicts), -1);
	assert_int_equal(verdicts[0], PRIMARY_UNTAKEN);
	primary_choose(pair, 2, true, verdicts);
	assert_int_equal(primary_chosen(&why), 0);
}

static void test_promotion_waits_for_the_epoch(void **state)
{
	const struct primary_server before[] = {server(1, 1, 1, 2), replica(server(2, 1, 1, 2))};
	const struct primary_server promoted[] = {silent, server(2, 1, 1, 2)};
	const struct primary_server taken[] = {silent, server(2, 2, 2, 1)};
	const struct primary_server back[] = {server(1, 1, 1, 2), server(2, 2, 2, 1)};
	enum primary_verdict verdicts[2];
	int64_t moves;

	(void)state;
	assert_int_equal(look(before, 2, verdicts), 0);
	moves = primary_moves();
	assert_int_equal(look(promoted, 2, verdicts), 0); /* connections to the first fail; the second is not asked */
	assert_int_equal(verdicts[1], PRIMARY_UNNAMED);
	assert_int_equal(primary_moves(), moves);
	assert_int_equal(look(taken, 2, verdicts), 1);
	assert_true(primary_moves() > moves);
	assert_int_equal(look(back, 2, verdicts), 1);
	assert_int_equal(verdicts[0], PRIMARY_OLD);
	assert_int_equal(primary_check(&back[0]), PRIMARY_OLD);
	assert_int_equal(primary_check(&back[1]), PRIMARY_PRIMARY);
}

static void test_old_primary_alone_is_not_believed(void **state)
{
	const struct primary_server alone[] = {server(1, 1, 1, 2), silent};
	const struct primary_server three[] = {server(1, 1, 1, 3), silent, replica(server(3, 1, 1, 3))};
	enum primary_verdict verdicts[3];

	(void)state;
	assert_int_equal(look(alone, 2, verdicts), -1);
	assert_int_equal(verdicts[0], PRIMARY_UNHEARD);
	assert_int_equal(primary_check(&alone[0]), PRIMARY_UNHEARD);
	primary_forget();
	assert_int_equal(look(three, 3, verdicts), 0);
}

static void test_rivals_are_refused(void **state)
{
	const struct primary_server here = server(2, 2, 2, 1), there = server(3, 2, 3, 1), again = server(3, 3, 3, 1);
	int64_t moves;

	(void)state;
	assert_int_equal(primary_check(&here), PRIMARY_PRIMARY);
	moves = primary_moves();
	assert_int_equal(primary_check(&there), PRIMARY_RIVAL);
	assert_int_equal(primary_moves(), moves);
	assert_int_equal(primary_check(&again), PRIMARY_PRIMARY);
	assert_int_equal(primary_moves(), moves + 1); /* connections to the first are opened anew */
	assert_int_equal(primary_check(&here), PRIMARY_OLD);
}

static void test_restored_elsewhere(void **state)
{
	const struct primary_server s = server(9, 4, 2, 1);

	(void)state;
	assert_int_equal(primary_check(&s), PRIMARY_UNNAMED);
}

static void test_two_writers(void **state)
{
	const struct primary_server both[] = {server(1, 0, 0, 1), server(2, 0, 0, 1)};
	enum primary_verdict verdicts[2], why;

	(void)state;
	primary_choose(both, 2, true, verdicts);
	assert_int_equal(primary_chosen(&why), -1);
	assert_int_equal(why, PRIMARY_TWICE);
	assert_int_equal(verdicts[0], PRIMARY_TWICE);
	assert_int_equal(verdicts[1], PRIMARY_TWICE);
}

static void test_first_node_of_a_cluster(void **state)
{
	const struct primary_server all[] = {node(1, true), node(2, true), node(3, true)};
	const struct primary_server rest[] = {node(1, false), node(2, true), node(3, true)};
	enum primary_verdict verdicts[3];

	(void)state;
	assert_int_equal(look(all, 3, verdicts), 0);
	assert_int_equal(verdicts[1], PRIMARY_SPARE);
	assert_int_equal(look(rest, 3, verdicts), 1);
	assert_int_equal(verdicts[0], PRIMARY_NOT_READY);
	assert_int_equal(look(all, 3, verdicts), 0);
}

static void test_a_slow_primary_is_kept(void **state)
{
	const struct primary_server before[] = {server(1, 1, 1, 2), replica(server(2, 1, 1, 2))};
	const struct primary_server slow[] = {silent, replica(server(2, 1, 1, 2))};
	const struct primary_server stopped[] = {replica(server(1, 1, 1, 2)), replica(server(2, 1, 1, 2))};
	enum primary_verdict verdicts[2];

	(void)state;
	assert_int_equal(look(before, 2, verdicts), 0);
	assert_int_equal(look(slow, 2, verdicts), 0);
	assert_int_equal(look(stopped, 2, verdicts), -1);
}

static void test_row_of_an_epoch(void **state)
{
	static const char *const good[] = {"3", "9007199254740993", "2"}, *const nobody[] = {"0", "0", "1"};
	static const char *const no_servers[] = {"1", "1", "0"}, *const below[] = {"-1", "1", "1"};
	struct epoch e;

	(void)state;
	assert_true(primary_take_epoch(&e, good));
	assert_true(e.number == 3 && e.server_id == 9007199254740993 && e.servers == 2);
	assert_true(primary_take_epoch(&e, nobody));
	assert_false(primary_take_epoch(&e, no_servers));
	assert_false(primary_take_epoch(&e, below));
}

static void test_each_verdict_has_words(void **state)
{
	(void)state;
	for (int v = 0; v < PRIMARY_VERDICT_COUNT; v++) {
		assert_true(strlen(primary_word((enum primary_verdict)v)) > 0);
		assert_true(strlen(primary_sentence((enum primary_verdict)v)) > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_lists, begin),
		cmocka_unit_test_setup(test_a_single_server_needs_no_epoch, begin),
		cmocka_unit_test_setup(test_a_list_needs_one, begin),
		cmocka_unit_test_setup(test_promotion_waits_for_the_epoch, begin),
		cmocka_unit_test_setup(test_old_primary_alone_is_not_believed, begin),
		cmocka_unit_test_setup(test_rivals_are_refused, begin),
		cmocka_unit_test_setup(test_restored_elsewhere, begin),
		cmocka_unit_test_setup(test_two_writers, begin),
		cmocka_unit_test_setup(test_first_node_of_a_cluster, begin),
		cmocka_unit_test_setup(test_a_slow_primary_is_kept, begin),
		cmocka_unit_test_setup(test_row_of_an_epoch, begin),
		cmocka_unit_test_setup(test_each_verdict_has_words, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
