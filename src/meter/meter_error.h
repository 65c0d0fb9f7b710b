/*
 * meter_error: the meter's own errors, in the shape of the provider's API, so that the client's library raises the
 * error that it knows.  Pure.
 */
#ifndef OCTROI_METER_METER_ERROR_H
#define OCTROI_METER_METER_ERROR_H

#include "base/buf.h"
#include "meter/endpoint.h"

/* Appends the body.  code: octroi's outcome, or the meter's own name of the error. */
void meter_error_body(enum endpoint_shape shape, int status, const char *code, const char *message, struct buf *out);

#endif
