/*
 * window: a sum of use that counts until a time.  At that time it begins anew from zero.
 */
#ifndef OCTROI_LEDGER_DECIDE_WINDOW_H
#define OCTROI_LEDGER_DECIDE_WINDOW_H

#include <stdint.h>

#include "base/money.h"
#include "base/zone.h"

/* The end of the window that begins at time_us: zone_next_day or zone_next_month. */
typedef int64_t window_end(const struct zone *z, int64_t time_us);

/* The use that counts now, of a window with this sum that ends at until_us. */
micros window_used(micros used, int64_t until_us, int64_t now_us);
/* The time at which the use begins anew.  next_us: the end of the window that follows one that has ended. */
int64_t window_resets(int64_t until_us, int64_t next_us, int64_t now_us);
/* Begins a window that ends at end_us. */
void window_begin(micros *used, int64_t *until_us, int64_t end_us);
/* Begins the window that now_us lies in, unless it runs already. */
void window_turn(micros *used, int64_t *until_us, const struct zone *z, window_end *end, int64_t now_us);

#endif
