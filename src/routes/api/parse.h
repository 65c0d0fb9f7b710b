/*
 * parse: the members of a request's body, or its query parameters, as typed and bounded values.  The
 * first wrong one is kept, with the kind of value that was wanted.  All later getters still answer
 * something harmless, so a handler looks once, at the end.  Absent and null mean the same, but to
 * parse_null and parse_limit.  Values live as long as the request.
 */
#ifndef OCTROI_ROUTES_API_PARSE_H
#define OCTROI_ROUTES_API_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "edge/request.h"

enum parse_want {
#define WANT(NAME, english, french) PARSE_##NAME,
#include "routes/api/parse.def"
#undef WANT
	PARSE_WANTS
};

struct parse {
	const struct request *request;
	const struct json *record; /* NULL: query parameters */
	const char *field;         /* the first wrong one; NULL while all is well */
	enum parse_want want;
	int64_t low, high;
};

/* Begins with a record that may only have the known members (ends with NULL). */
void parse_record(struct parse *p, const struct request *request, const struct json *record, const char *const *known);
void parse_query(struct parse *p, const struct request *request);

bool parse_ok(const struct parse *p);
void parse_wrong(struct parse *p, const char *field, enum parse_want want);
/* Copies the fault of inner into p, with the field "outer.name.field": inner is the member `name` of p's record
 * `outer`.  name NULL: inner is `outer` itself, and the field "outer.field". */
void parse_inner(struct parse *p, const struct parse *inner, const char *outer, const char *name);
/* Appends "limit must be an integer from 1 to 100." to out. */
void parse_message(const struct parse *p, bool french, struct buf *out);

bool parse_given(struct parse *p, const char *name);
void parse_need(struct parse *p, const char *name);
/* Whether a record's member is there and null. */
bool parse_null(struct parse *p, const char *name);
/* A limit in micros, COMMAND_NO_LIMIT for null; false when absent. */
bool parse_limit(struct parse *p, const char *name, int64_t *limit_micros);
int64_t parse_int(struct parse *p, const char *name, int64_t low, int64_t high, int64_t fallback);
bool parse_bool(struct parse *p, const char *name, bool fallback);
/* NULL when absent.  low to high characters, none of them a control character. */
const char *parse_text(struct parse *p, const char *name, int64_t low, int64_t high);
/* NULL when absent.  1 to max bytes, none of them of a control character. */
const char *parse_bytes(struct parse *p, const char *name, int64_t max);
const char *parse_account(struct parse *p, const char *name);
/* The request's id: the record's requestId or the header Idempotency-Key, which are the same thing;
 * NULL when neither is given. */
const char *parse_repeat(struct parse *p);
/* The number of the name by to_number (>= 0); fallback when absent. */
int parse_name(struct parse *p, const char *name, int (*to_number)(const char *name), int fallback);
/* 0 when absent. */
int64_t parse_time(struct parse *p, const char *name);
/* NULL when absent; low to high elements. */
const struct json *parse_list(struct parse *p, const char *name, size_t low, size_t high);
/* A record of any members, at most high; NULL when absent. */
const struct json *parse_map(struct parse *p, const char *name, size_t high);
/* A record as compact JSON of at most max bytes; "" when absent. */
const char *parse_small_record(struct parse *p, const char *name, size_t max);

/* Bits of provider_bit() for a list of providers' names; 0 when absent. */
unsigned parse_providers(struct parse *p, const char *name);

/* UTF-8 of 1 to max bytes without control characters and separators of lines: one line, in mails too. */
bool parse_plain(const char *text, size_t length, size_t max);

#endif
