#include "ctl/diagnose.h"

#include <stdio.h>

#include "ctl/reads.h"
#include "ctl/target.h"

#define DOCUMENT_MAX ((size_t)64 * 1024)

/* Prints the member's text between two others; nothing if there is none. */
static void print_text(const struct json *record, const char *key, const char *before, const char *after)
{
	const struct json *text = json_get(record, key);

	if (text != NULL)
		(void)printf("%s%s%s", before, json_text(text, NULL), after);
}

static void print_step(const struct json *step)
{
	const struct json *done = json_get(step, "done");
	char mark = '?';

	if (json_type(done) == JSON_BOOL)
		mark = json_bool(done) ? 'x' : ' ';
	(void)printf("[%c] ", mark);
	print_text(step, "text", "", "\n");
}

static void print_diagnosis(const struct json *document, bool french)
{
	const struct json *steps = json_get(document, "checklist"), *action = json_get(document, "nextAction");

	print_text(document, "case", "", ": ");
	print_text(document, "title", "", "\n");
	print_text(document, "explanation", "", "\n\n");
	for (size_t i = 0; i < json_size(steps); i++)
		print_step(json_at(steps, i));
	print_text(action, "text", french ? "\nÀ faire : " : "\nTo do: ", "\n");
	print_text(action, "url", "", "\n");
}

int diagnose_print(struct ctl *c, const char *name, const char *member, bool french)
{
	const struct reads r = {.path = "/api/credits/diagnosis", .account = name, .member = member, .french = french};
	struct json *document = NULL;
	struct buf body;
	int result = target_exists(c, name); /* the handler makes an account on first sight, a mistyped name must not */

	buf_init(&body, DOCUMENT_MAX);
	if (result == CTL_OK)
		result = reads_document(c, &r, &body, &document);
	if (result == CTL_OK && c->json)
		result = ctl_print(&body);
	else if (result == CTL_OK)
		print_diagnosis(document, french);
	json_free(document);
	buf_free(&body);
	return result;
}
