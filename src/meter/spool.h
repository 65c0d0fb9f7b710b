/*
 * spool: settlements that octroi has not answered yet.  Each is a line of a file, written and on the disk before octroi
 * is asked, and kept until octroi has answered for good.  At the start the lines of before are sent again: a hold is
 * settled once, so a repetition changes nothing.  The loop's thread calls; a thread of its own waits for the disk.
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
/* Starts the thread and the sending.  -1, logged. */
int spool_start(struct spool *s, struct loop *l, struct asker *asker);
/* Waits for the disk, and closes the files.  Settlements without an answer stay in them. */
void spool_close(struct spool *s);

/* Takes a settlement, JSON of at most TALLY_SETTLEMENT_MAX bytes, of the hold.  It is in the file when this returns,
 * unless the disk refuses: then it is kept in memory, logged, and sent all the same. */
void spool_add(struct spool *s, const char *hold, const char *settlement, size_t length);

/* False while the disk refuses, or the files are full: then no request may begin. */
bool spool_ready(const struct spool *s);
int64_t spool_depth(const struct spool *s);
/* True if a settlement of the hold has no answer yet. */
bool spool_has(const struct spool *s, const char *hold);

/* Sends what is due; once a second. */
void spool_tick(struct spool *s);

#endif
