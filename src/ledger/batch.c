#include "ledger/batch.h"

#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/digest.h"
#include "db/sql.h"

#define ARENA_MAX (64 * 1024 * 1024)
#define SQL_MAX (16 * 1024 * 1024) /* MariaDB's max_allowed_packet unless it was lowered */
/* Grace past the deadline.  Under load the oldest waiters are in every batch; a hard cut would abort most batches. */
#define LATE_US CLOCK_US_PER_SECOND

int batch_init(struct batch *b, const struct ledger_options *options, void (*committing)(void *context), void *context)
{
	CHECK(committing != NULL); /* it is called long after this */
	memset(b, 0, sizeof(*b));
	b->options = options;
	b->committing = committing;
	b->context = context;
	buf_init(&b->sql, SQL_MAX);
	b->arena = arena_new(ARENA_MAX);
	if (b->arena == NULL)
		return -1;
	b->rows = rows_new(b->arena);
	if (b->rows == NULL)
		return -1;
	return 0;
}

void batch_free(struct batch *b)
{
	rows_free(b->rows);
	arena_free(b->arena);
	book_release(b->book);
	buf_free(&b->sql);
}

void batch_new_id(struct batch *b)
{
	const uint64_t ms = (uint64_t)(b->now_us / CLOCK_US_PER_MS);

	/* An id whose COMMIT is unknown stays, or nobody could ask for it. */
	CHECK(!b->unknown && b->now_us >= 0);
	_Static_assert(BATCH_ID_BYTES > 8, "random bytes follow the time");
	for (int i = 0; i < 8; i++)
		b->id[i] = (unsigned char)(ms >> (56 - 8 * i));
	digest_random(b->id + 8, BATCH_ID_BYTES - 8);
}

bool batch_is_late(const struct batch *b)
{
	return clock_monotonic_us() >= b->deadline_us + LATE_US;
}

void batch_marker(struct batch *b)
{
	sql_literal(&b->sql, "INSERT INTO batches (id) VALUES (");
	sql_bytes(&b->sql, b->id, sizeof(b->id));
	sql_literal(&b->sql, ");");
}
