/*
 * webhook: posts a message to an endpoint, signed as Standard Webhooks 1.0 says: "v1," and the base64 of the HMAC of
 * id.timestamp.body by SHA-256, one signature for each secret.  Never logs; no result holds the address or a secret.
 * Thread-safe; waits on the calling thread.
 */
#ifndef OCTROI_CLIENTS_WEBHOOK_H
#define OCTROI_CLIENTS_WEBHOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEBHOOK_SECRET_BYTES 32    /* of a new secret; the standard allows 24 to 64 */
#define WEBHOOK_SECRET_TEXT_MAX 64 /* "whsec_" and its base64 */
#define WEBHOOK_SECRETS_MAX 2      /* while one is rolled */
#define WEBHOOK_SIGNATURE_MAX 128  /* of all secrets */
#define WEBHOOK_URL_MAX 1024
#define WEBHOOK_ERROR_MAX 256
#define WEBHOOK_PATIENCE_US INT64_C(15000000)

struct webhook_secret {
	unsigned char bytes[WEBHOOK_SECRET_BYTES];
};

struct webhook {
	const char *url;     /* https, or http where inside */
	bool inside;         /* may be of this machine or of a private net */
	const char *ca_file; /* NULL or "": the system's */
	const char *id;      /* of the message; the same at each attempt */
	const char *body;
	struct webhook_secret secrets[WEBHOOK_SECRETS_MAX];
	int secret_count;
};

struct webhook_result {
	int status;             /* 0: no answer came */
	bool taken;             /* 2xx */
	int64_t retry_after_us; /* as the answer asks; 0: it does not */
	int64_t took_us;
	char error[WEBHOOK_ERROR_MAX]; /* "" when taken */
};

/* Posts the message, and ends after WEBHOOK_PATIENCE_US. */
void webhook_send(const struct webhook *w, struct webhook_result *result);

/* Writes the value of webhook-signature.  0, or -1 when memory is short. */
int webhook_sign(const struct webhook *w, int64_t timestamp_s, char out[WEBHOOK_SIGNATURE_MAX]);
/* "whsec_…", as a receiver's library takes it. */
void webhook_secret_format(const struct webhook_secret *secret, char out[WEBHOOK_SECRET_TEXT_MAX]);
/* NULL, or a sentence why an address cannot be an endpoint's. */
const char *webhook_url_wrong(const char *url, bool inside);

#endif
