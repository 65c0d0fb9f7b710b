#include "routes/api/cursor.h"

#include <string.h>

#include "base/check.h"
#include "base/digest.h"

#define OWNER_BYTES 7
#define SEQ_BYTES 8
#define CURSOR_BYTES (1 + OWNER_BYTES + SEQ_BYTES)

/* Writes the beginning of each cursor of this list: the kind and the beginning of the owner's key. */
static void write_numbers(enum cursor_kind kind, const struct account_key *owner, unsigned char *out)
{
	memset(out, 0, 1 + OWNER_BYTES);
	out[0] = (unsigned char)kind;
	if (owner != NULL)
		memcpy(out + 1, owner->bytes, OWNER_BYTES);
}

void cursor_format(enum cursor_kind kind, const struct account_key *owner, int64_t seq, char out[CURSOR_MAX])
{
	unsigned char bytes[CURSOR_BYTES];
	uint64_t rest = (uint64_t)seq;

	CHECK(seq > 0);
	write_numbers(kind, owner, bytes);
	for (size_t i = CURSOR_BYTES; i > CURSOR_BYTES - SEQ_BYTES; i--) {
		bytes[i - 1] = (unsigned char)(rest & 0xff);
		rest >>= 8;
	}
	CHECK(digest_base64url(bytes, sizeof(bytes), out) == CURSOR_MAX - 1);
}

int cursor_parse(const char *text, enum cursor_kind kind, const struct account_key *owner, int64_t *seq)
{
	unsigned char bytes[CURSOR_BYTES];
	unsigned char list[1 + OWNER_BYTES];
	uint64_t value = 0;

	if (digest_unbase64url(text, strlen(text), bytes, sizeof(bytes)) != CURSOR_BYTES)
		return -1;
	write_numbers(kind, owner, list);
	if (memcmp(bytes, list, sizeof(list)) != 0)
		return -1;
	for (size_t i = CURSOR_BYTES - SEQ_BYTES; i < CURSOR_BYTES; i++)
		value = value << 8 | bytes[i];
	if (value == 0 || value > INT64_MAX)
		return -1;
	*seq = (int64_t)value;
	return 0;
}
