#include "routes/show.h"

#include <string.h>

#include "base/check.h"
#include "base/money.h"
#include "routes/render.h"

/* Stripe's ids of Checkout sessions begin so. */
#define STRIPE_SESSION "cs_"

int64_t show_available(const struct reader_account *a)
{
	micros available;
	bool fits = money_subtract(a->balance_micros, a->held_micros, &available);

	if (fits && a->mode == MODE_POSTPAID)
		fits = money_add(available, a->hard_limit_micros, &available);
	CHECK(fits); /* the ledger keeps each of them within a fraction of what fits */
	return available;
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

void show_account(struct json_writer *w, const struct call *c, const struct reader_account *a)
{
	json_put_text(w, "account", a->external_id);
	json_put_text(w, "mode", names_mode(a->mode));
	json_put_text(w, "unit", names_unit(a->unit));
	json_put_text(w, "currency", c->config->currency);
	json_put_text(w, "status", names_status(a->status));
	show_balance(w, a);
	json_put_int(w, "openHolds", a->open_holds);
	json_put_int(w, "hardLimitMicros", a->hard_limit_micros);
	json_put_int(w, "softLimitMicros", a->soft_limit_micros);
	put_providers(w, "byok", (unsigned)a->byok);
	render_put_given(w, "email", a->email);
	render_put_given(w, "name", a->name);
	render_put_given(w, "locale", a->locale);
	render_put_given(w, "timeZone", a->time_zone);
	render_put_given(w, "plan", a->plan);
	json_put_time(w, "createdAt", a->created_at_us);
}

void show_transaction(struct json_writer *w, const char *key, const struct account_key *account,
                      int64_t unit, const struct reader_transaction *t)
{
	json_open_record(w, key);
	render_put_id(w, "id", account, t->seq);
	json_put_text(w, "type", names_transaction(t->type));
	render_put_whole(w, "amount", t->amount_micros, unit);
	json_put_int(w, "amountMicros", t->amount_micros);
	json_put_text(w, "description", t->description);
	render_put_whole(w, "balanceBefore", t->balance_before_micros, unit);
	render_put_whole(w, "balanceAfter", t->balance_after_micros, unit);
	if (strncmp(t->reference, STRIPE_SESSION, strlen(STRIPE_SESSION)) == 0)
		json_put_text(w, "stripeSessionId", t->reference);
	if (t->metadata[0] != '\0')
		json_put_raw(w, "metadata", t->metadata, strlen(t->metadata));
	json_put_time(w, "createdAt", t->created_at_us);
	json_close_record(w);
}

void show_usage(struct json_writer *w, const struct account_key *account, int64_t unit,
                const struct reader_usage *u)
{
	bool model = u->kind == PRICE_MODEL;

	json_open_record(w, NULL);
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
	             u->input_tokens + u->output_tokens + u->cache_read_tokens +
	                     u->cache_write_tokens);
	json_put_minor(w, "cost", u->cost_micros, render_per_minor(unit));
	json_put_int(w, "costMicros", u->cost_micros);
	json_put_text(w, "source", names_source(u->source));
	json_put_text(w, "settlement", names_settlement(u->settlement));
	render_put_given(w, "conversationId", u->conversation_id);
	render_put_given(w, "messageId", u->message_id);
	json_put_time(w, "createdAt", u->created_at_us);
	json_close_record(w);
}
