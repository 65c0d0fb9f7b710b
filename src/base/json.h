/*
 * json: reading (jansson, the only file that includes it) and writing of JSON.
 * Reading is strict: UTF-8, no duplicate keys, no NUL, no trailing bytes, depth at most
 * JSON_DEPTH_MAX, integers within int64.  A number with a fraction or an exponent (5.0, 5e0) is a
 * JSON_FRACTION: kept as its text and dumped as it came.  Values belong to their
 * document and die with json_free.  A document may be read by several threads at once; a writer
 * belongs to one.
 */
#ifndef OCTROI_BASE_JSON_H
#define OCTROI_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"

#define JSON_DEPTH_MAX 32
#define JSON_ERROR_MAX 160

struct json; /* a value of a document */

enum json_type { JSON_NULL_VALUE, JSON_BOOL, JSON_INT, JSON_FRACTION, JSON_TEXT, JSON_LIST, JSON_RECORD };

/* Makes jansson allocate so that a shortage is noted (memory.h).  Call it before any other use of jansson, but after
 * token_watch_memory: cjose sets jansson's allocator, too. */
void json_watch_memory(void);

/* NULL when the bytes are not such a document, with a sentence in error that quotes none of them.
 * numbers_as_text makes every number a JSON_TEXT of its own decimal text (for price lists: nothing
 * ever rounds a price). */
struct json *json_parse(const char *bytes, size_t length, bool numbers_as_text, char error[JSON_ERROR_MAX]);
void json_free(struct json *document); /* the root only; NULL is harmless */
/* json_parse_in puts the document's first few kilobytes into the arena, which is cheaper.  The document ends by
 * json_free_in with the same arena, before that is reset.  json_free_in takes documents of json_parse, too. */
struct json *json_parse_in(struct arena *arena, const char *bytes, size_t length, char error[JSON_ERROR_MAX]);
void json_free_in(struct arena *arena, struct json *document);

enum json_type json_type(const struct json *value);
/* Member of a record; NULL when absent or when record is NULL or no record. */
const struct json *json_get(const struct json *record, const char *key);
/* The text or the integer of a member; "" or otherwise when it is absent or of another type. */
const char *json_get_text(const struct json *record, const char *key);
int64_t json_get_int(const struct json *record, const char *key, int64_t otherwise);
bool json_bool(const struct json *value);                        /* value must be JSON_BOOL */
int64_t json_int(const struct json *value);                      /* value must be JSON_INT */
const char *json_text(const struct json *value, size_t *length); /* value must be JSON_TEXT */
/* The decimal text of a number, perhaps with an exponent; value must be JSON_FRACTION. */
const char *json_fraction(const struct json *value, size_t *length);
size_t json_size(const struct json *list_or_record);
const struct json *json_at(const struct json *list, size_t index);
/* Visits the members in order.  Stops at the first non-zero result of visit and returns it; else 0. */
int json_each(const struct json *record, int (*visit)(void *context, const char *key, const struct json *value),
              void *context);
/* Appends the value as compact JSON. */
void json_dump(const struct json *value, struct buf *out);

/*
 * Writing: calls append to the buffer and place commas themselves; nesting is bounded by
 * JSON_DEPTH_MAX.  key is NULL inside a list and for the outermost value.
 */
struct json_writer {
	struct buf *out;
	int depth;
	bool started[JSON_DEPTH_MAX]; /* level has a member already */
};

void json_writer_init(struct json_writer *w, struct buf *out);
void json_open_record(struct json_writer *w, const char *key);
void json_close_record(struct json_writer *w);
void json_open_list(struct json_writer *w, const char *key);
void json_close_list(struct json_writer *w);
void json_put_int(struct json_writer *w, const char *key, int64_t value);
void json_put_bool(struct json_writer *w, const char *key, bool value);
void json_put_null(struct json_writer *w, const char *key);
/* Bytes that are not UTF-8 are written as U+FFFD. */
void json_put_text(struct json_writer *w, const char *key, const char *text);
/* Already JSON (a decimal number, a stored metadata record). */
void json_put_raw(struct json_writer *w, const char *key, const char *json, size_t length);
/* micros as RFC 3339 in UTC with milliseconds; null for 0. */
void json_put_time(struct json_writer *w, const char *key, int64_t time_us);
/* micros scaled to minor units with up to 4 decimals ("0.9345"), rounded down as money_floor_div
 * does; per_minor is a power of ten. */
void json_put_minor(struct json_writer *w, const char *key, int64_t amount_micros, int64_t per_minor);

#endif
