/*
 * meter_metrics: the meter's figures as Prometheus reads them.  On the loop's thread.
 */
#ifndef OCTROI_METER_METER_METRICS_H
#define OCTROI_METER_METER_METRICS_H

#include "base/buf.h"
#include "meter/relay.h"

void meter_metrics(struct relays *all, struct buf *out);

#endif
