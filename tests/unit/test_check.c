#include "unit.h"

#include "base/check.h"

static void fail_check(void)
{
	int sum = 2;

	CHECK(sum + 2 == 5);
}

static void fail_unreachable(void)
{
	UNREACHABLE("nobody comes here");
}

static void pass_check(void)
{
	CHECK(1 + 1 == 2);
}

static void fail_long(void)
{
	char condition[2000];

	memset(condition, 'x', sizeof(condition) - 1);
	condition[sizeof(condition) - 1] = '\0';
	check_failed(condition, "file.c", 1, "function");
}

/* Reads the call's words on standard error before it aborts. */
static size_t message_of(void (*call)(void), char *text, size_t size)
{
	int ends[2];
	size_t length = 0;
	ssize_t got;
	pid_t child;
	int status;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		const struct rlimit no_core = {0, 0};

		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGABRT, SIG_DFL);
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		close(ends[1]);
		call();
		_exit(0);
	}
	close(ends[1]);
	do {
		got = read(ends[0], text + length, size - 1 - length);
		length += got > 0 ? (size_t)got : 0;
	} while (got > 0);
	close(ends[0]);
	text[length] = '\0';
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	return length;
}

static void test_aborts(void **state)
{
	(void)state;
	assert_true(aborts(fail_check));
	assert_true(aborts(fail_unreachable));
	assert_false(aborts(pass_check));
}

static void test_says_where(void **state)
{
	char text[4096];

	(void)state;
	message_of(fail_check, text, sizeof(text));
	assert_non_null(strstr(text, "sum + 2 == 5"));
	assert_non_null(strstr(text, "test_check.c:"));
	assert_non_null(strstr(text, "fail_check"));
	message_of(fail_unreachable, text, sizeof(text));
	assert_non_null(strstr(text, "nobody comes here"));
}

static void test_long_message_is_one_line(void **state)
{
	char text[4096];
	size_t length = message_of(fail_long, text, sizeof(text));

	(void)state;
	assert_true(length > 0 && length < 600);
	assert_ptr_equal(strchr(text, '\n'), text + length - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_aborts),
		cmocka_unit_test(test_says_where),
		cmocka_unit_test(test_long_message_is_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
