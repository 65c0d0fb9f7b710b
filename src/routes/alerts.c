/*
 * alerts: an account is told what happened to it, and its owner and managers set the thresholds of its balance.
 */
#include "clients/smtp.h"
#include "ledger/decide/alert.h"
#include "queries/alerts.h"
#include "routes/api/call.h"
#include "routes/api/cursor.h"
#include "routes/api/parse.h"
#include "routes/api/render.h"
#include "routes/api/steps.h"
#include "routes/routes.h"

#include <stdio.h>
#include <string.h>

#define PAGE_DEFAULT 20
#define PAGE_MAX 100
#define ALERT_ADDRESSES_MAX 5
#define ALERT_ADDRESS_MAX SMTP_ADDRESS_MAX

/* ---- GET ------------------------------------------------------------------------------------- */

static void put_thresholds(struct json_writer *w, const struct call *c, const struct alerts_page *page)
{
	micros thresholds[ALERT_THRESHOLDS_MAX];
	int64_t percents[ALERT_PERCENTS_MAX];
	bool standard;
	const int count = alert_thresholds(page->state, page->unit == UNIT_MONEY ? c->config->low_balance : 0,
	                                   thresholds, &standard);
	const int percent_count = alert_percents(page->state, percents);

	json_put_bool(w, "standard", standard);
	json_open_list(w, "thresholdsMicros");
	for (int i = 0; i < count; i++)
		json_put_int(w, NULL, thresholds[i]);
	json_close_list(w);
	json_open_list(w, "thresholdsPercent");
	for (int i = 0; i < percent_count; i++)
		json_put_int(w, NULL, percents[i]);
	json_close_list(w);
}

/* null: the account's own address, or the language of its locale. */
static void put_contacts(struct json_writer *w, const struct alerts_page *page)
{
	char address[ALERT_ADDRESS_MAX + 1];

	if (page->addresses[0] == '\0') {
		json_put_null(w, "addresses");
	} else {
		json_open_list(w, "addresses");
		for (const char *next = page->addresses; *next != '\0' && *next != '-';) {
			const size_t length = strcspn(next, " ");

			(void)snprintf(address, sizeof(address), "%.*s", (int)length, next);
			json_put_text(w, NULL, address);
			next += length + (next[length] == ' ' ? 1 : 0);
		}
		json_close_list(w);
	}
	if (page->language[0] == '\0')
		json_put_null(w, "language");
	else
		json_put_text(w, "language", page->language);
}

static void put_alerts(struct call *c, const struct account_key *key, const struct alerts_page *page)
{
	char cursor[CURSOR_MAX];
	struct json_writer w;

	render_open(c, &w);
	json_put_text(&w, "account", c->account);
	put_thresholds(&w, c, page);
	put_contacts(&w, page);
	json_open_list(&w, "items");
	for (int i = 0; i < page->count; i++) {
		json_open_record(&w, NULL);
		alerts_write(&w, key, &page->items[i]);
		json_close_record(&w);
	}
	json_close_list(&w);
	if (page->more) {
		cursor_format(CURSOR_ALERTS, key, page->items[page->count - 1].seq, cursor);
		json_put_text(&w, "nextCursor", cursor);
	} else {
		json_put_null(&w, "nextCursor");
	}
	render_close(&w);
}

/* Due work is done first, so that its alerts are shown. */
static void serve_alerts(struct call *c, int64_t before_seq, int limit)
{
	const struct account_key key = call_account_key(c);
	struct alerts_page page;
	struct db *d;
	int result;

	if (!call_may_manage(c) || !call_touch(c, &key))
		return;
	d = call_reader(c);
	if (d == NULL)
		return;
	result = alerts_read(d, c->request->arena, &key, before_seq, limit, &page);
	pool_give(c->readers, d);
	if (result < 0 || !page.found)
		render_outcome(c, OUTCOME_UNAVAILABLE);
	else
		put_alerts(c, &key, &page);
}

void alerts_get(struct call *c)
{
	const struct account_key key = call_account_key(c);
	int64_t before_seq = 0;
	const char *cursor;
	struct parse p;
	int limit;

	parse_query(&p, c->request);
	limit = (int)parse_int(&p, "limit", 1, PAGE_MAX, PAGE_DEFAULT);
	cursor = parse_text(&p, "cursor", 1, 64);
	if (cursor != NULL && cursor_parse(cursor, CURSOR_ALERTS, &key, &before_seq) < 0)
		parse_wrong(&p, "cursor", PARSE_CURSOR);
	if (!parse_ok(&p))
		render_wrong(c, &p);
	else
		serve_alerts(c, before_seq, limit);
}

/* ---- PUT ------------------------------------------------------------------------------------- */

static bool has_threshold(const struct command *command, micros threshold)
{
	for (int i = 0; i < command->alerts.count; i++)
		if (command->alerts.thresholds[i] == threshold)
			return true;
	return false;
}

/* Reads "thresholdsMicros": different amounts, or null or nothing for the configured threshold. */
static void parse_thresholds(struct parse *p, struct command *command)
{
	const struct json *list;

	list = parse_list(p, "thresholdsMicros", 0, ALERT_THRESHOLDS_MAX);
	command->alerts.count = list != NULL ? 0 : -1;
	for (size_t i = 0; list != NULL && i < json_size(list); i++) {
		const struct json *item = json_at(list, i);
		const micros threshold = json_type(item) == JSON_INT ? json_int(item) : 0;

		if (threshold <= 0 || threshold > MONEY_AMOUNT_MAX_MICROS || has_threshold(command, threshold)) {
			parse_wrong(p, "thresholdsMicros", PARSE_THRESHOLDS);
			return;
		}
		command->alerts.thresholds[command->alerts.count++] = threshold;
	}
}

/* Reads "thresholdsPercent": different percentages; null or nothing for none. */
static void parse_percents(struct parse *p, struct command *command)
{
	const struct json *list = parse_list(p, "thresholdsPercent", 0, ALERT_PERCENTS_MAX);

	for (size_t i = 0; list != NULL && i < json_size(list); i++) {
		const struct json *item = json_at(list, i);
		const int64_t percent = json_type(item) == JSON_INT ? json_int(item) : 0;
		bool wrong = percent <= 0 || percent > 100;

		for (int k = 0; k < command->alerts.percent_count; k++)
			wrong = wrong || command->alerts.percents[k] == percent;
		if (wrong) {
			parse_wrong(p, "thresholdsPercent", PARSE_PERCENTS);
			return;
		}
		command->alerts.percents[command->alerts.percent_count++] = percent;
	}
}

/* Reads "addresses": different ones, an empty list for no mail, or null or nothing for the account's own. */
static const char *parse_addresses(struct parse *p, struct arena *arena)
{
	const struct json *list = parse_list(p, "addresses", 0, ALERT_ADDRESSES_MAX);
	const size_t room = ALERT_ADDRESSES_MAX * (ALERT_ADDRESS_MAX + 1);
	char *text = arena_alloc(arena, room);
	size_t length = 0;

	if (list == NULL || text == NULL)
		return "";
	for (size_t i = 0; i < json_size(list); i++) {
		const struct json *item = json_at(list, i);
		const char *address = json_type(item) == JSON_TEXT ? json_text(item, NULL) : "";

		if (!smtp_address_valid(address)) {
			parse_wrong(p, "addresses", PARSE_ADDRESSES);
			return "";
		}
		length += (size_t)snprintf(text + length, room - length, "%s%s", i > 0 ? " " : "", address);
	}
	return length > 0 ? text : "-";
}

static const char *parse_language(struct parse *p)
{
	const char *text = parse_null(p, "language") ? NULL : parse_text(p, "language", 2, 2);

	if (text != NULL && strcmp(text, "fr") != 0 && strcmp(text, "en") != 0)
		parse_wrong(p, "language", PARSE_LANGUAGE);
	return text != NULL ? text : "";
}

void alerts_put(struct call *c)
{
	static const char *const known[] = {"thresholdsMicros", "thresholdsPercent", "addresses", "language", NULL};
	struct command command = {
		.kind = COMMAND_ALERTS, .account = call_account_key(c), .account_id = c->account, .member = ""};
	struct parse p;

	if (!call_may_manage(c))
		return;
	parse_record(&p, c->request, c->body, known);
	parse_thresholds(&p, &command);
	parse_percents(&p, &command);
	command.alerts.addresses = parse_addresses(&p, c->request->arena);
	command.alerts.language = parse_language(&p);
	if (!parse_ok(&p)) {
		render_wrong(c, &p);
		return;
	}
	if (call_submit(c, &command))
		serve_alerts(c, 0, PAGE_DEFAULT);
}
