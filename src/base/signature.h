/*
 * signature: checks that a webhook's raw body was signed by a holder of the secret, and lately.  Stripe:
 * stripe-node src/Webhooks.ts (t=…,v1=hex, keyed with the whole text of the secret).  Svix, and so Clerk:
 * standard-webhooks spec ("v1,base64", keyed with the decoded text after whsec_).  Several secrets,
 * blank- or comma-separated, may be in use while one is rolled.  Pure, thread-safe.
 */
#ifndef OCTROI_BASE_SIGNATURE_H
#define OCTROI_BASE_SIGNATURE_H

#include <stddef.h>
#include <stdint.h>

#define SIGNATURE_SKEW_MAX_S 300 /* either way; exactly that much passes */

enum signature_verdict {
	SIGNATURE_GOOD,
	SIGNATURE_MALFORMED, /* a header is absent or not of its form, or the body is empty */
	SIGNATURE_STALE,     /* the signed time is more than SIGNATURE_SKEW_MAX_S from now */
	SIGNATURE_WRONG      /* these bytes were signed with none of the secrets */
};
/* For the log: "good", "malformed", … */
const char *signature_verdict_name(enum signature_verdict v);

/* header: Stripe-Signature, NULL when absent. */
enum signature_verdict signature_stripe(const char *secrets, const char *header, const void *body, size_t length,
                                        int64_t now_s);

/* The three headers (svix-… or webhook-…), each NULL when absent. */
struct signature_svix {
	const char *id, *timestamp, *signature;
};
enum signature_verdict signature_svix(const char *secrets, const struct signature_svix *headers, const void *body,
                                      size_t length, int64_t now_s);

/* 0 if the list holds at least one secret and each has a key of good length, else -1: octroi refuses to
 * start then.  Stripe: at least 32 bytes.  Svix: at least 24 bytes, after decoding. */
enum signature_kind { SIGNATURE_STRIPE, SIGNATURE_SVIX };
int signature_check_secrets(const char *secrets, enum signature_kind kind);

#endif
