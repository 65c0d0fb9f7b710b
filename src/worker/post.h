/*
 * post: posts one delivery of an alert to its endpoint, and says what follows from the answer: done, again later, or
 * given up, and whether the endpoint is switched off.  Waits for the endpoint.
 */
#ifndef OCTROI_WORKER_POST_H
#define OCTROI_WORKER_POST_H

#include "base/buf.h"
#include "clients/webhook.h"
#include "queries/endpoints.h"

#define POST_TYPE_PREFIX "credits."
#define POST_OPERATORS_PREFIX "operator."

/* Posts the delivery.  end->error and end->off point into result and to literals. */
void post_delivery(const struct endpoint_claim *claim, const char *ca_file, struct webhook_result *result,
                   struct endpoint_end *end);

/* The consequence of an answer.  random: any number; it spreads the repeats. */
void post_judge(const struct endpoint_claim *claim, const struct webhook_result *result, uint32_t random,
                struct endpoint_end *end);

/* Writes the message of a delivery: {"type":…,"timestamp":…,"data":{…}}. */
void post_body(const struct endpoint_claim *claim, struct buf *body);

#endif
