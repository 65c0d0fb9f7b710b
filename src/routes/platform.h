/*
 * platform: a list of an operator's pages as JSON.
 */
#ifndef OCTROI_ROUTES_PLATFORM_H
#define OCTROI_ROUTES_PLATFORM_H

#include "base/json.h"
#include "queries/platform.h"

/* Writes the rows as a list of that name.  key: of the lists of one account. */
void platform_put(struct json_writer *w, const char *name, enum platform_list list, const struct platform_page *page,
                  const struct account_key *key);

#endif
