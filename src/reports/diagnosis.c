#include "reports/diagnosis.h"

#include <string.h>

#include "base/check.h"

/* ---- the decision -------------------------------------------------------------------------------- */

enum diagnosis_case diagnosis_case(const struct diagnosis_facts *f)
{
#define CASE(NAME, name, action, condition, ...) \
	if (condition) \
		return DIAGNOSIS_##NAME;
#include "reports/diagnosis_cases.def"
#undef CASE
	UNREACHABLE("the last case always holds");
}

/* ---- words --------------------------------------------------------------------------------------- */

enum action {
#define ACTION(NAME, name, place, english, french) ACTION_##NAME,
#include "reports/diagnosis_actions.def"
#undef ACTION
};

enum place { NOWHERE, INVOICE, TOPUP };

struct case_words {
	const char *name;
	enum action action;
	const char *english_title, *english, *french_title, *french;
};

static struct case_words words_of_case(enum diagnosis_case what)
{
	switch (what) {
#define CASE(NAME, name, action, condition, ...) \
	case DIAGNOSIS_##NAME: \
		return (struct case_words){name, ACTION_##action, __VA_ARGS__};
#include "reports/diagnosis_cases.def"
#undef CASE
	case DIAGNOSIS_CASES:
		break;
	}
	UNREACHABLE("no such case");
}

struct action_words {
	const char *name;
	enum place place;
	const char *english, *french;
};

static struct action_words action_of(enum diagnosis_case what)
{
	switch (words_of_case(what).action) {
#define ACTION(NAME, name, place, english, french) \
	case ACTION_##NAME: \
		return (struct action_words){name, place, english, french};
#include "reports/diagnosis_actions.def"
#undef ACTION
	}
	UNREACHABLE("no such action");
}

/* The amount to pay: the statements that failed, or else the debt. */
static micros owed(const struct diagnosis_facts *f)
{
	if (f->unpaid_micros > 0)
		return f->unpaid_micros;
	return f->balance_micros < 0 ? -f->balance_micros : 0;
}

static bool fill_amount(const char *name, const struct diagnosis_facts *f, const struct wording *w,
                        char out[WORDING_MAX])
{
	const struct {
		const char *name;
		micros amount;
	} amounts[] = {
		{"balance", f->balance_micros},     {"owed", owed(f)},
		{"used", f->used_micros},           {"hard", f->hard_limit_micros},
		{"limit", f->limit_micros},         {"spent", f->limit_used_micros},
		{"available", f->available_micros}, {"allowance", f->allowance_micros},
	};

	for (size_t i = 0; i < sizeof(amounts) / sizeof(amounts[0]); i++) {
		if (strcmp(amounts[i].name, name) != 0)
			continue;
		wording_amount(w, f->unit, amounts[i].amount, out);
		return true;
	}
	return false;
}

static bool fill_moment(const char *name, const struct diagnosis_facts *f, const struct wording *w,
                        char out[WORDING_MAX])
{
	const struct {
		const char *name;
		int64_t time_us;
	} moments[] = {{"resets", f->resets_at_us}, {"period", f->period_end_us}, {"statement", f->statement_at_us}};

	for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
		if (strcmp(moments[i].name, name) != 0)
			continue;
		out[0] = '-';
		out[1] = '\0';
		if (moments[i].time_us != 0)
			wording_moment(w->french, moments[i].time_us, out);
		return true;
	}
	return false;
}

/*
 * The item and the cost of the typical request, in parentheses; the cost has as many decimals as it needs, from 2 to 6.
 * Nothing where any request is judged: its least cost, a millionth, tells a person nothing.
 */
static void fill_typical(const struct diagnosis_facts *f, const struct wording *w, struct buf *out)
{
	char number[MONEY_TEXT_MAX];
	char *point;

	if (f->item[0] == '\0')
		return;
	decimal_format(f->typical_micros, 6, 2, number);
	point = strchr(number, '.');
	if (w->french && point != NULL)
		*point = ',';
	buf_add_text(out, " (");
	buf_add_text(out, f->item);
	buf_add_text(out, ": ");
	buf_add_text(out, number);
	buf_add_char(out, ' ');
	if (f->unit == UNIT_MONEY)
		buf_add_text(out, w->currency);
	else
		buf_add_text(out, w->french ? "crédits" : "credits");
	buf_add_char(out, ')');
}

static void fill_diagnosis(const char *name, const struct diagnosis_facts *f, const struct wording *w, struct buf *out)
{
	char text[WORDING_MAX];

	if (strcmp(name, "typical") == 0)
		fill_typical(f, w, out);
	else if (strcmp(name, "code") == 0)
		buf_add_text(out, f->card_code[0] != '\0' ? f->card_code : "-");
	else if (fill_amount(name, f, w, text) || fill_moment(name, f, w, text))
		buf_add_text(out, text);
	else
		UNREACHABLE("no such word in braces");
}

/* Adds the text with the words in braces filled in. */
static void say_case(const char *text, const struct diagnosis_facts *f, const struct wording *w, struct buf *out)
{
	char name[16];

	for (; *text != '\0'; text++) {
		const char *end = *text == '{' ? strchr(text, '}') : NULL;
		size_t length;

		if (end == NULL) {
			buf_add_char(out, *text);
			continue;
		}
		length = (size_t)(end - text) - 1;
		CHECK(length < sizeof(name));
		memcpy(name, text + 1, length);
		name[length] = '\0';
		fill_diagnosis(name, f, w, out);
		text = end;
	}
}

const char *diagnosis_name(enum diagnosis_case what)
{
	return words_of_case(what).name;
}

void diagnosis_title(enum diagnosis_case what, const struct diagnosis_facts *f, const struct wording *w,
                     struct buf *out)
{
	const struct case_words words = words_of_case(what);

	say_case(w->french ? words.french_title : words.english_title, f, w, out);
}

void diagnosis_explain(enum diagnosis_case what, const struct diagnosis_facts *f, const struct wording *w,
                       struct buf *out)
{
	const struct case_words words = words_of_case(what);

	say_case(w->french ? words.french : words.english, f, w, out);
}

struct diagnosis_action diagnosis_action(enum diagnosis_case what, const struct diagnosis_facts *f,
                                         const char *topup_url)
{
	const struct action_words words = action_of(what);
	struct diagnosis_action found = {.name = words.name, .url = ""};

	switch (words.place) {
	case NOWHERE:
		break;
	case INVOICE:
		found.url = f->invoice_url;
		break;
	case TOPUP:
		found.url = topup_url;
		break;
	}
	return found;
}

void diagnosis_advise(enum diagnosis_case what, const struct diagnosis_facts *f, const struct wording *w,
                      struct buf *out)
{
	const struct action_words words = action_of(what);

	say_case(w->french ? words.french : words.english, f, w, out);
}

/* ---- the checklist ------------------------------------------------------------------------------- */

static enum diagnosis_done done(bool condition)
{
	return condition ? STEP_DONE : STEP_OPEN;
}

/* A prepaid account needs no card. */
static enum diagnosis_done valid_card(const struct diagnosis_facts *f)
{
	if (f->card == CARD_UNKNOWN || (f->card == CARD_NONE && f->mode == MODE_PREPAID))
		return STEP_UNKNOWN;
	return done(f->card == CARD_VALID);
}

/* True for a limit that begins anew by itself. */
static bool limit_renews(enum diagnosis_case what)
{
	return what == DIAGNOSIS_MEMBER_LIMIT_REACHED || what == DIAGNOSIS_MEMBER_DAILY_LIMIT_REACHED ||
	       what == DIAGNOSIS_MEMBER_MONTHLY_LIMIT_REACHED || what == DIAGNOSIS_DAILY_LIMIT_REACHED ||
	       what == DIAGNOSIS_MONTHLY_LIMIT_REACHED;
}

struct checklist_entry {
	const char *name;
	bool shown;
	enum diagnosis_done done;
	const char *english, *french;
};

static int read_step(int wanted, enum diagnosis_case what, const struct diagnosis_facts *f, struct checklist_entry *out)
{
	int i = 0;

#define STEP(name, shown, done, english, french) \
	if (i++ == wanted) \
		*out = (struct checklist_entry){name, shown, done, english, french};
#include "reports/diagnosis_steps.def"
#undef STEP
	return i;
}

int diagnosis_steps(void)
{
	int i = 0;

#define STEP(...) i++;
#include "reports/diagnosis_steps.def"
#undef STEP
	return i;
}

bool diagnosis_step(int i, enum diagnosis_case what, const struct diagnosis_facts *f, const struct wording *w,
                    struct diagnosis_step *step, struct buf *text)
{
	struct checklist_entry entry = {.shown = false};
	const int count = read_step(i, what, f, &entry);

	CHECK(i >= 0 && i < count);
	if (!entry.shown)
		return false;
	*step = (struct diagnosis_step){.name = entry.name, .done = entry.done};
	say_case(w->french ? entry.french : entry.english, f, w, text);
	return true;
}

const char *diagnosis_card_name(enum diagnosis_card card)
{
	switch (card) {
	case CARD_UNKNOWN:
		return "unknown";
	case CARD_NONE:
		return "none";
	case CARD_VALID:
		return "valid";
	case CARD_DECLINED:
		return "declined";
	case CARD_EXPIRED:
		return "expired";
	}
	UNREACHABLE("no such card");
}
