#include "ctl/diagnose.h"

#include <stdio.h>

#include "base/clock.h"
#include "ctl/target.h"
#include "reports/diagnosis_json.h"
#include "reports/examine.h"

#define DOCUMENT_MAX ((size_t)64 * 1024)

typedef void sentence(enum diagnosis_case what, const struct diagnosis_facts *f, const struct wording *w,
                      struct buf *out);

static void print_sentence(sentence *say, const struct diagnosis_facts *f, const struct wording *w)
{
	struct buf text;

	buf_init(&text, DIAGNOSIS_TEXT_MAX);
	say(diagnosis_case(f), f, w, &text);
	(void)puts(buf_text(&text));
	buf_free(&text);
}

static void print_step(int i, const struct diagnosis_facts *f, const struct wording *w)
{
	static const char marks[] = {[STEP_OPEN] = ' ', [STEP_DONE] = 'x', [STEP_UNKNOWN] = '?'};
	struct diagnosis_step step;
	struct buf text;

	buf_init(&text, DIAGNOSIS_TEXT_MAX);
	if (diagnosis_step(i, diagnosis_case(f), f, w, &step, &text))
		(void)printf("[%c] %s\n", marks[step.done], buf_text(&text));
	buf_free(&text);
}

static void print_text(const struct diagnosis_facts *f, const struct wording *w, const char *topup_url)
{
	const struct diagnosis_action action = diagnosis_action(diagnosis_case(f), f, topup_url);

	(void)printf("%s: ", diagnosis_name(diagnosis_case(f)));
	print_sentence(diagnosis_title, f, w);
	print_sentence(diagnosis_explain, f, w);
	(void)putchar('\n');
	for (int i = 0; i < diagnosis_steps(); i++)
		print_step(i, f, w);
	(void)fputs(w->french ? "\nÀ faire : " : "\nTo do: ", stdout);
	print_sentence(diagnosis_advise, f, w);
	if (action.url[0] != '\0')
		(void)puts(action.url);
}

static int print_json(const char *name, const struct diagnosis_facts *f, const struct wording *w, const char *topup_url)
{
	const struct diagnosis_links links = {.topup_url = topup_url, .invoice = true};
	struct json_writer writer;
	struct buf out;
	int result;

	buf_init(&out, DOCUMENT_MAX);
	json_writer_init(&writer, &out);
	json_open_record(&writer, NULL);
	json_put_text(&writer, "account", name);
	diagnosis_json_put(&writer, f, w, &links);
	json_close_record(&writer);
	result = ctl_print(&out);
	buf_free(&out);
	return result;
}

static int print(struct ctl *c, const char *name, const struct diagnosis_facts *f, bool french)
{
	const struct wording words = {.currency = c->config->currency, .french = french};
	char topup_url[CONFIG_URL_MAX];

	config_topup_url(c->config, topup_url);
	if (c->json)
		return print_json(name, f, &words, topup_url);
	print_text(f, &words, topup_url);
	return CTL_OK;
}

/* Submits COMMAND_TOUCH first: due changes of the account are made, as when the owner asks. */
static int examine(struct ctl *c, struct arena *arena, const char *name, const char *member,
                   struct diagnosis_facts *facts)
{
	const struct examine_options options = {
		.ledger = ctl_ledger(c),
		.deadline_us = clock_monotonic_us() + CTL_LEDGER_TIMEOUT_US,
		.input_tokens = c->config->estimate_input_tokens,
		.output_tokens = c->config->estimate_output_tokens,
	};
	struct command touch = target_command(COMMAND_TOUCH, name);
	struct reader_account account;
	const struct zone *z;
	int result = target_submit(c, &touch);

	if (result == CTL_OK)
		result = target_find(c, arena, name, &account);
	if (result != CTL_OK)
		return result;
	z = target_zone(c, &account);
	if (z == NULL)
		return CTL_FAILED;
	if (examine_account(ctl_db(c), arena, &touch.account, z, &account, facts) < 0)
		return ctl_db_failed(c);
	if (examine_verdict(&options, &touch.account, name, member, facts) < 0)
		return ctl_fail("the database did not answer in time");
	return CTL_OK;
}

int diagnose_print(struct ctl *c, const char *name, const char *member, bool french)
{
	struct arena *arena = target_arena();
	struct diagnosis_facts facts;
	int result = CTL_FAILED;

	if (arena != NULL)
		result = examine(c, arena, name, member, &facts);
	if (result == CTL_OK)
		result = print(c, name, &facts, french);
	arena_free(arena);
	return result;
}
