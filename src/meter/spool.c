#define _GNU_SOURCE
#include "meter/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/memory.h"
#include "meter/tally.h"

#define FILES 2
#define PATH_BYTES 512
#define HOLD_BYTES 64
#define LINE_BYTES (TALLY_SETTLEMENT_MAX + 64)
#define BATCH_BYTES ((size_t)96 * 1024) /* octroi takes bodies of 128 KiB */
#define BATCH_COUNT 100
#define BATCHES_MAX 4
/* So long after the first one, settlements are gathered: they share a wait for the disk, and a request to octroi. */
#define GATHER_US (2 * CLOCK_US_PER_MS)
#define REPEAT_US (5 * CLOCK_US_PER_SECOND)
#define STATUS_REFUSED 400

/* A settlement, from spool_add to octroi's answer. */
struct settlement {
	struct settlement *next;
	struct settlement *older, *newer; /* of all */
	int file;                         /* that has its line; -1: none */
	bool asked, reduced;
	char hold[HOLD_BYTES];
	size_t length;
	char text[]; /* JSON */
};

struct spool_file {
	int fd;
	int64_t bytes, open; /* open: settlements without an answer */
};

struct batch_of_settlements {
	struct spool *spool;
	struct settlement *list[BATCH_COUNT];
	int count;
};

struct spool {
	char path[PATH_BYTES];
	struct loop *loop;
	struct asker *asker;
	struct spool_file files[FILES];
	int active;
	struct settlement *first, *last; /* on the disk, or refused by it; in order */
	struct settlement *newest;       /* of all, also of those that the thread has */
	int64_t depth;
	int batches;
	int64_t next_us; /* not before that is octroi asked again; 0: at once */
	bool failed;     /* the disk refused the last line */
	struct loop_source woken;
	pthread_t thread;
	bool started;
	struct lock lock;
	/* Under the lock. */
	struct signal_cond call;
	struct settlement *written, *written_last; /* in the file, not yet on the disk */
	struct settlement *synced, *synced_last;   /* on the disk, for the loop's thread */
	bool unsynced[FILES];                      /* has lines that are not on the disk */
	bool stopping;
};

static void append_settlement(struct settlement **first, struct settlement **last, struct settlement *more)
{
	if (more == NULL)
		return;
	if (*first == NULL)
		*first = more;
	else
		(*last)->next = more;
	while (more->next != NULL)
		more = more->next;
	*last = more;
}

static struct settlement *new_settlement(struct spool *s, const char *hold, const char *text, size_t length, int file)
{
	struct settlement *one = memory_part("settlement", sizeof(*one) + length + 1);

	if (one == NULL)
		return NULL;
	one->file = file;
	(void)snprintf(one->hold, sizeof(one->hold), "%s", hold);
	one->length = length;
	memcpy(one->text, text, length);
	one->older = s->newest;
	if (s->newest != NULL)
		s->newest->newer = one;
	s->newest = one;
	return one;
}

static void free_settlement(struct spool *s, struct settlement *gone)
{
	if (gone->older != NULL)
		gone->older->newer = gone->newer;
	if (gone->newer != NULL)
		gone->newer->older = gone->older;
	else
		s->newest = gone->older;
	free(gone);
}

/* ---- files ----------------------------------------------------------------------------------- */

static int complain_spool(const struct spool *s, const char *step)
{
	log_event(LOG_LEVEL_ERROR, "spool_failed", LOG_TEXT("file", s->path), LOG_TEXT("step", step),
	          LOG_TEXT("error", strerror(errno)));
	return -1;
}

/* Keeps the settlement of one line of before.  A line that was cut, or is none, is left out: it never left. */
static void read_spool_line(struct spool *s, int file, const char *line, size_t length)
{
	char error[JSON_ERROR_MAX];
	struct json *entry = json_parse(line, length, false, error);
	const struct json *settlement = entry != NULL ? json_get(entry, "settlement") : NULL;
	const struct json *hold = settlement != NULL ? json_get(settlement, "hold") : NULL;
	struct settlement *one = NULL;
	struct buf text;

	buf_init(&text, LINE_BYTES);
	if (hold != NULL && json_type(hold) == JSON_TEXT) {
		json_dump(settlement, &text);
		if (buf_ok(&text))
			one = new_settlement(s, json_text(hold, NULL), text.data, text.length, file);
	}
	if (one != NULL) {
		append_settlement(&s->first, &s->last, one);
		s->files[file].open++;
		s->depth++;
	} else {
		log_event(LOG_LEVEL_ERROR, "spool_line_dropped", LOG_TEXT("file", s->path));
	}
	buf_free(&text);
	json_free(entry);
}

static int read_file_of(struct spool *s, int file)
{
	int64_t bytes = s->files[file].bytes;
	char *content = malloc(bytes > 0 ? (size_t)bytes : 1);
	ssize_t count = -1;

	if (content != NULL)
		count = pread(s->files[file].fd, content, (size_t)bytes, 0);
	if (count != bytes) {
		free(content);
		return complain_spool(s, "read");
	}
	for (int64_t at = 0; at < bytes;) {
		const char *end = memchr(content + at, '\n', (size_t)(bytes - at));
		const int64_t length = end != NULL ? end - (content + at) : bytes - at;

		if (length > 0)
			read_spool_line(s, file, content + at, (size_t)length);
		at += length + 1;
	}
	/* A line that was cut would spoil the next one. */
	while (bytes > 0 && content[bytes - 1] != '\n')
		bytes--;
	free(content);
	if (bytes < s->files[file].bytes && ftruncate(s->files[file].fd, bytes) < 0)
		return complain_spool(s, "truncate");
	s->files[file].bytes = bytes;
	return 0;
}

static int open_file(struct spool *s, int file)
{
	char path[PATH_BYTES + 4];
	struct stat status;
	int fd;

	(void)snprintf(path, sizeof(path), "%s%s", s->path, file == 0 ? "" : ".2");
	fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	s->files[file].fd = fd;
	if (fd < 0)
		return complain_spool(s, "open");
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return complain_spool(s, "lock");
	if (fstat(fd, &status) < 0 || status.st_size > 2 * SPOOL_FILE_BYTES)
		return complain_spool(s, "size");
	s->files[file].bytes = status.st_size;
	return read_file_of(s, file);
}

/* Empties a file whose settlements are all answered. */
static void empty_file(struct spool *s, int file)
{
	if (s->files[file].open > 0 || s->files[file].bytes == 0)
		return;
	if (ftruncate(s->files[file].fd, 0) < 0) {
		(void)complain_spool(s, "truncate");
		return;
	}
	s->files[file].bytes = 0;
}

/* Makes the other file the active one, if that is empty and this one is long. */
static void take_turns(struct spool *s)
{
	const int other = 1 - s->active;

	if (s->files[s->active].bytes > SPOOL_TURN_BYTES && s->files[other].bytes == 0)
		s->active = other;
}

struct spool *spool_open(const char *path)
{
	struct spool *s = memory_part("spool", sizeof(*s));

	if (s == NULL)
		return NULL;
	(void)snprintf(s->path, sizeof(s->path), "%s", path);
	lock_init(&s->lock);
	cond_init(&s->call);
	s->files[0].fd = s->files[1].fd = -1;
	if (open_file(s, 0) == 0 && open_file(s, 1) == 0) {
		s->active = s->files[1].bytes > 0 && s->files[0].bytes > s->files[1].bytes ? 1 : 0;
		return s;
	}
	spool_close(s);
	return NULL;
}

bool spool_ready(const struct spool *s)
{
	return !s->failed && s->files[s->active].bytes < SPOOL_FILE_BYTES;
}

bool spool_has(const struct spool *s, const char *hold)
{
	for (const struct settlement *one = s->newest; one != NULL; one = one->older)
		if (strcmp(one->hold, hold) == 0)
			return true;
	return false;
}

int64_t spool_depth(const struct spool *s)
{
	return s->depth;
}

/* ---- the thread that waits for the disk ------------------------------------------------------ */

/* Waits for settlements, and for those that soon follow. */
static void gather_settlements(struct spool *s)
{
	int64_t end_us;

	lock_assert_held(&s->lock);
	while (s->written == NULL && !s->stopping)
		(void)cond_wait_until(&s->call, &s->lock, -1);
	end_us = clock_monotonic_us() + GATHER_US;
	while (!s->stopping && clock_monotonic_us() < end_us)
		(void)cond_wait_until(&s->call, &s->lock, end_us);
}

/* Brings the lines that were written to the disk; the lock is given up meanwhile. */
static void sync_files(struct spool *s)
{
	bool unsynced[FILES];

	lock_assert_held(&s->lock);
	memcpy(unsynced, s->unsynced, sizeof(unsynced));
	memset(s->unsynced, 0, sizeof(s->unsynced));
	lock_give(&s->lock);
	for (int i = 0; i < FILES; i++)
		if (unsynced[i] && fdatasync(s->files[i].fd) < 0)
			(void)complain_spool(s, "sync");
	lock_take(&s->lock);
}

static void *sync_settlements(void *context)
{
	struct spool *s = context;
	const uint64_t one = 1;

	lock_take(&s->lock);
	while (!s->stopping || s->written != NULL) {
		struct settlement *list;

		gather_settlements(s);
		list = s->written;
		s->written = s->written_last = NULL;
		sync_files(s);
		append_settlement(&s->synced, &s->synced_last, list);
		if (write(s->woken.fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
			(void)complain_spool(s, "wake");
	}
	lock_give(&s->lock);
	return NULL;
}

/* ---- sending --------------------------------------------------------------------------------- */

static void send_settlements(struct spool *s);

static void take_settlement_out(struct spool *s, struct settlement *gone)
{
	struct settlement *before = NULL;

	for (struct settlement *one = s->first; one != gone; one = one->next) {
		CHECK(one != NULL);
		before = one;
	}
	if (before == NULL)
		s->first = gone->next;
	else
		before->next = gone->next;
	if (s->last == gone)
		s->last = before;
	s->depth--;
	if (gone->file >= 0) {
		s->files[gone->file].open--;
		CHECK(s->files[gone->file].open >= 0);
		empty_file(s, gone->file);
	}
	free_settlement(s, gone);
}

/* A usage that octroi refuses is not free: the reservation is charged. */
static void reduce(struct settlement *one)
{
	struct buf text;

	buf_init(&text, LINE_BYTES);
	tally_reservation(one->hold, &text);
	log_event(LOG_LEVEL_WARNING, "usage_refused", LOG_TEXT("hold", one->hold));
	if (buf_ok(&text) && text.length <= one->length) {
		memcpy(one->text, text.data, text.length + 1);
		one->length = text.length;
	}
	one->reduced = true;
	buf_free(&text);
}

/* Takes octroi's answer about one settlement.  True if the answer is final. */
static bool take_settlement_result(struct settlement *one, int64_t status)
{
	if (status == STATUS_REFUSED && !one->reduced) {
		reduce(one);
		return false;
	}
	if (status == 200)
		return true;
	if (status == 400 || status == 404 || status == 409) {
		log_event(LOG_LEVEL_ERROR, "settlement_refused", LOG_TEXT("hold", one->hold),
		          LOG_NUMBER("status", status));
		return true;
	}
	return false;
}

static void batch_done(void *context, int status, const struct json *answer)
{
	struct batch_of_settlements *b = context;
	struct spool *s = b->spool;
	const struct json *results = status == 200 && answer != NULL ? json_get(answer, "results") : NULL;
	bool all = true;

	s->batches--;
	if (results != NULL && (json_type(results) != JSON_LIST || json_size(results) != (size_t)b->count))
		results = NULL;
	for (int i = 0; i < b->count; i++) {
		struct settlement *one = b->list[i];
		const bool was_reduced = one->reduced;
		const bool final = results != NULL &&
		                   take_settlement_result(one, json_get_int(json_at(results, (size_t)i), "status", 0));

		one->asked = false;
		all = all && (final || one->reduced != was_reduced);
		if (final)
			take_settlement_out(s, one);
	}
	free(b);
	s->next_us = all ? 0 : clock_monotonic_us() + REPEAT_US;
	if (!all)
		log_event(LOG_LEVEL_WARNING, "settle_later", LOG_NUMBER("status", status),
		          LOG_NUMBER("depth", s->depth));
	send_settlements(s);
}

/* Fills the batch with settlements that octroi is not being asked about, and its request. */
static void fill_batch(struct spool *s, struct batch_of_settlements *b, struct buf *body)
{
	buf_add_text(body, "{\"settlements\":[");
	for (struct settlement *one = s->first; one != NULL && b->count < BATCH_COUNT; one = one->next) {
		if (one->asked || body->length + one->length + 3 > BATCH_BYTES)
			continue;
		if (b->count > 0)
			buf_add_char(body, ',');
		buf_add(body, one->text, one->length);
		one->asked = true;
		b->list[b->count++] = one;
	}
	buf_add_text(body, "]}");
}

/* False when there was nothing to send, or it could not be sent. */
static bool send_batch(struct spool *s)
{
	struct batch_of_settlements *b = memory_part("batch", sizeof(*b));
	struct buf body;
	bool sent;

	if (b == NULL)
		return false;
	b->spool = s;
	buf_init(&body, BATCH_BYTES + 16);
	fill_batch(s, b, &body);
	sent = b->count > 0 && buf_ok(&body) && asker_ask(s->asker, "/api/guard/settle", &body, batch_done, b) != NULL;
	buf_free(&body);
	if (sent) {
		s->batches++;
		return true;
	}
	for (int i = 0; i < b->count; i++)
		b->list[i]->asked = false;
	free(b);
	return false;
}

static void send_settlements(struct spool *s)
{
	if (s->asker == NULL || clock_monotonic_us() < s->next_us)
		return;
	while (s->batches < BATCHES_MAX && send_batch(s))
		continue;
}

/* The disk has taken settlements. */
static void disk_ready(struct loop_source *source, uint32_t events)
{
	struct spool *s = (struct spool *)((char *)source - offsetof(struct spool, woken));
	uint64_t count;

	(void)events;
	(void)!read(source->fd, &count, sizeof(count));
	lock_take(&s->lock);
	append_settlement(&s->first, &s->last, s->synced);
	s->synced = s->synced_last = NULL;
	lock_give(&s->lock);
	send_settlements(s);
}

/* Tries whether the disk takes bytes again: a blank line is none. */
static void try_disk(struct spool *s)
{
	struct spool_file *file = &s->files[s->active];

	if (write(file->fd, "\n", 1) != 1)
		return;
	file->bytes++;
	s->failed = false;
}

void spool_tick(struct spool *s)
{
	if (s->failed)
		try_disk(s);
	send_settlements(s);
}

/* ---- taking ---------------------------------------------------------------------------------- */

/* True if the line is in the file.  A part of a line is taken back. */
static bool write_settlement(struct spool *s, const char *settlement, size_t length)
{
	struct spool_file *file = &s->files[s->active];
	struct buf line;
	bool whole;

	buf_init(&line, LINE_BYTES);
	buf_printf(&line, "{\"at\":%lld,\"settlement\":", (long long)(clock_wall_us() / CLOCK_US_PER_SECOND));
	buf_add(&line, settlement, length);
	buf_add_text(&line, "}\n");
	CHECK(buf_ok(&line));
	whole = write(file->fd, line.data, line.length) == (ssize_t)line.length;
	if (whole)
		file->bytes += (int64_t)line.length;
	else if (complain_spool(s, "write") < 0 && ftruncate(file->fd, file->bytes) < 0)
		(void)complain_spool(s, "truncate");
	buf_free(&line);
	s->failed = !whole;
	return whole;
}

void spool_add(struct spool *s, const char *hold, const char *settlement, size_t length)
{
	struct settlement *one;
	bool written, is_first;

	CHECK(s->started && length <= TALLY_SETTLEMENT_MAX);
	take_turns(s);
	written = write_settlement(s, settlement, length);
	one = new_settlement(s, hold, settlement, length, written ? s->active : -1);
	if (written)
		s->files[s->active].open++;
	if (one == NULL)
		return; /* logged; the file keeps the line, which is sent after the next start */
	s->depth++;
	lock_take(&s->lock);
	is_first = s->written == NULL;
	append_settlement(&s->written, &s->written_last, one);
	if (written)
		s->unsynced[one->file] = true;
	if (is_first)
		cond_signal(&s->call);
	lock_give(&s->lock);
}

/* ---- start and end --------------------------------------------------------------------------- */

int spool_start(struct spool *s, struct loop *l, struct asker *asker)
{
	s->loop = l;
	s->asker = asker;
	s->woken = (struct loop_source){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .ready = disk_ready};
	if (s->woken.fd < 0 || loop_watch(l, &s->woken, EPOLLIN) < 0)
		return complain_spool(s, "watch");
	if (pthread_create(&s->thread, NULL, sync_settlements, s) != 0)
		return complain_spool(s, "thread");
	s->started = true;
	if (s->depth > 0)
		log_event(LOG_LEVEL_INFO, "spool_read", LOG_NUMBER("settlements", s->depth));
	return 0;
}

void spool_close(struct spool *s)
{
	if (s == NULL)
		return;
	if (s->started) {
		lock_take(&s->lock);
		s->stopping = true;
		cond_signal(&s->call);
		lock_give(&s->lock);
		CHECK(pthread_join(s->thread, NULL) == 0);
		(void)loop_watch(s->loop, &s->woken, 0);
		close(s->woken.fd);
	}
	while (s->newest != NULL)
		free_settlement(s, s->newest);
	for (int i = 0; i < FILES; i++)
		if (s->files[i].fd >= 0)
			close(s->files[i].fd);
	cond_destroy(&s->call);
	lock_destroy(&s->lock);
	free(s);
}
