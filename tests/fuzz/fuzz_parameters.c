/* A web server's parameters, NAME=value on each line, then the body; and a query parameter of what comes of them. */
#include "fuzz.h"

#include "edge/request.h"
#include "routes/api/language.h"

#define LINES_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct arena *arena = arena_new(1024 * 1024);
	struct request r = {.arena = arena};
	const char *lines[LINES_MAX + 1] = {NULL};
	char *text = fuzz_text(bytes, length), *rest = text, *body;
	int count = 0;
	bool bad = false;

	MUST(arena != NULL);
	while (rest != NULL && *rest != '\n' && count < LINES_MAX)
		lines[count++] = fuzz_line(&rest);
	body = arena_copy(arena, rest != NULL ? rest : "", rest != NULL ? strlen(rest) : 0);
	MUST(body != NULL);
	if (request_build(&r, lines, body, strlen(body)) == 0 && r.defect == REQUEST_SOUND) {
		MUST(r.path[0] == '/' && strlen(r.id) > 0 && strlen(r.id) < REQUEST_ID_MAX);
		(void)request_query(&r, "limit", &bad);
		(void)request_query(&r, "account", &bad);
		(void)language_french(request_parameter(&r, "HTTP_ACCEPT_LANGUAGE"));
	}
	arena_free(arena);
	free(text);
	return 0;
}
