#include "base/signature.h"

#include <stdbool.h>
#include <string.h>

#include "base/check.h"
#include "base/digest.h"

#define SECRET_SEPARATORS " \t,"
#define SECRET_MAX_BYTES 512
#define SVIX_PREFIX "whsec_"
#define SVIX_KEY_MIN_BYTES 24 /* standard-webhooks: 24 to 64; Svix makes 24 */
#define HEX_CHARACTERS ((size_t)2 * DIGEST_BYTES)
#define BASE64_CHARACTERS ((size_t)44) /* of a digest, with its one '=' */
#define TIME_DIGITS_MAX 12

struct span {
	const char *text;
	size_t length;
};

const char *signature_verdict_name(enum signature_verdict v)
{
	static const char *const names[] = {
		[SIGNATURE_GOOD] = "good",
		[SIGNATURE_MALFORMED] = "malformed",
		[SIGNATURE_STALE] = "stale",
		[SIGNATURE_WRONG] = "wrong",
	};

	return names[v];
}

/* The next piece of a list; false at its end.  Separators stand between pieces. */
static bool next_piece(const char **rest, const char *separators, struct span *piece)
{
	if (*rest == NULL)
		return false;
	piece->text = *rest;
	piece->length = strcspn(*rest, separators);
	*rest = piece->text[piece->length] != '\0' ? piece->text + piece->length + 1 : NULL;
	return true;
}

/* The next secret; any number of blanks and commas may stand between them. */
static bool next_secret(const char **rest, struct span *secret)
{
	while (next_piece(rest, SECRET_SEPARATORS, secret))
		if (secret->length > 0)
			return true;
	return false;
}

static bool has_prefix(const struct span *s, const char *prefix)
{
	return s->length >= strlen(prefix) && strncmp(s->text, prefix, strlen(prefix)) == 0;
}

/* Seconds since 1970 as their plain decimal number; -1 for anything else. */
static int64_t read_signed_time(const struct span *s)
{
	int64_t value = 0;

	if (s->length == 0 || s->length > TIME_DIGITS_MAX || s->text[0] == '0')
		return -1;
	for (size_t i = 0; i < s->length; i++) {
		if (s->text[i] < '0' || s->text[i] > '9')
			return -1;
		value = value * 10 + (s->text[i] - '0');
	}
	return value;
}

static bool is_lately(int64_t signed_s, int64_t now_s)
{
	return signed_s - now_s <= SIGNATURE_SKEW_MAX_S && now_s - signed_s <= SIGNATURE_SKEW_MAX_S;
}

/* ---- keys -------------------------------------------------------------------------------------- */

/* Base64 with padding (RFC 4648 section 4) as bytes; their number, or -1. */
static int unbase64(const struct span *s, unsigned char *out, size_t max)
{
	char url[SECRET_MAX_BYTES];
	size_t length = s->length;

	if (length > sizeof(url))
		return -1;
	for (int padding = 0; padding < 2 && length > 0 && s->length % 4 == 0; padding++)
		length -= s->text[length - 1] == '=' ? 1 : 0;
	for (size_t i = 0; i < length; i++) {
		const char c = s->text[i];

		if (c == '-' || c == '_')
			return -1;
		url[i] = c;
		if (c == '+')
			url[i] = '-';
		else if (c == '/')
			url[i] = '_';
	}
	return digest_unbase64url(url, length, out, max);
}

struct key {
	unsigned char bytes[SECRET_MAX_BYTES];
	size_t length;
};

/* The secret's key; false when it has too few or too many bytes, or (Svix) is no base64. */
static bool read_secret(const struct span *secret, enum signature_kind kind, struct key *key)
{
	struct span text = *secret;
	int decoded;

	memset(key, 0, sizeof(*key));
	if (kind == SIGNATURE_STRIPE) {
		if (text.length < DIGEST_KEY_MIN_BYTES || text.length > sizeof(key->bytes))
			return false;
		memcpy(key->bytes, text.text, text.length);
		key->length = text.length;
		return true;
	}
	if (has_prefix(&text, SVIX_PREFIX)) {
		text.text += strlen(SVIX_PREFIX);
		text.length -= strlen(SVIX_PREFIX);
	}
	decoded = unbase64(&text, key->bytes, sizeof(key->bytes));
	if (decoded < SVIX_KEY_MIN_BYTES)
		return false;
	/* HMAC itself fills a short key up with zeros (RFC 2104), so the zeros here do not change the result. */
	key->length = decoded < DIGEST_KEY_MIN_BYTES ? DIGEST_KEY_MIN_BYTES : (size_t)decoded;
	return true;
}

int signature_check_secrets(const char *secrets, enum signature_kind kind)
{
	struct span secret;
	struct key key;
	int count = 0;

	while (next_secret(&secrets, &secret)) {
		if (!read_secret(&secret, kind, &key))
			return -1;
		count++;
	}
	return count > 0 ? 0 : -1;
}

/* ---- Stripe ------------------------------------------------------------------------------------ */

static void to_hex(const unsigned char digest[DIGEST_BYTES], char hex[HEX_CHARACTERS])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < DIGEST_BYTES; i++) {
		hex[2 * i] = digits[digest[i] >> 4];
		hex[2 * i + 1] = digits[digest[i] & 15];
	}
}

/* Reads the time t; false unless the header has exactly one t and at least one v1. */
static bool read_stripe_header(const char *header, struct span *time)
{
	struct span item;
	bool any = false;

	time->text = NULL;
	time->length = 0;
	while (next_piece(&header, ",", &item)) {
		any = any || has_prefix(&item, "v1=");
		if (!has_prefix(&item, "t="))
			continue;
		if (time->text != NULL)
			return false;
		time->text = item.text + 2;
		time->length = item.length - 2;
	}
	return any && time->text != NULL;
}

/* True if one of the header's v1 equals hex.  v0 is a decoy; a v1 of another length is passed over. */
static bool has_v1(const char *header, const char hex[HEX_CHARACTERS])
{
	struct span item;
	bool found = false;

	while (next_piece(&header, ",", &item))
		if (has_prefix(&item, "v1=") && item.length == 3 + HEX_CHARACTERS)
			found |= digest_equal(item.text + 3, hex, HEX_CHARACTERS);
	return found;
}

enum signature_verdict signature_stripe(const char *secrets, const char *header, const void *body, size_t length,
                                        int64_t now_s)
{
	struct span time, secret;
	int64_t signed_s;
	bool good = false;

	if (header == NULL || length == 0 || !read_stripe_header(header, &time))
		return SIGNATURE_MALFORMED;
	signed_s = read_signed_time(&time);
	if (signed_s < 0)
		return SIGNATURE_MALFORMED;
	while (next_secret(&secrets, &secret)) {
		const struct digest_piece pieces[] = {{time.text, time.length}, {".", 1}, {body, length}};
		unsigned char digest[DIGEST_BYTES];
		char hex[HEX_CHARACTERS];

		if (digest_hmac_sha256_pieces(secret.text, secret.length, pieces, 3, digest) != 0)
			continue;
		to_hex(digest, hex);
		good |= has_v1(header, hex);
	}
	if (!good)
		return SIGNATURE_WRONG;
	return is_lately(signed_s, now_s) ? SIGNATURE_GOOD : SIGNATURE_STALE;
}

/* ---- Svix -------------------------------------------------------------------------------------- */

static void to_base64(const unsigned char digest[DIGEST_BYTES], char text[BASE64_CHARACTERS + 1])
{
	size_t length = digest_base64url(digest, DIGEST_BYTES, text);

	CHECK(length == BASE64_CHARACTERS - 1);
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '-')
			text[i] = '+';
		else if (text[i] == '_')
			text[i] = '/';
	}
	text[length] = '=';
	text[BASE64_CHARACTERS] = '\0';
}

static bool has_svix_v1(const char *header, const char text[BASE64_CHARACTERS])
{
	struct span item;
	bool found = false;

	while (next_piece(&header, " ", &item))
		if (has_prefix(&item, "v1,") && item.length == 3 + BASE64_CHARACTERS)
			found |= digest_equal(item.text + 3, text, BASE64_CHARACTERS);
	return found;
}

static bool svix_signed_with(const struct span *secret, const struct signature_svix *h, const void *body, size_t length)
{
	const struct digest_piece pieces[] = {
		{h->id, strlen(h->id)}, {".", 1}, {h->timestamp, strlen(h->timestamp)}, {".", 1}, {body, length},
	};
	unsigned char digest[DIGEST_BYTES];
	char text[BASE64_CHARACTERS + 1];
	struct key key;

	if (!read_secret(secret, SIGNATURE_SVIX, &key) ||
	    digest_hmac_sha256_pieces(key.bytes, key.length, pieces, 5, digest) != 0)
		return false;
	to_base64(digest, text);
	return has_svix_v1(h->signature, text);
}

enum signature_verdict signature_svix(const char *secrets, const struct signature_svix *headers, const void *body,
                                      size_t length, int64_t now_s)
{
	struct span time, secret;
	int64_t signed_s;
	bool good = false;

	if (headers->id == NULL || headers->id[0] == '\0' || headers->timestamp == NULL || headers->signature == NULL ||
	    length == 0)
		return SIGNATURE_MALFORMED;
	time.text = headers->timestamp;
	time.length = strlen(headers->timestamp);
	signed_s = read_signed_time(&time);
	/* The id stands before a dot, so it may hold none. */
	if (signed_s < 0 || strchr(headers->id, '.') != NULL)
		return SIGNATURE_MALFORMED;
	while (next_secret(&secrets, &secret))
		good |= svix_signed_with(&secret, headers, body, length);
	if (!good)
		return SIGNATURE_WRONG;
	return is_lately(signed_s, now_s) ? SIGNATURE_GOOD : SIGNATURE_STALE;
}
