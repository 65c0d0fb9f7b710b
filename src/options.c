#include "options.h"

#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "clients/stripe.h"

#define DAY_SECONDS 86400

struct db_options options_database(const struct config *c)
{
	return (struct db_options){
		.socket = c->db_socket,
		.host = c->db_host,
		.user = c->db_user,
		.password = c->db_password,
		.name = c->db_name,
		.tls_ca = c->db_tls_ca,
		.port = (unsigned)c->db_port,
		.timeout_ms = c->db_timeout_ms,
	};
}

struct price_terms options_prices(const struct config *c)
{
	return (struct price_terms){
		.margin_ppm = c->margin,
		.rate_ppm = c->exchange_rate,
		.credit_value_ppm = c->credit_value,
	};
}

const struct zone *options_zone(const struct config *c)
{
	const struct zone *z = zone_or(c->time_zone, zone_find("UTC"));

	CHECK(z != NULL);
	return z;
}

const struct zone *options_zone_of(const struct config *c, const struct reader_account *account)
{
	return zone_or(account->workspace.found ? account->workspace.time_zone : account->time_zone, options_zone(c));
}

struct counts options_estimate(const struct config *c)
{
	struct counts estimate = {{0}};

	/* The configuration was refused if the text is none of counts. */
	CHECK(counts_read(&estimate, c->estimate_counts, strlen(c->estimate_counts)) == 0);
	return estimate;
}

static struct topup_bonus topup_bonus(const struct config *c)
{
	struct topup_bonus bonus;

	/* The configuration was refused if the text is no list of tiers. */
	CHECK(topup_bonus_read(&bonus, c->topup_bonus) == 0);
	return bonus;
}

static enum plan_upgrade plan_upgrade(const struct config *c)
{
	if (strcmp(c->plan_upgrade, "full") == 0)
		return UPGRADE_FULL;
	return strcmp(c->plan_upgrade, "next_period") == 0 ? UPGRADE_NEXT_PERIOD : UPGRADE_PRORATED;
}

static enum plan_free_periods free_periods(const struct config *c)
{
	if (strcmp(c->plan_free_periods, "all") == 0)
		return FREE_ALL;
	return strcmp(c->plan_free_periods, "trials") == 0 ? FREE_TRIALS : FREE_NONE;
}

struct ledger_options options_ledger(const struct config *c, struct pool *pool)
{
	return (struct ledger_options){
		.pool = pool,
		.batch_max = (int)c->batch_max,
		.queue_max = (int)c->queue_max,
		.holds_max = c->holds_max,
		.orders_open_max = c->orders_open_max,
		.capture_expired = strcmp(c->hold_expiry, "capture") == 0,
		.action_price_micros = c->action_price,
		.terms = options_prices(c),
		.use = {.estimate = options_estimate(c), .provider_cost = c->provider_cost},
		.billing =
			{
				.currency = c->currency,
				.decimals = stripe_decimals(c->currency),
				.statement_min_minor = c->statement_min,
				.grace_us = c->past_due_grace_days * DAY_SECONDS * CLOCK_US_PER_SECOND,
				.low_balance_micros = c->low_balance,
				.topup_bonus = topup_bonus(c),
				.plan_upgrade = plan_upgrade(c),
				.plan_free_periods = free_periods(c),
				.zone = options_zone(c),
			},
		.grace = {.amount_micros = c->outage_grace, .life_us = c->outage_grace_seconds * CLOCK_US_PER_SECOND},
	};
}

struct courier_options options_courier(const struct config *c, struct pool *pool, const char *page)
{
	return (struct courier_options){
		.pool = pool,
		.ca_file = c->outgoing_ca_file,
		.mail = {.pool = pool,
	                 .server = {.url = c->smtp_url,
	                            .user = c->smtp_user,
	                            .password = c->smtp_password,
	                            .from = c->mail_from,
	                            .ca_file = c->outgoing_ca_file,
	                            .tls = strcmp(c->smtp_tls, "off") != 0},
	                 .currency = c->currency,
	                 .page = page,
	                 .operators = c->operator_mail},
	};
}
