/* A whole request through the router and every handler: the first byte chooses the caller's key, then a line "METHOD
 * /path?query", then the body.  Ledger, readers and pool are the fakes of tests/unit/test_router.c. */
#include "fuzz.h"

int router_tests_main(void);
#define main router_tests_main
#include "../unit/test_router.c"
#undef main

/* Everything that a handler hands to the ledger is in bounds, whatever was sent. */
static void check_asked(void)
{
	if (asked.kind == COMMAND_AUTHORIZE) {
		MUST(asked.authorize.model_count >= 0 && asked.authorize.model_count <= COMMAND_MODELS_MAX);
		MUST(asked.authorize.quantity >= 1 && asked.authorize.quantity <= COMMAND_QUANTITY_MAX);
		MUST(asked.authorize.input_tokens >= 0 && asked.authorize.max_output_tokens >= 0);
		MUST(asked.authorize.ttl_us > 0);
	}
	if (asked.kind == COMMAND_SETTLE)
		for (int i = 0; i < PRICE_CLASSES; i++)
			MUST(asked.settle.tokens.count[i] >= 0);
	if (asked.kind == COMMAND_TRANSACTION)
		MUST(asked.transaction.amount_micros != 0 && asked.request_id != NULL);
}

static const char *line_of(char **rest)
{
	const char *line = fuzz_line(rest);

	/* send_with wants a method, a blank and a path. */
	return line != NULL && strlen(line) < 512 && strchr(line, ' ') != NULL && strchr(line, ' ')[1] == '/' ? line : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	static const char *const keys[] = {GUARD_KEY, APP_KEY, ADMIN_KEY, REPORT_KEY, UNKNOWN_KEY};
	char *text, *rest;
	const char *line;
	static bool ready;
	int status;

	if (!ready)
		ready = set_up(NULL) == 0;
	if (length == 0 || !ready)
		return 0;
	text = rest = fuzz_text(bytes + 1, length - 1);
	line = line_of(&rest);
	if (line != NULL) {
		asked_count = 0;
		status = send_key(keys[bytes[0] % (sizeof(keys) / sizeof(keys[0]))], line, rest != NULL ? rest : "");
		MUST(status >= 200 && (status < 500 || status == 503));
		if (asked_count > 0)
			check_asked();
	}
	free(text);
	return 0;
}
