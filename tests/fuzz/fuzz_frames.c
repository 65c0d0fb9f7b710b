/* A FastCGI byte stream: judged, walked over in two pieces, and what is ready read by libfcgi and built into a
 * request, as the edge does. */
#include "fuzz.h"

#include "edge/fcgi.h"
#include "edge/frame.h"
#include "edge/request.h"

static void walk(const uint8_t *bytes, size_t length)
{
	const size_t half = length / 2;
	struct frame_walk whole = {{0}, 0, 0, false}, parts = {{0}, 0, 0, false};
	size_t used_whole = 0, used = 0;
	const enum frame_verdict at_once = frame_walk(&whole, bytes, length, &used_whole);
	enum frame_verdict v = frame_walk(&parts, bytes, half, &used);

	if (v == FRAME_MORE) {
		used = 0;
		v = frame_walk(&parts, bytes + half, length - half, &used);
		used += half;
	}
	MUST(v == at_once);
	MUST(v != FRAME_READY || used == used_whole);
}

static void serve(struct fcgi *f, const uint8_t *bytes, size_t length)
{
	struct arena *arena = arena_new(1024 * 1024);
	struct request r = {.arena = arena};
	char *body;

	MUST(arena != NULL);
	if (fcgi_begin(f, bytes, length) == 0) {
		body = arena_alloc(arena, length + 1);
		MUST(body != NULL);
		(void)request_build(&r, fcgi_parameters(f), body, fcgi_body(f, body, length));
		MUST(r.defect != REQUEST_SOUND || r.path[0] == '/');
		(void)fcgi_end(f);
	}
	arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	static struct fcgi *f;
	size_t used = 0;

	if (f == NULL) {
		MUST(fcgi_init() == 0);
		f = fcgi_new();
		MUST(f != NULL);
	}
	walk(bytes, length);
	while (length > 0 && frame_inspect(bytes, length, &used) == FRAME_READY) {
		MUST(used > 0 && used <= length);
		serve(f, bytes, used);
		bytes += used;
		length -= used;
	}
	return 0;
}
