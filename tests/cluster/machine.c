/*
 * LD_PRELOAD for a database server on a bad machine: its disk is slow, or its clock is wrong.  nodes.py changes both
 * while the server runs, in a file that is mapped here: two int64 of microseconds.
 *
 * fsync and fdatasync take that much longer.  The real-time clock is ahead by so much, or behind; absolute times of
 * waits are put back, because the kernel knows the true time only.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define US 1000000
#define REAL_TIME_FROM 1000000000 /* seconds; a monotonic time is less */

static volatile const int64_t *page; /* delay of the disk, error of the clock */
static int (*real_fsync)(int), (*real_fdatasync)(int);
static int (*real_clock_gettime)(clockid_t, struct timespec *);
static int (*real_timedwait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);

static void find_functions(void)
{
	real_fsync = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
	real_fdatasync = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
	real_clock_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	/* The unversioned name leads to the condition variables of before 2003. */
	real_timedwait = (int (*)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *))dlvsym(
		RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
	if (real_timedwait == NULL)
		real_timedwait = (int (*)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *))dlsym(
			RTLD_NEXT, "pthread_cond_timedwait");
}

static pthread_once_t once = PTHREAD_ONCE_INIT;

__attribute__((constructor)) static void map_page(void)
{
	const char *path = getenv("CLUSTER_MACHINE");
	const int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *mapped = fd >= 0 ? mmap(NULL, 2 * sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

	pthread_once(&once, find_functions);
	if (mapped == MAP_FAILED)
		abort();
	page = mapped;
	(void)close(fd);
}

static void add_us(struct timespec *t, int64_t us)
{
	const int64_t all = t->tv_sec * INT64_C(1000000) + t->tv_nsec / 1000 + us;

	t->tv_nsec = all % US * 1000 + t->tv_nsec % 1000;
	t->tv_sec = all / US;
}

static void slow_disk(void)
{
	const int64_t us = page != NULL ? page[0] : 0;

	if (us > 0)
		(void)nanosleep(&(struct timespec){us / US, us % US * 1000}, NULL);
}

int fsync(int fd)
{
	pthread_once(&once, find_functions);
	slow_disk();
	return real_fsync(fd);
}

int fdatasync(int fd)
{
	pthread_once(&once, find_functions);
	slow_disk();
	return real_fdatasync(fd);
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
	int result;

	pthread_once(&once, find_functions);
	result = real_clock_gettime(clock, t);
	if (result == 0 && clock == CLOCK_REALTIME && page != NULL)
		add_us(t, page[1]);
	return result;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
	struct timespec now;

	(void)zone;
	if (clock_gettime(CLOCK_REALTIME, &now) != 0)
		return -1;
	*t = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
	return 0;
}

time_t time(time_t *t)
{
	struct timespec now;

	if (clock_gettime(CLOCK_REALTIME, &now) != 0)
		return (time_t)-1;
	if (t != NULL)
		*t = now.tv_sec;
	return now.tv_sec;
}

int pthread_cond_timedwait(pthread_cond_t *restrict c, pthread_mutex_t *restrict m,
                           const struct timespec *restrict until)
{
	struct timespec t = *until;

	pthread_once(&once, find_functions);
	if (page != NULL && t.tv_sec > REAL_TIME_FROM)
		add_us(&t, -page[1]);
	return real_timedwait(c, m, &t);
}
