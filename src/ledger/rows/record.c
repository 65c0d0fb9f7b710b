#include "ledger/rows/record.h"

#include <endian.h>
#include <string.h>

#include "base/check.h"
#include "base/digest.h"
#include "base/unset.h"

/* Room for a usage or a transaction with every text as long as its column. */
#define RECORD_MAX 16384

struct writer {
	unsigned char bytes[RECORD_MAX];
	size_t length;
};

_Static_assert(sizeof(record_sum) == RECORD_BYTES, "a sum fills the column");
_Static_assert(RECORD_BYTES <= DIGEST_BYTES, "a sum is a part of a digest");

static void write_value(struct writer *w, const struct column *c, const void *value, size_t length)
{
	const size_t name = strlen(c->name) + 1;
	unsigned char *at = w->bytes + w->length;

	CHECK(length <= UINT16_MAX && name + 2 + length <= sizeof(w->bytes) - w->length);
	memcpy(at, c->name, name);
	at[name] = (unsigned char)(length >> 8);
	at[name + 1] = (unsigned char)length;
	memcpy(at + name + 2, value, length);
	w->length += name + 2 + length;
}

static void write_int(struct writer *w, const struct column *c, int64_t value)
{
	const uint64_t big = htobe64((uint64_t)value);

	if (value != 0)
		write_value(w, c, &big, sizeof(big));
}

static bool is_recorded(const struct row *row, const struct column *c)
{
	return row->table != TABLE_USAGES || (c->offset != offsetof(struct usages_row, balance_micros) &&
	                                      c->offset != offsetof(struct usages_row, available_micros));
}

record_sum record_of(const struct row *row)
{
	const struct table *t = table_of(row->table);
	unsigned char digest[DIGEST_BYTES];
	UNSET struct writer w;

	CHECK(row->table == TABLE_USAGES || row->table == TABLE_TRANSACTIONS);
	w.length = 0;
	for (int i = 0; i < t->column_count; i++) {
		const struct column *c = &t->columns[i];
		const char *field = (const char *)row + c->offset, *text;

		if (!is_recorded(row, c))
			continue;
		switch (c->type) {
		case COLUMN_INT:
			write_int(&w, c, *(const int64_t *)(const void *)field);
			break;
		case COLUMN_TEXT:
			text = *(const char *const *)(const void *)field;
			if (text[0] != '\0')
				write_value(&w, c, text, strlen(text));
			break;
		case COLUMN_BYTES:
			write_value(&w, c, field, c->size);
			break;
		}
	}
	/* The keys of a row are never empty. */
	CHECK(w.length > sizeof(((const struct usages_row *)NULL)->account_id));
	digest_sha256(w.bytes, w.length, digest);
	return record_read(digest);
}

void record_write(record_sum sum, unsigned char out[RECORD_BYTES])
{
	for (int i = RECORD_BYTES - 1; i >= 0; i--) {
		out[i] = (unsigned char)sum;
		sum >>= 8;
	}
}

record_sum record_read(const unsigned char bytes[RECORD_BYTES])
{
	record_sum sum = 0;

	for (int i = 0; i < RECORD_BYTES; i++)
		sum = sum << 8 | bytes[i];
	return sum;
}
