#define _GNU_SOURCE
/* OpenSSL prefers its EVP functions, which allocate for each hash.  The callers here have no way to report that memory
 * is short. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/digest.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdint.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"

#define GETENTROPY_MAX 256
/* The options that libssl asks for when it begins. */
#define BEGUN \
	(OPENSSL_INIT_ADD_ALL_CIPHERS | OPENSSL_INIT_ADD_ALL_DIGESTS | OPENSSL_INIT_LOAD_CONFIG | \
	 OPENSSL_INIT_LOAD_CRYPTO_STRINGS)

/* Fetched once and never freed: a fetch by name takes locks. */
static pthread_once_t digest_once = PTHREAD_ONCE_INIT;
static EVP_MAC *digest_mac;

static void *watched_alloc(size_t bytes, const char *file, int line)
{
	(void)file;
	(void)line;
	return memory_alloc(bytes);
}

static void *watched_realloc(void *memory, size_t bytes, const char *file, int line)
{
	(void)file;
	(void)line;
	return memory_realloc(memory, bytes);
}

static void watched_free(void *memory, const char *file, int line)
{
	(void)file;
	(void)line;
	memory_free(memory);
}

static void digest_fetch(void)
{
	digest_mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
}

int digest_watch_memory(void)
{
	CHECK(CRYPTO_set_mem_functions(watched_alloc, watched_realloc, watched_free) == 1);
	if (OPENSSL_init_crypto(BEGUN, NULL) != 1)
		return -1;
	/* OpenSSL may have begun without the providers that EVP_MAC_fetch needs. */
	CHECK(pthread_once(&digest_once, digest_fetch) == 0);
	return digest_mac != NULL ? 0 : -1;
}

void digest_sha256_pieces(const struct digest_piece *pieces, size_t count, unsigned char out[DIGEST_BYTES])
{
	SHA256_CTX context;

	CHECK(SHA256_Init(&context) == 1);
	for (size_t i = 0; i < count; i++) {
		if (pieces[i].length > 0)
			CHECK(SHA256_Update(&context, pieces[i].bytes, pieces[i].length) == 1);
	}
	CHECK(SHA256_Final(out, &context) == 1);
}

void digest_sha256(const void *bytes, size_t length, unsigned char out[DIGEST_BYTES])
{
	const struct digest_piece piece = {.bytes = bytes, .length = length};

	digest_sha256_pieces(&piece, 1, out);
}

int digest_hmac_sha256_pieces(const void *key, size_t key_length, const struct digest_piece *pieces, size_t count,
                              unsigned char out[DIGEST_BYTES])
{
	char name[] = "SHA256";
	const OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC_CTX *context;
	size_t written = 0;
	bool done;

	if (key_length < DIGEST_KEY_MIN_BYTES)
		return -1;
	CHECK(pthread_once(&digest_once, digest_fetch) == 0 && digest_mac != NULL);
	context = EVP_MAC_CTX_new(digest_mac);
	done = context != NULL && EVP_MAC_init(context, key, key_length, parameters) == 1;
	for (size_t i = 0; i < count && done; i++)
		done = pieces[i].length == 0 || EVP_MAC_update(context, pieces[i].bytes, pieces[i].length) == 1;
	done = done && EVP_MAC_final(context, out, &written, DIGEST_BYTES) == 1;
	EVP_MAC_CTX_free(context);
	CHECK(done ? written == DIGEST_BYTES : memory_was_short());
	return done ? 0 : -1;
}

int digest_hmac_sha256(const void *key, size_t key_length, const void *bytes, size_t length,
                       unsigned char out[DIGEST_BYTES])
{
	const struct digest_piece piece = {.bytes = bytes, .length = length};

	return digest_hmac_sha256_pieces(key, key_length, &piece, 1, out);
}

bool digest_equal(const void *a, const void *b, size_t length)
{
	return CRYPTO_memcmp(a, b, length) == 0;
}

void digest_random(void *out, size_t length)
{
	CHECK(length <= INT_MAX);
	/* OpenSSL's generator needs memory at times, the kernel's never. */
	CHECK(RAND_bytes(out, (int)length) == 1 || (length <= GETENTROPY_MAX && getentropy(out, length) == 0));
}

size_t digest_base64(const void *bytes, size_t length, char *out)
{
	CHECK(length <= INT_MAX / 2);
	return (size_t)EVP_EncodeBlock((unsigned char *)out, bytes, (int)length);
}

size_t digest_base64url(const void *bytes, size_t length, char *out)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				       "0123456789-_";
	const unsigned char *byte = bytes;
	size_t written = 0;
	uint32_t pending = 0;
	int bits = 0;

	for (size_t i = 0; i < length; i++) {
		pending = (pending << 8 | byte[i]) & 0xffff;
		for (bits += 8; bits >= 6; bits -= 6)
			out[written++] = alphabet[pending >> (bits - 6) & 63];
	}
	if (bits > 0)
		out[written++] = alphabet[pending << (6 - bits) & 63];
	out[written] = '\0';
	return written;
}

static int base64url_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '-')
		return 62;
	return c == '_' ? 63 : -1;
}

int digest_unbase64url(const char *text, size_t length, void *out, size_t max)
{
	unsigned char *byte = out;
	size_t written = 0;
	uint32_t pending = 0;
	int bits = 0;

	if (length % 4 == 1 || length > INT_MAX || length * 3 / 4 > max)
		return -1;
	for (size_t i = 0; i < length; i++) {
		int value = base64url_value(text[i]);

		if (value < 0)
			return -1;
		pending = (pending << 6 | (uint32_t)value) & 0xffff;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			byte[written++] = (unsigned char)(pending >> bits & 0xff);
		}
	}
	/* Unused bits must be zero, or one value would have several names. */
	if ((pending & ((1U << bits) - 1)) != 0)
		return -1;
	return (int)written;
}
