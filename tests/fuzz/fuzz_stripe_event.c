/* A webhook's body that was rightly signed, whatever is in it. */
#include "fuzz.h"

#include "inbox/stripe_event.h"
#include "inbox/stripe_invoice.h"

/* An invoice pays for a plan of the configuration, from a time to a later one, or for nothing. */
static void read_plans(struct stripe_event *e)
{
	struct arena *a = arena_new((size_t)1 << 20);
	bool short_of_memory = false;
	const char *why;

	if (a == NULL)
		return;
	why = stripe_invoice_plans(e, "price_1=small price_2=great", a, &short_of_memory);
	if (why == NULL && !short_of_memory)
		MUST(e->command.period.plan[0] != '\0' && e->command.period.start_us < e->command.period.end_us &&
		     e->command.period.amount_minor >= 0 &&
		     strcmp(e->command.period.plan, e->command.period.instead_of) != 0);
	arena_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	char error[JSON_ERROR_MAX];
	char *text = fuzz_text(bytes, length);
	struct json *j = json_parse(text, length, false, error);
	struct stripe_event e;
	const char *field = NULL;

	if (j != NULL && stripe_event_read(j, text, &e, &field) == 0)
		MUST(e.command.kind < COMMAND_COUNT && e.command.event.id != NULL && e.command.event.id[0] != '\0');
	else
		MUST(j == NULL || field != NULL);
	if (j != NULL && field == NULL && e.command.kind == COMMAND_PERIOD)
		read_plans(&e);
	json_free(j);
	free(text);
	return 0;
}
