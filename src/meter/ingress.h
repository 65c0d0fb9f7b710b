/*
 * ingress: a client's request as far as its head says: provider, endpoint, key, policy.  Everything lives in the arena,
 * or in the parameters.  Pure but for the arena.
 */
#ifndef OCTROI_METER_INGRESS_H
#define OCTROI_METER_INGRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "meter/endpoint.h"
#include "meter/meter_config.h"

#define INGRESS_HEADERS_MAX 8
#define INGRESS_KEY_MAX 200

enum ingress_kind { INGRESS_PROVIDER, INGRESS_HEALTH, INGRESS_METRICS, INGRESS_REFUSED };

struct ingress {
	enum ingress_kind kind;
	int status; /* of INGRESS_REFUSED */
	const char *code, *message;
	enum endpoint_shape shape; /* of errors, too */
	const struct meter_provider *provider;
	const struct endpoint *endpoint;
	const char *model; /* of the path; NULL: none */
	size_t model_length;
	const char *rest;             /* path at the provider, with its query */
	const char *key;              /* the meter key; NULL: account and member say who pays */
	const char *account, *member; /* member "": none */
	const char *fallback;         /* X-Octroi-Models; NULL: none */
	const char *repeat;           /* Idempotency-Key; NULL: none */
	bool drain;
	const char *headers[INGRESS_HEADERS_MAX + 1]; /* for the provider, NULL after the last */
};

/* Reads the parameters ("NAME=value", NULL at the end).  body_length: bytes of the body that have come. */
void ingress_read(struct ingress *in, struct arena *arena, const struct meter_config *config,
                  const struct meter_provider *providers, const char *const *parameters, size_t body_length);

#endif
