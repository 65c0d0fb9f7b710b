/* A FastCGI byte stream: judged, walked over in two pieces, and what is ready read by libfcgi and built into a
 * request, as the edge does.  What libfcgi hands over is what a reading of its own finds in the records. */
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

enum { PARAMETERS = 4, BODY = 5 };

/* The content of all records of that type, one behind the other; its length. */
static size_t gather(const uint8_t *bytes, size_t length, unsigned type, uint8_t *out)
{
	size_t total = 0;

	for (size_t at = 0; at + 8 <= length;) {
		const size_t content = (size_t)bytes[at + 4] << 8 | bytes[at + 5];

		if (bytes[at + 1] == type) {
			memcpy(out + total, bytes + at + 8, content);
			total += content;
		}
		at += 8 + content + bytes[at + 6];
	}
	return total;
}

/* libfcgi says the role before them. */
static void check_parameters(const char *const *had, const uint8_t *pairs, size_t length)
{
	for (size_t at = 0; at < length; had++) {
		size_t name, value;

		if (strcmp(*had, "FCGI_ROLE=RESPONDER") == 0)
			had++;
		name = fuzz_length(pairs, &at);
		value = fuzz_length(pairs, &at);
		MUST(*had != NULL && strlen(*had) == name + 1 + value && (*had)[name] == '=');
		MUST(memcmp(*had, pairs + at, name) == 0 && memcmp(*had + name + 1, pairs + at + name, value) == 0);
		at += name + value;
	}
	MUST(*had == NULL || strcmp(*had, "FCGI_ROLE=RESPONDER") == 0);
}

static void serve(struct fcgi *f, struct fcgi_reqbuf *reqbuf, const uint8_t *bytes, size_t length)
{
	struct arena *arena = arena_new(1024 * 1024);
	struct request r = {.arena = arena};
	uint8_t *sent = malloc(length + 1);
	size_t body_length;
	char *body;

	MUST(arena != NULL && sent != NULL);
	if (fcgi_begin(f, reqbuf, bytes, length) == 0) {
		body = arena_alloc(arena, length + 1);
		MUST(body != NULL);
		check_parameters(fcgi_parameters(f), sent, gather(bytes, length, PARAMETERS, sent));
		body_length = fcgi_body(f, body, length);
		MUST(body_length == gather(bytes, length, BODY, sent) && memcmp(body, sent, body_length) == 0);
		(void)request_build(&r, fcgi_parameters(f), body, body_length);
		MUST(r.defect != REQUEST_SOUND || r.path[0] == '/');
		(void)fcgi_end(f);
	}
	free(sent);
	arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	static struct fcgi *f;
	static struct fcgi_reqbuf *reqbuf;
	size_t used = 0;

	if (f == NULL) {
		MUST(fcgi_init() == 0);
		f = fcgi_new();
		reqbuf = fcgi_reqbuf_new();
		MUST(f != NULL && reqbuf != NULL);
	}
	walk(bytes, length);
	while (length > 0 && frame_inspect(bytes, length, &used) == FRAME_READY) {
		MUST(used > 0 && used <= length);
		serve(f, reqbuf, bytes, used);
		bytes += used;
		length -= used;
	}
	return 0;
}
