/* A webhook's body that was rightly signed, whatever is in it. */
#include "fuzz.h"

#include "inbox/stripe_event.h"

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
	json_free(j);
	free(text);
	return 0;
}
