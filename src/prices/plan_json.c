#include "prices/plan_json.h"

#include <string.h>

static const char *const scopes[] = {[PLAN_POOL] = "pool", [PLAN_SEAT] = "seat", [PLAN_MIXED] = "mixed"};

#define SCOPES ((int)(sizeof(scopes) / sizeof(scopes[0])))

int plan_json_scope(const char *name)
{
	for (int i = 0; i < SCOPES; i++)
		if (strcmp(scopes[i], name) == 0)
			return i;
	return -1;
}

const char *plan_json_scope_name(enum plan_scope scope)
{
	return scopes[scope];
}

/* Copies a text; false when the value is no text, does not fit, or contains a NUL. */
static bool read_plan_text(const struct json *value, char *out, size_t max)
{
	const char *text;
	size_t length;

	if (value == NULL || json_type(value) != JSON_TEXT)
		return false;
	text = json_text(value, &length);
	if (length >= max || strlen(text) != length)
		return false;
	memcpy(out, text, length + 1);
	return true;
}

/* Reads a decimal >= 0 with so many places.  A missing value leaves *out as it is. */
static bool read_decimal(const struct json *value, int scale, int64_t *out)
{
	const char *text;
	size_t length;

	if (value == NULL)
		return true;
	if (json_type(value) != JSON_TEXT)
		return false;
	text = json_text(value, &length);
	return decimal_parse(text, length, scale, false, out) == 0 && *out >= 0;
}

static int take_action(void *context, const char *key, const struct json *value)
{
	struct plan *p = context;
	struct plan_action *a = &p->actions[p->action_count];

	if (p->action_count == PLAN_ACTIONS_MAX || strlen(key) >= sizeof(a->name) ||
	    !read_decimal(value, 6, &a->credits_micros))
		return -1;
	strncat(a->name, key, sizeof(a->name) - 1);
	p->action_count++;
	return 0;
}

bool plan_json_read_actions(const struct json *actions, struct plan *p)
{
	p->action_count = 0;
	memset(p->actions, 0, sizeof(p->actions));
	return json_type(actions) == JSON_RECORD && json_each(actions, take_action, p) == 0;
}

bool plan_json_read_models(const struct json *models, struct plan *p)
{
	p->model_count = 0;
	if (json_type(models) != JSON_LIST || json_size(models) > PLAN_MODELS_MAX)
		return false;
	for (size_t i = 0; i < json_size(models); i++)
		if (!read_plan_text(json_at(models, i), p->models[p->model_count++], PRICE_ITEM_MAX))
			return false;
	return true;
}

void plan_json_write_actions(const struct plan *p, struct json_writer *w, const char *key)
{
	char credits[MONEY_TEXT_MAX];

	json_open_record(w, key);
	for (int i = 0; i < p->action_count; i++) {
		(void)decimal_format(p->actions[i].credits_micros, 6, 0, credits);
		json_put_text(w, p->actions[i].name, credits);
	}
	json_close_record(w);
}

void plan_json_write_models(const struct plan *p, struct json_writer *w, const char *key)
{
	json_open_list(w, key);
	for (int i = 0; i < p->model_count; i++)
		json_put_text(w, NULL, p->models[i]);
	json_close_list(w);
}

static const char *const keys[] = {
	"name",      "title",   "unit",     "scope",           "pool",           "manager", "member",  "managers",
	"seatsFrom", "seatsTo", "rollover", "expectedManager", "expectedMember", "fee",     "actions", "models",
};

static int is_unknown(void *context, const char *key, const struct json *value)
{
	(void)value;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strcmp(keys[i], key) == 0)
			return 0;
	*(const char **)context = key;
	return 1;
}

static const char *read_names(const struct json *record, struct plan *p)
{
	char word[16] = "credit";
	int found;

	if (!read_plan_text(json_get(record, "name"), p->name, sizeof(p->name)))
		return "name";
	if (json_get(record, "title") != NULL && !read_plan_text(json_get(record, "title"), p->title, sizeof(p->title)))
		return "title";
	if (json_get(record, "unit") != NULL && !read_plan_text(json_get(record, "unit"), word, sizeof(word)))
		return "unit";
	found = price_unit_named(word);
	if (found < 0)
		return "unit";
	p->unit = (enum account_unit)found;
	found = read_plan_text(json_get(record, "scope"), word, sizeof(word)) ? plan_json_scope(word) : -1;
	if (found < 0)
		return "scope";
	p->scope = (enum plan_scope)found;
	return NULL;
}

static const char *read_figures(const struct json *record, int decimals, struct plan *p)
{
	const struct {
		const char *key;
		int scale;
		int64_t *figure;
	} figures[] = {
		{"pool", 6, &p->pool_micros},
		{"manager", 6, &p->manager_micros},
		{"member", 6, &p->member_micros},
		{"managers", 0, &p->managers_to},
		{"seatsFrom", 0, &p->seats_from},
		{"seatsTo", 0, &p->seats_to},
		{"rollover", 6, &p->rollover_micros},
		{"expectedManager", 6, &p->expected_manager_micros},
		{"expectedMember", 6, &p->expected_member_micros},
		{"fee", decimals, &p->fee_minor},
	};

	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		if (!read_decimal(json_get(record, figures[i].key), figures[i].scale, figures[i].figure))
			return figures[i].key;
	return NULL;
}

const char *plan_json_read(const struct json *record, int decimals, struct plan *p)
{
	const struct json *actions = json_get(record, "actions"), *models = json_get(record, "models");
	const char *wrong = NULL;

	memset(p, 0, sizeof(*p));
	p->managers_to = 1;
	if (json_type(record) != JSON_RECORD)
		return "it is no record";
	if (json_each(record, is_unknown, &wrong) == 0)
		wrong = read_names(record, p);
	if (wrong == NULL)
		wrong = read_figures(record, decimals, p);
	if (wrong == NULL && actions != NULL && !plan_json_read_actions(actions, p))
		wrong = "actions";
	if (wrong == NULL && models != NULL && !plan_json_read_models(models, p))
		wrong = "models";
	if (wrong == NULL && !plan_valid(p))
		wrong = "figures that do not fit each other";
	return wrong;
}
