#include "ctl/plans.h"

#include <stdlib.h>
#include <string.h>

#include "clients/stripe.h"
#include "options.h"
#include "prices/plan_json.h"

#define FILE_BYTES_MAX ((size_t)4 * 1024 * 1024)
#define PLANS_MAX 1000

static int store_plan(struct ctl *c, struct db *d, struct pricestore_change *change, struct pricestore_report *report)
{
	change->terms = options_prices(c->config);
	switch (pricestore_add(d, change, report)) {
	case PRICESTORE_STORED:
	case PRICESTORE_UNCHANGED:
		return CTL_OK;
	case PRICESTORE_PAST:
	case PRICESTORE_FAULT:
		break;
	}
	return ctl_fail("the database did not take the plans; it can be repeated");
}

static int read_plan_file(const struct ctl *c, const struct json *list, struct plan *plans)
{
	const int decimals = stripe_decimals(c->config->currency);

	for (size_t i = 0; i < json_size(list); i++) {
		const char *wrong = plan_json_read(json_at(list, i), decimals, &plans[i]);

		if (wrong != NULL)
			return ctl_fail("plan '%s': %s is wrong", plans[i].name, wrong);
		for (size_t j = 0; j < i; j++)
			if (strcmp(plans[j].name, plans[i].name) == 0)
				return ctl_fail("plan '%s' is there twice", plans[i].name);
	}
	return CTL_OK;
}

static int store_plans(struct ctl *c, struct db *d, struct pricestore_change *change, const struct json *list,
                       struct pricestore_report *report)
{
	struct plan *plans;
	int result;

	if (json_type(list) != JSON_LIST || json_size(list) > PLANS_MAX)
		return ctl_fail("that is no list of at most %d plans", PLANS_MAX);
	plans = calloc(json_size(list) + 1, sizeof(*plans));
	if (plans == NULL)
		return ctl_fail("out of memory");
	change->plans = plans;
	change->plan_count = json_size(list);
	result = read_plan_file(c, list, plans);
	if (result == CTL_OK)
		result = store_plan(c, d, change, report);
	free(plans);
	return result;
}

int plans_store(struct ctl *c, struct db *d, const char *note, const struct buf *text, bool only_first,
                struct pricestore_report *report)
{
	struct pricestore_change change = {.note = note, .first_plans = only_first};
	char error[JSON_ERROR_MAX];
	struct json *list = buf_ok(text) ? json_parse(buf_text(text), text->length, true, error) : NULL;
	int result;

	if (list == NULL)
		return ctl_fail("the plans cannot be read: %s", buf_ok(text) ? error : "they are too many");
	result = store_plans(c, d, &change, list, report);
	json_free(list);
	return result;
}

int plans_import(struct ctl *c, struct db *d, const char *path, bool only_first, struct pricestore_report *report)
{
	struct buf text;
	int result;

	buf_init(&text, FILE_BYTES_MAX);
	result = ctl_read(path, &text);
	if (result == CTL_OK)
		result = plans_store(c, d, only_first ? "first plans" : "plan import", &text, only_first, report);
	buf_free(&text);
	return result;
}
