#include "ledger/decide/entry.h"

#include <endian.h>
#include <string.h>

static unsigned char *put_int(unsigned char *p, int64_t value)
{
	const uint64_t big = htobe64((uint64_t)value);

	memcpy(p, &big, sizeof(big));
	return p + sizeof(big);
}

void entry_hash(const struct entries_row *e, const unsigned char previous[DIGEST_BYTES],
                unsigned char out[DIGEST_BYTES])
{
	unsigned char bytes[DIGEST_BYTES + sizeof(e->account_id) + 10 * 8 + sizeof(e->record)], *p = bytes;
	static const unsigned char none[sizeof(e->record)];
	const int64_t fields[] = {e->seq,
	                          e->kind,
	                          e->counterpart,
	                          e->amount_micros,
	                          e->balance_before_micros,
	                          e->balance_after_micros,
	                          e->grant_seq,
	                          e->usage_seq,
	                          e->transaction_seq,
	                          e->created_at_us};

	memcpy(p, previous, DIGEST_BYTES);
	p += DIGEST_BYTES;
	memcpy(p, e->account_id, sizeof(e->account_id));
	p += sizeof(e->account_id);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		p = put_int(p, fields[i]);
	if (memcmp(e->record, none, sizeof(none)) != 0) {
		memcpy(p, e->record, sizeof(e->record));
		p += sizeof(e->record);
	}
	digest_sha256(bytes, (size_t)(p - bytes), out);
}
