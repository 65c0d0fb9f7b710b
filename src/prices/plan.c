#include "prices/plan.h"

#include <string.h>

/* The database keeps names of plans in ASCII, as the ids that they stand beside. */
static bool name_valid(const char *name)
{
	for (const char *c = name; *c != '\0'; c++)
		if ((unsigned char)*c >= 0x80)
			return false;
	return price_name_valid(name, PLAN_NAME_MAX);
}

static bool amount_valid(micros amount)
{
	return amount >= 0 && amount <= MONEY_AMOUNT_MAX_MICROS;
}

static bool lists_valid(const struct plan *p)
{
	if (p->action_count < 0 || p->action_count > PLAN_ACTIONS_MAX || p->model_count < 0 ||
	    p->model_count > PLAN_MODELS_MAX)
		return false;
	for (int i = 0; i < p->action_count; i++) {
		const struct plan_action *a = &p->actions[i];

		if (!price_name_valid(a->name, sizeof(a->name)) || !amount_valid(a->credits_micros))
			return false;
		for (int j = 0; j < i; j++)
			if (strcmp(a->name, p->actions[j].name) == 0)
				return false;
	}
	for (int i = 0; i < p->model_count; i++)
		if (!price_name_valid(p->models[i], PRICE_ITEM_MAX))
			return false;
	return true;
}

/* True if the plan's largest possible allowance is not over MONEY_AMOUNT_MAX_MICROS. */
static bool sum_valid(const struct plan *p)
{
	const __int128 sum = (__int128)p->pool_micros + (__int128)p->manager_micros * plan_seats(p, PLAN_MANAGER) +
	                     (__int128)p->member_micros * plan_seats(p, PLAN_MEMBER);

	return sum <= MONEY_AMOUNT_MAX_MICROS;
}

static bool scope_valid(const struct plan *p)
{
	switch (p->scope) {
	case PLAN_POOL:
		return p->manager_micros == 0 && p->member_micros == 0;
	case PLAN_SEAT:
		return p->pool_micros == 0;
	case PLAN_MIXED:
		return true;
	}
	return false;
}

bool plan_valid(const struct plan *p)
{
	const micros amounts[] = {p->pool_micros,     p->manager_micros,          p->member_micros,
	                          p->rollover_micros, p->expected_manager_micros, p->expected_member_micros,
	                          p->fee_minor};

	for (size_t i = 0; i < sizeof(amounts) / sizeof(amounts[0]); i++)
		if (!amount_valid(amounts[i]))
			return false;
	if (!name_valid(p->name) || (p->title[0] != '\0' && !price_name_valid(p->title, PLAN_TITLE_MAX)) ||
	    (p->unit != UNIT_MONEY && p->unit != UNIT_CREDIT))
		return false;
	if (p->managers_to < 0 || p->managers_to > PLAN_SEATS_MAX || p->seats_from < 0 || p->seats_to < 0 ||
	    p->seats_to > PLAN_SEATS_MAX || p->seats_from > plan_seats(p, PLAN_MEMBER))
		return false;
	return scope_valid(p) && lists_valid(p) && sum_valid(p);
}

int64_t plan_seats(const struct plan *p, enum plan_role role)
{
	if (role == PLAN_MANAGER)
		return p->managers_to;
	return p->seats_to != 0 ? p->seats_to : PLAN_SEATS_MAX;
}

micros plan_quota(const struct plan *p, enum plan_role role)
{
	return role == PLAN_MANAGER ? p->manager_micros : p->member_micros;
}

static micros quotas(const struct plan *p, enum plan_role role, int64_t people)
{
	const int64_t seats = plan_seats(p, role);

	return plan_quota(p, role) * (people < seats ? people : seats); /* fits: sum_valid checks it */
}

micros plan_allowance(const struct plan *p, int64_t managers, int64_t members)
{
	return p->pool_micros + quotas(p, PLAN_MANAGER, managers) + quotas(p, PLAN_MEMBER, members);
}

bool plan_action_price(const struct plan *p, const char *action, micros *credits_micros)
{
	for (int i = 0; i < p->action_count; i++) {
		if (strcmp(p->actions[i].name, action) != 0)
			continue;
		*credits_micros = p->actions[i].credits_micros;
		return true;
	}
	return false;
}

bool plan_allows_model(const struct plan *p, const char *model)
{
	for (int i = 0; i < p->model_count; i++)
		if (strcmp(p->models[i], model) == 0)
			return true;
	return p->model_count == 0;
}
