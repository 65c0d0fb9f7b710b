/*
 * gate: the guard's check for a web server that can ask a program: one line in, one line out.  See
 * apache/guarded.conf.  Each line gets an answer, because the web server waits for it without a timeout.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "ctl/ctl.h"

#define LOOKUP_TIMEOUT_US (2 * CLOCK_US_PER_SECOND)
#define DB_TIMEOUT_MS 1000 /* of each step, so that a look-up may still try twice */
/* After a look-up that failed slowly, the lines behind it are answered at once for this time.  Otherwise
 * each would wait for the same database in turn, and each keeps a worker of the web server busy. */
#define CLOSED_US CLOCK_US_PER_SECOND
#define SLOW_US (LOOKUP_TIMEOUT_US / 2)

#define SEPARATOR ','
#define LINE_MAX_BYTES (2 * (ID_ACCOUNT_MAX + 1) + PRICE_ITEM_MAX - 1)

struct line {
	char text[LINE_MAX_BYTES + 1];
	size_t length;
	bool whole; /* false: longer than text, and cut */
};

/* Reads up to the next line feed; false at the end of the input, also in the middle of a line. */
static bool read_question(struct line *line)
{
	int c;

	line->length = 0;
	line->whole = true;
	for (c = getchar(); c != EOF && c != '\n'; c = getchar()) {
		if (line->length < LINE_MAX_BYTES)
			line->text[line->length++] = (char)c;
		else
			line->whole = false;
	}
	line->text[line->length] = '\0';
	return c == '\n';
}

static bool is_plain(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return false;
	return length < PRICE_ITEM_MAX;
}

/* Cuts the line ACCOUNT,MEMBER,MODEL into the command's strings.  The line must have both commas and no
 * third.  Thus a comma in a value that a web server filled in makes no other account of it. */
static bool parse(struct line *line, struct command *command)
{
	char *const end = line->text + line->length;
	char *member = memchr(line->text, SEPARATOR, line->length);
	char *model = member != NULL ? memchr(member + 1, SEPARATOR, (size_t)(end - member - 1)) : NULL;
	size_t account_length, member_length;

	if (!line->whole || model == NULL || memchr(model + 1, SEPARATOR, (size_t)(end - model - 1)) != NULL)
		return false;
	account_length = (size_t)(member - line->text);
	member_length = (size_t)(model - member - 1);
	*member++ = '\0';
	*model++ = '\0';
	command->account_id = line->text;
	command->member = member;
	command->check.model = model;
	return id_account_valid(line->text, account_length) &&
	       (member_length == 0 || id_account_valid(member, member_length)) &&
	       is_plain(model, (size_t)(end - model));
}

static enum outcome look_up_question(struct ctl *c, struct command *command, int64_t *closed_until_us)
{
	const int64_t now_us = clock_monotonic_us();

	if (now_us < *closed_until_us)
		return OUTCOME_UNAVAILABLE;
	command->account = id_account_key(command->account_id, strlen(command->account_id));
	command->check.input_tokens = c->config->estimate_input_tokens;
	command->check.max_output_tokens = c->config->estimate_output_tokens;
	ledger_submit(ctl_ledger(c), command, now_us + LOOKUP_TIMEOUT_US);
	if (command->answer.outcome == OUTCOME_UNAVAILABLE && clock_monotonic_us() - now_us >= SLOW_US)
		*closed_until_us = clock_monotonic_us() + CLOSED_US;
	return command->answer.outcome;
}

/* Prints the answer; 0, or -1 if stdout has no reader any more. */
static int answer(enum outcome outcome)
{
	if (outcome == OUTCOME_OK)
		(void)puts("204");
	else if (outcome == OUTCOME_INVALID_REQUEST)
		(void)printf("403 %s\n", outcome_name(outcome));
	else
		(void)printf("%d %s\n", outcome_status(outcome), outcome_name(outcome));
	return fflush(stdout) == 0 ? 0 : -1;
}

int ctl_gate(struct ctl *c)
{
	const struct config *const config = c->config;
	struct config quick = *config;
	int64_t closed_until_us = 0;
	struct line line;

	if (ctl_arguments(c, NULL, NULL, 0, 0) < 0)
		return CTL_FAILED;
	if (quick.db_timeout_ms > DB_TIMEOUT_MS)
		quick.db_timeout_ms = DB_TIMEOUT_MS;
	c->config = &quick;
	(void)ctl_ledger(c); /* the ledger keeps no pointer into quick */
	c->config = config;
	while (read_question(&line)) {
		struct command command = {.kind = COMMAND_CHECK};

		if (answer(parse(&line, &command) ? look_up_question(c, &command, &closed_until_us)
		                                  : OUTCOME_INVALID_REQUEST) != 0)
			break;
	}
	return ferror(stdout) ? CTL_FAILED : CTL_OK;
}
