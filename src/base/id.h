/*
 * id: the names that cross the HTTP border.  An account's key is derived from the application's own
 * id.  A hold's name holds its account's key and its number within the account.  So the name of a
 * hold gives the row to lock, and no index is needed to find it.  Pure, thread-safe.
 */
#ifndef OCTROI_BASE_ID_H
#define OCTROI_BASE_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ID_KEY_BYTES 16
#define ID_ACCOUNT_MAX 128
#define ID_REQUEST_MAX 128
#define ID_PUBLIC_MAX 33 /* 24 bytes in base64url, and a NUL */

struct account_key {
	unsigned char bytes[ID_KEY_BYTES];
};

/* 1 to 128 of A-Z a-z 0-9 . _ : @ - */
bool id_account_valid(const char *text, size_t length);
/* 1 to 128 printable ASCII characters without blanks. */
bool id_request_valid(const char *text, size_t length);

/* First 16 bytes of SHA-256. */
struct account_key id_account_key(const char *text, size_t length);
void id_request_key(const char *text, size_t length, unsigned char out[ID_KEY_BYTES]);

/* Public name of row seq (> 0) of an account, and back; -1 when text is no such name. */
void id_public_format(const struct account_key *account, int64_t seq, char out[ID_PUBLIC_MAX]);
int id_public_parse(const char *text, size_t length, struct account_key *account, int64_t *seq);

#endif
