/*
 * plans: stores the plans of a JSON document in the database, for octroictl plan and octroictl init.  Errors are
 * explained on stderr.
 */
#ifndef OCTROI_CTL_PLANS_H
#define OCTROI_CTL_PLANS_H

#include "ctl/ctl.h"
#include "prices/pricestore.h"

/* Stores all plans of text, or none.  text: a list of plans as in plan_json.h.  only_first: stores nothing if there is
 * a plan already. */
int plans_store(struct ctl *c, struct db *d, const char *note, const struct buf *text, bool only_first,
                struct pricestore_report *report);
/* Stores the plans of a file ("-": stdin) as plans_store does. */
int plans_import(struct ctl *c, struct db *d, const char *path, bool only_first, struct pricestore_report *report);

#endif
