/*
 * plan: the allowance that an account gets each month, and the prices that it pays for actions.  A version of a plan
 * never changes; the book holds all versions.  Pure.
 */
#ifndef OCTROI_PRICES_PLAN_H
#define OCTROI_PRICES_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/money.h"
#include "prices/price.h"

#define PLAN_NAME_MAX 64
#define PLAN_TITLE_MAX 101
#define PLAN_ACTIONS_MAX 64
#define PLAN_MODELS_MAX 64
#define PLAN_SEATS_MAX 100000

/* POOL: one allowance for all.  SEAT: one for each person, which the others cannot use up.  MIXED: both. */
enum plan_scope { PLAN_POOL, PLAN_SEAT, PLAN_MIXED };
enum plan_role { PLAN_MEMBER, PLAN_MANAGER }; /* as members.role */

struct plan_action {
	char name[PRICE_ITEM_MAX];
	micros credits_micros;
};

struct plan {
	char name[PLAN_NAME_MAX], title[PLAN_TITLE_MAX];
	int64_t version, starts_at_us; /* of its price version */
	enum account_unit unit;
	enum plan_scope scope;
	micros pool_micros;                   /* 0 where scope is SEAT */
	micros manager_micros, member_micros; /* each person's; 0 where scope is POOL */
	int64_t managers_to;                  /* managers who get an allowance of their own */
	int64_t seats_from, seats_to;         /* members beside managers; seats_to 0: any number */
	micros rollover_micros;               /* the most of a period's remainder that stays; 0: all of it expires */
	micros expected_manager_micros, expected_member_micros; /* a person's use in a month, for the capacity report */
	int64_t fee_minor;                                      /* the plan's price for a month */
	int action_count, model_count;                          /* model_count 0: all models */
	struct plan_action actions[PLAN_ACTIONS_MAX];
	char models[PLAN_MODELS_MAX][PRICE_ITEM_MAX];
};

/* True if the plan may be used: valid names (the plan's in ASCII), no negative figure, no figure over its maximum,
 * seats in order, no action twice.  The allowance for the most people that there can be must not exceed the maximum. */
bool plan_valid(const struct plan *p);
/* A person's own allowance; 0 where the scope is POOL. */
micros plan_quota(const struct plan *p, enum plan_role role);
/* How many people of a role get an allowance of their own. */
int64_t plan_seats(const struct plan *p, enum plan_role role);
/* The allowance of a period for so many people; people beyond the seats add nothing. */
micros plan_allowance(const struct plan *p, int64_t managers, int64_t members);
/* True if the plan sets the action's price, which is then in *credits_micros. */
bool plan_action_price(const struct plan *p, const char *action, micros *credits_micros);
bool plan_allows_model(const struct plan *p, const char *model);

#endif
