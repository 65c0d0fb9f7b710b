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
#include "base/id.h"
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
#define BOOKINGS_MAX 8
#define BOOK_REPEAT_US (2 * CLOCK_US_PER_SECOND) /* by one booking, until octroi answers */
/* So long after the first one, settlements are gathered: they share a wait for the disk, and a request to octroi. */
#define GATHER_US (2 * CLOCK_US_PER_MS)
#define REPEAT_US (5 * CLOCK_US_PER_SECOND)
#define STATUS_REFUSED 400

/* A settlement or a booking, from spool_add or spool_book to octroi's answer. */
struct entry {
	struct spool *spool;
	struct entry *next;
	struct entry *older, *newer; /* of all */
	int file;                    /* that has its line; -1: none */
	bool asked, reduced;
	bool synced;           /* the disk has its line */
	struct entry *booking; /* of a settlement whose hold is a booking's name; else NULL */
	/* Of a booking. */
	bool is_booking, refused;
	int settlements;         /* that wait for it */
	int64_t micros;          /* of the grace */
	char booked[HOLD_BYTES]; /* octroi's hold; "" before its answer */
	char hold[HOLD_BYTES];   /* the booking's name */
	size_t length;
	char text[]; /* JSON */
};

struct spool_file {
	int fd;
	int64_t bytes, open; /* open: settlements without an answer */
};

/* Settlements that octroi is asked about together. */
struct batch_of_settlements {
	struct spool *spool;
	struct entry *list[BATCH_COUNT];
	int count; /* 0: free */
};

struct spool {
	char path[PATH_BYTES];
	struct loop *loop;
	struct asker *asker;
	struct spool_file files[FILES];
	int active;
	struct entry *first, *last; /* on the disk, or refused by it; in order */
	struct entry *newest;       /* of all, also of those that the thread has */
	int64_t depth;
	struct batch_of_settlements batches[BATCHES_MAX];
	int bookings;                      /* that octroi is asked about */
	int64_t next_us, book_us;          /* not before that is octroi asked again; 0: at once */
	int64_t unbooked, unbooked_micros; /* bookings without an answer */
	bool book_failed;                  /* octroi did not answer the last booking */
	struct spool_events events;
	bool failed; /* the disk refused the last line */
	struct loop_source woken;
	pthread_t thread;
	bool started;
	struct lock lock;
	/* Under the lock. */
	struct signal_cond call;
	struct entry *written, *written_last; /* in the file, not yet on the disk */
	struct entry *synced, *synced_last;   /* on the disk, for the loop's thread */
	bool unsynced[FILES];                 /* has lines that are not on the disk */
	bool stopping;
};

static void append_entry(struct entry **first, struct entry **last, struct entry *more)
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

static struct entry *new_entry(struct spool *s, const char *hold, const char *text, size_t length, int file)
{
	struct entry *one = memory_part("settlement", sizeof(*one) + length + 1);

	if (one == NULL)
		return NULL;
	one->spool = s;
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

static void free_entry(struct spool *s, struct entry *gone)
{
	if (gone->older != NULL)
		gone->older->newer = gone->newer;
	if (gone->newer != NULL)
		gone->newer->older = gone->older;
	else
		s->newest = gone->older;
	free(gone);
}

/* ---- bookings -------------------------------------------------------------------------------- */

/* octroi's ids of holds are shorter than a booking's name. */
bool spool_is_booking(const char *hold)
{
	return strlen(hold) >= ID_PUBLIC_MAX && strncmp(hold, SPOOL_BOOKING, strlen(SPOOL_BOOKING)) == 0;
}

static struct entry *find_booking(const struct spool *s, const char *name)
{
	for (struct entry *one = s->newest; one != NULL; one = one->older)
		if (one->is_booking && strcmp(one->hold, name) == 0)
			return one;
	return NULL;
}

static int64_t used_micros(const struct json *booking)
{
	return json_get_int(json_get(json_get(booking, "grace"), "used"), "micros", 0);
}

static void count_booking(struct spool *s, const struct entry *booking, int more)
{
	s->unbooked += more;
	s->unbooked_micros += more * booking->micros;
	CHECK(s->unbooked >= 0 && s->unbooked_micros >= 0);
}

/* Makes the entry of a booking.  NULL: it is none, or memory is short. */
static struct entry *new_booking(struct spool *s, const char *text, size_t length, int file)
{
	char error[JSON_ERROR_MAX], name[HOLD_BYTES];
	struct json *booking = json_parse(text, length, false, error);
	const char *id = booking != NULL ? json_get_text(booking, "requestId") : "";
	struct entry *one = NULL;

	(void)snprintf(name, sizeof(name), SPOOL_BOOKING "%s", id);
	if (spool_is_booking(name) && used_micros(booking) >= 0)
		one = new_entry(s, name, text, length, file);
	if (one != NULL) {
		one->is_booking = true;
		one->micros = used_micros(booking);
		count_booking(s, one, 1);
	}
	json_free(booking);
	return one;
}

/* True if the settlement's text begins with its hold, which is replaced by octroi's own when it is sent. */
static bool begins_with_hold(const struct entry *one)
{
	char beginning[HOLD_BYTES + 16];

	(void)snprintf(beginning, sizeof(beginning), "{\"hold\":\"%s\"", one->hold);
	return strncmp(one->text, beginning, strlen(beginning)) == 0;
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
	const struct json *booking = json_get(entry, "booking");
	const struct json *settlement = json_get(entry, "settlement");
	const struct json *hold = json_get(settlement, "hold");
	struct entry *one = NULL;
	struct buf text;

	buf_init(&text, LINE_BYTES);
	if (booking != NULL)
		json_dump(booking, &text);
	else if (hold != NULL && json_type(hold) == JSON_TEXT)
		json_dump(settlement, &text);
	if (booking != NULL && buf_ok(&text) && text.length > 0)
		one = new_booking(s, text.data, text.length, file);
	else if (buf_ok(&text) && text.length > 0)
		one = new_entry(s, json_text(hold, NULL), text.data, text.length, file);
	if (one != NULL) {
		append_entry(&s->first, &s->last, one);
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

static void take_entry_out(struct spool *s, struct entry *gone);

/* Joins the settlements of before to their bookings.  A booking stays in its file until all of its settlements are
 * answered, so that a settlement without one was answered before. */
static void join_bookings(struct spool *s)
{
	for (struct entry *one = s->first, *next; one != NULL; one = next) {
		next = one->next;
		if (one->is_booking || !spool_is_booking(one->hold))
			continue;
		one->booking = begins_with_hold(one) ? find_booking(s, one->hold) : NULL;
		if (one->booking != NULL)
			one->booking->settlements++;
		else
			take_entry_out(s, one);
	}
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
		join_bookings(s);
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
	for (const struct entry *one = s->newest; one != NULL; one = one->older)
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

/* Brings the lines that were written to the disk; the lock is given up meanwhile.  False when the disk refuses. */
static bool sync_files(struct spool *s)
{
	bool unsynced[FILES], done = true;

	lock_assert_held(&s->lock);
	memcpy(unsynced, s->unsynced, sizeof(unsynced));
	memset(s->unsynced, 0, sizeof(s->unsynced));
	lock_give(&s->lock);
	for (int i = 0; i < FILES; i++)
		if (unsynced[i] && fdatasync(s->files[i].fd) < 0)
			done = complain_spool(s, "sync") == 0;
	lock_take(&s->lock);
	return done;
}

static void *sync_settlements(void *context)
{
	struct spool *s = context;
	const uint64_t one = 1;

	lock_take(&s->lock);
	while (!s->stopping || s->written != NULL) {
		struct entry *list;
		bool done;

		gather_settlements(s);
		list = s->written;
		s->written = s->written_last = NULL;
		done = sync_files(s);
		for (struct entry *e = list; e != NULL; e = e->next)
			e->synced = done;
		append_entry(&s->synced, &s->synced_last, list);
		if (write(s->woken.fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
			(void)complain_spool(s, "wake");
	}
	lock_give(&s->lock);
	return NULL;
}

/* ---- sending --------------------------------------------------------------------------------- */

static void send_entries(struct spool *s);

static void take_entry_out(struct spool *s, struct entry *gone)
{
	struct entry *before = NULL, *booking = gone->booking;

	CHECK(gone->settlements == 0);
	for (struct entry *one = s->first; one != gone; one = one->next) {
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
	free_entry(s, gone);
	if (booking == NULL)
		return;
	booking->settlements--;
	if (booking->settlements == 0 && (booking->refused || booking->booked[0] != '\0'))
		take_entry_out(s, booking);
}

/* A usage that octroi refuses is not free: the reservation is charged. */
static void reduce(struct entry *one)
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
static bool take_settlement_result(struct entry *one, int64_t status)
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

	if (results != NULL && (json_type(results) != JSON_LIST || json_size(results) != (size_t)b->count))
		results = NULL;
	for (int i = 0; i < b->count; i++) {
		struct entry *one = b->list[i];
		const bool was_reduced = one->reduced;
		const bool final = results != NULL &&
		                   take_settlement_result(one, json_get_int(json_at(results, (size_t)i), "status", 0));

		one->asked = false;
		all = all && (final || one->reduced != was_reduced);
		if (final)
			take_entry_out(s, one);
	}
	b->count = 0;
	s->next_us = all ? 0 : clock_monotonic_us() + REPEAT_US;
	if (!all)
		log_event(LOG_LEVEL_WARNING, "settle_later", LOG_NUMBER("status", status),
		          LOG_NUMBER("depth", s->depth));
	send_entries(s);
}

/* False for a booking, and for a settlement that waits for one. */
static bool is_settleable(const struct entry *one)
{
	return !one->is_booking && (one->booking == NULL || one->booking->booked[0] != '\0');
}

static void put_entry(const struct entry *one, struct buf *body)
{
	const size_t beginning = strlen("{\"hold\":\"") + strlen(one->hold);

	if (one->booking == NULL) {
		buf_add(body, one->text, one->length);
		return;
	}
	CHECK(begins_with_hold(one));
	buf_printf(body, "{\"hold\":\"%s", one->booking->booked);
	buf_add(body, one->text + beginning, one->length - beginning);
}

/* Fills the batch with settlements that octroi is not being asked about, and its request. */
static void fill_batch(struct spool *s, struct batch_of_settlements *b, struct buf *body)
{
	buf_add_text(body, "{\"settlements\":[");
	for (struct entry *one = s->first; one != NULL && b->count < BATCH_COUNT; one = one->next) {
		if (one->asked || !is_settleable(one) || body->length + one->length + HOLD_BYTES > BATCH_BYTES)
			continue;
		if (b->count > 0)
			buf_add_char(body, ',');
		put_entry(one, body);
		one->asked = true;
		b->list[b->count++] = one;
	}
	buf_add_text(body, "]}");
}

static struct batch_of_settlements *find_free_batch(struct spool *s)
{
	for (int i = 0; i < BATCHES_MAX; i++)
		if (s->batches[i].count == 0)
			return &s->batches[i];
	return NULL;
}

/* False when there was nothing to send, or it could not be sent. */
static bool send_batch(struct spool *s)
{
	struct batch_of_settlements *b = find_free_batch(s);
	struct buf body;
	bool sent;

	if (b == NULL)
		return false;
	b->spool = s;
	buf_init(&body, BATCH_BYTES + 16);
	fill_batch(s, b, &body);
	sent = b->count > 0 && buf_ok(&body) && asker_ask(s->asker, "/api/guard/settle", &body, batch_done, b) != NULL;
	buf_free(&body);
	for (int i = 0; !sent && i < b->count; i++)
		b->list[i]->asked = false;
	b->count = sent ? b->count : 0;
	return sent;
}

/* Drops settlements whose booking octroi has refused.  Taking one out may take its booking out, too. */
static void drop_refused(struct spool *s)
{
	struct entry *one = s->first;

	while (one != NULL) {
		const bool drop = !one->asked && one->booking != NULL && one->booking->refused;

		if (drop)
			take_entry_out(s, one);
		one = drop ? s->first : one->next;
	}
}

/* Ends the booking: hold is octroi's, or NULL when octroi has refused it for good. */
static void end_booking(struct spool *s, struct entry *booking, const char *hold)
{
	char error[JSON_ERROR_MAX];
	struct json *document = json_parse(booking->text, booking->length, false, error);
	const char *account = json_get_text(document, "account");

	count_booking(s, booking, -1);
	booking->refused = hold == NULL;
	(void)snprintf(booking->booked, sizeof(booking->booked), "%s", hold != NULL ? hold : "");
	if (hold == NULL)
		log_event(LOG_LEVEL_ERROR, "booking_refused", LOG_TEXT("hold", booking->hold),
		          LOG_TEXT("account", account), LOG_NUMBER("micros", booking->micros));
	if (s->events.booked != NULL)
		s->events.booked(s->events.context, booking->hold, account, booking->micros, hold);
	json_free(document);
	if (booking->settlements == 0)
		take_entry_out(s, booking);
	else if (hold == NULL)
		drop_refused(s);
}

/* True if octroi will never take the booking.  An answer of the web server has no such error. */
static bool is_refused_for_good(int status, const struct json *answer)
{
	return (status == 400 || status == 404 || status == 409 || status == 413 || status == 422) &&
	       json_get_text(answer, "error")[0] != '\0';
}

static void booking_done(void *context, int status, const struct json *answer)
{
	struct entry *booking = context;
	struct spool *s = booking->spool;
	const char *hold = json_get_text(answer, "hold");

	CHECK(booking->is_booking && booking->asked);
	booking->asked = false;
	s->bookings--;
	s->book_us = 0;
	s->book_failed = false;
	if (status == 200 && hold[0] != '\0' && strlen(hold) < ID_PUBLIC_MAX) {
		end_booking(s, booking, hold);
	} else if (is_refused_for_good(status, answer)) {
		end_booking(s, booking, NULL);
	} else {
		s->book_us = clock_monotonic_us() + BOOK_REPEAT_US;
		s->book_failed = true;
		log_event(LOG_LEVEL_WARNING, "book_later", LOG_NUMBER("status", status),
		          LOG_NUMBER("micros", s->unbooked_micros));
	}
	send_entries(s);
}

/* False when the booking could not be sent. */
static bool send_booking(struct spool *s, struct entry *booking)
{
	struct buf body;

	buf_init(&body, LINE_BYTES);
	buf_add(&body, booking->text, booking->length);
	booking->asked =
		buf_ok(&body) && asker_ask(s->asker, "/api/guard/authorize", &body, booking_done, booking) != NULL;
	buf_free(&body);
	s->bookings += booking->asked ? 1 : 0;
	return booking->asked;
}

static void send_bookings(struct spool *s)
{
	const int max = s->book_failed ? 1 : BOOKINGS_MAX;

	for (struct entry *one = s->first; one != NULL && s->bookings < max; one = one->next)
		if (one->is_booking && !one->asked && !one->refused && one->booked[0] == '\0' && !send_booking(s, one))
			return;
}

static void send_entries(struct spool *s)
{
	const int64_t now_us = clock_monotonic_us();

	if (s->asker == NULL)
		return;
	if (s->unbooked > 0 && now_us >= s->book_us)
		send_bookings(s);
	while (now_us >= s->next_us && send_batch(s))
		continue;
}

/* The disk has taken entries. */
static void disk_ready(struct loop_source *source, uint32_t events)
{
	struct spool *s = (struct spool *)((char *)source - offsetof(struct spool, woken));
	bool late = false; /* a booking was refused while its settlement was on its way to the disk */
	struct entry *list;
	uint64_t count;

	(void)events;
	(void)!read(source->fd, &count, sizeof(count));
	lock_take(&s->lock);
	list = s->synced;
	s->synced = s->synced_last = NULL;
	lock_give(&s->lock);
	append_entry(&s->first, &s->last, list);
	for (struct entry *one = list; one != NULL; one = one->next) {
		if (one->is_booking && s->events.kept != NULL)
			s->events.kept(s->events.context, one->hold, one->synced);
		late = late || (one->booking != NULL && one->booking->refused);
	}
	if (late)
		drop_refused(s);
	send_entries(s);
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
	send_entries(s);
}

/* ---- taking ---------------------------------------------------------------------------------- */

/* True if the line is in the file.  A part of a line is taken back. */
static bool write_entry(struct spool *s, const char *kind, const char *text, size_t length)
{
	struct spool_file *file = &s->files[s->active];
	struct buf line;
	bool whole;

	buf_init(&line, LINE_BYTES);
	buf_printf(&line, "{\"at\":%lld,\"%s\":", (long long)(clock_wall_us() / CLOCK_US_PER_SECOND), kind);
	buf_add(&line, text, length);
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

/* Hands the entry, whose line was written, to the thread. */
static void hand_to_disk(struct spool *s, struct entry *one)
{
	bool is_first;

	s->depth++;
	lock_take(&s->lock);
	is_first = s->written == NULL;
	append_entry(&s->written, &s->written_last, one);
	if (one->file >= 0)
		s->unsynced[one->file] = true;
	if (is_first)
		cond_signal(&s->call);
	lock_give(&s->lock);
}

void spool_add(struct spool *s, const char *hold, const char *settlement, size_t length)
{
	struct entry *one, *booking = spool_is_booking(hold) ? find_booking(s, hold) : NULL;
	bool written;

	CHECK(s->started && length <= TALLY_SETTLEMENT_MAX);
	if (spool_is_booking(hold) && (booking == NULL || booking->refused)) {
		log_event(LOG_LEVEL_ERROR, "settlement_refused", LOG_TEXT("hold", hold), LOG_NUMBER("status", 0));
		return;
	}
	take_turns(s);
	written = write_entry(s, "settlement", settlement, length);
	one = new_entry(s, hold, settlement, length, written ? s->active : -1);
	if (written)
		s->files[s->active].open++;
	if (booking != NULL)
		booking->settlements++; /* without memory for its entry, both are sent after the next start */
	if (one == NULL)
		return; /* logged; the file keeps the line, which is sent after the next start */
	one->booking = booking;
	hand_to_disk(s, one);
}

bool spool_book(struct spool *s, const char *booking, size_t length)
{
	struct entry *one;

	CHECK(s->started && length <= TALLY_SETTLEMENT_MAX);
	take_turns(s);
	one = new_booking(s, booking, length, -1);
	if (one == NULL)
		return false;
	if (!write_entry(s, "booking", booking, length)) {
		count_booking(s, one, -1);
		free_entry(s, one);
		return false;
	}
	one->file = s->active;
	s->files[s->active].open++;
	hand_to_disk(s, one);
	return true;
}

void spool_bookings(const struct spool *s, void (*visit)(void *context, const char *account, int64_t micros),
                    void *context)
{
	char error[JSON_ERROR_MAX];

	for (const struct entry *one = s->newest; one != NULL; one = one->older) {
		struct json *booking = one->is_booking && one->booked[0] == '\0'
		                               ? json_parse(one->text, one->length, false, error)
		                               : NULL;

		if (booking != NULL)
			visit(context, json_get_text(booking, "account"), one->micros);
		json_free(booking);
	}
}

int64_t spool_unbooked_micros(const struct spool *s)
{
	return s->unbooked_micros;
}

/* ---- start and end --------------------------------------------------------------------------- */

int spool_start(struct spool *s, struct loop *l, struct asker *asker, const struct spool_events *events)
{
	s->loop = l;
	s->asker = asker;
	s->events = *events;
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
		free_entry(s, s->newest);
	for (int i = 0; i < FILES; i++)
		if (s->files[i].fd >= 0)
			close(s->files[i].fd);
	cond_destroy(&s->call);
	lock_destroy(&s->lock);
	free(s);
}
