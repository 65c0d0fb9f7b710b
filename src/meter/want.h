/*
 * want: the request of a client, as far as the meter reads it: model, bounds of the output, stream, size.  Says what
 * octroi is asked for, and writes the body that the provider gets.  One thread at a time; the document is its memory.
 */
#ifndef OCTROI_METER_WANT_H
#define OCTROI_METER_WANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/json.h"
#include "meter/endpoint.h"

#define WANT_MODELS_MAX 8
#define WANT_MODEL_MAX 128
#define WANT_ANSWERS_MAX 128
/* Bytes of an image or a file, in base64 however large, or by its address: providers count it by its size in pixels or
 * pages. */
#define WANT_DATA_MAX 16384
#define WANT_VARIANT_MAX 48

struct want {
	const struct endpoint *endpoint;
	struct json *document;
	char models[WANT_MODELS_MAX][WANT_MODEL_MAX]; /* without the prefix of prices */
	int model_count;
	int64_t cap;     /* of each answer; -1: none is given */
	int64_t answers; /* that share the bound of the hold */
	bool stream;
	bool hides_usage; /* the client did not ask for the usage that the meter asks for */
	const char *tier; /* "flex" or "priority" where the request asks for it, else NULL */
	int64_t bytes;    /* of texts and names */
	bool opaque;      /* a part of the input is not in the body, or is no text */
	bool hidden;      /* a part of the output, or of what tools read, is in the usage object alone */
	int64_t characters, images;
	char variant[WANT_VARIANT_MAX]; /* of the price, as docs/prices.md calls it; "": none */
	const char *refusal;            /* a sentence, after a refusal */
};

/* model: of the path, or NULL.  fallback: the header X-Octroi-Models, or NULL.  0; -1 with a sentence in refusal.
 * want_free afterwards in both cases. */
int want_read(struct want *w, const struct endpoint *endpoint, const char *body, size_t length, const char *model,
              size_t model_length, const char *fallback);
/* As want_read, for a request without a body that is for the model. */
int want_name(struct want *w, const struct endpoint *endpoint, const char *model);
void want_free(struct want *w);

/* True if the model may reason unseen: one of OpenAI's own that plain.def does not list. */
bool want_may_reason(const struct want *w, const char *model);

/* Appends the request to octroi's route authorize.  prefix: of the model's price. */
struct want_terms {
	const char *meter_key;        /* NULL: account and member say who pays */
	const char *account, *member; /* member "": none */
	const char *request_id;
	const char *prefix;
	const char *grace; /* JSON; NULL: none */
	int64_t hold_seconds;
};
void want_authorize(const struct want *w, const struct want_terms *terms, struct buf *out);
/* True if a grace may cover the request: one model, and a body that shows all that its cost depends on. */
bool want_may_have_grace(const struct want *w);
/* The output that octroi is asked for; -1: none. */
int64_t want_output(const struct want *w);
/* The digest of all that the price depends on, but the amounts of input and output. */
void want_kind(const struct want *w, const char *prefix, unsigned char kind[DIGEST_BYTES]);
/* Appends the counts that octroi is told beside the usage, as JSON; nothing if there are none. */
void want_counts(const struct want *w, struct buf *out);

/* Appends the body for the provider.  model: the granted one; granted: the output that the hold covers, -1 for none.
 * newer: the provider takes the newer name of the bound. */
void want_body(const struct want *w, const char *model, int64_t granted, bool newer, struct buf *out);

#endif
