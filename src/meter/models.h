/*
 * models: the list of a provider's models, in OpenAI's shape, from the pages of octroi's price list.  Pure but for the
 * memory of a bounded buffer.
 */
#ifndef OCTROI_METER_MODELS_H
#define OCTROI_METER_MODELS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/json.h"

#define MODELS_NAME_MAX 128
#define MODELS_CURSOR_MAX 256
#define MODELS_PAGES_MAX 20

struct models {
	struct buf list; /* the entries, without the brackets */
	int count, pages;
	char first[MODELS_NAME_MAX]; /* "": none yet */
	char cursor[MODELS_CURSOR_MAX];
};

void models_init(struct models *m);
void models_free(struct models *m);
/* Appends the path of the next page of octroi's route. */
void models_path(const struct models *m, const char *provider, struct buf *path);
/* Takes a page: the models whose names begin with the prefix, without it.  True if there is a further page. */
bool models_add(struct models *m, const struct json *page, const char *prefix, const char *provider);
/* Appends the list. */
void models_put(const struct models *m, struct buf *out);

#endif
