/*
 * meter_config: octroi-meter.conf (ini) and OCTROI_METER_<KEY> of the environment, every key of meter_config.def,
 * checked before anything starts.  Read-only after loading.
 */
#ifndef OCTROI_METER_METER_CONFIG_H
#define OCTROI_METER_METER_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "conf.h"
#include "meter/endpoint.h"

struct meter_config {
#define KEY(type, name, fallback, low, high, help) CONF_FIELD_##type(name)
#include "meter/meter_config.def"
#undef KEY
	char *path; /* of the file that was read, "" when none */
};

/* As conf_load.  path NULL: $OCTROI_METER_CONF, else /etc/octroi/octroi-meter.conf if it exists. */
int meter_config_load(struct meter_config *c, const char *path, char error[CONF_ERROR_MAX]);
void meter_config_free(struct meter_config *c);

/* A provider as configured. */
struct meter_provider {
	const char *name; /* the first segment of its paths */
	const char *url, *key, *prices;
	enum endpoint_shape shape;
	bool newer; /* OpenAI itself takes the newer name of the output's bound */
};

#define METER_PROVIDERS 7

/* Fills in all of them; one without a key is not served. */
void meter_config_providers(const struct meter_config *c, struct meter_provider providers[METER_PROVIDERS]);

#endif
