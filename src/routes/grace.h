/*
 * grace: the member `grace` of an authorize and of its answer.  octroi signs what it gives, and takes no other use.
 */
#ifndef OCTROI_ROUTES_GRACE_H
#define OCTROI_ROUTES_GRACE_H

#include "routes/api/call.h"
#include "routes/api/parse.h"

/* The words of a place about the grace that it used, beside the arguments of the command. */
struct grace_claim {
	int64_t limit_micros, ends_at_s;
	const char *signature; /* NULL: no use */
};

/* Reads the member, if it is there. */
void grace_parse(struct parse *p, struct command *command, struct grace_claim *claim);

/* Refuses a claim that octroi did not sign, and makes the key known for grace_put.  False, rendered. */
bool grace_admit(struct call *c, const struct command *command, const struct grace_claim *claim);

/* Writes the member where the request asked for a grace: null if there is none. */
void grace_put(struct json_writer *w, const struct call *c, const struct command *command);

#endif
