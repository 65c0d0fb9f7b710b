/*
 * delay: answers that are given half a second later, without a thread for each.  A client that asks too much, and is
 * refused at once, asks again at once.  A refusal costs as much as the request that it refuses.  Own thread, own lock.
 */
#ifndef OCTROI_ROUTES_DELAY_H
#define OCTROI_ROUTES_DELAY_H

#include <stdbool.h>

#include "edge/request.h"

#define DELAY_MAX 512 /* answers that wait at once; fewer than the edge can leave for later */

struct delay;

/* NULL, logged, when memory or threads are short. */
struct delay *delay_new(void);
/* Gives all waiting answers at once, and ends the thread.  NULL is harmless. */
void delay_free(struct delay *d);

/* Resumes the request later; its answer is complete.  False when DELAY_MAX wait, or after stop: the caller answers now.
 * After true the request is not the caller's any more.  Any thread. */
bool delay_answer(struct delay *d, const struct request *request);

#endif
