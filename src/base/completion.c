#include "base/completion.h"

#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"

void completion_init(struct completion *c)
{
	atomic_init(&c->signalled, 0);
}

void completion_signal(struct completion *c)
{
	atomic_store(&c->signalled, 1);
	/* The waiter may be gone by now.  The call then wakes no thread, or one that looks again. */
	(void)syscall(SYS_futex, &c->signalled, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

bool completion_wait_until(struct completion *c, int64_t deadline_us)
{
	const struct timespec deadline = clock_timespec(deadline_us);
	long result = 0;

	while (atomic_load(&c->signalled) == 0) {
		if (result != 0 && errno == ETIMEDOUT)
			return false;
		result = syscall(SYS_futex, &c->signalled, FUTEX_WAIT_BITSET_PRIVATE, 0,
		                 deadline_us < 0 ? NULL : &deadline, NULL, FUTEX_BITSET_MATCH_ANY);
		CHECK(result == 0 || errno == EAGAIN || errno == EINTR || errno == ETIMEDOUT);
	}
	return true;
}
