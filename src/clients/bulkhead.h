/*
 * bulkhead: places for requests that hold a worker for long, because they wait for another server or read many rows.
 * There are fewer places than workers, so the guard's requests find a worker.  One account has a share of them, so that
 * it cannot take the places of all others.  Thread-safe, own lock; never waits.
 */
#ifndef OCTROI_CLIENTS_BULKHEAD_H
#define OCTROI_CLIENTS_BULKHEAD_H

#include <stdbool.h>

#include "base/id.h"
#include "base/lock.h"

#define BULKHEAD_PLACES_MAX 1024

struct bulkhead {
	struct lock lock;
	int places, share, taken;
	struct account_key who[BULKHEAD_PLACES_MAX]; /* of the places that are taken, in any order */
};

/* share: places that one account may have at once; both at least 1, places cut to BULKHEAD_PLACES_MAX. */
void bulkhead_init(struct bulkhead *b, int places, int share);
void bulkhead_destroy(struct bulkhead *b); /* no place is taken */
/* False when all places, or the account's share of them, are taken: the caller refuses at once.  True must be followed
 * by bulkhead_leave.  who NULL: a request of no account, which no share limits. */
bool bulkhead_enter(struct bulkhead *b, const struct account_key *who);
void bulkhead_leave(struct bulkhead *b, const struct account_key *who);

#endif
