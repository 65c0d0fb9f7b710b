/*
 * digest: SHA-256, HMAC-SHA-256, random bytes, constant-time comparison and base64url (OpenSSL;
 * the only file that includes it).  A failure inside OpenSSL is a bug, unless stated otherwise.
 * Thread-safe.
 */
#ifndef OCTROI_BASE_DIGEST_H
#define OCTROI_BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

#define DIGEST_BYTES 32
#define DIGEST_KEY_MIN_BYTES 32

/* Makes OpenSSL allocate so that a shortage is noted (memory.h), and begins OpenSSL.  Call it before any other use of
 * OpenSSL, also by other libraries.  -1 when memory was short for that: OpenSSL never tries again, and other libraries
 * do not check that it has begun. */
int digest_watch_memory(void);

void digest_sha256(const void *bytes, size_t length, unsigned char out[DIGEST_BYTES]);
/* Hashes several pieces in one call, instead of a copy of all of them. */
struct digest_piece {
	const void *bytes;
	size_t length;
};
void digest_sha256_pieces(const struct digest_piece *pieces, size_t count, unsigned char out[DIGEST_BYTES]);

/* -1 and nothing written when the key is shorter than DIGEST_KEY_MIN_BYTES or memory is short; else
 * 0.  An empty secret would make every signature computable (New API CVE-2026-41432). */
int digest_hmac_sha256(const void *key, size_t key_length, const void *bytes, size_t length,
                       unsigned char out[DIGEST_BYTES]);
int digest_hmac_sha256_pieces(const void *key, size_t key_length, const struct digest_piece *pieces, size_t count,
                              unsigned char out[DIGEST_BYTES]);
bool digest_equal(const void *a, const void *b, size_t length); /* constant time */
void digest_random(void *out, size_t length);

/* base64 with padding (RFC 4648 section 4).  Writes (length+2)/3*4 characters and NUL.  Returns the number of
 * characters. */
size_t digest_base64(const void *bytes, size_t length, char *out);

/* base64url without padding (RFC 4648 section 5).  The encoder writes (length*4+2)/3 characters and
 * a NUL.  The decoder returns the number of bytes, or -1 (other characters, impossible length,
 * unused bits set, more than max). */
size_t digest_base64url(const void *bytes, size_t length, char *out);
int digest_unbase64url(const char *text, size_t length, void *out, size_t max);

#endif
