#include "base/id.h"

#include <string.h>

#include "base/check.h"
#include "base/digest.h"

#define ID_SEQ_BYTES 8
#define ID_NAME_BYTES (ID_KEY_BYTES + ID_SEQ_BYTES)

static bool is_account_character(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
	       c == ':' || c == '@' || c == '-';
}

bool id_account_valid(const char *text, size_t length)
{
	if (length < 1 || length > ID_ACCOUNT_MAX)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!is_account_character(text[i]))
			return false;
	}
	return true;
}

bool id_request_valid(const char *text, size_t length)
{
	if (length < 1 || length > ID_REQUEST_MAX)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	}
	return true;
}

void id_request_key(const char *text, size_t length, unsigned char out[ID_KEY_BYTES])
{
	unsigned char digest[DIGEST_BYTES];

	digest_sha256(text, length, digest);
	memcpy(out, digest, ID_KEY_BYTES);
}

struct account_key id_account_key(const char *text, size_t length)
{
	struct account_key key = {{0}};

	id_request_key(text, length, key.bytes);
	return key;
}

void id_public_format(const struct account_key *account, int64_t seq, char out[ID_PUBLIC_MAX])
{
	unsigned char name[ID_NAME_BYTES];
	uint64_t rest = (uint64_t)seq;

	CHECK(seq > 0);
	memcpy(name, account->bytes, ID_KEY_BYTES);
	for (size_t i = ID_NAME_BYTES; i > ID_KEY_BYTES; i--) {
		name[i - 1] = (unsigned char)(rest & 0xff);
		rest >>= 8;
	}
	CHECK(digest_base64url(name, sizeof(name), out) == ID_PUBLIC_MAX - 1);
}

int id_public_parse(const char *text, size_t length, struct account_key *account, int64_t *seq)
{
	unsigned char name[ID_NAME_BYTES];
	uint64_t value = 0;

	if (length != ID_PUBLIC_MAX - 1 || digest_unbase64url(text, length, name, sizeof(name)) < 0)
		return -1;
	for (size_t i = ID_KEY_BYTES; i < ID_NAME_BYTES; i++)
		value = value << 8 | name[i];
	if (value == 0 || value > INT64_MAX)
		return -1;
	memcpy(account->bytes, name, ID_KEY_BYTES);
	*seq = (int64_t)value;
	return 0;
}
