#include "unit.h"

#include <pthread.h>
#include <stdint.h>

#include "base/memory.h"

/* The sanitizers' allocators do not refuse, they complain. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define REFUSALS_END_THE_PROGRAM 1
#else
#define REFUSALS_END_THE_PROGRAM 0
#endif

/* More than there is; not known to the compiler, which would complain. */
static volatile size_t too_much = SIZE_MAX / 4;

static void test_refusals_are_noted(void **state)
{
	char *text;

	(void)state;
	if (REFUSALS_END_THE_PROGRAM)
		skip();
	memory_forget();
	text = memory_copy("text");
	assert_string_equal(text, "text");
	assert_false(memory_was_short());
	assert_null(memory_realloc(text, too_much));
	assert_true(memory_was_short());
	memory_free(text);
	memory_forget();
	assert_false(memory_was_short());
	assert_null(memory_alloc(too_much));
	assert_true(memory_was_short());
	memory_forget();
	assert_null(memory_zeroed(too_much, 8));
	assert_true(memory_was_short());
	memory_forget();
	memory_note();
	assert_true(memory_was_short());
}

static void test_a_watch_keeps_what_was_noted_before(void **state)
{
	bool before;

	(void)state;
	memory_note();
	before = memory_watch();
	assert_false(memory_was_short());
	assert_false(memory_watched(before));
	assert_true(memory_was_short());
	memory_forget();
	before = memory_watch();
	memory_note();
	assert_true(memory_watched(before));
	assert_true(memory_was_short());
	memory_forget();
	assert_false(memory_watched(memory_watch()));
	assert_false(memory_was_short());
}

static void test_nothing_is_not_refused(void **state)
{
	(void)state;
	memory_forget();
	memory_free(memory_alloc(0));
	memory_free(memory_zeroed(0, 8));
	memory_free(memory_zeroed(8, 0));
	memory_free(NULL);
	assert_false(memory_was_short());
}

static void *look(void *seen)
{
	*(bool *)seen = memory_was_short();
	return NULL;
}

static void test_each_thread_has_its_own(void **state)
{
	bool seen = true;
	pthread_t thread;

	(void)state;
	memory_note();
	assert_int_equal(pthread_create(&thread, NULL, look, &seen), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_false(seen);
	assert_true(memory_was_short());
	memory_forget();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals_are_noted),
		cmocka_unit_test(test_a_watch_keeps_what_was_noted_before),
		cmocka_unit_test(test_nothing_is_not_refused),
		cmocka_unit_test(test_each_thread_has_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
