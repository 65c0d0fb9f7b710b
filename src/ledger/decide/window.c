#include "ledger/decide/window.h"

#include <stdbool.h>

#include "base/check.h"

static bool window_runs(int64_t until_us, int64_t now_us)
{
	return now_us < until_us;
}

micros window_used(micros used, int64_t until_us, int64_t now_us)
{
	CHECK(used >= 0);
	return window_runs(until_us, now_us) ? used : 0;
}

int64_t window_resets(int64_t until_us, int64_t next_us, int64_t now_us)
{
	CHECK(next_us > now_us);
	return window_runs(until_us, now_us) ? until_us : next_us;
}

void window_begin(micros *used, int64_t *until_us, int64_t end_us)
{
	CHECK(end_us >= *until_us);
	*until_us = end_us;
	*used = 0;
}

void window_turn(micros *used, int64_t *until_us, const struct zone *z, window_end *end, int64_t now_us)
{
	if (window_runs(*until_us, now_us))
		return;
	window_begin(used, until_us, end(z, now_us));
	CHECK(window_runs(*until_us, now_us));
}
