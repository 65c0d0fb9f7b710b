/*
 * plan_json: plans as JSON, in the database's columns and in files.  Figures are decimals of the plan's unit, numbers
 * or texts alike (json_parse with numbers_as_text).  Pure.
 */
#ifndef OCTROI_PRICES_PLAN_JSON_H
#define OCTROI_PRICES_PLAN_JSON_H

#include "base/json.h"
#include "prices/plan.h"

/* {"name", "title", "unit", "scope", "pool", "manager", "member", "managers", "seatsFrom", "seatsTo", "rollover",
 * "expectedManager", "expectedMember", "fee", "actions": {"name": credits}, "models": ["name"]}.  A missing figure is
 * 0, but for managers (1); a missing unit is "credit"; name and scope must be there.
 * decimals: of the currency's smallest unit, for fee.
 * NULL, or the problem: the wrong or unknown key, or a phrase if record is no record or plan_valid is false. */
const char *plan_json_read(const struct json *record, int decimals, struct plan *p);

/* Read {"name": credits} and ["name"]; false when the value has another form or does not fit into a plan. */
bool plan_json_read_actions(const struct json *actions, struct plan *p);
bool plan_json_read_models(const struct json *models, struct plan *p);
void plan_json_write_actions(const struct plan *p, struct json_writer *w, const char *key);
void plan_json_write_models(const struct plan *p, struct json_writer *w, const char *key);

/* "pool", "seat", "mixed"; -1 for any other name. */
int plan_json_scope(const char *name);
const char *plan_json_scope_name(enum plan_scope scope);

#endif
