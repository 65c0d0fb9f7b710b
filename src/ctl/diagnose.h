/*
 * diagnose: the answer of GET /api/credits/diagnosis to an account's owner, printed for the operator.  One thread.
 */
#ifndef OCTROI_CTL_DIAGNOSE_H
#define OCTROI_CTL_DIAGNOSE_H

#include "ctl/ctl.h"

/* Prints the diagnosis of the account, for the member ("": none).  CTL_OK; CTL_NO or CTL_FAILED, explained. */
int diagnose_print(struct ctl *c, const char *name, const char *member, bool french);

#endif
