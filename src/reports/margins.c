#include "reports/margins.h"

#include <string.h>

/* A name has a few parts: one for each unit, kind, margin and credit value that it was used at. */
#define PARTS_PER_NAME 8
#define PARTS_MIN 64

static void add_margin(const struct margins_options *o, struct report_margin *m, const struct insight_part *p)
{
	const struct report_part part = {
		.unit = (enum account_unit)p->unit,
		.kind = (enum price_kind)p->kind,
		.requests = p->requests,
		.margin_ppm = p->margin_ppm,
		.credit_value_ppm = p->credit_value_ppm > 0 ? p->credit_value_ppm : o->credit_value_ppm,
		.cost = p->cost_micros,
	};

	if (p->part == INSIGHT_USE)
		report_add_use(m, &part);
	else if (p->part == INSIGHT_GIVEN)
		report_add_given(m, &part);
	else
		report_add_fees(m, p->cost_micros, o->decimals);
}

int margins_read(struct db *d, struct arena *a, const struct margins_options *o, struct margins_row **rows, int *count,
                 bool *more)
{
	const int parts_max = o->limit * PARTS_PER_NAME + PARTS_MIN;
	struct insight_part *parts = NULL;
	int part_count = 0;

	*count = 0;
	*rows = arena_alloc(a, (size_t)o->limit * sizeof(**rows));
	if (*rows == NULL || insight_margin(d, a, &o->span, o->by, o->after, parts_max, &parts, &part_count, more) < 0)
		return -1;
	for (int i = 0; i < part_count; i++) {
		if (*count == 0 || strcmp((*rows)[*count - 1].name, parts[i].name) != 0) {
			if (*count == o->limit) {
				*more = true;
				return 0;
			}
			(*rows)[(*count)++].name = parts[i].name;
		}
		add_margin(o, &(*rows)[*count - 1].sums, &parts[i]);
	}
	/* The last name is left out: its other parts may not have been read. */
	if (!*more)
		return 0;
	(*count)--;
	return *count > 0 ? 0 : -1;
}

struct report_margin margins_total(const struct margins_row *rows, int count)
{
	struct report_margin total = {0};

	for (int i = 0; i < count; i++) {
		total.requests += rows[i].sums.requests;
		total.used += rows[i].sums.used;
		total.given += rows[i].sums.given;
		total.fees += rows[i].sums.fees;
		total.provider += rows[i].sums.provider;
	}
	return total;
}

int margins_by(const char *name)
{
	static const char *const names[] = {
		[INSIGHT_PLAN] = "plan",
		[INSIGHT_WORKSPACE] = "workspace",
		[INSIGHT_MODEL] = "model",
		[INSIGHT_DAY] = "day",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return (int)i;
	return -1;
}
