/*
 * diagnose: what an account's owner is told by GET /api/credits/diagnosis, for whoever answers the owner.  One thread.
 */
#ifndef OCTROI_CTL_DIAGNOSE_H
#define OCTROI_CTL_DIAGNOSE_H

#include "ctl/ctl.h"

/* Of the account, for the member ("" for none).  CTL_OK; CTL_NO or CTL_FAILED, explained. */
int diagnose_print(struct ctl *c, const char *name, const char *member, bool french);

#endif
