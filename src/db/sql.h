/*
 * sql: statements put together from literals of the source and typed values, never from input text.
 * Strings and bytes become hexadecimal literals, integers their own digits.  Appends to a buf.
 */
#ifndef OCTROI_DB_SQL_H
#define OCTROI_DB_SQL_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* A piece of SQL; only string literals compile. */
#define sql_literal(b, text) buf_add((b), "" text "", sizeof(text) - 1)
/* The database's clock in microseconds since 1970, as a piece of a statement. */
#define SQL_NOW_US "CAST(UNIX_TIMESTAMP(NOW(6))*1000000 AS SIGNED)"
void sql_int(struct buf *b, int64_t value);
/* 0x…, or '' when length is 0. */
void sql_bytes(struct buf *b, const void *bytes, size_t length);
void sql_text(struct buf *b, const char *text);

#endif
