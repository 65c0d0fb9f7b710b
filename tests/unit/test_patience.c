/*
 * How long the ledger's callers wait for a database that takes connections and never says a word: each until its
 * own deadline, whoever else is in its batch.  The database here is a socket that hangs up when the test says so.
 */
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/lock.h"
#include "ledger/ledger.h"

#define FOR_EVER_US (600 * CLOCK_US_PER_SECOND)
#define SOON_US (4 * CLOCK_US_PER_SECOND)
#define NAP_US (5 * CLOCK_US_PER_MS)

static char directory[] = "/tmp/octroi-test-patience-XXXXXX";
static char socket_path[sizeof(directory) + 8];

static struct {
	int listener;
	pthread_t thread;
	struct lock lock;
	struct signal_cond changed;
	int accepted;
	int hung_up; /* as many as that may end */
} database;

static void *database_main(void *unused)
{
	for (;;) {
		int fd = accept(database.listener, NULL, NULL);
		int number;

		if (fd < 0)
			return unused;
		lock_take(&database.lock);
		number = ++database.accepted;
		cond_broadcast(&database.changed);
		while (database.hung_up < number)
			(void)cond_wait_until(&database.changed, &database.lock, -1);
		lock_give(&database.lock);
		close(fd);
	}
}

static void hang_up(int count)
{
	lock_take(&database.lock);
	database.hung_up = count;
	cond_broadcast(&database.changed);
	lock_give(&database.lock);
}

static void wait_for_connection(int number)
{
	lock_take(&database.lock);
	while (database.accepted < number)
		(void)cond_wait_until(&database.changed, &database.lock, -1);
	lock_give(&database.lock);
}

static int database_start(void **state)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};

	(void)state;
	assert_non_null(mkdtemp(directory));
	(void)snprintf(socket_path, sizeof(socket_path), "%s/db", directory);
	(void)snprintf(name.sun_path, sizeof(name.sun_path), "%s", socket_path);
	lock_init(&database.lock);
	cond_init(&database.changed);
	database.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(database.listener, (const struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(listen(database.listener, 16), 0);
	assert_int_equal(pthread_create(&database.thread, NULL, database_main, NULL), 0);
	return 0;
}

static int database_stop(void **state)
{
	(void)state;
	hang_up(INT32_MAX);
	(void)shutdown(database.listener, SHUT_RDWR);
	assert_int_equal(pthread_join(database.thread, NULL), 0);
	close(database.listener);
	unlink(socket_path);
	rmdir(directory);
	cond_destroy(&database.changed);
	lock_destroy(&database.lock);
	return 0;
}

struct caller {
	struct ledger *ledger;
	int64_t deadline_us;
	struct command command;
	pthread_t thread;
};

static void *caller_main(void *argument)
{
	struct caller *c = argument;

	ledger_submit(c->ledger, &c->command, c->deadline_us);
	return NULL;
}

static void caller_start(struct caller *c, struct ledger *l, int64_t deadline_us)
{
	memset(c, 0, sizeof(*c));
	c->ledger = l;
	c->deadline_us = deadline_us;
	c->command.kind = COMMAND_TOUCH;
	c->command.account = id_account_key("somebody", 8);
	c->command.account_id = "somebody";
	assert_int_equal(pthread_create(&c->thread, NULL, caller_main, c), 0);
}

static void wait_until_queued(struct ledger *l, int64_t wanted)
{
	const struct timespec nap = clock_timespec(NAP_US);
	struct ledger_counts counts;

	for (ledger_count(l, &counts); counts.queued < wanted; ledger_count(l, &counts))
		(void)nanosleep(&nap, NULL);
}

static void wait_until_passed(int64_t deadline_us)
{
	const struct timespec nap = clock_timespec(NAP_US);

	while (clock_monotonic_us() < deadline_us)
		(void)nanosleep(&nap, NULL);
}

/* The second batch is of two, the first of whom has little time left.  Once that is over the batch is given up,
 * although the other one had time for more attempts. */
static void test_nobody_waits_for_the_patience_of_another(void **state)
{
	const struct db_options access = {.socket = socket_path, .timeout_ms = 60000};
	struct ledger_options options = {.batch_max = 16,
	                                 .queue_max = 16,
	                                 .holds_max = 1,
	                                 .orders_open_max = 1,
	                                 .terms = {.margin_ppm = 1, .rate_ppm = 1, .credit_value_ppm = 1},
	                                 .billing = {.currency = "EUR"}};
	struct caller first, hasty, patient;
	struct ledger_counts counts;
	struct ledger *l;

	(void)state;
	options.pool = pool_new(&access, 1);
	l = ledger_new(&options);
	assert_non_null(l);
	caller_start(&first, l, clock_monotonic_us() + SOON_US);
	wait_for_connection(1);
	wait_until_passed(first.deadline_us);
	caller_start(&hasty, l, clock_monotonic_us() + SOON_US);
	wait_until_queued(l, 1);
	caller_start(&patient, l, clock_monotonic_us() + FOR_EVER_US);
	wait_until_queued(l, 2);
	hang_up(1);
	wait_for_connection(2);
	wait_until_passed(hasty.deadline_us);
	hang_up(INT32_MAX);
	assert_int_equal(pthread_join(first.thread, NULL), 0);
	assert_int_equal(pthread_join(hasty.thread, NULL), 0);
	assert_int_equal(pthread_join(patient.thread, NULL), 0);
	ledger_count(l, &counts);
	assert_int_equal(counts.batches, 2);
	assert_int_equal(counts.retries, 0);
	assert_int_equal(counts.outcome[OUTCOME_UNAVAILABLE], 3);
	ledger_free(l);
	pool_free(options.pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nobody_waits_for_the_patience_of_another, database_start,
	                                        database_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
