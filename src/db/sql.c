#include "db/sql.h"

#include <string.h>

void sql_int(struct buf *b, int64_t value)
{
	buf_add_int(b, value);
}

void sql_bytes(struct buf *b, const void *bytes, size_t length)
{
	if (length == 0) {
		sql_literal(b, "''");
		return;
	}
	sql_literal(b, "0x");
	buf_add_hex(b, bytes, length);
}

void sql_text(struct buf *b, const char *text)
{
	sql_bytes(b, text, strlen(text));
}
