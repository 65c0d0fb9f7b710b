#include "worker/watch.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "db/operator_alert.h"
#include "db/transaction.h"
#include "ledger/names.h"

#define POOL_PATIENCE_US (5 * CLOCK_US_PER_SECOND)
#define LOOK_EVERY_US (60 * CLOCK_US_PER_SECOND)
#define SETTLES_US (300 * CLOCK_US_PER_SECOND) /* until the holds that expired in an hour are booked */
#define CATCH_UP_HOURS 24
#define WHOLE_MIN 20          /* a share of fewer requests says nothing */
#define HISTORY_MIN (14 * 24) /* hours, as forecast.h needs days */
#define DAY_US (24 * HOURS_US)
#define WEEK 7
#define DETAIL_MAX 256
#define TOLD_MAX 4

/* Alerts that an hour has added, for the log. */
struct told {
	struct operator_alert alerts[TOLD_MAX];
	char details[TOLD_MAX][DETAIL_MAX];
	int count;
};

int64_t watch_next_hour(int64_t now_us, int64_t newest_us)
{
	const int64_t over_us = (now_us - SETTLES_US) / HOURS_US * HOURS_US;
	int64_t from_us = newest_us != 0 ? newest_us + HOURS_US : over_us - HOURS_US;

	if (from_us < over_us - CATCH_UP_HOURS * HOURS_US)
		from_us = over_us - CATCH_UP_HOURS * HOURS_US;
	return from_us + HOURS_US <= over_us ? from_us : 0;
}

bool watch_is_much(int64_t part, int64_t whole, int64_t percent)
{
	CHECK(part >= 0 && part <= whole && percent >= 0);
	return whole >= WHOLE_MIN && (__int128)part * 100 > (__int128)whole * percent;
}

static int64_t weekday_of(const struct zone *z, int64_t at_us)
{
	return zone_local_day(zone_local(z, at_us)) / DAY_US % WEEK;
}

micros watch_mean(const struct zone *z, int64_t from_us, const struct hours_row *before, int count)
{
	const int64_t weekday = weekday_of(z, from_us);
	__int128 sum = 0;
	int first = 0, hours = 0;

	while (first < count && before[first].cost_micros == 0)
		first++;
	if (count - first < HISTORY_MIN)
		return -1;
	for (int i = first; i < count; i++) {
		if (weekday_of(z, before[i].from_us) != weekday)
			continue;
		sum += before[i].cost_micros;
		hours++;
	}
	return hours > 0 ? money_clip(sum / hours) : -1;
}

/* Tells of the condition while it lasts, once.  0 or -1. */
static int follow(struct db *d, const struct operator_alert *a, bool is_so, struct told *told)
{
	int added;

	if (!is_so)
		return operator_alert_end(d, a->kind, a->subject);
	added = operator_alert_add(d, a);
	if (added > 0) {
		CHECK(told->count < TOLD_MAX);
		(void)snprintf(told->details[told->count], DETAIL_MAX, "%s", a->detail);
		told->alerts[told->count++] = *a;
	}
	return added < 0 ? -1 : 0;
}

static int follow_share(struct db *d, enum operator_alert_kind kind, int64_t from_us, const int64_t figures[3],
                        struct told *told)
{
	const int64_t part = figures[0], whole = figures[1], percent = figures[2];
	char hour[CLOCK_RFC3339_MAX], detail[DETAIL_MAX];

	if (percent == 0 || whole < WHOLE_MIN)
		return 0;
	(void)clock_format(from_us, hour);
	(void)snprintf(detail, sizeof(detail), "%lld of %lld in the hour from %s, more than %lld %%", (long long)part,
	               (long long)whole, hour, (long long)percent);
	return follow(d,
	              &(struct operator_alert){.kind = kind,
	                                       .subject = "",
	                                       .detail = detail,
	                                       .value = part * 100 / whole,
	                                       .bound = percent,
	                                       .arming = from_us / HOURS_US,
	                                       .lasts = true},
	              watch_is_much(part, whole, percent), told);
}

static int follow_spend(const struct config *c, struct db *d, const struct hours_row *now, struct told *told)
{
	const struct zone *z = zone_find(c->time_zone);
	struct hours_row *before = malloc(HOURS_WINDOW * sizeof(*before));
	char hour[CLOCK_RFC3339_MAX], detail[DETAIL_MAX], cost[MONEY_TEXT_MAX], mean_text[MONEY_TEXT_MAX];
	micros mean = -1;
	int count;

	CHECK(z != NULL); /* octroi does not start without it */
	if (before == NULL || c->alert_spend_factor == 0) {
		free(before);
		return 0;
	}
	count = hours_before(d, now->from_us, now->unit, before);
	if (count >= 0)
		mean = watch_mean(z, now->from_us, before, count);
	free(before);
	if (count < 0 || mean <= 0)
		return count < 0 ? -1 : 0;
	(void)clock_format(now->from_us, hour);
	(void)decimal_format(now->cost_micros, 6, 2, cost);
	(void)decimal_format(mean, 6, 2, mean_text);
	(void)snprintf(detail, sizeof(detail), "%s in the hour from %s; the mean hour of that weekday is %s", cost,
	               hour, mean_text);
	return follow(d,
	              &(struct operator_alert){.kind = OPERATOR_SPEND_UNUSUAL,
	                                       .subject = names_unit(now->unit),
	                                       .detail = detail,
	                                       .value = now->cost_micros,
	                                       .bound = money_clip((__int128)mean * c->alert_spend_factor),
	                                       .arming = now->from_us / HOURS_US,
	                                       .lasts = true},
	              (__int128)now->cost_micros > (__int128)mean * c->alert_spend_factor, told);
}

static int judge_hour(const struct config *c, struct db *d, const struct hours_row rows[HOURS_UNITS], struct told *told)
{
	int64_t expired[3] = {0, 0, c->alert_expired_percent}, estimated[3] = {0, 0, c->alert_estimated_percent};
	int result = 0;

	for (int unit = 0; unit < HOURS_UNITS; unit++) {
		expired[0] += rows[unit].expired;
		expired[1] += rows[unit].ended;
		estimated[0] += rows[unit].estimated;
		estimated[1] += rows[unit].settled;
		if (result == 0)
			result = follow_spend(c, d, &rows[unit], told);
	}
	if (result == 0)
		result = follow_share(d, OPERATOR_HOLDS_EXPIRED_SHARE, rows[0].from_us, expired, told);
	if (result == 0)
		result = follow_share(d, OPERATOR_SETTLEMENTS_ESTIMATED_SHARE, rows[0].from_us, estimated, told);
	return result;
}

/* The hour and its alerts last together.  Where another process was first, nothing is written. */
static int watch_hour(const struct config *c, struct db *d, int64_t from_us, struct told *told)
{
	struct hours_row rows[HOURS_UNITS];
	int result;

	if (hours_count(d, from_us, rows) < 0 || transaction_begin(d) < 0)
		return -1;
	result = hours_add(d, rows);
	if (result > 0 && judge_hour(c, d, rows, told) < 0)
		result = -1;
	return transaction_end(d, result);
}

static void log_told(const struct told *told)
{
	for (int i = 0; i < told->count; i++)
		log_event(LOG_LEVEL_WARNING, "operator_alert",
		          LOG_TEXT("kind", operator_alert_name(told->alerts[i].kind)),
		          LOG_TEXT("subject", told->alerts[i].subject), LOG_TEXT("detail", told->details[i]));
}

/* 1: an hour was looked at, 0: none is over, or another process was first; -1: the database failed. */
static int watch_next(const struct config *c, struct pool *pool)
{
	struct db *d = pool_take(pool, clock_monotonic_us() + POOL_PATIENCE_US);
	struct told told = {.count = 0};
	int64_t now_us, newest_us, from_us;
	int result = -1;

	if (d == NULL)
		return -1;
	if (hours_newest(d, &now_us, &newest_us) == 0) {
		from_us = watch_next_hour(now_us, newest_us);
		result = from_us != 0 ? watch_hour(c, d, from_us, &told) : 0;
	}
	pool_give(pool, d);
	if (result > 0)
		log_told(&told);
	return result;
}

int watch_due(const struct config *c, struct pool *pool, int64_t *looks_us)
{
	const int64_t now_us = clock_monotonic_us();
	int looked = 0, one = 1;

	if (now_us < *looks_us)
		return 0;
	*looks_us = now_us + LOOK_EVERY_US;
	while (one > 0 && looked < CATCH_UP_HOURS) {
		one = watch_next(c, pool);
		looked += one > 0 ? 1 : 0;
	}
	return one < 0 ? -1 : looked;
}
