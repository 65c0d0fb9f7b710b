#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"

#define BUF_FIRST_BYTES 256

void buf_init(struct buf *b, size_t max)
{
	CHECK(max < SIZE_MAX / 2); /* doubling and the NUL must not wrap */
	b->data = NULL;
	b->length = 0;
	b->capacity = 0;
	b->max = max;
	b->failed = false;
}

void buf_free(struct buf *b)
{
	free(b->data);
	buf_init(b, b->max);
}

void buf_reset(struct buf *b)
{
	b->length = 0;
	b->failed = false;
	if (b->data != NULL)
		b->data[0] = '\0';
}

bool buf_ok(const struct buf *b)
{
	return !b->failed;
}

const char *buf_text(const struct buf *b)
{
	return b->data != NULL ? b->data : "";
}

/* Room for more bytes and the NUL; false, and failed from then on, when there is none. */
static bool buf_room(struct buf *b, size_t more)
{
	size_t capacity = b->capacity;
	char *data;

	if (b->failed)
		return false;
	CHECK(b->length <= b->max);
	if (more > b->max - b->length)
		goto fail;
	if (b->length + more < capacity)
		return true;
	if (capacity < BUF_FIRST_BYTES)
		capacity = BUF_FIRST_BYTES;
	while (capacity <= b->length + more)
		capacity *= 2;
	if (capacity > b->max + 1)
		capacity = b->max + 1;
	data = memory_realloc(b->data, capacity);
	if (data == NULL)
		goto fail;
	b->data = data;
	b->capacity = capacity;
	return true;
fail:
	b->failed = true;
	return false;
}

void buf_add(struct buf *b, const void *bytes, size_t length)
{
	if (!buf_room(b, length))
		return;
	if (length > 0)
		memcpy(b->data + b->length, bytes, length);
	b->length += length;
	b->data[b->length] = '\0';
}

void buf_add_text(struct buf *b, const char *text)
{
	buf_add(b, text, strlen(text));
}

void buf_add_char(struct buf *b, char c)
{
	if (!buf_room(b, 1))
		return;
	b->data[b->length++] = c;
	b->data[b->length] = '\0';
}

void buf_add_int(struct buf *b, int64_t value)
{
	char digits[24];
	char *first = digits + sizeof(digits);
	uint64_t magnitude = value < 0 ? UINT64_C(0) - (uint64_t)value : (uint64_t)value;

	do {
		*--first = (char)('0' + magnitude % 10);
		magnitude /= 10;
	} while (magnitude > 0);
	if (value < 0)
		*--first = '-';
	buf_add(b, first, (size_t)(digits + sizeof(digits) - first));
}

void buf_add_hex(struct buf *b, const void *bytes, size_t length)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *byte = bytes;

	if (length > b->max) {
		b->failed = true;
		return;
	}
	if (!buf_room(b, length * 2))
		return;
	for (size_t i = 0; i < length; i++) {
		b->data[b->length++] = hex[byte[i] >> 4];
		b->data[b->length++] = hex[byte[i] & 15];
	}
	b->data[b->length] = '\0';
}

void buf_add_encoded(struct buf *b, const char *text)
{
	static const char hex[] = "0123456789ABCDEF";

	for (; *text != '\0'; text++) {
		const unsigned char c = (unsigned char)*text;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
		    c == '.' || c == '_') {
			buf_add_char(b, *text);
		} else {
			buf_add_char(b, '%');
			buf_add_char(b, hex[c >> 4]);
			buf_add_char(b, hex[c & 15]);
		}
	}
}

void buf_printf(struct buf *b, const char *format, ...)
{
	va_list arguments;
	int length;

	if (b->failed)
		return;
	va_start(arguments, format);
	length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (length < 0) {
		b->failed = true;
		return;
	}
	if (!buf_room(b, (size_t)length))
		return;
	va_start(arguments, format);
	vsnprintf(b->data + b->length, (size_t)length + 1, format, arguments);
	va_end(arguments);
	b->length += (size_t)length;
}
