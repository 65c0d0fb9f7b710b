/*
 * config: octroi.conf (ini) and OCTROI_<KEY> of the environment, every key of config.def, checked
 * before anything starts.  Read-only after loading, so threads share it freely.
 * Types: TEXT and SECRET are strings, NUMBER int64, SWITCH bool, DECIMAL int64 times 10^6.
 */
#ifndef OCTROI_CONFIG_H
#define OCTROI_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "conf.h"

struct config {
#define KEY(type, name, fallback, low, high, help) CONF_FIELD_##type(name)
#include "config.def"
#undef KEY
	char *path; /* of the file that was read, "" when none */
};

/* As conf_load.  path NULL: $OCTROI_CONF, else /etc/octroi/octroi.conf if it exists. */
int config_load(struct config *c, const char *path, char error[CONF_ERROR_MAX]);
void config_free(struct config *c);

#define CONFIG_URL_MAX 272

/* Where customers top up: topup_url, else the billing page of public_url; "" when neither is set. */
void config_topup_url(const struct config *c, char url[CONFIG_URL_MAX]);

/* Number of connections for reading: db_connections, else its default. */
int config_connections(const struct config *c);

/* Visits every key as text, secrets as "(set)" or "". */
void config_each(const struct config *c, void (*visit)(void *context, const char *name, const char *value),
                 void *context);
/* Visits the path of every file that a secret was read from. */
void config_each_file(const struct config *c, void (*visit)(void *context, const char *name, const char *path),
                      void *context);

#endif
