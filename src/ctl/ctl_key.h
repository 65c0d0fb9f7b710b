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

/* Makes a key of a known scope and stores its digest; CTL_OK, or CTL_FAILED, explained on stderr. */
int ctl_key_make(struct ctl *c, const char *scope, const char *label, struct key *made);

#endif
