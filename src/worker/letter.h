/*
 * letter: writes the mail that tells an account of alerts: subject, text and HTML, in English or French.  The HTML
 * holds no character of a name or an address as markup.  Pure.
 */
#ifndef OCTROI_WORKER_LETTER_H
#define OCTROI_WORKER_LETTER_H

#include "base/buf.h"
#include "queries/mails.h"

#define LETTER_MAX ((size_t)64 * 1024)

struct letter_about {
	const char *account_id, *name; /* name "": not known */
	const char *currency, *page;   /* page: where the customer tops up; "": not known */
	int64_t unit, kind, count;     /* count: of all alerts, of which lines are the first */
	bool french;
	bool of_operator; /* English; the account has no name, and a line is the member's text */
	const struct mail_line *lines;
	int line_count;
};

struct letter {
	struct buf subject, text, html;
};
/* letter_free frees it in any case.  False when memory is short. */
bool letter_write(const struct letter_about *about, struct letter *letter);
void letter_free(struct letter *letter);

#endif
