/*
 * clock: times are int64 microseconds since 1970 UTC (time_us).  The ledger decides by the
 * database's clock only; the clocks here serve deadlines (monotonic), logs and signatures (wall).
 * Thread-safe.
 */
#ifndef OCTROI_BASE_CLOCK_H
#define OCTROI_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define CLOCK_US_PER_SECOND INT64_C(1000000)
#define CLOCK_US_PER_MS INT64_C(1000)
#define CLOCK_RFC3339_MAX 32

struct timespec clock_timespec(int64_t time_us); /* time_us >= 0 */
int64_t clock_monotonic_us(void);
int64_t clock_wall_us(void);

/* "2026-11-21T00:47:00.123Z" (RFC 3339, milliseconds, rounded down).  time_us from year 0001 to
 * 9999.  Returns the length. */
size_t clock_format(int64_t time_us, char out[CLOCK_RFC3339_MAX]);
/* RFC 3339 with Z or a numeric offset, fraction optional; or a date alone (midnight UTC).  Digits
 * finer than a microsecond are dropped, a leap second is refused.  0 or -1. */
int clock_parse(const char *text, size_t length, int64_t *time_us);

#endif
