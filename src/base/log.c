#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/unset.h"

#define LOG_HALF_BYTES ((size_t)32 * 1024)
#define LOG_LINE_MAX ((size_t)8 * 1024)
#define LOG_VALUE_MAX ((size_t)1024) /* as written, escapes included */
#define LOG_TAIL ((size_t)8)         /* kept free until the line's end: " cut=1" and a line feed */
#define LOG_FILE_MODE 0640
#define LOG_PATIENCE_MS 1000 /* for a non-blocking descriptor that takes nothing */

/*
 * 64 KiB in two halves: one collects lines while the other is written without the lock.  So a slow
 * disk or reader stops one thread and not all.  Lines for which neither half has room are dropped
 * and counted.  The count is written as soon as writing works again.
 */
static struct {
	struct lock lock;
	struct signal_cond written; /* writing became false */
	char path[PATH_MAX];        /* "" for standard error */
	int fd;                     /* changed only while not writing */
	char halves[2][LOG_HALF_BYTES];
	size_t lengths[2];
	int active;   /* the half that collects */
	bool writing; /* a thread is writing the other half */
	bool again;   /* that thread shall write once more */
	bool torn;    /* the last write ended within a line */
	int64_t dropped;
} out = {
	.lock = {.mutex = PTHREAD_MUTEX_INITIALIZER},
	.written = {.cond = PTHREAD_COND_INITIALIZER},
	.fd = STDERR_FILENO,
};

/* Read without the lock. */
static enum log_level out_level = LOG_LEVEL_INFO;

/* A line on the stack of the thread that logs. */
struct line {
	char bytes[LOG_LINE_MAX];
	size_t length;
	bool cut;
};

/* All of the bytes or none, so that no escape is cut in two. */
static bool line_put(struct line *l, const char *bytes, size_t length, size_t limit)
{
	if (l->length > limit || length > limit - l->length) {
		l->cut = true;
		return false;
	}
	memcpy(l->bytes + l->length, bytes, length);
	l->length += length;
	return true;
}

static bool is_name_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
	       c == '-';
}

/* Keys and events are literals of the program; a name that is not one could still forge nothing. */
static void line_name(struct line *l, const char *name)
{
	for (; *name != '\0'; name++) {
		if (!line_put(l, is_name_character(*name) ? name : "_", 1, LOG_LINE_MAX - LOG_TAIL))
			return;
	}
}

/* One character of a value: printable ASCII unchanged, any other byte as an escape. */
static bool line_character(struct line *l, unsigned char c, size_t limit)
{
	char escape[8];

	if (c == '"' || c == '\\')
		return line_put(l, (const char[]){'\\', (char)c}, 2, limit);
	if (c >= ' ' && c <= '~')
		return line_put(l, (const char *)&c, 1, limit);
	if (c == '\n')
		return line_put(l, "\\n", 2, limit);
	snprintf(escape, sizeof(escape), "\\x%02x", c);
	return line_put(l, escape, 4, limit);
}

static void line_text(struct line *l, const char *text)
{
	size_t limit = LOG_LINE_MAX - LOG_TAIL - 1; /* the closing quote has its place */

	line_put(l, "\"", 1, limit);
	if (limit - l->length > LOG_VALUE_MAX)
		limit = l->length + LOG_VALUE_MAX;
	while (*text != '\0' && line_character(l, (unsigned char)*text, limit))
		text++;
	line_put(l, "\"", 1, limit + 1);
}

static void line_number(struct line *l, int64_t number)
{
	char digits[24];
	int length = snprintf(digits, sizeof(digits), "%lld", (long long)number);

	line_put(l, digits, (size_t)length, LOG_LINE_MAX - LOG_TAIL);
}

static const char *const level_names[] = {"error", "warning", "info", "debug"};

enum log_level log_level_named(const char *name)
{
	for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++)
		if (strcmp(level_names[i], name) == 0)
			return (enum log_level)i;
	UNREACHABLE("the configuration knows the levels");
}

static void line_start(struct line *l, enum log_level level, const char *event)
{
	char time[CLOCK_RFC3339_MAX];

	l->length = 0;
	l->cut = false;
	clock_format(clock_wall_us(), time);
	line_put(l, "time=", 5, LOG_LINE_MAX);
	line_put(l, time, strlen(time), LOG_LINE_MAX);
	line_put(l, " level=", 7, LOG_LINE_MAX);
	line_put(l, level_names[level], strlen(level_names[level]), LOG_LINE_MAX);
	line_put(l, " event=", 7, LOG_LINE_MAX);
	line_name(l, event);
}

static void line_field(struct line *l, const struct log_field *field)
{
	/* Room for the key, the signs around it and the longest number, or for nothing of it. */
	CHECK(l->length <= LOG_LINE_MAX - LOG_TAIL);
	if (strlen(field->key) + 32 > LOG_LINE_MAX - LOG_TAIL - l->length) {
		l->cut = true;
		return;
	}
	line_put(l, " ", 1, LOG_LINE_MAX);
	line_name(l, field->key);
	line_put(l, "=", 1, LOG_LINE_MAX);
	if (field->text != NULL)
		line_text(l, field->text);
	else
		line_number(l, field->number);
}

static void line_end(struct line *l)
{
	if (l->cut)
		line_put(l, " cut=1", 6, LOG_LINE_MAX);
	line_put(l, "\n", 1, LOG_LINE_MAX);
	CHECK(l->bytes[l->length - 1] == '\n');
}

/* Returns how many bytes were taken. */
static size_t write_all(int fd, const char *bytes, size_t length)
{
	size_t done = 0;

	while (done < length) {
		ssize_t taken = write(fd, bytes + done, length - done);

		if (taken > 0) {
			done += (size_t)taken;
			continue;
		}
		if (taken < 0 && errno == EINTR)
			continue;
		if (taken < 0 && errno == EAGAIN) {
			struct pollfd wait = {.fd = fd, .events = POLLOUT};

			if (poll(&wait, 1, LOG_PATIENCE_MS) > 0)
				continue;
		}
		break;
	}
	return done;
}

static int64_t count_lines(const char *bytes, size_t length)
{
	int64_t lines = 0;

	for (size_t i = 0; i < length; i++)
		lines += bytes[i] == '\n' ? 1 : 0;
	return lines;
}

/* Returns how many lines were lost.  For the thread that set out.writing only, without the lock. */
static int64_t write_lines(const char *bytes, size_t length)
{
	size_t taken;

	if (out.torn && write_all(out.fd, "\n", 1) != 1)
		return count_lines(bytes, length);
	taken = write_all(out.fd, bytes, length);
	out.torn = taken > 0 && bytes[taken - 1] != '\n';
	return count_lines(bytes + taken, length - taken);
}

/* Writes a line with the number of lines dropped before, and the half; gives the lock meanwhile. */
static void write_half(int half)
{
	int64_t said = out.dropped;
	int64_t lost;
	UNSET struct line notice;

	lock_give(&out.lock);
	if (said > 0) {
		line_start(&notice, LOG_LEVEL_WARNING, "log_lines_dropped");
		line_field(&notice, &(const struct log_field)LOG_NUMBER("count", said));
		line_end(&notice);
		if (write_lines(notice.bytes, notice.length) > 0)
			said = 0;
	}
	lost = write_lines(out.halves[half], out.lengths[half]);
	lock_take(&out.lock);
	out.dropped += lost - said;
	out.lengths[half] = 0;
}

/* Writes the collected lines; gives the lock meanwhile.  No other thread may be writing. */
static void write_out(void)
{
	lock_assert_held(&out.lock);
	CHECK(!out.writing);
	out.writing = true;
	do {
		out.again = false;
		out.active = 1 - out.active;
		CHECK(out.lengths[out.active] == 0);
		write_half(1 - out.active);
	} while (out.again);
	out.writing = false;
	cond_broadcast(&out.written);
}

/* Writes the collected lines; returns with the lock held and no thread writing. */
static void drain(void)
{
	lock_assert_held(&out.lock);
	while (out.writing)
		cond_wait_until(&out.written, &out.lock, -1);
	if (out.lengths[out.active] > 0 || out.dropped > 0)
		write_out();
}

static int open_path(const char *path)
{
	if (path[0] == '\0')
		return STDERR_FILENO;
	return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, LOG_FILE_MODE);
}

/* Takes fd in place of the one in use. */
static void replace_fd(int fd)
{
	lock_assert_held(&out.lock);
	CHECK(!out.writing);
	if (out.fd != STDERR_FILENO)
		close(out.fd);
	out.fd = fd;
	out.torn = false;
}

int log_open(const char *path, enum log_level level)
{
	const char *name = path == NULL || strcmp(path, "stderr") == 0 ? "" : path;
	int fd;

	if (strlen(name) >= sizeof(out.path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = open_path(name);
	if (fd < 0)
		return -1;
	lock_take(&out.lock);
	drain();
	replace_fd(fd);
	memcpy(out.path, name, strlen(name) + 1);
	__atomic_store_n(&out_level, level, __ATOMIC_RELAXED);
	lock_give(&out.lock);
	return 0;
}

int log_reopen(void)
{
	int fd;
	int saved_errno;

	lock_take(&out.lock);
	drain();
	fd = open_path(out.path);
	saved_errno = errno;
	if (fd >= 0)
		replace_fd(fd);
	lock_give(&out.lock);
	errno = saved_errno;
	return fd >= 0 ? 0 : -1;
}

void log_flush(void)
{
	lock_take(&out.lock);
	drain();
	lock_give(&out.lock);
}

/* The lock is held; it is given while a half that is full is written. */
static void collect(const struct line *l)
{
	size_t *length;

	if (l->length > LOG_HALF_BYTES - out.lengths[out.active] && !out.writing)
		write_out();
	length = &out.lengths[out.active];
	if (l->length > LOG_HALF_BYTES - *length) {
		out.dropped++;
		return;
	}
	memcpy(out.halves[out.active] + *length, l->bytes, l->length);
	*length += l->length;
}

void log_event_fields(enum log_level level, const char *event, const struct log_field *fields, int count)
{
	UNSET struct line l;

	CHECK(count >= 0 && count <= LOG_EVENT_FIELDS_MAX);
	if (level > __atomic_load_n(&out_level, __ATOMIC_RELAXED))
		return;
	line_start(&l, level, event);
	for (int i = 0; i < count; i++)
		line_field(&l, &fields[i]);
	line_end(&l);
	lock_take(&out.lock);
	collect(&l);
	if (level == LOG_LEVEL_ERROR) {
		if (out.writing)
			out.again = true; /* the thread that writes now will write this line next */
		else
			write_out();
	}
	lock_give(&out.lock);
}
