/*
 * ctl_key: makes an API key.
 */
#ifndef OCTROI_CTL_CTL_KEY_H
#define OCTROI_CTL_CTL_KEY_H

#include <stdint.h>

struct ctl;

#define KEY_TEXT_MAX 80

struct key {
	int64_t id;
	char text[KEY_TEXT_MAX];   /* the secret itself: the database keeps its digest only */
	char prefix[KEY_TEXT_MAX]; /* tells keys apart, in lists */
};

/* A key to be made.  account: of scope meter only, and member only with it.  expires_at_us: 0 for never. */
struct key_terms {
	const char *scope, *label, *account, *member;
	int64_t expires_at_us;
};

/* Makes a key of a known scope and stores its digest; CTL_OK, or CTL_FAILED, explained on stderr. */
int ctl_key_make(struct ctl *c, const struct key_terms *terms, struct key *made);

#endif
