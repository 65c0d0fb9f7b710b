#include "worker/letter.h"

#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/money.h"
#include "db/operator_alert.h"
#include "ledger/command.h"

#define MICROS_DECIMALS 6

struct words {
	const char *subject, *sentence;
};
static const struct words letters[ALERT_COUNT][2] = {
#define LETTER(KIND, subject, sentence, french_subject, french_sentence) \
	[ALERT_##KIND] = {{subject, sentence}, {french_subject, french_sentence}},
#include "worker/letters.def"
#undef LETTER
};

enum phrase {
	HELLO,
	BALANCE,
	THRESHOLD,
	LIMIT,
	MEMBER,
	EXPIRE,
	ADDED,
	MORE,
	ACCOUNT,
	PAGE,
	USED,
	WHY,
	WHY_OPERATOR,
	PHRASES
};
static const char *const phrases[PHRASES][2] = {
	[HELLO] = {"Hello", "Bonjour"},
	[BALANCE] = {"balance", "solde"},
	[THRESHOLD] = {"threshold", "seuil"},
	[LIMIT] = {"limit", "limite"},
	[MEMBER] = {"member", "membre"},
	[EXPIRE] = {"expire at", "expirent le"},
	[ADDED] = {"added", "ajouté"},
	[MORE] = {"and more of these:", "et d'autres encore :"},
	[ACCOUNT] = {"Account:", "Compte :"},
	[PAGE] = {"Your credits:", "Vos crédits :"},
	[USED] = {"% of the plan's credits are used", "% des crédits de l'offre sont utilisés"},
	[WHY] = {"You get this mail because you are a contact of this account.",
                 "Vous recevez ce message parce que vous êtes un contact de ce compte."},
	[WHY_OPERATOR] = {"You get this mail because octroi's setting operator_mail has your address.", ""},
};

static const char *phrase_of(const struct letter_about *a, enum phrase p)
{
	return phrases[p][a->french ? 1 : 0];
}

/* ---- both forms ------------------------------------------------------------------------------------ */

/* Text for HTML, also within an attribute. */
static void put_as_html(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		switch (*text) {
		case '&':
			buf_add_text(out, "&amp;");
			break;
		case '<':
			buf_add_text(out, "&lt;");
			break;
		case '>':
			buf_add_text(out, "&gt;");
			break;
		case '"':
			buf_add_text(out, "&quot;");
			break;
		case '\'':
			buf_add_text(out, "&#39;");
			break;
		default:
			buf_add_char(out, *text);
		}
	}
}

static void put_form(struct buf *out, bool html, const char *text)
{
	if (html)
		put_as_html(out, text);
	else
		buf_add_text(out, text);
}

/* "1.80 EUR", in French "1,80 EUR". */
static void put_amount(struct buf *out, const struct letter_about *a, micros amount)
{
	char text[MONEY_TEXT_MAX], *point;

	(void)decimal_format(amount, MICROS_DECIMALS, a->unit == UNIT_MONEY ? 2 : 0, text);
	point = strchr(text, '.');
	if (a->french && point != NULL)
		*point = ',';
	buf_printf(out, "%s %s", text, a->unit == UNIT_MONEY ? a->currency : a->french ? "crédits" : "credits");
}

static void put_moment(struct buf *out, int64_t time_us)
{
	char text[CLOCK_RFC3339_MAX];

	(void)clock_format(time_us, text);
	text[10] = ' ';
	buf_printf(out, "%.16s UTC", text);
}

/* "2026-11-24 08:00 UTC: balance 1.80 EUR, threshold 2.00 EUR" */
static void put_alert_line(struct buf *out, bool html, const struct letter_about *a, const struct alerts_shown *l)
{
	put_moment(out, l->created_at_us);
	buf_add_text(out, a->french ? " : " : ": ");
	if (a->of_operator) {
		put_form(out, html, l->member);
		return;
	}
	put_form(out, html, phrase_of(a, BALANCE));
	buf_add_char(out, ' ');
	put_amount(out, a, l->balance_micros);
	if (l->threshold_micros != 0) {
		buf_printf(out, ", %s ", phrase_of(a, l->limit_kind != LIMIT_NONE ? LIMIT : THRESHOLD));
		put_amount(out, a, l->threshold_micros);
	}
	if (l->kind == ALERT_RECHARGE_DONE) {
		buf_printf(out, ", %s ", phrase_of(a, ADDED));
		put_amount(out, a, l->amount_micros);
	}
	if (l->threshold_percent != 0) {
		buf_printf(out, ", %lld ", (long long)l->threshold_percent);
		put_form(out, html, phrase_of(a, USED));
	}
	if (l->member[0] != '\0') {
		buf_printf(out, ", %s ", phrase_of(a, MEMBER));
		put_form(out, html, l->member);
	}
	if (l->expires_at_us != 0) {
		buf_add_text(out, ", ");
		put_amount(out, a, l->amount_micros);
		buf_printf(out, " %s ", phrase_of(a, EXPIRE));
		put_moment(out, l->expires_at_us);
	}
}

static void put_alert_lines(struct buf *out, bool html, const struct letter_about *a)
{
	for (int i = 0; i < a->line_count; i++) {
		buf_add_text(out, html ? "<li>" : "- ");
		put_alert_line(out, html, a, &a->lines[i].alert);
		buf_add_text(out, html ? "</li>\r\n" : "\r\n");
	}
	if (a->count <= a->line_count)
		return;
	buf_add_text(out, html ? "<li>" : "- ");
	put_form(out, html, phrase_of(a, MORE));
	buf_printf(out, " %lld", (long long)(a->count - a->line_count));
	buf_add_text(out, html ? "</li>\r\n" : "\r\n");
}

/* ---- the parts ------------------------------------------------------------------------------------- */

static void put_greeting(struct buf *out, bool html, const struct letter_about *a)
{
	buf_add_text(out, phrase_of(a, HELLO));
	if (a->name[0] != '\0') {
		buf_add_char(out, ' ');
		put_form(out, html, a->name);
	}
	buf_add_char(out, ',');
}

static void write_text(struct buf *out, const struct letter_about *a, const struct words *w)
{
	put_greeting(out, false, a);
	buf_printf(out, "\r\n\r\n%s\r\n\r\n", w->sentence);
	put_alert_lines(out, false, a);
	if (!a->of_operator)
		buf_printf(out, "\r\n%s %s\r\n", phrase_of(a, ACCOUNT), a->account_id);
	if (!a->of_operator && a->page[0] != '\0')
		buf_printf(out, "%s %s\r\n", phrase_of(a, PAGE), a->page);
	buf_printf(out, "\r\n-- \r\n%s\r\n", phrase_of(a, a->of_operator ? WHY_OPERATOR : WHY));
}

static void write_html(struct buf *out, const struct letter_about *a, const struct words *w)
{
	buf_printf(out, "<!DOCTYPE html>\r\n<html lang=\"%s\"><head><meta charset=\"utf-8\"><title>",
	           a->french ? "fr" : "en");
	put_as_html(out, w->subject);
	buf_add_text(out, "</title></head>\r\n<body>\r\n<p>");
	put_greeting(out, true, a);
	buf_add_text(out, "</p>\r\n<p>");
	put_as_html(out, w->sentence);
	buf_add_text(out, "</p>\r\n<ul>\r\n");
	put_alert_lines(out, true, a);
	buf_add_text(out, "</ul>\r\n<p>");
	if (!a->of_operator) {
		buf_printf(out, "%s ", phrase_of(a, ACCOUNT));
		put_as_html(out, a->account_id);
	}
	if (!a->of_operator && a->page[0] != '\0') {
		buf_printf(out, "<br>\r\n%s <a href=\"", phrase_of(a, PAGE));
		put_as_html(out, a->page);
		buf_add_text(out, "\">");
		put_as_html(out, a->page);
		buf_add_text(out, "</a>");
	}
	buf_add_text(out, "</p>\r\n<p><small>");
	put_as_html(out, phrase_of(a, a->of_operator ? WHY_OPERATOR : WHY));
	buf_add_text(out, "</small></p>\r\n</body></html>\r\n");
}

static struct words words_of(const struct letter_about *a)
{
	const int64_t of_operator = a->kind - OPERATOR_KIND_FIRST;

	CHECK(!a->of_operator || !a->french);
	if (a->of_operator)
		return (struct words){operator_alert_subject(of_operator), operator_alert_sentence(of_operator)};
	CHECK(a->kind >= 0 && a->kind < ALERT_COUNT);
	CHECK(letters[a->kind][0].subject != NULL);
	return letters[a->kind][a->french ? 1 : 0];
}

bool letter_write(const struct letter_about *a, struct letter *letter)
{
	const struct words own = words_of(a), *w = &own;

	buf_init(&letter->subject, LETTER_MAX);
	buf_init(&letter->text, LETTER_MAX);
	buf_init(&letter->html, LETTER_MAX);
	buf_add_text(&letter->subject, w->subject);
	if (a->count > 1)
		buf_printf(&letter->subject, " (%lld)", (long long)a->count);
	if (!a->of_operator)
		buf_printf(&letter->subject, " - %s", a->account_id);
	write_text(&letter->text, a, w);
	write_html(&letter->html, a, w);
	return buf_ok(&letter->subject) && buf_ok(&letter->text) && buf_ok(&letter->html);
}

void letter_free(struct letter *letter)
{
	buf_free(&letter->subject);
	buf_free(&letter->text);
	buf_free(&letter->html);
}
