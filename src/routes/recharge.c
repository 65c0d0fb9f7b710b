/*
 * recharge: the owner of an account lets its saved card be charged when the balance is low, within limits.  Nothing is
 * charged here: the worker does that (worker/recharge.c).
 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "ledger/decide/window.h"
#include "queries/recharges.h"
#include "routes/api/call.h"
#include "routes/api/parse.h"
#include "routes/api/render.h"
#include "routes/api/steps.h"
#include "routes/routes.h"

#define CAP_MAX 100000000 /* hundredths */
#define VERSION_MAX 32
#define ACTOR_MAX 200
#define ADDRESS_MAX 64
#define MEMBERS_MAX 8

static const struct {
	const char *version, *text[2]; /* English, French */
} terms = {
#define RECHARGE_TERMS(version, english, french) \
	version, \
	{ \
		english, french \
	}
#include "routes/recharge_terms.def"
#undef RECHARGE_TERMS
};

static const struct {
	const char *name, *sentence[2]; /* English, French */
} reasons[RECHARGE_REASONS] = {
#define RECHARGE_REASON(NAME, name, card, english, french) [RECHARGE_##NAME] = {name, {english, french}},
#include "ledger/recharge_reasons.def"
#undef RECHARGE_REASON
};

/* ---- GET ------------------------------------------------------------------------------------- */

/* The state of now, of one that may have been noted a while ago. */
struct shown {
	const char *state;
	enum recharge_reason reason;
	int64_t next_at_us; /* 0: not known */
};

static void show_waiting(struct shown *s, enum recharge_reason reason, int64_t next_at_us)
{
	*s = (struct shown){.state = "waiting", .reason = reason, .next_at_us = next_at_us};
}

static struct shown shown_of(const struct call *c, const struct recharges_known *k)
{
	struct shown s = {.state = "ready"};

	if (k->pending_seq != 0)
		s.state = "pending";
	else if (!k->found || k->state == RECHARGE_OFF)
		s.state = "off";
	else if (k->state == RECHARGE_PAUSED)
		s = (struct shown){.state = "paused", .reason = (enum recharge_reason)k->reason};
	else if (c->stripe == NULL && c->config->stripe_secret_key[0] == '\0')
		show_waiting(&s, RECHARGE_NOT_CONFIGURED, 0);
	else if (k->mode == MODE_POSTPAID)
		show_waiting(&s, RECHARGE_NOT_PREPAID, 0);
	else if (k->status != STATUS_ACTIVE)
		show_waiting(&s, RECHARGE_ACCOUNT_SUSPENDED, 0);
	else if (k->reason != RECHARGE_FINE && k->next_at_us > k->now_us)
		show_waiting(&s, (enum recharge_reason)k->reason, k->next_at_us);
	return s;
}

static void put_amount_or_null(struct json_writer *w, const char *name, int64_t amount_micros, int64_t unit_micros)
{
	if (amount_micros > 0)
		json_put_int(w, name, amount_micros / unit_micros);
	else
		json_put_null(w, name);
}

/* Stripe's name of a currency, which the ledger keeps, is in lower case. */
static void put_currency(struct json_writer *w, const struct call *c, const struct recharges_known *k)
{
	char currency[4];

	(void)snprintf(currency, sizeof(currency), "%s",
	               k->found && k->currency[0] != '\0' ? k->currency : c->config->currency);
	for (char *letter = currency; *letter != '\0'; letter++)
		if (*letter >= 'a' && *letter <= 'z')
			*letter = (char)(*letter - 'a' + 'A');
	json_put_text(w, "currency", currency);
}

static void put_state(struct json_writer *w, const struct call *c, const struct recharges_known *k)
{
	const struct shown s = shown_of(c, k);

	json_put_bool(w, "enabled", k->found && k->state != RECHARGE_OFF);
	json_put_text(w, "state", s.state);
	if (s.reason == RECHARGE_FINE) {
		json_put_null(w, "reason");
		json_put_null(w, "reasonText");
	} else {
		json_put_text(w, "reason", reasons[s.reason].name);
		json_put_text(w, "reasonText", reasons[s.reason].sentence[c->french ? 1 : 0]);
	}
	put_amount_or_null(w, "belowMicros", k->below_micros, 1);
	put_amount_or_null(w, "amount", k->charge_micros, MONEY_MICROS_PER_MINOR);
	put_amount_or_null(w, "monthlyCap", k->cap_micros, MONEY_MICROS_PER_MINOR);
	put_currency(w, c, k);
	json_put_int(w, "spentThisMonth",
	             window_used(k->month_micros, k->month_until_us, k->now_us) / MONEY_MICROS_PER_MINOR);
	json_put_int(w, "chargesToday", window_used(k->day_count, k->day_until_us, k->now_us));
	if (s.next_at_us != 0)
		json_put_time(w, "nextAttemptAt", s.next_at_us);
	else
		json_put_null(w, "nextAttemptAt");
}

static void put_pending(struct json_writer *w, const struct account_key *key, const struct recharges_known *k)
{
	if (k->pending_seq == 0) {
		json_put_null(w, "pending");
		return;
	}
	json_open_record(w, "pending");
	render_put_id(w, "topup", key, k->pending_seq);
	json_put_int(w, "amount", k->pending_micros / MONEY_MICROS_PER_MINOR);
	json_close_record(w);
}

static void put_consent(struct json_writer *w, const struct recharges_known *k)
{
	if (!k->found || k->consent_version[0] == '\0') {
		json_put_null(w, "consent");
		return;
	}
	json_open_record(w, "consent");
	json_put_text(w, "version", k->consent_version);
	json_put_text(w, "locale", k->consent_locale);
	json_put_text(w, "text", k->consent_terms);
	json_put_time(w, "at", k->consent_at_us);
	json_put_text(w, "actor", k->consent_actor);
	json_close_record(w);
}

static void serve_recharge(struct call *c)
{
	const struct account_key key = call_account_key(c);
	struct recharges_known k;
	struct json_writer w;
	struct db *d;
	int result;

	if (!call_touch(c, &key))
		return;
	d = call_reader(c);
	if (d == NULL)
		return;
	result = recharges_read(d, c->request->arena, &key, &k);
	pool_give(c->readers, d);
	if (result < 0) {
		render_outcome(c, OUTCOME_UNAVAILABLE);
		return;
	}
	render_open(c, &w);
	json_put_text(&w, "account", c->account);
	put_state(&w, c, &k);
	put_pending(&w, &key, &k);
	put_consent(&w, &k);
	json_open_record(&w, "terms");
	json_put_text(&w, "version", terms.version);
	json_put_text(&w, "locale", c->french ? "fr" : "en");
	json_put_text(&w, "text", terms.text[c->french ? 1 : 0]);
	json_close_record(&w);
	render_close(&w);
}

void recharge_get(struct call *c)
{
	struct parse p;

	parse_query(&p, c->request);
	if (!parse_ok(&p))
		render_wrong(c, &p);
	else if (call_may_manage(c))
		serve_recharge(c);
}

/* ---- PUT ------------------------------------------------------------------------------------- */

/* The person who asks: a member, the owner, or the application on behalf of one. */
static void name_actor(const struct call *c, char actor[ACTOR_MAX])
{
	if (c->key_id != 0)
		(void)snprintf(actor, ACTOR_MAX, "key:%lld", (long long)c->key_id);
	else if (c->member[0] != '\0')
		(void)snprintf(actor, ACTOR_MAX, "member:%s", c->member);
	else
		(void)snprintf(actor, ACTOR_MAX, "owner");
}

static const char *client_address(const struct call *c)
{
	const char *address = request_parameter(c->request, "REMOTE_ADDR");

	return address != NULL && parse_plain(address, strlen(address), ADDRESS_MAX) ? address : "";
}

/* Reads "consent".  The version is looked at by the caller, since another one is no consent. */
static void parse_consent(struct parse *p, struct command *command, const char **version)
{
	static const char *const known[] = {"version", "locale", NULL};
	const struct json *record = parse_map(p, "consent", MEMBERS_MAX);
	const char *locale;
	struct parse inner;

	*version = NULL;
	if (record == NULL)
		return;
	parse_record(&inner, p->request, record, known);
	parse_need(&inner, "version");
	parse_need(&inner, "locale");
	*version = parse_text(&inner, "version", 1, VERSION_MAX);
	locale = parse_text(&inner, "locale", 2, 2);
	if (locale != NULL && strcmp(locale, "fr") != 0 && strcmp(locale, "en") != 0)
		parse_wrong(&inner, "locale", PARSE_LANGUAGE);
	if (!parse_ok(&inner)) {
		parse_inner(p, &inner, "consent", NULL);
		return;
	}
	command->recharge.version = terms.version;
	command->recharge.locale = strcmp(locale, "fr") == 0 ? "fr" : "en";
	command->recharge.text = terms.text[strcmp(locale, "fr") == 0 ? 1 : 0];
}

/* Reads the settings; false, rendered, when something is wrong. */
static bool parse_settings(struct call *c, struct parse *p, struct command *command)
{
	int64_t amount, cap;
	const char *version;

	parse_need(p, "belowMicros");
	parse_need(p, "amount");
	parse_need(p, "monthlyCap");
	command->recharge.below_micros = parse_int(p, "belowMicros", 1, MONEY_AMOUNT_MAX_MICROS, 1);
	amount = parse_int(p, "amount", INT64_MIN, INT64_MAX, 0);
	cap = parse_int(p, "monthlyCap", 1, CAP_MAX, 1);
	parse_consent(p, command, &version);
	if (!parse_ok(p)) {
		render_wrong(c, p);
		return false;
	}
	if (!render_topup_allowed(c, amount))
		return false;
	if (cap < amount) {
		render_said(c, OUTCOME_INVALID_REQUEST, "monthlyCap", SENTENCE_RECHARGE_CAP_LOW);
		return false;
	}
	if (stripe_decimals(c->config->currency) == 0 && amount % 100 != 0) {
		render_said(c, OUTCOME_INVALID_REQUEST, "amount", SENTENCE_NO_CENTS);
		return false;
	}
	if (version != NULL && strcmp(version, terms.version) != 0) {
		render_outcome(c, OUTCOME_CONSENT_NEEDED);
		return false;
	}
	command->recharge.charge_micros = amount * MONEY_MICROS_PER_MINOR;
	command->recharge.cap_micros = cap * MONEY_MICROS_PER_MINOR;
	return true;
}

/* False, rendered, when a setting is given although auto-recharge is switched off. */
static bool parse_off(struct call *c, struct parse *p)
{
	static const char *const settings[] = {"belowMicros", "amount", "monthlyCap", "consent"};

	if (!parse_ok(p)) {
		render_wrong(c, p);
		return false;
	}
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		if (!parse_given(p, settings[i]))
			continue;
		render_said(c, OUTCOME_INVALID_REQUEST, settings[i], SENTENCE_RECHARGE_ONLY_OFF);
		return false;
	}
	return true;
}

void recharge_put(struct call *c)
{
	static const char *const known[] = {"enabled", "belowMicros", "amount", "monthlyCap", "consent", NULL};
	struct command command = {.kind = COMMAND_RECHARGE, .account = call_account_key(c), .account_id = c->account};
	char actor[ACTOR_MAX];
	struct parse p;

	if (!call_may_manage(c))
		return;
	call_asks(c, &command);
	name_actor(c, actor);
	command.recharge.actor = actor;
	command.recharge.address = client_address(c);
	parse_record(&p, c->request, c->body, known);
	parse_need(&p, "enabled");
	command.recharge.enabled = parse_bool(&p, "enabled", false);
	if (!(command.recharge.enabled ? parse_settings(c, &p, &command) : parse_off(c, &p)))
		return;
	if (command.recharge.enabled && c->stripe == NULL) {
		render_said(c, OUTCOME_UNAVAILABLE, NULL, SENTENCE_NO_PAYMENTS);
		return;
	}
	if (call_submit(c, &command))
		serve_recharge(c);
}
