/*
 * buf: a byte buffer made with a maximum.  An append that would pass the maximum, or for which
 * there is no memory, marks the buffer failed.  Later appends are ignored; the writer checks once,
 * at the end, with buf_ok.  (After curl's dynbuf.)  Not locked: one thread at a time.
 */
#ifndef OCTROI_BASE_BUF_H
#define OCTROI_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *data; /* NUL-terminated once anything was appended; may be NULL when empty */
	size_t length;
	size_t capacity;
	size_t max;
	bool failed;
};

/* No memory is taken before the first append. */
void buf_init(struct buf *b, size_t max);
/* Frees the memory; the buffer is as after buf_init. */
void buf_free(struct buf *b);
/* Empties it and clears the failure; the memory stays for the next use. */
void buf_reset(struct buf *b);
bool buf_ok(const struct buf *b);
/* The content as a C string, "" when empty. */
const char *buf_text(const struct buf *b);

void buf_add(struct buf *b, const void *bytes, size_t length);
void buf_add_text(struct buf *b, const char *text);
void buf_add_char(struct buf *b, char c);
void buf_add_int(struct buf *b, int64_t value);
/* Lower-case hexadecimal of the bytes. */
void buf_add_hex(struct buf *b, const void *bytes, size_t length);
/* The text percent-encoded, for a query or a form: all but letters, digits, '-', '.' and '_' (RFC 3986 section 2.1). */
void buf_add_encoded(struct buf *b, const char *text);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
