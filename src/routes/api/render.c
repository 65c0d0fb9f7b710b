#include "routes/api/render.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/money.h"
#include "reports/wording.h"

#define MESSAGE_MAX ((size_t)1024)
#define SENTENCE_MAX 128

void render_open(struct call *c, struct json_writer *w)
{
	buf_reset(&c->response->body);
	json_writer_init(w, &c->response->body);
	json_open_record(w, NULL);
}

void render_received(struct call *c)
{
	struct json_writer w;

	render_open(c, &w);
	json_put_bool(&w, "received", true);
	render_close(&w);
}

void render_close(struct json_writer *w)
{
	json_close_record(w);
	CHECK(w->depth == 0);
}

int64_t render_per_minor(int64_t unit)
{
	return unit == UNIT_CREDIT ? MONEY_MICROS_PER_UNIT : MONEY_MICROS_PER_MINOR;
}

void render_put_whole(struct json_writer *w, const char *key, int64_t amount_micros, int64_t unit)
{
	json_put_int(w, key, money_floor_div(amount_micros, render_per_minor(unit)));
}

void render_put_id(struct json_writer *w, const char *key, const struct account_key *account, int64_t seq)
{
	char id[ID_PUBLIC_MAX];

	id_public_format(account, seq, id);
	json_put_text(w, key, id);
}

void render_put_given(struct json_writer *w, const char *key, const char *text)
{
	if (text[0] != '\0')
		json_put_text(w, key, text);
}

static struct wording wording_of(const struct call *c)
{
	return (struct wording){.currency = c->config->currency, .french = c->french};
}

void render_amount_short(const struct call *c, int64_t amount_micros, char out[RENDER_AMOUNT_MAX])
{
	const struct wording words = wording_of(c);

	wording_money(&words, amount_micros, 0, out);
}

void render_amount(const struct call *c, int64_t unit, int64_t amount_micros, char out[RENDER_AMOUNT_MAX])
{
	const struct wording words = wording_of(c);

	wording_amount(&words, unit, amount_micros, out);
}

/* ---- refusals -------------------------------------------------------------------------------- */

/* The missing amount, at most INT64_MAX. */
static micros shortfall(const struct answer *a)
{
	micros missing;

	if (!money_subtract(a->needed_micros, a->available_micros, &missing))
		return INT64_MAX;
	return missing > 0 ? missing : 0;
}

/* The seed's sentence for credits: the available amount rounded down, the needed amount rounded up. */
static void credits_message(const struct call *c, const struct answer *a, struct buf *out)
{
	char left[MONEY_TEXT_MAX], needed[MONEY_TEXT_MAX];

	decimal_format(money_floor_div(a->available_micros, MONEY_MICROS_PER_UNIT), 0, 0, left);
	decimal_format(-money_floor_div(-a->needed_micros, MONEY_MICROS_PER_UNIT), 0, 0, needed);
	sentence_put(out, SENTENCE_CREDITS_MISSING, c->french, (const char *const[]){left, needed, NULL});
}

/* Names the limit: "The daily spending limit of 100 credits". */
static void name_limit(const struct call *c, const struct answer *a, struct buf *out)
{
	char limit[RENDER_AMOUNT_MAX];
	enum sentence name;

	render_amount(c, a->unit, a->limit_micros, limit);
	if (a->limit == LIMIT_MEMBER)
		name = SENTENCE_MEMBER_LIMIT;
	else if (a->limit == LIMIT_DAILY)
		name = a->of_member ? SENTENCE_MEMBER_DAILY_LIMIT : SENTENCE_DAILY_LIMIT;
	else
		name = a->of_member ? SENTENCE_MEMBER_MONTHLY_LIMIT : SENTENCE_MONTHLY_LIMIT;
	sentence_put(out, name, c->french, (const char *const[]){limit, NULL});
}

/* Rounds up to a minor unit, which people see.  An amount that would overflow stays as it is. */
static micros round_up(micros amount, int64_t unit)
{
	const int64_t per_minor = render_per_minor(unit);

	return amount > INT64_MAX - per_minor ? amount : -money_floor_div(-amount, per_minor) * per_minor;
}

/* The available amount rounded down, the needed amount rounded up. */
static void limit_message(const struct call *c, const struct answer *a, struct buf *out)
{
	char left[RENDER_AMOUNT_MAX], needed[RENDER_AMOUNT_MAX], moment[WORDING_MAX];

	render_amount(c, a->unit, a->available_micros > 0 ? a->available_micros : 0, left);
	render_amount(c, a->unit, round_up(a->needed_micros, a->unit), needed);
	name_limit(c, a, out);
	sentence_put(out, SENTENCE_LIMIT_REACHED, c->french, (const char *const[]){left, needed, NULL});
	if (a->resets_at_us == 0)
		return;
	wording_moment(c->french, a->resets_at_us, moment);
	sentence_put(out, SENTENCE_LIMIT_RESETS, c->french, (const char *const[]){moment, NULL});
}

static void put_message(struct json_writer *w, const struct call *c, const struct refusal *r)
{
	const struct answer *a = r->answer;
	struct buf text;

	buf_init(&text, MESSAGE_MAX);
	if (r->message != NULL)
		buf_add_text(&text, r->message);
	else if (r->outcome == OUTCOME_INSUFFICIENT_CREDITS && a != NULL && a->unit == UNIT_CREDIT)
		credits_message(c, a, &text);
	else if ((r->outcome == OUTCOME_MEMBER_LIMIT_REACHED || r->outcome == OUTCOME_SPENDING_LIMIT_REACHED) &&
	         a != NULL)
		limit_message(c, a, &text);
	else
		buf_add_text(&text, outcome_message(r->outcome, c->french));
	json_put_text(w, "message", buf_text(&text));
	buf_free(&text);
}

static void put_topup_url(struct json_writer *w, const struct config *config)
{
	char url[CONFIG_URL_MAX];

	config_topup_url(config, url);
	if (url[0] != '\0')
		json_put_text(w, "topupUrl", url);
	else
		json_put_null(w, "topupUrl");
}

static void put_money_refusal(struct json_writer *w, const struct call *c, const struct refusal *r)
{
	const struct answer *a = r->answer;

	if (r->outcome == OUTCOME_INSUFFICIENT_CREDITS)
		json_put_text(w, "code", "insufficient_quota");
	if (r->outcome == OUTCOME_HARD_LIMIT_REACHED)
		json_put_text(w, "code", "billing_hard_limit_reached");
	json_open_record(w, "limit");
	json_put_text(w, "kind", names_limit(a->limit));
	json_put_int(w, "limitMicros", a->limit_micros);
	json_put_int(w, "usedMicros", a->used_micros);
	json_put_time(w, "resetsAt", a->resets_at_us);
	if (a->of_member && r->member != NULL)
		json_put_text(w, "member", r->member);
	json_close_record(w);
	json_put_int(w, "neededMicros", a->needed_micros);
	json_put_int(w, "availableMicros", a->available_micros);
	json_put_int(w, "shortfallMicros", shortfall(a));
	render_put_whole(w, "balance", a->balance_micros, a->unit);
	json_put_minor(w, "estimatedCost", a->needed_micros, render_per_minor(a->unit));
	put_topup_url(w, c->config);
}

static void put_declined(struct json_writer *w, const struct refusal *r)
{
	CHECK(r->code != NULL && r->invoice_url != NULL);
	json_put_text(w, "code", r->code);
	if (r->invoice_url[0] != '\0')
		json_put_text(w, "invoiceUrl", r->invoice_url);
	else
		json_put_null(w, "invoiceUrl");
}

void render_refusal_members(struct json_writer *w, const struct call *c, const struct refusal *r)
{
	json_put_text(w, "error", outcome_name(r->outcome));
	put_message(w, c, r);
	if (r->outcome == OUTCOME_INVALID_REQUEST)
		json_put_text(w, "field", r->field != NULL ? r->field : "body");
	if (r->outcome == OUTCOME_UNKNOWN_MODEL && r->field != NULL)
		json_put_text(w, "field", r->field);
	if (outcome_status(r->outcome) == 402 && r->answer != NULL)
		put_money_refusal(w, c, r);
	if (r->outcome == OUTCOME_PAYMENT_DECLINED)
		put_declined(w, r);
	json_put_text(w, "requestId", c->request->id);
}

/* A web server's auth_request takes anything but 2xx, 401 and 403 for a failure; 503 is one. */
static int gate_status(struct call *c, enum outcome outcome)
{
	int status = outcome_status(outcome);
	char text[16];

	snprintf(text, sizeof(text), "%d", status);
	response_header(c->response, "X-Octroi-Status", text);
	response_header(c->response, "X-Octroi-Error", outcome_name(outcome));
	return status == 401 || status == 503 ? status : 403;
}

/* Retry-After in whole seconds; 1 if the time is not known. */
static void put_retry(struct call *c, const struct answer *a)
{
	int64_t seconds = 1;
	char text[24];

	if (a != NULL && a->resets_at_us != 0 &&
	    (a->outcome == OUTCOME_TOO_MANY_GUESSES || a->outcome == OUTCOME_RATE_LIMITED))
		seconds = (a->resets_at_us - clock_wall_us()) / CLOCK_US_PER_SECOND + 1;
	snprintf(text, sizeof(text), "%lld", (long long)(seconds > 0 ? seconds : 1));
	response_header(c->response, "Retry-After", text);
}

void render_refusal(struct call *c, const struct refusal *r)
{
	struct json_writer w;
	int status = outcome_status(r->outcome);

	CHECK(r->outcome != OUTCOME_OK);
	c->outcome = r->outcome;
	c->response->outcome = outcome_name(r->outcome);
	c->response->status = c->gate ? gate_status(c, r->outcome) : status;
	if (status == 401)
		response_header(c->response, "WWW-Authenticate", "Bearer realm=\"octroi\"");
	if (status == 503 || status == 429)
		put_retry(c, r->answer);
	render_open(c, &w);
	render_refusal_members(&w, c, r);
	render_close(&w);
}

void render_outcome(struct call *c, enum outcome outcome)
{
	const struct refusal r = {.outcome = outcome, .field = c->field};

	render_refusal(c, &r);
}

struct refusal render_refused(const struct command *command)
{
	const struct answer *a = &command->answer;

	return (struct refusal){
		.outcome = a->outcome,
		.field = a->field,
		.answer = a,
		.member = command->member != NULL && command->member[0] != '\0' ? command->member : NULL,
	};
}

void render_answer(struct call *c, const struct command *command)
{
	const struct refusal r = render_refused(command);

	render_refusal(c, &r);
}

bool render_topup_allowed(struct call *c, int64_t amount)
{
	const bool low = amount < c->config->topup_min;
	char limit[RENDER_AMOUNT_MAX], message[SENTENCE_MAX];
	const struct refusal r = {.outcome = OUTCOME_INVALID_REQUEST, .field = "amount", .message = message};

	if (!low && amount <= c->config->topup_max)
		return true;
	render_amount_short(c, (low ? c->config->topup_min : c->config->topup_max) * MONEY_MICROS_PER_MINOR, limit);
	sentence_fill(low ? SENTENCE_TOPUP_MINIMUM : SENTENCE_TOPUP_MAXIMUM, c->french, limit, message,
	              sizeof(message));
	render_refusal(c, &r);
	return false;
}

void render_wrong(struct call *c, const struct parse *p)
{
	struct refusal r = {.outcome = OUTCOME_INVALID_REQUEST, .field = p->field};
	struct buf message;

	buf_init(&message, MESSAGE_MAX);
	parse_message(p, c->french, &message);
	r.message = buf_text(&message);
	render_refusal(c, &r);
	buf_free(&message);
}

void render_said(struct call *c, enum outcome outcome, const char *field, enum sentence sentence)
{
	const struct refusal r = {.outcome = outcome, .field = field, .message = sentence_text(sentence, c->french)};

	render_refusal(c, &r);
}
