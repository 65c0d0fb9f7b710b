#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/stripe.h"
#include "ctl/ctl.h"
#include "ctl/listing.h"
#include "ctl/plans.h"
#include "prices/book.h"
#include "prices/plan_json.h"

#define PLAN_BYTES_MAX ((size_t)64 * 1024)

static void print_stored_plan(const struct ctl *c, const struct pricestore_report *report)
{
	struct listing *l = listing_new("stored");

	listing_row(l);
	listing_int(l, "stored", "plans changed", report->stored);
	listing_int(l, "unchanged", "plans unchanged", report->unchanged);
	listing_int(l, "version", "version", report->stored > 0 ? report->version : 0);
	listing_print_single(l, c->json);
	listing_free(l);
}

/* ---- set: the options as the record that a file would have -------------------------------------- */

struct set {
	const char *title, *unit, *scope, *pool, *manager, *member, *managers, *seats, *rollover;
	const char *expected_manager, *expected_member, *fee;
	struct ctl_list actions, models;
};

static void put_plan_figure(struct json_writer *w, const char *key, const char *text)
{
	if (text != NULL)
		json_put_text(w, key, text);
}

/* Puts the seats of "1-5", or of "1-" for any number from 1 on. */
static int put_seats(struct json_writer *w, const char *seats)
{
	char from[16] = "";
	const char *dash = seats != NULL ? strchr(seats, '-') : NULL;

	if (seats == NULL)
		return CTL_OK;
	if (dash == NULL || dash == seats || (size_t)(dash - seats) >= sizeof(from))
		return ctl_wrong("--seats is FROM-TO, such as 1-5, or FROM- for any number");
	memcpy(from, seats, (size_t)(dash - seats));
	json_put_text(w, "seatsFrom", from);
	if (dash[1] != '\0')
		json_put_text(w, "seatsTo", dash + 1);
	return CTL_OK;
}

static int put_actions(struct json_writer *w, const struct ctl_list *actions)
{
	json_open_record(w, "actions");
	for (int i = 0; i < actions->count; i++) {
		const char *equals = strrchr(actions->item[i], '=');
		char name[PRICE_ITEM_MAX];

		if (equals == NULL || (size_t)(equals - actions->item[i]) >= sizeof(name))
			return ctl_wrong("--action is NAME=CREDITS, not '%s'", actions->item[i]);
		memcpy(name, actions->item[i], (size_t)(equals - actions->item[i]));
		name[equals - actions->item[i]] = '\0';
		json_put_text(w, name, equals + 1);
	}
	json_close_record(w);
	return CTL_OK;
}

static int put_set(struct json_writer *w, const struct set *s, const char *name)
{
	json_open_list(w, NULL);
	json_open_record(w, NULL);
	json_put_text(w, "name", name);
	put_plan_figure(w, "title", s->title);
	put_plan_figure(w, "unit", s->unit);
	put_plan_figure(w, "scope", s->scope);
	put_plan_figure(w, "pool", s->pool);
	put_plan_figure(w, "manager", s->manager);
	put_plan_figure(w, "member", s->member);
	put_plan_figure(w, "managers", s->managers);
	put_plan_figure(w, "rollover", s->rollover);
	put_plan_figure(w, "expectedManager", s->expected_manager);
	put_plan_figure(w, "expectedMember", s->expected_member);
	put_plan_figure(w, "fee", s->fee);
	json_open_list(w, "models");
	for (int i = 0; i < s->models.count; i++)
		json_put_text(w, NULL, s->models.item[i]);
	json_close_list(w);
	if (put_seats(w, s->seats) != CTL_OK || put_actions(w, &s->actions) != CTL_OK)
		return CTL_FAILED;
	json_close_record(w);
	json_close_list(w);
	return CTL_OK;
}

static int store_set(struct ctl *c, const struct set *s, const char *name)
{
	struct pricestore_report report;
	struct json_writer w;
	struct buf text;
	int result;

	buf_init(&text, PLAN_BYTES_MAX);
	json_writer_init(&w, &text);
	result = put_set(&w, s, name);
	if (result == CTL_OK)
		result = plans_store(c, ctl_db_patient(c), "plan set", &text, false, &report);
	buf_free(&text);
	if (result == CTL_OK)
		print_stored_plan(c, &report);
	return result;
}

int ctl_plan_set(struct ctl *c)
{
	struct set s = {0};
	const char *name;
	const struct ctl_option options[] = {
		{.name = "--title", .value = &s.title},
		{.name = "--unit", .value = &s.unit},
		{.name = "--scope", .value = &s.scope},
		{.name = "--pool", .value = &s.pool},
		{.name = "--manager", .value = &s.manager},
		{.name = "--member", .value = &s.member},
		{.name = "--managers", .value = &s.managers},
		{.name = "--seats", .value = &s.seats},
		{.name = "--rollover", .value = &s.rollover},
		{.name = "--action", .list = &s.actions},
		{.name = "--model", .list = &s.models},
		{.name = "--expected-manager", .value = &s.expected_manager},
		{.name = "--expected-member", .value = &s.expected_member},
		{.name = "--fee", .value = &s.fee},
		{0},
	};

	if (ctl_arguments(c, options, &name, 1, 1) < 0)
		return CTL_FAILED;
	if (s.scope == NULL)
		return ctl_fail("plan set needs --scope pool|seat|mixed");
	return store_set(c, &s, name);
}

/* ---- list ------------------------------------------------------------------------------------ */

static void list_fee(struct listing *l, const struct plan *p, int decimals)
{
	char text[MONEY_TEXT_MAX];

	(void)decimal_format(p->fee_minor, decimals, decimals, text);
	listing_text(l, "fee", "fee", text);
}

static void list_names(struct listing *l, const struct plan *p)
{
	struct buf text;

	buf_init(&text, PLAN_BYTES_MAX);
	for (int i = 0; i < p->action_count; i++) {
		char credits[MONEY_TEXT_MAX];

		(void)decimal_format(p->actions[i].credits_micros, 6, 0, credits);
		buf_printf(&text, "%s%s=%s", i > 0 ? " " : "", p->actions[i].name, credits);
	}
	listing_text(l, "actions", "actions", buf_text(&text));
	buf_reset(&text);
	for (int i = 0; i < p->model_count; i++)
		buf_printf(&text, "%s%s", i > 0 ? " " : "", p->models[i]);
	listing_text(l, "models", "models", buf_text(&text));
	buf_free(&text);
}

struct listed {
	struct listing *l;
	int decimals;
};

static int list_plan(void *context, const struct plan *p)
{
	const struct listed *to = context;
	struct listing *l = to->l;

	listing_row(l);
	listing_text(l, "name", "plan", p->name);
	listing_text(l, "title", "title", p->title);
	listing_text(l, "unit", "unit", price_unit_name(p->unit));
	listing_text(l, "scope", "scope", plan_json_scope_name(p->scope));
	listing_amount(l, "poolMicros", "pool", p->pool_micros);
	listing_amount(l, "managerMicros", "manager", p->manager_micros);
	listing_amount(l, "memberMicros", "member", p->member_micros);
	listing_int(l, "managers", "managers", p->managers_to);
	listing_int(l, "seatsFrom", "seats from", p->seats_from);
	listing_int(l, "seatsTo", "to", p->seats_to);
	listing_amount(l, "rolloverMicros", "rollover", p->rollover_micros);
	listing_amount(l, "expectedManagerMicros", "expected/manager", p->expected_manager_micros);
	listing_amount(l, "expectedMemberMicros", "expected/member", p->expected_member_micros);
	list_fee(l, p, to->decimals);
	list_names(l, p);
	listing_int(l, "version", "version", p->version);
	listing_time(l, "startsAt", "since", p->starts_at_us);
	return 0;
}

int ctl_plan_list(struct ctl *c)
{
	struct listed to = {.decimals = stripe_decimals(c->config->currency)};
	bool all = false;
	const struct ctl_option options[] = {{.name = "--all", .flag = &all}, {0}};
	struct book *b;

	if (ctl_arguments(c, options, NULL, 0, 0) < 0)
		return CTL_FAILED;
	b = book_load(ctl_db(c));
	if (b == NULL)
		return ctl_db_failed(c);
	to.l = listing_new("plans");
	if (all)
		(void)book_each_plan_row(b, list_plan, &to);
	else
		(void)book_each_plan(b, list_plan, &to);
	listing_print(to.l, c);
	listing_free(to.l);
	book_release(b);
	return CTL_OK;
}

/* ---- import ---------------------------------------------------------------------------------- */

int ctl_plan_import(struct ctl *c)
{
	struct pricestore_report report;
	const char *path;
	int result;

	if (ctl_arguments(c, NULL, &path, 1, 1) < 0)
		return CTL_FAILED;
	result = plans_import(c, ctl_db_patient(c), path, false, &report);
	if (result == CTL_OK)
		print_stored_plan(c, &report);
	return result;
}
