#include "routes/show.h"

#include <string.h>

#include "base/check.h"
#include "base/money.h"
#include "ledger/decide/funds.h"
#include "ledger/decide/window.h"
#include "options.h"
#include "routes/api/render.h"
#include "routes/counted.h"

/* The beginning of Stripe's ids of Checkout sessions. */
#define STRIPE_SESSION "cs_"

int64_t show_available(const struct reader_account *a)
{
	return funds_promisable(a->balance_micros, a->held_micros, a->mode == MODE_POSTPAID, a->hard_limit_micros);
}

void show_balance(struct json_writer *w, const struct reader_account *a)
{
	render_put_whole(w, "balance", a->balance_micros, a->unit);
	json_put_int(w, "balanceMicros", a->balance_micros);
	json_put_int(w, "heldMicros", a->held_micros);
	json_put_int(w, "availableMicros", show_available(a));
}

static void put_providers(struct json_writer *w, const char *key, unsigned byok)
{
	json_open_list(w, key);
	for (unsigned bit = 1; bit != 0 && bit <= byok; bit <<= 1)
		if ((byok & bit) != 0)
			json_put_text(w, NULL, provider_name(bit));
	json_close_list(w);
}

/* ---- plan, limits, statement -------------------------------------------------------------------- */

void show_status(struct json_writer *w, const struct reader_account *a)
{
	json_put_text(w, "status", names_status(a->status));
	render_put_given(w, "reason", names_status_reason(a->status));
}

static void put_shown_allowance(struct json_writer *w, const struct reader_workspace *p)
{
	/* The part that a debt took at once counts as used too. */
	micros limit;

	CHECK(money_add(p->granted_micros, p->carried_micros, &limit));
	json_open_record(w, "allowance");
	json_put_int(w, "limitMicros", limit);
	json_put_int(w, "usedMicros", limit > p->left_micros ? limit - p->left_micros : 0);
	json_put_int(w, "carriedMicros", p->carried_micros);
	json_put_int(w, "reservedMicros", p->reserved_micros);
	json_put_time(w, "startsAt", p->period_start_us);
	json_put_time(w, "resetsAt", p->period_end_us);
	json_close_record(w);
}

void show_plan(struct json_writer *w, const struct reader_account *a)
{
	const struct reader_workspace *p = &a->workspace;

	render_put_given(w, "plan", a->plan);
	if (!p->found || p->plan[0] == '\0')
		return;
	if (p->changing != 0 && p->next_plan[0] != '\0')
		json_put_text(w, "nextPlan", p->next_plan);
	else if (p->changing != 0)
		json_put_null(w, "nextPlan");
	put_shown_allowance(w, p);
}

/* A limit, its use, and the time when the use begins anew. */
struct window {
	const char *limit_key, *used_key, *resets_key;
	micros limit_micros, used_micros;
	int64_t until_us, next_us; /* the ends of this window, and of the one after it */
};

static void put_window(struct json_writer *w, const struct window *v, int64_t now_us)
{
	if (v->limit_micros == COMMAND_NO_LIMIT)
		json_put_null(w, v->limit_key);
	else
		json_put_int(w, v->limit_key, v->limit_micros);
	json_put_int(w, v->used_key, window_used(v->used_micros, v->until_us, now_us));
	json_put_time(w, v->resets_key, window_resets(v->until_us, v->next_us, now_us));
}

void show_limits(struct json_writer *w, const struct call *c, const struct reader_account *a)
{
	const struct reader_workspace *p = &a->workspace;
	const struct zone *z = options_zone_of(c->config, a);
	const struct window day = {"dailyLimitMicros",         "dailyUsedMicros", "dailyResetsAt",
	                           p->daily_limit_micros,      p->day_micros,     p->day_until_us,
	                           zone_next_day(z, a->now_us)};
	const struct window month = {"monthlyLimitMicros",         "monthlyUsedMicros", "monthlyResetsAt",
	                             p->monthly_limit_micros,      p->month_micros,     p->month_until_us,
	                             zone_next_month(z, a->now_us)};

	json_open_record(w, "limits");
	if (a->mode == MODE_POSTPAID) {
		json_put_int(w, "hardLimitMicros", a->hard_limit_micros);
		json_put_int(w, "softLimitMicros", a->soft_limit_micros);
	}
	put_window(w, &day, a->now_us);
	put_window(w, &month, a->now_us);
	json_close_record(w);
}

void show_limits_if_any(struct json_writer *w, const struct call *c, const struct reader_account *a)
{
	if (a->mode == MODE_POSTPAID || a->workspace.found)
		show_limits(w, c, a);
}

void show_statement(struct json_writer *w, const struct reader_account *a)
{
	const struct reader_workspace *p = &a->workspace;

	if (!p->found || (a->mode != MODE_POSTPAID && p->past_due_at_us == 0))
		return;
	json_open_record(w, "statement");
	json_put_int(w, "owedMicros", funds_owed(a->balance_micros, p->arrears_micros));
	json_put_time(w, "nextAt", p->statement_at_us);
	if (p->past_due_at_us != 0)
		json_put_time(w, "pastDueSince", p->past_due_at_us);
	if (p->suspend_at_us != 0)
		json_put_time(w, "suspendsAt", p->suspend_at_us);
	json_close_record(w);
}

/* ---- people -------------------------------------------------------------------------------------- */

static void put_people(struct json_writer *w, const struct reader_workspace *p)
{
	if (!p->found)
		return;
	json_open_record(w, "members");
	json_put_int(w, "managers", p->managers);
	json_put_int(w, "members", p->members);
	if (p->seats > 0)
		json_put_int(w, "seats", p->seats);
	else
		json_put_null(w, "seats");
	json_close_record(w);
}

void show_member(struct json_writer *w, const struct call *c, const struct reader_account *a,
                 const struct reader_member *m)
{
	const struct zone *z = options_zone_of(c->config, a);
	const int64_t month_end_us = zone_next_month(z, a->now_us);
	const int64_t period_end_us = a->workspace.found ? a->workspace.period_end_us : 0;
	const struct window windows[] = {
		{"limitMicros", "usedMicros", "resetsAt", m->limit_micros, m->period_micros, m->period_until_us,
	         period_end_us > a->now_us ? period_end_us : month_end_us},
		{"dailyLimitMicros", "dailyUsedMicros", "dailyResetsAt", m->daily_limit_micros, m->day_micros,
	         m->day_until_us, zone_next_day(z, a->now_us)},
		{"monthlyLimitMicros", "monthlyUsedMicros", "monthlyResetsAt", m->monthly_limit_micros, m->month_micros,
	         m->month_until_us, month_end_us},
	};

	json_put_text(w, "member", m->id);
	json_put_text(w, "role", names_role(m->role));
	json_put_int(w, "quotaMicros", m->quota_micros);
	json_put_int(w, "heldMicros", m->held_micros);
	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++)
		put_window(w, &windows[i], a->now_us);
	json_put_time(w, "createdAt", m->created_at_us);
	if (m->removed_at_us != 0)
		json_put_time(w, "removedAt", m->removed_at_us);
}

/* ---- accounts ------------------------------------------------------------------------------------ */

void show_account(struct json_writer *w, const struct call *c, const struct reader_account *a)
{
	json_put_text(w, "account", a->external_id);
	json_put_text(w, "mode", names_mode(a->mode));
	json_put_text(w, "unit", price_unit_name(a->unit));
	json_put_text(w, "currency", c->config->currency);
	show_status(w, a);
	show_balance(w, a);
	json_put_int(w, "openHolds", a->open_holds);
	json_put_int(w, "hardLimitMicros", a->hard_limit_micros);
	json_put_int(w, "softLimitMicros", a->soft_limit_micros);
	put_providers(w, "byok", (unsigned)a->byok);
	render_put_given(w, "email", a->email);
	render_put_given(w, "name", a->name);
	render_put_given(w, "locale", a->locale);
	render_put_given(w, "timeZone", a->time_zone);
	show_plan(w, a);
	put_people(w, &a->workspace);
	show_limits_if_any(w, c, a);
	show_statement(w, a);
	json_put_time(w, "createdAt", a->created_at_us);
}

/* ---- history ------------------------------------------------------------------------------------- */

void show_transaction(struct json_writer *w, const char *key, const struct account_key *account, int64_t unit,
                      const struct reader_transaction *t)
{
	json_open_record(w, key);
	render_put_id(w, "id", account, t->seq);
	json_put_text(w, "type", names_transaction(t->type));
	render_put_whole(w, "amount", t->amount_micros, unit);
	json_put_int(w, "amountMicros", t->amount_micros);
	json_put_text(w, "description", t->description);
	render_put_whole(w, "balanceBefore", t->balance_before_micros, unit);
	render_put_whole(w, "balanceAfter", t->balance_after_micros, unit);
	json_put_int(w, "balanceAfterMicros", t->balance_after_micros);
	if (strncmp(t->reference, STRIPE_SESSION, strlen(STRIPE_SESSION)) == 0)
		json_put_text(w, "stripeSessionId", t->reference);
	if (t->metadata[0] != '\0')
		json_put_raw(w, "metadata", t->metadata, strlen(t->metadata));
	json_put_time(w, "createdAt", t->created_at_us);
	json_close_record(w);
}

void show_usage(struct json_writer *w, const struct account_key *account, int64_t unit, const struct reader_usage *u)
{
	json_open_record(w, NULL);
	show_usage_members(w, account, unit, u);
	json_close_record(w);
}

void show_usage_members(struct json_writer *w, const struct account_key *account, int64_t unit,
                        const struct reader_usage *u)
{
	bool model = u->kind == PRICE_MODEL;
	struct counts counts = {{0}};

	render_put_id(w, "id", account, u->seq);
	json_put_text(w, model ? "model" : "action", u->item);
	if (!model)
		json_put_int(w, "quantity", u->quantity);
	render_put_given(w, "member", u->member);
	json_put_int(w, "inputTokens", u->input_tokens);
	json_put_int(w, "outputTokens", u->output_tokens);
	json_put_int(w, "cacheReadTokens", u->cache_read_tokens);
	json_put_int(w, "cacheWriteTokens", u->cache_write_tokens);
	json_put_int(w, "totalTokens",
	             u->input_tokens + u->output_tokens + u->cache_read_tokens + u->cache_write_tokens);
	if (counts_read(&counts, u->counts, strlen(u->counts)) == 0)
		counted_put(w, (enum dimension)DIMENSION_COLUMNS, &counts);
	if (u->service_tier != TIER_STANDARD)
		json_put_text(w, "serviceTier", service_tier_name(u->service_tier));
	render_put_given(w, "variant", u->variant);
	if (u->incomplete != 0)
		json_put_bool(w, "usageIncomplete", true);
	json_put_minor(w, "cost", u->cost_micros, render_per_minor(unit));
	json_put_int(w, "costMicros", u->cost_micros);
	json_put_text(w, "source", names_source(u->source));
	json_put_text(w, "settlement", names_settlement(u->settlement));
	render_put_given(w, "conversationId", u->conversation_id);
	render_put_given(w, "messageId", u->message_id);
	json_put_time(w, "createdAt", u->created_at_us);
}

/* The counts of the usage, with those that have columns. */
static struct counts counts_of_shown(const struct reader_usage *u)
{
	struct counts counts = {{0}};

	(void)counts_read(&counts, u->counts, strlen(u->counts));
	counts.of[DIMENSION_INPUT] = u->input_tokens;
	counts.of[DIMENSION_CACHE_READ] = u->cache_read_tokens;
	counts.of[DIMENSION_CACHE_WRITE] = u->cache_write_tokens - u->cache_write_1h_tokens;
	counts.of[DIMENSION_CACHE_WRITE_1H] = u->cache_write_1h_tokens;
	counts.of[DIMENSION_OUTPUT] = u->output_tokens;
	return counts;
}

/* Writes a charge that has one line: an action, a reservation, the provider's own cost. */
static void put_single(struct json_writer *w, const char *dimension, const struct reader_usage *u)
{
	json_open_list(w, "lines");
	if (u->cost_micros != 0) {
		json_open_record(w, NULL);
		json_put_text(w, "dimension", dimension);
		if (u->kind == PRICE_ACTION)
			json_put_int(w, "count", u->quantity);
		json_put_int(w, "costMicros", u->cost_micros);
		json_close_record(w);
	}
	json_close_list(w);
}

void show_usage_lines(struct json_writer *w, const struct book *book, enum account_unit unit,
                      const struct reader_usage *u)
{
	const struct price *p = book_price_of_version(book, PRICE_MODEL, u->item, u->price_version);
	const struct counts counts = counts_of_shown(u);
	const bool known = u->service_tier >= 0 && u->service_tier < TIER_COUNT;
	const struct price_use use = {&counts, known ? (enum service_tier)u->service_tier : TIER_STANDARD, u->variant};

	json_put_int(w, "priceVersion", u->price_version);
	if (u->kind == PRICE_ACTION)
		put_single(w, "actions", u);
	else if (u->reported)
		put_single(w, "providerCost", u);
	else if (u->source == SOURCE_BYOK || u->has_usage == 0 || p == NULL || !known)
		put_single(w, "reserved", u);
	else
		counted_put_lines(w, p, unit, &use, u->cost_micros);
}
