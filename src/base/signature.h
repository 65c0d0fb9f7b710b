/*
 * signature: whether a webhook's raw body was signed by who holds the secret, and lately.  Stripe:
 * stripe-node src/Webhooks.ts (t=…,v1=hex, keyed with the whole text of the secret).  Svix, and so Clerk:
 * standard-webhooks spec ("v1,base64", keyed with what the text after whsec_ decodes to).  Several
 * secrets, blank- or comma-separated, may be in use while one is rolled.  Pure, thread-safe.
 */
#ifndef OCTROI_BASE_SIGNATURE_H
#define OCTROI_BASE_SIGNATURE_H

#include <stddef.h>
#include <stdint.h>

#define SIGNATURE_SKEW_MAX_S 300 /* either way; exactly that much passes */

enum signature_verdict {
	SIGNATURE_GOOD,
	SIGNATURE_MALFORMED, /* a header is absent or not of its form, or the body is empty */
	SIGNATURE_STALE,     /* signed, or said to be, more than SIGNATURE_SKEW_MAX_S from now */
	SIGNATURE_WRONG      /* nobody who holds a secret signed these bytes */
};
/* For the log: "good", "malformed", … */
const char *signature_verdict_name(enum signature_verdict v);

/* header: Stripe-Signature, NULL when absent. */
enum signature_verdict signature_stripe(const char *secrets, const char *header, const void *body,
                                        size_t length, int64_t now_s);

/* The three headers (svix-… or webhook-…), each NULL when absent. */
struct signature_svix {
	const char *id, *timestamp, *signature;
};
enum signature_verdict signature_svix(const char *secrets, const struct signature_svix *headers,
                                      const void *body, size_t length, int64_t now_s);

/* Whether the list holds at least one secret and each is long enough (32 bytes of key): anything else is
 * refused when octroi starts.  svix: keys are decoded first. */
enum signature_kind { SIGNATURE_STRIPE, SIGNATURE_SVIX };
int signature_check_secrets(const char *secrets, enum signature_kind kind);

#endif
