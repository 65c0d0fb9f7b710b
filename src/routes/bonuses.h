/*
 * bonuses: the sign-up bonus as the configuration offers it.
 */
#ifndef OCTROI_ROUTES_BONUSES_H
#define OCTROI_ROUTES_BONUSES_H

#include "routes/api/call.h"

/* Fills in a BONUS or SIGNUP command, but not the person: email, person and name are "".  -1 when memory is short. */
int bonuses_offer(const struct call *c, struct command *command);

#endif
