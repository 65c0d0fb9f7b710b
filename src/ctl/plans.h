/*
 * plans: plans out of a JSON document into the database, for octroictl plan and octroictl init.  What is wrong is
 * said on stderr.
 */
#ifndef OCTROI_CTL_PLANS_H
#define OCTROI_CTL_PLANS_H

#include "ctl/ctl.h"
#include "prices/pricestore.h"

/* text: a list of plans, plan_json.h; all of them are stored, or none.  only_first: nothing if there is a plan
 * already. */
int plans_store(struct ctl *c, struct db *d, const char *note, const struct buf *text, bool only_first,
                struct pricestore_report *report);
/* Those of a file, "-" for stdin. */
int plans_import(struct ctl *c, struct db *d, const char *path, bool only_first, struct pricestore_report *report);

#endif
