#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "inbox/reconcile.h"

#define PAGE 100
#define CALL_US (60 * CLOCK_US_PER_SECOND)
#define LIMITED_MAX 10 /* repetitions while Stripe limits the rate */

static void fail_call(struct reconcile *R, const struct stripe_call *call)
{
	reconcile_fail(R, "%s: Stripe answers %d: %s", call->path, call->status, call->error);
}

/* Sends the call; while Stripe limits the rate, again after 1 second. */
static enum stripe_result ask_stripe(struct reconcile *R, struct stripe_call *call)
{
	const struct timespec pause = {.tv_sec = 1};
	enum stripe_result result = stripe_send(&R->stripe, call);

	for (int i = 0; result == STRIPE_LIMITED && i < LIMITED_MAX; i++) {
		(void)nanosleep(&pause, NULL);
		call->attempts = 0;
		call->deadline_us = clock_monotonic_us() + CALL_US;
		result = stripe_send(&R->stripe, call);
	}
	return result;
}

enum stripe_result reconcile_api_get(struct reconcile *R, struct stripe_call *call)
{
	const enum stripe_result result = ask_stripe(R, call);

	if (result != STRIPE_OK && (result != STRIPE_REFUSED || call->status != 404))
		fail_call(R, call);
	return result;
}

/* Reads one page; false after the last, or if R failed. */
static bool page(struct reconcile *R, struct stripe_call *call, char after[STRIPE_PATH_MAX],
                 void (*take)(struct reconcile *R, const struct json *row))
{
	const struct json *rows, *more;
	size_t count;

	if (ask_stripe(R, call) != STRIPE_OK) {
		fail_call(R, call);
		return false;
	}
	rows = json_get(call->json, "data");
	more = json_get(call->json, "has_more");
	count = rows != NULL && json_type(rows) == JSON_LIST ? json_size(rows) : 0;
	for (size_t i = 0; i < count && !R->failed; i++) {
		arena_reset(R->arena);
		take(R, json_at(rows, i));
		(void)snprintf(after, STRIPE_PATH_MAX, "%s", json_get_text(json_at(rows, i), "id"));
	}
	return !R->failed && count > 0 && more != NULL && json_type(more) == JSON_BOOL && json_bool(more);
}

void reconcile_api_each(struct reconcile *R, const char *path, void (*more)(struct stripe_call *call),
                        void (*take)(struct reconcile *R, const struct json *row))
{
	char after[STRIPE_PATH_MAX] = "";
	bool another = !R->failed;

	while (another) {
		struct stripe_call call;

		stripe_begin(&call, path, NULL, clock_monotonic_us() + CALL_US);
		stripe_put_int(&call, "created[gte]", R->since_us / CLOCK_US_PER_SECOND);
		stripe_put_int(&call, "limit", PAGE);
		stripe_put(&call, "starting_after", after);
		if (more != NULL)
			more(&call);
		another = page(R, &call, after, take);
		stripe_call_free(&call);
	}
}
