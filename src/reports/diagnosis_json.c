#include "reports/diagnosis_json.h"

#include "ledger/names.h"

typedef void sentence(enum diagnosis_case what, const struct diagnosis_facts *f, const struct wording *w,
                      struct buf *out);

static void put_sentence(struct json_writer *w, const char *key, sentence *say, const struct diagnosis_facts *f,
                         const struct wording *words)
{
	struct buf text;

	buf_init(&text, DIAGNOSIS_TEXT_MAX);
	say(diagnosis_case(f), f, words, &text);
	json_put_text(w, key, buf_text(&text));
	buf_free(&text);
}

static void put_limit_or_null(struct json_writer *w, const char *key, bool there, micros amount)
{
	if (there)
		json_put_int(w, key, amount);
	else
		json_put_null(w, key);
}

static void put_card(struct json_writer *w, const struct diagnosis_facts *f)
{
	json_open_record(w, "card");
	json_put_text(w, "state", diagnosis_card_name(f->card));
	if (f->card_code[0] != '\0')
		json_put_text(w, "code", f->card_code);
	else
		json_put_null(w, "code");
	json_close_record(w);
}

/* Puts the typical request that is judged. */
static void put_typical(struct json_writer *w, const struct diagnosis_facts *f)
{
	json_open_record(w, "typicalRequest");
	if (f->item[0] != '\0')
		json_put_text(w, f->item_kind == PRICE_MODEL ? "model" : "action", f->item);
	json_put_int(w, "costMicros", f->typical_micros);
	json_close_record(w);
}

static void put_allowance(struct json_writer *w, const struct diagnosis_facts *f)
{
	if (!f->on_plan) {
		json_put_null(w, "allowance");
		return;
	}
	json_open_record(w, "allowance");
	json_put_int(w, "limitMicros", f->allowance_micros);
	json_put_int(w, "usedMicros",
	             f->allowance_micros > f->allowance_left_micros ? f->allowance_micros - f->allowance_left_micros
	                                                            : 0);
	json_put_time(w, "resetsAt", f->period_end_us);
	json_close_record(w);
}

static void put_verdict(struct json_writer *w, const struct diagnosis_facts *f)
{
	if (f->limit == LIMIT_NONE) {
		json_put_null(w, "limit");
		return;
	}
	json_open_record(w, "limit");
	json_put_text(w, "kind", names_limit(f->limit));
	json_put_bool(w, "ofMember", f->of_member);
	json_put_int(w, "limitMicros", f->limit_micros);
	json_put_int(w, "usedMicros", f->limit_used_micros);
	json_put_time(w, "resetsAt", f->resets_at_us);
	json_close_record(w);
}

static void put_last_payment(struct json_writer *w, const struct diagnosis_facts *f)
{
	if (f->paid_at_us == 0) {
		json_put_null(w, "lastPayment");
		return;
	}
	json_open_record(w, "lastPayment");
	json_put_text(w, "type", names_transaction(f->paid_type));
	json_put_int(w, "amountMicros", f->paid_micros);
	json_put_time(w, "createdAt", f->paid_at_us);
	json_close_record(w);
}

static void put_diagnosis_figures(struct json_writer *w, const struct diagnosis_facts *f, const struct wording *words)
{
	const bool postpaid = f->mode == MODE_POSTPAID;

	json_open_record(w, "figures");
	json_put_text(w, "mode", names_mode(f->mode));
	json_put_text(w, "unit", price_unit_name(f->unit));
	json_put_text(w, "currency", words->currency);
	json_put_text(w, "status", names_status(f->status));
	json_put_int(w, "balanceMicros", f->balance_micros);
	json_put_int(w, "heldMicros", f->held_micros);
	json_put_int(w, "availableMicros", f->available_micros);
	json_put_int(w, "usedThisMonthMicros", f->used_micros);
	put_limit_or_null(w, "hardLimitMicros", postpaid, f->hard_limit_micros);
	put_limit_or_null(w, "softLimitMicros", postpaid, f->soft_limit_micros);
	put_limit_or_null(w, "dailyLimitMicros", f->daily_limit_micros != COMMAND_NO_LIMIT, f->daily_limit_micros);
	put_limit_or_null(w, "monthlyLimitMicros", f->monthly_limit_micros != COMMAND_NO_LIMIT,
	                  f->monthly_limit_micros);
	json_put_int(w, "statedMicros", f->stated_micros);
	json_put_int(w, "unpaidMicros", f->unpaid_micros);
	json_put_time(w, "nextStatementAt", f->statement_at_us);
	put_card(w, f);
	put_typical(w, f);
	put_verdict(w, f);
	put_allowance(w, f);
	put_last_payment(w, f);
	json_close_record(w);
}

static void put_step(struct json_writer *w, int i, const struct diagnosis_facts *f, const struct wording *words)
{
	struct diagnosis_step step;
	struct buf text;

	buf_init(&text, DIAGNOSIS_TEXT_MAX);
	if (diagnosis_step(i, diagnosis_case(f), f, words, &step, &text)) {
		json_open_record(w, NULL);
		json_put_text(w, "id", step.name);
		json_put_text(w, "text", buf_text(&text));
		if (step.done == STEP_UNKNOWN)
			json_put_null(w, "done");
		else
			json_put_bool(w, "done", step.done == STEP_DONE);
		json_close_record(w);
	}
	buf_free(&text);
}

void diagnosis_json_put(struct json_writer *w, const struct diagnosis_facts *f, const struct wording *words,
                        const struct diagnosis_links *links)
{
	const struct diagnosis_action action = diagnosis_action(diagnosis_case(f), f, links->topup_url);

	json_put_text(w, "case", diagnosis_name(diagnosis_case(f)));
	put_sentence(w, "title", diagnosis_title, f, words);
	put_sentence(w, "explanation", diagnosis_explain, f, words);
	put_diagnosis_figures(w, f, words);
	json_open_list(w, "checklist");
	for (int i = 0; i < diagnosis_steps(); i++)
		put_step(w, i, f, words);
	json_close_list(w);
	json_open_record(w, "nextAction");
	json_put_text(w, "id", action.name);
	put_sentence(w, "text", diagnosis_advise, f, words);
	if (action.url[0] != '\0' && (links->invoice || action.url != f->invoice_url))
		json_put_text(w, "url", action.url);
	json_close_record(w);
}
