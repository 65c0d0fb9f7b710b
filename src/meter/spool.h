/*
 * spool: settlements that octroi has not answered yet.  Each is a line of a file, written and on the disk before octroi
 * is asked, and kept until octroi has answered for good.  At the start the lines of before are sent again: a hold is
 * settled once, so a repetition changes nothing.  The loop's thread calls; a thread of its own waits for the disk.
 *
 * A booking is the authorize of a request that went out by a grace (leeway).  It is sent before the settlements that
 * have its name for a hold, and kept until they are answered: their hold is in octroi's answer to it.
 *
 * There are two files, path and path.2.  One takes new lines until it has SPOOL_TURN_BYTES; the other one waits until
 * all of its settlements are answered, and is emptied then.  So neither file is ever copied or renamed.
 */
#ifndef OCTROI_METER_SPOOL_H
#define OCTROI_METER_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "meter/asker.h"
#include "meter/loop.h"

#define SPOOL_TURN_BYTES (1 << 20)
#define SPOOL_FILE_BYTES (16 << 20)

struct spool;

/* Opens the files and reads the settlements of before.  NULL, logged, when that fails, or another process has them. */
struct spool *spool_open(const char *path);
/* The name of a booking, which is the hold of its settlements: this and its request id. */
#define SPOOL_BOOKING "grace-"

struct spool_events {
	/* The booking is on the disk, so that its request may go out; kept false: the disk refuses. */
	void (*kept)(void *context, const char *name, bool kept);
	/* octroi has booked it with the hold, or has refused it for good (hold NULL). */
	void (*booked)(void *context, const char *name, const char *account, int64_t micros, const char *hold);
	void *context;
};

/* Starts the thread and the sending.  -1, logged. */
int spool_start(struct spool *s, struct loop *l, struct asker *asker, const struct spool_events *events);
/* Waits for the disk, and closes the files.  Settlements without an answer stay in them. */
void spool_close(struct spool *s);

/* Takes a settlement, JSON of at most TALLY_SETTLEMENT_MAX bytes, of the hold.  It is in the file when this returns,
 * unless the disk refuses: then it is kept in memory, logged, and sent all the same. */
void spool_add(struct spool *s, const char *hold, const char *settlement, size_t length);

/* Takes a booking, JSON with account, requestId and grace.used.  False when it is not in the file, and so will never be
 * sent.  Else kept is called later, and booked after that, on the loop's thread. */
bool spool_book(struct spool *s, const char *booking, size_t length);
/* Visits the bookings without an answer. */
void spool_bookings(const struct spool *s, void (*visit)(void *context, const char *account, int64_t micros),
                    void *context);
/* Their sum: the most that octroi may still refuse. */
int64_t spool_unbooked_micros(const struct spool *s);
/* True if the hold is a booking's name. */
bool spool_is_booking(const char *hold);

/* False while the disk refuses, or the files are full: then no request may begin. */
bool spool_ready(const struct spool *s);
int64_t spool_depth(const struct spool *s);
/* True if a settlement of the hold has no answer yet. */
bool spool_has(const struct spool *s, const char *hold);

/* Sends what is due; once a second. */
void spool_tick(struct spool *s);

#endif
