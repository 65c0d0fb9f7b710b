#define _GNU_SOURCE /* F_SETPIPE_SZ */

#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"

static char directory[64];
static char path[96];
static char other_path[96];

static int setup(void **state)
{
	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/octroi-log-XXXXXX");
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/log", directory);
	snprintf(other_path, sizeof(other_path), "%s/moved", directory);
	return log_open(path, LOG_LEVEL_INFO);
}

static int teardown(void **state)
{
	(void)state;
	if (log_open(NULL, LOG_LEVEL_INFO) != 0)
		return -1;
	unlink(path);
	unlink(other_path);
	return rmdir(directory);
}

/* The file's content, NUL-terminated; to be freed. */
static char *content(const char *file, size_t *length)
{
	struct stat about;
	int fd = open(file, O_RDONLY);
	char *bytes;
	size_t got = 0;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &about), 0);
	bytes = malloc((size_t)about.st_size + 1);
	assert_non_null(bytes);
	while (got < (size_t)about.st_size) {
		ssize_t n = read(fd, bytes + got, (size_t)about.st_size - got);

		assert_true(n > 0);
		got += (size_t)n;
	}
	close(fd);
	bytes[got] = '\0';
	*length = got;
	return bytes;
}

static size_t lines_in(const char *bytes, size_t length)
{
	size_t lines = 0;

	for (size_t i = 0; i < length; i++)
		lines += bytes[i] == '\n' ? 1 : 0;
	return lines;
}

/* The one line that is in the file, without its time. */
static void assert_line(const char *expected)
{
	size_t length;
	int64_t time_us;
	char *bytes;

	log_flush();
	bytes = content(path, &length);
	assert_int_equal(lines_in(bytes, length), 1);
	assert_int_equal(bytes[length - 1], '\n');
	bytes[length - 1] = '\0';
	assert_true(strncmp(bytes, "time=", 5) == 0);
	assert_int_equal(clock_parse(bytes + 5, 24, &time_us), 0);
	assert_true(time_us > clock_wall_us() - 600 * CLOCK_US_PER_SECOND);
	assert_string_equal(bytes + 29, expected);
	free(bytes);
}

static void test_line(void **state)
{
	(void)state;
	log_event(LOG_LEVEL_INFO, "started", LOG_TEXT("listen", "unix:/run/x"), LOG_NUMBER("threads", -8));
	assert_line(" level=info event=started listen=\"unix:/run/x\" threads=-8");
}

static void test_no_fields(void **state)
{
	(void)state;
	log_event_fields(LOG_LEVEL_WARNING, "alone", NULL, 0);
	assert_line(" level=warning event=alone");
}

static void test_extreme_numbers(void **state)
{
	(void)state;
	log_event(LOG_LEVEL_INFO, "n", LOG_NUMBER("a", INT64_MIN), LOG_NUMBER("b", INT64_MAX), LOG_TEXT("c", ""));
	assert_line(" level=info event=n a=-9223372036854775808 b=9223372036854775807 c=\"\"");
}

static void test_levels(void **state)
{
	(void)state;
	log_event(LOG_LEVEL_DEBUG, "hidden", LOG_NUMBER("n", 1));
	assert_int_equal(log_open(path, LOG_LEVEL_ERROR), 0);
	log_event(LOG_LEVEL_WARNING, "hidden", LOG_NUMBER("n", 1));
	assert_int_equal(log_open(path, LOG_LEVEL_DEBUG), 0);
	log_event(LOG_LEVEL_DEBUG, "shown", LOG_NUMBER("n", 1));
	assert_line(" level=debug event=shown n=1");
}

static void test_nothing_forges_a_line(void **state)
{
	(void)state;
	log_event(LOG_LEVEL_INFO, "input",
	          LOG_TEXT("v", "x\ntime=2026 level=error event=forged\r\n\"end\" k=\"v\" \\ "
	                        "\t\x1b[2J\x7f"));
	assert_line(" level=info event=input v=\"x\\ntime=2026 level=error event=forged"
	            "\\x0d\\n\\\"end\\\" k=\\\"v\\\" \\\\ \\x09\\x1b[2J\\x7f\"");
}

static void test_characters_that_viewers_obey(void **state)
{
	(void)state;
	/* U+0085, U+2028, U+202E, and a byte that is no UTF-8 */
	log_event(LOG_LEVEL_INFO, "input", LOG_TEXT("v", "\302\205\342\200\250\342\200\256\377"));
	assert_line(" level=info event=input v=\"\\xc2\\x85\\xe2\\x80\\xa8\\xe2\\x80\\xae\\xff\"");
}

static void test_names_forge_nothing(void **state)
{
	(void)state;
	log_event(LOG_LEVEL_INFO, "a b\nc", LOG_NUMBER("k=1 x\n", 2));
	assert_line(" level=info event=a_b_c k_1_x_=2");
}

/* Each byte but NUL in a value: one line, only printable ASCII. */
static void test_every_byte(void **state)
{
	char value[256];
	size_t length;
	char *bytes;

	(void)state;
	for (int i = 1; i < 256; i++)
		value[i - 1] = (char)i;
	value[255] = '\0';
	log_event(LOG_LEVEL_INFO, "bytes", LOG_TEXT("v", value));
	log_flush();
	bytes = content(path, &length);
	assert_int_equal(lines_in(bytes, length), 1);
	for (size_t i = 0; i + 1 < length; i++)
		assert_true(bytes[i] >= ' ' && bytes[i] <= '~');
	free(bytes);
}

static void test_long_values_are_cut(void **state)
{
	char value[5000];
	struct log_field fields[LOG_EVENT_FIELDS_MAX];
	size_t length;
	char *bytes;

	(void)state;
	memset(value, '\n', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	log_event(LOG_LEVEL_INFO, "long", LOG_TEXT("v", value), LOG_NUMBER("after", 5));
	log_flush();
	bytes = content(path, &length);
	assert_true(length < 1200);
	assert_non_null(strstr(bytes, "\\n\" after=5 cut=1\n"));
	free(bytes);

	/* together more than a line holds: it ends where a field ends */
	for (int i = 0; i < LOG_EVENT_FIELDS_MAX; i++)
		fields[i] = (struct log_field)LOG_TEXT("key", value);
	log_event_fields(LOG_LEVEL_INFO, "longer", fields, LOG_EVENT_FIELDS_MAX);
	log_flush();
	bytes = content(path, &length);
	assert_int_equal(lines_in(bytes, length), 2);
	assert_true(length < 1200 + 8192);
	assert_string_equal(bytes + length - 8, "\" cut=1\n");
	free(bytes);
}

/* Values of all lengths around what a line holds. */
static void test_borders_of_a_line(void **state)
{
	char value[1100];
	struct log_field fields[9];
	size_t length;
	char *bytes;

	(void)state;
	for (size_t last = 0; last < 1100; last++) {
		char shorter[1100];

		memset(value, 'x', sizeof(value));
		value[1000] = '\0';
		memset(shorter, last % 2 == 0 ? '\001' : 'y', sizeof(shorter));
		shorter[last] = '\0';
		for (int i = 0; i < 7; i++)
			fields[i] = (struct log_field)LOG_TEXT("key", value);
		fields[7] = (struct log_field)LOG_TEXT("key", shorter);
		fields[8] = (struct log_field)LOG_NUMBER("end", INT64_MIN);
		log_event_fields(LOG_LEVEL_INFO, "border", fields, 9);
	}
	log_flush();
	bytes = content(path, &length);
	assert_int_equal(lines_in(bytes, length), 1100);
	for (const char *line = bytes; *line != '\0'; line = strchr(line, '\n') + 1) {
		assert_true(strncmp(line, "time=", 5) == 0);
		assert_true(strchr(line, '\n') - line < 8192);
	}
	free(bytes);
}

static void test_collected_until_flushed(void **state)
{
	size_t length;

	(void)state;
	log_event(LOG_LEVEL_INFO, "one", LOG_NUMBER("n", 1));
	free(content(path, &length));
	assert_int_equal(length, 0);
	log_event(LOG_LEVEL_ERROR, "two", LOG_NUMBER("n", 2)); /* takes along what was before */
	free(content(path, &length));
	assert_true(length > 0);
	log_flush();
	log_flush();
}

static void test_filling_writes(void **state)
{
	size_t length;
	char *bytes;

	(void)state;
	for (int i = 0; i < 10000; i++)
		log_event(LOG_LEVEL_INFO, "many", LOG_NUMBER("n", i));
	log_flush();
	bytes = content(path, &length);
	assert_int_equal(lines_in(bytes, length), 10000);
	assert_null(strstr(bytes, "dropped"));
	assert_non_null(strstr(bytes, " n=9999\n"));
	free(bytes);
}

static void test_reopen(void **state)
{
	size_t length;
	char *bytes;

	(void)state;
	log_event(LOG_LEVEL_INFO, "before", LOG_NUMBER("n", 1));
	assert_int_equal(rename(path, other_path), 0);
	assert_int_equal(log_reopen(), 0);
	log_event(LOG_LEVEL_INFO, "after", LOG_NUMBER("n", 1));
	assert_line(" level=info event=after n=1");
	bytes = content(other_path, &length);
	assert_non_null(strstr(bytes, "event=before"));
	assert_null(strstr(bytes, "event=after"));
	free(bytes);
}

static void test_reopen_fails(void **state)
{
	char moved[96];

	(void)state;
	snprintf(moved, sizeof(moved), "%s-moved", directory);
	assert_int_equal(rename(directory, moved), 0);
	errno = 0;
	assert_int_equal(log_reopen(), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(rename(moved, directory), 0);
	log_event(LOG_LEVEL_INFO, "kept", LOG_NUMBER("n", 1));
	assert_line(" level=info event=kept n=1");
}

static void test_open_fails(void **state)
{
	char too_long[5000];

	(void)state;
	memset(too_long, 'x', sizeof(too_long) - 1);
	too_long[sizeof(too_long) - 1] = '\0';
	errno = 0;
	assert_int_equal(log_open(too_long, LOG_LEVEL_INFO), -1);
	assert_int_equal(errno, ENAMETOOLONG);
	assert_int_equal(log_open("/nonexistent/directory/log", LOG_LEVEL_INFO), -1);
	assert_int_equal(errno, ENOENT);
	log_event(LOG_LEVEL_INFO, "kept", LOG_NUMBER("n", 1));
	assert_line(" level=info event=kept n=1");
}

static void test_mode_and_append(void **state)
{
	struct stat about;
	size_t length;
	char *bytes;

	(void)state;
	log_event(LOG_LEVEL_INFO, "first", LOG_NUMBER("n", 1));
	assert_int_equal(log_open(path, LOG_LEVEL_INFO), 0);
	log_event(LOG_LEVEL_INFO, "second", LOG_NUMBER("n", 1));
	log_flush();
	bytes = content(path, &length);
	assert_int_equal(lines_in(bytes, length), 2);
	free(bytes);
	assert_int_equal(stat(path, &about), 0);
	assert_int_equal(about.st_mode & 0137, 0); /* no more than rw-r----- */
}

/* Into a file that takes 2,000 bytes more: lines are lost, none is torn, and the loss is said. */
static void test_losses_are_said(void **state)
{
	struct rlimit before;
	struct rlimit little = {2000, RLIM_INFINITY};
	size_t length;
	size_t lines = 0;
	long long lost = -1;
	char *bytes;
	const char *said;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	little.rlim_max = before.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
	for (int i = 0; i < 100; i++)
		log_event(LOG_LEVEL_INFO, "work", LOG_NUMBER("n", i));
	log_flush();
	log_event(LOG_LEVEL_ERROR, "lost", LOG_NUMBER("n", 1));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	log_event(LOG_LEVEL_ERROR, "back", LOG_NUMBER("n", 1));
	bytes = content(path, &length);
	for (const char *line = bytes; *line != '\0'; line = strchr(line, '\n') + 1) {
		if (strncmp(line, "time=", 5) == 0)
			lines++;
	}
	said = strstr(bytes, "event=log_lines_dropped count=");
	assert_non_null(said);
	lost = strtoll(said + strlen("event=log_lines_dropped count="), NULL, 10);
	assert_null(strstr(said + strlen("event=log"), "log_lines_dropped"));
	assert_non_null(strstr(said, "event=back"));
	/* Of 102 lines, one torn stands there in part and counts as lost; the notice is extra. */
	assert_true(lines + (size_t)lost >= 102 + 1 && lines + (size_t)lost <= 102 + 2);
	free(bytes);
}

/* Nobody reads: the caller waits a bounded time, then goes on without the line. */
static void test_full_pipe(void **state)
{
	int ends[2];
	int saved = dup(STDERR_FILENO);
	char text[70000];
	ssize_t got;
	size_t length = 0;

	(void)state;
	memset(text, 'x', sizeof(text));
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
	while (write(ends[1], text, 4096) > 0)
		;
	assert_int_equal(errno, EAGAIN);
	assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
	assert_int_equal(log_open("stderr", LOG_LEVEL_INFO), 0);
	log_event(LOG_LEVEL_ERROR, "lost", LOG_NUMBER("n", 1));
	assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	while (read(ends[0], text, sizeof(text)) > 0)
		;
	log_event(LOG_LEVEL_ERROR, "back", LOG_NUMBER("n", 1));
	got = read(ends[0], text, sizeof(text) - 1);
	length = got > 0 ? (size_t)got : 0;
	text[length] = '\0';
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
	close(ends[0]);
	close(ends[1]);
	assert_null(strstr(text, "event=lost"));
	assert_non_null(strstr(text, "event=log_lines_dropped count=1\n"));
	assert_non_null(strstr(text, "event=back n=1\n"));
}

struct reader {
	int fd;
	char text[200000];
	size_t length;
};

static void *read_to_the_end(void *context)
{
	struct reader *r = context;
	ssize_t got;

	do {
		got = read(r->fd, r->text + r->length, sizeof(r->text) - 1 - r->length);
		r->length += got > 0 ? (size_t)got : 0;
	} while (got > 0);
	r->text[r->length] = '\0';
	return NULL;
}

static void *log_more_than_a_page(void *unused)
{
	struct log_field fields[6];
	char value[1000];

	(void)unused;
	memset(value, 'x', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	for (int i = 0; i < 6; i++)
		fields[i] = (struct log_field)LOG_TEXT("value", value);
	log_event_fields(LOG_LEVEL_ERROR, "stuck", fields, 6);
	return NULL;
}

/* One thread is stuck in a pipe of a page that nobody reads; the others log on, and lose what
 * is more than the other half holds. */
static void test_a_stuck_writer_stops_nobody_else(void **state)
{
	static struct reader r;
	pthread_t stuck;
	pthread_t reading;
	int ends[2];
	int waiting = 0;
	int saved = dup(STDERR_FILENO);
	const char *said;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(fcntl(ends[1], F_SETPIPE_SZ, 4096), 4096);
	assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
	close(ends[1]);
	assert_int_equal(log_open("stderr", LOG_LEVEL_INFO), 0);
	assert_int_equal(pthread_create(&stuck, NULL, log_more_than_a_page, NULL), 0);
	while (waiting < 4096)
		assert_int_equal(ioctl(ends[0], FIONREAD, &waiting), 0);
	for (int i = 0; i < 2000; i++)
		log_event(LOG_LEVEL_INFO, "work", LOG_NUMBER("n", i));
	log_event(LOG_LEVEL_ERROR, "urgent", LOG_NUMBER("n", 1)); /* lost, and does not wait */
	r.fd = ends[0];
	r.length = 0;
	assert_int_equal(pthread_create(&reading, NULL, read_to_the_end, &r), 0);
	assert_int_equal(pthread_join(stuck, NULL), 0);
	log_flush();
	log_event(LOG_LEVEL_ERROR, "after", LOG_NUMBER("n", 1));
	assert_true(dup2(saved, STDERR_FILENO) >= 0); /* the last writing end: the reader is done */
	close(saved);
	assert_int_equal(pthread_join(reading, NULL), 0);
	close(ends[0]);
	said = strstr(r.text, "event=log_lines_dropped count=");
	assert_non_null(said);
	assert_non_null(strstr(r.text, "event=after"));
	assert_int_equal(strtoll(said + strlen("event=log_lines_dropped count="), NULL, 10) +
	                         (long long)lines_in(r.text, r.length),
	                 1 + 2000 + 1 + 1 + 1);
}

#define THREADS 8
#define LINES 4000

static void *log_lines(void *number)
{
	for (int i = 0; i < LINES; i++) {
		if (i % 1000 == 999)
			log_event(LOG_LEVEL_ERROR, "worked", LOG_NUMBER("thread", *(int *)number), LOG_NUMBER("n", i),
			          LOG_TEXT("text", "\n\n"));
		else
			log_event(LOG_LEVEL_INFO, "worked", LOG_NUMBER("thread", *(int *)number), LOG_NUMBER("n", i),
			          LOG_TEXT("text", "\n\n"));
		if (i % 500 == 7)
			log_flush();
		if (i % 1000 == 8)
			(void)log_reopen();
	}
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[THREADS];
	int numbers[THREADS];
	size_t length;
	long long lines = 0;
	char *bytes;

	(void)state;
	for (int i = 0; i < THREADS; i++) {
		numbers[i] = i;
		assert_int_equal(pthread_create(&threads[i], NULL, log_lines, &numbers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	log_flush();
	log_flush(); /* says what was dropped while the first one wrote */
	bytes = content(path, &length);
	for (char *line = bytes; *line != '\0'; line = strchr(line, '\n') + 1) {
		const char *said = strstr(line, "event=log_lines_dropped count=");
		const char *end = strchr(line, '\n');

		assert_true(strncmp(line, "time=", 5) == 0);
		if (said != NULL && said < end) {
			lines += strtoll(said + strlen("event=log_lines_dropped count="), NULL, 10);
			continue;
		}
		assert_true(strncmp(end - 11, "text=\"\\n\\n\"\n", 12) == 0);
		lines++;
	}
	assert_int_equal(lines, THREADS * LINES);
	free(bytes);
}

static void too_many_fields(void)
{
	struct log_field fields[LOG_EVENT_FIELDS_MAX + 1] = {{"k", NULL, 1}};

	log_event_fields(LOG_LEVEL_INFO, "x", fields, LOG_EVENT_FIELDS_MAX + 1);
}

static void test_too_many_fields_abort(void **state)
{
	(void)state;
	assert_true(aborts(too_many_fields));
}

#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOG_TEST(test_line),
		LOG_TEST(test_no_fields),
		LOG_TEST(test_extreme_numbers),
		LOG_TEST(test_levels),
		LOG_TEST(test_nothing_forges_a_line),
		LOG_TEST(test_characters_that_viewers_obey),
		LOG_TEST(test_names_forge_nothing),
		LOG_TEST(test_every_byte),
		LOG_TEST(test_long_values_are_cut),
		LOG_TEST(test_borders_of_a_line),
		LOG_TEST(test_collected_until_flushed),
		LOG_TEST(test_filling_writes),
		LOG_TEST(test_reopen),
		LOG_TEST(test_reopen_fails),
		LOG_TEST(test_open_fails),
		LOG_TEST(test_mode_and_append),
		LOG_TEST(test_losses_are_said),
		LOG_TEST(test_full_pipe),
		LOG_TEST(test_a_stuck_writer_stops_nobody_else),
		LOG_TEST(test_threads),
		LOG_TEST(test_too_many_fields_abort),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
